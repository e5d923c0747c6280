/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables that compare trainings, in the layout of the reference's summaries. */
#include "flow/summary.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

static const char rule40[] = "========================================";
static const char rule80[] =
    "================================================================================";

static void upper(char out[16], const char *s)
{
    snprintf(out, 16, "%s", s);
    for (char *p = out; *p; p++)
        *p = (char)toupper((unsigned char)*p);
}

static double at(const struct aster_json *array, int64_t i)
{
    const struct aster_json *j = array ? array->child : NULL;
    for (; j && i > 0; i--)
        j = j->next;
    return j && j->type == ASTER_JSON_NUMBER ? j->number : 0;
}

int aster_experiment_read(struct aster_ctx *ctx, const char *dir, struct aster_experiment *x)
{
    struct aster_json *j = NULL;
    char *path = NULL;
    double best = -1;
    ASTER_TRY(aster_path_join(ctx, dir, "training_history.json", &path));
    int rc = aster_file_exists(path) ? aster_json_read(ctx, path, &j) : 0;
    const struct aster_json *m = j ? aster_json_get(j, "val_metrics") : NULL,
                            *f1 = m ? aster_json_get(m, "f1") : NULL;
    if (rc == 0 && j && (!f1 || aster_json_count(f1) == 0))
        aster_log(ctx, ASTER_LOG_WARN, "%s: has no epoch; left out", path);
    if (rc == 0 && f1 && aster_json_count(f1) > 0) {
        x->done = true;
        x->epochs = aster_json_count(f1);
        for (int64_t i = 0; i < x->epochs; i++)
            if (at(f1, i) > best) {
                best = at(f1, i);
                x->best = i;
            }
        x->at_best = (struct aster_metrics){
            at(aster_json_get(m, "accuracy"), x->best), at(aster_json_get(m, "precision"), x->best),
            at(aster_json_get(m, "recall"), x->best),   best,
            at(aster_json_get(m, "f1_macro"), x->best), at(aster_json_get(m, "mcc"), x->best),
            at(aster_json_get(m, "auc"), x->best)};
    }
    aster_json_free(&j);
    aster_free(&path);
    return rc;
}

/* ---- text tables: right-aligned, one blank between columns ---- */
struct table {
    int n_columns;
    int64_t n;
    char (*cells)[24];
    int64_t cap;
};

static int add_cell(struct aster_ctx *ctx, struct table *t, const char *fmt, ...)
    ASTER_PRINTF(3, 4);
static int add_cell(struct aster_ctx *ctx, struct table *t, const char *fmt, ...)
{
    va_list ap;
    ASTER_TRY(aster_grow(ctx, t->n + 1, sizeof *t->cells, &t->cap, &t->cells));
    va_start(ap, fmt);
    aster_format(t->cells[t->n++], sizeof *t->cells, fmt, ap);
    va_end(ap);
    return 0;
}

static void put_table(struct aster_str *s, const struct table *t)
{
    for (int64_t r = 0; r < t->n / t->n_columns; r++) {
        for (int c = 0; c < t->n_columns; c++) {
            size_t width = 0;
            for (int64_t k = c; k < t->n; k += t->n_columns)
                width = strlen(t->cells[k]) > width ? strlen(t->cells[k]) : width;
            aster_str_printf(s, "%s%*s", c ? " " : "", (int)width, t->cells[r * t->n_columns + c]);
        }
        aster_str_add(s, "\n");
    }
}

static int add_header(struct aster_ctx *ctx, struct table *t, const char *const *names)
{
    for (int c = 0; c < t->n_columns; c++)
        ASTER_TRY(add_cell(ctx, t, "%s", names[c]));
    return 0;
}

static int add_names(struct aster_ctx *ctx, struct table *t, const struct aster_experiment *x)
{
    char name[16];
    upper(name, x->model);
    ASTER_TRY(add_cell(ctx, t, "%s", x->encoding));
    return add_cell(ctx, t, "%s", name);
}

static int add_metrics(struct aster_ctx *ctx, struct table *t, const struct aster_metrics *m)
{
    const double v[] = {m->accuracy, m->precision, m->recall, m->f1, m->f1_macro, m->mcc, m->auc};
    for (int k = 0; k < 7; k++)
        ASTER_TRY(add_cell(ctx, t, "%.4f", v[k]));
    return 0;
}

