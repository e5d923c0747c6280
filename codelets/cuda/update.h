/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer and reduction kernels on a GPU, and moving its memory. */
#ifndef ASTER_CUDA_UPDATE_H
#define ASTER_CUDA_UPDATE_H

#include "backend.h"

void aster_k_adam_cuda(struct aster_device *d, enum aster_dtype t, int64_t n,
                       const struct aster_update *u, void *w, const void *g, void *m, void *v);
void aster_k_adamw_cuda(struct aster_device *d, enum aster_dtype t, int64_t n,
                        const struct aster_update *u, void *w, const void *g, void *m, void *v);
void aster_k_sgd_cuda(struct aster_device *d, enum aster_dtype t, int64_t n,
                      const struct aster_update *u, void *w, const void *g, void *m);
void aster_k_add_into_cuda(struct aster_device *d, enum aster_dtype t, int64_t n, void *y,
                           const void *x);
void aster_k_fill_cuda(struct aster_device *d, enum aster_dtype t, int64_t n, double value,
                       void *y);
void aster_k_sum_squares_cuda(struct aster_device *d, enum aster_dtype t, int64_t n, const void *x,
                              double *sum);
void aster_k_ema_cuda(struct aster_device *d, enum aster_dtype t, int64_t n, double momentum,
                      void *r, const void *s);
void aster_zero_cuda(struct aster_device *d, void *p, int64_t bytes);
void aster_copy_cuda(struct aster_device *d, void *to, const void *from, int64_t bytes);

#endif
