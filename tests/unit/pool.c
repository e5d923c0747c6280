/* SPDX-License-Identifier: BSD-3-Clause */
/* Pooling and resize of every instruction set equal plain loops in double; each derivative is the
 * adjoint. */
#include "unit/kernels.h"

DECLARE_SETS(avgpool2);
DECLARE_SETS(avgpool2_dx);
DECLARE_SETS(resize);
DECLARE_SETS(resize_dx);
static aster_kernel *const pool[N_SETS] = SETS(avgpool2),
                           *const pool_dx[N_SETS] = SETS(avgpool2_dx),
                           *const resize[N_SETS] = SETS(resize),
                           *const resize_dx[N_SETS] = SETS(resize_dx);

static const struct shape {
    int64_t b, l, c, n_out; /* n_out of the resize */
} shapes[] = {
    {0, 4, 3, 8},    {1, 1, 1, 1},    {2, 1, 3, 5},      {2, 5, 3, 1},      {2, 2, 7, 4},
    {3, 31, 5, 62},  {2, 30, 9, 31},  {1, 125, 64, 250}, {1, 512, 3, 1024}, {2, 7, 130, 3},
    {1, 1, 2, 4000}, {2, 16, 33, 16}, {2, 3, 0, 6},      {1, 97, 13, 977},  {1, 5, 2, 0},
};

static double weight(enum aster_dtype t, const struct shape *s, int64_t out, int64_t in)
{
    double p, from;
    if (t == ASTER_F64) {
        p = s->n_out > 1 ? (double)out * ((double)(s->l - 1) / (double)(s->n_out - 1)) : 0;
    } else {
        float ratio = s->n_out > 1 ? (float)(s->l - 1) / (float)(s->n_out - 1) : 0;
        p = (double)((float)out * ratio);
    }
    from = floor(p) < (double)(s->l - 1) ? floor(p) : (double)(s->l - 1);
    double next = from + 1 < (double)s->l ? from + 1 : (double)(s->l - 1);
    return ((double)in == from ? 1 - (p - from) : 0) + ((double)in == next ? p - from : 0);
}

/* The matrix of each linear map: element (out, in). */
static double element(bool is_resize, enum aster_dtype t, const struct shape *s, int64_t out,
                      int64_t in)
{
    return is_resize ? weight(t, s, out, in) : in / 2 == out ? 0.5 : 0;
}

static void reference(bool is_resize, bool adjoint, const struct shape *s,
                      const struct aster_tensor *x, double *want, double *scale)
{
    int64_t n_small = is_resize ? s->n_out : s->l / 2, n_to = adjoint ? s->l : n_small,
            n_from = adjoint ? n_small : s->l;
    memset(want, 0, (size_t)(s->b * n_to * s->c) * sizeof *want);
    memset(scale, 0, (size_t)(s->b * n_to * s->c) * sizeof *scale);
    for (int64_t to = 0; to < n_to; to++)
        for (int64_t from = 0; from < n_from; from++) {
            double m = adjoint ? element(is_resize, x->dtype, s, from, to)
                               : element(is_resize, x->dtype, s, to, from);
            for (int64_t b = 0; m != 0 && b < s->b; b++)
                for (int64_t k = 0; k < s->c; k++) {
                    double term = m * get(x, (b * n_from + from) * s->c + k);
                    want[(b * n_to + to) * s->c + k] += term;
                    scale[(b * n_to + to) * s->c + k] += fabs(term);
                }
        }
}

static bool rows_hold(aster_kernel *kernel, const struct aster_args *full)
{
    const int64_t b = full->in[0].dim[0], n = full->out[0].dim[1], c = full->in[0].dim[2];
    int64_t *rows = calloc((size_t)b + 1, sizeof *rows);
    struct aster_args a = *full;
    bool good = true;
    a.rows = rows;
    a.out[0] = tensor_new(full->in[0].dtype, false, 3, b, n, c, 0);
    for (int64_t s = 0; s < b; s++)
        rows[s] = s % 2 ? n + 1 : n / 2;
    good = run_guarded(kernel, &a, 0);
    for (int64_t s = 0; s < b; s++) {
        int64_t count = rows[s] < n ? rows[s] : n;
        good = good && same_bits(&a.out[0], s * n * c, &full->out[0], s * n * c, count * c);
        for (int64_t i = (s * n + count) * c; i < (s + 1) * n * c; i++)
            good = good && isnan(get(&a.out[0], i));
    }
    tensor_free(&a.out[0]);
    free(rows);
    return good;
}

static void one(bool is_resize, bool adjoint, const struct shape *s, enum aster_dtype t,
                double *worst, bool *good)
{
    int64_t n_small = is_resize ? s->n_out : s->l / 2, n_to = adjoint ? s->l : n_small,
            n_from = adjoint ? n_small : s->l;
    double *want = calloc((size_t)(s->b * n_to * s->c) + 1, sizeof *want);
    double *scale = calloc((size_t)(s->b * n_to * s->c) + 1, sizeof *scale);
    struct aster_args a = {.n_in = 1, .n_out = 1, .s = {n_to}};
    a.in[0] = tensor_new(t, true, 3, s->b, n_from, s->c, 0);
    a.out[0] = tensor_new(t, false, 3, s->b, n_to, s->c, 0);
    reference(is_resize, adjoint, s, &a.in[0], want, scale);
    for (int k = 0; k < N_SETS; k++) {
        aster_kernel *kernel =
            is_resize ? (adjoint ? resize_dx[k] : resize[k]) : (adjoint ? pool_dx[k] : pool[k]);
        if (!set_runs_here(k))
            continue;
        tensor_clear(&a.out[0]);
        good[k] = run_guarded(kernel, &a, 0) && good[k];
        double d = distance(&a.out[0], want, scale, t == ASTER_F64 ? 64 : 4);
        if (!(d <= worst[k]))
            worst[k] = d;
        good[k] = good[k] && distance_sees(&a.out[0], want, scale, t == ASTER_F64 ? 64 : 4);
        if (!adjoint)
            good[k] = good[k] && rows_hold(kernel, &a);
    }
    tensor_free(&a.in[0]);
    tensor_free(&a.out[0]);
    free(want);
    free(scale);
}

int main(void)
{
    static const char *const names[] = {"avgpool2", "avgpool2_dx", "resize", "resize_dx"};
    for (int t = 0; t < 2; t++)
        for (int op = 0; op < 4; op++) {
            double worst[N_SETS] = {0};
            bool good[N_SETS];
            memset(good, 1, sizeof good);
            for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
                one(op / 2, op % 2, &shapes[i], t ? ASTER_F64 : ASTER_F32, worst, good);
            for (int k = 0; k < N_SETS; k++) {
                if (!set_runs_here(k)) {
                    tap_skip("%s: this CPU does not have it", set_names[k]);
                    continue;
                }
                tap_ok(worst[k] < 1, "%s %s %s equals plain loops (worst %.3f of the limit)",
                       names[op], t ? "f64" : "f32", set_names[k], worst[k]);
                tap_ok(good[k],
                       "%s %s %s keeps to its buffers and rows, and a wrong result would be seen",
                       names[op], t ? "f64" : "f32", set_names[k]);
            }
        }
    return tap_done();
}
