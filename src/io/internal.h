/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared inside src/io: UTF-8, and files mapped to be read. */
#ifndef ASTER_IO_INTERNAL_H
#define ASTER_IO_INTERNAL_H

#include "io/io.h"

/* Bytes of the valid UTF-8 sequence that starts at s and ends before end; 0 if there is none. */
int aster_utf8_length(const char *s, const char *end);
void aster_utf8_add(struct aster_str *out, uint32_t code_point);

/* A whole file, read-only. An empty file has bytes NULL. */
struct aster_map { const uint8_t *bytes; int64_t n; };
ASTER_CHECKED int aster_map_open(struct aster_ctx *ctx, const char *path, struct aster_map *out);
void aster_map_close(struct aster_map *m);

/* n bytes, little-endian, n up to 8 */
static inline uint64_t aster_get_le(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int k = n - 1; k >= 0; k--)
        v = v << 8 | p[k];
    return v;
}

#endif
