/* SPDX-License-Identifier: BSD-3-Clause */
/* Measured times of tasks as a file: what 'asterism calibrate' writes and a simulation reads. */
#ifndef ASTER_FLOW_TIMES_H
#define ASTER_FLOW_TIMES_H

#include "runtime/runtime.h"

struct aster_times {
    char machine[64], isa[32];
    int64_t n, cap;
    struct aster_measured_task *task;
    bool *on_gpu;
};
ASTER_CHECKED int aster_times_read(struct aster_ctx *ctx, const char *path,
                                   struct aster_times *out);
/* What rt has measured. */
ASTER_CHECKED int aster_times_write(struct aster_ctx *ctx, const char *path, const char *machine,
                                    struct aster_runtime *rt);
/* Hands them to a simulation. */
ASTER_CHECKED int aster_times_expect(struct aster_ctx *ctx, const struct aster_times *t,
                                     struct aster_runtime *rt);
void aster_times_free(struct aster_times *t);

#endif
