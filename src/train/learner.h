/* SPDX-License-Identifier: BSD-3-Clause */
/* What a training has whatever its model is: parameters, optimizer, epochs, checkpoints, resume.
 * What a step and a validation are, the model's side says in a table of functions. */
#ifndef ASTER_LEARNER_H
#define ASTER_LEARNER_H

#include "runtime/slots.h"
#include "train/train.h"

struct aster_learner;
struct aster_learner_kind {
    /* First values of parameters and running statistics, where nothing is resumed. */
    int (*start)(struct aster_learner *l);
    /* NULL, or before the steps of an epoch, from batch first on; no task is under way. */
    int (*begin)(struct aster_learner *l, int64_t first, const int64_t *order);
    /* One step on the samples order[0..n-1]; waits only while the window is full. Its end puts the
     * loss into batch_loss[batch], a value that is not finite where the step changed nothing. */
    int (*step)(struct aster_learner *l, int64_t epoch, int64_t batch, int64_t step, double lr,
                int64_t n, const int64_t *order);
    /* Fills what e says of the validation, after the steps submitted so far. hooks->stop is asked
     * between batches; ASTER_ESTOP then, without a sentence. */
    int (*validate)(struct aster_learner *l, const struct aster_train_hooks *hooks,
                    struct aster_epoch *e);
    /* NULL: best_model.h5 and the like have a checkpoint's layout. */
    int (*save)(struct aster_learner *l, const char *path);
};
struct aster_learner {
    const struct aster_learner_kind *kind;
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_cl_env *env;
    const struct aster_train_config *c;
    const struct aster_encoding *enc; /* of labelling models */
    struct aster_program *program;
    int64_t n_train, n_batches;
    int64_t n_param, n_running; /* elements */
    int64_t most_shards;        /* of a batch */
    bool in_turn; /* shards go to GPUs in turn, where the first ones are the costliest; else
                     consecutive ones to the same */
    struct aster_buffer *param, *m, *v, *norm, *running;
    struct aster_buffer *piece_norm[ASTER_MOST_PIECES]; /* by pieces; norm is the first */
    struct aster_slots slots;                           /* of the steps in flight */
    double *batch_loss;                                 /* of the epoch that runs */
    _Atomic int64_t samples_done;                       /* of the epoch that runs */
    _Atomic int failed; /* the code of a step that went wrong; the context has the sentence */
};

/* Ranges of what every training is configured by. */
ASTER_CHECKED int aster_learner_check(struct aster_ctx *ctx, const struct aster_train_config *c);
/* Sizes, and the buffers of program, which stays the learner's: param, m, v as the optimizer wants
 * them, running where there are buffers to train; norm with clipping, or when with_norm. The caller
 * has set most_shards. */
ASTER_CHECKED int aster_learner_make(struct aster_learner *l, bool with_norm);
void aster_learner_done(struct aster_learner *l); /* frees what it holds, program too */
/* The home of a shard, the same in every step. */
int64_t aster_learner_home(const struct aster_learner *l, int64_t shard);
/* The gradient of that shard: as the parameters, in one piece or in several. */
ASTER_CHECKED int aster_learner_gradient(struct aster_learner *l, int64_t shard,
                                         struct aster_buffer **out);
/* The gradients of all shards into the first, by the tree, and the sum of its squares. */
ASTER_CHECKED int aster_learner_sum(struct aster_learner *l, int64_t n_shards,
                                    struct aster_buffer *const *grad);
/* The same of two gradients that are sums over a batch's shards, whose pieces are with their owners
 * already. */
ASTER_CHECKED int aster_learner_sum_batches(struct aster_learner *l,
                                            struct aster_buffer *const *both);
ASTER_CHECKED int aster_learner_update(struct aster_learner *l, const struct aster_buffer *grad,
                                       int64_t step, double lr);
/* Puts values into a buffer that no task writes. */
void aster_learner_load(struct aster_buffer *b, const void *from, int64_t bytes);
/* config: as text, what has to be the same for a resume. Files and resume as aster_train says. */
ASTER_CHECKED int aster_learner_run(struct aster_learner *l, const char *config, const char *dir,
                                    bool resume, const struct aster_train_hooks *hooks);
/* Optimizer, rates and schedule as lines of such a text. */
void aster_learner_text(const struct aster_train_config *c, struct aster_str *out);

#endif
