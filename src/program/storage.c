/* SPDX-License-Identifier: BSD-3-Clause */
/* What a derivative needs of the forward pass is kept in bf16 until it is needed. */
#include "program/internal.h"

/* A value that was widened is taken again by what comes within so many ops; later it is widened
 * anew, so that no wide copy outlives the ops around it. */
enum { NEAR = 6 };

struct kept {
    aster_val root;   /* the value behind reshapes */
    bool is_needed;   /* of a root: kept */
    aster_val narrow; /* of a root: its copy in bf16 */
    aster_val wide;   /* and the last one that was made of that */
    int64_t wide_at;  /* when it was last read */
};

static bool depends_on_symbol(const struct aster_program *p, aster_sz s)
{
    const struct size_expr *e = &p->size[s];
    if (e->kind == SIZE_CONST || e->kind == SIZE_SYMBOL)
        return e->kind == SIZE_SYMBOL;
    return depends_on_symbol(p, e->a) || (e->b >= 0 && depends_on_symbol(p, e->b));
}

/* Sigmoids, softmax and the gates of an LSTM, which is what it makes third: their derivative has
 * 1 - y, of which 8 bits of a y near 1 leave nothing, and a forget gate of 1 never forgets. */
static bool is_probability(const struct op *o, int out)
{
    return o->kind == ASTER_OP_softmax || o->kind == ASTER_OP_xent ||
           (o->kind == ASTER_OP_lstm && out == 2) ||
           (o->kind == ASTER_OP_unary && o->i[0] == ASTER_FN_SIGMOID);
}

/* Results of the forward pass in f32 whose size grows with the batch; outputs stay what they are.
 */
static bool may_be_kept(const struct aster_program *p, aster_val v)
{
    const struct value *x = &p->value[v];
    if (x->op < 0 || x->op >= p->n_forward || x->cls != ASTER_CLASS_ARENA ||
        x->dtype != ASTER_F32 || is_probability(&p->op[x->op], x->out))
        return false;
    for (int k = 0; k < x->rank; k++)
        if (depends_on_symbol(p, x->dim[k]))
            return true;
    return false;
}

static void find_kept(const struct aster_program *p, struct kept *kept)
{
    for (aster_val v = 0; v < p->n_value; v++)
        kept[v] = (struct kept){.root = aster_value_root(p, v), .narrow = -1, .wide = -1};
    for (int64_t k = p->n_forward; k < p->n_op; k++)
        for (int j = 0; !p->op[k].dead && j < p->op[k].n_in; j++)
            if (p->op[k].in[j] >= 0) {
                aster_val root = kept[p->op[k].in[j]].root;
                kept[root].is_needed = may_be_kept(p, root);
            }
}

static int append(struct aster_program *p, const struct op *o)
{
    ASTER_TRY(aster_grow(p->ctx, p->n_op + 1, sizeof *p->op, &p->cap_op, &p->op));
    for (int j = 0; j < o->n_out; j++)
        p->value[o->out[j]].op = (int)p->n_op;
    p->op[p->n_op++] = *o;
    return 0;
}

/* Ops whose kernels widen what they read themselves */
static bool takes_narrow(const struct op *o, int j)
{
    return (o->kind == ASTER_OP_bn_dstats || o->kind == ASTER_OP_bn_dx) && (j == 1 || j == 2);
}

/* Both of y and x, or none */
static bool are_narrow(const struct op *o, const struct kept *kept)
{
    for (int j = 0; j < o->n_in; j++)
        if (takes_narrow(o, j) && (kept[o->in[j]].root != o->in[j] || !kept[o->in[j]].is_needed))
            return false;
    return true;
}

/* What an op of the derivative reads instead of v */
static aster_val widened(struct aster_program *p, struct kept *kept, aster_val v)
{
    struct kept *k = &kept[kept[v].root];
    if (k->wide < 0 || p->n_op - k->wide_at > NEAR)
        k->wide = aster_emit_cast(p, k->narrow, ASTER_F32);
    k->wide_at = p->n_op;
    if (v == kept[v].root)
        return k->wide;
    const struct value x = *aster_value(p, v);
    return aster_emit_reshape(p, k->wide, x.rank, x.dim);
}

/* The same ops in the same order, and casts between them. */
static int write_anew(struct aster_program *p, const struct op *old, int64_t n, struct kept *kept)
{
    for (int64_t at = 0; at < n; at++) {
        struct op o = old[at];
        bool is_derivative = at >= p->n_forward && !o.dead;
        const bool direct = is_derivative && are_narrow(&o, kept);
        for (int j = 0; is_derivative && j < o.n_in; j++)
            if (o.in[j] >= 0 && kept[kept[o.in[j]].root].is_needed)
                o.in[j] = direct && takes_narrow(&o, j) ? kept[o.in[j]].narrow
                                                        : widened(p, kept, o.in[j]);
        ASTER_TRY(append(p, &o));
        for (int j = 0; j < o.n_out; j++)
            if (kept[o.out[j]].is_needed)
                kept[o.out[j]].narrow = aster_emit_cast(p, o.out[j], ASTER_BF16);
        if (p->failed)
            return aster_ctx_code(p->ctx) < 0 ? aster_ctx_code(p->ctx) : ASTER_EBUG;
    }
    return 0;
}

int aster_program_narrow(struct aster_program *p)
{
    struct kept *kept = NULL;
    ASTER_TRY(aster_alloc(p->ctx, p->n_value, sizeof *kept, &kept));
    find_kept(p, kept);
    struct op *old = p->op;
    int64_t n = p->n_op;
    p->op = NULL;
    p->n_op = p->cap_op = 0;
    int rc = write_anew(p, old, n, kept);
    aster_free(&old);
    aster_free(&kept);
    return rc;
}
