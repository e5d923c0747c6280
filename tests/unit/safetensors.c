/* SPDX-License-Identifier: BSD-3-Clause */
/* Safetensors: what was written reads back, every bound of the header is checked, the shared good
 * and bad files are judged rightly. */
#include "unit/files.h"
#include "io/io.h"

#include <math.h>

/* length: -1 for the true one. */
static const char *put_st(const char *header, int64_t length, int64_t n_data)
{
    struct aster_str s = {0};
    uint64_t n = length < 0 ? strlen(header) : (uint64_t)length;
    aster_str_addn(&s, (const char *)&n, 8);
    aster_str_add(&s, header);
    for (int64_t k = 0; k < n_data; k++)
        aster_str_addn(&s, "\0", 1);
    const char *path = put_bytes("x.safetensors", aster_str_get(&s), s.len);
    aster_str_free(&s);
    return path;
}

static void refused(const char *what, const char *header, int64_t n_data, const char *word,
                    const char *more)
{
    struct aster_st *s = NULL;
    int rc = aster_st_open(ctx, put_st(header, -1, n_data), &s);
    failed_with(what, s ? 0 : rc, ASTER_EFORMAT, "x.safetensors", word, more, NULL);
    aster_st_close(&s);
}

#define ENTRY(name, dtype, shape, from, to)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]" \
    "}"

