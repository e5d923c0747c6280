/* SPDX-License-Identifier: BSD-3-Clause */
/* npz and npy: stored, deflated and zip64 entries, every element type, and archives and arrays
 * wrong in one way each. */
#include "unit/files.h"
#include "unit/zip_build.h"
#include "io/io.h"

#include <math.h>

static struct aster_str array, file;

#define DICT(descr, shape) "{'descr': '" descr "', 'fortran_order': False, 'shape': " shape ", }"

/* A file a.npy with one array. */
static const char *put_npy(int version, const char *dictionary, const void *data, size_t n)
{
    make_npy(&array, version, dictionary, data, n);
    return put_bytes("a.npy", array.s, array.len);
}

static const char *put_zip(int n, const struct entry *e)
{
    make_zip(&file, n, e, false, 0, "");
    return put_bytes("a.npz", file.s, file.len);
}

/* The first rows of array a read as t, rc of whichever step fails. */
static int rows(const char *path, enum aster_dtype t, int64_t first, int64_t count, void *out)
{
    struct aster_npz *z = NULL;
    int rc = aster_npz_open(ctx, path, &z);
    if (rc == 0)
        rc = aster_npz_read_rows(z, "a", t, first, count, out);
    aster_npz_close(&z);
    return rc;
}

static int strings(const char *path, char ***out, int64_t *n)
{
    struct aster_npz *z = NULL;
    *out = NULL;
    int rc = aster_npz_open(ctx, path, &z);
    if (rc == 0)
        rc = aster_npz_read_strings(z, "a", out, n);
    aster_npz_close(&z);
    return rc;
}

