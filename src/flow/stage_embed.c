/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors of a protein language model for every sequence of a FASTA file: read as a stream,
 * computed in parts, written in the order of the input. */
#include "flow/embed_language.h"
#include "flow/embed_read.h"
#include "flow/embeddings.h"
#include "io/tokens.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Vectors of the parts that are computed at the same time, of which there are two at least */
#define OPEN_BYTES (INT64_C(1) << 30)

struct batch {
    struct embed *e;
    struct aster_embed_part *part;
    struct batch *next;
    int64_t n, *unit;
    struct aster_embed_item *item;
    int32_t failed; /* a status of one of its items */
};

struct embed {
    struct aster_run *run;
    struct aster_ctx *ctx;
    int stage;
    const char *id;
    const struct aster_language_file *language;
    int64_t n_layers, *layers;
    bool rows, mean;
    struct aster_embed_reader reader;
    struct aster_store *store;
    struct aster_runtime *rt;
    struct aster_embedder *embedder; /* made for the first part that is not there yet */
    struct aster_str device;
    int64_t n_skipped;
    struct aster_embed_part *open, **last; /* submitted, in order */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* ---- options ---- */

static int compare_numbers(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Ascending, each once; from -1 down they are counted from the end. */
static int find_layers(struct aster_run *run, int stage, const struct aster_language_config *c,
                       int64_t **out, int64_t *n_out)
{
    const struct aster_opt_value *v = aster_run_value(run, stage, "layers");
    int64_t n = 0, *list = NULL;
    if (v->n < 1)
        return aster_fail(run->ctx, ASTER_EPARAM, "layers: none is named; -1 is the last one");
    ASTER_TRY(aster_alloc(run->ctx, v->n, sizeof *list, &list));
    for (int64_t k = 0; k < v->n; k++) {
        int64_t layer = (int64_t)v->numbers[k];
        list[k] = layer < 0 ? c->n_layers + 1 + layer : layer;
        if (list[k] >= 0 && list[k] <= c->n_layers)
            continue;
        aster_free(&list);
        return aster_fail(
            run->ctx, ASTER_EPARAM,
            "layers: %lld is none of the model's: 0 (behind the embedding) to %lld, or "
            "-1 (the last) to %lld",
            (long long)layer, (long long)c->n_layers, (long long)-c->n_layers - 1);
    }
    qsort(list, (size_t)v->n, sizeof *list, compare_numbers);
    for (int64_t k = 0; k < v->n; k++)
        if (k == 0 || list[k] != list[k - 1])
            list[n++] = list[k];
    *out = list;
    *n_out = n;
    return 0;
}

/* A later stage that reads the vectors of this one; NULL */
static const char *reader_of(const struct aster_run *run, int stage)
{
    const struct aster_run_spec *spec = run->spec;
    for (int i = stage + 1; i < spec->n_stages; i++)
        for (int k = 0; spec->stages[i].kind->opts[k].key; k++) {
            const struct aster_opt_value *v = &spec->stages[i].values[k];
            if (v->is_set && spec->stages[i].kind->opts[k].type == ASTER_OPT_STAGE && v->text &&
                !strcmp(v->text, spec->stages[stage].id))
                return spec->stages[i].id;
        }
    return NULL;
}

int aster_stage_embed_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_language_file *f = aster_run_slot(run, stage, "language", 0)->language;
    int64_t n, *layers = NULL, overlap = aster_run_int(run, stage, "overlap"),
               max_length = aster_run_int(run, stage, "max_length");
    if (f->c.kind != ASTER_LANGUAGE_ESM2)
        return aster_fail(ctx, ASTER_EPARAM, "%s: is a model of DNA; embed takes one of proteins",
                          f->weights);
    if (overlap >= max_length && !strcmp(aster_run_text(run, stage, "over_length"), "windows"))
        return aster_fail(ctx, ASTER_EPARAM,
                          "overlap = %lld, expected fewer residues than max_length = %lld",
                          (long long)overlap, (long long)max_length);
    const char *reader = reader_of(run, stage);
    if (reader && (!strcmp(aster_run_text(run, stage, "output"), "mean") ||
                   !strcmp(aster_run_text(run, stage, "format"), "npz")))
        return aster_fail(ctx, ASTER_EPARAM,
                          "stage %s reads the vectors of stage %s: output with residues and format "
                          "with h5 are expected",
                          reader, run->spec->stages[stage].id);
    ASTER_TRY(find_layers(run, stage, &f->c, &layers, &n));
    aster_free(&layers);
    return 0;
}

static int read_options(struct embed *e)
{
    struct aster_embed_reader *r = &e->reader;
    const char *over = aster_run_text(e->run, e->stage, "over_length"),
               *unknown = aster_run_text(e->run, e->stage, "unknown"),
               *output = aster_run_text(e->run, e->stage, "output");
    e->rows = strcmp(output, "mean") != 0;
    e->mean = strcmp(output, "residues") != 0;
    ASTER_TRY(find_layers(e->run, e->stage, &e->language->c, &e->layers, &e->n_layers));
    *r = (struct aster_embed_reader){.run = e->run,
                                     .stage = e->stage,
                                     .max_length = aster_run_int(e->run, e->stage, "max_length"),
                                     .overlap = aster_run_int(e->run, e->stage, "overlap"),
                                     .shard_size = aster_run_int(e->run, e->stage, "shard_size"),
                                     .n_layers = e->n_layers,
                                     .width = e->language->c.width,
                                     .rows = e->rows,
                                     .over = !strcmp(over, "error")      ? ASTER_OVER_ERROR
                                             : !strcmp(over, "truncate") ? ASTER_OVER_TRUNCATE
                                                                         : ASTER_OVER_WINDOWS,
                                     .unknown = !strcmp(unknown, "unk") ? ASTER_ESM2_UNKNOWN
                                                : !strcmp(unknown, "x") ? ASTER_ESM2_X
                                                                        : -1};
    aster_embed_reader_start(r);
    return 0;
}

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

static int describe_devices(struct embed *e)
{
    struct aster_worker_info info;
    for (int w = 0; w < aster_runtime_n_workers(e->rt); w++) {
        aster_runtime_sample(e->rt, w, &info);
        info.name[strcspn(info.name, " 0123456789")] = '\0';
        if (!strstr(aster_str_get(&e->device), info.name))
            aster_str_printf(&e->device, "%s%s", e->device.len ? " + " : "", info.name);
    }
    aster_str_printf(&e->device, " (%s)", aster_isa_name(aster_runtime_isa(e->rt)));
    return aster_str_ok(e->ctx, &e->device);
}

static int make_embedder(struct embed *e)
{
    int64_t longest = e->reader.longest < 0 ? e->reader.max_length
                                            : aster_min64(e->reader.max_length, e->reader.longest);
    struct aster_embed_options o = {.weights = e->language->weights,
                                    .real = e->language->precision,
                                    .budget = aster_run_int(e->run, e->stage, "token_budget"),
                                    .longest = aster_max64(1, longest) + 2,
                                    .n_layers = e->n_layers,
                                    .layers = e->layers,
                                    .rows = e->rows,
                                    .mean = e->mean};
    if (e->embedder)
        return 0;
    ASTER_TRY(describe_devices(e));
    ASTER_TRY(aster_embedder_new(e->ctx, e->rt, &e->language->c, &o, &e->embedder));
    aster_log(e->ctx, ASTER_LOG_INFO, "batches of up to %lld tokens, %lld at a time",
              (long long)aster_embedder_budget(e->embedder),
              (long long)aster_embedder_window(e->embedder));
    return 0;
}

static int submit_part(struct embed *e, struct aster_embed_part *p)
{
    int64_t *tokens = NULL, *order = NULL, *at = NULL, n_batches = 0;
    int rc;
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

static void fail_unit(struct embed *e, struct aster_embed_entry *x,
                      const struct aster_embed_unit *u)
{
    char text[128];
    switch (u->status) {
    case ASTER_ELIMIT:
    case ASTER_ENOMEM:
    case ASTER_EDEVICE:
        snprintf(text, sizeof text, "%lld residues at a time need more memory than there is",
                 (long long)u->w.n);
        break;
    case ASTER_ENUMERIC:
        snprintf(text, sizeof text, "the result is not finite");
        break;
    default:
        snprintf(text, sizeof text, "the computation failed");
    }
    aster_embed_entry_fail(e->ctx, x, u->status, text);
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

static int64_t settle(struct embed *e, struct aster_embed_part *p)
{
    int64_t failed = 0;
    for (int64_t i = 0; i < p->n; i++) {
        struct aster_embed_entry *x = &p->entry[i];
        for (int64_t u = x->unit; x->status == 0 && u < x->unit + x->n_units; u++)
            if (p->unit[u].status)
                fail_unit(e, x, &p->unit[u]);
        if (x->status == 0 && p->mean)
            join_means(p, i);
        failed += x->status != 0;
    }
    return failed;
}

static int commit(struct embed *e, struct aster_embed_part *p)
{
    struct aster_str lines = {0};
    int64_t failed = settle(e, p);
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

static void free_part(struct aster_embed_part **p)
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

/* The part that was submitted first. flush: its batches may still be kept back. */
static int finish_first(struct embed *e, bool flush)
{
    struct aster_embed_part *p = e->open;
    ASTER_TRY(wait_for(e, p, flush));
    ASTER_TRY(try_again(e, p));
    forget_errors(e, p);
    ASTER_TRY(commit(e, p));
    e->open = p->next;
    if (!e->open)
        e->last = &e->open;
    free_part(&p);
    return 0;
}

/* Parts go on being computed while the next ones are read: as many as keep the workers busy. */
static int finish_some(struct embed *e)
{
    for (;;) {
        int64_t batches = 0, bytes = 0, window = aster_embedder_window(e->embedder);
        if (!e->open || !e->open->next)
            return 0;
        for (const struct aster_embed_part *p = e->open; p; p = p->next) {
            batches += p == e->open ? 0 : p->n_batches;
            bytes += (p->values ? 4 : 0) * p->n_rows * p->n_layers * p->width;
        }
        if (batches < window && bytes < OPEN_BYTES)
            return 0;
        ASTER_TRY(finish_first(e, batches < window));
    }
}

/* ---- the run ---- */

static int take_part(struct embed *e, struct aster_embed_part *p)
{
    struct aster_str ledger = {0};
    bool is_done = false;
    int64_t failed = 0;
    int rc = aster_embed_part_done(e->store, p, e->id, &is_done, &failed, &ledger);
    if (rc == 0 && is_done) {
        rc = aster_ledger_add(e->run, &ledger);
        e->n_skipped += p->n;
        aster_progress_skip(e->run->progress, p->n, failed);
    }
    aster_str_free(&ledger);
    if (rc < 0 || is_done) {
        free_part(&p);
        return rc;
    }
    *e->last = p;
    e->last = &p->next;
    ASTER_TRY(aster_embed_make_units(&e->reader, p));
    ASTER_TRY(make_room(e, p));
    ASTER_TRY(submit_part(e, p));
    return finish_some(e);
}

static int embed_all(struct embed *e)
{
    int rc;
    for (;;) {
        struct aster_embed_part *p = NULL;
        ASTER_TRY(aster_embed_read_part(&e->reader, &p));
        if (!p)
            break;
        ASTER_TRY(take_part(e, p));
        if (aster_run_stopping())
            break;
    }
    rc = aster_run_stopping() ? ASTER_ESTOP : 0;
    while (e->open)
        ASTER_TRY(finish_first(e, true));
    return rc;
}

static int report(struct embed *e, const struct aster_embed_output *o)
{
    struct aster_run *run = e->run;
    ASTER_TRY(aster_run_fact(run, "sequences with vectors", "%lld of %lld, %lld residues",
                             (long long)(o->n - o->failed), (long long)o->n,
                             (long long)o->residues));
    if (o->longer)
        ASTER_TRY(aster_run_fact(run, "longer than max_length", "%lld %s", (long long)o->longer,
                                 e->reader.over == ASTER_OVER_ERROR ? "that have no vectors"
                                 : e->reader.over == ASTER_OVER_TRUNCATE
                                     ? "of which the begin has vectors"
                                     : "that were computed in windows"));
    if (o->odd)
        ASTER_TRY(aster_run_fact(run, "letters without a token", "%lld", (long long)o->odd));
    if (o->failed)
        aster_log(run->ctx, ASTER_LOG_WARN, "%lld %s no vectors; failed_items.tsv says why",
                  (long long)o->failed, o->failed == 1 ? "sequence has" : "sequences have");
    run->items += o->n;
    run->failed += o->failed;
    if (o->failed == o->n)
        return aster_fail(run->ctx, ASTER_ELIMIT,
                          "%s: none of its %lld sequences has vectors; failed_items.tsv says why",
                          aster_embed_source_name(&e->reader, 0), (long long)o->n);
    return 0;
}

static int write_files(struct embed *e)
{
    struct aster_run *run = e->run;
    const char *format = aster_run_text(run, e->stage, "format");
    struct aster_embed_output o = {
        .run = run,
        .stage = e->id,
        .store = e->store,
        .n_parts = e->reader.n_parts,
        .n_layers = e->n_layers,
        .width = e->language->c.width,
        .layers = e->layers,
        .rows = e->rows,
        .mean = e->mean,
        .h5 = strcmp(format, "npz") != 0,
        .npz = strcmp(format, "h5") != 0,
        .model = "esm2",
        .weights = e->language->weights,
        .weights_sha256 = e->language->sha256,
        .precision = aster_dtype_name(e->language->precision),
        .over = aster_run_text(run, e->stage, "over_length"),
        .unknown = aster_run_text(run, e->stage, "unknown"),
        .max_length = e->reader.max_length,
        .overlap = e->reader.over == ASTER_OVER_WINDOWS ? e->reader.overlap : 0};
    char *path = NULL;
    ASTER_TRY(aster_embed_write(&o));
    ASTER_TRY(report(e, &o));
    if (!reader_of(run, e->stage))
        return 0;
    ASTER_TRY(aster_run_path(run, "embeddings.h5", &path));
    int rc = aster_embeddings_open(e->ctx, path, "esm2", o.width, INT64_MAX,
                                   &run->slots[e->stage].embeddings);
    aster_free(&path);
    return rc;
}

static int run_all(struct embed *e)
{
    ASTER_TRY(read_options(e));
    if (e->reader.n_total > 0 && strcmp(aster_run_text(e->run, e->stage, "format"), "h5"))
        ASTER_TRY(aster_embed_npz_fits(e->ctx, e->reader.n_total,
                                       aster_embed_kept(&e->reader, e->reader.longest),
                                       e->language->c.width, e->n_layers, e->rows));
    ASTER_TRY(aster_run_runtime(e->run, &e->rt));
    ASTER_TRY(aster_ledger_reset(e->run, e->id));
    ASTER_TRY(aster_store_open(e->run, e->id, &e->store));
    aster_progress_stage(e->run->progress, e->id, e->reader.n_total);
    ASTER_TRY(embed_all(e));
    if (e->reader.n_read == 0)
        return aster_fail(e->ctx, ASTER_EFORMAT, "%s: holds no record",
                          aster_embed_source_name(&e->reader, 0));
    if (e->n_skipped)
        aster_log(e->ctx, ASTER_LOG_INFO, "%lld of %lld sequences were done before",
                  (long long)e->n_skipped, (long long)e->reader.n_read);
    return write_files(e);
}

int aster_stage_embed(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct embed e = {.run = run,
                      .ctx = ctx,
                      .stage = stage,
                      .id = run->spec->stages[stage].id,
                      .language = aster_run_slot(run, stage, "language", 0)->language};
    e.last = &e.open;
    pthread_mutex_init(&e.lock, NULL);
    pthread_cond_init(&e.changed, NULL);
    int rc = run_all(&e);
    aster_embedder_free(&e.embedder); /* waits for what is computed, which knows the parts */
    while (e.open) {
        struct aster_embed_part *p = e.open;
        e.open = p->next;
        free_part(&p);
    }
    aster_embed_reader_close(&e.reader);
    aster_store_close(&e.store);
    aster_str_free(&e.device);
    aster_free(&e.layers);
    pthread_cond_destroy(&e.changed);
    pthread_mutex_destroy(&e.lock);
    return rc;
}
