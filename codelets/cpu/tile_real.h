/* SPDX-License-Identifier: BSD-3-Clause */
/* Small products held in registers, for one real type: included after REAL, VREAL and VSUF are defined.
 *
 * c[rows, vectors] (+)= a[rows, k] b[k, vectors]. Every element of c is one chain of fused multiply-adds in order of k, whatever
 * the tile around it looks like: its bits do not depend on how a caller cuts rows, columns or k. */
#include "cpu/tile.h"

#define TL (ASTER_VB / (int)sizeof(REAL)) /* elements of a vector */
#define TN(name) ASTER_CAT(ASTER_CAT(name, _), VSUF)

/* a[i, p] at a[i rs + p cs], b[p] at b + p ldb, c[i] at c + i ldc, all in elements */
typedef void TN(tile_fn)(int64_t k, const REAL *a, int64_t rs, int64_t cs, const REAL *b, int64_t ldb, REAL *c, int64_t ldc, bool add);

ASTER_VFN void TN(tile)(const int mr, const int nv, int64_t k, const REAL *a, int64_t rs, int64_t cs, const REAL *b, int64_t ldb,
                        REAL *c, int64_t ldc, bool add)
{
    VREAL acc[TILE_ROWS][TILE_VECS];
    TILE_UNROLL
    for (int i = 0; i < mr; i++) {
        TILE_UNROLL
        for (int j = 0; j < nv; j++)
            acc[i][j] = add ? ASTER_V(load)(c + i * ldc + j * TL) : (VREAL){0};
    }
#pragma GCC unroll 4
    for (int64_t p = 0; p < k; p++) {
        VREAL v[TILE_VECS];
        TILE_UNROLL
        for (int j = 0; TILE_AHEAD > 0 && j < nv * ASTER_VB; j += 64)
            __builtin_prefetch((const char *)b + TILE_AHEAD + j, 0, 3);
        TILE_UNROLL
        for (int j = 0; j < nv; j++)
            v[j] = ASTER_V(load)(b + j * TL);
        TILE_UNROLL
        for (int i = 0; i < mr; i++) {
            VREAL s = ASTER_V(set)(a[i * rs]);
            TILE_UNROLL
            for (int j = 0; j < nv; j++)
                acc[i][j] = ASTER_V(fma)(s, v[j], acc[i][j]);
        }
        a += cs;
        b += ldb;
    }
    TILE_UNROLL
    for (int i = 0; i < mr; i++) {
        TILE_UNROLL
        for (int j = 0; j < nv; j++)
            ASTER_V(store)(c + i * ldc + j * TL, acc[i][j]);
    }
}

#ifndef TILE_AS
#define TILE_AS(m, n)                                                                                                       \
    static void TN(tile_##m##x##n)(int64_t k, const REAL *a, int64_t rs, int64_t cs, const REAL *b, int64_t ldb, REAL *c,     \
                                   int64_t ldc, bool add)                                                                   \
    {                                                                                                                       \
        TN(tile)(m, n, k, a, rs, cs, b, ldb, c, ldc, add);                                                                   \
    }
#if ASTER_VB == 64
#define TILE_EACH(m) TILE_AS(m, 1) TILE_AS(m, 2) TILE_AS(m, 3) TILE_AS(m, 4)
#define TILE_LIST(m) {TN(tile_##m##x1), TN(tile_##m##x2), TN(tile_##m##x3), TN(tile_##m##x4)}
#define TILE_EACH_TALL TILE_EACH
#define TILE_LIST_TALL TILE_LIST
#else
#define TILE_EACH(m) TILE_AS(m, 1) TILE_AS(m, 2) TILE_AS(m, 3)
#define TILE_LIST(m) {TN(tile_##m##x1), TN(tile_##m##x2), TN(tile_##m##x3)}
#define TILE_EACH_TALL(m) TILE_AS(m, 1) TILE_AS(m, 2)
#define TILE_LIST_TALL(m) {TN(tile_##m##x1), TN(tile_##m##x2)}
#endif
#endif

TILE_EACH(1)
TILE_EACH(2)
TILE_EACH(3)
TILE_EACH(4)
TILE_EACH_TALL(5)
TILE_EACH_TALL(6)

static TN(tile_fn) *const TN(tiles)[TILE_ROWS][TILE_VECS] = {
    TILE_LIST(1), TILE_LIST(2), TILE_LIST(3), TILE_LIST(4), TILE_LIST_TALL(5), TILE_LIST_TALL(6),
};

/* Rows are cut evenly into tiles. With several of them, k is cut too, so that a piece of b stays in cache while all use it.
 * 1 <= nv <= TILE_VECS; rows < 2^31; ahead may be NULL. */
static void TN(tile_rows)(int64_t rows, int nv, int64_t k, const REAL *a, int64_t rs, int64_t cs, const REAL *b, int64_t ldb, REAL *c,
                          int64_t ldc, bool add, struct tile_ahead *ahead)
{
    if (rows <= 0)
        return;
    int32_t n_tiles = (int32_t)tile_count(rows, nv), base = (int32_t)rows / n_tiles, extra = (int32_t)rows % n_tiles;
    int64_t chunk = n_tiles > 1 ? TILE_CACHE / ASTER_VB / nv : k, p = 0;
    do {
        int64_t n = aster_min64(chunk, k - p), row = 0;
        for (int32_t i = 0; i < n_tiles; i++) {
            int32_t mr = base + (i < extra);
            TN(tiles)[mr - 1][nv - 1](n, a + row * rs + p * cs, rs, cs, b + p * ldb, ldb, c + row * ldc, ldc, add || p > 0);
            row += mr;
            if (ahead)
                tile_ahead_step(ahead);
        }
        p += n;
    } while (p < k);
}
