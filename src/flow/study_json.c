/* SPDX-License-Identifier: BSD-3-Clause */
/* summary.json of a scaling study: its settings, runs, rows and fits. */
#include "flow/study_json.h"
#include "io/io.h"

#include <math.h>

/* "key": value, as JSON has no NaN: null where there is none. */
static void number(struct aster_str *t, const char *key, double v, bool last)
{
    aster_json_quote(t, key);
    aster_str_add(t, ": ");
    if (isfinite(v))
        aster_json_number(t, v);
    else
        aster_str_add(t, "null");
    aster_str_add(t, last ? "" : ", ");
}

static void integer(struct aster_str *t, const char *key, int64_t v)
{
    aster_json_quote(t, key);
    aster_str_printf(t, ": %lld, ", (long long)v);
}

static void text(struct aster_str *t, const char *key, const char *v, bool last)
{
    aster_json_quote(t, key);
    aster_str_add(t, ": ");
    aster_json_quote(t, v);
    aster_str_add(t, last ? "" : ", ");
}

static void run(struct aster_str *t, const struct aster_study_run *r, const char *source)
{
    aster_str_add(t, "    {");
    integer(t, "num_gpus", r->count);
    integer(t, "batch_size", r->batch);
    integer(t, "run", r->run);
    text(t, "source", source, false);
    number(t, "throughput", r->ok ? r->throughput : NAN, false);
    if (r->ok) {
        number(t, "step_ms", r->step_ms, false);
        number(t, "program_ms", r->program_ms, false);
        number(t, "optimizer_ms", r->optimizer_ms, false);
        number(t, "comm_ms", r->comm_ms, false);
        number(t, "data_ms", r->data_ms, false);
        number(t, "peak_mb", r->peak_mb, false);
        number(t, "mean_loss", r->loss, false);
        number(t, "busy", r->busy, false);
        number(t, "transfer", r->transfer, false);
        number(t, "modelled", r->modelled, false);
        text(t, "times_from", r->times_from, false);
        text(t, "status", "ok", true);
    } else {
        text(t, "status", "ERROR", false);
        text(t, "error", r->error, true);
    }
    aster_str_add(t, "}");
}

static void row(struct aster_str *t, const struct aster_study_row *r)
{
    aster_str_add(t, "    {");
    integer(t, "num_gpus", r->count);
    integer(t, "batch_size", r->batch);
    integer(t, "runs_ok", r->n_ok);
    if (r->n_ok) {
        number(t, "mean", r->mean, false);
        number(t, "std_sample", r->sd, false);
        number(t, "min", r->min, false);
        number(t, "max", r->max, false);
        number(t, "median", r->median, false);
        number(t, "speedup", r->speedup, false);
        number(t, "speedup_std", r->speedup_sd, false);
        number(t, "efficiency_percent", r->efficiency, false);
        number(t, "step_time_ms", r->step_ms, false);
    }
    text(t, "status", r->n_ok ? "ok" : "ERROR", true);
    aster_str_add(t, "}");
}

static void runs(const struct aster_study *s, struct aster_str *t)
{
    int64_t n = s->n_counts * s->runs;
    for (int64_t k = 0; k < n; k++) {
        run(t, &s->run[k], s->simulated ? "simulated" : "measured");
        aster_str_add(t, k + 1 < n || s->predicted ? ",\n" : "\n");
    }
    for (int k = 0; s->predicted && k < s->n_counts; k++) {
        run(t, &s->predicted[k], "predicted");
        aster_str_add(t, k + 1 < s->n_counts ? ",\n" : "\n");
    }
}

void aster_study_json(const struct aster_study *s, const struct aster_study_row *rows,
                      struct aster_str *t)
{
    double a, b;
    aster_study_line(s->n_counts, rows, &a, &b);
    aster_str_add(t, "{\n  ");
    text(t, "pipeline", s->pipeline, false);
    text(t, "command", s->command_line, false);
    text(t, "machine", s->machine, false);
    text(t, "workers", s->gpus ? "GPUs" : "CPUs", false);
    aster_str_printf(t, "\"simulated\": %s,\n  ", s->simulated ? "true" : "false");
    integer(t, "steps", s->steps);
    integer(t, "warmup", s->warmup);
    integer(t, "runs_per_count", s->runs);
    if (s->batch_per_worker)
        integer(t, "batch_per_gpu", s->batch_per_worker);
    aster_str_add(t, "\"gpu_counts\": [");
    for (int k = 0; k < s->n_counts; k++)
        aster_str_printf(t, "%s%d", k ? ", " : "", s->counts[k]);
    aster_str_add(t, "],\n  \"runs\": [\n");
    runs(s, t);
    aster_str_add(t, "  ],\n  \"summary\": [\n");
    for (int k = 0; k < s->n_counts; k++) {
        row(t, &rows[k]);
        aster_str_add(t, k + 1 < s->n_counts ? ",\n" : "\n");
    }
    aster_str_add(t, "  ],\n  \"fit\": {");
    number(t, "amdahl_serial_share", aster_study_serial(s->n_counts, rows), false);
    number(t, "step_ms_constant", a, false);
    number(t, "step_ms_per_worker", b, true);
    aster_str_add(t, "}\n}\n");
}
