/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the programs of a model on the batch of a golden file, whole or in shards. */
#include "golden/rcl_net.h"

#include <string.h>

static int load_weights(struct net *n)
{
    for (int k = 0; k < aster_program_n_params(n->train); k++) {
        const struct aster_param_info *info = aster_program_param(n->train, k);
        float *theirs = NULL;
        double *wide = NULL;
        int rc = aster_alloc(n->g->ctx, info->n, sizeof *theirs, &theirs);
        if (rc == 0)
            rc = aster_alloc(n->g->ctx, info->n, sizeof *wide, &wide);
        if (rc == 0)
            rc = golden_weights(n->g, info, theirs);
        if (rc == 0 && k == 0 && n->g->perturb)
            theirs[info->n / 2] += 1e-4f;
        for (int64_t i = 0; rc == 0 && i < info->n; i++)
            wide[i] = theirs[i];
        if (rc == 0)
            aster_param_from_reference(
                info, n->real, n->real == ASTER_F64 ? (void *)wide : (void *)theirs, n->params);
        aster_free(&theirs);
        aster_free(&wide);
        ASTER_TRY(rc);
    }
    for (int k = 0; k < aster_program_n_buffers(n->train); k++) {
        const struct aster_param_info *info = aster_program_buffer(n->train, k);
        struct stored s;
        int rc = stored_read(n->g, "buffers", info->name, info->n, &s);
        if (rc == 0 && s.count != s.n)
            rc = aster_fail(n->g->ctx, ASTER_EFORMAT, "%s: buffers/%s is not complete", n->g->path,
                            info->name);
        if (rc == 0)
            memcpy(n->buffers + info->offset, s.v, (size_t)info->n * sizeof *n->buffers);
        stored_free(&s);
        ASTER_TRY(rc);
    }
    return 0;
}

int net_new(struct golden *g, const struct aster_backend *be, enum aster_dtype real, struct net *n)
{
    struct aster_model_loss loss = {.class_weights = {g->class_weights[0], g->class_weights[1]}};
    int rc;
    *n = (struct net){.g = g, .be = be, .real = real};
    ASTER_GOTO(aster_model_program(g->ctx, &g->model, real, ASTER_USE_EVAL, &loss, &n->eval), fail);
    ASTER_GOTO(aster_model_program(g->ctx, &g->model, real, ASTER_USE_TRAIN, &loss, &n->train),
               fail);
    loss.sync_bn = true;
    ASTER_GOTO(aster_model_program(g->ctx, &g->model, real, ASTER_USE_TRAIN, &loss, &n->sync),
               fail);
    int64_t np = aster_program_class_n(n->train, ASTER_CLASS_PARAM),
            nb = aster_program_class_n(n->train, ASTER_CLASS_BUFFER);
    size_t size = (size_t)aster_dtype_size(real);
    ASTER_GOTO(aster_alloc(g->ctx, np, size, &n->params), fail);
    ASTER_GOTO(aster_alloc(g->ctx, np, size, &n->m), fail);
    ASTER_GOTO(aster_alloc(g->ctx, np, size, &n->v), fail);
    ASTER_GOTO(aster_alloc(g->ctx, nb, sizeof *n->buffers, &n->buffers), fail);
    ASTER_GOTO(load_weights(n), fail);
    return 0;
fail:
    net_free(n);
    return rc;
}

void net_free(struct net *n)
{
    aster_program_free(&n->train);
    aster_program_free(&n->sync);
    aster_program_free(&n->eval);
    aster_free(&n->params);
    aster_free(&n->m);
    aster_free(&n->v);
    aster_free(&n->buffers);
}

/* ---- one shard ---- */

struct part {
    int64_t first, count;
    struct aster_plan *plan;
    struct aster_bound bound;
};

/* Element (b, t) of the shard stands here in inputs and outputs. */
static int64_t row_of(const struct golden *g, const struct part *s, int64_t b, int64_t t)
{
    return aster_model_time_major(g->model.kind) ? t * s->count + b : b * g->length + t;
}

