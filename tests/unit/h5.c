/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5: what was written reads back in every type, nothing half-written appears, damaged and lying
 * files give messages. */
#include "unit/files.h"
#include "io/io.h"

#include <math.h>
#include <pthread.h>

static struct aster_h5 *create(const char *name)
{
    struct aster_h5 *f = NULL;
    if (!fine(aster_h5_create(ctx, in_dir(name), &f)))
        tap_ok(false, "%s can be made", name);
    return f;
}

static struct aster_h5 *open_file(const char *name)
{
    struct aster_h5 *f = NULL;
    if (!fine(aster_h5_open(ctx, in_dir(name), &f)))
        tap_ok(false, "%s can be opened", name);
    return f;
}

static const float some_f32[6] = {0, -1.5f, 1e-40f, 3.4e38f, INFINITY, 0.1f};
static const double some_f64[3] = {0.1, -1e300, 5e-324};
static const uint16_t some_bf16[4] = {0x3f80, 0xc000, 0x7f80, 0x0001};
static const int32_t some_i32[4] = {0, INT32_MIN, INT32_MAX, -7};
static const int64_t some_i64[2] = {INT64_MIN, INT64_MAX};
static const uint8_t some_u8[3] = {0, 255, 17};
static const char *const some_text[4] = {"", "P01009", "sp\xc3\xa4t \xf0\x9f\x98\x80",
                                         "a longer text, with a comma"};

static void write_all(void)
{
    struct aster_h5 *f = create("all.h5");
    int64_t two[2] = {2, 3}, n3 = 3, n4 = 4, n2 = 2, none[2] = {0, 5};
    double pi = 3.25;
    if (!f)
        return;
    bool good = fine(aster_h5_write(f, "g/f32", ASTER_F32, 2, two, some_f32)) &&
                fine(aster_h5_write(f, "g/f64", ASTER_F64, 1, &n3, some_f64)) &&
                fine(aster_h5_write(f, "g/deep/er/bf16", ASTER_BF16, 1, &n4, some_bf16)) &&
                fine(aster_h5_write(f, "i32", ASTER_I32, 1, &n4, some_i32)) &&
                fine(aster_h5_write(f, "i64", ASTER_I64, 1, &n2, some_i64)) &&
                fine(aster_h5_write(f, "u8", ASTER_U8, 1, &n3, some_u8)) &&
                fine(aster_h5_write(f, "one", ASTER_F64, 0, NULL, &pi)) &&
                fine(aster_h5_write(f, "none", ASTER_F32, 2, none, NULL)) &&
                fine(aster_h5_write_strings(f, "text", 4, some_text)) &&
                fine(aster_h5_write_strings(f, "no text", 0, NULL));
    good = good && fine(aster_h5_attr_set_i64(f, "/", "epoch", INT64_MIN)) &&
           fine(aster_h5_attr_set_f64(f, "g", "lr", 0.1)) &&
           fine(aster_h5_attr_set_str(f, "g/f32", "note", "caf\xc3\xa9")) &&
           fine(aster_h5_attr_set_str(f, "/", "empty", "")) &&
           fine(aster_h5_attr_set_i64(f, "/", "epoch", 12));
    tap_ok(good, "every type, text and attributes are written");
    tap_ok(!aster_file_exists(in_dir("all.h5")) && aster_file_exists(in_dir("all.h5.tmp")),
           "before the commit there is only the temporary file");
    tap_ok(fine(aster_h5_commit(&f)) && !f && aster_file_exists(in_dir("all.h5")) &&
               !aster_file_exists(in_dir("all.h5.tmp")),
           "after it only the file");
}

static void same(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t n,
                 const void *want)
{
    void *got = NULL;
    tap_ok(fine(aster_h5_read(f, name, t, n, &got)) &&
               !memcmp(got, want, (size_t)(n * aster_dtype_size(t))),
           "%s reads back as %s", name, aster_dtype_name(t));
    aster_free(&got);
}

