/* SPDX-License-Identifier: BSD-3-Clause */
/* What all codelets share. */
#include "task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct starpu_task *aster_task_new(struct starpu_codelet *cl, const void *arg, size_t size, int n)
{
    struct starpu_task *task = starpu_task_create();
    void *copy = malloc(size); /* StarPU frees it */
    if (copy)
        memcpy(copy, arg, size);
    task->cl = cl;
    task->cl_arg = copy;
    task->cl_arg_size = size;
    task->cl_arg_free = 1;
    task->nbuffers = n;
    task->name = ((const struct aster_task *)arg)->name;
    if (n > STARPU_NMAXBUFS) {
        task->dyn_handles = malloc((size_t)n * sizeof *task->dyn_handles);
        task->dyn_modes = malloc((size_t)n * sizeof *task->dyn_modes);
    }
    if (!copy || (n > STARPU_NMAXBUFS && (!task->dyn_handles || !task->dyn_modes))) {
        task->destroy = 0;
        starpu_task_destroy(task);
        return NULL;
    }
    return task;
}

void aster_task_buffer(struct starpu_task *task, int k, const struct aster_buffer *b, enum starpu_data_access_mode mode)
{
    STARPU_TASK_SET_HANDLE(task, b->handle, k);
    STARPU_TASK_SET_MODE(task, mode, k);
    ((struct aster_task *)task->cl_arg)->memory += b->bytes;
}

static void call_done(void *arg)
{
    struct aster_task *t = arg;
    t->done(t->done_arg);
}

int aster_task_submit(struct starpu_task *task)
{
    struct aster_task *t = task->cl_arg;
    struct aster_ctx *ctx = t->env->ctx;
    if (t->done) {
        task->callback_func = call_done;
        task->callback_arg = t;
    }
    int rc = starpu_task_submit(task);
    if (rc == 0)
        return 0;
    rc = aster_fail(ctx, ASTER_EDEVICE, "task %s: no worker takes it; its buffers have %lld bytes, the memory limit is %lld", t->name,
                    (long long)t->memory, (long long)t->env->memory_limit);
    task->destroy = 0;
    starpu_task_destroy(task);
    return rc;
}

/* ---- time ---- */

static struct aster_cl_worker *this_worker(struct aster_cl_env *env)
{
    int id = starpu_worker_get_id();
    return id >= 0 && id < env->n_workers ? &env->worker[id] : NULL;
}

const struct aster_backend *aster_task_begin(struct aster_task *t)
{
    struct aster_cl_worker *w = this_worker(t->env);
    t->started = aster_wall();
    if (w)
        atomic_store_explicit(&w->since, t->started, memory_order_relaxed);
    return t->env->cpu;
}

static struct aster_cl_measured *find_measured(struct aster_cl_env *env, uint64_t footprint, bool add)
{
    for (uint64_t k = 0; k < 16; k++) {
        struct aster_cl_measured *m = &env->measured[(footprint + k) % ASTER_CL_MEASURED];
        uint64_t there = atomic_load_explicit(&m->footprint, memory_order_relaxed);
        if (there == footprint)
            return m;
        if (there == 0) {
            if (!add)
                return NULL;
            if (atomic_compare_exchange_strong(&m->footprint, &there, footprint) || there == footprint)
                return m;
        }
    }
    return NULL;
}

static void record(struct aster_cl_env *env, const struct aster_task *t, double end)
{
    int64_t k = atomic_fetch_add(&env->n_records, 1);
    if (k < env->max_records)
        env->record[k] = (struct aster_task_record){starpu_worker_get_id(), t->name, t->started - env->start, end - env->start};
}

void aster_task_end(struct aster_task *t)
{
    struct aster_cl_env *env = t->env;
    struct aster_cl_worker *w = this_worker(env);
    double end = aster_wall(), us = 1e6 * (end - t->started);
    if (w) {
        double busy = atomic_load_explicit(&w->busy_s, memory_order_relaxed);
        atomic_store_explicit(&w->busy_s, busy + (end - t->started), memory_order_relaxed);
        atomic_store_explicit(&w->since, 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&w->tasks, 1, memory_order_relaxed);
    }
    if (env->record)
        record(env, t, end);
    struct aster_cl_measured *m = t->footprint ? find_measured(env, t->footprint, true) : NULL;
    if (m) { /* two workers at once may lose a sample: it is an estimate */
        double n = (double)aster_min64(atomic_fetch_add(&m->n, 1) + 1, 32), mean = atomic_load(&m->mean_us);
        atomic_store(&m->mean_us, mean + (us - mean) / n);
    }
}

void *aster_task_scratch(struct aster_task *t, int64_t bytes)
{
    struct aster_cl_worker *w = this_worker(t->env);
    if (!w)
        return NULL;
    if (bytes > w->cap_scratch) {
        aster_free(&w->scratch);
        w->cap_scratch = 0;
        if (aster_alloc(NULL, bytes, 1, &w->scratch) < 0)
            return NULL;
        w->cap_scratch = bytes;
    }
    return w->scratch;
}

/* ---- what a scheduler asks ---- */

int aster_task_can_execute(unsigned worker, struct starpu_task *task, unsigned nimpl)
{
    const struct aster_task *t = task->cl_arg;
    (void)worker;
    (void)nimpl;
    return t->memory <= t->env->memory_limit;
}

/* Microseconds: as measured in this run, before that from operations and bytes. */
double aster_task_cost(struct starpu_task *task, struct starpu_perfmodel_arch *arch, unsigned nimpl)
{
    const double flops_per_us = 4e4, bytes_per_us = 5e3; /* of one core, on the careful side */
    const struct aster_task *t = task->cl_arg;
    (void)arch;
    (void)nimpl;
    struct aster_cl_measured *m = t->footprint ? find_measured(t->env, t->footprint, false) : NULL;
    double mean = m ? atomic_load(&m->mean_us) : 0;
    if (mean > 0)
        return mean;
    double compute = t->flops / flops_per_us, memory = t->bytes / bytes_per_us;
    return 2 + (compute > memory ? compute : memory);
}

uint32_t aster_task_footprint(struct starpu_task *task)
{
    const struct aster_task *t = task->cl_arg;
    return (uint32_t)(t->footprint ^ t->footprint >> 32);
}
