/* SPDX-License-Identifier: BSD-3-Clause */
/* The stack machine of pickles, as far as files of weights need it: it makes numbered objects. */
#include "io/torch.h"

#include <stdarg.h>
#include <string.h>

#define PICKLE_LIMIT (512LL << 20)
enum { MARK = -1, NONE_AT = 0, FALSE_AT, TRUE_AT, EMPTY_TUPLE_AT };

struct machine {
    struct torch_file *t;
    const uint8_t *begin, *op, *at, *end; /* op: the instruction being done */
    int64_t *stack, n_stack, cap_stack;   /* numbers of objects, or MARK */
    uint32_t *memo;                       /* a number + 1, or 0 */
    int64_t cap_memo;
    bool stopped;
};
struct instruction {
    const char *name;
    int (*run)(struct machine *m, int argument);
    int argument;
};
static const struct instruction instructions[256];

ASTER_PRINTF(2, 3) static int wrong(const struct machine *m, const char *fmt, ...)
{
    char text[600];
    const char *name = m->op < m->end ? instructions[*m->op].name : NULL;
    va_list ap;
    va_start(ap, fmt);
    aster_format(text, sizeof text, fmt, ap);
    va_end(ap);
    return aster_fail(m->t->ctx, ASTER_EFORMAT, "%s: %.*s: byte %lld%s%s: %s", m->t->path,
                      ASTER_CUT(200, m->t->pickle->name), (long long)(m->op - m->begin),
                      name ? ", " : "", name ? name : "", text);
}

/* ---- objects ---- */

const char *torch_kind_name(enum torch_kind kind)
{
    static const char *const names[] = {
        "None",   "a truth value", "an integer", "a real number", "a text",    "a tuple", "a list",
        "a dict", "a set",         "a name",     "a record",      "a storage", "a tensor"};
    return names[kind];
}

int torch_object_add(struct torch_file *t, enum torch_kind kind, uint32_t *out)
{
    ASTER_TRY(aster_grow(t->ctx, t->n_objects + 1, sizeof *t->object, &t->cap_objects, &t->object));
    t->object[t->n_objects].kind = (uint8_t)kind;
    *out = (uint32_t)t->n_objects++;
    return 0;
}

int torch_items_add(struct torch_file *t, int64_t n, int64_t *first)
{
    ASTER_TRY(aster_grow(t->ctx, t->n_items + n, sizeof *t->item, &t->cap_items, &t->item));
    *first = t->n_items;
    t->n_items += n;
    return 0;
}

/* One more item, of width numbers, to a list or dict. Its room doubles when it is full, which is
 * when it has as many items as a power of two from 4 on. */
static int add_item(struct torch_file *t, uint32_t to, int width, const int64_t *numbers)
{
    struct torch_object *o = &t->object[to];
    int64_t n = o->n, first;
    if (n == 0 || (n >= 4 && (n & (n - 1)) == 0)) {
        ASTER_TRY(torch_items_add(t, width * (n ? 2 * n : 4), &first));
        if (n)
            memcpy(t->item + first, t->item + o->items, (size_t)(width * n) * sizeof *t->item);
        o->items = first;
    }
    for (int k = 0; k < width; k++)
        t->item[o->items + width * n + k] = (uint32_t)numbers[k];
    o->n++;
    return 0;
}

/* ---- stack ---- */

static int push(struct machine *m, int64_t number)
{
    ASTER_TRY(aster_grow(m->t->ctx, m->n_stack + 1, sizeof *m->stack, &m->cap_stack, &m->stack));
    m->stack[m->n_stack++] = number;
    return 0;
}

static int push_new(struct machine *m, enum torch_kind kind, struct torch_object **out)
{
    uint32_t number;
    ASTER_TRY(torch_object_add(m->t, kind, &number));
    *out = &m->t->object[number];
    return push(m, number);
}

