/* SPDX-License-Identifier: BSD-3-Clause */
/* YAML text to a tree that knows the line and column of every key and value. */
#include "pipeline/internal.h"

#include <ctype.h>
#include <string.h>
#include <yaml.h>

enum { MOST_DEPTH = 8, MOST_KEYS = 1000, MOST_ITEMS = 10000 };

struct reader {
    struct aster_pipeline *p;
    yaml_parser_t parser;
    struct aster_node *root;
    bool has_document, stop;
    int depth;
    struct open {
        struct aster_node *node;
        bool has_key, drop;
        struct aster_node *key; /* the key read last */
    } open[MOST_DEPTH];
};

/* ---- bytes ---- */

/* Length of the UTF-8 character at s, 0 when it is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    size_t length = s[0] < 0x80   ? 1
                    : s[0] < 0xc2 ? 0
                    : s[0] < 0xe0 ? 2
                    : s[0] < 0xf0 ? 3
                    : s[0] < 0xf5 ? 4
                                  : 0;
    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

/* What libyaml would refuse without a place, or accept though a reader cannot see it. */
static bool bytes_are_fine(struct aster_pipeline *p, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    int line = 1, column = 1;
    bool indent = true, fine = true;
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length(s + i, n - i);
        if (length == 0) {
            aster_mistake_add(p, line, column, "byte 0x%02x is not UTF-8; save the file as UTF-8",
                              s[i]);
            return false;
        }
        if (s[i] == '\t' && indent) {
            aster_mistake_add(p, line, column, "a tab in the indentation; use spaces");
            fine = indent = false;
        }
        if ((s[i] < 0x20 && s[i] != '\n' && s[i] != '\r' && s[i] != '\t') || s[i] == 0x7f) {
            aster_mistake_add(p, line, column, "control character 0x%02x; a pipeline file is text",
                              s[i]);
            return false;
        }
        if (s[i] != ' ')
            indent = false;
        column++;
        if (s[i] == '\n') {
            line++;
            column = 1;
            indent = true;
        }
        i += length;
    }
    return fine;
}

/* ---- scalars ---- */

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(s, *words))
            return true;
    return false;
}

static bool is_digits(const char *s, size_t n, const char *digits)
{
    return n > 0 && strspn(s, digits) >= n;
}

static bool is_real(const char *s)
{
    const char *decimal = "0123456789";
    size_t whole = strspn(s, decimal), part = 0;
    s += whole;
    if (*s == '.') {
        part = strspn(s + 1, decimal);
        s += 1 + part;
    }
    if (whole + part == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '+' || s[1] == '-');
        size_t power = strspn(s, decimal);
        if (power == 0)
            return false;
        s += power;
    }
    return *s == '\0';
}

enum aster_plain aster_plain_kind(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const infinite[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};
    static const char *const bools[] = {"yes", "no", "on", "off", "y", "n", "true", "false", NULL};
    const char *s = text + (*text == '-' || *text == '+');
    char lower[8] = "";
    if (is_one_of(text, nulls))
        return ASTER_PLAIN_NULL;
    if (is_digits(s, strlen(s), "0123456789"))
        return ASTER_PLAIN_INT;
    if (s[0] == '0' &&
        ((s[1] == 'x' && is_digits(s + 2, strlen(s + 2), "0123456789abcdefABCDEF")) ||
         (s[1] == 'o' && is_digits(s + 2, strlen(s + 2), "01234567"))))
        return ASTER_PLAIN_OTHER_INT;
    if (is_real(s))
        return ASTER_PLAIN_REAL;
    if (is_one_of(s, infinite))
        return ASTER_PLAIN_NOT_FINITE;
    if (!strcmp(text, "true") || !strcmp(text, "false"))
        return ASTER_PLAIN_BOOL;
    for (size_t i = 0; i + 1 < sizeof lower && text[i]; i++)
        lower[i] = (char)tolower((unsigned char)text[i]);
    return strlen(text) < sizeof lower - 1 && is_one_of(lower, bools) ? ASTER_PLAIN_OTHER_BOOL
                                                                      : ASTER_PLAIN_TEXT;
}

