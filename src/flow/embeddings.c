/* SPDX-License-Identifier: BSD-3-Clause */
/* Stores of residue vectors: .npz archives as the reference writes them, and ragged .h5 files. */
#include "flow/embeddings.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

struct entry {
    uint64_t id, sequence;
    int64_t length;
};

struct aster_embeddings {
    struct aster_ctx *ctx;
    char *path, encoding[32];
    int64_t n, cap, dim, rows_per_entry; /* rows_per_entry: padded length of an npz */
    struct aster_npz *npz;
    struct aster_h5 *h5;
    int64_t *offsets; /* [n + 1] of the ragged store */
    struct entry *entries;
    int64_t *table, n_table; /* open addressing: number of an entry + 1, 0: free */
    struct aster_proteins *proteins;
    uint8_t *labels;      /* of proteins whose labels are no single run */
    pthread_mutex_t lock; /* around the file */
};

const char *aster_embeddings_path(const struct aster_embeddings *e)
{
    return e->path;
}

const struct aster_proteins *aster_embeddings_proteins(const struct aster_embeddings *e)
{
    return e->proteins;
}

static void place(struct aster_embeddings *e, int64_t i)
{
    int64_t at = (int64_t)(e->entries[i].id & (uint64_t)(e->n_table - 1));
    while (e->table[at])
        at = (at + 1) & (e->n_table - 1);
    e->table[at] = i + 1;
}

static int build_index(struct aster_embeddings *e)
{
    for (e->n_table = 16; e->n_table < 2 * e->n; e->n_table *= 2)
        ;
    ASTER_TRY(aster_alloc(e->ctx, e->n_table, sizeof *e->table, &e->table));
    for (int64_t i = 0; i < e->n; i++)
        place(e, i);
    return 0;
}

/* Twice as much room when half of it is taken. */
int aster_embeddings_add(struct aster_embeddings *e, const char *id, const char *sequence)
{
    size_t length = strlen(sequence);
    ASTER_TRY(aster_grow(e->ctx, e->n + 1, sizeof *e->entries, &e->cap, &e->entries));
    e->entries[e->n++] = (struct entry){aster_fnv1a64(id, strlen(id)),
                                        aster_fnv1a64(sequence, length), (int64_t)length};
    if (2 * e->n > e->n_table) {
        aster_free(&e->table);
        return build_index(e);
    }
    place(e, e->n - 1);
    return 0;
}

int64_t aster_embeddings_find(const struct aster_embeddings *e, const char *id,
                              const char *sequence, const char **why)
{
    uint64_t h = aster_fnv1a64(id, strlen(id)), s = aster_fnv1a64(sequence, strlen(sequence));
    *why = "is not in the store of residue vectors";
    for (int64_t at = (int64_t)(h & (uint64_t)(e->n_table - 1)); e->table[at];
         at = (at + 1) & (e->n_table - 1)) {
        const struct entry *x = &e->entries[e->table[at] - 1];
        if (x->id == h && x->sequence == s)
            return e->table[at] - 1;
        if (x->id == h)
            *why = "has another sequence in the store of residue vectors";
    }
    return -1;
}

static int check_finite(const struct aster_embeddings *e, int64_t key, int64_t length,
                        const float *rows)
{
    for (int64_t k = 0; k < length * e->dim; k++)
        if (!isfinite(rows[k]))
            return aster_fail(e->ctx, ASTER_EFORMAT,
                              "%s: the vector of residue %lld of entry %lld has the value %g; "
                              "finite numbers are expected",
                              e->path, (long long)(k / e->dim) + 1, (long long)key + 1,
                              (double)rows[k]);
    return 0;
}

int aster_embeddings_rows(void *arg, int64_t key, int64_t length, float *out)
{
    struct aster_embeddings *e = arg;
    if (key < 0 || key >= e->n || length > e->entries[key].length)
        return ASTER_EFORMAT;
    if (!e->h5 && !e->npz)
        return aster_fail(e->ctx, ASTER_EBUG, "%s: its vectors were not computed", e->path);
    int rc = 0;
    if (e->h5) {
        pthread_mutex_lock(&e->lock);
        rc = aster_h5_read_rows(e->h5, "values", ASTER_F32, e->offsets[key], length, out);
        pthread_mutex_unlock(&e->lock);
        return rc < 0 ? rc : check_finite(e, key, length, out);
    }
    float *row = NULL;
    ASTER_TRY(aster_alloc(e->ctx, e->rows_per_entry * e->dim, sizeof *row, &row));
    pthread_mutex_lock(&e->lock);
    rc = aster_npz_read_rows(e->npz, "encodings", ASTER_F32, key, 1, row);
    pthread_mutex_unlock(&e->lock);
    if (rc == 0)
        memcpy(out, row, (size_t)(length * e->dim) * sizeof *out);
    aster_free(&row);
    return rc < 0 ? rc : check_finite(e, key, length, out);
}

