/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages of the virus pipeline: DNA, a classifier, and calls for every chunk and record. */
#include "flow/embed_language.h"
#include "flow/vnp.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_FLYING = 3, REPEATS_MEMORY = 1 << 22 };

/* ---- what is judged, and the classifier ---- */

int aster_stage_read_dna(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_opt_value *v = aster_run_value(run, stage, "files");
    struct aster_dna_source *s = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    run->slots[stage].dna = s;
    s->any_letter = aster_run_bool(run, stage, "any_letter");
    ASTER_TRY(aster_alloc(ctx, v->n, sizeof *s->path, &s->path));
    for (; s->n < v->n; s->n++)
        ASTER_TRY(aster_strdup(ctx, v->items[s->n], &s->path[s->n]));
    return 0;
}

int aster_stage_read_dna_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    const struct aster_opt_value *v = aster_run_value(run, stage, "files");
    struct aster_dna *d = NULL;
    int rc = aster_dna_open(ctx, v->n, v->items, true, &d);
    aster_dna_close(&d);
    return rc;
}

void aster_dna_source_free(struct aster_dna_source **sp)
{
    struct aster_dna_source *s = *sp;
    if (!s)
        return;
    for (int64_t k = 0; k < s->n; k++)
        aster_free(&s->path[k]);
    aster_free(&s->path);
    aster_free(sp);
}

static enum aster_dtype real_of(const char *precision)
{
    return strcmp(precision, "f64") ? ASTER_F32 : ASTER_F64;
}

int aster_stage_load_classifier_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_classifier_file *f = NULL;
    int64_t type = 0, wanted = aster_run_int(run, stage, "expected_length");
    const char *text = aster_run_text(run, stage, "model_type");
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *f, &f));
    run->slots[stage].classifier = f;
    ASTER_TRY(aster_classifier_open(ctx, aster_run_text(run, stage, "file"),
                                    real_of(aster_run_text(run, stage, "precision")),
                                    &f->classifier));
    if (wanted == 0 && aster_parse_i64(text, &type) == 0)
        wanted = type;
    return aster_classifier_length(ctx, f->classifier, wanted,
                                   aster_run_bool(run, stage, "force_length"), &f->chunk_length);
}

int aster_stage_load_classifier(struct aster_ctx *ctx, void *arg, int stage)
{
    (void)ctx;
    struct aster_run *run = arg;
    const struct aster_classifier_file *f = run->slots[stage].classifier;
    return aster_run_fact(
        run, run->spec->stages[stage].id,
        "%lld values, %lld hidden, %s, for chunks of %lld bases, from %s",
        (long long)f->classifier->config.n_inputs, (long long)f->classifier->config.hidden,
        aster_dtype_name(f->classifier->real), (long long)f->chunk_length, f->classifier->path);
}

void aster_classifier_file_free(struct aster_classifier_file **f)
{
    if (*f)
        aster_classifier_free(&(*f)->classifier);
    aster_free(f);
}

/* ---- judging ---- */

struct judging {
    struct aster_run *run;
    struct aster_ctx *ctx;
    int stage;
    const struct aster_dna_source *source;
    const struct aster_classifier_file *classifier;
    const struct aster_language_file *language[VNP_N_MODELS];
    struct vnp_keeping keeping;
    struct aster_bpe *bpe;
    struct aster_runtime *rt;
    struct vnp_scorer *scorer; /* made when the first part needs it */
    struct vnp_reader *reader;
    struct aster_frames *frames;
    struct aster_same *same;
    struct aster_repeats *repeats;
    struct vnp_part *flying[MOST_FLYING]; /* begun; all but the last are joined */
    int n_flying;
    int64_t n_parts;
    struct stat *before; /* of each input file, when reading began */
};

static const char *const model_keys[VNP_N_MODELS] = {"dnabert", "esm2"};

int aster_stage_virnucpro_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    static const enum aster_language_kind kinds[] = {ASTER_LANGUAGE_DNABERT, ASTER_LANGUAGE_ESM2};
    struct aster_run *run = arg;
    const struct aster_classifier *c =
        aster_run_slot(run, stage, "classifier", 0)->classifier->classifier;
    const struct aster_language_file *f[VNP_N_MODELS];
    for (int m = 0; m < VNP_N_MODELS; m++) {
        f[m] = aster_run_slot(run, stage, model_keys[m], 0)->language;
        if (f[m]->c.kind != kinds[m])
            return aster_fail(ctx, ASTER_EPARAM, "stage %s: %s: %s is no model of that kind",
                              run->spec->stages[stage].id, model_keys[m], f[m]->weights);
    }
    if (f[0]->c.width + f[1]->c.width != c->config.n_inputs)
        return aster_fail(ctx, ASTER_EPARAM,
                          "%s: takes %lld values, the models give %lld (%s) + %lld (%s)", c->path,
                          (long long)c->config.n_inputs, (long long)f[0]->c.width, f[0]->weights,
                          (long long)f[1]->c.width, f[1]->weights);
    return 0;
}