static int write_and_free(struct aster_run *run, const char *name, struct aster_str *s)
{
    int rc = aster_run_write(run, name, s);
    aster_str_free(s);
    return rc;
}

static const char *const metric_head[] = {"Encoding", "Model",    "Accuracy", "Precision", "Recall",
                                          "F1",       "F1-Macro", "MCC",      "AUC"};

/* ---- summary ---- */
static int summary_tables(struct aster_ctx *ctx, int64_t n, const struct aster_experiment *x,
                          struct aster_str *s)
{
    static const char *const epochs_head[] = {"Encoding", "Model", " Best Epoch", " Total Epochs"};
    struct table metrics = {.n_columns = 9}, epochs = {.n_columns = 4};
    int rc;
    ASTER_GOTO(add_header(ctx, &metrics, metric_head), done);
    ASTER_GOTO(add_header(ctx, &epochs, epochs_head), done);
    for (int64_t i = 0; i < n; i++) {
        if (!x[i].done)
            continue;
        ASTER_GOTO(add_names(ctx, &metrics, &x[i]), done);
        ASTER_GOTO(add_metrics(ctx, &metrics, &x[i].at_best), done);
        ASTER_GOTO(add_names(ctx, &epochs, &x[i]), done);
        ASTER_GOTO(add_cell(ctx, &epochs, "%lld", (long long)x[i].best + 1), done);
        ASTER_GOTO(add_cell(ctx, &epochs, "%lld", (long long)x[i].epochs), done);
    }
    put_table(s, &metrics);
    aster_str_add(s, "\nTraining Information:\n");
    put_table(s, &epochs);
done:
    aster_free(&metrics.cells);
    aster_free(&epochs.cells);
    return rc;
}

static void best_and_missing(int64_t n, const struct aster_experiment *x, struct aster_str *s)
{
    const struct aster_experiment *best = NULL;
    char name[16];
    int64_t missing = 0;
    for (int64_t i = 0; i < n; i++) {
        missing += !x[i].done;
        if (x[i].done && (!best || x[i].at_best.f1 > best->at_best.f1))
            best = &x[i];
    }
    if (best) {
        upper(name, best->model);
        aster_str_printf(s,
                         "\n\nBest Performance (among completed experiments):\n  Encoding: %s\n  "
                         "Model: %s\n  F1 Score: %.4f\n  Accuracy: %.4f\n"
                         "  MCC: %.4f\n\n",
                         best->encoding, name, best->at_best.f1, best->at_best.accuracy,
                         best->at_best.mcc);
    }
    if (missing)
        aster_str_add(s, "Missing or incomplete experiments:\n");
    for (int64_t i = 0; i < n; i++)
        if (!x[i].done)
            aster_str_printf(s, "  %s_%s\n", x[i].encoding, x[i].model);
}

int aster_summary_write(struct aster_run *run, int64_t n, const struct aster_experiment *x)
{
    struct aster_str csv = {0}, text = {0};
    char name[16];
    long long done = 0;
    aster_str_add(
        &csv,
        "Encoding,Model,Accuracy,Precision,Recall,F1,F1-Macro,MCC,AUC,Best Epoch,Total Epochs\n");
    for (int64_t i = 0; i < n; i++) {
        const struct aster_metrics *m = &x[i].at_best;
        if (!x[i].done)
            continue;
        done++;
        upper(name, x[i].model);
        aster_str_printf(&csv, "%s,%s,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%lld,%lld\n",
                         x[i].encoding, name, m->accuracy, m->precision, m->recall, m->f1,
                         m->f1_macro, m->mcc, m->auc, (long long)x[i].best + 1,
                         (long long)x[i].epochs);
    }
    aster_str_printf(&text,
                     "\n%s\nRCL Prediction Results Summary\n(%lld experiments completed)\n%s\n\n",
                     rule40, done, rule40);
    int rc = done ? summary_tables(run->ctx, n, x, &text) : 0;
    best_and_missing(n, x, &text);
    if (rc == 0)
        rc = aster_run_write(run, "summary.csv", &csv);
    if (rc == 0)
        rc = aster_run_write(run, "summary.txt", &text);
    aster_str_free(&csv);
    aster_str_free(&text);
    return rc;
}

