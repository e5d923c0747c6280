/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that rounded operands leave gradients of whole models near those of f64, as near as their
 * bits allow, and that they are rounded forward and back. */
#include "lib/reals.h"
#include "lib/tap.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 4, LENGTH = 40, DIM = 21 };

static struct aster_ctx *ctx;
static int64_t arena; /* bytes of the last gradient's */

static double unit(uint64_t stream, int64_t i)
{
    return 2 * aster_uniform(17, stream, (uint64_t)i) - 1;
}

/* Inputs that f32 holds, so that every precision starts from the same numbers */
static int fill(const struct aster_plan *plan, enum aster_dtype t, char *in)
{
    int64_t x, labels, n;
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "x", NULL, &x));
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "labels", NULL, &labels));
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "n", NULL, &n));
    for (int64_t k = 0; k < SAMPLES * LENGTH * DIM; k++)
        put_real(t, in + x, k, (double)(float)unit(1, k));
    for (int64_t k = 0; k < SAMPLES * LENGTH; k++)
        in[labels + k] = k % 7 == 0;
    *(double *)(in + n) = SAMPLES * LENGTH;
    return 0;
}

static int start(const struct aster_program *p, enum aster_dtype t, void *params)
{
    aster_program_init_params(p, 5, params);
    for (int k = 0; k < aster_program_n_params(p); k++) { /* batch norm's start is too regular */
        const struct aster_param_info *info = aster_program_param(p, k);
        for (int64_t i = info->offset; i < info->offset + info->n; i++)
            put_real(t, params, i, (double)(float)(get_real(t, params, i) + 0.1 * unit(2, i)));
    }
    return 0;
}

static int compute(const struct aster_plan *plan, enum aster_dtype t, void **at, int64_t n,
                   double *grad)
{
    struct aster_bound b = {.run = {.seed = 3, .step = 8}};
    memcpy(b.at, at, sizeof b.at);
    ASTER_TRY(fill(plan, t, at[ASTER_CLASS_INPUT]));
    ASTER_TRY(aster_exec_all(ctx, aster_backend_cpu(aster_isa_best()), 1, &plan, &b));
    for (int64_t i = 0; i < n; i++)
        grad[i] = get_real(t, at[ASTER_CLASS_GRAD], i);
    return 0;
}

/* The gradient by all parameters; *grad is the caller's to free. */
static int gradient(const struct aster_model_config *m, enum aster_dtype t, int64_t *n,
                    double **grad)
{
    struct aster_model_loss loss = {{1, 5}, false};
    struct aster_program *p = NULL;
    struct aster_plan *plan = NULL;
    struct aster_bind bind[] = {{"B", SAMPLES}, {"L", LENGTH}, {"S", LENGTH}};
    void *at[ASTER_N_CLASSES] = {NULL};
    int rc;
    *grad = NULL;
    ASTER_GOTO(aster_model_program(ctx, m, t, ASTER_USE_TRAIN, &loss, &p), done);
    ASTER_GOTO(aster_plan_new(ctx, p, 3, bind, NULL, &plan), done);
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        ASTER_GOTO(aster_alloc(ctx, aster_plan_bytes(plan, (enum aster_class)c), 1, &at[c]), done);
    *n = aster_program_class_n(p, ASTER_CLASS_PARAM);
    ASTER_GOTO(aster_alloc(ctx, *n, sizeof **grad, grad), done);
    ASTER_GOTO(start(p, t, at[ASTER_CLASS_PARAM]), done);
    rc = compute(plan, t, at, *n, *grad);
    arena = aster_plan_bytes(plan, ASTER_CLASS_ARENA);
done:
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        aster_free(&at[c]);
    aster_plan_free(&plan);
    aster_program_free(&p);
    return rc;
}

/* Of two vectors, relative to the length of the second */
static double distance(int64_t n, const double *a, const double *b)
{
    double far = 0, length = 0;
    for (int64_t i = 0; i < n; i++) {
        far += (a[i] - b[i]) * (a[i] - b[i]);
        length += b[i] * b[i];
    }
    return sqrt(far / length);
}

/* Rounding to b bits behind the point errs by 2^-(b + 1) at most, 2^-11 and 2^-8, and surely by
 * more than f32. That many of the arguments of a ReLU change their sign, and with it its derivative
 * from 0 to 1: a length of the order of the root of that, in the unet with batch norm after batch
 * norm. The lstm has one ReLU, near its end. */
static const struct {
    enum aster_products products;
    double least, most[ASTER_N_MODEL_KINDS];
} limits[] = {
    {ASTER_PRODUCTS_FULL, 0, {1e-5, 1e-5, 1e-5}},
    {ASTER_PRODUCTS_TF32, 0x1p-14, {0.03, 0.15, 0.003}},
    {ASTER_PRODUCTS_BF16, 0x1p-11, {0.08, 0.4, 0.02}},
};

static void check(enum aster_model_kind kind)
{
    struct aster_model_config m;
    int64_t n = 0;
    double *exact = NULL, *found = NULL;
    aster_model_defaults(kind, DIM, &m);
    m.max_length = LENGTH;
    m.n_layers = 2;
    m.channels[0] = m.channels[1] = 24;
    m.base_filters = 8;
    m.depth = 2;
    m.hidden_dim = 24;
    m.dropout = 0;
    int rc = gradient(&m, ASTER_F64, &n, &exact);
    tap_ok(rc == 0, "%s: %lld parameters", aster_model_name(kind), (long long)n);
    int64_t bytes[sizeof limits / sizeof *limits] = {0};
    for (size_t k = 0; k < sizeof limits / sizeof *limits && exact; k++) {
        m.products = limits[k].products;
        double far = gradient(&m, ASTER_F32, &n, &found) == 0 ? distance(n, found, exact) : NAN;
        tap_ok(far >= limits[k].least && far <= limits[k].most[kind],
               "%s: the gradient in %s is %.2g from that in f64, expected %.2g to %.2g",
               aster_model_name(kind), aster_precision_name(ASTER_F32, m.products), far,
               limits[k].least, limits[k].most[kind]);
        aster_free(&found);
        bytes[k] = arena;
    }
    tap_ok(bytes[2] < bytes[1],
           "%s: %lld bytes in f32, %lld in tf32, %lld in bf16, which keeps half of what it keeps",
           aster_model_name(kind), (long long)bytes[0], (long long)bytes[1], (long long)bytes[2]);
    m.products = ASTER_PRODUCTS_BF16;
    tap_ok(gradient(&m, ASTER_F64, &n, &found) < 0, "%s: not with products of f64: %s",
           aster_model_name(kind), aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    aster_free(&found);
    aster_free(&exact);
}

int main(void)
{
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    for (int kind = 0; kind < ASTER_N_MODEL_KINDS; kind++)
        check((enum aster_model_kind)kind);
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
