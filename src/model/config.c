/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration of the labelling models: defaults and ranges. */
#include "model/model.h"

#include <string.h>

static const char *const kind_names[ASTER_N_MODEL_KINDS] = {"cnn", "unet", "lstm"};

const char *aster_model_name(enum aster_model_kind kind)
{
    return (unsigned)kind < ASTER_N_MODEL_KINDS ? kind_names[kind] : "?";
}

bool aster_model_time_major(enum aster_model_kind kind)
{
    return kind == ASTER_MODEL_LSTM;
}

void aster_model_defaults(enum aster_model_kind kind, int64_t input_dim,
                          struct aster_model_config *out)
{
    static const int64_t channels[] = {256, 128, 64, 32}, kernel_sizes[] = {7, 5, 5, 3};
    *out = (struct aster_model_config){
        .kind = kind,
        .input_dim = input_dim,
        .max_length = 1024,
        .n_layers = 4,
        .base_filters = 32,
        .depth = 4,
        .attention = true,
        .hidden_dim = 256,
        .num_layers = 2,
        .dropout = kind == ASTER_MODEL_UNET ? 0.25 : 0.3,
    };
    memcpy(out->channels, channels, sizeof channels);
    memcpy(out->kernel_sizes, kernel_sizes, sizeof kernel_sizes);
}

static int in_range(struct aster_ctx *ctx, enum aster_model_kind kind, const char *field, int64_t v,
                    int64_t least, int64_t most)
{
    if (v >= least && v <= most)
        return 0;
    return aster_fail(ctx, ASTER_EPARAM, "model %s: %s is %lld, expected %lld to %lld",
                      aster_model_name(kind), field, (long long)v, (long long)least,
                      (long long)most);
}

static int check_cnn(struct aster_ctx *ctx, const struct aster_model_config *c)
{
    ASTER_TRY(in_range(ctx, c->kind, "the number of channels and kernel_sizes", c->n_layers, 1,
                       ASTER_MODEL_MAX_LAYERS));
    for (int k = 0; k < c->n_layers; k++) {
        char field[40];
        snprintf(field, sizeof field, "channels[%d]", k);
        ASTER_TRY(in_range(ctx, c->kind, field, c->channels[k], 1, 1 << 16));
        snprintf(field, sizeof field, "kernel_sizes[%d]", k);
        ASTER_TRY(in_range(ctx, c->kind, field, c->kernel_sizes[k], 1, 1023));
        if (c->kernel_sizes[k] % 2 == 0)
            return aster_fail(ctx, ASTER_EPARAM,
                              "model cnn: kernel_sizes[%d] is %lld, expected an odd number", k,
                              (long long)c->kernel_sizes[k]);
    }
    return 0;
}

static int check_unet(struct aster_ctx *ctx, const struct aster_model_config *c)
{
    /* the gate of the first level has base_filters / 2 channels */
    ASTER_TRY(
        in_range(ctx, c->kind, "base_filters", c->base_filters, c->attention ? 2 : 1, 1 << 14));
    ASTER_TRY(in_range(ctx, c->kind, "depth", c->depth, 1, ASTER_MODEL_MAX_LAYERS));
    if (c->max_length >> c->depth < 1)
        return aster_fail(ctx, ASTER_EPARAM,
                          "model unet: depth is %d, expected one with max_length / 2^depth of at "
                          "least 1 (max_length is %lld)",
                          c->depth, (long long)c->max_length);
    return 0;
}

static int check_lstm(struct aster_ctx *ctx, const struct aster_model_config *c)
{
    ASTER_TRY(in_range(ctx, c->kind, "hidden_dim", c->hidden_dim, 1, 1 << 14));
    return in_range(ctx, c->kind, "num_layers", c->num_layers, 1, ASTER_MODEL_MAX_LAYERS);
}

int aster_model_check(struct aster_ctx *ctx, const struct aster_model_config *c)
{
    if ((unsigned)c->kind >= ASTER_N_MODEL_KINDS)
        return aster_fail(ctx, ASTER_EPARAM, "model kind %d, expected cnn, unet or lstm",
                          (int)c->kind);
    ASTER_TRY(in_range(ctx, c->kind, "input_dim", c->input_dim, 1, 1 << 16));
    ASTER_TRY(in_range(ctx, c->kind, "max_length", c->max_length, 1, 1 << 20));
    if (!(c->dropout >= 0 && c->dropout < 1))
        return aster_fail(ctx, ASTER_EPARAM,
                          "model %s: dropout is %g, expected at least 0 and less than 1",
                          aster_model_name(c->kind), c->dropout);
    switch (c->kind) {
    case ASTER_MODEL_CNN:
        return check_cnn(ctx, c);
    case ASTER_MODEL_UNET:
        return check_unet(ctx, c);
    default:
        return check_lstm(ctx, c);
    }
}

int64_t aster_model_norm_length(const struct aster_model_config *c)
{
    if (c->kind == ASTER_MODEL_LSTM)
        return 0;
    return c->kind == ASTER_MODEL_UNET ? c->max_length >> c->depth : c->max_length;
}
