/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden trainings: losses, gradients by every parameter, steps of optimizers, learning rates. */
#include "golden/mlff_check.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

struct course {
    const struct mlff_check *c;
    int64_t n, n_atoms;
    int64_t *first;
    int32_t *number;
    double *position, *energy, *force;
};

/* ---- the batch ---- */

static int find_borders(struct course *t)
{
    const struct mlff_check *c = t->c;
    struct aster_h5_shape shape;
    if (!aster_h5_has(c->h5, "ptr"))
        return aster_fail(c->ctx, ASTER_EFORMAT, "%s: has no ptr", c->path);
    ASTER_TRY(aster_h5_shape(c->h5, "ptr", &shape));
    t->n = shape.n - 1;
    ASTER_TRY(aster_h5_read(c->h5, "ptr", ASTER_I64, -1, &t->first));
    return t->n >= 0 && t->first[t->n] == t->n_atoms
               ? 0
               : aster_fail(c->ctx, ASTER_EFORMAT, "%s: ptr does not end at its %lld atoms",
                            c->path, (long long)t->n_atoms);
}

static int read_course(struct course *t)
{
    const struct mlff_check *c = t->c;
    struct aster_h5_shape shape;
    ASTER_TRY(aster_h5_shape(c->h5, "Z", &shape));
    t->n_atoms = shape.n;
    ASTER_TRY(aster_h5_read(c->h5, "Z", ASTER_I32, t->n_atoms, &t->number));
    ASTER_TRY(find_borders(t));
    ASTER_TRY(aster_h5_read(c->h5, "pos", ASTER_F64, 3 * t->n_atoms, &t->position));
    ASTER_TRY(aster_h5_read(c->h5, "energy_ref", ASTER_F64, t->n, &t->energy));
    return aster_h5_read(c->h5, "forces_ref", ASTER_F64, 3 * t->n_atoms, &t->force);
}

static void course_free(struct course *t)
{
    aster_free(&t->first);
    aster_free(&t->number);
    aster_free(&t->position);
    aster_free(&t->energy);
    aster_free(&t->force);
}

/* ---- a loss ---- */

static int read_loss(const struct mlff_check *c, const char *group, struct aster_forcefield_loss *l)
{
    static const char *const kinds[] = {"mse", "mae", "huber"};
    char *kind = NULL;
    ASTER_TRY(aster_h5_attr_str(c->h5, group, "loss_kind", &kind));
    int k = 0;
    while (k < 3 && strcmp(kind, kinds[k]) != 0)
        k++;
    int rc = k < 3 ? 0
                   : aster_fail(c->ctx, ASTER_EFORMAT,
                                "%s: %s has loss_kind '%s', expected mse, mae or huber", c->path,
                                group, kind);
    aster_free(&kind);
    *l = (struct aster_forcefield_loss){
        .kind = (enum aster_force_loss)k,
        .energy = mlff_attribute(c, group, "energy_weight", 1),
        .force = mlff_attribute(c, group, "force_weight", 100),
        .angle = mlff_attribute(c, group, "angular_weight", 0),
        .huber_delta = mlff_attribute(c, group, "huber_delta", 1)};
    return rc;
}

static int train_new(const struct course *t, const char *group,
                     const struct aster_forcefield_file *w, struct mlff_net *n)
{
    const struct mlff_check *c = t->c;
    struct aster_forcefield_loss loss;
    ASTER_TRY(read_loss(c, group, &loss));
    ASTER_TRY(
        mlff_net_start(c->ctx, c->o->be, c->real, &w->c, ASTER_FORCEFIELD_TRAIN, &loss, NULL, n));
    ASTER_TRY(mlff_net_load(n, w));
    mlff_perturb(c, n);
    return 0;
}

