/* SPDX-License-Identifier: BSD-3-Clause */
/* What the message kernels and the size of their workspace agree on. */
#ifndef ASTER_MESSAGE_H
#define ASTER_MESSAGE_H

#include "base/base.h"

enum {
    MESSAGE_BLOCK = 16,  /* channels that lie together in a table */
    MESSAGE_PAIR = 12,   /* reals that a pair of edges has room for */
    MESSAGE_SUMS = 4,    /* vectors of a pair: by its distance and by its direction */
    MESSAGE_TAILS = 3,   /* copies of the last channels of atoms */
    MESSAGE_VECTOR = 64, /* bytes of the widest vector */
};

static inline int64_t message_part(int64_t bytes)
{
    return aster_round_up(bytes, MESSAGE_VECTOR);
}

/* Bytes of workspace; every part starts at a multiple of the widest vector. */
static inline int64_t message_work(int64_t n_atoms, int64_t n_edges, int64_t size, bool backward)
{
    int64_t pairs = n_edges / 2 + 1;
    return message_part(pairs * MESSAGE_PAIR * size) + 3 * message_part((n_atoms + 1) * 4) +
           message_part(n_atoms * MESSAGE_TAILS * MESSAGE_BLOCK * size) +
           (backward ? pairs * MESSAGE_SUMS * MESSAGE_VECTOR : 0);
}

#endif
