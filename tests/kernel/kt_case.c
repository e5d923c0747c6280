/* SPDX-License-Identifier: BSD-3-Clause */
/* Building a case, and running it on every instruction set: result, memory, poison, batch of one,
 * in place. */
#include "kt_inner.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "poison.h"

static uint64_t next_random(struct kt *t)
{
    uint64_t z = t->random += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

double kt_uniform(struct kt *t, double low, double high)
{
    return low + (high - low) * ((double)(next_random(t) >> 11) * 0x1p-53);
}

int64_t kt_below(struct kt *t, int64_t n)
{
    return (int64_t)(next_random(t) % (uint64_t)n);
}

void kt_fill(struct kt *t, int64_t n, double *v, double low, double high)
{
    for (int64_t k = 0; k < n; k++)
        v[k] = kt_uniform(t, low, high);
}

void kt_fill_below(struct kt *t, int64_t n, double *v, int64_t limit)
{
    for (int64_t k = 0; k < n; k++)
        v[k] = (double)kt_below(t, limit);
}

int64_t kt_cut(int64_t n, int64_t most)
{
    for (int k = 0; k < kt_n_targets(); k++)
        if (kt_target(k)->is_slow && n > most)
            return most;
    return n;
}

enum aster_dtype kt_real(const struct kt *t)
{
    return t->real;
}

/* To so many bits of mantissa, in the range of f32 */
static void round_to(int bits, int64_t n, double *v)
{
    for (int64_t k = 0; k < n; k++) {
        int e;
        double m = frexp(v[k], &e);
        v[k] = isfinite(v[k]) ? ldexp(rint(ldexp(m, bits)), e - bits) : v[k];
        if (fabs(v[k]) >= 0x1p128)
            v[k] = copysign((double)INFINITY, v[k]);
    }
}

void kt_round(enum aster_dtype dtype, int64_t n, double *v)
{
    for (int64_t k = 0; dtype == ASTER_F32 && k < n; k++)
        v[k] = (double)(float)v[k];
    if (dtype == ASTER_BF16)
        round_to(8, n, v);
}

void kt_round_operand(const struct kt *t, int64_t n, double *v)
{
    if (t->products != ASTER_PRODUCTS_FULL)
        round_to(t->products == ASTER_PRODUCTS_TF32 ? 11 : 8, n, v);
}

struct kt_case *kt_case_new(struct kt *t, const char *fmt, ...)
{
    struct kt_case *c = calloc(1, sizeof *c);
    va_list ap;
    if (!c)
        abort();
    c->t = t;
    va_start(ap, fmt);
    vsnprintf(c->label, sizeof c->label, fmt, ap);
    va_end(ap);
    c->s[0] = c->s[1] = 1;
    c->seed = 20240229;
    c->step = 7;
    c->sample0 = 96;
    return c;
}

static double *tensor_new(struct kt_case *c, struct kt_tensor *t, enum aster_dtype dtype, int batch,
                          int rank, const int64_t *dim)
{
    *t = (struct kt_tensor){
        .dtype = dtype == KT_REAL ? c->t->real : dtype, .batch = batch, .rank = rank, .n = 1};
    for (int k = 0; k < rank; k++) {
        t->dim[k] = dim[k];
        t->n *= dim[k];
    }
    t->v = calloc((size_t)t->n + 1, sizeof *t->v);
    if (!t->v)
        abort();
    return t->v;
}

double *kt_in(struct kt_case *c, enum aster_dtype dtype, int batch, int rank, const int64_t *dim)
{
    struct kt_tensor *t = &c->in[c->n_in++];
    double *v = tensor_new(c, t, dtype, batch, rank, dim);
    if (t->dtype == ASTER_F32 || t->dtype == ASTER_F64 || t->dtype == ASTER_BF16)
        kt_fill(c->t, t->n, v, -1, 1);
    return v;
}

double *kt_out(struct kt_case *c, enum aster_dtype dtype, int batch, int rank, const int64_t *dim)
{
    return tensor_new(c, &c->out[c->n_out++], dtype, batch, rank, dim);
}

void kt_in_absent(struct kt_case *c)
{
    c->in[c->n_in++] = (struct kt_tensor){.batch = KT_NO_BATCH};
}

void kt_like(struct kt_case *c, bool output, const struct kt_tensor *other)
{
    if (output)
        kt_out(c, other->dtype, other->batch, other->rank, other->dim);
    else
        kt_in(c, other->dtype, other->batch, other->rank, other->dim);
}

static void failed(struct kt_case *c, int at, const char *fmt, ...) ASTER_PRINTF(3, 4);
static void failed(struct kt_case *c, int at, const char *fmt, ...)
{
    struct kt_result *r = &c->t->result[at];
    if (r->failures++ > 0)
        return;
    int n = snprintf(r->first, sizeof r->first, "%s: ", c->label);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->first + n, sizeof r->first - (size_t)n, fmt, ap);
    va_end(ap);
}

