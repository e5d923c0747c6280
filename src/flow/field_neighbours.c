/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours of structures before their batches. */
#include "flow/field_neighbours.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* Lists of so many groups at a time for each GPU; structures of more atoms are cut into cubes */
enum { PLACES_PER_GPU = 3, MOST_PAIRS = 192 };

struct place { /* buffers of one list after the other */
    struct aster_buffer *input, *list, *work;
};

struct aster_field_lists {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    int64_t most_bytes; /* of all places */
    int n, next;
    struct place *place;
    _Atomic double factor; /* of the edges expected: what lists needed so far */
    _Atomic int64_t again;
};

/* ---- on the host ---- */

static void take(struct aster_field_list *l, struct aster_field_item *x, int64_t first, int64_t n)
{
    x->edges = &l->edges;
    x->first_edge = first;
    x->n_edges = n;
}

void aster_field_list_find(void *list)
{
    struct aster_field_list *l = list;
    struct aster_field_item **item = l->boxed ? l->boxed : l->item;
    int64_t n = l->boxed ? l->sizes.n_boxes : l->n;
    struct aster_ctx *ctx = NULL; /* messages of one structure are not the run's */
    if (aster_ctx_new(&ctx) < 0)
        ctx = NULL;
    l->edges.n = 0;
    for (int64_t k = 0; k < n; k++) {
        struct aster_field_item *x = item[k];
        int64_t first = l->edges.n;
        int rc = ctx ? aster_edges_add(ctx, &l->edges, 0, x->structure, l->cutoff, l->single, NULL)
                     : ASTER_ENOMEM;
        take(l, x, first, l->edges.n - first);
        if (rc < 0) {
            l->fail(l->arg, x, rc, ctx ? aster_ctx_message(ctx) : NULL);
            if (ctx)
                aster_ctx_clear(ctx);
        }
    }
    if (!l->is_kept)
        aster_edges_settle(&l->edges);
    aster_ctx_free(&ctx);
}

void aster_field_list_done(void *list)
{
    struct aster_field_list *l = list;
    aster_free(&l->box);
    aster_free(&l->boxed);
    l->done(l->arg);
}

/* ---- on GPUs ---- */

static int n_devices(const struct aster_cl_env *env)
{
    int n = 0;
    for (int k = 0; k < env->n_workers; k++)
        n += env->worker[k].device != NULL;
    return n;
}

int aster_field_lists_new(struct aster_ctx *ctx, struct aster_runtime *rt, int64_t most_bytes,
                          struct aster_field_lists **out)
{
    struct aster_field_lists *s = NULL;
    int n = n_devices(aster_runtime_env(rt)) * PLACES_PER_GPU;
    *out = NULL;
    if (n == 0)
        return 0;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    int rc = aster_alloc(ctx, n, sizeof *s->place, &s->place);
    if (rc < 0) {
        aster_free(&s);
        return rc;
    }
    s->ctx = ctx;
    s->rt = rt;
    s->most_bytes = most_bytes;
    s->n = n;
    atomic_store(&s->factor, 1);
    *out = s;
    return 0;
}

static void free_place(struct aster_field_lists *s, struct place *p)
{
    aster_buffer_free(s->rt, &p->input);
    aster_buffer_free(s->rt, &p->list);
    aster_buffer_free(s->rt, &p->work);
}

void aster_field_lists_free(struct aster_field_lists **sp)
{
    struct aster_field_lists *s = *sp;
    if (!s)
        return;
    for (int k = 0; k < s->n; k++)
        free_place(s, &s->place[k]);
    aster_free(&s->place);
    aster_free(sp);
}

int64_t aster_field_lists_again(const struct aster_field_lists *s)
{
    return atomic_load(&s->again);
}

static void fill(void *arg, void *const *out)
{
    const struct aster_field_list *l = arg;
    const struct aster_neighbours_input in = aster_neighbours_input_at(&l->sizes, out[0]);
    memcpy(in.box, l->box, (size_t)l->sizes.n_boxes * sizeof *in.box);
    for (int64_t k = 0; k < l->sizes.n_boxes; k++)
        if (l->box[k].n)
            memcpy(in.position + 3 * l->box[k].first, l->boxed[k]->structure->position,
                   (size_t)(3 * l->box[k].n) * sizeof *in.position);
}

/* More edges than expected: from now on there is room for as many. */
static void expect_more(struct aster_field_lists *s, double needed, double had)
{
    double factor = atomic_load(&s->factor), more = factor * 1.1 * needed / had;
    while (more > factor && !atomic_compare_exchange_weak(&s->factor, &factor, more))
        ;
    atomic_fetch_add(&s->again, 1);
}

/* What one unusual structure needed is forgotten after some hundred lists. */
static void expect_less(struct aster_field_lists *s)
{
    double factor = atomic_load(&s->factor);
    while (!atomic_compare_exchange_weak(&s->factor, &factor, fmax(1, 0.99 * factor)))
        ;
}

/* Is there a list, with no more edges of a structure than there may be, and memory for it? A GPU
 * that gave up has written anything. */
static bool can_take(struct aster_field_list *l, const struct aster_neighbours_list *from)
{
    int64_t n = from->first[l->sizes.n_boxes], before = 0;
    for (int64_t k = 0; k <= l->sizes.n_boxes; k++) {
        if (from->first[k] < before || (l->edges.most && from->first[k] - before > l->edges.most))
            return false;
        before = from->first[k];
    }
    return from->first[0] == 0 && n <= l->sizes.capacity && aster_edges_room(&l->edges, n) == 0;
}

