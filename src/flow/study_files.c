/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a scaling study: config.txt, summary.csv, summary.txt, summary.json, scaling.svg. */
#include "flow/study_json.h"
#include "flow/svg.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define RULE "=========================================\n" /* 41 */

static const char *workers(const struct aster_study *s)
{
    return s->gpus ? "GPUs" : "CPUs";
}

static int write_text(struct aster_ctx *ctx, const char *dir, const char *name,
                      const struct aster_str *text)
{
    char *path;
    ASTER_TRY(aster_str_ok(ctx, text));
    ASTER_TRY(aster_path_join(ctx, dir, name, &path));
    int rc = aster_file_write(ctx, path, aster_str_get(text), (int64_t)text->len);
    aster_free(&path);
    return rc;
}

/* What can be said before anything ran. */
static void heading(const struct aster_study *s, const char *title, struct aster_str *t)
{
    char now[32], host[64] = "";
    aster_iso_time(now);
    if (gethostname(host, sizeof host - 1) < 0)
        snprintf(host, sizeof host, "unknown");
    aster_str_printf(t, "%s\n" RULE "Date: %s\nHost: %s\n", title, now, host);
    aster_str_printf(t, "Machine: %s%s\n", s->machine, s->simulated ? " (simulated)" : "");
}

static int config(struct aster_ctx *ctx, const struct aster_study *s, const char *dir)
{
    struct aster_str t = {0};
    heading(s, "Scaling Study Configuration", &t);
    aster_str_printf(&t, "\nTest Configuration:\n  %s: ", workers(s));
    for (int k = 0; k < s->n_counts; k++)
        aster_str_printf(&t, "%s%d", k ? " " : "", s->counts[k]);
    if (s->batch_per_worker)
        aster_str_printf(&t, "\n  Batch size per worker: %lld", (long long)s->batch_per_worker);
    aster_str_printf(
        &t, "\n  Training steps: %lld\n  Warm-up steps: %lld\n  Runs per configuration: %lld\n",
        (long long)s->steps, (long long)s->warmup, (long long)s->runs);
    aster_str_printf(&t, "\nPipeline: %s\nCommand: %s\nOutput Directory: %s\n", s->pipeline,
                     s->command_line, dir);
    int rc = write_text(ctx, dir, "config.txt", &t);
    aster_str_free(&t);
    return rc;
}

static void csv_run(const struct aster_study *s, const struct aster_study_run *r,
                    const char *source, struct aster_str *t)
{
    aster_str_printf(t, "%d,%lld,%d,", r->count, (long long)r->batch, r->run);
    if (!r->ok) {
        aster_str_printf(t, "ERROR,,,,,,,,ERROR,,,,%s,%s,\n", workers(s), source);
        return;
    }
    aster_str_printf(t, "%.4f,%.6f,%.6f,%.6f,%.6f,%.6f,%.1f,%.9g,ok,%.4f,%.4f,%.4f,%s,%s,%.4f\n",
                     r->throughput, r->step_ms, r->program_ms, r->optimizer_ms, r->comm_ms,
                     r->data_ms, r->peak_mb, r->loss, r->busy, r->transfer,
                     fmax(0, 1 - r->busy - r->transfer), workers(s), source, r->modelled);
}

static int csv(struct aster_ctx *ctx, const struct aster_study *s, const char *dir)
{
    struct aster_str t = {0};
    aster_str_add(&t, "num_gpus,batch_size,run,throughput_samples_per_sec,step_ms,program_ms,"
                      "optimizer_ms,comm_ms,data_ms,peak_mb,"
                      "mean_loss,status,busy,transfer,wait,workers,source,modelled\n");
    for (int64_t k = 0; k < s->n_counts * s->runs; k++)
        csv_run(s, &s->run[k], s->simulated ? "simulated" : "measured", &t);
    for (int k = 0; s->predicted && k < s->n_counts; k++)
        csv_run(s, &s->predicted[k], "predicted", &t);
    int rc = write_text(ctx, dir, "summary.csv", &t);
    aster_str_free(&t);
    return rc;
}

/* ---- summary.txt ---- */

