/* SPDX-License-Identifier: BSD-3-Clause */
/* Consecutive structures of an input with their energies and forces: a part of a run, as it is
 * computed and as it is kept; and the stages of the force field. */
#ifndef ASTER_FIELD_PART_H
#define ASTER_FIELD_PART_H

#include "flow/field_group.h"
#include "flow/store.h"
#include "io/structures.h"

/* ---- what stages give ---- */
struct aster_structure_source {
    int64_t n;
    char **path;
};
void aster_structure_source_free(struct aster_structure_source **s);
/* All structures of a source: zeroed but for what is set by the caller. */
struct aster_structure_reader {
    struct aster_ctx *ctx;
    const struct aster_structure_source *source;
    int64_t max_number; /* largest atomic number of the force field */
    /* its own */
    int64_t file, n_flat; /* n_flat: periodic structures without volume */
    struct aster_structures *reader;
    struct aster_str fault;
};
/* 1, 0 at the end. With at->fault there is nothing to compute, whatever s holds. */
ASTER_CHECKED int aster_structure_reader_next(struct aster_structure_reader *r,
                                              struct aster_structure *s,
                                              struct aster_structures_place *at);
void aster_structure_reader_close(struct aster_structure_reader *r);
struct aster_forcefield_source {
    char *path;
    enum aster_dtype real;
    struct aster_forcefield_file file;
    bool is_open;
    char sha256[65];
};
void aster_forcefield_source_free(struct aster_forcefield_source **s);
/* Of the tables of filters that a stage asks for with filters and intervals; 0: none */
int64_t aster_field_intervals(const struct aster_run *run, int stage,
                              const struct aster_forcefield_source *model);

/* ---- a part ---- */
/* Sums of differences from the labels that a structure brought along */
struct aster_field_errors {
    double energy;                             /* ours - theirs; NaN without a label */
    double force_squares, force_sum, n_forces; /* over components; n_forces 0 without labels */
};
struct aster_field_part {
    struct aster_ctx *ctx;
    int64_t index, first, n, cap, n_atoms; /* first: number of the first structure, from 0 */
    struct aster_field_entry *entry;
    double *atomic, *force, *virial; /* flat, by entry */
    const char *device;              /* kinds of devices that compute */
    struct aster_field_group group;  /* once it is computed */
    struct aster_field_part *next;
};
ASTER_CHECKED int aster_field_part_new(struct aster_ctx *ctx, int64_t index, int64_t first,
                                       struct aster_field_part **out);
void aster_field_part_free(struct aster_field_part **p);
/* Takes the structure, also when it fails. fault: NULL, or why there is none. */
ASTER_CHECKED int aster_field_part_add(struct aster_field_part *p, const char *id,
                                       struct aster_structure *s, const char *fault);
/* Room for results */
ASTER_CHECKED int aster_field_part_room(struct aster_field_part *p);
ASTER_CHECKED int aster_field_part_commit(struct aster_store *s, struct aster_field_part *p);
/* Whether the store has this very part; if so how many of its entries failed. */
ASTER_CHECKED int aster_field_part_done(struct aster_store *s, const struct aster_field_part *p,
                                        bool *done, int64_t *n_failed);

/* What a committed part says of an entry. */
struct aster_field_kept {
    struct aster_structure s; /* with energy, forces and stress that were computed */
    const char *id, *reason;
    int32_t status;
    int64_t n_atoms;
    struct aster_field_errors errors;
    const double *atomic, *virial;
    const char *device; /* kinds that computed its part */
};
/* Each entry of a committed part, in order. */
ASTER_CHECKED int aster_field_part_read(struct aster_ctx *ctx, struct aster_store *s, int64_t index,
                                        int (*visit)(void *arg, const struct aster_field_kept *k),
                                        void *arg);

/* The stress, (W + W^T) / 2 V in the order xx yy zz yz xz xy; false where there is no volume */
bool aster_field_stress(const struct aster_structure *s, const double virial[9], double out[6]);

/* ---- the files of a finished run ---- */
struct aster_field_output {
    struct aster_run *run;
    const char *stage;
    struct aster_store *store;
    const struct aster_forcefield_source *model;
    int64_t n_parts, intervals; /* of tables; 0: filters are exact */
    bool h5, extxyz, csv, atomic, stress;
    /* counted while written */
    int64_t n, failed, atoms, n_energies;
    double energy_squares, energy_sum, energy_per_atom_sum; /* of differences from labels */
    struct aster_field_errors forces;
};
ASTER_CHECKED int aster_field_write(struct aster_field_output *o);

int aster_stage_load_forcefield(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_load_forcefield_ready(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_read_structures(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_read_structures_ready(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_evaluate_structures(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_train_forcefield(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_train_forcefield_ready(struct aster_ctx *ctx, void *run, int stage);
/* What such a stage would train, and how many structures make a shard. */
ASTER_CHECKED int aster_train_forcefield_look(struct aster_run *run, int stage,
                                              struct aster_forcefield_config *c, int64_t *shard);

#endif
