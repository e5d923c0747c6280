/* SPDX-License-Identifier: BSD-3-Clause */
/* Shards on disk: one HDF5 file each, and the manifest of those that are whole. */
#include "flow/shard.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static const char *const text_names[ASTER_N_TEXTS] = {"text/failed", "text/tsv", "text/csv", "text/seq_fasta", "text/rcl_fasta",
                                                      "text/annotated"};

struct committed { int64_t index, bytes; char sha256[65]; };

struct aster_store {
    struct aster_run *run;
    char *dir, *manifest;
    int64_t n, cap;
    struct committed *list;   /* in order of commit; a later line about an index replaces an earlier one */
    int64_t *by_index, cap_index; /* place in list + 1, 0: not there */
    pthread_mutex_t lock;
};

int aster_shard_new(struct aster_ctx *ctx, int64_t index, int64_t first, int64_t cap, struct aster_shard **out)
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
    ASTER_TRY(aster_grow(s->run->ctx, c->index + 1, sizeof *s->by_index, &s->cap_index, &s->by_index));
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
        if (sscanf(line, "%lld\t%lld\t%64[0-9a-f]", &index, &bytes, c.sha256) != 3 || strlen(c.sha256) != 64 || index < 0 || index > 1 << 28)
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

/* ---- one shard as columns ------------------------------------------------------------------------------- */
struct columns {
    struct aster_str ids, reasons;
    int64_t n, n_prob, *id_at, *reason_at, *prob_at, *hash, *length;
    int32_t *status, *start, *end;
    double *confidence;
    float *prob;
    bool has_prob;
};

static void free_columns(struct columns *c)
{
    aster_str_free(&c->ids);
    aster_str_free(&c->reasons);
    aster_free(&c->id_at);
    aster_free(&c->reason_at);
    aster_free(&c->prob_at);
    aster_free(&c->hash);
    aster_free(&c->length);
    aster_free(&c->status);
    aster_free(&c->start);
    aster_free(&c->end);
    aster_free(&c->confidence);
    aster_free(&c->prob);
}

static int alloc_columns(struct aster_ctx *ctx, int64_t n, struct columns *c)
{
    c->n = n;
    ASTER_TRY(aster_alloc(ctx, n + 1, sizeof *c->id_at, &c->id_at));
    ASTER_TRY(aster_alloc(ctx, n + 1, sizeof *c->reason_at, &c->reason_at));
    ASTER_TRY(aster_alloc(ctx, n + 1, sizeof *c->prob_at, &c->prob_at));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->hash, &c->hash));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->length, &c->length));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->status, &c->status));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->start, &c->start));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->end, &c->end));
    return aster_alloc(ctx, n, sizeof *c->confidence, &c->confidence);
}

static int to_columns(struct aster_ctx *ctx, const struct aster_shard *s, struct columns *c)
{
    ASTER_TRY(alloc_columns(ctx, s->n, c));
    for (int64_t i = 0; i < s->n; i++) {
        const struct aster_item *x = &s->items[i];
        aster_str_add(&c->ids, x->id);
        aster_str_add(&c->reasons, x->reason ? x->reason : "");
        c->id_at[i + 1] = (int64_t)c->ids.len;
        c->reason_at[i + 1] = (int64_t)c->reasons.len;
        c->prob_at[i + 1] = c->prob_at[i] + (x->prob ? x->length : 0);
        c->hash[i] = (int64_t)x->hash;
        c->length[i] = x->length;
        c->status[i] = x->status;
        c->start[i] = (int32_t)(x->begin + 1);
        c->end[i] = (int32_t)(x->begin < 0 ? 0 : x->end);
        c->confidence[i] = x->confidence;
    }
    c->n_prob = c->prob_at[s->n];
    ASTER_TRY(aster_alloc(ctx, c->n_prob, sizeof *c->prob, &c->prob));
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].prob)
            memcpy(c->prob + c->prob_at[i], s->items[i].prob, (size_t)s->items[i].length * sizeof *c->prob);
    ASTER_TRY(aster_str_ok(ctx, &c->reasons));
    return aster_str_ok(ctx, &c->ids);
}

