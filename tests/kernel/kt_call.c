/* SPDX-License-Identifier: BSD-3-Clause */
/* One call of a kernel: memory with guard bands, outputs that start as NaN, inputs that must stay
 * as they are. */
#include "kt_inner.h"

#include <stdlib.h>
#include <string.h>

enum { BAND = 192, BAND_BYTE = 0xa5, FILL_BYTE = 0xff };

static void buffer_new(struct kt_buffer *b, int64_t bytes)
{
    int64_t all = aster_round_up(BAND + bytes + BAND, 64);
    b->base = aligned_alloc(64, (size_t)all);
    if (!b->base)
        abort();
    b->p = b->base + BAND;
    b->bytes = bytes;
    memset(b->base, BAND_BYTE, (size_t)all);
    memset(b->p, FILL_BYTE, (size_t)bytes);
}

static bool buffer_whole(const struct kt_buffer *b)
{
    const unsigned char *before = (const unsigned char *)b->base,
                        *behind = (const unsigned char *)b->p + b->bytes;
    for (int k = 0; b->base && k < BAND; k++)
        if (before[k] != BAND_BYTE || behind[k] != BAND_BYTE)
            return false;
    return true;
}

/* What lies behind an input is NaN: a kernel that lets it count gives itself away. */
static void buffer_for_input(struct kt_buffer *b, int64_t bytes)
{
    buffer_new(b, bytes);
    memset(b->p + bytes, FILL_BYTE, BAND);
}

double kt_load(enum aster_dtype t, const void *p, int64_t k)
{
    switch (t) {
    case ASTER_F32:
        return (double)((const float *)p)[k];
    case ASTER_F64:
        return ((const double *)p)[k];
    case ASTER_BF16:
        return (double)aster_bf16_to_f32(((const uint16_t *)p)[k]);
    case ASTER_I32:
        return (double)((const int32_t *)p)[k];
    case ASTER_I64:
        return (double)((const int64_t *)p)[k];
    default:
        return (double)((const uint8_t *)p)[k];
    }
}

/* v must be exact in t. */
void kt_store(enum aster_dtype t, void *p, int64_t k, double v)
{
    float f = (float)v;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    switch (t) {
    case ASTER_F32:
        ((float *)p)[k] = f;
        break;
    case ASTER_F64:
        ((double *)p)[k] = v;
        break;
    case ASTER_BF16:
        ((uint16_t *)p)[k] = (uint16_t)(u >> 16);
        break;
    case ASTER_I32:
        ((int32_t *)p)[k] = (int32_t)v;
        break;
    case ASTER_I64:
        ((int64_t *)p)[k] = (int64_t)v;
        break;
    default:
        ((uint8_t *)p)[k] = (uint8_t)v;
        break;
    }
}

void kt_sample_bytes(const struct kt_tensor *t, int64_t sample, char *whole, char *alone, bool back)
{
    int64_t outer = 1, inner = aster_dtype_size(t->dtype);
    for (int k = 0; k < t->rank; k++)
        if (k < t->batch)
            outer *= t->dim[k];
        else if (k > t->batch)
            inner *= t->dim[k];
    for (int64_t o = 0; o < outer; o++) {
        char *here = whole + (o * t->dim[t->batch] + sample) * inner;
        if (back)
            memcpy(here, alone + o * inner, (size_t)inner);
        else
            memcpy(alone + o * inner, here, (size_t)inner);
    }
}

static struct aster_tensor describe(const struct kt_tensor *t, int64_t sample, char *p)
{
    struct aster_tensor out = {.p = p, .dtype = t->dtype, .rank = t->rank};
    memcpy(out.dim, t->dim, sizeof out.dim);
    if (sample >= 0 && t->batch >= 0)
        out.dim[t->batch] = 1;
    return out;
}

static int64_t bytes_of(const struct aster_tensor *t)
{
    int64_t n = aster_dtype_size(t->dtype);
    for (int k = 0; k < t->rank; k++)
        n *= t->dim[k];
    return n;
}

