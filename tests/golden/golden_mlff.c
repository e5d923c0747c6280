/* SPDX-License-Identifier: BSD-3-Clause */
/* Compares a force field with golden files: neighbours, energies, forces, virials, intermediates,
 * gradients, optimizer steps, dynamics. */
#include "golden/mlff_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- weights ---- */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Whether the file of --weights is this model's: its attribute says so, or its name */
static int is_of_model(const struct mlff_check *c, const char *model, bool *yes)
{
    const char *base = aster_path_base(c->o->weights);
    size_t n = strlen(model);
    *yes = strncmp(base, model, n) == 0 && (base[n] == '.' || !base[n]);
    struct aster_h5 *h5 = NULL;
    char *name = NULL;
    if (*yes || strlen(base) < 3 || strcmp(base + strlen(base) - 3, ".h5") != 0)
        return 0;
    ASTER_TRY(aster_h5_open(c->ctx, c->o->weights, &h5));
    int rc = aster_h5_attr_has(h5, "/", "model_name")
                 ? aster_h5_attr_str(h5, "/", "model_name", &name)
                 : 0;
    *yes = name && strcmp(name, model) == 0;
    aster_free(&name);
    aster_h5_close(&h5);
    return rc;
}

int mlff_weights(const struct mlff_check *c, const char *model, struct aster_forcefield_file *w,
                 bool *found)
{
    struct aster_str path = {0};
    char *folder = NULL;
    int rc = 0;
    *found = true;
    if (c->o->weights && !is_folder(c->o->weights)) {
        ASTER_TRY(is_of_model(c, model, found));
        return *found ? aster_forcefield_open(c->ctx, c->o->weights, w) : 0;
    }
    if (c->o->weights)
        aster_str_printf(&path, "%s/%s.h5", c->o->weights, model);
    else {
        rc = golden_folder(c->ctx, c->path, &folder);
        aster_str_printf(&path, "%s../weights/%s.h5", folder ? folder : "", model);
    }
    if (rc == 0)
        rc = aster_str_ok(c->ctx, &path);
    if (rc == 0)
        rc = aster_forcefield_open(c->ctx, path.s, w);
    aster_str_free(&path);
    aster_free(&folder);
    return rc;
}

void mlff_perturb(const struct mlff_check *c, struct mlff_net *n)
{
    for (int k = 0; c->o->perturb && k < aster_program_n_params(n->p); k++) {
        const struct aster_param_info *info = aster_program_param(n->p, k);
        if (strcmp(info->name, "energy_head.4.weight") != 0)
            continue;
        if (n->real == ASTER_F64)
            ((double *)n->params)[info->offset] *= 1.01;
        else
            ((float *)n->params)[info->offset] *= 1.01F;
    }
}

int mlff_model(const struct mlff_check *c, const struct aster_forcefield_file *w, int mixing,
               struct mlff_net *n)
{
    struct aster_forcefield_config config = w->c;
    if (mixing >= 0)
        config.mixing = (enum aster_mixing)mixing;
    ASTER_TRY(
        mlff_net_start(c->ctx, c->o->be, c->real, &config, ASTER_FORCEFIELD_FORCES, NULL, NULL, n));
    ASTER_TRY(mlff_net_load(n, w));
    mlff_perturb(c, n);
    return 0;
}

/* ---- members of the file ---- */

struct mlff_name mlff_join(const char *first, const char *second)
{
    struct mlff_name n;
    snprintf(n.text, sizeof n.text, "%s/%s", first, second);
    return n;
}

int mlff_maybe(const struct mlff_check *c, const char *name, int64_t n, double **out)
{
    *out = NULL;
    return aster_h5_has(c->h5, name) ? aster_h5_read(c->h5, name, ASTER_F64, n, out) : 0;
}

double mlff_attribute(const struct mlff_check *c, const char *object, const char *name,
                      double otherwise)
{
    double v;
    if (!aster_h5_attr_has(c->h5, object, name))
        return otherwise;
    if (aster_h5_attr_f64(c->h5, object, name, &v) < 0) {
        aster_ctx_clear(c->ctx);
        return NAN;
    }
    return v;
}

/* ---- errors ---- */

void mlff_judge(const struct mlff_check *c, int64_t n, const double *got, const double *want,
                struct mlff_limit limit, const char *fmt, ...)
{
    char where[120];
    va_list ap;
    double error = 0, size = 0;
    va_start(ap, fmt);
    vsnprintf(where, sizeof where, fmt, ap);
    va_end(ap);
    for (int64_t k = 0; k < n; k++) {
        double e = fabs(got[k] - want[k]);
        error = e <= error ? error : e;
        size = fmax(size, fabs(want[k]));
    }
    golden_fraction(c->s, error / (limit.absolute + limit.relative * size), "%s %s",
                    aster_dtype_name(c->real), where);
}

