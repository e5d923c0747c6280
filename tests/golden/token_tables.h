/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of token ids that other programs made: texts with their ids, and windows of genomes with a
 * hash of theirs. */
#ifndef ASTER_TESTS_TOKEN_TABLES_H
#define ASTER_TESTS_TOKEN_TABLES_H

#include "io/tokens.h"

struct tokenizer {
    struct aster_ctx *ctx;
    struct aster_bpe *bpe;
    struct aster_bpe_room *room;
    int32_t *ids;
    int64_t n, cap;
};
ASTER_CHECKED int tokenizer_open(struct aster_ctx *ctx, const char *path, struct tokenizer *t);
void tokenizer_close(struct tokenizer *t);
ASTER_CHECKED int tokenizer_encode(struct tokenizer *t, const char *text,
                                   int64_t n); /* to ids, n */

bool token_ids_same(const int32_t *ids, int64_t n,
                    const char *numbers); /* numbers: separated by blanks */
/* The bases of a record in upper case. */
ASTER_CHECKED int token_record(struct aster_ctx *ctx, const char *path, const char *record,
                               char **out);

/* Columns text, ids, or those of windows, whose files lie in genomes: how many lines, how many
 * differ. */
ASTER_CHECKED int token_table(struct tokenizer *t, const char *path, const char *genomes,
                              int64_t *lines, int64_t *wrong);

#endif
