/* SPDX-License-Identifier: BSD-3-Clause */
/* What all codelets share. */
#include "task.h"

#include <assert.h>
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

/* Handle j of a buffer is that of this piece. */
static int piece_at(const struct aster_task *t, const struct aster_buffer *b, int j)
{
    return (int)((j + t->turn) % b->n_pieces);
}

int aster_task_buffer(struct starpu_task *task, int k, const struct aster_buffer *b,
                      enum starpu_data_access_mode mode)
{
    struct aster_task *t = task->cl_arg;
    for (int j = 0; j < aster_task_handles(b); j++, k++) {
        STARPU_TASK_SET_HANDLE(task, b->piece ? b->piece[piece_at(t, b, j)].handle : b->handle, k);
        STARPU_TASK_SET_MODE(task, mode, k);
    }
    t->memory += b->bytes;
    return k;
}

void *aster_task_whole(const struct aster_task *t, void *const *buffers,
                       const struct aster_buffer *b)
{
    char *at = aster_task_pointer(buffers[0]);
    if (!b->piece)
        return at;
    at -= (char *)b->piece[piece_at(t, b, 0)].host - (char *)b->host;
    for (int j = 1; j < b->n_pieces; j++) /* else its memory is not where it should be */
        assert((char *)aster_task_pointer(buffers[j]) - at ==
               (char *)b->piece[piece_at(t, b, j)].host - (char *)b->host);
    return at;
}

int64_t aster_task_turn(const struct aster_cl_env *env, int64_t home)
{
    return env->n_homes > 0 && home >= 0 ? home % env->n_homes : 0;
}

void aster_task_home(const struct aster_cl_env *env, struct starpu_task *task, int64_t home)
{
    if (env->n_homes == 0 || home < 0)
        return;
    task->execute_on_a_specific_worker = 1;
    task->workerid = (unsigned)env->home[home % env->n_homes];
}

/* ---- the end of a task ---- */

static struct aster_cl_worker *this_worker(struct aster_cl_env *env)
{
    int id = starpu_worker_get_id();
    return id >= 0 && id < env->n_workers ? &env->worker[id] : NULL;
}

static void record(struct aster_cl_env *env, int worker, const struct aster_task *t, double start,
                   double end, bool modelled)
{
    int64_t k = atomic_fetch_add(&env->n_records, 1);
    if (k < env->max_records)
        env->record[k] = (struct aster_task_record){worker, t->name, start - env->start,
                                                    end - env->start, modelled};
}

/* The counters, the timeline and the mean time of tasks like this one */
static void account(const struct aster_task *t, int worker, double start, double end)
{
    struct aster_cl_env *env = t->env;
    struct aster_cl_worker *w = &env->worker[worker];
    double us = 1e6 * (end - start), busy = atomic_load_explicit(&w->busy_s, memory_order_relaxed);
    atomic_store_explicit(&w->busy_s, busy + (end - start), memory_order_relaxed);
    atomic_store_explicit(&w->since, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->tasks, 1, memory_order_relaxed);
    if (env->record)
        record(env, worker, t, start, end, false);
    struct aster_cl_measured *m =
        aster_measured_find(w->device ? env->measured_gpu : env->measured, t->footprint, true);
    if (m) { /* two workers at once may lose a sample: it is an estimate */
        double n = (double)aster_min64(atomic_fetch_add(&m->n, 1) + 1, 32),
               mean = atomic_load(&m->mean_us);
        atomic_store(&m->mean_us, mean + (us - mean) / n);
        atomic_store(&m->name, t->name);
    }
}

#if ASTER_SIM || ASTER_HAVE_CUDA
static double seconds_of(const struct timespec *t)
{
    return (double)t->tv_sec + 1e-9 * (double)t->tv_nsec;
}

/* Of a task whose function does not know when its work is done: one on a GPU has only put it into a
 * stream, a simulated one does nothing at all. StarPU's profiling knows. */
static void profiled(const struct aster_task *t)
{
    const struct starpu_profiling_task_info *p = starpu_task_get_current()->profiling_info;
    bool gpu = p && starpu_worker_get_type(p->workerid) == STARPU_CUDA_WORKER;
    if (!p || (!ASTER_SIM && !gpu))
        return;
    double start = seconds_of(&p->start_time), end = seconds_of(&p->end_time), now = aster_wall();
    if (!ASTER_SIM)
        account(t, p->workerid, now - (end - start), now);
    else if (t->env->record)
        record(t->env, p->workerid, t, start, end,
               !aster_measured_find(gpu ? t->env->measured_gpu : t->env->measured, t->footprint,
                                    false));
}
#else
static void profiled(const struct aster_task *t)
{
    (void)t;
}
#endif

