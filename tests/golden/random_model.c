/* SPDX-License-Identifier: BSD-3-Clause */
/* Drawn language models: config.json, model.safetensors, tokenizer.json. */
#include "golden/random_model.h"

#include "flow/pretrained.h"
#include "golden/lm_file.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { LONGEST_TOKEN = 9, N_SPECIAL = 5, N_BASES = 4 };
static const char *const special[N_SPECIAL] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};
static const char bases[N_BASES + 1] = "ACGT";

/* ---- tensors ---- */

static bool contains(const char *s, const char *part)
{
    return strstr(s, part) != NULL;
}

/* Weights that keep the size of what goes through them; scores that differ from each other. */
static void draw(const char *name, const struct aster_param_info *info, uint64_t seed, float *out)
{
    bool is_bias = contains(name, ".bias"), is_norm = contains(name, "LayerNorm.") ||
                                                      contains(name, "layernorm.") ||
                                                      contains(name, "layer_norm_after.");
    float a = 0.1f, shift = 0;
    if (is_norm && !is_bias) {
        a = 0.25f;
        shift = 1;
    } else if (contains(name, "_embeddings.")) {
        a = 1;
    } else if (!is_bias) {
        double s = contains(name, ".query.") || contains(name, ".key.")  ? 1.5
                   : contains(name, "output.") || contains(name, ".wo.") ? 0.5
                                                                         : 1;
        a = (float)(s * sqrt(3 / (double)info->fan_in));
    }
    lm_generate(name, (int64_t)seed, info->n, a, shift, out);
}

struct writer {
    struct aster_ctx *ctx;
    const struct aster_language_config *c;
    struct aster_program *part[3];
    uint64_t seed;
    enum aster_dtype t;
    struct aster_str header;
    int64_t at; /* bytes of tensors so far */
    FILE *f;
};

static int each_parameter(struct writer *w, int (*visit)(struct writer *w, const char *name,
                                                         const struct aster_param_info *info))
{
    const char *prefix = w->c->kind == ASTER_LANGUAGE_ESM2 ? "esm." : "bert.";
    for (int64_t block = 0; block < aster_language_n_blocks(w->c); block++) {
        enum aster_language_part part = aster_language_part_of(w->c, block);
        if (!w->part[part])
            ASTER_TRY(aster_language_program(w->ctx, w->c, part, ASTER_F32, ASTER_LANGUAGE_EVAL,
                                             &w->part[part]));
        for (int k = 0; k < aster_program_n_params(w->part[part]); k++) {
            const struct aster_param_info *info = aster_program_param(w->part[part], k);
            char ours[128], name[160];
            aster_language_param_name(w->c, block, info, ours, sizeof ours);
            snprintf(name, sizeof name, "%s%s", prefix, ours);
            ASTER_TRY(visit(w, name, info));
        }
    }
    return 0;
}

static int describe(struct writer *w, const char *name, const struct aster_param_info *info)
{
    int64_t dim[ASTER_MAX_RANK], bytes = info->n * aster_dtype_size(w->t);
    aster_param_reference_shape(info, dim);
    aster_str_printf(&w->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", w->at ? "," : "", name,
                     w->t == ASTER_BF16 ? "BF16" : "F32");
    for (int k = 0; k < info->rank; k++)
        aster_str_printf(&w->header, "%s%lld", k ? "," : "", (long long)dim[k]);
    aster_str_printf(&w->header, "],\"data_offsets\":[%lld,%lld]}", (long long)w->at,
                     (long long)(w->at + bytes));
    w->at += bytes;
    return 0;
}

static int put(struct writer *w, const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, w->f) != n)
        return aster_fail(w->ctx, ASTER_EIO, "model.safetensors: cannot be written: %s",
                          strerror(errno));
    return 0;
}

static int put_tensor(struct writer *w, const char *name, const struct aster_param_info *info)
{
    float *values = NULL;
    ASTER_TRY(aster_alloc(w->ctx, info->n, sizeof *values, &values));
    draw(name, info, w->seed, values);
    uint16_t *half = (uint16_t *)values; /* each lies where a value was that is read already */
    for (int64_t i = 0; w->t == ASTER_BF16 && i < info->n; i++) {
        uint16_t h = aster_f32_to_bf16(values[i]);
        memcpy(half + i, &h, sizeof h);
    }
    int rc = put(w, values, (size_t)(info->n * aster_dtype_size(w->t)));
    aster_free(&values);
    return rc;
}

