/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules between a nucleotide sequence and a virus call: chunks, open reading frames, equal
 * frames, pooling, calls, and the tables of results as the reference writes them. Sees no files. */
#ifndef ASTER_SEQ_H
#define ASTER_SEQ_H

#include "base/base.h"

/* ---- chunks: a record in pieces of one size that share bases where its length is no multiple ----
 */
struct aster_chunks {
    int64_t length, size, n;
    int64_t overlap,
        n_wider; /* bases that neighbours share; the first n_wider pairs share one more */
};
/* length 0 has no chunk; size is 1 to 2^40. The bases to share are spread over n pairs although
 * there are n - 1: what is left over makes the last chunk shorter. The classifier was trained so.
 */
ASTER_CHECKED int aster_chunks_plan(struct aster_ctx *ctx, int64_t length, int64_t size,
                                    struct aster_chunks *out);
int64_t aster_chunk_begin(const struct aster_chunks *c, int64_t i); /* 0 <= i < n */
int64_t aster_chunk_end(const struct aster_chunks *c, int64_t i);
/* "ID_chunk_1" for i = 0 */
void aster_chunk_name(struct aster_str *out, const char *id, int64_t i);

/* ---- the six frames of a chunk ---- */
enum { ASTER_N_FRAMES = 6 };
enum aster_frame_state {
    ASTER_FRAME_OPEN,    /* accepted: at least one residue and no stop */
    ASTER_FRAME_STOP,    /* a stop codon */
    ASTER_FRAME_SHORT,   /* no codon fits */
    ASTER_FRAME_UNKNOWN, /* every codon has a letter other than A, C, G and T */
    ASTER_N_FRAME_STATES
};
struct aster_frame {          /* of the object that found it, until the next search; no final 0 */
    int number;               /* 0..5: F1 F2 F3 R1 R2 R3 */
    const char *dna;          /* upper case; a base more than its codons have, where there is one */
    const char *protein;      /* codons with unknown letters leave nothing */
    int64_t n_dna, n_protein; /* n_dna: 3 n_protein + 1, or what there is */
};
const char *aster_frame_name(int number);                     /* "F1" ... "R3" */
const char *aster_frame_reason(enum aster_frame_state state); /* "stop codon" ... */

struct aster_frames; /* memory of one thread, grows with the longest chunk */
ASTER_CHECKED int aster_frames_new(struct aster_ctx *ctx, struct aster_frames **out);
void aster_frames_free(struct aster_frames **f);
/* Any bytes; only A, C, G and T (and their small letters) make codons and have complements. */
ASTER_CHECKED int aster_frames_find(struct aster_frames *f, const char *bases, int64_t n);
int aster_frames_count(const struct aster_frames *f); /* of open ones */
const struct aster_frame *aster_frames_get(const struct aster_frames *f, int k);
enum aster_frame_state aster_frames_state(const struct aster_frames *f, int number);

/* ---- equal texts found once: within what was added since the last clear ---- */
struct aster_same;
ASTER_CHECKED int aster_same_new(struct aster_ctx *ctx, struct aster_same **out);
void aster_same_free(struct aster_same **s);
/* Texts that differ are numbered from 0. 0: a new one; 1: number is that of the equal one. */
ASTER_CHECKED int aster_same_add(struct aster_same *s, const char *text, int64_t n,
                                 int64_t *number);
int64_t aster_same_count(const struct aster_same *s);
int64_t aster_same_bytes(const struct aster_same *s); /* of the texts kept */
void aster_same_clear(struct aster_same *s);          /* keeps the memory */

/* ---- pooling: which rows of an item's tokens its vector is the mean of ---- */
enum { ASTER_ESM2_MOST_RESIDUES = 1022 };
struct aster_pooled {
    int64_t n_tokens, first, n; /* rows first .. first + n - 1 of n_tokens */
    int64_t n_cut;              /* residues at the end that the model does not see */
};
struct aster_pooled aster_pooled_esm2(int64_t n_residues);  /* residues only */
struct aster_pooled aster_pooled_dnabert(int64_t n_tokens); /* all, first and last included */

