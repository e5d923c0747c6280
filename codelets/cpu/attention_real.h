/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention for one real type: included after REAL, VREAL and VSUF are defined. Operands that are read again and again are packed
 * into panels, [group of columns][depth][width of the group], as the tiles want them. */
#include "cpu/tile_real.h"

/* One group: its rows lie ld apart, their lse lse_ld. go, dq, dk, dv: backward only. */
struct TN(group) {
    const REAL *q, *k, *v, *go;
    REAL *o, *lse, *dq, *dk, *dv;
    int64_t ld, lse_ld;
    REAL slope; /* times the distance is taken off a score */
};

/* x [depth, columns], rows ld apart -> panels of its columns */
static void TN(pack)(const struct tile_cut *cut, int64_t depth, int64_t columns, const REAL *x, int64_t ld, REAL *p)
{
    for (int64_t g = 0; g < cut->n; g++) {
        int64_t c = tile_first(cut, g) * TL, w = tile_width(cut, g) * TL, have = aster_min64(w, columns - c);
        for (int64_t k = 0; k < depth; k++, p += w) {
            memcpy(p, x + k * ld + c, (size_t)have * sizeof *p);
            memset(p + have, 0, (size_t)(w - have) * sizeof *p);
        }
    }
}

/* x [rows, depth], rows ld apart -> panels of its rows */
static void TN(pack_transposed)(const struct tile_cut *cut, int64_t depth, int64_t rows, const REAL *x, int64_t ld, REAL *p)
{
    for (int64_t g = 0; g < cut->n; g++) {
        int64_t r = tile_first(cut, g) * TL, w = tile_width(cut, g) * TL;
        for (int64_t k = 0; k < depth; k++, p += w)
            for (int64_t j = 0; j < w; j++)
                p[j] = r + j < rows ? x[(r + j) * ld + k] : 0;
    }
}

/* c[rows, columns] (+)= a[rows, k] b[k, columns]; b: panels of depth >= k rows; c is written to the end of a panel. */
static void TN(product)(int64_t rows, const struct tile_cut *cut, int64_t columns, int64_t k, int64_t depth, const REAL *a, int64_t rs,
                        int64_t cs, const REAL *b, REAL *c, int64_t ldc, bool add)
{
    for (int64_t g = 0; g < cut->n; g++) {
        int64_t at = tile_first(cut, g) * TL, nv = tile_width(cut, g);
        if (at >= columns)
            break;
        TN(tile_rows)(rows, (int)nv, k, a, rs, cs, b + at * depth, nv * TL, c + at, ldc, add, NULL);
    }
}

static double TN(lanes_sum)(VREAL v)
{
    double s = 0;
    for (int k = 0; k < TL; k++)
        s += (double)v[k];
    return s;
}

/* Where fewer than a vector are left: the first n lanes of v, and other in the rest. Rows of scores have room for whole vectors. */
static inline VREAL TN(first_lanes)(int64_t n, VREAL v, REAL other)
{
    VREAL lane;
    for (int k = 0; k < TL; k++)
        lane[k] = (REAL)k;
    return ASTER_V(sel)(lane < ASTER_V(set)((REAL)n), v, ASTER_V(set)(other));
}

/* The largest of scale p[j]; -inf of none. NaN may get lost here, not in what follows. */
static REAL TN(row_max)(int64_t n, REAL scale, const REAL *p)
{
    VREAL most = ASTER_V(set)((REAL)-INFINITY);
    int64_t j = 0;
    for (; j + TL <= n; j += TL)
        most = ASTER_V(max)(most, scale * ASTER_V(load)(p + j));
    if (j < n)
        most = ASTER_V(max)(most, TN(first_lanes)(n - j, scale * ASTER_V(load)(p + j), (REAL)-INFINITY));
    REAL m = most[0];
    for (int k = 1; k < TL; k++)
        m = most[k] > m ? most[k] : m;
    return m;
}

/* Two halves of a vector's lanes added in double */
static inline aster_vf64 TN(add_wide)(aster_vf64 sum, VREAL v)
{
    enum { WIDE = ASTER_VB / (int)sizeof(double) };
    for (int part = 0; part < TL / WIDE; part++) {
        aster_vf64 wide;
        for (int k = 0; k < WIDE; k++)
            wide[k] = (double)v[part * WIDE + k];
        sum += wide;
    }
    return sum;
}

/* p[j] = exp(scale p[j] - shift), at most 1, for the first n, 0 from there to end; the sum of them, in double every few vectors.
 * The product is rounded first, as where its largest was found: the largest of a row gives 1, however large it is. */
