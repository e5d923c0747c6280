/* SPDX-License-Identifier: BSD-3-Clause */
/* Training as part of a run: options to a configuration, epochs to files, events and the progress.
 */
#include "flow/training.h"

#include <string.h>

#define NO_STOP_PLATEAU 2 /* epochs without a better value, as with the default patience */
enum { MOST_NAMED = 5 };  /* proteins that one message names */

struct watch {
    const struct aster_training *t;
    struct aster_history *history;
    struct aster_events *events;
    int64_t epochs, n_train, n_val;
    bool seen; /* progress has been reported once */
    double best;
};

static int model_config(const struct aster_training *t, int64_t dim, struct aster_model_config *m)
{
    const struct aster_run *run = t->run;
    int k = 0;
    while (k < ASTER_N_MODEL_KINDS && strcmp(t->model, aster_model_name((enum aster_model_kind)k)))
        k++;
    if (k == ASTER_N_MODEL_KINDS)
        return aster_fail(run->ctx, ASTER_EPARAM,
                          "model '%s' is unknown; cnn, unet or lstm is expected", t->model);
    aster_model_defaults((enum aster_model_kind)k, dim, m);
    m->max_length = t->split->max_length;
    if (m->kind == ASTER_MODEL_CNN) {
        const struct aster_opt_value *c = aster_run_value(run, t->stage, "cnn_channels"),
                                     *w = aster_run_value(run, t->stage, "cnn_kernel_sizes");
        if (c->n != w->n || c->n < 1 || c->n > ASTER_MODEL_MAX_LAYERS)
            return aster_fail(run->ctx, ASTER_EPARAM,
                              "cnn_channels has %lld and cnn_kernel_sizes %lld entries; the same "
                              "number, 1 to %d, is "
                              "expected",
                              (long long)c->n, (long long)w->n, ASTER_MODEL_MAX_LAYERS);
        m->n_layers = (int)c->n;
        for (int i = 0; i < m->n_layers; i++) {
            m->channels[i] = (int64_t)c->numbers[i];
            m->kernel_sizes[i] = (int64_t)w->numbers[i];
        }
        m->dropout = aster_run_real(run, t->stage, "cnn_dropout");
    } else if (m->kind == ASTER_MODEL_UNET) {
        m->base_filters = aster_run_int(run, t->stage, "unet_base_filters");
        m->depth = (int)aster_run_int(run, t->stage, "unet_depth");
        m->attention = aster_run_bool(run, t->stage, "unet_attention");
        m->dropout = aster_run_real(run, t->stage, "unet_dropout");
    } else {
        m->hidden_dim = aster_run_int(run, t->stage, "lstm_hidden_dim");
        m->num_layers = (int)aster_run_int(run, t->stage, "lstm_num_layers");
        m->dropout = aster_run_real(run, t->stage, "lstm_dropout");
    }
    m->products = aster_run_precision(run, t->stage).products;
    return aster_model_check(run->ctx, m);
}

static int loss_weights(const struct aster_training *t, double out[2])
{
    const struct aster_opt_value *v = aster_run_value(t->run, t->stage, "loss_weights");
    out[0] = out[1] = 1;
    if (!v->is_set || v->n == 0)
        return 0;
    if (v->n != 2)
        return aster_fail(t->run->ctx, ASTER_EPARAM,
                          "loss_weights has %lld entries; two (non-RCL, RCL) or none are expected",
                          (long long)v->n);
    out[0] = v->numbers[0];
    out[1] = v->numbers[1];
    return 0;
}

int aster_training_config(const struct aster_training *t, int64_t dim, struct aster_train_config *c)
{
    const struct aster_run *run = t->run;
    int s = t->stage;
    *c = aster_run_learner(run, s);
    c->batch_size = t->batch_size;
    c->bn = strcmp(aster_run_text(run, s, "bn"), "local") ? ASTER_BN_SYNC : ASTER_BN_LOCAL;
    c->monitor_max = !strcmp(aster_run_text(run, s, "mode"), "max");
    if (c->plateau_patience < 0)
        c->plateau_patience = c->patience > 0 ? c->patience / 2 : NO_STOP_PLATEAU;
    ASTER_TRY(loss_weights(t, c->class_weights));
    return model_config(t, dim, &c->model);
}

