/* SPDX-License-Identifier: BSD-3-Clause */
/* Generators: counter-based ones for everything that must not depend on order, and the Mersenne
 * twister of the reference's split. */
#include "base/base.h"

void aster_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53U * c[0], b = (uint64_t)0xCD9E8D57U * c[2];
        uint32_t n[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                         (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
        for (int j = 0; j < 4; j++)
            c[j] = n[j];
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    for (int j = 0; j < 4; j++)
        out[j] = c[j];
}

static uint64_t bits64(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t c[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                     (uint32_t)(stream >> 32)};
    uint32_t k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, r[4];
    aster_philox(c, k, r);
    return (uint64_t)r[0] << 32 | r[1];
}

double aster_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(bits64(seed, stream, index) >> 11) * 0x1p-53;
}

/* Unbiased number below n: draws until the value is below the largest multiple of n. */
static uint64_t below(uint64_t seed, uint64_t stream, uint64_t *index, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
    do
        x = bits64(seed, stream, (*index)++);
    while (x >= limit);
    return x % n;
}

void aster_shuffle(uint64_t seed, uint64_t stream, int64_t n, int64_t *p)
{
    uint64_t index = 0;
    for (int64_t i = 0; i < n; i++)
        p[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)below(seed, stream, &index, (uint64_t)i + 1), t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
}

struct mt19937 {
    uint32_t s[624];
    int at;
};

static void mt_seed(struct mt19937 *m, uint32_t seed)
{
    m->s[0] = seed;
    for (uint32_t k = 1; k < 624; k++)
        m->s[k] = 1812433253U * (m->s[k - 1] ^ (m->s[k - 1] >> 30)) + k;
    m->at = 624;
}

static uint32_t mt_next(struct mt19937 *m)
{
    if (m->at == 624) {
        for (int k = 0; k < 624; k++) {
            uint32_t y = (m->s[k] & 0x80000000U) | (m->s[(k + 1) % 624] & 0x7fffffffU);
            m->s[k] = m->s[(k + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfU : 0);
        }
        m->at = 0;
    }
    uint32_t y = m->s[m->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680U;
    y ^= y << 15 & 0xefc60000U;
    return y ^ y >> 18;
}

void aster_shuffle_mt19937(uint32_t seed, int64_t n, int64_t *p)
{
    struct mt19937 m;
    mt_seed(&m, seed);
    for (int64_t i = 0; i < n; i++)
        p[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        uint32_t mask = (uint32_t)i, j;
        for (int shift = 1; shift < 32; shift *= 2)
            mask |= mask >> shift;
        do
            j = mt_next(&m) & mask;
        while (j > (uint32_t)i);
        int64_t t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
}
