/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading for an embedding run: records into parts that are the same in every run, and their
 * windows as tokens. */
#include "flow/embed_read.h"

#include "io/tokens.h"

#include <string.h>

/* of vectors: a bound on what is in memory */
#define PART_BYTES (INT64_C(256) << 20)

int64_t aster_embed_kept(const struct aster_embed_reader *r, int64_t length)
{
    return length <= r->max_length          ? length
           : r->over == ASTER_OVER_ERROR    ? 0
           : r->over == ASTER_OVER_TRUNCATE ? r->max_length
                                            : length;
}

static const struct aster_slot *source_of(const struct aster_embed_reader *r, int64_t i)
{
    return aster_run_slot(r->run, r->stage, "input", i);
}

const char *aster_embed_source_name(const struct aster_embed_reader *r, int64_t i)
{
    const struct aster_slot *s = source_of(r, i);
    return s->proteins                   ? s->proteins->file
           : strcmp(s->fasta->path, "-") ? s->fasta->path
                                         : "standard input";
}

void aster_embed_reader_start(struct aster_embed_reader *r)
{
    r->n_sources = aster_run_value(r->run, r->stage, "input")->n;
    for (int64_t i = 0; i < r->n_sources; i++) {
        const struct aster_slot *s = source_of(r, i);
        if (s->fasta && (s->fasta->n < 0 || r->n_total < 0)) {
            r->n_total = r->longest = -1;
            return;
        }
        r->n_total += s->fasta ? s->fasta->n : s->proteins->n;
        r->longest = aster_max64(r->longest, s->fasta ? s->fasta->longest : 0);
        for (int64_t k = 0; s->proteins && k < s->proteins->n; k++)
            r->longest = aster_max64(r->longest, s->proteins->p[k].length);
    }
}

/* The next record of a FASTA file or a table: 1; 0 at its end */
static int next_of(struct aster_embed_reader *r, const struct aster_slot *s, const char **id,
                   const char **sequence, int64_t *length)
{
    struct aster_fasta_record rec;
    if (s->proteins) {
        if (r->protein == s->proteins->n)
            return 0;
        const struct aster_protein *x = &s->proteins->p[r->protein++];
        *id = x->id;
        *sequence = x->sequence;
        *length = x->length;
        return 1;
    }
    if (!r->fasta)
        ASTER_TRY(aster_fasta_open(r->run->ctx, s->fasta->path, &r->fasta));
    int rc = aster_fasta_next(r->fasta, &rec);
    if (rc == 1) {
        *id = rec.id;
        *sequence = rec.seq;
        *length = rec.length;
    }
    return rc;
}

static int read_record(struct aster_embed_reader *r, struct aster_embed_part *p)
{
    const char *theirs = NULL, *letters = NULL;
    char *id = NULL, *sequence = NULL;
    int64_t length = 0;
    int rc = 0;
    for (; r->source < r->n_sources; r->source++) {
        rc = next_of(r, source_of(r, r->source), &theirs, &letters, &length);
        if (rc != 0)
            break;
        aster_fasta_close(&r->fasta);
        r->protein = 0;
    }
    if (rc != 1)
        return rc;
    ASTER_TRY(aster_strdup(r->run->ctx, theirs, &id));
    rc = aster_strndup(r->run->ctx, letters, (size_t)length, &sequence);
    if (rc < 0) {
        aster_free(&id);
        return rc;
    }
    const struct aster_fasta_source *fasta = source_of(r, r->source)->fasta;
    if (fasta && fasta->upper_case)
        aster_upper_case(sequence);
    if (fasta && fasta->strip_stop && length && sequence[length - 1] == '*')
        sequence[--length] = '\0';
    ASTER_TRY(aster_embed_part_add(p, id, sequence, length));
    return 1;
}

static int64_t residue_bytes(const struct aster_embed_reader *r)
{
    return 16 + (r->rows ? 4 * r->n_layers * r->width : 0);
}

int64_t aster_embed_part_bytes(const struct aster_embed_part *p)
{
    return p->n_rows * (16 + (p->values ? 4 * p->n_layers * p->width : 0)) +
           (p->mean ? 4 * (p->n + p->n_units) * p->n_layers * p->width : 0);
}

