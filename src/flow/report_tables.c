/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of the report, from the JSON, CSV and tab-separated files of a run. */
#include "flow/report.h"

#include "flow/svg.h"
#include "io/io.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define MAX_COLUMNS 64
/* of a list of items; tables of epochs and of models have four times as many */
#define MAX_ROWS 50

void aster_page_heading(struct aster_page *p, const char *text)
{
    aster_str_add(&p->s, "<h2>");
    aster_svg_escape(&p->s, text);
    aster_str_add(&p->s, "</h2>\n");
}

/* The text as it is shown; is_number: it is one. */
static const char *shown(const char *text, char out[32], bool *is_number)
{
    double x;
    *is_number = (isdigit((unsigned char)*text) || *text == '-') && aster_parse_f64(text, &x) == 0;
    if (!*is_number || strlen(text) <= 7 || !strpbrk(text, ".e"))
        return text;
    snprintf(out, 32, fabs(x) >= 1e-3 && fabs(x) < 1e4 ? "%.4f" : "%.4g", x);
    return out;
}

void aster_page_cell(struct aster_page *p, const char *tag, const char *text)
{
    char number[32];
    bool is_number;
    const char *t = shown(text, number, &is_number);
    aster_str_printf(&p->s, is_number ? "<%s class=\"n\">" : "<%s>", tag);
    aster_svg_escape(&p->s, t);
    aster_str_printf(&p->s, "</%s>", tag);
}

void aster_page_row(struct aster_page *p, const char *key, const char *value)
{
    aster_str_add(&p->s, "<tr><th>");
    for (; *key; key++) {
        const char c[2] = {*key == '_' ? ' ' : *key, '\0'};
        aster_svg_escape(&p->s, c);
    }
    aster_str_add(&p->s, "</th>");
    aster_page_cell(p, "td", value);
    aster_str_add(&p->s, "</tr>\n");
}

void aster_page_card(struct aster_page *p, const char *value, const char *label)
{
    aster_str_add(&p->s, "<div><b>");
    aster_svg_escape(&p->s, value);
    aster_str_add(&p->s, "</b><span>");
    aster_svg_escape(&p->s, label);
    aster_str_add(&p->s, "</span></div>\n");
}

int aster_page_path(struct aster_page *p, const char *name, char **out, bool *there)
{
    ASTER_TRY(aster_path_join(p->ctx, p->dir, name, out));
    *there = aster_file_exists(*out);
    return 0;
}

/* A flat JSON object. */
int aster_page_json(struct aster_page *p, const char *name, const char *title)
{
    struct aster_json *j = NULL;
    struct aster_str value = {0};
    char *path = NULL;
    bool there;
    ASTER_TRY(aster_page_path(p, name, &path, &there));
    int rc = there ? aster_json_read(p->ctx, path, &j) : 0;
    if (rc == 0 && j) {
        aster_str_add(&p->s, "<div>");
        aster_page_heading(p, title);
        aster_str_add(&p->s, "<table>\n");
        for (const struct aster_json *c = j->child; c; c = c->next) {
            aster_str_free(&value);
            if (c->type == ASTER_JSON_NUMBER && c->is_int)
                aster_str_printf(&value, "%lld", (long long)c->integer);
            else if (c->type == ASTER_JSON_NUMBER)
                aster_str_printf(&value, "%.10g", c->number);
            else
                aster_str_add(&value, c->type == ASTER_JSON_STRING ? c->string : "");
            aster_page_row(p, c->key, aster_str_get(&value));
        }
        aster_str_add(&p->s, "</table></div>\n");
    }
    aster_str_free(&value);
    aster_json_free(&j);
    aster_free(&path);
    return rc;
}

/* What a row is about stands first, wherever it is in the file. Returns how many columns are shown.
 */
static int column_order(const struct aster_csv *c, int order[MAX_COLUMNS])
{
    int n = 0, all = aster_csv_n_columns(c);
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < all && n < MAX_COLUMNS; k++) {
            const char *name = aster_csv_column_name(c, k);
            if ((!strcasecmp(name, "encoding") || !strcasecmp(name, "model")) == (pass == 0))
                order[n++] = k;
        }
    return n;
}

