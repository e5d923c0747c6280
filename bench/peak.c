/* SPDX-License-Identifier: BSD-3-Clause */
/* Measures the f32 peak with independent chains of fused multiply-adds. */
#include "peak.h"

#include "backend.h"

#if defined __x86_64__
#include <immintrin.h>

#define CHAINS 12
enum { ROUNDS = 200000 };

__attribute__((target("avx2,fma"))) static float spin_avx2(int rounds)
{
    __m256 a[CHAINS], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f),
                      s = _mm256_setzero_ps();
    for (int k = 0; k < CHAINS; k++)
        a[k] = _mm256_set1_ps((float)k);
    for (int r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++)
            a[k] = _mm256_fmadd_ps(a[k], x, y);
    for (int k = 0; k < CHAINS; k++)
        s = _mm256_add_ps(s, a[k]);
    return s[0];
}

__attribute__((target("avx512f,prefer-vector-width=512"))) static float spin_avx512(int rounds)
{
    __m512 a[CHAINS], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f),
                      s = _mm512_setzero_ps();
    for (int k = 0; k < CHAINS; k++)
        a[k] = _mm512_set1_ps((float)k);
    for (int r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++)
            a[k] = _mm512_fmadd_ps(a[k], x, y);
    for (int k = 0; k < CHAINS; k++)
        s = _mm512_add_ps(s, a[k]);
    return s[0];
}

static volatile float sink;

double aster_bench_peak_f32(void)
{
    enum aster_isa isa = aster_isa_best();
    if (isa == ASTER_ISA_BASE)
        return 0;
    double best = 0, lanes = isa >= ASTER_ISA_AVX512 ? 16 : 8;
    for (int k = 0; k < 7; k++) {
        double t = aster_cpu_thread();
        sink = isa >= ASTER_ISA_AVX512 ? spin_avx512(ROUNDS) : spin_avx2(ROUNDS);
        t = aster_cpu_thread() - t;
        double rate = 2.0 * lanes * CHAINS * ROUNDS / t;
        best = rate > best ? rate : best;
    }
    return best;
}
#else
double aster_bench_peak_f32(void)
{
    return 0;
}
#endif
