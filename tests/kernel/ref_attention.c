/* SPDX-License-Identifier: BSD-3-Clause */
/* References of attention: the matrix of probabilities is written out. */
#include "kt.h"

#include <math.h>
#include <stdlib.h>

struct sizes {
    int64_t n, t, s, e;
};

static struct sizes sizes_of(const struct kt_case *c)
{
    return (struct sizes){c->in[0].dim[0], c->in[0].dim[1], c->in[1].dim[1], c->in[0].dim[2]};
}

/* May query i of group g see key j? mask: [n] counts of keys, or NULL. */
static bool sees(const struct kt_case *c, const double *mask, int64_t g, int64_t i, int64_t j)
{
    return !(mask && (double)j >= mask[g]) && !(c->i[0] && j > i);
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

static void ref_attention(struct kt_case *c)
{
    struct sizes z = sizes_of(c);
    const double *mask = c->n_in > 3 ? c->in[3].v : NULL;
    for (int64_t row = 0; row < z.n * z.t; row++) {
        int64_t g = row / z.t, i = row % z.t;
        const double *q = c->in[0].v + row * z.e, *k = c->in[1].v + g * z.s * z.e,
                     *v = c->in[2].v + g * z.s * z.e;
        double top = -(double)INFINITY, sum = 0, *o = c->out[0].v + row * z.e;
        for (int64_t j = 0; j < z.s; j++)
            if (sees(c, mask, g, i, j))
                top = fmax(top, c->f[0] * dot(q, k + j * z.e, z.e));
        for (int64_t j = 0; j < z.s; j++)
            if (sees(c, mask, g, i, j))
                sum += exp(c->f[0] * dot(q, k + j * z.e, z.e) - top);
        c->out[1].v[row] = sum > 0 ? top + log(sum) : -(double)INFINITY;
        for (int64_t j = 0; j < z.s; j++)
            for (int64_t e = 0; e < z.e && sees(c, mask, g, i, j); e++)
                o[e] += exp(c->f[0] * dot(q, k + j * z.e, z.e) - top) / sum * v[j * z.e + e];
    }
}

static void ref_attention_dx(struct kt_case *c)
{
    struct sizes z = sizes_of(c);
    const double *mask = c->n_in > 6 ? c->in[6].v : NULL, *lse = c->in[4].v;
    for (int64_t row = 0; row < z.n * z.t; row++) {
        int64_t g = row / z.t, i = row % z.t, base = g * z.s * z.e;
        const double *q = c->in[0].v + row * z.e, *k = c->in[1].v + base, *v = c->in[2].v + base,
                     *go = c->in[5].v + row * z.e;
        double *dq = c->out[0].v + row * z.e, *dk = c->out[1].v + base, *dv = c->out[2].v + base;
        double mean = dot(go, c->in[3].v + row * z.e, z.e);
        for (int64_t j = 0; j < z.s; j++) {
            if (!sees(c, mask, g, i, j))
                continue;
            double p = exp(c->f[0] * dot(q, k + j * z.e, z.e) - lse[row]);
            double ds = c->f[0] * p * (dot(go, v + j * z.e, z.e) - mean);
            for (int64_t e = 0; e < z.e; e++) {
                dq[e] += ds * k[j * z.e + e];
                dk[j * z.e + e] += ds * q[e];
                dv[j * z.e + e] += p * go[e];
            }
        }
    }
}

/* groups (two where calls are slow), queries, keys, width */
static const int64_t shapes[][4] = {{1, 1, 1, 1},    {2, 5, 7, 3},     {3, 64, 64, 16},
                                    {2, 17, 33, 64}, {4, 100, 100, 8}, {0, 3, 3, 4},
                                    {2, 1, 70, 32},  {2, 65, 1, 16},   {1, 130, 129, 40},
                                    {5, 16, 16, 64}, {3, 6, 9, 150}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, N_VARIANTS = 4 };

/* variants: all, masked (one group wholly), causal, both */
static struct kt_case *inputs(struct kt *t, const int64_t *s, int variant)
{
    struct kt_case *c = kt_case_new(t, "n %d, queries %d, keys %d, width %d, variant %d", (int)s[0],
                                    (int)s[1], (int)s[2], (int)s[3], variant);
    c->i[0] = variant >= 2;
    c->f[0] = 1 / sqrt((double)s[3]);
    double *q = kt_in(c, KT_REAL, 0, KT_DIMS(s[0], s[1], s[3]));
    kt_fill(t, c->in[0].n, q, -4, 4);
    kt_in(c, KT_REAL, 0, KT_DIMS(s[0], s[2], s[3]));
    kt_in(c, KT_REAL, 0, KT_DIMS(s[0], s[2], s[3]));
    return c;
}

static void mask_in(struct kt *t, struct kt_case *c, const int64_t *s, int variant)
{
    if (variant % 2 == 0)
        return;
    double *n_keys = kt_in(c, ASTER_I32, 0, KT_DIMS(s[0]));
    for (int64_t g = 0; g < s[0]; g++)
        n_keys[g] = g == 1 ? 0 : (double)(1 + kt_below(t, s[2] + 1));
}

void kt_op_attention(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int variant = 0; variant < N_VARIANTS; variant++) {
            const int64_t s[] = {kt_cut(shapes[k][0], 2), shapes[k][1], shapes[k][2], shapes[k][3]};
            if (variant >= 2 && s[1] != s[2])
                continue;
            struct kt_case *c = inputs(t, s, variant);
            mask_in(t, c, s, variant);
            kt_out(c, KT_REAL, 0, KT_DIMS(s[0], s[1], s[3]));
            kt_out(c, KT_REAL, 0, KT_DIMS(s[0], s[1]));
            kt_run(c, ref_attention);
        }
}

void kt_op_attention_dx(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int variant = 0; variant < N_VARIANTS; variant++) {
            const int64_t s[] = {kt_cut(shapes[k][0], 2), shapes[k][1], shapes[k][2], shapes[k][3]};
            /* the only key's probability does not change: dq is 0 but for rounding, and no scale
             * for it */
            if ((variant >= 2 && s[1] != s[2]) || (s[2] == 1 && s[1] > 1))
                continue;
            struct kt_case *c = inputs(t, s, variant);
            kt_in(c, KT_REAL, 0, KT_DIMS(s[0], s[1], s[3]));
            kt_in(c, KT_REAL, 0, KT_DIMS(s[0], s[1]));
            kt_in(c, KT_REAL, 0, KT_DIMS(s[0], s[1], s[3]));
            mask_in(t, c, s, variant);
            /* o and lse as the forward op gives them */
            struct kt_case *f = calloc(1, sizeof *f);
            *f = (struct kt_case){.t = t, .n_in = c->n_in > 6 ? 4 : 3, .n_out = 2};
            for (int j = 0; j < 3; j++) {
                kt_round(kt_real(t), c->in[j].n, c->in[j].v);
                f->in[j] = c->in[j];
            }
            f->in[3] = c->in[6];
            f->out[0] = c->in[3];
            f->out[1] = c->in[4];
            f->i[0] = c->i[0];
            f->f[0] = c->f[0];
            for (int64_t j = 0; j < c->in[3].n; j++)
                c->in[3].v[j] = 0;
            ref_attention(f);
            free(f);
            for (int j = 0; j < 3; j++)
                kt_like(c, true, &c->in[j]);
            kt_run(c, ref_attention_dx);
        }
}
