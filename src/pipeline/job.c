/* SPDX-License-Identifier: BSD-3-Clause */
/* The interface for whoever runs a pipeline from C, over this layer and flow. */
#include "config.h"

#include "asterism.h"

#include "flow/flow.h"
#include "flow/timing.h"
#include "pipeline/internal.h"

#include <string.h>

struct aster_job {
    struct aster_ctx *ctx;
    struct aster_pipeline *pipeline; /* NULL: the file could not be read, or none was asked for */
    char *isa;
    char *text; /* the last plan, picture or path given out */
    char *dir;
};

const char *aster_version(void)
{
    return PACKAGE_VERSION;
}

static int need_pipeline(struct aster_job *job)
{
    aster_ctx_clear(job->ctx);
    return job->pipeline ? 0 : aster_fail(job->ctx, ASTER_EPARAM, "this job has no pipeline file");
}

int aster_job_open(const char *file, struct aster_job **out)
{
    struct aster_kinds kinds = {aster_stage_n_kinds(), aster_stage_kind};
    struct aster_ctx *ctx;
    struct aster_job *job;
    char *path;
    *out = NULL;
    ASTER_TRY(aster_ctx_new(&ctx));
    int rc = aster_alloc(ctx, 1, sizeof *job, &job);
    if (rc < 0) {
        aster_ctx_free(&ctx);
        return rc;
    }
    job->ctx = ctx;
    *out = job;
    if (!file)
        return 0;
    ASTER_TRY(aster_find_pipeline(ctx, file, &path));
    rc = aster_pipeline_open(ctx, kinds, path, &job->pipeline);
    aster_free(&path);
    return rc;
}

void aster_job_close(struct aster_job **pp)
{
    struct aster_job *job = *pp;
    if (!job)
        return;
    struct aster_ctx *ctx = job->ctx;
    aster_pipeline_free(&job->pipeline);
    aster_free(&job->isa);
    aster_free(&job->text);
    aster_free(&job->dir);
    aster_free(pp);
    aster_ctx_free(&ctx);
}

/* ---- what went wrong ---- */

int aster_job_code(const struct aster_job *job)
{
    return aster_ctx_code(job->ctx);
}

const char *aster_job_message(const struct aster_job *job)
{
    return aster_ctx_message(job->ctx);
}

const char *aster_job_place(const struct aster_job *job)
{
    return aster_ctx_place(job->ctx);
}

int64_t aster_job_n_mistakes(const struct aster_job *job)
{
    return job->pipeline ? aster_pipeline_n_mistakes(job->pipeline) : 0;
}

const char *aster_job_mistake(const struct aster_job *job, int64_t i)
{
    return job->pipeline ? aster_pipeline_mistake(job->pipeline, i) : "";
}

int64_t aster_job_n_errors(const struct aster_job *job)
{
    return job->pipeline ? aster_pipeline_n_errors(job->pipeline) : 0;
}

/* ---- parameters ---- */

const char *aster_job_name(const struct aster_job *job)
{
    return job->pipeline ? aster_pipeline_name(job->pipeline) : "";
}

const char *aster_job_file(const struct aster_job *job)
{
    return job->pipeline ? aster_pipeline_file(job->pipeline) : "";
}

const char *aster_job_description(const struct aster_job *job)
{
    return job->pipeline ? aster_pipeline_description(job->pipeline) : "";
}

int aster_job_n_params(const struct aster_job *job)
{
    return job->pipeline ? aster_pipeline_n_parameters(job->pipeline) : 0;
}

int aster_job_param(struct aster_job *job, int i, struct aster_job_param *out)
{
    struct aster_str range = {0};
    *out = (struct aster_job_param){"", "", "", NULL, ""};
    ASTER_TRY(need_pipeline(job));
    const struct aster_parameter *q = aster_pipeline_parameter(job->pipeline, i);
    if (!q)
        return aster_fail(job->ctx, ASTER_EPARAM, "parameter number %d of %d", i,
                          aster_job_n_params(job));
    aster_parameter_range(q, &range);
    int rc = aster_str_ok(job->ctx, &range);
    if (rc == 0)
        rc = aster_pool_text(&job->pipeline->pool, aster_str_get(&range), range.len, &out->range);
    aster_str_free(&range);
    out->name = q->name;
    out->type = aster_opt_type_name(q->type);
    out->def = q->def;
    out->help = q->help;
    return rc;
}

