/* SPDX-License-Identifier: BSD-3-Clause */
/* A pipeline file as a whole: opened, its top level read, freed. */
#include "pipeline/internal.h"

#include <ctype.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 20, NAME_LIMIT = 64 };

static const char *const top_keys[] = {"asterism", "pipeline", "description", "parameters",
                                       "stages"};
enum { N_TOP_KEYS = sizeof top_keys / sizeof *top_keys };

static void check_top_keys(struct aster_pipeline *p, const struct aster_node *root)
{
    char hint[128];
    for (const struct aster_node *c = root->first; c; c = c->next) {
        bool known = false;
        for (int k = 0; k < N_TOP_KEYS; k++)
            known |= !strcmp(c->key, top_keys[k]);
        if (known)
            continue;
        aster_hint(c->key, top_keys, N_TOP_KEYS, hint, sizeof hint);
        aster_mistake_add(p, c->key_line, c->key_column,
                          "unknown key '%.*s'; a pipeline file has asterism, pipeline, "
                          "description, parameters and stages%s",
                          ASTER_CUT(60, c->key), hint);
    }
}

static void check_version(struct aster_pipeline *p, const struct aster_node *root)
{
    const struct aster_node *v = aster_node_get(root, "asterism");
    if (!v)
        aster_mistake_add(
            p, root->line, root->column,
            "key 'asterism' is missing; write 'asterism: 1', the version of the format");
    else if (v->kind == ASTER_NODE_SCALAR && (v->quoted || strcmp(v->text, "1") != 0))
        aster_mistake_add(p, v->line, v->column,
                          "asterism: expected 1, the version of the format, found '%.*s'",
                          ASTER_CUT(60, v->text));
    else if (v->kind == ASTER_NODE_LIST || v->kind == ASTER_NODE_MAP)
        aster_mistake_add(p, v->line, v->column,
                          "asterism: expected 1, the version of the format, found %s",
                          aster_node_kind_name(v));
}

static bool is_file_name(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > NAME_LIMIT || !isalnum((unsigned char)*s))
        return false;
    for (; *s; s++)
        if ((unsigned char)*s > 126 || (!isalnum((unsigned char)*s) && !strchr("._-", *s)))
            return false;
    return true;
}

/* A text at the top level; "" when it is absent or wrong. */
static const char *top_text(struct aster_pipeline *p, const struct aster_node *root,
                            const char *key)
{
    const struct aster_node *v = aster_node_get(root, key);
    if (!v || v->kind == ASTER_NODE_BAD)
        return "";
    if (v->kind == ASTER_NODE_SCALAR &&
        (v->quoted || aster_plain_kind(v->text) == ASTER_PLAIN_TEXT ||
         aster_plain_kind(v->text) == ASTER_PLAIN_OTHER_BOOL))
        return v->text;
    if (v->kind == ASTER_NODE_SCALAR)
        aster_mistake_add(p, v->line, v->column,
                          "%s: expected a text, found '%.*s'; put it in quotes", key,
                          ASTER_CUT(60, v->text));
    else
        aster_mistake_add(p, v->line, v->column, "%s: expected a text, found %s", key,
                          aster_node_kind_name(v));
    return "";
}

static void check_name(struct aster_pipeline *p, const struct aster_node *root)
{
    const struct aster_node *v = aster_node_get(root, "pipeline");
    p->name = top_text(p, root, "pipeline");
    if (!v)
        aster_mistake_add(p, root->line, root->column,
                          "key 'pipeline' is missing; it names the pipeline");
    else if (*p->name && !is_file_name(p->name))
        aster_mistake_add(p, v->line, v->column,
                          "pipeline: '%.*s' is no name; letters, digits, '.', '_' and '-', a "
                          "letter or digit first, %d at most",
                          ASTER_CUT(60, p->name), NAME_LIMIT);
}

