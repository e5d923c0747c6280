/* SPDX-License-Identifier: BSD-3-Clause */
/* The models as their papers write them: every matrix stored, every sum in order. */
#include "unit/language_reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double *get(const struct reference *r, int64_t layer, const char *name)
{
    char full[128];
    if (layer >= 0)
        snprintf(full, sizeof full, "encoder.layer.%d.%s", (int)layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    return r->tensor(r->arg, full);
}

static double *room(int64_t n)
{
    double *p = calloc((size_t)n + 1, sizeof *p);
    if (!p)
        abort();
    return p;
}

/* y [n, out] = x [n, in] w^T + b; w [out, in] */
static double *linear(const struct reference *r, int64_t layer, const char *name, int64_t n,
                      int64_t in, int64_t out, const double *x, bool has_bias)
{
    char text[96];
    snprintf(text, sizeof text, "%s.weight", name);
    const double *w = get(r, layer, text), *b = NULL;
    snprintf(text, sizeof text, "%s.bias", name);
    if (has_bias)
        b = get(r, layer, text);
    double *y = room(n * out);
    for (int64_t i = 0; i < n * out; i++) {
        double sum = b ? b[i % out] : 0;
        for (int64_t k = 0; k < in; k++)
            sum += x[i / out * in + k] * w[i % out * in + k];
        y[i] = sum;
    }
    return y;
}

static void norm(const struct reference *r, int64_t layer, const char *name, int64_t n,
                 const double *x, double *y)
{
    char text[96];
    int64_t d = r->c->width;
    snprintf(text, sizeof text, "%s.weight", name);
    const double *gamma = get(r, layer, text);
    snprintf(text, sizeof text, "%s.bias", name);
    const double *beta = get(r, layer, text);
    for (int64_t i = 0; i < n; i++) {
        double mean = 0, variance = 0;
        for (int64_t k = 0; k < d; k++)
            mean += x[i * d + k] / (double)d;
        for (int64_t k = 0; k < d; k++)
            variance += pow(x[i * d + k] - mean, 2) / (double)d;
        for (int64_t k = 0; k < d; k++)
            y[i * d + k] = (x[i * d + k] - mean) / sqrt(variance + r->c->eps) * gamma[k] + beta[k];
    }
}

static double gelu(double x)
{
    return x / 2 * (1 + erf(x / sqrt(2)));
}

/* rows of q, k, v are ld apart */
static double *attend(const struct reference *r, int64_t n, const double *q, const double *k,
                      const double *v, int64_t ld, bool has_slopes)
{
    int64_t d = r->c->width, h = d / r->c->n_heads;
    double *o = room(n * d), *p = room(n), slope[64];
    aster_alibi_slopes(r->c->n_heads, slope);
    for (int64_t head = 0; head < r->c->n_heads; head++)
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++) {
                double score = 0;
                for (int64_t e = head * h; e < (head + 1) * h; e++)
                    score += q[i * ld + e] * k[j * ld + e];
                p[j] = exp(score / sqrt((double)h) -
                           (has_slopes ? slope[head] * fabs((double)(i - j)) : 0));
                sum += p[j];
            }
            for (int64_t j = 0; j < n; j++)
                for (int64_t e = head * h; e < (head + 1) * h; e++)
                    o[i * d + e] += p[j] / sum * v[j * ld + e];
        }
    free(p);
    return o;
}

/* Each pair of features as a complex number, turned by its position times its frequency */
static void rotate(const struct reference *r, int64_t n, double *x)
{
    int64_t d = r->c->width, h = d / r->c->n_heads, half = h / 2;
    float frequency[256];
    aster_esm2_frequencies(half, frequency);
    for (int64_t i = 0; i < n; i++)
        for (int64_t e = 0; e < d; e++)
            if (e % h < half) {
                double angle = (double)i * (double)frequency[e % h], a = x[i * d + e],
                       b = x[i * d + e + half];
                x[i * d + e] = a * cos(angle) - b * sin(angle);
                x[i * d + e + half] = b * cos(angle) + a * sin(angle);
            }
}

