/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of one value with first and second derivatives, for one real type: REAL and VSUF are
 * defined by pointwise.c. */

#define ZERO ((VEC){0})
#define ONE  ASTER_V(set)(1)
#define FN   static inline __attribute__((always_inline)) VEC

FN RN(vabs)(VEC x)
{
    return ASTER_V(sel)(x < 0, -x, x);
}

/* e^-|x|, finite everywhere, gives what sigmoid and its kin need without cancellation. */
FN RN(exp_neg_abs)(VEC x)
{
    return ASTER_V(exp)(-RN(vabs)(x));
}

FN RN(relu)(VEC x)
{
    return ASTER_V(sel)(x < 0, ZERO, x);
}
FN RN(relu_1)(VEC x)
{
    return ASTER_V(sel)(x > 0, ONE, ZERO);
}
FN RN(relu_2)(VEC x)
{
    return ZERO;
}

FN RN(sigmoid)(VEC x)
{
    return ASTER_V(sigmoid)(x);
}
FN RN(sigmoid_1)(VEC x)
{
    VEC e = RN(exp_neg_abs)(x), d = 1 / (1 + e);
    return e * d * d;
}
/* s' (1 - 2 s), and 1 - 2 s = -tanh(x / 2) */
FN RN(sigmoid_2)(VEC x)
{
    return -RN(sigmoid_1)(x) * ASTER_V(tanh)((REAL)0.5 * x);
}

FN RN(tanh)(VEC x)
{
    return ASTER_V(tanh)(x);
}
FN RN(tanh_1)(VEC x)
{
    VEC e = RN(exp_neg_abs)(x + x), d = 1 / (1 + e);
    return 4 * e * d * d;
}
FN RN(tanh_2)(VEC x)
{
    return -2 * ASTER_V(tanh)(x) * RN(tanh_1)(x);
}

FN RN(exp)(VEC x)
{
    return ASTER_V(exp)(x);
}
FN RN(exp_1)(VEC x)
{
    return ASTER_V(exp)(x);
}
FN RN(exp_2)(VEC x)
{
    return ASTER_V(exp)(x);
}

FN RN(log)(VEC x)
{
    return ASTER_V(log)(x);
}
FN RN(log_1)(VEC x)
{
    return 1 / x;
}
FN RN(log_2)(VEC x)
{
    return -1 / (x * x);
}

FN RN(sqrt)(VEC x)
{
    return RN(vsqrt)(x);
}
FN RN(sqrt_1)(VEC x)
{
    return (REAL)0.5 / RN(vsqrt)(x);
}
FN RN(sqrt_2)(VEC x)
{
    return (REAL)-0.25 / (x * RN(vsqrt)(x));
}

/* A length from its square: lengths of zero pull nowhere. */
FN RN(root)(VEC x)
{
    return RN(vsqrt)(x);
}
FN RN(root_1)(VEC x)
{
    return ASTER_V(sel)(x == 0, ZERO, RN(sqrt_1)(x));
}
FN RN(root_2)(VEC x)
{
    return ASTER_V(sel)(x == 0, ZERO, RN(sqrt_2)(x));
}

FN RN(rsqrt)(VEC x)
{
    return 1 / RN(vsqrt)(x);
}
FN RN(rsqrt_1)(VEC x)
{
    return (REAL)-0.5 / (x * RN(vsqrt)(x));
}
FN RN(rsqrt_2)(VEC x)
{
    return (REAL)0.75 / (x * x * RN(vsqrt)(x));
}

FN RN(recip)(VEC x)
{
    return 1 / x;
}
FN RN(recip_1)(VEC x)
{
    return -1 / (x * x);
}
FN RN(recip_2)(VEC x)
{
    return 2 / (x * x * x);
}

FN RN(square)(VEC x)
{
    return x * x;
}
FN RN(square_1)(VEC x)
{
    return x + x;
}
FN RN(square_2)(VEC x)
{
    return ASTER_V(set)(2);
}

FN RN(abs)(VEC x)
{
    return RN(vabs)(x);
}
FN RN(abs_1)(VEC x)
{
    return ASTER_V(sel)(x > 0, ONE, ZERO) - ASTER_V(sel)(x < 0, ONE, ZERO);
}
FN RN(abs_2)(VEC x)
{
    return ZERO;
}

/* gelu = x P(x) with the normal distribution P and its density p: P + x p; p (2 - x^2) */
FN RN(normal)(VEC x)
{
    return (REAL)0.5 * (1 + ASTER_V(erf)((REAL)0.70710678118654752440 * x));
}
FN RN(density)(VEC x)
{
    return (REAL)0.39894228040143267794 * ASTER_V(exp)((REAL)-0.5 * x * x);
}
FN RN(gelu)(VEC x)
{
    return x * RN(normal)(x);
}
FN RN(gelu_1)(VEC x)
{
    return RN(normal)(x) + x * RN(density)(x);
}
FN RN(gelu_2)(VEC x)
{
    return RN(density)(x) * (2 - x * x);
}

/* gelu_tanh = x s(2 u) with the sigmoid s and u = sqrt(2 / pi) (x + 0.044715 x^3) */
#define GELU_C ((REAL)1.59576912160573071176) /* 2 sqrt(2 / pi) */
#define GELU_A ((REAL)0.044715)
FN RN(gelu_u)(VEC x)
{
    return GELU_C * (x + GELU_A * x * x * x);
}
FN RN(gelu_u_1)(VEC x)
{
    return GELU_C * (1 + 3 * GELU_A * x * x);
}
FN RN(gelu_tanh)(VEC x)
{
    return x * ASTER_V(sigmoid)(RN(gelu_u)(x));
}
FN RN(gelu_tanh_1)(VEC x)
{
    VEC u = RN(gelu_u)(x);
    return ASTER_V(sigmoid)(u) + x * RN(sigmoid_1)(u) * RN(gelu_u_1)(x);
}
FN RN(gelu_tanh_2)(VEC x)
{
    VEC u = RN(gelu_u)(x), u1 = RN(gelu_u_1)(x), s1 = RN(sigmoid_1)(u);
    return s1 * (2 * u1 + x * (6 * GELU_C * GELU_A * x)) + x * RN(sigmoid_2)(u) * u1 * u1;
}

