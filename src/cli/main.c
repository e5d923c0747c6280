/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism: finds the command and runs it. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static const struct aster_cli_command *const commands[] = {
    &aster_cmd_run,   &aster_cmd_check,     &aster_cmd_graph,
    &aster_cmd_info,  &aster_cmd_report,    &aster_cmd_convert,
    &aster_cmd_scale, &aster_cmd_calibrate, &aster_cmd_simulate};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *to)
{
    fputs("usage: asterism COMMAND ...\n\n"
          "Runs molecular and protein machine-learning pipelines on every core of a machine.\n\n"
          "  asterism run FILE [name=value ...]    carry out a pipeline; 'run FILE --help' lists "
          "its parameters\n"
          "  asterism check FILE [name=value ...]  every mistake at once, or what a run would do\n"
          "  asterism graph FILE                   draw it: DOT or SVG\n"
          "  asterism info                         versions, devices, ops, kinds of stage\n"
          "  asterism report DIR                   make the report of a run again\n"
          "  asterism convert IN OUT               weights from one file format to another\n"
          "  asterism scale FILE [name=value ...]  rate and speedup by number of workers\n"
          "  asterism calibrate FILE               times of tasks on this machine\n"
          "  asterism simulate FILE                the same on a machine that is not there\n"
          "  asterism --version\n\n"
          "FILE is a pipeline file or the name of an installed one, such as rcl-train.\n"
          "'asterism COMMAND --help' lists the options of a command.\n",
          to);
}

static const struct aster_cli_command *find_command(const char *name)
{
    const char *names[N_COMMANDS];
    for (int i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i]->name;
        if (!strcmp(name, names[i]))
            return commands[i];
    }
    const char *near = aster_nearest(name, names, N_COMMANDS);
    aster_cli_misuse(NULL, "no command '%s'%s%s%s", name, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
    return NULL;
}

/* The command line as a shell would take it. */
static void command_line(int argc, char **argv, struct aster_str *out)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
    for (int i = 0; i < argc; i++) {
        bool quote = !*argv[i] || argv[i][strspn(argv[i], plain)];
        aster_str_add(out, i ? " " : "");
        aster_str_add(out, quote ? "'" : "");
        for (const char *s = argv[i]; *s; s++)
            if (quote && *s == '\'')
                aster_str_add(out, "'\\''");
            else
                aster_str_addn(out, s, 1);
        aster_str_add(out, quote ? "'" : "");
    }
}

static int run_command(const struct aster_cli_command *c, int argc, char **argv)
{
    struct aster_cli_args args = {0};
    struct aster_str line = {0};
    int status = ASTER_EXIT_BROKEN;
    command_line(argc, argv, &line);
    if (aster_cli_parse(c, argc - 2, argv + 2, &args) == 0) {
        args.line = aster_str_get(&line);
        args.argv = argv;
        status = c->run(&args);
    }
    aster_free(&args.words);
    aster_str_free(&line);
    return status;
}

/* What was printed has to arrive: a full disk is no success. */
static int closed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    aster_cli_error("the standard output: %s", strerror(errno));
    return ASTER_EXIT_BROKEN;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    signal(SIGXFSZ, SIG_IGN); /* a limit of file size is an error of writing like a full disk */
    if (argc < 2) {
        usage(stderr);
        return ASTER_EXIT_BROKEN;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        usage(stdout);
        return closed(ASTER_EXIT_DONE);
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        aster_cli_versions();
        return closed(ASTER_EXIT_DONE);
    }
    if (name[0] == '-')
        return aster_cli_misuse(NULL, "unknown option '%s' before the command", name);
    const struct aster_cli_command *c = find_command(name);
    return c ? closed(run_command(c, argc, argv)) : ASTER_EXIT_BROKEN;
}
