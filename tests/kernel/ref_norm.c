/* SPDX-License-Identifier: BSD-3-Clause */
/* References of the normalisations and of softmax. */
#include "kt.h"

#include <math.h>

typedef long double real;

static int64_t last(const struct kt_tensor *t)
{
    return t->dim[t->rank - 1];
}

/* ---- batch normalisation */
static void ref_bn_stats(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0];
    for (int64_t ch = 0; ch < last(x); ch++) {
        real s = 0, q = 0;
        for (int64_t k = ch; k < x->n; k += last(x)) {
            s += (real)x->v[k];
            q += (real)x->v[k] * (real)x->v[k];
        }
        c->out[0].v[ch] = (double)s;
        c->out[0].v[last(x) + ch] = (double)q;
    }
}

static void ref_bn_moments(struct kt_case *c)
{
    int64_t channels = c->in[0].dim[1];
    for (int64_t ch = 0; ch < channels; ch++) {
        real mean = (real)c->in[0].v[ch] / (real)c->s[0],
             square = (real)c->in[0].v[channels + ch] / (real)c->s[0];
        c->out[0].v[ch] = (double)mean;
        c->out[0].v[channels + ch] = (double)fmaxl(square - mean * mean, 0);
    }
}

static real rsqrt_var(const struct kt_case *c, const struct kt_tensor *moments, int64_t ch)
{
    return 1 / sqrtl((real)moments->v[last(moments) + ch] + (real)c->f[0]);
}

static void ref_bn_apply(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0], *moments = &c->in[1];
    int64_t channels = last(x), per_sample = x->dim[0] > 0 ? x->n / x->dim[0] : 1;
    for (int64_t k = 0; k < x->n; k++) {
        int64_t ch = k % channels;
        real y = ((real)x->v[k] - (real)moments->v[ch]) * rsqrt_var(c, moments, ch) *
                     (real)c->in[2].v[ch] +
                 (real)c->in[3].v[ch];
        if (c->i[0] == ASTER_ACT_RELU && y < 0)
            y = 0;
        if (c->f[1] > 0)
            y = kt_keeps(c, c->i[1], k / per_sample, k % per_sample, c->f[1])
                    ? y / (1 - (real)c->f[1])
                    : 0;
        c->out[0].v[k] = (double)y;
    }
}

/* Derivative behind dropout and activation, at element k. */
static real behind(const struct kt_case *c, int64_t k)
{
    real dy = (real)c->in[0].v[k];
    if (c->i[0] == ASTER_ACT_NONE)
        return dy;
    return c->in[1].v[k] > 0 ? dy / (1 - (real)c->f[1]) : 0;
}

static real xhat(const struct kt_case *c, int64_t k)
{
    int64_t ch = k % last(&c->in[2]);
    return ((real)c->in[2].v[k] - (real)c->in[3].v[ch]) * rsqrt_var(c, &c->in[3], ch);
}

static void ref_bn_dstats(struct kt_case *c)
{
    int64_t channels = last(&c->in[2]);
    for (int64_t ch = 0; ch < channels; ch++) {
        real s = 0, q = 0;
        for (int64_t k = ch; k < c->in[0].n; k += channels) {
            s += behind(c, k);
            q += behind(c, k) * xhat(c, k);
        }
        c->out[0].v[ch] = (double)s;
        c->out[0].v[channels + ch] = (double)q;
    }
}

static void ref_bn_dx(struct kt_case *c)
{
    int64_t channels = last(&c->in[2]);
    const double *gamma = c->in[4].v, *dstats = c->in[5].v;
    for (int64_t k = 0; k < c->in[0].n; k++) {
        int64_t ch = k % channels;
        real dz = behind(c, k) - (real)dstats[ch] / (real)c->s[0] -
                  xhat(c, k) * (real)dstats[channels + ch] / (real)c->s[0];
        c->out[0].v[k] = (double)((real)gamma[ch] * rsqrt_var(c, &c->in[3], ch) * dz);
    }
}

static const int64_t
    shapes[]
          [3] = {{1, 1, 1},   {2, 7, 3},   {3, 64, 64},   {2, 33, 20},  {4, 101, 5},
                 {0, 8, 4},   {2, 1, 31},  {2, 300, 130}, {3, 1021, 8}, {1, 40, 32},
                 {2, 5, 700}, {2, 3, 1030}}; /* a GPU takes rows of more than 1024 in another way */
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* Rows are independent: where there is one sample, its positions stand in for samples. */
static int batch_axis(const int64_t *s)
{
    return s[0] == 1 ? 1 : 0;
}

static void moments_in(struct kt *t, struct kt_case *c, int64_t channels)
{
    double *m = kt_in(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(2, channels));
    kt_fill(t, channels, m, -0.5, 0.5);
    kt_fill(t, channels, m + channels, 0.05, 2);
    c->f[0] = 1e-5;
}