/* A heading stands over numbers as they do: the first row says which columns have them. */
static void csv_head(struct aster_page *p, const struct aster_csv *c, int n, const int *order,
                     const char *const *first)
{
    char number[32];
    aster_str_add(&p->s, "<div class=\"scroll\"><table class=\"tight\">\n<tr>");
    for (int k = 0; k < n; k++) {
        bool is_number = false;
        if (first)
            shown(first[order[k]], number, &is_number);
        aster_str_add(&p->s, is_number ? "<th class=\"n\">" : "<th>");
        aster_svg_escape(&p->s, aster_csv_column_name(c, order[k]));
        aster_str_add(&p->s, "</th>");
    }
    aster_str_add(&p->s, "</tr>\n");
}

int aster_page_csv(struct aster_page *p, const char *name, const char *title)
{
    struct aster_csv *c = NULL;
    const char *const *f = NULL;
    char *path = NULL;
    int64_t n = 0;
    int order[MAX_COLUMNS];
    bool there;
    ASTER_TRY(aster_page_path(p, name, &path, &there));
    int rc = there ? aster_csv_open(p->ctx, path, &c) : 0;
    if (rc == 0 && c) {
        aster_page_heading(p, title);
        rc = aster_csv_next(c, &f);
        int n_columns = column_order(c, order);
        csv_head(p, c, n_columns, order, rc == 1 ? f : NULL);
        for (; rc == 1; rc = aster_csv_next(c, &f)) {
            if (n++ >= 4 * MAX_ROWS)
                continue;
            aster_str_add(&p->s, "<tr>");
            for (int k = 0; k < n_columns; k++)
                aster_page_cell(p, "td", f[order[k]]);
            aster_str_add(&p->s, "</tr>\n");
        }
        aster_str_add(&p->s, "</table></div>\n");
        if (n > 4 * MAX_ROWS)
            aster_str_printf(&p->s, "<p>The first %d of %lld rows of %s.</p>\n", 4 * MAX_ROWS,
                             (long long)n, name);
    }
    aster_csv_close(&c);
    aster_free(&path);
    return rc < 0 ? rc : 0;
}

/* The first lines of a tab-separated file and how many there are. */
int aster_page_tsv(struct aster_page *p, const char *name, const char *title)
{
    struct aster_lines *l = NULL;
    char *path = NULL, *text;
    size_t len;
    int64_t n = 0;
    bool there;
    ASTER_TRY(aster_page_path(p, name, &path, &there));
    int rc = there ? aster_lines_open(p->ctx, path, &l) : 0;
    while (rc == 0 && l && (rc = aster_lines_next(l, &text, &len)) == 1) {
        rc = 0;
        if (n == 0) {
            aster_page_heading(p, title);
            aster_str_add(&p->s, "<div class=\"scroll\"><table>\n");
        }
        if (n++ > MAX_ROWS)
            continue;
        aster_str_add(&p->s, "<tr>");
        for (char *tab; (tab = strchr(text, '\t')); text = tab + 1) {
            *tab = '\0';
            aster_page_cell(p, n == 1 ? "th" : "td", text);
        }
        aster_page_cell(p, n == 1 ? "th" : "td", text);
        aster_str_add(&p->s, "</tr>\n");
    }
    if (n)
        aster_str_printf(&p->s, "</table></div>\n<p>%lld in all%s.</p>\n", (long long)(n - 1),
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

int aster_page_tasks(struct aster_page *p)
{
    struct codelet_time t[64];
    struct aster_lines *l = NULL;
    char *path = NULL, *text, name[64];
    size_t len;
    double start, end;
    int n = 0, k, worker;
    bool there;
    ASTER_TRY(aster_page_path(p, "trace.tsv", &path, &there));
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
        t[k].longest = fmax(t[k].longest, end - start);
    }
    if (n)
        aster_str_add(&p->s,
                      "<table class=\"tight\">\n<tr><th>codelet</th><th class=\"n\">tasks</th>"
                      "<th class=\"n\">seconds</th><th class=\"n\">mean ms</th><th "
                      "class=\"n\">longest ms</th></tr>\n");
    for (k = 0; k < n; k++)
        aster_str_printf(&p->s,
                         "<tr><td>%s</td><td class=\"n\">%lld</td><td class=\"n\">%.3f</td>"
                         "<td class=\"n\">%.3f</td><td class=\"n\">%.3f</td></tr>\n",
                         t[k].name, (long long)t[k].n, t[k].seconds,
                         1e3 * t[k].seconds / (double)t[k].n, 1e3 * t[k].longest);
    if (n)
        aster_str_add(&p->s, "</table>\n");
    aster_lines_close(&l);
    aster_free(&path);
    return rc < 0 ? rc : 0;
}
