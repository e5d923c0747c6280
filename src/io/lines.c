/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of a plain or gzip file, or of stdin. */
#include "io/io.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define LINE_LIMIT (1LL << 30)

struct aster_lines {
    struct aster_ctx *ctx;
    char *path, *text, *buffer;
    gzFile file;
    int64_t n, cap, line;
    int got, at; /* of buffer */
    bool end;
};
enum { BUFFER = 1 << 16 };

int aster_lines_open(struct aster_ctx *ctx, const char *path, struct aster_lines **out)
{
    struct aster_lines *l = NULL;
    struct stat st;
    int rc, fd = -1;
    bool standard = !strcmp(path, "-");
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *l, &l));
    l->ctx = ctx;
    ASTER_GOTO(aster_strdup(ctx, standard ? "standard input" : path, &l->path), fail);
    ASTER_GOTO(aster_alloc(ctx, BUFFER, 1, &l->buffer), fail);
    if (!standard && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = aster_fail(ctx, ASTER_EIO, "%s: is a folder, a file is expected", path);
        goto fail;
    }
    if (standard) {
        fd = dup(0);
        l->file = fd < 0 ? NULL : gzdopen(fd, "rb");
        if (!l->file && fd >= 0)
            close(fd);
    } else {
        l->file = gzopen(path, "rb");
    }
    if (!l->file) {
        rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", l->path,
                        errno ? strerror(errno) : "out of memory");
        goto fail;
    }
    gzbuffer(l->file, 1 << 17);
    *out = l;
    return 0;
fail:
    aster_lines_close(&l);
    return rc;
}

static int refill(struct aster_lines *l)
{
    int code;
    l->got = gzread(l->file, l->buffer, BUFFER);
    l->at = 0;
    if (l->got < BUFFER) {
        const char *why = gzerror(l->file, &code);
        if (code == Z_ERRNO)
            return aster_fail(l->ctx, ASTER_EIO, "%s: cannot be read after line %lld: %s", l->path,
                              (long long)l->line, strerror(errno));
        if (code == Z_BUF_ERROR || (l->got < 0 && code == Z_DATA_ERROR))
            return aster_fail(l->ctx, ASTER_EFORMAT,
                              "%s: the gzip data is damaged or cut off after line %lld (%s)",
                              l->path, (long long)l->line, why);
        if (l->got < 0)
            return aster_fail(l->ctx, ASTER_EIO, "%s: cannot be read after line %lld: %s", l->path,
                              (long long)l->line, why);
    }
    l->end = l->got == 0;
    return 0;
}

int aster_lines_next(struct aster_lines *l, char **text, size_t *n)
{
    l->n = 0;
    bool any = false, done = false;
    while (!done) {
        if (l->at == l->got) {
            if (!l->end)
                ASTER_TRY(refill(l));
            if (l->end)
                break;
        }
        any = true;
        const char *from = l->buffer + l->at,
                   *newline = memchr(from, '\n', (size_t)(l->got - l->at));
        int64_t take = newline ? newline - from : l->got - l->at;
        if (memchr(from, '\0', (size_t)take))
            return aster_fail(l->ctx, ASTER_EFORMAT,
                              "%s:%lld: has a NUL byte; a text file is expected", l->path,
                              (long long)l->line + 1);
        if (l->n + take > LINE_LIMIT)
            return aster_fail(l->ctx, ASTER_ELIMIT, "%s:%lld: the line is longer than 1 GiB",
                              l->path, (long long)l->line + 1);
        ASTER_TRY(aster_grow(l->ctx, l->n + take + 1, 1, &l->cap, &l->text));
        memcpy(l->text + l->n, from, (size_t)take);
        l->n += take;
        l->at += (int)take + (newline ? 1 : 0);
        done = newline != NULL;
    }
    if (!any)
        return 0;
    l->line++;
    if (l->n && l->text[l->n - 1] == '\r')
        l->n--;
    l->text[l->n] = '\0';
    *text = l->text;
    *n = (size_t)l->n;
    return 1;
}

int64_t aster_lines_number(const struct aster_lines *l)
{
    return l->line;
}

const char *aster_lines_path(const struct aster_lines *l)
{
    return l->path;
}

void aster_lines_close(struct aster_lines **lp)
{
    struct aster_lines *l = *lp;
    if (!l)
        return;
    if (l->file)
        gzclose(l->file);
    aster_free(&l->path);
    aster_free(&l->text);
    aster_free(&l->buffer);
    aster_free(lp);
}
