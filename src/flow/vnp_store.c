/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts to and from HDF5. */
#include "flow/columns.h"
#include "flow/vnp.h"

#include <string.h>

/* Columns of the three tables of numbers. */
enum {
    R_FILE,
    R_LINE,
    R_INDEX,
    R_LENGTH,
    R_AMBIGUOUS,
    R_FIRST,
    R_CHUNKS,
    R_HASH,
    R_ID,
    R_FAULT,
    R_N
};
enum { C_RECORD, C_FRAMES, C_STATES, C_N };
enum { F_NUMBER, F_STAGE, F_STATUS, F_SAME, F_N };
enum { T_DNA, T_PROTEIN, T_N };
enum { NO_FAULT = -1 };

struct columns {
    int64_t *record, *chunk, *frame, *text;
    float *score;
    struct aster_str names; /* ids and faults */
};

static void free_columns(struct columns *c)
{
    aster_free(&c->record);
    aster_free(&c->chunk);
    aster_free(&c->frame);
    aster_free(&c->text);
    aster_free(&c->score);
    aster_str_free(&c->names);
}

static int64_t pack_states(const uint8_t state[ASTER_N_FRAMES])
{
    int64_t all = 0;
    for (int k = ASTER_N_FRAMES - 1; k >= 0; k--)
        all = all * 8 + state[k];
    return all;
}

static void fill_records(const struct vnp_part *p, struct columns *c)
{
    for (int64_t k = 0; k < p->n_records; k++) {
        const struct vnp_record *r = &p->record[k];
        const int64_t row[R_N] = {[R_FILE] = r->file,
                                  [R_LINE] = r->line,
                                  [R_INDEX] = r->index,
                                  [R_LENGTH] = r->length,
                                  [R_AMBIGUOUS] = r->n_ambiguous,
                                  [R_FIRST] = r->first_chunk,
                                  [R_CHUNKS] = r->n_chunks,
                                  [R_HASH] = r->hash,
                                  [R_ID] = (int64_t)strlen(r->id),
                                  [R_FAULT] = r->fault ? (int64_t)strlen(r->fault) : NO_FAULT};
        memcpy(c->record + k * R_N, row, sizeof row);
        aster_str_add(&c->names, r->id);
        aster_str_add(&c->names, r->fault ? r->fault : "");
    }
}

static int fill_columns(const struct vnp_part *p, struct columns *c)
{
    ASTER_TRY(aster_alloc(p->ctx, p->n_records * R_N, sizeof *c->record, &c->record));
    ASTER_TRY(aster_alloc(p->ctx, p->n_chunks * C_N, sizeof *c->chunk, &c->chunk));
    ASTER_TRY(aster_alloc(p->ctx, p->n_frames * F_N, sizeof *c->frame, &c->frame));
    ASTER_TRY(aster_alloc(p->ctx, p->n_frames * 2, sizeof *c->score, &c->score));
    ASTER_TRY(aster_alloc(p->ctx, p->n_texts * T_N, sizeof *c->text, &c->text));
    fill_records(p, c);
    for (int64_t k = 0; k < p->n_chunks; k++) {
        c->chunk[k * C_N + C_RECORD] = p->chunk[k].record;
        c->chunk[k * C_N + C_FRAMES] = p->chunk[k].n_frames;
        c->chunk[k * C_N + C_STATES] = pack_states(p->chunk[k].state);
    }
    for (int64_t k = 0; k < p->n_frames; k++) {
        const struct vnp_frame *f = &p->frame[k];
        c->frame[k * F_N + F_NUMBER] = f->number;
        c->frame[k * F_N + F_STAGE] = f->stage;
        c->frame[k * F_N + F_STATUS] = f->status;
        c->frame[k * F_N + F_SAME] = f->same;
        c->score[2 * k] = f->other;
        c->score[2 * k + 1] = f->virus;
    }
    for (int64_t k = 0; k < p->n_texts; k++) {
        c->text[k * T_N + T_DNA] = p->text[k].n_dna;
        c->text[k * T_N + T_PROTEIN] = p->text[k].n_protein;
    }
    return aster_str_ok(p->ctx, &c->names);
}

/* ---- writing ---- */

static int write_matrix(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t rows,
                        int64_t columns, const void *data)
{
    const int64_t dim[2] = {rows, columns};
    return rows ? aster_h5_write(f, name, t, 2, dim, data) : 0;
}

static int write_texts(struct aster_h5 *f, const struct vnp_part *p, const struct columns *c)
{
    struct aster_str whole = {0};
    struct aster_chunks plan;
    int rc = write_matrix(f, "text", ASTER_I64, p->n_texts, T_N, c->text);
    for (int64_t k = 0; rc == 0 && k < p->n_chunks; k++) {
        const struct vnp_record *r = &p->record[p->chunk[k].record];
        rc = aster_chunks_plan(p->ctx, r->length, p->size, &plan);
        if (rc < 0)
            break;
        struct aster_span at = vnp_chunk_span(p, &plan, k);
        aster_str_addn(&whole, r->bases + at.begin - r->begin, (size_t)(at.end - at.begin));
    }
    if (rc == 0)
        rc = aster_str_ok(p->ctx, &whole);
    if (rc == 0)
        rc = aster_bytes_write(f, "whole", &whole);
    if (rc == 0)
        rc = aster_bytes_write(f, "texts", &p->texts);
    aster_str_free(&whole);
    return rc;
}

