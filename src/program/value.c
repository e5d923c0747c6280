/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs, sizes and values: building a list of ops. */
#include "program/internal.h"

#include <stdarg.h>
#include <string.h>

int aster_program_new(struct aster_ctx *ctx, const char *name, enum aster_dtype real,
                      struct aster_program **out)
{
    struct aster_program *p = NULL;
    *out = NULL;
    if (real != ASTER_F32 && real != ASTER_F64)
        return aster_fail(ctx, ASTER_EPARAM, "program %s: real type %s, expected f32 or f64", name,
                          aster_dtype_name(real));
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *p, &p));
    p->ctx = ctx;
    p->real = real;
    int rc = aster_strdup(ctx, name, &p->name);
    if (rc < 0) {
        aster_free(&p);
        return rc;
    }
    *out = p;
    return 0;
}

static void free_infos(struct aster_param_info *info, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        char *name = (char *)(uintptr_t)info[k].name;
        aster_free(&name);
    }
}

void aster_program_free(struct aster_program **pp)
{
    struct aster_program *p = *pp;
    if (!p)
        return;
    for (int64_t k = 0; k < p->n_size; k++)
        aster_free(&p->size[k].symbol);
    for (int64_t k = 0; k < p->n_input; k++)
        aster_free(&p->input[k].name);
    for (int64_t k = 0; k < p->n_output; k++)
        aster_free(&p->output[k].name);
    free_infos(p->param, p->n_param);
    free_infos(p->buffer, p->n_buffer);
    aster_free(&p->size);
    aster_free(&p->value);
    aster_free(&p->op);
    aster_free(&p->input);
    aster_free(&p->output);
    aster_free(&p->param);
    aster_free(&p->buffer);
    aster_free(&p->param_value);
    aster_free(&p->buffer_value);
    aster_free(&p->grad_value);
    aster_free(&p->aux_value);
    aster_free(&p->name);
    aster_free(pp);
}

enum aster_dtype aster_program_real(const struct aster_program *p)
{
    return p->real;
}

void aster_program_set_products(struct aster_program *p, enum aster_products products)
{
    if (!p->failed && p->real != ASTER_F32 && products != ASTER_PRODUCTS_FULL) {
        p->failed = true;
        aster_fail(p->ctx, ASTER_EBUG, "program %s: products of %s, in a program of f64", p->name,
                   aster_precision_name(ASTER_F32, products));
    }
    p->products = products;
}

void aster_program_set_narrow(struct aster_program *p)
{
    if (!p->failed && p->real != ASTER_F32) {
        p->failed = true;
        aster_fail(p->ctx, ASTER_EBUG, "program %s: values kept in bf16, in a program of f64",
                   p->name);
    }
    p->is_narrow = true;
}

uint64_t aster_program_hash(const struct aster_program *p)
{
    return p->hash;
}

const char *aster_program_name(const struct aster_program *p)
{
    return p->name;
}

/* ---- sizes ---- */

static aster_sz size_add_expr(struct aster_program *p, struct size_expr e)
{
    for (aster_sz k = 0; k < p->n_size; k++) {
        const struct size_expr *x = &p->size[k];
        if (x->kind != e.kind || x->n != e.n || x->a != e.a || x->b != e.b)
            continue;
        if (e.kind != SIZE_SYMBOL || !strcmp(x->symbol, e.symbol))
            return k;
    }
    if (p->failed ||
        aster_grow(p->ctx, p->n_size + 1, sizeof *p->size, &p->cap_size, &p->size) < 0) {
        p->failed = true;
        return -1;
    }
    if (e.kind == SIZE_SYMBOL && aster_strdup(p->ctx, e.symbol, &e.symbol) < 0) {
        p->failed = true;
        return -1;
    }
    p->size[p->n_size] = e;
    return (aster_sz)p->n_size++;
}

aster_sz aster_size(struct aster_program *p, int64_t n)
{
    return size_add_expr(p, (struct size_expr){.kind = SIZE_CONST, .n = n, .a = -1, .b = -1});
}

aster_sz aster_size_symbol(struct aster_program *p, const char *name)
{
    return size_add_expr(
        p, (struct size_expr){
               .kind = SIZE_SYMBOL, .a = -1, .b = -1, .symbol = (char *)(uintptr_t)name});
}

