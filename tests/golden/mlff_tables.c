/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden files of laws (turned molecules, lone atoms, pairs at the cutoff, isotropic mixing), and
 * of dynamics. */
#include "atoms/dynamics.h"
#include "golden/mlff_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- laws ---- */

/* A model's programs, and a file of its molecules beside the golden file. */
struct law {
    const struct mlff_check *c;
    struct aster_forcefield_file w;
    struct mlff_net net;
    struct aster_h5 *molecules;
};

static int law_open(const struct mlff_check *c, const char *model, int mixing, bool *found,
                    struct law *l)
{
    *l = (struct law){.c = c};
    ASTER_TRY(mlff_weights(c, model, &l->w, found));
    return *found ? mlff_model(c, &l->w, mixing, &l->net) : 0;
}

static int law_molecules(struct law *l, const char *model)
{
    char *folder = NULL;
    struct aster_str path = {0};
    ASTER_TRY(golden_folder(l->c->ctx, l->c->path, &folder));
    aster_str_printf(&path, "%smolecules_%s.h5", folder, model);
    int rc = aster_str_ok(l->c->ctx, &path);
    if (rc == 0)
        rc = aster_h5_open(l->c->ctx, path.s, &l->molecules);
    aster_str_free(&path);
    aster_free(&folder);
    return rc;
}

static void law_close(struct law *l)
{
    mlff_net_free(&l->net);
    aster_forcefield_close(&l->w);
    aster_h5_close(&l->molecules);
}

/* The name of the group that begins with the frame's number */
static int find_frame(struct law *l, int frame, char *out, size_t size)
{
    char **name = NULL;
    int64_t n = 0;
    bool found = false;
    ASTER_TRY(aster_h5_list(l->molecules, "/", &name, &n));
    for (int64_t k = 0; k < n && !found; k++) {
        int number = -1;
        found = sscanf(name[k], "%d_", &number) == 1 && number == frame;
        if (found)
            snprintf(out, size, "%s", name[k]);
    }
    aster_h5_names_free(&name, n);
    return found ? 0
                 : aster_fail(l->c->ctx, ASTER_EFORMAT,
                              "%s: needs molecule %d of the files molecules_MODEL.h5 beside it",
                              l->c->path, frame);
}

struct frame {
    double least; /* error of forces that single precision may have */
    int64_t n;
    int32_t *number;
    double *position;
};

static int read_frame(struct law *l, int frame, const char *kind, struct frame *f)
{
    char group[128];
    struct aster_h5_shape shape;
    *f = (struct frame){0};
    ASTER_TRY(find_frame(l, frame, group, sizeof group));
    ASTER_TRY(aster_h5_shape(l->molecules, mlff_join(group, "Z").text, &shape));
    f->n = shape.n;
    ASTER_TRY(aster_h5_read(l->molecules, mlff_join(group, "Z").text, ASTER_I32, f->n, &f->number));
    struct mlff_name path = mlff_join(group, kind);
    struct mlff_check there = *l->c;
    there.h5 = l->molecules;
    if (there.real == ASTER_F32)
        f->least = 3 * mlff_attribute(&there, path.text, "max_abs_dF_f32", 0);
    return aster_h5_read(l->molecules, mlff_join(path.text, "pos").text, ASTER_F64, 3 * f->n,
                         &f->position);
}

static void frame_free(struct frame *f)
{
    aster_free(&f->number);
    aster_free(&f->position);
}

/* n structures of the same size back to back */
static int evaluate(struct law *l, int64_t n, int64_t n_atoms, const int32_t *number,
                    const double *position, struct mlff_result *r)
{
    struct aster_ctx *ctx = l->c->ctx;
    struct mlff_batch b = {0};
    int64_t *first = NULL;
    ASTER_TRY(aster_alloc(ctx, n + 1, sizeof *first, &first));
    for (int64_t k = 0; k <= n; k++)
        first[k] = k * n_atoms;
    int rc = mlff_batch_new(ctx, n, first, number, position, NULL, NULL, l->net.c.cutoff,
                            l->c->real == ASTER_F32, &b);
    if (rc == 0)
        rc = mlff_evaluate(&l->net, &b, r);
    mlff_batch_free(ctx, &b);
    aster_free(&first);
    return rc;
}

