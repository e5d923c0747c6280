/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes the weights of a force field, as HDF5 or safetensors. */
#include "flow/forcefield_file.h"

#include <string.h>

/* What the file states beside its tensors */
enum { N_NUMBERS = 7, N_TEXTS = 4 };
struct facts {
    struct {
        const char *name;
        double value;
        bool is_real;
    } number[N_NUMBERS];
    struct {
        const char *name, *value;
    } text[N_TEXTS];
};

static struct facts facts_of(const struct aster_forcefield_config *c, const char *name)
{
    return (struct facts){
        .number = {{"format_version", 1, false},
                   {"hidden_dim", (double)c->width, false},
                   {"num_interactions", (double)c->n_blocks, false},
                   {"num_rbf", (double)c->n_radial, false},
                   {"max_z", (double)c->max_number, false},
                   {"cutoff", c->cutoff, true},
                   {"norm_eps", c->norm_eps, true}},
        .text = {{"mixing", c->mixing == ASTER_MIXING_FREE ? "compat" : "isotropic"},
                 {"cutoff_on", c->cutoff_on == ASTER_CUTOFF_FEATURES ? "features" : "filter"},
                 {"model_name", name},
                 {"units", "eV, Angstrom"}},
    };
}

/* ---- tensors, in the files' layout and f32 ---- */

static void free_tensors(int n, struct aster_st_out **list)
{
    for (int k = 0; *list && k < n; k++) {
        void *data = (void *)(uintptr_t)(*list)[k].data;
        aster_free(&data);
    }
    aster_free(list);
}

static int add_param(struct aster_ctx *ctx, enum aster_dtype t, const struct aster_param_info *info,
                     const void *flat, struct aster_st_out *out)
{
    void *theirs = NULL;
    float *narrow = NULL;
    ASTER_TRY(aster_alloc(ctx, info->n, sizeof *narrow, &narrow));
    *out = (struct aster_st_out){
        .name = info->name, .dtype = ASTER_F32, .rank = info->rank, .data = narrow};
    aster_param_reference_shape(info, out->dim);
    ASTER_TRY(aster_alloc(ctx, info->n, (size_t)aster_dtype_size(t), &theirs));
    aster_param_to_reference(info, t, flat, theirs);
    for (int64_t k = 0; k < info->n; k++)
        narrow[k] = t == ASTER_F64 ? (float)((double *)theirs)[k] : ((float *)theirs)[k];
    aster_free(&theirs);
    return 0;
}

static int add_constants(struct aster_ctx *ctx, const struct aster_param_info *info,
                         const double *buffers, struct aster_st_out *out)
{
    float *narrow = NULL;
    ASTER_TRY(aster_alloc(ctx, info->n, sizeof *narrow, &narrow));
    *out = (struct aster_st_out){
        .name = info->name, .dtype = ASTER_F32, .rank = info->rank, .data = narrow};
    aster_param_reference_shape(info, out->dim);
    for (int64_t k = 0; k < info->n; k++)
        narrow[k] = (float)buffers[info->offset + k];
    return 0;
}

static int list_tensors(struct aster_ctx *ctx, const struct aster_program *p, const void *params,
                        const double *buffers, struct aster_st_out *list)
{
    int n = aster_program_n_params(p);
    for (int k = 0; k < n; k++)
        ASTER_TRY(
            add_param(ctx, aster_program_real(p), aster_program_param(p, k), params, &list[k]));
    for (int k = 0; k < aster_program_n_buffers(p); k++)
        ASTER_TRY(add_constants(ctx, aster_program_buffer(p, k), buffers, &list[n + k]));
    return 0;
}

/* ---- the two formats ---- */

static int write_facts(struct aster_h5 *f, const struct facts *all)
{
    for (int k = 0; k < N_NUMBERS; k++)
        ASTER_TRY(all->number[k].is_real
                      ? aster_h5_attr_set_f64(f, "/", all->number[k].name, all->number[k].value)
                      : aster_h5_attr_set_i64(f, "/", all->number[k].name,
                                              (int64_t)all->number[k].value));
    for (int k = 0; k < N_TEXTS; k++)
        ASTER_TRY(aster_h5_attr_set_str(f, "/", all->text[k].name, all->text[k].value));
    return 0;
}

/* The first n_params are trained. */
static int save_h5(struct aster_ctx *ctx, const char *path, const struct facts *all, int n_params,
                   int n, const struct aster_st_out *list)
{
    struct aster_h5 *f = NULL;
    char name[160];
    int rc;
    ASTER_GOTO(aster_h5_create(ctx, path, &f), done);
    ASTER_GOTO(write_facts(f, all), done);
    for (int k = 0; k < n; k++) {
        snprintf(name, sizeof name, "params/%s", list[k].name);
        ASTER_GOTO(
            aster_h5_write_plain(f, name, ASTER_F32, list[k].rank, list[k].dim, list[k].data),
            done);
        ASTER_GOTO(aster_h5_attr_set_i64(f, name, "trainable", k < n_params), done);
        ASTER_GOTO(aster_h5_attr_set_i64(f, name, "used", 1), done);
    }
    rc = aster_h5_commit(&f);
done:
    aster_h5_close(&f);
    return rc;
}

