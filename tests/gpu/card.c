/* SPDX-License-Identifier: BSD-3-Clause */
/* A card for the tests: the first one that CUDA_VISIBLE_DEVICES leaves. Without one they stop. */
#include "gpu/gpu.h"
#include "gpu/mirror.h"
#include "lib/tap.h"

#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

const bool gpu_is_emulated = false;

static struct cudaDeviceProp card;

static void must(cudaError_t e, const char *what)
{
    if (e != cudaSuccess) {
        printf("Bail out! %s: %s\n", what, cudaGetErrorString(e));
        exit(1);
    }
}

struct aster_device *gpu_device(void)
{
    static struct aster_device d;
    if (d.stream)
        return &d;
    int shared = 0, n = 0;
    if (cudaGetDeviceCount(&n) != cudaSuccess || n == 0) {
        printf("1..0 # SKIP no GPU here: %s\n", cudaGetErrorString(cudaGetLastError()));
        exit(77);
    }
    must(cudaSetDevice(0), "the first GPU");
    must(cudaGetDeviceProperties(&card, 0), "its properties");
    must(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0),
         "shared memory");
    must(cudaStreamCreateWithFlags(&d.stream, cudaStreamNonBlocking), "a stream");
    must(cudaMalloc(&d.work, ASTER_DEVICE_WORK_BYTES), "scratch memory");
    d.sm_count = card.multiProcessorCount;
    d.shared_limit = shared;
    d.neighbours = aster_k_neighbours_cuda;
    return &d;
}

static void *reserve(int64_t bytes)
{
    void *p = NULL;
    return cudaMalloc(&p, (size_t)bytes) == cudaSuccess ? p : NULL;
}

static void release(void *p)
{
    must(cudaFree(p), "giving memory back");
}

static void put(void *to, const void *from, int64_t bytes)
{
    must(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyHostToDevice, gpu_device()->stream),
         "a copy to the GPU");
    must(cudaStreamSynchronize(gpu_device()->stream), "a copy to the GPU");
}

/* A kernel that ran into an error has taken the whole context with it: nothing after it counts. */
static void take(void *to, const void *from, int64_t bytes)
{
    must(cudaStreamSynchronize(gpu_device()->stream),
         gpu_device()->op ? gpu_device()->op : "a kernel");
    must(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyDeviceToHost, gpu_device()->stream),
         "a copy from the GPU");
    must(cudaStreamSynchronize(gpu_device()->stream), "a copy from the GPU");
}

const struct aster_backend *gpu_backend(void)
{
    static const struct mirror_memory memory = {reserve, release, put, take};
    return mirror_backend(&aster_backend_cuda, gpu_device(), &memory);
}

void gpu_encode(enum aster_dtype t, bool time_major, int64_t n_samples, int64_t n_positions,
                int64_t dim, const struct aster_encode_codes *c, void *x)
{
    gpu_backend();
    mirror_encode(t, time_major, n_samples, n_positions, dim, c, x);
}

void gpu_neighbours(const struct aster_neighbours_sizes *z, const void *input, void *list,
                    void *work)
{
    gpu_backend();
    mirror_neighbours(z, input, list, work);
}

void gpu_begin(int number)
{
    struct aster_device *d = gpu_device();
    mirror_forget();
    d->error[0] = '\0';
    d->work_bytes = number % 2 ? 0 : ASTER_DEVICE_WORK_BYTES;
    must(cudaMemsetAsync(d->work, 0xff, ASTER_DEVICE_WORK_BYTES, d->stream), "scratch memory");
}

const char *gpu_error(void)
{
    return mirror_error() ? mirror_error() : aster_device_error(gpu_device());
}

void gpu_end(void)
{
    tap_ok(card.multiProcessorCount > 0, "on %s, sm_%d%d, %d multiprocessors", card.name,
           card.major, card.minor, card.multiProcessorCount);
}
