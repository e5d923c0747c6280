/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches of tokens through the blocks of a language model. */
#include "flow/embedder.h"

#include "flow/block_weights.h"
#include "runtime/slots.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

enum { N_PARTS = 3, CPU_BUDGET = 2048, GPU_BUDGET = 16384, MOST_SETS = 200 };

struct batch { /* a slot */
    struct aster_embedder *e;
    int slot;
    int64_t n, n_in, rows, longest; /* items; those that are computed, their tokens */
    const struct aster_embed_item *item;
    struct aster_embed_result *result;
    int64_t *first_row; /* of each item; -1: not computed */
    _Atomic bool *bad;  /* of each item: not finite */
    int64_t cap_result, cap_first_row, cap_bad, cap_values;
    double *room; /* [longest] */
    float *values;
    struct aster_plan *plan[N_PARTS];
    struct aster_buffer *tokens, **facts, *x[2];
    struct wanted *wanted;
    _Atomic int failed; /* all of them: a device, the weights, a task that fits nowhere */
    _Atomic int64_t layers_left;
    aster_embed_done *done;
    void *arg;
};

struct wanted { /* a layer of a batch */
    struct batch *batch;
    int64_t index;
};

struct aster_embedder {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_cl_env *env;
    struct aster_language_config c;
    struct aster_embed_options o;
    int64_t *layers;
    enum aster_dtype real;
    struct aster_program *program[N_PARTS];
    struct aster_block_weights *weights;
    int64_t n_sets, *set_of; /* of frequencies that differ, and each layer's; DNABERT-S: one */
    double **turns;          /* ESM-2, of each set: [longest, width / n_heads] */
    double *slopes;          /* DNABERT-S */
    int64_t budget, longest, n_blocks; /* n_blocks: that wanted layers need */
    bool resident;
    struct aster_buffer *arena;
    struct aster_slots slots;
    struct batch *batch;
    int n_batch;
    struct batch **kept; /* that go through the blocks together */
    int n_kept, most_kept;
};

static bool is_esm2(const struct aster_embedder *e)
{
    return e->c.kind == ASTER_LANGUAGE_ESM2;
}

static int64_t turn_width(const struct aster_embedder *e)
{
    return e->c.width / e->c.n_heads;
}

/* The block behind which a layer's rows are. */
static int64_t block_of(const struct aster_language_config *c, int64_t layer)
{
    return layer < c->n_layers ? layer : aster_language_n_blocks(c) - 1;
}

/* ---- sizes ---- */

static int plan_part(struct aster_embedder *e, int part, int64_t rows, int64_t sequences,
                     int64_t longest, struct aster_plan **out)
{
    struct aster_bind bind[] = {{"N", rows}, {"Q", sequences}, {"M", longest}};
    return aster_plan_new(e->ctx, e->program[part], 3, bind, NULL, out);
}

struct sizes {
    int64_t tokens, facts, x, values; /* per batch */
    int64_t arena, turns;             /* per worker; once */
};

static int sizes_of(struct aster_embedder *e, int64_t budget, struct sizes *s)
{
    *s = (struct sizes){0};
    for (int part = 0; part < N_PARTS; part++) {
        struct aster_plan *plan = NULL;
        if (!e->program[part])
            continue;
        ASTER_TRY(plan_part(e, part, budget, budget, aster_min64(e->o.longest, budget), &plan));
        s->arena = aster_max64(s->arena, aster_plan_bytes(plan, ASTER_CLASS_ARENA));
        s->facts = aster_max64(s->facts, aster_plan_bytes(plan, ASTER_CLASS_FACTS));
        s->x = aster_max64(s->x, aster_plan_bytes(plan, ASTER_CLASS_OUTPUT));
        if (part == ASTER_PART_EMBED)
            s->tokens = aster_plan_bytes(plan, ASTER_CLASS_INPUT);
        aster_plan_free(&plan);
    }
    if (is_esm2(e))
        s->turns =
            e->n_sets * aster_min64(e->o.longest, budget) * turn_width(e) * (int64_t)sizeof(double);
    s->values = e->o.n_layers * budget * e->c.width * (int64_t)sizeof(float);
    if (!e->o.rows)
        s->values /= 2;
    return 0;
}

static int64_t batch_bytes(const struct aster_embedder *e, const struct sizes *s)
{
    return s->tokens + e->n_sets * s->facts + 2 * s->x + s->values;
}

/* The largest budget, from the wished one down by halves, that leaves every worker a batch beside
 * the weights, or beside a few blocks of them. */