/* rotation/MODEL_frameK: energies of the molecule turned by each matrix */
static int check_rotation(struct law *l, const char *member, int frame)
{
    const struct mlff_check *c = l->c;
    struct aster_h5_shape shape;
    struct frame f = {0};
    struct mlff_result r = {0};
    double *matrix = NULL, *want = NULL, *turned = NULL;
    int32_t *number = NULL;
    int rc;
    ASTER_TRY(aster_h5_shape(c->h5, "rotation/R", &shape));
    int64_t n = shape.dim[0];
    ASTER_GOTO(aster_h5_read(c->h5, "rotation/R", ASTER_F64, 9 * n, &matrix), done);
    ASTER_GOTO(mlff_maybe(c, mlff_join("rotation", member).text, n, &want), done);
    ASTER_GOTO(read_frame(l, frame, "exact", &f), done);
    ASTER_GOTO(aster_alloc(c->ctx, 3 * n * f.n, sizeof *turned, &turned), done);
    ASTER_GOTO(aster_alloc(c->ctx, n * f.n, sizeof *number, &number), done);
    for (int64_t k = 0; k < n; k++) {
        memcpy(number + k * f.n, f.number, (size_t)f.n * sizeof *number);
        for (int64_t i = 0; i < f.n; i++)
            for (int a = 0; a < 3; a++)
                for (int b = 0; b < 3; b++)
                    turned[3 * (k * f.n + i) + a] +=
                        matrix[9 * k + 3 * a + b] * f.position[3 * i + b];
    }
    ASTER_GOTO(evaluate(l, n, f.n, number, turned, &r), done);
    mlff_judge_energies(c, n, r.energy, want, 1, member);
done:
    mlff_result_free(&r);
    frame_free(&f);
    aster_free(&matrix);
    aster_free(&want);
    aster_free(&turned);
    aster_free(&number);
    return rc;
}

static int check_rotations(const struct mlff_check *c)
{
    char **name = NULL;
    int64_t n = 0;
    if (!aster_h5_has(c->h5, "rotation"))
        return 0;
    ASTER_TRY(aster_h5_list(c->h5, "rotation", &name, &n));
    int rc = 0;
    for (int64_t k = 0; rc == 0 && k < n; k++) {
        char model[64], *at = strstr(name[k], "_frame");
        struct law l;
        bool found;
        if (!at || at - name[k] >= (long)sizeof model)
            continue;
        snprintf(model, sizeof model, "%.*s", (int)(at - name[k]), name[k]);
        rc = law_open(c, model, -1, &found, &l);
        if (rc == 0 && found)
            rc = law_molecules(&l, model);
        if (rc == 0 && found)
            rc = check_rotation(&l, name[k], atoi(at + 6));
        law_close(&l);
    }
    aster_h5_names_free(&name, n);
    return rc;
}

/* isotropic/MODEL: all molecules of the model's file */
static int check_isotropic_model(const struct mlff_check *c, const char *model)
{
    struct mlff_name group = mlff_join("isotropic", model);
    struct law l;
    struct aster_h5_shape shape;
    double *energy = NULL, *force = NULL;
    int64_t *first = NULL;
    bool found;
    int rc = law_open(c, model, ASTER_MIXING_ISOTROPIC, &found, &l);
    if (rc < 0 || !found)
        goto done;
    ASTER_GOTO(law_molecules(&l, model), done);
    ASTER_GOTO(aster_h5_shape(c->h5, mlff_join(group.text, "ptr").text, &shape), done);
    ASTER_GOTO(aster_h5_read(c->h5, mlff_join(group.text, "ptr").text, ASTER_I64, -1, &first),
               done);
    ASTER_GOTO(mlff_maybe(c, mlff_join(group.text, "energy").text, shape.n - 1, &energy), done);
    ASTER_GOTO(mlff_maybe(c, mlff_join(group.text, "forces").text, 3 * first[shape.n - 1], &force),
               done);
    for (int64_t k = 0; rc == 0 && k < shape.n - 1; k++) {
        struct frame f;
        struct mlff_result r = {0};
        rc = read_frame(&l, (int)k, "pert", &f);
        if (rc == 0 && f.n != first[k + 1] - first[k])
            rc = aster_fail(c->ctx, ASTER_EFORMAT,
                            "%s: %s/ptr gives molecule %lld %lld atoms, not %lld", c->path,
                            group.text, (long long)k, (long long)(first[k + 1] - first[k]),
                            (long long)f.n);
        if (rc == 0)
            rc = evaluate(&l, 1, f.n, f.number, f.position, &r);
        if (rc == 0 && energy)
            mlff_judge_energies(c, 1, r.energy, energy + k, 1, group.text);
        if (rc == 0 && force)
            mlff_judge_forces(c, f.n, r.force, force + 3 * first[k], f.least, group.text);
        mlff_result_free(&r);
        frame_free(&f);
    }
done:
    law_close(&l);
    aster_free(&energy);
    aster_free(&force);
    aster_free(&first);
    return rc;
}

