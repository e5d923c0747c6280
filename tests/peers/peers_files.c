/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes files that other programs are to read, and dumps files that other programs wrote, as JSON
 * lines with the bytes in hexadecimal. peers-files write DIR | h5 FILE [OBJECT@NAME:KIND]... | st
 * FILE | npz FILE NAME... | structures FILE |
 * elements - */
#include "io/io.h"
#include "io/structures.h"

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

/* Structure k: positions i + 1/3 + k, forces -i / 7, and by k a cell, energy, stress and name. */
static int make_structure(int k, struct aster_structure *s)
{
    ASTER_TRY(aster_structure_new(ctx, 3 + k, k % 2 == 1, s));
    for (int64_t i = 0; i < 3 * s->n; i++) {
        s->number[i / 3] = (int32_t)(1 + (i / 3 * 13 + k * 29) % 118);
        s->position[i] = (double)i + 1.0 / 3 + k;
        if (s->force)
            s->force[i] = -(double)i / 7;
    }
    for (int m = 0; m < 9 && k >= 2; m++)
        s->cell[m] = (m % 4 ? 0.1 * m : 10.0 + m) + k;
    s->has_cell = k >= 2;
    s->pbc[0] = s->pbc[2] = k >= 2;
    s->has_energy = k % 2 == 1;
    s->energy = s->has_energy ? -100.0 / 3 : 0;
    s->has_stress = k == 3;
    for (int m = 0; m < 6 && s->has_stress; m++)
        s->stress[m] = (m + 1) / 9.0;
    return k ? aster_strdup(ctx, k == 3 ? "a \"b\" \\ c=d" : "name", &s->name) : 0;
}

static int write_structures(const char *xyz, const char *h5)
{
    struct aster_str text = {0};
    struct aster_structure s;
    struct aster_structures_out *o = NULL;
    struct aster_h5 *f = NULL;
    int rc;
    ASTER_GOTO(aster_h5_create(ctx, h5, &f), done);
    ASTER_GOTO(aster_structures_out_new(ctx, f, &o), done);
    for (int k = 0; k < 4; k++) {
        ASTER_GOTO(make_structure(k, &s), done);
        rc = aster_structure_add_extxyz(ctx, &text, &s);
        if (rc == 0)
            rc = aster_structures_out_add(o, &s);
        aster_structure_free(&s);
        if (rc < 0)
            goto done;
    }
    ASTER_GOTO(aster_structures_out_finish(o), done);
    ASTER_GOTO(aster_h5_commit(&f), done);
    rc = aster_file_write(ctx, xyz, text.s, (int64_t)text.len);
done:
    aster_structures_out_free(&o);
    aster_h5_close(&f);
    aster_str_free(&text);
    return rc;
}

static int write_all(const char *dir)
{
    char *path = NULL, *h5 = NULL;
    int rc;
    ASTER_GOTO(aster_path_join(ctx, dir, "ours.h5", &path), done);
    ASTER_GOTO(write_h5(path), done);
    aster_free(&path);
    ASTER_GOTO(aster_path_join(ctx, dir, "ours.safetensors", &path), done);
    ASTER_GOTO(write_st(path), done);
    aster_free(&path);
    ASTER_GOTO(aster_path_join(ctx, dir, "tensorboard", &path), done);
    ASTER_GOTO(write_events(path), done);
    aster_free(&path);
    ASTER_GOTO(aster_path_join(ctx, dir, "ours.extxyz", &path), done);
    ASTER_GOTO(aster_path_join(ctx, dir, "structures.h5", &h5), done);
    ASTER_GOTO(write_structures(path, h5), done);
done:
    aster_free(&path);
    aster_free(&h5);
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

static void dump_numbers(const char *name, const double *x, int64_t rows, int64_t columns)
{
    int64_t dim[2] = {rows, columns};
    begin(name, 2, dim, "f64");
    end_with_bytes(x, rows * columns * (int64_t)sizeof *x);
}

/* As lines named k/numbers, k/positions and so on. */
static void dump_structure(int64_t k, const struct aster_structure *s)
{
    char name[64], *title = s->name;
    double flags[3] = {s->pbc[0], s->pbc[1], s->pbc[2]};
#define NAMED(what) (snprintf(name, sizeof name, "%lld/" what, (long long)k), name)
    begin(NAMED("numbers"), 1, &s->n, "i32");
    end_with_bytes(s->number, s->n * (int64_t)sizeof *s->number);
    dump_numbers(NAMED("positions"), s->position, s->n, 3);
    dump_numbers(NAMED("pbc"), flags, 1, 3);
    if (s->has_cell)
        dump_numbers(NAMED("cell"), s->cell, 3, 3);
    if (s->has_energy)
        dump_numbers(NAMED("energy"), &s->energy, 1, 1);
    if (s->has_forces)
        dump_numbers(NAMED("forces"), s->force, s->n, 3);
    if (s->has_stress)
        dump_numbers(NAMED("stress"), s->stress, 1, 6);
    if (title) {
        begin(NAMED("name"), 0, NULL, "text");
        end_with_texts(&title, 1);
    }
#undef NAMED
}

static int dump_elements(void)
{
    char *symbol[ASTER_MAX_ELEMENT];
    double mass[ASTER_MAX_ELEMENT];
    int64_t n = ASTER_MAX_ELEMENT;
    for (int k = 0; k < ASTER_MAX_ELEMENT; k++) {
        ASTER_TRY(aster_strdup(ctx, aster_element_symbol(k + 1), &symbol[k]));
        mass[k] = aster_element_mass(k + 1);
    }
    begin("symbols", 1, &n, "text");
    end_with_texts(symbol, n);
    begin("masses", 1, &n, "f64");
    end_with_bytes(mass, sizeof mass);
    for (int k = 0; k < ASTER_MAX_ELEMENT; k++)
        aster_free(&symbol[k]);
    return 0;
}

static int dump_structures(const char *path)
{
    struct aster_structures *r = NULL;
    struct aster_structures_place at;
    struct aster_structure s;
    int rc;
    ASTER_TRY(aster_structures_open(ctx, path, &r));
    while ((rc = aster_structures_next(r, &s, &at)) > 0) {
        if (at.fault)
            fprintf(stderr, "%s\n", at.fault);
        else
            dump_structure(at.index, &s);
        aster_structure_free(&s);
    }
    aster_structures_close(&r);
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
            "peers-files write DIR | h5 FILE [OBJECT@NAME:KIND]... | st FILE | npz FILE NAME... | "
            "structures FILE | elements -");
    else if (!strcmp(argv[1], "write"))
        rc = write_all(argv[2]);
    else if (!strcmp(argv[1], "h5"))
        rc = dump_h5(argv[2], argv + 3, argc - 3);
    else if (!strcmp(argv[1], "st"))
        rc = dump_st(argv[2]);
    else if (!strcmp(argv[1], "structures"))
        rc = dump_structures(argv[2]);
    else if (!strcmp(argv[1], "elements"))
        rc = dump_elements();
    else if (!strcmp(argv[1], "npz"))
        rc = dump_npz(argv[2], argv + 3, argc - 3);
    if (rc < 0)
        fprintf(stderr, "%s\n", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return rc < 0 ? 1 : 0;
}
