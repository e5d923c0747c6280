/* SPDX-License-Identifier: BSD-3-Clause */
/* Time of a language model over sequences of given lengths, through the runtime as a pipeline uses
 * it. Usage: bench-language MODEL_FOLDER f32|bf16|f64 CPUS LENGTHS_FILE [BUDGET [MEANS_FILE]]:
 * lengths are residues of proteins, or tokens of DNA between the two special ones. Prints one JSON
 * line; means go to a file as text, to be compared with another program's. */
#include "bench/peak.h"
#include "flow/embedder.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096, FIRST_ID = 4 };

struct work {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_language_config c;
    struct aster_embedder *e;
    struct aster_embed_item *item;
    int32_t *ids;
    int64_t n, tokens, budget;
    float *mean; /* [n, width] */
    _Atomic int64_t failed;
};

/* Ids that peers draw in the same way: of sequence s, place k. */
static int32_t id_of(const struct work *w, int64_t s, int64_t k)
{
    int64_t kinds = w->c.kind == ASTER_LANGUAGE_ESM2 ? 20 : w->c.n_ids - FIRST_ID - 1;
    return (int32_t)(FIRST_ID + 1 + (s * 7919 + k * 104729 + k * k * 31) % (kinds - 1));
}

static int read_lengths(struct work *w, const char *path)
{
    char *text = NULL, *end;
    int64_t n = 0, cap = 0, cap_ids = 0, at = 0;
    bool dna = w->c.kind == ASTER_LANGUAGE_DNABERT;
    ASTER_TRY(aster_file_read(w->ctx, path, 1 << 24, &text, &n));
    for (char *from = text;; from = end) {
        long long length = strtoll(from, &end, 10);
        if (end == from)
            break;
        if (length < 1 || length > MOST - 2)
            continue;
        ASTER_TRY(aster_grow(w->ctx, w->n + 1, sizeof *w->item, &cap, &w->item));
        ASTER_TRY(aster_grow(w->ctx, w->tokens + length + 2, sizeof *w->ids, &cap_ids, &w->ids));
        int32_t *ids = w->ids + w->tokens;
        ids[0] = dna;
        for (int64_t k = 0; k < length; k++)
            ids[k + 1] = id_of(w, w->n, k);
        ids[length + 1] = 2;
        w->item[w->n++] =
            (struct aster_embed_item){NULL, length + 2, dna ? 0 : 1, dna ? length + 2 : length};
        w->tokens += length + 2;
    }
    for (int64_t i = 0; i < w->n; at += w->item[i++].n)
        w->item[i].ids = w->ids + at;
    aster_free(&text);
    return w->n
               ? 0
               : aster_fail(w->ctx, ASTER_EFORMAT, "%s: lengths, one per line, are expected", path);
}

static void take(void *arg, int64_t n, const struct aster_embed_item *items,
                 const struct aster_embed_result *results)
{
    struct work *w = arg;
    for (int64_t i = 0; i < n; i++)
        if (results[i].status)
            atomic_fetch_add(&w->failed, 1);
        else if (w->mean) /* batches hold copies: which item it is, its ids say */
            for (int64_t k = 0; k < w->n; k++)
                if (w->item[k].ids == items[i].ids)
                    memcpy(w->mean + k * w->c.width, results[i].mean,
                           (size_t)w->c.width * sizeof(float));
}

/* All sequences, longest first, in batches. */
static int embed_all(struct work *w, const struct aster_embed_item *sorted)
{
    for (int64_t i = 0, n; i < w->n; i += n) {
        int64_t tokens = 0;
        for (n = 0; i + n < w->n && (n == 0 || tokens + sorted[i + n].n <= w->budget); n++)
            tokens += sorted[i + n].n;
        ASTER_TRY(aster_embedder_submit(w->e, n, sorted + i, take, w));
    }
    return aster_embedder_wait(w->e);
}

static int longer_first(const void *a, const void *b)
{
    const struct aster_embed_item *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n ? 1 : -1) : x->ids < y->ids ? -1 : x->ids > y->ids;
}

/* Multiply-adds counted twice; norms, softmax and the like left out. */
static double flops(const struct work *w)
{
    double d = (double)w->c.width, inner = (double)w->c.inner, sum = 0;
    double token = 8 * d * d + (w->c.kind == ASTER_LANGUAGE_ESM2 ? 4 : 6) * d * inner;
    for (int64_t i = 0; i < w->n; i++)
        sum += (double)w->item[i].n * (token + 4 * (double)w->item[i].n * d);
    return sum * (double)w->c.n_layers;
}

