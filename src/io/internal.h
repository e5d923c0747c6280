/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared inside src/io: UTF-8, and files mapped to be read. */
#ifndef ASTER_IO_INTERNAL_H
#define ASTER_IO_INTERNAL_H

#include "io/io.h"

/* Bytes of the valid UTF-8 sequence that starts at s and ends before end; 0 if there is none. */
int aster_utf8_length(const char *s, const char *end);
void aster_utf8_add(struct aster_str *out, uint32_t code_point);

/* A whole file, read-only. An empty file has bytes NULL. */
struct aster_map {
    const uint8_t *bytes;
    int64_t n;
};
ASTER_CHECKED int aster_map_open(struct aster_ctx *ctx, const char *path, struct aster_map *out);
void aster_map_close(struct aster_map *m);

/* Bytes of a plain or gzip file, or of stdin ("-"). */
struct aster_source;
ASTER_CHECKED int aster_source_open(struct aster_ctx *ctx, const char *path,
                                    struct aster_source **out);
/* Up to n bytes, in pieces of any size; got 0 at the end. line: the last that was seen, for
 * messages. */
ASTER_CHECKED int aster_source_read(struct aster_source *s, void *to, int64_t n, int64_t line,
                                    int64_t *got);
const char *aster_source_path(const struct aster_source *s); /* as messages say it */
void aster_source_close(struct aster_source **s);

/* n bytes, little-endian, n up to 8 */
static inline uint64_t aster_get_le(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int k = n - 1; k >= 0; k--)
        v = v << 8 | p[k];
    return v;
}

/* ---- zip archives, read-only ---- */
struct aster_zip_entry {
    char *name;
    bool deflated, has_crc;
    uint32_t crc;
    int64_t header, at, packed, size; /* where its header and its bytes begin; size is unpacked */
};
struct aster_zip {
    struct aster_ctx *ctx;
    const char *path; /* of the caller */
    struct aster_map map;
    struct aster_zip_entry *entry;
    int64_t n;
};
/* kind: what the file should be, for messages ("npz file"). */
ASTER_CHECKED int aster_zip_open(struct aster_zip *z, struct aster_ctx *ctx, const char *path,
                                 const char *kind);
void aster_zip_close(struct aster_zip *z);

/* Bytes of one entry. Going back in a deflated one starts it again. What was read from the start
 * without gaps up to the end is compared with the entry's CRC-32. */
struct aster_zip_stream;
ASTER_CHECKED int aster_zip_stream_new(const struct aster_zip *z, const struct aster_zip_entry *e,
                                       struct aster_zip_stream **out);
void aster_zip_stream_free(struct aster_zip_stream **s);
/* n bytes from at on: in the map, or unpacked into room, which has n bytes. */
ASTER_CHECKED int aster_zip_stream_bytes(struct aster_zip_stream *s, int64_t at, int64_t n,
                                         uint8_t *room, const uint8_t **out);

/* ---- the header of a .npy array ---- */
struct aster_npy {
    struct aster_npy_shape shape;
    char kind;     /* f i u b, U S for text */
    int64_t size;  /* of an element in bytes */
    int64_t begin; /* of the data */
};
enum { ASTER_NPY_PREFIX = 12 };
/* From the first bytes: the length of all that comes before the data. prefix has ASTER_NPY_PREFIX
 * bytes. */
ASTER_CHECKED int aster_npy_header_length(struct aster_ctx *ctx, const char *path, const char *name,
                                          const uint8_t *prefix, int64_t *n);
/* text: the dictionary, n characters. total: bytes of the array's file, header included. */
ASTER_CHECKED int aster_npy_parse(struct aster_ctx *ctx, const char *path, const char *name,
                                  const char *text, int64_t n, int64_t begin, int64_t total,
                                  struct aster_npy *out);

/* ---- one number ---- */
/* v as an f32, f64 or bf16 at to; false when it is finite and the type has no such number. */
bool aster_put_real(enum aster_dtype t, double v, uint8_t *to);
/* v as an i32, i64 or u8 at to; false when it does not fit. */
bool aster_put_integer(enum aster_dtype t, int64_t v, uint8_t *to);

#endif
