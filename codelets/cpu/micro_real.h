/* SPDX-License-Identifier: BSD-3-Clause */
/* Tiles and loops for one real type; see micro.h. */

#define PANEL (2 * VLEN)

struct ASTER_R(finish) {
    bool add;         /* to what c holds from earlier depth */
    const REAL *bias; /* of column 0 or NULL */
    int act;
};

ASTER_INLINE VREAL ASTER_R(act)(VREAL s, int act)
{
    /* NaN passes: a bad sample has to stay visible */
    return act == ASTER_ACT_RELU ? (VREAL)((VMASK)s & ~(VMASK)(s < (VREAL){0})) : s;
}

/* The first left columns of mr rows of sums. One function for all tiles: it is rare, and in line it would be most of the code. */
static __attribute__((noinline)) void ASTER_R(store_part)(int mr, const REAL *t, REAL *const *c, int64_t n0, int64_t left,
                                                          const struct ASTER_R(finish) *f)
{
    for (int r = 0; r < mr; r++, t += PANEL)
        for (int64_t j = 0; j < left; j++) {
            REAL s = t[j];
            if (f->add)
                s = c[r][n0 + j] + s;
            if (f->bias)
                s += f->bias[n0 + j];
            c[r][n0 + j] = f->act == ASTER_ACT_RELU && s < 0 ? 0 : s;
        }
}

/* Writes the sums of a tile; left columns of it exist. */
ASTER_INLINE void ASTER_R(store)(const int mr, const int nv, VREAL acc[ASTER_TILE_ROWS][2], REAL *const *c, int64_t n0,
                                 int64_t left, const struct ASTER_R(finish) *f)
{
    if (left >= nv * VLEN) {
        if (f->add) {
#pragma GCC unroll 16
            for (int r = 0; r < mr; r++)
#pragma GCC unroll 2
                for (int v = 0; v < nv; v++)
                    acc[r][v] = *(const VREALU *)(c[r] + n0 + v * VLEN) + acc[r][v];
        }
        if (f->bias) {
#pragma GCC unroll 2
            for (int v = 0; v < nv; v++) {
                const VREAL bias = *(const VREALU *)(f->bias + n0 + v * VLEN);
#pragma GCC unroll 16
                for (int r = 0; r < mr; r++)
                    acc[r][v] += bias;
            }
        }
#pragma GCC unroll 16
        for (int r = 0; r < mr; r++)
#pragma GCC unroll 2
            for (int v = 0; v < nv; v++)
                *(VREALU *)(c[r] + n0 + v * VLEN) = ASTER_R(act)(acc[r][v], f->act);
        return;
    }
    REAL t[ASTER_TILE_ROWS][PANEL] __attribute__((aligned(ASTER_VB)));
#pragma GCC unroll 16
    for (int r = 0; r < mr; r++)
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            *(VREAL *)(t[r] + v * VLEN) = acc[r][v];
    ASTER_R(store_part)(mr, &t[0][0], c, n0, left, f);
}

ASTER_INLINE void ASTER_R(tile_rows)(const int mr, const int nv, int64_t kn, const REAL *const *a, int64_t k0,
                                     const REAL *b, REAL *const *c, int64_t n0, int64_t left,
                                     const struct ASTER_R(finish) *f)
{
    const REAL *pa[ASTER_TILE_ROWS];
    VREAL acc[ASTER_TILE_ROWS][2];
#pragma GCC unroll 16
    for (int r = 0; r < mr; r++) {
        pa[r] = a[r] + k0;
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            acc[r][v] = (VREAL){0};
    }
    DEPTH_UNROLL
    for (int64_t k = 0; k < kn; k++) {
        VREAL bv[2];
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            bv[v] = *(const VREAL *)(b + v * VLEN);
#pragma GCC unroll 16
        for (int r = 0; r < mr; r++) {
            const VREAL av = pa[r][k] - (VREAL){0};
#pragma GCC unroll 2
            for (int v = 0; v < nv; v++)
                acc[r][v] = VFMA(av, bv[v], acc[r][v]);
        }
        b += PANEL;
    }
    ASTER_R(store)(mr, nv, acc, c, n0, left, f);
}

