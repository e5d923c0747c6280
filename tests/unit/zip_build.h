/* SPDX-License-Identifier: BSD-3-Clause */
/* Zip archives of .npy arrays made by hand for tests, right or wrong in one chosen way. */
#ifndef ASTER_TESTS_UNIT_ZIP_BUILD_H
#define ASTER_TESTS_UNIT_ZIP_BUILD_H

#include "base/base.h"

#include <string.h>
#include <zlib.h>

struct entry {
    const char *name;
    const char *data;
    size_t n;
    bool deflate, zip64, descriptor; /* zip64: sizes and offset in the extra field; descriptor:
                                        sizes after the data */
    /* what to get wrong */
    int flags, method; /* added to the flags; replaces the method when not 0 */
    uint32_t crc_xor;
    int64_t size_add, packed_add, offset_add;
    const char *local_name;
    size_t damage_at; /* a byte of the packed data to change, from 1 */
};

static void le_add(struct aster_str *s, uint64_t v, int n)
{
    for (int k = 0; k < n; k++) {
        char b = (char)(v >> 8 * k & 255);
        aster_str_addn(s, &b, 1);
    }
}

static void pack(const struct entry *e, struct aster_str *out)
{
    if (!e->deflate) {
        aster_str_addn(out, e->data, e->n);
        return;
    }
    z_stream z = {0};
    unsigned char room[4096];
    if (deflateInit2(&z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    z.next_in = (Bytef *)(uintptr_t)e->data;
    z.avail_in = (uInt)e->n;
    do {
        z.next_out = room;
        z.avail_out = sizeof room;
        deflate(&z, Z_FINISH);
        aster_str_addn(out, (char *)room, sizeof room - z.avail_out);
    } while (z.avail_out == 0);
    deflateEnd(&z);
}

/* Local and central record of an entry. */
static void add_entry(const struct entry *e, struct aster_str *file, struct aster_str *central)
{
    struct aster_str packed = {0};
    const char *local = e->local_name ? e->local_name : e->name;
    uint64_t offset = (uint64_t)((int64_t)file->len + e->offset_add);
    pack(e, &packed);
    if (e->damage_at)
        packed.s[e->damage_at - 1] ^= 0x55;
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)e->data, (uInt)e->n) ^ e->crc_xor;
    uint64_t size = (uint64_t)((int64_t)e->n + e->size_add),
             packed_n = (uint64_t)((int64_t)packed.len + e->packed_add);
    int method = e->method    ? e->method
                 : e->deflate ? 8
                              : 0,
        flags = e->flags | (e->descriptor ? 8 : 0);
    le_add(file, 0x04034b50, 4);
    le_add(file, 20, 2);
    le_add(file, (uint64_t)flags, 2);
    le_add(file, (uint64_t)method, 2);
    le_add(file, 0, 4);
    le_add(file, e->descriptor ? 0 : crc, 4);
    le_add(file, e->descriptor ? 0 : e->zip64 ? 0xffffffff : packed_n, 4);
    le_add(file, e->descriptor ? 0 : e->zip64 ? 0xffffffff : size, 4);
    le_add(file, strlen(local), 2);
    le_add(file, e->zip64 ? 20 : 0, 2);
    aster_str_add(file, local);
    if (e->zip64) {
        le_add(file, 1, 2);
        le_add(file, 16, 2);
        le_add(file, size, 8);
        le_add(file, packed_n, 8);
    }
    aster_str_addn(file, aster_str_get(&packed), packed.len);
    if (e->descriptor) {
        le_add(file, 0x08074b50, 4);
        le_add(file, crc, 4);
        le_add(file, packed_n, 4);
        le_add(file, size, 4);
    }
    le_add(central, 0x02014b50, 4);
    le_add(central, 20, 2);
    le_add(central, 20, 2);
    le_add(central, (uint64_t)flags, 2);
    le_add(central, (uint64_t)method, 2);
    le_add(central, 0, 4);
    le_add(central, crc, 4);
    le_add(central, e->zip64 ? 0xffffffff : packed_n, 4);
    le_add(central, e->zip64 ? 0xffffffff : size, 4);
    le_add(central, strlen(e->name), 2);
    le_add(central, e->zip64 ? 28 + 7 : 0, 2);
    le_add(central, 0, 2);
    le_add(central, 0, 2);
    le_add(central, 0, 2);
    le_add(central, 0, 4);
    le_add(central, e->zip64 ? 0xffffffff : offset, 4);
    aster_str_add(central, e->name);
    if (e->zip64) { /* behind a field of another kind */
        le_add(central, 0xcafe, 2);
        le_add(central, 3, 2);
        le_add(central, 0, 3);
        le_add(central, 1, 2);
        le_add(central, 24, 2);
        le_add(central, size, 8);
        le_add(central, packed_n, 8);
        le_add(central, offset, 8);
    }
    aster_str_free(&packed);
}

/* zip64_end: with a zip64 end record and its locator. n_add: entries claimed too many. */
__attribute__((unused)) static void make_zip(struct aster_str *file, int n, const struct entry *e,
                                             bool zip64_end, int n_add, const char *comment)
{
    struct aster_str central = {0};
    file->len = 0;
    aster_str_add(file, "");
    for (int k = 0; k < n; k++)
        add_entry(&e[k], file, &central);
    uint64_t begin = file->len, count = (uint64_t)(n + n_add);
    aster_str_addn(file, aster_str_get(&central), central.len);
    if (zip64_end) {
        uint64_t at = file->len;
        le_add(file, 0x06064b50, 4);
        le_add(file, 44, 8);
        le_add(file, 45, 2);
        le_add(file, 45, 2);
        le_add(file, 0, 4);
        le_add(file, 0, 4);
        le_add(file, count, 8);
        le_add(file, count, 8);
        le_add(file, central.len, 8);
        le_add(file, begin, 8);
        le_add(file, 0x07064b50, 4);
        le_add(file, 0, 4);
        le_add(file, at, 8);
        le_add(file, 1, 4);
    }
    le_add(file, 0x06054b50, 4);
    le_add(file, 0, 4);
    le_add(file, zip64_end ? 0xffff : count, 2);
    le_add(file, zip64_end ? 0xffff : count, 2);
    le_add(file, zip64_end ? 0xffffffff : central.len, 4);
    le_add(file, zip64_end ? 0xffffffff : begin, 4);
    le_add(file, strlen(comment), 2);
    aster_str_add(file, comment);
    aster_str_free(&central);
}

/* An array file: magic, version, dictionary padded as numpy does, data. */
__attribute__((unused)) static void make_npy(struct aster_str *s, int version,
                                             const char *dictionary, const void *data, size_t n)
{
    size_t prefix = version == 1 ? 10 : 12, text = strlen(dictionary) + 1,
           padded = (prefix + text + 63) / 64 * 64 - prefix;
    s->len = 0;
    aster_str_addn(s, "\x93NUMPY", 6);
    le_add(s, (uint64_t)version, 1);
    le_add(s, 0, 1);
    le_add(s, padded, version == 1 ? 2 : 4);
    aster_str_add(s, dictionary);
    for (size_t k = text; k < padded; k++)
        aster_str_add(s, " ");
    aster_str_add(s, "\n");
    aster_str_addn(s, data, n);
}

#endif
