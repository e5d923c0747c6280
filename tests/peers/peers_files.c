/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes files that other programs are to read, and dumps files that other programs wrote, as JSON
 * lines with the bytes in hexadecimal. peers-files write DIR | h5 FILE [OBJECT@NAME:KIND]... | st
 * FILE | npz FILE NAME... */
#include "io/io.h"

#include <stdlib.h>
#include <string.h>

static struct aster_ctx *ctx;

/* ---- writing ---- */

static int write_h5(const char *path)
{
    static const char *const text[] = {"", "P01009", "sp\xc3\xa4t \xf0\x9f\x98\x80",
                                       "a longer text, with a comma"};
    float f32[6];
    double f64[4] = {0.1, -1e300, 5e-324, 1.0 / 3}, three = 3.25, rows[25][3];
    uint16_t bf16[3] = {0x3f80, 0xc020, 0x7f80};
    int32_t i32[3] = {INT32_MIN, -7, INT32_MAX};
    int64_t i64[2] = {INT64_MIN, INT64_MAX}, two[2] = {2, 3}, n2 = 2, n3 = 3, n4 = 4,
            none[2] = {0, 5};
    uint8_t u8[4] = {0, 1, 128, 255};
    struct aster_h5 *f = NULL;
    int rc;
    for (int k = 0; k < 6; k++)
        f32[k] = (float)k / 3 - 1;
    for (int k = 0; k < 75; k++)
        rows[k / 3][k % 3] = k * 0.1;
    ASTER_TRY(aster_h5_create(ctx, path, &f));
    ASTER_GOTO(aster_h5_write(f, "weights/conv.0.weight", ASTER_F32, 2, two, f32), done);
    ASTER_GOTO(aster_h5_write(f, "weights/deep/f64", ASTER_F64, 1, &n4, f64), done);
    ASTER_GOTO(aster_h5_write(f, "bf16", ASTER_BF16, 1, &n3, bf16), done);
    ASTER_GOTO(aster_h5_write(f, "i32", ASTER_I32, 1, &n3, i32), done);
    ASTER_GOTO(aster_h5_write(f, "i64", ASTER_I64, 1, &n2, i64), done);
    ASTER_GOTO(aster_h5_write(f, "u8", ASTER_U8, 1, &n4, u8), done);
    ASTER_GOTO(aster_h5_write(f, "scalar", ASTER_F64, 0, NULL, &three), done);
    ASTER_GOTO(aster_h5_write(f, "none", ASTER_F32, 2, none, NULL), done);
    ASTER_GOTO(aster_h5_write_strings(f, "text", 4, text), done);
    ASTER_GOTO(aster_h5_append(f, "rows", ASTER_F64, 10, 3, rows), done);
    ASTER_GOTO(aster_h5_append(f, "rows", ASTER_F64, 15, 3, rows[10]), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "epoch", 7), done);
    ASTER_GOTO(aster_h5_attr_set_f64(f, "weights", "lr", 0.1), done);
    ASTER_GOTO(aster_h5_attr_set_str(f, "u8", "note", "caf\xc3\xa9"), done);
    ASTER_GOTO(aster_h5_commit(&f), done);
done:
    aster_h5_close(&f);
    return rc;
}

static int write_st(const char *path)
{
    static const float f32[6] = {0, 0.5f, -1.5f, 3e38f, 1e-40f, -0.0f};
    static const double f64[2] = {0.1, -1e300};
    static const uint16_t bf16[3] = {0x3f80, 0xc020, 0xff80};
    static const int32_t i32[4] = {INT32_MIN, -1, 0, INT32_MAX};
    static const int64_t i64[1] = {INT64_MIN};
    static const uint8_t u8[3] = {0, 128, 255};
    static const char *const keys[] = {"format", "note"}, *const values[] = {
                                                              "pt",
                                                              "two\nlines \"quoted\" \xc3\xa9"};
    const struct aster_st_out t[] = {
        {"u8", ASTER_U8, 1, {3}, u8},          {"layer.0/f32", ASTER_F32, 2, {2, 3}, f32},
        {"f64", ASTER_F64, 1, {2}, f64},       {"b\"f16", ASTER_BF16, 2, {3, 1}, bf16},
        {"i32", ASTER_I32, 3, {1, 2, 2}, i32}, {"i64", ASTER_I64, 0, {0}, i64},
        {"none", ASTER_F32, 2, {0, 4}, NULL}};
    return aster_st_write(ctx, path, 7, t, 2, keys, values);
}

