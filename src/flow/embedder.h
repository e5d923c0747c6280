/* SPDX-License-Identifier: BSD-3-Clause */
/* A pretrained language model over batches of sequences: a chain of block tasks per batch, and what
 * is wanted of the rows behind chosen layers, in host memory. */
#ifndef ASTER_EMBEDDER_H
#define ASTER_EMBEDDER_H

#include "flow/pretrained.h"
#include "runtime/runtime.h"

struct aster_embed_options {
    const char *weights;   /* file or folder, as aster_pretrained_open */
    enum aster_dtype real; /* f32, f64, or bf16: f32 with matrices kept in bf16 */
    int64_t budget;        /* tokens of a batch at most, or longest; 0: found from the memory */
    int64_t longest;       /* tokens of one sequence, at most; a batch has room for it */
    int64_t memory;        /* bytes that it takes at most; 0: all that are free */
    int64_t n_layers;      /* wanted: */
    const int64_t *layers; /* 0: behind the embedding ... the model's n_layers: behind the last one
                              and its norm; ascending */
    bool rows, mean;       /* the rows themselves; their mean */
};
struct aster_embed_item { /* borrowed until done */
    const int32_t *ids;
    int64_t n;             /* tokens, those at begin and end included */
    int64_t first, n_rows; /* which of them count: the rows delivered, or meant over */
};
struct aster_embed_result {
    int32_t status; /* 0; ASTER_ELIMIT: longer than longest, or no memory for it; ASTER_ENUMERIC:
                       not finite; the code of a device that failed */
    /* NULL unless wanted and status is 0; valid during the call. One layer behind the other:
       [n_layers, n_rows, width] and [n_layers, width] */
    const float *rows, *mean;
};
/* Once per submit, from a worker or from submit itself; be quick. */
typedef void aster_embed_done(void *arg, int64_t n, const struct aster_embed_item *items,
                              const struct aster_embed_result *results);

struct aster_embedder;
/* Reads and checks the weights. What an item gives does not depend on the batch that it is in. */
ASTER_CHECKED int aster_embedder_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                                     const struct aster_language_config *c,
                                     const struct aster_embed_options *o,
                                     struct aster_embedder **out);
int64_t aster_embedder_width(const struct aster_embedder *e);
int64_t aster_embedder_budget(const struct aster_embedder *e); /* tokens of a batch, decided */
/* What an embedder for sequences of that many tokens would need, and what there is. */
struct aster_embed_need {
    int64_t bytes, free_bytes;
    bool is_gpu; /* of a GPU, else of the memory limit */
};
ASTER_CHECKED int aster_embedder_need(struct aster_embedder *e, int64_t tokens,
                                      struct aster_embed_need *out);
int64_t aster_embedder_window(const struct aster_embedder *e); /* batches that run at a time */
/* Whether all weights stay in memory; else blocks are read again and again. */
bool aster_embedder_resident(const struct aster_embedder *e);
/* One batch: its tokens together are within the budget; an item that goes beyond it, or beyond
 * longest, fails by its status. Blocks while the window is full. The batch may be kept back, to go
 * through the blocks together with later ones; flush sends what is kept, wait also waits for all.
 * One thread submits. An error ends the run: done may or may not have been called for what was
 * submitted, and is not called after a wait. */
ASTER_CHECKED int aster_embedder_submit(struct aster_embedder *e, int64_t n,
                                        const struct aster_embed_item *items,
                                        aster_embed_done *done, void *arg);
ASTER_CHECKED int aster_embedder_flush(struct aster_embedder *e);
/* 0, or why what was computed does not count: weights that could not be read, a device that failed.
 * To be asked once the results are there. */
ASTER_CHECKED int aster_embedder_failed(const struct aster_embedder *e);
ASTER_CHECKED int aster_embedder_wait(struct aster_embedder *e);
void aster_embedder_free(struct aster_embedder **e);

/* Order in which n sequences of so many tokens make batches: longest first, next fit. order[n]: a
 * permutation; batch k is order[at[k]] .. order[at[k + 1] - 1]; at has room for n + 1. */
void aster_embed_pack(int64_t n, const int64_t *tokens, int64_t budget, int64_t *order, int64_t *at,
                      int64_t *n_batches);

#endif
