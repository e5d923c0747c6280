/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that evaluation that skips the padding gives the residues exactly what the full
 * computation gives them. */
#include "lib/tap.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

enum { MAX_SAMPLES = 9 };

struct eval {
    struct aster_ctx *ctx;
    struct aster_plan *plan;
    char *at[ASTER_N_CLASSES];
    char *background;
};

static void eval_free(struct eval *e)
{
    for (int k = 0; k < ASTER_N_CLASSES; k++)
        aster_free(&e->at[k]);
    aster_free(&e->background);
    aster_plan_free(&e->plan);
}

static int allocate(struct aster_ctx *ctx, const struct aster_plan *plan, char *at[ASTER_N_CLASSES])
{
    for (int k = 0; k < ASTER_N_CLASSES; k++)
        if (!at[k])
            ASTER_TRY(aster_alloc(ctx, aster_plan_bytes(plan, (enum aster_class)k), 1, &at[k]));
    return 0;
}

static int fill_input(struct aster_ctx *ctx, const struct aster_plan *plan, char *input, int64_t n,
                      const int64_t *lengths)
{
    struct aster_tensor t;
    int64_t offset;
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "x", &t, &offset));
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < lengths[b] * t.dim[2]; i++) {
            double u = aster_uniform(5, (uint64_t)b, (uint64_t)i) - 0.5;
            int64_t j = b * t.dim[1] * t.dim[2] + i;
            if (t.dtype == ASTER_F64)
                ((double *)(input + offset))[j] = u;
            else
                ((float *)(input + offset))[j] = (float)u;
        }
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "labels", &t, &offset));
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < t.dim[1]; i++)
            (input + offset)[b * t.dim[1] + i] = (char)(i < lengths[b] ? i % 7 == 0 : 255);
    ASTER_TRY(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "n", &t, &offset));
    *(double *)(input + offset) = 100;
    return 0;
}

/* Runs the evaluation; with extents also makes the background of one empty sample. */
static int evaluate(struct eval *e, const struct aster_program *p, const struct aster_backend *be,
                    int64_t n, int64_t positions, const int64_t *lengths, bool extents)
{
    struct aster_bind bind[] = {{"B", n}, {"L", positions}, {"BG", n}, {"S", positions}};
    struct aster_plan_options opt = {.extents = extents};
    ASTER_TRY(aster_plan_new(e->ctx, p, 4, bind, &opt, &e->plan));
    ASTER_TRY(allocate(e->ctx, e->plan, e->at));
    ASTER_TRY(fill_input(e->ctx, e->plan, e->at[ASTER_CLASS_INPUT], n, lengths));
    struct aster_bound b = {.lengths = extents ? lengths : NULL};
    aster_program_init_params(p, 3, e->at[ASTER_CLASS_PARAM]);
    for (int64_t k = 0; k < aster_program_class_n(p, ASTER_CLASS_PARAM);
         k++) /* large enough that positions differ in the end */
        if (aster_program_real(p) == ASTER_F64)
            ((double *)e->at[ASTER_CLASS_PARAM])[k] *= 2;
        else
            ((float *)e->at[ASTER_CLASS_PARAM])[k] *= 2;
    double *buffers = (double *)e->at[ASTER_CLASS_BUFFER];
    aster_program_init_buffers(p, buffers);
    for (int64_t k = 0; k < aster_program_class_n(p, ASTER_CLASS_BUFFER);
         k++) /* a background that is not zero */
        buffers[k] += 0.3 * aster_uniform(9, 9, (uint64_t)k);
    const struct aster_plan *bg = aster_plan_background(e->plan);
    if (extents && bg) {
        int64_t none = 0;
        char *at[ASTER_N_CLASSES] = {[ASTER_CLASS_PARAM] = e->at[ASTER_CLASS_PARAM],
                                     [ASTER_CLASS_BUFFER] = e->at[ASTER_CLASS_BUFFER]};
        ASTER_TRY(allocate(e->ctx, bg, at));
        ASTER_TRY(fill_input(e->ctx, bg, at[ASTER_CLASS_INPUT], 1, &none));
        struct aster_bound bb = {0};
        for (int k = 0; k < ASTER_N_CLASSES; k++)
            bb.at[k] = at[k];
        ASTER_TRY(aster_exec_all(e->ctx, be, 1, &bg, &bb));
        e->background = at[ASTER_CLASS_ARENA];
        for (int k = 0; k < ASTER_N_CLASSES; k++)
            if (k != ASTER_CLASS_ARENA && k != ASTER_CLASS_PARAM && k != ASTER_CLASS_BUFFER)
                aster_free(&at[k]);
    }
    b.background = e->background;
    memset(e->at[ASTER_CLASS_ARENA], 0xff,
           (size_t)aster_plan_bytes(e->plan, ASTER_CLASS_ARENA)); /* not computed, not used */
    for (int k = 0; k < ASTER_N_CLASSES; k++)
        b.at[k] = e->at[k];
    const struct aster_plan *plan = e->plan;
    return aster_exec_all(e->ctx, be, 1, &plan, &b);
}

