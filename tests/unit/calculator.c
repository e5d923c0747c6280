/* SPDX-License-Identifier: BSD-3-Clause */
/* The force field as programs call it: the same bits alone, in company and with other workers;
 * forces as differences of energies; stresses as differences by strain; what is refused. */
#include "asterism.h"
#include "golden/drawn_forcefield.h"
#include "lib/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MANY = 1000, EVERY = 13, MOST = 40 };

static char weights[64];

struct molecule { /* with room for every result */
    struct aster_molecule m;
    int32_t number[MOST];
    double position[MOST][3], cell[3][3], energies[MOST], forces[MOST][3], virial[3][3], stress[6];
};

static double draw(uint64_t key, int64_t k)
{
    return aster_uniform(11, key, (uint64_t)k);
}

/* A cloud of 1 to MOST atoms, no two nearer than 0.9; every fifth one is a crystal. */
static void make(struct molecule *x, int k)
{
    static const int32_t elements[] = {1, 6, 7, 8};
    int n = 1 + (int)(draw(1, k) * (MOST - 1));
    memset(x, 0, sizeof *x);
    x->m = (struct aster_molecule){.n = n,
                                   .number = x->number,
                                   .position = x->position[0],
                                   .energies = x->energies,
                                   .forces = x->forces[0],
                                   .virial = x->virial[0],
                                   .stress = x->stress};
    for (int i = 0; i < n; i++) {
        int grid[3] = {i % 4, i / 4 % 4, i / 16};
        x->number[i] = elements[(int)(draw(2, k * MOST + i) * 4)];
        for (int a = 0; a < 3; a++)
            x->position[i][a] = 1.3 * grid[a] + 0.3 * draw(3, 3 * (k * MOST + i) + a);
    }
    if (k % 5 == 4) {
        const double cell[3][3] = {{5.2, 0, 0.3}, {0.4, 5.4, 0}, {0, 0.2, 5.6}};
        memcpy(x->cell, cell, sizeof cell);
        x->m.cell = x->cell[0];
        memset(x->m.periodic, 1, sizeof x->m.periodic);
    }
}

static struct aster_calculator *open_with(bool f64, int cpus)
{
    struct aster_calculator_options o;
    struct aster_calculator *c;
    aster_calculator_options_default(&o);
    o.f64 = f64;
    o.cpus = cpus;
    if (aster_calculator_open(weights, &o, &c) != 0)
        tap_note("%s", c ? aster_calculator_message(c) : "no memory");
    return c;
}

static bool run_one(struct aster_calculator *c, struct molecule *x)
{
    int64_t failed;
    return aster_calculator_run(c, 1, &x->m, &failed) == 0 && failed == 0 && x->m.status == 0;
}

static bool same(const struct molecule *x, const struct molecule *y)
{
    size_t n = (size_t)x->m.n;
    return !memcmp(&x->m.energy, &y->m.energy, sizeof x->m.energy) &&
           !memcmp(x->energies, y->energies, n * sizeof *x->energies) &&
           !memcmp(x->forces, y->forces, n * sizeof *x->forces) &&
           !memcmp(x->virial, y->virial, sizeof x->virial) &&
           !memcmp(x->stress, y->stress, sizeof x->stress);
}

/* All in one call with two workers, some of them again alone with one */
static void company(bool f64)
{
    static struct molecule all[MANY], alone;
    struct aster_molecule list[MANY];
    struct aster_calculator_times times;
    struct aster_calculator *c = open_with(f64, 2);
    int64_t failed = -1, atoms = 0;
    int n_same = 0, n_alone = 0;
    for (int k = 0; k < MANY; k++) {
        make(&all[k], k);
        atoms += all[k].m.n;
        list[k] = all[k].m;
    }
    int rc = aster_calculator_run(c, MANY, list, &failed);
    tap_ok(rc == 0 && failed == 0, "%s: %d molecules in one call", f64 ? "f64" : "f32", MANY);
    aster_calculator_times(c, &times);
    tap_ok(times.calls == 1 && times.molecules == MANY && times.atoms == atoms && times.total > 0 &&
               times.min == times.max && times.median == times.min && times.deviation == 0,
           "the call is counted");
    aster_calculator_close(&c);
    c = open_with(f64, 1);
    for (int k = 0; k < MANY; k += EVERY, n_alone++) {
        make(&alone, k);
        all[k].m.energy = list[k].energy;
        n_same += run_one(c, &alone) && same(&alone, &all[k]);
    }
    tap_ok(n_same == n_alone, "%d of %d alone, with another number of workers, have these bits",
           n_same, n_alone);
    aster_calculator_times(c, &times);
    tap_ok(times.calls == n_alone && times.min <= times.median && times.median <= times.max &&
               fabs(times.mean * n_alone - times.total) < 1e-12 * n_alone,
           "times of %d calls", n_alone);
    aster_calculator_close(&c);
    tap_ok(!c, "closing forgets the calculator");
}

