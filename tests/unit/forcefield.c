/* SPDX-License-Identifier: BSD-3-Clause */
/* The force field's programs against its formulas written as loops over pairs, against differences
 * of energies and losses, and against the laws that it has to keep. */
#include "atoms/atoms.h"
#include "flow/forcefield_file.h"
#include "golden/kernels.h"
#include "golden/mlff_net.h"
#include "lib/tap.h"

#include <math.h>
#include <string.h>

enum { MOST = 12, MOST_WIDTH = 24, N = 9 };

/* ---- the formulas ---- */

struct reference {
    const struct aster_forcefield_config *c;
    const struct aster_program *p;
    const double *params, *buffers;
};

/* A tensor of the flat parameters; those of linear layers are [in, out] */
static const double *tensor(const struct reference *r, const char *fmt, int block)
{
    char name[96];
    snprintf(name, sizeof name, fmt, block);
    for (int k = 0; k < aster_program_n_params(r->p); k++)
        if (!strcmp(aster_program_param(r->p, k)->name, name))
            return r->params + aster_program_param(r->p, k)->offset;
    return NULL;
}

static void apply(const double *w, const double *b, int in, int out, const double *x, double *y)
{
    for (int o = 0; o < out; o++) {
        y[o] = b[o];
        for (int i = 0; i < in; i++)
            y[o] += w[i * out + o] * x[i];
    }
}

static void silu(int n, double *x)
{
    for (int k = 0; k < n; k++)
        x[k] /= 1 + exp(-x[k]);
}

static void filter_of(const struct reference *r, int block, double d, double *phi)
{
    const struct aster_forcefield_config *c = r->c;
    double x[64], h[MOST_WIDTH], cut = d < c->cutoff ? (cos(acos(-1) * d / c->cutoff) + 1) / 2 : 0;
    int k_radial = (int)c->n_radial, f = (int)c->width;
    const double *center = r->buffers + aster_program_buffer(r->p, 0)->offset,
                 *width = r->buffers + aster_program_buffer(r->p, 1)->offset;
    for (int k = 0; k < k_radial; k++) {
        double z = (d - center[k]) / width[k];
        x[k] = exp(-z * z) * (c->cutoff_on == ASTER_CUTOFF_FEATURES ? cut : 1);
    }
    apply(tensor(r, "interactions.%d.message.rbf_to_scalar.0.weight", block),
          tensor(r, "interactions.%d.message.rbf_to_scalar.0.bias", block), k_radial, f, x, h);
    silu(f, h);
    apply(tensor(r, "interactions.%d.message.rbf_to_scalar.2.weight", block),
          tensor(r, "interactions.%d.message.rbf_to_scalar.2.bias", block), f, 3 * f, h, phi);
    for (int k = 0; c->cutoff_on == ASTER_CUTOFF_FILTER && k < 3 * f; k++)
        phi[k] *= cut;
}

struct atoms {
    int n;
    int32_t number[MOST];
    double x[MOST][3];
};

