/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer steps and gradient sums of one table against their formulas in long double. */
#include "unit/update_check.h"

#include "lib/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct aster_device *device;

enum { MOST = 100003, BAND = 16 };
static const int64_t sizes[] = {0, 1, 3, 7, 16, 31, 1021, MOST};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static uint64_t state = 5;
static double uniform(double low, double high)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return low + (high - low) * ((double)(state >> 11) * 0x1p-53);
}

/* A vector in the dtype under test, its values as doubles, and a band behind it. */
struct vector {
    enum aster_dtype t;
    int64_t n;
    char *p;
    double *v;
};

static double get(const struct vector *x, int64_t k)
{
    return x->t == ASTER_F64 ? ((double *)(void *)x->p)[k] : (double)((float *)(void *)x->p)[k];
}

static struct vector vector_new(enum aster_dtype t, int64_t n, double low, double high)
{
    struct vector x = {t, n, NULL, calloc((size_t)n + 1, sizeof(double))};
    int64_t size = aster_dtype_size(t);
    x.p = aligned_alloc(64, (size_t)aster_round_up(n * size + BAND, 64));
    if (!x.p || !x.v)
        abort();
    memset(x.p + n * size, 0x5a, BAND);
    for (int64_t k = 0; k < n; k++) {
        double v = uniform(low, high);
        if (t == ASTER_F64)
            ((double *)(void *)x.p)[k] = v;
        else
            ((float *)(void *)x.p)[k] = (float)v;
        x.v[k] = get(&x, k);
    }
    return x;
}

static void vector_free(struct vector *x)
{
    free(x->p);
    free(x->v);
}

static bool band_whole(const struct vector *x)
{
    for (int k = 0; k < BAND; k++)
        if (x->p[x->n * aster_dtype_size(x->t) + k] != 0x5a)
            return false;
    return true;
}

/* Largest error over the largest value, which counts as 1 at least: a weight that lands near 0 is a
 * difference of such. Infinite when the band behind is gone. */
static double distance(const struct vector *got, const double *want)
{
    double top = 1, worst = 0;
    for (int64_t k = 0; k < got->n; k++) {
        double d = fabs(get(got, k) - want[k]);
        if (!(d < INFINITY))
            return INFINITY;
        top = fmax(top, fabs(want[k]));
        worst = fmax(worst, d);
    }
    return !band_whole(got) ? (double)INFINITY : worst / top;
}

struct step {
    const char *name;
    int kind; /* 0 adam, 1 adamw, 2 sgd */
    struct aster_update u;
};
static const struct step steps[] = {
    {"adam, first step",
     0,
     {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .step = 1, .grad_scale = 1}},
    {"adam, coupled decay",
     0,
     {.lr = 0.1,
      .beta1 = 0.9,
      .beta2 = 0.999,
      .eps = 1e-8,
      .weight_decay = 0.3,
      .step = 5,
      .grad_scale = 1}},
    {"adam, clipped, late",
     0,
     {.lr = 0.05, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-2, .step = 4000, .grad_scale = 0.37}},
    {"adam without first moment and corrections: rmsprop",
     0,
     {.lr = 0.01,
      .beta2 = 0.99,
      .eps = 1e-8,
      .weight_decay = 0.1,
      .step = INT64_C(1) << 52,
      .grad_scale = 1}},
    {"adamw",
     1,
     {.lr = 0.1,
      .beta1 = 0.9,
      .beta2 = 0.999,
      .eps = 1e-8,
      .weight_decay = 0.3,
      .step = 3,
      .grad_scale = 0.5}},
    {"sgd", 2, {.lr = 0.1, .grad_scale = 1, .step = 1}},
    {"sgd, momentum, decay",
     2,
     {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.2, .grad_scale = 0.7, .step = 2}},
    {"sgd, nesterov",
     2,
     {.lr = 0.1, .momentum = 0.9, .nesterov = true, .grad_scale = 1, .step = 2}},
};