static int64_t div_down(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

static aster_sz size_binary(struct aster_program *p, enum size_kind kind, aster_sz a, aster_sz b)
{
    if (a < 0 || b < 0)
        return -1;
    const struct size_expr *x = &p->size[a], *y = &p->size[b];
    if (x->kind == SIZE_CONST && y->kind == SIZE_CONST)
        return aster_size(p, kind == SIZE_ADD   ? x->n + y->n
                             : kind == SIZE_SUB ? x->n - y->n
                                                : x->n * y->n);
    if (kind != SIZE_MUL && y->kind == SIZE_CONST && y->n == 0)
        return a;
    if (kind == SIZE_ADD && x->kind == SIZE_CONST && x->n == 0)
        return b;
    if (kind == SIZE_SUB && a == b)
        return aster_size(p, 0);
    if (kind == SIZE_MUL && y->kind == SIZE_CONST && y->n == 1)
        return a;
    if (kind == SIZE_MUL && x->kind == SIZE_CONST && x->n == 1)
        return b;
    if (kind != SIZE_SUB && a > b) { /* one order, so that equal products are one size */
        aster_sz t = a;
        a = b;
        b = t;
    }
    return size_add_expr(p, (struct size_expr){.kind = kind, .a = a, .b = b});
}

aster_sz aster_size_add(struct aster_program *p, aster_sz a, aster_sz b)
{
    return size_binary(p, SIZE_ADD, a, b);
}

aster_sz aster_size_sub(struct aster_program *p, aster_sz a, aster_sz b)
{
    return size_binary(p, SIZE_SUB, a, b);
}

aster_sz aster_size_mul(struct aster_program *p, aster_sz a, aster_sz b)
{
    return size_binary(p, SIZE_MUL, a, b);
}

aster_sz aster_size_div(struct aster_program *p, aster_sz a, int64_t by)
{
    if (a < 0 || by <= 0)
        return -1;
    if (by == 1)
        return a;
    if (p->size[a].kind == SIZE_CONST)
        return aster_size(p, div_down(p->size[a].n, by));
    return size_add_expr(p, (struct size_expr){.kind = SIZE_DIV, .n = by, .a = a, .b = -1});
}

int64_t aster_size_value(const struct aster_program *p, aster_sz s, const int64_t *values)
{
    const struct size_expr *e = &p->size[s];
    switch (e->kind) {
    case SIZE_CONST:
        return e->n;
    case SIZE_SYMBOL:
        return values[s];
    case SIZE_ADD:
        return values[e->a] + values[e->b];
    case SIZE_SUB:
        return values[e->a] - values[e->b];
    case SIZE_MUL:
        return values[e->a] * values[e->b];
    default:
        return div_down(values[e->a], e->n);
    }
}

bool aster_size_same(const struct aster_program *p, aster_sz a, aster_sz b)
{
    (void)p;
    return a == b;
}

bool aster_size_is(const struct aster_program *p, aster_sz a, int64_t n)
{
    return p->size[a].kind == SIZE_CONST && p->size[a].n == n;
}

void aster_size_text(const struct aster_program *p, aster_sz s, char *buf, size_t n)
{
    const struct size_expr *e = &p->size[s];
    char a[48], b[48];
    switch (e->kind) {
    case SIZE_CONST:
        snprintf(buf, n, "%lld", (long long)e->n);
        return;
    case SIZE_SYMBOL:
        snprintf(buf, n, "%s", e->symbol);
        return;
    case SIZE_DIV:
        aster_size_text(p, e->a, a, sizeof a);
        snprintf(buf, n, "%s/%lld", a, (long long)e->n);
        return;
    default:
        aster_size_text(p, e->a, a, sizeof a);
        aster_size_text(p, e->b, b, sizeof b);
        snprintf(buf, n, "(%s%c%s)", a,
                 e->kind == SIZE_ADD   ? '+'
                 : e->kind == SIZE_SUB ? '-'
                                       : '*',
                 b);
    }
}

void aster_shape_text(const struct aster_program *p, aster_val v, char *buf, size_t n)
{
    if (v < 0) {
        snprintf(buf, n, "nothing");
        return;
    }
    const struct value *x = &p->value[v];
    size_t at = (size_t)snprintf(buf, n, "%s [", aster_dtype_name(x->dtype));
    for (int k = 0; k < x->rank && at < n; k++) {
        char s[64];
        aster_size_text(p, x->dim[k], s, sizeof s);
        at += (size_t)snprintf(buf + at, n - at, "%s%s", k ? ", " : "", s);
    }
    if (at < n)
        snprintf(buf + at, n - at, "]");
}

int aster_val_rank(const struct aster_program *p, aster_val v)
{
    return v < 0 ? 0 : p->value[v].rank;
}

aster_sz aster_val_dim(const struct aster_program *p, aster_val v, int axis)
{
    if (v < 0)
        return -1;
    int k = axis < 0 ? axis + p->value[v].rank : axis;
    return k < 0 || k >= p->value[v].rank ? -1 : p->value[v].dim[k];
}

enum aster_dtype aster_val_dtype(const struct aster_program *p, aster_val v)
{
    return v < 0 ? p->real : p->value[v].dtype;
}

bool aster_is_real(const struct aster_program *p, aster_val v)
{
    return p->value[v].dtype == p->real;
}

/* ---- values ---- */

static aster_val value_add(struct aster_program *p, enum aster_dtype t, int rank,
                           const aster_sz *dim)
{
    if (p->failed)
        return -1;
    if (p->finished) {
        aster_fail(p->ctx, ASTER_EBUG, "program %s: an op was added after it was finished",
                   p->name);
        p->failed = true;
        return -1;
    }
    if (rank < 0 || rank > ASTER_MAX_RANK) {
        aster_fail(p->ctx, ASTER_EBUG, "program %s: a value of rank %d, expected 0 to %d", p->name,
                   rank, ASTER_MAX_RANK);
        p->failed = true;
        return -1;
    }
    struct value v = {
        .dtype = t, .rank = rank, .op = -1, .cls = ASTER_CLASS_ARENA, .slot = -1, .transposed = -1};
    for (int k = 0; k < rank;
         k++) { /* dim may be that of another value, which moves when the list grows */
        if (dim[k] < 0) {
            aster_fail(p->ctx, ASTER_EBUG, "program %s: a value has an undefined size", p->name);
            p->failed = true;
            return -1;
        }
        v.dim[k] = dim[k];
    }
    if (aster_grow(p->ctx, p->n_value + 1, sizeof *p->value, &p->cap_value, &p->value) < 0) {
        p->failed = true;
        return -1;
    }
    p->value[p->n_value] = v;
    return (aster_val)p->n_value++;
}

static int named_add(struct aster_program *p, struct named **list, int64_t *n, int64_t *cap,
                     const char *name, aster_val v)
{
    for (int64_t k = 0; k < *n; k++)
        if (!strcmp((*list)[k].name, name))
            return aster_fail(p->ctx, ASTER_EBUG, "program %s: two values named '%s'", p->name,
                              name);
    ASTER_TRY(aster_grow(p->ctx, *n + 1, sizeof **list, cap, list));
    ASTER_TRY(aster_strdup(p->ctx, name, &(*list)[*n].name));
    (*list)[*n].v = v;
    (*n)++;
    return 0;
}

static aster_val given(struct aster_program *p, enum aster_class c, const char *name,
                       enum aster_dtype t, int rank, const aster_sz *dims)
{
    aster_val v = value_add(p, t, rank, dims);
    if (v < 0)
        return -1;
    p->value[v].cls = c;
    p->value[v].slot = (int)p->n_input;
    if (named_add(p, &p->input, &p->n_input, &p->cap_input, name, v) < 0) {
        p->failed = true;
        return -1;
    }
    return v;
}

aster_val aster_emit_input(struct aster_program *p, const char *name, enum aster_dtype t, int rank,
                           const aster_sz *dims)
{
    return given(p, ASTER_CLASS_INPUT, name, t, rank, dims);
}

aster_val aster_emit_fact(struct aster_program *p, const char *name, enum aster_dtype t, int rank,
                          const aster_sz *dims)
{
    return given(p, ASTER_CLASS_FACTS, name, t, rank, dims);
}

/* Of the class's type, that the parameter takes */
static int64_t slots(const struct aster_param_info *info)
{
    return info->dtype == ASTER_BF16 ? (info->n + 1) / 2 : info->n;
}

static int info_add(struct aster_program *p, struct aster_param_info **list, int64_t *n,
                    int64_t *cap, struct aster_param_info info, const char *name)
{
    for (int64_t k = 0; k < *n; k++)
        if (!strcmp((*list)[k].name, name))
            return aster_fail(p->ctx, ASTER_EBUG, "program %s: two parameters named '%s'", p->name,
                              name);
    info.n = 1;
    for (int k = 0; k < info.rank; k++)
        ASTER_TRY(aster_mul(p->ctx, info.n, info.dim[k], &info.n));
    info.offset = *n ? aster_round_up((*list)[*n - 1].offset + slots(&(*list)[*n - 1]), 16) : 0;
    ASTER_TRY(aster_grow(p->ctx, *n + 1, sizeof **list, cap, list));
    char *copy = NULL;
    ASTER_TRY(aster_strdup(p->ctx, name, &copy));
    info.name = copy;
    (*list)[(*n)++] = info;
    return 0;
}

static aster_val external_add(struct aster_program *p, enum aster_class cls, enum aster_dtype t,
                              int slot, int rank, const int64_t *dims, aster_val **list,
                              int64_t *cap)
{
    aster_sz dim[ASTER_MAX_RANK];
    for (int k = 0; k < rank && k < ASTER_MAX_RANK; k++)
        dim[k] = aster_size(p, dims[k]);
    aster_val v = value_add(p, t, rank, dim);
    if (v < 0 || aster_grow(p->ctx, slot + 1, sizeof **list, cap, list) < 0) {
        p->failed = true;
        return -1;
    }
    p->value[v].cls = cls;
    p->value[v].slot = slot;
    (*list)[slot] = v;
    return v;
}

static aster_val emit_param(struct aster_program *p, const char *name, enum aster_dtype t, int rank,
                            const int64_t *dims, enum aster_layout layout, struct aster_init init,
                            int64_t fan_in)
{
    struct aster_param_info info = {
        .layout = layout, .init = init, .dtype = t, .rank = rank, .fan_in = fan_in};
    for (int k = 0; k < rank && k < ASTER_MAX_RANK; k++)
        info.dim[k] = dims[k];
    int slot = (int)p->n_param;
    if (p->failed || info_add(p, &p->param, &p->n_param, &p->cap_param, info, name) < 0 ||
        aster_grow(p->ctx, p->n_param, sizeof *p->grad_value, &p->cap_grad_value, &p->grad_value) <
            0) {
        p->failed = true;
        return -1;
    }
    p->grad_value[slot] = -1;
    return external_add(p, ASTER_CLASS_PARAM, t, slot, rank, dims, &p->param_value,
                        &p->cap_param_value);
}

aster_val aster_emit_param(struct aster_program *p, const char *name, int rank, const int64_t *dims,
                           enum aster_layout layout, struct aster_init init, int64_t fan_in)
{
    return emit_param(p, name, p->real, rank, dims, layout, init, fan_in);
}

aster_val aster_emit_param_bf16(struct aster_program *p, const char *name, int rank,
                                const int64_t *dims, enum aster_layout layout,
                                struct aster_init init, int64_t fan_in)
{
    if (!p->failed && p->real != ASTER_F32) {
        p->failed = true;
        return aster_fail(p->ctx, ASTER_EBUG,
                          "program %s: parameter %s is to be bf16, in a program of f64", p->name,
                          name),
               -1;
    }
    return emit_param(p, name, ASTER_BF16, rank, dims, layout, init, fan_in);
}

aster_val aster_emit_buffer(struct aster_program *p, const char *name, int64_t n, double init)
{
    struct aster_param_info info = {
        .layout = ASTER_LAYOUT_SAME, .init = {0, init}, .dtype = ASTER_F64, .rank = 1, .dim = {n}};
    int slot = (int)p->n_buffer;
    if (p->failed || info_add(p, &p->buffer, &p->n_buffer, &p->cap_buffer, info, name) < 0 ||
        aster_grow(p->ctx, p->n_buffer, sizeof *p->aux_value, &p->cap_aux_value, &p->aux_value) <
            0) {
        p->failed = true;
        return -1;
    }
    p->aux_value[slot] = -1;
    return external_add(p, ASTER_CLASS_BUFFER, ASTER_F64, slot, 1, &n, &p->buffer_value,
                        &p->cap_buffer_value);
}

aster_val aster_value_root(const struct aster_program *p, aster_val v)
{
    while (p->value[v].op >= 0 && p->op[p->value[v].op].kind == ASTER_OP_reshape)
        v = p->op[p->value[v].op].in[0];
    return v;
}

/* A value that may be placed in a class: made by an op and not placed yet; else a copy of it. */
static aster_val placeable(struct aster_program *p, aster_val v)
{
    if (v < 0)
        return -1;
    aster_val r = aster_value_root(p, v);
    const struct value *x = &p->value[r];
    if (x->op >= 0 && x->cls == ASTER_CLASS_ARENA && p->op[x->op].kind != ASTER_OP_sync_sum &&
        p->op[x->op].kind != ASTER_OP_slice)
        return r;
    return aster_emit_affine(p, v, 1.0, 0.0);
}

static void place(struct aster_program *p, aster_val v, enum aster_class cls, int slot)
{
    if (v < 0)
        return;
    p->value[v].cls = cls;
    p->value[v].slot = slot;
}

void aster_emit_output(struct aster_program *p, const char *name, aster_val v)
{
    aster_val r = placeable(p, v);
    if (r < 0)
        return;
    place(p, r, ASTER_CLASS_OUTPUT, (int)p->n_output);
    if (named_add(p, &p->output, &p->n_output, &p->cap_output, name, r) < 0)
        p->failed = true;
}

void aster_emit_aux(struct aster_program *p, const char *buffer_name, aster_val v)
{
    for (int64_t k = 0; k < p->n_buffer; k++)
        if (!strcmp(p->buffer[k].name, buffer_name)) {
            aster_val r = placeable(p, v);
            place(p, r, ASTER_CLASS_AUX, (int)k);
            p->aux_value[k] = r;
            return;
        }
    if (!p->failed)
        aster_fail(p->ctx, ASTER_EBUG, "program %s: no buffer named '%s'", p->name, buffer_name);
    p->failed = true;
}

int aster_program_grad_params(struct aster_program *p, aster_val y)
{
    return aster_program_grad_from(p, y, -1, -1, NULL);
}

int aster_program_grad_from(struct aster_program *p, aster_val y, aster_val dy, aster_val x,
                            aster_val *dx_out)
{
    aster_val *dx = NULL, *by = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(p->ctx, p->n_param + 1, sizeof *dx, &dx), done);
    ASTER_GOTO(aster_alloc(p->ctx, p->n_param + 1, sizeof *by, &by), done);
    for (int64_t k = 0; k < p->n_param; k++)
        by[k] = p->param_value[k];
    by[p->n_param] = x;
    rc = aster_program_sweep(p, y, dy, (int)p->n_param + 1, by, dx);
    if (dx_out)
        *dx_out = rc == 0 ? dx[p->n_param] : -1;
    for (int64_t k = 0; rc == 0 && k < p->n_param; k++) {
        if (dx[k] < 0)
            continue;
        aster_val r = placeable(p, dx[k]);
        place(p, r, ASTER_CLASS_GRAD, (int)k);
        p->grad_value[k] = r;
    }
done:
    aster_free(&dx);
    aster_free(&by);
    return rc < 0 ? rc : p->failed ? aster_ctx_code(p->ctx) : 0;
}

