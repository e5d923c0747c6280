/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening files of weights: what kind of file it is, and its tensors by name. */
#include "io/weightfile_internal.h"

#include <stdlib.h>
#include <string.h>

/* Names can be longer than the file when objects in it are shared. */
enum { MOST_NAMES = 16, NAMES_ALWAYS = 1 << 20 };

int weightfile_add(struct aster_weightfile *f, const char *name, const struct aster_weight *shape,
                   const struct weight_place *place)
{
    ASTER_TRY(aster_grow(f->ctx, f->n + 1, sizeof *f->weight, &f->cap, &f->weight));
    ASTER_TRY(aster_grow(f->ctx, f->n + 1, sizeof *f->place, &f->cap_place, &f->place));
    struct aster_weight *w = &f->weight[f->n];
    *w = *shape;
    ASTER_TRY(aster_strdup(f->ctx, name, &w->name));
    f->place[f->n] = *place;
    f->n++;
    return 0;
}

static int compare_names(const void *a, const void *b, void *weights)
{
    const struct aster_weight *w = weights;
    return strcmp(w[*(const int64_t *)a].name, w[*(const int64_t *)b].name);
}

int weightfile_sort(struct aster_weightfile *f)
{
    ASTER_TRY(aster_alloc(f->ctx, f->n, sizeof *f->by_name, &f->by_name));
    for (int64_t k = 0; k < f->n; k++)
        f->by_name[k] = k;
    if (f->n)
        qsort_r(f->by_name, (size_t)f->n, sizeof *f->by_name, compare_names, f->weight);
    for (int64_t k = 1; k < f->n; k++)
        if (compare_names(&f->by_name[k - 1], &f->by_name[k], f->weight) == 0)
            return aster_fail(f->ctx, ASTER_EFORMAT, "%s: two tensors are named '%.*s'", f->path,
                              ASTER_CUT(200, f->weight[f->by_name[k]].name));
    return 0;
}

/* ---- safetensors ---- */

static const struct {
    const char *name, *st_name;
    int64_t size;
} types[ASTER_WEIGHT_N_TYPES] = {
    [ASTER_WEIGHT_F16] = {"f16", "F16", 2},
    [ASTER_WEIGHT_BF16] = {"bf16", "BF16", 2},
    [ASTER_WEIGHT_F32] = {"f32", "F32", 4},
    [ASTER_WEIGHT_F64] = {"f64", "F64", 8},
    [ASTER_WEIGHT_F8_E4M3] = {"f8_e4m3", "F8_E4M3", 1},
    [ASTER_WEIGHT_F8_E5M2] = {"f8_e5m2", "F8_E5M2", 1},
    [ASTER_WEIGHT_I8] = {"i8", "I8", 1},
    [ASTER_WEIGHT_I16] = {"i16", "I16", 2},
    [ASTER_WEIGHT_I32] = {"i32", "I32", 4},
    [ASTER_WEIGHT_I64] = {"i64", "I64", 8},
    [ASTER_WEIGHT_U8] = {"u8", "U8", 1},
    [ASTER_WEIGHT_U16] = {"u16", "U16", 2},
    [ASTER_WEIGHT_U32] = {"u32", "U32", 4},
    [ASTER_WEIGHT_U64] = {"u64", "U64", 8},
    [ASTER_WEIGHT_BOOL] = {"bool", "BOOL", 1},
};

const char *aster_weight_type_name(enum aster_weight_type t)
{
    return types[t].name;
}

int64_t aster_weight_type_size(enum aster_weight_type t)
{
    return types[t].size;
}

void weightfile_dense(const struct aster_weight *w, int64_t *stride)
{
    int64_t step = 1;
    for (int k = w->rank - 1; k >= 0; k--) {
        stride[k] = step;
        step *= w->n ? w->dim[k] : 1;
    }
}

static int open_st(struct aster_weightfile *f)
{
    ASTER_TRY(aster_st_open(f->ctx, f->path, &f->st));
    for (int64_t k = 0; k < aster_st_count(f->st); k++) {
        const struct aster_st_tensor *t = aster_st_tensor(f->st, k);
        struct aster_weight w = {.rank = t->rank, .n = t->n};
        struct weight_place p = {.first = t->data, .dense = true};
        while (strcmp(types[w.type].st_name, t->dtype) != 0)
            if (++w.type == ASTER_WEIGHT_N_TYPES)
                return aster_fail(f->ctx, ASTER_EBUG, "dtype %s", t->dtype);
        memcpy(w.dim, t->dim, sizeof w.dim);
        weightfile_dense(&w, p.stride);
        ASTER_TRY(weightfile_add(f, t->name, &w, &p));
    }
    return weightfile_sort(f);
}

