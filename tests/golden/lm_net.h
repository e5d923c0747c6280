/* SPDX-License-Identifier: BSD-3-Clause */
/* A language model of a golden file, block by block without tasks, over sequences back to back. */
#ifndef ASTER_TESTS_LM_NET_H
#define ASTER_TESTS_LM_NET_H

#include "model/language.h"

struct lm_source { /* where parameters come from */
    void *arg;
    int (*read)(void *arg, int64_t block, const struct aster_program *p, void *flat);
    const float *(*frequencies)(void *arg, int64_t layer); /* ESM-2 */
};

struct lm_net {
    struct aster_ctx *ctx;
    const struct aster_backend *be;
    enum aster_dtype real;
    bool is_half; /* matrices in bf16 */
    struct aster_language_config c;
    struct lm_source source;
    struct aster_program *eval[3], *train[3]; /* by part */
    int64_t block;                            /* whose parameters these are */
    void *params, *grad;
};
/* t: f64, f32, or bf16 for f32 with matrices in bf16 */
ASTER_CHECKED int lm_net_new(struct aster_ctx *ctx, const struct aster_backend *be,
                             enum aster_dtype t, const struct aster_language_config *c,
                             const struct lm_source *source, bool training, struct lm_net *n);
ASTER_CHECKED int lm_net_load(struct lm_net *n, int64_t block);
void lm_net_free(struct lm_net *n);

struct lm_tokens {
    int32_t *ids;
    int64_t n;
};
/* Some sequences, and the rows that the last block gave; with keep also those before each block. */
struct lm_batch {
    struct lm_net *net;
    int64_t n, rows, longest;
    int64_t *which; /* of the file's sequences */
    int32_t *ids, *starts, *position;
    double *factor, *slope;
    bool keep;
    void *y, **before; /* before: by block */
};
/* Sequences which[0 .. n - 1] of all, in this order */
ASTER_CHECKED int lm_batch_new(struct lm_net *net, const struct lm_tokens *all, int64_t n,
                               const int64_t *which, bool keep, struct lm_batch *b);
/* The loaded block over the rows that are there; afterwards these are its results. */
ASTER_CHECKED int lm_batch_forward(struct lm_batch *b);
/* From dy [rows, width] real, which becomes dx, and gradients in net->grad. Needs keep. */
ASTER_CHECKED int lm_batch_backward(struct lm_batch *b, void *dy);
/* Rows of the k-th sequence of the batch */
const void *lm_batch_rows(const struct lm_batch *b, int64_t k);
void lm_batch_free(struct lm_batch *b);

/* n reals as doubles, and back */
void lm_widen(enum aster_dtype t, int64_t n, const void *x, double *out);
void lm_narrow(enum aster_dtype t, int64_t n, const double *x, void *out);

#endif
