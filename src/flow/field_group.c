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

static void one_less(void *arg)
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

static int64_t cost_of(const struct aster_field_item *x)
{
    return EDGES_PER_ATOM * x->structure->n + x->n_edges;
}

static int by_cost(const void *a, const void *b)
{
    const struct aster_field_item *x = *(struct aster_field_item *const *)a,
                                  *y = *(struct aster_field_item *const *)b;
    int64_t cx = cost_of(x), cy = cost_of(y);
    return cx != cy ? (cx > cy ? -1 : 1) : (x > y) - (x < y);
}

static void one_more(void *arg)
{
    count(arg, 1);
}

static struct aster_field_batches batches_of(struct aster_field_group *g)
{
    return (struct aster_field_batches){g->field, one_more, one_less, g};
}

/* From the largest to the smallest, each batch about as costly as the others */
int aster_field_group_submit(struct aster_field_group *g)
{
    const struct aster_field_batches b = batches_of(g);
    struct aster_field_item **item = NULL;
    int64_t n = 0, most = 3 * EDGES_PER_ATOM * aster_field_batch_atoms(g->field);
    ASTER_TRY(wait_for(g));
    ASTER_TRY(aster_alloc(g->ctx, g->n, sizeof *item, &item));
    for (int64_t i = 0; i < g->n; i++)
        if (g->entry[i].status == 0)
            item[n++] = &g->entry[i].item;
    if (n > 1)
        qsort(item, (size_t)n, sizeof *item, by_cost);
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < n;) {
        int64_t begin = i, cost = 0;
        do
            cost += cost_of(item[i++]);
        while (i < n && cost + cost_of(item[i]) <= most);
        rc = aster_field_batches_submit(&b, i - begin, item + begin);
    }
    aster_free(&item);
    return rc;
}

/* ---- results ---- */

/* What a batch had no room for may have room alone. */
static int try_again(struct aster_field_group *g)
{
    const struct aster_field_batches b = batches_of(g);
    for (int64_t i = 0; i < g->n; i++)
        if (g->entry[i].status == 0 && aster_field_item_again(&g->entry[i].item))
            ASTER_TRY(aster_field_batches_again(&b, &g->entry[i].item));
    return wait_for(g);
}

int aster_field_group_finish(struct aster_field_group *g)
{
    char text[200];
    ASTER_TRY(wait_for(g));
    ASTER_TRY(try_again(g));
    for (int64_t i = 0; i < g->n; i++) {
        struct aster_field_entry *x = &g->entry[i];
        if (x->status || x->item.status == 0)
            continue;
        aster_field_item_reason(g->field, &x->item, text, sizeof text);
        aster_field_entry_fail(g->ctx, x, x->item.status, text);
    }
    return 0;
}
