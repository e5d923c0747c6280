/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of training with a clock around them: no validation, no files. */
#include "train/timed.h"
#include "train/trainer.h"

struct walk { /* through the shuffled batches, epoch after epoch; only full ones, so that steps are
                 alike */
    struct trainer *tr;
    int64_t size, n_batches, epoch, batch, step;
    int64_t *order;
};

static int one_step(struct walk *w, int64_t *samples)
{
    struct trainer *tr = w->tr;
    if (w->batch == w->n_batches) {
        w->epoch++;
        w->batch = 0;
    }
    if (w->batch == 0)
        aster_shuffle(tr->l.c->seed, aster_fnv1a64("shuffle", 7) + (uint64_t)w->epoch,
                      tr->l.n_train, w->order);
    ASTER_TRY(atomic_load(&tr->l.failed));
    ASTER_TRY(trainer_step(tr, w->epoch, w->batch, w->step, tr->l.c->learning_rate, w->size,
                           w->order + w->batch * w->size));
    *samples += w->size;
    w->batch++;
    w->step++;
    return 0;
}

static int steps(struct walk *w, int64_t n, int64_t *samples)
{
    int rc = 0;
    for (int64_t k = 0; k < n && rc == 0; k++)
        rc = one_step(w, samples);
    trainer_wait(w->tr);
    return rc < 0 ? rc : atomic_load(&w->tr->l.failed);
}

static int timed(struct walk *w, int64_t warmup, struct aster_timing *out)
{
    struct aster_runtime *rt = w->tr->l.rt;
    struct aster_usage before;
    int64_t ignored = 0;
    ASTER_TRY(trainer_first(&w->tr->l));
    ASTER_TRY(steps(w, warmup, &ignored));
    double start = aster_runtime_now(rt);
    aster_runtime_usage(rt, start, start, &before); /* StarPU's counters begin here */
    ASTER_TRY(steps(w, out->steps, &out->samples));
    double end = aster_runtime_now(rt);
    out->seconds = end - start;
    aster_runtime_usage(rt, start, end, &out->usage);
    int64_t last = w->batch > 0 ? w->batch - 1 : 0;
    out->loss = w->tr->l.batch_loss[last];
    return 0;
}

int aster_train_time(struct aster_ctx *ctx, struct aster_runtime *rt,
                     const struct aster_train_config *c, const struct aster_encoding *enc,
                     int64_t n_train, const struct aster_sample *train, int64_t warmup,
                     int64_t n_steps, struct aster_timing *out)
{
    struct walk w = {.size = aster_min64(c->batch_size, n_train)};
    int rc;
    ASTER_TRY(aster_train_check(ctx, c, n_train, 1)); /* nothing validates */
    ASTER_TRY(train_check_samples(ctx, "training", c, n_train, train));
    w.n_batches = n_train / w.size;
    *out = (struct aster_timing){.steps = n_steps};
    ASTER_GOTO(aster_alloc(ctx, n_train, sizeof *w.order, &w.order), done);
    ASTER_GOTO(trainer_new(ctx, rt, c, enc, n_train, train, &w.tr), done);
    rc = timed(&w, warmup, out);
done:
    trainer_free(&w.tr);
    aster_free(&w.order);
    return rc;
}
