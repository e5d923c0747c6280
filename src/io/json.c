/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON: a strict reader into a tree, and the pieces of a writer. */
#include "io/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT   (256LL << 20)
#define VALUES_LIMIT 10000000
enum { DEEPEST = 64 };

struct parser {
    struct aster_ctx *ctx;
    const char *where, *at, *end;
    int line, n_values;
};

static int wrong(struct parser *p, const char *expected)
{
    if (p->at >= p->end)
        return aster_fail(p->ctx, ASTER_EFORMAT, "%s:%d: the text ends here; %s is expected",
                          p->where, p->line, expected);
    unsigned char c = (unsigned char)*p->at;
    if (c >= 32 && c < 127)
        return aster_fail(p->ctx, ASTER_EFORMAT, "%s:%d: found '%c', %s is expected", p->where,
                          p->line, c, expected);
    return aster_fail(p->ctx, ASTER_EFORMAT, "%s:%d: found byte 0x%02x, %s is expected", p->where,
                      p->line, c, expected);
}

static void skip_space(struct parser *p)
{
    for (; p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r');
         p->at++)
        p->line += *p->at == '\n';
}

static bool take(struct parser *p, char c)
{
    if (p->at >= p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static int hex4(struct parser *p, uint32_t *out)
{
    *out = 0;
    for (int k = 0; k < 4; k++, p->at++) {
        const char *digits = "0123456789abcdefABCDEF",
                   *d = p->at < p->end && *p->at ? strchr(digits, *p->at) : NULL;
        if (!d)
            return wrong(p, "a hexadecimal digit");
        int64_t v = d - digits;
        *out = *out * 16 + (uint32_t)(v > 15 ? v - 6 : v);
    }
    return 0;
}

static int parse_escape(struct parser *p, struct aster_str *s)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *e = p->at < p->end && *p->at ? strchr(from, *p->at) : NULL;
    if (e) {
        aster_str_addn(s, to + (e - from), 1);
        p->at++;
        return 0;
    }
    if (!take(p, 'u'))
        return wrong(p, "one of \" \\ / b f n r t u after a backslash");
    uint32_t c, low;
    ASTER_TRY(hex4(p, &c));
    if (c >= 0xdc00 && c <= 0xdfff)
        return aster_fail(p->ctx, ASTER_EFORMAT,
                          "%s:%d: a second half of a surrogate pair without its first", p->where,
                          p->line);
    if (c >= 0xd800 && c <= 0xdbff) {
        if (!take(p, '\\') || !take(p, 'u'))
            return wrong(p, "the second half of a surrogate pair");
        ASTER_TRY(hex4(p, &low));
        if (low < 0xdc00 || low > 0xdfff)
            return aster_fail(p->ctx, ASTER_EFORMAT,
                              "%s:%d: a surrogate pair with a wrong second half", p->where,
                              p->line);
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c == 0)
        return aster_fail(p->ctx, ASTER_EFORMAT, "%s:%d: a text with a NUL character", p->where,
                          p->line);
    aster_utf8_add(s, c);
    return 0;
}

static int parse_string(struct parser *p, char **out)
{
    struct aster_str s = {0};
    int rc = 0;
    *out = NULL;
    if (!take(p, '"'))
        return wrong(p, "a text in double quotes");
    while (rc == 0 && !take(p, '"')) {
        if (p->at >= p->end || (unsigned char)*p->at < 32) {
            rc = wrong(p, "the closing quote of a text");
        } else if (take(p, '\\')) {
            rc = parse_escape(p, &s);
        } else {
            int n = aster_utf8_length(p->at, p->end);
            if (!n)
                rc = wrong(p, "UTF-8");
            else
                aster_str_addn(&s, p->at, (size_t)n);
            p->at += n;
        }
    }
    if (rc == 0)
        rc = aster_str_ok(p->ctx, &s);
    if (rc == 0)
        rc = aster_strdup(p->ctx, aster_str_get(&s), out);
    aster_str_free(&s);
    return rc;
}

static bool take_word(struct parser *p, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n))
        return false;
    p->at += n;
    return true;
}

