/* SPDX-License-Identifier: BSD-3-Clause */
/* References of one direction of an LSTM layer: the recurrence step by step, and its derivative
 * backwards through time. */
#include "kt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sizes {
    int64_t length, batch, hidden;
};

static struct sizes sizes_of(const struct kt_tensor *h)
{
    return (struct sizes){h->dim[0], h->dim[1], h->dim[2]};
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* n numbers as operands of a product; the caller's to free */
static double *operand(const struct kt *t, int64_t n, const double *x)
{
    double *y = malloc((size_t)n * sizeof *y + 1);
    if (!y)
        abort();
    memcpy(y, x, (size_t)n * sizeof *y);
    kt_round_operand(t, n, y);
    return y;
}

/* zx [L, B, 4H], whh [H, 4H] -> h, c, gates */
static void forward(const struct kt *t, const struct sizes *z, bool reverse, const double *zx,
                    const double *whh, double *h, double *c, double *gates)
{
    int64_t n = z->hidden;
    for (int64_t step = 0; step < z->length; step++) {
        int64_t at = reverse ? z->length - 1 - step : step, before = reverse ? at + 1 : at - 1;
        double *left = step > 0 ? operand(t, z->batch * n, h + before * z->batch * n) : NULL;
        for (int64_t b = 0; b < z->batch; b++) {
            int64_t row = at * z->batch + b, prev = before * z->batch + b;
            double *g = gates + row * 4 * n;
            for (int64_t j = 0; j < 4 * n; j++) {
                g[j] = zx[row * 4 * n + j];
                for (int64_t k = 0; k < n && step > 0; k++)
                    g[j] += left[b * n + k] * whh[k * 4 * n + j];
                g[j] = j / n == 2 ? tanh(g[j]) : sigmoid(g[j]);
            }
            for (int64_t k = 0; k < n; k++) {
                c[row * n + k] = g[n + k] * (step > 0 ? c[prev * n + k] : 0) + g[k] * g[2 * n + k];
                h[row * n + k] = g[3 * n + k] * tanh(c[row * n + k]);
            }
        }
        free(left);
    }
}

static void ref_lstm(struct kt_case *c)
{
    struct sizes z = sizes_of(&c->out[0]);
    forward(c->t, &z, c->i[0], c->in[0].v, c->in[1].v, c->out[0].v, c->out[1].v, c->out[2].v);
}

static void ref_lstm_dx(struct kt_case *a)
{
    struct sizes z = sizes_of(&a->in[0]);
    const double *dh_out = a->in[0].v, *c = a->in[1].v, *gates = a->in[2].v, *whh = a->in[3].v;
    double *dz = a->out[0].v;
    int64_t n = z.hidden;
    double *dc = calloc((size_t)(z.batch * n) + 1, sizeof *dc);
    for (int64_t step = z.length - 1; step >= 0; step--) {
        int64_t t = a->i[0] ? z.length - 1 - step : step, before = a->i[0] ? t + 1 : t - 1,
                behind = a->i[0] ? t - 1 : t + 1;
        double *left = step < z.length - 1
                           ? operand(a->t, z.batch * 4 * n, dz + behind * z.batch * 4 * n)
                           : NULL;
        for (int64_t b = 0; b < z.batch; b++)
            for (int64_t k = 0; k < n; k++) {
                int64_t row = t * z.batch + b;
                const double *g = gates + row * 4 * n + k;
                double dh = dh_out[row * n + k], th = tanh(c[row * n + k]),
                       *d = dz + row * 4 * n + k;
                for (int64_t j = 0; j < 4 * n && step < z.length - 1; j++)
                    dh += left[b * 4 * n + j] * whh[k * 4 * n + j];
                double old = step > 0 ? c[(before * z.batch + b) * n + k] : 0,
                       *carry = dc + b * n + k;
                double dct = *carry + dh * g[3 * n] * (1 - th * th);
                d[0] = dct * g[2 * n] * g[0] * (1 - g[0]);
                d[n] = dct * old * g[n] * (1 - g[n]);
                d[2 * n] = dct * g[0] * (1 - g[2 * n] * g[2 * n]);
                d[3 * n] = dh * th * g[3 * n] * (1 - g[3 * n]);
                *carry = dct * g[n];
            }
        free(left);
    }
    free(dc);
}

static const int64_t shapes[][3] = {{1, 1, 1}, {5, 3, 7}, {17, 8, 16}, {30, 2, 64},   {9, 33, 31},
                                    {0, 2, 4}, {3, 0, 4}, {64, 5, 20}, {12, 16, 128}, {40, 1, 48}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, MOST_STEPS = 3 /* of slow targets */ };

void kt_op_lstm(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int reverse = 0; reverse < 2; reverse++) {
            const int64_t s[] = {kt_cut(shapes[k][0], MOST_STEPS), shapes[k][1], shapes[k][2]};
            struct kt_case *c = kt_case_new(t, "L %d, B %d, H %d, reverse %d", (int)s[0], (int)s[1],
                                            (int)s[2], reverse);
            c->i[0] = reverse;
            double *zx = kt_in(c, KT_REAL, 1, KT_DIMS(s[0], s[1], 4 * s[2]));
            kt_fill(t, c->in[0].n, zx, -3, 3);
            double *w = kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2], 4 * s[2])),
                   r = 2 / sqrt((double)s[2]);
            kt_fill(t, c->in[1].n, w, -r, r);
            kt_out(c, KT_REAL, 1, KT_DIMS(s[0], s[1], s[2]));
            kt_out(c, KT_REAL, 1, KT_DIMS(s[0], s[1], s[2]));
            kt_out(c, KT_REAL, 1, KT_DIMS(s[0], s[1], 4 * s[2]));
            c->in_place[0] = true;
            c->over = 2;
            kt_run(c, ref_lstm);
        }
}

void kt_op_lstm_dx(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int reverse = 0; reverse < 2; reverse++) {
            const int64_t s[] = {kt_cut(shapes[k][0], MOST_STEPS), shapes[k][1], shapes[k][2]};
            struct sizes z = {s[0], s[1], s[2]};
            struct kt_case *c = kt_case_new(t, "L %d, B %d, H %d, reverse %d", (int)s[0], (int)s[1],
                                            (int)s[2], reverse);
            c->i[0] = reverse;
            kt_in(c, KT_REAL, 1, KT_DIMS(s[0], s[1], s[2]));
            double *cell = kt_in(c, KT_REAL, 1, KT_DIMS(s[0], s[1], s[2]));
            double *gates = kt_in(c, KT_REAL, 1, KT_DIMS(s[0], s[1], 4 * s[2]));
            double *w = kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2], 4 * s[2])),
                   r = 2 / sqrt((double)s[2]);
            kt_fill(t, c->in[3].n, w, -r, r);
            kt_round(kt_real(t), c->in[3].n, w);
            double *zx = calloc((size_t)c->in[2].n + 1, sizeof *zx),
                   *h = calloc((size_t)c->in[1].n + 1, sizeof *h);
            kt_fill(t, c->in[2].n, zx, -3, 3);
            forward(t, &z, reverse, zx, w, h, cell, gates);
            free(zx);
            free(h);
            kt_out(c, KT_REAL, 1, KT_DIMS(s[0], s[1], 4 * s[2]));
            c->in_place[2] = true;
            kt_run(c, ref_lstm_dx);
        }
}
