/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of tables of proteins, row by row, with the reports that the reference's validator writes.
 */
#include "flow/internal.h"

#include <ctype.h>
#include <string.h>

#define SHOWN 50 /* errors and warnings that are logged */

enum finding {
    MISSING_ID,
    MISSING_SEQUENCE,
    EMPTY_SEQUENCE,
    TOO_LONG,
    BAD_LETTERS,
    NO_ANNOTATION,
    NOT_NUMERIC,
    BAD_START,
    END_BEFORE_START,
    START_BEYOND,
    END_BEYOND,
    MISMATCH,
    SHORT_LOOP,
    LONG_LOOP,
    N_FINDINGS
};
static const char *const finding_names[N_FINDINGS] = {
    "missing_id",          "missing_sequence",
    "empty_sequence",      "too_long",
    "invalid_amino_acids", "missing_annotation",
    "non_numeric_indices", "invalid_start_index",
    "end_before_start",    "start_beyond_sequence",
    "end_beyond_sequence", "mismatched_rcl_seq",
    "short_rcl",           "long_rcl"};

struct validation {
    struct aster_run *run;
    const char *stage, *path;
    int64_t max_length, row, n_errors, n_warnings, n_bad_rows, count[N_FINDINGS];
    int n_seen, seen[N_FINDINGS]; /* kinds of finding in the order of their first one */
    bool row_is_bad;
    int id, sequence, start, end, loop; /* columns; the last three -1 unless all are there */
    struct aster_str errors, warnings, failed;
};

static void add(struct validation *v, bool error, enum finding what, const char *field,
                const char *message, const char *value)
{
    struct aster_str *s = error ? &v->errors : &v->warnings;
    aster_str_printf(s, "Row %5lld | Field: %-15s | %s | Value: %s\n", (long long)v->row, field,
                     message, value);
    v->n_errors += error;
    v->n_warnings += !error;
    v->row_is_bad |= error;
    if (v->count[what]++ == 0)
        v->seen[v->n_seen++] = what;
}