/* ---- calls ---- */
struct aster_chunk_call { /* all 0 before the first frame */
    int64_t n_frames, n_failed;
    float other, virus; /* largest of the frames; 0 when there is none */
};
/* Scores that are not finite count as a failed frame. */
void aster_chunk_call_add(struct aster_chunk_call *c, float other, float virus);
bool aster_chunk_call_is_virus(const struct aster_chunk_call *c); /* equal: yes; no frame: no */
static inline bool aster_frame_is_virus(float other, float virus) /* equal: no */
{
    return virus > other;
}

struct aster_span {
    int64_t begin, end;
};
struct aster_record_call { /* all 0 at first; reset keeps memory */
    int64_t length, n_chunks, n_judged, n_virus, n_frames, n_failed;
    double sum, most;         /* over judged chunks, of their largest virus score */
    struct aster_span *virus; /* virus chunks, joined where they touch */
    int64_t n_spans, cap;
};
void aster_record_call_reset(struct aster_record_call *r, int64_t length);
/* Chunks of a record in order. */
ASTER_CHECKED int aster_record_call_add(struct aster_ctx *ctx, struct aster_record_call *r,
                                        struct aster_span at, const struct aster_chunk_call *c);
void aster_record_call_free(struct aster_record_call *r);
struct aster_call_rule {
    bool by_mean; /* else: more virus chunks than half of the judged */
    double least; /* by_mean: of the mean score */
};
/* "virus", "other", or "not_judged" when no chunk has a frame with scores */
const char *aster_record_call_verdict(const struct aster_record_call *r,
                                      const struct aster_call_rule *rule);

/* ---- tables, TAB separated ---- */
enum aster_table_style {
    ASTER_TABLE_FIRST,    /* the first published program: shortest numbers of single precision */
    ASTER_TABLE_REWORKED, /* its rework: the same numbers as doubles, and two more columns */
    ASTER_TABLE_NAMED     /* as the first, with columns p_other and p_virus */
};
/* Shortest digits that read back to x: single precision as numpy prints it, double as Python. */
void aster_text_f32(struct aster_str *out, float x);
void aster_text_f64(struct aster_str *out, double x);

/* prediction_results.txt: a row per frame */
void aster_frame_table_head(struct aster_str *out, enum aster_table_style style);
void aster_frame_table_row(struct aster_str *out, enum aster_table_style style, const char *chunk,
                           int number, float other, float virus);
/* prediction_results_highestscore.csv: a row per chunk that has frames; in byte order of the names
 * in the first style, in order of the input in the reworked one. */
void aster_chunk_table_head(struct aster_str *out, enum aster_table_style style);
void aster_chunk_table_row(struct aster_str *out, enum aster_table_style style, const char *chunk,
                           const struct aster_chunk_call *c);
/* Ours: every chunk, also one that is not judged, with the reason. */
void aster_judged_table_head(struct aster_str *out);
void aster_judged_table_row(struct aster_str *out, const char *chunk, struct aster_span at,
                            const struct aster_chunk_call *c,
                            const enum aster_frame_state state[ASTER_N_FRAMES]);
/* Ours: every record. Positions in texts count from 1 and include the last. */
void aster_record_table_head(struct aster_str *out);
void aster_record_table_row(struct aster_str *out, const char *id,
                            const struct aster_record_call *r, const struct aster_call_rule *rule);
/* failed_files.txt */
void aster_failed_line(struct aster_str *out, const char *path, const char *stage,
                       const char *error);

/* ---- names of files: what is before "_chunked500.fa" ---- */
/* "a/b.c.fa.gz": "b.c"; "-": "stdin" */
void aster_stem_add(struct aster_str *out, const char *path);

#endif
