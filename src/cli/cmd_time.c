/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism calibrate and asterism simulate: timed steps of a training or batches of an embedding,
 * here or on a machine that is not there. */
#include "cli/cli.h"
#include "pipeline/machine_file.h"
#include "runtime/runtime.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STEP_OPTIONS                                                                               \
    {"out", 'o', "DIR", "Folder of the run, which must be new or empty."},                         \
        {"steps", 0, "N", "Timed steps; without it 20."},                                          \
    {                                                                                              \
        "warmup", 0, "N",                                                                          \
            "Steps before them; without it 3. Of an embedding at least as many batches as "        \
            "workers compute."                                                                     \
    }

static const struct aster_cli_option calibrate_options[] = {
    STEP_OPTIONS,
    {"machine", 0, "NAME",
     "What the file of times calls this machine; without it the host's name."},
    ASTER_CLI_MACHINE_OPTIONS,
    ASTER_CLI_LOG_OPTIONS,
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};
static const struct aster_cli_option simulate_options[] = {
    STEP_OPTIONS,
    {"machine", 0, "FILE",
     "The machine: a file, or the name of an installed one such as h200x8-nvlink."},
    {"cpus", 0, "N", "CPU workers; without it one per core that no GPU needs."},
    {"gpus", 0, "N", "GPUs in use; without it none."},
    {"times", 0, "FILE",
     "Measured times, as calibrate writes them; without it all follow from the ops' cost."},
    {"scheduler", 0, "NAME", "StarPU's scheduling policy; without it lws, with GPUs dmdas."},
    {"free-placement", 0, NULL,
     "Let the scheduler place every task; without it shards are dealt to the GPUs."},
    {"reduction", 0, "NAME",
     "How sums over shards and updates are shared: tree, by whole gradients, or pieces, of which "
     "each GPU owns some, if they take no more than half of its memory; without it the one that "
     "suits the links. Results are the same."},
    {"trace", 0, NULL, "Write DIR/trace.tsv: worker, kind, start and end of every task."},
    ASTER_CLI_LOG_OPTIONS,
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

/* ---- what comes out: a key and a value a line; the last one says that all of it is there ---- */

static void print_ms(const char *key, double seconds, const struct aster_job_timing *t)
{
    printf("%s\t%.6f\n", key, 1e3 * seconds / t->n_workers / (double)t->steps);
}

static void print_timing(const struct aster_job_timing *t)
{
    printf("samples_per_sec\t%.6f\n", t->seconds > 0 ? (double)t->samples / t->seconds : 0);
    printf("seconds\t%.9f\nsteps\t%lld\nsamples\t%lld\nbatch_size\t%lld\nworkers\t%d\n", t->seconds,
           (long long)t->steps, (long long)t->samples, (long long)t->batch_size, t->n_workers);
    printf("step_ms\t%.6f\n", 1e3 * t->seconds / (double)t->steps);
    print_ms("program_ms", t->program_s, t);
    print_ms("optimizer_ms", t->update_s, t);
    print_ms("comm_ms", t->reduce_s, t);
    print_ms("data_ms", t->encode_s, t);
    print_ms("other_ms", t->other_s, t);
    printf("busy\t%.6f\ntransfer\t%.6f\n", t->busy, t->transfer);
    printf("loss\t%.9g\npeak_mb\t%.1f\n", t->loss, (double)t->peak_memory / 1e6);
    printf("modelled\t%.6f\ntimes_from\t%s\ncomplete\t1\n", t->modelled,
           *t->expected_from ? t->expected_from : "-");
}

static int clock_options(const struct aster_cli_args *args, struct aster_job_clock *c)
{
    *c = (struct aster_job_clock){.warmup = 3, .steps = 20};
    ASTER_TRY(aster_cli_int(args, "warmup", 0, 1000000, &c->warmup));
    return aster_cli_int(args, "steps", 1, 1000000, &c->steps);
}

static int time_job(const struct aster_cli_args *args, const struct aster_job_options *o,
                    const struct aster_job_clock *c)
{
    struct aster_job *job = NULL;
    struct aster_job_timing timing;
    int status = ASTER_EXIT_BROKEN;
    if (aster_cli_job(args, &job) == 0) {
        if (aster_job_validate(job, true) < 0 || aster_job_time(job, o, c, &timing) < 0) {
            status = aster_cli_failed(args, job, stderr);
        } else {
            print_timing(&timing);
            status = ASTER_EXIT_DONE;
        }
    }
    aster_job_close(&job);
    return status;
}

/* ---- calibrate ---- */

static int calibrate(const struct aster_cli_args *args)
{
    struct aster_job_options o;
    struct aster_job_clock c;
    char host[64] = "this-machine", *times = NULL;
    if (aster_cli_has(args, "help")) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (aster_cli_machine(args, &o) < 0 || clock_options(args, &c) < 0)
        return ASTER_EXIT_BROKEN;
    o.out = aster_cli_value(args, "out");
    if (!o.out)
        return aster_cli_misuse(args->command, "calibrate: --out DIR is missing");
    if (gethostname(host, sizeof host - 1) < 0)
        snprintf(host, sizeof host, "this-machine");
    c.name = aster_cli_value(args, "machine") ? aster_cli_value(args, "machine") : host;
    if (aster_path_join(NULL, o.out, "times.tsv", &times) < 0)
        return ASTER_EXIT_BROKEN;
    c.measure = times;
    int status = time_job(args, &o, &c);
    aster_free(&times);
    return status;
}

const struct aster_cli_command aster_cmd_calibrate = {
    "calibrate", "FILE [name=value ...] --out DIR [options]",
    "Times steps of the training in a pipeline on this machine, or batches of its embedding: the "
    "stages up to the first "
    "of these, then warm-up and timed steps, "
    "without validation. Prints the rate and where the time went; DIR/times.tsv gets the mean time "
    "of every kind and size of task, for "
    "'asterism simulate' and 'asterism scale --simulate'.",
    calibrate_options, calibrate};

/* ---- simulate ---- */

struct inside { /* what the simulated thread is given */
    const struct aster_cli_args *args;
    const struct aster_job_options *o;
    const struct aster_job_clock *c;
};

static int inside_simulation(void *arg)
{
    const struct inside *in = arg;
    return time_job(in->args, in->o, in->c);
}

/* OUT/machine gets StarPU's files, OUT the run. */
static int enter(const struct inside *in)
{
    struct aster_ctx *ctx;
    char *dir = NULL;
    int status = ASTER_EXIT_BROKEN;
    if (aster_ctx_new(&ctx) < 0)
        return status;
    int rc = aster_path_join(ctx, in->o->out, "machine", &dir);
    if (rc == 0)
        rc = aster_sim_enter(ctx, in->c->machine, in->c->gpus, dir, inside_simulation, (void *)in,
                             &status);
    if (rc < 0)
        aster_cli_error("%s", aster_ctx_message(ctx));
    aster_free(&dir);
    aster_ctx_free(&ctx);
    return rc < 0 ? ASTER_EXIT_BROKEN : status;
}

static int simulate_here(const struct aster_cli_args *args, const struct aster_sim_machine *m)
{
    struct aster_job_options o;
    struct aster_job_clock c;
    int64_t cpus = -1, gpus = 0;
    aster_job_options_default(&o);
    if (clock_options(args, &c) < 0 || aster_cli_int(args, "cpus", 1, 4096, &cpus) < 0 ||
        aster_cli_int(args, "gpus", 0, 64, &gpus) < 0)
        return ASTER_EXIT_BROKEN;
    o.out = aster_cli_value(args, "out");
    o.cpus = (int)cpus;
    o.scheduler = aster_cli_value(args, "scheduler");
    o.quiet = aster_cli_has(args, "quiet");
    o.trace = aster_cli_has(args, "trace");
    o.free_placement = aster_cli_has(args, "free-placement");
    o.reduction = aster_cli_value(args, "reduction");
    o.command_line = args->line;
    c.machine = m;
    c.gpus = (int)gpus;
    c.expect = aster_cli_value(args, "times");
    return enter(&(struct inside){args, &o, &c});
}

/* The same command by the simulating program; comes back only when that cannot be started. */
static int start_simulator(const struct aster_cli_args *args)
{
    char *path = NULL;
    if (aster_cli_simulator(&path, true) < 0)
        return ASTER_EXIT_BROKEN;
    execv(path, args->argv);
    aster_cli_error("%s: %s", path, strerror(errno));
    aster_free(&path);
    return ASTER_EXIT_BROKEN;
}

static int simulate(const struct aster_cli_args *args)
{
    struct aster_sim_machine m;
    const char *file = aster_cli_value(args, "machine");
    if (aster_cli_has(args, "help")) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (!file)
        return aster_cli_misuse(args->command, "simulate: --machine FILE is missing");
    if (!aster_cli_has(args, "out"))
        return aster_cli_misuse(args->command, "simulate: --out DIR is missing");
    if (!aster_runtime_simulates())
        return start_simulator(args);
    return aster_cli_read_machine(file, &m) < 0 ? ASTER_EXIT_BROKEN : simulate_here(args, &m);
}

const struct aster_cli_command aster_cmd_simulate = {
    "simulate", "FILE [name=value ...] --machine FILE --out DIR [options]",
    "What 'asterism calibrate' would print on another machine. The tasks are those of a real run "
    "and StarPU schedules them; "
    "nothing is computed, and time passes as the description of the machine says. Needs the "
    "simulating program, asterism-sim.",
    simulate_options, simulate};