/* The mapping under a key, or NULL. */
static const struct aster_node *section(struct aster_pipeline *p, const struct aster_node *root,
                                        const char *key)
{
    const struct aster_node *s = aster_node_get(root, key);
    if (!s || s->kind == ASTER_NODE_MAP)
        return s;
    if (s->kind != ASTER_NODE_BAD)
        aster_mistake_add(p, s->line, s->column, "%s: expected a mapping of names, found %s", key,
                          aster_node_kind_name(s));
    return NULL;
}

static int read_top(struct aster_pipeline *p)
{
    struct aster_node *root;
    ASTER_TRY(aster_yaml_parse(p, &root));
    if (!root || root->kind == ASTER_NODE_BAD)
        return 0;
    if (root->kind != ASTER_NODE_MAP) {
        aster_mistake_add(
            p, root->line, root->column,
            "expected a mapping with the keys asterism, pipeline and stages, found %s",
            aster_node_kind_name(root));
        return p->failed;
    }
    check_top_keys(p, root);
    check_version(p, root);
    check_name(p, root);
    p->description = top_text(p, root, "description");
    const struct aster_node *parameters = section(p, root, "parameters"),
                            *stages = section(p, root, "stages");
    p->params_known = !aster_node_get(root, "parameters") || parameters;
    if (parameters)
        ASTER_TRY(aster_parameters_read(p, parameters));
    if (!aster_node_get(root, "stages"))
        aster_mistake_add(p, root->line, root->column,
                          "key 'stages' is missing; there is nothing to do");
    else if (stages)
        ASTER_TRY(aster_stages_read(p, stages));
    return p->failed;
}

static int keep_text(struct aster_pipeline *p, const char *file, const char *text, size_t n)
{
    const char *slash = strrchr(file, '/');
    size_t n_folder = slash ? (size_t)(slash - file) : 0;
    ASTER_TRY(aster_pool_text(&p->pool, file, strlen(file), &p->file));
    ASTER_TRY(aster_pool_text(&p->pool, text, n, &p->text));
    p->n_text = n;
    if (slash && n_folder == 0)
        n_folder = 1;
    return aster_pool_text(&p->pool, slash ? file : ".", slash ? n_folder : 1, &p->folder);
}

int aster_pipeline_parse(struct aster_ctx *ctx, struct aster_kinds kinds, const char *file,
                         const char *text, size_t n, struct aster_pipeline **out)
{
    struct aster_pipeline *p;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *p, &p));
    p->ctx = p->pool.ctx = ctx;
    p->kinds = kinds;
    p->name = p->description = "";
    int rc = keep_text(p, file, text, n);
    if (rc == 0)
        rc = read_top(p);
    if (rc < 0) {
        aster_pipeline_free(&p);
        return rc;
    }
    aster_mistakes_sort(p);
    *out = p;
    return 0;
}

int aster_pipeline_open(struct aster_ctx *ctx, struct aster_kinds kinds, const char *path,
                        struct aster_pipeline **out)
{
    char *text;
    int64_t n;
    *out = NULL;
    ASTER_TRY(aster_file_read(ctx, path, FILE_LIMIT, &text, &n));
    int rc = aster_pipeline_parse(ctx, kinds, path, text, (size_t)n, out);
    aster_free(&text);
    return rc;
}

void aster_pipeline_free(struct aster_pipeline **pp)
{
    struct aster_pipeline *p = *pp;
    if (!p)
        return;
    for (int64_t i = 0; i < p->n_mistakes; i++)
        aster_free(&p->mistakes[i].text);
    aster_free(&p->mistakes);
    aster_free(&p->arguments);
    aster_pool_free(&p->pool);
    aster_free(pp);
}

const char *aster_pipeline_name(const struct aster_pipeline *p)
{
    return p->name;
}

const char *aster_pipeline_file(const struct aster_pipeline *p)
{
    return p->file;
}

const char *aster_pipeline_description(const struct aster_pipeline *p)
{
    return p->description;
}

int aster_pipeline_n_parameters(const struct aster_pipeline *p)
{
    return p->n_params;
}

const struct aster_parameter *aster_pipeline_parameter(const struct aster_pipeline *p, int i)
{
    return i >= 0 && i < p->n_params ? &p->params[i].q : NULL;
}
