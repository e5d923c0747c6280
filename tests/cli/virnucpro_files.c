/* SPDX-License-Identifier: BSD-3-Clause */
/* Files for tests of the virus pipeline: random classifiers, models with a number that is none, and
 * the scores of a run again, frame by frame in double precision. */
#include "flow/embed_language.h"
#include "golden/kernels.h"
#include "golden/lm_net.h"
#include "io/tokens.h"
#include "unit/classifier_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct aster_ctx *ctx;

/* ---- classifier FILE INPUTS HIDDEN SEED [CHUNK_LENGTH] ---- */
static int classifier(int argc, char **argv)
{
    struct classifier_weights w;
    ASTER_TRY(classifier_weights_make(ctx, atol(argv[3]), atol(argv[4]),
                                      (uint64_t)strtoull(argv[5], NULL, 10), &w));
    int rc = classifier_weights_write(ctx, &w, "", argc > 6 ? "chunk_length" : NULL,
                                      argc > 6 ? argv[6] : NULL, argv[2]);
    classifier_weights_free(&w);
    return rc;
}

/* ---- poison FROM TO ROW: a file of weights whose embedding has no number in that row ---- */
static int poison(int argc, char **argv)
{
    struct aster_st *s = NULL;
    struct aster_st_out *out = NULL;
    float *table = NULL;
    int64_t row = atol(argv[4]);
    (void)argc;
    ASTER_TRY(aster_st_open(ctx, argv[2], &s));
    int rc = aster_alloc(ctx, aster_st_count(s), sizeof *out, &out);
    for (int64_t k = 0; rc == 0 && k < aster_st_count(s); k++) {
        const struct aster_st_tensor *t = aster_st_tensor(s, k);
        out[k] = (struct aster_st_out){
            .name = t->name, .dtype = ASTER_F32, .rank = t->rank, .data = t->data};
        memcpy(out[k].dim, t->dim, sizeof t->dim);
        if (!strstr(t->name, "word_embeddings"))
            continue;
        rc = aster_alloc(ctx, t->n, sizeof *table, &table);
        if (rc < 0)
            break;
        memcpy(table, t->data, (size_t)t->n * sizeof *table);
        table[row * t->dim[1]] = NAN;
        out[k].data = table;
    }
    if (rc == 0)
        rc = aster_st_write(ctx, argv[3], aster_st_count(s), out, 0, NULL, NULL);
    aster_free(&table);
    aster_free(&out);
    aster_st_close(&s);
    return rc;
}

/* ---- scores RUN/STEM DNABERT ESM2 CLASSIFIER_SEED HIDDEN ---- */

struct model {
    struct aster_language_file *file;
    struct aster_pretrained *weights;
    struct lm_net net;
};

static int read_block(void *arg, int64_t block, const struct aster_program *p, void *flat)
{
    return aster_pretrained_read(arg, block, p, flat);
}

static const float *frequencies(void *arg, int64_t layer)
{
    return aster_pretrained_frequencies(arg, layer);
}

static int open_model(const char *folder, struct model *m)
{
    ASTER_TRY(aster_language_file_find(ctx, folder, "", "", &m->file));
    ASTER_TRY(aster_pretrained_config_read(ctx, m->file->config, &m->file->c));
    ASTER_TRY(aster_pretrained_open(ctx, m->file->weights, &m->file->c, &m->weights));
    const struct lm_source source = {m->weights, read_block, frequencies};
    return lm_net_new(ctx, golden_kernels(ASTER_ISA_BASE), ASTER_F64, &m->file->c, &source, false,
                      &m->net);
}

static void close_model(struct model *m)
{
    lm_net_free(&m->net);
    aster_pretrained_close(&m->weights);
    aster_language_file_free(&m->file);
}

/* The mean of rows first .. first + n - 1 behind the last block, of one sequence alone. */
static int mean_of(struct model *m, int32_t *ids, int64_t n_ids, int64_t first, int64_t n,
                   double *mean)
{
    const struct lm_tokens tokens = {ids, n_ids};
    struct lm_batch b;
    int64_t d = m->file->c.width;
    ASTER_TRY(lm_batch_new(&m->net, &tokens, 1, (int64_t[]){0}, false, &b));
    int rc = 0;
    for (int64_t k = 0; rc == 0 && k < aster_language_n_blocks(&m->file->c); k++) {
        rc = lm_net_load(&m->net, k);
        if (rc == 0)
            rc = lm_batch_forward(&b);
    }
    const double *rows = rc == 0 ? lm_batch_rows(&b, 0) : NULL;
    for (int64_t j = 0; rows && j < d; j++) {
        mean[j] = 0;
        for (int64_t t = first; t < first + n; t++)
            mean[j] += rows[t * d + j] / (double)n;
    }
    lm_batch_free(&b);
    return rc;
}

struct checking {
    struct model dna, protein;
    struct aster_bpe *bpe;
    struct aster_bpe_room *room;
    struct classifier_weights w;
    double *x, worst;
    int64_t n;
};

