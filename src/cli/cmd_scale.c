/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism scale: the timed steps of a pipeline with different numbers of workers, each in a
 * process of its own. */
#include "cli/child.h"
#include "cli/cli.h"
#include "flow/study.h"
#include "pipeline/machine_file.h"
#include "runtime/gpus.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_COUNTS = 64, MAX_WORKERS = 4096 };

static const struct aster_cli_option options[] = {
    {"out", 'o', "DIR", "Folder of the study; without it scaling_study_DATE_TIME."},
    {"cpus", 0, "LIST",
     "Numbers of CPU workers, such as \"1 2 4\"; the first is what the others are compared with."},
    {"gpus", 0, "LIST", "Numbers of GPUs instead, such as \"1 2 4 8\"."},
    {"runs", 0, "N", "Runs of each; without it 1."},
    {"steps", 0, "N", "Timed steps of a run; without it 20."},
    {"warmup", 0, "N", "Steps before them; without it 3."},
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
    {"resume", 0, NULL, "Keep the runs that are complete in the folder, do the others; counts and runs may be added."},
    {"dry-run", 0, NULL, "Print the command of each run and stop."},
    {"timeout", 0, "SECONDS", "A run that takes longer is ended and has failed; without it 3600."},
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

struct scale {
    const struct aster_cli_args *args;
    struct aster_study study;
    int counts[MAX_COUNTS];
    struct aster_sim_machine machine;
    const char *simulate, *times, *out;
    char *simulator; /* NULL: there is none */
    char self[4096], folder[64];
    int64_t timeout;
};

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
    if (!s->times || s->simulate)
        return 0;
    aster_cli_misuse(a->command, "scale: --times goes with --simulate");
    return -1;
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

/* The job is opened once here, so that mistakes are said once. */
static int check_job(const struct aster_cli_args *args)
{
    struct aster_job *job = NULL;
    int rc = aster_cli_job(args, &job);
    if (rc == 0 && aster_job_validate(job, true) < 0) {
        aster_cli_failed(args, job, stderr);
        rc = -1;
    }
    aster_job_close(&job);
    return rc;
}

/* ---- a run ---- */

struct words { /* of a command line */
    struct aster_str text[MAX_COUNTS];
    char *argv[MAX_COUNTS + 1];
    int n;
};

static void word(struct words *w, const char *fmt, ...) ASTER_PRINTF(2, 3);
static void word(struct words *w, const char *fmt, ...)
{
    char text[4300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (w->n == MAX_COUNTS)
        return;
    aster_str_add(&w->text[w->n], text);
    w->argv[w->n] = w->text[w->n].s;
    w->argv[++w->n] = NULL;
}

/* --gpus=0,1,2: a run here names its cards */
static void first_gpus(struct words *w, int count)
{
    struct aster_str list = {0};
    for (int k = 0; k < count; k++)
        aster_str_printf(&list, "%s%d", k ? "," : "", k);
    word(w, "--gpus=%s", aster_str_get(&list));
    aster_str_free(&list);
}

/* The command of one run; machine and times NULL: on this machine. */
static void command(const struct scale *s, const char *program, int count, const char *machine,
                    const char *times, const char *folder, struct words *w)
{
    const struct aster_cli_args *a = s->args;
    const char *scheduler = aster_cli_value(a, "scheduler");
    word(w, "%s", program);
    word(w, machine ? "simulate" : "calibrate");
    for (int k = 0; k < a->n_words; k++)
        if (!s->study.batch_per_worker || strncmp(a->words[k], "batch_size=", 11) != 0)
            word(w, "%s", a->words[k]);
    if (s->study.batch_per_worker)
        word(w, "batch_size=%lld", (long long)s->study.batch_per_worker * count);
    if (machine)
        word(w, "--machine=%s", machine);
    if (!s->study.gpus)
        word(w, "--cpus=%d", count);
    else if (machine)
        word(w, "--gpus=%d", count);
    else
        first_gpus(w, count);
    if (times)
        word(w, "--times=%s", times);
    if (scheduler)
        word(w, "--scheduler=%s", scheduler);
    if (machine && aster_cli_has(a, "free-placement"))
        word(w, "--free-placement");
    word(w, "--steps=%lld", (long long)s->study.steps);
    word(w, "--warmup=%lld", (long long)s->study.warmup);
    word(w, "--quiet");
    word(w, "--out=%s", folder);
}

static void words_free(struct words *w)
{
    for (int k = 0; k < w->n; k++)
        aster_str_free(&w->text[k]);
}

static void folder_of(const struct scale *s, const char *kind, int count, int run, char *out,
                      size_t size)
{
    snprintf(out, size, "%s/%s%s%d_run%d", s->out, kind, s->study.gpus ? "gpu" : "cpu", count, run);
}

/* What a run has printed, when it got so far. */
static void read_log(const char *log, struct aster_study_run *r)
{
    char *text = NULL;
    int64_t n;
    if (aster_file_read(NULL, log, 64 << 20, &text, &n) < 0)
        return;
    aster_study_run_read(text, r);
    if (!r->ok || *r->error)
        aster_child_last_error(text, r->error, sizeof r->error);
    aster_free(&text);
}

/* Of a study that is resumed: was this run complete? Else its folder is taken away. */
static bool is_kept(const struct scale *s, const char *folder, const char *log,
                    struct aster_study_run *r)
{
    const struct aster_study_run fresh = *r;
    if (!aster_cli_has(s->args, "resume"))
        return false;
    if (aster_file_exists(log))
        read_log(log, r);
    if (r->ok)
        return true;
    *r = fresh;
    if (aster_child_clear(folder) < 0)
        snprintf(r->error, sizeof r->error, "the folder of a run that was not finished cannot be removed");
    return false;
}

static void one_run(const struct scale *s, const char *program, int count, int run,
                    const char *kind, const char *machine, const char *times,
                    struct aster_study_run *r)
{
    struct words w = {.n = 0};
    char folder[4200], log[4300];
    *r = (struct aster_study_run){
        .count = count, .run = run, .batch = s->study.batch_per_worker * count};
    folder_of(s, kind, count, run, folder, sizeof folder);
    snprintf(log, sizeof log, "%s.log", folder);
    if (is_kept(s, folder, log, r))
        return;
    if (!*r->error) {
        command(s, program, count, machine, times, folder, &w);
        aster_child_run(w.argv, log, s->timeout, r->error, sizeof r->error);
        read_log(log, r);
    }
    r->ok = r->ok && !*r->error;
    if (!r->ok && !*r->error)
        snprintf(r->error, sizeof r->error,
                 "it ended without a result: in a simulation, a deadlock");
    words_free(&w);
}

/* ---- what a folder already holds ---- */

/* Everything that decides what a run does, but for the number of workers. */
static void settings(const struct scale *s, struct aster_str *t)
{
    struct words w = {.n = 0};
    command(s, "", 0, s->simulate, s->times, "", &w);
    for (int k = 1; k < w.n - 1; k++) /* not the program, not its folder */
        if (strncmp(w.argv[k], "--gpus=", 7) != 0 && strncmp(w.argv[k], "--cpus=", 7) != 0)
            aster_str_printf(t, "%s\n", w.argv[k]);
    words_free(&w);
}

/* A folder that holds another study, or this one without --resume, is left alone. */
static int claim(const struct scale *s)
{
    struct aster_str now = {0};
    char path[4300], *before = NULL;
    int64_t n;
    int rc = 0;
    snprintf(path, sizeof path, "%s/study.txt", s->out);
    settings(s, &now);
    if (!aster_file_exists(path)) {
        rc = aster_file_write(NULL, path, aster_str_get(&now), (int64_t)now.len);
        if (rc < 0)
            aster_cli_error("%s cannot be written", path);
    } else if (!aster_cli_has(s->args, "resume")) {
        aster_cli_error("%s already holds a study; give another --out, or --resume", s->out);
        rc = -1;
    } else if (aster_file_read(NULL, path, 1 << 20, &before, &n) < 0 ||
               strcmp(before, aster_str_get(&now)) != 0) {
        aster_cli_error("%s holds a study with other settings; they are in %s", s->out, path);
        rc = -1;
    }
    aster_free(&before);
    aster_str_free(&now);
    return rc;
}

static void quoted(const char *word)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./,:+%@";
    if (*word && strspn(word, plain) == strlen(word)) {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    putchar('\'');
}

static void print_commands(const struct scale *s)
{
    for (int k = 0; k < s->study.n_counts; k++)
        for (int r = 1; r <= s->study.runs; r++) {
            struct words w = {.n = 0};
            char folder[4200];
            folder_of(s, "", s->counts[k], r, folder, sizeof folder);
            command(s, s->simulate ? s->simulator : s->self, s->counts[k], s->simulate, s->times,
                    folder, &w);
            for (int j = 0; j < w.n; j++) {
                fputs(j ? " " : "", stdout);
                quoted(w.argv[j]);
            }
            putchar('\n');
            words_free(&w);
        }
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
        one_run(s, s->simulator, s->counts[k], 1, "predicted_", machine, times,
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
            one_run(s, s->simulate ? s->simulator : s->self, s->counts[k], r, "", s->simulate,
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
    ssize_t n = readlink("/proc/self/exe", s->self, sizeof s->self - 1);
    s->self[n > 0 ? n : 0] = '\0';
    s->study.machine = "this machine";
    if (s->simulate) {
        ASTER_TRY(aster_cli_read_machine(s->simulate, &s->machine));
        s->study.machine = s->machine.name;
        s->study.simulated = true;
    }
    ASTER_TRY(check_counts(s));
    ASTER_TRY(check_job(s->args));
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
        return claim(s);
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
        print_commands(s);
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
    aster_free(&s);
    return rc < 0 ? ASTER_EXIT_BROKEN : ASTER_EXIT_DONE;
}

const struct aster_cli_command aster_cmd_scale = {
    "scale", "FILE [name=value ...] --cpus LIST | --gpus LIST [options]",
    "Times steps of the training in a pipeline with each number of workers, several times, and "
    "writes the rate, speedup and efficiency with "
    "their spread, where the time went, and a fit: summary.txt, summary.csv, summary.json, config.txt, "
    "scaling.svg and the logs. With --simulate it "
    "predicts this for another machine; on this one a prediction is made beside the measurements "
    "where the simulating program is there.",
    options, scale};
