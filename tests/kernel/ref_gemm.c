/* SPDX-License-Identifier: BSD-3-Clause */
/* References of the matrix products. */
#include "kt.h"

#include <math.h>

static void ref_matmul(struct kt_case *c)
{
    const struct kt_tensor *a = &c->in[0], *b = &c->in[1];
    struct kt_tensor *y = &c->out[0];
    bool ta = c->i[0], tb = c->i[1];
    int64_t m = y->dim[y->rank - 2], n = y->dim[y->rank - 1],
            inner = a->dim[a->rank - (ta ? 2 : 1)];
    for (int64_t at = 0; at < y->n; at++) {
        int64_t g = at / n / m, i = at / n % m, j = at % n;
        const double *x = a->v + g * m * inner, *w = b->v + (b->rank > 2 ? g * inner * n : 0);
        long double sum = 0;
        for (int64_t k = 0; k < inner; k++)
            sum += (long double)x[ta ? k * m + i : i * inner + k] *
                   (long double)w[tb ? j * inner + k : k * n + j];
        y->v[at] = (double)sum;
    }
}

/* groups: of matrices along a leading axis; shared: one second factor for all of them. */
static void matmul_case(struct kt *t, int64_t groups, bool shared, int64_t m, int64_t n, int64_t k)
{
    for (int code = 0; code < 4; code++) {
        bool ta = code & 1, tb = code & 2, flat = groups < 0;
        struct kt_case *c = kt_case_new(t, "%d x %d x %d, groups %d, shared %d, transposed %d %d",
                                        (int)m, (int)n, (int)k, (int)groups, shared, ta, tb);
        int64_t da[] = {groups, ta ? k : m, ta ? m : k}, db[] = {groups, tb ? n : k, tb ? k : n},
                dy[] = {groups, m, n};
        c->i[0] = ta;
        c->i[1] = tb;
        if (flat) { /* rank 2: the rows of a are independent */
            kt_in(c, KT_REAL, ta ? 1 : 0, 2, da + 1);
            kt_in(c, KT_REAL, KT_NO_BATCH, 2, db + 1);
            kt_out(c, KT_REAL, 0, 2, dy + 1);
        } else {
            kt_in(c, KT_REAL, 0, 3, da);
            kt_in(c, KT_REAL, shared ? KT_NO_BATCH : 0, shared ? 2 : 3, shared ? db + 1 : db);
            kt_out(c, KT_REAL, 0, 3, dy);
        }
        kt_run(c, ref_matmul);
    }
}

void kt_op_matmul(struct kt *t)
{
    static const int64_t sizes[][3] = {{1, 1, 1},     {1, 64, 20}, {5, 7, 3},  {16, 16, 16},
                                       {17, 33, 129}, {64, 2, 31}, {3, 1, 200}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        matmul_case(t, -1, false, sizes[k][0], sizes[k][1], sizes[k][2]);
        matmul_case(t, 3, false, sizes[k][0], sizes[k][1], sizes[k][2]);
        matmul_case(t, 3, true, sizes[k][0], sizes[k][1], sizes[k][2]);
    }
    matmul_case(t, 0, false, 3, 4, 5);
    matmul_case(t, -1, false, 0, 4, 5);
    matmul_case(t, 2, true, 3, 4, 0);
    matmul_case(t, -1, false, 131, 127, 257);
    matmul_case(t, -1, false, 17, 33, 1030); /* deep */
    matmul_case(t, 2, false, 9, 5, 600);
}

static void ref_linear(struct kt_case *c)
{
    const double *x = c->in[0].v, *w = c->in[1].v, *bias = c->in[2].v;
    int64_t inner = c->in[1].dim[0], n = c->in[1].dim[1];
    for (int64_t at = 0; at < c->out[0].n; at++) {
        int64_t row = at / n, j = at % n;
        long double sum = bias ? (long double)bias[j] : 0;
        for (int64_t k = 0; k < inner; k++)
            sum += (long double)x[row * inner + k] * (long double)w[k * n + j];
        if (c->i[0] == ASTER_ACT_GELU)
            sum *= 0.5L * erfcl(-sum * sqrtl(0.5L));
        c->out[0].v[at] = (double)(c->i[0] == ASTER_ACT_RELU && sum < 0 ? 0 : sum);
    }
}

static void linear_cases(struct kt *t, enum aster_dtype weights)
{
    static const int64_t sizes[][4] = {{1, 1, 1, 1},    {2, 3, 20, 64},   {3, 1, 64, 2},
                                       {2, 37, 128, 2}, {5, 7, 33, 31},   {0, 4, 3, 5},
                                       {2, 0, 3, 5},    {2, 130, 66, 48}, {1, 5, 1280, 9},
                                       {4, 9, 1, 16},   {3, 16, 40, 256}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int code = 0; code < 6; code++) {
            const int64_t *s = sizes[k];
            struct kt_case *c = kt_case_new(t, "x %d %d %d, to %d, bias %d, act %d", (int)s[0],
                                            (int)s[1], (int)s[2], (int)s[3], code & 1, code >> 1);
            c->i[0] = code >> 1;
            kt_in(c, KT_REAL, 0, KT_DIMS(s[0], s[1], s[2]));
            kt_in(c, weights, KT_NO_BATCH, KT_DIMS(s[2], s[3]));
            if (code & 1)
                kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[3]));
            else
                kt_in_absent(c);
            kt_out(c, KT_REAL, 0, KT_DIMS(s[0], s[1], s[3]));
            kt_run(c, ref_linear);
        }
}

void kt_op_linear(struct kt *t)
{
    linear_cases(t, KT_REAL);
}

void kt_op_linear_bf16(struct kt *t)
{
    linear_cases(t, ASTER_BF16);
}