int aster_program_n_params(const struct aster_program *p)
{
    return (int)p->n_param;
}

const struct aster_param_info *aster_program_param(const struct aster_program *p, int i)
{
    return &p->param[i];
}

int aster_program_n_buffers(const struct aster_program *p)
{
    return (int)p->n_buffer;
}

const struct aster_param_info *aster_program_buffer(const struct aster_program *p, int i)
{
    return &p->buffer[i];
}

int64_t aster_program_class_n(const struct aster_program *p, enum aster_class c)
{
    bool params = c == ASTER_CLASS_PARAM || c == ASTER_CLASS_GRAD;
    const struct aster_param_info *list = params ? p->param : p->buffer;
    int64_t n = params ? p->n_param : p->n_buffer;
    return n ? aster_round_up(list[n - 1].offset + slots(&list[n - 1]), 16) : 0;
}

/* ---- ops ---- */

struct op aster_op_start(enum aster_op_kind kind, int n_in, const aster_val *in)
{
    struct op o = {.kind = kind, .n_in = n_in, .s = {-1, -1}};
    for (int k = 0; k < ASTER_MAX_IN; k++)
        o.in[k] = k < n_in ? in[k] : -1;
    for (int k = 0; k < ASTER_MAX_OUT; k++)
        o.out[k] = -1;
    return o;
}

