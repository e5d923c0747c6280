/* SPDX-License-Identifier: BSD-3-Clause */
/* The codelet that hands results to host memory: the last task of a step or batch. */
#include "task.h"

#include <string.h>

enum { MAX_POINTERS = 256 };

struct commit_arg {
    struct aster_task task;
    int n;
    void (*copy)(void *arg, const void *const *in);
    void *arg;
};

static void commit_run(void *buffers[], void *cl_arg)
{
    struct commit_arg *a = cl_arg;
    const void *in[MAX_POINTERS];
    for (int k = 0; k < a->n; k++)
        in[k] = aster_task_pointer(buffers[k]);
    aster_task_begin(&a->task);
    a->copy(a->arg, in);
    aster_task_end(&a->task);
}

static struct starpu_perfmodel commit_model = ASTER_PERFMODEL("aster_commit");
static struct starpu_codelet commit_codelet = {
    .name = "commit",
    .cpu_funcs = {commit_run},
    .cpu_funcs_name = {"commit_run"},
    ASTER_RUN_IN_SIMULATION.nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &commit_model,
    .can_execute = aster_task_can_execute,
};

int aster_cl_commit(struct aster_cl_env *env, const struct aster_commit_task *t)
{
    struct commit_arg a = {
        .task = {.env = env, .name = t->name, .done = t->done, .done_arg = t->arg},
        .n = t->n,
        .copy = t->copy,
        .arg = t->arg};
    if (t->n > MAX_POINTERS)
        return aster_fail(env->ctx, ASTER_EBUG, "task %s: %d buffers, at most %d", t->name, t->n,
                          MAX_POINTERS);
    for (int k = 0; k < t->n; k++)
        a.task.bytes += (double)t->in[k]->bytes;
    a.task.footprint = aster_fnv1a64_more(aster_fnv1a64(t->name, strlen(t->name)), &a.task.bytes,
                                          sizeof a.task.bytes);
    struct starpu_task *task = aster_task_new(&commit_codelet, &a, sizeof a, t->n);
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    for (int k = 0; k < t->n; k++)
        aster_task_buffer(task, k, t->in[k], STARPU_R);
    return aster_task_submit(task);
}
