/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch normalisation for one real type: REAL, VREAL, VMASK, VSUF and RN() are defined by batchnorm.c. Channels are contiguous:
 * inner loops run over them, in vectors with selections by masks (the compiler makes branches of them, which random signs and
 * dropout defeat). What is not a sum over rows is rounded step by step: every instruction set gives the same bits. */

#define LANES ((int64_t)(ASTER_VB / sizeof(REAL)))
typedef REAL RN(part) __attribute__((vector_size(BN_PART * sizeof(REAL)), aligned(sizeof(REAL)), may_alias)); /* to become doubles */

ASTER_VFN VREAL RN(get)(const REAL *p, int64_t n)
{
    return n >= LANES ? ASTER_V(load)(p) : ASTER_V(loadn)(p, n);
}
ASTER_VFN void RN(put)(REAL *p, int64_t n, VREAL v)
{
    if (n >= LANES)
        ASTER_V(store)(p, v);
    else
        ASTER_V(storen)(p, n, v);
}

/* Sums of x and x^2 of one strip over rows, in order */
ASTER_VFN void RN(stats_strip)(int64_t rows, int64_t n, const REAL *x, double *sum, double *square)
{
    aster_vf64 u[BN_PARTS], v[BN_PARTS];
    strip_load(u, sum);
    strip_load(v, square);
    for (int64_t r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int k = 0; k < BN_PARTS; k++) {
            aster_vf64 d = __builtin_convertvector(*(const RN(part) *)(x + r * n + k * BN_PART), aster_vf64);
            u[k] += d;
            v[k] = aster_vfma_f64(d, d, v[k]);
        }
    strip_store(sum, u);
    strip_store(square, v);
}

static void RN(bn_stats)(const struct aster_args *a)
{
    struct bn s = bn_shape(a);
    int64_t rows = s.samples * s.positions, n = s.channels, in_strips = n / BN_STRIP * BN_STRIP;
    const REAL *x = a->in[0].p;
    double *sum = a->out[0].p, *square = sum + n;
    memset(sum, 0, (size_t)(2 * n) * sizeof *sum);
    for (int64_t r = 0; r < rows; r += BN_ROWS)
        for (int64_t c = 0; c < in_strips; c += BN_STRIP)
            RN(stats_strip)(aster_min64(BN_ROWS, rows - r), n, x + r * n + c, sum + c, square + c);
    for (int64_t c = in_strips; c < n; c++)
        for (int64_t r = 0; r < rows; r++) {
            double d = (double)x[r * n + c];
            sum[c] += d;
            square[c] = aster_sfma_f64(d, d, square[c]);
        }
}

/* y = act(x scale + shift), and dropout by mask; n channels */
ASTER_VFN void RN(apply_row)(const bool relu, const uint32_t *mask, REAL again, const REAL *scale, const REAL *shift, int64_t n,
                             const REAL *x, REAL *y)
{
    for (int64_t c = 0; c < n; c += LANES) {
        VREAL v = RN(get)(x + c, n - c) * *(const VREAL *)(scale + c) + *(const VREAL *)(shift + c);
        if (relu)
            v = ASTER_V(max)(ASTER_V(set)(0), v); /* NaN stays */
        if (mask)
            v = (VREAL)(RN(mask)(mask + c) & (VMASK)(v * again));
        RN(put)(y + c, n - c, v);
    }
}

static void RN(bn_apply)(const struct aster_args *a)
{
    struct bn s = bn_shape(a);
    const REAL *x = a->in[0].p, *gamma = a->in[2].p, *beta = a->in[3].p;
    const double *mean = a->in[1].p, *var = mean + s.channels;
    REAL *y = a->out[0].p, again = (REAL)(1 / (1 - s.drop));
    for (int64_t first = 0; first < s.channels; first += BN_CHUNK) {
        REAL scale[BN_CHUNK] __attribute__((aligned(64))), shift[BN_CHUNK] __attribute__((aligned(64)));
        uint32_t mask[BN_CHUNK] __attribute__((aligned(64)));
        int64_t n = aster_min64(BN_CHUNK, s.channels - first);
        for (int64_t c = 0; c < n; c++) {
            double r = (double)gamma[first + c] / sqrt(var[first + c] + s.eps);
            scale[c] = (REAL)r;
            shift[c] = (REAL)((double)beta[first + c] - mean[first + c] * r);
        }
        for (int64_t b = 0; b < s.samples; b++) {
            struct aster_keep keep = {0};
            if (s.drop != 0)
                keep = aster_keep_new(a->run, s.key, b, s.drop);
            for (int64_t t = 0; t < s.positions; t++) {
                int64_t at = (b * s.positions + t) * s.channels + first;
                if (s.drop != 0) {
                    drop_row(&keep, (uint32_t)(t * s.channels + first), n, mask);
                    if (s.relu)
                        RN(apply_row)(true, mask, again, scale, shift, n, x + at, y + at);
                    else
                        RN(apply_row)(false, mask, again, scale, shift, n, x + at, y + at);
                } else if (s.relu) {
                    RN(apply_row)(true, NULL, again, scale, shift, n, x + at, y + at);
                } else {
                    RN(apply_row)(false, NULL, again, scale, shift, n, x + at, y + at);
                }
            }
        }
    }
}

