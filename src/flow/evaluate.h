/* SPDX-License-Identifier: BSD-3-Clause */
/* The comparison of a model with annotated proteins, for the stages evaluate and experiments. */
#ifndef ASTER_EVALUATE_H
#define ASTER_EVALUATE_H

#include "flow/infer.h"

struct aster_evaluation {
    int64_t n, failed;
    struct aster_residues residues;
    struct aster_metrics metrics;
    struct aster_sequences sequences;
    struct aster_sequence_metrics summary;
    int64_t n_errors, cap_errors, *errors; /* errors[k]: proteins with k wrong residues */
    struct aster_str predictions;          /* predictions.csv */
};
ASTER_CHECKED int aster_evaluate(struct aster_run *run, const char *stage,
                                 const struct aster_weights *w, struct aster_embeddings *e,
                                 int64_t n, const struct aster_protein *const *list,
                                 double threshold, int64_t min_consecutive, int64_t batch_size,
                                 int64_t shard_size, struct aster_evaluation *out);
void aster_evaluation_free(struct aster_evaluation *ev);
void aster_metrics_json(struct aster_str *s,
                        const struct aster_metrics *m); /* as metrics.json of the reference */

#endif
