/* SPDX-License-Identifier: BSD-3-Clause */
/* A table that wraps another one and catches kernels that write what they should not, or do not
 * write what they should. */
#include "poison.h"

#include <pthread.h>
#include <string.h>

static const struct aster_backend *inner_table;
static pthread_mutex_t error_lock = PTHREAD_MUTEX_INITIALIZER;
static char error_text[256];

static void caught(enum aster_op_kind op, const char *what, int number)
{
    pthread_mutex_lock(&error_lock);
    if (!error_text[0])
        snprintf(error_text, sizeof error_text, "%s (%s): %s %d", aster_op_name(op),
                 inner_table->name, what, number);
    pthread_mutex_unlock(&error_lock);
}

const char *aster_poison_error(void)
{
    pthread_mutex_lock(&error_lock);
    const char *text = error_text[0] ? error_text : NULL;
    pthread_mutex_unlock(&error_lock);
    return text;
}

static int64_t tensor_bytes(const struct aster_tensor *t)
{
    int64_t n = t->p ? aster_dtype_size(t->dtype) : 0;
    for (int k = 0; k < t->rank; k++)
        n *= t->dim[k];
    return n;
}

static bool overlap(const struct aster_tensor *a, const struct aster_tensor *b)
{
    const char *x = a->p, *y = b->p;
    return tensor_bytes(a) > 0 && tensor_bytes(b) > 0 && x < y + tensor_bytes(b) &&
           y < x + tensor_bytes(a);
}

static bool shares_memory(const struct aster_tensor *t, int n, const struct aster_tensor *others)
{
    for (int k = 0; k < n; k++)
        if (overlap(t, &others[k]))
            return true;
    return false;
}

/* Does an element still hold the bytes it was filled with? Only a float that nobody computes looks
 * like that. */
static bool has_poison(const struct aster_tensor *t, int64_t from, int64_t bytes)
{
    int64_t size = aster_dtype_size(t->dtype);
    const unsigned char *p = (const unsigned char *)t->p + from;
    if (t->dtype != ASTER_F32 && t->dtype != ASTER_F64)
        return false;
    for (int64_t k = 0; k < bytes; k += size) {
        int64_t j = 0;
        while (j < size && p[k + j] == ASTER_POISON_BYTE)
            j++;
        if (j == size)
            return true;
    }
    return false;
}

static bool honours_rows(enum aster_op_kind op)
{
    return op == ASTER_OP_conv1d || op == ASTER_OP_avgpool2 || op == ASTER_OP_resize;
}

/* The bytes of output t [B, L, ..] where sample b is computed: all of them, or its first rows. */
struct part {
    int64_t from, bytes, rest;
};
static struct part part_of(enum aster_op_kind op, const struct aster_args *a,
                           const struct aster_tensor *t, int64_t b)
{
    int64_t all = tensor_bytes(t);
    if (!a->rows || !honours_rows(op) || all == 0)
        return (struct part){0, all, 0};
    int64_t sample = all / t->dim[0], row = sample / t->dim[1],
            used = aster_min64(a->rows[b], t->dim[1]) * row;
    return (struct part){b * sample, used, sample - used};
}

static int64_t n_parts(enum aster_op_kind op, const struct aster_args *a,
                       const struct aster_tensor *t)
{
    return a->rows && honours_rows(op) && tensor_bytes(t) > 0 ? t->dim[0] : 1;
}

static uint64_t hash_rest(enum aster_op_kind op, const struct aster_args *a,
                          const struct aster_tensor *t)
{
    uint64_t h = 0;
    for (int64_t b = 0; b < n_parts(op, a, t); b++) {
        struct part p = part_of(op, a, t, b);
        h = aster_mix64(h ^ aster_hash64((const char *)t->p + p.from + p.bytes, (size_t)p.rest));
    }
    return h;
}

struct seen {
    uint64_t in[ASTER_MAX_IN], rest[ASTER_MAX_OUT];
    bool watch_in[ASTER_MAX_IN], fill[ASTER_MAX_OUT];
    bool poisoned_in;
};

static void before(enum aster_op_kind op, const struct aster_args *a, struct seen *s)
{
    for (int k = 0; k < a->n_in; k++) {
        const struct aster_tensor *t = &a->in[k];
        s->watch_in[k] = !shares_memory(t, a->n_out, a->out);
        s->in[k] = s->watch_in[k] ? aster_hash64(t->p, (size_t)tensor_bytes(t)) : 0;
        s->poisoned_in |= has_poison(t, 0, tensor_bytes(t));
    }
    for (int k = 0; k < a->n_out; k++) {
        const struct aster_tensor *t = &a->out[k];
        s->rest[k] = hash_rest(op, a, t);
        s->fill[k] = !shares_memory(t, a->n_in, a->in);
        for (int64_t b = 0; s->fill[k] && b < n_parts(op, a, t); b++) {
            struct part p = part_of(op, a, t, b);
            if (p.bytes > 0)
                memset((char *)t->p + p.from, ASTER_POISON_BYTE, (size_t)p.bytes);
        }
    }
    if (a->work && a->work_bytes > 0)
        memset(a->work, ASTER_POISON_BYTE, (size_t)a->work_bytes);
}

static void after(enum aster_op_kind op, const struct aster_args *a, const struct seen *s)
{
    for (int k = 0; k < a->n_in; k++)
        if (s->watch_in[k] && s->in[k] != aster_hash64(a->in[k].p, (size_t)tensor_bytes(&a->in[k])))
            caught(op, "changed its input", k);
    for (int k = 0; k < a->n_out; k++) {
        const struct aster_tensor *t = &a->out[k];
        if (s->rest[k] != hash_rest(op, a, t))
            caught(op, "wrote rows it was not asked for, output", k);
        for (int64_t b = 0; s->fill[k] && !s->poisoned_in && b < n_parts(op, a, t); b++) {
            struct part p = part_of(op, a, t, b);
            if (has_poison(t, p.from, p.bytes)) {
                caught(op, "left elements unwritten, output", k);
                break;
            }
        }
    }
}

static void call(enum aster_op_kind op, const struct aster_args *a)
{
    struct seen s = {.poisoned_in = false};
    before(op, a, &s);
    inner_table->op[op](a);
    after(op, a, &s);
}

#define ASTER_OP(name, family)                                                                     \
    static void poison_##name(const struct aster_args *a)                                          \
    {                                                                                              \
        call(ASTER_OP_##name, a);                                                                  \
    }
#include "ops.def"
#undef ASTER_OP

const struct aster_backend *aster_backend_poison(const struct aster_backend *inner)
{
    static struct aster_backend table = {
        .name = "poison",
        .op =
            {
#define ASTER_OP(name, family) [ASTER_OP_##name] = poison_##name,
#include "ops.def"
#undef ASTER_OP
            },
    };
    pthread_mutex_lock(&error_lock);
    error_text[0] = '\0';
    pthread_mutex_unlock(&error_lock);
    inner_table = inner;
    table.update = inner->update;
    table.zero = inner->zero;
    table.copy = inner->copy;
    table.version = inner->version;
    return &table;
}
