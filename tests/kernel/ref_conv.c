/* SPDX-License-Identifier: BSD-3-Clause */
/* References of the convolutions: the sums of their definition, with tests on the borders instead
 * of tricks. */
#include "kt.h"

#include <math.h>

/* x [b, t, c], zero outside */
static double at(const struct kt_tensor *x, int64_t b, int64_t t, int64_t c)
{
    return t < 0 || t >= x->dim[1] ? 0 : x->v[(b * x->dim[1] + t) * x->dim[2] + c];
}

static void ref_conv1d(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0], *w = &c->in[1];
    struct kt_tensor *y = &c->out[0];
    int64_t width = w->dim[0], in = w->dim[1], out = w->dim[2];
    for (int64_t k = 0; k < y->n; k++) {
        int64_t o = k % out, t = k / out % y->dim[1], b = k / out / y->dim[1];
        double sum = c->in[2].v ? c->in[2].v[o] : 0;
        for (int64_t j = 0; j < width; j++)
            for (int64_t i = 0; i < in; i++)
                sum += w->v[(j * in + i) * out + o] * at(x, b, t + j - c->i[0], i);
        y->v[k] = c->i[2] == ASTER_ACT_RELU && sum < 0 ? 0 : sum;
    }
}

static void ref_conv1d_dx(struct kt_case *c)
{
    const struct kt_tensor *dy = &c->in[0], *w = &c->in[1];
    struct kt_tensor *dx = &c->out[0];
    int64_t width = w->dim[0], in = w->dim[1], out = w->dim[2];
    for (int64_t k = 0; k < dx->n; k++) {
        int64_t i = k % in, s = k / in % dx->dim[1], b = k / in / dx->dim[1];
        double sum = 0;
        for (int64_t j = 0; j < width; j++)
            for (int64_t o = 0; o < out; o++)
                sum += w->v[(j * in + i) * out + o] * at(dy, b, s - j + c->i[0], o);
        dx->v[k] = sum;
    }
}

static void ref_conv1d_dw(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0], *dy = &c->in[1];
    struct kt_tensor *dw = &c->out[0];
    int64_t in = x->dim[2], out = dy->dim[2];
    for (int64_t k = 0; k < dw->n; k++) {
        int64_t o = k % out, i = k / out % in, j = k / out / in;
        double sum = 0;
        for (int64_t b = 0; b < x->dim[0]; b++)
            for (int64_t t = 0; t < dy->dim[1]; t++)
                sum += at(x, b, t + j - c->i[0], i) * at(dy, b, t, o);
        dw->v[k] = sum;
    }
}

struct shape {
    int64_t samples, length, in, out, width, left, right;
};
static const struct shape shapes[] = {
    {1, 1, 1, 1, 1, 0, 0},     {2, 17, 3, 5, 3, 1, 1}, {3, 64, 20, 16, 5, 2, 2},
    {2, 65, 64, 32, 3, 1, 1},  {4, 31, 8, 1, 7, 3, 3}, {2, 100, 16, 48, 9, 4, 4},
    {2, 8, 16, 16, 15, 7, 7},  {3, 50, 6, 2, 1, 0, 0}, {2, 40, 5, 31, 4, 1, 2},
    {2, 40, 7, 33, 5, 0, 0},   {2, 20, 4, 6, 3, 5, 2}, {0, 20, 4, 6, 3, 1, 1},
    {1, 301, 22, 67, 7, 3, 3}, {2, 2, 3, 4, 2, 0, 0},  {2, 40, 130, 64, 3, 1, 1},
    {1, 512, 33, 64, 9, 4, 4},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static int64_t out_length(const struct shape *s)
{
    return s->length + s->left + s->right - s->width + 1;
}

static struct kt_case *new_case(struct kt *t, const struct shape *s, const char *what)
{
    struct kt_case *c =
        kt_case_new(t, "x %d %d %d, to %d, width %d, pad %d %d%s", (int)s->samples, (int)s->length,
                    (int)s->in, (int)s->out, (int)s->width, (int)s->left, (int)s->right, what);
    c->i[0] = s->left;
    c->i[1] = s->right;
    return c;
}

/* Ragged samples: each has its own number of rows; what they do not need of x is NaN. */
static void ragged(struct kt *t, struct kt_case *c, const struct shape *s)
{
    struct kt_tensor *x = &c->in[0];
    c->has_rows = true;
    for (int64_t b = 0; b < s->samples; b++) {
        int64_t rows = b == 0 ? out_length(s) : kt_below(t, out_length(s) + 1);
        int64_t need = rows + s->width - 1 - s->left;
        c->rows[b] = rows;
        c->rows_in[b] = rows == 0 || need < 0 ? 0 : need > s->length ? s->length : need;
        for (int64_t k = c->rows_in[b] * s->in; k < s->length * s->in; k++)
            x->v[b * s->length * s->in + k] = (double)NAN;
    }
}

void kt_op_conv1d(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int code = 0; code < 8; code++) {
            const struct shape *s = &shapes[k];
            struct kt_case *c = new_case(t, s,
                                         code & 4   ? ", ragged"
                                         : code & 2 ? ", relu"
                                         : code & 1 ? ", bias"
                                                    : "");
            c->i[2] = code & 2 ? ASTER_ACT_RELU : ASTER_ACT_NONE;
            kt_in(c, KT_REAL, 0, KT_DIMS(s->samples, s->length, s->in));
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s->width, s->in, s->out));
            if (code & 1)
                kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s->out));
            else
                kt_in_absent(c);
            if (code & 4)
                ragged(t, c, s);
            kt_out(c, KT_REAL, 0, KT_DIMS(s->samples, out_length(s), s->out));
            kt_run(c, ref_conv1d);
        }
}

void kt_op_conv1d_dx(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++) {
        const struct shape *s = &shapes[k];
        struct kt_case *c = new_case(t, s, "");
        c->s[0] = s->length;
        kt_in(c, KT_REAL, 0, KT_DIMS(s->samples, out_length(s), s->out));
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s->width, s->in, s->out));
        kt_out(c, KT_REAL, 0, KT_DIMS(s->samples, s->length, s->in));
        kt_run(c, ref_conv1d_dx);
    }
}

void kt_op_conv1d_dw(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++) {
        const struct shape *s = &shapes[k];
        struct kt_case *c = new_case(t, s, "");
        c->s[0] = s->width;
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s->samples, s->length, s->in));
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s->samples, out_length(s), s->out));
        kt_out(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s->width, s->in, s->out));
        kt_run(c, ref_conv1d_dw);
    }
}
