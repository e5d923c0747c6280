/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of consecutive parts of a run, and the manifest of those that are whole. */
#include "flow/store.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

struct committed {
    int64_t index, bytes;
    char sha256[65];
};

struct aster_store {
    struct aster_run *run;
    char *dir, *manifest;
    int64_t n, cap;
    struct committed *list; /* in order of commit; a later line about an index replaces an earlier
                               one, and one of 0 bytes says that there is none */
    int64_t *by_index, cap_index; /* place in list + 1, 0: not there */
    pthread_mutex_t lock;
};

static int part_path(const struct aster_store *s, int64_t index, char **out)
{
    char name[32];
    snprintf(name, sizeof name, "part-%06lld.h5", (long long)index);
    return aster_path_join(s->run->ctx, s->dir, name, out);
}

static int file_hash(struct aster_ctx *ctx, const char *path, int64_t *bytes, char sha256[65])
{
    char block[65536];
    struct aster_sha256 sha;
    FILE *f = fopen(path, "rb");
    *bytes = 0;
    aster_sha256_init(&sha);
    for (size_t got; f && (got = fread(block, 1, sizeof block, f)) > 0; *bytes += (int64_t)got)
        aster_sha256_add(&sha, block, got);
    int rc = f && !ferror(f)
                 ? 0
                 : aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", path, strerror(errno));
    if (f)
        fclose(f);
    aster_sha256_text(&sha, sha256);
    return rc;
}

static int remember(struct aster_store *s, const struct committed *c)
{
    ASTER_TRY(aster_grow(s->run->ctx, s->n + 1, sizeof *s->list, &s->cap, &s->list));
    ASTER_TRY(
        aster_grow(s->run->ctx, c->index + 1, sizeof *s->by_index, &s->cap_index, &s->by_index));
    s->list[s->n++] = *c;
    s->by_index[c->index] = c->bytes ? s->n : 0;
    return 0;
}

/* Lines "index bytes sha256"; the last one may be torn by a kill and is then no commit. */
static int read_manifest(struct aster_store *s)
{
    struct aster_str whole = {0};
    char *text = NULL;
    int64_t n = 0;
    if (!aster_file_exists(s->manifest))
        return 0;
    ASTER_TRY(aster_file_read(s->run->ctx, s->manifest, INT64_C(1) << 32, &text, &n));
    int rc = 0;
    for (char *line = text, *end; rc == 0 && (end = strchr(line, '\n')); line = end + 1) {
        struct committed c;
        long long index, bytes;
        *end = '\0';
        if (sscanf(line, "%lld\t%lld\t%64[0-9a-f]", &index, &bytes, c.sha256) != 3 ||
            strlen(c.sha256) != 64 || index < 0 || index > 1 << 28)
            continue;
        c.index = index;
        c.bytes = bytes;
        aster_str_printf(&whole, "%s\n", line);
        rc = remember(s, &c);
    }
    if (rc == 0)
        rc = aster_str_ok(s->run->ctx, &whole);
    if (rc == 0) /* so that the next line does not continue a torn one */
        rc = aster_file_write(s->run->ctx, s->manifest, aster_str_get(&whole), (int64_t)whole.len);
    aster_str_free(&whole);
    aster_free(&text);
    return rc;
}

int aster_store_open(struct aster_run *run, const char *stage, struct aster_store **out)
{
    struct aster_store *s = NULL;
    char *parent = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(run->ctx, 1, sizeof *s, &s));
    s->run = run;
    pthread_mutex_init(&s->lock, NULL);
    ASTER_GOTO(aster_run_path(run, "shards", &parent), done);
    ASTER_GOTO(aster_path_join(run->ctx, parent, stage, &s->dir), done);
    ASTER_GOTO(aster_mkdirs(run->ctx, s->dir), done);
    ASTER_GOTO(aster_path_join(run->ctx, s->dir, "manifest.tsv", &s->manifest), done);
    rc = read_manifest(s);
done:
    aster_free(&parent);
    if (rc < 0)
        aster_store_close(&s);
    *out = s;
    return rc;
}

