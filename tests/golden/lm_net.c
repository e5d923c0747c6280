/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the blocks of a language model. */
#include "golden/lm_net.h"

#include "golden/kernels.h"

#include <string.h>

void lm_widen(enum aster_dtype t, int64_t n, const void *x, double *out)
{
    for (int64_t k = 0; k < n; k++)
        out[k] = t == ASTER_F64 ? ((const double *)x)[k] : (double)((const float *)x)[k];
}

void lm_narrow(enum aster_dtype t, int64_t n, const double *x, void *out)
{
    for (int64_t k = 0; k < n; k++)
        if (t == ASTER_F64)
            ((double *)out)[k] = x[k];
        else
            ((float *)out)[k] = (float)x[k];
}

static size_t real_size(const struct lm_net *n)
{
    return (size_t)aster_dtype_size(n->real);
}

/* ---- the model ---- */

static int programs_new(struct lm_net *n, bool training)
{
    int64_t most = 0;
    for (int part = 0; part < (n->c.kind == ASTER_LANGUAGE_ESM2 ? 3 : 2); part++) {
        ASTER_TRY(aster_language_program(n->ctx, &n->c, (enum aster_language_part)part, n->real,
                                         n->is_half ? ASTER_LANGUAGE_BF16 : ASTER_LANGUAGE_EVAL,
                                         &n->eval[part]));
        if (training)
            ASTER_TRY(aster_language_program(n->ctx, &n->c, (enum aster_language_part)part, n->real,
                                             ASTER_LANGUAGE_TRAIN, &n->train[part]));
        most = aster_max64(most, aster_program_class_n(n->eval[part], ASTER_CLASS_PARAM));
    }
    ASTER_TRY(aster_alloc(n->ctx, most, real_size(n), &n->params));
    return training ? aster_alloc(n->ctx, most, real_size(n), &n->grad) : 0;
}

int lm_net_new(struct aster_ctx *ctx, const struct aster_backend *be, enum aster_dtype t,
               const struct aster_language_config *c, const struct lm_source *source, bool training,
               struct lm_net *n)
{
    *n = (struct lm_net){.ctx = ctx, .be = be, .c = *c, .source = *source, .block = -1};
    n->is_half = t == ASTER_BF16;
    n->real = n->is_half ? ASTER_F32 : t;
    int rc = programs_new(n, training);
    if (rc < 0)
        lm_net_free(n);
    return rc;
}

int lm_net_load(struct lm_net *n, int64_t block)
{
    n->block = block;
    return n->source.read(n->source.arg, block, n->eval[aster_language_part_of(&n->c, block)],
                          n->params);
}

void lm_net_free(struct lm_net *n)
{
    for (int part = 0; part < 3; part++) {
        aster_program_free(&n->eval[part]);
        aster_program_free(&n->train[part]);
    }
    aster_free(&n->params);
    aster_free(&n->grad);
}

/* ---- a batch ---- */

static int fill(struct lm_batch *b, const struct lm_tokens *all)
{
    int64_t at = 0;
    for (int64_t k = 0; k < b->n; k++) {
        const struct lm_tokens *s = &all[b->which[k]];
        b->starts[k] = (int32_t)at;
        memcpy(b->ids + at, s->ids, (size_t)s->n * sizeof *b->ids);
        aster_esm2_factors(s->n, s->ids, b->factor + at);
        for (int64_t i = 0; i < s->n; i++)
            b->position[at + i] = (int32_t)i;
        at += s->n;
    }
    b->starts[b->n] = (int32_t)at;
    aster_alibi_slopes(b->net->c.n_heads, b->slope);
    return 0;
}

