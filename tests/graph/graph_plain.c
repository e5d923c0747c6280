/* SPDX-License-Identifier: BSD-3-Clause */
/* Training as plain loops in one thread: what the task graph must agree with, bit by bit. */
#include "graph/graph.h"
#include "io/io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SHARDS = 8 };

struct plain {
    const struct run *r;
    struct aster_train_config c;
    struct proteins p;
    struct aster_encoding enc;
    const struct aster_backend *be;
    struct aster_program *train, *eval;
    int64_t n_param, n_running;
    char *param, *m, *v, *grad[MAX_SHARDS], *aux[MAX_SHARDS];
    double *running;
    char *input[MAX_SHARDS], *output[MAX_SHARDS], *arena[MAX_SHARDS];
};

static void must(int rc)
{
    if (rc < 0)
        abort();
}

static void *fresh(int64_t bytes)
{
    void *p;
    must(aster_alloc(NULL, bytes, 1, &p));
    return p;
}

static void fill_input(const struct plain *q, const struct aster_plan *plan, char *input, int64_t n,
                       const struct aster_sample *const *s, double counted)
{
    const uint8_t *codes[64];
    uint8_t text[64][MAX_LENGTH];
    int64_t lengths[64], x, labels, count, step = 1;
    bool time_major = aster_model_time_major(q->c.model.kind);
    must(aster_plan_find(NULL, plan, ASTER_CLASS_INPUT, "x", NULL, &x));
    must(aster_plan_find(NULL, plan, ASTER_CLASS_INPUT, "labels", NULL, &labels));
    must(aster_plan_find(NULL, plan, ASTER_CLASS_INPUT, "n", NULL, &count));
    memset(input + labels, 255, (size_t)(n * MAX_LENGTH));
    if (time_major)
        step = n;
    for (int64_t b = 0; b < n; b++) {
        codes[b] = text[b];
        lengths[b] = s[b]->length;
        for (int64_t l = 0; l < s[b]->length; l++) {
            text[b][l] = q->enc.code[(uint8_t)s[b]->sequence[l]];
            int64_t at = time_major ? b + l * step : b * MAX_LENGTH + l;
            input[labels + at] = l >= s[b]->loop_begin && l < s[b]->loop_end;
        }
    }
    aster_k_encode_table_cpu(q->c.real, time_major, n, MAX_LENGTH, q->enc.dim, codes, lengths,
                             q->enc.table, input + x);
    *(double *)(input + count) = counted;
}

static double tree(int64_t n, double *x)
{
    for (int64_t step = 1; step < n; step *= 2)
        for (int64_t k = 0; k + step < n; k += 2 * step)
            x[k] += x[k + step];
    return x[0];
}

/* A recurrent model takes the samples of a batch from the longest to the shortest; equal ones as
 * they lie in memory. */
static void sort(int64_t n, const struct aster_sample **s)
{
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = k + 1; j < n; j++)
            if (s[j]->length > s[k]->length || (s[j]->length == s[k]->length && s[j] < s[k])) {
                const struct aster_sample *x = s[k];
                s[k] = s[j];
                s[j] = x;
            }
}

/* Positions for which a recurrent model computes results: as many as the longest of n samples has,
 * in steps of 32. */
static int64_t active(int64_t n, const struct aster_sample *const *s)
{
    int64_t most = 32;
    for (int64_t k = 0; k < n; k++)
        while (most < s[k]->length)
            most += 32;
    return aster_min64(most, MAX_LENGTH);
}

/* Runs a program over a batch cut into shards; the loss, and P(class 1) of each sample when probs
 * is given. */