/* Hashes of ids and sequences; lengths. */
static int keep_names(struct aster_embeddings *e, int64_t n_ids, char **ids, int64_t n_seqs,
                      char **seqs)
{
    if (n_ids != e->n || n_seqs != e->n)
        return aster_fail(e->ctx, ASTER_EFORMAT, "%s: %lld ids and %lld sequences for %lld entries",
                          e->path, (long long)n_ids, (long long)n_seqs, (long long)e->n);
    ASTER_TRY(aster_alloc(e->ctx, e->n, sizeof *e->entries, &e->entries));
    for (int64_t i = 0; i < e->n; i++) {
        size_t length = strlen(seqs[i]);
        e->entries[i] = (struct entry){aster_fnv1a64(ids[i], strlen(ids[i])),
                                       aster_fnv1a64(seqs[i], length), (int64_t)length};
    }
    return build_index(e);
}

/* The loop of labels that are one run of ones, else those labels as bytes. row: [L, 2] of the
 * reference. */
static int add_labelled(struct aster_embeddings *e, int64_t i, const char *id, const char *seq,
                        const float *row)
{
    int64_t length = e->entries[i].length, begin = -1, end = -1, runs = 0;
    uint8_t *labels = e->labels + i * e->rows_per_entry;
    for (int64_t t = 0; t < length; t++) {
        bool one = row[2 * t + 1] == 1 && row[2 * t] == 0;
        if (!one && !(row[2 * t] == 1 && row[2 * t + 1] == 0))
            return aster_fail(
                e->ctx, ASTER_EFORMAT,
                "%s: labels of '%s' at residue %lld are %g, %g; 1, 0 or 0, 1 is expected", e->path,
                id, (long long)t + 1, (double)row[2 * t], (double)row[2 * t + 1]);
        labels[t] = one;
        if (one && (t == 0 || !labels[t - 1]) && runs++ == 0)
            begin = t;
        if (one)
            end = t + 1;
    }
    ASTER_TRY(aster_proteins_add(e->ctx, e->proteins, id, seq, length, begin, end));
    e->proteins->p[e->proteins->n - 1].key = i;
    if (runs > 1)
        e->proteins->p[e->proteins->n - 1].labels = labels;
    return 0;
}

static int read_npz_labels(struct aster_embeddings *e, char **ids, char **seqs, int64_t max_length)
{
    struct aster_npy_shape s;
    float *row = NULL;
    int64_t bytes;
    ASTER_TRY(aster_npz_shape(e->npz, "labels", &s));
    if (s.rank != 3 || s.dim[0] != e->n || s.dim[1] != e->rows_per_entry || s.dim[2] != 2)
        return aster_fail(e->ctx, ASTER_EFORMAT,
                          "%s: labels must be [%lld, %lld, 2] as encodings are", e->path,
                          (long long)e->n, (long long)e->rows_per_entry);
    ASTER_TRY(aster_mul(e->ctx, e->n, e->rows_per_entry, &bytes));
    ASTER_TRY(aster_alloc(e->ctx, bytes, 1, &e->labels));
    ASTER_TRY(aster_alloc(e->ctx, 2 * e->rows_per_entry, sizeof *row, &row));
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < e->n; i++) {
        if (e->entries[i].length == 0 || e->entries[i].length > max_length)
            continue;
        rc = aster_npz_read_rows(e->npz, "labels", ASTER_F32, i, 1, row);
        if (rc >= 0)
            rc = add_labelled(e, i, ids[i], seqs[i], row);
    }
    aster_free(&row);
    return rc;
}

static int new_proteins(struct aster_embeddings *e, int64_t max_length)
{
    ASTER_TRY(aster_alloc(e->ctx, 1, sizeof *e->proteins, &e->proteins));
    e->proteins->max_length = max_length;
    return aster_strdup(e->ctx, e->path, &e->proteins->file);
}

