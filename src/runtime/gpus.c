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
        snprintf(g->gpu[k].name, sizeof g->gpu[k].name, "%.*s", ASTER_CUT(63, p.name));
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

static int choose_one(struct aster_ctx *ctx, const struct aster_gpus *g, const char *list,
                      const char *item, size_t length, int *out)
{
    char text[16] = "";
    int64_t k = 0;
    if (length < sizeof text)
        memcpy(text, item, length);
    if (!isdigit((unsigned char)*text) || aster_parse_i64(text, &k) != 0)
        return aster_fail(
            ctx, ASTER_EPARAM,
            "gpus=%s: '%.*s' is no number of a GPU; expected all, none, or numbers such as 0,2,3",
            list, (int)length, item);
    if (k >= g->n)
        return aster_fail(ctx, ASTER_EPARAM,
                          "gpus=%s: there is no GPU %lld, this machine has %d (0 to %d)", list,
                          (long long)k, g->n, g->n - 1);
    *out = (int)k;
    return 0;
}

int aster_gpus_choose(struct aster_ctx *ctx, const struct aster_gpus *g, const char *list, int *n,
                      int chosen[ASTER_MAX_GPUS])
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
        return aster_fail(ctx, ASTER_EPARAM, "gpus=%s: %s; leave gpus out, or give none", list,
                          g->why);
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

/* One "20G" or "2=8G" of the list. */
static int memory_of(struct aster_ctx *ctx, const char *text, const char *item, int n,
                     const int *chosen, int64_t *limit)
{
    const char *equals = strchr(item, '=');
    char number[16] = "";
    int64_t k = -1, bytes = 0;
    bool found = false;
    if (equals && equals - item < (int)sizeof number)
        memcpy(number, item, (size_t)(equals - item));
    if ((equals && (!isdigit((unsigned char)*number) || aster_parse_i64(number, &k) < 0)) ||
        aster_parse_size(equals ? equals + 1 : item, &bytes) < 0)
        return aster_fail(ctx, ASTER_EPARAM,
                          "gpu-memory=%s: expected a size such as 20G, or GPUs with theirs such as "
                          "0=20G,2=8G, found '%s'",
                          text, item);
    if (!equals && strchr(text, ','))
        return aster_fail(ctx, ASTER_EPARAM,
                          "gpu-memory=%s: one size for all GPUs, or a size for each such as "
                          "0=20G,2=8G, found '%s'",
                          text, item);
    if (bytes < 64 << 20)
        return aster_fail(
            ctx, ASTER_EPARAM,
            "gpu-memory=%s: less than 64M of a GPU is not enough for any task, found '%s'", text,
            item);
    for (int j = 0; j < n; j++)
        if (!equals || chosen[j] == k) {
            if (equals && limit[j])
                return aster_fail(ctx, ASTER_EPARAM, "gpu-memory=%s: GPU %lld is named twice", text,
                                  (long long)k);
            limit[j] = bytes;
            found = true;
        }
    if (equals && !found)
        return aster_fail(ctx, ASTER_EPARAM, "gpu-memory=%s: GPU %lld is not in use", text,
                          (long long)k);
    return 0;
}

int aster_gpus_memory(struct aster_ctx *ctx, const char *text, int n, const int *chosen,
                      int64_t *limit)
{
    char item[64];
    memset(limit, 0, (size_t)n * sizeof *limit);
    if (!text || !*text)
        return 0;
    for (const char *p = text;; p++) {
        size_t length = strcspn(p, ",");
        snprintf(item, sizeof item, "%.*s", (int)aster_min64((int64_t)length, sizeof item - 1), p);
        ASTER_TRY(memory_of(ctx, text, item, n, chosen, limit));
        p += length;
        if (!*p)
            return 0;
    }
}