static int fill_inputs(struct net *n, struct part *s)
{
    const struct golden *g = n->g;
    int64_t at_x, at_labels, at_n;
    ASTER_TRY(aster_plan_find(g->ctx, s->plan, ASTER_CLASS_INPUT, "x", NULL, &at_x));
    ASTER_TRY(aster_plan_find(g->ctx, s->plan, ASTER_CLASS_INPUT, "labels", NULL, &at_labels));
    ASTER_TRY(aster_plan_find(g->ctx, s->plan, ASTER_CLASS_INPUT, "n", NULL, &at_n));
    char *in = s->bound.at[ASTER_CLASS_INPUT];
    *(double *)(in + at_n) = (double)g->counted;
    for (int64_t b = 0; b < s->count; b++)
        for (int64_t t = 0; t < g->length; t++) {
            int64_t from = (s->first + b) * g->length + t, to = row_of(g, s, b, t);
            ((uint8_t *)(in + at_labels))[to] = g->labels[from];
            for (int64_t k = 0; k < g->dim; k++)
                if (n->real == ASTER_F64)
                    ((double *)(in + at_x))[to * g->dim + k] = g->x[from * g->dim + k];
                else
                    ((float *)(in + at_x))[to * g->dim + k] = g->x[from * g->dim + k];
        }
    return 0;
}

static int part_new(struct net *n, const struct aster_program *p, int64_t first, int64_t count,
                    struct part *s)
{
    struct aster_bind bind[] = {
        {"B", count}, {"L", n->g->length}, {"BG", n->g->batch}, {"S", n->g->length}};
    *s = (struct part){.first = first, .count = count};
    ASTER_TRY(aster_plan_new(n->g->ctx, p, 4, bind, NULL, &s->plan));
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        if (c == ASTER_CLASS_PARAM)
            s->bound.at[c] = n->params;
        else if (c == ASTER_CLASS_BUFFER)
            s->bound.at[c] = n->buffers;
        else if (p != n->eval || (c != ASTER_CLASS_GRAD && c != ASTER_CLASS_AUX))
            ASTER_TRY(aster_alloc(n->g->ctx, aster_plan_bytes(s->plan, (enum aster_class)c), 1,
                                  &s->bound.at[c]));
    s->bound.run.sample0 = first;
    return fill_inputs(n, s);
}

static void part_free(struct part *s)
{
    aster_plan_free(&s->plan);
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        if (c != ASTER_CLASS_PARAM && c != ASTER_CLASS_BUFFER)
            aster_free(&s->bound.at[c]);
}

static int collect(struct net *n, const struct part *s, const char *name, double *whole)
{
    int64_t at;
    ASTER_TRY(aster_plan_find(n->g->ctx, s->plan, ASTER_CLASS_OUTPUT, name, NULL, &at));
    const char *out = (const char *)s->bound.at[ASTER_CLASS_OUTPUT] + at;
    for (int64_t b = 0; b < s->count; b++)
        for (int64_t t = 0; t < n->g->length; t++)
            for (int k = 0; k < 2; k++) {
                int64_t from = row_of(n->g, s, b, t) * 2 + k,
                        to = ((s->first + b) * n->g->length + t) * 2 + k;
                whole[to] =
                    n->real == ASTER_F64 ? ((const double *)out)[from] : ((const float *)out)[from];
            }
    return 0;
}

/* ---- all shards ---- */

static int take_results(struct net *n, int n_shards, struct part *s, struct net_result *r)
{
    int64_t np = aster_program_class_n(n->train, ASTER_CLASS_PARAM);
    for (int k = 0; k < n_shards; k++) {
        int64_t at;
        ASTER_TRY(aster_plan_find(n->g->ctx, s[k].plan, ASTER_CLASS_OUTPUT, "loss", NULL, &at));
        r->loss += *(const double *)((const char *)s[k].bound.at[ASTER_CLASS_OUTPUT] + at);
        ASTER_TRY(collect(n, &s[k], "logits", r->logits));
        ASTER_TRY(collect(n, &s[k], "probs", r->probs));
        if (k > 0 && s[k].bound.at[ASTER_CLASS_GRAD])
            n->be->update.add_into(NULL, n->real, np, s[0].bound.at[ASTER_CLASS_GRAD],
                                   s[k].bound.at[ASTER_CLASS_GRAD]);
    }
    r->grad = s[0].bound.at[ASTER_CLASS_GRAD];
    r->aux = s[0].bound.at[ASTER_CLASS_AUX];
    s[0].bound.at[ASTER_CLASS_GRAD] = s[0].bound.at[ASTER_CLASS_AUX] = NULL;
    return 0;
}

