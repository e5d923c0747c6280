/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of parts through two language models, joined by frame, and through the classifier. */
#include "flow/embedder.h"
#include "flow/vnp.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

struct group { /* a batch of one model, in flight or to be tried again one by one */
    struct vnp_part *part;
    int model;
    int64_t n, *which; /* texts of the part */
    struct aster_embed_item *item;
    struct group *next;
};

struct vnp_work { /* of a part between begin and end */
    struct vnp_scorer *s;
    int32_t *ids[VNP_N_MODELS], *status[VNP_N_MODELS]; /* status: of each text */
    struct aster_embed_item *item[VNP_N_MODELS];
    int64_t *tokens, *order, *at;
    struct group *groups[VNP_N_MODELS];
    int64_t n_groups[VNP_N_MODELS];
    int64_t pending; /* groups, then rows of the classifier; under the scorer's lock */
    struct group *again;
    float *x,
        *scores; /* [n_texts, width], rows with both vectors moved to the front; their scores */
    int64_t *row, n_rows; /* of each text among those, -1 */
};

struct vnp_scorer {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct vnp_models m;
    struct aster_embedder *embedder[VNP_N_MODELS];
    struct vnp_judge *judge;
    struct aster_bpe_room *room;
    int64_t width[VNP_N_MODELS + 1]; /* of each, then of both */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* ---- making one ---- */

static int check_widths(const struct vnp_scorer *s)
{
    int64_t wanted = s->m.classifier->config.n_inputs;
    if (s->width[VNP_N_MODELS] == wanted)
        return 0;
    return aster_fail(s->ctx, ASTER_EPARAM,
                      "%s: takes %lld values, the models give %lld + %lld (DNABERT-S %s, ESM-2 %s)",
                      s->m.classifier->path, (long long)wanted, (long long)s->width[VNP_DNABERT],
                      (long long)s->width[VNP_ESM2], s->m.weights[VNP_DNABERT],
                      s->m.weights[VNP_ESM2]);
}

/* Tokens that a chunk's frame can have at most. */
static int64_t longest(const struct vnp_scorer *s, int model)
{
    int64_t n = s->m.chunk_length;
    return model == VNP_ESM2 ? aster_min64(n / 3, ASTER_ESM2_MOST_RESIDUES) + 2 : n + 2;
}

static int open_models(struct vnp_scorer *s)
{
    for (int m = 0; m < VNP_N_MODELS; m++) {
        s->width[m] = s->m.config[m]->width;
        s->width[VNP_N_MODELS] += s->width[m];
    }
    ASTER_TRY(check_widths(s));
    ASTER_TRY(aster_bpe_room_new(s->ctx, &s->room));
    ASTER_TRY(vnp_judge_new(s->ctx, s->rt, s->m.classifier, s->m.rows, &s->judge));
    const struct aster_cl_env *env = aster_runtime_env(s->rt);
    for (int m = 0; m < VNP_N_MODELS; m++) {
        int64_t left = env->memory_limit - atomic_load(&env->memory_used);
        const struct aster_embed_options o = {.weights = s->m.weights[m],
                                              .real = s->m.real[m],
                                              .budget = s->m.budget[m],
                                              .longest = longest(s, m),
                                              .memory = left / (VNP_N_MODELS - m),
                                              .n_layers = 1,
                                              .layers = &s->m.config[m]->n_layers,
                                              .mean = true};
        ASTER_TRY(aster_embedder_new(s->ctx, s->rt, s->m.config[m], &o, &s->embedder[m]));
    }
    return 0;
}

int vnp_scorer_new(struct aster_ctx *ctx, struct aster_runtime *rt, const struct vnp_models *m,
                   struct vnp_scorer **out)
{
    struct vnp_scorer *s = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    s->ctx = ctx;
    s->rt = rt;
    s->m = *m;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    int rc = open_models(s);
    if (rc < 0)
        vnp_scorer_free(&s);
    *out = s;
    return rc;
}

void vnp_scorer_free(struct vnp_scorer **sp)
{
    struct vnp_scorer *s = *sp;
    if (!s)
        return;
    aster_runtime_wait(s->rt);
    for (int m = 0; m < VNP_N_MODELS; m++)
        aster_embedder_free(&s->embedder[m]);
    vnp_judge_free(&s->judge);
    aster_bpe_room_free(&s->room);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    aster_free(sp);
}

void vnp_scorer_settle(struct vnp_scorer *s)
{
    for (int m = 0; m < VNP_N_MODELS; m++)
        if (s->embedder[m] && aster_embedder_wait(s->embedder[m]) < 0)
            aster_log(s->ctx, ASTER_LOG_DEBUG, "%s: the last batches failed", vnp_stage_name(m));
    aster_runtime_wait(s->rt);
}

/* ---- memory of a part ---- */

void vnp_work_free(struct vnp_work **wp)
{
    struct vnp_work *w = *wp;
    if (!w)
        return;
    for (int m = 0; m < VNP_N_MODELS; m++) {
        for (int64_t k = 0; k < w->n_groups[m]; k++) {
            aster_free(&w->groups[m][k].item);
            aster_free(&w->groups[m][k].which);
        }
        aster_free(&w->groups[m]);
        aster_free(&w->ids[m]);
        aster_free(&w->status[m]);
        aster_free(&w->item[m]);
    }
    aster_free(&w->tokens);
    aster_free(&w->order);
    aster_free(&w->at);
    aster_free(&w->x);
    aster_free(&w->scores);
    aster_free(&w->row);
    aster_free(wp);
}

static int work_new(struct vnp_scorer *s, struct vnp_part *p)
{
    int64_t n = p->n_texts, letters = (int64_t)p->texts.len;
    struct vnp_work *w = NULL;
    ASTER_TRY(aster_alloc(s->ctx, 1, sizeof *w, &w));
    p->work = w;
    w->s = s;
    for (int m = 0; m < VNP_N_MODELS; m++) {
        ASTER_TRY(aster_alloc(s->ctx, letters + 2 * n, sizeof *w->ids[m], &w->ids[m]));
        ASTER_TRY(aster_alloc(s->ctx, n, sizeof *w->status[m], &w->status[m]));
        ASTER_TRY(aster_alloc(s->ctx, n, sizeof *w->item[m], &w->item[m]));
    }
    ASTER_TRY(aster_alloc(s->ctx, n, sizeof *w->tokens, &w->tokens));
    ASTER_TRY(aster_alloc(s->ctx, n, sizeof *w->order, &w->order));
    ASTER_TRY(aster_alloc(s->ctx, n + 1, sizeof *w->at, &w->at));
    ASTER_TRY(aster_alloc(s->ctx, n, sizeof *w->row, &w->row));
    ASTER_TRY(aster_alloc(s->ctx, 2 * n, sizeof *w->scores, &w->scores));
    int64_t values;
    ASTER_TRY(aster_mul(s->ctx, n, s->width[VNP_N_MODELS], &values));
    return aster_alloc(s->ctx, values, sizeof *w->x, &w->x);
}

/* ---- tokens ---- */

static int tokens_of(struct vnp_scorer *s, struct vnp_part *p, int model)
{
    struct vnp_work *w = p->work;
    int32_t *ids = w->ids[model];
    for (int64_t k = 0; k < p->n_texts; k++) {
        const struct vnp_text *t = &p->text[k];
        const char *dna = aster_str_get(&p->texts) + t->at;
        struct aster_pooled pooled;
        if (model == VNP_ESM2) {
            pooled = aster_pooled_esm2(t->n_protein);
            aster_esm2_encode(dna + t->n_dna, t->n_protein - pooled.n_cut, ASTER_ESM2_UNKNOWN, ids,
                              NULL);
        } else {
            int64_t n = 0;
            ASTER_TRY(aster_bpe_encode(s->m.bpe, s->room, dna, t->n_dna, ids, &n));
            pooled = aster_pooled_dnabert(n);
        }
        w->item[model][k] = (struct aster_embed_item){
            .ids = ids, .n = pooled.n_tokens, .first = pooled.first, .n_rows = pooled.n};
        ids += pooled.n_tokens;
    }
    return 0;
}

/* ---- vectors, taken in workers ---- */

static void group_is_done(struct vnp_work *w)
{
    pthread_mutex_lock(&w->s->lock);
    w->pending--;
    pthread_cond_broadcast(&w->s->changed);
    pthread_mutex_unlock(&w->s->lock);
}

static void take_vectors(void *arg, int64_t n, const struct aster_embed_item *items,
                         const struct aster_embed_result *results)
{
    struct group *g = arg;
    struct vnp_work *w = g->part->work;
    struct vnp_scorer *s = w->s;
    int64_t bad = 0, before = g->model == VNP_DNABERT ? 0 : s->width[VNP_DNABERT];
    (void)items;
    for (int64_t k = 0; k < n; k++)
        bad += results[k].status != 0;
    if (n > 1 && bad == n) {
        pthread_mutex_lock(&s->lock);
        g->next = w->again;
        w->again = g;
        pthread_mutex_unlock(&s->lock);
    } else {
        for (int64_t k = 0; k < n; k++) {
            int64_t text = g->which[k];
            w->status[g->model][text] = results[k].status;
            if (results[k].status == 0)
                memcpy(w->x + text * s->width[VNP_N_MODELS] + before, results[k].mean,
                       (size_t)s->width[g->model] * sizeof *w->x);
        }
    }
    group_is_done(w);
}

static int submit_group(struct vnp_scorer *s, struct group *g)
{
    struct vnp_work *w = g->part->work;
    pthread_mutex_lock(&s->lock);
    w->pending++;
    pthread_mutex_unlock(&s->lock);
    return aster_embedder_submit(s->embedder[g->model], g->n, g->item, take_vectors, g);
}

static int fill_group(struct vnp_part *p, int model, int64_t n, const int64_t *which,
                      struct group *g)
{
    *g = (struct group){.part = p, .model = model, .n = n};
    ASTER_TRY(aster_alloc(p->ctx, n, sizeof *g->which, &g->which));
    ASTER_TRY(aster_alloc(p->ctx, n, sizeof *g->item, &g->item));
    memcpy(g->which, which, (size_t)n * sizeof *which);
    for (int64_t k = 0; k < n; k++)
        g->item[k] = p->work->item[model][which[k]];
    return 0;
}

static int begin_model(struct vnp_scorer *s, struct vnp_part *p, int model)
{
    struct vnp_work *w = p->work;
    int64_t n_batches = 0;
    ASTER_TRY(tokens_of(s, p, model));
    for (int64_t k = 0; k < p->n_texts; k++)
        w->tokens[k] = w->item[model][k].n;
    aster_embed_pack(p->n_texts, w->tokens, aster_embedder_budget(s->embedder[model]), w->order,
                     w->at, &n_batches);
    ASTER_TRY(aster_alloc(s->ctx, n_batches, sizeof **w->groups, &w->groups[model]));
    for (int64_t k = 0; k < n_batches; k++) {
        w->n_groups[model] = k + 1;
        ASTER_TRY(fill_group(p, model, w->at[k + 1] - w->at[k], w->order + w->at[k],
                             &w->groups[model][k]));
        ASTER_TRY(submit_group(s, &w->groups[model][k]));
    }
    return 0;
}

int vnp_scorer_begin(struct vnp_scorer *s, struct vnp_part *p)
{
    ASTER_TRY(work_new(s, p));
    for (int m = 0; m < VNP_N_MODELS; m++)
        ASTER_TRY(begin_model(s, p, m));
    return 0;
}

/* ---- waiting, and once more one by one ---- */

static int64_t pending(struct vnp_work *w)
{
    pthread_mutex_lock(&w->s->lock);
    int64_t n = w->pending;
    pthread_mutex_unlock(&w->s->lock);
    return n;
}

static int wait_for_all(struct vnp_scorer *s, struct vnp_work *w)
{
    if (pending(w))
        for (int m = 0; m < VNP_N_MODELS; m++)
            ASTER_TRY(aster_embedder_flush(s->embedder[m]));
    pthread_mutex_lock(&s->lock);
    while (w->pending)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    for (int m = 0; m < VNP_N_MODELS; m++)
        ASTER_TRY(aster_embedder_failed(s->embedder[m]));
    return 0;
}

/* A group that failed as a whole, item by item, each in the group's own memory. */
static int try_again(struct vnp_scorer *s, struct group *g)
{
    struct vnp_work *w = g->part->work;
    struct group *one = NULL;
    int rc = aster_alloc(s->ctx, g->n, sizeof *one, &one);
    for (int64_t k = 0; rc == 0 && k < g->n; k++) {
        one[k] = (struct group){
            .part = g->part, .model = g->model, .n = 1, .which = g->which + k, .item = g->item + k};
        rc = submit_group(s, &one[k]);
    }
    if (rc == 0)
        rc = wait_for_all(s, w);
    else
        vnp_scorer_settle(s); /* nothing refers to one any more */
    aster_free(&one);
    return rc;
}

static int gather(struct vnp_scorer *s, struct vnp_part *p)
{
    struct vnp_work *w = p->work;
    ASTER_TRY(wait_for_all(s, w));
    for (struct group *g; (g = w->again);) {
        w->again = g->next;
        ASTER_TRY(try_again(s, g));
    }
    return 0;
}

/* ---- the classifier ---- */

static void rows_are_done(void *arg)
{
    group_is_done(arg);
}

int vnp_scorer_join(struct vnp_scorer *s, struct vnp_part *p)
{
    struct vnp_work *w = p->work;
    int64_t width = s->width[VNP_N_MODELS];
    ASTER_TRY(gather(s, p));
    for (int64_t k = 0; k < p->n_texts; k++) {
        bool both = w->status[VNP_DNABERT][k] == 0 && w->status[VNP_ESM2][k] == 0;
        w->row[k] = both ? w->n_rows : -1;
        if (both && w->n_rows++ != k)
            memcpy(w->x + w->row[k] * width, w->x + k * width, (size_t)width * sizeof *w->x);
    }
    pthread_mutex_lock(&s->lock);
    w->pending = (w->n_rows + s->m.rows - 1) / s->m.rows;
    pthread_mutex_unlock(&s->lock);
    return vnp_judge_submit(s->judge, w->n_rows, w->x, w->scores, rows_are_done, w);
}

static void judge_frame(const struct vnp_work *w, struct vnp_frame *f)
{
    int64_t row = w->row[f->same];
    f->other = f->virus = 0;
    f->stage = f->status = 0;
    for (int m = VNP_N_MODELS - 1; m >= 0; m--)
        if (w->status[m][f->same]) {
            f->stage = m;
            f->status = w->status[m][f->same];
        }
    if (f->status)
        return;
    float other = w->scores[2 * row], virus = w->scores[2 * row + 1];
    if (isfinite(other) && isfinite(virus)) {
        f->other = other;
        f->virus = virus;
    } else {
        f->stage = VNP_CLASSIFIER;
        f->status = ASTER_ENUMERIC;
    }
}

int vnp_scorer_end(struct vnp_scorer *s, struct vnp_part *p)
{
    struct vnp_work *w = p->work;
    pthread_mutex_lock(&s->lock);
    while (w->pending)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    ASTER_TRY(aster_runtime_failed(s->rt));
    for (int64_t k = 0; k < p->n_frames; k++)
        judge_frame(w, &p->frame[k]);
    vnp_work_free(&p->work);
    return 0;
}
