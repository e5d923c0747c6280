/* SPDX-License-Identifier: BSD-3-Clause */
/* Shape of the small products held in registers (tile_real.h), and how memory is called into the
 * caches meanwhile. */
#ifndef ASTER_TILE_H
#define ASTER_TILE_H

#include "cpu/vmath.h"

/* 16 registers hold 4 x 3 or 6 x 2 sums, 3 vectors of b and 1 of a; 32 hold 6 x 4, 4 and 1. */
#define TILE_ROWS 6
#if ASTER_VB == 64
#define TILE_VECS      4
#define TILE_WIDE_ROWS 6
#else
#define TILE_VECS      3
#define TILE_WIDE_ROWS 4 /* of a tile of three vectors */
#endif
/* bytes of b that several row tiles use one after the other: most of a first-level cache */
#define TILE_CACHE 24576
#ifndef TILE_AHEAD
#define TILE_AHEAD 1536 /* how far ahead of its use b is called, bytes; 0: it is near */
#endif
#define TILE_UNROLL _Pragma("GCC unroll 8")

/* Blocks of memory that are wanted soon: each tile calls the next step[i] bytes of block i. Done
 * evenly over a long product this costs little; left to the first use each line is a stall, as
 * blocks of a few short rows are too irregular for the processor to foresee. */
struct tile_ahead {
    int n;
    const char *p[4], *end[4];
    int64_t step[4];
};

static inline void tile_ahead_add(struct tile_ahead *a, const void *p, int64_t bytes,
                                  int64_t n_tiles)
{
    int k = a->n++;
    a->p[k] = p;
    a->end[k] = a->p[k] + bytes;
    a->step[k] = aster_round_up(bytes / aster_max64(n_tiles, 1) + 1, 64);
}

static inline void tile_ahead_step(struct tile_ahead *a)
{
    for (int k = 0; k < a->n; k++) {
        const char *p = a->p[k], *end = a->end[k] - p > a->step[k] ? p + a->step[k] : a->end[k];
        for (; p < end; p += 64)
            __builtin_prefetch(p, 0, 2);
        a->p[k] = end;
    }
}

/* n_vec vectors of columns in groups of at most a tile's width, as even as can be */
struct tile_cut {
    int64_t n_vec, n, base, extra; /* group g has base vectors, the first extra groups one more */
};

static inline struct tile_cut tile_cut_new(int64_t n_vec)
{
    int64_t n = (n_vec + TILE_VECS - 1) / TILE_VECS;
    return n ? (struct tile_cut){n_vec, n, n_vec / n, n_vec % n} : (struct tile_cut){0};
}
static inline int64_t tile_width(const struct tile_cut *c, int64_t g)
{
    return c->base + (g < c->extra);
}
static inline int64_t tile_first(const struct tile_cut *c, int64_t g)
{
    return g * c->base + aster_min64(g, c->extra);
}

/* Row tiles of so many rows by nv vectors */
static inline int64_t tile_count(int64_t rows, int64_t nv)
{
    const int64_t most = nv < 3 ? TILE_ROWS : TILE_WIDE_ROWS;
    return (rows + most - 1) / most;
}

#endif
