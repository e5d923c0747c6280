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

/* ---- pieces ---- */

struct on_gpu { /* where a buffer in pieces lies whole */
    unsigned node;
    uintptr_t at;
};
struct whole {
    int n;
    struct on_gpu gpu[];
};

static int register_pieces(struct aster_runtime *rt, int64_t piece_bytes, struct aster_buffer *b)
{
    ASTER_TRY(aster_alloc(rt->env.ctx, b->n_pieces, sizeof *b->piece, &b->piece));
    for (int k = 0; k < b->n_pieces; k++) {
        struct aster_buffer *p = &b->piece[k];
        starpu_data_handle_t handle;
        p->host = (char *)b->host + k * piece_bytes;
        p->bytes = aster_min64(piece_bytes, b->bytes - k * piece_bytes);
        starpu_vector_data_register(&handle, STARPU_MAIN_RAM, (uintptr_t)p->host,
                                    (uint32_t)(p->bytes / UNIT), UNIT);
        p->handle = handle;
    }
    b->handle = b->piece[0].handle;
    return 0;
}

/* On that GPU the pieces lie one behind the other too, and stay there. */
static int lay_whole(struct aster_runtime *rt, int64_t home, struct aster_buffer *b)
{
    struct whole *w = b->whole;
    unsigned node = starpu_worker_get_memory_node((unsigned)rt->env.home[home]);
    uintptr_t at = starpu_malloc_on_node(node, (size_t)b->bytes);
    if (!at)
        return aster_fail(rt->env.ctx, ASTER_ENOMEM, "no memory for %lld bytes on %s",
                          (long long)b->bytes, rt->env.worker[rt->env.home[home]].name);
    w->gpu[w->n++] = (struct on_gpu){node, at};
    for (int k = 0; k < b->n_pieces; k++) {
        uintptr_t p = at + (uintptr_t)((char *)b->piece[k].host - (char *)b->host);
        starpu_vector_ptr_register(b->piece[k].handle, node, p, p, 0);
    }
    return 0;
}

static int make_pieces(struct aster_runtime *rt, int64_t piece_bytes, int64_t whole_on,
                       struct aster_buffer *b)
{
    struct whole *w = NULL;
    int n = rt->env.n_homes;
    if (piece_bytes % UNIT)
        return aster_fail(rt->env.ctx, ASTER_EBUG, "pieces of %lld bytes", (long long)piece_bytes);
    b->n_pieces = (int)((b->bytes + piece_bytes - 1) / piece_bytes);
    ASTER_TRY(map_memory(rt->env.ctx, b->bytes, &b->host));
    ASTER_TRY(register_pieces(rt, piece_bytes, b));
    ASTER_TRY(aster_alloc(rt->env.ctx, 1, sizeof *w + (size_t)n * sizeof *w->gpu, &w));
    b->whole = w;
    for (int home = 0; home < n; home++)
        if (whole_on == ASTER_WHOLE_EVERYWHERE || (whole_on >= 0 && whole_on % n == home))
            ASTER_TRY(lay_whole(rt, home, b));
    return 0;
}

int aster_buffer_new_pieces(struct aster_runtime *rt, int64_t bytes, int64_t piece_bytes,
                            int64_t whole_on, struct aster_buffer **out)
{
    ASTER_TRY(aster_alloc(rt->env.ctx, 1, sizeof **out, out));
    struct aster_buffer *b = *out;
    b->bytes = aster_round_up(aster_max64(bytes, 1), UNIT);
    atomic_fetch_add(&rt->env.memory_used, b->bytes);
    int rc = make_pieces(rt, piece_bytes, whole_on, b);
    if (rc < 0)
        aster_buffer_free(rt, out);
    return rc;
}

static void free_pieces(struct aster_buffer *b)
{
    struct whole *w = b->whole;
    for (int k = 0; b->piece && k < b->n_pieces; k++)
        if (b->piece[k].handle)
            starpu_data_unregister_no_coherency(b->piece[k].handle);
    for (int k = 0; w && k < w->n; k++)
        starpu_free_on_node(w->gpu[k].node, w->gpu[k].at, (size_t)b->bytes);
    aster_free(&b->whole);
    aster_free(&b->piece);
}

/* ---- what is made of both ---- */

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
    if (b->n_pieces > 0)
        free_pieces(b);
    else
        starpu_data_unregister_no_coherency(b->handle);
    if (b->host)
        munmap(b->host, (size_t)b->bytes);
    atomic_fetch_sub(&rt->env.memory_used,
                     b->bytes * (b->scratch ? rt->env.n_workers - rt->env.n_gpus : 1));
    aster_free(bp);
}

void *aster_buffer_open(struct aster_buffer *b, bool write)
{
    for (int k = 0; k < b->n_pieces; k++)
        starpu_data_acquire(b->piece[k].handle, write ? STARPU_W : STARPU_R);
    if (b->n_pieces == 0)
        starpu_data_acquire(b->handle, write ? STARPU_W : STARPU_R);
    return b->host;
}

void aster_buffer_close(struct aster_buffer *b)
{
    for (int k = 0; k < b->n_pieces; k++)
        starpu_data_release(b->piece[k].handle);
    if (b->n_pieces == 0)
        starpu_data_release(b->handle);
}
