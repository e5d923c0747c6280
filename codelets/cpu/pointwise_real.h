/* SPDX-License-Identifier: BSD-3-Clause */
/* binary, affine and dropout for one real type: REAL and VSUF are defined by pointwise.c. Each
 * element is computed from its own inputs, read before it is written, so y may be an operand. */

#define BINARY_LOOPS(name, op)                                                                     \
    static void RN(name##_vv)(int64_t n, const REAL *a, const REAL *b, REAL *y)                    \
    {                                                                                              \
        for (int64_t k = 0; k < n; k += LANES)                                                     \
            RN(store)(n - k, y + k, RN(load)(n - k, a + k) op RN(load)(n - k, b + k));             \
    }                                                                                              \
    static void RN(name##_vs)(int64_t n, const REAL *a, const REAL *b, REAL *y)                    \
    {                                                                                              \
        VEC s = ASTER_V(set)(*b);                                                                  \
        for (int64_t k = 0; k < n; k += LANES)                                                     \
            RN(store)(n - k, y + k, RN(load)(n - k, a + k) op s);                                  \
    }                                                                                              \
    static void RN(name##_sv)(int64_t n, const REAL *a, const REAL *b, REAL *y)                    \
    {                                                                                              \
        VEC s = ASTER_V(set)(*a);                                                                  \
        for (int64_t k = 0; k < n; k += LANES)                                                     \
            RN(store)(n - k, y + k, s op RN(load)(n - k, b + k));                                  \
    }
BINARY_LOOPS(add, +)
BINARY_LOOPS(sub, -)
BINARY_LOOPS(mul, *)
BINARY_LOOPS(div, /)
#undef BINARY_LOOPS

typedef void RN(binary_loop)(int64_t n, const REAL *a, const REAL *b, REAL *y);

/* [op][which operand is one value: none, b, a] */
static RN(binary_loop) *const RN(binary_loops)[ASTER_N_BINS][3] = {
    [ASTER_BIN_ADD] = {RN(add_vv), RN(add_vs), RN(add_sv)},
    [ASTER_BIN_SUB] = {RN(sub_vv), RN(sub_vs), RN(sub_sv)},
    [ASTER_BIN_MUL] = {RN(mul_vv), RN(mul_vs), RN(mul_sv)},
    [ASTER_BIN_DIV] = {RN(div_vv), RN(div_vs), RN(div_sv)},
};

/* rows rows of n values each, as they enter y's rows: x itself when nothing repeats, else written
 * out into buf. It has room for a vector more: what a row writes too far the next one replaces. */
static const REAL *RN(expand)(int64_t rows, int64_t n, const REAL *x, int64_t row, int64_t col,
                              REAL *buf)
{
    if (col && row == n)
        return x;
    for (int64_t r = 0; r < rows; r++, x += row)
        if (col) {
            memcpy(buf + r * n, x, (size_t)n * sizeof(REAL));
        } else {
            VEC v = ASTER_V(set)(*x);
            for (int64_t c = 0; c < n; c += LANES)
                ASTER_V(store)(buf + r * n + c, v);
        }
    return buf;
}

/* A call per row costs more than a narrow row: several rows at a time, with what repeats written
 * out. */
static void RN(binary_narrow)(RN(binary_loop) * loop, const struct walk *w, const REAL *a,
                              const REAL *b, REAL *y)
{
    REAL buf_a[NARROW_CELLS + ASTER_VB], buf_b[NARROW_CELLS + ASTER_VB];
    const int64_t *sa = w->stride[0] + 3, *sb = w->stride[1] + 3;
    int64_t rows = w->dim[3], n = w->dim[4], group = aster_min64(NARROW_CELLS / n, rows);
    const REAL *xa = NULL, *xb = NULL;
    for (int64_t r = 0; r < rows; r += group) {
        int64_t h = aster_min64(group, rows - r);
        if (!xa || sa[0]) /* rows that repeat stay as they are */
            xa = RN(expand)(h, n, a + r * sa[0], sa[0], sa[1], buf_a);
        if (!xb || sb[0])
            xb = RN(expand)(h, n, b + r * sb[0], sb[0], sb[1], buf_b);
        loop(h * n, xa, xb, y + r * n);
    }
}

static void RN(binary)(enum aster_binary op, const struct walk *w, const REAL *a, const REAL *b,
                       REAL *y)
{
    int64_t rows = w->dim[3], n = w->dim[4];
    const int64_t *sa = w->stride[0] + 3, *sb = w->stride[1] + 3;
    RN(binary_loop) *loop = RN(binary_loops)[op][!sb[1] ? 1 : !sa[1] ? 2 : 0];
    WALK_OUTER(w, oa, ob)
    {
        if (rows > 1 && n <= NARROW)
            RN(binary_narrow)(RN(binary_loops)[op][0], w, a + oa, b + ob, y);
        else
            for (int64_t r = 0; r < rows; r++)
                loop(n, a + oa + r * sa[0], b + ob + r * sb[0], y + r * n);
        y += rows * n;
    }
}

static void RN(affine)(int64_t n, REAL scale, REAL shift, const REAL *x, REAL *y)
{
    VEC a = ASTER_V(set)(scale), b = ASTER_V(set)(shift);
    for (int64_t k = 0; k < n; k += LANES)
        RN(store)(n - k, y + k, a * RN(load)(n - k, x + k) + b);
}

/* The n values from place on of one sample. */
static void RN(dropout)(int64_t n, const struct aster_keep *keep, uint32_t place, REAL scale,
                        const REAL *x, REAL *y)
{
    uint32_t bits[DROPOUT_CELLS + ASTER_VB];
    for (int64_t k0 = 0; k0 < n; k0 += DROPOUT_CELLS) {
        int64_t m = aster_min64(DROPOUT_CELLS, n - k0);
        dropout_bits(m, keep, place + (uint32_t)k0, bits);
        RN(drop)(m, bits, keep->threshold, scale, x + k0, y + k0);
    }
}
