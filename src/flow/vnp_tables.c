/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of a virus run, made of its parts in the order of the input. */
#include "flow/vnp_tables.h"

#include <math.h>
#include <string.h>

enum { FRAMES, BEST, JUDGED, RECORDS, N_TABLES, SORT_MEMORY = 1 << 22 };
static const char *const table_names[N_TABLES] = {
    "prediction_results.txt", "prediction_results_highestscore.csv", "chunks.tsv", "records.tsv"};

struct writer {
    const struct vnp_tables_options *o;
    struct aster_run *run;
    struct aster_ctx *ctx;
    struct vnp_totals *t;
    struct vnp_file out[N_TABLES], failed; /* failed: opened when something did */
    struct aster_str text[N_TABLES], failed_files, ledger, chunk, item, row;
    struct aster_sorter *best; /* rows by name, in the first style */
    struct vnp_exports exports;
    struct vnp_names names;
    struct vnp_results *results;
    struct aster_chunks plan;
    struct aster_record_call call; /* of the record that is under way */
    int64_t index;                 /* of that record, -1 */
};

/* ---- failures ---- */

static const char *reason_of(int32_t status)
{
    switch (status) {
    case ASTER_ENUMERIC:
        return "the result is not finite";
    case ASTER_ELIMIT:
        return "longer than a batch can be, or needs more memory than the limit";
    case ASTER_ENOMEM:
        return "out of memory";
    case ASTER_EDEVICE:
        return "no worker has room for it";
    default:
        return "the computation failed";
    }
}

/* error: NULL, or what is said where the file is named already. */
static int add_failure(struct writer *w, int64_t file, const char *key, const char *stage,
                       const char *reason, const char *error)
{
    struct aster_str text = {0};
    if (!w->failed.f)
        ASTER_TRY(vnp_file_open(w->run, "failed_files.txt", &w->failed));
    aster_str_printf(&text, "%s: %s", key, reason);
    aster_failed_line(&w->failed_files, w->o->source->path[file], stage,
                      error ? error : aster_str_get(&text));
    text.len = 0;
    aster_str_printf(&text, "%s: %s", stage, reason);
    aster_ledger_line(&w->ledger, key, w->o->stage, aster_str_get(&text));
    int rc = aster_str_ok(w->ctx, &text);
    aster_str_free(&text);
    return rc;
}

/* What a record without a usable id is called. */
static void key_of(const struct vnp_record *r, struct aster_str *out)
{
    out->len = 0;
    if (*r->id)
        aster_tsv_field(out, r->id);
    else
        aster_str_printf(out, "line %lld", (long long)r->line);
}

static int add_fault(struct writer *w, const struct vnp_record *r)
{
    struct aster_record_call none = {.length = r->length};
    key_of(r, &w->item);
    ASTER_TRY(aster_str_ok(w->ctx, &w->item));
    const char *key = aster_str_get(&w->item);
    w->t->at_fault++;
    aster_record_table_row(&w->text[RECORDS], key, &none, &w->o->rule);
    ASTER_TRY(vnp_results_record(w->results, key, r, &none));
    return add_failure(w, r->file, key, "reading", r->fault, r->fault);
}

/* ---- frames and chunks ---- */

static int add_frame(struct writer *w, const struct vnp_part *p, const struct vnp_record *r,
                     const struct vnp_frame *f, struct aster_chunk_call *call)
{
    const char *chunk = aster_str_get(&w->chunk);
    bool good = f->status == 0;
    aster_chunk_call_add(call, good ? f->other : NAN, good ? f->virus : NAN);
    ASTER_TRY(vnp_results_frame(w->results, f));
    w->item.len = 0;
    aster_str_printf(&w->item, "%s%s", chunk, aster_frame_name(f->number));
    if (good)
        aster_frame_table_row(&w->text[FRAMES], w->o->style, chunk, f->number, f->other, f->virus);
    else
        ASTER_TRY(add_failure(w, r->file, aster_str_get(&w->item), vnp_stage_name(f->stage),
                              reason_of(f->status), NULL));
    if (!w->o->exports)
        return 0;
    const struct vnp_text *t = &p->text[f->same];
    const char *dna = aster_str_get(&p->texts) + t->at, *name = aster_str_get(&w->item);
    aster_fasta_write(&w->exports.text[VNP_DNA_FASTA], name, dna, t->n_dna, 0);
    aster_fasta_write(&w->exports.text[VNP_PROTEIN_FASTA], name, dna + t->n_dna, t->n_protein, 0);
    return 0;
}

