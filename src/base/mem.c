/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory: zeroed, aligned, counted. */
#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_llong live;

static int reserve(struct aster_ctx *ctx, int64_t n, size_t size, void **out, size_t *bytes)
{
    *out = NULL;
    if (n < 0 || (size && (uint64_t)n > (uint64_t)(INT64_MAX - 64) / size))
        return aster_fail(ctx, ASTER_ENOMEM, "a request for %lld elements of %zu bytes",
                          (long long)n, size);
    *bytes = (size_t)n * size;
    size_t rounded = (*bytes + 63) / 64 * 64;
    *out = aligned_alloc(64, rounded ? rounded : 64);
    if (!*out)
        return aster_fail(ctx, ASTER_ENOMEM, "out of memory: %zu bytes", *bytes);
    atomic_fetch_add(&live, 1);
    return 0;
}

int aster_alloc(struct aster_ctx *ctx, int64_t n, size_t size, void *out)
{
    void *p;
    size_t bytes = 0;
    int rc = reserve(ctx, n, size, &p, &bytes);
    if (rc == 0)
        memset(p, 0, bytes);
    memcpy(out, &p, sizeof p);
    return rc;
}

int aster_grow(struct aster_ctx *ctx, int64_t n, size_t size, int64_t *cap, void *inout)
{
    void *old, *p;
    size_t bytes = 0;
    if (n <= *cap)
        return 0;
    int64_t want = aster_max64(n, *cap > INT64_MAX / 2 ? INT64_MAX : *cap * 2);
    want = aster_max64(want, 8);
    memcpy(&old, inout, sizeof old);
    ASTER_TRY(reserve(ctx, want, size, &p, &bytes));
    size_t had = (size_t)*cap * size;
    if (had)
        memcpy(p, old, had);
    memset((char *)p + had, 0, bytes - had);
    aster_free(&old);
    *cap = want;
    memcpy(inout, &p, sizeof p);
    return 0;
}

void aster_free(void *address_of_pointer)
{
    void *p, *null = NULL;
    memcpy(&p, address_of_pointer, sizeof p);
    if (p)
        atomic_fetch_sub(&live, 1);
    free(p);
    memcpy(address_of_pointer, &null, sizeof null);
}

int aster_strndup(struct aster_ctx *ctx, const char *s, size_t n, char **out)
{
    n = strnlen(s, n);
    ASTER_TRY(aster_alloc(ctx, (int64_t)n + 1, 1, out));
    memcpy(*out, s, n);
    return 0;
}

int aster_strdup(struct aster_ctx *ctx, const char *s, char **out)
{
    return aster_strndup(ctx, s, strlen(s), out);
}

int64_t aster_live_allocations(void)
{
    return atomic_load(&live);
}
