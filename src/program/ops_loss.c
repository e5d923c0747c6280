/* SPDX-License-Identifier: BSD-3-Clause */
/* Weighted cross entropy. */
#include "program/internal.h"

static int infer_xent(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]), l = *aster_value(p, o->in[1]),
                 n = *aster_value(p, o->in[2]);
    bool fits = x.rank == l.rank + 1 && l.dtype == ASTER_U8 && n.dtype == ASTER_F64 && n.rank == 1;
    for (int k = 0; fits && k < l.rank; k++)
        fits = aster_size_same(p, x.dim[k], l.dim[k]);
    if (!fits)
        return aster_infer_fail(p, o, "logits [.., K], labels u8 [..] and n f64 [1] are expected");
    aster_sz one = aster_size(p, 1);
    if (o->kind == ASTER_OP_xent)
        ASTER_TRY(aster_op_set_out(p, o, 0, ASTER_F64, 1, &one));
    return aster_op_set_out(p, o, o->kind == ASTER_OP_xent ? 1 : 0, x.dtype, x.rank, x.dim);
}

aster_val aster_emit_xent(struct aster_program *p, aster_val logits, aster_val labels, aster_val n,
                          int n_classes, const double *weights, double eps, aster_val *probs)
{
    if (probs)
        *probs = -1;
    if (logits < 0 || labels < 0 || n < 0 || n_classes < 1 || n_classes > 4)
        return -1;
    struct op o = aster_op_start(ASTER_OP_xent, 3, (aster_val[]){logits, labels, n});
    for (int k = 0; k < n_classes; k++)
        o.f[k] = weights[k];
    o.f[4] = eps;
    aster_val loss = aster_op_add(p, &o);
    if (loss >= 0 && probs)
        *probs = o.out[1];
    return loss;
}

static void grad_xent(struct aster_program *p, const struct op *o, const bool *want,
                      const aster_val *dout, aster_val *din)
{
    if (dout[0] < 0 || !want[0])
        return;
    struct op d =
        aster_op_start(ASTER_OP_xent_dx, 4, (aster_val[]){o->out[1], o->in[1], o->in[2], dout[0]});
    for (int k = 0; k < 5; k++)
        d.f[k] = o->f[k];
    din[0] = aster_op_add(p, &d);
}

static double flops_xent(const struct aster_args *a)
{
    double n = 20;
    for (int k = 0; k < a->in[0].rank; k++)
        n *= (double)a->in[0].dim[k];
    return n;
}

const struct op_desc aster_desc_xent = {"xent", infer_xent, grad_xent, flops_xent, 0, NULL, NULL};
const struct op_desc aster_desc_xent_dx = {"xent_dx", infer_xent, NULL, flops_xent, 0, NULL, NULL};
