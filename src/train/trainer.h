/* SPDX-License-Identifier: BSD-3-Clause */
/* The buffers and tasks of training: what a step is. For src/train only. */
#ifndef ASTER_TRAIN_TRAINER_H
#define ASTER_TRAIN_TRAINER_H

#include "train/internal.h"
#include "train/learner.h"

enum { INPUT_SETS = 2 }; /* the next batch is encoded while this one is computed */

struct step { /* a slot: one step in flight */
    struct trainer *tr;
    int slot;
    int64_t epoch, batch, n, n_shards;
    const struct planned **plan;         /* of each shard */
    const struct aster_sample **samples; /* of the batch */
    int32_t *status;
    double *loss; /* of each shard */
};

struct trainer {
    struct aster_learner l; /* first member */
    struct plans plans;
    int64_t shards; /* of a full batch, at most */
    const struct aster_sample *samples;
    struct aster_buffer **grad, **output, **aux, **arena, **sync[2], **input[INPUT_SETS];
    struct aster_buffer *scratch; /* the arena of programs of one segment */
    int n_sets;
    struct step *steps;
    int n_steps;
    struct validation *validation; /* NULL: none */
};

/* Whether n_train (> 0) samples can be cut into such batches and shards. */
ASTER_CHECKED int trainer_check(struct aster_ctx *ctx, const struct aster_train_config *c,
                                int64_t n_train);
ASTER_CHECKED int trainer_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                              const struct aster_train_config *c, const struct aster_encoding *enc,
                              int64_t n_train, const struct aster_sample *train,
                              struct trainer **out);
void trainer_free(struct trainer **tr);
/* One step on the samples order[0..n-1]; waits only while the window is full. */
ASTER_CHECKED int trainer_step(struct trainer *tr, int64_t epoch, int64_t batch, int64_t step,
                               double lr, int64_t n, const int64_t *order);
void trainer_wait(struct trainer *tr); /* for all losses */
/* Initial parameters and running statistics. */
int trainer_first(struct aster_learner *l);

#endif