static void test_types(void)
{
    static const uint16_t f2[8] = {0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0xfc00, 0x7e00};
    static const float f2_want[7] = {0, 1, -2, 65504, 0x1p-24f, INFINITY, -INFINITY};
    static const float f4[3] = {0.1f, -3.4e38f, 1e-45f};
    static const double f8[3] = {0.1, 1e300, -2};
    static const int32_t i4[3] = {INT32_MIN, -1, INT32_MAX};
    static const int64_t i8[3] = {INT64_MIN, 1, INT64_MAX};
    static const uint8_t u1[3] = {0, 128, 255};
    static const int8_t i1[3] = {-128, -1, 127};
    static const uint16_t u2[3] = {0, 32768, 65535};
    static const uint32_t u4[3] = {0, 1, UINT32_MAX};
    static const int16_t i2[3] = {-32768, 5, 32767};
    float f[8];
    double d[3];
    int32_t i[3];
    int64_t l[3];
    uint8_t u[3];
    uint16_t h[3];
    tap_ok(fine(rows(put_npy(1, DICT("<f2", "(8,)"), f2, 16), ASTER_F32, 0, 8, f)) &&
               !memcmp(f, f2_want, sizeof f2_want) && isnan(f[7]),
           "f2");
    tap_ok(fine(rows(put_npy(1, DICT("<f4", "(3,)"), f4, 12), ASTER_F32, 0, 3, f)) &&
               !memcmp(f, f4, 12),
           "f4");
    tap_ok(fine(rows(put_npy(2, DICT("<f4", "(3,)"), f4, 12), ASTER_F64, 0, 3, d)) &&
               d[0] == (double)0.1f,
           "f4 as f64, version 2.0");
    tap_ok(fine(rows(put_npy(1, DICT("<f4", "(3,)"), f4, 12), ASTER_BF16, 0, 1, h)) &&
               h[0] == aster_f32_to_bf16(0.1f),
           "f4 as bf16");
    failed_with("-3.4e38 as bf16",
                rows(put_npy(1, DICT("<f4", "(3,)"), f4, 12), ASTER_BF16, 0, 3, h), ASTER_EFORMAT,
                "'a'", "element 1", "bf16", NULL);
    tap_ok(fine(rows(put_npy(3, DICT("<f8", "(3,)"), f8, 24), ASTER_F64, 0, 3, d)) &&
               !memcmp(d, f8, 24),
           "f8, version 3.0");
    tap_ok(fine(rows(put_npy(1, DICT("<f8", "(3,)"), f8, 24), ASTER_F32, 0, 1, f)) && f[0] == 0.1f,
           "f8 as f32");
    tap_ok(fine(rows(put_npy(1, DICT("<i4", "(3,)"), i4, 12), ASTER_I32, 0, 3, i)) &&
               !memcmp(i, i4, 12),
           "i4");
    tap_ok(fine(rows(put_npy(1, DICT("<i4", "(3,)"), i4, 12), ASTER_I64, 0, 3, l)) &&
               l[0] == INT32_MIN && l[1] == -1,
           "i4 as i64");
    tap_ok(fine(rows(put_npy(1, DICT("<i8", "(3,)"), i8, 24), ASTER_I64, 0, 3, l)) &&
               !memcmp(l, i8, 24),
           "i8");
    tap_ok(fine(rows(put_npy(1, DICT("|u1", "(3,)"), u1, 3), ASTER_U8, 0, 3, u)) &&
               !memcmp(u, u1, 3),
           "u1");
    tap_ok(fine(rows(put_npy(1, DICT("|u1", "(3,)"), u1, 3), ASTER_F32, 0, 3, f)) && f[1] == 128 &&
               f[2] == 255,
           "u1 as f32");
    tap_ok(fine(rows(put_npy(1, DICT("|b1", "(3,)"), "\1\0\1", 3), ASTER_U8, 0, 3, u)) &&
               !memcmp(u, "\1\0\1", 3),
           "b1");
    tap_ok(fine(rows(put_npy(1, DICT("|i1", "(3,)"), i1, 3), ASTER_I32, 0, 3, i)) && i[0] == -128 &&
               i[2] == 127,
           "i1 as i32");
    tap_ok(fine(rows(put_npy(1, DICT("<i2", "(3,)"), i2, 6), ASTER_I32, 0, 3, i)) &&
               i[0] == -32768 && i[2] == 32767,
           "i2 as i32");
    tap_ok(fine(rows(put_npy(1, DICT("<u2", "(3,)"), u2, 6), ASTER_I32, 0, 3, i)) &&
               i[1] == 32768 && i[2] == 65535,
           "u2 as i32");
    tap_ok(fine(rows(put_npy(1, DICT("<u4", "(3,)"), u4, 12), ASTER_I64, 0, 3, l)) &&
               l[2] == UINT32_MAX,
           "u4 as i64");
    tap_ok(
        fine(rows(put_npy(1, DICT("<f8", "(3,)"), (double[]){3, -4, 0}, 24), ASTER_I32, 0, 3, i)) &&
            i[1] == -4,
        "whole f8 as i32");
    failed_with("i8 that i32 cannot hold",
                rows(put_npy(1, DICT("<i8", "(3,)"), i8, 24), ASTER_I32, 0, 3, i), ASTER_EFORMAT,
                "'a'", "element 0", "i32", NULL);
    failed_with("-1 as u8", rows(put_npy(1, DICT("<i4", "(2,)"), i4, 8), ASTER_U8, 1, 1, u),
                ASTER_EFORMAT, "'a'", "element 1", "u8", NULL);
    failed_with("a fraction as i64",
                rows(put_npy(1, DICT("<f8", "(3,)"), f8, 24), ASTER_I64, 0, 3, l), ASTER_EFORMAT,
                "'a'", "element 0", "i64", NULL);
    failed_with(
        "1e300 as f32",
        rows(put_npy(1, DICT("<f8", "(3,)"), (double[]){1, 1e300, 0}, 24), ASTER_F32, 0, 3, f),
        ASTER_EFORMAT, "'a'", "element 1", "f32", NULL);
    tap_ok(fine(rows(put_npy(1, DICT("<f8", "(3,)"), (double[]){1, INFINITY, NAN}, 24), ASTER_F32,
                     0, 3, f)) &&
               isinf(f[1]) && isnan(f[2]),
           "but what is not finite stays so");
    failed_with("not a number as i32",
                rows(put_npy(1, DICT("<f2", "(8,)"), f2, 16), ASTER_I32, 7, 1, i), ASTER_EFORMAT,
                "'a'", "element 7", NULL);
}

