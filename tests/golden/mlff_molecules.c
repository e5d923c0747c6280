/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden molecules with everything in between, batches, crystals. */
#include "golden/mlff_check.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { MOST_BLOCKS = 16, MOST_WANTED = 12 * MOST_BLOCKS + 3 };

/* ---- neighbours ---- */

static int64_t count_different(const struct mlff_batch *b, const int64_t *order, const int64_t *src,
                               const int64_t *dst, const int64_t *shift)
{
    int64_t different = 0;
    for (int64_t k = 0; k < b->edges.n; k++) {
        int64_t e = order[k];
        different += b->edges.src[e] != src[k] || b->edges.dst[e] != dst[k];
        for (int a = 0; shift && a < 3; a++)
            different += b->edges.shift[3 * e + a] != shift[3 * k + a];
    }
    return different;
}

static int compare_distances(const struct mlff_check *c, const struct mlff_batch *b,
                             const int64_t *order, const char *name, struct mlff_limit limit)
{
    double *want = NULL, *got = NULL;
    ASTER_TRY(mlff_maybe(c, name, b->edges.n, &want));
    if (!want)
        return 0;
    int rc = aster_alloc(c->ctx, b->edges.n, sizeof *got, &got);
    for (int64_t k = 0; rc == 0 && k < b->edges.n; k++) {
        const double *r = b->vector + 3 * order[k];
        got[k] = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
    }
    if (rc == 0)
        mlff_judge(c, b->edges.n, got, want, limit, "%s", name);
    aster_free(&want);
    aster_free(&got);
    return rc;
}

/* The lists of a group against ours; single precision may differ within rounding of the cutoff */
static int check_neighbours(const struct mlff_check *c, const char *group,
                            const struct mlff_batch *b)
{
    struct aster_h5_shape shape;
    int64_t *src = NULL, *dst = NULL, *shift = NULL, *order = NULL;
    int rc;
    if (!aster_h5_has(c->h5, mlff_join(group, "src").text) ||
        !aster_h5_has(c->h5, mlff_join(group, "dst").text))
        return 0;
    if (c->real == ASTER_F32 && b->gap < 1e-5)
        return 0;
    ASTER_TRY(aster_h5_shape(c->h5, mlff_join(group, "src").text, &shape));
    golden_fraction(c->s, shape.n == b->edges.n ? 0 : (double)INFINITY,
                    "%s %s: %lld edges, the file has %lld", aster_dtype_name(c->real), group,
                    (long long)b->edges.n, (long long)shape.n);
    if (shape.n != b->edges.n)
        return 0;
    ASTER_GOTO(aster_h5_read(c->h5, mlff_join(group, "src").text, ASTER_I64, shape.n, &src), done);
    ASTER_GOTO(aster_h5_read(c->h5, mlff_join(group, "dst").text, ASTER_I64, shape.n, &dst), done);
    if (aster_h5_has(c->h5, mlff_join(group, "shift").text))
        ASTER_GOTO(
            aster_h5_read(c->h5, mlff_join(group, "shift").text, ASTER_I64, 3 * shape.n, &shift),
            done);
    ASTER_GOTO(mlff_golden_order(c, b, &order), done);
    int64_t different = count_different(b, order, src, dst, shift);
    golden_fraction(c->s, different ? (double)INFINITY : 0, "%s %s: %lld edges differ",
                    aster_dtype_name(c->real), group, (long long)different);
    if (c->real == ASTER_F64) {
        ASTER_GOTO(compare_distances(c, b, order, mlff_join(group, "f64/dist").text,
                                     (struct mlff_limit){1e-12, 1e-12}),
                   done);
        ASTER_GOTO(compare_distances(c, b, order, mlff_join(group, "dist").text,
                                     (struct mlff_limit){1e-6, 1e-6}),
                   done);
    }
done:
    aster_free(&src);
    aster_free(&dst);
    aster_free(&shift);
    aster_free(&order);
    return rc;
}

/* ---- results of one structure or one batch ---- */

/* What a group says of forces: not comparable, or how far single precision may be off */
struct quality {
    bool has_forces;
    double factor, least;
};

