/* SPDX-License-Identifier: BSD-3-Clause */
/* golden-metrics FILE: regions, overlaps, sequence and residue metrics against a file of worked
 * cases. */
#include "io/io.h"
#include "train/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct check { /* what was compared so far */
    struct aster_ctx *ctx;
    const char *file;
    int64_t n;
    double worst; /* error as a fraction of its limit */
    char worst_at[240];
};

static void compare(struct check *c, const char *where, double got, double expected, double limit)
{
    double part = fabs(got - expected) / limit;
    c->n++;
    if (!(part <= c->worst)) {
        c->worst = isnan(part) ? INFINITY : part;
        snprintf(c->worst_at, sizeof c->worst_at, "%s: %.17g, expected %.17g", where, got,
                 expected);
    }
}

static const struct aster_json *member(struct check *c, const struct aster_json *o, const char *key,
                                       enum aster_json_type t, int *rc)
{
    const struct aster_json *v = aster_json_get(o, key);
    if (*rc == 0 && (!v || (v->type != t && v->type != ASTER_JSON_NULL)))
        *rc = aster_fail(c->ctx, ASTER_EFORMAT, "%s:%d: '%s' is missing or of another type",
                         c->file, o->line, key);
    return *rc < 0 ? NULL : v;
}

static double number(struct check *c, const struct aster_json *o, const char *key, double null,
                     int *rc)
{
    const struct aster_json *v = member(c, o, key, ASTER_JSON_NUMBER, rc);
    return v && v->type == ASTER_JSON_NUMBER ? v->number : null;
}

/* Background and runs of a case, painted in order. */
static int paint(struct check *c, const struct aster_json *o, int64_t n, float *prob)
{
    int rc = 0;
    float ground = (float)number(c, o, "background", 0, &rc);
    const struct aster_json *runs = member(c, o, "runs", ASTER_JSON_ARRAY, &rc);
    ASTER_TRY(rc);
    for (int64_t i = 0; i < n; i++)
        prob[i] = ground;
    for (const struct aster_json *r = runs->child; r; r = r->next) {
        if (aster_json_count(r) != 3)
            return aster_fail(c->ctx, ASTER_EFORMAT, "%s:%d: a run of three numbers is expected",
                              c->file, r->line);
        const struct aster_json *a = r->child, *b = a->next, *v = b->next;
        for (int64_t i = aster_max64(a->integer, 0); i < b->integer && i < n; i++)
            prob[i] = (float)v->number;
    }
    return 0;
}

static int case_length(struct check *c, const struct aster_json *o, int64_t *n)
{
    int rc = 0;
    *n = (int64_t)number(c, o, "length", 0, &rc);
    ASTER_TRY(rc);
    return *n < 0 || *n > 1 << 24
               ? aster_fail(c->ctx, ASTER_ELIMIT, "%s:%d: length %lld, expected 0 to 2^24", c->file,
                            o->line, (long long)*n)
               : 0;
}

static int check_region(struct check *c, const struct aster_json *o, const char *key, int64_t n,
                        const float *prob, double threshold, int64_t least)
{
    int rc = 0;
    const struct aster_json *e = member(c, o, key, ASTER_JSON_OBJECT, &rc);
    ASTER_TRY(rc);
    double begin = number(c, e, "start0", -1, &rc), end = number(c, e, "end0", -1, &rc);
    double confidence = number(c, e, "confidence", 0, &rc);
    ASTER_TRY(rc);
    struct aster_region r;
    char where[80];
    aster_region_find(n, prob, threshold, least, &r);
    snprintf(where, sizeof where, "line %d, %s", e->line, key);
    compare(c, where, (double)r.begin, begin, 0.5);
    compare(c, where, (double)r.end, end, 0.5);
    compare(c, where, r.confidence, confidence, 1e-6);
    return 0;
}

static int check_regions(struct check *c, const struct aster_json *list)
{
    int rc = 0;
    float *prob = NULL;
    int64_t cap = 0, n;
    for (const struct aster_json *o = list->child; o; o = o->next) {
        ASTER_GOTO(case_length(c, o, &n), done);
        ASTER_GOTO(aster_grow(c->ctx, n + 1, sizeof *prob, &cap, &prob), done);
        ASTER_GOTO(paint(c, o, n, prob), done);
        double threshold = number(c, o, "threshold", 0.5, &rc);
        int64_t least = (int64_t)number(c, o, "min_consecutive", 1, &rc);
        if (rc < 0)
            goto done;
        ASTER_GOTO(check_region(c, o, "expect", n, prob, threshold, least), done);
        ASTER_GOTO(check_region(c, o, "expect_no_filter", n, prob, threshold, 1), done);
    }
done:
    aster_free(&prob);
    return rc;
}