void kt_op_bn_stats(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++) {
        const int64_t *s = shapes[k];
        struct kt_case *c = kt_case_new(t, "x %d %d %d", (int)s[0], (int)s[1], (int)s[2]);
        double *x = kt_in(c, KT_REAL, KT_NO_BATCH, 3, s);
        for (int64_t j = 0; j < c->in[0].n; j++) /* a mean that is large against the spread */
            x[j] += 3;
        kt_out(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(2, s[2]));
        kt_run(c, ref_bn_stats);
    }
}

void kt_op_bn_moments(struct kt *t)
{
    static const int64_t channels[] = {1, 3, 64, 67};
    for (int k = 0; k < 4; k++) {
        struct kt_case *c = kt_case_new(t, "C %d", (int)channels[k]);
        double *x = kt_in(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(2, channels[k]));
        c->s[0] = 96;
        for (int64_t j = 0; j < channels[k]; j++)
            x[channels[k] + j] = 96 * kt_uniform(t, 0.5, 3);
        x[0] = 96 * 1.7; /* the square of the mean rounds above the mean square */
        x[channels[k]] = 96 * 1.7 * 1.7 * (1 - 1e-16);
        kt_out(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(2, channels[k]));
        kt_run(c, ref_bn_moments);
    }
}

void kt_op_bn_apply(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int variant = 0; variant < 4; variant++) {
            const int64_t *s = shapes[k];
            struct kt_case *c =
                kt_case_new(t, "x %d %d %d, variant %d", (int)s[0], (int)s[1], (int)s[2], variant);
            int batch = variant < 2 ? batch_axis(s) : 0;
            c->i[0] = variant > 0 ? ASTER_ACT_RELU : ASTER_ACT_NONE;
            c->f[1] = variant == 3 ? 0.3 : variant == 2 ? 0.5 : 0;
            c->i[1] = 11;
            kt_in(c, KT_REAL, batch, 3, s);
            moments_in(t, c, s[2]);
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2]));
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2]));
            kt_out(c, KT_REAL, batch, 3, s);
            kt_run(c, ref_bn_apply);
        }
}

/* dy, y (zero in places, as relu and dropout leave it), x, moments. From BN_VARIANTS on y and x are
 * bf16. */
enum { BN_VARIANTS = 3 };
static struct kt_case *bn_back(struct kt *t, const int64_t *s, int variant, int batch)
{
    struct kt_case *c =
        kt_case_new(t, "x %d %d %d, variant %d", (int)s[0], (int)s[1], (int)s[2], variant);
    const bool is_narrow = variant >= BN_VARIANTS;
    variant %= BN_VARIANTS;
    c->i[0] = variant > 0 ? ASTER_ACT_RELU : ASTER_ACT_NONE;
    c->f[1] = variant == 2 ? 0.3 : 0;
    c->s[0] = 4 * s[0] * s[1] + 1; /* the batch is larger than the shard */
    kt_in(c, KT_REAL, batch, 3, s);
    enum aster_dtype kept = is_narrow ? ASTER_BF16 : KT_REAL;
    double *y = kt_in(c, kept, batch, 3, s);
    for (int64_t k = 0; variant > 0 && k < c->in[1].n; k++)
        y[k] = fmax(y[k], 0);
    kt_in(c, kept, batch, 3, s);
    moments_in(t, c, s[2]);
    return c;
}

static int bn_variants(const struct kt *t)
{
    return kt_real(t) == ASTER_F32 ? 2 * BN_VARIANTS : BN_VARIANTS;
}

void kt_op_bn_dstats(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int variant = 0; variant < bn_variants(t); variant++) {
            struct kt_case *c = bn_back(t, shapes[k], variant, KT_NO_BATCH);
            kt_out(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(2, shapes[k][2]));
            kt_run(c, ref_bn_dstats);
        }
}

void kt_op_bn_dx(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int variant = 0; variant < bn_variants(t); variant++) {
            const int64_t *s = shapes[k];
            struct kt_case *c = bn_back(t, s, variant, batch_axis(s));
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2]));
            double *dstats = kt_in(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(2, s[2]));
            kt_fill(t, 2 * s[2], dstats, -20, 20);
            kt_out(c, KT_REAL, batch_axis(s), 3, s);
            kt_run(c, ref_bn_dx);
        }
}

/* ---- layer normalisation */
static void ref_layernorm(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0];
    int64_t n = last(x);
    for (int64_t r = 0; r < x->n / n; r++) {
        const double *row = x->v + r * n;
        real mean = 0, var = 0;
        for (int64_t k = 0; k < n; k++)
            mean += (real)row[k] / (real)n;
        for (int64_t k = 0; k < n; k++)
            var += ((real)row[k] - mean) * ((real)row[k] - mean) / (real)n;
        real scale = 1 / sqrtl(var + (real)c->f[0]);
        for (int64_t k = 0; k < n; k++)
            c->out[0].v[r * n + k] =
                (double)(((real)row[k] - mean) * scale * (real)c->in[1].v[k] + (real)c->in[2].v[k]);
        c->out[1].v[2 * r] = (double)mean;
        c->out[1].v[2 * r + 1] = (double)scale;
    }
}

