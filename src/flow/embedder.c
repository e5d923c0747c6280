/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches of tokens through the blocks of a language model. */
#include "flow/embedder_internal.h"

#include <string.h>

static void give_up(struct embed_batch *b, int rc)
{
    aster_runtime_wait(b->e->rt);
    atomic_store(&b->failed, rc);
    embed_batch_finish(b);
}

int aster_embedder_flush(struct aster_embedder *e)
{
    const struct aster_buffer *param = NULL;
    int n_kept = e->n_kept;
    e->n_kept = 0;
    for (int64_t block = 0; block < e->n_blocks; block++) {
        int rc = n_kept ? aster_block_weights_use(e->weights, block, &param) : 0;
        for (int k = 0; k < n_kept; k++) {
            struct embed_batch *b = e->kept[k];
            int status = b ? rc < 0 ? rc : embed_batch_submit(b, block, param) : 0;
            if (status == 0)
                continue;
            give_up(b, status);
            e->kept[k] = NULL;
        }
    }
    return aster_embedder_failed(e);
}

int aster_embedder_failed(const struct aster_embedder *e)
{
    ASTER_TRY(aster_runtime_failed(e->rt));
    return aster_block_weights_failed(e->weights);
}

/* Which items are computed, and where their rows and results lie. */
static int lay_out(struct embed_batch *b)
{
    struct aster_embedder *e = b->e;
    int64_t d = e->o.n_layers * e->c.width, at = 0;
    ASTER_TRY(aster_grow(e->ctx, b->n, sizeof *b->result, &b->cap_result, &b->result));
    ASTER_TRY(aster_grow(e->ctx, b->n, sizeof *b->first_row, &b->cap_first_row, &b->first_row));
    ASTER_TRY(aster_grow(e->ctx, b->n, sizeof *b->bad, &b->cap_bad, &b->bad));
    b->rows = b->longest = b->n_in = 0;
    for (int64_t i = 0; i < b->n; i++) {
        const struct aster_embed_item *x = &b->item[i];
        bool in = x->n > 0 && x->n <= e->longest && b->rows + x->n <= e->budget;
        b->result[i] = (struct aster_embed_result){.status = in ? 0 : ASTER_ELIMIT};
        atomic_init(&b->bad[i], false);
        b->first_row[i] = in ? b->rows : -1;
        if (!in)
            continue;
        b->n_in++;
        b->rows += x->n;
        b->longest = aster_max64(b->longest, x->n);
        at += d * ((e->o.rows ? x->n_rows : 0) + (e->o.mean ? 1 : 0));
    }
    if (aster_runtime_simulates()) /* nothing is computed, and there may be many batches */
        return 0;
    ASTER_TRY(aster_grow(e->ctx, at, sizeof *b->values, &b->cap_values, &b->values));
    at = 0;
    for (int64_t i = 0; i < b->n; i++) {
        struct aster_embed_result *r = &b->result[i];
        if (b->first_row[i] < 0)
            continue;
        r->rows = e->o.rows ? b->values + at : NULL;
        at += e->o.rows ? d * b->item[i].n_rows : 0;
        r->mean = e->o.mean ? b->values + at : NULL;
        at += e->o.mean ? d : 0;
    }
    return 0;
}

static int make_plans(struct embed_batch *b)
{
    for (int part = 0; part < EMBED_N_PARTS; part++)
        if (b->e->program[part] && b->n_in) {
            ASTER_TRY(embed_plan_part(b->e, part, b->rows, b->n_in, b->longest, &b->plan[part]));
            const struct aster_plan *p = b->plan[part];
            if (aster_plan_bytes(p, ASTER_CLASS_ARENA) > b->e->arena->bytes ||
                aster_plan_bytes(p, ASTER_CLASS_OUTPUT) > b->x[0]->bytes ||
                (b->facts[0] && aster_plan_bytes(p, ASTER_CLASS_FACTS) > b->facts[0]->bytes))
                return aster_fail(b->e->ctx, ASTER_EBUG,
                                  "%lld tokens need more memory than a batch of %lld",
                                  (long long)b->rows, (long long)b->e->budget);
        }
    return 0;
}

int aster_embedder_submit(struct aster_embedder *e, int64_t n, const struct aster_embed_item *items,
                          aster_embed_done *done, void *arg)
{
    struct embed_batch *b = &e->batch[aster_slots_take(&e->slots)];
    b->n = n;
    b->item = items;
    b->done = done;
    b->arg = arg;
    atomic_store(&b->failed, 0);
    atomic_store(&b->layers_left, e->o.n_layers);
    int rc = lay_out(b);
    if (rc == 0)
        rc = make_plans(b);
    if (rc < 0) {
        for (int part = 0; part < EMBED_N_PARTS; part++)
            aster_plan_free(&b->plan[part]);
        aster_slots_give(&e->slots, b->slot);
        return rc;
    }
    if (b->n_in == 0) {
        embed_batch_finish(b);
        return 0;
    }
    e->kept[e->n_kept++] = b;
    return e->n_kept == e->most_kept ? aster_embedder_flush(e) : 0;
}

