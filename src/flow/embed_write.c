/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a finished embedding run, made of its parts in the order of the input. */
#include "flow/embed_part.h"
#include "io/sorter.h"

#include "config.h"

#include <string.h>
#include <unistd.h>

#define PIECE_BYTES    (INT64_C(8) << 20) /* of vectors that are copied at a time */
#define SORTING_BYTES  (INT64_C(16) << 20)
#define NPZ_MOST_BYTES 4.2e9

struct writer {
    struct aster_embed_output *o;
    struct aster_ctx *ctx;
    struct aster_h5 *to, *from;
    struct aster_sorter *names;
    struct aster_str devices, ledger;
    const char **id, **sequence; /* of a part's good entries */
    int64_t cap_id, cap_sequence;
    int64_t record; /* number of the part's first record in the input */
};

/* ---- a part's columns ---- */

struct columns {
    char **ids, **sequences, **reasons;
    int64_t n, n_ids, n_sequences, n_reasons, *length, *kept, *odd, *status;
};

static void free_columns(struct columns *c)
{
    aster_h5_names_free(&c->ids, c->n_ids);
    aster_h5_names_free(&c->sequences, c->n_sequences);
    aster_h5_names_free(&c->reasons, c->n_reasons);
    aster_free(&c->length);
    aster_free(&c->kept);
    aster_free(&c->odd);
    aster_free(&c->status);
}

static int read_columns(struct aster_h5 *f, struct columns *c)
{
    ASTER_TRY(aster_h5_attr_i64(f, "/", "count", &c->n));
    ASTER_TRY(aster_h5_read_strings(f, "ids", &c->ids, &c->n_ids));
    ASTER_TRY(aster_h5_read_strings(f, "sequences", &c->sequences, &c->n_sequences));
    ASTER_TRY(aster_h5_read_strings(f, "reasons", &c->reasons, &c->n_reasons));
    ASTER_TRY(aster_h5_read(f, "length", ASTER_I64, c->n, &c->length));
    ASTER_TRY(aster_h5_read(f, "kept", ASTER_I64, c->n, &c->kept));
    ASTER_TRY(aster_h5_read(f, "odd", ASTER_I64, c->n, &c->odd));
    return aster_h5_read(f, "status", ASTER_I64, c->n, &c->status);
}

/* What the good entries of a part add, moved to the front of its columns; the others' reasons. */
static int sort_out(struct writer *w, struct columns *c, int64_t *record, int64_t *offset,
                    int64_t *n_good)
{
    struct aster_embed_output *o = w->o;
    int64_t n = 0;
    for (int64_t i = 0; i < c->n; i++) {
        int64_t entry = o->n - o->failed;
        o->n++;
        o->odd += c->odd[i];
        o->longer += c->length[i] > o->max_length;
        if (c->status[i]) {
            o->failed++;
            aster_ledger_line(&w->ledger, c->ids[i], o->stage, c->reasons[i]);
            continue;
        }
        o->residues += c->kept[i];
        o->longest = aster_max64(o->longest, c->kept[i]);
        o->longest_id = aster_max64(o->longest_id, aster_npz_text_length(c->ids[i]));
        ASTER_TRY(aster_sorter_add(w->names, c->ids[i], (int64_t)strlen(c->ids[i]),
                                   (const char *)&entry, sizeof entry));
        w->id[n] = c->ids[i];
        w->sequence[n] = c->sequences[i];
        record[n] = w->record + i;
        offset[n] = o->residues;
        c->length[n++] = c->length[i];
    }
    *n_good = n;
    return 0;
}

