/* SPDX-License-Identifier: BSD-3-Clause */
/* The section 'parameters': what may be set, of which type, within which limits. */
#include "pipeline/internal.h"

#include <ctype.h>
#include <string.h>

static const char *const keys[] = {"type", "default", "min", "max", "choices", "unit", "help"};
enum { N_KEYS = sizeof keys / sizeof *keys, NAME_LIMIT = 64 };
static const enum aster_opt_type parameter_types[] = {
    ASTER_OPT_STR,   ASTER_OPT_FILE, ASTER_OPT_PATH,   ASTER_OPT_INT,
    ASTER_OPT_REAL,  ASTER_OPT_BOOL, ASTER_OPT_CHOICE, ASTER_OPT_INTS,
    ASTER_OPT_REALS, ASTER_OPT_STRS, ASTER_OPT_FILES};
enum { N_TYPES = sizeof parameter_types / sizeof *parameter_types };

static bool is_identifier(const char *s)
{
    if (!isalpha((unsigned char)*s) || strlen(s) > NAME_LIMIT)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s > 126 || (!isalnum((unsigned char)*s) && *s != '_'))
            return false;
    return true;
}

struct aster_declared *aster_parameter_find(const struct aster_pipeline *p, const char *name,
                                            size_t n)
{
    for (int i = 0; i < p->n_params; i++)
        if (strlen(p->params[i].q.name) == n && !memcmp(p->params[i].q.name, name, n))
            return &p->params[i];
    return NULL;
}

int aster_parameter_names(struct aster_pipeline *p, const char ***out)
{
    ASTER_TRY(aster_pool_get(&p->pool, p->n_params, sizeof **out, out));
    for (int i = 0; i < p->n_params; i++)
        (*out)[i] = p->params[i].q.name;
    return 0;
}

/* ---- declarations ---- */

static void check_keys(struct aster_pipeline *p, const struct aster_node *body)
{
    char hint[128];
    for (const struct aster_node *c = body->first; c; c = c->next) {
        bool known = false;
        for (int k = 0; k < N_KEYS; k++)
            known |= !strcmp(c->key, keys[k]);
        if (known)
            continue;
        aster_hint(c->key, keys, N_KEYS, hint, sizeof hint);
        aster_mistake_add(p, c->key_line, c->key_column,
                          "unknown key '%.*s'; a parameter has type, default, min, max, "
                          "choices, unit and help%s",
                          ASTER_CUT(60, c->key), hint);
    }
}

/* The type, or -1 with a mistake. */
static int read_type(struct aster_pipeline *p, const struct aster_declared *d,
                     const struct aster_node *body)
{
    const struct aster_node *t = aster_node_get(body, "type");
    const char *names[N_TYPES];
    char hint[128];
    if (!t) {
        aster_mistake_add(p, d->line, d->column, "parameter '%s' has no type", d->q.name);
        return -1;
    }
    if (t->kind == ASTER_NODE_BAD)
        return -1;
    for (int i = 0; i < N_TYPES; i++) {
        names[i] = aster_opt_type_name(parameter_types[i]);
        if (t->kind == ASTER_NODE_SCALAR && !strcmp(t->text, names[i]))
            return (int)parameter_types[i];
    }
    aster_hint(t->kind == ASTER_NODE_SCALAR ? t->text : "", names, N_TYPES, hint, sizeof hint);
    aster_mistake_add(
        p, t->line, t->column,
        "type: expected str, file, path, int, real, bool, choice, ints, reals, strs "
        "or files, found %s%.*s%s%s",
        t->kind == ASTER_NODE_SCALAR ? "'" : "",
        ASTER_CUT(60, t->kind == ASTER_NODE_SCALAR ? t->text : aster_node_kind_name(t)),
        t->kind == ASTER_NODE_SCALAR ? "'" : "", hint);
    return -1;
}

/* One scalar of any value of its type; 1 when it is right. */
static int read_scalar(struct aster_pipeline *p, const struct aster_node *c, const char *key,
                       enum aster_opt_type type, struct aster_opt_value *v)
{
    struct aster_limits any = {.type = type};
    struct aster_pieces pieces = {0};
    if (c->kind != ASTER_NODE_SCALAR) {
        aster_mistake_add(p, c->line, c->column, "%s: expected a %s, found %s", key,
                          type == ASTER_OPT_STR ? "text" : "number", aster_node_kind_name(c));
        return 0;
    }
    struct aster_piece piece = {c->text, c->quoted ? ASTER_FROM_QUOTED : ASTER_FROM_PLAIN, c->line,
                                c->column, NULL};
    ASTER_TRY(aster_pieces_add(p, &pieces, piece));
    return aster_typed_value(p, key, &any, &pieces, v);
}