static int write_events(const char *dir)
{
    struct aster_events *e = NULL;
    int rc;
    ASTER_TRY(aster_events_open(ctx, dir, &e));
    for (int k = 0; k < 300; k++) {
        ASTER_GOTO(aster_events_scalar(e, "Loss/train", k, (float)k / 7), done);
        ASTER_GOTO(aster_events_scalar(e, "Metrics/f1_macro", (int64_t)k * 1000000007, -(float)k),
                   done);
    }
    rc = aster_events_flush(e);
done:
    aster_events_close(&e);
    return rc;
}

static int write_all(const char *dir)
{
    char *path = NULL;
    int rc;
    ASTER_GOTO(aster_path_join(ctx, dir, "ours.h5", &path), done);
    ASTER_GOTO(write_h5(path), done);
    aster_free(&path);
    ASTER_GOTO(aster_path_join(ctx, dir, "ours.safetensors", &path), done);
    ASTER_GOTO(write_st(path), done);
    aster_free(&path);
    ASTER_GOTO(aster_path_join(ctx, dir, "tensorboard", &path), done);
    ASTER_GOTO(write_events(path), done);
done:
    aster_free(&path);
    return rc;
}

/* ---- dumping ---- */

static void begin(const char *name, int rank, const int64_t *dim, const char *dtype)
{
    struct aster_str s = {0};
    aster_json_quote(&s, name);
    printf("{\"name\": %s, \"shape\": [", aster_str_get(&s));
    for (int k = 0; k < rank; k++)
        printf("%s%lld", k ? ", " : "", (long long)dim[k]);
    printf("], \"dtype\": \"%s\", ", dtype);
    aster_str_free(&s);
}

static void end_with_bytes(const void *bytes, int64_t n)
{
    printf("\"hex\": \"");
    for (int64_t k = 0; k < n; k++)
        printf("%02x", ((const uint8_t *)bytes)[k]);
    printf("\"}\n");
}

static void end_with_texts(char **list, int64_t n)
{
    printf("\"text\": [");
    for (int64_t k = 0; k < n; k++) {
        struct aster_str s = {0};
        aster_json_quote(&s, list[k]);
        printf("%s%s", k ? ", " : "", aster_str_get(&s));
        aster_str_free(&s);
    }
    printf("]}\n");
}

static int dump_dataset(struct aster_h5 *f, const char *name, const struct aster_h5_shape *s)
{
    char **list = NULL;
    void *data = NULL;
    int64_t n = 0;
    if (s->is_string) {
        ASTER_TRY(aster_h5_read_strings(f, name, &list, &n));
        begin(name, s->rank, s->dim, "text");
        end_with_texts(list, n);
        aster_strings_free(&list, n);
        return 0;
    }
    ASTER_TRY(aster_h5_read(f, name, s->dtype, s->n, &data));
    begin(name, s->rank, s->dim, aster_dtype_name(s->dtype));
    end_with_bytes(data, s->n * aster_dtype_size(s->dtype));
    aster_free(&data);
    return 0;
}

/* Whatever cannot be listed is a dataset. */
static int dump_group(struct aster_h5 *f, const char *group)
{
    char **names = NULL;
    int64_t n = 0;
    struct aster_h5_shape shape;
    int rc = aster_h5_list(f, group, &names, &n);
    if (rc < 0) {
        aster_ctx_clear(ctx);
        ASTER_TRY(aster_h5_shape(f, group, &shape));
        return dump_dataset(f, group, &shape);
    }
    for (int64_t k = 0; rc == 0 && k < n; k++) {
        char *path = NULL;
        rc = aster_path_join(ctx, group, names[k], &path);
        if (rc == 0)
            rc = dump_group(f, path);
        aster_free(&path);
    }
    aster_h5_names_free(&names, n);
    return rc;
}

