/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipelines run from C by asterism.h alone: opened, set, checked, drawn, run. */
#include "asterism.h"

#include "flow/flow.h"
#include "lib/tap.h"
#include "pipeline/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char yaml[4096], table[4096];

static bool paths(void)
{
    const char *src = getenv("srcdir");
    char pipelines[4096];
    snprintf(pipelines, sizeof pipelines, "%s/pipelines/rcl-validate.yaml", src ? src : ".");
    if (!realpath(pipelines, yaml))
        return false;
    snprintf(pipelines, sizeof pipelines, "%s/data/synthetic/serpins_test.csv", src ? src : ".");
    return realpath(pipelines, table) != NULL;
}

static void no_file(void)
{
    struct aster_job *job;
    const char *path;
    int rc = aster_job_open("/nowhere/x.yaml", &job);
    tap_ok(rc < 0 && job && strstr(aster_job_message(job), "/nowhere/x.yaml") &&
               aster_job_code(job) == rc,
           "a file that is not there: %s", job ? aster_job_message(job) : "no job");
    tap_ok(aster_job_n_params(job) == 0 && aster_job_n_mistakes(job) == 0 && !*aster_job_name(job),
           "such a job is empty");
    tap_ok(aster_job_validate(job, true) < 0 && strstr(aster_job_message(job), "no pipeline file"),
           "and cannot be checked");
    aster_job_close(&job);
    tap_ok(!job, "closing clears the pointer");
    aster_job_close(&job);
    rc = aster_job_open(NULL, &job);
    tap_ok(rc == 0 && aster_job_report(job, "/nowhere", &path) < 0 && !*path,
           "a report of nothing: %s", aster_job_message(job));
    aster_job_close(&job);
}

static void mistakes(struct aster_job *job)
{
    const char *text;
    int rc = aster_job_set(job, "max_length", "many");
    rc |= aster_job_set(job, "isa", "sse9");
    rc |= aster_job_set(job, "flies", "x");
    tap_ok(rc == 0 && aster_job_validate(job, true) < 0, "wrong values are mistakes");
    tap_ok(aster_job_n_errors(job) >= 3, "all of them: %lld", (long long)aster_job_n_errors(job));
    bool found[3] = {false, false, false};
    for (int64_t i = 0; i < aster_job_n_mistakes(job); i++) {
        found[0] |= strstr(aster_job_mistake(job, i),
                           "argument 'max_length=many': expected an int") != NULL;
        found[1] |= strstr(aster_job_mistake(job, i), "argument isa=sse9: expected auto") != NULL;
        found[2] |= strstr(aster_job_mistake(job, i), "did you mean 'files'?") != NULL;
    }
    tap_ok(found[0] && found[1] && found[2], "type, instruction set, name");
    tap_ok(aster_job_graph(job, "dot", &text) < 0 && !*text, "what has mistakes is not drawn");
}

static void right(const char *dir)
{
    struct aster_job_options o;
    struct aster_job_result result;
    struct aster_job_param q;
    struct aster_job *job;
    const char *text;
    int rc = aster_job_open(yaml, &job);
    tap_ok(rc == 0 && !strcmp(aster_job_name(job), "rcl-validate") && aster_job_n_params(job) > 0,
           "an installed pipeline");
    mistakes(job);
    aster_job_close(&job);
    rc = aster_job_open(yaml, &job);
    rc |= aster_job_param(job, 0, &q);
    tap_ok(rc == 0 && !strcmp(q.name, "files") && !strcmp(q.type, "files") && q.def && *q.help,
           "its parameters");
    tap_ok(aster_job_param(job, 1000, &q) < 0, "there are not so many");
    rc = aster_job_set(job, "files", "/nowhere/a.csv") | aster_job_set(job, "files", table);
    tap_ok(rc == 0 && aster_job_validate(job, true) == 0, "the last value counts: %s",
           aster_job_message(job));
    tap_ok(aster_job_graph(job, "svg", &text) == 0 && strstr(text, "</svg>"), "a picture");
    tap_ok(aster_job_graph(job, "png", &text) < 0, "no other formats");
    aster_job_options_default(&o);
    o.out = dir;
    o.cpus = 1;
    o.quiet = true;
    rc = aster_job_log(job, ASTER_JOB_QUIET, NULL);
    rc |= aster_job_check(job, &o, &text);
    tap_ok(rc == 0 && *text, "the plan: %s", aster_job_message(job));
    rc = aster_job_run(job, &o, &result);
    tap_ok(rc == 0 && result.items > 0 && result.failed < result.items && result.wall_s >= 0 &&
               !strcmp(result.dir, dir),
           "a run: %lld items, %s", (long long)result.items, aster_job_message(job));
    tap_ok(aster_job_run(job, &o, &result) < 0 && *aster_job_message(job),
           "not twice into one folder: %s", aster_job_message(job));
    tap_ok(aster_job_report(job, dir, &text) == 0 && strstr(text, "report.html"), "its report");
    aster_job_close(&job);
}

/* Every default of every kind of stage has the type and range that it is declared with. */
static void defaults_of_kinds(void)
{
    struct aster_kinds kinds = {aster_stage_n_kinds(), aster_stage_kind};
    struct aster_ctx *ctx;
    if (aster_ctx_new(&ctx) < 0)
        return;
    for (int i = 0; i < kinds.n; i++) {
        char text[256];
        struct aster_pipeline *p = NULL;
        const struct aster_run_spec *spec;
        snprintf(text, sizeof text, "asterism: 1\npipeline: t\nstages:\n  s: {stage: %s}\n",
                 kinds.at(i)->name);
        int rc = aster_pipeline_parse(ctx, kinds, "t.yaml", text, strlen(text), &p);
        if (rc == 0)
            rc = aster_pipeline_resolve(p, false, &spec);
        tap_ok(rc == 0, "defaults of %s: %s", kinds.at(i)->name, aster_ctx_message(ctx));
        aster_pipeline_free(&p);
    }
    aster_ctx_free(&ctx);
}

int main(void)
{
    char folder[] = "job-XX"
                    "XX"
                    "XX",
         dir[64], clean[128];
    if (!paths() || !mkdtemp(folder)) {
        tap_ok(false, "pipelines and data are there (srcdir)");
        return tap_done();
    }
    snprintf(dir, sizeof dir, "%s/run", folder);
    no_file();
    right(dir);
    defaults_of_kinds();
    tap_ok(aster_live_allocations() == 0, "nothing left allocated (%lld)",
           (long long)aster_live_allocations());
    snprintf(clean, sizeof clean, "rm -rf %s", folder);
    if (system(clean) != 0)
        tap_note("%s stays behind", folder);
    return tap_done();
}
