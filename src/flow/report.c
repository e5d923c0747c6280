/* SPDX-License-Identifier: BSD-3-Clause */
/* report.html: one page without anything from outside, in light and dark. */
#include "flow/report.h"

#include "flow/internal.h"
#include "flow/plots.h"
#include "flow/svg.h"

#include <string.h>

#define MAX_ROWS 50 /* of a table file */

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#222;--line:#ddd;--soft:#f4f4f6}"
    "@media(prefers-color-scheme:dark){:root{--bg:#1c1c1e;--fg:#ddd;--line:#3a3a3c;--soft:#2a2a2c}}"
    "body{background:var(--bg);color:var(--fg);font:15px/1.45 "
    "sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1.2rem}td,th{border:1px solid "
    "var(--line);padding:.2rem .6rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}th{background:var(--soft)}h1{font-size:1.5rem}h2{"
    "font-size:1.15rem;margin-top:2rem}"
    "svg{max-width:100%;height:auto;margin:.4rem 0}details "
    "summary{cursor:pointer}.wide{overflow-x:auto}";

struct page {
    struct aster_ctx *ctx;
    const char *dir;
    struct aster_str s;
};

static void heading(struct page *p, const char *text)
{
    aster_str_add(&p->s, "<h2>");
    aster_svg_escape(&p->s, text);
    aster_str_add(&p->s, "</h2>\n");
}

static void cell(struct page *p, const char *tag, const char *text)
{
    aster_str_printf(&p->s, "<%s>", tag);
    aster_svg_escape(&p->s, text);
    aster_str_printf(&p->s, "</%s>", tag);
}

static void row(struct page *p, const char *key, const char *value)
{
    aster_str_add(&p->s, "<tr>");
    cell(p, "th", key);
    cell(p, "td", value);
    aster_str_add(&p->s, "</tr>\n");
}

static int path_of(struct page *p, const char *name, char **out, bool *there)
{
    ASTER_TRY(aster_path_join(p->ctx, p->dir, name, out));
    *there = aster_file_exists(*out);
    return 0;
}

/* A section of run.yaml as a table of keys and values. */
static void section_table(struct page *p, const struct aster_runfile *f, const char *section,
                          const char *title)
{
    bool open = false;
    for (int64_t i = 0; i < f->n; i++) {
        if (strcmp(f->lines[i].section, section))
            continue;
        if (!open) {
            heading(p, title);
            aster_str_add(&p->s, "<table>\n");
            open = true;
        }
        row(p, f->lines[i].key, f->lines[i].value);
    }
    if (open)
        aster_str_add(&p->s, "</table>\n");
}

static int figure(struct page *p, const char *name)
{
    char *path = NULL, *text = NULL;
    int64_t n;
    bool there;
    ASTER_TRY(path_of(p, name, &path, &there));
    int rc = there ? aster_file_read(p->ctx, path, INT64_C(1) << 26, &text, &n) : 0;
    if (rc == 0 && text) {
        aster_str_add(&p->s, "<div class=\"wide\">");
        aster_str_addn(&p->s, text, (size_t)n);
        aster_str_add(&p->s, "</div>\n");
    }
    aster_free(&text);
    aster_free(&path);
    return rc;
}

/* A flat JSON object as a table. */
static int json_table(struct page *p, const char *name, const char *title)
{
    struct aster_json *j = NULL;
    struct aster_str value = {0};
    char *path = NULL;
    bool there;
    ASTER_TRY(path_of(p, name, &path, &there));
    int rc = there ? aster_json_read(p->ctx, path, &j) : 0;
    if (rc == 0 && j) {
        heading(p, title);
        aster_str_add(&p->s, "<table>\n");
        for (const struct aster_json *c = j->child; c; c = c->next) {
            aster_str_free(&value);
            if (c->type == ASTER_JSON_NUMBER && c->is_int)
                aster_str_printf(&value, "%lld", (long long)c->integer);
            else if (c->type == ASTER_JSON_NUMBER)
                aster_str_printf(&value, "%.6g", c->number);
            else
                aster_str_add(&value, c->type == ASTER_JSON_STRING ? c->string : "");
            row(p, c->key, aster_str_get(&value));
        }
        aster_str_add(&p->s, "</table>\n");
    }
    aster_str_free(&value);
    aster_json_free(&j);
    aster_free(&path);
    return rc;
}

