/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages of the force field: its weights, structures, and their energies and forces. */
#include "flow/field_part.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One neighbour task has about so many atoms; parts are open one behind the other */
enum {
    CHUNK_ATOMS = 2048,
    CHUNK_STRUCTURES = 64,
    MOST_OPEN = 3,
    EDGES_PER_ATOM = 8,
    PART_ATOMS = 1 << 17
};

/* ---- the force field ---- */

int aster_stage_load_forcefield_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_forcefield_source *s = NULL;
    const char *mixing = aster_run_text(run, stage, "mixing");
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    run->slots[stage].forcefield = s;
    s->real = strcmp(aster_run_text(run, stage, "precision"), "f64") ? ASTER_F32 : ASTER_F64;
    const struct aster_input *in = aster_run_input(run, aster_run_text(run, stage, "weights"));
    ASTER_TRY(aster_strdup(ctx, in ? in->path : aster_run_text(run, stage, "weights"), &s->path));
    if (in)
        memcpy(s->sha256, in->sha256, sizeof s->sha256);
    ASTER_TRY(aster_forcefield_open(ctx, s->path, &s->file));
    s->is_open = true;
    if (strcmp(mixing, "file") != 0)
        s->file.c.mixing = strcmp(mixing, "isotropic") ? ASTER_MIXING_FREE : ASTER_MIXING_ISOTROPIC;
    return 0;
}

int aster_stage_load_forcefield(struct aster_ctx *ctx, void *arg, int stage)
{
    (void)ctx;
    struct aster_run *run = arg;
    const struct aster_forcefield_source *s = run->slots[stage].forcefield;
    const struct aster_forcefield_config *c = &s->file.c;
    return aster_run_fact(run, run->spec->stages[stage].id,
                          "%lld interactions of width %lld, %lld radial functions to %g A, %s "
                          "mixing, %s, from %s",
                          (long long)c->n_blocks, (long long)c->width, (long long)c->n_radial,
                          c->cutoff, c->mixing == ASTER_MIXING_FREE ? "free" : "isotropic",
                          aster_dtype_name(s->real), s->path);
}

void aster_forcefield_source_free(struct aster_forcefield_source **sp)
{
    struct aster_forcefield_source *s = *sp;
    if (!s)
        return;
    if (s->is_open)
        aster_forcefield_close(&s->file);
    aster_free(&s->path);
    aster_free(sp);
}

/* ---- structures ---- */

int aster_stage_read_structures_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_opt_value *v = aster_run_value(run, stage, "files");
    int n_stdin = 0;
    for (int64_t k = 0; k < v->n; k++) {
        struct aster_structures *r = NULL;
        if (!strcmp(v->items[k], "-")) {
            if (++n_stdin > 1)
                return aster_fail(ctx, ASTER_EPARAM, "files: - is named twice");
            continue;
        }
        ASTER_TRY(aster_structures_open(ctx, v->items[k], &r));
        aster_structures_close(&r);
    }
    return v->n ? 0 : aster_fail(ctx, ASTER_EPARAM, "files: none is named");
}

int aster_stage_read_structures(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_opt_value *v = aster_run_value(run, stage, "files");
    struct aster_structure_source *s = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    run->slots[stage].structures = s;
    ASTER_TRY(aster_alloc(ctx, v->n, sizeof *s->path, &s->path));
    for (; s->n < v->n; s->n++)
        ASTER_TRY(aster_strdup(ctx, v->items[s->n], &s->path[s->n]));
    return 0;
}

void aster_structure_source_free(struct aster_structure_source **sp)
{
    struct aster_structure_source *s = *sp;
    if (!s)
        return;
    for (int64_t k = 0; k < s->n; k++)
        aster_free(&s->path[k]);
    aster_free(&s->path);
    aster_free(sp);
}

/* ---- evaluating ---- */

