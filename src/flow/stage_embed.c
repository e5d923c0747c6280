/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors of a protein language model for every sequence of a FASTA file: read as a stream,
 * computed in parts, written in the order of the input. */
#include "flow/embed_internal.h"
#include "flow/embeddings.h"
#include "io/tokens.h"

#include <stdlib.h>
#include <string.h>

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

int embed_options(struct embed *e)
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
                                     .mean = e->mean,
                                     .over = !strcmp(over, "error")      ? ASTER_OVER_ERROR
                                             : !strcmp(over, "truncate") ? ASTER_OVER_TRUNCATE
                                                                         : ASTER_OVER_WINDOWS,
                                     .unknown = !strcmp(unknown, "unk") ? ASTER_ESM2_UNKNOWN
                                                : !strcmp(unknown, "x") ? ASTER_ESM2_X
                                                                        : -1};
    aster_embed_reader_start(r);
    return 0;
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
        embed_free_part(&p);
        return rc;
    }
    *e->last = p;
    e->last = &p->next;
    ASTER_TRY(aster_embed_make_units(&e->reader, p));
    ASTER_TRY(embed_submit_part(e, p));
    return embed_finish_some(e);
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
        ASTER_TRY(embed_finish_first(e, true));
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

/* In a simulation vectors are not computed: a training that reads them is given what decides its
 * tasks, the records that would have some and their lengths. */
static int name_all(struct embed *e)
{
    struct aster_embeddings **names = &e->run->slots[e->stage].embeddings;
    struct aster_embed_part *p = NULL;
    int rc = aster_embeddings_new(e->ctx, e->id, e->language->c.width, names);
    while (rc == 0) {
        rc = aster_embed_read_part(&e->reader, &p);
        if (rc < 0 || !p)
            break;
        rc = aster_embed_make_units(&e->reader, p);
        for (int64_t i = 0; rc == 0 && i < p->n; i++)
            if (p->entry[i].status == 0)
                rc = aster_embeddings_add(*names, p->entry[i].id, p->entry[i].sequence);
        aster_embed_part_free(&p);
    }
    return rc;
}

static int run_all(struct embed *e)
{
    ASTER_TRY(embed_options(e));
    if (aster_runtime_simulates())
        return name_all(e);
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
        embed_free_part(&p);
    }
    aster_embed_reader_close(&e.reader);
    aster_store_close(&e.store);
    aster_str_free(&e.device);
    aster_free(&e.layers);
    pthread_cond_destroy(&e.changed);
    pthread_mutex_destroy(&e.lock);
    return rc;
}
