/* SPDX-License-Identifier: BSD-3-Clause */
/* Tiles and loops for one real type; see micro.h. */

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

/* gelu of finished results, while they are in the first-level cache: in the tiles' own code it would have to be in each of them. */
static void ASTER_R(gelu_rows)(int64_t m, REAL *const *c, int64_t n0, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j += VLEN) {
            REAL *p = c[i] + n0 + j;
            const bool whole = n - j >= VLEN;
            const VREAL x = whole ? ASTER_VR(load)(p) : ASTER_VR(loadn)(p, n - j);
            const VREAL y = x * ASTER_VR(normal)(x);
            if (whole)
                ASTER_VR(store)(p, y);
            else
                ASTER_VR(storen)(p, n - j, y);
        }
}

/* The first left columns of mr rows of sums. One function for all tiles: it is rare, and in line it would be most of the code. */
static __attribute__((noinline)) void ASTER_R(store_part)(int mr, int width, const REAL *t, REAL *const *c, int64_t n0,
                                                          int64_t left, const struct ASTER_R(finish) *f)
{
    for (int r = 0; r < mr; r++, t += width)
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
ASTER_INLINE void ASTER_R(store)(const int mr, const int nv, VREAL acc[ASTER_TILE_ROWS][ASTER_TILE_VECS], REAL *const *c, int64_t n0,
                                 int64_t left, const struct ASTER_R(finish) *f)
{
    if (left >= nv * VLEN) {
        if (f->add) {
#pragma GCC unroll 16
            for (int r = 0; r < mr; r++)
#pragma GCC unroll 4
                for (int v = 0; v < nv; v++)
                    acc[r][v] = *(const VREALU *)(c[r] + n0 + v * VLEN) + acc[r][v];
        }
        if (f->bias) {
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++) {
                const VREAL bias = *(const VREALU *)(f->bias + n0 + v * VLEN);
#pragma GCC unroll 16
                for (int r = 0; r < mr; r++)
                    acc[r][v] += bias;
            }
        }
#pragma GCC unroll 16
        for (int r = 0; r < mr; r++)
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                *(VREALU *)(c[r] + n0 + v * VLEN) = ASTER_R(act)(acc[r][v], f->act);
        return;
    }
    REAL t[ASTER_TILE_ROWS * ASTER_TILE_VECS * VLEN] __attribute__((aligned(ASTER_VB)));
#pragma GCC unroll 16
    for (int r = 0; r < mr; r++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            *(VREAL *)(t + (r * nv + v) * VLEN) = acc[r][v];
    ASTER_R(store_part)(mr, nv * VLEN, t, c, n0, left, f);
}

/* in_place: b is rows of the operand, ldb apart; else a packed panel, and ldb means nothing. */
ASTER_INLINE void ASTER_R(tile_rows)(const int mr, const int nv, const bool in_place, int64_t kn, const REAL *const *a, int64_t k0,
                                     const REAL *b, int64_t ldb, REAL *const *c, int64_t n0, int64_t left,
                                     const struct ASTER_R(finish) *f)
{
    const int64_t step = in_place ? ldb : nv * VLEN;
    const REAL *pa[ASTER_TILE_ROWS];
    VREAL acc[ASTER_TILE_ROWS][ASTER_TILE_VECS];
#pragma GCC unroll 16
    for (int r = 0; r < mr; r++) {
        pa[r] = a[r] + k0;
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            acc[r][v] = (VREAL){0};
    }
    if (kn > PREFETCH_DEPTH)
#pragma GCC unroll 16
        for (int r = 0; r < mr; r++) {
            __builtin_prefetch(c[r] + n0, 1);
            __builtin_prefetch(c[r] + n0 + left - 1, 1);
        }
    DEPTH_UNROLL
    for (int64_t k = 0; k < kn; k++) {
        VREAL bv[ASTER_TILE_VECS];
        for (int byte = 0; in_place && byte < nv * ASTER_VB; byte += 64) {
            __builtin_prefetch((const char *)(b + IN_PLACE_AHEAD * step) + byte);
            __builtin_prefetch((const char *)b + nv * ASTER_VB + byte, 0, 2);
        }
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            bv[v] = in_place ? (VREAL) * (const VREALU *)(b + v * VLEN) : *(const VREAL *)(b + v * VLEN);
#pragma GCC unroll 16
        for (int r = 0; r < mr; r++) {
            const VREAL av = pa[r][k] - (VREAL){0};
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                acc[r][v] = VFMA(av, bv[v], acc[r][v]);
        }
        b += step;
    }
    ASTER_R(store)(mr, nv, acc, c, n0, left, f);
}

ASTER_INLINE void ASTER_R(tile_outer)(const int mr, const int nv, const struct ASTER_R(outer) *o, const REAL *a,
                                      const REAL *b, REAL *c, int64_t ldc, int64_t left)
{
    VREAL acc[ASTER_TILE_ROWS][ASTER_TILE_VECS];
    REAL *pc[ASTER_TILE_ROWS];
    const struct ASTER_R(finish) f = {o->add, NULL, ASTER_ACT_NONE};
#pragma GCC unroll 16
    for (int r = 0; r < mr; r++) {
        pc[r] = c + r * ldc;
        __builtin_prefetch(pc[r], 1);
        __builtin_prefetch(pc[r] + left - 1, 1);
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            acc[r][v] = (VREAL){0};
    }
    for (int64_t s = 0; s < o->n_segments; s++) {
        const REAL *pa = a + s * o->a_segment_rows * mr;
        DEPTH_UNROLL
        for (int64_t t = 0; t < o->length; t++) {
            VREAL bv[ASTER_TILE_VECS];
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                bv[v] = *(const VREAL *)(b + v * VLEN);
#pragma GCC unroll 16
            for (int r = 0; r < mr; r++) {
                const VREAL av = pa[r] - (VREAL){0};
#pragma GCC unroll 4
                for (int v = 0; v < nv; v++)
                    acc[r][v] = VFMA(av, bv[v], acc[r][v]);
            }
            pa += mr;
            b += nv * VLEN;
        }
    }
    ASTER_R(store)(mr, nv, acc, pc, 0, left, &f);
}

#define ROWS_TILE(mr, nv)                                                                                              \
    static __attribute__((noinline)) void ASTER_R(rows_##mr##x##nv)(                                                   \
        int64_t kn, const REAL *const *a, int64_t k0, const REAL *b, int64_t ldb, REAL *const *c, int64_t n0,          \
        int64_t left, const struct ASTER_R(finish) *f)                                                                 \
    {                                                                                                                  \
        ASTER_R(tile_rows)(mr, nv, false, kn, a, k0, b, ldb, c, n0, left, f);                                          \
    }
#define PLACE_TILE(mr, nv)                                                                                             \
    static __attribute__((noinline)) void ASTER_R(place_##mr##x##nv)(                                                  \
        int64_t kn, const REAL *const *a, int64_t k0, const REAL *b, int64_t ldb, REAL *const *c, int64_t n0,          \
        int64_t left, const struct ASTER_R(finish) *f)                                                                 \
    {                                                                                                                  \
        ASTER_R(tile_rows)(mr, nv, true, kn, a, k0, b, ldb, c, n0, left, f);                                           \
    }
#define OUTER_TILE(mr, nv)                                                                                             \
    static __attribute__((noinline)) void ASTER_R(outer_##mr##x##nv)(                                                  \
        const struct ASTER_R(outer) *o, const REAL *a, const REAL *b, REAL *c, int64_t ldc, int64_t left)              \
    {                                                                                                                  \
        ASTER_R(tile_outer)(mr, nv, o, a, b, c, ldc, left);                                                            \
    }
TILES(ROWS_TILE, 1)
TILES(ROWS_TILE, 2)
TILES_WIDE(ROWS_TILE)
TILES(PLACE_TILE, 1)
TILES(PLACE_TILE, 2)
TILES(OUTER_TILE, 1)
TILES(OUTER_TILE, 2)
#undef ROWS_TILE
#undef PLACE_TILE
#undef OUTER_TILE

typedef void ASTER_R(rows_fn)(int64_t kn, const REAL *const *a, int64_t k0, const REAL *b, int64_t ldb, REAL *const *c,
                              int64_t n0, int64_t left, const struct ASTER_R(finish) *f);
typedef void ASTER_R(outer_fn)(const struct ASTER_R(outer) *o, const REAL *a, const REAL *b, REAL *c, int64_t ldc,
                               int64_t left);
#define ROWS_ENTRY(mr, nv) ASTER_R(rows_##mr##x##nv),
#define PLACE_ENTRY(mr, nv) ASTER_R(place_##mr##x##nv),
#define OUTER_ENTRY(mr, nv) ASTER_R(outer_##mr##x##nv),
static ASTER_R(rows_fn) *const ASTER_R(rows_table)[][ASTER_TILE_ROWS] = {
    {TILES(ROWS_ENTRY, 1)}, {TILES(ROWS_ENTRY, 2)}, {TILES_WIDE(ROWS_ENTRY)}};
static ASTER_R(rows_fn) *const ASTER_R(place_table)[2][ASTER_TILE_ROWS] = {{TILES(PLACE_ENTRY, 1)}, {TILES(PLACE_ENTRY, 2)}};
static ASTER_R(outer_fn) *const ASTER_R(outer_table)[2][ASTER_TILE_ROWS] = {{TILES(OUTER_ENTRY, 1)},
                                                                            {TILES(OUTER_ENTRY, 2)}};
#undef ROWS_ENTRY
#undef PLACE_ENTRY
#undef OUTER_ENTRY

void ASTER_R(outer_tile)(const struct ASTER_R(outer) *o, int64_t n_rows, const REAL *a, const REAL *b, REAL *c,
                         int64_t ldc, int64_t left)
{
    ASTER_R(outer_table)[left > VLEN][n_rows - 1](o, a, b, c, ldc, left);
}

/* Swaps bit s of the lane number with bit s of the vector number. */
ASTER_INLINE void ASTER_R(swap_bit)(VREAL v[VLEN], const int s)
{
    VMASK low, high;
#pragma GCC unroll 16
    for (int l = 0; l < VLEN; l++) {
        low[l] = l & s ? VLEN + l - s : l;
        high[l] = l & s ? VLEN + l : l + s;
    }
#pragma GCC unroll 16
    for (int i = 0; i < VLEN; i++)
        if (!(i & s)) {
            const VREAL a = v[i], b = v[i + s];
            v[i] = __builtin_shuffle(a, b, low);
            v[i + s] = __builtin_shuffle(a, b, high);
        }
}

/* out[i width + j] = src[j ld + i] for VLEN by VLEN */
ASTER_INLINE void ASTER_R(transpose_square)(const REAL *src, int64_t ld, int64_t width, REAL *out)
{
    VREAL v[VLEN];
#pragma GCC unroll 16
    for (int j = 0; j < VLEN; j++)
        v[j] = *(const VREALU *)(src + j * ld);
    ASTER_R(swap_bit)(v, 1);
    if (VLEN > 2)
        ASTER_R(swap_bit)(v, 2 % VLEN);
    if (VLEN > 4)
        ASTER_R(swap_bit)(v, 4 % VLEN);
    if (VLEN > 8)
        ASTER_R(swap_bit)(v, 8 % VLEN);
#pragma GCC unroll 16
    for (int i = 0; i < VLEN; i++)
        *(VREAL *)(out + i * width) = v[i];
}

/* A panel with out[i width + j] = src[j ld + i] for kn by n, n <= width; the rest of each row zero */
static void ASTER_R(pack_panel_transposed)(const REAL *src, int64_t ld, int64_t kn, int64_t n, int64_t width, REAL *out)
{
    const int64_t squares = n / VLEN * VLEN, deep = kn / VLEN * VLEN;
    for (int64_t i = 0; i < deep; i += VLEN)
        for (int64_t j = 0; j < squares; j += VLEN)
            ASTER_R(transpose_square)(src + j * ld + i, ld, width, out + i * width + j);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j < squares ? deep : 0; i < kn; i++)
            out[i * width + j] = src[j * ld + i];
    for (int64_t i = 0; i < kn && n < width; i++)
        for (int64_t j = n; j < width; j++)
            out[i * width + j] = 0;
}

