/* SPDX-License-Identifier: BSD-3-Clause */
/* Random classifiers: file and reference. */
#include "unit/classifier_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[CW_N] = {
    "hidden_layer.weight",    "hidden_layer.bias", "bn1.weight",          "bn1.bias",
    "bn1.running_mean",       "bn1.running_var",   "output_layer.weight", "output_layer.bias",
    "bn1.num_batches_tracked"};

int classifier_weights_make(struct aster_ctx *ctx, int64_t n_inputs, int64_t hidden, uint64_t seed,
                            struct classifier_weights *w)
{
    const int64_t n[CW_N] = {hidden * n_inputs, hidden, hidden, hidden, hidden, hidden,
                             2 * hidden,        2,      1};
    *w = (struct classifier_weights){.n_inputs = n_inputs, .hidden = hidden, .steps = 7};
    for (int t = 0; t < CW_STEPS; t++) {
        double scale = t == CW_INPUTS                 ? sqrt(3 / (double)n_inputs)
                       : t == CW_OUTPUT               ? 3 * sqrt(3 / (double)hidden)
                       : t == CW_GAMMA || t == CW_VAR ? 0.5
                                                      : 0.3;
        double shift = t == CW_GAMMA || t == CW_VAR ? 1 : 0;
        ASTER_TRY(aster_alloc(ctx, n[t], sizeof(float), &w->value[t]));
        for (int64_t k = 0; k < n[t]; k++)
            w->value[t][k] =
                (float)(shift + scale * (2 * aster_uniform(seed, (uint64_t)t, (uint64_t)k) - 1));
    }
    for (int t = 0; t < CW_N; t++)
        w->tensor[t] = (struct aster_st_out){.name = w->name[t],
                                             .dtype = t == CW_STEPS ? ASTER_I64 : ASTER_F32,
                                             .rank = t == CW_STEPS                      ? 0
                                                     : t == CW_INPUTS || t == CW_OUTPUT ? 2
                                                                                        : 1,
                                             .dim = {n[t]},
                                             .data = w->value[t]};
    w->tensor[CW_INPUTS].dim[0] = hidden;
    w->tensor[CW_INPUTS].dim[1] = n_inputs;
    w->tensor[CW_OUTPUT].dim[0] = 2;
    w->tensor[CW_OUTPUT].dim[1] = hidden;
    return 0;
}

int classifier_weights_write(struct aster_ctx *ctx, struct classifier_weights *w,
                             const char *prefix, const char *meta, const char *value,
                             const char *path)
{
    w->tensor[CW_STEPS].data = &w->steps;
    for (int t = 0; t < CW_N; t++)
        snprintf(w->name[t], sizeof w->name[t], "%s%s", prefix, names[t]);
    for (int t = 0; t < CW_N; t++)
        w->tensor[t].name = w->name[t];
    return aster_st_write(ctx, path, CW_N, w->tensor, meta ? 1 : 0, &meta, &value);
}

void classifier_weights_apply(const struct classifier_weights *w, const double *x, double p[2])
{
    double z[2] = {(double)w->value[CW_OUTPUT_BIAS][0], (double)w->value[CW_OUTPUT_BIAS][1]};
    for (int64_t j = 0; j < w->hidden; j++) {
        double y = (double)w->value[CW_HIDDEN_BIAS][j];
        for (int64_t k = 0; k < w->n_inputs; k++)
            y += (double)w->value[CW_INPUTS][j * w->n_inputs + k] * x[k];
        y = (y - (double)w->value[CW_MEAN][j]) / sqrt((double)w->value[CW_VAR][j] + 1e-5) *
                (double)w->value[CW_GAMMA][j] +
            (double)w->value[CW_BETA][j];
        for (int c = 0; c < 2; c++)
            z[c] += fmax(y, 0) * (double)w->value[CW_OUTPUT][c * w->hidden + j];
    }
    p[1] = 1 / (1 + exp(z[0] - z[1]));
    p[0] = 1 / (1 + exp(z[1] - z[0]));
}

void classifier_weights_free(struct classifier_weights *w)
{
    for (int t = 0; t < CW_N; t++)
        aster_free(&w->value[t]);
}
