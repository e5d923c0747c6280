/* SPDX-License-Identifier: BSD-3-Clause */
/* Weight files against their expected tensors, values and, where there is one, the classifier made
 * of them. */
#ifndef ASTER_TESTS_WEIGHTFILES_CHECK_H
#define ASTER_TESTS_WEIGHTFILES_CHECK_H

#include "io/weightfile.h"

struct counts {
    int64_t tensors, numbers, values, rows; /* compared */
    bool no_input;   /* of a classifier: it lies elsewhere in the data and is not there */
    char wrong[400]; /* the first difference, "" when there is none */
};
/* The whole of f against a group of the file of expectations. folder: of the cases, for inputs that
 * lie elsewhere in the data. values: texts and numbers too, not only tensors. A negative code when
 * a file cannot be read; a difference is left in c->wrong. */
ASTER_CHECKED int check_weightfile(struct aster_ctx *ctx, const struct aster_weightfile *f,
                                   struct aster_h5 *expected, const char *group, const char *folder,
                                   bool values, struct counts *c);
/* Every element of every tensor is read. */
ASTER_CHECKED int read_weightfile(struct aster_ctx *ctx, const struct aster_weightfile *f);

#endif
