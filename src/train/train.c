/* SPDX-License-Identifier: BSD-3-Clause */
/* Epochs: steps, validation, what is kept, checkpoints, resume. */
#include "train/train.h"
#include "config.h"
#include "train/validation.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

struct training {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    const struct aster_train_config *c;
    const struct aster_train_hooks *hooks;
    const char *dir;
    struct trainer *tr;
    struct validation *val;
    struct monitor monitor;
    struct progress p;
    struct aster_str config; /* as text */
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

static int check_config(struct aster_ctx *ctx, const struct aster_train_config *c)
{
    ASTER_TRY(aster_model_check(ctx, &c->model));
    ASTER_TRY(check_range(ctx, "epochs", (double)c->epochs, 1, 1e9));
    ASTER_TRY(check_range(ctx, "batch_size", (double)c->batch_size, 1, 1e6));
    ASTER_TRY(check_range(ctx, "shards", (double)c->shards, 1, 256));
    ASTER_TRY(check_range(ctx, "learning_rate", c->learning_rate, 0, 1e6));
    ASTER_TRY(check_range(ctx, "weight_decay", c->weight_decay, 0, 1e6));
    ASTER_TRY(check_range(ctx, "beta1", c->beta1, 0, 0.999999999));
    ASTER_TRY(check_range(ctx, "beta2", c->beta2, 0, 0.999999999));
    ASTER_TRY(check_range(ctx, "eps", c->eps, 0, 1));
    ASTER_TRY(check_range(ctx, "momentum", c->momentum, 0, 1));
    ASTER_TRY(check_range(ctx, "clip_norm", c->clip_norm, 0, 1e30));
    ASTER_TRY(check_range(ctx, "save_top_k", (double)c->save_top_k, 0, TOP_MAX));
    ASTER_TRY(check_range(ctx, "window", (double)c->window, 1, 64));
    if (c->class_weights[0] <= 0 && c->class_weights[1] <= 0)
        return aster_fail(ctx, ASTER_EPARAM, "loss_weights are all 0; one of them must be above 0");
    return check_range(ctx, "checkpoint_steps", (double)c->checkpoint_steps, 0, 1e18);
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
    struct trainer *tr = t->tr;
    struct aster_str text = {0};
    char *path = NULL;
    int rc;
    ASTER_GOTO(provenance(t, &text), done);
    ASTER_GOTO(aster_path_join(t->ctx, t->dir, name, &path), done);
    struct snapshot s = {.program = tr->program,
                         .model = &t->c->model,
                         .encoding = tr->enc->name,
                         .config = aster_str_get(&t->config),
                         .provenance = aster_str_get(&text),
                         .class_weights = t->c->class_weights,
                         .optimizer = t->c->optimizer,
                         .progress = t->p};
    bool m = with_optimizer, v = with_optimizer && tr->v;
    s.params = aster_buffer_open(tr->param, false);
    s.buffers = tr->running ? aster_buffer_open(tr->running, false) : NULL;
    s.m = m ? aster_buffer_open(tr->m, false) : NULL;
    s.v = v ? aster_buffer_open(tr->v, false) : NULL;
    rc = aster_runtime_failed(t->rt);
    if (rc == 0)
        rc = snapshot_write(t->ctx, path, &s, aster_isa_name(aster_runtime_isa(t->rt)));
    aster_buffer_close(tr->param);
    if (tr->running)
        aster_buffer_close(tr->running);
    if (m)
        aster_buffer_close(tr->m);
    if (v)
        aster_buffer_close(tr->v);
done:
    aster_str_free(&text);
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
        ASTER_TRY(save(t, "best_model.h5", false));
    if (t->c->save_top_k < 2)
        return 0;
    if (v->in_top) {
        top_name(epoch, name);
        ASTER_TRY(save(t, name, false));
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

static void load_vector(struct aster_buffer *b, const void *from, int64_t bytes)
{
    if (!b || !from)
        return;
    memcpy(aster_buffer_open(b, true), from, (size_t)bytes);
    aster_buffer_close(b);
}

static int resume(struct training *t, const char *path)
{
    struct trainer *tr = t->tr;
    struct snapshot s = {
        .program = tr->program, .config = aster_str_get(&t->config), .optimizer = t->c->optimizer};
    char *isa = NULL;
    int rc = snapshot_read(t->ctx, path, &s, &isa);
    if (rc == 0 && s.progress.batch > tr->n_batches)
        rc = aster_fail(t->ctx, ASTER_EFORMAT, "%s: it is at batch %lld of %lld; it is damaged",
                        path, (long long)s.progress.batch, (long long)tr->n_batches);
    if (rc == 0) {
        int64_t bytes = tr->n_param * aster_dtype_size(t->c->real);
        const char *here = aster_isa_name(aster_runtime_isa(t->rt));
        t->p = s.progress;
        load_vector(tr->param, s.params, bytes);
        load_vector(tr->m, s.m, bytes);
        load_vector(tr->v, s.v, bytes);
        load_vector(tr->running, s.buffers, tr->n_running * (int64_t)sizeof(double));
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

static void start_afresh(struct training *t)
{
    struct trainer *tr = t->tr;
    progress_init(t->c, &t->p);
    aster_program_init_params(tr->program, t->c->seed, aster_buffer_open(tr->param, true));
    aster_buffer_close(tr->param);
    if (tr->running) {
        aster_program_init_buffers(tr->program, aster_buffer_open(tr->running, true));
        aster_buffer_close(tr->running);
    }
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
        start_afresh(t);
    }
    aster_free(&path);
    return rc;
}

/* ---- an epoch ---- */

/* Waits for the steps in flight; the batches up to end are done. */
static int settle(struct training *t, int64_t end)
{
    trainer_wait(t->tr);
    ASTER_TRY(atomic_load(&t->tr->failed));
    ASTER_TRY(aster_runtime_failed(t->rt));
    for (; t->p.batch < end; t->p.batch++)
        t->p.loss_sum += t->tr->batch_loss[t->p.batch];
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
        t->hooks->progress(t->hooks->arg, t->p.epoch, done, t->tr->n_train, false);
}

static int train_epoch(struct training *t)
{
    struct trainer *tr = t->tr;
    int64_t size = aster_min64(t->c->batch_size, tr->n_train), every = t->c->checkpoint_steps;
    aster_shuffle(t->c->seed, aster_fnv1a64("shuffle", 7) + (uint64_t)t->p.epoch, tr->n_train,
                  t->order);
    atomic_store(&tr->samples_done, t->p.batch * size);
    for (int64_t b = t->p.batch; b < tr->n_batches; b++) {
        if (stop_wanted(t)) {
            ASTER_TRY(settle(t, b));
            return stopped(t);
        }
        ASTER_TRY(atomic_load(&tr->failed));
        report(t, atomic_load(&tr->samples_done));
        ASTER_TRY(trainer_step(tr, t->p.epoch, b, t->p.step, t->p.lr,
                               aster_min64(size, tr->n_train - b * size), t->order + b * size));
        t->p.step++;
        if (every > 0 && t->p.step % every == 0 && b + 1 < tr->n_batches) {
            ASTER_TRY(settle(t, b + 1));
            ASTER_TRY(save(t, "checkpoint.h5", true));
        }
    }
    return 0;
}

static int end_epoch(struct training *t, bool *stop)
{
    struct verdict v;
    struct aster_epoch e = {.epoch = t->p.epoch, .lr = t->p.lr};
    int rc = validation_run(t->val, t->p.epoch, t->hooks, &e.val_loss, &e.val);
    ASTER_TRY(settle(t, t->tr->n_batches));
    if (rc == ASTER_ESTOP && aster_ctx_code(t->ctx) == 0)
        return stopped(t);
    ASTER_TRY(rc);
    e.train_loss = t->p.loss_sum / (double)t->tr->n_batches;
    e.seconds = aster_wall() - t->epoch_start;
    progress_epoch(t->c, &t->monitor, &e, &t->p, &v);
    e.best = v.is_best;
    t->p.epoch++;
    t->p.batch = 0;
    t->p.loss_sum = 0;
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
    return save(t, "final_model.h5", true);
}

int aster_train(struct aster_ctx *ctx, struct aster_runtime *rt, const struct aster_train_config *c,
                const struct aster_encoding *enc, int64_t n_train, const struct aster_sample *train,
                int64_t n_val, const struct aster_sample *val, const char *dir, bool want_resume,
                const struct aster_train_hooks *hooks)
{
    struct training t = {.ctx = ctx, .rt = rt, .c = c, .hooks = hooks, .dir = dir};
    int rc;
    ASTER_TRY(aster_train_check(ctx, c, n_train, n_val));
    ASTER_TRY(monitor_find(ctx, c->monitor, c->monitor_max, &t.monitor));
    ASTER_TRY(train_check_samples(ctx, "training", c, n_train, train));
    ASTER_TRY(train_check_samples(ctx, "validation", c, n_val, val));
    ASTER_GOTO(config_text(ctx, c, enc, n_train, train, n_val, val, &t.config), done);
    ASTER_GOTO(aster_alloc(ctx, n_train, sizeof *t.order, &t.order), done);
    ASTER_GOTO(trainer_new(ctx, rt, c, enc, n_train, train, &t.tr), done);
    ASTER_GOTO(validation_new(t.tr, n_val, val, &t.val), done);
    ASTER_GOTO(start(&t, want_resume), done);
    rc = run_epochs(&t);
done:
    if (t.tr)
        aster_runtime_wait(rt);
    validation_free(&t.val);
    trainer_free(&t.tr);
    aster_free(&t.order);
    aster_str_free(&t.config);
    return rc;
}
