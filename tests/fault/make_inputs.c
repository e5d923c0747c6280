/* SPDX-License-Identifier: BSD-3-Clause */
/* Binary inputs for bad-inputs.sh: make-inputs DIR writes one good file of residue vectors of each
 * kind and many that are wrong in one way each. */
#include "unit/zip_build.h"

#include "io/h5_internal.h"

#include <math.h>
#include <stdlib.h>

enum { N = 8, LENGTH = 12, WIDTH = 1280 };
static const char residues[] = "ACDEFGHIKLMNPQRSTVWY";
static struct aster_ctx *ctx;
static const char *dir;
static char ids[N][LENGTH + 1], sequences[N][LENGTH + 1];
static float values[N * LENGTH * WIDTH];

static void must(int rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "make-inputs: %s\n", aster_ctx_message(ctx));
    exit(1);
}

/* A path in the folder, valid until the next call. */
static const char *in_dir(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const struct aster_str *bytes)
{
    must(aster_file_write(ctx, in_dir(name), aster_str_get(bytes), (int64_t)bytes->len));
}

static void make_proteins(void)
{
    struct aster_str table = {0};
    aster_str_add(&table, "id,Sequence,rcl_start,rcl_end\n");
    for (int i = 0; i < N; i++) {
        snprintf(ids[i], sizeof ids[i], "P%d", i % N + 1);
        for (int t = 0; t < LENGTH; t++)
            sequences[i][t] = residues[(i * 7 + t * 3) % 20];
        aster_str_printf(&table, "%s,%s,3,7\n", ids[i], sequences[i]);
    }
    for (int k = 0; k < N * LENGTH * WIDTH; k++)
        values[k] = (float)(k % 17) / 16 - 0.5f;
    put("proteins.csv", &table);
    aster_str_free(&table);
}

/* ---- the ragged HDF5 store ---- */

struct store { /* what is not as it should be; the rest is made right */
    const char *name, *encoding;
    int width, values_rank, n_ids, n_offsets;
    bool values_text, no_values, no_ids, not_finite, huge;
    int64_t offset_at, offset; /* offsets[offset_at] = offset where offset_at > 0 */
    const char *id;            /* of entry 2 */
    const char *sequence;      /* of entry 2 */
    int64_t loop_end;          /* of entry 2; loops are written where it is not 0 */
};

static void write_store(const struct store *s)
{
    struct aster_h5 *f;
    const char *id[N + 1], *sequence[N + 1];
    int64_t offsets[N + 1], begin[N], end[N], n = N, width = s->width ? s->width : WIDTH,
                                              n_offsets = s->n_offsets ? s->n_offsets : N + 1,
                                              dim[] = {N * LENGTH, width, 1};
    float *v = malloc(sizeof values);
    if (!v)
        exit(1);
    memcpy(v, values, sizeof values);
    if (s->not_finite)
        v[LENGTH * WIDTH + 5] = NAN;
    for (int k = 0; s->huge && k < N * LENGTH * WIDTH; k++)
        v[k] = 3e38f;
    for (int i = 0; i <= N; i++) {
        id[i] = i == 1 && s->id ? s->id : ids[i % N];
        sequence[i] = i == 1 && s->sequence ? s->sequence : sequences[i % N];
        offsets[i] = i * LENGTH;
    }
    for (int i = 0; i < N; i++) {
        begin[i] = 2;
        end[i] = i == 1 ? s->loop_end : 7;
    }
    if (s->offset_at)
        offsets[s->offset_at] = s->offset;
    must(aster_h5_create(ctx, in_dir(s->name), &f));
    if (s->values_text)
        must(aster_h5_write_strings(f, "values", N, sequence));
    else if (!s->no_values)
        must(aster_h5_write(f, "values", ASTER_F32, s->values_rank ? s->values_rank : 2, dim, v));
    must(aster_h5_write(f, "offsets", ASTER_I64, 1, &n_offsets, offsets));
    if (!s->no_ids)
        must(aster_h5_write_strings(f, "ids", s->n_ids ? s->n_ids : N, id));
    must(aster_h5_write_strings(f, "sequences", N, sequence));
    if (s->loop_end) {
        must(aster_h5_write(f, "loop_begin", ASTER_I64, 1, &n, begin));
        must(aster_h5_write(f, "loop_end", ASTER_I64, 1, &n, end));
    }
    if (s->encoding)
        must(aster_h5_attr_set_str(f, "/", "encoding", s->encoding));
    must(aster_h5_commit(&f));
    free(v);
}

