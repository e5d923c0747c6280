/* SPDX-License-Identifier: BSD-3-Clause */
/* What micro.c offers for one real type. */

/* Consecutive rows of a product: row m0 + r has its left operand at a + r lda and its result at c + r ldc. */
struct ASTER_R(rows) {
    int64_t m0;
    const REAL *a;
    REAL *c;
};

/* Where the right operand comes from: element (k, n) of the packed block. */
struct ASTER_R(right) {
    const REAL *b;
    int64_t ld;
    bool is_transposed; /* (k, n) is b[n ld + k], else b[k ld + n] */
    /* Derivative of a convolution: k = (tap, channel) with taps in reverse and the slab of each transposed:
     * (k, n) is b[(n_taps - 1 - tap) tap_stride + n ld + channel]. n_taps = 0 otherwise. */
    int64_t n_taps, tap_stride, n_channels;
    const uint16_t *half; /* instead of b, not transposed: bf16 */
};

/* c[m, n] = act(sum over k of a[m, k] b[k, n] + bias[n]). Rows may overlap (a convolution in place). */
struct ASTER_R(product) {
    int64_t m, n, k;
    const struct ASTER_R(rows) *rows; /* ascending m0, the first 0 */
    int64_t n_rows;                   /* how many of them */
    int64_t lda, ldc;
    struct ASTER_R(right) right;
    const REAL *bias; /* [n] or NULL */
    int act;
    enum aster_products products;
    REAL *work; /* 64-byte aligned: aster_packed_bytes(k, n), or aster_product_bytes where operands are rounded */
};
void ASTER_R(product_run)(const struct ASTER_R(product) *p);

/* c[m, n] = sum over k of a[k, m] b[k, n]; work: aster_packed_transposed_bytes(k, m, n) */
void ASTER_R(product_transposed)(int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda,
                                 const struct ASTER_R(right) *right, enum aster_products products, REAL *c, int64_t ldc,
                                 REAL *work);

/* y[n_out rows, columns] += or = over segments: rows of packed a against rows of packed b. */
struct ASTER_R(outer) {
    int64_t n_segments, length; /* rows of each segment */
    int64_t a_segment_rows;     /* rows of a from one segment to the next */
    bool add;                   /* to what c holds */
};
/* One strip: a packed [rows][n_rows] with n_rows <= ASTER_TILE_ROWS; b one panel; left: columns of it to store. */
void ASTER_R(outer_tile)(const struct ASTER_R(outer) *o, int64_t n_rows, const REAL *a, const REAL *b, REAL *c,
                         int64_t ldc, int64_t left);

/* Vectors of the next panel when so many columns are left: most of them, but rather two and two than three and one. */
ASTER_INLINE int ASTER_R(panel_vecs)(int most, int64_t left)
{
    const int64_t n = (left + VLEN - 1) / VLEN;
    return n == 4 ? 2 : (int)aster_min64(n, most);
}

/* The panels of n columns starting at column n0, rows k0 .. k0 + kn: [panel][kn][its vectors], zeros beyond n. The panel of
 * column j begins at out[j kn]. */
void ASTER_R(pack_right)(const struct ASTER_R(right) *r, int most, int64_t k0, int64_t kn, int64_t n0, int64_t n, REAL *out);

/* n packed elements in their place, where operands are rounded */
ASTER_INLINE void ASTER_R(round_packed)(enum aster_products products, int64_t n, REAL *p)
{
    if (products != ASTER_PRODUCTS_FULL)
        VROUND(products, n, p, p);
}

/* Strips of a left operand with total rows in all, of which these n are number first on: the strip of columns
 * i .. i + mr is out[i total ..] as [total][mr], mr as aster_n_tiles cuts m. */
void ASTER_R(pack_left)(const REAL *a, int64_t lda, int64_t n, int64_t m, int64_t first, int64_t total, REAL *out);

/* Cuts n rows into tiles of nearly equal size; the size of tile i, and the number of tiles. */
ASTER_INLINE int64_t ASTER_R(n_tiles)(int64_t n)
{
    return (n + ASTER_TILE_ROWS - 1) / ASTER_TILE_ROWS;
}