struct evaluation {
    struct aster_run *run;
    struct aster_ctx *ctx;
    int stage;
    const char *id;
    const struct aster_forcefield_source *model;
    const struct aster_structure_source *source;
    int64_t shard_size;
    struct aster_structures *reader;
    int64_t file, n_read, n_parts, n_skipped, n_flat;
    struct aster_store *store;
    struct aster_runtime *rt;
    struct aster_field *field;
    struct aster_field_part *open, **last; /* submitted, in order */
    int n_open;
    struct aster_str device;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};
struct pending { /* of a task: whose count goes down when it is done */
    struct evaluation *e;
    struct aster_field_part *part;
};
/* Neighbours of consecutive structures, found by one task */
struct chunk {
    struct pending done;
    int64_t begin, end;
    double cutoff;
    bool single;
    struct aster_edges edges;
};

static void one_less(void *arg)
{
    struct pending d = *(struct pending *)arg;
    pthread_mutex_lock(&d.e->lock);
    d.part->pending--;
    pthread_cond_broadcast(&d.e->changed);
    pthread_mutex_unlock(&d.e->lock);
}

static void batch_done(void *arg)
{
    struct pending *d = arg;
    one_less(d);
    aster_free(&d);
}

static void one_more(struct evaluation *e, struct aster_field_part *p)
{
    pthread_mutex_lock(&e->lock);
    p->pending++;
    pthread_mutex_unlock(&e->lock);
}

static int wait_for(struct evaluation *e, const struct aster_field_part *p)
{
    pthread_mutex_lock(&e->lock);
    while (p->pending > 0)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
    return aster_runtime_failed(e->rt);
}

static void free_part(struct aster_field_part **p)
{
    struct chunk *c = *p ? (*p)->chunks : NULL;
    for (int64_t k = 0; c && k < (*p)->n_chunks; k++)
        aster_edges_free(&c[k].edges);
    aster_free(&c);
    aster_field_part_free(p);
}

/* ---- reading ---- */

/* The next record of all files: 1; 0 at the end */
static int next_structure(struct evaluation *e, struct aster_structure *s,
                          struct aster_structures_place *at)
{
    for (; e->file < e->source->n; e->file++) {
        if (!e->reader)
            ASTER_TRY(aster_structures_open(e->ctx, e->source->path[e->file], &e->reader));
        int rc = aster_structures_next(e->reader, s, at);
        if (rc != 0)
            return rc;
        aster_structures_close(&e->reader);
    }
    return 0;
}

/* What the program cannot take: a fault of the structure */
static int check_structure(struct evaluation *e, const struct aster_structure *s,
                           const struct aster_structures_place *at, struct aster_str *fault)
{
    char where[256];
    bool is_flat = false;
    if (at->line)
        snprintf(where, sizeof where, "%.*s:%lld: structure '%.*s'", ASTER_CUT(150, at->path),
                 (long long)at->line, ASTER_CUT(60, at->name));
    else
        snprintf(where, sizeof where, "%.*s: structure %lld '%.*s'", ASTER_CUT(150, at->path),
                 (long long)at->index + 1, ASTER_CUT(60, at->name));
    int rc = aster_structure_check(e->ctx, s, (int)aster_min64(e->model->file.c.max_number, 118),
                                   where, &is_flat);
    if (rc < 0) {
        aster_str_add(fault, aster_ctx_message(e->ctx));
        aster_ctx_clear(e->ctx);
        return aster_str_ok(e->ctx, fault);
    }
    if (is_flat && e->n_flat++ == 0)
        aster_log(
            e->ctx, ASTER_LOG_WARN,
            "%s: has a periodic axis, but a cell without volume, and so no stress; others like "
            "it are counted",
            where);
    return 0;
}

static int read_record(struct evaluation *e, struct aster_field_part *p)
{
    struct aster_structure s = {0};
    struct aster_structures_place at;
    struct aster_str fault = {0};
    int rc = next_structure(e, &s, &at);
    if (rc != 1)
        return rc;
    rc = at.fault ? 0 : check_structure(e, &s, &at, &fault);
    if (rc < 0) {
        aster_structure_free(&s);
        return rc;
    }
    rc = aster_field_part_add(p, at.name, &s, at.fault ? at.fault : fault.len ? fault.s : NULL);
    aster_str_free(&fault);
    return rc < 0 ? rc : 1;
}

