/* SPDX-License-Identifier: BSD-3-Clause */
/* A classifier of vectors into two kinds: a product, batch norm with stored statistics, ReLU, a
 * second product, softmax. */
#ifndef ASTER_CLASSIFIER_MODEL_H
#define ASTER_CLASSIFIER_MODEL_H

#include "program/program.h"

struct aster_classifier_config {
    int64_t n_inputs, hidden;
};
ASTER_CHECKED int aster_classifier_check(struct aster_ctx *ctx,
                                         const struct aster_classifier_config *c);

/* Symbol: B rows. Input x real [B, n_inputs]; output probs real [B, 2]. Parameters and buffers have
 * the names of the reference's state: hidden_layer, bn1, output_layer. */
ASTER_CHECKED int aster_classifier_program(struct aster_ctx *ctx,
                                           const struct aster_classifier_config *c,
                                           enum aster_dtype real, struct aster_program **out);

#endif
