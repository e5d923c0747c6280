/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that values kept in bf16 reach the derivative rounded, and nothing else does. */
#include "lib/tap.h"
#include "program/program.h"

#include <math.h>
#include <string.h>

enum { ROWS = 37, IN = 9, HIDDEN = 21, OUT = 5 };

static struct aster_ctx *ctx;

/* The numbers of a run, f32 as the program has them */
struct run {
    float loss, w1[IN * HIDDEN], w2[HIDDEN * OUT]; /* and the gradients by both */
};

static float drawn(uint64_t stream, int64_t i)
{
    return (float)(2 * aster_uniform(29, stream, (uint64_t)i) - 1);
}

/* loss = sum of (relu(x w1) w2)^2 over all rows */
static int build(struct aster_program *p)
{
    aster_sz dim[2] = {aster_size_symbol(p, "B"), aster_size(p, IN)};
    const int64_t one[2] = {IN, HIDDEN}, two[2] = {HIDDEN, OUT};
    const struct aster_init none = {0};
    aster_val x = aster_emit_input(p, "x", ASTER_F32, 2, dim),
              w1 = aster_emit_param(p, "w1", 2, one, ASTER_LAYOUT_SAME, none, 0),
              w2 = aster_emit_param(p, "w2", 2, two, ASTER_LAYOUT_SAME, none, 0);
    aster_val y = aster_emit_linear(p, aster_emit_linear(p, x, w1, -1, ASTER_ACT_RELU), w2, -1, 0);
    aster_sz all[2] = {aster_size(p, 1), aster_size(p, 1)};
    aster_val loss = aster_emit_sum_to(p, aster_emit_unary(p, ASTER_FN_SQUARE, y), all);
    loss = aster_emit_reshape(p, loss, 1, all);
    aster_emit_output(p, "loss", loss);
    ASTER_TRY(aster_program_grad_params(p, loss));
    return aster_program_finish(p);
}

static int execute(const struct aster_program *p, const struct aster_plan *plan, struct run *r)
{
    struct aster_bound b = {0};
    int rc = 0;
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        ASTER_GOTO(aster_alloc(ctx, aster_plan_bytes(plan, (enum aster_class)c), 1, &b.at[c]),
                   done);
    for (int64_t k = 0; k < ROWS * IN; k++)
        ((float *)b.at[ASTER_CLASS_INPUT])[k] = drawn(0, k);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < aster_program_param(p, k)->n; i++)
            ((float *)b.at[ASTER_CLASS_PARAM])[aster_program_param(p, k)->offset + i] =
                drawn((uint64_t)k + 1, i);
    ASTER_GOTO(aster_exec_all(ctx, aster_backend_cpu(aster_isa_best()), 1, &plan, &b), done);
    const float *grad = b.at[ASTER_CLASS_GRAD];
    r->loss = *(const float *)b.at[ASTER_CLASS_OUTPUT];
    memcpy(r->w1, grad + aster_program_param(p, 0)->offset, sizeof r->w1);
    memcpy(r->w2, grad + aster_program_param(p, 1)->offset, sizeof r->w2);
done:
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        aster_free(&b.at[c]);
    return rc;
}

static int run(bool is_narrow, struct run *r, int64_t *arena)
{
    struct aster_program *p = NULL;
    struct aster_plan *plan = NULL;
    int rc;
    ASTER_TRY(aster_program_new(ctx, "two products", ASTER_F32, &p));
    if (is_narrow)
        aster_program_set_narrow(p);
    ASTER_GOTO(build(p), done);
    ASTER_GOTO(aster_plan_new(ctx, p, 1, &(struct aster_bind){"B", ROWS}, NULL, &plan), done);
    *arena = aster_plan_bytes(plan, ASTER_CLASS_ARENA);
    rc = execute(p, plan, r);
done:
    aster_plan_free(&plan);
    aster_program_free(&p);
    return rc;
}

/* To 8 bits, the nearest */
static double rounded(double x)
{
    int e;
    double m = frexp(x, &e);
    return ldexp(nearbyint(ldexp(m, 8)), e - 8);
}
static double same(double x)
{
    return x;
}

/* Both gradients in double, from the values before them as kept() leaves them: the hidden rows and
 * the rows that are squared. */
static void expect(double (*kept)(double), double *w1, double *w2)
{
    memset(w1, 0, IN * HIDDEN * sizeof *w1);
    memset(w2, 0, HIDDEN * OUT * sizeof *w2);
    for (int64_t r = 0; r < ROWS; r++) {
        double h[HIDDEN] = {0}, dh[HIDDEN] = {0};
        for (int j = 0; j < HIDDEN; j++) {
            for (int i = 0; i < IN; i++)
                h[j] += (double)drawn(0, r * IN + i) * (double)drawn(1, i * HIDDEN + j);
            h[j] = h[j] > 0 ? h[j] : 0;
        }
        for (int o = 0; o < OUT; o++) {
            double y = 0;
            for (int j = 0; j < HIDDEN; j++)
                y += h[j] * (double)drawn(2, j * OUT + o);
            for (int j = 0; j < HIDDEN; j++) {
                w2[j * OUT + o] += kept(h[j]) * 2 * kept(y);
                dh[j] += 2 * kept(y) * (double)drawn(2, j * OUT + o);
            }
        }
        for (int j = 0; j < HIDDEN; j++)
            for (int i = 0; i < IN && h[j] > 0; i++)
                w1[i * HIDDEN + j] += (double)drawn(0, r * IN + i) * dh[j];
    }
}

/* The largest difference, as a part of the largest of both */
static double distance(int n, const float *found, const double *expected)
{
    double far = 0, most = 0;
    for (int i = 0; i < n; i++) {
        double off = fabs((double)found[i] - expected[i]);
        if (!(off <= far)) /* one that is no number too */
            far = off;
        most = fmax(most, fabs(expected[i]));
    }
    return far / most;
}