static double TN(exp_row)(int64_t n, int64_t end, REAL scale, REAL shift, REAL *p)
{
    aster_vf64 total = {0};
    int64_t j = 0;
    while (j < n) {
        VREAL sum = {0};
        for (int k = 0; k < 16 && j < n; k++, j += TL) {
            VREAL e = ASTER_V(exp_below)(scale * ASTER_V(load)(p + j) - shift);
            if (j + TL > n)
                e = TN(first_lanes)(n - j, e, 0);
            ASTER_V(store)(p + j, e);
            sum += e;
        }
        total = TN(add_wide)(total, sum);
    }
    for (; j < end; j += TL)
        ASTER_V(store)(p + j, (VREAL){0});
    double s = total[0];
    for (int k = 1; k < ASTER_VB / (int)sizeof(double); k++)
        s += total[k];
    return s;
}

/* distance[k] = |k - (s - 1)|: from s - 1 - i on they are those of row i */
static void TN(distances)(int64_t s, REAL *distance)
{
    for (int64_t k = 0; k < 2 * s - 1; k++)
        distance[k] = (REAL)(k < s ? s - 1 - k : k - s + 1);
}

/* p[j] = scale p[j] - slope |i - j|; with it a score needs no other scale */
static REAL TN(slope_row)(const struct attention *z, REAL slope, int64_t i, int64_t n, const REAL *distance, REAL *p)
{
    REAL scale = (REAL)z->scale;
    if (slope == 0)
        return scale;
    distance += z->s - 1 - i;
    int64_t j = 0;
    for (; j + TL <= n; j += TL)
        ASTER_V(store)(p + j, scale * ASTER_V(load)(p + j) - slope * ASTER_V(load)(distance + j));
    for (; j < n; j++)
        p[j] = scale * p[j] - slope * distance[j];
    return 1;
}

/* lse = most + log(sum); a row that sees nothing has -inf and 1. Both have room for whole vectors. */
static void TN(store_lse)(int64_t m, const REAL *most, REAL *sums, REAL *lse, int64_t ld)
{
    for (int64_t r = 0; r < m; r += TL)
        ASTER_V(store)(sums + r, ASTER_V(load)(most + r) + ASTER_V(log)(TN(first_lanes)(m - r, ASTER_V(load)(sums + r), 1)));
    for (int64_t r = 0; r < m; r++)
        lse[r * ld] = sums[r];
}

static void TN(forward)(const struct attention *z, const struct TN(group) *d, REAL *work)
{
    REAL *distance = work, *kt = distance + 2 * z->sp, *v = kt + z->e * z->sp, *p = v + z->s * z->ep, *o = p + z->rows * z->sp;
    TN(pack_transposed)(&z->cut_s, z->e, z->s, d->k, d->ld, kt);
    TN(pack)(&z->cut_e, z->s, z->e, d->v, d->ld, v);
    if (d->slope != 0)
        TN(distances)(z->s, distance);
    for (int64_t t = 0; t < z->t; t += z->rows) {
        int64_t m = aster_min64(z->rows, z->t - t), end = seen(z, t + m - 1);
        REAL by[ATTENTION_MOST_ROWS], most[ATTENTION_MOST_ROWS], sums[ATTENTION_MOST_ROWS];
        TN(product)(m, &z->cut_s, end, z->e, z->e, d->q + t * d->ld, d->ld, 1, kt, p, z->sp, false);
        for (int64_t r = 0; r < m; r++) {
            int64_t n = seen(z, t + r);
            REAL scale = TN(slope_row)(z, d->slope, t + r, n, distance, p + r * z->sp);
            most[r] = TN(row_max)(n, scale, p + r * z->sp);
            double sum = TN(exp_row)(n, end, scale, most[r], p + r * z->sp);
            by[r] = n ? (REAL)(1 / sum) : 0;
            sums[r] = n ? (REAL)sum : 1;
        }
        TN(store_lse)(m, most, sums, d->lse + t * d->lse_ld, d->lse_ld);
        TN(product)(m, &z->cut_e, z->e, end, z->s, p, z->sp, 1, v, o, z->ep, false);
        for (int64_t r = 0; r < m; r++)
            for (int64_t k = 0; k < z->e; k++)
                d->o[(t + r) * d->ld + k] = o[r * z->ep + k] * by[r];
    }
}

