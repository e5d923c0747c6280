/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights of other programs' files written anew, tensor by tensor. */
#include "io/internal.h"
#include "io/weightfile_internal.h"

#include <string.h>

static enum aster_dtype type_of(const struct aster_weight *w, enum aster_dtype reals)
{
    switch (w->type) {
    case ASTER_WEIGHT_F16:
    case ASTER_WEIGHT_F8_E4M3:
    case ASTER_WEIGHT_F8_E5M2:
    case ASTER_WEIGHT_F32:
        return reals < ASTER_N_DTYPES ? reals : ASTER_F32;
    case ASTER_WEIGHT_BF16:
        return reals < ASTER_N_DTYPES ? reals : ASTER_BF16;
    case ASTER_WEIGHT_F64:
        return reals < ASTER_N_DTYPES ? reals : ASTER_F64;
    case ASTER_WEIGHT_U8:
    case ASTER_WEIGHT_BOOL:
        return ASTER_U8;
    case ASTER_WEIGHT_I8:
    case ASTER_WEIGHT_I16:
    case ASTER_WEIGHT_U16:
    case ASTER_WEIGHT_I32:
        return ASTER_I32;
    default:
        return ASTER_I64;
    }
}

struct source {
    const struct aster_weightfile *f;
    enum aster_dtype reals;
};

static int load(void *arg, int64_t k, void *to)
{
    const struct source *s = arg;
    const struct aster_weight *w = &s->f->weight[k];
    return aster_weightfile_read(s->f, w, 0, w->n, type_of(w, s->reals), to);
}

int aster_weightfile_write_st(const struct aster_weightfile *f, const char *path,
                              enum aster_dtype reals)
{
    static const char *const keys[] = {"format", "source"};
    const char *const values[] = {"pt", aster_path_base(f->path)};
    const char *end = values[1] + strlen(values[1]), *at = values[1];
    struct source source = {f, reals};
    struct aster_st_out *out = NULL;
    for (int n; at < end && (n = aster_utf8_length(at, end)) > 0;)
        at += n;
    int n_values = at == end ? 2 : 1; /* a header is UTF-8 */
    ASTER_TRY(aster_alloc(f->ctx, f->n, sizeof *out, &out));
    for (int64_t k = 0; k < f->n; k++) {
        const struct aster_weight *w = &f->weight[k];
        out[k] =
            (struct aster_st_out){.name = w->name, .dtype = type_of(w, reals), .rank = w->rank};
        memcpy(out[k].dim, w->dim, sizeof out[k].dim);
    }
    int rc = aster_st_write_each(f->ctx, path, f->n, out, n_values, keys, values,
                                 &(struct aster_st_load){load, &source});
    aster_free(&out);
    return rc;
}

static int write_dataset(const struct aster_weightfile *f, const struct aster_weight *w,
                         enum aster_dtype t, struct aster_h5 *h5)
{
    struct aster_str name = {0};
    void *data = NULL;
    int rc;
    if (strchr(w->name, '/'))
        return aster_fail(f->ctx, ASTER_EPARAM,
                          "%s: tensor '%.*s' has a '/' in its name, which a dataset cannot have; "
                          "convert to .safetensors",
                          f->path, ASTER_CUT(200, w->name));
    aster_str_printf(&name, "weights/%s", w->name);
    ASTER_GOTO(aster_str_ok(f->ctx, &name), done);
    ASTER_GOTO(aster_alloc(f->ctx, aster_max64(1, w->n), (size_t)aster_dtype_size(t), &data), done);
    ASTER_GOTO(aster_weightfile_read(f, w, 0, w->n, t, data), done);
    ASTER_GOTO(aster_h5_write_plain(h5, name.s, t, w->rank, w->dim, data), done);
    if (t == ASTER_BF16)
        rc = aster_h5_attr_set_str(h5, name.s, "dtype", "bf16");
done:
    aster_free(&data);
    aster_str_free(&name);
    return rc;
}

int aster_weightfile_write_h5(const struct aster_weightfile *f, const char *path,
                              enum aster_dtype reals)
{
    struct aster_h5 *h5 = NULL;
    int rc;
    ASTER_TRY(aster_h5_create(f->ctx, path, &h5));
    ASTER_GOTO(aster_h5_attr_set_str(h5, "/", "format", "asterism-weights 1"), done);
    ASTER_GOTO(aster_h5_attr_set_str(h5, "/", "source", aster_path_base(f->path)), done);
    for (int64_t k = 0; k < f->n; k++)
        ASTER_GOTO(write_dataset(f, &f->weight[k], type_of(&f->weight[k], reals), h5), done);
    rc = aster_h5_commit(&h5);
done:
    aster_h5_close(&h5);
    return rc;
}
