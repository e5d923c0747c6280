/* SPDX-License-Identifier: BSD-3-Clause */
/* The section 'stages': kinds, option names, references to parameters and between stages, order. */
#include "pipeline/internal.h"

#include <ctype.h>
#include <string.h>

enum { NAME_LIMIT = 64 };

int aster_kind_n_opts(const struct aster_stage_kind *kind)
{
    int n = 0;
    while (kind->opts[n].key)
        n++;
    return n;
}

/* ---- kinds and option names ---- */

static bool is_stage_name(const char *s)
{
    if (!isalpha((unsigned char)*s) || strlen(s) > NAME_LIMIT)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s > 126 || (!isalnum((unsigned char)*s) && *s != '_' && *s != '-'))
            return false;
    return true;
}

static int find_kind(struct aster_pipeline *p, struct aster_declared_stage *s)
{
    const struct aster_node *k = aster_node_get(s->body, "stage");
    const char **names;
    char hint[128];
    if (!k) {
        aster_mistake_add(p, s->line, s->column,
                          "stage '%s' has no key 'stage', which names its kind", s->id);
        return 0;
    }
    if (k->kind == ASTER_NODE_BAD)
        return 0;
    if (k->kind != ASTER_NODE_SCALAR) {
        aster_mistake_add(p, k->line, k->column, "stage: expected the name of a kind, found %s",
                          aster_node_kind_name(k));
        return 0;
    }
    ASTER_TRY(aster_pool_get(&p->pool, p->kinds.n, sizeof *names, &names));
    for (int i = 0; i < p->kinds.n; i++) {
        names[i] = p->kinds.at(i)->name;
        if (!strcmp(names[i], k->text))
            s->kind = p->kinds.at(i);
    }
    if (!s->kind) {
        aster_hint(k->text, names, p->kinds.n, hint, sizeof hint);
        aster_mistake_add(
            p, k->line, k->column,
            "no kind of stage is called '%.*s'; 'asterism info --stages' lists them%s",
            ASTER_CUT(60, k->text), hint);
    }
    return 0;
}

static int find_options(struct aster_pipeline *p, struct aster_declared_stage *s)
{
    int n = aster_kind_n_opts(s->kind);
    const char **names;
    char hint[128];
    ASTER_TRY(aster_pool_get(&p->pool, n, sizeof *s->options, &s->options));
    ASTER_TRY(aster_pool_get(&p->pool, n, sizeof *names, &names));
    for (int i = 0; i < n; i++)
        names[i] = s->kind->opts[i].key;
    for (const struct aster_node *c = s->body->first; c; c = c->next) {
        int at = -1;
        for (int i = 0; i < n; i++)
            if (!strcmp(c->key, names[i]))
                at = i;
        if (at >= 0) {
            s->options[at].node = c->kind == ASTER_NODE_NULL ? NULL : c;
        } else if (strcmp(c->key, "stage") != 0) {
            aster_hint(c->key, names, n, hint, sizeof hint);
            aster_mistake_add(p, c->key_line, c->key_column,
                              "unknown key '%.*s'; a %s stage has no such option%s",
                              ASTER_CUT(60, c->key), s->kind->name, hint);
        }
    }
    for (int i = 0; i < n; i++)
        if (!s->options[i].node && !s->kind->opts[i].def)
            aster_mistake_add(p, s->line, s->column, "stage '%s' needs option '%s': %s", s->id,
                              names[i], s->kind->opts[i].help);
    return 0;
}

static int read_one(struct aster_pipeline *p, const struct aster_node *body)
{
    struct aster_declared_stage *s = &p->stages[p->n_stages++];
    s->id = body->key;
    s->line = body->key_line;
    s->column = body->key_column;
    s->body = body;
    if (!is_stage_name(s->id))
        aster_mistake_add(
            p, s->line, s->column,
            "stage '%.*s': a name has letters, digits, '_' and '-', a letter first, %d at most",
            ASTER_CUT(60, s->id), NAME_LIMIT);
    if (body->kind != ASTER_NODE_MAP) {
        if (body->kind != ASTER_NODE_BAD)
            aster_mistake_add(
                p, body->line, body->column,
                "stage '%s': expected a mapping such as {stage: read-fasta, ...}, found %s", s->id,
                aster_node_kind_name(body));
        return 0;
    }
    ASTER_TRY(find_kind(p, s));
    return s->kind ? find_options(p, s) : 0;
}

/* ---- references to parameters ---- */

static int use_parameter(struct aster_pipeline *p, const struct aster_node *at, const char *name,
                         size_t n)
{
    struct aster_declared *d = aster_parameter_find(p, name, n);
    const char **names, *word;
    char hint[128];
    if (d) {
        d->is_used = true;
        return 0;
    }
    if (!p->params_known)
        return 0;
    ASTER_TRY(aster_parameter_names(p, &names));
    ASTER_TRY(aster_pool_text(&p->pool, name, n, &word));
    aster_hint(word, names, p->n_params, hint, sizeof hint);
    aster_mistake_add(p, at->line, at->column, "no parameter is called '%.*s'%s",
                      ASTER_CUT(60, word), hint);
    const char *meant = aster_nearest(word, names, p->n_params);
    if (meant)
        aster_parameter_find(p, meant, strlen(meant))->is_used = true;
    return 0;
}

