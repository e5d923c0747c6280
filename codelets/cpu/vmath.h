/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector arithmetic in registers: fma, min, max, select, and exp, tanh, sigmoid, log, erf and the
 * normal distribution of whole vectors.
 *
 * Names end in _f32 or _f64; a text compiled for both types picks one with ASTER_V(name), which
 * needs VSUF defined as f32 or f64. f32: inlined polynomials, worst error over all finite
 * arguments 1.5 ulp for exp (5 where it is known to be below 1), 1 log, 3 tanh, 3 erf, 3 sigmoid
 * (5.5 below -30), and for the normal distribution 3 ulp of 1 (tests/unit-vmath holds them to
 * that). NaN gives NaN; infinities and large arguments give the limits (0, 1, -1, inf). Results
 * below the smallest normal number may come out as zero. f64: libm, element by element. The
 * polynomials are minimax fits made for this file. Without FMA (base) the last bits differ. */
#ifndef ASTER_VMATH_H
#define ASTER_VMATH_H

#include "cpu/kernel.h"

#if defined __SSE2__
#include <immintrin.h>
#endif

#define ASTER_V(name) ASTER_CAT(ASTER_CAT(aster_v, name), ASTER_CAT(_, VSUF))
#define ASTER_VFN     static inline __attribute__((always_inline, unused))

typedef int32_t aster_vi32 __attribute__((vector_size(ASTER_VB), may_alias));
typedef int64_t aster_vi64 __attribute__((vector_size(ASTER_VB), may_alias));
typedef uint32_t aster_vu32 __attribute__((vector_size(ASTER_VB), may_alias));

#if defined __FMA__
#define ASTER_VFMA 1
#else
#define ASTER_VFMA 0
#endif

/* ---- one rounding where the instruction set has it ---- */
ASTER_VFN aster_vf32 aster_vfma_f32(aster_vf32 a, aster_vf32 b, aster_vf32 c)
{
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif ASTER_VB == 32 && defined __FMA__
    return (aster_vf32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined __FMA__
    for (int k = 0; k < ASTER_VB / 4; k++)
        c[k] = __builtin_fmaf(a[k], b[k], c[k]);
    return c;
#else
    return a * b + c;
#endif
}
ASTER_VFN aster_vf64 aster_vfma_f64(aster_vf64 a, aster_vf64 b, aster_vf64 c)
{
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif ASTER_VB == 32 && defined __FMA__
    return (aster_vf64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined __FMA__
    for (int k = 0; k < ASTER_VB / 8; k++)
        c[k] = __builtin_fma(a[k], b[k], c[k]);
    return c;
#else
    return a * b + c;
#endif
}
/* The same for one number, for the ends of rows: gives the bits of the vector form. */
ASTER_VFN float aster_sfma_f32(float a, float b, float c)
{
#if defined __FMA__
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}
ASTER_VFN double aster_sfma_f64(double a, double b, double c)
{
#if defined __FMA__
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}

/* ---- select: m is all ones or all zeros in each element, as comparisons give it ---- */
ASTER_VFN aster_vf32 aster_vsel_f32(aster_vi32 m, aster_vf32 a, aster_vf32 b)
{
    return (aster_vf32)((m & (aster_vi32)a) | (~m & (aster_vi32)b));
}
ASTER_VFN aster_vf64 aster_vsel_f64(aster_vi64 m, aster_vf64 a, aster_vf64 b)
{
    return (aster_vf64)((m & (aster_vi64)a) | (~m & (aster_vi64)b));
}

/* ---- min and max: the second argument where either is NaN ---- */
ASTER_VFN aster_vf32 aster_vmin_f32(aster_vf32 a, aster_vf32 b)
{
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf32)_mm512_min_ps((__m512)a, (__m512)b);
#elif ASTER_VB == 32 && defined __AVX__
    return (aster_vf32)_mm256_min_ps((__m256)a, (__m256)b);
#elif ASTER_VB == 16 && defined __SSE2__
    return (aster_vf32)_mm_min_ps((__m128)a, (__m128)b);
#else
    return aster_vsel_f32(a < b, a, b);
#endif
}
ASTER_VFN aster_vf32 aster_vmax_f32(aster_vf32 a, aster_vf32 b)
{
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf32)_mm512_max_ps((__m512)a, (__m512)b);
#elif ASTER_VB == 32 && defined __AVX__
    return (aster_vf32)_mm256_max_ps((__m256)a, (__m256)b);
#elif ASTER_VB == 16 && defined __SSE2__
    return (aster_vf32)_mm_max_ps((__m128)a, (__m128)b);
#else
    return aster_vsel_f32(a > b, a, b);
#endif
}
ASTER_VFN aster_vf64 aster_vmin_f64(aster_vf64 a, aster_vf64 b)
{
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf64)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif ASTER_VB == 32 && defined __AVX__
    return (aster_vf64)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif ASTER_VB == 16 && defined __SSE2__
    return (aster_vf64)_mm_min_pd((__m128d)a, (__m128d)b);
