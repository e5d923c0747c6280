/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that do not depend on the real type, for sources that are written once for f32 and f64:
 * they include cpu/real_f32.h, their <family>_real.h, cpu/real_f64.h, and <family>_real.h again. */
#ifndef ASTER_REAL_H
#define ASTER_REAL_H

#include "cpu/kernel.h"

#if defined __FMA__ || defined __AVX512F__
#include <immintrin.h>
#endif

typedef int32_t aster_vi32 __attribute__((vector_size(ASTER_VB), may_alias));
typedef int64_t aster_vi64 __attribute__((vector_size(ASTER_VB), may_alias));

/* aster_<name>_<f32|f64>_<isa> */
#define ASTER_RNAME_(name, type, isa) aster_##name##_##type##_##isa
#define ASTER_RNAME(name, type, isa)  ASTER_RNAME_(name, type, isa)
#define ASTER_R(name)                 ASTER_RNAME(name, REAL_TYPE, ASTER_ISA)

#define ASTER_INLINE static inline __attribute__((always_inline, unused))

/* a b + c, in one rounding where the instruction set has it. Contraction by the compiler is off, so
 * that every tile of every shape rounds alike. */
#if defined __AVX512F__ && ASTER_VB == 64
ASTER_INLINE aster_vf32 aster_fma_f32(aster_vf32 a, aster_vf32 b, aster_vf32 c)
{
    return (aster_vf32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
ASTER_INLINE aster_vf64 aster_fma_f64(aster_vf64 a, aster_vf64 b, aster_vf64 c)
{
    return (aster_vf64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined __FMA__ && ASTER_VB == 32
ASTER_INLINE aster_vf32 aster_fma_f32(aster_vf32 a, aster_vf32 b, aster_vf32 c)
{
    return (aster_vf32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
ASTER_INLINE aster_vf64 aster_fma_f64(aster_vf64 a, aster_vf64 b, aster_vf64 c)
{
    return (aster_vf64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined __FMA__
ASTER_INLINE aster_vf32 aster_fma_f32(aster_vf32 a, aster_vf32 b, aster_vf32 c)
{
    for (int l = 0; l < (int)(sizeof a / sizeof a[0]); l++)
        c[l] = __builtin_fmaf(a[l], b[l], c[l]);
    return c;
}
ASTER_INLINE aster_vf64 aster_fma_f64(aster_vf64 a, aster_vf64 b, aster_vf64 c)
{
    for (int l = 0; l < (int)(sizeof a / sizeof a[0]); l++)
        c[l] = __builtin_fma(a[l], b[l], c[l]);
    return c;
}
#else
ASTER_INLINE aster_vf32 aster_fma_f32(aster_vf32 a, aster_vf32 b, aster_vf32 c)
{
    return a * b + c;
}
ASTER_INLINE aster_vf64 aster_fma_f64(aster_vf64 a, aster_vf64 b, aster_vf64 c)
{
    return a * b + c;
}
#endif

#endif