/* Energy of a molecule without a cell */
static double energy_of(const struct reference *r, const struct atoms *m)
{
    static double s[MOST][MOST_WIDTH], v[MOST][3][MOST_WIDTH], s1[MOST][MOST_WIDTH],
        v1[MOST][3][MOST_WIDTH];
    int f = (int)r->c->width;
    double total = 0;
    memset(v, 0, sizeof v);
    for (int i = 0; i < m->n; i++)
        memcpy(s[i], tensor(r, "embedding.weight", 0) + m->number[i] * f,
               (size_t)f * sizeof(double));
    for (int l = 0; l < r->c->n_blocks; l++) {
        memcpy(s1, s, sizeof s);
        memcpy(v1, v, sizeof v);
        for (int i = 0; i < m->n; i++)
            for (int j = 0; j < m->n; j++) {
                double u[3], d = 0, phi[3 * MOST_WIDTH];
                for (int a = 0; a < 3; a++)
                    d += (m->x[j][a] - m->x[i][a]) * (m->x[j][a] - m->x[i][a]);
                d = sqrt(d);
                if (i == j || d > r->c->cutoff)
                    continue;
                filter_of(r, l, d, phi);
                for (int a = 0; a < 3; a++)
                    u[a] = (m->x[j][a] - m->x[i][a]) / (d + 1e-8);
                for (int k = 0; k < f; k++) {
                    s1[i][k] += s[j][k] * phi[k];
                    for (int a = 0; a < 3; a++)
                        v1[i][a][k] += v[j][a][k] * phi[f + k] + u[a] * phi[2 * f + k];
                }
            }
        const double *mix = tensor(r, "interactions.%d.update.mixing_matrix", l);
        for (int i = 0; i < m->n; i++) {
            double q[2 * MOST_WIDTH], y[MOST_WIDTH], o[3 * MOST_WIDTH], e = r->c->norm_eps;
            for (int k = 0; k < f; k++) {
                q[k] = s1[i][k];
                double n2 = e * e;
                for (int a = 0; a < 3; a++)
                    n2 += v1[i][a][k] * v1[i][a][k];
                q[f + k] = sqrt(n2) - e;
            }
            apply(tensor(r, "interactions.%d.update.update_mlp.0.weight", l),
                  tensor(r, "interactions.%d.update.update_mlp.0.bias", l), 2 * f, f, q, y);
            silu(f, y);
            apply(tensor(r, "interactions.%d.update.update_mlp.2.weight", l),
                  tensor(r, "interactions.%d.update.update_mlp.2.bias", l), f, 3 * f, y, o);
            for (int k = 0; k < f; k++) {
                s[i][k] = s1[i][k] + o[k];
                for (int a = 0; mix && a < 3; a++) {
                    double mixed = 0, third = (mix[0] + mix[4] + mix[8]) / 3;
                    for (int b = 0; b < 3; b++)
                        mixed += mix[3 * a + b] * v1[i][b][k];
                    if (r->c->mixing == ASTER_MIXING_ISOTROPIC)
                        mixed = third * v1[i][a][k];
                    v[i][a][k] = v1[i][a][k] * o[f + k] + mixed * o[2 * f + k];
                }
            }
        }
    }
    for (int i = 0; i < m->n; i++) {
        double z1[MOST_WIDTH], z2[MOST_WIDTH], e;
        apply(tensor(r, "energy_head.0.weight", 0), tensor(r, "energy_head.0.bias", 0), f, f / 2,
              s[i], z1);
        silu(f / 2, z1);
        apply(tensor(r, "energy_head.2.weight", 0), tensor(r, "energy_head.2.bias", 0), f / 2,
              f / 4, z1, z2);
        silu(f / 4, z2);
        apply(tensor(r, "energy_head.4.weight", 0), tensor(r, "energy_head.4.bias", 0), f / 4, 1,
              z2, &e);
        total += e;
    }
    return total;
}

/* ---- molecules and models ---- */

static double drawn(uint64_t key)
{
    return (double)(aster_mix64(key) >> 11) * 0x1p-53;
}

static void draw_atoms(int n, uint64_t seed, struct atoms *m)
{
    m->n = n;
    for (int i = 0; i < n; i++) {
        m->number[i] = 1 + (int32_t)(drawn(seed * 977 + (uint64_t)i) * 9);
        for (int a = 0; a < 3; a++)
            m->x[i][a] = 1.25 * (a == 0   ? i % 3
                                 : a == 1 ? i / 3 % 3
                                          : i / 9) +
                         0.4 * drawn(seed * 31337 + (uint64_t)(3 * i + a));
    }
}

static int batch_of(struct aster_ctx *ctx, const struct mlff_net *n, int count,
                    const struct atoms *m, int64_t *first, int32_t *number, double *x,
                    struct mlff_batch *b)
{
    first[0] = 0;
    for (int k = 0; k < count; k++) {
        first[k + 1] = first[k] + m[k].n;
        memcpy(number + first[k], m[k].number, (size_t)m[k].n * sizeof *number);
        memcpy(x + 3 * first[k], m[k].x, (size_t)m[k].n * sizeof m[k].x[0]);
    }
    return mlff_batch_new(ctx, count, first, number, x, NULL, NULL, n->c.cutoff,
                          n->real == ASTER_F32, b);
}

