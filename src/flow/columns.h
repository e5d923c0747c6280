/* SPDX-License-Identifier: BSD-3-Clause */
/* The items of a shard as arrays, the form in which they are in files. */
#ifndef ASTER_COLUMNS_H
#define ASTER_COLUMNS_H

#include "flow/shard.h"

struct aster_columns {
    struct aster_str ids, reasons;
    int64_t n, n_prob, *id_at, *reason_at, *prob_at, *hash, *length; /* *_at: [n + 1] */
    int32_t *status, *start, *end; /* start, end: 1-based inclusive; 0, 0: none */
    double *confidence;
    float *prob; /* [n_prob] */
};
ASTER_CHECKED int aster_columns_of(struct aster_ctx *ctx, const struct aster_shard *s,
                                   struct aster_columns *out);
ASTER_CHECKED int aster_columns_to(struct aster_ctx *ctx, const struct aster_columns *c,
                                   struct aster_shard *s); /* s has room for n */
ASTER_CHECKED int aster_columns_write(struct aster_h5 *f, const struct aster_columns *c);
ASTER_CHECKED int aster_columns_read(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                                     int64_t n, struct aster_columns *out);
struct aster_column_totals {
    int64_t n, id_bytes, reason_bytes, prob;
};
/* Appends to the datasets of a file of many shards; t begins as zeros. */
ASTER_CHECKED int aster_columns_append(struct aster_h5 *f, struct aster_columns *c,
                                       struct aster_column_totals *t);
void aster_columns_free(struct aster_columns *c);

/* A text as a dataset of bytes; an empty one is left out. */
ASTER_CHECKED int aster_bytes_write(struct aster_h5 *f, const char *name,
                                    const struct aster_str *s);
ASTER_CHECKED int aster_bytes_read(struct aster_ctx *ctx, struct aster_h5 *f, const char *name,
                                   struct aster_str *out);

#endif