static void read_all(void)
{
    struct aster_h5 *f = open_file("all.h5");
    struct aster_h5_shape s;
    char **list = NULL, *text = NULL;
    int64_t n = 0, i = 0;
    double d = 0;
    void *p = NULL;
    if (!f)
        return;
    same(f, "g/f32", ASTER_F32, 6, some_f32);
    same(f, "g/f64", ASTER_F64, 3, some_f64);
    same(f, "g/deep/er/bf16", ASTER_BF16, 4, some_bf16);
    same(f, "i32", ASTER_I32, 4, some_i32);
    same(f, "/i64", ASTER_I64, 2, some_i64);
    same(f, "u8", ASTER_U8, 3, some_u8);
    same(f, "one", ASTER_F64, 1, &(double){3.25});
    tap_ok(fine(aster_h5_shape(f, "g/deep/er/bf16", &s)) && s.dtype == ASTER_I32 &&
               fine(aster_h5_shape(f, "u8", &s)) && s.dtype == ASTER_U8,
           "the dtype of a shape holds every value");
    same(f, "i32", ASTER_I64, 4, (int64_t[]){0, INT32_MIN, INT32_MAX, -7});
    same(f, "i32", ASTER_F64, 4, (double[]){0, INT32_MIN, INT32_MAX, -7});
    same(f, "none", ASTER_F32, 0, "");
    tap_ok(fine(aster_h5_shape(f, "g/f32", &s)) && s.rank == 2 && s.dim[0] == 2 && s.dim[1] == 3 &&
               s.n == 6 && s.dtype == ASTER_F32 && !s.is_string,
           "shape of f32");
    tap_ok(fine(aster_h5_shape(f, "none", &s)) && s.rank == 2 && s.dim[0] == 0 && s.n == 0,
           "shape of nothing");
    tap_ok(fine(aster_h5_shape(f, "text", &s)) && s.is_string && s.n == 4 && s.string_size == -1,
           "shape of text");
    bool good = fine(aster_h5_read_strings(f, "text", &list, &n)) && n == 4;
    for (int k = 0; good && k < 4; k++)
        good = !strcmp(list[k], some_text[k]);
    tap_ok(good, "text reads back");
    aster_strings_free(&list, n);
    tap_ok(fine(aster_h5_read_strings(f, "no text", &list, &n)) && n == 0, "no text reads back");
    aster_strings_free(&list, n);
    tap_ok(fine(aster_h5_list(f, "/", &list, &n)) && n == 8 && !strcmp(list[0], "g") &&
               !strcmp(list[1], "i32") && !strcmp(list[7], "u8"),
           "members are listed by name");
    aster_h5_names_free(&list, n);
    tap_ok(aster_h5_has(f, "g/deep/er") && aster_h5_has(f, "/") &&
               !aster_h5_has(f, "g/deeper/er") && !aster_h5_has(f, "i32/x"),
           "what there is");
    tap_ok(fine(aster_h5_attr_i64(f, "/", "epoch", &i)) && i == 12,
           "an attribute set twice has its last value");
    tap_ok(fine(aster_h5_attr_f64(f, "g", "lr", &d)) && d == 0.1 &&
               fine(aster_h5_attr_f64(f, "/", "epoch", &d)) && d == 12,
           "real attributes");
    tap_ok(fine(aster_h5_attr_str(f, "g/f32", "note", &text)) && !strcmp(text, "caf\xc3\xa9"),
           "text attributes");
    aster_free(&text);
    tap_ok(aster_h5_attr_has(f, "g", "lr") && !aster_h5_attr_has(f, "g", "none") &&
               !aster_h5_attr_has(f, "nothing", "lr"),
           "which attributes there are");

    failed_with("no such dataset", aster_h5_read(f, "g/f16", ASTER_F32, -1, &p), ASTER_EFORMAT,
                "all.h5", "'g/f16'", "no dataset", NULL);
    failed_with("a group is no dataset", aster_h5_shape(f, "g", &s), ASTER_EFORMAT, "all.h5", "'g'",
                NULL);
    failed_with("another count", aster_h5_read(f, "i32", ASTER_I32, 5, &p), ASTER_EFORMAT, "'i32'",
                "4 elements, 5 are expected", NULL);
    failed_with("text is no number", aster_h5_read(f, "text", ASTER_F32, -1, &p), ASTER_EFORMAT,
                "'text'", "numbers are expected", NULL);
    failed_with("numbers are no text", aster_h5_read_strings(f, "i32", &list, &n), ASTER_EFORMAT,
                "'i32'", "text is expected", NULL);
    failed_with("i64 that i32 cannot hold", aster_h5_read(f, "i64", ASTER_I32, -1, &p),
                ASTER_EFORMAT, "'i64'", "i32 cannot hold", NULL);
    failed_with("negative for u8", aster_h5_read(f, "i32", ASTER_U8, -1, &p), ASTER_EFORMAT,
                "'i32'", "u8 cannot hold", NULL);
    failed_with("a fraction for i64", aster_h5_read(f, "one", ASTER_I64, -1, &p), ASTER_EFORMAT,
                "'one'", "i64 cannot hold", NULL);
    failed_with("infinity for i32", aster_h5_read(f, "g/f32", ASTER_I32, -1, &p), ASTER_EFORMAT,
                "'g/f32'", "i32 cannot hold", NULL);
    failed_with("f32 is not bf16", aster_h5_read(f, "g/f32", ASTER_BF16, -1, &p), ASTER_EFORMAT,
                "'g/f32'", "bf16", NULL);
    failed_with("no such attribute", aster_h5_attr_i64(f, "g", "epoch", &i), ASTER_EFORMAT,
                "all.h5", "'g'", "'epoch'", NULL);
    failed_with("a text attribute is no number", aster_h5_attr_i64(f, "g/f32", "note", &i),
                ASTER_EFORMAT, "'note'", "no number", NULL);
    failed_with("a real attribute is no integer", aster_h5_attr_i64(f, "g", "lr", &i),
                ASTER_EFORMAT, "'lr'", "no integer", NULL);
    failed_with("a number is no text attribute", aster_h5_attr_str(f, "g", "lr", &text),
                ASTER_EFORMAT, "'lr'", "no text", NULL);
    failed_with("one value is not three", aster_h5_attr_f64s(f, "g", "lr", 3, &d), ASTER_EFORMAT,
                "'lr'", "1 values, 3 are expected", NULL);
    failed_with("no such group", aster_h5_list(f, "h", &list, &n), ASTER_EFORMAT, "'h'", "no group",
                NULL);
    tap_ok(!p && !list && !text, "failures leave NULL");
    aster_h5_close(&f);
    tap_ok(!f, "closed");
}