/* Fills biases too, which start at 0. */
static int draw_model(struct aster_ctx *ctx, const struct aster_forcefield_config *c,
                      enum aster_dtype real, enum aster_forcefield_use use,
                      const struct aster_forcefield_loss *loss, struct mlff_net *n)
{
    ASTER_TRY(mlff_net_start(ctx, golden_kernels(aster_isa_best()), real, c, use, loss, NULL, n));
    int64_t count = aster_program_class_n(n->p, ASTER_CLASS_PARAM);
    ASTER_TRY(aster_alloc(ctx, count, (size_t)aster_dtype_size(real), &n->params));
    ASTER_TRY(aster_alloc(ctx, count, (size_t)aster_dtype_size(real), &n->grad));
    ASTER_TRY(aster_alloc(ctx, aster_program_class_n(n->p, ASTER_CLASS_BUFFER), sizeof(double),
                          &n->buffers));
    aster_program_init_params(n->p, 5, n->params);
    for (int k = 0; k < aster_program_n_params(n->p); k++) {
        const struct aster_param_info *info = aster_program_param(n->p, k);
        for (int64_t i = 0; info->rank == 1 && i < info->n; i++) {
            double v = 0.2 * drawn((uint64_t)(1000 * k + i)) - 0.1;
            if (real == ASTER_F64)
                ((double *)n->params)[info->offset + i] = v;
            else
                ((float *)n->params)[info->offset + i] = (float)v;
        }
    }
    aster_forcefield_radial(c, n->p, n->buffers);
    return 0;
}

/* ---- tests ---- */

static double worst(double a, double b)
{
    return a <= b ? b : a; /* keeps what is not a number */
}

/* Energies against the formulas; forces against differences of the formulas' energies */
static int against_formulas(struct aster_ctx *ctx, const char *name,
                            const struct aster_forcefield_config *c)
{
    struct mlff_net n = {0};
    struct mlff_batch b = {0};
    struct mlff_result res = {0};
    struct atoms m[3];
    int64_t first[4];
    int32_t number[3 * MOST];
    double x[9 * MOST], energy = 0, force = 0, size = 0;
    draw_atoms(1, 1, &m[0]);
    draw_atoms(N, 2, &m[1]);
    draw_atoms(2, 3, &m[2]);
    int rc = draw_model(ctx, c, ASTER_F64, ASTER_FORCEFIELD_FORCES, NULL, &n);
    if (rc == 0)
        rc = batch_of(ctx, &n, 3, m, first, number, x, &b);
    if (rc == 0)
        rc = mlff_evaluate(&n, &b, &res);
    struct reference r = {&n.c, n.p, n.params, n.buffers};
    for (int k = 0; rc == 0 && k < 3; k++) {
        energy = worst(fabs(res.energy[k] - energy_of(&r, &m[k])), energy);
        for (int i = 0; i < m[k].n; i++)
            for (int a = 0; a < 3; a++) {
                const double h = 1e-4;
                double e[4], keep = m[k].x[i][a];
                for (int q = 0; q < 4; q++) {
                    m[k].x[i][a] = keep + h * (q < 2 ? q - 2 : q - 1);
                    e[q] = energy_of(&r, &m[k]);
                }
                m[k].x[i][a] = keep;
                double want = -(e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * h);
                force = worst(fabs(res.force[3 * (first[k] + i) + a] - want), force);
                size = fmax(size, fabs(want));
            }
    }
    tap_ok(rc == 0 && energy < 1e-11 && force < 1e-8 * (1 + size) && size > 0.01,
           "%s: energies by the formulas (%.1e), forces by differences (%.1e of %.2g)", name,
           energy, force, size);
    mlff_result_free(&res);
    mlff_batch_free(ctx, &b);
    mlff_net_free(&n);
    return rc;
}

/* Mean squares of what is off a teacher's energies and forces, by what the program says of both */
static int mixture(const char *name, const struct aster_forcefield_loss *l,
                   const struct mlff_run *run, const struct mlff_batch *b,
                   const struct mlff_targets *t)
{
    double *loss = NULL, *atomic = NULL, *force = NULL, soft[2] = {0};
    int rc;
    ASTER_GOTO(mlff_output(run, "loss", &loss, NULL), done);
    ASTER_GOTO(mlff_output(run, "energy", &atomic, NULL), done);
    ASTER_GOTO(mlff_output(run, "force", &force, NULL), done);
    for (int64_t k = 0; k < b->n; k++) {
        double e = 0;
        for (int64_t i = b->first[k]; i < b->first[k + 1]; i++)
            e += atomic[i];
        soft[0] += pow((e - t->teacher_energy[k]) / l->temperature, 2) / (double)b->n;
    }
    for (int64_t i = 0; i < 3 * b->n_atoms; i++)
        soft[1] +=
            pow((force[i] - t->teacher_force[i]) / l->temperature, 2) / (double)(3 * b->n_atoms);
    double hard = l->energy * loss[1] + l->force * loss[2] + l->angle * loss[3],
           want = (1 - l->teacher) * hard + l->teacher * (soft[0] + soft[1]);
    tap_ok(fabs(loss[0] - want) < 1e-12 * want && fabs(want - hard) > 1e-3 * hard,
           "%s: the loss is the mixture %.6g", name, want);
done:
    aster_free(&loss);
    aster_free(&atomic);
    aster_free(&force);
    return rc;
}

