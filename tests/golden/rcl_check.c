/* SPDX-License-Identifier: BSD-3-Clause */
/* The comparisons of golden-rcl: what a model computes against what its file stores. */
#include "golden/rcl_check.h"

#include "golden/rcl_limits.h"
#include "train/metric.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

struct run { /* one file in one real type */
    struct golden *g;
    struct net n;
    struct score *s;
    bool f64;
    double grad_l2,
        grad_narrow;            /* of the whole gradient; its limit where no plateau excuses more */
    double *first_grad;         /* ours at the start, flat */
    double *start_stats;        /* running statistics at the start, flat */
    double f32_diff;            /* of the logits compared last */
    double update, update_wide; /* single: relative limits of the whole update after step 3, without
                                   and with plateaus */
};

ASTER_PRINTF(4, 5)
static void score(struct run *r, double error, double limit, const char *fmt, ...)
{
    char what[120];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    double part = error / limit;
    if (isnan(part))
        part = error == 0 ? 0 : INFINITY;
    if (r->s->verbose)
        fprintf(stderr, "  %s %s: error %.3g, limit %.3g: %.3g\n", r->f64 ? "f64" : "f32", what,
                error, limit, part);
    if (!(part <= r->s->worst)) {
        r->s->worst = part;
        snprintf(r->s->at, sizeof r->s->at, "%s %s", r->f64 ? "f64" : "f32", what);
    }
}

/* Plateaus excuse the wide limit where the narrow one is missed. */
static double limit_of(const struct run *r, double error, double narrow, double wide)
{
    bool excused = !r->f64 && r->s->passed_f64 && r->g->model.kind != ASTER_MODEL_LSTM;
    return error <= narrow || !excused ? narrow : fmax(narrow, wide);
}

/* Limit in single for what steps changed by change: an update off by a share may put it off by that
 * share. */
static double stepped_limit(const struct run *r, double error, double narrow, double change)
{
    return limit_of(r, error, fmax(narrow, r->update * change), r->update_wide * change);
}

/* Largest |a - b|; infinite when one is not finite. */
static double farthest(int64_t n, const double *a, const double *b)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs(a[i] - b[i]);
        if (!(d <= most))
            most = isfinite(d) ? d : INFINITY;
    }
    return most;
}

/* ---- logits, probabilities, losses, metrics ---- */

static int read_values(struct run *r, const char *name, struct stored *s)
{
    const char *slash = strrchr(name, '/');
    char group[64];
    snprintf(group, sizeof group, "%.*s", (int)(slash - name), name);
    ASTER_TRY(stored_read(r->g, group, slash + 1, r->g->batch * r->g->length * 2, s));
    if (s->count == s->n)
        return 0;
    stored_free(s);
    return aster_fail(r->g->ctx, ASTER_EFORMAT, "%s: %s is not complete", r->g->path, name);
}

static int check_values(struct run *r, const char *name, const double *ours)
{
    struct stored s;
    ASTER_TRY(read_values(r, name, &s));
    r->f32_diff = s.f32_diff > 0 ? s.f32_diff
                                 : r->f32_diff; /* dp2 stores none: then that of the last logits */
    score(r, farthest(s.n, ours, s.v),
          r->f64 ? F64_LOGITS : fmax(F32_LOGITS_TIMES * r->f32_diff, F32_LOGITS_FLOOR), "%s", name);
    stored_free(&s);
    return 0;
}

static int check_values_after(struct run *r, const char *name, const char *before,
                              const double *ours)
{
    struct stored s, start;
    ASTER_TRY(read_values(r, name, &s));
    int rc = read_values(r, before, &start);
    if (rc == 0) {
        double error = farthest(s.n, ours, s.v),
               narrow = fmax(F32_LOGITS_TIMES * s.f32_diff, F32_LOGITS_FLOOR);
        score(r, error,
              r->f64 ? F64_LOGITS_AFTER
                     : stepped_limit(r, error, narrow, farthest(s.n, s.v, start.v)),
              "%s", name);
        stored_free(&start);
    }
    stored_free(&s);
    return rc;
}

static double loss_limit(const struct run *r, double loss)
{
    return r->f64 ? F64_LOSS * fmax(1, fabs(loss)) : F32_LOSS * fabs(loss);
}

