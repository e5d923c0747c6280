/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights of language models by the names of other programs' files: each set of names gives the
 * same parameters, each mistake its message. */
#include "flow/pretrained.h"
#include "unit/files.h"

#include <math.h>

static const struct aster_language_config config = {ASTER_LANGUAGE_ESM2, 2, 8, 2, 16, 33, 0, 1e-5};
enum { MOST = 64, ELEMENTS = 33 * 8 };

/* A file in the making: its tensors have values that follow from their names in the encoder's own
 * form. */
struct file {
    struct aster_st_out tensor[MOST];
    char name[MOST][128];
    float value[MOST][ELEMENTS];
    int n;
};

static float value_of(const char *name, int64_t i)
{
    return (float)(2 * aster_uniform(3, aster_fnv1a64(name, strlen(name)), (uint64_t)i) - 1);
}

static void add(struct file *f, const char *name, int rank, int64_t rows, int64_t columns)
{
    int64_t n = rows * (rank > 1 ? columns : 1);
    snprintf(f->name[f->n], sizeof f->name[f->n], "%s", name);
    for (int64_t i = 0; i < n && i < ELEMENTS; i++)
        f->value[f->n][i] = value_of(name, i);
    f->tensor[f->n] =
        (struct aster_st_out){f->name[f->n], ASTER_F32, rank, {rows, columns}, f->value[f->n]};
    f->n++;
}

static void pair(struct file *f, const char *name, int64_t out, int64_t in)
{
    char text[128];
    snprintf(text, sizeof text, "%s.weight", name);
    add(f, text, in ? 2 : 1, out, in);
    snprintf(text, sizeof text, "%s.bias", name);
    add(f, text, 1, out, 0);
}

static void build(struct file *f)
{
    static const struct {
        const char *name;
        int64_t out, in;
    } of_layer[] = {{"attention.LayerNorm", 8, 0},    {"attention.self.query", 8, 8},
                    {"attention.self.key", 8, 8},     {"attention.self.value", 8, 8},
                    {"attention.output.dense", 8, 8}, {"LayerNorm", 8, 0},
                    {"intermediate.dense", 16, 8},    {"output.dense", 8, 16}};
    char text[96];
    memset(f, 0, sizeof *f);
    add(f, "embeddings.word_embeddings.weight", 2, 33, 8);
    for (int layer = 0; layer < 2; layer++)
        for (size_t k = 0; k < sizeof of_layer / sizeof *of_layer; k++) {
            snprintf(text, sizeof text, "encoder.layer.%d.%s", layer, of_layer[k].name);
            pair(f, text, of_layer[k].out, of_layer[k].in);
        }
    pair(f, "encoder.emb_layer_norm_after", 8, 0);
}

static int tensor(const struct file *f, const char *name)
{
    for (int k = 0; k < f->n; k++)
        if (strcmp(f->name[k], name) == 0)
            return k;
    abort();
}

static void rename_all(struct file *f, const char *prefix)
{
    for (int k = 0; k < f->n; k++) {
        char old[128];
        snprintf(old, sizeof old, "%s", f->name[k]);
        snprintf(f->name[k], sizeof f->name[k], "%.20s%.100s", prefix, old);
    }
}

static int open_file(const struct file *f, struct aster_pretrained **w)
{
    const char *path = in_dir("model.safetensors");
    int rc = aster_st_write(ctx, path, f->n, f->tensor, 0, NULL, NULL);
    return rc < 0 ? rc : aster_pretrained_open(ctx, path, &config, w);
}

