/* SPDX-License-Identifier: BSD-3-Clause */
/* LSTM layers: shapes, cost and derivative. */
#include "program/internal.h"

static int infer_lstm(struct aster_program *p, struct op *o)
{
    struct value z = *aster_value(p, o->in[0]), w = *aster_value(p, o->in[1]);
    if (z.rank != 3 || w.rank != 2 || z.dtype != w.dtype ||
        !aster_size_same(p, z.dim[2], w.dim[1]) ||
        !aster_size_same(p, aster_size_mul(p, aster_size(p, 4), w.dim[0]), w.dim[1]))
        return aster_infer_fail(p, o, "zx [L, B, 4H] and whh [H, 4H] are expected");
    aster_sz h[3] = {z.dim[0], z.dim[1], w.dim[0]};
    ASTER_TRY(aster_op_set_out(p, o, 0, z.dtype, 3, h));
    ASTER_TRY(aster_op_set_out(p, o, 1, z.dtype, 3, h));
    return aster_op_set_out(p, o, 2, z.dtype, 3, z.dim);
}

aster_val aster_emit_lstm(struct aster_program *p, aster_val zx, aster_val whh, bool reverse)
{
    if (zx < 0 || whh < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_lstm, 2, (aster_val[]){zx, whh});
    o.i[0] = reverse;
    return aster_op_add(p, &o);
}

static int infer_lstm_dx(struct aster_program *p, struct op *o)
{
    struct value gates = *aster_value(p, o->in[2]);
    return aster_op_set_out(p, o, 0, gates.dtype, 3, gates.dim);
}

static aster_val rows_of(struct aster_program *p, aster_val x, aster_sz first, aster_sz n)
{
    aster_val s = aster_emit_slice(p, x, 0, first, n);
    if (s < 0)
        return -1;
    aster_sz dim[2] = {aster_size_mul(p, n, aster_val_dim(p, s, 1)), aster_val_dim(p, s, 2)};
    return aster_emit_reshape(p, s, 2, dim);
}

/* dwhh = sum over steps of h[before t]^T dz[t] */
static void grad_lstm(struct aster_program *p, const struct op *o, const bool *want,
                      const aster_val *dout, aster_val *din)
{
    if (dout[0] < 0)
        return;
    struct op d =
        aster_op_start(ASTER_OP_lstm_dx, 4, (aster_val[]){dout[0], o->out[1], o->out[2], o->in[1]});
    d.i[0] = o->i[0];
    aster_val dz = aster_op_add(p, &d);
    if (dz < 0)
        return;
    din[0] = dz;
    if (!want[1])
        return;
    aster_sz zero = aster_size(p, 0), one = aster_size(p, 1),
             n = aster_size_sub(p, aster_val_dim(p, dz, 0), one);
    bool reverse = o->i[0];
    din[1] = aster_emit_matmul(p, rows_of(p, o->out[0], reverse ? one : zero, n),
                               rows_of(p, dz, reverse ? zero : one, n), true, false);
}

static double flops_lstm(const struct aster_args *a)
{
    const struct aster_tensor *h = &a->out[0];
    return (8.0 * (double)h->dim[2] + 40) * (double)(h->dim[0] * h->dim[1] * h->dim[2]);
}

static double flops_lstm_dx(const struct aster_args *a)
{
    const struct aster_tensor *h = &a->in[0];
    return (8.0 * (double)h->dim[2] + 30) * (double)(h->dim[0] * h->dim[1] * h->dim[2]);
}

const struct op_desc aster_desc_lstm = {"lstm",        infer_lstm, grad_lstm, flops_lstm,
                                        OP_OVER(2, 0), NULL,       NULL};
const struct op_desc aster_desc_lstm_dx = {"lstm_dx",     infer_lstm_dx, NULL, flops_lstm_dx,
                                           OP_OVER(0, 2), NULL,          NULL};
