/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden files of force fields: what the checks of their kinds share. */
#ifndef ASTER_TESTS_MLFF_CHECK_H
#define ASTER_TESTS_MLFF_CHECK_H

#include "golden/golden_main.h"
#include "golden/mlff_net.h"
#include "io/io.h"

/* One file under check, in one precision. */
struct mlff_check {
    struct aster_ctx *ctx;
    const struct golden_options *o;
    struct golden_score *s;
    struct aster_h5 *h5;
    const char *path;
    enum aster_dtype real;
};

/* The weights of a model: of --weights, or ../weights/MODEL.h5 as seen from the file's folder.
 * Where
 * --weights names a file, other models than it are not checked: 0 and *found false. */
ASTER_CHECKED int mlff_weights(const struct mlff_check *c, const char *model,
                               struct aster_forcefield_file *w, bool *found);
/* A program of the weights, ready to run; mixing < 0: as the file says. */
ASTER_CHECKED int mlff_model(const struct mlff_check *c, const struct aster_forcefield_file *w,
                             int mixing, struct mlff_net *n);
/* With --perturb: one weight of the energy head */
void mlff_perturb(const struct mlff_check *c, struct mlff_net *n);

/* The path of a member: parts joined by '/' in a buffer of the caller's. */
struct mlff_name {
    char text[256];
};
struct mlff_name mlff_join(const char *first, const char *second);
/* Doubles of a dataset; NULL and 0 where it is absent. */
ASTER_CHECKED int mlff_maybe(const struct mlff_check *c, const char *name, int64_t n, double **out);
double mlff_attribute(const struct mlff_check *c, const char *object, const char *name,
                      double otherwise);

/* max |got - want| against absolute + relative max |want| */
struct mlff_limit {
    double absolute, relative;
};
void mlff_judge(const struct mlff_check *c, int64_t n, const double *got, const double *want,
                struct mlff_limit limit, const char *fmt, ...) ASTER_PRINTF(6, 7);
/* The limits of energies and forces in this precision. Each energy is judged alone. */
void mlff_judge_energies(const struct mlff_check *c, int64_t n, const double *got,
                         const double *want, double factor, const char *where);
void mlff_judge_forces(const struct mlff_check *c, int64_t n_atoms, const double *got,
                       const double *want, double least, const char *where);
/* 0, or how many values differ in their bits: a failure */
void mlff_same(const struct mlff_check *c, int64_t n, const double *a, const double *b,
               const char *where);

/* Edges of a batch in the golden order (src, dst, shift): order[k] is the batch's edge. */
ASTER_CHECKED int mlff_golden_order(const struct mlff_check *c, const struct mlff_batch *b,
                                    int64_t **order);

/* ---- the kinds of files ---- */
int mlff_check_molecules(const struct mlff_check *c);
/* Tables instead of filters, over the molecules of b: near an exact model, forces the derivative of
 * the energy, the same bits alone as in the batch. is_smooth: of each, whether its forces are
 * compared. */
int mlff_check_fast(const struct mlff_check *c, const struct aster_forcefield_file *w,
                    const struct mlff_batch *b, const bool *is_smooth);
int mlff_check_group(const struct mlff_check *c, const char *group); /* a batch, or a crystal */
int mlff_check_laws(const struct mlff_check *c);                     /* checks.h5 */
int mlff_check_training(const struct mlff_check *c);                 /* training.h5 */
int mlff_check_dynamics(const struct mlff_check *c);                 /* md.h5 */

#endif
