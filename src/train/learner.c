/* SPDX-License-Identifier: BSD-3-Clause */
/* Epochs: steps, validation, what is kept, checkpoints, resume. */
#include "train/learner.h"
#include "config.h"
#include "train/internal.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

struct training {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    const struct aster_train_config *c;
    const struct aster_train_hooks *hooks;
    const char *dir, *config; /* as text */
    struct aster_learner *l;
    struct monitor monitor;
    struct progress p;
    int64_t *order;
    double epoch_start;
};

/* ---- what is asked for ---- */

static int check_range(struct aster_ctx *ctx, const char *name, double v, double least, double most)
{
    if (v >= least && v <= most)
        return 0;
    return aster_fail(ctx, ASTER_EPARAM, "%s is %g, expected %g to %g", name, v, least, most);
}

int aster_learner_check(struct aster_ctx *ctx, const struct aster_train_config *c)
{
    ASTER_TRY(check_range(ctx, "epochs", (double)c->epochs, 1, 1e9));
    ASTER_TRY(check_range(ctx, "batch_size", (double)c->batch_size, 1, 1e6));
    ASTER_TRY(check_range(ctx, "shards", (double)c->shards, 1, 256));
    ASTER_TRY(check_range(ctx, "learning_rate", c->learning_rate, 0, 1e6));
    ASTER_TRY(check_range(ctx, "weight_decay", c->weight_decay, 0, 1e6));
    ASTER_TRY(check_range(ctx, "beta1", c->beta1, 0, 0.999999999));
    ASTER_TRY(check_range(ctx, c->optimizer == ASTER_OPTIMIZER_RMSPROP ? "alpha" : "beta2",
                          c->beta2, 0, 0.999999999));
    ASTER_TRY(check_range(ctx, "eps", c->eps, 0, 1));
    ASTER_TRY(check_range(ctx, "momentum", c->momentum, 0, 1));
    ASTER_TRY(check_range(ctx, "clip_norm", c->clip_norm, 0, 1e30));
    ASTER_TRY(check_range(ctx, "save_top_k", (double)c->save_top_k, 0, TOP_MAX));
    ASTER_TRY(check_range(ctx, "window", (double)c->window, 1, 64));
    ASTER_TRY(check_range(ctx, "warmup_steps", (double)c->warmup_steps, 0, 1e18));
    ASTER_TRY(check_range(ctx, "step_size", (double)c->step_size,
                          c->schedule == ASTER_SCHEDULE_STEP, 1e9));
    ASTER_TRY(check_range(ctx, "gamma", c->gamma, 0, 1));
    return check_range(ctx, "checkpoint_steps", (double)c->checkpoint_steps, 0, 1e18);
}

void aster_learner_load(struct aster_buffer *b, const void *from, int64_t bytes)
{
    if (!b || !from)
        return;
    memcpy(aster_buffer_open(b, true), from, (size_t)bytes);
    aster_buffer_close(b);
}

/* ---- files ---- */

static int provenance(struct training *t, struct aster_str *out)
{
    char now[32];
    aster_iso_time(now);
    aster_str_printf(out,
                     "program: %s\nstarpu: %s\nisa: %s\nworkers: %d\nwritten: %s\nepochs done: "
                     "%lld\nsteps: %lld\n",
                     PACKAGE_STRING, aster_runtime_starpu_version(t->rt),
                     aster_isa_name(aster_runtime_isa(t->rt)), aster_runtime_n_workers(t->rt), now,
                     (long long)t->p.epoch, (long long)t->p.step);
    return aster_str_ok(t->ctx, out);
}

/* The state now, after all tasks that change it. */
static int save(struct training *t, const char *name, bool with_optimizer)
{
    struct aster_learner *l = t->l;
    struct aster_str text = {0};
    char *path = NULL;
    int rc;
    ASTER_GOTO(provenance(t, &text), done);
    ASTER_GOTO(aster_path_join(t->ctx, t->dir, name, &path), done);
    struct snapshot s = {.program = l->program,
                         .model = l->enc ? &t->c->model : NULL,
                         .encoding = l->enc ? l->enc->name : NULL,
                         .config = t->config,
                         .provenance = aster_str_get(&text),
                         .class_weights = t->c->class_weights,
                         .optimizer = t->c->optimizer,
                         .progress = t->p};
    bool m = with_optimizer, v = with_optimizer && l->v;
    s.params = aster_buffer_open(l->param, false);
    s.buffers = l->running ? aster_buffer_open(l->running, false) : NULL;
    s.m = m ? aster_buffer_open(l->m, false) : NULL;
    s.v = v ? aster_buffer_open(l->v, false) : NULL;
    rc = aster_runtime_failed(t->rt);
    if (rc == 0)
        rc = snapshot_write(t->ctx, path, &s, aster_isa_name(aster_runtime_isa(t->rt)));
    aster_buffer_close(l->param);
    if (l->running)
        aster_buffer_close(l->running);
    if (m)
        aster_buffer_close(l->m);
    if (v)
        aster_buffer_close(l->v);
done:
    aster_str_free(&text);
    aster_free(&path);
    return rc;
}

