/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism graph: the stages of a pipeline as a picture. */
#include "cli/cli.h"

#include <string.h>

static const struct aster_cli_option options[] = {
    {"format", 'f', "FORMAT",
     "dot (for Graphviz) or svg; without it as FILE of --output ends, else dot."},
    {"output", 'o', "FILE", "Where to write; without it the standard output."},
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

static const char *format(const struct aster_cli_args *args)
{
    const char *given = aster_cli_value(args, "format"), *file = aster_cli_value(args, "output");
    size_t n = file ? strlen(file) : 0;
    return given ? given : n > 4 && !strcmp(file + n - 4, ".svg") ? "svg" : "dot";
}

static int write_out(const char *file, const char *text)
{
    struct aster_ctx *ctx;
    if (!file) {
        fputs(text, stdout);
        return ASTER_EXIT_DONE;
    }
    if (aster_ctx_new(&ctx) < 0)
        return ASTER_EXIT_BROKEN;
    int rc = aster_file_write(ctx, file, text, (int64_t)strlen(text));
    if (rc < 0)
        aster_cli_error("%s", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return rc < 0 ? ASTER_EXIT_BROKEN : ASTER_EXIT_DONE;
}

static int graph(const struct aster_cli_args *args)
{
    struct aster_job *job;
    const char *text;
    int status = ASTER_EXIT_BROKEN;
    if (aster_cli_has(args, "help")) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (aster_cli_job(args, &job) == 0)
        status = aster_job_graph(job, format(args), &text) < 0
                     ? aster_cli_failed(args, job, stderr)
                     : write_out(aster_cli_value(args, "output"), text);
    aster_job_close(&job);
    return status;
}

const struct aster_cli_command aster_cmd_graph = {
    "graph", "FILE [name=value ...] [options]",
    "Draws the stages of a pipeline and what each reads, as DOT or as an SVG that needs no other "
    "program.",
    options, graph};
