/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays of .npz archives and .npy files: rows converted to the type asked for, texts to UTF-8. */
#include "io/internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20 }; /* bytes converted at a time */

struct member {
    char *name;
    const struct aster_zip_entry *entry;
    struct aster_zip_stream *stream;
    struct aster_npy npy;
    bool parsed;
};

struct aster_npz {
    struct aster_ctx *ctx;
    char *path;
    pthread_mutex_t lock;
    struct aster_zip zip;
    struct member *member; /* sorted by name */
    int64_t n;
    uint8_t *room;
    int64_t cap_room;
};

static int compare_members(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

/* A name without its ending .npy. */
static int array_name(struct aster_ctx *ctx, const char *name, char **out)
{
    size_t n = strlen(name);
    return aster_strndup(ctx, name, n >= 4 && !strcmp(name + n - 4, ".npy") ? n - 4 : n, out);
}

/* A .npy file becomes an archive of one entry. */
static int open_npy(struct aster_npz *z, const struct aster_map *map)
{
    z->zip = (struct aster_zip){.ctx = z->ctx, .path = z->path, .map = *map};
    ASTER_TRY(aster_alloc(z->ctx, 1, sizeof *z->zip.entry, &z->zip.entry));
    z->zip.n = 1;
    z->zip.entry->packed = z->zip.entry->size = map->n;
    return array_name(z->ctx, aster_path_base(z->path), &z->zip.entry->name);
}

static int open_members(struct aster_npz *z)
{
    ASTER_TRY(aster_alloc(z->ctx, z->zip.n, sizeof *z->member, &z->member));
    for (; z->n < z->zip.n; z->n++) {
        z->member[z->n].entry = &z->zip.entry[z->n];
        ASTER_TRY(array_name(z->ctx, z->zip.entry[z->n].name, &z->member[z->n].name));
    }
    if (z->n)
        qsort(z->member, (size_t)z->n, sizeof *z->member, compare_members);
    for (int64_t k = 1; k < z->n; k++)
        if (!strcmp(z->member[k - 1].name, z->member[k].name))
            return aster_fail(z->ctx, ASTER_EFORMAT, "%s: two arrays are named '%s'", z->path,
                              z->member[k].name);
    return 0;
}

int aster_npz_open(struct aster_ctx *ctx, const char *path, struct aster_npz **out)
{
    struct aster_npz *z = NULL;
    struct aster_map map = {0};
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *z, &z));
    z->ctx = ctx;
    pthread_mutex_init(&z->lock, NULL);
    ASTER_GOTO(aster_strdup(ctx, path, &z->path), fail);
    ASTER_GOTO(aster_map_open(ctx, path, &map), fail);
    if (map.n >= 6 && !memcmp(map.bytes, "\x93NUMPY", 6)) {
        ASTER_GOTO(open_npy(z, &map), fail);
    } else {
        aster_map_close(&map);
        ASTER_GOTO(aster_zip_open(&z->zip, ctx, z->path, "npz file"), fail);
    }
    ASTER_GOTO(open_members(z), fail);
    *out = z;
    return 0;
fail:
    aster_npz_close(&z);
    return rc;
}

void aster_npz_close(struct aster_npz **zp)
{
    struct aster_npz *z = *zp;
    if (!z)
        return;
    for (int64_t k = 0; z->member && k < z->zip.n; k++) {
        aster_free(&z->member[k].name);
        aster_zip_stream_free(&z->member[k].stream);
    }
    aster_free(&z->member);
    aster_zip_close(&z->zip);
    pthread_mutex_destroy(&z->lock);
    aster_free(&z->room);
    aster_free(&z->path);
    aster_free(zp);
}

static struct member *find(const struct aster_npz *z, const char *name)
{
    struct member key = {.name = (char *)(uintptr_t)name};
    return z->n ? bsearch(&key, z->member, (size_t)z->n, sizeof key, compare_members) : NULL;
}

bool aster_npz_has(const struct aster_npz *z, const char *name)
{
    return find(z, name) != NULL;
}

static int no_array(const struct aster_npz *z, const char *name)
{
    struct aster_str list = {0};
    for (int64_t k = 0; k < z->n && k < 20; k++)
        aster_str_printf(&list, "%s%s", k ? ", " : "", z->member[k].name);
    int rc = aster_fail(z->ctx, ASTER_EFORMAT, "%s: has no array '%s'; it has %s%s", z->path, name,
                        z->n ? aster_str_get(&list) : "none", z->n > 20 ? " and more" : "");
    aster_str_free(&list);
    return rc;
}

