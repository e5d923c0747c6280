/* SPDX-License-Identifier: BSD-3-Clause */
/* What a child process of the graph tests does: train or predict through StarPU. */
#include "graph/graph.h"
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct watch { /* hooks */
    struct history history;
    int64_t calls, stop_at, die_at;
};

static bool stop_hook(void *arg)
{
    struct watch *w = arg;
    w->calls++;
    if (w->die_at && w->calls > w->die_at)
        _exit(9);
    return w->stop_at && w->calls > w->stop_at;
}

static int epoch_hook(void *arg, const struct aster_epoch *e)
{
    return history_line(&((struct watch *)arg)->history, e);
}

/* Rows from a callback: those of the one-hot table, so that results must be the same. It runs in
 * workers, between tasks that call libraries: denormals must still be flushed there. */
struct rows {
    const struct proteins *p;
    struct aster_encoding table;
    _Atomic int calls, bad_mode;
    bool fail;
};

static int rows_of(void *arg, int64_t key, int64_t length, float *out)
{
    struct rows *r = arg;
    const char *text = r->p->text[key];
    int64_t dim = r->table.dim;
    atomic_fetch_add(&r->calls, 1);
    if (!aster_kernel_flushes_denormals())
        atomic_fetch_add(&r->bad_mode, 1);
    if (r->fail && key == N_TRAIN + 3)
        return ASTER_EIO;
    for (int64_t l = 0; l < length; l++)
        for (int64_t d = 0; d < dim; d++)
            out[l * dim + d] = (float)r->table.table[r->table.code[(uint8_t)text[l]] * dim + d];
    return 0;
}

static int encoding_of(const struct run *r, const struct proteins *p, struct rows *rows,
                       struct aster_encoding *enc)
{
    ASTER_TRY(aster_encoding_table(NULL, "onehot", enc));
    *rows = (struct rows){.p = p, .table = *enc, .fail = r->fail_row};
    if (r->rows) {
        enc->table = NULL;
        enc->rows = rows_of;
        enc->arg = rows;
    }
    return 0;
}

static int open_history(const struct run *r, const char *name, FILE **f)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    *f = fopen(path, "a");
    return *f ? 0 : ASTER_EIO;
}

static int finish(struct aster_ctx **ctx, struct aster_runtime **rt, const struct rows *rows,
                  int rc)
{
    if (rc < 0 && *aster_ctx_message(*ctx))
        fprintf(stderr, "%s\n", aster_ctx_message(*ctx));
    aster_runtime_free(rt);
    aster_ctx_free(ctx);
    if (aster_live_allocations() != 0) {
        fprintf(stderr, "%lld allocations are left\n", (long long)aster_live_allocations());
        return 3;
    }
    if (rows->bad_mode > 0) {
        fprintf(stderr, "denormals are not flushed in %d calls\n", rows->bad_mode);
        return 4;
    }
    return rc == ASTER_ESTOP ? 5 : rc < 0 ? 1 : 0;
}

/* That a training as this one keeps its parameters in as many pieces as is said */
static int expect_pieces(struct aster_ctx *ctx, struct aster_runtime *rt, const struct run *r,
                         const struct aster_train_config *c, const struct aster_encoding *enc,
                         const struct proteins *p)
{
    struct trainer *tr;
    if (r->pieces < 0)
        return 0;
    ASTER_TRY(trainer_new(ctx, rt, c, enc, N_TRAIN, p->train, &tr));
    int n = tr->l.param->n_pieces;
    trainer_free(&tr);
    return n == r->pieces ? 0
                          : aster_fail(ctx, ASTER_EFORMAT, "parameters in %d pieces, expected %lld",
                                       n, (long long)r->pieces);
}

int run_train(const struct run *r)
{
    struct proteins p;
    struct rows rows = {0};
    struct aster_encoding enc;
    struct aster_train_config c;
    struct aster_ctx *ctx = NULL;
    struct aster_runtime *rt = NULL;
    struct watch w = {.stop_at = r->stop_at, .die_at = r->die_at};
    struct aster_train_hooks hooks = {.arg = &w, .epoch = epoch_hook, .stop = stop_hook};
    int rc;
    proteins_make(&p);
    run_config(r, &c);
    if (aster_ctx_new(&ctx) < 0 || open_history(r, "history.txt", &w.history.f) < 0)
        return 2;
    aster_log_level(ctx, ASTER_LOG_WARN);
    ASTER_GOTO(encoding_of(r, &p, &rows, &enc), done);
    struct aster_runtime_options o = {.cpus = r->cpus,
                                      .scheduler = r->scheduler,
                                      .reduction = r->reduction,
                                      .memory_limit = r->memory};
    ASTER_GOTO(aster_runtime_new(ctx, &o, &rt), done);
    ASTER_GOTO(expect_pieces(ctx, rt, r, &c, &enc, &p), done);
    rc = aster_train(ctx, rt, &c, &enc, N_TRAIN, p.train, N_VAL, p.val, r->dir, r->resume, &hooks);
done:
    fclose(w.history.f);
    return finish(&ctx, &rt, &rows, rc);
}

