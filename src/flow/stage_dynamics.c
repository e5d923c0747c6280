/* SPDX-License-Identifier: BSD-3-Clause */
/* The stage of molecular dynamics: copies of all structures, their groups through the force field,
 * exchanges of temperature, and what is said of it all. */
#include "flow/md_groups.h"

#include <math.h>
#include <string.h>

/* Groups for each worker, so that one is computed while the other is prepared; and how few atoms
 * they are made smaller for */
/* Parts that are written to files take one of PARTS_SHARE of the memory. */
enum { GROUPS_PER_WORKER = 2, FEWEST_ATOMS = 64, PARTS_SHARE = 4096 };
#define NOTE_PERIOD 0.5 /* seconds */

int aster_stage_run_dynamics_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_md_options o;
    (void)ctx;
    ASTER_TRY(aster_md_options_read(arg, stage, &o));
    aster_md_options_free(&o);
    return 0;
}

struct dynamics {
    struct aster_md_run r;
    const char *id;
    const struct aster_forcefield_source *model;
    const struct aster_structure_source *source;
    struct aster_str device;
    double began, noted, seconds;
};

/* ---- copies ---- */

static void *duplicate(const void *from, void *to, int64_t n, size_t size)
{
    if (n && from && to)
        memcpy(to, from, (size_t)n * size);
    return to;
}

static int copy_structure(struct aster_ctx *ctx, const struct aster_structure *s,
                          struct aster_structure *out)
{
    ASTER_TRY(aster_structure_new(ctx, s->n, false, out));
    duplicate(s->number, out->number, s->n, sizeof *s->number);
    duplicate(s->position, out->position, 3 * s->n, sizeof *s->position);
    memcpy(out->cell, s->cell, sizeof s->cell);
    memcpy(out->pbc, s->pbc, sizeof s->pbc);
    out->has_cell = s->has_cell;
    if (s->name)
        ASTER_TRY(aster_strdup(ctx, s->name, &out->name));
    if (!s->velocity)
        return 0;
    ASTER_TRY(aster_alloc(ctx, 3 * s->n, sizeof *s->velocity, &out->velocity));
    duplicate(s->velocity, out->velocity, 3 * s->n, sizeof *s->velocity);
    return 0;
}

static int add_copies(struct aster_md_run *r, const struct aster_structure *s, const char *name,
                      const char *fault)
{
    for (int64_t k = 0; k < r->o.replicas; k++) {
        struct aster_structure own = {0};
        ASTER_TRY(aster_grow(r->ctx, r->n + 1, sizeof *r->copy, &r->cap, &r->copy));
        int rc = fault ? 0 : copy_structure(r->ctx, s, &own);
        struct aster_md_copy *c = &r->copy[r->n++];
        c->structure = r->n_structures;
        c->replica = k;
        if (rc == 0)
            rc = aster_md_copy_begin(r->ctx, &r->o, name, &own, fault, c);
        aster_structure_free(&own);
        ASTER_TRY(rc);
        r->n_atoms += c->s.n;
    }
    r->n_structures++;
    return 0;
}

static int read_copies(struct dynamics *d)
{
    struct aster_md_run *r = &d->r;
    struct aster_structure_reader reader = {
        .ctx = r->ctx, .source = d->source, .max_number = d->model->file.c.max_number};
    int rc = 1;
    while (rc == 1) {
        struct aster_structure s = {0};
        struct aster_structures_place at;
        rc = aster_structure_reader_next(&reader, &s, &at);
        if (rc == 1) {
            int late = add_copies(r, &s, at.name, at.fault);
            rc = late < 0 ? late : 1;
        }
        aster_structure_free(&s);
    }
    aster_structure_reader_close(&reader);
    ASTER_TRY(rc);
    if (r->n == 0)
        return aster_fail(r->ctx, ASTER_EFORMAT, "%s: holds no structure", d->source->path[0]);
    for (int64_t i = 0; i < r->n; i++) { /* they stay where they are from now on */
        struct aster_md_copy *c = &r->copy[i];
        c->item = (struct aster_field_item){
            .structure = &c->s, .force = c->s.force, .virial = c->state.now.virial};
    }
    return 0;
}

/* ---- the queue of groups that wait for the main thread ---- */