static int use_references(struct aster_pipeline *p, const struct aster_node *node)
{
    struct aster_reference_part part;
    const char *s = node->text, *why;
    size_t n;
    int more = 0;
    for (const struct aster_node *c = node->first; c; c = c->next)
        ASTER_TRY(use_references(p, c));
    if (node->kind != ASTER_NODE_SCALAR)
        return 0;
    const char *whole = aster_reference_whole(s, &n);
    if (whole)
        return use_parameter(p, node, whole, n);
    while ((more = aster_reference_next(&s, &part, &why)) == 1)
        if (part.name)
            ASTER_TRY(use_parameter(p, node, part.name, part.n_name));
    if (more < 0)
        aster_mistake_add(p, node->line, node->column, "%s", why);
    return 0;
}

/* ---- options: what is written fits what is taken ---- */

/* Whether a parameter's whole value can be an option's: text for text, number for number, one for a
 * list. */
static bool type_fits(enum aster_opt_type option, enum aster_opt_type parameter)
{
    enum aster_opt_type to = aster_type_element(option), from = aster_type_element(parameter);
    if (aster_type_is_list(parameter) && !aster_type_is_list(option))
        return false;
    return to == from || (to == ASTER_OPT_REAL && from == ASTER_OPT_INT) ||
           (aster_type_is_text(to) && aster_type_is_text(from));
}

static bool scalar_fits(struct aster_pipeline *p, const struct aster_opt *opt,
                        const struct aster_node *node)
{
    size_t n;
    const char *whole = aster_reference_whole(node->text, &n);
    struct aster_declared *d = whole ? aster_parameter_find(p, whole, n) : NULL;
    if (!d || !d->is_typed || aster_type_element(opt->type) == ASTER_OPT_STAGE ||
        type_fits(opt->type, d->q.type))
        return true;
    aster_mistake_add(p, node->line, node->column, "%s: takes %s, but parameter '%s' is %s",
                      opt->key, aster_opt_type_name(opt->type), d->q.name,
                      aster_opt_type_name(d->q.type));
    return false;
}

static bool option_fits(struct aster_pipeline *p, const struct aster_opt *opt,
                        const struct aster_node *node)
{
    bool is_list = aster_type_is_list(opt->type), fits = true;
    struct aster_opt element = *opt;
    if (node->kind == ASTER_NODE_BAD)
        return false;
    if (node->kind == ASTER_NODE_MAP || (node->kind == ASTER_NODE_LIST && !is_list)) {
        aster_mistake_add(p, node->line, node->column, "%s: takes %s, found %s", opt->key,
                          aster_opt_type_name(opt->type), aster_node_kind_name(node));
        return false;
    }
    if (node->kind == ASTER_NODE_SCALAR)
        return scalar_fits(p, opt, node);
    element.type = aster_type_element(opt->type);
    for (const struct aster_node *e = node->first; e; e = e->next) {
        if (e->kind == ASTER_NODE_SCALAR)
            fits &= scalar_fits(p, &element, e);
        else if (e->kind != ASTER_NODE_BAD)
            aster_mistake_add(p, e->line, e->column, "%s: a list of single values, found %s in it",
                              opt->key, aster_node_kind_name(e));
        fits &= e->kind == ASTER_NODE_SCALAR;
    }
    return fits;
}

/* ---- links between stages ---- */

static bool accepts(const char *outputs, const char *kind)
{
    size_t n = strlen(kind);
    for (const char *s = outputs; s; s = strchr(s, '|') ? strchr(s, '|') + 1 : NULL)
        if (!strncmp(s, kind, n) && (s[n] == '|' || s[n] == '\0'))
            return true;
    return false;
}

static void add_link(struct aster_pipeline *p, const struct aster_opt *opt,
                     struct aster_declared_option *o, const struct aster_node *node)
{
    struct aster_str taken = {0};
    char hint[128];
    int to = -1;
    for (int i = 0; i < p->n_stages; i++)
        if (!strcmp(p->stages[i].id, node->text))
            to = i;
    if (strchr(node->text, '$')) {
        aster_mistake_add(p, node->line, node->column,
                          "%s: the name of a stage cannot come from a parameter", opt->key);
        return;
    }
    if (to < 0) {
        aster_hint(node->text, p->stage_ids, p->n_stages, hint, sizeof hint);
        aster_mistake_add(p, node->line, node->column, "%s: no stage is called '%.*s'%s", opt->key,
                          ASTER_CUT(60, node->text), hint);
        return;
    }
    for (int i = 0; i < o->n_links; i++)
        if (o->links[i].stage == to) {
            aster_mistake_add(p, node->line, node->column, "%s: stage '%s' again", opt->key,
                              node->text);
            return;
        }
    o->links[o->n_links++] = (struct aster_link){to, node->line, node->column};
    if (!p->stages[to].kind || accepts(opt->choices, p->stages[to].kind->output))
        return;
    aster_opt_range(opt, &taken);
    aster_mistake_add(
        p, node->line, node->column, "%s: takes a stage %s, but stage '%s' (%s) gives %s", opt->key,
        aster_str_get(&taken), node->text, p->stages[to].kind->name, p->stages[to].kind->output);
    aster_str_free(&taken);
}