static int make_scorer(struct judging *j)
{
    struct vnp_models m = {.classifier = j->classifier->classifier,
                           .rows = aster_run_int(j->run, j->stage, "batch_size"),
                           .chunk_length = j->classifier->chunk_length};
    if (j->scorer)
        return 0;
    ASTER_TRY(aster_bpe_open(j->ctx, j->language[VNP_DNABERT]->tokenizer, &j->bpe));
    m.bpe = j->bpe;
    for (int k = 0; k < VNP_N_MODELS; k++) {
        char key[32];
        snprintf(key, sizeof key, "%s_token_budget", model_keys[k]);
        m.config[k] = &j->language[k]->c;
        m.weights[k] = j->language[k]->weights;
        m.real[k] = j->language[k]->precision;
        m.budget[k] = aster_run_int(j->run, j->stage, key);
    }
    return vnp_scorer_new(j->ctx, j->rt, &m, &j->scorer);
}

/* A part that is done goes to the store. */
static int save(struct judging *j, struct vnp_part **p)
{
    int rc = vnp_part_save(&j->keeping, *p);
    if (rc == 0)
        aster_progress_add(j->run->progress, vnp_part_items(*p), vnp_part_failed(*p));
    vnp_part_free(p);
    return rc;
}

static int end_first(struct judging *j)
{
    struct vnp_part *p = j->flying[0];
    ASTER_TRY(vnp_scorer_end(j->scorer, p));
    memmove(j->flying, j->flying + 1, (size_t)--j->n_flying * sizeof *j->flying);
    return save(j, &p);
}

/* The part is begun, the one before it is joined, the one before that ends: workers have the next
 * part's batches while a part waits for its classifier. */
static int fly(struct judging *j, struct vnp_part *p)
{
    j->flying[j->n_flying++] = p;
    ASTER_TRY(make_scorer(j));
    ASTER_TRY(vnp_scorer_begin(j->scorer, p));
    if (j->n_flying > 1)
        ASTER_TRY(vnp_scorer_join(j->scorer, j->flying[j->n_flying - 2]));
    return j->n_flying == MOST_FLYING ? end_first(j) : 0;
}

static int land(struct judging *j)
{
    if (j->n_flying)
        ASTER_TRY(vnp_scorer_join(j->scorer, j->flying[j->n_flying - 1]));
    while (j->n_flying)
        ASTER_TRY(end_first(j));
    return 0;
}

static int note_ids(struct judging *j, const struct vnp_part *p)
{
    for (int64_t k = 0; k < p->n_records; k++) {
        const struct vnp_record *r = &p->record[k];
        if (r->first_chunk == 0 && !r->fault)
            ASTER_TRY(aster_repeats_add(j->repeats, r->id, r->file, r->line));
    }
    return 0;
}

static int judge_part(struct judging *j, struct vnp_part *p)
{
    struct vnp_part *found = NULL;
    int rc = note_ids(j, p);
    if (rc == 0)
        rc = vnp_part_known(j->ctx, &j->keeping, p, &found);
    if (rc == 1)
        aster_progress_skip(j->run->progress, vnp_part_items(found), vnp_part_failed(found));
    vnp_part_free(&found);
    if (rc == 0 && (rc = vnp_part_frames(p, j->frames, j->same)) == 0) {
        if (p->n_texts)
            return fly(j, p);
        return save(j, &p);
    }
    vnp_part_free(&p);
    return rc < 0 ? rc : 0;
}

/* Whether the input files are still those that reading began with; first: notes them. */
static int same_files(struct judging *j, bool first)
{
    for (int64_t k = 0; k < j->source->n; k++) {
        const char *path = j->source->path[k];
        struct stat now, *before = &j->before[k];
        if (!strcmp(path, "-"))
            continue;
        if (stat(path, first ? before : &now) < 0)
            return aster_fail(j->ctx, ASTER_EIO, "%s: cannot be looked at: %s", path,
                              strerror(errno));
        if (!first && (now.st_size != before->st_size || now.st_ino != before->st_ino ||
                       now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
                       now.st_mtim.tv_nsec != before->st_mtim.tv_nsec))
            return aster_fail(j->ctx, ASTER_EIO,
                              "%s: changed while it was read; start a new run with a file that "
                              "stays",
                              path);
    }
    return 0;
}

static int judge_all(struct judging *j)
{
    struct vnp_part *p = NULL;
    int rc = 1; /* there is more */
    for (;;) {
        if (aster_run_stopping())
            break;
        rc = vnp_reader_next(j->reader, &p);
        if (rc <= 0)
            break;
        ASTER_TRY(judge_part(j, p));
        j->n_parts++;
    }
    int landed = land(j); /* also when the input ends in an error: what is done is kept */
    ASTER_TRY(rc);
    ASTER_TRY(landed);
    return rc == 0 ? same_files(j, false) : ASTER_ESTOP;
}

/* ---- the end ---- */

static enum aster_table_style style_of(const char *text)
{
    return !strcmp(text, "reworked") ? ASTER_TABLE_REWORKED
           : !strcmp(text, "named")  ? ASTER_TABLE_NAMED
                                     : ASTER_TABLE_FIRST;
}

