/* SPDX-License-Identifier: BSD-3-Clause */
/* The mistakes of a pipeline file, and the memory that is freed with it. */
#include "pipeline/internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16 * 1024 };

struct aster_pool_block {
    struct aster_pool_block *next;
    size_t size;
    _Alignas(64) char bytes[];
};

int aster_pool_get(struct aster_pool *pool, int64_t n, size_t size, void *out)
{
    int64_t bytes;
    ASTER_TRY(aster_mul(pool->ctx, n, (int64_t)size, &bytes));
    size_t need = ((size_t)bytes + 15) / 16 * 16;
    if (!pool->blocks || pool->blocks->size - pool->used < need) {
        struct aster_pool_block *b;
        size_t room = need > BLOCK ? need : BLOCK;
        ASTER_TRY(aster_alloc(pool->ctx, (int64_t)(sizeof *b + room), 1, &b));
        b->next = pool->blocks;
        b->size = room;
        pool->blocks = b;
        pool->used = 0;
    }
    void *p = pool->blocks->bytes + pool->used;
    pool->used += need;
    memcpy(out, &p, sizeof p);
    return 0;
}

int aster_pool_text(struct aster_pool *pool, const char *s, size_t n, const char **out)
{
    char *copy;
    ASTER_TRY(aster_pool_get(pool, (int64_t)n + 1, 1, &copy));
    memcpy(copy, s, n);
    *out = copy;
    return 0;
}

void aster_pool_free(struct aster_pool *pool)
{
    while (pool->blocks) {
        struct aster_pool_block *b = pool->blocks;
        pool->blocks = b->next;
        aster_free(&b);
    }
    pool->used = 0;
}

static int add(struct aster_pipeline *p, int line, int column, bool is_warning, const char *message)
{
    struct aster_str text = {0};
    struct aster_mistake *m;
    ASTER_TRY(
        aster_grow(p->ctx, p->n_mistakes + 1, sizeof *p->mistakes, &p->cap_mistakes, &p->mistakes));
    if (line > 0)
        aster_str_printf(&text, "%s:%d:%d: ", p->file, line, column);
    aster_str_printf(&text, "%s%s", is_warning ? "warning: " : "", message);
    int rc = aster_str_ok(p->ctx, &text);
    m = &p->mistakes[p->n_mistakes];
    *m = (struct aster_mistake){line, column, p->n_mistakes, is_warning, p->in_values, NULL};
    if (rc == 0)
        rc = aster_strdup(p->ctx, text.s, &m->text);
    aster_str_free(&text);
    if (rc == 0)
        p->n_mistakes++;
    return rc;
}

static void add_formatted(struct aster_pipeline *p, int line, int column, bool is_warning,
                          const char *fmt, va_list ap)
{
    char message[1024];
    aster_format(message, sizeof message, fmt, ap);
    int rc = add(p, line, column, is_warning, message);
    if (rc < 0 && !p->failed)
        p->failed = rc;
}

void aster_mistake_add(struct aster_pipeline *p, int line, int column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_formatted(p, line, column, false, fmt, ap);
    va_end(ap);
}

void aster_warning_add(struct aster_pipeline *p, int line, int column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_formatted(p, line, column, true, fmt, ap);
    va_end(ap);
}

static int by_place(const void *a, const void *b)
{
    const struct aster_mistake *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

void aster_mistakes_sort(struct aster_pipeline *p)
{
    if (p->n_mistakes)
        qsort(p->mistakes, (size_t)p->n_mistakes, sizeof *p->mistakes, by_place);
}

void aster_mistakes_drop_values(struct aster_pipeline *p)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < p->n_mistakes; i++) {
        if (p->mistakes[i].is_value)
            aster_free(&p->mistakes[i].text);
        else
            p->mistakes[kept++] = p->mistakes[i];
    }
    p->n_mistakes = kept;
}

int64_t aster_pipeline_n_mistakes(const struct aster_pipeline *p)
{
    return p->n_mistakes;
}

int64_t aster_pipeline_n_errors(const struct aster_pipeline *p)
{
    int64_t n = 0;
    for (int64_t i = 0; i < p->n_mistakes; i++)
        n += !p->mistakes[i].is_warning;
    return n;
}

const char *aster_pipeline_mistake(const struct aster_pipeline *p, int64_t i)
{
    return i >= 0 && i < p->n_mistakes ? p->mistakes[i].text : "";
}

void aster_hint(const char *word, const char *const *names, int n, char *hint, size_t size)
{
    const char *near = aster_nearest(word, names, n);
    snprintf(hint, size, near ? "; did you mean '%s'?" : "%s", near ? near : "");
}
