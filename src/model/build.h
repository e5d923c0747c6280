/* SPDX-License-Identifier: BSD-3-Clause */
/* What the builders of one model share: for src/model only. */
#ifndef ASTER_MODEL_BUILD_H
#define ASTER_MODEL_BUILD_H

#include "model/model.h"

struct builder {
    struct aster_program *p;
    const struct aster_model_config *c;
    bool training, sync;
    aster_sz samples;       /* B */
    aster_sz active;        /* S, of time-major models */
    aster_sz batch_samples; /* rows of a batch norm are counted over these: B, or BG with sync */
};

/* Convolution weights and bias NAME.weight, NAME.bias: declared where the reference's parameter
 * order has them. */
struct conv_params {
    aster_val weight, bias;
};
struct conv_params aster_conv_params(struct builder *b, const char *name, int64_t in, int64_t out,
                                     int64_t k);
/* Same padding (k odd), act as in aster_emit_linear. */
aster_val aster_conv_same(struct builder *b, aster_val x, struct conv_params w, int64_t k, int act);
/* Batch norm over the positions of the whole batch, ReLU, dropout. */
aster_val aster_norm_relu(struct builder *b, aster_val x, const char *name, double dropout);

/* x [B, L, D] -> logits [B, L, 2] */
aster_val aster_build_cnn(struct builder *b, aster_val x);
aster_val aster_build_unet(struct builder *b, aster_val x);
/* x [L, B, D] -> logits [S, B, 2] */
aster_val aster_build_bilstm(struct builder *b, aster_val x);

#endif