static int write_means(struct work *w, const char *path)
{
    struct aster_str s = {0};
    for (int64_t k = 0; k < w->n * w->c.width; k++)
        aster_str_printf(&s, "%.9g\n", (double)w->mean[k]);
    int rc = aster_str_ok(w->ctx, &s);
    if (rc == 0)
        rc = aster_file_write(w->ctx, path, aster_str_get(&s), (int64_t)s.len);
    aster_str_free(&s);
    return rc;
}

static int measure(struct work *w, const char *precision, const char *means)
{
    struct aster_embed_item *sorted = NULL;
    ASTER_TRY(aster_alloc(w->ctx, w->n, sizeof *sorted, &sorted));
    memcpy(sorted, w->item, (size_t)w->n * sizeof *sorted);
    qsort(sorted, (size_t)w->n, sizeof *sorted, longer_first);
    if (means)
        ASTER_TRY(aster_alloc(w->ctx, w->n * w->c.width, sizeof *w->mean, &w->mean));
    ASTER_TRY(aster_embedder_submit(w->e, 1, sorted + w->n / 2, take, w)); /* reads the weights */
    ASTER_TRY(aster_embedder_wait(w->e));
    double peak = aster_bench_peak_f32(), wall = -aster_wall(), cpu = -aster_cpu_process();
    int rc = embed_all(w, sorted);
    wall += aster_wall();
    cpu += aster_cpu_process();
    aster_free(&sorted);
    ASTER_TRY(rc);
    if (atomic_load(&w->failed))
        return aster_fail(w->ctx, ASTER_ELIMIT, "%lld sequences have no result",
                          (long long)atomic_load(&w->failed));
    double residues = (double)(w->tokens - 2 * w->n);
    printf("{\"program\": \"asterism\", \"precision\": \"%s\", \"workers\": %d, \"budget\": %lld, "
           "\"sequences\": %lld, \"tokens\": %lld, \"wall_s\": %.4f, \"cpu_s\": %.4f, "
           "\"residues_per_cpu_s\": %.1f, \"residues_per_s\": %.1f, \"gflops_per_cpu_s\": %.2f, "
           "\"peak_gflops\": %.1f, \"percent_of_peak\": %.1f, \"isa\": \"%s\"}\n",
           precision, aster_runtime_n_workers(w->rt), (long long)w->budget, (long long)w->n,
           (long long)w->tokens, wall, cpu, residues / cpu, residues / wall, flops(w) / cpu / 1e9,
           peak / 1e9, 100 * flops(w) / cpu / peak, aster_isa_name(aster_runtime_isa(w->rt)));
    return means ? write_means(w, means) : 0;
}

static int run(struct work *w, int argc, char **argv)
{
    char path[4096];
    enum aster_dtype t = !strcmp(argv[2], "f64")    ? ASTER_F64
                         : !strcmp(argv[2], "bf16") ? ASTER_BF16
                                                    : ASTER_F32;
    snprintf(path, sizeof path, "%s/config.json", argv[1]);
    ASTER_TRY(aster_pretrained_config_read(w->ctx, path, &w->c));
    ASTER_TRY(read_lengths(w, argv[4]));
    struct aster_runtime_options ro = {
        .cpus = (int)strtol(argv[3], NULL, 10), .gpus = "none", .isa = "auto"};
    ASTER_TRY(aster_runtime_new(w->ctx, &ro, &w->rt));
    snprintf(path, sizeof path, "%s/model.safetensors", argv[1]);
    int64_t last = w->c.n_layers, longest = 0;
    for (int64_t i = 0; i < w->n; i++)
        longest = aster_max64(longest, w->item[i].n);
    struct aster_embed_options o = {.weights = path,
                                    .real = t,
                                    .budget = argc > 5 ? strtoll(argv[5], NULL, 10) : 0,
                                    .longest = longest,
                                    .n_layers = 1,
                                    .layers = &last,
                                    .mean = true};
    ASTER_TRY(aster_embedder_new(w->ctx, w->rt, &w->c, &o, &w->e));
    w->budget = aster_embedder_budget(w->e);
    return measure(w, argv[2], argc > 6 ? argv[6] : NULL);
}

int main(int argc, char **argv)
{
    struct work w = {0};
    if (argc < 5) {
        fprintf(stderr, "usage: bench-language MODEL_FOLDER f32|bf16|f64 CPUS LENGTHS_FILE "
                        "[BUDGET [MEANS_FILE]]\n");
        return 1;
    }
    if (aster_ctx_new(&w.ctx) < 0)
        return 1;
    aster_log_level(w.ctx, ASTER_LOG_WARN);
    int rc = run(&w, argc, argv);
    if (rc < 0)
        fprintf(stderr, "bench-language: %s\n", aster_ctx_message(w.ctx));
    aster_embedder_free(&w.e);
    aster_runtime_free(&w.rt);
    aster_free(&w.item);
    aster_free(&w.ids);
    aster_free(&w.mean);
    aster_ctx_free(&w.ctx);
    return rc < 0;
}
