/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours, batches and second tries of a group of structures. */
#include "flow/field_group.h"

#include <stdlib.h>

/* One neighbour task has about so many atoms */
enum { CHUNK_ATOMS = 2048, CHUNK_STRUCTURES = 64, EDGES_PER_ATOM = 8 };

/* Neighbours of consecutive structures, found by one task */
struct chunk {
    struct aster_field_group *g;
    int64_t begin, end;
    struct aster_edges edges;
};

void aster_field_entry_fail(struct aster_ctx *ctx, struct aster_field_entry *x, int32_t status,
                            const char *reason)
{
    if (x->status)
        return;
    x->status = status;
    if (aster_strdup(ctx, reason, &x->reason) < 0 && ctx)
        aster_ctx_clear(ctx);
}

void aster_field_group_init(struct aster_field_group *g)
{
    g->chunks = NULL;
    g->n_chunks = g->pending = 0;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

void aster_field_group_done(struct aster_field_group *g)
{
    struct chunk *c = g->chunks;
    for (int64_t k = 0; k < g->n_chunks; k++)
        aster_edges_free(&c[k].edges);
    aster_free(&c);
    g->chunks = NULL;
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
}

/* ---- counting tasks ---- */

static void count(struct aster_field_group *g, int by)
{
    pthread_mutex_lock(&g->lock);
    g->pending += by;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void batch_done(void *arg)
{
    count(arg, -1);
}

static void chunk_done(void *arg)
{
    struct chunk *c = arg;
    count(c->g, -1);
}

static int wait_for(struct aster_field_group *g)
{
    pthread_mutex_lock(&g->lock);
    while (g->pending > 0)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return aster_runtime_failed(g->rt);
}

/* ---- neighbours, in workers ---- */

static void find_neighbours(void *arg)
{
    struct chunk *c = arg;
    const struct aster_field_group *g = c->g;
    struct aster_ctx *ctx = NULL; /* messages of one structure are not the run's */
    if (aster_ctx_new(&ctx) < 0)
        ctx = NULL;
    for (int64_t i = c->begin; i < c->end; i++) {
        struct aster_field_entry *x = &g->entry[i];
        if (x->status)
            continue;
        int64_t first = c->edges.n;
        int rc = ctx ? aster_edges_add(ctx, &c->edges, 0, &x->s, g->cutoff, g->single, NULL)
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

int aster_field_group_neighbours(struct aster_field_group *g)
{
    struct chunk *c = NULL;
    ASTER_TRY(aster_alloc(g->ctx, g->n, sizeof *c, &c));
    g->chunks = c;
    for (int64_t i = 0; i < g->n;) {
        int64_t atoms = 0, begin = i;
        while (i < g->n && atoms < CHUNK_ATOMS && i - begin < CHUNK_STRUCTURES)
            atoms += g->entry[i++].s.n;
        struct chunk *one = &c[g->n_chunks++];
        *one = (struct chunk){
            .g = g, .begin = begin, .end = i, .edges.most = aster_field_most_edges(g->field)};
        count(g, 1);
        int rc = aster_field_work(g->field, "neighbours", find_neighbours, chunk_done, one);
        if (rc < 0) {
            count(g, -1);
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

static int submit_items(struct aster_field_group *g, int64_t n,
                        struct aster_field_entry *const *entry)
{
    struct aster_field_item **item = NULL;
    ASTER_TRY(aster_alloc(g->ctx, n, sizeof *item, &item));
    for (int64_t k = 0; k < n; k++) {
        entry[k]->is_tried = n == 1;
        item[k] = &entry[k]->item;
    }
    count(g, 1);
    int rc = aster_field_submit(g->field, n, item, batch_done, g);
    if (rc < 0)
        count(g, -1);
    aster_free(&item);
    return rc;
}

static int submit_alone(struct aster_field_group *g, struct aster_field_entry *x)
{
    x->is_tried = true;
    count(g, 1);
    int rc = aster_field_submit_alone(g->field, &x->item, batch_done, g);
    if (rc < 0)
        count(g, -1);
    return rc;
}

/* n entries as one task; in halves while it has no room. */
static int submit_batch(struct aster_field_group *g, int64_t n,
                        struct aster_field_entry *const *entry)
{
    int64_t atoms = 0, edges = 0, bytes;
    for (int64_t k = 0; k < n; k++) {
        atoms += entry[k]->s.n;
        edges += entry[k]->item.n_edges;
    }
    ASTER_TRY(aster_field_bytes(g->field, n, atoms, edges, &bytes));
    if (bytes <= aster_field_room(g->field))
        return submit_items(g, n, entry);
    if (n > 1) {
        ASTER_TRY(submit_batch(g, n / 2, entry));
        return submit_batch(g, n - n / 2, entry + n / 2);
    }
    if (bytes <= aster_field_most(g->field))
        return submit_alone(g, entry[0]);
    char text[200];
    snprintf(text, sizeof text,
             "%lld atoms with %lld neighbours need %lld bytes, and a task may have %lld",
             (long long)atoms, (long long)edges, (long long)bytes,
             (long long)aster_field_most(g->field));
    aster_field_entry_fail(g->ctx, entry[0], ASTER_ELIMIT, text);
    return 0;
}

/* From the largest to the smallest, each batch about as costly as the others */
int aster_field_group_submit(struct aster_field_group *g)
{
    struct aster_field_entry **entry = NULL;
    int64_t n = 0, most = 3 * EDGES_PER_ATOM * aster_field_batch_atoms(g->field);
    ASTER_TRY(wait_for(g));
    ASTER_TRY(aster_alloc(g->ctx, g->n, sizeof *entry, &entry));
    for (int64_t i = 0; i < g->n; i++)
        if (g->entry[i].status == 0)
            entry[n++] = &g->entry[i];
    if (n > 1)
        qsort(entry, (size_t)n, sizeof *entry, by_cost);
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < n;) {
        int64_t begin = i, cost = 0;
        do
            cost += cost_of(entry[i++]);
        while (i < n && cost + cost_of(entry[i]) <= most);
        rc = submit_batch(g, i - begin, entry + begin);
    }
    aster_free(&entry);
    return rc;
}

/* ---- results ---- */

static void settle(struct aster_field_group *g, struct aster_field_entry *x)
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
    aster_field_entry_fail(g->ctx, x, x->item.status, text);
}

/* What a batch had no room for may have room alone. */
static int try_again(struct aster_field_group *g)
{
    for (int64_t i = 0; i < g->n; i++) {
        struct aster_field_entry *x = &g->entry[i];
        if (x->status || x->item.status == 0 || x->item.status == ASTER_ENUMERIC || x->is_tried)
            continue;
        x->item.status = 0;
        ASTER_TRY(submit_items(g, 1, &x));
    }
    return wait_for(g);
}

int aster_field_group_finish(struct aster_field_group *g)
{
    ASTER_TRY(wait_for(g));
    ASTER_TRY(try_again(g));
    for (int64_t i = 0; i < g->n; i++)
        settle(g, &g->entry[i]);
    return 0;
}