static int check_frame(struct checking *c, const struct aster_fasta_record *dna,
                       const struct aster_fasta_record *protein, char *line)
{
    char *field[4] = {strtok(line, "\t"), strtok(NULL, "\t"), strtok(NULL, "\t"),
                      strtok(NULL, "\t")};
    int32_t *ids = NULL;
    int64_t n = 0;
    double p[2];
    if (!field[3] || strcmp(field[0], dna->id) != 0 || strcmp(field[0], protein->id) != 0)
        return aster_fail(ctx, ASTER_EFORMAT, "row '%s', DNA '%s', protein '%s'", field[0], dna->id,
                          protein->id);
    ASTER_TRY(aster_alloc(ctx, dna->length + protein->length + 2, sizeof *ids, &ids));
    int rc = aster_bpe_encode(c->bpe, c->room, dna->seq, dna->length, ids, &n);
    if (rc == 0)
        rc = mean_of(&c->dna, ids, n, 0, n, c->x);
    aster_esm2_encode(protein->seq, protein->length, ASTER_ESM2_UNKNOWN, ids, NULL);
    if (rc == 0)
        rc = mean_of(&c->protein, ids, protein->length + 2, 1, protein->length,
                     c->x + c->dna.file->c.width);
    aster_free(&ids);
    ASTER_TRY(rc);
    classifier_weights_apply(&c->w, c->x, p);
    double error = fmax(fabs(p[0] - atof(field[2])), fabs(p[1] - atof(field[3])));
    c->worst = error <= c->worst ? c->worst : error;
    c->n++;
    if (fabs(p[1] - p[0]) > 1e-4 && strcmp(field[1], p[1] > p[0] ? "virus" : "others") != 0)
        return aster_fail(ctx, ASTER_EFORMAT, "row '%s' is called %s", field[0], field[1]);
    return 0;
}

static int check_rows(struct checking *c, const char *stem, const char *folder)
{
    char path[3][4096];
    struct aster_fasta *dna = NULL, *protein = NULL;
    struct aster_fasta_record d, p;
    struct aster_lines *rows = NULL;
    char *line;
    size_t n;
    int rc;
    snprintf(path[0], sizeof path[0], "%s/%s_nucleotide.fa", folder, stem);
    snprintf(path[1], sizeof path[1], "%s/%s_protein.faa", folder, stem);
    snprintf(path[2], sizeof path[2], "%s/prediction_results.txt", folder);
    ASTER_GOTO(aster_fasta_open(ctx, path[0], &dna), done);
    ASTER_GOTO(aster_fasta_open(ctx, path[1], &protein), done);
    ASTER_GOTO(aster_lines_open(ctx, path[2], &rows), done);
    ASTER_GOTO(aster_lines_next(rows, &line, &n), done);
    while ((rc = aster_lines_next(rows, &line, &n)) == 1) {
        if (aster_fasta_next(dna, &d) != 1 || aster_fasta_next(protein, &p) != 1)
            ASTER_GOTO(aster_fail(ctx, ASTER_EFORMAT, "no frame for row '%s'", line), done);
        ASTER_GOTO(check_frame(c, &d, &p, line), done);
    }
done:
    aster_lines_close(&rows);
    aster_fasta_close(&dna);
    aster_fasta_close(&protein);
    return rc;
}

static int scores(int argc, char **argv)
{
    struct checking c = {.n = 0};
    int rc;
    (void)argc;
    ASTER_GOTO(open_model(argv[4], &c.dna), done);
    ASTER_GOTO(open_model(argv[5], &c.protein), done);
    ASTER_GOTO(aster_bpe_open(ctx, c.dna.file->tokenizer, &c.bpe), done);
    ASTER_GOTO(aster_bpe_room_new(ctx, &c.room), done);
    int64_t width = c.dna.file->c.width + c.protein.file->c.width;
    ASTER_GOTO(aster_alloc(ctx, width, sizeof *c.x, &c.x), done);
    ASTER_GOTO(classifier_weights_make(ctx, width, atol(argv[7]),
                                       (uint64_t)strtoull(argv[6], NULL, 10), &c.w),
               done);
    rc = check_rows(&c, argv[3], argv[2]);
    if (rc == 0 && !(c.worst <= 1e-5 && c.n > 0))
        rc = aster_fail(ctx, ASTER_ENUMERIC, "a score of %lld is %.3g from double precision",
                        (long long)c.n, c.worst);
    printf("%lld frames, %.3g from double precision\n", (long long)c.n, c.worst);
done:
    classifier_weights_free(&c.w);
    aster_free(&c.x);
    aster_bpe_room_free(&c.room);
    aster_bpe_close(&c.bpe);
    close_model(&c.dna);
    close_model(&c.protein);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int n;
        int (*run)(int argc, char **argv);
    } commands[] = {{"classifier", 6, classifier}, {"poison", 5, poison}, {"scores", 8, scores}};
    int rc = ASTER_EPARAM;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    for (int k = 0; k < 3; k++)
        if (argc >= commands[k].n && !strcmp(argv[1], commands[k].name))
            rc = commands[k].run(argc, argv);
    if (rc < 0)
        fprintf(stderr, "virnucpro-files: %s\n",
                aster_ctx_code(ctx) ? aster_ctx_message(ctx)
                                    : "classifier FILE INPUTS HIDDEN SEED [CHUNK_LENGTH] | poison "
                                      "FROM TO ROW | scores RUN STEM DNABERT ESM2 SEED HIDDEN");
    aster_ctx_free(&ctx);
    return rc < 0;
}