/* Gradients of a loss on energies and forces against differences of the loss */
static int gradients(struct aster_ctx *ctx, const char *name, const struct aster_forcefield_loss *l,
                     const struct aster_forcefield_config *c)
{
    struct mlff_net n = {0};
    struct mlff_batch b = {0};
    struct atoms m[2];
    int64_t first[3];
    int32_t number[2 * MOST];
    double x[6 * MOST], want_energy[2] = {0.3, -0.4}, want_force[6 * MOST], error = 0, size = 0;
    double teacher_energy[2] = {-0.2, 0.7}, teacher_force[6 * MOST];
    for (int k = 0; k < 6 * MOST; k++)
        teacher_force[k] = drawn((uint64_t)(k + 9000)) - 0.5;
    draw_atoms(7, 11, &m[0]);
    draw_atoms(3, 12, &m[1]);
    for (int k = 0; k < 6 * MOST; k++)
        want_force[k] = drawn((uint64_t)(k + 7000)) - 0.5;
    int rc = draw_model(ctx, c, ASTER_F64, ASTER_FORCEFIELD_TRAIN, l, &n);
    if (rc == 0)
        rc = batch_of(ctx, &n, 2, m, first, number, x, &b);
    const struct mlff_targets t = {want_energy, want_force, l->teacher > 0 ? teacher_energy : NULL,
                                   teacher_force};
    struct mlff_run run;
    if (rc == 0)
        rc = mlff_run(&n, &b, &t, &run);
    if (rc == 0 && l->teacher > 0)
        rc = mixture(name, l, &run, &b, &t);
    int64_t count = rc == 0 ? aster_program_class_n(n.p, ASTER_CLASS_PARAM) : 0;
    double *grad = NULL, *params = n.params;
    if (rc == 0) {
        mlff_run_free(&run);
        rc = aster_alloc(ctx, count, sizeof *grad, &grad);
        memcpy(grad, n.grad, (size_t)count * sizeof *grad);
    }
    for (int64_t at = 0; rc == 0 && at < count; at += 1 + at % 13 * 17) { /* some of each tensor */
        const double h = 1e-4;
        double loss[4], keep = params[at], *out = NULL;
        for (int q = 0; q < 4 && rc == 0; q++) {
            params[at] = keep + h * (q < 2 ? q - 2 : q - 1);
            rc = mlff_run(&n, &b, &t, &run);
            if (rc == 0) {
                rc = mlff_output(&run, "loss", &out, NULL);
                loss[q] = out[0];
                aster_free(&out);
                mlff_run_free(&run);
            }
        }
        params[at] = keep;
        double want = rc ? 0 : (loss[0] - 8 * loss[1] + 8 * loss[2] - loss[3]) / (12 * h);
        error = worst(fabs(grad[at] - want), error);
        size = fmax(size, fabs(want));
    }
    tap_ok(rc == 0 && error < 2e-7 * (1 + size) && size > 0.01,
           "%s: gradients of the loss by differences (%.1e of %.2g)", name, error, size);
    aster_free(&grad);
    mlff_batch_free(ctx, &b);
    mlff_net_free(&n);
    return rc;
}

/* d2E / (d params[at] d along p), by second differences of the formulas */
static double mixed_slope(const struct reference *r, const struct atoms *m, double *param,
                          double p[MOST][3], double h)
{
    const double keep = *param;
    double sum = 0;
    for (int q = 0; q < 4; q++) {
        struct atoms moved = *m;
        double way = q % 2 ? h : -h;
        for (int i = 0; i < m->n; i++)
            for (int a = 0; a < 3; a++)
                moved.x[i][a] += way * p[i][a];
        *param = keep + (q / 2 ? h : -h);
        sum += (q % 2 == q / 2 ? 1 : -1) * energy_of(r, &moved);
    }
    *param = keep;
    return sum / (4 * h * h);
}

