/* SPDX-License-Identifier: BSD-3-Clause */
/* A batch of the block runner: its tokens, its tasks, what is taken of its rows. */
#include "flow/embedder_internal.h"

#include <math.h>
#include <string.h>

/* ---- a batch's tokens, made in a worker ---- */

static void put_reals(const struct aster_embedder *e, void *to, int64_t n, const double *from)
{
    for (int64_t k = 0; k < n; k++)
        if (e->real == ASTER_F64)
            ((double *)to)[k] = from[k];
        else
            ((float *)to)[k] = (float)from[k];
}

static void *row_of(const struct aster_embedder *e, void *rows, int64_t k)
{
    return (char *)rows + k * aster_dtype_size(e->real);
}

/* A place of an input; the programs are ours, so that it is there. */
static void *named(struct embed_batch *b, int part, enum aster_class c, const char *name, void *at)
{
    int64_t offset = 0;
    if (aster_plan_find(b->e->ctx, b->plan[part], c, name, NULL, &offset) < 0)
        atomic_store(&b->failed, ASTER_EBUG);
    return (char *)at + offset;
}

static void fill_tokens(struct embed_batch *b, void *tokens)
{
    struct aster_embedder *e = b->e;
    int32_t *ids = named(b, ASTER_PART_EMBED, ASTER_CLASS_INPUT, "ids", tokens);
    void *factor =
        embed_is_esm2(e) ? named(b, ASTER_PART_EMBED, ASTER_CLASS_INPUT, "factor", tokens) : NULL;
    for (int64_t i = 0; i < b->n; i++) {
        const struct aster_embed_item *x = &b->item[i];
        if (b->first_row[i] < 0)
            continue;
        memcpy(ids + b->first_row[i], x->ids, (size_t)x->n * sizeof *ids);
        if (factor) {
            aster_esm2_factors(x->n, x->ids, b->room);
            put_reals(e, row_of(e, factor, b->first_row[i]), x->n, b->room);
        }
    }
}

static void fill_facts(struct embed_batch *b, int64_t set, void *facts)
{
    struct aster_embedder *e = b->e;
    const int part = ASTER_PART_LAYER;
    int32_t *starts = named(b, part, ASTER_CLASS_FACTS, "starts", facts), *position = NULL;
    if (embed_is_esm2(e)) {
        position = named(b, part, ASTER_CLASS_FACTS, "position", facts);
        put_reals(e, named(b, part, ASTER_CLASS_FACTS, "turn", facts),
                  b->longest * embed_turn_width(e), e->turns[set]);
    } else {
        put_reals(e, named(b, part, ASTER_CLASS_FACTS, "slopes", facts), e->c.n_heads, e->slopes);
    }
    for (int64_t i = 0; i < b->n; i++) {
        if (b->first_row[i] < 0)
            continue;
        *starts++ = (int32_t)b->first_row[i];
        for (int64_t t = 0; position && t < b->item[i].n; t++)
            position[b->first_row[i] + t] = (int32_t)t;
    }
    *starts = (int32_t)b->rows;
}

static void fill_batch(void *arg, void *const *out)
{
    struct embed_batch *b = arg;
    fill_tokens(b, out[0]);
    for (int64_t set = 0; b->plan[ASTER_PART_LAYER] && set < b->e->n_sets; set++)
        fill_facts(b, set, out[1 + set]);
}

/* ---- results, taken in workers ---- */

static double value_at(const struct aster_embedder *e, const void *rows, int64_t k)
{
    return e->real == ASTER_F64 ? ((const double *)rows)[k] : (double)((const float *)rows)[k];
}

/* One layer of one item: its rows, and their mean, summed in the order of the rows. */
static bool take_item(struct embed_batch *b, int64_t i, int64_t layer, const void *all)
{
    const struct aster_embedder *e = b->e;
    const struct aster_embed_item *x = &b->item[i];
    int64_t d = e->c.width, from = (b->first_row[i] + x->first) * d;
    float *row = b->result[i].rows ? (float *)b->result[i].rows + layer * x->n_rows * d : NULL,
          *mean = b->result[i].mean ? (float *)b->result[i].mean + layer * d : NULL;
    bool finite = true;
    for (int64_t k = 0; k < x->n_rows * d; k++) {
        double v = value_at(e, all, from + k);
        finite = finite && isfinite(v);
        if (row)
            row[k] = (float)v;
    }
    for (int64_t j = 0; mean && j < d; j++) {
        double sum = 0;
        for (int64_t t = 0; t < x->n_rows; t++)
            sum += value_at(e, all, from + t * d + j);
        mean[j] = (float)(x->n_rows ? sum / (double)x->n_rows : 0);
    }
    return finite;
}

