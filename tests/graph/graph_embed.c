/* SPDX-License-Identifier: BSD-3-Clause */
/* The block runner: what an item gives is what the model gives it alone, to the bit, however
 * batches, memory and workers are; items that cannot be computed fail alone. */
#include "flow/embedder.h"
#include "golden/kernels.h"
#include "golden/lm_net.h"
#include "golden/random_model.h"
#include "unit/files.h"

#include <stdlib.h>

enum { N = 23, N_LAYERS = 6, MOST = 90, TOO_LONG = 7, POISONED = 11, POISON = 24 };

static char folder[PATH_MAX], weights[PATH_MAX + 32];

static const struct aster_language_config configs[] = {
    {ASTER_LANGUAGE_ESM2, N_LAYERS, 24, 3, 96, 33, 0, 1e-5},
    {ASTER_LANGUAGE_DNABERT, N_LAYERS, 30, 5, 64, 60, 2, 1e-12},
};

/* ---- items ---- */

struct items {
    struct aster_embed_item item[N];
    int32_t *ids[N];
    int64_t rows;
};

static void items_make(struct items *s, const struct aster_language_config *c)
{
    uint64_t x = 12345;
    *s = (struct items){0};
    for (int i = 0; i < N; i++) {
        int64_t n = i == TOO_LONG ? MOST + 1 : i == 0 ? MOST : 3 + (i * 17) % 40;
        s->ids[i] = calloc((size_t)n, sizeof(int32_t));
        for (int64_t t = 0; s->ids[i] && t < n; t++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            s->ids[i][t] = (int32_t)((x >> 33) % (uint64_t)c->n_ids);
            if (s->ids[i][t] == POISON)
                s->ids[i][t] = POISON + 1;
        }
        if (i == POISONED)
            s->ids[i][2] = POISON;
        s->item[i] = (struct aster_embed_item){s->ids[i], n, i % 2, n - 1 - i % 2};
    }
}

static void items_free(struct items *s)
{
    for (int i = 0; i < N; i++)
        free(s->ids[i]);
}

/* ---- what is delivered ---- */

struct got {
    const struct aster_embed_item *all;
    int64_t width, n_layers;
    int32_t status[N];
    float *rows[N], *mean[N];
    _Atomic int64_t calls, items;
};

static float *copy_of(const float *v, int64_t n)
{
    float *out = v ? malloc((size_t)n * sizeof *out + 1) : NULL;
    if (out)
        memcpy(out, v, (size_t)n * sizeof *out);
    return out;
}

static void take(void *arg, int64_t n, const struct aster_embed_item *items,
                 const struct aster_embed_result *results)
{
    struct got *g = arg;
    for (int64_t k = 0; k < n; k++) {
        int64_t i = &items[k] - g->all;
        g->status[i] = results[k].status;
        g->rows[i] = copy_of(results[k].rows, g->n_layers * items[k].n_rows * g->width);
        g->mean[i] = copy_of(results[k].mean, g->n_layers * g->width);
    }
    atomic_fetch_add(&g->calls, 1);
    atomic_fetch_add(&g->items, n);
}

static void got_free(struct got *g)
{
    for (int i = 0; i < N; i++) {
        free(g->rows[i]);
        free(g->mean[i]);
    }
}

