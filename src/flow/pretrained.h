/* SPDX-License-Identifier: BSD-3-Clause */
/* Language models that others trained: their configuration, and their weights by the names that
 * files of weights have. */
#ifndef ASTER_PRETRAINED_H
#define ASTER_PRETRAINED_H

#include "io/io.h"
#include "io/weightfile.h"
#include "model/language.h"

/* What config.json says, of models esm and bert (with ALiBi and gates, as DNABERT-S). A model of
 * another build is refused. where: for messages. */
ASTER_CHECKED int aster_pretrained_config_json(struct aster_ctx *ctx, const char *where,
                                               const struct aster_json *j,
                                               struct aster_language_config *out);
ASTER_CHECKED int aster_pretrained_config_read(struct aster_ctx *ctx, const char *path,
                                               struct aster_language_config *out);
/* What a file of fair-esm says of itself; it needs no config.json. */
ASTER_CHECKED int aster_pretrained_config_fair(struct aster_ctx *ctx,
                                               const struct aster_weightfile *f,
                                               struct aster_language_config *out);

/* "drawn:650M" in the place of a file: ESM-2 of a published size, with numbers that are drawn. What
 * it computes means nothing; how long that takes does. */
bool aster_pretrained_is_drawn(const char *path);
ASTER_CHECKED int aster_pretrained_config_drawn(struct aster_ctx *ctx, const char *path,
                                                struct aster_language_config *out);

/* The same as a config.json. */
void aster_pretrained_config_write(const struct aster_language_config *c, struct aster_str *out);

/* A name of another program's file as ours: without prefixes, fair-esm's names translated. */
void aster_pretrained_name(enum aster_language_kind kind, const char *theirs, char *out,
                           size_t size);

/* The file's tensors and the model's parameters, matched: every parameter is there with its shape,
 * every tensor is a parameter or one of those that are known to be not needed. */
struct aster_pretrained;
ASTER_CHECKED int aster_pretrained_open(struct aster_ctx *ctx, const char *path,
                                        const struct aster_language_config *c,
                                        struct aster_pretrained **out);
/* The parameters of a block, for a program of aster_language_program: flat is its PARAM. Several
 * threads may read. */
ASTER_CHECKED int aster_pretrained_read(const struct aster_pretrained *w, int64_t block,
                                        const struct aster_program *p, void *flat);
/* Of layer 0 .. n_layers - 1 of ESM-2: the stored ones, else those of the rule. width / n_heads / 2
 * of them. */
const float *aster_pretrained_frequencies(const struct aster_pretrained *w, int64_t layer);
void aster_pretrained_close(struct aster_pretrained **w);

#endif