/* Results in group WHERE ("…/f64" or "…/original_f64"): whatever is there */
static int check_results(const struct mlff_check *c, const char *where, const struct mlff_batch *b,
                         const struct mlff_result *r, struct quality q)
{
    double *want[4] = {NULL};
    static const char *const names[] = {"energy", "atomic_energy", "forces", "virial"};
    const int64_t n[] = {b->n, b->n_atoms, 3 * b->n_atoms, 9 * b->n};
    int rc = 0;
    for (int k = 0; rc == 0 && k < 4; k++)
        rc = mlff_maybe(c, mlff_join(where, names[k]).text, n[k], &want[k]);
    if (rc == 0 && want[0])
        mlff_judge_energies(c, b->n, r->energy, want[0], q.factor, where);
    if (rc == 0 && want[1])
        mlff_judge(c, b->n_atoms, r->atomic, want[1],
                   c->real == ASTER_F64 ? (struct mlff_limit){1e-9, 1e-12}
                                        : (struct mlff_limit){5e-5 * q.factor, 5e-6 * q.factor},
                   "%s atomic energies", where);
    if (rc == 0 && want[2] && q.has_forces)
        mlff_judge_forces(c, b->n_atoms, r->force, want[2], q.least, where);
    if (rc == 0 && want[3] && q.has_forces)
        mlff_judge(c, 9 * b->n, r->virial, want[3],
                   c->real == ASTER_F64 ? (struct mlff_limit){1e-8, 1e-10}
                                        : (struct mlff_limit){5e-4, 5e-5},
                   "%s virial", where);
    for (int k = 0; k < 4; k++)
        aster_free(&want[k]);
    return rc;
}

/* ---- intermediates and adjoints ---- */

/* A value of the program beside the file's: three components of vectors are three values */
struct wanted {
    char member[64];
    aster_val v[3];
    int64_t n_rows_of; /* 0: atoms, 1: edges */
    bool is_adjoint;
};
struct inter {
    const struct mlff_check *c;
    struct mlff_net net;
    struct aster_forcefield_probe probe;
    struct aster_forcefield_block block[MOST_BLOCKS];
    struct wanted want[MOST_WANTED];
    int n;
};

static void add(struct inter *t, aster_val x, aster_val y, aster_val z, int rows, bool is_adjoint,
                const char *fmt, ...) ASTER_PRINTF(7, 8);
static void add(struct inter *t, aster_val x, aster_val y, aster_val z, int rows, bool is_adjoint,
                const char *fmt, ...)
{
    va_list ap;
    if (x < 0 || t->n == MOST_WANTED)
        return;
    struct wanted *w = &t->want[t->n++];
    *w = (struct wanted){.v = {x, y, z}, .n_rows_of = rows, .is_adjoint = is_adjoint};
    va_start(ap, fmt);
    vsnprintf(w->member, sizeof w->member, fmt, ap);
    va_end(ap);
}

static void list_values(struct inter *t)
{
    add(t, t->probe.radial, -1, -1, 1, false, "x");
    add(t, t->probe.unit, -1, -1, 1, false, "u");
    for (int k = 0; k < t->probe.n_blocks; k++) {
        const struct aster_forcefield_block *b = &t->block[k];
        add(t, b->filter, -1, -1, 1, false, "layer%d/filter", k);
        add(t, b->s_message, -1, -1, 0, false, "layer%d/s_msg", k);
        add(t, b->v_message[0], b->v_message[1], b->v_message[2], 0, false, "layer%d/v_msg", k);
        add(t, b->s_out, -1, -1, 0, false, "layer%d/s_out", k);
        add(t, b->v_out[0], b->v_out[1], b->v_out[2], 0, false, "layer%d/v_out", k);
    }
}

/* The same values' adjoints, members g_NAME */
static int list_adjoints(struct inter *t)
{
    int n = t->n;
    aster_val x[3 * MOST_WANTED], dx[3 * MOST_WANTED];
    for (int k = 0; k < n; k++)
        memcpy(x + 3 * k, t->want[k].v, sizeof t->want[k].v);
    x[3 * n] = t->probe.vector;
    ASTER_TRY(aster_program_grad(t->net.p, t->probe.energy, 3 * n + 1, x, dx));
    for (int k = 0; k < n; k++) {
        const char *name = strrchr(t->want[k].member, '/');
        int folder = name ? (int)(name + 1 - t->want[k].member) : 0;
        add(t, dx[3 * k], dx[3 * k + 1], dx[3 * k + 2], (int)t->want[k].n_rows_of, true, "%.*sg_%s",
            folder, t->want[k].member, t->want[k].member + folder);
    }
    add(t, dx[3 * n], -1, -1, 1, true, "g_r");
    return 0;
}

