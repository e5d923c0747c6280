/* SPDX-License-Identifier: BSD-3-Clause */
/* References of the elementwise ops. Derivatives of functions are written as the textbook has them,
 * in long double. */
#include "kt.h"

#include <math.h>

typedef long double real;

/* Value and first two derivatives of fn at x. */
static void function(enum aster_fn fn, real x, real d[3])
{
    const real c = sqrtl(2 / acosl(-1)), a = 0.044715L;
    real s = 1 / (1 + expl(-x)), t = tanhl(x), q = sqrtl(x), u, u1, p;
    switch (fn) {
    case ASTER_FN_RELU:
        d[0] = x > 0 ? x : 0, d[1] = x > 0, d[2] = 0;
        break;
    case ASTER_FN_SIGMOID:
        d[0] = s, d[1] = s * (1 - s), d[2] = s * (1 - s) * (1 - 2 * s);
        break;
    case ASTER_FN_TANH:
        d[0] = t, d[1] = 1 - t * t, d[2] = -2 * t * (1 - t * t);
        break;
    case ASTER_FN_EXP:
        d[0] = d[1] = d[2] = expl(x);
        break;
    case ASTER_FN_LOG:
        d[0] = logl(x), d[1] = 1 / x, d[2] = -1 / (x * x);
        break;
    case ASTER_FN_SQRT:
        d[0] = q, d[1] = 1 / (2 * q), d[2] = -1 / (4 * q * q * q);
        break;
    case ASTER_FN_ROOT:
        d[0] = q, d[1] = x == 0 ? 0 : 1 / (2 * q), d[2] = x == 0 ? 0 : -1 / (4 * q * q * q);
        break;
    case ASTER_FN_RSQRT:
        d[0] = 1 / q, d[1] = -1 / (2 * q * q * q), d[2] = 3 / (4 * q * q * q * q * q);
        break;
    case ASTER_FN_RECIP:
        d[0] = 1 / x, d[1] = -1 / (x * x), d[2] = 2 / (x * x * x);
        break;
    case ASTER_FN_SQUARE:
        d[0] = x * x, d[1] = 2 * x, d[2] = 2;
        break;
    case ASTER_FN_ABS:
        d[0] = fabsl(x), d[1] = (x > 0) - (x < 0), d[2] = 0;
        break;
    case ASTER_FN_GELU:
        s = erfcl(-x / sqrtl(2)) / 2, p = expl(-x * x / 2) / sqrtl(2 * acosl(-1));
        d[0] = x * s, d[1] = s + x * p, d[2] = 2 * p - x * x * p;
        break;
    case ASTER_FN_GELU_TANH:
        u = c * (x + a * x * x * x), u1 = c * (1 + 3 * a * x * x), t = tanhl(u), p = 1 - t * t;
        d[0] = x * (1 + t) / 2, d[1] = (1 + t) / 2 + x * p * u1 / 2;
        d[2] = p * u1 + x / 2 * (-2 * t * p * u1 * u1 + p * c * 6 * a * x);
        break;
    case ASTER_FN_SILU:
        d[0] = x * s, d[1] = s + x * s * (1 - s);
        d[2] = s * (1 - s) * (2 + x * (1 - 2 * s));
        break;
    case ASTER_FN_SOFTPLUS:
        d[0] = x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x)), d[1] = s, d[2] = s * (1 - s);
        break;
    case ASTER_FN_SIN:
        d[0] = sinl(x), d[1] = cosl(x), d[2] = -sinl(x);
        break;
    default:
        d[0] = cosl(x), d[1] = -sinl(x), d[2] = -cosl(x);
        break;
    }
}

static void ref_unary(struct kt_case *c)
{
    for (int64_t k = 0; k < c->out[0].n; k++) {
        real d[3];
        int order = c->n_in - 1;
        function((enum aster_fn)c->i[0], (real)c->in[0].v[k], d);
        real y = d[order];
        for (int j = 1; j < c->n_in; j++)
            y *= (real)c->in[j].v[k];
        c->out[0].v[k] = (double)y;
    }
}

