/* SPDX-License-Identifier: BSD-3-Clause */
/* Values: arguments and defaults to parameters, parameters to options, files to paths, all of it to
 * what a run takes. */
#include "pipeline/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int aster_pipeline_set(struct aster_pipeline *p, const char *name, const char *value)
{
    struct aster_argument a;
    ASTER_TRY(aster_pool_text(&p->pool, name, strlen(name), &a.name));
    ASTER_TRY(aster_pool_text(&p->pool, value, strlen(value), &a.value));
    for (int64_t i = 0; i < p->n_arguments; i++)
        if (!strcmp(p->arguments[i].name, name)) {
            p->arguments[i] = a;
            return 0;
        }
    ASTER_TRY(aster_grow(p->ctx, p->n_arguments + 1, sizeof a, &p->cap_arguments, &p->arguments));
    p->arguments[p->n_arguments++] = a;
    return 0;
}

/* ---- files ---- */

/* A default or a file named in a stage: looked for in several folders. 1: found, 0: a mistake is
 * listed. */
static int search_file(struct aster_pipeline *p, const char *what, struct aster_piece *piece)
{
    struct aster_str looked = {0};
    char *path = NULL;
    int rc = aster_find_file(p->ctx, p->folder, piece->text, &path, &looked);
    if (rc == 0 && path) {
        rc = aster_pool_text(&p->pool, path, strlen(path), &piece->text);
        rc = rc < 0 ? rc : 1;
    } else if (rc == 0) {
        aster_mistake_add(p, piece->line, piece->column, "%s: no file '%s'; looked for %s", what,
                          piece->text, aster_str_get(&looked));
    }
    aster_free(&path);
    aster_str_free(&looked);
    return rc;
}

/* A file named by the user: relative to the working directory, as it stands. */
static int given_file(struct aster_pipeline *p, const char *what, const struct aster_piece *piece)
{
    struct stat st;
    if (stat(piece->text, &st) == 0 && S_ISDIR(st.st_mode)) {
        aster_mistake_add(p, piece->line, piece->column, "%s: '%s' is a folder; expected a file",
                          what, piece->text);
        return 0;
    }
    if (access(piece->text, R_OK) == 0)
        return 1;
    aster_mistake_add(p, piece->line, piece->column, "%s: cannot read '%s': %s", what, piece->text,
                      strerror(errno));
    return 0;
}

/* 1: all are there. Only where files are expected; "" and - are left alone. */
static int find_files(struct aster_pipeline *p, const char *what, enum aster_opt_type type,
                      struct aster_pieces *pieces, bool given)
{
    int good = 1;
    if (aster_type_element(type) != ASTER_OPT_FILE)
        return 1;
    for (int64_t i = 0; i < pieces->n; i++) {
        struct aster_piece *piece = &pieces->at[i];
        if (!*piece->text || !strcmp(piece->text, "-"))
            continue;
        int rc = given ? given_file(p, what, piece) : search_file(p, what, piece);
        ASTER_TRY(rc);
        good &= rc;
    }
    return good;
}

/* ---- parameters ---- */

static int value_from(struct aster_pipeline *p, struct aster_declared *d, const char *what,
                      struct aster_pieces *pieces, bool inputs)
{
    int rc = aster_typed_value(p, what, &d->limits, pieces, &d->value);
    if (rc == 1 && inputs)
        rc = find_files(p, what, d->q.type, pieces, d->is_given);
    if (rc == 1)
        rc = aster_typed_value(p, what, &d->limits, pieces, &d->value);
    ASTER_TRY(rc);
    d->has_value = rc == 1;
    return 0;
}

static int copy_pieces(struct aster_pipeline *p, const struct aster_pieces *from,
                       struct aster_pieces *to)
{
    *to = (struct aster_pieces){.is_list = from->is_list};
    for (int64_t i = 0; i < from->n; i++)
        ASTER_TRY(aster_pieces_add(p, to, from->at[i]));
    return 0;
}

