/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages over several trainings: every encoding with every model, and the comparison of finished
 * ones. */
#include "flow/plots.h"
#include "flow/summary.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct experiments {
    struct aster_run *run;
    int stage;
    const struct aster_split *split;
    struct aster_embeddings *embeddings;
    const struct aster_protein **val, **test;
    int64_t n_val, n_test, n_encodings, n_models;
    const char *const *encodings, *const *models;
    double threshold;
    int64_t min_consecutive;
    struct aster_experiment *x; /* [n_encodings, n_models] */
};

static int folder(struct aster_run *run, const struct aster_experiment *x, char **out)
{
    char name[128];
    snprintf(name, sizeof name, "%.*s_%.*s", ASTER_CUT(60, x->encoding), ASTER_CUT(60, x->model));
    return aster_run_path(run, name, out);
}

static bool finished(struct aster_ctx *ctx, const char *dir)
{
    char *path = NULL;
    bool is = aster_path_join(ctx, dir, "final_model.h5", &path) == 0 && aster_file_exists(path);
    aster_free(&path);
    return is;
}

static int train_one(struct experiments *e, const struct aster_experiment *x, const char *dir)
{
    bool esm2 = !strncmp(x->encoding, "esm2", 4);
    struct aster_history h = {0};
    char label[64];
    snprintf(label, sizeof label, "%.*s %.*s", ASTER_CUT(30, x->encoding), ASTER_CUT(30, x->model));
    struct aster_training t = {
        .run = e->run,
        .stage = e->stage,
        .split = e->split,
        .embeddings = e->embeddings,
        .encoding = x->encoding,
        .model = x->model,
        .dir = dir,
        .label = label,
        .batch_size = aster_run_int(e->run, e->stage, esm2 ? "esm2_batch_size" : "batch_size")};
    if (e->run->resumed && finished(e->run->ctx, dir)) {
        aster_log(e->run->ctx, ASTER_LOG_INFO, "%s: was finished before", label);
        return 0;
    }
    ASTER_TRY(aster_training_run(&t, &h));
    aster_history_free(&h);
    return aster_plots_training(e->run->ctx, dir, NULL);
}

static int evaluate_one(struct experiments *e, struct aster_experiment *x,
                        const struct aster_weights *w, int which)
{
    struct aster_evaluation ev;
    char stage[160];
    int64_t n = which ? e->n_test : e->n_val;
    if (n == 0)
        return 0;
    snprintf(stage, sizeof stage, "%.*s_%.*s_%s", ASTER_CUT(60, x->encoding),
             ASTER_CUT(60, x->model), which ? "test" : "val");
    ASTER_TRY(aster_evaluate(e->run, stage, w, e->embeddings, n, which ? e->test : e->val,
                             e->threshold, e->min_consecutive,
                             aster_run_int(e->run, e->stage, "batch_size"), 256, &ev));
    x->has[which] = true;
    x->residue[which] = ev.metrics;
    x->counts[which] = ev.sequences;
    x->sequence[which] = ev.summary;
    e->run->failed += ev.failed;
    aster_evaluation_free(&ev);
    return 0;
}

static int run_one(struct experiments *e, struct aster_experiment *x)
{
    struct aster_weights *w = NULL;
    char *dir = NULL, *path = NULL;
    int rc;
    ASTER_GOTO(folder(e->run, x, &dir), done);
    ASTER_GOTO(train_one(e, x, dir), done);
    ASTER_GOTO(aster_experiment_read(e->run->ctx, dir, x), done);
    ASTER_GOTO(aster_weights_find(e->run->ctx, dir, &path), done);
    ASTER_GOTO(aster_run_weights(e->run, e->stage, path, &w), done);
    for (int which = 0; which < 2; which++)
        ASTER_GOTO(evaluate_one(e, x, w, which), done);
    e->run->items++;
done:
    aster_weights_free(&w);
    aster_free(&dir);
    aster_free(&path);
    return rc;
}

/* One value per experiment for a figure; NaN where there is none. */
static void values(const struct experiments *e, int which, bool sequence, double *out)
{
    for (int64_t i = 0; i < e->n_encodings * e->n_models; i++)
        out[i] = !e->x[i].has[which] ? NAN
                 : sequence          ? e->x[i].sequence[which].exact_match_pct
                                     : e->x[i].residue[which].f1;
}

