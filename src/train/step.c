/* SPDX-License-Identifier: BSD-3-Clause */
/* A training step as tasks: encode, the segments of all shards with the sums between them, gradient
 * sum, update, loss.
 *
 * The order of every sum is fixed by batch_size and shards, so the bits do not depend on workers,
 * scheduler or window. */
#include "train/trainer.h"

#include <math.h>

enum { MOST_SHARDS = 256 };
#define BN_MOMENTUM 0.1 /* running statistics move by this share towards the batch's */

/* ---- the tasks of a step ---- */

static int submit_encode(struct trainer *tr, struct step *st, int64_t chunk,
                         struct aster_buffer *const *input)
{
    double counted = 0;
    for (int64_t k = 0; k < st->n; k++)
        counted += (double)sample_counted(st->samples[k]);
    for (int64_t s = 0; s < st->n_shards; s++) {
        const struct planned *plan = st->plan[s];
        struct aster_encode_task t = {
            .enc = tr->l.enc,
            .real = tr->l.c->real,
            .time_major = aster_model_time_major(tr->l.c->model.kind),
            .with_labels = true,
            .n = plan->n,
            .n_positions = tr->l.c->model.max_length,
            .samples = st->samples + s * chunk,
            .counted = counted,
            .x = plan->x,
            .labels = plan->labels,
            .count = plan->count,
            .status = st->status + s * chunk,
            .input = input[s],
        };
        ASTER_TRY(aster_cl_encode(tr->l.env, &t));
    }
    return 0;
}

static int submit_segment(struct trainer *tr, struct step *st, int segment, int64_t s,
                          int64_t chunk, int64_t step, struct aster_buffer *const *input)
{
    const struct planned *plan = st->plan[s];
    struct aster_program_task t;
    planned_task(plan, segment, "train", &t);
    t.shard = aster_learner_home(&tr->l, s);
    t.at[ASTER_ROLE_INPUT] = input[s];
    t.at[ASTER_ROLE_PARAM] = tr->l.param;
    t.at[ASTER_ROLE_OUTPUT] = tr->output[s];
    t.at[ASTER_ROLE_GRAD] = tr->grad[s];
    t.at[ASTER_ROLE_AUX] = tr->l.running ? tr->aux[s] : NULL;
    t.at[ASTER_ROLE_ARENA] = tr->scratch ? tr->scratch : tr->arena[s];
    if (segment > 0) /* shard 0's part has become the sum over all */
        t.at[ASTER_ROLE_SYNC_IN] = tr->sync[(segment - 1) % 2][0];
    if (segment + 1 < plan->n_segments)
        t.at[ASTER_ROLE_SYNC_OUT] = tr->sync[segment % 2][s];
    t.one_kind = true;
    t.info = (struct aster_run_info){.seed = tr->l.c->seed,
                                     .step = step,
                                     .sample0 = s * chunk,
                                     .status = st->status + s * chunk};
    return aster_cl_program(tr->l.env, &t);
}

/* The sync values of all shards into the first. Several GPUs add at the same time, each those of
 * its own shards and then of a neighbour: one alone would have to fetch all of them. */
static int submit_sync(struct trainer *tr, const struct step *st, int segment)
{
    const struct aster_plan *plan = st->plan[0]->plan;
    enum aster_dtype t = aster_plan_sync_dtype(plan, segment);
    int64_t n = aster_plan_sync_bytes(plan, segment) / aster_dtype_size(t);
    const struct aster_buffer *const *part =
        (const struct aster_buffer *const *)tr->sync[segment % 2];
    if (tr->l.env->n_homes < 2)
        return aster_cl_sum(tr->l.env, ASTER_NO_HOME, t, n, (int)st->n_shards, part);
    for (int64_t step = 1; step < st->n_shards; step *= 2)
        for (int64_t k = 0; k + step < st->n_shards; k += 2 * step)
            ASTER_TRY(aster_cl_add(tr->l.env, aster_learner_home(&tr->l, k), t, n, part[k],
                                   part[k + step]));
    return 0;
}

static int submit_program(struct trainer *tr, struct step *st, int64_t chunk, int64_t step,
                          struct aster_buffer *const *input)
{
    int n_segments = st->plan[0]->n_segments;
    for (int k = 0; k < n_segments; k++) {
        for (int64_t s = 0; s < st->n_shards; s++)
            ASTER_TRY(submit_segment(tr, st, k, s, chunk, step, input));
        if (k + 1 < n_segments)
            ASTER_TRY(submit_sync(tr, st, k));
    }
    return 0;
}

