/* SPDX-License-Identifier: BSD-3-Clause */
/* Training of labelling models. */
#include "train/train.h"
#include "train/validation.h"

static int check_config(struct aster_ctx *ctx, const struct aster_train_config *c)
{
    ASTER_TRY(aster_model_check(ctx, &c->model));
    ASTER_TRY(aster_learner_check(ctx, c));
    if (c->class_weights[0] <= 0 && c->class_weights[1] <= 0)
        return aster_fail(ctx, ASTER_EPARAM, "loss_weights are all 0; one of them must be above 0");
    return 0;
}

static int check_number(struct aster_ctx *ctx, const char *which, int64_t n)
{
    return n < 1 ? aster_fail(ctx, ASTER_EPARAM, "there are no %s samples", which) : 0;
}

int aster_train_check(struct aster_ctx *ctx, const struct aster_train_config *c, int64_t n_train,
                      int64_t n_val)
{
    struct monitor m;
    ASTER_TRY(check_config(ctx, c));
    ASTER_TRY(monitor_find(ctx, c->monitor, c->monitor_max, &m));
    ASTER_TRY(check_number(ctx, "training", n_train));
    ASTER_TRY(check_number(ctx, "validation", n_val));
    return trainer_check(ctx, c, n_train);
}

int train_check_samples(struct aster_ctx *ctx, const char *which,
                        const struct aster_train_config *c, int64_t n, const struct aster_sample *s)
{
    for (int64_t k = 0; k < n; k++)
        if (s[k].length < 1 || s[k].length > c->model.max_length)
            return aster_fail(ctx, ASTER_EPARAM,
                              "%s sample %lld has %lld residues, expected 1 to %lld (max_length)",
                              which, (long long)k + 1, (long long)s[k].length,
                              (long long)c->model.max_length);
    return 0;
}

int aster_train(struct aster_ctx *ctx, struct aster_runtime *rt, const struct aster_train_config *c,
                const struct aster_encoding *enc, int64_t n_train, const struct aster_sample *train,
                int64_t n_val, const struct aster_sample *val, const char *dir, bool want_resume,
                const struct aster_train_hooks *hooks)
{
    struct aster_str config = {0};
    struct trainer *tr = NULL;
    int rc;
    ASTER_TRY(aster_train_check(ctx, c, n_train, n_val));
    ASTER_TRY(train_check_samples(ctx, "training", c, n_train, train));
    ASTER_TRY(train_check_samples(ctx, "validation", c, n_val, val));
    ASTER_GOTO(config_text(ctx, c, enc, n_train, train, n_val, val, &config), done);
    ASTER_GOTO(trainer_new(ctx, rt, c, enc, n_train, train, &tr), done);
    ASTER_GOTO(validation_new(tr, n_val, val, &tr->validation), done);
    rc = aster_learner_run(&tr->l, aster_str_get(&config), dir, want_resume, hooks);
done:
    trainer_free(&tr);
    aster_str_free(&config);
    return rc;
}
