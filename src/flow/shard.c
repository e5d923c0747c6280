/* SPDX-License-Identifier: BSD-3-Clause */
/* Shards on disk: one HDF5 file each, and the manifest of those that are whole. */
#include "flow/columns.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static const char *const text_names[ASTER_N_TEXTS] = {
    "text/failed", "text/tsv", "text/csv", "text/seq_fasta", "text/rcl_fasta", "text/annotated"};

struct committed {
    int64_t index, bytes;
    char sha256[65];
};

struct aster_store {
    struct aster_run *run;
    char *dir, *manifest;
    int64_t n, cap;
    struct committed
        *list; /* in order of commit; a later line about an index replaces an earlier one */
    int64_t *by_index, cap_index; /* place in list + 1, 0: not there */
    pthread_mutex_t lock;
};

int aster_shard_new(struct aster_ctx *ctx, int64_t index, int64_t first, int64_t cap,
                    struct aster_shard **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->index = index;
    (*out)->first = first;
    int rc = aster_alloc(ctx, cap, sizeof *(*out)->items, &(*out)->items);
    if (rc < 0)
        aster_shard_free(out);
    return rc;
}

void aster_shard_free(struct aster_shard **sp)
{
    struct aster_shard *s = *sp;
    if (!s)
        return;
    for (int64_t i = 0; i < s->n; i++) {
        aster_free(&s->items[i].id);
        aster_free(&s->items[i].sequence);
        aster_free(&s->items[i].reason);
        aster_free(&s->items[i].prob);
    }
    for (int k = 0; k < ASTER_N_TEXTS; k++)
        aster_str_free(&s->text[k]);
    aster_free(&s->items);
    aster_free(sp);
}

static int shard_path(const struct aster_store *s, int64_t index, char **out)
{
    char name[32];
    snprintf(name, sizeof name, "part-%06lld.h5", (long long)index);
    return aster_path_join(s->run->ctx, s->dir, name, out);
}

static int file_hash(struct aster_ctx *ctx, const char *path, int64_t *bytes, char sha256[65])
{
    char *text = NULL;
    ASTER_TRY(aster_file_read(ctx, path, INT64_C(1) << 40, &text, bytes));
    aster_sha256_hex(text, (size_t)*bytes, sha256);
    aster_free(&text);
    return 0;
}

static int remember(struct aster_store *s, const struct committed *c)
{
    ASTER_TRY(aster_grow(s->run->ctx, s->n + 1, sizeof *s->list, &s->cap, &s->list));
    ASTER_TRY(
        aster_grow(s->run->ctx, c->index + 1, sizeof *s->by_index, &s->cap_index, &s->by_index));
    s->list[s->n++] = *c;
    s->by_index[c->index] = s->n;
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

static int write_shard(struct aster_ctx *ctx, const struct aster_shard *s, const char *path)
{
    struct aster_columns c = {0};
    struct aster_h5 *f = NULL;
    int rc;
    ASTER_GOTO(aster_columns_of(ctx, s, &c), done);
    ASTER_GOTO(aster_h5_create(ctx, path, &f), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "first", s->first), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "count", s->n), done);
    ASTER_GOTO(aster_columns_write(f, &c), done);
    for (int k = 0; k < ASTER_N_TEXTS; k++) {
        ASTER_GOTO(aster_str_ok(ctx, &s->text[k]), done);
        ASTER_GOTO(aster_bytes_write(f, text_names[k], &s->text[k]), done);
    }
    rc = aster_h5_commit(&f);
done:
    aster_h5_close(&f);
    aster_columns_free(&c);
    return rc;
}

int aster_store_commit(struct aster_store *s, const struct aster_shard *shard)
{
    struct committed c = {.index = shard->index};
    char *path = NULL, line[128];
    ASTER_TRY(shard_path(s, shard->index, &path));
    int rc = write_shard(s->run->ctx, shard, path);
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

static int load_file(struct aster_ctx *ctx, const char *path, int64_t index,
                     struct aster_shard **out)
{
    struct aster_h5 *f = NULL;
    struct aster_columns c = {0};
    int64_t first, n;
    int rc;
    ASTER_TRY(aster_h5_open(ctx, path, &f));
    ASTER_GOTO(aster_h5_attr_i64(f, "/", "first", &first), done);
    ASTER_GOTO(aster_h5_attr_i64(f, "/", "count", &n), done);
    ASTER_GOTO(aster_shard_new(ctx, index, first, n, out), done);
    ASTER_GOTO(aster_columns_read(ctx, f, path, n, &c), done);
    ASTER_GOTO(aster_columns_to(ctx, &c, *out), done);
    for (int k = 0; k < ASTER_N_TEXTS; k++)
        ASTER_GOTO(aster_bytes_read(ctx, f, text_names[k], &(*out)->text[k]), done);
done:
    aster_h5_close(&f);
    aster_columns_free(&c);
    if (rc < 0)
        aster_shard_free(out);
    return rc;
}

int aster_store_load(struct aster_store *s, int64_t index, struct aster_shard **out)
{
    char *path = NULL, sha256[65];
    int64_t bytes = 0;
    *out = NULL;
    pthread_mutex_lock(&s->lock);
    const struct committed c = s->list[s->by_index[index] - 1];
    pthread_mutex_unlock(&s->lock);
    ASTER_TRY(shard_path(s, index, &path));
    int rc = file_hash(s->run->ctx, path, &bytes, sha256);
    if (rc == 0 && (bytes != c.bytes || strcmp(sha256, c.sha256)))
        rc = aster_fail(s->run->ctx, ASTER_EFORMAT, "%s: is not the file that was committed", path);
    if (rc == 0)
        rc = load_file(s->run->ctx, path, index, out);
    aster_free(&path);
    return rc;
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
