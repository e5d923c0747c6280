/* SPDX-License-Identifier: BSD-3-Clause */
/* A model over a stream of items: batches in flight, shards committed as they fill, earlier shards
 * trusted. */
#ifndef ASTER_INFER_H
#define ASTER_INFER_H

#include "flow/embeddings.h"
#include "flow/shard.h"

struct aster_infer_config {
    struct aster_run *run;
    const char *stage; /* for the ledger and the progress */
    struct aster_store *store;
    const struct aster_weights *weights;
    const struct aster_encoding *enc;
    struct aster_embeddings *embeddings; /* NULL for tables */
    double threshold;
    int64_t min_consecutive, min_length; /* shorter loops count as none */
    int64_t batch_size, shard_size;
    int64_t max_open; /* items read and not yet committed */
    int64_t total;    /* items, -1: unknown */
    bool keep_prob;
    /* 1: the next item (owned by the caller from now on), 0: end, or an error */
    int (*next)(void *arg, struct aster_item *out);
    /* Makes the texts of a shard whose items are done; called by one thread at a time. May be NULL.
     */
    int (*render)(void *arg, struct aster_shard *shard);
    void *arg;
};
struct aster_infer_result {
    int64_t items, shards, skipped;
};
/* ASTER_ESTOP after a stop request, with every full shard committed. */
ASTER_CHECKED int aster_infer(const struct aster_infer_config *c, struct aster_infer_result *out);

#endif