static void take_layer(void *arg, const void *const *in)
{
    struct embed_wanted *w = arg;
    struct embed_batch *b = w->batch;
    int failed = atomic_load(&b->e->env->failed);
    if (failed)
        atomic_store(&b->failed, failed);
    for (int64_t i = 0; i < b->n && !failed && !aster_runtime_simulates(); i++)
        if (b->first_row[i] >= 0 && !take_item(b, i, w->index, in[0]))
            atomic_store(&b->bad[i], true);
}

void embed_batch_finish(struct embed_batch *b)
{
    struct aster_embedder *e = b->e;
    int failed = atomic_load(&b->failed);
    if (failed == 0)
        failed = aster_block_weights_failed(e->weights);
    for (int64_t i = 0; i < b->n; i++) {
        struct aster_embed_result *r = &b->result[i];
        if (r->status == 0)
            r->status = failed ? failed : atomic_load(&b->bad[i]) ? ASTER_ENUMERIC : 0;
        if (r->status)
            r->rows = r->mean = NULL;
    }
    b->done(b->arg, b->n, b->item, b->result);
    for (int part = 0; part < EMBED_N_PARTS; part++)
        aster_plan_free(&b->plan[part]);
    aster_slots_give(&e->slots, b->slot);
}

static void layer_over(void *arg)
{
    struct embed_batch *b = ((struct embed_wanted *)arg)->batch;
    if (atomic_fetch_sub(&b->layers_left, 1) == 1)
        embed_batch_finish(b);
}

/* ---- submission ---- */

static int submit_tokens(struct embed_batch *b)
{
    const struct aster_buffer *out[1 + EMBED_MOST_SETS];
    int n = 0;
    out[n++] = b->tokens;
    for (int64_t set = 0; b->plan[ASTER_PART_LAYER] && set < b->e->n_sets; set++)
        out[n++] = b->facts[set];
    return aster_cl_fill(b->e->env,
                         &(struct aster_fill_task){
                             .name = "tokens", .n = n, .out = out, .fill = fill_batch, .arg = b});
}

/* Batches of about as many tokens take about as long. */
static uint64_t footprint(const struct aster_embedder *e, int part, int64_t rows)
{
    int64_t step = 64;
    while (16 * step < rows)
        step *= 2;
    rows = aster_round_up(rows, step);
    uint64_t h = aster_program_hash(e->program[part]);
    return aster_fnv1a64_more(h, &rows, sizeof rows);
}

int embed_batch_submit(struct embed_batch *b, int64_t block, const struct aster_buffer *param)
{
    struct aster_embedder *e = b->e;
    enum aster_language_part part = aster_language_part_of(&e->c, block);
    struct aster_program_task t;
    if (block == 0)
        ASTER_TRY(submit_tokens(b));
    aster_plan_task(b->plan[part], 0, part == ASTER_PART_LAYER ? "layer" : "embed", &t);
    t.footprint = footprint(e, (int)part, b->rows);
    t.at[ASTER_ROLE_INPUT] = block == 0 ? b->tokens : b->x[(block + 1) % 2];
    t.at[ASTER_ROLE_OUTPUT] = b->x[block % 2];
    t.at[ASTER_ROLE_PARAM] = param;
    t.at[ASTER_ROLE_ARENA] = e->arena;
    if (part == ASTER_PART_LAYER)
        t.at[ASTER_ROLE_FACTS] = b->facts[e->set_of[block - 1]];
    ASTER_TRY(aster_cl_program(e->env, &t));
    for (int64_t k = 0; k < e->o.n_layers; k++)
        if (embed_block_of(&e->c, e->layers[k]) == block) {
            const struct aster_buffer *in[] = {b->x[block % 2]};
            ASTER_TRY(aster_cl_commit(e->env, &(struct aster_commit_task){.name = "rows",
                                                                          .n = 1,
                                                                          .in = in,
                                                                          .copy = take_layer,
                                                                          .done = layer_over,
                                                                          .arg = &b->wanted[k]}));
        }
    return 0;
}

/* No task of it will follow: what was submitted ends first. */
