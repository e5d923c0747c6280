/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over axes and their counterpart. */
#include "program/internal.h"

static aster_val emit_to(struct aster_program *p, enum aster_op_kind kind, aster_val x,
                         const aster_sz *dims)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(kind, 1, &x);
    const struct value *v = aster_value(p, x);
    aster_sz dim[ASTER_MAX_RANK];
    for (int k = 0; k < v->rank; k++) {
        dim[k] = dims[k];
        aster_sz narrow = kind == ASTER_OP_sum_to ? dims[k] : v->dim[k],
                 wide = kind == ASTER_OP_sum_to ? v->dim[k] : dims[k];
        if (dims[k] < 0 || (!aster_size_same(p, narrow, wide) && !aster_size_is(p, narrow, 1))) {
            if (!p->failed)
                aster_infer_fail(p, &o, "axis %d is neither kept nor 1", k);
            p->failed = true;
            return -1;
        }
    }
    /* the shape is carried by the output, which infer copies from here */
    if (p->failed || aster_op_set_out(p, &o, 0, v->dtype, v->rank, dim) < 0) {
        p->failed = true;
        return -1;
    }
    return aster_op_add(p, &o);
}

static int infer_kept(struct aster_program *p, struct op *o)
{
    enum aster_dtype t = aster_value(p, o->in[0])->dtype;
    if (t != ASTER_F32 && t != ASTER_F64)
        return aster_infer_fail(p, o, "f32 or f64 is expected");
    return 0;
}

aster_val aster_emit_sum_to(struct aster_program *p, aster_val x, const aster_sz *dims)
{
    return emit_to(p, ASTER_OP_sum_to, x, dims);
}

aster_val aster_emit_broadcast_to(struct aster_program *p, aster_val x, const aster_sz *dims)
{
    return emit_to(p, ASTER_OP_broadcast_to, x, dims);
}

static void grad_sum_to(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    aster_sz dim[ASTER_MAX_RANK];
    for (int k = 0; k < aster_val_rank(p, o->in[0]); k++)
        dim[k] = aster_val_dim(p, o->in[0], k);
    din[0] = aster_emit_broadcast_to(p, dout[0], dim);
}

static void grad_broadcast_to(struct aster_program *p, const struct op *o, const bool *want,
                              const aster_val *dout, aster_val *din)
{
    aster_sz dim[ASTER_MAX_RANK];
    for (int k = 0; k < aster_val_rank(p, o->in[0]); k++)
        dim[k] = aster_val_dim(p, o->in[0], k);
    din[0] = aster_emit_sum_to(p, dout[0], dim);
}

static double flops_sum(const struct aster_args *a)
{
    double n = 1;
    for (int k = 0; k < a->in[0].rank; k++)
        n *= (double)a->in[0].dim[k];
    return n;
}

const struct op_desc aster_desc_sum_to = {"sum_to", infer_kept, grad_sum_to, flops_sum,
                                          0,        NULL,       NULL};
const struct op_desc aster_desc_broadcast_to = {
    "broadcast_to", infer_kept, grad_broadcast_to, NULL, 0, NULL, NULL};
