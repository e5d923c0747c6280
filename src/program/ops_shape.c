/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops that move elements: shapes and derivatives. */
#include "program/internal.h"

static int bad_axis(struct aster_program *p, struct op *o)
{
    return o->i[0] < 0 || o->i[0] >= aster_value(p, o->in[0])->rank
               ? aster_infer_fail(p, o, "no axis %lld", (long long)o->i[0])
               : 0;
}

static int infer_slice(struct aster_program *p, struct op *o)
{
    ASTER_TRY(bad_axis(p, o));
    struct value x = *aster_value(p, o->in[0]);
    if (o->s[0] < 0 || o->s[1] < 0)
        return aster_infer_fail(p, o, "start or length is undefined");
    x.dim[o->i[0]] = o->s[1];
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim);
}

static aster_val emit_slice(struct aster_program *p, enum aster_op_kind kind, aster_val x, int axis,
                            aster_sz start, aster_sz length)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(kind, 1, &x);
    o.i[0] = axis < 0 ? axis + aster_val_rank(p, x) : axis;
    o.s[0] = start;
    o.s[1] = length;
    return aster_op_add(p, &o);
}

aster_val aster_emit_slice(struct aster_program *p, aster_val x, int axis, aster_sz start,
                           aster_sz length)
{
    return emit_slice(p, ASTER_OP_slice, x, axis, start, length);
}

aster_val aster_emit_unslice(struct aster_program *p, aster_val x, int axis, aster_sz start,
                             aster_sz length)
{
    return emit_slice(p, ASTER_OP_unslice, x, axis, start, length);
}

static void grad_slice(struct aster_program *p, const struct op *o, const bool *want,
                       const aster_val *dout, aster_val *din)
{
    din[0] = aster_emit_unslice(p, dout[0], (int)o->i[0], o->s[0],
                                aster_val_dim(p, o->in[0], (int)o->i[0]));
}

static void grad_unslice(struct aster_program *p, const struct op *o, const bool *want,
                         const aster_val *dout, aster_val *din)
{
    din[0] = aster_emit_slice(p, dout[0], (int)o->i[0], o->s[0],
                              aster_val_dim(p, o->in[0], (int)o->i[0]));
}

const struct op_desc aster_desc_slice = {"slice", infer_slice, grad_slice, NULL, 0, NULL, NULL};
const struct op_desc aster_desc_unslice = {"unslice", infer_slice, grad_unslice, NULL,
                                           0,         NULL,        NULL};

static int infer_concat(struct aster_program *p, struct op *o)
{
    ASTER_TRY(bad_axis(p, o));
    struct value x = *aster_value(p, o->in[0]);
    for (int k = 1; k < o->n_in; k++) {
        const struct value *y = aster_value(p, o->in[k]);
        if (y->dtype != x.dtype || y->rank != x.rank)
            return aster_infer_fail(p, o, "equal dtypes and ranks are expected");
        for (int d = 0; d < x.rank; d++)
            if (d == o->i[0])
                x.dim[d] = aster_size_add(p, x.dim[d], y->dim[d]);
            else if (!aster_size_same(p, x.dim[d], y->dim[d]))
                return aster_infer_fail(p, o, "axis %d of input %d differs", d, k);
    }
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim);
}

aster_val aster_emit_concat(struct aster_program *p, int n, const aster_val *x, int axis)
{
    for (int k = 0; k < n; k++)
        if (x[k] < 0)
            return -1;
    if (n < 1 || n > ASTER_MAX_IN)
        return -1;
    struct op o = aster_op_start(ASTER_OP_concat, n, x);
    o.i[0] = axis < 0 ? axis + aster_val_rank(p, x[0]) : axis;
    return aster_op_add(p, &o);
}

static void grad_concat(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    aster_sz start = aster_size(p, 0);
    for (int k = 0; k < o->n_in; k++) {
        aster_sz n = aster_val_dim(p, o->in[k], (int)o->i[0]);
        if (want[k])
            din[k] = aster_emit_slice(p, dout[0], (int)o->i[0], start, n);
        start = aster_size_add(p, start, n);
    }
}

const struct op_desc aster_desc_concat = {"concat", infer_concat, grad_concat, NULL, 0, NULL, NULL};

