/* SPDX-License-Identifier: BSD-3-Clause */
/* The buffers of training: made once, reused by every step. */
#include "train/trainer.h"

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
    int64_t chunk = chunk_of(n, tr->c->shards), rest = n % chunk;
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
    ASTER_TRY(aster_alloc(tr->ctx, tr->shards, sizeof **out, out));
    for (int64_t s = 0; s < tr->shards; s++)
        ASTER_TRY(aster_buffer_new(tr->rt, bytes, &(*out)[s]));
    return 0;
}

static int make_buffers(struct trainer *tr, const struct sizes *z)
{
    int64_t real = aster_dtype_size(tr->c->real), params = tr->n_param * real;
    ASTER_TRY(aster_buffer_new(tr->rt, params, &tr->param));
    ASTER_TRY(aster_buffer_new(tr->rt, params, &tr->m));
    if (tr->c->optimizer != ASTER_OPTIMIZER_SGD)
        ASTER_TRY(aster_buffer_new(tr->rt, params, &tr->v));
    if (tr->c->clip_norm > 0)
        ASTER_TRY(aster_buffer_new(tr->rt, sizeof(double), &tr->norm));
    ASTER_TRY(make_many(tr, params, &tr->grad));
    ASTER_TRY(make_many(tr, z->bytes[ASTER_CLASS_OUTPUT], &tr->output));
    if (tr->n_running > 0) {
        ASTER_TRY(aster_buffer_new(tr->rt, tr->n_running * (int64_t)sizeof(double), &tr->running));
        ASTER_TRY(make_many(tr, tr->n_running * (int64_t)sizeof(double), &tr->aux));
    }
    if (z->n_segments == 1) {
        ASTER_TRY(aster_buffer_new_scratch(tr->rt, z->bytes[ASTER_CLASS_ARENA], &tr->scratch));
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
    tr->n_steps = (int)aster_max64(1, aster_min64(tr->c->window, 64));
    ASTER_TRY(aster_slots_init(tr->ctx, &tr->slots, tr->n_steps));
    ASTER_TRY(aster_alloc(tr->ctx, tr->n_steps, sizeof *tr->steps, &tr->steps));
    for (int k = 0; k < tr->n_steps; k++) {
        struct step *st = &tr->steps[k];
        st->tr = tr;
        st->slot = k;
        ASTER_TRY(aster_alloc(tr->ctx, tr->shards, sizeof *st->plan, &st->plan));
        ASTER_TRY(aster_alloc(tr->ctx, tr->c->batch_size, sizeof *st->samples, &st->samples));
        ASTER_TRY(aster_alloc(tr->ctx, tr->c->batch_size, sizeof *st->status, &st->status));
        ASTER_TRY(aster_alloc(tr->ctx, tr->shards, sizeof *st->loss, &st->loss));
    }
    return 0;
}

static int trainer_start(struct trainer *tr)
{
    const struct aster_train_config *c = tr->c;
    struct aster_model_loss loss = {.class_weights = {c->class_weights[0], c->class_weights[1]},
                                    .sync_bn = c->bn == ASTER_BN_SYNC};
    struct sizes z = {0};
    ASTER_TRY(
        aster_model_program(tr->ctx, &c->model, c->real, ASTER_USE_TRAIN, &loss, &tr->program));
    tr->plans = (struct plans){.ctx = tr->ctx,
                               .program = tr->program,
                               .length = c->model.max_length,
                               .cut = aster_model_time_major(c->model.kind)};
    tr->n_param = aster_program_class_n(tr->program, ASTER_CLASS_PARAM);
    tr->n_running = aster_program_class_n(tr->program, ASTER_CLASS_BUFFER);
    int64_t full = aster_min64(c->batch_size, tr->n_train), last = tr->n_train % full;
    tr->n_batches = chunk_of(tr->n_train, full);
    ASTER_TRY(look_at_batch(tr, full, &z));
    if (last)
        ASTER_TRY(look_at_batch(tr, last, &z));
    tr->n_sets = c->window > 1 ? INPUT_SETS : 1;
    int64_t before = atomic_load(&tr->env->memory_used);
    ASTER_TRY(make_buffers(tr, &z));
    int64_t need = atomic_load(&tr->env->memory_used) - before;
    if (before + need > tr->env->memory_limit)
        return aster_fail(tr->ctx, ASTER_ELIMIT,
                          "training with batch_size %lld needs %.1f MB, %.1f MB of the memory "
                          "limit are free; lower batch_size%s",
                          (long long)c->batch_size, (double)need / 1e6,
                          (double)(tr->env->memory_limit - before) / 1e6,
                          z.n_segments == 1 ? " or raise shards" : "");
    ASTER_TRY(aster_alloc(tr->ctx, tr->n_batches, sizeof *tr->batch_loss, &tr->batch_loss));
    return make_steps(tr);
}

int trainer_new(struct aster_ctx *ctx, struct aster_runtime *rt, const struct aster_train_config *c,
                const struct aster_encoding *enc, int64_t n_train, const struct aster_sample *train,
                struct trainer **out)
{
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    struct trainer *tr = *out;
    tr->ctx = ctx;
    tr->rt = rt;
    tr->env = aster_runtime_env(rt);
    tr->c = c;
    tr->enc = enc;
    tr->n_train = n_train;
    tr->samples = train;
    int rc = trainer_start(tr);
    if (rc < 0)
        trainer_free(out);
    return rc;
}

static void free_many(struct trainer *tr, struct aster_buffer ***list)
{
    for (int64_t s = 0; *list && s < tr->shards; s++)
        aster_buffer_free(tr->rt, &(*list)[s]);
    aster_free(list);
}

void trainer_free(struct trainer **trp)
{
    struct trainer *tr = *trp;
    if (!tr)
        return;
    aster_runtime_wait(tr->rt);
    for (int k = 0; tr->steps && k < tr->n_steps; k++) {
        aster_free(&tr->steps[k].plan);
        aster_free(&tr->steps[k].samples);
        aster_free(&tr->steps[k].status);
        aster_free(&tr->steps[k].loss);
    }
    aster_free(&tr->steps);
    aster_slots_done(&tr->slots);
    aster_buffer_free(tr->rt, &tr->param);
    aster_buffer_free(tr->rt, &tr->m);
    aster_buffer_free(tr->rt, &tr->v);
    aster_buffer_free(tr->rt, &tr->norm);
    aster_buffer_free(tr->rt, &tr->running);
    aster_buffer_free(tr->rt, &tr->scratch);
    free_many(tr, &tr->grad);
    free_many(tr, &tr->output);
    free_many(tr, &tr->aux);
    free_many(tr, &tr->arena);
    for (int k = 0; k < 2; k++)
        free_many(tr, &tr->sync[k]);
    for (int k = 0; k < INPUT_SETS; k++)
        free_many(tr, &tr->input[k]);
    plans_done(&tr->plans);
    aster_program_free(&tr->program);
    aster_free(&tr->batch_loss);
    aster_free(trp);
}
