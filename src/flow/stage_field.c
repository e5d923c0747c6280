/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages of the force field: its weights, structures, and their energies and forces. */
#include "flow/field_batches.h"
#include "flow/field_part.h"

#include <math.h>
#include <string.h>

/* Parts are open one behind the other */
enum { MOST_OPEN = 3, PART_ATOMS = 1 << 17 };

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
    struct aster_structure_reader reader;
    int64_t n_read, n_parts, n_skipped;
    struct aster_store *store;
    struct aster_runtime *rt;
    struct aster_field *field;
    struct aster_field_part *open, **last; /* submitted, in order */
    int n_open;
    struct aster_str device;
};
static void free_part(struct aster_field_part **p)
{
    if (*p && (*p)->group.field)
        aster_field_group_done(&(*p)->group);
    aster_field_part_free(p);
}

/* ---- reading ---- */

static int read_record(struct evaluation *e, struct aster_field_part *p)
{
    struct aster_structure s = {0};
    struct aster_structures_place at;
    int rc = aster_structure_reader_next(&e->reader, &s, &at);
    if (rc != 1)
        return rc;
    rc = aster_field_part_add(p, at.name, &s, at.fault);
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

/* ---- finishing ---- */

static int finish_first(struct evaluation *e)
{
    struct aster_field_part *p = e->open;
    int64_t failed = 0;
    ASTER_TRY(aster_field_group_finish(&p->group));
    for (int64_t i = 0; i < p->n; i++)
        failed += p->entry[i].status != 0;
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
int64_t aster_field_intervals(const struct aster_run *run, int stage,
                              const struct aster_forcefield_source *model)
{
    const char *filters = aster_run_text(run, stage, "filters");
    bool is_exact =
        !strcmp(filters, "exact") || (!strcmp(filters, "auto") && model->real == ASTER_F64);
    return is_exact ? 0 : aster_run_int(run, stage, "intervals");
}

static int make_field(struct evaluation *e)
{
    const struct aster_field_options o = {
        .real = e->model->real,
        .batch_atoms = aster_run_int(e->run, e->stage, "batch_atoms"),
        .intervals = aster_field_intervals(e->run, e->stage, e->model)};
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
    p->group = (struct aster_field_group){.ctx = e->ctx,
                                          .rt = e->rt,
                                          .field = e->field,
                                          .cutoff = e->model->file.c.cutoff,
                                          .single = e->model->real == ASTER_F32,
                                          .n = p->n,
                                          .entry = p->entry};
    aster_field_group_init(&p->group);
    ASTER_TRY(aster_field_group_neighbours(&p->group));
    ASTER_TRY(aster_field_group_submit(&p->group));
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
    if (e->reader.n_flat > 1)
        aster_log(run->ctx, ASTER_LOG_WARN,
                  "%lld structures have a periodic axis, but a cell without volume",
                  (long long)e->reader.n_flat);
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
                                   .intervals = aster_field_intervals(run, e->stage, e->model),
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
    e.reader = (struct aster_structure_reader){
        .ctx = ctx, .source = e.source, .max_number = e.model->file.c.max_number};
    int rc = run_all(&e);
    if (e.rt)
        aster_runtime_wait(e.rt); /* tasks know the parts */
    aster_field_free(&e.field);
    while (e.open) {
        struct aster_field_part *p = e.open;
        e.open = p->next;
        free_part(&p);
    }
    aster_structure_reader_close(&e.reader);
    aster_store_close(&e.store);
    aster_str_free(&e.device);
    return rc;
}
