/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime from the inside. For src/runtime only. */
#ifndef ASTER_RUNTIME_START_H
#define ASTER_RUNTIME_START_H

#include "runtime/runtime.h"
#include "starpu_head.h"

/* Work stealing with locality: a task goes to the worker that made its last input, where the data are in the cache. */
#define ASTER_DEFAULT_SCHEDULER "lws"

struct aster_sampled { double at, busy_s; }; /* when a worker was looked at last, and its time then */

struct aster_runtime {
    struct aster_cl_env env;
    enum aster_isa isa;
    const char *scheduler;
    char *scheduler_name;
    char version[32];
    bool started;
    struct aster_sampled *sampled;
};

#endif
