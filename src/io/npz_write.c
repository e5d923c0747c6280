/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing .npz: a zip archive of stored .npy members, made in one pass; sizes and checksums are put
 * into a member's header once it is complete. */
#include "io/internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22, MOST_MEMBERS = 64 };
enum { DATE = 33 }; /* 1980-01-01, the format's first day: files do not tell when they were made */
#define MOST_BYTES ((INT64_C(1) << 32) - 1)

struct member {
    char name[72];
    int64_t header, bytes;
    uint32_t crc;
};

struct aster_npz_out {
    struct aster_ctx *ctx;
    char *path;
    struct aster_str tmp;
    FILE *f;
    int64_t at, left; /* left: bytes that the array lacks */
    int64_t element;  /* bytes of one */
    struct member member[MOST_MEMBERS];
    int n;
};

static int failed(struct aster_npz_out *z)
{
    return aster_fail(z->ctx, ASTER_EIO, "%s: cannot be written: %s", z->tmp.s, strerror(errno));
}

static int put(struct aster_npz_out *z, const void *bytes, int64_t n)
{
    if (n && fwrite(bytes, 1, (size_t)n, z->f) != (size_t)n)
        return failed(z);
    z->at += n;
    return 0;
}

static void put_le(uint8_t *to, int at, int n, uint64_t v)
{
    for (int k = 0; k < n; k++)
        to[at + k] = (uint8_t)(v >> 8 * k);
}

/* Bytes of the member that is being written. */
static int put_data(struct aster_npz_out *z, const void *bytes, int64_t n)
{
    struct member *m = &z->member[z->n - 1];
    for (int64_t done = 0; done < n;) { /* zlib counts in 32 bits */
        int64_t part = aster_min64(n - done, 1 << 30);
        m->crc = (uint32_t)crc32(m->crc, (const uint8_t *)bytes + done, (unsigned)part);
        done += part;
    }
    m->bytes += n;
    return put(z, bytes, n);
}

int aster_npz_create(struct aster_ctx *ctx, const char *path, struct aster_npz_out **out)
{
    struct aster_npz_out *z = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *z, &z));
    z->ctx = ctx;
    aster_str_printf(&z->tmp, "%s.tmp", path);
    int rc = aster_strdup(ctx, path, &z->path);
    if (rc == 0)
        rc = aster_str_ok(ctx, &z->tmp);
    if (rc == 0 && !(z->f = fopen(z->tmp.s, "wb")))
        rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be made: %s", z->tmp.s, strerror(errno));
    if (rc < 0)
        aster_npz_discard(&z);
    *out = z;
    return rc;
}

static void local_header(const struct member *m, uint8_t h[LOCAL_BYTES])
{
    memset(h, 0, LOCAL_BYTES);
    put_le(h, 0, 4, 0x04034b50);
    put_le(h, 4, 2, 20);
    put_le(h, 12, 2, DATE);
    put_le(h, 14, 4, m->crc);
    put_le(h, 18, 4, (uint64_t)m->bytes);
    put_le(h, 22, 4, (uint64_t)m->bytes);
    put_le(h, 26, 2, strlen(m->name));
}

/* The header of the member written last, now that it is complete. */
static int end_member(struct aster_npz_out *z)
{
    uint8_t h[LOCAL_BYTES];
    if (z->n == 0)
        return 0;
    const struct member *m = &z->member[z->n - 1];
    if (z->left)
        return aster_fail(z->ctx, ASTER_EBUG, "%s: %s lacks %lld bytes", z->path, m->name,
                          (long long)z->left);
    local_header(m, h);
    if (fseeko(z->f, m->header, SEEK_SET) < 0 || fwrite(h, 1, sizeof h, z->f) != sizeof h ||
        fseeko(z->f, 0, SEEK_END) < 0)
        return failed(z);
    return 0;
}

static int begin(struct aster_npz_out *z, const char *name, const char *descr, int64_t element,
                 int rank, const int64_t *dim)
{
    uint8_t head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0}, h[LOCAL_BYTES];
    struct aster_str text = {0};
    int64_t bytes = element;
    ASTER_TRY(end_member(z));
    if (z->n == MOST_MEMBERS || strlen(name) + 5 > sizeof z->member->name)
        return aster_fail(z->ctx, ASTER_EBUG, "%s: too many arrays, or a long name", z->path);
    for (int k = 0; k < rank; k++)
        ASTER_TRY(aster_mul(z->ctx, bytes, dim[k], &bytes));
    if (bytes > MOST_BYTES - z->at - (1 << 16))
        return aster_fail(z->ctx, ASTER_ELIMIT,
                          "%s: '%s' has %.1f GB; a file of this format can have 4.2 GB here",
                          z->path, name, (double)bytes / 1e9);
    struct member *m = &z->member[z->n++];
    snprintf(m->name, sizeof m->name, "%s.npy", name);
    m->header = z->at;
    m->crc = (uint32_t)crc32(0, NULL, 0);
    z->left = bytes;
    z->element = element;
    local_header(m, h);
    ASTER_TRY(put(z, h, sizeof h));
    ASTER_TRY(put(z, m->name, (int64_t)strlen(m->name)));
    aster_str_printf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int k = 0; k < rank; k++)
        aster_str_printf(&text,
                         k + 1 < rank ? "%lld, "
                         : rank == 1  ? "%lld,"
                                      : "%lld",
                         (long long)dim[k]);
    aster_str_add(&text, "), }");
    while ((text.len + sizeof head + 1) % 64 && !text.failed)
        aster_str_add(&text, " ");
    aster_str_add(&text, "\n");
    put_le(head, 8, 2, text.len);
    int rc = aster_str_ok(z->ctx, &text);
    if (rc == 0)
        rc = put_data(z, head, sizeof head);
    if (rc == 0)
        rc = put_data(z, text.s, (int64_t)text.len);
    aster_str_free(&text);
    return rc;
}

