/* SPDX-License-Identifier: BSD-3-Clause */
/* The test of optimizer steps and gradient sums, for any table. */
#ifndef ASTER_TESTS_UPDATE_CHECK_H
#define ASTER_TESTS_UPDATE_CHECK_H

#include "backend.h"

/* on: where the table's kernels run, NULL for the CPU's */
void update_check(const struct aster_backend *be, struct aster_device *on);
void update_check_sees(const struct aster_backend *be); /* that a wrong result would fail */

#endif
