/* SPDX-License-Identifier: BSD-3-Clause */
/* Evaluation of ragged samples without computing their padding.
 *
 * Rows of a value that lie far enough behind a sample's end are the same as for an empty sample
 * (the background): how far, follows from each op's reach. And only rows within reach of the
 * results that count are needed at all. So each op computes min(reach, need) rows, and rows between
 * reach and need are copied from the background. The results are exactly those of the full
 * computation. */
#include "program/plan.h"

#include <string.h>

static bool is_rows(const struct aster_program *p, aster_val v, aster_sz batch)
{
    return v >= 0 && p->value[v].rank == 3 && p->value[v].dim[0] == batch;
}

/* ops that treat each position by itself when all their tensors have rows */
static bool per_row(const struct op *o)
{
    unsigned flags = aster_op_descs[o->kind]->flags;
    return (flags & OP_ROWWISE) ||
           ((o->kind == ASTER_OP_slice || o->kind == ASTER_OP_concat) && o->i[0] == 2);
}

static aster_sz batch_of(const struct aster_program *p)
{
    for (int64_t k = 0; k < p->n_input; k++)
        if (!strcmp(p->input[k].name, "x") && p->value[p->input[k].v].rank == 3)
            return p->value[p->input[k].v].dim[0];
    return -1;
}

bool aster_extents_possible(const struct aster_program *p)
{
    aster_sz batch = batch_of(p);
    if (batch < 0 || p->size[batch].kind != SIZE_SYMBOL || strcmp(p->size[batch].symbol, "B"))
        return false;
    for (int64_t k = 0; k < p->n_op; k++) {
        const struct op *o = &p->op[k];
        if (o->dead)
            continue;
        const struct op_desc *d = aster_op_descs[o->kind];
        bool rows = false;
        for (int j = 0; j < o->n_in; j++)
            rows |= is_rows(p, o->in[j], batch);
        if (!rows || o->kind == ASTER_OP_xent)
            continue; /* small values without positions, and the loss, are computed whole */
        if (!is_rows(p, o->out[0], batch) || !(per_row(o) || (d->reach && d->need)))
            return false;
    }
    return true;
}

/* scratch: reach and need of every value for every sample, and two row counts per call */
int64_t aster_extents_bytes(const struct aster_plan *plan)
{
    int64_t b = plan->size[batch_of(plan->p)];
    return aster_round_up((2 * plan->p->n_value + 2) * b * 8, 64);
}

struct rows {
    int64_t n_batch, *reach, *need, *out_rows, *in_rows;
    aster_sz batch;
};

static int64_t length_of(const struct aster_plan *plan, aster_val v)
{
    return plan->size[plan->p->value[v].dim[1]];
}

static void find_reach(const struct aster_plan *plan, const struct aster_bound *b, struct rows *r)
{
    const struct aster_program *p = plan->p;
    for (aster_val v = 0; v < p->n_value; v++)
        for (int64_t k = 0; k < r->n_batch && is_rows(p, v, r->batch); k++)
            r->reach[v * r->n_batch + k] = p->value[v].cls == ASTER_CLASS_INPUT
                                               ? aster_min64(b->lengths[k], length_of(plan, v))
                                               : 0;
    for (int64_t s = 0; s < plan->n_step; s++) {
        const struct op *o = &p->op[plan->step[s].op];
        if (!is_rows(p, o->out[0], r->batch))
            continue;
        const struct op_desc *d = aster_op_descs[o->kind];
        for (int64_t k = 0; k < r->n_batch; k++) {
            int64_t n = 0;
            for (int j = 0; j < o->n_in; j++)
                if (is_rows(p, o->in[j], r->batch))
                    n = aster_max64(n, r->reach[o->in[j] * r->n_batch + k]);
            if (d->reach && n > 0)
                n = d->reach(&plan->step[s].args, n);
            for (int j = 0; j < o->n_out; j++)
                if (is_rows(p, o->out[j], r->batch))
                    r->reach[o->out[j] * r->n_batch + k] =
                        aster_min64(n, length_of(plan, o->out[j]));
        }
    }
}

static void find_need(const struct aster_plan *plan, const struct aster_bound *b, struct rows *r)
{
    const struct aster_program *p = plan->p;
    for (aster_val v = 0; v < p->n_value; v++)
        for (int64_t k = 0; k < r->n_batch && is_rows(p, v, r->batch); k++)
            r->need[v * r->n_batch + k] = p->value[v].cls == ASTER_CLASS_OUTPUT
                                              ? aster_min64(b->lengths[k], length_of(plan, v))
                                              : 0;
    for (int64_t s = plan->n_step - 1; s >= 0; s--) {
        const struct op *o = &p->op[plan->step[s].op];
        const struct op_desc *d = aster_op_descs[o->kind];
        for (int64_t k = 0; k < r->n_batch; k++) {
            int64_t n = 0;
            bool out_rows = false;
            for (int j = 0; j < o->n_out; j++)
                if (is_rows(p, o->out[j], r->batch)) {
                    n = aster_max64(n, r->need[o->out[j] * r->n_batch + k]);
                    out_rows = true;
                }
            if (o->kind == ASTER_OP_xent)
                n = b->lengths[k];
            else if (!out_rows)
                continue;
            if (d->need && n > 0)
                n = d->need(&plan->step[s].args, n);
            for (int j = 0; j < o->n_in; j++)
                if (is_rows(p, o->in[j], r->batch)) {
                    int64_t *need = &r->need[o->in[j] * r->n_batch + k];
                    *need = aster_max64(*need, aster_min64(n, length_of(plan, o->in[j])));
                }
        }
    }
}

