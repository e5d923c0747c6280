/* SPDX-License-Identifier: BSD-3-Clause */
/* A training of a force field: its buffers and what surrounds the steps. */
#include "flow/field_trainer_internal.h"

#include <math.h>
#include <string.h>

/* Room beyond what the largest shard of an epoch needs, so that few later ones ask for more */
#define SLACK 1.1

/* ---- the first values, files ---- */

static int start(struct aster_learner *l)
{
    struct aster_field_trainer *tr = (struct aster_field_trainer *)l;
    void *params = aster_buffer_open(l->param, true);
    double *constants = aster_buffer_open(l->running, true);
    int rc = 0;
    if (tr->t.from) {
        rc = aster_forcefield_read(tr->t.from, l->program, params, constants);
    } else {
        aster_program_init_params(l->program, l->c->seed, params);
        aster_forcefield_radial(&tr->t.c, l->program, constants);
    }
    aster_buffer_close(l->param);
    aster_buffer_close(l->running);
    return rc;
}

static int save(struct aster_learner *l, const char *path)
{
    struct aster_field_trainer *tr = (struct aster_field_trainer *)l;
    const void *params = aster_buffer_open(l->param, false);
    const double *constants = aster_buffer_open(l->running, false);
    int rc = aster_runtime_failed(l->rt);
    if (rc == 0)
        rc =
            aster_forcefield_save(l->ctx, path, &tr->t.c, "trained", l->program, params, constants);
    aster_buffer_close(l->param);
    aster_buffer_close(l->running);
    return rc;
}

/* ---- buffers ---- */

static int grow(struct aster_field_trainer *tr, int64_t bytes, bool scratch,
                struct aster_buffer **b)
{
    if (*b && (*b)->bytes >= bytes)
        return 0;
    aster_buffer_free(tr->l.rt, b);
    return scratch ? aster_buffer_new_scratch(tr->l.rt, bytes, b)
                   : aster_buffer_new(tr->l.rt, bytes, b);
}

static bool has_room(const struct aster_field_trainer *tr, int64_t bytes, int64_t limit)
{
    return bytes <= limit && atomic_load(&tr->l.env->memory_used) <= limit;
}

int field_shard_room(struct aster_field_trainer *tr, const struct field_shard *s, int64_t index,
                     double slack)
{
    const struct aster_cl_env *env = tr->l.env;
    const struct aster_course *course = tr->t.course;
    const int64_t limit = env->memory_limit - course->held - atomic_load(&course->kept),
                  in = (int64_t)(slack * (double)aster_plan_bytes(s->plan, ASTER_CLASS_INPUT)),
                  arena = (int64_t)(slack * (double)aster_plan_bytes(s->plan, ASTER_CLASS_ARENA)),
                  out = (int64_t)(slack * (double)aster_plan_bytes(s->plan, ASTER_CLASS_OUTPUT));
    const int64_t before = atomic_load(&env->memory_used);
    for (int k = 0; k < tr->n_sets; k++)
        ASTER_TRY(grow(tr, in, false, &tr->input[k][index]));
    ASTER_TRY(grow(tr, out, false, &tr->output[index]));
    ASTER_TRY(grow(tr, arena, true, &tr->arena));
    bool has = has_room(tr, in + out + arena, limit);
    if (!has || atomic_load(&env->memory_used) != before) { /* validation counts on what was free */
        aster_field_free(&tr->field);
        has = has_room(tr, in + out + arena, limit);
    }
    if (has)
        return 0;
    return aster_fail(
        tr->l.ctx, ASTER_ELIMIT,
        "a shard of %lld structures, %lld atoms and %lld edges needs %.1f MB, the "
        "memory limit leaves %.1f MB, %.1f MB are in use; lower batch_size or raise shards",
        (long long)s->n, (long long)s->n_atoms, (long long)s->n_edges,
        (double)(in + out + arena) / 1e6, (double)limit / 1e6,
        (double)atomic_load(&env->memory_used) / 1e6);
}

/* Buffers for the largest shard of the epoch, before its steps: they need not grow meanwhile. */
static int make_room(struct aster_learner *l, int64_t first, const int64_t *order)
{
    struct aster_field_trainer *tr = (struct aster_field_trainer *)l;
    int64_t size = aster_min64(l->c->batch_size, l->n_train);
    struct field_shard largest = {0};
    struct field_batch batch = {0};
    field_steps_drop(tr);
    tr->n_planned = first / size;
    tr->flops = 0;
    struct field_step *st = &tr->steps[0];
    for (int64_t i = first; i < l->n_train; i += size) {
        field_step_deal(st, aster_min64(size, l->n_train - i), order + i);
        for (int64_t k = 0; k < st->n_batches * tr->n_shards; k++) {
            const struct field_shard *sh = &st->shard[k];
            const struct field_batch *b = &st->batch[k / tr->n_shards];
            if (k % tr->n_shards < b->n_shards &&
                field_shard_cost(sh) > field_shard_cost(&largest)) {
                largest = *sh;
                batch = *b;
            }
        }
    }
    if (largest.n == 0)
        return 0;
    struct field_shard probe = {.st = st,
                                .batch = &batch,
                                .n = largest.n,
                                .n_atoms = largest.n_atoms,
                                .n_edges = largest.n_edges};
    ASTER_TRY(field_shard_plan(tr, &probe));
    int rc = 0;
    for (int64_t s = 0; s < tr->n_shards && rc == 0; s++)
        rc = field_shard_room(tr, &probe, s, SLACK);
    aster_plan_free(&probe.plan);
    return rc;
}

