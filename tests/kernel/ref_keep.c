/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator of dropout, written again in 64-bit arithmetic from the description in
 * codelets/cpu/kernel.h. */
#include "kt.h"

#define LOW32 0xffffffffULL

static uint64_t mix64(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

/* x ^ (x >> shift), times factor, in 32 bits */
static uint64_t stir(uint64_t x, int shift, uint64_t factor)
{
    return (x ^ x >> shift) * factor & LOW32;
}

bool kt_keeps(const struct kt_case *c, int64_t key, int64_t sample, int64_t place, double p)
{
    uint64_t h = mix64(c->seed ^ 0x6a09e667f3bcc908ULL);
    h = mix64(h ^ (uint64_t)c->step);
    h = mix64(h + (uint64_t)key * 0x9e3779b97f4a7c15ULL);
    h = mix64(h ^ (uint64_t)(c->sample0 + sample));
    uint64_t x = ((uint64_t)place & LOW32) ^ (h & LOW32);
    x = stir(x, 16, 0x7feb352d);
    x = stir(x, 15, 0x846ca68b);
    x ^= x >> 16;
    x = (x + (h >> 32)) & LOW32;
    x = stir(x, 17, 0xed5ad4bb);
    x = stir(x, 11, 0xac4c1b51);
    x ^= x >> 15;
    return (double)x >= (double)(uint64_t)(p * 4294967296.0);
}
