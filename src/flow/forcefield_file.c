/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and checks the weights of a force field. */
#include "flow/forcefield_file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CUTOFF 5.0
static const char first_matrix[] = "embedding.weight";

/* ---- names ---- */

static int find_prefix(struct aster_forcefield_file *w)
{
    for (int64_t k = 0; k < aster_weightfile_count(w->f); k++) {
        const char *name = aster_weightfile_tensor(w->f, k)->name;
        size_t n = strlen(name), end = sizeof first_matrix - 1;
        if (n < end || strcmp(name + n - end, first_matrix) != 0)
            continue;
        n -= end;
        if (n >= sizeof w->prefix || (n && name[n - 1] != '.'))
            continue;
        memcpy(w->prefix, name, n);
        return 0;
    }
    return aster_fail(w->ctx, ASTER_EFORMAT,
                      "%s: has no tensor %s; the embedding, rbf, interactions and energy_head of a "
                      "force field are expected",
                      aster_weightfile_path(w->f), first_matrix);
}

static const struct aster_weight *find(const struct aster_forcefield_file *w, const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", w->prefix, name);
    return aster_weightfile_find(w->f, full);
}

/* Names under the prefix; NULL for one that is not */
static const char *short_name(const struct aster_forcefield_file *w, const char *name)
{
    size_t n = strlen(w->prefix);
    return strncmp(name, w->prefix, n) ? NULL : name + n;
}

/* ---- sizes ---- */

/* A number that the file states: an attribute of HDF5, metadata of safetensors, a value of a
 * PyTorch archive. 1, or 0 where there is none. */
static int stated(const struct aster_forcefield_file *w, struct aster_h5 *h5, const char *name,
                  double *out)
{
    struct aster_value v;
    if (h5) {
        if (!aster_h5_attr_has(h5, "/", name))
            return 0;
        int rc = aster_h5_attr_f64(h5, "/", name, out);
        return rc < 0 ? rc : 1;
    }
    const char *text = aster_weightfile_metadata(w->f, name);
    if (text) {
        char *end;
        *out = strtod(text, &end);
        return *text && !*end ? 1
                              : aster_fail(w->ctx, ASTER_EFORMAT,
                                           "%s: metadata %s is '%.*s', expected a number",
                                           aster_weightfile_path(w->f), name, ASTER_CUT(100, text));
    }
    char path[64];
    snprintf(path, sizeof path, "config.%s", name);
    if (aster_weightfile_value(w->f, path, &v) != 1 && aster_weightfile_value(w->f, name, &v) != 1)
        return 0;
    if (v.kind != ASTER_VALUE_INTEGER && v.kind != ASTER_VALUE_REAL)
        return 0;
    *out = v.kind == ASTER_VALUE_INTEGER ? (double)v.integer : v.real;
    return 1;
}

/* A size that follows from the tensors; where the file states it too, both have to agree. */
static int size_of(const struct aster_forcefield_file *w, struct aster_h5 *h5, const char *name,
                   int64_t found, int64_t *out)
{
    double said;
    int rc = stated(w, h5, name, &said);
    *out = found;
    if (rc <= 0)
        return rc;
    return said == (double)found
               ? 0
               : aster_fail(w->ctx, ASTER_EFORMAT, "%s: states %s = %g, but its tensors have %lld",
                            aster_weightfile_path(w->f), name, said, (long long)found);
}

static int64_t count_blocks(const struct aster_forcefield_file *w)
{
    int64_t n = 0;
    for (int64_t k = 0; k < aster_weightfile_count(w->f); k++) {
        const char *name = short_name(w, aster_weightfile_tensor(w->f, k)->name);
        long long number = 0;
        if (name && strncmp(name, "interactions.", 13) == 0) {
            char *end;
            errno = 0;
            number = strtoll(name + 13, &end, 10);
            if (end > name + 13 && *end == '.' && !errno && number >= 0 && number < 1000000)
                n = aster_max64(n, number + 1);
        }
    }
    return n;
}