static int save_model(struct training *t, const char *name, bool with_optimizer)
{
    char *path = NULL;
    if (!t->l->kind->save)
        return save(t, name, with_optimizer);
    ASTER_TRY(aster_path_join(t->ctx, t->dir, name, &path));
    int rc = t->l->kind->save(t->l, path);
    aster_free(&path);
    return rc;
}

static void top_name(int64_t epoch, char out[64])
{
    snprintf(out, 64, "model_epoch_%04lld.h5", (long long)epoch);
}

static int keep_models(struct training *t, int64_t epoch, const struct verdict *v)
{
    char name[64];
    if (v->is_best)
        ASTER_TRY(save_model(t, "best_model.h5", false));
    if (t->c->save_top_k < 2)
        return 0;
    if (v->in_top) {
        top_name(epoch, name);
        ASTER_TRY(save_model(t, name, false));
    }
    if (v->dropped >= 0) {
        char *path;
        top_name(v->dropped, name);
        ASTER_TRY(aster_path_join(t->ctx, t->dir, name, &path));
        unlink(path);
        aster_free(&path);
    }
    return 0;
}

static int resume(struct training *t, const char *path)
{
    struct aster_learner *l = t->l;
    struct snapshot s = {.program = l->program, .config = t->config, .optimizer = t->c->optimizer};
    char *isa = NULL;
    int rc = snapshot_read(t->ctx, path, &s, &isa);
    if (rc == 0 && s.progress.batch > l->n_batches)
        rc = aster_fail(t->ctx, ASTER_EFORMAT, "%s: it is at batch %lld of %lld; it is damaged",
                        path, (long long)s.progress.batch, (long long)l->n_batches);
    if (rc == 0) {
        int64_t bytes = l->n_param * aster_dtype_size(t->c->real);
        const char *here = aster_isa_name(aster_runtime_isa(t->rt));
        t->p = s.progress;
        aster_learner_load(l->param, s.params, bytes);
        aster_learner_load(l->m, s.m, bytes);
        aster_learner_load(l->v, s.v, bytes);
        aster_learner_load(l->running, s.buffers, l->n_running * (int64_t)sizeof(double));
        if (strcmp(isa, here))
            aster_log(t->ctx, ASTER_LOG_WARN,
                      "%s was written with %s kernels, these are %s: results may differ in the "
                      "last bits (isa=%s pins them)",
                      path, isa, here, isa);
        aster_log(t->ctx, ASTER_LOG_INFO, "resuming at epoch %lld, batch %lld, step %lld",
                  (long long)t->p.epoch, (long long)t->p.batch, (long long)t->p.step);
    }
    aster_free(&isa);
    snapshot_free(&s);
    return rc;
}

static int start(struct training *t, bool want_resume)
{
    char *path;
    ASTER_TRY(aster_mkdirs(t->ctx, t->dir));
    ASTER_TRY(aster_path_join(t->ctx, t->dir, "checkpoint.h5", &path));
    int rc = 0;
    if (want_resume && aster_file_exists(path)) {
        rc = resume(t, path);
    } else {
        if (want_resume)
            aster_log(t->ctx, ASTER_LOG_INFO, "%s is not there: training starts from the beginning",
                      path);
        progress_init(t->c, &t->p);
        rc = t->l->kind->start(t->l);
    }
    aster_free(&path);
    return rc;
}

/* ---- an epoch ---- */

/* Waits for the steps in flight; the batches up to end are done. */
static int settle(struct training *t, int64_t end)
{
    aster_slots_wait(&t->l->slots);
    ASTER_TRY(atomic_load(&t->l->failed));
    ASTER_TRY(aster_runtime_failed(t->rt));
    for (; t->p.batch < end; t->p.batch++)
        if (isfinite(t->l->batch_loss[t->p.batch]))
            t->p.loss_sum += t->l->batch_loss[t->p.batch];
        else
            t->p.skipped++;
    return 0;
}

static bool stop_wanted(const struct training *t)
{
    return t->hooks && t->hooks->stop && t->hooks->stop(t->hooks->arg);
}

static int stopped(struct training *t)
{
    ASTER_TRY(save(t, "checkpoint.h5", true));
    return aster_fail(t->ctx, ASTER_ESTOP,
                      "stopped in epoch %lld after step %lld; the checkpoint is written",
                      (long long)t->p.epoch, (long long)t->p.step);
}

