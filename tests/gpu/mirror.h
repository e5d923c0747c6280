/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels of a GPU for memory of the host: every call is made on copies in the GPU's memory,
 * between bands that must stay whole, and its results are copied back. */
#ifndef ASTER_TESTS_GPU_MIRROR_H
#define ASTER_TESTS_GPU_MIRROR_H

#include "cuda/device.h"
#include "neighbours.h"

struct mirror_memory {
    void *(*reserve)(int64_t bytes); /* of the GPU, 256-byte aligned; NULL: not to be had */
    void (*release)(void *p);
    void (*put)(void *to, const void *from, int64_t bytes);  /* to the GPU */
    void (*take)(void *to, const void *from, int64_t bytes); /* from it, after all work on it */
};

enum { MIRROR_STATUS = 64 }; /* the least number of status codes that a caller has */

/* device: for calls that name none. */
const struct aster_backend *mirror_backend(const struct aster_backend *inner,
                                           struct aster_device *device,
                                           const struct mirror_memory *memory);
void mirror_encode(enum aster_dtype t, bool time_major, int64_t n_samples, int64_t n_positions,
                   int64_t dim, const struct aster_encode_codes *c, void *x);
void mirror_neighbours(const struct aster_neighbours_sizes *z, const void *input, void *list,
                       void *work);
/* What was wrong since the last mirror_forget(); NULL if nothing. */
const char *mirror_error(void);
void mirror_forget(void);

#endif