static int read_part(struct evaluation *e, struct aster_field_part **out)
{
    struct aster_field_part *p = NULL;
    int rc = 1;
    *out = NULL;
    ASTER_TRY(aster_field_part_new(e->ctx, e->n_parts, e->n_read, &p));
    while (rc == 1 && p->n < e->shard_size && p->n_atoms < PART_ATOMS)
        rc = read_record(e, p);
    if (rc < 0 || p->n == 0) {
        aster_field_part_free(&p);
        return rc;
    }
    e->n_parts++;
    e->n_read += p->n;
    *out = p;
    return 0;
}

/* ---- neighbours, in workers ---- */

static void find_neighbours(void *arg)
{
    struct chunk *c = arg;
    struct aster_ctx *ctx = NULL; /* messages of one structure are not the run's */
    if (aster_ctx_new(&ctx) < 0)
        ctx = NULL;
    for (int64_t i = c->begin; i < c->end; i++) {
        struct aster_field_entry *x = &c->done.part->entry[i];
        if (x->status)
            continue;
        int64_t first = c->edges.n;
        int rc = ctx ? aster_edges_add(ctx, &c->edges, 0, &x->s, c->cutoff, c->single, NULL)
                     : ASTER_ENOMEM;
        if (rc < 0) {
            aster_field_entry_fail(ctx, x, rc, ctx ? aster_ctx_message(ctx) : "out of memory");
            if (ctx)
                aster_ctx_clear(ctx);
        }
        x->item.first_edge = first;
        x->item.n_edges = c->edges.n - first;
        x->item.edges = &c->edges;
    }
    aster_ctx_free(&ctx);
}

static int submit_chunks(struct evaluation *e, struct aster_field_part *p)
{
    struct chunk *c = NULL;
    ASTER_TRY(aster_alloc(e->ctx, p->n, sizeof *c, &c));
    p->chunks = c;
    for (int64_t i = 0; i < p->n;) {
        int64_t atoms = 0, begin = i;
        while (i < p->n && atoms < CHUNK_ATOMS && i - begin < CHUNK_STRUCTURES)
            atoms += p->entry[i++].s.n;
        struct chunk *one = &c[p->n_chunks++];
        *one = (struct chunk){.done = {e, p},
                              .begin = begin,
                              .end = i,
                              .cutoff = e->model->file.c.cutoff,
                              .single = e->model->real == ASTER_F32,
                              .edges.most = aster_field_most_edges(e->field)};
        one_more(e, p);
        int rc = aster_field_work(e->field, "neighbours", find_neighbours, one_less, one);
        if (rc < 0) {
            one_less(one);
            return rc;
        }
    }
    return 0;
}

/* ---- batches ---- */

static int64_t cost_of(const struct aster_field_entry *x)
{
    return EDGES_PER_ATOM * x->s.n + x->item.n_edges;
}

static int by_cost(const void *a, const void *b)
{
    const struct aster_field_entry *x = *(struct aster_field_entry *const *)a,
                                   *y = *(struct aster_field_entry *const *)b;
    int64_t cx = cost_of(x), cy = cost_of(y);
    return cx != cy ? (cx > cy ? -1 : 1) : (x > y) - (x < y);
}

static int submit_items(struct evaluation *e, struct aster_field_part *p, int64_t n,
                        struct aster_field_entry *const *entry)
{
    struct aster_field_item **item = NULL;
    struct pending *d = NULL;
    ASTER_TRY(aster_alloc(e->ctx, n, sizeof *item, &item));
    int rc = aster_alloc(e->ctx, 1, sizeof *d, &d);
    for (int64_t k = 0; rc == 0 && k < n; k++) {
        entry[k]->is_tried = n == 1;
        item[k] = &entry[k]->item;
    }
    if (rc == 0) {
        *d = (struct pending){e, p};
        one_more(e, p);
        rc = aster_field_submit(e->field, n, item, batch_done, d);
        if (rc < 0)
            batch_done(d);
    }
    aster_free(&item);
    return rc;
}

