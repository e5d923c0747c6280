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

/* ---- the end of a task ---- */

static void record(struct aster_cl_env *env, int worker, const struct aster_task *t, double start, double end, bool modelled)
{
    int64_t k = atomic_fetch_add(&env->n_records, 1);
    if (k < env->max_records)
        env->record[k] = (struct aster_task_record){worker, t->name, start - env->start, end - env->start, modelled};
}

#if ASTER_SIM
static double seconds_of(const struct timespec *t)
{
    return (double)t->tv_sec + 1e-9 * (double)t->tv_nsec;
}

/* No kernel has run: what is known of the task is what StarPU's profiling says. */
static void simulated(const struct aster_task *t)
{
    const struct starpu_profiling_task_info *p = starpu_task_get_current()->profiling_info;
    bool gpu = p && starpu_worker_get_type(p->workerid) == STARPU_CUDA_WORKER;
    if (p && t->env->record)
        record(t->env, p->workerid, t, seconds_of(&p->start_time), seconds_of(&p->end_time),
               !aster_measured_find(gpu ? t->env->measured_gpu : t->env->measured, t->footprint, false));
}
#else
static void simulated(const struct aster_task *t)
{
    (void)t;
}
#endif

static void call_done(void *arg)
{
    struct aster_task *t = arg;
    simulated(t);
    if (t->done)
        t->done(t->done_arg);
}

int aster_task_submit(struct starpu_task *task)
{
    struct aster_task *t = task->cl_arg;
    struct aster_ctx *ctx = t->env->ctx;
    if (t->done || ASTER_SIM) {
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
    if (w && !ASTER_SIM)
        atomic_store_explicit(&w->since, t->started, memory_order_relaxed);
    return t->env->cpu;
}

void aster_task_end(struct aster_task *t)
{
    struct aster_cl_env *env = t->env;
    struct aster_cl_worker *w = this_worker(env);
    if (ASTER_SIM)
        return;
    double end = aster_wall(), us = 1e6 * (end - t->started);
    if (w) {
        double busy = atomic_load_explicit(&w->busy_s, memory_order_relaxed);
        atomic_store_explicit(&w->busy_s, busy + (end - t->started), memory_order_relaxed);
        atomic_store_explicit(&w->since, 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&w->tasks, 1, memory_order_relaxed);
    }
    if (env->record)
        record(env, starpu_worker_get_id(), t, t->started, end, false);
    struct aster_cl_measured *m = aster_measured_find(env->measured, t->footprint, true);
    if (m) { /* two workers at once may lose a sample: it is an estimate */
        double n = (double)aster_min64(atomic_fetch_add(&m->n, 1) + 1, 32), mean = atomic_load(&m->mean_us);
        atomic_store(&m->mean_us, mean + (us - mean) / n);
        atomic_store(&m->name, t->name);
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
    (void)nimpl;
    bool gpu = starpu_worker_get_type((int)worker) == STARPU_CUDA_WORKER;
    return t->memory <= (gpu ? t->env->gpu_memory : t->env->memory_limit);
}

struct aster_cl_measured *aster_measured_find(struct aster_cl_measured *table, uint64_t footprint, bool add)
{
    for (uint64_t k = 0; table && footprint && k < 16; k++) {
        struct aster_cl_measured *m = &table[(footprint + k) % ASTER_CL_MEASURED];
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

/* Microseconds: as measured, before that from operations and bytes. */
double aster_task_cost(struct starpu_task *task, struct starpu_perfmodel_arch *arch, unsigned nimpl)
{
    const struct aster_task *t = task->cl_arg;
    bool gpu = arch->ndevices > 0 && arch->devices[0].type == STARPU_CUDA_WORKER;
    const struct aster_device_model *d = gpu ? &t->env->gpu : &t->env->core;
    (void)nimpl;
    struct aster_cl_measured *m = aster_measured_find(gpu ? t->env->measured_gpu : t->env->measured, t->footprint, false);
    double mean = m ? atomic_load(&m->mean_us) : 0;
    if (mean > 0)
        return mean;
    if (t->seconds)
        return 1e6 * t->seconds(t, d);
    double compute = t->flops / d->flops_f32, memory = t->bytes / d->bandwidth;
    return 1e6 * (d->launch + (compute > memory ? compute : memory));
}

uint32_t aster_task_footprint(struct starpu_task *task)
{
    const struct aster_task *t = task->cl_arg;
    return (uint32_t)(t->footprint ^ t->footprint >> 32);
}