#else
    return aster_vsel_f64(a < b, a, b);
#endif
}
ASTER_VFN aster_vf64 aster_vmax_f64(aster_vf64 a, aster_vf64 b)
{
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf64)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif ASTER_VB == 32 && defined __AVX__
    return (aster_vf64)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif ASTER_VB == 16 && defined __SSE2__
    return (aster_vf64)_mm_max_pd((__m128d)a, (__m128d)b);
#else
    return aster_vsel_f64(a > b, a, b);
#endif
}

/* ---- unaligned rows and their ends: n elements (less than a vector), the rest of the register is
 * zero ---- */
ASTER_VFN aster_vf32 aster_vload_f32(const float *p)
{
    return *(const aster_vf32u *)p;
}
ASTER_VFN aster_vf64 aster_vload_f64(const double *p)
{
    return *(const aster_vf64u *)p;
}
ASTER_VFN void aster_vstore_f32(float *p, aster_vf32 v)
{
    *(aster_vf32u *)p = v;
}
ASTER_VFN void aster_vstore_f64(double *p, aster_vf64 v)
{
    *(aster_vf64u *)p = v;
}
ASTER_VFN aster_vf32 aster_vloadn_f32(const float *p, int64_t n)
{
    union {
        aster_vf32 v;
        float f[ASTER_VB / 4];
    } u = {.v = {0}};
    for (int64_t k = 0; k < n; k++)
        u.f[k] = p[k];
    return u.v;
}
ASTER_VFN aster_vf64 aster_vloadn_f64(const double *p, int64_t n)
{
    union {
        aster_vf64 v;
        double f[ASTER_VB / 8];
    } u = {.v = {0}};
    for (int64_t k = 0; k < n; k++)
        u.f[k] = p[k];
    return u.v;
}
ASTER_VFN void aster_vstoren_f32(float *p, int64_t n, aster_vf32 v)
{
    union {
        aster_vf32 v;
        float f[ASTER_VB / 4];
    } u = {.v = v};
    for (int64_t k = 0; k < n; k++)
        p[k] = u.f[k];
}
ASTER_VFN void aster_vstoren_f64(double *p, int64_t n, aster_vf64 v)
{
    union {
        aster_vf64 v;
        double f[ASTER_VB / 8];
    } u = {.v = v};
    for (int64_t k = 0; k < n; k++)
        p[k] = u.f[k];
}
/* Every element the same. a - 0 is a for every a; 0 + a would lose the sign of -0. */
ASTER_VFN aster_vf32 aster_vset_f32(float a)
{
    return a - (aster_vf32){0};
}
ASTER_VFN aster_vf64 aster_vset_f64(double a)
{
    return a - (aster_vf64){0};
}

/* ---- f32: m vectors at a time (m a constant): their chains of operations interleave, which hides
 * latencies ---- */
#define ASTER_VEACH(m) _Pragma("GCC unroll 8") for (int k = 0; k < (m); k++)

/* x = n ln 2 + r, |r| <= 0.3466; p = e^r - 1. t is n in the low bits of 1.5 2^23 + bias. */
ASTER_VFN void aster_vexp_core_f32(const int m, const bool whole_range, float bias,
                                   const aster_vf32 *x, aster_vf32 *p, aster_vf32 *t, aster_vf32 *n)
{
    const float magic = 12582912.0f + bias;
    aster_vf32 r[8], r2[8], low[8], q[8];
    ASTER_VEACH(m) t[k] = aster_vfma_f32(x[k], aster_vset_f32(1.44269502f), aster_vset_f32(magic));
    ASTER_VEACH(m) n[k] = t[k] - magic;
    if (ASTER_VFMA &&
        !whole_range) { /* the float nearest ln 2 is within 2e-9 of it: enough while n is small */
        ASTER_VEACH(m) r[k] = aster_vfma_f32(n[k], aster_vset_f32(-0.693147182f), x[k]);
    } else {
        ASTER_VEACH(m)
        r[k] = aster_vfma_f32(n[k], aster_vset_f32(-0.693359375f),
                              x[k]); /* 10 bits: n times it is exact */
        ASTER_VEACH(m) r[k] = aster_vfma_f32(n[k], aster_vset_f32(2.12194440e-4f), r[k]);
    }
    ASTER_VEACH(m) r2[k] = r[k] * r[k]; /* pairs, for a shorter chain than Horner's */
    ASTER_VEACH(m)
    low[k] = aster_vfma_f32(r[k], aster_vset_f32(1.666654199e-1f), aster_vset_f32(4.999999702e-1f));
    ASTER_VEACH(m)
    q[k] = aster_vfma_f32(r[k], aster_vset_f32(8.366647176e-3f), aster_vset_f32(4.166720435e-2f));
    ASTER_VEACH(m) q[k] = aster_vfma_f32(r2[k], aster_vset_f32(1.388249919e-3f), q[k]);
    ASTER_VEACH(m) q[k] = aster_vfma_f32(r2[k], q[k], low[k]);
    ASTER_VEACH(m) p[k] = aster_vfma_f32(q[k], r2[k], r[k]);
}