static int add_best_row(struct writer *w, const struct aster_chunk_call *call)
{
    const char *chunk = aster_str_get(&w->chunk);
    if (call->n_frames == 0)
        return 0;
    if (!w->best) {
        aster_chunk_table_row(&w->text[BEST], w->o->style, chunk, call);
        return 0;
    }
    w->row.len = 0;
    aster_chunk_table_row(&w->row, w->o->style, chunk, call);
    ASTER_TRY(aster_str_ok(w->ctx, &w->row));
    return aster_sorter_add(w->best, chunk, (int64_t)w->chunk.len, w->row.s, (int64_t)w->row.len);
}

static int add_chunk(struct writer *w, const struct vnp_part *p, int64_t k, const char *name,
                     int64_t *whole)
{
    const struct vnp_chunk *c = &p->chunk[k];
    const struct vnp_record *r = &p->record[c->record];
    struct aster_span at = vnp_chunk_span(p, &w->plan, k);
    struct aster_chunk_call call = {0};
    enum aster_frame_state state[ASTER_N_FRAMES];
    w->chunk.len = 0;
    aster_chunk_name(&w->chunk, name, vnp_chunk_number(p, k));
    ASTER_TRY(aster_str_ok(w->ctx, &w->chunk));
    for (int64_t f = c->first_frame; f < c->first_frame + c->n_frames; f++)
        ASTER_TRY(add_frame(w, p, r, &p->frame[f], &call));
    for (int i = 0; i < ASTER_N_FRAMES; i++)
        state[i] = (enum aster_frame_state)c->state[i];
    aster_judged_table_row(&w->text[JUDGED], aster_str_get(&w->chunk), at, &call, state);
    ASTER_TRY(add_best_row(w, &call));
    ASTER_TRY(vnp_results_chunk(w->results, at, &call));
    if (w->o->exports)
        aster_fasta_write(&w->exports.text[VNP_CHUNK_FASTA], aster_str_get(&w->chunk),
                          aster_str_get(&p->whole) + *whole, at.end - at.begin, 60);
    *whole += at.end - at.begin;
    w->t->chunks++;
    w->t->judged += call.n_frames > 0;
    w->t->virus_chunks += aster_chunk_call_is_virus(&call);
    w->t->frames += call.n_frames + call.n_failed;
    w->t->failed_frames += call.n_failed;
    return aster_record_call_add(w->ctx, &w->call, at, &call);
}

/* ---- records ---- */

static int add_record(struct writer *w, const struct vnp_part *p, const struct vnp_record *r,
                      int64_t *whole)
{
    const char *name;
    if (w->o->exports)
        ASTER_TRY(vnp_exports_go_to(&w->exports, r->file));
    if (r->first_chunk == 0)
        w->t->records++;
    if (r->fault)
        return add_fault(w, r);
    if (w->index != r->index)
        aster_record_call_reset(&w->call, r->length);
    w->index = r->index;
    ASTER_TRY(aster_chunks_plan(w->ctx, r->length, p->size, &w->plan));
    ASTER_TRY(vnp_names_of(&w->names, r, &name));
    for (int64_t k = r->at; k < r->at + r->n_chunks; k++)
        ASTER_TRY(add_chunk(w, p, k, name, whole));
    if (r->first_chunk + r->n_chunks < w->plan.n)
        return 0;
    aster_record_table_row(&w->text[RECORDS], name, &w->call, &w->o->rule);
    w->t->virus_records += !strcmp(aster_record_call_verdict(&w->call, &w->o->rule), "virus");
    return vnp_results_record(w->results, name, r, &w->call);
}

