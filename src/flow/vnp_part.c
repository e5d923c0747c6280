/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts: memory, reading them from records, frames of their chunks. */
#include "flow/vnp.h"

#include <string.h>

enum { MOST_BASES = 1 << 23 }; /* of a part, unless one chunk has more */

const char *vnp_stage_name(int stage)
{
    return stage == VNP_DNABERT ? "DNABERT-S" : stage == VNP_ESM2 ? "ESM-2" : "classifier";
}

int vnp_part_new(struct aster_ctx *ctx, int64_t index, int64_t size, struct vnp_part **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    (*out)->index = index;
    (*out)->size = size;
    return 0;
}

void vnp_part_free(struct vnp_part **pp)
{
    struct vnp_part *p = *pp;
    if (!p)
        return;
    for (int64_t k = 0; k < p->n_records; k++) {
        aster_free(&p->record[k].id);
        aster_free(&p->record[k].fault);
        aster_free(&p->record[k].bases);
    }
    vnp_work_free(&p->work);
    aster_free(&p->record);
    aster_free(&p->chunk);
    aster_free(&p->frame);
    aster_free(&p->text);
    aster_str_free(&p->texts);
    aster_str_free(&p->whole);
    aster_free(pp);
}

int64_t vnp_part_items(const struct vnp_part *p)
{
    int64_t n = p->n_chunks;
    for (int64_t k = 0; k < p->n_records; k++)
        n += p->record[k].n_chunks == 0;
    return n;
}

int64_t vnp_part_failed(const struct vnp_part *p)
{
    int64_t n = 0;
    for (int64_t k = 0; k < p->n_records; k++)
        n += p->record[k].fault != NULL;
    for (int64_t k = 0; k < p->n_chunks; k++) {
        const struct vnp_chunk *c = &p->chunk[k];
        bool failed = false;
        for (int64_t f = c->first_frame; f < c->first_frame + c->n_frames; f++)
            failed = failed || p->frame[f].status != 0;
        n += failed;
    }
    return n;
}

struct aster_span vnp_chunk_span(const struct vnp_part *p, const struct aster_chunks *plan,
                                 int64_t chunk)
{
    int64_t i = vnp_chunk_number(p, chunk);
    return (struct aster_span){aster_chunk_begin(plan, i), aster_chunk_end(plan, i)};
}

/* ---- reading ---- */

struct vnp_reader {
    struct aster_ctx *ctx;
    const struct aster_dna_source *source;
    struct aster_dna *dna;
    struct aster_dna_record record; /* the one that is cut */
    struct aster_chunks plan;
    bool in_record;
    int64_t next_chunk, file, index, size, items;
};

int vnp_reader_new(struct aster_ctx *ctx, const struct aster_dna_source *source,
                   int64_t chunk_length, int64_t items, struct vnp_reader **out)
{
    struct vnp_reader *r = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *r, &r));
    *r = (struct vnp_reader){
        .ctx = ctx, .source = source, .size = chunk_length, .items = items, .file = -1};
    int rc = aster_dna_open(ctx, source->n, (const char *const *)source->path, source->any_letter,
                            &r->dna);
    if (rc < 0)
        vnp_reader_free(&r);
    *out = r;
    return rc;
}

void vnp_reader_free(struct vnp_reader **rp)
{
    if (!*rp)
        return;
    aster_dna_close(&(*rp)->dna);
    aster_free(rp);
}

/* Which file the record is of: the next one with its path. A file may be named twice; its lines
 * begin again then. */
static void find_file(struct vnp_reader *r, int64_t last_line)
{
    const char *path = r->record.path;
    bool same = r->file >= 0 && r->record.line > last_line;
    for (int64_t k = same ? r->file : r->file + 1; k < r->source->n; k++)
        if (!strcmp(path,
                    strcmp(r->source->path[k], "-") ? r->source->path[k] : "standard input")) {
            r->file = k;
            return;
        }
}

/* m chunks of the record from the next one on. */
static int add_piece(struct vnp_reader *r, struct vnp_part *p, int64_t m)
{
    const struct aster_dna_record *d = &r->record;
    ASTER_TRY(aster_grow(r->ctx, p->n_records + 1, sizeof *p->record, &p->cap_records, &p->record));
    struct vnp_record *x = &p->record[p->n_records];
    *x = (struct vnp_record){.file = r->file,
                             .line = d->line,
                             .index = d->index,
                             .length = d->length,
                             .n_ambiguous = d->n_ambiguous,
                             .first_chunk = r->next_chunk,
                             .n_chunks = m,
                             .at = p->n_chunks};
    p->n_records++;
    ASTER_TRY(aster_strdup(r->ctx, d->id, &x->id));
    if (d->fault)
        return aster_strdup(r->ctx, d->fault, &x->fault);
    x->begin = aster_chunk_begin(&r->plan, r->next_chunk);
    x->n_bases = aster_chunk_end(&r->plan, r->next_chunk + m - 1) - x->begin;
    x->hash = (int64_t)aster_hash64(d->seq + x->begin, (size_t)x->n_bases);
    ASTER_TRY(aster_strndup(r->ctx, d->seq + x->begin, (size_t)x->n_bases, &x->bases));
    ASTER_TRY(aster_grow(r->ctx, p->n_chunks + m, sizeof *p->chunk, &p->cap_chunks, &p->chunk));
    for (int64_t k = 0; k < m; k++)
        p->chunk[p->n_chunks++] = (struct vnp_chunk){.record = p->n_records - 1};
    r->next_chunk += m;
    r->in_record = r->next_chunk < r->plan.n;
    return 0;
}

