/* SPDX-License-Identifier: BSD-3-Clause */
/* Trained weights: from and to our HDF5 model files and safetensors. */
#include "train/internal.h"
#include "train/tensors.h"

#include <string.h>

static int make_vectors(struct aster_ctx *ctx, const struct aster_program *p,
                        struct aster_weights *w)
{
    ASTER_TRY(aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_PARAM),
                          (size_t)aster_dtype_size(w->real), &w->params));
    return aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_BUFFER), sizeof *w->buffers,
                       &w->buffers);
}

/* ---- HDF5 ---- */

/* What a file of ours says about its model. */
static int read_ours(struct aster_ctx *ctx, struct aster_h5 *f, const char *path, const char *model,
                     struct aster_weights *w)
{
    ASTER_TRY(model_from_json(ctx, path, model, &w->model));
    ASTER_TRY(aster_h5_attr_str(f, "/", "provenance", &w->provenance));
    ASTER_TRY(aster_h5_attr_f64(f, "/", "class_weight_0", &w->class_weights[0]));
    return aster_h5_attr_f64(f, "/", "class_weight_1", &w->class_weights[1]);
}

/* A file of the reference's weights: attribute model is the bare name, model_config has the rest as
 * JSON. */
static int read_theirs(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                       const char *model, struct aster_weights *w)
{
    struct aster_encoding enc;
    int64_t dim = 1280, max_length;
    char *config = NULL;
    if (strncmp(w->encoding, "esm2", 4)) {
        ASTER_TRY(aster_encoding_table(ctx, w->encoding, &enc));
        dim = enc.dim;
    }
    ASTER_TRY(aster_h5_attr_i64(f, "/", "max_length", &max_length));
    ASTER_TRY(aster_h5_attr_str(f, "/", "model_config", &config));
    int rc = model_from_reference(ctx, path, model, config, dim, max_length, &w->model);
    aster_free(&config);
    ASTER_TRY(rc);
    w->class_weights[0] = w->class_weights[1] = 1;
    if (aster_h5_attr_has(f, "/", "note"))
        return aster_h5_attr_str(f, "/", "note", &w->provenance);
    return aster_strdup(ctx, "", &w->provenance);
}

static int read_h5(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                   struct aster_weights *w, struct aster_program **program)
{
    char *text = NULL, *encoding = NULL;
    if (!aster_h5_attr_has(f, "/", "model") || !aster_h5_attr_has(f, "/", "encoding"))
        return aster_fail(
            ctx, ASTER_EFORMAT,
            "%s: is no model file of this program (attributes model and encoding are missing)",
            path);
    ASTER_TRY(aster_h5_attr_str(f, "/", "encoding", &encoding));
    snprintf(w->encoding, sizeof w->encoding, "%s", encoding);
    aster_free(&encoding);
    ASTER_TRY(aster_h5_attr_str(f, "/", "model", &text));
    int rc = *text == '{' ? read_ours(ctx, f, path, text, w) : read_theirs(ctx, f, path, text, w);
    aster_free(&text);
    ASTER_TRY(rc);
    ASTER_TRY(eval_program(ctx, &w->model, w->real, w->class_weights, program));
    ASTER_TRY(make_vectors(ctx, *program, w));
    ASTER_TRY(tensors_read(ctx, f, path, "weights", *program, false, w->params));
    return tensors_read(ctx, f, path, "buffers", *program, true, w->buffers);
}

static int load_h5(struct aster_ctx *ctx, const char *path, struct aster_weights *w,
                   struct aster_program **program)
{
    struct aster_h5 *f;
    ASTER_TRY(aster_h5_open(ctx, path, &f));
    int rc = read_h5(ctx, f, path, w, program);
    aster_h5_close(&f);
    return rc;
}

/* What read_h5 reads. */
static int write_h5(struct aster_ctx *ctx, struct aster_h5 *f, const struct aster_weights *w,
                    const struct aster_program *program)
{
    struct aster_str model = {0};
    model_to_json(&w->model, &model);
    int rc = aster_str_ok(ctx, &model);
    if (rc == 0)
        rc = aster_h5_attr_set_str(f, "/", "model", aster_str_get(&model));
    aster_str_free(&model);
    ASTER_TRY(rc);
    ASTER_TRY(aster_h5_attr_set_str(f, "/", "encoding", w->encoding));
    ASTER_TRY(aster_h5_attr_set_str(f, "/", "provenance", w->provenance ? w->provenance : ""));
    ASTER_TRY(aster_h5_attr_set_f64(f, "/", "class_weight_0", w->class_weights[0]));
    ASTER_TRY(aster_h5_attr_set_f64(f, "/", "class_weight_1", w->class_weights[1]));
    ASTER_TRY(tensors_write(ctx, f, "weights", program, false, w->params));
    return tensors_write(ctx, f, "buffers", program, true, w->buffers);
}

