/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine of evaluate and predict: one thread reads and submits, workers deliver, one thread
 * commits. */
#include "flow/infer.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct batch {
    struct engine *engine;
    struct aster_shard *shard;
    struct batch *next;
    int64_t n, *place; /* of each sample in the shard */
    struct aster_sample *samples;
    _Atomic bool called;    /* done has been */
    _Atomic int references; /* the submitter's, and the one of done */
};

struct engine {
    const struct aster_infer_config *c;
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_predictor *predictor;
    struct aster_infer_result total;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t n_open;           /* shards that are neither committed nor dropped */
    struct aster_shard *full; /* all items done, to be committed */
    struct batch *again;      /* failed as a whole: to be tried one by one */
    pthread_mutex_t ledger;
    bool closing;
    int rc; /* first failure of the committing thread */
    pthread_t writer;
};

static const char *reason_of(int32_t status)
{
    switch (status) {
    case ASTER_ENUMERIC:
        return "the result is not finite";
    case ASTER_ENOMEM:
        return "out of memory";
    case ASTER_ELIMIT:
        return "needs more memory than the limit";
    case ASTER_EDEVICE:
        return "no worker has room for it";
    case ASTER_EIO:
        return "its residue vectors cannot be read";
    case ASTER_EFORMAT:
        return "its residue vectors do not fit or are not finite";
    default:
        return "the computation failed";
    }
}

static void fail_item(struct aster_ctx *ctx, struct aster_item *x, int32_t status,
                      const char *reason)
{
    x->status = status;
    x->begin = x->end = -1;
    x->confidence = 0;
    aster_free(&x->prob);
    aster_free(&x->reason);
    if (aster_strdup(ctx, reason, &x->reason) < 0)
        x->reason = NULL;
}

static void free_batch(struct batch *b)
{
    aster_free(&b->place);
    aster_free(&b->samples);
    aster_free(&b);
}

static void release(struct batch *b)
{
    if (atomic_fetch_sub(&b->references, 1) == 1)
        free_batch(b);
}

static int new_batch(struct engine *e, struct aster_shard *shard, int64_t cap, struct batch **out)
{
    struct batch *b = NULL;
    ASTER_TRY(aster_alloc(e->ctx, 1, sizeof *b, &b));
    b->engine = e;
    b->shard = shard;
    int rc = aster_alloc(e->ctx, cap, sizeof *b->place, &b->place);
    if (rc == 0)
        rc = aster_alloc(e->ctx, cap, sizeof *b->samples, &b->samples);
    if (rc < 0)
        free_batch(b);
    else
        *out = b;
    return rc;
}

static void add_sample(struct batch *b, int64_t place)
{
    const struct aster_item *x = &b->shard->items[place];
    b->place[b->n] = place;
    b->samples[b->n++] = (struct aster_sample){.sequence = x->sequence,
                                               .length = x->length,
                                               .loop_begin = -1,
                                               .loop_end = -1,
                                               .key = x->key};
}

/* ---- in workers ---- */
static void finish_item(struct engine *e, struct aster_item *x, const float *prob, int32_t status)
{
    struct aster_region r;
    for (int64_t t = 0; status == 0 && t < x->length; t++)
        if (!isfinite(prob[t]))
            status = ASTER_ENUMERIC;
    if (status == 0 && e->c->keep_prob) {
        status = aster_alloc(e->ctx, x->length, sizeof *x->prob, &x->prob);
        if (status == 0)
            memcpy(x->prob, prob, (size_t)x->length * sizeof *prob);
    }
    if (status != 0) {
        fail_item(e->ctx, x, status, reason_of(status));
        return;
    }
    aster_region_find(x->length, prob, e->c->threshold, e->c->min_consecutive, &r);
    bool found = r.begin >= 0 && r.end - r.begin >= e->c->min_length;
    x->begin = found ? r.begin : -1;
    x->end = found ? r.end : -1;
    x->confidence = found ? r.confidence : 0;
}