static int inter_new(const struct mlff_check *c, const struct aster_forcefield_file *w,
                     struct inter *t)
{
    *t = (struct inter){.c = c};
    t->probe = (struct aster_forcefield_probe){.n_blocks = aster_min64(w->c.n_blocks, MOST_BLOCKS),
                                               .block = t->block};
    ASTER_TRY(mlff_net_start(c->ctx, c->o->be, c->real, &w->c, ASTER_FORCEFIELD_PROBE, NULL,
                             &t->probe, &t->net));
    list_values(t);
    ASTER_TRY(list_adjoints(t));
    for (int k = 0; k < t->n; k++)
        for (int a = 0; a < 3 && t->want[k].v[a] >= 0; a++) {
            char name[80];
            snprintf(name, sizeof name, "%s.%d", t->want[k].member, a);
            aster_emit_output(t->net.p, name, t->want[k].v[a]);
        }
    ASTER_TRY(aster_program_finish(t->net.p));
    ASTER_TRY(mlff_net_load(&t->net, w));
    mlff_perturb(c, &t->net);
    return 0;
}

/* Component a of a value into rows of n_parts width values, edges in the file's order */
static int collect(struct inter *t, const struct mlff_run *r, const struct wanted *w,
                   const int64_t *order, int64_t rows, double **out, int64_t *n)
{
    int parts = w->v[1] < 0 ? 1 : 3;
    *out = NULL;
    for (int a = 0; a < parts; a++) {
        double *one = NULL;
        char name[80];
        snprintf(name, sizeof name, "%s.%d", w->member, a);
        ASTER_TRY(mlff_output(r, name, &one, n));
        int64_t width = rows ? *n / rows : 0;
        int rc = a ? 0 : aster_alloc(t->c->ctx, *n * parts, sizeof **out, out);
        for (int64_t k = 0; rc == 0 && k < rows; k++)
            memcpy(*out + (k * parts + a) * width, one + (w->n_rows_of ? order[k] : k) * width,
                   (size_t)width * sizeof *one);
        aster_free(&one);
        ASTER_TRY(rc);
    }
    *n *= parts;
    return 0;
}

static int compare_inter(struct inter *t, const struct mlff_run *r, const struct mlff_batch *b,
                         const int64_t *order, const char *group)
{
    for (int k = 0; k < t->n; k++) {
        const struct wanted *w = &t->want[k];
        double *got = NULL, *want = NULL;
        int64_t n;
        if (!aster_h5_has(t->c->h5, mlff_join(group, w->member).text))
            continue;
        int rc = collect(t, r, w, order, w->n_rows_of ? b->edges.n : b->n_atoms, &got, &n);
        if (rc == 0)
            rc = mlff_maybe(t->c, mlff_join(group, w->member).text, n, &want);
        if (rc == 0)
            mlff_judge(t->c, n, got, want,
                       w->is_adjoint ? (struct mlff_limit){1e-9, 1e-9}
                                     : (struct mlff_limit){1e-10, 1e-10},
                       "%s/%s", group, w->member);
        aster_free(&got);
        aster_free(&want);
        ASTER_TRY(rc);
    }
    return 0;
}

static int check_inter(struct inter *t, const char *group, const struct mlff_batch *b)
{
    struct mlff_run r = {0};
    int64_t *order = NULL;
    if (t->c->real != ASTER_F64 || !aster_h5_has(t->c->h5, group))
        return 0;
    ASTER_TRY(mlff_golden_order(t->c, b, &order));
    int rc = mlff_run(&t->net, b, NULL, &r);
    if (rc == 0) {
        rc = compare_inter(t, &r, b, order, group);
        mlff_run_free(&r);
    }
    aster_free(&order);
    return rc;
}

/* ---- files of molecules ---- */

struct geometry {
    char group[96];
    int64_t n;
    int32_t *number;
    double *position;
};
struct molecules {
    const struct mlff_check *c;
    const struct aster_forcefield_file *w;
    struct mlff_net net;
    struct inter inter;
    struct geometry *g;
    int64_t n, cap;
};