static void test_rows(void)
{
    struct aster_h5 *f = create("rows.h5");
    float rows[500][7], got[500][7];
    double wide[4][7];
    struct aster_h5_shape s;
    if (!f)
        return;
    for (int k = 0; k < 3500; k++)
        rows[k / 7][k % 7] = (float)k;
    bool good = true;
    for (int at = 0, n = 1; at < 500; at += n, n = n % 90 + 13)
        good = good &&
               fine(aster_h5_append(f, "a/rows", ASTER_F32, aster_min64(n, 500 - at), 7, rows[at]));
    tap_ok(good && fine(aster_h5_append(f, "a/rows", ASTER_F32, 0, 7, NULL)), "rows are appended");
    failed_with("rows of another length", aster_h5_append(f, "a/rows", ASTER_F32, 1, 6, rows),
                ASTER_EBUG, "'a/rows'", "rows of 7", NULL);
    const double column[4] = {1, 2, 3, 4};
    struct aster_h5_shape one = {0};
    tap_ok(fine(aster_h5_append(f, "column", ASTER_F64, 1, 1, column)) &&
               fine(aster_h5_append(f, "column", ASTER_F64, 3, 1, column + 1)) &&
               fine(aster_h5_shape(f, "column", &one)) && one.rank == 1 && one.dim[0] == 4,
           "rows of one element make one axis");
    failed_with("rows of nothing", aster_h5_append(f, "b", ASTER_F32, 1, 0, rows), ASTER_EBUG,
                "'b'", NULL);
    failed_with("a second dataset of one name",
                aster_h5_write(f, "a/rows", ASTER_F32, 0, NULL, rows), ASTER_EIO, "'a/rows'", NULL);
    if (!fine(aster_h5_commit(&f)) || !(f = open_file("rows.h5")))
        return;
    tap_ok(fine(aster_h5_shape(f, "a/rows", &s)) && s.rank == 2 && s.dim[0] == 500 && s.dim[1] == 7,
           "their shape");
    tap_ok(fine(aster_h5_read_rows(f, "a/rows", ASTER_F32, 0, 500, got)) &&
               !memcmp(got, rows, sizeof rows),
           "all rows read back");
    tap_ok(fine(aster_h5_read_rows(f, "a/rows", ASTER_F64, 496, 4, wide)) &&
               wide[0][0] == 496 * 7 && wide[3][6] == 3499,
           "the last four as f64");
    got[0][0] = -1;
    tap_ok(fine(aster_h5_read_rows(f, "a/rows", ASTER_F32, 500, 0, got)) && got[0][0] == -1,
           "no rows touch nothing");
    failed_with("rows after the end", aster_h5_read_rows(f, "a/rows", ASTER_F32, 497, 4, got),
                ASTER_EFORMAT, "'a/rows'", "4 rows from row 497 on, there are 500", NULL);
    failed_with("rows before the start", aster_h5_read_rows(f, "a/rows", ASTER_F32, -1, 4, got),
                ASTER_EFORMAT, "'a/rows'", NULL);
    failed_with("far too many rows", aster_h5_read_rows(f, "a/rows", ASTER_F32, 1, INT64_MAX, got),
                ASTER_EFORMAT, "'a/rows'", NULL);
    aster_h5_close(&f);
}