static int check_overlaps(struct check *c, const struct aster_json *list)
{
    for (const struct aster_json *o = list->child; o; o = o->next) {
        double v[5];
        int n = 0;
        char where[40];
        for (const struct aster_json *x = o->child; x && n < 5; x = x->next)
            v[n++] = x->type == ASTER_JSON_NUMBER ? x->number : -1;
        if (n != 5)
            return aster_fail(c->ctx, ASTER_EFORMAT, "%s:%d: five numbers are expected", c->file,
                              o->line);
        snprintf(where, sizeof where, "line %d, overlap", o->line);
        compare(c, where,
                aster_region_iou((int64_t)v[0], (int64_t)v[1], (int64_t)v[2], (int64_t)v[3]), v[4],
                1e-12);
    }
    return 0;
}

/* ---- a whole data set ---- */

struct item {
    int64_t n, begin, end;
    float *prob;
};

static int read_items(struct check *c, const struct aster_json *list, struct item **out, int64_t *n)
{
    *n = 0;
    ASTER_TRY(aster_alloc(c->ctx, aster_json_count(list), sizeof **out, out));
    for (const struct aster_json *o = list->child; o; o = o->next) {
        struct item *x = &(*out)[(*n)++];
        int rc = 0;
        ASTER_TRY(case_length(c, o, &x->n));
        x->begin = (int64_t)number(c, o, "true_start0", -1, &rc);
        x->end = (int64_t)number(c, o, "true_end0", -1, &rc);
        ASTER_TRY(rc);
        ASTER_TRY(aster_alloc(c->ctx, x->n, sizeof *x->prob, &x->prob));
        ASTER_TRY(paint(c, o, x->n, x->prob));
    }
    return 0;
}

struct named_value {
    const char *key;
    double value;
};

/* Every number of the object is known to us, and equal. */
static int compare_all(struct check *c, const struct aster_json *e, const struct named_value *v,
                       int n)
{
    for (const struct aster_json *x = e->child; x; x = x->next) {
        int k = 0;
        char where[120];
        while (k < n && strcmp(v[k].key, x->key))
            k++;
        if (k == n)
            return aster_fail(c->ctx, ASTER_EFORMAT, "%s:%d: unknown metric '%s'", c->file, x->line,
                              x->key);
        snprintf(where, sizeof where, "line %d, %s", x->line, x->key);
        compare(c, where, v[k].value, x->number, 1e-9 * fmax(1, fabs(x->number)));
    }
    return 0;
}

static int check_sequences(struct check *c, const struct aster_json *e, const struct item *item,
                           int64_t n)
{
    double threshold;
    int least;
    if (sscanf(e->key, "sequence_level thr=%lf min_consecutive=%d", &threshold, &least) != 2)
        return aster_fail(c->ctx, ASTER_EFORMAT, "%s:%d: key '%s' is not understood", c->file,
                          e->line, e->key);
    struct aster_sequences s = {0};
    struct aster_sequence_metrics m;
    for (int64_t k = 0; k < n; k++) {
        struct aster_region r;
        aster_region_find(item[k].n, item[k].prob, threshold, least, &r);
        aster_sequences_add(&s, item[k].begin, item[k].end, &r);
    }
    aster_sequences_result(&s, &m);
    const struct named_value v[] = {{"binary_accuracy", m.accuracy},
                                    {"binary_precision", m.precision},
                                    {"binary_recall", m.recall},
                                    {"binary_f1", m.f1},
                                    {"mean_iou", m.mean_iou},
                                    {"exact_match_pct", m.exact_match_pct},
                                    {"num_sequences", (double)m.n},
                                    {"num_true_rcl", (double)m.n_true},
                                    {"num_pred_rcl", (double)m.n_found},
                                    {"true_positives", (double)s.tp},
                                    {"false_positives", (double)s.fp},
                                    {"false_negatives", (double)s.fn}};
    return compare_all(c, e, v, (int)(sizeof v / sizeof *v));
}

static int check_confusion(struct check *c, const struct aster_json *e,
                           const struct aster_residues *r)
{
    const double v[4] = {(double)r->tn, (double)r->fp, (double)r->fn, (double)r->tp};
    int k = 0;
    for (const struct aster_json *row = e->child; row; row = row->next)
        for (const struct aster_json *x = row->child; x && k < 4; x = x->next)
            compare(c, "confusion matrix", v[k++], x->number, 0.5);
    return k == 4 ? 0
                  : aster_fail(c->ctx, ASTER_EFORMAT, "%s:%d: a 2 by 2 matrix is expected", c->file,
                               e->line);
}

