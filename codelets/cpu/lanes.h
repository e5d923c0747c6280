/* SPDX-License-Identifier: BSD-3-Clause */
/* For texts written once and included for f32 and f64, with REAL (float, double) and VSUF (f32,
 * f64) defined: names, vectors, and rows whose last elements are fewer than a vector. */
#ifndef ASTER_LANES_H
#define ASTER_LANES_H

#include "cpu/vmath.h"

#define RN(name) ASTER_CAT(name, ASTER_CAT(_, VSUF))
#define VEC      ASTER_CAT(aster_v, VSUF)
#define LANES    ((int64_t)(ASTER_VB / sizeof(REAL)))

/* load, store: a whole vector, or its first n elements where fewer are left (the others read as 0).
 * The arithmetic between them is the same, so an element's bits do not depend on its place in a
 * row. */
#define ASTER_LANES(T, suffix)                                                                     \
    ASTER_VFN aster_v##suffix load_##suffix(int64_t n, const T *p)                                 \
    {                                                                                              \
        return n >= (int64_t)(ASTER_VB / sizeof(T)) ? aster_vload_##suffix(p)                      \
                                                    : aster_vloadn_##suffix(p, n);                 \
    }                                                                                              \
    ASTER_VFN void store_##suffix(int64_t n, T *p, aster_v##suffix v)                              \
    {                                                                                              \
        if (n >= (int64_t)(ASTER_VB / sizeof(T)))                                                  \
            aster_vstore_##suffix(p, v);                                                           \
        else                                                                                       \
            aster_vstoren_##suffix(p, n, v);                                                       \
    }
ASTER_LANES(float, f32)
ASTER_LANES(double, f64)
#undef ASTER_LANES

ASTER_VFN aster_vf32 vsqrt_f32(aster_vf32 x)
{
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf32)_mm512_sqrt_ps((__m512)x);
#elif ASTER_VB == 32 && defined __AVX__
    return (aster_vf32)_mm256_sqrt_ps((__m256)x);
#elif ASTER_VB == 16 && defined __SSE2__
    return (aster_vf32)_mm_sqrt_ps((__m128)x);
#else
    for (int k = 0; k < ASTER_VB / 4; k++)
        x[k] = sqrtf(x[k]);
    return x;
#endif
}
ASTER_VFN aster_vf64 vsqrt_f64(aster_vf64 x)
{
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf64)_mm512_sqrt_pd((__m512d)x);
#elif ASTER_VB == 32 && defined __AVX__
    return (aster_vf64)_mm256_sqrt_pd((__m256d)x);
#elif ASTER_VB == 16 && defined __SSE2__
    return (aster_vf64)_mm_sqrt_pd((__m128d)x);
#else
    for (int k = 0; k < ASTER_VB / 8; k++)
        x[k] = sqrt(x[k]);
    return x;
#endif
}

/* As many reals as there are doubles in a vector, as doubles. */
typedef float aster_half_f32 __attribute__((vector_size(ASTER_VB / 2), aligned(4), may_alias));
ASTER_VFN aster_vf64 load_wide_f32(const float *p)
{
    return __builtin_convertvector(*(const aster_half_f32 *)p, aster_vf64);
}
ASTER_VFN aster_vf64 load_wide_f64(const double *p)
{
    return aster_vload_f64(p);
}

#endif
