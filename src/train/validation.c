/* SPDX-License-Identifier: BSD-3-Clause */
/* Validation: batches in fixed order, cut into the same shards as in training, through the
 * predictor's tasks. */
#include "train/validation.h"

struct validation {
    struct trainer *tr;
    const struct aster_sample *samples;
    int64_t n, n_batches;
    struct aster_program *program;
    struct aster_predictor *predictor;
    double *batch_loss;
    pthread_mutex_t lock; /* of what follows; results arrive from workers */
    struct aster_residues residues;
    int64_t samples_done;
    int rc;
};

int validation_new(struct trainer *tr, int64_t n, const struct aster_sample *val,
                   struct validation **out)
{
    const struct aster_train_config *c = tr->l.c;
    struct validation *v;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(tr->l.ctx, 1, sizeof *v, &v));
    *v = (struct validation){
        .tr = tr, .samples = val, .n = n, .n_batches = chunk_of(n, c->batch_size)};
    pthread_mutex_init(&v->lock, NULL);
    ASTER_GOTO(aster_alloc(tr->l.ctx, v->n_batches, sizeof *v->batch_loss, &v->batch_loss), fail);
    ASTER_GOTO(eval_program(tr->l.ctx, &c->model, c->real, c->class_weights, &v->program), fail);
    struct predictor_setup s = {.program = v->program,
                                .param = tr->l.param,
                                .running = tr->l.running,
                                .model = c->model,
                                .real = c->real,
                                .part = chunk_of(aster_min64(c->batch_size, n), c->shards),
                                .fixed_part = true,
                                .with_loss = true};
    ASTER_GOTO(predictor_make(tr->l.ctx, tr->l.rt, tr->l.enc, &s, &v->predictor), fail);
    *out = v;
    return 0;
fail:
    validation_free(&v);
    return rc;
}

void validation_free(struct validation **vp)
{
    struct validation *v = *vp;
    if (!v)
        return;
    aster_predictor_free(&v->predictor);
    aster_program_free(&v->program);
    aster_residues_free(&v->residues);
    aster_free(&v->batch_loss);
    pthread_mutex_destroy(&v->lock);
    aster_free(vp);
}

static int add_sample(struct validation *v, const struct aster_sample *s, const float *probs,
                      int32_t status)
{
    struct aster_ctx *ctx = v->tr->l.ctx;
    long long number = s - v->samples + 1;
    if (status == ASTER_ENUMERIC)
        return aster_fail(ctx, status,
                          "validation sample %lld: a probability is not a number; lower "
                          "learning_rate or set clip_norm",
                          number);
    if (status < 0)
        return aster_fail(
            ctx, status,
            "validation sample %lld of %lld cannot be read (code %d): its encoding failed", number,
            (long long)v->n, (int)status);
    return aster_residues_add(ctx, &v->residues, s->length, probs, s->labels, s->loop_begin,
                              s->loop_end, NULL);
}

static void batch_done(void *arg, int64_t n, const struct aster_sample *samples,
                       const float *const *probs, const int32_t *status, double loss)
{
    struct validation *v = arg;
    pthread_mutex_lock(&v->lock);
    v->batch_loss[(samples - v->samples) / v->tr->l.c->batch_size] = loss;
    for (int64_t k = 0; k < n && v->rc == 0; k++)
        v->rc = add_sample(v, &samples[k], probs[k], status[k]);
    v->samples_done += n;
    pthread_mutex_unlock(&v->lock);
}

static int submit_all(struct validation *v, int64_t epoch, const struct aster_train_hooks *hooks)
{
    int64_t batch = v->tr->l.c->batch_size;
    for (int64_t first = 0; first < v->n; first += batch) {
        if (hooks && hooks->stop && hooks->stop(hooks->arg))
            return ASTER_ESTOP;
        pthread_mutex_lock(&v->lock);
        int64_t done = v->samples_done;
        int rc = v->rc;
        pthread_mutex_unlock(&v->lock);
        ASTER_TRY(rc);
        if (hooks && hooks->progress)
            hooks->progress(hooks->arg, epoch, done, v->n, true);
        ASTER_TRY(aster_predictor_submit(v->predictor, aster_min64(batch, v->n - first),
                                         v->samples + first, batch_done, v));
    }
    return 0;
}

int validation_run(struct validation *v, int64_t epoch, const struct aster_train_hooks *hooks,
                   double *loss, struct aster_metrics *metrics)
{
    aster_residues_free(&v->residues);
    v->samples_done = 0;
    v->rc = 0;
    ASTER_TRY(predictor_refresh(v->predictor));
    int rc = submit_all(v, epoch, hooks);
    int wait_rc = aster_predictor_wait(v->predictor);
    ASTER_TRY(rc);
    ASTER_TRY(wait_rc);
    ASTER_TRY(v->rc);
    if (hooks && hooks->progress)
        hooks->progress(hooks->arg, epoch, v->n, v->n, true);
    double sum = 0;
    for (int64_t k = 0; k < v->n_batches; k++)
        sum += v->batch_loss[k];
    *loss = sum / (double)v->n_batches;
    return aster_residues_result(v->tr->l.ctx, &v->residues, metrics);
}