static int infer_transpose(struct aster_program *p, struct op *o)
{
    const struct value x = *aster_value(p, o->in[0]);
    aster_sz dim[ASTER_MAX_RANK];
    unsigned seen = 0;
    for (int k = 0; k < x.rank; k++) {
        if (o->i[k] < 0 || o->i[k] >= x.rank)
            return aster_infer_fail(p, o, "no axis %lld", (long long)o->i[k]);
        seen |= 1u << o->i[k];
        dim[k] = x.dim[o->i[k]];
    }
    if (seen != (1u << x.rank) - 1)
        return aster_infer_fail(p, o, "an axis is named twice");
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, dim);
}

aster_val aster_emit_transpose(struct aster_program *p, aster_val x, const int *perm)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_transpose, 1, &x);
    for (int k = 0; k < aster_val_rank(p, x); k++)
        o.i[k] = perm[k];
    return aster_op_add(p, &o);
}

static void grad_transpose(struct aster_program *p, const struct op *o, const bool *want,
                           const aster_val *dout, aster_val *din)
{
    int back[ASTER_MAX_RANK] = {0};
    for (int k = 0; k < aster_val_rank(p, o->in[0]); k++)
        back[o->i[k]] = k;
    din[0] = aster_emit_transpose(p, dout[0], back);
}

const struct op_desc aster_desc_transpose = {
    "transpose", infer_transpose, grad_transpose, NULL, 0, NULL, NULL};

static int infer_reshape(struct aster_program *p, struct op *o)
{
    return 0; /* the output was set by emit; that the counts agree is checked when sizes are bound
               */
}

aster_val aster_emit_reshape(struct aster_program *p, aster_val x, int rank, const aster_sz *dims)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_reshape, 1, &x);
    if (p->failed || aster_op_set_out(p, &o, 0, aster_val_dtype(p, x), rank, dims) < 0) {
        p->failed = true;
        return -1;
    }
    return aster_op_add(p, &o);
}

static void grad_reshape(struct aster_program *p, const struct op *o, const bool *want,
                         const aster_val *dout, aster_val *din)
{
    struct value x = *aster_value(p, o->in[0]);
    din[0] = aster_emit_reshape(p, dout[0], x.rank, x.dim);
}

const struct op_desc aster_desc_reshape = {"reshape", infer_reshape, grad_reshape, NULL,
                                           OP_VIEW,   NULL,          NULL};

static int infer_gather(struct aster_program *p, struct op *o)
{
    struct value t = *aster_value(p, o->in[0]), i = *aster_value(p, o->in[1]);
    if (t.rank != 2 || i.dtype != ASTER_I32 || i.rank >= ASTER_MAX_RANK)
        return aster_infer_fail(p, o, "a table [V, D] and i32 indices are expected");
    i.dim[i.rank] = t.dim[1];
    return aster_op_set_out(p, o, 0, t.dtype, i.rank + 1, i.dim);
}

aster_val aster_emit_gather(struct aster_program *p, aster_val table, aster_val idx)
{
    if (table < 0 || idx < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_gather, 2, (aster_val[]){table, idx});
    return aster_op_add(p, &o);
}

static int infer_scatter_add(struct aster_program *p, struct op *o)
{
    struct value d = *aster_value(p, o->in[0]), i = *aster_value(p, o->in[1]);
    if (i.dtype != ASTER_I32 || d.rank != i.rank + 1 || o->s[0] < 0)
        return aster_infer_fail(p, o, "rows [.., D] and i32 indices [..] are expected");
    return aster_op_set_out(p, o, 0, d.dtype, 2, (aster_sz[]){o->s[0], d.dim[d.rank - 1]});
}

aster_val aster_emit_scatter_add(struct aster_program *p, aster_val dy, aster_val idx,
                                 aster_sz rows)
{
    if (dy < 0 || idx < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_scatter_add, 2, (aster_val[]){dy, idx});
    o.s[0] = rows;
    return aster_op_add(p, &o);
}

static void grad_gather(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    if (want[0])
        din[0] = aster_emit_scatter_add(p, dout[0], o->in[1], aster_val_dim(p, o->in[0], 0));
}

static void grad_scatter_add(struct aster_program *p, const struct op *o, const bool *want,
                             const aster_val *dout, aster_val *din)
{
    if (want[0])
        din[0] = aster_emit_gather(p, dout[0], o->in[1]);
}

const struct op_desc aster_desc_gather = {"gather", infer_gather, grad_gather, NULL, 0, NULL, NULL};
const struct op_desc aster_desc_scatter_add = {
    "scatter_add", infer_scatter_add, grad_scatter_add, NULL, 0, NULL, NULL};