static int text_option(const struct aster_forcefield_file *w, struct aster_h5 *h5, const char *name,
                       const char *first, const char *second, bool *is_second)
{
    char *text = NULL, path[64];
    struct aster_value v;
    int rc = 0;
    snprintf(path, sizeof path, "config.%s", name);
    if (h5 && aster_h5_attr_has(h5, "/", name))
        rc = aster_h5_attr_str(h5, "/", name, &text);
    else if (!h5 &&
             (aster_weightfile_value(w->f, path, &v) == 1 ||
              aster_weightfile_value(w->f, name, &v) == 1) &&
             v.kind == ASTER_VALUE_TEXT)
        rc = aster_strndup(w->ctx, v.text, (size_t)v.n, &text);
    else if (!h5 && aster_weightfile_metadata(w->f, name))
        rc = aster_strndup(w->ctx, aster_weightfile_metadata(w->f, name),
                           strlen(aster_weightfile_metadata(w->f, name)), &text);
    if (rc == 0 && text && strcmp(text, first) != 0 && strcmp(text, second) != 0)
        rc = aster_fail(w->ctx, ASTER_EFORMAT, "%s: %s is '%.*s', expected %s or %s",
                        aster_weightfile_path(w->f), name, ASTER_CUT(100, text), first, second);
    *is_second = rc == 0 && text && strcmp(text, second) == 0;
    aster_free(&text);
    return rc;
}

static int check_sizes(const struct aster_forcefield_file *w)
{
    char why[200];
    int rc = aster_forcefield_check(w->ctx, &w->c);
    if (rc == 0)
        return 0;
    snprintf(why, sizeof why, "%s", aster_ctx_message(w->ctx));
    aster_ctx_clear(w->ctx);
    return aster_fail(w->ctx, ASTER_EFORMAT, "%s: %s", aster_weightfile_path(w->f), why);
}

static int find_sizes(struct aster_forcefield_file *w, struct aster_h5 *h5)
{
    const struct aster_weight *table = find(w, first_matrix), *centers = find(w, "rbf.centers");
    struct aster_forcefield_config *c = &w->c;
    bool is_isotropic, is_on_filter;
    if (table->rank != 2 || !centers || centers->rank != 1)
        return aster_fail(w->ctx, ASTER_EFORMAT,
                          "%s: %s%s of two axes and %srbf.centers of one are expected",
                          aster_weightfile_path(w->f), w->prefix, first_matrix, w->prefix);
    ASTER_TRY(size_of(w, h5, "hidden_dim", table->dim[1], &c->width));
    ASTER_TRY(size_of(w, h5, "max_z", table->dim[0] - 1, &c->max_number));
    ASTER_TRY(size_of(w, h5, "num_rbf", centers->dim[0], &c->n_radial));
    ASTER_TRY(size_of(w, h5, "num_interactions", count_blocks(w), &c->n_blocks));
    c->cutoff = DEFAULT_CUTOFF;
    c->norm_eps = 0;
    int rc = stated(w, h5, "cutoff", &c->cutoff);
    if (rc >= 0)
        rc = stated(w, h5, "norm_eps", &c->norm_eps);
    ASTER_TRY(rc < 0 ? rc : 0);
    ASTER_TRY(text_option(w, h5, "mixing", "compat", "isotropic", &is_isotropic));
    ASTER_TRY(text_option(w, h5, "cutoff_on", "features", "filter", &is_on_filter));
    c->mixing = is_isotropic ? ASTER_MIXING_ISOTROPIC : ASTER_MIXING_FREE;
    c->cutoff_on = is_on_filter ? ASTER_CUTOFF_FILTER : ASTER_CUTOFF_FEATURES;
    return check_sizes(w);
}

/* ---- tensors ---- */

static int check_tensor(const struct aster_forcefield_file *w, const char *name, int rank,
                        const int64_t *dim)
{
    const struct aster_weight *t = find(w, name);
    if (!t)
        return aster_fail(w->ctx, ASTER_EFORMAT, "%s: has no tensor '%s%s'",
                          aster_weightfile_path(w->f), w->prefix, name);
    return aster_weightfile_expect(w->f, t, rank, dim);
}

static bool is_known(const struct aster_forcefield_file *w, const struct aster_program *p,
                     const char *name)
{
    char unread[96]; /* the vectors behind the last block are not looked at */
    snprintf(unread, sizeof unread, "interactions.%lld.update.mixing_matrix",
             (long long)w->c.n_blocks - 1);
    if (!strcmp(name, unread))
        return true;
    for (int k = 0; k < aster_program_n_params(p); k++)
        if (!strcmp(name, aster_program_param(p, k)->name))
            return true;
    for (int k = 0; k < aster_program_n_buffers(p); k++)
        if (!strcmp(name, aster_program_buffer(p, k)->name))
            return true;
    return false;
}

