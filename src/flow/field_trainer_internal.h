/* SPDX-License-Identifier: BSD-3-Clause */
/* The training of a force field from the inside. For its own files only. */
#ifndef ASTER_FIELD_TRAINER_INTERNAL_H
#define ASTER_FIELD_TRAINER_INTERNAL_H

#include "flow/field_trainer.h"

enum { FIELD_INPUT_SETS = 2 }; /* the next batch is filled in while this one is computed */

struct field_shard {
    struct field_step *st;
    struct aster_plan *plan;
    int64_t n, n_atoms, n_edges;
    struct aster_course_item **item;
    int64_t at_number, at_src, at_dst, at_vector, at_owner; /* in the input */
    int64_t at_energy, at_force, at_direction;
    int64_t at_loss; /* in the output */
};
struct field_step { /* a slot: one step in flight */
    struct aster_field_trainer *tr;
    int slot;
    int64_t batch, n, n_atoms, n_shards;
    struct aster_course_item **item; /* of the batch, shard by shard */
    struct aster_course_item **sorted;
    struct field_shard *shard;
};
struct aster_field_trainer {
    struct aster_learner l; /* first member */
    struct aster_field_training t;
    int64_t n_shards; /* of a full batch */
    int n_sets, n_steps;
    struct aster_buffer **grad, **output, **input[FIELD_INPUT_SETS];
    struct aster_buffer *arena; /* one per worker */
    struct field_step *steps;
    double flops; /* of the steps so far in this epoch */
    /* validation */
    struct aster_field *field;
    struct aster_field_item *val;
    struct aster_field_guess *guess;
    double *val_force;
    _Atomic int64_t val_done;
};

/* ---- field_steps.c ---- */
/* Which structures of a batch go into which shard: of about equal work each. */
void field_step_deal(struct field_step *st, int64_t n, const int64_t *order);
int64_t field_shard_cost(const struct field_shard *s);
ASTER_CHECKED int field_shard_plan(struct aster_field_trainer *tr, struct field_shard *s,
                                   int64_t n_batch, int64_t atoms_batch);
/* Buffers of shard index for its plan, times slack. */
ASTER_CHECKED int field_shard_room(struct aster_field_trainer *tr, const struct field_shard *s,
                                   int64_t index, double slack);
ASTER_CHECKED int field_step_submit(struct aster_learner *l, int64_t epoch, int64_t batch,
                                    int64_t step, double lr, int64_t n, const int64_t *order);

/* ---- field_validation.c ---- */
ASTER_CHECKED int field_validation_make(struct aster_field_trainer *tr);
void field_validation_free(struct aster_field_trainer *tr);
ASTER_CHECKED int field_validate(struct aster_learner *l, const struct aster_train_hooks *hooks,
                                 struct aster_epoch *e);

#endif
