/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages that read: tables, sequences, residue vectors, models; and the split. */
#include "flow/embeddings.h"

#include <errno.h>
#include <string.h>

static const char *input_path(const struct aster_run *run, int stage, const char *key)
{
    const char *given = aster_run_text(run, stage, key);
    const struct aster_input *in = aster_run_input(run, given);
    return in ? in->path : given;
}

static int add_rejected(struct aster_run *run, const struct aster_str *rows)
{
    char *path = NULL;
    ASTER_TRY(aster_str_ok(run->ctx, rows));
    if (!rows->len)
        return 0;
    ASTER_TRY(aster_run_path(run, "rejected_rows.tsv", &path));
    FILE *f = fopen(path, "a");
    bool bad = !f || fwrite(rows->s, 1, rows->len, f) != rows->len;
    if (f)
        bad = fclose(f) || bad;
    int rc =
        bad ? aster_fail(run->ctx, ASTER_EIO, "%s: cannot be written: %s", path, strerror(errno))
            : 0;
    aster_free(&path);
    return rc;
}

/* rejected_rows.tsv belongs to one pass over the tables: the first table of a run begins it anew.
 */
static int begin_rejected(struct aster_run *run, int stage)
{
    for (int i = 0; i < stage; i++)
        if (!strcmp(run->spec->stages[i].kind->name, "read-table"))
            return 0;
    struct aster_str head = {0};
    aster_str_add(&head, "file\tline\tid\treason\n");
    int rc = aster_run_write(run, "rejected_rows.tsv", &head);
    aster_str_free(&head);
    return rc;
}

/* How many rows are used, and why the others are not. */
static int table_fact(struct aster_run *run, int stage, const struct aster_proteins *p)
{
    const struct aster_table_counts *c = &p->counts;
    const struct {
        int64_t n;
        const char *why;
    } rejected[] = {{c->empty, "empty"},
                    {c->too_long, "too long"},
                    {c->missing, "without bounds"},
                    {c->not_numeric, "with bounds that are no integers"},
                    {c->outside, "with bounds outside"}};
    struct aster_str text = {0};
    for (size_t k = 0; k < sizeof rejected / sizeof *rejected; k++)
        if (rejected[k].n)
            aster_str_printf(&text, "%s%lld %s",
                             text.len ? ", " : "; left out: ", (long long)rejected[k].n,
                             rejected[k].why);
    int rc = aster_run_fact(run, run->spec->stages[stage].id,
                            "%lld of %lld rows kept, %lld with a loop%s", (long long)c->kept,
                            (long long)c->rows, (long long)p->n_loops, aster_str_get(&text));
    aster_str_free(&text);
    return rc;
}

int aster_stage_read_table(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_slot *slot = &run->slots[stage];
    const char *path = input_path(run, stage, "file");
    struct aster_str rejected = {0};
    ASTER_TRY(begin_rejected(run, stage));
    if (!*path) {
        ASTER_TRY(aster_alloc(ctx, 1, sizeof *slot->proteins, &slot->proteins));
        slot->proteins->max_length = aster_run_int(run, stage, "max_length");
        return aster_strdup(ctx, "", &slot->proteins->file);
    }
    int rc = aster_proteins_read(
        ctx, path, aster_run_text(run, stage, "format"), aster_run_int(run, stage, "max_length"),
        aster_run_bool(run, stage, "upper_case"), &rejected, &slot->proteins);
    if (rc == 0)
        rc = add_rejected(run, &rejected);
    aster_str_free(&rejected);
    ASTER_TRY(rc);
    return table_fact(run, stage, slot->proteins);
}

#define COUNT_LIMIT                                                                                \
    (INT64_C(4) << 30) /* bytes; a larger file is not read twice for the sake of a total */

int aster_stage_read_fasta(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_fasta_source *s = NULL;
    const char *given = aster_run_text(run, stage, "file");
    const struct aster_input *in = aster_run_input(run, given);
    struct aster_fasta *f = NULL;
    struct aster_fasta_record rec;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    run->slots[stage].fasta = s;
    s->upper_case = aster_run_bool(run, stage, "upper_case");
    s->strip_stop = aster_run_bool(run, stage, "strip_stop");
    s->n = s->longest = -1;
    ASTER_TRY(aster_strdup(ctx, in ? in->path : given, &s->path));
    if (!in || in->bytes > COUNT_LIMIT)
        return 0;
    ASTER_TRY(aster_fasta_open(ctx, s->path, &f));
    int rc;
    for (s->n = 0; (rc = aster_fasta_next(f, &rec)) == 1; s->n++)
        s->longest = aster_max64(s->longest, rec.length);
    aster_fasta_close(&f);
    if (rc == 0 && s->n == 0)
        rc = aster_fail(ctx, ASTER_EFORMAT, "%s: holds no record; FASTA records begin with '>'",
                        s->path);
    return rc;
}

