/* SPDX-License-Identifier: BSD-3-Clause */
/* A training step of a force field as tasks: fill, the program of every shard, gradient sum, a
 * look at loss and norm, update.
 *
 * Which structures make a shard and the order of every sum follow from batch_size and shards: the
 * bits do not depend on workers, scheduler or window. */
#include "flow/field_trainer_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EDGES_PER_ATOM = 8, MOST_SHARDS = 256, N_OF_TEACHER = 2 };
#define LEAST_FORCE 1e-8 /* shorter ones have no direction */

/* ---- shards ---- */

int64_t field_shard_cost(const struct field_shard *s)
{
    return EDGES_PER_ATOM * s->n_atoms + s->n_edges;
}

static int64_t cost_of(const struct aster_course_item *x)
{
    return EDGES_PER_ATOM * x->s.n + x->n_edges;
}

static int by_cost(const void *a, const void *b)
{
    const struct aster_course_item *x = *(struct aster_course_item *const *)a,
                                   *y = *(struct aster_course_item *const *)b;
    int64_t cx = cost_of(x), cy = cost_of(y);
    return cx != cy ? (cx > cy ? -1 : 1) : (x > y) - (x < y);
}

/* Place k of the costliest first goes to and fro over the shards. */
static int64_t shard_of(int64_t k, int64_t n_shards)
{
    int64_t at = k % (2 * n_shards);
    return at < n_shards ? at : 2 * n_shards - 1 - at;
}

static void deal(struct field_batch *b, int64_t n, const int64_t *order,
                 struct aster_course_item **sorted, struct aster_course_item **item)
{
    int64_t place[MOST_SHARDS] = {0};
    const struct aster_field_trainer *tr = b->st->tr;
    b->n = n;
    b->n_atoms = 0;
    b->n_shards = aster_min64(tr->l.c->shards, n);
    for (int64_t k = 0; k < n; k++)
        sorted[k] = tr->t.train[order[k]];
    qsort(sorted, (size_t)n, sizeof *sorted, by_cost);
    for (int64_t s = 0; s < b->n_shards; s++) {
        struct field_shard *to = &b->shard[s];
        to->st = b->st;
        to->batch = b;
        to->n = to->n_atoms = to->n_edges = 0;
    }
    for (int64_t k = 0; k < n; k++)
        b->shard[shard_of(k, b->n_shards)].n++;
    for (int64_t s = 0; s < b->n_shards; item += b->shard[s++].n)
        b->shard[s].item = item;
    for (int64_t k = 0; k < n; k++) {
        int64_t s = shard_of(k, b->n_shards);
        struct aster_course_item *x = b->shard[s].item[place[s]++] = sorted[k];
        b->shard[s].n_atoms += x->s.n;
        b->shard[s].n_edges += x->n_edges;
        b->n_atoms += x->s.n;
    }
}

void field_step_deal(struct field_step *st, int64_t n, const int64_t *order)
{
    int64_t size = st->tr->batch_size;
    st->n = n;
    st->n_batches = (n + size - 1) / size;
    for (int64_t k = 0; k < st->n_batches; k++) {
        struct field_batch *b = &st->batch[k];
        b->st = st;
        b->shard = st->shard + k * st->tr->n_shards;
        deal(b, aster_min64(size, n - k * size), order + k * size, st->sorted, st->item + k * size);
    }
}

/* Sums are divided by a batch's numbers and by how many batches there are: the step's loss is their
 * mean. */
