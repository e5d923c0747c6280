/* SPDX-License-Identifier: BSD-3-Clause */
/* An index of shards: which tensor is in which file of the same folder. */
#include "io/weightfile_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SHARDS = 4096 };

struct index {
    struct aster_weightfile *f;
    const struct aster_json **entry; /* of weight_map, by shard and tensor */
    int64_t n;
};

static int compare_entries(const void *a, const void *b)
{
    const struct aster_json *const *x = a, *const *y = b;
    int order = strcmp((*x)->string, (*y)->string);
    return order ? order : strcmp((*x)->key, (*y)->key);
}

static bool same_shard(const struct index *x, int64_t a, int64_t b)
{
    return a >= 0 && b < x->n && !strcmp(x->entry[a]->string, x->entry[b]->string);
}

/* The name of a file of tensors in the same folder. */
static int check_name(const struct index *x, const struct aster_json *j)
{
    if (j->type != ASTER_JSON_STRING)
        return aster_fail(x->f->ctx, ASTER_EFORMAT,
                          "%s:%d: the shard of tensor '%.*s' is not a text", x->f->path, j->line,
                          ASTER_CUT(200, j->key));
    const char *s = j->string;
    size_t n = strlen(s);
    if (!n || strpbrk(s, "/\\:") || !strcmp(s, ".") || !strcmp(s, ".."))
        return aster_fail(x->f->ctx, ASTER_EFORMAT,
                          "%s:%d: unsafe shard name '%.*s'; a file in the same folder is expected",
                          x->f->path, j->line, ASTER_CUT(200, s));
    if (n >= 5 && !strcmp(s + n - 5, ".json"))
        return aster_fail(x->f->ctx, ASTER_EFORMAT,
                          "%s:%d: the shard '%.*s' is an index; a file of tensors is expected",
                          x->f->path, j->line, ASTER_CUT(200, s));
    return 0;
}

/* Every name is looked at before any file is opened. */
static int list_entries(struct index *x, const struct aster_json *map)
{
    ASTER_TRY(aster_alloc(x->f->ctx, aster_json_count(map), sizeof *x->entry, &x->entry));
    for (const struct aster_json *j = map->child; j; j = j->next) {
        ASTER_TRY(check_name(x, j));
        x->entry[x->n++] = j;
    }
    if (x->n)
        qsort(x->entry, (size_t)x->n, sizeof *x->entry, compare_entries);
    int64_t shards = 0;
    for (int64_t k = 0; k < x->n; k++)
        shards += !same_shard(x, k - 1, k);
    if (shards > MOST_SHARDS)
        return aster_fail(x->f->ctx, ASTER_ELIMIT, "%s: has %lld shards; %d is the most",
                          x->f->path, (long long)shards, MOST_SHARDS);
    return aster_alloc(x->f->ctx, shards, sizeof *x->f->shard, &x->f->shard);
}

static int open_shard(const struct index *x, const char *name, struct aster_weightfile **out)
{
    struct aster_weightfile *f = x->f;
    char *folder = NULL, *path = NULL;
    size_t n = (size_t)(aster_path_base(f->path) - f->path);
    ASTER_TRY(aster_strndup(f->ctx, n ? f->path : ".", n ? n : 1, &folder));
    int rc = aster_path_join(f->ctx, folder, name, &path);
    aster_free(&folder);
    if (rc == 0 && !aster_file_exists(path))
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: shard missing: %.*s is not beside the index",
                        f->path, ASTER_CUT(200, name));
    if (rc == 0)
        rc = aster_weightfile_open(f->ctx, path, out);
    aster_free(&path);
    return rc;
}

/* The tensors of a shard are those of its entries, begin to end - 1, no fewer and no more. */
static int take_shard(const struct index *x, const struct aster_weightfile *shard, int64_t begin,
                      int64_t end)
{
    struct aster_weightfile *f = x->f;
    const char *name = x->entry[begin]->string;
    for (int64_t k = begin; k < end; k++)
        if (!aster_weightfile_find(shard, x->entry[k]->key))
            return aster_fail(
                f->ctx, ASTER_EFORMAT, "%s:%d: tensor '%.*s' is not in its shard %.*s", f->path,
                x->entry[k]->line, ASTER_CUT(200, x->entry[k]->key), ASTER_CUT(200, name));
    for (int64_t k = 0; k < shard->n; k++) {
        const struct aster_weight *w = &shard->weight[k];
        struct aster_json want = {.string = x->entry[begin]->string, .key = w->name};
        const struct aster_json *key = &want;
        if (!bsearch(&key, x->entry + begin, (size_t)(end - begin), sizeof key, compare_entries))
            return aster_fail(f->ctx, ASTER_EFORMAT,
                              "%s: the index does not say that tensor '%.*s' is in shard %.*s",
                              f->path, ASTER_CUT(200, w->name), ASTER_CUT(200, name));
        ASTER_TRY(weightfile_add(f, w->name, w, &shard->place[k]));
    }
    return 0;
}

static int take_shards(struct index *x)
{
    struct aster_weightfile *f = x->f;
    for (int64_t begin = 0, end; begin < x->n; begin = end) {
        struct aster_weightfile **shard = &f->shard[f->n_shards];
        for (end = begin + 1; same_shard(x, begin, end);)
            end++;
        ASTER_TRY(open_shard(x, x->entry[begin]->string, shard));
        f->n_shards++;
        ASTER_TRY(take_shard(x, *shard, begin, end));
    }
    return weightfile_sort(f);
}

int weightfile_open_index(struct aster_weightfile *f)
{
    struct aster_json *json = NULL;
    struct index x = {.f = f};
    ASTER_TRY(aster_json_read(f->ctx, f->path, &json));
    const struct aster_json *map = aster_json_get(json, "weight_map");
    int rc = 0;
    if (!map || map->type != ASTER_JSON_OBJECT || !map->child)
        rc = aster_fail(f->ctx, ASTER_EFORMAT,
                        "%s: an index without weight_map; an object of tensor names and the names "
                        "of their shards is expected",
                        f->path);
    if (rc == 0)
        rc = list_entries(&x, map);
    if (rc == 0)
        rc = take_shards(&x);
    aster_free(&x.entry);
    aster_json_free(&json);
    return rc;
}
