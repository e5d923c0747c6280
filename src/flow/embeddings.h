/* SPDX-License-Identifier: BSD-3-Clause */
/* A file of residue vectors made before: rows of one protein at a time, never the whole file. */
#ifndef ASTER_EMBEDDINGS_H
#define ASTER_EMBEDDINGS_H

#include "flow/internal.h"

struct aster_embeddings;
ASTER_CHECKED int aster_embeddings_open(struct aster_ctx *ctx, const char *path,
                                        const char *encoding, int64_t dim, int64_t max_length,
                                        struct aster_embeddings **out);
/* A store of names and lengths alone, for simulations: entries are added, rows are not there. */
ASTER_CHECKED int aster_embeddings_new(struct aster_ctx *ctx, const char *name, int64_t dim,
                                       struct aster_embeddings **out);
ASTER_CHECKED int aster_embeddings_add(struct aster_embeddings *e, const char *id,
                                       const char *sequence);
void aster_embeddings_free(struct aster_embeddings **e);
const char *aster_embeddings_path(const struct aster_embeddings *e);
/* The proteins of the store with their labels; NULL when it has no labels. Their key is their
 * number. */
const struct aster_proteins *aster_embeddings_proteins(const struct aster_embeddings *e);
/* Number of the entry with this id and sequence; -1 and a reason when there is none. */
int64_t aster_embeddings_find(const struct aster_embeddings *e, const char *id,
                              const char *sequence, const char **why);
/* Rows for aster_encoding.rows: arg is the store. Thread-safe. */
int aster_embeddings_rows(void *arg, int64_t key, int64_t length, float *out);
/* enc becomes what the model of this name reads: a table, or rows of the store (error without one).
 */
ASTER_CHECKED int aster_encoding_choose(struct aster_ctx *ctx, const char *name,
                                        struct aster_embeddings *e, struct aster_encoding *enc);
/* The error of that, from the name alone. */
ASTER_CHECKED int aster_encoding_ready(struct aster_ctx *ctx, const char *name, bool has_store);
/* The key of a protein for that encoding: 0 for tables; -1 and a reason when the store has none. */
int64_t aster_encoding_key(const struct aster_embeddings *e, const struct aster_encoding *enc,
                           const struct aster_protein *p, const char **why);

#endif
