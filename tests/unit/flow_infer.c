/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine of evaluate and predict: items that fail fail alone, batches and shards change no bit,
 * nothing is done twice. */
#include "flow/infer.h"
#include "unit/files.h"

#include <stdatomic.h>

#define N     50
#define DIM   4
#define MAX_L 40

static const struct aster_run_spec spec = {"test", "test.yaml", "", 0, NULL, 0, NULL};
static struct aster_run_options options = {.runtime = {.cpus = 2, .gpus = "none"}, .quiet = true};
static atomic_int computed; /* samples whose rows were asked for */
static bool whole_batch_fails;

/* Items 3 and 20 .. 23 have no vectors; the others numbers made of key and place. */
static int rows(void *arg, int64_t key, int64_t length, float *out)
{
    atomic_fetch_add(&computed, 1);
    if (key == 3 || (whole_batch_fails && key >= 20 && key < 24))
        return ASTER_EIO;
    for (int64_t i = 0; i < length * DIM; i++)
        out[i] = (float)(aster_uniform(1, (uint64_t)key, (uint64_t)i) * 4 - 2);
    return 0;
}

static const struct aster_encoding enc = {.name = "esm2", .dim = DIM, .rows = rows};

static struct aster_weights *make_weights(void)
{
    struct aster_weights *w = NULL;
    struct aster_program *p = NULL;
    const struct aster_model_loss loss = {.class_weights = {1, 1}};
    if (aster_alloc(ctx, 1, sizeof *w, &w) < 0)
        return NULL;
    aster_model_defaults(ASTER_MODEL_CNN, DIM, &w->model);
    w->model.max_length = MAX_L;
    w->model.n_layers = 2;
    w->model.channels[0] = w->model.channels[1] = 8;
    w->model.kernel_sizes[0] = w->model.kernel_sizes[1] = 3;
    w->class_weights[0] = w->class_weights[1] = 1;
    snprintf(w->encoding, sizeof w->encoding, "esm2");
    int rc = aster_model_program(ctx, &w->model, ASTER_F32, ASTER_USE_EVAL, &loss, &p);
    if (rc == 0)
        rc = aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_PARAM), sizeof(float),
                         &w->params);
    if (rc == 0)
        rc = aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_BUFFER), sizeof *w->buffers,
                         &w->buffers);
    if (rc == 0) {
        aster_program_init_params(p, 5, w->params);
        aster_program_init_buffers(p, w->buffers);
    }
    aster_program_free(&p);
    return fine(rc) ? w : NULL;
}

struct source {
    int64_t at, n;
    int stop_at;
};

static int next(void *arg, struct aster_item *out)
{
    struct source *s = arg;
    char id[32], seq[64];
    if (s->at == s->n)
        return 0;
    if (s->at == s->stop_at)
        aster_run_request_stop();
    int64_t length = s->at == 7 ? MAX_L + 1 : s->at == 8 ? 0 : 1 + (s->at * 7) % MAX_L;
    snprintf(id, sizeof id, "i%lld", (long long)s->at);
    memset(seq, 'A', sizeof seq);
    ASTER_TRY(aster_strdup(ctx, id, &out->id));
    ASTER_TRY(aster_strndup(ctx, seq, (size_t)length, &out->sequence));
    out->length = length;
    out->key = s->at;
    out->hash = (uint64_t)(1000 + s->at);
    s->at++;
    return 1;
}

static int render(void *arg, struct aster_shard *shard)
{
    for (int64_t i = 0; i < shard->n; i++)
        aster_str_printf(&shard->text[ASTER_TEXT_TSV], "%s %d %.9g\n", shard->items[i].id,
                         shard->items[i].status, shard->items[i].confidence);
    return 0;
}

struct done {
    struct aster_run run;
    struct aster_store *store;
    struct aster_infer_result result;
    int rc;
};

static void start(const char *dir, struct done *d)
{
    *d = (struct done){.run = {.ctx = ctx, .spec = &spec, .opt = &options, .lock = -1}};
    options.out = dir;
    options.resume = true;
    aster_iso_time(d->run.started);
    d->rc = aster_rundir_take(&d->run);
    if (d->rc == 0)
        d->rc = aster_store_open(&d->run, "s", &d->store);
}

static void infer(struct done *d, const struct aster_weights *w, int64_t batch, int64_t shard,
                  struct source source)
{
    struct aster_infer_config c = {.run = &d->run,
                                   .stage = "s",
                                   .store = d->store,
                                   .weights = w,
                                   .enc = &enc,
                                   .threshold = 0.3,
                                   .min_consecutive = 1,
                                   .min_length = 1,
                                   .batch_size = batch,
                                   .shard_size = shard,
                                   .max_open = 4 * shard,
                                   .total = source.n,
                                   .keep_prob = true,
                                   .next = next,
                                   .render = render,
                                   .arg = &source};
    atomic_store(&computed, 0);
    if (d->rc == 0)
        d->rc = aster_infer(&c, &d->result);
}

static void finish(struct done *d)
{
    aster_store_close(&d->store);
    aster_run_free_parts(&d->run);
    aster_rundir_leave(&d->run);
    aster_free(&d->run.dir);
}