/* dy before relu and dropout: y tells both */
ASTER_VFN RN(part) RN(through)(RN(part) dy, RN(part) y, REAL again)
{
    typedef __typeof__(y > y) mask;
    return (RN(part))((mask)(dy * again) & (y > 0));
}
ASTER_VFN VREAL RN(through_vector)(VREAL dy, VREAL y, REAL again)
{
    return (VREAL)((VMASK)(dy * again) & (y > 0));
}

/* Sums of dz and dz (x - mean) of one strip over rows, in order. Rows of dy are n apart, of y and x n_kept. */
ASTER_VFN void RN(dstats_strip)(const bool relu, REAL again, int64_t rows, int64_t n, int64_t n_kept, const REAL *dy, const REAL *y,
                                const REAL *x, const double *mean, double *sum, double *with_x)
{
    aster_vf64 u[BN_PARTS], v[BN_PARTS], m[BN_PARTS];
    strip_load(u, sum);
    strip_load(v, with_x);
    strip_load(m, mean);
    for (int64_t r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int k = 0; k < BN_PARTS; k++) {
            int64_t at = r * n_kept + k * BN_PART;
            RN(part) d = *(const RN(part) *)(dy + r * n + k * BN_PART);
            if (relu)
                d = RN(through)(d, *(const RN(part) *)(y + at), again);
            aster_vf64 wide = __builtin_convertvector(d, aster_vf64);
            u[k] += wide;
            v[k] = aster_vfma_f64(wide, __builtin_convertvector(*(const RN(part) *)(x + at), aster_vf64) - m[k], v[k]);
        }
    strip_store(sum, u);
    strip_store(with_x, v);
}

/* n elements of a row of y or x from at on; those of bf16 are widened to row. */
ASTER_VFN const REAL *RN(kept)(const struct aster_tensor *t, int64_t at, int64_t n, REAL *row)
{
    if (t->dtype != ASTER_BF16)
        return (const REAL *)t->p + at;
    const uint16_t *h = (const uint16_t *)t->p + at;
    for (int64_t k = 0; k < n; k++) {
        union {
            uint32_t bits;
            float value;
        } wide = {(uint32_t)h[k] << 16};
        row[k] = (REAL)wide.value;
    }
    return row;
}

/* Of n_rows rows of BN_STRIP channels; *apart: elements from one to the next */
ASTER_VFN const REAL *RN(kept_strip)(const struct aster_tensor *t, int64_t at, int64_t n_rows, int64_t n, REAL *rows, int64_t *apart)
{
    *apart = t->dtype == ASTER_BF16 ? BN_STRIP : n;
    if (t->dtype != ASTER_BF16)
        return (const REAL *)t->p + at;
    for (int64_t r = 0; r < n_rows; r++)
        RN(kept)(t, at + r * n, BN_STRIP, rows + r * BN_STRIP);
    return rows;
}

