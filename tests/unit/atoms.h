/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of neighbour lists: structures at random, and every list looked through. */
#ifndef ASTER_TESTS_UNIT_ATOMS_H
#define ASTER_TESTS_UNIT_ATOMS_H

#include "unit/files.h"
#include "atoms/atoms.h"

/* Numbers of one stream, in 0..1. */
struct dice {
    uint64_t stream, index;
};
double roll(struct dice *d);

/* n atoms of random elements in a cell whose angles are up to skew away from right ones (0: none,
 * 1: flat); pbc bit k: axis k is periodic; spread: how many cells positions reach over. */
struct aster_structure random_structure(struct dice *d, int64_t n, double edge, double skew,
                                        int pbc, double spread);
/* Order, opposites, ends within first .. first + n - 1, distances, from edge begin on. NULL or what
 * is wrong. */
const char *list_fault(const struct aster_edges *e, int64_t begin, int64_t first,
                       const struct aster_structure *s, double cutoff);
bool same_edges(const struct aster_edges *a, const struct aster_edges *b);
void test_golden_edges(void);

#endif