static int check_isotropic(const struct mlff_check *c)
{
    char **name = NULL;
    int64_t n = 0;
    if (!aster_h5_has(c->h5, "isotropic"))
        return 0;
    ASTER_TRY(aster_h5_list(c->h5, "isotropic", &name, &n));
    int rc = 0;
    for (int64_t k = 0; rc == 0 && k < n; k++)
        rc = check_isotropic_model(c, name[k]);
    aster_h5_names_free(&name, n);
    return rc;
}

/* Energies of n structures made of so many atoms, and where the file says: how many edges */
static int check_energies(const struct mlff_check *c, const char *group, const char *member,
                          const char *model, int64_t n, int64_t n_atoms, const int32_t *number,
                          const double *position)
{
    struct law l;
    struct mlff_result r = {0};
    double *want = NULL;
    bool found;
    int rc = law_open(c, model, -1, &found, &l);
    if (rc == 0 && found)
        rc = mlff_maybe(c, mlff_join(group, member).text, n, &want);
    if (rc == 0 && want)
        rc = evaluate(&l, n, n_atoms, number, position, &r);
    if (rc == 0 && want)
        mlff_judge_energies(c, n, r.energy, want, 1, mlff_join(group, member).text);
    mlff_result_free(&r);
    aster_free(&want);
    law_close(&l);
    return rc;
}

static int check_isolated(const struct mlff_check *c)
{
    char **name = NULL;
    int64_t n = 0;
    struct aster_h5_shape shape;
    int32_t *number = NULL;
    double *position = NULL;
    int rc;
    if (!aster_h5_has(c->h5, "isolated_atoms"))
        return 0;
    ASTER_GOTO(aster_h5_shape(c->h5, "isolated_atoms/Z", &shape), done);
    ASTER_GOTO(aster_h5_read(c->h5, "isolated_atoms/Z", ASTER_I32, shape.n, &number), done);
    ASTER_GOTO(aster_alloc(c->ctx, 3 * shape.n, sizeof *position, &position), done);
    ASTER_GOTO(aster_h5_list(c->h5, "isolated_atoms", &name, &n), done);
    for (int64_t k = 0; rc == 0 && k < n; k++)
        if (strcmp(name[k], "Z") != 0)
            rc =
                check_energies(c, "isolated_atoms", name[k], name[k], shape.n, 1, number, position);
done:
    aster_h5_names_free(&name, n);
    aster_free(&number);
    aster_free(&position);
    return rc;
}