/* One forward and backward run: the loss and its parts, gradients in n->grad */
static int train_run(const struct course *t, struct mlff_net *n, double loss[4], double *energy,
                     double *force)
{
    struct mlff_batch b = {0};
    struct mlff_run r;
    double *out[3] = {NULL};
    int rc = mlff_batch_new(t->c->ctx, t->n, t->first, t->number, t->position, NULL, NULL,
                            n->c.cutoff, n->real == ASTER_F32, &b);
    if (rc == 0)
        rc = mlff_run(n, &b, &(struct mlff_targets){.energy = t->energy, .force = t->force}, &r);
    if (rc == 0) {
        rc = mlff_output(&r, "loss", &out[0], NULL);
        if (rc == 0)
            rc = mlff_output(&r, "energy", &out[1], NULL);
        if (rc == 0)
            rc = mlff_output(&r, "force", &out[2], NULL);
        mlff_run_free(&r);
    }
    if (rc == 0)
        memcpy(loss, out[0], 4 * sizeof *loss);
    for (int64_t k = 0; rc == 0 && energy && k < t->n; k++) {
        energy[k] = 0;
        for (int64_t i = t->first[k]; i < t->first[k + 1]; i++)
            energy[k] += out[1][i];
    }
    if (rc == 0 && force)
        memcpy(force, out[2], (size_t)(3 * t->n_atoms) * sizeof *force);
    for (int k = 0; k < 3; k++)
        aster_free(&out[k]);
    mlff_batch_free(t->c->ctx, &b);
    return rc;
}

/* The parameter of that number in the reference's layout, as doubles */
static int to_reference(const struct mlff_net *n, int k, const void *flat, double **out)
{
    const struct aster_param_info *info = aster_program_param(n->p, k);
    void *theirs = NULL;
    ASTER_TRY(aster_alloc(n->ctx, info->n, sizeof **out, out));
    ASTER_TRY(aster_alloc(n->ctx, info->n, (size_t)aster_dtype_size(n->real), &theirs));
    aster_param_to_reference(info, n->real, flat, theirs);
    for (int64_t i = 0; i < info->n; i++)
        (*out)[i] = n->real == ASTER_F64 ? ((double *)theirs)[i] : (double)((float *)theirs)[i];
    aster_free(&theirs);
    return 0;
}

static int is_stored_in_single(const struct mlff_check *c, const char *name, bool *yes)
{
    struct aster_h5_shape shape;
    ASTER_TRY(aster_h5_shape(c->h5, name, &shape));
    *yes = shape.dtype == ASTER_F32;
    return 0;
}

/* Tensors of a group against a flat vector. Limits are of the largest value of all tensors together
 * (gradients), or of each alone (parameters). In single precision: the error of all together. */
static int compare_tensors(const struct mlff_check *c, const struct mlff_net *n, const char *group,
                           const void *flat, bool is_together, struct mlff_limit limit,
                           double single_limit)
{
    double largest = 0, error = 0, size = 0;
    for (int pass = is_together ? 0 : 1; pass < 2; pass++)
        for (int k = 0; k < aster_program_n_params(n->p); k++) {
            const struct aster_param_info *info = aster_program_param(n->p, k);
            struct mlff_name name = mlff_join(group, info->name);
            double *got = NULL, *want = NULL;
            bool single = false;
            ASTER_TRY(mlff_maybe(c, name.text, info->n, &want));
            if (!want)
                continue;
            int rc = is_stored_in_single(c, name.text, &single);
            if (rc == 0)
                rc = to_reference(n, k, flat, &got);
            for (int64_t i = 0; rc == 0 && i < info->n; i++) {
                largest = fmax(largest, fabs(want[i]));
                error += pass ? (got[i] - want[i]) * (got[i] - want[i]) : 0;
                size += pass ? want[i] * want[i] : 0;
            }
            struct mlff_limit l = limit;
            if (is_together)
                l = (struct mlff_limit){(single ? 1e-6 : limit.relative) * largest, 0};
            else if (single)
                l = (struct mlff_limit){1e-7, 1e-7};
            if (rc == 0 && pass && c->real == ASTER_F64)
                mlff_judge(c, info->n, got, want, l, "%s", name.text);
            aster_free(&got);
            aster_free(&want);
            ASTER_TRY(rc);
        }
    if (c->real == ASTER_F32 && size > 0)
        golden_fraction(c->s, sqrt(error / size) / single_limit, "f32 %s", group);
    return 0;
}