static void test_shapes(void)
{
    static const float x[24] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
    struct aster_npz *z = NULL;
    struct aster_npy_shape s;
    float got[24] = {0};
    if (fine(aster_npz_open(ctx, put_npy(1, DICT("<f4", "(4, 3, 2)"), x, 96), &z)))
        tap_ok(fine(aster_npz_shape(z, "a", &s)) && s.rank == 3 && s.dim[0] == 4 && s.dim[1] == 3 &&
                   s.dim[2] == 2 && s.n == 24 && s.dtype == ASTER_F32 && !s.is_text,
               "three dimensions");
    tap_ok(fine(aster_npz_read_rows(z, "a", ASTER_F32, 1, 2, got)) && !memcmp(got, x + 6, 48) &&
               got[12] == 0,
           "two rows of six");
    failed_with("a row too many", aster_npz_read_rows(z, "a", ASTER_F32, 3, 2, got), ASTER_EFORMAT,
                "a.npy", "'a'", "2 rows from row 3", NULL);
    failed_with("rows before the start", aster_npz_read_rows(z, "a", ASTER_F32, -1, 2, got),
                ASTER_EFORMAT, "'a'", NULL);
    failed_with("far too many rows", aster_npz_read_rows(z, "a", ASTER_F32, 1, INT64_MAX, got),
                ASTER_EFORMAT, "'a'", NULL);
    failed_with("another name", aster_npz_shape(z, "b", &s), ASTER_EFORMAT, "a.npy", "'b'",
                "it has a", NULL);
    tap_ok(aster_npz_has(z, "a") && !aster_npz_has(z, "b"), "which arrays there are");
    aster_npz_close(&z);
    tap_ok(fine(rows(put_npy(1, DICT("<f4", "()"), x + 5, 4), ASTER_F32, 0, 1, got)) && got[0] == 5,
           "rank 0");
    tap_ok(fine(rows(put_npy(1, DICT("<f4", "(0, 7)"), "", 0), ASTER_F32, 0, 0, got)), "no rows");
    tap_ok(fine(rows(put_npy(1, DICT("<f4", "(7, 0)"), "", 0), ASTER_F32, 2, 5, got)),
           "rows of nothing");
    tap_ok(fine(rows(put_npy(1, "{\"shape\":(2L,),'fortran_order':True,'descr':'<f4'}", x, 8),
                     ASTER_F32, 0, 2, got)) &&
               got[1] == 1,
           "another order, other quotes, long integers, one dimension in Fortran order");
}

static void refused(const char *what, const char *dictionary, size_t n, int code, const char *word)
{
    char data[256] = {0}, room[4096];
    failed_with(what, rows(put_npy(1, dictionary, data, n), ASTER_F64, 0, 1, room), code,
                "a.npy: 'a'", word, NULL);
}

static void test_bad_arrays(void)
{
    char room[64];
    refused("big-endian", DICT(">f4", "(2,)"), 8, ASTER_EFORMAT, "big-endian ('>f4')");
    refused("big-endian integers", DICT(">i8", "(2,)"), 16, ASTER_EFORMAT, "big-endian");
    refused("big-endian text", DICT(">U2", "(2,)"), 16, ASTER_EFORMAT, "big-endian");
    refused("Fortran order", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16,
            ASTER_EFORMAT, "Fortran");
    refused("Python objects", DICT("|O", "(2,)"), 16, ASTER_EFORMAT, "Python objects");
    refused("records", "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8,
            ASTER_EFORMAT, "structured");
    refused("complex numbers", DICT("<c8", "(2,)"), 16, ASTER_EFORMAT, "'<c8'");
    refused("u8", DICT("<u8", "(2,)"), 16, ASTER_EFORMAT, "'<u8'");
    refused("f16", DICT("<f16", "(2,)"), 32, ASTER_EFORMAT, "'<f16'");
    refused("no order of bytes", DICT("f4", "(2,)"), 8, ASTER_EFORMAT, "'f4'");
    refused("an empty type", DICT("", "(2,)"), 8, ASTER_EFORMAT, "type");
    refused("a type without a size", DICT("<f", "(2,)"), 8, ASTER_EFORMAT, "'<f'");
    refused("too little data", DICT("<f4", "(2,)"), 7, ASTER_EFORMAT,
            "needs 8 bytes of data, there are 7");
    refused("too much data", DICT("<f4", "(2,)"), 9, ASTER_EFORMAT,
            "needs 8 bytes of data, there are 9");
    refused("a shape that overflows", DICT("<f8", "(1073741824, 1073741824, 1073741824)"), 8,
            ASTER_ELIMIT, "elements");
    refused("a shape that overflows to 0", DICT("<f8", "(4294967296, 4294967296)"), 0, ASTER_ELIMIT,
            "elements");
    refused("a length that overflows", DICT("<f8", "(99999999999999999999999999,)"), 8,
            ASTER_ELIMIT, "length");
    refused("a negative length", DICT("<f8", "(-1,)"), 8, ASTER_EFORMAT, "a length");
    refused("nine dimensions", DICT("|u1", "(1,1,1,1,1,1,1,1,1)"), 1, ASTER_ELIMIT, "8 dimensions");
    refused("a shape that is no tuple", DICT("<f4", "[2]"), 8, ASTER_EFORMAT, "tuple");
    refused("a shape without commas", DICT("<f4", "(2 2)"), 16, ASTER_EFORMAT, "','");
    refused("no shape", "{'descr': '<f4', 'fortran_order': False}", 8, ASTER_EFORMAT, "lacks");
    refused("two shapes", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (2,)}",
            8, ASTER_EFORMAT, "twice");
    refused("an unknown key", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8,
            ASTER_EFORMAT, "'x'");
    refused("neither True nor False", "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", 8,
            ASTER_EFORMAT, "True or False");
    refused("an open dictionary", "{'descr': '<f4', ", 8, ASTER_EFORMAT, "quotes");
    refused("an open text", "{'descr: ", 8, ASTER_EFORMAT, "quotes");
    refused("no dictionary", "[]", 8, ASTER_EFORMAT, "'{'");
    refused("text after the dictionary", DICT("<f4", "(2,)") " x", 8, ASTER_EFORMAT,
            "end of the header");
    refused("text instead of numbers", DICT("<U2", "(2,)"), 16, ASTER_EFORMAT,
            "numbers are expected");
    make_npy(&array, 1, DICT("<f4", "(2,)"), "\0\0\0\0\0\0\0", 8);
    failed_with("a cut header", rows(put_bytes("a.npy", array.s, 60), ASTER_F32, 0, 1, room),
                ASTER_EFORMAT, "a.npy", "more are expected", NULL);
    failed_with("a cut prefix", rows(put_bytes("a.npy", array.s, 9), ASTER_F32, 0, 1, room),
                ASTER_EFORMAT, "a.npy", "9 bytes", NULL);
    array.s[6] = 4;
    failed_with("version 4.0", rows(put_bytes("a.npy", array.s, array.len), ASTER_F32, 0, 1, room),
                ASTER_EFORMAT, "a.npy", "version 4.0", NULL);
    array.s[6] = 2;
    array.s[11] = 0x7f;
    failed_with("a header of 2 GB",
                rows(put_bytes("a.npy", array.s, array.len), ASTER_F32, 0, 1, room), ASTER_ELIMIT,
                "a.npy", "header", NULL);
}

