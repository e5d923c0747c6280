/* SPDX-License-Identifier: BSD-3-Clause */
/* How large batches of the block runner are, how many there are, and whether all weights stay. */
#include "flow/embedder_internal.h"

enum { CPU_BUDGET = 2048, GPU_BUDGET = 16384 };

int embed_plan_part(struct aster_embedder *e, int part, int64_t rows, int64_t sequences,
                    int64_t longest, struct aster_plan **out)
{
    struct aster_bind bind[] = {{"N", rows}, {"Q", sequences}, {"M", longest}};
    return aster_plan_new(e->ctx, e->program[part], 3, bind, NULL, out);
}

static int sizes_of(struct aster_embedder *e, int64_t budget, struct embed_sizes *s)
{
    *s = (struct embed_sizes){0};
    for (int part = 0; part < EMBED_N_PARTS; part++) {
        struct aster_plan *plan = NULL;
        if (!e->program[part])
            continue;
        ASTER_TRY(
            embed_plan_part(e, part, budget, budget, aster_min64(e->o.longest, budget), &plan));
        s->arena = aster_max64(s->arena, aster_plan_bytes(plan, ASTER_CLASS_ARENA));
        s->facts = aster_max64(s->facts, aster_plan_bytes(plan, ASTER_CLASS_FACTS));
        s->x = aster_max64(s->x, aster_plan_bytes(plan, ASTER_CLASS_OUTPUT));
        if (part == ASTER_PART_EMBED)
            s->tokens = aster_plan_bytes(plan, ASTER_CLASS_INPUT);
        aster_plan_free(&plan);
    }
    if (embed_is_esm2(e))
        s->turns = e->n_sets * aster_min64(e->o.longest, budget) * embed_turn_width(e) *
                   (int64_t)sizeof(double);
    s->values = e->o.n_layers * budget * e->c.width * (int64_t)sizeof(float);
    if (!e->o.rows)
        s->values /= 2;
    return 0;
}

static int64_t batch_bytes(const struct aster_embedder *e, const struct embed_sizes *s)
{
    return s->tokens + e->n_sets * s->facts + 2 * s->x + s->values;
}

/* What batches of that many tokens need: a batch for every worker beside the weights, or beside a
 * few blocks of them; or, where that is what is missing, a GPU for one of them. */
static int need_of(struct aster_embedder *e, int64_t budget, struct embed_sizes *s,
                   struct aster_embed_need *out)
{
    int64_t least = aster_min64(aster_block_weights_bytes(e->weights, false),
                                aster_block_weights_bytes(e->weights, true));
    ASTER_TRY(sizes_of(e, budget, s));
    int64_t gpu = s->arena + s->facts + 2 * s->x + aster_block_weights_most(e->weights);
    *out = (struct aster_embed_need){.bytes = e->env->n_workers * (s->arena + batch_bytes(e, s)) +
                                              least + s->turns,
                                     .free_bytes = e->free_bytes};
    if (out->bytes <= out->free_bytes && e->env->n_gpus && gpu > e->env->gpu_memory)
        *out = (struct aster_embed_need){gpu, e->env->gpu_memory, true};
    return 0;
}

int aster_embedder_need(struct aster_embedder *e, int64_t tokens, struct aster_embed_need *out)
{
    struct embed_sizes s;
    return need_of(e, tokens, &s, out);
}

/* Half of it; but first what one sequence of the longest needs. */
static int64_t smaller(int64_t budget, int64_t longest)
{
    int64_t half = (budget + 1) / 2;
    return budget > longest && half < longest ? longest : half;
}

/* The largest budget, from the wished one down by halves, that leaves every worker a batch beside
 * the weights, or beside a few blocks of them. */
static int decide_budget(struct aster_embedder *e, struct embed_sizes *s)
{
    int64_t wished = e->o.budget;
    struct aster_embed_need need;
    if (wished > 0 && wished < e->o.longest)
        aster_log(e->ctx, ASTER_LOG_INFO,
                  "a batch of %lld tokens would be too small for a sequence of %lld: that many it "
                  "has",
                  (long long)wished, (long long)e->o.longest);
    if (wished <= 0)
        wished = e->env->n_gpus ? GPU_BUDGET : CPU_BUDGET;
    wished = aster_max64(wished, e->o.longest);
    for (e->budget = wished;; e->budget = smaller(e->budget, e->o.longest)) {
        ASTER_TRY(need_of(e, e->budget, s, &need));
        if (need.bytes <= need.free_bytes || e->budget == 1)
            break;
    }
    e->longest = aster_min64(e->o.longest, e->budget);
    if (need.bytes > need.free_bytes)
        return aster_fail(e->ctx, ASTER_ELIMIT,
                          "%s: a block of the model and one token per worker need %.1f MB, %.1f MB "
                          "of the memory %s are free",
                          e->o.weights, (double)need.bytes / 1e6, (double)need.free_bytes / 1e6,
                          need.is_gpu ? "of a GPU" : "limit");
    if (e->budget < wished)
        aster_log(e->ctx, ASTER_LOG_INFO,
                  "batches of at most %lld tokens: %.1f MB of the memory limit are free",
                  (long long)e->budget, (double)e->free_bytes / 1e6);
    return 0;
}

int embed_decide(struct aster_embedder *e, struct embed_sizes *s)
{
    int64_t free_bytes = e->env->memory_limit - atomic_load(&e->env->memory_used), left,
            all = aster_block_weights_bytes(e->weights, true), workers = e->env->n_workers;
    if (e->o.memory > 0)
        free_bytes = aster_min64(free_bytes, e->o.memory);
    e->free_bytes = free_bytes;
    ASTER_TRY(decide_budget(e, s));
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