static int csv_table(struct page *p, const char *name, const char *title)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    char *path = NULL;
    int64_t n = 0;
    bool there;
    ASTER_TRY(path_of(p, name, &path, &there));
    int rc = there ? aster_csv_open(p->ctx, path, &c) : 0;
    if (rc == 0 && c) {
        heading(p, title);
        aster_str_add(&p->s, "<div class=\"wide\"><table>\n<tr>");
        for (int k = 0; k < aster_csv_n_columns(c); k++)
            cell(p, "th", aster_csv_column_name(c, k));
        aster_str_add(&p->s, "</tr>\n");
        while ((rc = aster_csv_next(c, &f)) == 1 && n++ < 4 * MAX_ROWS) {
            aster_str_add(&p->s, "<tr>");
            for (int k = 0; k < aster_csv_n_columns(c); k++)
                cell(p, "td", f[k]);
            aster_str_add(&p->s, "</tr>\n");
        }
        aster_str_add(&p->s, "</table></div>\n");
    }
    aster_csv_close(&c);
    aster_free(&path);
    return rc < 0 ? rc : 0;
}

/* The first lines of a tab-separated file and how many there are. */
static int tsv_table(struct page *p, const char *name, const char *title)
{
    struct aster_lines *l = NULL;
    char *path = NULL, *text;
    size_t len;
    int64_t n = 0;
    bool there;
    ASTER_TRY(path_of(p, name, &path, &there));
    int rc = there ? aster_lines_open(p->ctx, path, &l) : 0;
    while (rc == 0 && l && (rc = aster_lines_next(l, &text, &len)) == 1) {
        rc = 0;
        if (n == 0) {
            heading(p, title);
            aster_str_add(&p->s, "<table>\n");
        }
        if (n++ > MAX_ROWS)
            continue;
        aster_str_add(&p->s, "<tr>");
        for (char *tab; (tab = strchr(text, '\t')); text = tab + 1) {
            *tab = '\0';
            cell(p, n == 1 ? "th" : "td", text);
        }
        cell(p, n == 1 ? "th" : "td", text);
        aster_str_add(&p->s, "</tr>\n");
    }
    if (n)
        aster_str_printf(&p->s, "</table>\n<p>%lld in all%s.</p>\n", (long long)(n - 1),
                         n - 1 > MAX_ROWS ? ", the first are shown" : "");
    aster_lines_close(&l);
    aster_free(&path);
    return rc < 0 ? rc : 0;
}

struct codelet_time {
    char name[64];
    int64_t n;
    double seconds, longest;
};

/* trace.tsv summed by codelet. */
static int trace_table(struct page *p)
{
    struct codelet_time t[64];
    struct aster_lines *l = NULL;
    char *path = NULL, *text, name[64];
    size_t len;
    double start, end;
    int n = 0, k, worker;
    bool there;
    ASTER_TRY(path_of(p, "trace.tsv", &path, &there));
    int rc = there ? aster_lines_open(p->ctx, path, &l) : 0;
    while (rc == 0 && l && (rc = aster_lines_next(l, &text, &len)) == 1) {
        rc = 0;
        if (sscanf(text, "%d\t%63[^\t]\t%lf\t%lf", &worker, name, &start, &end) != 4)
            continue;
        for (k = 0; k < n && strcmp(t[k].name, name); k++)
            ;
        if (k == 64)
            continue;
        if (k == n) {
            memset(&t[n], 0, sizeof t[n]);
            snprintf(t[n++].name, sizeof t[0].name, "%s", name);
        }
        t[k].n++;
        t[k].seconds += end - start;
        t[k].longest = end - start > t[k].longest ? end - start : t[k].longest;
    }
    if (n) {
        heading(p, "Tasks");
        aster_str_add(&p->s, "<table>\n<tr><th>codelet</th><th>tasks</th><th>seconds</th><th>mean "
                             "ms</th><th>longest ms</th></tr>\n");
    }
    for (k = 0; k < n; k++)
        aster_str_printf(
            &p->s, "<tr><td>%s</td><td>%lld</td><td>%.3f</td><td>%.3f</td><td>%.3f</td></tr>\n",
            t[k].name, (long long)t[k].n, t[k].seconds, 1e3 * t[k].seconds / (double)t[k].n,
            1e3 * t[k].longest);
    if (n)
        aster_str_add(&p->s, "</table>\n");
    aster_lines_close(&l);
    aster_free(&path);
    return rc < 0 ? rc : 0;
}