int field_shard_plan(struct aster_field_trainer *tr, struct field_shard *s)
{
    const int64_t times = s->st->n_batches;
    const struct aster_bind b[] = {{"N", s->n_atoms},
                                   {"E", s->n_edges},
                                   {"B", s->n},
                                   {"BG", times * s->batch->n},
                                   {"NG", times * s->batch->n_atoms}};
    const struct {
        enum aster_class c;
        const char *name;
        int64_t *at;
    } all[] = {
        {ASTER_CLASS_INPUT, "number", &s->at_number},
        {ASTER_CLASS_INPUT, "src", &s->at_src},
        {ASTER_CLASS_INPUT, "dst", &s->at_dst},
        {ASTER_CLASS_INPUT, "vector", &s->at_vector},
        {ASTER_CLASS_INPUT, "owner", &s->at_owner},
        {ASTER_CLASS_INPUT, "energy", &s->at_energy},
        {ASTER_CLASS_INPUT, "force", &s->at_force},
        {ASTER_CLASS_INPUT, "direction", &s->at_direction},
        {ASTER_CLASS_OUTPUT, "loss", &s->at_loss},
        {ASTER_CLASS_INPUT, "teacher_energy", &s->at_teacher_energy},
        {ASTER_CLASS_INPUT, "teacher_force", &s->at_teacher_force},
    };
    const size_t n = sizeof all / sizeof *all - (tr->t.loss.teacher > 0 ? 0 : N_OF_TEACHER);
    aster_plan_free(&s->plan);
    ASTER_TRY(aster_plan_new(tr->l.ctx, tr->l.program, 5, b, NULL, &s->plan));
    for (size_t k = 0; k < n; k++)
        ASTER_TRY(aster_plan_find(tr->l.ctx, s->plan, all[k].c, all[k].name, NULL, all[k].at));
    return 0;
}

/* ---- filling, in workers ---- */

static void put(enum aster_dtype t, void *to, int64_t k, double v)
{
    if (t == ASTER_F64)
        ((double *)to)[k] = v;
    else
        ((float *)to)[k] = (float)v;
}

static void put_labels(const struct field_shard *sh, const struct aster_course_item *x, int64_t k,
                       int64_t atom, char *in)
{
    const struct aster_structure *s = &x->s;
    enum aster_dtype t = sh->st->tr->t.t.real;
    put(t, in + sh->at_energy, k, s->energy);
    for (int64_t i = 0; i < s->n; i++) {
        const double *f = s->force + 3 * i;
        double size = fmax(sqrt(f[0] * f[0] + f[1] * f[1] + f[2] * f[2]), LEAST_FORCE);
        for (int a = 0; a < 3; a++) {
            put(t, in + sh->at_force, 3 * (atom + i) + a, f[a]);
            put(t, in + sh->at_direction, 3 * (atom + i) + a, f[a] / size);
        }
    }
    if (sh->st->tr->t.loss.teacher > 0) {
        put(t, in + sh->at_teacher_energy, k, x->teacher_energy);
        for (int64_t i = 0; i < 3 * s->n; i++)
            put(t, in + sh->at_teacher_force, 3 * atom + i, x->teacher_force[i]);
    }
}

static void put_edges(const struct field_shard *sh, const struct aster_course_item *x, int64_t atom,
                      int64_t edge, char *in)
{
    enum aster_dtype t = sh->st->tr->t.t.real;
    int32_t *src = (int32_t *)(in + sh->at_src) + edge, *dst = (int32_t *)(in + sh->at_dst) + edge;
    const struct aster_field_item view = {
        .structure = &x->s, .edges = &x->edges, .n_edges = x->edges.n};
    for (int64_t e = 0; e < x->edges.n; e++) {
        src[e] = (int32_t)atom + x->edges.src[e];
        dst[e] = (int32_t)atom + x->edges.dst[e];
    }
    aster_field_vectors(&view, sh->st->tr->t.c.cutoff, t,
                        in + sh->at_vector + 3 * edge * aster_dtype_size(t));
}

/* No edges that matter in the place of those that could not be found: the step has failed, but what
 * runs of it reads them. */
static void put_none(const struct field_shard *sh, const struct aster_course_item *x, int64_t atom,
                     int64_t edge, char *in)
{
    int64_t real = aster_dtype_size(sh->st->tr->t.t.real);
    int32_t *src = (int32_t *)(in + sh->at_src) + edge, *dst = (int32_t *)(in + sh->at_dst) + edge;
    for (int64_t e = 0; e < x->n_edges; e++)
        src[e] = dst[e] = (int32_t)atom;
    memset(in + sh->at_vector + 3 * edge * real, 0, (size_t)(3 * x->n_edges * real));
}

