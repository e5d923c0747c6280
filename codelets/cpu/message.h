/* SPDX-License-Identifier: BSD-3-Clause */
/* What the message kernels and the size of their workspace agree on. */
#ifndef ASTER_MESSAGE_H
#define ASTER_MESSAGE_H

#include "base/base.h"

enum {
    MESSAGE_BLOCK = 16,   /* channels that lie together in a table */
    MESSAGE_LEAST = 192,  /* edges of a chunk, if it can end behind them */
    MESSAGE_MOST = 1024,  /* edges of a chunk */
    MESSAGE_VECTORS = 4,  /* sums of a pair of edges: by its distance and by its direction */
    MESSAGE_VECTOR = 64,  /* bytes of the widest vector */
    MESSAGE_WEIGHTS = 6,  /* of a filter: 3 of its value, 3 of its slope */
    MESSAGE_PER_EDGE = 4, /* integers of an edge, and of a chunk */
};

static inline int64_t message_chunks(int64_t n_edges)
{
    return n_edges / MESSAGE_LEAST + 2;
}
static inline int64_t message_part(int64_t bytes)
{
    return aster_round_up(bytes, MESSAGE_VECTOR);
}

/* Bytes of workspace; every part starts at a multiple of the widest vector. */
static inline int64_t message_work(int64_t n_atoms, int64_t n_edges, int64_t size, bool backward)
{
    int64_t n = message_part((n_edges + message_chunks(n_edges)) * MESSAGE_PER_EDGE * 4);
    n += message_part(n_edges * MESSAGE_WEIGHTS * size);
    n += message_part(n_atoms * 2 * MESSAGE_BLOCK * size);
    n += message_part(MESSAGE_MOST * 6 * MESSAGE_BLOCK * size);
    if (backward)
        n += (n_edges / 2 + 1) * MESSAGE_VECTORS * MESSAGE_VECTOR;
    return n;
}

#endif