int aster_job_set(struct aster_job *job, const char *name, const char *value)
{
    ASTER_TRY(need_pipeline(job));
    if (strcmp(name, "isa") != 0)
        return aster_pipeline_set(job->pipeline, name, value);
    aster_free(&job->isa);
    return aster_strdup(job->ctx, value, &job->isa);
}

/* ---- doing ---- */

void aster_job_options_default(struct aster_job_options *o)
{
    *o = (struct aster_job_options){.cpus = -1, .stall = 300};
}

int aster_job_log(struct aster_job *job, enum aster_job_log level, const char *file)
{
    static const enum aster_level levels[] = {ASTER_LOG_WARN, ASTER_LOG_INFO, ASTER_LOG_DEBUG};
    aster_ctx_clear(job->ctx);
    aster_log_level(job->ctx, levels[level]);
    return file ? aster_log_file(job->ctx, file) : 0;
}

void aster_job_say(struct aster_job *job, const char *text)
{
    aster_log(job->ctx, ASTER_LOG_INFO, "%s", text);
}

/* An unknown instruction set is a mistake like any other value. */
static int check_isa(struct aster_job *job)
{
    enum aster_isa isa;
    if (!job->isa || aster_isa_find(job->ctx, job->isa, &isa) == 0)
        return 0;
    job->pipeline->in_values = true;
    aster_mistake_add(job->pipeline, 0, 0, "argument %s", aster_ctx_message(job->ctx));
    job->pipeline->in_values = false;
    aster_mistakes_sort(job->pipeline);
    aster_ctx_clear(job->ctx);
    return job->pipeline->failed;
}

static int resolve(struct aster_job *job, bool inputs, const struct aster_run_spec **spec)
{
    ASTER_TRY(need_pipeline(job));
    ASTER_TRY(aster_pipeline_resolve(job->pipeline, inputs, spec));
    ASTER_TRY(check_isa(job));
    int64_t n = aster_job_n_errors(job);
    if (n)
        return aster_fail(job->ctx, ASTER_EPARAM, "%s: %lld mistake%s", aster_job_file(job),
                          (long long)n, n > 1 ? "s" : "");
    return 0;
}

int aster_job_validate(struct aster_job *job, bool inputs)
{
    const struct aster_run_spec *spec;
    return resolve(job, inputs, &spec);
}

static struct aster_run_options run_options(const struct aster_job *job,
                                            const struct aster_job_options *o)
{
    return (struct aster_run_options){
        .runtime = {.cpus = o->cpus,
                    .gpus = o->gpus,
                    .gpu_memory = o->gpu_memory,
                    .scheduler = o->scheduler,
                    .isa = job->isa ? job->isa : "auto",
                    .memory_limit = o->memory,
                    .profile = o->trace,
                    .free_placement = o->free_placement,
                    .reduction = o->reduction},
        .out = o->out,
        .resume = o->resume,
        .quiet = o->quiet,
        .dashboard = o->dashboard,
        .stall = o->stall,
        .command_line = o->command_line ? o->command_line : "",
        .trace = o->trace,
    };
}

/* Keeps what is in text for the caller. */
static int give_text(struct aster_job *job, struct aster_str *text, int rc, const char **out)
{
    aster_free(&job->text);
    if (rc == 0)
        rc = aster_str_ok(job->ctx, text);
    if (rc == 0)
        rc = aster_strdup(job->ctx, aster_str_get(text), &job->text);
    aster_str_free(text);
    *out = job->text ? job->text : "";
    return rc;
}

int aster_job_check(struct aster_job *job, const struct aster_job_options *o, const char **plan)
{
    const struct aster_run_spec *spec;
    struct aster_run_options options = run_options(job, o);
    struct aster_str text = {0};
    *plan = "";
    ASTER_TRY(resolve(job, true, &spec));
    int rc = aster_run_check(job->ctx, spec, &options, &text);
    return give_text(job, &text, rc, plan);
}

