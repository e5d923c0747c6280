/* SPDX-License-Identifier: BSD-3-Clause */
/* What the golden programs of language models share: generated weights, errors as fractions of
 * their limits, options. */
#ifndef ASTER_TESTS_LM_FILE_H
#define ASTER_TESTS_LM_FILE_H

#include "golden/golden_main.h"
#include "golden/lm_net.h"
#include "io/io.h"

/* r(name, 0 .. n - 1) in [-1, 1) times a, plus shift: the generator of the golden files */
void lm_generate(const char *name, int64_t seed, int64_t n, float a, float shift, float *out);

/* The parameters of a block, one by one from one(): theirs are the reference's layout */
typedef void lm_one(void *arg, const char *name, const struct aster_param_info *info,
                    float *theirs);
ASTER_CHECKED int lm_generate_block(struct aster_ctx *ctx, const struct aster_language_config *c,
                                    int64_t block, const struct aster_program *p, lm_one *one,
                                    void *arg, void *flat);

/* With --perturb: the first parameter of the first layer */
void lm_perturb(const struct golden_options *o, int64_t block, const struct aster_program *p,
                void *flat);
/* Batches: each sequence alone, then all of them back to back, in their order and in reverse. Every
 * sequence has the bits that it has alone; at is called with rows of width doubles of a sequence
 * alone, after each block. */
struct lm_walk {
    struct lm_net *net;
    const struct lm_tokens *tokens;
    int64_t n;
    void *arg;
    int (*at)(void *arg, int64_t block, int64_t sequence, const double *rows);
};
ASTER_CHECKED int lm_walk_run(const struct lm_walk *w, struct golden_score *s);

#endif