/* p from the scores, and ds = scale p (dp - sum(do o)) in the place of dp */
static void TN(score_rows)(const struct attention *z, const struct TN(group) *d, int64_t t, int64_t m, const REAL *distance, REAL *p,
                           REAL *dp)
{
    int64_t end = seen(z, t + m - 1);
    REAL scale = (REAL)z->scale;
    for (int64_t r = 0; r < m; r++) {
        int64_t n = seen(z, t + r);
        const REAL *o = d->o + (t + r) * d->ld, *go = d->go + (t + r) * d->ld;
        REAL *pr = p + r * z->sp, *dr = dp + r * z->sp;
        VREAL part = {0};
        int64_t j = 0;
        for (; j + TL <= z->e; j += TL)
            part = ASTER_V(fma)(ASTER_V(load)(go + j), ASTER_V(load)(o + j), part);
        part = ASTER_V(fma)(ASTER_V(loadn)(go + j, z->e - j), ASTER_V(loadn)(o + j, z->e - j), part);
        REAL mean = (REAL)TN(lanes_sum)(part);
        TN(exp_row)(n, end, TN(slope_row)(z, d->slope, t + r, n, distance, pr), d->lse[(t + r) * d->lse_ld], pr);
        for (j = 0; j + TL <= n; j += TL)
            ASTER_V(store)(dr + j, scale * ASTER_V(load)(pr + j) * (ASTER_V(load)(dr + j) - mean));
        for (; j < n; j++)
            dr[j] = scale * pr[j] * (dr[j] - mean);
        for (; j < end; j++)
            dr[j] = 0;
    }
}

static void TN(unpad)(int64_t rows, int64_t n, const REAL *from, int64_t ld, REAL *to, int64_t to_ld)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(to + r * to_ld, from + r * ld, (size_t)n * sizeof *to);
}

static void TN(backward)(const struct attention *z, const struct TN(group) *d, REAL *work)
{
    REAL *distance = work, *kt = distance + 2 * z->sp, *vt = kt + z->e * z->sp, *k = vt + z->e * z->sp, *dk = k + z->s * z->ep;
    REAL *dv = dk + z->s * z->ep, *p = dv + z->s * z->ep, *dp = p + z->rows * z->sp, *right = dp + z->rows * z->sp,
         *dq = right + z->rows * z->ep;
    TN(pack_transposed)(&z->cut_s, z->e, z->s, d->k, d->ld, kt);
    TN(pack_transposed)(&z->cut_s, z->e, z->s, d->v, d->ld, vt);
    TN(pack)(&z->cut_e, z->s, z->e, d->k, d->ld, k);
    if (d->slope != 0)
        TN(distances)(z->s, distance);
    memset(dk, 0, (size_t)(2 * z->s * z->ep) * sizeof *dk);
    for (int64_t t = 0; t < z->t; t += z->rows) {
        int64_t m = aster_min64(z->rows, z->t - t), at = t * d->ld, end = seen(z, t + m - 1);
        TN(product)(m, &z->cut_s, end, z->e, z->e, d->q + at, d->ld, 1, kt, p, z->sp, false);
        TN(product)(m, &z->cut_s, end, z->e, z->e, d->go + at, d->ld, 1, vt, dp, z->sp, false);
        TN(score_rows)(z, d, t, m, distance, p, dp);
        TN(pack)(&z->cut_e, m, z->e, d->go + at, d->ld, right);
        TN(product)(end, &z->cut_e, z->e, m, m, p, 1, z->sp, right, dv, z->ep, true);
        TN(pack)(&z->cut_e, m, z->e, d->q + at, d->ld, right);
        TN(product)(end, &z->cut_e, z->e, m, m, dp, 1, z->sp, right, dk, z->ep, true);
        TN(product)(m, &z->cut_e, z->e, end, z->s, dp, z->sp, 1, k, dq, z->ep, false);
        TN(unpad)(m, z->e, dq, z->ep, d->dq + at, d->ld);
    }
    TN(unpad)(z->s, z->e, dk, z->ep, d->dk, d->ld);
    TN(unpad)(z->s, z->e, dv, z->ep, d->dv, d->ld);
}

