/* SPDX-License-Identifier: BSD-3-Clause */
/* golden-weightfiles CASES.tsv: good weight files give the expected tensors, bad ones are refused;
 * one line per file. */
#include "golden/weightfiles_check.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { COLUMNS = 6, SLOWEST_S = 10, MOST_KB = 100 << 10 };
enum { FILE_NAME, VERDICT, EXPECTED, REASON };

struct state {
    struct aster_ctx *ctx;
    char *folder;
    struct aster_h5 *expected; /* the file last asked for */
    char *expected_name;
    int64_t n, failed;
};

static void say(struct state *s, bool good, const char *name, const char *what, const char *detail)
{
    s->n++;
    s->failed += !good;
    printf("%s: %s%s%s\n", name, good ? "" : "WRONG: ", what, detail);
    fflush(stdout);
}

/* "FILE:GROUP" */
static int open_expected(struct state *s, char *field, const char **group)
{
    char *colon = strchr(field, ':'), *path = NULL;
    if (!colon)
        return aster_fail(s->ctx, ASTER_EFORMAT, "'%s' is not FILE:GROUP", field);
    *colon = '\0';
    *group = colon + 1;
    if (s->expected_name && !strcmp(s->expected_name, field))
        return 0;
    aster_h5_close(&s->expected);
    aster_free(&s->expected_name);
    ASTER_TRY(aster_path_join(s->ctx, s->folder, field, &path));
    int rc = aster_h5_open(s->ctx, path, &s->expected);
    aster_free(&path);
    return rc < 0 ? rc : aster_strdup(s->ctx, field, &s->expected_name);
}

static void judge_values(struct state *s, const char *name, struct aster_weightfile *f,
                         char *expected, bool values)
{
    struct counts c = {0};
    const char *group = NULL;
    char text[200];
    int rc = open_expected(s, expected, &group);
    if (rc == 0)
        rc = check_weightfile(s->ctx, f, s->expected, group, s->folder, values, &c);
    snprintf(text, sizeof text, "%lld tensors, %lld numbers, %lld values%s agree",
             (long long)c.tensors, (long long)c.numbers, (long long)c.values,
             c.rows       ? ", a classifier"
             : c.no_input ? " (but a classifier, whose input is not there)"
                          : "");
    if (rc < 0)
        say(s, false, name, aster_ctx_message(s->ctx), "");
    else
        say(s, !*c.wrong, name, *c.wrong ? c.wrong : text, "");
}

/* The message names the file, or one that lies beside it (a shard). */
static bool names_file(const char *message, const char *path)
{
    const char *base = aster_path_base(path);
    return strstr(message, base) || (strstr(base, ".json") && strstr(message, "model-0"));
}

static void judge(struct state *s, char *const *field, const char *path)
{
    struct aster_weightfile *f = NULL;
    bool good = !strcmp(field[VERDICT], "good"), bad = !strcmp(field[VERDICT], "bad");
    int rc = aster_weightfile_open(s->ctx, path, &f);
    if (rc == 0 && !good)
        rc = read_weightfile(s->ctx, f);
    const char *message = aster_ctx_message(s->ctx);
    size_t n = strlen(s->folder);
    const char *shown = !strncmp(message, s->folder, n) ? message + n + 1 : message;
    if (rc == 0 && bad)
        say(s, false, field[FILE_NAME], "accepted; to be refused: ", field[REASON]);
    else if (rc == 0)
        judge_values(s, field[FILE_NAME], f, field[EXPECTED], good);
    else if (good)
        say(s, false, field[FILE_NAME], "refused: ", shown);
    else if (!names_file(message, path))
        say(s, false, field[FILE_NAME], "a message without the file's name: ", message);
    else
        say(s, true, field[FILE_NAME], "refused: ", shown);
    aster_weightfile_close(&f);
    aster_ctx_clear(s->ctx);
}

static long peak_kb(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) < 0 ? 0 : u.ru_maxrss;
}

