/* SPDX-License-Identifier: BSD-3-Clause */
/* CSV tables as RFC 4180 has them, with a header line. */
#include "io/internal.h"

#include <stdlib.h>
#include <string.h>

#define ROW_LIMIT (1LL << 30)

struct aster_csv {
    struct aster_ctx *ctx;
    struct aster_lines *lines;
    char *text;     /* the fields of a row, one after the other, 0-terminated */
    int64_t *start; /* of each field in text */
    const char **field;
    char **column;
    int64_t n_columns, cap_start, cap_field, cap_text, line;
};

static int check_utf8(struct aster_csv *c, const char *text)
{
    for (const char *s = text, *end = text + strlen(text); s < end;) {
        int n = aster_utf8_length(s, end);
        if (!n)
            return aster_fail(c->ctx, ASTER_EFORMAT,
                              "%s:%lld: byte 0x%02x at column %ld is not UTF-8",
                              aster_lines_path(c->lines), (long long)aster_lines_number(c->lines),
                              (unsigned char)*s, (long)(s - text) + 1);
        s += n;
    }
    return 0;
}

struct row {
    int64_t n_text, n_fields;
    bool quoted;
};

static int put(struct aster_csv *c, struct row *r, const char *bytes, int64_t n)
{
    if (r->n_text + n > ROW_LIMIT)
        return aster_fail(
            c->ctx, ASTER_ELIMIT,
            "%s:%lld: the row that starts here is longer than 1 GiB; is a quote left open?",
            aster_lines_path(c->lines), (long long)c->line);
    ASTER_TRY(aster_grow(c->ctx, r->n_text + n + 1, 1, &c->cap_text, &c->text));
    memcpy(c->text + r->n_text, bytes, (size_t)n);
    r->n_text += n;
    return 0;
}

static int open_field(struct aster_csv *c, struct row *r)
{
    if (r->n_fields >= 100000)
        return aster_fail(c->ctx, ASTER_ELIMIT, "%s:%lld: more than 100000 fields in a row",
                          aster_lines_path(c->lines), (long long)c->line);
    ASTER_TRY(aster_grow(c->ctx, r->n_fields + 1, sizeof *c->start, &c->cap_start, &c->start));
    c->start[r->n_fields++] = r->n_text;
    return 0;
}

/* Adds what a line holds to the row; r->quoted tells whether a quote is still open at its end. */
static int parse_line(struct aster_csv *c, struct row *r, const char *s)
{
    bool field_start = !r->quoted;
    if (field_start)
        ASTER_TRY(open_field(c, r));
    for (;; s++) {
        if (r->quoted) {
            const char *q = strchr(s, '"');
            if (!q)
                return put(c, r, s, (int64_t)strlen(s));
            ASTER_TRY(put(c, r, s, q - s));
            s = q;
            if (q[1] == '"') {
                ASTER_TRY(put(c, r, "\"", 1));
                s++;
                continue;
            }
            r->quoted = false;
            if (q[1] && q[1] != ',')
                return aster_fail(c->ctx, ASTER_EFORMAT,
                                  "%s:%lld: '%c' after a closing quote; a comma or the end of the "
                                  "line is expected",
                                  aster_lines_path(c->lines),
                                  (long long)aster_lines_number(c->lines), q[1]);
        } else if (field_start && *s == '"') {
            r->quoted = true;
            field_start = false;
        } else if (*s == ',') {
            ASTER_TRY(put(c, r, "", 1));
            ASTER_TRY(open_field(c, r));
            field_start = true;
        } else if (!*s) {
            return 0;
        } else {
            size_t n = strcspn(s, ",");
            const char *q = memchr(s, '"', n);
            if (q)
                return aster_fail(c->ctx, ASTER_EFORMAT,
                                  "%s:%lld: a quote inside a field that does not start with one",
                                  aster_lines_path(c->lines),
                                  (long long)aster_lines_number(c->lines));
            ASTER_TRY(put(c, r, s, (int64_t)n));
            s += n - 1;
            field_start = false;
        }
    }
}

