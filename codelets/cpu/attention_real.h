/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention for one real type: REAL, VSUF and RN() are defined by attention.c. */

#define VEC ASTER_CAT(aster_v, VSUF)
#define LANES ((int64_t)(ASTER_VB / sizeof(REAL)))

/* c[m, n] (+)= a[m, depth] b[depth, n]; m up to ATTENTION_ROWS, n a multiple of ATTENTION_PAD. Each element's sum runs over depth
 * in order, whatever m is. */
static inline __attribute__((always_inline)) void RN(tile)(const int m, int64_t depth, const REAL *a, int64_t lda, const REAL *b,
                                                          int64_t ldb, REAL *c, int64_t ldc)
{
    VEC acc[ATTENTION_ROWS][2];
    for (int r = 0; r < m; r++)
        acc[r][0] = acc[r][1] = ASTER_V(set)(0);
    for (int64_t k = 0; k < depth; k++) {
        VEC b0 = ASTER_V(load)(b + k * ldb), b1 = ASTER_V(load)(b + k * ldb + LANES);
        for (int r = 0; r < m; r++) {
            VEC x = ASTER_V(set)(a[r * lda + k]);
            acc[r][0] = ASTER_V(fma)(x, b0, acc[r][0]);
            acc[r][1] = ASTER_V(fma)(x, b1, acc[r][1]);
        }
    }
    for (int r = 0; r < m; r++) {
        ASTER_V(store)(c + r * ldc, acc[r][0]);
        ASTER_V(store)(c + r * ldc + LANES, acc[r][1]);
    }
}

static void RN(product)(int m, int64_t n, int64_t depth, const REAL *a, int64_t lda, const REAL *b, int64_t ldb, REAL *c, int64_t ldc)
{
    for (int64_t j = 0; j < n; j += 2 * LANES) {
        if (m == ATTENTION_ROWS)
            RN(tile)(ATTENTION_ROWS, depth, a, lda, b + j, ldb, c + j, ldc);
        else
            for (int r = 0; r < m; r++)
                RN(tile)(1, depth, a + r * lda, lda, b + j, ldb, c + r * ldc + j, ldc);
    }
}

/* x [s, e] -> y [e, sp], zero where there is no key */
static void RN(pack_transposed)(const struct attention *z, const REAL *x, REAL *y)
{
    memset(y, 0, (size_t)(z->e * z->sp) * sizeof *y);
    for (int64_t j = 0; j < z->s; j++)
        for (int64_t k = 0; k < z->e; k++)
            y[k * z->sp + j] = x[j * z->e + k];
}

/* x [s, e] -> y [s, ep], zero beyond e */
static void RN(pack_rows)(const struct attention *z, const REAL *x, REAL *y)
{
    for (int64_t j = 0; j < z->s; j++) {
        memcpy(y + j * z->ep, x + j * z->e, (size_t)z->e * sizeof *y);
        memset(y + j * z->ep + z->e, 0, (size_t)(z->ep - z->e) * sizeof *y);
    }
}

/* p[j] = exp(scale p[j] - shift) for the first n, 0 for the rest */
static void RN(exp_row)(const struct attention *z, int64_t n, REAL shift, REAL *p)
{
    VEC scale = ASTER_V(set)((REAL)z->scale), by = ASTER_V(set)(shift);
    for (int64_t j = 0; j < n; j += LANES)
        ASTER_V(store)(p + j, ASTER_V(exp)(scale * ASTER_V(load)(p + j) - by));
    memset(p + n, 0, (size_t)(z->sp - n) * sizeof *p);
}

static double RN(row_sum)(int64_t n, const REAL *x)
{
    double part[16] = {0}, sum = 0;
    for (int64_t j = 0; j < n; j += 16)
        for (int64_t k = 0; k < aster_min64(16, n - j); k++)
            part[k] += (double)x[j + k];
    for (int k = 0; k < 16; k++)
        sum += part[k];
    return sum;
}

static void RN(attention)(const struct aster_args *a)
{
    struct attention z = attention_of(a, 3);
    REAL *kt = a->work, *v = kt + z.e * z.sp, *p = v + z.s * z.ep, *o = p + ATTENTION_ROWS * z.sp;
    for (int64_t g = 0; g < z.n; g++) {
        RN(pack_transposed)(&z, (const REAL *)a->in[1].p + g * z.s * z.e, kt);
        RN(pack_rows)(&z, (const REAL *)a->in[2].p + g * z.s * z.e, v);
        for (int64_t t = 0; t < z.t; t += ATTENTION_ROWS) {
            int m = (int)aster_min64(ATTENTION_ROWS, z.t - t);
            double sum[ATTENTION_ROWS];
            RN(product)(m, z.sp, z.e, (const REAL *)a->in[0].p + (g * z.t + t) * z.e, z.e, kt, z.sp, p, z.sp);
            for (int r = 0; r < m; r++) {
                REAL *row = p + r * z.sp, most = (REAL)-INFINITY;
                int64_t n = seen(&z, g, t + r);
                for (int64_t j = 0; j < n; j++) {
                    REAL x = (REAL)z.scale * row[j];
                    most = x > most || x != x ? x : most;
                }
                RN(exp_row)(&z, n, most, row);
                sum[r] = RN(row_sum)(n, row);
                ((REAL *)a->out[1].p)[g * z.t + t + r] = n ? most + (REAL)log(sum[r]) : (REAL)-INFINITY;
            }
            RN(product)(m, z.ep, z.s, p, z.sp, v, z.ep, o, z.ep);
            for (int r = 0; r < m; r++) {
                REAL *to = (REAL *)a->out[0].p + (g * z.t + t + r) * z.e, by = seen(&z, g, t + r) ? (REAL)(1 / sum[r]) : 0;
                for (int64_t k = 0; k < z.e; k++)
                    to[k] = o[r * z.ep + k] * by;
            }
        }
    }
}

