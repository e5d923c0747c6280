/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPUs of this machine, and why there are none. */
#ifndef ASTER_RUNTIME_GPUS_H
#define ASTER_RUNTIME_GPUS_H

#include "base/base.h"

enum { ASTER_MAX_GPUS = 64 };
struct aster_gpus {
    bool built;      /* with CUDA */
    char driver[16]; /* newest CUDA that the driver serves, "" without one */
    int n;
    char why[160]; /* there is none; "" otherwise */
    struct {
        char name[64];
        int64_t memory;
        int major, minor; /* compute capability */
    } gpu[ASTER_MAX_GPUS];
};
void aster_gpus_look(struct aster_gpus *out);
/* Those that "", NULL or "all", "none" or "0,2,3" choose: n numbers in order. */
ASTER_CHECKED int aster_gpus_choose(struct aster_ctx *ctx, const struct aster_gpus *g,
                                    const char *list, int *n, int chosen[ASTER_MAX_GPUS]);
/* What "20G", "0=20G,2=8G", NULL or "" allow of each of the n chosen ones: bytes, 0: all. */
ASTER_CHECKED int aster_gpus_memory(struct aster_ctx *ctx, const char *text, int n,
                                    const int *chosen, int64_t *limit);

#endif
