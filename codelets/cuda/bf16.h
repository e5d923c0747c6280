/* SPDX-License-Identifier: BSD-3-Clause */
/* bf16 by its bits, its conversions, and operands of products rounded to fewer bits. */
#ifndef ASTER_CUDA_BF16_H
#define ASTER_CUDA_BF16_H

#include "cuda/kernel.h"

struct bf16 {
    uint16_t u;
};
ASTER_DEV float float_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
ASTER_DEV uint32_t bits_of_float(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}
/* Nearest even; a NaN stays one. */
ASTER_DEV void convert(float f, bf16 *y)
{
    uint32_t u = bits_of_float(f), rounded = u + 0x7fffU + ((u >> 16) & 1);
    y->u = (uint16_t)((f == f ? rounded : u | 0x400000U) >> 16);
}
/* Through f32, but not rounded twice: what f32 cannot hold is cut off there and leaves its last bit
 * set. */
ASTER_DEV void convert(double x, bf16 *y)
{
    float f = (float)x;
    uint32_t u = bits_of_float(f);
    u -= fabs((double)f) > fabs(x);
    u |= f == f && (double)f != x;
    convert(float_of_bits(u), y);
}
ASTER_DEV void convert(bf16 x, float *y)
{
    *y = float_of_bits((uint32_t)x.u << 16);
}
ASTER_DEV void convert(bf16 x, double *y)
{
    *y = float_of_bits((uint32_t)x.u << 16);
}
/* x as an operand of products (enum aster_products): nearest, ties to even; what is not finite
 * stays. */
ASTER_DEV float operand(float x, int products)
{
    const uint32_t dropped = products == ASTER_PRODUCTS_TF32 ? 13 : 16, below = (1U << dropped) - 1,
                   u = bits_of_float(x);
    if (products == ASTER_PRODUCTS_FULL || (u & 0x7f800000U) == 0x7f800000U)
        return x;
    return float_of_bits((u + (below >> 1) + (u >> dropped & 1)) & ~below);
}
ASTER_DEV double operand(double x, int)
{
    return x;
}

#endif