/* y and x are of one type: the real one, or bf16. */
static void RN(bn_dstats)(const struct aster_args *a)
{
    struct bn s = bn_shape(a);
    int64_t rows = s.samples * s.positions, n = s.channels, in_strips = n / BN_STRIP * BN_STRIP, apart;
    const struct aster_tensor *y = &a->in[1], *x = &a->in[2];
    const REAL *dy = a->in[0].p;
    REAL wide_y[BN_ROWS * BN_STRIP], wide_x[BN_ROWS * BN_STRIP];
    const double *mean = a->in[3].p, *var = mean + n;
    double *sum = a->out[0].p, *with_x = sum + n;
    REAL again = (REAL)(1 / (1 - s.drop));
    memset(sum, 0, (size_t)(2 * n) * sizeof *sum);
    for (int64_t r = 0; r < rows; r += BN_ROWS)
        for (int64_t c = 0; c < in_strips; c += BN_STRIP) {
            int64_t at = r * n + c, m = aster_min64(BN_ROWS, rows - r);
            const REAL *some_x = RN(kept_strip)(x, at, m, n, wide_x, &apart);
            if (s.relu)
                RN(dstats_strip)(true, again, m, n, apart, dy + at, RN(kept_strip)(y, at, m, n, wide_y, &apart), some_x, mean + c,
                                 sum + c, with_x + c);
            else
                RN(dstats_strip)(false, again, m, n, apart, dy + at, NULL, some_x, mean + c, sum + c, with_x + c);
        }
    for (int64_t c = in_strips; c < n; c++)
        for (int64_t r = 0; r < rows; r++) {
            int64_t at = r * n + c;
            double d = (double)(!s.relu ? dy[at] : *RN(kept)(y, at, 1, wide_y) > 0 ? dy[at] * again : 0);
            sum[c] += d;
            with_x[c] = aster_sfma_f64(d, (double)*RN(kept)(x, at, 1, wide_x) - mean[c], with_x[c]);
        }
    for (int64_t c = 0; c < n; c++)
        with_x[c] /= sqrt(var[c] + s.eps);
}

/* One row of n channels */
ASTER_VFN void RN(dx_row)(const bool relu, REAL again, const REAL *g, const REAL *m, const REAL *slope, const REAL *level, int64_t n,
                          const REAL *dy, const REAL *y, const REAL *x, REAL *dx)
{
    for (int64_t c = 0; c < n; c += LANES) {
        VREAL d = RN(get)(dy + c, n - c);
        if (relu)
            d = RN(through_vector)(d, RN(get)(y + c, n - c), again);
        VREAL rest = *(const VREAL *)(slope + c) * (RN(get)(x + c, n - c) - *(const VREAL *)(m + c)) + *(const VREAL *)(level + c);
        RN(put)(dx + c, n - c, *(const VREAL *)(g + c) * d + rest);
    }
}

/* dx = g (dz - d0/n - xhat d1/n), g = gamma / sqrt(var + eps) */
static void RN(bn_dx)(const struct aster_args *a)
{
    struct bn s = bn_shape(a);
    int64_t rows = s.samples * s.positions;
    const struct aster_tensor *y = &a->in[1], *x = &a->in[2];
    const REAL *dy = a->in[0].p, *gamma = a->in[4].p;
    const double *mean = a->in[3].p, *var = mean + s.channels, *d0 = a->in[5].p, *d1 = d0 + s.channels;
    double count = a->s[0] > 0 ? (double)a->s[0] : 1;
    REAL *dx = a->out[0].p, again = (REAL)(1 / (1 - s.drop));
    for (int64_t first = 0; first < s.channels; first += BN_CHUNK) {
        REAL wide_y[BN_CHUNK], wide_x[BN_CHUNK];
        REAL g[BN_CHUNK] __attribute__((aligned(64))), m[BN_CHUNK] __attribute__((aligned(64)));
        REAL slope[BN_CHUNK] __attribute__((aligned(64))), level[BN_CHUNK] __attribute__((aligned(64)));
        int64_t n = aster_min64(BN_CHUNK, s.channels - first);
        for (int64_t c = 0; c < n; c++) {
            double r = 1 / sqrt(var[first + c] + s.eps), k = (double)gamma[first + c] * r;
            g[c] = (REAL)k;
            m[c] = (REAL)mean[first + c];
            slope[c] = (REAL)(-k * r * d1[first + c] / count);
            /* what rounding took from the mean goes into the constant */
            level[c] = (REAL)(-k * d0[first + c] / count - k * r * d1[first + c] / count * ((double)m[c] - mean[first + c]));
        }
        for (int64_t r = 0; r < rows; r++) {
            int64_t at = r * s.channels + first;
            const REAL *row = RN(kept)(x, at, n, wide_x);
            if (s.relu)
                RN(dx_row)(true, again, g, m, slope, level, n, dy + at, RN(kept)(y, at, n, wide_y), row, dx + at);
            else
                RN(dx_row)(false, again, g, m, slope, level, n, dy + at, NULL, row, dx + at);
        }
    }
}
#undef LANES
