/* SPDX-License-Identifier: BSD-3-Clause */
/* Weight files that are good: every type and layout read and converted, names and values of nested
 * objects, shards; and that any damage ends in a message or in tensors, never otherwise. */
#include "unit/files.h"
#include "unit/torch_build.h"
#include "io/weightfile.h"

#include <math.h>

static int64_t number;

static int64_t draw(int64_t n)
{
    return (int64_t)(aster_uniform(11, 0, (uint64_t)number++) * (double)n);
}

/* ---- types ---- */

static double power(int e)
{
    return ldexp(1, e);
}

/* A small float from its bits: 1 sign, e exponent and m fraction bits, without special values. */
static double small_float(unsigned bits, int e, int m)
{
    int exponent = (int)(bits >> m) & ((1 << e) - 1), bias = (1 << (e - 1)) - 1;
    double f = bits & ((1u << m) - 1), v = exponent ? (1 + f * power(-m)) * power(exponent - bias)
                                                    : f * power(-m) * power(1 - bias);
    return bits >> (e + m) & 1 ? -v : v;
}

static double special_float(unsigned bits, int e, int m)
{
    unsigned top = (1u << e) - 1, fraction = bits & ((1u << m) - 1);
    if ((bits >> m & top) != top)
        return small_float(bits, e, m);
    return fraction ? (double)NAN : bits >> (e + m) & 1 ? -(double)INFINITY : (double)INFINITY;
}

static bool same(double a, double b)
{
    return isnan(b) ? isnan(a) : a == b && signbit(a) == signbit(b);
}

static struct aster_weightfile *open_one(const char *dtype, const void *data, int64_t n,
                                         int64_t size)
{
    struct aster_weightfile *f = NULL;
    struct aster_str s = {0}, header = {0};
    aster_str_printf(&header,
                     "{\"x\":{\"dtype\":\"%s\",\"shape\":[%lld],\"data_offsets\":[0,%lld]},\"__"
                     "metadata__\":{\"by\":\"hand\"}}",
                     dtype, (long long)n, (long long)(n * size));
    le_add(&s, header.len, 8);
    aster_str_addn(&s, header.s, header.len);
    aster_str_addn(&s, data, (size_t)(n * size));
    if (!fine(aster_weightfile_open(ctx, put_bytes("x.safetensors", s.s, s.len), &f)))
        exit(1);
    aster_str_free(&s);
    aster_str_free(&header);
    return f;
}

static void test_small_floats(void)
{
    static uint16_t all[65536];
    static uint8_t bytes[256];
    static const struct {
        const char *dtype;
        int e, m;
    } kinds[] = {{"F16", 5, 10}, {"BF16", 8, 7}, {"F8_E5M2", 5, 2}, {"F8_E4M3", 4, 3}};
    for (int k = 0; k < 65536; k++)
        all[k] = (uint16_t)k;
    for (int k = 0; k < 256; k++)
        bytes[k] = (uint8_t)k;
    for (int kind = 0; kind < 4; kind++) {
        int64_t n = kind < 2 ? 65536 : 256;
        struct aster_weightfile *f =
            open_one(kinds[kind].dtype, kind < 2 ? (void *)all : bytes, n, kind < 2 ? 2 : 1);
        const struct aster_weight *w = aster_weightfile_find(f, "x");
        static double d[65536];
        static float s[65536];
        bool good = fine(aster_weightfile_read(f, w, 0, n, ASTER_F64, d)) &&
                    fine(aster_weightfile_read(f, w, 0, n, ASTER_F32, s));
        for (int64_t k = 0; good && k < n; k++) {
            double want = kind < 3 ? special_float((unsigned)k, kinds[kind].e, kinds[kind].m)
                          : (k & 127) == 127 ? (double)NAN
                                             : small_float((unsigned)k, 4, 3);
            good = same(d[k], want) && same((double)s[k], want);
        }
        tap_ok(good, "every number of %s", kinds[kind].dtype);
        aster_weightfile_close(&f);
    }
}