/* Arguments around 0, on it, and where functions saturate; positive ones for those that need it. */
static void unary_case(struct kt *t, int order, int fn, int64_t n, double low, double high)
{
    struct kt_case *c = kt_case_new(t, "fn %d, n %d, %g..%g", fn, (int)n, low, high);
    c->i[0] = fn;
    double *x = kt_in(c, KT_REAL, 0, KT_DIMS(n));
    bool positive = fn == ASTER_FN_LOG || fn == ASTER_FN_SQRT || fn == ASTER_FN_RSQRT ||
                    fn == ASTER_FN_RECIP || fn == ASTER_FN_ROOT;
    kt_fill(t, n, x, positive ? high / 64 : low, high);
    if (n > 3 && !positive)
        x[1] = 0, x[2] = -0.0, x[3] = low / 1e6;
    if (n > 3 && fn == ASTER_FN_ROOT)
        x[0] = 0, x[2] = -0.0;
    for (int k = 0; k < order; k++)
        kt_in(c, KT_REAL, 0, KT_DIMS(n));
    for (int k = 0; k <= order; k++)
        c->in_place[k] = true;
    kt_out(c, KT_REAL, 0, KT_DIMS(n));
    kt_run(c, ref_unary);
}

static void unary_cases(struct kt *t, int order)
{
    static const int64_t sizes[] = {0, 1, 3, 7, 64, 1021};
    for (int fn = 0; fn < ASTER_N_FNS; fn++) {
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            unary_case(t, order, fn, sizes[k], -3, 3);
        unary_case(t, order, fn, 513, -12, 12);
        unary_case(t, order, fn, 257, -0.01, 0.01);
    }
}

void kt_op_unary(struct kt *t)
{
    unary_cases(t, 0);
    unary_case(t, 0, ASTER_FN_RELU, 100003, -1, 1);
}

void kt_op_unary_grad(struct kt *t)
{
    unary_cases(t, 1);
}

void kt_op_unary_grad2(struct kt *t)
{
    unary_cases(t, 2);
}

static void ref_gated(struct kt_case *c)
{
    int64_t n = c->out[0].dim[c->out[0].rank - 1];
    for (int64_t k = 0; k < c->out[0].n; k++) {
        const double *row = c->in[0].v + k / n * 2 * n;
        real x = (real)row[k % n];
        c->out[0].v[k] = (double)(x * erfcl(-x * sqrtl(0.5L)) / 2 * (real)row[n + k % n]);
    }
}

void kt_op_gated(struct kt *t)
{
    static const int64_t sizes[][2] = {{0, 3},  {2, 0},   {1, 1},   {3, 7},
                                       {5, 16}, {17, 61}, {4, 1021}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int64_t *s = sizes[k];
        struct kt_case *c = kt_case_new(t, "%d rows, width %d", (int)s[0], (int)s[1]);
        double *x = kt_in(c, KT_REAL, 0, KT_DIMS(s[0], 2 * s[1]));
        kt_fill(t, c->in[0].n, x, -4, 4);
        kt_out(c, KT_REAL, 0, KT_DIMS(s[0], s[1]));
        kt_run(c, ref_gated);
    }
}

/* Where element k of y lies in an operand whose axes may be 1. */
static int64_t place(const struct kt_tensor *y, const struct kt_tensor *x, int64_t k)
{
    int64_t at = 0, stride = 1;
    for (int axis = y->rank - 1; axis >= 0; axis--) {
        int64_t j = k % y->dim[axis];
        k /= y->dim[axis];
        at += x->dim[axis] == 1 ? 0 : j * stride;
        stride *= x->dim[axis];
    }
    return at;
}

