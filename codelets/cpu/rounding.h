/* SPDX-License-Identifier: BSD-3-Clause */
/* Rounding of operands to fewer bits (struct aster_args.products). */
#ifndef ASTER_ROUNDING_H
#define ASTER_ROUNDING_H

#include "cpu/real.h"

/* y = x rounded, n of them; y may be x. To the nearest, ties to even: half a unit of what is kept,
 * less one where the last bit kept is even, is added, and what is dropped is cleared. An infinity
 * or NaN stays as it is. */
static __attribute__((unused)) void aster_round_f32(enum aster_products products, int64_t n,
                                                    const float *x, float *y)
{
    typedef uint32_t vector __attribute__((vector_size(ASTER_VB), may_alias));
    typedef uint32_t vector_u __attribute__((vector_size(ASTER_VB), aligned(4), may_alias));
    enum { LENGTH = ASTER_VB / 4 };
    const uint32_t dropped = products == ASTER_PRODUCTS_TF32 ? 13 : 16, below = (1U << dropped) - 1,
                   half = below >> 1;
    const uint32_t exponent = 0x7f800000;
    int64_t k = 0;
    for (; k + LENGTH <= n; k += LENGTH) {
        const vector u = *(const vector_u *)(x + k);
        const vector rounded = (u + half + (u >> dropped & 1)) & ~below,
                     special = (vector)((u & exponent) == exponent);
        *(vector_u *)(y + k) = (u & special) | (rounded & ~special);
    }
    for (; k < n; k++) {
        uint32_t u;
        memcpy(&u, x + k, sizeof u);
        if ((u & exponent) != exponent)
            u = (u + half + (u >> dropped & 1)) & ~below;
        memcpy(y + k, &u, sizeof u);
    }
}
/* f64 has one precision. */
static __attribute__((unused)) void aster_round_f64(enum aster_products products, int64_t n,
                                                    const double *x, double *y)
{
    if (n > 0 && x != y)
        memcpy(y, x, (size_t)n * sizeof *y);
}

#endif