static int decide_budget(struct aster_embedder *e, int64_t free_bytes, struct sizes *s)
{
    int64_t wished = e->o.budget, workers = e->env->n_workers, need,
            least = aster_min64(aster_block_weights_bytes(e->weights, false),
                                aster_block_weights_bytes(e->weights, true));
    if (wished > 0 && wished < e->o.longest)
        aster_log(e->ctx, ASTER_LOG_INFO,
                  "a batch of %lld tokens would be too small for a sequence of %lld: that many it "
                  "has",
                  (long long)wished, (long long)e->o.longest);
    if (wished <= 0)
        wished = e->env->n_gpus ? GPU_BUDGET : CPU_BUDGET;
    wished = aster_max64(wished, e->o.longest);
    for (e->budget = wished;; e->budget = (e->budget + 1) / 2) {
        ASTER_TRY(sizes_of(e, e->budget, s));
        need = workers * (s->arena + batch_bytes(e, s)) + least + s->turns;
        bool fits_gpu = !e->env->n_gpus ||
                        s->arena + s->facts + 2 * s->x + aster_block_weights_most(e->weights) <=
                            e->env->gpu_memory;
        if ((need <= free_bytes && fits_gpu) || e->budget == 1)
            break;
    }
    e->longest = aster_min64(e->o.longest, e->budget);
    if (need > free_bytes)
        return aster_fail(e->ctx, ASTER_ELIMIT,
                          "%s: a block of the model and one token per worker need %.1f MB, %.1f MB "
                          "of the memory limit are free",
                          e->o.weights, (double)need / 1e6, (double)free_bytes / 1e6);
    if (e->budget < wished)
        aster_log(e->ctx, ASTER_LOG_INFO,
                  "batches of at most %lld tokens: %.1f MB of the memory limit are free",
                  (long long)e->budget, (double)free_bytes / 1e6);
    return 0;
}

/* Whether all weights stay, how many batches there are, how many go through the blocks together. */
static int decide(struct aster_embedder *e, struct sizes *s)
{
    int64_t free_bytes = e->env->memory_limit - atomic_load(&e->env->memory_used), left,
            all = aster_block_weights_bytes(e->weights, true), workers = e->env->n_workers;
    if (e->o.memory > 0)
        free_bytes = aster_min64(free_bytes, e->o.memory);
    ASTER_TRY(decide_budget(e, free_bytes, s));
    left = free_bytes - workers * s->arena - s->turns;
    e->resident = all + workers * batch_bytes(e, s) <= left ||
                  all <= aster_block_weights_bytes(e->weights, false);
    left -= aster_block_weights_bytes(e->weights, e->resident);
    e->n_batch = (int)aster_min64(3 * workers, left / batch_bytes(e, s));
    bool stays = e->resident && (!e->env->n_gpus || all <= e->env->gpu_memory * 6 / 10);
    if (!stays) /* as many as there is memory for: a block is read once for all of them */
        e->n_batch = (int)aster_min64(64 * workers, left / batch_bytes(e, s));
    e->most_kept = stays ? 1 : (int)aster_max64(1, e->n_batch / 2);
    if (!e->resident)
        aster_log(e->ctx, ASTER_LOG_INFO,
                  "%s: its blocks are read again for every %d batches: all of them take %.1f MB, "
                  "%.1f MB of the memory limit are free",
                  e->o.weights, e->most_kept, (double)all / 1e6, (double)free_bytes / 1e6);
    return 0;
}

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
static void *named(struct batch *b, int part, enum aster_class c, const char *name, void *at)
{
    int64_t offset = 0;
    if (aster_plan_find(b->e->ctx, b->plan[part], c, name, NULL, &offset) < 0)
        atomic_store(&b->failed, ASTER_EBUG);
    return (char *)at + offset;
}