/* Panels of nv vectors of src[i ld + j], kn by n, n a multiple of their width. Goes by rows, which lie together in memory. */
ASTER_INLINE void ASTER_R(pack_whole)(const int nv, const REAL *src, int64_t ld, int64_t kn, int64_t n, REAL *out)
{
    for (int64_t i = 0; i < kn; i++)
        for (int64_t j = 0; j < n; j += nv * VLEN)
            for (int v = 0; v < nv; v++)
                *(VREAL *)(out + j * kn + (i * nv + v) * VLEN) = *(const VREALU *)(src + i * ld + j + v * VLEN);
}

/* One panel of nv vectors of src[i ld + j], kn by n, filled up with zeros. */
static void ASTER_R(pack_panel)(int nv, const REAL *src, int64_t ld, int64_t kn, int64_t n, REAL *out)
{
    const int64_t width = nv * VLEN;
    VMASK keep[ASTER_TILE_VECS] = {{0}};
    for (int j = 0; j < n; j++)
        keep[j / VLEN][j % VLEN] = -1;
    int64_t i = 0;
    /* whole vectors as long as they end inside the operand */
    for (; i < kn && (kn - 1 - i) * ld + n >= width; i++)
        for (int v = 0; v < nv; v++)
            *(VMASK *)(out + i * width + v * VLEN) = (VMASK)(VREAL)*(const VREALU *)(src + i * ld + v * VLEN) & keep[v];
    for (; i < kn; i++)
        for (int64_t j = 0; j < width; j++)
            out[i * width + j] = j < n ? src[i * ld + j] : 0;
}