static void test_text(void)
{
    static const uint32_t u3[12] = {'A', 'b', 0, 0xe4, 0x65e5, 0x1f600, 0, 0, 0, 'x', 0, 0};
    static const char *const want[4] = {"Ab", "\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80", "", "x"};
    char **list = NULL;
    int64_t n = 0;
    bool good = fine(strings(put_npy(1, DICT("<U3", "(4,)"), u3, 48), &list, &n)) && n == 4;
    for (int k = 0; good && k < 4; k++)
        good = !strcmp(list[k], want[k]);
    tap_ok(good, "texts of UTF-32");
    aster_strings_free(&list, n);
    tap_ok(fine(strings(put_npy(1, DICT("|S4", "(2, 1)"), "P010ab\0\0", 8), &list, &n)) && n == 2 &&
               !strcmp(list[0], "P010") && !strcmp(list[1], "ab"),
           "texts of bytes");
    aster_strings_free(&list, n);
    tap_ok(fine(strings(put_npy(1, DICT("<U0", "(3,)"), "", 0), &list, &n)) && n == 3 && !*list[2],
           "texts of no characters");
    aster_strings_free(&list, n);
    tap_ok(fine(strings(put_npy(1, DICT("<U3", "()"), u3, 12), &list, &n)) && n == 1 &&
               !strcmp(list[0], "Ab"),
           "one text of rank 0");
    aster_strings_free(&list, n);
    failed_with("numbers instead of text",
                strings(put_npy(1, DICT("<f4", "(2,)"), u3, 8), &list, &n), ASTER_EFORMAT, "'a'",
                "text is expected", NULL);
    failed_with("a NUL inside", strings(put_npy(1, DICT("|S3", "(2,)"), "okxa\0b", 6), &list, &n),
                ASTER_EFORMAT, "'a'", "text 1", NULL);
    failed_with("a surrogate", strings(put_npy(1, DICT("<U1", "(1,)"), "\0\xd8\0\0", 4), &list, &n),
                ASTER_EFORMAT, "'a'", "text 0", NULL);
    failed_with("above the last character",
                strings(put_npy(1, DICT("<U1", "(1,)"), "\0\0\x11\0", 4), &list, &n), ASTER_EFORMAT,
                "'a'", "text 0", NULL);
    failed_with("2^40 empty texts",
                strings(put_npy(1, DICT("<U0", "(1099511627776,)"), "", 0), &list, &n),
                ASTER_ELIMIT, "'a'", "texts", NULL);
    tap_ok(!list && n == 0, "failures leave NULL");
}

