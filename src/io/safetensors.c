/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading safetensors: a mapped file whose header is checked to cover the data without holes or
 * overlaps. */
#include "io/internal.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_LIMIT (100LL * 1000 * 1000)

struct span {
    int64_t begin, end, tensor;
};

struct aster_st {
    struct aster_ctx *ctx;
    char *path;
    struct aster_map map;
    struct aster_json *header; /* owns the names */
    const struct aster_json *metadata;
    struct aster_st_tensor *tensor;
    int64_t *by_name; /* indices, sorted by name */
    int64_t n;
};

static int type_bits(const char *dtype)
{
    static const struct {
        const char *name;
        int bits;
    } types[] = {{"BOOL", 8}, {"U8", 8},   {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8},
                 {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},   {"I32", 32},
                 {"U32", 32}, {"F32", 32}, {"I64", 64}, {"U64", 64},    {"F64", 64}};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (!strcmp(types[k].name, dtype))
            return types[k].bits;
    return 0;
}

/* A member of a tensor's entry that must be there with the type given. */
static int member(const struct aster_st *s, const struct aster_json *entry, const char *key,
                  enum aster_json_type type, const char *expected, const struct aster_json **out)
{
    *out = aster_json_get(entry, key);
    if (!*out)
        return aster_fail(s->ctx, ASTER_EFORMAT, "%s: tensor '%.*s' has no %s; %s is expected",
                          s->path, ASTER_CUT(200, entry->key), key, expected);
    if ((*out)->type != type)
        return aster_fail(s->ctx, ASTER_EFORMAT, "%s: tensor '%.*s': its %s is not %s", s->path,
                          ASTER_CUT(200, entry->key), key, expected);
    return 0;
}

/* The next number of a list: an integer from 0. */
static int length_of(const struct aster_st *s, const char *name, const char *key,
                     const struct aster_json *j, int64_t *out)
{
    if (j->type != ASTER_JSON_NUMBER || !j->is_int)
        return aster_fail(s->ctx, ASTER_EFORMAT,
                          "%s: tensor '%.*s': its %s holds something that is not a 64-bit integer",
                          s->path, ASTER_CUT(200, name), key);
    if (j->integer < 0)
        return aster_fail(s->ctx, ASTER_EFORMAT,
                          "%s: tensor '%.*s': its %s has the negative number %lld", s->path,
                          ASTER_CUT(200, name), key, (long long)j->integer);
    *out = j->integer;
    return 0;
}

static int read_shape(const struct aster_st *s, const struct aster_json *shape,
                      struct aster_st_tensor *t)
{
    bool none = false, beyond = false;
    t->n = 1;
    for (const struct aster_json *j = shape->child; j; j = j->next) {
        if (t->rank == 8)
            return aster_fail(s->ctx, ASTER_ELIMIT, "%s: tensor '%.*s' has more than 8 dimensions",
                              s->path, ASTER_CUT(200, t->name));
        ASTER_TRY(length_of(s, t->name, "shape", j, &t->dim[t->rank]));
        int64_t d = t->dim[t->rank++];
        none |= d == 0;
        if (d && t->n > (INT64_MAX >> 6) / d)
            beyond = true;
        else if (d)
            t->n *= d;
    }
    if (none)
        t->n = 0;
    else if (beyond)
        return aster_fail(s->ctx, ASTER_EFORMAT,
                          "%s: tensor '%.*s': the product of its shape does not fit 64 bits",
                          s->path, ASTER_CUT(200, t->name));
    return 0;
}

