/* SPDX-License-Identifier: BSD-3-Clause */
/* Builders of the language models' blocks, and the tables they take as inputs. */
#include "model/language.h"

#include <math.h>
#include <string.h>

struct parts {
    struct aster_program *p;
    const struct aster_language_config *c;
    aster_sz rows, sequences, longest, width;
    bool is_half; /* matrices in bf16 */
};

static int outside(struct aster_ctx *ctx, const char *field, int64_t v, const char *expected)
{
    return aster_fail(ctx, ASTER_EPARAM, "%s = %lld, expected %s", field, (long long)v, expected);
}

int aster_language_check(struct aster_ctx *ctx, const struct aster_language_config *c)
{
    const struct {
        const char *name;
        int64_t value, most;
    } size[] = {
        {"num_hidden_layers", c->n_layers, 1000},
        {"hidden_size", c->width, 1 << 20},
        {"num_attention_heads", c->n_heads, c->width},
        {"intermediate_size", c->inner, 1 << 22},
        {"vocab_size", c->n_ids, 1 << 24},
        {"type_vocab_size", c->kind == ASTER_LANGUAGE_DNABERT ? c->n_types : 1, 1 << 10},
    };
    for (size_t k = 0; k < sizeof size / sizeof *size; k++)
        if (size[k].value < 1 || size[k].value > size[k].most) {
            char range[64];
            snprintf(range, sizeof range, "1 to %lld", (long long)size[k].most);
            return outside(ctx, size[k].name, size[k].value, range);
        }
    if (c->width % c->n_heads)
        return outside(ctx, "hidden_size", c->width, "a multiple of num_attention_heads");
    if (c->kind == ASTER_LANGUAGE_ESM2 && c->width / c->n_heads % 2)
        return outside(ctx, "hidden_size / num_attention_heads", c->width / c->n_heads,
                       "an even number");
    if (!(c->eps > 0 && c->eps < 1))
        return aster_fail(ctx, ASTER_EPARAM,
                          "layer_norm_eps = %g, expected a number between 0 and 1", c->eps);
    return 0;
}

int64_t aster_language_n_blocks(const struct aster_language_config *c)
{
    return c->n_layers + (c->kind == ASTER_LANGUAGE_ESM2 ? 2 : 1);
}

enum aster_language_part aster_language_part_of(const struct aster_language_config *c,
                                                int64_t block)
{
    return block == 0             ? ASTER_PART_EMBED
           : block <= c->n_layers ? ASTER_PART_LAYER
                                  : ASTER_PART_LAST;
}

void aster_language_param_name(const struct aster_language_config *c, int64_t block,
                               const struct aster_param_info *info, char *out, size_t size)
{
    if (aster_language_part_of(c, block) == ASTER_PART_LAYER)
        snprintf(out, size, "encoder.layer.%lld.%s", (long long)(block - 1), info->name);
    else
        snprintf(out, size, "%s", info->name);
}

/* ---- pieces ---- */

static aster_val vector(struct parts *b, const char *name, const char *end, int64_t n, double start)
{
    char text[96];
    snprintf(text, sizeof text, "%s.%s", name, end);
    return aster_emit_param(b->p, text, 1, &n, ASTER_LAYOUT_SAME, (struct aster_init){0, start}, 0);
}

static aster_val norm(struct parts *b, aster_val x, const char *name)
{
    aster_val gamma = vector(b, name, "weight", b->c->width, 1);
    return aster_emit_layernorm(b->p, x, gamma, vector(b, name, "bias", b->c->width, 0), b->c->eps);
}

static aster_val linear(struct parts *b, aster_val x, const char *name, int64_t in, int64_t out,
                        bool has_bias, int act)
{
    char text[96];
    snprintf(text, sizeof text, "%s.weight", name);
    aster_val (*emit)(struct aster_program *, const char *, int, const int64_t *, enum aster_layout,
                      struct aster_init, int64_t) =
        b->is_half ? aster_emit_param_bf16 : aster_emit_param;
    aster_val w = emit(b->p, text, 2, (int64_t[]){in, out}, ASTER_LAYOUT_LINEAR,
                       (struct aster_init){1 / sqrt((double)in), 0}, in);
    return aster_emit_linear(b->p, x, w, has_bias ? vector(b, name, "bias", out, 0) : -1, act);
}

static aster_val add(struct parts *b, aster_val x, aster_val y)
{
    return aster_emit_binary(b->p, ASTER_BIN_ADD, x, y);
}

static aster_val input(struct parts *b, const char *name, enum aster_dtype t, int rank,
                       aster_sz first, aster_sz second)
{
    return aster_emit_input(b->p, name, t, rank, (aster_sz[]){first, second});
}

