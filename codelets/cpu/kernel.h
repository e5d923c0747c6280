/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by all CPU kernels. Each source here is compiled once per instruction set (ASTER_ISA = base, avx2, avx512,
 * avx512bf16); arithmetic written once for both real types lives in <family>_real.h, included with REAL = float and double.
 * Vectors are GCC vector types of ASTER_VB bytes; no intrinsics outside #if blocks with a plain alternative. */
#ifndef ASTER_KERNEL_H
#define ASTER_KERNEL_H

#include "backend.h"

#include <math.h>
#include <string.h>

#define ASTER_CAT_(a, b) a##b
#define ASTER_CAT(a, b) ASTER_CAT_(a, b)
/* aster_k_<name>_cpu_<isa> */
#define ASTER_K(name) ASTER_CAT(ASTER_CAT(aster_k_##name, _cpu_), ASTER_ISA)

#if defined ASTER_VB_FORCE /* a test runs the geometry of another width on this one */
#define ASTER_VB ASTER_VB_FORCE
#elif defined __AVX512F__
#define ASTER_VB 64
#elif defined __AVX2__
#define ASTER_VB 32
#else
#define ASTER_VB 16
#endif

typedef float aster_vf32 __attribute__((vector_size(ASTER_VB), may_alias));
typedef double aster_vf64 __attribute__((vector_size(ASTER_VB), may_alias));
typedef float aster_vf32u __attribute__((vector_size(ASTER_VB), aligned(4), may_alias));   /* unaligned */
typedef double aster_vf64u __attribute__((vector_size(ASTER_VB), aligned(8), may_alias));

#define ASTER_OP(name, family) aster_kernel ASTER_K(name);
#include "ops.def"
#undef ASTER_OP

static inline int64_t aster_tensor_n(const struct aster_tensor *t)
{
    int64_t n = 1;
    for (int k = 0; k < t->rank; k++)
        n *= t->dim[k];
    return n;
}

/* 32 bits that depend on (key, index) only: the counter-based generator of dropout. Two rounds of a
 * multiply-xorshift finaliser with the key mixed in between; vectorises. */
static inline uint32_t aster_bits32(uint32_t key0, uint32_t key1, uint32_t index)
{
    uint32_t x = index ^ key0;
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    x ^= x >> 16;
    x += key1;
    x ^= x >> 17;
    x *= 0xed5ad4bbU;
    x ^= x >> 11;
    x *= 0xac4c1b51U;
    x ^= x >> 15;
    return x;
}

struct aster_keep { /* of one dropout, one step, one sample */
    uint32_t key0, key1, threshold; /* keep when bits >= threshold */
};
static inline struct aster_keep aster_keep_new(const struct aster_run_info *run, int64_t key, int64_t sample, double p)
{
    uint64_t h = aster_mix64(run->seed ^ 0x6a09e667f3bcc908ULL);
    h = aster_mix64(h ^ (uint64_t)run->step);
    h = aster_mix64(h + (uint64_t)key * 0x9E3779B97F4A7C15ULL);
    h = aster_mix64(h ^ (uint64_t)(run->sample0 + sample));
    struct aster_keep k = {(uint32_t)h, (uint32_t)(h >> 32), 0};
    double t = p * 4294967296.0;
    k.threshold = t >= 4294967295.0 ? 0xffffffffU : (uint32_t)t;
    return k;
}
static inline bool aster_keep(const struct aster_keep *k, uint32_t place)
{
    return aster_bits32(k->key0, k->key1, place) >= k->threshold;
}

#endif