static bool same_bits(const struct kt_call *x, const struct kt_call *y)
{
    for (int k = 0; k < x->a.n_out; k++)
        if (memcmp(x->a.out[k].p, y->a.out[k].p, (size_t)x->out[k].bytes) != 0)
            return false;
    return true;
}

static void check_result(struct kt_case *c, int at, const struct kt_call *call)
{
    struct kt_result *r = &c->t->result[at];
    for (int k = 0; k < c->n_out; k++) {
        double e = kt_error(c, k, call->a.out[k].p);
        if (!(e <= r->worst))
            r->worst = e;
        if (!(e <= c->t->tolerance->limit))
            failed(c, at, "output %d is off by %.3g, allowed %.3g", k, e, c->t->tolerance->limit);
    }
    if (memcmp(call->status, c->status, sizeof c->status) != 0)
        failed(c, at, "status of the samples is not as expected");
}

/* Under the poison table the bits are the same, and nothing is caught. */
static void check_poison(struct kt_case *c, int at, const struct kt_call *plain)
{
    struct kt_call call;
    kt_call_new(&call, c, -1, -1);
    const char *wrong = kt_call_run(&call, kt_target(at), c->t->op, KT_POISON);
    if (wrong || aster_poison_error())
        failed(c, at, "under poison: %s", wrong ? wrong : aster_poison_error());
    else if (!same_bits(plain, &call))
        failed(c, at, "under poison: other bits");
    kt_call_free(&call);
}

static void check_in_place(struct kt_case *c, int at, const struct kt_call *plain)
{
    for (int k = 0; k < c->n_in; k++) {
        if (!c->in_place[k])
            continue;
        struct kt_call call;
        kt_call_new(&call, c, -1, k);
        const char *wrong = kt_call_run(&call, kt_target(at), c->t->op, KT_OTHER);
        if (wrong)
            failed(c, at, "in place of input %d: %s", k, wrong);
        else if (!same_bits(plain, &call))
            failed(c, at, "in place of input %d: other bits", k);
        kt_call_free(&call);
    }
}

static int64_t n_samples(const struct kt_case *c)
{
    for (int k = 0; k < c->n_in; k++)
        if (c->in[k].v && c->in[k].batch >= 0)
            return c->in[k].dim[c->in[k].batch];
    return 0;
}

/* A sample alone gives the bits it has in the batch. */
static void check_batch(struct kt_case *c, int at, const struct kt_call *plain)
{
    int64_t n = n_samples(c);
    for (int64_t b = 0; n > 1 && b < n; b++) {
        struct kt_call call;
        if (b >= kt_target(at)->n_alone && b + kt_target(at)->n_alone < n)
            continue;
        kt_call_new(&call, c, b, -1);
        const char *wrong = kt_call_run(&call, kt_target(at), c->t->op, KT_OTHER);
        if (wrong)
            failed(c, at, "sample %d alone: %s", (int)b, wrong);
        for (int k = 0; k < c->n_out; k++) {
            if (c->out[k].batch < 0)
                continue;
            char *alone = malloc((size_t)call.out[k].bytes + 1);
            kt_sample_bytes(&c->out[k], b, plain->a.out[k].p, alone, false);
            if (memcmp(alone, call.out[k].p, (size_t)call.out[k].bytes) != 0)
                failed(c, at, "sample %d alone: other bits than in the batch", (int)b);
            free(alone);
        }
        kt_call_free(&call);
    }
}

static void case_free(struct kt_case *c)
{
    for (int k = 0; k < c->n_in; k++)
        free(c->in[k].v);
    for (int k = 0; k < c->n_out; k++)
        free(c->out[k].v);
    free(c);
}

/* The inputs that an op multiplies, by their bits */
static unsigned operands_of(enum aster_op_kind op)
{
    switch (op) {
    case ASTER_OP_lstm:
        return 1U << 1;
    case ASTER_OP_lstm_dx:
        return 1U << 3;
    default:
        return 3;
    }
}

