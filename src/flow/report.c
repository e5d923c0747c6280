/* SPDX-License-Identifier: BSD-3-Clause */
/* report.html: one page without anything from outside, for wide and narrow screens and for paper.
 */
#include "flow/report.h"

#include "flow/internal.h"
#include "flow/plots.h"
#include "flow/svg.h"

#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light}"
    "body{background:#fff;color:#222;font:15px/1.45 system-ui,sans-serif;max-width:70rem;"
    "margin:0 auto;padding:1.5rem 1rem 3rem}"
    "h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
    "p{margin:.3rem 0}.soft{color:#555}"
    ".bad{background:#fdecea;border-left:4px solid #c0392b;padding:.5rem .8rem;margin:1rem 0}"
    ".cards{display:flex;flex-wrap:wrap;gap:.6rem;margin:1.2rem 0}"
    ".cards div{background:#f3f6f9;border-radius:6px;padding:.45rem .9rem;min-width:5rem}"
    ".cards b{display:block;font-size:1.25rem}.cards span{color:#555;font-size:.85rem}"
    "table{border-collapse:collapse;margin:.3rem 0 .8rem}"
    "td,th{border-bottom:1px solid #ddd;padding:.22rem .7rem .22rem 0;text-align:left;"
    "vertical-align:top}th{font-weight:600;white-space:nowrap;padding-right:1.2rem}"
    "td{overflow-wrap:anywhere}.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".facts .n{text-align:left}.tight td,.tight th{padding-right:1rem;white-space:nowrap}"
    ".scroll,figure{overflow-x:auto;max-width:100%}.side{display:flex;flex-wrap:wrap;gap:0 4rem}"
    ".figures{display:flex;flex-wrap:wrap;gap:.4rem .6rem}figure{margin:.3rem 0}"
    "svg{max-width:100%;height:auto;display:block}svg.broad{min-width:40rem}"
    "details{margin:.5rem 0}summary{cursor:pointer;font-weight:600;padding:.2rem 0}"
    "@media print{details>*{display:block}}";

static int64_t whole(const char *text)
{
    int64_t n;
    return text && aster_parse_i64(text, &n) == 0 ? n : 0;
}

static double real(const char *text)
{
    double x;
    return text && aster_parse_f64(text, &x) == 0 ? x : 0;
}

static void seconds_text(double s, char out[32])
{
    int64_t n = (int64_t)(s + 0.5);
    if (s < 120)
        snprintf(out, 32, "%.1f s", s);
    else
        snprintf(out, 32, "%lld:%02lld:%02lld h", (long long)(n / 3600), (long long)(n / 60 % 60),
                 (long long)(n % 60));
}