static void ASTER_R(pack_rows)(int most, const REAL *src, int64_t ld, int64_t kn, int64_t n, REAL *out)
{
    int64_t j = 0, width = most * VLEN;
    while (n - j >= width && ASTER_R(panel_vecs)(most, n - j) == most)
        j += width;
    if (most == 3)
        ASTER_R(pack_whole)(3, src, ld, kn, j, out);
    else
        ASTER_R(pack_whole)(2, src, ld, kn, j, out);
    for (; j < n; j += width) {
        const int nv = ASTER_R(panel_vecs)(most, n - j);
        width = nv * VLEN;
        ASTER_R(pack_panel)(nv, src + j, ld, kn, aster_min64(n - j, width), out + j * kn);
    }
}

/* A panel of bf16 rows, as pack_panel makes it of reals. */
static void ASTER_R(pack_panel_half)(const uint16_t *src, int64_t ld, int64_t kn, int64_t n, int64_t width, REAL *out)
{
    for (int64_t i = 0; i < kn; i++, out += width) {
        for (int64_t c = 0; c < n; c++)
            out[c] = (REAL)aster_bf16_to_f32(src[i * ld + c]);
        for (int64_t c = n; c < width; c++)
            out[c] = 0;
    }
}

static void ASTER_R(pack_panel_flipped)(const struct ASTER_R(right) *r, int64_t k0, int64_t kn, int64_t n0, int64_t n,
                                        int64_t width, REAL *out)
{
    for (int64_t i = 0; i < kn;) {
        int64_t tap = (k0 + i) / r->n_channels, channel = (k0 + i) % r->n_channels;
        int64_t here = aster_min64(kn - i, r->n_channels - channel);
        const REAL *slab = r->b + (r->n_taps - 1 - tap) * r->tap_stride;
        ASTER_R(pack_panel_transposed)(slab + n0 * r->ld + channel, r->ld, here, n, width, out + i * width);
        i += here;
    }
}