/* One number of a type read as every other: the same value, or refused where it does not fit. */
static void test_number(const char *dtype, const void *bytes, int64_t size, double v, unsigned fits)
{
    struct aster_weightfile *f = open_one(dtype, bytes, 1, size);
    const struct aster_weight *w = aster_weightfile_tensor(f, 0);
    bool good = true;
    for (int t = 0; t < ASTER_N_DTYPES; t++) {
        union {
            float f;
            double d;
            uint16_t h;
            int32_t i;
            int64_t l;
            uint8_t u;
        } x;
        int rc = aster_weightfile_read(f, w, 0, 1, (enum aster_dtype)t, &x);
        if (!(fits >> t & 1)) {
            good = good && rc == ASTER_EFORMAT && strstr(aster_ctx_message(ctx), "'x'") &&
                   strstr(aster_ctx_message(ctx), "cannot hold");
            aster_ctx_clear(ctx);
            continue;
        }
        double got = t == ASTER_F32    ? (double)x.f
                     : t == ASTER_F64  ? x.d
                     : t == ASTER_BF16 ? (double)aster_bf16_to_f32(x.h)
                     : t == ASTER_I32  ? x.i
                     : t == ASTER_I64  ? (double)x.l
                                       : x.u;
        double near = t == ASTER_F64 || t == ASTER_I64 ? 0 : t == ASTER_BF16 ? 0x1p-8 : 0x1p-24;
        good = good && fine(rc) && fabs(got - v) <= near * fabs(v);
    }
    tap_ok(good, "%g of %s is read as every type that can hold it", v, dtype);
    aster_weightfile_close(&f);
}

static void test_numbers(void)
{
    enum {
        REALS = 1 << ASTER_F32 | 1 << ASTER_F64 | 1 << ASTER_BF16,
        I32 = 1 << ASTER_I32,
        I64 = 1 << ASTER_I64,
        U8 = 1 << ASTER_U8
    };
    test_number("I8", &(int8_t){-128}, 1, -128, REALS | I32 | I64);
    test_number("U8", &(uint8_t){255}, 1, 255, REALS | I32 | I64 | U8);
    test_number("BOOL", &(uint8_t){1}, 1, 1, REALS | I32 | I64 | U8);
    test_number("I16", &(int16_t){-32768}, 2, -32768, REALS | I32 | I64);
    test_number("U16", &(uint16_t){65535}, 2, 65535, REALS | I32 | I64);
    test_number("I32", &(int32_t){INT32_MIN}, 4, INT32_MIN, REALS | I32 | I64);
    test_number("U32", &(uint32_t){UINT32_MAX}, 4, UINT32_MAX, REALS | I64);
    test_number("I64", &(int64_t){INT64_MIN}, 8, (double)INT64_MIN, REALS | I64);
    test_number("U64", &(uint64_t){1ULL << 63}, 8, 0x1p63, REALS);
    test_number("U64", &(uint64_t){1ULL << 62}, 8, 0x1p62, REALS | I64);
    test_number("F32", &(float){2.5f}, 4, 2.5, REALS);
    test_number("F32", &(float){-7}, 4, -7, REALS | I32 | I64);
    test_number("F64", &(double){1e200}, 8, 1e200, 1 << ASTER_F64);
    test_number("F64", &(double){200}, 8, 200, REALS | I32 | I64 | U8);
    test_number("F16", &(uint16_t){0x3c00}, 2, 1, REALS | I32 | I64 | U8);
}

/* ---- a torch file with everything ---- */

