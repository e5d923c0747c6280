/* SPDX-License-Identifier: BSD-3-Clause */
/* For the test of damaged inputs: what an undamaged input of each format is, and its reader. */
#ifndef ASTER_TESTS_FAULT_FUZZ_FORMATS_H
#define ASTER_TESTS_FAULT_FUZZ_FORMATS_H

#include "unit/files.h"
#include "unit/pipeline_kinds.h"
#include "unit/torch_build.h"
#include "io/dna.h"
#include "io/h5_internal.h"
#include "io/tokens.h"
#include "io/weightfile.h"

enum { MOST_SEEDS = 8 };
#define LARGEST_INPUT (1 << 20)

struct blob {
    char *bytes;
    size_t n;
};
struct reader {
    const char *name;
    void (*make)(struct reader *r); /* the undamaged inputs */
    int (*read)(const char *path);  /* all that the reader can give */
    const char *const *words;       /* tokens put into texts, NULL at the end */
    bool fresh; /* a process per input: the library below it may break its own memory */
    struct blob seed[MOST_SEEDS];
    int n_seeds;
};

/* ---- inputs ---- */

static void add_seed(struct reader *r, const void *bytes, size_t n)
{
    struct blob *b = &r->seed[r->n_seeds++];
    b->bytes = malloc(n ? n : 1);
    b->n = n;
    if (!b->bytes)
        exit(1);
    memcpy(b->bytes, bytes, n);
}

static void add_file(struct reader *r, const char *path)
{
    char *bytes = NULL;
    int64_t n = 0;
    if (!fine(aster_file_read(ctx, path, LARGEST_INPUT, &bytes, &n)))
        exit(1);
    add_seed(r, bytes, (size_t)n);
    aster_free(&bytes);
}

static void add_text(struct reader *r, const char *text)
{
    add_seed(r, text, strlen(text));
}

static void make_csv(struct reader *r)
{
    add_text(r, "id,Sequence,rcl_start\nP01009,MKVLLSQ,3\n\"a,b\",\"say "
                "\"\"hi\"\"\",\n\"two\nlines\",\xc3\xa4,5\r\n");
    add_text(r, "\xef\xbb\xbf"
                "a\n1\n\n2\n");
    gzFile z = gzopen(in_dir("seed.gz"), "wb");
    for (int k = 0; k < 300; k++)
        gzprintf(z, k ? "%d,%d,\"%d\"\n" : "a,b,c\n", k, k * k, k % 7);
    gzclose(z);
    add_file(r, in_dir("seed.gz"));
}

static void make_fasta(struct reader *r)
{
    add_text(r,
             ">sp|P01009|A1AT human\nMPSSVSWGILLLAGLCCLVPVSLA\nEDPQGDAAQK\n>b\n\n>c x\r\nMKV\r\n");
    add_text(r, "\xef\xbb\xbf\n>\nM K V*-\n>a>b\nQ");
}

/* Packed whole, packed in pieces, and plain. */
static void make_dna(struct reader *r)
{
    const char *path = in_dir("seed.fa.gz");
    gzFile z = gzopen(path, "wb");
    for (int k = 0; k < 200; k++)
        gzprintf(z, ">read_%d some words\n%.*s\n", k, 3 + k % 30,
                 "ACGTNacgtGATTACAGATTACARYKMSWBDHV");
    gzclose(z);
    add_file(r, path);
    z = gzopen(path, "wb");
    gzprintf(z, ">a\nAC");
    gzclose(z);
    z = gzopen(path, "ab");
    gzprintf(z, "GT\r\n>b\n\n>\nUU-A\n");
    gzclose(z);
    add_file(r, path);
    add_text(r, ">\xc3\xa4 x\nACGT\nAC GT\n>b\nJ\n");
}

static void make_json(struct reader *r)
{
    add_text(r, "{\"a\": [1, -2.5e-3, true, null, {\"b\": \"\\u00e4\\ud83d\\ude00\\n\"}], \"c\": "
                "NaN, \"d\": [[[]]], \"\": 9223372036854775807}");
    add_text(r, "{\n  \"train_losses\": [\n    0.39,\n    0.32\n  ],\n  \"val_metrics\": {\"f1\": "
                "[-Infinity, 1]}\n}\n");
}

