/* SPDX-License-Identifier: BSD-3-Clause */
/* A model against annotations: per residue, per protein, and false alarms on proteins without a
 * loop. */
#include "flow/evaluate.h"
#include "flow/plots.h"

#include <string.h>

struct source {
    struct aster_run *run;
    int64_t n, at;
    const struct aster_protein *const *list;
    const struct aster_encoding *enc;
    struct aster_embeddings *e;
};

static int next_protein(void *arg, struct aster_item *out)
{
    struct source *s = arg;
    if (s->at == s->n)
        return 0;
    const struct aster_protein *p = s->list[s->at++];
    ASTER_TRY(aster_strdup(s->run->ctx, p->id, &out->id));
    int rc = aster_strndup(s->run->ctx, p->sequence, (size_t)p->length, &out->sequence);
    if (rc < 0) {
        aster_free(&out->id);
        return rc;
    }
    out->length = p->length;
    out->hash = aster_fnv1a64(p->sequence, (size_t)p->length);
    if (s->enc->rows)
        out->key = p->key;
    return 1;
}

static int add_item(struct aster_run *run, struct aster_evaluation *ev,
                    const struct aster_protein *p, const struct aster_item *x)
{
    struct aster_region found = {x->begin, x->end, x->confidence};
    int64_t errors = 0;
    ev->n++;
    if (x->status) {
        ev->failed++;
        return 0;
    }
    ASTER_TRY(aster_residues_add(run->ctx, &ev->residues, x->length, x->prob, p->labels, p->begin,
                                 p->end, &errors));
    aster_sequences_add(&ev->sequences, p->begin, p->end, &found);
    ASTER_TRY(aster_grow(run->ctx, errors + 1, sizeof *ev->errors, &ev->cap_errors, &ev->errors));
    ev->n_errors = aster_max64(ev->n_errors, errors + 1);
    ev->errors[errors]++;
    struct aster_str *s = &ev->predictions;
    aster_csv_field(s, p->id, true);
    aster_csv_field(s, p->sequence, false);
    aster_str_printf(s, ",%lld,", (long long)p->length);
    if (p->begin >= 0)
        aster_str_printf(s, "%lld,%lld", (long long)p->begin + 1, (long long)p->end);
    else
        aster_str_add(s, ",");
    aster_str_add(s, ",");
    if (x->begin >= 0)
        aster_str_printf(s, "%lld,%lld", (long long)x->begin + 1, (long long)x->end);
    else
        aster_str_add(s, ",");
    aster_str_add(s, ",");
    aster_json_number(s, (double)(float)x->confidence);
    aster_str_printf(s, ",%lld\n", (long long)errors);
    return aster_str_ok(run->ctx, s);
}

static int collect(struct aster_run *run, struct aster_store *store, int64_t n_shards,
                   const struct source *s, struct aster_evaluation *ev)
{
    struct aster_shard *shard = NULL;
    int64_t at = 0;
    aster_str_add(&ev->predictions, "protein_id,sequence,seq_length,true_rcl_start,true_rcl_end,"
                                    "pred_rcl_start,pred_rcl_end,confidence,num_errors\n");
    int rc = 0;
    for (int64_t i = 0; i < n_shards; i++) {
        ASTER_GOTO(aster_shard_load(run->ctx, store, i, &shard), done);
        for (int64_t k = 0; k < shard->n; k++)
            ASTER_GOTO(add_item(run, ev, s->list[at++], &shard->items[k]), done);
        aster_shard_free(&shard);
    }
    ASTER_GOTO(aster_residues_result(run->ctx, &ev->residues, &ev->metrics), done);
    aster_sequences_result(&ev->sequences, &ev->summary);
done:
    aster_shard_free(&shard);
    return rc;
}