/* ---- prediction ---- */

struct collected {
    FILE *f;
    const struct proteins *p;
    int calls;
};

static void collect(void *arg, int64_t n, const struct aster_sample *samples,
                    const float *const *probs, const int32_t *status, double loss)
{
    struct collected *c = arg;
    c->calls++;
    for (int64_t k = 0; k < n; k++) {
        fprintf(c->f, "%lld %d", (long long)samples[k].key, (int)status[k]);
        for (int64_t l = 0; l < samples[k].length && status[k] == 0; l++)
            fprintf(c->f, " %a", (double)probs[k][l]);
        fprintf(c->f, "\n");
    }
    fprintf(c->f, "loss %d\n", isfinite(loss));
}

static int make_weights(struct aster_ctx *ctx, const struct aster_train_config *c,
                        struct aster_weights *w)
{
    struct aster_program *program;
    struct aster_model_loss loss = {.class_weights = {1, 5}};
    *w = (struct aster_weights){
        .model = c->model, .encoding = "onehot", .real = c->real, .class_weights = {1, 5}};
    ASTER_TRY(aster_model_program(ctx, &c->model, c->real, ASTER_USE_EVAL, &loss, &program));
    int64_t n = aster_program_class_n(program, ASTER_CLASS_PARAM),
            m = aster_program_class_n(program, ASTER_CLASS_BUFFER);
    int rc = aster_alloc(ctx, n, (size_t)aster_dtype_size(c->real), &w->params);
    if (rc == 0)
        rc = aster_alloc(ctx, m, sizeof(double), &w->buffers);
    if (rc == 0) {
        aster_program_init_params(program, c->seed, w->params);
        aster_program_init_buffers(program, w->buffers);
    }
    aster_program_free(&program);
    return rc;
}

static int predict_all(struct aster_ctx *ctx, struct aster_runtime *rt, const struct run *r,
                       const struct aster_weights *w, const struct aster_encoding *enc,
                       const struct proteins *p, struct collected *out)
{
    struct aster_predictor *predictor;
    struct aster_predict_options o = {.batch_size = r->batch,
                                      .window = r->window,
                                      .full_padding = r->full_padding,
                                      .with_loss = true};
    ASTER_TRY(aster_predictor_new(ctx, rt, w, enc, &o, &predictor));
    int rc = 0, batches = 0;
    for (int64_t k = 0; k < N_VAL && rc == 0; k += r->batch, batches++) {
        rc = aster_predictor_submit(predictor, aster_min64(r->batch, N_VAL - k), p->val + k,
                                    collect, out);
        if (rc == 0)
            rc = aster_predictor_wait(predictor); /* results in the order of the batches */
    }
    aster_predictor_free(&predictor);
    return rc < 0 ? rc : out->calls == batches ? 0 : ASTER_EBUG;
}

int run_predict(const struct run *r)
{
    struct proteins p;
    struct rows rows = {0};
    struct aster_encoding enc;
    struct aster_train_config c;
    struct aster_weights w = {0};
    struct aster_ctx *ctx = NULL;
    struct aster_runtime *rt = NULL;
    struct collected out = {.p = &p};
    int rc;
    proteins_make(&p);
    run_config(r, &c);
    if (aster_ctx_new(&ctx) < 0 || open_history(r, "probs.txt", &out.f) < 0)
        return 2;
    aster_log_level(ctx, ASTER_LOG_ERROR);
    ASTER_GOTO(encoding_of(r, &p, &rows, &enc), done);
    struct aster_runtime_options o = {
        .cpus = r->cpus, .scheduler = r->scheduler, .memory_limit = r->memory};
    ASTER_GOTO(aster_runtime_new(ctx, &o, &rt), done);
    ASTER_GOTO(make_weights(ctx, &c, &w), done);
    rc = predict_all(ctx, rt, r, &w, &enc, &p, &out);
done:
    aster_free(&w.params);
    aster_free(&w.buffers);
    fclose(out.f);
    return finish(&ctx, &rt, &rows, rc);
}

/* ---- model files ---- */

