/* SPDX-License-Identifier: BSD-3-Clause */
/* A force field with filters from tables beside the exact one. */
#include "golden/mlff_check.h"

#include <math.h>
#include <string.h>

enum { FINE = 4096, COARSE = 1024, MOVED = 6 };
#define STEP 1e-4 /* Angstrom */

/* Energies and forces of all molecules within 1e-7 in double; in single precision within five times
 * the limits of the exact program, per molecule. */
static void compare(const struct mlff_check *c, const struct mlff_batch *b, const bool *is_smooth,
                    const struct mlff_result *got, const struct mlff_result *want)
{
    for (int64_t k = 0; k < b->n; k++) {
        int64_t first = 3 * b->first[k], n = 3 * b->first[k + 1] - first;
        struct mlff_limit energy = {1e-7, 1e-10}, force = {1e-7, 1e-7};
        if (c->real == ASTER_F32) {
            energy = (struct mlff_limit){2.5e-4, 2.5e-5};
            force = (struct mlff_limit){2.5e-4, 5e-5};
        }
        mlff_judge(c, 1, got->energy + k, want->energy + k, energy, "tables: energy %lld",
                   (long long)k);
        if (!is_smooth[k])
            continue;
        mlff_judge(c, n, got->force + first, want->force + first, force, "tables: forces of %lld",
                   (long long)k);
        mlff_judge(c, 9, got->virial + 9 * k, want->virial + 9 * k,
                   (struct mlff_limit){force.absolute * 10, force.relative * 10},
                   "tables: virial of %lld", (long long)k);
    }
}

/* One molecule of a batch, coordinate x of it moved by so much */
static int one_of(const struct mlff_check *c, const struct mlff_batch *b, double cutoff, int64_t k,
                  int64_t x, double by, struct mlff_batch *one)
{
    struct aster_structure *s = &b->structure[k];
    double keep = s->position[x];
    s->position[x] += by;
    int rc = mlff_batch_new(c->ctx, 1, (int64_t[]){0, s->n}, s->number, s->position, NULL, NULL,
                            cutoff, c->real == ASTER_F32, one);
    if (rc < 0)
        s->position[x] = keep;
    return rc;
}

static int energy_moved(const struct mlff_check *c, struct mlff_net *net,
                        const struct mlff_batch *b, int64_t k, int64_t x, double by, double *energy,
                        int64_t *edges)
{
    struct mlff_batch one = {0};
    struct mlff_result r = {0};
    double keep = b->structure[k].position[x];
    ASTER_TRY(one_of(c, b, net->c.cutoff, k, x, by, &one));
    int rc = mlff_evaluate(net, &one, &r);
    b->structure[k].position[x] = keep;
    if (rc == 0)
        *energy = r.energy[0];
    *edges = one.edges.n;
    mlff_result_free(&r);
    mlff_batch_free(c->ctx, &one);
    return rc;
}

/* Forces against differences of the same program's energies; where a neighbour comes or goes there
 * is none. */
static int check_differences(const struct mlff_check *c, struct mlff_net *net,
                             const struct mlff_batch *b, const bool *is_smooth,
                             const struct mlff_result *r)
{
    double got[MOVED], want[MOVED], size = 0;
    int n = 0;
    for (int64_t k = 0; k < b->n && n < MOVED; k += 1 + b->n / MOVED) {
        int64_t x = (5 * k + 1) % (3 * b->structure[k].n), edges[4];
        double e[4];
        if (!is_smooth[k])
            continue;
        for (int j = 0; j < 4; j++)
            ASTER_TRY(energy_moved(c, net, b, k, x, (j - 1.5) * STEP, &e[j], &edges[j]));
        if (edges[0] != edges[3] || edges[1] != edges[2] || edges[0] != edges[1])
            continue;
        got[n] = r->force[3 * b->first[k] + x];
        want[n] = -(e[0] - 27 * e[1] + 27 * e[2] - e[3]) / (24 * STEP);
        size = fmax(size, fabs(want[n++]));
    }
    mlff_judge(c, n, got, want, (struct mlff_limit){1e-6 * fmax(1, size), 0},
               "tables: forces by differences");
    return 0;
}

static int check_alone(const struct mlff_check *c, struct mlff_net *net, const struct mlff_batch *b,
                       const struct mlff_result *all, int64_t k)
{
    struct mlff_batch one = {0};
    struct mlff_result r = {0};
    int64_t first = b->first[k];
    ASTER_TRY(one_of(c, b, net->c.cutoff, k, 0, 0, &one));
    int rc = mlff_evaluate(net, &one, &r);
    if (rc == 0) {
        mlff_same(c, b->structure[k].n, r.atomic, all->atomic + first, "tables: energies alone");
        mlff_same(c, 3 * b->structure[k].n, r.force, all->force + 3 * first,
                  "tables: forces alone");
        mlff_same(c, 9, r.virial, all->virial + 9 * k, "tables: virial alone");
    }
    mlff_result_free(&r);
    mlff_batch_free(c->ctx, &one);
    return rc;
}

static int check_net(const struct mlff_check *c, struct mlff_net *exact, struct mlff_net *fast,
                     const struct mlff_batch *b, const bool *is_smooth)
{
    struct mlff_result want = {0}, got = {0};
    int rc = mlff_evaluate(exact, b, &want);
    if (rc == 0)
        rc = mlff_evaluate(fast, b, &got);
    if (rc == 0)
        compare(c, b, is_smooth, &got, &want);
    if (rc == 0 && c->real == ASTER_F64)
        rc = check_differences(c, fast, b, is_smooth, &got);
    for (int64_t k = 0; rc == 0 && k < b->n; k += 1 + b->n / 4)
        rc = check_alone(c, fast, b, &got, k);
    mlff_result_free(&want);
    mlff_result_free(&got);
    return rc;
}

/* The model as it is and, if it is small, with every option the other way. */
int mlff_check_fast(const struct mlff_check *c, const struct aster_forcefield_file *w,
                    const struct mlff_batch *b, const bool *is_smooth)
{
    for (int other = 0; other < (w->c.width < 100 ? 2 : 1); other++) {
        struct aster_forcefield_config config = w->c;
        struct mlff_net exact = {0}, fast = {0};
        if (other) {
            config.mixing =
                config.mixing == ASTER_MIXING_FREE ? ASTER_MIXING_ISOTROPIC : ASTER_MIXING_FREE;
            config.cutoff_on = config.cutoff_on == ASTER_CUTOFF_FILTER ? ASTER_CUTOFF_FEATURES
                                                                       : ASTER_CUTOFF_FILTER;
            config.norm_eps = config.norm_eps > 0 ? 0 : 1e-2;
        }
        int rc = mlff_net_start(c->ctx, c->o->be, ASTER_F64, &config, ASTER_FORCEFIELD_FORCES, NULL,
                                NULL, &exact);
        if (rc == 0)
            rc = mlff_net_load(&exact, w);
        if (rc == 0)
            rc = mlff_net_fast(c->ctx, c->o->be, c->real, &exact,
                               c->real == ASTER_F64 ? FINE : COARSE, &fast);
        if (rc == 0)
            rc = check_net(c, &exact, &fast, b, is_smooth);
        mlff_net_free(&exact);
        mlff_net_free(&fast);
        ASTER_TRY(rc);
    }
    return 0;
}