/* 1: a row in c->field, n_fields of it; 0 at the end. Lines without any text are skipped. */
static int next_row(struct aster_csv *c, int64_t *n_fields)
{
    struct row r = {0};
    char *text;
    size_t n;
    int rc;
    do {
        rc = aster_lines_next(c->lines, &text, &n);
        if (rc <= 0)
            return rc;
        if (aster_lines_number(c->lines) == 1 && n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
            text += 3;
            n -= 3;
        }
    } while (n == 0);
    c->line = aster_lines_number(c->lines);
    for (;;) {
        ASTER_TRY(check_utf8(c, text));
        ASTER_TRY(parse_line(c, &r, text));
        if (!r.quoted)
            break;
        ASTER_TRY(put(c, &r, "\n", 1));
        rc = aster_lines_next(c->lines, &text, &n);
        if (rc < 0)
            return rc;
        if (rc == 0)
            return aster_fail(c->ctx, ASTER_EFORMAT,
                              "%s:%lld: a quote is opened here and never closed",
                              aster_lines_path(c->lines), (long long)c->line);
    }
    ASTER_TRY(put(c, &r, "", 1));
    ASTER_TRY(aster_grow(c->ctx, r.n_fields, sizeof *c->field, &c->cap_field, &c->field));
    for (int64_t k = 0; k < r.n_fields; k++)
        c->field[k] = c->text + c->start[k];
    *n_fields = r.n_fields;
    return 1;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* c->field still holds the header's fields; their order does not matter any more. */
static int check_columns(struct aster_csv *c)
{
    qsort(c->field, (size_t)c->n_columns, sizeof *c->field, compare_texts);
    for (int64_t k = 1; k < c->n_columns; k++)
        if (*c->field[k] && !strcmp(c->field[k - 1], c->field[k]))
            return aster_fail(c->ctx, ASTER_EFORMAT, "%s:%lld: two columns are named '%.*s'",
                              aster_lines_path(c->lines), (long long)c->line,
                              ASTER_CUT(200, c->field[k]));
    return 0;
}

int aster_csv_open(struct aster_ctx *ctx, const char *path, struct aster_csv **out)
{
    struct aster_csv *c = NULL;
    int64_t n = 0;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *c, &c));
    c->ctx = ctx;
    ASTER_GOTO(aster_lines_open(ctx, path, &c->lines), fail);
    ASTER_GOTO(next_row(c, &n), fail);
    if (rc == 0) {
        rc = aster_fail(ctx, ASTER_EFORMAT,
                        "%s: is empty; a header line with column names is expected", path);
        goto fail;
    }
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *c->column, &c->column), fail);
    for (; c->n_columns < n; c->n_columns++)
        ASTER_GOTO(aster_strdup(ctx, c->field[c->n_columns], &c->column[c->n_columns]), fail);
    ASTER_GOTO(check_columns(c), fail);
    *out = c;
    return 0;
fail:
    aster_csv_close(&c);
    return rc;
}

int aster_csv_n_columns(const struct aster_csv *c)
{
    return (int)c->n_columns;
}

const char *aster_csv_column_name(const struct aster_csv *c, int i)
{
    return c->column[i];
}

int aster_csv_find(const struct aster_csv *c, const char *name)
{
    for (int64_t k = 0; k < c->n_columns; k++)
        if (!strcmp(c->column[k], name))
            return (int)k;
    return -1;
}

int aster_csv_next(struct aster_csv *c, const char *const **fields)
{
    int64_t n = 0;
    int rc = next_row(c, &n);
    if (rc <= 0)
        return rc;
    if (n != c->n_columns)
        return aster_fail(c->ctx, ASTER_EFORMAT, "%s:%lld: %lld fields, the header has %lld",
                          aster_lines_path(c->lines), (long long)c->line, (long long)n,
                          (long long)c->n_columns);
    *fields = c->field;
    return 1;
}

int64_t aster_csv_line(const struct aster_csv *c)
{
    return c->line;
}

void aster_csv_close(struct aster_csv **cp)
{
    struct aster_csv *c = *cp;
    if (!c)
        return;
    for (int64_t k = 0; c->column && k < c->n_columns; k++)
        aster_free(&c->column[k]);
    aster_free(&c->column);
    aster_lines_close(&c->lines);
    aster_free(&c->text);
    aster_free(&c->start);
    aster_free(&c->field);
    aster_free(cp);
}

void aster_csv_field(struct aster_str *out, const char *text, bool first)
{
    if (!first)
        aster_str_add(out, ",");
    if (!strpbrk(text, ",\"\n\r")) {
        aster_str_add(out, text);
        return;
    }
    aster_str_add(out, "\"");
    for (const char *s = text; *s; s++)
        aster_str_addn(out, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    aster_str_add(out, "\"");
}
