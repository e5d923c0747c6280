/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that whole models give the same losses, logits, gradients and batch statistics with the
 * CUDA kernels as with the CPU's: forward and backward, several segments and shards, dropout, under
 * the poison table; emulated: threads in all orders. */
#include "gpu/gpu.h"
#include "lib/reals.h"
#include "lib/tap.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 3, MAX_SHARDS = 2 };

static struct aster_ctx *ctx;

struct trial { /* one model on one backend */
    const struct aster_backend *be;
    struct aster_device *device;
    struct aster_program *p;
    int n_shards;
    struct aster_plan *plan[MAX_SHARDS];
    struct aster_bound bound[MAX_SHARDS];
};

struct model_case {
    const char *name;
    struct aster_model_config model;
    enum aster_dtype real;
    enum aster_program_use use;
    bool sync;
    int n_shards;
    double limit; /* of a difference, relative to the largest value */
};

static double unit(uint64_t stream, int64_t i)
{
    return 2 * aster_uniform(11, stream, (uint64_t)i) - 1;
}

static int64_t samples_of(const struct model_case *c, int shard)
{
    return c->n_shards == 1 ? SAMPLES : shard == 0 ? SAMPLES - 1 : 1;
}

static int fill(struct trial *s, const struct model_case *c, int shard)
{
    const struct aster_model_config *m = &c->model;
    const struct aster_plan *plan = s->plan[shard];
    char *in = s->bound[shard].at[ASTER_CLASS_INPUT];
    int64_t x, labels, n, first = shard == 0 ? 0 : SAMPLES - 1, count = samples_of(c, shard),
                          counted = 0;
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "x", NULL, &x));
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "labels", NULL, &labels));
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "n", NULL, &n));
    for (int64_t b = 0; b < SAMPLES; b++) /* sample b is 2 b positions shorter than it could be */
        counted += m->max_length - 2 * b;
    *(double *)(void *)(in + n) = (double)counted;
    for (int64_t b = 0; b < count; b++)
        for (int64_t t = 0; t < m->max_length; t++) {
            int64_t row = aster_model_time_major(m->kind) ? t * count + b : b * m->max_length + t,
                    sample = first + b;
            ((uint8_t *)in)[labels + row] =
                t >= m->max_length - 2 * sample ? 255 : (sample + t) % 5 == 0;
            for (int64_t d = 0; d < m->input_dim; d++)
                put_real(c->real, in + x, row * m->input_dim + d,
                         unit(1, (sample * m->max_length + t) * m->input_dim + d));
        }
    return 0;
}

static int trial_new(const struct model_case *c, struct trial *s)
{
    struct aster_model_loss loss = {{1, 5}, c->sync};
    void *params, *buffers;
    ASTER_TRY(aster_model_program(ctx, &c->model, c->real, c->use, &loss, &s->p));
    s->n_shards = c->n_shards;
    for (int k = 0; k < c->n_shards; k++) {
        struct aster_bind bind[] = {{"B", samples_of(c, k)},
                                    {"L", c->model.max_length},
                                    {"BG", SAMPLES},
                                    {"S", c->model.max_length}};
        ASTER_TRY(aster_plan_new(ctx, s->p, 4, bind, NULL, &s->plan[k]));
        for (int cls = 0; cls < ASTER_N_CLASSES; cls++)
            ASTER_TRY(aster_alloc(ctx, aster_plan_bytes(s->plan[k], (enum aster_class)cls), 1,
                                  &s->bound[k].at[cls]));
        params = s->bound[k].at[ASTER_CLASS_PARAM];
        buffers = s->bound[k].at[ASTER_CLASS_BUFFER];
        aster_program_init_params(s->p, 5, params);
        aster_program_init_buffers(s->p, buffers);
        for (int64_t i = 0; i < aster_program_class_n(s->p, ASTER_CLASS_PARAM);
             i++) /* batch norm's start is too regular */
            if (get_real(c->real, params, i) != 0)
                put_real(c->real, params, i, get_real(c->real, params, i) + 0.2 * unit(2, i));
        s->bound[k].run =
            (struct aster_run_info){.seed = 3, .step = 8, .sample0 = k == 0 ? 0 : SAMPLES - 1};
        s->bound[k].device = s->device;
        ASTER_TRY(fill(s, c, k));
    }
    return aster_exec_all(ctx, s->be, s->n_shards, (const struct aster_plan *const *)s->plan,
                          s->bound);
}

static void trial_free(struct trial *s)
{
    for (int k = 0; k < s->n_shards; k++) {
        aster_plan_free(&s->plan[k]);
        for (int cls = 0; cls < ASTER_N_CLASSES; cls++)
            aster_free(&s->bound[k].at[cls]);
    }
    aster_program_free(&s->p);
}