static int add_part(struct writer *w, const struct vnp_part *p)
{
    int64_t whole = 0;
    for (int64_t k = 0; k < p->n_records; k++)
        ASTER_TRY(add_record(w, p, &p->record[k], &whole));
    w->t->items += vnp_part_items(p);
    w->t->failed += vnp_part_failed(p);
    w->t->n_cut += p->n_cut;
    for (int k = 0; k < N_TABLES; k++)
        ASTER_TRY(vnp_file_add(&w->out[k], &w->text[k]));
    if (w->failed.f)
        ASTER_TRY(vnp_file_add(&w->failed, &w->failed_files));
    if (w->o->exports)
        ASTER_TRY(vnp_exports_flush(&w->exports));
    ASTER_TRY(aster_ledger_add(w->run, &w->ledger));
    w->ledger.len = 0;
    return vnp_results_flush(w->results);
}

/* ---- the whole ---- */

static int open_all(struct writer *w)
{
    const struct vnp_tables_options *o = w->o;
    aster_frame_table_head(&w->text[FRAMES], o->style);
    aster_chunk_table_head(&w->text[BEST], o->style);
    aster_judged_table_head(&w->text[JUDGED]);
    aster_record_table_head(&w->text[RECORDS]);
    for (int k = 0; k < N_TABLES; k++) {
        ASTER_TRY(vnp_file_open(w->run, table_names[k], &w->out[k]));
        ASTER_TRY(vnp_file_add(&w->out[k], &w->text[k]));
    }
    if (o->style != ASTER_TABLE_REWORKED)
        ASTER_TRY(aster_sorter_new(w->ctx, w->run->dir, SORT_MEMORY, &w->best));
    ASTER_TRY(vnp_names_make(w->run, o->source, o->repeats, &w->names));
    w->t->repeated = w->names.n;
    ASTER_TRY(aster_ledger_reset(w->run, o->stage));
    return vnp_results_open(o, &w->results);
}

static int write_best(struct writer *w)
{
    struct aster_sorted x;
    int rc = 0;
    while (w->best && (rc = aster_sorter_next(w->best, &x)) == 1) {
        aster_str_addn(&w->text[BEST], x.value, (size_t)x.n_value);
        if (w->text[BEST].len > 1 << 18)
            ASTER_TRY(vnp_file_add(&w->out[BEST], &w->text[BEST]));
    }
    ASTER_TRY(rc);
    return vnp_file_add(&w->out[BEST], &w->text[BEST]);
}

static int commit_all(struct writer *w)
{
    ASTER_TRY(write_best(w));
    if (w->o->exports)
        ASTER_TRY(vnp_exports_go_to(&w->exports, w->o->source->n));
    ASTER_TRY(vnp_results_commit(w->results));
    for (int k = 0; k < N_TABLES; k++)
        ASTER_TRY(vnp_file_commit(&w->out[k]));
    return w->failed.f ? vnp_file_commit(&w->failed) : 0;
}

static int write_all(struct writer *w)
{
    const struct vnp_tables_options *o = w->o;
    ASTER_TRY(open_all(w));
    for (int64_t i = 0; i < o->n_parts; i++) {
        struct vnp_part *p = NULL;
        ASTER_TRY(vnp_part_load(w->ctx, &o->keeping, i, o->chunk_length, &p));
        int rc = add_part(w, p);
        vnp_part_free(&p);
        ASTER_TRY(rc);
    }
    return commit_all(w);
}

int vnp_tables_write(const struct vnp_tables_options *o, struct vnp_totals *t)
{
    struct writer w = {
        .o = o,
        .run = o->run,
        .ctx = o->run->ctx,
        .t = t,
        .index = -1,
        .exports = {
            .run = o->run, .source = o->source, .chunk_length = o->chunk_length, .file = -1}};
    *t = (struct vnp_totals){0};
    int rc = write_all(&w);
    for (int k = 0; k < N_TABLES; k++) {
        vnp_file_drop(&w.out[k]);
        aster_str_free(&w.text[k]);
    }
    vnp_file_drop(&w.failed);
    vnp_exports_drop(&w.exports);
    vnp_names_free(&w.names);
    vnp_results_free(&w.results);
    aster_sorter_free(&w.best);
    aster_record_call_free(&w.call);
    aster_str_free(&w.failed_files);
    aster_str_free(&w.ledger);
    aster_str_free(&w.chunk);
    aster_str_free(&w.item);
    aster_str_free(&w.row);
    return rc;
}
