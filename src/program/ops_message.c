/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages between atoms, and what their vectors go through: shapes, cost and derivatives. */
#include "program/internal.h"

enum { TABLE_BLOCK = 16 }; /* channels that lie together in a table */

static bool is_matrix(const struct aster_program *p, aster_val v)
{
    return aster_val_rank(p, v) == 2 && aster_is_real(p, v);
}

/* Whether v is [rows, factor * width] */
static bool is_rows(struct aster_program *p, aster_val v, aster_sz rows, aster_sz width,
                    int64_t factor)
{
    aster_sz wanted = factor == 1 ? width : aster_size_mul(p, aster_size(p, factor), width);
    return is_matrix(p, v) && aster_size_same(p, aster_val_dim(p, v, 0), rows) &&
           aster_size_same(p, aster_val_dim(p, v, 1), wanted);
}

static int set_rows(struct aster_program *p, struct op *o, int k, aster_sz rows, aster_sz width,
                    int64_t factor)
{
    return aster_op_set_out(
        p, o, k, aster_program_real(p), 2,
        (aster_sz[]){rows, factor == 1 ? width : aster_size_mul(p, aster_size(p, factor), width)});
}

static int64_t blocks_of(const struct aster_program *p, aster_sz width)
{
    return (p->size[width].n + TABLE_BLOCK - 1) / TABLE_BLOCK;
}

/* Whether v is [ceil(width / 16), rows, 3, 16] */
static bool is_vectors(struct aster_program *p, aster_val v, aster_sz rows, aster_sz width)
{
    return p->size[width].kind == SIZE_CONST && aster_is_real(p, v) && aster_val_rank(p, v) == 4 &&
           aster_size_is(p, aster_val_dim(p, v, 0), blocks_of(p, width)) &&
           aster_size_same(p, aster_val_dim(p, v, 1), rows) &&
           aster_size_is(p, aster_val_dim(p, v, 2), 3) &&
           aster_size_is(p, aster_val_dim(p, v, 3), TABLE_BLOCK);
}

static int set_vectors(struct aster_program *p, struct op *o, int k, aster_sz rows, aster_sz width)
{
    return aster_op_set_out(p, o, k, aster_program_real(p), 4,
                            (aster_sz[]){aster_size(p, blocks_of(p, width)), rows, aster_size(p, 3),
                                         aster_size(p, TABLE_BLOCK)});
}

/* A derivative that nobody asked for is that of 0. */
static aster_val or_zero(struct aster_program *p, aster_val d, aster_val like)
{
    return d >= 0 ? d : aster_emit_affine(p, like, 0, 0);
}

static void refuse(struct aster_program *p, const struct op *o, bool wanted, const char *what)
{
    if (!wanted)
        return;
    aster_fail(p->ctx, ASTER_EBUG, "program %s: op %s has no derivative by its %s", p->name,
               aster_op_name(o->kind), what);
    p->failed = true;
}

static double flops_elements(const struct aster_args *a, int in, double each)
{
    return each * (double)a->in[in].dim[0] * (double)a->in[in].dim[1];
}

/* ---- directions ---- */

static int infer_direction(struct aster_program *p, struct op *o)
{
    aster_val r = o->in[0];
    if (!is_matrix(p, r) || !aster_size_is(p, aster_val_dim(p, r, 1), 3))
        return aster_infer_fail(p, o, "vectors [E, 3] are expected");
    return set_rows(p, o, 0, aster_val_dim(p, r, 0), aster_size(p, 4), 1);
}

aster_val aster_emit_direction(struct aster_program *p, aster_val r, double least)
{
    if (r < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_direction, 1, &r);
    o.f[0] = least;
    return aster_op_add(p, &o);
}

static int infer_direction_dx(struct aster_program *p, struct op *o)
{
    return set_rows(p, o, 0, aster_val_dim(p, o->in[1], 0), aster_size(p, 3), 1);
}

