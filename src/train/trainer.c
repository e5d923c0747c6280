/* SPDX-License-Identifier: BSD-3-Clause */
/* The buffers of training: made once, reused by every step. */
#include "train/validation.h"

struct sizes {
    int64_t bytes[ASTER_N_CLASSES], sync;
    int n_segments;
};

/* Of a single row there is no variance: the running one would become 0 / 0. */
static int check_norm(struct aster_ctx *ctx, const struct aster_train_config *c, int64_t n_train,
                      int64_t n)
{
    int64_t chunk = chunk_of(n, c->shards), rest = n % chunk;
    bool sync = c->bn == ASTER_BN_SYNC;
    if ((sync ? n : rest ? rest : chunk) * aster_model_norm_length(&c->model) != 1)
        return 0;
    return aster_fail(ctx, ASTER_EPARAM,
                      "%lld training samples in batches of %lld leave a %s of one, where batch "
                      "normalisation would see a single row; choose "
                      "another batch_size or a larger max_length",
                      (long long)n_train, (long long)c->batch_size, sync ? "batch" : "shard");
}

int trainer_check(struct aster_ctx *ctx, const struct aster_train_config *c, int64_t n_train)
{
    int64_t full = aster_min64(c->batch_size, n_train), last = n_train % full;
    ASTER_TRY(check_norm(ctx, c, n_train, full));
    return last ? check_norm(ctx, c, n_train, last) : 0;
}

/* The shapes that occur: shards of a full batch and of the last one, with what is left over of
 * each. */
static int look_at_batch(struct trainer *tr, int64_t n, struct sizes *most)
{
    int64_t chunk = chunk_of(n, tr->l.c->shards), rest = n % chunk;
    for (int k = 0; k < 2; k++) {
        const struct planned *p;
        if (k == 1 && rest == 0)
            break;
        ASTER_TRY(plans_get(&tr->plans, k ? rest : chunk, n, tr->plans.length, &p));
        ASTER_TRY(plans_most(&tr->plans, k ? rest : chunk, n, most->bytes));
        most->n_segments = p->n_segments;
        for (int j = 0; j + 1 < p->n_segments; j++)
            most->sync = aster_max64(most->sync, aster_plan_sync_bytes(p->plan, j));
    }
    tr->shards = aster_max64(tr->shards, chunk_of(n, chunk));
    return 0;
}

static int make_many(struct trainer *tr, int64_t bytes, struct aster_buffer ***out)
{
    ASTER_TRY(aster_alloc(tr->l.ctx, tr->shards, sizeof **out, out));
    for (int64_t s = 0; s < tr->shards; s++)
        ASTER_TRY(aster_buffer_new(tr->l.rt, bytes, &(*out)[s]));
    return 0;
}

static int make_buffers(struct trainer *tr, const struct sizes *z)
{
    ASTER_TRY(aster_alloc(tr->l.ctx, tr->shards, sizeof *tr->grad, &tr->grad));
    for (int64_t s = 0; s < tr->shards; s++)
        ASTER_TRY(aster_learner_gradient(&tr->l, s, &tr->grad[s]));
    ASTER_TRY(make_many(tr, z->bytes[ASTER_CLASS_OUTPUT], &tr->output));
    if (tr->l.n_running > 0)
        ASTER_TRY(make_many(tr, tr->l.n_running * (int64_t)sizeof(double), &tr->aux));
    if (z->n_segments == 1) {
        ASTER_TRY(aster_buffer_new_scratch(tr->l.rt, z->bytes[ASTER_CLASS_ARENA], &tr->scratch));
    } else {
        ASTER_TRY(make_many(tr, z->bytes[ASTER_CLASS_ARENA], &tr->arena));
        for (int k = 0; k < 2; k++)
            ASTER_TRY(make_many(tr, z->sync, &tr->sync[k]));
    }
    for (int k = 0; k < tr->n_sets; k++)
        ASTER_TRY(make_many(tr, z->bytes[ASTER_CLASS_INPUT], &tr->input[k]));
    return 0;
}

static int make_steps(struct trainer *tr)
{
    tr->n_steps = (int)aster_max64(1, aster_min64(tr->l.c->window, 64));
    ASTER_TRY(aster_slots_init(tr->l.ctx, &tr->l.slots, tr->n_steps));
    ASTER_TRY(aster_alloc(tr->l.ctx, tr->n_steps, sizeof *tr->steps, &tr->steps));
    for (int k = 0; k < tr->n_steps; k++) {
        struct step *st = &tr->steps[k];
        st->tr = tr;
        st->slot = k;
        ASTER_TRY(aster_alloc(tr->l.ctx, tr->shards, sizeof *st->plan, &st->plan));
        ASTER_TRY(aster_alloc(tr->l.ctx, tr->l.c->batch_size, sizeof *st->samples, &st->samples));
        ASTER_TRY(aster_alloc(tr->l.ctx, tr->l.c->batch_size, sizeof *st->status, &st->status));
        ASTER_TRY(aster_alloc(tr->l.ctx, tr->shards, sizeof *st->loss, &st->loss));
    }
    return 0;
}

