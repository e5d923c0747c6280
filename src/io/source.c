/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of a plain or gzip file, or of stdin. Every gzip member is checked to its end, and nothing
 * may follow the last. */
#include "io/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER = 1 << 17 };

struct aster_source {
    struct aster_ctx *ctx;
    char *path;
    int fd;
    uint8_t *in;
    z_stream zs; /* next_in and avail_in say what is left of in, also of a plain file */
    int64_t n_read;
    bool looked, gzip, in_member, padded, input_end, end;
};

int aster_source_open(struct aster_ctx *ctx, const char *path, struct aster_source **out)
{
    struct aster_source *s = NULL;
    struct stat st;
    int rc;
    bool standard = !strcmp(path, "-");
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    s->ctx = ctx;
    s->fd = -1;
    ASTER_GOTO(aster_strdup(ctx, standard ? "standard input" : path, &s->path), fail);
    ASTER_GOTO(aster_alloc(ctx, BUFFER, 1, &s->in), fail);
    s->fd = standard ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", s->path, strerror(errno));
        goto fail;
    }
    if (fstat(s->fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = aster_fail(ctx, ASTER_EIO, "%s: is a folder, a file is expected", s->path);
        goto fail;
    }
    *out = s;
    return 0;
fail:
    aster_source_close(&s);
    return rc;
}

/* Up to n bytes as they are in the file; got 0 at its end. */
static int read_file(struct aster_source *s, void *to, int64_t n, int64_t line, int64_t *got)
{
    ssize_t r;
    do
        r = read(s->fd, to, (size_t)n);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return aster_fail(s->ctx, ASTER_EIO, "%s: cannot be read after line %lld: %s", s->path,
                          (long long)line, strerror(errno));
    *got = r;
    s->n_read += r;
    s->input_end = r == 0;
    return 0;
}

/* More input behind what is left, which is moved to the front. */
static int refill(struct aster_source *s, int64_t line)
{
    int64_t got = 0;
    if (s->input_end || s->zs.avail_in == BUFFER)
        return 0;
    if (s->zs.avail_in)
        memmove(s->in, s->zs.next_in, s->zs.avail_in);
    s->zs.next_in = s->in;
    ASTER_TRY(read_file(s, s->in + s->zs.avail_in, BUFFER - (int64_t)s->zs.avail_in, line, &got));
    s->zs.avail_in += (uInt)got;
    return 0;
}

/* The first two bytes say what it is; a pipe may give them one by one. */
static int look(struct aster_source *s, int64_t line)
{
    while (s->zs.avail_in < 2 && !s->input_end)
        ASTER_TRY(refill(s, line));
    s->looked = true;
    s->gzip = s->zs.avail_in >= 2 && s->in[0] == 0x1f && s->in[1] == 0x8b;
    if (s->gzip && inflateInit2(&s->zs, 15 + 16) != Z_OK) {
        s->gzip = false;
        return aster_fail(s->ctx, ASTER_ENOMEM, "%s: out of memory for unpacking", s->path);
    }
    s->in_member = s->gzip;
    return 0;
}

static int garbage(struct aster_source *s)
{
    return aster_fail(
        s->ctx, ASTER_EFORMAT,
        "%s: byte 0x%02x at offset %lld follows the gzip data; another gzip member or "
        "the end of the file is expected",
        s->path, *s->zs.next_in, (long long)(s->n_read - (int64_t)s->zs.avail_in));
}

/* Between members: zeros up to the end of the file are padding, as gzip takes them. */
static int next_member(struct aster_source *s, int64_t line)
{
    while (!s->in_member) {
        while (s->zs.avail_in < 2 && !s->input_end)
            ASTER_TRY(refill(s, line));
        if (s->zs.avail_in == 0) {
            s->end = true;
            return 0;
        }
        if (*s->zs.next_in == 0) {
            s->padded = true;
            s->zs.next_in++;
            s->zs.avail_in--;
        } else if (s->padded || s->zs.avail_in < 2 || s->zs.next_in[0] != 0x1f ||
                   s->zs.next_in[1] != 0x8b) {
            return garbage(s);
        } else {
            inflateReset(&s->zs);
            s->in_member = true;
        }
    }
    return 0;
}

static int damaged(struct aster_source *s, int64_t line, const char *why)
{
    return aster_fail(s->ctx, ASTER_EFORMAT,
                      "%s: the gzip data is damaged or cut off after line %lld (%s)", s->path,
                      (long long)line, why);
}

/* What was unpacked before an error is handed out first. */
static int unpack(struct aster_source *s, int64_t n, int64_t line)
{
    while (s->zs.avail_out == (uInt)n && !s->end) {
        if (!s->in_member) {
            ASTER_TRY(next_member(s, line));
            continue;
        }
        if (s->zs.avail_in == 0)
            ASTER_TRY(refill(s, line));
        int code = inflate(&s->zs, Z_NO_FLUSH);
        if (code == Z_STREAM_END) {
            s->in_member = false;
        } else if (code == Z_MEM_ERROR) {
            return aster_fail(s->ctx, ASTER_ENOMEM, "%s: out of memory for unpacking", s->path);
        } else if (s->zs.avail_out < (uInt)n) {
            break;
        } else if (code == Z_BUF_ERROR && s->input_end && s->zs.avail_in == 0) {
            return damaged(s, line, "the file ends inside of it");
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            return damaged(s, line, s->zs.msg ? s->zs.msg : "no deflate data");
        }
    }
    return 0;
}

int aster_source_read(struct aster_source *s, void *to, int64_t n, int64_t line, int64_t *got)
{
    *got = 0;
    n = aster_min64(n, 1 << 30);
    if (!s->looked)
        ASTER_TRY(look(s, line));
    if (s->gzip) {
        s->zs.next_out = to;
        s->zs.avail_out = (uInt)n;
        ASTER_TRY(unpack(s, n, line));
        *got = n - (int64_t)s->zs.avail_out;
        return 0;
    }
    if (!s->zs.avail_in)
        return s->input_end ? 0 : read_file(s, to, n, line, got);
    *got = aster_min64(n, s->zs.avail_in);
    memcpy(to, s->zs.next_in, (size_t)*got);
    s->zs.next_in += *got;
    s->zs.avail_in -= (uInt)*got;
    return 0;
}

const char *aster_source_path(const struct aster_source *s)
{
    return s->path;
}

void aster_source_close(struct aster_source **sp)
{
    struct aster_source *s = *sp;
    if (!s)
        return;
    if (s->gzip)
        inflateEnd(&s->zs);
    if (s->fd >= 0)
        close(s->fd);
    aster_free(&s->path);
    aster_free(&s->in);
    aster_free(sp);
}
