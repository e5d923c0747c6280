/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that every op's derivative, and the second derivative where there is one, is that of
 * finite differences in double. */
#include "lib/tap.h"
#include "program/internal.h"
#include "program/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS   6
#define MAX_ELEMENTS 600

struct shape {
    int rank;
    int64_t dim[5];
};

struct grad_case {
    const char *name;
    int n;
    struct shape in[MAX_INPUTS];
    aster_val (*build)(struct aster_program *p, const aster_val *x);
    bool second;       /* the second derivative exists */
    bool positive;     /* inputs in [0.5, 1.5] instead of [-1, 1] */
    unsigned constant; /* bit k: input k is not differentiated */
};

static uint64_t draws;
static bool has_case[ASTER_N_OPS];

static double draw(bool positive)
{
    double u = aster_uniform(7, 1, draws++);
    if (positive)
        return 0.5 + u;
    return u < 0.5 ? -1 + 1.8 * u : 0.1 + 1.8 * (u - 0.5); /* stays away from the kinks at 0 */
}

static int64_t count(const struct shape *s)
{
    int64_t n = 1;
    for (int k = 0; k < s->rank; k++)
        n *= s->dim[k];
    return n;
}

static aster_val constant_shape(struct aster_program *p, const char *name, int rank,
                                const int64_t *dim)
{
    aster_sz d[ASTER_MAX_RANK];
    for (int k = 0; k < rank; k++)
        d[k] = aster_size(p, dim[k]);
    return aster_emit_input(p, name, ASTER_F64, rank, d);
}

/* sum of all elements of a * b, as [1] */
static aster_val dot(struct aster_program *p, aster_val a, aster_val b)
{
    aster_sz ones[ASTER_MAX_RANK], one = aster_size(p, 1);
    for (int k = 0; k < ASTER_MAX_RANK; k++)
        ones[k] = one;
    return aster_emit_reshape(
        p, aster_emit_sum_to(p, aster_emit_binary(p, ASTER_BIN_MUL, a, b), ones), 1, &one);
}

struct running {
    struct aster_plan *plan;
    char *input, *output, *arena;
    const struct aster_backend *be;
};

static double *at(struct running *r, enum aster_class c, const char *name)
{
    int64_t offset;
    if (aster_plan_find(NULL, r->plan, c, name, NULL, &offset) < 0)
        return NULL;
    return (double *)((c == ASTER_CLASS_INPUT ? r->input : r->output) + offset);
}

static void run(struct running *r)
{
    struct aster_bound b = {.at = {[ASTER_CLASS_INPUT] = r->input,
                                   [ASTER_CLASS_OUTPUT] = r->output,
                                   [ASTER_CLASS_ARENA] = r->arena},
                            .run = {.seed = 3, .step = 2}};
    if (aster_exec_all(NULL, r->be, 1, (const struct aster_plan *const *)&r->plan, &b) < 0)
        abort();
}

/* Largest difference between analytic (output name<k>) and finite differences of the scalar,
 * relative to the largest entry. */
static double compare(struct running *r, const struct grad_case *c, const char *scalar,
                      const char *prefix, double spoil)
{
    double worst = 0;
    for (int k = 0; k < c->n; k++) {
        if (c->constant >> k & 1)
            continue;
        char name[16], dname[16];
        snprintf(name, sizeof name, "x%d", k);
        snprintf(dname, sizeof dname, "%s%d", prefix, k);
        double *x = at(r, ASTER_CLASS_INPUT, name), *d = at(r, ASTER_CLASS_OUTPUT, dname),
               *s = at(r, ASTER_CLASS_OUTPUT, scalar);
        int64_t n = count(&c->in[k]);
        double got[MAX_ELEMENTS], want[MAX_ELEMENTS], most = 0;
        run(r);
        for (int64_t i = 0; i < n; i++)
            got[i] = d ? d[i] : 0;
        for (int64_t i = 0; i < n; i++) {
            const double h = 1e-4;
            double keep = x[i], f[4];
            for (int j = 0; j < 4; j++) {
                x[i] = keep + (j - 1.5) * 2 * h / 2;
                run(r);
                f[j] = s[0];
            }
            x[i] = keep;
            want[i] = (f[0] - 27 * f[1] + 27 * f[2] - f[3]) / (24 * h); /* fourth order */
            most = fmax(most, fabs(want[i]));
        }
        if (n && spoil != 0)
            got[0] += spoil * fmax(most, 1e-3);
        for (int64_t i = 0; i < n; i++) {
            double err = fabs(got[i] - want[i]) / fmax(most, 1e-3);
            if (!(err <= worst))
                worst = err;
        }
    }
    return worst;
}

