/* SPDX-License-Identifier: BSD-3-Clause */
/* A program bound to sizes: segments, places in memory by liveness, cost. */
#include "program/plan.h"

#include "codelets.h"

#include <string.h>

#define ALIGN 64

static int64_t work_none(enum aster_op_kind op, const struct aster_args *a)
{
    return 0;
}
#define aster_work_pointwise work_none
#define aster_work_reduce    work_none
#define aster_work_shape     work_none
#define aster_work_pool      work_none
#define aster_work_norm      work_none
#define aster_work_loss      work_none
#define aster_work_sync      work_none
static int64_t (*const work_of[ASTER_N_OPS])(enum aster_op_kind, const struct aster_args *) = {
#define ASTER_OP(name, family) [ASTER_OP_##name] = aster_work_##family,
#include "ops.def"
#undef ASTER_OP
};

int64_t aster_value_n(const struct aster_plan *plan, aster_val v)
{
    const struct value *x = &plan->p->value[v];
    int64_t n = 1;
    for (int k = 0; k < x->rank; k++)
        n *= plan->size[x->dim[k]];
    return n;
}

int64_t aster_value_bytes(const struct aster_plan *plan, aster_val v)
{
    return aster_value_n(plan, v) * aster_dtype_size(plan->p->value[v].dtype);
}

void aster_tensor_of(const struct aster_plan *plan, aster_val v, struct aster_tensor *t)
{
    *t = (struct aster_tensor){0};
    if (v < 0)
        return;
    const struct value *x = &plan->p->value[v];
    t->dtype = x->dtype;
    t->rank = x->rank;
    for (int k = 0; k < x->rank; k++)
        t->dim[k] = plan->size[x->dim[k]];
}

/* ---- sizes ---- */

static int bind_sizes(struct aster_plan *plan, int n, const struct aster_bind *bind)
{
    const struct aster_program *p = plan->p;
    ASTER_TRY(aster_alloc(plan->ctx, p->n_size, sizeof *plan->size, &plan->size));
    for (aster_sz k = 0; k < p->n_size; k++) {
        if (p->size[k].kind == SIZE_SYMBOL) {
            int j = 0;
            while (j < n && strcmp(bind[j].symbol, p->size[k].symbol))
                j++;
            if (j == n)
                return aster_fail(plan->ctx, ASTER_EBUG, "program %s: size %s is not bound",
                                  p->name, p->size[k].symbol);
            if (bind[j].n < 0)
                return aster_fail(plan->ctx, ASTER_EBUG,
                                  "program %s: size %s = %lld, expected 0 or more", p->name,
                                  p->size[k].symbol, (long long)bind[j].n);
            plan->size[k] = bind[j].n;
        } else {
            plan->size[k] = aster_size_value(p, k, plan->size);
        }
    }
    for (int64_t v = 0; v < p->n_value; v++) {
        int64_t total = aster_dtype_size(p->value[v].dtype);
        for (int k = 0; k < p->value[v].rank; k++) {
            int64_t d = plan->size[p->value[v].dim[k]];
            char text[64];
            aster_size_text(p, p->value[v].dim[k], text, sizeof text);
            if (d < 0)
                return aster_fail(
                    plan->ctx, ASTER_ELIMIT,
                    "program %s: size %s is %lld, the input is too short for this model", p->name,
                    text, (long long)d);
            if (d && total > INT64_MAX / 4 / d)
                return aster_fail(plan->ctx, ASTER_ELIMIT,
                                  "program %s: a value has more than 2^61 bytes", p->name);
            total *= d;
        }
    }
    return 0;
}