/* ---- evaluations ---- */
static void put_head(struct aster_str *s, const char *name, const char *mode)
{
    char title[16];
    upper(title, name);
    aster_str_printf(s, "%s\n%s SET EVALUATION RESULTS\nEvaluation Mode: %s\n", rule80, title,
                     mode);
}

/* Highest exact match, then F1 (sequence); highest F1, then MCC (residue). */
static const struct aster_experiment *best_of(int64_t n, const struct aster_experiment *x,
                                              int which, bool sequence)
{
    const struct aster_experiment *best = NULL;
    for (int64_t i = 0; i < n; i++) {
        if (!x[i].has[which])
            continue;
        double a = sequence ? x[i].sequence[which].exact_match_pct : x[i].residue[which].f1;
        double b = sequence ? x[i].sequence[which].f1 : x[i].residue[which].mcc;
        double c = !best      ? -INFINITY
                   : sequence ? best->sequence[which].exact_match_pct
                              : best->residue[which].f1;
        double d = !best      ? -INFINITY
                   : sequence ? best->sequence[which].f1
                              : best->residue[which].mcc;
        if (a > c || (a == c && b > d))
            best = &x[i];
    }
    return best;
}

static int sequence_text(struct aster_run *run, const char *name, const char *file, int which,
                         double threshold, int64_t min_consecutive, int64_t n,
                         const struct aster_experiment *x)
{
    static const char *const columns[] = {"Encoding", "Model", "Accuracy", "Precision",
                                          "Recall",   "F1",    "Mean IoU", "Exact Match %"};
    const struct aster_experiment *best = best_of(n, x, which, true);
    struct table t = {.n_columns = 8};
    struct aster_str s = {0};
    char model[16];
    int rc;
    put_head(&s, name, "Sequence-level");
    aster_str_add(&s, "Threshold: ");
    aster_json_number(&s, threshold);
    aster_str_printf(&s, ", Min Consecutive: %lld\n%s\n\n", (long long)min_consecutive, rule80);
    ASTER_GOTO(add_header(run->ctx, &t, columns), done);
    for (int64_t i = 0; i < n; i++) {
        const struct aster_sequence_metrics *m = &x[i].sequence[which];
        const double v[] = {m->accuracy, m->precision, m->recall,
                            m->f1,       m->mean_iou,  m->exact_match_pct};
        if (!x[i].has[which])
            continue;
        ASTER_GOTO(add_names(run->ctx, &t, &x[i]), done);
        for (int k = 0; k < 6; k++)
            ASTER_GOTO(add_cell(run->ctx, &t, "%.4f", v[k]), done);
    }
    put_table(&s, &t);
    if (best) {
        upper(model, best->model);
        aster_str_printf(&s, "\nBEST MODEL: %s + %s (Exact Match %% = %.4f, F1 = %.4f)\n",
                         best->encoding, model, best->sequence[which].exact_match_pct,
                         best->sequence[which].f1);
    }
    rc = aster_run_write(run, file, &s);
done:
    aster_free(&t.cells);
    aster_str_free(&s);
    return rc;
}

static int residue_text(struct aster_run *run, const char *name, const char *file, int which,
                        int64_t n, const struct aster_experiment *x)
{
    const struct aster_experiment *best = best_of(n, x, which, false);
    struct table t = {.n_columns = 9};
    struct aster_str s = {0};
    char model[16];
    int rc;
    put_head(&s, name, "Residue-level (--aa)");
    aster_str_printf(&s, "%s\n\n", rule80);
    ASTER_GOTO(add_header(run->ctx, &t, metric_head), done);
    for (int64_t i = 0; i < n; i++) {
        if (!x[i].has[which])
            continue;
        ASTER_GOTO(add_names(run->ctx, &t, &x[i]), done);
        ASTER_GOTO(add_metrics(run->ctx, &t, &x[i].residue[which]), done);
    }
    put_table(&s, &t);
    if (best) {
        upper(model, best->model);
        aster_str_printf(&s, "\nBEST MODEL: %s + %s (F1 = %.4f, MCC = %.4f)\n", best->encoding,
                         model, best->residue[which].f1, best->residue[which].mcc);
    }
    rc = aster_run_write(run, file, &s);
done:
    aster_free(&t.cells);
    aster_str_free(&s);
    return rc;
}

