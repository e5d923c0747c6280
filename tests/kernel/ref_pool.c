/* SPDX-License-Identifier: BSD-3-Clause */
/* References of pooling and of resizing with aligned ends. Both adjoints transpose the matrix that
 * the forward op is. */
#include "kt.h"

#include <math.h>

/* Row t of the matrix of a resize from n to m positions: weights 1 - f and f at p and p + 1. The
 * source place is rounded as the definition says, in the real type. */
static void weights(enum aster_dtype real, int64_t n, int64_t m, int64_t t, int64_t *p, double *f)
{
    double ratio = m > 1 ? (double)(n - 1) / (double)(m - 1) : 0;
    kt_round(real, 1, &ratio);
    double source = ratio * (double)t;
    kt_round(real, 1, &source);
    *p = (int64_t)floor(source);
    if (*p > n - 1)
        *p = n - 1;
    *f = *p == n - 1 ? 0 : source - (double)*p;
}

static void ref_resize(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0];
    struct kt_tensor *y = &c->out[0];
    int64_t n = x->dim[1], m = y->dim[1], channels = x->dim[2];
    for (int64_t k = 0; k < y->n; k++) {
        int64_t p, ch = k % channels, b = k / channels / m;
        double f;
        weights(kt_real(c->t), n, m, k / channels % m, &p, &f);
        const double *from = x->v + (b * n + p) * channels + ch;
        y->v[k] = f > 0 ? (1 - f) * from[0] + f * from[channels] : from[0];
    }
}

static void ref_resize_dx(struct kt_case *c)
{
    const struct kt_tensor *dy = &c->in[0];
    struct kt_tensor *dx = &c->out[0];
    int64_t n = dx->dim[1], m = dy->dim[1], channels = dy->dim[2];
    for (int64_t k = 0; k < dy->n; k++) {
        int64_t p, ch = k % channels, b = k / channels / m;
        double f;
        weights(kt_real(c->t), n, m, k / channels % m, &p, &f);
        double *to = dx->v + (b * n + p) * channels + ch;
        to[0] += (1 - f) * dy->v[k];
        if (f > 0)
            to[channels] += f * dy->v[k];
    }
}

static void ref_avgpool2(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0];
    struct kt_tensor *y = &c->out[0];
    int64_t n = x->dim[1], m = y->dim[1], channels = x->dim[2];
    for (int64_t k = 0; k < y->n; k++) {
        const double *from =
            x->v + (k / channels / m * n + 2 * (k / channels % m)) * channels + k % channels;
        y->v[k] = (from[0] + from[channels]) / 2;
    }
}

static void ref_avgpool2_dx(struct kt_case *c)
{
    const struct kt_tensor *dy = &c->in[0];
    struct kt_tensor *dx = &c->out[0];
    int64_t n = dx->dim[1], m = dy->dim[1], channels = dy->dim[2];
    for (int64_t k = 0; k < dy->n; k++) {
        double *to =
            dx->v + (k / channels / m * n + 2 * (k / channels % m)) * channels + k % channels;
        to[0] = to[channels] = dy->v[k] / 2;
    }
}

/* Makes a ragged case: rows of the output, and NaN in x behind what they need. */
static void ragged(struct kt *t, struct kt_case *c, int64_t m, bool pool)
{
    struct kt_tensor *x = &c->in[0];
    c->has_rows = true;
    for (int64_t b = 0; b < x->dim[0]; b++) {
        int64_t rows = b == 0 ? m : kt_below(t, m + 1), need = 2 * rows, p;
        double f;
        if (!pool && rows > 0) {
            weights(kt_real(t), x->dim[1], m, rows - 1, &p, &f);
            need = p + 2;
        }
        c->rows[b] = rows;
        c->rows_in[b] = need < x->dim[1] ? need : x->dim[1];
        for (int64_t k = c->rows_in[b] * x->dim[2]; k < x->dim[1] * x->dim[2]; k++)
            x->v[b * x->dim[1] * x->dim[2] + k] = (double)NAN;
    }
}

static const int64_t shapes[][3] = {{1, 2, 1},   {2, 7, 3}, {3, 64, 64}, {2, 33, 20},
                                    {4, 101, 5}, {0, 8, 4}, {2, 1, 6},   {2, 257, 130}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void pool_case(struct kt *t, const int64_t *s, int64_t m, bool pool, bool back,
                      bool is_ragged)
{
    struct kt_case *c = kt_case_new(t, "%d %d %d to %d%s", (int)s[0], (int)s[1], (int)s[2], (int)m,
                                    is_ragged ? ", ragged" : "");
    kt_in(c, KT_REAL, 0, KT_DIMS(s[0], back ? m : s[1], s[2]));
    kt_out(c, KT_REAL, 0, KT_DIMS(s[0], back ? s[1] : m, s[2]));
    c->s[0] = back ? s[1] : m;
    if (is_ragged)
        ragged(t, c, m, pool);
    if (pool)
        kt_run(c, back ? ref_avgpool2_dx : ref_avgpool2);
    else
        kt_run(c, back ? ref_resize_dx : ref_resize);
}

static void resizes(struct kt *t, bool back)
{
    for (int k = 0; k < N_SHAPES; k++) {
        const int64_t n = shapes[k][1], to[] = {1, 2, n, 2 * n, 2 * n + 1, n / 2 + 1, 3 * n - 1};
        for (int j = 0; j < 7; j++)
            pool_case(t, shapes[k], to[j], false, back, false);
        if (!back)
            pool_case(t, shapes[k], 2 * n + 1, false, false, true);
    }
}

void kt_op_avgpool2(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++) {
        pool_case(t, shapes[k], shapes[k][1] / 2, true, false, false);
        pool_case(t, shapes[k], shapes[k][1] / 2, true, false, true);
    }
}

void kt_op_avgpool2_dx(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        pool_case(t, shapes[k], shapes[k][1] / 2, true, true, false);
}

void kt_op_resize(struct kt *t)
{
    resizes(t, false);
}

void kt_op_resize_dx(struct kt *t)
{
    resizes(t, true);
}