/* ---- the tree ---- */

static int node_new(struct reader *r, const yaml_event_t *e, enum aster_node_kind kind,
                    struct aster_node **out)
{
    struct aster_node *node;
    ASTER_TRY(aster_pool_get(&r->p->pool, 1, sizeof *node, &node));
    node->kind = kind;
    node->line = (int)e->start_mark.line + 1;
    node->column = (int)e->start_mark.column + 1;
    *out = node;
    return 0;
}

static void take_key(struct reader *r, struct open *o, struct aster_node *key)
{
    o->key = key;
    o->has_key = true;
    o->drop = true;
    if (key->kind == ASTER_NODE_BAD)
        return;
    if (key->kind == ASTER_NODE_LIST || key->kind == ASTER_NODE_MAP) {
        aster_mistake_add(r->p, key->line, key->column, "%s as a key; a key is a word",
                          aster_node_kind_name(key));
        return;
    }
    if (!key->text || !*key->text) {
        aster_mistake_add(r->p, key->line, key->column, "an empty key");
        return;
    }
    for (const struct aster_node *c = o->node->first; c; c = c->next)
        if (!strcmp(c->key, key->text)) {
            aster_mistake_add(r->p, key->line, key->column,
                              "key '%.*s' again; it is on line %d already",
                              ASTER_CUT(60, key->text), c->key_line);
            return;
        }
    o->drop = false;
}

/* Hangs a finished node into the collection that is open, as its key, value or item. */
static void attach(struct reader *r, struct aster_node *node)
{
    if (r->depth == 0) {
        r->root = node;
        return;
    }
    struct open *o = &r->open[r->depth - 1];
    bool is_map = o->node->kind == ASTER_NODE_MAP;
    if (is_map && !o->has_key) {
        take_key(r, o, node);
        return;
    }
    o->has_key = false;
    if (is_map && o->drop)
        return;
    if (is_map) {
        node->key = o->key->text;
        node->key_line = o->key->line;
        node->key_column = o->key->column;
    }
    if (o->node->n >= (is_map ? MOST_KEYS : MOST_ITEMS)) {
        aster_mistake_add(r->p, node->line, node->column, "more than %d entries",
                          is_map ? MOST_KEYS : MOST_ITEMS);
        r->stop = true;
        return;
    }
    if (o->node->last)
        o->node->last->next = node;
    else
        o->node->first = node;
    o->node->last = node;
    o->node->n++;
}

/* Anchors and tags change what a text means somewhere else: not here. */
static bool has_decoration(struct reader *r, const yaml_event_t *e, const yaml_char_t *anchor,
                           const yaml_char_t *tag)
{
    int line = (int)e->start_mark.line + 1, column = (int)e->start_mark.column + 1;
    if (anchor)
        aster_mistake_add(r->p, line, column,
                          "anchor '&%.*s'; anchors and aliases are not used here, a parameter can "
                          "hold what is repeated",
                          ASTER_CUT(60, (const char *)anchor));
    if (tag)
        aster_mistake_add(r->p, line, column,
                          "tag '%.*s'; tags are not used here, the option says what type it takes",
                          ASTER_CUT(60, (const char *)tag));
    return anchor || tag;
}

static int take_scalar(struct reader *r, const yaml_event_t *e)
{
    struct aster_node *node;
    const char *text = (const char *)e->data.scalar.value;
    size_t n = e->data.scalar.length;
    ASTER_TRY(node_new(r, e, ASTER_NODE_SCALAR, &node));
    ASTER_TRY(aster_pool_text(&r->p->pool, text, n, &node->text));
    node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (has_decoration(r, e, e->data.scalar.anchor, e->data.scalar.tag))
        node->kind = ASTER_NODE_BAD;
    else if (strlen(node->text) != n) {
        aster_mistake_add(r->p, node->line, node->column, "a text with a NUL character");
        node->kind = ASTER_NODE_BAD;
    } else if (!node->quoted && aster_plain_kind(node->text) == ASTER_PLAIN_NULL)
        node->kind = ASTER_NODE_NULL;
    attach(r, node);
    return 0;
}