static int read_text(struct aster_pipeline *p, const struct aster_node *body, const char *key,
                     const char **out)
{
    const struct aster_node *c = aster_node_get(body, key);
    struct aster_opt_value v;
    *out = "";
    if (!c || c->kind == ASTER_NODE_BAD)
        return 0;
    int rc = read_scalar(p, c, key, ASTER_OPT_STR, &v);
    if (rc == 1)
        *out = c->text;
    return rc < 0 ? rc : 0;
}

/* min or max, of the parameter's own type; 1 when it is there and right. */
static int read_bound(struct aster_pipeline *p, const struct aster_declared *d,
                      const struct aster_node *body, const char *key, double *out)
{
    const struct aster_node *c = aster_node_get(body, key);
    enum aster_opt_type element = aster_type_element(d->q.type);
    struct aster_opt_value v;
    if (!c || c->kind == ASTER_NODE_BAD)
        return 0;
    if (element != ASTER_OPT_INT && element != ASTER_OPT_REAL) {
        aster_mistake_add(p, c->key_line, c->key_column, "%s: a parameter of type %s has no range",
                          key, aster_opt_type_name(d->q.type));
        return 0;
    }
    int rc = read_scalar(p, c, key, element, &v);
    if (rc == 1)
        *out = v.x;
    return rc;
}

static int read_range(struct aster_pipeline *p, struct aster_declared *d,
                      const struct aster_node *body)
{
    int has_min = read_bound(p, d, body, "min", &d->q.min),
        has_max = read_bound(p, d, body, "max", &d->q.max);
    ASTER_TRY(has_min);
    ASTER_TRY(has_max);
    if (has_min && has_max && d->q.min > d->q.max) {
        const struct aster_node *c = aster_node_get(body, "max");
        aster_mistake_add(p, c->line, c->column, "max: %s is less than min", c->text);
        has_min = has_max = 0;
    }
    d->q.has_min = has_min == 1;
    d->q.has_max = has_max == 1;
    return 0;
}

static int read_choices(struct aster_pipeline *p, struct aster_declared *d,
                        const struct aster_node *body)
{
    const struct aster_node *c = aster_node_get(body, "choices");
    const char **list;
    if (c && c->kind == ASTER_NODE_BAD)
        return 0;
    if (d->q.type != ASTER_OPT_CHOICE) {
        if (c)
            aster_mistake_add(p, c->key_line, c->key_column,
                              "choices: only a parameter of type choice has them, not %s",
                              aster_opt_type_name(d->q.type));
        return 0;
    }
    if (!c || c->kind != ASTER_NODE_LIST || c->n == 0) {
        aster_mistake_add(p, c ? c->line : d->line, c ? c->column : d->column,
                          "parameter '%s' is a choice: choices must list its values", d->q.name);
        return 0;
    }
    ASTER_TRY(aster_pool_get(&p->pool, c->n, sizeof *list, &list));
    for (const struct aster_node *e = c->first; e; e = e->next) {
        bool again = false;
        if (e->kind != ASTER_NODE_SCALAR || !*e->text) {
            aster_mistake_add(p, e->line, e->column, "choices: expected a text, found %s",
                              e->kind == ASTER_NODE_SCALAR ? "an empty one"
                                                           : aster_node_kind_name(e));
            continue;
        }
        for (int i = 0; i < d->q.n_choices; i++)
            again |= !strcmp(list[i], e->text);
        if (again)
            aster_mistake_add(p, e->line, e->column, "choices: '%.*s' again",
                              ASTER_CUT(60, e->text));
        else
            list[d->q.n_choices++] = e->text;
    }
    d->q.choices = list;
    return 0;
}

/* A scalar of the default, with $$ as a dollar; references are refused. */
static int add_default(struct aster_pipeline *p, struct aster_declared *d,
                       const struct aster_node *c)
{
    struct aster_str text = {0};
    struct aster_reference_part part;
    const char *s = c->text, *why = NULL;
    int more;
    while ((more = aster_reference_next(&s, &part, &why)) == 1 && !part.name)
        aster_str_addn(&text, part.literal, part.n_literal);
    if (more)
        aster_mistake_add(p, c->line, c->column, "default: %s",
                          more < 0 ? why : "a default cannot refer to a parameter; $$ is a dollar");
    struct aster_piece piece = {NULL, c->quoted ? ASTER_FROM_QUOTED : ASTER_FROM_PLAIN, c->line,
                                c->column, NULL};
    int rc = aster_str_ok(p->ctx, &text);
    if (rc == 0)
        rc = aster_pool_text(&p->pool, aster_str_get(&text), text.len, &piece.text);
    aster_str_free(&text);
    ASTER_TRY(rc);
    return aster_pieces_add(p, &d->def, piece);
}

