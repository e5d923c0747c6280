/* SPDX-License-Identifier: BSD-3-Clause */
/* The U-Net labeller with attention gates on its skips. */
#include "model/build.h"

enum { KERNEL = 7 };

/* Two convolutions, each followed by batch norm and ReLU; dropout between them. */
struct double_conv {
    struct conv_params first, second;
};

static struct double_conv double_conv_declare(struct builder *b, const char *block, int64_t in,
                                              int64_t out)
{
    struct double_conv d;
    char name[80];
    snprintf(name, sizeof name, "%s.double_conv.0", block);
    d.first = aster_conv_params(b, name, in, out, KERNEL);
    snprintf(name, sizeof name, "%s.double_conv.1", block);
    aster_emit_batchnorm_params(b->p, name, out);
    snprintf(name, sizeof name, "%s.double_conv.4", block);
    d.second = aster_conv_params(b, name, out, out, KERNEL);
    snprintf(name, sizeof name, "%s.double_conv.5", block);
    aster_emit_batchnorm_params(b->p, name, out);
    return d;
}

static aster_val double_conv_emit(struct builder *b, aster_val x, const char *block,
                                  struct double_conv d)
{
    char name[80];
    x = aster_conv_same(b, x, d.first, KERNEL, ASTER_ACT_NONE);
    snprintf(name, sizeof name, "%s.double_conv.1", block);
    x = aster_norm_relu(b, x, name, b->c->dropout);
    x = aster_conv_same(b, x, d.second, KERNEL, ASTER_ACT_NONE);
    snprintf(name, sizeof name, "%s.double_conv.5", block);
    return aster_norm_relu(b, x, name, 0);
}

struct gate {
    struct conv_params up, skip, psi;
};

static struct gate gate_declare(struct builder *b, int i, int64_t up, int64_t skip)
{
    struct gate g;
    char name[64];
    int64_t middle = skip / 2;
    snprintf(name, sizeof name, "attention_gates.%d.W_gate", i);
    g.up = aster_conv_params(b, name, up, middle, 1);
    snprintf(name, sizeof name, "attention_gates.%d.W_skip", i);
    g.skip = aster_conv_params(b, name, skip, middle, 1);
    snprintf(name, sizeof name, "attention_gates.%d.psi", i);
    g.psi = aster_conv_params(b, name, middle, 1, 1);
    return g;
}

/* skip * sigmoid(psi(relu(Wg up + Ws skip))): one value per position for all channels */
static aster_val gate_emit(struct builder *b, struct gate g, aster_val up, aster_val skip)
{
    aster_val sum =
        aster_emit_binary(b->p, ASTER_BIN_ADD, aster_conv_same(b, up, g.up, 1, ASTER_ACT_NONE),
                          aster_conv_same(b, skip, g.skip, 1, ASTER_ACT_NONE));
    aster_val a =
        aster_conv_same(b, aster_emit_unary(b->p, ASTER_FN_RELU, sum), g.psi, 1, ASTER_ACT_NONE);
    return aster_emit_binary(b->p, ASTER_BIN_MUL, skip,
                             aster_emit_unary(b->p, ASTER_FN_SIGMOID, a));
}

static int64_t encoder_width(const struct aster_model_config *c, int i)
{
    return c->base_filters << (i < 2 ? i : 2);
}

static int64_t decoder_width(const struct aster_model_config *c, int level)
{
    return level == 0 ? c->base_filters : c->base_filters << (level - 1);
}

/* Twice as long, and then as long as the skip where that was odd. Which of the two is known here,
 * because programs run at L = max_length: a level of even length needs one resize, and the other
 * would copy it. */
static aster_val upsample(struct builder *b, aster_val x, aster_val skip, int level)
{
    aster_sz length = aster_val_dim(b->p, skip, 1);
    if (b->c->max_length >> level & 1) {
        aster_sz lower = aster_val_dim(b->p, x, 1);
        x = aster_emit_resize(b->p, x, aster_size_mul(b->p, lower, aster_size(b->p, 2)));
    }
    return aster_emit_resize(b->p, x, length);
}

/* From the deepest level up; all parameters of decoders are declared before those of gates. */
static aster_val decode(struct builder *b, aster_val x, const aster_val *skips)
{
    const struct aster_model_config *c = b->c;
    struct double_conv block[ASTER_MODEL_MAX_LAYERS];
    struct gate gate[ASTER_MODEL_MAX_LAYERS];
    int64_t from[ASTER_MODEL_MAX_LAYERS];
    char name[64];
    int64_t up = 2 * encoder_width(c, c->depth - 1);
    for (int i = 0; i < c->depth; i++) {
        int level = c->depth - 1 - i;
        from[i] = up;
        snprintf(name, sizeof name, "decoder_blocks.%d", i);
        block[i] =
            double_conv_declare(b, name, up + encoder_width(c, level), decoder_width(c, level));
        up = decoder_width(c, level);
    }
    for (int i = 0; c->attention && i < c->depth; i++)
        gate[i] = gate_declare(b, i, from[i], encoder_width(c, c->depth - 1 - i));
    for (int i = 0; i < c->depth; i++) {
        aster_val both[2] = {skips[c->depth - 1 - i], -1};
        both[1] = upsample(b, x, both[0], c->depth - 1 - i);
        if (c->attention)
            both[0] = gate_emit(b, gate[i], both[1], both[0]);
        snprintf(name, sizeof name, "decoder_blocks.%d", i);
        x = double_conv_emit(b, aster_emit_concat(b->p, 2, both, 2), name, block[i]);
    }
    return x;
}

aster_val aster_build_unet(struct builder *b, aster_val x)
{
    const struct aster_model_config *c = b->c;
    aster_val skips[ASTER_MODEL_MAX_LAYERS];
    char name[64];
    int64_t in = c->base_filters;
    x = aster_conv_same(b, x, aster_conv_params(b, "input_proj", c->input_dim, in, 1), 1,
                        ASTER_ACT_NONE);
    for (int i = 0; i < c->depth; i++) {
        int64_t out = encoder_width(c, i);
        snprintf(name, sizeof name, "encoder_blocks.%d", i);
        skips[i] = double_conv_emit(b, x, name, double_conv_declare(b, name, in, out));
        x = aster_emit_avgpool2(b->p, skips[i]);
        in = out;
    }
    x = double_conv_emit(b, x, "bottleneck", double_conv_declare(b, "bottleneck", in, 2 * in));
    x = decode(b, x, skips);
    in = c->base_filters;
    x = aster_conv_same(b, x, aster_conv_params(b, "output.0", in, in, 3), 3, ASTER_ACT_RELU);
    return aster_conv_same(b, x, aster_conv_params(b, "output.2", in, 2, 1), 1, ASTER_ACT_NONE);
}
