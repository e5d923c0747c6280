/* SPDX-License-Identifier: BSD-3-Clause */
/* Model builders: they emit program ops and nothing else. */
#ifndef ASTER_MODEL_H
#define ASTER_MODEL_H

#include "program/program.h"

enum aster_model_kind { ASTER_MODEL_CNN, ASTER_MODEL_UNET, ASTER_MODEL_LSTM, ASTER_N_MODEL_KINDS };
#define ASTER_MODEL_MAX_LAYERS 16

struct aster_model_config { /* of the per-residue labelling models */
    enum aster_model_kind kind;
    enum aster_products products; /* of its programs of f32; no file of weights says it */
    int64_t input_dim, max_length;
    /* cnn */
    int n_layers;
    int64_t channels[ASTER_MODEL_MAX_LAYERS], kernel_sizes[ASTER_MODEL_MAX_LAYERS];
    /* unet */
    int64_t base_filters;
    int depth;
    bool attention;
    /* lstm */
    int64_t hidden_dim;
    int num_layers;
    double dropout;
};
enum aster_program_use { ASTER_USE_TRAIN, ASTER_USE_EVAL };
struct aster_model_loss {
    double class_weights[2];
    bool sync_bn;
};

void aster_model_defaults(enum aster_model_kind kind, int64_t input_dim,
                          struct aster_model_config *out);
ASTER_CHECKED int aster_model_check(struct aster_ctx *ctx,
                                    const struct aster_model_config *c); /* ranges of every field */
const char *aster_model_name(enum aster_model_kind kind);
/* Symbols: B (samples of the shard), L (positions: bind it to max_length, by which the unet chooses
 * its resizes), BG (samples of the whole batch; only with sync_bn), S (lstm only: positions for
 * which there are results, at most L; no sample may be longer). Inputs: x real [B, L, D] ([L, B, D]
 * for lstm), labels u8 [B, L] ([L, B]) with 255 for padding, n f64 [1] (counted residues of the
 * whole batch). Outputs: probs real [B, L, 2] ([S, B, 2]), logits the same, loss f64 [1] (eval
 * programs have it too); TRAIN: every gradient in GRAD. */
ASTER_CHECKED int aster_model_program(struct aster_ctx *ctx, const struct aster_model_config *c,
                                      enum aster_dtype real, enum aster_program_use use,
                                      const struct aster_model_loss *loss,
                                      struct aster_program **out);
/* Positions of a sample where batch normalisation sees the fewest; 0 for a model without any. */
int64_t aster_model_norm_length(const struct aster_model_config *c);
bool aster_model_time_major(enum aster_model_kind kind);

#endif