/* n bytes of a member from at on; what they point to is valid until the next call. */
static int bytes_of(struct aster_npz *z, struct member *m, int64_t at, int64_t n,
                    const uint8_t **out)
{
    if (m->entry->deflated)
        ASTER_TRY(aster_grow(z->ctx, n, 1, &z->cap_room, &z->room));
    return aster_zip_stream_bytes(m->stream, at, n, z->room, out);
}

/* The member with its header read. Call with the lock held. */
static int open_array(struct aster_npz *z, const char *name, struct member **out)
{
    struct member *m = *out = find(z, name);
    const uint8_t *b;
    int64_t length = 0;
    if (!m)
        return no_array(z, name);
    if (m->parsed)
        return 0;
    if (!m->stream)
        ASTER_TRY(aster_zip_stream_new(&z->zip, m->entry, &m->stream));
    if (m->entry->size < ASTER_NPY_PREFIX)
        return aster_fail(z->ctx, ASTER_EFORMAT, "%s: '%s': has %lld bytes and is no .npy array",
                          z->path, name, (long long)m->entry->size);
    ASTER_TRY(bytes_of(z, m, 0, ASTER_NPY_PREFIX, &b));
    int64_t start = b[6] == 1 ? 10 : 12;
    ASTER_TRY(aster_npy_header_length(z->ctx, z->path, name, b, &length));
    ASTER_TRY(bytes_of(z, m, 0, length, &b));
    ASTER_TRY(aster_npy_parse(z->ctx, z->path, name, (const char *)b + start, length - start,
                              length, m->entry->size, &m->npy));
    m->parsed = true;
    return 0;
}

int aster_npz_shape(struct aster_npz *z, const char *name, struct aster_npy_shape *out)
{
    struct member *m;
    pthread_mutex_lock(&z->lock);
    int rc = open_array(z, name, &m);
    if (rc == 0)
        *out = m->npy.shape;
    pthread_mutex_unlock(&z->lock);
    return rc;
}

/* ---- numbers ---- */

static double real_at(const struct aster_npy *a, const uint8_t *p)
{
    float f;
    double d;
    if (a->size == 2)
        return (double)aster_f16_to_f32((uint16_t)aster_get_le(p, 2));
    if (a->size == 4) {
        memcpy(&f, p, sizeof f);
        return (double)f;
    }
    memcpy(&d, p, sizeof d);
    return d;
}

static int64_t integer_at(const struct aster_npy *a, const uint8_t *p)
{
    int shift = 64 - 8 * (int)a->size;
    uint64_t v = aster_get_le(p, (int)a->size);
    return a->kind == 'i' ? (int64_t)(v << shift) >> shift : (int64_t)v;
}

/* n elements; the index of the first that type t cannot hold, n if there is none. */
static int64_t convert(const struct aster_npy *a, const uint8_t *from, int64_t n,
                       enum aster_dtype t, uint8_t *to)
{
    int64_t size = aster_dtype_size(t);
    bool real_from = a->kind == 'f', real_to = t == ASTER_F32 || t == ASTER_F64 || t == ASTER_BF16;
    if (a->size == size && a->shape.dtype == t && a->kind != 'b') {
        memcpy(to, from, (size_t)(n * size));
        return n;
    }
    for (int64_t k = 0; k < n; k++, from += a->size, to += size) {
        if (real_to) {
            if (!aster_put_real(t, real_from ? real_at(a, from) : (double)integer_at(a, from), to))
                return k;
        } else if (real_from) {
            double v = real_at(a, from);
            if (!(v >= -0x1p53 && v <= 0x1p53) || (double)(int64_t)v != v ||
                !aster_put_integer(t, (int64_t)v, to))
                return k;
        } else if (!aster_put_integer(t, integer_at(a, from), to)) {
            return k;
        }
    }
    return n;
}