static int put_weights(struct writer *w)
{
    uint8_t length[8];
    aster_str_add(&w->header, "{");
    ASTER_TRY(each_parameter(w, describe));
    aster_str_add(&w->header, "}");
    while (w->header.len % 8 && !w->header.failed)
        aster_str_add(&w->header, " ");
    ASTER_TRY(aster_str_ok(w->ctx, &w->header));
    for (int k = 0; k < 8; k++)
        length[k] = (uint8_t)((uint64_t)w->header.len >> 8 * k & 255);
    ASTER_TRY(put(w, length, 8));
    ASTER_TRY(put(w, w->header.s, w->header.len));
    return each_parameter(w, put_tensor);
}

static int write_weights(struct writer *w, const char *path)
{
    w->f = fopen(path, "wb");
    if (!w->f)
        return aster_fail(w->ctx, ASTER_EIO, "%s: cannot be made: %s", path, strerror(errno));
    int rc = put_weights(w);
    if (fclose(w->f) && rc == 0)
        rc = aster_fail(w->ctx, ASTER_EIO, "%s: cannot be written: %s", path, strerror(errno));
    aster_str_free(&w->header);
    for (int k = 0; k < 3; k++)
        aster_program_free(&w->part[k]);
    return rc;
}

/* ---- texts ---- */

struct token {
    char text[LONGEST_TOKEN + 1];
    int64_t left, right; /* -1: a base */
};

static bool is_new(const struct token *tokens, int64_t n, const char *text)
{
    for (int64_t k = 0; k < n; k++)
        if (strcmp(tokens[k].text, text) == 0)
            return false;
    return true;
}

/* An earlier token, one of the first and shortest more often: most pairs of them get a token */
static int64_t draw_part(uint64_t seed, uint64_t at, int64_t n)
{
    double u = aster_uniform(seed, 1, at);
    return (int64_t)(u * u * (double)n);
}

/* Whether the merges of n tokens, in their order, make the last one of its own letters: a trained
 * vocabulary has no other tokens. */
static bool is_reached(const struct token *tokens, int64_t n)
{
    int64_t piece[LONGEST_TOKEN], n_pieces = (int64_t)strlen(tokens[n - 1].text);
    for (int64_t k = 0; k < n_pieces; k++)
        piece[k] = strchr(bases, tokens[n - 1].text[k]) - bases;
    for (int64_t merge = N_BASES; merge < n; merge++)
        for (int64_t k = 0; k + 1 < n_pieces; k++)
            if (piece[k] == tokens[merge].left && piece[k + 1] == tokens[merge].right) {
                piece[k] = merge;
                n_pieces--;
                memmove(piece + k + 1, piece + k + 2, (size_t)(n_pieces - k - 1) * sizeof *piece);
            }
    return n_pieces == 1;
}

/* n tokens, the bases first, each other one of two earlier ones */
static void draw_tokens(uint64_t seed, int64_t n, struct token *tokens)
{
    uint64_t at = 0;
    for (int64_t k = 0; k < n;) {
        struct token *t = &tokens[k];
        *t = (struct token){.left = -1, .right = -1};
        if (k < N_BASES) {
            t->text[0] = bases[k++];
            continue;
        }
        t->left = draw_part(seed, at++, k);
        t->right = draw_part(seed, at++, k);
        const char *left = tokens[t->left].text, *right = tokens[t->right].text;
        if (strlen(left) + strlen(right) > LONGEST_TOKEN)
            continue;
        memcpy(t->text, left, strlen(left));
        memcpy(t->text + strlen(left), right, strlen(right));
        k += is_new(tokens, k, t->text) && is_reached(tokens, k + 1);
    }
}