static int read_default(struct aster_pipeline *p, struct aster_declared *d,
                        const struct aster_node *body)
{
    const struct aster_node *c = aster_node_get(body, "default");
    bool is_list = aster_type_is_list(d->q.type);
    struct aster_opt_value v;
    int64_t before = p->n_mistakes;
    if (!c)
        return 0;
    d->has_default = true;
    if (c->kind == ASTER_NODE_BAD)
        return 0;
    if (c->kind == ASTER_NODE_MAP || (c->kind == ASTER_NODE_LIST && !is_list)) {
        struct aster_str expected = {0};
        aster_limits_text(&d->limits, &expected);
        aster_mistake_add(p, c->line, c->column, "default: expected %s, found %s",
                          aster_str_get(&expected), aster_node_kind_name(c));
        aster_str_free(&expected);
        return 0;
    }
    d->def.is_list = is_list;
    if (c->kind == ASTER_NODE_SCALAR && !(is_list && !*c->text))
        ASTER_TRY(add_default(p, d, c));
    for (const struct aster_node *e = c->first; e; e = e->next) {
        if (e->kind == ASTER_NODE_SCALAR)
            ASTER_TRY(add_default(p, d, e));
        else if (e->kind != ASTER_NODE_BAD)
            aster_mistake_add(p, e->line, e->column,
                              "default: expected a list of single values, found %s in it",
                              aster_node_kind_name(e));
    }
    if (p->n_mistakes > before)
        return 0;
    int rc = aster_typed_value(p, "default", &d->limits, &d->def, &v);
    ASTER_TRY(rc);
    d->q.def = v.text;
    d->default_is_fine = rc == 1;
    return 0;
}

static int read_one(struct aster_pipeline *p, const struct aster_node *body)
{
    struct aster_declared *d = &p->params[p->n_params++];
    d->q.name = body->key;
    d->line = body->key_line;
    d->column = body->key_column;
    d->q.help = d->q.unit = "";
    if (!strcmp(body->key, "isa"))
        aster_mistake_add(
            p, d->line, d->column,
            "parameter 'isa': this name chooses the instruction set of any run; take another");
    else if (!is_identifier(body->key))
        aster_mistake_add(
            p, d->line, d->column,
            "parameter '%.*s': a name has letters, digits and '_', a letter first, %d at most",
            ASTER_CUT(60, body->key), NAME_LIMIT);
    if (body->kind == ASTER_NODE_BAD)
        return 0;
    if (body->kind != ASTER_NODE_MAP) {
        aster_mistake_add(p, body->line, body->column,
                          "parameter '%s': expected a mapping such as {type: int, default: 1, "
                          "help: ...}, found %s",
                          d->q.name, aster_node_kind_name(body));
        return 0;
    }
    check_keys(p, body);
    ASTER_TRY(read_text(p, body, "help", &d->q.help));
    ASTER_TRY(read_text(p, body, "unit", &d->q.unit));
    if (!aster_node_get(body, "help"))
        aster_mistake_add(p, d->line, d->column,
                          "parameter '%s' has no help; one sentence says what it is", d->q.name);
    int type = read_type(p, d, body);
    if (type < 0)
        return 0;
    d->q.type = (enum aster_opt_type)type;
    ASTER_TRY(read_range(p, d, body));
    ASTER_TRY(read_choices(p, d, body));
    d->limits = (struct aster_limits){d->q.type, d->q.has_min,   d->q.has_max, d->q.min,
                                      d->q.max,  d->q.n_choices, d->q.choices, false};
    d->is_typed = d->q.type != ASTER_OPT_CHOICE || d->q.n_choices > 0;
    if (!d->is_typed)
        return 0;
    return read_default(p, d, body);
}

int aster_parameters_read(struct aster_pipeline *p, const struct aster_node *section)
{
    ASTER_TRY(aster_pool_get(&p->pool, section->n, sizeof *p->params, &p->params));
    for (const struct aster_node *c = section->first; c; c = c->next)
        ASTER_TRY(read_one(p, c));
    return 0;
}
