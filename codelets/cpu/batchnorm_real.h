/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch normalisation for one real type: REAL and RN() are defined by batchnorm.c. The inner loops run over channels, which are
 * contiguous; the compiler vectorises them. */

/* sums of x and x^2 per channel, rows in order: blocks of 16 channels keep their double sums in registers */
static void RN(bn_stats)(const struct aster_args *a)
{
    struct bn s = bn_shape(a);
    int64_t rows = s.samples * s.positions, n = s.channels;
    const REAL *x = a->in[0].p;
    double *sum = a->out[0].p, *square = sum + n;
    int64_t c = 0;
    for (; c + 16 <= n; c += 16) {
        double u[16] = {0}, v[16] = {0};
        for (int64_t r = 0; r < rows; r++) {
            const REAL *p = x + r * n + c;
            for (int k = 0; k < 16; k++) {
                double d = (double)p[k];
                u[k] += d;
                v[k] += d * d;
            }
        }
        memcpy(sum + c, u, sizeof u);
        memcpy(square + c, v, sizeof v);
    }
    for (; c < n; c++) {
        double u = 0, v = 0;
        for (int64_t r = 0; r < rows; r++) {
            double d = (double)x[r * n + c];
            u += d;
            v += d * d;
        }
        sum[c] = u;
        square[c] = v;
    }
}

/* One row of n channels through dropout; place counts within the sample. */
static inline void RN(drop_row)(const struct aster_keep *keep, uint32_t place, REAL scale, int64_t n, REAL *y)
{
    for (int64_t c = 0; c < n; c++) {
        REAL kept = y[c] * scale;
        y[c] = aster_bits32(keep->key0, keep->key1, place + (uint32_t)c) >= keep->threshold ? kept : 0;
    }
}

static void RN(bn_apply)(const struct aster_args *a)
{
    struct bn s = bn_shape(a);
    const REAL *x = a->in[0].p, *gamma = a->in[2].p, *beta = a->in[3].p;
    const double *mean = a->in[1].p, *var = mean + s.channels;
    REAL *y = a->out[0].p, again = (REAL)(1 / (1 - s.drop));
    for (int64_t first = 0; first < s.channels; first += BN_CHUNK) {
        REAL scale[BN_CHUNK], shift[BN_CHUNK];
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
                const REAL *restrict p = x + at;
                REAL *restrict q = y + at;
                if (s.relu)
                    for (int64_t c = 0; c < n; c++) {
                        REAL v = p[c] * scale[c] + shift[c];
                        q[c] = v < 0 ? 0 : v;
                    }
                else
                    for (int64_t c = 0; c < n; c++)
                        q[c] = p[c] * scale[c] + shift[c];
                if (s.drop != 0)
                    RN(drop_row)(&keep, (uint32_t)(t * s.channels + first), again, n, q);
            }
        }
    }
}

/* dy before relu and dropout: y tells both */
static inline REAL RN(through)(bool relu, REAL dy, REAL y, REAL again)
{
    REAL passed = dy * again; /* before the choice, so that the loop has no branch */
    return !relu ? dy : y > 0 ? passed : 0;
}

static void RN(bn_dstats)(const struct aster_args *a)
{
    struct bn s = bn_shape(a);
    int64_t rows = s.samples * s.positions, n = s.channels;
    const REAL *dy = a->in[0].p, *y = a->in[1].p, *x = a->in[2].p;
    const double *mean = a->in[3].p, *var = mean + n;
    double *sum = a->out[0].p, *with_x = sum + n;
    REAL again = (REAL)(1 / (1 - s.drop));
    int64_t c = 0;
    for (; c + 16 <= n; c += 16) {
        double u[16] = {0}, v[16] = {0}, m[16];
        memcpy(m, mean + c, sizeof m);
        for (int64_t r = 0; r < rows; r++) {
            const REAL *p = dy + r * n + c, *q = y + r * n + c, *o = x + r * n + c;
            for (int k = 0; k < 16; k++) {
                double d = (double)RN(through)(s.relu, p[k], q[k], again);
                u[k] += d;
                v[k] += d * ((double)o[k] - m[k]);
            }
        }
        memcpy(sum + c, u, sizeof u);
        memcpy(with_x + c, v, sizeof v);
    }
    for (; c < n; c++) {
        double u = 0, v = 0;
        for (int64_t r = 0; r < rows; r++) {
            double d = (double)RN(through)(s.relu, dy[r * n + c], y[r * n + c], again);
            u += d;
            v += d * ((double)x[r * n + c] - mean[c]);
        }
        sum[c] = u;
        with_x[c] = v;
    }
    for (c = 0; c < n; c++)
        with_x[c] /= sqrt(var[c] + s.eps);
}

/* dx = g (dz - d0/n - xhat d1/n), g = gamma / sqrt(var + eps) */
static void RN(bn_dx)(const struct aster_args *a)
{
    struct bn s = bn_shape(a);
    int64_t rows = s.samples * s.positions;
    const REAL *dy = a->in[0].p, *y = a->in[1].p, *x = a->in[2].p, *gamma = a->in[4].p;
    const double *mean = a->in[3].p, *var = mean + s.channels, *d0 = a->in[5].p, *d1 = d0 + s.channels;
    double count = a->s[0] > 0 ? (double)a->s[0] : 1;
    REAL *dx = a->out[0].p, again = (REAL)(1 / (1 - s.drop));
    for (int64_t first = 0; first < s.channels; first += BN_CHUNK) {
        REAL g[BN_CHUNK], m[BN_CHUNK], slope[BN_CHUNK], level[BN_CHUNK];
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
            const REAL *restrict p = dy + at, *restrict q = y + at, *restrict o = x + at;
            REAL *restrict w = dx + at;
            if (s.relu)
                for (int64_t c = 0; c < n; c++)
                    w[c] = g[c] * RN(through)(true, p[c], q[c], again) + (slope[c] * (o[c] - m[c]) + level[c]);
            else
                for (int64_t c = 0; c < n; c++)
                    w[c] = g[c] * p[c] + (slope[c] * (o[c] - m[c]) + level[c]);
        }
    }
}