static int write_tables(struct judging *j, struct vnp_totals *t)
{
    const struct aster_input *weights = aster_run_input(j->run, j->classifier->classifier->path);
    struct vnp_tables_options o = {
        .run = j->run,
        .stage = j->run->spec->stages[j->stage].id,
        .source = j->source,
        .keeping = j->keeping,
        .n_parts = j->n_parts,
        .chunk_length = j->classifier->chunk_length,
        .style = style_of(aster_run_text(j->run, j->stage, "style")),
        .rule = {.by_mean = !strcmp(aster_run_text(j->run, j->stage, "call"), "mean"),
                 .least = aster_run_real(j->run, j->stage, "call_threshold")},
        .exports = j->keeping.texts,
        .repeats = j->repeats};
    for (int m = 0; m < VNP_N_MODELS; m++) {
        o.precision[m] = aster_dtype_name(j->language[m]->precision);
        o.weights_hash[m] = j->language[m]->sha256;
    }
    o.precision[VNP_CLASSIFIER] = aster_dtype_name(j->classifier->classifier->real);
    o.weights_hash[VNP_CLASSIFIER] = weights ? weights->sha256 : "";
    return vnp_tables_write(&o, t);
}

static int report(struct judging *j, const struct vnp_totals *t)
{
    struct aster_run *run = j->run;
    ASTER_TRY(aster_run_fact(run, "records", "%lld, %lld of them not readable",
                             (long long)t->records, (long long)t->at_fault));
    ASTER_TRY(aster_run_fact(run, "chunks judged", "%lld of %lld", (long long)t->judged,
                             (long long)t->chunks));
    ASTER_TRY(aster_run_fact(run, "frames", "%lld, %lld of them failed", (long long)t->frames,
                             (long long)t->failed_frames));
    ASTER_TRY(aster_run_fact(run, "virus", "%lld chunks, %lld records", (long long)t->virus_chunks,
                             (long long)t->virus_records));
    if (t->repeated)
        aster_log(run->ctx, ASTER_LOG_WARN,
                  "%lld %s the id of an earlier one; repeated_ids.tsv has their new names",
                  (long long)t->repeated, t->repeated == 1 ? "record has" : "records have");
    if (t->n_cut)
        aster_log(run->ctx, ASTER_LOG_WARN,
                  "%lld proteins are longer than %d residues; ESM-2 has seen so many of each",
                  (long long)t->n_cut, ASTER_ESM2_MOST_RESIDUES);
    if (t->failed)
        aster_log(run->ctx, ASTER_LOG_WARN, "%lld of %lld items failed; failed_items.tsv says why",
                  (long long)t->failed, (long long)t->items);
    if (t->chunks > 0 && t->frames == 0)
        aster_log(run->ctx, ASTER_LOG_WARN,
                  "no chunk has a frame without stop codon: nothing is judged");
    run->items += t->items;
    run->failed += t->failed;
    return 0;
}

static int start(struct judging *j)
{
    struct aster_run *run = j->run;
    ASTER_TRY(aster_run_runtime(run, &j->rt));
    ASTER_TRY(aster_store_open(run, run->spec->stages[j->stage].id, &j->keeping.store));
    ASTER_TRY(aster_alloc(j->ctx, j->source->n, sizeof *j->before, &j->before));
    ASTER_TRY(same_files(j, true));
    ASTER_TRY(aster_frames_new(j->ctx, &j->frames));
    ASTER_TRY(aster_same_new(j->ctx, &j->same));
    ASTER_TRY(aster_repeats_new(j->ctx, run->dir, REPEATS_MEMORY, &j->repeats));
    return vnp_reader_new(j->ctx, j->source, j->classifier->chunk_length,
                          aster_run_int(run, j->stage, "part_size"), &j->reader);
}

int aster_stage_virnucpro(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct vnp_totals t;
    struct judging j = {.run = run,
                        .ctx = ctx,
                        .stage = stage,
                        .source = aster_run_slot(run, stage, "input", 0)->dna,
                        .classifier = aster_run_slot(run, stage, "classifier", 0)->classifier,
                        .keeping = {.texts = aster_run_bool(run, stage, "keep_intermediate")}};
    int rc;
    for (int m = 0; m < VNP_N_MODELS; m++)
        j.language[m] = aster_run_slot(run, stage, model_keys[m], 0)->language;
    ASTER_GOTO(start(&j), done);
    ASTER_GOTO(judge_all(&j), done);
    ASTER_GOTO(write_tables(&j, &t), done);
    rc = report(&j, &t);
done:
    if (j.scorer)
        vnp_scorer_settle(j.scorer);
    while (j.n_flying)
        vnp_part_free(&j.flying[--j.n_flying]);
    vnp_scorer_free(&j.scorer);
    aster_bpe_close(&j.bpe);
    vnp_reader_free(&j.reader);
    aster_frames_free(&j.frames);
    aster_same_free(&j.same);
    aster_repeats_free(&j.repeats);
    aster_store_close(&j.keeping.store);
    aster_free(&j.before);
    return rc;
}