static int pop(struct machine *m, uint32_t *out)
{
    *out = 0;
    if (m->n_stack == 0)
        return wrong(m, "stack underflow: an object is expected on the stack, it is empty");
    if (m->stack[m->n_stack - 1] == MARK)
        return wrong(m, "stack underflow: an object is expected on the stack, a MARK is there");
    *out = (uint32_t)m->stack[--m->n_stack];
    return 0;
}

/* The object on top of the stack stays there. */
static int top(struct machine *m, uint32_t *out)
{
    ASTER_TRY(pop(m, out));
    m->n_stack++;
    return 0;
}

/* Where the objects above the last MARK begin. */
static int above_mark(struct machine *m, int64_t *begin)
{
    *begin = m->n_stack;
    for (int64_t k = m->n_stack; k > 0; k--)
        if (m->stack[k - 1] == MARK) {
            *begin = k;
            return 0;
        }
    return wrong(m, "there is no MARK on the stack");
}

/* ---- bytes ---- */

static int take(struct machine *m, uint64_t n, const char *what, const uint8_t **out)
{
    *out = m->at;
    if (n > (uint64_t)(m->end - m->at))
        return wrong(m, "the pickle is truncated: %llu bytes of %s are expected, %lld are left",
                     (unsigned long long)n, what, (long long)(m->end - m->at));
    m->at += n;
    return 0;
}

static int take_number(struct machine *m, int n, uint64_t *out)
{
    const uint8_t *b;
    *out = 0;
    ASTER_TRY(take(m, (uint64_t)n, "a number", &b));
    *out = aster_get_le(b, n);
    return 0;
}

/* ---- instructions: constants ---- */

static int do_proto(struct machine *m, int expected)
{
    uint64_t version;
    ASTER_TRY(take_number(m, 1, &version));
    if (version != (uint64_t)expected || m->op != m->begin)
        return wrong(m, "protocol %llu; protocol %d at the start of the pickle is expected",
                     (unsigned long long)version, expected);
    return 0;
}

/* A constant, or a MARK. */
static int do_push(struct machine *m, int number)
{
    return push(m, number);
}

static int push_integer(struct machine *m, int64_t v)
{
    struct torch_object *o;
    ASTER_TRY(push_new(m, TORCH_INTEGER, &o));
    o->integer = v;
    return 0;
}

/* Of 4 bytes with sign, of fewer without. */
static int do_int(struct machine *m, int width)
{
    uint64_t v;
    ASTER_TRY(take_number(m, width, &v));
    return push_integer(m, width == 4 ? (int32_t)(uint32_t)v : (int64_t)v);
}

static int do_long(struct machine *m, int most)
{
    uint64_t n, v = 0;
    ASTER_TRY(take_number(m, 1, &n));
    if (n > (uint64_t)most)
        return wrong(m, "an integer of %llu bytes; it has to fit 64 bits", (unsigned long long)n);
    ASTER_TRY(take_number(m, (int)n, &v));
    int shift = n ? 64 - 8 * (int)n : 0;
    return push_integer(m, (int64_t)(v << shift) >> shift);
}

static int do_real(struct machine *m, int width)
{
    const uint8_t *b;
    struct torch_object *o;
    uint64_t v = 0;
    ASTER_TRY(take(m, (uint64_t)width, "a number", &b));
    for (int k = 0; k < width; k++)
        v = v << 8 | b[k];
    ASTER_TRY(push_new(m, TORCH_REAL, &o));
    memcpy(&o->real, &v, sizeof v);
    return 0;
}

static int do_text(struct machine *m, int width)
{
    uint64_t n;
    const uint8_t *b;
    struct torch_object *o;
    ASTER_TRY(take_number(m, width, &n));
    ASTER_TRY(take(m, n, "a text", &b));
    for (const char *c = (const char *)b, *end = c + n; c < end;) {
        int k = *c ? aster_utf8_length(c, end) : 0;
        if (!k)
            return wrong(m, "the text's byte %lld is 0x%02x: it is not UTF-8, or a NUL",
                         (long long)(c - (const char *)b), (unsigned char)*c);
        c += k;
    }
    ASTER_TRY(push_new(m, TORCH_TEXT, &o));
    o->text = (const char *)b;
    o->n = (uint32_t)n;
    return 0;
}

