/* SPDX-License-Identifier: BSD-3-Clause */
/* A run from its folder to its last line: inputs, stages one after the other, progress, results. */
#include "flow/field_part.h"
#include "flow/internal.h"

#include "flow/embed_language.h"
#include "flow/embeddings.h"
#include "flow/report.h"
#include "flow/shard.h"
#include "flow/timing.h"
#include "flow/vnp.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static volatile sig_atomic_t stop_requested;

void aster_run_request_stop(void)
{
    stop_requested = 1;
}

bool aster_run_stopping(void)
{
    return stop_requested != 0;
}

const struct aster_opt_value *aster_run_value(const struct aster_run *run, int stage,
                                              const char *key)
{
    const struct aster_stage_spec *s = &run->spec->stages[stage];
    for (int i = 0; s->kind->opts[i].key; i++)
        if (strcmp(s->kind->opts[i].key, key) == 0)
            return &s->values[i];
    abort();
}

int64_t aster_run_int(const struct aster_run *run, int stage, const char *key)
{
    return aster_run_value(run, stage, key)->i;
}

double aster_run_real(const struct aster_run *run, int stage, const char *key)
{
    return aster_run_value(run, stage, key)->x;
}

bool aster_run_bool(const struct aster_run *run, int stage, const char *key)
{
    return aster_run_value(run, stage, key)->b;
}

const char *aster_run_text(const struct aster_run *run, int stage, const char *key)
{
    const struct aster_opt_value *v = aster_run_value(run, stage, key);
    return v->is_set && v->text ? v->text : "";
}

int aster_run_choice(const struct aster_run *run, int stage, const char *key, int n,
                     const char *const *names)
{
    const char *text = aster_run_text(run, stage, key);
    int k = 0;
    while (k < n - 1 && strcmp(text, names[k]) != 0)
        k++;
    return k;
}

int aster_run_refuse(const struct aster_run *run, int stage, const char *key, const char *fmt, ...)
{
    const struct aster_stage_spec *s = &run->spec->stages[stage];
    const struct aster_opt_value *v = aster_run_value(run, stage, key);
    char why[256];
    va_list ap;
    va_start(ap, fmt);
    aster_format(why, sizeof why, fmt, ap);
    va_end(ap);
    return aster_fail(run->ctx, ASTER_EPARAM, "%s:%d:%d: stage %s: %s: %s",
                      run->spec->file ? run->spec->file : "pipeline", v->line ? v->line : s->line,
                      v->line ? v->column : s->column, s->id, key, why);
}

struct aster_precision aster_run_precision(const struct aster_run *run, int stage)
{
    const char *name = aster_run_text(run, stage, "precision");
    struct aster_precision p = {strcmp(name, "f64") ? ASTER_F32 : ASTER_F64, ASTER_PRODUCTS_FULL};
    for (int k = 0; k < ASTER_N_PRODUCTS; k++)
        if (!strcmp(name, aster_precision_name(ASTER_F32, (enum aster_products)k)))
            p.products = (enum aster_products)k;
    return p;
}

int aster_run_weights(const struct aster_run *run, int stage, const char *path,
                      struct aster_weights **out)
{
    struct aster_precision p = aster_run_precision(run, stage);
    ASTER_TRY(aster_weights_load(run->ctx, path, p.real, out));
    (*out)->model.products = p.products;
    return 0;
}

int aster_run_stage_index(const struct aster_run *run, const char *id)
{
    for (int i = 0; i < run->spec->n_stages; i++)
        if (strcmp(run->spec->stages[i].id, id) == 0)
            return i;
    return -1;
}

const struct aster_slot *aster_run_slot(const struct aster_run *run, int stage, const char *key,
                                        int64_t i)
{
    const struct aster_opt_value *v = aster_run_value(run, stage, key);
    const char *id = v->items && i < v->n ? v->items[i] : v->text;
    int k = v->is_set && id ? aster_run_stage_index(run, id) : -1;
    return k < 0 ? NULL : &run->slots[k];
}

static int list_devices(struct aster_run *run)
{
    struct aster_worker_info info;
    for (int w = 0; w < aster_runtime_n_workers(run->rt); w++) {
        aster_runtime_sample(run->rt, w, &info);
        aster_str_printf(&run->devices, "%s%s", w ? ", " : "", info.name);
    }
    return aster_str_ok(run->ctx, &run->devices);
}

int aster_run_runtime(struct aster_run *run, struct aster_runtime **rt)
{
    if (!run->rt) {
        struct aster_runtime_options o = run->opt->runtime;
        o.profile = o.profile || run->opt->trace || run->opt->timing;
        ASTER_TRY(aster_runtime_new(run->ctx, &o, &run->rt));
        ASTER_TRY(list_devices(run));
        ASTER_TRY(aster_progress_runtime(run->progress, run->rt));
        ASTER_TRY(aster_runfile_write(run, "running"));
        const char *isa = aster_isa_name(aster_runtime_isa(run->rt));
        if (*run->isa_before && strcmp(run->isa_before, isa))
            aster_log(run->ctx, ASTER_LOG_WARN,
                      "begun with the instruction set %s, goes on with %s: the last bits of "
                      "results may differ "
                      "(--isa pins it)",
                      run->isa_before, isa);
    }
    *rt = run->rt;
    return 0;
}