static void make_safetensors(struct reader *r)
{
    static const float x[12] = {1, 2, 3};
    static const char *const keys[] = {"format"}, *const values[] = {"pt"};
    const struct aster_st_out t[] = {{"esm.layer.0.weight", ASTER_F32, 2, {2, 3}, x},
                                     {"b", ASTER_BF16, 1, {5}, x},
                                     {"c", ASTER_I64, 0, {0}, x},
                                     {"none", ASTER_U8, 2, {0, 4}, x}};
    if (!fine(aster_st_write(ctx, in_dir("seed.st"), 4, t, 1, keys, values)))
        exit(1);
    add_file(r, in_dir("seed.st"));
    if (!fine(aster_st_write(ctx, in_dir("seed.st"), 1, t, 0, NULL, NULL)))
        exit(1);
    add_file(r, in_dir("seed.st"));
}

static void make_npz(struct reader *r)
{
    static const float x[300] = {0.5f, -1, 3};
    static const uint32_t u[12] = {'A', 'b', 0, 0xe4, 0x65e5, 0x1f600};
    struct aster_str f = {0}, a = {0}, b = {0};
    make_npy(&a, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 10), }", x, sizeof x);
    make_npy(&b, 1, "{'descr': '<U3', 'fortran_order': False, 'shape': (4,), }", u, sizeof u);
    struct entry e[3] = {
        {.name = "encodings.npy", .data = a.s, .n = a.len},
        {.name = "ids.npy", .data = b.s, .n = b.len, .deflate = true},
        {.name = "labels.npy", .data = a.s, .n = a.len, .deflate = true, .zip64 = true}};
    make_zip(&f, 3, e, false, 0, "");
    add_seed(r, f.s, f.len);
    make_zip(&f, 2, e + 1, true, 0, "note");
    add_seed(r, f.s, f.len);
    add_seed(r, a.s, a.len);
    add_seed(r, b.s, b.len);
    aster_str_free(&f);
    aster_str_free(&a);
    aster_str_free(&b);
}

/* With checksums and without: those hide from damage what lies behind them. */
static void make_torch_files(struct reader *r)
{
    static const float x[6] = {1, 2, 3};
    static const int64_t i[2] = {7, -1};
    struct aster_str f = {0}, p = {0};
    P(&p, "\x80\2}q\0(");
    p_text(&p, "a.weight");
    p_plain(&p);
    P(&p, "q\1");
    p_text(&p, "tied");
    P(&p, "h\1");
    p_text(&p, "m");
    P(&p, "c__main__\nM\n)\x81}(");
    p_text(&p, "_parameters");
    P(&p, "ccollections\nOrderedDict\n)R(");
    p_text(&p, "w");
    P(&p, "ctorch._utils\n_rebuild_parameter\n");
    p_tensor(&p, "Long", "1", 2, 0, 3, (int64_t[]){2, 1, 2}, (int64_t[]){1, 5, 0});
    P(&p, "\x88"
          "ccollections\nOrderedDict\n)R\x87Ru");
    p_text(&p, "_buffers");
    P(&p, "}");
    p_text(&p, "_modules");
    P(&p, "}ub");
    p_text(&p, "list");
    P(&p, "](G\x3f\xf0\0\0\0\0\0\0K\1M\1\1\x8a\1\xff\x89Neu.");
    for (int checked = 0; checked < 2; checked++) {
        make_torch(&f, &p, checked, 2, (const void *const[]){x, i},
                   (const size_t[]){sizeof x, sizeof i});
        add_seed(r, f.s, f.len);
    }
    p.len = 0;
    P(&p, "\x80\2](");
    p_plain(&p);
    P(&p, "e.");
    make_torch(&f, &p, false, 1, (const void *const[]){x}, (const size_t[]){sizeof x});
    add_seed(r, f.s, f.len);
    aster_str_free(&f);
    aster_str_free(&p);
}

static void make_tokenizer(struct reader *r)
{
    add_text(r, "{\"added_tokens\": [{\"id\": 0, \"content\": \"[UNK]\"}], \"normalizer\": null, "
                "\"pre_tokenizer\": "
                "{\"type\": \"Whitespace\"}, \"post_processor\": {\"type\": "
                "\"TemplateProcessing\", \"single\": "
                "[{\"SpecialToken\": {\"id\": \"S\"}}, {\"Sequence\": {}}, {\"SpecialToken\": "
                "{\"id\": \"S\"}}], "
                "\"special_tokens\": {\"S\": {\"ids\": [4]}}}, \"model\": {\"type\": \"BPE\", "
                "\"unk_token\": \"[UNK]\", "
                "\"vocab\": {\"[UNK]\": 0, \"A\": 1, \"C\": 2, \"AC\": 3, \"S\": 4, \"ACA\": 5, "
                "\"AA\": 6, \"CAA\": 7}, "
                "\"merges\": [\"A C\", \"AC A\", [\"A\", \"A\"], \"C AA\"]}}");
}