static int add_links(struct aster_pipeline *p, const struct aster_opt *opt,
                     struct aster_declared_option *o)
{
    const struct aster_node *node = o->node;
    ASTER_TRY(aster_pool_get(&p->pool, node->n ? node->n : 1, sizeof *o->links, &o->links));
    if (node->kind == ASTER_NODE_SCALAR && (*node->text || !opt->def))
        add_link(p, opt, o, node);
    for (const struct aster_node *e = node->first; e; e = e->next)
        add_link(p, opt, o, e);
    if (node->kind == ASTER_NODE_LIST && node->n == 0 && !opt->def)
        aster_mistake_add(p, node->line, node->column,
                          "%s: an empty list; expected names of stages", opt->key);
    return 0;
}

static int read_options(struct aster_pipeline *p, struct aster_declared_stage *s)
{
    for (int i = 0; s->kind && s->kind->opts[i].key; i++) {
        const struct aster_opt *opt = &s->kind->opts[i];
        struct aster_declared_option *o = &s->options[i];
        if (!o->node)
            continue;
        if (!option_fits(p, opt, o->node)) {
            o->node = NULL;
            o->is_bad = true;
        } else if (aster_type_element(opt->type) == ASTER_OPT_STAGE) {
            ASTER_TRY(add_links(p, opt, o));
        }
    }
    return 0;
}

/* ---- order ---- */

struct walk {
    struct aster_pipeline *p;
    char *seen; /* 0 not yet, 1 on the way, 2 done */
    int *way;
    int n_way, n_order;
};

static void report_cycle(struct walk *w, const struct aster_link *link)
{
    struct aster_str text = {0};
    int from = 0;
    while (w->way[from] != link->stage)
        from++;
    for (int i = from; i < w->n_way; i++)
        aster_str_printf(&text, "'%s' reads ", w->p->stages[w->way[i]].id);
    aster_mistake_add(w->p, link->line, link->column, "stages in a circle: %s'%s'",
                      aster_str_get(&text), w->p->stages[link->stage].id);
    aster_str_free(&text);
}

static void visit(struct walk *w, int at)
{
    const struct aster_declared_stage *s = &w->p->stages[at];
    if (w->seen[at])
        return;
    w->seen[at] = 1;
    w->way[w->n_way++] = at;
    for (int i = 0; s->kind && s->kind->opts[i].key; i++)
        for (int k = 0; k < s->options[i].n_links; k++) {
            const struct aster_link *link = &s->options[i].links[k];
            if (w->seen[link->stage] == 1)
                report_cycle(w, link);
            else
                visit(w, link->stage);
        }
    w->n_way--;
    w->seen[at] = 2;
    w->p->order[w->n_order++] = at;
}

static int put_in_order(struct aster_pipeline *p)
{
    struct walk w = {.p = p};
    ASTER_TRY(aster_pool_get(&p->pool, p->n_stages, 1, &w.seen));
    ASTER_TRY(aster_pool_get(&p->pool, p->n_stages, sizeof *w.way, &w.way));
    ASTER_TRY(aster_pool_get(&p->pool, p->n_stages, sizeof *p->order, &p->order));
    for (int i = 0; i < p->n_stages; i++)
        visit(&w, i);
    return 0;
}

int aster_stages_read(struct aster_pipeline *p, const struct aster_node *section)
{
    if (section->n == 0)
        aster_mistake_add(p, section->line, section->column, "stages: there is none");
    ASTER_TRY(aster_pool_get(&p->pool, section->n, sizeof *p->stages, &p->stages));
    for (const struct aster_node *c = section->first; c; c = c->next) {
        ASTER_TRY(read_one(p, c));
        ASTER_TRY(use_references(p, c));
    }
    ASTER_TRY(aster_pool_get(&p->pool, p->n_stages, sizeof *p->stage_ids, &p->stage_ids));
    for (int i = 0; i < p->n_stages; i++)
        p->stage_ids[i] = p->stages[i].id;
    for (int i = 0; i < p->n_stages; i++)
        ASTER_TRY(read_options(p, &p->stages[i]));
    for (int i = 0; i < p->n_params; i++)
        if (!p->params[i].is_used)
            aster_warning_add(p, p->params[i].line, p->params[i].column,
                              "parameter '%s' is not used by any stage", p->params[i].q.name);
    return put_in_order(p);
}
