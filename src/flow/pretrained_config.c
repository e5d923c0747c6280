/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations of language models: config.json as transformers writes it, and what fair-esm's
 * files say. */
#include "flow/pretrained.h"

#include <string.h>

struct reader {
    struct aster_ctx *ctx;
    const char *where;
    const struct aster_json *j;
};

static int integer(const struct reader *r, const char *key, int64_t *out)
{
    const struct aster_json *v = aster_json_get(r->j, key);
    if (!v || v->type != ASTER_JSON_NUMBER || !v->is_int)
        return aster_fail(r->ctx, ASTER_EFORMAT, "%s: %s is %s, an integer is expected", r->where,
                          key, v ? "something else" : "missing");
    *out = v->integer;
    return 0;
}

/* Keys that decide what the model computes: absent, or as here. */
static int text_is(const struct reader *r, const char *key, const char *expected)
{
    const struct aster_json *v = aster_json_get(r->j, key);
    if (v && v->type != ASTER_JSON_NULL &&
        (v->type != ASTER_JSON_STRING || strcmp(v->string, expected) != 0))
        return aster_fail(r->ctx, ASTER_EFORMAT, "%s:%d: %s is %s, this model has '%s'", r->where,
                          v->line, key, v->type == ASTER_JSON_STRING ? v->string : "no text",
                          expected);
    return 0;
}

static int bool_is(const struct reader *r, const char *key, bool expected)
{
    const struct aster_json *v = aster_json_get(r->j, key);
    if (v && v->type != ASTER_JSON_NULL && (v->type != ASTER_JSON_BOOL || v->boolean != expected))
        return aster_fail(r->ctx, ASTER_EFORMAT, "%s:%d: %s is not %s, as this model has it",
                          r->where, v->line, key, expected ? "true" : "false");
    return 0;
}

static int integer_is(const struct reader *r, const char *key, int64_t expected)
{
    int64_t v;
    const struct aster_json *there = aster_json_get(r->j, key);
    if (!there || there->type == ASTER_JSON_NULL)
        return 0;
    ASTER_TRY(integer(r, key, &v));
    return v == expected
               ? 0
               : aster_fail(r->ctx, ASTER_EFORMAT, "%s:%d: %s is %lld, this model has %lld",
                            r->where, there->line, key, (long long)v, (long long)expected);
}

static int esm2_keys(const struct reader *r)
{
    ASTER_TRY(text_is(r, "position_embedding_type", "rotary"));
    ASTER_TRY(bool_is(r, "token_dropout", true));
    ASTER_TRY(bool_is(r, "emb_layer_norm_before", false));
    ASTER_TRY(integer_is(r, "mask_token_id", 32));
    ASTER_TRY(integer_is(r, "pad_token_id", 1));
    return integer_is(r, "vocab_size", 33);
}

/* A bert is DNABERT-S's when it has ALiBi's key; others have learned positions. */
static int kind_of(const struct reader *r, enum aster_language_kind *out)
{
    const struct aster_json *type = aster_json_get(r->j, "model_type");
    const char *name = !type                             ? "missing"
                       : type->type == ASTER_JSON_STRING ? type->string
                                                         : "no text";
    bool has_alibi = aster_json_get(r->j, "alibi_starting_size") != NULL;
    *out = strcmp(name, "esm") == 0 ? ASTER_LANGUAGE_ESM2 : ASTER_LANGUAGE_DNABERT;
    if (*out == ASTER_LANGUAGE_ESM2 || (has_alibi && (!type || strcmp(name, "bert") == 0)))
        return 0;
    return aster_fail(r->ctx, ASTER_EFORMAT,
                      "%s: model_type is %s; esm, or bert with alibi_starting_size is expected",
                      r->where, name);
}

int aster_pretrained_config_json(struct aster_ctx *ctx, const char *where,
                                 const struct aster_json *j, struct aster_language_config *out)
{
    struct reader r = {ctx, where, j};
    const struct aster_json *eps = aster_json_get(j, "layer_norm_eps");
    *out = (struct aster_language_config){0};
    ASTER_TRY(kind_of(&r, &out->kind));
    ASTER_TRY(integer(&r, "num_hidden_layers", &out->n_layers));
    ASTER_TRY(integer(&r, "hidden_size", &out->width));
    ASTER_TRY(integer(&r, "num_attention_heads", &out->n_heads));
    ASTER_TRY(integer(&r, "intermediate_size", &out->inner));
    ASTER_TRY(integer(&r, "vocab_size", &out->n_ids));
    ASTER_TRY(text_is(&r, "hidden_act", "gelu"));
    if (out->kind == ASTER_LANGUAGE_ESM2)
        ASTER_TRY(esm2_keys(&r));
    else
        ASTER_TRY(integer(&r, "type_vocab_size", &out->n_types));
    out->eps = out->kind == ASTER_LANGUAGE_ESM2 ? 1e-5 : 1e-12;
    if (eps && eps->type != ASTER_JSON_NUMBER)
        return aster_fail(ctx, ASTER_EFORMAT, "%s:%d: layer_norm_eps is no number", where,
                          eps->line);
    if (eps)
        out->eps = eps->number;
    return aster_language_check(ctx, out);
}

