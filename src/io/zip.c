/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory of a zip archive (zip64 too) and the bytes of its entries, stored or deflated. */
#include "io/internal.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END_BYTES = 22, LOCATOR_BYTES = 20, END64_BYTES = 56, CENTRAL_BYTES = 46, LOCAL_BYTES = 30 };
enum { MOST_EXPANSION = 1032 }; /* of deflate: 258 bytes from 2 bits */

static int damaged(const struct aster_zip *z, const char *what)
{
    return aster_fail(z->ctx, ASTER_EFORMAT, "%s: %s; a whole zip archive is expected", z->path,
                      what);
}

struct directory {
    int64_t begin, size, n;
};

/* The end record is the last thing in the file but for a comment of at most 65535 bytes. */
static int64_t find_end(const struct aster_map *m)
{
    int64_t first = aster_max64(0, m->n - END_BYTES - 65535);
    for (int64_t p = m->n - END_BYTES; p >= first; p--)
        if (aster_get_le(m->bytes + p, 4) == 0x06054b50 &&
            p + END_BYTES + (int64_t)aster_get_le(m->bytes + p + 20, 2) == m->n)
            return p;
    return -1;
}

static int find_directory(struct aster_zip *z, const char *kind, struct directory *d)
{
    const uint8_t *b = z->map.bytes;
    if (z->map.n < 4 || (aster_get_le(b, 4) != 0x04034b50 && aster_get_le(b, 4) != 0x06054b50))
        return aster_fail(z->ctx, ASTER_EFORMAT, "%s: is no %s (%s)", z->path, kind,
                          z->map.n ? "its first bytes are not those of a zip archive"
                                   : "it is empty");
    int64_t end = find_end(&z->map);
    if (end < 0)
        return damaged(z, "its end record is missing, the file is cut off or not a zip archive");
    uint64_t disk = aster_get_le(b + end + 4, 2) | aster_get_le(b + end + 6, 2),
             here = aster_get_le(b + end + 8, 2), n = aster_get_le(b + end + 10, 2),
             size = aster_get_le(b + end + 12, 4), begin = aster_get_le(b + end + 16, 4);
    int64_t limit = end;
    if (end >= LOCATOR_BYTES && aster_get_le(b + end - LOCATOR_BYTES, 4) == 0x07064b50) {
        uint64_t at = aster_get_le(b + end - LOCATOR_BYTES + 8, 8);
        if (at > (uint64_t)(end - LOCATOR_BYTES) ||
            end - LOCATOR_BYTES - (int64_t)at < END64_BYTES ||
            aster_get_le(b + at, 4) != 0x06064b50)
            return damaged(z, "its zip64 end record is not where its locator says");
        disk = aster_get_le(b + at + 16, 4) | aster_get_le(b + at + 20, 4);
        here = aster_get_le(b + at + 24, 8);
        n = aster_get_le(b + at + 32, 8);
        size = aster_get_le(b + at + 40, 8);
        begin = aster_get_le(b + at + 48, 8);
        limit = (int64_t)at;
    }
    if (disk != 0 || here != n)
        return damaged(z, "it is one part of an archive of several");
    if (begin > (uint64_t)limit || size > (uint64_t)limit - begin)
        return damaged(z, "its directory lies outside the file");
    if (n > size / CENTRAL_BYTES)
        return damaged(
            z, "its directory is too small for the number of entries that its end record says");
    *d = (struct directory){(int64_t)begin, (int64_t)size, (int64_t)n};
    return 0;
}

/* Replaces those of size, packed size and offset whose 32-bit field is full by those of the zip64
 * extra field. */
static bool read_zip64(const uint8_t *extra, int64_t n, uint64_t *size, uint64_t *packed,
                       uint64_t *offset)
{
    uint64_t *const want[3] = {size, packed, offset};
    bool missing = *size == 0xffffffff || *packed == 0xffffffff || *offset == 0xffffffff;
    for (int64_t at = 0; missing && n - at >= 4;) {
        int64_t length = (int64_t)aster_get_le(extra + at + 2, 2);
        if (length > n - at - 4)
            return false;
        if (aster_get_le(extra + at, 2) == 1) {
            const uint8_t *field = extra + at + 4, *end = field + length;
            for (int k = 0; k < 3; k++)
                if (*want[k] == 0xffffffff) {
                    if (end - field < 8)
                        return false;
                    *want[k] = aster_get_le(field, 8);
                    field += 8;
                }
            return true;
        }
        at += 4 + length;
    }
    return !missing;
}