static void make_stores(void)
{
    static const struct store stores[] = {
        {.name = "good.h5", .encoding = "esm2_650m"},
        {.name = "other_encoding.h5", .encoding = "blosum"},
        {.name = "narrow.h5", .width = WIDTH - 1},
        {.name = "rank.h5", .values_rank = 3},
        {.name = "text.h5", .values_text = true},
        {.name = "no_values.h5", .no_values = true},
        {.name = "no_ids.h5", .no_ids = true},
        {.name = "few_ids.h5", .n_ids = N - 1},
        {.name = "few_offsets.h5", .n_offsets = N},
        {.name = "back.h5", .offset_at = 3, .offset = LENGTH},
        {.name = "beyond.h5", .offset_at = N, .offset = N * LENGTH + 1},
        {.name = "uneven.h5", .offset_at = 1, .offset = LENGTH - 1},
        {.name = "missing.h5", .id = "Q9"},
        {.name = "other_sequence.h5", .sequence = "AAAAAAAAAAAA"},
        {.name = "loop.h5", .loop_end = LENGTH + 1},
        {.name = "nan.h5", .not_finite = true},
        {.name = "huge.h5", .huge = true},
    };
    for (size_t k = 0; k < sizeof stores / sizeof *stores; k++)
        write_store(&stores[k]);
}

/* ---- npz ---- */

static void npy_text(struct aster_str *out, int n, const char (*text)[LENGTH + 1])
{
    uint32_t *u = calloc((size_t)n * LENGTH, sizeof *u);
    char head[128];
    if (!u)
        exit(1);
    for (int i = 0; i < n; i++)
        for (int t = 0; text[i][t]; t++)
            u[i * LENGTH + t] = (uint32_t)text[i][t];
    snprintf(head, sizeof head, "{'descr': '<U%d', 'fortran_order': False, 'shape': (%d,), }",
             LENGTH, n);
    make_npy(out, 1, head, u, (size_t)n * LENGTH * sizeof *u);
    free(u);
}

struct archive {
    const char *name, *head; /* head: of encodings, instead of the right one */
    int n_ids, label;
    bool no_sequences;
    struct entry wrong; /* what the entry of encodings has wrong */
};

static void write_archive(const struct archive *a)
{
    static const char right[] =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 12, 1280), }";
    static float labels[N * LENGTH * 2];
    struct aster_str file = {0}, encodings = {0}, id = {0}, sequence = {0}, label = {0};
    for (int k = 0; k < N * LENGTH; k++) {
        bool in = k % LENGTH >= 2 && k % LENGTH < 7;
        labels[2 * k] = !in;
        labels[2 * k + 1] = in;
    }
    if (a->label)
        labels[2 * LENGTH] = (float)a->label;
    make_npy(&encodings, 1, a->head ? a->head : right, values, sizeof values);
    npy_text(&id, a->n_ids ? a->n_ids : N, (const char(*)[LENGTH + 1]) ids);
    npy_text(&sequence, N, (const char(*)[LENGTH + 1]) sequences);
    make_npy(&label, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 12, 2), }", labels,
             sizeof labels);
    struct entry e[] = {a->wrong,
                        {.name = "ids.npy", .data = id.s, .n = id.len},
                        {.name = "labels.npy", .data = label.s, .n = label.len},
                        {.name = "sequences.npy", .data = sequence.s, .n = sequence.len}};
    e[0].name = "encodings.npy";
    e[0].data = encodings.s;
    e[0].n = encodings.len;
    make_zip(&file, a->no_sequences ? 3 : 4, e, false, 0, "");
    put(a->name, &file);
    aster_str_free(&file);
    aster_str_free(&encodings);
    aster_str_free(&id);
    aster_str_free(&sequence);
    aster_str_free(&label);
}