/* As read_part ends parts: by records, or with the record that reaches PART_BYTES. */
int64_t aster_embed_largest_part(const struct aster_embed_reader *r)
{
    int64_t longest = r->longest < 0 ? r->max_length : r->longest, n = r->shard_size, units = 1;
    if (r->over == ASTER_OVER_WINDOWS)
        units = aster_embed_n_windows(longest, r->max_length, r->overlap);
    else
        longest = aster_min64(longest, r->max_length);
    if (r->n_total >= 0)
        n = aster_min64(n, r->n_total);
    int64_t one = longest * residue_bytes(r), rows = aster_min64(n * one, PART_BYTES + one);
    return rows + (r->mean ? 4 * n * (1 + units) * r->n_layers * r->width : 0);
}

int aster_embed_read_part(struct aster_embed_reader *r, struct aster_embed_part **out)
{
    struct aster_embed_part *p = NULL;
    int64_t bytes = 0;
    int rc = 1;
    *out = NULL;
    ASTER_TRY(aster_embed_part_new(r->run->ctx, r->n_parts, r->n_read, &p));
    while (rc == 1 && p->n < r->shard_size && bytes < PART_BYTES) {
        rc = read_record(r, p);
        if (rc == 1)
            bytes += aster_embed_kept(r, p->entry[p->n - 1].length) * residue_bytes(r);
    }
    if (rc < 0 || p->n == 0) {
        aster_embed_part_free(&p);
        return rc;
    }
    p->n_layers = r->n_layers;
    p->width = r->width;
    r->n_parts++;
    r->n_read += p->n;
    *out = p;
    return 0;
}

/* ---- tokens ---- */

/* A window of an entry, from the tokens of the whole. */
static int add_unit(struct aster_embed_part *p, int64_t entry, struct aster_embed_window w,
                    const int32_t *whole)
{
    ASTER_TRY(aster_grow(p->ctx, p->n_units + 1, sizeof *p->unit, &p->cap_units, &p->unit));
    ASTER_TRY(aster_grow(p->ctx, p->n_ids + w.n + 2, sizeof *p->ids, &p->cap_ids, &p->ids));
    p->unit[p->n_units++] = (struct aster_embed_unit){.w = w, .entry = entry, .ids = p->n_ids};
    int32_t *ids = p->ids + p->n_ids;
    memcpy(ids, whole + w.begin, (size_t)(w.n + 2) * sizeof *ids);
    ids[0] = ASTER_ESM2_BEGIN;
    ids[w.n + 1] = ASTER_ESM2_END;
    p->n_ids += w.n + 2;
    return 0;
}

/* Why an entry has no vectors, or NULL. */
static const char *refusal(const struct aster_embed_reader *r, struct aster_embed_entry *x,
                           int32_t *ids, char *text, size_t size)
{
    struct aster_esm2_odd odd;
    if (x->length == 0)
        return "empty sequence";
    if (x->kept == 0) {
        snprintf(text, size, "%lld residues, more than max_length = %lld", (long long)x->length,
                 (long long)r->max_length);
        return text;
    }
    aster_esm2_encode(x->sequence, x->kept, r->unknown < 0 ? ASTER_ESM2_UNKNOWN : r->unknown, ids,
                      &odd);
    x->odd = odd.n;
    if (odd.n == 0 || r->unknown >= 0)
        return NULL;
    snprintf(text, size, "'%c' at residue %lld is no letter of the model's", odd.byte,
             (long long)odd.at + 1);
    return text;
}

int aster_embed_make_units(struct aster_embed_reader *r, struct aster_embed_part *p)
{
    int32_t *ids = NULL;
    int64_t cap = 0;
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < p->n; i++) {
        struct aster_embed_entry *x = &p->entry[i];
        char text[128];
        x->kept = aster_embed_kept(r, x->length);
        rc = aster_grow(r->run->ctx, x->kept + 2, sizeof *ids, &cap, &ids);
        if (rc < 0)
            break;
        const char *why = refusal(r, x, ids, text, sizeof text);
        if (why) {
            aster_embed_entry_fail(r->run->ctx, x, x->length ? ASTER_EPARAM : ASTER_EFORMAT, why);
            x->kept = 0;
            continue;
        }
        x->sequence[x->kept] = '\0';
        x->row = p->n_rows;
        x->unit = p->n_units;
        x->n_units = aster_embed_n_windows(x->kept, r->max_length, r->overlap);
        p->n_rows += x->kept;
        for (int64_t k = 0; rc == 0 && k < x->n_units; k++)
            rc = add_unit(p, i, aster_embed_window(x->kept, r->max_length, r->overlap, k), ids);
    }
    aster_free(&ids);
    return rc;
}

void aster_embed_reader_close(struct aster_embed_reader *r)
{
    aster_fasta_close(&r->fasta);
}