static int open_collection(struct reader *r, const yaml_event_t *e, enum aster_node_kind kind,
                           const yaml_char_t *anchor, const yaml_char_t *tag)
{
    struct aster_node *node;
    ASTER_TRY(node_new(r, e, kind, &node));
    has_decoration(r, e, anchor, tag);
    if (r->depth == MOST_DEPTH) {
        aster_mistake_add(r->p, node->line, node->column, "nested more than %d deep", MOST_DEPTH);
        r->stop = true;
        return 0;
    }
    r->open[r->depth++] = (struct open){.node = node};
    return 0;
}

static int take_event(struct reader *r, const yaml_event_t *e)
{
    struct aster_node *node;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->has_document) {
            aster_mistake_add(r->p, (int)e->start_mark.line + 1, (int)e->start_mark.column + 1,
                              "a second document; a file holds one pipeline");
            r->stop = true;
        }
        r->has_document = true;
        return 0;
    case YAML_SCALAR_EVENT:
        return take_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(r, e, ASTER_NODE_LIST, e->data.sequence_start.anchor,
                               e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_collection(r, e, ASTER_NODE_MAP, e->data.mapping_start.anchor,
                               e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        attach(r, r->open[--r->depth].node);
        return 0;
    case YAML_ALIAS_EVENT:
        ASTER_TRY(node_new(r, e, ASTER_NODE_BAD, &node));
        aster_mistake_add(r->p, node->line, node->column,
                          "alias '*%.*s'; anchors and aliases are not used here, a parameter can "
                          "hold what is repeated",
                          ASTER_CUT(60, (const char *)e->data.alias.anchor));
        attach(r, node);
        return 0;
    default:
        return 0;
    }
}

static void syntax_mistake(struct reader *r)
{
    const yaml_parser_t *y = &r->parser;
    const yaml_mark_t *at = &y->problem_mark;
    char context[128] = "";
    if (y->context)
        snprintf(context, sizeof context, " (%s from line %d on)", y->context,
                 (int)y->context_mark.line + 1);
    aster_mistake_add(r->p, (int)at->line + 1, (int)at->column + 1, "not YAML: %s%s",
                      y->problem ? y->problem : "out of memory", context);
}

static int read_events(struct reader *r)
{
    bool at_end = false;
    while (!at_end && !r->stop) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r->parser, &e)) {
            syntax_mistake(r);
            r->stop = true;
            return 0;
        }
        at_end = e.type == YAML_STREAM_END_EVENT;
        int rc = take_event(r, &e);
        yaml_event_delete(&e);
        ASTER_TRY(rc);
    }
    return 0;
}

int aster_yaml_parse(struct aster_pipeline *p, struct aster_node **root)
{
    struct reader r = {.p = p};
    const char *text = p->text;
    size_t n = p->n_text;
    *root = NULL;
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        n -= 3;
    }
    if (!bytes_are_fine(p, text, n))
        return p->failed;
    if (!yaml_parser_initialize(&r.parser))
        return aster_fail(p->ctx, ASTER_ENOMEM, "%s: no memory for the YAML parser", p->file);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    int rc = read_events(&r);
    yaml_parser_delete(&r.parser);
    ASTER_TRY(rc);
    if (!r.stop)
        *root = r.root;
    if (!r.stop && !r.root)
        aster_mistake_add(p, 1, 1, "the file is empty");
    return p->failed;
}

const struct aster_node *aster_node_get(const struct aster_node *map, const char *key)
{
    if (!map || map->kind != ASTER_NODE_MAP)
        return NULL;
    for (const struct aster_node *c = map->first; c; c = c->next)
        if (!strcmp(c->key, key))
            return c->kind == ASTER_NODE_NULL ? NULL : c;
    return NULL;
}

const char *aster_node_kind_name(const struct aster_node *node)
{
    static const char *const names[] = {"nothing", "a text", "a list", "a mapping", "a mistake"};
    return names[node->kind];
}