/* With w the derivative of a loss by the forces, its gradient is that of -w . dE/dx with w held:
 * the program that is differentiated twice against the formulas, which are not differentiated. */
static int twice(struct aster_ctx *ctx, const char *name, const struct aster_forcefield_config *c)
{
    const struct aster_forcefield_loss l = {.kind = ASTER_FORCE_MSE, .force = 1};
    struct mlff_net n = {0};
    struct mlff_batch b = {0};
    struct mlff_run run;
    struct atoms m;
    int64_t first[2], count = 0;
    int32_t number[MOST];
    double x[3 * MOST], energy = 0, want[3 * MOST], p[MOST][3], error = 0, size = 0, *force = NULL;
    draw_atoms(7, 21, &m);
    for (int k = 0; k < 3 * MOST; k++)
        want[k] = 4 * drawn((uint64_t)(k + 9000)) - 2;
    int rc = draw_model(ctx, c, ASTER_F64, ASTER_FORCEFIELD_TRAIN, &l, &n);
    if (rc == 0)
        rc = batch_of(ctx, &n, 1, &m, first, number, x, &b);
    if (rc == 0)
        rc = mlff_run(&n, &b, &(struct mlff_targets){.energy = &energy, .force = want}, &run);
    if (rc == 0) {
        rc = mlff_output(&run, "force", &force, NULL);
        mlff_run_free(&run);
        count = aster_program_class_n(n.p, ASTER_CLASS_PARAM);
    }
    for (int k = 0; rc == 0 && k < 3 * m.n; k++)
        p[k / 3][k % 3] = -2 * (force[k] - want[k]) / (3 * m.n);
    struct reference r = {&n.c, n.p, n.params, n.buffers};
    for (int64_t at = 0; rc == 0 && at < count; at += 1 + at % 13 * 17) {
        double *param = (double *)n.params + at, h = 1e-3;
        double slope =
            (4 * mixed_slope(&r, &m, param, p, h) - mixed_slope(&r, &m, param, p, 2 * h)) / 3;
        error = worst(fabs(((double *)n.grad)[at] - slope), error);
        size = fmax(size, fabs(slope));
    }
    tap_ok(rc == 0 && error < 1e-6 * size && size > 0.01,
           "%s: gradients of a loss on forces by the formulas' second differences (%.1e of %.2g)",
           name, error, size);
    aster_free(&force);
    mlff_batch_free(ctx, &b);
    mlff_net_free(&n);
    return rc;
}

/* Results of a molecule alone are those in a batch of unlike ones, to the bit, in either order */
static int companions(struct aster_ctx *ctx, enum aster_dtype real,
                      const struct aster_forcefield_config *c)
{
    enum { COUNT = 16 };
    static struct atoms m[COUNT], back[COUNT];
    static int32_t number[COUNT * MOST];
    static double x[3 * COUNT * MOST];
    int64_t first[COUNT + 1], second[COUNT + 1];
    struct mlff_net n = {0};
    struct mlff_batch b = {0};
    struct mlff_result all = {0}, turned = {0};
    int different = 0;
    for (int k = 0; k < COUNT; k++) {
        draw_atoms(1 + k * 7 % MOST, (uint64_t)k + 100, &m[k]);
        back[COUNT - 1 - k] = m[k];
    }
    int rc = draw_model(ctx, c, real, ASTER_FORCEFIELD_FORCES, NULL, &n);
    if (rc == 0)
        rc = batch_of(ctx, &n, COUNT, m, first, number, x, &b);
    if (rc == 0)
        rc = mlff_evaluate(&n, &b, &all);
    mlff_batch_free(ctx, &b);
    if (rc == 0)
        rc = batch_of(ctx, &n, COUNT, back, second, number, x, &b);
    if (rc == 0)
        rc = mlff_evaluate(&n, &b, &turned);
    mlff_batch_free(ctx, &b);
    for (int k = 0; rc == 0 && k < COUNT; k++) {
        struct mlff_result one = {0};
        int64_t f1[2], at = first[k], to = second[COUNT - 1 - k];
        size_t bytes = 3 * (size_t)m[k].n * sizeof(double);
        rc = batch_of(ctx, &n, 1, &m[k], f1, number, x, &b);
        if (rc == 0)
            rc = mlff_evaluate(&n, &b, &one);
        if (rc == 0) {
            different += memcmp(one.energy, all.energy + k, sizeof(double)) != 0;
            different += memcmp(one.energy, turned.energy + COUNT - 1 - k, sizeof(double)) != 0;
            different += memcmp(one.force, all.force + 3 * at, bytes) != 0;
            different += memcmp(one.force, turned.force + 3 * to, bytes) != 0;
            different += memcmp(one.virial, all.virial + 9 * k, 9 * sizeof(double)) != 0;
        }
        mlff_result_free(&one);
        mlff_batch_free(ctx, &b);
    }
    tap_ok(rc == 0 && different == 0, "%s: a molecule alone has the bits it has among %d others",
           aster_dtype_name(real), COUNT - 1);
    mlff_result_free(&all);
    mlff_result_free(&turned);
    mlff_net_free(&n);
    return rc;
}