static int check_loss(struct run *r, const char *name, double ours)
{
    double wide;
    char path[80];
    snprintf(path, sizeof path, "%s_f64", name);
    ASTER_TRY(golden_number(r->g, path, 1, &wide));
    score(r, fabs(ours - wide), loss_limit(r, wide), "%s", name);
    return 0;
}

/* Entry k of n, after steps that began at the loss start. */
static int check_loss_after(struct run *r, const char *name, int64_t n, int64_t k, double start,
                            double ours)
{
    double wide[3], single[3];
    char path[80];
    snprintf(path, sizeof path, "%s_f64", name);
    ASTER_TRY(golden_number(r->g, path, n, wide));
    snprintf(path, sizeof path, "%s_f32", name);
    ASTER_TRY(golden_number(r->g, path, n, single));
    double error = fabs(ours - wide[k]), limit = loss_limit(r, wide[k]);
    if (k > 0 || n == 1)
        limit = r->f64 ? F64_LOSS_AFTER * fmax(1, fabs(wide[k]))
                       : stepped_limit(r, error,
                                       fmax(limit, F32_LOGITS_TIMES * fabs(single[k] - wide[k])),
                                       fabs(wide[k] - start));
    score(r, error, limit, "%s[%d]", name, (int)k);
    return 0;
}

static int metrics_of(struct run *r, const double *probs, struct aster_metrics *m)
{
    struct aster_residues acc = {0};
    float *p = NULL;
    int rc = aster_alloc(r->g->ctx, r->g->length, sizeof *p, &p);
    for (int64_t b = 0; rc == 0 && b < r->g->batch; b++) {
        for (int64_t t = 0; t < r->g->length; t++)
            p[t] = (float)probs[(b * r->g->length + t) * 2 + 1];
        rc = aster_residues_add(r->g->ctx, &acc, r->g->length, p, r->g->labels + b * r->g->length,
                                0, 0, NULL);
    }
    if (rc == 0)
        rc = aster_residues_result(r->g->ctx, &acc, m);
    aster_residues_free(&acc);
    aster_free(&p);
    return rc;
}

/* In double only: in single a residue within rounding of 0.5 may be called otherwise. */
static int check_metrics(struct run *r, const double *probs)
{
    char **text = NULL;
    int64_t n = 0;
    struct aster_json *all = NULL;
    struct aster_metrics m;
    int rc;
    ASTER_GOTO(aster_h5_read_strings(r->g->h5, "outputs/metrics_eval_json", &text, &n), done);
    if (n != 1) {
        rc = aster_fail(r->g->ctx, ASTER_EFORMAT,
                        "%s: outputs/metrics_eval_json has %lld texts, expected 1", r->g->path,
                        (long long)n);
        goto done;
    }
    ASTER_GOTO(aster_json_parse(r->g->ctx, r->g->path, text[0], strlen(text[0]), &all), done);
    ASTER_GOTO(metrics_of(r, probs, &m), done);
    const struct {
        const char *key;
        double v;
    } known[] = {{"accuracy", m.accuracy},
                 {"precision", m.precision},
                 {"recall", m.recall},
                 {"f1", m.f1},
                 {"f1_macro", m.f1_macro},
                 {"mcc", m.mcc},
                 {"auc", m.auc}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        const struct aster_json *x = aster_json_get(all, known[k].key);
        if (!x || x->type != ASTER_JSON_NUMBER) {
            rc = aster_fail(r->g->ctx, ASTER_EFORMAT,
                            "%s: outputs/metrics_eval_json has no number '%s'", r->g->path,
                            known[k].key);
            goto done;
        }
        score(r, fabs(x->number - known[k].v), F64_METRIC, "metrics/%s", known[k].key);
    }
done:
    aster_json_free(&all);
    aster_strings_free(&text, n);
    return rc;
}

static int check_eval(struct run *r)
{
    struct net_result e;
    ASTER_TRY(net_run(&r->n, r->n.eval, 1, &r->g->batch, &e));
    int rc = check_values(r, "outputs/logits_eval_f64", e.logits);
    if (rc == 0)
        rc = check_values(r, "outputs/probs_eval_f64", e.probs);
    if (rc == 0)
        rc = check_loss(r, "outputs/loss_eval", e.loss);
    if (rc == 0 && r->f64)
        rc = check_metrics(r, e.probs);
    net_result_free(&e);
    return rc;
}