/* The same with s = 2^n for n in [-127, 128]; 2^128 is infinity, 2^-127 zero. */
ASTER_VFN void aster_vexp_parts_f32(const int m, const aster_vf32 *x, aster_vf32 *p, aster_vf32 *s)
{
    aster_vf32 t[8], n[8];
    aster_vexp_core_f32(m, false, 127.0f, x, p, t, n);
    ASTER_VEACH(m) s[k] = (aster_vf32)((aster_vi32)t[k] << 23);
}

ASTER_VFN aster_vf32 aster_vexp_f32(aster_vf32 x)
{
    aster_vf32 p, t, n;
    x = aster_vmin_f32(aster_vset_f32(89.0f),
                       x); /* e^89 overflows, e^-104 is below half the smallest number */
    x = aster_vmax_f32(aster_vset_f32(-104.0f), x);
    aster_vexp_core_f32(1, true, 0.0f, &x, &p, &t, &n);
    p = p + 1.0f;
#if ASTER_VB == 64 && defined __AVX512F__
    return (aster_vf32)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    /* 2^n in two factors: n from -150 to 128 reaches beyond the exponents a single one has */
    aster_vi32 i = (aster_vi32)t - 0x4b400000, i1 = i >> 1;
    aster_vf32 s1 = (aster_vf32)((i1 + 127) << 23), s2 = (aster_vf32)((i - i1 + 127) << 23);
    return p * s1 * s2;
#endif
}

/* e^x for x <= 0; what rounding left above 0 is taken for 0. One factor 2^n is enough, and what is
 * below the smallest normal number is zero. */
ASTER_VFN aster_vf32 aster_vexp_below_f32(aster_vf32 x)
{
    aster_vf32 p, s;
    x = aster_vmax_f32(aster_vset_f32(-88.0f), x); /* 2^-127: the bits of zero */
    x = aster_vmin_f32(aster_vset_f32(0.0f), x);
    aster_vexp_parts_f32(1, &x, &p, &s);
    return aster_vfma_f32(p, s, s);
}

/* e^x - 1 = 2^n p + (2^n - 1) keeps its relative accuracy near 0, and tanh x = (e^2x - 1) / (e^2x +
 * 1) with it. Beyond 9.05 the quotient rounds to 1. */
ASTER_VFN void aster_vtanhs_f32(const int m, aster_vf32 *x)
{
    aster_vf32 y[8], p[8], s[8];
    ASTER_VEACH(m) y[k] = aster_vmin_f32(aster_vset_f32(18.1f), x[k] + x[k]);
    ASTER_VEACH(m) y[k] = aster_vmax_f32(aster_vset_f32(-18.1f), y[k]);
    aster_vexp_parts_f32(m, y, p, s);
    ASTER_VEACH(m) y[k] = aster_vfma_f32(p[k], s[k], s[k] - 1.0f);
    ASTER_VEACH(m) x[k] = y[k] / (y[k] + 2.0f);
}

ASTER_VFN void aster_vsigmoids_f32(const int m, aster_vf32 *x)
{
    aster_vf32 y[8], p[8], s[8];
    ASTER_VEACH(m) y[k] = aster_vmin_f32(aster_vset_f32(89.0f), -x[k]);
    ASTER_VEACH(m) y[k] = aster_vmax_f32(aster_vset_f32(-87.0f), y[k]);
    aster_vexp_parts_f32(m, y, p, s);
    ASTER_VEACH(m) y[k] = aster_vfma_f32(p[k] + 1.0f, s[k], aster_vset_f32(1.0f));
    ASTER_VEACH(m) x[k] = 1.0f / y[k];
}

/* The gates of an LSTM, i f g o: tanh of the third, sigmoid of the others, all four chains
 * interleaved */
