/* SPDX-License-Identifier: BSD-3-Clause */
/* Compares a model's results with a golden file, every error as a fraction of its limit. */
#ifndef ASTER_TESTS_RCL_CHECK_H
#define ASTER_TESTS_RCL_CHECK_H

#include "golden/rcl_net.h"

struct score {
    double
        worst; /* largest error as a fraction of its limit; infinite when something is not finite */
    char at[160];    /* where */
    bool verbose;    /* every quantity to stderr */
    bool passed_f64; /* f32: the same file passes in double, so that plateaus excuse a little (see
                        rcl_limits.h) */
};
ASTER_CHECKED int check_file(struct golden *g, const struct aster_backend *be,
                             enum aster_dtype real, struct score *s);

#endif
