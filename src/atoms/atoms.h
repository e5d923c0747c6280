/* SPDX-License-Identifier: BSD-3-Clause */
/* Molecules and crystals: what they consist of, who is near whom, and the elements. Sees no
 * files. Angstrom, eV, amu. */
#ifndef ASTER_ATOMS_H
#define ASTER_ATOMS_H

#include "base/base.h"

enum { ASTER_MAX_ELEMENT = 118 };

/* One molecule or crystal. Made by aster_structure_new; fields may be set by hand. */
struct aster_structure {
    char *name; /* may be NULL */
    int64_t n;
    int32_t *number;  /* [n], 1 is hydrogen */
    double *position; /* [n][3] */
    double cell[9];   /* rows are the vectors */
    bool pbc[3];
    bool has_cell;
    bool has_energy, has_forces, has_stress;
    double energy;
    double *force;    /* [n][3], NULL without has_forces */
    double stress[6]; /* xx yy zz yz xz xy */
    double *velocity; /* [n][3] in Angstrom / sqrt(amu / eV) Angstrom, or NULL */
};
/* n atoms with number 0 at 0, without a name; with_forces: room for them, and has_forces. */
ASTER_CHECKED int aster_structure_new(struct aster_ctx *ctx, int64_t n, bool with_forces,
                                      struct aster_structure *out);
void aster_structure_free(struct aster_structure *s); /* and zeroes it */
/* The first of these is an error whose message begins with where ("in.xyz:7: structure 'a'"): no
 * atoms; a number outside 1..max_number, or of no element; a position that is not finite; a cell
 * that is not finite, or absent, where an axis is periodic. is_flat, may be NULL: the periodic axes
 * (of a crystal, a slab or a wire) span a volume, an area or a length below 1e-6 (A), which a user
 * should be warned of. */
ASTER_CHECKED int aster_structure_check(struct aster_ctx *ctx, const struct aster_structure *s,
                                        int max_number, const char *where, bool *is_flat);
double aster_cell_volume(const double cell[9]); /* not negative */

/* ---- neighbours ----
 * Directed edges of structures that lie back to back: edge e goes from atom src[e] to atom dst[e],
 * its vector is position[src] + shift cell - position[dst]. Sorted by dst, then src, then shift (x,
 * y, z). Zeroed by whoever begins a list; n = 0 empties it and keeps the memory. */
struct aster_edges {
    int64_t n, capacity;
    int64_t most; /* a structure with more is an error, found before there is memory for them; 0:
                     INT32_MAX */
    int32_t *src, *dst;
    int32_t *shift;   /* [n][3] */
    int32_t *reverse; /* the edge that is the same pair seen from the other end */
    void *cells;      /* memory of searches, for the next one */
};
/* Adds the edges of s, whose atoms have first_atom added to their numbers. Every pair with d <=
 * cutoff, images of other cells and of the atom itself included; no atom is its own neighbour in
 * the same cell. single: positions and cell are rounded to f32 and d is computed in it. Positions
 * need not lie inside of the cell; rows of axes that are not periodic do not matter. nearest_gap,
 * may be NULL: the smallest |d - cutoff| of all pairs of s, near or far, at most ASTER_GAP_SEEN.
 * What a list cannot hold is an error that names s, and leaves the list as it was: periodic axes
 * without volume, more than INT32_MAX edges, no memory. */
#define ASTER_GAP_SEEN 0.5
ASTER_CHECKED int aster_edges_add(struct aster_ctx *ctx, struct aster_edges *e, int64_t first_atom,
                                  const struct aster_structure *s, double cutoff, bool single,
                                  double *nearest_gap);
/* Room for n edges together */
ASTER_CHECKED int aster_edges_room(struct aster_edges *e, int64_t n);
void aster_edges_settle(struct aster_edges *e); /* gives back what only another search would need */
void aster_edges_free(struct aster_edges *e);   /* and zeroes it */

/* ---- elements ---- */
const char *aster_element_symbol(int number); /* "H"; NULL outside 1..118 */
int aster_element_number(const char *symbol); /* 0 when there is none; "h" and "CL" are none */
double aster_element_mass(int number);        /* standard atomic weight; 0 outside 1..118 */

#endif