static void add(int64_t n, double *x, double *y)
{
    for (int64_t k = 0; k < n; k++)
        x[k] += y[k];
    free(y);
}

static void esm2_layer(const struct reference *r, int64_t layer, int64_t n, double *x)
{
    int64_t d = r->c->width, inner = r->c->inner;
    double *u = room(n * d);
    norm(r, layer, "attention.LayerNorm", n, x, u);
    double *q = linear(r, layer, "attention.self.query", n, d, d, u, true),
           *k = linear(r, layer, "attention.self.key", n, d, d, u, true);
    double *v = linear(r, layer, "attention.self.value", n, d, d, u, true);
    rotate(r, n, q);
    rotate(r, n, k);
    double *o = attend(r, n, q, k, v, d, false);
    add(n * d, x, linear(r, layer, "attention.output.dense", n, d, d, o, true));
    norm(r, layer, "LayerNorm", n, x, u);
    double *f = linear(r, layer, "intermediate.dense", n, d, inner, u, true);
    for (int64_t i = 0; i < n * inner; i++)
        f[i] = gelu(f[i]);
    add(n * d, x, linear(r, layer, "output.dense", n, inner, d, f, true));
    free(u);
    free(q);
    free(k);
    free(v);
    free(o);
    free(f);
}

static void dnabert_layer(const struct reference *r, int64_t layer, int64_t n, double *x)
{
    int64_t d = r->c->width, inner = r->c->inner;
    double *all = linear(r, layer, "attention.self.Wqkv", n, d, 3 * d, x, true),
           *z = room(n * inner);
    double *o = attend(r, n, all, all + d, all + 2 * d, 3 * d, true);
    add(n * d, x, linear(r, layer, "attention.output.dense", n, d, d, o, true));
    norm(r, layer, "attention.output.LayerNorm", n, x, x);
    double *g = linear(r, layer, "mlp.gated_layers", n, d, 2 * inner, x, false);
    for (int64_t i = 0; i < n * inner; i++)
        z[i] =
            gelu(g[i / inner * 2 * inner + i % inner]) * g[(i / inner * 2 + 1) * inner + i % inner];
    add(n * d, x, linear(r, layer, "mlp.wo", n, inner, d, z, true));
    norm(r, layer, "mlp.layernorm", n, x, x);
    free(all);
    free(z);
    free(o);
    free(g);
}

static void embed(const struct reference *r, int64_t n, const int32_t *ids, double *x)
{
    const double *words = get(r, -1, "embeddings.word_embeddings.weight"), *types = NULL;
    int64_t d = r->c->width, masked = 0;
    bool is_esm2 = r->c->kind == ASTER_LANGUAGE_ESM2;
    if (!is_esm2)
        types = get(r, -1, "embeddings.token_type_embeddings.weight");
    for (int64_t i = 0; i < n; i++)
        masked += is_esm2 && ids[i] == 32;
    for (int64_t k = 0; k < n * d; k++) {
        x[k] = words[ids[k / d] * d + k % d];
        if (is_esm2)
            x[k] *= ids[k / d] == 32 ? 0 : 0.88 * (double)n / (double)(n - masked);
        else
            x[k] += types[k % d];
    }
    if (!is_esm2)
        norm(r, -1, "embeddings.LayerNorm", n, x, x);
}

void reference_run(const struct reference *r, int64_t n, const int32_t *ids, double *out)
{
    embed(r, n, ids, out);
    for (int64_t layer = 0; layer < r->c->n_layers; layer++)
        if (r->c->kind == ASTER_LANGUAGE_ESM2)
            esm2_layer(r, layer, n, out);
        else
            dnabert_layer(r, layer, n, out);
    if (r->c->kind == ASTER_LANGUAGE_ESM2)
        norm(r, -1, "encoder.emb_layer_norm_after", n, out, out);
}
