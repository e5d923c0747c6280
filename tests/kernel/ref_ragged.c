/* SPDX-License-Identifier: BSD-3-Clause */
/* References of attention within sequences back to back, and of rotary positions. */
#include "kt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A head of a sequence: element (row, feature) of x is x[at + row ld + feature]. */
struct part {
    int64_t first, n, head, heads, e, at, ld;
    double slope;
};

/* starts: the input's number; behind it, perhaps, slopes */
static struct part part_of(const struct kt_case *c, int starts, int64_t k)
{
    int64_t heads = c->i[0], ld = c->in[0].dim[1], j = k / heads;
    struct part p = {.first = (int64_t)c->in[starts].v[j],
                     .head = k % heads,
                     .heads = heads,
                     .e = ld / heads,
                     .ld = ld};
    p.n = (int64_t)c->in[starts].v[j + 1] - p.first;
    p.at = p.first * ld + p.head * p.e;
    p.slope = c->n_in > starts + 1 ? c->in[starts + 1].v[p.head] : 0;
    return p;
}

static int64_t n_parts(const struct kt_case *c, int starts)
{
    return c->i[0] * (c->in[starts].n - 1);
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

static double score(const struct kt_case *c, const struct part *p, int64_t i, int64_t j)
{
    return c->f[0] * dot(c->in[0].v + p->at + i * p->ld, c->in[1].v + p->at + j * p->ld, p->e) -
           p->slope * fabs((double)(i - j));
}

static void ref_ragged(struct kt_case *c)
{
    for (int64_t k = 0; k < n_parts(c, 3); k++) {
        struct part p = part_of(c, 3, k);
        for (int64_t i = 0; i < p.n; i++) {
            double top = -(double)INFINITY, sum = 0, *o = c->out[0].v + p.at + i * p.ld;
            for (int64_t j = 0; j < p.n; j++)
                top = fmax(top, score(c, &p, i, j));
            for (int64_t j = 0; j < p.n; j++)
                sum += exp(score(c, &p, i, j) - top);
            c->out[1].v[(p.first + i) * p.heads + p.head] = top + log(sum);
            for (int64_t j = 0; j < p.n; j++)
                for (int64_t e = 0; e < p.e; e++)
                    o[e] += exp(score(c, &p, i, j) - top) / sum * c->in[2].v[p.at + j * p.ld + e];
        }
    }
}

static void ref_ragged_dx(struct kt_case *c)
{
    for (int64_t k = 0; k < n_parts(c, 6); k++) {
        struct part z = part_of(c, 6, k);
        for (int64_t i = 0; i < z.n; i++) {
            int64_t row = z.at + i * z.ld;
            const double *go = c->in[5].v + row;
            double lse = c->in[4].v[(z.first + i) * z.heads + z.head],
                   mean = dot(go, c->in[3].v + row, z.e);
            for (int64_t j = 0; j < z.n; j++) {
                int64_t other = z.at + j * z.ld;
                double p = exp(score(c, &z, i, j) - lse);
                double ds = c->f[0] * p * (dot(go, c->in[2].v + other, z.e) - mean);
                for (int64_t e = 0; e < z.e; e++) {
                    c->out[0].v[row + e] += ds * c->in[1].v[other + e];
                    c->out[1].v[other + e] += ds * c->in[0].v[row + e];
                    c->out[2].v[other + e] += p * go[e];
                }
            }
        }
    }
}

/* lengths end with -1 */
static const struct {
    int64_t heads, width, length[8];
} shapes[] = {{1, 1, {1, -1}},          {2, 16, {5, 0, 17, 1, -1}},     {3, 24, {33, 2, 64, -1}},
              {1, 64, {3, 130, 7, -1}}, {5, 3, {0, 0, 11, -1}},         {4, 8, {-1}},
              {2, 150, {9, 31, -1}},    {1, 5, {257, 1, 1, 40, 97, -1}}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

struct totals {
    int64_t n, rows, longest;
};

static struct totals totals_of(int k)
{
    struct totals t = {0};
    for (; shapes[k].length[t.n] >= 0; t.n++) {
        t.rows += shapes[k].length[t.n];
        t.longest = shapes[k].length[t.n] > t.longest ? shapes[k].length[t.n] : t.longest;
    }
    return t;
}

static struct kt_case *ragged_case(struct kt *t, int k, bool has_slopes)
{
    struct totals n = totals_of(k);
    struct kt_case *c =
        kt_case_new(t, "%d sequences, %d rows, %d heads of %d, slopes %d", (int)n.n, (int)n.rows,
                    (int)shapes[k].heads, (int)shapes[k].width, has_slopes);
    c->i[0] = shapes[k].heads;
    c->f[0] = 1 / sqrt((double)shapes[k].width);
    c->s[0] = n.longest + (has_slopes ? 9 : 0);
    for (int j = 0; j < 3; j++) {
        double *x =
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(n.rows, shapes[k].heads * shapes[k].width));
        if (j == 0)
            kt_fill(t, c->in[0].n, x, -4, 4);
    }
    return c;
}

static void starts_in(struct kt_case *c, int k, bool has_slopes)
{
    struct totals n = totals_of(k);
    double *starts = kt_in(c, ASTER_I32, KT_NO_BATCH, KT_DIMS(n.n + 1)), *slopes;
    for (int64_t j = 0; j < n.n; j++)
        starts[j + 1] = starts[j] + (double)shapes[k].length[j];
    if (!has_slopes)
        return;
    slopes = kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(shapes[k].heads));
    for (int64_t h = 0; h < shapes[k].heads; h++)
        slopes[h] = 0.5 / (double)(h + 1);
}