static int write_bytes(struct aster_h5 *f, const char *name, const struct aster_str *s)
{
    int64_t n = (int64_t)s->len;
    return n ? aster_h5_write(f, name, ASTER_U8, 1, &n, s->s) : 0;
}

static int write_columns(struct aster_h5 *f, const struct columns *c)
{
    int64_t n = c->n, n1 = n + 1;
    ASTER_TRY(write_bytes(f, "id_bytes", &c->ids));
    ASTER_TRY(write_bytes(f, "reason_bytes", &c->reasons));
    ASTER_TRY(aster_h5_write(f, "id_offsets", ASTER_I64, 1, &n1, c->id_at));
    ASTER_TRY(aster_h5_write(f, "reason_offsets", ASTER_I64, 1, &n1, c->reason_at));
    ASTER_TRY(aster_h5_write(f, "hash", ASTER_I64, 1, &n, c->hash));
    ASTER_TRY(aster_h5_write(f, "length", ASTER_I64, 1, &n, c->length));
    ASTER_TRY(aster_h5_write(f, "status", ASTER_I32, 1, &n, c->status));
    ASTER_TRY(aster_h5_write(f, "rcl_start", ASTER_I32, 1, &n, c->start));
    ASTER_TRY(aster_h5_write(f, "rcl_end", ASTER_I32, 1, &n, c->end));
    ASTER_TRY(aster_h5_write(f, "confidence", ASTER_F64, 1, &n, c->confidence));
    if (!c->n_prob)
        return 0;
    ASTER_TRY(aster_h5_write(f, "probability_offsets", ASTER_I64, 1, &n1, c->prob_at));
    return aster_h5_write(f, "probability", ASTER_F32, 1, &c->n_prob, c->prob);
}

static int write_shard(struct aster_ctx *ctx, const struct aster_shard *s, const char *path)
{
    struct columns c = {0};
    struct aster_h5 *f = NULL;
    int rc;
    ASTER_GOTO(to_columns(ctx, s, &c), done);
    ASTER_GOTO(aster_h5_create(ctx, path, &f), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "first", s->first), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "count", s->n), done);
    ASTER_GOTO(write_columns(f, &c), done);
    for (int k = 0; k < ASTER_N_TEXTS; k++) {
        ASTER_GOTO(aster_str_ok(ctx, &s->text[k]), done);
        ASTER_GOTO(write_bytes(f, text_names[k], &s->text[k]), done);
    }
    rc = aster_h5_commit(&f);
done:
    aster_h5_close(&f);
    free_columns(&c);
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

static int read_bytes(struct aster_h5 *f, const char *name, char **out, int64_t *n)
{
    struct aster_h5_shape shape;
    *n = 0;
    if (!aster_h5_has(f, name))
        return 0;
    ASTER_TRY(aster_h5_shape(f, name, &shape));
    *n = shape.n;
    return aster_h5_read(f, name, ASTER_U8, shape.n, out);
}

/* Pieces at[i] .. at[i + 1] of n bytes must lie in order. */
static bool in_order(const int64_t *at, int64_t n, int64_t total)
{
    if (at[0] != 0 || at[n] != total)
        return false;
    for (int64_t i = 0; i < n; i++)
        if (at[i + 1] < at[i])
            return false;
    return true;
}

static int read_columns(struct aster_h5 *f, int64_t n, struct columns *c)
{
    c->n = n;
    ASTER_TRY(aster_h5_read(f, "id_offsets", ASTER_I64, n + 1, &c->id_at));
    ASTER_TRY(aster_h5_read(f, "reason_offsets", ASTER_I64, n + 1, &c->reason_at));
    ASTER_TRY(aster_h5_read(f, "hash", ASTER_I64, n, &c->hash));
    ASTER_TRY(aster_h5_read(f, "length", ASTER_I64, n, &c->length));
    ASTER_TRY(aster_h5_read(f, "status", ASTER_I32, n, &c->status));
    ASTER_TRY(aster_h5_read(f, "rcl_start", ASTER_I32, n, &c->start));
    ASTER_TRY(aster_h5_read(f, "rcl_end", ASTER_I32, n, &c->end));
    ASTER_TRY(aster_h5_read(f, "confidence", ASTER_F64, n, &c->confidence));
    c->has_prob = aster_h5_has(f, "probability");
    if (!c->has_prob)
        return 0;
    ASTER_TRY(aster_h5_read(f, "probability_offsets", ASTER_I64, n + 1, &c->prob_at));
    return aster_h5_read(f, "probability", ASTER_F32, c->prob_at[n], &c->prob);
}

