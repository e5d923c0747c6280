/* SPDX-License-Identifier: BSD-3-Clause */
/* The virus pipeline from the inside: parts of consecutive chunks between reading and tables. For
 * its own stages and tests. */
#ifndef ASTER_FLOW_VNP_H
#define ASTER_FLOW_VNP_H

#include "flow/classifier_file.h"
#include "flow/internal.h"
#include "flow/store.h"
#include "io/dna.h"
#include "io/sorter.h"
#include "io/tokens.h"
#include "seq/seq.h"

/* ---- what stages give ---- */
struct aster_dna_source {
    int64_t n;
    char **path; /* as given; "-" */
    bool any_letter;
};
struct aster_classifier_file {
    struct aster_classifier *classifier;
    int64_t chunk_length; /* to cut records into */
};

void aster_dna_source_free(struct aster_dna_source **s);
void aster_classifier_file_free(struct aster_classifier_file **f);

/* ---- stages; ready finds and checks the files ---- */
int aster_stage_read_dna(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_read_dna_ready(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_load_classifier(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_load_classifier_ready(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_validate_dna(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_virnucpro(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_virnucpro_ready(struct aster_ctx *ctx, void *run, int stage);

/* ---- a part ---- */
/* The models that judge a frame, in the order in which their vectors are joined; then the
 * classifier. */
enum vnp_stage { VNP_DNABERT, VNP_ESM2, VNP_N_MODELS, VNP_CLASSIFIER = VNP_N_MODELS };
const char *vnp_stage_name(int stage); /* "DNABERT-S" ... */

struct vnp_record { /* a record, or as much of it as a part has */
    char *id;
    int64_t file, line, index; /* which of the input files, of the '>', through all files */
    int64_t length, n_ambiguous;
    char *fault;                   /* NULL, or why nothing can be said about it */
    int64_t first_chunk, n_chunks; /* of the record's: those in this part */
    int64_t at;                    /* where they begin in the part */
    int64_t hash;                  /* of bases */
    char *bases;                   /* of those chunks; NULL in a part that was read back */
    int64_t begin, n_bases;        /* their place in the record */
};
struct vnp_chunk {
    int64_t record; /* in the part */
    int64_t first_frame, n_frames;
    uint8_t state[ASTER_N_FRAMES]; /* enum aster_frame_state */
};
struct vnp_frame {
    int32_t number;
    int32_t stage, status; /* status 0: there are scores; else the stage that failed */
    int64_t same;          /* frames of one number are equal */
    float other, virus;
};
struct vnp_text { /* of a frame, in the part's texts: the DNA, then the protein */
    int64_t at, n_dna, n_protein;
};
struct vnp_part {
    struct aster_ctx *ctx;
    int64_t index, size; /* size of its chunks in bases */
    struct vnp_record *record;
    struct vnp_chunk *chunk;
    struct vnp_frame *frame;
    struct vnp_text *text;
    struct aster_str texts; /* of different frames */
    struct aster_str whole; /* of a part that was read back: the chunks, one behind the other */
    int64_t n_records, cap_records, n_chunks, cap_chunks, n_frames, cap_frames, n_texts, cap_texts;
    int64_t n_cut; /* proteins longer than the model takes */
    struct vnp_work *work;
};
ASTER_CHECKED int vnp_part_new(struct aster_ctx *ctx, int64_t index, int64_t size,
                               struct vnp_part **out);
void vnp_part_free(struct vnp_part **p);
/* The chunks' frames, equal ones found; memory of the caller for both. */
ASTER_CHECKED int vnp_part_frames(struct vnp_part *p, struct aster_frames *frames,
                                  struct aster_same *same);
/* What counts as an item: a chunk, and a record that has none. */
int64_t vnp_part_items(const struct vnp_part *p);
int64_t
vnp_part_failed(const struct vnp_part *p); /* records at fault, chunks with a failed frame */
/* The number of a chunk in its record, and its place there. */
static inline int64_t vnp_chunk_number(const struct vnp_part *p, int64_t chunk)
{
    const struct vnp_record *r = &p->record[p->chunk[chunk].record];
    return r->first_chunk + chunk - r->at;
}
struct aster_span vnp_chunk_span(const struct vnp_part *p, const struct aster_chunks *plan,
                                 int64_t chunk);

/* ---- reading ---- */
struct vnp_reader;
ASTER_CHECKED int vnp_reader_new(struct aster_ctx *ctx, const struct aster_dna_source *source,
                                 int64_t chunk_length, int64_t items, struct vnp_reader **out);
/* 1 and the next part, its bases but no frames yet; 0 at the end. Where parts end follows from the
 * records alone. */
ASTER_CHECKED int vnp_reader_next(struct vnp_reader *r, struct vnp_part **out);
void vnp_reader_free(struct vnp_reader **r);

/* ---- parts in the store ---- */
struct vnp_keeping {
    struct aster_store *store;
    bool texts; /* of chunks and frames too */
};
ASTER_CHECKED int vnp_part_save(const struct vnp_keeping *k, const struct vnp_part *p);
ASTER_CHECKED int vnp_part_load(struct aster_ctx *ctx, const struct vnp_keeping *k, int64_t index,
                                int64_t size, struct vnp_part **out);
/* 1 when the store has this very part (found: loaded), else 0. */
ASTER_CHECKED int vnp_part_known(struct aster_ctx *ctx, const struct vnp_keeping *k,
                                 const struct vnp_part *p, struct vnp_part **found);

/* ---- scores ---- */
struct vnp_models {
    const struct aster_language_config *config[VNP_N_MODELS];
    const char *weights[VNP_N_MODELS];
    enum aster_dtype real[VNP_N_MODELS];
    int64_t budget[VNP_N_MODELS];
    const struct aster_bpe *bpe;
    const struct aster_classifier *classifier;
    int64_t rows; /* of a classifier's task */
    int64_t chunk_length;
};
struct vnp_scorer;
ASTER_CHECKED int vnp_scorer_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                                 const struct vnp_models *m, struct vnp_scorer **out);
/* A part with its frames goes through the models (begin), their vectors through the classifier
 * (join), and its frames have scores or a status (end). Other parts' steps may lie in between. */
ASTER_CHECKED int vnp_scorer_begin(struct vnp_scorer *s, struct vnp_part *p);
ASTER_CHECKED int vnp_scorer_join(struct vnp_scorer *s, struct vnp_part *p);
ASTER_CHECKED int vnp_scorer_end(struct vnp_scorer *s, struct vnp_part *p);
/* All that is in flight ends; then parts can be freed. */
void vnp_scorer_settle(struct vnp_scorer *s);
void vnp_scorer_free(struct vnp_scorer **s);
void vnp_work_free(struct vnp_work **w);

/* vnp_classify.c: rows of vectors to scores */
struct vnp_judge;
ASTER_CHECKED int vnp_judge_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                                const struct aster_classifier *c, int64_t rows,
                                struct vnp_judge **out);
/* n rows of x, and n pairs of scores, that stay the caller's until done. */
ASTER_CHECKED int vnp_judge_submit(struct vnp_judge *j, int64_t n, const float *x, float *scores,
                                   void (*done)(void *arg), void *arg);
void vnp_judge_free(struct vnp_judge **j); /* waits */

/* ---- tables ---- */
struct vnp_tables_options {
    struct aster_run *run;
    const char *stage; /* for the ledger */
    const struct aster_dna_source *source;
    struct vnp_keeping keeping;
    int64_t n_parts, chunk_length;
    enum aster_table_style style;
    struct aster_call_rule rule;
    bool exports;                  /* chunks and frames as FASTA */
    struct aster_repeats *repeats; /* of all records without fault: file = index */
    const char *precision[VNP_N_MODELS + 1];
    const char *weights_hash[VNP_N_MODELS + 1];
};
struct vnp_totals {
    int64_t items, failed, records, at_fault, repeated, chunks, judged, virus_chunks, frames,
        failed_frames, virus_records, n_cut;
};
/* All files of a run from its parts, in the order of the input. */
ASTER_CHECKED int vnp_tables_write(const struct vnp_tables_options *o, struct vnp_totals *t);

#endif
