/* SPDX-License-Identifier: BSD-3-Clause */
/* A language model in the files that users bring: which they are, and what they say of the model.
 */
#ifndef ASTER_EMBED_LANGUAGE_H
#define ASTER_EMBED_LANGUAGE_H

#include "flow/internal.h"
#include "flow/pretrained.h"

struct aster_language_file {
    char *weights;   /* as aster_pretrained_open takes it */
    char *config;    /* NULL: the weights say themselves (fair-esm) */
    char *tokenizer; /* NULL: there is none beside the weights */
    int64_t n_shards;
    char **shards; /* of an index */
    /* known once the model is opened: */
    struct aster_language_config c;
    enum aster_dtype precision; /* bf16: f32 with matrices in bf16 */
    char sha256[65]; /* of the weights: of their file, or of the hashes of index and shards */
};
/* weights: a folder as it is downloaded, or a file. config, tokenizer: "" for what lies beside. */
ASTER_CHECKED int aster_language_file_find(struct aster_ctx *ctx, const char *weights,
                                           const char *config, const char *tokenizer,
                                           struct aster_language_file **out);
/* Whether a folder holds weights under one of the names that are looked for. */
bool aster_language_folder(const char *folder);
void aster_language_file_free(struct aster_language_file **f);
/* "ESM-2, 33 layers of width 1280, f32" */
void aster_language_file_text(const struct aster_language_file *f, struct aster_str *out);

int aster_stage_load_language(struct aster_ctx *ctx, void *run, int stage);
/* Finds the files, compares configuration and weights; the stage's slot has the result. */
int aster_stage_load_language_ready(struct aster_ctx *ctx, void *run, int stage);

#endif
