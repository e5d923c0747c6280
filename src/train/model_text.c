/* SPDX-License-Identifier: BSD-3-Clause */
/* A model's configuration as JSON: what a weight file says about itself. */
#include "io/io.h"
#include "train/internal.h"

#include <stddef.h>
#include <string.h>

struct field {
    const char *name;
    size_t offset;
    enum { INT64, INT, BOOL, REAL } type;
};
/* clang-format off */
#define F(name, type) {#name, offsetof(struct aster_model_config, name), type}
/* clang-format on */
static const struct field fields[] = {
    F(input_dim, INT64), F(max_length, INT64), F(base_filters, INT64), F(depth, INT),
    F(attention, BOOL),  F(hidden_dim, INT64), F(num_layers, INT),     F(dropout, REAL),
};
#undef F
enum { N_FIELDS = sizeof fields / sizeof *fields };

static void add_list(struct aster_str *out, const char *name, int n, const int64_t *values)
{
    aster_str_printf(out, ", \"%s\": [", name);
    for (int k = 0; k < n; k++)
        aster_str_printf(out, "%s%lld", k ? ", " : "", (long long)values[k]);
    aster_str_add(out, "]");
}

void model_to_json(const struct aster_model_config *c, struct aster_str *out)
{
    aster_str_printf(out, "{\"kind\": \"%s\"", aster_model_name(c->kind));
    for (int k = 0; k < N_FIELDS; k++) {
        const char *at = (const char *)c + fields[k].offset;
        aster_str_printf(out, ", \"%s\": ", fields[k].name);
        if (fields[k].type == INT64)
            aster_str_printf(out, "%lld", (long long)*(const int64_t *)at);
        else if (fields[k].type == INT)
            aster_str_printf(out, "%d", *(const int *)at);
        else if (fields[k].type == BOOL)
            aster_str_add(out, *(const bool *)at ? "true" : "false");
        else
            aster_json_number(out, *(const double *)at);
    }
    add_list(out, "channels", c->n_layers, c->channels);
    add_list(out, "kernel_sizes", c->n_layers, c->kernel_sizes);
    aster_str_add(out, "}");
}

static int get(struct aster_ctx *ctx, const char *where, const struct aster_json *j,
               const char *key, enum aster_json_type type, const struct aster_json **out)
{
    *out = aster_json_get(j, key);
    if (!*out || (*out)->type != type)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: its model description has no %s '%s'", where,
                          type == ASTER_JSON_NUMBER  ? "number"
                          : type == ASTER_JSON_ARRAY ? "list"
                          : type == ASTER_JSON_BOOL  ? "true or false"
                                                     : "text",
                          key);
    return 0;
}

static int get_integer(struct aster_ctx *ctx, const char *where, const struct aster_json *v,
                       const char *key, int64_t *out)
{
    if (v->type != ASTER_JSON_NUMBER || !v->is_int || v->integer < 0 || v->integer > INT32_MAX)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: its model description: '%s' is no whole number from 0", where, key);
    *out = v->integer;
    return 0;
}

static int read_list(struct aster_ctx *ctx, const char *where, const struct aster_json *j,
                     const char *key, int *n, int64_t *values)
{
    const struct aster_json *list;
    ASTER_TRY(get(ctx, where, j, key, ASTER_JSON_ARRAY, &list));
    if (aster_json_count(list) > ASTER_MODEL_MAX_LAYERS)
        return aster_fail(
            ctx, ASTER_EFORMAT,
            "%s: its model description: '%s' has %lld entries, at most %d are expected", where, key,
            (long long)aster_json_count(list), ASTER_MODEL_MAX_LAYERS);
    *n = 0;
    for (const struct aster_json *v = list->child; v; v = v->next)
        ASTER_TRY(get_integer(ctx, where, v, key, &values[(*n)++]));
    return 0;
}