/* Equal contents are equal bytes whenever they are written. */
static void test_same_bytes(void)
{
    static const char *const texts[] = {"", "a", "two words", "d\303\251j\303\240"};
    const char *const names[] = {"first.h5", "second.h5"};
    char *bytes[2] = {NULL, NULL}, **got = NULL;
    int64_t n[2] = {0}, three = 3, n_got = 0;
    for (int k = 0; k < 2; k++) {
        struct aster_h5 *f = create(names[k]);
        bool good = f && fine(aster_h5_append_strings(f, "g/texts", 1, texts)) &&
                    fine(aster_h5_append_strings(f, "g/texts", 3, texts + 1)) &&
                    fine(aster_h5_append_strings(f, "g/texts", 0, NULL)) &&
                    fine(aster_h5_append(f, "g/h/rows", ASTER_U8, 1, 3, some_u8)) &&
                    fine(aster_h5_write(f, "whole", ASTER_U8, 1, &three, some_u8)) &&
                    fine(aster_h5_commit(&f)) &&
                    fine(aster_file_read(ctx, in_dir(names[k]), 1 << 20, &bytes[k], &n[k]));
        tap_ok(good, "%s is written", names[k]);
        if (k == 0) /* the format's times are in seconds */
            sleep(1);
    }
    tap_ok(n[0] > 0 && n[0] == n[1] && !memcmp(bytes[0], bytes[1], (size_t)n[0]),
           "a second later the same bytes");
    struct aster_h5 *f = open_file("first.h5");
    bool same = f && fine(aster_h5_read_strings(f, "g/texts", &got, &n_got)) && n_got == 4;
    for (int k = 0; same && k < 4; k++)
        same = strcmp(got[k], texts[k]) == 0;
    tap_ok(same, "texts that were appended are read back");
    aster_h5_names_free(&got, n_got);
    aster_h5_close(&f);
    aster_free(&bytes[0]);
    aster_free(&bytes[1]);
}

