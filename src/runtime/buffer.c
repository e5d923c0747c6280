/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers: memory with a StarPU handle. */
#include "runtime/start.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define UNIT      64
#define HUGE_PAGE (2LL << 20)

/* Untouched pages until a worker writes them: each lies near the worker that does. Huge pages spare
 * address translations. */
static int map_memory(struct aster_ctx *ctx, int64_t bytes, void **out)
{
    void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return aster_fail(ctx, ASTER_ENOMEM, "no memory for a buffer of %lld bytes: %s",
                          (long long)bytes, strerror(errno));
    if (bytes >= 2 * HUGE_PAGE)
        (void)madvise(p, (size_t)bytes, MADV_HUGEPAGE);
    *out = p;
    return 0;
}

static int register_buffer(struct aster_runtime *rt, int64_t bytes, bool scratch,
                           struct aster_buffer **out)
{
    struct aster_buffer *b;
    *out = NULL;
    bytes = aster_round_up(aster_max64(bytes, 1), UNIT);
    if (bytes / UNIT > UINT32_MAX)
        return aster_fail(rt->env.ctx, ASTER_ELIMIT,
                          "a buffer of %lld bytes, at most %lld is possible", (long long)bytes,
                          (long long)UINT32_MAX * UNIT);
    ASTER_TRY(aster_alloc(rt->env.ctx, 1, sizeof *b, &b));
    b->bytes = bytes;
    b->scratch = scratch;
    int rc = scratch ? 0 : map_memory(rt->env.ctx, bytes, &b->host);
    if (rc < 0) {
        aster_free(&b);
        return rc;
    }
    starpu_data_handle_t handle;
    starpu_vector_data_register(&handle, scratch ? -1 : STARPU_MAIN_RAM, (uintptr_t)b->host,
                                (uint32_t)(bytes / UNIT), UNIT);
    b->handle = handle;
    atomic_fetch_add(&rt->env.memory_used,
                     bytes * (scratch ? rt->env.n_workers - rt->env.n_gpus : 1));
    *out = b;
    return 0;
}

int aster_buffer_new(struct aster_runtime *rt, int64_t bytes, struct aster_buffer **out)
{
    return register_buffer(rt, bytes, false, out);
}

int aster_buffer_new_scratch(struct aster_runtime *rt, int64_t bytes, struct aster_buffer **out)
{
    return register_buffer(rt, bytes, true, out);
}

void aster_buffer_free(struct aster_runtime *rt, struct aster_buffer **bp)
{
    struct aster_buffer *b = *bp;
    if (!b)
        return;
    starpu_data_unregister_no_coherency(b->handle);
    if (b->host)
        munmap(b->host, (size_t)b->bytes);
    atomic_fetch_sub(&rt->env.memory_used,
                     b->bytes * (b->scratch ? rt->env.n_workers - rt->env.n_gpus : 1));
    aster_free(bp);
}

void *aster_buffer_open(struct aster_buffer *b, bool write)
{
    starpu_data_acquire(b->handle, write ? STARPU_W : STARPU_R);
    return b->host;
}

void aster_buffer_close(struct aster_buffer *b)
{
    starpu_data_release(b->handle);
}
