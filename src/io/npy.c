/* SPDX-License-Identifier: BSD-3-Clause */
/* The header of a .npy array: a Python dictionary with descr, fortran_order and shape. */
#include "io/internal.h"

#include <string.h>

#define HEADER_LIMIT (1LL << 20)
#define TEXTS_LIMIT  20000000LL

struct cursor {
    struct aster_ctx *ctx;
    const char *path, *name, *at, *end;
};

int aster_npy_header_length(struct aster_ctx *ctx, const char *path, const char *name,
                            const uint8_t *prefix, int64_t *n)
{
    if (memcmp(prefix, "\x93NUMPY", 6))
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: '%s': is no .npy array (its first bytes are others)", path, name);
    if (prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: '%s': version %d.%d of the .npy format; 1.0, 2.0 or 3.0 is expected",
                          path, name, prefix[6], prefix[7]);
    *n = prefix[6] == 1 ? 10 + (int64_t)aster_get_le(prefix + 8, 2)
                        : 12 + (int64_t)aster_get_le(prefix + 8, 4);
    if (*n > HEADER_LIMIT || *n < ASTER_NPY_PREFIX)
        return aster_fail(ctx, ASTER_ELIMIT,
                          "%s: '%s': a header of %lld bytes; at most 1 MiB is expected", path, name,
                          (long long)*n);
    return 0;
}

static int wrong(const struct cursor *c, const char *expected)
{
    int left = (int)aster_min64(c->end - c->at, 20);
    return aster_fail(c->ctx, ASTER_EFORMAT, "%s: '%s': its header has '%.*s' where %s is expected",
                      c->path, c->name, ASTER_CUT(left, c->at), expected);
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t'))
        c->at++;
}

static bool take(struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n))
        return false;
    c->at += n;
    return true;
}

/* A quoted text without escapes, shorter than room. */
static int take_text(struct cursor *c, char *out, size_t room)
{
    skip_space(c);
    char quote = c->at < c->end ? *c->at : '\0';
    const char *end = quote == '\'' || quote == '"'
                          ? memchr(c->at + 1, quote, (size_t)(c->end - c->at - 1))
                          : NULL;
    if (!end || (size_t)(end - c->at) > room || memchr(c->at, '\\', (size_t)(end - c->at)) ||
        memchr(c->at, '\0', (size_t)(end - c->at)))
        return wrong(c, "a short text in quotes");
    memcpy(out, c->at + 1, (size_t)(end - c->at - 1));
    out[end - c->at - 1] = '\0';
    c->at = end + 1;
    return 0;
}

static int take_length(struct cursor *c, int64_t *out)
{
    const char *start = c->at;
    *out = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (*out > (1LL << 50))
            return aster_fail(c->ctx, ASTER_ELIMIT,
                              "%s: '%s': a length in its shape is beyond 2^50", c->path, c->name);
        *out = *out * 10 + (*c->at - '0');
    }
    if (c->at == start)
        return wrong(c, "a length");
    take(c, "L"); /* as Python 2 wrote long integers */
    return 0;
}

static int parse_shape(struct cursor *c, struct aster_npy *a)
{
    struct aster_npy_shape *s = &a->shape;
    bool none = false, beyond = false;
    s->n = 1;
    if (!take(c, "("))
        return wrong(c, "the tuple of a shape");
    while (!take(c, ")")) {
        if (s->rank == 8)
            return aster_fail(c->ctx, ASTER_ELIMIT, "%s: '%s': more than 8 dimensions", c->path,
                              c->name);
        ASTER_TRY(take_length(c, &s->dim[s->rank]));
        int64_t d = s->dim[s->rank++];
        none |= d == 0;
        if (d && s->n > (1LL << 50) / d)
            beyond = true;
        else if (d)
            s->n *= d;
        if (!take(c, ",")) {
            if (take(c, ")"))
                break;
            return wrong(c, "',' or ')'");
        }
    }
    if (none)
        s->n = 0;
    else if (beyond)
        return aster_fail(c->ctx, ASTER_ELIMIT, "%s: '%s': more than 2^50 elements", c->path,
                          c->name);
    return 0;
}