int aster_job_inputs(struct aster_job *job, const char **out)
{
    const struct aster_run_spec *spec;
    struct aster_str text = {0};
    *out = "";
    ASTER_TRY(resolve(job, true, &spec));
    int rc = aster_run_inputs(job->ctx, spec, &text);
    return give_text(job, &text, rc, out);
}

int aster_job_graph(struct aster_job *job, const char *format, const char **out)
{
    const struct aster_run_spec *spec;
    struct aster_str text = {0};
    bool svg = !strcmp(format, "svg");
    *out = "";
    ASTER_TRY(resolve(job, false, &spec));
    if (!svg && strcmp(format, "dot") != 0)
        return aster_fail(job->ctx, ASTER_EPARAM, "format '%s': expected dot or svg", format);
    int rc =
        svg ? aster_pipeline_svg(job->pipeline, &text) : aster_pipeline_dot(job->pipeline, &text);
    return give_text(job, &text, rc, out);
}

int aster_job_run(struct aster_job *job, const struct aster_job_options *o,
                  struct aster_job_result *result)
{
    const struct aster_run_spec *spec;
    struct aster_run_options options = run_options(job, o);
    struct aster_run_result r = {0};
    *result = (struct aster_job_result){.dir = ""};
    ASTER_TRY(resolve(job, true, &spec));
    int rc = aster_run(job->ctx, spec, &options, &r);
    aster_free(&job->dir);
    job->dir = r.dir;
    *result = (struct aster_job_result){r.items, r.failed,      r.wall_s,
                                        r.busy,  r.peak_memory, r.dir ? r.dir : ""};
    return rc;
}

static void fill_timing(const struct aster_run_timing *t, int64_t peak,
                        struct aster_job_timing *out)
{
    const struct aster_usage *u = &t->timing.usage;
    *out = (struct aster_job_timing){.samples = t->timing.samples,
                                     .steps = t->timing.steps,
                                     .batch_size = t->batch_size,
                                     .peak_memory = peak,
                                     .n_workers = t->n_workers,
                                     .seconds = t->timing.seconds,
                                     .loss = t->timing.loss,
                                     .busy = u->busy,
                                     .transfer = u->transfer,
                                     .encode_s = u->seconds[ASTER_WORK_ENCODE],
                                     .program_s = u->seconds[ASTER_WORK_PROGRAM],
                                     .reduce_s = u->seconds[ASTER_WORK_REDUCE],
                                     .update_s = u->seconds[ASTER_WORK_UPDATE],
                                     .other_s = u->seconds[ASTER_WORK_OTHER],
                                     .modelled = u->modelled};
    snprintf(out->expected_from, sizeof out->expected_from, "%s", t->expected_from);
}

int aster_job_can_time(struct aster_job *job)
{
    const struct aster_run_spec *spec;
    ASTER_TRY(resolve(job, true, &spec));
    return aster_timing_ready(job->ctx, spec);
}

int aster_job_time(struct aster_job *job, const struct aster_job_options *o,
                   const struct aster_job_clock *clock, struct aster_job_timing *out)
{
    const struct aster_run_spec *spec;
    struct aster_run_options options = run_options(job, o);
    struct aster_run_result r = {0};
    struct aster_sim_setup setup = {.machine = clock->machine, .gpus = clock->gpus};
    struct aster_run_timing t = {.warmup = clock->warmup,
                                 .steps = clock->steps,
                                 .expect = clock->expect,
                                 .measure = clock->measure,
                                 .machine = clock->name};
    *out = (struct aster_job_timing){0};
    ASTER_TRY(resolve(job, true, &spec));
    ASTER_TRY(aster_timing_ready(job->ctx, spec));
    options.timing = &t;
    if (clock->machine)
        options.runtime.simulate = &setup;
    int rc = aster_run(job->ctx, spec, &options, &r);
    fill_timing(&t, r.peak_memory, out);
    aster_free(&r.dir);
    return rc;
}

void aster_job_stop(void)
{
    aster_run_request_stop();
}

int aster_job_report(struct aster_job *job, const char *dir, const char **path)
{
    aster_ctx_clear(job->ctx);
    aster_free(&job->text);
    int rc = aster_run_report(job->ctx, dir, &job->text);
    *path = job->text ? job->text : "";
    return rc;
}