/* The shard has one batch less to wait for. */
static void batch_is_done(struct engine *e, struct aster_shard *shard)
{
    pthread_mutex_lock(&e->lock);
    if (--shard->pending == 0) {
        shard->next = e->full;
        e->full = shard;
    }
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

static void done(void *arg, int64_t n, const struct aster_sample *samples,
                 const float *const *probs, const int32_t *status, double loss)
{
    struct batch *b = arg;
    struct engine *e = b->engine;
    int64_t bad = 0, failed = 0;
    atomic_store(&b->called, true);
    for (int64_t i = 0; i < n; i++)
        bad += status[i] != 0;
    if (n > 1 && bad == n) {
        pthread_mutex_lock(&e->lock);
        b->next = e->again;
        e->again = b;
        pthread_cond_broadcast(&e->changed);
        pthread_mutex_unlock(&e->lock);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        struct aster_item *x = &b->shard->items[b->place[i]];
        finish_item(e, x, probs[i], status[i]);
        failed += x->status != 0;
    }
    aster_progress_add(e->c->run->progress, n, failed);
    struct aster_shard *shard = b->shard;
    release(b);
    batch_is_done(e, shard);
}

/* ---- the committing thread ---- */
static int add_to_ledger(struct engine *e, const struct aster_str *lines)
{
    pthread_mutex_lock(&e->ledger);
    int rc = aster_ledger_add(e->c->run, lines);
    pthread_mutex_unlock(&e->ledger);
    return rc;
}

static int commit(struct engine *e, struct aster_shard *s)
{
    struct aster_str *failed = &s->text[ASTER_TEXT_FAILED];
    ASTER_TRY(aster_runtime_failed(e->rt));
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].status)
            aster_ledger_line(failed, s->items[i].id, e->c->stage,
                              s->items[i].reason ? s->items[i].reason : "");
    if (e->c->render)
        ASTER_TRY(e->c->render(e->c->arg, s));
    ASTER_TRY(aster_shard_commit(e->ctx, e->c->store, s));
    return add_to_ledger(e, failed);
}