static void check_gradients(const struct run *r, double (*kept)(double), const char *what)
{
    double w1[IN * HIDDEN], w2[HIDDEN * OUT];
    expect(kept, w1, w2);
    double far1 = distance(IN * HIDDEN, r->w1, w1), far2 = distance(HIDDEN * OUT, r->w2, w2);
    /* A y whose f32 sum rounds to another 8 bits than its sum in double: one of ROWS * OUT. */
    tap_ok(far1 < 2e-5 && far2 < 2e-5, "%s: gradients are %.2g and %.2g from sums in double", what,
           far1, far2);
}

/* ---- an LSTM that hardly forgets ---- */

enum { STEPS = 1500, CELLS = 3 };

/* loss = sum of the last h; the forget gate is 0.9982, which 8 bits make 1 */
static int build_lstm(struct aster_program *p)
{
    aster_sz one = aster_size(p, 1), length = aster_size_symbol(p, "L"),
             dim[3] = {length, one, one}, all[3] = {one, one, one};
    const int64_t w_dim[2] = {1, 4 * CELLS}, h_dim[2] = {CELLS, 4 * CELLS};
    const struct aster_init none = {0};
    aster_val x = aster_emit_input(p, "x", ASTER_F32, 3, dim),
              w = aster_emit_param(p, "w", 2, w_dim, ASTER_LAYOUT_SAME, none, 0),
              whh = aster_emit_param(p, "whh", 2, h_dim, ASTER_LAYOUT_SAME, none, 0);
    aster_val h = aster_emit_lstm(p, aster_emit_linear(p, x, w, -1, 0), whh, false);
    h = aster_emit_slice(p, h, 0, aster_size_sub(p, length, one), one);
    aster_val loss = aster_emit_reshape(p, aster_emit_sum_to(p, h, all), 1, all);
    aster_emit_output(p, "loss", loss);
    ASTER_TRY(aster_program_grad_params(p, loss));
    return aster_program_finish(p);
}

static int execute_lstm(const struct aster_program *p, const struct aster_plan *plan, float *dw)
{
    static const float bias[4] = {-6, 6.3F, 0.5F, 0.2F}; /* of i, f, g, o */
    struct aster_bound b = {0};
    int rc = 0;
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        ASTER_GOTO(aster_alloc(ctx, aster_plan_bytes(plan, (enum aster_class)c), 1, &b.at[c]),
                   done);
    for (int64_t k = 0; k < STEPS; k++)
        ((float *)b.at[ASTER_CLASS_INPUT])[k] = 1;
    float *w = (float *)b.at[ASTER_CLASS_PARAM] + aster_program_param(p, 0)->offset;
    for (int k = 0; k < 4 * CELLS; k++)
        w[k] = bias[k / CELLS] + 0.01F * (float)(k % CELLS);
    ASTER_GOTO(aster_exec_all(ctx, aster_backend_cpu(aster_isa_best()), 1, &plan, &b), done);
    memcpy(dw, (float *)b.at[ASTER_CLASS_GRAD] + aster_program_param(p, 0)->offset,
           4 * CELLS * sizeof *dw);
done:
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        aster_free(&b.at[c]);
    return rc;
}

static int run_lstm(bool is_narrow, float *dw)
{
    struct aster_program *p = NULL;
    struct aster_plan *plan = NULL;
    int rc;
    ASTER_TRY(aster_program_new(ctx, "memory", ASTER_F32, &p));
    if (is_narrow)
        aster_program_set_narrow(p);
    ASTER_GOTO(build_lstm(p), done);
    ASTER_GOTO(aster_plan_new(ctx, p, 1, &(struct aster_bind){"L", STEPS}, NULL, &plan), done);
    rc = execute_lstm(p, plan, dw);
done:
    aster_plan_free(&plan);
    aster_program_free(&p);
    return rc;
}

static void check_gates(void)
{
    float exact[4 * CELLS] = {0}, narrow[4 * CELLS] = {0};
    double expected[4 * CELLS];
    int rc = run_lstm(false, exact);
    tap_ok(rc == 0 && run_lstm(true, narrow) == 0, "an lstm, both ways: %s",
           aster_ctx_message(ctx));
    for (int k = 0; k < 4 * CELLS; k++)
        expected[k] = (double)exact[k];
    double far = distance(4 * CELLS, narrow, expected);
    tap_ok(far > 0 && far < 0.01, "its gates are not rounded to 1: the gradient differs by %.2g",
           far);
}

int main(void)
{
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    struct run exact, narrow;
    int64_t bytes[2] = {0, 0};
    int rc = run(false, &exact, &bytes[0]);
    tap_ok(rc == 0 && run(true, &narrow, &bytes[1]) == 0, "both programs run: %s",
           aster_ctx_message(ctx));
    check_gradients(&exact, same, "f32");
    check_gradients(&narrow, rounded, "kept in bf16");
    double w1[IN * HIDDEN], w2[HIDDEN * OUT];
    expect(rounded, w1, w2);
    tap_ok(distance(HIDDEN * OUT, exact.w2, w2) > 2e-4, "and can be told from those of f32");
    tap_ok(memcmp(&exact.loss, &narrow.loss, sizeof exact.loss) == 0,
           "the loss has the same bits: nothing is rounded before it");
    check_gates();
    struct aster_program *p = NULL;
    tap_ok(aster_program_new(ctx, "doubles", ASTER_F64, &p) == 0, "a program of f64");
    aster_program_set_narrow(p);
    tap_ok(aster_program_finish(p) < 0, "keeps nothing in bf16: %s", aster_ctx_message(ctx));
    aster_program_free(&p);
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