/* Module and name. */
static int do_global(struct machine *m, int n_lines)
{
    const uint8_t *begin = m->at;
    struct torch_object *o;
    for (int lines = 0; lines < n_lines; m->at++) {
        if (m->at == m->end)
            return wrong(m, "the pickle is truncated: two lines are expected, it ends in them");
        if (*m->at != '\n' && (*m->at < 33 || *m->at > 126))
            return wrong(m, "byte 0x%02x in a name; visible ASCII is expected", *m->at);
        lines += *m->at == '\n';
    }
    ASTER_TRY(push_new(m, TORCH_NAME, &o));
    o->text = (const char *)begin;
    o->n = (uint32_t)(m->at - begin - 1);
    return 0;
}

/* ---- instructions: memo ---- */

static int do_put(struct machine *m, int width)
{
    uint64_t index;
    uint32_t o;
    ASTER_TRY(take_number(m, width, &index));
    ASTER_TRY(top(m, &o));
    if (index >= (uint64_t)(m->end - m->begin))
        return wrong(m, "memo index %llu in a pickle of %lld bytes", (unsigned long long)index,
                     (long long)(m->end - m->begin));
    ASTER_TRY(aster_grow(m->t->ctx, (int64_t)index + 1, sizeof *m->memo, &m->cap_memo, &m->memo));
    m->memo[index] = o + 1;
    return 0;
}

static int do_get(struct machine *m, int width)
{
    uint64_t index;
    ASTER_TRY(take_number(m, width, &index));
    if (index >= (uint64_t)m->cap_memo || !m->memo[index])
        return wrong(m, "memo index %llu is not set", (unsigned long long)index);
    return push(m, (int64_t)m->memo[index] - 1);
}

/* ---- instructions: tuples, lists, dicts ---- */

static int do_empty(struct machine *m, int kind)
{
    struct torch_object *o;
    return push_new(m, (enum torch_kind)kind, &o);
}

/* Of the objects on the stack from begin on. */
static int make_tuple(struct machine *m, int64_t begin)
{
    int64_t n = m->n_stack - begin, first = 0;
    uint32_t number;
    ASTER_TRY(torch_object_add(m->t, TORCH_TUPLE, &number));
    ASTER_TRY(torch_items_add(m->t, n, &first));
    for (int64_t k = 0; k < n; k++)
        m->t->item[first + k] = (uint32_t)m->stack[begin + k];
    m->t->object[number].items = first;
    m->t->object[number].n = (uint32_t)n;
    m->n_stack = begin;
    return push(m, number);
}

static int do_tuple(struct machine *m, int unused)
{
    int64_t begin;
    ASTER_TRY(above_mark(m, &begin));
    ASTER_TRY(make_tuple(m, begin));
    m->stack[begin - 1] = m->stack[begin]; /* in place of the MARK */
    m->n_stack--;
    return 0;
}

static int do_short_tuple(struct machine *m, int n)
{
    uint32_t o;
    for (int k = 0; k < n; k++)
        ASTER_TRY(pop(m, &o));
    int64_t begin = m->n_stack;
    m->n_stack += n;
    return make_tuple(m, begin);
}

/* The object below the one at the place begin of the stack, which has to be of a kind. */
static int below(struct machine *m, int64_t begin, enum torch_kind kind, uint32_t *out)
{
    *out = 0;
    if (begin < 1 || m->stack[begin - 1] == MARK)
        return wrong(m, "stack underflow: %s is expected below the items", torch_kind_name(kind));
    *out = (uint32_t)m->stack[begin - 1];
    enum torch_kind found = m->t->object[*out].kind;
    if (found != kind)
        return wrong(m, "adds items to %s; %s is expected", torch_kind_name(found),
                     torch_kind_name(kind));
    return 0;
}