static int save_st(struct aster_ctx *ctx, const char *path, const struct facts *all, int n,
                   const struct aster_st_out *list)
{
    const char *keys[N_NUMBERS + N_TEXTS], *values[N_NUMBERS + N_TEXTS];
    char text[N_NUMBERS][32];
    for (int k = 0; k < N_NUMBERS; k++) {
        snprintf(text[k], sizeof text[k], "%.17g", all->number[k].value);
        keys[k] = all->number[k].name;
        values[k] = text[k];
    }
    for (int k = 0; k < N_TEXTS; k++) {
        keys[N_NUMBERS + k] = all->text[k].name;
        values[N_NUMBERS + k] = all->text[k].value;
    }
    return aster_st_write(ctx, path, n, list, N_NUMBERS + N_TEXTS, keys, values);
}

int aster_forcefield_save(struct aster_ctx *ctx, const char *path,
                          const struct aster_forcefield_config *c, const char *name,
                          const struct aster_program *p, const void *params, const double *buffers)
{
    const struct facts all = facts_of(c, name);
    const char *end = strrchr(path, '.');
    int n_params = aster_program_n_params(p), n = n_params + aster_program_n_buffers(p);
    struct aster_st_out *list = NULL;
    ASTER_TRY(aster_alloc(ctx, n, sizeof *list, &list));
    int rc = list_tensors(ctx, p, params, buffers, list);
    if (rc == 0)
        rc = end && !strcmp(end, ".safetensors") ? save_st(ctx, path, &all, n, list)
                                                 : save_h5(ctx, path, &all, n_params, n, list);
    free_tensors(n, &list);
    return rc;
}

int aster_forcefield_make(struct aster_ctx *ctx, const char *path,
                          const struct aster_forcefield_config *c, const char *name,
                          int (*fill)(void *arg, const struct aster_program *p, float *params,
                                      double *buffers),
                          void *arg)
{
    struct aster_program *p = NULL;
    float *params = NULL;
    double *buffers = NULL;
    int rc;
    ASTER_GOTO(aster_forcefield_program(ctx, c, ASTER_F32, ASTER_FORCEFIELD_ENERGY, NULL, NULL, &p),
               done);
    ASTER_GOTO(
        aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_PARAM), sizeof *params, &params),
        done);
    ASTER_GOTO(
        aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_BUFFER), sizeof *buffers, &buffers),
        done);
    ASTER_GOTO(fill(arg, p, params, buffers), done);
    rc = aster_forcefield_save(ctx, path, c, name, p, params, buffers);
done:
    aster_program_free(&p);
    aster_free(&params);
    aster_free(&buffers);
    return rc;
}

/* ---- from one format to another ---- */

bool aster_forcefield_is(struct aster_ctx *ctx, const char *path)
{
    static const char sign[] = "interactions.0.message.rbf_to_scalar.0.weight";
    struct aster_weightfile *f = NULL;
    bool found = false;
    if (aster_weightfile_open(ctx, path, &f) < 0) {
        aster_ctx_clear(ctx);
        return false;
    }
    for (int64_t k = 0; !found && k < aster_weightfile_count(f); k++) {
        const char *name = aster_weightfile_tensor(f, k)->name;
        size_t n = strlen(name), end = sizeof sign - 1;
        found = n >= end && !strcmp(name + n - end, sign);
    }
    aster_weightfile_close(&f);
    return found;
}

static int fill_from(void *arg, const struct aster_program *p, float *params, double *buffers)
{
    return aster_forcefield_read(arg, p, params, buffers);
}

/* What the file calls its model, else its own name */
static int name_of(struct aster_ctx *ctx, const struct aster_forcefield_file *w, const char *path,
                   char **out)
{
    const char *said = aster_weightfile_metadata(w->f, "model_name"), *base = aster_path_base(path),
               *end = strrchr(base, '.');
    struct aster_h5 *h5 = NULL;
    if (said)
        return aster_strdup(ctx, said, out);
    if (aster_weightfile_is_h5(w->f)) {
        ASTER_TRY(aster_h5_open(ctx, path, &h5));
        bool has_any = aster_h5_attr_has(h5, "/", "model_name");
        int rc = has_any ? aster_h5_attr_str(h5, "/", "model_name", out) : 0;
        aster_h5_close(&h5);
        if (has_any)
            return rc;
    }
    return aster_strndup(ctx, base, end ? (size_t)(end - base) : strlen(base), out);
}

int aster_forcefield_convert(struct aster_ctx *ctx, const char *in, const char *out)
{
    struct aster_forcefield_file w;
    char *name = NULL;
    ASTER_TRY(aster_forcefield_open(ctx, in, &w));
    int rc = name_of(ctx, &w, in, &name);
    if (rc == 0)
        rc = aster_forcefield_make(ctx, out, &w.c, name, fill_from, &w);
    aster_free(&name);
    aster_forcefield_close(&w);
    return rc;
}