static int run_parts(struct net *n, const struct aster_program *p, int n_shards,
                     const int64_t *sizes, struct part *s, const struct aster_plan **plans,
                     struct aster_bound *bounds)
{
    int64_t first = 0;
    for (int k = 0; k < n_shards; k++) {
        if (sizes[k] < 1 || sizes[k] > n->g->batch - first)
            return aster_fail(n->g->ctx, ASTER_EFORMAT,
                              "%s: shard %d of %lld samples, 1 to %lld are expected", n->g->path,
                              k + 1, (long long)sizes[k], (long long)(n->g->batch - first));
        ASTER_TRY(part_new(n, p, first, sizes[k], &s[k]));
        first += sizes[k];
        plans[k] = s[k].plan;
        bounds[k] = s[k].bound;
    }
    if (first != n->g->batch)
        return aster_fail(n->g->ctx, ASTER_EFORMAT,
                          "%s: shards of %lld samples, the batch has %lld", n->g->path,
                          (long long)first, (long long)n->g->batch);
    return aster_exec_all(n->g->ctx, n->be, n_shards, plans, bounds);
}

int net_run(struct net *n, const struct aster_program *p, int n_shards, const int64_t *sizes,
            struct net_result *r)
{
    struct aster_ctx *ctx = n->g->ctx;
    struct part *s = NULL;
    const struct aster_plan **plans = NULL;
    struct aster_bound *bounds = NULL;
    int64_t n_values = n->g->batch * n->g->length * 2;
    int rc;
    *r = (struct net_result){0};
    ASTER_GOTO(aster_alloc(ctx, n_shards, sizeof *s, &s), done);
    ASTER_GOTO(aster_alloc(ctx, n_shards, sizeof *plans, &plans), done);
    ASTER_GOTO(aster_alloc(ctx, n_shards, sizeof *bounds, &bounds), done);
    ASTER_GOTO(aster_alloc(ctx, n_values, sizeof *r->logits, &r->logits), done);
    ASTER_GOTO(aster_alloc(ctx, n_values, sizeof *r->probs, &r->probs), done);
    ASTER_GOTO(run_parts(n, p, n_shards, sizes, s, plans, bounds), done);
    rc = take_results(n, n_shards, s, r);
done:
    for (int k = 0; s && k < n_shards; k++)
        part_free(&s[k]);
    aster_free(&s);
    aster_free(&plans);
    aster_free(&bounds);
    if (rc < 0)
        net_result_free(r);
    return rc;
}

void net_result_free(struct net_result *r)
{
    aster_free(&r->logits);
    aster_free(&r->probs);
    aster_free(&r->grad);
    aster_free(&r->aux);
}

void net_update(struct net *n, const struct net_result *r, int64_t step)
{
    const struct golden *g = n->g;
    struct aster_update u = {.lr = g->learning_rate,
                             .beta1 = g->beta1,
                             .beta2 = g->beta2,
                             .eps = g->eps,
                             .weight_decay = g->weight_decay,
                             .step = step,
                             .grad_scale = 1};
    n->be->update.adam(NULL, n->real, aster_program_class_n(n->train, ASTER_CLASS_PARAM), &u,
                       n->params, r->grad, n->m, n->v);
    n->be->update.ema(NULL, ASTER_F64, aster_program_class_n(n->train, ASTER_CLASS_BUFFER), 0.1,
                      n->buffers, r->aux);
}

int net_theirs(const struct net *n, const struct aster_param_info *info, const void *flat,
               double **out)
{
    float *narrow = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(n->g->ctx, info->n, sizeof **out, out));
    if (n->real == ASTER_F64) {
        aster_param_to_reference(info, ASTER_F64, flat, *out);
        return 0;
    }
    int rc = aster_alloc(n->g->ctx, info->n, sizeof *narrow, &narrow);
    if (rc < 0) {
        aster_free(out);
        return rc;
    }
    aster_param_to_reference(info, ASTER_F32, flat, narrow);
    for (int64_t i = 0; i < info->n; i++)
        (*out)[i] = narrow[i];
    aster_free(&narrow);
    return 0;
}