static int check_shapes(const struct aster_plan *plan)
{
    const struct aster_program *p = plan->p;
    for (int64_t k = 0; k < p->n_op; k++) {
        const struct op *o = &p->op[k];
        if (o->dead)
            continue;
        if (o->kind == ASTER_OP_reshape &&
            aster_value_n(plan, o->in[0]) != aster_value_n(plan, o->out[0]))
            return aster_fail(plan->ctx, ASTER_EBUG,
                              "program %s, op %lld reshape: %lld elements into %lld", p->name,
                              (long long)k, (long long)aster_value_n(plan, o->in[0]),
                              (long long)aster_value_n(plan, o->out[0]));
        if (o->kind == ASTER_OP_slice || o->kind == ASTER_OP_unslice) {
            aster_val whole = o->kind == ASTER_OP_slice ? o->in[0] : o->out[0],
                      part = o->kind == ASTER_OP_slice ? o->out[0] : o->in[0];
            int64_t n = plan->size[p->value[whole].dim[o->i[0]]],
                    m = plan->size[p->value[part].dim[o->i[0]]], at = plan->size[o->s[0]];
            if (at < 0 || m < 0 || at + m > n)
                return aster_fail(plan->ctx, ASTER_EBUG,
                                  "program %s, op %lld %s: %lld..%lld of %lld", p->name,
                                  (long long)k, aster_op_name(o->kind), (long long)at,
                                  (long long)(at + m), (long long)n);
        }
    }
    return 0;
}

/* ---- steps and segments ---- */

static bool in_group(const struct aster_program *p, const struct aster_plan *plan,
                     const struct sync_group *g, aster_val v)
{
    for (int k = 0; k < g->n; k++)
        if (p->op[plan->step[g->first_step + k].op].out[0] == v)
            return true;
    return false;
}

static void fill_args(struct aster_plan *plan, struct step *s)
{
    const struct op *o = &plan->p->op[s->op];
    struct aster_args *a = &s->args;
    a->n_in = o->n_in;
    a->n_out = o->n_out;
    for (int k = 0; k < o->n_in; k++)
        aster_tensor_of(plan, o->in[k], &a->in[k]);
    for (int k = 0; k < o->n_out; k++)
        aster_tensor_of(plan, o->out[k], &a->out[k]);
    memcpy(a->i, o->i, sizeof a->i);
    memcpy(a->f, o->f, sizeof a->f);
    for (int k = 0; k < 2; k++)
        a->s[k] = o->s[k] >= 0 ? plan->size[o->s[k]] : 0;
    a->products = plan->p->products;
    a->work_bytes = work_of[o->kind](o->kind, a);
    for (int k = 0; k < o->n_in; k++)
        if (o->in[k] >= 0)
            s->bytes += (double)aster_value_bytes(plan, o->in[k]);
    double n = 0;
    for (int k = 0; k < o->n_out; k++) {
        s->bytes += (double)aster_value_bytes(plan, o->out[k]);
        n += (double)aster_value_n(plan, o->out[k]);
    }
    const struct op_desc *d = aster_op_descs[o->kind];
    s->flops = d->flops ? d->flops(a) : n;
}

static int make_steps(struct aster_plan *plan)
{
    const struct aster_program *p = plan->p;
    ASTER_TRY(aster_alloc(plan->ctx, p->n_op, sizeof *plan->step, &plan->step));
    bool group_open = false;
    for (int64_t k = 0; k < p->n_op; k++) {
        const struct op *o = &p->op[k];
        if (o->dead)
            continue;
        struct step *s = &plan->step[plan->n_step];
        s->op = (int)k;
        bool sync = aster_op_descs[o->kind]->flags & OP_SYNC;
        struct sync_group *g = plan->n_sync ? &plan->sync[plan->n_sync - 1] : NULL;
        enum aster_dtype t = p->value[o->out[0]].dtype;
        if (sync && !(group_open && g->dtype == t && !in_group(p, plan, g, o->in[0]))) {
            ASTER_TRY(aster_grow(plan->ctx, plan->n_sync + 1, sizeof *plan->sync, &plan->cap_sync,
                                 &plan->sync));
            g = &plan->sync[plan->n_sync++];
            *g = (struct sync_group){.first_step = (int)plan->n_step, .dtype = t};
        }
        if (sync) {
            g->n++;
            g->bytes += aster_value_bytes(plan, o->out[0]);
        }
        group_open = sync;
        s->segment = (int)plan->n_sync - (sync ? 1 : 0);
        fill_args(plan, s);
        plan->work_bytes = aster_max64(plan->work_bytes, s->args.work_bytes);
        plan->n_step++;
    }
    return 0;
}