static int check_errors(struct check *c, const struct aster_json *e, const int64_t *errors,
                        int64_t n)
{
    int64_t k = 0;
    for (const struct aster_json *x = e->child; x && k < n; x = x->next)
        compare(c, "errors per protein", (double)errors[k++], x->number, 0.5);
    return k == n ? 0
                  : aster_fail(c->ctx, ASTER_EFORMAT, "%s:%d: %lld numbers are expected", c->file,
                               e->line, (long long)n);
}

static int check_expected(struct check *c, const struct aster_json *expect, const struct item *item,
                          int64_t n, struct aster_residues *r, int64_t *errors)
{
    struct aster_metrics m;
    for (int64_t k = 0; k < n; k++)
        ASTER_TRY(aster_residues_add(c->ctx, r, item[k].n, item[k].prob, NULL, item[k].begin,
                                     item[k].end, &errors[k]));
    ASTER_TRY(aster_residues_result(c->ctx, r, &m));
    const struct named_value v[] = {{"accuracy", m.accuracy},
                                    {"precision", m.precision},
                                    {"recall", m.recall},
                                    {"f1", m.f1},
                                    {"f1_macro", m.f1_macro},
                                    {"mcc", m.mcc},
                                    {"auc", m.auc}};
    for (const struct aster_json *e = expect->child; e; e = e->next) {
        if (!strncmp(e->key, "sequence_level", 14))
            ASTER_TRY(check_sequences(c, e, item, n));
        else if (!strcmp(e->key, "residue_level") || !strcmp(e->key, "training_metrics"))
            ASTER_TRY(compare_all(c, e, v, 7));
        else if (!strcmp(e->key, "confusion_matrix_rows_true_cols_pred"))
            ASTER_TRY(check_confusion(c, e, r));
        else if (!strcmp(e->key, "errors_per_protein"))
            ASTER_TRY(check_errors(c, e, errors, n));
        else
            return aster_fail(c->ctx, ASTER_EFORMAT, "%s:%d: unknown key '%s'", c->file, e->line,
                              e->key);
    }
    return 0;
}

static int check_dataset(struct check *c, const struct aster_json *o)
{
    int rc = 0;
    struct item *item = NULL;
    struct aster_residues r = {0};
    int64_t n = 0, *errors = NULL;
    const struct aster_json *items = member(c, o, "items", ASTER_JSON_ARRAY, &rc);
    const struct aster_json *expect = member(c, o, "expect", ASTER_JSON_OBJECT, &rc);
    ASTER_TRY(rc);
    ASTER_GOTO(read_items(c, items, &item, &n), done);
    ASTER_GOTO(aster_alloc(c->ctx, n, sizeof *errors, &errors), done);
    ASTER_GOTO(check_expected(c, expect, item, n, &r, errors), done);
done:
    for (int64_t k = 0; item && k < n; k++)
        aster_free(&item[k].prob);
    aster_free(&item);
    aster_free(&errors);
    aster_residues_free(&r);
    return rc;
}

static int run(struct check *c)
{
    struct aster_json *all = NULL;
    int rc = 0;
    ASTER_TRY(aster_json_read(c->ctx, c->file, &all));
    const struct aster_json *regions = member(c, all, "extract_cases", ASTER_JSON_ARRAY, &rc);
    const struct aster_json *overlaps =
        member(c, all, "iou_cases_pred0_pred1_true0_true1_iou", ASTER_JSON_ARRAY, &rc);
    const struct aster_json *dataset = member(c, all, "dataset_case", ASTER_JSON_OBJECT, &rc);
    if (rc == 0)
        rc = check_regions(c, regions);
    if (rc == 0)
        rc = check_overlaps(c, overlaps);
    if (rc == 0)
        rc = check_dataset(c, dataset);
    aster_json_free(&all);
    return rc;
}

int main(int argc, char **argv)
{
    struct check c = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: golden-metrics FILE.json\n");
        return 1;
    }
    c.file = argv[1];
    if (aster_ctx_new(&c.ctx) < 0)
        return 1;
    int rc = run(&c);
    if (rc < 0)
        fprintf(stderr, "%s\n", aster_ctx_message(c.ctx));
    else if (!(c.worst <= 1))
        fprintf(stderr, "%s: %s\n", aster_path_base(c.file), c.worst_at);
    if (rc == 0)
        printf("%s: largest error %.3g of the limit in %lld comparisons\n", aster_path_base(c.file),
               c.worst, (long long)c.n);
    aster_ctx_free(&c.ctx);
    return rc < 0 || !(c.worst <= 1);
}
