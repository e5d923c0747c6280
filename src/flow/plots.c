/* SPDX-License-Identifier: BSD-3-Clause */
/* Plots of training, evaluation and prediction, read back from the files of a run. */
#include "flow/plots.h"

#include "flow/svg.h"
#include "flow/training.h"
#include "io/io.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define BLUE "#1f77b4"
#define RED  "#d62728"

/* ---- training: history.csv ---- */
enum { N_PANELS = 6, N_COLUMNS = 2 + N_PANELS, TRAIN_LOSS = 0, VAL_LOSS = 1 };
struct panels { /* of a labelling model, of a force field */
    const char *title[N_PANELS];
    int file[N_PANELS], page[N_PANELS]; /* their order */
};
static const struct panels panels[2] = {
    {{"Accuracy", "Precision", "Recall", "F1", "MCC", "AUC"},
     {0, 1, 2, 3, 4, 5},
     {3, 1, 2, 4, 5, 0}},
    {{"Force RMSE, eV/A", "Force MAE, eV/A", "Mean angle, degrees", "Energy RMSE, eV",
      "Energy MAE, eV", "Learning rate"},
     {0, 1, 2, 3, 4, 5},
     {0, 1, 2, 3, 4, 5}},
};
struct curves {
    int64_t n;
    const struct panels *panels;
    double *x, *y[N_COLUMNS], best; /* x: epochs from 1; best: the last that was the best so far */
};

static void curves_free(struct curves *c)
{
    aster_free(&c->x);
    for (int k = 0; k < N_COLUMNS; k++)
        aster_free(&c->y[k]);
}

static int read_curves(struct aster_ctx *ctx, const char *dir, struct curves *c)
{
    struct aster_history h = {0};
    int rc;
    *c = (struct curves){.best = NAN};
    ASTER_TRY(aster_history_read(ctx, dir, &h));
    c->n = h.n;
    c->panels = &panels[h.is_field];
    ASTER_GOTO(aster_alloc(ctx, h.n, sizeof *c->x, &c->x), done);
    for (int k = 0; k < N_COLUMNS; k++)
        ASTER_GOTO(aster_alloc(ctx, h.n, sizeof *c->y[k], &c->y[k]), done);
    for (int64_t i = 0; i < h.n; i++) {
        const struct aster_epoch *e = &h.e[i];
        const struct aster_metrics *m = &e->val;
        const struct aster_field_metrics *f = &e->field;
        const double y[2][N_PANELS] = {
            {m->accuracy, m->precision, m->recall, m->f1, m->mcc, m->auc},
            {f->force_rmse, f->force_mae, f->angle_mean, f->energy_rmse, f->energy_mae, e->lr}};
        c->x[i] = (double)e->epoch + 1;
        c->y[TRAIN_LOSS][i] = e->train_loss;
        c->y[VAL_LOSS][i] = e->val_loss;
        for (int k = 0; k < N_PANELS; k++)
            c->y[2 + k][i] = y[h.is_field][k];
        if (e->best)
            c->best = c->x[i];
    }
done:
    aster_history_free(&h);
    if (rc < 0)
        curves_free(c);
    return rc;
}

static void loss_panel(struct aster_str *s, struct aster_box box, const struct curves *c)
{
    const struct aster_series series[] = {{"training", BLUE, c->n, c->x, c->y[TRAIN_LOSS]},
                                          {"validation", RED, c->n, c->x, c->y[VAL_LOSS]}};
    aster_svg_curves(s, box, "Loss", "epoch", "loss", 2, series, c->best);
}

static void metric_panel(struct aster_str *s, struct aster_box box, const struct curves *c, int k)
{
    const struct aster_series series = {"validation", BLUE, c->n, c->x, c->y[2 + k]};
    aster_svg_curves(s, box, c->panels->title[k], "epoch", "", 1, &series, c->best);
}

static int training_files(struct aster_ctx *ctx, const char *dir, const struct curves *c)
{
    struct aster_str s = {0};
    aster_svg_begin(&s, 800, 480);
    loss_panel(&s, (struct aster_box){0, 0, 800, 480}, c);
    int rc = aster_svg_finish(ctx, &s, dir, "loss_curves.svg", NULL);
    aster_str_free(&s);
    ASTER_TRY(rc);
    aster_svg_begin(&s, 1050, 720);
    for (int k = 0; k < N_PANELS; k++)
        metric_panel(&s, (struct aster_box){350.0 * (k % 3), 360.0 * (k / 3), 350, 350}, c,
                     c->panels->file[k]);
    rc = aster_svg_finish(ctx, &s, dir, "metric_curves.svg", NULL);
    aster_str_free(&s);
    return rc;
}

/* On a page each panel is a picture of its own: they wrap on a narrow screen. */
static int training_page(struct aster_ctx *ctx, const struct curves *c, struct aster_str *page)
{
    int rc = 0;
    for (int k = -1; k < N_PANELS && rc == 0; k++) {
        struct aster_str s = {0};
        struct aster_box box = {0, 0, k < 1 ? 535 : 350, k < 1 ? 320 : 250};
        aster_svg_begin(&s, box.w, box.h);
        if (k < 0)
            loss_panel(&s, box, c);
        else
            metric_panel(&s, box, c, c->panels->page[k]);
        rc = aster_svg_finish(ctx, &s, NULL, NULL, page);
        aster_str_free(&s);
    }
    return rc;
}

int aster_plots_training(struct aster_ctx *ctx, const char *dir, struct aster_str *page)
{
    struct curves c;
    ASTER_TRY(read_curves(ctx, dir, &c));
    int rc = training_files(ctx, dir, &c);
    if (rc == 0 && page)
        rc = training_page(ctx, &c, page);
    curves_free(&c);
    return rc;
}