static void sequence_csv(struct aster_str *s, int which, int64_t n,
                         const struct aster_experiment *x)
{
    char model[16];
    aster_str_add(s, "binary_accuracy,binary_precision,binary_recall,binary_f1,mean_iou,exact_"
                     "match_pct,num_sequences,num_true_rcl,num_pred_rcl,"
                     "true_positives,false_positives,false_negatives,encoding,model\n");
    for (int64_t i = 0; i < n; i++) {
        const struct aster_sequence_metrics *m = &x[i].sequence[which];
        const struct aster_sequences *c = &x[i].counts[which];
        if (!x[i].has[which])
            continue;
        upper(model, x[i].model);
        aster_str_printf(s, "%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%lld,%lld,%lld,%lld,%lld,%lld,%s,%s\n",
                         m->accuracy, m->precision, m->recall, m->f1, m->mean_iou,
                         m->exact_match_pct, (long long)m->n, (long long)m->n_true,
                         (long long)m->n_found, (long long)c->tp, (long long)c->fp,
                         (long long)c->fn, x[i].encoding, model);
    }
}

static void residue_csv(struct aster_str *s, int which, int64_t n, const struct aster_experiment *x)
{
    char model[16];
    aster_str_add(s, "accuracy,precision,recall,f1,f1_macro,mcc,auc,encoding,model\n");
    for (int64_t i = 0; i < n; i++) {
        const struct aster_metrics *m = &x[i].residue[which];
        if (!x[i].has[which])
            continue;
        upper(model, x[i].model);
        aster_str_printf(s, "%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%s,%s\n", m->accuracy, m->precision,
                         m->recall, m->f1, m->f1_macro, m->mcc, m->auc, x[i].encoding, model);
    }
}

int aster_evaluations_write(struct aster_run *run, const char *name, int which, double threshold,
                            int64_t min_consecutive, int64_t n, const struct aster_experiment *x)
{
    struct aster_str s = {0};
    char file[80], part[32] = "";
    if (min_consecutive != 1)
        snprintf(part, sizeof part, "min%lld_", (long long)min_consecutive);
    snprintf(file, sizeof file, "%s_sequence_level_%sevaluation.csv", name, part);
    sequence_csv(&s, which, n, x);
    ASTER_TRY(write_and_free(run, file, &s));
    snprintf(file, sizeof file, "%s_sequence_level_%sevaluation.txt", name, part);
    ASTER_TRY(sequence_text(run, name, file, which, threshold, min_consecutive, n, x));
    snprintf(file, sizeof file, "%s_residue_level_evaluation.csv", name);
    residue_csv(&s, which, n, x);
    ASTER_TRY(write_and_free(run, file, &s));
    snprintf(file, sizeof file, "%s_residue_level_evaluation.txt", name);
    return residue_text(run, name, file, which, n, x);
}

static void put_values(struct aster_str *s, const struct aster_metrics *m)
{
    aster_str_printf(s, ",%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f", m->accuracy, m->precision, m->recall,
                     m->f1, m->f1_macro, m->mcc, m->auc);
}

int aster_model_comparison_write(struct aster_run *run, int64_t n, const struct aster_experiment *x)
{
    static const char *const parts[] = {"Val", "Test"}, *const names[] = {
                                                            "Accuracy", "Precision", "Recall", "F1",
                                                            "F1-Macro", "MCC",       "AUC"};
    struct aster_str s = {0};
    char model[16];
    aster_str_add(&s, "Encoding,Model");
    for (int p = 0; p < 2; p++)
        for (int k = 0; k < 7; k++)
            aster_str_printf(&s, ",%s_%s", parts[p], names[k]);
    aster_str_add(&s, ",Best_Epoch,Total_Epochs\n");
    for (int64_t i = 0; i < n; i++) {
        if (!x[i].done || !x[i].has[1])
            continue;
        upper(model, x[i].model);
        aster_str_printf(&s, "%s,%s", x[i].encoding, model);
        put_values(&s, &x[i].at_best);
        put_values(&s, &x[i].residue[1]);
        aster_str_printf(&s, ",%lld,%lld\n", (long long)x[i].best + 1, (long long)x[i].epochs);
    }
    return write_and_free(run, "model_comparison.csv", &s);
}