static int submit_alone(struct evaluation *e, struct aster_field_part *p,
                        struct aster_field_entry *x)
{
    struct pending *d = NULL;
    ASTER_TRY(aster_alloc(e->ctx, 1, sizeof *d, &d));
    *d = (struct pending){e, p};
    x->is_tried = true;
    one_more(e, p);
    int rc = aster_field_submit_alone(e->field, &x->item, batch_done, d);
    if (rc < 0)
        batch_done(d);
    return rc;
}

/* n entries as one task; in halves while it has no room. */
static int submit_batch(struct evaluation *e, struct aster_field_part *p, int64_t n,
                        struct aster_field_entry *const *entry)
{
    int64_t atoms = 0, edges = 0, bytes;
    for (int64_t k = 0; k < n; k++) {
        atoms += entry[k]->s.n;
        edges += entry[k]->item.n_edges;
    }
    ASTER_TRY(aster_field_bytes(e->field, n, atoms, edges, &bytes));
    if (bytes <= aster_field_room(e->field))
        return submit_items(e, p, n, entry);
    if (n > 1) {
        ASTER_TRY(submit_batch(e, p, n / 2, entry));
        return submit_batch(e, p, n - n / 2, entry + n / 2);
    }
    if (bytes <= aster_field_most(e->field))
        return submit_alone(e, p, entry[0]);
    char text[200];
    snprintf(text, sizeof text,
             "%lld atoms with %lld neighbours need %lld bytes, and a task may have %lld",
             (long long)atoms, (long long)edges, (long long)bytes,
             (long long)aster_field_most(e->field));
    aster_field_entry_fail(e->ctx, entry[0], ASTER_ELIMIT, text);
    return 0;
}

/* From the largest to the smallest, each batch about as costly as the others */
static int submit_batches(struct evaluation *e, struct aster_field_part *p)
{
    struct aster_field_entry **entry = NULL;
    int64_t n = 0, most = 3 * EDGES_PER_ATOM * aster_field_batch_atoms(e->field);
    int rc = 0;
    ASTER_TRY(aster_alloc(e->ctx, p->n, sizeof *entry, &entry));
    for (int64_t i = 0; i < p->n; i++)
        if (p->entry[i].status == 0)
            entry[n++] = &p->entry[i];
    qsort(entry, (size_t)n, sizeof *entry, by_cost);
    for (int64_t i = 0; rc == 0 && i < n;) {
        int64_t begin = i, cost = 0;
        do
            cost += cost_of(entry[i++]);
        while (i < n && cost + cost_of(entry[i]) <= most);
        rc = submit_batch(e, p, i - begin, entry + begin);
    }
    aster_free(&entry);
    return rc;
}

/* ---- finishing ---- */

static void settle(struct evaluation *e, struct aster_field_entry *x)
{
    char text[160];
    if (x->status || x->item.status == 0)
        return;
    if (x->item.status == ASTER_ENUMERIC)
        snprintf(text, sizeof text,
                 x->item.odd_atom < 0 ? "the %s is not finite"
                                      : "the %s of atom %lld is not finite",
                 x->item.odd, (long long)x->item.odd_atom + 1);
    else if (x->item.status == ASTER_EDEVICE || x->item.status == ASTER_ENOMEM ||
             x->item.status == ASTER_ELIMIT)
        snprintf(text, sizeof text, "%lld atoms with %lld neighbours: no worker has the memory",
                 (long long)x->s.n, (long long)x->item.n_edges);
    else
        snprintf(text, sizeof text, "the computation failed");
    aster_field_entry_fail(e->ctx, x, x->item.status, text);
}

