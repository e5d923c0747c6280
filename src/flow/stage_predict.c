/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop of every sequence of a FASTA file: read as a stream, labelled, written in the order of
 * the input. */
#include "flow/infer.h"

#include <string.h>

struct predict {
    struct aster_run *run;
    int stage;
    const struct aster_fasta_source *source;
    struct aster_fasta *fasta;
    bool seq_fasta, rcl_fasta, csv, annotated, probabilities;
    int64_t n, failed, found, found_length;
    double confidence;
};

static int next_record(void *arg, struct aster_item *out)
{
    struct predict *p = arg;
    struct aster_fasta_record rec;
    int rc = aster_fasta_next(p->fasta, &rec);
    if (rc != 1)
        return rc;
    ASTER_TRY(aster_strdup(p->run->ctx, rec.id, &out->id));
    rc = aster_strndup(p->run->ctx, rec.seq, (size_t)rec.length, &out->sequence);
    if (rc < 0) {
        aster_free(&out->id);
        return rc;
    }
    out->length = rec.length;
    if (p->source->upper_case)
        aster_upper_case(out->sequence);
    if (p->source->strip_stop && out->length && out->sequence[out->length - 1] == '*')
        out->sequence[--out->length] = '\0';
    out->hash = aster_fnv1a64(out->sequence, (size_t)out->length);
    return 1;
}

static void csv_row(const struct predict *p, struct aster_str *s, const struct aster_item *x)
{
    aster_csv_field(s, x->id, true);
    aster_str_printf(s, ",%lld,", (long long)x->length);
    if (x->begin >= 0)
        aster_str_printf(s, "%lld,%lld,", (long long)x->begin + 1, (long long)x->end);
    else
        aster_str_add(s, ",,");
    aster_json_number(s, (double)(float)x->confidence);
    aster_csv_field(s, x->status ? x->reason : "ok", false);
    if (p->probabilities) {
        aster_str_add(s, ",");
        for (int64_t t = 0; x->prob && t < x->length; t++)
            aster_str_printf(s, t ? " %.6g" : "%.6g", (double)x->prob[t]);
    }
    aster_str_add(s, "\n");
}

static void found_texts(const struct predict *p, struct aster_shard *shard,
                        const struct aster_item *x)
{
    struct aster_str head = {0};
    aster_str_printf(&shard->text[ASTER_TEXT_TSV], "%s\t%lld\t%lld\n", x->id,
                     (long long)x->begin + 1, (long long)x->end);
    if (p->seq_fasta)
        aster_fasta_write(&shard->text[ASTER_TEXT_SEQ_FASTA], x->id, x->sequence, x->length, 80);
    if (p->rcl_fasta) {
        aster_str_printf(&head, "%s RCL %lld - %lld", x->id, (long long)x->begin + 1,
                         (long long)x->end);
        aster_fasta_write(&shard->text[ASTER_TEXT_RCL_FASTA], aster_str_get(&head),
                          x->sequence + x->begin, x->end - x->begin, 80);
    }
    aster_str_free(&head);
}

static void annotated_text(struct aster_str *out, const struct aster_item *x)
{
    struct aster_str head = {0};
    if (x->begin >= 0)
        aster_str_printf(&head, "%s rcl:%lld-%lld score:%.2f", x->id, (long long)x->begin + 1,
                         (long long)x->end, x->confidence);
    else
        aster_str_printf(&head, "%s rcl:not_identified score:0.00", x->id);
    aster_fasta_write(out, aster_str_get(&head), x->sequence, x->length, 80);
    aster_str_free(&head);
}

static int render(void *arg, struct aster_shard *shard)
{
    const struct predict *p = arg;
    for (int64_t i = 0; i < shard->n; i++) {
        const struct aster_item *x = &shard->items[i];
        if (p->csv)
            csv_row(p, &shard->text[ASTER_TEXT_CSV], x);
        if (x->status)
            continue;
        if (x->begin >= 0)
            found_texts(p, shard, x);
        if (p->annotated)
            annotated_text(&shard->text[ASTER_TEXT_ANNOTATED], x);
    }
    return 0;
}

