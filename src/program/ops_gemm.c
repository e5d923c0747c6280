/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrix products: shapes, cost and derivatives. */
#include "program/internal.h"

static int infer_matmul(struct aster_program *p, struct op *o)
{
    struct value a = *aster_value(p, o->in[0]), b = *aster_value(p, o->in[1]);
    if (a.rank < 2 || b.rank < 2 || a.dtype != b.dtype || (b.rank != a.rank && b.rank != 2))
        return aster_infer_fail(p, o,
                                "matrices of one dtype with equal leading axes, or a second one of "
                                "rank 2, are expected");
    for (int k = 0; k < b.rank - 2; k++)
        if (!aster_size_same(p, a.dim[k], b.dim[k]))
            return aster_infer_fail(p, o, "leading axis %d differs", k);
    bool ta = o->i[0], tb = o->i[1];
    aster_sz ka = a.dim[a.rank - (ta ? 2 : 1)], kb = b.dim[b.rank - (tb ? 1 : 2)];
    if (!aster_size_same(p, ka, kb))
        return aster_infer_fail(p, o, "the inner sizes differ (transposed: %d, %d)", ta, tb);
    aster_sz m = a.dim[a.rank - (ta ? 1 : 2)], n = b.dim[b.rank - (tb ? 2 : 1)];
    a.dim[a.rank - 2] = m;
    a.dim[a.rank - 1] = n;
    return aster_op_set_out(p, o, 0, a.dtype, a.rank, a.dim);
}

aster_val aster_emit_matmul(struct aster_program *p, aster_val a, aster_val b, bool ta, bool tb)
{
    if (a < 0 || b < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_matmul, 2, (aster_val[]){a, b});
    o.i[0] = ta;
    o.i[1] = tb;
    return aster_op_add(p, &o);
}

/* All leading axes as one: [.., N] -> [rows, N] */
static aster_val flat_rows(struct aster_program *p, aster_val x)
{
    if (x < 0 || aster_val_rank(p, x) == 2)
        return x;
    aster_sz rows = aster_size(p, 1);
    for (int k = 0; k < aster_val_rank(p, x) - 1; k++)
        rows = aster_size_mul(p, rows, aster_val_dim(p, x, k));
    return aster_emit_reshape(p, x, 2, (aster_sz[]){rows, aster_val_dim(p, x, -1)});
}

static void grad_matmul(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    aster_val a = o->in[0], b = o->in[1], g = dout[0];
    bool ta = o->i[0], tb = o->i[1];
    if (want[0])
        din[0] = ta ? (aster_val_rank(p, b) == aster_val_rank(p, g)
                           ? aster_emit_matmul(p, b, g, tb, true)
                           : aster_emit_transpose(p, aster_emit_matmul(p, g, b, false, !tb),
                                                  aster_val_rank(p, a) == 3 ? (int[]){0, 2, 1}
                                                                            : (int[]){0, 1, 3, 2}))
                    : aster_emit_matmul(p, g, b, false, !tb);
    if (!want[1])
        return;
    bool shared = aster_val_rank(p, b) == 2 && aster_val_rank(p, a) > 2;
    if (shared && !ta) {
        a = flat_rows(p, a);
        g = flat_rows(p, g);
        shared = false;
    }
    aster_val db =
        tb ? aster_emit_matmul(p, g, a, true, ta) : aster_emit_matmul(p, a, g, !ta, false);
    if (shared) { /* a transposed inside a batch: one product each, then their sum */
        aster_sz dim[ASTER_MAX_RANK];
        int rank = aster_val_rank(p, db);
        for (int k = 0; k < rank; k++)
            dim[k] = k < rank - 2 ? aster_size(p, 1) : aster_val_dim(p, db, k);
        db = aster_emit_reshape(p, aster_emit_sum_to(p, db, dim), 2, dim + rank - 2);
    }
    din[1] = db;
}

static double flops_matmul(const struct aster_args *a)
{
    double n = 2;
    for (int k = 0; k < a->out[0].rank; k++)
        n *= (double)a->out[0].dim[k];
    return n * (double)a->in[0].dim[a->in[0].rank - (a->i[0] ? 2 : 1)];
}

const struct op_desc aster_desc_matmul = {"matmul", infer_matmul, grad_matmul, flops_matmul,
                                          0,        NULL,         NULL};