static int check_loss(const struct course *t, const char *group,
                      const struct aster_forcefield_file *w)
{
    const struct mlff_check *c = t->c;
    static const char *const names[] = {"total", "energy", "force", "angular"};
    struct mlff_net n = {0};
    double loss[4], *energy = NULL, *force = NULL, *want = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(c->ctx, t->n, sizeof *energy, &energy), done);
    ASTER_GOTO(aster_alloc(c->ctx, 3 * t->n_atoms, sizeof *force, &force), done);
    ASTER_GOTO(train_new(t, group, w, &n), done);
    ASTER_GOTO(train_run(t, &n, loss, energy, force), done);
    for (int k = 0; k < 4; k++) {
        double said = mlff_attribute(c, group, names[k], -1);
        if (said >= 0)
            mlff_judge(c, 1, loss + k, &said,
                       c->real == ASTER_F64 ? (struct mlff_limit){1e-12, 1e-10}
                                            : (struct mlff_limit){1e-5, 1e-4},
                       "%s %s", group, names[k]);
    }
    ASTER_GOTO(mlff_maybe(c, mlff_join(group, "energy").text, t->n, &want), done);
    if (want)
        mlff_judge_energies(c, t->n, energy, want, 1, group);
    aster_free(&want);
    ASTER_GOTO(mlff_maybe(c, mlff_join(group, "forces").text, 3 * t->n_atoms, &want), done);
    if (want)
        mlff_judge_forces(c, t->n_atoms, force, want, 0, group);
    rc = compare_tensors(c, &n, mlff_join(group, "grad").text, n.grad, true,
                         (struct mlff_limit){0, 1e-9}, 1e-3);
done:
    mlff_net_free(&n);
    aster_free(&energy);
    aster_free(&force);
    aster_free(&want);
    return rc;
}

static int check_losses(const struct course *t, const char *model)
{
    struct aster_forcefield_file w;
    char **name = NULL;
    int64_t n = 0;
    bool found;
    ASTER_TRY(mlff_weights(t->c, model, &w, &found));
    if (!found)
        return 0;
    int rc = aster_h5_list(t->c->h5, model, &name, &n);
    for (int64_t k = 0; rc == 0 && k < n; k++)
        if (aster_h5_has(t->c->h5, mlff_join(mlff_join(model, name[k]).text, "grad").text))
            rc = check_loss(t, mlff_join(model, name[k]).text, &w);
    aster_h5_names_free(&name, n);
    aster_forcefield_close(&w);
    return rc;
}

/* ---- optimizers ---- */

struct moments {
    void *first, *second;
};

static void optimize(const struct mlff_check *c, const char *kind, const struct aster_update *u,
                     struct mlff_net *n, struct moments *m)
{
    const struct aster_update_kernels *k = &c->o->be->update;
    int64_t count = aster_program_class_n(n->p, ASTER_CLASS_PARAM);
    if (!strcmp(kind, "optim_sgd"))
        k->sgd(NULL, n->real, count, u, n->params, n->grad, m->first);
    else
        (strcmp(kind, "optim_adam") ? k->adamw : k->adam)(NULL, n->real, count, u, n->params,
                                                          n->grad, m->first, m->second);
}

static int take_steps(const struct course *t, const char *kind, struct mlff_net *n, int64_t steps,
                      double *loss, double *norm)
{
    const struct mlff_check *c = t->c;
    int64_t count = aster_program_class_n(n->p, ASTER_CLASS_PARAM);
    size_t size = (size_t)aster_dtype_size(n->real);
    struct moments m = {0};
    int rc = aster_alloc(c->ctx, count, size, &m.first);
    if (rc == 0)
        rc = aster_alloc(c->ctx, count, size, &m.second);
    for (int64_t k = 0; rc == 0 && k < steps; k++) {
        double parts[4], squares;
        rc = train_run(t, n, parts, NULL, NULL);
        c->o->be->update.sum_squares(NULL, n->real, count, n->grad, &squares);
        struct aster_update u = {.lr = mlff_attribute(c, kind, "lr", 1e-3),
                                 .beta1 = mlff_attribute(c, kind, "beta1", 0.9),
                                 .beta2 = mlff_attribute(c, kind, "beta2", 0.999),
                                 .eps = mlff_attribute(c, kind, "eps", 1e-8),
                                 .weight_decay = mlff_attribute(c, kind, "weight_decay", 0),
                                 .momentum = mlff_attribute(c, kind, "momentum", 0.9),
                                 .step = k + 1,
                                 .grad_scale = 1,
                                 .squares = &squares,
                                 .clip_norm = mlff_attribute(c, kind, "grad_clip", 1)};
        loss[k] = parts[0];
        norm[k] = sqrt(squares);
        if (rc == 0)
            optimize(c, kind, &u, n, &m);
    }
    aster_free(&m.first);
    aster_free(&m.second);
    return rc;
}