static int read_entry(const struct aster_st *s, const struct aster_json *entry, int64_t data_n,
                      struct aster_st_tensor *t, struct span *span)
{
    const struct aster_json *dtype, *shape, *offsets;
    t->name = entry->key;
    if (entry->type != ASTER_JSON_OBJECT)
        return aster_fail(s->ctx, ASTER_EFORMAT, "%s: the entry of tensor '%.*s' is not an object",
                          s->path, ASTER_CUT(200, t->name));
    ASTER_TRY(member(s, entry, "dtype", ASTER_JSON_STRING, "a text", &dtype));
    ASTER_TRY(member(s, entry, "shape", ASTER_JSON_ARRAY, "a list of integers", &shape));
    ASTER_TRY(
        member(s, entry, "data_offsets", ASTER_JSON_ARRAY, "a list of two integers", &offsets));
    int bits = type_bits(dtype->string);
    if (!bits)
        return aster_fail(s->ctx, ASTER_EFORMAT, "%s: tensor '%.*s' has the unknown dtype '%.*s'",
                          s->path, ASTER_CUT(200, t->name), ASTER_CUT(40, dtype->string));
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype->string);
    ASTER_TRY(read_shape(s, shape, t));
    if (aster_json_count(offsets) != 2)
        return aster_fail(s->ctx, ASTER_EFORMAT,
                          "%s: tensor '%.*s': %lld data_offsets, 2 are expected", s->path,
                          ASTER_CUT(200, t->name), (long long)aster_json_count(offsets));
    ASTER_TRY(length_of(s, t->name, "data_offsets", offsets->child, &span->begin));
    ASTER_TRY(length_of(s, t->name, "data_offsets", offsets->child->next, &span->end));
    if (span->begin > span->end)
        return aster_fail(s->ctx, ASTER_EFORMAT,
                          "%s: tensor '%.*s': data_offsets begin at %lld, after their end %lld",
                          s->path, ASTER_CUT(200, t->name), (long long)span->begin,
                          (long long)span->end);
    if (span->end > data_n)
        return aster_fail(s->ctx, ASTER_EFORMAT,
                          "%s: tensor '%.*s' ends at byte %lld of the data; the file has %lld",
                          s->path, ASTER_CUT(200, t->name), (long long)span->end,
                          (long long)data_n);
    if (span->end - span->begin != t->n * (bits / 8))
        return aster_fail(
            s->ctx, ASTER_EFORMAT,
            "%s: tensor '%.*s': %lld elements of %s have %lld bytes, its data_offsets hold %lld",
            s->path, ASTER_CUT(200, t->name), (long long)t->n, t->dtype,
            (long long)(t->n * (bits / 8)), (long long)(span->end - span->begin));
    return 0;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

static int check_cover(const struct aster_st *s, struct span *spans, int64_t data_n)
{
    int64_t at = 0;
    if (s->n)
        qsort(spans, (size_t)s->n, sizeof *spans, compare_spans);
    for (int64_t k = 0; k < s->n; k++) {
        const char *name = s->tensor[spans[k].tensor].name;
        if (spans[k].begin < at)
            return aster_fail(
                s->ctx, ASTER_EFORMAT,
                "%s: tensor '%.*s' begins at byte %lld of the data and overlaps '%.*s'", s->path,
                ASTER_CUT(200, name), (long long)spans[k].begin,
                ASTER_CUT(200, s->tensor[spans[k - 1].tensor].name));
        if (spans[k].begin > at)
            return aster_fail(s->ctx, ASTER_EFORMAT,
                              "%s: a hole of %lld bytes in the data before tensor '%.*s'", s->path,
                              (long long)(spans[k].begin - at), ASTER_CUT(200, name));
        at = spans[k].end;
    }
    if (at != data_n)
        return aster_fail(s->ctx, ASTER_EFORMAT, "%s: %lld bytes after the last tensor", s->path,
                          (long long)(data_n - at));
    return 0;
}

static int check_metadata(const struct aster_st *s)
{
    if (s->metadata && s->metadata->type != ASTER_JSON_OBJECT)
        return aster_fail(s->ctx, ASTER_EFORMAT, "%s: __metadata__ is not an object of texts",
                          s->path);
    for (const struct aster_json *j = s->metadata ? s->metadata->child : NULL; j; j = j->next)
        if (j->type != ASTER_JSON_STRING)
            return aster_fail(s->ctx, ASTER_EFORMAT, "%s: __metadata__: '%.*s' is not a text",
                              s->path, ASTER_CUT(200, j->key));
    return 0;
}

