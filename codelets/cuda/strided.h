/* SPDX-License-Identifier: BSD-3-Clause */
/* Where an element of a dense tensor lies in smaller ones that repeat along some axes. */
#ifndef ASTER_CUDA_STRIDED_H
#define ASTER_CUDA_STRIDED_H

#include "cuda/kernel.h"

extern "C" {
#include "strides.h"
}

/* A walk (strides.h) by value; small: all its indices fit 32 bits, whose divisions are cheap. */
struct strided {
    struct walk w;
    bool is_small;
};
inline struct strided strided_new(const struct aster_tensor *y, const struct aster_tensor *a,
                                  const struct aster_tensor *b)
{
    return {walk_new(y, a, b), n_elements(y) <= INT32_MAX};
}

template <class I>
ASTER_DEV void strided_place_in(const struct walk &w, I k, int64_t *at)
{
    at[0] = at[1] = 0;
    ASTER_UNROLL
    for (int axis = ASTER_MAX_RANK - 1; axis >= 0; axis--) {
        if (w.dim[axis] == 1)
            continue;
        const I n = (I)w.dim[axis], j = k % n;
        k /= n;
        at[0] += (int64_t)j * w.stride[0][axis];
        at[1] += (int64_t)j * w.stride[1][axis];
    }
}
/* Element k of y is at[0] of the first operand and at[1] of the second. */
ASTER_DEV void strided_place(const struct strided &s, int64_t k, int64_t *at)
{
    if (s.is_small)
        strided_place_in<uint32_t>(s.w, (uint32_t)k, at);
    else
        strided_place_in<uint64_t>(s.w, (uint64_t)k, at);
}

#endif