/* What validation needs is known, too, before anything is computed. */
static int begin(struct aster_learner *l, int64_t first, const int64_t *order)
{
    ASTER_TRY(make_room(l, first, order));
    return field_validation_ready((struct aster_field_trainer *)l);
}

/* ---- making it ---- */

static const struct aster_learner_kind kind = {.start = start,
                                               .begin = begin,
                                               .step = field_step_submit,
                                               .validate = field_validate,
                                               .save = save};

static int make_steps(struct aster_field_trainer *tr)
{
    int64_t size = aster_min64(tr->l.c->batch_size, tr->t.n_train);
    int n = (int)tr->t.t.window + FIELD_AHEAD + 1;
    ASTER_TRY(aster_slots_init(tr->l.ctx, &tr->l.slots, (int)tr->t.t.window));
    ASTER_TRY(aster_slots_init(tr->l.ctx, &tr->places, n));
    ASTER_TRY(aster_gate_new(tr->l.ctx, &tr->gate));
    ASTER_TRY(aster_buffer_new(tr->l.rt, 1, &tr->none));
    ASTER_TRY(aster_alloc(tr->l.ctx, n, sizeof *tr->steps, &tr->steps));
    tr->n_steps = n;
    for (int k = 0; k < tr->n_steps; k++) {
        struct field_step *st = &tr->steps[k];
        st->tr = tr;
        st->place = k;
        ASTER_TRY(aster_alloc(tr->l.ctx, tr->n_batches, sizeof *st->batch, &st->batch));
        ASTER_TRY(
            aster_alloc(tr->l.ctx, tr->n_batches * tr->n_shards, sizeof *st->shard, &st->shard));
        ASTER_TRY(aster_alloc(tr->l.ctx, size, sizeof *st->item, &st->item));
        ASTER_TRY(aster_alloc(tr->l.ctx, tr->batch_size, sizeof *st->sorted, &st->sorted));
    }
    return 0;
}

static int make(struct aster_field_trainer *tr)
{
    const struct aster_train_config *c = tr->l.c;
    struct aster_ctx *ctx = tr->l.ctx;
    ASTER_TRY(aster_forcefield_program(ctx, &tr->t.c, c->real, ASTER_FORCEFIELD_TRAIN, &tr->t.loss,
                                       NULL, &tr->l.program));
    ASTER_TRY(aster_learner_make(&tr->l, true));
    tr->n_sets = c->window > 1 ? FIELD_INPUT_SETS : 1;
    for (int k = 0; k < tr->n_sets; k++)
        ASTER_TRY(aster_alloc(ctx, tr->n_shards, sizeof *tr->input[k], &tr->input[k]));
    ASTER_TRY(aster_alloc(ctx, tr->n_shards, sizeof *tr->output, &tr->output));
    ASTER_TRY(aster_alloc(ctx, tr->n_shards, sizeof *tr->grad, &tr->grad));
    for (int64_t s = 0; s < tr->n_shards; s++)
        ASTER_TRY(aster_learner_gradient(&tr->l, s, &tr->grad[s]));
    if (tr->n_batches > 1)
        ASTER_TRY(aster_learner_gradient(&tr->l, 0, &tr->sum));
    ASTER_TRY(make_steps(tr));
    return field_validation_make(tr);
}

int aster_field_trainer_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                            const struct aster_field_training *t, struct aster_field_trainer **out)
{
    *out = NULL;
    struct aster_train_config steps = t->t;
    steps.batch_size *= t->accumulate;
    ASTER_TRY(aster_learner_check(ctx, &steps));
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    struct aster_field_trainer *tr = *out;
    tr->t = *t;
    tr->t.t = steps;
    tr->l.kind = &kind;
    tr->l.ctx = ctx;
    tr->l.rt = rt;
    tr->l.env = aster_runtime_env(rt);
    tr->l.c = &tr->t.t;
    tr->l.n_train = t->n_train;
    int64_t size = aster_min64(steps.batch_size, t->n_train);
    tr->l.n_batches = (t->n_train + size - 1) / size;
    tr->batch_size = aster_min64(t->t.batch_size, t->n_train);
    tr->n_batches = (size + tr->batch_size - 1) / tr->batch_size;
    tr->l.most_shards = tr->n_shards = aster_min64(t->t.shards, tr->batch_size);
    int rc = make(tr);
    if (rc < 0)
        aster_field_trainer_free(out);
    return rc;
}