static double energy_at(struct aster_calculator *c, struct molecule *x)
{
    return run_one(c, x) ? x->m.energy : (double)NAN;
}

static void forces_and_stress(void)
{
    static struct molecule x, y;
    struct aster_calculator *c = open_with(true, 1);
    double worst = 0, worst_virial = 0, sum = 0, h = 1e-5;
    make(&x, 4);
    make(&y, 4);
    bool good = run_one(c, &x);
    for (int i = 0; i < x.m.n; i++)
        for (int a = 0; a < 3; a++) {
            double e[2];
            for (int s = 0; s < 2; s++) {
                y.position[i][a] = x.position[i][a] + (s ? h : -h);
                e[s] = energy_at(c, &y);
            }
            y.position[i][a] = x.position[i][a];
            worst = fmax(worst, fabs(x.forces[i][a] + (e[1] - e[0]) / (2 * h)));
        }
    tap_ok(good && worst < 1e-7, "forces are minus differences of the energy: off by %.1e", worst);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            double e[2];
            for (int s = 0; s < 2; s++) {
                double strain = s ? h : -h;
                for (int i = 0; i < x.m.n; i++)
                    y.position[i][b] = x.position[i][b] + strain * x.position[i][a];
                for (int i = 0; i < 3; i++)
                    y.cell[i][b] = x.cell[i][b] + strain * x.cell[i][a];
                e[s] = energy_at(c, &y);
            }
            memcpy(y.position, x.position, sizeof x.position);
            memcpy(y.cell, x.cell, sizeof x.cell);
            worst_virial = fmax(worst_virial, fabs(x.virial[b][a] - (e[1] - e[0]) / (2 * h)));
        }
    tap_ok(good && worst_virial < 1e-6, "virials are differences by strain: off by %.1e",
           worst_virial);
    double volume = x.cell[0][0] * (x.cell[1][1] * x.cell[2][2] - x.cell[1][2] * x.cell[2][1]) -
                    x.cell[0][1] * (x.cell[1][0] * x.cell[2][2] - x.cell[1][2] * x.cell[2][0]) +
                    x.cell[0][2] * (x.cell[1][0] * x.cell[2][1] - x.cell[1][1] * x.cell[2][0]);
    tap_ok(fabs(x.stress[2] - x.virial[2][2] / volume) < 1e-14 &&
               fabs(x.stress[3] - (x.virial[1][2] + x.virial[2][1]) / 2 / volume) < 1e-14,
           "the stress is the symmetric virial over the volume");
    for (int i = 0; i < x.m.n; i++)
        sum += x.energies[i];
    tap_ok(fabs(sum - x.m.energy) < 1e-12 * x.m.n, "energies of atoms add up");
    aster_calculator_close(&c);
}

/* ---- what is refused ---- */

static void refused(struct aster_calculator *c, struct molecule *x, const char *text,
                    const char *name)
{
    struct aster_molecule list[3];
    struct molecule good[2];
    int64_t failed;
    make(&good[0], 1);
    make(&good[1], 2);
    list[0] = good[0].m;
    list[1] = x->m;
    list[2] = good[1].m;
    int rc = aster_calculator_run(c, 3, list, &failed);
    tap_ok(rc == 0 && failed == 1 && list[0].status == 0 && list[1].status < 0 &&
               list[2].status == 0 && strstr(aster_calculator_reason(c, 1), text) &&
               !*aster_calculator_reason(c, 0) && !*aster_calculator_reason(c, 3) &&
               isnan(list[1].energy) && isfinite(list[0].energy) && isfinite(list[2].energy),
           "%s: %s", name, aster_calculator_reason(c, 1));
}

