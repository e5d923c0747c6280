/* SPDX-License-Identifier: BSD-3-Clause */
/* Units and groups of copies, and what a group does of a step in a worker. */
#include "flow/md_groups.h"

#include <stdlib.h>
#include <string.h>

/* Parts of one checkpoint, at most about: files for what a part of the run cannot lose */
enum { MOST_UNITS = 128 };

/* ---- units ---- */

static bool is_alive(const struct aster_md_run *r, const struct aster_md_unit *u)
{
    for (int64_t i = u->first; i < u->first + u->n; i++)
        if (r->copy[i].status == 0)
            return true;
    return false;
}

bool aster_md_unit_ended(const struct aster_md_run *r, int64_t unit)
{
    return r->step[unit] == r->o.steps || !is_alive(r, &r->unit[unit]);
}

/* Whether other units have copies of its structure */
static bool is_part_of_one(const struct aster_md_run *r, const struct aster_md_unit *u)
{
    return r->o.ensemble == ASTER_EXCHANGE &&
           (r->copy[u->first].replica > 0 || u->n % r->o.replicas != 0);
}

static int64_t segments_of(const struct aster_md_run *r)
{
    return (r->o.steps + r->o.checkpoint - 1) / r->o.checkpoint;
}

static int64_t end_of(const struct aster_md_run *r, int64_t n_parts)
{
    return aster_min64(r->o.steps, n_parts * r->o.checkpoint);
}

/* Whether copy i begins a unit of at most so many atoms, of which the last one has some. Copies
 * that exchange are one unit, beside those of other structures, or, where they are too many, units
 * of their own. */
static bool begins_unit(const struct aster_md_run *r, int64_t i, int64_t atoms, int64_t most)
{
    const struct aster_md_copy *c = &r->copy[i];
    const int64_t n = r->o.replicas, whole = n * c->s.n;
    if (i == 0)
        return true;
    if (r->o.ensemble != ASTER_EXCHANGE)
        return atoms + c->s.n > most;
    if (c->replica > 0)
        return whole > most && atoms + c->s.n > most;
    return atoms + whole > most || n * r->copy[i - 1].s.n > most;
}

/* Which unit a copy is of depends on the input only: parts are found again whoever goes on. */
static int cut_units(struct aster_md_run *r)
{
    int64_t most = r->n_atoms / MOST_UNITS, atoms = 0;
    ASTER_TRY(aster_alloc(r->ctx, r->n, sizeof *r->unit, &r->unit));
    for (int64_t i = 0; i < r->n; i++) {
        if (begins_unit(r, i, atoms, most)) {
            r->unit[r->n_units++] = (struct aster_md_unit){.first = i};
            atoms = 0;
        }
        atoms += r->copy[i].s.n;
        r->unit[r->n_units - 1].n++;
    }
    int64_t segments = segments_of(r);
    if (segments >= (INT64_C(1) << 28) / r->n_units)
        return aster_run_refuse(r->run, r->stage, "checkpoint",
                                "%lld steps of it are %lld parts of each of %lld units, more than "
                                "a run can have; give a larger one",
                                (long long)r->o.steps, (long long)segments, (long long)r->n_units);
    return 0;
}

/* How many parts of a unit there are, from the first on; its step is -1 where none of its copies
 * goes on from the last. */
static int count_parts(struct aster_md_run *r, int64_t unit)
{
    struct aster_md_unit *u = &r->unit[unit];
    bool there = true;
    int64_t step = 0;
    while (there && step >= 0 && !u->is_within && u->n_parts < segments_of(r)) {
        ASTER_TRY(aster_md_part_find(r->ctx, r->store, u->n_parts * r->n_units + unit, u->n,
                                     r->copy + u->first, false, &there, &step));
        if (there && step >= 0 && step < end_of(r, u->n_parts + 1))
            u->is_within = true;
        else if (there)
            u->n_parts++;
    }
    r->step[unit] = there && step < 0 ? -1 : 0;
    return 0;
}