static int compare_names(const void *a, const void *b, void *tensors)
{
    const struct aster_st_tensor *t = tensors;
    return strcmp(t[*(const int64_t *)a].name, t[*(const int64_t *)b].name);
}

static int read_header(struct aster_st *s, int64_t header_n)
{
    struct span *spans = NULL;
    int64_t data_n = s->map.n - 8 - header_n, n = 0;
    const char *text = (const char *)s->map.bytes + 8;
    int rc;
    if (header_n < 2 || text[0] != '{')
        return aster_fail(s->ctx, ASTER_EFORMAT, "%s: its header does not start with '{'", s->path);
    ASTER_TRY(aster_json_parse(s->ctx, s->path, text, (size_t)header_n, &s->header));
    s->metadata = aster_json_get(s->header, "__metadata__");
    ASTER_TRY(check_metadata(s));
    n = aster_json_count(s->header) - (s->metadata != NULL);
    ASTER_TRY(aster_alloc(s->ctx, n, sizeof *s->tensor, &s->tensor));
    ASTER_TRY(aster_alloc(s->ctx, n, sizeof *s->by_name, &s->by_name));
    ASTER_TRY(aster_alloc(s->ctx, n, sizeof *spans, &spans));
    for (const struct aster_json *j = s->header->child; j; j = j->next) {
        if (j == s->metadata)
            continue;
        spans[s->n].tensor = s->by_name[s->n] = s->n;
        ASTER_GOTO(read_entry(s, j, data_n, &s->tensor[s->n], &spans[s->n]), done);
        s->tensor[s->n].data = text + header_n + spans[s->n].begin;
        s->n++;
    }
    ASTER_GOTO(check_cover(s, spans, data_n), done);
    if (s->n)
        qsort_r(s->by_name, (size_t)s->n, sizeof *s->by_name, compare_names, s->tensor);
done:
    aster_free(&spans);
    return rc;
}

int aster_st_open(struct aster_ctx *ctx, const char *path, struct aster_st **out)
{
    struct aster_st *s = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    s->ctx = ctx;
    ASTER_GOTO(aster_strdup(ctx, path, &s->path), fail);
    ASTER_GOTO(aster_map_open(ctx, path, &s->map), fail);
    if (s->map.n < 8) {
        rc = aster_fail(
            ctx, ASTER_EFORMAT,
            "%s: has %lld bytes; a safetensors file starts with 8 bytes of header length", path,
            (long long)s->map.n);
        goto fail;
    }
    uint64_t header_n = aster_get_le(s->map.bytes, 8);
    if (header_n > (uint64_t)HEADER_LIMIT || (int64_t)header_n > s->map.n - 8) {
        rc = aster_fail(
            ctx, ASTER_EFORMAT,
            "%s: header length too large: it claims %llu bytes, the file has %lld after it", path,
            (unsigned long long)header_n, (long long)s->map.n - 8);
        goto fail;
    }
    ASTER_GOTO(read_header(s, (int64_t)header_n), fail);
    *out = s;
    return 0;
fail:
    aster_st_close(&s);
    return rc;
}

int64_t aster_st_count(const struct aster_st *s)
{
    return s->n;
}

const struct aster_st_tensor *aster_st_tensor(const struct aster_st *s, int64_t i)
{
    return i >= 0 && i < s->n ? &s->tensor[i] : NULL;
}

const struct aster_st_tensor *aster_st_find(const struct aster_st *s, const char *name)
{
    int64_t low = 0, high = s->n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        int order = strcmp(name, s->tensor[s->by_name[mid]].name);
        if (order == 0)
            return &s->tensor[s->by_name[mid]];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *aster_st_metadata(const struct aster_st *s, const char *key)
{
    const struct aster_json *j = aster_json_get(s->metadata, key);
    return j ? j->string : NULL;
}

void aster_st_close(struct aster_st **sp)
{
    struct aster_st *s = *sp;
    if (!s)
        return;
    aster_map_close(&s->map);
    aster_json_free(&s->header);
    aster_free(&s->tensor);
    aster_free(&s->by_name);
    aster_free(&s->path);
    aster_free(sp);
}
