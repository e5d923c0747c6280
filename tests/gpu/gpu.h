/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPU that a test program is linked with: an emulated one (tests/emulate/device.c) or a card
 * (tests/gpu/card.c). */
#ifndef ASTER_TESTS_GPU_GPU_H
#define ASTER_TESTS_GPU_GPU_H

#include "cuda/device.h"
#include "neighbours.h"

extern const bool gpu_is_emulated;
struct aster_device *gpu_device(void);
/* Its kernels, for memory of the host. */
const struct aster_backend *gpu_backend(void);
void gpu_encode(enum aster_dtype t, bool time_major, int64_t n_samples, int64_t n_positions,
                int64_t dim, const struct aster_encode_codes *c, void *x);
void gpu_neighbours(const struct aster_neighbours_sizes *z, const void *input, void *list,
                    void *work);
/* Before a call. Its number decides what varies between calls whose bits have to agree: odd ones
 * get no scratch memory, so that both ways of kernels which would like some are taken; an emulated
 * GPU runs its threads in another order. */
void gpu_begin(int number);
/* What was found wrong since the last gpu_begin(); NULL if nothing. */
const char *gpu_error(void);
/* At a program's end: that every kernel was emulated, or which card it was. */
void gpu_end(void);

#endif
