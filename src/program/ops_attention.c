/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention, of samples and of sequences back to back, and rotary positions: shapes, cost and
 * derivatives. */
#include "program/internal.h"

static int infer_attention(struct aster_program *p, struct op *o)
{
    struct value q = *aster_value(p, o->in[0]), k = *aster_value(p, o->in[1]),
                 v = *aster_value(p, o->in[2]);
    if (q.rank != 3 || k.rank != 3 || v.rank != 3 || q.dtype != k.dtype || q.dtype != v.dtype ||
        !aster_size_same(p, q.dim[0], k.dim[0]) || !aster_size_same(p, q.dim[0], v.dim[0]) ||
        !aster_size_same(p, q.dim[2], k.dim[2]) || !aster_size_same(p, k.dim[1], v.dim[1]) ||
        !aster_size_same(p, k.dim[2], v.dim[2]))
        return aster_infer_fail(p, o, "q [N, T, E], k and v [N, S, E] are expected");
    if (o->n_in == 4 &&
        (aster_val_dtype(p, o->in[3]) != ASTER_I32 || aster_val_rank(p, o->in[3]) != 1))
        return aster_infer_fail(p, o, "key counts i32 [N] are expected");
    ASTER_TRY(aster_op_set_out(p, o, 0, q.dtype, 3, q.dim));
    return aster_op_set_out(p, o, 1, q.dtype, 2, q.dim);
}

