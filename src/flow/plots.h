/* SPDX-License-Identifier: BSD-3-Clause */
/* The plots of a run directory, made from the files that are in it. page: gets them as figures for
 * the report too, or NULL. */
#ifndef ASTER_PLOTS_H
#define ASTER_PLOTS_H

#include "base/base.h"

/* loss_curves.svg metric_curves.svg */
ASTER_CHECKED int aster_plots_training(struct aster_ctx *ctx, const char *dir,
                                       struct aster_str *page);
/* confusion_matrix.svg error_histogram.svg */
ASTER_CHECKED int aster_plots_evaluation(struct aster_ctx *ctx, const char *dir,
                                         struct aster_str *page);
/* force_errors.svg */
ASTER_CHECKED int aster_plots_forces(struct aster_ctx *ctx, const char *dir,
                                     struct aster_str *page);
/* workers.svg, and timeline.svg where tasks were recorded */
ASTER_CHECKED int aster_plots_workers(struct aster_ctx *ctx, const char *dir,
                                      struct aster_str *page);
/* potential_energy.svg total_energy.svg temperature.svg of the first copies */
ASTER_CHECKED int aster_plots_dynamics(struct aster_ctx *ctx, const char *dir,
                                       struct aster_str *page);
/* exchange.svg */
ASTER_CHECKED int aster_plots_exchange(struct aster_ctx *ctx, const char *dir,
                                       struct aster_str *page);
/* Histograms over n loops, on the page only. */
ASTER_CHECKED int aster_plots_predictions(struct aster_ctx *ctx, int64_t n, const double *length,
                                          const double *confidence, struct aster_str *page);

struct aster_figure {
    const char *title, *label;
    double top;
    const double *values;
};
/* Grouped bars, x = encoding, bars = models; n figures side by side with one legend. values[e *
 * n_models + m], NaN: missing. */
ASTER_CHECKED int aster_plots_comparison(struct aster_ctx *ctx, const char *dir, const char *name,
                                         int64_t n_encodings, const char *const *encodings,
                                         int64_t n_models, const char *const *models, int n,
                                         const struct aster_figure *figures);

#endif
