/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of an embedding run: records, windows, vectors; committed to files and recognised there. */
#include "flow/embed_part.h"

#include <math.h>
#include <string.h>

/* ---- windows ---- */

static int64_t window_begin(int64_t length, int64_t most, int64_t overlap, int64_t i)
{
    return aster_min64(i * (most - overlap), length - most);
}

/* The first residue that is farther from the begin of window i than from the end of the one
 * before. */
static int64_t border(int64_t length, int64_t most, int64_t overlap, int64_t i)
{
    int64_t end = window_begin(length, most, overlap, i - 1) + most;
    return (end - 1 + window_begin(length, most, overlap, i)) / 2 + 1;
}

int64_t aster_embed_n_windows(int64_t length, int64_t most, int64_t overlap)
{
    int64_t stride = most - overlap;
    return length <= most ? 1 : 1 + (length - most + stride - 1) / stride;
}

struct aster_embed_window aster_embed_window(int64_t length, int64_t most, int64_t overlap,
                                             int64_t i)
{
    int64_t n = aster_embed_n_windows(length, most, overlap);
    if (n == 1)
        return (struct aster_embed_window){0, length, 0, length};
    int64_t own = i ? border(length, most, overlap, i) : 0,
            end = i + 1 < n ? border(length, most, overlap, i + 1) : length;
    return (struct aster_embed_window){window_begin(length, most, overlap, i), most, own,
                                       end - own};
}

/* ---- parts in memory ---- */

int aster_embed_part_new(struct aster_ctx *ctx, int64_t index, int64_t first,
                         struct aster_embed_part **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    (*out)->index = index;
    (*out)->first = first;
    return 0;
}

static void free_entries(struct aster_embed_part *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        aster_free(&p->entry[i].id);
        aster_free(&p->entry[i].sequence);
        aster_free(&p->entry[i].reason);
    }
    aster_free(&p->entry);
}

void aster_embed_part_free(struct aster_embed_part **pp)
{
    struct aster_embed_part *p = *pp;
    if (!p)
        return;
    free_entries(p);
    aster_free(&p->unit);
    aster_free(&p->ids);
    aster_free(&p->values);
    aster_free(&p->mean);
    aster_free(&p->unit_mean);
    aster_free(pp);
}

int aster_embed_part_add(struct aster_embed_part *p, char *id, char *sequence, int64_t length)
{
    int rc = aster_grow(p->ctx, p->n + 1, sizeof *p->entry, &p->cap, &p->entry);
    if (rc < 0) {
        aster_free(&id);
        aster_free(&sequence);
        return rc;
    }
    p->entry[p->n++] = (struct aster_embed_entry){.id = id,
                                                  .sequence = sequence,
                                                  .length = length,
                                                  .hash = aster_fnv1a64(sequence, (size_t)length)};
    return 0;
}

void aster_embed_entry_fail(struct aster_ctx *ctx, struct aster_embed_entry *x, int32_t status,
                            const char *reason)
{
    x->status = status;
    aster_free(&x->reason);
    if (aster_strdup(ctx, reason, &x->reason) < 0)
        x->reason = NULL;
}

/* ---- columns ---- */

struct columns {
    const char **ids, **sequences, **reasons;
    int64_t *length, *kept, *odd, *hash, *status;
};

static void free_columns(struct columns *c)
{
    aster_free(&c->ids);
    aster_free(&c->sequences);
    aster_free(&c->reasons);
    aster_free(&c->length);
    aster_free(&c->kept);
    aster_free(&c->odd);
    aster_free(&c->hash);
    aster_free(&c->status);
}

static int fill_columns(const struct aster_embed_part *p, struct columns *c)
{
    const char ***texts[] = {&c->ids, &c->sequences, &c->reasons};
    int64_t **numbers[] = {&c->length, &c->kept, &c->odd, &c->hash, &c->status};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        ASTER_TRY(aster_alloc(p->ctx, p->n, sizeof(char *), texts[k]));
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        ASTER_TRY(aster_alloc(p->ctx, p->n, sizeof(int64_t), numbers[k]));
    for (int64_t i = 0; i < p->n; i++) {
        const struct aster_embed_entry *x = &p->entry[i];
        c->ids[i] = x->id;
        c->sequences[i] = x->status ? "" : x->sequence;
        c->reasons[i] = x->reason ? x->reason : "";
        c->length[i] = x->length;
        c->kept[i] = x->status ? 0 : x->kept;
        c->odd[i] = x->odd;
        c->hash[i] = (int64_t)x->hash;
        c->status[i] = x->status;
    }
    return 0;
}

static int write_columns(struct aster_h5 *f, int64_t n, const struct columns *c)
{
    ASTER_TRY(aster_h5_write_strings(f, "ids", n, c->ids));
    ASTER_TRY(aster_h5_write_strings(f, "sequences", n, c->sequences));
    ASTER_TRY(aster_h5_write_strings(f, "reasons", n, c->reasons));
    ASTER_TRY(aster_h5_write(f, "length", ASTER_I64, 1, &n, c->length));
    ASTER_TRY(aster_h5_write(f, "kept", ASTER_I64, 1, &n, c->kept));
    ASTER_TRY(aster_h5_write(f, "odd", ASTER_I64, 1, &n, c->odd));
    ASTER_TRY(aster_h5_write(f, "hash", ASTER_I64, 1, &n, c->hash));
    return aster_h5_write(f, "status", ASTER_I64, 1, &n, c->status);
}

