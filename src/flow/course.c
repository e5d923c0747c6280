/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads labelled structures, finds their neighbours, and says what is wrong with which. */
#include "flow/course.h"

#include <math.h>
#include <string.h>

/* One neighbour task has about so many atoms */
enum { CHUNK_ATOMS = 2048, CHUNK_STRUCTURES = 64, NUMBERS_PER_EDGE = 5 };
#define SAME_PLACE     1e-4 /* A teacher's structures may have been written with fewer digits. */
#define LEAST_DISTANCE 1e-3 /* nearer atoms are in one place: there is no force between them */

static void fail(struct aster_course_item *x, int32_t status, const char *reason)
{
    x->status = status;
    if (aster_strdup(NULL, reason, &x->reason) < 0)
        x->reason = NULL;
}

/* ---- reading ---- */

/* Losses square what is off: in the working precision that has to be a number. */
static bool is_label(double v, bool single)
{
    return isfinite(v * v) && !(single && !isfinite((float)(v * v)));
}

static const char *fault_of(double v, bool single)
{
    return !isfinite(v) ? "" : single ? ", too large for single precision" : ", too large";
}

static int look_at_labels(struct aster_ctx *ctx, const struct aster_structure *s, bool single,
                          const char *where)
{
    if (!s->has_energy || !s->has_forces)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: has no %s; energy and forces are learned from",
                          where, s->has_energy ? "forces" : "energy");
    if (!is_label(s->energy, single))
        return aster_fail(ctx, ASTER_EFORMAT, "%s: its energy is %g%s", where, s->energy,
                          fault_of(s->energy, single));
    for (int64_t k = 0; k < 3 * s->n; k++)
        if (!is_label(s->force[k], single))
            return aster_fail(ctx, ASTER_EFORMAT, "%s: the force of atom %lld is %g%s", where,
                              (long long)(k / 3 + 1), s->force[k], fault_of(s->force[k], single));
    return 0;
}

static int look_at(struct aster_course *c, struct aster_course_item *x,
                   const struct aster_structures_place *at, int64_t max_number)
{
    char where[ASTER_STRUCTURES_WHERE];
    aster_structures_where(at, where);
    int rc = at->fault ? ASTER_EFORMAT
                       : aster_structure_check(c->ctx, &x->s, (int)aster_min64(max_number, 118),
                                               where, NULL);
    if (rc == 0)
        rc = look_at_labels(c->ctx, &x->s, c->single, where);
    if (rc == ASTER_ENOMEM)
        return rc;
    if (rc < 0)
        fail(x, ASTER_EFORMAT, at->fault ? at->fault : aster_ctx_message(c->ctx));
    aster_ctx_clear(c->ctx);
    return 0;
}

static int add(struct aster_course *c, struct aster_structure *s,
               const struct aster_structures_place *at, int64_t max_number)
{
    char number[32];
    int rc = aster_grow(c->ctx, c->n + 1, sizeof *c->item, &c->cap, &c->item);
    if (rc < 0) {
        aster_structure_free(s);
        return rc;
    }
    struct aster_course_item *x = &c->item[c->n++];
    *x = (struct aster_course_item){.s = *s};
    snprintf(number, sizeof number, "#%lld", (long long)c->n);
    ASTER_TRY(aster_strdup(c->ctx, *at->name ? at->name : number, &x->id));
    c->n_atoms += x->s.n;
    c->held +=
        (int64_t)sizeof *x + x->s.n * (int64_t)(sizeof *x->s.number + 3 * sizeof *x->s.position +
                                                (x->s.has_forces ? 3 * sizeof *x->s.force : 0));
    return look_at(c, x, at, max_number);
}

int aster_course_read(struct aster_course *c, const struct aster_structure_source *s,
                      int64_t max_number)
{
    int rc = 0;
    for (int64_t k = 0; k < s->n && rc == 0; k++) {
        struct aster_structures *r = NULL;
        struct aster_structures_place at;
        struct aster_structure one = {0};
        ASTER_TRY(aster_structures_open(c->ctx, s->path[k], &r));
        while ((rc = aster_structures_next(r, &one, &at)) == 1) {
            if ((rc = add(c, &one, &at, max_number)) < 0)
                break;
            one = (struct aster_structure){0};
        }
        aster_structures_close(&r);
    }
    return rc;
}

