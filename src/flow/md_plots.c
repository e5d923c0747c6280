/* SPDX-License-Identifier: BSD-3-Clause */
/* Plots of a simulation, from its log and its table of exchanges. */
#include "flow/plots.h"

#include "flow/svg.h"
#include "io/io.h"

#include <math.h>

enum { MOST_COPIES = 8, MOST_POINTS = 400, MOST_PAIRS = 64 };
enum column { COPY = 0, TIME = 2, POTENTIAL = 3, TOTAL = 5, KELVIN = 6, N_COLUMNS = 10 };

/* The log of one copy: time, potential and total energy from their first values, temperature */
struct curve {
    int64_t n, cap[4];
    double *y[4];
    double first[4];
};
static const enum column columns[4] = {TIME, POTENTIAL, TOTAL, KELVIN};

static double number(const char *text)
{
    double x;
    return aster_parse_f64(text, &x) == 0 ? x : (double)NAN;
}

static int add_row(struct aster_ctx *ctx, struct curve *c, const char *const *f)
{
    for (int k = 0; k < 4; k++) {
        double x = number(f[columns[k]]);
        ASTER_TRY(aster_grow(ctx, c->n + 1, sizeof(double), &c->cap[k], &c->y[k]));
        if (c->n == 0)
            c->first[k] = x;
        c->y[k][c->n] = k == 1 || k == 2 ? x - c->first[k] : x;
    }
    c->n++;
    return 0;
}

/* The copies come one behind the other; those after the last that is shown are not read. */
static int read_curves(struct aster_ctx *ctx, const char *path, struct curve c[MOST_COPIES], int *n)
{
    struct aster_csv *csv = NULL;
    const char *const *f;
    double now = 0;
    int rc = aster_csv_open(ctx, path, &csv);
    *n = 0;
    while (rc == 0 && (rc = aster_csv_next(csv, &f)) == 1) {
        rc = 0;
        if (aster_csv_n_columns(csv) < N_COLUMNS)
            break;
        double copy = number(f[COPY]);
        if (copy > now || *n == 0) {
            if (*n == MOST_COPIES)
                break;
            now = copy;
            ++*n;
        }
        rc = add_row(ctx, &c[*n - 1], f);
    }
    aster_csv_close(&csv);
    return rc < 0 ? rc : 0;
}

/* What a picture can show of a long log */
static void thin(struct curve *c)
{
    int64_t stride = (c->n + MOST_POINTS - 1) / MOST_POINTS, n = 0;
    for (int64_t i = 0; stride > 1 && i < c->n; i += stride, n++)
        for (int k = 0; k < 4; k++)
            c->y[k][n] = c->y[k][i];
    if (stride > 1)
        c->n = n;
}

static int draw(struct aster_ctx *ctx, const char *dir, int n, const struct curve *c,
                struct aster_str *page)
{
    static const char *const colors[MOST_COPIES] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd",
                                                    "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"},
                             *const titles[3] = {"Potential energy, from its first value",
                                                 "Total energy, from its first value",
                                                 "Temperature"},
                             *const units[3] = {"eV", "eV", "K"},
                             *const files[3] = {"potential_energy.svg", "total_energy.svg",
                                                "temperature.svg"};
    char names[MOST_COPIES][16];
    for (int k = 0; k < 3; k++) {
        struct aster_series series[MOST_COPIES];
        struct aster_str s = {0};
        for (int i = 0; i < n; i++) {
            snprintf(names[i], sizeof names[i], "%d", i + 1);
            series[i] =
                (struct aster_series){names[i], colors[i], c[i].n, c[i].y[0], c[i].y[k + 1]};
        }
        aster_svg_begin(&s, 535, 320);
        aster_svg_curves(&s, (struct aster_box){0, 0, 535, 320}, titles[k], "ps", units[k], n,
                         series, NAN);
        int rc = aster_svg_finish(ctx, &s, dir, files[k], page);
        aster_str_free(&s);
        ASTER_TRY(rc);
    }
    return 0;
}

int aster_plots_dynamics(struct aster_ctx *ctx, const char *dir, struct aster_str *page)
{
    struct curve c[MOST_COPIES] = {{0}};
    char *path = NULL;
    int n = 0, rc = aster_path_join(ctx, dir, "thermo.csv", &path);
    if (rc == 0)
        rc = read_curves(ctx, path, c, &n);
    for (int i = 0; i < n; i++)
        thin(&c[i]);
    if (rc == 0 && n)
        rc = draw(ctx, dir, n, c, page);
    for (int i = 0; i < MOST_COPIES; i++)
        for (int k = 0; k < 4; k++)
            aster_free(&c[i].y[k]);
    aster_free(&path);
    return rc;
}

int aster_plots_exchange(struct aster_ctx *ctx, const char *dir, struct aster_str *page)
{
    static const char *const color = "#1f77b4";
    char names[MOST_PAIRS][32], *path = NULL;
    const char *groups[MOST_PAIRS], *const *f;
    double rates[MOST_PAIRS];
    struct aster_csv *csv = NULL;
    struct aster_str s = {0};
    int n = 0, rc = aster_path_join(ctx, dir, "exchange.csv", &path);
    if (rc == 0)
        rc = aster_csv_open(ctx, path, &csv);
    while (rc == 0 && n < MOST_PAIRS && (rc = aster_csv_next(csv, &f)) == 1) {
        rc = 0;
        if (aster_csv_n_columns(csv) < 6 || !*f[2])
            continue;
        snprintf(names[n], sizeof names[n], "%.0f-%.0f", number(f[1]), number(f[2]));
        groups[n] = names[n];
        rates[n++] = number(f[5]);
    }
    if (rc >= 0 && n) {
        aster_svg_begin(&s, 535, 320);
        aster_svg_bars(&s, (struct aster_box){0, 0, 535, 320}, "Exchanges that were accepted",
                       "temperatures, K", "share", n, groups, 1, &color, rates, 1);
        rc = aster_svg_finish(ctx, &s, dir, "exchange.svg", page);
    }
    aster_csv_close(&csv);
    aster_str_free(&s);
    aster_free(&path);
    return rc < 0 ? rc : 0;
}