static bool same_floats(const float *a, const float *b, int64_t n)
{
    return (!a && !b) || (a && b && memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

static int differences(const struct got *a, const struct got *b)
{
    int wrong = 0;
    for (int i = 0; i < N; i++)
        wrong += a->status[i] != b->status[i] ||
                 !same_floats(a->rows[i], b->rows[i], a->n_layers * a->all[i].n_rows * a->width) ||
                 !same_floats(a->mean[i], b->mean[i], a->n_layers * a->width);
    return wrong;
}

/* ---- one way to run them ---- */

struct way {
    int cpus;
    int64_t budget, memory;
    int per_batch;
    bool rows, mean;
};

static bool run(const struct aster_language_config *c, const struct items *s, const struct way *w,
                enum aster_dtype real, int64_t n_layers, const int64_t *layers, struct got *g,
                bool *resident)
{
    struct aster_runtime *rt = NULL;
    struct aster_embedder *e = NULL;
    struct aster_embed_options o = {.weights = weights,
                                    .real = real,
                                    .budget = w->budget,
                                    .longest = MOST,
                                    .n_layers = n_layers,
                                    .layers = layers,
                                    .rows = w->rows,
                                    .mean = w->mean};
    *g = (struct got){.all = s->item, .width = c->width, .n_layers = n_layers};
    bool good = fine(aster_runtime_new(
        ctx, &(struct aster_runtime_options){.cpus = w->cpus, .memory_limit = w->memory}, &rt));
    good = good && fine(aster_embedder_new(ctx, rt, c, &o, &e));
    int64_t batches = 0;
    for (int i = 0; good && i < N;) {
        int64_t tokens = 0, n = 0;
        while (i + n < N && n < w->per_batch &&
               (n == 0 || tokens + s->item[i + n].n <= aster_embedder_budget(e)))
            tokens += s->item[i + n++].n;
        good = fine(aster_embedder_submit(e, n, s->item + i, take, g));
        i += (int)n;
        batches++;
    }
    good = good && fine(aster_embedder_wait(e)) && atomic_load(&g->calls) == batches &&
           atomic_load(&g->items) == N;
    if (good)
        *resident = aster_embedder_resident(e);
    aster_embedder_free(&e);
    aster_runtime_free(&rt);
    return good;
}

/* ---- the model alone, without tasks ---- */

static int read_block(void *arg, int64_t block, const struct aster_program *p, void *flat)
{
    return aster_pretrained_read(arg, block, p, flat);
}

static const float *frequencies(void *arg, int64_t layer)
{
    return aster_pretrained_frequencies(arg, layer);
}

static void keep_layer(const struct lm_batch *b, const struct aster_embed_item *x, int64_t layer,
                       int64_t i, struct got *g)
{
    int64_t d = g->width;
    const char *from = lm_batch_rows(b, 0);
    for (int64_t j = 0; j < d; j++) {
        double sum = 0;
        for (int64_t t = 0; t < x->n_rows; t++) {
            double v;
            lm_widen(b->net->real, 1,
                     from + ((x->first + t) * d + j) * aster_dtype_size(b->net->real), &v);
            g->rows[i][(layer * x->n_rows + t) * d + j] = (float)v;
            sum += v;
        }
        g->mean[i][layer * d + j] = (float)(sum / (double)x->n_rows);
    }
}

static bool one_alone(struct lm_net *net, const struct aster_embed_item *x, int64_t i,
                      int64_t n_layers, const int64_t *layers, struct got *g)
{
    struct lm_tokens tokens = {(int32_t *)x->ids, x->n};
    struct lm_batch b;
    int64_t zero = 0, blocks = aster_language_n_blocks(&net->c);
    g->rows[i] = calloc((size_t)(n_layers * x->n_rows * g->width) + 1, sizeof(float));
    g->mean[i] = calloc((size_t)(n_layers * g->width), sizeof(float));
    bool good = fine(lm_batch_new(net, &tokens, 1, &zero, false, &b));
    for (int64_t block = 0; good && block < blocks; block++) {
        good = fine(lm_net_load(net, block)) && fine(lm_batch_forward(&b));
        for (int64_t k = 0; good && k < n_layers; k++)
            if (block == (layers[k] < net->c.n_layers ? layers[k] : blocks - 1))
                keep_layer(&b, x, k, i, g);
    }
    lm_batch_free(&b);
    return good;
}

static bool alone(const struct aster_language_config *c, const struct items *s,
                  enum aster_dtype real, int64_t n_layers, const int64_t *layers, struct got *g)
{
    struct aster_pretrained *file = NULL;
    struct lm_net net = {0};
    *g = (struct got){.all = s->item, .width = c->width, .n_layers = n_layers};
    if (!fine(aster_pretrained_open(ctx, weights, c, &file)))
        return false;
    struct lm_source source = {file, read_block, frequencies};
    bool good =
        fine(lm_net_new(ctx, golden_kernels(aster_isa_best()), real, c, &source, false, &net));
    for (int i = 0; good && i < N; i++) {
        g->status[i] = i == TOO_LONG ? ASTER_ELIMIT : i == POISONED ? ASTER_ENUMERIC : 0;
        if (!g->status[i])
            good = one_alone(&net, &s->item[i], i, n_layers, layers, g);
    }
    lm_net_free(&net);
    aster_pretrained_close(&file);
    return good;
}

/* ---- a token whose vector is not finite ---- */

static bool poison(const struct aster_language_config *c)
{
    char *text = NULL, name[] = "word_embeddings.weight\"";
    int64_t n = 0;
    uint64_t header;
    long long begin;
    if (!fine(aster_file_read(ctx, weights, 1 << 28, &text, &n)))
        return false;
    memcpy(&header, text, 8);
    const char *at = strstr(text + 8, name);
    at = at ? strstr(at, "data_offsets") : NULL;
    bool good = at && sscanf(at, "data_offsets\":[%lld", &begin) == 1;
    if (good) {
        uint32_t infinite = 0x7f800000;
        memcpy(text + 8 + header + begin + POISON * c->width * 4 + 4, &infinite, 4);
        good = fine(aster_file_write(ctx, weights, text, n));
    }
    aster_free(&text);
    return good;
}

/* ---- the test of one model ---- */

static const struct way ways[] = {
    {1, 128, 0, 100, true, true},  {2, 128, 0, 100, true, true}, {2, MOST, 0, 100, true, true},
    {2, 4096, 0, 100, true, true}, {2, 300, 0, 1, true, true},
};

static void ways_agree(const struct aster_language_config *c, const struct items *s,
                       enum aster_dtype real, const char *title)
{
    const int64_t layers[] = {0, 2, N_LAYERS};
    struct got want, got;
    bool resident = false;
    if (!tap_ok(alone(c, s, real, 3, layers, &want), "%s: each item alone, without tasks", title))
        return;
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        bool ran = run(c, s, &ways[k], real, 3, layers, &got, &resident);
        tap_ok(ran && resident && differences(&want, &got) == 0,
               "%s: the same bits with %d workers, %d tokens and %d items per batch", title,
               ways[k].cpus, (int)ways[k].budget, ways[k].per_batch);
        got_free(&got);
    }
    want.mean[2][0] += 1e-6f;
    bool ran = run(c, s, &ways[0], real, 3, layers, &got, &resident);
    tap_ok(ran && differences(&want, &got) == 1, "%s: another number is seen", title);
    got_free(&got);
    got_free(&want);
}

/* The memory limit goes down until blocks have to take turns, and further until nothing runs. */
static void little_memory(const struct aster_language_config *c, const struct items *s,
                          const char *title)
{
    const int64_t layers[] = {1, N_LAYERS - 1};
    struct way w = {2, 128, 0, 100, false, true};
    struct got want, got;
    bool resident = true;
    int turning = 0, wrong = 0;
    if (!run(c, s, &w, ASTER_F32, 2, layers, &want, &resident)) {
        tap_ok(false, "%s: with enough memory", title);
        return;
    }
    for (w.memory = 4 << 20; w.memory >= 200000; w.memory -= w.memory / 12) {
        struct aster_runtime *rt = NULL;
        if (!run(c, s, &w, ASTER_F32, 2, layers, &got, &resident)) {
            aster_runtime_free(&rt);
            got_free(&got);
            break;
        }
        turning += !resident;
        for (int i = 0; i < N; i++) /* less memory may mean that long items have no room */
            wrong += got.status[i] != ASTER_ELIMIT &&
                     (got.status[i] != want.status[i] ||
                      !same_floats(got.mean[i], want.mean[i], 2 * c->width));
        got_free(&got);
    }
    tap_ok(turning > 0, "%s: with little memory blocks take turns (%d limits)", title, turning);
    tap_ok(wrong == 0, "%s: which changes no bit", title);
    got_free(&want);
}

static void one_model(const struct aster_language_config *c)
{
    const char *title = c->kind == ASTER_LANGUAGE_ESM2 ? "esm2" : "dnabert-s";
    struct items s;
    items_make(&s, c);
    if (tap_ok(fine(random_model_write(ctx, c, 3, ASTER_F32, folder)) && poison(c),
               "%s: a random model with an infinite number", title)) {
        ways_agree(c, &s, ASTER_F32, title);
        ways_agree(c, &s, ASTER_F64, title);
        if (c->width % 2 == 0)
            ways_agree(c, &s, ASTER_BF16, title);
        little_memory(c, &s, title);
    }
    items_free(&s);
}

static void refused(void)
{
    struct aster_runtime *rt = NULL;
    struct aster_embedder *e = NULL;
    const int64_t layers[] = {N_LAYERS + 1}, first[] = {0};
    struct aster_embed_options o = {
        .weights = weights, .real = ASTER_F32, .longest = 10, .n_layers = 1, .layers = layers};
    if (!fine(aster_runtime_new(ctx, &(struct aster_runtime_options){.cpus = 1}, &rt)))
        return;
    int rc = aster_embedder_new(ctx, rt, &configs[1], &o, &e);
    tap_ok(rc == ASTER_EPARAM && strstr(aster_ctx_message(ctx), "from 0 to 6"),
           "a layer that is not there: %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    o.layers = first;
    rc = aster_embedder_new(ctx, rt, &configs[0], &o, &e);
    tap_ok(rc < 0 && !e, "weights of another model: %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    aster_runtime_free(&rt);
}

int main(void)
{
    test_start();
    snprintf(folder, sizeof folder, "%s", in_dir("model"));
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    for (size_t k = 0; k < sizeof configs / sizeof *configs; k++)
        one_model(&configs[k]);
    refused();
    return test_end();
}