static int place_entry(struct aster_zip *z, struct aster_zip_entry *e, uint64_t offset,
                       int64_t limit)
{
    const uint8_t *b = z->map.bytes;
    if (offset > (uint64_t)limit || limit - (int64_t)offset < LOCAL_BYTES ||
        aster_get_le(b + offset, 4) != 0x04034b50)
        return aster_fail(z->ctx, ASTER_EFORMAT,
                          "%s: entry '%.*s': its local header is not where the directory says",
                          z->path, ASTER_CUT(200, e->name));
    int64_t name_n = (int64_t)aster_get_le(b + offset + 26, 2),
            extra_n = (int64_t)aster_get_le(b + offset + 28, 2);
    e->header = (int64_t)offset;
    e->at = (int64_t)offset + LOCAL_BYTES + name_n + extra_n;
    if (e->at > limit || e->packed > limit - e->at)
        return aster_fail(z->ctx, ASTER_EFORMAT,
                          "%s: entry '%.*s': its %lld bytes reach beyond the archive's data",
                          z->path, ASTER_CUT(200, e->name), (long long)e->packed);
    if (name_n != (int64_t)strlen(e->name) ||
        memcmp(b + offset + LOCAL_BYTES, e->name, (size_t)name_n))
        return aster_fail(z->ctx, ASTER_EFORMAT,
                          "%s: entry '%.*s' has another name beside its data", z->path,
                          ASTER_CUT(200, e->name));
    return 0;
}

static int check_name(struct aster_zip *z, const char *name, int64_t n)
{
    for (const char *c = name, *end = name + n; c < end;) {
        int k = *c ? aster_utf8_length(c, end) : 0;
        if (!k)
            return damaged(z, "the name of an entry is not UTF-8");
        c += k;
    }
    return 0;
}

/* The entry at *at of the directory; moves *at to the next. */
static int read_entry(struct aster_zip *z, const struct directory *d, int64_t *at,
                      struct aster_zip_entry *e)
{
    const uint8_t *b = z->map.bytes + *at;
    int64_t left = d->begin + d->size - *at;
    if (left < CENTRAL_BYTES || aster_get_le(b, 4) != 0x02014b50)
        return damaged(z, "its directory is damaged");
    int64_t name_n = (int64_t)aster_get_le(b + 28, 2), extra_n = (int64_t)aster_get_le(b + 30, 2),
            comment_n = (int64_t)aster_get_le(b + 32, 2);
    if (left - CENTRAL_BYTES < name_n + extra_n + comment_n)
        return damaged(z, "its directory is damaged");
    const char *name = (const char *)b + CENTRAL_BYTES;
    ASTER_TRY(check_name(z, name, name_n));
    ASTER_TRY(aster_strndup(z->ctx, name, (size_t)name_n, &e->name));
    uint64_t packed = aster_get_le(b + 20, 4), size = aster_get_le(b + 24, 4),
             offset = aster_get_le(b + 42, 4);
    int method = (int)aster_get_le(b + 10, 2);
    if (aster_get_le(b + 8, 2) & 1)
        return aster_fail(z->ctx, ASTER_EFORMAT, "%s: entry '%.*s' is encrypted", z->path,
                          ASTER_CUT(200, e->name));
    if (method != 0 && method != 8)
        return aster_fail(
            z->ctx, ASTER_EFORMAT,
            "%s: entry '%.*s' is packed by method %d; stored (0) or deflated (8) is expected",
            z->path, ASTER_CUT(200, e->name), method);
    if (!read_zip64(b + CENTRAL_BYTES + name_n, extra_n, &size, &packed, &offset))
        return aster_fail(z->ctx, ASTER_EFORMAT,
                          "%s: entry '%.*s': its zip64 extra field is missing or damaged", z->path,
                          ASTER_CUT(200, e->name));
    if (method == 0 && size != packed)
        return aster_fail(z->ctx, ASTER_EFORMAT,
                          "%s: entry '%.*s' is stored, but its two sizes differ: %llu and %llu",
                          z->path, ASTER_CUT(200, e->name), (unsigned long long)size,
                          (unsigned long long)packed);
    if (packed > (uint64_t)z->map.n)
        return aster_fail(z->ctx, ASTER_EFORMAT,
                          "%s: entry '%.*s': its %llu bytes reach beyond the archive's data",
                          z->path, ASTER_CUT(200, e->name), (unsigned long long)packed);
    if (method == 8 && size > packed * MOST_EXPANSION)
        return aster_fail(
            z->ctx, ASTER_EFORMAT, "%s: entry '%.*s': %llu bytes cannot come from %llu packed ones",
            z->path, ASTER_CUT(200, e->name), (unsigned long long)size, (unsigned long long)packed);
    e->deflated = method == 8;
    e->has_crc = true;
    e->crc = (uint32_t)aster_get_le(b + 16, 4);
    e->packed = (int64_t)packed;
    e->size = (int64_t)size;
    *at += CENTRAL_BYTES + name_n + extra_n + comment_n;
    return place_entry(z, e, offset, d->begin);
}

