/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole program of a labelling model: inputs, network, loss, outputs, gradient. */
#include "model/build.h"

#include <math.h>

struct conv_params aster_conv_params(struct builder *b, const char *name, int64_t in, int64_t out,
                                     int64_t k)
{
    struct conv_params w;
    char text[96];
    struct aster_init init = {1 / sqrt((double)(in * k)), 0};
    snprintf(text, sizeof text, "%s.weight", name);
    w.weight =
        aster_emit_param(b->p, text, 3, (int64_t[]){k, in, out}, ASTER_LAYOUT_CONV, init, in * k);
    snprintf(text, sizeof text, "%s.bias", name);
    w.bias = aster_emit_param(b->p, text, 1, &out, ASTER_LAYOUT_SAME, init, in * k);
    return w;
}

aster_val aster_conv_same(struct builder *b, aster_val x, struct conv_params w, int64_t k, int act)
{
    return aster_emit_conv1d(b->p, x, w.weight, w.bias, (int)(k / 2), (int)(k / 2), act);
}

aster_val aster_norm_relu(struct builder *b, aster_val x, const char *name, double dropout)
{
    struct aster_bn bn = {
        .name = name,
        .training = b->training,
        .sync = b->sync,
        .count = aster_size_mul(b->p, b->batch_samples, aster_val_dim(b->p, x, 1)),
        .eps = 1e-5,
        .act = ASTER_ACT_RELU,
        .dropout = b->training ? dropout : 0,
    };
    return aster_emit_batchnorm(b->p, x, &bn);
}

static aster_val logits_of(struct builder *b, aster_val x)
{
    switch (b->c->kind) {
    case ASTER_MODEL_CNN:
        return aster_build_cnn(b, x);
    case ASTER_MODEL_UNET:
        return aster_build_unet(b, x);
    default:
        return aster_build_bilstm(b, x);
    }
}

static int build(struct aster_program *p, const struct aster_model_config *c,
                 enum aster_program_use use, const struct aster_model_loss *loss)
{
    struct builder b = {.p = p, .c = c, .training = use == ASTER_USE_TRAIN};
    b.sync = b.training && loss->sync_bn;
    b.samples = aster_size_symbol(p, "B");
    b.batch_samples = b.sync ? aster_size_symbol(p, "BG") : b.samples;
    aster_sz length = aster_size_symbol(p, "L"),
             dim[3] = {b.samples, length, aster_size(p, c->input_dim)};
    if (aster_model_time_major(c->kind)) {
        dim[0] = length;
        dim[1] = b.samples;
        b.active = aster_size_symbol(p, "S");
    }
    aster_sz one = aster_size(p, 1);
    aster_val x = aster_emit_input(p, "x", aster_program_real(p), 3, dim);
    aster_val labels = aster_emit_input(p, "labels", ASTER_U8, 2, dim);
    aster_val n = aster_emit_input(p, "n", ASTER_F64, 1, &one);
    if (aster_model_time_major(c->kind))
        labels = aster_emit_slice(p, labels, 0, aster_size(p, 0), b.active);
    aster_val logits = logits_of(&b, x), probs = -1;
    aster_val mean = aster_emit_xent(p, logits, labels, n, 2, loss->class_weights, 1e-8, &probs);
    aster_emit_output(p, "loss", mean);
    aster_emit_output(p, "logits", logits);
    aster_emit_output(p, "probs", probs);
    if (b.training)
        ASTER_TRY(aster_program_grad_params(p, mean));
    return aster_program_finish(p);
}

int aster_model_program(struct aster_ctx *ctx, const struct aster_model_config *c,
                        enum aster_dtype real, enum aster_program_use use,
                        const struct aster_model_loss *loss, struct aster_program **out)
{
    *out = NULL;
    ASTER_TRY(aster_model_check(ctx, c));
    struct aster_program *p = NULL;
    ASTER_TRY(aster_program_new(ctx, aster_model_name(c->kind), real, &p));
    aster_program_set_products(p, c->products);
    if (c->products == ASTER_PRODUCTS_BF16 && real == ASTER_F32)
        aster_program_set_narrow(p);
    int rc = build(p, c, use, loss);
    if (rc < 0) {
        aster_program_free(&p);
        return rc;
    }
    *out = p;
    return 0;
}
