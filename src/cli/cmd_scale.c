/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism scale: the timed steps of a pipeline with different numbers of workers, each in a
 * process of its own. */
#include "cli/scale.h"

#include "cli/child.h"
#include "pipeline/machine_file.h"
#include "runtime/gpus.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct aster_cli_option options[] = {
    {"out", 'o', "DIR", "Folder of the study; without it scaling_study_DATE_TIME."},
    {"cpus", 0, "LIST",
     "Numbers of CPU workers, such as \"1 2 4\"; the first is what the others are compared with."},
    {"gpus", 0, "LIST", "Numbers of GPUs instead, such as \"1 2 4 8\"."},
    {"runs", 0, "N", "Runs of each; without it 1."},
    {"steps", 0, "N", "Timed steps of a run; without it 20."},
    {"warmup", 0, "N",
     "Steps before them; without it 3. Of an embedding at least as many batches as workers "
     "compute."},
    {"batch-per-worker", 0, "N",
     "Samples per worker: batch_size grows with their number. Without it batch_size stays."},
    {"simulate", 0, "MACHINE",
     "Predict for a machine that is not there: a file, or a name such as h200x8-nvlink."},
    {"times", 0, "FILE", "With --simulate: measured times of tasks, as calibrate writes them."},
    {"scheduler", 0, "NAME",
     "StarPU's scheduling policy; without it the one that suits the devices."},
    {"free-placement", 0, NULL,
     "With --simulate: let the scheduler place every task; without it shards are dealt to the "
     "GPUs."},
    {"reduction", 0, "NAME",
     "With --simulate: tree or pieces, as simulate takes it; without it the one that suits the "
     "links."},
    {"resume", 0, NULL,
     "Keep the runs that are complete in the folder, do the others; counts and runs may be added."},
    {"dry-run", 0, NULL, "Print the command of each run and stop."},
    {"timeout", 0, "SECONDS", "A run that takes longer is ended and has failed; without it 3600."},
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

/* ---- what is asked for ---- */

static int read_counts(struct scale *s, const char *option, const char *text)
{
    struct aster_study *t = &s->study;
    while (*text) {
        char *end;
        text += strspn(text, " ,");
        if (!*text)
            break;
        long n = strtol(text, &end, 10);
        if (end == text || (*end && *end != ' ' && *end != ',') || n < 1 || n > MAX_WORKERS ||
            t->n_counts == MAX_COUNTS) {
            aster_cli_misuse(s->args->command,
                             "--%s: expected numbers in 1..%d such as \"1 2 4\", found '%s'",
                             option, MAX_WORKERS, text);
            return -1;
        }
        s->counts[t->n_counts++] = (int)n;
        text = end;
    }
    t->counts = s->counts;
    if (t->n_counts)
        return 0;
    aster_cli_misuse(s->args->command, "--%s: there is no number in it", option);
    return -1;
}

/* What only a simulation takes; every run would find a mistake in it anew. */
static int check_simulation(const struct scale *s)
{
    static const char *const only[] = {"times", "reduction", "free-placement"};
    const struct aster_cli_args *a = s->args;
    const char *reduction = aster_cli_value(a, "reduction");
    bool pieces = reduction && !strcmp(reduction, "pieces");
    for (size_t k = 0; k < sizeof only / sizeof *only; k++)
        if (aster_cli_has(a, only[k]) && !s->simulate) {
            aster_cli_misuse(a->command, "scale: --%s goes with --simulate", only[k]);
            return -1;
        }
    if (reduction && !pieces && strcmp(reduction, "tree") != 0) {
        aster_cli_misuse(a->command, "scale: --reduction: expected tree or pieces, found '%s'",
                         reduction);
        return -1;
    }
    if (pieces && s->study.gpus && aster_cli_has(a, "free-placement")) {
        aster_cli_misuse(a->command, "scale: --reduction pieces needs shards that are dealt to the "
                                     "GPUs; leave out --free-placement");
        return -1;
    }
    return 0;
}