struct writing {
    const struct vnp_keeping *keeping;
    const struct vnp_part *part;
    const struct columns *columns;
};

static int write_part(void *arg, const char *path)
{
    const struct writing *w = arg;
    const struct vnp_part *p = w->part;
    const struct columns *c = w->columns;
    struct aster_h5 *f = NULL;
    int rc;
    ASTER_TRY(aster_h5_create(p->ctx, path, &f));
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "n_records", p->n_records), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "n_chunks", p->n_chunks), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "n_frames", p->n_frames), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "n_texts", p->n_texts), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "n_cut", p->n_cut), done);
    ASTER_GOTO(write_matrix(f, "record", ASTER_I64, p->n_records, R_N, c->record), done);
    ASTER_GOTO(write_matrix(f, "chunk", ASTER_I64, p->n_chunks, C_N, c->chunk), done);
    ASTER_GOTO(write_matrix(f, "frame", ASTER_I64, p->n_frames, F_N, c->frame), done);
    ASTER_GOTO(write_matrix(f, "score", ASTER_F32, p->n_frames, 2, c->score), done);
    ASTER_GOTO(aster_bytes_write(f, "names", &c->names), done);
    if (w->keeping->texts)
        ASTER_GOTO(write_texts(f, p, c), done);
    rc = aster_h5_commit(&f);
done:
    aster_h5_close(&f);
    return rc;
}

int vnp_part_save(const struct vnp_keeping *k, const struct vnp_part *p)
{
    struct columns c = {0};
    int rc = fill_columns(p, &c);
    if (rc == 0)
        rc = aster_store_put(k->store, p->index, write_part, &(struct writing){k, p, &c});
    free_columns(&c);
    return rc;
}

/* ---- reading ---- */

static int read_i64(struct aster_h5 *f, const char *name, int64_t n, int64_t **out)
{
    return n ? aster_h5_read(f, name, ASTER_I64, n, out) : 0;
}

static int read_columns(struct aster_ctx *ctx, struct aster_h5 *f, struct vnp_part *p,
                        struct columns *c)
{
    ASTER_TRY(aster_h5_attr_i64(f, "/", "n_records", &p->n_records));
    ASTER_TRY(aster_h5_attr_i64(f, "/", "n_chunks", &p->n_chunks));
    ASTER_TRY(aster_h5_attr_i64(f, "/", "n_frames", &p->n_frames));
    ASTER_TRY(aster_h5_attr_i64(f, "/", "n_cut", &p->n_cut));
    ASTER_TRY(read_i64(f, "record", p->n_records * R_N, &c->record));
    ASTER_TRY(read_i64(f, "chunk", p->n_chunks * C_N, &c->chunk));
    ASTER_TRY(read_i64(f, "frame", p->n_frames * F_N, &c->frame));
    if (p->n_frames)
        ASTER_TRY(aster_h5_read(f, "score", ASTER_F32, 2 * p->n_frames, &c->score));
    ASTER_TRY(aster_bytes_read(ctx, f, "names", &c->names));
    if (!aster_h5_has(f, "whole"))
        return 0;
    ASTER_TRY(aster_h5_attr_i64(f, "/", "n_texts", &p->n_texts));
    ASTER_TRY(read_i64(f, "text", p->n_texts * T_N, &c->text));
    ASTER_TRY(aster_bytes_read(ctx, f, "whole", &p->whole));
    return aster_bytes_read(ctx, f, "texts", &p->texts);
}

/* n bytes of the names as a text. */
static int take_name(struct vnp_part *p, const struct columns *c, int64_t n, int64_t *at,
                     char **out)
{
    if (n < 0 || n > (int64_t)c->names.len - *at)
        return aster_fail(p->ctx, ASTER_EFORMAT, "part %lld: a name of %lld bytes is not there",
                          (long long)p->index, (long long)n);
    *at += n;
    return aster_strndup(p->ctx, aster_str_get(&c->names) + *at - n, (size_t)n, out);
}

static int take_records(struct vnp_part *p, const struct columns *c)
{
    int64_t name = 0, at = 0, n = p->n_records;
    p->n_records = 0;
    ASTER_TRY(aster_alloc(p->ctx, n, sizeof *p->record, &p->record));
    for (int64_t k = 0; k < n; k++) {
        const int64_t *row = c->record + k * R_N;
        struct vnp_record *r = &p->record[p->n_records++];
        *r = (struct vnp_record){.file = row[R_FILE],
                                 .line = row[R_LINE],
                                 .index = row[R_INDEX],
                                 .length = row[R_LENGTH],
                                 .n_ambiguous = row[R_AMBIGUOUS],
                                 .first_chunk = row[R_FIRST],
                                 .n_chunks = row[R_CHUNKS],
                                 .at = at,
                                 .hash = row[R_HASH]};
        at += r->n_chunks;
        ASTER_TRY(take_name(p, c, row[R_ID], &name, &r->id));
        if (row[R_FAULT] != NO_FAULT)
            ASTER_TRY(take_name(p, c, row[R_FAULT], &name, &r->fault));
    }
    return 0;
}

