/* SPDX-License-Identifier: BSD-3-Clause */
/* Layer normalisation and softmax for one real type: REAL, VSUF and RN() are defined by norm.c. */

/* sum of f(i) over a row, in NORM_LANES partial sums; expr uses i */
#define ROW_SUM(result, width, expr)                                                                                           \
    do {                                                                                                                        \
        double part_[NORM_LANES] = {0};                                                                                         \
        int64_t j_ = 0;                                                                                                         \
        for (; j_ + NORM_LANES <= (width); j_ += NORM_LANES)                                                                    \
            for (int l_ = 0; l_ < NORM_LANES; l_++) {                                                                           \
                int64_t i = j_ + l_;                                                                                            \
                part_[l_] += (expr);                                                                                            \
            }                                                                                                                   \
        for (int64_t i = j_; i < (width); i++)                                                                                  \
            part_[i - j_] += (expr);                                                                                            \
        (result) = combine(part_);                                                                                              \
    } while (0)

static void RN(layernorm)(const struct aster_args *a)
{
    struct rows s = rows_of(&a->in[0]);
    const REAL *gamma = a->in[1].p, *beta = a->in[2].p;
    REAL *stats = a->out[1].p;
    for (int64_t r = 0; r < s.n; r++) {
        const REAL *restrict x = (const REAL *)a->in[0].p + r * s.width;
        REAL *restrict y = (REAL *)a->out[0].p + r * s.width;
        double sum, square, n = s.width ? (double)s.width : 1;
        ROW_SUM(sum, s.width, (double)x[i]);
        double mean = sum / n;
        ROW_SUM(square, s.width, ((double)x[i] - mean) * ((double)x[i] - mean));
        double scale = 1 / sqrt(square / n + a->f[0]);
        stats[2 * r] = (REAL)mean;
        stats[2 * r + 1] = (REAL)scale;
        for (int64_t i = 0; i < s.width; i++)
            y[i] = (REAL)(((double)x[i] - mean) * scale) * gamma[i] + beta[i];
    }
}

/* dx = r (g - mean(g) - xhat mean(g xhat)), g = dy gamma; columns in blocks so that dgamma and dbeta stay in double */
static void RN(layernorm_dx)(const struct aster_args *a)
{
    struct rows s = rows_of(&a->in[1]);
    const REAL *gamma = a->in[2].p, *stats = a->in[3].p;
    REAL *dgamma = a->out[1].p, *dbeta = a->out[2].p;
    for (int64_t r = 0; r < s.n; r++) {
        const REAL *restrict dy = (const REAL *)a->in[0].p + r * s.width, *restrict x = (const REAL *)a->in[1].p + r * s.width;
        REAL *restrict dx = (REAL *)a->out[0].p + r * s.width;
        double mean = (double)stats[2 * r], scale = (double)stats[2 * r + 1], g0, g1, n = s.width ? (double)s.width : 1;
        ROW_SUM(g0, s.width, (double)dy[i] * (double)gamma[i]);
        ROW_SUM(g1, s.width, (double)dy[i] * (double)gamma[i] * (((double)x[i] - mean) * scale));
        g0 /= n;
        g1 /= n;
        for (int64_t i = 0; i < s.width; i++)
            dx[i] = (REAL)(scale * ((double)dy[i] * (double)gamma[i] - g0 - ((double)x[i] - mean) * scale * g1));
    }
    for (int64_t c = 0; c < s.width; c += NORM_LANES) {
        double dg[NORM_LANES] = {0}, db[NORM_LANES] = {0};
        int64_t n = aster_min64(NORM_LANES, s.width - c);
        for (int64_t r = 0; r < s.n; r++) {
            const REAL *dy = (const REAL *)a->in[0].p + r * s.width + c, *x = (const REAL *)a->in[1].p + r * s.width + c;
            double mean = (double)stats[2 * r], scale = (double)stats[2 * r + 1];
            for (int64_t k = 0; k < n; k++) {
                dg[k] += (double)dy[k] * (((double)x[k] - mean) * scale);
                db[k] += (double)dy[k];
            }
        }
        for (int64_t k = 0; k < n; k++) {
            dgamma[c + k] = (REAL)dg[k];
            dbeta[c + k] = (REAL)db[k];
        }
    }
}

/* y[i] = exp(x[i] - shift); the vector code serves the rest of a row as well, so that places do not matter */
static void RN(exp_row)(int64_t n, const REAL *x, REAL shift, REAL *y)
{
    const int64_t lanes = (int64_t)(ASTER_VB / sizeof(REAL));
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes)
        ASTER_V(store)(y + i, ASTER_V(exp)(ASTER_V(load)(x + i) - ASTER_V(set)(shift)));
    if (i < n)
        ASTER_V(storen)(y + i, n - i, ASTER_V(exp)(ASTER_V(loadn)(x + i, n - i) - ASTER_V(set)(shift)));
}

/* A row of -inf only, as masks make it, gives zeros. */
static void RN(softmax)(const struct aster_args *a)
{
    struct rows s = rows_of(&a->in[0]);
    for (int64_t r = 0; r < s.n; r++) {
        const REAL *x = (const REAL *)a->in[0].p + r * s.width;
        REAL *y = (REAL *)a->out[0].p + r * s.width, most = (REAL)-INFINITY;
        for (int64_t i = 0; i < s.width; i++)
            most = x[i] > most ? x[i] : most;
        if (most == (REAL)-INFINITY) {
            bool nan = false; /* not hidden by the comparison */
            for (int64_t i = 0; i < s.width; i++)
                nan |= x[i] != x[i];
            for (int64_t i = 0; i < s.width; i++)
                y[i] = nan ? (REAL)NAN : 0;
            continue;
        }
        double sum;
        RN(exp_row)(s.width, x, most, y);
        ROW_SUM(sum, s.width, (double)y[i]);
        REAL scale = (REAL)(1 / sum);
        for (int64_t i = 0; i < s.width; i++)
            y[i] *= scale;
    }
}

static void RN(softmax_dx)(const struct aster_args *a)
{
    struct rows s = rows_of(&a->in[0]);
    for (int64_t r = 0; r < s.n; r++) {
        const REAL *restrict y = (const REAL *)a->in[0].p + r * s.width, *restrict dy = (const REAL *)a->in[1].p + r * s.width;
        REAL *restrict dx = (REAL *)a->out[0].p + r * s.width;
        double sum;
        ROW_SUM(sum, s.width, (double)y[i] * (double)dy[i]);
        REAL d = (REAL)sum;
        for (int64_t i = 0; i < s.width; i++)
            dx[i] = y[i] * (dy[i] - d);
    }
}
#undef ROW_SUM
