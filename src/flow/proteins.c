/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of proteins: CSV by the reference's rules of cleaning, or FASTA with loops in its headers.
 */
#include "flow/internal.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int aster_proteins_add(struct aster_ctx *ctx, struct aster_proteins *t, const char *id,
                       const char *sequence, int64_t length, int64_t begin, int64_t end)
{
    ASTER_TRY(aster_grow(ctx, t->n + 1, sizeof *t->p, &t->cap, &t->p));
    struct aster_protein *p = &t->p[t->n++];
    *p = (struct aster_protein){.length = length, .begin = begin, .end = end, .key = -1};
    t->n_loops += begin >= 0;
    ASTER_TRY(aster_strdup(ctx, id, &p->id));
    return aster_strndup(ctx, sequence, (size_t)length, &p->sequence);
}

void aster_proteins_free(struct aster_proteins **tp)
{
    struct aster_proteins *t = *tp;
    if (!t)
        return;
    for (int64_t i = 0; i < t->n; i++) {
        aster_free(&t->p[i].id);
        aster_free(&t->p[i].sequence);
    }
    aster_free(&t->p);
    aster_free(&t->file);
    aster_free(tp);
}

void aster_upper_case(char *s)
{
    for (; *s; s++)
        if (*s >= 'a' && *s <= 'z')
            *s = (char)(*s - 'a' + 'A');
}

/* What the reference's table reader takes for a missing value. */
static bool is_gap(const char *s)
{
    static const char *const gaps[] = {"",         "#N/A", "#N/A N/A", "#NA",    "-1.#IND",
                                       "-1.#QNAN", "-NaN", "-nan",     "1.#IND", "1.#QNAN",
                                       "<NA>",     "N/A",  "NA",       "NULL",   "NaN",
                                       "None",     "n/a",  "nan",      "null"};
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++)
        if (!strcmp(s, gaps[i]))
            return true;
    return false;
}

bool aster_annotation_absent(const char *text, bool is_end)
{
    static const char *const marks[] = {"no result", "#value!", "nan"};
    char low[16];
    if (is_gap(text))
        return true;
    if (strlen(text) >= sizeof low)
        return false;
    for (size_t i = 0; i <= strlen(text); i++)
        low[i] = (char)tolower((unsigned char)text[i]);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (!strcmp(low, marks[i]))
            return true;
    return !strcmp(low, is_end ? "no end" : "no start");
}

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = '\0';
    return s;
}

struct reading {
    struct aster_ctx *ctx;
    const char *path;
    int64_t max_length;
    bool upper_case;
    struct aster_str *rejected;
    struct aster_proteins *t;
    int id, sequence, start, end;
    int64_t *line, cap_line; /* of each protein that is kept */
    bool real[2]; /* a column of numbers with gaps: read as floating point and truncated */
};

static void reject(struct reading *r, int64_t line, const char *id, int64_t *count,
                   const char *reason)
{
    (*count)++;
    if (!r->rejected)
        return;
    aster_str_printf(r->rejected, "%s\t%lld\t", r->path, (long long)line);
    aster_tsv_field(r->rejected, id);
    aster_str_printf(r->rejected, "\t%s\n", reason);
}

static int keep(struct reading *r, const char *id, const char *sequence, int64_t length,
                int64_t begin, int64_t end, int64_t line)
{
    ASTER_TRY(aster_grow(r->ctx, r->t->n + 1, sizeof *r->line, &r->cap_line, &r->line));
    r->line[r->t->n] = line;
    return aster_proteins_add(r->ctx, r->t, id, sequence, length, begin, end);
}

static bool parse_bound(const char *text, bool real, int64_t *out)
{
    char buf[64];
    double x;
    if (strlen(text) >= sizeof buf)
        return false;
    snprintf(buf, sizeof buf, "%s", text);
    const char *s = trim(buf);
    if (aster_parse_i64(*s == '+' ? s + 1 : s, out) == 0)
        return true;
    if (!real || aster_parse_f64(s, &x) < 0 || fabs(x) > 1e15)
        return false;
    *out = (int64_t)x;
    return true;
}

/* Whether every value of the two bound columns is a number or a gap: such a column allows "350.0",
 * a column of text does not. */