static int take_rest(struct vnp_part *p, const struct columns *c)
{
    int64_t at = 0;
    ASTER_TRY(aster_alloc(p->ctx, p->n_chunks, sizeof *p->chunk, &p->chunk));
    ASTER_TRY(aster_alloc(p->ctx, p->n_frames, sizeof *p->frame, &p->frame));
    ASTER_TRY(aster_alloc(p->ctx, p->n_texts, sizeof *p->text, &p->text));
    for (int64_t k = 0; k < p->n_chunks; k++) {
        const int64_t *row = c->chunk + k * C_N;
        int64_t states = row[C_STATES];
        p->chunk[k] = (struct vnp_chunk){
            .record = row[C_RECORD], .first_frame = at, .n_frames = row[C_FRAMES]};
        for (int i = 0; i < ASTER_N_FRAMES; i++, states /= 8)
            p->chunk[k].state[i] = (uint8_t)(states % 8);
        at += row[C_FRAMES];
    }
    for (int64_t k = 0; k < p->n_frames; k++) {
        const int64_t *row = c->frame + k * F_N;
        p->frame[k] = (struct vnp_frame){.number = (int32_t)row[F_NUMBER],
                                         .stage = (int32_t)row[F_STAGE],
                                         .status = (int32_t)row[F_STATUS],
                                         .same = row[F_SAME],
                                         .other = c->score[2 * k],
                                         .virus = c->score[2 * k + 1]};
    }
    int64_t begin = 0;
    for (int64_t k = 0; k < p->n_texts; k++) {
        p->text[k] =
            (struct vnp_text){begin, c->text[k * T_N + T_DNA], c->text[k * T_N + T_PROTEIN]};
        begin += p->text[k].n_dna + p->text[k].n_protein;
    }
    return 0;
}

static int read_part(const char *path, struct vnp_part *p, struct columns *c)
{
    struct aster_h5 *f = NULL;
    ASTER_TRY(aster_h5_open(p->ctx, path, &f));
    int rc = read_columns(p->ctx, f, p, c);
    aster_h5_close(&f);
    return rc;
}

static int load_file(struct aster_ctx *ctx, const char *path, int64_t index, int64_t size,
                     struct vnp_part **out)
{
    struct columns c = {0};
    ASTER_TRY(vnp_part_new(ctx, index, size, out));
    int rc = read_part(path, *out, &c);
    int64_t n_records = (*out)->n_records;
    (*out)->n_records = 0; /* none yet to free */
    if (rc == 0) {
        (*out)->n_records = n_records;
        rc = take_records(*out, &c);
    }
    if (rc == 0)
        rc = take_rest(*out, &c);
    free_columns(&c);
    if (rc < 0)
        vnp_part_free(out);
    return rc;
}

int vnp_part_load(struct aster_ctx *ctx, const struct vnp_keeping *k, int64_t index, int64_t size,
                  struct vnp_part **out)
{
    char *path = NULL;
    *out = NULL;
    ASTER_TRY(aster_store_get(k->store, index, &path));
    int rc = load_file(ctx, path, index, size, out);
    aster_free(&path);
    return rc;
}

static bool same_records(const struct vnp_part *a, const struct vnp_part *b)
{
    bool same = a->n_records == b->n_records && a->n_chunks == b->n_chunks;
    for (int64_t k = 0; same && k < a->n_records; k++) {
        const struct vnp_record *x = &a->record[k], *y = &b->record[k];
        same = x->index == y->index && x->length == y->length && x->hash == y->hash &&
               x->first_chunk == y->first_chunk && x->n_chunks == y->n_chunks &&
               x->line == y->line && x->file == y->file && !strcmp(x->id, y->id) &&
               !x->fault == !y->fault && (!x->fault || !strcmp(x->fault, y->fault));
    }
    return same;
}

struct comparison {
    struct aster_ctx *ctx;
    const struct vnp_part *part;
    struct vnp_part **found;
};

static int compare(void *arg, const char *path, bool *same)
{
    const struct comparison *c = arg;
    const struct vnp_part *p = c->part;
    ASTER_TRY(load_file(c->ctx, path, p->index, p->size, c->found));
    *same = same_records(p, *c->found);
    if (!*same)
        vnp_part_free(c->found);
    return 0;
}

int vnp_part_known(struct aster_ctx *ctx, const struct vnp_keeping *k, const struct vnp_part *p,
                   struct vnp_part **found)
{
    struct comparison c = {ctx, p, found};
    bool same;
    *found = NULL;
    ASTER_TRY(aster_store_compare(k->store, p->index, compare, &c, &same));
    return same;
}