ASTER_INLINE void ASTER_R(tile_outer)(const int mr, const int nv, const struct ASTER_R(outer) *o, const REAL *a,
                                      const REAL *b, REAL *c, int64_t ldc, int64_t left)
{
    VREAL acc[ASTER_TILE_ROWS][2];
    REAL *pc[ASTER_TILE_ROWS];
    const struct ASTER_R(finish) f = {o->add, NULL, ASTER_ACT_NONE};
#pragma GCC unroll 16
    for (int r = 0; r < mr; r++) {
        pc[r] = c + r * ldc;
        __builtin_prefetch(pc[r], 1);
        __builtin_prefetch(pc[r] + left - 1, 1);
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            acc[r][v] = (VREAL){0};
    }
    for (int64_t s = 0; s < o->n_segments; s++) {
        const REAL *pa = a + s * o->a_segment_rows * mr;
        DEPTH_UNROLL
        for (int64_t t = 0; t < o->length; t++) {
            VREAL bv[2];
#pragma GCC unroll 2
            for (int v = 0; v < nv; v++)
                bv[v] = *(const VREAL *)(b + v * VLEN);
#pragma GCC unroll 16
            for (int r = 0; r < mr; r++) {
                const VREAL av = pa[r] - (VREAL){0};
#pragma GCC unroll 2
                for (int v = 0; v < nv; v++)
                    acc[r][v] = VFMA(av, bv[v], acc[r][v]);
            }
            pa += mr;
            b += PANEL;
        }
    }
    ASTER_R(store)(mr, nv, acc, pc, 0, left, &f);
}

#define TILE(mr, nv)                                                                                                   \
    static __attribute__((noinline)) void ASTER_R(rows_##mr##x##nv)(                                                   \
        int64_t kn, const REAL *const *a, int64_t k0, const REAL *b, REAL *const *c, int64_t n0, int64_t left,         \
        const struct ASTER_R(finish) *f)                                                                               \
    {                                                                                                                  \
        ASTER_R(tile_rows)(mr, nv, kn, a, k0, b, c, n0, left, f);                                                      \
    }                                                                                                                  \
    static __attribute__((noinline)) void ASTER_R(outer_##mr##x##nv)(                                                  \
        const struct ASTER_R(outer) *o, const REAL *a, const REAL *b, REAL *c, int64_t ldc, int64_t left)              \
    {                                                                                                                  \
        ASTER_R(tile_outer)(mr, nv, o, a, b, c, ldc, left);                                                            \
    }
TILES(TILE, 1)
TILES(TILE, 2)
#undef TILE

typedef void ASTER_R(rows_fn)(int64_t kn, const REAL *const *a, int64_t k0, const REAL *b, REAL *const *c, int64_t n0,
                              int64_t left, const struct ASTER_R(finish) *f);
typedef void ASTER_R(outer_fn)(const struct ASTER_R(outer) *o, const REAL *a, const REAL *b, REAL *c, int64_t ldc,
                               int64_t left);
#define ROWS_ENTRY(mr, nv) ASTER_R(rows_##mr##x##nv),
#define OUTER_ENTRY(mr, nv) ASTER_R(outer_##mr##x##nv),
static ASTER_R(rows_fn) *const ASTER_R(rows_table)[2][ASTER_TILE_ROWS] = {{TILES(ROWS_ENTRY, 1)}, {TILES(ROWS_ENTRY, 2)}};
static ASTER_R(outer_fn) *const ASTER_R(outer_table)[2][ASTER_TILE_ROWS] = {{TILES(OUTER_ENTRY, 1)},
                                                                            {TILES(OUTER_ENTRY, 2)}};
#undef ROWS_ENTRY
#undef OUTER_ENTRY

