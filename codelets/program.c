/* SPDX-License-Identifier: BSD-3-Clause */
/* The codelet that runs one segment of a program on one shard. */
#include "task.h"

struct program_arg {
    struct aster_task task;
    struct aster_program_task t;
};

static void program_run(void *buffers[], void *cl_arg)
{
    struct program_arg *a = cl_arg;
    void *at[ASTER_N_ROLES] = {NULL};
    int n = 0;
    for (int k = 0; k < ASTER_N_ROLES; k++)
        if (a->t.at[k]) {
            at[k] = aster_task_whole(&a->task, buffers + n, a->t.at[k]);
            n += aster_task_handles(a->t.at[k]);
        }
    const struct aster_backend *be = aster_task_begin(&a->task);
    a->t.run(&a->t, be, aster_task_device(&a->task), at);
    aster_task_end(&a->task);
}

static struct starpu_perfmodel program_model = ASTER_PERFMODEL("aster_program");
static struct starpu_codelet program_codelet = {
    .name = "program",
    .cpu_funcs = {program_run},
    .cpu_funcs_name = {"program_run"},
    ASTER_CUDA_FUNCTION(program_run).nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &program_model,
    .can_execute = aster_task_can_execute,
};

static enum starpu_data_access_mode mode_of(const struct aster_program_task *t, int role)
{
    switch (role) {
    case ASTER_ROLE_OUTPUT:
    case ASTER_ROLE_GRAD:
    case ASTER_ROLE_AUX:
        return t->segment == 0 ? STARPU_W : STARPU_RW;
    case ASTER_ROLE_ARENA:
        return t->at[role]->scratch ? STARPU_SCRATCH : t->segment == 0 ? STARPU_W : STARPU_RW;
    case ASTER_ROLE_SYNC_OUT:
        return STARPU_W;
    default:
        return STARPU_R;
    }
}

static double program_seconds(const struct aster_task *task, const struct aster_device_model *d)
{
    const struct program_arg *a = (const struct program_arg *)task;
    return a->t.seconds(&a->t, d);
}

int aster_cl_program(struct aster_cl_env *env, const struct aster_program_task *t)
{
    struct program_arg a = {.task = {.env = env,
                                     .name = t->name,
                                     .footprint = t->footprint,
                                     .flops = t->flops,
                                     .bytes = t->bytes,
                                     .one_kind = t->one_kind},
                            .t = *t};
    int n = 0;
    a.task.turn = aster_task_turn(env, t->one_kind ? t->shard : ASTER_NO_HOME);
    a.task.seconds = t->seconds ? program_seconds : NULL;
    for (int k = 0; k < ASTER_N_ROLES; k++)
        n += t->at[k] ? aster_task_handles(t->at[k]) : 0;
    struct starpu_task *task = aster_task_new(&program_codelet, &a, sizeof a, n);
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    for (int k = n = 0; k < ASTER_N_ROLES; k++)
        if (t->at[k])
            n = aster_task_buffer(task, n, t->at[k], mode_of(t, k));
    aster_task_home(env, task, t->one_kind ? t->shard : ASTER_NO_HOME);
    return aster_task_submit(task);
}