/* Rows of v to compute for sample k: what differs from the background and is needed; an output has
 * no background. */
static int64_t rows_of(const struct aster_plan *plan, const struct rows *r, aster_val v, int64_t k)
{
    int64_t reach = r->reach[v * r->n_batch + k], need = r->need[v * r->n_batch + k];
    return plan->p->value[v].cls == ASTER_CLASS_ARENA ? aster_min64(reach, need) : need;
}

static void fill_from_background(const struct aster_plan *plan, const struct aster_bound *b,
                                 const struct rows *r, aster_val v)
{
    if (plan->p->value[v].cls != ASTER_CLASS_ARENA)
        return;
    int64_t row = aster_dtype_size(plan->p->value[v].dtype) * plan->size[plan->p->value[v].dim[2]],
            length = length_of(plan, v);
    char *to = aster_exec_pointer(plan, v, b);
    const char *from = (const char *)b->background + plan->background->place[v].offset;
    for (int64_t k = 0; k < r->n_batch; k++) {
        int64_t reach = rows_of(plan, r, v, k), need = r->need[v * r->n_batch + k];
        if (need > reach)
            memcpy(to + (k * length + reach) * row, from + reach * row,
                   (size_t)((need - reach) * row));
    }
}

/* One call per sample, each tensor with rows cut to that sample's. */
static void call_per_sample(const struct aster_plan *plan, const struct aster_backend *be,
                            const struct aster_bound *b, const struct rows *r, const struct step *s)
{
    const struct op *o = &plan->p->op[s->op];
    struct aster_args whole;
    aster_exec_bind(plan, s, b, &whole);
    for (int64_t k = 0; k < r->n_batch; k++) {
        int64_t n = rows_of(plan, r, o->out[0], k);
        if (n <= 0)
            continue;
        struct aster_args a = whole;
        struct aster_run_info run = b->run;
        run.sample0 += k;
        run.status = run.status ? run.status + k : NULL;
        a.run = &run;
        for (int j = 0; j < a.n_in + a.n_out; j++) {
            aster_val v = j < a.n_in ? o->in[j] : o->out[j - a.n_in];
            struct aster_tensor *t = j < a.n_in ? &a.in[j] : &a.out[j - a.n_in];
            if (!is_rows(plan->p, v, r->batch))
                continue;
            t->p = (char *)t->p + k * t->dim[1] * t->dim[2] * aster_dtype_size(t->dtype);
            t->dim[0] = 1;
            t->dim[1] = n;
        }
        aster_exec_call(be, o->kind, &a, s, b->times);
    }
}

static void call_with_rows(const struct aster_plan *plan, const struct aster_backend *be,
                           const struct aster_bound *b, struct rows *r, const struct step *s)
{
    const struct op *o = &plan->p->op[s->op];
    struct aster_args a;
    aster_exec_bind(plan, s, b, &a);
    for (int64_t k = 0; k < r->n_batch; k++) {
        r->out_rows[k] = rows_of(plan, r, o->out[0], k);
        r->in_rows[k] = r->need[o->in[0] * r->n_batch + k];
    }
    a.rows = r->out_rows;
    a.rows_in = r->in_rows;
    aster_exec_call(be, o->kind, &a, s, b->times);
}

void aster_exec_extents(const struct aster_plan *plan, const struct aster_backend *be,
                        const struct aster_bound *b)
{
    struct rows r = {.batch = batch_of(plan->p)};
    r.n_batch = plan->size[r.batch];
    int64_t n = plan->p->n_value * r.n_batch, total = aster_extents_bytes(plan);
    r.reach = (int64_t *)((char *)b->at[ASTER_CLASS_ARENA] + plan->work_offset + plan->work_bytes -
                          total);
    r.need = r.reach + n;
    r.out_rows = r.need + n;
    r.in_rows = r.out_rows + r.n_batch;
    memset(r.reach, 0, (size_t)total);
    find_reach(plan, b, &r);
    find_need(plan, b, &r);
    for (int64_t k = 0; k < plan->n_step; k++) {
        const struct step *s = &plan->step[k];
        const struct op *o = &plan->p->op[s->op];
        if (s->is_view)
            continue;
        if (!is_rows(plan->p, o->out[0], r.batch) || o->kind == ASTER_OP_xent) {
            struct aster_args a;
            aster_exec_bind(plan, s, b, &a);
            aster_exec_call(be, o->kind, &a, s, b->times);
            continue;
        }
        if (per_row(o))
            call_per_sample(plan, be, b, &r, s);
        else
            call_with_rows(plan, be, b, &r, s);
        for (int j = 0; j < o->n_out; j++)
            fill_from_background(plan, b, &r, o->out[j]);
    }
}