/* 1: a record is there to be cut or at fault; 0: the end. */
static int next_record(struct vnp_reader *r)
{
    int64_t last_line = r->record.line;
    int rc = aster_dna_next(r->dna, &r->record);
    if (rc != 1)
        return rc;
    find_file(r, last_line);
    r->next_chunk = 0;
    if (r->record.fault)
        return 1;
    ASTER_TRY(aster_chunks_plan(r->ctx, r->record.length, r->size, &r->plan));
    r->in_record = true;
    return 1;
}

static int fill_part(struct vnp_reader *r, struct vnp_part *p)
{
    int64_t items = 0, bases = 0;
    while (items < r->items && bases < MOST_BASES) {
        int rc = r->in_record ? 1 : next_record(r);
        if (rc != 1)
            return rc;
        if (r->record.fault) {
            ASTER_TRY(add_piece(r, p, 0));
            items++;
            continue;
        }
        int64_t m = aster_min64(r->plan.n - r->next_chunk, r->items - items);
        m = aster_min64(m, aster_max64(1, (MOST_BASES - bases) / r->size));
        ASTER_TRY(add_piece(r, p, m));
        items += m;
        bases += p->record[p->n_records - 1].n_bases;
    }
    return 0;
}

int vnp_reader_next(struct vnp_reader *r, struct vnp_part **out)
{
    *out = NULL;
    ASTER_TRY(vnp_part_new(r->ctx, r->index, r->size, out));
    int rc = fill_part(r, *out);
    if (rc < 0 || (*out)->n_records == 0)
        vnp_part_free(out);
    else
        r->index++;
    return rc < 0 ? rc : *out != NULL;
}

/* ---- frames ---- */

static int add_frame(struct vnp_part *p, const struct aster_frame *f, struct aster_same *same,
                     struct aster_str *key)
{
    int64_t number;
    key->len = 0;
    aster_str_addn(key, f->dna, (size_t)f->n_dna);
    aster_str_addn(key, "\n", 1);
    aster_str_addn(key, f->protein, (size_t)f->n_protein);
    ASTER_TRY(aster_str_ok(p->ctx, key));
    int rc = aster_same_add(same, aster_str_get(key), (int64_t)key->len, &number);
    if (rc == 0) {
        ASTER_TRY(aster_grow(p->ctx, number + 1, sizeof *p->text, &p->cap_texts, &p->text));
        p->text[p->n_texts++] = (struct vnp_text){(int64_t)p->texts.len, f->n_dna, f->n_protein};
        aster_str_addn(&p->texts, f->dna, (size_t)f->n_dna);
        aster_str_addn(&p->texts, f->protein, (size_t)f->n_protein);
        p->n_cut += aster_pooled_esm2(f->n_protein).n_cut > 0;
    }
    ASTER_TRY(rc);
    ASTER_TRY(aster_grow(p->ctx, p->n_frames + 1, sizeof *p->frame, &p->cap_frames, &p->frame));
    p->frame[p->n_frames++] = (struct vnp_frame){.number = f->number, .same = number};
    return 0;
}

static int chunk_frames(struct vnp_part *p, int64_t chunk, struct aster_span at,
                        struct aster_frames *frames, struct aster_same *same, struct aster_str *key)
{
    struct vnp_chunk *c = &p->chunk[chunk];
    const struct vnp_record *r = &p->record[c->record];
    ASTER_TRY(aster_frames_find(frames, r->bases + at.begin - r->begin, at.end - at.begin));
    for (int k = 0; k < ASTER_N_FRAMES; k++)
        c->state[k] = (uint8_t)aster_frames_state(frames, k);
    c->first_frame = p->n_frames;
    c->n_frames = aster_frames_count(frames);
    for (int k = 0; k < c->n_frames; k++)
        ASTER_TRY(add_frame(p, aster_frames_get(frames, k), same, key));
    return 0;
}

int vnp_part_frames(struct vnp_part *p, struct aster_frames *frames, struct aster_same *same)
{
    struct aster_str key = {0};
    struct aster_chunks plan = {0};
    int64_t last = -1;
    int rc = 0;
    aster_same_clear(same);
    for (int64_t k = 0; rc == 0 && k < p->n_chunks; k++) {
        int64_t record = p->chunk[k].record;
        if (record != last)
            rc = aster_chunks_plan(p->ctx, p->record[record].length, p->size, &plan);
        last = record;
        if (rc == 0)
            rc = chunk_frames(p, k, vnp_chunk_span(p, &plan, k), frames, same, &key);
    }
    aster_str_free(&key);
    return rc < 0 ? rc : aster_str_ok(p->ctx, &p->texts);
}