void ASTER_R(outer_tile)(const struct ASTER_R(outer) *o, int64_t n_rows, const REAL *a, const REAL *b, REAL *c,
                         int64_t ldc, int64_t left)
{
    ASTER_R(outer_table)[left > VLEN][n_rows - 1](o, a, b, c, ldc, left);
}

/* out[i PANEL + j] = src[j ld + i] for kn by n, n <= PANEL; the rest of each row zero */
static void ASTER_R(pack_panel_transposed)(const REAL *src, int64_t ld, int64_t kn, int64_t n, REAL *out)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < kn; i++)
            out[i * PANEL + j] = src[j * ld + i];
    for (int64_t i = 0; i < kn && n < PANEL; i++)
        for (int64_t j = n; j < PANEL; j++)
            out[i * PANEL + j] = 0;
}

static void ASTER_R(pack_panel)(const REAL *src, int64_t ld, int64_t kn, int64_t n, REAL *out)
{
    if (n == PANEL) {
        for (int64_t i = 0; i < kn; i++) {
            const VREAL lo = *(const VREALU *)(src + i * ld), hi = *(const VREALU *)(src + i * ld + VLEN);
            *(VREAL *)(out + i * PANEL) = lo;
            *(VREAL *)(out + i * PANEL + VLEN) = hi;
        }
        return;
    }
    for (int64_t i = 0; i < kn; i++) {
        for (int64_t j = 0; j < n; j++)
            out[i * PANEL + j] = src[i * ld + j];
        for (int64_t j = n; j < PANEL; j++)
            out[i * PANEL + j] = 0;
    }
}

static void ASTER_R(pack_panel_flipped)(const struct ASTER_R(right) *r, int64_t k0, int64_t kn, int64_t n0, int64_t n,
                                        REAL *out)
{
    for (int64_t i = 0; i < kn;) {
        int64_t tap = (k0 + i) / r->n_channels, channel = (k0 + i) % r->n_channels;
        int64_t here = aster_min64(kn - i, r->n_channels - channel);
        const REAL *slab = r->b + (r->n_taps - 1 - tap) * r->tap_stride;
        ASTER_R(pack_panel_transposed)(slab + n0 * r->ld + channel, r->ld, here, n, out + i * PANEL);
        i += here;
    }
}

void ASTER_R(pack_right)(const struct ASTER_R(right) *r, int64_t k0, int64_t kn, int64_t n0, int64_t n, REAL *out)
{
    for (int64_t j = 0; j < n; j += PANEL, out += kn * PANEL) {
        int64_t here = aster_min64(n - j, PANEL);
        if (r->n_taps > 0)
            ASTER_R(pack_panel_flipped)(r, k0, kn, n0 + j, here, out);
        else if (r->is_transposed)
            ASTER_R(pack_panel_transposed)(r->b + (n0 + j) * r->ld + k0, r->ld, kn, here, out);
        else
            ASTER_R(pack_panel)(r->b + k0 * r->ld + n0 + j, r->ld, kn, here, out);
    }
}

/* Addresses of rows m0 .. m0 + m; *at is the entry of p->rows that holds row m0, and moves on. */
static void ASTER_R(addresses)(const struct ASTER_R(product) *p, int64_t m0, int64_t m, int64_t *at, const REAL **a,
                               REAL **c)
{
    for (int64_t i = 0; i < m;) {
        while (*at + 1 < p->n_rows && p->rows[*at + 1].m0 <= m0 + i)
            ++*at;
        const struct ASTER_R(rows) *s = &p->rows[*at];
        int64_t end = *at + 1 < p->n_rows ? aster_min64(m, s[1].m0 - m0) : m;
        for (; i < end; i++) {
            a[i] = s->a + (m0 + i - s->m0) * p->lda;
            c[i] = s->c + (m0 + i - s->m0) * p->ldc;
        }
    }
}