/* ---- memory ---- */

struct layout {           /* while places are found */
    aster_val *base;      /* the value whose memory v uses */
    int64_t *base_offset; /* where in it, bytes */
    int64_t *last;        /* last step that reads a base */
    struct {
        int64_t offset, bytes, until;
    } * live;
    int64_t n_live, cap_live, peak;
};

static bool outside(const struct aster_plan *plan, aster_val v)
{
    return plan->p->value[v].cls != ASTER_CLASS_ARENA;
}

/* Can step s deliver its output as a piece of its input's memory? */
static bool view_offset(const struct aster_plan *plan, const struct op *o, int64_t *offset)
{
    *offset = 0;
    if (o->kind == ASTER_OP_reshape)
        return true;
    if (o->kind != ASTER_OP_slice)
        return false;
    int64_t row = aster_dtype_size(plan->p->value[o->in[0]].dtype);
    const struct value *x = &plan->p->value[o->in[0]];
    for (int k = 0; k < o->i[0]; k++)
        if (plan->size[x->dim[k]] != 1)
            return false;
    for (int k = (int)o->i[0] + 1; k < x->rank; k++)
        row *= plan->size[x->dim[k]];
    *offset = row * plan->size[o->s[0]];
    return *offset % ALIGN == 0;
}

static int64_t take(struct aster_plan *plan, struct layout *l, int64_t bytes, int64_t until)
{
    int64_t need = aster_round_up(aster_max64(bytes, 1), ALIGN), at = 0;
    for (int64_t k = 0; k < l->n_live; k++) { /* kept sorted by offset: first gap that fits */
        if (l->live[k].offset - at >= need)
            break;
        at = aster_max64(at, l->live[k].offset + l->live[k].bytes);
    }
    if (aster_grow(plan->ctx, l->n_live + 1, sizeof *l->live, &l->cap_live, &l->live) < 0)
        return -1;
    int64_t k = l->n_live++;
    for (; k > 0 && l->live[k - 1].offset > at; k--)
        l->live[k] = l->live[k - 1];
    l->live[k].offset = at;
    l->live[k].bytes = need;
    l->live[k].until = until;
    l->peak = aster_max64(l->peak, at + need);
    return at;
}

static void release(struct layout *l, int64_t step)
{
    int64_t n = 0;
    for (int64_t k = 0; k < l->n_live; k++)
        if (l->live[k].until > step)
            l->live[n++] = l->live[k];
    l->n_live = n;
}

/* Gives y, an output of step k, the memory of its input x, if nobody reads x later and no other
 * input lies there. */
static bool take_over(const struct aster_plan *plan, struct layout *l, int64_t k, aster_val y,
                      aster_val x)
{
    const struct aster_program *p = plan->p;
    const struct op *o = &p->op[plan->step[k].op];
    aster_val b = l->base[x];
    if (outside(plan, y) || l->base[y] != y || outside(plan, b) || l->last[b] != k ||
        l->base_offset[x] != 0 || aster_value_bytes(plan, b) != aster_value_bytes(plan, y) ||
        aster_value_n(plan, x) != aster_value_n(plan, y))
        return false;
    for (int i = 0; i < o->n_in;
         i++) /* would another input read the same memory in another order? */
        if (o->in[i] != x && o->in[i] >= 0 && l->base[o->in[i]] == b &&
            (l->base_offset[o->in[i]] != 0 ||
             aster_value_n(plan, o->in[i]) != aster_value_n(plan, y)))
            return false;
    int64_t later = l->last[y];
    for (aster_val v = 0; v < p->n_value; v++) /* y and all views of it move along */
        if (l->base[v] == y)
            l->base[v] = b;
    l->last[b] = aster_max64(later, k);
    return true;
}

