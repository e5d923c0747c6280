/* SPDX-License-Identifier: BSD-3-Clause */
/* Options from the command line, and help made from the same tables. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void aster_cli_error(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputs("[aster] error: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int aster_cli_misuse(const struct aster_cli_command *command, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    aster_cli_error("%s", text);
    fprintf(stderr, "Try 'asterism%s%s --help'.\n", command ? " " : "",
            command ? command->name : "");
    return ASTER_EXIT_BROKEN;
}

/* ---- parsing ---- */

static int n_options(const struct aster_cli_command *c)
{
    int n = 0;
    while (c->options[n].name)
        n++;
    return n;
}

static int find_long(const struct aster_cli_command *c, const char *name, size_t n)
{
    for (int i = 0; c->options[i].name; i++)
        if (strlen(c->options[i].name) == n && !memcmp(c->options[i].name, name, n))
            return i;
    return -1;
}

static int unknown_option(const struct aster_cli_command *c, const char *name)
{
    const char *names[ASTER_CLI_MAX_OPTIONS];
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(name, "="), name);
    for (int i = 0; i < n_options(c); i++)
        names[i] = c->options[i].name;
    const char *near = aster_nearest(word, names, n_options(c));
    aster_cli_misuse(c, "%s: unknown option '--%s'%s%s%s", c->name, word,
                     near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
    return -1;
}

struct cursor {
    int at, argc;
    char **argv;
};

/* Gives option i its value: joined is what was written in the same word, or NULL. */
static int take(struct aster_cli_args *a, int i, const char *joined, struct cursor *in)
{
    const struct aster_cli_option *o = &a->command->options[i];
    if (!o->arg) {
        a->values[i] = "";
        return 0;
    }
    if (a->values[i]) {
        aster_cli_misuse(a->command, "%s: option --%s is given twice", a->command->name, o->name);
        return -1;
    }
    if (!joined && in->at + 1 < in->argc && strncmp(in->argv[in->at + 1], "--", 2) != 0)
        joined = in->argv[++in->at];
    if (!joined || !*joined) {
        aster_cli_misuse(a->command, "%s: option --%s needs a value: --%s %s", a->command->name,
                         o->name, o->name, o->arg);
        return -1;
    }
    a->values[i] = joined;
    return 0;
}

static int take_long(struct aster_cli_args *a, const char *text, struct cursor *in)
{
    size_t n = strcspn(text, "=");
    int i = find_long(a->command, text, n);
    if (i < 0)
        return unknown_option(a->command, text);
    if (text[n] && !a->command->options[i].arg) {
        aster_cli_misuse(a->command, "%s: option --%s takes no value", a->command->name,
                         a->command->options[i].name);
        return -1;
    }
    return take(a, i, text[n] ? text + n + 1 : NULL, in);
}

/* "-qv", "-oFILE", "-o FILE" */
static int take_letters(struct aster_cli_args *a, const char *text, struct cursor *in)
{
    for (; *text; text++) {
        int i = 0;
        while (a->command->options[i].name && a->command->options[i].letter != *text)
            i++;
        if (!a->command->options[i].name) {
            aster_cli_misuse(a->command, "%s: unknown option '-%c'", a->command->name, *text);
            return -1;
        }
        if (a->command->options[i].arg)
            return take(a, i, text[1] ? text + 1 : NULL, in);
        ASTER_TRY(take(a, i, NULL, in));
    }
    return 0;
}

int aster_cli_parse(const struct aster_cli_command *command, int argc, char **argv,
                    struct aster_cli_args *args)
{
    struct cursor in = {0, argc, argv};
    bool no_more = false;
    *args = (struct aster_cli_args){.command = command};
    ASTER_TRY(aster_alloc(NULL, argc + 1, sizeof *args->words, &args->words));
    for (; in.at < argc; in.at++) {
        const char *word = argv[in.at];
        int rc = 0;
        if (no_more || word[0] != '-' || !word[1])
            args->words[args->n_words++] = word;
        else if (!strcmp(word, "--"))
            no_more = true;
        else
            rc =
                word[1] == '-' ? take_long(args, word + 2, &in) : take_letters(args, word + 1, &in);
        ASTER_TRY(rc);
    }
    return 0;
}

const char *aster_cli_value(const struct aster_cli_args *args, const char *option)
{
    int i = find_long(args->command, option, strlen(option));
    return i < 0 ? NULL : args->values[i];
}

bool aster_cli_has(const struct aster_cli_args *args, const char *option)
{
    return aster_cli_value(args, option) != NULL;
}

int aster_cli_int(const struct aster_cli_args *args, const char *option, int64_t min, int64_t max,
                  int64_t *out)
{
    const char *text = aster_cli_value(args, option);
    int64_t n;
    if (!text)
        return 0;
    if (aster_parse_i64(text, &n) < 0 || n < min || n > max) {
        aster_cli_misuse(args->command, "--%s: expected an int in %lld..%lld, found '%s'", option,
                         (long long)min, (long long)max, text);
        return -1;
    }
    *out = n;
    return 0;
}

int aster_cli_size(const struct aster_cli_args *args, const char *option, int64_t *out)
{
    const char *text = aster_cli_value(args, option);
    if (text && aster_parse_size(text, out) < 0) {
        aster_cli_misuse(
            args->command,
            "--%s: expected a size such as 512M or 4G (K, M, G, T: powers of 1024), found '%s'",
            option, text);
        return -1;
    }
    return 0;
}

/* ---- printing ---- */

enum { WIDTH = 100 };

void aster_cli_wrap(int at, int indent, const char *text)
{
    if (at > 0 && at > indent - 1) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", indent - at, "");
    at = indent;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (at > indent && at + n > WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
        }
        printf("%.*s", n, text);
        at += n;
        text += n;
        if (*text == ' ' && at + 1 + (int)strcspn(text + 1, " ") <= WIDTH) {
            putchar(' ');
            at++;
        } else if (*text == ' ') {
            at = WIDTH;
        }
        text += *text == ' ';
    }
    putchar('\n');
}

void aster_cli_help(const struct aster_cli_command *c)
{
    printf("usage: asterism %s %s\n\n", c->name, c->synopsis);
    aster_cli_wrap(0, 0, c->summary);
    printf("\nOptions:\n");
    for (const struct aster_cli_option *o = c->options; o->name; o++) {
        char letter[8] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        int at = printf("  %s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        aster_cli_wrap(at, 26, o->help);
    }
    printf("\nThe manual page asterism-%s(1) says more.\n", c->name);
}

void aster_cli_bytes(int64_t n, char out[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double x = (double)n;
    int u = 0;
    for (; x >= 1024 && u < 4; u++)
        x /= 1024;
    snprintf(out, 32, u ? "%.2f %s" : "%.0f %s", x, units[u]);
}

void aster_cli_seconds(double s, char out[48])
{
    int64_t whole = (int64_t)s;
    if (s < 120)
        snprintf(out, 48, "%.1f s", s);
    else if (s < 3600)
        snprintf(out, 48, "%lld min %02lld s", (long long)(whole / 60), (long long)(whole % 60));
    else
        snprintf(out, 48, "%lld h %02lld min %02lld s", (long long)(whole / 3600),
                 (long long)(whole / 60 % 60), (long long)(whole % 60));
}