/* A case within bounds of time and memory, nothing left allocated, nothing executed. */
static int one_case(struct state *s, char *const *field)
{
    char *path = NULL;
    ASTER_TRY(aster_path_join(s->ctx, s->folder, field[FILE_NAME], &path));
    int64_t live = aster_live_allocations();
    long peak = peak_kb();
    double start = aster_wall();
    bool had_expected = s->expected != NULL;
    judge(s, field, path);
    if (aster_wall() - start > SLOWEST_S)
        say(s, false, field[FILE_NAME], "took longer than ten seconds", "");
    if (peak_kb() - peak > MOST_KB)
        say(s, false, field[FILE_NAME], "took more than 100 MB", "");
    if (had_expected == (s->expected != NULL) && aster_live_allocations() != live)
        say(s, false, field[FILE_NAME], "left memory allocated", "");
    if (access("pwned", F_OK) == 0)
        say(s, false, field[FILE_NAME], "a file named pwned is there", "");
    aster_free(&path);
    return 0;
}

static int split(struct state *s, const char *path, int64_t number, char *line, char **field)
{
    int n = 0;
    for (char *at = line; at && n < COLUMNS; n++) {
        char *tab = strchr(at, '\t');
        field[n] = at;
        at = tab ? tab + 1 : NULL;
        if (tab)
            *tab = '\0';
    }
    if (n != COLUMNS)
        return aster_fail(s->ctx, ASTER_EFORMAT, "%s:%lld: %d columns, %d are expected", path,
                          (long long)number, n, COLUMNS);
    bool known = !strcmp(field[VERDICT], "good") || !strcmp(field[VERDICT], "bad") ||
                 !strcmp(field[VERDICT], "either");
    return known ? 0
                 : aster_fail(s->ctx, ASTER_EFORMAT,
                              "%s:%lld: verdict '%s'; good, bad or either is expected", path,
                              (long long)number, field[VERDICT]);
}

static int all_cases(struct state *s, const char *path)
{
    struct aster_lines *l = NULL;
    char *line, *field[COLUMNS];
    size_t n, folder = (size_t)(aster_path_base(path) - path);
    ASTER_TRY(
        aster_strndup(s->ctx, folder ? path : ".", folder ? folder - (folder > 1) : 1, &s->folder));
    ASTER_TRY(aster_lines_open(s->ctx, path, &l));
    int rc = aster_lines_next(l, &line, &n); /* the header */
    while (rc > 0 && (rc = aster_lines_next(l, &line, &n)) > 0) {
        rc = split(s, path, aster_lines_number(l), line, field);
        if (rc == 0)
            rc = one_case(s, field);
        rc = rc < 0 ? rc : 1;
    }
    aster_lines_close(&l);
    if (rc == 0 && s->n == 0)
        rc = aster_fail(s->ctx, ASTER_EFORMAT, "%s: has no cases", path);
    return rc;
}

int main(int argc, char **argv)
{
    struct state s = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: golden-weightfiles CASES.tsv\n"
                        "  columns file, verdict (good, bad, either), expected (FILE.h5:GROUP), "
                        "reason, must_not, reference\n");
        return 1;
    }
    if (aster_ctx_new(&s.ctx) < 0)
        return 1;
    if (access("pwned", F_OK) == 0) {
        fprintf(
            stderr,
            "a file named pwned is in the working folder; nothing could be concluded from it\n");
        return 1;
    }
    int rc = all_cases(&s, argv[1]);
    if (rc < 0)
        printf("%s\n", aster_ctx_message(s.ctx));
    else
        printf("%s: %lld cases, %lld wrong\n", aster_path_base(argv[1]), (long long)s.n,
               (long long)s.failed);
    aster_h5_close(&s.expected);
    aster_free(&s.expected_name);
    aster_free(&s.folder);
    aster_ctx_free(&s.ctx);
    return rc < 0 || s.failed;
}
