/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders as users download them, of language models whose weights are drawn. */
#ifndef ASTER_TESTS_RANDOM_MODEL_H
#define ASTER_TESTS_RANDOM_MODEL_H

#include "model/language.h"

/* Writes config.json and model.safetensors with the names of transformers, and for DNA a
 * tokenizer.json of c->n_ids tokens. t: f32 or bf16. One tensor is in memory at a time. */
ASTER_CHECKED int random_model_write(struct aster_ctx *ctx, const struct aster_language_config *c,
                                     uint64_t seed, enum aster_dtype t, const char *folder);

#endif