enum { BIG = 400000 };

/* An array of i4 with the numbers 0 .. BIG-1 in rows of 4. */
static void make_big(void)
{
    int32_t *x = NULL;
    if (!fine(aster_alloc(ctx, BIG, sizeof *x, &x)))
        return;
    for (int32_t k = 0; k < BIG; k++)
        x[k] = k;
    make_npy(&array, 1, DICT("<i4", "(100000, 4)"), x, BIG * sizeof *x);
    aster_free(&x);
}

static bool counts_from(const int32_t *x, int64_t n, int32_t first)
{
    for (int64_t k = 0; k < n; k++)
        if (x[k] != first + k)
            return false;
    return true;
}

static void test_archives(void)
{
    struct aster_npz *z = NULL;
    int32_t *x = NULL;
    make_big();
    if (!fine(aster_alloc(ctx, BIG, sizeof *x, &x)))
        return;
    const struct entry kinds[] = {
        {.name = "a.npy", .data = array.s, .n = array.len},
        {.name = "a.npy", .data = array.s, .n = array.len, .deflate = true},
        {.name = "a.npy", .data = array.s, .n = array.len, .zip64 = true},
        {.name = "a.npy", .data = array.s, .n = array.len, .deflate = true, .zip64 = true},
        {.name = "a.npy", .data = array.s, .n = array.len, .deflate = true, .descriptor = true}};
    static const char *const names[] = {"stored", "deflated", "stored, zip64", "deflated, zip64",
                                        "deflated, sizes after the data"};
    for (int k = 0; k < 5; k++) {
        bool good = fine(aster_npz_open(ctx, put_zip(1, &kinds[k]), &z)) &&
                    fine(aster_npz_read_rows(z, "a", ASTER_I32, 0, 100000, x)) &&
                    counts_from(x, BIG, 0);
        tap_ok(good && fine(aster_npz_read_rows(z, "a", ASTER_I32, 0, 100000, x)) &&
                   counts_from(x, BIG, 0),
               "%s: all rows, twice", names[k]);
        good = fine(aster_npz_read_rows(z, "a", ASTER_I32, 70000, 5, x)) &&
               counts_from(x, 20, 280000) &&
               fine(aster_npz_read_rows(z, "a", ASTER_I32, 99999, 1, x)) &&
               counts_from(x, 4, 399996) && fine(aster_npz_read_rows(z, "a", ASTER_I32, 3, 2, x)) &&
               counts_from(x, 8, 12);
        tap_ok(good, "%s: rows forward and back", names[k]);
        aster_npz_close(&z);
    }
    struct entry two[2] = {kinds[1], {.name = "ids.npy", .data = array.s, .n = 0}};
    make_zip(&file, 2, two, true, 0, "a comment");
    tap_ok(fine(aster_npz_open(ctx, put_bytes("a.npz", file.s, file.len), &z)) &&
               aster_npz_has(z, "a") && aster_npz_has(z, "ids") &&
               fine(aster_npz_read_rows(z, "a", ASTER_I32, 5, 1, x)) && x[0] == 20,
           "a zip64 end record, two entries, a comment");
    failed_with("an empty entry", aster_npz_read_rows(z, "ids", ASTER_I32, 0, 1, x), ASTER_EFORMAT,
                "a.npz", "'ids'", "0 bytes", NULL);
    failed_with("a missing array", aster_npz_read_rows(z, "labels", ASTER_I32, 0, 1, x),
                ASTER_EFORMAT, "a.npz", "'labels'", "it has a, ids", NULL);
    aster_npz_close(&z);
    make_zip(&file, 0, NULL, false, 0, "");
    tap_ok(fine(aster_npz_open(ctx, put_bytes("a.npz", file.s, file.len), &z)) &&
               !aster_npz_has(z, "a"),
           "an archive of nothing");
    aster_npz_close(&z);
    aster_free(&x);
}

static void bad_entry(const char *what, struct entry e, const char *word)
{
    static int32_t x[BIG];
    e.name = "a.npy";
    e.data = array.s;
    e.n = array.len;
    failed_with(what, rows(put_zip(1, &e), ASTER_I32, 0, 100000, x), ASTER_EFORMAT, "a.npz", word,
                NULL);
}