static void test_bad(void)
{
    struct aster_st *s = NULL;
    failed_with("no such file", aster_st_open(ctx, in_dir("none"), &s), ASTER_EIO, "none",
                "No such file", NULL);
    failed_with("a folder", aster_st_open(ctx, test_dir, &s), ASTER_EIO, test_dir, NULL);
    failed_with("an empty file", aster_st_open(ctx, put_text("e", ""), &s), ASTER_EFORMAT, "/e",
                "0 bytes", NULL);
    failed_with("seven bytes", aster_st_open(ctx, put_text("e", "1234567"), &s), ASTER_EFORMAT,
                "/e", "7 bytes", NULL);
    failed_with("a header beyond the file", aster_st_open(ctx, put_st("{}", 3, 0), &s),
                ASTER_EFORMAT, "header length too large", "3 bytes", NULL);
    failed_with("a header of 2^63 bytes", aster_st_open(ctx, put_st("{}", INT64_MAX, 0), &s),
                ASTER_EFORMAT, "header length too large", NULL);
    refused("an empty header", "", 0, "'{'", "{");
    refused("blanks before the header", " {}", 0, "'{'", "{");
    refused("a cut header", "{\"a\":", 0, "ends", "value");
    refused("an overlap",
            "{" ENTRY("a", "F32", "[2]", "0", "8") "," ENTRY("b", "F32", "[2]", "4", "12") "}", 12,
            "'b'", "overlaps 'a'");
    refused("two tensors in one place",
            "{" ENTRY("a", "F32", "[2]", "0", "8") "," ENTRY("b", "F32", "[2]", "0", "8") "}", 8,
            "'b'", "overlaps");
    refused("a hole",
            "{" ENTRY("a", "U8", "[2]", "0", "2") "," ENTRY("b", "U8", "[2]", "3", "5") "}", 5,
            "'b'", "hole of 1 ");
    refused("a hole at the start", "{" ENTRY("a", "U8", "[2]", "1", "3") "}", 3, "'a'", "hole");
    refused("bytes after the last tensor", "{" ENTRY("a", "U8", "[2]", "0", "2") "}", 5,
            "3 bytes after", "last");
    refused("bytes and no tensor", "{}", 5, "5 bytes after", "last");
    refused("data beyond the file", "{" ENTRY("a", "U8", "[9]", "0", "9") "}", 8, "'a'", "byte 9");
    refused("offsets turned around", "{" ENTRY("a", "U8", "[2]", "2", "0") "}", 2, "'a'",
            "after their end");
    refused("a negative offset", "{" ENTRY("a", "U8", "[2]", "-2", "0") "}", 2, "'a'", "-2");
    refused("an offset above 64 bits", "{" ENTRY("a", "U8", "[2]", "0", "18446744073709551618") "}",
            2, "'a'", "64-bit");
    refused("three offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2,4]}}", 2,
            "'a'", "3 data_offsets");
    refused("no offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2]}}", 2, "'a'", "no data_offsets");
    refused("no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,2]}}", 2, "'a'", "no shape");
    refused("a dtype that is a number",
            "{\"a\":{\"dtype\":8,\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "'a'", "dtype");
    refused("an unknown dtype", "{" ENTRY("a", "F33", "[2]", "0", "2") "}", 2, "'a'", "'F33'");
    refused("a shape and data that differ", "{" ENTRY("a", "F16", "[2]", "0", "2") "}", 2, "'a'",
            "2 elements of F16 have 4 bytes");
    refused("a shape that overflows", "{" ENTRY("a", "U8", "[4294967296,4294967296]", "0", "0") "}",
            0, "'a'", "64 bits");
    refused("a shape that overflows in bytes",
            "{" ENTRY("a", "F64", "[2305843009213693952]", "0", "0") "}", 0, "'a'", "64 bits");
    refused("a negative shape", "{" ENTRY("a", "U8", "[-2,-1]", "0", "2") "}", 2, "'a'", "-2");
    refused("a fraction in a shape", "{" ENTRY("a", "U8", "[2.0]", "0", "2") "}", 2, "'a'",
            "shape");
    refused("the same name twice",
            "{" ENTRY("a", "U8", "[1]", "0", "1") "," ENTRY("a", "U8", "[1]", "1", "2") "}", 2,
            "'a'", "twice");
    refused("metadata with a number", "{\"__metadata__\":{\"n\":3}}", 0, "__metadata__", "'n'");
    refused("metadata that is a list", "{\"__metadata__\":[]}", 0, "__metadata__", "object");
    failed_with(
        "nine dimensions",
        aster_st_open(ctx, put_st("{" ENTRY("a", "U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", -1, 1),
                      &s),
        ASTER_ELIMIT, "'a'", "8 dimensions", NULL);
    tap_ok(!s, "a failure leaves NULL");
}

static void test_round(void)
{
    static const uint8_t u8[3] = {1, 2, 255};
    static const uint16_t bf16[2] = {0x3f80, 0xff80};
    static const double f64[2] = {0.1, -INFINITY};
    static const float f32[6] = {1, 2, 3, 4, 5, 6};
    static const int32_t i32[1] = {-5};
    static const int64_t i64[1] = {INT64_MIN};
    const struct aster_st_out out[] = {
        {"u8", ASTER_U8, 1, {3}, u8},         {"b\"f\\16\n", ASTER_BF16, 1, {2}, bf16},
        {"f64", ASTER_F64, 1, {2}, f64},      {"f32", ASTER_F32, 2, {2, 3}, f32},
        {"i32", ASTER_I32, 0, {0}, i32},      {"i64", ASTER_I64, 3, {1, 1, 1}, i64},
        {"none", ASTER_F32, 2, {0, 9}, NULL}, {"\xc3\xa4", ASTER_U8, 1, {1}, u8}};
    static const char *const types[] = {"U8", "BF16", "F64", "F32", "I32", "I64", "F32", "U8"};
    static const char *const keys[] = {"format", "note"}, *const values[] = {
                                                              "pt", "two\nlines \"quoted\""};
    struct aster_st *s = NULL;
    const char *path = in_dir("w.safetensors");
    tap_ok(fine(aster_st_write(ctx, path, 8, out, 2, keys, values)) &&
               !aster_file_exists(in_dir("w.safetensors.tmp")),
           "written");
    if (!fine(aster_st_open(ctx, path, &s)))
        return;
    bool good = aster_st_count(s) == 8, aligned = true;
    for (int k = 0; good && k < 8; k++) {
        const struct aster_st_tensor *t = aster_st_find(s, out[k].name);
        int64_t n = 1;
        good = t && !strcmp(t->dtype, types[k]) && t->rank == out[k].rank;
        for (int j = 0; good && j < t->rank; j++) {
            good = t->dim[j] == out[k].dim[j];
            n *= t->dim[j];
        }
        good = good && t->n == n &&
               (!n || !memcmp(t->data, out[k].data, (size_t)(n * aster_dtype_size(out[k].dtype))));
        aligned =
            aligned && good && (uintptr_t)t->data % (uintptr_t)aster_dtype_size(out[k].dtype) == 0;
    }
    tap_ok(good, "eight tensors read back by name");
    tap_ok(aligned, "each aligned to its elements");
    tap_ok(!aster_st_find(s, "f3") && !aster_st_find(s, "__metadata__") && !aster_st_tensor(s, 8) &&
               !aster_st_tensor(s, -1),
           "no others");
    tap_ok(!strcmp(aster_st_metadata(s, "note"), values[1]) &&
               !strcmp(aster_st_metadata(s, "format"), "pt") && !aster_st_metadata(s, "x"),
           "metadata");
    aster_st_close(&s);
    tap_ok(fine(aster_st_write(ctx, path, 0, NULL, 0, NULL, NULL)) &&
               fine(aster_st_open(ctx, path, &s)) && aster_st_count(s) == 0 &&
               !aster_st_metadata(s, "format"),
           "nothing at all");
    aster_st_close(&s);
    failed_with(
        "two tensors of one name",
        aster_st_write(ctx, path, 2, (struct aster_st_out[]){out[0], out[0]}, 0, NULL, NULL),
        ASTER_EPARAM, "'u8'", NULL);
    failed_with("a name that is not UTF-8",
                aster_st_write(ctx, path, 1, &(struct aster_st_out){"\xe4", ASTER_U8, 1, {1}, u8},
                               0, NULL, NULL),
                ASTER_EPARAM, "UTF-8", NULL);
    failed_with("no folder", aster_st_write(ctx, in_dir("no/x"), 1, out, 0, NULL, NULL), ASTER_EIO,
                "no/x", NULL);
    tap_ok(fine(aster_st_open(ctx, path, &s)) && aster_st_count(s) == 0,
           "failed writes leave the old file");
    aster_st_close(&s);
}

/* ---- the shared files ---- */

static double half(uint16_t h)
{
    double m = h & 1023, v = (h >> 10 & 31) == 31 ? (m ? NAN : INFINITY)
                             : (h >> 10 & 31)     ? ldexp(1024 + m, (h >> 10 & 31) - 25)
                                                  : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

/* Element k as a double; false for a dtype that is compared elsewhere. */
static bool element(const struct aster_st_tensor *t, int64_t k, double *v)
{
    const uint8_t *b = t->data;
    float f;
    uint16_t h;
    int32_t i;
    int64_t l;
    if (!strcmp(t->dtype, "F64"))
        memcpy(v, b + 8 * k, 8);
    else if (!strcmp(t->dtype, "F32"))
        *v = (double)(memcpy(&f, b + 4 * k, 4), f);
    else if (!strcmp(t->dtype, "F16"))
        *v = half((memcpy(&h, b + 2 * k, 2), h));
    else if (!strcmp(t->dtype, "BF16"))
        *v = (double)aster_bf16_to_f32((memcpy(&h, b + 2 * k, 2), h));
    else if (!strcmp(t->dtype, "I32"))
        *v = (memcpy(&i, b + 4 * k, 4), i);
    else if (!strcmp(t->dtype, "I64"))
        *v = (double)(memcpy(&l, b + 8 * k, 8), l);
    else if (!strcmp(t->dtype, "U8") || !strcmp(t->dtype, "BOOL"))
        *v = b[k];
    else
        return false;
    return true;
}

/* The tensors of a good file against the datasets of its group; the number compared, -1 if one
 * differs. */
static int compare(struct aster_h5 *h, const char *group, const struct aster_st *s)
{
    char **names = NULL, name[512];
    int64_t n = 0;
    int compared = 0;
    if (!fine(aster_h5_list(h, group, &names, &n)) || n != aster_st_count(s))
        compared = -1;
    for (int64_t k = 0; compared >= 0 && k < n; k++) {
        char *tensor = NULL;
        double *want = NULL, v;
        struct aster_h5_shape shape;
        snprintf(name, sizeof name, "%s/%s", group, names[k]);
        bool good = fine(aster_h5_attr_str(h, name, "name", &tensor)) &&
                    fine(aster_h5_shape(h, name, &shape)) &&
                    fine(aster_h5_read(h, name, ASTER_F64, -1, &want));
        const struct aster_st_tensor *t = good ? aster_st_find(s, tensor) : NULL;
        good = t && t->rank == shape.rank && t->n == shape.n;
        for (int64_t j = 0; good && j < t->n && element(t, j, &v); j++) {
            good = isnan(want[j]) ? isnan(v) : want[j] == v && signbit(want[j]) == signbit(v);
            compared++;
        }
        if (!good)
            compared = -1;
        aster_free(&tensor);
        aster_free(&want);
    }
    aster_strings_free(&names, n);
    return compared;
}

static void test_shared(void)
{
    const char *found = shared("dnabert/weightfiles/cases.tsv");
    char root[PATH_MAX], path[PATH_MAX + 512], *line, *slash;
    struct aster_lines *l = NULL;
    struct aster_h5 *h = NULL;
    size_t n;
    int refused_n = 0, numbers = 0;
    if (!found) {
        tap_skip("good and bad weight files: no shared test data");
        return;
    }
    snprintf(root, sizeof root, "%s", found);
    slash = strrchr(root, '/');
    if (!fine(aster_lines_open(ctx, found, &l)))
        return;
    *slash = '\0';
    snprintf(path, sizeof path, "%s/expected.h5", root);
    bool all = fine(aster_h5_open(ctx, path, &h));
    while (all && aster_lines_next(l, &line, &n) > 0) {
        char *file = line, *verdict = strchr(line, '\t'),
             *expected = verdict ? strchr(verdict + 1, '\t') : NULL;
        char *end = expected ? strchr(expected + 1, '\t') : NULL;
        struct aster_st *s = NULL;
        if (!end || !strstr(file, "/st_"))
            continue;
        *verdict = *expected = *end = '\0';
        snprintf(path, sizeof path, "%s/%s", root, file);
        int rc = aster_st_open(ctx, path, &s);
        if (!strcmp(verdict + 1, "bad")) {
            tap_ok(rc < 0 && !s && strstr(aster_ctx_message(ctx), aster_path_base(file)), "%s",
                   aster_ctx_message(ctx) + strlen(root) + 1);
            refused_n++;
        } else {
            char *group = strchr(expected + 1, ':');
            int k = fine(rc) && group ? compare(h, group + 1, s) : -1;
            tap_ok(k >= 0, "%s: %d numbers", file, k);
            numbers += k > 0 ? k : 0;
        }
        aster_ctx_clear(ctx);
        aster_st_close(&s);
    }
    tap_ok(refused_n == 39 && numbers > 80, "%d shared files refused, %d numbers compared",
           refused_n, numbers);
    aster_h5_close(&h);
    aster_lines_close(&l);
}

int main(void)
{
    test_start();
    test_bad();
    test_round();
    test_shared();
    return test_end();
}
