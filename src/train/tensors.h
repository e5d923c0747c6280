/* SPDX-License-Identifier: BSD-3-Clause */
/* Flat vectors of a program to and from named tensors in files, in the reference's names and
 * layouts. For src/train only. */
#ifndef ASTER_TRAIN_TENSORS_H
#define ASTER_TRAIN_TENSORS_H

#include "io/io.h"
#include "program/program.h"

/* group/name for every parameter (buffers: f64). */
ASTER_CHECKED int tensors_write(struct aster_ctx *ctx, struct aster_h5 *f, const char *group,
                                const struct aster_program *p, bool buffers, const void *flat);
/* Every tensor of the group must be there with its shape, and no other. */
ASTER_CHECKED int tensors_read(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                               const char *group, const struct aster_program *p, bool buffers,
                               void *flat);
ASTER_CHECKED int tensor_check_shape(struct aster_ctx *ctx, const char *path,
                                     const struct aster_param_info *info, int rank,
                                     const int64_t *dim);
/* data: n numbers of type t */
ASTER_CHECKED int tensor_check_finite(struct aster_ctx *ctx, const char *path, const char *name,
                                      enum aster_dtype t, int64_t n, const void *data);

#endif