static void input_new(struct kt_call *call, int k, const struct kt_tensor *t, int64_t sample)
{
    if (!t->v)
        return; /* absent: p NULL, rank 0 */
    struct aster_tensor *in = &call->a.in[k];
    *in = describe(t, sample, NULL);
    int64_t bytes = bytes_of(in);
    buffer_for_input(&call->in[k], bytes);
    buffer_for_input(&call->before[k], bytes);
    if (sample >= 0 && t->batch >= 0) {
        char *whole = malloc((size_t)(t->n * aster_dtype_size(t->dtype)) + 1);
        for (int64_t j = 0; j < t->n; j++)
            kt_store(t->dtype, whole, j, t->v[j]);
        kt_sample_bytes(t, sample, whole, call->in[k].p, false);
        free(whole);
    } else {
        for (int64_t j = 0; j < t->n; j++)
            kt_store(t->dtype, call->in[k].p, j, t->v[j]);
    }
    memcpy(call->before[k].p, call->in[k].p, (size_t)bytes);
    in->p = call->in[k].p;
}

static int64_t work_bytes(enum aster_op_kind op, const struct aster_args *a)
{
    const char *family = aster_op_family(op);
    if (!strcmp(family, "conv"))
        return aster_work_conv(op, a);
    if (!strcmp(family, "gemm"))
        return aster_work_gemm(op, a);
    if (!strcmp(family, "lstm"))
        return aster_work_lstm(op, a);
    if (!strcmp(family, "attention"))
        return aster_work_attention(op, a);
    if (!strcmp(family, "message"))
        return aster_work_message(op, a);
    return 0;
}

void kt_call_new(struct kt_call *call, const struct kt_case *c, int64_t sample, int in_place)
{
    memset(call, 0, sizeof *call);
    struct aster_args *a = &call->a;
    int64_t first = sample >= 0 ? sample : 0;
    a->n_in = c->n_in;
    a->n_out = c->n_out;
    for (int k = 0; k < c->n_in; k++)
        input_new(call, k, &c->in[k], sample);
    for (int k = 0; k < c->n_out; k++) {
        a->out[k] = describe(&c->out[k], sample, NULL);
        if (k == c->over && in_place >= 0) {
            a->out[k].p = a->in[in_place].p;
            continue;
        }
        buffer_new(&call->out[k], bytes_of(&a->out[k]));
        a->out[k].p = call->out[k].p;
    }
    memcpy(a->i, c->i, sizeof a->i);
    memcpy(a->f, c->f, sizeof a->f);
    memcpy(a->s, c->s, sizeof a->s);
    a->products = c->t->products;
    if (c->has_rows) {
        a->rows = c->rows + first;
        a->rows_in = c->rows_in + first;
    }
    call->run = (struct aster_run_info){c->seed, c->step, c->sample0 + first, call->status};
    a->run = &call->run;
}

void kt_call_free(struct kt_call *call)
{
    for (int k = 0; k < ASTER_MAX_IN; k++) {
        free(call->in[k].base);
        free(call->before[k].base);
    }
    for (int k = 0; k < ASTER_MAX_OUT; k++)
        free(call->out[k].base);
    free(call->work.base);
}

static bool is_output(const struct aster_args *a, const void *p)
{
    for (int k = 0; k < a->n_out; k++)
        if (a->out[k].p == p)
            return true;
    return false;
}

const char *kt_call_run(struct kt_call *call, const struct kt_target *target, enum aster_op_kind op,
                        enum kt_kind kind)
{
    struct aster_args *a = &call->a;
    a->work_bytes = work_bytes(op, a);
    if (a->work_bytes > 0) {
        buffer_new(&call->work, a->work_bytes);
        a->work = call->work.p;
    }
    a->device = target->device;
    if (target->begin)
        target->begin(kind);
    const struct aster_backend *be =
        kind == KT_POISON ? aster_backend_poison(target->be) : target->be;
    be->op[op](a);
    if (target->caught && target->caught())
        return target->caught();
    if (!buffer_whole(&call->work))
        return "wrote beside its workspace";
    for (int k = 0; k < a->n_out; k++)
        if (!buffer_whole(&call->out[k]))
            return "wrote beside its output";
    for (int k = 0; k < a->n_in; k++)
        if (call->in[k].base && !is_output(a, a->in[k].p) &&
            memcmp(call->in[k].base, call->before[k].base,
                   (size_t)(BAND + call->in[k].bytes + BAND)) != 0)
            return "changed an input";
    return NULL;
}