static aster_val fact(struct parts *b, const char *name, enum aster_dtype t, int rank,
                      aster_sz first, aster_sz second)
{
    return aster_emit_fact(b->p, name, t, rank, (aster_sz[]){first, second});
}

static aster_val table(struct parts *b, const char *name, int64_t n)
{
    return aster_emit_param(b->p, name, 2, (int64_t[]){n, b->c->width}, ASTER_LAYOUT_SAME,
                            (struct aster_init){1, 0}, 0);
}

static aster_val attention(struct parts *b, aster_val q, aster_val k, aster_val v, aster_val slopes)
{
    aster_sz n_starts = aster_size_add(b->p, b->sequences, aster_size(b->p, 1));
    struct aster_ragged r = {
        q, k,         v, fact(b, "starts", ASTER_I32, 1, n_starts, -1), slopes, b->c->n_heads,
        0, b->longest};
    r.scale = 1 / sqrt((double)(b->c->width / b->c->n_heads));
    return aster_emit_ragged_attention(b->p, &r);
}

/* ---- ESM-2: norms before attention and before the two products ---- */

static aster_val esm2_embed(struct parts *b)
{
    aster_val ids = input(b, "ids", ASTER_I32, 1, b->rows, -1);
    aster_val factor =
        input(b, "factor", aster_program_real(b->p), 2, b->rows, aster_size(b->p, 1));
    aster_val x =
        aster_emit_gather(b->p, table(b, "embeddings.word_embeddings.weight", b->c->n_ids), ids);
    return aster_emit_binary(b->p, ASTER_BIN_MUL, x, factor);
}

static aster_val esm2_layer(struct parts *b, aster_val x)
{
    int64_t d = b->c->width;
    aster_val position = fact(b, "position", ASTER_I32, 1, b->rows, -1);
    aster_val turn = fact(b, "turn", aster_program_real(b->p), 2, b->longest,
                           aster_size(b->p, d / b->c->n_heads));
    aster_val u = norm(b, x, "attention.LayerNorm");
    aster_val q = linear(b, u, "attention.self.query", d, d, true, ASTER_ACT_NONE);
    aster_val k = linear(b, u, "attention.self.key", d, d, true, ASTER_ACT_NONE);
    aster_val v = linear(b, u, "attention.self.value", d, d, true, ASTER_ACT_NONE);
    q = aster_emit_rotary(b->p, q, position, turn, b->c->n_heads);
    k = aster_emit_rotary(b->p, k, position, turn, b->c->n_heads);
    x = add(
        b, x,
        linear(b, attention(b, q, k, v, -1), "attention.output.dense", d, d, true, ASTER_ACT_NONE));
    u = linear(b, norm(b, x, "LayerNorm"), "intermediate.dense", d, b->c->inner, true,
               ASTER_ACT_GELU);
    return add(b, x, linear(b, u, "output.dense", b->c->inner, d, true, ASTER_ACT_NONE));
}

/* ---- DNABERT-S: norms behind them; the two products have a gate between them ---- */

static aster_val dnabert_embed(struct parts *b)
{
    aster_sz zero = aster_size(b->p, 0), one = aster_size(b->p, 1);
    aster_val ids = input(b, "ids", ASTER_I32, 1, b->rows, -1);
    aster_val x =
        aster_emit_gather(b->p, table(b, "embeddings.word_embeddings.weight", b->c->n_ids), ids);
    aster_val types = table(b, "embeddings.token_type_embeddings.weight", b->c->n_types);
    return norm(b, add(b, x, aster_emit_slice(b->p, types, 0, zero, one)), "embeddings.LayerNorm");
}

static aster_val dnabert_layer(struct parts *b, aster_val x)
{
    int64_t d = b->c->width;
    aster_val slopes = fact(b, "slopes", aster_program_real(b->p), 1,
                             aster_size(b->p, b->c->n_heads), -1),
              part[3];
    aster_val all = linear(b, x, "attention.self.Wqkv", d, 3 * d, true, ASTER_ACT_NONE);
    for (int k = 0; k < 3; k++)
        part[k] = aster_emit_slice(b->p, all, 1, aster_size(b->p, k * d), b->width);
    aster_val a = attention(b, part[0], part[1], part[2], slopes);
    x = norm(b, add(b, x, linear(b, a, "attention.output.dense", d, d, true, ASTER_ACT_NONE)),
             "attention.output.LayerNorm");
    aster_val u = aster_emit_gated(
        b->p, linear(b, x, "mlp.gated_layers", d, 2 * b->c->inner, false, ASTER_ACT_NONE));
    return norm(b, add(b, x, linear(b, u, "mlp.wo", b->c->inner, d, true, ASTER_ACT_NONE)),
                "mlp.layernorm");
}

