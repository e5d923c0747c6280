/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of an evaluation: in memory, and in the run's store. */
#include "flow/field_part.h"

#include <math.h>
#include <string.h>

/* ---- in memory ---- */

int aster_field_part_new(struct aster_ctx *ctx, int64_t index, int64_t first,
                         struct aster_field_part **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    (*out)->index = index;
    (*out)->first = first;
    return 0;
}

void aster_field_part_free(struct aster_field_part **pp)
{
    struct aster_field_part *p = *pp;
    if (!p)
        return;
    for (int64_t i = 0; i < p->n; i++) {
        aster_free(&p->entry[i].id);
        aster_free(&p->entry[i].reason);
        aster_structure_free(&p->entry[i].s);
    }
    aster_free(&p->entry);
    aster_free(&p->atomic);
    aster_free(&p->force);
    aster_free(&p->virial);
    aster_free(pp);
}

static uint64_t hash_of(const char *id, const struct aster_structure *s)
{
    uint64_t h = aster_fnv1a64(id, strlen(id));
    h = aster_fnv1a64_more(h, s->number, (size_t)s->n * sizeof *s->number);
    h = aster_fnv1a64_more(h, s->position, (size_t)(3 * s->n) * sizeof *s->position);
    h = aster_fnv1a64_more(h, s->cell, sizeof s->cell);
    h = aster_fnv1a64_more(h, s->pbc, sizeof s->pbc);
    h = aster_fnv1a64_more(h, s->has_energy ? &s->energy : s->cell, sizeof s->energy);
    return s->has_forces ? aster_fnv1a64_more(h, s->force, (size_t)(3 * s->n) * sizeof *s->force)
                         : h;
}

int aster_field_part_add(struct aster_field_part *p, const char *id, struct aster_structure *s,
                         const char *fault)
{
    char number[32];
    int rc = aster_grow(p->ctx, p->n + 1, sizeof *p->entry, &p->cap, &p->entry);
    if (rc < 0) {
        aster_structure_free(s);
        return rc;
    }
    struct aster_field_entry *x = &p->entry[p->n++];
    *x = (struct aster_field_entry){.s = *s};
    *s = (struct aster_structure){0};
    snprintf(number, sizeof number, "#%lld", (long long)(p->first + p->n));
    ASTER_TRY(aster_strdup(p->ctx, *id ? id : number, &x->id));
    x->hash = hash_of(x->id, &x->s);
    p->n_atoms += x->s.n;
    if (fault)
        aster_field_entry_fail(p->ctx, x, ASTER_EFORMAT, fault);
    return 0;
}

int aster_field_part_room(struct aster_field_part *p)
{
    int64_t atom = 0;
    ASTER_TRY(aster_alloc(p->ctx, p->n_atoms, sizeof *p->atomic, &p->atomic));
    ASTER_TRY(aster_alloc(p->ctx, 3 * p->n_atoms, sizeof *p->force, &p->force));
    ASTER_TRY(aster_alloc(p->ctx, 9 * p->n, sizeof *p->virial, &p->virial));
    for (int64_t i = 0; i < p->n; i++) {
        struct aster_field_entry *x = &p->entry[i];
        x->item.structure = &x->s;
        x->item.atomic = p->atomic + atom;
        x->item.force = p->force + 3 * atom;
        x->item.virial = p->virial + 9 * i;
        atom += x->s.n;
    }
    return 0;
}

/* ---- writing ---- */

/* What is written of entries, one array each; arrays by atom hold only entries with a result. */
struct columns {
    const char **ids, **reasons;
    int64_t *status, *hash, *atoms, *flags;
    double *cell, *energy, *virial, *errors;
    int32_t *number;
    double *position, *force, *atomic;
    int64_t n_atoms;
};
enum { N_ERRORS = 4, FLAG_CELL = 8 }; /* flags: the periodic axes, 1, 2 and 4, and a cell */

static void free_columns(struct columns *c)
{
    aster_free(&c->ids);
    aster_free(&c->reasons);
    aster_free(&c->status);
    aster_free(&c->hash);
    aster_free(&c->atoms);
    aster_free(&c->flags);
    aster_free(&c->cell);
    aster_free(&c->energy);
    aster_free(&c->virial);
    aster_free(&c->errors);
    aster_free(&c->number);
    aster_free(&c->position);
    aster_free(&c->force);
    aster_free(&c->atomic);
}