/* Items from the place begin of the stack on go into the object below the place under. */
static int add_items(struct machine *m, int64_t under, int64_t begin, enum torch_kind kind)
{
    uint32_t to;
    int width = kind == TORCH_DICT ? 2 : 1;
    ASTER_TRY(below(m, under, kind, &to));
    if ((m->n_stack - begin) % width)
        return wrong(m, "an odd number of objects, %lld; keys and values are expected",
                     (long long)(m->n_stack - begin));
    for (int64_t k = begin; k < m->n_stack; k += width)
        ASTER_TRY(add_item(m->t, to, width, m->stack + k));
    m->n_stack = under;
    return 0;
}

static int do_add(struct machine *m, int kind)
{
    uint32_t o;
    int width = kind == TORCH_DICT ? 2 : 1;
    for (int k = 0; k < width; k++)
        ASTER_TRY(pop(m, &o));
    int64_t begin = m->n_stack;
    m->n_stack += width;
    return add_items(m, begin, begin, (enum torch_kind)kind);
}

static int do_add_marked(struct machine *m, int kind)
{
    int64_t begin;
    ASTER_TRY(above_mark(m, &begin));
    return add_items(m, begin - 1, begin, (enum torch_kind)kind);
}

/* ---- instructions: storages, calls, records ---- */

static int finish_call(struct machine *m, int rc, uint32_t result, struct aster_str *what)
{
    if (rc == ASTER_EFORMAT)
        rc = wrong(m, "%s", aster_str_get(what));
    aster_str_free(what);
    return rc < 0 ? rc : push(m, result);
}

static int do_persistent(struct machine *m, int unused)
{
    struct aster_str what = {0};
    uint32_t id, result = 0;
    ASTER_TRY(pop(m, &id));
    int rc = torch_storage(m->t, &m->t->object[id], &result, &what);
    return finish_call(m, rc, result, &what);
}

static int do_reduce(struct machine *m, int unused)
{
    struct aster_str what = {0};
    uint32_t arguments, name, result = 0;
    ASTER_TRY(pop(m, &arguments));
    ASTER_TRY(pop(m, &name));
    const struct torch_object *n = &m->t->object[name], *a = &m->t->object[arguments];
    if (n->kind != TORCH_NAME || a->kind != TORCH_TUPLE)
        return wrong(m, "calls %s with %s; a name and a tuple are expected",
                     torch_kind_name(n->kind), torch_kind_name(a->kind));
    int rc = torch_call(m->t, n, a, &result, &what);
    return finish_call(m, rc, result, &what);
}

static int do_newobj(struct machine *m, int unused)
{
    uint32_t arguments, name;
    struct torch_object *o;
    ASTER_TRY(pop(m, &arguments));
    ASTER_TRY(pop(m, &name));
    const struct torch_object *n = &m->t->object[name], *a = &m->t->object[arguments];
    if (n->kind != TORCH_NAME || a->kind != TORCH_TUPLE || a->n)
        return wrong(m, "makes an object of %s with %s; a name and an empty tuple are expected",
                     torch_kind_name(n->kind), torch_kind_name(a->kind));
    return push_new(m, TORCH_RECORD, &o);
}

/* The state of a record; attributes of an OrderedDict are left out. */
static int do_build(struct machine *m, int unused)
{
    uint32_t state, number;
    ASTER_TRY(pop(m, &state));
    ASTER_TRY(top(m, &number));
    struct torch_object *o = &m->t->object[number];
    enum torch_kind kind = m->t->object[state].kind;
    bool record = o->kind == TORCH_RECORD && o->n == 0;
    if (!record && !(o->kind == TORCH_DICT && o->ordered))
        return wrong(m, "builds on %s; a new record or an OrderedDict is expected",
                     o->kind == TORCH_RECORD ? "a record that is built already"
                                             : torch_kind_name(o->kind));
    if (kind != TORCH_DICT)
        return wrong(m, "the state of an object is %s; a dict is expected", torch_kind_name(kind));
    return record ? add_item(m->t, number, 1, &(int64_t){state}) : 0;
}

