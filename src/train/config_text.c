/* SPDX-License-Identifier: BSD-3-Clause */
/* A training configuration as text, one "name: value" per line: what must be the same for a resume
 * to give the same bits. */
#include "train/internal.h"
#include "train/learner.h"

#include <string.h>

static uint64_t samples_hash(uint64_t h, int64_t n, const struct aster_sample *s)
{
    for (int64_t k = 0; k < n; k++) {
        int64_t numbers[] = {s[k].length, s[k].loop_begin, s[k].loop_end};
        h = aster_fnv1a64_more(h, numbers, sizeof numbers);
        h = aster_fnv1a64_more(h, s[k].sequence, (size_t)s[k].length);
        if (s[k].labels)
            h = aster_fnv1a64_more(h, s[k].labels, (size_t)s[k].length);
    }
    return h;
}

static void integer(struct aster_str *out, const char *name, int64_t v)
{
    aster_str_printf(out, "%s: %lld\n", name, (long long)v);
}

static void real(struct aster_str *out, const char *name, double v)
{
    aster_str_printf(out, "%s: %.17g\n", name, v);
}

void aster_learner_text(const struct aster_train_config *c, struct aster_str *out)
{
    static const char *const optimizers[] = {"adam", "adamw", "sgd", "rmsprop"},
                             *const schedules[] = {
                                 "reduce_on_plateau", "cosine",       "none", "step",
                                 "exponential",       "warmup_cosine"};
    aster_str_printf(out, "optimizer: %s\n", optimizers[c->optimizer]);
    real(out, "learning_rate", c->learning_rate);
    real(out, "weight_decay", c->weight_decay);
    real(out, "beta1", c->beta1);
    real(out, "beta2", c->beta2);
    real(out, "eps", c->eps);
    real(out, "momentum", c->momentum);
    real(out, "clip_norm", c->clip_norm);
    aster_str_printf(out, "scheduler: %s\n", schedules[c->schedule]);
    if (c->schedule == ASTER_SCHEDULE_COSINE || c->schedule == ASTER_SCHEDULE_WARMUP)
        integer(out, "epochs", c->epochs);
    if (c->schedule == ASTER_SCHEDULE_WARMUP)
        integer(out, "warmup_steps", c->warmup_steps);
    if (c->schedule == ASTER_SCHEDULE_STEP)
        integer(out, "step_size", c->step_size);
    if (c->schedule == ASTER_SCHEDULE_STEP || c->schedule == ASTER_SCHEDULE_EXPONENTIAL)
        real(out, "gamma", c->gamma);
    real(out, "plateau_factor", c->plateau_factor);
    real(out, "plateau_threshold", c->plateau_threshold);
    real(out, "min_lr", c->min_lr);
    integer(out, "plateau_patience", c->plateau_patience);
    integer(out, "patience", c->patience);
}

int config_text(struct aster_ctx *ctx, const struct aster_train_config *c,
                const struct aster_encoding *enc, int64_t n_train, const struct aster_sample *train,
                int64_t n_val, const struct aster_sample *val, struct aster_str *out)
{
    aster_str_add(out, "model: ");
    model_to_json(&c->model, out);
    aster_str_printf(out, "\nencoding: %s\nprecision: %s\n", enc->name,
                     aster_precision_name(c->real, c->model.products));
    integer(out, "batch_size", c->batch_size);
    integer(out, "shards", c->shards);
    aster_str_printf(out, "bn: %s\n", c->bn == ASTER_BN_SYNC ? "sync" : "local");
    aster_learner_text(c, out);
    aster_str_printf(out, "loss_weights: [%.17g, %.17g]\nseed: %llu\nmonitor: %s\nmode: %s\n",
                     c->class_weights[0], c->class_weights[1], (unsigned long long)c->seed,
                     c->monitor, c->monitor_max ? "max" : "min");
    integer(out, "training samples", n_train);
    integer(out, "validation samples", n_val);
    uint64_t h = samples_hash(samples_hash(aster_fnv1a64("", 0), n_train, train), n_val, val);
    aster_str_printf(out, "data: %016llx\n", (unsigned long long)h);
    return aster_str_ok(ctx, out);
}

/* Length of the line at s without its end. */
static size_t line_length(const char *s)
{
    return strcspn(s, "\n");
}

int config_compare(struct aster_ctx *ctx, const char *path, const char *theirs, const char *ours)
{
    const char *a = theirs, *b = ours;
    while (*a || *b) {
        size_t n = line_length(a), m = line_length(b);
        if (n != m || memcmp(a, b, n)) {
            size_t name = strcspn(b, ":\n"), other = strcspn(a, ":\n");
            bool same_name = name == other && !memcmp(a, b, name);
            return aster_fail(ctx, ASTER_EPARAM,
                              "%s was made by another configuration: '%.*s' there, '%.*s' here%s",
                              path, (int)n, a, (int)m, b,
                              same_name ? "" : " (one setting is missing on one side)");
        }
        a += n + (a[n] == '\n');
        b += m + (b[m] == '\n');
    }
    return 0;
}