static int add_good(struct writer *w, struct columns *c)
{
    int64_t *record = NULL, *offset = NULL, n = 0;
    int rc;
    ASTER_GOTO(aster_alloc(w->ctx, c->n, sizeof *record, &record), done);
    ASTER_GOTO(aster_alloc(w->ctx, c->n, sizeof *offset, &offset), done);
    ASTER_GOTO(aster_grow(w->ctx, c->n, sizeof(char *), &w->cap_id, &w->id), done);
    ASTER_GOTO(aster_grow(w->ctx, c->n, sizeof(char *), &w->cap_sequence, &w->sequence), done);
    ASTER_GOTO(sort_out(w, c, record, offset, &n), done);
    ASTER_GOTO(aster_h5_append_strings(w->to, "ids", n, w->id), done);
    ASTER_GOTO(aster_h5_append_strings(w->to, "sequences", n, w->sequence), done);
    ASTER_GOTO(aster_h5_append(w->to, "record", ASTER_I64, n, 1, record), done);
    ASTER_GOTO(aster_h5_append(w->to, "length", ASTER_I64, n, 1, c->length), done);
    ASTER_GOTO(aster_h5_append(w->to, "offsets", ASTER_I64, n, 1, offset), done);
    rc = aster_ledger_add(w->o->run, &w->ledger);
    aster_str_free(&w->ledger);
done:
    aster_free(&record);
    aster_free(&offset);
    return rc;
}

static int add_columns(struct writer *w)
{
    struct columns c = {0};
    int rc = read_columns(w->from, &c);
    if (rc == 0)
        rc = add_good(w, &c);
    w->record += c.n;
    free_columns(&c);
    return rc;
}

/* ---- vectors ---- */

/* "values" of the last layer wanted, "layer_6/values" of another one */
static void dataset_name(const struct aster_embed_output *o, int64_t layer, const char *what,
                         char *out, size_t size)
{
    if (layer + 1 == o->n_layers)
        snprintf(out, size, "%s", what);
    else
        snprintf(out, size, "layer_%lld/%s", (long long)o->layers[layer], what);
}

static int copy_rows(struct writer *w, const char *from, const char *to)
{
    struct aster_h5_shape s;
    float *piece = NULL;
    int64_t width = w->o->width, most = aster_max64(1, PIECE_BYTES / (4 * width));
    ASTER_TRY(aster_h5_shape(w->from, from, &s));
    if (s.rank != 2 || s.dim[1] != width)
        return aster_fail(w->ctx, ASTER_EBUG, "%s of a part has another width", from);
    ASTER_TRY(aster_alloc(w->ctx, most * width, sizeof *piece, &piece));
    int rc = s.dim[0] ? 0 : aster_h5_append(w->to, to, ASTER_F32, 0, width, piece);
    for (int64_t at = 0; rc == 0 && at < s.dim[0]; at += most) {
        int64_t n = aster_min64(most, s.dim[0] - at);
        rc = aster_h5_read_rows(w->from, from, ASTER_F32, at, n, piece);
        if (rc == 0)
            rc = aster_h5_append(w->to, to, ASTER_F32, n, width, piece);
    }
    aster_free(&piece);
    return rc;
}

static int add_vectors(struct writer *w)
{
    const struct aster_embed_output *o = w->o;
    for (int64_t k = 0; k < o->n_layers; k++) {
        const char *const what[] = {"values", "mean"};
        for (int j = 0; j < 2; j++) {
            char from[32], to[64];
            if (!(j ? o->mean : o->rows))
                continue;
            snprintf(from, sizeof from, "%s_%lld", what[j], (long long)k);
            dataset_name(o, k, what[j], to, sizeof to);
            ASTER_TRY(copy_rows(w, from, to));
        }
    }
    return 0;
}

/* ---- the whole file ---- */

static int add_device(struct writer *w)
{
    char *device = NULL;
    ASTER_TRY(aster_h5_attr_str(w->from, "/", "device", &device));
    if (*device && !strstr(aster_str_get(&w->devices), device))
        aster_str_printf(&w->devices, "%s%s", w->devices.len ? ", " : "", device);
    aster_free(&device);
    return aster_str_ok(w->ctx, &w->devices);
}

static int add_part(struct writer *w, int64_t index)
{
    char *path = NULL;
    int rc;
    ASTER_GOTO(aster_store_get(w->o->store, index, &path), done);
    ASTER_GOTO(aster_h5_open(w->ctx, path, &w->from), done);
    ASTER_GOTO(add_device(w), done);
    ASTER_GOTO(add_columns(w), done);
    rc = add_vectors(w);
done:
    aster_h5_close(&w->from);
    aster_free(&path);
    return rc;
}