static double run_batch(struct plain *q, const struct aster_program *program, int64_t n,
                        const struct aster_sample **s, int64_t step, float (*probs)[MAX_LENGTH])
{
    int64_t whole = probs ? aster_min64(q->c.batch_size, N_VAL)
                          : n; /* evaluation cuts a short batch into shards of the same size */
    int64_t chunk = (whole + q->c.shards - 1) / q->c.shards, shards = (n + chunk - 1) / chunk,
            offset;
    struct aster_plan *plans[MAX_SHARDS] = {NULL};
    struct aster_bound bounds[MAX_SHARDS];
    double counted = 0, loss[MAX_SHARDS];
    bool time_major = aster_model_time_major(q->c.model.kind);
    for (int64_t k = 0; k < n; k++)
        counted += (double)s[k]->length;
    if (time_major)
        sort(n, s);
    for (int64_t k = 0; k < shards; k++) {
        int64_t b = aster_min64(chunk, n - k * chunk);
        struct aster_bind bind[] = {
            {"B", b}, {"L", MAX_LENGTH}, {"BG", n}, {"S", active(b, s + k * chunk)}};
        must(aster_plan_new(NULL, program, 4, bind, NULL, &plans[k]));
        q->input[k] = fresh(aster_plan_bytes(plans[k], ASTER_CLASS_INPUT));
        q->output[k] = fresh(aster_plan_bytes(plans[k], ASTER_CLASS_OUTPUT));
        q->arena[k] = fresh(aster_plan_bytes(plans[k], ASTER_CLASS_ARENA));
        fill_input(q, plans[k], q->input[k], b, s + k * chunk, counted);
        bounds[k] =
            (struct aster_bound){.at = {[ASTER_CLASS_INPUT] = q->input[k],
                                        [ASTER_CLASS_PARAM] = q->param,
                                        [ASTER_CLASS_BUFFER] = q->running,
                                        [ASTER_CLASS_OUTPUT] = q->output[k],
                                        [ASTER_CLASS_GRAD] = q->grad[k],
                                        [ASTER_CLASS_AUX] = q->aux[k],
                                        [ASTER_CLASS_ARENA] = q->arena[k]},
                                 .run = {.seed = q->c.seed, .step = step, .sample0 = k * chunk}};
    }
    must(aster_exec_all(NULL, q->be, (int)shards, (const struct aster_plan *const *)plans, bounds));
    for (int64_t k = 0; k < shards; k++) {
        int64_t b = aster_min64(chunk, n - k * chunk);
        must(aster_plan_find(NULL, plans[k], ASTER_CLASS_OUTPUT, "loss", NULL, &offset));
        loss[k] = *(double *)(q->output[k] + offset);
        must(aster_plan_find(NULL, plans[k], ASTER_CLASS_OUTPUT, "probs", NULL, &offset));
        for (int64_t i = 0; probs && i < b; i++)
            for (int64_t l = 0; l < s[k * chunk + i]->length; l++) {
                int64_t at = time_major ? l * b + i : i * MAX_LENGTH + l;
                const void *from = q->output[k] + offset;
                probs[k * chunk + i][l] = q->c.real == ASTER_F64
                                              ? (float)((const double *)from)[2 * at + 1]
                                              : ((const float *)from)[2 * at + 1];
            }
        aster_free(&q->input[k]);
        aster_free(&q->output[k]);
        aster_free(&q->arena[k]);
        aster_plan_free(&plans[k]);
    }
    return tree(shards, loss);
}

static double squares_by_pieces(const struct plain *q)
{
    double part[ASTER_MOST_PIECES];
    int64_t length = aster_piece_length(q->n_param), n = 0;
    for (int64_t at = 0; at < q->n_param; at += length)
        q->be->update.sum_squares(NULL, q->c.real, aster_min64(length, q->n_param - at),
                                  (const char *)q->grad[0] + at * aster_dtype_size(q->c.real),
                                  &part[n++]);
    return tree(n, part);
}

