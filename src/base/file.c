/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that exist whole or not at all, folders, paths. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_path(struct aster_ctx *ctx, const char *path, const char *doing)
{
    return aster_fail(ctx, ASTER_EIO, "%s: %s: %s", path, doing, strerror(errno));
}

int aster_mkdirs(struct aster_ctx *ctx, const char *path)
{
    char *copy = NULL;
    ASTER_TRY(aster_strdup(ctx, path, &copy));
    int rc = 0;
    for (char *p = copy + 1; rc == 0 && p[-1]; p++) {
        if (*p && *p != '/')
            continue;
        char keep = *p;
        *p = '\0';
        if (mkdir(copy, 0777) < 0 && errno != EEXIST)
            rc = fail_path(ctx, copy, "cannot make this folder");
        *p = keep;
        if (!keep)
            break;
    }
    struct stat st;
    if (rc == 0 && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
        rc = aster_fail(ctx, ASTER_EIO, "%s: is in the way of a folder of that name", path);
    aster_free(&copy);
    return rc;
}

int aster_file_read(struct aster_ctx *ctx, const char *path, int64_t limit, char **out, int64_t *n)
{
    *out = NULL;
    *n = 0;
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail_path(ctx, path, "cannot be read");
    int64_t cap = 0;
    int rc = 0;
    for (;;) {
        ASTER_GOTO(aster_grow(ctx, *n + 65537, 1, &cap, out), done);
        size_t got = fread(*out + *n, 1, (size_t)(cap - *n - 1), f);
        *n += (int64_t)got;
        if (*n > limit) {
            rc = aster_fail(ctx, ASTER_ELIMIT, "%s: has more than %lld bytes", path,
                            (long long)limit);
            goto done;
        }
        if (ferror(f)) {
            rc = fail_path(ctx, path, "cannot be read");
            goto done;
        }
        if (got == 0)
            break;
    }
    (*out)[*n] = '\0';
done:
    fclose(f);
    if (rc < 0)
        aster_free(out);
    return rc;
}

static int sync_folder_of(struct aster_ctx *ctx, const char *path)
{
    char *dir = NULL;
    ASTER_TRY(aster_strdup(ctx, path, &dir));
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = '\0';
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY);
    int rc = fd < 0 ? fail_path(ctx, dir, "cannot be opened") : 0;
    if (fd >= 0) {
        if (fsync(fd) < 0 && errno != EINVAL)
            rc = fail_path(ctx, dir, "cannot be flushed");
        close(fd);
    }
    aster_free(&dir);
    return rc;
}

int aster_file_commit(struct aster_ctx *ctx, const char *tmp, const char *path)
{
    int fd = open(tmp, O_RDONLY);
    if (fd < 0)
        return fail_path(ctx, tmp, "cannot be opened");
    int bad = fsync(fd);
    close(fd);
    if (bad < 0)
        return fail_path(ctx, tmp, "cannot be flushed");
    if (rename(tmp, path) < 0)
        return fail_path(ctx, path, "cannot be put in place");
    return sync_folder_of(ctx, path);
}

static int write_all(int fd, const char *bytes, int64_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, bytes, n > (1 << 30) ? 1 << 30 : (size_t)n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return -1;
        bytes += w;
        n -= w;
    }
    return 0;
}

int aster_file_write(struct aster_ctx *ctx, const char *path, const void *bytes, int64_t n)
{
    struct aster_str tmp = {0};
    aster_str_printf(&tmp, "%s.tmp", path);
    int rc = aster_str_ok(ctx, &tmp);
    if (rc == 0) {
        int fd = open(tmp.s, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (fd < 0) {
            rc = fail_path(ctx, tmp.s, "cannot be made");
        } else {
            if (write_all(fd, bytes, n) < 0)
                rc = fail_path(ctx, tmp.s, "cannot be written");
            if (close(fd) < 0 && rc == 0)
                rc = fail_path(ctx, tmp.s, "cannot be written");
            if (rc == 0)
                rc = aster_file_commit(ctx, tmp.s, path);
            if (rc < 0)
                unlink(tmp.s);
        }
    }
    aster_str_free(&tmp);
    return rc;
}

int aster_file_append(struct aster_ctx *ctx, const char *path, const char *line)
{
    struct aster_str text = {0};
    aster_str_printf(&text, "%s\n", line);
    int rc = aster_str_ok(ctx, &text);
    int fd = rc < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (rc == 0 && fd < 0)
        rc = fail_path(ctx, path, "cannot be opened");
    if (fd >= 0) {
        if (write_all(fd, text.s, (int64_t)text.len) < 0 || fsync(fd) < 0)
            rc = fail_path(ctx, path, "cannot be written");
        close(fd);
    }
    aster_str_free(&text);
    return rc;
}

bool aster_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int aster_path_join(struct aster_ctx *ctx, const char *dir, const char *name, char **out)
{
    size_t n = strlen(dir), m = strlen(name);
    bool slash = n && dir[n - 1] != '/';
    ASTER_TRY(aster_alloc(ctx, (int64_t)(n + m + 2), 1, out));
    snprintf(*out, n + m + 2, "%s%s%s", dir, slash ? "/" : "", name);
    return 0;
}

const char *aster_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
