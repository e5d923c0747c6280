/* SPDX-License-Identifier: BSD-3-Clause */
/* What this process may use of the machine. For src/runtime only. */
#ifndef ASTER_RUNTIME_MACHINE_H
#define ASTER_RUNTIME_MACHINE_H

#include "base/base.h"

struct aster_machine {
    int cores; /* that this process may use: by its CPU mask and its control group's quota */
    int machine_cores;
    bool masked;         /* the mask leaves cores out */
    int64_t free_memory; /* bytes, control group considered */
};
ASTER_CHECKED int aster_machine_look(struct aster_ctx *ctx, struct aster_machine *out);
/* Sets what StarPU reads from the environment, where the user did not; only inside this process. */
ASTER_CHECKED int aster_machine_set_environment(struct aster_ctx *ctx, bool bind_workers);

#endif