/* With its list: kept, or found again for this time */
static int fill_one(const struct field_shard *sh, const struct aster_course_item *x, int64_t atom,
                    int64_t edge, char *in)
{
    struct aster_course_item again;
    if (x->list) {
        put_edges(sh, x, atom, edge, in);
        return 0;
    }
    again = *x;
    int rc = aster_course_list(sh->st->tr->t.course, sh->st->tr->l.ctx, &again);
    if (rc < 0) {
        put_none(sh, x, atom, edge, in);
        return rc;
    }
    put_edges(sh, &again, atom, edge, in);
    aster_course_forget(&again);
    return 0;
}

static void fill(void *arg, void *const *out)
{
    const struct field_shard *sh = arg;
    char *in = out[0];
    int32_t *number = (int32_t *)(in + sh->at_number), *owner = (int32_t *)(in + sh->at_owner);
    int64_t atom = 0, edge = 0;
    for (int64_t k = 0; k < sh->n; k++) {
        const struct aster_course_item *x = sh->item[k];
        memcpy(number + atom, x->s.number, (size_t)x->s.n * sizeof *number);
        for (int64_t i = 0; i < x->s.n; i++)
            owner[atom + i] = (int32_t)k;
        put_labels(sh, x, k, atom, in);
        int rc = fill_one(sh, x, atom, edge, in);
        if (rc < 0)
            atomic_store(&sh->st->tr->l.failed, rc);
        atom += x->s.n;
        edge += x->n_edges;
    }
}

/* ---- the end of a step ---- */

static double loss_of(const struct field_batch *b, const void *const *in)
{
    enum aster_dtype t = b->st->tr->t.t.real;
    double part[MOST_SHARDS];
    for (int64_t s = 0; s < b->n_shards; s++) {
        const char *loss = (const char *)in[s] + b->shard[s].at_loss;
        part[s] = t == ASTER_F64 ? *(const double *)loss : (double)*(const float *)loss;
    }
    return aster_tree_sum(b->n_shards, part);
}

static void take_loss(void *arg, const void *const *in)
{
    struct field_batch *b = arg;
    b->loss = loss_of(b, in);
}

/* A step without a finite loss and gradient changes nothing: the norm says so to the update. */
static void judge(void *arg, const void *const *in, void *out)
{
    struct field_step *st = arg;
    struct aster_field_trainer *tr = st->tr;
    double *norm = out, loss = 0;
    for (int64_t k = 0; k < st->n_batches - 1; k++)
        loss += st->batch[k].loss;
    loss += loss_of(&st->batch[st->n_batches - 1], in);
    bool is_finite = isfinite(loss) && isfinite(*norm);
    if (!is_finite)
        *norm = NAN;
    tr->l.batch_loss[st->number] = is_finite ? loss : NAN;
    int rc = atomic_load(&tr->l.env->failed);
    if (rc < 0)
        atomic_store(&tr->l.failed, rc);
}

static void step_done(void *arg)
{
    struct field_step *st = arg;
    struct aster_field_trainer *tr = st->tr;
    int slot = st->slot;
    for (int64_t k = 0; k < st->n_batches; k++)
        for (int64_t s = 0; s < st->batch[k].n_shards; s++)
            aster_plan_free(&st->batch[k].shard[s].plan);
    atomic_fetch_add(&tr->l.samples_done, st->n);
    aster_slots_give(&tr->places, st->place); /* from here on it is another's */
    aster_slots_give(&tr->l.slots, slot);
}

/* ---- plans, in workers: some batches ahead ---- */

static void make_plan(void *arg, const void *const *in)
{
    struct field_shard *sh = arg;
    (void)in;
    sh->rc = field_shard_plan(sh->st->tr, sh);
}

