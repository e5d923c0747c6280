/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of src/io: the second line of an xyz frame, its frames, and structures in HDF5. */
#ifndef ASTER_IO_XYZ_H
#define ASTER_IO_XYZ_H

#include "atoms/atoms.h"

/* Which columns of an atom's line say what; -1: none does. */
struct aster_xyz_columns {
    bool listed; /* by Properties: then a line has exactly n */
    int64_t n, species, number, position, force, velocity, momentum;
};
struct aster_xyz_header {
    struct aster_xyz_columns column;
    char *name; /* may be NULL */
    double cell[9];
    bool pbc[3];
    bool has_cell, has_energy, has_stress;
    double energy, stress[6];
};
/* Takes the line apart in place. 1: understood; 0: why got what is wrong; no memory: error. */
ASTER_CHECKED int aster_xyz_header_read(struct aster_ctx *ctx, char *line,
                                        struct aster_xyz_header *out, struct aster_str *why);
void aster_xyz_header_free(struct aster_xyz_header *h);

/* A word of a file for a message: short, in quotes, other than printable characters as \xNN. */
void aster_xyz_quote(struct aster_str *out, const char *word);
/* The next word of a line between blanks and tabs, ended by a 0; NULL when there is none. */
char *aster_xyz_word(char **line);

/* What all formats have: where messages go that are about one record, and those about the file. */
struct aster_record {
    int64_t line, index;
    struct aster_str fault; /* empty: none */
};
struct aster_xyz;
ASTER_CHECKED int aster_xyz_open(struct aster_ctx *ctx, const char *path, struct aster_xyz **out);
ASTER_CHECKED int aster_xyz_next(struct aster_xyz *x, struct aster_structure *out,
                                 struct aster_record *r);
void aster_xyz_close(struct aster_xyz **x);

struct aster_h5;
struct aster_ragged;
/* f stays the caller's; ctx is the one it was opened with. */
ASTER_CHECKED int aster_ragged_open(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                                    struct aster_ragged **out);
/* An error of this and of the next says what is wrong with the record only if is_record. */
ASTER_CHECKED int aster_ragged_read(struct aster_ragged *g, int64_t k, struct aster_structure *out,
                                    bool *is_record);
int64_t aster_ragged_count(const struct aster_ragged *g);
void aster_ragged_close(struct aster_ragged **g);
/* One group: all that goes wrong is about it. */
ASTER_CHECKED int aster_group_read(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                                   const char *group, struct aster_structure *out);

#endif