/* What a batch had no room for may have room alone. */
static int try_again(struct evaluation *e, struct aster_field_part *p)
{
    bool any = false;
    for (int64_t i = 0; i < p->n; i++) {
        struct aster_field_entry *x = &p->entry[i];
        if (x->status || x->item.status == 0 || x->item.status == ASTER_ENUMERIC || x->is_tried)
            continue;
        x->item.status = 0;
        ASTER_TRY(submit_items(e, p, 1, &x));
        any = true;
    }
    return any ? wait_for(e, p) : 0;
}

static int finish_first(struct evaluation *e)
{
    struct aster_field_part *p = e->open;
    int64_t failed = 0;
    ASTER_TRY(wait_for(e, p));
    ASTER_TRY(try_again(e, p));
    for (int64_t i = 0; i < p->n; i++) {
        settle(e, &p->entry[i]);
        failed += p->entry[i].status != 0;
    }
    ASTER_TRY(aster_field_part_commit(e->store, p));
    aster_progress_add(e->run->progress, p->n, failed);
    e->open = p->next;
    e->n_open--;
    if (!e->open)
        e->last = &e->open;
    free_part(&p);
    return 0;
}

/* ---- the run ---- */

/* In double a table costs more than it gives, but for those who ask for one. */
static int64_t intervals_of(const struct aster_run *run, int stage,
                            const struct aster_forcefield_source *model)
{
    const char *filters = aster_run_text(run, stage, "filters");
    bool is_exact =
        !strcmp(filters, "exact") || (!strcmp(filters, "auto") && model->real == ASTER_F64);
    return is_exact ? 0 : aster_run_int(run, stage, "intervals");
}

static int make_field(struct evaluation *e)
{
    const struct aster_field_options o = {.real = e->model->real,
                                          .batch_atoms =
                                              aster_run_int(e->run, e->stage, "batch_atoms"),
                                          .intervals = intervals_of(e->run, e->stage, e->model)};
    if (!e->field)
        ASTER_TRY(aster_runtime_kinds(e->ctx, e->rt, &e->device));
    return e->field ? 0 : aster_field_new(e->ctx, e->rt, &e->model->file, &o, &e->field);
}

static int take_part(struct evaluation *e, struct aster_field_part *p)
{
    bool is_done = false;
    int64_t failed = 0;
    int rc = aster_field_part_done(e->store, p, &is_done, &failed);
    if (rc == 0 && is_done) {
        e->n_skipped += p->n;
        aster_progress_skip(e->run->progress, p->n, failed);
    }
    if (rc < 0 || is_done) {
        free_part(&p);
        return rc;
    }
    *e->last = p;
    e->last = &p->next;
    e->n_open++;
    ASTER_TRY(make_field(e));
    p->device = e->device.s;
    ASTER_TRY(aster_field_part_room(p));
    ASTER_TRY(submit_chunks(e, p));
    ASTER_TRY(wait_for(e, p));
    ASTER_TRY(submit_batches(e, p));
    while (e->n_open >= MOST_OPEN)
        ASTER_TRY(finish_first(e));
    return 0;
}

static int evaluate_all(struct evaluation *e)
{
    for (;;) {
        struct aster_field_part *p = NULL;
        ASTER_TRY(read_part(e, &p));
        if (!p)
            break;
        ASTER_TRY(take_part(e, p));
        if (aster_run_stopping())
            break;
    }
    while (e->open)
        ASTER_TRY(finish_first(e));
    return aster_run_stopping() ? ASTER_ESTOP : 0;
}

/* Behind the first path, in what is said of all */
static const char *others(const struct evaluation *e)
{
    return e->source->n > 1 ? " and the other files" : "";
}

