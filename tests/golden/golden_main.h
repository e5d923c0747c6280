/* SPDX-License-Identifier: BSD-3-Clause */
/* What golden programs share: errors as fractions of their limits, options, one line per file. */
#ifndef ASTER_TESTS_GOLDEN_MAIN_H
#define ASTER_TESTS_GOLDEN_MAIN_H

#include "backend.h"

/* The largest error as a fraction of its limit, and where */
struct golden_score {
    double worst;
    char at[160];
    bool verbose;
    int64_t n_compared;
};
/* |got - want| / |want| over n values against limit; what is not finite fails. */
void golden_judge(struct golden_score *s, int64_t n, const double *got, const double *want,
                  double limit, const char *fmt, ...) ASTER_PRINTF(6, 7);
void golden_fraction(struct golden_score *s, double fraction, const char *fmt, ...)
    ASTER_PRINTF(3, 4);

struct golden_options {
    const struct aster_backend *be;
    const char *isa;
    bool f64, f32, bf16, verbose, poison, perturb;
    const char *weights; /* NULL: not given */
};
/* All of a golden program but one file: 0 and a score, or an error in the context. */
typedef int golden_check(struct aster_ctx *ctx, const struct golden_options *o, const char *path,
                         struct golden_score *s);
struct golden_program {
    const char *name;
    golden_check *check;
    bool has_weights; /* takes --weights */
};
int golden_main(int argc, char **argv, const struct golden_program *program);

/* The folder of a path, ending in '/', or "" */
ASTER_CHECKED int golden_folder(struct aster_ctx *ctx, const char *path, char **out);

#endif
