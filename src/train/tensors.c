/* SPDX-License-Identifier: BSD-3-Clause */
/* Flat vectors of a program to and from named tensors of an HDF5 file. */
#include "train/tensors.h"

#include <math.h>
#include <string.h>

static int n_of(const struct aster_program *p, bool buffers)
{
    return buffers ? aster_program_n_buffers(p) : aster_program_n_params(p);
}

static const struct aster_param_info *info_of(const struct aster_program *p, bool buffers, int k)
{
    return buffers ? aster_program_buffer(p, k) : aster_program_param(p, k);
}

static void name_of(char *out, size_t n, const char *group, const struct aster_param_info *info)
{
    snprintf(out, n, "%s/%s", group, info->name);
}

int tensors_write(struct aster_ctx *ctx, struct aster_h5 *f, const char *group,
                  const struct aster_program *p, bool buffers, const void *flat)
{
    enum aster_dtype t = buffers ? ASTER_F64 : aster_program_real(p);
    char name[256];
    for (int k = 0; k < n_of(p, buffers); k++) {
        const struct aster_param_info *info = info_of(p, buffers, k);
        int64_t dim[ASTER_MAX_RANK];
        void *theirs = NULL;
        ASTER_TRY(aster_alloc(ctx, info->n, (size_t)aster_dtype_size(t), &theirs));
        aster_param_to_reference(info, t, flat, theirs);
        aster_param_reference_shape(info, dim);
        name_of(name, sizeof name, group, info);
        int rc = aster_h5_write(f, name, t, info->rank, dim, theirs);
        aster_free(&theirs);
        ASTER_TRY(rc);
    }
    return 0;
}

int tensor_check_shape(struct aster_ctx *ctx, const char *path, const struct aster_param_info *info,
                       int rank, const int64_t *dim)
{
    int64_t want[ASTER_MAX_RANK];
    struct aster_str a = {0}, b = {0};
    aster_param_reference_shape(info, want);
    bool same = rank == info->rank;
    for (int k = 0; same && k < rank; k++)
        same = dim[k] == want[k];
    if (same)
        return 0;
    for (int k = 0; k < rank; k++)
        aster_str_printf(&a, "%s%lld", k ? ", " : "", (long long)dim[k]);
    for (int k = 0; k < info->rank; k++)
        aster_str_printf(&b, "%s%lld", k ? ", " : "", (long long)want[k]);
    int rc = aster_fail(ctx, ASTER_EFORMAT, "%s: '%s' has shape [%s], the model expects [%s]", path,
                        info->name, aster_str_get(&a), aster_str_get(&b));
    aster_str_free(&a);
    aster_str_free(&b);
    return rc;
}

/* A file of another model has tensors that ours does not know. */
static int check_names(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                       const char *group, const struct aster_program *p, bool buffers)
{
    char **names = NULL;
    int64_t n = 0;
    int rc = 0;
    if (!aster_h5_has(f, group))
        return n_of(p, buffers) == 0
                   ? 0
                   : aster_fail(ctx, ASTER_EFORMAT, "%s: has no group '%s'", path, group);
    ASTER_TRY(aster_h5_list(f, group, &names, &n));
    for (int64_t j = 0; rc == 0 && j < n; j++) {
        bool known = false;
        for (int k = 0; !known && k < n_of(p, buffers); k++)
            known = !strcmp(names[j], info_of(p, buffers, k)->name);
        if (!known)
            rc = aster_fail(ctx, ASTER_EFORMAT, "%s: '%s/%s' is no tensor of model %s", path, group,
                            names[j], aster_program_name(p));
    }
    aster_h5_names_free(&names, n);
    return rc;
}

int tensor_check_finite(struct aster_ctx *ctx, const char *path, const char *name,
                        enum aster_dtype t, int64_t n, const void *data)
{
    for (int64_t i = 0; i < n; i++) {
        double x = t == ASTER_F64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
        if (!isfinite(x))
            return aster_fail(ctx, ASTER_EFORMAT,
                              "%s: '%s': element %lld is %g; a finite number is expected", path,
                              name, (long long)i, x);
    }
    return 0;
}

int tensors_read(struct aster_ctx *ctx, struct aster_h5 *f, const char *path, const char *group,
                 const struct aster_program *p, bool buffers, void *flat)
{
    enum aster_dtype t = buffers ? ASTER_F64 : aster_program_real(p);
    char name[256];
    ASTER_TRY(check_names(ctx, f, path, group, p, buffers));
    for (int k = 0; k < n_of(p, buffers); k++) {
        const struct aster_param_info *info = info_of(p, buffers, k);
        struct aster_h5_shape shape;
        void *theirs = NULL;
        name_of(name, sizeof name, group, info);
        ASTER_TRY(aster_h5_shape(f, name, &shape));
        ASTER_TRY(tensor_check_shape(ctx, path, info, shape.rank, shape.dim));
        ASTER_TRY(aster_h5_read(f, name, t, info->n, &theirs));
        int rc = tensor_check_finite(ctx, path, name, t, info->n, theirs);
        if (rc == 0)
            aster_param_from_reference(info, t, theirs, flat);
        aster_free(&theirs);
        ASTER_TRY(rc);
    }
    return 0;
}
