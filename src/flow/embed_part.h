/* SPDX-License-Identifier: BSD-3-Clause */
/* Consecutive records of an input and their vectors: a part of an embedding run, as it is computed
 * and as it is kept. */
#ifndef ASTER_EMBED_PART_H
#define ASTER_EMBED_PART_H

#include "flow/embedder.h"
#include "flow/store.h"

/* ---- long sequences ---- */
enum aster_embed_over { ASTER_OVER_ERROR, ASTER_OVER_TRUNCATE, ASTER_OVER_WINDOWS };
/* Residues begin .. begin + n - 1, of which rows own .. own + n_own - 1 are taken. */
struct aster_embed_window {
    int64_t begin, n, own, n_own;
};
int64_t aster_embed_n_windows(int64_t length, int64_t most, int64_t overlap);
/* Window i: as long as the others, each overlap residues or more over the one before, the last ends
 * with the sequence. A residue's row is taken from the window whose cut ends are farthest from it,
 * the earlier of two. */
struct aster_embed_window aster_embed_window(int64_t length, int64_t most, int64_t overlap,
                                             int64_t i);

/* ---- a part ---- */
struct aster_embed_entry {
    char *id, *sequence;  /* sequence: the residues that have vectors */
    int64_t length, kept; /* residues of the record; those that have vectors */
    int64_t odd;          /* letters without a token */
    uint64_t hash;        /* of the whole sequence */
    int32_t status;       /* 0, or an ASTER_E code */
    char *reason;         /* of a status that is not 0 */
    int64_t row;          /* of its first residue in the part */
    int64_t unit, n_units;
};
struct aster_embed_unit { /* what goes into a batch as one sequence */
    struct aster_embed_window w;
    int64_t entry, ids; /* ids: where its tokens begin */
    int32_t status;
    bool is_tried; /* alone */
};
struct aster_embed_part {
    struct aster_ctx *ctx;
    int64_t index, first, n, cap; /* first: number of the first record, from 0 */
    struct aster_embed_entry *entry;
    int64_t n_units, cap_units, n_ids, cap_ids;
    struct aster_embed_unit *unit;
    int32_t *ids;
    int64_t n_rows, n_layers, width;
    float *values;              /* [n_layers, n_rows, width]; NULL unless rows are wanted */
    float *mean;                /* [n_layers, n, width]; NULL unless means are wanted */
    float *unit_mean;           /* [n_units, n_layers, width] */
    const char *device;         /* kinds of devices that compute */
    int64_t n_batches, pending; /* submitted, of what can be computed; without result */
    void *batches;              /* list of the stage's */
    struct aster_embed_part *next;
};
ASTER_CHECKED int aster_embed_part_new(struct aster_ctx *ctx, int64_t index, int64_t first,
                                       struct aster_embed_part **out);
void aster_embed_part_free(struct aster_embed_part **p);
/* Takes id and sequence, also when it fails. */
ASTER_CHECKED int aster_embed_part_add(struct aster_embed_part *p, char *id, char *sequence,
                                       int64_t length);
void aster_embed_entry_fail(struct aster_ctx *ctx, struct aster_embed_entry *x, int32_t status,
                            const char *reason);
ASTER_CHECKED int aster_embed_part_commit(struct aster_store *s, struct aster_embed_part *p);
/* Whether the store has this very part; if so how many of its entries failed, and their lines for
 * the ledger. */
ASTER_CHECKED int aster_embed_part_done(struct aster_store *s, const struct aster_embed_part *p,
                                        const char *stage, bool *done, int64_t *n_failed,
                                        struct aster_str *ledger);

/* ---- the files of a finished run ---- */
struct aster_embed_output {
    struct aster_run *run;
    const char *stage;
    struct aster_store *store;
    int64_t n_parts, n_layers, width;
    const int64_t *layers; /* ascending */
    bool rows, mean, h5, npz;
    const char *model, *weights, *weights_sha256, *precision;
    const char *over, *unknown;
    int64_t max_length, overlap;
    int64_t n, failed, residues, odd, longer, longest, longest_id; /* counted while written; longer:
                                                                      than max_length */
};
ASTER_CHECKED int aster_embed_write(struct aster_embed_output *o);
/* Whether n sequences of this length fit into an .npz file; an error if not. */
ASTER_CHECKED int aster_embed_npz_fits(struct aster_ctx *ctx, int64_t n, int64_t longest,
                                       int64_t width, int64_t n_layers, bool rows);

/* Batches of the stage's input, over and over, with a clock around them: warmup of them, or one per
 * worker that computes where that is more, then t->steps. */
struct aster_timing;
ASTER_CHECKED int aster_embed_time(struct aster_run *run, int stage, struct aster_runtime *rt,
                                   int64_t warmup, struct aster_timing *t);

int aster_stage_embed(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_embed_ready(struct aster_ctx *ctx, void *run, int stage);

#endif