static void update(struct plain *q, int64_t n, int64_t step, double lr)
{
    int64_t chunk = (n + q->c.shards - 1) / q->c.shards, shards = (n + chunk - 1) / chunk;
    struct aster_update u = {.lr = lr,
                             .beta1 = q->c.beta1,
                             .beta2 = q->c.beta2,
                             .eps = q->c.eps,
                             .weight_decay = q->c.weight_decay,
                             .step = step + 1,
                             .grad_scale = 1};
    for (int64_t s = 1; s < shards; s *= 2)
        for (int64_t k = 0; k + s < shards; k += 2 * s)
            q->be->update.add_into(NULL, q->c.real, q->n_param, q->grad[k], q->grad[k + s]);
    if (q->c.clip_norm > 0) {
        double norm = sqrt(squares_by_pieces(q));
        u.grad_scale = fmin(1, q->c.clip_norm / (norm + 1e-6));
    }
    u.momentum = q->c.momentum;
    if (q->c.optimizer == ASTER_OPTIMIZER_SGD)
        q->be->update.sgd(NULL, q->c.real, q->n_param, &u, q->param, q->grad[0], q->m);
    else if (q->c.optimizer == ASTER_OPTIMIZER_ADAMW)
        q->be->update.adamw(NULL, q->c.real, q->n_param, &u, q->param, q->grad[0], q->m, q->v);
    else
        q->be->update.adam(NULL, q->c.real, q->n_param, &u, q->param, q->grad[0], q->m, q->v);
    if (q->n_running)
        q->be->update.ema(NULL, ASTER_F64, q->n_running, 0.1, q->running, q->aux[0]);
}

static double train_epoch(struct plain *q, int64_t epoch, int64_t *step, double lr)
{
    int64_t order[N_TRAIN], n_batches = 0;
    double sum = 0;
    aster_shuffle(q->c.seed, aster_fnv1a64("shuffle", 7) + (uint64_t)epoch, N_TRAIN, order);
    for (int64_t first = 0; first < N_TRAIN; first += q->c.batch_size, n_batches++) {
        const struct aster_sample *s[64];
        int64_t n = aster_min64(q->c.batch_size, N_TRAIN - first);
        for (int64_t k = 0; k < n; k++)
            s[k] = &q->p.train[order[first + k]];
        sum += run_batch(q, q->train, n, s, *step, NULL);
        update(q, n, (*step)++, lr);
    }
    return sum / (double)n_batches;
}

static void validate(struct plain *q, struct aster_epoch *e)
{
    struct aster_residues residues = {0};
    double sum = 0;
    int64_t n_batches = 0;
    for (int64_t first = 0; first < N_VAL; first += q->c.batch_size, n_batches++) {
        const struct aster_sample *s[64];
        float probs[64][MAX_LENGTH];
        int64_t n = aster_min64(q->c.batch_size, N_VAL - first);
        for (int64_t k = 0; k < n; k++)
            s[k] = &q->p.val[first + k];
        sum += run_batch(q, q->eval, n, s, 0, probs);
        for (int64_t k = 0; k < n; k++)
            must(aster_residues_add(NULL, &residues, s[k]->length, probs[k], NULL, s[k]->loop_begin,
                                    s[k]->loop_end, NULL));
    }
    e->val_loss = sum / (double)n_batches;
    must(aster_residues_result(NULL, &residues, &e->val));
    aster_residues_free(&residues);
}

static void write_group(struct plain *q, struct aster_h5 *f, const char *group, bool buffers,
                        const void *flat)
{
    int n = buffers ? aster_program_n_buffers(q->train) : aster_program_n_params(q->train);
    for (int k = 0; k < n; k++) {
        const struct aster_param_info *info =
            buffers ? aster_program_buffer(q->train, k) : aster_program_param(q->train, k);
        enum aster_dtype t = buffers ? ASTER_F64 : q->c.real;
        char name[256];
        int64_t dim[ASTER_MAX_RANK];
        void *theirs = fresh(info->n * aster_dtype_size(t));
        aster_param_to_reference(info, t, flat, theirs);
        aster_param_reference_shape(info, dim);
        snprintf(name, sizeof name, "%s/%s", group, info->name);
        must(aster_h5_write(f, name, t, info->rank, dim, theirs));
        aster_free(&theirs);
    }
}

