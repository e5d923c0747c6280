/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows from the runs of a scaling study. */
#include "flow/study.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

double aster_round_half_up(double x, int digits)
{
    double unit = pow(10, digits);
    return floor(x * unit + 0.5) / unit;
}

/* ---- one run ---- */

static const struct {
    const char *key;
    size_t at;
} numbers[] = {
    {"samples_per_sec", offsetof(struct aster_study_run, throughput)},
    {"step_ms", offsetof(struct aster_study_run, step_ms)},
    {"program_ms", offsetof(struct aster_study_run, program_ms)},
    {"optimizer_ms", offsetof(struct aster_study_run, optimizer_ms)},
    {"comm_ms", offsetof(struct aster_study_run, comm_ms)},
    {"data_ms", offsetof(struct aster_study_run, data_ms)},
    {"peak_mb", offsetof(struct aster_study_run, peak_mb)},
    {"loss", offsetof(struct aster_study_run, loss)},
    {"busy", offsetof(struct aster_study_run, busy)},
    {"transfer", offsetof(struct aster_study_run, transfer)},
    {"modelled", offsetof(struct aster_study_run, modelled)},
};

static void take_line(const char *line, size_t n, struct aster_study_run *r)
{
    char text[128], *value;
    double x;
    int64_t whole;
    snprintf(text, sizeof text, "%.*s", (int)(n < sizeof text ? n : sizeof text - 1), line);
    value = strchr(text, '\t');
    if (!value)
        return;
    *value++ = '\0';
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (!strcmp(text, numbers[k].key) && aster_parse_f64(value, &x) == 0)
            *(double *)((char *)r + numbers[k].at) = x;
    if (!strcmp(text, "batch_size") && aster_parse_i64(value, &whole) == 0)
        r->batch = whole;
    if (!strcmp(text, "times_from"))
        snprintf(r->times_from, sizeof r->times_from, "%.*s", ASTER_CUT(63, value));
    if (!strcmp(text, "complete"))
        r->ok = r->throughput > 0;
}

void aster_study_run_read(const char *text, struct aster_study_run *r)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        take_line(text, n, r);
        text += n + (text[n] == '\n');
    }
}

/* ---- all runs of one count ---- */

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void spread(int64_t n, double *x, struct aster_study_row *row)
{
    double sum = 0, squares = 0;
    qsort(x, (size_t)n, sizeof *x, ascending);
    for (int64_t k = 0; k < n; k++)
        sum += x[k];
    row->mean = sum / (double)n;
    for (int64_t k = 0; k < n; k++)
        squares += (x[k] - row->mean) * (x[k] - row->mean);
    row->sd = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    row->min = x[0];
    row->max = x[n - 1];
    row->median = n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Samples of a step: not always a whole number. */
static double samples_of(const struct aster_study_run *r)
{
    return r->step_ms > 0 ? 1e-3 * r->step_ms * r->throughput : (double)r->batch;
}

static void fill_row(const struct aster_study *s, int at, double *x, struct aster_study_row *row)
{
    double samples = 0;
    *row = (struct aster_study_row){.count = s->counts[at]};
    for (int64_t k = 0; k < s->runs; k++) {
        const struct aster_study_run *r = &s->run[at * s->runs + k];
        if (r->batch)
            row->batch = r->batch;
        if (!r->ok)
            continue;
        row->busy += r->busy;
        row->transfer += r->transfer;
        samples += samples_of(r);
        x[row->n_ok++] = r->throughput;
    }
    if (!row->n_ok)
        return;
    row->busy /= (double)row->n_ok;
    row->transfer /= (double)row->n_ok;
    spread(row->n_ok, x, row);
    row->step_ms = 1e3 * samples / (double)row->n_ok / row->mean;
}

int aster_study_rows(struct aster_ctx *ctx, const struct aster_study *s,
                     struct aster_study_row *rows)
{
    double *x;
    ASTER_TRY(aster_alloc(ctx, s->runs, sizeof *x, &x));
    for (int k = 0; k < s->n_counts; k++)
        fill_row(s, k, x, &rows[k]);
    aster_free(&x);
    const struct aster_study_row *first = &rows[0];
    for (int k = 0; k < s->n_counts; k++) {
        struct aster_study_row *r = &rows[k];
        r->speedup = first->n_ok && r->n_ok ? r->mean / first->mean : NAN;
        r->efficiency = 100 * r->speedup * first->count / r->count;
        if (k > 0 && r->n_ok)
            r->speedup_sd = r->speedup * hypot(r->sd / r->mean, first->sd / first->mean);
    }
    return 0;
}

/* ---- over the counts ---- */

double aster_study_serial(int n, const struct aster_study_row *rows)
{
    double above = 0, below = 0;
    for (int k = 1; k < n; k++) {
        double share = (double)rows[0].count / rows[k].count;
        if (!(rows[k].speedup > 0))
            continue;
        above += (1 / rows[k].speedup - share) * (1 - share);
        below += (1 - share) * (1 - share);
    }
    return below > 0 ? above / below : NAN;
}

void aster_study_line(int n, const struct aster_study_row *rows, double *a, double *b)
{
    double m = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (int k = 0; k < n; k++) {
        if (!rows[k].n_ok)
            continue;
        double c = rows[k].count, t = rows[k].step_ms;
        m += 1;
        x += c;
        y += t;
        xx += c * c;
        xy += c * t;
    }
    double d = m * xx - x * x;
    *b = d > 0 ? (m * xy - x * y) / d : NAN;
    *a = d > 0 ? (y - *b * x) / m : NAN;
}
