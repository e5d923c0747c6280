/* SPDX-License-Identifier: BSD-3-Clause */
/* Parameters: initial values, and to and from the reference's layout. */
#include "program/internal.h"

#include <string.h>

void aster_param_reference_shape(const struct aster_param_info *info, int64_t dim[ASTER_MAX_RANK])
{
    for (int k = 0; k < ASTER_MAX_RANK; k++)
        dim[k] = k < info->rank ? info->dim[k] : 0;
    if (info->layout == ASTER_LAYOUT_CONV) {
        dim[0] = info->dim[2];
        dim[2] = info->dim[0];
    } else if (info->layout == ASTER_LAYOUT_LINEAR) {
        dim[0] = info->dim[1];
        dim[1] = info->dim[0];
    }
}

/* Where element i of ours is in theirs. */
static int64_t their_index(const struct aster_param_info *info, int64_t i)
{
    switch (info->layout) {
    case ASTER_LAYOUT_CONV: { /* [k, in, out] -> [out, in, k] */
        int64_t n_in = info->dim[1], n_out = info->dim[2], o = i % n_out, c = i / n_out % n_in, k = i / n_out / n_in;
        return (o * n_in + c) * info->dim[0] + k;
    }
    case ASTER_LAYOUT_LINEAR: {
        int64_t n_out = info->dim[1];
        return i % n_out * info->dim[0] + i / n_out;
    }
    default:
        return i;
    }
}

/* Where the parameter begins in the flat vector */
static char *start_of(const struct aster_param_info *info, enum aster_dtype t, const void *flat)
{
    return (char *)flat + info->offset * (t == ASTER_F64 ? 8 : 4);
}

void aster_param_to_reference(const struct aster_param_info *info, enum aster_dtype t, const void *flat, void *theirs)
{
    const char *ours = start_of(info, t, flat);
    for (int64_t i = 0; i < info->n; i++)
        if (t == ASTER_F64)
            ((double *)theirs)[their_index(info, i)] = ((const double *)ours)[i];
        else if (t == ASTER_BF16)
            ((uint16_t *)theirs)[their_index(info, i)] = ((const uint16_t *)ours)[i];
        else
            ((float *)theirs)[their_index(info, i)] = ((const float *)ours)[i];
}

void aster_param_from_reference(const struct aster_param_info *info, enum aster_dtype t, const void *theirs, void *flat)
{
    char *ours = start_of(info, t, flat);
    for (int64_t i = 0; i < info->n; i++)
        if (t == ASTER_F64)
            ((double *)ours)[i] = ((const double *)theirs)[their_index(info, i)];
        else if (t == ASTER_BF16)
            ((uint16_t *)ours)[i] = ((const uint16_t *)theirs)[their_index(info, i)];
        else
            ((float *)ours)[i] = ((const float *)theirs)[their_index(info, i)];
}

void aster_program_init_params(const struct aster_program *p, uint64_t seed, void *flat)
{
    memset(flat, 0, (size_t)(aster_program_class_n(p, ASTER_CLASS_PARAM) * aster_dtype_size(p->real)));
    for (int64_t k = 0; k < p->n_param; k++) {
        const struct aster_param_info *info = &p->param[k];
        uint64_t stream = aster_fnv1a64(info->name, strlen(info->name));
        for (int64_t i = 0; i < info->n; i++) {
            double x = info->init.constant;
            if (info->init.uniform != 0)
                x += info->init.uniform * (2 * aster_uniform(seed, stream, (uint64_t)i) - 1);
            if (info->dtype == ASTER_BF16)
                ((uint16_t *)start_of(info, ASTER_BF16, flat))[i] = aster_f32_to_bf16((float)x);
            else if (p->real == ASTER_F64)
                ((double *)flat)[info->offset + i] = (double)(float)x; /* the same start in both precisions */
            else
                ((float *)flat)[info->offset + i] = (float)x;
        }
    }
}

void aster_program_init_buffers(const struct aster_program *p, double *flat)
{
    memset(flat, 0, (size_t)aster_program_class_n(p, ASTER_CLASS_BUFFER) * sizeof *flat);
    for (int64_t k = 0; k < p->n_buffer; k++)
        for (int64_t i = 0; i < p->buffer[k].n; i++)
            flat[p->buffer[k].offset + i] = p->buffer[k].init.constant;
}
