/* SPDX-License-Identifier: BSD-3-Clause */
/* The embedding stage from the inside: its parts while they are computed. For stage_embed.c,
 * embed_batches.c and embed_time.c only. */
#ifndef ASTER_EMBED_INTERNAL_H
#define ASTER_EMBED_INTERNAL_H

#include "flow/embed_language.h"
#include "flow/embed_read.h"

#include <pthread.h>

struct embed {
    struct aster_run *run;
    struct aster_ctx *ctx;
    int stage;
    const char *id;
    const struct aster_language_file *language;
    int64_t n_layers, *layers;
    bool rows, mean;
    struct aster_embed_reader reader;
    struct aster_store *store;
    struct aster_runtime *rt;
    struct aster_embedder *embedder; /* made for the first part that is not there yet */
    struct aster_str device;
    int64_t n_skipped, open_bytes; /* open_bytes: vectors of open parts, before another is read */
    struct aster_embed_part *open, **last; /* submitted, in order */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* What the stage's options say, into an embed that knows run, ctx, stage, id and language. */
ASTER_CHECKED int embed_options(struct embed *e);
/* The embedder, if it is not there yet; memory: bytes that it takes at most, 0: all that are free
 */
ASTER_CHECKED int embed_make(struct embed *e, int64_t memory);
/* The batches of a part that has its units go to the workers. */
ASTER_CHECKED int embed_submit_part(struct embed *e, struct aster_embed_part *p);
/* Ends and commits the part that was submitted first. flush: its batches may still be kept back. */
ASTER_CHECKED int embed_finish_first(struct embed *e, bool flush);
/* Parts go on being computed while the next ones are read: as many as keep the workers busy. */
ASTER_CHECKED int embed_finish_some(struct embed *e);
void embed_free_part(struct aster_embed_part **p);

#endif