static void note_ops(const struct aster_program *p)
{
    for (int64_t k = 0; k < p->n_op; k++)
        has_case[p->op[k].kind] = true;
}

static int emit_case(struct aster_program *p, const struct grad_case *c)
{
    aster_val x[MAX_INPUTS], v[MAX_INPUTS], dx[MAX_INPUTS], ddx[MAX_INPUTS], diff[MAX_INPUTS];
    for (int k = 0; k < c->n; k++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", k);
        x[k] = constant_shape(p, name, c->in[k].rank, c->in[k].dim);
        diff[k] = c->constant >> k & 1 ? -1 : x[k];
    }
    aster_val y = c->build(p, x);
    note_ops(p);
    if (y < 0)
        return aster_program_finish(p);
    aster_sz d[ASTER_MAX_RANK];
    for (int k = 0; k < aster_val_rank(p, y); k++)
        d[k] = aster_val_dim(p, y, k);
    aster_val w = aster_emit_input(p, "w", ASTER_F64, aster_val_rank(p, y), d);
    aster_val s = dot(p, y, w);
    ASTER_TRY(aster_program_grad(p, s, c->n, diff, dx));
    aster_val t = -1;
    for (int k = 0; k < c->n; k++) {
        char name[16];
        snprintf(name, sizeof name, "d%d", k);
        if (dx[k] >= 0)
            aster_emit_output(p, name, dx[k]);
        if (!c->second || dx[k] < 0)
            continue;
        snprintf(name, sizeof name, "v%d", k);
        v[k] = constant_shape(p, name, c->in[k].rank, c->in[k].dim);
        aster_val term = dot(p, dx[k], v[k]);
        t = t < 0 ? term : aster_emit_binary(p, ASTER_BIN_ADD, t, term);
    }
    if (t >= 0) {
        note_ops(p); /* the second derivative is that of the first one's ops */
        ASTER_TRY(aster_program_grad(p, t, c->n, diff, ddx));
        for (int k = 0; k < c->n; k++) {
            char name[16];
            snprintf(name, sizeof name, "dd%d", k);
            if (ddx[k] >= 0)
                aster_emit_output(p, name, ddx[k]);
        }
        aster_emit_output(p, "t", t);
    }
    aster_emit_output(p, "s", s);
    return aster_program_finish(p);
}

static void check(struct aster_ctx *ctx, const struct aster_backend *be, const struct grad_case *c)
{
    struct aster_program *p = NULL;
    struct running r = {.be = be};
    aster_ctx_clear(ctx);
    if (aster_program_new(ctx, c->name, ASTER_F64, &p) < 0 || emit_case(p, c) < 0 ||
        aster_plan_new(ctx, p, 0, NULL, NULL, &r.plan) < 0 ||
        aster_alloc(ctx, aster_plan_bytes(r.plan, ASTER_CLASS_INPUT), 1, &r.input) < 0 ||
        aster_alloc(ctx, aster_plan_bytes(r.plan, ASTER_CLASS_OUTPUT), 1, &r.output) < 0 ||
        aster_alloc(ctx, aster_plan_bytes(r.plan, ASTER_CLASS_ARENA), 1, &r.arena) < 0) {
        tap_ok(false, "%s: %s", c->name, aster_ctx_message(ctx));
    } else {
        int64_t n = aster_plan_bytes(r.plan, ASTER_CLASS_INPUT) / 8;
        for (int64_t i = 0; i < n; i++)
            ((double *)r.input)[i] = draw(c->positive);
        double e = compare(&r, c, "s", "d", 0);
        tap_ok(e <= 2e-8, "%s: first derivative, error %.1e", c->name, e);
        tap_ok(!(compare(&r, c, "s", "d", 2e-7) <= 2e-8),
               "%s: a first derivative off by 2e-7 is noticed", c->name);
        if (c->second) {
            e = compare(&r, c, "t", "dd", 0);
            tap_ok(e <= 2e-8, "%s: second derivative, error %.1e", c->name, e);
        }
    }
    aster_free(&r.input);
    aster_free(&r.output);
    aster_free(&r.arena);
    aster_plan_free(&r.plan);
    aster_program_free(&p);
}

