/* SPDX-License-Identifier: BSD-3-Clause */
/* A force field that passes messages between atoms: energy of every atom, and, by differentiating
 * the program, forces and virials. Structures of any sizes lie back to back; edges never cross. */
#ifndef ASTER_FORCEFIELD_H
#define ASTER_FORCEFIELD_H

#include "program/program.h"

enum aster_mixing {
    ASTER_MIXING_FREE, /* the stored 3 x 3 matrices: energies depend on how a molecule is turned */
    ASTER_MIXING_ISOTROPIC /* a third of their traces: they do not */
};
enum aster_cutoff_on {
    ASTER_CUTOFF_FEATURES, /* radial features go to zero at the cutoff, the filter does not */
    ASTER_CUTOFF_FILTER    /* the filter does: energies have no jump there */
};
struct aster_forcefield_config {
    int64_t width, n_blocks, n_radial, max_number; /* numbers 0 .. max_number have a row */
    double cutoff;
    enum aster_mixing mixing;
    enum aster_cutoff_on cutoff_on;
    double norm_eps;   /* lengths of vectors are sqrt(v^2 + eps^2) - eps */
    int64_t intervals; /* of the tables of the fast program; 0: ASTER_FORCEFIELD_INTERVALS */
};
enum { ASTER_FORCEFIELD_INTERVALS = 512, ASTER_FORCEFIELD_TABLE_BLOCK = 16 };
static inline int64_t aster_forcefield_intervals(const struct aster_forcefield_config *c)
{
    return c->intervals ? c->intervals : ASTER_FORCEFIELD_INTERVALS;
}
ASTER_CHECKED int aster_forcefield_check(struct aster_ctx *ctx,
                                         const struct aster_forcefield_config *c);

enum aster_force_loss { ASTER_FORCE_MSE, ASTER_FORCE_MAE, ASTER_FORCE_HUBER };
struct aster_forcefield_loss {
    enum aster_force_loss kind;
    double energy, force, angle, huber_delta; /* weights */
    /* Above 0: that share of the loss is the mean square of what is off a teacher's energies and
     * forces, all divided by the temperature. */
    double teacher, temperature;
};

/* Values of a program that tests look at: -1 where the program does not have one. */
struct aster_forcefield_block {
    aster_val filter; /* [E, 3 width] */
    aster_val s_message, s_out;
    aster_val v_message[3], v_out[3];
};
struct aster_forcefield_probe {
    int64_t n_blocks; /* of block[] */
    struct aster_forcefield_block *block;
    aster_val radial, unit, vector; /* x [E, K], u [E, 3], r [E, 3] */
    aster_val energy;               /* the sum over all atoms */
};

/* ENERGY: energies alone. FORCES: forces and virials too. FAST: the same with filters from tables
 * (aster_forcefield_tables); forces are the derivative of the energy that it gives. TRAIN: the
 * loss, and its gradients in GRAD. PROBE: ENERGY, nothing left out, and the values in probe; the
 * caller adds outputs and finishes. */
enum aster_forcefield_use {
    ASTER_FORCEFIELD_ENERGY,
    ASTER_FORCEFIELD_FORCES,
    ASTER_FORCEFIELD_TRAIN,
    ASTER_FORCEFIELD_PROBE,
    ASTER_FORCEFIELD_FAST
};

/* Symbols: N atoms, E edges, B structures (TRAIN: BG structures and NG atoms of the whole batch
 * too). Inputs: number i32 [N]; src, dst i32 [E]; vector real [E, 3], from dst to src. For forces:
 * owner i32 [N], the structure of an atom, and edge_owner i32 [E]. For training: energy real [B,
 * 1], force real [N, 3] and the unit vectors of force, direction real [N, 3]; with a teacher the
 * same of it, teacher_energy and teacher_force. FAST: edges sorted by
 * dst, starts i32 [N + 1] (those into atom i are starts[i] .. starts[i + 1] - 1), reverse i32 [E]
 * (the number of the edge back). Outputs: energy real [N, 1] of every atom; force real [N, 3];
 * virial real [B, 9] = sum over edges of (dE/dr_a) r_b; loss real [4]: the whole, and its parts for
 * energy, force and angle before their weights, of which the teacher's is none. Buffers:
 * rbf.centers, rbf.widths f64 [n_radial]. */
ASTER_CHECKED int aster_forcefield_program(struct aster_ctx *ctx,
                                           const struct aster_forcefield_config *c,
                                           enum aster_dtype real, enum aster_forcefield_use use,
                                           const struct aster_forcefield_loss *loss,
                                           struct aster_forcefield_probe *probe,
                                           struct aster_program **out);

/* Of a FAST program: the name of a matrix and this is that of its transpose. */
#define ASTER_FORCEFIELD_TRANSPOSED ".transposed"

/* Of a FAST program: the last block's update_mlp.2, columns for scalars, and the readout's first
 * matrix after it, as one matrix and one bias (with the readout's). */
#define ASTER_FORCEFIELD_FOLDED "energy_head.0.folded"

/* Parameters of a FAST program from those of an exact one of the same model, each of its program's
 * real type: those that both have, ASTER_FORCEFIELD_FOLDED, each weight transposed too (for the
 * derivative), and instead of interactions.K.message.rbf_to_scalar.*
 * tables of what these give, table.K [ceil(width / 16), intervals + 3, 3 (K = 0: 2), 16]
 * (ops.def, message). buffers: of the exact program. */
ASTER_CHECKED int aster_forcefield_tables(struct aster_ctx *ctx,
                                          const struct aster_forcefield_config *c,
                                          const struct aster_program *exact, const void *params,
                                          const double *buffers, const struct aster_program *fast,
                                          void *fast_params);

#endif