/* Outputs that live in another value's memory: views, and results over an input that nobody reads
 * later. */
static void find_bases(struct aster_plan *plan, struct layout *l, bool keep_all)
{
    const struct aster_program *p = plan->p;
    for (aster_val v = 0; v < p->n_value; v++) {
        l->base[v] = v;
        l->last[v] = -1;
    }
    for (int64_t k = 0; k < plan->n_step; k++) {
        const struct op *o = &p->op[plan->step[k].op];
        int64_t offset;
        if (!outside(plan, o->out[0]) && view_offset(plan, o, &offset)) {
            plan->step[k].is_view = true;
            l->base[o->out[0]] = l->base[o->in[0]];
            l->base_offset[o->out[0]] = l->base_offset[o->in[0]] + offset;
        }
    }
    for (int64_t k = 0; k < plan->n_step; k++) {
        const struct op *o = &p->op[plan->step[k].op];
        for (int j = 0; j < o->n_in; j++)
            if (o->in[j] >= 0)
                l->last[l->base[o->in[j]]] = k;
    }
    for (int64_t k = 0; !keep_all && k < plan->n_step; k++) {
        const struct op *o = &p->op[plan->step[k].op];
        unsigned flags = aster_op_descs[o->kind]->flags;
        if (flags & OP_IS_OVER)
            take_over(plan, l, k, o->out[flags >> 8 & 15], o->in[flags >> 12 & 15]);
        for (int j = 0; (flags & OP_ELEMENTWISE) && j < o->n_in; j++)
            if (take_over(plan, l, k, o->out[0], o->in[j]))
                break;
    }
}

static int place_values(struct aster_plan *plan, struct layout *l, bool keep_all)
{
    const struct aster_program *p = plan->p;
    for (int64_t k = 0; k < plan->n_step; k++) {
        const struct op *o = &p->op[plan->step[k].op];
        for (int j = 0; j < o->n_out; j++) {
            aster_val v = o->out[j];
            if (outside(plan, v) || l->base[v] != v)
                continue;
            int64_t until = keep_all ? INT64_MAX : aster_max64(l->last[v], k);
            int64_t at = take(plan, l, aster_value_bytes(plan, v), until);
            if (at < 0)
                return aster_ctx_code(plan->ctx);
            plan->place[v] = (struct place){ASTER_CLASS_ARENA, at};
        }
        release(l, k);
    }
    for (aster_val v = 0; v < p->n_value; v++)
        if (l->base[v] != v) {
            plan->place[v] = plan->place[l->base[v]];
            plan->place[v].offset += l->base_offset[v];
        }
    return 0;
}