static void refer(struct kt_case *c, kt_reference *reference)
{
    double *whole[ASTER_MAX_IN] = {NULL};
    for (int k = 0; k < c->n_in && c->t->products != ASTER_PRODUCTS_FULL; k++) {
        struct kt_tensor *t = &c->in[k];
        if (!(operands_of(c->t->op) >> k & 1))
            continue;
        whole[k] = t->v;
        t->v = malloc((size_t)t->n * sizeof *t->v + 1);
        if (!t->v)
            abort();
        memcpy(t->v, whole[k], (size_t)t->n * sizeof *t->v);
        kt_round_operand(c->t, t->n, t->v);
    }
    reference(c);
    for (int k = 0; k < c->n_in; k++)
        if (whole[k]) {
            free(c->in[k].v);
            c->in[k].v = whole[k];
        }
}

/* Counts a result of whole operands that is told from one of rounded operands. */
static void check_whole(struct kt_case *c)
{
    struct kt_call call;
    bool passed = true;
    if (c->t->products == ASTER_PRODUCTS_FULL)
        return;
    kt_call_new(&call, c, -1, -1);
    call.a.products = ASTER_PRODUCTS_FULL;
    if (!kt_call_run(&call, kt_target(0), c->t->op, KT_OTHER))
        for (int k = 0; k < c->n_out; k++)
            passed &= kt_error(c, k, call.a.out[k].p) <= c->t->tolerance->limit;
    c->t->n_whole += !passed;
    kt_call_free(&call);
}

/* Elements of all its tensors, where a case is large or huge */
enum { LARGE = 4096, HUGE_ONE = 20000 };
static int64_t size_of(const struct kt_case *c)
{
    int64_t n = 0;
    for (int k = 0; k < c->n_in; k++)
        n += c->in[k].n;
    for (int k = 0; k < c->n_out; k++)
        n += c->out[k].n;
    return n;
}

/* 0 or 1 for the n-th time, in an order that no period of cases goes with */
static int turn_of(int n)
{
    return __builtin_parity((unsigned)n);
}

/* Rounding to tf32 is tried on one case in five, and either on one in seven of what emulates a GPU:
 * numbers that share no factor with the ways of turning, or of finishing, that cases go through.
 * There huge cases are tried in one of both types, in turns. */
static bool is_left_out(const struct kt_case *c)
{
    if (c->t->products == ASTER_PRODUCTS_FULL && kt_target(0)->is_slow && size_of(c) > HUGE_ONE)
        return turn_of(c->t->n_huge++) != (c->t->real == ASTER_F64);
    int step = c->t->products == ASTER_PRODUCTS_FULL   ? 1
               : kt_target(0)->is_slow                 ? 7
               : c->t->products == ASTER_PRODUCTS_TF32 ? 5
                                                       : 1;
    return c->t->n_cases++ % step != 0;
}

void kt_run(struct kt_case *c, kt_reference *reference)
{
    if (is_left_out(c)) {
        case_free(c);
        return;
    }
    for (int k = 0; k < c->n_in; k++)
        if (c->in[k].v)
            kt_round(c->in[k].dtype, c->in[k].n, c->in[k].v);
    bool wanted = false;
    for (int at = 0; at < kt_n_targets(); at++)
        wanted |= !c->has_rows || kt_target(at)->ragged;
    if (wanted)
        refer(c, reference);
    for (int at = 0; at < kt_n_targets(); at++) {
        if (c->has_rows && !kt_target(at)->ragged)
            continue;
        struct kt_call call;
        kt_call_new(&call, c, -1, -1);
        c->t->result[at].cases++;
        const char *wrong = kt_call_run(&call, kt_target(at), c->t->op, KT_PLAIN);
        if (wrong)
            failed(c, at, "%s", wrong);
        check_result(c, at, &call);
        const bool is_large = kt_target(at)->is_slow && size_of(c) > LARGE;
        const int turn = is_large ? turn_of(c->t->n_large++) : -1;
        if (c->t->products == ASTER_PRODUCTS_FULL && turn != 1)
            check_poison(c, at, &call);
        if (turn != 0) {
            check_in_place(c, at, &call);
            check_batch(c, at, &call);
        }
        if (at == 0) {
            for (int k = 0; k < c->n_out; k++)
                kt_spoil(c, k, call.a.out[k].p);
            check_whole(c);
        }
        kt_call_free(&call);
    }
    case_free(c);
}