static void ref_binary(struct kt_case *c)
{
    struct kt_tensor *y = &c->out[0];
    for (int64_t k = 0; k < y->n; k++) {
        real a = (real)c->in[0].v[place(y, &c->in[0], k)],
             b = (real)c->in[1].v[place(y, &c->in[1], k)];
        real r[] = {[ASTER_BIN_ADD] = a + b,
                    [ASTER_BIN_SUB] = a - b,
                    [ASTER_BIN_MUL] = a * b,
                    [ASTER_BIN_DIV] = a / b};
        y->v[k] = (double)r[c->i[0]];
    }
}

/* Which axes of each operand are 1: bits of mask_a, mask_b. */
static void binary_case(struct kt *t, int rank, const int64_t *dim, int mask_a, int mask_b)
{
    for (int op = 0; op < ASTER_N_BINS; op++) {
        struct kt_case *c = kt_case_new(t, "op %d, rank %d, first size %d, ones %d %d", op, rank,
                                        rank ? (int)dim[0] : 1, mask_a, mask_b);
        int64_t da[ASTER_MAX_RANK], db[ASTER_MAX_RANK], dy[ASTER_MAX_RANK];
        for (int k = 0; k < rank; k++) {
            da[k] = mask_a >> k & 1 ? 1 : dim[k];
            db[k] = mask_b >> k & 1 ? 1 : dim[k];
            dy[k] = da[k] == 1 ? db[k] : da[k];
        }
        bool batch = rank > 1 && dy[0] > 1;
        c->i[0] = op;
        kt_in(c, KT_REAL, batch && da[0] > 1 ? 0 : KT_NO_BATCH, rank, da);
        double *b = kt_in(c, KT_REAL, batch && db[0] > 1 ? 0 : KT_NO_BATCH, rank, db);
        for (int64_t k = 0; op == ASTER_BIN_DIV && k < c->in[1].n; k++)
            b[k] = b[k] < 0 ? b[k] - 0.5 : b[k] + 0.5;
        kt_out(c, KT_REAL, batch ? 0 : KT_NO_BATCH, rank, dy);
        c->in_place[0] = c->in[0].n == c->out[0].n;
        c->in_place[1] = c->in[1].n == c->out[0].n;
        kt_run(c, ref_binary);
    }
}

void kt_op_binary(struct kt *t)
{
    binary_case(t, 0, NULL, 0, 0);
    binary_case(t, 1, (int64_t[]){0}, 0, 0);
    binary_case(t, 1, (int64_t[]){1}, 0, 0);
    binary_case(t, 1, (int64_t[]){100003}, 0, 0);
    binary_case(t, 2, (int64_t[]){61, 0}, 0, 1);
    /* a trailing [C], a last axis of 1, one value, each with narrow and wide rows */
    static const int64_t shapes[][3] = {{3, 7, 1},  {3, 7, 2},  {2, 1030, 2}, {2, 301, 20},
                                        {5, 9, 47}, {3, 8, 49}, {2, 5, 64},   {2, 3, 131},
                                        {1, 1, 5},  {4, 1, 33}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int mask = 0; mask < 8; mask++) {
            binary_case(t, 3, shapes[k], 0, mask);
            binary_case(t, 3, shapes[k], mask, 7 & ~mask);
            binary_case(t, 3, shapes[k], mask, 1);
        }
    for (int mask = 0; mask < 32; mask++) {
        binary_case(t, 5, (int64_t[]){3, 2, 5, 2, 4}, mask, 0);
        binary_case(t, 5, (int64_t[]){2, 3, 2, 3, 5}, mask, mask ^ 21);
    }
}

static void ref_affine(struct kt_case *c)
{
    for (int64_t k = 0; k < c->out[0].n; k++)
        c->out[0].v[k] =
            (double)((real)c->f[0] * (real)c->in[0].v[k] / (real)c->s[0] + (real)c->f[1]);
}

