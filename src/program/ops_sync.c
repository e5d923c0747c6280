/* SPDX-License-Identifier: BSD-3-Clause */
/* The sum over shards that cuts a program into segments. */
#include "program/internal.h"

static int infer_sync_sum(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]);
    if (x.dtype != ASTER_F32 && x.dtype != ASTER_F64)
        return aster_infer_fail(p, o, "f32 or f64 is expected");
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim);
}

aster_val aster_emit_sync_sum(struct aster_program *p, aster_val x)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_sync_sum, 1, &x);
    return aster_op_add(p, &o);
}

static void grad_sync_sum(struct aster_program *p, const struct op *o, const bool *want,
                          const aster_val *dout, aster_val *din)
{
    din[0] = aster_emit_sync_sum(p, dout[0]);
}

const struct op_desc aster_desc_sync_sum = {"sync_sum", infer_sync_sum, grad_sync_sum, NULL,
                                            OP_SYNC,    NULL,           NULL};
