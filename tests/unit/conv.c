/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolutions of every instruction set equal plain loops in higher precision, and one result's
 * bits depend on nothing but its own inputs; also where operands are rounded to bf16 that are
 * numbers of bf16. */
#include "unit/kernels.h"

DECLARE_SETS(conv1d);
DECLARE_SETS(conv1d_dx);
DECLARE_SETS(conv1d_dw);
static aster_kernel *const forward[N_SETS] = SETS(conv1d),
                           *const backward[N_SETS] = SETS(conv1d_dx),
                           *const weights[N_SETS] = SETS(conv1d_dw);

static const struct shape {
    int64_t b, l, k, ci, co, pad_left, pad_right;
} shapes[] = {
    {0, 5, 3, 2, 3, 1, 1},      {2, 0, 3, 2, 2, 1, 1},     {2, 0, 3, 2, 2, 2, 2},
    {1, 1, 1, 1, 1, 0, 0},      {2, 1, 7, 3, 2, 3, 3},     {3, 5, 7, 4, 5, 3, 3},
    {2, 2, 1, 0, 3, 0, 0},      {2, 3, 3, 3, 0, 1, 1},     {2, 13, 5, 21, 17, 2, 2},
    {2, 37, 7, 20, 33, 6, 0},   {2, 64, 3, 32, 2, 1, 1},   {1, 257, 7, 32, 32, 3, 3},
    {2, 129, 5, 67, 31, 0, 0},  {1, 300, 7, 64, 48, 3, 3}, {1, 9, 3, 4, 4, 5, 4},
    {1, 9, 3, 4, 4, 0, 7},      {2, 31, 7, 384, 19, 3, 3}, {1, 20, 3, 5, 1100, 1, 1},
    {1, 521, 3, 7, 9, 1, 1},    {300, 1, 3, 4, 5, 1, 1},   {5, 100, 2, 11, 24, 1, 0},
    {2, 40, 101, 3, 2, 50, 50}, {2, 64, 7, 40, 50, 3, 3},  {1, 600, 1, 13, 40, 0, 0},
    {7, 61, 4, 6, 8, 2, 1},
};

static int64_t positions(const struct shape *s)
{
    int64_t n = s->l + s->pad_left + s->pad_right - s->k + 1;
    return n > 0 ? n : 0;
}

/* long double sums for f64, double for f32 are both covered by long double; f64 inputs need it */
static void reference_forward(const struct shape *s, const struct aster_tensor *x,
                              const struct aster_tensor *w, const struct aster_tensor *bias,
                              bool relu, double *want, double *scale)
{
    int64_t n = positions(s);
    for (int64_t b = 0; b < s->b; b++)
        for (int64_t t = 0; t < n; t++)
            for (int64_t o = 0; o < s->co; o++) {
                long double sum = bias ? get(bias, o) : 0, size = fabsl(sum);
                for (int64_t j = 0; j < s->k; j++) {
                    int64_t at = t + j - s->pad_left;
                    for (int64_t c = 0; c < s->ci && at >= 0 && at < s->l; c++) {
                        long double term = (long double)get(x, (b * s->l + at) * s->ci + c) *
                                           get(w, (j * s->ci + c) * s->co + o);
                        sum += term;
                        size += fabsl(term);
                    }
                }
                want[(b * n + t) * s->co + o] = relu && sum < 0 ? 0 : (double)sum;
                scale[(b * n + t) * s->co + o] = (double)size;
            }
}

static void add_term(double *want, double *scale, long double *exact, int64_t i, long double term)
{
    exact[i] += term;
    want[i] = (double)exact[i];
    scale[i] += (double)fabsl(term);
}

/* Both derivatives of sum(dy conv(x, w)), each by scattering every term of the sum. */
static void reference_backward(const struct shape *s, const struct aster_tensor *x,
                               const struct aster_tensor *w, const struct aster_tensor *dy,
                               double *want, double *scale, bool of_weights)
{
    int64_t n = positions(s), size = of_weights ? s->k * s->ci * s->co : s->b * s->l * s->ci;
    long double *exact = calloc((size_t)size + 1, sizeof *exact);
    memset(want, 0, (size_t)size * sizeof *want);
    memset(scale, 0, (size_t)size * sizeof *scale);
    for (int64_t b = 0; b < s->b; b++)
        for (int64_t t = 0; t < n; t++)
            for (int64_t j = 0; j < s->k; j++) {
                int64_t at = t + j - s->pad_left;
                for (int64_t c = 0; c < s->ci && at >= 0 && at < s->l; c++)
                    for (int64_t o = 0; o < s->co; o++) {
                        int64_t ix = (b * s->l + at) * s->ci + c, iw = (j * s->ci + c) * s->co + o;
                        long double g = get(dy, (b * n + t) * s->co + o);
                        if (of_weights)
                            add_term(want, scale, exact, iw, g * get(x, ix));
                        else
                            add_term(want, scale, exact, ix, g * get(w, iw));
                    }
            }
    free(exact);
}

