/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking dense tensors against smaller ones: axes of size 1 dropped, neighbours merged, the last
 * two left to the caller. */
#ifndef ASTER_STRIDES_H
#define ASTER_STRIDES_H

#include "backend.h"

/* The index space of a dense tensor y and where up to two operands lie in it. Right-aligned: the
 * unused leading axes have size 1, so that a caller loops over axes 0..2 and hands the last two to
 * a row kernel. Strides are in elements; 0 repeats. On the last axis a stride is 1 or 0. */
struct walk {
    int64_t dim[ASTER_MAX_RANK];
    int64_t stride[2][ASTER_MAX_RANK];
};

static inline int64_t walk_dense_stride(const struct aster_tensor *t, int axis)
{
    int64_t s = 1;
    for (int k = axis + 1; k < t->rank; k++)
        s *= t->dim[k];
    return t->dim[axis] == 1 ? 0 : s;
}

/* A tensor seen from one axis: outer blocks, each of dim[axis] pieces of inner elements. */
static inline int64_t walk_outer(const struct aster_tensor *t, int64_t axis)
{
    int64_t n = 1;
    for (int k = 0; k < axis; k++)
        n *= t->dim[k];
    return n;
}

static inline int64_t walk_inner(const struct aster_tensor *t, int64_t axis)
{
    int64_t n = 1;
    for (int k = (int)axis + 1; k < t->rank; k++)
        n *= t->dim[k];
    return n;
}

static inline int64_t walk_inner_bytes(const struct aster_tensor *t, int64_t axis)
{
    return walk_inner(t, axis) * aster_dtype_size(t->dtype);
}

/* x[j] has y's rank and each size equal to y's or 1; x[1] may be NULL. */
static inline struct walk walk_new(const struct aster_tensor *y, const struct aster_tensor *x0,
                                   const struct aster_tensor *x1)
{
    const struct aster_tensor *x[2] = {x0, x1 ? x1 : x0};
    struct walk w = {.dim = {1, 1, 1, 1, 1}, .stride = {{0}, {0}}};
    int at = ASTER_MAX_RANK; /* axes from at on are in use */
    for (int k = y->rank - 1; k >= 0; k--) {
        if (y->dim[k] == 1)
            continue;
        int64_t s[2] = {walk_dense_stride(x[0], k), walk_dense_stride(x[1], k)};
        bool merge = at < ASTER_MAX_RANK;
        for (int j = 0; j < 2 && merge; j++)
            merge = s[j] == w.stride[j][at] * w.dim[at];
        if (merge) {
            w.dim[at] *= y->dim[k];
            continue;
        }
        at--;
        w.dim[at] = y->dim[k];
        w.stride[0][at] = s[0];
        w.stride[1][at] = s[1];
    }
    if (at == ASTER_MAX_RANK)
        w.stride[0][at - 1] = w.stride[1][at - 1] = 1;
    return w;
}

/* For every index of axes 0..2: offsets oa, ob of the two operands. */
#define WALK_OUTER(w, oa, ob)                                                                      \
    for (int64_t i0_ = 0; i0_ < (w)->dim[0]; i0_++)                                                \
        for (int64_t i1_ = 0; i1_ < (w)->dim[1]; i1_++)                                            \
            for (int64_t i2_ = 0, oa = i0_ * (w)->stride[0][0] + i1_ * (w)->stride[0][1],          \
                         ob = i0_ * (w)->stride[1][0] + i1_ * (w)->stride[1][1];                   \
                 i2_ < (w)->dim[2]; i2_++, oa += (w)->stride[0][2], ob += (w)->stride[1][2])

#endif