/* The largest difference of n values, over the largest value */
static double apart(enum aster_dtype t, const void *a, const void *b, int64_t n)
{
    double top = 0, most = 0;
    for (int64_t k = 0; k < n; k++) {
        double d = fabs(get_real(t, a, k) - get_real(t, b, k));
        if (!(d < INFINITY))
            return INFINITY;
        most = fmax(most, d);
        top = fmax(top, fabs(get_real(t, a, k)));
    }
    return most == 0 ? 0 : most / top;
}

static double output_apart(const struct trial *a, const struct trial *b, int shard,
                           const char *name)
{
    struct aster_tensor t;
    int64_t at, n = 1;
    if (aster_plan_find(ctx, a->plan[shard], ASTER_CLASS_OUTPUT, name, &t, &at) < 0)
        return INFINITY;
    for (int k = 0; k < t.rank; k++)
        n *= t.dim[k];
    return apart(t.dtype, (char *)a->bound[shard].at[ASTER_CLASS_OUTPUT] + at,
                 (char *)b->bound[shard].at[ASTER_CLASS_OUTPUT] + at, n);
}

static double all_apart(const struct model_case *c, const struct trial *a, const struct trial *b)
{
    double most = 0;
    for (int k = 0; k < c->n_shards; k++) {
        most = fmax(most, output_apart(a, b, k, "loss"));
        most = fmax(most, output_apart(a, b, k, "logits"));
        most = fmax(most, output_apart(a, b, k, "probs"));
        if (c->use != ASTER_USE_TRAIN)
            continue;
        most = fmax(most, apart(c->real, a->bound[k].at[ASTER_CLASS_GRAD],
                                b->bound[k].at[ASTER_CLASS_GRAD],
                                aster_program_class_n(a->p, ASTER_CLASS_PARAM)));
        most = fmax(most, apart(ASTER_F64, a->bound[k].at[ASTER_CLASS_AUX],
                                b->bound[k].at[ASTER_CLASS_AUX],
                                aster_program_class_n(a->p, ASTER_CLASS_BUFFER)));
    }
    return most;
}

static void check(const struct model_case *c, int number)
{
    struct trial cpu = {.be = aster_backend_cpu(aster_isa_best())},
                 gpu = {.be = aster_backend_poison(gpu_backend()), .device = gpu_device()};
    double far = INFINITY, spoilt = 0;
    gpu_begin(number);
    int rc = trial_new(c, &cpu);
    if (rc == 0)
        rc = trial_new(c, &gpu);
    if (rc < 0)
        tap_note("%s", aster_ctx_message(ctx));
    else
        far = all_apart(c, &cpu, &gpu);
    const char *wrong = gpu_error() ? gpu_error() : aster_poison_error();
    tap_ok(rc == 0 && !wrong && far <= c->limit,
           "%s, %s, %s, %s, %d shard%s: apart by %.1e of %.0e%s%s", c->name,
           aster_dtype_name(c->real), c->use == ASTER_USE_TRAIN ? "training" : "evaluation",
           c->sync ? "synchronised" : "per shard", c->n_shards, c->n_shards == 1 ? "" : "s", far,
           c->limit, wrong ? "; " : "", wrong ? wrong : "");
    if (rc == 0 && number == 0) {
        put_real(c->real, gpu.bound[0].at[ASTER_CLASS_GRAD], 0,
                 get_real(c->real, gpu.bound[0].at[ASTER_CLASS_GRAD], 0) + 1e-3);
        spoilt = all_apart(c, &cpu, &gpu);
        tap_ok(spoilt > c->limit, "a spoilt gradient is seen");
    }
    trial_free(&cpu);
    trial_free(&gpu);
}

static const struct aster_model_config models[] = {
    {.kind = ASTER_MODEL_CNN,
     .input_dim = 5,
     .max_length = 21,
     .n_layers = 2,
     .channels = {12, 20},
     .kernel_sizes = {3, 5},
     .dropout = 0.3},
    {.kind = ASTER_MODEL_UNET,
     .input_dim = 4,
     .max_length = 19,
     .base_filters = 4,
     .depth = 2,
     .attention = true,
     .dropout = 0.25},
    {.kind = ASTER_MODEL_LSTM,
     .input_dim = 5,
     .max_length = 9,
     .hidden_dim = 20,
     .num_layers = 2,
     .dropout = 0.3},
};

int main(void)
{
    int number = 0;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    for (size_t k = 0; k < sizeof models / sizeof *models; k++)
        for (enum aster_dtype t = ASTER_F32; t <= ASTER_F64; t++)
            for (int mode = 0; mode < 3; mode++) { /* training in one shard and in two that are
                                                      normalised together; evaluation */
                const struct model_case c = {aster_model_name(models[k].kind),
                                             models[k],
                                             t,
                                             mode == 2 ? ASTER_USE_EVAL : ASTER_USE_TRAIN,
                                             mode == 1,
                                             mode == 1 ? 2 : 1,
                                             t == ASTER_F64 ? 1e-12 : 1e-4};
                check(&c, number++);
            }
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