void mlff_judge_energies(const struct mlff_check *c, int64_t n, const double *got,
                         const double *want, double factor, const char *where)
{
    struct mlff_limit l =
        c->real == ASTER_F64 ? (struct mlff_limit){1e-9, 1e-12} : (struct mlff_limit){5e-5, 5e-6};
    l.absolute *= factor;
    l.relative *= factor;
    for (int64_t k = 0; k < n; k++)
        mlff_judge(c, 1, got + k, want + k, l, "%s energy %lld", where, (long long)k);
}

void mlff_judge_forces(const struct mlff_check *c, int64_t n_atoms, const double *got,
                       const double *want, double least, const char *where)
{
    struct mlff_limit l =
        c->real == ASTER_F64 ? (struct mlff_limit){1e-8, 1e-10} : (struct mlff_limit){5e-5, 1e-5};
    double size = 0;
    for (int64_t k = 0; k < 3 * n_atoms; k++)
        size = fmax(size, fabs(want[k]));
    if (least > l.absolute + l.relative * size)
        l = (struct mlff_limit){least, 0};
    mlff_judge(c, 3 * n_atoms, got, want, l, "%s forces", where);
}

void mlff_same(const struct mlff_check *c, int64_t n, const double *a, const double *b,
               const char *where)
{
    int64_t different = 0;
    for (int64_t k = 0; k < n; k++)
        different += memcmp(&a[k], &b[k], sizeof *a) != 0;
    golden_fraction(c->s, different ? (double)INFINITY : 0, "%s %s: %lld values have other bits",
                    aster_dtype_name(c->real), where, (long long)different);
}

/* ---- edges ---- */

static const struct aster_edges *sorted; /* qsort has no argument of its own */

static int by_source(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    const int32_t kx[5] = {sorted->src[x], sorted->dst[x], sorted->shift[3 * x],
                           sorted->shift[3 * x + 1], sorted->shift[3 * x + 2]},
                  ky[5] = {sorted->src[y], sorted->dst[y], sorted->shift[3 * y],
                           sorted->shift[3 * y + 1], sorted->shift[3 * y + 2]};
    for (int k = 0; k < 5; k++)
        if (kx[k] != ky[k])
            return kx[k] < ky[k] ? -1 : 1;
    return 0;
}

int mlff_golden_order(const struct mlff_check *c, const struct mlff_batch *b, int64_t **order)
{
    ASTER_TRY(aster_alloc(c->ctx, b->edges.n, sizeof **order, order));
    for (int64_t k = 0; k < b->edges.n; k++)
        (*order)[k] = k;
    sorted = &b->edges;
    qsort(*order, (size_t)b->edges.n, sizeof **order, by_source);
    return 0;
}

/* ---- a file ---- */

static int all_groups(const struct mlff_check *c)
{
    char **name = NULL;
    int64_t n = 0;
    ASTER_TRY(aster_h5_list(c->h5, "/", &name, &n));
    int rc = n ? 0 : aster_fail(c->ctx, ASTER_EFORMAT, "%s: is empty", c->path);
    for (int64_t k = 0; rc == 0 && k < n; k++)
        rc = mlff_check_group(c, name[k]);
    aster_h5_names_free(&name, n);
    return rc;
}

static int one_precision(const struct mlff_check *c)
{
    static const char *const laws[] = {"rotation", "isolated_atoms", "cutoff_pair", "isotropic"};
    if (aster_h5_has(c->h5, "velocities"))
        return mlff_check_dynamics(c);
    if (aster_h5_has(c->h5, "energy_ref") || aster_h5_has(c->h5, "lr_schedule_219x100"))
        return mlff_check_training(c);
    if (aster_h5_attr_has(c->h5, "/", "model"))
        return mlff_check_molecules(c);
    for (size_t k = 0; k < sizeof laws / sizeof *laws; k++)
        if (aster_h5_has(c->h5, laws[k]))
            return mlff_check_laws(c);
    return all_groups(c);
}

static int check(struct aster_ctx *ctx, const struct golden_options *o, const char *path,
                 struct golden_score *s)
{
    static const enum aster_dtype reals[] = {ASTER_F64, ASTER_F32};
    struct mlff_check c = {ctx, o, s, NULL, path, ASTER_F64};
    ASTER_TRY(aster_h5_open(ctx, path, &c.h5));
    int rc = 0;
    for (int k = 0; rc == 0 && k < 2; k++) {
        c.real = reals[k];
        if (c.real == ASTER_F64 ? o->f64 : o->f32)
            rc = one_precision(&c);
    }
    aster_h5_close(&c.h5);
    if (rc == 0 && !s->n_compared)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: nothing to compare was found; a golden file of a force field is "
                          "expected",
                          path);
    return rc;
}

int main(int argc, char **argv)
{
    return golden_main(argc, argv, &(struct golden_program){"golden-mlff", check, true});
}
