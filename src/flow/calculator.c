/* SPDX-License-Identifier: BSD-3-Clause */
/* The force field for programs: structures from memory, in groups that follow each other. */
#include "config.h"

#include "asterism.h"
#include "flow/field_part.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A group is computed while the neighbours of the next are found. */
enum { GROUPS = 2, GROUP_ATOMS = 1 << 17, SINGLE_INTERVALS = 512 };

struct group {
    struct aster_field_group g;
    struct aster_field_entry *entry;
    double *virial; /* [n][9] */
    int64_t first;  /* molecule of entry 0 */
    bool is_open;
};

struct aster_calculator {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_forcefield_file file;
    bool is_open, single;
    struct aster_field *field;
    int64_t n; /* molecules of the last call */
    char **reason;
    double *seconds; /* of each call */
    int64_t calls, cap, molecules, atoms;
};

/* ---- opening ---- */

void aster_calculator_options_default(struct aster_calculator_options *o)
{
    *o = (struct aster_calculator_options){.cpus = -1, .mixing = "file", .intervals = -1};
}

static int set_mixing(struct aster_calculator *c, const char *mixing)
{
    if (!mixing || !strcmp(mixing, "file"))
        return 0;
    if (!strcmp(mixing, "compat"))
        c->file.c.mixing = ASTER_MIXING_FREE;
    else if (!strcmp(mixing, "isotropic"))
        c->file.c.mixing = ASTER_MIXING_ISOTROPIC;
    else
        return aster_fail(c->ctx, ASTER_EPARAM,
                          "mixing '%s': file, compat or isotropic is expected", mixing);
    return 0;
}

static int check_options(struct aster_calculator *c, const struct aster_calculator_options *o)
{
    if (o->intervals < -1 || (o->intervals > 0 && o->intervals < 16) || o->intervals > 65536)
        return aster_fail(c->ctx, ASTER_EPARAM,
                          "intervals %lld: -1, 0 or a number from 16 to 65536 is expected",
                          (long long)o->intervals);
    if (o->batch_atoms < 0)
        return aster_fail(c->ctx, ASTER_EPARAM, "batch_atoms %lld: 0 or more is expected",
                          (long long)o->batch_atoms);
    if (o->memory < 0)
        return aster_fail(c->ctx, ASTER_EPARAM, "memory %lld: 0 or more is expected",
                          (long long)o->memory);
    return 0;
}

static int start(struct aster_calculator *c, const char *weights,
                 const struct aster_calculator_options *o)
{
    ASTER_TRY(check_options(c, o));
    ASTER_TRY(aster_forcefield_open(c->ctx, weights, &c->file));
    c->is_open = true;
    c->single = !o->f64;
    ASTER_TRY(set_mixing(c, o->mixing));
    const struct aster_runtime_options r = {.cpus = o->cpus,
                                            .gpus = o->gpus,
                                            .gpu_memory = o->gpu_memory,
                                            .isa = o->isa,
                                            .memory_limit = o->memory};
    ASTER_TRY(aster_runtime_new(c->ctx, &r, &c->rt));
    const struct aster_field_options f = {.real = o->f64 ? ASTER_F64 : ASTER_F32,
                                          .batch_atoms = o->batch_atoms,
                                          .intervals = o->intervals >= 0 ? o->intervals
                                                       : o->f64          ? 0
                                                                         : SINGLE_INTERVALS};
    return aster_field_new(c->ctx, c->rt, &c->file, &f, &c->field);
}

int aster_calculator_open(const char *weights, const struct aster_calculator_options *o,
                          struct aster_calculator **out)
{
    struct aster_calculator_options standard;
    struct aster_ctx *ctx;
    *out = NULL;
    aster_calculator_options_default(&standard);
    ASTER_TRY(aster_ctx_new(&ctx));
    aster_log_level(ctx, ASTER_LOG_WARN);
    int rc = aster_alloc(ctx, 1, sizeof **out, out);
    if (rc < 0) {
        aster_ctx_free(&ctx);
        return rc;
    }
    (*out)->ctx = ctx;
    return start(*out, weights, o ? o : &standard);
}

static void forget_reasons(struct aster_calculator *c)
{
    for (int64_t i = 0; c->reason && i < c->n; i++)
        aster_free(&c->reason[i]);
    aster_free(&c->reason);
    c->n = 0;
}

void aster_calculator_close(struct aster_calculator **cp)
{
    struct aster_calculator *c = *cp;
    if (!c)
        return;
    struct aster_ctx *ctx = c->ctx;
    aster_field_free(&c->field);
    aster_runtime_free(&c->rt);
    if (c->is_open)
        aster_forcefield_close(&c->file);
    forget_reasons(c);
    aster_free(&c->seconds);
    aster_free(cp);
    aster_ctx_free(&ctx);
}