void aster_store_close(struct aster_store **sp)
{
    struct aster_store *s = *sp;
    if (!s)
        return;
    aster_free(&s->dir);
    aster_free(&s->manifest);
    aster_free(&s->list);
    aster_free(&s->by_index);
    pthread_mutex_destroy(&s->lock);
    aster_free(sp);
}

bool aster_store_has(struct aster_store *s, int64_t index)
{
    pthread_mutex_lock(&s->lock);
    bool has = index < s->cap_index && s->by_index[index] > 0;
    pthread_mutex_unlock(&s->lock);
    return has;
}

int aster_store_put(struct aster_store *s, int64_t index, int (*write)(void *arg, const char *path),
                    void *arg)
{
    struct committed c = {.index = index};
    char *path = NULL, line[128];
    ASTER_TRY(part_path(s, index, &path));
    int rc = write(arg, path);
    if (rc == 0)
        rc = file_hash(s->run->ctx, path, &c.bytes, c.sha256);
    aster_free(&path);
    ASTER_TRY(rc);
    snprintf(line, sizeof line, "%lld\t%lld\t%s", (long long)c.index, (long long)c.bytes, c.sha256);
    ASTER_TRY(aster_file_append(s->run->ctx, s->manifest, line));
    pthread_mutex_lock(&s->lock);
    rc = remember(s, &c);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int aster_store_get(struct aster_store *s, int64_t index, char **out)
{
    char *path = NULL, sha256[65];
    int64_t bytes = 0;
    *out = NULL;
    pthread_mutex_lock(&s->lock);
    const struct committed c = s->list[s->by_index[index] - 1];
    pthread_mutex_unlock(&s->lock);
    ASTER_TRY(part_path(s, index, &path));
    int rc = file_hash(s->run->ctx, path, &bytes, sha256);
    if (rc == 0 && (bytes != c.bytes || strcmp(sha256, c.sha256)))
        rc = aster_fail(s->run->ctx, ASTER_EFORMAT, "%s: is not the file that was committed", path);
    if (rc < 0)
        aster_free(&path);
    *out = path;
    return rc;
}

int aster_store_path(struct aster_store *s, int64_t index, char **out)
{
    return part_path(s, index, out);
}

int64_t aster_store_bytes(struct aster_store *s, int64_t index)
{
    pthread_mutex_lock(&s->lock);
    int64_t at = index < s->cap_index ? s->by_index[index] : 0,
            bytes = at > 0 ? s->list[at - 1].bytes : 0;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

int aster_store_compare(struct aster_store *s, int64_t index,
                        int (*compare)(void *arg, const char *path, bool *done), void *arg,
                        bool *done)
{
    struct aster_ctx *ctx = s->run->ctx;
    char *path = NULL;
    *done = false;
    if (!aster_store_has(s, index))
        return 0;
    int rc = aster_store_get(s, index, &path);
    if (rc == 0)
        rc = compare(arg, path, done);
    aster_free(&path);
    if (rc == 0 || rc == ASTER_ENOMEM)
        return rc;
    aster_log(ctx, ASTER_LOG_WARN, "%s; it is computed again", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    *done = false;
    return 0;
}

int aster_store_forget(struct aster_store *s, int64_t index)
{
    const struct committed none = {.index = index};
    char line[128];
    snprintf(line, sizeof line, "%lld\t0\t%064d", (long long)index, 0);
    ASTER_TRY(aster_file_append(s->run->ctx, s->manifest, line));
    pthread_mutex_lock(&s->lock);
    int rc = remember(s, &none);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

bool aster_store_try_again(int64_t status)
{
    return status == ASTER_ELIMIT || status == ASTER_ENOMEM || status == ASTER_EDEVICE;
}

static void remove_files(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.' && unlinkat(dirfd(d), e->d_name, 0) < 0 &&
            (errno == EISDIR || errno == EPERM)) {
            struct aster_str sub = {0};
            aster_str_printf(&sub, "%s/%s", dir, e->d_name);
            remove_files(aster_str_get(&sub));
            aster_str_free(&sub);
        }
    closedir(d);
    rmdir(dir);
}

void aster_store_remove_all(struct aster_run *run)
{
    char *path = NULL;
    if (aster_run_path(run, "shards", &path) == 0 && aster_file_exists(path))
        remove_files(path);
    aster_free(&path);
}