int aster_evaluate(struct aster_run *run, const char *stage, const struct aster_weights *w,
                   struct aster_embeddings *e, int64_t n, const struct aster_protein *const *list,
                   double threshold, int64_t min_consecutive, int64_t batch_size,
                   int64_t shard_size, struct aster_evaluation *out)
{
    struct aster_encoding enc;
    struct aster_store *store = NULL;
    struct aster_infer_result result;
    struct source s = {.run = run, .n = n, .list = list, .enc = &enc, .e = e};
    memset(out, 0, sizeof *out);
    ASTER_TRY(aster_encoding_choose(run->ctx, w->encoding, e, &enc));
    ASTER_TRY(aster_store_open(run, stage, &store));
    struct aster_infer_config c = {.run = run,
                                   .stage = stage,
                                   .store = store,
                                   .weights = w,
                                   .enc = &enc,
                                   .embeddings = e,
                                   .threshold = threshold,
                                   .min_consecutive = min_consecutive,
                                   .min_length = 1,
                                   .batch_size = batch_size,
                                   .shard_size = shard_size,
                                   .max_open = 8 * shard_size,
                                   .total = n,
                                   .keep_prob = true,
                                   .next = next_protein,
                                   .arg = &s};
    int rc = aster_infer(&c, &result);
    if (rc == 0)
        rc = collect(run, store, result.shards, &s, out);
    aster_store_close(&store);
    if (rc < 0)
        aster_evaluation_free(out);
    return rc;
}

void aster_evaluation_free(struct aster_evaluation *ev)
{
    aster_residues_free(&ev->residues);
    aster_free(&ev->errors);
    aster_str_free(&ev->predictions);
    memset(ev, 0, sizeof *ev);
}

void aster_metrics_json(struct aster_str *s, const struct aster_metrics *m)
{
    const char *names[] = {"accuracy", "precision", "recall", "f1", "f1_macro", "mcc", "auc"};
    const double values[] = {m->accuracy, m->precision, m->recall, m->f1,
                             m->f1_macro, m->mcc,       m->auc};
    aster_str_add(s, "{\n");
    for (int i = 0; i < 7; i++) {
        aster_str_printf(s, "  \"%s\": ", names[i]);
        aster_json_number(s, values[i]);
        aster_str_add(s, i < 6 ? ",\n" : "\n}");
    }
}

static void put_number(struct aster_str *s, const char *name, double x, bool last)
{
    aster_str_printf(s, "  \"%s\": ", name);
    aster_json_number(s, x);
    aster_str_add(s, last ? "\n}" : ",\n");
}

static void put_count(struct aster_str *s, const char *name, int64_t n)
{
    aster_str_printf(s, "  \"%s\": %lld,\n", name, (long long)n);
}

static void sequence_json(struct aster_str *s, const struct aster_evaluation *ev, double threshold,
                          int64_t min_consecutive)
{
    const struct aster_sequence_metrics *m = &ev->summary;
    aster_str_add(s, "{\n");
    put_number(s, "threshold", threshold, false);
    put_count(s, "min_consecutive", min_consecutive);
    put_number(s, "binary_accuracy", m->accuracy, false);
    put_number(s, "binary_precision", m->precision, false);
    put_number(s, "binary_recall", m->recall, false);
    put_number(s, "binary_f1", m->f1, false);
    put_number(s, "mean_iou", m->mean_iou, false);
    put_number(s, "exact_match_pct", m->exact_match_pct, false);
    put_number(s, "exact_match_true_pct", m->exact_match_true_pct, false);
    put_number(s, "strict_match_true_pct", m->strict_match_true_pct, false);
    put_count(s, "num_sequences", m->n);
    put_count(s, "num_true_rcl", m->n_true);
    put_count(s, "num_pred_rcl", m->n_found);
    put_count(s, "true_positives", ev->sequences.tp);
    put_count(s, "true_negatives", ev->sequences.tn);
    put_count(s, "false_positives", ev->sequences.fp);
    put_count(s, "false_negatives", ev->sequences.fn);
    put_number(s, "false_positive_pct", m->false_positive_pct, true);
}