static void plan_done(void *arg)
{
    const struct field_shard *sh = arg;
    struct aster_gate *gate = sh->st->tr->gate;
    aster_gate_lock(gate);
    sh->st->n_pending--;
    aster_gate_wake(gate);
    aster_gate_unlock(gate);
}

static int submit_plan(struct field_shard *sh)
{
    struct aster_field_trainer *tr = sh->st->tr;
    const struct aster_buffer *const in[] = {tr->none};
    aster_gate_lock(tr->gate);
    sh->st->n_pending++;
    aster_gate_unlock(tr->gate);
    int rc = aster_cl_commit(
        tr->l.env,
        &(struct aster_commit_task){
            .name = "plan", .n = 1, .in = in, .copy = make_plan, .done = plan_done, .arg = sh});
    if (rc < 0)
        plan_done(sh);
    return rc;
}

static int plan_step(struct field_step *st)
{
    for (int64_t k = 0; k < st->n_batches; k++)
        for (int64_t s = 0; s < st->batch[k].n_shards; s++)
            ASTER_TRY(submit_plan(&st->batch[k].shard[s]));
    return 0;
}

/* Steps up to about FIELD_AHEAD batches behind this one; order begins with it. */
static int plan_ahead(struct aster_field_trainer *tr, int64_t number, const int64_t *order)
{
    int64_t size = aster_min64(tr->l.c->batch_size, tr->l.n_train);
    int64_t ahead = aster_max64(1, FIELD_AHEAD / tr->n_batches);
    int64_t end = aster_min64(number + ahead + 1, tr->l.n_batches);
    for (; tr->n_planned < end; tr->n_planned++) {
        int64_t b = tr->n_planned;
        struct field_step *st = &tr->steps[aster_slots_take(&tr->places)];
        tr->ahead[b % (FIELD_AHEAD + 1)] = st;
        st->number = b;
        field_step_deal(st, aster_min64(size, tr->l.n_train - b * size),
                        order + (b - number) * size);
        ASTER_TRY(plan_step(st));
    }
    return 0;
}

static int wait_for_plans(struct field_step *st)
{
    struct aster_gate *gate = st->tr->gate;
    aster_gate_lock(gate);
    while (st->n_pending > 0)
        aster_gate_wait(gate);
    aster_gate_unlock(gate);
    for (int64_t k = 0; k < st->n_batches; k++)
        for (int64_t s = 0; s < st->batch[k].n_shards; s++)
            ASTER_TRY(st->batch[k].shard[s].rc);
    return 0;
}

void field_steps_drop(struct aster_field_trainer *tr)
{
    for (int k = 0; k <= FIELD_AHEAD; k++) {
        if (tr->ahead[k])
            aster_slots_give(&tr->places, tr->ahead[k]->place);
        tr->ahead[k] = NULL;
    }
}

/* ---- submission ---- */

static int submit_shard(struct field_shard *sh, int64_t s, struct aster_buffer *input,
                        struct aster_buffer *grad)
{
    struct aster_field_trainer *tr = sh->st->tr;
    const struct aster_buffer *const to[] = {input};
    struct aster_program_task t;
    double flops, bytes;
    ASTER_TRY(aster_cl_fill(tr->l.env,
                            &(struct aster_fill_task){
                                .name = "structures", .n = 1, .out = to, .fill = fill, .arg = sh}));
    aster_plan_task(sh->plan, 0, "train", &t);
    t.shard = aster_learner_home(&tr->l, s);
    t.one_kind = true;
    t.at[ASTER_ROLE_INPUT] = input;
    t.at[ASTER_ROLE_PARAM] = tr->l.param;
    t.at[ASTER_ROLE_BUFFER] = tr->l.running;
    t.at[ASTER_ROLE_OUTPUT] = tr->output[s];
    t.at[ASTER_ROLE_GRAD] = grad;
    t.at[ASTER_ROLE_ARENA] = tr->arena;
    aster_plan_cost(sh->plan, 0, &flops, &bytes);
    tr->flops += flops;
    return aster_cl_program(tr->l.env, &t);
}

