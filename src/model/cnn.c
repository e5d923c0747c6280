/* SPDX-License-Identifier: BSD-3-Clause */
/* The plain convolutional labeller: convolution, batch norm, ReLU, dropout, n times; then a 1x1
 * convolution. */
#include "model/build.h"

aster_val aster_build_cnn(struct builder *b, aster_val x)
{
    const struct aster_model_config *c = b->c;
    int64_t in = c->input_dim;
    char name[64];
    for (int k = 0; k < c->n_layers; k++) {
        snprintf(name, sizeof name, "conv_layers.%d.conv", k);
        struct conv_params w = aster_conv_params(b, name, in, c->channels[k], c->kernel_sizes[k]);
        x = aster_conv_same(b, x, w, c->kernel_sizes[k], ASTER_ACT_NONE);
        snprintf(name, sizeof name, "conv_layers.%d.bn", k);
        x = aster_norm_relu(b, x, name, c->dropout);
        in = c->channels[k];
    }
    return aster_conv_same(b, x, aster_conv_params(b, "output.0", in, 2, 1), 1, ASTER_ACT_NONE);
}