/* Numbers of the entries in byte order of their ids. */
static int add_names(struct writer *w)
{
    struct aster_sorted s;
    int64_t number[1024], n = 0;
    int rc;
    while ((rc = aster_sorter_next(w->names, &s)) == 1) {
        memcpy(&number[n++], s.value, sizeof *number);
        if (n == 1024) {
            ASTER_TRY(aster_h5_append(w->to, "by_name", ASTER_I64, n, 1, number));
            n = 0;
        }
    }
    return rc < 0 ? rc : aster_h5_append(w->to, "by_name", ASTER_I64, n, 1, number);
}

static int add_attributes(struct writer *w)
{
    const struct aster_embed_output *o = w->o;
    struct aster_str layers = {0};
    const struct {
        const char *name, *text;
    } texts[] = {{"program", PACKAGE_STRING},
                 {"pipeline", o->run->spec->name},
                 {"pipeline_hash", o->run->hash},
                 {"encoding", o->model},
                 {"weights", aster_path_base(o->weights)},
                 {"weights_sha256", o->weights_sha256},
                 {"precision", o->precision},
                 {"devices", aster_str_get(&w->devices)},
                 {"over_length", o->over},
                 {"unknown", o->unknown}};
    for (int64_t k = 0; k < o->n_layers; k++)
        aster_str_printf(&layers, "%s%lld", k ? "," : "", (long long)o->layers[k]);
    int rc = aster_str_ok(w->ctx, &layers);
    for (size_t k = 0; rc == 0 && k < sizeof texts / sizeof *texts; k++)
        rc = aster_h5_attr_set_str(w->to, "/", texts[k].name, texts[k].text);
    if (rc == 0)
        rc = aster_h5_attr_set_str(w->to, "/", "layers", layers.s);
    aster_str_free(&layers);
    ASTER_TRY(rc);
    ASTER_TRY(aster_h5_attr_set_i64(w->to, "/", "dim", o->width));
    ASTER_TRY(aster_h5_attr_set_i64(w->to, "/", "max_length", o->max_length));
    ASTER_TRY(aster_h5_attr_set_i64(w->to, "/", "overlap", o->overlap));
    return aster_h5_attr_set_i64(w->to, "/", "count", o->n - o->failed);
}

static int write_all(struct writer *w)
{
    const int64_t zero = 0;
    ASTER_TRY(aster_ledger_reset(w->o->run, w->o->stage));
    ASTER_TRY(aster_h5_append(w->to, "offsets", ASTER_I64, 1, 1, &zero));
    for (int64_t k = 0; k < w->o->n_parts; k++)
        ASTER_TRY(add_part(w, k));
    ASTER_TRY(add_names(w));
    ASTER_TRY(add_attributes(w));
    return aster_h5_commit(&w->to);
}

/* ---- npz ---- */

int aster_embed_npz_fits(struct aster_ctx *ctx, int64_t n, int64_t longest, int64_t width,
                         int64_t n_layers, bool rows)
{
    double bytes = 4.0 * (double)n * (double)(rows ? longest : 1) * (double)width;
    if ((double)n_layers * bytes < NPZ_MOST_BYTES)
        return 0;
    return aster_fail(
        ctx, ASTER_ELIMIT,
        "format: as .npz, %lld sequences padded to %lld residues take %.1f GB, 4.2 GB "
        "can be written; h5 has no such limit",
        (long long)n, (long long)longest, (double)n_layers * bytes / 1e9);
}

static int npz_texts(struct writer *w, struct aster_npz_out *z, const char *name, int64_t n,
                     int64_t longest)
{
    char **texts = NULL;
    int64_t n_texts = 0;
    ASTER_TRY(aster_h5_read_strings(w->from, name, &texts, &n_texts));
    int rc = aster_npz_begin_texts(z, name, n, longest);
    for (int64_t i = 0; rc == 0 && i < n; i++)
        rc = aster_npz_add_text(z, texts[i]);
    aster_h5_names_free(&texts, n_texts);
    return rc;
}