/* ---- writing ---- */

/* The rows of entries that have a result, back to back: how many there are. */
static int64_t pack_rows(const struct aster_embed_part *p, float *rows, int64_t row_of_entry,
                         bool residues)
{
    int64_t to = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const struct aster_embed_entry *x = &p->entry[i];
        int64_t from = residues ? x->row : i * row_of_entry, n = residues ? x->kept : 1;
        if (x->status)
            continue;
        if (from != to)
            memmove(rows + to * p->width, rows + from * p->width,
                    (size_t)(n * p->width) * sizeof *rows);
        to += n;
    }
    return to;
}

static int write_vectors(struct aster_h5 *f, const struct aster_embed_part *p)
{
    char name[32];
    for (int64_t k = 0; k < p->n_layers; k++) {
        float *rows = p->values ? p->values + k * p->n_rows * p->width : NULL,
              *mean = p->mean ? p->mean + k * p->n * p->width : NULL;
        if (rows) {
            snprintf(name, sizeof name, "values_%lld", (long long)k);
            ASTER_TRY(aster_h5_write(f, name, ASTER_F32, 2,
                                     (int64_t[]){pack_rows(p, rows, 0, true), p->width}, rows));
        }
        if (mean) {
            snprintf(name, sizeof name, "mean_%lld", (long long)k);
            ASTER_TRY(aster_h5_write(f, name, ASTER_F32, 2,
                                     (int64_t[]){pack_rows(p, mean, 1, false), p->width}, mean));
        }
    }
    return 0;
}

static int write_part(void *arg, const char *path)
{
    const struct aster_embed_part *p = arg;
    struct columns c = {0};
    struct aster_h5 *f = NULL;
    int rc;
    ASTER_GOTO(fill_columns(p, &c), done);
    ASTER_GOTO(aster_h5_create(p->ctx, path, &f), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "first", p->first), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "count", p->n), done);
    ASTER_GOTO(aster_h5_attr_set_str(f, "/", "device", p->device ? p->device : ""), done);
    ASTER_GOTO(write_columns(f, p->n, &c), done);
    ASTER_GOTO(write_vectors(f, p), done);
    rc = aster_h5_commit(&f);
done:
    aster_h5_close(&f);
    free_columns(&c);
    return rc;
}

int aster_embed_part_commit(struct aster_store *s, struct aster_embed_part *p)
{
    return aster_store_put(s, p->index, write_part, p);
}

/* ---- recognising ---- */

static bool same_entries(const struct aster_embed_part *p, char **ids, const int64_t *length,
                         const int64_t *hash)
{
    for (int64_t i = 0; i < p->n; i++)
        if (length[i] != p->entry[i].length || hash[i] != (int64_t)p->entry[i].hash ||
            strcmp(ids[i], p->entry[i].id) != 0)
            return false;
    return true;
}

struct comparison {
    const struct aster_embed_part *part;
    const char *stage;
    int64_t *n_failed;
    struct aster_str *ledger;
};

static int compare(void *arg, const char *path, bool *done)
{
    const struct comparison *c = arg;
    const struct aster_embed_part *p = c->part;
    struct aster_h5 *f = NULL;
    char **ids = NULL, **reasons = NULL;
    int64_t first = -1, n = -1, n_ids = 0, n_reasons = 0, *length = NULL, *hash = NULL,
            *status = NULL;
    int rc;
    ASTER_GOTO(aster_h5_open(p->ctx, path, &f), done);
    ASTER_GOTO(aster_h5_attr_i64(f, "/", "first", &first), done);
    ASTER_GOTO(aster_h5_attr_i64(f, "/", "count", &n), done);
    if (first != p->first || n != p->n)
        goto done;
    ASTER_GOTO(aster_h5_read_strings(f, "ids", &ids, &n_ids), done);
    ASTER_GOTO(aster_h5_read_strings(f, "reasons", &reasons, &n_reasons), done);
    ASTER_GOTO(aster_h5_read(f, "length", ASTER_I64, n, &length), done);
    ASTER_GOTO(aster_h5_read(f, "hash", ASTER_I64, n, &hash), done);
    ASTER_GOTO(aster_h5_read(f, "status", ASTER_I64, n, &status), done);
    *done = n_ids == n && n_reasons == n && same_entries(p, ids, length, hash);
    for (int64_t i = 0; *done && i < n; i++)
        *done = !aster_store_try_again(status[i]);
    for (int64_t i = 0; *done && i < n; i++)
        if (status[i]) {
            ++*c->n_failed;
            aster_ledger_line(c->ledger, ids[i], c->stage, reasons[i]);
        }
done:
    aster_h5_names_free(&ids, n_ids);
    aster_h5_names_free(&reasons, n_reasons);
    aster_free(&length);
    aster_free(&hash);
    aster_free(&status);
    aster_h5_close(&f);
    return rc;
}

int aster_embed_part_done(struct aster_store *s, const struct aster_embed_part *p,
                          const char *stage, bool *done, int64_t *n_failed,
                          struct aster_str *ledger)
{
    struct comparison c = {p, stage, n_failed, ledger};
    *n_failed = 0;
    return aster_store_compare(s, p->index, compare, &c, done);
}