static int parse_number(struct parser *p, struct aster_json *j)
{
    const char *start = p->at;
    char text[320];
    j->type = ASTER_JSON_NUMBER;
    if (take_word(p, "NaN") || take_word(p, "Infinity") ||
        take_word(p, "-Infinity")) { /* as Python's writer has them */
        j->number = *start == 'N' ? NAN : *start == '-' ? -INFINITY : INFINITY;
        return 0;
    }
    take(p, '-');
    const char *digits = p->at;
    bool plain = true;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    if (p->at == digits)
        return wrong(p, "a value");
    if (*digits == '0' && p->at - digits > 1)
        return aster_fail(p->ctx, ASTER_EFORMAT, "%s:%d: a number with a leading zero", p->where,
                          p->line);
    if (take(p, '.')) {
        plain = false;
        if (p->at >= p->end || *p->at < '0' || *p->at > '9')
            return wrong(p, "a digit after the decimal point");
        while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
            p->at++;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        plain = false;
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
            p->at++;
        if (p->at >= p->end || *p->at < '0' || *p->at > '9')
            return wrong(p, "a digit of the exponent");
        while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
            p->at++;
    }
    size_t n = (size_t)(p->at - start);
    if (n >= sizeof text)
        return aster_fail(p->ctx, ASTER_ELIMIT, "%s:%d: a number of %zu characters", p->where,
                          p->line, n);
    memcpy(text, start, n);
    text[n] = '\0';
    j->number = strtod(text, NULL);
    if (!isfinite(j->number))
        return aster_fail(p->ctx, ASTER_ELIMIT, "%s:%d: %s is beyond the range of numbers",
                          p->where, p->line, text);
    j->is_int = plain && aster_parse_i64(text, &j->integer) == 0;
    return 0;
}

static int parse_value(struct parser *p, int depth, struct aster_json **out);

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_keys(struct parser *p, const struct aster_json *object, int64_t n)
{
    const char **keys = NULL;
    int64_t k = 0;
    int rc = 0;
    ASTER_TRY(aster_alloc(p->ctx, n, sizeof *keys, &keys));
    for (const struct aster_json *c = object->child; c; c = c->next)
        keys[k++] = c->key;
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    for (k = 1; k < n && rc == 0; k++)
        if (!strcmp(keys[k - 1], keys[k]))
            rc = aster_fail(p->ctx, ASTER_EFORMAT, "%s:%d: key '%.*s' stands twice in one object",
                            p->where, object->line, ASTER_CUT(80, keys[k]));
    aster_free(&keys);
    return rc;
}

static int parse_members(struct parser *p, int depth, struct aster_json *j, char close)
{
    struct aster_json **link = &j->child;
    int64_t n = 0;
    skip_space(p);
    if (take(p, close))
        return 0;
    for (;;) {
        char *key = NULL;
        skip_space(p);
        if (close == '}') {
            ASTER_TRY(parse_string(p, &key));
            skip_space(p);
            if (!take(p, ':')) {
                aster_free(&key);
                return wrong(p, "':'");
            }
        }
        int rc = parse_value(p, depth + 1, link);
        if (*link)
            (*link)->key = key;
        else
            aster_free(&key);
        if (rc < 0)
            return rc;
        link = &(*link)->next;
        n++;
        skip_space(p);
        if (take(p, close))
            return close == '}' ? check_keys(p, j, n) : 0;
        if (!take(p, ','))
            return wrong(p, close == '}' ? "',' or '}'" : "',' or ']'");
    }
}