/* The formulas of one element. */
static void one(const struct step *s, double *w, double g0, double *m, double *v)
{
    const struct aster_update *u = &s->u;
    long double g = (long double)g0 * (long double)u->grad_scale, lr = (long double)u->lr,
                old = (long double)*w;
    long double b1 = (long double)u->beta1, b2 = (long double)u->beta2;
    if (s->kind != 1)
        g += (long double)u->weight_decay * old;
    if (s->kind == 2) {
        long double momentum = (long double)u->momentum, now = momentum * (long double)*m + g;
        *m = (double)now;
        *w = (double)(old - lr * (u->nesterov ? g + momentum * now : now));
        return;
    }
    long double first = b1 * (long double)*m + (1 - b1) * g,
                second = b2 * (long double)*v + (1 - b2) * g * g;
    long double mhat = first / (1 - powl(b1, (long double)u->step)),
                vhat = second / (1 - powl(b2, (long double)u->step));
    if (s->kind == 1)
        old -= lr * (long double)u->weight_decay * old;
    *m = (double)first;
    *v = (double)second;
    *w = (double)(old - lr * mhat / (sqrtl(vhat) + (long double)u->eps));
}

static double step_error(const struct aster_backend *be, const struct step *s, enum aster_dtype t,
                         int64_t n)
{
    struct vector w = vector_new(t, n, -1, 1), g = vector_new(t, n, -2, 2),
                  m = vector_new(t, n, -1, 1), v = vector_new(t, n, 0, 1);
    if (s->kind == 0)
        be->update.adam(device, t, n, &s->u, w.p, g.p, m.p, v.p);
    else if (s->kind == 1)
        be->update.adamw(device, t, n, &s->u, w.p, g.p, m.p, v.p);
    else
        be->update.sgd(device, t, n, &s->u, w.p, g.p, m.p);
    double e = distance(&g, g.v); /* the gradient stays as it was */
    for (int64_t k = 0; k < n; k++)
        one(s, &w.v[k], g.v[k], &m.v[k], &v.v[k]);
    e = e > 0 ? (double)INFINITY
              : fmax(distance(&w, w.v), fmax(distance(&m, m.v), distance(&v, v.v)));
    vector_free(&w), vector_free(&g), vector_free(&m), vector_free(&v);
    return e;
}

/* add_into, ema, fill, sum_squares */
static double sums_error(const struct aster_backend *be, enum aster_dtype t, int64_t n)
{
    struct vector x = vector_new(t, n, -1, 1), y = vector_new(t, n, -1, 1),
                  z = vector_new(t, n, -1, 1);
    long double squares = 0;
    for (int64_t k = 0; k < n; k++) {
        squares += (long double)x.v[k] * (long double)x.v[k];
        y.v[k] += x.v[k];
        z.v[k] += 0.1 * (x.v[k] - z.v[k]);
    }
    be->update.add_into(device, t, n, y.p, x.p);
    be->update.ema(device, t, n, 0.1, z.p, x.p);
    double e = fmax(distance(&y, y.v), fmax(distance(&z, z.v), distance(&x, x.v)));
    double got;
    be->update.sum_squares(device, t, n, x.p, &got);
    double off = fabs(got - (double)squares);
    e = fmax(e, n == 0 ? off : off / (double)squares);
    if (isnan(got))
        e = (double)INFINITY;
    be->update.fill(device, t, n, -2.5, y.p);
    for (int64_t k = 0; k < n; k++)
        y.v[k] = -2.5;
    e = distance(&y, y.v) == 0 ? e : (double)INFINITY;
    vector_free(&x), vector_free(&y), vector_free(&z);
    return e;
}

/* An element's bits must not depend on where in a vector it stands, nor on who stands beside it. */
static bool same_alone(const struct aster_backend *be, enum aster_dtype t)
{
    struct vector w = vector_new(t, 37, -1, 1), g = vector_new(t, 37, -1, 1),
                  m = vector_new(t, 37, -1, 1), v = vector_new(t, 37, 0, 1);
    int64_t size = aster_dtype_size(t);
    bool same = true;
    for (int64_t k = 0; k < 37; k++) {
        char one_of[3][8];
        memcpy(one_of[0], w.p + k * size, (size_t)size);
        memcpy(one_of[1], m.p + k * size, (size_t)size);
        memcpy(one_of[2], v.p + k * size, (size_t)size);
        be->update.adam(device, t, 1, &steps[1].u, one_of[0], g.p + k * size, one_of[1], one_of[2]);
        for (int j = 0; j < size; j++) /* the vector values are free: keep the results there */
            ((char *)(void *)&w.v[k])[j] = one_of[0][j];
    }
    be->update.adam(device, t, 37, &steps[1].u, w.p, g.p, m.p, v.p);
    for (int64_t k = 0; k < 37; k++)
        same &= !memcmp(&w.v[k], w.p + k * size, (size_t)size);
    vector_free(&w), vector_free(&g), vector_free(&m), vector_free(&v);
    return same;
}