static void grad_direction(struct aster_program *p, const struct op *o, const bool *want,
                           const aster_val *dout, aster_val *din)
{
    struct op d = aster_op_start(ASTER_OP_direction_dx, 2, (aster_val[]){dout[0], o->in[0]});
    d.f[0] = o->f[0];
    if (want[0])
        din[0] = aster_op_add(p, &d);
}

static double flops_direction(const struct aster_args *a)
{
    return 10.0 * (double)a->in[0].dim[0];
}

const struct op_desc aster_desc_direction = {
    "direction", infer_direction, grad_direction, flops_direction, 0, NULL, NULL};
const struct op_desc aster_desc_direction_dx = {
    "direction_dx", infer_direction_dx, NULL, flops_direction, 0, NULL, NULL};

/* ---- messages ---- */

static bool is_index(const struct aster_program *p, aster_val v)
{
    return aster_val_dtype(p, v) == ASTER_I32 && aster_val_rank(p, v) == 1;
}

/* Of a spline: at least one */
static bool has_intervals(const struct aster_program *p, aster_sz coefficients)
{
    return p->size[coefficients].kind == SIZE_CONST && p->size[coefficients].n > 3;
}

static int infer_message(struct aster_program *p, struct op *o)
{
    aster_val s = o->in[0], edge = o->in[1], table = o->in[2], link = o->in[3], starts = o->in[4];
    aster_sz four = aster_size(p, 4);
    if (!is_matrix(p, s) || !is_matrix(p, edge) ||
        !aster_size_same(p, aster_val_dim(p, edge, 1), four))
        return aster_infer_fail(p, o, "s [N, F] and edges [E, 4] are expected");
    aster_sz atoms = aster_val_dim(p, s, 0), width = aster_val_dim(p, s, 1),
             edges = aster_val_dim(p, edge, 0);
    if (p->size[width].kind != SIZE_CONST)
        return aster_infer_fail(p, o, "the width must be a constant");
    if (!is_index(p, link) || !is_index(p, starts) ||
        !aster_size_same(p, aster_val_dim(p, link, 0), aster_size_add(p, edges, edges)) ||
        !aster_size_same(p, aster_val_dim(p, starts, 0),
                         aster_size_add(p, atoms, aster_size(p, 1))))
        return aster_infer_fail(p, o, "links i32 [2 E] and starts i32 [N + 1] are expected");
    if (o->n_in == 6 && !is_vectors(p, o->in[5], atoms, width))
        return aster_infer_fail(p, o, "vectors [ceil(F / %d), N, 3, %d] are expected", TABLE_BLOCK,
                                TABLE_BLOCK);
    int64_t blocks = blocks_of(p, width), parts = o->n_in == 6 ? 3 : 2;
    if (!aster_is_real(p, table) || aster_val_rank(p, table) != 4 ||
        !aster_size_is(p, aster_val_dim(p, table, 0), blocks) ||
        !has_intervals(p, aster_val_dim(p, table, 1)) ||
        !aster_size_is(p, aster_val_dim(p, table, 2), parts) ||
        !aster_size_is(p, aster_val_dim(p, table, 3), TABLE_BLOCK))
        return aster_infer_fail(p, o, "a table [%lld, 4 or more, %lld, %d] is expected",
                                (long long)blocks, (long long)parts, TABLE_BLOCK);
    ASTER_TRY(set_rows(p, o, 0, atoms, width, 1));
    return set_vectors(p, o, 1, atoms, width);
}

aster_val aster_emit_message(struct aster_program *p, const struct aster_message *m,
                             aster_val *vectors)
{
    *vectors = -1;
    if (m->s < 0 || m->edge < 0 || m->table < 0 || m->link < 0 || m->starts < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_message, m->v < 0 ? 5 : 6,
                                 (aster_val[]){m->s, m->edge, m->table, m->link, m->starts, m->v});
    o.f[0] = m->cutoff;
    aster_val s = aster_op_add(p, &o);
    *vectors = s < 0 ? -1 : o.out[1];
    return s;
}