static void faults(void)
{
    static struct molecule x;
    struct aster_calculator *c = open_with(false, 1);
    make(&x, 6);
    x.m.n = 0;
    refused(c, &x, "molecule 2: has no atoms", "no atoms");
    make(&x, 6);
    x.m.n = -1;
    refused(c, &x, "number of atoms", "a negative number of atoms");
    make(&x, 6);
    x.m.n = INT64_MAX;
    x.m.energies = x.m.forces = NULL;
    refused(c, &x, "number of atoms", "more atoms than there can be");
    make(&x, 6);
    x.m.position = NULL;
    refused(c, &x, "no positions", "no positions");
    make(&x, 6);
    x.number[0] = 119;
    refused(c, &x, "molecule 2: atom 1 has the atomic number 119", "an element that is none");
    make(&x, 6);
    x.number[0] = 21;
    refused(c, &x, "1 to 20 is expected", "an element without weights");
    make(&x, 6);
    x.position[0][1] = (double)NAN;
    refused(c, &x, "y of atom 1", "a position that is not finite");
    tap_ok(isnan(x.forces[0][0]) && isnan(x.energies[0]) && isnan(x.stress[5]),
           "results of what failed are NaN");
    make(&x, 6);
    x.m.periodic[0] = true;
    refused(c, &x, "has no cell", "periodic without a cell");
    make(&x, 4);
    memset(x.cell, 0, sizeof x.cell);
    refused(c, &x, "volume", "a cell without volume");
    make(&x, 6);
    x.m.energies = x.m.forces = x.m.virial = x.m.stress = NULL;
    tap_ok(run_one(c, &x), "energies alone");
    int64_t failed = -1;
    int rc = aster_calculator_run(c, 0, NULL, &failed);
    tap_ok(rc == 0 && failed == 0, "no molecules");
    tap_ok(aster_calculator_run(c, -1, NULL, NULL) < 0 && aster_calculator_code(c) < 0, "%s",
           aster_calculator_message(c));
    tap_ok(run_one(c, &x) && aster_calculator_code(c) == 0, "and it goes on");
    aster_calculator_close(&c);
}

static void not_opened(const char *path, const struct aster_calculator_options *o, const char *text)
{
    struct aster_calculator *c;
    struct molecule x;
    make(&x, 3);
    int rc = aster_calculator_open(path, o, &c);
    bool said = c && strstr(aster_calculator_message(c), text);
    tap_ok(rc < 0 && said && aster_calculator_code(c) == rc, "%s",
           c ? aster_calculator_message(c) : "no memory");
    if (c && o && o->cpus == 1) /* of a calculator that is not open */
        tap_ok(aster_calculator_run(c, 1, &x.m, NULL) < 0, "%s", aster_calculator_message(c));
    aster_calculator_close(&c);
}

static void mistakes(void)
{
    struct aster_calculator_options o, standard;
    struct aster_calculator *c;
    aster_calculator_options_default(&standard);
    not_opened("no-such-file.h5", NULL, "no-such-file.h5");
    o = standard;
    o.mixing = "free";
    o.cpus = 1;
    not_opened(weights, &o, "mixing 'free'");
    o = standard;
    o.intervals = 15;
    not_opened(weights, &o, "intervals 15");
    o = standard;
    o.batch_atoms = -1;
    not_opened(weights, &o, "batch_atoms -1");
    o = standard;
    o.cpus = 0;
    not_opened(weights, &o, "cpus=0");
    o = standard;
    o.isa = "mmx";
    not_opened(weights, &o, "mmx");
    o = standard;
    o.memory = 4096;
    not_opened(weights, &o, "memory");
    c = open_with(true, 1);
    tap_ok(c && aster_calculator_cutoff(c) == 4 && aster_calculator_max_number(c) == 20,
           "cutoff and elements of the force field");
    not_opened(weights, NULL, "one at a time");
    struct molecule x;
    make(&x, 9);
    tap_ok(run_one(c, &x), "the first of two goes on");
    aster_calculator_close(&c);
    c = NULL;
    aster_calculator_close(&c);
}

/* Neighbours in the list that are alike and in one place: nothing tells them apart, and what
 * rounding would tell is divided by their distance. */
static void one_place(void)
{
    struct aster_calculator *c = open_with(false, 1);
    struct molecule x;
    int n_same = 0, n = 0;
    for (int k = 0; k < 40; k++) {
        make(&x, k);
        if (x.m.n < 4 || k % 5 == 4)
            continue;
        int at = (int)(draw(4, k) * (double)(x.m.n - 1));
        x.number[at + 1] = x.number[at];
        memcpy(x.position[at + 1], x.position[at], sizeof x.position[at]);
        n++;
        n_same += run_one(c, &x) && !memcmp(x.forces[at], x.forces[at + 1], sizeof x.forces[at]);
    }
    tap_ok(n > 20 && n_same == n, "%d of %d pairs of atoms in one place have the same forces",
           n_same, n);
    aster_calculator_close(&c);
}

int main(void)
{
    const struct aster_forcefield_config config = {
        .width = 16, .n_blocks = 2, .n_radial = 8, .max_number = 20, .cutoff = 4};
    struct aster_ctx *ctx;
    snprintf(weights, sizeof weights, "calculator-%ld.h5", (long)getpid());
    if (aster_ctx_new(&ctx) < 0 || draw_forcefield(ctx, &config, 5, weights) < 0)
        return 1;
    aster_ctx_free(&ctx);
    company(false);
    company(true);
    forces_and_stress();
    one_place();
    faults();
    mistakes();
    unlink(weights);
    return tap_done();
}