static int make(struct lm_batch *b, const struct lm_tokens *all, const int64_t *which)
{
    struct aster_ctx *ctx = b->net->ctx;
    for (int64_t k = 0; k < b->n; k++) {
        b->rows += all[which[k]].n;
        b->longest = aster_max64(b->longest, all[which[k]].n);
    }
    ASTER_TRY(aster_alloc(ctx, b->n, sizeof *b->which, &b->which));
    memcpy(b->which, which, (size_t)b->n * sizeof *which);
    ASTER_TRY(aster_alloc(ctx, b->rows, sizeof *b->ids, &b->ids));
    ASTER_TRY(aster_alloc(ctx, b->n + 1, sizeof *b->starts, &b->starts));
    ASTER_TRY(aster_alloc(ctx, b->rows, sizeof *b->position, &b->position));
    ASTER_TRY(aster_alloc(ctx, b->rows, sizeof *b->factor, &b->factor));
    ASTER_TRY(aster_alloc(ctx, b->net->c.n_heads, sizeof *b->slope, &b->slope));
    ASTER_TRY(aster_alloc(ctx, b->rows * b->net->c.width, real_size(b->net), &b->y));
    ASTER_TRY(aster_alloc(ctx, aster_language_n_blocks(&b->net->c), sizeof *b->before, &b->before));
    return fill(b, all);
}

int lm_batch_new(struct lm_net *net, const struct lm_tokens *all, int64_t n, const int64_t *which,
                 bool keep, struct lm_batch *b)
{
    *b = (struct lm_batch){.net = net, .n = n, .keep = keep};
    int rc = make(b, all, which);
    if (rc < 0)
        lm_batch_free(b);
    return rc;
}

void lm_batch_free(struct lm_batch *b)
{
    for (int64_t k = 0; b->before && k < aster_language_n_blocks(&b->net->c); k++)
        aster_free(&b->before[k]);
    aster_free(&b->before);
    aster_free(&b->which);
    aster_free(&b->ids);
    aster_free(&b->starts);
    aster_free(&b->position);
    aster_free(&b->factor);
    aster_free(&b->slope);
    aster_free(&b->y);
}

const void *lm_batch_rows(const struct lm_batch *b, int64_t k)
{
    return (const char *)b->y + (size_t)(b->starts[k] * b->net->c.width) * real_size(b->net);
}

/* ---- a run ---- */

struct run {
    struct lm_batch *b;
    struct aster_plan *plan;
    struct aster_bound bound;
};

static int at(struct run *r, enum aster_class c, const char *name, void **out)
{
    int64_t offset;
    ASTER_TRY(aster_plan_find(r->b->net->ctx, r->plan, c, name, NULL, &offset));
    *out = (char *)r->bound.at[c] + offset;
    return 0;
}

static int put(struct run *r, enum aster_class c, const char *name, const void *from, size_t bytes)
{
    void *to;
    ASTER_TRY(at(r, c, name, &to));
    memcpy(to, from, bytes);
    return 0;
}

static int put_reals(struct run *r, enum aster_class c, const char *name, int64_t n,
                     const double *from)
{
    void *to;
    ASTER_TRY(at(r, c, name, &to));
    lm_narrow(r->b->net->real, n, from, to);
    return 0;
}

static int put_turns(struct run *r)
{
    const struct lm_net *n = r->b->net;
    int64_t half = n->c.width / n->c.n_heads / 2;
    double *turn = NULL;
    ASTER_TRY(aster_alloc(n->ctx, r->b->longest * 2 * half, sizeof *turn, &turn));
    aster_esm2_turns(half, n->source.frequencies(n->source.arg, n->block - 1), r->b->longest, turn);
    int rc = put_reals(r, ASTER_CLASS_FACTS, "turn", r->b->longest * 2 * half, turn);
    aster_free(&turn);
    return rc;
}