/* ---- torch ---- */

struct collect {
    struct aster_weightfile *f;
    int64_t names; /* characters */
    bool values;   /* there are other leaves than tensors */
};

static int collect_tensor(void *arg, const char *path, const struct torch_object *leaf)
{
    struct collect *c = arg;
    struct aster_weightfile *f = c->f;
    if (leaf->kind != TORCH_TENSOR) {
        c->values = true;
        return 0;
    }
    const struct torch_view *v = &f->torch->view[leaf->integer];
    const struct torch_member *m = &f->torch->member[v->member];
    int64_t size = aster_weight_type_size(v->shape.type), row_major[8];
    struct weight_place p = {.torch = f->torch, .member = v->member, .dense = true};
    /* offset can be as far off as the end in a tensor without elements */
    p.first = f->torch->zip.map.bytes + m->entry->at + v->offset * size;
    memcpy(p.stride, v->stride, sizeof p.stride);
    weightfile_dense(&v->shape, row_major);
    for (int k = 0; k < v->shape.rank && v->shape.n; k++)
        p.dense &= v->shape.dim[k] == 1 || v->stride[k] == row_major[k];
    c->names += (int64_t)strlen(path) + 1;
    if (c->names - NAMES_ALWAYS > MOST_NAMES * f->torch->zip.map.n)
        return aster_fail(f->ctx, ASTER_EFORMAT,
                          "%s: its tensors' names have more than %lld characters, too many for a "
                          "file of %lld bytes",
                          f->path, (long long)c->names, (long long)f->torch->zip.map.n);
    return weightfile_add(f, path, &v->shape, &p);
}

/* A file of values alone is one when it is a dict. */
static int open_torch(struct aster_weightfile *f)
{
    struct collect c = {.f = f};
    ASTER_TRY(aster_alloc(f->ctx, 1, sizeof *f->torch, &f->torch));
    ASTER_TRY(torch_open(f->torch, f->ctx, f->path));
    ASTER_TRY(torch_walk(f->torch, collect_tensor, &c));
    enum torch_kind root = f->torch->object[f->torch->root].kind;
    if (f->n == 0 && (!c.values || root != TORCH_DICT))
        return aster_fail(f->ctx, ASTER_EFORMAT, "%s: no tensors in the file; it holds %s", f->path,
                          torch_kind_name(root));
    return weightfile_sort(f);
}

/* ---- what kind of file ---- */

static bool starts_with(const struct aster_map *m, const char *bytes, int64_t n)
{
    return m->n >= n && !memcmp(m->bytes, bytes, (size_t)n);
}

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n >= m && !strcmp(s + n - m, ending);
}

static bool looks_like_st(const struct aster_map *m)
{
    return m->n > 8 && aster_get_le(m->bytes, 8) <= (uint64_t)(m->n - 8) && m->bytes[8] == '{';
}

static int unknown_file(const struct aster_weightfile *f, const struct aster_map *m)
{
    const char *what = "neither a zip archive of torch nor safetensors nor HDF5";
    if (m->n == 0)
        what = "an empty file";
    else if (starts_with(m, "version https://git-lfs", 23))
        what = "a Git LFS pointer, not the file itself; 'git lfs pull' fetches it";
    else if (starts_with(m, "\x80", 1))
        what = "a bare pickle, the legacy (non-zip) form of a torch file; torch.save of torch 1.6 "
               "or newer writes zip archives";
    else if (starts_with(m, "<", 1))
        what = "not a zip archive of torch but a text, perhaps a web page";
    else if (starts_with(m, "{", 1))
        what = "not a zip archive of torch but a JSON text";
    return aster_fail(f->ctx, ASTER_EFORMAT, "%s: is %s", f->path, what);
}

static int open_kind(struct aster_weightfile *f)
{
    struct aster_map m;
    ASTER_TRY(aster_map_open(f->ctx, f->path, &m));
    int (*open)(struct aster_weightfile *) = NULL;
    int rc = 0;
    bool pointer = starts_with(&m, "version https://git-lfs", 23);
    if (looks_like_st(&m))
        open = open_st;
    else if (starts_with(&m, "PK\3\4", 4) || starts_with(&m, "PK\5\6", 4))
        open = open_torch;
    else if (starts_with(&m, "\x89HDF\r\n\x1a\n", 8))
        open = weightfile_open_h5;
    else if (ends_with(f->path, ".json") && m.n && !pointer)
        open = weightfile_open_index;
    else if (ends_with(f->path, ".safetensors") && m.n && !pointer)
        open = open_st; /* which says what is wrong */
    else
        rc = unknown_file(f, &m);
    aster_map_close(&m);
    f->is_h5 = open == weightfile_open_h5;
    return rc < 0 ? rc : open(f);
}