static int open_npz(struct aster_embeddings *e, int64_t max_length)
{
    struct aster_npy_shape s;
    char **ids = NULL, **seqs = NULL;
    int64_t n_ids = 0, n_seqs = 0;
    int rc;
    ASTER_TRY(aster_npz_open(e->ctx, e->path, &e->npz));
    ASTER_TRY(aster_npz_shape(e->npz, "encodings", &s));
    if (s.rank != 3 || s.is_text)
        return aster_fail(
            e->ctx, ASTER_EFORMAT,
            "%s: encodings has rank %d; numbers [proteins, length, %lld] are expected", e->path,
            s.rank, (long long)e->dim);
    if (s.dim[2] != e->dim)
        return aster_fail(e->ctx, ASTER_EFORMAT, "%s: its vectors have width %lld, expected %lld",
                          e->path, (long long)s.dim[2], (long long)e->dim);
    e->n = s.dim[0];
    e->rows_per_entry = s.dim[1];
    ASTER_GOTO(aster_npz_read_strings(e->npz, "ids", &ids, &n_ids), done);
    ASTER_GOTO(aster_npz_read_strings(e->npz, "sequences", &seqs, &n_seqs), done);
    ASTER_GOTO(keep_names(e, n_ids, ids, n_seqs, seqs), done);
    for (int64_t i = 0; i < e->n; i++)
        if (e->entries[i].length > e->rows_per_entry)
            ASTER_GOTO(aster_fail(e->ctx, ASTER_EFORMAT,
                                  "%s: '%s' has %lld residues, encodings have room for %lld",
                                  e->path, ids[i], (long long)e->entries[i].length,
                                  (long long)e->rows_per_entry),
                       done);
    if (aster_npz_has(e->npz, "labels")) {
        ASTER_GOTO(new_proteins(e, max_length), done);
        rc = read_npz_labels(e, ids, seqs, max_length);
    }
done:
    aster_strings_free(&ids, n_ids);
    aster_strings_free(&seqs, n_seqs);
    return rc;
}

static int read_h5_loops(struct aster_embeddings *e, char **ids, char **seqs, int64_t max_length)
{
    int64_t *begin = NULL, *end = NULL;
    int rc;
    ASTER_GOTO(new_proteins(e, max_length), done);
    ASTER_GOTO(aster_h5_read(e->h5, "loop_begin", ASTER_I64, e->n, &begin), done);
    ASTER_GOTO(aster_h5_read(e->h5, "loop_end", ASTER_I64, e->n, &end), done);
    for (int64_t i = 0; i < e->n; i++) {
        int64_t length = e->entries[i].length;
        if (begin[i] != -1 && !(begin[i] >= 0 && begin[i] < end[i] && end[i] <= length))
            ASTER_GOTO(aster_fail(e->ctx, ASTER_EFORMAT,
                                  "%s: loop [%lld, %lld) of '%s' does not fit its %lld residues",
                                  e->path, (long long)begin[i], (long long)end[i], ids[i],
                                  (long long)length),
                       done);
        if (length == 0 || length > max_length)
            continue;
        ASTER_GOTO(aster_proteins_add(e->ctx, e->proteins, ids[i], seqs[i], length, begin[i],
                                      begin[i] < 0 ? -1 : end[i]),
                   done);
        e->proteins->p[e->proteins->n - 1].key = i;
    }
done:
    aster_free(&begin);
    aster_free(&end);
    return rc;
}

static int check_h5(struct aster_embeddings *e)
{
    struct aster_h5_shape s;
    char *name = NULL;
    if (aster_h5_attr_has(e->h5, "/", "encoding")) {
        ASTER_TRY(aster_h5_attr_str(e->h5, "/", "encoding", &name));
        bool same = !strcmp(name, e->encoding) ||
                    (!strncmp(name, "esm2", 4) && !strncmp(e->encoding, "esm2", 4));
        int rc = same ? 0
                      : aster_fail(e->ctx, ASTER_EPARAM, "%s: holds vectors of %s, expected %s",
                                   e->path, name, e->encoding);
        aster_free(&name);
        ASTER_TRY(rc);
    }
    ASTER_TRY(aster_h5_shape(e->h5, "values", &s));
    if (s.rank != 2 || s.dim[1] != e->dim || s.is_string)
        return aster_fail(e->ctx, ASTER_EFORMAT,
                          "%s: values has rank %d, %s of width %lld; numbers [residues, %lld] are "
                          "expected",
                          e->path, s.rank, s.is_string ? "texts" : "numbers",
                          (long long)(s.rank ? s.dim[s.rank - 1] : 0), (long long)e->dim);
    int64_t total = s.dim[0];
    ASTER_TRY(aster_h5_shape(e->h5, "offsets", &s));
    if (s.rank != 1 || s.n < 1)
        return aster_fail(e->ctx, ASTER_EFORMAT, "%s: offsets must be [proteins + 1]", e->path);
    e->n = s.n - 1;
    ASTER_TRY(aster_h5_read(e->h5, "offsets", ASTER_I64, e->n + 1, &e->offsets));
    for (int64_t i = 0; i <= e->n; i++)
        if (e->offsets[i] < (i ? e->offsets[i - 1] : 0) || e->offsets[i] > total)
            return aster_fail(e->ctx, ASTER_EFORMAT,
                              "%s: offsets[%lld] is %lld; offsets grow from 0 to %lld", e->path,
                              (long long)i, (long long)e->offsets[i], (long long)total);
    return 0;
}