static void bytes_text(double n, char out[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int u = 0;
    for (; n >= 1024 && u < 4; u++)
        n /= 1024;
    snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", n, units[u]);
}

/* ---- key figures ---- */

/* Numbers of a JSON file as cards. */
static int json_cards(struct aster_page *p, const char *name, int n, const char *const *keys,
                      const char *const *labels, const char *format)
{
    struct aster_json *j = NULL;
    char *path = NULL, text[32];
    bool there;
    ASTER_TRY(aster_page_path(p, name, &path, &there));
    int rc = there ? aster_json_read(p->ctx, path, &j) : 0;
    for (int k = 0; k < n && rc == 0 && j; k++) {
        const struct aster_json *v = aster_json_get(j, keys[k]);
        if (!v || v->type != ASTER_JSON_NUMBER)
            continue;
        snprintf(text, sizeof text, format, v->number);
        aster_page_card(p, text, labels[k]);
    }
    aster_json_free(&j);
    aster_free(&path);
    return rc;
}

static void run_cards(struct aster_page *p, const struct aster_runfile *f)
{
    const char *items = aster_runfile_get(f, "results", "items");
    char text[32];
    if (!items)
        return;
    aster_page_card(p, items, "items");
    aster_page_card(p, aster_runfile_get(f, "results", "failed"), "failed");
    seconds_text(real(aster_runfile_get(f, "results", "wall_s")), text);
    aster_page_card(p, text, "wall time");
    snprintf(text, sizeof text, "%.0f %%", 100 * real(aster_runfile_get(f, "results", "busy")));
    aster_page_card(p, text, "workers busy");
    bytes_text(real(aster_runfile_get(f, "results", "peak_memory")), text);
    aster_page_card(p, text, "peak memory");
}

static int cards(struct aster_page *p, const struct aster_runfile *f)
{
    static const char *const residue[] = {"f1", "precision", "recall", "mcc", "auc"},
                             *const residue_labels[] = {"residue F1", "precision", "recall", "MCC",
                                                        "AUC"},
                             *const protein[] = {"strict_match_true_pct", "exact_match_true_pct",
                                                 "false_positive_pct"},
                             *const protein_labels[] = {"loops exact", "ends within 2",
                                                        "false alarms"};
    const char *best = aster_runfile_get(f, "facts", "best validation F1"),
               *speed = aster_runfile_get(f, "facts", "speed"),
               *with_loop = aster_runfile_get(f, "facts", "sequences with a loop");
    aster_str_add(&p->s, "<div class=\"cards\">\n");
    ASTER_TRY(json_cards(p, "metrics.json", 5, residue, residue_labels, "%.4f"));
    ASTER_TRY(json_cards(p, "sequence_metrics.json", 3, protein, protein_labels, "%.1f %%"));
    if (best) {
        char text[32];
        snprintf(text, sizeof text, "%.*s", (int)strcspn(best, " "), best);
        aster_page_card(p, text, "best validation F1");
    }
    if (speed) {
        char text[32];
        snprintf(text, sizeof text, "%.*s", (int)strcspn(speed, " "), speed);
        aster_page_card(p, text, "ns/day of each copy");
    }
    if (with_loop)
        aster_page_card(p, with_loop, "sequences with a loop");
    run_cards(p, f);
    aster_str_add(&p->s, "</div>\n");
    return 0;
}

static void head(struct aster_page *p, const struct aster_runfile *f)
{
    const char *name = aster_runfile_get(f, "", "pipeline"),
               *state = aster_runfile_get(f, "", "state"),
               *started = aster_runfile_get(f, "", "started");
    int64_t failed = whole(aster_runfile_get(f, "results", "failed"));
    aster_str_add(&p->s, "<h1>");
    aster_svg_escape(&p->s, name ? name : "run");
    aster_str_add(&p->s, "</h1>\n<p class=\"soft\">");
    aster_svg_escape(&p->s, started ? started : "");
    aster_str_add(&p->s, " in ");
    aster_svg_escape(&p->s, p->dir);
    aster_str_add(&p->s, "</p>\n");
    if (state && strcmp(state, "done") != 0) {
        aster_str_add(&p->s, "<p class=\"bad\">This run is not complete. Its state: ");
        aster_svg_escape(&p->s, state);
        aster_str_add(&p->s, ".</p>\n");
    }
    if (failed)
        aster_str_printf(&p->s,
                         "<p class=\"bad\">%lld item%s without a result; failed_items.tsv says why."
                         "</p>\n",
                         (long long)failed, failed > 1 ? "s are" : " is");
}

/* ---- what was run ---- */

/* A section of run.yaml as a table, folded when it is long. */
static void section(struct aster_page *p, const struct aster_runfile *f, const char *name,
                    const char *title, bool fold)
{
    bool open = false;
    for (int64_t i = 0; i < f->n; i++) {
        const struct aster_runfile_line *l = &f->lines[i];
        char text[32];
        if (strcmp(l->section, name))
            continue;
        if (!open && fold)
            aster_str_printf(&p->s, "<details><summary>%s</summary>", title);
        else if (!open)
            aster_page_heading(p, title);
        if (!open)
            aster_str_add(&p->s, "<table class=\"facts\">\n");
        open = true;
        if (!strcmp(l->key, "memory_limit")) {
            bytes_text(real(l->value), text);
            aster_page_row(p, l->key, text);
        } else {
            aster_page_row(p, l->key, l->value);
        }
    }
    if (open)
        aster_str_add(&p->s, fold ? "</table></details>\n" : "</table>\n");
}

/* "{file: "a b", bytes: 12, sha256: 34ab}", as run.yaml has inputs. */
static void input_row(struct aster_page *p, const char *text)
{
    const char *file = strchr(text, '"'), *bytes = strstr(text, ", bytes: "),
               *sum = bytes ? strstr(bytes, ", sha256") : NULL;
    char size[32], name[4096];
    const char *hash = sum ? strchr(sum, ':') : NULL;
    if (!file || !hash || bytes < file + 2)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(bytes - file - 2), file + 1);
    bytes_text(strtod(bytes + 9, NULL), size);
    aster_str_add(&p->s, "<tr>");
    aster_page_cell(p, "td", name);
    aster_page_cell(p, "td", size);
    aster_str_printf(&p->s, "<td>%.64s%s</td></tr>\n", hash + 2,
                     sum[8] == '_' ? " (of its ends)" : "");
}

static void inputs(struct aster_page *p, const struct aster_runfile *f)
{
    bool open = false;
    for (int64_t i = 0; i < f->n; i++) {
        if (strcmp(f->lines[i].section, "inputs"))
            continue;
        if (!open)
            aster_str_add(&p->s,
                          "<details><summary>Input files</summary><div class=\"scroll\"><table>\n"
                          "<tr><th>file</th><th>size</th><th>SHA-256</th></tr>\n");
        open = true;
        input_row(p, f->lines[i].value);
    }
    if (open)
        aster_str_add(&p->s, "</table></div></details>\n");
}

/* ---- figures ---- */