static int check_all(const struct aster_forcefield_file *w, const struct aster_program *p)
{
    for (int k = 0; k < aster_program_n_params(p); k++) {
        const struct aster_param_info *info = aster_program_param(p, k);
        int64_t dim[ASTER_MAX_RANK];
        aster_param_reference_shape(info, dim);
        ASTER_TRY(check_tensor(w, info->name, info->rank, dim));
    }
    for (int k = 0; k < aster_program_n_buffers(p); k++)
        ASTER_TRY(
            check_tensor(w, aster_program_buffer(p, k)->name, 1, &aster_program_buffer(p, k)->n));
    for (int64_t k = 0; k < aster_weightfile_count(w->f); k++) {
        const char *name = aster_weightfile_tensor(w->f, k)->name, *end = short_name(w, name);
        if (!end || !is_known(w, p, end))
            return aster_fail(w->ctx, ASTER_EFORMAT,
                              "%s: tensor '%.*s' is none of a force field of %lld interactions",
                              aster_weightfile_path(w->f), ASTER_CUT(200, name),
                              (long long)w->c.n_blocks);
    }
    return 0;
}

static int open_all(struct aster_forcefield_file *w, const char *path)
{
    struct aster_h5 *h5 = NULL;
    struct aster_program *p = NULL;
    int rc;
    ASTER_TRY(aster_weightfile_open(w->ctx, path, &w->f));
    ASTER_TRY(find_prefix(w));
    if (aster_weightfile_is_h5(w->f))
        ASTER_TRY(aster_h5_open(w->ctx, path, &h5));
    rc = find_sizes(w, h5);
    aster_h5_close(&h5);
    if (rc == 0)
        rc = aster_forcefield_program(w->ctx, &w->c, ASTER_F32, ASTER_FORCEFIELD_ENERGY, NULL, NULL,
                                      &p);
    if (rc == 0)
        rc = check_all(w, p);
    aster_program_free(&p);
    return rc;
}

int aster_forcefield_open(struct aster_ctx *ctx, const char *path,
                          struct aster_forcefield_file *out)
{
    *out = (struct aster_forcefield_file){.ctx = ctx};
    int rc = open_all(out, path);
    if (rc < 0)
        aster_forcefield_close(out);
    return rc;
}

void aster_forcefield_close(struct aster_forcefield_file *w)
{
    aster_weightfile_close(&w->f);
}

/* ---- values ---- */

static int read_tensor(const struct aster_forcefield_file *w, const char *name, enum aster_dtype t,
                       void *out)
{
    const struct aster_weight *tensor = find(w, name);
    ASTER_TRY(aster_weightfile_read(w->f, tensor, 0, tensor->n, t, out));
    for (int64_t k = 0; k < tensor->n; k++) {
        double x = t == ASTER_F64 ? ((double *)out)[k] : (double)((float *)out)[k];
        if (!isfinite(x))
            return aster_fail(
                w->ctx, ASTER_EFORMAT, "%s: value %lld of tensor '%.*s' is not finite",
                aster_weightfile_path(w->f), (long long)k, ASTER_CUT(200, tensor->name));
    }
    return 0;
}

static int read_param(const struct aster_forcefield_file *w, const struct aster_param_info *info,
                      void *flat)
{
    void *theirs = NULL;
    ASTER_TRY(aster_alloc(w->ctx, info->n, (size_t)aster_dtype_size(info->dtype), &theirs));
    int rc = read_tensor(w, info->name, info->dtype, theirs);
    if (rc == 0)
        aster_param_from_reference(info, info->dtype, theirs, flat);
    aster_free(&theirs);
    return rc;
}

int aster_forcefield_read(const struct aster_forcefield_file *w, const struct aster_program *p,
                          void *params, double *buffers)
{
    for (int k = 0; k < aster_program_n_params(p); k++)
        ASTER_TRY(read_param(w, aster_program_param(p, k), params));
    for (int k = 0; k < aster_program_n_buffers(p); k++) {
        const struct aster_param_info *info = aster_program_buffer(p, k);
        ASTER_TRY(read_tensor(w, info->name, ASTER_F64, buffers + info->offset));
        for (int64_t i = 0; !strcmp(info->name, "rbf.widths") && i < info->n; i++)
            if (!(buffers[info->offset + i] > 0))
                return aster_fail(
                    w->ctx, ASTER_EFORMAT, "%s: rbf.widths has %g at %lld, expected above 0",
                    aster_weightfile_path(w->f), buffers[info->offset + i], (long long)i);
    }
    return 0;
}

void aster_forcefield_radial(const struct aster_forcefield_config *c, const struct aster_program *p,
                             double *buffers)
{
    for (int k = 0; k < aster_program_n_buffers(p); k++) {
        const struct aster_param_info *info = aster_program_buffer(p, k);
        bool is_center = !strcmp(info->name, "rbf.centers");
        for (int64_t i = 0; i < info->n; i++)
            buffers[info->offset + i] =
                is_center ? c->cutoff * (double)i / (double)aster_max64(1, info->n - 1)
                          : c->cutoff / (double)info->n;
    }
}