static int count_shard(void *arg, const struct aster_shard *shard)
{
    struct predict *p = arg;
    for (int64_t i = 0; i < shard->n; i++) {
        const struct aster_item *x = &shard->items[i];
        p->n++;
        p->failed += x->status != 0;
        if (x->begin < 0)
            continue;
        p->found++;
        p->found_length += x->end - x->begin;
        p->confidence += x->confidence;
    }
    return aster_ledger_add(p->run, &shard->text[ASTER_TEXT_FAILED]);
}

/* The input's name without its last extension, and without .gz before that. */
static int base_name(struct aster_ctx *ctx, const char *path, char **out)
{
    const char *base = strcmp(path, "-") ? aster_path_base(path) : "stdin";
    size_t n = strlen(base);
    if (n > 3 && !strcmp(base + n - 3, ".gz"))
        n -= 3;
    for (size_t i = n; i-- > 1;)
        if (base[i] == '.') {
            n = i;
            break;
        }
    return aster_strndup(ctx, base, n, out);
}

static void add_file(struct aster_results_file *files, int *n, struct aster_str *names,
                     enum aster_text which, const char *head, const char *base, const char *enc,
                     const char *middle, const char *threshold, const char *ext)
{
    struct aster_str *s = &names[*n];
    aster_str_printf(s, "%s_%s_%s_thr%s.%s", base, enc, middle, threshold, ext);
    files[*n] = (struct aster_results_file){which, head, aster_str_get(s)};
    ++*n;
}

/* All files in the order of the input; the ledger too, which grew in the order of commits. */
static int assemble(struct predict *p, struct aster_store *store, int64_t n_shards,
                    const char *encoding, double threshold)
{
    struct aster_results_file files[ASTER_N_TEXTS];
    struct aster_str names[ASTER_N_TEXTS] = {{0}};
    char *base = NULL, thr[32];
    int n = 0;
    snprintf(thr, sizeof thr, "%.2f", threshold);
    if (strchr(thr, '.'))
        *strchr(thr, '.') = 'p';
    ASTER_TRY(base_name(p->run->ctx, p->source->path, &base));
    add_file(files, &n, names, ASTER_TEXT_TSV, "Accession\tRCL_start_position\tRCL_end_position\n",
             base, encoding, "RCL_predictions", thr, "tsv");
    if (p->csv)
        add_file(files, &n, names, ASTER_TEXT_CSV,
                 p->probabilities
                     ? "protein_id,seq_length,pred_rcl_start,pred_rcl_end,confidence,status,"
                       "probabilities\n"
                     : "protein_id,seq_length,pred_rcl_start,pred_rcl_end,confidence,status\n",
                 base, encoding, "all", thr, "csv");
    if (p->seq_fasta)
        add_file(files, &n, names, ASTER_TEXT_SEQ_FASTA, "", base, encoding, "with_RCL", thr,
                 "fasta");
    if (p->rcl_fasta)
        add_file(files, &n, names, ASTER_TEXT_RCL_FASTA, "", base, encoding, "RCL_only", thr,
                 "fasta");
    if (p->annotated)
        add_file(files, &n, names, ASTER_TEXT_ANNOTATED, "", base, encoding, "annotated", thr,
                 "fasta");
    int rc = aster_ledger_reset(p->run, p->run->spec->stages[p->stage].id);
    for (int k = 0; rc == 0 && k < n; k++)
        rc = aster_str_ok(p->run->ctx, &names[k]);
    if (rc == 0)
        rc = aster_results_write(p->run, store, n_shards, n, files, count_shard, p);
    for (int k = 0; k < n; k++)
        aster_str_free(&names[k]);
    aster_free(&base);
    return rc;
}