static int do_stop(struct machine *m, int unused)
{
    if (m->n_stack != 1)
        return wrong(m, "%lld objects are left on the stack; one is expected",
                     (long long)m->n_stack);
    ASTER_TRY(pop(m, &m->t->root));
    if (m->at != m->end)
        return wrong(m, "%lld bytes follow; STOP is expected to be the last",
                     (long long)(m->end - m->at));
    m->stopped = true;
    return 0;
}

static const struct instruction instructions[256] = {
    [0x80] = {"PROTO", do_proto, 2},
    ['N'] = {"NONE", do_push, NONE_AT},
    [0x88] = {"NEWTRUE", do_push, TRUE_AT},
    [0x89] = {"NEWFALSE", do_push, FALSE_AT},
    [')'] = {"EMPTY_TUPLE", do_push, EMPTY_TUPLE_AT},
    ['('] = {"MARK", do_push, MARK},
    ['J'] = {"BININT", do_int, 4},
    ['K'] = {"BININT1", do_int, 1},
    ['M'] = {"BININT2", do_int, 2},
    [0x8a] = {"LONG1", do_long, 8},
    ['G'] = {"BINFLOAT", do_real, 8},
    ['X'] = {"BINUNICODE", do_text, 4},
    ['c'] = {"GLOBAL", do_global, 2},
    ['q'] = {"BINPUT", do_put, 1},
    ['r'] = {"LONG_BINPUT", do_put, 4},
    ['h'] = {"BINGET", do_get, 1},
    ['j'] = {"LONG_BINGET", do_get, 4},
    [']'] = {"EMPTY_LIST", do_empty, TORCH_LIST},
    ['}'] = {"EMPTY_DICT", do_empty, TORCH_DICT},
    ['t'] = {"TUPLE", do_tuple, 0},
    [0x85] = {"TUPLE1", do_short_tuple, 1},
    [0x86] = {"TUPLE2", do_short_tuple, 2},
    [0x87] = {"TUPLE3", do_short_tuple, 3},
    ['a'] = {"APPEND", do_add, TORCH_LIST},
    ['e'] = {"APPENDS", do_add_marked, TORCH_LIST},
    ['s'] = {"SETITEM", do_add, TORCH_DICT},
    ['u'] = {"SETITEMS", do_add_marked, TORCH_DICT},
    ['Q'] = {"BINPERSID", do_persistent, 0},
    ['R'] = {"REDUCE", do_reduce, 0},
    [0x81] = {"NEWOBJ", do_newobj, 0},
    ['b'] = {"BUILD", do_build, 0},
    ['.'] = {"STOP", do_stop, 0},
};

static int run(struct machine *m)
{
    static const enum torch_kind constants[] = {TORCH_NONE, TORCH_BOOL, TORCH_BOOL, TORCH_TUPLE};
    uint32_t number = 0;
    for (int k = 0; k < 4; k++)
        ASTER_TRY(torch_object_add(m->t, constants[k], &number));
    m->t->object[TRUE_AT].integer = 1;
    while (!m->stopped) {
        m->op = m->at;
        if (m->at == m->end)
            return wrong(m, "the pickle is truncated: it ends without STOP");
        const struct instruction *i = &instructions[*m->at++];
        if (!i->run)
            return wrong(m, "unknown opcode 0x%02x; files of weights do not need it", *m->op);
        if (m->op == m->begin && *m->op != 0x80)
            return wrong(m, "a pickle of protocol 2 is expected, which begins with PROTO");
        ASTER_TRY(i->run(m, i->argument));
    }
    return 0;
}

int torch_unpickle(struct torch_file *t)
{
    const uint8_t *begin = t->zip.map.bytes + t->pickle->at;
    struct machine m = {
        .t = t, .begin = begin, .op = begin, .at = begin, .end = begin + t->pickle->size};
    if (t->pickle->size > PICKLE_LIMIT)
        return aster_fail(t->ctx, ASTER_ELIMIT, "%s: %.*s has %lld bytes; %lld is the most",
                          t->path, ASTER_CUT(200, t->pickle->name), (long long)t->pickle->size,
                          PICKLE_LIMIT);
    int rc = run(&m);
    aster_free(&m.stack);
    aster_free(&m.memo);
    return rc;
}