/* ---- a block's program ---- */

static int build(struct aster_program *p, const struct aster_language_config *c,
                 enum aster_language_part part, enum aster_language_use use)
{
    struct parts b = {p,
                      c,
                      aster_size_symbol(p, "N"),
                      aster_size_symbol(p, "Q"),
                      aster_size_symbol(p, "M"),
                      aster_size(p, c->width),
                      use == ASTER_LANGUAGE_BF16};
    bool is_esm2 = c->kind == ASTER_LANGUAGE_ESM2;
    aster_val x = part == ASTER_PART_EMBED
                      ? -1
                      : input(&b, "x", aster_program_real(p), 2, b.rows, b.width),
              y, dx = -1;
    if (part == ASTER_PART_EMBED)
        y = is_esm2 ? esm2_embed(&b) : dnabert_embed(&b);
    else if (part == ASTER_PART_LAYER)
        y = is_esm2 ? esm2_layer(&b, x) : dnabert_layer(&b, x);
    else
        y = norm(&b, x, "encoder.emb_layer_norm_after");
    aster_emit_output(p, "y", y);
    if (use == ASTER_LANGUAGE_TRAIN) {
        aster_val dy = input(&b, "dy", aster_program_real(p), 2, b.rows, b.width);
        ASTER_TRY(aster_program_grad_from(p, y, dy, x, &dx));
        if (dx >= 0)
            aster_emit_output(p, "dx", dx);
    }
    return aster_program_finish(p);
}

int aster_language_program(struct aster_ctx *ctx, const struct aster_language_config *c,
                           enum aster_language_part part, enum aster_dtype real,
                           enum aster_language_use use, struct aster_program **out)
{
    struct aster_program *p = NULL;
    char name[32];
    *out = NULL;
    ASTER_TRY(aster_language_check(ctx, c));
    if (part == ASTER_PART_LAST && c->kind != ASTER_LANGUAGE_ESM2)
        return aster_fail(ctx, ASTER_EBUG, "there is no block behind the layers of this model");
    snprintf(name, sizeof name, "%s %s", c->kind == ASTER_LANGUAGE_ESM2 ? "esm2" : "dnabert-s",
             part == ASTER_PART_EMBED   ? "embed"
             : part == ASTER_PART_LAYER ? "layer"
                                        : "last");
    ASTER_TRY(aster_program_new(ctx, name, real, &p));
    int rc = build(p, c, part, use);
    if (rc < 0) {
        aster_program_free(&p);
        return rc;
    }
    *out = p;
    return 0;
}

/* ---- inputs that are not learned ---- */

void aster_esm2_factors(int64_t n, const int32_t *ids, double *factor)
{
    const int32_t mask = 32;
    int64_t masked = 0;
    for (int64_t k = 0; k < n; k++)
        masked += ids[k] == mask;
    for (int64_t k = 0; k < n; k++)
        factor[k] = ids[k] == mask ? 0 : (1 - 0.15 * 0.8) / (1 - (double)masked / (double)n);
}

/* To the nearest number of 11 significant bits, ties to even; frequencies are far from where half
 * precision ends. */
static float round_to_half(float x)
{
    int e;
    float m = frexpf(x, &e);
    return ldexpf(rintf(ldexpf(m, 11)), e - 11);
}

void aster_esm2_frequencies(int64_t n, float *frequency)
{
    for (int64_t k = 0; k < n; k++)
        frequency[k] = round_to_half(1 / powf(10000, (float)(2 * k) / (float)(2 * n)));
}

void aster_esm2_turns(int64_t n, const float *frequency, int64_t n_positions, double *turn)
{
    for (int64_t p = 0; p < n_positions; p++, turn += 2 * n)
        for (int64_t k = 0; k < n; k++) {
            turn[k] = cos((double)p * (double)frequency[k]);
            turn[n + k] = sin((double)p * (double)frequency[k]);
        }
}

/* 2^(-8 (i + 1) / n) for a power of two n; else those of the largest one below, and then every
 * second of twice as many. */
void aster_alibi_slopes(int64_t n_heads, double *slope)
{
    int64_t n = 1;
    while (2 * n <= n_heads)
        n *= 2;
    for (int64_t k = 0; k < n_heads; k++)
        slope[k] = k < n ? exp2(-8.0 * (double)(k + 1) / (double)n)
                         : exp2(-8.0 * (double)(2 * (k - n) + 1) / (double)(2 * n));
}