static void make_h5(struct reader *r)
{
    static const double x[60] = {1, 2, 3};
    static const char *const text[] = {"one", "", "three"};
    struct aster_h5 *f = NULL;
    int64_t dim[2] = {3, 4};
    bool good = fine(aster_h5_create(ctx, in_dir("seed.h5"), &f)) &&
                fine(aster_h5_write(f, "g/x", ASTER_F32, 2, dim, x)) &&
                fine(aster_h5_write(f, "i", ASTER_I64, 1, dim, x)) &&
                fine(aster_h5_write_strings(f, "s", 3, text)) &&
                fine(aster_h5_append(f, "rows", ASTER_F64, 5, 4, x)) &&
                fine(aster_h5_append(f, "rows", ASTER_F64, 5, 4, x)) &&
                fine(aster_h5_attr_set_i64(f, "/", "epoch", 3)) &&
                fine(aster_h5_attr_set_str(f, "g", "note", "text")) && fine(aster_h5_commit(&f));
    if (!good)
        exit(1);
    add_file(r, in_dir("seed.h5"));
}

/* The same by the library's own settings: the oldest format, without checksums. */
static void make_old_h5(struct reader *r)
{
    static const char *const names[] = {"g", "i", "s", "rows"};
    int64_t three = 3;
    make_h5(r);
    free(r->seed[--r->n_seeds].bytes);
    hid_t from = H5Fopen(in_dir("seed.h5"), H5F_ACC_RDONLY, H5P_DEFAULT),
          to = H5Fcreate(in_dir("old.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
          scalar = H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate2(to, "epoch", H5T_STD_I64LE, scalar, H5P_DEFAULT, H5P_DEFAULT);
    bool good = H5Awrite(a, H5T_NATIVE_INT64, &three) >= 0;
    for (int k = 0; k < 4; k++)
        good &= H5Ocopy(from, names[k], to, names[k], H5P_DEFAULT, H5P_DEFAULT) >= 0;
    H5Aclose(a);
    H5Sclose(scalar);
    H5Fclose(from);
    if (H5Fclose(to) < 0 || !good)
        exit(1);
    add_file(r, in_dir("old.h5"));
}

/* As convert writes it, and the same by the library's own settings. */
static void make_h5_weights(struct reader *r)
{
    static const double x[40] = {1, 2, 3};
    static const int64_t none = 0, two[2] = {4, 5}, many[4] = {1, 2, 1, 3};
    struct aster_h5 *f = NULL;
    bool good = fine(aster_h5_create(ctx, in_dir("seed.h5"), &f)) &&
                fine(aster_h5_attr_set_str(f, "/", "format", "asterism-weights 1")) &&
                fine(aster_h5_write_plain(f, "weights/layer.0.weight", ASTER_F32, 2, two, x)) &&
                fine(aster_h5_write_plain(f, "weights/half", ASTER_BF16, 4, many, x)) &&
                fine(aster_h5_attr_set_str(f, "weights/half", "dtype", "bf16")) &&
                fine(aster_h5_write_plain(f, "weights/step", ASTER_I64, 0, NULL, x)) &&
                fine(aster_h5_write_plain(f, "weights/none", ASTER_U8, 1, &none, x)) &&
                fine(aster_h5_commit(&f));
    if (!good)
        exit(1);
    add_file(r, in_dir("seed.h5"));
    hid_t from = H5Fopen(in_dir("seed.h5"), H5F_ACC_RDONLY, H5P_DEFAULT),
          to = H5Fcreate(in_dir("old.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    good = H5Ocopy(from, "weights", to, "weights", H5P_DEFAULT, H5P_DEFAULT) >= 0;
    H5Fclose(from);
    if (H5Fclose(to) < 0 || !good)
        exit(1);
    for (int k = 0; k < 4; k++) /* most of the time */
        add_file(r, in_dir("old.h5"));
}

static void make_yaml(struct reader *r)
{
    add_text(r, "asterism: 1\npipeline: t\ndescription: >-\n  Two\n  lines.\nparameters:\n"
                "  n: {type: int, min: 1, max: 9, default: 3, help: N., unit: items}\n"
                "  file: {type: file, default: \"-\", help: 'F.'}\n"
                "  m: {type: choice, choices: [fast, slow], default: slow, help: M.}\n"
                "stages:\n  a: {stage: source, file: $file, limit: $n}\n"
                "  b:\n    stage: work\n    from: [a]\n    rate: 0.25\n    mode: $m\n"
                "    sizes: [1, 2, 3]\n    labels: a,b\n    title: x${n}y$$\n    again: true\n"
                "  c: {stage: build, name: \"\\u00e4\"}\n  d: {stage: sink, model: c}\n");
    add_text(r, "\xef\xbb\xbf# nothing but a stage\nasterism: 1\npipeline: p\nstages: {a: "
                "{stage: source, file: '-'}}\n");
}

/* ---- readers ---- */

static int read_csv(const char *path)
{
    struct aster_csv *c = NULL;
    const char *const *field;
    int rc = aster_csv_open(ctx, path, &c);
    while (rc >= 0 && (rc = aster_csv_next(c, &field)) > 0)
        for (int k = 0; k < aster_csv_n_columns(c); k++)
            if (strlen(field[k]) > LARGEST_INPUT * 2000ULL)
                abort();
    aster_csv_close(&c);
    return rc;
}

static int read_fasta(const char *path)
{
    struct aster_fasta *f = NULL;
    struct aster_fasta_record r;
    int rc = aster_fasta_open(ctx, path, &f);
    while (rc >= 0 && (rc = aster_fasta_next(f, &r)) > 0)
        if ((int64_t)strlen(r.seq) != r.length || strlen(r.id) > strlen(r.header))
            abort();
    aster_fasta_close(&f);
    return rc;
}

static int read_dna(const char *path)
{
    struct aster_dna *d = NULL;
    struct aster_dna_record r;
    int rc = aster_dna_open(ctx, 1, &path, false, &d);
    while (rc >= 0 && (rc = aster_dna_next(d, &r)) > 0)
        if ((int64_t)strlen(r.seq) != r.length || r.n_ambiguous > r.length ||
            (r.fault && (!strstr(r.fault, path) || !strstr(r.fault, "expected"))))
            abort();
    aster_dna_close(&d);
    return rc;
}

static int read_json(const char *path)
{
    struct aster_json *j = NULL;
    int rc = aster_json_read(ctx, path, &j);
    aster_json_free(&j);
    return rc;
}

static uint8_t sum_of(const void *bytes, int64_t n)
{
    uint8_t sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[k]);
    return sum;
}

static volatile uint8_t sink;

static int read_safetensors(const char *path)
{
    struct aster_st *s = NULL;
    int rc = aster_st_open(ctx, path, &s);
    for (int64_t k = 0; rc == 0 && k < aster_st_count(s); k++) {
        const struct aster_st_tensor *t = aster_st_tensor(s, k);
        if (aster_st_find(s, t->name) != t)
            abort();
        sink = sum_of(t->data, t->n); /* an element has a byte at least */
    }
    if (rc == 0)
        (void)aster_st_metadata(s, "format");
    aster_st_close(&s);
    return rc;
}

static int see_value(void *arg, const char *path, const struct aster_value *v)
{
    *(int64_t *)arg += (int64_t)strlen(path) + (v->n ? sum_of(v->text, v->n) : 0);
    return 0;
}

/* Every tensor in pieces, every value; a name finds its tensor. */
static int read_weightfile(const char *path)
{
    struct aster_weightfile *f = NULL;
    double piece[4096];
    int64_t seen = 0;
    int rc = aster_weightfile_open(ctx, path, &f);
    for (int64_t k = 0; rc == 0 && k < aster_weightfile_count(f); k++) {
        const struct aster_weight *w = aster_weightfile_tensor(f, k);
        const void *bytes = NULL;
        if (aster_weightfile_find(f, w->name) != w)
            abort();
        for (int64_t at = 0; rc == 0 && at < w->n; at += 4096)
            rc = aster_weightfile_read(f, w, at, aster_min64(4096, w->n - at), ASTER_F64, piece);
        if (rc == 0)
            rc = aster_weightfile_bytes(f, w, &bytes);
        if (rc == 0 && bytes)
            sink = sum_of(bytes, w->n * aster_weight_type_size(w->type));
    }
    if (rc == 0)
        rc = aster_weightfile_values(f, see_value, &seen);
    aster_weightfile_close(&f);
    return rc;
}

static int read_tokenizer(const char *path)
{
    static const char text[] = "ACAACCAAAAAA [UNK]\xc3\xa4 CA-ACACA";
    struct aster_bpe *b = NULL;
    struct aster_bpe_room *r = NULL;
    int32_t ids[sizeof text + 2];
    int64_t n = 0;
    int rc = aster_bpe_open(ctx, path, &b);
    if (rc == 0)
        rc = aster_bpe_room_new(ctx, &r);
    if (rc == 0)
        rc = aster_bpe_encode(b, r, text, sizeof text - 1, ids, &n);
    if (rc == 0 && (n > (int64_t)sizeof text + 1 || aster_bpe_n_ids(b) < 1))
        abort();
    aster_bpe_room_free(&r);
    aster_bpe_close(&b);
    return rc;
}

static int read_array(struct aster_npz *z, const char *name)
{
    struct aster_npy_shape s;
    char **list = NULL;
    void *data = NULL;
    int64_t n = 0;
    ASTER_TRY(aster_npz_shape(z, name, &s));
    if (s.is_text) {
        ASTER_TRY(aster_npz_read_strings(z, name, &list, &n));
        aster_strings_free(&list, n);
        return 0;
    }
    ASTER_TRY(aster_alloc(ctx, s.n, (size_t)aster_dtype_size(s.dtype), &data));
    int64_t rows = s.rank ? s.dim[0] : 1;
    int rc = aster_npz_read_rows(z, name, s.dtype, 0, rows, data);
    if (rc == 0 && rows)
        rc = aster_npz_read_rows(z, name, ASTER_F32, rows / 2, s.n ? 1 : 0, data);
    aster_free(&data);
    return rc;
}

static int read_npz(const char *path)
{
    static const char *const names[] = {"encodings", "ids", "labels", "input"};
    struct aster_npz *z = NULL;
    int rc = aster_npz_open(ctx, path, &z);
    for (int k = 0; rc == 0 && k < 4; k++)
        if (aster_npz_has(z, names[k]))
            rc = read_array(z, names[k]);
    aster_npz_close(&z);
    return rc;
}

static int read_dataset(struct aster_h5 *f, const char *name)
{
    struct aster_h5_shape s;
    char **list = NULL;
    void *data = NULL;
    int64_t n = 0;
    ASTER_TRY(aster_h5_shape(f, name, &s));
    if (s.is_string) {
        ASTER_TRY(aster_h5_read_strings(f, name, &list, &n));
        aster_strings_free(&list, n);
        return 0;
    }
    ASTER_TRY(aster_h5_read(f, name, ASTER_F64, -1, &data));
    int rc = s.rank && s.dim[0] > 2 ? aster_h5_read_rows(f, name, ASTER_F32, 1, 1, data) : 0;
    aster_free(&data);
    return rc;
}

static int read_h5(const char *path)
{
    static const char *const names[] = {"g/x", "i", "s", "rows"};
    struct aster_h5 *f = NULL;
    char **list = NULL, *text = NULL;
    int64_t n = 0;
    int rc = aster_h5_open(ctx, path, &f);
    if (rc == 0)
        rc = aster_h5_list(f, "/", &list, &n);
    aster_strings_free(&list, n);
    for (int k = 0; rc == 0 && k < 4; k++)
        rc = read_dataset(f, names[k]);
    if (rc == 0)
        rc = aster_h5_attr_i64(f, "/", "epoch", &n);
    if (rc == 0)
        rc = aster_h5_attr_str(f, "g", "note", &text);
    aster_free(&text);
    aster_h5_close(&f);
    return rc;
}

/* The first mistake of a pipeline as the failure; every one names the file. */
static int first_mistake(const struct aster_pipeline *p, const char *path)
{
    for (int64_t k = 0; k < aster_pipeline_n_mistakes(p); k++)
        if (strncmp(aster_pipeline_mistake(p, k), path, strlen(path)) != 0)
            abort();
    return aster_pipeline_n_errors(p)
               ? aster_fail(ctx, ASTER_EFORMAT, "%.200s", aster_pipeline_mistake(p, 0))
               : 0;
}

static int read_yaml(const char *path)
{
    struct aster_pipeline *p = NULL;
    const struct aster_run_spec *spec;
    struct aster_str text = {0};
    int rc = aster_pipeline_open(ctx, test_kinds_all(), path, &p);
    if (rc == 0)
        rc = first_mistake(p, path);
    if (rc == 0)
        rc = aster_pipeline_resolve(p, false, &spec);
    if (rc == 0)
        rc = first_mistake(p, path);
    if (rc == 0)
        rc = aster_pipeline_dot(p, &text);
    if (rc == 0)
        rc = aster_pipeline_svg(p, &text);
    aster_str_free(&text);
    aster_pipeline_free(&p);
    return rc;
}

#endif
