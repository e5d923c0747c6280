/* SPDX-License-Identifier: BSD-3-Clause */
/* Predictions of consecutive items, committed one shard at a time. */
#ifndef ASTER_SHARD_H
#define ASTER_SHARD_H

#include "flow/store.h"

enum aster_text { /* what a shard adds to the files of the whole run */
                  ASTER_TEXT_FAILED,
                  ASTER_TEXT_TSV,
                  ASTER_TEXT_CSV,
                  ASTER_TEXT_SEQ_FASTA,
                  ASTER_TEXT_RCL_FASTA,
                  ASTER_TEXT_ANNOTATED,
                  ASTER_N_TEXTS
};

struct aster_item {
    char *id, *sequence; /* sequence: NULL once it is not needed any more */
    int64_t length, key; /* key: for aster_encoding.rows */
    uint64_t hash;       /* of the sequence */
    int64_t begin, end;  /* found loop, 0-based half-open; -1, -1: none */
    double confidence;
    int32_t status; /* 0, or an ASTER_E code */
    char *reason;   /* of a status that is not 0 */
    float *prob;    /* [length] or NULL */
};

struct aster_shard {
    int64_t index, first, n;
    struct aster_item *items;
    struct aster_str text[ASTER_N_TEXTS];
    int64_t pending;          /* batches without a result, used while it is computed */
    bool dropped;             /* the run is ending without it */
    struct aster_shard *next; /* in a queue */
};
ASTER_CHECKED int aster_shard_new(struct aster_ctx *ctx, int64_t index, int64_t first, int64_t cap,
                                  struct aster_shard **out);
void aster_shard_free(struct aster_shard **s);

ASTER_CHECKED int aster_shard_commit(struct aster_ctx *ctx, struct aster_store *s,
                                     const struct aster_shard *shard);
/* A file that the store has named */
ASTER_CHECKED int aster_shard_read(struct aster_ctx *ctx, const char *path, int64_t index,
                                   struct aster_shard **out);
/* ASTER_EFORMAT when the file is not what was committed. */
ASTER_CHECKED int aster_shard_load(struct aster_ctx *ctx, struct aster_store *s, int64_t index,
                                   struct aster_shard **out);

/* The files of a finished run, in one pass over its shards: results.h5, and text files made of a
 * head and a text of every shard. */
struct aster_results_file {
    enum aster_text which;
    const char *head, *name;
};
ASTER_CHECKED int aster_results_write(struct aster_run *run, struct aster_store *s,
                                      int64_t n_shards, int n_files,
                                      const struct aster_results_file *files,
                                      int (*visit)(void *arg, const struct aster_shard *shard),
                                      void *arg);

#endif