static int submit_update(struct trainer *tr, int64_t n_shards, int64_t step, double lr)
{
    ASTER_TRY(aster_learner_sum(&tr->l, n_shards, tr->grad));
    ASTER_TRY(aster_learner_update(&tr->l, tr->grad[0], step, lr));
    if (tr->l.running)
        ASTER_TRY(aster_cl_ema(tr->l.env, tr->l.n_running, BN_MOMENTUM, tr->l.running, tr->aux[0]));
    return 0;
}

/* ---- the end of a step ---- */

static void copy_loss(void *arg, const void *const *in)
{
    struct step *st = arg;
    struct trainer *tr = st->tr;
    double norm = tr->l.norm ? *(const double *)in[st->n_shards] : 0;
    for (int64_t s = 0; s < st->n_shards; s++)
        st->loss[s] = *(const double *)((const char *)in[s] + st->plan[s]->loss);
    double loss = tr->l.batch_loss[st->batch] = aster_tree_sum(st->n_shards, st->loss);
    int rc = atomic_load(&tr->l.env->failed);
    for (int64_t k = 0; k < st->n && rc == 0; k++)
        if (st->status[k] < 0)
            rc = aster_fail(
                tr->l.ctx, st->status[k],
                "training sample %lld of %lld cannot be read (code %d): its encoding failed",
                (long long)(st->samples[k] - tr->samples + 1), (long long)tr->l.n_train,
                (int)st->status[k]);
    if (rc == 0 && !isfinite(loss))
        rc = aster_fail(
            tr->l.ctx, ASTER_ENUMERIC,
            "epoch %lld, batch %lld: the loss is %g; lower learning_rate or set clip_norm",
            (long long)st->epoch, (long long)st->batch, loss);
    else if (rc == 0 && !isfinite(norm)) /* an update by it has changed nothing */
        rc = aster_fail(tr->l.ctx, ASTER_ENUMERIC,
                        "epoch %lld, batch %lld: the loss is %g, the sum of the squares of its "
                        "gradient is %g; lower learning_rate",
                        (long long)st->epoch, (long long)st->batch, loss, norm);
    if (rc < 0)
        atomic_store(&tr->l.failed, rc);
}

static void step_done(void *arg)
{
    struct step *st = arg;
    atomic_fetch_add(&st->tr->l.samples_done, st->n);
    aster_slots_give(&st->tr->l.slots, st->slot);
}

static int submit_loss(struct trainer *tr, struct step *st)
{
    const struct aster_buffer *in[MOST_SHARDS + 1];
    for (int64_t s = 0; s < st->n_shards; s++)
        in[s] = tr->output[s];
    in[st->n_shards] = tr->l.norm;
    return aster_cl_commit(
        tr->l.env, &(struct aster_commit_task){.name = "loss",
                                               .n = (int)st->n_shards + (tr->l.norm != NULL),
                                               .in = in,
                                               .copy = copy_loss,
                                               .done = step_done,
                                               .arg = st});
}

static int submit_step(struct trainer *tr, struct step *st, int64_t step, double lr)
{
    int64_t chunk = chunk_of(st->n, tr->l.c->shards);
    struct aster_buffer *const *input = tr->input[step % tr->n_sets];
    ASTER_TRY(submit_encode(tr, st, chunk, input));
    ASTER_TRY(submit_program(tr, st, chunk, step, input));
    ASTER_TRY(submit_update(tr, st->n_shards, step, lr));
    return submit_loss(tr, st);
}

int trainer_step(struct trainer *tr, int64_t epoch, int64_t batch, int64_t step, double lr,
                 int64_t n, const int64_t *order)
{
    struct step *st = &tr->steps[aster_slots_take(&tr->l.slots)];
    int64_t chunk = chunk_of(n, tr->l.c->shards);
    int rc = 0;
    st->epoch = epoch;
    st->batch = batch;
    st->n = n;
    st->n_shards = chunk_of(n, chunk);
    for (int64_t k = 0; k < n; k++) {
        st->samples[k] = &tr->samples[order[k]];
        st->status[k] = 0;
    }
    if (tr->plans.cut)
        sort_by_length(n, st->samples);
    for (int64_t s = 0; s < st->n_shards && rc == 0; s++) {
        int64_t m = aster_min64(chunk, n - s * chunk);
        rc = plans_get(&tr->plans, m, n, longest_of(m, st->samples + s * chunk), &st->plan[s]);
    }
    if (rc == 0)
        rc = submit_step(tr, st, step, lr);
    if (rc < 0) { /* what was submitted of it ends first */
        aster_runtime_wait(tr->l.rt);
        aster_slots_give(&tr->l.slots, st->slot);
    }
    return rc;
}

void trainer_wait(struct trainer *tr)
{
    aster_slots_wait(&tr->l.slots);
}
