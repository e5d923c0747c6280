/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch and layer normalisation, softmax: shapes and derivatives. */
#include "program/internal.h"

#include <string.h>

/* attribute i[2] of bn_apply: where its moments come from, so that its derivative knows */
enum { BN_FIXED, BN_BATCH, BN_SYNC };

static aster_sz last(const struct aster_program *p, aster_val v)
{
    return aster_val_dim(p, v, -1);
}

static int stats_out(struct aster_program *p, struct op *o, aster_sz c)
{
    return aster_op_set_out(p, o, 0, ASTER_F64, 2, (aster_sz[]){aster_size(p, 2), c});
}

static int infer_bn_stats(struct aster_program *p, struct op *o)
{
    if (aster_val_rank(p, o->in[0]) < 2)
        return aster_infer_fail(p, o, "x [.., C] is expected");
    return stats_out(p, o, last(p, o->in[0]));
}

static int check_stats(struct aster_program *p, struct op *o, int k, aster_sz c)
{
    const struct value *v = aster_value(p, o->in[k]);
    if (v->dtype != ASTER_F64 || v->rank != 2 || !aster_size_is(p, v->dim[0], 2) ||
        !aster_size_same(p, v->dim[1], c))
        return aster_infer_fail(p, o, "input %d: f64 [2, C] is expected", k);
    return 0;
}

static int infer_bn_moments(struct aster_program *p, struct op *o)
{
    ASTER_TRY(check_stats(p, o, 0, last(p, o->in[0])));
    return stats_out(p, o, last(p, o->in[0]));
}

static int infer_bn_apply(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]);
    ASTER_TRY(check_stats(p, o, 1, last(p, o->in[0])));
    for (int k = 2; k < 4; k++)
        if (aster_val_rank(p, o->in[k]) != 1 ||
            !aster_size_same(p, last(p, o->in[k]), last(p, o->in[0])))
            return aster_infer_fail(p, o, "input %d: [C] is expected", k);
    if (o->f[1] != 0 && o->i[0] != ASTER_ACT_RELU)
        return aster_infer_fail(p, o, "dropout is fused behind relu only");
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim);
}

static int infer_bn_dstats(struct aster_program *p, struct op *o)
{
    return stats_out(p, o, last(p, o->in[0]));
}

static int infer_bn_dx(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]);
    ASTER_TRY(check_stats(p, o, 5, last(p, o->in[0])));
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim);
}

static aster_val add_like(struct aster_program *p, enum aster_op_kind kind, const struct op *apply,
                          int n, const aster_val *in)
{
    for (int k = 0; k < n; k++)
        if (in[k] < 0)
            return -1;
    struct op o = aster_op_start(kind, n, in);
    for (int k = 0; k < 2; k++) {
        o.i[k] = apply->i[k];
        o.f[k] = apply->f[k];
    }
    o.s[0] = apply->s[0];
    return aster_op_add(p, &o);
}

/* row of f64 [2, C] as real [C] */
static aster_val row_real(struct aster_program *p, aster_val stats, int row, enum aster_dtype t)
{
    aster_sz c = last(p, stats);
    aster_val r = aster_emit_slice(p, stats, 0, aster_size(p, row), aster_size(p, 1));
    return aster_emit_cast(p, aster_emit_reshape(p, r, 1, &c), t);
}

static void grad_bn_apply(struct aster_program *p, const struct op *o, const bool *want,
                          const aster_val *dout, aster_val *din)
{
    aster_val x = o->in[0], moments = o->in[1], gamma = o->in[2], y = o->out[0], g = dout[0];
    aster_val part = add_like(p, ASTER_OP_bn_dstats, o, 4, (aster_val[]){g, y, x, moments});
    if (want[2])
        din[2] = row_real(p, part, 1, aster_val_dtype(p, gamma));
    if (want[3])
        din[3] = row_real(p, part, 0, aster_val_dtype(p, gamma));
    if (!want[0])
        return;
    aster_val total = o->i[2] == BN_SYNC ? aster_emit_sync_sum(p, part) : part;
    if (o->i[2] == BN_FIXED)
        total = aster_emit_affine(p, part, 0, 0);
    din[0] = add_like(p, ASTER_OP_bn_dx, o, 6, (aster_val[]){g, y, x, moments, gamma, total});
}

static double flops_bn(const struct aster_args *a)
{
    double n = 6;
    for (int k = 0; k < a->in[0].rank; k++)
        n *= (double)a->in[0].dim[k];
    return n;
}

const struct op_desc aster_desc_bn_stats = {"bn_stats", infer_bn_stats, NULL, flops_bn,
                                            0,          NULL,           NULL};
const struct op_desc aster_desc_bn_moments = {"bn_moments", infer_bn_moments, NULL, NULL, 0, NULL,
                                              NULL};