ASTER_VFN void aster_vgates_f32(aster_vf32 *x)
{
    static const float factor[4] = {-1, -1, 2, -1}, most[4] = {89, 89, 18.1f, 89},
                       least[4] = {-87, -87, -18.1f, -87};
    aster_vf32 y[4], p[4], s[4], over[4];
    ASTER_VEACH(4) y[k] = aster_vmin_f32(aster_vset_f32(most[k]), factor[k] * x[k]);
    ASTER_VEACH(4) y[k] = aster_vmax_f32(aster_vset_f32(least[k]), y[k]);
    aster_vexp_parts_f32(4, y, p, s);
    over[0] = over[1] = over[3] = aster_vset_f32(1.0f);
    over[2] = aster_vfma_f32(p[2], s[2], s[2] - 1.0f);
    ASTER_VEACH(4) y[k] = aster_vfma_f32(p[k] + 1.0f, s[k], aster_vset_f32(1.0f));
    ASTER_VEACH(4) x[k] = over[k] / y[k];
}

ASTER_VFN aster_vf32 aster_vtanh_f32(aster_vf32 x)
{
    aster_vtanhs_f32(1, &x);
    return x;
}
ASTER_VFN aster_vf32 aster_vsigmoid_f32(aster_vf32 x)
{
    aster_vsigmoids_f32(1, &x);
    return x;
}

/* x = 2^k m, m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f): ln m = ln((1+s)/(1-s)), odd
 * series in s; 2 s = f - s f turns it into f - (f^2/2 - s (f^2/2 + R)), where f is exact. */
ASTER_VFN aster_vf32 aster_vlog_f32(aster_vf32 x)
{
    const float tiny = 1.17549435e-38f, huge = 3.40282347e38f;
    aster_vi32 small = x < aster_vset_f32(tiny);
    aster_vf32 y = aster_vsel_f32(small, x * 8388608.0f, x);
    aster_vu32 bits =
        (aster_vu32)y; /* unsigned: the difference wraps around for NaN and negative numbers */
    aster_vi32 k = (aster_vi32)(bits - 0x3f3504f3U) >> 23;
    aster_vf32 f = (aster_vf32)(bits - ((aster_vu32)k << 23)) - 1.0f;
    k -= small & 23;
    aster_vf32 n = __builtin_convertvector(k, aster_vf32);
    aster_vf32 s = f / (2.0f + f), z = s * s;
    aster_vf32 r = aster_vfma_f32(aster_vset_f32(2.0f / 9.0f), z, aster_vset_f32(2.0f / 7.0f));
    r = aster_vfma_f32(r, z, aster_vset_f32(2.0f / 5.0f));
    r = aster_vfma_f32(r, z, aster_vset_f32(2.0f / 3.0f)) * z;
    aster_vf32 h = 0.5f * f * f;
    aster_vf32 low = aster_vfma_f32(s, h + r, n * -2.12194440e-4f);
    aster_vf32 v = aster_vfma_f32(n, aster_vset_f32(0.693359375f), f - (h - low));
    v = aster_vsel_f32(x <= aster_vset_f32(huge), v,
                       x); /* infinity and NaN are their own logarithms */
    v = aster_vsel_f32(x == aster_vset_f32(0.0f), aster_vset_f32(-__builtin_inff()), v);
    return aster_vsel_f32(x < aster_vset_f32(0.0f), aster_vset_f32(__builtin_nanf("")), v);
}

/* |x| < 0.85: x + x P(x^2). Beyond: 1 - exp(-Q(|x|)), Q fitted to -ln erfc; from 4 on it rounds
 * to 1. */
ASTER_VFN aster_vf32 aster_verf_f32(aster_vf32 x)
{
    aster_vi32 sign = (aster_vi32)x & (aster_vi32)aster_vset_f32(-0.0f);
    aster_vf32 a = (aster_vf32)((aster_vi32)x ^ sign), z = x * x, s;
    aster_vf32 p =
        aster_vfma_f32(aster_vset_f32(-6.315128994e-4f), z, aster_vset_f32(5.051094573e-3f));
    p = aster_vfma_f32(p, z, aster_vset_f32(-2.680254728e-2f));
    p = aster_vfma_f32(p, z, aster_vset_f32(1.128271744e-1f));
    p = aster_vfma_f32(p, z, aster_vset_f32(-3.761257231e-1f));
    p = aster_vfma_f32(p, z, aster_vset_f32(1.2837916e-1f));
    p = aster_vfma_f32(p, x, x);
    a = aster_vmin_f32(aster_vset_f32(4.0f), a);
    aster_vf32 q =
        aster_vfma_f32(aster_vset_f32(-2.036767401e-4f), a, aster_vset_f32(3.117854241e-3f));
    q = aster_vfma_f32(q, a, aster_vset_f32(-2.251905575e-2f));
    q = aster_vfma_f32(q, a, aster_vset_f32(1.045259312e-1f));
    q = aster_vfma_f32(q, a, aster_vset_f32(6.365189552e-1f));
    q = aster_vfma_f32(q, a, aster_vset_f32(1.128061056f));
    q = aster_vfma_f32(q, a, aster_vset_f32(1.045244426e-4f));
    aster_vf32 y = -q, e;
    aster_vexp_parts_f32(1, &y, &e, &s);
    aster_vf32 far = (aster_vf32)((aster_vi32)(1.0f - (e + 1.0f) * s) | sign);
    return aster_vsel_f32(a < aster_vset_f32(0.85f), p, far);
}