/* y[j, :] += x[j] g[:] for the first n rows of y [s, ep] */
static void RN(add_outer)(const struct attention *z, int64_t n, const REAL *x, const REAL *g, REAL *y)
{
    for (int64_t j = 0; j < n; j++) {
        VEC by = ASTER_V(set)(x[j]);
        for (int64_t k = 0; k < z->ep; k += LANES)
            ASTER_V(store)(y + j * z->ep + k, ASTER_V(fma)(by, ASTER_V(load)(g + k), ASTER_V(load)(y + j * z->ep + k)));
    }
}

static void RN(unpack)(const struct attention *z, const REAL *from, REAL *to)
{
    for (int64_t j = 0; j < z->s; j++)
        memcpy(to + j * z->e, from + j * z->ep, (size_t)z->e * sizeof *to);
}

/* ds = scale p (dp - sum(do o)) */
static void RN(attention_dx)(const struct aster_args *a)
{
    struct attention z = attention_of(a, 6);
    REAL *kt = a->work, *vt = kt + z.e * z.sp, *k = vt + z.e * z.sp, *dk = k + z.s * z.ep, *dv = dk + z.s * z.ep, *p = dv + z.s * z.ep,
         *dp = p + ATTENTION_ROWS * z.sp, *row = dp + ATTENTION_ROWS * z.sp, *dq = row + z.ep;
    for (int64_t g = 0; g < z.n; g++) {
        RN(pack_transposed)(&z, (const REAL *)a->in[1].p + g * z.s * z.e, kt);
        RN(pack_transposed)(&z, (const REAL *)a->in[2].p + g * z.s * z.e, vt);
        RN(pack_rows)(&z, (const REAL *)a->in[1].p + g * z.s * z.e, k);
        memset(dk, 0, (size_t)(2 * z.s * z.ep) * sizeof *dk);
        memset(row, 0, (size_t)z.ep * sizeof *row);
        for (int64_t t = 0; t < z.t; t += ATTENTION_ROWS) {
            int m = (int)aster_min64(ATTENTION_ROWS, z.t - t);
            int64_t at = (g * z.t + t) * z.e;
            const REAL *q = (const REAL *)a->in[0].p + at, *o = (const REAL *)a->in[3].p + at, *go = (const REAL *)a->in[5].p + at;
            RN(product)(m, z.sp, z.e, q, z.e, kt, z.sp, p, z.sp);
            RN(product)(m, z.sp, z.e, go, z.e, vt, z.sp, dp, z.sp);
            for (int r = 0; r < m; r++) {
                int64_t n = seen(&z, g, t + r);
                REAL *pr = p + r * z.sp, *dr = dp + r * z.sp;
                double mean = 0;
                for (int64_t e = 0; e < z.e; e++)
                    mean += (double)go[r * z.e + e] * (double)o[r * z.e + e];
                RN(exp_row)(&z, n, ((const REAL *)a->in[4].p)[g * z.t + t + r], pr);
                memcpy(row, go + r * z.e, (size_t)z.e * sizeof *row);
                RN(add_outer)(&z, n, pr, row, dv);
                for (int64_t j = 0; j < n; j++)
                    dr[j] = (REAL)z.scale * pr[j] * (dr[j] - (REAL)mean);
                memset(dr + n, 0, (size_t)(z.sp - n) * sizeof *dr);
                memcpy(row, q + r * z.e, (size_t)z.e * sizeof *row);
                RN(add_outer)(&z, n, dr, row, dk);
            }
            RN(product)(m, z.ep, z.s, dp, z.sp, k, z.ep, dq, z.ep);
            for (int r = 0; r < m; r++)
                memcpy((REAL *)a->out[0].p + at + r * z.e, dq + r * z.ep, (size_t)z.e * sizeof *dq);
        }
        RN(unpack)(&z, dk, (REAL *)a->out[1].p + g * z.s * z.e);
        RN(unpack)(&z, dv, (REAL *)a->out[2].p + g * z.s * z.e);
    }
}
#undef VEC
#undef LANES
