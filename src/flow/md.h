/* SPDX-License-Identifier: BSD-3-Clause */
/* Molecular dynamics of many copies: what is asked for, a copy under way, parts of a run as they
 * are kept, its files. Lengths in Angstrom, energies in eV, time in the unit of dynamics.h. */
#ifndef ASTER_MD_H
#define ASTER_MD_H

#include "atoms/dynamics.h"
#include "flow/field_batches.h"
#include "flow/field_part.h"

#define ASTER_GPA 0.006241509 /* in eV / A^3 */

/* ---- what is asked for (md_options.c) ---- */
enum aster_ensemble { ASTER_NVE, ASTER_LANGEVIN, ASTER_NPT, ASTER_EXCHANGE };
enum aster_md_start { ASTER_START_AUTO, ASTER_START_FILE, ASTER_START_DRAWN, ASTER_START_ZERO };
struct aster_md_options {
    enum aster_ensemble ensemble;
    enum aster_md_start start;
    int64_t steps, replicas, seed, checkpoint;
    int64_t log_interval, frame_interval, exchange_interval; /* frame_interval 0: no frames */
    double timestep_fs, dt, friction;
    int64_t n_rungs;
    double *temperature; /* [n_rungs], rising; one of them but for exchange */
    struct aster_barostat barostat;
    bool remove_momentum, remove_rotation, extxyz, h5;
};
/* Refuses what makes no sense, naming the option and its place in the pipeline file. */
ASTER_CHECKED int aster_md_options_read(struct aster_run *run, int stage,
                                        struct aster_md_options *o);
void aster_md_options_free(struct aster_md_options *o);
const char *aster_ensemble_name(enum aster_ensemble e);

/* ---- a copy (md_copy.c) ---- */
/* Records are made of doubles only: they are kept as such. */
struct aster_md_sample { /* a line of the log; volume 0: not periodic */
    double step, potential, kinetic, pressure, volume, rung;
};
struct aster_md_frame { /* and behind it positions, velocities, forces: [3][n][3] */
    double step, energy, rung, cell[9], virial[9];
};
struct aster_md_state { /* what a part goes on from; and behind it as behind a frame */
    struct aster_md_frame now;
    double first, last, jump, far; /* total energy: of step 0, of this one; largest step and
                                      deviation from the first so far */
};
enum {
    ASTER_MD_SAMPLE = sizeof(struct aster_md_sample) / sizeof(double),
    ASTER_MD_FRAME = sizeof(struct aster_md_frame) / sizeof(double),
    ASTER_MD_STATE = sizeof(struct aster_md_state) / sizeof(double)
};
struct aster_md_copy {
    char *id;
    int64_t structure, replica; /* from 0 */
    struct aster_structure s;   /* as it is: place, velocities, forces, energy */
    struct aster_md_state state;
    double *mass;
    struct aster_field_item item;
    uint64_t hash; /* of what it began with */
    int32_t status;
    char *reason; /* of a status that is not 0 */
    int64_t rung;
    uint64_t noise; /* of where and how fast it began: a run that goes on from the end of another
                       does not repeat its random numbers */
    double swell;   /* of the step under way */
    /* recorded since the last part */
    int64_t n_samples, cap_samples, n_frames, cap_frame, n_events, cap_events;
    struct aster_md_sample *sample;
    double *frame;
    int64_t *event; /* of each attempt: 4 rung afterwards + 2 where tried with the next + 1 where
                       taken */
};
/* Takes the structure; fault: NULL, or why there is nothing to compute. name: of the structure. */
ASTER_CHECKED int aster_md_copy_begin(struct aster_ctx *ctx, const struct aster_md_options *o,
                                      const char *name, struct aster_structure *s,
                                      const char *fault, struct aster_md_copy *c);
void aster_md_copy_free(struct aster_md_copy *c);
/* The first reason stays; ctx may be NULL. */
void aster_md_copy_fail(struct aster_ctx *ctx, struct aster_md_copy *c, int32_t status,
                        const char *reason);
/* From the forces of the step before to the places of this one; then, with the forces there, to
 * its velocities, and into the records. reach: farther nothing moves in one step. */
void aster_md_move(struct aster_ctx *ctx, const struct aster_md_options *o, struct aster_md_copy *c,
                   int64_t step, double reach);
ASTER_CHECKED int aster_md_arrive(struct aster_ctx *ctx, const struct aster_md_options *o,
                                  struct aster_md_copy *c, int64_t step);
/* The copies of a structure try to change temperatures. */
ASTER_CHECKED int aster_md_exchange(struct aster_ctx *ctx, const struct aster_md_options *o,
                                    struct aster_md_copy *copy, int64_t step);
void aster_md_forget(struct aster_md_copy *c); /* its records */

/* ---- a part: what n consecutive copies recorded, and where they are (md_part.c) ---- */
ASTER_CHECKED int aster_md_part_commit(struct aster_ctx *ctx, struct aster_store *s, int64_t index,
                                       int64_t n, struct aster_md_copy *copy, const char *device);
/* Whether the part is there and of these very copies; if so and with take, they go on from it.
 * step: where it ends; -1: none of them goes on. */
ASTER_CHECKED int aster_md_part_find(struct aster_ctx *ctx, struct aster_store *s, int64_t index,
                                     int64_t n, struct aster_md_copy *copy, bool take, bool *there,
                                     int64_t *step);
/* The records of a part that is there become the copies' own again. */
ASTER_CHECKED int aster_md_part_recall(struct aster_ctx *ctx, struct aster_store *s, int64_t index,
                                       int64_t n, struct aster_md_copy *copy);
struct aster_md_kept { /* of one copy */
    const char *device;
    int64_t n_samples, n_frames, n_events;
    const struct aster_md_sample *sample;
    const double *frame;
    const int64_t *event;
};
struct aster_md_part;
/* only: -1: all of its copies, else one of them. */
ASTER_CHECKED int aster_md_part_open(struct aster_ctx *ctx, struct aster_store *s, int64_t index,
                                     int64_t n, const struct aster_md_copy *copy, int64_t only,
                                     struct aster_md_part **out);
/* What it has of its k-th copy, until it is closed */
struct aster_md_kept aster_md_part_of(const struct aster_md_part *p, int64_t k);
void aster_md_part_close(struct aster_md_part **p);

/* ---- the files of a finished run (md_write.c) ---- */
struct aster_md_output {
    struct aster_run *run;
    const char *stage;
    const struct aster_md_options *o;
    const struct aster_forcefield_source *model;
    int64_t intervals; /* of tables; 0: filters are exact */
    struct aster_store *store;
    int64_t n;
    struct aster_md_copy *copy; /* as they ended */
    int64_t kept_bytes;         /* parts of a unit that take less are in memory together */
    int64_t n_units;
    const struct aster_md_unit {
        int64_t first, n, n_parts; /* copies; parts that there are */
        bool is_within;            /* the next one is there too, as far as a stopped run came */
    } * unit;                      /* part s of unit u has the number s n_units + u */
    /* counted while written */
    int64_t failed;
    double mean_drift, worst_drift; /* sizes in meV / atom / ps, of copies that are done; NaN */
    double largest_jump;            /* of the total energy in a step, eV */
};
ASTER_CHECKED int aster_md_write(struct aster_md_output *w);

int aster_stage_run_dynamics(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_run_dynamics_ready(struct aster_ctx *ctx, void *run, int stage);

#endif