/* ---- what is known ---- */

int aster_calculator_code(const struct aster_calculator *c)
{
    return aster_ctx_code(c->ctx);
}

const char *aster_calculator_message(const struct aster_calculator *c)
{
    return aster_ctx_message(c->ctx);
}

double aster_calculator_cutoff(const struct aster_calculator *c)
{
    return c->file.c.cutoff;
}

int aster_calculator_max_number(const struct aster_calculator *c)
{
    return (int)aster_min64(c->file.c.max_number, ASTER_MAX_ELEMENT);
}

const char *aster_calculator_reason(const struct aster_calculator *c, int64_t i)
{
    return c->reason && i >= 0 && i < c->n && c->reason[i] ? c->reason[i] : "";
}

/* ---- one group ---- */

static int copy_molecule(struct aster_calculator *c, const struct aster_molecule *m, int64_t i,
                         struct aster_field_entry *x)
{
    char where[48];
    snprintf(where, sizeof where, "molecule %lld", (long long)i + 1);
    if (m->n > 0 && m->n <= INT32_MAX && m->number && m->position) {
        if (aster_structure_new(c->ctx, m->n, false, &x->s) < 0) {
            aster_field_entry_fail(c->ctx, x, aster_ctx_code(c->ctx), aster_ctx_message(c->ctx));
            aster_ctx_clear(c->ctx);
            return 0;
        }
        memcpy(x->s.number, m->number, (size_t)m->n * sizeof *m->number);
        memcpy(x->s.position, m->position, (size_t)m->n * 3 * sizeof *m->position);
    } else if (m->n != 0) {
        aster_field_entry_fail(c->ctx, x, ASTER_EPARAM,
                               m->n < 0 || m->n > INT32_MAX
                                   ? "a number of atoms from 1 to 2147483647 is expected"
                                   : "has no atomic numbers or no positions");
        return 0;
    }
    memcpy(x->s.pbc, m->periodic, sizeof x->s.pbc);
    x->s.has_cell = m->cell;
    if (m->cell)
        memcpy(x->s.cell, m->cell, sizeof x->s.cell);
    if (aster_structure_check(c->ctx, &x->s, aster_calculator_max_number(c), where, NULL) < 0) {
        aster_field_entry_fail(c->ctx, x, aster_ctx_code(c->ctx), aster_ctx_message(c->ctx));
        aster_ctx_clear(c->ctx);
    }
    return 0;
}

/* Molecules from first on, as many as make a group; *n of them. */
static int fill_group(struct aster_calculator *c, struct group *p, int64_t first, int64_t most,
                      const struct aster_molecule *m, int64_t *n)
{
    int64_t atoms = 0, k = 0;
    while (k < most && atoms < GROUP_ATOMS && k < GROUP_ATOMS)
        atoms += aster_min64(GROUP_ATOMS, aster_max64(0, m[first + k++].n));
    *n = k;
    p->first = first;
    p->is_open = true;
    p->g = (struct aster_field_group){.ctx = c->ctx,
                                      .rt = c->rt,
                                      .field = c->field,
                                      .cutoff = c->file.c.cutoff,
                                      .single = c->single};
    aster_field_group_init(&p->g);
    ASTER_TRY(aster_alloc(c->ctx, k, sizeof *p->entry, &p->entry));
    p->g.entry = p->entry;
    p->g.n = k;
    ASTER_TRY(aster_alloc(c->ctx, 9 * k, sizeof *p->virial, &p->virial));
    for (int64_t i = 0; i < k; i++) {
        struct aster_field_entry *x = &p->entry[i];
        ASTER_TRY(copy_molecule(c, &m[first + i], first + i, x));
        x->item.structure = &x->s;
        x->item.atomic = m[first + i].energies;
        x->item.force = m[first + i].forces;
        x->item.virial = p->virial + 9 * i;
    }
    return aster_field_group_neighbours(&p->g);
}

static void empty_group(struct group *p)
{
    if (!p->is_open)
        return;
    for (int64_t i = 0; p->entry && i < p->g.n; i++) {
        aster_structure_free(&p->entry[i].s);
        aster_free(&p->entry[i].reason);
    }
    aster_field_group_done(&p->g);
    aster_free(&p->entry);
    aster_free(&p->virial);
    p->is_open = false;
}

static void give_nothing(struct aster_molecule *m)
{
    int64_t n = m->n > 0 && m->n <= INT32_MAX ? m->n : 0; /* no array has more */
    m->energy = (double)NAN;
    for (int64_t k = 0; k < n; k++) {
        if (m->energies)
            m->energies[k] = (double)NAN;
        for (int a = 0; m->forces && a < 3; a++)
            m->forces[3 * k + a] = (double)NAN;
    }
    for (int a = 0; a < 9; a++) {
        if (m->virial)
            m->virial[a] = (double)NAN;
        if (m->stress && a < 6)
            m->stress[a] = (double)NAN;
    }
}

