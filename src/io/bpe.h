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
enum { BPE_LETTER = -1, BPE_NONE = -2 }; /* instead of a rank: a single letter; nothing makes it */
struct bpe_token {
    int32_t left, right, rank; /* the merge that makes it */
    int32_t length, shorter;   /* shorter: the longest token that it begins with, -1: none */
    bool comes_out;            /* of a text: merges of lower rank do not cut it up before */
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
    struct bpe_token *part;  /* of an id */
    int32_t *node;           /* tree of texts: n_letters children of each node, -1: none */
    int32_t *node_id;        /* the token whose text a node is, -1: none */
    struct bpe_special *special;
    int64_t n_ids, n_merges, n_special, text_mask, pair_mask;
    int64_t n_nodes, cap_nodes, cap_node_ids;
    int32_t letter[256], n_letters; /* number of a byte that is a token, -1 if it is none */
    bool starts[256];               /* a special token begins with this byte */
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

/* Whether x and y stay two tokens beside each other, up to the merges of the rank until. */
bool bpe_fits(const struct aster_bpe *b, int32_t x, int32_t y, int32_t until);

#endif