int aster_embedder_wait(struct aster_embedder *e)
{
    int rc = aster_embedder_flush(e);
    aster_slots_wait(&e->slots);
    return rc < 0 ? rc : aster_embedder_failed(e);
}

/* ---- making one ---- */

static int check_options(struct aster_ctx *ctx, const struct aster_language_config *c,
                         const struct aster_embed_options *o)
{
    ASTER_TRY(aster_language_check(ctx, c));
    if (o->longest < 1 || o->n_layers < 1)
        return aster_fail(ctx, ASTER_EBUG, "no tokens or no layers are wanted");
    for (int64_t k = 0; k < o->n_layers; k++)
        if (o->layers[k] < 0 || o->layers[k] > c->n_layers ||
            (k && o->layers[k] <= o->layers[k - 1]))
            return aster_fail(ctx, ASTER_EPARAM,
                              "layer %lld of %s: layers are numbers from 0 to %lld, ascending",
                              (long long)o->layers[k], o->weights, (long long)c->n_layers);
    return 0;
}

static int make_programs(struct aster_embedder *e)
{
    enum aster_language_use use =
        e->o.real == ASTER_BF16 ? ASTER_LANGUAGE_BF16 : ASTER_LANGUAGE_EVAL;
    for (int64_t block = 0; block < e->n_blocks; block++) {
        enum aster_language_part part = aster_language_part_of(&e->c, block);
        if (!e->program[part])
            ASTER_TRY(aster_language_program(e->ctx, &e->c, part, e->real, use, &e->program[part]));
    }
    return 0;
}

/* The set of a layer's frequencies: an earlier layer's when they are the same. */
static int find_sets(struct aster_embedder *e)
{
    const struct aster_pretrained *file = aster_block_weights_file(e->weights);
    int64_t n = embed_turn_width(e) / 2;
    ASTER_TRY(aster_alloc(e->ctx, e->c.n_layers, sizeof *e->set_of, &e->set_of));
    ASTER_TRY(aster_alloc(e->ctx, e->c.n_layers, sizeof *e->turns, &e->turns));
    e->n_sets = 1;
    if (!embed_is_esm2(e)) {
        ASTER_TRY(aster_alloc(e->ctx, e->c.n_heads, sizeof *e->slopes, &e->slopes));
        aster_alibi_slopes(e->c.n_heads, e->slopes);
        return 0;
    }
    e->n_sets = 0;
    for (int64_t layer = 0; layer < e->c.n_layers; layer++) {
        const float *f = aster_pretrained_frequencies(file, layer);
        int64_t same = 0;
        while (same < layer &&
               memcmp(aster_pretrained_frequencies(file, same), f, (size_t)n * sizeof *f) != 0)
            same++;
        if (same < layer) {
            e->set_of[layer] = e->set_of[same];
            continue;
        }
        if (e->n_sets == EMBED_MOST_SETS)
            return aster_fail(e->ctx, ASTER_ELIMIT,
                              "%s: layers have more than %d different sets of frequencies",
                              e->o.weights, EMBED_MOST_SETS);
        e->set_of[layer] = e->n_sets++;
    }
    return 0;
}

/* Of every set, for places up to the longest sequence. */
static int make_turns(struct aster_embedder *e)
{
    const struct aster_pretrained *file = aster_block_weights_file(e->weights);
    int64_t n = embed_turn_width(e) / 2;
    for (int64_t layer = 0; embed_is_esm2(e) && layer < e->c.n_layers; layer++) {
        double **turns = &e->turns[e->set_of[layer]];
        if (*turns)
            continue;
        ASTER_TRY(aster_alloc(e->ctx, e->longest * 2 * n, sizeof **turns, turns));
        aster_esm2_turns(n, aster_pretrained_frequencies(file, layer), e->longest, *turns);
    }
    return 0;
}