static int read_options(struct scale *s)
{
    const struct aster_cli_args *a = s->args;
    const char *cpus = aster_cli_value(a, "cpus"), *gpus = aster_cli_value(a, "gpus");
    struct aster_study *t = &s->study;
    if (!cpus == !gpus) {
        aster_cli_misuse(a->command, "scale: give one of --cpus \"1 2 4\" and --gpus \"1 2 4 8\"");
        return -1;
    }
    t->gpus = gpus != NULL;
    t->runs = 1;
    t->steps = 20;
    t->warmup = 3;
    t->command_line = a->line;
    t->pipeline = a->n_words ? a->words[0] : "";
    s->timeout = 3600;
    s->simulate = aster_cli_value(a, "simulate");
    s->times = aster_cli_value(a, "times");
    s->out = aster_cli_value(a, "out");
    ASTER_TRY(read_counts(s, gpus ? "gpus" : "cpus", gpus ? gpus : cpus));
    ASTER_TRY(aster_cli_int(a, "runs", 1, 1000, &t->runs));
    ASTER_TRY(aster_cli_int(a, "steps", 1, 1000000, &t->steps));
    ASTER_TRY(aster_cli_int(a, "warmup", 0, 1000000, &t->warmup));
    ASTER_TRY(aster_cli_int(a, "batch-per-worker", 1, 65536, &t->batch_per_worker));
    ASTER_TRY(aster_cli_int(a, "timeout", 1, 10000000, &s->timeout));
    return check_simulation(s);
}

/* A count that is not there is an error, never a smaller run. */
static int check_counts(struct scale *s)
{
    struct aster_gpus gpus = {0};
    int most = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (s->simulate) {
        most = s->study.gpus ? s->machine.n_gpus : s->machine.cores;
    } else if (s->study.gpus) {
        aster_gpus_look(&gpus);
        most = gpus.n;
    }
    for (int k = 0; k < s->study.n_counts; k++)
        if (s->counts[k] > most) {
            aster_cli_error("%d %s: %s has %d%s%s", s->counts[k],
                            s->study.gpus ? "GPUs" : "CPU workers",
                            s->simulate ? s->machine.name : "this machine", most,
                            *gpus.why ? "; " : "", gpus.why);
            return -1;
        }
    return 0;
}

/* With samples per worker, batch_size is set to the largest that a run will have. */
static int set_batch(const struct scale *s, struct aster_job *job)
{
    struct aster_job_param q;
    char value[24];
    int most = 0;
    if (!s->study.batch_per_worker)
        return 0;
    for (int k = 0; k < s->study.n_counts; k++)
        most = s->counts[k] > most ? s->counts[k] : most;
    snprintf(value, sizeof value, "%lld", (long long)s->study.batch_per_worker * most);
    for (int i = 0; i < aster_job_n_params(job); i++)
        if (aster_job_param(job, i, &q) == 0 && !strcmp(q.name, "batch_size"))
            return aster_job_set(job, "batch_size", value);
    aster_cli_error("--batch-per-worker: %s has no parameter batch_size", aster_job_name(job));
    return ASTER_EPARAM;
}

/* The job is opened once here, so that mistakes are said once. */
static int check_job(struct scale *s)
{
    struct aster_job *job = NULL;
    const char *inputs = "";
    int rc = aster_cli_job(s->args, &job);
    if (rc == 0 && aster_job_can_time(job) < 0) {
        aster_cli_failed(s->args, job, stderr);
        rc = -1;
    }
    if (rc == 0)
        rc = set_batch(s, job);
    if (rc == 0 && aster_job_inputs(job, &inputs) < 0) {
        aster_cli_failed(s->args, job, stderr);
        rc = -1;
    }
    if (rc == 0)
        rc = aster_strdup(NULL, inputs, &s->inputs);
    aster_job_close(&job);
    return rc;
}

/* ---- this machine, predicted ---- */

/* Its cores; what they do follows from the measured times, and for tasks without one from careful
 * numbers. */
static int write_this_machine(const struct scale *s, const char *path)
{
    struct aster_str t = {0};
    aster_str_printf(&t,
                     "asterism: 1\nmachine: this-machine\ncpu: {cores: %ld, gflops_f32: 40, "
                     "gflops_f64: 20, bandwidth_gbs: 5, memory_gb: %.3f}\n",
                     sysconf(_SC_NPROCESSORS_ONLN),
                     1e-9 * (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE));
    int rc = aster_str_ok(NULL, &t);
    if (rc == 0)
        rc = aster_file_write(NULL, path, t.s, (int64_t)t.len);
    aster_str_free(&t);
    if (rc < 0)
        aster_cli_error("%s cannot be written", path);
    return rc;
}

static int predict(struct scale *s)
{
    char machine[4300], times[4300];
    snprintf(machine, sizeof machine, "%s/machine.yaml", s->out);
    snprintf(times, sizeof times, "%s/cpu%d_run1/times.tsv", s->out, s->counts[0]);
    if (s->study.gpus || !aster_file_exists(times))
        return 0;
    ASTER_TRY(write_this_machine(s, machine));
    ASTER_TRY(
        aster_alloc(NULL, s->study.n_counts, sizeof *s->study.predicted, &s->study.predicted));
    for (int k = 0; k < s->study.n_counts; k++)
        scale_one_run(s, s->simulator, s->counts[k], 1, "predicted_", machine, times,
                      &s->study.predicted[k]);
    return 0;
}