static int check_optimizer(const struct course *t, const char *kind)
{
    const struct mlff_check *c = t->c;
    static const char model[] = "ultra_tiny";
    struct aster_forcefield_file w;
    struct mlff_net n = {0};
    char *loss_name = NULL;
    double *want_loss = NULL, *want_norm = NULL, loss[64], norm[64];
    struct aster_h5_shape shape = {.n = 3};
    bool found;
    int rc;
    if (!aster_h5_has(c->h5, kind) || c->real != ASTER_F64)
        return 0;
    ASTER_TRY(mlff_weights(c, model, &w, &found));
    if (!found)
        return 0;
    struct mlff_name losses = mlff_join(kind, "loss_per_step");
    if (aster_h5_has(c->h5, losses.text))
        ASTER_GOTO(aster_h5_shape(c->h5, losses.text, &shape), done);
    int64_t steps = aster_min64(shape.n, 64);
    ASTER_GOTO(aster_h5_attr_str(c->h5, kind, "loss", &loss_name), done);
    ASTER_GOTO(train_new(t, mlff_join(model, loss_name).text, &w, &n), done);
    ASTER_GOTO(take_steps(t, kind, &n, steps, loss, norm), done);
    ASTER_GOTO(mlff_maybe(c, losses.text, shape.n, &want_loss), done);
    ASTER_GOTO(mlff_maybe(c, mlff_join(kind, "grad_norm_before_clip").text, shape.n, &want_norm),
               done);
    if (want_loss)
        mlff_judge(c, steps, loss, want_loss, (struct mlff_limit){0, 1e-9}, "%s losses", kind);
    if (want_norm)
        mlff_judge(c, steps, norm, want_norm, (struct mlff_limit){0, 1e-9}, "%s norms", kind);
    rc = compare_tensors(c, &n, mlff_join(kind, "params_after_3").text, n.params, false,
                         (struct mlff_limit){1e-10, 0}, 1);
done:
    mlff_net_free(&n);
    aster_forcefield_close(&w);
    aster_free(&loss_name);
    aster_free(&want_loss);
    aster_free(&want_norm);
    return rc;
}

/* ---- learning rates: lr_schedule_SxE, S steps in each of E epochs ---- */

static int check_rates(const struct mlff_check *c, const char *name)
{
    const struct aster_warmup w = {1e-7, 1e-3, 1e-7, 1000, 100};
    long long per_epoch, epochs;
    double *want = NULL, *got = NULL;
    if (sscanf(name, "lr_schedule_%lldx%lld", &per_epoch, &epochs) != 2 || per_epoch < 1 ||
        epochs < 1 || per_epoch > 1000000 || epochs > 1000000)
        return aster_fail(c->ctx, ASTER_EFORMAT, "%s: %s names no steps and epochs", c->path, name);
    int64_t n = per_epoch * epochs, done = 0;
    struct aster_warmup mine = w;
    mine.epochs = epochs;
    int rc = mlff_maybe(c, name, n, &want);
    if (rc == 0)
        rc = aster_alloc(c->ctx, n, sizeof *got, &got);
    for (int64_t s = 0; rc == 0 && s < n; s++) {
        done += s && s % per_epoch == 0 && s >= w.steps;
        got[s] = aster_warmup_rate(&mine, s, done) / want[s];
        want[s] = 1;
    }
    if (rc == 0)
        mlff_judge(c, n, got, want, (struct mlff_limit){1e-6, 0}, "%s", name);
    aster_free(&want);
    aster_free(&got);
    return rc;
}

/* ---- the file ---- */

static int check_members(struct course *t, int64_t n, char **name)
{
    const struct mlff_check *c = t->c;
    for (int64_t k = 0; k < n; k++) {
        if (strncmp(name[k], "lr_schedule_", 12) == 0)
            ASTER_TRY(check_rates(c, name[k]));
        else if (strncmp(name[k], "optim_", 6) == 0)
            ASTER_TRY(check_optimizer(t, name[k]));
        else {
            struct aster_h5_shape shape;
            bool is_data = aster_h5_shape(c->h5, name[k], &shape) == 0;
            aster_ctx_clear(c->ctx);
            if (!is_data)
                ASTER_TRY(check_losses(t, name[k]));
        }
    }
    return 0;
}

int mlff_check_training(const struct mlff_check *c)
{
    struct course t = {.c = c};
    char **name = NULL;
    int64_t n = 0;
    int rc = aster_h5_has(c->h5, "energy_ref") ? read_course(&t) : 0;
    if (rc == 0)
        rc = aster_h5_list(c->h5, "/", &name, &n);
    if (rc == 0)
        rc = check_members(&t, n, name);
    aster_h5_names_free(&name, n);
    course_free(&t);
    return rc;
}
