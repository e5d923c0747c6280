/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that the gradients of whole models are those of finite differences in double: odd lengths,
 * dropout, batch norm of a shard and of all shards, one shard and three; and that three shards
 * normalised together are one. */
#include "lib/tap.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 4, MAX_SHARDS = 3 };

static struct aster_ctx *ctx;
static const struct aster_backend *be;

struct model_case {
    const char *name;
    struct aster_model_config model;
    bool sync;
    int n_shards;
    int64_t behind; /* positions at the end that belong to no sample */
    bool cut;       /* and for which no results are computed */
};

struct shard {
    struct aster_plan *plan;
    int64_t n;
};

struct trial {
    const struct model_case *c;
    struct aster_program *p;
    struct shard shard[MAX_SHARDS];
    struct aster_bound bound[MAX_SHARDS];
    double *params, *grad; /* grad: of all shards */
    int64_t n_params;
};

static double unit(uint64_t stream, int64_t i)
{
    return 2 * aster_uniform(11, stream, (uint64_t)i) - 1;
}

/* Sample b is 0, 3, 2, ... positions shorter than the longest can be; class 1 in some places. */
static uint8_t label(const struct model_case *c, int64_t b, int64_t t)
{
    int64_t length = c->model.max_length - c->behind - b * 3 % 4;
    return t >= length ? 255 : (b + t) % 5 == 0;
}

static int fill(struct trial *s, int k, int64_t first)
{
    const struct aster_model_config *m = &s->c->model;
    int64_t at_x, at_labels, at_n, counted = 0, n = s->shard[k].n;
    char *in = s->bound[k].at[ASTER_CLASS_INPUT];
    ASTER_TRY(aster_plan_find(ctx, s->shard[k].plan, ASTER_CLASS_INPUT, "x", NULL, &at_x));
    ASTER_TRY(
        aster_plan_find(ctx, s->shard[k].plan, ASTER_CLASS_INPUT, "labels", NULL, &at_labels));
    ASTER_TRY(aster_plan_find(ctx, s->shard[k].plan, ASTER_CLASS_INPUT, "n", NULL, &at_n));
    for (int64_t b = 0; b < SAMPLES; b++)
        for (int64_t t = 0; t < m->max_length; t++)
            counted += label(s->c, b, t) != 255;
    *(double *)(in + at_n) = (double)counted;
    for (int64_t b = 0; b < n; b++)
        for (int64_t t = 0; t < m->max_length; t++) {
            int64_t row = aster_model_time_major(m->kind) ? t * n + b : b * m->max_length + t;
            ((uint8_t *)(in + at_labels))[row] = label(s->c, first + b, t);
            for (int64_t d = 0; d < m->input_dim; d++)
                ((double *)(in + at_x))[row * m->input_dim + d] =
                    unit(1, ((first + b) * m->max_length + t) * m->input_dim + d);
        }
    return 0;
}

static int trial_new(const struct model_case *c, struct trial *s)
{
    static const int64_t sizes[MAX_SHARDS + 1][MAX_SHARDS] = {{0}, {4}, {3, 1}, {2, 1, 1}};
    struct aster_model_loss loss = {{1, 5}, c->sync};
    int64_t first = 0;
    *s = (struct trial){.c = c};
    ASTER_TRY(aster_model_program(ctx, &c->model, ASTER_F64, ASTER_USE_TRAIN, &loss, &s->p));
    s->n_params = aster_program_class_n(s->p, ASTER_CLASS_PARAM);
    ASTER_TRY(aster_alloc(ctx, s->n_params, sizeof *s->params, &s->params));
    ASTER_TRY(aster_alloc(ctx, s->n_params, sizeof *s->grad, &s->grad));
    aster_program_init_params(s->p, 5, s->params);
    for (int k = 0; k < aster_program_n_params(s->p); k++) { /* batch norm's start is too regular */
        const struct aster_param_info *info = aster_program_param(s->p, k);
        for (int64_t i = info->offset; i < info->offset + info->n; i++)
            s->params[i] += 0.2 * unit(2, i);
    }
    for (int k = 0; k < c->n_shards; k++) {
        int64_t n = s->shard[k].n = sizes[c->n_shards][k];
        struct aster_bind bind[] = {{"B", n},
                                    {"L", c->model.max_length},
                                    {"BG", SAMPLES},
                                    {"S", c->model.max_length - (c->cut ? c->behind : 0)}};
        ASTER_TRY(aster_plan_new(ctx, s->p, 4, bind, NULL, &s->shard[k].plan));
        for (int cls = 0; cls < ASTER_N_CLASSES; cls++)
            if (cls == ASTER_CLASS_PARAM)
                s->bound[k].at[cls] = s->params;
            else
                ASTER_TRY(aster_alloc(ctx,
                                      aster_plan_bytes(s->shard[k].plan, (enum aster_class)cls), 1,
                                      &s->bound[k].at[cls]));
        s->bound[k].run = (struct aster_run_info){.seed = 3, .step = 8, .sample0 = first};
        ASTER_TRY(fill(s, k, first));
        first += n;
    }
    return 0;
}

