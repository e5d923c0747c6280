/* SPDX-License-Identifier: BSD-3-Clause */
/* Elementwise ops: shapes and derivatives. */
#include "program/internal.h"

static int infer_like_first(struct aster_program *p, struct op *o)
{
    const struct value *x = aster_value(p, o->in[0]);
    for (int k = 0; k < o->n_in; k++) {
        const struct value *y = aster_value(p, o->in[k]);
        if (y->dtype != x->dtype || y->rank != x->rank)
            return aster_infer_fail(p, o, "inputs of one dtype and shape are expected");
        for (int d = 0; d < x->rank; d++)
            if (!aster_size_same(p, x->dim[d], y->dim[d]))
                return aster_infer_fail(p, o, "inputs of one shape are expected");
    }
    if (x->dtype != ASTER_F32 && x->dtype != ASTER_F64)
        return aster_infer_fail(p, o, "f32 or f64 is expected");
    return aster_op_set_out(p, o, 0, x->dtype, x->rank, x->dim);
}

static aster_val emit_fn(struct aster_program *p, enum aster_op_kind kind, enum aster_fn fn, int n,
                         const aster_val *in)
{
    for (int k = 0; k < n; k++)
        if (in[k] < 0)
            return -1;
    struct op o = aster_op_start(kind, n, in);
    o.i[0] = fn;
    return aster_op_add(p, &o);
}

aster_val aster_emit_unary(struct aster_program *p, enum aster_fn fn, aster_val x)
{
    return emit_fn(p, ASTER_OP_unary, fn, 1, &x);
}

static void grad_unary(struct aster_program *p, const struct op *o, const bool *want,
                       const aster_val *dout, aster_val *din)
{
    aster_val in[2] = {o->in[0], dout[0]};
    din[0] = emit_fn(p, ASTER_OP_unary_grad, (enum aster_fn)o->i[0], 2, in);
}

static void grad_unary_grad(struct aster_program *p, const struct op *o, const bool *want,
                            const aster_val *dout, aster_val *din)
{
    if (want[0]) {
        aster_val in[3] = {o->in[0], o->in[1], dout[0]};
        din[0] = emit_fn(p, ASTER_OP_unary_grad2, (enum aster_fn)o->i[0], 3, in);
    }
    if (want[1]) {
        aster_val in[2] = {o->in[0], dout[0]};
        din[1] = emit_fn(p, ASTER_OP_unary_grad, (enum aster_fn)o->i[0], 2, in);
    }
}

static double flops_unary(const struct aster_args *a)
{
    double n = 1;
    for (int k = 0; k < a->out[0].rank; k++)
        n *= (double)a->out[0].dim[k];
    return n * (a->i[0] == ASTER_FN_RELU ? 1 : 10);
}

const struct op_desc aster_desc_unary = {
    "unary", infer_like_first, grad_unary, flops_unary, OP_ELEMENTWISE | OP_ROWWISE, NULL, NULL};
const struct op_desc aster_desc_unary_grad = {
    "unary_grad", infer_like_first, grad_unary_grad, flops_unary, OP_ELEMENTWISE | OP_ROWWISE, NULL,
    NULL};
const struct op_desc aster_desc_unary_grad2 = {
    "unary_grad2", infer_like_first, NULL, flops_unary, OP_ELEMENTWISE | OP_ROWWISE, NULL, NULL};

/* ---- gates ---- */

static int infer_gated(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]);
    if (x.rank < 1 || !aster_is_real(p, o->in[0]))
        return aster_infer_fail(p, o, "x [.., 2 n] is expected");
    aster_sz n = aster_size_div(p, x.dim[x.rank - 1], 2);
    if (!aster_size_same(p, aster_size_mul(p, n, aster_size(p, 2)), x.dim[x.rank - 1]))
        return aster_infer_fail(p, o, "an even last axis is expected");
    x.dim[x.rank - 1] = n;
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim);
}

aster_val aster_emit_gated(struct aster_program *p, aster_val x)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_gated, 1, &x);
    return aster_op_add(p, &o);
}

