/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer and reduction kernels of one instruction set. */
#ifndef ASTER_UPDATE_H
#define ASTER_UPDATE_H

#include "cpu/kernel.h"

void ASTER_K(adam)(struct aster_device *d, enum aster_dtype t, int64_t n,
                   const struct aster_update *u, void *w, const void *g, void *m, void *v);
void ASTER_K(adamw)(struct aster_device *d, enum aster_dtype t, int64_t n,
                    const struct aster_update *u, void *w, const void *g, void *m, void *v);
void ASTER_K(sgd)(struct aster_device *d, enum aster_dtype t, int64_t n,
                  const struct aster_update *u, void *w, const void *g, void *m);
void ASTER_K(add_into)(struct aster_device *d, enum aster_dtype t, int64_t n, void *y,
                       const void *x);
void ASTER_K(fill)(struct aster_device *d, enum aster_dtype t, int64_t n, double value, void *y);
void ASTER_K(sum_squares)(struct aster_device *d, enum aster_dtype t, int64_t n, const void *x,
                          double *sum);
void ASTER_K(ema)(struct aster_device *d, enum aster_dtype t, int64_t n, double momentum, void *r,
                  const void *s);

#endif
