/* SPDX-License-Identifier: BSD-3-Clause */
/* One-dimensional convolutions: shapes, cost, derivatives, and how far a row reaches. */
#include "program/internal.h"

static int check_pads(struct aster_program *p, struct op *o)
{
    return o->i[0] < 0 || o->i[1] < 0 ? aster_infer_fail(p, o, "pads of 0 or more are expected")
                                      : 0;
}

/* L + left + right - k + 1 */
static aster_sz out_length(struct aster_program *p, struct op *o, aster_sz length, aster_sz k)
{
    aster_sz n = aster_size_add(p, length, aster_size(p, o->i[0] + o->i[1] + 1));
    if (k >= 0 && p->size[k].kind == SIZE_CONST && p->size[k].n == o->i[0] + o->i[1] + 1)
        return length;
    return aster_size_sub(p, n, k);
}

static int infer_conv1d(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]), w = *aster_value(p, o->in[1]);
    ASTER_TRY(check_pads(p, o));
    if (x.rank != 3 || w.rank != 3 || x.dtype != w.dtype || !aster_size_same(p, x.dim[2], w.dim[1]))
        return aster_infer_fail(p, o, "x [B, L, Ci] and w [k, Ci, Co] are expected");
    if (o->i[2] != ASTER_ACT_NONE && o->i[2] != ASTER_ACT_RELU)
        return aster_infer_fail(p, o, "no function or relu is expected behind it");
    if (o->n_in == 3 && !aster_size_same(p, aster_value(p, o->in[2])->dim[0], w.dim[2]))
        return aster_infer_fail(p, o, "the bias does not fit");
    aster_sz dim[3] = {x.dim[0], out_length(p, o, x.dim[1], w.dim[0]), w.dim[2]};
    return aster_op_set_out(p, o, 0, x.dtype, 3, dim);
}

static aster_val emit_conv(struct aster_program *p, enum aster_op_kind kind, int n_in,
                           const aster_val *in, const int64_t *i, aster_sz s)
{
    if (in[0] < 0 || in[1] < 0)
        return -1;
    struct op o = aster_op_start(kind, n_in, in);
    o.i[0] = i[0];
    o.i[1] = i[1];
    o.i[2] = i[2];
    o.s[0] = s;
    return aster_op_add(p, &o);
}

aster_val aster_emit_conv1d(struct aster_program *p, aster_val x, aster_val w, aster_val bias,
                            int pad_left, int pad_right, int act)
{
    return emit_conv(p, ASTER_OP_conv1d, bias < 0 ? 2 : 3, (aster_val[]){x, w, bias},
                     (int64_t[]){pad_left, pad_right, act}, -1);
}

static void grad_conv1d(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    aster_val x = o->in[0], w = o->in[1], g = dout[0];
    int64_t i[3] = {o->i[0], o->i[1], 0};
    if (o->i[2] == ASTER_ACT_RELU) {
        struct op r = aster_op_start(ASTER_OP_unary_grad, 2, (aster_val[]){o->out[0], g});
        r.i[0] = ASTER_FN_RELU;
        g = aster_op_add(p, &r);
    }
    if (want[1])
        din[1] =
            emit_conv(p, ASTER_OP_conv1d_dw, 2, (aster_val[]){x, g}, i, aster_val_dim(p, w, 0));
    if (o->n_in == 3 && want[2]) {
        aster_sz one = aster_size(p, 1), n = aster_val_dim(p, g, 2);
        din[2] = aster_emit_reshape(p, aster_emit_sum_to(p, g, (aster_sz[]){one, one, n}), 1, &n);
    }
    if (want[0])
        din[0] =
            emit_conv(p, ASTER_OP_conv1d_dx, 2, (aster_val[]){g, w}, i, aster_val_dim(p, x, 1));
}

static double product(const struct aster_tensor *t)
{
    double n = 1;
    for (int k = 0; k < t->rank; k++)
        n *= (double)t->dim[k];
    return n;
}

static double flops_conv1d(const struct aster_args *a)
{
    return 2 * product(&a->in[1]) * (double)(a->out[0].dim[0] * a->out[0].dim[1]);
}

static double flops_conv1d_dx(const struct aster_args *a)
{
    return 2 * product(&a->in[1]) * (double)(a->in[0].dim[0] * a->in[0].dim[1]);
}

static double flops_conv1d_dw(const struct aster_args *a)
{
    return 2 * product(&a->out[0]) * (double)(a->in[1].dim[0] * a->in[1].dim[1]);
}

/* y[t] sees x[t - left .. t - left + k - 1] */
static int64_t reach_conv1d(const struct aster_args *a, int64_t n)
{
    return n + a->i[0];
}

static int64_t need_conv1d(const struct aster_args *a, int64_t n)
{
    return n - a->i[0] + a->in[1].dim[0] - 1;
}

const struct op_desc aster_desc_conv1d = {"conv1d", infer_conv1d, grad_conv1d, flops_conv1d,
                                          0,        reach_conv1d, need_conv1d};

static int infer_conv1d_dx(struct aster_program *p, struct op *o)
{
    struct value g = *aster_value(p, o->in[0]), w = *aster_value(p, o->in[1]);
    ASTER_TRY(check_pads(p, o));
    if (g.rank != 3 || w.rank != 3 || g.dtype != w.dtype ||
        !aster_size_same(p, g.dim[2], w.dim[2]) || o->s[0] < 0)
        return aster_infer_fail(p, o, "dy [B, L, Co] and w [k, Ci, Co] are expected");
    return aster_op_set_out(p, o, 0, g.dtype, 3, (aster_sz[]){g.dim[0], o->s[0], w.dim[1]});
}

static void grad_conv1d_dx(struct aster_program *p, const struct op *o, const bool *want,
                           const aster_val *dout, aster_val *din)
{
    if (want[0])
        din[0] = emit_conv(p, ASTER_OP_conv1d, 2, (aster_val[]){dout[0], o->in[1]}, o->i, -1);
    if (want[1])
        din[1] = emit_conv(p, ASTER_OP_conv1d_dw, 2, (aster_val[]){dout[0], o->in[0]}, o->i,
                           aster_val_dim(p, o->in[1], 0));
}

const struct op_desc aster_desc_conv1d_dx = {
    "conv1d_dx", infer_conv1d_dx, grad_conv1d_dx, flops_conv1d_dx, 0, NULL, NULL};

static int infer_conv1d_dw(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]), g = *aster_value(p, o->in[1]);
    ASTER_TRY(check_pads(p, o));
    if (x.rank != 3 || g.rank != 3 || x.dtype != g.dtype ||
        !aster_size_same(p, x.dim[0], g.dim[0]) || o->s[0] < 0)
        return aster_infer_fail(p, o, "x [B, L, Ci] and dy [B, L, Co] are expected");
    return aster_op_set_out(p, o, 0, x.dtype, 3, (aster_sz[]){o->s[0], x.dim[2], g.dim[2]});
}

static void grad_conv1d_dw(struct aster_program *p, const struct op *o, const bool *want,
                           const aster_val *dout, aster_val *din)
{
    if (want[0])
        din[0] = emit_conv(p, ASTER_OP_conv1d_dx, 2, (aster_val[]){o->in[1], dout[0]}, o->i,
                           aster_val_dim(p, o->in[0], 1));
    if (want[1])
        din[1] = emit_conv(p, ASTER_OP_conv1d, 2, (aster_val[]){o->in[0], dout[0]}, o->i, -1);
}

const struct op_desc aster_desc_conv1d_dw = {
    "conv1d_dw", infer_conv1d_dw, grad_conv1d_dw, flops_conv1d_dw, 0, NULL, NULL};