int aster_npz_begin(struct aster_npz_out *z, const char *name, enum aster_dtype t, int rank,
                    const int64_t *dim)
{
    return begin(z, name, t == ASTER_F32 ? "<f4" : "<i8", aster_dtype_size(t), rank, dim);
}

int aster_npz_begin_texts(struct aster_npz_out *z, const char *name, int64_t n, int64_t code_points)
{
    char descr[32];
    code_points = aster_max64(1, code_points);
    snprintf(descr, sizeof descr, "<U%lld", (long long)code_points);
    return begin(z, name, descr, 4 * code_points, 1, &n);
}

int aster_npz_add(struct aster_npz_out *z, int64_t n, const void *elements)
{
    if (n > z->left / z->element)
        return aster_fail(z->ctx, ASTER_EBUG, "%s: more elements than the array has", z->path);
    z->left -= n * z->element;
    return put_data(z, elements, n * z->element);
}

static uint32_t next_code_point(const char **text, const char *end)
{
    static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    int n = aster_utf8_length(*text, end);
    if (n == 0) {
        ++*text;
        return 0xfffd;
    }
    uint32_t c = (unsigned char)**text & first[n];
    for (int k = 1; k < n; k++)
        c = c << 6 | ((unsigned char)(*text)[k] & 0x3f);
    *text += n;
    return c;
}

int64_t aster_npz_text_length(const char *text)
{
    const char *end = text + strlen(text);
    int64_t n = 0;
    for (; text < end; n++)
        next_code_point(&text, end);
    return n;
}

int aster_npz_add_text(struct aster_npz_out *z, const char *text)
{
    const char *end = text + strlen(text);
    uint8_t *row = NULL;
    if (z->left < z->element || aster_npz_text_length(text) > z->element / 4)
        return aster_fail(z->ctx, ASTER_EBUG, "%s: more texts than the array has, or a longer one",
                          z->path);
    ASTER_TRY(aster_alloc(z->ctx, z->element, 1, &row));
    for (int at = 0; text < end; at += 4)
        put_le(row, at, 4, next_code_point(&text, end));
    int rc = aster_npz_add(z, 1, row);
    aster_free(&row);
    return rc;
}

static int put_directory(struct aster_npz_out *z)
{
    uint8_t h[CENTRAL_BYTES], end[END_BYTES] = {0};
    int64_t begin_at = z->at;
    for (int k = 0; k < z->n; k++) {
        const struct member *m = &z->member[k];
        uint8_t local[LOCAL_BYTES];
        local_header(m, local);
        memset(h, 0, sizeof h);
        put_le(h, 0, 4, 0x02014b50);
        put_le(h, 4, 2, 20);
        memcpy(h + 6, local + 4, 24);
        put_le(h, 42, 4, (uint64_t)m->header);
        ASTER_TRY(put(z, h, sizeof h));
        ASTER_TRY(put(z, m->name, (int64_t)strlen(m->name)));
    }
    put_le(end, 0, 4, 0x06054b50);
    put_le(end, 8, 2, (uint64_t)z->n);
    put_le(end, 10, 2, (uint64_t)z->n);
    put_le(end, 12, 4, (uint64_t)(z->at - begin_at));
    put_le(end, 16, 4, (uint64_t)begin_at);
    return put(z, end, sizeof end);
}

int aster_npz_commit(struct aster_npz_out **zp)
{
    struct aster_npz_out *z = *zp;
    int rc = end_member(z);
    if (rc == 0)
        rc = put_directory(z);
    if (fclose(z->f) && rc == 0)
        rc = failed(z);
    z->f = NULL;
    if (rc == 0)
        rc = aster_file_commit(z->ctx, z->tmp.s, z->path);
    aster_npz_discard(zp);
    return rc;
}

void aster_npz_discard(struct aster_npz_out **zp)
{
    struct aster_npz_out *z = *zp;
    if (!z)
        return;
    if (z->f)
        fclose(z->f);
    if (z->tmp.s)
        unlink(z->tmp.s);
    aster_str_free(&z->tmp);
    aster_free(&z->path);
    aster_free(zp);
}
