/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows from an epoch's value: learning rate, early stop, which models are kept. */
#include "train/internal.h"

#include <math.h>
#include <string.h>

static double val_f1(const struct aster_epoch *e)
{
    return e->val.f1;
}
static double val_loss(const struct aster_epoch *e)
{
    return e->val_loss;
}
static double val_accuracy(const struct aster_epoch *e)
{
    return e->val.accuracy;
}
static double val_precision(const struct aster_epoch *e)
{
    return e->val.precision;
}
static double val_recall(const struct aster_epoch *e)
{
    return e->val.recall;
}
static double val_f1_macro(const struct aster_epoch *e)
{
    return e->val.f1_macro;
}
static double val_mcc(const struct aster_epoch *e)
{
    return e->val.mcc;
}
static double val_auc(const struct aster_epoch *e)
{
    return e->val.auc;
}
static double val_energy_rmse(const struct aster_epoch *e)
{
    return e->field.energy_rmse;
}
static double val_energy_mae(const struct aster_epoch *e)
{
    return e->field.energy_mae;
}
static double val_force_rmse(const struct aster_epoch *e)
{
    return e->field.force_rmse;
}
static double val_force_mae(const struct aster_epoch *e)
{
    return e->field.force_mae;
}
static double train_loss(const struct aster_epoch *e)
{
    return e->train_loss;
}

static const struct {
    const char *name;
    double (*value)(const struct aster_epoch *e);
} monitors[] = {
    {"val_f1", val_f1},
    {"val_loss", val_loss},
    {"val_accuracy", val_accuracy},
    {"val_precision", val_precision},
    {"val_recall", val_recall},
    {"val_f1_macro", val_f1_macro},
    {"val_mcc", val_mcc},
    {"val_auc", val_auc},
    {"val_energy_rmse", val_energy_rmse},
    {"val_energy_mae", val_energy_mae},
    {"val_force_rmse", val_force_rmse},
    {"val_force_mae", val_force_mae},
    {"train_loss", train_loss},
};
enum { N_MONITORS = sizeof monitors / sizeof *monitors };

double aster_warmup_rate(const struct aster_warmup *w, int64_t step, int64_t done)
{
    const double half_turn = 3.14159265358979323846;
    if (step < w->steps)
        return w->from + (w->to - w->from) * (double)step / (double)w->steps;
    return w->least +
           (w->to - w->least) * (1 + cos(half_turn * (double)done / (double)w->epochs)) / 2;
}

int monitor_find(struct aster_ctx *ctx, const char *name, bool max, struct monitor *out)
{
    const char *names[N_MONITORS];
    for (int k = 0; k < N_MONITORS; k++) {
        names[k] = monitors[k].name;
        if (!strcmp(name, names[k])) {
            *out = (struct monitor){monitors[k].value, max};
            return 0;
        }
    }
    const char *near = aster_nearest(name, names, N_MONITORS);
    return aster_fail(ctx, ASTER_EPARAM, "monitor: '%s' is unknown; %s%s", name,
                      near ? "nearest: " : "", near ? near : "val_f1 is one");
}

/* A score that is maximised has to beat 0 first, as in the reference; a loss anything. */
static double worst(const struct aster_train_config *c)
{
    if (!c->monitor_max)
        return INFINITY;
    return strstr(c->monitor, "loss") ? -INFINITY : 0;
}

void progress_init(const struct aster_train_config *c, struct progress *p)
{
    *p = (struct progress){.lr = c->learning_rate,
                           .plateau_best = c->monitor_max ? -INFINITY : INFINITY,
                           .best = worst(c),
                           .best_epoch = -1};
}

/* Rate after a value: halved (by the factor) when it did not get better by the threshold,
 * relatively, for more than patience epochs. */
static void plateau(const struct aster_train_config *c, double value, struct progress *p)
{
    double limit =
        p->plateau_best * (c->monitor_max ? 1 + c->plateau_threshold : 1 - c->plateau_threshold);
    if (c->monitor_max ? value > limit : value < limit) {
        p->plateau_best = value;
        p->plateau_bad = 0;
        return;
    }
    if (++p->plateau_bad <= c->plateau_patience)
        return;
    double lr = fmax(p->lr * c->plateau_factor, c->min_lr);
    if (p->lr - lr > 1e-8)
        p->lr = lr;
    p->plateau_bad = 0;
}

static double cosine(const struct aster_train_config *c, int64_t epoch)
{
    const double pi = 3.14159265358979323846;
    return c->min_lr +
           (c->learning_rate - c->min_lr) * (1 + cos(pi * (double)epoch / (double)c->epochs)) / 2;
}

/* Epochs of the cosine: those that ended with the rise behind them */
static int64_t cosine_epochs(const struct aster_train_config *c, int64_t n_batches, int64_t epoch)
{
    int64_t first = aster_max64(1, (c->warmup_steps + n_batches - 1) / n_batches);
    return aster_max64(0, epoch - first + 1);
}

double progress_rate(const struct aster_train_config *c, int64_t n_batches,
                     const struct progress *p)
{
    const struct aster_warmup w = {c->min_lr, c->learning_rate, c->min_lr, c->warmup_steps,
                                   c->epochs};
    return c->schedule == ASTER_SCHEDULE_WARMUP
               ? aster_warmup_rate(&w, p->step, cosine_epochs(c, n_batches, p->epoch))
               : p->lr;
}

/* Keeps the list of the best epochs, best first; of equal ones the earlier is better. */
static void rank(const struct aster_train_config *c, bool max, int64_t epoch, double value,
                 struct progress *p, struct verdict *v)
{
    int64_t keep = aster_min64(c->save_top_k, TOP_MAX), at = p->n_top;
    v->dropped = -1;
    if (keep < 1 || isnan(value))
        return;
    while (at > 0 && (max ? value > p->top_value[at - 1] : value < p->top_value[at - 1]))
        at--;
    if (at >= keep)
        return;
    v->in_top = true;
    if (p->n_top == keep)
        v->dropped = p->top_epoch[--p->n_top];
    for (int64_t k = p->n_top++; k > at; k--) {
        p->top_epoch[k] = p->top_epoch[k - 1];
        p->top_value[k] = p->top_value[k - 1];
    }
    p->top_epoch[at] = epoch;
    p->top_value[at] = value;
}

void progress_epoch(const struct aster_train_config *c, const struct monitor *m,
                    const struct aster_epoch *e, struct progress *p, struct verdict *v)
{
    double value = m->value(e);
    *v = (struct verdict){0};
    bool better = m->max ? value > p->best : value < p->best;
    v->is_best = better || p->best_epoch < 0; /* something is always saved */
    if (v->is_best)
        p->best_epoch = e->epoch;
    if (better) {
        p->best = value;
        p->without_better = 0;
    } else {
        p->without_better++;
    }
    rank(c, m->max, e->epoch, value, p, v);
    v->stop = c->patience > 0 && p->without_better >= c->patience;
    if (c->schedule == ASTER_SCHEDULE_PLATEAU)
        plateau(c, value, p);
    else if (c->schedule == ASTER_SCHEDULE_COSINE)
        p->lr = cosine(c, e->epoch + 1);
    else if (c->schedule == ASTER_SCHEDULE_STEP)
        p->lr = c->learning_rate * pow(c->gamma, (double)((e->epoch + 1) / c->step_size));
    else if (c->schedule == ASTER_SCHEDULE_EXPONENTIAL)
        p->lr = c->learning_rate * pow(c->gamma, (double)(e->epoch + 1));
}
