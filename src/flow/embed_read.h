/* SPDX-License-Identifier: BSD-3-Clause */
/* The input of an embedding run: FASTA files and tables, one after the other, in parts. */
#ifndef ASTER_EMBED_READ_H
#define ASTER_EMBED_READ_H

#include "flow/embed_part.h"

struct aster_embed_reader {
    struct aster_run *run;
    int stage;
    int64_t max_length, overlap, shard_size, n_layers, width;
    bool rows, mean;
    enum aster_embed_over over;
    int32_t unknown; /* the id of letters that have none; -1: their sequences fail */
    /* found by aster_embed_reader_start: */
    int64_t n_sources, n_total, longest; /* of all records; -1: not known */
    /* while reading: */
    int64_t source, protein; /* protein: of a table */
    int64_t n_read, n_parts;
    struct aster_fasta *fasta;
};
void aster_embed_reader_start(struct aster_embed_reader *r);
/* The next records, so many that parts are the same whatever computes them; NULL at the end. */
ASTER_CHECKED int aster_embed_read_part(struct aster_embed_reader *r,
                                        struct aster_embed_part **out);
/* What a part takes; the largest that there can be. */
int64_t aster_embed_part_bytes(const struct aster_embed_part *p);
int64_t aster_embed_largest_part(const struct aster_embed_reader *r);
/* Windows and tokens of the part's entries; those that cannot be computed fail. */
ASTER_CHECKED int aster_embed_make_units(struct aster_embed_reader *r, struct aster_embed_part *p);
/* Residues that have vectors, of a sequence of this length. */
int64_t aster_embed_kept(const struct aster_embed_reader *r, int64_t length);
const char *aster_embed_source_name(const struct aster_embed_reader *r, int64_t i);
void aster_embed_reader_close(struct aster_embed_reader *r);

#endif