int aster_weights_save_h5(struct aster_ctx *ctx, const struct aster_weights *w, const char *path)
{
    struct aster_program *program;
    struct aster_h5 *f = NULL;
    ASTER_TRY(eval_program(ctx, &w->model, w->real, w->class_weights, &program));
    int rc = aster_h5_create(ctx, path, &f);
    if (rc == 0)
        rc = write_h5(ctx, f, w, program);
    if (rc == 0)
        rc = aster_h5_commit(&f);
    aster_h5_close(&f);
    aster_program_free(&program);
    return rc;
}

/* ---- safetensors ---- */

static const struct aster_st_tensor *find(struct aster_st *f, const char *name)
{
    char other[256];
    const struct aster_st_tensor *t = aster_st_find(f, name);
    snprintf(other, sizeof other, "module.%s", name); /* as saved from a data-parallel wrapper */
    return t ? t : aster_st_find(f, other);
}

static double element(const struct aster_st_tensor *t, int64_t i)
{
    float f;
    double d;
    uint16_t h;
    if (!strcmp(t->dtype, "F64")) {
        memcpy(&d, (const char *)t->data + 8 * i, 8);
        return d;
    }
    if (!strcmp(t->dtype, "F32")) {
        memcpy(&f, (const char *)t->data + 4 * i, 4);
        return f;
    }
    memcpy(&h, (const char *)t->data + 2 * i, 2);
    return aster_bf16_to_f32(h);
}

static int read_tensor(struct aster_ctx *ctx, struct aster_st *f, const char *path,
                       const struct aster_param_info *info, enum aster_dtype real, void *flat)
{
    const struct aster_st_tensor *t = find(f, info->name);
    void *theirs = NULL;
    if (!t)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: has no tensor '%s'", path, info->name);
    if (strcmp(t->dtype, "F32") && strcmp(t->dtype, "F64") && strcmp(t->dtype, "BF16"))
        return aster_fail(ctx, ASTER_EFORMAT, "%s: '%s' is of type %s, expected F32, F64 or BF16",
                          path, info->name, t->dtype);
    ASTER_TRY(tensor_check_shape(ctx, path, info, t->rank, t->dim));
    ASTER_TRY(aster_alloc(ctx, info->n, (size_t)aster_dtype_size(real), &theirs));
    for (int64_t i = 0; i < info->n; i++)
        if (real == ASTER_F64)
            ((double *)theirs)[i] = element(t, i);
        else
            ((float *)theirs)[i] = (float)element(t, i);
    int rc = tensor_check_finite(ctx, path, info->name, real, info->n, theirs);
    if (rc == 0)
        aster_param_from_reference(info, real, theirs, flat);
    aster_free(&theirs);
    return rc;
}

static int read_st(struct aster_ctx *ctx, struct aster_st *f, const char *path,
                   struct aster_weights *w, struct aster_program **program)
{
    const char *model = aster_st_metadata(f, "model"), *encoding = aster_st_metadata(f, "encoding");
    const char *weights = aster_st_metadata(f, "class_weights"),
               *provenance = aster_st_metadata(f, "provenance");
    if (!model || !encoding)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: its metadata name no model and encoding; only files written by this "
                          "program can be used",
                          path);
    ASTER_TRY(model_from_json(ctx, path, model, &w->model));
    snprintf(w->encoding, sizeof w->encoding, "%s", encoding);
    ASTER_TRY(aster_strdup(ctx, provenance ? provenance : "", &w->provenance));
    w->class_weights[0] = w->class_weights[1] = 1;
    if (weights && sscanf(weights, "%lf %lf", &w->class_weights[0], &w->class_weights[1]) != 2)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: metadata class_weights: '%s', expected two numbers", path, weights);
    ASTER_TRY(eval_program(ctx, &w->model, w->real, w->class_weights, program));
    ASTER_TRY(make_vectors(ctx, *program, w));
    for (int k = 0; k < aster_program_n_params(*program); k++)
        ASTER_TRY(read_tensor(ctx, f, path, aster_program_param(*program, k), w->real, w->params));
    for (int k = 0; k < aster_program_n_buffers(*program); k++)
        ASTER_TRY(
            read_tensor(ctx, f, path, aster_program_buffer(*program, k), ASTER_F64, w->buffers));
    return 0;
}