static int read_geometry(struct molecules *m, const char *group, const char *kind)
{
    const struct mlff_check *c = m->c;
    struct mlff_name path = mlff_join(group, kind);
    struct aster_h5_shape shape;
    if (!aster_h5_has(c->h5, mlff_join(path.text, "pos").text))
        return 0;
    ASTER_TRY(aster_grow(c->ctx, m->n + 1, sizeof *m->g, &m->cap, &m->g));
    struct geometry *g = &m->g[m->n++];
    *g = (struct geometry){0};
    if (strlen(path.text) >= sizeof g->group)
        return aster_fail(c->ctx, ASTER_EFORMAT, "%s: the name of group %.60s is too long", c->path,
                          path.text);
    memcpy(g->group, path.text, strlen(path.text) + 1);
    ASTER_TRY(aster_h5_shape(c->h5, mlff_join(group, "Z").text, &shape));
    g->n = shape.n;
    ASTER_TRY(aster_h5_read(c->h5, mlff_join(group, "Z").text, ASTER_I32, g->n, &g->number));
    return aster_h5_read(c->h5, mlff_join(path.text, "pos").text, ASTER_F64, 3 * g->n,
                         &g->position);
}

static int read_all(struct molecules *m)
{
    char **name = NULL;
    int64_t n = 0;
    ASTER_TRY(aster_h5_list(m->c->h5, "/", &name, &n));
    int rc = 0;
    for (int64_t k = 0; rc == 0 && k < n; k++)
        if (aster_h5_has(m->c->h5, mlff_join(name[k], "Z").text)) {
            rc = read_geometry(m, name[k], "exact");
            if (rc == 0)
                rc = read_geometry(m, name[k], "pert");
        }
    aster_h5_names_free(&name, n);
    return rc;
}

static struct quality quality_of(const struct mlff_check *c, const char *group)
{
    struct quality q = {mlff_attribute(c, group, "forces_comparable", 1) != 0, 1, 0};
    if (!q.has_forces)
        q.factor = 3;
    if (c->real == ASTER_F32)
        q.least = 3 * mlff_attribute(c, group, "max_abs_dF_f32", 0);
    return q;
}

/* One molecule alone; its results are those of its part of the batch, bit for bit. */
static int check_alone(struct molecules *m, const struct geometry *g, const struct mlff_result *all,
                       int64_t structure, int64_t first)
{
    const struct mlff_check *c = m->c;
    struct mlff_batch b;
    struct mlff_result r = {0};
    int rc = mlff_batch_new(c->ctx, 1, (int64_t[]){0, g->n}, g->number, g->position, NULL, NULL,
                            m->net.c.cutoff, c->real == ASTER_F32, &b);
    if (rc == 0)
        rc = mlff_evaluate(&m->net, &b, &r);
    if (rc == 0)
        rc = check_neighbours(c, g->group, &b);
    if (rc == 0)
        rc = check_results(c, mlff_join(g->group, "f64").text, &b, &r, quality_of(c, g->group));
    if (rc == 0)
        rc = check_inter(&m->inter, mlff_join(g->group, "inter").text, &b);
    if (rc == 0) {
        mlff_same(c, g->n, r.atomic, all->atomic + first, g->group);
        mlff_same(c, 3 * g->n, r.force, all->force + 3 * first, g->group);
        mlff_same(c, 9, r.virial, all->virial + 9 * structure, g->group);
    }
    mlff_result_free(&r);
    mlff_batch_free(c->ctx, &b);
    return rc;
}

struct flat {
    int64_t *first;
    int32_t *number;
    double *position;
};

static int lay_out(struct molecules *m, struct flat *f)
{
    ASTER_TRY(aster_alloc(m->c->ctx, m->n + 1, sizeof *f->first, &f->first));
    for (int64_t k = 0; k < m->n; k++)
        f->first[k + 1] = f->first[k] + m->g[k].n;
    ASTER_TRY(aster_alloc(m->c->ctx, f->first[m->n], sizeof *f->number, &f->number));
    ASTER_TRY(aster_alloc(m->c->ctx, 3 * f->first[m->n], sizeof *f->position, &f->position));
    for (int64_t k = 0; k < m->n; k++) {
        size_t n = (size_t)m->g[k].n;
        memcpy(f->number + f->first[k], m->g[k].number, n * sizeof *f->number);
        memcpy(f->position + 3 * f->first[k], m->g[k].position, 3 * n * sizeof *f->position);
    }
    return 0;
}