static int compare_places(const void *a, const void *b)
{
    const struct aster_zip_entry *const *x = a, *const *y = b;
    return (*x)->header < (*y)->header ? -1 : (*x)->header > (*y)->header;
}

/* No byte of the file belongs to two entries. */
static int check_overlaps(struct aster_zip *z)
{
    const struct aster_zip_entry **by_place = NULL;
    int rc = 0;
    ASTER_TRY(aster_alloc(z->ctx, z->n, sizeof *by_place, &by_place));
    for (int64_t k = 0; k < z->n; k++)
        by_place[k] = &z->entry[k];
    if (z->n)
        qsort(by_place, (size_t)z->n, sizeof *by_place, compare_places);
    for (int64_t k = 1; k < z->n && rc == 0; k++)
        if (by_place[k - 1]->at + by_place[k - 1]->packed > by_place[k]->header)
            rc = aster_fail(
                z->ctx, ASTER_EFORMAT, "%s: the entries '%.*s' and '%.*s' overlap in the file",
                z->path, ASTER_CUT(200, by_place[k - 1]->name), ASTER_CUT(200, by_place[k]->name));
    aster_free(&by_place);
    return rc;
}

int aster_zip_open(struct aster_zip *z, struct aster_ctx *ctx, const char *path, const char *kind)
{
    int64_t at;
    struct directory d = {0};
    int rc;
    *z = (struct aster_zip){.ctx = ctx, .path = path};
    ASTER_TRY(aster_map_open(ctx, path, &z->map));
    ASTER_GOTO(find_directory(z, kind, &d), fail);
    ASTER_GOTO(aster_alloc(ctx, d.n, sizeof *z->entry, &z->entry), fail);
    for (at = d.begin; z->n < d.n;)
        ASTER_GOTO(read_entry(z, &d, &at, &z->entry[z->n++]), fail);
    if (at != d.begin + d.size) {
        rc = damaged(z, "its directory holds another number of entries than its end record says");
        goto fail;
    }
    ASTER_GOTO(check_overlaps(z), fail);
    return 0;
fail:
    aster_zip_close(z);
    return rc;
}

void aster_zip_close(struct aster_zip *z)
{
    for (int64_t k = 0; z->entry && k < z->n; k++)
        aster_free(&z->entry[k].name);
    aster_free(&z->entry);
    aster_map_close(&z->map);
    *z = (struct aster_zip){0};
}

/* ---- the bytes of an entry ---- */

enum { SKIP = 1 << 16 };

struct aster_zip_stream {
    const struct aster_zip *z;
    const struct aster_zip_entry *e;
    int64_t at, fed; /* unpacked so far; packed bytes given to zlib */
    int64_t crc_at;  /* up to where the CRC is known */
    uint32_t crc;
    z_stream zs;
    bool started;
    uint8_t *skipped;
};

int aster_zip_stream_new(const struct aster_zip *z, const struct aster_zip_entry *e,
                         struct aster_zip_stream **out)
{
    ASTER_TRY(aster_alloc(z->ctx, 1, sizeof **out, out));
    (*out)->z = z;
    (*out)->e = e;
    return 0;
}

void aster_zip_stream_free(struct aster_zip_stream **sp)
{
    struct aster_zip_stream *s = *sp;
    if (!s)
        return;
    if (s->started)
        inflateEnd(&s->zs);
    aster_free(&s->skipped);
    aster_free(sp);
}