static void make_archives(void)
{
    static const struct archive archives[] = {
        {.name = "good.npz"},
        {.name = "crc.npz", .wrong = {.crc_xor = 1, .deflate = true}},
        {.name = "deflate.npz", .wrong = {.deflate = true, .damage_at = 200}},
        {.name = "method.npz", .wrong = {.method = 12}},
        {.name = "encrypted.npz", .wrong = {.flags = 1}},
        {.name = "size.npz", .wrong = {.packed_add = 1LL << 30, .size_add = 1LL << 30}},
        {.name = "object.npz",
         .head = "{'descr': '|O', 'fortran_order': False, 'shape': (8, 12, 1280), }"},
        {.name = "fortran.npz",
         .head = "{'descr': '<f4', 'fortran_order': True, 'shape': (8, 12, 1280), }"},
        {.name = "shape.npz",
         .head = "{'descr': '<f4', 'fortran_order': False, 'shape': (9, 12, 1280), }"},
        {.name = "rank.npz",
         .head = "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 15360), }"},
        {.name = "narrow.npz",
         .head = "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 24, 640), }"},
        {.name = "dictionary.npz", .head = "{'descr': '<f4', 'fortran_order': Fa"},
        {.name = "few_ids.npz", .n_ids = N - 1},
        {.name = "no_sequences.npz", .no_sequences = true},
        {.name = "labels.npz", .label = 3},
    };
    for (size_t k = 0; k < sizeof archives / sizeof *archives; k++)
        write_archive(&archives[k]);
}

/* ---- changes of an HDF5 file: make-inputs set FILE NAME int|real|text VALUE an attribute; drop
 * FILE NAME; poke FILE DATASET, its first value becomes NaN; replace FILE DATASET numbers|text, by
 * three numbers or two texts ---- */

static hid_t open_file(const char *path)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (f < 0)
        exit(1);
    return f;
}

static int set_attribute(const char *path, const char *name, const char *type, const char *value)
{
    hid_t f = open_file(path), space = H5Screate(H5S_SCALAR);
    hid_t t = H5Tcopy(!strcmp(type, "int")    ? H5T_STD_I64LE
                      : !strcmp(type, "real") ? H5T_IEEE_F64LE
                                              : H5T_C_S1);
    int64_t i = strtoll(value, NULL, 10);
    double x = strtod(value, NULL);
    bool text = H5Tget_class(t) == H5T_STRING;
    if (text)
        H5Tset_size(t, strlen(value) + 1);
    if (H5Aexists(f, name) > 0)
        H5Adelete(f, name);
    hid_t a = H5Acreate2(f, name, t, space, H5P_DEFAULT, H5P_DEFAULT);
    herr_t rc = H5Awrite(a, t,
                         text                           ? (const void *)value
                         : H5Tget_class(t) == H5T_FLOAT ? (const void *)&x
                                                        : (const void *)&i);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(t);
    return rc < 0 || H5Fclose(f) < 0;
}

static int drop(const char *path, const char *name)
{
    hid_t f = open_file(path);
    herr_t rc = H5Aexists(f, name) > 0 ? H5Adelete(f, name) : H5Ldelete(f, name, H5P_DEFAULT);
    return rc < 0 || H5Fclose(f) < 0;
}

static int poke(const char *path, const char *name)
{
    hid_t f = open_file(path), d = H5Dopen2(f, name, H5P_DEFAULT), space = H5Dget_space(d);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    double *v = n > 0 ? malloc((size_t)n * sizeof *v) : NULL;
    if (!v || H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) < 0)
        return 1;
    v[0] = NAN;
    herr_t rc = H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
    free(v);
    H5Sclose(space);
    H5Dclose(d);
    return rc < 0 || H5Fclose(f) < 0;
}

static int replace(const char *path, const char *name, bool text)
{
    static const float numbers[3] = {1, 2, 3};
    static const char texts[2][4] = {"one", "two"};
    hsize_t n = text ? 2 : 3;
    if (drop(path, name))
        return 1;
    hid_t f = open_file(path), space = H5Screate_simple(1, &n, NULL),
          type = H5Tcopy(text ? H5T_C_S1 : H5T_NATIVE_FLOAT);
    if (text)
        H5Tset_size(type, sizeof texts[0]);
    hid_t d = H5Dcreate2(f, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    herr_t rc = H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                         text ? (const void *)texts : (const void *)numbers);
    H5Dclose(d);
    H5Tclose(type);
    H5Sclose(space);
    return rc < 0 || H5Fclose(f) < 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && !strcmp(argv[1], "set"))
        return set_attribute(argv[2], argv[3], argv[4], argv[5]);
    if (argc == 4 && !strcmp(argv[1], "drop"))
        return drop(argv[2], argv[3]);
    if (argc == 5 && !strcmp(argv[1], "replace"))
        return replace(argv[2], argv[3], !strcmp(argv[4], "text"));
    if (argc == 4 && !strcmp(argv[1], "poke"))
        return poke(argv[2], argv[3]);
    if (argc != 2 || aster_ctx_new(&ctx) < 0)
        return 1;
    dir = argv[1];
    make_proteins();
    make_stores();
    make_archives();
    aster_ctx_free(&ctx);
    return 0;
}