const struct op_desc aster_desc_bn_apply = {"bn_apply", infer_bn_apply, grad_bn_apply, flops_bn,
                                            OP_ROWWISE, NULL,           NULL};
const struct op_desc aster_desc_bn_dstats = {"bn_dstats", infer_bn_dstats, NULL, flops_bn, 0, NULL,
                                             NULL};
const struct op_desc aster_desc_bn_dx = {"bn_dx", infer_bn_dx, NULL, flops_bn, 0, NULL, NULL};

static aster_val moments_of_batch(struct aster_program *p, aster_val x, const struct aster_bn *bn,
                                  aster_val mean, aster_val var)
{
    struct op s = aster_op_start(ASTER_OP_bn_stats, 1, &x);
    aster_val stats = aster_op_add(p, &s);
    if (bn->sync)
        stats = aster_emit_sync_sum(p, stats);
    if (stats < 0)
        return -1;
    struct op m = aster_op_start(ASTER_OP_bn_moments, 1, &stats);
    m.s[0] = bn->count;
    aster_val moments = aster_op_add(p, &m);
    if (moments < 0)
        return -1;
    char name[256];
    snprintf(name, sizeof name, "%s.running_mean", bn->name);
    aster_emit_aux(p, name, aster_emit_affine(p, row_real(p, moments, 0, ASTER_F64), 1, 0));
    snprintf(name, sizeof name, "%s.running_var", bn->name);
    aster_val v = row_real(p, moments, 1, ASTER_F64);
    aster_sz less = aster_size_sub(p, bn->count, aster_size(p, 1));
    aster_emit_aux(p, name,
                   aster_emit_binary(p, ASTER_BIN_ADD, v, aster_emit_scale_by_size(p, v, 1, less)));
    return moments;
}

/* The parameter or buffer PREFIX.NAME, -1 if there is none. */
static aster_val external(int64_t n, const struct aster_param_info *info, const aster_val *value,
                          const char *prefix, const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "%s.%s", prefix, name);
    for (int64_t k = 0; k < n; k++)
        if (!strcmp(info[k].name, text))
            return value[k];
    return -1;
}

void aster_emit_batchnorm_params(struct aster_program *p, const char *prefix, int64_t n)
{
    char name[256];
    if (external(p->n_param, p->param, p->param_value, prefix, "weight") >= 0)
        return;
    snprintf(name, sizeof name, "%s.weight", prefix);
    aster_emit_param(p, name, 1, &n, ASTER_LAYOUT_SAME, (struct aster_init){0, 1}, 0);
    snprintf(name, sizeof name, "%s.bias", prefix);
    aster_emit_param(p, name, 1, &n, ASTER_LAYOUT_SAME, (struct aster_init){0, 0}, 0);
    snprintf(name, sizeof name, "%s.running_mean", prefix);
    aster_emit_buffer(p, name, n, 0);
    snprintf(name, sizeof name, "%s.running_var", prefix);
    aster_emit_buffer(p, name, n, 1);
}

aster_val aster_emit_batchnorm(struct aster_program *p, aster_val x, const struct aster_bn *bn)
{
    if (x < 0)
        return -1;
    aster_sz c = last(p, x);
    if (p->size[c].kind != SIZE_CONST) {
        aster_fail(p->ctx, ASTER_EBUG, "program %s, %s: the number of channels must be a constant",
                   p->name, bn->name);
        p->failed = true;
        return -1;
    }
    aster_emit_batchnorm_params(p, bn->name, p->size[c].n);
    aster_val gamma = external(p->n_param, p->param, p->param_value, bn->name, "weight");
    aster_val beta = external(p->n_param, p->param, p->param_value, bn->name, "bias");
    aster_val mean = external(p->n_buffer, p->buffer, p->buffer_value, bn->name, "running_mean");
    aster_val var = external(p->n_buffer, p->buffer, p->buffer_value, bn->name, "running_var");
    aster_sz row[2] = {aster_size(p, 1), c};
    aster_val moments = bn->training
                            ? moments_of_batch(p, x, bn, mean, var)
                            : aster_emit_concat(p, 2,
                                                (aster_val[]){aster_emit_reshape(p, mean, 2, row),
                                                              aster_emit_reshape(p, var, 2, row)},
                                                0);
    if (moments < 0 || gamma < 0 || beta < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_bn_apply, 4, (aster_val[]){x, moments, gamma, beta});
    o.i[0] = bn->act;
    o.f[0] = bn->eps;
    if (bn->training && bn->dropout != 0) {
        o.f[1] = bn->dropout;
        o.i[1] = p->n_dropout++;
    }
    o.i[2] = !bn->training ? BN_FIXED : bn->sync ? BN_SYNC : BN_BATCH;
    o.s[0] = bn->count;
    return aster_op_add(p, &o);
}