/* P(z) of degree 5 by pairs: three steps deep instead of five */
ASTER_VFN aster_vf32 aster_vpoly5_f32(const float c[6], aster_vf32 z, aster_vf32 z2, aster_vf32 z4)
{
    aster_vf32 low = aster_vfma_f32(aster_vset_f32(c[1]), z, aster_vset_f32(c[0]));
    aster_vf32 middle = aster_vfma_f32(aster_vset_f32(c[3]), z, aster_vset_f32(c[2]));
    aster_vf32 high = aster_vfma_f32(aster_vset_f32(c[5]), z, aster_vset_f32(c[4]));
    return aster_vfma_f32(high, z4, aster_vfma_f32(middle, z2, low));
}

/* The normal distribution to 3 ulp of 1, in less than half of the time of (1 + erf) / 2: 1/2 + x
 * P(x^2) / Q(x^2), fitted to reach 0 and 1 at -5.6 and 5.6, where it rounds to them. */
ASTER_VFN aster_vf32 aster_vnormal_f32(aster_vf32 x)
{
    static const float p[6] = {0.398942262f,    0.0343262143f,   0.00470107421f,
                               0.000172972985f, 6.31468265e-06f, 2.19481056e-08f};
    static const float q[6] = {1.0f,           0.252709031f,    0.0289034657f,
                               0.00190799055f, 7.46383957e-05f, 1.17140485e-06f};
    x = aster_vmin_f32(aster_vset_f32(5.6f), x);
    x = aster_vmax_f32(aster_vset_f32(-5.6f), x);
    aster_vf32 z = x * x, z2 = z * z, z4 = z2 * z2;
    aster_vf32 y = aster_vpoly5_f32(p, z, z2, z4) / aster_vpoly5_f32(q, z, z2, z4);
    y = aster_vfma_f32(x, y, aster_vset_f32(0.5f));
    y = aster_vmin_f32(aster_vset_f32(1.0f), y);
    return aster_vmax_f32(aster_vset_f32(0.0f), y);
}

/* ---- f64 ---- */
#define ASTER_VMATH_LIBM(name, expression)                                                         \
    ASTER_VFN aster_vf64 aster_v##name##_f64(aster_vf64 v)                                         \
    {                                                                                              \
        for (int k = 0; k < ASTER_VB / 8; k++) {                                                   \
            double x = v[k];                                                                       \
            v[k] = (expression);                                                                   \
        }                                                                                          \
        return v;                                                                                  \
    }
ASTER_VMATH_LIBM(exp, exp(x))
ASTER_VMATH_LIBM(exp_below, exp(x))
ASTER_VMATH_LIBM(tanh, tanh(x))
ASTER_VMATH_LIBM(sigmoid, 1 / (1 + exp(-x)))
ASTER_VMATH_LIBM(log, log(x))
ASTER_VMATH_LIBM(erf, erf(x))
ASTER_VMATH_LIBM(normal, 0.5 * erfc(-0.70710678118654752440 * x))
#undef ASTER_VMATH_LIBM
ASTER_VFN void aster_vtanhs_f64(const int m, aster_vf64 *x)
{
    for (int k = 0; k < m; k++)
        x[k] = aster_vtanh_f64(x[k]);
}
ASTER_VFN void aster_vgates_f64(aster_vf64 *x)
{
    for (int k = 0; k < 4; k++)
        x[k] = k == 2 ? aster_vtanh_f64(x[k]) : aster_vsigmoid_f64(x[k]);
}
ASTER_VFN void aster_vsigmoids_f64(const int m, aster_vf64 *x)
{
    for (int k = 0; k < m; k++)
        x[k] = aster_vsigmoid_f64(x[k]);
}

#endif