static int parse_value(struct parser *p, int depth, struct aster_json **out)
{
    skip_space(p);
    if (depth > DEEPEST)
        return aster_fail(p->ctx, ASTER_ELIMIT, "%s:%d: nested deeper than %d", p->where, p->line,
                          DEEPEST);
    if (++p->n_values > VALUES_LIMIT)
        return aster_fail(p->ctx, ASTER_ELIMIT, "%s:%d: more than %d values", p->where, p->line,
                          VALUES_LIMIT);
    ASTER_TRY(aster_alloc(p->ctx, 1, sizeof **out, out));
    struct aster_json *j = *out;
    j->line = p->line;
    if (take(p, '{')) {
        j->type = ASTER_JSON_OBJECT;
        return parse_members(p, depth, j, '}');
    }
    if (take(p, '[')) {
        j->type = ASTER_JSON_ARRAY;
        return parse_members(p, depth, j, ']');
    }
    if (p->at < p->end && *p->at == '"') {
        j->type = ASTER_JSON_STRING;
        return parse_string(p, &j->string);
    }
    if (take_word(p, "true")) {
        j->type = ASTER_JSON_BOOL;
        j->boolean = true;
        return 0;
    }
    if (take_word(p, "false")) {
        j->type = ASTER_JSON_BOOL;
        return 0;
    }
    if (take_word(p, "null"))
        return 0;
    return parse_number(p, j);
}

int aster_json_parse(struct aster_ctx *ctx, const char *where, const char *text, size_t n,
                     struct aster_json **out)
{
    struct parser p = {ctx, where, text, text + n, 1, 0};
    *out = NULL;
    int rc = parse_value(&p, 0, out);
    if (rc == 0) {
        skip_space(&p);
        if (p.at < p.end)
            rc = wrong(&p, "nothing more");
    }
    if (rc < 0)
        aster_json_free(out);
    return rc;
}

int aster_json_read(struct aster_ctx *ctx, const char *path, struct aster_json **out)
{
    char *text = NULL;
    int64_t n = 0;
    *out = NULL;
    ASTER_TRY(aster_file_read(ctx, path, FILE_LIMIT, &text, &n));
    int rc = aster_json_parse(ctx, path, text, (size_t)n, out);
    aster_free(&text);
    return rc;
}

void aster_json_free(struct aster_json **jp)
{
    struct aster_json *j = *jp;
    while (j) {
        struct aster_json *next = j->next;
        aster_json_free(&j->child);
        aster_free(&j->string);
        aster_free(&j->key);
        aster_free(&j);
        j = next;
    }
    *jp = NULL;
}

const struct aster_json *aster_json_get(const struct aster_json *object, const char *key)
{
    if (!object || object->type != ASTER_JSON_OBJECT)
        return NULL;
    for (const struct aster_json *c = object->child; c; c = c->next)
        if (!strcmp(c->key, key))
            return c;
    return NULL;
}

int64_t aster_json_count(const struct aster_json *j)
{
    int64_t n = 0;
    for (const struct aster_json *c = j ? j->child : NULL; c; c = c->next)
        n++;
    return n;
}

void aster_json_quote(struct aster_str *out, const char *text)
{
    aster_str_add(out, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        if (*s == '"' || *s == '\\')
            aster_str_printf(out, "\\%c", *s);
        else if (*s == '\n')
            aster_str_add(out, "\\n");
        else if (*s == '\t')
            aster_str_add(out, "\\t");
        else if (*s < 32)
            aster_str_printf(out, "\\u%04x", *s);
        else
            aster_str_addn(out, (const char *)s, 1);
    }
    aster_str_add(out, "\"");
}

void aster_json_number(struct aster_str *out, double x)
{
    char text[40];
    if (isnan(x)) {
        aster_str_add(out, "NaN");
        return;
    }
    if (isinf(x)) {
        aster_str_add(out, x < 0 ? "-Infinity" : "Infinity");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    if (!strpbrk(text, ".eE"))
        strncat(text, ".0", sizeof text - strlen(text) - 1);
    aster_str_add(out, text);
}