/* Where single precision is not near double, tables are not near either. */
static int check_tables(struct molecules *m, const struct mlff_batch *b)
{
    bool *is_smooth = NULL;
    ASTER_TRY(aster_alloc(m->c->ctx, m->n, sizeof *is_smooth, &is_smooth));
    for (int64_t k = 0; k < m->n; k++)
        is_smooth[k] = mlff_attribute(m->c, m->g[k].group, "forces_comparable", 1) != 0 &&
                       mlff_attribute(m->c, m->g[k].group, "max_abs_dF_f32", 0) < 1e-3;
    int rc = mlff_check_fast(m->c, m->w, b, is_smooth);
    aster_free(&is_smooth);
    return rc;
}

static int check_each(struct molecules *m)
{
    struct flat f = {0};
    struct mlff_batch b = {0};
    struct mlff_result all = {0};
    int rc = lay_out(m, &f);
    if (rc == 0)
        rc = mlff_batch_new(m->c->ctx, m->n, f.first, f.number, f.position, NULL, NULL,
                            m->net.c.cutoff, m->c->real == ASTER_F32, &b);
    if (rc == 0)
        rc = mlff_evaluate(&m->net, &b, &all);
    if (rc == 0)
        rc = check_tables(m, &b);
    for (int64_t k = 0; rc == 0 && k < m->n; k++)
        rc = check_alone(m, &m->g[k], &all, k, f.first[k]);
    mlff_result_free(&all);
    mlff_batch_free(m->c->ctx, &b);
    aster_free(&f.first);
    aster_free(&f.number);
    aster_free(&f.position);
    return rc;
}

int mlff_check_molecules(const struct mlff_check *c)
{
    struct aster_forcefield_file w = {0};
    struct molecules m = {.c = c, .w = &w};
    char *model = NULL;
    bool found = false;
    int rc = aster_h5_attr_str(c->h5, "/", "model", &model);
    if (rc == 0)
        rc = mlff_weights(&(struct mlff_check){c->ctx, c->o, c->s, c->h5, c->path, c->real}, model,
                          &w, &found);
    if (rc == 0 && !found) /* a single file of weights is meant for this model */
        rc = aster_forcefield_open(c->ctx, c->o->weights, &w);
    if (rc == 0)
        rc = mlff_model(c, &w, -1, &m.net);
    if (rc == 0)
        rc = inter_new(c, &w, &m.inter);
    if (rc == 0)
        rc = read_all(&m);
    if (rc == 0)
        rc = check_each(&m);
    for (int64_t k = 0; k < m.n; k++) {
        aster_free(&m.g[k].number);
        aster_free(&m.g[k].position);
    }
    aster_free(&m.g);
    mlff_net_free(&m.net);
    mlff_net_free(&m.inter.net);
    aster_forcefield_close(&w);
    aster_free(&model);
    return rc;
}

/* ---- batches and crystals ---- */

struct one {
    int64_t n, n_atoms;
    int64_t *first;
    int32_t *number;
    double *position, *cell;
    int64_t *periodic;
    bool pbc[3];
};

static int read_one(const struct mlff_check *c, const char *group, struct one *x)
{
    struct aster_h5_shape shape;
    ASTER_TRY(aster_h5_shape(c->h5, mlff_join(group, "Z").text, &shape));
    x->n_atoms = shape.n;
    ASTER_TRY(aster_h5_read(c->h5, mlff_join(group, "Z").text, ASTER_I32, shape.n, &x->number));
    ASTER_TRY(
        aster_h5_read(c->h5, mlff_join(group, "pos").text, ASTER_F64, 3 * shape.n, &x->position));
    if (aster_h5_has(c->h5, mlff_join(group, "ptr").text)) {
        ASTER_TRY(aster_h5_shape(c->h5, mlff_join(group, "ptr").text, &shape));
        x->n = shape.n - 1;
        ASTER_TRY(aster_h5_read(c->h5, mlff_join(group, "ptr").text, ASTER_I64, -1, &x->first));
    } else {
        x->n = 1;
        ASTER_TRY(aster_alloc(c->ctx, 2, sizeof *x->first, &x->first));
        x->first[1] = x->n_atoms;
    }
    bool good = x->n >= 0 && x->first[0] == 0 && x->first[x->n] == x->n_atoms;
    for (int64_t k = 0; good && k < x->n; k++)
        good = x->first[k] <= x->first[k + 1];
    if (!good)
        return aster_fail(c->ctx, ASTER_EFORMAT,
                          "%s: %s/ptr does not ascend from 0 to its %lld atoms", c->path, group,
                          (long long)x->n_atoms);
    if (!aster_h5_has(c->h5, mlff_join(group, "cell").text))
        return 0;
    ASTER_TRY(aster_h5_read(c->h5, mlff_join(group, "cell").text, ASTER_F64, 9, &x->cell));
    ASTER_TRY(aster_h5_read(c->h5, mlff_join(group, "pbc").text, ASTER_I64, 3, &x->periodic));
    for (int a = 0; a < 3; a++)
        x->pbc[a] = x->periodic[a] != 0;
    return 0;
}