static int check_eval_after(struct run *r)
{
    struct net_result e;
    ASTER_TRY(net_run(&r->n, r->n.eval, 1, &r->g->batch, &e));
    double start = 0;
    int rc = check_values_after(r, "outputs/logits_eval_after3_f64", "outputs/logits_eval_f64",
                                e.logits);
    if (rc == 0)
        rc = golden_number(r->g, "outputs/loss_eval_f64", 1, &start);
    if (rc == 0)
        rc = check_loss_after(r, "outputs/loss_eval_after3", 1, 0, start, e.loss);
    net_result_free(&e);
    return rc;
}

/* ---- gradients ---- */

struct grad_sum {
    double error2, norm2;
};

/* The complete tensor's sum, norm and largest element, where samples only are stored. */
static void check_totals(struct run *r, const struct stored *s, const double *ours,
                         const char *what)
{
    double sum = 0, sum2 = 0, most = 0;
    for (int64_t i = 0; i < s->n; i++) {
        sum += ours[i];
        sum2 += ours[i] * ours[i];
        most = fmax(most, fabs(ours[i]));
    }
    double limit = F64_GRAD * s->max_abs;
    score(r, fabs(sqrt(sum2) - s->l2), limit * sqrt((double)s->n), "%s, norm", what);
    score(r, fabs(sum - s->sum), limit * (double)s->n, "%s, sum", what);
    score(r, fabs(most - s->max_abs), limit, "%s, largest", what);
}

static int check_grad(struct run *r, const char *group, const struct aster_param_info *info,
                      const void *flat, struct grad_sum *total)
{
    struct stored s;
    double *ours = NULL, most = 0, error2 = 0;
    int rc;
    ASTER_GOTO(stored_read(r->g, group, info->name, info->n, &s), done);
    ASTER_GOTO(net_theirs(&r->n, info, flat, &ours), done);
    for (int64_t k = 0; k < s.count; k++) {
        double d = fabs(ours[stored_position(&s, k)] - s.v[k]);
        most = d <= most ? most : isfinite(d) ? d : INFINITY;
        error2 += d * d;
    }
    /* samples stand for all */
    total->error2 += error2 * (double)s.n / (double)s.count;
    if (r->f64) {
        char what[120];
        snprintf(what, sizeof what, "%s/%s", group, info->name);
        score(r, most, fmax(F64_GRAD * s.max_abs, F64_GRAD_ZERO * r->grad_l2), "%s", what);
        if (s.count != s.n)
            check_totals(r, &s, ours, what);
    }
    for (int64_t i = 0; i < info->n; i++)
        total->norm2 += ours[i] * ours[i];
done:
    stored_free(&s);
    aster_free(&ours);
    return rc;
}

static int check_grads(struct run *r, const char *group, const void *flat)
{
    struct grad_sum total = {0};
    double narrow, l2;
    ASTER_TRY(golden_attr(r->g, group, "f32_rel_l2", r->grad_narrow, &narrow));
    ASTER_TRY(golden_attr(r->g, group, "l2_all", r->grad_l2, &l2));
    r->grad_l2 = l2;
    r->grad_narrow = narrow;
    for (int k = 0; k < aster_program_n_params(r->n.train); k++)
        ASTER_TRY(check_grad(r, group, aster_program_param(r->n.train, k), flat, &total));
    score(r, fabs(sqrt(total.norm2) - l2), (r->f64 ? F64_GRAD : F32_PLATEAU_GRAD) * l2, "%s, norm",
          group);
    if (r->f64)
        return 0;
    double error = sqrt(total.error2) / l2;
    score(r, error,
          limit_of(r, error, fmax(F32_GRAD_TIMES * narrow, F32_GRAD_FLOOR), F32_PLATEAU_GRAD), "%s",
          group);
    return 0;
}

/* ---- steps ---- */

struct step_sum {
    double moved2, error2, decided, outside;
};

/* One parameter after the optimizer's steps. start, ours: in the reference's layout; grad: ours at
 * the start. Where gradient plus decay is next to nothing, Adam divides rounding by rounding: then
 * it may have gone anywhere within steps times the rate. */
