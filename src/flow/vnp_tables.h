/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are made part by part at the end of a virus run. For vnp_*.c only. */
#ifndef ASTER_FLOW_VNP_TABLES_H
#define ASTER_FLOW_VNP_TABLES_H

#include "flow/vnp.h"

/* ---- vnp_files.c: a text file beside its place until it is whole ---- */
struct vnp_file {
    struct aster_ctx *ctx;
    FILE *f;
    char *tmp, *path;
};
ASTER_CHECKED int vnp_file_open(struct aster_run *run, const char *name, struct vnp_file *f);
/* Writes and empties text. */
ASTER_CHECKED int vnp_file_add(struct vnp_file *f, struct aster_str *text);
ASTER_CHECKED int vnp_file_commit(struct vnp_file *f);
void vnp_file_drop(struct vnp_file *f); /* nothing after a commit */

/* The chunks and frames of each input file as three FASTA files. */
enum { VNP_CHUNK_FASTA, VNP_DNA_FASTA, VNP_PROTEIN_FASTA, VNP_N_FASTA };
struct vnp_exports {
    struct aster_run *run;
    const struct aster_dna_source *source;
    int64_t chunk_length, file; /* the one that is open; -1 before the first */
    struct vnp_file out[VNP_N_FASTA];
    struct aster_str text[VNP_N_FASTA];
};
/* Up to and with that input file; n of them: all are whole. */
ASTER_CHECKED int vnp_exports_go_to(struct vnp_exports *e, int64_t file);
ASTER_CHECKED int vnp_exports_flush(struct vnp_exports *e);
void vnp_exports_drop(struct vnp_exports *e);

/* Names of records: their ids, with a number behind those that came before. */
struct vnp_names {
    struct aster_ctx *ctx;
    struct aster_sorter *later; /* by place in the input: the names that differ from the id */
    char *name;
    uint8_t place[16];
    bool any;
    int64_t n;
};
/* Also repeated_ids.tsv, when there are some. */
ASTER_CHECKED int vnp_names_make(struct aster_run *run, const struct aster_dna_source *source,
                                 struct aster_repeats *repeats, struct vnp_names *out);
/* Records come in order; valid until a later one is asked for. */
ASTER_CHECKED int vnp_names_of(struct vnp_names *s, const struct vnp_record *r, const char **name);
void vnp_names_free(struct vnp_names *s);

/* ---- vnp_results.c: results.h5 ---- */
struct vnp_results;
ASTER_CHECKED int vnp_results_open(const struct vnp_tables_options *o, struct vnp_results **out);
ASTER_CHECKED int vnp_results_frame(struct vnp_results *r, const struct vnp_frame *f);
/* Behind its frames. */
ASTER_CHECKED int vnp_results_chunk(struct vnp_results *r, struct aster_span at,
                                    const struct aster_chunk_call *c);
/* Behind its chunks. */
ASTER_CHECKED int vnp_results_record(struct vnp_results *r, const char *name,
                                     const struct vnp_record *x, const struct aster_record_call *c);
/* Writes when there is much. */
ASTER_CHECKED int vnp_results_flush(struct vnp_results *r);
ASTER_CHECKED int vnp_results_commit(struct vnp_results *r);
void vnp_results_free(struct vnp_results **r);

#endif