/* Copies that exchange go on from one step, that of the one that is least far of those that do. */
static void level_families(struct aster_md_run *r)
{
    for (int64_t k = 0, end; k < r->n_units; k = end) {
        int64_t least = INT64_MAX, structure = r->copy[r->unit[k].first].structure;
        for (end = k; end < r->n_units && r->copy[r->unit[end].first].structure == structure; end++)
            if (r->step[end] == 0)
                least = aster_min64(least, r->unit[end].n_parts);
        for (int64_t m = k; m < end; m++)
            r->unit[m].n_parts = aster_min64(least, r->unit[m].n_parts);
    }
}

static int take_parts(struct aster_md_run *r, int64_t unit)
{
    struct aster_md_unit *u = &r->unit[unit];
    int64_t last = (u->n_parts - !u->is_within) * r->n_units + unit, step = 0;
    bool there = true;
    r->step[unit] = 0;
    if (u->n_parts == 0 && !u->is_within)
        return 0;
    ASTER_TRY(
        aster_md_part_find(r->ctx, r->store, last, u->n, r->copy + u->first, true, &there, &step));
    if (!there)
        return aster_fail(r->ctx, ASTER_EIO, "a part of the run was changed meanwhile");
    if (u->is_within)
        ASTER_TRY(aster_md_part_recall(r->ctx, r->store, last, u->n, r->copy + u->first));
    r->step[unit] = u->is_within ? step : end_of(r, u->n_parts);
    aster_progress_skip(r->progress, u->n * r->step[unit], 0);
    return 0;
}

/* Parts behind those that a unit goes on from are made anew: until all of a family are, none of the
 * old ones must count. */
static int forget_parts(struct aster_md_run *r, int64_t unit)
{
    const struct aster_md_unit *u = &r->unit[unit];
    for (int64_t k = u->n_parts + u->is_within; k < segments_of(r); k++)
        if (aster_store_has(r->store, k * r->n_units + unit))
            ASTER_TRY(aster_store_forget(r->store, k * r->n_units + unit));
    return 0;
}

int aster_md_units(struct aster_md_run *r)
{
    ASTER_TRY(cut_units(r));
    ASTER_TRY(aster_alloc(r->ctx, r->n_units, sizeof *r->step, &r->step));
    for (int64_t k = 0; k < r->n_units; k++)
        ASTER_TRY(count_parts(r, k));
    if (r->o.ensemble == ASTER_EXCHANGE)
        level_families(r);
    for (int64_t k = 0; k < r->n_units; k++) {
        ASTER_TRY(forget_parts(r, k));
        ASTER_TRY(take_parts(r, k));
    }
    return 0;
}

/* ---- groups ---- */

struct place { /* of a unit in the order of groups: alike ones together */
    int64_t unit, family, step, largest, atoms; /* family: -1 where it is one for itself */
};

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    if (x->largest != y->largest)
        return x->largest > y->largest ? -1 : 1;
    return (x->unit > y->unit) - (x->unit < y->unit);
}

static int list_places(struct aster_md_run *r, struct place **out, int64_t *n)
{
    struct place *p = NULL;
    ASTER_TRY(aster_alloc(r->ctx, r->n_units, sizeof *p, &p));
    for (int64_t k = 0; k < r->n_units; k++) {
        const struct aster_md_unit *u = &r->unit[k];
        if (aster_md_unit_ended(r, k))
            continue;
        p[*n] = (struct place){.unit = k, .family = -1, .step = r->step[k]};
        if (is_part_of_one(r, u))
            p[*n].family = r->copy[u->first].structure;
        for (int64_t i = u->first; i < u->first + u->n; i++) {
            p[*n].largest = aster_max64(p[*n].largest, r->copy[i].s.n);
            p[*n].atoms += r->copy[i].s.n;
        }
        ++*n;
    }
    qsort(p, (size_t)*n, sizeof *p, by_place);
    *out = p;
    return 0;
}

static bool is_due(const struct aster_md_options *o, int64_t step)
{
    return o->ensemble == ASTER_EXCHANGE && step > 0 && step % o->exchange_interval == 0;
}

