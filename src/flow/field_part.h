/* SPDX-License-Identifier: BSD-3-Clause */
/* Consecutive structures of an input with their energies and forces: a part of a run, as it is
 * computed and as it is kept; and the stages of the force field. */
#ifndef ASTER_FIELD_PART_H
#define ASTER_FIELD_PART_H

#include "flow/field.h"
#include "flow/store.h"
#include "io/structures.h"

/* ---- what stages give ---- */
struct aster_structure_source {
    int64_t n;
    char **path;
};
void aster_structure_source_free(struct aster_structure_source **s);
struct aster_forcefield_source {
    char *path;
    enum aster_dtype real;
    struct aster_forcefield_file file;
    bool is_open;
    char sha256[65];
};
void aster_forcefield_source_free(struct aster_forcefield_source **s);

/* ---- a part ---- */
/* Sums of differences from the labels that a structure brought along */
struct aster_field_errors {
    double energy;                             /* ours - theirs; NaN without a label */
    double force_squares, force_sum, n_forces; /* over components; n_forces 0 without labels */
};
struct aster_field_entry {
    char *id;
    struct aster_structure s; /* empty where it could not be read */
    uint64_t hash;
    int32_t status;
    char *reason; /* of a status that is not 0 */
    struct aster_field_item item;
    bool is_tried; /* alone */
};
struct aster_field_part {
    struct aster_ctx *ctx;
    int64_t index, first, n, cap, n_atoms; /* first: number of the first structure, from 0 */
    struct aster_field_entry *entry;
    double *atomic, *force, *virial; /* flat, by entry */
    const char *device;              /* kinds of devices that compute */
    int64_t pending;                 /* tasks without result */
    void *chunks;                    /* neighbour lists, of the stage's */
    int64_t n_chunks;
    struct aster_field_part *next;
};
ASTER_CHECKED int aster_field_part_new(struct aster_ctx *ctx, int64_t index, int64_t first,
                                       struct aster_field_part **out);
void aster_field_part_free(struct aster_field_part **p);
/* Takes the structure, also when it fails. fault: NULL, or why there is none. */
ASTER_CHECKED int aster_field_part_add(struct aster_field_part *p, const char *id,
                                       struct aster_structure *s, const char *fault);
/* The first reason of an entry stays. ctx may be NULL. */
void aster_field_entry_fail(struct aster_ctx *ctx, struct aster_field_entry *x, int32_t status,
                            const char *reason);
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
