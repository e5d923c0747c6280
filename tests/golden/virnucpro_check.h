/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of golden-virnucpro: each compares one file, or one set of files, with what our rules
 * give. */
#ifndef ASTER_TESTS_GOLDEN_VIRNUCPRO_CHECK_H
#define ASTER_TESTS_GOLDEN_VIRNUCPRO_CHECK_H

#include "io/dna.h"
#include "io/io.h"
#include "io/tokens.h"
#include "seq/seq.h"

#include <string.h>

struct vnp {
    struct aster_ctx *ctx;
    char *folder, *root; /* the folder given, and the one above it with the inputs */
    struct aster_bpe *bpe;
    struct aster_bpe_room *room;
    int64_t n_lines, n_failed;
};

/* One line of output: NAME: [WRONG: ] text */
void vnp_say(struct vnp *v, bool good, const char *name, const char *fmt, ...) ASTER_PRINTF(4, 5);
/* A failure of ours or of a file as such a line. */
void vnp_say_failed(struct vnp *v, const char *name);
/* Where a file of this name is: in the root, its fasta folder, the folder itself, or the shared
 * test data. */
ASTER_CHECKED int vnp_find(struct vnp *v, const char *name, char **path);
/* The whole of a file against a text; says so. where: more than its name, or "". */
void vnp_compare(struct vnp *v, const char *path, const char *where, const struct aster_str *text);

/* The records of a FASTA file through chunks and frames, as text and as numbers. */
struct vnp_run {
    struct aster_str chunks, dna, protein;
    int64_t records, bases, n_chunks, n_with_frame, frames, residues, esm_tokens, bpe_tokens;
    bool texts, tokens; /* what is wanted */
};
ASTER_CHECKED int vnp_run_file(struct vnp *v, const char *path, int64_t size, struct vnp_run *r);
void vnp_run_free(struct vnp_run *r);
/* The whole of one record of a FASTA file. */
ASTER_CHECKED int vnp_record(struct vnp *v, const char *path, const char *id, char **out);
/* A line cut at its tabs in place; the number of fields, at most most. */
int vnp_split(char *line, char **field, int most);
ASTER_CHECKED int vnp_bpe(struct vnp *v); /* opens the tokenizer, once */

void vnp_check_chunk_bounds(struct vnp *v, const char *path);
void vnp_check_counts(struct vnp *v, const char *path);
void vnp_check_tokens(struct vnp *v, const char *path, bool esm2);
void vnp_check_scores(struct vnp *v, const char *path);
void vnp_check_features(struct vnp *v, const char *path);
void vnp_check_tables(struct vnp *v, const char *folder, const char *where, bool reworked);

#endif