static void compare_step(struct run *r, const struct stored *s, const double *start,
                         const double *ours, const double *grad, int steps, const char *what,
                         struct step_sum *total)
{
    double decided = r->f64 ? r->g->well_conditioned : F32_DECIDED,
           limit = steps == 1 ? F64_STEP1 : F64_STEP3;
    double reach = steps * r->g->learning_rate, worst = 0, beyond = 0, error2 = 0, moved2 = 0;
    for (int64_t k = 0; k < s->count; k++) {
        int64_t at = stored_position(s, k);
        double d = fabs(ours[at] - s->v[k]), past = fabs(ours[at] - start[at]) - reach;
        error2 += d * d;
        moved2 += (s->v[k] - start[at]) * (s->v[k] - start[at]);
        beyond = past <= beyond ? beyond : isfinite(past) ? past : INFINITY;
        if (!(fabs(grad[at] + r->g->weight_decay * start[at]) > decided))
            continue;
        total->decided++;
        total->outside += !(d <= F32_STEP1 * fmax(1, fabs(s->v[k])));
        d /= fmax(1, fabs(s->v[k]));
        worst = d <= worst ? worst : isfinite(d) ? d : INFINITY;
    }
    total->error2 += error2 * (double)s->n / (double)s->count;
    total->moved2 += moved2 * (double)s->n / (double)s->count;
    score(r, beyond, BEYOND_REACH * reach, "%s, moved beyond reach", what);
    if (r->f64)
        score(r, worst, limit, "%s", what);
}

static int check_step_param(struct run *r, const char *group, int steps,
                            const struct aster_param_info *info, struct step_sum *total)
{
    struct stored s = {0};
    double *start = NULL, *ours = NULL, *grad = NULL;
    float *theirs = NULL;
    char what[120];
    int rc;
    ASTER_GOTO(stored_read(r->g, group, info->name, info->n, &s), done);
    ASTER_GOTO(aster_alloc(r->g->ctx, info->n, sizeof *theirs, &theirs), done);
    ASTER_GOTO(aster_alloc(r->g->ctx, info->n, sizeof *start, &start), done);
    ASTER_GOTO(aster_alloc(r->g->ctx, info->n, sizeof *grad, &grad), done);
    ASTER_GOTO(golden_weights(r->g, info, theirs), done);
    for (int64_t i = 0; i < info->n; i++)
        start[i] = theirs[i];
    aster_param_to_reference(info, ASTER_F64, r->first_grad, grad);
    ASTER_GOTO(net_theirs(&r->n, info, r->n.params, &ours), done);
    snprintf(what, sizeof what, "%s/%s", group, info->name);
    compare_step(r, &s, start, ours, grad, steps, what, total);
done:
    stored_free(&s);
    aster_free(&start);
    aster_free(&ours);
    aster_free(&grad);
    aster_free(&theirs);
    return rc;
}

/* Running statistics after steps (0: one forward). flat: ours; r->start_stats: those of the file's
 * start. */
static int check_stats(struct run *r, const char *group, const double *flat, int steps)
{
    for (int k = 0; k < aster_program_n_buffers(r->n.train); k++) {
        const struct aster_param_info *info = aster_program_buffer(r->n.train, k);
        struct stored s;
        ASTER_TRY(stored_read(r->g, group, info->name, info->n, &s));
        double most = 0, change = 0;
        for (int64_t i = 0; i < s.count; i++) {
            int64_t at = info->offset + stored_position(&s, i);
            double d = fabs(flat[at] - s.v[i]) / (r->f64 ? fmax(1, fabs(s.v[i])) : 1);
            most = d <= most ? most : isfinite(d) ? d : INFINITY;
            change = fmax(change, fabs(s.v[i] - r->start_stats[at]));
        }
        double narrow = fmax(F32_LOGITS_TIMES * s.f32_diff, F32_STATS_FLOOR * fmax(1, s.max_abs));
        if (steps > 1) /* they follow biases that Adam may have moved either way */
            narrow = limit_of(r, most,
                              fmax(fmax(narrow, steps * r->g->learning_rate), r->update * change),
                              F32_PLATEAU_STATS * s.max_abs);
        score(r, most,
              !r->f64     ? narrow
              : steps > 1 ? F64_STEP3
                          : F64_STEP1,
              "%s/%s", group, info->name);
        stored_free(&s);
    }
    return 0;
}