static int value_argument(struct aster_pipeline *p, const struct aster_argument *a, bool inputs)
{
    struct aster_declared *d = aster_parameter_find(p, a->name, strlen(a->name));
    struct aster_piece whole = {a->value, ASTER_FROM_TEXT, 0, 0, NULL};
    struct aster_pieces pieces;
    const char **names;
    char hint[128], what[160];
    if (!d) {
        ASTER_TRY(aster_parameter_names(p, &names));
        aster_hint(a->name, names, p->n_params, hint, sizeof hint);
        aster_mistake_add(p, 0, 0, "argument '%.*s=%.*s': %s has no parameter '%.*s'%s",
                          ASTER_CUT(60, a->name), ASTER_CUT(60, a->value),
                          *p->name ? p->name : p->file, ASTER_CUT(60, a->name), hint);
        return 0;
    }
    d->is_given = true;
    if (!d->is_typed)
        return 0;
    snprintf(what, sizeof what, "argument '%.*s=%.*s'", ASTER_CUT(60, a->name),
             ASTER_CUT(60, a->value));
    ASTER_TRY(aster_pieces_cut(p, d->q.type, whole, &pieces));
    return value_from(p, d, what, &pieces, inputs);
}

static int value_default(struct aster_pipeline *p, struct aster_declared *d, bool inputs)
{
    struct aster_pieces pieces;
    if (d->has_default && d->default_is_fine) {
        ASTER_TRY(copy_pieces(p, &d->def, &pieces));
        return value_from(p, d, "default", &pieces, inputs && d->is_used);
    }
    if (!d->has_default && d->is_typed && inputs && d->is_used)
        aster_mistake_add(p, d->line, d->column,
                          "parameter '%s' has no default and needs a value: %s=%s", d->q.name,
                          d->q.name, aster_opt_type_name(d->q.type));
    return 0;
}

static int value_parameters(struct aster_pipeline *p, bool inputs)
{
    for (int i = 0; i < p->n_params; i++)
        p->params[i].is_given = p->params[i].has_value = false;
    for (int64_t i = 0; i < p->n_arguments; i++)
        ASTER_TRY(value_argument(p, &p->arguments[i], inputs));
    for (int i = 0; i < p->n_params; i++)
        if (!p->params[i].is_given)
            ASTER_TRY(value_default(p, &p->params[i], inputs));
    return 0;
}

/* ---- options ---- */

struct evaluation {
    struct aster_pipeline *p;
    const struct aster_opt *opt;
    struct aster_pieces pieces;
    bool is_unknown; /* depends on a parameter without value */
};

static int add_whole(struct evaluation *e, const struct aster_node *node, const char *name,
                     size_t n)
{
    const struct aster_declared *d = aster_parameter_find(e->p, name, n);
    struct aster_piece piece = {NULL, ASTER_FROM_TEXT, node->line, node->column,
                                d ? d->q.name : NULL};
    if (!d || !d->has_value) {
        e->is_unknown = true;
        return 0;
    }
    if (!aster_type_is_list(d->q.type)) {
        piece.text = d->value.text;
        return *piece.text || !aster_type_is_list(e->opt->type)
                   ? aster_pieces_add(e->p, &e->pieces, piece)
                   : 0;
    }
    for (int64_t i = 0; i < d->value.n; i++) {
        piece.text = d->value.items[i];
        ASTER_TRY(aster_pieces_add(e->p, &e->pieces, piece));
    }
    return 0;
}

static int add_text(struct evaluation *e, const struct aster_node *node)
{
    struct aster_piece piece = {NULL, node->quoted ? ASTER_FROM_QUOTED : ASTER_FROM_PLAIN,
                                node->line, node->column, NULL};
    struct aster_reference_part part;
    struct aster_str text = {0};
    const char *s = node->text, *why;
    int more;
    while ((more = aster_reference_next(&s, &part, &why)) == 1) {
        const struct aster_declared *d =
            part.name ? aster_parameter_find(e->p, part.name, part.n_name) : NULL;
        if (!part.name)
            aster_str_addn(&text, part.literal, part.n_literal);
        else if (d && d->has_value)
            aster_str_add(&text, d->value.text);
        else
            e->is_unknown = true;
        if (part.name)
            piece.origin = ASTER_FROM_TEXT;
    }
    e->is_unknown |= more < 0;
    int rc = aster_str_ok(e->p->ctx, &text);
    if (rc == 0)
        rc = aster_pool_text(&e->p->pool, aster_str_get(&text), text.len, &piece.text);
    aster_str_free(&text);
    ASTER_TRY(rc);
    if (!*piece.text && aster_type_is_list(e->opt->type) && !e->pieces.is_list)
        return 0;
    return aster_pieces_add(e->p, &e->pieces, piece);
}

