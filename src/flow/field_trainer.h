/* SPDX-License-Identifier: BSD-3-Clause */
/* Training of a force field as a task graph: labelled structures in, parameters and errors out. */
#ifndef ASTER_FIELD_TRAINER_H
#define ASTER_FIELD_TRAINER_H

#include "flow/course.h"
#include "train/learner.h"

struct aster_field_training {
    struct aster_train_config t; /* its model, bn and class weights do not count */
    int64_t accumulate;          /* batches of a step */
    struct aster_forcefield_config c;
    struct aster_forcefield_loss loss;
    const struct aster_forcefield_file *from; /* NULL: initial parameters by seed */
    uint64_t from_hash;                       /* of that file's values */
    struct aster_course *course;
    int64_t n_train, n_val;
    struct aster_course_item **train, **val;
};

/* What the parameters say of a validation structure: filled before the epoch's hook is called. */
struct aster_field_guess {
    double energy;
    double *force; /* [n][3] */
};
struct aster_field_trainer;
ASTER_CHECKED int aster_field_trainer_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                                          const struct aster_field_training *t,
                                          struct aster_field_trainer **out);
void aster_field_trainer_free(struct aster_field_trainer **t);
/* As aster_train; best_model.h5 and the like are weights as a force field is read from. */
ASTER_CHECKED int aster_field_trainer_run(struct aster_field_trainer *t, const char *dir,
                                          bool resume, const struct aster_train_hooks *hooks);
/* Of each structure of val, after its epoch's validation. */
const struct aster_field_guess *aster_field_trainer_guesses(const struct aster_field_trainer *t);
/* Operations of the last epoch's steps, as plans count them. */
double aster_field_trainer_flops(const struct aster_field_trainer *t);
int64_t aster_field_trainer_n_params(const struct aster_field_trainer *t);

/* ---- validation, field_errors.c ---- */
/* Sums over structures: added in order, they do not depend on batches. */
struct aster_field_sums {
    int64_t n, n_atoms, n_angles;
    double energy_squares, energy_abs, energy_loss;
    double force_squares[3], force_abs, force_loss;
    double angle_loss, angle_sum, angle_max;
};
void aster_field_sums_add(struct aster_field_sums *s, const struct aster_forcefield_loss *l,
                          const struct aster_structure *x, double energy, const double *force);
/* The loss of all structures together, and its metrics. */
double aster_field_sums_result(const struct aster_field_sums *s,
                               const struct aster_forcefield_loss *l,
                               struct aster_field_metrics *m);

#endif
