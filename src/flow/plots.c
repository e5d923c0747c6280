/* SPDX-License-Identifier: BSD-3-Clause */
/* Plots of training, evaluation and workers, read back from the files of a run. */
#include "flow/plots.h"

#include "flow/svg.h"
#include "io/io.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define BLUE "#1f77b4"
#define RED  "#d62728"

static int write_svg(struct aster_ctx *ctx, const char *dir, const char *name, struct aster_str *s)
{
    char *path = NULL;
    aster_svg_end(s);
    ASTER_TRY(aster_str_ok(ctx, s));
    ASTER_TRY(aster_path_join(ctx, dir, name, &path));
    int rc = aster_file_write(ctx, path, s->s, (int64_t)s->len);
    aster_free(&path);
    return rc;
}

/* The numbers of a JSON array; *n of the first sets the length. Anything that is no number becomes
 * NaN. */
static int numbers(struct aster_ctx *ctx, const struct aster_json *array, int64_t *n, double **out)
{
    int64_t i = 0;
    *n = array ? aster_json_count(array) : 0;
    ASTER_TRY(aster_alloc(ctx, *n, sizeof **out, out));
    for (const struct aster_json *j = array ? array->child : NULL; j; j = j->next)
        (*out)[i++] = j->type == ASTER_JSON_NUMBER ? j->number : NAN;
    return 0;
}

static int epochs(struct aster_ctx *ctx, int64_t n, double **x)
{
    ASTER_TRY(aster_alloc(ctx, n, sizeof **x, x));
    for (int64_t i = 0; i < n; i++)
        (*x)[i] = (double)i + 1;
    return 0;
}

static int loss_plot(struct aster_ctx *ctx, const char *dir, const struct aster_json *history)
{
    struct aster_str s = {0};
    double *x = NULL, *train = NULL, *val = NULL;
    int64_t n, n_val;
    int rc;
    ASTER_GOTO(numbers(ctx, aster_json_get(history, "train_losses"), &n, &train), done);
    ASTER_GOTO(numbers(ctx, aster_json_get(history, "val_losses"), &n_val, &val), done);
    ASTER_GOTO(epochs(ctx, aster_max64(n, n_val), &x), done);
    const struct aster_series series[] = {{"training", BLUE, n, x, train},
                                          {"validation", RED, n_val, x, val}};
    aster_svg_begin(&s, 800, 480);
    aster_svg_curves(&s, (struct aster_box){0, 0, 800, 480}, "Loss", "epoch", "loss", 2, series);
    rc = write_svg(ctx, dir, "loss_curves.svg", &s);
done:
    aster_str_free(&s);
    aster_free(&x);
    aster_free(&train);
    aster_free(&val);
    return rc;
}

static int metric_plot(struct aster_ctx *ctx, const char *dir, const struct aster_json *metrics)
{
    static const char *const keys[] = {"accuracy", "precision", "recall", "f1", "mcc", "auc"};
    static const char *const titles[] = {"Accuracy", "Precision", "Recall", "F1", "MCC", "AUC"};
    struct aster_str s = {0};
    int rc = 0;
    aster_svg_begin(&s, 1050, 700);
    for (int k = 0; k < 6 && rc == 0; k++) {
        double *x = NULL, *y = NULL;
        int64_t n;
        rc = numbers(ctx, aster_json_get(metrics, keys[k]), &n, &y);
        if (rc == 0)
            rc = epochs(ctx, n, &x);
        if (rc == 0) {
            const struct aster_series series = {"validation", BLUE, n, x, y};
            aster_svg_curves(&s, (struct aster_box){350.0 * (k % 3), 350.0 * (k / 3), 350, 350},
                             titles[k], "epoch", "", 1, &series);
        }
        aster_free(&x);
        aster_free(&y);
    }
    if (rc == 0)
        rc = write_svg(ctx, dir, "metric_curves.svg", &s);
    aster_str_free(&s);
    return rc;
}