static void write_model(struct plain *q)
{
    char path[512];
    struct aster_h5 *f;
    snprintf(path, sizeof path, "%s/final_model.h5", q->r->dir);
    must(aster_h5_create(NULL, path, &f));
    write_group(q, f, "weights", false, q->param);
    write_group(q, f, "buffers", true, q->running);
    if (q->c.optimizer == ASTER_OPTIMIZER_SGD) {
        write_group(q, f, "momentum", false, q->m);
    } else {
        write_group(q, f, "adam_m", false, q->m);
        write_group(q, f, "adam_v", false, q->v);
    }
    must(aster_h5_commit(&f));
}

static void allocate(struct plain *q)
{
    int64_t real = aster_dtype_size(q->c.real);
    q->n_param = aster_program_class_n(q->train, ASTER_CLASS_PARAM);
    q->n_running = aster_program_class_n(q->train, ASTER_CLASS_BUFFER);
    q->param = fresh(q->n_param * real);
    q->m = fresh(q->n_param * real);
    q->v = fresh(q->n_param * real);
    q->running = fresh(q->n_running * 8);
    for (int k = 0; k < MAX_SHARDS; k++) {
        q->grad[k] = fresh(q->n_param * real);
        q->aux[k] = fresh(q->n_running * 8);
    }
}

static void release(struct plain *q)
{
    aster_free(&q->param);
    aster_free(&q->m);
    aster_free(&q->v);
    aster_free(&q->running);
    for (int k = 0; k < MAX_SHARDS; k++) {
        aster_free(&q->grad[k]);
        aster_free(&q->aux[k]);
    }
    aster_program_free(&q->train);
    aster_program_free(&q->eval);
}

/* Halved after every epoch that is no better; or a half cosine down to min_lr. */
static double next_rate(const struct aster_train_config *c, int64_t epoch, double value, double lr,
                        double *best)
{
    if (c->schedule == ASTER_SCHEDULE_COSINE)
        return c->min_lr + (c->learning_rate - c->min_lr) *
                               (1 + cos(acos(-1) * (double)(epoch + 1) / (double)c->epochs)) / 2;
    if (value > *best * (1 + 1e-4)) {
        *best = value;
        return lr;
    }
    return fmax(lr * 0.5, c->min_lr);
}

int run_plain(const struct run *r)
{
    static struct plain q;
    char path[512];
    q = (struct plain){.r = r, .be = aster_backend_cpu(aster_isa_best())};
    run_config(r, &q.c);
    proteins_make(&q.p);
    aster_kernel_thread_init();
    must(aster_encoding_table(NULL, "onehot", &q.enc));
    struct aster_model_loss loss = {.class_weights = {1, 5}, .sync_bn = !r->local_bn};
    must(aster_model_program(NULL, &q.c.model, q.c.real, ASTER_USE_TRAIN, &loss, &q.train));
    must(aster_model_program(NULL, &q.c.model, q.c.real, ASTER_USE_EVAL, &loss, &q.eval));
    allocate(&q);
    aster_program_init_params(q.train, r->seed, q.param);
    aster_program_init_buffers(q.train, q.running);
    snprintf(path, sizeof path, "%s/history.txt", r->dir);
    struct history h = {fopen(path, "w")};
    double lr = q.c.learning_rate, best = -INFINITY, saved = 0;
    int64_t step = 0;
    for (int64_t epoch = 0; epoch < r->epochs; epoch++) {
        struct aster_epoch e = {.epoch = epoch, .lr = lr};
        e.train_loss = train_epoch(&q, epoch, &step, lr);
        validate(&q, &e);
        e.best = epoch == 0 || e.val.f1 > saved;
        saved = fmax(saved, e.val.f1);
        must(history_line(&h, &e));
        lr = next_rate(&q.c, e.epoch, e.val.f1, lr, &best);
    }
    fclose(h.f);
    write_model(&q);
    release(&q);
    return aster_live_allocations() == 0 ? 0 : 3;
}
