/* SPDX-License-Identifier: BSD-3-Clause */
/* References of the weighted cross entropy and of its derivative, as formulas of the definition. */
#include "kt.h"

#include <math.h>

enum { UNCOUNTED = 255 };

static void ref_xent(struct kt_case *c)
{
    const struct kt_tensor *labels = &c->in[1];
    int64_t classes = c->in[0].dim[c->in[0].rank - 1];
    double n = c->in[2].v[0];
    long double loss = 0;
    for (int64_t k = 0; k < labels->n; k++) {
        const double *x = c->in[0].v + k * classes;
        double *p = c->out[1].v + k * classes;
        long double sum = 0, top = (long double)x[0];
        for (int64_t j = 1; j < classes; j++)
            top = fmaxl(top, (long double)x[j]);
        for (int64_t j = 0; j < classes; j++)
            sum += expl((long double)x[j] - top);
        for (int64_t j = 0; j < classes; j++)
            p[j] = (double)(expl((long double)x[j] - top) / sum);
        int label = (int)labels->v[k];
        if (label < classes)
            loss -= (long double)c->f[label] * logl((long double)p[label] + (long double)c->f[4]);
        else if (label != UNCOUNTED)
            c->status[k / (labels->n / labels->dim[0])] = ASTER_EFORMAT;
    }
    c->out[0].v[0] = n > 0 ? (double)(loss / (long double)n) : 0;
}

static void ref_xent_dx(struct kt_case *c)
{
    const struct kt_tensor *labels = &c->in[1];
    int64_t classes = c->in[0].dim[c->in[0].rank - 1];
    long double n = (long double)c->in[2].v[0], dloss = (long double)c->in[3].v[0];
    for (int64_t k = 0; k < labels->n; k++) {
        int label = (int)labels->v[k];
        if (label >= classes || n == 0)
            continue;
        const double *p = c->in[0].v + k * classes;
        long double pc = (long double)p[label],
                    q = -(long double)c->f[label] / (n * (pc + (long double)c->f[4]));
        for (int64_t j = 0; j < classes; j++)
            c->out[0].v[k * classes + j] =
                (double)((long double)p[j] * ((j == label ? q : 0) - q * pc) * dloss);
    }
}

struct shape {
    int64_t samples, positions, classes;
    double spread; /* of the logits */
    int bad;       /* every bad-th label is neither a class nor 255 */
    bool none;     /* n = 0 */
};

static const struct shape shapes[] = {{1, 1, 2, 1, 0, false},     {4, 67, 2, 3, 0, false},
                                      {3, 301, 3, 2, 0, false},   {2, 513, 4, 5, 0, false},
                                      {5, 40, 2, 30, 0, false},   {3, 100, 2, 3, 130, false},
                                      {2, 9, 2, 1, 0, true},      {0, 9, 2, 1, 0, true},
                                      {2, 257, 2, 100, 0, false}, {16, 1024, 2, 4, 0, false}};

/* Labels, weights, eps; returns how many positions count. */
static double labels_of(struct kt *t, struct kt_case *c, const struct shape *s, double *labels)
{
    double counted = 0;
    for (int64_t k = 0; k < s->samples * s->positions; k++) {
        labels[k] = kt_below(t, 5) == 0 || s->none ? UNCOUNTED : (double)kt_below(t, s->classes);
        if (s->bad && k % s->bad == s->bad - 1)
            labels[k] = 200;
        counted += labels[k] < (double)s->classes;
    }
    c->f[0] = 1, c->f[1] = 5, c->f[2] = 0.5, c->f[3] = 2;
    c->f[4] = 1e-8;
    return counted;
}

void kt_op_xent(struct kt *t)
{
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const struct shape *s = &shapes[k];
        struct kt_case *c = kt_case_new(t, "shape %d", (int)k);
        double *x = kt_in(c, KT_REAL, 0, KT_DIMS(s->samples, s->positions, s->classes));
        kt_fill(t, c->in[0].n, x, -s->spread, s->spread);
        double *labels = kt_in(c, ASTER_U8, 0, KT_DIMS(s->samples, s->positions));
        double counted = labels_of(t, c, s, labels);
        kt_in(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(1))[0] = counted;
        kt_out(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(1));
        kt_out(c, KT_REAL, 0, KT_DIMS(s->samples, s->positions, s->classes));
        kt_run(c, ref_xent);
    }
}

void kt_op_xent_dx(struct kt *t)
{
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const struct shape *s = &shapes[k];
        struct kt_case *c = kt_case_new(t, "shape %d", (int)k);
        double *p = kt_in(c, KT_REAL, 0, KT_DIMS(s->samples, s->positions, s->classes));
        for (int64_t j = 0; j < s->samples * s->positions; j++) {
            double sum = 0, *row = p + j * s->classes;
            for (int64_t i = 0; i < s->classes; i++)
                sum += row[i] = exp(kt_uniform(t, -s->spread, s->spread));
            for (int64_t i = 0; i < s->classes; i++)
                row[i] /= sum;
        }
        double *labels = kt_in(c, ASTER_U8, 0, KT_DIMS(s->samples, s->positions));
        double counted = labels_of(t, c, s, labels);
        kt_in(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(1))[0] = counted;
        kt_in(c, ASTER_F64, KT_NO_BATCH, KT_DIMS(1))[0] = 0.7;
        kt_out(c, KT_REAL, 0, KT_DIMS(s->samples, s->positions, s->classes));
        kt_run(c, ref_xent_dx);
    }
}
