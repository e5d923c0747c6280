/* SPDX-License-Identifier: BSD-3-Clause */
/* The block runner from the inside: for embedder*.c only. */
#ifndef ASTER_EMBEDDER_INTERNAL_H
#define ASTER_EMBEDDER_INTERNAL_H

#include "flow/block_weights.h"
#include "flow/embedder.h"
#include "runtime/slots.h"
#include "train/train.h"

enum { EMBED_N_PARTS = 3, EMBED_MOST_SETS = 200 };

struct embed_batch { /* a slot */
    struct aster_embedder *e;
    int slot;
    int64_t n, n_in, rows, longest; /* items; those that are computed, their tokens */
    const struct aster_embed_item *item;
    struct aster_embed_result *result;
    int64_t *first_row; /* of each item; -1: not computed */
    _Atomic bool *bad;  /* of each item: not finite */
    int64_t cap_result, cap_first_row, cap_bad, cap_values;
    double *room; /* [longest] */
    float *values;
    struct aster_plan *plan[EMBED_N_PARTS];
    struct aster_buffer *tokens, **facts, *x[2];
    struct embed_wanted *wanted;
    _Atomic int failed; /* all of them: a device, the weights, a task that fits nowhere */
    _Atomic int64_t layers_left;
    aster_embed_done *done;
    void *arg;
};

struct embed_wanted { /* a layer of a batch */
    struct embed_batch *batch;
    int64_t index;
};

struct aster_embedder {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_cl_env *env;
    struct aster_language_config c;
    struct aster_embed_options o;
    int64_t *layers;
    enum aster_dtype real;
    struct aster_program *program[EMBED_N_PARTS];
    struct aster_block_weights *weights;
    int64_t n_sets, *set_of; /* of frequencies that differ, and each layer's; DNABERT-S: one */
    double **turns;          /* ESM-2, of each set: [longest, width / n_heads] */
    double *slopes;          /* DNABERT-S */
    int64_t budget, longest, n_blocks; /* n_blocks: that wanted layers need */
    int64_t free_bytes;                /* when the budget was decided */
    bool resident;
    struct aster_buffer *arena;
    struct aster_slots slots;
    struct embed_batch *batch;
    int n_batch;
    struct embed_batch **kept; /* that go through the blocks together */
    int n_kept, most_kept;
};
static inline bool embed_is_esm2(const struct aster_embedder *e)
{
    return e->c.kind == ASTER_LANGUAGE_ESM2;
}

static inline int64_t embed_turn_width(const struct aster_embedder *e)
{
    return e->c.width / e->c.n_heads;
}

/* The block behind which a layer's rows are. */
static inline int64_t embed_block_of(const struct aster_language_config *c, int64_t layer)
{
    return layer < c->n_layers ? layer : aster_language_n_blocks(c) - 1;
}

/* ---- embedder_sizes.c ---- */
struct embed_sizes {
    int64_t tokens, facts, x, values; /* per batch */
    int64_t arena, turns;             /* per worker; once */
};
ASTER_CHECKED int embed_plan_part(struct aster_embedder *e, int part, int64_t rows,
                                  int64_t sequences, int64_t longest, struct aster_plan **out);
/* Whether all weights stay, how many batches there are, how many go through the blocks together. */
ASTER_CHECKED int embed_decide(struct aster_embedder *e, struct embed_sizes *s);

/* ---- embedder_batch.c ---- */
/* The tasks of one block for a batch; for the first also those that make its tokens. */
ASTER_CHECKED int embed_batch_submit(struct embed_batch *b, int64_t block,
                                     const struct aster_buffer *param);
/* Its results are there, or will never be. */
void embed_batch_finish(struct embed_batch *b);

#endif
