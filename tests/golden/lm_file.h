/* SPDX-License-Identifier: BSD-3-Clause */
/* What the golden programs of language models share: generated weights, errors as fractions of
 * their limits, options. */
#ifndef ASTER_TESTS_LM_FILE_H
#define ASTER_TESTS_LM_FILE_H

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

/* The largest error as a fraction of its limit, and where */
struct lm_score {
    double worst;
    char at[160];
    bool verbose;
};
/* |got - want| / |want| over n values against limit; what is not finite fails. */
void lm_judge(struct lm_score *s, int64_t n, const double *got, const double *want, double limit,
              const char *fmt, ...) ASTER_PRINTF(6, 7);
void lm_fraction(struct lm_score *s, double fraction, const char *fmt, ...) ASTER_PRINTF(3, 4);

struct lm_options {
    const struct aster_backend *be;
    const char *isa;
    bool f64, f32, bf16, verbose, poison, perturb;
};
/* With --perturb: the first parameter of the first layer */
void lm_perturb(const struct lm_options *o, int64_t block, const struct aster_program *p,
                void *flat);
/* All of a golden program but one file: 0 and a score, or an error in the context. */
typedef int lm_check(struct aster_ctx *ctx, const struct lm_options *o, const char *path,
                     struct lm_score *s);
int lm_main(int argc, char **argv, const char *name, lm_check *check);

/* The folder of a path, ending in '/', or "" */
ASTER_CHECKED int lm_folder(struct aster_ctx *ctx, const char *path, char **out);

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
ASTER_CHECKED int lm_walk_run(const struct lm_walk *w, struct lm_score *s);

#endif