static void *write_shards(void *arg)
{
    struct engine *e = arg;
    pthread_mutex_lock(&e->lock);
    for (;;) {
        while (!e->full && !e->closing)
            pthread_cond_wait(&e->changed, &e->lock);
        struct aster_shard *s = e->full;
        if (!s)
            break;
        e->full = s->next;
        bool skip = e->rc < 0 || s->dropped;
        pthread_mutex_unlock(&e->lock);
        int rc = skip ? 0 : commit(e, s);
        aster_shard_free(&s);
        pthread_mutex_lock(&e->lock);
        if (rc < 0 && e->rc == 0)
            e->rc = rc;
        e->n_open--;
        pthread_cond_broadcast(&e->changed);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* The run ends early: the batch and its shard are given up. */
static void drop_batch(struct engine *e, struct batch *b)
{
    struct aster_shard *shard = b->shard;
    free_batch(b);
    pthread_mutex_lock(&e->lock);
    shard->dropped = true;
    pthread_mutex_unlock(&e->lock);
    batch_is_done(e, shard);
}

/* ---- submitting ---- */
/* The predictor calls done for whatever it took, also when it then fails: the statuses say what
 * came of the items. */
static int submit(struct engine *e, struct batch *b)
{
    atomic_store(&b->called, false);
    atomic_store(&b->references, 2);
    int rc = aster_predictor_submit(e->predictor, b->n, b->samples, done, b);
    if (rc == 0) {
        release(b);
        return 0;
    }
    int waited = aster_predictor_wait(e->predictor);
    bool called = atomic_load(&b->called);
    if (called)
        release(b);
    else
        drop_batch(e, b);
    ASTER_TRY(aster_runtime_failed(e->rt));
    if (waited < 0 || !called || (rc != ASTER_ELIMIT && rc != ASTER_EDEVICE))
        return rc;
    if (aster_ctx_code(e->ctx) == rc)
        aster_ctx_clear(e->ctx);
    return 0;
}

/* A batch of one item of b; on failure the shard is given up. */
static int single(struct engine *e, struct batch *b, int64_t i, struct batch **out)
{
    int rc = new_batch(e, b->shard, 1, out);
    if (rc == 0) {
        add_sample(*out, b->place[i]);
    } else {
        pthread_mutex_lock(&e->lock);
        b->shard->pending--;
        pthread_mutex_unlock(&e->lock);
    }
    return rc;
}

/* Tries the items of batches that failed as a whole one by one. */
static int submit_again(struct engine *e)
{
    for (;;) {
        pthread_mutex_lock(&e->lock);
        struct batch *b = e->again;
        if (b)
            e->again = b->next;
        pthread_mutex_unlock(&e->lock);
        if (!b)
            return 0;
        int rc = 0;
        int64_t i = 0;
        for (; i < b->n - 1 && rc == 0; i++) {
            struct batch *one = NULL;
            pthread_mutex_lock(&e->lock);
            b->shard->pending++;
            pthread_mutex_unlock(&e->lock);
            rc = single(e, b, i, &one);
            if (rc == 0)
                rc = submit(e, one);
        }
        if (rc < 0) {
            drop_batch(e, b);
            return rc;
        }
        b->place[0] = b->place[i];
        b->samples[0] = b->samples[i];
        b->n = 1;
        ASTER_TRY(submit(e, b));
    }
}

/* Blocks while too many items are read and not committed. */
static int wait_for_room(struct engine *e)
{
    int64_t most = aster_max64(2, e->c->max_open / aster_max64(1, e->c->shard_size));
    for (;;) {
        ASTER_TRY(submit_again(e));
        pthread_mutex_lock(&e->lock);
        while (e->rc == 0 && e->n_open >= most && !e->again)
            pthread_cond_wait(&e->changed, &e->lock);
        bool room = e->n_open < most && !e->again;
        int rc = e->rc;
        pthread_mutex_unlock(&e->lock);
        if (rc < 0 || room)
            return rc;
    }
}

struct comparison {
    struct aster_ctx *ctx;
    const struct aster_shard *shard;
    struct aster_shard *old;
};

static int compare(void *arg, const char *path, bool *same)
{
    struct comparison *c = arg;
    const struct aster_shard *s = c->shard;
    ASTER_TRY(aster_shard_read(c->ctx, path, s->index, &c->old));
    *same = c->old->n == s->n && c->old->first == s->first;
    for (int64_t i = 0; *same && i < s->n; i++)
        *same = c->old->items[i].hash == s->items[i].hash &&
                c->old->items[i].length == s->items[i].length &&
                !strcmp(c->old->items[i].id, s->items[i].id);
    return 0;
}

/* Whether an earlier part of the run committed this very shard. */
static int committed_before(struct engine *e, const struct aster_shard *s, bool *same,
                            int64_t *failed)
{
    struct comparison c = {e->ctx, s, NULL};
    *failed = 0;
    int rc = aster_store_compare(e->c->store, s->index, compare, &c, same);
    for (int64_t i = 0; *same && i < s->n; i++)
        *failed += c.old->items[i].status != 0;
    if (*same)
        rc = add_to_ledger(e, &c.old->text[ASTER_TEXT_FAILED]);
    aster_shard_free(&c.old);
    return rc;
}

/* Submits the items of a full shard in batches; items that cannot be computed fail here. */
static int submit_shard(struct engine *e, struct aster_shard *s)
{
    struct batch *b = NULL;
    int64_t failed = 0, n = s->n;
    int rc = 0;
    s->pending = 1; /* ours, until all batches are submitted */
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        if (s->items[i].status) {
            failed++;
            continue;
        }
        if (!b)
            rc = new_batch(e, s, e->c->batch_size, &b);
        if (rc == 0)
            add_sample(b, i);
        if (rc == 0 && b->n == e->c->batch_size) {
            pthread_mutex_lock(&e->lock);
            s->pending++;
            pthread_mutex_unlock(&e->lock);
            rc = submit(e, b);
            b = NULL;
        }
    }
    if (rc == 0 && b) {
        pthread_mutex_lock(&e->lock);
        s->pending++;
        pthread_mutex_unlock(&e->lock);
        rc = submit(e, b);
    }
    aster_progress_add(e->c->run->progress, failed, failed);
    pthread_mutex_lock(&e->lock);
    s->dropped = s->dropped || rc < 0;
    pthread_mutex_unlock(&e->lock);
    batch_is_done(e, s);
    return rc;
}

static int take_shard(struct engine *e, struct aster_shard *s)
{
    bool same;
    int64_t failed;
    int rc = committed_before(e, s, &same, &failed);
    if (rc == 0 && !same)
        rc = wait_for_room(e);
    if (rc < 0) {
        aster_shard_free(&s);
        return rc;
    }
    e->total.shards++;
    e->total.items += s->n;
    if (same) {
        e->total.skipped += s->n;
        aster_progress_skip(e->c->run->progress, s->n, failed);
        aster_shard_free(&s);
        return 0;
    }
    pthread_mutex_lock(&e->lock);
    e->n_open++;
    pthread_mutex_unlock(&e->lock);
    return submit_shard(e, s);
}

/* Items that no model can take. */
static int check_item(struct engine *e, struct aster_item *x)
{
    const char *why;
    char reason[128];
    if (x->status)
        return 0;
    if (x->length == 0) {
        fail_item(e->ctx, x, ASTER_EFORMAT, "empty sequence");
    } else if (x->length > e->c->weights->model.max_length) {
        snprintf(reason, sizeof reason, "%lld residues, the model takes %lld", (long long)x->length,
                 (long long)e->c->weights->model.max_length);
        fail_item(e->ctx, x, ASTER_ELIMIT, reason);
        aster_free(&x->sequence);
    } else if (e->c->enc->rows && x->key < 0) {
        x->key = aster_embeddings_find(e->c->embeddings, x->id, x->sequence, &why);
        if (x->key < 0)
            fail_item(e->ctx, x, ASTER_EPARAM, why);
    }
    return 0;
}

static int read_all(struct engine *e)
{
    struct aster_shard *s = NULL;
    int64_t first = 0, index = 0;
    int rc = 0;
    for (;;) {
        struct aster_item x = {.key = -1, .begin = -1, .end = -1};
        if (aster_run_stopping())
            rc = ASTER_ESTOP;
        else
            rc = e->c->next(e->c->arg, &x);
        if (rc < 0)
            break;
        bool end = rc == 0;
        rc = 0;
        if (!end && !s)
            ASTER_GOTO(aster_shard_new(e->ctx, index++, first, e->c->shard_size, &s), fail);
        if (!end) {
            s->items[s->n++] = x;
            first++;
            ASTER_GOTO(check_item(e, &s->items[s->n - 1]), fail);
        }
        if (s && (end || s->n == e->c->shard_size)) {
            struct aster_shard *full = s;
            s = NULL;
            ASTER_GOTO(take_shard(e, full), fail);
        }
        if (end)
            break;
    }
fail:
    aster_shard_free(&s);
    return rc;
}

/* Everything in flight arrives, what failed as a whole is tried again, the last shards are
 * committed. */
static int settle(struct engine *e, int rc)
{
    for (;;) {
        int waited = e->predictor ? aster_predictor_wait(e->predictor) : 0;
        if (rc == 0)
            rc = waited;
        pthread_mutex_lock(&e->lock);
        bool again = e->again != NULL;
        pthread_mutex_unlock(&e->lock);
        if (!again || waited < 0 || (rc < 0 && rc != ASTER_ESTOP))
            break;
        int more = submit_again(e);
        if (more < 0) {
            rc = more;
            break;
        }
    }
    for (struct batch *b; (b = e->again);) {
        e->again = b->next;
        drop_batch(e, b);
    }
    pthread_mutex_lock(&e->lock);
    e->closing = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->writer, NULL);
    return e->rc < 0 && (rc == 0 || rc == ASTER_ESTOP) ? e->rc : rc;
}