/* Stress from the virial, and the virial from strains that the file holds */
static int check_strain(const struct mlff_check *c, const char *where, const struct one *x,
                        const double *virial)
{
    static const int voigt[6][2] = {{0, 0}, {1, 1}, {2, 2}, {1, 2}, {0, 2}, {0, 1}};
    double *want = NULL, stress[6], even[9], volume = aster_cell_volume(x->cell);
    for (int k = 0; k < 9; k++)
        even[k] = (virial[k] + virial[3 * (k % 3) + k / 3]) / 2;
    for (int k = 0; k < 6; k++)
        stress[k] = volume < 1e-6 ? 0 : even[3 * voigt[k][0] + voigt[k][1]] / volume;
    ASTER_TRY(mlff_maybe(c, mlff_join(where, "stress_voigt").text, 6, &want));
    if (want)
        mlff_judge(c, 6, stress, want,
                   c->real == ASTER_F64 ? (struct mlff_limit){1e-8, 1e-10}
                                        : (struct mlff_limit){1e-4, 5e-5},
                   "%s stress", where);
    aster_free(&want);
    ASTER_TRY(mlff_maybe(c, mlff_join(where, "virial_sym_fd").text, 9, &want));
    if (want && c->real == ASTER_F64)
        mlff_judge(c, 9, even, want, (struct mlff_limit){2e-6, 0}, "%s virial by strains", where);
    aster_free(&want);
    return 0;
}

static int check_model(const struct mlff_check *c, const char *group, const char *model,
                       const struct one *x)
{
    struct aster_forcefield_file w = {0};
    struct mlff_net net = {0};
    struct mlff_batch b = {0};
    struct mlff_result r = {0};
    char member[128];
    bool found;
    ASTER_TRY(mlff_weights(c, model, &w, &found));
    if (!found)
        return 0;
    snprintf(member, sizeof member, "%.80s_f64", model);
    struct mlff_name where = mlff_join(group, member);
    int rc = mlff_model(c, &w, -1, &net);
    if (rc == 0)
        rc = mlff_batch_new(c->ctx, x->n, x->first, x->number, x->position, x->cell, x->pbc,
                            w.c.cutoff, c->real == ASTER_F32, &b);
    if (rc == 0)
        rc = mlff_evaluate(&net, &b, &r);
    if (rc == 0 && w.c.cutoff == 5)
        rc = check_neighbours(c, group, &b);
    if (rc == 0)
        rc = check_results(c, where.text, &b, &r, quality_of(c, group));
    if (rc == 0 && x->cell)
        rc = check_strain(c, where.text, x, r.virial);
    mlff_result_free(&r);
    mlff_batch_free(c->ctx, &b);
    mlff_net_free(&net);
    aster_forcefield_close(&w);
    return rc;
}

int mlff_check_group(const struct mlff_check *c, const char *group)
{
    struct one x = {0};
    char **name = NULL;
    int64_t n = 0;
    if (!aster_h5_has(c->h5, mlff_join(group, "Z").text))
        return aster_fail(c->ctx, ASTER_EFORMAT, "%s: group %s has no Z", c->path, group);
    int rc = read_one(c, group, &x);
    if (rc == 0)
        rc = aster_h5_list(c->h5, group, &name, &n);
    for (int64_t k = 0; rc == 0 && k < n; k++) {
        size_t end = strlen(name[k]);
        if (end <= 4 || strcmp(name[k] + end - 4, "_f64") != 0)
            continue;
        name[k][end - 4] = 0;
        rc = check_model(c, group, name[k], &x);
    }
    aster_h5_names_free(&name, n);
    aster_free(&x.first);
    aster_free(&x.number);
    aster_free(&x.position);
    aster_free(&x.cell);
    aster_free(&x.periodic);
    return rc;
}
