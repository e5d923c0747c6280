/* SPDX-License-Identifier: BSD-3-Clause */
/* Sequences to the token ids of the language models. */
#ifndef ASTER_TOKENS_H
#define ASTER_TOKENS_H

#include "base/base.h"

/* ---- ESM-2: a table of 33 ids; one id per residue, begin and end around them ---- */
enum {
    ASTER_ESM2_BEGIN = 0,
    ASTER_ESM2_PAD = 1,
    ASTER_ESM2_END = 2,
    ASTER_ESM2_UNKNOWN = 3,
    ASTER_ESM2_X = 24,
    ASTER_ESM2_MASK = 32,
    ASTER_ESM2_N_IDS = 33
};
const char *aster_esm2_token(int id); /* "<cls>", "L" ...; NULL outside the table */
/* Bytes that are no letter of the table, '.' or '-': small letters, J, digits ... */
struct aster_esm2_odd {
    int64_t n, at;      /* how many, where the first is, from 0 */
    unsigned char byte; /* the first */
};
/* ids has room for n + 2. Odd bytes become the id unknown: 3, as in transformers, or that of X;
 * fair-esm takes none. odd can be NULL. */
void aster_esm2_encode(const char *sequence, int64_t n, int32_t unknown, int32_t *ids,
                       struct aster_esm2_odd *odd);

/* ---- byte-pair encoding of a tokenizer.json (DNABERT-S) ---- */
/* Understood is what such a file for DNA has: model BPE without prefixes, suffixes and byte
 * fallback, words of letters and digits, no normalizer, pre-tokenizer Whitespace, a template with
 * one token before and one after. Its truncation and padding are left out. */
struct aster_bpe;
ASTER_CHECKED int aster_bpe_open(struct aster_ctx *ctx, const char *path, struct aster_bpe **out);
int aster_bpe_n_ids(const struct aster_bpe *b);
const char *aster_bpe_token(const struct aster_bpe *b, int id); /* NULL outside the vocabulary */
int aster_bpe_id(const struct aster_bpe *b, const char *token); /* -1 if absent */
void aster_bpe_close(struct aster_bpe **b);

/* Memory of one thread for encoding; grows with the longest text. */
struct aster_bpe_room;
ASTER_CHECKED int aster_bpe_room_new(struct aster_ctx *ctx, struct aster_bpe_room **out);
void aster_bpe_room_free(struct aster_bpe_room **r);
/* The n bytes of text, which is UTF-8, in time proportional to n. ids has room for n + 2. Special
 * tokens that are written out ("[SEP]") are recognised; an unknown character is one unknown
 * token. */
ASTER_CHECKED int aster_bpe_encode(const struct aster_bpe *b, struct aster_bpe_room *r,
                                   const char *text, int64_t n, int32_t *ids, int64_t *n_ids);

#endif