static int look_at_columns(struct reading *r)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    double x;
    ASTER_TRY(aster_csv_open(r->ctx, r->path, &c));
    r->id = aster_csv_find(c, "id");
    r->sequence = aster_csv_find(c, "Sequence");
    r->start = aster_csv_find(c, "rcl_start");
    r->end = aster_csv_find(c, "rcl_end");
    r->real[0] = r->real[1] = true;
    int rc = 0;
    if (r->id < 0 || r->sequence < 0)
        rc = aster_fail(r->ctx, ASTER_EFORMAT,
                        "%s:1: has no column '%s'; columns id and Sequence are needed", r->path,
                        r->id < 0 ? "id" : "Sequence");
    if ((r->start < 0) != (r->end < 0))
        aster_log(r->ctx, ASTER_LOG_WARN,
                  "%s:1: has a column '%s' and none named '%s'; without both, none of its proteins "
                  "has a loop",
                  r->path, r->start < 0 ? "rcl_end" : "rcl_start",
                  r->start < 0 ? "rcl_start" : "rcl_end");
    if (r->start < 0 || r->end < 0)
        r->start = r->end = -1;
    while (rc == 0 && r->start >= 0 && (rc = aster_csv_next(c, &f)) == 1) {
        rc = 0;
        for (int k = 0; k < 2; k++) {
            const char *v = f[k ? r->end : r->start];
            if (!is_gap(v) && aster_parse_f64(v, &x) < 0)
                r->real[k] = false;
        }
    }
    aster_csv_close(&c);
    return rc;
}

static int read_row(struct reading *r, const struct aster_csv *c, const char *const *f)
{
    struct aster_proteins *t = r->t;
    int64_t line = aster_csv_line(c), start = 0, end = 0, length = (int64_t)strlen(f[r->sequence]);
    char *id = NULL, *copy = NULL;
    t->counts.rows++;
    ASTER_TRY(aster_strdup(r->ctx, f[r->id], &id));
    int rc = aster_strdup(r->ctx, f[r->sequence], &copy);
    const char *name = trim(id);
    if (rc == 0) {
        char *seq = trim(copy);
        int64_t n = (int64_t)strlen(seq);
        const char *a = r->start >= 0 ? f[r->start] : "", *b = r->start >= 0 ? f[r->end] : "";
        if (r->upper_case)
            aster_upper_case(seq);
        if (n == 0)
            reject(r, line, name, &t->counts.empty, "empty sequence");
        else if (length > r->max_length)
            reject(r, line, name, &t->counts.too_long, "longer than max_length");
        else if (r->start < 0)
            rc = keep(r, name, seq, n, -1, -1, line);
        else if (aster_annotation_absent(a, false) || aster_annotation_absent(b, true))
            reject(r, line, name, &t->counts.missing, "no loop bounds");
        else if (!parse_bound(a, r->real[0], &start) || !parse_bound(b, r->real[1], &end))
            reject(r, line, name, &t->counts.not_numeric, "loop bounds are no integers");
        else if (start < 1 || end < start || end > n)
            reject(r, line, name, &t->counts.outside, "loop bounds outside the sequence");
        else
            rc = keep(r, name, seq, n, start - 1, end, line);
    }
    aster_free(&id);
    aster_free(&copy);
    return rc;
}

static int read_csv(struct reading *r)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    ASTER_TRY(look_at_columns(r));
    ASTER_TRY(aster_csv_open(r->ctx, r->path, &c));
    int rc;
    while ((rc = aster_csv_next(c, &f)) == 1)
        ASTER_GOTO(read_row(r, c, f), done);
done:
    aster_csv_close(&c);
    return rc;
}

/* "... rcl:350-370 ...": the loop of an annotated header; none if it does not hold two integers. */
static void header_loop(const char *header, int64_t length, int64_t *begin, int64_t *end)
{
    const char *s = strstr(header, "rcl:");
    char buf[64];
    int64_t a, b;
    *begin = *end = -1;
    if (!s)
        return;
    s += 4;
    size_t n = strcspn(s, " \t\v\f\r\n");
    if (n >= sizeof buf)
        return;
    memcpy(buf, s, n);
    buf[n] = '\0';
    char *dash = strchr(buf, '-');
    if (!dash)
        return;
    *dash = '\0';
    if (aster_parse_i64(buf, &a) < 0 || aster_parse_i64(dash + 1, &b) < 0)
        return;
    a = aster_max64(a - 1, 0);
    b = aster_min64(b, length);
    if (a < b) {
        *begin = a;
        *end = b;
    }
}

void aster_fasta_warn(struct aster_ctx *ctx, const char *path, const struct aster_fasta *f)
{
    const struct aster_fasta_odd *odd = aster_fasta_odd(f);
    if (odd->n)
        aster_log(ctx, ASTER_LOG_WARN,
                  "%s:%lld: '%c' at column %lld of a sequence is no residue letter%s; taken as an "
                  "unknown residue",
                  strcmp(path, "-") ? path : "standard input", (long long)odd->line, odd->first,
                  (long long)odd->column, odd->n > 1 ? ", and there are more such" : "");
}