static void bad_bytes(const char *what, size_t n, const char *word)
{
    struct aster_npz *z = NULL;
    int rc = aster_npz_open(ctx, put_bytes("a.npz", aster_str_get(&file), n), &z);
    failed_with(what, rc, ASTER_EFORMAT, "a.npz", word, NULL);
    aster_npz_close(&z);
}

static void test_bad_archives(void)
{
    struct aster_npz *z = NULL;
    make_big();
    bad_entry("a wrong checksum, stored", (struct entry){.crc_xor = 1}, "CRC-32");
    bad_entry("a wrong checksum, deflated", (struct entry){.crc_xor = 1, .deflate = true},
              "CRC-32");
    bad_entry("damaged stored data", (struct entry){.damage_at = 100000}, "CRC-32");
    bad_entry("damaged deflated data", (struct entry){.deflate = true, .damage_at = 5000},
              "damaged");
    bad_entry("encrypted", (struct entry){.flags = 1}, "encrypted");
    bad_entry("another method", (struct entry){.method = 12}, "method 12");
    bad_entry("another name beside the data", (struct entry){.local_name = "b.npy"},
              "another name");
    bad_entry("a longer size, stored", (struct entry){.size_add = 1}, "two sizes differ");
    bad_entry("a longer size, deflated", (struct entry){.deflate = true, .size_add = 4},
              "its shape needs");
    bad_entry("a size no deflate can give", (struct entry){.deflate = true, .size_add = 1LL << 31},
              "cannot come from");
    bad_entry("2^62 bytes of zip64",
              (struct entry){.deflate = true, .zip64 = true, .size_add = 1LL << 62},
              "cannot come from");
    bad_entry("packed data cut short", (struct entry){.deflate = true, .packed_add = -40},
              "damaged");
    bad_entry("data beyond the archive", (struct entry){.packed_add = 40, .size_add = 40},
              "beyond");
    bad_entry("an offset elsewhere", (struct entry){.offset_add = 3}, "not where");
    bad_entry("an offset beyond the file", (struct entry){.offset_add = 1 << 30}, "not where");
    struct entry e = {.name = "a.npy", .data = array.s, .n = array.len}, twice[2] = {e, e};
    failed_with("two entries of one name", aster_npz_open(ctx, put_zip(2, twice), &z),
                ASTER_EFORMAT, "a.npz", "two arrays", "'a'", NULL);
    twice[1].name = "a";
    failed_with("two entries whose arrays have one name",
                aster_npz_open(ctx, put_zip(2, twice), &z), ASTER_EFORMAT, "a.npz", "'a'", NULL);
    e.name = "\xe4.npy";
    failed_with("a name that is not UTF-8", aster_npz_open(ctx, put_zip(1, &e), &z), ASTER_EFORMAT,
                "a.npz", "UTF-8", NULL);
    e.name = "a.npy";
    make_zip(&file, 1, &e, false, 1, "");
    bad_bytes("an entry too many in the end record", file.len, "directory");
    make_zip(&file, 1, &e, true, 1 << 30, "");
    bad_bytes("2^30 entries", file.len, "too small for the number of entries");
    make_zip(&file, 1, &e, false, 0, "");
    bad_bytes("a cut end record", file.len - 1, "end record");
    bad_bytes("half an archive", file.len / 2, "end record");
    bad_bytes("four bytes", 4, "end record");
    bad_bytes("nothing", 0, "empty");
    aster_str_add(&file, "more");
    bad_bytes("bytes after the end record", file.len, "end record");
    file.len = 0;
    aster_str_add(&file, "this is neither an archive nor an array");
    bad_bytes("a text", file.len, "no npz file");
    make_zip(&file, 1, &e, true, 0, "");
    file.s[file.len - 22 - 20 + 8] ^= 1;
    bad_bytes("a locator that points elsewhere", file.len, "locator");
    failed_with("no such file", aster_npz_open(ctx, in_dir("none.npz"), &z), ASTER_EIO, "none.npz",
                NULL);
    tap_ok(!z, "failures leave NULL");
}

int main(void)
{
    test_start();
    test_types();
    test_shapes();
    test_bad_arrays();
    test_text();
    test_archives();
    test_bad_archives();
    aster_str_free(&array);
    aster_str_free(&file);
    return test_end();
}