/* A position computed with fewer rows, from a sample alone, or beside NaN has the same bits. */
static bool bits_hold(aster_kernel *kernel, const struct shape *s, const struct aster_args *full)
{
    int64_t n = positions(s), size = (int64_t)real_size(full->in[0].dtype);
    bool good = true;
    int64_t *rows = calloc((size_t)s->b + 1, sizeof *rows);
    struct aster_args a = *full;
    a.in[0] = tensor_new(full->in[0].dtype, false, 3, s->b, s->l, s->ci, 0);
    a.out[0] = tensor_new(full->in[0].dtype, false, 3, s->b, n, s->co, 0);
    a.rows = rows;
    for (int64_t b = 0; b < s->b; b++) {
        rows[b] = b % 3 == 0 ? (n + 1) / 2 : b % 3 == 1 ? 0 : n + 5;
        int64_t last = rows[b] <= 0 ? 0 : rows[b] - 1 + s->k - s->pad_left;
        last = last < 0 ? 0 : last > s->l ? s->l : last;
        memcpy((char *)a.in[0].p + b * s->l * s->ci * size,
               (char *)full->in[0].p + b * s->l * s->ci * size, (size_t)(last * s->ci * size));
    }
    good = run_guarded(kernel, &a, aster_work_conv(ASTER_OP_conv1d, &a)) && good;
    for (int64_t b = 0; b < s->b; b++) {
        int64_t count = rows[b] < n ? rows[b] : n, at = b * n * s->co;
        good = good && same_bits(&a.out[0], at, &full->out[0], at, count * s->co);
        for (int64_t i = at + count * s->co; i < (b + 1) * n * s->co; i++)
            good = good && isnan(get(&a.out[0], i));
    }
    tensor_free(&a.in[0]);
    if (s->b > 0) { /* the last sample alone */
        struct aster_tensor out = tensor_new(full->in[0].dtype, false, 3, 1, n, s->co, 0);
        a.rows = NULL;
        a.in[0] = full->in[0];
        a.in[0].dim[0] = 1;
        a.in[0].p = (char *)full->in[0].p + (s->b - 1) * s->l * s->ci * size;
        tensor_free(&a.out[0]);
        a.out[0] = out;
        good = run_guarded(kernel, &a, aster_work_conv(ASTER_OP_conv1d, &a)) && good;
        good = good && same_bits(&a.out[0], 0, &full->out[0], (s->b - 1) * n * s->co, n * s->co);
    }
    tensor_free(&a.out[0]);
    free(rows);
    return good;
}

/* The last sample alone gives the same derivative of its input. */
static bool backward_bits_hold(aster_kernel *kernel, const struct shape *s,
                               const struct aster_args *full)
{
    int64_t n = positions(s), size = (int64_t)real_size(full->in[0].dtype);
    if (s->b == 0)
        return true;
    struct aster_args a = *full;
    a.in[0].dim[0] = 1;
    a.in[0].p = (char *)full->in[0].p + (s->b - 1) * n * s->co * size;
    a.out[0] = tensor_new(full->in[0].dtype, false, 3, 1, s->l, s->ci, 0);
    bool good = run_guarded(kernel, &a, aster_work_conv(ASTER_OP_conv1d_dx, &a)) &&
                same_bits(&a.out[0], 0, &full->out[0], (s->b - 1) * s->l * s->ci, s->l * s->ci);
    tensor_free(&a.out[0]);
    return good;
}

struct tally { /* what went wrong for one instruction set and type */
    double worst[3];
    bool guards, bits, seen;
};