/* All items of all shards in one list. */
static int64_t collect(struct done *d, struct aster_item out[N])
{
    int64_t n = 0;
    for (int64_t i = 0; i < d->result.shards; i++) {
        struct aster_shard *s = NULL;
        if (!fine(aster_shard_load(ctx, d->store, i, &s)))
            return -1;
        for (int64_t k = 0; k < s->n && n < N; k++) {
            out[n++] = s->items[k];
            s->items[k].id = s->items[k].reason = NULL;
            s->items[k].prob = NULL;
        }
        aster_shard_free(&s);
    }
    return n;
}

static void drop(int64_t n, struct aster_item *items)
{
    for (int64_t i = 0; i < n; i++) {
        aster_free(&items[i].id);
        aster_free(&items[i].reason);
        aster_free(&items[i].prob);
    }
}

static bool has_ledger(const char *dir, int lines)
{
    char path[PATH_MAX], *text = NULL;
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/failed_items.tsv", dir);
    if (aster_file_read(ctx, path, 1 << 20, &text, &n) < 0)
        return false;
    for (const char *s = text; (s = strchr(s, '\n')); s++)
        lines--;
    bool good = lines == -1 && strstr(text, "i3\ts\tits residue vectors cannot be read") &&
                strstr(text, "i7\ts\t41 residues, the model takes 40") &&
                strstr(text, "i8\ts\tempty sequence");
    if (!good)
        tap_note("%s", text);
    aster_free(&text);
    return good;
}

static bool same_results(int64_t n, const struct aster_item *a, const struct aster_item *b)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(a[i].id, b[i].id) || a[i].status != b[i].status || a[i].begin != b[i].begin ||
            a[i].end != b[i].end || a[i].confidence != b[i].confidence ||
            !a[i].prob != !b[i].prob ||
            (a[i].prob && memcmp(a[i].prob, b[i].prob, (size_t)a[i].length * sizeof *a[i].prob)))
            return false;
    return true;
}

static void failures(const struct aster_weights *w)
{
    struct aster_item one[N], four[N];
    struct done a, b;
    bool right = true;
    whole_batch_fails = true;
    start(in_dir("one"), &a);
    infer(&a, w, 1, 8, (struct source){0, N, -1});
    tap_ok(fine(a.rc) && a.result.items == N && a.result.shards == 7 && a.result.skipped == 0,
           "every item one by one: 50 in 7 shards");
    aster_runtime_free(&a.run.rt); /* a process has one */
    start(in_dir("four"), &b);
    infer(&b, w, 4, 20, (struct source){0, N, -1});
    tap_ok(fine(b.rc) && b.result.items == N && b.result.shards == 3,
           "four at a time: 50 in 3 shards");
    int64_t n = collect(&a, one), m = collect(&b, four);
    for (int64_t i = 0; i < n; i++) {
        bool bad = i == 3 || i == 7 || i == 8 || (i >= 20 && i < 24);
        right &= (one[i].status != 0) == bad && (one[i].reason != NULL) == bad &&
                 (one[i].prob != NULL) == !bad;
    }
    tap_ok(n == N && right,
           "items fail alone: one without vectors, too long, empty, and a whole batch of four");
    tap_ok(m == N && same_results(N, one, four), "batches and shards change no bit of any item");
    tap_ok(has_ledger(a.run.dir, 7) && has_ledger(b.run.dir, 7),
           "the ledger has the seven with their reasons");
    drop(n, one);
    drop(m, four);
    finish(&a);
    finish(&b);
}

static void resumed(const struct aster_weights *w)
{
    struct done a;
    start(in_dir("one"), &a);
    infer(&a, w, 4, 8, (struct source){0, N, -1});
    tap_ok(fine(a.rc) && a.result.skipped == N && atomic_load(&computed) == 0,
           "what is committed is not computed again");
    tap_ok(has_ledger(a.run.dir, 7), "the ledger is whole again");
    finish(&a);
    start(in_dir("one"), &a);
    infer(&a, w, 4, 8, (struct source){0, 44, -1});
    tap_ok(fine(a.rc) && a.result.skipped == 40 && atomic_load(&computed) == 4,
           "a shard with fewer items than before is: %d computed", atomic_load(&computed));
    finish(&a);
}

static void stopped(const struct aster_weights *w)
{
    struct done a;
    start(in_dir("stop"), &a);
    infer(&a, w, 4, 8, (struct source){0, N, 30});
    tap_ok(a.rc == ASTER_ESTOP, "a stop request ends it");
    int64_t n = 0;
    for (int64_t i = 0; i < 7; i++)
        n += aster_store_has(a.store, i);
    tap_ok(n == 3, "with the three full shards committed, not the one that was being filled");
    finish(&a);
}

static void no_room(const struct aster_weights *w)
{
    struct done a;
    int64_t failed = 0;
    struct aster_item items[N];
    options.runtime.memory_limit = 4096;
    start(in_dir("room"), &a);
    infer(&a, w, 4, 8, (struct source){0, 6, -1});
    int64_t n = collect(&a, items);
    for (int64_t i = 0; i < n; i++)
        failed += items[i].status != 0 && items[i].reason;
    tap_ok(fine(a.rc) && n == 6 && failed == 6,
           "without memory every item fails, the run goes on: %s", n ? items[0].reason : "none");
    drop(n, items);
    finish(&a);
    options.runtime.memory_limit = 0;
}

int main(void)
{
    test_start();
    aster_log_level(ctx, ASTER_LOG_ERROR);
    struct aster_weights *w = make_weights();
    tap_ok(w != NULL, "a small model");
    if (w) {
        failures(w);
        resumed(w);
        no_room(w);
        stopped(w);
    }
    aster_weights_free(&w);
    return test_end();
}
