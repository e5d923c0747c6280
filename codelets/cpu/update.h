/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer and reduction kernels of one instruction set. */
#ifndef ASTER_UPDATE_H
#define ASTER_UPDATE_H

#include "cpu/kernel.h"

void ASTER_K(adam)(enum aster_dtype t, int64_t n, const struct aster_update *u, void *w, const void *g, void *m, void *v);
void ASTER_K(adamw)(enum aster_dtype t, int64_t n, const struct aster_update *u, void *w, const void *g, void *m, void *v);
void ASTER_K(sgd)(enum aster_dtype t, int64_t n, const struct aster_update *u, void *w, const void *g, void *m);
void ASTER_K(add_into)(enum aster_dtype t, int64_t n, void *y, const void *x);
void ASTER_K(fill)(enum aster_dtype t, int64_t n, double value, void *y);
double ASTER_K(sum_squares)(enum aster_dtype t, int64_t n, const void *x);
void ASTER_K(ema)(enum aster_dtype t, int64_t n, double momentum, void *r, const void *s);

#endif
