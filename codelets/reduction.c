/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over shards, always by the tree (s0 + s1) + (s2 + s3) ...: the same bits whoever finished
 * first. */
#include "task.h"

struct sum_arg {
    struct aster_task task;
    enum aster_dtype dtype;
    int64_t n;
    int n_parts;
};

static void sum_run(void *buffers[], void *cl_arg)
{
    struct sum_arg *a = cl_arg;
    const struct aster_backend *be = aster_task_begin(&a->task);
    for (int step = 1; step < a->n_parts; step *= 2)
        for (int k = 0; k + step < a->n_parts; k += 2 * step)
            be->update.add_into(aster_task_device(&a->task), a->dtype, a->n,
                                aster_task_pointer(buffers[k]),
                                aster_task_pointer(buffers[k + step]));
    aster_task_end(&a->task);
}

static struct starpu_perfmodel sum_model = ASTER_PERFMODEL("aster_sum");
static struct starpu_codelet sum_codelet = {
    .name = "sum",
    .cpu_funcs = {sum_run},
    .cpu_funcs_name = {"sum_run"},
    ASTER_CUDA_FUNCTION(sum_run).nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &sum_model,
    .can_execute = aster_task_can_execute,
};

static int submit(struct aster_cl_env *env, const char *name, enum aster_dtype t, int64_t n,
                  int n_parts, const struct aster_buffer *const *part)
{
    struct sum_arg a = {.task = {.env = env, .name = name, .one_kind = true},
                        .dtype = t,
                        .n = n,
                        .n_parts = n_parts};
    int64_t key[] = {2, t, n, n_parts};
    a.task.footprint = aster_fnv1a64(key, sizeof key);
    a.task.flops = (double)n * (n_parts - 1);
    a.task.bytes = 3 * a.task.flops * (double)aster_dtype_size(t);
    if (n_parts < 2)
        return 0;
    struct starpu_task *task = aster_task_new(&sum_codelet, &a, sizeof a, n_parts);
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    for (int k = 0; k < n_parts;
         k++) /* the odd ones and a last one without partner are only read */
        aster_task_buffer(task, k, part[k], k % 2 == 0 && k + 1 < n_parts ? STARPU_RW : STARPU_R);
    return aster_task_submit(task);
}

int aster_cl_add(struct aster_cl_env *env, enum aster_dtype t, int64_t n,
                 const struct aster_buffer *y, const struct aster_buffer *x)
{
    return submit(env, "add", t, n, 2, (const struct aster_buffer *[]){y, x});
}

int aster_cl_add_tree(struct aster_cl_env *env, enum aster_dtype t, int64_t n, int n_parts,
                      const struct aster_buffer *const *part)
{
    for (int step = 1; step < n_parts; step *= 2)
        for (int k = 0; k + step < n_parts; k += 2 * step)
            ASTER_TRY(aster_cl_add(env, t, n, part[k], part[k + step]));
    return 0;
}

int aster_cl_sum(struct aster_cl_env *env, enum aster_dtype t, int64_t n, int n_parts,
                 const struct aster_buffer *const *part)
{
    return submit(env, "sum", t, n, n_parts, part);
}

double aster_tree_sum(int64_t n, double *x)
{
    for (int64_t step = 1; step < n; step *= 2)
        for (int64_t k = 0; k + step < n; k += 2 * step)
            x[k] += x[k + step];
    return n > 0 ? x[0] : 0;
}