static int make_columns(const struct aster_field_part *p, struct columns *c)
{
    struct aster_ctx *ctx = p->ctx;
    ASTER_TRY(aster_alloc(ctx, p->n, sizeof *c->ids, &c->ids));
    ASTER_TRY(aster_alloc(ctx, p->n, sizeof *c->reasons, &c->reasons));
    ASTER_TRY(aster_alloc(ctx, p->n, sizeof *c->status, &c->status));
    ASTER_TRY(aster_alloc(ctx, p->n, sizeof *c->hash, &c->hash));
    ASTER_TRY(aster_alloc(ctx, p->n, sizeof *c->atoms, &c->atoms));
    ASTER_TRY(aster_alloc(ctx, p->n, sizeof *c->flags, &c->flags));
    ASTER_TRY(aster_alloc(ctx, 9 * p->n, sizeof *c->cell, &c->cell));
    ASTER_TRY(aster_alloc(ctx, p->n, sizeof *c->energy, &c->energy));
    ASTER_TRY(aster_alloc(ctx, 9 * p->n, sizeof *c->virial, &c->virial));
    ASTER_TRY(aster_alloc(ctx, N_ERRORS * p->n, sizeof *c->errors, &c->errors));
    ASTER_TRY(aster_alloc(ctx, p->n_atoms, sizeof *c->number, &c->number));
    ASTER_TRY(aster_alloc(ctx, 3 * p->n_atoms, sizeof *c->position, &c->position));
    ASTER_TRY(aster_alloc(ctx, 3 * p->n_atoms, sizeof *c->force, &c->force));
    return aster_alloc(ctx, p->n_atoms, sizeof *c->atomic, &c->atomic);
}

static void errors_of(const struct aster_field_entry *x, double *e)
{
    const struct aster_structure *s = &x->s;
    e[0] = s->has_energy ? x->item.energy - s->energy : NAN;
    e[1] = e[2] = 0;
    e[3] = s->has_forces ? (double)(3 * s->n) : 0;
    for (int64_t k = 0; s->has_forces && k < 3 * s->n; k++) {
        double d = x->item.force[k] - s->force[k];
        e[1] += d * d;
        e[2] += fabs(d);
    }
}

static void fill_columns(const struct aster_field_part *p, struct columns *c)
{
    for (int64_t i = 0; i < p->n; i++) {
        const struct aster_field_entry *x = &p->entry[i];
        const struct aster_structure *s = &x->s;
        size_t n = (size_t)s->n;
        c->ids[i] = x->id;
        c->reasons[i] = x->reason ? x->reason : "";
        c->status[i] = x->status;
        c->hash[i] = (int64_t)x->hash;
        c->atoms[i] = s->n;
        c->flags[i] = s->pbc[0] + 2 * s->pbc[1] + 4 * s->pbc[2] + (s->has_cell ? FLAG_CELL : 0);
        memcpy(c->cell + 9 * i, s->cell, sizeof s->cell);
        if (x->status)
            continue;
        c->energy[i] = x->item.energy;
        memcpy(c->virial + 9 * i, x->item.virial, 9 * sizeof *c->virial);
        errors_of(x, c->errors + N_ERRORS * i);
        memcpy(c->number + c->n_atoms, s->number, n * sizeof *s->number);
        memcpy(c->position + 3 * c->n_atoms, s->position, 3 * n * sizeof *s->position);
        memcpy(c->force + 3 * c->n_atoms, x->item.force, 3 * n * sizeof *c->force);
        memcpy(c->atomic + c->n_atoms, x->item.atomic, n * sizeof *c->atomic);
        c->n_atoms += s->n;
    }
}

