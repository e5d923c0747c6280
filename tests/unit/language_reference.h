/* SPDX-License-Identifier: BSD-3-Clause */
/* Language models in plain loops of doubles, one sequence at a time: what the blocks are held
 * against. */
#ifndef ASTER_TESTS_LANGUAGE_REFERENCE_H
#define ASTER_TESTS_LANGUAGE_REFERENCE_H

#include "model/language.h"

struct reference {
    const struct aster_language_config *c;
    /* a tensor in the reference's layout, by its name without prefix */
    const double *(*tensor)(void *arg, const char *name);
    void *arg;
};
/* out [n, width] */
void reference_run(const struct reference *r, int64_t n, const int32_t *ids, double *out);

#endif