int aster_infer(const struct aster_infer_config *c, struct aster_infer_result *out)
{
    struct engine e = {.c = c, .ctx = c->run->ctx};
    struct aster_predict_options o = {.batch_size = c->batch_size};
    struct aster_runtime *rt;
    memset(out, 0, sizeof *out);
    ASTER_TRY(aster_run_runtime(c->run, &rt));
    ASTER_TRY(aster_ledger_reset(c->run, c->stage));
    e.rt = rt;
    ASTER_TRY(aster_predictor_new(e.ctx, rt, c->weights, c->enc, &o, &e.predictor));
    pthread_mutex_init(&e.lock, NULL);
    pthread_mutex_init(&e.ledger, NULL);
    pthread_cond_init(&e.changed, NULL);
    aster_progress_stage(c->run->progress, c->stage, c->total);
    int bad = pthread_create(&e.writer, NULL, write_shards, &e);
    int rc =
        bad ? aster_fail(e.ctx, ASTER_EIO, "cannot start the committing thread: %s", strerror(bad))
            : 0;
    if (rc == 0)
        rc = settle(&e, read_all(&e));
    aster_predictor_free(&e.predictor);
    pthread_cond_destroy(&e.changed);
    pthread_mutex_destroy(&e.ledger);
    pthread_mutex_destroy(&e.lock);
    *out = e.total;
    return rc;
}