static int write_columns(struct aster_h5 *f, int64_t n, const struct columns *c)
{
    const struct aster_h5_column all[] = {
        {"status", ASTER_I64, 1, {n}, c->status},
        {"hash", ASTER_I64, 1, {n}, c->hash},
        {"atoms", ASTER_I64, 1, {n}, c->atoms},
        {"flags", ASTER_I64, 1, {n}, c->flags},
        {"cell", ASTER_F64, 2, {n, 9}, c->cell},
        {"energy", ASTER_F64, 1, {n}, c->energy},
        {"virial", ASTER_F64, 2, {n, 9}, c->virial},
        {"errors", ASTER_F64, 2, {n, N_ERRORS}, c->errors},
        {"number", ASTER_I32, 1, {c->n_atoms}, c->number},
        {"position", ASTER_F64, 2, {c->n_atoms, 3}, c->position},
        {"force", ASTER_F64, 2, {c->n_atoms, 3}, c->force},
        {"atomic", ASTER_F64, 1, {c->n_atoms}, c->atomic},
    };
    ASTER_TRY(aster_h5_write_strings(f, "ids", n, c->ids));
    ASTER_TRY(aster_h5_write_strings(f, "reasons", n, c->reasons));
    return aster_h5_write_columns(f, sizeof all / sizeof *all, all);
}

static int write_part(void *arg, const char *path)
{
    const struct aster_field_part *p = arg;
    struct columns c = {0};
    struct aster_h5 *f = NULL;
    int rc;
    ASTER_GOTO(make_columns(p, &c), done);
    fill_columns(p, &c);
    ASTER_GOTO(aster_h5_create(p->ctx, path, &f), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "first", p->first), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "count", p->n), done);
    ASTER_GOTO(aster_h5_attr_set_str(f, "/", "device", p->device ? p->device : ""), done);
    ASTER_GOTO(write_columns(f, p->n, &c), done);
    rc = aster_h5_commit(&f);
done:
    aster_h5_close(&f);
    free_columns(&c);
    return rc;
}

int aster_field_part_commit(struct aster_store *s, struct aster_field_part *p)
{
    return aster_store_put(s, p->index, write_part, p);
}

/* ---- reading ---- */

struct loaded {
    struct aster_h5 *f;
    int64_t first, n;
    char **ids, **reasons, *device;
    int64_t *status, *hash, *atoms, *flags;
    double *cell, *energy, *virial, *errors;
    int32_t *number;
    double *position, *force, *atomic;
};

static void loaded_free(struct loaded *l)
{
    aster_strings_free(&l->ids, l->n);
    aster_strings_free(&l->reasons, l->n);
    aster_free(&l->device);
    aster_free(&l->status);
    aster_free(&l->hash);
    aster_free(&l->atoms);
    aster_free(&l->flags);
    aster_free(&l->cell);
    aster_free(&l->energy);
    aster_free(&l->virial);
    aster_free(&l->errors);
    aster_free(&l->number);
    aster_free(&l->position);
    aster_free(&l->force);
    aster_free(&l->atomic);
    aster_h5_close(&l->f);
}

static int read_texts(struct aster_ctx *ctx, struct loaded *l, const char *name, char ***out)
{
    int64_t n = 0;
    ASTER_TRY(aster_h5_read_strings(l->f, name, out, &n));
    if (n == l->n)
        return 0;
    aster_strings_free(out, n);
    return aster_fail(ctx, ASTER_EFORMAT, "a part of the run: %lld %s, expected %lld", (long long)n,
                      name, (long long)l->n);
}

static int load_marks(struct aster_ctx *ctx, const char *path, struct loaded *l)
{
    ASTER_TRY(aster_h5_open(ctx, path, &l->f));
    ASTER_TRY(aster_h5_attr_i64(l->f, "/", "first", &l->first));
    ASTER_TRY(aster_h5_attr_i64(l->f, "/", "count", &l->n));
    ASTER_TRY(read_texts(ctx, l, "ids", &l->ids));
    ASTER_TRY(read_texts(ctx, l, "reasons", &l->reasons));
    ASTER_TRY(aster_h5_read(l->f, "status", ASTER_I64, l->n, &l->status));
    return aster_h5_read(l->f, "hash", ASTER_I64, l->n, &l->hash);
}