static void free_many(struct aster_field_trainer *tr, struct aster_buffer ***list)
{
    for (int64_t s = 0; *list && s < tr->n_shards; s++)
        aster_buffer_free(tr->l.rt, &(*list)[s]);
    aster_free(list);
}

void aster_field_trainer_free(struct aster_field_trainer **trp)
{
    struct aster_field_trainer *tr = *trp;
    if (!tr)
        return;
    aster_runtime_wait(tr->l.rt);
    field_validation_free(tr);
    for (int k = 0; k < tr->n_steps; k++) {
        struct field_step *st = &tr->steps[k];
        for (int64_t s = 0; st->shard && s < tr->n_batches * tr->n_shards; s++)
            aster_plan_free(&st->shard[s].plan);
        aster_free(&st->batch);
        aster_free(&st->shard);
        aster_free(&st->item);
        aster_free(&st->sorted);
    }
    aster_free(&tr->steps);
    for (int k = 0; k < FIELD_INPUT_SETS; k++)
        free_many(tr, &tr->input[k]);
    free_many(tr, &tr->output);
    free_many(tr, &tr->grad);
    aster_buffer_free(tr->l.rt, &tr->sum);
    aster_buffer_free(tr->l.rt, &tr->arena);
    aster_buffer_free(tr->l.rt, &tr->none);
    aster_slots_done(&tr->places);
    aster_gate_free(&tr->gate);
    aster_learner_done(&tr->l);
    aster_free(trp);
}

/* ---- running it ---- */

static int config_text(const struct aster_field_trainer *tr, struct aster_str *out)
{
    static const char *const kinds[] = {"mse", "mae", "huber"};
    const struct aster_field_training *t = &tr->t;
    const struct aster_forcefield_config *c = &t->c;
    const struct aster_forcefield_loss *l = &t->loss;
    aster_str_printf(out,
                     "hidden_dim: %lld\nnum_interactions: %lld\nnum_rbf: %lld\nmax_z: %lld\n"
                     "cutoff: %.17g\nmixing: %s\ncutoff_on: %s\nnorm_eps: %.17g\nprecision: %s\n",
                     (long long)c->width, (long long)c->n_blocks, (long long)c->n_radial,
                     (long long)c->max_number, c->cutoff,
                     c->mixing == ASTER_MIXING_FREE ? "compat" : "isotropic",
                     c->cutoff_on == ASTER_CUTOFF_FILTER ? "filter" : "features", c->norm_eps,
                     aster_dtype_name(t->t.real));
    aster_str_printf(out,
                     "loss: %s\nhuber_delta: %.17g\nenergy_weight: %.17g\nforce_weight: %.17g\n"
                     "angular_weight: %.17g\nbatch_size: %lld\nshards: %lld\n",
                     kinds[l->kind], l->huber_delta, l->energy, l->force, l->angle,
                     (long long)(t->t.batch_size / t->accumulate), (long long)t->t.shards);
    if (t->accumulate > 1)
        aster_str_printf(out, "accumulate: %lld\n", (long long)t->accumulate);
    if (l->teacher > 0)
        aster_str_printf(out, "teacher_weight: %.17g\nteacher_temperature: %.17g\n", l->teacher,
                         l->temperature);
    aster_learner_text(&t->t, out);
    aster_str_printf(out, "seed: %llu\nmonitor: %s\n", (unsigned long long)t->t.seed, t->t.monitor);
    aster_str_printf(out, "initial weights: %016llx\n", (unsigned long long)t->from_hash);
    aster_str_printf(out, "training structures: %lld, %016llx\n", (long long)t->n_train,
                     (unsigned long long)aster_course_hash(t->n_train, t->train));
    aster_str_printf(out, "validation structures: %lld, %016llx\n", (long long)t->n_val,
                     (unsigned long long)aster_course_hash(t->n_val, t->val));
    return aster_str_ok(tr->l.ctx, out);
}

int aster_field_trainer_run(struct aster_field_trainer *tr, const char *dir, bool resume,
                            const struct aster_train_hooks *hooks)
{
    struct aster_str config = {0};
    int rc = config_text(tr, &config);
    if (rc == 0)
        rc = aster_learner_run(&tr->l, aster_str_get(&config), dir, resume, hooks);
    aster_str_free(&config);
    return rc;
}

const struct aster_field_guess *aster_field_trainer_guesses(const struct aster_field_trainer *tr)
{
    return tr->guess;
}

double aster_field_trainer_flops(const struct aster_field_trainer *tr)
{
    return tr->flops;
}

int64_t aster_field_trainer_n_params(const struct aster_field_trainer *tr)
{
    return tr->l.n_param;
}