static void grad_gated(struct aster_program *p, const struct op *o, const bool *want,
                       const aster_val *dout, aster_val *din)
{
    int last = aster_val_rank(p, o->in[0]) - 1;
    aster_sz n = aster_val_dim(p, o->out[0], last);
    aster_val gate = aster_emit_slice(p, o->in[0], last, aster_size(p, 0), n),
              x = aster_emit_slice(p, o->in[0], last, n, n);
    aster_val in[2] = {gate, aster_emit_binary(p, ASTER_BIN_MUL, dout[0], x)};
    aster_val both[2] = {
        emit_fn(p, ASTER_OP_unary_grad, ASTER_FN_GELU, 2, in),
        aster_emit_binary(p, ASTER_BIN_MUL, dout[0], aster_emit_unary(p, ASTER_FN_GELU, gate))};
    din[0] = aster_emit_concat(p, 2, both, last);
}

static double flops_gated(const struct aster_args *a)
{
    double n = 11;
    for (int k = 0; k < a->out[0].rank; k++)
        n *= (double)a->out[0].dim[k];
    return n;
}

const struct op_desc aster_desc_gated = {"gated",    infer_gated, grad_gated, flops_gated,
                                         OP_ROWWISE, NULL,        NULL};

/* ---- binary ---- */

static int infer_binary(struct aster_program *p, struct op *o)
{
    const struct value *a = aster_value(p, o->in[0]), *b = aster_value(p, o->in[1]);
    if (a->rank != b->rank || a->dtype != b->dtype)
        return aster_infer_fail(p, o, "equal ranks and dtypes are expected");
    if (a->dtype != ASTER_F32 && a->dtype != ASTER_F64)
        return aster_infer_fail(p, o, "f32 or f64 is expected");
    aster_sz dim[ASTER_MAX_RANK];
    for (int k = 0; k < a->rank; k++) {
        if (aster_size_same(p, a->dim[k], b->dim[k]) || aster_size_is(p, b->dim[k], 1))
            dim[k] = a->dim[k];
        else if (aster_size_is(p, a->dim[k], 1))
            dim[k] = b->dim[k];
        else
            return aster_infer_fail(p, o, "axis %d is neither equal nor 1", k);
    }
    return aster_op_set_out(p, o, 0, a->dtype, a->rank, dim);
}

aster_val aster_emit_binary(struct aster_program *p, enum aster_binary kind, aster_val a,
                            aster_val b)
{
    if (a < 0 || b < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_binary, 2, (aster_val[]){a, b});
    o.i[0] = kind;
    return aster_op_add(p, &o);
}

/* d summed to the shape of like, when that was broadcast */
static aster_val sum_like(struct aster_program *p, aster_val d, aster_val like)
{
    if (d < 0 || like < 0)
        return -1;
    aster_sz dim[ASTER_MAX_RANK];
    bool same = true;
    for (int k = 0; k < aster_value(p, like)->rank; k++) {
        dim[k] = aster_value(p, like)->dim[k];
        same &= aster_size_same(p, dim[k], aster_value(p, d)->dim[k]);
    }
    return same ? d : aster_emit_sum_to(p, d, dim);
}

static void grad_binary(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    aster_val a = o->in[0], b = o->in[1], g = dout[0];
    switch (o->i[0]) {
    case ASTER_BIN_ADD:
    case ASTER_BIN_SUB:
        if (want[0])
            din[0] = sum_like(p, g, a);
        if (want[1])
            din[1] = sum_like(p, o->i[0] == ASTER_BIN_ADD ? g : aster_emit_affine(p, g, -1, 0), b);
        break;
    case ASTER_BIN_MUL:
        if (want[0])
            din[0] = sum_like(p, aster_emit_binary(p, ASTER_BIN_MUL, g, b), a);
        if (want[1])
            din[1] = sum_like(p, aster_emit_binary(p, ASTER_BIN_MUL, g, a), b);
        break;
    default: {
        aster_val q = aster_emit_binary(p, ASTER_BIN_DIV, g, b);
        if (want[0])
            din[0] = sum_like(p, q, a);
        if (want[1])
            din[1] = sum_like(
                p, aster_emit_affine(p, aster_emit_binary(p, ASTER_BIN_MUL, q, o->out[0]), -1, 0),
                b);
    }
    }
}