static void list_fail(void *arg, struct aster_field_item *item, int rc, const char *reason)
{
    struct aster_md_group *g = arg;
    char text[300], *at = (char *)item - offsetof(struct aster_md_copy, item);
    item->status = rc;
    snprintf(text, sizeof text, "step %lld: %.*s", (long long)g->step,
             ASTER_CUT(250, reason ? reason : "out of memory"));
    aster_md_copy_fail(g->run->ctx, (struct aster_md_copy *)(void *)at, rc, text);
}

static int make_group(struct aster_md_run *r, int64_t first, const struct place *p, int64_t n)
{
    struct aster_md_group *g = &r->group[r->n_groups++];
    int64_t copies = 0;
    *g = (struct aster_md_group){.run = r,
                                 .unit = r->order + first,
                                 .n_units = n,
                                 .step = p->step,
                                 .family = r->copy[r->unit[p->unit].first].structure,
                                 .phase = p->step == 0             ? ASTER_MD_BEGIN
                                          : is_due(&r->o, p->step) ? ASTER_MD_EXCHANGE
                                                                   : ASTER_MD_GO_ON,
                                 .list = {.cutoff = r->cutoff,
                                          .single = r->single,
                                          .edges.most = aster_field_most_edges(r->field),
                                          .is_kept = true,
                                          .fail = list_fail,
                                          .arg = g}};
    r->family[g->family].n_groups++;
    for (int64_t k = 0; k < n; k++)
        copies += r->unit[p[k].unit].n;
    ASTER_TRY(aster_alloc(r->ctx, copies, sizeof *g->item, &g->item));
    g->list.item = g->item;
    return 0;
}

int aster_md_groups(struct aster_md_run *r, int64_t atoms)
{
    struct place *p = NULL;
    int64_t n = 0;
    int rc;
    ASTER_TRY(list_places(r, &p, &n));
    ASTER_GOTO(aster_alloc(r->ctx, n, sizeof *r->group, &r->group), done);
    ASTER_GOTO(aster_alloc(r->ctx, n, sizeof *r->order, &r->order), done);
    ASTER_GOTO(aster_alloc(r->ctx, r->n_structures, sizeof *r->family, &r->family), done);
    for (int64_t k = 0, end; k < n; k = end) {
        int64_t sum = 0;
        for (end = k; end < n; end++) {
            if (end > k && (p[end].family != p[k].family || p[end].step != p[k].step ||
                            sum + p[end].atoms > atoms))
                break;
            sum += p[end].atoms;
            r->order[end] = p[end].unit;
        }
        ASTER_GOTO(make_group(r, k, p + k, end - k), done);
    }
done:
    aster_free(&p);
    return rc;
}

void aster_md_groups_free(struct aster_md_run *r)
{
    for (int64_t k = 0; k < r->n_groups; k++) {
        struct aster_md_group *g = &r->group[k];
        aster_edges_free(&g->list.edges);
        aster_free(&g->item);
    }
    aster_free(&r->group);
    aster_free(&r->order);
    aster_free(&r->family);
    aster_free(&r->unit);
    aster_free(&r->step);
    for (int64_t i = 0; i < r->n; i++)
        aster_md_copy_free(&r->copy[i]);
    aster_free(&r->copy);
}

/* ---- in a worker ---- */

/* Each copy of a group that is not at its end */
static int each(struct aster_md_group *g,
                int (*what)(struct aster_md_group *g, struct aster_md_copy *c))
{
    struct aster_md_run *r = g->run;
    for (int64_t k = 0; k < g->n_units; k++) {
        const struct aster_md_unit *u = &r->unit[g->unit[k]];
        for (int64_t i = u->first; i < u->first + u->n; i++)
            if (r->copy[i].status == 0)
                ASTER_TRY(what(g, &r->copy[i]));
    }
    return 0;
}

