/* SPDX-License-Identifier: BSD-3-Clause */
/* Single numbers of arrays whose type is known when a test runs. */
#ifndef ASTER_TESTS_REALS_H
#define ASTER_TESTS_REALS_H

#include "base/base.h"

static inline void put_real(enum aster_dtype t, void *to, int64_t k, double x)
{
    if (t == ASTER_F64)
        ((double *)to)[k] = x;
    else
        ((float *)to)[k] = (float)x;
}

static inline double get_real(enum aster_dtype t, const void *from, int64_t k)
{
    return t == ASTER_F64 ? ((const double *)from)[k] : (double)((const float *)from)[k];
}

#endif