int aster_infer_fail(struct aster_program *p, const struct op *o, const char *fmt, ...)
{
    char text[160], shapes[400] = "";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t at = 0;
    for (int k = 0; k < o->n_in && at < sizeof shapes; k++) {
        char s[120];
        aster_shape_text(p, o->in[k], s, sizeof s);
        at += (size_t)snprintf(shapes + at, sizeof shapes - at, "%s%s", k ? "; " : "", s);
    }
    return aster_fail(p->ctx, ASTER_EBUG, "program %s, op %lld %s: %s; inputs: %s", p->name,
                      (long long)p->n_op, aster_op_name(o->kind), text, shapes);
}

int aster_op_set_out(struct aster_program *p, struct op *o, int k, enum aster_dtype t, int rank,
                     const aster_sz *dim)
{
    aster_val v = value_add(p, t, rank, dim);
    if (v < 0)
        return ASTER_EBUG;
    p->value[v].op = (int)p->n_op;
    p->value[v].out = k;
    o->out[k] = v;
    if (k >= o->n_out)
        o->n_out = k + 1;
    return 0;
}

aster_val aster_op_add(struct aster_program *p, struct op *o)
{
    if (p->failed)
        return -1;
    if (aster_op_descs[o->kind]->infer(p, o) < 0 ||
        aster_grow(p->ctx, p->n_op + 1, sizeof *p->op, &p->cap_op, &p->op) < 0) {
        p->failed = true;
        return -1;
    }
    p->op[p->n_op++] = *o;
    return o->out[0];
}

