/* SPDX-License-Identifier: BSD-3-Clause */
/* A structure as a search sees it that has its positions elsewhere, in the memory of a GPU for
 * instance. Plain data. */
#ifndef ASTER_ATOMS_BOX_H
#define ASTER_ATOMS_BOX_H

#include "base/base.h"

struct aster_structure;

/* In the orthonormal frame whose rows are frame, the vector of the k-th periodic axis is row k of
 * lattice and has no component before k. Edges are the pairs whose squared distance in the working
 * precision, from the lower to the higher atom, is at most most_d2; none of them is farther than
 * reach in the frame, whatever rounding does. */
struct aster_box {
    int64_t first, n; /* its atoms among those of all structures: the caller's to set */
    double cell[9];   /* rows are the vectors; in the working precision, zero where not periodic */
    double frame[9], lattice[9];
    double reach, most_d2;
    int32_t n_axes, axis[3]; /* periodic ones */
    int32_t added;           /* to the numbers of atoms in a list: the caller's to set */
    int32_t unused;
};
/* Fails where aster_edges_add would before it looks at pairs; most: as in struct aster_edges. */
ASTER_CHECKED int aster_box_make(struct aster_ctx *ctx, const struct aster_structure *s,
                                 double cutoff, bool single, int64_t most, struct aster_box *out);
/* About how many edges there are: for room, which may turn out too little. */
double aster_box_edges(const struct aster_box *b, double cutoff);

#endif