int aster_pretrained_config_read(struct aster_ctx *ctx, const char *path,
                                 struct aster_language_config *out)
{
    struct aster_json *j = NULL;
    ASTER_TRY(aster_json_read(ctx, path, &j));
    int rc = aster_pretrained_config_json(ctx, path, j, out);
    aster_json_free(&j);
    return rc;
}

/* "args" in the older files, "cfg.model" in newer ones */
static int fair_integer(struct aster_ctx *ctx, const struct aster_weightfile *f, const char *key,
                        int64_t *out)
{
    static const char *const groups[] = {"args", "cfg.model"};
    for (int k = 0; k < 2; k++) {
        char path[96];
        struct aster_value v;
        snprintf(path, sizeof path, "%s.%s", groups[k], key);
        int found = aster_weightfile_value(f, path, &v);
        ASTER_TRY(found);
        if (found > 0 && (v.kind == ASTER_VALUE_INTEGER || v.kind == ASTER_VALUE_BOOL)) {
            *out = v.integer;
            return 0;
        }
    }
    return aster_fail(
        ctx, ASTER_EFORMAT,
        "%s: neither args.%s nor cfg.model.%s is there as a number; a config.json is needed",
        aster_weightfile_path(f), key, key);
}

bool aster_pretrained_is_drawn(const char *path)
{
    return strncmp(path, "drawn:", 6) == 0;
}

int aster_pretrained_config_drawn(struct aster_ctx *ctx, const char *path,
                                  struct aster_language_config *out)
{
    static const struct {
        const char *name;
        int64_t n_layers, width, n_heads;
    } sizes[] = {{"8M", 6, 320, 20},     {"35M", 12, 480, 20}, {"150M", 30, 640, 20},
                 {"650M", 33, 1280, 20}, {"3B", 36, 2560, 40}, {"15B", 48, 5120, 40}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        if (!strcmp(path + 6, sizes[k].name)) {
            *out = (struct aster_language_config){.kind = ASTER_LANGUAGE_ESM2,
                                                  .n_layers = sizes[k].n_layers,
                                                  .width = sizes[k].width,
                                                  .n_heads = sizes[k].n_heads,
                                                  .inner = 4 * sizes[k].width,
                                                  .n_ids = 33,
                                                  .eps = 1e-5};
            return 0;
        }
    return aster_fail(ctx, ASTER_EPARAM,
                      "weights = %s: expected drawn:8M, 35M, 150M, 650M, 3B or 15B", path);
}

int aster_pretrained_config_fair(struct aster_ctx *ctx, const struct aster_weightfile *f,
                                 struct aster_language_config *out)
{
    int64_t dropout;
    *out = (struct aster_language_config){.kind = ASTER_LANGUAGE_ESM2, .n_ids = 33, .eps = 1e-5};
    ASTER_TRY(fair_integer(ctx, f, "encoder_layers", &out->n_layers));
    ASTER_TRY(fair_integer(ctx, f, "encoder_embed_dim", &out->width));
    ASTER_TRY(fair_integer(ctx, f, "encoder_attention_heads", &out->n_heads));
    ASTER_TRY(fair_integer(ctx, f, "token_dropout", &dropout));
    if (!dropout)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: token_dropout is off, ESM-2 has it on",
                          aster_weightfile_path(f));
    if (out->width < 1 || out->width > 1 << 20)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: encoder_embed_dim is %lld, expected 1 to 1048576",
                          aster_weightfile_path(f), (long long)out->width);
    out->inner = 4 * out->width;
    return aster_language_check(ctx, out);
}

void aster_pretrained_config_write(const struct aster_language_config *c, struct aster_str *out)
{
    bool is_esm2 = c->kind == ASTER_LANGUAGE_ESM2;
    aster_str_printf(out,
                     "{\n  \"model_type\": \"%s\",\n  \"num_hidden_layers\": %lld,\n"
                     "  \"hidden_size\": %lld,\n  \"num_attention_heads\": %lld,\n"
                     "  \"intermediate_size\": %lld,\n  \"vocab_size\": %lld,\n"
                     "  \"hidden_act\": \"gelu\",\n",
                     is_esm2 ? "esm" : "bert", (long long)c->n_layers, (long long)c->width,
                     (long long)c->n_heads, (long long)c->inner, (long long)c->n_ids);
    if (is_esm2)
        aster_str_add(out, "  \"position_embedding_type\": \"rotary\",\n"
                           "  \"token_dropout\": true,\n  \"emb_layer_norm_before\": false,\n"
                           "  \"mask_token_id\": 32,\n  \"pad_token_id\": 1,\n");
    else
        aster_str_printf(out, "  \"type_vocab_size\": %lld,\n  \"alibi_starting_size\": 512,\n",
                         (long long)c->n_types);
    aster_str_add(out, "  \"layer_norm_eps\": ");
    aster_json_number(out, c->eps);
    aster_str_add(out, "\n}\n");
}