static void give(struct aster_calculator *c, struct aster_field_entry *x, int64_t i,
                 struct aster_molecule *m)
{
    double stress[6] = {0};
    m->status = x->status;
    c->reason[i] = x->reason;
    x->reason = NULL;
    if (x->status) {
        give_nothing(m);
        return;
    }
    m->energy = x->item.energy;
    if (m->virial)
        memcpy(m->virial, x->item.virial, 9 * sizeof(double));
    (void)aster_field_stress(&x->s, x->item.virial, stress);
    if (m->stress)
        memcpy(m->stress, stress, sizeof stress);
}

static int finish_group(struct aster_calculator *c, struct group *p, struct aster_molecule *m,
                        int64_t *failed)
{
    if (!p->is_open)
        return 0;
    ASTER_TRY(aster_field_group_finish(&p->g));
    for (int64_t i = 0; i < p->g.n; i++) {
        give(c, &p->entry[i], p->first + i, &m[p->first + i]);
        *failed += m[p->first + i].status != 0;
    }
    empty_group(p);
    return 0;
}

/* ---- a call ---- */

static int run_all(struct aster_calculator *c, int64_t n, struct aster_molecule *m, int64_t *failed)
{
    struct group group[GROUPS] = {{.is_open = false}};
    int rc = aster_alloc(c->ctx, n, sizeof *c->reason, &c->reason);
    int turn = 0;
    c->n = rc == 0 ? n : 0;
    for (int64_t i = 0, k = 0; rc == 0 && i < n; i += k, turn = (turn + 1) % GROUPS) {
        rc = finish_group(c, &group[turn], m, failed);
        if (rc == 0)
            rc = fill_group(c, &group[turn], i, n - i, m, &k);
        if (rc == 0)
            rc = aster_field_group_submit(&group[turn].g);
    }
    for (int k = 0; rc == 0 && k < GROUPS; k++)
        rc = finish_group(c, &group[(turn + k) % GROUPS], m, failed);
    if (rc < 0)
        aster_runtime_wait(c->rt);
    for (int k = 0; k < GROUPS; k++)
        empty_group(&group[k]);
    return rc;
}

static int keep_time(struct aster_calculator *c, double seconds, int64_t n,
                     const struct aster_molecule *m)
{
    ASTER_TRY(aster_grow(c->ctx, c->calls + 1, sizeof *c->seconds, &c->cap, &c->seconds));
    c->seconds[c->calls++] = seconds;
    c->molecules += n;
    for (int64_t i = 0; i < n; i++)
        c->atoms += m[i].status ? 0 : m[i].n;
    return 0;
}

int aster_calculator_run(struct aster_calculator *c, int64_t n, struct aster_molecule *m,
                         int64_t *failed)
{
    int64_t n_failed = 0;
    double start = aster_wall();
    aster_ctx_clear(c->ctx);
    forget_reasons(c);
    if (failed)
        *failed = 0;
    if (!c->field)
        return aster_fail(c->ctx, ASTER_EPARAM, "this calculator could not be opened");
    if (n < 0 || (n > 0 && !m))
        return aster_fail(c->ctx, ASTER_EPARAM, "%lld molecules: 0 or more are expected",
                          (long long)n);
    for (int64_t i = 0; i < n; i++) {
        m[i].status = ASTER_ESTOP; /* should the call end early */
        m[i].energy = (double)NAN;
    }
    ASTER_TRY(run_all(c, n, m, &n_failed));
    if (failed)
        *failed = n_failed;
    return keep_time(c, aster_wall() - start, n, m);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void aster_calculator_times(const struct aster_calculator *c, struct aster_calculator_times *out)
{
    double *sorted = NULL, squares = 0;
    *out = (struct aster_calculator_times){
        .calls = c->calls, .molecules = c->molecules, .atoms = c->atoms};
    if (c->calls == 0 || aster_alloc(NULL, c->calls, sizeof *sorted, &sorted) < 0)
        return;
    memcpy(sorted, c->seconds, (size_t)c->calls * sizeof *sorted);
    qsort(sorted, (size_t)c->calls, sizeof *sorted, by_size);
    for (int64_t k = 0; k < c->calls; k++)
        out->total += sorted[k];
    out->mean = out->total / (double)c->calls;
    for (int64_t k = 0; k < c->calls; k++)
        squares += (sorted[k] - out->mean) * (sorted[k] - out->mean);
    out->min = sorted[0];
    out->max = sorted[c->calls - 1];
    out->median = (sorted[(c->calls - 1) / 2] + sorted[c->calls / 2]) / 2;
    out->deviation = sqrt(squares / (double)c->calls);
    aster_free(&sorted);
}
