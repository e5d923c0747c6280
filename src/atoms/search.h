/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of src/atoms: what both ways to find neighbours share. */
#ifndef ASTER_ATOMS_SEARCH_H
#define ASTER_ATOMS_SEARCH_H

#include "atoms/atoms.h"

/* One structure, looked through. Positions are also seen in an orthonormal frame whose vectors
 * 0..n_axes-1 belong to the periodic axes in their order, such that the cell vector of the k-th
 * has no component before k: images are told apart by one coordinate after the other. Pairs are
 * looked for within reach, which is wider than the cutoff by what rounding may do, and what is not
 * sure is decided by aster_search_near alone. */
struct aster_search {
    struct aster_ctx *ctx;
    const struct aster_structure *s;
    int64_t first; /* added to the numbers of atoms */
    bool single;
    double cutoff, most_d2; /* in the working precision: sqrt(d2) <= cutoff is d2 <= most_d2 */
    double reach;
    double sure; /* the square of the distance in the frame up to which a pair is an edge whatever
                    rounding does; negative: none is */
    double cell[9]; /* in the working precision; zero where not periodic */
    int n_axes, axis[3];
    double frame[3][3], lattice[3][3]; /* lattice[k]: cell vector axis[k] in the frame */
    int64_t begin, most;               /* edges of the list before, and of the structure at most */
    bool want_gap;
    double most_near, least_far; /* d2 of pairs within the cutoff, and beyond */
};

enum { ASTER_CALLED = 120, ASTER_MOST_PERIODIC = 24 }; /* periodic: so many atoms by all pairs */
/* "structure 'a'", for messages */
const char *aster_search_called(const struct aster_search *q, char text[ASTER_CALLED]);
/* Fails where a list would be endless or too long. */
ASTER_CHECKED int aster_search_begin(struct aster_search *q, struct aster_ctx *ctx, int64_t first,
                                     const struct aster_structure *s, double cutoff, bool single,
                                     bool want_gap);
/* The list has begin edges so far, and the structure may add most (0: INT32_MAX). */
ASTER_CHECKED int aster_search_limit(struct aster_search *q, int64_t begin, int64_t most);
int aster_search_too_many(const struct aster_search *q); /* fails */
/* Position of atom i, in the working precision, in the frame. */
void aster_search_locate(const struct aster_search *q, int64_t i, double u[3]);
/* Both leave e->reverse of the new edges unset. next[i]: the first edge of atom i. */
ASTER_CHECKED int aster_search_pairs(struct aster_search *q, struct aster_edges *e, int32_t *next);
ASTER_CHECKED int aster_search_cells(struct aster_search *q, struct aster_edges *e, int32_t *next);
void aster_cells_free(struct aster_edges *e); /* what aster_search_cells keeps in it */
/* Sets reverse of the edges from begin on; uses next up. */
void aster_edges_link(struct aster_edges *e, int64_t begin, int64_t first, int32_t *next);
/* Room for n more. */
ASTER_CHECKED int aster_search_reserve(const struct aster_search *q, struct aster_edges *e,
                                       int64_t n);
int aster_search_no_memory(const struct aster_search *q); /* fails */

/* The square of the distance, computed from the lower to the higher atom, so that both edges of a
 * pair have the same. */
static inline double aster_search_d2(const struct aster_search *q, int64_t low, int64_t high,
                                     const int32_t shift[3])
{
    const double *a = q->s->position + 3 * low, *b = q->s->position + 3 * high, *c = q->cell;
    if (q->single) {
        float d[3], s[3] = {(float)shift[0], (float)shift[1], (float)shift[2]};
        for (int k = 0; k < 3; k++)
            d[k] = (float)b[k] +
                   (s[0] * (float)c[k] + s[1] * (float)c[3 + k] + s[2] * (float)c[6 + k]) -
                   (float)a[k];
        return (double)(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    }
    double d[3];
    for (int k = 0; k < 3; k++)
        d[k] = b[k] + (shift[0] * c[k] + shift[1] * c[3 + k] + shift[2] * c[6 + k]) - a[k];
    return d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
}

/* Is the pair of atom dst and the image of src an edge? The same answer for both its edges. */
static inline bool aster_search_near(struct aster_search *q, int64_t dst, int64_t src,
                                     const int32_t shift[3])
{
    const int32_t back[3] = {-shift[0], -shift[1], -shift[2]};
    bool turn = dst > src,
         behind = dst == src && (shift[0] < 0 || (shift[0] == 0 && shift[1] < 0) ||
                                 (shift[0] == 0 && shift[1] == 0 && shift[2] < 0));
    double d2 = turn     ? aster_search_d2(q, src, dst, back)
                : behind ? aster_search_d2(q, src, dst, back)
                         : aster_search_d2(q, dst, src, shift);
    bool near = d2 <= q->most_d2;
    if (q->want_gap && near && d2 > q->most_near)
        q->most_near = d2;
    if (q->want_gap && !near && d2 < q->least_far)
        q->least_far = d2;
    return near;
}

#endif