static void ref_layernorm_dx(struct kt_case *c)
{
    const double *dy = c->in[0].v, *x = c->in[1].v, *gamma = c->in[2].v, *stats = c->in[3].v;
    int64_t n = last(&c->in[1]);
    for (int64_t r = 0; r < c->in[1].n / n; r++) {
        real mean = (real)stats[2 * r], scale = (real)stats[2 * r + 1], m0 = 0, m1 = 0;
        for (int64_t k = 0; k < n; k++) {
            real g = (real)dy[r * n + k] * (real)gamma[k], h = ((real)x[r * n + k] - mean) * scale;
            m0 += g / (real)n;
            m1 += g * h / (real)n;
        }
        for (int64_t k = 0; k < n; k++) {
            real g = (real)dy[r * n + k] * (real)gamma[k], h = ((real)x[r * n + k] - mean) * scale;
            c->out[0].v[r * n + k] = (double)(scale * (g - m0 - h * m1));
            c->out[1].v[k] += (double)((real)dy[r * n + k] * h);
            c->out[2].v[k] += dy[r * n + k];
        }
    }
}

void kt_op_layernorm(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++) {
        const int64_t *s = shapes[k];
        struct kt_case *c = kt_case_new(t, "x %d %d %d", (int)s[0], (int)s[1], (int)s[2]);
        c->f[0] = 1e-5;
        double *x = kt_in(c, KT_REAL, batch_axis(s), 3, s);
        for (int64_t j = 0; j < c->in[0].n; j++)
            x[j] += 2;
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2]));
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2]));
        kt_out(c, KT_REAL, batch_axis(s), 3, s);
        kt_out(c, KT_REAL, batch_axis(s), KT_DIMS(s[0], s[1], 2));
        kt_run(c, ref_layernorm);
    }
}

void kt_op_layernorm_dx(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++) {
        const int64_t *s = shapes[k];
        struct kt_case *c = kt_case_new(t, "x %d %d %d", (int)s[0], (int)s[1], (int)s[2]);
        kt_in(c, KT_REAL, batch_axis(s), 3, s);
        kt_in(c, KT_REAL, batch_axis(s), 3, s);
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2]));
        double *stats = kt_in(c, KT_REAL, batch_axis(s), KT_DIMS(s[0], s[1], 2));
        for (int64_t r = 0; r < s[0] * s[1]; r++)
            stats[2 * r + 1] = kt_uniform(t, 0.5, 3);
        kt_out(c, KT_REAL, batch_axis(s), 3, s);
        kt_out(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2]));
        kt_out(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2]));
        kt_run(c, ref_layernorm_dx);
    }
}

/* ---- softmax */
static void ref_softmax(struct kt_case *c)
{
    int64_t n = last(&c->in[0]);
    for (int64_t r = 0; r < c->in[0].n / n; r++) {
        const double *x = c->in[0].v + r * n;
        real top = (real)x[0], sum = 0;
        for (int64_t k = 1; k < n; k++)
            top = fmaxl(top, (real)x[k]);
        for (int64_t k = 0; k < n; k++)
            sum += expl((real)x[k] - top);
        for (int64_t k = 0; k < n; k++)
            c->out[0].v[r * n + k] = (double)(expl((real)x[k] - top) / sum);
    }
}

static void ref_softmax_dx(struct kt_case *c)
{
    const double *y = c->in[0].v, *dy = c->in[1].v;
    int64_t n = last(&c->in[0]);
    for (int64_t r = 0; r < c->in[0].n; r += n) {
        real dot = 0;
        for (int64_t k = r; k < r + n; k++)
            dot += (real)y[k] * (real)dy[k];
        for (int64_t k = r; k < r + n; k++)
            c->out[0].v[k] = (double)((real)y[k] * ((real)dy[k] - dot));
    }
}

void kt_op_softmax(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int spread = 1; spread <= 100; spread *= 10) {
            const int64_t *s = shapes[k];
            struct kt_case *c =
                kt_case_new(t, "x %d %d %d, spread %d", (int)s[0], (int)s[1], (int)s[2], spread);
            double *x = kt_in(c, KT_REAL, batch_axis(s), 3, s);
            kt_fill(t, c->in[0].n, x, -spread, spread);
            kt_out(c, KT_REAL, batch_axis(s), 3, s);
            kt_run(c, ref_softmax);
        }
}

void kt_op_softmax_dx(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++) {
        const int64_t *s = shapes[k];
        struct kt_case *c = kt_case_new(t, "x %d %d %d", (int)s[0], (int)s[1], (int)s[2]);
        double *y = kt_in(c, KT_REAL, batch_axis(s), 3, s);
        for (int64_t r = 0; r < c->in[0].n; r += s[2]) {
            double sum = 0;
            for (int64_t j = r; j < r + s[2]; j++)
                sum += y[j] = exp(kt_uniform(t, -4, 4));
            for (int64_t j = r; j < r + s[2]; j++)
                y[j] /= sum;
        }
        kt_in(c, KT_REAL, batch_axis(s), 3, s);
        kt_out(c, KT_REAL, batch_axis(s), 3, s);
        kt_run(c, ref_softmax_dx);
    }
}