static void test_unfinished(void)
{
    struct aster_h5 *f;
    int64_t n = 3;
    put_text("kept.h5", "what was there");
    if (!(f = create("kept.h5")))
        return;
    tap_ok(fine(aster_h5_write(f, "x", ASTER_U8, 1, &n, some_u8)), "written, not committed");
    aster_h5_close(&f);
    char *text = NULL;
    tap_ok(!aster_file_exists(in_dir("kept.h5.tmp")) &&
               fine(aster_file_read(ctx, in_dir("kept.h5"), 100, &text, &n)) &&
               !strcmp(text, "what was there"),
           "closing without commit leaves the old file and no other");
    aster_free(&text);
    failed_with("no folder for it", aster_h5_create(ctx, in_dir("no/x.h5"), &f), ASTER_EIO,
                "no/x.h5", "No such file", NULL);
    tap_ok(!f, "a failure leaves NULL");
}

/* The file with each 8-byte number of one value replaced by another. */
static const char *patched(const char *from, const char *to, uint64_t old, uint64_t new)
{
    char *b = NULL;
    int64_t n = 0, hits = 0;
    if (!fine(aster_file_read(ctx, in_dir(from), 1 << 24, &b, &n)))
        return "";
    for (int64_t k = 0; k + 8 <= n; k++)
        if (!memcmp(b + k, &old, 8)) {
            memcpy(b + k, &new, 8);
            hits++;
        }
    tap_ok(hits > 0, "%s: %lld numbers changed", to, (long long)hits);
    const char *path = put_bytes(to, b, (size_t)n);
    aster_free(&b);
    return path;
}

static void test_damaged(void)
{
    struct aster_h5 *f;
    void *p = NULL;
    char *b = NULL;
    int64_t n = 0, length = 12345;
    float *x = NULL;
    failed_with("no such file", aster_h5_open(ctx, in_dir("none.h5"), &f), ASTER_EIO, "none.h5",
                NULL);
    failed_with("an empty file", aster_h5_open(ctx, put_text("e.h5", ""), &f), ASTER_EFORMAT,
                "e.h5", "empty", NULL);
    failed_with("a text", aster_h5_open(ctx, put_text("t.h5", "this is no HDF5 file at all"), &f),
                ASTER_EFORMAT, "t.h5", "no HDF5", NULL);
    failed_with("a folder", aster_h5_open(ctx, test_dir, &f), ASTER_EIO, test_dir, NULL);
    failed_with("the signature alone",
                aster_h5_open(ctx, put_bytes("s.h5", "\x89HDF\r\n\x1a\n", 8), &f), ASTER_EFORMAT,
                "s.h5", NULL);
    if (!fine(aster_file_read(ctx, in_dir("rows.h5"), 1 << 24, &b, &n)))
        return;
    failed_with("half a file", aster_h5_open(ctx, put_bytes("half.h5", b, (size_t)n / 2), &f),
                ASTER_EFORMAT, "half.h5", NULL);
    aster_free(&b);
    if (!(f = create("flat.h5")) || !fine(aster_alloc(ctx, length, sizeof *x, &x)) ||
        !fine(aster_h5_write(f, "x", ASTER_F32, 1, &length, x)) || !fine(aster_h5_commit(&f)))
        return;
    aster_free(&x);
    static const struct {
        const char *what;
        uint64_t claim;
    } claims[] = {{"2^39 elements", 1ULL << 39},
                  {"2^50 elements", 1ULL << 50},
                  {"2^63 elements", 1ULL << 63},
                  {"2^62 elements, which is 2^64 bytes", 1ULL << 62}};
    for (size_t k = 0; k < 4; k++) {
        int rc = aster_h5_open(ctx, patched("flat.h5", "lie.h5", 12345, claims[k].claim), &f);
        if (rc == 0)
            rc = aster_h5_read(f, "x", ASTER_F32, -1, &p);
        tap_ok(rc < 0 && !p && strstr(aster_ctx_message(ctx), "lie.h5"),
               "a dataset that claims %s: %s", claims[k].what, aster_ctx_message(ctx));
        aster_ctx_clear(ctx);
        aster_h5_close(&f);
    }
}