/* Ops whose results nobody reads are left out. */
static void mark_dead(struct aster_program *p, bool *used)
{
    for (int64_t k = 0; k < p->n_value; k++)
        used[k] = p->value[k].op >= 0 && p->value[k].cls != ASTER_CLASS_ARENA;
    for (int64_t k = p->n_op - 1; k >= 0; k--) {
        struct op *o = &p->op[k];
        bool any = false;
        for (int j = 0; j < o->n_out; j++)
            any |= used[o->out[j]];
        o->dead = !any;
        for (int j = 0; any && j < o->n_in; j++)
            if (o->in[j] >= 0)
                used[o->in[j]] = true;
    }
}

static uint64_t hash_program(const struct aster_program *p)
{
    uint64_t h = aster_fnv1a64(&p->real, sizeof p->real);
    if (p->products != ASTER_PRODUCTS_FULL)
        h = aster_fnv1a64_more(h, &p->products, sizeof p->products);
    for (int64_t k = 0; k < p->n_size; k++) {
        const struct size_expr *e = &p->size[k];
        int64_t x[4] = {e->kind, e->n, e->a, e->b};
        h = aster_fnv1a64_more(h, x, sizeof x);
    }
    for (int64_t k = 0; k < p->n_op; k++) {
        const struct op *o = &p->op[k];
        if (o->dead)
            continue;
        int64_t head[3] = {o->kind, o->n_in, o->n_out};
        h = aster_fnv1a64_more(h, head, sizeof head);
        h = aster_fnv1a64_more(h, o->in, sizeof o->in);
        h = aster_fnv1a64_more(h, o->out, sizeof o->out);
        h = aster_fnv1a64_more(h, o->i, sizeof o->i);
        h = aster_fnv1a64_more(h, o->f, sizeof o->f);
        h = aster_fnv1a64_more(h, o->s, sizeof o->s);
    }
    for (int64_t k = 0; k < p->n_value; k++) {
        int64_t x[4] = {p->value[k].dtype, p->value[k].cls, p->value[k].slot, p->value[k].rank};
        h = aster_fnv1a64_more(h, x, sizeof x);
        h = aster_fnv1a64_more(h, p->value[k].dim, (size_t)p->value[k].rank * sizeof(aster_sz));
    }
    return h;
}