static void run_step(const struct aster_backend *be, enum aster_dtype t, int kind,
                     const struct aster_update *u, struct vector *x)
{
    if (kind == 0)
        be->update.adam(device, t, x[0].n, u, x[0].p, x[1].p, x[2].p, x[3].p);
    else if (kind == 1)
        be->update.adamw(device, t, x[0].n, u, x[0].p, x[1].p, x[2].p, x[3].p);
    else
        be->update.sgd(device, t, x[0].n, u, x[0].p, x[1].p, x[2].p);
}

/* Clipping to clip_norm by the sum of squares in memory against the factor it stands for; what is
 * not finite changes nothing. */
static bool clips(const struct aster_backend *be, enum aster_dtype t, double squares,
                  double clip_norm)
{
    enum { N = 1021 };
    const double scale = fmin(1, clip_norm / (sqrt(squares) + 1e-6));
    bool good = true;
    for (int kind = 0; kind < 3; kind++) {
        struct vector x[4], y[4];
        struct aster_update u = {.lr = 0.1,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .eps = 1e-8,
                                 .weight_decay = 0.3,
                                 .momentum = 0.9,
                                 .step = 3,
                                 .grad_scale = scale};
        uint64_t seed = state;
        for (int k = 0; k < 4; k++)
            x[k] = vector_new(t, N, k < 3 ? -1 : 0, 1);
        state = seed;
        for (int k = 0; k < 4; k++)
            y[k] = vector_new(t, N, k < 3 ? -1 : 0, 1);
        if (isfinite(squares))
            run_step(be, t, kind, &u, y);
        u.squares = &squares;
        u.clip_norm = clip_norm;
        run_step(be, t, kind, &u, x);
        for (int k = 0; k < 4; k++) {
            good &= !memcmp(x[k].p, y[k].p, (size_t)(N * aster_dtype_size(t) + BAND));
            vector_free(&x[k]), vector_free(&y[k]);
        }
    }
    return good;
}

static void check_clipping(const struct aster_backend *be, enum aster_dtype t)
{
    tap_ok(clips(be, t, 25, 1) && clips(be, t, 0.25, 1) && clips(be, t, 25, INFINITY),
           "clipped by the squares in memory, %s, %s", aster_dtype_name(t), be->name);
    tap_ok(clips(be, t, NAN, 1) && clips(be, t, INFINITY, 1) && clips(be, t, -NAN, INFINITY),
           "squares that are not finite change nothing, %s, %s", aster_dtype_name(t), be->name);
}

void update_check(const struct aster_backend *be, struct aster_device *on)
{
    device = on;
    for (enum aster_dtype t = ASTER_F32; t <= ASTER_F64; t++) {
        /* some ten roundings; in f64, 1 - beta^t of the first steps has lost two digits */
        double limit = t == ASTER_F32 ? 4e-7 : 1e-14, worst = 0;
        for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
            double e = 0;
            for (int k = 0; k < N_SIZES; k++)
                e = fmax(e, step_error(be, &steps[s], t, sizes[k]));
            tap_ok(e <= limit, "%s, %s, %s: off by %.2g of %.2g", steps[s].name,
                   aster_dtype_name(t), be->name, e, limit);
        }
        for (int k = 0; k < N_SIZES; k++)
            worst = fmax(worst, sums_error(be, t, sizes[k]));
        double most = t == ASTER_F32 ? 2e-7 : 4e-15; /* sum_squares: up to 100003 terms */
        tap_ok(worst <= most, "sums, %s, %s: off by %.2g of %.2g", aster_dtype_name(t), be->name,
               worst, most);
        check_clipping(be, t);
        tap_ok(same_alone(be, t), "an element alone gives the same bits, %s, %s",
               aster_dtype_name(t), be->name);
    }
}

void update_check_sees(const struct aster_backend *be)
{
    struct step wrong = steps[1];
    wrong.u.step = 6; /* the reference at another step than the kernel */
    struct vector w = vector_new(ASTER_F64, 100, -1, 1), g = vector_new(ASTER_F64, 100, -2, 2),
                  m = vector_new(ASTER_F64, 100, -1, 1), v = vector_new(ASTER_F64, 100, 0, 1);
    be->update.adam(device, ASTER_F64, 100, &steps[1].u, w.p, g.p, m.p, v.p);
    for (int64_t k = 0; k < 100; k++)
        one(&wrong, &w.v[k], g.v[k], &m.v[k], &v.v[k]);
    tap_ok(distance(&w, w.v) > 1e-6, "a wrong step is seen");
    vector_free(&w), vector_free(&g), vector_free(&m), vector_free(&v);
}