/* Pairs of carbon at the distances of the file; the one at the cutoff has its two edges. */
static int check_pairs(const struct mlff_check *c)
{
    char **name = NULL;
    int64_t n = 0;
    struct aster_h5_shape shape;
    int32_t *number = NULL;
    double *position = NULL, *d = NULL;
    int rc;
    if (!aster_h5_has(c->h5, "cutoff_pair"))
        return 0;
    ASTER_GOTO(aster_h5_shape(c->h5, "cutoff_pair/d", &shape), done);
    ASTER_GOTO(aster_h5_read(c->h5, "cutoff_pair/d", ASTER_F64, shape.n, &d), done);
    ASTER_GOTO(aster_alloc(c->ctx, 2 * shape.n, sizeof *number, &number), done);
    ASTER_GOTO(aster_alloc(c->ctx, 6 * shape.n, sizeof *position, &position), done);
    for (int64_t k = 0; k < shape.n; k++) {
        number[2 * k] = number[2 * k + 1] = 6;
        position[6 * k + 5] = d[k]; /* along z */
    }
    ASTER_GOTO(aster_h5_list(c->h5, "cutoff_pair", &name, &n), done);
    for (int64_t k = 0; rc == 0 && k < n; k++) {
        char model[64], *end = strstr(name[k], "_CC");
        if (!end || end - name[k] >= (long)sizeof model)
            continue;
        snprintf(model, sizeof model, "%.*s", (int)(end - name[k]), name[k]);
        rc = check_energies(c, "cutoff_pair", name[k], model, shape.n, 2, number, position);
    }
done:
    aster_h5_names_free(&name, n);
    aster_free(&number);
    aster_free(&position);
    aster_free(&d);
    return rc;
}

int mlff_check_laws(const struct mlff_check *c)
{
    ASTER_TRY(check_rotations(c));
    ASTER_TRY(check_isotropic(c));
    ASTER_TRY(check_isolated(c));
    return check_pairs(c);
}

/* ---- dynamics ---- */

struct motion {
    struct law l;
    int64_t n_steps, n_copies, n_atoms;
    int32_t *number;
    double *mass, *position, *velocity, *epot, *ekin; /* of the file, all steps */
    double dt;
};

static int read_motion(struct motion *m)
{
    const struct mlff_check *c = m->l.c;
    struct aster_h5_shape shape;
    double fs;
    ASTER_TRY(aster_h5_shape(c->h5, "positions", &shape));
    if (shape.rank != 4 || shape.dim[3] != 3 || shape.dim[0] < 1)
        return aster_fail(c->ctx, ASTER_EFORMAT,
                          "%s: positions [steps + 1, copies, atoms, 3] are expected", c->path);
    m->n_steps = shape.dim[0] - 1;
    m->n_copies = shape.dim[1];
    m->n_atoms = shape.dim[2];
    ASTER_TRY(aster_h5_attr_f64(c->h5, "/", "timestep_fs", &fs));
    m->dt = fs * ASTER_FEMTOSECOND;
    ASTER_TRY(aster_h5_read(c->h5, "Z", ASTER_I32, m->n_atoms, &m->number));
    ASTER_TRY(aster_h5_read(c->h5, "masses_amu", ASTER_F64, m->n_atoms, &m->mass));
    ASTER_TRY(aster_h5_read(c->h5, "positions", ASTER_F64, shape.n, &m->position));
    ASTER_TRY(aster_h5_read(c->h5, "velocities", ASTER_F64, shape.n, &m->velocity));
    int64_t n = (m->n_steps + 1) * m->n_copies;
    ASTER_TRY(mlff_maybe(c, "epot", n, &m->epot));
    return mlff_maybe(c, "ekin", n, &m->ekin);
}

