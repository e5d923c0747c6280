/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of an embedding run through the workers: batches, what they give, what is tried again. */
#include "flow/embed_internal.h"

#include <string.h>

/* Vectors of the parts that are computed beside the one that was read last, at most */
#define OPEN_BYTES (INT64_C(1) << 30)

struct batch {
    struct embed *e;
    struct aster_embed_part *part;
    struct batch *next;
    int64_t n, *unit;
    struct aster_embed_item *item;
    int32_t failed; /* a status of one of its items */
};

static int make_room(struct embed *e, struct aster_embed_part *p)
{
    int64_t values, means, unit_means;
    ASTER_TRY(aster_mul(e->ctx, p->n_rows, p->n_layers * p->width, &values));
    ASTER_TRY(aster_mul(e->ctx, p->n, p->n_layers * p->width, &means));
    ASTER_TRY(aster_mul(e->ctx, p->n_units, p->n_layers * p->width, &unit_means));
    if (e->rows)
        ASTER_TRY(aster_alloc(e->ctx, values, sizeof *p->values, &p->values));
    if (!e->mean)
        return 0;
    ASTER_TRY(aster_alloc(e->ctx, unit_means, sizeof *p->unit_mean, &p->unit_mean));
    return aster_alloc(e->ctx, means, sizeof *p->mean, &p->mean);
}

/* ---- in workers ---- */

static void take_unit(struct aster_embed_part *p, int64_t unit, const struct aster_embed_result *r)
{
    struct aster_embed_unit *u = &p->unit[unit];
    u->status = r->status;
    for (int64_t k = 0; r->status == 0 && k < p->n_layers; k++) {
        int64_t row = k * p->n_rows + p->entry[u->entry].row + u->w.own;
        if (p->values)
            memcpy(p->values + row * p->width, r->rows + k * u->w.n_own * p->width,
                   (size_t)(u->w.n_own * p->width) * sizeof *p->values);
        if (p->mean)
            memcpy(p->unit_mean + (unit * p->n_layers + k) * p->width, r->mean + k * p->width,
                   (size_t)p->width * sizeof *p->mean);
    }
}

