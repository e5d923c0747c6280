/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker of each GPU: its stream and limits, and the memory that kernels hand to one another.
 */
#include "runtime/start.h"

#if ASTER_HAVE_CUDA
#include "cuda/device.h"
#include "neighbours.h"

#include <cuda_runtime_api.h>

/* In the worker's thread, which is on its GPU. */
static cudaError_t fill(struct aster_device *d, int id)
{
    int shared = 0;
    cudaError_t e = cudaDeviceGetAttribute(&d->sm_count, cudaDevAttrMultiProcessorCount, id);
    if (e == cudaSuccess)
        e = cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, id);
    d->shared_limit = shared;
    d->stream = starpu_cuda_get_local_stream();
    d->neighbours = aster_k_neighbours_cuda;
    if (e == cudaSuccess)
        e = cudaMalloc(&d->work, ASTER_DEVICE_WORK_BYTES);
    d->work_bytes = e == cudaSuccess ? ASTER_DEVICE_WORK_BYTES : 0;
    return e;
}

static void start_one(void *arg)
{
    struct aster_runtime *rt = arg;
    int k = starpu_worker_get_id();
    struct aster_cl_worker *w = &rt->env.worker[k];
    struct aster_device *d;
    if (aster_alloc(rt->env.ctx, 1, sizeof *d, &d) < 0)
        return;
    w->device = d;
    w->backend = &aster_backend_cuda;
    cudaError_t e = fill(d, starpu_worker_get_devid(k));
    if (e != cudaSuccess)
        aster_device_fail(d, "start", cudaGetErrorString(e));
}

static void stop_one(void *arg)
{
    struct aster_runtime *rt = arg;
    struct aster_cl_worker *w = &rt->env.worker[starpu_worker_get_id()];
    if (w->device)
        (void)cudaFree(w->device->work); /* nothing can be done about a failure here */
    aster_free(&w->device);
}

int gpu_workers_start(struct aster_runtime *rt)
{
    /* until tasks are measured; careful, as for cores */
    rt->env.gpu = (struct aster_device_model){
        .flops_f32 = 5e12, .flops_f64 = 1e12, .bandwidth = 5e11, .launch = 5e-6};
    rt->env.gpu_memory = INT64_MAX;
    starpu_execute_on_each_worker(start_one, rt, STARPU_CUDA);
    for (int k = 0; k < rt->env.n_workers; k++) {
        const struct aster_cl_worker *w = &rt->env.worker[k];
        if (starpu_worker_get_type(k) != STARPU_CUDA_WORKER)
            continue;
        const char *error = w->device ? aster_device_error(w->device) : "no memory";
        if (error)
            return aster_fail(rt->env.ctx, ASTER_EDEVICE, "%s cannot be used: %s", w->name, error);
        int64_t room = (int64_t)starpu_memory_get_total(starpu_worker_get_memory_node((unsigned)k));
        rt->env.gpu_memory = aster_min64(
            rt->env.gpu_memory, room / 10 * 8); /* as much as StarPU can be sure to make room for */
    }
    return 0;
}

void gpu_workers_stop(struct aster_runtime *rt)
{
    if (rt->env.n_gpus > 0 && !rt->simulate)
        starpu_execute_on_each_worker(stop_one, rt, STARPU_CUDA);
}
#else
int gpu_workers_start(struct aster_runtime *rt)
{
    return aster_fail(rt->env.ctx, ASTER_EBUG, "a GPU in a program without CUDA");
}

void gpu_workers_stop(struct aster_runtime *rt)
{
    (void)rt;
}
#endif