static int write_files(struct aster_run *run, const struct aster_evaluation *ev, double threshold,
                       int64_t min_consecutive)
{
    struct aster_str s = {0};
    aster_metrics_json(&s, &ev->metrics);
    int rc = aster_run_write(run, "metrics.json", &s);
    aster_str_free(&s);
    sequence_json(&s, ev, threshold, min_consecutive);
    if (rc == 0)
        rc = aster_run_write(run, "sequence_metrics.json", &s);
    aster_str_free(&s);
    aster_str_add(&s, "num_errors,num_proteins\n");
    for (int64_t k = 0; k < ev->n_errors; k++)
        if (ev->errors[k])
            aster_str_printf(&s, "%lld,%lld\n", (long long)k, (long long)ev->errors[k]);
    if (rc == 0)
        rc = aster_run_write(run, "error_counts.csv", &s);
    aster_str_free(&s);
    aster_str_printf(&s, "true,predicted_non_rcl,predicted_rcl\nnon_rcl,%lld,%lld\nrcl,%lld,%lld\n",
                     (long long)ev->residues.tn, (long long)ev->residues.fp,
                     (long long)ev->residues.fn, (long long)ev->residues.tp);
    if (rc == 0)
        rc = aster_run_write(run, "confusion_matrix.csv", &s);
    aster_str_free(&s);
    if (rc == 0)
        rc = aster_run_write(run, "predictions.csv", &ev->predictions);
    return rc == 0 ? aster_plots_evaluation(run->ctx, run->dir, NULL) : rc;
}

static int add_all(struct aster_run *run, int stage, const struct aster_protein ***list, int64_t *n)
{
    int64_t cap = 0, parts = aster_run_value(run, stage, "data")->n;
    *n = 0;
    for (int64_t k = 0; k < parts; k++) {
        const struct aster_slot *slot = aster_run_slot(run, stage, "data", k);
        int64_t more = slot->split ? slot->split->n_val : slot->proteins->n;
        ASTER_TRY(aster_grow(run->ctx, *n + more, sizeof **list, &cap, list));
        for (int64_t i = 0; i < more; i++)
            (*list)[(*n)++] =
                slot->split ? slot->split->p[slot->split->order[i]] : &slot->proteins->p[i];
    }
    return *n ? 0
              : aster_fail(run->ctx, ASTER_EPARAM, "stage %s: there is no protein to evaluate",
                           run->spec->stages[stage].id);
}

static int evaluation_facts(struct aster_run *run, const struct aster_evaluation *ev)
{
    const struct aster_sequence_metrics *m = &ev->summary;
    ASTER_TRY(aster_run_fact(
        run, "residues", "accuracy %.4f, precision %.4f, recall %.4f, F1 %.4f, MCC %.4f, AUC %.4f",
        ev->metrics.accuracy, ev->metrics.precision, ev->metrics.recall, ev->metrics.f1,
        ev->metrics.mcc, ev->metrics.auc));
    ASTER_TRY(aster_run_fact(
        run, "proteins with a loop",
        "%lld, found %lld, mean IoU %.4f, both ends within 2: %.2f %%, exact: %.2f %%",
        (long long)m->n_true, (long long)ev->sequences.tp, m->mean_iou, m->exact_match_true_pct,
        m->strict_match_true_pct));
    if (m->n > m->n_true)
        ASTER_TRY(aster_run_fact(run, "proteins without a loop",
                                 "%lld, false alarms %lld (%.2f %%)", (long long)(m->n - m->n_true),
                                 (long long)ev->sequences.fp, m->false_positive_pct));
    return 0;
}

int aster_stage_evaluate(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_slot *embeddings = aster_run_slot(run, stage, "embeddings", 0);
    const struct aster_weights *w = aster_run_slot(run, stage, "model", 0)->model->weights;
    const struct aster_protein **list = NULL;
    struct aster_evaluation ev = {0};
    double threshold = aster_run_real(run, stage, "threshold");
    int64_t n = 0, min_consecutive = aster_run_int(run, stage, "min_consecutive");
    int rc = add_all(run, stage, &list, &n);
    if (rc == 0)
        rc = aster_evaluate(run, run->spec->stages[stage].id, w,
                            embeddings ? embeddings->embeddings : NULL, n, list, threshold,
                            min_consecutive, aster_run_int(run, stage, "batch_size"),
                            aster_run_int(run, stage, "shard_size"), &ev);
    aster_free(&list);
    if (rc == 0)
        rc = write_files(run, &ev, threshold, min_consecutive);
    if (rc == 0)
        rc = evaluation_facts(run, &ev);
    run->items += ev.n;
    run->failed += ev.failed;
    if (rc == 0 && ev.n == ev.failed)
        rc = aster_fail(ctx, ASTER_ELIMIT,
                        "none of %lld proteins can be labelled; failed_items.tsv says why",
                        (long long)ev.n);
    aster_evaluation_free(&ev);
    return rc;
}