static int read_fasta(struct reading *r)
{
    struct aster_fasta *f = NULL;
    struct aster_fasta_record rec;
    struct aster_proteins *t = r->t;
    int64_t begin, end;
    ASTER_TRY(aster_fasta_open(r->ctx, r->path, &f));
    int rc;
    while ((rc = aster_fasta_next(f, &rec)) == 1) {
        t->counts.rows++;
        if (rec.length == 0) {
            reject(r, rec.line, rec.id, &t->counts.empty, "empty sequence");
        } else if (rec.length > r->max_length) {
            reject(r, rec.line, rec.id, &t->counts.too_long, "longer than max_length");
        } else {
            header_loop(rec.header, rec.length, &begin, &end);
            ASTER_GOTO(keep(r, rec.id, rec.seq, rec.length, begin, end, rec.line), done);
            if (r->upper_case)
                aster_upper_case(t->p[t->n - 1].sequence);
        }
    }
    aster_fasta_warn(r->ctx, r->path, f);
done:
    aster_fasta_close(&f);
    return rc;
}

/* A first character '>' makes a FASTA file. */
static int looks_like_fasta(struct aster_ctx *ctx, const char *path, bool *fasta)
{
    struct aster_lines *l = NULL;
    char *text;
    size_t n;
    *fasta = false;
    ASTER_TRY(aster_lines_open(ctx, path, &l));
    int rc;
    while ((rc = aster_lines_next(l, &text, &n)) == 1 && !*trim(text))
        ;
    if (rc == 1)
        *fasta = *trim(text) == '>';
    aster_lines_close(&l);
    return rc < 0 ? rc : 0;
}

#define REPEATS_SHOWN 5

static int compare_ids(const void *a, const void *b, void *proteins)
{
    const struct aster_protein *p = proteins;
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    int order = strcmp(p[i].id, p[j].id);
    return order ? order : i < j ? -1 : i > j;
}

/* An id that comes again is kept, as the reference keeps it, but a user should know. */
static int warn_of_repeats(struct reading *r)
{
    const struct aster_proteins *t = r->t;
    int64_t *order = NULL, *first = NULL, n = 0;
    int rc = aster_alloc(r->ctx, t->n, sizeof *order, &order);
    if (rc == 0)
        rc = aster_alloc(r->ctx, t->n, sizeof *first, &first);
    for (int64_t i = 0; rc == 0 && i < t->n; i++)
        first[i] = order[i] = i;
    if (rc == 0 && t->n)
        qsort_r(order, (size_t)t->n, sizeof *order, compare_ids, t->p);
    for (int64_t k = 1; rc == 0 && k < t->n; k++)
        if (*t->p[order[k]].id && !strcmp(t->p[order[k]].id, t->p[order[k - 1]].id))
            first[order[k]] = first[order[k - 1]];
    for (int64_t i = 0; rc == 0 && i < t->n; i++)
        if (first[i] != i && n++ < REPEATS_SHOWN)
            aster_log(r->ctx, ASTER_LOG_WARN,
                      "%s:%lld: id '%.*s' is on line %lld already; both are kept", r->path,
                      (long long)r->line[i], ASTER_CUT(100, t->p[i].id),
                      (long long)r->line[first[i]]);
    if (n > REPEATS_SHOWN)
        aster_log(r->ctx, ASTER_LOG_WARN, "%s: %lld ids come again", r->path, (long long)n);
    aster_free(&order);
    aster_free(&first);
    return rc;
}

int aster_proteins_read(struct aster_ctx *ctx, const char *path, const char *format,
                        int64_t max_length, bool upper_case, struct aster_str *rejected,
                        struct aster_proteins **out)
{
    struct reading r = {.ctx = ctx,
                        .path = path,
                        .max_length = max_length,
                        .upper_case = upper_case,
                        .rejected = rejected};
    bool fasta = !strcmp(format, "fasta");
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    r.t = *out;
    r.t->max_length = max_length;
    ASTER_GOTO(aster_strdup(ctx, path, &r.t->file), done);
    if (!strcmp(format, "auto"))
        ASTER_GOTO(looks_like_fasta(ctx, path, &fasta), done);
    rc = fasta ? read_fasta(&r) : read_csv(&r);
    r.t->counts.kept = r.t->n;
    if (rc == 0 && r.t->n == 0)
        rc = aster_fail(ctx, ASTER_EFORMAT,
                        "%s: holds no usable row: %lld rows, %lld empty, %lld longer than %lld, "
                        "%lld without loop bounds, %lld with bounds that do not fit",
                        path, (long long)r.t->counts.rows, (long long)r.t->counts.empty,
                        (long long)r.t->counts.too_long, (long long)max_length,
                        (long long)r.t->counts.missing,
                        (long long)(r.t->counts.not_numeric + r.t->counts.outside));
    if (rc == 0)
        rc = warn_of_repeats(&r);
done:
    aster_free(&r.line);
    if (rc < 0)
        aster_proteins_free(out);
    return rc;
}
