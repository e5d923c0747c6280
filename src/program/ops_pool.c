/* SPDX-License-Identifier: BSD-3-Clause */
/* Pooling and resizing along positions. */
#include "program/internal.h"

static int infer_pool(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]);
    if (x.rank != 3)
        return aster_infer_fail(p, o, "x [B, L, C] is expected");
    x.dim[1] = o->kind == ASTER_OP_avgpool2 ? aster_size_div(p, x.dim[1], 2) : o->s[0];
    return aster_op_set_out(p, o, 0, x.dtype, 3, x.dim);
}

static aster_val emit(struct aster_program *p, enum aster_op_kind kind, aster_val x,
                      aster_sz length)
{
    if (x < 0)
        return -1;
    struct op o = aster_op_start(kind, 1, &x);
    o.s[0] = length;
    return aster_op_add(p, &o);
}

aster_val aster_emit_avgpool2(struct aster_program *p, aster_val x)
{
    return emit(p, ASTER_OP_avgpool2, x, -1);
}

aster_val aster_emit_resize(struct aster_program *p, aster_val x, aster_sz length)
{
    return emit(p, ASTER_OP_resize, x, length);
}

static void grad_avgpool2(struct aster_program *p, const struct op *o, const bool *want,
                          const aster_val *dout, aster_val *din)
{
    din[0] = emit(p, ASTER_OP_avgpool2_dx, dout[0], aster_val_dim(p, o->in[0], 1));
}

static void grad_avgpool2_dx(struct aster_program *p, const struct op *o, const bool *want,
                             const aster_val *dout, aster_val *din)
{
    din[0] = emit(p, ASTER_OP_avgpool2, dout[0], -1);
}

static void grad_resize(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    din[0] = emit(p, ASTER_OP_resize_dx, dout[0], aster_val_dim(p, o->in[0], 1));
}

static void grad_resize_dx(struct aster_program *p, const struct op *o, const bool *want,
                           const aster_val *dout, aster_val *din)
{
    din[0] = emit(p, ASTER_OP_resize, dout[0], aster_val_dim(p, o->in[0], 1));
}

static int64_t reach_avgpool2(const struct aster_args *a, int64_t n)
{
    return (n + 1) / 2;
}

static int64_t need_avgpool2(const struct aster_args *a, int64_t n)
{
    return 2 * n;
}

/* Output t reads source floor(t r) and the next, r = (Lin - 1) / (Lout - 1). One row of margin
 * covers the rounding of t r. */
static int64_t reach_resize(const struct aster_args *a, int64_t n)
{
    int64_t lin = a->in[0].dim[1], lout = a->out[0].dim[1];
    if (n <= 0)
        return 0;
    if (lin <= 1)
        return lout;
    return (n * (lout - 1) + lin - 2) / (lin - 1) + 1;
}

static int64_t need_resize(const struct aster_args *a, int64_t n)
{
    int64_t lin = a->in[0].dim[1], lout = a->out[0].dim[1];
    if (n <= 0)
        return 0;
    if (lout <= 1)
        return 1;
    return (n - 1) * (lin - 1) / (lout - 1) + 3;
}

const struct op_desc aster_desc_avgpool2 = {"avgpool2", infer_pool,     grad_avgpool2, NULL,
                                            0,          reach_avgpool2, need_avgpool2};
const struct op_desc aster_desc_avgpool2_dx = {"avgpool2_dx", infer_pool, grad_avgpool2_dx, NULL, 0,
                                               NULL,          NULL};
const struct op_desc aster_desc_resize = {"resize", infer_pool,   grad_resize, NULL,
                                          0,        reach_resize, need_resize};
const struct op_desc aster_desc_resize_dx = {"resize_dx", infer_pool, grad_resize_dx, NULL, 0,
                                             NULL,        NULL};