aster_val aster_emit_attention(struct aster_program *p, aster_val q, aster_val k, aster_val v,
                               aster_val n_keys, double scale, bool causal)
{
    if (q < 0 || k < 0 || v < 0)
        return -1;
    struct op o =
        aster_op_start(ASTER_OP_attention, n_keys < 0 ? 3 : 4, (aster_val[]){q, k, v, n_keys});
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

static void grad_attention(struct aster_program *p, const struct op *o, const bool *want,
                           const aster_val *dout, aster_val *din)
{
    if (dout[0] < 0)
        return;
    struct op d = aster_op_start(
        ASTER_OP_attention_dx, o->n_in == 4 ? 7 : 6,
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

const struct op_desc aster_desc_attention = {
    "attention", infer_attention, grad_attention, flops_attention, 0, NULL, NULL};
const struct op_desc aster_desc_attention_dx = {
    "attention_dx", infer_attention_dx, NULL, flops_attention_dx, 0, NULL, NULL};

/* ---- sequences back to back ---- */

static int infer_ragged(struct aster_program *p, struct op *o)
{
    struct value q = *aster_value(p, o->in[0]), k = *aster_value(p, o->in[1]),
                 v = *aster_value(p, o->in[2]), at = *aster_value(p, o->in[3]);
    if (q.rank != 2 || k.rank != 2 || v.rank != 2 || !aster_is_real(p, o->in[0]) ||
        !aster_is_real(p, o->in[1]) || !aster_is_real(p, o->in[2]) ||
        !aster_size_same(p, q.dim[0], k.dim[0]) || !aster_size_same(p, q.dim[0], v.dim[0]) ||
        !aster_size_same(p, q.dim[1], k.dim[1]) || !aster_size_same(p, q.dim[1], v.dim[1]))
        return aster_infer_fail(p, o, "q, k and v [N, heads width] are expected");
    if (at.dtype != ASTER_I32 || at.rank != 1)
        return aster_infer_fail(p, o, "starts i32 [sequences + 1] are expected");
    if (o->n_in == 5 && (!aster_is_real(p, o->in[4]) || aster_val_rank(p, o->in[4]) != 1 ||
                         !aster_size_is(p, aster_val_dim(p, o->in[4], 0), o->i[0])))
        return aster_infer_fail(p, o, "a slope for each of %lld heads is expected",
                                (long long)o->i[0]);
    ASTER_TRY(aster_op_set_out(p, o, 0, q.dtype, 2, q.dim));
    q.dim[1] = aster_size(p, o->i[0]);
    return aster_op_set_out(p, o, 1, q.dtype, 2, q.dim);
}

aster_val aster_emit_ragged_attention(struct aster_program *p, const struct aster_ragged *r)
{
    if (r->q < 0 || r->k < 0 || r->v < 0 || r->starts < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_ragged_attention, r->slopes < 0 ? 4 : 5,
                                 (aster_val[]){r->q, r->k, r->v, r->starts, r->slopes});
    o.f[0] = r->scale;
    o.i[0] = r->n_heads;
    o.s[0] = r->longest;
    return aster_op_add(p, &o);
}

static void grad_ragged(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    if (dout[0] < 0)
        return;
    struct op d = aster_op_start(ASTER_OP_ragged_attention_dx, o->n_in == 5 ? 8 : 7,
                                 (aster_val[]){o->in[0], o->in[1], o->in[2], o->out[0], o->out[1],
                                               dout[0], o->in[3], o->in[4]});
    d.f[0] = o->f[0];
    d.i[0] = o->i[0];
    d.s[0] = o->s[0];
    if (aster_op_add(p, &d) < 0)
        return;
    for (int k = 0; k < 3; k++)
        din[k] = d.out[k];
}

/* As if all sequences were as long as they can be on average: their lengths are known to the batch
 * only. */
static double flops_ragged(const struct aster_args *a)
{
    const struct aster_tensor *starts = &a->in[a->n_out == 3 ? 6 : 3];
    double rows = (double)a->in[0].dim[0], n = (double)aster_max64(1, starts->dim[0] - 1);
    return 4 * rows * (double)a->in[0].dim[1] * (rows / n);
}

static int infer_ragged_dx(struct aster_program *p, struct op *o)
{
    for (int k = 0; k < 3; k++) {
        struct value v = *aster_value(p, o->in[k]);
        ASTER_TRY(aster_op_set_out(p, o, k, v.dtype, 2, v.dim));
    }
    return 0;
}

static double flops_ragged_dx(const struct aster_args *a)
{
    return 2.5 * flops_ragged(a);
}

const struct op_desc aster_desc_ragged_attention = {
    "ragged_attention", infer_ragged, grad_ragged, flops_ragged, 0, NULL, NULL};
const struct op_desc aster_desc_ragged_attention_dx = {
    "ragged_attention_dx", infer_ragged_dx, NULL, flops_ragged_dx, 0, NULL, NULL};

/* ---- positions as angles ---- */

static int infer_rotary(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]), at = *aster_value(p, o->in[1]),
                 table = *aster_value(p, o->in[2]);
    if (x.rank != 2 || !aster_is_real(p, o->in[0]) || at.dtype != ASTER_I32 || at.rank != 1 ||
        !aster_size_same(p, at.dim[0], x.dim[0]))
        return aster_infer_fail(p, o, "x [N, heads width] and positions i32 [N] are expected");
    if (table.rank != 2 || !aster_is_real(p, o->in[2]) ||
        !aster_size_same(p, x.dim[1], aster_size_mul(p, table.dim[1], aster_size(p, o->i[0]))))
        return aster_infer_fail(p, o, "a table [positions, width] for %lld heads is expected",
                                (long long)o->i[0]);
    return aster_op_set_out(p, o, 0, x.dtype, 2, x.dim);
}

static aster_val emit_rotary(struct aster_program *p, aster_val x, aster_val position,
                             aster_val table, int64_t n_heads, bool back)
{
    if (x < 0 || position < 0 || table < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_rotary, 3, (aster_val[]){x, position, table});
    o.i[0] = n_heads;
    o.i[1] = back;
    return aster_op_add(p, &o);
}

aster_val aster_emit_rotary(struct aster_program *p, aster_val x, aster_val position,
                            aster_val table, int64_t n_heads)
{
    return emit_rotary(p, x, position, table, n_heads, false);
}

/* A rotation's adjoint is the rotation back. */
static void grad_rotary(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    if (want[0])
        din[0] = emit_rotary(p, dout[0], o->in[1], o->in[2], o->i[0], !o->i[1]);
}

static double flops_rotary(const struct aster_args *a)
{
    return 3.0 * (double)(a->out[0].dim[0] * a->out[0].dim[1]);
}

const struct op_desc aster_desc_rotary = {"rotary", infer_rotary, grad_rotary, flops_rotary,
                                          0,        NULL,         NULL};