static void row_text(const struct aster_study *s, const struct aster_study_row *r,
                     struct aster_str *t)
{
    char mean[48], speedup[48], efficiency[32];
    if (!r->n_ok) {
        aster_str_printf(t, "%-8d%-12lld%-22s%-16s%-15s\n", r->count, (long long)r->batch, "ERROR",
                         "N/A", "N/A");
        return;
    }
    snprintf(mean, sizeof mean, "%.1f", aster_round_half_up(r->mean, 1));
    snprintf(speedup, sizeof speedup, "%.2fx", aster_round_half_up(r->speedup, 2));
    if (s->runs > 1) {
        snprintf(mean, sizeof mean, "%.1f +- %.1f", aster_round_half_up(r->mean, 1),
                 aster_round_half_up(r->sd, 1));
        snprintf(speedup, sizeof speedup, "%.2fx +- %.2f", aster_round_half_up(r->speedup, 2),
                 aster_round_half_up(r->speedup_sd, 2));
    }
    if (!isfinite(r->speedup))
        snprintf(speedup, sizeof speedup, "N/A");
    snprintf(efficiency, sizeof efficiency, isfinite(r->efficiency) ? "%.1f%%" : "N/A",
             aster_round_half_up(r->efficiency, 1));
    aster_str_printf(t, "%-8d%-12lld%-22s%-16s%-15s%-11.2f%-7.1f%-10.1f%-6.1f\n", r->count,
                     (long long)r->batch, mean, speedup, efficiency, r->step_ms, 100 * r->busy,
                     100 * r->transfer, fmax(0, 100 * (1 - r->busy - r->transfer)));
    if (s->runs > 1)
        aster_str_printf(t, "%20s%.1f .. %.1f, median %.1f, %lld of %lld runs\n", "", r->min,
                         r->max, r->median, (long long)r->n_ok, (long long)s->runs);
}

static void predictions(const struct aster_study *s, const struct aster_study_row *rows,
                        struct aster_str *t)
{
    if (!s->predicted)
        return;
    aster_str_printf(t,
                     "\nPredicted by simulation, from the times of tasks in the first run with %d "
                     "%s:\n%-8s%-18s%-18s%s\n",
                     s->counts[0], workers(s), workers(s), "Measured", "Predicted", "Error");
    for (int k = 0; k < s->n_counts; k++) {
        const struct aster_study_run *p = &s->predicted[k];
        if (p->ok && rows[k].n_ok)
            aster_str_printf(t, "%-8d%-18.1f%-18.1f%+.1f%%\n", rows[k].count, rows[k].mean,
                             p->throughput, 100 * (p->throughput - rows[k].mean) / rows[k].mean);
        else
            aster_str_printf(t, "%-8d%-18s%-18s%s\n", rows[k].count, rows[k].n_ok ? "" : "ERROR",
                             p->ok ? "" : "ERROR", "N/A");
    }
}

/* Where the durations of a simulation are from. */
static void sources(const struct aster_study *s, struct aster_str *t)
{
    double modelled = 0;
    int64_t n = 0;
    const char *from = "-";
    for (int64_t k = 0; k < s->n_counts * s->runs; k++)
        if (s->run[k].ok) {
            modelled += s->run[k].modelled;
            from = s->run[k].times_from;
            n++;
        }
    if (!s->simulated || !n)
        return;
    modelled /= (double)n;
    aster_str_printf(t,
                     "- Durations of tasks: %.1f%% of the time from a roofline of the device and "
                     "the cost of the ops, %.1f%% measured (%s)\n",
                     100 * modelled, 100 * (1 - modelled), from);
}

static void notes(const struct aster_study *s, const struct aster_study_row *rows,
                  struct aster_str *t)
{
    double a, b, serial = aster_study_serial(s->n_counts, rows);
    aster_study_line(s->n_counts, rows, &a, &b);
    aster_str_printf(t,
                     "\nNotes:\n- Throughput in samples per second, speedup against %d %s, "
                     "efficiency = (T(N)/N) / (T(%d)/%d)\n",
                     s->counts[0], workers(s), s->counts[0], s->counts[0]);
    aster_str_add(t, "- Efficiency: 100% is ideal, 70-90% good, below 50% heavy overhead\n"
                     "- Busy, Transfer, Wait: shares of the workers' time in tasks, waiting for "
                     "data, and with nothing to do\n");
    if (isfinite(serial) && serial > 1)
        aster_str_add(t, "- Amdahl fit: none, more workers are slower\n");
    else if (isfinite(serial))
        aster_str_printf(t, "- Amdahl fit: serial share %.2f%%, speedup at most %.1fx\n",
                         100 * fmax(0, serial), serial > 1e-6 ? 1 / serial : INFINITY);
    if (s->batch_per_worker && isfinite(b))
        aster_str_printf(
            t, "- Step time fit: %.3f ms %+.3f ms per worker; at most %.1f samples per second\n", a,
            b, b > 0 ? 1e3 * (double)s->batch_per_worker / b : INFINITY);
    sources(s, t);
    for (int64_t k = 0; k < s->n_counts * s->runs; k++)
        if (!s->run[k].ok)
            aster_str_printf(t, "- %d %s, run %d failed: %s\n", s->run[k].count, workers(s),
                             s->run[k].run, s->run[k].error);
    aster_str_add(
        t, "\nOutput files:\n- config.txt, summary.csv, summary.json, scaling.svg\n- a log and a "
           "folder for each run\n");
}