/* Kind and size of an element from a text such as <f4; what else there is, is refused by name. */
static int parse_descr(struct cursor *c, const char *descr, struct aster_npy *a)
{
    static const struct {
        char kind;
        int size;
        enum aster_dtype dtype;
    } numbers[] = {{'f', 2, ASTER_F32}, {'f', 4, ASTER_F32}, {'f', 8, ASTER_F64},
                   {'i', 1, ASTER_I32}, {'i', 2, ASTER_I32}, {'i', 4, ASTER_I32},
                   {'i', 8, ASTER_I64}, {'u', 1, ASTER_U8},  {'u', 2, ASTER_I32},
                   {'u', 4, ASTER_I64}, {'b', 1, ASTER_U8}};
    int64_t size = 0;
    a->kind = *descr ? descr[1] : '\0';
    if (a->kind == 'O')
        return aster_fail(c->ctx, ASTER_EFORMAT,
                          "%s: '%s': holds Python objects; numbers or texts are expected (save it "
                          "with a plain dtype)",
                          c->path, c->name);
    if (!strchr("<>|=", *descr) || !a->kind || aster_parse_i64(descr + 2, &size) < 0 || size < 0 ||
        size > (1 << 24))
        return aster_fail(c->ctx, ASTER_EFORMAT, "%s: '%s': the unknown element type '%s'", c->path,
                          c->name, descr);
    bool is_text = a->kind == 'U' || a->kind == 'S';
    if (*descr == '>' && (a->kind == 'U' || size > 1) && a->kind != 'S')
        return aster_fail(c->ctx, ASTER_EFORMAT,
                          "%s: '%s': is big-endian ('%s'); little-endian is expected", c->path,
                          c->name, descr);
    a->size = a->kind == 'U' ? size * 4 : size;
    a->shape.is_text = is_text;
    a->shape.text_chars = is_text ? size : 0;
    if (is_text)
        return 0;
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (numbers[k].kind == a->kind && numbers[k].size == size) {
            a->shape.dtype = numbers[k].dtype;
            return 0;
        }
    return aster_fail(
        c->ctx, ASTER_EFORMAT,
        "%s: '%s': elements of type '%s'; f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 b1 U or S are expected",
        c->path, c->name, descr);
}

static int parse_value(struct cursor *c, const char *key, char *descr, size_t room, bool *fortran,
                       struct aster_npy *out)
{
    if (!strcmp(key, "descr")) {
        if (take(c, "["))
            return aster_fail(c->ctx, ASTER_EFORMAT,
                              "%s: '%s': is a structured array; one element type is expected",
                              c->path, c->name);
        return take_text(c, descr, room);
    }
    if (!strcmp(key, "fortran_order")) {
        *fortran = take(c, "True");
        return *fortran || take(c, "False") ? 0 : wrong(c, "True or False");
    }
    if (!strcmp(key, "shape"))
        return parse_shape(c, out);
    return aster_fail(c->ctx, ASTER_EFORMAT, "%s: '%s': its header has the unknown key '%s'",
                      c->path, c->name, key);
}

int aster_npy_parse(struct aster_ctx *ctx, const char *path, const char *name, const char *text,
                    int64_t n, int64_t begin, int64_t total, struct aster_npy *out)
{
    struct cursor c = {ctx, path, name, text, text + n};
    char key[32], descr[32] = "";
    bool fortran = false;
    int seen = 0;
    int64_t bytes;
    *out = (struct aster_npy){.begin = begin};
    if (!take(&c, "{"))
        return wrong(&c, "'{'");
    while (!take(&c, "}")) {
        ASTER_TRY(take_text(&c, key, sizeof key));
        if (!take(&c, ":"))
            return wrong(&c, "':'");
        ASTER_TRY(parse_value(&c, key, descr, sizeof descr, &fortran, out));
        int bit = *key == 'd' ? 1 : *key == 'f' ? 2 : 4;
        if (seen & bit)
            return aster_fail(ctx, ASTER_EFORMAT, "%s: '%s': its header has '%s' twice", path, name,
                              key);
        seen |= bit;
        if (!take(&c, ",") && !(c.at < c.end && *c.at == '}'))
            return wrong(&c, "',' or '}'");
    }
    skip_space(&c);
    if (c.at < c.end)
        return wrong(&c, "the end of the header");
    if (seen != 7)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: '%s': its header lacks descr, fortran_order or shape", path, name);
    ASTER_TRY(parse_descr(&c, descr, out));
    if (fortran && out->shape.rank > 1)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: '%s': is in Fortran order; C order is expected",
                          path, name);
    if (out->shape.is_text && out->shape.n > TEXTS_LIMIT)
        return aster_fail(ctx, ASTER_ELIMIT, "%s: '%s': %lld texts, at most %lld are expected",
                          path, name, (long long)out->shape.n, TEXTS_LIMIT);
    ASTER_TRY(aster_mul(ctx, out->shape.n, out->size, &bytes));
    if (bytes != total - begin)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: '%s': its shape needs %lld bytes of data, there are %lld", path,
                          name, (long long)bytes, (long long)(total - begin));
    return 0;
}