static int from_columns(struct aster_ctx *ctx, const struct columns *c, const char *ids, const char *reasons, struct aster_shard *s)
{
    for (int64_t i = 0; i < c->n; i++) {
        struct aster_item *x = &s->items[i];
        s->n = i + 1;
        x->hash = (uint64_t)c->hash[i];
        x->length = c->length[i];
        x->status = c->status[i];
        x->begin = c->start[i] - 1;
        x->end = c->start[i] ? c->end[i] : -1;
        x->confidence = c->confidence[i];
        ASTER_TRY(aster_strndup(ctx, ids ? ids + c->id_at[i] : "", (size_t)(c->id_at[i + 1] - c->id_at[i]), &x->id));
        if (c->reason_at[i + 1] > c->reason_at[i])
            ASTER_TRY(aster_strndup(ctx, reasons + c->reason_at[i], (size_t)(c->reason_at[i + 1] - c->reason_at[i]), &x->reason));
        int64_t n_prob = c->has_prob ? c->prob_at[i + 1] - c->prob_at[i] : 0;
        if (n_prob && n_prob != x->length)
            return aster_fail(ctx, ASTER_EFORMAT, "item %lld of shard %lld has %lld probabilities for %lld residues", (long long)i,
                              (long long)s->index, (long long)n_prob, (long long)x->length);
        if (n_prob) {
            ASTER_TRY(aster_alloc(ctx, n_prob, sizeof *x->prob, &x->prob));
            memcpy(x->prob, c->prob + c->prob_at[i], (size_t)n_prob * sizeof *x->prob);
        }
    }
    return 0;
}

static int load_file(struct aster_ctx *ctx, const char *path, int64_t index, struct aster_shard **out)
{
    struct aster_h5 *f = NULL;
    struct columns c = {0};
    char *ids = NULL, *reasons = NULL, *text = NULL;
    int64_t first, n, n_ids, n_reasons, n_text;
    int rc;
    ASTER_TRY(aster_h5_open(ctx, path, &f));
    ASTER_GOTO(aster_h5_attr_i64(f, "/", "first", &first), done);
    ASTER_GOTO(aster_h5_attr_i64(f, "/", "count", &n), done);
    ASTER_GOTO(aster_shard_new(ctx, index, first, n, out), done);
    ASTER_GOTO(read_columns(f, n, &c), done);
    ASTER_GOTO(read_bytes(f, "id_bytes", &ids, &n_ids), done);
    ASTER_GOTO(read_bytes(f, "reason_bytes", &reasons, &n_reasons), done);
    if (!in_order(c.id_at, n, n_ids) || !in_order(c.reason_at, n, n_reasons) || (c.has_prob && !in_order(c.prob_at, n, c.prob_at[n])))
        ASTER_GOTO(aster_fail(ctx, ASTER_EFORMAT, "%s: its offsets are out of order", path), done);
    ASTER_GOTO(from_columns(ctx, &c, ids, reasons, *out), done);
    for (int k = 0; k < ASTER_N_TEXTS; k++) {
        ASTER_GOTO(read_bytes(f, text_names[k], &text, &n_text), done);
        aster_str_addn(&(*out)->text[k], text ? text : "", (size_t)n_text);
        aster_free(&text);
        ASTER_GOTO(aster_str_ok(ctx, &(*out)->text[k]), done);
    }
done:
    aster_h5_close(&f);
    free_columns(&c);
    aster_free(&ids);
    aster_free(&reasons);
    aster_free(&text);
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
        if (e->d_name[0] != '.' && unlinkat(dirfd(d), e->d_name, 0) < 0 && (errno == EISDIR || errno == EPERM)) {
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