static int place_outside(struct aster_plan *plan)
{
    const struct aster_program *p = plan->p;
    int64_t real = aster_dtype_size(p->real), at = 0, used[ASTER_N_CLASSES] = {0};
    ASTER_TRY(aster_alloc(plan->ctx, p->n_input, sizeof(int64_t), &plan->input_offset));
    ASTER_TRY(aster_alloc(plan->ctx, p->n_output, sizeof(int64_t), &plan->output_offset));
    for (int64_t k = 0; k < p->n_input; k++) {
        int64_t *end = &used[p->value[p->input[k].v].cls];
        plan->input_offset[k] = *end;
        *end = aster_round_up(*end + aster_value_bytes(plan, p->input[k].v), ALIGN);
    }
    plan->bytes[ASTER_CLASS_INPUT] = used[ASTER_CLASS_INPUT];
    plan->bytes[ASTER_CLASS_FACTS] = used[ASTER_CLASS_FACTS];
    for (int64_t k = 0; k < p->n_output; k++) {
        plan->output_offset[k] = at;
        at = aster_round_up(at + aster_value_bytes(plan, p->output[k].v), ALIGN);
    }
    plan->bytes[ASTER_CLASS_OUTPUT] = at;
    plan->bytes[ASTER_CLASS_PARAM] = plan->bytes[ASTER_CLASS_GRAD] =
        aster_program_class_n(p, ASTER_CLASS_PARAM) * real;
    plan->bytes[ASTER_CLASS_BUFFER] = plan->bytes[ASTER_CLASS_AUX] =
        aster_program_class_n(p, ASTER_CLASS_BUFFER) * 8;
    for (aster_val v = 0; v < p->n_value; v++) {
        const struct value *x = &p->value[v];
        int64_t offset = 0;
        switch (x->cls) {
        case ASTER_CLASS_INPUT:
        case ASTER_CLASS_FACTS:
            offset = plan->input_offset[x->slot];
            break;
        case ASTER_CLASS_OUTPUT:
            offset = plan->output_offset[x->slot];
            break;
        case ASTER_CLASS_PARAM:
        case ASTER_CLASS_GRAD:
            offset = p->param[x->slot].offset * real;
            break;
        case ASTER_CLASS_BUFFER:
        case ASTER_CLASS_AUX:
            offset = p->buffer[x->slot].offset * 8;
            break;
        default:
            break;
        }
        plan->place[v] = (struct place){x->cls, offset};
    }
    return 0;
}

static int make_layout(struct aster_plan *plan, bool keep_all)
{
    struct layout l = {0};
    int64_t n = plan->p->n_value;
    int rc;
    ASTER_GOTO(aster_alloc(plan->ctx, n, sizeof *plan->place, &plan->place), done);
    ASTER_GOTO(aster_alloc(plan->ctx, n, sizeof *l.base, &l.base), done);
    ASTER_GOTO(aster_alloc(plan->ctx, n, sizeof *l.base_offset, &l.base_offset), done);
    ASTER_GOTO(aster_alloc(plan->ctx, n, sizeof *l.last, &l.last), done);
    ASTER_GOTO(place_outside(plan), done);
    find_bases(plan, &l, keep_all);
    ASTER_GOTO(place_values(plan, &l, keep_all), done);
    plan->work_offset = aster_round_up(l.peak, ALIGN);
    if (plan->extents)
        plan->work_bytes = aster_round_up(plan->work_bytes, ALIGN) + aster_extents_bytes(plan);
    plan->bytes[ASTER_CLASS_ARENA] = plan->work_offset + aster_round_up(plan->work_bytes, ALIGN);
done:
    aster_free(&l.base);
    aster_free(&l.base_offset);
    aster_free(&l.last);
    aster_free(&l.live);
    return rc;
}

/* ---- the plan ---- */

static int make_background(struct aster_plan *plan, int n, const struct aster_bind *bind)
{
    struct aster_bind one[8];
    for (int k = 0; k < n && k < 8; k++) {
        one[k] = bind[k];
        if (!strcmp(bind[k].symbol, "B") || !strcmp(bind[k].symbol, "BG"))
            one[k].n = 1;
    }
    return aster_plan_new(plan->ctx, plan->p, n, one,
                          &(struct aster_plan_options){.keep_all = true}, &plan->background);
}