int aster_run_fact(struct aster_run *run, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    aster_format(text, sizeof text, fmt, ap);
    va_end(ap);
    ASTER_TRY(
        aster_grow(run->ctx, run->n_facts + 1, sizeof *run->facts, &run->cap_facts, &run->facts));
    struct aster_fact *f = &run->facts[run->n_facts++];
    ASTER_TRY(aster_strdup(run->ctx, name, &f->name));
    ASTER_TRY(aster_strdup(run->ctx, text, &f->value));
    aster_log(run->ctx, ASTER_LOG_INFO, "%s: %s", name, text);
    return 0;
}

int aster_run_path(const struct aster_run *run, const char *name, char **out)
{
    return aster_path_join(run->ctx, run->dir, name, out);
}

int aster_run_write(struct aster_run *run, const char *name, const struct aster_str *text)
{
    char *path = NULL;
    ASTER_TRY(aster_str_ok(run->ctx, text));
    ASTER_TRY(aster_run_path(run, name, &path));
    int rc = aster_file_write(run->ctx, path, aster_str_get(text), (int64_t)text->len);
    aster_free(&path);
    return rc;
}

/* An earlier part of a run goes on only as what it was. */
static int compare_with_before(struct aster_run *run)
{
    struct aster_runfile old = {0};
    ASTER_TRY(aster_runfile_read(run->ctx, run->dir, &old));
    const char *hash = aster_runfile_get(&old, "", "pipeline_hash"),
               *isa = aster_runfile_get(&old, "machine", "isa");
    snprintf(run->isa_before, sizeof run->isa_before, "%s", isa ? isa : "");
    int rc = 0;
    if (!hash || strcmp(hash, run->hash)) {
        const char *param = NULL, *was = NULL, *now = NULL;
        for (int i = 0; i < run->spec->n_params && !param; i++) {
            const char *before = aster_runfile_get(&old, "parameters", run->spec->params[i].name);
            if ((!before || strcmp(before, run->spec->params[i].value)) &&
                !aster_inputs_is_free(run->spec, run->spec->params[i].name)) {
                param = run->spec->params[i].name;
                was = before ? before : "absent";
                now = run->spec->params[i].value;
            }
        }
        if (param)
            rc = aster_fail(
                run->ctx, ASTER_EPARAM,
                "%s was begun with %s=%s, now it is %s; give the same, or start a new run",
                run->dir, param, was, now);
        else
            rc = aster_fail(
                run->ctx, ASTER_EPARAM,
                "%s was begun with another pipeline file, program version or input files; "
                "start a new run",
                run->dir);
    }
    aster_runfile_free(&old);
    return rc;
}

static int run_stages(struct aster_run *run)
{
    for (int i = 0; i < run->spec->n_stages; i++) {
        const struct aster_stage_spec *s = &run->spec->stages[i];
        if (aster_run_stopping())
            return ASTER_ESTOP;
        aster_log(run->ctx, ASTER_LOG_DEBUG, "stage %s (%s)", s->id, s->kind->name);
        aster_progress_stage(run->progress, s->id, -1);
        ASTER_TRY(s->kind->run(run->ctx, run, i));
    }
    return 0;
}

static int write_trace(struct aster_run *run)
{
    if (!run->rt || !run->opt->trace)
        return 0;
    const struct aster_task_record *r;
    int64_t n = aster_runtime_records(run->rt, &r);
    struct aster_str text = {0};
    aster_str_add(&text, "worker\tcodelet\tstart_s\tend_s\n");
    for (int64_t i = 0; i < n; i++)
        aster_str_printf(&text, "%d\t%s\t%.6f\t%.6f\n", r[i].worker, r[i].codelet, r[i].start,
                         r[i].end);
    int rc = aster_run_write(run, "trace.tsv", &text);
    aster_str_free(&text);
    return rc;
}

static void free_slot(struct aster_slot *s)
{
    aster_proteins_free(&s->proteins);
    aster_embeddings_free(&s->embeddings);
    aster_split_free(&s->split);
    if (s->fasta)
        aster_free(&s->fasta->path);
    aster_free(&s->fasta);
    if (s->model) {
        aster_weights_free(&s->model->weights);
        aster_free(&s->model->path);
    }
    aster_free(&s->model);
    aster_language_file_free(&s->language);
    aster_dna_source_free(&s->dna);
    aster_classifier_file_free(&s->classifier);
    aster_structure_source_free(&s->structures);
    aster_forcefield_source_free(&s->forcefield);
}