static int add_crc(struct aster_zip_stream *s, int64_t at, const uint8_t *bytes, int64_t n)
{
    if (at > s->crc_at || at + n <= s->crc_at || !s->e->has_crc)
        return 0;
    bytes += s->crc_at - at;
    n -= s->crc_at - at;
    s->crc = (uint32_t)crc32_z(s->crc, bytes, (size_t)n);
    s->crc_at += n;
    if (s->crc_at == s->e->size && s->crc != s->e->crc)
        return aster_fail(
            s->z->ctx, ASTER_EFORMAT,
            "%s: entry '%.*s': its CRC-32 is %08x, the directory says %08x; the data is damaged",
            s->z->path, ASTER_CUT(200, s->e->name), s->crc, s->e->crc);
    return 0;
}

static int broken(const struct aster_zip_stream *s)
{
    return aster_fail(s->z->ctx, ASTER_EFORMAT,
                      "%s: entry '%.*s': the deflated data is damaged after %lld bytes of %lld%s%s",
                      s->z->path, ASTER_CUT(200, s->e->name), (long long)s->at,
                      (long long)s->e->size, s->zs.msg ? ": " : "", s->zs.msg ? s->zs.msg : "");
}

static int restart(struct aster_zip_stream *s)
{
    if ((s->started ? inflateReset(&s->zs) : inflateInit2(&s->zs, -MAX_WBITS)) != Z_OK)
        return aster_fail(s->z->ctx, ASTER_ENOMEM, "%s: entry '%.*s': zlib cannot start",
                          s->z->path, ASTER_CUT(200, s->e->name));
    s->started = true;
    s->zs.avail_in = 0;
    s->at = s->fed = 0;
    return 0;
}

/* The next n unpacked bytes. */
static int unpack(struct aster_zip_stream *s, uint8_t *out, int64_t n)
{
    int64_t begin = s->at;
    int code = Z_OK;
    for (int64_t done = 0; done < n; done = s->at - begin) {
        if (s->zs.avail_in == 0) {
            int64_t some = aster_min64(s->e->packed - s->fed, 1 << 30);
            s->zs.next_in = (Bytef *)(uintptr_t)(s->z->map.bytes + s->e->at + s->fed);
            s->zs.avail_in = (uInt)some;
            s->fed += some;
        }
        uInt room = (uInt)aster_min64(n - done, 1 << 30);
        s->zs.next_out = out + done;
        s->zs.avail_out = room;
        code = inflate(&s->zs, Z_NO_FLUSH);
        s->at += room - s->zs.avail_out;
        bool stuck = room == s->zs.avail_out && !s->zs.avail_in && s->fed == s->e->packed;
        bool short_of = s->at - begin < n && (code == Z_STREAM_END || stuck);
        if ((code != Z_OK && code != Z_STREAM_END) || short_of)
            return broken(s);
    }
    if (s->at == s->e->size && code != Z_STREAM_END) { /* nothing may follow but the end mark */
        uint8_t more;
        s->zs.next_out = &more;
        s->zs.avail_out = 1;
        if (inflate(&s->zs, Z_FINISH) != Z_STREAM_END || s->zs.avail_out != 1)
            return broken(s);
    }
    return add_crc(s, begin, out, n);
}

int aster_zip_stream_bytes(struct aster_zip_stream *s, int64_t at, int64_t n, uint8_t *room,
                           const uint8_t **out)
{
    if (at < 0 || n < 0 || at > s->e->size - n)
        return aster_fail(s->z->ctx, ASTER_EFORMAT,
                          "%s: entry '%.*s' ends after %lld bytes; %lld more are expected",
                          s->z->path, ASTER_CUT(200, s->e->name), (long long)s->e->size,
                          (long long)(at + n - s->e->size));
    if (!s->e->deflated) {
        *out = s->z->map.bytes + s->e->at + at;
        return add_crc(s, at, *out, n);
    }
    *out = room;
    if (!s->started || at < s->at)
        ASTER_TRY(restart(s));
    if (at > s->at && !s->skipped)
        ASTER_TRY(aster_alloc(s->z->ctx, SKIP, 1, &s->skipped));
    while (s->at < at)
        ASTER_TRY(unpack(s, s->skipped, aster_min64(at - s->at, SKIP)));
    return n ? unpack(s, room, n) : 0;
}