static void report(const struct training *t, int64_t done)
{
    if (t->hooks && t->hooks->progress)
        t->hooks->progress(t->hooks->arg, t->p.epoch, done, t->l->n_train, false);
}

/* Of the next step; before: of the one before it */
static double rate(const struct training *t, int64_t before)
{
    struct progress p = t->p;
    p.step -= before;
    return progress_rate(t->c, t->l->n_batches, &p);
}

static int train_epoch(struct training *t)
{
    struct aster_learner *l = t->l;
    int64_t size = aster_min64(t->c->batch_size, l->n_train), every = t->c->checkpoint_steps;
    aster_shuffle(t->c->seed, aster_fnv1a64("shuffle", 7) + (uint64_t)t->p.epoch, l->n_train,
                  t->order);
    atomic_store(&l->samples_done, t->p.batch * size);
    if (l->kind->begin)
        ASTER_TRY(l->kind->begin(l, t->p.batch * size, t->order));
    for (int64_t b = t->p.batch; b < l->n_batches; b++) {
        if (stop_wanted(t)) {
            ASTER_TRY(settle(t, b));
            return stopped(t);
        }
        ASTER_TRY(atomic_load(&l->failed));
        report(t, atomic_load(&l->samples_done));
        ASTER_TRY(l->kind->step(l, t->p.epoch, b, t->p.step, rate(t, 0),
                                aster_min64(size, l->n_train - b * size), t->order + b * size));
        t->p.step++;
        if (every > 0 && t->p.step % every == 0 && b + 1 < l->n_batches) {
            ASTER_TRY(settle(t, b + 1));
            ASTER_TRY(save(t, "checkpoint.h5", true));
        }
    }
    return 0;
}

static int sum_up(const struct training *t, struct aster_epoch *e)
{
    int64_t n = t->l->n_batches, left = n - t->p.skipped;
    e->skipped = t->p.skipped;
    e->train_loss = t->p.loss_sum / (double)left;
    if (left == 0)
        return aster_fail(t->ctx, ASTER_ENUMERIC,
                          "epoch %lld: the loss of every batch is not finite; lower learning_rate "
                          "or look at the labels",
                          (long long)t->p.epoch + 1);
    if (e->skipped)
        aster_log(t->ctx, ASTER_LOG_WARN,
                  "epoch %lld: %lld of %lld batches changed nothing, their loss or gradient is not "
                  "finite",
                  (long long)t->p.epoch + 1, (long long)e->skipped, (long long)n);
    return 0;
}

static int end_epoch(struct training *t, bool *stop)
{
    struct verdict v;
    struct aster_epoch e = {.epoch = t->p.epoch, .lr = rate(t, 1)};
    int rc = t->l->kind->validate(t->l, t->hooks, &e);
    ASTER_TRY(settle(t, t->l->n_batches));
    if (rc == ASTER_ESTOP && aster_ctx_code(t->ctx) == 0)
        return stopped(t);
    ASTER_TRY(rc);
    ASTER_TRY(sum_up(t, &e));
    e.seconds = aster_wall() - t->epoch_start;
    progress_epoch(t->c, &t->monitor, &e, &t->p, &v);
    e.best = v.is_best;
    t->p.epoch++;
    t->p.batch = 0;
    t->p.loss_sum = 0;
    t->p.skipped = 0;
    ASTER_TRY(keep_models(t, e.epoch, &v));
    if (t->hooks && t->hooks->epoch)
        ASTER_TRY(t->hooks->epoch(t->hooks->arg, &e));
    *stop = v.stop;
    return save(t, "checkpoint.h5", true);
}

static int run_epochs(struct training *t)
{
    bool stop = t->c->patience > 0 &&
                t->p.without_better >= t->c->patience; /* a resumed run that had come to its end */
    while (!stop && t->p.epoch < t->c->epochs) {
        t->epoch_start = aster_wall();
        ASTER_TRY(train_epoch(t));
        ASTER_TRY(end_epoch(t, &stop));
    }
    return save_model(t, "final_model.h5", true);
}

int aster_learner_run(struct aster_learner *l, const char *config, const char *dir,
                      bool want_resume, const struct aster_train_hooks *hooks)
{
    struct training t = {.ctx = l->ctx,
                         .rt = l->rt,
                         .c = l->c,
                         .hooks = hooks,
                         .dir = dir,
                         .config = config,
                         .l = l};
    ASTER_TRY(monitor_find(l->ctx, l->c->monitor, l->c->monitor_max, &t.monitor));
    ASTER_TRY(aster_alloc(l->ctx, l->n_train, sizeof *t.order, &t.order));
    int rc = start(&t, want_resume);
    if (rc == 0)
        rc = run_epochs(&t);
    aster_runtime_wait(l->rt);
    aster_free(&t.order);
    return rc;
}
