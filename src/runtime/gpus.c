/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPUs of this machine as CUDA's runtime library sees them. */
#include "runtime/gpus.h"

#if ASTER_HAVE_CUDA
#include <cuda_runtime_api.h>

static void look(struct aster_gpus *g)
{
    int driver = 0, n = 0;
    g->built = true;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
        snprintf(g->why, sizeof g->why, "no NVIDIA driver on this machine");
        return;
    }
    snprintf(g->driver, sizeof g->driver, "%d.%d", driver / 1000, driver % 1000 / 10);
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess || n == 0) {
        snprintf(g->why, sizeof g->why, "the driver (CUDA %s) gives no GPU: %s", g->driver,
                 cudaGetErrorString(e));
        return;
    }
    g->n = n;
    for (int k = 0; k < n && k < ASTER_MAX_GPUS; k++) {
        struct cudaDeviceProp p;
        if (cudaGetDeviceProperties(&p, k) != cudaSuccess)
            continue;
        snprintf(g->gpu[k].name, sizeof g->gpu[k].name, "%.63s", p.name);
        g->gpu[k].memory = (int64_t)p.totalGlobalMem;
        g->gpu[k].major = p.major;
        g->gpu[k].minor = p.minor;
    }
}
#else
static void look(struct aster_gpus *g)
{
    snprintf(g->why, sizeof g->why, "this program was built without CUDA");
}
#endif

void aster_gpus_look(struct aster_gpus *out)
{
    *out = (struct aster_gpus){0};
    look(out);
}
