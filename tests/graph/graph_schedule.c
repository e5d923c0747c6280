/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves the rules of learning rate, early stop and kept models on sequences of values worked out
 * by hand. */
#include "lib/tap.h"
#include "train/internal.h"

#include <math.h>

static struct aster_train_config config(void)
{
    return (struct aster_train_config){.epochs = 50,
                                       .learning_rate = 1e-3,
                                       .schedule = ASTER_SCHEDULE_PLATEAU,
                                       .plateau_factor = 0.5,
                                       .plateau_threshold = 1e-4,
                                       .plateau_patience = 2,
                                       .patience = 5,
                                       .monitor = "val_f1",
                                       .monitor_max = true,
                                       .save_top_k = 3};
}

struct told {
    bool best[32];
    bool stop[32];
    double lr[32];
    int n;
    struct progress p;
    int64_t dropped[32];
};

/* lr[k]: the rate of the epoch after value k. */
static void tell(const struct aster_train_config *c, int n, const double *values, struct told *t)
{
    struct monitor m;
    struct verdict v;
    progress_init(c, &t->p);
    if (monitor_find(NULL, c->monitor, c->monitor_max, &m) < 0)
        return;
    for (t->n = 0; t->n < n; t->n++) {
        struct aster_epoch e = {.epoch = t->n, .val.f1 = values[t->n], .val_loss = values[t->n]};
        progress_epoch(c, &m, &e, &t->p, &v);
        t->best[t->n] = v.is_best;
        t->stop[t->n] = v.stop;
        t->lr[t->n] = t->p.lr;
        t->dropped[t->n] = v.dropped;
    }
}

static void test_plateau(void)
{
    struct aster_train_config c = config();
    struct told t;
    /* better, equal, below the threshold, lower: the third bad one in a row halves; then the count
     * starts again */
    tell(&c, 8, (const double[]){0.5, 0.5, 0.50004, 0.4, 0.4, 0.4, 0.4, 0.6}, &t);
    const double want[] = {1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 5e-4, 2.5e-4, 2.5e-4};
    bool good = true;
    for (int k = 0; k < 8; k++)
        good &= t.lr[k] == want[k];
    tap_ok(good, "the rate is halved on the third epoch without an improvement of 1e-4");
    tap_ok(t.p.plateau_best == 0.6 && t.p.plateau_bad == 0, "an improvement resets the count");
    c.learning_rate = 1.5e-8;
    c.plateau_patience = 0;
    tell(&c, 2, (const double[]){0.5, 0.5}, &t);
    tap_ok(t.lr[1] == 1.5e-8, "a change below 1e-8 is not made");
    c = config();
    c.plateau_patience = 0;
    c.min_lr = 4e-4;
    tell(&c, 3, (const double[]){0.5, 0.5, 0.5}, &t);
    tap_ok(t.lr[1] == 5e-4 && t.lr[2] == 4e-4, "the rate does not fall below min_lr");
    c = config();
    c.monitor = "val_loss";
    c.monitor_max = false;
    c.plateau_patience = 0;
    tell(&c, 4, (const double[]){0.5, 0.49999, 0.4, 0.41}, &t);
    tap_ok(t.lr[0] == 1e-3 && t.lr[1] == 5e-4 && t.lr[2] == 5e-4 && t.lr[3] == 2.5e-4,
           "a loss is minimised");
}

static void test_other_schedules(void)
{
    struct aster_train_config c = config();
    struct told t;
    c.schedule = ASTER_SCHEDULE_COSINE;
    c.epochs = 4;
    tell(&c, 4, (const double[]){0, 0, 0, 0}, &t);
    tap_ok(fabs(t.lr[1] - 5e-4) < 1e-18 && fabs(t.lr[3]) < 1e-18 &&
               fabs(t.lr[0] - 1e-3 * (1 + sqrt(0.5)) / 2) < 1e-18,
           "cosine");
    c.schedule = ASTER_SCHEDULE_NONE;
    tell(&c, 4, (const double[]){0, 0, 0, 0}, &t);
    tap_ok(t.lr[3] == 1e-3, "none");
}

static void test_stop(void)
{
    struct aster_train_config c = config();
    struct told t;
    tell(&c, 7, (const double[]){0.1, 0.3, 0.3, 0.2, 0.30001, 0.3, 0.3}, &t);
    tap_ok(t.best[0] && t.best[1] && !t.best[2] && !t.best[3] && t.best[4] && !t.best[5],
           "best is strictly better");
    tap_ok(!t.stop[6] && t.p.without_better == 2, "the count starts again at a better one");
    tell(&c, 6, (const double[]){0.3, 0.2, 0.2, 0.2, 0.2, 0.3}, &t);
    tap_ok(!t.stop[4] && t.stop[5], "five epochs that are not better end the training");
    tell(&c, 5, (const double[]){0, 0, 0, 0, 0}, &t);
    tap_ok(t.best[0] && !t.best[1] && t.stop[4] && !t.stop[3],
           "a score that never leaves 0: the first is saved, the fifth ends");
    c.patience = 0;
    tell(&c, 20, (const double[20]){0.5}, &t);
    tap_ok(!t.stop[19], "patience 0 never stops");
    c = config();
    tell(&c, 3, (const double[]){NAN, 0.1, NAN}, &t);
    tap_ok(t.best[0] && t.best[1] && !t.best[2] && t.p.best == 0.1,
           "what is not a number is never better");
}

static void test_top(void)
{
    struct aster_train_config c = config();
    struct told t;
    tell(&c, 6, (const double[]){0.3, 0.5, 0.3, 0.4, 0.1, 0.5}, &t);
    bool good =
        t.p.n_top == 3 && t.p.top_epoch[0] == 1 && t.p.top_epoch[1] == 5 && t.p.top_epoch[2] == 3;
    tap_ok(good, "the three best epochs, the earlier first of equal ones");
    tap_ok(t.dropped[2] == -1 && t.dropped[3] == 2 && t.dropped[4] == -1 && t.dropped[5] == 0,
           "what falls out is named");
    struct aster_ctx *ctx;
    struct monitor m;
    if (aster_ctx_new(&ctx) < 0)
        return;
    bool refused = monitor_find(ctx, "val_f2", true, &m) == ASTER_EPARAM;
    tap_ok(refused, "%s", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
}

int main(void)
{
    test_plateau();
    test_other_schedules();
    test_stop();
    test_top();
    return tap_done();
}