static int load_st(struct aster_ctx *ctx, const char *path, struct aster_weights *w,
                   struct aster_program **program)
{
    struct aster_st *f;
    ASTER_TRY(aster_st_open(ctx, path, &f));
    int rc = read_st(ctx, f, path, w, program);
    aster_st_close(&f);
    return rc;
}

/* What the encoding gives is what the model reads. */
static int check_encoding(struct aster_ctx *ctx, const char *path, const struct aster_weights *w)
{
    struct aster_encoding enc;
    if (!strcmp(w->encoding, "esm2") || !strcmp(w->encoding, "esm2_650m"))
        return 0;
    if (strcmp(w->encoding, "onehot") && strcmp(w->encoding, "blosum"))
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: its encoding is '%s', expected onehot, blosum, esm2 or esm2_650m",
                          path, w->encoding);
    ASTER_TRY(aster_encoding_table(ctx, w->encoding, &enc));
    if (enc.dim == w->model.input_dim)
        return 0;
    return aster_fail(ctx, ASTER_EFORMAT,
                      "%s: its model reads %lld values per residue, its encoding %s gives %lld",
                      path, (long long)w->model.input_dim, w->encoding, (long long)enc.dim);
}

int aster_weights_load(struct aster_ctx *ctx, const char *path, enum aster_dtype real,
                       struct aster_weights **out)
{
    const char *end = strrchr(aster_path_base(path), '.');
    struct aster_program *program = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->real = real;
    int rc = end && !strcmp(end, ".safetensors") ? load_st(ctx, path, *out, &program)
                                                 : load_h5(ctx, path, *out, &program);
    aster_program_free(&program);
    if (rc == 0)
        rc = check_encoding(ctx, path, *out);
    if (rc < 0)
        aster_weights_free(out);
    return rc;
}

/* The tensors of one vector, in the reference's layout; data are the caller's to free. */
static int list_tensors(struct aster_ctx *ctx, const struct aster_program *p, bool buffers,
                        enum aster_dtype t, const void *flat, struct aster_st_out *out)
{
    int n = buffers ? aster_program_n_buffers(p) : aster_program_n_params(p);
    for (int k = 0; k < n; k++) {
        const struct aster_param_info *info =
            buffers ? aster_program_buffer(p, k) : aster_program_param(p, k);
        int64_t dim[ASTER_MAX_RANK];
        void *theirs;
        ASTER_TRY(aster_alloc(ctx, info->n, (size_t)aster_dtype_size(t), &theirs));
        aster_param_to_reference(info, t, flat, theirs);
        aster_param_reference_shape(info, dim);
        out[k] = (struct aster_st_out){
            .name = info->name, .dtype = t, .rank = info->rank, .data = theirs};
        memcpy(out[k].dim, dim, (size_t)info->rank * sizeof *dim);
    }
    return 0;
}

static int write_st(struct aster_ctx *ctx, const struct aster_weights *w, const char *path,
                    int64_t n, const struct aster_st_out *tensors)
{
    struct aster_str model = {0}, weights = {0};
    model_to_json(&w->model, &model);
    aster_str_printf(&weights, "%.17g %.17g", w->class_weights[0], w->class_weights[1]);
    const char *const keys[] = {"model", "encoding", "class_weights", "provenance"};
    const char *const values[] = {aster_str_get(&model), w->encoding, aster_str_get(&weights),
                                  w->provenance ? w->provenance : ""};
    int rc = aster_st_write(ctx, path, n, tensors, 4, keys, values);
    aster_str_free(&model);
    aster_str_free(&weights);
    return rc;
}

int aster_weights_save_safetensors(struct aster_ctx *ctx, const struct aster_weights *w,
                                   const char *path)
{
    struct aster_program *program = NULL;
    struct aster_st_out *list = NULL;
    int rc, n_params = 0, n = 0;
    ASTER_GOTO(eval_program(ctx, &w->model, w->real, w->class_weights, &program), done);
    n_params = aster_program_n_params(program);
    n = n_params + aster_program_n_buffers(program);
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *list, &list), done);
    ASTER_GOTO(list_tensors(ctx, program, false, w->real, w->params, list), done);
    ASTER_GOTO(list_tensors(ctx, program, true, ASTER_F64, w->buffers, list + n_params), done);
    rc = write_st(ctx, w, path, n, list);
done:
    for (int k = 0; list && k < n; k++) {
        void *data = (void *)(uintptr_t)list[k].data;
        aster_free(&data);
    }
    aster_free(&list);
    aster_program_free(&program);
    return rc;
}

void aster_weights_free(struct aster_weights **wp)
{
    struct aster_weights *w = *wp;
    if (!w)
        return;
    aster_free(&w->params);
    aster_free(&w->buffers);
    aster_free(&w->provenance);
    aster_free(wp);
}
