/* SPDX-License-Identifier: BSD-3-Clause */
/* Arithmetic of scaling studies against published tables, closed forms, and the files' fixed parts.
 */
#include "flow/study.h"
#include "io/io.h"
#include "unit/files.h"

#include <math.h>

enum { MAX = 32 };

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (1 + fabs(b));
}

static double number(const struct aster_json *object, const char *key)
{
    const struct aster_json *v = aster_json_get(object, key);
    return v && v->type == ASTER_JSON_NUMBER ? v->number : NAN;
}

/* The study that such a file describes. */
static void fill(const struct aster_json *j, struct aster_study *s, int *counts,
                 struct aster_study_run *run)
{
    int64_t n = 0, all = 0;
    for (const struct aster_json *c = aster_json_get(j, "gpu_counts")->child; c; c = c->next)
        counts[n++] = (int)c->number;
    for (const struct aster_json *r = aster_json_get(j, "runs")->child; r; r = r->next) {
        double throughput = number(r, "throughput");
        run[all++] = (struct aster_study_run){.count = (int)number(r, "num_gpus"),
                                              .run = (int)number(r, "run"),
                                              .ok = !isnan(throughput),
                                              .batch = (int64_t)number(r, "batch_size"),
                                              .throughput = isnan(throughput) ? 0 : throughput};
    }
    *s = (struct aster_study){.gpus = true,
                              .pipeline = "p",
                              .machine = "m",
                              .command_line = "c",
                              .runs = all / n,
                              .n_counts = (int)n,
                              .counts = counts,
                              .run = run};
}

static bool row_is(const struct aster_study_row *r, const struct aster_json *e)
{
    if (aster_json_get(e, "status"))
        return r->n_ok == 0;
    return r->count == (int)number(e, "num_gpus") && r->batch == (int64_t)number(e, "batch_size") &&
           r->n_ok == (int64_t)number(e, "runs_ok") && near(r->mean, number(e, "mean")) &&
           near(r->sd, number(e, "std_sample")) && near(r->min, number(e, "min")) &&
           near(r->max, number(e, "max")) && near(r->median, number(e, "median")) &&
           near(r->speedup, number(e, "speedup")) &&
           near(r->speedup_sd, number(e, "speedup_std")) &&
           near(r->efficiency, number(e, "efficiency_percent")) &&
           near(r->step_ms, number(e, "step_time_ms"));
}

static void published(const char *name)
{
    char file[64];
    struct aster_json *j = NULL;
    struct aster_study s;
    struct aster_study_row rows[MAX];
    struct aster_study_run run[MAX];
    int counts[MAX], k = 0;
    snprintf(file, sizeof file, "openfold/golden/%s", name);
    const char *path = shared(file);
    if (!path) {
        tap_skip("%s is not there (ASTERISM_TEST_DATA)", name);
        return;
    }
    if (!tap_ok(aster_json_read(ctx, path, &j) == 0, "%s is read", name))
        return;
    fill(j, &s, counts, run);
    tap_ok(aster_study_rows(ctx, &s, rows) == 0, "%s: rows", name);
    for (const struct aster_json *e = aster_json_get(j, "expected")->child; e; e = e->next, k++) {
        tap_ok(row_is(&rows[k], e), "%s: the row of %d", name, counts[k]);
        rows[k].mean *= 1 + 1e-7;
        rows[k].n_ok += rows[k].n_ok == 0;
        tap_ok(!row_is(&rows[k], e), "%s: the row of %d, changed, is not the same", name,
               counts[k]);
    }
    aster_json_free(&j);
}

/* Throughputs of a program with a known serial share and of one with a known line of step times. */
static void fits(void)
{
    struct aster_study_row rows[4] = {{0}};
    double a, b;
    for (int k = 0; k < 4; k++) {
        int n = 1 << k;
        rows[k] = (struct aster_study_row){
            .count = n, .n_ok = 1, .speedup = 1 / (0.05 + 0.95 / n), .step_ms = 12.5 + 3.25 * n};
    }
    tap_ok(near(aster_study_serial(4, rows), 0.05), "Amdahl's share is found");
    aster_study_line(4, rows, &a, &b);
    tap_ok(near(a, 12.5) && near(b, 3.25), "the line of step times is found");
    tap_ok(isnan(aster_study_serial(1, rows)), "one count gives no fit");
    for (int k = 0; k < 4; k++)
        rows[k].count *= 2;
    tap_ok(near(aster_study_serial(4, rows), 0.05), "also against another first count");
}

