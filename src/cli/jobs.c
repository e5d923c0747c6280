/* SPDX-License-Identifier: BSD-3-Clause */
/* What run, check and graph share: FILE and name=value to a job, its mistakes, its parameters as
 * help. */
#include "cli/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The length of name in name=value, 0 when the word is none. */
static size_t name_length(const char *word)
{
    size_t n = 0;
    while (isalnum((unsigned char)word[n]) || word[n] == '_' || (n && word[n] == '-'))
        n++;
    return word[n] == '=' ? n : 0;
}

static int set_word(const struct aster_cli_args *args, struct aster_job *job, int w)
{
    const char *word = args->words[w];
    size_t n = name_length(word);
    char *name;
    for (int k = 0; k < w; k++)
        if (!strncmp(args->words[k], word, n + 1)) {
            aster_cli_misuse(args->command, "%s: %.*s is given twice: %s and %s",
                             args->command->name, (int)n, word, args->words[k], word);
            return -1;
        }
    if (n == 3 && !memcmp(word, "isa", 3) && aster_cli_has(args, "isa")) {
        aster_cli_misuse(args->command, "%s: the instruction set is given twice: --isa %s and %s",
                         args->command->name, aster_cli_value(args, "isa"), word);
        return -1;
    }
    ASTER_TRY(aster_strndup(NULL, word, n, &name));
    int rc = aster_job_set(job, name, word + n + 1);
    aster_free(&name);
    return rc;
}

static int find_file_word(const struct aster_cli_args *args, const char **file)
{
    *file = NULL;
    for (int i = 0; i < args->n_words; i++) {
        if (name_length(args->words[i]))
            continue;
        if (*file) {
            aster_cli_misuse(
                args->command,
                "%s: one pipeline at a time, found '%s' and '%s'; parameters are name=value",
                args->command->name, *file, args->words[i]);
            return -1;
        }
        *file = args->words[i];
    }
    if (*file)
        return 0;
    aster_cli_misuse(args->command, "%s: which pipeline? Give a file, or a name such as rcl-train",
                     args->command->name);
    return -1;
}

static int set_log(const struct aster_cli_args *args, struct aster_job *job)
{
    enum aster_job_log level = aster_cli_has(args, "quiet")     ? ASTER_JOB_QUIET
                               : aster_cli_has(args, "verbose") ? ASTER_JOB_VERBOSE
                                                                : ASTER_JOB_NORMAL;
    return aster_job_log(job, level, aster_cli_value(args, "log-file"));
}

int aster_cli_job(const struct aster_cli_args *args, struct aster_job **job)
{
    const char *file, *isa = aster_cli_value(args, "isa");
    *job = NULL;
    ASTER_TRY(find_file_word(args, &file));
    int rc = aster_job_open(file, job);
    if (rc == 0)
        rc = set_log(args, *job);
    if (rc == 0 && isa)
        rc = aster_job_set(*job, "isa", isa);
    if (rc < 0) {
        aster_cli_failed(args, *job, stderr);
        return -1;
    }
    for (int i = 0; i < args->n_words; i++)
        if (name_length(args->words[i]))
            ASTER_TRY(set_word(args, *job, i));
    return 0;
}

static bool is_gpu_list(const char *s)
{
    if (!strcmp(s, "all") || !strcmp(s, "none"))
        return true;
    for (;;) {
        if (!isdigit((unsigned char)*s))
            return false;
        while (isdigit((unsigned char)*s))
            s++;
        if (!*s)
            return true;
        if (*s++ != ',')
            return false;
    }
}

int aster_cli_machine(const struct aster_cli_args *args, struct aster_job_options *o)
{
    int64_t cpus = -1;
    aster_job_options_default(o);
    ASTER_TRY(aster_cli_int(args, "cpus", 0, 4096, &cpus));
    ASTER_TRY(aster_cli_size(args, "memory", &o->memory));
    const char *gpus = aster_cli_value(args, "gpus");
    if (gpus && !is_gpu_list(gpus)) {
        aster_cli_misuse(args->command,
                         "--gpus: expected all, none, or numbers such as 0,2, found '%s'", gpus);
        return -1;
    }
    if (aster_cli_has(args, "quiet") && aster_cli_has(args, "verbose")) {
        aster_cli_misuse(args->command, "%s: --quiet and --verbose exclude each other",
                         args->command->name);
        return -1;
    }
    o->cpus = (int)cpus;
    o->gpu_memory = aster_cli_value(args, "gpu-memory");
    o->gpus = gpus && !strcmp(gpus, "all") ? NULL : gpus;
    o->scheduler = aster_cli_value(args, "scheduler");
    o->quiet = aster_cli_has(args, "quiet");
    o->command_line = args->line;
    return 0;
}

void aster_cli_mistakes(const struct aster_job *job, FILE *to, bool warnings)
{
    bool all_warnings = aster_job_n_errors(job) == 0;
    if (all_warnings && !warnings)
        return;
    for (int64_t i = 0; i < aster_job_n_mistakes(job); i++)
        fprintf(to, "%s\n", aster_job_mistake(job, i));
}

int aster_cli_failed(const struct aster_cli_args *args, const struct aster_job *job, FILE *to)
{
    if (!job) {
        aster_cli_error("out of memory");
        return ASTER_EXIT_BROKEN;
    }
    aster_cli_mistakes(job, to, true);
    aster_cli_error("%s", aster_job_message(job));
    if (aster_cli_has(args, "verbose"))
        fprintf(stderr, "[aster] error: code %d at %s\n", aster_job_code(job),
                aster_job_place(job));
    return ASTER_EXIT_BROKEN;
}

static void print_parameter(const struct aster_job_param *q, int indent)
{
    struct aster_str text = {0};
    char type[16];
    size_t n = 0;
    for (; q->type[n] && n + 1 < sizeof type; n++)
        type[n] = (char)toupper((unsigned char)q->type[n]);
    type[n] = '\0';
    aster_str_add(&text, q->help);
    if (*q->range)
        aster_str_printf(&text, " (%s)", q->range);
    if (!q->def)
        aster_str_add(&text, " [required]");
    else
        aster_str_printf(&text, " [%s]", *q->def ? q->def : "empty");
    aster_cli_wrap(printf("  %s=%s", q->name, type), indent, aster_str_get(&text));
    aster_str_free(&text);
}

void aster_cli_parameters(const struct aster_cli_args *args, struct aster_job *job)
{
    const char *file;
    struct aster_job_param q;
    int indent = 20, n = aster_job_n_params(job);
    if (find_file_word(args, &file) < 0)
        return;
    printf("%s: %s\n\nusage: asterism run %s [name=value ...] [options]\n\n", aster_job_name(job),
           aster_job_description(job), file);
    for (int i = 0; i < n; i++)
        if (aster_job_param(job, i, &q) == 0) {
            int w = (int)(strlen(q.name) + strlen(q.type)) + 5;
            indent = w > indent && w <= 34 ? w : indent;
        }
    printf(n ? "Parameters, with type, range and [default]:\n" : "It has no parameters.\n");
    for (int i = 0; i < n; i++)
        if (aster_job_param(job, i, &q) == 0)
            print_parameter(&q, indent);
    printf("\n'asterism run --help' lists the options of a run.\n");
}