static int check_step(struct run *r, const char *group, int steps)
{
    struct step_sum total = {0};
    for (int k = 0; k < aster_program_n_params(r->n.train); k++)
        ASTER_TRY(check_step_param(r, group, steps, aster_program_param(r->n.train, k), &total));
    ASTER_TRY(check_stats(r, group, r->n.buffers, steps));
    if (r->f64)
        return 0;
    if (steps == 1) {
        double outside = total.decided > 0 ? total.outside / total.decided : 0;
        score(r, outside, limit_of(r, outside, F32_STEP1_OUTSIDE, F32_PLATEAU_OUTSIDE),
              "%s, share off", group);
        return 0;
    }
    double error = sqrt(total.error2 / total.moved2);
    score(r, error, limit_of(r, error, r->update, r->update_wide), "%s, update", group);
    return 0;
}

/* ---- shards ---- */

/* A law: shards normalised together give what the whole batch gives. In double. */
static void check_law(struct run *r, const struct net_result *whole, const struct net_result *parts)
{
    int64_t np = aster_program_class_n(r->n.train, ASTER_CLASS_GRAD),
            nb = aster_program_class_n(r->n.train, ASTER_CLASS_AUX);
    score(r, fabs(whole->loss - parts->loss), F64_LAW, "two shards, loss");
    score(r, farthest(r->g->batch * r->g->length * 2, whole->logits, parts->logits), F64_LAW,
          "two shards, logits");
    score(r, farthest(np, whole->grad, parts->grad), F64_LAW * fmax(1, r->grad_l2),
          "two shards, gradient");
    score(r, farthest(nb, whole->aux, parts->aux), F64_LAW, "two shards, statistics");
}

static int check_sync(struct run *r, const struct net_result *whole)
{
    struct net_result parts = {0};
    int64_t b = r->g->batch, sizes[2] = {(b + 1) / 2, b / 2};
    if (b < 2)
        return 0;
    ASTER_TRY(net_run(&r->n, r->n.sync, 2, sizes, &parts));
    check_law(r, whole, &parts);
    net_result_free(&parts);
    return 0;
}

/* A model that normalises nothing over a batch has one program for both: the file's shards serve.
 */
static bool law_by_dp2(const struct run *r)
{
    return r->g->has_dp2 && aster_program_class_n(r->n.train, ASTER_CLASS_BUFFER) == 0;
}

static int check_dp2(struct run *r, const struct net_result *whole)
{
    struct aster_h5_shape shape;
    int64_t *sizes = NULL;
    double *stats = NULL;
    struct net_result t = {0};
    int rc, n_shards;
    ASTER_GOTO(aster_h5_shape(r->g->h5, "dp2/shard_sizes", &shape), done);
    ASTER_GOTO(aster_to_int(r->g->ctx, aster_min64(shape.n, r->g->batch + 1), &n_shards),
               done); /* more than samples: refused below */
    ASTER_GOTO(aster_h5_read(r->g->h5, "dp2/shard_sizes", ASTER_I64, shape.n, &sizes), done);
    ASTER_GOTO(net_run(&r->n, r->n.train, n_shards, sizes, &t), done);
    ASTER_GOTO(check_values(r, "dp2/logits_train_f64", t.logits), done);
    ASTER_GOTO(check_loss(r, "dp2/loss", t.loss), done);
    if (r->f64 && law_by_dp2(r))
        check_law(r, whole, &t);
    double l2 = 0; /* of this gradient: ours, unless the file says */
    int64_t n = aster_program_class_n(r->n.train, ASTER_CLASS_GRAD);
    for (int64_t i = 0; i < n; i++) {
        double v = r->f64 ? ((const double *)t.grad)[i] : ((const float *)t.grad)[i];
        l2 += v * v;
    }
    r->grad_l2 = sqrt(l2);
    ASTER_GOTO(check_grads(r, "dp2/grads", t.grad), done);
    int64_t nb = aster_program_class_n(r->n.train, ASTER_CLASS_BUFFER);
    ASTER_GOTO(aster_alloc(r->g->ctx, nb, sizeof *stats, &stats), done);
    memcpy(stats, r->n.buffers, (size_t)nb * sizeof *stats);
    r->n.be->update.ema(NULL, ASTER_F64, nb, 0.1, stats, t.aux);
    rc = check_stats(r, "dp2/buffers", stats, 0);
done:
    net_result_free(&t);
    aster_free(&sizes);
    aster_free(&stats);
    return rc;
}

