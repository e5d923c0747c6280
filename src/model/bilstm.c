/* SPDX-License-Identifier: BSD-3-Clause */
/* The recurrent labeller: bidirectional LSTM layers over all positions, then two linear layers.
 * Time-major.
 *
 * What lies behind the last residue of every sample (from position S on) reaches the results only
 * through states that run from the end to the front. So the last layer's direction that runs up,
 * and all that follows, stops at S, and nothing is lost. */
#include "model/build.h"

#include <math.h>

static aster_val linear_param(struct builder *b, const char *name, int64_t in, int64_t out,
                              int64_t fan_in)
{
    struct aster_init init = {1 / sqrt((double)fan_in), 0};
    return aster_emit_param(b->p, name, 2, (int64_t[]){in, out}, ASTER_LAYOUT_LINEAR, init, fan_in);
}

static aster_val bias_param(struct builder *b, const char *name, int64_t n, int64_t fan_in)
{
    struct aster_init init = {1 / sqrt((double)fan_in), 0};
    return aster_emit_param(b->p, name, 1, &n, ASTER_LAYOUT_SAME, init, fan_in);
}

/* x [L, B, in] -> h [L, B, H] */
static aster_val direction(struct builder *b, aster_val x, int layer, int64_t in, bool reverse)
{
    int64_t h = b->c->hidden_dim;
    const char *end = reverse ? "_reverse" : "";
    char name[64];
    snprintf(name, sizeof name, "lstm.weight_ih_l%d%s", layer, end);
    aster_val wih = linear_param(b, name, in, 4 * h, h);
    snprintf(name, sizeof name, "lstm.weight_hh_l%d%s", layer, end);
    aster_val whh = linear_param(b, name, h, 4 * h, h);
    snprintf(name, sizeof name, "lstm.bias_ih_l%d%s", layer, end);
    aster_val bih = bias_param(b, name, 4 * h, h);
    snprintf(name, sizeof name, "lstm.bias_hh_l%d%s", layer, end);
    aster_val bhh = bias_param(b, name, 4 * h, h);
    aster_val bias = aster_emit_binary(b->p, ASTER_BIN_ADD, bih, bhh);
    aster_val zx = aster_emit_linear(b->p, x, wih, bias, ASTER_ACT_NONE);
    return aster_emit_lstm(b->p, zx, whh, reverse);
}

static aster_val drop(struct builder *b, aster_val x)
{
    return b->training ? aster_emit_dropout(b->p, x, b->c->dropout, 1) : x;
}

static aster_val fully_connected(struct builder *b, aster_val x, const char *name, int64_t in,
                                 int64_t out, int act)
{
    char text[64];
    snprintf(text, sizeof text, "%s.weight", name);
    aster_val w = linear_param(b, text, in, out, in);
    snprintf(text, sizeof text, "%s.bias", name);
    return aster_emit_linear(b->p, x, w, bias_param(b, text, out, in), act);
}

/* Positions before S */
static aster_val front(struct builder *b, aster_val x)
{
    return aster_emit_slice(b->p, x, 0, aster_size(b->p, 0), b->active);
}

aster_val aster_build_bilstm(struct builder *b, aster_val x)
{
    const struct aster_model_config *c = b->c;
    int64_t h = c->hidden_dim, in = c->input_dim;
    for (int k = 0; k < c->num_layers; k++) {
        bool last = k + 1 == c->num_layers;
        aster_val both[2];
        both[0] = direction(b, last ? front(b, x) : x, k, in, false);
        both[1] = direction(b, x, k, in, true);
        if (last)
            both[1] = front(b, both[1]);
        x = drop(b, aster_emit_concat(b->p, 2, both, 2));
        in = 2 * h;
    }
    x = drop(b, fully_connected(b, x, "fc.0", 2 * h, h, ASTER_ACT_RELU));
    return fully_connected(b, x, "fc.3", h, 2, ASTER_ACT_NONE);
}
