/* SPDX-License-Identifier: BSD-3-Clause */
/* Torch archives made by hand for tests: a pickle written instruction by instruction, and storages.
 */
#ifndef ASTER_TESTS_UNIT_TORCH_BUILD_H
#define ASTER_TESTS_UNIT_TORCH_BUILD_H

#include "unit/zip_build.h"

/* Instructions as a literal: P(s, "}(") */
#define P(s, literal) aster_str_addn((s), (literal), sizeof(literal) - 1)

static void p_text(struct aster_str *s, const char *text)
{
    P(s, "X");
    le_add(s, strlen(text), 4);
    aster_str_add(s, text);
}

__attribute__((unused)) static void p_int(struct aster_str *s, int64_t v)
{
    bool is_short = v == (int32_t)v;
    aster_str_addn(s, is_short ? "J" : "\x8a\x08", is_short ? 1 : 2);
    le_add(s, (uint64_t)v, is_short ? 4 : 8);
}

static void p_ints(struct aster_str *s, int n, const int64_t *v)
{
    P(s, "(");
    for (int k = 0; k < n; k++)
        p_int(s, v[k]);
    P(s, "t");
}

/* class: "Float" */
static void p_storage(struct aster_str *s, const char *class, const char *key, int64_t count)
{
    P(s, "(");
    p_text(s, "storage");
    aster_str_printf(s, "ctorch\n%sStorage\n", class);
    p_text(s, key);
    p_text(s, "cpu");
    p_int(s, count);
    P(s, "tQ");
}

static void p_tensor(struct aster_str *s, const char *class, const char *key, int64_t count,
                     int64_t offset, int rank, const int64_t *dim, const int64_t *stride)
{
    P(s, "ctorch._utils\n_rebuild_tensor_v2\n(");
    p_storage(s, class, key, count);
    p_int(s, offset);
    p_ints(s, rank, dim);
    p_ints(s, rank, stride);
    P(s, "\x89"
         "ccollections\nOrderedDict\n)RtR");
}

/* key 0 of six floats, 2 x 3 */
__attribute__((unused)) static void p_plain(struct aster_str *s)
{
    p_tensor(s, "Float", "0", 6, 0, 2, (int64_t[]){2, 3}, (int64_t[]){3, 1});
}

enum { MOST_STORAGES = 16 };

/* storages: bytes and lengths, named data/0, data/1 ... checked: with CRC-32, else with 0 in its
 * place. */
__attribute__((unused)) static void make_torch(struct aster_str *file,
                                               const struct aster_str *pickle, bool checked, int n,
                                               const void *const *bytes, const size_t *length)
{
    static char names[MOST_STORAGES][32];
    struct entry e[MOST_STORAGES + 3] = {
        {.name = "archive/data.pkl", .data = pickle->s, .n = pickle->len},
        {.name = "archive/byteorder", .data = "little", .n = 6}};
    for (int k = 0; k < n; k++) {
        snprintf(names[k], sizeof names[k], "archive/data/%d", k);
        e[k + 2] = (struct entry){
            .name = names[k], .data = bytes[k], .n = length[k], .descriptor = k % 2 == 0};
    }
    e[n + 2] = (struct entry){.name = "archive/version", .data = "3\n", .n = 2};
    for (int k = 0; k < n + 3 && !checked; k++)
        e[k].crc_xor = (uint32_t)crc32(0, (const Bytef *)e[k].data, (uInt)e[k].n);
    make_zip(file, n + 3, e, n > 3, 0, n == 2 ? "note" : "");
}

#endif
