/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPUs of this machine as CUDA's runtime library sees them. */
#include "runtime/gpus.h"

#include <ctype.h>
#include <string.h>

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

static int choose_one(struct aster_ctx *ctx, const struct aster_gpus *g, const char *list, const char *item, size_t length, int *out)
{
    char text[16] = "";
    int64_t k = 0;
    if (length < sizeof text)
        memcpy(text, item, length);
    if (!isdigit((unsigned char)*text) || aster_parse_i64(text, &k) != 0)
        return aster_fail(ctx, ASTER_EPARAM, "gpus=%s: '%.*s' is no number of a GPU; expected all, none, or numbers such as 0,2,3", list, (int)length,
                          item);
    if (k >= g->n)
        return aster_fail(ctx, ASTER_EPARAM, "gpus=%s: there is no GPU %lld, this machine has %d (0 to %d)", list, (long long)k, g->n, g->n - 1);
    *out = (int)k;
    return 0;
}

int aster_gpus_choose(struct aster_ctx *ctx, const struct aster_gpus *g, const char *list, int *n, int chosen[ASTER_MAX_GPUS])
{
    *n = 0;
    if (!list || !*list || !strcmp(list, "all")) {
        for (; *n < g->n && *n < ASTER_MAX_GPUS; ++*n)
            chosen[*n] = *n;
        return 0;
    }
    if (!strcmp(list, "none"))
        return 0;
    if (g->n == 0)
        return aster_fail(ctx, ASTER_EPARAM, "gpus=%s: %s; leave gpus out, or give none", list, g->why);
    for (const char *p = list;; p++) {
        size_t length = strcspn(p, ",");
        int k = 0;
        ASTER_TRY(choose_one(ctx, g, list, p, length, &k));
        for (int j = 0; j < *n; j++)
            if (chosen[j] == k)
                return aster_fail(ctx, ASTER_EPARAM, "gpus=%s: GPU %d is named twice", list, k);
        chosen[(*n)++] = k;
        p += length;
        if (!*p)
            return 0;
    }
}