static int add_node(struct evaluation *e, const struct aster_node *node)
{
    size_t n;
    const char *name = aster_reference_whole(node->text, &n);
    return name ? add_whole(e, node, name, n) : add_text(e, node);
}

/* Files that came through a parameter were looked for there. */
static int find_option_files(struct aster_pipeline *p, const struct aster_opt *opt,
                             struct aster_pieces *pieces, bool inputs)
{
    int good = 1;
    for (int64_t i = 0; aster_type_element(opt->type) == ASTER_OPT_FILE && i < pieces->n; i++) {
        struct aster_piece *piece = &pieces->at[i];
        bool takes_stdin = opt->choices && !strcmp(opt->choices, "-");
        if (!strcmp(piece->text, "-") && !takes_stdin) {
            aster_mistake_add(p, piece->line, piece->column,
                              "%s: cannot read the standard input; expected a file", opt->key);
            good = 0;
        } else if (inputs && *piece->text && strcmp(piece->text, "-") != 0) {
            const struct aster_declared *d =
                piece->via ? aster_parameter_find(p, piece->via, strlen(piece->via)) : NULL;
            if (d && aster_type_element(d->q.type) == ASTER_OPT_FILE)
                continue;
            int rc =
                d && d->is_given ? given_file(p, opt->key, piece) : search_file(p, opt->key, piece);
            ASTER_TRY(rc);
            good &= rc;
        }
    }
    return good;
}

static int split_choices(struct aster_pipeline *p, const struct aster_opt *opt,
                         struct aster_limits *out)
{
    const char **list;
    int n = 1;
    for (const char *c = opt->choices; *c; c++)
        n += *c == '|';
    ASTER_TRY(aster_pool_get(&p->pool, n, sizeof *list, &list));
    for (const char *c = opt->choices; out->n_choices < n;) {
        size_t length = strcspn(c, "|");
        ASTER_TRY(aster_pool_text(&p->pool, c, length, &list[out->n_choices++]));
        c += length + 1;
    }
    out->choices = list;
    return 0;
}

static int option_limits(struct aster_pipeline *p, const struct aster_opt *opt,
                         struct aster_limits *out)
{
    bool has_range = opt->min != 0 || opt->max != 0;
    *out = (struct aster_limits){opt->type, has_range, has_range, opt->min,
                                 opt->max,  0,         NULL,      !opt->def};
    return opt->type == ASTER_OPT_CHOICE ? split_choices(p, opt, out) : 0;
}

static int default_option(struct aster_pipeline *p, const struct aster_opt *opt,
                          const struct aster_limits *limits, bool inputs, struct aster_opt_value *v)
{
    struct aster_piece whole = {opt->def, ASTER_FROM_TEXT, 0, 0, NULL};
    struct aster_pieces pieces;
    *v = (struct aster_opt_value){.text = ""};
    if (!opt->def || !*opt->def || aster_type_element(opt->type) == ASTER_OPT_STAGE)
        return 0;
    ASTER_TRY(aster_pieces_cut(p, opt->type, whole, &pieces));
    ASTER_TRY(find_option_files(p, opt, &pieces, inputs));
    int rc = aster_typed_value(p, opt->key, limits, &pieces, v);
    if (rc == 0)
        return aster_fail(p->ctx, ASTER_EBUG,
                          "the default '%s' of option '%s' does not fit its own type", opt->def,
                          opt->key);
    v->line = v->column = 0;
    return rc < 0 ? rc : 0;
}