static int read_field(struct aster_ctx *ctx, const char *where, const struct aster_json *j,
                      const struct field *f, char *at)
{
    const struct aster_json *v;
    int64_t n = 0;
    ASTER_TRY(
        get(ctx, where, j, f->name, f->type == BOOL ? ASTER_JSON_BOOL : ASTER_JSON_NUMBER, &v));
    if (f->type == BOOL) {
        *(bool *)at = v->boolean;
    } else if (f->type == REAL) {
        *(double *)at = v->number;
    } else {
        ASTER_TRY(get_integer(ctx, where, v, f->name, &n));
        if (f->type == INT)
            *(int *)at = (int)n;
        else
            *(int64_t *)at = n;
    }
    return 0;
}

static int find_kind(struct aster_ctx *ctx, const char *where, const char *name,
                     enum aster_model_kind *out)
{
    int k = 0;
    while (k < ASTER_N_MODEL_KINDS && strcmp(name, aster_model_name((enum aster_model_kind)k)))
        k++;
    if (k == ASTER_N_MODEL_KINDS)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: model '%s' is unknown here", where, name);
    *out = (enum aster_model_kind)k;
    return 0;
}

static int read_model(struct aster_ctx *ctx, const char *where, const struct aster_json *j,
                      struct aster_model_config *out)
{
    const struct aster_json *kind;
    ASTER_TRY(get(ctx, where, j, "kind", ASTER_JSON_STRING, &kind));
    enum aster_model_kind k;
    ASTER_TRY(find_kind(ctx, where, kind->string, &k));
    aster_model_defaults(k, 1, out);
    for (int f = 0; f < N_FIELDS; f++)
        ASTER_TRY(read_field(ctx, where, j, &fields[f], (char *)out + fields[f].offset));
    int n = 0;
    ASTER_TRY(read_list(ctx, where, j, "channels", &out->n_layers, out->channels));
    ASTER_TRY(read_list(ctx, where, j, "kernel_sizes", &n, out->kernel_sizes));
    if (n != out->n_layers)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: its model description has %d channels and %d kernel sizes", where,
                          out->n_layers, n);
    return aster_model_check(ctx, out);
}

int model_from_json(struct aster_ctx *ctx, const char *where, const char *text,
                    struct aster_model_config *out)
{
    struct aster_json *j = NULL;
    ASTER_TRY(aster_json_parse(ctx, where, text, strlen(text), &j));
    int rc = read_model(ctx, where, j, out);
    aster_json_free(&j);
    return rc;
}

static int read_options(struct aster_ctx *ctx, const char *where, const struct aster_json *j,
                        struct aster_model_config *out)
{
    int n = out->n_layers;
    for (int f = 0; f < N_FIELDS; f++)
        if (aster_json_get(j, fields[f].name))
            ASTER_TRY(read_field(ctx, where, j, &fields[f], (char *)out + fields[f].offset));
    if (aster_json_get(j, "channels"))
        ASTER_TRY(read_list(ctx, where, j, "channels", &out->n_layers, out->channels));
    if (aster_json_get(j, "kernel_sizes"))
        ASTER_TRY(read_list(ctx, where, j, "kernel_sizes", &n, out->kernel_sizes));
    if (n != out->n_layers)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: its model description has %d channels and %d kernel sizes", where,
                          out->n_layers, n);
    return aster_model_check(ctx, out);
}

int model_from_reference(struct aster_ctx *ctx, const char *where, const char *name,
                         const char *options, int64_t input_dim, int64_t max_length,
                         struct aster_model_config *out)
{
    struct aster_json *j = NULL;
    enum aster_model_kind k;
    ASTER_TRY(find_kind(ctx, where, name, &k));
    aster_model_defaults(k, input_dim, out);
    out->max_length = max_length;
    ASTER_TRY(aster_json_parse(ctx, where, options, strlen(options), &j));
    int rc = read_options(ctx, where, j, out);
    aster_json_free(&j);
    return rc;
}
