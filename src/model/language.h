/* SPDX-License-Identifier: BSD-3-Clause */
/* Language models of proteins (ESM-2) and DNA (DNABERT-S), as blocks: one program each, which run
 * one after the other over sequences back to back. All layers are one program with their own
 * parameters, so that what is in memory at a time can be one layer. */
#ifndef ASTER_LANGUAGE_H
#define ASTER_LANGUAGE_H

#include "program/program.h"

enum aster_language_kind { ASTER_LANGUAGE_ESM2, ASTER_LANGUAGE_DNABERT };
struct aster_language_config {
    enum aster_language_kind kind;
    int64_t n_layers, width, n_heads, inner; /* inner: width between the two products of a layer */
    int64_t n_ids,
        n_types; /* n_types: kinds of tokens that DNABERT-S has rows for; the first is used */
    double eps;  /* of the layer norms */
};
ASTER_CHECKED int
aster_language_check(struct aster_ctx *ctx,
                     const struct aster_language_config *c); /* ranges of every field */

/* LAST: ESM-2's norm behind the layers; DNABERT-S has none. */
enum aster_language_part { ASTER_PART_EMBED, ASTER_PART_LAYER, ASTER_PART_LAST };
int64_t aster_language_n_blocks(const struct aster_language_config *c);
enum aster_language_part aster_language_part_of(const struct aster_language_config *c,
                                                int64_t block);
/* The reference's name of a parameter of a block: its name in the program behind "encoder.layer.3."
 * or the like. No prefix "esm." or "bert.". */
void aster_language_param_name(const struct aster_language_config *c, int64_t block,
                               const struct aster_param_info *info, char *out, size_t size);

/* BF16: evaluation with f32, and matrices kept in bf16. */
enum aster_language_use { ASTER_LANGUAGE_EVAL, ASTER_LANGUAGE_BF16, ASTER_LANGUAGE_TRAIN };

/* Symbols: N rows (tokens of all sequences), Q sequences, M rows of the longest.
 * Inputs of EMBED: ids i32 [N]; ESM-2: factor real [N, 1] (aster_esm2_factors). Of the others: x
 * real [N, width]. Facts of layers: starts i32 [Q + 1] (row of each sequence's first token, and N),
 * ESM-2: position i32 [N] (of a token in its sequence, from 0) and turn real [M, width / n_heads]
 * (aster_esm2_turns), DNABERT-S: slopes real [n_heads] (aster_alibi_slopes). Output: y real [N,
 * width]. For training also the input dy, the output dx (not of EMBED), and every gradient in GRAD.
 */
ASTER_CHECKED int aster_language_program(struct aster_ctx *ctx,
                                         const struct aster_language_config *c,
                                         enum aster_language_part part, enum aster_dtype real,
                                         enum aster_language_use use, struct aster_program **out);

/* What ESM-2 multiplies the rows of one sequence by: 0 where a token is masked, else (1 - 0.15 0.8)
 * / (1 - share of masked ones). */
void aster_esm2_factors(int64_t n, const int32_t *ids, double *factor);
/* The frequencies of a model that brings none, n = width / n_heads / 2 of them: in single
 * precision, rounded to half. */
void aster_esm2_frequencies(int64_t n, float *frequency);
/* Cosines, then sines, of n frequencies at each position: [n_positions, 2 n] */
void aster_esm2_turns(int64_t n, const float *frequency, int64_t n_positions, double *turn);
/* What ALiBi takes off a score per position of distance, for each head. */
void aster_alibi_slopes(int64_t n_heads, double *slope);

#endif