static int infer_message_dx(struct aster_program *p, struct op *o)
{
    aster_sz atoms = aster_val_dim(p, o->in[2], 0), width = aster_val_dim(p, o->in[2], 1);
    ASTER_TRY(set_rows(p, o, 0, aster_val_dim(p, o->in[3], 0), aster_size(p, 4), 1));
    if (o->i[0])
        ASTER_TRY(set_rows(p, o, 1, atoms, width, 1));
    return o->i[0] && o->n_in == 8 ? set_vectors(p, o, 2, atoms, width) : 0;
}

static void grad_message(struct aster_program *p, const struct op *o, const bool *want,
                         const aster_val *dout, aster_val *din)
{
    refuse(p, o, want[2], "table");
    if (p->failed)
        return;
    bool has_vectors = o->n_in == 6;
    struct op d = aster_op_start(
        ASTER_OP_message_dx, has_vectors ? 8 : 7,
        (aster_val[]){or_zero(p, dout[0], o->out[0]), or_zero(p, dout[1], o->out[1]), o->in[0],
                      o->in[1], o->in[2], o->in[3], o->in[4], has_vectors ? o->in[5] : -1});
    d.f[0] = o->f[0];
    d.i[0] = want[0] || want[5];
    if (aster_op_add(p, &d) < 0)
        return;
    din[1] = d.out[0];
    din[0] = want[0] ? d.out[1] : -1;
    din[5] = want[5] ? d.out[2] : -1;
}

/* A filter costs 9 for an edge and the edge back; its messages 2, 6 and 6. */
static double flops_message(const struct aster_args *a)
{
    double parts = (double)a->in[2].dim[2];
    return (double)a->in[1].dim[0] * (double)a->in[0].dim[1] * (4.5 * parts + (parts > 2 ? 14 : 8));
}

static double flops_message_dx(const struct aster_args *a)
{
    double parts = (double)a->in[4].dim[2], each = 7 * parts + (parts > 2 ? 20 : 14);
    if (a->i[0])
        each += parts > 2 ? 8 : 2;
    return (double)a->in[3].dim[0] * (double)a->in[2].dim[1] * each;
}

const struct op_desc aster_desc_message = {"message", infer_message, grad_message, flops_message,
                                           0,         NULL,          NULL};
const struct op_desc aster_desc_message_dx = {
    "message_dx", infer_message_dx, NULL, flops_message_dx, 0, NULL, NULL};

/* ---- lengths ---- */

static int infer_length(struct aster_program *p, struct op *o)
{
    if (!is_matrix(p, o->in[0]) ||
        !is_vectors(p, o->in[1], aster_val_dim(p, o->in[0], 0), aster_val_dim(p, o->in[0], 1)))
        return aster_infer_fail(p, o, "s [N, F] and vectors [ceil(F / %d), N, 3, %d] are expected",
                                TABLE_BLOCK, TABLE_BLOCK);
    return set_rows(p, o, 0, aster_val_dim(p, o->in[0], 0), aster_val_dim(p, o->in[0], 1), 2);
}

aster_val aster_emit_vector_length(struct aster_program *p, aster_val s, aster_val v, double eps)
{
    if (s < 0 || v < 0)
        return -1;
    struct op o = aster_op_start(ASTER_OP_vector_length, 2, (aster_val[]){s, v});
    o.f[0] = eps;
    return aster_op_add(p, &o);
}

static int infer_length_dx(struct aster_program *p, struct op *o)
{
    struct value q = *aster_value(p, o->in[0]);
    aster_sz width = aster_size_div(p, q.dim[1], 2);
    ASTER_TRY(set_rows(p, o, 0, q.dim[0], width, 1));
    return set_vectors(p, o, 1, q.dim[0], width);
}