static int on_epoch(void *arg, const struct aster_epoch *e)
{
    static const char *const tags[] = {"Metrics/accuracy", "Metrics/precision", "Metrics/recall",
                                       "Metrics/f1",       "Metrics/f1_macro",  "Metrics/mcc",
                                       "Metrics/auc"};
    struct watch *w = arg;
    struct aster_run *run = w->t->run;
    const struct aster_metrics *m = &e->val;
    const double values[] = {m->accuracy, m->precision, m->recall, m->f1,
                             m->f1_macro, m->mcc,       m->auc};
    ASTER_TRY(aster_history_add(run->ctx, w->history, e));
    ASTER_TRY(aster_history_write(run->ctx, w->t->dir, w->history));
    if (w->events) {
        ASTER_TRY(aster_events_scalar(w->events, "Loss/train", e->epoch, (float)e->train_loss));
        ASTER_TRY(aster_events_scalar(w->events, "Loss/val", e->epoch, (float)e->val_loss));
        for (int k = 0; k < 7; k++)
            ASTER_TRY(aster_events_scalar(w->events, tags[k], e->epoch, (float)values[k]));
        ASTER_TRY(aster_events_flush(w->events));
    }
    if (m->f1 > w->best)
        w->best = m->f1;
    aster_progress_note(
        run->progress, "epoch %lld/%lld: loss %.4f, validation %.4f, F1 %.4f, best F1 %.4f",
        (long long)e->epoch + 1, (long long)w->epochs, e->train_loss, e->val_loss, m->f1, w->best);
    aster_log(
        run->ctx, ASTER_LOG_INFO,
        "%s: epoch %lld/%lld: loss %.4f, validation loss %.4f, accuracy %.4f, F1 %.4f, MCC %.4f%s",
        w->t->label, (long long)e->epoch + 1, (long long)w->epochs, e->train_loss, e->val_loss,
        m->accuracy, m->f1, m->mcc, e->best ? ", best" : "");
    return 0;
}

static void on_progress(void *arg, int64_t epoch, int64_t done, int64_t total, bool validating)
{
    struct watch *w = arg;
    int64_t at = epoch * (w->n_train + w->n_val) + (validating ? w->n_train : 0) + done;
    if (!w->seen)
        aster_progress_skip(w->t->run->progress, at, 0);
    w->seen = true;
    aster_progress_set(w->t->run->progress, at);
}

static bool on_stop(void *arg)
{
    return aster_run_stopping();
}

int aster_training_samples(const struct aster_training *t, const struct aster_encoding *enc,
                           struct aster_sample **out)
{
    struct aster_str names = {0};
    int64_t n_without = 0;
    ASTER_TRY(aster_alloc(t->run->ctx, t->split->n, sizeof **out, out));
    struct aster_sample *samples = *out;
    for (int64_t i = 0; i < t->split->n; i++) {
        const struct aster_protein *p = t->split->p[t->split->order[i]];
        samples[i] = (struct aster_sample){.sequence = p->sequence,
                                           .length = p->length,
                                           .loop_begin = p->begin,
                                           .loop_end = p->end,
                                           .labels = p->labels};
        const char *why;
        samples[i].key = aster_encoding_key(t->embeddings, enc, p, &why);
        if (samples[i].key < 0 && n_without++ < MOST_NAMED)
            aster_str_printf(&names, "%s'%s' %s", names.len ? ", " : "", p->id, why);
    }
    int rc = aster_str_ok(t->run->ctx, &names);
    if (rc == 0 && n_without)
        rc = aster_fail(
            t->run->ctx, ASTER_EPARAM, "%s: %lld of %lld proteins have no vectors: %s%s",
            aster_embeddings_path(t->embeddings), (long long)n_without, (long long)t->split->n,
            aster_str_get(&names), n_without > MOST_NAMED ? ", and so on" : "");
    aster_str_free(&names);
    return rc;
}