/* ---- evaluation ---- */
static int64_t whole(const char *s)
{
    int64_t v;
    return aster_parse_i64(s, &v) == 0 ? v : 0;
}

static int confusion_plot(struct aster_ctx *ctx, const char *dir, struct aster_str *page)
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
        aster_svg_begin(&s, 420, 380);
        aster_svg_matrix(&s, (struct aster_box){0, 0, 420, 380},
                         "Residues, with shares of each row", "predicted", "true", labels, counts);
        rc = aster_svg_finish(ctx, &s, dir, "confusion_matrix.svg", page);
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

static int error_plot(struct aster_ctx *ctx, const char *dir, struct aster_str *page)
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
    aster_svg_begin(&s, 640, 380);
    aster_svg_bars(&s, (struct aster_box){0, 0, 640, 380}, "Wrong residues per protein",
                   "wrong residues", "proteins", n, groups, 1, &color, values, 0);
    rc = aster_svg_finish(ctx, &s, dir, "error_histogram.svg", page);
done:
    aster_str_free(&s);
    aster_free(&path);
    aster_free(&labels);
    aster_free(&groups);
    aster_free(&values);
    return rc;
}

int aster_plots_evaluation(struct aster_ctx *ctx, const char *dir, struct aster_str *page)
{
    ASTER_TRY(confusion_plot(ctx, dir, page));
    return error_plot(ctx, dir, page);
}

/* force_errors.csv: bins with their upper ends */
int aster_plots_forces(struct aster_ctx *ctx, const char *dir, struct aster_str *page)
{
    enum { MOST = 40 };
    static const char *const color = BLUE;
    struct aster_csv *c = NULL;
    struct aster_str s = {0};
    char *path = NULL, labels[MOST][24];
    const char *const *f, *groups[MOST];
    double values[MOST];
    int64_t n = 0;
    ASTER_TRY(aster_path_join(ctx, dir, "force_errors.csv", &path));
    int rc = aster_csv_open(ctx, path, &c);
    while (rc == 0 && n < MOST && (rc = aster_csv_next(c, &f)) == 1) {
        rc = 0;
        if (aster_csv_n_columns(c) < 2)
            continue;
        snprintf(labels[n], sizeof labels[n], "%.20s", f[0]);
        groups[n] = labels[n];
        values[n++] = (double)whole(f[1]);
    }
    if (rc == 0) {
        aster_svg_begin(&s, 640, 380);
        aster_svg_bars(&s, (struct aster_box){0, 0, 640, 380},
                       "Errors of forces, components of the validation part", "up to, eV/A",
                       "components", n, groups, 1, &color, values, 0);
        rc = aster_svg_finish(ctx, &s, dir, "force_errors.svg", page);
    }
    aster_csv_close(&c);
    aster_str_free(&s);
    aster_free(&path);
    return rc;
}

/* ---- predictions ---- */
/* n values as bars of equal width from low to high. */
static int histogram(struct aster_ctx *ctx, const char *title, const char *label, int n_bars,
                     double low, double high, int64_t n, const double *values,
                     struct aster_str *page)
{
    static const char *const color = BLUE;
    struct aster_str s = {0};
    char text[40][24];
    const char *groups[40];
    double bars[40] = {0}, width = (high - low) / n_bars;
    for (int64_t i = 0; i < n; i++) {
        int k = (int)((values[i] - low) / width);
        bars[k < 0 ? 0 : k < n_bars ? k : n_bars - 1]++;
    }
    for (int k = 0; k < n_bars; k++) {
        snprintf(text[k], sizeof text[k], "%.4g", low + width * k);
        groups[k] = k % 2 ? "" : text[k];
    }
    aster_svg_begin(&s, 535, 300);
    aster_svg_bars(&s, (struct aster_box){0, 0, 535, 300}, title, label, "proteins", n_bars, groups,
                   1, &color, bars, 0);
    int rc = aster_svg_finish(ctx, &s, NULL, NULL, page);
    aster_str_free(&s);
    return rc;
}

int aster_plots_predictions(struct aster_ctx *ctx, int64_t n, const double *length,
                            const double *confidence, struct aster_str *page)
{
    double longest = 0;
    if (n == 0)
        return 0;
    for (int64_t i = 0; i < n; i++)
        longest = fmax(longest, length[i]);
    double step = fmax(1, ceil((longest + 1) / 20));
    int n_bars = (int)ceil((longest + 1) / step);
    ASTER_TRY(histogram(ctx, "Length of the loops", "residues", n_bars, 0, step * n_bars, n, length,
                        page));
    return histogram(ctx, "Confidence", "mean P(RCL) over the loop", 20, 0, 1, n, confidence, page);
}

/* ---- comparison ---- */
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
    aster_svg_begin(&s, 535.0 * n, 450);
    for (int k = 0; k < n; k++)
        aster_svg_bars(&s, (struct aster_box){535.0 * k, 0, 535, 420}, figures[k].title, "encoding",
                       figures[k].label, n_encodings, encodings, (int)n_models, colors,
                       figures[k].values, figures[k].top);
    for (int64_t m = 0; m < n_models; m++) { /* one legend below all */
        double x = 267.5 * n + 90.0 * ((double)m - 0.5 * (double)n_models);
        aster_str_printf(&s,
                         "<rect x=\"%.1f\" y=\"428\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x,
                         colors[m]);
        aster_svg_text(&s, x + 18, 438, "start", 12, names[m]);
    }
    int rc = aster_svg_finish(ctx, &s, dir, name, NULL);
    aster_str_free(&s);
    return rc;
}