/* Forces add up to nothing; a shift, and another order of atoms, change no energy */
static int laws(struct aster_ctx *ctx, const struct aster_forcefield_config *c)
{
    struct mlff_net n = {0};
    struct mlff_batch b = {0};
    struct mlff_result r = {0};
    struct atoms m[4];
    int64_t first[5];
    int32_t number[4 * MOST];
    double x[12 * MOST], sum = 0, shift = 0, order = 0, turn = 0;
    draw_atoms(11, 21, &m[0]);
    m[1] = m[2] = m[3] = m[0];
    for (int i = 0; i < 11; i++) {
        for (int a = 0; a < 3; a++)
            m[1].x[i][a] += 100.25;
        memcpy(m[2].x[i], m[0].x[10 - i], sizeof m[2].x[i]);
        m[2].number[i] = m[0].number[10 - i];
        m[3].x[i][0] = 0.6 * m[0].x[i][0] - 0.8 * m[0].x[i][2];
        m[3].x[i][2] = 0.8 * m[0].x[i][0] + 0.6 * m[0].x[i][2];
    }
    int rc = draw_model(ctx, c, ASTER_F64, ASTER_FORCEFIELD_FORCES, NULL, &n);
    if (rc == 0)
        rc = batch_of(ctx, &n, 4, m, first, number, x, &b);
    if (rc == 0)
        rc = mlff_evaluate(&n, &b, &r);
    for (int a = 0; rc == 0 && a < 3; a++) {
        double s = 0;
        for (int i = 0; i < 11; i++)
            s += r.force[3 * i + a];
        sum = worst(fabs(s), sum);
    }
    if (rc == 0) {
        shift = fabs(r.energy[1] - r.energy[0]);
        order = fabs(r.energy[2] - r.energy[0]);
        turn = fabs(r.energy[3] - r.energy[0]);
    }
    bool is_isotropic = c->mixing == ASTER_MIXING_ISOTROPIC;
    tap_ok(rc == 0 && sum < 1e-12, "forces add up to nothing (%.1e)", sum);
    tap_ok(rc == 0 && shift < 1e-11 && order < 1e-12,
           "a shift (%.1e) and another order (%.1e) change no energy", shift, order);
    tap_ok(rc == 0 && (is_isotropic ? turn < 1e-12 : turn > 1e-6),
           is_isotropic ? "isotropic: a turn changes no energy (%.1e)"
                        : "free: a turn changes the energy (%.1e)",
           turn);
    mlff_result_free(&r);
    mlff_batch_free(ctx, &b);
    mlff_net_free(&n);
    return rc;
}