static int figures(const struct experiments *e)
{
    static const char *const names[4] = {"val_residue_level.svg", "val_sequence_level.svg",
                                         "test_residue_level.svg", "test_sequence_level.svg"};
    static const char *const titles[4] = {"Validation, residues", "Validation, proteins",
                                          "Test, residues", "Test, proteins"};
    struct aster_figure f[4];
    double *v[4] = {NULL};
    int rc = 0, n = e->n_test ? 4 : 2;
    for (int k = 0; k < n && rc == 0; k++) {
        rc = aster_alloc(e->run->ctx, e->n_encodings * e->n_models, sizeof *v[k], &v[k]);
        if (rc < 0)
            break;
        values(e, k / 2, k % 2, v[k]);
        f[k] =
            (struct aster_figure){titles[k], k % 2 ? "exact match %" : "F1", k % 2 ? 100 : 1, v[k]};
        rc = aster_plots_comparison(e->run->ctx, e->run->dir, names[k], e->n_encodings,
                                    e->encodings, e->n_models, e->models, 1, &f[k]);
    }
    if (rc == 0)
        rc = aster_plots_comparison(e->run->ctx, e->run->dir, "all_results_combined.svg",
                                    e->n_encodings, e->encodings, e->n_models, e->models, 2,
                                    &f[n - 2]);
    for (int k = 0; k < 4; k++)
        aster_free(&v[k]);
    return rc;
}

static int gather(struct experiments *e)
{
    struct aster_run *run = e->run;
    int64_t cap = 0;
    ASTER_TRY(aster_alloc(run->ctx, e->split->n_val, sizeof *e->val, &e->val));
    for (e->n_val = 0; e->n_val < e->split->n_val; e->n_val++)
        e->val[e->n_val] = e->split->p[e->split->order[e->n_val]];
    for (int64_t k = 0; k < aster_run_value(run, e->stage, "test")->n; k++) {
        const struct aster_proteins *t = aster_run_slot(run, e->stage, "test", k)->proteins;
        ASTER_TRY(aster_grow(run->ctx, e->n_test + t->n, sizeof *e->test, &cap, &e->test));
        for (int64_t i = 0; i < t->n; i++)
            e->test[e->n_test++] = &t->p[i];
    }
    return 0;
}

/* Reference order of a summary: as the encodings are given, then by the model's name. */
static int compare_model(const void *a, const void *b)
{
    return strcmp(((const struct aster_experiment *)a)->model,
                  ((const struct aster_experiment *)b)->model);
}

static int write_summary(const struct experiments *e)
{
    struct aster_experiment *sorted = NULL;
    int64_t n = e->n_encodings * e->n_models;
    ASTER_TRY(aster_alloc(e->run->ctx, n, sizeof *sorted, &sorted));
    memcpy(sorted, e->x, (size_t)n * sizeof *sorted);
    for (int64_t i = 0; i < e->n_encodings; i++)
        qsort(sorted + i * e->n_models, (size_t)e->n_models, sizeof *sorted, compare_model);
    int rc = aster_summary_write(e->run, n, sorted);
    aster_free(&sorted);
    return rc;
}

static int say_best(const struct experiments *e)
{
    const struct aster_experiment *best = NULL;
    char test[96] = "";
    for (int64_t i = 0; i < e->n_encodings * e->n_models; i++)
        if (e->x[i].has[0] && (!best || e->x[i].residue[0].f1 > best->residue[0].f1))
            best = &e->x[i];
    if (!best)
        return 0;
    if (best->has[1])
        snprintf(test, sizeof test, ", test F1 %.4f, %.1f %% of the test loops exact",
                 best->residue[1].f1, best->sequence[1].strict_match_true_pct);
    return aster_run_fact(e->run, "best", "%s %s: validation F1 %.4f%s", best->encoding,
                          best->model, best->residue[0].f1, test);
}

static int compare_all(const struct experiments *e)
{
    int64_t n = e->n_encodings * e->n_models;
    ASTER_TRY(write_summary(e));
    ASTER_TRY(aster_evaluations_write(e->run, "val", 0, e->threshold, e->min_consecutive, n, e->x));
    if (e->n_test) {
        ASTER_TRY(
            aster_evaluations_write(e->run, "test", 1, e->threshold, e->min_consecutive, n, e->x));
        ASTER_TRY(aster_model_comparison_write(e->run, n, e->x));
    }
    ASTER_TRY(say_best(e));
    return figures(e);
}