static int infer_linear(struct aster_program *p, struct op *o)
{
    struct value x = *aster_value(p, o->in[0]), w = *aster_value(p, o->in[1]);
    enum aster_dtype expected = o->kind == ASTER_OP_linear_bf16 ? ASTER_BF16 : x.dtype;
    if (x.rank < 1 || w.rank != 2 || w.dtype != expected ||
        !aster_size_same(p, x.dim[x.rank - 1], w.dim[0]))
        return aster_infer_fail(p, o, "x [.., K] and w [K, N] are expected");
    if (o->n_in == 3) {
        const struct value *b = aster_value(p, o->in[2]);
        if (b->rank != 1 || !aster_size_same(p, b->dim[0], w.dim[1]))
            return aster_infer_fail(p, o, "the bias does not fit");
    }
    x.dim[x.rank - 1] = w.dim[1];
    return aster_op_set_out(p, o, 0, x.dtype, x.rank, x.dim);
}

aster_val aster_emit_linear(struct aster_program *p, aster_val x, aster_val w, aster_val bias,
                            int act)
{
    if (x < 0 || w < 0)
        return -1;
    enum aster_op_kind kind =
        aster_val_dtype(p, w) == ASTER_BF16 ? ASTER_OP_linear_bf16 : ASTER_OP_linear;
    struct op o = aster_op_start(kind, bias < 0 ? 2 : 3, (aster_val[]){x, w, bias});
    o.i[0] = act;
    return aster_op_add(p, &o);
}

void aster_program_transposed(struct aster_program *p, aster_val w, aster_val t)
{
    if (p->failed || w < 0 || t < 0)
        return;
    const struct value *a = &p->value[w], *b = &p->value[t];
    if (a->rank == 2 && b->rank == 2 && a->dtype == b->dtype &&
        aster_size_same(p, a->dim[0], b->dim[1]) && aster_size_same(p, a->dim[1], b->dim[0])) {
        p->value[w].transposed = t;
        return;
    }
    p->failed = true;
    aster_fail(p->ctx, ASTER_EBUG,
               "program %s: a matrix and one that is no transpose of it, by their shapes", p->name);
}

/* dy through an epilogue: a relu's sign says what its argument's was, a gelu's argument is computed
 * again */
static aster_val through_act(struct aster_program *p, const struct op *linear, aster_val dy)
{
    bool is_gelu = linear->i[0] == ASTER_ACT_GELU;
    if (linear->i[0] == ASTER_ACT_NONE || dy < 0)
        return dy;
    aster_val at = is_gelu
                       ? aster_emit_linear(p, linear->in[0], linear->in[1],
                                           linear->n_in == 3 ? linear->in[2] : -1, ASTER_ACT_NONE)
                       : linear->out[0];
    struct op o = aster_op_start(ASTER_OP_unary_grad, 2, (aster_val[]){at, dy});
    o.i[0] = is_gelu ? ASTER_FN_GELU : ASTER_FN_RELU;
    return aster_op_add(p, &o);
}

static void grad_linear(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    aster_val g = through_act(p, o, dout[0]);
    aster_val t = want[1] ? -1 : aster_value(p, o->in[1])->transposed;
    if (want[0])
        din[0] = aster_emit_matmul(p, g, t < 0 ? o->in[1] : t, false, t < 0);
    aster_val g2 = flat_rows(p, g);
    if (want[1])
        din[1] = aster_emit_matmul(p, flat_rows(p, o->in[0]), g2, true, false);
    if (o->n_in == 3 && want[2]) {
        aster_sz n = aster_val_dim(p, g2, 1);
        din[2] = aster_emit_reshape(p, aster_emit_sum_to(p, g2, (aster_sz[]){aster_size(p, 1), n}),
                                    1, &n);
    }
}

static double flops_linear(const struct aster_args *a)
{
    double n = 2;
    for (int k = 0; k < a->out[0].rank; k++)
        n *= (double)a->out[0].dim[k];
    return n * (double)a->in[1].dim[0];
}

const struct op_desc aster_desc_linear = {"linear",   infer_linear, grad_linear, flops_linear,
                                          OP_ROWWISE, NULL,         NULL};
const struct op_desc aster_desc_linear_bf16 = {"linear_bf16", infer_linear, NULL, flops_linear,
                                               OP_ROWWISE,    NULL,         NULL};
