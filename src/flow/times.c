/* SPDX-License-Identifier: BSD-3-Clause */
/* Measured times of tasks: a line per kind and size of task, tab-separated, sorted. */
#include "flow/times.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 16 << 20, N_FIELDS = 5 };
static const char header[] = "device\tfootprint\tmean_us\tn\ttask";

/* ---- writing ---- */

static int by_name(const void *a, const void *b)
{
    const struct aster_measured_task *s = a, *t = b;
    int c = strcmp(s->name, t->name);
    return c ? c : s->footprint < t->footprint ? -1 : s->footprint > t->footprint;
}

static int write_device(struct aster_runtime *rt, bool gpu, struct aster_str *text)
{
    struct aster_measured_task *list;
    int64_t n;
    ASTER_TRY(aster_runtime_measured(rt, gpu, &list, &n));
    if (n > 0)
        qsort(list, (size_t)n, sizeof *list, by_name);
    for (int64_t k = 0; k < n; k++)
        aster_str_printf(text, "%s\t%016" PRIx64 "\t%.3f\t%lld\t%s\n", gpu ? "gpu" : "cpu",
                         list[k].footprint, list[k].mean_us, (long long)list[k].n, list[k].name);
    aster_free(&list);
    return 0;
}

int aster_times_write(struct aster_ctx *ctx, const char *path, const char *machine,
                      struct aster_runtime *rt)
{
    struct aster_str text = {0};
    int rc;
    aster_str_printf(&text, "# asterism times 1\n# machine\t%s\n# isa\t%s\n%s\n", machine,
                     aster_isa_name(aster_runtime_isa(rt)), header);
    ASTER_GOTO(write_device(rt, false, &text), done);
    ASTER_GOTO(write_device(rt, true, &text), done);
    ASTER_GOTO(aster_str_ok(ctx, &text), done);
    rc = aster_file_write(ctx, path, text.s, (int64_t)text.len);
done:
    aster_str_free(&text);
    return rc;
}

/* ---- reading ---- */

static int bad(struct aster_ctx *ctx, const char *path, int64_t line, const char *what)
{
    return aster_fail(ctx, ASTER_EFORMAT, "%s:%lld: %s; asterism calibrate writes such files", path,
                      (long long)line, what);
}

/* Cuts line at its tabs. */
static int cut(char *line, int n, char **field)
{
    int k = 0;
    for (char *s = line; s && k < n; k++) {
        field[k] = s;
        s = strchr(s, '\t');
        if (s)
            *s++ = '\0';
    }
    return k;
}

static int add_task(struct aster_ctx *ctx, const char *path, int64_t at, char *line,
                    struct aster_times *t)
{
    char *field[N_FIELDS], *end;
    struct aster_measured_task m = {0};
    if (cut(line, N_FIELDS, field) != N_FIELDS)
        return bad(ctx, path, at, "five fields were expected: device, footprint, mean_us, n, task");
    bool gpu = !strcmp(field[0], "gpu");
    if (!gpu && strcmp(field[0], "cpu") != 0)
        return bad(ctx, path, at, "the device is neither cpu nor gpu");
    m.footprint = strtoull(field[1], &end, 16);
    if (end == field[1] || *end || !m.footprint)
        return bad(ctx, path, at, "the footprint is no hexadecimal number");
    if (aster_parse_f64(field[2], &m.mean_us) < 0 || m.mean_us <= 0)
        return bad(ctx, path, at, "mean_us is no number above 0");
    if (aster_parse_i64(field[3], &m.n) < 0 || m.n < 1)
        return bad(ctx, path, at, "n is no number from 1 on");
    snprintf(m.name, sizeof m.name, "%.*s", ASTER_CUT(23, field[4]));
    int64_t cap = t->cap;
    ASTER_TRY(aster_grow(ctx, t->n + 1, sizeof *t->task, &cap, &t->task));
    ASTER_TRY(aster_grow(ctx, t->n + 1, sizeof *t->on_gpu, &t->cap, &t->on_gpu));
    t->task[t->n] = m;
    t->on_gpu[t->n++] = gpu;
    return 0;
}

static void take_fact(char *line, struct aster_times *t)
{
    char *value = strchr(line, '\t');
    if (value && !strncmp(line, "# machine\t", 10))
        snprintf(t->machine, sizeof t->machine, "%.*s", ASTER_CUT(63, value + 1));
    if (value && !strncmp(line, "# isa\t", 6))
        snprintf(t->isa, sizeof t->isa, "%.*s", ASTER_CUT(31, value + 1));
}

int aster_times_read(struct aster_ctx *ctx, const char *path, struct aster_times *out)
{
    char *text, *next;
    int64_t n, at = 0;
    bool began = false;
    int rc = 0;
    *out = (struct aster_times){0};
    ASTER_TRY(aster_file_read(ctx, path, LIMIT, &text, &n));
    if (strncmp(text, "# asterism times 1\n", 19))
        rc = bad(ctx, path, 1, "'# asterism times 1' was expected");
    for (char *line = text; rc == 0 && line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        at++;
        if (*line == '#')
            take_fact(line, out);
        else if (!began && strcmp(line, header))
            rc = bad(ctx, path, at, "the line with the names of the fields was expected");
        else if (began)
            rc = add_task(ctx, path, at, line, out);
        began |= *line != '#';
    }
    if (rc == 0 && !out->n)
        rc = bad(ctx, path, at, "no task is in it");
    aster_free(&text);
    if (rc < 0)
        aster_times_free(out);
    return rc;
}

int aster_times_expect(struct aster_ctx *ctx, const struct aster_times *t, struct aster_runtime *rt)
{
    for (int64_t k = 0; k < t->n; k++)
        if (!aster_runtime_expect(rt, t->on_gpu[k], &t->task[k]))
            return aster_fail(ctx, ASTER_ELIMIT,
                              "measured times of %lld tasks are too many for a simulation",
                              (long long)t->n);
    return 0;
}

void aster_times_free(struct aster_times *t)
{
    aster_free(&t->task);
    aster_free(&t->on_gpu);
    t->n = t->cap = 0;
}
