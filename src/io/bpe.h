/* SPDX-License-Identifier: BSD-3-Clause */
/* A byte-pair encoding from the inside. For src/io only. */
#ifndef ASTER_IO_BPE_H
#define ASTER_IO_BPE_H

#include "io/internal.h"
#include "io/tokens.h"

struct bpe_pair { /* a slot of the table of merges */
    uint32_t key; /* left << 16 | right */
    int32_t rank; /* -1: free */
};
struct bpe_special {
    const char *text;
    size_t n;
    int32_t id;
};
struct aster_bpe {
    struct aster_ctx *ctx;
    char *path;
    struct aster_json *json; /* owns the texts */
    const char **token;      /* of an id; NULL where there is none */
    int32_t *by_text;        /* hash table of ids, -1 free */
    struct bpe_pair *pair;   /* hash table of merges */
    int32_t *product;        /* of each merge */
    struct bpe_special *special;
    int64_t n_ids, n_merges, n_special, text_mask, pair_mask;
    int32_t single[256]; /* id of the token of one byte, -1 if there is none */
    bool starts[256];    /* a special token begins with this byte */
    int32_t unknown, begin, end;
};

static inline uint64_t bpe_slot(uint32_t key)
{
    return (key * 0x9E3779B97F4A7C15u) >> 32;
}

static inline int32_t bpe_rank(const struct aster_bpe *b, int32_t left, int32_t right)
{
    uint32_t key = (uint32_t)left << 16 | (uint32_t)right;
    uint64_t k = bpe_slot(key) & (uint64_t)b->pair_mask;
    while (b->pair[k].rank >= 0 && b->pair[k].key != key)
        k = (k + 1) & (uint64_t)b->pair_mask;
    return b->pair[k].rank;
}

#endif
