/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of a plain or gzip file, or of stdin. */
#include "io/internal.h"

#include <string.h>

#define LINE_LIMIT (1LL << 30)

struct aster_lines {
    struct aster_ctx *ctx;
    struct aster_source *source;
    char *text, *buffer;
    int64_t n, cap, line;
    int64_t got, at; /* of buffer */
    bool end, has_nul;
};
enum { BUFFER = 1 << 16 };

int aster_lines_open(struct aster_ctx *ctx, const char *path, struct aster_lines **out)
{
    struct aster_lines *l = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *l, &l));
    l->ctx = ctx;
    ASTER_GOTO(aster_alloc(ctx, BUFFER, 1, &l->buffer), fail);
    ASTER_GOTO(aster_source_open(ctx, path, &l->source), fail);
    *out = l;
    return 0;
fail:
    aster_lines_close(&l);
    return rc;
}

static int refill(struct aster_lines *l)
{
    l->at = l->got = 0;
    ASTER_TRY(aster_source_read(l->source, l->buffer, BUFFER, l->line, &l->got));
    l->end = l->got == 0;
    l->has_nul = memchr(l->buffer, '\0', (size_t)l->got) != NULL;
    return 0;
}

/* The pieces of a line that reaches over the end of the buffer are put together in text. */
static int keep(struct aster_lines *l, const char *from, int64_t n)
{
    if (l->n + n > LINE_LIMIT)
        return aster_fail(l->ctx, ASTER_ELIMIT, "%s:%lld: the line is longer than 1 GiB",
                          aster_lines_path(l), (long long)l->line + 1);
    ASTER_TRY(aster_grow(l->ctx, l->n + n + 1, 1, &l->cap, &l->text));
    memcpy(l->text + l->n, from, (size_t)n);
    l->n += n;
    return 0;
}

int aster_lines_next(struct aster_lines *l, char **text, size_t *n)
{
    l->n = 0;
    bool any = false;
    char *newline = NULL;
    while (!newline) {
        if (l->at == l->got) {
            if (!l->end)
                ASTER_TRY(refill(l));
            if (l->end)
                break;
        }
        char *from = l->buffer + l->at;
        newline = memchr(from, '\n', (size_t)(l->got - l->at));
        int64_t take = newline ? newline - from : l->got - l->at;
        if (l->has_nul && memchr(from, '\0', (size_t)take))
            return aster_fail(l->ctx, ASTER_EFORMAT,
                              "%s:%lld: has a NUL byte; a text file is expected",
                              aster_lines_path(l), (long long)l->line + 1);
        l->at += take + (newline != NULL);
        if (newline && !any) { /* all of it is in the buffer */
            *text = from;
            l->n = take;
            any = true;
            break;
        }
        any = true;
        ASTER_TRY(keep(l, from, take));
        *text = l->text;
    }
    if (!any)
        return 0;
    l->line++;
    if (l->n && (*text)[l->n - 1] == '\r')
        l->n--;
    (*text)[l->n] = '\0';
    *n = (size_t)l->n;
    return 1;
}

int64_t aster_lines_number(const struct aster_lines *l)
{
    return l->line;
}

const char *aster_lines_path(const struct aster_lines *l)
{
    return aster_source_path(l->source);
}

void aster_lines_close(struct aster_lines **lp)
{
    struct aster_lines *l = *lp;
    if (!l)
        return;
    aster_source_close(&l->source);
    aster_free(&l->text);
    aster_free(&l->buffer);
    aster_free(lp);
}