static const double storage1[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const float storage0[6] = {0.5f, -1, 2, 1e30f, -0.0f, 6};
static const int64_t storage2[1] = {1LL << 40};

static void module_part(struct aster_str *s, const char *name)
{
    p_text(s, name);
    P(s, "}(");
}

/* A record of a class nobody has, as a module: a parameter, two buffers of which one is not part of
 * the state, a module in it. */
static void add_module(struct aster_str *s)
{
    P(s, "c__main__\nNet\n)\x81}(");
    p_text(s, "training");
    P(s, "\x89");
    module_part(s, "_parameters");
    p_text(s, "weight");
    P(s, "ctorch._utils\n_rebuild_parameter\n");
    p_plain(s);
    P(s, "\x88"
         "ccollections\nOrderedDict\n)R\x87R");
    p_text(s, "bias");
    P(s, "Nu");
    module_part(s, "_buffers");
    p_text(s, "steps");
    p_tensor(s, "Long", "2", 1, 0, 0, NULL, NULL);
    p_text(s, "scratch");
    p_plain(s);
    P(s, "u");
    p_text(s, "_non_persistent_buffers_set");
    P(s, "c__builtin__\nset\n](");
    p_text(s, "scratch");
    P(s, "e\x85R");
    module_part(s, "_modules");
    p_text(s, "inner");
    P(s, "c__main__\nPart\n)\x81}(");
    module_part(s, "_parameters");
    p_text(s, "w");
    p_tensor(s, "Double", "1", 12, 1, 2, (int64_t[]){4, 2}, (int64_t[]){1, 4});
    P(s, "u");
    module_part(s, "_buffers");
    P(s, "u");
    module_part(s, "_modules");
    P(s, "uubuub");
}

static void make_pickle(struct aster_str *s)
{
    s->len = 0;
    P(s, "\x80\2}q\0(");
    p_text(s, "plain");
    p_plain(s);
    P(s, "r\1\2\0\0"); /* memo 513 */
    p_text(s, "again");
    P(s, "j\1\2\0\0");
    p_text(s, "net");
    add_module(s);
    p_text(s, "settings");
    P(s, "cargparse\nNamespace\n)\x81}(");
    p_text(s, "layers");
    P(s, "K\x21");
    p_text(s, "names");
    P(s, "](");
    p_text(s, "a.b");
    p_text(s, "");
    P(s, "eub");
    P(s, "J\5\0\0\0"); /* a key that is a number */
    P(s, "(M\1\2G\x3f\xf8\0\0\0\0\0\0\x88N\x8a\0t");
    p_text(s, "state");
    P(s, "ccollections\nOrderedDict\n)Rq\1}");
    p_text(s, "_metadata");
    P(s, "h\1sb"); /* its own attribute: left out */
    p_text(s, "row");
    p_tensor(s, "Double", "1", 12, 2, 3, (int64_t[]){2, 1, 5}, (int64_t[]){1, 99, 0});
    P(s, "s");
    p_text(s, "none");
    p_tensor(s, "Float", "3", 0, 0, 2, (int64_t[]){0, 7}, (int64_t[]){7, 1});
    P(s, "u.");
}

static void make_file(struct aster_str *file, bool checked)
{
    struct aster_str pickle = {0};
    make_pickle(&pickle);
    make_torch(file, &pickle, checked, 4, (const void *const[]){storage0, storage1, storage2, ""},
               (const size_t[]){sizeof storage0, sizeof storage1, sizeof storage2, 0});
    aster_str_free(&pickle);
}

struct listing {
    struct aster_str text;
};

static int list_value(void *arg, const char *path, const struct aster_value *v)
{
    struct listing *l = arg;
    aster_str_printf(&l->text, "%s=", path);
    if (v->kind == ASTER_VALUE_TEXT)
        aster_str_printf(&l->text, "'%.*s' ", (int)v->n, v->text);
    else if (v->kind == ASTER_VALUE_REAL)
        aster_str_printf(&l->text, "%g ", v->real);
    else
        aster_str_printf(&l->text, "%s%lld ", v->kind == ASTER_VALUE_BOOL ? "?" : "",
                         (long long)v->integer);
    return 0;
}

/* Every piece of a tensor is that piece of the whole. */
static bool pieces_agree(const struct aster_weightfile *f, const struct aster_weight *w,
                         const double *want)
{
    double got[64];
    for (int64_t first = 0; first <= w->n; first++)
        for (int64_t n = 0; n <= w->n - first; n++) {
            if (!fine(aster_weightfile_read(f, w, first, n, ASTER_F64, got)))
                return false;
            for (int64_t k = 0; k < n; k++)
                if (!same(got[k], want[first + k]))
                    return false;
        }
    return true;
}

static void check_tensor(const struct aster_weightfile *f, const char *name,
                         enum aster_weight_type type, int rank, const int64_t *dim,
                         const double *want, bool dense)
{
    const struct aster_weight *w = aster_weightfile_find(f, name);
    const void *bytes = NULL;
    bool good = w && w->type == type && w->rank == rank;
    int64_t n = 1;
    for (int k = 0; good && k < rank; k++) {
        good = w->dim[k] == dim[k];
        n *= dim[k];
    }
    good = good && w->n == n && pieces_agree(f, w, want) &&
           fine(aster_weightfile_bytes(f, w, &bytes)) && (bytes != NULL) == dense;
    tap_ok(good, "tensor '%s'", name);
}

static void test_torch(void)
{
    static const char *const order[] = {"plain",       "again",     "net.weight", "net.steps",
                                        "net.inner.w", "state.row", "none"};
    struct aster_str file = {0};
    struct aster_weightfile *f = NULL;
    struct listing l = {{0}};
    struct aster_value v;
    double plain[6], w[8], row[10], steps = (double)storage2[0];
    make_file(&file, true);
    if (!fine(aster_weightfile_open(ctx, put_bytes("x.pt", file.s, file.len), &f)))
        exit(1);
    for (int k = 0; k < 6; k++)
        plain[k] = (double)storage0[k];
    for (int k = 0; k < 8; k++)
        w[k] = storage1[1 + k / 2 + 4 * (k % 2)];
    for (int k = 0; k < 10; k++)
        row[k] = storage1[2 + k / 5];
    bool good = aster_weightfile_count(f) == 7 && !aster_weightfile_tensor(f, 7) &&
                !aster_weightfile_tensor(f, -1);
    for (int k = 0; good && k < 7; k++)
        good = !strcmp(aster_weightfile_tensor(f, k)->name, order[k]);
    tap_ok(good, "seven tensors in the order of the file; buffers that are not part of the state "
                 "are left out");
    tap_ok(!aster_weightfile_find(f, "net") && !aster_weightfile_find(f, "net.scratch") &&
               !aster_weightfile_find(f, "net.bias"),
           "no others");
    check_tensor(f, "plain", ASTER_WEIGHT_F32, 2, (int64_t[]){2, 3}, plain, true);
    check_tensor(f, "again", ASTER_WEIGHT_F32, 2, (int64_t[]){2, 3}, plain, true);
    check_tensor(f, "net.weight", ASTER_WEIGHT_F32, 2, (int64_t[]){2, 3}, plain, true);
    check_tensor(f, "net.steps", ASTER_WEIGHT_I64, 0, NULL, &steps, true);
    check_tensor(f, "net.inner.w", ASTER_WEIGHT_F64, 2, (int64_t[]){4, 2}, w, false);
    check_tensor(f, "state.row", ASTER_WEIGHT_F64, 3, (int64_t[]){2, 1, 5}, row, false);
    check_tensor(f, "none", ASTER_WEIGHT_F32, 2, (int64_t[]){0, 7}, NULL, true);
    good = fine(aster_weightfile_values(f, list_value, &l));
    tap_ok(good && !strcmp(l.text.s, "settings.layers=33 settings.names.0='a.b' "
                                     "settings.names.1='' 5.0=513 5.1=1.5 5.2=?1 5.4=0 "),
           "values in the order of the file: %s", aster_str_get(&l.text));
    tap_ok(aster_weightfile_value(f, "settings.layers", &v) == 1 && v.kind == ASTER_VALUE_INTEGER &&
               v.integer == 33 && aster_weightfile_value(f, "settings.names.0", &v) == 1 &&
               v.kind == ASTER_VALUE_TEXT && v.n == 3 &&
               aster_weightfile_value(f, "5.1", &v) == 1 && v.kind == ASTER_VALUE_REAL &&
               v.real == 1.5 && aster_weightfile_value(f, "5.2", &v) == 1 &&
               v.kind == ASTER_VALUE_BOOL && v.integer == 1,
           "values by path");
    tap_ok(!aster_weightfile_value(f, "plain", &v) && !aster_weightfile_value(f, "settings", &v) &&
               !aster_weightfile_value(f, "5.3", &v) &&
               !aster_weightfile_value(f, "settings.lay", &v) &&
               !aster_weightfile_value(f, "settings.layers.0", &v) &&
               !aster_weightfile_value(f, "", &v) && !aster_weightfile_value(f, "5.", &v),
           "no value where there is none");
    failed_with("an element beyond the end",
                aster_weightfile_read(f, aster_weightfile_find(f, "plain"), 5, 2, ASTER_F64, w),
                ASTER_EBUG, "plain", NULL);
    aster_weightfile_close(&f);
    aster_str_free(&l.text);
    aster_str_free(&file);
}

/* ---- damage ---- */

/* Opened and read, or refused with the file's name; true either way. */
static bool survives(const char *path, bool *opened)
{
    struct aster_weightfile *f = NULL;
    double piece[64];
    int64_t live = aster_live_allocations();
    int rc = aster_weightfile_open(ctx, path, &f);
    *opened = rc == 0;
    for (int64_t k = 0; rc == 0 && k < aster_weightfile_count(f); k++) {
        const struct aster_weight *w = aster_weightfile_tensor(f, k);
        for (int64_t at = 0; at < w->n && rc == 0; at += 64)
            rc = aster_weightfile_read(f, w, at, aster_min64(64, w->n - at), ASTER_F64, piece);
    }
    bool good = rc == 0 || (aster_ctx_code(ctx) == rc && strstr(aster_ctx_message(ctx), "x.pt"));
    if (!good)
        tap_note("code %d: %s", rc, aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    aster_weightfile_close(&f);
    return good && aster_live_allocations() == live;
}

static void test_cut(void)
{
    struct aster_str file = {0};
    bool good = true, opened;
    int64_t n_opened = 0;
    make_file(&file, true);
    for (size_t n = 0; good && n < file.len; n++) {
        good = survives(put_bytes("x.pt", file.s, n), &opened);
        n_opened += opened;
    }
    tap_ok(good && n_opened == 0, "a file cut off anywhere is refused");
    aster_str_free(&file);
}

static void test_flips(bool checked)
{
    struct aster_str file = {0};
    bool good = true, opened;
    int64_t n_opened = 0;
    make_file(&file, checked);
    for (size_t at = 0; good && at < file.len; at++) {
        char flip = (char)(1 << draw(8));
        file.s[at] ^= flip;
        good = survives(put_bytes("x.pt", file.s, file.len), &opened);
        file.s[at] ^= flip;
        n_opened += opened;
    }
    tap_ok(good && n_opened > 0,
           "a bit changed in each of %zu bytes%s: read or refused (%lld opened)", file.len,
           checked ? "" : ", without checksums", (long long)n_opened);
    aster_str_free(&file);
}

static void test_checksum(void)
{
    struct aster_str file = {0};
    make_file(&file, true);
    size_t at = 0; /* a byte of storage 1 */
    while (memcmp(file.s + at, &storage1[7], 8) != 0)
        at++;
    file.s[at + 3] ^= 16;
    struct aster_weightfile *f = NULL;
    double x[12];
    if (fine(aster_weightfile_open(ctx, put_bytes("x.pt", file.s, file.len), &f))) {
        tap_ok(
            fine(aster_weightfile_read(f, aster_weightfile_find(f, "plain"), 0, 6, ASTER_F64, x)),
            "a damaged storage leaves the others");
        failed_with(
            "its own tensor",
            aster_weightfile_read(f, aster_weightfile_find(f, "state.row"), 0, 1, ASTER_F64, x),
            ASTER_EFORMAT, "x.pt", "data/1", "CRC-32", NULL);
    }
    aster_weightfile_close(&f);
    aster_str_free(&file);
}

/* ---- shards ---- */

static void put_shard(const char *name, int n, const char *const *tensors)
{
    static const float x[4] = {1, 2, 3, 4};
    struct aster_st_out out[4];
    for (int k = 0; k < n; k++)
        out[k] = (struct aster_st_out){tensors[k], ASTER_F32, 1, {4}, x};
    if (!fine(aster_st_write(ctx, in_dir(name), n, out, 0, NULL, NULL)))
        exit(1);
}

static void bad_index(const char *what, const char *text, const char *word, const char *more)
{
    struct aster_weightfile *f = NULL;
    int rc = aster_weightfile_open(ctx, put_text("m.index.json", text), &f);
    failed_with(what, f ? 0 : rc, ASTER_EFORMAT, word, more, NULL);
    aster_weightfile_close(&f);
}

static void test_index(void)
{
    struct aster_str file = {0};
    struct aster_weightfile *f = NULL;
    float x[4];
    put_shard("one.safetensors", 2, (const char *const[]){"a", "b"});
    put_shard("two.safetensors", 1, (const char *const[]){"c"});
    make_file(&file, true);
    put_bytes("three.bin", file.s, file.len);
    if (fine(aster_weightfile_open(
            ctx,
            put_text(
                "m.index.json",
                "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {\"c\": \"two.safetensors\", "
                "\"a\": \"one.safetensors\", \"plain\": \"three.bin\", \"again\": \"three.bin\",\n"
                "\"net.weight\": \"three.bin\", \"net.steps\": \"three.bin\", \"net.inner.w\": "
                "\"three.bin\", \"state.row\": \"three.bin\", \"none\": \"three.bin\", \"b\": "
                "\"one.safetensors\"}}"),
            &f))) {
        tap_ok(
            aster_weightfile_count(f) == 10 &&
                fine(aster_weightfile_read(f, aster_weightfile_find(f, "c"), 1, 3, ASTER_F32, x)) &&
                x[2] == 4,
            "shards of both kinds");
        tap_ok(
            fine(aster_weightfile_read(f, aster_weightfile_find(f, "plain"), 0, 4, ASTER_F32, x)) &&
                x[0] == 0.5f,
            "one of torch");
    }
    aster_weightfile_close(&f);
    aster_str_free(&file);
    bad_index("no weight_map", "{}", "m.index.json", "weight_map");
    bad_index("an empty weight_map", "{\"weight_map\": {}}", "m.index.json", "weight_map");
    bad_index("a list", "[]", "m.index.json", "weight_map");
    bad_index("no JSON", "{\"weight_map\": ", "m.index.json:1", "ends");
    bad_index("a shard that is a number", "{\"weight_map\": {\"a\": 1}}", ":1", "'a'");
    bad_index("a shard elsewhere", "{\"weight_map\": {\"a\": \"x/one.safetensors\"}}", "unsafe",
              "x/one");
    bad_index("a shard above", "{\"weight_map\": {\"a\": \"..\"}}", "unsafe", "m.index.json");
    bad_index("a shard without name", "{\"weight_map\": {\"a\": \"\"}}", "unsafe", "m.index.json");
    bad_index("an unsafe name after good ones",
              "{\"weight_map\": {\"a\": \"absent\", \"b\": \"/dev/null\"}}", "unsafe", "/dev/null");
    bad_index("an index as shard", "{\"weight_map\": {\"a\": \"m.index.json\"}}", "is an index",
              "m.index.json");
    bad_index("a missing shard", "{\"weight_map\": {\"a\": \"four.safetensors\"}}", "missing",
              "four.safetensors");
    bad_index("a missing tensor",
              "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"one.safetensors\",\n\"d\": "
              "\"two.safetensors\"}}",
              ":2", "'d'");
    bad_index("a tensor too many", "{\"weight_map\": {\"a\": \"one.safetensors\"}}", "'b'",
              "one.safetensors");
    bad_index("a tensor in two shards",
              "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"one.safetensors\", \"c\": "
              "\"one.safetensors\"}}",
              "'c'", "one.safetensors");
}

static void test_kinds(void)
{
    struct aster_weightfile *f = NULL;
    static const struct {
        const char *name, *text, *word;
    } bad[] = {{"empty.pt", "", "empty file"},
               {"p.bin", "version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
               {"p.safetensors", "version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
               {"page.pt", "<!DOCTYPE html>", "web page"},
               {"error.pt", "{\"error\": 1}", "JSON"},
               {"old.pt", "\x80\2\x8a\nl\xfc\x9c", "legacy"},
               {"noise.pt", "abcdefghijkl", "neither"},
               {"noise.safetensors", "abcdefghijkl", "header length"}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        failed_with(bad[k].name, aster_weightfile_open(ctx, put_text(bad[k].name, bad[k].text), &f),
                    ASTER_EFORMAT, bad[k].name, bad[k].word, NULL);
    failed_with("no such file", aster_weightfile_open(ctx, in_dir("none.pt"), &f), ASTER_EIO,
                "none.pt", NULL);
    failed_with("a folder", aster_weightfile_open(ctx, test_dir, &f), ASTER_EIO, test_dir, NULL);
    tap_ok(!f, "failures leave NULL");
    f = open_one("F32", &(float){1}, 1, 4);
    tap_ok(!strcmp(aster_weightfile_metadata(f, "by"), "hand") &&
               !aster_weightfile_metadata(f, "of") &&
               strstr(aster_weightfile_path(f), "x.safetensors"),
           "metadata of safetensors");
    aster_weightfile_close(&f);
}

int main(void)
{
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1); /* thousands of small files */
    test_start();
    test_small_floats();
    test_numbers();
    test_torch();
    test_cut();
    test_flips(true);
    test_flips(false);
    test_checksum();
    test_index();
    test_kinds();
    return test_end();
}