bool aster_weightfile_is_h5(const struct aster_weightfile *f)
{
    return f->is_h5;
}

int aster_weightfile_open(struct aster_ctx *ctx, const char *path, struct aster_weightfile **out)
{
    struct aster_weightfile *f = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *f, &f));
    f->ctx = ctx;
    int rc = aster_strdup(ctx, path, &f->path);
    if (rc == 0)
        rc = open_kind(f);
    if (rc < 0)
        aster_weightfile_close(&f);
    *out = f;
    return rc;
}

void aster_weightfile_close(struct aster_weightfile **fp)
{
    struct aster_weightfile *f = *fp;
    if (!f)
        return;
    for (int64_t k = 0; k < f->n; k++)
        aster_free(&f->weight[k].name);
    aster_free(&f->weight);
    aster_free(&f->place);
    aster_free(&f->by_name);
    for (int64_t k = 0; k < f->n_shards; k++)
        aster_weightfile_close(&f->shard[k]);
    aster_free(&f->shard);
    aster_st_close(&f->st);
    weightfile_close_h5(f);
    if (f->torch)
        torch_close(f->torch);
    aster_free(&f->torch);
    aster_free(&f->path);
    aster_free(fp);
}

/* ---- what is in it ---- */

const char *aster_weightfile_path(const struct aster_weightfile *f)
{
    return f->path;
}

const char *aster_weightfile_shard(const struct aster_weightfile *f, int64_t i)
{
    return i >= 0 && i < f->n_shards ? f->shard[i]->path : NULL;
}

int64_t aster_weightfile_count(const struct aster_weightfile *f)
{
    return f->n;
}

const struct aster_weight *aster_weightfile_tensor(const struct aster_weightfile *f, int64_t i)
{
    return i >= 0 && i < f->n ? &f->weight[i] : NULL;
}

const struct aster_weight *aster_weightfile_find(const struct aster_weightfile *f, const char *name)
{
    int64_t low = 0, high = f->n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        int order = strcmp(name, f->weight[f->by_name[mid]].name);
        if (order == 0)
            return &f->weight[f->by_name[mid]];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static struct aster_value value_of(const struct torch_object *o)
{
    struct aster_value v = {.kind = o->kind == TORCH_REAL   ? ASTER_VALUE_REAL
                                    : o->kind == TORCH_TEXT ? ASTER_VALUE_TEXT
                                    : o->kind == TORCH_BOOL ? ASTER_VALUE_BOOL
                                                            : ASTER_VALUE_INTEGER};
    if (v.kind == ASTER_VALUE_REAL)
        v.real = o->real;
    else if (v.kind != ASTER_VALUE_TEXT)
        v.integer = o->integer;
    else
        v.text = o->text;
    v.n = v.text ? o->n : 0;
    return v;
}

int aster_weightfile_value(const struct aster_weightfile *f, const char *path,
                           struct aster_value *out)
{
    const struct torch_object *o = f->torch ? torch_find(f->torch, path) : NULL;
    if (!o || o->kind == TORCH_TENSOR)
        return 0;
    *out = value_of(o);
    return 1;
}

struct visitor {
    int (*visit)(void *arg, const char *path, const struct aster_value *v);
    void *arg;
};

static int visit_value(void *arg, const char *path, const struct torch_object *leaf)
{
    const struct visitor *v = arg;
    struct aster_value value;
    if (leaf->kind == TORCH_TENSOR)
        return 0;
    value = value_of(leaf);
    return v->visit(v->arg, path, &value);
}

int aster_weightfile_values(const struct aster_weightfile *f,
                            int (*visit)(void *arg, const char *path, const struct aster_value *v),
                            void *arg)
{
    struct visitor v = {visit, arg};
    return f->torch ? torch_walk(f->torch, visit_value, &v) : 0;
}

const char *aster_weightfile_metadata(const struct aster_weightfile *f, const char *key)
{
    return f->st ? aster_st_metadata(f->st, key) : NULL;
}