/* Letters outside the twenty, sorted, each once. */
static void bad_letters(const char *seq, char out[1024])
{
    bool there[256] = {false};
    size_t n = 0;
    for (const char *s = seq; *s; s++)
        if (!strchr("ACDEFGHIKLMNPQRSTVWY", *s))
            there[(unsigned char)*s] = true;
    for (int c = 1; c < 256; c++)
        if (there[c] && n + 4 < 1024)
            n += (size_t)snprintf(out + n, 1024 - n, "%s%c", n ? ", " : "", c);
    out[n] = '\0';
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

static const char *or_nan(const char *s)
{
    return *s ? s : "nan";
}

/* Bounds that are integers against the sequence and the stored loop. */
static void check_bounds(struct validation *v, const char *seq, int64_t start, int64_t end,
                         const char *loop)
{
    char value[160], message[64];
    int64_t n = (int64_t)strlen(seq), length = 0;
    bool good = start >= 1 && end >= start && start <= n && end <= n;
    if (__builtin_sub_overflow(end, start, &length) || __builtin_add_overflow(length, 1, &length))
        length = 0;
    if (start < 1) {
        snprintf(value, sizeof value, "%lld", (long long)start);
        add(v, true, BAD_START, "rcl_start", "Start index must be at least 1", value);
    }
    snprintf(value, sizeof value, "start=%lld, end=%lld", (long long)start, (long long)end);
    if (end < start)
        add(v, true, END_BEFORE_START, "rcl_end", "End index before start index", value);
    snprintf(value, sizeof value, "start=%lld, seq_len=%lld", (long long)start, (long long)n);
    if (start > n)
        add(v, true, START_BEYOND, "rcl_start", "Start index beyond sequence length", value);
    snprintf(value, sizeof value, "end=%lld, seq_len=%lld", (long long)end, (long long)n);
    if (end > n)
        add(v, true, END_BEYOND, "rcl_end", "End index beyond sequence length", value);
    if (good &&
        ((int64_t)strlen(loop) != length || strncmp(loop, seq + start - 1, (size_t)length))) {
        snprintf(value, sizeof value, "stored=%.*s, interval=%.*s", ASTER_CUT(60, loop),
                 (int)aster_min64(length, 60), seq + start - 1);
        add(v, true, MISMATCH, "rcl_seq", "Stored loop is not the interval of the sequence", value);
    }
    snprintf(value, sizeof value, "start=%lld, end=%lld", (long long)start, (long long)end);
    if (length >= 1 && length < 10) {
        snprintf(message, sizeof message, "RCL very short (%lld residues)", (long long)length);
        add(v, false, SHORT_LOOP, "rcl_length", message, value);
    } else if (length > 50) {
        snprintf(message, sizeof message, "RCL very long (%lld residues)", (long long)length);
        add(v, false, LONG_LOOP, "rcl_length", message, value);
    }
}

/* "350", and "350.0" as a column of numbers with gaps has it. */
static bool whole_number(const char *s, int64_t *out)
{
    double x;
    if (aster_parse_i64(s, out) == 0)
        return true;
    if (aster_parse_f64(s, &x) < 0 || x > 1e15 || x < -1e15 || x != (double)(int64_t)x)
        return false;
    *out = (int64_t)x;
    return true;
}

static void check_annotation(struct validation *v, const char *seq, const char *a, const char *b,
                             const char *loop)
{
    char value[256];
    int64_t start, end;
    snprintf(value, sizeof value, "start=%.*s, end=%.*s", ASTER_CUT(100, or_nan(a)),
             ASTER_CUT(100, or_nan(b)));
    if (aster_annotation_absent(a, false) || aster_annotation_absent(a, true) ||
        aster_annotation_absent(b, false) || aster_annotation_absent(b, true))
        add(v, false, NO_ANNOTATION, "rcl_start/end", "Missing or invalid RCL annotation", value);
    else if (!whole_number(a, &start) || !whole_number(b, &end))
        add(v, true, NOT_NUMERIC, "rcl_start/end", "Non-numeric RCL indices", value);
    else
        check_bounds(v, seq, start, end, loop);
}

static int check_row(struct validation *v, const char *const *f)
{
    char *copy = NULL, letters[1024];
    ASTER_TRY(aster_strdup(v->run->ctx, f[v->sequence], &copy));
    char *seq = trim(copy);
    v->row_is_bad = false;
    if (!f[v->id][strspn(f[v->id], " \t")])
        add(v, true, MISSING_ID, "id", "Missing protein id", or_nan(f[v->id]));
    if (!*f[v->sequence]) {
        add(v, true, MISSING_SEQUENCE, "Sequence", "Missing sequence", "nan");
    } else if (!*seq) {
        add(v, true, EMPTY_SEQUENCE, "Sequence", "Empty sequence", "");
    } else {
        char message[64], value[32];
        snprintf(message, sizeof message, "Sequence too long (>%lld)", (long long)v->max_length);
        snprintf(value, sizeof value, "%zu", strlen(seq));
        if ((int64_t)strlen(seq) > v->max_length)
            add(v, false, TOO_LONG, "Sequence", message, value);
        bad_letters(seq, letters);
        if (*letters)
            add(v, true, BAD_LETTERS, "Sequence", "Invalid amino acids", letters);
        if (v->start >= 0)
            check_annotation(v, seq, f[v->start], f[v->end], f[v->loop]);
    }
    if (v->row_is_bad) {
        v->n_bad_rows++;
        aster_ledger_line(&v->failed, f[v->id], v->stage,
                          "the validation report has errors for this row");
    }
    aster_free(&copy);
    return 0;
}

static int check_table(struct validation *v)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    ASTER_TRY(aster_csv_open(v->run->ctx, v->path, &c));
    v->id = aster_csv_find(c, "id");
    v->sequence = aster_csv_find(c, "Sequence");
    v->start = aster_csv_find(c, "rcl_start");
    v->end = aster_csv_find(c, "rcl_end");
    v->loop = aster_csv_find(c, "rcl_seq");
    if (v->start < 0 || v->end < 0 || v->loop < 0)
        v->start = -1;
    int rc = 0;
    if (v->id < 0 || v->sequence < 0)
        rc = aster_fail(v->run->ctx, ASTER_EFORMAT,
                        "%s:1: has no column '%s'; columns id and Sequence are needed", v->path,
                        v->id < 0 ? "id" : "Sequence");
    for (v->row = 2; rc == 0 && (rc = aster_csv_next(c, &f)) == 1; v->row++)
        rc = check_row(v, f);
    aster_csv_close(&c);
    return rc;
}

