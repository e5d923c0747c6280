/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of DNA from several FASTA files, one at a time. What is wrong with one record does not
 * end the reading. */
#ifndef ASTER_DNA_H
#define ASTER_DNA_H

#include "base/base.h"

struct aster_dna_record { /* owned by the reader until the next call */
    const char *path;     /* as given; "standard input" */
    const char *id;       /* up to white space */
    const char *seq;      /* joined lines without blanks, case kept */
    int64_t length;
    int64_t line;        /* of the '>' */
    int64_t index;       /* from 0, through all files */
    int64_t n_ambiguous; /* letters of several bases: NRYKMSWBDHV */
    const char *fault;   /* NULL, or why nothing can be said about it, with file, line and id */
};
struct aster_dna;
/* Plain or gzip files; "-", once, is stdin. All of them have to be there. any_letter: printable
 * characters that are no nucleotide letters are no fault (the reference takes them for unknown). */
ASTER_CHECKED int aster_dna_open(struct aster_ctx *ctx, int64_t n_paths, const char *const *paths,
                                 bool any_letter, struct aster_dna **out);
/* 1, 0 at the end of the last file. A file that cannot be read on, or is no FASTA: error. */
ASTER_CHECKED int aster_dna_next(struct aster_dna *d, struct aster_dna_record *out);
void aster_dna_close(struct aster_dna **d);

#endif
