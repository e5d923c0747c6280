/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan's segment as a task. */
#include "train/train.h"

/* The executor as the program codelet calls it. */
static void run_segment(const struct aster_program_task *t, const struct aster_backend *be,
                        struct aster_device *device, void *const *at)
{
    struct aster_bound b = {
        .at = {[ASTER_CLASS_INPUT] = at[ASTER_ROLE_INPUT],
               [ASTER_CLASS_FACTS] = at[ASTER_ROLE_FACTS],
               [ASTER_CLASS_PARAM] = at[ASTER_ROLE_PARAM],
               [ASTER_CLASS_BUFFER] = at[ASTER_ROLE_BUFFER],
               [ASTER_CLASS_OUTPUT] = at[ASTER_ROLE_OUTPUT],
               [ASTER_CLASS_GRAD] = at[ASTER_ROLE_GRAD],
               [ASTER_CLASS_AUX] = at[ASTER_ROLE_AUX],
               [ASTER_CLASS_ARENA] = at[ASTER_ROLE_ARENA]},
        .sync_in = at[ASTER_ROLE_SYNC_IN],
        .sync_out = at[ASTER_ROLE_SYNC_OUT],
        .run = t->info,
        .lengths = t->lengths,
        .background = at[ASTER_ROLE_BACKGROUND],
        .device = device,
    };
    if (device)
        b.run.status = NULL; /* host memory; encoding has set it before */
    aster_exec(t->plan, be, &b, t->segment);
}

static double segment_seconds(const struct aster_program_task *t,
                              const struct aster_device_model *d)
{
    return aster_plan_seconds(t->plan, t->segment, d);
}

void aster_plan_task(const struct aster_plan *plan, int segment, const char *name,
                     struct aster_program_task *t)
{
    *t = (struct aster_program_task){.name = name,
                                     .run = run_segment,
                                     .plan = plan,
                                     .segment = segment,
                                     .seconds = segment_seconds};
    t->footprint = aster_plan_hash(plan, segment);
    aster_plan_cost(plan, segment, &t->flops, &t->bytes);
}