/* [n, longest, width], zeros behind each sequence */
static int npz_rows(struct writer *w, struct aster_npz_out *z, const char *dataset,
                    const char *name, int64_t n, const int64_t *offsets)
{
    int64_t longest = aster_max64(1, w->o->longest), width = w->o->width;
    float *row = NULL;
    ASTER_TRY(aster_npz_begin(z, name, ASTER_F32, 3, (int64_t[]){n, longest, width}));
    ASTER_TRY(aster_alloc(w->ctx, longest * width, sizeof *row, &row));
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        int64_t length = offsets[i + 1] - offsets[i];
        if (length)
            rc = aster_h5_read_rows(w->from, dataset, ASTER_F32, offsets[i], length, row);
        memset(row + length * width, 0, (size_t)((longest - length) * width) * sizeof *row);
        if (rc == 0)
            rc = aster_npz_add(z, longest * width, row);
    }
    aster_free(&row);
    return rc;
}

static int npz_means(struct writer *w, struct aster_npz_out *z, const char *dataset,
                     const char *name, int64_t n)
{
    float *mean = NULL;
    ASTER_TRY(aster_npz_begin(z, name, ASTER_F32, 2, (int64_t[]){n, w->o->width}));
    ASTER_TRY(aster_h5_read(w->from, dataset, ASTER_F32, n * w->o->width, &mean));
    int rc = aster_npz_add(z, n * w->o->width, mean);
    aster_free(&mean);
    return rc;
}

/* encodings, as the reference names them; encodings_6 of another layer than the last one wanted */
static int npz_arrays(struct writer *w, struct aster_npz_out *z, int64_t n, const int64_t *offsets)
{
    const struct aster_embed_output *o = w->o;
    for (int64_t k = 0; k < o->n_layers; k++) {
        char dataset[64], end[32] = "", name[64];
        if (k + 1 < o->n_layers)
            snprintf(end, sizeof end, "_%lld", (long long)o->layers[k]);
        if (o->rows) {
            dataset_name(o, k, "values", dataset, sizeof dataset);
            snprintf(name, sizeof name, "encodings%s", end);
            ASTER_TRY(npz_rows(w, z, dataset, name, n, offsets));
        }
        if (o->mean) {
            dataset_name(o, k, "mean", dataset, sizeof dataset);
            snprintf(name, sizeof name, "mean%s", end);
            ASTER_TRY(npz_means(w, z, dataset, name, n));
        }
    }
    ASTER_TRY(npz_texts(w, z, "ids", n, o->longest_id));
    return npz_texts(w, z, "sequences", n, o->longest);
}

static int write_npz(struct writer *w, const char *h5, const char *npz)
{
    struct aster_npz_out *z = NULL;
    int64_t *offsets = NULL, n = w->o->n - w->o->failed;
    int rc;
    ASTER_GOTO(
        aster_embed_npz_fits(w->ctx, n, w->o->longest, w->o->width, w->o->n_layers, w->o->rows),
        done);
    ASTER_GOTO(aster_h5_open(w->ctx, h5, &w->from), done);
    ASTER_GOTO(aster_h5_read(w->from, "offsets", ASTER_I64, n + 1, &offsets), done);
    ASTER_GOTO(aster_npz_create(w->ctx, npz, &z), done);
    ASTER_GOTO(npz_arrays(w, z, n, offsets), done);
    rc = aster_npz_commit(&z);
done:
    aster_npz_discard(&z);
    aster_h5_close(&w->from);
    aster_free(&offsets);
    return rc;
}

int aster_embed_write(struct aster_embed_output *o)
{
    struct writer w = {.o = o, .ctx = o->run->ctx};
    char *h5 = NULL, *npz = NULL;
    int rc;
    ASTER_GOTO(aster_run_path(o->run, "embeddings.h5", &h5), done);
    ASTER_GOTO(aster_run_path(o->run, "embeddings.npz", &npz), done);
    ASTER_GOTO(aster_sorter_new(w.ctx, o->run->dir, SORTING_BYTES, &w.names), done);
    ASTER_GOTO(aster_h5_create(w.ctx, h5, &w.to), done);
    ASTER_GOTO(write_all(&w), done);
    if (o->npz)
        ASTER_GOTO(write_npz(&w, h5, npz), done);
    if (!o->h5)
        unlink(h5);
done:
    aster_h5_close(&w.to);
    aster_sorter_free(&w.names);
    aster_str_free(&w.devices);
    aster_str_free(&w.ledger);
    aster_free(&w.id);
    aster_free(&w.sequence);
    aster_free(&h5);
    aster_free(&npz);
    return rc;
}
