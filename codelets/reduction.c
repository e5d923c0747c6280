/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over shards, always by the tree (s0 + s1) + (s2 + s3) ...: the same bits whoever finished
 * first. */
#include "task.h"

struct sum_arg {
    struct aster_task task;
    enum aster_dtype dtype;
    int64_t n;
    int n_parts;
    int first;                       /* part of the first handle: see turn of struct aster_task */
    bool is_there[ASTER_MOST_PARTS]; /* each part */
    int handles;                     /* of each */
};

static void sum_run(void *buffers[], void *cl_arg)
{
    struct sum_arg *a = cl_arg;
    void *at[ASTER_MOST_PARTS] = {NULL};
    const struct aster_backend *be = aster_task_begin(&a->task);
    for (int j = 0, next = 0; j < a->n_parts; j++) {
        int k = (a->first + j) % a->n_parts;
        if (!a->is_there[k])
            continue;
        at[k] = aster_task_pointer(buffers[next]);
        next += a->handles;
    }
    for (int step = 1; step < a->n_parts; step *= 2)
        for (int k = 0; k + step < a->n_parts; k += 2 * step)
            if (at[k + step])
                be->update.add_into(aster_task_device(&a->task), a->dtype, a->n, at[k],
                                    at[k + step]);
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

/* Whether something is added to part k; else it is only read. */
static bool is_changed(const struct sum_arg *a, int k)
{
    for (int step = 1; k % (2 * step) == 0 && k + step < a->n_parts; step *= 2)
        if (a->is_there[k + step])
            return true;
    return false;
}

static int submit(struct aster_cl_env *env, int64_t home, struct sum_arg *a,
                  const struct aster_buffer *const *part)
{
    int n_there = 0, n = 0;
    for (int k = 0; k < a->n_parts; k++) {
        a->is_there[k] = part[k] != NULL;
        n_there += a->is_there[k];
    }
    if (n_there < 2)
        return 0;
    a->handles = aster_task_handles(part[0]);
    if (env->n_homes > 0)
        a->first = (int)(aster_task_turn(env, home) * a->n_parts / env->n_homes);
    int64_t key[] = {2, a->dtype, a->n, n_there};
    a->task.footprint = aster_fnv1a64(key, sizeof key);
    a->task.launches = n_there - 1;
    a->task.flops = (double)a->n * (n_there - 1);
    a->task.bytes = 3 * a->task.flops * (double)aster_dtype_size(a->dtype);
    struct starpu_task *task = aster_task_new(&sum_codelet, a, sizeof *a, n_there * a->handles);
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    for (int j = 0; j < a->n_parts; j++) {
        int k = (a->first + j) % a->n_parts;
        if (part[k])
            n = aster_task_buffer(task, n, part[k], is_changed(a, k) ? STARPU_RW : STARPU_R);
    }
    aster_task_home(env, task, home);
    return aster_task_submit(task);
}

int aster_cl_add(struct aster_cl_env *env, int64_t home, enum aster_dtype t, int64_t n,
                 const struct aster_buffer *y, const struct aster_buffer *x)
{
    struct sum_arg a = {
        .task = {.env = env, .name = "add", .one_kind = true}, .dtype = t, .n = n, .n_parts = 2};
    return submit(env, home, &a, (const struct aster_buffer *[]){y, x});
}

/* Piece by piece: not every GPU has room for these buffers as a whole. */
static int add_pieces(struct aster_cl_env *env, enum aster_dtype t, int64_t n, int n_parts,
                      const struct aster_buffer *const *part)
{
    const struct aster_buffer *piece[ASTER_MOST_PARTS];
    int64_t at = 0;
    for (int c = 0; c < part[0]->n_pieces; c++) {
        int64_t here = aster_min64(part[0]->piece[c].bytes / aster_dtype_size(t), n - at);
        for (int k = 0; k < n_parts; k++)
            piece[k] = &part[k]->piece[c];
        ASTER_TRY(aster_cl_sum(env, c, t, here, n_parts, piece));
        at += here;
    }
    return 0;
}

int aster_cl_add_tree(struct aster_cl_env *env, enum aster_dtype t, int64_t n, int n_parts,
                      const struct aster_buffer *const *part)
{
    if (part[0]->piece)
        return add_pieces(env, t, n, n_parts, part);
    for (int step = 1; step < n_parts; step *= 2)
        for (int k = 0; k + step < n_parts; k += 2 * step)
            ASTER_TRY(aster_cl_add(env, ASTER_NO_HOME, t, n, part[k], part[k + step]));
    return 0;
}

int aster_cl_sum(struct aster_cl_env *env, int64_t home, enum aster_dtype t, int64_t n, int n_parts,
                 const struct aster_buffer *const *part)
{
    struct sum_arg a = {.task = {.env = env, .name = "sum", .one_kind = true},
                        .dtype = t,
                        .n = n,
                        .n_parts = n_parts};
    if (n_parts > ASTER_MOST_PARTS)
        return aster_fail(env->ctx, ASTER_EBUG, "a sum of %d parts, at most %d", n_parts,
                          ASTER_MOST_PARTS);
    return submit(env, home, &a, part);
}

double aster_tree_sum(int64_t n, double *x)
{
    for (int64_t step = 1; step < n; step *= 2)
        for (int64_t k = 0; k + step < n; k += 2 * step)
            x[k] += x[k + step];
    return n > 0 ? x[0] : 0;
}