/* ---- a teacher ---- */

static bool is_near(int n, const double *a, const double *b)
{
    for (int k = 0; k < n; k++)
        if (!(fabs(a[k] - b[k]) <= SAME_PLACE))
            return false;
    return true;
}

/* Periodic along the same rows of a cell, and these are the same */
static bool is_same_cell(const struct aster_structure *a, const struct aster_structure *b)
{
    for (int k = 0; k < 3; k++)
        if (a->pbc[k] != b->pbc[k] || (a->pbc[k] && !is_near(3, a->cell + 3 * k, b->cell + 3 * k)))
            return false;
    return true;
}

static int check_same(struct aster_ctx *ctx, const struct aster_course_item *x,
                      const struct aster_structure *s, const char *where)
{
    if (s->n != x->s.n)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: has %lld atoms, structure '%.*s' of the data %lld; the same ones in "
                          "the same order are expected of a teacher",
                          where, (long long)s->n, ASTER_CUT(60, x->id), (long long)x->s.n);
    for (int64_t k = 0; k < s->n; k++)
        if (s->number[k] != x->s.number[k] ||
            !is_near(3, s->position + 3 * k, x->s.position + 3 * k))
            return aster_fail(ctx, ASTER_EFORMAT,
                              "%s: atom %lld is not that of structure '%.*s' of the data; the same "
                              "ones in the same order are expected of a teacher",
                              where, (long long)(k + 1), ASTER_CUT(60, x->id));
    if (!is_same_cell(s, &x->s))
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: the cell is not that of structure '%.*s' of the data; the same "
                          "ones in the same order are expected of a teacher",
                          where, ASTER_CUT(60, x->id));
    return 0;
}

/* A structure that is left out anyway may have no record: who evaluated the data left it out, too.
 */
static bool has_no_record(struct aster_ctx *ctx, const struct aster_course_item *x,
                          const struct aster_structure *s)
{
    if (!x->status)
        return false;
    int rc = check_same(ctx, x, s, "");
    aster_ctx_clear(ctx);
    return rc < 0;
}

static int teach(struct aster_course *c, struct aster_course_item *x, struct aster_structure *s,
                 const struct aster_structures_place *at)
{
    char where[ASTER_STRUCTURES_WHERE];
    aster_structures_where(at, where);
    if (x->status)
        return 0;
    if (!at->fault)
        ASTER_TRY(check_same(c->ctx, x, s, where));
    int rc = at->fault ? ASTER_EFORMAT : look_at_labels(c->ctx, s, c->single, where);
    if (rc == ASTER_ENOMEM)
        return rc;
    if (rc < 0) {
        fail(x, ASTER_EFORMAT, at->fault ? at->fault : aster_ctx_message(c->ctx));
        aster_ctx_clear(c->ctx);
        return 0;
    }
    x->teacher_energy = s->energy;
    x->teacher_force = s->force;
    s->force = NULL;
    c->held += 3 * s->n * (int64_t)sizeof *s->force;
    return 0;
}

int aster_course_teach(struct aster_course *c, int64_t n_files, const char *const *path)
{
    int64_t n = 0, n_records = 0;
    int rc = 0;
    for (int64_t k = 0; k < n_files && rc == 0; k++) {
        struct aster_structures *r = NULL;
        struct aster_structures_place at;
        struct aster_structure one = {0};
        ASTER_TRY(aster_structures_open(c->ctx, path[k], &r));
        while (rc >= 0 && (rc = aster_structures_next(r, &one, &at)) == 1) {
            n_records++;
            while (n < c->n && !at.fault && has_no_record(c->ctx, &c->item[n], &one))
                n++;
            if (n < c->n)
                rc = teach(c, &c->item[n], &one, &at);
            n++;
            aster_structure_free(&one);
        }
        aster_structures_close(&r);
    }
    while (rc == 0 && n < c->n && c->item[n].status)
        n++;
    if (rc == 0 && n != c->n)
        rc = aster_fail(c->ctx, ASTER_EFORMAT,
                        "%s: the teacher's files hold %lld structures, the data %lld; the same "
                        "ones in the same order are expected, but for those that are left out",
                        path[0], (long long)n_records, (long long)c->n);
    return rc;
}