static void come_back(void *arg)
{
    struct aster_md_group *g = arg;
    struct aster_md_run *r = g->run;
    pthread_mutex_lock(&r->lock);
    if (--g->pending == 0) {
        g->next = NULL;
        *r->last_ready = g;
        r->last_ready = &g->next;
        pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
}

static void one_more(void *arg)
{
    struct aster_md_group *g = arg;
    pthread_mutex_lock(&g->run->lock);
    g->pending++;
    pthread_mutex_unlock(&g->run->lock);
}

static struct aster_md_group *next_ready(struct aster_md_run *r)
{
    pthread_mutex_lock(&r->lock);
    while (!r->ready)
        pthread_cond_wait(&r->changed, &r->lock);
    struct aster_md_group *g = r->ready;
    r->ready = g->next;
    if (!r->ready)
        r->last_ready = &r->ready;
    pthread_mutex_unlock(&r->lock);
    g->is_away = false;
    return g;
}

/* ---- what follows for a group ---- */

static int submit_work(struct aster_md_group *g)
{
    g->is_away = true;
    one_more(g);
    int rc = aster_field_work(g->run->field, "dynamics", aster_md_work, come_back, g);
    if (rc < 0)
        come_back(g);
    return rc;
}

static int submit_lists(struct aster_md_group *g)
{
    g->is_away = true;
    one_more(g);
    g->wants_lists = false;
    g->list.done = come_back;
    int rc = aster_field_list(g->run->field, &g->list);
    if (rc < 0)
        come_back(g);
    return rc;
}

/* Items without a list have failed. */
static void drop_failed(struct aster_md_group *g)
{
    int64_t n = 0;
    for (int64_t k = 0; k < g->n_items; k++)
        if (g->item[k]->status == 0)
            g->item[n++] = g->item[k];
    g->n_items = n;
}

/* All batches of the group count as one: it comes back when the last is done. */
static int submit_forces(struct aster_md_group *g)
{
    const struct aster_field_batches b = {g->run->field, one_more, come_back, g};
    g->is_away = true;
    drop_failed(g);
    one_more(g);
    int rc = g->n_items ? aster_field_batches_submit(&b, g->n_items, g->item) : 0;
    come_back(g);
    return rc;
}

static int submit_again(struct aster_md_group *g, bool *any)
{
    const struct aster_field_batches b = {g->run->field, one_more, come_back, g};
    int rc = 0;
    *any = false;
    for (int64_t k = 0; k < g->n_items; k++)
        *any = *any || aster_field_item_again(g->item[k]);
    if (!*any)
        return 0;
    g->is_away = true;
    one_more(g);
    for (int64_t k = 0; k < g->n_items && rc == 0; k++)
        if (aster_field_item_again(g->item[k]))
            rc = aster_field_batches_again(&b, g->item[k]);
    come_back(g);
    return rc;
}

/* The copies of each structure of a group; *last: that of the copies before */
static int exchange_copies(struct aster_md_run *r, const struct aster_md_group *g, int64_t *last)
{
    for (int64_t k = 0; k < g->n_units; k++) {
        const struct aster_md_unit *u = &r->unit[g->unit[k]];
        for (int64_t i = u->first; i < u->first + u->n; i++) {
            int64_t structure = r->copy[i].structure;
            if (structure == *last)
                continue;
            *last = structure;
            ASTER_TRY(
                aster_md_exchange(r->ctx, &r->o, r->copy + structure * r->o.replicas, g->step));
        }
    }
    return 0;
}

/* Once all groups of a family have come to an exchange, their copies try it. */
static int exchange(struct aster_md_run *r, int64_t family)
{
    struct aster_md_family *f = &r->family[family];
    int64_t last = -1;
    if (f->n_groups == 0 || f->n_waiting < f->n_groups)
        return 0;
    f->n_waiting = 0;
    for (int64_t k = 0; k < r->n_groups; k++)
        if (r->group[k].family == family && r->group[k].phase == ASTER_MD_EXCHANGE)
            ASTER_TRY(exchange_copies(r, &r->group[k], &last));
    for (int64_t k = 0; k < r->n_groups; k++) {
        struct aster_md_group *g = &r->group[k];
        if (g->family != family || g->phase != ASTER_MD_EXCHANGE)
            continue;
        g->phase = ASTER_MD_GO_ON;
        ASTER_TRY(submit_work(g));
    }
    return 0;
}

/* A group came back from a worker, or from the force field. */
static int go_on(struct aster_md_group *g, int64_t *n_open)
{
    struct aster_md_run *r = g->run;
    ASTER_TRY(g->rc);
    if (g->is_computing) {
        bool again = false;
        ASTER_TRY(submit_again(g, &again));
        g->is_computing = again;
        return again ? 0 : submit_work(g);
    }
    if (g->is_finished) {
        --*n_open;
        r->family[g->family].n_groups--;
        return r->o.ensemble == ASTER_EXCHANGE && !aster_run_stopping() ? exchange(r, g->family)
                                                                        : 0;
    }
    if (g->phase == ASTER_MD_EXCHANGE) {
        r->family[g->family].n_waiting++;
        return exchange(r, g->family);
    }
    if (g->wants_lists)
        return submit_lists(g);
    g->is_computing = true;
    return submit_forces(g);
}

/* ---- the run ---- */

static void note_speed(struct dynamics *d)
{
    struct aster_md_run *r = &d->r;
    double now = aster_wall(), days;
    if (now - d->noted < NOTE_PERIOD)
        return;
    d->noted = now;
    days = (now - d->began) / 86400;
    pthread_mutex_lock(&r->lock);
    double ns = (double)r->n_steps * r->o.timestep_fs * 1e-6;
    pthread_mutex_unlock(&r->lock);
    aster_progress_note(r->progress, "%.4g ns/day of each copy, %.4g together",
                        ns / days / (double)r->n, ns / days);
}

/* A stopped run lets its groups come to the end of their steps; those that wait for others stay. */
static bool is_any_away(const struct aster_md_run *r)
{
    bool any = false;
    for (int64_t k = 0; k < r->n_groups; k++)
        any = any || r->group[k].is_away;
    return any;
}

static int take_steps(struct dynamics *d)
{
    struct aster_md_run *r = &d->r;
    int64_t n_open = r->n_groups;
    for (int64_t k = 0; k < r->n_groups; k++) {
        struct aster_md_group *g = &r->group[k];
        if (g->phase == ASTER_MD_EXCHANGE) {
            r->family[g->family].n_waiting++;
            ASTER_TRY(exchange(r, g->family));
        } else {
            ASTER_TRY(submit_work(g));
        }
    }
    while (n_open > 0 && (!aster_run_stopping() || is_any_away(r))) {
        struct aster_md_group *g = next_ready(r);
        ASTER_TRY(aster_runtime_failed(r->rt));
        ASTER_TRY(go_on(g, &n_open));
        note_speed(d);
    }
    return aster_run_stopping() ? ASTER_ESTOP : 0;
}

static int make_field(struct dynamics *d)
{
    struct aster_md_run *r = &d->r;
    int64_t atoms = aster_run_int(d->r.run, d->r.stage, "batch_atoms");
    const struct aster_field_options o = {
        .real = d->model->real,
        .batch_atoms = atoms,
        .intervals = aster_field_intervals(d->r.run, d->r.stage, d->model)};
    ASTER_TRY(aster_runtime_kinds(r->ctx, r->rt, &d->device));
    r->device = aster_str_get(&d->device);
    ASTER_TRY(aster_field_new(r->ctx, r->rt, &d->model->file, &o, &r->field));
    if (atoms == 0) {
        int64_t groups = GROUPS_PER_WORKER * aster_runtime_n_workers(r->rt);
        atoms = aster_min64(aster_field_batch_atoms(r->field),
                            aster_max64(FEWEST_ATOMS, (r->n_atoms + groups - 1) / groups));
    }
    return aster_md_groups(r, atoms);
}

static int simulate(struct dynamics *d)
{
    struct aster_md_run *r = &d->r;
    int64_t n_open = 0;
    aster_progress_stage(r->progress, d->id,
                         r->o.steps > INT64_MAX / r->n ? -1 : r->n * r->o.steps);
    ASTER_TRY(aster_md_units(r));
    for (int64_t k = 0; k < r->n_units; k++)
        n_open += !aster_md_unit_ended(r, k);
    if (n_open == 0)
        return 0;
    ASTER_TRY(make_field(d));
    d->began = d->noted = aster_wall();
    int rc = take_steps(d);
    d->seconds = aster_wall() - d->began;
    return rc;
}

static int say_speed(struct dynamics *d)
{
    const struct aster_md_run *r = &d->r;
    double ns = (double)r->n_steps * r->o.timestep_fs * 1e-6, days = d->seconds / 86400;
    if (!(days > 0) || r->n_steps == 0)
        return 0;
    return aster_run_fact(d->r.run, "speed",
                          "%.4g ns/day of each copy, %.4g ns/day together, %.4g ms for a step of "
                          "all",
                          ns / days / (double)r->n, ns / days,
                          1e3 * d->seconds * (double)r->n / (double)r->n_steps);
}

static int report(struct dynamics *d, const struct aster_md_output *w)
{
    const struct aster_md_run *r = &d->r;
    struct aster_run *run = d->r.run;
    if (w->intervals)
        ASTER_TRY(aster_run_fact(run, "filters", "from tables of %lld intervals",
                                 (long long)w->intervals));
    ASTER_TRY(aster_run_fact(run, "dynamics", "%s, %lld steps of %g fs, %lld copies, %lld atoms",
                             aster_ensemble_name(r->o.ensemble), (long long)r->o.steps,
                             r->o.timestep_fs, (long long)r->n, (long long)r->n_atoms));
    if (r->o.ensemble == ASTER_NVE && isfinite(w->worst_drift))
        ASTER_TRY(aster_run_fact(run, "drift of the total energy",
                                 "%.3g meV per atom and ps in the mean, %.3g at most; largest "
                                 "step %.3g meV",
                                 w->mean_drift, w->worst_drift, 1e3 * w->largest_jump));
    ASTER_TRY(say_speed(d));
    if (w->failed)
        aster_log(run->ctx, ASTER_LOG_WARN,
                  "%lld of %lld copies did not come to the end; "
                  "failed_items.tsv says why",
                  (long long)w->failed, (long long)r->n);
    run->items += r->n;
    run->failed += w->failed;
    if (w->failed < r->n)
        return 0;
    return aster_fail(run->ctx, ASTER_ELIMIT,
                      "%s: none of its %lld copies came to the end; failed_items.tsv says why",
                      d->source->path[0], (long long)r->n);
}

static int run_all(struct dynamics *d)
{
    struct aster_md_run *r = &d->r;
    ASTER_TRY(aster_md_options_read(d->r.run, d->r.stage, &r->o));
    ASTER_TRY(aster_run_runtime(d->r.run, &r->rt));
    ASTER_TRY(aster_ledger_reset(d->r.run, d->id));
    ASTER_TRY(aster_store_open(d->r.run, d->id, &r->store));
    ASTER_TRY(read_copies(d));
    ASTER_TRY(simulate(d));
    struct aster_md_output w = {.run = d->r.run,
                                .stage = d->id,
                                .o = &r->o,
                                .model = d->model,
                                .intervals = aster_field_intervals(d->r.run, d->r.stage, d->model),
                                .store = r->store,
                                .n = r->n,
                                .copy = r->copy,
                                .kept_bytes = aster_runtime_memory_limit(r->rt) / PARTS_SHARE,
                                .n_units = r->n_units,
                                .unit = r->unit};
    ASTER_TRY(aster_md_write(&w));
    return report(d, &w);
}

int aster_stage_run_dynamics(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct dynamics d = {.r = {.run = run, .stage = stage, .ctx = ctx},
                         .id = run->spec->stages[stage].id,
                         .model = aster_run_slot(run, stage, "forcefield", 0)->forcefield,
                         .source = aster_run_slot(run, stage, "input", 0)->structures};
    struct aster_md_run *r = &d.r;
    r->progress = run->progress;
    r->cutoff = d.model->file.c.cutoff;
    r->single = d.model->real == ASTER_F32;
    r->last_ready = &r->ready;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    int rc = run_all(&d);
    if (r->rt)
        aster_runtime_wait(r->rt); /* tasks know the groups */
    aster_field_free(&r->field);
    aster_md_groups_free(r);
    aster_md_options_free(&r->o);
    aster_store_close(&r->store);
    aster_str_free(&d.device);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    return rc;
}