void kt_op_ragged_attention(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int slopes = 0; slopes < 2; slopes++) {
            struct kt_case *c = ragged_case(t, k, slopes);
            starts_in(c, k, slopes);
            kt_like(c, true, &c->in[0]);
            kt_out(c, KT_REAL, KT_NO_BATCH, KT_DIMS(c->in[0].dim[0], shapes[k].heads));
            kt_run(c, ref_ragged);
        }
}

void kt_op_ragged_attention_dx(struct kt *t)
{
    for (int k = 1; k < N_SHAPES; k++)
        for (int slopes = 0; slopes < 2; slopes++) {
            struct kt_case *c = ragged_case(t, k, slopes);
            int64_t heads = shapes[k].heads;
            kt_like(c, false, &c->in[0]);
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(c->in[0].dim[0], heads));
            kt_like(c, false, &c->in[0]);
            starts_in(c, k, slopes);
            /* o and lse as the forward op gives them */
            struct kt_case *f = calloc(1, sizeof *f);
            if (!f)
                abort();
            *f = (struct kt_case){.t = t, .n_in = 4 + slopes, .n_out = 2};
            for (int j = 0; j < 3; j++) {
                kt_round(kt_real(t), c->in[j].n, c->in[j].v);
                f->in[j] = c->in[j];
            }
            if (slopes)
                kt_round(kt_real(t), c->in[7].n, c->in[7].v);
            f->in[3] = c->in[6];
            f->in[4] = c->in[7];
            f->out[0] = c->in[3];
            f->out[1] = c->in[4];
            f->i[0] = heads;
            f->f[0] = c->f[0];
            memset(c->in[3].v, 0, (size_t)c->in[3].n * sizeof *c->in[3].v);
            ref_ragged(f);
            free(f);
            for (int j = 0; j < 3; j++)
                kt_like(c, true, &c->in[j]);
            kt_run(c, ref_ragged_dx);
        }
}

/* Complex numbers: each pair is turned by the table's. */
static void ref_rotary(struct kt_case *c)
{
    int64_t width = c->in[0].dim[1], e = width / c->i[0], half = e / 2;
    for (int64_t row = 0; row < c->in[0].dim[0]; row++)
        for (int64_t k = 0; k < width; k++) {
            const double *x = c->in[0].v + row * width + k / e * e,
                         *turn = c->in[2].v + (int64_t)c->in[1].v[row] * e;
            int64_t j = k % half;
            double cosine = turn[j], sine = c->i[1] ? -turn[half + j] : turn[half + j];
            c->out[0].v[row * width + k] = k % e < half ? x[j] * cosine - x[half + j] * sine
                                                        : x[half + j] * cosine + x[j] * sine;
        }
}

void kt_op_rotary(struct kt *t)
{
    static const int64_t sizes[][4] = {{0, 2, 4, 3},     {1, 1, 2, 1},    {7, 3, 24, 5},
                                       {13, 20, 16, 40}, {31, 5, 6, 100}, {5, 2, 128, 1000}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int back = 0; back < 2; back++) {
            const int64_t *s = sizes[k];
            struct kt_case *c = kt_case_new(t, "%d rows, %d heads of %d, %d positions, back %d",
                                            (int)s[0], (int)s[1], (int)s[2], (int)s[3], back);
            c->i[0] = s[1];
            c->i[1] = back;
            kt_in(c, KT_REAL, 0, KT_DIMS(s[0], s[1] * s[2]));
            double *at = kt_in(c, ASTER_I32, 0, KT_DIMS(s[0]));
            kt_fill_below(t, s[0], at, s[3]);
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[3], s[2]));
            kt_out(c, KT_REAL, 0, KT_DIMS(s[0], s[1] * s[2]));
            kt_run(c, ref_rotary);
        }
}