static int trainer_start(struct trainer *tr)
{
    const struct aster_train_config *c = tr->l.c;
    struct aster_model_loss loss = {.class_weights = {c->class_weights[0], c->class_weights[1]},
                                    .sync_bn = c->bn == ASTER_BN_SYNC};
    struct sizes z = {0};
    ASTER_TRY(
        aster_model_program(tr->l.ctx, &c->model, c->real, ASTER_USE_TRAIN, &loss, &tr->l.program));
    tr->plans = (struct plans){.ctx = tr->l.ctx,
                               .program = tr->l.program,
                               .length = c->model.max_length,
                               .cut = aster_model_time_major(c->model.kind)};
    int64_t full = aster_min64(c->batch_size, tr->l.n_train), last = tr->l.n_train % full;
    tr->l.n_batches = chunk_of(tr->l.n_train, full);
    ASTER_TRY(look_at_batch(tr, full, &z));
    if (last)
        ASTER_TRY(look_at_batch(tr, last, &z));
    tr->n_sets = c->window > 1 ? INPUT_SETS : 1;
    int64_t before = atomic_load(&tr->l.env->memory_used);
    tr->l.most_shards = tr->shards;
    tr->l.in_turn = tr->plans.cut;
    ASTER_TRY(aster_learner_make(&tr->l, false));
    ASTER_TRY(make_buffers(tr, &z));
    int64_t need = atomic_load(&tr->l.env->memory_used) - before;
    if (before + need > tr->l.env->memory_limit)
        return aster_fail(tr->l.ctx, ASTER_ELIMIT,
                          "training with batch_size %lld needs %.1f MB, %.1f MB of the memory "
                          "limit are free; lower batch_size%s",
                          (long long)c->batch_size, (double)need / 1e6,
                          (double)(tr->l.env->memory_limit - before) / 1e6,
                          z.n_segments == 1 ? " or raise shards" : "");
    return make_steps(tr);
}

int trainer_first(struct aster_learner *l)
{
    aster_program_init_params(l->program, l->c->seed, aster_buffer_open(l->param, true));
    aster_buffer_close(l->param);
    if (l->running) {
        aster_program_init_buffers(l->program, aster_buffer_open(l->running, true));
        aster_buffer_close(l->running);
    }
    return 0;
}

static int one_step(struct aster_learner *l, int64_t epoch, int64_t batch, int64_t step, double lr,
                    int64_t n, const int64_t *order)
{
    return trainer_step((struct trainer *)l, epoch, batch, step, lr, n, order);
}

static int validate(struct aster_learner *l, const struct aster_train_hooks *hooks,
                    struct aster_epoch *e)
{
    struct trainer *tr = (struct trainer *)l;
    return validation_run(tr->validation, e->epoch, hooks, &e->val_loss, &e->val);
}

static const struct aster_learner_kind labeller = {
    .start = trainer_first, .step = one_step, .validate = validate};

int trainer_new(struct aster_ctx *ctx, struct aster_runtime *rt, const struct aster_train_config *c,
                const struct aster_encoding *enc, int64_t n_train, const struct aster_sample *train,
                struct trainer **out)
{
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    struct trainer *tr = *out;
    tr->l.kind = &labeller;
    tr->l.ctx = ctx;
    tr->l.rt = rt;
    tr->l.env = aster_runtime_env(rt);
    tr->l.c = c;
    tr->l.enc = enc;
    tr->l.n_train = n_train;
    tr->samples = train;
    int rc = trainer_start(tr);
    if (rc < 0)
        trainer_free(out);
    return rc;
}

static void free_many(struct trainer *tr, struct aster_buffer ***list)
{
    for (int64_t s = 0; *list && s < tr->shards; s++)
        aster_buffer_free(tr->l.rt, &(*list)[s]);
    aster_free(list);
}

void trainer_free(struct trainer **trp)
{
    struct trainer *tr = *trp;
    if (!tr)
        return;
    aster_runtime_wait(tr->l.rt);
    validation_free(&tr->validation);
    for (int k = 0; tr->steps && k < tr->n_steps; k++) {
        aster_free(&tr->steps[k].plan);
        aster_free(&tr->steps[k].samples);
        aster_free(&tr->steps[k].status);
        aster_free(&tr->steps[k].loss);
    }
    aster_free(&tr->steps);
    aster_buffer_free(tr->l.rt, &tr->scratch);
    free_many(tr, &tr->grad);
    free_many(tr, &tr->output);
    free_many(tr, &tr->aux);
    free_many(tr, &tr->arena);
    for (int k = 0; k < 2; k++)
        free_many(tr, &tr->sync[k]);
    for (int k = 0; k < INPUT_SETS; k++)
        free_many(tr, &tr->input[k]);
    plans_done(&tr->plans);
    aster_learner_done(&tr->l);
    aster_free(trp);
}