static int arrive(struct aster_md_group *g, struct aster_md_copy *c)
{
    char text[256];
    if (c->item.status == 0)
        return aster_md_arrive(g->run->ctx, &g->run->o, c, g->step);
    int n = snprintf(text, sizeof text, "step %lld: ", (long long)g->step);
    aster_field_item_reason(g->run->field, &c->item, text + n, sizeof text - (size_t)n);
    aster_md_copy_fail(g->run->ctx, c, c->item.status, text);
    return 0;
}

static int move(struct aster_md_group *g, struct aster_md_copy *c)
{
    aster_md_move(g->run->ctx, &g->run->o, c, g->step, g->run->cutoff);
    return 0;
}

static int list_item(struct aster_md_group *g, struct aster_md_copy *c)
{
    c->item.status = 0;
    c->item.needs = 0;
    g->item[g->n_items++] = &c->item;
    return 0;
}

/* Here, or by tasks that the main thread submits */
static int neighbours(struct aster_md_group *g)
{
    g->n_items = 0;
    ASTER_TRY(each(g, list_item));
    g->list.n = g->n_items;
    g->wants_lists = aster_field_has_gpu(g->run->field);
    if (!g->wants_lists)
        aster_field_list_find(&g->list);
    return 0;
}

static int step_on(struct aster_md_group *g)
{
    g->step++;
    ASTER_TRY(each(g, move));
    return neighbours(g);
}

/* A unit is committed at checkpoints, at the end, when none of its copies goes on, and, as far as
 * it came, when the run is stopped: but where all units of a structure have to be at the same step.
 */
static int commit(struct aster_md_group *g)
{
    struct aster_md_run *r = g->run;
    bool at_end = g->step == r->o.steps || (g->step > 0 && g->step % r->o.checkpoint == 0),
         stops = g->step > 0 && aster_run_stopping();
    int64_t segment = g->step ? (g->step - 1) / r->o.checkpoint : 0, n_alive = 0;
    for (int64_t k = 0; k < g->n_units; k++) {
        int64_t unit = g->unit[k];
        struct aster_md_unit *u = &r->unit[unit];
        bool alive = is_alive(r, u), was_ended = r->step[unit] < 0, is_whole = !alive || at_end,
             is_kept = is_whole || (stops && !is_part_of_one(r, u));
        n_alive += alive;
        if (was_ended || !is_kept)
            continue;
        ASTER_TRY(aster_md_part_commit(r->ctx, r->store, segment * r->n_units + unit, u->n,
                                       r->copy + u->first, r->device));
        u->n_parts = segment + is_whole;
        r->step[unit] = alive ? g->step : -1;
    }
    g->is_finished = n_alive == 0 || g->step == r->o.steps || stops;
    return 0;
}

/* Copies that took the step */
static int count(struct aster_md_group *g, struct aster_md_copy *c)
{
    (void)c;
    g->n_items++;
    return 0;
}

static int finish_step(struct aster_md_group *g)
{
    struct aster_md_run *r = g->run;
    ASTER_TRY(each(g, arrive));
    g->n_items = 0;
    ASTER_TRY(each(g, count));
    if (g->step > 0) {
        pthread_mutex_lock(&r->lock);
        r->n_steps += g->n_items;
        pthread_mutex_unlock(&r->lock);
        aster_progress_add(r->progress, g->n_items, 0);
    }
    return commit(g);
}

static int take_step(struct aster_md_group *g)
{
    if (g->phase == ASTER_MD_BEGIN) {
        g->phase = ASTER_MD_ARRIVE;
        return neighbours(g);
    }
    if (g->phase == ASTER_MD_ARRIVE) {
        ASTER_TRY(finish_step(g));
        if (g->is_finished)
            return 0;
        if (is_due(&g->run->o, g->step)) {
            g->phase = ASTER_MD_EXCHANGE;
            return 0;
        }
    }
    g->phase = ASTER_MD_ARRIVE;
    return step_on(g);
}

void aster_md_work(void *arg)
{
    struct aster_md_group *g = arg;
    g->rc = take_step(g);
}
