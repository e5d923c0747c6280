/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of f32 rows with weights of bf16, or of f32 that are rounded to it, by the instruction
 * that adds two products of bf16 to an f32: included by micro.c, behind the f32 tiles, whose ends
 * (bias, function, narrow columns) and packing it shares.
 *
 * Two neighbours along the depth are a pair. Rows are rounded and packed as pairs, weights as
 * [panel][pair][column][2]. A sum goes by pairs in ascending order, in passes that follow from the
 * depth alone: its bits do not depend on the tile. */

enum { BF16_PANEL = 2 * VLEN };

/* acc + the products of the pairs of a and b */
ASTER_INLINE aster_vf32 bf16_dot(aster_vf32 acc, aster_vi32 a, aster_vi32 b)
{
#if defined __AVX512BF16__
    return (aster_vf32)_mm512_dpbf16_ps((__m512)acc, (__m512bh)(__m512i)a, (__m512bh)(__m512i)b);
#else
    const aster_vi32 high = (aster_vi32){0} + (int32_t)0xffff0000;
    acc = aster_fma_f32((aster_vf32)(a & high), (aster_vf32)(b & high), acc);
    return aster_fma_f32((aster_vf32)(a << 16), (aster_vf32)(b << 16), acc);
#endif
}

/* Nearest even; a NaN stays one. */
ASTER_INLINE uint16_t bf16_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return (uint16_t)((f == f ? u + 0x7fffU + ((u >> 16) & 1) : u | 0x400000U) >> 16);
}

/* m rows of kn elements -> rows of width elements, zeros behind */
static void bf16_pack_rows(int64_t m, int64_t kn, int64_t width, const float *const *a, int64_t k0,
                           uint16_t *out)
{
    for (int64_t i = 0; i < m; i++, out += width) {
        for (int64_t k = 0; k < kn; k++)
            out[k] = bf16_of(a[i][k0 + k]);
        for (int64_t k = kn; k < width; k++)
            out[k] = 0;
    }
}

/* kn rows of n columns, ld apart */
static void bf16_pack_weights(int64_t kn, int64_t n, const uint16_t *b, int64_t ld, uint16_t *out)
{
    for (int64_t j = 0; j < n; j += BF16_PANEL) {
        const int64_t here = aster_min64(n - j, BF16_PANEL);
        for (int64_t k = 0; k < kn; k += 2, out += 2 * BF16_PANEL) {
            const uint16_t *first = b + k * ld + j, *second = first + ld;
            const bool has_second = k + 1 < kn;
            for (int64_t c = 0; c < here; c++) {
                out[2 * c] = first[c];
                out[2 * c + 1] = has_second ? second[c] : 0;
            }
            for (int64_t c = 2 * here; c < 2 * BF16_PANEL; c++)
                out[c] = 0;
        }
    }
}

/* A panel of f32 weights [kn][width] as pairs of BF16_PANEL columns */
static void bf16_pack_panel(int64_t kn, int64_t width, const float *panel, uint16_t *out)
{
    for (int64_t k = 0; k < kn; k += 2, panel += 2 * width, out += 2 * BF16_PANEL) {
        const bool has_second = k + 1 < kn;
        for (int64_t c = 0; c < width; c++) {
            out[2 * c] = bf16_of(panel[c]);
            out[2 * c + 1] = has_second ? bf16_of(panel[width + c]) : 0;
        }
        for (int64_t c = 2 * width; c < 2 * BF16_PANEL; c++)
            out[c] = 0;
    }
}

/* Rows k0 .. k0 + kn and columns n0 .. n0 + n of the right operand; panel: room for one in f32 */
static void bf16_pack_right(const struct ASTER_R(right) * r, int64_t k0, int64_t kn, int64_t n0,
                            int64_t n, float *panel, uint16_t *out)
{
    const int64_t pairs = (kn + 1) / 2;
    if (r->half) {
        bf16_pack_weights(kn, n, r->half + k0 * r->ld + n0, r->ld, out);
        return;
    }
    for (int64_t j = 0; j < n; j += BF16_PANEL, out += pairs * 2 * BF16_PANEL) {
        const int64_t here = aster_min64(n - j, BF16_PANEL);
        ASTER_R(pack_right)(r, 2, k0, kn, n0 + j, here, panel);
        bf16_pack_panel(kn, aster_round_up(here, VLEN), panel, out);
    }
}

