/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism check: every mistake of a pipeline file and its values, or what a run of it would do. */
#include "cli/cli.h"

static const struct aster_cli_option options[] = {ASTER_CLI_MACHINE_OPTIONS, ASTER_CLI_LOG_OPTIONS,
                                                  ASTER_CLI_HELP_OPTION, ASTER_CLI_END};

static int check(const struct aster_cli_args *args)
{
    struct aster_job_options o;
    struct aster_job *job = NULL;
    const char *plan;
    int status = ASTER_EXIT_BROKEN;
    if (aster_cli_has(args, "help")) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (aster_cli_machine(args, &o) == 0 && aster_cli_job(args, &job) == 0) {
        if (aster_job_check(job, &o, &plan) < 0) {
            status = aster_cli_failed(args, job, stdout);
        } else {
            aster_cli_mistakes(job, stdout, true);
            printf("%s", plan);
            status = ASTER_EXIT_DONE;
        }
    }
    aster_job_close(&job);
    return status;
}

const struct aster_cli_command aster_cmd_check = {
    "check", "FILE [name=value ...] [options]",
    "Prints every mistake in a pipeline file, its parameters and inputs, as file:line:column: "
    "message, with exit status 1; or, when "
    "there is none, what a run would do: sizes, memory and expected task times. Computes nothing.",
    options, check};