static int read_numbers(struct aster_npz *z, const char *name, enum aster_dtype t, int64_t first,
                        int64_t count, uint8_t *out)
{
    struct member *m;
    const uint8_t *b;
    ASTER_TRY(open_array(z, name, &m));
    const struct aster_npy *a = &m->npy;
    int64_t rows = a->shape.rank ? a->shape.dim[0] : 1;
    if (a->shape.is_text)
        return aster_fail(z->ctx, ASTER_EFORMAT, "%s: '%s': is text, numbers are expected", z->path,
                          name);
    if (first < 0 || count < 0 || first > rows - count)
        return aster_fail(z->ctx, ASTER_EFORMAT,
                          "%s: '%s': %lld rows from row %lld on, there are %lld", z->path, name,
                          (long long)count, (long long)first, (long long)rows);
    int64_t row = rows ? a->shape.n / rows : 0, at = first * row, end = at + count * row,
            piece = PIECE / a->size;
    while (at < end) {
        int64_t n = aster_min64(piece, end - at);
        ASTER_TRY(bytes_of(z, m, a->begin + at * a->size, n * a->size, &b));
        int64_t good = convert(a, b, n, t, out);
        if (good < n)
            return aster_fail(z->ctx, ASTER_EFORMAT, "%s: '%s': element %lld cannot be held as %s",
                              z->path, name, (long long)(at + good), aster_dtype_name(t));
        at += n;
        out += n * aster_dtype_size(t);
    }
    return 0;
}

int aster_npz_read_rows(struct aster_npz *z, const char *name, enum aster_dtype t, int64_t first,
                        int64_t count, void *out)
{
    pthread_mutex_lock(&z->lock);
    int rc = read_numbers(z, name, t, first, count, out);
    pthread_mutex_unlock(&z->lock);
    return rc;
}

/* ---- texts ---- */

/* UTF-32 (size 4 per character) or bytes, padded with 0 at the end, as UTF-8. False: no text. */
static bool decode(const struct aster_npy *a, const uint8_t *p, struct aster_str *s)
{
    int width = a->kind == 'U' ? 4 : 1;
    int64_t n = a->shape.text_chars;
    while (n && aster_get_le(p + (n - 1) * width, width) == 0)
        n--;
    for (int64_t k = 0; k < n; k++, p += width) {
        uint32_t c = (uint32_t)aster_get_le(p, width);
        if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        if (width == 4)
            aster_utf8_add(s, c);
        else
            aster_str_addn(s, (const char *)p, 1);
    }
    return true;
}

static int read_texts(struct aster_npz *z, const char *name, char **list, const struct aster_npy *a,
                      struct member *m)
{
    struct aster_str s = {0};
    const uint8_t *b = NULL;
    int rc = 0;
    int64_t most = a->size ? aster_max64(1, PIECE / a->size) : a->shape.n;
    for (int64_t at = 0; rc == 0 && at < a->shape.n;) {
        int64_t n = aster_min64(most, a->shape.n - at);
        if (a->size)
            ASTER_GOTO(bytes_of(z, m, a->begin + at * a->size, n * a->size, &b), done);
        for (int64_t k = 0; rc == 0 && k < n; k++, at++) {
            s.len = 0;
            aster_str_add(&s, "");
            if (a->size && !decode(a, b + k * a->size, &s))
                rc = aster_fail(z->ctx, ASTER_EFORMAT,
                                "%s: '%s': text %lld has a character that is none", z->path, name,
                                (long long)at);
            if (rc == 0)
                rc = aster_str_ok(z->ctx, &s);
            if (rc == 0)
                rc = aster_strdup(z->ctx, aster_str_get(&s), &list[at]);
        }
    }
done:
    aster_str_free(&s);
    return rc;
}

int aster_npz_read_strings(struct aster_npz *z, const char *name, char ***out, int64_t *n)
{
    struct member *m;
    *out = NULL;
    *n = 0;
    pthread_mutex_lock(&z->lock);
    int rc = open_array(z, name, &m);
    if (rc == 0 && !m->npy.shape.is_text)
        rc = aster_fail(z->ctx, ASTER_EFORMAT, "%s: '%s': is numbers, text is expected", z->path,
                        name);
    if (rc == 0)
        rc = aster_alloc(z->ctx, m->npy.shape.n, sizeof **out, out);
    if (rc == 0)
        rc = read_texts(z, name, *out, &m->npy, m);
    if (rc == 0)
        *n = m->npy.shape.n;
    else if (*out)
        aster_strings_free(out, m->npy.shape.n);
    pthread_mutex_unlock(&z->lock);
    return rc;
}
