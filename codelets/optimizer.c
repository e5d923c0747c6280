/* SPDX-License-Identifier: BSD-3-Clause */
/* The codelets that change a block: optimizer step, the norm it may need before, running
 * statistics. */
#include "task.h"

struct update_arg {
    struct aster_task task;
    struct aster_update_task t;
};

static void update_run(void *buffers[], void *cl_arg)
{
    struct update_arg *a = cl_arg;
    struct aster_update u = a->t.update;
    bool adam = a->t.kind != ASTER_OPTIMIZER_SGD;
    void *w = aster_task_pointer(buffers[0]), *g = aster_task_pointer(buffers[1]),
         *m = aster_task_pointer(buffers[2]);
    void *v = adam ? aster_task_pointer(buffers[3]) : NULL;
    const struct aster_backend *be = aster_task_begin(&a->task);
    struct aster_device *d = aster_task_device(&a->task);
    u.squares = a->t.norm ? aster_task_pointer(buffers[adam ? 4 : 3]) : NULL;
    u.clip_norm = a->t.clip_norm;
    if (a->t.kind == ASTER_OPTIMIZER_RMSPROP) { /* so late that Adam corrects nothing */
        u.beta1 = 0;
        u.step = INT64_C(1) << 52;
    }
    if (a->t.kind == ASTER_OPTIMIZER_ADAM || a->t.kind == ASTER_OPTIMIZER_RMSPROP)
        be->update.adam(d, a->t.real, a->t.n, &u, w, g, m, v);
    else if (a->t.kind == ASTER_OPTIMIZER_ADAMW)
        be->update.adamw(d, a->t.real, a->t.n, &u, w, g, m, v);
    else
        be->update.sgd(d, a->t.real, a->t.n, &u, w, g, m);
    aster_task_end(&a->task);
}

static struct starpu_perfmodel update_model = ASTER_PERFMODEL("aster_update");
static struct starpu_codelet update_codelet = {
    .name = "update",
    .cpu_funcs = {update_run},
    .cpu_funcs_name = {"update_run"},
    ASTER_CUDA_FUNCTION(update_run).nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &update_model,
    .can_execute = aster_task_can_execute,
};

static void set_cost(struct aster_task *task, int64_t kind, enum aster_dtype t, int64_t n,
                     int streams)
{
    int64_t key[] = {kind, t, n};
    task->footprint = aster_fnv1a64(key, sizeof key);
    task->flops = 10.0 * (double)n;
    task->bytes = (double)streams * (double)n * (double)aster_dtype_size(t);
}

int aster_cl_update(struct aster_cl_env *env, const struct aster_update_task *t)
{
    struct update_arg a = {.task = {.env = env, .name = "update", .one_kind = true}, .t = *t};
    int n = 3;
    set_cost(&a.task, 3 + t->kind, t->real, t->n, 7);
    struct starpu_task *task =
        aster_task_new(&update_codelet, &a, sizeof a, 3 + (t->v != NULL) + (t->norm != NULL));
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    aster_task_buffer(task, 0, t->param, STARPU_RW);
    aster_task_buffer(task, 1, t->grad, STARPU_R);
    aster_task_buffer(task, 2, t->m, STARPU_RW);
    if (t->v)
        aster_task_buffer(task, n++, t->v, STARPU_RW);
    if (t->norm)
        aster_task_buffer(task, n++, t->norm, STARPU_R);
    aster_task_home(env, task, t->home);
    return aster_task_submit(task);
}

struct vector_arg {
    struct aster_task task;
    enum aster_dtype dtype;
    int64_t n, piece;
    double momentum;
};

/* Of every piece, then the tree over them */
static void norm_run(void *buffers[], void *cl_arg)
{
    struct vector_arg *a = cl_arg;
    const char *x = aster_task_pointer(buffers[0]);
    double *out = aster_task_pointer(buffers[1]);
    const struct aster_backend *be = aster_task_begin(&a->task);
    struct aster_device *d = aster_task_device(&a->task);
    int n = 0;
    for (int64_t at = 0; at < a->n; at += a->piece)
        be->update.sum_squares(d, a->dtype, aster_min64(a->piece, a->n - at),
                               x + at * aster_dtype_size(a->dtype), &out[n++]);
    for (int step = 1; step < n; step *= 2)
        for (int k = 0; k + step < n; k += 2 * step)
            be->update.add_into(d, ASTER_F64, 1, &out[k], &out[k + step]);
    aster_task_end(&a->task);
}

static struct starpu_perfmodel norm_model = ASTER_PERFMODEL("aster_norm");
static struct starpu_codelet norm_codelet = {
    .name = "norm",
    .cpu_funcs = {norm_run},
    .cpu_funcs_name = {"norm_run"},
    ASTER_CUDA_FUNCTION(norm_run).nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &norm_model,
    .can_execute = aster_task_can_execute,
};

int aster_cl_norm(struct aster_cl_env *env, int64_t home, enum aster_dtype t, int64_t n,
                  int64_t piece, const struct aster_buffer *x, const struct aster_buffer *out)
{
    struct vector_arg a = {
        .task = {.env = env, .name = "norm", .one_kind = true}, .dtype = t, .n = n, .piece = piece};
    if (n < 1 || (n + piece - 1) / piece > ASTER_MOST_PIECES || x->piece)
        return aster_fail(env->ctx, ASTER_EBUG, "the norm of %lld elements in pieces of %lld",
                          (long long)n, (long long)piece);
    set_cost(&a.task, 8, t, n, 1);
    a.task.launches = 2 * (int)((n + piece - 1) / piece) - 1;
    struct starpu_task *task = aster_task_new(&norm_codelet, &a, sizeof a, 2);
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    aster_task_buffer(task, 0, x, STARPU_R);
    aster_task_buffer(task, 1, out, STARPU_W);
    aster_task_home(env, task, home);
    return aster_task_submit(task);
}

static void ema_run(void *buffers[], void *cl_arg)
{
    struct vector_arg *a = cl_arg;
    const struct aster_backend *be = aster_task_begin(&a->task);
    be->update.ema(aster_task_device(&a->task), a->dtype, a->n, a->momentum,
                   aster_task_pointer(buffers[0]), aster_task_pointer(buffers[1]));
    aster_task_end(&a->task);
}

static struct starpu_perfmodel ema_model = ASTER_PERFMODEL("aster_ema");
static struct starpu_codelet ema_codelet = {
    .name = "ema",
    .cpu_funcs = {ema_run},
    .cpu_funcs_name = {"ema_run"},
    ASTER_CUDA_FUNCTION(ema_run).nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &ema_model,
    .can_execute = aster_task_can_execute,
};

int aster_cl_ema(struct aster_cl_env *env, int64_t n, double momentum,
                 const struct aster_buffer *running, const struct aster_buffer *batch)
{
    struct vector_arg a = {.task = {.env = env, .name = "statistics", .one_kind = true},
                           .dtype = ASTER_F64,
                           .n = n,
                           .momentum = momentum};
    set_cost(&a.task, 9, ASTER_F64, n, 3);
    struct starpu_task *task = aster_task_new(&ema_codelet, &a, sizeof a, 2);
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    aster_task_buffer(task, 0, running, STARPU_RW);
    aster_task_buffer(task, 1, batch, STARPU_R);
    return aster_task_submit(task);
}