void aster_run_free_parts(struct aster_run *run)
{
    if (run->slots)
        for (int i = 0; i < run->spec->n_stages; i++)
            free_slot(&run->slots[i]);
    aster_free(&run->slots);
    aster_runtime_free(&run->rt);
    aster_inputs_free(run);
    for (int64_t i = 0; i < run->n_facts; i++) {
        aster_free(&run->facts[i].name);
        aster_free(&run->facts[i].value);
    }
    aster_free(&run->facts);
    aster_str_free(&run->devices);
}

/* The folder is ours: all that happens in it. */
static int run_in_folder(struct aster_run *run)
{
    struct aster_str text = {0};
    aster_str_add(&text, run->spec->text ? run->spec->text : "");
    int rc = aster_run_write(run, "pipeline.yaml", &text);
    aster_str_free(&text);
    ASTER_TRY(rc);
    ASTER_TRY(aster_runfile_write(run, "running"));
    aster_log(run->ctx, ASTER_LOG_INFO, "%s in %s", run->resumed ? "resumed" : "run", run->dir);
    rc = run->opt->timing ? aster_timing_run(run, run->opt->timing) : run_stages(run);
    if (rc == ASTER_ESTOP && aster_ctx_code(run->ctx) == 0)
        rc =
            aster_fail(run->ctx, ASTER_ESTOP, "%s: stopped on request; --resume goes on", run->dir);
    int late = aster_progress_finish(run->progress);
    if (rc == 0)
        rc = late;
    struct rusage ru;
    if (getrusage(RUSAGE_SELF, &ru) == 0)
        run->peak_memory = (int64_t)ru.ru_maxrss * 1024;
    aster_iso_time(run->finished);
    if (rc == 0)
        rc = write_trace(run);
    late = aster_runfile_write(run, rc == 0 ? "done" : rc == ASTER_ESTOP ? "stopped" : "failed");
    if (rc == 0)
        rc = late;
    if (rc == 0 && !run->opt->timing)
        rc = aster_report_write(run->ctx, run->dir, NULL);
    if (rc == 0)
        aster_store_remove_all(run);
    return rc;
}

/* A finished run that is resumed has nothing left to do. */
static int read_finished(struct aster_run *run, bool *finished)
{
    struct aster_runfile old = {0};
    *finished = false;
    ASTER_TRY(aster_runfile_read(run->ctx, run->dir, &old));
    const char *state = aster_runfile_get(&old, "", "state");
    const char *items = aster_runfile_get(&old, "results", "items"),
               *failed = aster_runfile_get(&old, "results", "failed");
    *finished = state && !strcmp(state, "done") && items && failed &&
                aster_parse_i64(items, &run->items) == 0 &&
                aster_parse_i64(failed, &run->failed) == 0;
    aster_runfile_free(&old);
    return 0;
}

int aster_run(struct aster_ctx *ctx, const struct aster_run_spec *spec,
              const struct aster_run_options *o, struct aster_run_result *result)
{
    struct aster_run run = {.ctx = ctx, .spec = spec, .opt = o, .lock = -1};
    bool finished = false;
    int rc;
    memset(result, 0, sizeof *result);
    run.started_at = aster_wall();
    aster_iso_time(run.started);
    ASTER_GOTO(aster_alloc(ctx, spec->n_stages, sizeof *run.slots, &run.slots), done);
    ASTER_GOTO(aster_runtime_check(ctx, &o->runtime), done);
    ASTER_GOTO(aster_inputs_read(&run), done);
    for (int i = 0; i < spec->n_stages; i++)
        if (spec->stages[i].kind->ready)
            ASTER_GOTO(spec->stages[i].kind->ready(ctx, &run, i), done);
    ASTER_GOTO(aster_inputs_hash(&run), done);
    ASTER_GOTO(aster_rundir_take(&run), done);
    if (run.resumed) {
        ASTER_GOTO(compare_with_before(&run), done);
        ASTER_GOTO(read_finished(&run, &finished), done);
    }
    if (finished) {
        aster_log(ctx, ASTER_LOG_INFO, "%s is finished; nothing to resume", run.dir);
        ASTER_GOTO(aster_report_write(ctx, run.dir, NULL),
                   done); /* a kill may have come between the last result and the report */
        aster_store_remove_all(&run);
    } else {
        ASTER_GOTO(aster_progress_new(&run, &run.progress), done);
        rc = run_in_folder(&run);
    }
done:
    result->items = run.items;
    result->failed = run.failed;
    result->wall_s = aster_wall() - run.started_at;
    result->busy = run.busy;
    result->peak_memory = run.peak_memory;
    aster_progress_free(&run.progress);
    aster_run_free_parts(&run);
    aster_rundir_leave(&run);
    result->dir = run.dir;
    stop_requested = 0;
    return rc;
}
