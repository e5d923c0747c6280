/* SPDX-License-Identifier: BSD-3-Clause */
/* A force field run over structures back to back, without tasks. */
#ifndef ASTER_TESTS_MLFF_NET_H
#define ASTER_TESTS_MLFF_NET_H

#include "atoms/atoms.h"
#include "flow/forcefield_file.h"

struct mlff_net {
    struct aster_ctx *ctx;
    const struct aster_backend *be;
    enum aster_dtype real;
    struct aster_forcefield_config c;
    struct aster_program *p;
    void *params, *grad;
    double *buffers;
};
/* Of probe programs: outputs are added and the program is finished by the caller, then
 * mlff_net_load. */
ASTER_CHECKED int mlff_net_start(struct aster_ctx *ctx, const struct aster_backend *be,
                                 enum aster_dtype real, const struct aster_forcefield_config *c,
                                 enum aster_forcefield_use use,
                                 const struct aster_forcefield_loss *loss,
                                 struct aster_forcefield_probe *probe, struct mlff_net *n);
ASTER_CHECKED int mlff_net_load(struct mlff_net *n, const struct aster_forcefield_file *w);
/* The same model with filters from tables of so many intervals, made from an exact one in any
 * precision */
ASTER_CHECKED int mlff_net_fast(struct aster_ctx *ctx, const struct aster_backend *be,
                                enum aster_dtype real, const struct mlff_net *exact,
                                int64_t intervals, struct mlff_net *n);
void mlff_net_free(struct mlff_net *n);

/* Structures of one batch; number, position and cell belong to the caller. */
struct mlff_batch {
    int64_t n, n_atoms;
    struct aster_structure *structure;
    int64_t *first; /* atom of each structure, and the end */
    struct aster_edges edges;
    double gap;     /* of the pair nearest to the cutoff */
    double *vector; /* [E][3], from dst to src */
};
/* n structures over the same flat arrays: first[0 .. n]; cells [n][9] and pbc [n][3] may be NULL.
 * single: neighbours are found in single precision. */
ASTER_CHECKED int mlff_batch_new(struct aster_ctx *ctx, int64_t n, const int64_t *first,
                                 const int32_t *number, const double *position, const double *cell,
                                 const bool *pbc, double cutoff, bool single, struct mlff_batch *b);
void mlff_batch_free(struct aster_ctx *ctx, struct mlff_batch *b);

/* What a training program reads besides. */
struct mlff_targets {
    const double *energy, *force;
    const double *teacher_energy, *teacher_force; /* NULL: nothing teaches */
};
struct mlff_run {
    struct mlff_net *net;
    struct aster_plan *plan;
    struct aster_bound bound;
};
/* Runs the program; targets may be NULL. */
ASTER_CHECKED int mlff_run(struct mlff_net *n, const struct mlff_batch *b,
                           const struct mlff_targets *targets, struct mlff_run *r);
/* An output as doubles, for the caller to free. */
ASTER_CHECKED int mlff_output(const struct mlff_run *r, const char *name, double **out,
                              int64_t *count);
void mlff_run_free(struct mlff_run *r);

/* Energies of structures, forces, virials: what most checks compare */
struct mlff_result {
    double *atomic, *energy, *force, *virial; /* [N] [B] [N][3] [B][9] */
};
ASTER_CHECKED int mlff_evaluate(struct mlff_net *n, const struct mlff_batch *b,
                                struct mlff_result *out);
void mlff_result_free(struct mlff_result *r);

#endif