int aster_stage_embeddings(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const char *path = input_path(run, stage, "file");
    if (!*path)
        return 0;
    return aster_embeddings_open(
        ctx, path, aster_run_text(run, stage, "encoding"), aster_run_int(run, stage, "dim"),
        aster_run_int(run, stage, "max_length"), &run->slots[stage].embeddings);
}

static int count_parts(struct aster_run *run, const struct aster_split *s)
{
    int64_t loops[2] = {0}, residues[2] = {0}, positive[2] = {0};
    for (int64_t i = 0; i < s->n; i++) {
        const struct aster_protein *p = s->p[s->order[i]];
        int part = i >= s->n_val;
        loops[part] += p->begin >= 0;
        residues[part] += p->length;
        if (p->labels)
            for (int64_t t = 0; t < p->length; t++)
                positive[part] += p->labels[t] == 1;
        else
            positive[part] += p->begin >= 0 ? p->end - p->begin : 0;
    }
    for (int part = 1; part >= 0; part--)
        ASTER_TRY(aster_run_fact(run, part ? "training part" : "validation part",
                                 "%lld proteins, %lld with a loop, %lld residues, %lld in loops",
                                 (long long)(part ? s->n - s->n_val : s->n_val),
                                 (long long)loops[part], (long long)residues[part],
                                 (long long)positive[part]));
    return 0;
}

static int write_split(struct aster_run *run, const struct aster_split *s)
{
    struct aster_str text = {0};
    aster_str_add(&text, "id,partition,position_in_partition,length,rcl_start,rcl_end\n");
    for (int64_t i = 0; i < s->n; i++) {
        const struct aster_protein *p = s->p[s->order[i]];
        bool val = i < s->n_val;
        aster_csv_field(&text, p->id, true);
        aster_str_printf(&text, ",%s,%lld,%lld,", val ? "val" : "train",
                         (long long)(val ? i : i - s->n_val), (long long)p->length);
        if (p->begin >= 0)
            aster_str_printf(&text, "%lld,%lld", (long long)p->begin + 1, (long long)p->end);
        else
            aster_str_add(&text, ",");
        aster_str_add(&text, "\n");
    }
    int rc = aster_run_write(run, "split.csv", &text);
    aster_str_free(&text);
    return rc;
}

/* All tables in one list, or the proteins of a labelled store in their place. */
static int gather(struct aster_run *run, int stage, const struct aster_protein ***out, int64_t *n,
                  int64_t *max_length)
{
    const struct aster_slot *e = aster_run_slot(run, stage, "embeddings", 0);
    const struct aster_proteins *store =
        e && e->embeddings ? aster_embeddings_proteins(e->embeddings) : NULL;
    int64_t cap = 0, n_from = store ? 1 : aster_run_value(run, stage, "from")->n;
    *n = 0;
    *max_length = -1;
    for (int64_t k = 0; k < n_from; k++) {
        const struct aster_proteins *t =
            store ? store : aster_run_slot(run, stage, "from", k)->proteins;
        if (*max_length >= 0 && *max_length != t->max_length)
            return aster_fail(run->ctx, ASTER_EPARAM,
                              "tables of one split need the same max_length, found %lld and %lld",
                              (long long)*max_length, (long long)t->max_length);
        *max_length = t->max_length;
        ASTER_TRY(aster_grow(run->ctx, *n + t->n, sizeof **out, &cap, out));
        for (int64_t i = 0; i < t->n; i++)
            (*out)[(*n)++] = &t->p[i];
    }
    return 0;
}

int aster_split_of(struct aster_run *run, int stage, struct aster_split **out)
{
    const struct aster_protein **list = NULL;
    int64_t n = 0, max_length = 0;
    int rc = gather(run, stage, &list, &n, &max_length);
    if (rc == 0)
        rc = aster_split_new(run->ctx, n, list, aster_run_real(run, stage, "train_split"),
                             (uint32_t)aster_run_int(run, stage, "seed"),
                             !strcmp(aster_run_text(run, stage, "method"), "grouped"),
                             aster_run_bool(run, stage, "deduplicate"),
                             aster_run_real(run, stage, "group_share"), out);
    aster_free(&list);
    if (rc == 0)
        (*out)->max_length = max_length;
    return rc;
}

int aster_stage_split(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_slot *slot = &run->slots[stage];
    ASTER_TRY(aster_split_of(run, stage, &slot->split));
    ASTER_TRY(count_parts(run, slot->split));
    return write_split(run, slot->split);
}

int aster_stage_load_model(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_model_file *m = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *m, &m));
    run->slots[stage].model = m;
    ASTER_TRY(aster_strdup(ctx, input_path(run, stage, "path"), &m->path));
    ASTER_TRY(aster_run_weights(run, stage, m->path, &m->weights));
    return aster_run_fact(run, run->spec->stages[stage].id, "%s on %s, length %lld, from %s",
                          aster_model_name(m->weights->model.kind), m->weights->encoding,
                          (long long)m->weights->model.max_length, m->path);
}
