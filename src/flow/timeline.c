/* SPDX-License-Identifier: BSD-3-Clause */
/* What the workers did over time, drawn from workers.csv and, where tasks were recorded, from
 * trace.tsv. */
#include "flow/plots.h"
#include "flow/svg.h"
#include "io/io.h"

#include <math.h>
#include <string.h>

#define WIDTH     1090.0
#define N_BINS    360
#define MAX_KINDS 8 /* of codelets in the picture */

struct busy {
    int64_t n_rows, n, cap_rows, cap, cap_times;
    char **rows;
    double *shares, *times; /* [n, n_rows] by time, then worker; [n] */
};

static void busy_free(struct busy *t)
{
    for (int64_t r = 0; r < t->n_rows; r++)
        aster_free(&t->rows[r]);
    aster_free(&t->rows);
    aster_free(&t->shares);
    aster_free(&t->times);
}

static int add_row(struct aster_ctx *ctx, struct busy *t, const char *const *f, int64_t *total)
{
    double seconds, share;
    int64_t worker;
    if (aster_parse_f64(f[0], &seconds) < 0 || aster_parse_i64(f[1], &worker) < 0 ||
        aster_parse_f64(f[3], &share) < 0)
        return 0;
    if (worker == 0) {
        ASTER_TRY(aster_grow(ctx, t->n + 1, sizeof *t->times, &t->cap_times, &t->times));
        t->times[t->n++] = seconds;
    }
    if (worker == t->n_rows) {
        ASTER_TRY(aster_grow(ctx, t->n_rows + 1, sizeof *t->rows, &t->cap_rows, &t->rows));
        ASTER_TRY(aster_strdup(ctx, f[2], &t->rows[t->n_rows]));
        t->n_rows++;
    }
    ASTER_TRY(aster_grow(ctx, *total + 1, sizeof *t->shares, &t->cap, &t->shares));
    t->shares[(*total)++] = fmin(fmax(share, 0), 1);
    return 0;
}

static int read_busy(struct aster_ctx *ctx, const char *dir, struct busy *t)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    char *path = NULL;
    int64_t total = 0;
    ASTER_TRY(aster_path_join(ctx, dir, "workers.csv", &path));
    int rc = aster_csv_open(ctx, path, &c);
    while (rc == 0 && (rc = aster_csv_next(c, &f)) == 1)
        rc = aster_csv_n_columns(c) < 4 ? 0 : add_row(ctx, t, f, &total);
    t->n = t->n_rows ? aster_min64(t->n, total / t->n_rows) : 0;
    aster_csv_close(&c);
    aster_free(&path);
    return rc;
}

/* ---- trace.tsv ---- */
struct trace {
    int n_kinds;
    char kinds[MAX_KINDS][64]; /* the last one gathers what has no place */
    double seconds, *shares;   /* [n_rows, N_BINS, MAX_KINDS] */
};

static int kind_of(struct trace *t, const char *name)
{
    int k = 0;
    while (k < t->n_kinds && strcmp(t->kinds[k], name))
        k++;
    if (k == MAX_KINDS)
        return MAX_KINDS - 1;
    if (k == t->n_kinds) {
        snprintf(t->kinds[k], sizeof t->kinds[k], "%s", k == MAX_KINDS - 1 ? "others" : name);
        t->n_kinds++;
    }
    return k;
}

/* Adds a task to the bins that it covers. */
static void add_task(struct trace *t, int worker, int kind, double start, double end)
{
    double width = t->seconds / N_BINS;
    int64_t last = aster_min64((int64_t)(end / width), N_BINS - 1);
    for (int64_t b = aster_max64((int64_t)(start / width), 0); b <= last; b++) {
        double from = fmax(start, width * (double)b), to = fmin(end, width * (double)(b + 1));
        t->shares[(worker * N_BINS + b) * MAX_KINDS + kind] += fmax(to - from, 0) / width;
    }
}

/* One pass for the end of the last task, one for the bins. */
static int read_trace(struct aster_ctx *ctx, const char *path, int64_t n_rows, struct trace *t)
{
    struct aster_lines *l = NULL;
    char *text, name[64];
    size_t len;
    double start, end;
    int worker, rc = 0;
    for (int pass = 0; pass < 2 && rc == 0; pass++) {
        rc = aster_lines_open(ctx, path, &l);
        while (rc == 0 && (rc = aster_lines_next(l, &text, &len)) == 1) {
            rc = 0;
            if (sscanf(text, "%d\t%63[^\t]\t%lf\t%lf", &worker, name, &start, &end) != 4 ||
                worker < 0 || worker >= n_rows || !(start >= 0) || !(end >= start))
                continue;
            if (pass == 0)
                t->seconds = fmax(t->seconds, end);
            else if (t->seconds > 0)
                add_task(t, worker, kind_of(t, name), start, end);
        }
        aster_lines_close(&l);
    }
    return rc;
}

static int draw_trace(struct aster_ctx *ctx, const char *dir, const struct busy *b,
                      struct aster_str *page)
{
    static const char *const colors[MAX_KINDS] = {"#1a80bb", "#ea801c", "#2ca02c", "#d62728",
                                                  "#9467bd", "#8c564b", "#e377c2", "#999999"};
    struct trace t = {0};
    struct aster_str s = {0};
    const char *kinds[MAX_KINDS];
    char *path = NULL;
    double h = aster_svg_areas_height(b->n_rows);
    int rc;
    ASTER_TRY(aster_path_join(ctx, dir, "trace.tsv", &path));
    if (!aster_file_exists(path)) {
        aster_free(&path);
        return 0;
    }
    ASTER_GOTO(aster_alloc(ctx, b->n_rows * N_BINS * MAX_KINDS, sizeof *t.shares, &t.shares), done);
    ASTER_GOTO(read_trace(ctx, path, b->n_rows, &t), done);
    for (int k = 0; k < t.n_kinds; k++)
        kinds[k] = t.kinds[k];
    aster_svg_begin(&s, WIDTH, h);
    aster_svg_blocks(&s, (struct aster_box){0, 0, WIDTH, h}, "Tasks", b->n_rows,
                     (const char *const *)b->rows, t.seconds, t.n_kinds, kinds, colors, N_BINS,
                     t.shares, MAX_KINDS);
    rc = aster_svg_finish(ctx, &s, dir, "timeline.svg", page);
done:
    aster_str_free(&s);
    aster_free(&t.shares);
    aster_free(&path);
    return rc;
}

int aster_plots_workers(struct aster_ctx *ctx, const char *dir, struct aster_str *page)
{
    struct busy t = {0};
    struct aster_str s = {0};
    int rc;
    ASTER_GOTO(read_busy(ctx, dir, &t), done);
    double h = aster_svg_areas_height(t.n_rows);
    aster_svg_begin(&s, WIDTH, h);
    aster_svg_areas(&s, (struct aster_box){0, 0, WIDTH, h},
                    "Busy share of each worker, its mean at the right", t.n_rows,
                    (const char *const *)t.rows, t.n, t.times, t.shares);
    ASTER_GOTO(aster_svg_finish(ctx, &s, dir, "workers.svg", page), done);
    rc = draw_trace(ctx, dir, &t, page);
done:
    busy_free(&t);
    aster_str_free(&s);
    return rc;
}