/* Steps of 93.5 samples on the average, which no whole number says. */
static void uneven(void)
{
    int count = 1;
    struct aster_study_run run[2] = {
        {.count = 1, .run = 1, .ok = true, .batch = 94, .throughput = 187, .step_ms = 500},
        {.count = 1, .run = 2, .ok = true, .batch = 94, .throughput = 374, .step_ms = 250}};
    struct aster_study s = {.runs = 1, .n_counts = 1, .counts = &count, .run = run};
    struct aster_study_row row;
    tap_ok(aster_study_rows(ctx, &s, &row) == 0 && near(row.step_ms, 500),
           "the step time of a run is its own");
    s.runs = 2;
    tap_ok(aster_study_rows(ctx, &s, &row) == 0 && near(row.step_ms, 1e3 * 93.5 / 280.5),
           "that of two belongs to the mean of their rates");
}

static void reading(void)
{
    struct aster_study_run r = {0};
    aster_study_run_read(
        "[aster] info: x\nsamples_per_sec\t12.5\nbatch_size\t32\nbusy\t0.75\ntimes_from\thost-1\n",
        &r);
    tap_ok(!r.ok && r.throughput == 12.5 && r.batch == 32 && r.busy == 0.75 &&
               !strcmp(r.times_from, "host-1"),
           "an output without its last line is no result");
    aster_study_run_read("complete\t1\n", &r);
    tap_ok(r.ok, "with it, it is one");
    r = (struct aster_study_run){0};
    aster_study_run_read("complete\t1", &r);
    tap_ok(!r.ok, "nor is one without a rate");
    tap_ok(near(aster_round_half_up(0.125, 2), 0.13) && near(aster_round_half_up(36.75, 1), 36.8),
           "halves are rounded up");
}

/* The rows that summary.json has are those of the arithmetic, its runs those of the study. */
static void json(const struct aster_study *s)
{
    struct aster_json *j = NULL;
    struct aster_study_row rows[MAX];
    bool good = aster_json_read(ctx, in_dir("summary.json"), &j) == 0 &&
                aster_study_rows(ctx, s, rows) == 0;
    const struct aster_json *row = good ? aster_json_get(j, "summary")->child : NULL,
                            *run = good ? aster_json_get(j, "runs")->child : NULL;
    for (int k = 0; k < s->n_counts && row; k++, row = row->next) {
        const struct aster_json *status = aster_json_get(row, "status");
        good &= status && !strcmp(status->string, rows[k].n_ok ? "ok" : "ERROR");
        good &= rows[k].n_ok == 0 || near(number(row, "mean"), rows[k].mean);
        good &= rows[k].n_ok == 0 || near(number(row, "efficiency_percent"), rows[k].efficiency);
    }
    for (int64_t k = 0; k < s->n_counts * s->runs && run; k++, run = run->next) {
        double got = number(run, "throughput");
        good &= number(run, "num_gpus") == s->run[k].count;
        good &= s->run[k].ok ? near(got, s->run[k].throughput) : isnan(got);
    }
    tap_ok(good && !row && !run, "summary.json holds the same rows and runs");
    aster_json_free(&j);
}

static void files(void)
{
    static const char header[] = "num_gpus,batch_size,run,throughput_samples_per_sec,";
    int counts[2] = {1, 2};
    struct aster_study_run run[2] = {
        {.count = 1, .run = 1, .ok = true, .batch = 8, .throughput = 10, .busy = 0.5},
        {.count = 2, .run = 1, .batch = 16, .error = "no such device"}};
    struct aster_study s = {.gpus = true,
                            .pipeline = "p.yaml",
                            .machine = "m",
                            .command_line = "c",
                            .steps = 5,
                            .runs = 1,
                            .n_counts = 2,
                            .counts = counts,
                            .run = run};
    struct aster_str text = {0};
    char *csv = NULL;
    int64_t n;
    tap_ok(aster_study_write(ctx, &s, test_dir, &text) == 0,
           "a study with a failed run is written");
    tap_ok(aster_file_read(ctx, in_dir("summary.csv"), 1 << 20, &csv, &n) == 0 &&
               !strncmp(csv, header, sizeof header - 1),
           "the first four columns");
    tap_ok(csv && strstr(csv, "\n1,8,1,10.0000,") && strstr(csv, "\n2,16,1,ERROR,"),
           "a line for each run");
    tap_ok(strstr(aster_str_get(&text), "1.00x") && strstr(aster_str_get(&text), "N/A") &&
               strstr(aster_str_get(&text), "no such device"),
           "the summary has the row, the missing one and why");
    tap_ok(aster_file_exists(in_dir("scaling.svg")), "there is a plot");
    json(&s);
    aster_free(&csv);
    aster_str_free(&text);
}

int main(void)
{
    test_start();
    published("study_published.json");
    published("study_multi_run.json");
    fits();
    uneven();
    reading();
    files();
    return test_end();
}