static int report(struct predict *p)
{
    struct aster_run *run = p->run;
    ASTER_TRY(aster_run_fact(run, "sequences processed", "%lld", (long long)p->n));
    ASTER_TRY(aster_run_fact(run, "sequences with a loop", "%lld (%.1f %%)", (long long)p->found,
                             p->n ? 100.0 * (double)p->found / (double)p->n : 0));
    ASTER_TRY(aster_run_fact(run, "mean loop length", "%.1f",
                             p->found ? (double)p->found_length / (double)p->found : 0));
    ASTER_TRY(aster_run_fact(run, "mean confidence", "%.3f",
                             p->found ? p->confidence / (double)p->found : 0));
    if (p->failed)
        aster_log(run->ctx, ASTER_LOG_WARN, "%lld %s no result; failed_items.tsv says why",
                  (long long)p->failed, p->failed == 1 ? "sequence has" : "sequences have");
    run->items += p->n;
    run->failed += p->failed;
    if (p->n == p->failed)
        return aster_fail(
            run->ctx, ASTER_ELIMIT,
            "%s: none of its %lld sequences can be labelled; failed_items.tsv says why",
            p->source->path, (long long)p->n);
    return 0;
}

static void read_options(struct predict *p)
{
    p->seq_fasta = aster_run_bool(p->run, p->stage, "seq_fasta");
    p->rcl_fasta = aster_run_bool(p->run, p->stage, "rcl_fasta");
    p->csv = aster_run_bool(p->run, p->stage, "csv");
    p->annotated = aster_run_bool(p->run, p->stage, "annotated_fasta");
    p->probabilities = aster_run_bool(p->run, p->stage, "probabilities");
}

int aster_stage_predict(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_slot *embeddings = aster_run_slot(run, stage, "embeddings", 0);
    struct predict p = {
        .run = run, .stage = stage, .source = aster_run_slot(run, stage, "input", 0)->fasta};
    const struct aster_weights *w = aster_run_slot(run, stage, "model", 0)->model->weights;
    struct aster_embeddings *e = embeddings ? embeddings->embeddings : NULL;
    struct aster_encoding enc;
    struct aster_store *store = NULL;
    struct aster_infer_result result;
    int rc;
    int64_t chunk = aster_run_int(run, stage, "chunk_size");
    read_options(&p);
    ASTER_TRY(aster_encoding_choose(ctx, w->encoding, e, &enc));
    ASTER_TRY(aster_store_open(run, run->spec->stages[stage].id, &store));
    struct aster_infer_config c = {.run = run,
                                   .stage = run->spec->stages[stage].id,
                                   .store = store,
                                   .weights = w,
                                   .enc = &enc,
                                   .embeddings = e,
                                   .threshold = aster_run_real(run, stage, "threshold"),
                                   .min_consecutive = aster_run_int(run, stage, "min_consecutive"),
                                   .min_length = aster_run_int(run, stage, "min_rcl_length"),
                                   .batch_size = aster_run_int(run, stage, "batch_size"),
                                   .shard_size =
                                       aster_min64(chunk, aster_run_int(run, stage, "shard_size")),
                                   .max_open = chunk,
                                   .total = p.source->n,
                                   .keep_prob = p.probabilities,
                                   .next = next_record,
                                   .render = render,
                                   .arg = &p};
    ASTER_GOTO(aster_fasta_open(ctx, p.source->path, &p.fasta), done);
    ASTER_GOTO(aster_infer(&c, &result), done);
    if (result.items == 0)
        ASTER_GOTO(aster_fail(ctx, ASTER_EFORMAT,
                              "%s: holds no record; FASTA records begin with '>'",
                              strcmp(p.source->path, "-") ? p.source->path : "standard input"),
                   done);
    if (result.skipped)
        aster_log(ctx, ASTER_LOG_INFO, "%lld of %lld sequences were done before",
                  (long long)result.skipped, (long long)result.items);
    aster_fasta_warn(ctx, p.source->path, p.fasta);
    ASTER_GOTO(assemble(&p, store, result.shards, w->encoding, c.threshold), done);
    rc = report(&p);
done:
    aster_fasta_close(&p.fasta);
    aster_store_close(&store);
    return rc;
}