static void done(void *arg, int64_t n, const struct aster_embed_item *items,
                 const struct aster_embed_result *results)
{
    struct batch *b = arg;
    struct embed *e = b->e;
    (void)items;
    for (int64_t i = 0; i < n; i++) {
        take_unit(b->part, b->unit[i], &results[i]);
        b->failed = results[i].status ? results[i].status : b->failed;
    }
    pthread_mutex_lock(&e->lock);
    b->part->pending--;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

/* ---- submitting ---- */

static int new_batch(struct embed *e, struct aster_embed_part *p, int64_t n, const int64_t *units,
                     struct batch **out)
{
    struct batch *b = NULL;
    ASTER_TRY(aster_alloc(e->ctx, 1, sizeof *b, &b));
    b->e = e;
    b->part = p;
    b->next = p->batches;
    p->batches = b;
    ASTER_TRY(aster_alloc(e->ctx, n, sizeof *b->unit, &b->unit));
    ASTER_TRY(aster_alloc(e->ctx, n, sizeof *b->item, &b->item));
    for (; b->n < n; b->n++) {
        struct aster_embed_unit *u = &p->unit[units[b->n]];
        u->is_tried = n == 1;
        b->unit[b->n] = units[b->n];
        b->item[b->n] = (struct aster_embed_item){.ids = p->ids + u->ids,
                                                  .n = u->w.n + 2,
                                                  .first = 1 + u->w.own - u->w.begin,
                                                  .n_rows = u->w.n_own};
    }
    *out = b;
    return 0;
}

static int submit(struct embed *e, struct aster_embed_part *p, int64_t n, const int64_t *units)
{
    struct batch *b;
    ASTER_TRY(new_batch(e, p, n, units, &b));
    pthread_mutex_lock(&e->lock);
    p->pending++;
    pthread_mutex_unlock(&e->lock);
    /* a sequence that is longer than a batch fails at once, and sends no others on their way */
    p->n_batches += b->item[0].n <= aster_embedder_budget(e->embedder);
    return aster_embedder_submit(e->embedder, n, b->item, done, b);
}

/* What is left of the memory limit beside the vectors of open parts: one more than there may be
 * before the next is read. */
static int share_memory(struct embed *e, int64_t *left)
{
    int64_t part = aster_embed_largest_part(&e->reader), limit = aster_runtime_memory_limit(e->rt);
    e->open_bytes = aster_max64(part, aster_min64(OPEN_BYTES, limit / 8));
    *left = limit - e->open_bytes - part;
    if (*left > 0)
        return 0;
    return aster_fail(
        e->ctx, ASTER_ELIMIT,
        "vectors of two parts of the run take up to %.1f MB, the memory limit is %.1f "
        "MB; with a smaller shard_size they take less",
        (double)(e->open_bytes + part) / 1e6, (double)limit / 1e6);
}

int embed_make(struct embed *e, int64_t memory)
{
    int64_t longest = e->reader.longest < 0 ? e->reader.max_length
                                            : aster_min64(e->reader.max_length, e->reader.longest);
    struct aster_embed_options o = {.weights = e->language->weights,
                                    .real = e->language->precision,
                                    .budget = aster_run_int(e->run, e->stage, "token_budget"),
                                    .longest = aster_max64(1, longest) + 2,
                                    .memory = memory,
                                    .n_layers = e->n_layers,
                                    .layers = e->layers,
                                    .rows = e->rows,
                                    .mean = e->mean};
    ASTER_TRY(aster_runtime_kinds(e->ctx, e->rt, &e->device));
    ASTER_TRY(aster_embedder_new(e->ctx, e->rt, &e->language->c, &o, &e->embedder));
    aster_log(e->ctx, ASTER_LOG_INFO, "batches of up to %lld tokens, %lld at a time",
              (long long)aster_embedder_budget(e->embedder),
              (long long)aster_embedder_window(e->embedder));
    return 0;
}

static int make_embedder(struct embed *e)
{
    int64_t memory;
    if (e->embedder)
        return 0;
    ASTER_TRY(share_memory(e, &memory));
    return embed_make(e, memory);
}

int embed_submit_part(struct embed *e, struct aster_embed_part *p)
{
    int64_t *tokens = NULL, *order = NULL, *at = NULL, n_batches = 0;
    int rc;
    ASTER_GOTO(make_room(e, p), done);
    ASTER_GOTO(make_embedder(e), done);
    p->device = e->device.s;
    ASTER_GOTO(aster_alloc(e->ctx, p->n_units, sizeof *tokens, &tokens), done);
    ASTER_GOTO(aster_alloc(e->ctx, p->n_units, sizeof *order, &order), done);
    ASTER_GOTO(aster_alloc(e->ctx, p->n_units + 1, sizeof *at, &at), done);
    for (int64_t k = 0; k < p->n_units; k++)
        tokens[k] = p->unit[k].w.n + 2;
    aster_embed_pack(p->n_units, tokens, aster_embedder_budget(e->embedder), order, at, &n_batches);
    for (int64_t k = 0; k < n_batches; k++)
        ASTER_GOTO(submit(e, p, at[k + 1] - at[k], order + at[k]), done);
done:
    aster_free(&tokens);
    aster_free(&order);
    aster_free(&at);
    return rc;
}

/* ---- finishing ---- */

static int wait_for(struct embed *e, const struct aster_embed_part *p, bool flush)
{
    if (flush)
        ASTER_TRY(aster_embedder_flush(e->embedder));
    pthread_mutex_lock(&e->lock);
    while (p->pending > 0)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
    return aster_embedder_failed(e->embedder);
}

/* What a batch could not do may be possible for a sequence alone. */
static int try_again(struct embed *e, struct aster_embed_part *p)
{
    int64_t n = 0;
    for (int64_t k = 0; k < p->n_units; k++) {
        const struct aster_embed_unit *u = &p->unit[k];
        if (u->status == 0 || u->status == ASTER_ELIMIT || u->is_tried)
            continue;
        ASTER_TRY(submit(e, p, 1, &k));
        n++;
    }
    return n ? wait_for(e, p, true) : 0;
}

/* A message about a batch is not the run's: its items were done alone, or are in the ledger. */
static void forget_errors(struct embed *e, const struct aster_embed_part *p)
{
    for (const struct batch *b = p->batches; b; b = b->next)
        if (b->failed && aster_ctx_code(e->ctx) == b->failed)
            aster_ctx_clear(e->ctx);
}

/* Of one unit: a whole sequence, or a window of one. */
static int lacks_memory(struct embed *e, const struct aster_embed_unit *u, char *text, size_t size)
{
    struct aster_embed_need need;
    ASTER_TRY(aster_embedder_need(e->embedder, u->w.n + 2, &need));
    if (need.bytes > need.free_bytes)
        snprintf(text, size,
                 "%lld residues at a time need %.1f MB; %.1f MB of the memory %s are free",
                 (long long)u->w.n, (double)need.bytes / 1e6, (double)need.free_bytes / 1e6,
                 need.is_gpu ? "of a GPU" : "limit");
    else
        snprintf(text, size, "no worker had the memory for %lld residues at a time, %.1f MB",
                 (long long)u->w.n, (double)need.bytes / 1e6);
    return 0;
}

static int fail_unit(struct embed *e, struct aster_embed_entry *x, const struct aster_embed_unit *u)
{
    char text[128];
    switch (u->status) {
    case ASTER_ELIMIT:
    case ASTER_ENOMEM:
    case ASTER_EDEVICE:
        ASTER_TRY(lacks_memory(e, u, text, sizeof text));
        break;
    case ASTER_ENUMERIC:
        snprintf(text, sizeof text, "the result is not finite");
        break;
    default:
        snprintf(text, sizeof text, "the computation failed");
    }
    aster_embed_entry_fail(e->ctx, x, u->status, text);
    return 0;
}

/* The mean of an entry's rows, of those of its windows. */
static void join_means(struct aster_embed_part *p, int64_t i)
{
    const struct aster_embed_entry *x = &p->entry[i];
    for (int64_t k = 0; k < p->n_layers; k++)
        for (int64_t j = 0; j < p->width; j++) {
            double sum = 0;
            for (int64_t u = x->unit; u < x->unit + x->n_units; u++)
                sum += (double)p->unit[u].w.n_own *
                       (double)p->unit_mean[(u * p->n_layers + k) * p->width + j];
            p->mean[(k * p->n + i) * p->width + j] = (float)(sum / (double)x->kept);
        }
}

static int settle(struct embed *e, struct aster_embed_part *p, int64_t *failed)
{
    *failed = 0;
    for (int64_t i = 0; i < p->n; i++) {
        struct aster_embed_entry *x = &p->entry[i];
        for (int64_t u = x->unit; x->status == 0 && u < x->unit + x->n_units; u++)
            if (p->unit[u].status)
                ASTER_TRY(fail_unit(e, x, &p->unit[u]));
        if (x->status == 0 && p->mean)
            join_means(p, i);
        *failed += x->status != 0;
    }
    return 0;
}

static int commit(struct embed *e, struct aster_embed_part *p)
{
    struct aster_str lines = {0};
    int64_t failed;
    ASTER_TRY(settle(e, p, &failed));
    for (int64_t i = 0; i < p->n; i++)
        if (p->entry[i].status)
            aster_ledger_line(&lines, p->entry[i].id, e->id,
                              p->entry[i].reason ? p->entry[i].reason : "");
    int rc = aster_embed_part_commit(e->store, p);
    if (rc == 0)
        rc = aster_ledger_add(e->run, &lines);
    aster_str_free(&lines);
    aster_progress_add(e->run->progress, p->n, failed);
    return rc;
}

void embed_free_part(struct aster_embed_part **p)
{
    struct batch *b = *p ? (*p)->batches : NULL;
    while (b) {
        struct batch *next = b->next;
        aster_free(&b->unit);
        aster_free(&b->item);
        aster_free(&b);
        b = next;
    }
    aster_embed_part_free(p);
}

int embed_finish_first(struct embed *e, bool flush)
{
    struct aster_embed_part *p = e->open;
    ASTER_TRY(wait_for(e, p, flush));
    ASTER_TRY(try_again(e, p));
    forget_errors(e, p);
    ASTER_TRY(commit(e, p));
    e->open = p->next;
    if (!e->open)
        e->last = &e->open;
    embed_free_part(&p);
    return 0;
}

int embed_finish_some(struct embed *e)
{
    for (;;) {
        int64_t batches = 0, bytes = 0, window = aster_embedder_window(e->embedder);
        if (!e->open || !e->open->next)
            return 0;
        for (const struct aster_embed_part *p = e->open; p; p = p->next) {
            batches += p == e->open ? 0 : p->n_batches;
            bytes += aster_embed_part_bytes(p);
        }
        if (batches < window && bytes < e->open_bytes)
            return 0;
        ASTER_TRY(embed_finish_first(e, batches < window));
    }
}
