/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics of per-residue labelling: residues pooled, loops found, and how well they fit. Plain
 * arrays, no tasks. */
#ifndef ASTER_METRIC_H
#define ASTER_METRIC_H

#include "base/base.h"

struct aster_metrics {
    double accuracy, precision, recall, f1, f1_macro, mcc, auc;
};

/* ---- residue level: a zeroed struct is an empty one; add proteins in any order, the result does
 * not depend on it ---- */
struct aster_residues {
    int64_t tp, tn, fp, fn;
    float *positive, *negative; /* P(class 1) of the tp + fn and tn + fp residues of either true
                                   class, for the area under ROC */
    int64_t cap_positive, cap_negative;
};
/* One protein. prob: P(class 1) of its n residues. labels: 0, 1 or 255 (not counted); NULL: 1 in
 * [begin, end), else 0. A residue is called 1 when its probability is above 0.5. n_errors (may be
 * NULL): counted residues called wrongly. ASTER_ENUMERIC, and nothing added, when a probability is
 * not in 0..1. */
ASTER_CHECKED int aster_residues_add(struct aster_ctx *ctx, struct aster_residues *r, int64_t n,
                                     const float *prob, const uint8_t *labels, int64_t begin,
                                     int64_t end, int64_t *n_errors);
/* What is 0 / 0 is 0; auc is 0 with one class only; f1_macro leaves out a class neither true nor
 * called anywhere. */
ASTER_CHECKED int aster_residues_result(struct aster_ctx *ctx, struct aster_residues *r,
                                        struct aster_metrics *out);
void aster_residues_free(struct aster_residues *r); /* what it holds; it is empty again */

/* ---- loops ---- */
struct aster_region { /* 0-based half-open; -1, -1 and 0: none */
    int64_t begin, end;
    double confidence; /* mean P(class 1) over it */
};
/* The longest run of P(class 1) > threshold (rounded to float) of at least min_consecutive
 * residues; the first of equally long ones. */
void aster_region_find(int64_t n, const float *prob, double threshold, int64_t min_consecutive,
                       struct aster_region *out);
/* Shared length over the length from the smaller begin to the larger end; 0 when apart or one is
 * missing. */
double aster_region_iou(int64_t begin, int64_t end, int64_t true_begin, int64_t true_end);

/* ---- sequence level: has it a loop, and does the found one fit? A zeroed struct is an empty one.
 * ---- */
struct aster_sequences {
    int64_t n, tp, tn, fp, fn;
    int64_t close;  /* both ends within 2 residues */
    int64_t strict; /* both ends right */
    double iou_sum;
};
/* Add proteins in one order: iou_sum is a sum of doubles. true_begin -1: it has no loop. */
void aster_sequences_add(struct aster_sequences *s, int64_t true_begin, int64_t true_end,
                         const struct aster_region *found);
struct aster_sequence_metrics {
    double accuracy, precision, recall, f1; /* of having a loop */
    double mean_iou;                        /* over proteins with a loop; 0 where it was missed */
    double exact_match_pct;                 /* both ends within 2, of all proteins */
    double exact_match_true_pct;            /* the same, of proteins with a loop */
    double strict_match_true_pct;           /* both ends right, of proteins with a loop */
    double false_positive_pct;              /* loops found, of proteins without one */
    int64_t n, n_true, n_found;
};
void aster_sequences_result(const struct aster_sequences *s, struct aster_sequence_metrics *out);

#endif