int aster_plots_training(struct aster_ctx *ctx, const char *dir)
{
    struct aster_json *j = NULL;
    char *path = NULL;
    ASTER_TRY(aster_path_join(ctx, dir, "training_history.json", &path));
    int rc = aster_json_read(ctx, path, &j);
    const struct aster_json *metrics = rc == 0 ? aster_json_get(j, "val_metrics") : NULL;
    if (rc == 0 && !metrics)
        rc = aster_fail(ctx, ASTER_EFORMAT, "%s: has no val_metrics", path);
    if (rc == 0)
        rc = loss_plot(ctx, dir, j);
    if (rc == 0)
        rc = metric_plot(ctx, dir, metrics);
    aster_json_free(&j);
    aster_free(&path);
    return rc;
}

static int64_t whole(const char *s)
{
    int64_t v;
    return aster_parse_i64(s, &v) == 0 ? v : 0;
}

static int confusion_plot(struct aster_ctx *ctx, const char *dir)
{
    static const char *const labels[2] = {"non-RCL", "RCL"};
    struct aster_csv *c = NULL;
    struct aster_str s = {0};
    char *path = NULL;
    const char *const *f;
    int64_t counts[4] = {0}, n = 0;
    ASTER_TRY(aster_path_join(ctx, dir, "confusion_matrix.csv", &path));
    int rc = aster_csv_open(ctx, path, &c);
    while (rc == 0 && (rc = aster_csv_next(c, &f)) == 1) {
        rc = 0;
        if (n < 2 && aster_csv_n_columns(c) >= 3) {
            counts[2 * n] = whole(f[1]);
            counts[2 * n + 1] = whole(f[2]);
        }
        n++;
    }
    if (rc == 0) {
        aster_svg_begin(&s, 480, 420);
        aster_svg_matrix(&s, (struct aster_box){0, 0, 480, 420}, "Residues", "predicted", "true",
                         labels, counts);
        rc = write_svg(ctx, dir, "confusion_matrix.svg", &s);
    }
    aster_csv_close(&c);
    aster_str_free(&s);
    aster_free(&path);
    return rc;
}

/* error_counts.csv as a dense histogram with unit bins. */
static int read_errors(struct aster_ctx *ctx, const char *path, int64_t *n, double **out)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    int64_t cap = 0;
    *n = 0;
    int rc = aster_csv_open(ctx, path, &c);
    while (rc == 0 && (rc = aster_csv_next(c, &f)) == 1) {
        int64_t k = whole(f[0]);
        rc = 0;
        if (aster_csv_n_columns(c) < 2 || k < 0 || k > 1000000)
            continue;
        rc = aster_grow(ctx, k + 1, sizeof **out, &cap, out);
        if (rc == 0)
            (*out)[k] = (double)whole(f[1]);
        *n = aster_max64(*n, k + 1);
    }
    aster_csv_close(&c);
    return rc;
}

static int error_plot(struct aster_ctx *ctx, const char *dir)
{
    static const char *const color = BLUE;
    struct aster_str s = {0};
    char *path = NULL, (*labels)[24] = NULL;
    const char **groups = NULL;
    double *values = NULL;
    int64_t n = 0;
    int rc;
    ASTER_GOTO(aster_path_join(ctx, dir, "error_counts.csv", &path), done);
    ASTER_GOTO(read_errors(ctx, path, &n, &values), done);
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *labels, &labels), done);
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *groups, &groups), done);
    for (int64_t i = 0; i < n; i++) {
        snprintf(labels[i], sizeof labels[i], "%lld", (long long)i);
        groups[i] = labels[i];
    }
    aster_svg_begin(&s, 800, 420);
    aster_svg_bars(&s, (struct aster_box){0, 0, 800, 420}, "Wrong residues per protein",
                   "wrong residues", "proteins", n, groups, 1, &color, values, 0);
    rc = write_svg(ctx, dir, "error_histogram.svg", &s);
done:
    aster_str_free(&s);
    aster_free(&path);
    aster_free(&labels);
    aster_free(&groups);
    aster_free(&values);
    return rc;
}

int aster_plots_evaluation(struct aster_ctx *ctx, const char *dir)
{
    ASTER_TRY(confusion_plot(ctx, dir));
    return error_plot(ctx, dir);
}

/* ---- workers.csv: rows ordered by time, then worker ----------------------------------------- */
struct strips {
    int64_t n_rows, n, cap_rows, cap;
    char **rows;
    double *by_time, last;
};