static void call_done(void *arg)
{
    struct aster_task *t = arg;
    profiled(t);
    if (t->done)
        t->done(t->done_arg);
}

int aster_task_submit(struct starpu_task *task)
{
    struct aster_task *t = task->cl_arg;
    struct aster_ctx *ctx = t->env->ctx;
    int rc = atomic_load(&t->env->failed);
    if (t->done || ASTER_SIM || t->env->n_gpus > 0) {
        task->callback_func = call_done;
        task->callback_arg = t;
    }
    if (rc == 0 && starpu_task_submit(task) == 0)
        return 0;
    if (rc == 0)
        rc = aster_fail(
            ctx, ASTER_EDEVICE,
            "task %s: no worker takes it; its buffers have %lld bytes, the memory limit is %lld",
            t->name, (long long)t->memory,
            (long long)(t->one_kind && t->env->n_gpus ? t->env->gpu_memory : t->env->memory_limit));
    task->destroy = 0;
    starpu_task_destroy(task);
    return rc;
}

/* ---- around the work ---- */

const struct aster_backend *aster_task_begin(struct aster_task *t)
{
    struct aster_cl_worker *w = this_worker(t->env);
    t->started = aster_wall();
    if (w && !w->device && !ASTER_SIM)
        atomic_store_explicit(&w->since, t->started, memory_order_relaxed);
    return w && w->backend ? w->backend : t->env->cpu;
}

struct aster_device *aster_task_device(const struct aster_task *t)
{
    struct aster_cl_worker *w = this_worker(t->env);
    return w ? w->device : NULL;
}

/* The first device that fails speaks for all. */
static void give_up(struct aster_cl_env *env, const struct aster_cl_worker *w, const char *error)
{
    if (atomic_exchange(&env->failing, true))
        return;
    snprintf(env->failure, sizeof env->failure,
             "%s gave up: %s; what was kept before is whole, --resume goes on with other devices",
             w->name, error);
    atomic_store(&env->failed, aster_fail(env->ctx, ASTER_EDEVICE, "%s", env->failure));
}

void aster_task_end(struct aster_task *t)
{
    struct aster_cl_worker *w = this_worker(t->env);
    const char *error = w && w->device ? aster_device_error(w->device) : NULL;
    if (error)
        give_up(t->env, w, error);
    if (w && !w->device && !ASTER_SIM)
        account(t, (int)(w - t->env->worker), t->started, aster_wall());
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
    if (t->one_kind && t->env->n_gpus > 0 && !gpu)
        return 0;
    return t->memory <= (gpu ? t->env->gpu_memory : t->env->memory_limit);
}

struct aster_cl_measured *aster_measured_find(struct aster_cl_measured *table, uint64_t footprint,
                                              bool add)
{
    for (uint64_t k = 0; table && footprint && k < 16; k++) {
        struct aster_cl_measured *m = &table[(footprint + k) % ASTER_CL_MEASURED];
        uint64_t there = atomic_load_explicit(&m->footprint, memory_order_relaxed);
        if (there == footprint)
            return m;
        if (there == 0) {
            if (!add)
                return NULL;
            if (atomic_compare_exchange_strong(&m->footprint, &there, footprint) ||
                there == footprint)
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
    struct aster_cl_measured *m =
        aster_measured_find(gpu ? t->env->measured_gpu : t->env->measured, t->footprint, false);
    double mean = m ? atomic_load(&m->mean_us) : 0;
    if (mean > 0)
        return mean;
    if (t->seconds)
        return 1e6 * t->seconds(t, d);
    double compute = t->flops / d->flops_f32, memory = t->bytes / d->bandwidth,
           launch = d->launch * (t->launches > 1 ? t->launches : 1);
    return 1e6 * (launch + (compute > memory ? compute : memory));
}

uint32_t aster_task_footprint(struct starpu_task *task)
{
    const struct aster_task *t = task->cl_arg;
    return (uint32_t)(t->footprint ^ t->footprint >> 32);
}