static int report(struct evaluation *e, const struct aster_field_output *o)
{
    struct aster_run *run = e->run;
    if (o->intervals)
        ASTER_TRY(aster_run_fact(run, "filters", "from tables of %lld intervals",
                                 (long long)o->intervals));
    ASTER_TRY(aster_run_fact(run, "structures with energies", "%lld of %lld, %lld atoms",
                             (long long)(o->n - o->failed), (long long)o->n, (long long)o->atoms));
    if (o->n_energies)
        ASTER_TRY(aster_run_fact(
            run, "against the energies of the input",
            "RMSE %.4g eV, MAE %.4g eV, %.4g eV per atom, %lld structures",
            sqrt(o->energy_squares / (double)o->n_energies), o->energy_sum / (double)o->n_energies,
            o->energy_per_atom_sum / (double)o->n_energies, (long long)o->n_energies));
    if (o->forces.n_forces > 0)
        ASTER_TRY(aster_run_fact(run, "against the forces of the input",
                                 "RMSE %.4g eV/A, MAE %.4g eV/A",
                                 sqrt(o->forces.force_squares / o->forces.n_forces),
                                 o->forces.force_sum / o->forces.n_forces));
    if (e->n_flat > 1)
        aster_log(run->ctx, ASTER_LOG_WARN,
                  "%lld structures have a periodic axis, but a cell without volume",
                  (long long)e->n_flat);
    if (o->failed)
        aster_log(run->ctx, ASTER_LOG_WARN, "%lld %s no energy; failed_items.tsv says why",
                  (long long)o->failed, o->failed == 1 ? "structure has" : "structures have");
    run->items += o->n;
    run->failed += o->failed;
    if (o->failed == o->n)
        return aster_fail(run->ctx, ASTER_ELIMIT,
                          "%s%s: none of %lld structures has an energy; failed_items.tsv says why",
                          e->source->path[0], others(e), (long long)o->n);
    return 0;
}

static int write_files(struct evaluation *e)
{
    struct aster_run *run = e->run;
    struct aster_field_output o = {.run = run,
                                   .stage = e->id,
                                   .store = e->store,
                                   .model = e->model,
                                   .n_parts = e->n_parts,
                                   .intervals = intervals_of(run, e->stage, e->model),
                                   .h5 = aster_run_bool(run, e->stage, "h5"),
                                   .extxyz = aster_run_bool(run, e->stage, "extxyz"),
                                   .csv = aster_run_bool(run, e->stage, "csv"),
                                   .atomic = aster_run_bool(run, e->stage, "atomic_energies"),
                                   .stress = aster_run_bool(run, e->stage, "stress")};
    ASTER_TRY(aster_field_write(&o));
    return report(e, &o);
}

static int run_all(struct evaluation *e)
{
    ASTER_TRY(aster_run_runtime(e->run, &e->rt));
    ASTER_TRY(aster_ledger_reset(e->run, e->id));
    ASTER_TRY(aster_store_open(e->run, e->id, &e->store));
    aster_progress_stage(e->run->progress, e->id, -1);
    ASTER_TRY(evaluate_all(e));
    if (e->n_read == 0)
        return aster_fail(e->ctx, ASTER_EFORMAT, "%s%s: no structure is there", e->source->path[0],
                          others(e));
    if (e->n_skipped)
        aster_log(e->ctx, ASTER_LOG_INFO, "%lld of %lld structures were done before",
                  (long long)e->n_skipped, (long long)e->n_read);
    return write_files(e);
}

int aster_stage_evaluate_structures(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct evaluation e = {.run = run,
                           .ctx = ctx,
                           .stage = stage,
                           .id = run->spec->stages[stage].id,
                           .model = aster_run_slot(run, stage, "forcefield", 0)->forcefield,
                           .source = aster_run_slot(run, stage, "input", 0)->structures,
                           .shard_size = aster_run_int(run, stage, "shard_size")};
    e.last = &e.open;
    pthread_mutex_init(&e.lock, NULL);
    pthread_cond_init(&e.changed, NULL);
    int rc = run_all(&e);
    if (e.rt)
        aster_runtime_wait(e.rt); /* tasks know the parts */
    aster_field_free(&e.field);
    while (e.open) {
        struct aster_field_part *p = e.open;
        e.open = p->next;
        free_part(&p);
    }
    aster_structures_close(&e.reader);
    aster_store_close(&e.store);
    aster_str_free(&e.device);
    pthread_cond_destroy(&e.changed);
    pthread_mutex_destroy(&e.lock);
    return rc;
}
