/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime from the inside. For src/runtime only. */
#ifndef ASTER_RUNTIME_START_H
#define ASTER_RUNTIME_START_H

#include "runtime/runtime.h"
#include "starpu_head.h"

/* Work stealing with locality: a task goes to the worker that made its last input, where the data
 * are in the cache. */
#define ASTER_DEFAULT_SCHEDULER "lws"
/* With GPUs: where data and models say that a task ends first. */
#define ASTER_GPU_SCHEDULER "dmdas"

#ifndef ASTER_SIM
#define ASTER_SIM 0 /* 1: built with a StarPU that simulates */
#endif

/* What each GPU's worker needs: stream, limits, memory; and its end, in the worker's thread. */
struct aster_runtime;
ASTER_CHECKED int gpu_workers_start(struct aster_runtime *rt);
void gpu_workers_stop(struct aster_runtime *rt);
/* Before the start: has idle workers wait under the policy of that name, where it is one that this
 * can be done for. Before the end: they wait no longer. */
struct starpu_conf;
void idle_policy(const char *name, struct starpu_conf *conf);
void idle_end(void);

struct aster_sampled {
    double at, busy_s;
}; /* when a worker was looked at last, and its time then */

struct aster_runtime {
    struct aster_cl_env env;
    enum aster_isa isa;
    const char *scheduler;
    char *scheduler_name;
    char version[32];
    bool started;
    const struct aster_sim_setup *simulate;
    struct aster_sampled *sampled;
};

#endif