static int make_batch(struct aster_embedder *e, const struct embed_sizes *s, int slot)
{
    struct embed_batch *b = &e->batch[slot];
    b->e = e;
    b->slot = slot;
    ASTER_TRY(aster_alloc(e->ctx, e->o.n_layers, sizeof *b->wanted, &b->wanted));
    for (int64_t k = 0; k < e->o.n_layers; k++)
        b->wanted[k] = (struct embed_wanted){b, k};
    ASTER_TRY(aster_alloc(e->ctx, e->longest, sizeof *b->room, &b->room));
    ASTER_TRY(aster_alloc(e->ctx, e->n_sets, sizeof(struct aster_buffer *), &b->facts));
    ASTER_TRY(aster_buffer_new(e->rt, s->tokens, &b->tokens));
    for (int64_t set = 0; set < e->n_sets && s->facts; set++)
        ASTER_TRY(aster_buffer_new(e->rt, s->facts, &b->facts[set]));
    ASTER_TRY(aster_buffer_new(e->rt, s->x, &b->x[0]));
    return aster_buffer_new(e->rt, s->x, &b->x[1]);
}

static int start(struct aster_embedder *e)
{
    struct embed_sizes s;
    e->n_blocks = embed_block_of(&e->c, e->o.layers[e->o.n_layers - 1]) + 1;
    ASTER_TRY(aster_alloc(e->ctx, e->o.n_layers, sizeof *e->layers, &e->layers));
    memcpy(e->layers, e->o.layers, (size_t)e->o.n_layers * sizeof *e->layers);
    ASTER_TRY(make_programs(e));
    ASTER_TRY(aster_block_weights_new(e->ctx, e->rt, &e->c, e->o.weights, e->program, e->n_blocks,
                                      &e->weights));
    ASTER_TRY(find_sets(e));
    ASTER_TRY(embed_decide(e, &s));
    ASTER_TRY(make_turns(e));
    ASTER_TRY(aster_buffer_new_scratch(e->rt, s.arena, &e->arena));
    ASTER_TRY(aster_alloc(e->ctx, e->n_batch, sizeof *e->batch, &e->batch));
    ASTER_TRY(aster_alloc(e->ctx, e->n_batch, sizeof(struct embed_batch *), &e->kept));
    for (int k = 0; k < e->n_batch; k++)
        ASTER_TRY(make_batch(e, &s, k));
    ASTER_TRY(aster_slots_init(e->ctx, &e->slots, e->n_batch));
    return aster_block_weights_start(e->weights, e->resident);
}

int aster_embedder_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                       const struct aster_language_config *c, const struct aster_embed_options *o,
                       struct aster_embedder **out)
{
    struct aster_embedder *e = NULL;
    *out = NULL;
    ASTER_TRY(check_options(ctx, c, o));
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *e, &e));
    e->ctx = ctx;
    e->rt = rt;
    e->env = aster_runtime_env(rt);
    e->c = *c;
    e->o = *o;
    e->real = o->real == ASTER_BF16 ? ASTER_F32 : o->real;
    int rc = start(e);
    if (rc < 0)
        aster_embedder_free(&e);
    *out = e;
    return rc;
}

int64_t aster_embedder_width(const struct aster_embedder *e)
{
    return e->c.width;
}

int64_t aster_embedder_budget(const struct aster_embedder *e)
{
    return e->budget;
}

int64_t aster_embedder_window(const struct aster_embedder *e)
{
    return e->n_batch;
}

bool aster_embedder_resident(const struct aster_embedder *e)
{
    return e->resident;
}

static void free_batch(struct embed_batch *b)
{
    aster_buffer_free(b->e->rt, &b->tokens);
    for (int64_t set = 0; b->facts && set < b->e->n_sets; set++)
        aster_buffer_free(b->e->rt, &b->facts[set]);
    aster_buffer_free(b->e->rt, &b->x[0]);
    aster_buffer_free(b->e->rt, &b->x[1]);
    aster_free(&b->facts);
    aster_free(&b->wanted);
    aster_free(&b->room);
    aster_free(&b->result);
    aster_free(&b->first_row);
    aster_free(&b->bad);
    aster_free(&b->values);
}

void aster_embedder_free(struct aster_embedder **ep)
{
    struct aster_embedder *e = *ep;
    if (!e)
        return;
    for (int k = 0; k < e->n_kept; k++)
        give_up(e->kept[k], ASTER_ESTOP);
    e->n_kept = 0;
    if (e->slots.free_list)
        aster_slots_wait(&e->slots);
    for (int k = 0; e->batch && k < e->n_batch; k++)
        if (e->batch[k].e)
            free_batch(&e->batch[k]);
    aster_buffer_free(e->rt, &e->arena);
    aster_block_weights_free(&e->weights);
    for (int part = 0; part < EMBED_N_PARTS; part++)
        aster_program_free(&e->program[part]);
    for (int64_t set = 0; e->turns && set < e->n_sets; set++)
        aster_free(&e->turns[set]);
    aster_free(&e->turns);
    aster_free(&e->slopes);
    aster_free(&e->set_of);
    aster_free(&e->layers);
    aster_free(&e->kept);
    aster_free(&e->batch);
    aster_slots_done(&e->slots);
    aster_free(ep);
}