const struct op_desc aster_desc_binary = {
    "binary", infer_binary, grad_binary, NULL, OP_ELEMENTWISE | OP_ROWWISE, NULL, NULL};

/* ---- affine ---- */

static int infer_affine(struct aster_program *p, struct op *o)
{
    return infer_like_first(p, o);
}

aster_val aster_emit_scale_by_size(struct aster_program *p, aster_val x, double scale,
                                   aster_sz divisor)
{
    if (x < 0 || divisor < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_affine, 1, &x);
    o.f[0] = scale;
    o.s[0] = divisor;
    return aster_op_add(p, &o);
}

aster_val aster_emit_affine(struct aster_program *p, aster_val x, double scale, double shift)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_affine, 1, &x);
    o.f[0] = scale;
    o.f[1] = shift;
    o.s[0] = aster_size(p, 1);
    return aster_op_add(p, &o);
}

static void grad_affine(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    din[0] = aster_emit_scale_by_size(p, dout[0], o->f[0], o->s[0]);
}

const struct op_desc aster_desc_affine = {
    "affine", infer_affine, grad_affine, NULL, OP_ELEMENTWISE | OP_ROWWISE, NULL, NULL};

/* ---- dropout ---- */

static int infer_dropout(struct aster_program *p, struct op *o)
{
    if (o->f[0] < 0 || !(o->f[0] < 1))
        return aster_infer_fail(p, o, "probability %g, expected 0 <= p < 1", o->f[0]);
    if (o->i[1] < 0 || o->i[1] >= aster_value(p, o->in[0])->rank)
        return aster_infer_fail(p, o, "no axis %lld", (long long)o->i[1]);
    return infer_like_first(p, o);
}

static aster_val emit_dropout(struct aster_program *p, aster_val x, double prob, int64_t key,
                              int64_t axis)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_dropout, 1, &x);
    o.f[0] = prob;
    o.i[0] = key;
    o.i[1] = axis;
    return aster_op_add(p, &o);
}

aster_val aster_emit_dropout(struct aster_program *p, aster_val x, double prob, int batch_axis)
{
    return prob == 0 ? x : emit_dropout(p, x, prob, p->n_dropout++, batch_axis);
}

static void grad_dropout(struct aster_program *p, const struct op *o, const bool *want,
                         const aster_val *dout, aster_val *din)
{
    din[0] = emit_dropout(p, dout[0], o->f[0], o->i[0], o->i[1]);
}

const struct op_desc aster_desc_dropout = {"dropout", infer_dropout, grad_dropout, NULL,
                                           0,         NULL,          NULL};

/* ---- cast ---- */

static int infer_cast(struct aster_program *p, struct op *o)
{
    const struct value *x = aster_value(p, o->in[0]);
    return aster_op_set_out(p, o, 0, (enum aster_dtype)o->i[0], x->rank, x->dim);
}

aster_val aster_emit_cast(struct aster_program *p, aster_val x, enum aster_dtype t)
{
    if (x < 0 || aster_val_dtype(p, x) == t)
        return x;
    struct op o = aster_op_start(ASTER_OP_cast, 1, &x);
    o.i[0] = t;
    return aster_op_add(p, &o);
}

static void grad_cast(struct aster_program *p, const struct op *o, const bool *want,
                      const aster_val *dout, aster_val *din)
{
    din[0] = aster_emit_cast(p, dout[0], aster_val_dtype(p, o->in[0]));
}

const struct op_desc aster_desc_cast = {"cast",     infer_cast, grad_cast, NULL,
                                        OP_ROWWISE, NULL,       NULL};