static void trial_free(struct trial *s)
{
    for (int k = 0; k < s->c->n_shards; k++) {
        aster_plan_free(&s->shard[k].plan);
        for (int cls = 0; cls < ASTER_N_CLASSES; cls++)
            if (cls != ASTER_CLASS_PARAM)
                aster_free(&s->bound[k].at[cls]);
    }
    aster_program_free(&s->p);
    aster_free(&s->params);
    aster_free(&s->grad);
}

static int run(struct trial *s, double *loss)
{
    const struct aster_plan *plans[MAX_SHARDS] = {NULL};
    for (int k = 0; k < s->c->n_shards; k++)
        plans[k] = s->shard[k].plan;
    ASTER_TRY(aster_exec_all(ctx, be, s->c->n_shards, plans, s->bound));
    *loss = 0;
    for (int k = 0; k < s->c->n_shards; k++) {
        int64_t at;
        ASTER_TRY(aster_plan_find(ctx, plans[k], ASTER_CLASS_OUTPUT, "loss", NULL, &at));
        *loss += *(const double *)((const char *)s->bound[k].at[ASTER_CLASS_OUTPUT] + at);
    }
    return 0;
}

static int gradient(struct trial *s, double *loss)
{
    ASTER_TRY(run(s, loss));
    for (int64_t i = 0; i < s->n_params; i++) {
        s->grad[i] = 0;
        for (int k = 0; k < s->c->n_shards; k++)
            s->grad[i] += ((const double *)s->bound[k].at[ASTER_CLASS_GRAD])[i];
    }
    return 0;
}

static int difference(struct trial *s, int64_t i, double h, double *slope)
{
    double start = s->params[i], up, down;
    s->params[i] = start + h;
    ASTER_TRY(run(s, &up));
    s->params[i] = start - h;
    ASTER_TRY(run(s, &down));
    s->params[i] = start;
    *slope = (up - down) / (2 * h);
    return 0;
}

/* Errors relative to the largest derivative. A ReLU may have its kink inside the wide step; then
 * the narrow one decides. */
static int worst_error(struct trial *s, double *worst, double *perturbed)
{
    double loss, most = 0;
    ASTER_TRY(gradient(s, &loss));
    for (int64_t i = 0; i < s->n_params; i++)
        most = fmax(most, fabs(s->grad[i]));
    *worst = *perturbed = isfinite(most) && most > 0 ? 0 : INFINITY;
    for (int k = 0; k < aster_program_n_params(s->p); k++) {
        const struct aster_param_info *info = aster_program_param(s->p, k);
        for (int64_t i = info->offset; i < info->offset + info->n; i++) {
            double slope, error = INFINITY;
            for (double h = 1e-5; h > 1e-8 && !(error <= 1e-7); h /= 10) {
                ASTER_TRY(difference(s, i, h, &slope));
                error = fmin(error, fabs(slope - s->grad[i]) / most);
            }
            *worst = error <= *worst ? *worst : error;
            if (k == 0)
                *perturbed = fmax(*perturbed, fabs(slope - (s->grad[i] + 1e-6 * most)) / most);
        }
    }
    return 0;
}

static void check(const struct model_case *c)
{
    struct trial s;
    double worst = INFINITY, perturbed = 0;
    int rc = trial_new(c, &s);
    if (rc == 0)
        rc = worst_error(&s, &worst, &perturbed);
    if (rc < 0)
        tap_note("%s", aster_ctx_message(ctx));
    tap_ok(rc == 0 && worst <= 1e-7 && !(perturbed <= 1e-7), "%s, %s, %d shard%s: %.1e", c->name,
           c->sync ? "synchronised" : "per shard", c->n_shards, c->n_shards == 1 ? "" : "s", worst);
    trial_free(&s);
}

/* Three shards normalised together against one shard normalised for itself: loss, gradient, running
 * statistics. */
