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

typedef uint16_t word16 __attribute__((may_alias));
typedef uint32_t word32 __attribute__((may_alias));
typedef uint64_t word64 __attribute__((may_alias));

/* b [columns, rows] = a [rows, columns], in squares that stay in the first-level cache on both
 * sides */
#define TRANSPOSE(T)                                                                               \
    static void transpose_##T(int64_t rows, int64_t columns, const T *a, T *b)                     \
    {                                                                                              \
        for (int64_t r0 = 0; r0 < rows; r0 += SQUARE)                                              \
            for (int64_t c0 = 0; c0 < columns; c0 += SQUARE)                                       \
                for (int64_t r = r0; r < aster_min64(r0 + SQUARE, rows); r++)                      \
                    for (int64_t c = c0; c < aster_min64(c0 + SQUARE, columns); c++)               \
                        b[c * rows + r] = a[r * columns + c];                                      \
    }
enum { SQUARE = 32 };
TRANSPOSE(word16)
TRANSPOSE(word32)
TRANSPOSE(word64)

static void transpose(enum aster_dtype t, int64_t rows, int64_t columns, const void *a, void *b)
{
    if (t == ASTER_F64)
        transpose_word64(rows, columns, a, b);
    else if (t == ASTER_BF16)
        transpose_word16(rows, columns, a, b);
    else
        transpose_word32(rows, columns, a, b);
}

/* Where the parameter begins in the flat vector */
static char *start_of(const struct aster_param_info *info, enum aster_dtype t, const void *flat)
{
    return (char *)flat + info->offset * (t == ASTER_F64 ? 8 : 4);
}

/* Conversion of layouts is its own inverse with the axes' sizes exchanged: ours [k, in, out] or
 * [in, out], theirs [out, in, k] or [out, in]. The outer axes of a convolution change places around
 * each channel. */
static void convert(const struct aster_param_info *info, enum aster_dtype t, bool to_theirs,
                    const void *from, void *to)
{
    size_t size = (size_t)aster_dtype_size(t);
    int64_t first = to_theirs ? info->dim[0] : info->dim[info->rank - 1],
            last = to_theirs ? info->dim[info->rank - 1] : info->dim[0];
    if (info->layout == ASTER_LAYOUT_LINEAR) {
        transpose(t, first, last, from, to);
        return;
    }
    if (info->layout == ASTER_LAYOUT_SAME) {
        memcpy(to, from, (size_t)info->n * size);
        return;
    }
    for (int64_t i = 0; i < info->n; i++) {
        int64_t c = i / last % info->dim[1],
                at = (i % last * info->dim[1] + c) * first + i / last / info->dim[1];
        memcpy((char *)to + (size_t)at * size, (const char *)from + (size_t)i * size, size);
    }
}

void aster_param_to_reference(const struct aster_param_info *info, enum aster_dtype t,
                              const void *flat, void *theirs)
{
    convert(info, t, true, start_of(info, t, flat), theirs);
}

void aster_param_from_reference(const struct aster_param_info *info, enum aster_dtype t,
                                const void *theirs, void *flat)
{
    convert(info, t, false, theirs, start_of(info, t, flat));
}

void aster_program_init_params(const struct aster_program *p, uint64_t seed, void *flat)
{
    memset(flat, 0,
           (size_t)(aster_program_class_n(p, ASTER_CLASS_PARAM) * aster_dtype_size(p->real)));
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
                ((double *)flat)[info->offset + i] =
                    (double)(float)x; /* the same start in both precisions */
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