/* q, k, v [n, t or s, e]: every group is one matrix */
static void TN(each_sample)(const struct aster_args *a, bool is_backward, int mask)
{
    const struct aster_tensor *q = &a->in[0], *k = &a->in[1];
    const int32_t *keys = a->n_in > mask ? a->in[mask].p : NULL;
    struct attention z = attention_new(a, q->dim[1], k->dim[1], q->dim[2]);
    z.causal = a->i[0] != 0;
    for (int64_t g = 0; g < q->dim[0]; g++) {
        int64_t mine = g * z.t * z.e, theirs = g * z.s * z.e;
        struct TN(group) d = {.q = (const REAL *)q->p + mine, .k = (const REAL *)k->p + theirs, .v = (const REAL *)a->in[2].p + theirs,
                              .ld = z.e, .lse_ld = 1};
        z.n_keys = keys ? aster_max64(0, aster_min64(keys[g], z.s)) : z.s;
        if (is_backward) {
            d.o = (REAL *)a->in[3].p + mine;
            d.lse = (REAL *)a->in[4].p + g * z.t;
            d.go = (const REAL *)a->in[5].p + mine;
            d.dq = (REAL *)a->out[0].p + mine;
            d.dk = (REAL *)a->out[1].p + theirs;
            d.dv = (REAL *)a->out[2].p + theirs;
            TN(backward)(&z, &d, a->work);
        } else {
            d.o = (REAL *)a->out[0].p + mine;
            d.lse = (REAL *)a->out[1].p + g * z.t;
            TN(forward)(&z, &d, a->work);
        }
    }
}

static void TN(attention)(const struct aster_args *a)
{
    TN(each_sample)(a, false, 3);
}

static void TN(attention_dx)(const struct aster_args *a)
{
    TN(each_sample)(a, true, 6);
}

/* Rows of a sequence that is longer than was said: nothing of it can be computed. */
static void TN(refuse)(const struct aster_args *a, int64_t first, int64_t n)
{
    for (int k = 0; k < a->n_out; k++)
        for (int64_t i = first * a->out[k].dim[1]; i < (first + n) * a->out[k].dim[1]; i++)
            ((REAL *)a->out[k].p)[i] = (REAL)NAN;
}

static void TN(each_sequence)(const struct aster_args *a, bool is_backward)
{
    const int at = is_backward ? 6 : 3;
    const int32_t *starts = a->in[at].p;
    const REAL *slopes = a->n_in > at + 1 ? a->in[at + 1].p : NULL;
    int64_t heads = a->i[0], ld = a->in[0].dim[1], e = ld / heads;
    for (int64_t j = 0; j + 1 < a->in[at].dim[0]; j++) {
        int64_t first = starts[j], n = starts[j + 1] - first;
        struct attention z = attention_new(a, n, n, e);
        if (n > a->s[0]) {
            TN(refuse)(a, first, n);
            continue;
        }
        for (int64_t h = 0; h < heads; h++) {
            int64_t here = first * ld + h * e;
            struct TN(group) d = {.q = (const REAL *)a->in[0].p + here, .k = (const REAL *)a->in[1].p + here,
                                  .v = (const REAL *)a->in[2].p + here, .ld = ld, .lse_ld = heads, .slope = slopes ? slopes[h] : 0};
            if (is_backward) {
                d.o = (REAL *)a->in[3].p + here;
                d.lse = (REAL *)a->in[4].p + first * heads + h;
                d.go = (const REAL *)a->in[5].p + here;
                d.dq = (REAL *)a->out[0].p + here;
                d.dk = (REAL *)a->out[1].p + here;
                d.dv = (REAL *)a->out[2].p + here;
                TN(backward)(&z, &d, a->work);
            } else {
                d.o = (REAL *)a->out[0].p + here;
                d.lse = (REAL *)a->out[1].p + first * heads + h;
                TN(forward)(&z, &d, a->work);
            }
        }
    }
}

static void TN(ragged_attention)(const struct aster_args *a)
{
    TN(each_sequence)(a, false);
}

static void TN(ragged_attention_dx)(const struct aster_args *a)
{
    TN(each_sequence)(a, true);
}

static void TN(rotary)(const struct aster_args *a)
{
    int64_t width = a->in[0].dim[1], e = width / a->i[0], half = e / 2, n_positions = a->in[2].dim[0];
    const int32_t *position = a->in[1].p;
    const REAL sign = a->i[1] ? -1 : 1;
    for (int64_t row = 0; row < a->in[0].dim[0]; row++) {
        const REAL *x = (const REAL *)a->in[0].p + row * width;
        REAL *y = (REAL *)a->out[0].p + row * width;
        if (position[row] < 0 || position[row] >= n_positions) {
            for (int64_t k = 0; k < width; k++)
                y[k] = (REAL)NAN;
            continue;
        }
        const REAL *restrict cosine = (const REAL *)a->in[2].p + position[row] * e, *restrict sine = cosine + half;
        for (int64_t at = 0; at < width; at += e)
            for (int64_t k = at; k < at + half; k++) {
                REAL first = x[k], second = x[k + half], s = sign * sine[k - at];
                y[k] = first * cosine[k - at] - second * s;
                y[k + half] = second * cosine[k - at] + first * s;
            }
    }
}

#undef TL
#undef TN