FN RN(silu)(VEC x)
{
    return x * ASTER_V(sigmoid)(x);
}
FN RN(silu_1)(VEC x)
{
    VEC e = ASTER_V(exp_below)(-RN(vabs)(x)), by = ONE / (ONE + e);
    return ASTER_V(sel)(x < 0, e, ONE) * by + x * (e * by * by);
}
FN RN(silu_2)(VEC x)
{
    return 2 * RN(sigmoid_1)(x) + x * RN(sigmoid_2)(x);
}

/* max(x, 0) + log(1 + e^-|x|). With u = 1 + e rounded, log(1 + e) = log(u) e / (u - 1) keeps the
 * small e that u lost. */
FN RN(softplus)(VEC x)
{
    VEC e = RN(exp_neg_abs)(x), u = 1 + e, d = u - 1;
    VEC log1p = ASTER_V(sel)(d == 0, e, ASTER_V(log)(u) * e / ASTER_V(sel)(d == 0, ONE, d));
    return RN(relu)(x) + log1p;
}
FN RN(softplus_1)(VEC x)
{
    return ASTER_V(sigmoid)(x);
}
FN RN(softplus_2)(VEC x)
{
    return RN(sigmoid_1)(x);
}

/* Angles are reduced by the library: right for every argument. */
FN RN(sin)(VEC x)
{
    VEC y;
    for (int j = 0; j < (int)LANES; j++)
        y[j] = (REAL)sin((double)x[j]);
    return y;
}
FN RN(cos)(VEC x)
{
    VEC y;
    for (int j = 0; j < (int)LANES; j++)
        y[j] = (REAL)cos((double)x[j]);
    return y;
}
FN RN(sin_1)(VEC x)
{
    return RN(cos)(x);
}
FN RN(sin_2)(VEC x)
{
    return -RN(sin)(x);
}
FN RN(cos_1)(VEC x)
{
    return -RN(sin)(x);
}
FN RN(cos_2)(VEC x)
{
    return -RN(cos)(x);
}

#define EACH_FN(X)                                                                                 \
    X(RELU, relu)                                                                                  \
    X(SIGMOID, sigmoid)                                                                            \
    X(TANH, tanh)                                                                                  \
    X(EXP, exp)                                                                                    \
    X(LOG, log)                                                                                    \
    X(SQRT, sqrt)                                                                                  \
    X(RSQRT, rsqrt)                                                                                \
    X(RECIP, recip)                                                                                \
    X(SQUARE, square)                                                                              \
    X(ABS, abs)                                                                                    \
    X(GELU, gelu)                                                                                  \
    X(GELU_TANH, gelu_tanh)                                                                        \
    X(SILU, silu)                                                                                  \
    X(SOFTPLUS, softplus)                                                                          \
    X(SIN, sin)                                                                                    \
    X(COS, cos)                                                                                    \
    X(ROOT, root)

static void RN(unary)(enum aster_fn fn, int64_t n, const REAL *x, REAL *y)
{
    switch (fn) {
#define X(FNAME, name)                                                                             \
    case ASTER_FN_##FNAME:                                                                         \
        for (int64_t k = 0; k < n; k += LANES)                                                     \
            RN(store)(n - k, y + k, RN(name)(RN(load)(n - k, x + k)));                             \
        break;
        EACH_FN(X)
#undef X
    default:
        break;
    }
}

static void RN(unary_grad)(enum aster_fn fn, int64_t n, const REAL *x, const REAL *dy, REAL *y)
{
    switch (fn) {
#define X(FNAME, name)                                                                             \
    case ASTER_FN_##FNAME:                                                                         \
        for (int64_t k = 0; k < n; k += LANES)                                                     \
            RN(store)                                                                              \
        (n - k, y + k, RN(load)(n - k, dy + k) * RN(name##_1)(RN(load)(n - k, x + k)));            \
        break;
        EACH_FN(X)
#undef X
    default:
        break;
    }
}

static void RN(unary_grad2)(enum aster_fn fn, int64_t n, const REAL *x, const REAL *dy,
                            const REAL *g, REAL *y)
{
    switch (fn) {
#define X(FNAME, name)                                                                             \
    case ASTER_FN_##FNAME:                                                                         \
        for (int64_t k = 0; k < n; k += LANES)                                                     \
            RN(store)                                                                              \
        (n - k, y + k,                                                                             \
         RN(load)(n - k, g + k) * RN(load)(n - k, dy + k) * RN(name##_2)(RN(load)(n - k, x + k))); \
        break;
        EACH_FN(X)
#undef X
    default:
        break;
    }
}

/* rows of 2 n -> rows of n */
static void RN(gated)(int64_t rows, int64_t n, const REAL *x, REAL *y)
{
    for (int64_t r = 0; r < rows; r++, x += 2 * n, y += n)
        for (int64_t k = 0; k < n; k += LANES)
            RN(store)(n - k, y + k, RN(gelu)(RN(load)(n - k, x + k)) * RN(load)(n - k, x + n + k));
}

#undef EACH_FN
#undef ZERO
#undef ONE
#undef GELU_C
#undef GELU_A
#undef FN