static int put_inputs(struct run *r)
{
    struct lm_batch *b = r->b;
    const struct lm_net *n = b->net;
    bool is_esm2 = n->c.kind == ASTER_LANGUAGE_ESM2;
    enum aster_language_part part = aster_language_part_of(&n->c, n->block);
    size_t rows = (size_t)b->rows;
    if (part == ASTER_PART_EMBED) {
        ASTER_TRY(put(r, ASTER_CLASS_INPUT, "ids", b->ids, rows * sizeof *b->ids));
        return is_esm2 ? put_reals(r, ASTER_CLASS_INPUT, "factor", b->rows, b->factor) : 0;
    }
    ASTER_TRY(put(r, ASTER_CLASS_INPUT, "x", b->keep ? b->before[n->block] : b->y,
                  rows * (size_t)n->c.width * real_size(n)));
    if (part == ASTER_PART_LAST)
        return 0;
    ASTER_TRY(put(r, ASTER_CLASS_FACTS, "starts", b->starts, (size_t)(b->n + 1) * sizeof *b->starts));
    if (!is_esm2)
        return put_reals(r, ASTER_CLASS_FACTS, "slopes", n->c.n_heads, b->slope);
    ASTER_TRY(put(r, ASTER_CLASS_FACTS, "position", b->position, rows * sizeof *b->position));
    return put_turns(r);
}

static int run_start(struct lm_batch *b, const struct aster_program *p, struct run *r)
{
    struct aster_bind bind[] = {{"N", b->rows}, {"Q", b->n}, {"M", b->longest}};
    *r = (struct run){.b = b};
    ASTER_TRY(aster_plan_new(b->net->ctx, p, 3, bind, NULL, &r->plan));
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        if (c == ASTER_CLASS_INPUT || c == ASTER_CLASS_FACTS || c == ASTER_CLASS_OUTPUT ||
            c == ASTER_CLASS_ARENA)
            ASTER_TRY(aster_alloc(b->net->ctx, aster_plan_bytes(r->plan, (enum aster_class)c), 1,
                                  &r->bound.at[c]));
    r->bound.at[ASTER_CLASS_PARAM] = b->net->params;
    r->bound.device = golden_device();
    return put_inputs(r);
}

static void run_free(struct run *r)
{
    aster_plan_free(&r->plan);
    aster_free(&r->bound.at[ASTER_CLASS_INPUT]);
    aster_free(&r->bound.at[ASTER_CLASS_FACTS]);
    aster_free(&r->bound.at[ASTER_CLASS_OUTPUT]);
    aster_free(&r->bound.at[ASTER_CLASS_ARENA]);
}

static int execute(struct run *r, const char *output, void *to)
{
    const struct aster_plan *plan = r->plan;
    const void *from;
    ASTER_TRY(aster_exec_all(r->b->net->ctx, r->b->net->be, 1, &plan, &r->bound));
    if (!output)
        return 0;
    ASTER_TRY(at(r, ASTER_CLASS_OUTPUT, output, (void **)&from));
    memcpy(to, from, (size_t)(r->b->rows * r->b->net->c.width) * real_size(r->b->net));
    return 0;
}

int lm_batch_forward(struct lm_batch *b)
{
    struct run r;
    struct lm_net *n = b->net;
    if (b->keep) {
        size_t bytes = (size_t)(b->rows * n->c.width) * real_size(n);
        ASTER_TRY(aster_alloc(n->ctx, (int64_t)bytes, 1, &b->before[n->block]));
        memcpy(b->before[n->block], b->y, bytes);
    }
    int rc = run_start(b, n->eval[aster_language_part_of(&n->c, n->block)], &r);
    if (rc == 0)
        rc = execute(&r, "y", b->y);
    run_free(&r);
    return rc;
}

int lm_batch_backward(struct lm_batch *b, void *dy)
{
    struct run r;
    struct lm_net *n = b->net;
    enum aster_language_part part = aster_language_part_of(&n->c, n->block);
    int rc = run_start(b, n->train[part], &r);
    r.bound.at[ASTER_CLASS_GRAD] = n->grad;
    if (rc == 0)
        rc = put(&r, ASTER_CLASS_INPUT, "dy", dy, (size_t)(b->rows * n->c.width) * real_size(n));
    if (rc == 0)
        rc = execute(&r, part == ASTER_PART_EMBED ? NULL : "dx", dy);
    run_free(&r);
    return rc;
}
