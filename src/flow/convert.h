/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights from one file format to another: those that our trainings write, and those of other
 * programs. */
#ifndef ASTER_CONVERT_H
#define ASTER_CONVERT_H

#include "base/base.h"

/* in: a run folder or what a training wrote; else the folder of a language model or a file of
 * weights. out ends in .h5 or .safetensors. reals: the number format; ASTER_N_DTYPES: f32 of a
 * trained model, as they are stored of others. What else is needed to use a language model, its
 * config.json and tokenizer.json, comes to lie beside out; replace: whatever is there. */
ASTER_CHECKED int aster_convert(struct aster_ctx *ctx, const char *in, const char *out,
                                enum aster_dtype reals, bool replace);

#endif
