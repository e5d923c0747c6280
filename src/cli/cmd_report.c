/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism report: the report of a run, made again from its directory. */
#include "cli/cli.h"

static const struct aster_cli_option options[] = {
    {"verbose", 'v', NULL, "Say where in the program an error came from."},
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

static int report(const struct aster_cli_args *args)
{
    struct aster_job *job;
    const char *path;
    int status = ASTER_EXIT_DONE;
    if (aster_cli_has(args, "help")) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (args->n_words != 1)
        return aster_cli_misuse(args->command, "report: expected one run directory, found %d",
                                args->n_words);
    int rc = aster_job_open(NULL, &job);
    if (rc == 0)
        rc = aster_job_report(job, args->words[0], &path);
    if (rc < 0)
        status = aster_cli_failed(args, job, stderr);
    else
        printf("%s\n", path);
    aster_job_close(&job);
    return status;
}

const struct aster_cli_command aster_cmd_report = {
    "report", "DIR [options]", "Makes report.html of a run directory again, and prints its name.",
    options, report};