static void check_law(struct model_case c)
{
    struct model_case whole = c, parts = c;
    struct trial a, b = {.c = &parts};
    double la = NAN, lb = NAN, far = 0;
    whole.n_shards = 1;
    whole.sync = false;
    parts.n_shards = 3;
    parts.sync = true;
    int rc = trial_new(&whole, &a);
    if (rc == 0)
        rc = trial_new(&parts, &b);
    if (rc == 0)
        rc = gradient(&a, &la);
    if (rc == 0)
        rc = gradient(&b, &lb);
    for (int64_t i = 0; rc == 0 && i < a.n_params; i++)
        far = fmax(far, fabs(a.grad[i] - b.grad[i]));
    int64_t n = rc == 0 ? aster_program_class_n(a.p, ASTER_CLASS_AUX) : 0;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            far = fmax(far, fabs(((double *)a.bound[0].at[ASTER_CLASS_AUX])[i] -
                                 ((double *)b.bound[k].at[ASTER_CLASS_AUX])[i]));
    tap_ok(rc == 0 && fabs(la - lb) <= 1e-13 && far <= 1e-12,
           "%s: three synchronised shards are one (%.1e)", c.name, far);
    trial_free(&a);
    trial_free(&b);
}

/* Results for the positions that samples have, against results for all: loss and gradient. */
static void check_cut(struct model_case c)
{
    struct model_case all = c, front = c;
    struct trial a, b = {.c = &front};
    double la = NAN, lb = NAN, far = 0, most = 0;
    all.n_shards = front.n_shards = 1;
    all.behind = front.behind = 2;
    front.cut = true;
    int rc = trial_new(&all, &a);
    if (rc == 0)
        rc = trial_new(&front, &b);
    if (rc == 0)
        rc = gradient(&a, &la);
    if (rc == 0)
        rc = gradient(&b, &lb);
    for (int64_t i = 0; rc == 0 && i < a.n_params; i++) {
        far = fmax(far, fabs(a.grad[i] - b.grad[i]));
        most = fmax(most, fabs(a.grad[i]));
    }
    tap_ok(rc == 0 && fabs(la - lb) <= 1e-14 && far <= 1e-14 && most > 1e-3,
           "%s: nothing is lost without the last positions (%.1e)", c.name, far);
    trial_free(&a);
    trial_free(&b);
}

static const struct model_case cases[] = {
    {.name = "cnn",
     .model = {.kind = ASTER_MODEL_CNN,
               .input_dim = 5,
               .max_length = 11,
               .n_layers = 2,
               .channels = {4, 3},
               .kernel_sizes = {3, 5},
               .dropout = 0.3}},
    {.name = "cnn of one layer and one position",
     .model = {.kind = ASTER_MODEL_CNN,
               .input_dim = 2,
               .max_length = 1,
               .n_layers = 1,
               .channels = {3},
               .kernel_sizes = {7}}},
    {.name = "unet, lengths 13, 6, 3",
     .model = {.kind = ASTER_MODEL_UNET,
               .input_dim = 3,
               .max_length = 13,
               .base_filters = 2,
               .depth = 2,
               .attention = true,
               .dropout = 0.25}},
    {.name = "unet, lengths 12, 6",
     .model = {.kind = ASTER_MODEL_UNET,
               .input_dim = 3,
               .max_length = 12,
               .base_filters = 2,
               .depth = 1,
               .attention = true}},
    {.name = "unet without gates",
     .model = {.kind = ASTER_MODEL_UNET,
               .input_dim = 3,
               .max_length = 9,
               .base_filters = 1,
               .depth = 2,
               .attention = false}},
    {.name = "lstm",
     .model = {.kind = ASTER_MODEL_LSTM,
               .input_dim = 3,
               .max_length = 6,
               .hidden_dim = 3,
               .num_layers = 2,
               .dropout = 0.3}},
    {.name = "lstm of one layer",
     .model = {.kind = ASTER_MODEL_LSTM,
               .input_dim = 2,
               .max_length = 5,
               .hidden_dim = 2,
               .num_layers = 1}},
};

int main(void)
{
    enum aster_isa isa = aster_isa_best();
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    be = aster_backend_cpu(isa);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        for (int mode = 0; mode < 4; mode++) {
            struct model_case c = cases[k];
            c.sync = mode & 1;
            c.n_shards = mode & 2 ? 3 : 1;
            check(&c);
        }
        check_law(cases[k]);
        if (aster_model_time_major(cases[k].model.kind))
            check_cut(cases[k]);
    }
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
