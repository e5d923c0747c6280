/* SPDX-License-Identifier: BSD-3-Clause */
/* The codelets that work on host memory: one fills buffers with new content, one takes results out
 * of them, one changes a buffer by what others hold. */
#include "task.h"

#include <string.h>

enum { MAX_POINTERS = 258 }; /* of all shards, the norm, and one to change */

struct host_arg {
    struct aster_task task;
    int n;
    void (*fill)(void *arg, void *const *out);                  /* this, */
    void (*copy)(void *arg, const void *const *in);             /* or this, */
    void (*judge)(void *arg, const void *const *in, void *out); /* or this: out is the last */
    void *arg;
};

static void host_run(void *buffers[], void *cl_arg)
{
    struct host_arg *a = cl_arg;
    void *at[MAX_POINTERS];
    for (int k = 0; k < a->n; k++)
        at[k] = aster_task_pointer(buffers[k]);
    aster_task_begin(&a->task);
    if (a->fill)
        a->fill(a->arg, at);
    else if (a->judge)
        a->judge(a->arg, (const void *const *)at, at[a->n - 1]);
    else
        a->copy(a->arg, (const void *const *)at);
    aster_task_end(&a->task);
}

static struct starpu_perfmodel fill_model = ASTER_PERFMODEL("aster_fill");
static struct starpu_codelet fill_codelet = {
    .name = "fill",
    .cpu_funcs = {host_run},
    .cpu_funcs_name = {"host_run"},
    .nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &fill_model,
    .can_execute = aster_task_can_execute,
};

static struct starpu_perfmodel commit_model = ASTER_PERFMODEL("aster_commit");
static struct starpu_codelet commit_codelet = {
    .name = "commit",
    .cpu_funcs = {host_run},
    .cpu_funcs_name = {"host_run"},
    ASTER_RUN_IN_SIMULATION.nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &commit_model,
    .can_execute = aster_task_can_execute,
};

static struct starpu_perfmodel judge_model = ASTER_PERFMODEL("aster_judge");
static struct starpu_codelet judge_codelet = {
    .name = "judge",
    .cpu_funcs = {host_run},
    .cpu_funcs_name = {"host_run"},
    ASTER_RUN_IN_SIMULATION.nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &judge_model,
    .can_execute = aster_task_can_execute,
};

static int submit(struct starpu_codelet *cl, struct host_arg *a,
                  const struct aster_buffer *const *buffer, enum starpu_data_access_mode mode,
                  const struct aster_buffer *changed)
{
    struct aster_ctx *ctx = a->task.env->ctx;
    const char *name = a->task.name;
    if (a->n >= MAX_POINTERS)
        return aster_fail(ctx, ASTER_EBUG, "task %s: %d buffers, at most %d", name, a->n,
                          MAX_POINTERS - 1);
    for (int k = 0; k < a->n; k++)
        a->task.bytes += (double)buffer[k]->bytes;
    a->task.footprint =
        aster_fnv1a64_more(aster_fnv1a64(name, strlen(name)), &a->task.bytes, sizeof a->task.bytes);
    int n = a->n;
    a->n += changed != NULL;
    struct starpu_task *task = aster_task_new(cl, a, sizeof *a, a->n);
    if (!task)
        return aster_fail(ctx, ASTER_ENOMEM, "out of memory for a task");
    for (int k = 0; k < n; k++)
        aster_task_buffer(task, k, buffer[k], mode);
    if (changed)
        aster_task_buffer(task, n, changed, STARPU_RW);
    return aster_task_submit(task);
}

int aster_cl_fill(struct aster_cl_env *env, const struct aster_fill_task *t)
{
    struct host_arg a = {
        .task = {.env = env, .name = t->name}, .n = t->n, .fill = t->fill, .arg = t->arg};
    return submit(&fill_codelet, &a, t->out, STARPU_W, NULL);
}

int aster_cl_commit(struct aster_cl_env *env, const struct aster_commit_task *t)
{
    struct host_arg a = {.task = {.env = env, .name = t->name, .done = t->done, .done_arg = t->arg},
                         .n = t->n,
                         .copy = t->copy,
                         .arg = t->arg};
    return submit(&commit_codelet, &a, t->in, STARPU_R, NULL);
}

int aster_cl_judge(struct aster_cl_env *env, const struct aster_judge_task *t)
{
    struct host_arg a = {.task = {.env = env, .name = t->name, .done = t->done, .done_arg = t->arg},
                         .n = t->n,
                         .judge = t->judge,
                         .arg = t->arg};
    return submit(&judge_codelet, &a, t->in, STARPU_R, t->out);
}