static int open_h5(struct aster_embeddings *e, int64_t max_length)
{
    char **ids = NULL, **seqs = NULL;
    int64_t n_ids = 0, n_seqs = 0;
    int rc;
    ASTER_TRY(aster_h5_open(e->ctx, e->path, &e->h5));
    ASTER_TRY(check_h5(e));
    ASTER_GOTO(aster_h5_read_strings(e->h5, "ids", &ids, &n_ids), done);
    ASTER_GOTO(aster_h5_read_strings(e->h5, "sequences", &seqs, &n_seqs), done);
    ASTER_GOTO(keep_names(e, n_ids, ids, n_seqs, seqs), done);
    for (int64_t i = 0; i < e->n; i++)
        if (e->entries[i].length != e->offsets[i + 1] - e->offsets[i])
            ASTER_GOTO(aster_fail(e->ctx, ASTER_EFORMAT,
                                  "%s: '%s' has %lld residues and %lld vectors", e->path, ids[i],
                                  (long long)e->entries[i].length,
                                  (long long)(e->offsets[i + 1] - e->offsets[i])),
                       done);
    if (aster_h5_has(e->h5, "loop_begin"))
        rc = read_h5_loops(e, ids, seqs, max_length);
done:
    aster_h5_names_free(&ids, n_ids);
    aster_h5_names_free(&seqs, n_seqs);
    return rc;
}

int aster_embeddings_new(struct aster_ctx *ctx, const char *name, int64_t dim,
                         struct aster_embeddings **out)
{
    struct aster_embeddings *e = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *e, &e));
    e->ctx = ctx;
    e->dim = dim;
    pthread_mutex_init(&e->lock, NULL);
    int rc = aster_strdup(ctx, name, &e->path);
    if (rc == 0)
        rc = build_index(e);
    if (rc < 0)
        aster_embeddings_free(&e);
    *out = e;
    return rc;
}

int aster_embeddings_open(struct aster_ctx *ctx, const char *path, const char *encoding,
                          int64_t dim, int64_t max_length, struct aster_embeddings **out)
{
    struct aster_embeddings *e = NULL;
    size_t n = strlen(path);
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *e, &e));
    e->ctx = ctx;
    e->dim = dim;
    snprintf(e->encoding, sizeof e->encoding, "%s", encoding);
    pthread_mutex_init(&e->lock, NULL);
    int rc = aster_strdup(ctx, path, &e->path);
    if (rc == 0)
        rc = n > 4 && !strcmp(path + n - 4, ".npz") ? open_npz(e, max_length)
                                                    : open_h5(e, max_length);
    if (rc < 0)
        aster_embeddings_free(&e);
    *out = e;
    return rc;
}

void aster_embeddings_free(struct aster_embeddings **ep)
{
    struct aster_embeddings *e = *ep;
    if (!e)
        return;
    aster_npz_close(&e->npz);
    aster_h5_close(&e->h5);
    aster_free(&e->offsets);
    aster_free(&e->entries);
    aster_free(&e->table);
    aster_proteins_free(&e->proteins);
    aster_free(&e->labels);
    aster_free(&e->path);
    pthread_mutex_destroy(&e->lock);
    aster_free(ep);
}

int aster_encoding_ready(struct aster_ctx *ctx, const char *name, bool has_store)
{
    if (has_store || strncmp(name, "esm2", 4))
        return 0;
    return aster_fail(
        ctx, ASTER_EPARAM,
        "encoding %s needs residue vectors made before; give precomputed=FILE (.npz or .h5)", name);
}

int aster_encoding_choose(struct aster_ctx *ctx, const char *name, struct aster_embeddings *e,
                          struct aster_encoding *enc)
{
    ASTER_TRY(aster_encoding_ready(ctx, name, e != NULL));
    if (strncmp(name, "esm2", 4))
        return aster_encoding_table(ctx, name, enc);
    memset(enc, 0, sizeof *enc);
    snprintf(enc->name, sizeof enc->name, "%s", name);
    enc->dim = e->dim;
    enc->rows = aster_embeddings_rows;
    enc->arg = e;
    return 0;
}

int64_t aster_encoding_key(const struct aster_embeddings *e, const struct aster_encoding *enc,
                           const struct aster_protein *p, const char **why)
{
    if (!enc->rows)
        return 0;
    return p->key >= 0 ? p->key : aster_embeddings_find(e, p->id, p->sequence, why);
}
