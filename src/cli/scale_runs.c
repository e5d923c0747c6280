/* SPDX-License-Identifier: BSD-3-Clause */
/* The runs of a scaling study: their commands, what is kept of a study that is resumed. */
#include "cli/scale.h"

#include "cli/child.h"
#include "pipeline/pipeline.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
    if (machine && aster_cli_value(a, "reduction"))
        word(w, "--reduction=%s", aster_cli_value(a, "reduction"));
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

static const char ended_well[] = "\n# ended with status 0\n";

/* The child's status is not in what it prints: this line says later that all was well. */
static void mark(const char *log)
{
    FILE *f = fopen(log, "a");
    if (!f)
        return; /* then a resumed study does it again */
    fputs(ended_well, f);
    fclose(f);
}

static bool is_marked(const char *log)
{
    char *text = NULL;
    int64_t n;
    if (!aster_file_exists(log) || aster_file_read(NULL, log, 64 << 20, &text, &n) < 0)
        return false;
    bool found = strstr(text, ended_well) != NULL;
    aster_free(&text);
    return found;
}

/* Of a study that is resumed: was this run complete? Else its folder is taken away. A prediction
 * rests on a run that may have been done again. */
static bool is_kept(const struct scale *s, const char *kind, const char *folder, const char *log,
                    struct aster_study_run *r)
{
    if (!aster_cli_has(s->args, "resume"))
        return false;
    if (!*kind && is_marked(log)) {
        read_log(log, r);
        if (r->ok)
            return true;
        *r = (struct aster_study_run){.count = r->count, .run = r->run, .batch = r->batch};
    }
    if (aster_child_clear(folder) < 0)
        snprintf(r->error, sizeof r->error,
                 "the folder of a run that was not finished cannot be removed");
    return false;
}

void scale_one_run(const struct scale *s, const char *program, int count, int run, const char *kind,
                   const char *machine, const char *times, struct aster_study_run *r)
{
    struct words w = {.n = 0};
    char folder[4200], log[4300];
    *r = (struct aster_study_run){
        .count = count, .run = run, .batch = s->study.batch_per_worker * count};
    folder_of(s, kind, count, run, folder, sizeof folder);
    snprintf(log, sizeof log, "%s.log", folder);
    if (is_kept(s, kind, folder, log, r))
        return;
    if (!*r->error) {
        command(s, program, count, machine, times, folder, &w);
        aster_child_run(w.argv, log, s->timeout, r->error, sizeof r->error);
        read_log(log, r);
        if (r->ok && !*r->error)
            mark(log);
    }
    r->ok = r->ok && !*r->error;
    if (!r->ok && !*r->error)
        snprintf(r->error, sizeof r->error,
                 "it ended without a result: in a simulation, a deadlock");
    words_free(&w);
}

/* ---- what a folder already holds ---- */

/* "pipeline 0123456789abcdef": a file and what is in it */
static int file_line(struct aster_ctx *ctx, const char *what, const char *path, struct aster_str *t)
{
    char *text;
    int64_t n;
    ASTER_TRY(aster_file_read(ctx, path, 256 << 20, &text, &n));
    aster_str_printf(t, "%s %016llx\n", what, (unsigned long long)aster_fnv1a64(text, (size_t)n));
    aster_free(&text);
    return 0;
}

static int files(struct aster_ctx *ctx, const struct scale *s, struct aster_str *t)
{
    char *path = NULL;
    ASTER_TRY(aster_find_pipeline(ctx, s->args->words[0], &path));
    int rc = file_line(ctx, "pipeline", path, t);
    aster_free(&path);
    aster_str_add(t, s->inputs);
    if (rc == 0 && s->simulate) {
        ASTER_TRY(aster_cli_find_machine(ctx, s->simulate, &path));
        rc = file_line(ctx, "machine", path, t);
        aster_free(&path);
    }
    return rc == 0 && s->times ? file_line(ctx, "times", s->times, t) : rc;
}

/* Everything that decides what a run does, but for the number of workers. */
static int settings(struct aster_ctx *ctx, const struct scale *s, struct aster_str *t)
{
    struct words w = {.n = 0};
    command(s, "", 0, s->simulate, s->times, "", &w);
    for (int k = 1; k < w.n - 1; k++) /* not the program, not its folder */
        if (strncmp(w.argv[k], "--gpus=", 7) != 0 && strncmp(w.argv[k], "--cpus=", 7) != 0 &&
            !(s->study.batch_per_worker && !strncmp(w.argv[k], "batch_size=", 11)))
            aster_str_printf(t, "%s\n", w.argv[k]);
    words_free(&w);
    aster_str_printf(t, "batch per worker %lld\n%s\n", (long long)s->study.batch_per_worker,
                     s->study.gpus ? "GPUs" : "CPUs");
    ASTER_TRY(files(ctx, s, t));
    return aster_str_ok(ctx, t);
}

static bool is_empty(const char *folder)
{
    DIR *d = opendir(folder);
    bool found = false;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        found |= strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return !found;
}

static int claim(struct aster_ctx *ctx, const struct scale *s, const char *path,
                 const struct aster_str *now)
{
    char *before = NULL;
    int64_t n;
    bool resume = aster_cli_has(s->args, "resume");
    if (!aster_file_exists(path)) {
        if (resume && !is_empty(s->out))
            return aster_fail(ctx, ASTER_EPARAM,
                              "%s holds no study to go on with: there is no %s; give another --out",
                              s->out, path);
        return aster_file_write(ctx, path, aster_str_get(now), (int64_t)now->len);
    }
    if (!resume)
        return aster_fail(ctx, ASTER_EPARAM,
                          "%s already holds a study; give another --out, or --resume", s->out);
    ASTER_TRY(aster_file_read(ctx, path, 1 << 20, &before, &n));
    bool same = !strcmp(before, aster_str_get(now));
    aster_free(&before);
    return same ? 0
                : aster_fail(ctx, ASTER_EPARAM,
                             "%s holds a study with other settings or files; they are in %s",
                             s->out, path);
}

int scale_claim_folder(const struct scale *s)
{
    struct aster_str now = {0};
    struct aster_ctx *ctx;
    char path[4300];
    snprintf(path, sizeof path, "%s/study.txt", s->out);
    ASTER_TRY(aster_ctx_new(&ctx));
    int rc = settings(ctx, s, &now);
    if (rc == 0)
        rc = claim(ctx, s, path, &now);
    if (rc < 0)
        aster_cli_error("%s", aster_ctx_message(ctx));
    aster_str_free(&now);
    aster_ctx_free(&ctx);
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

void scale_print_commands(const struct scale *s)
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