static int link_option(struct aster_pipeline *p, const struct aster_opt *opt,
                       const struct aster_declared_option *o, struct aster_opt_value *v)
{
    struct aster_limits any = {.type =
                                   opt->type == ASTER_OPT_STAGES ? ASTER_OPT_STRS : ASTER_OPT_STR};
    struct aster_pieces pieces = {.is_list = opt->type == ASTER_OPT_STAGES};
    for (int i = 0; i < o->n_links; i++) {
        struct aster_piece piece = {p->stages[o->links[i].stage].id, ASTER_FROM_TEXT,
                                    o->links[i].line, o->links[i].column, NULL};
        ASTER_TRY(aster_pieces_add(p, &pieces, piece));
    }
    int rc = aster_typed_value(p, opt->key, &any, &pieces, v);
    v->is_set = o->n_links > 0;
    return rc < 0 ? rc : 0;
}

static int value_option(struct aster_pipeline *p, const struct aster_opt *opt,
                        const struct aster_declared_option *o, bool inputs,
                        struct aster_opt_value *v)
{
    struct evaluation e = {.p = p, .opt = opt};
    struct aster_limits limits;
    *v = (struct aster_opt_value){.text = ""};
    if (o->is_bad)
        return 0;
    ASTER_TRY(option_limits(p, opt, &limits));
    if (!o->node)
        return default_option(p, opt, &limits, inputs, v);
    if (aster_type_element(opt->type) == ASTER_OPT_STAGE)
        return link_option(p, opt, o, v);
    e.pieces.is_list = o->node->kind == ASTER_NODE_LIST;
    if (!e.pieces.is_list)
        ASTER_TRY(add_node(&e, o->node));
    for (const struct aster_node *c = o->node->first; c; c = c->next)
        ASTER_TRY(add_node(&e, c));
    if (e.is_unknown)
        return 0;
    int rc = aster_typed_value(p, opt->key, &limits, &e.pieces, v);
    if (rc == 1) {
        rc = find_option_files(p, opt, &e.pieces, inputs);
        if (rc == 1)
            rc = aster_typed_value(p, opt->key, &limits, &e.pieces, v);
    }
    v->line = o->node->line;
    v->column = o->node->column;
    return rc < 0 ? rc : 0;
}

static int value_stage(struct aster_pipeline *p, const struct aster_declared_stage *s, bool inputs,
                       struct aster_stage_spec *out)
{
    struct aster_opt_value *values;
    if (!s->kind)
        return 0;
    int n = aster_kind_n_opts(s->kind);
    ASTER_TRY(aster_pool_get(&p->pool, n, sizeof *values, &values));
    for (int i = 0; i < n; i++)
        ASTER_TRY(value_option(p, &s->kind->opts[i], &s->options[i], inputs, &values[i]));
    *out = (struct aster_stage_spec){s->id, s->kind, values, s->line, s->column};
    return 0;
}

/* ---- the whole ---- */

static int make_spec(struct aster_pipeline *p, bool inputs)
{
    struct aster_run_param *params;
    struct aster_stage_spec *stages;
    ASTER_TRY(value_parameters(p, inputs));
    ASTER_TRY(aster_pool_get(&p->pool, p->n_stages, sizeof *stages, &stages));
    ASTER_TRY(aster_pool_get(&p->pool, p->n_params, sizeof *params, &params));
    for (int i = 0; i < p->n_stages; i++)
        ASTER_TRY(value_stage(p, &p->stages[p->order[i]], inputs, &stages[i]));
    for (int i = 0; i < p->n_params; i++) {
        const struct aster_declared *d = &p->params[i];
        params[i] =
            (struct aster_run_param){d->q.name, d->has_value ? d->value.text : "", d->is_given};
    }
    p->spec = (struct aster_run_spec){p->name, p->file,     p->text, p->n_params,
                                      params,  p->n_stages, stages};
    return p->failed;
}

int aster_pipeline_resolve(struct aster_pipeline *p, bool inputs,
                           const struct aster_run_spec **spec)
{
    *spec = NULL;
    aster_mistakes_drop_values(p);
    p->in_values = true;
    int rc = make_spec(p, inputs);
    p->in_values = false;
    aster_mistakes_sort(p);
    ASTER_TRY(rc);
    if (aster_pipeline_n_errors(p) == 0)
        *spec = &p->spec;
    return 0;
}