static void copy(void *arg, const void *const *in)
{
    struct aster_field_list *l = arg;
    const struct aster_neighbours_list from =
        aster_neighbours_list_at(&l->sizes, (void *)(uintptr_t)in[0]);
    int64_t n = from.first[l->sizes.n_boxes];
    if (n > l->sizes.capacity && n <= INT32_MAX)
        expect_more(l->lists, (double)n, (double)l->sizes.capacity);
    else
        expect_less(l->lists);
    if (!can_take(l, &from)) {
        aster_field_list_find(l);
        return;
    }
    l->edges.n = n;
    if (n) {
        size_t bytes = (size_t)n * sizeof *from.src;
        memcpy(l->edges.src, from.src, bytes);
        memcpy(l->edges.dst, from.dst, bytes);
        memcpy(l->edges.shift, from.shift, 3 * bytes);
        memcpy(l->edges.reverse, from.reverse, bytes);
    }
    for (int64_t k = 0; k < l->sizes.n_boxes; k++)
        take(l, l->boxed[k], from.first[k], from.first[k + 1] - from.first[k]);
}

/* ---- submission ---- */

/* Boxes of all items that can have a list; the others fail. */
static void make_boxes(struct aster_field_lists *s, struct aster_field_list *l,
                       struct aster_ctx *ctx)
{
    struct aster_neighbours_sizes z = {
        .most_pairs = MOST_PAIRS, .most = l->edges.most, .cutoff = l->cutoff, .single = l->single};
    double edges = 0;
    for (int64_t k = 0; k < l->n; k++) {
        struct aster_box *b = &l->box[z.n_boxes];
        int rc = aster_box_make(ctx, l->item[k]->structure, l->cutoff, l->single, l->edges.most, b);
        take(l, l->item[k], 0, 0);
        if (rc < 0) {
            l->fail(l->arg, l->item[k], rc, aster_ctx_message(ctx));
            aster_ctx_clear(ctx);
            continue;
        }
        b->first = z.n_atoms;
        z.n_atoms += b->n;
        edges += aster_box_edges(b, l->cutoff);
        l->boxed[z.n_boxes++] = l->item[k];
    }
    edges = (edges + 1) * atomic_load(&s->factor);
    z.capacity = edges < INT32_MAX ? (int64_t)edges : INT32_MAX;
    l->sizes = z;
}

static int begin(struct aster_field_lists *s, struct aster_field_list *l)
{
    struct aster_ctx *ctx = NULL;
    l->lists = s;
    l->edges.n = 0;
    if (aster_alloc(NULL, l->n, sizeof *l->box, &l->box) < 0 ||
        aster_alloc(NULL, l->n, sizeof *l->boxed, &l->boxed) < 0 || aster_ctx_new(&ctx) < 0) {
        aster_free(&l->boxed);
        aster_free(&l->box);
        return ASTER_ENOMEM;
    }
    make_boxes(s, l, ctx);
    aster_ctx_free(&ctx);
    return 0;
}

static int grow(struct aster_field_lists *s, int64_t bytes, struct aster_buffer **b)
{
    if (*b && (*b)->bytes >= bytes)
        return 0;
    aster_buffer_free(s->rt, b);
    return aster_buffer_new(s->rt, bytes, b);
}

static int submit_tasks(struct aster_field_lists *s, struct place *p, struct aster_field_list *l)
{
    struct aster_cl_env *env = aster_runtime_env(s->rt);
    ASTER_TRY(grow(s, aster_neighbours_input_bytes(&l->sizes), &p->input));
    ASTER_TRY(grow(s, aster_neighbours_list_bytes(&l->sizes), &p->list));
    ASTER_TRY(grow(s, aster_neighbours_work_bytes(&l->sizes), &p->work));
    const struct aster_buffer *const input[] = {p->input}, *const list[] = {p->list};
    ASTER_TRY(aster_cl_fill(
        env,
        &(struct aster_fill_task){.name = "atoms", .n = 1, .out = input, .fill = fill, .arg = l}));
    ASTER_TRY(aster_cl_neighbours(env, &(struct aster_neighbours_task){.name = "neighbours",
                                                                       .sizes = &l->sizes,
                                                                       .input = p->input,
                                                                       .list = p->list,
                                                                       .work = p->work}));
    return aster_cl_commit(env, &(struct aster_commit_task){.name = "lists",
                                                            .n = 1,
                                                            .in = list,
                                                            .copy = copy,
                                                            .done = aster_field_list_done,
                                                            .arg = l});
}

/* What has no room, though its boxes are made, is found on the host. */
static int refuse(struct aster_field_lists *s, int rc)
{
    aster_runtime_wait(s->rt); /* its first tasks may be under way */
    ASTER_TRY(aster_runtime_failed(s->rt));
    if (rc != ASTER_ELIMIT && rc != ASTER_ENOMEM && rc != ASTER_EDEVICE)
        return rc;
    aster_ctx_clear(s->ctx);
    return 1;
}

int aster_field_lists_submit(struct aster_field_lists *s, struct aster_field_list *l)
{
    const struct aster_neighbours_sizes *z = &l->sizes;
    if (begin(s, l) < 0)
        return 1;
    int64_t bytes = aster_neighbours_input_bytes(z) + aster_neighbours_list_bytes(z) +
                    aster_neighbours_work_bytes(z);
    if (bytes > s->most_bytes / s->n)
        return 1;
    int rc = submit_tasks(s, &s->place[s->next], l);
    if (rc == 0) {
        s->next = (s->next + 1) % s->n;
        return 0;
    }
    rc = refuse(s, rc);
    if (rc < 0) {
        aster_free(&l->box);
        aster_free(&l->boxed);
    }
    return rc;
}
