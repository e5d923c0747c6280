/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours, batches and second tries of a group of structures. */
#include "flow/field_group.h"
#include "flow/field_neighbours.h"

#include <stdlib.h>

/* One neighbour task has about so many atoms, on a core and on a GPU */
enum { CHUNK_ATOMS = 2048, CHUNK_STRUCTURES = 64, GPU_SHARE = 32, EDGES_PER_ATOM = 8 };

/* Neighbours of consecutive structures, found by one task */
struct chunk {
    struct aster_field_group *g;
    struct aster_field_list list;
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
    for (int64_t k = 0; k < g->n_chunks; k++) {
        aster_edges_free(&c[k].list.edges);
        aster_free(&c[k].list.item);
    }
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

/* ---- neighbours ---- */

static void chunk_fail(void *arg, struct aster_field_item *item, int rc, const char *reason)
{
    (void)arg;
    char *at = (char *)item - offsetof(struct aster_field_entry, item);
    aster_field_entry_fail(NULL, (struct aster_field_entry *)(void *)at, rc,
                           reason ? reason : "out of memory");
}

static int submit_chunk(struct aster_field_group *g, struct chunk *c, int64_t begin, int64_t end)
{
    *c = (struct chunk){.g = g,
                        .list = {.cutoff = g->cutoff,
                                 .single = g->single,
                                 .edges.most = aster_field_most_edges(g->field),
                                 .fail = chunk_fail,
                                 .done = chunk_done,
                                 .arg = c}};
    ASTER_TRY(aster_alloc(g->ctx, end - begin, sizeof *c->list.item, &c->list.item));
    for (int64_t i = begin; i < end; i++)
        if (g->entry[i].status == 0)
            c->list.item[c->list.n++] = &g->entry[i].item;
    count(g, 1);
    int rc = aster_field_list(g->field, &c->list);
    if (rc < 0)
        count(g, -1);
    return rc;
}

int aster_field_group_neighbours(struct aster_field_group *g)
{
    int64_t share = aster_field_has_gpu(g->field) ? GPU_SHARE : 1;
    struct chunk *c = NULL;
    ASTER_TRY(aster_alloc(g->ctx, g->n, sizeof *c, &c));
    g->chunks = c;
    for (int64_t i = 0; i < g->n;) {
        int64_t atoms = 0, begin = i;
        while (i < g->n && atoms < share * CHUNK_ATOMS && i - begin < share * CHUNK_STRUCTURES)
            atoms += g->entry[i++].s.n;
        ASTER_TRY(submit_chunk(g, &c[g->n_chunks++], begin, i));
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