static int drawn(struct aster_page *p, const char *data, const char *title,
                 int (*draw)(struct aster_ctx *ctx, const char *dir, struct aster_str *page))
{
    char *path = NULL;
    bool there;
    ASTER_TRY(aster_page_path(p, data, &path, &there));
    aster_free(&path);
    if (!there)
        return 0;
    aster_page_heading(p, title);
    aster_str_add(&p->s, "<div class=\"figures\">\n");
    ASTER_TRY(draw(p->ctx, p->dir, &p->s));
    aster_str_add(&p->s, "</div>\n");
    return 0;
}

static int picture(struct aster_page *p, const char *name)
{
    char *path = NULL, *text = NULL;
    int64_t n;
    bool there;
    ASTER_TRY(aster_page_path(p, name, &path, &there));
    int rc = there ? aster_file_read(p->ctx, path, INT64_C(1) << 26, &text, &n) : 0;
    if (rc == 0 && text) {
        aster_str_add(&p->s, "<figure>");
        aster_str_addn(&p->s, text, (size_t)n);
        aster_str_add(&p->s, "</figure>\n");
    }
    aster_free(&text);
    aster_free(&path);
    return rc;
}

static int comparison(struct aster_page *p)
{
    static const char *const names[] = {"test_residue_level.svg", "test_sequence_level.svg",
                                        "val_residue_level.svg", "val_sequence_level.svg"};
    ASTER_TRY(aster_page_csv(p, "summary.csv", "Comparison, at each training's best epoch"));
    aster_str_add(&p->s, "<div class=\"figures\">\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ASTER_TRY(picture(p, names[i]));
    aster_str_add(&p->s, "</div>\n");
    ASTER_TRY(aster_page_csv(p, "test_sequence_level_evaluation.csv", "Test proteins"));
    return aster_page_csv(p, "test_residue_level_evaluation.csv", "Residues of the test proteins");
}

static int body(struct aster_page *p, const struct aster_runfile *f)
{
    head(p, f);
    ASTER_TRY(cards(p, f));
    section(p, f, "facts", "Results", false);
    ASTER_TRY(comparison(p));
    ASTER_TRY(drawn(p, "history.csv", "Training; dashed: the best epoch", aster_plots_training));
    ASTER_TRY(drawn(p, "force_errors.csv", "Forces at the best epoch", aster_plots_forces));
    ASTER_TRY(drawn(p, "confusion_matrix.csv", "Predicted against true", aster_plots_evaluation));
    ASTER_TRY(drawn(p, "thermo.csv", "The first copies, by number", aster_plots_dynamics));
    ASTER_TRY(drawn(p, "exchange.csv", "Exchanges of temperature", aster_plots_exchange));
    ASTER_TRY(aster_page_csv(p, "exchange.csv", "Pairs of temperatures"));
    ASTER_TRY(aster_page_csv(p, "copies.csv", "Copies"));
    aster_str_add(&p->s, "<div class=\"side\">\n");
    ASTER_TRY(aster_page_json(p, "metrics.json", "Residue metrics"));
    ASTER_TRY(aster_page_json(p, "sequence_metrics.json", "Protein metrics"));
    aster_str_add(&p->s, "</div>\n");
    ASTER_TRY(aster_page_loops(p));
    ASTER_TRY(aster_page_csv(p, "history.csv", "Epochs"));
    ASTER_TRY(aster_page_tsv(p, "failed_items.tsv", "Items without a result"));
    ASTER_TRY(drawn(p, "workers.csv", "Workers", aster_plots_workers));
    ASTER_TRY(aster_page_tasks(p));
    aster_page_heading(p, "What was run");
    aster_str_add(&p->s, "<p><code>");
    aster_svg_escape(&p->s, aster_runfile_get(f, "", "command_line")
                                ? aster_runfile_get(f, "", "command_line")
                                : "");
    aster_str_add(&p->s, "</code></p>\n");
    section(p, f, "parameters", "Parameters", true);
    inputs(p, f);
    section(p, f, "", "Pipeline and times", true);
    section(p, f, "machine", "Machine", true);
    section(p, f, "versions", "Versions", true);
    return 0;
}

int aster_report_write(struct aster_ctx *ctx, const char *dir, char **path_out)
{
    struct aster_page p = {.ctx = ctx, .dir = dir};
    struct aster_runfile f = {0};
    char *path = NULL;
    ASTER_TRY(aster_runfile_read(ctx, dir, &f));
    const char *name = aster_runfile_get(&f, "", "pipeline");
    aster_str_add(&p.s, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
                        "name=\"viewport\" content=\"width=device-width\"><title>");
    aster_svg_escape(&p.s, name ? name : "run");
    aster_str_add(&p.s, " in ");
    aster_svg_escape(&p.s, dir);
    aster_str_printf(&p.s, "</title><style>%s</style></head><body>\n", style);
    int rc = body(&p, &f);
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