/* What the vectors get from elsewhere is added where they are written anyway. */
static void grad_length(struct aster_program *p, const struct op *o, const bool *want,
                        const aster_val *dout, aster_val *din)
{
    struct op d = aster_op_start(ASTER_OP_vector_length_dx,
                                 din[1] >= 0   ? 4
                                 : din[0] >= 0 ? 3
                                               : 2,
                                 (aster_val[]){dout[0], o->in[1], din[0], din[1]});
    d.f[0] = o->f[0];
    if (aster_op_add(p, &d) < 0)
        return;
    din[0] = d.out[0];
    din[1] = d.out[1];
}

static double flops_length(const struct aster_args *a)
{
    return flops_elements(a, 0, 8);
}

const struct op_desc aster_desc_vector_length = {
    "vector_length", infer_length, grad_length, flops_length, OP_GRAD_ADDS, NULL, NULL};
const struct op_desc aster_desc_vector_length_dx = {
    "vector_length_dx", infer_length_dx, NULL, flops_length, 0, NULL, NULL};

/* ---- gates ---- */

static int infer_gate(struct aster_program *p, struct op *o)
{
    aster_val s = o->in[0];
    if (!is_matrix(p, s))
        return aster_infer_fail(p, o, "s [N, F] is expected");
    aster_sz atoms = aster_val_dim(p, s, 0), width = aster_val_dim(p, s, 1),
             three = aster_size(p, 3);
    if (!is_vectors(p, o->in[1], atoms, width) || !is_rows(p, o->in[2], atoms, width, 3) ||
        !is_rows(p, o->in[3], three, three, 1))
        return aster_infer_fail(p, o,
                                "vectors [ceil(F / %d), N, 3, %d], o [N, 3 F] and a matrix [3, 3] "
                                "are expected",
                                TABLE_BLOCK, TABLE_BLOCK);
    ASTER_TRY(set_rows(p, o, 0, atoms, width, 1));
    return set_vectors(p, o, 1, atoms, width);
}

aster_val aster_emit_vector_gate(struct aster_program *p, const struct aster_gate *g,
                                 aster_val *vectors)
{
    *vectors = -1;
    if (g->s < 0 || g->v < 0 || g->o < 0 || g->matrix < 0)
        return -1;
    struct op o =
        aster_op_start(ASTER_OP_vector_gate, 4, (aster_val[]){g->s, g->v, g->o, g->matrix});
    o.i[0] = g->is_isotropic;
    aster_val s = aster_op_add(p, &o);
    *vectors = s < 0 ? -1 : o.out[1];
    return s;
}

static int infer_gate_dx(struct aster_program *p, struct op *o)
{
    struct value s = *aster_value(p, o->in[0]);
    ASTER_TRY(set_rows(p, o, 0, s.dim[0], s.dim[1], 3));
    return set_vectors(p, o, 1, s.dim[0], s.dim[1]);
}

static void grad_gate(struct aster_program *p, const struct op *o, const bool *want,
                      const aster_val *dout, aster_val *din)
{
    refuse(p, o, want[3], "matrix");
    if (p->failed)
        return;
    aster_val ds = or_zero(p, dout[0], o->out[0]);
    struct op d = aster_op_start(
        ASTER_OP_vector_gate_dx, 5,
        (aster_val[]){ds, or_zero(p, dout[1], o->out[1]), o->in[1], o->in[2], o->in[3]});
    d.i[0] = o->i[0];
    if (aster_op_add(p, &d) < 0)
        return;
    din[0] = ds;
    din[1] = d.out[1];
    din[2] = d.out[0];
}

static double flops_gate(const struct aster_args *a)
{
    return flops_elements(a, 0, 25);
}

static double flops_gate_dx(const struct aster_args *a)
{
    return flops_elements(a, 0, 48);
}

const struct op_desc aster_desc_vector_gate = {"vector_gate", infer_gate, grad_gate, flops_gate, 0,
                                               NULL,          NULL};
const struct op_desc aster_desc_vector_gate_dx = {
    "vector_gate_dx", infer_gate_dx, NULL, flops_gate_dx, 0, NULL, NULL};