static int open_events(const struct aster_training *t, struct aster_events **out)
{
    char *dir = NULL;
    if (!aster_run_bool(t->run, t->stage, "tensorboard"))
        return 0;
    ASTER_TRY(aster_path_join(t->run->ctx, t->dir, "tensorboard", &dir));
    int rc = aster_mkdirs(t->run->ctx, dir);
    if (rc == 0)
        rc = aster_events_open(t->run->ctx, dir, out);
    aster_free(&dir);
    return rc;
}

int aster_training_run(const struct aster_training *t, struct aster_history *h)
{
    struct aster_run *run = t->run;
    struct aster_train_config c;
    struct aster_encoding enc;
    struct aster_sample *samples = NULL;
    struct aster_runtime *rt;
    struct watch w = {
        .t = t, .history = h, .n_val = t->split->n_val, .n_train = t->split->n - t->split->n_val};
    const struct aster_train_hooks hooks = {&w, on_epoch, on_progress, on_stop};
    int rc;
    ASTER_TRY(aster_encoding_choose(run->ctx, t->encoding, t->embeddings, &enc));
    ASTER_TRY(aster_training_config(t, enc.dim, &c));
    ASTER_TRY(aster_mkdirs(run->ctx, t->dir));
    ASTER_TRY(aster_config_json(t));
    ASTER_TRY(aster_history_read(run->ctx, t->dir, h));
    ASTER_GOTO(aster_training_samples(t, &enc, &samples), done);
    ASTER_GOTO(open_events(t, &w.events), done);
    ASTER_GOTO(aster_run_runtime(run, &rt), done);
    for (int64_t i = 0; i < h->n; i++)
        w.best = h->e[i].val.f1 > w.best ? h->e[i].val.f1 : w.best;
    w.epochs = c.epochs;
    aster_progress_stage(run->progress, t->label, c.epochs * t->split->n);
    aster_progress_interval(run->progress, (double)aster_run_int(run, t->stage, "log_interval"));
    rc = aster_train(run->ctx, rt, &c, &enc, w.n_train, samples + w.n_val, w.n_val, samples, t->dir,
                     run->resumed, &hooks);
done:
    aster_events_close(&w.events);
    aster_free(&samples);
    if (rc < 0)
        aster_history_free(h);
    return rc;
}

static int best_fact(struct aster_run *run, const struct aster_history *h)
{
    int64_t best = 0;
    if (!h->n)
        return 0;
    for (int64_t i = 1; i < h->n; i++)
        if (h->e[i].val.f1 > h->e[best].val.f1)
            best = i;
    return aster_run_fact(run, "best validation F1", "%.4f in epoch %lld of %lld",
                          h->e[best].val.f1, (long long)best + 1, (long long)h->n);
}

struct aster_training aster_training_of(struct aster_run *run, int stage)
{
    const struct aster_slot *e = aster_run_slot(run, stage, "embeddings", 0);
    return (struct aster_training){.run = run,
                                   .stage = stage,
                                   .split = aster_run_slot(run, stage, "data", 0)->split,
                                   .embeddings = e ? e->embeddings : NULL,
                                   .encoding = aster_run_text(run, stage, "encoding"),
                                   .model = aster_run_text(run, stage, "model"),
                                   .batch_size = aster_run_int(run, stage, "batch_size")};
}

int aster_stage_train_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const char *store = aster_run_text(run, stage, "embeddings");
    int k = *store ? aster_run_stage_index(run, store) : -1;
    return aster_encoding_ready(ctx, aster_run_text(run, stage, "encoding"),
                                k >= 0 && (strcmp(run->spec->stages[k].kind->name, "embeddings") ||
                                           *aster_run_text(run, k, "file")));
}

int aster_stage_train(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_history h = {0};
    struct aster_model_file *m = NULL;
    struct aster_training t = aster_training_of(run, stage);
    t.dir = run->dir;
    t.label = run->spec->stages[stage].id;
    ASTER_TRY(aster_training_run(&t, &h));
    run->items += t.split->n;
    int rc = best_fact(run, &h);
    aster_history_free(&h);
    ASTER_TRY(rc);
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *m, &m));
    run->slots[stage].model = m;
    ASTER_TRY(aster_weights_find(ctx, run->dir, &m->path));
    return aster_run_weights(run, stage, m->path, &m->weights);
}
