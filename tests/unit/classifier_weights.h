/* SPDX-License-Identifier: BSD-3-Clause */
/* A classifier with random weights for tests, its file, and its outputs in plain double precision.
 */
#ifndef ASTER_TESTS_UNIT_CLASSIFIER_WEIGHTS_H
#define ASTER_TESTS_UNIT_CLASSIFIER_WEIGHTS_H

#include "io/io.h"

enum {
    CW_INPUTS,
    CW_HIDDEN_BIAS,
    CW_GAMMA,
    CW_BETA,
    CW_MEAN,
    CW_VAR,
    CW_OUTPUT,
    CW_OUTPUT_BIAS,
    CW_STEPS,
    CW_N
};
struct classifier_weights {
    int64_t n_inputs, hidden, steps;
    float *value[CW_N]; /* of the tensors, in their order; not of CW_STEPS */
    struct aster_st_out tensor[CW_N];
    char name[CW_N][80];
};
ASTER_CHECKED int classifier_weights_make(struct aster_ctx *ctx, int64_t n_inputs, int64_t hidden,
                                          uint64_t seed, struct classifier_weights *w);
/* prefix: in front of every name. meta, value: NULL, or one entry of the metadata. */
ASTER_CHECKED int classifier_weights_write(struct aster_ctx *ctx, struct classifier_weights *w,
                                           const char *prefix, const char *meta, const char *value,
                                           const char *path);
/* p(other), p(virus) of x [n_inputs] */
void classifier_weights_apply(const struct classifier_weights *w, const double *x, double p[2]);
void classifier_weights_free(struct classifier_weights *w);

#endif