int aster_program_finish(struct aster_program *p)
{
    if (p->failed)
        return aster_ctx_code(p->ctx) < 0 ? aster_ctx_code(p->ctx) : ASTER_EBUG;
    bool *used = NULL;
    ASTER_TRY(aster_alloc(p->ctx, p->n_value, sizeof *used, &used));
    mark_dead(p, used);
    aster_free(&used);
    if (p->is_narrow && p->n_forward)
        ASTER_TRY(aster_program_narrow(p));
    p->hash = hash_program(p);
    p->finished = true;
    return 0;
}

void aster_program_print(const struct aster_program *p, struct aster_str *out)
{
    for (int64_t k = 0; k < p->n_op; k++) {
        const struct op *o = &p->op[k];
        char s[160];
        aster_str_printf(out, "%4lld %s", (long long)k, o->dead ? "(dead) " : "");
        for (int j = 0; j < o->n_out; j++) {
            aster_shape_text(p, o->out[j], s, sizeof s);
            aster_str_printf(out, "%s%%%d %s", j ? ", " : "", o->out[j], s);
        }
        aster_str_printf(out, " = %s(", aster_op_name(o->kind));
        for (int j = 0; j < o->n_in; j++)
            aster_str_printf(out, "%s%%%d", j ? ", " : "", o->in[j]);
        aster_str_add(out, ")\n");
    }
}