static int keep_first_grad(struct run *r, const void *grad)
{
    int64_t n = aster_program_class_n(r->n.train, ASTER_CLASS_GRAD);
    ASTER_TRY(aster_alloc(r->g->ctx, n, sizeof *r->first_grad, &r->first_grad));
    for (int64_t i = 0; i < n; i++)
        r->first_grad[i] = r->f64 ? ((const double *)grad)[i] : ((const float *)grad)[i];
    return 0;
}

/* Everything at the start weights but evaluation. */
static int check_first(struct run *r, const struct net_result *t)
{
    ASTER_TRY(check_values(r, "outputs/logits_train_f64", t->logits));
    ASTER_TRY(check_loss(r, "outputs/loss_train", t->loss));
    ASTER_TRY(keep_first_grad(r, t->grad));
    ASTER_TRY(check_grads(r, "grads", t->grad));
    if (r->f64 && !law_by_dp2(r))
        ASTER_TRY(check_sync(r, t));
    return r->g->has_dp2 ? check_dp2(r, t) : 0;
}

static int check_steps(struct run *r)
{
    double start;
    ASTER_TRY(golden_number(r->g, "outputs/loss_train_f64", 1, &start));
    for (int step = 1; step <= 3; step++) {
        struct net_result t;
        ASTER_TRY(net_run(&r->n, r->n.train, 1, &r->g->batch, &t));
        int rc = check_loss_after(r, "outputs/loss_steps", 3, step - 1, start, t.loss);
        if (rc == 0 && step == 1)
            rc = check_first(r, &t);
        net_update(&r->n, &t, step);
        if (rc == 0 && step != 2)
            rc = check_step(r, step == 1 ? "step1" : "step3", step);
        net_result_free(&t);
        ASTER_TRY(rc);
    }
    return 0;
}

/* ---- a file ---- */

static int check_order(struct run *r)
{
    const char *at = r->g->order;
    int64_t total = 0;
    for (int k = 0; k < aster_program_n_params(r->n.train); k++) {
        const struct aster_param_info *info = aster_program_param(r->n.train, k);
        size_t n = strcspn(at, "\n");
        total += info->n;
        if (n != strlen(info->name) || strncmp(at, info->name, n))
            return aster_fail(r->g->ctx, ASTER_EFORMAT, "%s: parameter %d is '%.*s', ours is '%s'",
                              r->g->path, k + 1, (int)n, at, info->name);
        at += n + (at[n] == '\n');
    }
    if (*at || total != r->g->n_parameters)
        return aster_fail(r->g->ctx, ASTER_EFORMAT,
                          "%s: %lld parameters and '%.40s' beyond ours, which are %lld", r->g->path,
                          (long long)r->g->n_parameters, at, (long long)total);
    return 0;
}

static int start(struct run *r)
{
    int64_t n = aster_program_class_n(r->n.train, ASTER_CLASS_BUFFER);
    double known;
    ASTER_TRY(golden_attr(r->g, "step3", "f32_update_rel_l2", 0, &known));
    r->update = fmax(F32_UPDATE_TIMES * known, F32_UPDATE_FLOOR);
    r->update_wide = fmax(r->update, F32_PLATEAU_UPDATE);
    ASTER_TRY(aster_alloc(r->g->ctx, n, sizeof *r->start_stats, &r->start_stats));
    if (n > 0)
        memcpy(r->start_stats, r->n.buffers, (size_t)n * sizeof *r->start_stats);
    return 0;
}

int check_file(struct golden *g, const struct aster_backend *be, enum aster_dtype real,
               struct score *s)
{
    struct run r = {.g = g, .s = s, .f64 = real == ASTER_F64};
    int rc;
    ASTER_TRY(net_new(g, be, real, &r.n));
    ASTER_GOTO(start(&r), done);
    ASTER_GOTO(check_order(&r), done);
    ASTER_GOTO(check_eval(&r), done);
    ASTER_GOTO(check_steps(&r), done);
    rc = check_eval_after(&r);
done:
    net_free(&r.n);
    aster_free(&r.first_grad);
    aster_free(&r.start_stats);
    return rc;
}
