/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables that compare trainings: the best epoch of each, evaluations of each, all as text and CSV.
 */
#ifndef ASTER_SUMMARY_H
#define ASTER_SUMMARY_H

#include "flow/evaluate.h"
#include "flow/training.h"

struct aster_experiment {
    const char *encoding, *model;
    bool done;
    int64_t best, epochs; /* epoch of the highest F1, from 0; number of epochs */
    struct aster_metrics at_best;
    bool has[2]; /* validation, test */
    struct aster_metrics residue[2];
    struct aster_sequences counts[2];
    struct aster_sequence_metrics sequence[2];
};
/* Fills done, best, epochs, at_best from dir/training_history.json; done stays false where there is
 * none. */
ASTER_CHECKED int aster_experiment_read(struct aster_ctx *ctx, const char *dir,
                                        struct aster_experiment *x);
/* summary.csv, summary.txt; order: as given. */
ASTER_CHECKED int aster_summary_write(struct aster_run *run, int64_t n,
                                      const struct aster_experiment *x);
/* <name>_sequence_level_[min<k>_]evaluation and <name>_residue_level_evaluation, .csv and .txt;
 * which: 0 validation, 1 test. */
ASTER_CHECKED int aster_evaluations_write(struct aster_run *run, const char *name, int which,
                                          double threshold, int64_t min_consecutive, int64_t n,
                                          const struct aster_experiment *x);
ASTER_CHECKED int
aster_model_comparison_write(struct aster_run *run, int64_t n,
                             const struct aster_experiment *x); /* model_comparison.csv */

#endif