int aster_plan_new(struct aster_ctx *ctx, const struct aster_program *p, int n,
                   const struct aster_bind *bind, const struct aster_plan_options *opt,
                   struct aster_plan **out)
{
    struct aster_plan *plan = NULL;
    int rc;
    *out = NULL;
    if (!p->finished)
        return aster_fail(ctx, ASTER_EBUG, "program %s: a plan before aster_program_finish",
                          p->name);
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *plan, &plan));
    plan->ctx = ctx;
    plan->p = p;
    bool keep_all = opt && opt->keep_all;
    plan->extents = opt && opt->extents && aster_extents_possible(p);
    ASTER_GOTO(bind_sizes(plan, n, bind), fail);
    ASTER_GOTO(check_shapes(plan), fail);
    ASTER_GOTO(make_steps(plan), fail);
    ASTER_GOTO(make_layout(plan, keep_all), fail);
    if (plan->extents)
        ASTER_GOTO(make_background(plan, n, bind), fail);
    plan->hash = aster_fnv1a64_more(p->hash, plan->size, (size_t)p->n_size * sizeof *plan->size);
    *out = plan;
    return 0;
fail:
    aster_plan_free(&plan);
    return rc;
}

void aster_plan_free(struct aster_plan **pp)
{
    struct aster_plan *plan = *pp;
    if (!plan)
        return;
    aster_plan_free(&plan->background);
    aster_free(&plan->size);
    aster_free(&plan->place);
    aster_free(&plan->step);
    aster_free(&plan->sync);
    aster_free(&plan->input_offset);
    aster_free(&plan->output_offset);
    aster_free(pp);
}

const struct aster_plan *aster_plan_background(const struct aster_plan *plan)
{
    return plan->background;
}

int64_t aster_plan_bytes(const struct aster_plan *plan, enum aster_class c)
{
    return plan->bytes[c];
}

int aster_plan_find(struct aster_ctx *ctx, const struct aster_plan *plan, enum aster_class c,
                    const char *name, struct aster_tensor *shape, int64_t *offset_bytes)
{
    const struct aster_program *p = plan->p;
    bool is_output = c == ASTER_CLASS_OUTPUT;
    const struct named *list = is_output ? p->output : p->input;
    int64_t n = is_output ? p->n_output : p->n_input;
    for (int64_t k = 0; k < n; k++)
        if (!strcmp(list[k].name, name) && p->value[list[k].v].cls == c) {
            if (shape)
                aster_tensor_of(plan, list[k].v, shape);
            if (offset_bytes)
                *offset_bytes = plan->place[list[k].v].offset;
            return 0;
        }
    return aster_fail(ctx, ASTER_EBUG, "program %s: no %s named '%s'", p->name,
                      is_output                ? "output"
                      : c == ASTER_CLASS_FACTS ? "fact"
                                               : "input",
                      name);
}

int aster_plan_n_segments(const struct aster_plan *plan)
{
    return (int)plan->n_sync + 1;
}

int64_t aster_plan_sync_bytes(const struct aster_plan *plan, int k)
{
    return plan->sync[k].bytes;
}

enum aster_dtype aster_plan_sync_dtype(const struct aster_plan *plan, int k)
{
    return plan->sync[k].dtype;
}

uint64_t aster_plan_hash(const struct aster_plan *plan, int segment)
{
    return aster_fnv1a64_more(plan->hash, &segment, sizeof segment);
}

void aster_plan_cost(const struct aster_plan *plan, int segment, double *flops, double *bytes)
{
    *flops = *bytes = 0;
    for (int64_t k = 0; k < plan->n_step; k++)
        if (plan->step[k].segment == segment && !plan->step[k].is_view) {
            *flops += plan->step[k].flops;
            *bytes += plan->step[k].bytes;
        }
}

double aster_plan_seconds(const struct aster_plan *plan, int segment,
                          const struct aster_device_model *d)
{
    double peak = plan->p->real == ASTER_F64 ? d->flops_f64 : d->flops_f32, sum = 0;
    for (int64_t k = 0; k < plan->n_step; k++) {
        const struct step *s = &plan->step[k];
        if (s->segment != segment || s->is_view || plan->p->op[s->op].kind == ASTER_OP_sync_sum)
            continue;
        double compute = s->flops / peak, memory = s->bytes / d->bandwidth;
        sum += d->launch + (compute > memory ? compute : memory);
    }
    return sum;
}
