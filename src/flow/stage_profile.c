/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast a language model is with batches of how many tokens, and which fit the memory. */
#include "flow/embed_language.h"
#include "flow/embedder.h"
#include "io/tokens.h"

#include "config.h"

#include <string.h>

enum { PEAK_PERCENT = 80 };

struct point {
    int64_t tokens;
    double per_s, gigabytes;
};

struct profile {
    struct aster_run *run;
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    int stage;
    const struct aster_language_file *language;
    int64_t n, longest, cap_item, cap_ids, n_ids;
    struct aster_embed_item *item, *sorted;
    int32_t *ids;
    int64_t *tokens, *order, *at;
    struct aster_bpe *bpe;
    struct aster_bpe_room *room;
    struct point *point;
    int64_t n_points, cap_point;
    _Atomic int64_t failed;
};

/* ---- sequences: of a file, or drawn ---- */

static int add_sequence(struct profile *p, const char *text, int64_t n)
{
    int64_t most = n + 2, got = n + 2;
    ASTER_TRY(aster_grow(p->ctx, p->n + 1, sizeof *p->item, &p->cap_item, &p->item));
    ASTER_TRY(aster_grow(p->ctx, p->n_ids + most, sizeof *p->ids, &p->cap_ids, &p->ids));
    int32_t *ids = p->ids + p->n_ids;
    if (p->bpe)
        ASTER_TRY(aster_bpe_encode(p->bpe, p->room, text, n, ids, &got));
    else
        aster_esm2_encode(text, n, ASTER_ESM2_UNKNOWN, ids, NULL);
    p->item[p->n++] = (struct aster_embed_item){.n = got, .n_rows = got};
    p->n_ids += got;
    p->longest = aster_max64(p->longest, got);
    return 0;
}

static int draw_sequences(struct profile *p)
{
    const char *letters = p->bpe ? "ACGT" : "ACDEFGHIKLMNPQRSTVWY";
    int64_t n = aster_run_int(p->run, p->stage, "sequences"),
            length = aster_run_int(p->run, p->stage, "length"), kinds = (int64_t)strlen(letters);
    char *text = NULL;
    if (length == 0)
        length = p->bpe ? 300 : 200;
    ASTER_TRY(aster_alloc(p->ctx, length, 1, &text));
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        for (int64_t k = 0; k < length; k++)
            text[k] =
                letters[(int64_t)(aster_uniform(7, (uint64_t)i, (uint64_t)k) * (double)kinds)];
        rc = add_sequence(p, text, length);
    }
    aster_free(&text);
    return rc;
}

static int read_sequences(struct profile *p, const char *path)
{
    struct aster_fasta *f = NULL;
    struct aster_fasta_record r;
    int rc;
    int64_t most = aster_run_int(p->run, p->stage, "sequences");
    ASTER_TRY(aster_fasta_open(p->ctx, path, &f));
    while ((rc = aster_fasta_next(f, &r)) == 1 && p->n < most)
        if (r.length)
            ASTER_GOTO(add_sequence(p, r.seq, r.length), done);
    if (rc >= 0)
        rc = p->n ? 0 : aster_fail(p->ctx, ASTER_EFORMAT, "%s: has no sequence", path);
done:
    aster_fasta_close(&f);
    return rc;
}

static int make_items(struct profile *p)
{
    const char *file = aster_run_text(p->run, p->stage, "test_file");
    if (p->language->c.kind == ASTER_LANGUAGE_DNABERT) {
        ASTER_TRY(aster_bpe_open(p->ctx, p->language->tokenizer, &p->bpe));
        ASTER_TRY(aster_bpe_room_new(p->ctx, &p->room));
    }
    ASTER_TRY(*file ? read_sequences(p, aster_run_input(p->run, file)->path) : draw_sequences(p));
    ASTER_TRY(aster_alloc(p->ctx, p->n, sizeof *p->sorted, &p->sorted));
    ASTER_TRY(aster_alloc(p->ctx, p->n, sizeof *p->tokens, &p->tokens));
    ASTER_TRY(aster_alloc(p->ctx, p->n, sizeof *p->order, &p->order));
    ASTER_TRY(aster_alloc(p->ctx, p->n + 1, sizeof *p->at, &p->at));
    for (int64_t i = 0, at = 0; i < p->n; at += p->item[i++].n) {
        p->item[i].ids = p->ids + at;
        p->tokens[i] = p->item[i].n;
    }
    return 0;
}

