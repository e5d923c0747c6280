/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line: commands, their options, what goes to the terminal. */
#ifndef ASTER_CLI_H
#define ASTER_CLI_H

#include "asterism.h"
#include "base/base.h"

enum { ASTER_EXIT_DONE = 0, ASTER_EXIT_BROKEN = 1, ASTER_EXIT_SOME_FAILED = 2 };
enum { ASTER_CLI_MAX_OPTIONS = 24 };

struct aster_cli_option {
    const char *name;
    char letter;     /* 0: none */
    const char *arg; /* "DIR"; NULL: a switch */
    const char *help;
};

struct aster_cli_args;
struct aster_cli_command {
    const char *name, *synopsis, *summary;
    const struct aster_cli_option *options;        /* ends with name NULL */
    int (*run)(const struct aster_cli_args *args); /* the exit status */
};
extern const struct aster_cli_command aster_cmd_run, aster_cmd_check, aster_cmd_graph,
    aster_cmd_info, aster_cmd_report, aster_cmd_convert, aster_cmd_scale, aster_cmd_calibrate,
    aster_cmd_simulate;

struct aster_cli_args {
    const struct aster_cli_command *command;
    /* as command->options; NULL: not given, "": a switch */
    const char *values[ASTER_CLI_MAX_OPTIONS];
    int n_words;
    const char **words; /* everything that is no option */
    const char *line;   /* the whole command line, for the record */
    char **argv;        /* of the program */
};

/* Options in any order, --opt=value, -oVALUE, --. 0, or -1 after a message. args->words is
 * allocated. */
ASTER_CHECKED int aster_cli_parse(const struct aster_cli_command *command, int argc, char **argv,
                                  struct aster_cli_args *args);
/* NULL: not given */
const char *aster_cli_value(const struct aster_cli_args *args, const char *option);
bool aster_cli_has(const struct aster_cli_args *args, const char *option);
/* 0; -1 after a message. *out stays when the option is not given. */
ASTER_CHECKED int aster_cli_int(const struct aster_cli_args *args, const char *option, int64_t min,
                                int64_t max, int64_t *out);
/* 512M, 4G */
ASTER_CHECKED int aster_cli_size(const struct aster_cli_args *args, const char *option,
                                 int64_t *out);

void aster_cli_versions(void); /* asterism --version */
void aster_cli_help(const struct aster_cli_command *command);
/* Says what is wrong and where help is, on stderr; gives ASTER_EXIT_BROKEN. */
int aster_cli_misuse(const struct aster_cli_command *command, const char *fmt, ...)
    ASTER_PRINTF(2, 3);
/* "[aster] error: ..." */
void aster_cli_error(const char *fmt, ...) ASTER_PRINTF(1, 2);

/* Text in lines of at most 100 columns, the later ones indented; at: the column reached already. */
void aster_cli_wrap(int at, int indent, const char *text);
void aster_cli_bytes(int64_t n, char out[32]);  /* "1.5 GiB" */
void aster_cli_seconds(double s, char out[48]); /* "3.2 s", "1 h 02 min 03 s" */

/* Path of the simulating program, the caller's to free; -1 when there is none, after a message if
 * it is needed. */
ASTER_CHECKED int aster_cli_simulator(char **out, bool needed);
/* name: a file, or an installed machine; -1 after a message. */
struct aster_sim_machine;
ASTER_CHECKED int aster_cli_find_machine(struct aster_ctx *ctx, const char *name, char **path);
ASTER_CHECKED int aster_cli_read_machine(const char *name, struct aster_sim_machine *out);

/* The options that run and check share, and what they come to. */
/* clang-format off */
#define ASTER_CLI_MACHINE_OPTIONS \
    {"cpus", 0, "N", "CPU workers; without it one per core."}, \
    {"gpus", 0, "LIST", "GPUs to use: all, none, or numbers such as 0,2; without it all."}, \
    {"scheduler", 0, "NAME", \
     "StarPU's scheduling policy; without it the one that suits the devices."}, \
    {"isa", 0, "NAME", \
     "Instruction set of the CPU kernels: auto, x86-64, avx2, avx512 or avx512bf16; " \
     "isa=NAME is the same."}, \
    {"memory", 0, "SIZE", \
     "Most memory that data of tasks may take, such as 512M or 4G; " \
     "without it 80 % of what is free."}, \
    {"gpu-memory", 0, "SIZE", \
     "Most memory of each GPU that data of tasks may take, such as 20G, or of some: 0=20G,2=8G; " \
     "without it all that is free."}
#define ASTER_CLI_LOG_OPTIONS \
    {"quiet", 'q', NULL, "Only warnings and errors on the terminal."}, \
    {"verbose", 'v', NULL, "More on the terminal, with places in the program."}, \
    {"log-file", 0, "FILE", "Also append every message, with its time, to FILE."}
#define ASTER_CLI_HELP_OPTION {"help", 'h', NULL, "Print this help and stop."}
#define ASTER_CLI_END {NULL, 0, NULL, NULL}
/* clang-format on */

ASTER_CHECKED int aster_cli_machine(const struct aster_cli_args *args, struct aster_job_options *o);

/* Opens the FILE among the words and sets its name=value. *job is to be closed by the caller also
 * after -1, which comes after a message. */
ASTER_CHECKED int aster_cli_job(const struct aster_cli_args *args, struct aster_job **job);
/* Mistakes, one a line. */
void aster_cli_mistakes(const struct aster_job *job, FILE *to, bool warnings);
/* After a call on job failed: mistakes, or the error; gives ASTER_EXIT_BROKEN. */
int aster_cli_failed(const struct aster_cli_args *args, const struct aster_job *job, FILE *to);
/* the help of a pipeline file */
void aster_cli_parameters(const struct aster_cli_args *args, struct aster_job *job);

#endif
