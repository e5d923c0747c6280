/* SPDX-License-Identifier: BSD-3-Clause */
/* One training inside a run, for the stages train and experiments; its history and files. */
#ifndef ASTER_TRAINING_H
#define ASTER_TRAINING_H

#include "flow/embeddings.h"

struct aster_history {
    int64_t n, cap;
    struct aster_epoch *e;
    bool is_field; /* of a force field: set before anything is added */
};
ASTER_CHECKED int aster_history_read(struct aster_ctx *ctx, const char *dir,
                                     struct aster_history *out); /* empty when there is none */
/* Replaces what is there from this epoch on: an epoch that a resumed run repeats counts once. */
ASTER_CHECKED int aster_history_add(struct aster_ctx *ctx, struct aster_history *h,
                                    const struct aster_epoch *e);
ASTER_CHECKED int
aster_history_write(struct aster_ctx *ctx, const char *dir,
                    const struct aster_history *h); /* history.csv, training_history.json */
void aster_history_free(struct aster_history *h);

/* What the options of every training stage say; what only one kind of training has is left at 0.
 */
struct aster_train_config aster_run_learner(const struct aster_run *run, int stage);

struct aster_training {
    struct aster_run *run;
    int stage; /* whose options say how */
    const struct aster_split *split;
    struct aster_embeddings *embeddings;
    const char *encoding, *model; /* names */
    int64_t batch_size;
    const char *dir;
    const char *label; /* for the progress */
};
/* What a train stage says; dir and label are left to the caller. */
struct aster_training aster_training_of(struct aster_run *run, int stage);
/* Trains into dir (or goes on there); h gets the whole history. */
ASTER_CHECKED int aster_training_run(const struct aster_training *t, struct aster_history *h);
ASTER_CHECKED int aster_training_config(const struct aster_training *t, int64_t dim,
                                        struct aster_train_config *out);
/* All samples in the order of the split, those for validation first; *samples is the caller's to
 * free. */
ASTER_CHECKED int aster_training_samples(const struct aster_training *t,
                                         const struct aster_encoding *enc,
                                         struct aster_sample **samples);
ASTER_CHECKED int aster_config_json(const struct aster_training *t); /* config.json of dir */

#endif