/* ---- one budget ---- */

static void count(void *arg, int64_t n, const struct aster_embed_item *items,
                  const struct aster_embed_result *results)
{
    struct profile *p = arg;
    (void)items;
    for (int64_t i = 0; i < n; i++)
        if (results[i].status)
            atomic_fetch_add(&p->failed, 1);
}

static int embed_all(struct profile *p, struct aster_embedder *e, int64_t budget, int64_t most)
{
    int64_t n_batches;
    aster_embed_pack(p->n, p->tokens, budget, p->order, p->at, &n_batches);
    for (int64_t i = 0; i < p->n; i++)
        p->sorted[i] = p->item[p->order[i]];
    for (int64_t k = 0; k < n_batches && k < most; k++)
        ASTER_TRY(
            aster_embedder_submit(e, p->at[k + 1] - p->at[k], p->sorted + p->at[k], count, p));
    return aster_embedder_wait(e);
}

/* 1: measured; 0: there is no memory for such batches */
static int measure(struct profile *p, int64_t budget)
{
    const struct aster_embed_options o = {.weights = p->language->weights,
                                          .real = p->language->precision,
                                          .budget = budget,
                                          .longest = p->longest,
                                          .n_layers = 1,
                                          .layers = &p->language->c.n_layers,
                                          .mean = true};
    struct aster_embedder *e = NULL;
    double start;
    int rc = aster_embedder_new(p->ctx, p->rt, &p->language->c, &o, &e);
    if (rc == ASTER_ELIMIT) {
        aster_ctx_clear(p->ctx);
        return 0;
    }
    ASTER_TRY(rc);
    rc = aster_embedder_budget(e) == budget;
    if (rc == 0)
        goto done;
    ASTER_GOTO(embed_all(p, e, budget, 1), done); /* reads the weights */
    start = aster_wall();
    ASTER_GOTO(embed_all(p, e, budget, INT64_MAX), done);
    double seconds = aster_wall() - start;
    if (atomic_load(&p->failed))
        ASTER_GOTO(aster_fail(p->ctx, ASTER_ENUMERIC,
                              "%s: %lld sequences have no finite result; is this a model?",
                              p->language->weights, (long long)atomic_load(&p->failed)),
                   done);
    ASTER_GOTO(aster_grow(p->ctx, p->n_points + 1, sizeof *p->point, &p->cap_point, &p->point),
               done);
    p->point[p->n_points++] =
        (struct point){budget, (double)p->n / seconds,
                       (double)atomic_load(&aster_runtime_env(p->rt)->memory_used) / 1e9};
    rc = 1;
done:
    aster_embedder_free(&e);
    return rc;
}

/* ---- what came of it ---- */

static void curve(const struct profile *p, struct aster_str *s, const char *name, bool memory)
{
    aster_str_printf(s, "  \"%s\": [", name);
    for (int64_t k = 0; k < p->n_points; k++)
        aster_str_printf(s, "%s[%lld, %.6g]", k ? ", " : "", (long long)p->point[k].tokens,
                         memory ? p->point[k].gigabytes : p->point[k].per_s);
    aster_str_add(s, "]");
}

