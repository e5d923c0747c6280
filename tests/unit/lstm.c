/* SPDX-License-Identifier: BSD-3-Clause */
/* The LSTM kernels of every instruction set follow the recurrence step by step; their derivative is
 * that of finite differences; and a sample's bits do not depend on the samples beside it. */
#include "unit/kernels.h"

DECLARE_SETS(lstm);
DECLARE_SETS(lstm_dx);
static aster_kernel *const forward[N_SETS] = SETS(lstm), *const back[N_SETS] = SETS(lstm_dx);

static const struct shape {
    int64_t l, b, h;
} shapes[] = {{0, 2, 3},   {2, 0, 3},    {3, 2, 0},   {1, 1, 1},  {1, 5, 9},  {2, 1, 2},
              {3, 2, 5},   {2, 3, 8},    {5, 17, 16}, {4, 5, 37}, {3, 4, 64}, {2, 33, 24},
              {6, 7, 129}, {3, 16, 256}, {40, 3, 13}, {3, 49, 7}, {2, 6, 200}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* One call and what belongs to it: zx, whh -> h, c, gates. */
struct layer {
    struct shape s;
    struct aster_args a;
};

static double weight_range(int64_t h)
{
    return 2 / sqrt((double)h + 1);
}

static struct layer layer_new(enum aster_dtype t, struct shape s, bool reverse)
{
    struct layer y = {s, {.n_in = 2, .n_out = 3, .i = {reverse}}};
    y.a.in[0] = tensor_new(t, true, 3, s.l, s.b, 4 * s.h, 0);
    y.a.in[1] = tensor_new(t, true, 2, s.h, 4 * s.h, 0, 0);
    for (int64_t i = 0; i < tensor_size(&y.a.in[0]); i++)
        set(&y.a.in[0], i, 3 * get(&y.a.in[0], i));
    for (int64_t i = 0; i < tensor_size(&y.a.in[1]); i++)
        set(&y.a.in[1], i, weight_range(s.h) * get(&y.a.in[1], i));
    for (int k = 0; k < 3; k++)
        y.a.out[k] = tensor_new(t, false, 3, s.l, s.b, k == 2 ? 4 * s.h : s.h, 0);
    return y;
}

static void layer_free(struct layer *y)
{
    for (int k = 0; k < 2; k++)
        tensor_free(&y->a.in[k]);
    for (int k = 0; k < 3; k++)
        tensor_free(&y->a.out[k]);
}

static bool run(aster_kernel *kernel, struct layer *y)
{
    return run_guarded(kernel, &y->a, aster_work_lstm(ASTER_OP_lstm, &y->a));
}

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* h, c, gates in double, sample by sample */
static void reference(const struct layer *y, double *h, double *c, double *gates)
{
    int64_t n = y->s.h, length = y->s.l;
    for (int64_t b = 0; b < y->s.b; b++)
        for (int64_t k = 0; k < length; k++) {
            int64_t t = y->a.i[0] ? length - 1 - k : k, row = t * y->s.b + b,
                    old = (y->a.i[0] ? t + 1 : t - 1) * y->s.b + b;
            for (int64_t j = 0; j < 4 * n; j++) {
                double z = get(&y->a.in[0], row * 4 * n + j);
                for (int64_t m = 0; k > 0 && m < n; m++)
                    z += h[old * n + m] * get(&y->a.in[1], m * 4 * n + j);
                gates[row * 4 * n + j] = j / n == 2 ? tanh(z) : logistic(z);
            }
            for (int64_t j = 0; j < n; j++) {
                const double *g = gates + row * 4 * n + j;
                c[row * n + j] = (k > 0 ? g[n] * c[old * n + j] : 0) + g[0] * g[2 * n];
                h[row * n + j] = g[3 * n] * tanh(c[row * n + j]);
            }
        }
}

enum { UNITS = 20 }; /* errors of a step go through the steps after it */

static void against_reference(int isa, enum aster_dtype t)
{
    double worst = 0;
    bool whole = true, sees = true;
    for (int k = 0; k < 2 * N_SHAPES; k++) {
        struct layer y = layer_new(t, shapes[k / 2], k % 2);
        int64_t n = tensor_size(&y.a.out[2]) + 1;
        double *want[3], *scale = calloc((size_t)n, sizeof *scale);
        for (int j = 0; j < 3; j++)
            want[j] = calloc((size_t)n, sizeof *want[j]);
        reference(&y, want[0], want[1], want[2]);
        whole &= run(forward[isa], &y);
        for (int j = 0; j < 3; j++) {
            for (int64_t i = 0; i < n; i++)
                scale[i] = 1 + fabs(want[j][i]);
            double d = distance(&y.a.out[j], want[j], scale, UNITS);
            worst = d > worst ? d : worst;
            sees &= distance_sees(&y.a.out[j], want[j], scale, UNITS);
            free(want[j]);
        }
        free(scale);
        layer_free(&y);
    }
    tap_ok(worst < 1, "lstm %s %s: worst %.3f of the limit", set_names[isa], aster_dtype_name(t),
           worst);
    tap_ok(whole, "lstm %s %s: nothing is written outside", set_names[isa], aster_dtype_name(t));
    tap_ok(sees, "lstm %s %s: a spoilt element is noticed", set_names[isa], aster_dtype_name(t));
}

/* dz of a layer that has run, for the derivative dh by h */
static bool run_back(aster_kernel *kernel, const struct layer *y, const struct aster_tensor *dh,
                     struct aster_tensor *dz)
{
    struct aster_args a = {.n_in = 4, .n_out = 1, .i = {y->a.i[0]}};
    a.in[0] = *dh;
    a.in[1] = y->a.out[1];
    a.in[2] = y->a.out[2];
    a.in[3] = y->a.in[1];
    a.out[0] = *dz;
    return run_guarded(kernel, &a, aster_work_lstm(ASTER_OP_lstm_dx, &a));
}

static double objective(aster_kernel *kernel, struct layer *y, const struct aster_tensor *dh)
{
    double sum = 0;
    if (!run(kernel, y))
        return NAN;
    for (int64_t i = 0; i < tensor_size(dh); i++)
        sum += get(dh, i) * get(&y->a.out[0], i);
    return sum;
}

/* d sum(dh h) / d zx by central differences in double */
static void against_differences(int isa)
{
    static const struct shape small[] = {{1, 2, 3}, {4, 2, 5}, {3, 3, 17}, {7, 1, 4}, {2, 18, 2}};
    const double step = 1e-5;
    double worst = 0;
    bool sees = true;
    for (int k = 0; k < 10; k++) {
        struct layer y = layer_new(ASTER_F64, small[k / 2], k % 2);
        struct aster_tensor dh = tensor_new(ASTER_F64, true, 3, y.s.l, y.s.b, y.s.h, 0);
        struct aster_tensor dz = tensor_new(ASTER_F64, false, 3, y.s.l, y.s.b, 4 * y.s.h, 0);
        bool whole = run(forward[isa], &y) && run_back(back[isa], &y, &dh, &dz);
        for (int64_t i = 0; i < tensor_size(&dz); i++) {
            double x = get(&y.a.in[0], i);
            set(&y.a.in[0], i, x + step);
            double up = objective(forward[isa], &y, &dh);
            set(&y.a.in[0], i, x - step);
            double d = (up - objective(forward[isa], &y, &dh)) / (2 * step);
            set(&y.a.in[0], i, x);
            double e = whole ? fabs(d - get(&dz, i)) / 1e-8 : INFINITY;
            if (!(e <= worst))
                worst = isfinite(e) ? e : INFINITY;
            sees &= fabs(d - (get(&dz, i) + 1e-7)) > 1e-8;
        }
        tensor_free(&dh);
        tensor_free(&dz);
        layer_free(&y);
    }
    tap_ok(worst < 1, "lstm_dx %s f64: within %.3f of 1e-8 of finite differences", set_names[isa],
           worst);
    tap_ok(sees, "lstm_dx %s f64: a derivative off by 1e-7 is noticed", set_names[isa]);
}

static struct aster_tensor as_f32(const struct aster_tensor *x)
{
    struct aster_tensor y =
        tensor_new(ASTER_F32, false, x->rank, x->dim[0], x->dim[1], x->dim[2], 0);
    for (int64_t i = 0; i < tensor_size(x); i++)
        set(&y, i, get(x, i));
    return y;
}
static struct aster_tensor as_f64(const struct aster_tensor *x)
{
    struct aster_tensor y =
        tensor_new(ASTER_F64, false, x->rank, x->dim[0], x->dim[1], x->dim[2], 0);
    for (int64_t i = 0; i < tensor_size(x); i++)
        set(&y, i, get(x, i));
    return y;
}

/* f32 against f64 of the plain set, from the same rounded inputs, for all sizes */
static void against_double(int isa)
{
    double worst = 0;
    bool whole = true;
    for (int k = 0; k < 2 * N_SHAPES; k++) {
        struct layer y = layer_new(ASTER_F64, shapes[k / 2], k % 2), single = {y.s, y.a};
        struct aster_tensor dh = tensor_new(ASTER_F32, true, 3, y.s.l, y.s.b, y.s.h, 0),
                            dh64 = as_f64(&dh);
        struct aster_tensor dz = tensor_new(ASTER_F32, false, 3, y.s.l, y.s.b, 4 * y.s.h, 0),
                            dz64 = as_f64(&dz);
        whole &= run(forward[SET_BASE], &y);
        for (int j = 0; j < 3; j++) {
            single.a.out[j] = as_f32(&y.a.out[j]);
            tensor_free(&y.a.out[j]);
            y.a.out[j] = as_f64(&single.a.out[j]);
        }
        single.a.in[1] = as_f32(&y.a.in[1]);
        tensor_free(&y.a.in[1]);
        y.a.in[1] = as_f64(&single.a.in[1]);
        whole &=
            run_back(back[SET_BASE], &y, &dh64, &dz64) && run_back(back[isa], &single, &dh, &dz);
        for (int64_t i = 0; i < tensor_size(&dz); i++) {
            double e = fabs(get(&dz, i) - get(&dz64, i)) /
                       (UNITS * (double)FLT_EPSILON * (1 + fabs(get(&dz64, i))));
            if (!(e <= worst))
                worst = isfinite(e) ? e : INFINITY;
        }
        for (int j = 0; j < 3; j++)
            tensor_free(&single.a.out[j]);
        tensor_free(&single.a.in[1]);
        tensor_free(&dh);
        tensor_free(&dh64);
        tensor_free(&dz);
        tensor_free(&dz64);
        layer_free(&y);
    }
    tap_ok(worst < 1 && whole, "lstm_dx %s f32: within %.3f of the limit of f64", set_names[isa],
           worst);
}

/* Sample b of x [l, n_batch, n] as a tensor of a batch of one */
static struct aster_tensor sample_of(const struct aster_tensor *x, int64_t b)
{
    struct aster_tensor y = tensor_new(x->dtype, false, 3, x->dim[0], 1, x->dim[2], 0);
    size_t row = (size_t)x->dim[2] * real_size(x->dtype);
    for (int64_t t = 0; t < x->dim[0]; t++)
        memcpy((char *)y.p + (size_t)t * row, (char *)x->p + (size_t)(t * x->dim[1] + b) * row,
               row);
    return y;
}

static bool same_sample(const struct aster_tensor *x, int64_t b, struct aster_tensor *alone)
{
    bool same = true;
    for (int64_t t = 0; t < x->dim[0]; t++)
        same &= same_bits(x, (t * x->dim[1] + b) * x->dim[2], alone, t * x->dim[2], x->dim[2]);
    tensor_free(alone);
    return same;
}

static bool alone_equals(int isa, const struct layer *y, const struct aster_tensor *dh,
                         const struct aster_tensor *dz, int64_t b)
{
    struct layer one = {{y->s.l, 1, y->s.h}, y->a};
    struct aster_tensor dh1 = sample_of(dh, b),
                        dz1 = tensor_new(dh->dtype, false, 3, y->s.l, 1, 4 * y->s.h, 0);
    one.a.in[0] = sample_of(&y->a.in[0], b);
    for (int k = 0; k < 3; k++)
        one.a.out[k] = tensor_new(dh->dtype, false, 3, y->s.l, 1, y->a.out[k].dim[2], 0);
    bool same = run(forward[isa], &one) && run_back(back[isa], &one, &dh1, &dz1) &&
                same_sample(dz, b, &dz1);
    for (int k = 0; k < 3; k++)
        same &= same_sample(&y->a.out[k], b, &one.a.out[k]);
    tensor_free(&one.a.in[0]);
    tensor_free(&dh1);
    return same;
}

static void batch_law(int isa, enum aster_dtype t)
{
    bool same = true, sees = true;
    for (int64_t n = 1; n <= 35; n += n < 9 ? 1 : 2)
        for (int64_t h = 3; h <= 61; h += 29) {
            struct layer y = layer_new(t, (struct shape){4, n, h}, n % 2);
            struct aster_tensor dh = tensor_new(t, true, 3, 4, n, h, 0),
                                dz = tensor_new(t, false, 3, 4, n, 4 * h, 0);
            same &= run(forward[isa], &y) && run_back(back[isa], &y, &dh, &dz);
            for (int64_t b = 0; b < n; b += 1 + n / 7)
                same &= alone_equals(isa, &y, &dh, &dz, b);
            double old = get(&y.a.out[0], n * h);
            set(&y.a.out[0], n * h, old * (1 + 2 * epsilon(t)));
            sees &= !alone_equals(isa, &y, &dh, &dz, 0);
            tensor_free(&dh);
            tensor_free(&dz);
            layer_free(&y);
        }
    tap_ok(same, "lstm, lstm_dx %s %s: a sample alone has the bits it has in a batch",
           set_names[isa], aster_dtype_name(t));
    tap_ok(sees, "lstm %s %s: a changed bit is noticed", set_names[isa], aster_dtype_name(t));
}

int main(void)
{
    for (int isa = 0; isa < N_SETS; isa++) {
        if (!set_runs_here(isa)) {
            tap_skip("%s: this CPU does not have it", set_names[isa]);
            continue;
        }
        against_reference(isa, ASTER_F32);
        against_reference(isa, ASTER_F64);
        against_differences(isa);
        against_double(isa);
        batch_law(isa, ASTER_F32);
        batch_law(isa, ASTER_F64);
    }
    return tap_done();
}