/* ---- neighbours ---- */

/* A list without slack: what training needs of it. */
static int take_list(struct aster_ctx *ctx, struct aster_course_item *x,
                     const struct aster_edges *e)
{
    ASTER_TRY(aster_alloc(ctx, aster_max64(1, NUMBERS_PER_EDGE * e->n), sizeof *x->list, &x->list));
    x->edges = (struct aster_edges){.n = e->n,
                                    .capacity = e->n,
                                    .src = x->list,
                                    .dst = x->list + e->n,
                                    .shift = x->list + 2 * e->n};
    memcpy(x->edges.src, e->src, (size_t)e->n * sizeof *e->src);
    memcpy(x->edges.dst, e->dst, (size_t)e->n * sizeof *e->dst);
    memcpy(x->edges.shift, e->shift, (size_t)(3 * e->n) * sizeof *e->shift);
    return 0;
}

static int find(const struct aster_course *c, struct aster_ctx *ctx, struct aster_course_item *x,
                struct aster_edges *e)
{
    e->n = 0;
    e->most = c->most_edges;
    return aster_edges_add(ctx, e, 0, &x->s, c->cutoff, c->single, NULL);
}

int aster_course_list(const struct aster_course *c, struct aster_ctx *ctx,
                      struct aster_course_item *x)
{
    struct aster_edges e = {0};
    if (x->list)
        return 0;
    int rc = find(c, ctx, x, &e);
    if (rc == 0)
        rc = take_list(ctx, x, &e);
    aster_edges_free(&e);
    return rc;
}

int64_t aster_course_list_bytes(const struct aster_course_item *x)
{
    return x->n_edges * NUMBERS_PER_EDGE * (int64_t)sizeof *x->list;
}

void aster_course_forget(struct aster_course_item *x)
{
    aster_free(&x->list);
    x->edges = (struct aster_edges){0};
}

static void look_at_distances(struct aster_course_item *x, const struct aster_edges *e)
{
    char text[160];
    for (int64_t k = 0; k < e->n; k++) {
        const double *a = x->s.position + 3 * e->src[k], *b = x->s.position + 3 * e->dst[k];
        double d2 = 0;
        for (int i = 0; i < 3; i++) {
            double r = a[i] - b[i];
            for (int j = 0; j < 3; j++)
                r += e->shift[3 * k + j] ? e->shift[3 * k + j] * x->s.cell[3 * j + i] : 0;
            d2 += r * r;
        }
        if (d2 >= LEAST_DISTANCE * LEAST_DISTANCE)
            continue;
        snprintf(text, sizeof text, "atoms %lld and %lld are in one place (%g A apart)",
                 (long long)e->dst[k] + 1, (long long)e->src[k] + 1, sqrt(d2));
        fail(x, ASTER_EFORMAT, text);
        return;
    }
}

static int find_and_keep(struct aster_course *c, struct aster_ctx *ctx, struct aster_course_item *x,
                         struct aster_edges *e)
{
    ASTER_TRY(find(c, ctx, x, e));
    x->n_edges = e->n;
    look_at_distances(x, e);
    int64_t bytes = aster_course_list_bytes(x);
    if (x->status)
        return 0;
    if (atomic_fetch_add(&c->kept, bytes) + bytes <= c->room)
        return take_list(ctx, x, e);
    atomic_fetch_sub(&c->kept, bytes);
    return 0;
}

struct chunk {
    struct aster_course *c;
    int64_t begin, end;
};

static void find_chunk(void *arg, const void *const *in)
{
    const struct chunk *k = arg;
    struct aster_edges e = {0};
    struct aster_ctx *ctx = NULL; /* messages of one structure are not the run's */
    (void)in;
    if (aster_ctx_new(&ctx) < 0)
        ctx = NULL;
    for (int64_t i = k->begin; i < k->end; i++) {
        struct aster_course_item *x = &k->c->item[i];
        int rc = x->status ? 0 : ctx ? find_and_keep(k->c, ctx, x, &e) : ASTER_ENOMEM;
        if (rc == 0)
            continue;
        fail(x, rc, ctx ? aster_ctx_message(ctx) : "out of memory");
        if (ctx)
            aster_ctx_clear(ctx);
    }
    aster_edges_free(&e);
    aster_ctx_free(&ctx);
}

