/* SPDX-License-Identifier: BSD-3-Clause */
/* How long steps of training take. */
#ifndef ASTER_TRAIN_TIMED_H
#define ASTER_TRAIN_TIMED_H

#include "train/train.h"

struct aster_timing {
    int64_t steps, samples;
    double seconds; /* from all workers idle to all workers idle */
    double loss;    /* of the last step; nothing is computed in a simulation */
    struct aster_usage usage;
};
/* warmup steps, then n_steps with a clock around them. The runtime must have been made with
 * profile. */
ASTER_CHECKED int aster_train_time(struct aster_ctx *ctx, struct aster_runtime *rt,
                                   const struct aster_train_config *c,
                                   const struct aster_encoding *enc, int64_t n_train,
                                   const struct aster_sample *train, int64_t warmup,
                                   int64_t n_steps, struct aster_timing *out);

#endif
