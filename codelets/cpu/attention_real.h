/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention for one real type: included after REAL, VREAL and VSUF are defined. Operands that are read again and again are packed
 * into panels, [group of columns][depth][width of the group], as the tiles want them. */
#include "cpu/tile_real.h"

/* x [depth, columns] -> panels of its columns */
static void TN(pack)(const struct tile_cut *cut, int64_t depth, int64_t columns, const REAL *x, REAL *p)
{
    for (int64_t g = 0; g < cut->n; g++) {
        int64_t c = tile_first(cut, g) * TL, w = tile_width(cut, g) * TL, have = aster_min64(w, columns - c);
        for (int64_t k = 0; k < depth; k++, p += w) {
            memcpy(p, x + k * columns + c, (size_t)have * sizeof *p);
            memset(p + have, 0, (size_t)(w - have) * sizeof *p);
        }
    }
}

/* x [rows, depth] -> panels of its rows */
static void TN(pack_transposed)(const struct tile_cut *cut, int64_t depth, int64_t rows, const REAL *x, REAL *p)
{
    for (int64_t g = 0; g < cut->n; g++) {
        int64_t r = tile_first(cut, g) * TL, w = tile_width(cut, g) * TL, have = aster_min64(w, rows - r);
        for (int64_t k = 0; k < depth; k++, p += w)
            for (int64_t j = 0; j < w; j++)
                p[j] = j < have ? x[(r + j) * depth + k] : 0;
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

/* The largest of scale p[j]; -inf of none. NaN may get lost here, not in what follows. */
static REAL TN(row_max)(int64_t n, REAL scale, const REAL *p)
{
    VREAL most = ASTER_V(set)((REAL)-INFINITY);
    int64_t j = 0;
    for (; j + TL <= n; j += TL)
        most = ASTER_V(max)(most, scale * ASTER_V(load)(p + j));
    REAL m = most[0];
    for (int k = 1; k < TL; k++)
        m = most[k] > m ? most[k] : m;
    for (; j < n; j++)
        m = scale * p[j] > m ? scale * p[j] : m;
    return m;
}

/* p[j] = exp(scale p[j] - shift) for the first n, 0 from there to end; the sum of them, in double every few vectors */
static double TN(exp_row)(int64_t n, int64_t end, REAL scale, REAL shift, REAL *p)
{
    double total = 0;
    int64_t j = 0;
    while (j + TL <= n) {
        VREAL sum = {0};
        for (int k = 0; k < 16 && j + TL <= n; k++, j += TL) {
            VREAL e = ASTER_V(exp)(scale * ASTER_V(load)(p + j) - shift);
            ASTER_V(store)(p + j, e);
            sum += e;
        }
        total += TN(lanes_sum)(sum);
    }
    if (j < n) {
        ASTER_V(storen)(p + j, n - j, ASTER_V(exp)(scale * ASTER_V(loadn)(p + j, n - j) - shift));
        total += TN(lanes_sum)(ASTER_V(loadn)(p + j, n - j));
    }
    for (j = n; j < end; j++)
        p[j] = 0;
    return total;
}

static void TN(attention)(const struct aster_args *a)
{
    struct attention z = attention_of(a, 3);
    REAL *kt = a->work, *v = kt + z.e * z.sp, *p = v + z.s * z.ep, *o = p + z.rows * z.sp, scale = (REAL)z.scale;
    for (int64_t g = 0; g < z.n; g++) {
        TN(pack_transposed)(&z.cut_s, z.e, z.s, (const REAL *)a->in[1].p + g * z.s * z.e, kt);
        TN(pack)(&z.cut_e, z.s, z.e, (const REAL *)a->in[2].p + g * z.s * z.e, v);
        for (int64_t t = 0; t < z.t; t += z.rows) {
            int64_t m = aster_min64(z.rows, z.t - t), end = seen(&z, g, t + m - 1);
            REAL *y = (REAL *)a->out[0].p + (g * z.t + t) * z.e, *lse = (REAL *)a->out[1].p + g * z.t + t, by[ATTENTION_MOST_ROWS];
            TN(product)(m, &z.cut_s, end, z.e, z.e, (const REAL *)a->in[0].p + (g * z.t + t) * z.e, z.e, 1, kt, p, z.sp, false);
            for (int64_t r = 0; r < m; r++) {
                int64_t n = seen(&z, g, t + r);
                REAL most = TN(row_max)(n, scale, p + r * z.sp);
                double sum = TN(exp_row)(n, end, scale, most, p + r * z.sp);
                by[r] = n ? (REAL)(1 / sum) : 0;
                lse[r] = n ? most + (REAL)log(sum) : (REAL)-INFINITY;
            }
            TN(product)(m, &z.cut_e, z.e, end, z.s, p, z.sp, 1, v, o, z.ep, false);
            for (int64_t r = 0; r < m; r++)
                for (int64_t k = 0; k < z.e; k++)
                    y[r * z.e + k] = o[r * z.ep + k] * by[r];
        }
    }
}

/* p from the scores, and ds = scale p (dp - sum(do o)) in the place of dp */
static void TN(score_rows)(const struct attention *z, const struct aster_args *a, int64_t g, int64_t t, int64_t m, REAL *p, REAL *dp)
{
    int64_t end = seen(z, g, t + m - 1);
    REAL scale = (REAL)z->scale;
    for (int64_t r = 0; r < m; r++) {
        int64_t at = g * z->t + t + r, n = seen(z, g, t + r);
        const REAL *o = (const REAL *)a->in[3].p + at * z->e, *go = (const REAL *)a->in[5].p + at * z->e;
        REAL *pr = p + r * z->sp, *dr = dp + r * z->sp;
        VREAL part = {0};
        int64_t j = 0;
        for (; j + TL <= z->e; j += TL)
            part = ASTER_V(fma)(ASTER_V(load)(go + j), ASTER_V(load)(o + j), part);
        part = ASTER_V(fma)(ASTER_V(loadn)(go + j, z->e - j), ASTER_V(loadn)(o + j, z->e - j), part);
        REAL mean = (REAL)TN(lanes_sum)(part);
        TN(exp_row)(n, end, scale, ((const REAL *)a->in[4].p)[at], pr);
        for (j = 0; j + TL <= n; j += TL)
            ASTER_V(store)(dr + j, scale * ASTER_V(load)(pr + j) * (ASTER_V(load)(dr + j) - mean));
        for (; j < n; j++)
            dr[j] = scale * pr[j] * (dr[j] - mean);
        for (; j < end; j++)
            dr[j] = 0;
    }
}

static void TN(unpad)(int64_t rows, int64_t n, const REAL *from, int64_t ld, REAL *to)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(to + r * n, from + r * ld, (size_t)n * sizeof *to);
}

static void TN(attention_dx)(const struct aster_args *a)
{
    struct attention z = attention_of(a, 6);
    REAL *kt = a->work, *vt = kt + z.e * z.sp, *k = vt + z.e * z.sp, *dk = k + z.s * z.ep, *dv = dk + z.s * z.ep, *p = dv + z.s * z.ep;
    REAL *dp = p + z.rows * z.sp, *right = dp + z.rows * z.sp, *dq = right + z.rows * z.ep;
    for (int64_t g = 0; g < z.n; g++) {
        const REAL *keys = (const REAL *)a->in[1].p + g * z.s * z.e;
        TN(pack_transposed)(&z.cut_s, z.e, z.s, keys, kt);
        TN(pack_transposed)(&z.cut_s, z.e, z.s, (const REAL *)a->in[2].p + g * z.s * z.e, vt);
        TN(pack)(&z.cut_e, z.s, z.e, keys, k);
        memset(dk, 0, (size_t)(2 * z.s * z.ep) * sizeof *dk);
        for (int64_t t = 0; t < z.t; t += z.rows) {
            int64_t m = aster_min64(z.rows, z.t - t), at = (g * z.t + t) * z.e, end = seen(&z, g, t + m - 1);
            const REAL *q = (const REAL *)a->in[0].p + at, *go = (const REAL *)a->in[5].p + at;
            TN(product)(m, &z.cut_s, end, z.e, z.e, q, z.e, 1, kt, p, z.sp, false);
            TN(product)(m, &z.cut_s, end, z.e, z.e, go, z.e, 1, vt, dp, z.sp, false);
            TN(score_rows)(&z, a, g, t, m, p, dp);
            TN(pack)(&z.cut_e, m, z.e, go, right);
            TN(product)(end, &z.cut_e, z.e, m, m, p, 1, z.sp, right, dv, z.ep, true);
            TN(pack)(&z.cut_e, m, z.e, q, right);
            TN(product)(end, &z.cut_e, z.e, m, m, dp, 1, z.sp, right, dk, z.ep, true);
            TN(product)(m, &z.cut_e, z.e, end, z.s, dp, z.sp, 1, k, dq, z.ep, false);
            TN(unpad)(m, z.e, dq, z.ep, (REAL *)a->out[0].p + at);
        }
        TN(unpad)(z.s, z.e, dk, z.ep, (REAL *)a->out[1].p + g * z.s * z.e);
        TN(unpad)(z.s, z.e, dv, z.ep, (REAL *)a->out[2].p + g * z.s * z.e);
    }
}

#undef TL
#undef TN