void ASTER_R(product_run)(const struct ASTER_R(product) *p)
{
    const REAL *a[ASTER_BLOCK_M];
    REAL *c[ASTER_BLOCK_M];
    const int64_t kb = aster_depth_block(p->k);
    for (int64_t n0 = 0; n0 < p->n; n0 += ASTER_BLOCK_N) {
        const int64_t nn = aster_min64(p->n - n0, ASTER_BLOCK_N);
        for (int64_t k0 = 0; k0 == 0 || k0 < p->k; k0 += kb) {
            const int64_t kn = aster_min64(kb, p->k - k0);
            const bool is_last = k0 + kn >= p->k;
            const struct ASTER_R(finish) f = {k0 > 0, is_last ? p->bias : NULL, is_last ? p->act : ASTER_ACT_NONE};
            int64_t at = 0;
            ASTER_R(pack_right)(&p->right, k0, kn, n0, nn, p->work);
            for (int64_t m0 = 0; m0 < p->m; m0 += ASTER_BLOCK_M) {
                const int64_t mm = aster_min64(p->m - m0, ASTER_BLOCK_M), n_tiles = ASTER_R(n_tiles)(mm);
                ASTER_R(addresses)(p, m0, mm, &at, a, c);
                for (int64_t j = 0; j < nn; j += PANEL) {
                    const int64_t left = aster_min64(nn - j, PANEL);
                    const REAL *b = p->work + j * kn;
                    ASTER_R(rows_fn) *const *tile = ASTER_R(rows_table)[left > VLEN];
                    for (int64_t t = 0, i = 0; t < n_tiles; t++) {
                        const int64_t mr = mm / n_tiles + (t < mm % n_tiles);
                        tile[mr - 1](kn, a + i, k0, b, c + i, n0 + j, left, &f);
                        i += mr;
                    }
                }
            }
        }
    }
}

/* out[i mr + r] = a[i lda + r] */
static void ASTER_R(pack_strip)(const REAL *a, int64_t lda, int64_t kn, int64_t mr, REAL *out)
{
    for (int64_t i = 0; i < kn; i++)
        for (int64_t r = 0; r < mr; r++)
            out[i * mr + r] = a[i * lda + r];
}

void ASTER_R(product_transposed)(int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda,
                                 const struct ASTER_R(right) *right, REAL *c, int64_t ldc, REAL *work)
{
    const int64_t kb = aster_depth_block(k);
    REAL *packed = work + aster_packed_bytes(k, n, sizeof(REAL)) / (int64_t)sizeof(REAL);
    for (int64_t n0 = 0; n0 < n; n0 += ASTER_BLOCK_N) {
        const int64_t nn = aster_min64(n - n0, ASTER_BLOCK_N);
        for (int64_t k0 = 0; k0 == 0 || k0 < k; k0 += kb) {
            const int64_t kn = aster_min64(kb, k - k0);
            const struct ASTER_R(outer) o = {1, kn, 0, k0 > 0};
            ASTER_R(pack_right)(right, k0, kn, n0, nn, work);
            for (int64_t m0 = 0; m0 < m; m0 += ASTER_BLOCK_M) {
                const int64_t mm = aster_min64(m - m0, ASTER_BLOCK_M), n_tiles = ASTER_R(n_tiles)(mm);
                for (int64_t t = 0, i = 0; t < n_tiles; t++) {
                    const int64_t mr = mm / n_tiles + (t < mm % n_tiles);
                    ASTER_R(pack_strip)(a + k0 * lda + m0 + i, lda, kn, mr, packed + i * kn);
                    i += mr;
                }
                for (int64_t j = 0; j < nn; j += PANEL)
                    for (int64_t t = 0, i = 0; t < n_tiles; t++) {
                        const int64_t mr = mm / n_tiles + (t < mm % n_tiles);
                        ASTER_R(outer_tile)(&o, mr, packed + i * kn, work + j * kn, c + (m0 + i) * ldc + n0 + j, ldc,
                                            aster_min64(nn - j, PANEL));
                        i += mr;
                    }
            }
        }
    }
}

#undef PANEL