/* OBJECT@NAME:KIND, KIND i, d, s or the number of doubles. */
static int dump_attribute(struct aster_h5 *f, char *what)
{
    char *name = strrchr(what, '@'), *kind = strrchr(what, ':'), *text = NULL, shown[64];
    int64_t i = 0;
    double d[16];
    if (!name || !kind || kind < name)
        return aster_fail(ctx, ASTER_EPARAM, "%s: OBJECT@NAME:KIND is expected", what);
    snprintf(shown, sizeof shown, "%s", what);
    *name++ = *kind++ = '\0';
    if (*kind == 'i') {
        ASTER_TRY(aster_h5_attr_i64(f, what, name, &i));
        begin(shown, 0, NULL, "i64");
        end_with_bytes(&i, sizeof i);
    } else if (*kind == 'd') {
        ASTER_TRY(aster_h5_attr_f64(f, what, name, d));
        begin(shown, 0, NULL, "f64");
        end_with_bytes(d, sizeof *d);
    } else if (*kind == 's') {
        ASTER_TRY(aster_h5_attr_str(f, what, name, &text));
        begin(shown, 0, NULL, "text");
        end_with_texts(&text, 1);
        aster_free(&text);
    } else {
        if (aster_parse_i64(kind, &i) < 0 || i < 1 || i > 16)
            return aster_fail(ctx, ASTER_EPARAM, "%s: a kind of attribute is expected", kind);
        ASTER_TRY(aster_h5_attr_f64s(f, what, name, i, d));
        begin(shown, 1, &i, "f64");
        end_with_bytes(d, i * (int64_t)sizeof *d);
    }
    return 0;
}

static int dump_h5(const char *path, char **attributes, int n)
{
    struct aster_h5 *f = NULL;
    ASTER_TRY(aster_h5_open(ctx, path, &f));
    int rc = dump_group(f, "/");
    for (int k = 0; rc == 0 && k < n; k++)
        rc = dump_attribute(f, attributes[k]);
    aster_h5_close(&f);
    return rc;
}

static int dump_st(const char *path)
{
    struct aster_st *s = NULL;
    ASTER_TRY(aster_st_open(ctx, path, &s));
    for (int64_t k = 0; k < aster_st_count(s); k++) {
        const struct aster_st_tensor *t = aster_st_tensor(s, k);
        const char *digits = t->dtype + strcspn(t->dtype, "0123456789");
        int64_t bits = 8;
        if (*digits && aster_parse_i64(digits, &bits) < 0)
            bits = 8;
        begin(t->name, t->rank, t->dim, t->dtype);
        end_with_bytes(t->data, t->n * bits / 8);
    }
    const char *format = aster_st_metadata(s, "format");
    if (format) {
        begin("__metadata__ format", 0, NULL, "text");
        end_with_texts((char *[]){(char *)(uintptr_t)format}, 1);
    }
    aster_st_close(&s);
    return 0;
}

static int dump_array(struct aster_npz *z, const char *name)
{
    struct aster_npy_shape s;
    char **list = NULL;
    void *data = NULL;
    int64_t n = 0;
    ASTER_TRY(aster_npz_shape(z, name, &s));
    if (s.is_text) {
        ASTER_TRY(aster_npz_read_strings(z, name, &list, &n));
        begin(name, s.rank, s.dim, "text");
        end_with_texts(list, n);
        aster_strings_free(&list, n);
        return 0;
    }
    ASTER_TRY(aster_alloc(ctx, s.n, (size_t)aster_dtype_size(s.dtype), &data));
    int64_t rows = s.rank ? s.dim[0] : 1,
            row_bytes = rows ? s.n / rows * aster_dtype_size(s.dtype) : 0;
    int rc = 0;
    for (int64_t k = 0; rc == 0 && k < rows; k += 3) /* three rows at a time */
        rc = aster_npz_read_rows(z, name, s.dtype, k, aster_min64(3, rows - k),
                                 (char *)data + k * row_bytes);
    if (rc == 0) {
        begin(name, s.rank, s.dim, aster_dtype_name(s.dtype));
        end_with_bytes(data, s.n * aster_dtype_size(s.dtype));
    }
    aster_free(&data);
    return rc;
}

static int dump_npz(const char *path, char **names, int n)
{
    struct aster_npz *z = NULL;
    int rc = aster_npz_open(ctx, path, &z);
    for (int k = 0; rc == 0 && k < n; k++)
        rc = dump_array(z, names[k]);
    aster_npz_close(&z);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = ASTER_EPARAM;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    if (argc < 3)
        rc = aster_fail(
            ctx, ASTER_EPARAM,
            "peers-files write DIR | h5 FILE [OBJECT@NAME:KIND]... | st FILE | npz FILE NAME...");
    else if (!strcmp(argv[1], "write"))
        rc = write_all(argv[2]);
    else if (!strcmp(argv[1], "h5"))
        rc = dump_h5(argv[2], argv + 3, argc - 3);
    else if (!strcmp(argv[1], "st"))
        rc = dump_st(argv[2]);
    else if (!strcmp(argv[1], "npz"))
        rc = dump_npz(argv[2], argv + 3, argc - 3);
    if (rc < 0)
        fprintf(stderr, "%s\n", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return rc < 0 ? 1 : 0;
}