static int report(struct profile *p, int64_t step)
{
    const struct point *best = p->point, *last = &p->point[p->n_points - 1];
    struct aster_str s = {0}, model = {0};
    for (const struct point *k = p->point; k <= last; k++)
        if (k->per_s > best->per_s)
            best = k;
    int64_t advised =
        aster_max64(p->point[0].tokens, last->tokens * PEAK_PERCENT / 100 / step * step);
    aster_language_file_text(p->language, &model);
    aster_str_printf(&s,
                     "{\n  \"optimal_batch_size\": %lld,\n  \"max_batch_size\": %lld,\n"
                     "  \"fastest_batch_size\": %lld,\n",
                     (long long)advised, (long long)last->tokens, (long long)best->tokens);
    curve(p, &s, "throughput_curve", false);
    aster_str_add(&s, ",\n");
    curve(p, &s, "memory_curve", true);
    aster_str_printf(&s, ",\n  \"bf16_enabled\": %s,\n  \"device\": ",
                     p->language->precision == ASTER_BF16 ? "true" : "false");
    aster_json_quote(&s, aster_str_get(&p->run->devices));
    aster_str_add(&s, ",\n  \"model\": ");
    aster_json_quote(&s, aster_str_get(&model));
    aster_str_printf(&s, ",\n  \"sequences\": %lld,\n  \"tokens\": %lld\n}\n", (long long)p->n,
                     (long long)p->n_ids);
    int rc = aster_str_ok(p->ctx, &model);
    if (rc == 0)
        rc = aster_run_write(p->run, "profile.json", &s);
    aster_str_free(&s);
    aster_str_free(&model);
    ASTER_TRY(rc);
    ASTER_TRY(aster_run_fact(p->run, "fastest", "batches of %lld tokens, %.4g sequences/s",
                             (long long)best->tokens, best->per_s));
    return aster_run_fact(p->run, "advised", "batches of %lld tokens: %d %% of the largest tried",
                          (long long)advised, PEAK_PERCENT);
}

static int sweep(struct profile *p)
{
    int64_t first = aster_run_int(p->run, p->stage, "min_batch"),
            most = aster_run_int(p->run, p->stage, "max_batch"),
            step = aster_run_int(p->run, p->stage, "step");
    ASTER_TRY(aster_run_runtime(p->run, &p->rt));
    ASTER_TRY(make_items(p));
    aster_progress_stage(p->run->progress, "profile", (most - first) / step + 1);
    for (int64_t budget = first; budget <= most; budget += step) {
        if (aster_run_stopping())
            return ASTER_ESTOP;
        if (budget < p->longest) {
            aster_progress_add(p->run->progress, 1, 0);
            continue;
        }
        int rc = measure(p, budget);
        ASTER_TRY(rc);
        if (rc == 0 && p->n_points == 0)
            return aster_fail(p->ctx, ASTER_ELIMIT,
                              "there is no memory for batches of %lld tokens; choose a smaller "
                              "min_batch, or raise the memory limit",
                              (long long)budget);
        if (rc == 0)
            break;
        const struct point *k = &p->point[p->n_points - 1];
        aster_log(p->ctx, ASTER_LOG_INFO, "%lld tokens: %.4g sequences/s, %.3g GB",
                  (long long)k->tokens, k->per_s, k->gigabytes);
        aster_progress_add(p->run->progress, 1, 0);
        p->run->items++;
    }
    if (p->n_points == 0)
        return aster_fail(p->ctx, ASTER_ELIMIT,
                          "max_batch is %lld, the longest sequence has %lld tokens",
                          (long long)most, (long long)p->longest);
    return report(p, step);
}

int aster_stage_profile_language(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct profile p = {.run = run,
                        .ctx = ctx,
                        .stage = stage,
                        .language = aster_run_slot(run, stage, "language", 0)->language};
    int rc = sweep(&p);
    aster_bpe_room_free(&p.room);
    aster_bpe_close(&p.bpe);
    aster_free(&p.item);
    aster_free(&p.sorted);
    aster_free(&p.ids);
    aster_free(&p.tokens);
    aster_free(&p.order);
    aster_free(&p.at);
    aster_free(&p.point);
    return rc;
}

int aster_stage_profile_language_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    int64_t first = aster_run_int(run, stage, "min_batch"),
            most = aster_run_int(run, stage, "max_batch");
    if (first <= most)
        return 0;
    return aster_fail(ctx, ASTER_EPARAM, "min_batch is %lld, max_batch %lld: the other way round",
                      (long long)first, (long long)most);
}
