/* SPDX-License-Identifier: BSD-3-Clause */
/* The two encodings that are tables: one-hot, and rows of BLOSUM62. */
#include "train/train.h"

#include <string.h>

/* Residues in the order of table rows; anything else is the last row. */
static const char letters[] = "ACDEFGHIKLMNPQRSTVWY";
enum { N_LETTERS = 20, UNKNOWN = 20 };

/* Columns: A R N D C Q E G H I L K M F P S T W Y V (Henikoff and Henikoff 1992, half bits). */
static const signed char blosum62[N_LETTERS][20] = {
    {4, -1, -2, -2, 0, -1, -1, 0, -2, -1, -1, -1, -1, -2, -1, 1, 0, -3, -2, 0},      /* A */
    {0, -3, -3, -3, 9, -3, -4, -3, -3, -1, -1, -3, -1, -2, -3, -1, -1, -2, -2, -1},  /* C */
    {-2, -2, 1, 6, -3, 0, 2, -1, -1, -3, -4, -1, -3, -3, -1, 0, -1, -4, -3, -3},     /* D */
    {-1, 0, 0, 2, -4, 2, 5, -2, 0, -3, -3, 1, -2, -3, -1, 0, -1, -3, -2, -2},        /* E */
    {-2, -3, -3, -3, -2, -3, -3, -3, -1, 0, 0, -3, 0, 6, -4, -2, -2, 1, 3, -1},      /* F */
    {0, -2, 0, -1, -3, -2, -2, 6, -2, -4, -4, -2, -3, -3, -2, 0, -2, -2, -3, -3},    /* G */
    {-2, 0, 1, -1, -3, 0, 0, -2, 8, -3, -3, -1, -2, -1, -2, -1, -2, -2, 2, -3},      /* H */
    {-1, -3, -3, -3, -1, -3, -3, -4, -3, 4, 2, -3, 1, 0, -3, -2, -1, -3, -1, 3},     /* I */
    {-1, 2, 0, -1, -3, 1, 1, -2, -1, -3, -2, 5, -1, -3, -1, 0, -1, -3, -2, -2},      /* K */
    {-1, -2, -3, -4, -1, -2, -3, -4, -3, 2, 4, -2, 2, 0, -3, -2, -1, -2, -1, 1},     /* L */
    {-1, -1, -2, -3, -1, 0, -2, -3, -2, 1, 2, -1, 5, 0, -2, -1, -1, -1, -1, 1},      /* M */
    {-2, 0, 6, 1, -3, 0, 0, 0, 1, -3, -3, 0, -2, -3, -2, 1, 0, -4, -2, -3},          /* N */
    {-1, -2, -2, -1, -3, -1, -1, -2, -2, -3, -3, -1, -2, -4, 7, -1, -1, -4, -3, -2}, /* P */
    {-1, 1, 0, 0, -3, 5, 2, -2, 0, -3, -2, 1, 0, -3, -1, 0, -1, -2, -1, -2},         /* Q */
    {-1, 5, 0, -2, -3, 1, 0, -2, 0, -3, -2, 2, -1, -3, -2, -1, -1, -3, -2, -3},      /* R */
    {1, -1, 1, 0, -1, 0, 0, 0, -1, -2, -2, 0, -1, -2, -1, 4, 1, -3, -2, -2},         /* S */
    {0, -1, 0, -1, -1, -1, -1, -2, -2, -1, -1, -1, -1, -2, -1, 1, 5, -2, -2, 0},     /* T */
    {0, -3, -3, -3, -1, -2, -2, -3, -3, 3, 1, -2, 1, -1, -2, -2, 0, -3, -1, 4},      /* V */
    {-3, -3, -4, -4, -2, -2, -3, -2, -2, -3, -2, -3, -1, 1, -4, -3, -2, 11, 2, -3},  /* W */
    {-2, -2, -2, -3, -2, -1, -2, -3, 2, -1, -1, -2, -1, 3, -3, -2, -2, 2, 7, -1},    /* Y */
};
/* Of an unknown residue: the mean over the twenty. */
static const double blosum_unknown[20] = {-0.8,  -1.1,  -0.95, -1.35, -1.65, -0.65, -0.9,
                                          -1.75, -0.9,  -1.4,  -1.3,  -0.9,  -0.7,  -1.3,
                                          -1.7,  -0.55, -0.7,  -1.7,  -0.85, -1.15};

static double onehot_table[(N_LETTERS + 1) * (N_LETTERS + 1)], blosum_table[(N_LETTERS + 1) * 20];

static void fill_tables(void)
{
    for (int k = 0; k <= N_LETTERS; k++)
        onehot_table[k * (N_LETTERS + 1) + k] = 1;
    for (int k = 0; k < N_LETTERS; k++)
        for (int d = 0; d < 20; d++)
            blosum_table[k * 20 + d] = blosum62[k][d];
    memcpy(blosum_table + UNKNOWN * 20, blosum_unknown, sizeof blosum_unknown);
}

int aster_encoding_table(struct aster_ctx *ctx, const char *name, struct aster_encoding *out)
{
    bool onehot = !strcmp(name, "onehot");
    if (!onehot && strcmp(name, "blosum"))
        return aster_fail(ctx, ASTER_EPARAM, "encoding %s: expected onehot or blosum", name);
    fill_tables();
    *out = (struct aster_encoding){.dim = onehot ? N_LETTERS + 1 : 20,
                                   .table = onehot ? onehot_table : blosum_table};
    snprintf(out->name, sizeof out->name, "%s", name);
    memset(out->code, UNKNOWN, sizeof out->code);
    for (int k = 0; k < N_LETTERS; k++)
        out->code[(uint8_t)letters[k]] = (uint8_t)k;
    return 0;
}
