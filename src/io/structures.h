/* SPDX-License-Identifier: BSD-3-Clause */
/* Molecules and crystals in files: extxyz, xyz, and HDF5 in two layouts, one structure at a time.
 * What is wrong with one record does not end the reading. */
#ifndef ASTER_STRUCTURES_H
#define ASTER_STRUCTURES_H

#include "atoms/atoms.h"

/* ---- reading ---- */
enum aster_structures_format {
    ASTER_STRUCTURES_XYZ,    /* extxyz and plain xyz, also gzip; "-" is stdin */
    ASTER_STRUCTURES_RAGGED, /* HDF5: /structures and /labels, concatenated */
    ASTER_STRUCTURES_GROUPS  /* HDF5: a group per structure */
};
struct aster_structures_place { /* of the record last returned, until the next call */
    const char *path;           /* as given; "standard input" */
    const char *name;           /* of the structure, or "" */
    int64_t line;               /* of the record's first line; 0 in HDF5 */
    int64_t index;              /* from 0, through the file */
    const char *fault; /* NULL, or why nothing can be said about it, with file, line, item */
};
/* File, line or number, and name, as messages begin */
enum { ASTER_STRUCTURES_WHERE = 256 };
void aster_structures_where(const struct aster_structures_place *at,
                            char where[ASTER_STRUCTURES_WHERE]);
struct aster_structures;
/* Which format it is follows from the file's first bytes and, in HDF5, from what is in it. */
ASTER_CHECKED int aster_structures_open(struct aster_ctx *ctx, const char *path,
                                        struct aster_structures **out);
/* 1, 0 at the end. out is the caller's, to be freed; empty where at->fault says why. A file that
 * cannot be read on: error. Atomic numbers are of elements, all numbers are finite. */
ASTER_CHECKED int aster_structures_next(struct aster_structures *r, struct aster_structure *out,
                                        struct aster_structures_place *at);
/* How many records there are, -1 where only reading would tell (xyz). */
int64_t aster_structures_count(const struct aster_structures *r);
enum aster_structures_format aster_structures_format(const struct aster_structures *r);
void aster_structures_close(struct aster_structures **r);

/* ---- writing ---- */
/* One frame of extxyz: 17 digits, and whatever of cell, pbc, energy, forces, stress and velocities
 * (as momenta) there is. */
ASTER_CHECKED int aster_structure_add_extxyz(struct aster_ctx *ctx, struct aster_str *out,
                                             const struct aster_structure *s);
/* more: keys and values for the second line, each with a blank behind it. */
ASTER_CHECKED int aster_structure_add_frame(struct aster_ctx *ctx, struct aster_str *out,
                                            const struct aster_structure *s, const char *more);
/* An open HDF5 file (aster_h5_create) in the ragged layout; structures are appended in parts. */
struct aster_h5;
struct aster_structures_out;
ASTER_CHECKED int aster_structures_out_new(struct aster_ctx *ctx, struct aster_h5 *file,
                                           struct aster_structures_out **out);
ASTER_CHECKED int aster_structures_out_add(struct aster_structures_out *o,
                                           const struct aster_structure *s);
/* Writes what is left. Nothing can be added afterwards. */
ASTER_CHECKED int aster_structures_out_finish(struct aster_structures_out *o);
void aster_structures_out_free(struct aster_structures_out **o);

#endif