static int run_all(struct experiments *e)
{
    int64_t n = e->n_encodings * e->n_models;
    ASTER_TRY(aster_alloc(e->run->ctx, n, sizeof *e->x, &e->x));
    ASTER_TRY(gather(e));
    for (int64_t i = 0; i < n; i++) {
        e->x[i].encoding = e->encodings[i / e->n_models];
        e->x[i].model = e->models[i % e->n_models];
        if (!e->embeddings && !strncmp(e->x[i].encoding, "esm2", 4)) {
            aster_log(e->run->ctx, ASTER_LOG_WARN,
                      "%s %s is left out: it needs residue vectors (precomputed=FILE)",
                      e->x[i].encoding, e->x[i].model);
            continue;
        }
        ASTER_TRY(run_one(e, &e->x[i]));
    }
    return compare_all(e);
}

int aster_stage_experiments(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_slot *emb = aster_run_slot(run, stage, "embeddings", 0);
    const struct aster_opt_value *encodings = aster_run_value(run, stage, "encodings"),
                                 *models = aster_run_value(run, stage, "models");
    struct experiments e = {.run = run,
                            .stage = stage,
                            .split = aster_run_slot(run, stage, "data", 0)->split,
                            .embeddings = emb ? emb->embeddings : NULL,
                            .n_encodings = encodings->n,
                            .encodings = encodings->items,
                            .n_models = models->n,
                            .models = models->items,
                            .threshold = aster_run_real(run, stage, "threshold"),
                            .min_consecutive = aster_run_int(run, stage, "min_consecutive")};
    int rc = run_all(&e);
    aster_free(&e.x);
    aster_free(&e.val);
    aster_free(&e.test);
    return rc;
}

/* ---- summary of trainings made elsewhere ---- */

/* <folder>/<encoding>_<model>, or the run_NNN in it with the highest number that holds a history.
 */
static int find_history(struct aster_ctx *ctx, const char *parent, const struct aster_experiment *x,
                        char **out)
{
    char name[128], *path = NULL, *sub = NULL;
    int64_t n, highest = -1;
    snprintf(name, sizeof name, "%.*s_%.*s", ASTER_CUT(60, x->encoding), ASTER_CUT(60, x->model));
    ASTER_TRY(aster_path_join(ctx, parent, name, out));
    DIR *d = opendir(*out);
    int rc = 0;
    for (struct dirent *f; rc == 0 && d && (f = readdir(d));) {
        if (strncmp(f->d_name, "run_", 4) || aster_parse_i64(f->d_name + 4, &n) < 0 || n <= highest)
            continue;
        highest = n;
        aster_free(&sub);
        rc = aster_path_join(ctx, *out, f->d_name, &sub);
    }
    if (d)
        closedir(d);
    if (rc == 0)
        rc = aster_path_join(ctx, *out, "training_history.json", &path);
    if (rc == 0 && !aster_file_exists(path) && sub) {
        aster_free(out);
        *out = sub;
        sub = NULL;
    }
    aster_free(&path);
    aster_free(&sub);
    return rc;
}

int aster_stage_summary(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const char *parent = aster_run_text(run, stage, "folder");
    const struct aster_opt_value *encodings = aster_run_value(run, stage, "encodings"),
                                 *models = aster_run_value(run, stage, "models");
    struct aster_experiment *x = NULL;
    int64_t n = encodings->n * models->n, found = 0;
    ASTER_TRY(aster_alloc(ctx, n, sizeof *x, &x));
    int rc = 0;
    for (int64_t i = 0; i < n && rc == 0; i++) {
        char *dir = NULL;
        x[i].encoding = encodings->items[i / models->n];
        x[i].model = models->items[i % models->n];
        rc = find_history(ctx, parent, &x[i], &dir);
        if (rc == 0)
            rc = aster_experiment_read(ctx, dir, &x[i]);
        found += x[i].done;
        aster_free(&dir);
    }
    if (rc == 0 && !found)
        rc =
            aster_fail(ctx, ASTER_EPARAM,
                       "%s: has no folder <encoding>_<model> with a training_history.json", parent);
    if (rc == 0)
        rc = aster_summary_write(run, n, x);
    if (rc == 0)
        rc = aster_run_fact(run, "trainings", "%lld of %lld", (long long)found, (long long)n);
    run->items += found;
    aster_free(&x);
    return rc;
}