static int read_workers(struct aster_ctx *ctx, const char *path, struct strips *t)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    double busy;
    int64_t total = 0;
    int rc = aster_csv_open(ctx, path, &c);
    while (rc == 0 && (rc = aster_csv_next(c, &f)) == 1) {
        rc = 0;
        if (aster_csv_n_columns(c) < 4 || aster_parse_f64(f[0], &t->last) < 0 ||
            aster_parse_f64(f[3], &busy) < 0)
            continue;
        if (whole(f[1]) == t->n_rows) {
            rc = aster_grow(ctx, t->n_rows + 1, sizeof *t->rows, &t->cap_rows, &t->rows);
            if (rc == 0)
                rc = aster_strdup(ctx, f[2], &t->rows[t->n_rows++]);
        }
        if (rc == 0)
            rc = aster_grow(ctx, total + 1, sizeof *t->by_time, &t->cap, &t->by_time);
        if (rc == 0)
            t->by_time[total++] = fmin(fmax(busy, 0), 1);
    }
    t->n = t->n_rows ? total / t->n_rows : 0;
    aster_csv_close(&c);
    return rc;
}

int aster_plots_workers(struct aster_ctx *ctx, const char *dir)
{
    struct strips t = {0};
    struct aster_str s = {0};
    char *path = NULL;
    double *values = NULL;
    int rc;
    ASTER_GOTO(aster_path_join(ctx, dir, "workers.csv", &path), done);
    ASTER_GOTO(read_workers(ctx, path, &t), done);
    ASTER_GOTO(aster_alloc(ctx, t.n_rows * t.n, sizeof *values, &values), done);
    for (int64_t r = 0; r < t.n_rows; r++)
        for (int64_t i = 0; i < t.n; i++)
            values[r * t.n + i] = t.by_time[i * t.n_rows + r];
    double h = 90 + 16.0 * (double)aster_min64(aster_max64(t.n_rows, 2), 32);
    aster_svg_begin(&s, 900, h);
    aster_svg_strips(&s, (struct aster_box){0, 0, 900, h}, "Busy share of each worker", t.n_rows,
                     (const char *const *)t.rows, t.n, values, t.last);
    rc = write_svg(ctx, dir, "workers.svg", &s);
done:
    for (int64_t r = 0; r < t.n_rows; r++)
        aster_free(&t.rows[r]);
    aster_free(&t.rows);
    aster_free(&t.by_time);
    aster_free(&values);
    aster_str_free(&s);
    aster_free(&path);
    return rc;
}

static const char *model_color(const char *model)
{
    return !strcmp(model, "cnn")    ? "#b8b8b8"
           : !strcmp(model, "unet") ? "#1a80bb"
           : !strcmp(model, "lstm") ? "#ea801c"
                                    : "#666666";
}

int aster_plots_comparison(struct aster_ctx *ctx, const char *dir, const char *name,
                           int64_t n_encodings, const char *const *encodings, int64_t n_models,
                           const char *const *models, int n, const struct aster_figure *figures)
{
    struct aster_str s = {0};
    const char *colors[16], *names[16];
    char upper[16][16];
    if (n_models > 16)
        return aster_fail(ctx, ASTER_ELIMIT, "at most 16 models fit into a figure, not %lld",
                          (long long)n_models);
    for (int64_t m = 0; m < n_models; m++) {
        snprintf(upper[m], sizeof upper[m], "%s", models[m]);
        for (char *p = upper[m]; *p; p++)
            *p = (char)toupper((unsigned char)*p);
        colors[m] = model_color(models[m]);
        names[m] = upper[m];
    }
    aster_svg_begin(&s, 560.0 * n, 450);
    for (int k = 0; k < n; k++)
        aster_svg_bars(&s, (struct aster_box){560.0 * k, 0, 560, 420}, figures[k].title, "encoding",
                       figures[k].label, n_encodings, encodings, (int)n_models, colors,
                       figures[k].values, figures[k].top);
    for (int64_t m = 0; m < n_models; m++) { /* one legend below all */
        double x = 280.0 * n + 90.0 * ((double)m - 0.5 * (double)n_models);
        aster_str_printf(&s,
                         "<rect x=\"%.1f\" y=\"428\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x,
                         colors[m]);
        aster_svg_text(&s, x + 18, 438, "start", 12, names[m]);
    }
    int rc = write_svg(ctx, dir, name, &s);
    aster_str_free(&s);
    return rc;
}