static double worst_difference(struct eval *full, struct eval *cut, int64_t n, int64_t positions,
                               const int64_t *lengths, int64_t shift)
{
    struct aster_tensor t;
    int64_t offset;
    double worst = 0;
    if (aster_plan_find(full->ctx, full->plan, ASTER_CLASS_OUTPUT, "logits", &t, &offset) < 0)
        return NAN;
    const char *a = full->at[ASTER_CLASS_OUTPUT] + offset,
               *c = cut->at[ASTER_CLASS_OUTPUT] + offset;
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i + shift < lengths[b] * 2; i++) {
            int64_t j = b * positions * 2 + i;
            double d =
                t.dtype == ASTER_F64
                    ? fabs(((const double *)a)[j + shift] - ((const double *)c)[j])
                    : fabs((double)((const float *)a)[j + shift] - (double)((const float *)c)[j]);
            if (!(d <= worst))
                worst = d;
        }
    return worst;
}

static void check(struct aster_ctx *ctx, const struct aster_backend *be, enum aster_model_kind kind,
                  enum aster_dtype real, int64_t positions)
{
    int64_t lengths[MAX_SAMPLES] = {
        0, 1, 2, positions / 3, positions / 2, positions - 1, positions, 7, positions * 3 / 4};
    struct aster_model_config c;
    struct aster_model_loss loss = {.class_weights = {1, 5}};
    struct aster_program *p = NULL;
    struct eval full = {.ctx = ctx}, cut = {.ctx = ctx};
    aster_ctx_clear(ctx);
    aster_model_defaults(kind, 5, &c);
    c.max_length = positions;
    c.base_filters = 8;
    for (int k = 0; k < c.n_layers; k++)
        c.channels[k] = 5 + k;
    if (aster_model_program(ctx, &c, real, ASTER_USE_EVAL, &loss, &p) < 0 ||
        evaluate(&full, p, be, MAX_SAMPLES, positions, lengths, false) < 0 ||
        evaluate(&cut, p, be, MAX_SAMPLES, positions, lengths, true) < 0) {
        tap_ok(false, "%s %lld: %s", aster_model_name(kind), (long long)positions,
               aster_ctx_message(ctx));
    } else {
        const char *name = aster_model_name(kind), *t = aster_dtype_name(real);
        tap_ok(aster_plan_background(cut.plan) != NULL, "%s %s L=%lld: the program allows it", name,
               t, (long long)positions);
        double d = worst_difference(&full, &cut, MAX_SAMPLES, positions, lengths, 0);
        tap_ok(d == 0, "%s %s L=%lld: residues get the same bits (difference %g)", name, t,
               (long long)positions, d);
        tap_ok(worst_difference(&full, &cut, MAX_SAMPLES, positions, lengths, 2) > 0,
               "%s %s L=%lld: a shift is noticed", name, t, (long long)positions);
        int64_t offset;
        double a = 0, b = 1;
        if (aster_plan_find(ctx, full.plan, ASTER_CLASS_OUTPUT, "loss", NULL, &offset) == 0) {
            a = *(double *)(full.at[ASTER_CLASS_OUTPUT] + offset);
            b = *(double *)(cut.at[ASTER_CLASS_OUTPUT] + offset);
        }
        tap_ok(a == b && isfinite(a), "%s %s L=%lld: the same loss (%.9g)", name, t,
               (long long)positions, a);
    }
    eval_free(&full);
    eval_free(&cut);
    aster_program_free(&p);
}

int main(void)
{
    struct aster_ctx *ctx = NULL;
    static const int64_t lengths[] = {64, 100, 250, 37};
    if (aster_ctx_new(&ctx) < 0)
        return 99;
    for (int isa = 0; isa < ASTER_N_ISAS; isa++)
        for (int kind = ASTER_MODEL_CNN;
             aster_isa_here((enum aster_isa)isa) && kind <= ASTER_MODEL_UNET; kind++)
            for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
                for (int t = ASTER_F32; t <= ASTER_F64; t++)
                    check(ctx, aster_backend_cpu((enum aster_isa)isa), (enum aster_model_kind)kind,
                          (enum aster_dtype)t, lengths[k]);
    aster_ctx_free(&ctx);
    return tap_done();
}