/* Plots are drawn again where their data is in the folder. */
static int draw_plots(struct page *p)
{
    static const struct {
        const char *data;
        int (*draw)(struct aster_ctx *ctx, const char *dir);
    } plots[] = {{"training_history.json", aster_plots_training},
                 {"confusion_matrix.csv", aster_plots_evaluation},
                 {"workers.csv", aster_plots_workers}};
    for (size_t i = 0; i < sizeof plots / sizeof *plots; i++) {
        char *path = NULL;
        bool there;
        ASTER_TRY(path_of(p, plots[i].data, &path, &there));
        int rc = there ? plots[i].draw(p->ctx, p->dir) : 0;
        aster_free(&path);
        ASTER_TRY(rc);
    }
    return 0;
}

static int body(struct page *p, const struct aster_runfile *f)
{
    static const char *const comparisons[] = {"all_results_combined.svg", "test_residue_level.svg",
                                              "test_sequence_level.svg", "val_residue_level.svg",
                                              "val_sequence_level.svg"};
    const char *name = aster_runfile_get(f, "", "pipeline");
    aster_str_add(&p->s, "<h1>");
    aster_svg_escape(&p->s, name ? name : "run");
    aster_str_add(&p->s, "</h1>\n<table>\n");
    for (int64_t i = 0; i < f->n; i++)
        if (!*f->lines[i].section)
            row(p, f->lines[i].key, f->lines[i].value);
    aster_str_add(&p->s, "</table>\n");
    section_table(p, f, "results", "Run");
    section_table(p, f, "facts", "Results");
    ASTER_TRY(json_table(p, "metrics.json", "Residue metrics"));
    ASTER_TRY(json_table(p, "sequence_metrics.json", "Protein metrics"));
    ASTER_TRY(figure(p, "confusion_matrix.svg"));
    ASTER_TRY(figure(p, "error_histogram.svg"));
    ASTER_TRY(figure(p, "loss_curves.svg"));
    ASTER_TRY(figure(p, "metric_curves.svg"));
    ASTER_TRY(csv_table(p, "history.csv", "Epochs"));
    ASTER_TRY(csv_table(p, "summary.csv", "Comparison"));
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        ASTER_TRY(figure(p, comparisons[i]));
    ASTER_TRY(figure(p, "workers.svg"));
    ASTER_TRY(trace_table(p));
    ASTER_TRY(tsv_table(p, "failed_items.tsv", "Items without a result"));
    section_table(p, f, "parameters", "Parameters");
    section_table(p, f, "inputs", "Input files");
    section_table(p, f, "versions", "Versions");
    section_table(p, f, "machine", "Machine");
    return 0;
}

int aster_report_write(struct aster_ctx *ctx, const char *dir, char **path_out)
{
    struct page p = {.ctx = ctx, .dir = dir};
    struct aster_runfile f = {0};
    char *path = NULL;
    ASTER_TRY(aster_runfile_read(ctx, dir, &f));
    const char *name = aster_runfile_get(&f, "", "pipeline");
    aster_str_add(&p.s, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
                        "name=\"viewport\" content=\"width=device-width\"><title>");
    aster_svg_escape(&p.s, name ? name : "run");
    aster_str_printf(&p.s, "</title><style>%s</style></head><body>\n", style);
    int rc = draw_plots(&p);
    if (rc == 0)
        rc = body(&p, &f);
    aster_str_add(&p.s, "</body></html>\n");
    if (rc == 0)
        rc = aster_str_ok(ctx, &p.s);
    if (rc == 0)
        rc = aster_path_join(ctx, dir, "report.html", &path);
    if (rc == 0)
        rc = aster_file_write(ctx, path, p.s.s, (int64_t)p.s.len);
    aster_str_free(&p.s);
    aster_runfile_free(&f);
    if (rc == 0 && path_out)
        *path_out = path;
    else
        aster_free(&path);
    return rc;
}

int aster_run_report(struct aster_ctx *ctx, const char *dir, char **path_out)
{
    return aster_report_write(ctx, dir, path_out);
}