/* The buffer that has the step's gradient at its end */
static struct aster_buffer *sum_of(const struct aster_field_trainer *tr)
{
    return tr->sum ? tr->sum : tr->grad[0];
}

/* The shards of a batch, and their gradient behind those of the batches before */
static int submit_batch(struct field_step *st, int64_t k, struct aster_buffer **input)
{
    struct aster_field_trainer *tr = st->tr;
    struct field_batch *b = &st->batch[k];
    struct aster_buffer *grad[MOST_SHARDS], *both[] = {sum_of(tr), tr->grad[0]};
    const struct aster_buffer *const *const part = (const struct aster_buffer *const *)grad;
    memcpy(grad, tr->grad, (size_t)b->n_shards * sizeof *grad);
    grad[0] = k == 0 ? sum_of(tr) : tr->grad[0];
    for (int64_t s = 0; s < b->n_shards; s++)
        ASTER_TRY(submit_shard(&b->shard[s], s, input[s], grad[s]));
    if (st->n_batches == 1)
        return aster_learner_sum(&tr->l, b->n_shards, grad);
    ASTER_TRY(aster_cl_add_tree(tr->l.env, tr->t.t.real, tr->l.n_param, (int)b->n_shards, part));
    if (k == st->n_batches - 1)
        return aster_learner_sum_batches(&tr->l, both);
    if (k > 0)
        ASTER_TRY(aster_cl_add_tree(tr->l.env, tr->t.t.real, tr->l.n_param, 2,
                                    (const struct aster_buffer *const *)both));
    return aster_cl_commit(
        tr->l.env, &(struct aster_commit_task){.name = "batch_loss",
                                               .n = (int)b->n_shards,
                                               .in = (const struct aster_buffer *const *)tr->output,
                                               .copy = take_loss,
                                               .arg = b});
}

static int make_room(struct field_step *st)
{
    struct aster_field_trainer *tr = st->tr;
    for (int64_t k = 0; k < st->n_batches; k++)
        for (int64_t s = 0; s < st->batch[k].n_shards; s++)
            ASTER_TRY(field_shard_room(tr, &st->batch[k].shard[s], s, 1));
    return field_validation_ready(tr); /* which the room of these shards may have ended */
}

/* Up to the judge, whose end gives the step's slot and place. */
static int submit(struct field_step *st, int64_t step)
{
    struct aster_field_trainer *tr = st->tr;
    ASTER_TRY(make_room(st));
    for (int64_t k = 0; k < st->n_batches; k++)
        ASTER_TRY(submit_batch(st, k, tr->input[(step * tr->n_batches + k) % tr->n_sets]));
    return aster_cl_judge(
        tr->l.env, &(struct aster_judge_task){.name = "loss",
                                              .n = (int)st->batch[st->n_batches - 1].n_shards,
                                              .in = (const struct aster_buffer *const *)tr->output,
                                              .out = tr->l.norm,
                                              .judge = judge,
                                              .done = step_done,
                                              .arg = st});
}

int field_step_submit(struct aster_learner *l, int64_t epoch, int64_t batch, int64_t step,
                      double lr, int64_t n, const int64_t *order)
{
    struct aster_field_trainer *tr = (struct aster_field_trainer *)l;
    struct field_step *st = NULL;
    int slot = aster_slots_take(&l->slots);
    (void)epoch;
    (void)n;
    int rc = plan_ahead(tr, batch, order);
    if (rc == 0) {
        st = tr->ahead[batch % (FIELD_AHEAD + 1)];
        rc = wait_for_plans(st);
    }
    if (rc == 0) {
        tr->ahead[batch % (FIELD_AHEAD + 1)] = NULL;
        st->slot = slot;
        rc = submit(st, step);
    }
    if (rc == 0)
        return aster_learner_update(l, sum_of(tr), step, lr);
    aster_runtime_wait(l->rt); /* what was submitted of it ends first */
    aster_slots_give(&l->slots, slot);
    return rc;
}