static void *work(void *arg)
{
    int me = *(int *)arg, *good = arg;
    char name[32];
    *good = 1;
    for (int k = 0; k < 20; k++) {
        struct aster_h5 *f = NULL;
        int64_t n = 100, *got = NULL, data[100], epoch = 0;
        struct aster_str path = {0};
        snprintf(name, sizeof name, "thread-%d.h5", me);
        aster_str_printf(&path, "%s/%s", test_dir, name);
        for (int j = 0; j < 100; j++)
            data[j] = me * 1000000 + k * 1000 + j;
        bool ok = aster_h5_create(ctx, path.s, &f) == 0 &&
                  aster_h5_write(f, "g/x", ASTER_I64, 1, &n, data) == 0 &&
                  aster_h5_attr_set_i64(f, "g", "k", k) == 0 && aster_h5_commit(&f) == 0 &&
                  aster_h5_open(ctx, path.s, &f) == 0 &&
                  aster_h5_read(f, "g/x", ASTER_I64, 100, &got) == 0 &&
                  aster_h5_attr_i64(f, "g", "k", &epoch) == 0 && epoch == k;
        if (!ok || memcmp(got, data, sizeof data))
            *good = 0;
        aster_free(&got);
        aster_h5_close(&f);
        aster_str_free(&path);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t t[4];
    int arg[4] = {0, 1, 2, 3}, good = 0;
    for (int k = 0; k < 4; k++)
        if (pthread_create(&t[k], NULL, work, &arg[k]))
            return;
    for (int k = 0; k < 4; k++) {
        pthread_join(t[k], NULL);
        good += arg[k];
    }
    tap_ok(good == 4 && fine(aster_ctx_code(ctx)), "four threads with a file each");
}

/* A file that h5py wrote: fixed-length text, chunks, deflate. */
static void test_golden(void)
{
    const char *path = shared("rcl/golden/cnn_small_esm2dim.h5");
    struct aster_h5 *f = NULL;
    struct aster_h5_shape s;
    char **ids = NULL, *model = NULL;
    int64_t n = 0, batch = 0;
    double *p = NULL, *logits = NULL, worst = 0;
    if (!path || !fine(aster_h5_open(ctx, path, &f))) {
        tap_skip("a golden file: no shared test data");
        return;
    }
    tap_ok(fine(aster_h5_attr_str(f, "/", "model", &model)) && !strcmp(model, "cnn") &&
               fine(aster_h5_attr_i64(f, "/", "batch", &batch)) && batch == 4,
           "attributes of a golden file");
    tap_ok(fine(aster_h5_read_strings(f, "inputs/ids", &ids, &n)) && n == 4 && *ids[0],
           "its fixed-length texts");
    tap_ok(fine(aster_h5_shape(f, "inputs/x", &s)) && s.rank == 3 && s.dim[0] == 4 &&
               s.dim[1] == 48 && s.dim[2] == 1280,
           "its input");
    bool read = fine(aster_h5_read(f, "outputs/probs_eval_f64", ASTER_F64, 4 * 48 * 2, &p)) &&
                fine(aster_h5_read(f, "outputs/logits_eval_f64", ASTER_F64, 4 * 48 * 2, &logits));
    for (int64_t k = 0; read && k < 4 * 48; k++)
        worst = fmax(worst, fabs(p[2 * k + 1] - 1 / (1 + exp(logits[2 * k] - logits[2 * k + 1]))));
    tap_ok(read && worst < 1e-14, "its probabilities are the softmax of its logits (%.1e)", worst);
    aster_free(&p);
    aster_free(&logits);
    aster_free(&model);
    aster_strings_free(&ids, n);
    aster_h5_close(&f);
}

int main(void)
{
    test_start();
    write_all();
    read_all();
    test_rows();
    test_same_bytes();
    test_unfinished();
    test_damaged();
    test_threads();
    test_golden();
    return test_end();
}