static void fill_tokens(struct batch *b, void *tokens)
{
    struct aster_embedder *e = b->e;
    int32_t *ids = named(b, ASTER_PART_EMBED, ASTER_CLASS_INPUT, "ids", tokens);
    void *factor =
        is_esm2(e) ? named(b, ASTER_PART_EMBED, ASTER_CLASS_INPUT, "factor", tokens) : NULL;
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

static void fill_facts(struct batch *b, int64_t set, void *facts)
{
    struct aster_embedder *e = b->e;
    const int part = ASTER_PART_LAYER;
    int32_t *starts = named(b, part, ASTER_CLASS_FACTS, "starts", facts), *position = NULL;
    if (is_esm2(e)) {
        position = named(b, part, ASTER_CLASS_FACTS, "position", facts);
        put_reals(e, named(b, part, ASTER_CLASS_FACTS, "turn", facts), b->longest * turn_width(e),
                  e->turns[set]);
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
    struct batch *b = arg;
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
static bool take_item(struct batch *b, int64_t i, int64_t layer, const void *all)
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
    struct wanted *w = arg;
    struct batch *b = w->batch;
    int failed = atomic_load(&b->e->env->failed);
    if (failed)
        atomic_store(&b->failed, failed);
    for (int64_t i = 0; i < b->n && !failed; i++)
        if (b->first_row[i] >= 0 && !take_item(b, i, w->index, in[0]))
            atomic_store(&b->bad[i], true);
}

static void finish(struct batch *b)
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
    for (int part = 0; part < N_PARTS; part++)
        aster_plan_free(&b->plan[part]);
    aster_slots_give(&e->slots, b->slot);
}

static void layer_over(void *arg)
{
    struct batch *b = ((struct wanted *)arg)->batch;
    if (atomic_fetch_sub(&b->layers_left, 1) == 1)
        finish(b);
}

/* ---- submission ---- */

static int submit_tokens(struct batch *b)
{
    const struct aster_buffer *out[1 + MOST_SETS];
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

static int submit_block(struct batch *b, int64_t block, const struct aster_buffer *param)
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
        if (block_of(&e->c, e->layers[k]) == block) {
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
static void give_up(struct batch *b, int rc)
{
    aster_runtime_wait(b->e->rt);
    atomic_store(&b->failed, rc);
    finish(b);
}

int aster_embedder_flush(struct aster_embedder *e)
{
    const struct aster_buffer *param = NULL;
    int n_kept = e->n_kept;
    e->n_kept = 0;
    for (int64_t block = 0; block < e->n_blocks; block++) {
        int rc = n_kept ? aster_block_weights_use(e->weights, block, &param) : 0;
        for (int k = 0; k < n_kept; k++) {
            struct batch *b = e->kept[k];
            int status = b ? rc < 0 ? rc : submit_block(b, block, param) : 0;
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
static int lay_out(struct batch *b)
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

static int make_plans(struct batch *b)
{
    for (int part = 0; part < N_PARTS; part++)
        if (b->e->program[part] && b->n_in) {
            ASTER_TRY(plan_part(b->e, part, b->rows, b->n_in, b->longest, &b->plan[part]));
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
    struct batch *b = &e->batch[aster_slots_take(&e->slots)];
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
        for (int part = 0; part < N_PARTS; part++)
            aster_plan_free(&b->plan[part]);
        aster_slots_give(&e->slots, b->slot);
        return rc;
    }
    if (b->n_in == 0) {
        finish(b);
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
    int64_t n = turn_width(e) / 2;
    ASTER_TRY(aster_alloc(e->ctx, e->c.n_layers, sizeof *e->set_of, &e->set_of));
    ASTER_TRY(aster_alloc(e->ctx, e->c.n_layers, sizeof *e->turns, &e->turns));
    e->n_sets = 1;
    if (!is_esm2(e)) {
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
        if (e->n_sets == MOST_SETS)
            return aster_fail(e->ctx, ASTER_ELIMIT,
                              "%s: layers have more than %d different sets of frequencies",
                              e->o.weights, MOST_SETS);
        e->set_of[layer] = e->n_sets++;
    }
    return 0;
}

/* Of every set, for places up to the longest sequence. */
static int make_turns(struct aster_embedder *e)
{
    const struct aster_pretrained *file = aster_block_weights_file(e->weights);
    int64_t n = turn_width(e) / 2;
    for (int64_t layer = 0; is_esm2(e) && layer < e->c.n_layers; layer++) {
        double **turns = &e->turns[e->set_of[layer]];
        if (*turns)
            continue;
        ASTER_TRY(aster_alloc(e->ctx, e->longest * 2 * n, sizeof **turns, turns));
        aster_esm2_turns(n, aster_pretrained_frequencies(file, layer), e->longest, *turns);
    }
    return 0;
}

static int make_batch(struct aster_embedder *e, const struct sizes *s, int slot)
{
    struct batch *b = &e->batch[slot];
    b->e = e;
    b->slot = slot;
    ASTER_TRY(aster_alloc(e->ctx, e->o.n_layers, sizeof *b->wanted, &b->wanted));
    for (int64_t k = 0; k < e->o.n_layers; k++)
        b->wanted[k] = (struct wanted){b, k};
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
    struct sizes s;
    e->n_blocks = block_of(&e->c, e->o.layers[e->o.n_layers - 1]) + 1;
    ASTER_TRY(aster_alloc(e->ctx, e->o.n_layers, sizeof *e->layers, &e->layers));
    memcpy(e->layers, e->o.layers, (size_t)e->o.n_layers * sizeof *e->layers);
    ASTER_TRY(make_programs(e));
    ASTER_TRY(aster_block_weights_new(e->ctx, e->rt, &e->c, e->o.weights, e->program, e->n_blocks,
                                      &e->weights));
    ASTER_TRY(find_sets(e));
    ASTER_TRY(decide(e, &s));
    ASTER_TRY(make_turns(e));
    ASTER_TRY(aster_buffer_new_scratch(e->rt, s.arena, &e->arena));
    ASTER_TRY(aster_alloc(e->ctx, e->n_batch, sizeof *e->batch, &e->batch));
    ASTER_TRY(aster_alloc(e->ctx, e->n_batch, sizeof(struct batch *), &e->kept));
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

static void free_batch(struct batch *b)
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
    for (int part = 0; part < N_PARTS; part++)
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