static void summary(const struct aster_study *s, const struct aster_study_row *rows,
                    struct aster_str *t)
{
    heading(s, "Scaling Study Summary", t);
    aster_str_printf(
        t,
        "Pipeline: %s\nConfiguration: %lld steps after %lld for warm-up, %lld run%s\n\nResults:\n",
        s->pipeline, (long long)s->steps, (long long)s->warmup, (long long)s->runs,
        s->runs > 1 ? "s" : "");
    aster_str_printf(t, "%-8s%-12s%-22s%-16s%-15s%-11s%-7s%-10s%-6s\n", workers(s), "Batch Size",
                     "Avg Throughput", "Speedup", "Efficiency", "Step (ms)", "Busy%", "Transfer%",
                     "Wait%");
    for (int k = 0; k < 107; k++)
        aster_str_add(t, "-");
    aster_str_add(t, "\n");
    for (int k = 0; k < s->n_counts; k++)
        row_text(s, &rows[k], t);
    predictions(s, rows, t);
    notes(s, rows, t);
}

/* ---- scaling.svg ---- */

static void panel(struct aster_str *svg, struct aster_box box, const char *title,
                  const char *x_label, int n, const double *x, const double *y, const double *low,
                  const double *high, const double *ideal)
{
    struct aster_series series[4] = {{"mean", "#1f77b4", n, x, y}};
    int k = 1;
    if (ideal)
        series[k++] = (struct aster_series){"ideal", "#999999", n, x, ideal};
    if (low) {
        series[k++] = (struct aster_series){"least", "#aec7e8", n, x, low};
        series[k++] = (struct aster_series){"most", "#aec7e8", n, x, high};
    }
    aster_svg_curves(svg, box, title, x_label, title, k, series, NAN);
}

static int plot(struct aster_ctx *ctx, const struct aster_study *s,
                const struct aster_study_row *rows, const char *dir)
{
    enum { THROUGHPUT, LEAST, MOST, SPEEDUP, EFFICIENCY, COUNT, IDEAL, HUNDRED, N };
    int n = s->n_counts;
    double *v;
    struct aster_str svg = {0};
    ASTER_TRY(aster_alloc(ctx, (int64_t)N * n, sizeof *v, &v));
    for (int k = 0; k < n; k++) {
        const struct aster_study_row *r = &rows[k];
        bool ok = r->n_ok > 0;
        v[THROUGHPUT * n + k] = ok ? r->mean : NAN;
        v[LEAST * n + k] = ok ? r->min : NAN;
        v[MOST * n + k] = ok ? r->max : NAN;
        v[SPEEDUP * n + k] = ok ? r->speedup : NAN;
        v[EFFICIENCY * n + k] = ok ? r->efficiency : NAN;
        v[COUNT * n + k] = r->count;
        v[IDEAL * n + k] = (double)r->count / s->counts[0];
        v[HUNDRED * n + k] = 100;
    }
    const double *x = v + COUNT * n;
    bool many = s->runs > 1;
    aster_svg_begin(&svg, 1260, 400);
    panel(&svg, (struct aster_box){0, 0, 420, 400}, "Samples per second", workers(s), n, x,
          v + THROUGHPUT * n, many ? v + LEAST * n : NULL, v + MOST * n, NULL);
    panel(&svg, (struct aster_box){420, 0, 420, 400}, "Speedup", workers(s), n, x, v + SPEEDUP * n,
          NULL, NULL, v + IDEAL * n);
    panel(&svg, (struct aster_box){840, 0, 420, 400}, "Efficiency (%)", workers(s), n, x,
          v + EFFICIENCY * n, NULL, NULL, v + HUNDRED * n);
    int rc = aster_svg_finish(ctx, &svg, dir, "scaling.svg", NULL);
    aster_str_free(&svg);
    aster_free(&v);
    return rc;
}

int aster_study_write(struct aster_ctx *ctx, const struct aster_study *s, const char *dir,
                      struct aster_str *text)
{
    struct aster_study_row *rows;
    ASTER_TRY(aster_alloc(ctx, s->n_counts, sizeof *rows, &rows));
    int rc = aster_study_rows(ctx, s, rows);
    if (rc == 0)
        rc = config(ctx, s, dir);
    if (rc == 0)
        rc = csv(ctx, s, dir);
    if (rc == 0) {
        summary(s, rows, text);
        rc = write_text(ctx, dir, "summary.txt", text);
    }
    if (rc == 0) {
        struct aster_str json = {0};
        aster_study_json(s, rows, &json);
        rc = write_text(ctx, dir, "summary.json", &json);
        aster_str_free(&json);
    }
    if (rc == 0)
        rc = plot(ctx, s, rows, dir);
    aster_free(&rows);
    return rc;
}
