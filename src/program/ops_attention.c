/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention: shapes, cost and derivative. */
#include "program/internal.h"

static int infer_attention(struct aster_program *p, struct op *o)
{
    struct value q = *aster_value(p, o->in[0]), k = *aster_value(p, o->in[1]), v = *aster_value(p, o->in[2]);
    if (q.rank != 3 || k.rank != 3 || v.rank != 3 || q.dtype != k.dtype || q.dtype != v.dtype ||
        !aster_size_same(p, q.dim[0], k.dim[0]) || !aster_size_same(p, q.dim[0], v.dim[0]) ||
        !aster_size_same(p, q.dim[2], k.dim[2]) || !aster_size_same(p, k.dim[1], v.dim[1]) || !aster_size_same(p, k.dim[2], v.dim[2]))
        return aster_infer_fail(p, o, "q [N, T, E], k and v [N, S, E] are expected");
    if (o->n_in == 4 && (aster_val_dtype(p, o->in[3]) != ASTER_I32 || aster_val_rank(p, o->in[3]) != 1))
        return aster_infer_fail(p, o, "key counts i32 [N] are expected");
    ASTER_TRY(aster_op_set_out(p, o, 0, q.dtype, 3, q.dim));
    return aster_op_set_out(p, o, 1, q.dtype, 2, q.dim);
}

aster_val aster_emit_attention(struct aster_program *p, aster_val q, aster_val k, aster_val v, aster_val n_keys, double scale, bool causal)
{
    if (q < 0 || k < 0 || v < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_attention, n_keys < 0 ? 3 : 4, (aster_val[]){q, k, v, n_keys});
    o.f[0] = scale;
    o.i[0] = causal;
    return aster_op_add(p, &o);
}

static int infer_attention_dx(struct aster_program *p, struct op *o)
{
    for (int k = 0; k < 3; k++) {
        struct value v = *aster_value(p, o->in[k]);
        ASTER_TRY(aster_op_set_out(p, o, k, v.dtype, 3, v.dim));
    }
    return 0;
}

static void grad_attention(struct aster_program *p, const struct op *o, const bool *want, const aster_val *dout, aster_val *din)
{
    if (dout[0] < 0)
        return;
    struct op d = aster_op_start(ASTER_OP_attention_dx, o->n_in == 4 ? 7 : 6,
                                 (aster_val[]){o->in[0], o->in[1], o->in[2], o->out[0], o->out[1], dout[0], o->in[3]});
    d.f[0] = o->f[0];
    d.i[0] = o->i[0];
    if (aster_op_add(p, &d) < 0)
        return;
    for (int k = 0; k < 3; k++)
        din[k] = d.out[k];
}

static double flops_attention(const struct aster_args *a)
{
    const struct aster_tensor *q = &a->in[0], *k = &a->in[1];
    return 4.0 * (double)(q->dim[0] * q->dim[1] * q->dim[2]) * (double)k->dim[1];
}

static double flops_attention_dx(const struct aster_args *a)
{
    return 2.5 * flops_attention(a);
}

const struct op_desc aster_desc_attention = {"attention", infer_attention, grad_attention, flops_attention, 0, NULL, NULL};
const struct op_desc aster_desc_attention_dx = {"attention_dx", infer_attention_dx, NULL, flops_attention_dx, 0, NULL, NULL};
