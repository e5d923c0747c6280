/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the parameters of blocks into buffers of tasks. */
#include "flow/block_weights.h"

enum { N_TURNING = 3 }; /* one is computed with, one is there, one is read */

struct loading { /* what a task that reads a block is given; lives as long as the weights */
    struct aster_block_weights *w;
    int64_t block;
};

struct aster_block_weights {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_language_config c;
    struct aster_program *const *program;
    struct aster_pretrained *file;
    int64_t n_blocks, n_buffers, next;
    struct aster_buffer **buffer;
    struct loading *loading;
    bool resident;
    _Atomic int failed;
};

static const struct aster_program *program_of(const struct aster_block_weights *w, int64_t block)
{
    return w->program[aster_language_part_of(&w->c, block)];
}

static int64_t block_bytes(const struct aster_block_weights *w, int64_t block)
{
    const struct aster_program *p = program_of(w, block);
    return aster_program_class_n(p, ASTER_CLASS_PARAM) * aster_dtype_size(aster_program_real(p));
}

int aster_block_weights_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                            const struct aster_language_config *c, const char *path,
                            struct aster_program *const *program, int64_t n_blocks,
                            struct aster_block_weights **out)
{
    struct aster_block_weights *w = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *w, &w));
    w->ctx = ctx;
    w->rt = rt;
    w->c = *c;
    w->program = program;
    w->n_blocks = n_blocks;
    ASTER_GOTO(aster_alloc(ctx, n_blocks, sizeof *w->loading, &w->loading), done);
    for (int64_t block = 0; block < n_blocks; block++)
        w->loading[block] = (struct loading){w, block};
    rc = aster_pretrained_open(ctx, path, c, &w->file);
done:
    if (rc < 0)
        aster_block_weights_free(&w);
    *out = w;
    return rc;
}

const struct aster_pretrained *aster_block_weights_file(const struct aster_block_weights *w)
{
    return w->file;
}

int64_t aster_block_weights_most(const struct aster_block_weights *w)
{
    int64_t most = 0;
    for (int64_t block = 0; block < w->n_blocks; block++)
        most = aster_max64(most, block_bytes(w, block));
    return most;
}

int64_t aster_block_weights_bytes(const struct aster_block_weights *w, bool resident)
{
    int64_t all = 0;
    for (int64_t block = 0; block < w->n_blocks; block++)
        all += block_bytes(w, block);
    return resident ? all : aster_min64(N_TURNING, w->n_blocks) * aster_block_weights_most(w);
}

/* In a worker. */
static void load(void *arg, void *const *out)
{
    const struct loading *l = arg;
    struct aster_block_weights *w = l->w;
    int rc = aster_pretrained_read(w->file, l->block, program_of(w, l->block), out[0]), none = 0;
    if (rc < 0)
        atomic_compare_exchange_strong(&w->failed, &none, rc);
}

static int submit_load(struct aster_block_weights *w, int64_t block,
                       const struct aster_buffer *buffer)
{
    return aster_cl_fill(aster_runtime_env(w->rt),
                         &(struct aster_fill_task){.name = "read weights",
                                                   .n = 1,
                                                   .out = &buffer,
                                                   .fill = load,
                                                   .arg = &w->loading[block]});
}

int aster_block_weights_start(struct aster_block_weights *w, bool resident)
{
    int64_t n = resident ? w->n_blocks : aster_min64(N_TURNING, w->n_blocks),
            most = aster_block_weights_most(w);
    w->resident = resident;
    ASTER_TRY(aster_alloc(w->ctx, n, sizeof(struct aster_buffer *), &w->buffer));
    w->n_buffers = n;
    for (int64_t k = 0; k < n; k++) {
        ASTER_TRY(aster_buffer_new(w->rt, resident ? block_bytes(w, k) : most, &w->buffer[k]));
        if (resident)
            ASTER_TRY(submit_load(w, k, w->buffer[k]));
    }
    return 0;
}

int aster_block_weights_use(struct aster_block_weights *w, int64_t block,
                            const struct aster_buffer **out)
{
    if (w->resident) {
        *out = w->buffer[block];
        return 0;
    }
    *out = w->buffer[w->next++ % w->n_buffers];
    return submit_load(w, block, *out);
}

int aster_block_weights_failed(const struct aster_block_weights *w)
{
    return atomic_load(&w->failed);
}

void aster_block_weights_free(struct aster_block_weights **wp)
{
    struct aster_block_weights *w = *wp;
    if (!w)
        return;
    for (int64_t k = 0; k < w->n_buffers; k++)
        aster_buffer_free(w->rt, &w->buffer[k]);
    aster_free(&w->buffer);
    aster_free(&w->loading);
    aster_pretrained_close(&w->file);
    aster_free(wp);
}
