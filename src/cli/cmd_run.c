/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism run: carries out a pipeline. */
#include "cli/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct aster_cli_option options[] = {
    {"out", 'o', "DIR", "Run directory; without it runs/<pipeline>/run_NNN, the next free number."},
    {"resume", 0, NULL,
     "Go on with the run in --out, else with the last one of this pipeline: what is committed is "
     "not done again."},
    ASTER_CLI_MACHINE_OPTIONS,
    ASTER_CLI_LOG_OPTIONS,
    {"stall", 0, "SECONDS",
     "Warn of a CPU worker that has been in one task for so long; 0: never; without it 300."},
    {"trace", 0, NULL, "Record every task, for the timeline of the report."},
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

/* The first signal asks for an orderly end, the second ends at once. */
static void on_signal(int number)
{
    static volatile sig_atomic_t again;
    if (again) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    again = 1;
    aster_job_stop();
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}

static bool has_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static void say_result(struct aster_job *job, const struct aster_job_result *r)
{
    char wall[48], peak[32], text[512];
    aster_cli_seconds(r->wall_s, wall);
    aster_cli_bytes(r->peak_memory, peak);
    snprintf(text, sizeof text, "%lld items, %lld failed, %s, %.0f %% busy, peak memory %s, in %s",
             (long long)r->items, (long long)r->failed, wall, 100 * r->busy, peak, r->dir);
    aster_job_say(job, text);
}

static int stall_of(const struct aster_cli_args *args, double *out)
{
    const char *text = aster_cli_value(args, "stall");
    if (!text)
        return 0;
    if (aster_parse_f64(text, out) == 0 && *out >= 0)
        return 0;
    aster_cli_misuse(args->command, "--stall: expected seconds, 0 or more, found '%s'", text);
    return -1;
}

static int run_job(const struct aster_cli_args *args, struct aster_job *job)
{
    struct aster_job_options o;
    struct aster_job_result result;
    char text[512];
    if (aster_cli_machine(args, &o) < 0 || stall_of(args, &o.stall) < 0)
        return ASTER_EXIT_BROKEN;
    o.out = aster_cli_value(args, "out");
    o.resume = aster_cli_has(args, "resume");
    o.trace = aster_cli_has(args, "trace");
    o.dashboard = !o.quiet && has_terminal();
    if (aster_job_validate(job, true) < 0)
        return aster_cli_failed(args, job, stderr);
    aster_cli_mistakes(job, stderr, !o.quiet);
    catch_signals();
    int rc = aster_job_run(job, &o, &result);
    bool stopped = rc == ASTER_ESTOP;
    if (rc == 0 || stopped || result.items)
        say_result(job, &result);
    if (rc == 0)
        return result.failed ? ASTER_EXIT_SOME_FAILED : ASTER_EXIT_DONE;
    aster_cli_failed(args, job, stderr);
    snprintf(text, sizeof text, "the same command with --out %s --resume goes on from here",
             result.dir);
    if (stopped)
        aster_job_say(job, text);
    return ASTER_EXIT_BROKEN;
}

static int run(const struct aster_cli_args *args)
{
    struct aster_job *job;
    int status = ASTER_EXIT_BROKEN;
    if (aster_cli_has(args, "help") && args->n_words == 0) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (aster_cli_job(args, &job) < 0) {
        aster_job_close(&job);
        return ASTER_EXIT_BROKEN;
    }
    if (!aster_cli_has(args, "help")) {
        status = run_job(args, job);
    } else if (aster_job_n_errors(job)) {
        aster_cli_mistakes(job, stderr, true);
    } else {
        aster_cli_parameters(args, job);
        status = ASTER_EXIT_DONE;
    }
    aster_job_close(&job);
    return status;
}

const struct aster_cli_command aster_cmd_run = {
    "run", "FILE [name=value ...] [options]",
    "Carries out a pipeline: FILE is a pipeline file or the name of an installed one, name=value "
    "sets one of its parameters. "
    "'asterism run FILE --help' lists them. Exit status: 0 all items done, 1 the run could not be "
    "carried out, 2 some items failed.",
    options, run};