static bool same_weights(const struct aster_weights *a, const struct aster_weights *b)
{
    struct aster_program *program;
    struct aster_model_loss loss = {.class_weights = {1, 1}};
    if (memcmp(&a->model, &b->model, sizeof a->model) || strcmp(a->encoding, b->encoding) ||
        strcmp(a->provenance, b->provenance) || a->class_weights[0] != b->class_weights[0] ||
        a->class_weights[1] != b->class_weights[1])
        return false;
    if (aster_model_program(NULL, &a->model, a->real, ASTER_USE_EVAL, &loss, &program) < 0)
        return false;
    int64_t n = aster_program_class_n(program, ASTER_CLASS_PARAM) * aster_dtype_size(a->real);
    int64_t m = aster_program_class_n(program, ASTER_CLASS_BUFFER) * (int64_t)sizeof(double);
    aster_program_free(&program);
    return !memcmp(a->params, b->params, (size_t)n) && !memcmp(a->buffers, b->buffers, (size_t)m);
}

static void add_residues(void *arg, int64_t n, const struct aster_sample *samples,
                         const float *const *probs, const int32_t *status, double loss)
{
    for (int64_t k = 0; k < n; k++)
        if (status[k] != 0 ||
            aster_residues_add(NULL, arg, samples[k].length, probs[k], NULL, samples[k].loop_begin,
                               samples[k].loop_end, NULL) < 0)
            abort();
}

/* Metrics of weights over the validation samples. */
static int metrics_of(struct aster_ctx *ctx, struct aster_runtime *rt,
                      const struct aster_weights *w, const struct aster_encoding *enc,
                      const struct proteins *p, struct aster_metrics *out)
{
    struct aster_predictor *predictor;
    struct aster_residues residues = {0};
    struct aster_predict_options o = {.batch_size = 3};
    ASTER_TRY(aster_predictor_new(ctx, rt, w, enc, &o, &predictor));
    int rc = aster_predictor_submit(predictor, N_VAL, p->val, add_residues, &residues);
    if (rc == 0)
        rc = aster_predictor_wait(predictor);
    aster_predictor_free(&predictor);
    if (rc == 0)
        rc = aster_residues_result(ctx, &residues, out);
    aster_residues_free(&residues);
    return rc;
}

/* The last epoch of the history whose model was the best. */
static int best_of_history(const char *dir, double *f1, double *auc)
{
    char path[512];
    double numbers[5];
    int best, rc = ASTER_EIO;
    long long epoch;
    snprintf(path, sizeof path, "%s/history.txt", dir);
    FILE *f = fopen(path, "r");
    while (f && fscanf(f, "%lld %la %la %la %la %la %d", &epoch, &numbers[0], &numbers[1],
                       &numbers[2], &numbers[3], &numbers[4], &best) == 7)
        if (best) {
            *f1 = numbers[3];
            *auc = numbers[4];
            rc = 0;
        }
    if (f)
        fclose(f);
    return rc;
}

static int check_files(struct aster_ctx *ctx, const char *dir, struct aster_weights **best)
{
    char path[512], other[512];
    struct aster_weights *again = NULL;
    snprintf(path, sizeof path, "%s/best_model.h5", dir);
    snprintf(other, sizeof other, "%s/best_model.safetensors", dir);
    ASTER_TRY(aster_weights_load(ctx, path, ASTER_F32, best));
    ASTER_TRY(aster_weights_save_safetensors(ctx, *best, other));
    ASTER_TRY(aster_weights_load(ctx, other, ASTER_F32, &again));
    bool same = same_weights(*best, again);
    aster_weights_free(&again);
    if (!same)
        return aster_fail(ctx, ASTER_EFORMAT, "safetensors differ from the model file");
    return 0;
}

int run_weights(const struct run *r)
{
    struct proteins p;
    struct rows rows = {0};
    struct aster_encoding enc;
    struct aster_ctx *ctx = NULL;
    struct aster_runtime *rt = NULL;
    struct aster_weights *best = NULL;
    struct aster_metrics m;
    double f1 = 0, auc = 0;
    int rc;
    proteins_make(&p);
    if (aster_ctx_new(&ctx) < 0 || encoding_of(r, &p, &rows, &enc) < 0 ||
        best_of_history(r->dir, &f1, &auc) < 0)
        return 2;
    aster_log_level(ctx, ASTER_LOG_ERROR);
    ASTER_GOTO(aster_runtime_new(ctx, &(struct aster_runtime_options){.cpus = 2}, &rt), done);
    ASTER_GOTO(check_files(ctx, r->dir, &best), done);
    ASTER_GOTO(metrics_of(ctx, rt, best, &enc, &p, &m), done);
    if (m.f1 != f1 || m.auc != auc)
        rc = aster_fail(ctx, ASTER_EFORMAT, "f1 %g and auc %g, in the history %g and %g", m.f1,
                        m.auc, f1, auc);
done:
    aster_weights_free(&best);
    return finish(&ctx, &rt, &rows, rc);
}
