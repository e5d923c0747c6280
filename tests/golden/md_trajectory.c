/* SPDX-License-Identifier: BSD-3-Clause */
/* md-trajectory write MD.h5 OUT.xyz: where the copies of a golden simulation begin, with
 * velocities. md-trajectory compare MD.h5 TRAJECTORY.h5 LOG.csv: every step of ours with every step
 * of it. */
#include "io/io.h"

#include "atoms/atoms.h"

#include <math.h>
#include <string.h>

struct golden {
    struct aster_h5 *h5;
    int64_t steps, copies, atoms; /* steps: places in time, one more than steps between them */
    double *position, *velocity, *potential, *kinetic;
    int32_t *number;
};

static int golden_open(struct aster_ctx *ctx, const char *path, struct golden *g)
{
    struct aster_h5_shape s;
    ASTER_TRY(aster_h5_open(ctx, path, &g->h5));
    ASTER_TRY(aster_h5_shape(g->h5, "positions", &s));
    if (s.rank != 4 || s.dim[0] < 1 || s.dim[3] != 3)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: positions [steps, copies, atoms, 3] expected",
                          path);
    g->steps = s.dim[0];
    g->copies = s.dim[1];
    g->atoms = s.dim[2];
    ASTER_TRY(aster_h5_read(g->h5, "positions", ASTER_F64, s.n, &g->position));
    ASTER_TRY(aster_h5_read(g->h5, "velocities", ASTER_F64, s.n, &g->velocity));
    ASTER_TRY(aster_h5_read(g->h5, "epot", ASTER_F64, g->steps * g->copies, &g->potential));
    ASTER_TRY(aster_h5_read(g->h5, "ekin", ASTER_F64, g->steps * g->copies, &g->kinetic));
    return aster_h5_read(g->h5, "Z", ASTER_I32, g->atoms, &g->number);
}

static void golden_close(struct golden *g)
{
    aster_free(&g->position);
    aster_free(&g->velocity);
    aster_free(&g->potential);
    aster_free(&g->kinetic);
    aster_free(&g->number);
    aster_h5_close(&g->h5);
}

static int write_start(struct aster_ctx *ctx, const struct golden *g, const char *path)
{
    struct aster_str s = {0};
    for (int64_t k = 0; k < g->copies; k++) {
        aster_str_printf(&s,
                         "%lld\nProperties=species:S:1:pos:R:3:velocities:R:3 name=\"copy%lld\"\n",
                         (long long)g->atoms, (long long)k);
        for (int64_t i = 0; i < g->atoms; i++) {
            const double *x = g->position + 3 * (k * g->atoms + i),
                         *v = g->velocity + 3 * (k * g->atoms + i);
            aster_str_printf(&s, "%s %.17g %.17g %.17g %.17g %.17g %.17g\n",
                             aster_element_symbol(g->number[i]), x[0], x[1], x[2], v[0], v[1],
                             v[2]);
        }
    }
    int rc = aster_str_ok(ctx, &s);
    if (rc == 0)
        rc = aster_file_write(ctx, path, s.s, (int64_t)s.len);
    aster_str_free(&s);
    return rc;
}

/* The largest error as a part of 1e-8 + 1e-9 of the largest value wanted. Ours stands copy by copy,
 * theirs step by step; width numbers each. */
static double worst_of(const struct golden *g, int64_t width, const double *got, const double *want)
{
    double most = 0, worst = 0;
    for (int64_t k = 0; k < g->steps * g->copies * width; k++)
        most = fmax(most, fabs(want[k]));
    for (int64_t c = 0; c < g->copies; c++)
        for (int64_t s = 0; s < g->steps; s++)
            for (int64_t k = 0; k < width; k++) {
                double error = fabs(got[(c * g->steps + s) * width + k] -
                                    want[(s * g->copies + c) * width + k]);
                if (!(error <= worst)) /* also what is not finite */
                    worst = error;
            }
    return worst / (1e-8 + 1e-9 * most);
}

static int read_log(struct aster_ctx *ctx, const struct golden *g, const char *path,
                    double *potential, double *kinetic, int64_t *n)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    int rc = aster_csv_open(ctx, path, &c);
    *n = 0;
    while (rc == 0 && (rc = aster_csv_next(c, &f)) == 1) {
        rc = 0;
        if (*n < g->steps * g->copies && aster_csv_n_columns(c) > 4 &&
            aster_parse_f64(f[3], &potential[*n]) == 0 && aster_parse_f64(f[4], &kinetic[*n]) == 0)
            ++*n;
    }
    aster_csv_close(&c);
    return rc < 0 ? rc : 0;
}

static int compare(struct aster_ctx *ctx, const struct golden *g, const char *path, const char *log)
{
    int64_t n = g->steps * g->copies, lines = 0;
    double *x = NULL, *v = NULL, *e = NULL, *k = NULL;
    struct aster_h5 *h5 = NULL;
    int rc;
    ASTER_GOTO(aster_h5_open(ctx, path, &h5), done);
    ASTER_GOTO(aster_h5_read(h5, "structures/positions", ASTER_F64, 3 * g->atoms * n, &x), done);
    ASTER_GOTO(aster_h5_read(h5, "trajectory/velocities", ASTER_F64, 3 * g->atoms * n, &v), done);
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *e, &e), done);
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *k, &k), done);
    ASTER_GOTO(read_log(ctx, g, log, e, k, &lines), done);
    double places = worst_of(g, 3 * g->atoms, x, g->position),
           velocities = worst_of(g, 3 * g->atoms, v, g->velocity),
           potential = worst_of(g, 1, e, g->potential), kinetic = worst_of(g, 1, k, g->kinetic);
    bool good = lines == n && places <= 1 && velocities <= 1 && potential <= 1 && kinetic <= 1;
    printf("%lld steps of %lld copies: %.2g of the limit for places, %.2g velocities, %.2g "
           "potential and %.2g kinetic energies\n",
           (long long)(g->steps - 1), (long long)g->copies, places, velocities, potential, kinetic);
    rc = good ? 0
              : aster_fail(ctx, ASTER_ENUMERIC, "%s: is not the simulation of the golden file",
                           path);
done:
    aster_free(&x);
    aster_free(&v);
    aster_free(&e);
    aster_free(&k);
    aster_h5_close(&h5);
    return rc;
}

int main(int argc, char **argv)
{
    struct aster_ctx *ctx = NULL;
    struct golden g = {0};
    bool writes = argc == 4 && !strcmp(argv[1], "write"),
         compares = argc == 5 && !strcmp(argv[1], "compare");
    if (!writes && !compares) {
        fputs("usage: md-trajectory write MD.h5 OUT.xyz | compare MD.h5 TRAJECTORY.h5 LOG.csv\n",
              stderr);
        return 1;
    }
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    int rc = golden_open(ctx, argv[2], &g);
    if (rc == 0)
        rc = writes ? write_start(ctx, &g, argv[3]) : compare(ctx, &g, argv[3], argv[4]);
    if (rc < 0)
        fprintf(stderr, "md-trajectory: %s\n", aster_ctx_message(ctx));
    golden_close(&g);
    aster_ctx_free(&ctx);
    return rc < 0;
}
