/* SPDX-License-Identifier: BSD-3-Clause */
/* Between unit-vmath and its loops compiled per instruction set. */
#ifndef ASTER_TESTS_VMATH_H
#define ASTER_TESTS_VMATH_H

#include <stdint.h>

enum {
    VMATH_EXP,
    VMATH_TANH,
    VMATH_SIGMOID,
    VMATH_LOG,
    VMATH_ERF,
    VMATH_GATE,
    VMATH_GATE_TANH,
    VMATH_EXP_BELOW,
    VMATH_NORMAL,
    VMATH_N
};

struct vmath_set {
    void (*f32[VMATH_N])(int64_t n, const float *x, float *y);
    void (*f64[VMATH_N])(int64_t n, const double *x, double *y);
    void (*arith_f32)(int64_t n, const float *a, const float *b, const float *c, float *fma,
                      float *lo, float *hi);
    void (*arith_f64)(int64_t n, const double *a, const double *b, const double *c, double *fma,
                      double *lo, double *hi);
};

#endif