static int load_rest(struct loaded *l)
{
    int64_t n = 0;
    ASTER_TRY(aster_h5_attr_str(l->f, "/", "device", &l->device));
    ASTER_TRY(aster_h5_read(l->f, "atoms", ASTER_I64, l->n, &l->atoms));
    for (int64_t i = 0; i < l->n; i++)
        n += l->status[i] ? 0 : l->atoms[i];
    ASTER_TRY(aster_h5_read(l->f, "flags", ASTER_I64, l->n, &l->flags));
    ASTER_TRY(aster_h5_read(l->f, "cell", ASTER_F64, 9 * l->n, &l->cell));
    ASTER_TRY(aster_h5_read(l->f, "energy", ASTER_F64, l->n, &l->energy));
    ASTER_TRY(aster_h5_read(l->f, "virial", ASTER_F64, 9 * l->n, &l->virial));
    ASTER_TRY(aster_h5_read(l->f, "errors", ASTER_F64, N_ERRORS * l->n, &l->errors));
    ASTER_TRY(aster_h5_read(l->f, "number", ASTER_I32, n, &l->number));
    ASTER_TRY(aster_h5_read(l->f, "position", ASTER_F64, 3 * n, &l->position));
    ASTER_TRY(aster_h5_read(l->f, "force", ASTER_F64, 3 * n, &l->force));
    return aster_h5_read(l->f, "atomic", ASTER_F64, n, &l->atomic);
}

static bool is_same(const struct aster_field_part *p, const struct loaded *l)
{
    if (l->first != p->first || l->n != p->n)
        return false;
    for (int64_t i = 0; i < p->n; i++)
        if (l->hash[i] != (int64_t)p->entry[i].hash || strcmp(l->ids[i], p->entry[i].id) != 0 ||
            aster_store_try_again(l->status[i]))
            return false;
    return true;
}

struct comparison {
    const struct aster_field_part *part;
    int64_t *n_failed;
};

static int compare(void *arg, const char *path, bool *done)
{
    const struct comparison *c = arg;
    struct loaded l = {0};
    int rc = load_marks(c->part->ctx, path, &l);
    *done = rc == 0 && is_same(c->part, &l);
    for (int64_t i = 0; *done && i < l.n; i++)
        *c->n_failed += l.status[i] != 0;
    loaded_free(&l);
    return rc;
}

int aster_field_part_done(struct aster_store *s, const struct aster_field_part *p, bool *done,
                          int64_t *n_failed)
{
    struct comparison c = {p, n_failed};
    *n_failed = 0;
    return aster_store_compare(s, p->index, compare, &c, done);
}

static int visit_all(const struct loaded *l,
                     int (*visit)(void *arg, const struct aster_field_kept *k), void *arg)
{
    int64_t atom = 0;
    for (int64_t i = 0; i < l->n; i++) {
        const double *e = l->errors + N_ERRORS * i;
        struct aster_field_kept k = {.id = l->ids[i],
                                     .reason = l->reasons[i],
                                     .status = (int32_t)l->status[i],
                                     .n_atoms = l->atoms[i],
                                     .errors = {e[0], e[1], e[2], e[3]},
                                     .atomic = l->atomic + atom,
                                     .virial = l->virial + 9 * i,
                                     .device = l->device};
        if (k.status == 0) {
            k.s = (struct aster_structure){.name = l->ids[i],
                                           .n = l->atoms[i],
                                           .number = l->number + atom,
                                           .position = l->position + 3 * atom,
                                           .has_cell = (l->flags[i] & FLAG_CELL) != 0,
                                           .has_energy = true,
                                           .has_forces = true,
                                           .energy = l->energy[i],
                                           .force = l->force + 3 * atom};
            memcpy(k.s.cell, l->cell + 9 * i, sizeof k.s.cell);
            for (int a = 0; a < 3; a++)
                k.s.pbc[a] = l->flags[i] >> a & 1;
            atom += l->atoms[i];
        }
        ASTER_TRY(visit(arg, &k));
    }
    return 0;
}

int aster_field_part_read(struct aster_ctx *ctx, struct aster_store *s, int64_t index,
                          int (*visit)(void *arg, const struct aster_field_kept *k), void *arg)
{
    char *path = NULL;
    struct loaded l = {0};
    int rc = aster_store_get(s, index, &path);
    if (rc == 0)
        rc = load_marks(ctx, path, &l);
    if (rc == 0)
        rc = load_rest(&l);
    if (rc == 0)
        rc = visit_all(&l, visit, arg);
    loaded_free(&l);
    aster_free(&path);
    return rc;
}
