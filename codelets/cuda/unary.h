/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of one value with first and second derivatives, in the forms that lose no digits. */
#ifndef ASTER_CUDA_UNARY_H
#define ASTER_CUDA_UNARY_H

#include "cuda/kernel.h"

template <class T>
ASTER_DEV T fn_sigmoid(T x)
{
    T e = exp(-fabs(x)), d = 1 / (1 + e);
    return x < 0 ? e * d : d;
}
/* e^-|x| gives the derivatives of sigmoid and tanh without cancellation. */
template <class T>
ASTER_DEV T fn_sigmoid_1(T x)
{
    T e = exp(-fabs(x)), d = 1 / (1 + e);
    return e * d * d;
}
template <class T>
ASTER_DEV T fn_sigmoid_2(T x) /* s' (1 - 2 s), and 1 - 2 s = -tanh(x / 2) */
{
    return -fn_sigmoid_1(x) * tanh(x / 2);
}
template <class T>
ASTER_DEV T fn_tanh_1(T x)
{
    return 4 * fn_sigmoid_1(x + x);
}
/* The normal distribution and its density: gelu = x P(x) */
template <class T>
ASTER_DEV T fn_normal(T x)
{
    return T(0.5) * erfc(T(-0.70710678118654752440) * x);
}
template <class T>
ASTER_DEV T fn_density(T x)
{
    return T(0.39894228040143267794) * exp(T(-0.5) * x * x);
}
/* gelu_tanh = x s(u), u = 2 sqrt(2 / pi) (x + 0.044715 x^3) */
template <class T>
ASTER_DEV T fn_gelu_u(T x)
{
    return T(1.59576912160573071176) * (x + T(0.044715) * x * x * x);
}
template <class T>
ASTER_DEV T fn_gelu_u_1(T x)
{
    return T(1.59576912160573071176) * (1 + 3 * T(0.044715) * x * x);
}
template <class T>
ASTER_DEV T fn_gelu_u_2(T x)
{
    return 6 * T(1.59576912160573071176) * T(0.044715) * x;
}

template <class T>
ASTER_DEV T fn_value(enum aster_fn fn, T x)
{
    switch (fn) {
    case ASTER_FN_RELU:
        return x < 0 ? T(0) : x; /* NaN stays */
    case ASTER_FN_SIGMOID:
        return fn_sigmoid(x);
    case ASTER_FN_TANH:
        return tanh(x);
    case ASTER_FN_EXP:
        return exp(x);
    case ASTER_FN_LOG:
        return log(x);
    case ASTER_FN_SQRT:
    case ASTER_FN_ROOT:
        return sqrt(x);
    case ASTER_FN_RSQRT:
        return 1 / sqrt(x);
    case ASTER_FN_RECIP:
        return 1 / x;
    case ASTER_FN_SQUARE:
        return x * x;
    case ASTER_FN_ABS:
        return fabs(x);
    case ASTER_FN_GELU:
        return x * fn_normal(x);
    case ASTER_FN_GELU_TANH:
        return x * fn_sigmoid(fn_gelu_u(x));
    case ASTER_FN_SILU:
        return x * fn_sigmoid(x);
    case ASTER_FN_SOFTPLUS:
        return (x < 0 ? T(0) : x) + log1p(exp(-fabs(x)));
    case ASTER_FN_SIN:
        return sin(x);
    default:
        return cos(x);
    }
}

template <class T>
ASTER_DEV T fn_slope(enum aster_fn fn, T x)
{
    switch (fn) {
    case ASTER_FN_RELU:
        return x > 0 ? T(1) : T(0);
    case ASTER_FN_SIGMOID:
        return fn_sigmoid_1(x);
    case ASTER_FN_TANH:
        return fn_tanh_1(x);
    case ASTER_FN_EXP:
        return exp(x);
    case ASTER_FN_LOG:
        return 1 / x;
    case ASTER_FN_SQRT:
        return T(0.5) / sqrt(x);
    case ASTER_FN_ROOT:
        return x == 0 ? T(0) : T(0.5) / sqrt(x);
    case ASTER_FN_RSQRT:
        return T(-0.5) / (x * sqrt(x));
    case ASTER_FN_RECIP:
        return -1 / (x * x);
    case ASTER_FN_SQUARE:
        return x + x;
    case ASTER_FN_ABS:
        return T(x > 0) - T(x < 0);
    case ASTER_FN_GELU:
        return fn_normal(x) + x * fn_density(x);
    case ASTER_FN_GELU_TANH:
        return fn_sigmoid(fn_gelu_u(x)) + x * fn_sigmoid_1(fn_gelu_u(x)) * fn_gelu_u_1(x);
    case ASTER_FN_SILU:
        return fn_sigmoid(x) + x * fn_sigmoid_1(x);
    case ASTER_FN_SOFTPLUS:
        return fn_sigmoid(x);
    case ASTER_FN_SIN:
        return cos(x);
    default:
        return -sin(x);
    }
}

template <class T>
ASTER_DEV T fn_bend(enum aster_fn fn, T x)
{
    switch (fn) {
    case ASTER_FN_RELU:
        return 0;
    case ASTER_FN_SIGMOID:
        return fn_sigmoid_2(x);
    case ASTER_FN_TANH:
        return -2 * tanh(x) * fn_tanh_1(x);
    case ASTER_FN_EXP:
        return exp(x);
    case ASTER_FN_LOG:
        return -1 / (x * x);
    case ASTER_FN_SQRT:
        return T(-0.25) / (x * sqrt(x));
    case ASTER_FN_ROOT:
        return x == 0 ? T(0) : T(-0.25) / (x * sqrt(x));
    case ASTER_FN_RSQRT:
        return T(0.75) / (x * x * sqrt(x));
    case ASTER_FN_RECIP:
        return 2 / (x * x * x);
    case ASTER_FN_SQUARE:
        return 2;
    case ASTER_FN_ABS:
        return 0;
    case ASTER_FN_GELU:
        return fn_density(x) * (2 - x * x);
    case ASTER_FN_GELU_TANH: {
        T u = fn_gelu_u(x), u1 = fn_gelu_u_1(x), s1 = fn_sigmoid_1(u);
        return s1 * (2 * u1 + x * fn_gelu_u_2(x)) + x * fn_sigmoid_2(u) * u1 * u1;
    }
    case ASTER_FN_SILU:
        return 2 * fn_sigmoid_1(x) + x * fn_sigmoid_2(x);
    case ASTER_FN_SOFTPLUS:
        return fn_sigmoid_1(x);
    case ASTER_FN_SIN:
        return -sin(x);
    default:
        return -cos(x);
    }
}

#endif