#define UNARY(fn)                                                                                  \
    static aster_val build_##fn(struct aster_program *p, const aster_val *x)                       \
    {                                                                                              \
        return aster_emit_unary(p, ASTER_FN_##fn, x[0]);                                           \
    }
UNARY(RELU)
UNARY(SIGMOID)
UNARY(TANH)
UNARY(EXP)
UNARY(LOG)
UNARY(SQRT)
UNARY(ROOT)
UNARY(RSQRT)
UNARY(RECIP)
UNARY(SQUARE)
UNARY(ABS)
UNARY(GELU)
UNARY(GELU_TANH)
UNARY(SILU)
UNARY(SOFTPLUS)
UNARY(SIN)
UNARY(COS)

#define BUILD(name, expr)                                                                          \
    static aster_val build_##name(struct aster_program *p, const aster_val *x)                     \
    {                                                                                              \
        return expr;                                                                               \
    }
BUILD(add, aster_emit_binary(p, ASTER_BIN_ADD, x[0], x[1]))
BUILD(sub, aster_emit_binary(p, ASTER_BIN_SUB, x[0], x[1]))
BUILD(mul, aster_emit_binary(p, ASTER_BIN_MUL, x[0], x[1]))
BUILD(div, aster_emit_binary(p, ASTER_BIN_DIV, x[0], x[1]))
BUILD(affine, aster_emit_affine(p, x[0], 1.7, -0.3))
BUILD(by_size, aster_emit_scale_by_size(p, x[0], 3, aster_size(p, 7)))
BUILD(dropout, aster_emit_dropout(p, x[0], 0.4, 1))
BUILD(cast, aster_emit_cast(p, x[0], ASTER_F64))
BUILD(sum_to, aster_emit_sum_to(p, x[0],
                                (aster_sz[]){aster_size(p, 3), aster_size(p, 1), aster_size(p, 2)}))
BUILD(broadcast,
      aster_emit_broadcast_to(p, x[0],
                              (aster_sz[]){aster_size(p, 3), aster_size(p, 5), aster_size(p, 2)}))
BUILD(slice, aster_emit_slice(p, x[0], 1, aster_size(p, 2), aster_size(p, 3)))
BUILD(unslice, aster_emit_unslice(p, x[0], 1, aster_size(p, 2), aster_size(p, 9)))
BUILD(concat, aster_emit_concat(p, 3, x, -1))
BUILD(gather,
      aster_emit_unary(p, ASTER_FN_TANH,
                       aster_emit_gather(p, x[0],
                                         aster_emit_cast(p, aster_emit_affine(p, x[1], 5, 0),
                                                         ASTER_I32))))
BUILD(transpose, aster_emit_transpose(p, x[0], (int[]){2, 0, 1}))
BUILD(reshape, aster_emit_reshape(p, x[0], 2, (aster_sz[]){aster_size(p, 6), aster_size(p, 5)}))
BUILD(matmul_nn, aster_emit_matmul(p, x[0], x[1], false, false))
BUILD(matmul_tn, aster_emit_matmul(p, x[0], x[1], true, false))
BUILD(matmul_nt, aster_emit_matmul(p, x[0], x[1], false, true))
BUILD(matmul_tt, aster_emit_matmul(p, x[0], x[1], true, true))
BUILD(linear, aster_emit_linear(p, x[0], x[1], x[2], ASTER_ACT_NONE))
BUILD(linear_relu, aster_emit_linear(p, x[0], x[1], x[2], ASTER_ACT_RELU))
BUILD(conv1d, aster_emit_conv1d(p, x[0], x[1], x[2], 2, 2, ASTER_ACT_NONE))
BUILD(conv1d_relu, aster_emit_conv1d(p, x[0], x[1], x[2], 1, 1, ASTER_ACT_RELU))
BUILD(conv1d_lop, aster_emit_conv1d(p, x[0], x[1], -1, 0, 3, ASTER_ACT_NONE))
BUILD(avgpool2, aster_emit_avgpool2(p, x[0]))
BUILD(resize_up, aster_emit_resize(p, x[0], aster_size(p, 13)))
BUILD(resize_down, aster_emit_resize(p, x[0], aster_size(p, 4)))
BUILD(layernorm, aster_emit_layernorm(p, x[0], x[1], x[2], 1e-5))
BUILD(softmax, aster_emit_softmax(p, x[0]))
BUILD(attention, aster_emit_attention(p, x[0], x[1], x[2], -1, 0.4, false))
BUILD(attention_causal, aster_emit_attention(p, x[0], x[1], x[2], -1, 0.4, true))
/* Sequences of 3, 0 and 4 rows; whatever x is, the starts are these numbers. */
static aster_val starts_of(struct aster_program *p, aster_val x)
{
    aster_val at[] = {aster_emit_affine(p, x, 0, 0), aster_emit_affine(p, x, 0, 3),
                      aster_emit_affine(p, x, 0, 3), aster_emit_affine(p, x, 0, 7)};
    return aster_emit_cast(p, aster_emit_concat(p, 4, at, 0), ASTER_I32);
}
BUILD(ragged,
      aster_emit_ragged_attention(p, &(struct aster_ragged){x[0], x[1], x[2], starts_of(p, x[3]),
                                                            -1, 2, 0.7, aster_size(p, 4)}))
BUILD(ragged_slopes,
      aster_emit_ragged_attention(p, &(struct aster_ragged){x[0], x[1], x[2], starts_of(p, x[3]),
                                                            x[4], 2, 0.7, aster_size(p, 5)}))
BUILD(rotary,
      aster_emit_rotary(p, x[0], aster_emit_cast(p, aster_emit_affine(p, x[1], 3, 0), ASTER_I32),
                        x[2], 2))
/* Three atoms in a row, the first and the second joined twice; whatever x is, the lists are these.
 */
static aster_val integers(struct aster_program *p, aster_val x, int n, const double *values)
{
    aster_val at[8];
    for (int k = 0; k < n; k++)
        at[k] = aster_emit_affine(p, x, 0, values[k]);
    return aster_emit_cast(p, aster_emit_concat(p, n, at, 0), ASTER_I32);
}
/* Features [N, 16] and vectors [1, N, 3, 16] of one block as one list */
static aster_val beside(struct aster_program *p, aster_val s, aster_val vectors)
{
    aster_sz n = aster_val_dim(p, s, 0);
    aster_val flat[2] = {s, vectors};
    for (int k = 0; k < 2; k++)
        flat[k] = aster_emit_reshape(p, flat[k], 2, (aster_sz[]){n, aster_size(p, k ? 48 : 16)});
    return aster_emit_concat(p, 2, flat, 1);
}
/* Of three pairs (unit vector, length): the six edges, those back with the opposite direction */
static aster_val edges_of(struct aster_program *p, aster_val pair)
{
    aster_sz zero = aster_size(p, 0), one = aster_size(p, 1), two = aster_size(p, 2),
             three = aster_size(p, 3);
    aster_val back[] = {aster_emit_affine(p, aster_emit_slice(p, pair, 1, zero, three), -1, 0),
                        aster_emit_slice(p, pair, 1, three, one)};
    aster_val other = aster_emit_concat(p, 2, back, 1);
    aster_val rows[] = {
        aster_emit_slice(p, pair, 0, zero, two), aster_emit_slice(p, other, 0, zero, two),
        aster_emit_slice(p, pair, 0, two, one), aster_emit_slice(p, other, 0, two, one)};
    return aster_emit_concat(p, 4, rows, 0);
}
static aster_val message_of(struct aster_program *p, const aster_val *x, aster_val v)
{
    aster_val lists[] = {integers(p, x[3], 6, (double[]){1, 1, 0, 0, 2, 1}),
                         integers(p, x[3], 6, (double[]){2, 3, 0, 1, 5, 4})};
    struct aster_message m = {.s = x[0],
                              .v = v,
                              .edge = edges_of(p, x[1]),
                              .table = x[2],
                              .link = aster_emit_concat(p, 2, lists, 0),
                              .starts = integers(p, x[3], 4, (double[]){0, 2, 5, 6}),
                              .cutoff = 2};
    aster_val vectors, s = aster_emit_message(p, &m, &vectors);
    return beside(p, s, vectors);
}
static aster_val gate_of(struct aster_program *p, const aster_val *x, bool is_isotropic)
{
    struct aster_gate g = {x[0], x[1], x[2], x[3], is_isotropic};
    aster_val vectors, s = aster_emit_vector_gate(p, &g, &vectors);
    return beside(p, s, vectors);
}
BUILD(message, message_of(p, x, x[4]))
BUILD(message_plain, message_of(p, x, -1))
BUILD(direction, aster_emit_direction(p, x[0], 0.25))
BUILD(vector_length, aster_emit_vector_length(p, x[0], x[1], 0))
static aster_val build_vector_length_again(struct aster_program *p, const aster_val *x)
{
    aster_val q = aster_emit_vector_length(p, x[0], x[1], 0);
    aster_val o = aster_emit_concat(p, 2, (aster_val[]){q, x[0]}, 1);
    return gate_of(p, (aster_val[]){x[0], x[1], o, x[2]}, false);
}
BUILD(vector_length_eps, aster_emit_vector_length(p, x[0], x[1], 0.5))
BUILD(vector_gate, gate_of(p, x, false))
BUILD(vector_gate_isotropic, gate_of(p, x, true))
BUILD(gated, aster_emit_gated(p, x[0]))
BUILD(linear_gelu, aster_emit_linear(p, x[0], x[1], x[2], ASTER_ACT_GELU))
static aster_val build_linear_transposed(struct aster_program *p, const aster_val *x)
{
    aster_val w = aster_emit_transpose(p, x[1], (int[]){1, 0});
    aster_program_transposed(p, w, x[1]);
    return aster_emit_unary(p, ASTER_FN_TANH, aster_emit_linear(p, x[0], w, -1, ASTER_ACT_NONE));
}
BUILD(linear_gelu_plain, aster_emit_linear(p, x[0], x[1], -1, ASTER_ACT_GELU))
BUILD(lstm, aster_emit_lstm(p, x[0], x[1], false))
BUILD(lstm_reverse, aster_emit_lstm(p, x[0], x[1], true))
BUILD(sync, aster_emit_sync_sum(p, x[0]))
BUILD(chain, aster_emit_softmax(p, aster_emit_matmul(p, aster_emit_unary(p, ASTER_FN_TANH, x[0]),
                                                     aster_emit_unary(p, ASTER_FN_SILU, x[1]),
                                                     false, true)))

#define X357                                                                                       \
    {                                                                                              \
        3,                                                                                         \
        {                                                                                          \
            3, 5, 2                                                                                \
        }                                                                                          \
    }
/* clang-format off */
#define ONE(name, ...) {#name, 1, {__VA_ARGS__}, build_##name, true, false, 0}
/* clang-format on */

static const struct grad_case cases[] = {
    ONE(RELU, X357),
    ONE(SIGMOID, X357),
    ONE(TANH, X357),
    ONE(EXP, X357),
    ONE(SQUARE, X357),
    ONE(ABS, X357),
    ONE(GELU, X357),
    ONE(GELU_TANH, X357),
    ONE(SILU, X357),
    ONE(SOFTPLUS, X357),
    ONE(SIN, X357),
    ONE(COS, X357),
    {"LOG", 1, {X357}, build_LOG, true, true, 0},
    {"SQRT", 1, {X357}, build_SQRT, true, true, 0},
    {"ROOT", 1, {X357}, build_ROOT, true, true, 0},
    {"RSQRT", 1, {X357}, build_RSQRT, true, true, 0},
    {"RECIP", 1, {X357}, build_RECIP, true, true, 0},
    {"add, trailing axis broadcast", 2, {X357, {3, {1, 1, 2}}}, build_add, true, false, 0},
    {"sub, first input broadcast", 2, {{3, {3, 1, 2}}, X357}, build_sub, true, false, 0},
    {"mul, last axis broadcast", 2, {X357, {3, {3, 5, 1}}}, build_mul, true, false, 0},
    {"mul, both broadcast", 2, {{3, {3, 1, 2}}, {3, {1, 5, 1}}}, build_mul, true, false, 0},
    {"div", 2, {X357, X357}, build_div, true, true, 0},
    ONE(affine, X357),
    ONE(by_size, X357),
    ONE(dropout, X357),
    ONE(cast, X357),
    ONE(sum_to, X357),
    ONE(broadcast, {3, {3, 1, 2}}),
    ONE(slice, {3, {3, 7, 2}}),
    ONE(unslice, X357),
    {"concat", 3, {{2, {3, 2}}, {2, {3, 1}}, {2, {3, 4}}}, build_concat, true, false, 0},
    {"gather, some rows twice", 2, {{2, {9, 3}}, {1, {12}}}, build_gather, true, true, 2},
    ONE(transpose, X357),
    ONE(reshape, X357),
    {"matmul nn", 2, {{2, {3, 4}}, {2, {4, 5}}}, build_matmul_nn, true, false, 0},
    {"matmul tn", 2, {{2, {4, 3}}, {2, {4, 5}}}, build_matmul_tn, true, false, 0},
    {"matmul nt", 2, {{2, {3, 4}}, {2, {5, 4}}}, build_matmul_nt, true, false, 0},
    {"matmul tt", 2, {{2, {4, 3}}, {2, {5, 4}}}, build_matmul_tt, true, false, 0},
    {"matmul batched", 2, {{3, {2, 3, 4}}, {3, {2, 4, 5}}}, build_matmul_nn, true, false, 0},
    {"matmul batched tt", 2, {{3, {2, 4, 3}}, {3, {2, 5, 4}}}, build_matmul_tt, true, false, 0},
    {"matmul shared", 2, {{3, {2, 3, 4}}, {2, {4, 5}}}, build_matmul_nn, true, false, 0},
    {"matmul shared nt", 2, {{3, {2, 3, 4}}, {2, {5, 4}}}, build_matmul_nt, true, false, 0},
    {"matmul shared tn", 2, {{3, {2, 4, 3}}, {2, {4, 5}}}, build_matmul_tn, true, false, 0},
    {"linear", 3, {{3, {2, 3, 4}}, {2, {4, 5}}, {1, {5}}}, build_linear, true, false, 0},
    {"linear relu", 3, {{2, {3, 4}}, {2, {4, 5}}, {1, {5}}}, build_linear_relu, true, false, 0},
    {"linear, weights also transposed",
     2,
     {{3, {2, 3, 4}}, {2, {5, 4}}},
     build_linear_transposed,
     true,
     false,
     2},
    {"conv1d k5", 3, {{3, {2, 7, 3}}, {3, {5, 3, 4}}, {1, {4}}}, build_conv1d, true, false, 0},
    {"conv1d k3 relu",
     3,
     {{3, {2, 7, 3}}, {3, {3, 3, 4}}, {1, {4}}},
     build_conv1d_relu,
     true,
     false,
     0},
    {"conv1d k2, pads 0 and 3, no bias",
     2,
     {{3, {2, 5, 3}}, {3, {2, 3, 2}}},
     build_conv1d_lop,
     true,
     false,
     0},
    {"conv1d k5 over 1 position",
     3,
     {{3, {2, 1, 3}}, {3, {5, 3, 4}}, {1, {4}}},
     build_conv1d,
     true,
     false,
     0},
    {"avgpool2", 1, {{3, {2, 7, 3}}}, build_avgpool2, true, false, 0},
    {"resize 6 to 13", 1, {{3, {2, 6, 3}}}, build_resize_up, true, false, 0},
    {"resize 7 to 4", 1, {{3, {2, 7, 3}}}, build_resize_down, true, false, 0},
    {"resize 1 to 13", 1, {{3, {2, 1, 3}}}, build_resize_up, true, false, 0},
    {"layernorm", 3, {{3, {2, 3, 6}}, {1, {6}}, {1, {6}}}, build_layernorm, false, false, 0},
    ONE(softmax, {3, {2, 3, 5}}),
    {"attention",
     3,
     {{3, {2, 3, 4}}, {3, {2, 5, 4}}, {3, {2, 5, 4}}},
     build_attention,
     false,
     false,
     0},
    {"attention causal",
     3,
     {{3, {2, 4, 3}}, {3, {2, 4, 3}}, {3, {2, 4, 3}}},
     build_attention_causal,
     false,
     false,
     0},
    {"ragged attention",
     4,
     {{2, {7, 6}}, {2, {7, 6}}, {2, {7, 6}}, {1, {1}}},
     build_ragged,
     false,
     false,
     8},
    {"ragged attention, slopes",
     5,
     {{2, {7, 6}}, {2, {7, 6}}, {2, {7, 6}}, {1, {1}}, {1, {2}}},
     build_ragged_slopes,
     false,
     false,
     24},
    {"rotary", 3, {{2, {5, 8}}, {1, {5}}, {2, {5, 4}}}, build_rotary, false, true, 6},
    {"message",
     5,
     {{2, {3, 16}}, {2, {3, 4}}, {4, {1, 5, 3, 16}}, {1, {1}}, {4, {1, 3, 3, 16}}},
     build_message,
     false,
     true,
     12},
    {"message without vectors",
     4,
     {{2, {3, 16}}, {2, {3, 4}}, {4, {1, 5, 2, 16}}, {1, {1}}},
     build_message_plain,
     false,
     true,
     12},
    {"direction", 1, {{2, {5, 3}}}, build_direction, false, true, 0},
    {"vector length", 2, {{2, {2, 16}}, {4, {1, 2, 3, 16}}}, build_vector_length, false, true, 0},
    {"vector length, its input in use elsewhere",
     3,
     {{2, {2, 16}}, {4, {1, 2, 3, 16}}, {2, {3, 3}}},
     build_vector_length_again,
     false,
     true,
     4},
    {"vector length, eps",
     2,
     {{2, {2, 16}}, {4, {1, 2, 3, 16}}},
     build_vector_length_eps,
     false,
     false,
     0},
    {"vector gate",
     4,
     {{2, {2, 16}}, {4, {1, 2, 3, 16}}, {2, {2, 48}}, {2, {3, 3}}},
     build_vector_gate,
     false,
     false,
     8},
    {"vector gate, isotropic",
     4,
     {{2, {2, 16}}, {4, {1, 2, 3, 16}}, {2, {2, 48}}, {2, {3, 3}}},
     build_vector_gate_isotropic,
     false,
     false,
     8},
    {"gated", 1, {{3, {2, 3, 8}}}, build_gated, true, false, 0},
    {"linear gelu", 3, {{3, {2, 3, 4}}, {2, {4, 5}}, {1, {5}}}, build_linear_gelu, true, false, 0},
    {"linear gelu, no bias",
     2,
     {{2, {3, 4}}, {2, {4, 5}}},
     build_linear_gelu_plain,
     true,
     false,
     0},
    {"lstm", 2, {{3, {4, 2, 12}}, {2, {3, 12}}}, build_lstm, false, false, 0},
    {"lstm reverse", 2, {{3, {4, 2, 12}}, {2, {3, 12}}}, build_lstm_reverse, false, false, 0},
    {"lstm one step", 2, {{3, {1, 2, 12}}, {2, {3, 12}}}, build_lstm, false, false, 0},
    ONE(sync, X357),
    {"tanh, silu, matmul, softmax", 2, {{2, {3, 4}}, {2, {5, 4}}}, build_chain, true, false, 0},
};

/* bn_apply needs the sums of its batch and xent labels: both are in the programs of
 * tests/grad/models.c. */
static bool is_elsewhere(int op)
{
    return op == ASTER_OP_bn_apply || op == ASTER_OP_xent;
}

static void refuse_transposed(struct aster_ctx *ctx)
{
    struct aster_program *p = NULL;
    if (!tap_ok(aster_program_new(ctx, "two matrices", ASTER_F64, &p) == 0, "a program"))
        return;
    aster_val w = constant_shape(p, "w", 2, (int64_t[]){4, 5}),
              t = constant_shape(p, "t", 2, (int64_t[]){4, 5});
    aster_program_transposed(p, w, t);
    aster_emit_output(p, "w", w);
    tap_ok(aster_program_finish(p) == ASTER_EBUG, "a transpose of other sizes is refused");
    aster_program_free(&p);
}

int main(void)
{
    struct aster_ctx *ctx = NULL;
    if (aster_ctx_new(&ctx) < 0)
        return 99;
    for (int isa = 0; isa < ASTER_N_ISAS; isa++) {
        if (!aster_isa_here((enum aster_isa)isa))
            continue;
        tap_note("%s", aster_isa_name((enum aster_isa)isa));
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            check(ctx, aster_backend_cpu((enum aster_isa)isa), &cases[k]);
    }
    refuse_transposed(ctx);
    for (int k = 0; k < ASTER_N_OPS; k++)
        if (aster_op_descs[k]->grad && !is_elsewhere(k))
            tap_ok(has_case[k], "%s has a derivative and a case",
                   aster_op_name((enum aster_op_kind)k));
    aster_ctx_free(&ctx);
    return tap_done();
}