/* Every parameter of every block has the values that its name gives. */
static bool values_agree(const struct aster_pretrained *w, enum aster_dtype real)
{
    bool good = true;
    for (int64_t block = 0; block < aster_language_n_blocks(&config); block++) {
        struct aster_program *p = NULL;
        void *flat = NULL, *theirs = NULL;
        good = good &&
               aster_language_program(ctx, &config, aster_language_part_of(&config, block), real,
                                      ASTER_LANGUAGE_EVAL, &p) == 0 &&
               aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_PARAM), 8, &flat) == 0 &&
               aster_alloc(ctx, ELEMENTS, 8, &theirs) == 0 &&
               aster_pretrained_read(w, block, p, flat) == 0;
        for (int k = 0; good && k < aster_program_n_params(p); k++) {
            const struct aster_param_info *info = aster_program_param(p, k);
            char name[128];
            aster_language_param_name(&config, block, info, name, sizeof name);
            aster_param_to_reference(info, real, flat, theirs);
            for (int64_t i = 0; i < info->n; i++)
                good = good &&
                       (real == ASTER_F64 ? ((double *)theirs)[i] : (double)((float *)theirs)[i]) ==
                           (double)value_of(name, i);
        }
        aster_program_free(&p);
        aster_free(&flat);
        aster_free(&theirs);
    }
    return good;
}

