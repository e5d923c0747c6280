/* SPDX-License-Identifier: BSD-3-Clause */
/* Which elements a dropout keeps: the same bits in every backend. */
#ifndef ASTER_KEEP_H
#define ASTER_KEEP_H

#include "backend.h"

/* 32 bits that depend on (key, index) only: the counter-based generator of dropout. Two rounds of a
 * multiply-xorshift finaliser with the key mixed in between; vectorises. */
ASTER_ANYWHERE static inline uint32_t aster_bits32(uint32_t key0, uint32_t key1, uint32_t index)
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

struct aster_keep_seed { /* of one dropout and one step */
    uint64_t hash;
    int64_t sample0;
    uint32_t threshold; /* keep when bits >= threshold */
};
struct aster_keep { /* and of one sample */
    uint32_t key0, key1, threshold;
};
static inline struct aster_keep_seed aster_keep_seed_new(const struct aster_run_info *run,
                                                         int64_t key, double p)
{
    uint64_t h = aster_mix64(run->seed ^ 0x6a09e667f3bcc908ULL);
    h = aster_mix64(h ^ (uint64_t)run->step);
    h = aster_mix64(h + (uint64_t)key * 0x9E3779B97F4A7C15ULL);
    double t = p * 4294967296.0;
    struct aster_keep_seed s = {h, run->sample0, t >= 4294967295.0 ? 0xffffffffU : (uint32_t)t};
    return s;
}
ASTER_ANYWHERE static inline struct aster_keep aster_keep_of(const struct aster_keep_seed *s,
                                                             int64_t sample)
{
    uint64_t h = aster_mix64(s->hash ^ (uint64_t)(s->sample0 + sample));
    struct aster_keep k = {(uint32_t)h, (uint32_t)(h >> 32), s->threshold};
    return k;
}
static inline struct aster_keep aster_keep_new(const struct aster_run_info *run, int64_t key,
                                               int64_t sample, double p)
{
    struct aster_keep_seed s = aster_keep_seed_new(run, key, p);
    return aster_keep_of(&s, sample);
}
ASTER_ANYWHERE static inline bool aster_keep(const struct aster_keep *k, uint32_t place)
{
    return aster_bits32(k->key0, k->key1, place) >= k->threshold;
}

#endif