static void special_text(struct aster_str *out)
{
    for (int k = 0; k < N_SPECIAL; k++)
        aster_str_printf(out,
                         "%s\n    {\"id\": %d, \"content\": \"%s\", \"single_word\": false, "
                         "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, "
                         "\"special\": true}",
                         k ? "," : "", k, special[k]);
}

static void tokenizer_text(const struct token *tokens, int64_t n, struct aster_str *out)
{
    aster_str_add(out, "{\n  \"version\": \"1.0\",\n  \"added_tokens\": [");
    special_text(out);
    aster_str_add(out,
                  "\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": {\"type\": "
                  "\"Whitespace\"},\n  \"post_processor\": {\n    \"type\": "
                  "\"TemplateProcessing\",\n    \"single\": [{\"SpecialToken\": {\"id\": "
                  "\"[CLS]\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
                  "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}],\n    \"pair\": [],\n"
                  "    \"special_tokens\": {\n      \"[CLS]\": {\"id\": \"[CLS]\", \"ids\": [1], "
                  "\"tokens\": [\"[CLS]\"]},\n      \"[SEP]\": {\"id\": \"[SEP]\", \"ids\": [2], "
                  "\"tokens\": [\"[SEP]\"]}\n    }\n  },\n  \"decoder\": null,\n  \"model\": {\n"
                  "    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": \"[UNK]\",\n"
                  "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n"
                  "    \"fuse_unk\": false,\n    \"vocab\": {");
    for (int k = 0; k < N_SPECIAL; k++)
        aster_str_printf(out, "%s\n      \"%s\": %d", k ? "," : "", special[k], k);
    for (int64_t k = 0; k < n; k++)
        aster_str_printf(out, ",\n      \"%s\": %lld", tokens[k].text, (long long)(N_SPECIAL + k));
    aster_str_add(out, "\n    },\n    \"merges\": [");
    for (int64_t k = N_BASES; k < n; k++)
        aster_str_printf(out, "%s\n      \"%s %s\"", k > N_BASES ? "," : "",
                         tokens[tokens[k].left].text, tokens[tokens[k].right].text);
    aster_str_add(out, "\n    ]\n  }\n}\n");
}

static int write_text(struct aster_ctx *ctx, const char *folder, const char *name,
                      struct aster_str *text)
{
    char *path = NULL;
    int rc = aster_str_ok(ctx, text);
    if (rc == 0)
        rc = aster_path_join(ctx, folder, name, &path);
    if (rc == 0)
        rc = aster_file_write(ctx, path, text->s, (int64_t)text->len);
    aster_free(&path);
    aster_str_free(text);
    return rc;
}

static int write_tokenizer(struct aster_ctx *ctx, int64_t n_ids, uint64_t seed, const char *folder)
{
    struct token *tokens = NULL;
    struct aster_str text = {0};
    int64_t n = n_ids - N_SPECIAL;
    if (n < N_BASES || n > 20000)
        return aster_fail(ctx, ASTER_EPARAM, "vocab = %lld, expected %d to 20005", (long long)n_ids,
                          N_SPECIAL + N_BASES);
    ASTER_TRY(aster_alloc(ctx, n, sizeof *tokens, &tokens));
    draw_tokens(seed, n, tokens);
    tokenizer_text(tokens, n, &text);
    aster_free(&tokens);
    return write_text(ctx, folder, "tokenizer.json", &text);
}

int random_model_write(struct aster_ctx *ctx, const struct aster_language_config *c, uint64_t seed,
                       enum aster_dtype t, const char *folder)
{
    struct writer w = {.ctx = ctx, .c = c, .seed = seed, .t = t};
    struct aster_str config = {0};
    char *path = NULL;
    ASTER_TRY(aster_language_check(ctx, c));
    ASTER_TRY(aster_mkdirs(ctx, folder));
    aster_pretrained_config_write(c, &config);
    ASTER_TRY(write_text(ctx, folder, "config.json", &config));
    if (c->kind == ASTER_LANGUAGE_DNABERT)
        ASTER_TRY(write_tokenizer(ctx, c->n_ids, seed, folder));
    ASTER_TRY(aster_path_join(ctx, folder, "model.safetensors", &path));
    int rc = write_weights(&w, path);
    aster_free(&path);
    return rc;
}