static int submit_chunks(struct aster_course *c, struct aster_runtime *rt,
                         const struct aster_buffer *b, struct chunk *chunk)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->n;) {
        int64_t atoms = 0, begin = i;
        while (i < c->n && atoms < CHUNK_ATOMS && i - begin < CHUNK_STRUCTURES)
            atoms += c->item[i++].s.n;
        chunk[n] = (struct chunk){c, begin, i};
        const struct aster_commit_task t = {
            .name = "neighbours", .n = 1, .in = &b, .copy = find_chunk, .arg = &chunk[n++]};
        ASTER_TRY(aster_cl_commit(aster_runtime_env(rt), &t));
    }
    return 0;
}

int aster_course_neighbours(struct aster_course *c, struct aster_runtime *rt)
{
    struct aster_buffer *b = NULL; /* tasks have one: this is read by all */
    struct chunk *chunk = NULL;
    int rc = aster_alloc(c->ctx, c->n, sizeof *chunk, &chunk);
    if (rc == 0)
        rc = aster_buffer_new(rt, 1, &b);
    if (rc == 0)
        rc = submit_chunks(c, rt, b, chunk);
    aster_runtime_wait(rt);
    if (rc == 0)
        rc = aster_runtime_failed(rt);
    aster_buffer_free(rt, &b);
    aster_free(&chunk);
    c->n_failed = 0;
    for (int64_t i = 0; i < c->n; i++)
        c->n_failed += c->item[i].status != 0;
    return rc;
}

/* ---- the rest ---- */

uint64_t aster_course_hash(int64_t n, struct aster_course_item *const *x)
{
    uint64_t h = aster_fnv1a64("", 0);
    for (int64_t i = 0; i < n; i++) {
        const struct aster_structure *s = &x[i]->s;
        h = aster_fnv1a64_more(h, s->number, (size_t)s->n * sizeof *s->number);
        h = aster_fnv1a64_more(h, s->position, (size_t)(3 * s->n) * sizeof *s->position);
        h = aster_fnv1a64_more(h, s->cell, sizeof s->cell);
        h = aster_fnv1a64_more(h, s->pbc, sizeof s->pbc);
        h = aster_fnv1a64_more(h, &s->energy, sizeof s->energy);
        h = aster_fnv1a64_more(h, s->force, (size_t)(3 * s->n) * sizeof *s->force);
        if (!x[i]->teacher_force)
            continue;
        h = aster_fnv1a64_more(h, &x[i]->teacher_energy, sizeof x[i]->teacher_energy);
        h = aster_fnv1a64_more(h, x[i]->teacher_force, (size_t)(3 * s->n) * sizeof *s->force);
    }
    return h;
}

int aster_course_report(struct aster_course *c, struct aster_run *run, const char *stage)
{
    struct aster_str lines = {0};
    for (int64_t i = 0; i < c->n; i++)
        if (c->item[i].status)
            aster_ledger_line(&lines, c->item[i].id, stage,
                              c->item[i].reason ? c->item[i].reason : "out of memory");
    int rc = aster_ledger_add(run, &lines);
    aster_str_free(&lines);
    if (rc == 0 && c->n_failed)
        aster_log(c->ctx, ASTER_LOG_WARN,
                  "%lld of %lld structures are left out; failed_items.tsv says why",
                  (long long)c->n_failed, (long long)c->n);
    return rc;
}

void aster_course_free(struct aster_course *c)
{
    for (int64_t i = 0; i < c->n; i++) {
        aster_free(&c->item[i].id);
        aster_free(&c->item[i].reason);
        aster_free(&c->item[i].teacher_force);
        aster_course_forget(&c->item[i]);
        aster_structure_free(&c->item[i].s);
    }
    aster_free(&c->item);
    c->n = c->cap = 0;
}