static void put_statistics(const struct validation *v, struct aster_str *s)
{
    aster_str_add(s, "\nSTATISTICS:\n");
    for (int i = 0; i < v->n_seen; i++)
        aster_str_printf(s, "  %s: %lld\n", finding_names[v->seen[i]],
                         (long long)v->count[v->seen[i]]);
    for (int k = 0; k < N_FINDINGS; k++)
        if (v->count[k] == 0)
            aster_str_printf(s, "  %s: 0\n", finding_names[k]);
}

static int write_report(struct validation *v)
{
    struct aster_str s = {0}, name = {0};
    const char *base = aster_path_base(v->path), *dot = strrchr(base, '.');
    aster_str_printf(&name, "%.*s_validation_report.txt",
                     dot && dot > base ? (int)(dot - base) : (int)strlen(base), base);
    aster_str_printf(
        &s, "Validation Report for: %s\n%.80s\n\nERRORS:\n", v->path,
        "================================================================================");
    aster_str_add(&s, aster_str_get(&v->errors));
    aster_str_add(&s, "\nWARNINGS:\n");
    aster_str_add(&s, aster_str_get(&v->warnings));
    put_statistics(v, &s);
    int rc = aster_str_ok(v->run->ctx, &name);
    if (rc == 0)
        rc = aster_run_write(v->run, name.s, &s);
    aster_str_free(&s);
    aster_str_free(&name);
    return rc;
}

static void log_first(struct validation *v, enum aster_level level, const struct aster_str *lines)
{
    const char *s = aster_str_get(lines);
    for (int i = 0; i < SHOWN && *s; i++) {
        int n = (int)strcspn(s, "\n");
        aster_log(v->run->ctx, level, "%.*s", n, s);
        s += n + (s[n] == '\n');
    }
}

static int validate(struct aster_run *run, const char *stage, const char *path, int64_t max_length)
{
    struct validation v = {.run = run, .stage = stage, .path = path, .max_length = max_length};
    int rc = check_table(&v);
    if (rc == 0) {
        log_first(&v, ASTER_LOG_ERROR, &v.errors);
        log_first(&v, ASTER_LOG_WARN, &v.warnings);
        rc = write_report(&v);
    }
    if (rc == 0)
        rc = aster_ledger_add(run, &v.failed);
    if (rc == 0)
        rc = aster_run_fact(run, aster_path_base(path),
                            "%lld rows, %lld errors in %lld rows, %lld warnings",
                            (long long)(v.row - 2), (long long)v.n_errors, (long long)v.n_bad_rows,
                            (long long)v.n_warnings);
    run->items += v.row - 2;
    run->failed += v.n_bad_rows;
    aster_str_free(&v.errors);
    aster_str_free(&v.warnings);
    aster_str_free(&v.failed);
    return rc;
}

int aster_stage_validate_table(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_opt_value *files = aster_run_value(run, stage, "files");
    const char *id = run->spec->stages[stage].id;
    ASTER_TRY(aster_ledger_reset(run, id));
    if (files->n == 0)
        return aster_fail(ctx, ASTER_EPARAM, "stage %s: there is no table to check", id);
    for (int64_t i = 0; i < files->n; i++) {
        const struct aster_input *in = aster_run_input(run, files->items[i]);
        ASTER_TRY(validate(run, id, in ? in->path : files->items[i],
                           aster_run_int(run, stage, "max_length")));
    }
    return 0;
}