void ASTER_R(pack_right)(const struct ASTER_R(right) *r, int most, int64_t k0, int64_t kn, int64_t n0, int64_t n, REAL *out)
{
    if (r->n_taps == 0 && !r->is_transposed && !r->half) {
        ASTER_R(pack_rows)(most, r->b + k0 * r->ld + n0, r->ld, kn, n, out);
        return;
    }
    for (int64_t j = 0, width; j < n; j += width, out += kn * width) {
        width = ASTER_R(panel_vecs)(most, n - j) * VLEN;
        const int64_t here = aster_min64(n - j, width);
        if (r->half)
            ASTER_R(pack_panel_half)(r->half + k0 * r->ld + n0 + j, r->ld, kn, here, width, out);
        else if (r->n_taps > 0)
            ASTER_R(pack_panel_flipped)(r, k0, kn, n0 + j, here, width, out);
        else
            ASTER_R(pack_panel_transposed)(r->b + (n0 + j) * r->ld + k0, r->ld, kn, here, width, out);
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

/* m rows against left columns from n0 on, in n_tiles tiles of nearly equal size. */
static void ASTER_R(panel)(ASTER_R(rows_fn) *const *tile, int64_t n_tiles, int64_t m, int64_t kn, const REAL *const *a, int64_t k0,
                           const REAL *b, int64_t ldb, REAL *const *c, int64_t n0, int64_t left, const struct ASTER_R(finish) *f)
{
    for (int64_t t = 0, i = 0; t < n_tiles; t++) {
        const int64_t mr = m / n_tiles + (t < m % n_tiles);
        tile[mr - 1](kn, a + i, k0, b, ldb, c + i, n0, left, f);
        i += mr;
    }
    if (f->act == ASTER_ACT_GELU)
        ASTER_R(gelu_rows)(m, c, n0, left);
}

/* m rows against one packed block: every panel of it. */
static void ASTER_R(block)(int64_t m, int64_t kn, int64_t k0, int64_t n0, int64_t nn, const REAL *packed, const REAL *const *a,
                           REAL *const *c, const struct ASTER_R(finish) *f)
{
    for (int64_t j = 0, left; j < nn; j += left) {
        const int nv = ASTER_R(panel_vecs)(ASTER_TILE_VECS, nn - j);
        const int64_t n_tiles = nv > 2 ? (m + ASTER_WIDE_ROWS - 1) / ASTER_WIDE_ROWS : ASTER_R(n_tiles)(m);
        left = aster_min64(nn - j, nv * VLEN);
        ASTER_R(panel)(ASTER_R(rows_table)[nv - 1], n_tiles, m, kn, a, k0, packed + j * kn, 0, c, n0 + j, left, f);
    }
}

/* Few rows against a right operand that lies by rows: only a last panel that is not whole is packed. */
static void ASTER_R(product_few)(const struct ASTER_R(product) *p)
{
    const REAL *a[FEW_ROWS];
    REAL *c[FEW_ROWS];
    const int64_t kb = aster_depth_block(p->k), ld = p->right.ld, n_tiles = ASTER_R(n_tiles)(p->m);
    int64_t at = 0;
    ASTER_R(addresses)(p, 0, p->m, &at, a, c);
    for (int64_t k0 = 0; k0 == 0 || k0 < p->k; k0 += kb) {
        const int64_t kn = aster_min64(kb, p->k - k0);
        const bool is_last = k0 + kn >= p->k;
        const struct ASTER_R(finish) f = {k0 > 0, is_last ? p->bias : NULL, is_last ? p->act : ASTER_ACT_NONE};
        for (int64_t j = 0, left; j < p->n; j += left) {
            const int nv = ASTER_R(panel_vecs)(2, p->n - j);
            const REAL *b = p->right.b + k0 * ld + j;
            left = aster_min64(p->n - j, nv * VLEN);
            if (left == nv * VLEN) {
                ASTER_R(panel)(ASTER_R(place_table)[nv - 1], n_tiles, p->m, kn, a, k0, b, ld, c, j, left, &f);
                continue;
            }
            ASTER_R(pack_panel)(nv, b, ld, kn, left, p->work);
            ASTER_R(panel)(ASTER_R(rows_table)[nv - 1], n_tiles, p->m, kn, a, k0, p->work, 0, c, j, left, &f);
        }
    }
}

/* Rounded copies of the elements k0 .. k0 + depth of m rows, lda apart where they follow each other; a: where they are now. */
static void ASTER_R(round_rows)(enum aster_products products, int64_t m, int64_t lda, int64_t k0, int64_t depth,
                                const REAL **a, REAL *out)
{
    for (int64_t i = 0, n; i < m; i += n) {
        for (n = 1; lda < depth && i + n < m && a[i + n] == a[i] + n * lda;)
            n++;
        const int64_t size = (n - 1) * lda + depth;
        VROUND(products, size, a[i] + k0, out);
        for (int64_t j = 0; j < n; j++)
            a[i + j] = out + j * lda;
        out += size;
    }
}

void ASTER_R(product_run)(const struct ASTER_R(product) *p)
{
#if ASTER_BF16_DOT
    if (REAL_DTYPE == ASTER_F32 && p->products == ASTER_PRODUCTS_BF16) {
        ASTER_BF16_RUN((const void *)p);
        return;
    }
#endif
    const bool is_rounded = p->products != ASTER_PRODUCTS_FULL;
    if (p->m <= FEW_ROWS && !is_rounded && !p->right.is_transposed && !p->right.half && p->right.n_taps == 0) {
        ASTER_R(product_few)(p);
        return;
    }
    REAL *rounded = p->work + aster_packed_bytes(p->k, p->n, sizeof(REAL)) / (int64_t)sizeof(REAL);
    const REAL *a[ASTER_BLOCK_M];
    REAL *c[ASTER_BLOCK_M];
    const int64_t kb = aster_depth_block(p->k), deep = aster_depth_packed(p->k);
    const int64_t mb = aster_left_rows(p->lda, p->k, sizeof(REAL));
    for (int64_t n0 = 0; n0 < p->n; n0 += ASTER_BLOCK_N) {
        const int64_t nn = aster_min64(p->n - n0, ASTER_BLOCK_N), columns = aster_round_up(nn, VLEN);
        for (int64_t d0 = 0; d0 == 0 || d0 < p->k; d0 += deep) {
            const int64_t d1 = aster_min64(p->k, d0 + deep);
            for (int64_t k0 = d0; k0 < d1; k0 += kb) {
                REAL *panels = p->work + (k0 - d0) * columns;
                const int64_t kn = aster_min64(kb, d1 - k0);
                ASTER_R(pack_right)(&p->right, ASTER_TILE_VECS, k0, kn, n0, nn, panels);
                ASTER_R(round_packed)(p->products, kn * columns, panels);
            }
            int64_t at = 0;
            for (int64_t m0 = 0; m0 < p->m; m0 += mb) {
                const int64_t mm = aster_min64(p->m - m0, mb);
                ASTER_R(addresses)(p, m0, mm, &at, a, c);
                if (is_rounded)
                    ASTER_R(round_rows)(p->products, mm, p->lda, d0, d1 - d0, a, rounded);
                for (int64_t k0 = d0; k0 == d0 || k0 < d1; k0 += kb) {
                    const int64_t kn = aster_min64(kb, d1 - k0);
                    const bool is_last = k0 + kn >= p->k;
                    const struct ASTER_R(finish) f = {k0 > 0, is_last ? p->bias : NULL, is_last ? p->act : ASTER_ACT_NONE};
                    ASTER_R(block)(mm, kn, is_rounded ? k0 - d0 : k0, n0, nn, p->work + (k0 - d0) * columns, a, c, &f);
                }
            }
        }
    }
}

/* The size is a constant of each instance, so that a row is copied by one or two moves. */
#define STRIP(mr, nv)                                                                                                  \
    static void ASTER_R(strip_##mr)(const REAL *a, int64_t lda, int64_t n, REAL *out)                                  \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            memcpy(out + i * mr, a + i * lda, mr * sizeof *out);                                                       \
    }
TILES(STRIP, 1)
#undef STRIP
#define STRIP_ENTRY(mr, nv) ASTER_R(strip_##mr),
typedef void ASTER_R(strip_fn)(const REAL *a, int64_t lda, int64_t n, REAL *out);
static ASTER_R(strip_fn) *const ASTER_R(strip_table)[ASTER_TILE_ROWS] = {TILES(STRIP_ENTRY, 1)};
#undef STRIP_ENTRY

void ASTER_R(pack_left)(const REAL *a, int64_t lda, int64_t n, int64_t m, int64_t first, int64_t total, REAL *out)
{
    const int64_t n_tiles = ASTER_R(n_tiles)(m);
    /* few rows at a time, so that all strips find them in the first-level cache */
    const int64_t few = aster_max64(8, PACK_BYTES / (aster_max64(m, 1) * (int64_t)sizeof(REAL)));
    for (int64_t r0 = 0; r0 < n; r0 += few)
        for (int64_t t = 0, i = 0; t < n_tiles; t++) {
            const int64_t mr = m / n_tiles + (t < m % n_tiles);
            ASTER_R(strip_table)[mr - 1](a + r0 * lda + i, lda, aster_min64(few, n - r0), out + i * total + (first + r0) * mr);
            i += mr;
        }
}

void ASTER_R(product_transposed)(int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda,
                                 const struct ASTER_R(right) *right, enum aster_products products, REAL *c, int64_t ldc,
                                 REAL *work)
{
    const int64_t kb = aster_depth_block_transposed(k);
    REAL *left = work, *panels = work + aster_packed_left_bytes(k, m, sizeof(REAL)) / (int64_t)sizeof(REAL);
    for (int64_t n0 = 0; n0 < n; n0 += ASTER_BLOCK_N) {
        const int64_t nn = aster_min64(n - n0, ASTER_BLOCK_N);
        for (int64_t k0 = 0; k0 == 0 || k0 < k; k0 += kb) {
            const int64_t kn = aster_min64(kb, k - k0);
            const struct ASTER_R(outer) o = {1, kn, 0, k0 > 0};
            ASTER_R(pack_right)(right, ASTER_OUTER_VECS, k0, kn, n0, nn, panels);
            ASTER_R(round_packed)(products, kn * aster_round_up(nn, VLEN), panels);
            for (int64_t m0 = 0; m0 < m; m0 += ASTER_BLOCK_M) {
                const int64_t mm = aster_min64(m - m0, ASTER_BLOCK_M), n_tiles = ASTER_R(n_tiles)(mm);
                ASTER_R(pack_left)(a + k0 * lda + m0, lda, kn, mm, 0, kn, left);
                ASTER_R(round_packed)(products, kn * mm, left);
                for (int64_t j = 0; j < nn; j += ASTER_OUTER_VECS * VLEN)
                    for (int64_t t = 0, i = 0; t < n_tiles; t++) {
                        const int64_t mr = mm / n_tiles + (t < mm % n_tiles);
                        ASTER_R(outer_tile)(&o, mr, left + i * kn, panels + j * kn, c + (m0 + i) * ldc + n0 + j, ldc,
                                            aster_min64(nn - j, ASTER_OUTER_VECS * VLEN));
                        i += mr;
                    }
            }
        }
    }
}
