/* SPDX-License-Identifier: BSD-3-Clause */
/* The program of the classifier of frames. */
#include "model/classifier.h"

#include <math.h>

enum { MOST_WIDTH = 1 << 20, N_KINDS = 2 };
#define EPS 1e-5 /* of the batch norm that the reference trains */

int aster_classifier_check(struct aster_ctx *ctx, const struct aster_classifier_config *c)
{
    if (c->n_inputs < 1 || c->n_inputs > MOST_WIDTH || c->hidden < 1 || c->hidden > MOST_WIDTH)
        return aster_fail(ctx, ASTER_EPARAM,
                          "a classifier of %lld inputs and %lld hidden values; 1 to %d of each are "
                          "expected",
                          (long long)c->n_inputs, (long long)c->hidden, MOST_WIDTH);
    return 0;
}

/* x [B, in] -> [B, out] */
static aster_val linear(struct aster_program *p, aster_val x, const char *name, int64_t in,
                        int64_t out)
{
    char weight[64], bias[64];
    struct aster_init init = {1 / sqrt((double)in), 0};
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    aster_val w =
        aster_emit_param(p, weight, 2, (int64_t[]){in, out}, ASTER_LAYOUT_LINEAR, init, in);
    aster_val b = aster_emit_param(p, bias, 1, &out, ASTER_LAYOUT_SAME, init, in);
    return aster_emit_linear(p, x, w, b, ASTER_ACT_NONE);
}

static int build(struct aster_program *p, const struct aster_classifier_config *c,
                 enum aster_dtype real)
{
    aster_sz rows = aster_size_symbol(p, "B");
    aster_val x = aster_emit_input(p, "x", real, 2, (aster_sz[]){rows, aster_size(p, c->n_inputs)});
    aster_val h = linear(p, x, "hidden_layer", c->n_inputs, c->hidden);
    h = aster_emit_batchnorm(
        p, h, &(struct aster_bn){.name = "bn1", .count = rows, .eps = EPS, .act = ASTER_ACT_RELU});
    aster_val z = linear(p, h, "output_layer", c->hidden, N_KINDS);
    aster_emit_output(p, "probs", aster_emit_softmax(p, z));
    return aster_program_finish(p);
}

int aster_classifier_program(struct aster_ctx *ctx, const struct aster_classifier_config *c,
                             enum aster_dtype real, struct aster_program **out)
{
    struct aster_program *p = NULL;
    *out = NULL;
    ASTER_TRY(aster_classifier_check(ctx, c));
    ASTER_TRY(aster_program_new(ctx, "classifier", real, &p));
    int rc = build(p, c, real);
    if (rc < 0)
        aster_program_free(&p);
    *out = p;
    return rc;
}