/* ---- layer norm ---- */

static int infer_layernorm(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]);
    if (x.rank < 1)
        return aster_infer_fail(p, o, "x [.., D] is expected");
    for (int k = 1; k < 3; k++)
        if (aster_val_rank(p, o->in[k]) != 1 ||
            !aster_size_same(p, last(p, o->in[k]), x.dim[x.rank - 1]))
            return aster_infer_fail(p, o, "input %d: [D] is expected", k);
    ASTER_TRY(aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim));
    x.dim[x.rank - 1] = aster_size(p, 2);
    return aster_op_set_out(p, o, 1, x.dtype, x.rank, x.dim);
}

aster_val aster_emit_layernorm(struct aster_program *p, aster_val x, aster_val gamma,
                               aster_val beta, double eps)
{
    if (x < 0 || gamma < 0 || beta < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_layernorm, 3, (aster_val[]){x, gamma, beta});
    o.f[0] = eps;
    return aster_op_add(p, &o);
}

static int infer_layernorm_dx(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[1]), g = *aster_value(p, o->in[2]);
    ASTER_TRY(aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim));
    ASTER_TRY(aster_op_set_out(p, o, 1, x.dtype, 1, g.dim));
    return aster_op_set_out(p, o, 2, x.dtype, 1, g.dim);
}

static void grad_layernorm(struct aster_program *p, const struct op *o, const bool *want,
                           const aster_val *dout, aster_val *din)
{
    struct op d = aster_op_start(ASTER_OP_layernorm_dx, 4,
                                 (aster_val[]){dout[0], o->in[0], o->in[1], o->out[1]});
    d.f[0] = o->f[0];
    if (dout[0] < 0 || aster_op_add(p, &d) < 0)
        return;
    for (int k = 0; k < 3; k++)
        din[k] = d.out[k];
}

const struct op_desc aster_desc_layernorm = {
    "layernorm", infer_layernorm, grad_layernorm, flops_bn, OP_ROWWISE, NULL, NULL};
const struct op_desc aster_desc_layernorm_dx = {
    "layernorm_dx", infer_layernorm_dx, NULL, flops_bn, 0, NULL, NULL};

/* ---- softmax ---- */

static int infer_softmax(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]);
    if (x.rank < 1 || (o->n_in == 2 && aster_val_rank(p, o->in[1]) != x.rank))
        return aster_infer_fail(p, o, "x [.., K] is expected");
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim);
}

static aster_val emit_softmax_dx(struct aster_program *p, aster_val y, aster_val dy)
{
    if (y < 0 || dy < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_softmax_dx, 2, (aster_val[]){y, dy});
    return aster_op_add(p, &o);
}

aster_val aster_emit_softmax(struct aster_program *p, aster_val x)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_softmax, 1, &x);
    return aster_op_add(p, &o);
}

static void grad_softmax(struct aster_program *p, const struct op *o, const bool *want,
                         const aster_val *dout, aster_val *din)
{
    din[0] = emit_softmax_dx(p, o->out[0], dout[0]);
}

/* dx = y (dy - sum(y dy)): for g, d/d dy = softmax_dx(y, g), d/dy = g (dy - s) - dy sum(y g) */
static void grad_softmax_dx(struct aster_program *p, const struct op *o, const bool *want,
                            const aster_val *dout, aster_val *din)
{
    aster_val y = o->in[0], dy = o->in[1], g = dout[0];
    if (want[1])
        din[1] = emit_softmax_dx(p, y, g);
    if (!want[0])
        return;
    aster_sz dim[ASTER_MAX_RANK];
    int rank = aster_val_rank(p, y);
    for (int k = 0; k < rank; k++)
        dim[k] = k == rank - 1 ? aster_size(p, 1) : aster_val_dim(p, y, k);
    aster_val s = aster_emit_sum_to(p, aster_emit_binary(p, ASTER_BIN_MUL, y, dy), dim);
    aster_val r = aster_emit_sum_to(p, aster_emit_binary(p, ASTER_BIN_MUL, y, g), dim);
    din[0] = aster_emit_binary(
        p, ASTER_BIN_SUB,
        aster_emit_binary(p, ASTER_BIN_MUL, g, aster_emit_binary(p, ASTER_BIN_SUB, dy, s)),
        aster_emit_binary(p, ASTER_BIN_MUL, dy, r));
}

const struct op_desc aster_desc_softmax = {"softmax",  infer_softmax, grad_softmax, flops_bn,
                                           OP_ROWWISE, NULL,          NULL};
const struct op_desc aster_desc_softmax_dx = {
    "softmax_dx", infer_softmax, grad_softmax_dx, flops_bn, OP_ROWWISE, NULL, NULL};