/* Virial of a crystal against strains of cell and positions */
static int strains(struct aster_ctx *ctx, const struct aster_forcefield_config *c)
{
    const double cell[9] = {3.1, 0, 0, 0.7, 3.4, 0, -0.2, 0.5, 2.9};
    const bool pbc[3] = {true, true, true};
    const int64_t first[2] = {0, 3};
    const int32_t number[3] = {6, 8, 1};
    const double x[9] = {0.1, 0.2, 0.3, 1.5, 1.1, 0.4, 0.3, 1.9, 1.7};
    struct mlff_net n = {0};
    struct mlff_batch b = {0};
    struct mlff_result r = {0}, s = {0};
    double error = 0, size = 0;
    int rc = draw_model(ctx, c, ASTER_F64, ASTER_FORCEFIELD_FORCES, NULL, &n);
    if (rc == 0)
        rc = mlff_batch_new(ctx, 1, first, number, x, cell, pbc, c->cutoff, false, &b);
    if (rc == 0)
        rc = mlff_evaluate(&n, &b, &r);
    mlff_batch_free(ctx, &b);
    for (int k = 0; rc == 0 && k < 9; k++) {
        const double h = 1e-4;
        double e[4];
        for (int q = 0; rc == 0 && q < 4; q++) {
            double step = h * (q < 2 ? q - 2 : q - 1), cell2[9], x2[9];
            for (int i = 0; i < 3; i++)
                for (int a = 0; a < 3; a++) {
                    cell2[3 * i + a] =
                        cell[3 * i + a] + (a == k / 3 ? step * cell[3 * i + k % 3] : 0);
                    x2[3 * i + a] = x[3 * i + a] + (a == k / 3 ? step * x[3 * i + k % 3] : 0);
                }
            rc = mlff_batch_new(ctx, 1, first, number, x2, cell2, pbc, c->cutoff, false, &b);
            if (rc == 0)
                rc = mlff_evaluate(&n, &b, &s);
            e[q] = rc == 0 ? s.energy[0] : 0;
            mlff_result_free(&s);
            mlff_batch_free(ctx, &b);
        }
        double want = (e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * h);
        error = worst(fabs(r.virial ? r.virial[k] - want : NAN), error);
        size = fmax(size, fabs(want));
    }
    tap_ok(rc == 0 && error < 1e-6 * (1 + size) && size > 0.01,
           "a crystal: the virial by strains (%.1e of %.2g)", error, size);
    mlff_result_free(&r);
    mlff_net_free(&n);
    return rc;
}

int main(void)
{
    struct aster_ctx *ctx = NULL;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    aster_kernel_thread_init();
    const struct aster_forcefield_config plain = {
        16, 2, 7, 10, 3.5, ASTER_MIXING_FREE, ASTER_CUTOFF_FEATURES, 0, 0};
    struct aster_forcefield_config odd = plain, turned = plain, smooth = plain, soft = plain;
    odd.width = 21;
    odd.n_blocks = 3;
    odd.n_radial = 1;
    turned.mixing = ASTER_MIXING_ISOTROPIC;
    smooth.cutoff_on = ASTER_CUTOFF_FILTER;
    soft.norm_eps = 0.01;
    struct aster_forcefield_config single = plain;
    single.n_blocks = 1;
    const struct aster_forcefield_loss mse = {.kind = ASTER_FORCE_MSE, .energy = 1, .force = 10},
                                       angles = {.kind = ASTER_FORCE_MSE,
                                                 .energy = 1,
                                                 .force = 1,
                                                 .angle = 5},
                                       huber = {.kind = ASTER_FORCE_HUBER,
                                                .energy = 1,
                                                .force = 10,
                                                .angle = 2,
                                                .huber_delta = 0.3},
                                       mae = {.kind = ASTER_FORCE_MAE, .energy = 1, .force = 10},
                                       taught = {.kind = ASTER_FORCE_MAE,
                                                 .energy = 1,
                                                 .force = 10,
                                                 .angle = 1,
                                                 .teacher = 0.3,
                                                 .temperature = 0.5};
    int rc = against_formulas(ctx, "plain", &plain);
    rc |= against_formulas(ctx, "odd sizes", &odd);
    rc |= against_formulas(ctx, "one block", &single);
    rc |= against_formulas(ctx, "isotropic mixing", &turned);
    rc |= against_formulas(ctx, "cutoff on the filter", &smooth);
    rc |= against_formulas(ctx, "soft lengths", &soft);
    rc |= gradients(ctx, "squares", &mse, &plain);
    rc |= gradients(ctx, "angles", &angles, &smooth);
    rc |= gradients(ctx, "Huber", &huber, &turned);
    rc |= gradients(ctx, "absolute values", &mae, &soft);
    rc |= gradients(ctx, "a teacher beside labels", &taught, &turned);
    rc |= twice(ctx, "plain", &plain);
    rc |= twice(ctx, "isotropic mixing", &turned);
    rc |= twice(ctx, "cutoff on the filter", &smooth);
    rc |= companions(ctx, ASTER_F32, &plain);
    rc |= companions(ctx, ASTER_F64, &odd);
    rc |= laws(ctx, &plain);
    rc |= laws(ctx, &turned);
    rc |= strains(ctx, &smooth);
    if (rc < 0)
        tap_ok(false, "%s", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return tap_done();
}