/* Velocity Verlet from the first frame; every step against the file's */
static int follow(struct motion *m, int32_t *number, double *mass, double *x, double *v)
{
    const struct mlff_check *c = m->l.c;
    int64_t n = m->n_copies * m->n_atoms;
    struct mlff_limit near =
        c->real == ASTER_F64 ? (struct mlff_limit){1e-8, 1e-9} : (struct mlff_limit){1e-4, 1e-4};
    struct mlff_result r = {0};
    ASTER_TRY(evaluate(&m->l, m->n_copies, m->n_atoms, number, x, &r));
    int rc = 0;
    for (int64_t step = 0; rc == 0 && step <= m->n_steps; step++) {
        double kinetic[64];
        for (int64_t k = 0; k < m->n_copies && k < 64; k++)
            kinetic[k] = aster_dynamics_kinetic(m->n_atoms, mass, v + 3 * k * m->n_atoms);
        mlff_judge(c, 3 * n, x, m->position + 3 * n * step, near, "positions %lld",
                   (long long)step);
        mlff_judge(c, 3 * n, v, m->velocity + 3 * n * step, near, "velocities %lld",
                   (long long)step);
        if (m->epot)
            mlff_judge(c, m->n_copies, r.energy, m->epot + m->n_copies * step, near, "epot %lld",
                       (long long)step);
        if (m->ekin)
            mlff_judge(c, aster_min64(m->n_copies, 64), kinetic, m->ekin + m->n_copies * step, near,
                       "ekin %lld", (long long)step);
        if (step == m->n_steps)
            break;
        aster_dynamics_kick(n, mass, r.force, m->dt / 2, v);
        aster_dynamics_drift(n, v, m->dt, x);
        mlff_result_free(&r);
        rc = evaluate(&m->l, m->n_copies, m->n_atoms, number, x, &r);
        if (rc == 0)
            aster_dynamics_kick(n, mass, r.force, m->dt / 2, v);
    }
    mlff_result_free(&r);
    return rc;
}

static int check_motion(struct motion *m)
{
    struct aster_ctx *ctx = m->l.c->ctx;
    int32_t *number = NULL;
    double *mass = NULL, *x = NULL, *v = NULL;
    int64_t n = m->n_copies * m->n_atoms;
    int rc;
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *number, &number), done);
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *mass, &mass), done);
    ASTER_GOTO(aster_alloc(ctx, 3 * n, sizeof *x, &x), done);
    ASTER_GOTO(aster_alloc(ctx, 3 * n, sizeof *v, &v), done);
    for (int64_t i = 0; i < n; i++) {
        number[i] = m->number[i % m->n_atoms];
        mass[i] = m->mass[i % m->n_atoms];
    }
    memcpy(x, m->position, (size_t)(3 * n) * sizeof *x);
    memcpy(v, m->velocity, (size_t)(3 * n) * sizeof *v);
    rc = follow(m, number, mass, x, v);
done:
    aster_free(&number);
    aster_free(&mass);
    aster_free(&x);
    aster_free(&v);
    return rc;
}

static int check_exchange(const struct mlff_check *c)
{
    struct aster_h5_shape shape;
    double *t = NULL, *e = NULL, *want = NULL;
    int rc;
    if (!aster_h5_has(c->h5, "exchange/p_neighbour") || !aster_h5_has(c->h5, "temperatures_K"))
        return 0;
    ASTER_TRY(aster_h5_shape(c->h5, "temperatures_K", &shape));
    ASTER_GOTO(mlff_maybe(c, "temperatures_K", shape.n, &t), done);
    ASTER_GOTO(mlff_maybe(c, "exchange/epot", shape.n, &e), done);
    ASTER_GOTO(mlff_maybe(c, "exchange/p_neighbour", shape.n - 1, &want), done);
    for (int64_t k = 0; e && k + 1 < shape.n; k++) {
        double p = aster_exchange_probability(t[k], t[k + 1], e[k], e[k + 1]);
        mlff_judge(c, 1, &p, want + k, (struct mlff_limit){1e-12, 1e-9}, "exchange %lld",
                   (long long)k);
    }
done:
    aster_free(&t);
    aster_free(&e);
    aster_free(&want);
    return rc;
}

int mlff_check_dynamics(const struct mlff_check *c)
{
    struct motion m = {0};
    char *model = NULL;
    bool found = false;
    int rc = aster_h5_attr_str(c->h5, "/", "model", &model);
    if (rc == 0)
        rc = law_open(c, model, -1, &found, &m.l);
    m.l.c = c;
    if (rc == 0 && found)
        rc = read_motion(&m);
    if (rc == 0 && found)
        rc = check_motion(&m);
    if (rc == 0)
        rc = check_exchange(c);
    law_close(&m.l);
    aster_free(&m.number);
    aster_free(&m.mass);
    aster_free(&m.position);
    aster_free(&m.velocity);
    aster_free(&m.epot);
    aster_free(&m.ekin);
    aster_free(&model);
    return rc;
}
