/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs bound to the batch shapes that occur: a few, made once. */
#include "train/internal.h"

#include <stdlib.h>

int eval_program(struct aster_ctx *ctx, const struct aster_model_config *model,
                 enum aster_dtype real, const double *class_weights, struct aster_program **out)
{
    struct aster_model_loss loss = {.class_weights = {class_weights[0], class_weights[1]}};
    return aster_model_program(ctx, model, real, ASTER_USE_EVAL, &loss, out);
}

int planned_look(struct aster_ctx *ctx, struct planned *p)
{
    p->n_segments = aster_plan_n_segments(p->plan);
    ASTER_TRY(aster_plan_find(ctx, p->plan, ASTER_CLASS_INPUT, "x", NULL, &p->x));
    ASTER_TRY(aster_plan_find(ctx, p->plan, ASTER_CLASS_INPUT, "labels", NULL, &p->labels));
    ASTER_TRY(aster_plan_find(ctx, p->plan, ASTER_CLASS_INPUT, "n", NULL, &p->count));
    ASTER_TRY(aster_plan_find(ctx, p->plan, ASTER_CLASS_OUTPUT, "loss", NULL, &p->loss));
    return aster_plan_find(ctx, p->plan, ASTER_CLASS_OUTPUT, "probs", NULL, &p->probs);
}

enum {
    MOST_CUTS = 32,
    CUT_MULTIPLE = 32
}; /* plans for results up to so many places, multiples of so many positions */

static int add(struct plans *p, int64_t n, int64_t n_batch, int64_t active, struct planned **out)
{
    struct aster_bind bind[] = {{"B", n}, {"L", p->length}, {"BG", n_batch}, {"S", active}};
    struct aster_plan_options options = {.extents = p->extents};
    ASTER_TRY(aster_grow(p->ctx, p->n + 1, sizeof *p->list, &p->cap, &p->list));
    struct planned *e;
    ASTER_TRY(aster_alloc(p->ctx, 1, sizeof *e, &e));
    *e = (struct planned){.n = n, .n_batch = n_batch, .active = active};
    int rc = aster_plan_new(p->ctx, p->program, 4, bind, &options, &e->plan);
    if (rc == 0)
        rc = planned_look(p->ctx, e);
    if (rc < 0) {
        aster_plan_free(&e->plan);
        aster_free(&e);
        return rc;
    }
    p->list[p->n++] = e;
    *out = e;
    return 0;
}

static int get(struct plans *p, int64_t n, int64_t n_batch, int64_t active,
               const struct planned **out)
{
    for (int64_t k = 0; k < p->n; k++)
        if (p->list[k]->n == n && p->list[k]->n_batch == n_batch && p->list[k]->active == active) {
            *out = p->list[k];
            return 0;
        }
    struct planned *e;
    ASTER_TRY(add(p, n, n_batch, active, &e));
    *out = e;
    return 0;
}

/* The first cut that holds so many positions; the whole length is the last. */
static int64_t cut_of(const struct plans *p, int64_t longest)
{
    int64_t step = aster_round_up(chunk_of(p->length, MOST_CUTS), CUT_MULTIPLE);
    return p->cut ? aster_min64(aster_round_up(aster_max64(longest, 1), step), p->length)
                  : p->length;
}

int plans_get(struct plans *p, int64_t n, int64_t n_batch, int64_t longest,
              const struct planned **out)
{
    return get(p, n, n_batch, cut_of(p, longest), out);
}

int plans_most(struct plans *p, int64_t n, int64_t n_batch, int64_t *most)
{
    for (int64_t active = 0; active < p->length;) {
        const struct planned *e;
        active = cut_of(p, active + 1);
        ASTER_TRY(get(p, n, n_batch, active, &e));
        for (int c = 0; c < ASTER_N_CLASSES; c++)
            most[c] = aster_max64(most[c], planned_bytes(e, (enum aster_class)c));
    }
    return 0;
}

void plans_done(struct plans *p)
{
    for (int64_t k = 0; k < p->n; k++) {
        aster_plan_free(&p->list[k]->plan);
        aster_free(&p->list[k]);
    }
    aster_free(&p->list);
    p->n = p->cap = 0;
}

int64_t planned_bytes(const struct planned *p, enum aster_class c)
{
    return aster_plan_bytes(p->plan, c);
}

void planned_task(const struct planned *p, int segment, const char *name,
                  struct aster_program_task *t)
{
    aster_plan_task(p->plan, segment, name, t);
}

int64_t sample_counted(const struct aster_sample *s)
{
    int64_t n = 0;
    if (!s->labels)
        return s->length;
    for (int64_t k = 0; k < s->length; k++)
        n += s->labels[k] <= 1;
    return n;
}

int64_t longest_of(int64_t n, const struct aster_sample *const *s)
{
    int64_t longest = 0;
    for (int64_t k = 0; k < n; k++)
        if (s[k])
            longest = aster_max64(longest, s[k]->length);
    return longest;
}

static int longer_first(const void *pa, const void *pb)
{
    const struct aster_sample *a = *(const struct aster_sample *const *)pa,
                              *b = *(const struct aster_sample *const *)pb;
    if (a->length != b->length)
        return a->length < b->length ? 1 : -1;
    return a < b ? -1 : a > b;
}

void sort_by_length(int64_t n, const struct aster_sample **s)
{
    if (n > 0)
        qsort(s, (size_t)n, sizeof *s, longer_first);
}

int64_t chunk_of(int64_t n, int64_t shards)
{
    return (n + shards - 1) / shards;
}
