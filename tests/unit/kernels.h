/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests that call kernels of every instruction set directly: guarded buffers, random numbers,
 * comparison. */
#ifndef ASTER_TESTS_KERNELS_H
#define ASTER_TESTS_KERNELS_H

#include "backend.h"
#include "lib/tap.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The sets a test can run: vb64 is the 64-byte geometry compiled for avx2. */
enum { SET_BASE, SET_AVX2, SET_VB64, SET_AVX512, SET_AVX512BF16, N_SETS };
static const char *const set_names[N_SETS] = {"base", "avx2", "vb64", "avx512", "avx512bf16"};
#define DECLARE_SETS(op)                                                                           \
    aster_kernel aster_k_##op##_cpu_base, aster_k_##op##_cpu_avx2, aster_k_##op##_cpu_vb64,        \
        aster_k_##op##_cpu_avx512, aster_k_##op##_cpu_avx512bf16
#define SETS(op)                                                                                   \
    {                                                                                              \
        aster_k_##op##_cpu_base, aster_k_##op##_cpu_avx2, aster_k_##op##_cpu_vb64,                 \
            aster_k_##op##_cpu_avx512, aster_k_##op##_cpu_avx512bf16                               \
    }

/* What products are computed in */
enum { N_PRODUCT_TYPES = 3 };
static const struct {
    enum aster_dtype t;
    enum aster_products products;
    const char *name;
} product_types[N_PRODUCT_TYPES] = {{ASTER_F32, ASTER_PRODUCTS_FULL, "f32"},
                                    {ASTER_F64, ASTER_PRODUCTS_FULL, "f64"},
                                    {ASTER_F32, ASTER_PRODUCTS_BF16, "bf16"}};

static inline bool set_runs_here(int set)
{
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                __builtin_cpu_supports("bmi2");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    switch (set) {
    case SET_BASE:
        return true;
    case SET_AVX2:
    case SET_VB64:
        return avx2;
    case SET_AVX512:
        return avx512;
    default:
        return avx512 && __builtin_cpu_supports("avx512bf16");
    }
}

static uint64_t random_state = 88172645463325252ULL;
/* in [-1, 1] */
static inline double random_real(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 4503599627370496.0 - 1;
}

static inline int64_t tensor_size(const struct aster_tensor *t)
{
    int64_t n = 1;
    for (int k = 0; k < t->rank; k++)
        n *= t->dim[k];
    return n;
}
static inline size_t real_size(enum aster_dtype t)
{
    return t == ASTER_F64 ? 8 : 4;
}
static inline double get(const struct aster_tensor *t, int64_t i)
{
    return t->dtype == ASTER_F64 ? ((const double *)t->p)[i] : (double)((const float *)t->p)[i];
}
static inline void set(const struct aster_tensor *t, int64_t i, double x)
{
    if (t->dtype == ASTER_F64)
        ((double *)t->p)[i] = x;
    else
        ((float *)t->p)[i] = (float)x;
}
static inline double epsilon(enum aster_dtype t)
{
    return t == ASTER_F64 ? DBL_EPSILON : (double)FLT_EPSILON;
}

/* Buffers begin and end with a band of a known byte; 0xff makes NaN of both real types. */
enum { GUARD = 256, GUARD_BYTE = 0xa5 };
static inline void *guarded_new(size_t bytes, int fill)
{
    size_t all = (bytes + 2 * GUARD + 63) / 64 * 64;
    unsigned char *p = aligned_alloc(64, all);
    if (!p)
        abort();
    memset(p, GUARD_BYTE, all);
    memset(p + GUARD, fill, bytes);
    return p + GUARD;
}
static inline bool guarded_whole(const void *buffer, size_t bytes)
{
    const unsigned char *p = buffer;
    for (int k = 0; k < GUARD; k++)
        if (p[k - GUARD] != GUARD_BYTE || p[(size_t)k + bytes] != GUARD_BYTE)
            return false;
    return true;
}
static inline void guarded_free(void *buffer)
{
    free((unsigned char *)buffer - GUARD);
}

/* rank and up to 4 dims; random elements, or NaN */
static inline struct aster_tensor tensor_new(enum aster_dtype t, bool random, int rank, int64_t d0,
                                             int64_t d1, int64_t d2, int64_t d3)
{
    struct aster_tensor x = {NULL, t, rank, {d0, d1, d2, d3}};
    int64_t n = tensor_size(&x);
    x.p = guarded_new((size_t)n * real_size(t), 0xff);
    for (int64_t i = 0; random && i < n; i++)
        set(&x, i, random_real());
    return x;
}
/* To numbers that bf16 holds: rounding them again changes none. */
static inline void tensor_round(const struct aster_tensor *t)
{
    for (int64_t i = 0, n = tensor_size(t); i < n; i++)
        set(t, i, (double)aster_bf16_to_f32(aster_f32_to_bf16((float)get(t, i))));
}
static inline void tensor_free(struct aster_tensor *t)
{
    if (t->p)
        guarded_free(t->p);
    t->p = NULL;
}
static inline void tensor_clear(const struct aster_tensor *t)
{
    memset(t->p, 0xff, (size_t)tensor_size(t) * real_size(t->dtype));
}

/* Runs a kernel with a workspace of exactly the bytes asked for, filled with NaN; false if a guard
 * was hit. */
static inline bool run_guarded(aster_kernel *kernel, struct aster_args *a, int64_t work_bytes)
{
    a->work_bytes = work_bytes;
    a->work = guarded_new((size_t)work_bytes, 0xff);
    kernel(a);
    bool good = guarded_whole(a->work, (size_t)work_bytes);
    for (int k = 0; k < a->n_out; k++)
        good = good && guarded_whole(a->out[k].p,
                                     (size_t)tensor_size(&a->out[k]) * real_size(a->out[k].dtype));
    guarded_free(a->work);
    a->work = NULL;
    return good;
}

/* How far y is from the reference in units of its limit: |y - want| / (epsilon * units * scale),
 * the worst of all elements; 1 or more is wrong, not finite is infinite. scale: sum of absolute
 * terms. */
static inline double distance(const struct aster_tensor *y, const double *want, const double *scale,
                              double units)
{
    double worst = 0;
    for (int64_t i = 0, n = tensor_size(y); i < n; i++) {
        double limit = epsilon(y->dtype) * units * scale[i] + 1e-300;
        double d = fabs(get(y, i) - want[i]) / limit;
        if (!(d <= worst))
            worst = isfinite(d) ? d : INFINITY;
    }
    return worst;
}

/* A right result with one element off by ten times its limit has to be seen. */
static inline bool distance_sees(const struct aster_tensor *y, const double *want,
                                 const double *scale, double units)
{
    int64_t n = tensor_size(y), i = n / 2;
    if (n == 0)
        return true;
    double old = get(y, i);
    set(y, i, want[i] + 10 * epsilon(y->dtype) * units * (scale[i] + 1e-30));
    bool seen = distance(y, want, scale, units) >= 1 || scale[i] == 0;
    set(y, i, NAN);
    seen = seen && distance(y, want, scale, units) >= 1;
    set(y, i, old);
    return seen;
}

static inline bool same_bits(const struct aster_tensor *a, int64_t i, const struct aster_tensor *b,
                             int64_t j, int64_t n)
{
    size_t size = real_size(a->dtype);
    return n <= 0 || !memcmp((char *)a->p + (size_t)i * size, (char *)b->p + (size_t)j * size,
                             (size_t)n * size);
}

#endif