static void one_shape(const struct shape *s, enum aster_dtype t, enum aster_products products,
                      struct tally *tally)
{
    int64_t n = positions(s), n_x = s->b * s->l * s->ci, n_y = s->b * n * s->co,
            n_w = s->k * s->ci * s->co;
    int64_t most = (n_x > n_y ? n_x : n_y) + n_w + 1;
    double *want = calloc((size_t)most, sizeof *want), *scale = calloc((size_t)most, sizeof *scale);
    const bool has_bias = s->l % 2, relu = s->k % 4 == 3;
    struct aster_tensor x = tensor_new(t, true, 3, s->b, s->l, s->ci, 0),
                        w = tensor_new(t, true, 3, s->k, s->ci, s->co, 0);
    struct aster_tensor bias = tensor_new(t, true, 1, s->co, 0, 0, 0),
                        y = tensor_new(t, false, 3, s->b, n, s->co, 0);
    struct aster_tensor dy = tensor_new(t, true, 3, s->b, n, s->co, 0),
                        dx = tensor_new(t, false, 3, s->b, s->l, s->ci, 0);
    struct aster_tensor dw = tensor_new(t, false, 3, s->k, s->ci, s->co, 0);
    struct aster_args f = {.n_in = 3,
                           .n_out = 1,
                           .in = {x, w, bias},
                           .out = {y},
                           .i = {s->pad_left, s->pad_right, relu}};
    struct aster_args g = {.n_in = 2,
                           .n_out = 1,
                           .in = {dy, w},
                           .out = {dx},
                           .i = {s->pad_left, s->pad_right},
                           .s = {s->l}};
    struct aster_args h = {.n_in = 2,
                           .n_out = 1,
                           .in = {x, dy},
                           .out = {dw},
                           .i = {s->pad_left, s->pad_right},
                           .s = {s->k}};
    if (!has_bias)
        f.in[2] = (struct aster_tensor){0};
    f.products = g.products = h.products = products;
    if (products == ASTER_PRODUCTS_BF16) {
        tensor_round(&x);
        tensor_round(&w);
        tensor_round(&dy);
    }
    for (int op = 0; op < 3; op++) {
        const struct aster_tensor *out = op == 0 ? &y : op == 1 ? &dx : &dw;
        double depth = op == 0   ? (double)(s->k * s->ci)
                       : op == 1 ? (double)(s->k * s->co)
                                 : (double)(s->b * n);
        double units = depth / 2 + 2; /* a sum of n terms is at most n / 2 units off */
        if (op == 0)
            reference_forward(s, &x, &w, has_bias ? &bias : NULL, relu, want, scale);
        else
            reference_backward(s, &x, &w, &dy, want, scale, op == 2);
        for (int k = 0; k < N_SETS; k++) {
            if (!set_runs_here(k))
                continue;
            struct aster_args *a = op == 0 ? &f : op == 1 ? &g : &h;
            aster_kernel *kernel = op == 0 ? forward[k] : op == 1 ? backward[k] : weights[k];
            static const enum aster_op_kind kinds[] = {ASTER_OP_conv1d, ASTER_OP_conv1d_dx,
                                                       ASTER_OP_conv1d_dw};
            tensor_clear(out);
            if (!run_guarded(kernel, a, aster_work_conv(kinds[op], a)))
                tally[k].guards = false;
            double d = distance(out, want, scale, units);
            if (!(d < 1))
                tap_note("%s op %d %s: b %d l %d k %d ci %d co %d: off by %g limits", set_names[k],
                         op, t == ASTER_F64 ? "f64" : "f32", (int)s->b, (int)s->l, (int)s->k,
                         (int)s->ci, (int)s->co, d);
            if (!(d <= tally[k].worst[op]))
                tally[k].worst[op] = d;
            if (!distance_sees(out, want, scale, units))
                tally[k].seen = false;
            if ((op == 0 && !bits_hold(kernel, s, &f)) ||
                (op == 1 && !backward_bits_hold(kernel, s, &g))) {
                tap_note("%s op %d: b %d l %d k %d: bits differ", set_names[k], op, (int)s->b,
                         (int)s->l, (int)s->k);
                tally[k].bits = false;
            }
        }
    }
    struct aster_tensor *all[] = {&x, &w, &bias, &y, &dy, &dx, &dw};
    for (int i = 0; i < 7; i++)
        tensor_free(all[i]);
    free(want);
    free(scale);
}

int main(void)
{
    for (int t = 0; t < N_PRODUCT_TYPES; t++) {
        struct tally tally[N_SETS];
        for (int k = 0; k < N_SETS; k++)
            tally[k] = (struct tally){{0, 0, 0}, true, true, true};
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            one_shape(&shapes[i], product_types[t].t, product_types[t].products, tally);
        for (int k = 0; k < N_SETS; k++) {
            const char *type = product_types[t].name, *name = set_names[k];
            if (!set_runs_here(k)) {
                tap_skip("%s: this CPU does not have it", name);
                continue;
            }
            static const char *const ops[] = {"conv1d", "conv1d_dx", "conv1d_dw"};
            for (int op = 0; op < 3; op++)
                tap_ok(tally[k].worst[op] < 1,
                       "%s %s %s equals plain loops (worst %.3f of the limit)", ops[op], type, name,
                       tally[k].worst[op]);
            tap_ok(tally[k].guards, "%s %s writes inside its buffers only", type, name);
            tap_ok(tally[k].bits, "%s %s gives the same bits alone, in a batch and with fewer rows",
                   type, name);
            tap_ok(tally[k].seen, "%s %s a wrong result would be seen", type, name);
        }
    }
    return tap_done();
}