ASTER_INLINE void bf16_tile(const int mr, const int nv, int64_t pairs, const int32_t *a,
                            int64_t lda, const aster_vi32 *b, float *const *c, int64_t n0,
                            int64_t left, const struct ASTER_R(finish) * f)
{
    aster_vf32 acc[ASTER_TILE_ROWS][ASTER_TILE_VECS];
#pragma GCC unroll 16
    for (int r = 0; r < mr; r++)
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            acc[r][v] = (aster_vf32){0};
    for (int64_t p = 0; p < pairs; p++, b += 2) {
        aster_vi32 bv[2];
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            bv[v] = b[v];
#pragma GCC unroll 16
        for (int r = 0; r < mr; r++) {
            const aster_vi32 av = a[r * lda + p] + (aster_vi32){0};
#pragma GCC unroll 2
            for (int v = 0; v < nv; v++)
                acc[r][v] = bf16_dot(acc[r][v], av, bv[v]);
        }
    }
    ASTER_R(store)(mr, nv, acc, c, n0, left, f);
}

#define TILE(mr, nv)                                                                               \
    static __attribute__((noinline)) void bf16_##mr##x##nv(                                        \
        int64_t pairs, const int32_t *a, int64_t lda, const aster_vi32 *b, float *const *c,        \
        int64_t n0, int64_t left, const struct ASTER_R(finish) * f)                                \
    {                                                                                              \
        bf16_tile(mr, nv, pairs, a, lda, b, c, n0, left, f);                                       \
    }
TILES(TILE, 1)
TILES(TILE, 2)
#undef TILE
typedef void bf16_fn(int64_t pairs, const int32_t *a, int64_t lda, const aster_vi32 *b,
                     float *const *c, int64_t n0, int64_t left, const struct ASTER_R(finish) * f);
#define ENTRY(mr, nv) bf16_##mr##x##nv,
static bf16_fn *const bf16_tiles[2][ASTER_TILE_ROWS] = {{TILES(ENTRY, 1)}, {TILES(ENTRY, 2)}};
#undef ENTRY

/* m packed rows against packed weights: every panel, every tile of rows */
static void bf16_block(int64_t m, int64_t width, int64_t n0, int64_t nn, const uint16_t *a,
                       const uint16_t *b, float *const *c, const struct ASTER_R(finish) * f)
{
    const int64_t n_tiles = ASTER_R(n_tiles)(m), pairs = width / 2;
    for (int64_t j = 0; j < nn; j += BF16_PANEL) {
        const int64_t left = aster_min64(nn - j, BF16_PANEL);
        for (int64_t t = 0, i = 0; t < n_tiles; t++) {
            const int64_t mr = m / n_tiles + (t < m % n_tiles);
            bf16_tiles[left > VLEN][mr - 1](
                pairs, (const int32_t *)(const void *)(a + i * width), pairs,
                (const aster_vi32 *)(const void *)(b + j * width), c + i, n0 + j, left, f);
            i += mr;
        }
        if (f->act == ASTER_ACT_GELU)
            ASTER_R(gelu_rows)(m, c, n0 + j, left);
    }
}

void ASTER_BF16_RUN(const struct ASTER_R(product) * p)
{
    const float *a[ASTER_BLOCK_M];
    float *c[ASTER_BLOCK_M];
    const int64_t depth = aster_bf16_depth(p->k), mb = aster_rows_block(2 * aster_bf16_row(p->k));
    char *work = (char *)p->work;
    uint16_t *weights = (uint16_t *)work,
             *rows = (uint16_t *)(work + aster_bf16_weight_bytes(p->k, p->n));
    float *panel =
        (float *)(work + aster_bf16_weight_bytes(p->k, p->n) + aster_bf16_row_bytes(p->k));
    for (int64_t n0 = 0; n0 < p->n; n0 += ASTER_BLOCK_N) {
        const int64_t nn = aster_min64(p->n - n0, ASTER_BLOCK_N);
        for (int64_t k0 = 0; k0 == 0 || k0 < p->k; k0 += depth) {
            const int64_t kn = aster_min64(depth, p->k - k0), even = aster_round_up(kn, 2);
            const bool is_last = k0 + kn >= p->k;
            const struct ASTER_R(finish)
                f = {k0 > 0, is_last ? p->bias : NULL, is_last ? p->act : ASTER_ACT_NONE};
            bf16_pack_right(&p->right, k0, kn, n0, nn, panel, weights);
            int64_t at = 0;
            for (int64_t m0 = 0; m0 < p->m; m0 += mb) {
                const int64_t mm = aster_min64(p->m - m0, mb);
                ASTER_R(addresses)(p, m0, mm, &at, a, c);
                bf16_pack_rows(mm, kn, even, a, k0, rows);
                bf16_block(mm, even, n0, nn, rows, weights, c, &f);
            }
        }
    }
}