void kt_op_affine(struct kt *t)
{
    static const int64_t sizes[] = {0, 1, 7, 64, 4099};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int j = 0; j < 4; j++) {
            struct kt_case *c = kt_case_new(t, "n %d, variant %d", (int)sizes[k], j);
            c->f[0] = j == 1 ? -1 : 0.3;
            c->f[1] = j == 2 ? -1.7 : 0;
            c->s[0] = j == 3 ? 37 : 1;
            kt_in(c, KT_REAL, 0, KT_DIMS(sizes[k]));
            kt_out(c, KT_REAL, 0, KT_DIMS(sizes[k]));
            c->in_place[0] = true;
            kt_run(c, ref_affine);
        }
}

static void ref_dropout(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0];
    int axis = (int)c->i[1];
    int64_t inner = 1, samples = x->dim[axis];
    for (int k = axis + 1; k < x->rank; k++)
        inner *= x->dim[k];
    for (int64_t k = 0; k < x->n; k++) {
        int64_t sample = k / inner % samples, in_sample = k / inner / samples * inner + k % inner;
        bool keep = kt_keeps(c, c->i[0], sample, in_sample, c->f[0]);
        c->out[0].v[k] = keep ? (double)((real)x->v[k] / (1 - (real)c->f[0])) : 0;
    }
}

void kt_op_dropout(struct kt *t)
{
    static const int64_t shapes[][3] = {{1, 1, 1},  {0, 3, 4},   {3, 1, 7},
                                        {5, 64, 3}, {2, 11, 64}, {3, 700, 2}};
    static const double p[] = {0, 0.1, 0.3, 0.5, 0.97};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int axis = 0; axis < 3; axis++)
            for (size_t j = 0; j < sizeof p / sizeof *p; j++) {
                struct kt_case *c =
                    kt_case_new(t, "shape %d, batch axis %d, p %g", (int)k, axis, p[j]);
                c->f[0] = p[j];
                c->i[0] = 3 + axis;
                c->i[1] = axis;
                kt_in(c, KT_REAL, axis, 3, shapes[k]);
                kt_out(c, KT_REAL, axis, 3, shapes[k]);
                c->in_place[0] = true;
                kt_run(c, ref_dropout);
            }
}

static void ref_cast(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0];
    struct kt_tensor *y = &c->out[0];
    for (int64_t k = 0; k < y->n; k++)
        y->v[k] = y->dtype == ASTER_I32 ? fmin(fmax(trunc(x->v[k]), -0x1p31), 0x1p31 - 1) : x->v[k];
    kt_round(y->dtype, y->n, y->v);
}

static void cast_case(struct kt *t, enum aster_dtype from, enum aster_dtype to, int64_t n)
{
    struct kt_case *c =
        kt_case_new(t, "%s to %s, n %d", aster_dtype_name(from), aster_dtype_name(to), (int)n);
    double *x = kt_in(c, from, 0, KT_DIMS(n));
    for (int64_t k = 0; k < n; k++)
        x[k] = from == ASTER_I32 ? (double)(kt_below(t, 1LL << 32) - (1LL << 31))
                                 : x[k] * exp2(kt_uniform(t, -9, 9));
    /* half-way to the next bf16, just beside it in f64, and what an integer cannot hold */
    static const double odd[] = {
        0, -0.0, 1.00390625, 1.01171875, -1.00390625000001, 1.00390624999999, 3e9, -3e9, -0x1p31};
    for (int64_t k = 0; from != ASTER_I32 && k < n && k < 9; k++)
        x[k] = odd[k];
    kt_out(c, to, 0, KT_DIMS(n));
    kt_run(c, ref_cast);
}

void kt_op_cast(struct kt *t)
{
    static const int64_t sizes[] = {0, 1, 9, 33, 5003};
    enum aster_dtype mine = kt_real(t);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (int other = 0; other <= ASTER_I32; other++) {
            cast_case(t, mine, (enum aster_dtype)other, sizes[k]);
            cast_case(t, (enum aster_dtype)other, mine, sizes[k]);
        }
    }
}