static void accepted(const struct file *f, const char *what)
{
    struct aster_pretrained *w = NULL;
    int rc = open_file(f, &w);
    tap_ok(rc == 0 && values_agree(w, ASTER_F32) && values_agree(w, ASTER_F64), "%s%s%s", what,
           rc < 0 ? ": " : "", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    aster_pretrained_close(&w);
}

static void refused(const struct file *f, const char *what, const char *word, const char *other)
{
    struct aster_pretrained *w = NULL;
    int rc = open_file(f, &w);
    const char *text = aster_ctx_message(ctx);
    tap_ok(rc == ASTER_EFORMAT && !w && strstr(text, word) && strstr(text, other) &&
               strstr(text, "model.safetensors"),
           "%s: %s", what, text);
    aster_ctx_clear(ctx);
    aster_pretrained_close(&w);
}

static const char *const fair[][2] = {{"attention.LayerNorm.", "self_attn_layer_norm."},
                                      {"attention.self.query.", "self_attn.q_proj."},
                                      {"attention.self.key.", "self_attn.k_proj."},
                                      {"attention.self.value.", "self_attn.v_proj."},
                                      {"attention.output.dense.", "self_attn.out_proj."},
                                      {"LayerNorm.", "final_layer_norm."},
                                      {"intermediate.dense.", "fc1."},
                                      {"output.dense.", "fc2."}};

static void to_fair(struct file *f, const char *prefix)
{
    for (int k = 0; k < f->n; k++) {
        char old[128], *rest = old;
        snprintf(old, sizeof old, "%s", f->name[k]);
        if (strcmp(old, "embeddings.word_embeddings.weight") == 0)
            snprintf(f->name[k], sizeof f->name[k], "%sembed_tokens.weight", prefix);
        else if (strncmp(old, "encoder.emb", 11) == 0)
            snprintf(f->name[k], sizeof f->name[k], "%s%.100s", prefix, old + 8);
        else
            for (size_t j = 0; j < sizeof fair / sizeof *fair; j++) {
                rest = old + strlen("encoder.layer.0.");
                if (strncmp(rest, fair[j][0], strlen(fair[j][0])) == 0)
                    snprintf(f->name[k], sizeof f->name[k], "%slayers.%c.%s%.60s", prefix, old[14],
                             fair[j][1], rest + strlen(fair[j][0]));
            }
    }
}

static void test_names(struct file *f)
{
    build(f);
    accepted(f, "names without prefix");
    rename_all(f, "esm.");
    accepted(f, "names with the prefix esm.");
    build(f);
    to_fair(f, "");
    accepted(f, "names of fair-esm without prefix");
    build(f);
    to_fair(f, "encoder.sentence_encoder.");
    accepted(f, "names of fair-esm with a prefix");
    build(f);
    add(f, "lm_head.dense.weight", 2, 8, 8);
    add(f, "contact_head.regression.bias", 1, 1, 0);
    add(f, "embeddings.position_embeddings.weight", 2, 10, 8);
    accepted(f, "tensors that are not needed");
}

static void test_mistakes(struct file *f)
{
    build(f);
    f->n--;
    refused(f, "a tensor is missing", "encoder.emb_layer_norm_after.bias", "no tensor");
    build(f);
    add(f, "encoder.layer.2.LayerNorm.bias", 1, 8, 0);
    refused(f, "a layer too many", "encoder.layer.2.LayerNorm.bias", "not one of this model's");
    build(f);
    f->tensor[tensor(f, "encoder.layer.1.output.dense.weight")].dim[0] = 4;
    refused(f, "a wrong shape", "[4, 16]", "[8, 16]");
    build(f);
    add(f, "esm.encoder.layer.1.LayerNorm.bias", 1, 8, 0);
    refused(f, "a tensor twice, with and without prefix", "encoder.layer.1.LayerNorm.bias",
            "same parameter");
    build(f);
    add(f, "encoder.rotary_embeddings.inv_freq", 1, 3, 0);
    refused(f, "frequencies of another width", "inv_freq", "[2]");
}

static void test_frequencies(struct file *f)
{
    struct aster_pretrained *w = NULL;
    float rule[2];
    aster_esm2_frequencies(2, rule);
    build(f);
    bool good =
        open_file(f, &w) == 0 && memcmp(aster_pretrained_frequencies(w, 1), rule, sizeof rule) == 0;
    tap_ok(good, "without frequencies: those of the rule");
    aster_pretrained_close(&w);
    add(f, "encoder.rotary_embeddings.inv_freq", 1, 2, 0);
    add(f, "encoder.layer.1.attention.self.rotary_embeddings.inv_freq", 1, 2, 0);
    good = open_file(f, &w) == 0;
    for (int i = 0; good && i < 2; i++)
        good = aster_pretrained_frequencies(w, 0)[i] ==
                   value_of("encoder.rotary_embeddings.inv_freq", i) &&
               aster_pretrained_frequencies(w, 1)[i] ==
                   value_of("encoder.layer.1.attention.self.rotary_embeddings.inv_freq", i);
    tap_ok(good, "shared frequencies, and those that a layer has for itself");
    aster_pretrained_close(&w);
    aster_ctx_clear(ctx);
}

static void test_config(const char *text, const char *word)
{
    struct aster_json *j = NULL;
    struct aster_language_config c;
    int rc = aster_json_parse(ctx, "config.json", text, strlen(text), &j);
    rc = rc < 0 ? rc : aster_pretrained_config_json(ctx, "config.json", j, &c);
    if (word)
        tap_ok(rc < 0 && strstr(aster_ctx_message(ctx), word), "config: %s",
               aster_ctx_message(ctx));
    else
        tap_ok(rc == 0, "config: accepted %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    aster_json_free(&j);
}

#define SIZES                                                                                      \
    "\"num_hidden_layers\": 2, \"hidden_size\": 8, \"num_attention_heads\": 2, "                   \
    "\"intermediate_size\": 16, \"vocab_size\": 33"
#define ESM "{\"model_type\": \"esm\", " SIZES

int main(void)
{
    static struct file f;
    test_start();
    test_names(&f);
    test_mistakes(&f);
    test_frequencies(&f);
    test_config(ESM "}", NULL);
    test_config("{\"model_type\": \"bert\", " SIZES
                ", \"type_vocab_size\": 2, \"alibi_starting_size\": 512}",
                NULL);
    test_config("{\"model_type\": \"bert\", " SIZES ", \"type_vocab_size\": 2}",
                "alibi_starting_size");
    test_config("{\"model_type\": \"gpt2\"}", "gpt2");
    test_config(ESM ", \"position_embedding_type\": \"absolute\"}", "position_embedding_type");
    test_config(ESM ", \"token_dropout\": false}", "token_dropout");
    test_config(ESM ", \"emb_layer_norm_before\": true}", "emb_layer_norm_before");
    test_config(ESM ", \"hidden_act\": \"relu\"}", "hidden_act");
    test_config(ESM ", \"layer_norm_eps\": \"small\"}", "layer_norm_eps");
    test_config("{\"model_type\": \"esm\", \"hidden_size\": 8}", "num_hidden_layers");
    return test_end();
}
