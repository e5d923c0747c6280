/* SPDX-License-Identifier: BSD-3-Clause */
/* The training of a force field from the inside. For its own files only. */
#ifndef ASTER_FIELD_TRAINER_INTERNAL_H
#define ASTER_FIELD_TRAINER_INTERNAL_H

#include "flow/field_trainer.h"

/* The next batch is filled in while this one is computed, and plans are made for some ahead. */
enum { FIELD_INPUT_SETS = 2, FIELD_AHEAD = 4 };

struct field_shard {
    struct field_step *st;
    const struct field_batch *batch;
    struct aster_plan *plan;
    int64_t n, n_atoms, n_edges;
    struct aster_course_item **item;
    int64_t at_number, at_src, at_dst, at_vector, at_owner; /* in the input */
    int64_t at_energy, at_force, at_direction, at_teacher_energy, at_teacher_force;
    int64_t at_loss; /* in the output */
    int rc;          /* of planning it */
};
struct field_batch { /* its shards have their buffers until the next batch of the step */
    struct field_step *st;
    int64_t n, n_atoms, n_shards;
    struct field_shard *shard;
    double loss; /* its share of the step's, once it is computed */
};
struct field_step { /* a place: one step in flight, or planned */
    struct aster_field_trainer *tr;
    int place, slot;
    int64_t n_pending;               /* plans that are not made yet */
    int64_t number, n, n_batches;    /* number: of this epoch; n: structures */
    struct field_batch *batch;       /* the step's gradient is that of the mean of their losses */
    struct aster_course_item **item; /* batch by batch, shard by shard */
    struct aster_course_item **sorted;
    struct field_shard *shard;
};
struct aster_field_trainer {
    struct aster_learner l; /* first member */
    struct aster_field_training t;
    int64_t batch_size, n_shards; /* of a full batch */
    int64_t n_batches;            /* of a full step, whose size is l.c->batch_size */
    int n_sets, n_steps;
    struct aster_buffer **grad, **output, **input[FIELD_INPUT_SETS];
    struct aster_buffer *sum;                          /* of a step's gradients; NULL: grad[0] */
    struct aster_buffer *arena;                        /* one per worker */
    struct field_step *steps, *ahead[FIELD_AHEAD + 1]; /* ahead: planned, by batch */
    int64_t n_planned;                                 /* batches of this epoch */
    struct aster_slots places;
    struct aster_gate *gate;   /* of n_pending */
    struct aster_buffer *none; /* tasks have one: this is read by all */
    double flops;              /* of the steps so far in this epoch */
    /* validation */
    struct aster_field *field; /* NULL where steps took the room it counted on */
    struct aster_field_item *val;
    struct aster_field_guess *guess;
    double *val_force;
};

/* ---- field_steps.c ---- */
/* Which structures go into which batch of the step, and of that into which shard: of about equal
 * work each. */
void field_step_deal(struct field_step *st, int64_t n, const int64_t *order);
int64_t field_shard_cost(const struct field_shard *s);
ASTER_CHECKED int field_shard_plan(struct aster_field_trainer *tr, struct field_shard *s);
/* Gives up what is planned, once no task is under way. */
void field_steps_drop(struct aster_field_trainer *tr);
/* Buffers of shard index for its plan, times slack. */
ASTER_CHECKED int field_shard_room(struct aster_field_trainer *tr, const struct field_shard *s,
                                   int64_t index, double slack);
ASTER_CHECKED int field_step_submit(struct aster_learner *l, int64_t epoch, int64_t batch,
                                    int64_t step, double lr, int64_t n, const int64_t *order);

/* ---- field_validation.c ---- */
ASTER_CHECKED int field_validation_make(struct aster_field_trainer *tr);
/* Its field beside the buffers of the steps; fails where a structure would find no room. */
ASTER_CHECKED int field_validation_ready(struct aster_field_trainer *tr);
void field_validation_free(struct aster_field_trainer *tr);
ASTER_CHECKED int field_validate(struct aster_learner *l, const struct aster_train_hooks *hooks,
                                 struct aster_epoch *e);

#endif