/* ---- the study ---- */

static int all_runs(struct scale *s)
{
    struct aster_study *t = &s->study;
    ASTER_TRY(aster_alloc(NULL, (int64_t)t->n_counts * t->runs, sizeof *t->run, &t->run));
    for (int k = 0; k < t->n_counts; k++)
        for (int r = 1; r <= t->runs; r++) {
            struct aster_study_run *run = &t->run[k * t->runs + r - 1];
            scale_one_run(s, s->simulate ? s->simulator : s->self, s->counts[k], r, "", s->simulate,
                          s->times, run);
            fprintf(stderr, "[aster] info: %d %s, run %d of %lld: ", s->counts[k],
                    t->gpus ? "GPUs" : "CPUs", r, (long long)t->runs);
            if (run->ok)
                fprintf(stderr, "%.1f samples/s\n", run->throughput);
            else
                fprintf(stderr, "failed: %s\n", run->error);
        }
    return s->simulate || !s->simulator ? 0 : predict(s);
}

static int report(struct scale *s)
{
    struct aster_ctx *ctx;
    struct aster_str text = {0};
    int64_t failed = 0;
    ASTER_TRY(aster_ctx_new(&ctx));
    int rc = aster_study_write(ctx, &s->study, s->out, &text);
    if (rc < 0)
        aster_cli_error("%s", aster_ctx_message(ctx));
    else
        fputs(aster_str_get(&text), stdout);
    for (int64_t k = 0; k < s->study.n_counts * s->study.runs; k++)
        failed += !s->study.run[k].ok;
    if (rc == 0 && failed)
        aster_cli_error("%lld of %lld runs failed", (long long)failed,
                        (long long)(s->study.n_counts * s->study.runs));
    aster_str_free(&text);
    aster_ctx_free(&ctx);
    return rc < 0 || failed ? -1 : 0;
}

static int prepare(struct scale *s)
{
    const char *start = getenv("ASTERISM_START"); /* what a bundle is started by */
    ssize_t n = readlink("/proc/self/exe", s->self, sizeof s->self - 1);
    s->self[n > 0 ? n : 0] = '\0';
    if (start && *start)
        snprintf(s->self, sizeof s->self, "%s", start);
    s->study.machine = "this machine";
    if (s->simulate) {
        ASTER_TRY(aster_cli_read_machine(s->simulate, &s->machine));
        s->study.machine = s->machine.name;
        s->study.simulated = true;
    }
    ASTER_TRY(check_counts(s));
    ASTER_TRY(check_job(s));
    if (aster_cli_simulator(&s->simulator, s->simulate != NULL) < 0 && s->simulate)
        return -1;
    if (!s->out) {
        aster_child_dated("scaling_study_", s->folder, sizeof s->folder);
        s->out = s->folder;
    }
    return 0;
}

static int make_folder(const struct scale *s)
{
    if (aster_mkdirs(NULL, s->out) == 0)
        return scale_claim_folder(s);
    aster_cli_error("%s: the folder cannot be made", s->out);
    return -1;
}

static int scale(const struct aster_cli_args *args)
{
    struct scale *s;
    int rc;
    if (aster_cli_has(args, "help")) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (aster_alloc(NULL, 1, sizeof *s, &s) < 0)
        return ASTER_EXIT_BROKEN;
    s->args = args;
    ASTER_GOTO(read_options(s), done);
    ASTER_GOTO(prepare(s), done);
    if (aster_cli_has(args, "dry-run")) {
        scale_print_commands(s);
        rc = 0;
        goto done;
    }
    ASTER_GOTO(make_folder(s), done);
    ASTER_GOTO(all_runs(s), done);
    rc = report(s);
done:
    aster_free(&s->study.run);
    aster_free(&s->study.predicted);
    aster_free(&s->simulator);
    aster_free(&s->inputs);
    aster_free(&s);
    return rc < 0 ? ASTER_EXIT_BROKEN : ASTER_EXIT_DONE;
}

const struct aster_cli_command aster_cmd_scale = {
    "scale", "FILE [name=value ...] --cpus LIST | --gpus LIST [options]",
    "Times steps of the training in a pipeline, or batches of its embedding, with each number of "
    "workers, several times, and "
    "writes the rate, speedup and efficiency with "
    "their spread, where the time went, and a fit: summary.txt, summary.csv, summary.json, "
    "config.txt, "
    "scaling.svg and the logs. With --simulate it "
    "predicts this for another machine; on this one a prediction is made beside the measurements "
    "where the simulating program is there.",
    options, scale};
