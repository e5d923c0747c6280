/* SPDX-License-Identifier: BSD-3-Clause */
/* The timed section of a pipeline, for scaling studies. */
#ifndef ASTER_FLOW_TIMING_H
#define ASTER_FLOW_TIMING_H

#include "flow/internal.h"
#include "train/timed.h"

struct aster_run_timing {
    int64_t warmup, steps;
    const char *expect;  /* file of measured times for a simulation; NULL: none */
    const char *measure; /* file of measured times to write; NULL: none */
    const char *machine; /* what that file calls this machine */
    /* what came out */
    struct aster_timing timing;
    int64_t batch_size;
    int n_workers;
    char expected_from[64];
};
/* Whether there is something to time in the pipeline. */
ASTER_CHECKED int aster_timing_ready(struct aster_ctx *ctx, const struct aster_run_spec *spec);
/* Carries out the stages before the first training, or before the first embedding where nothing is
 * trained, and of that stage only timed steps. */
ASTER_CHECKED int aster_timing_run(struct aster_run *run, struct aster_run_timing *t);

#endif
