/* SPDX-License-Identifier: BSD-3-Clause */
/* Translation in six frames by the standard genetic code, and which frames are accepted. */
#include "seq/seq.h"

#include <string.h>

/* Bases are T 0, C 1, A 2, G 3: the complement of a base has bit 1 changed. A letter of no base is
 * 4. In '*' a bit is set that is set in no residue's letter. */
enum { NO_BASE = 4, N_CODONS = 512, STOP_BIT = 32 };

struct aster_frames {
    struct aster_ctx *ctx;
    uint8_t number[256];      /* of a letter's base */
    char capital[256];        /* of a letter */
    char complement[256];     /* of a letter, upper case */
    uint16_t codon[N_CODONS]; /* by three numbers in octal: the residue, and that of the reverse
                               * complement times 256; 0 where one of the three is no base */
    int64_t cap, cap_text;
    uint16_t *residues; /* of the codons that begin at each position */
    char *text;         /* both strands, six proteins */
    int n_open;
    struct aster_frame open[ASTER_N_FRAMES];
    enum aster_frame_state state[ASTER_N_FRAMES];
};

static const char *const names[ASTER_N_FRAMES] = {"F1", "F2", "F3", "R1", "R2", "R3"};

const char *aster_frame_name(int number)
{
    return names[number];
}

const char *aster_frame_reason(enum aster_frame_state state)
{
    static const char *const reasons[ASTER_N_FRAME_STATES] = {
        "open", "stop codon", "shorter than a codon", "no codon of A, C, G and T"};
    return reasons[state];
}

static char upper(int c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}

static void fill_tables(struct aster_frames *f)
{
    static const char bases[] = "TCAG",
                      code[] = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG";
    for (int c = 0; c < 256; c++) {
        const char *at = c ? strchr(bases, upper(c)) : NULL;
        f->capital[c] = upper(c);
        f->number[c] = at ? (uint8_t)(at - bases) : NO_BASE;
        f->complement[c] = at ? bases[(at - bases) ^ 2] : upper(c);
    }
    for (int k = 0; k < 64; k++) {
        int a = k >> 4, b = k >> 2 & 3, c = k & 3;
        f->codon[a << 6 | b << 3 | c] |= (uint16_t)code[k];
        f->codon[(c ^ 2) << 6 | (b ^ 2) << 3 | (a ^ 2)] |= (uint16_t)(code[k] << 8);
    }
}

int aster_frames_new(struct aster_ctx *ctx, struct aster_frames **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    fill_tables(*out);
    return 0;
}

void aster_frames_free(struct aster_frames **fp)
{
    struct aster_frames *f = *fp;
    if (!f)
        return;
    aster_free(&f->residues);
    aster_free(&f->text);
    aster_free(fp);
}

/* Fills residues; all[k]: the bits of those at positions that leave k when divided by three. */
static void translate(const struct aster_frames *f, const uint8_t *bases, int64_t n,
                      uint16_t *restrict residues, unsigned all[3])
{
    unsigned codon = n < 2 ? 0 : (unsigned)f->number[bases[0]] << 3 | f->number[bases[1]];
    unsigned all0 = 0, all1 = 0, all2 = 0;
    int64_t k = 2;
    for (; k + 3 <= n; k += 3) {
        codon = codon << 3 | f->number[bases[k]];
        all0 |= residues[k - 2] = f->codon[codon & (N_CODONS - 1)];
        codon = codon << 3 | f->number[bases[k + 1]];
        all1 |= residues[k - 1] = f->codon[codon & (N_CODONS - 1)];
        codon = codon << 3 | f->number[bases[k + 2]];
        all2 |= residues[k] = f->codon[codon & (N_CODONS - 1)];
    }
    if (k < n) {
        codon = codon << 3 | f->number[bases[k]];
        all0 |= residues[k - 2] = f->codon[codon & (N_CODONS - 1)];
    }
    if (k + 1 < n) {
        codon = codon << 3 | f->number[bases[k + 1]];
        all1 |= residues[k - 1] = f->codon[codon & (N_CODONS - 1)];
    }
    all[0] = all0;
    all[1] = all1;
    all[2] = all2;
}

/* Every third residue from at on, forward or (step -3) backward. */
static int64_t gather(const uint16_t *residues, int shift, int64_t step, int64_t n,
                      char *restrict protein)
{
    int64_t got = 0;
    for (int64_t k = 0; k < n; k++) {
        char r = (char)(residues[k * step] >> shift & 255);
        protein[got] = r;
        got += r != 0;
    }
    return got;
}

/* One frame; all: see translate. */
static void judge(struct aster_frames *f, int number, int64_t n, const unsigned all[3],
                  const char *strand, char *protein)
{
    int offset = number % 3, shift = number < 3 ? 0 : 8;
    int64_t codons = n < offset ? 0 : (n - offset) / 3, first = shift ? n - 3 - offset : offset;
    unsigned bits = codons == 0 ? 0 : all[first % 3] >> shift & 255;
    f->state[number] = codons == 0       ? ASTER_FRAME_SHORT
                       : bits == 0       ? ASTER_FRAME_UNKNOWN
                       : bits & STOP_BIT ? ASTER_FRAME_STOP
                                         : ASTER_FRAME_OPEN;
    if (f->state[number] != ASTER_FRAME_OPEN)
        return;
    int64_t got = gather(f->residues + first, shift, shift ? -3 : 3, codons, protein);
    f->open[f->n_open++] = (struct aster_frame){number, strand + offset, protein,
                                                aster_min64(3 * got + 1, n - offset), got};
}

static bool is_open(const struct aster_frames *f, int first)
{
    return f->state[first] == ASTER_FRAME_OPEN || f->state[first + 1] == ASTER_FRAME_OPEN ||
           f->state[first + 2] == ASTER_FRAME_OPEN;
}

/* The strands that have an open frame. */
static void write_strands(const struct aster_frames *f, const uint8_t *restrict bases, int64_t n,
                          char *restrict forward, char *restrict reverse)
{
    for (int64_t k = 0, m = is_open(f, 0) ? n : 0; k < m; k++)
        forward[k] = f->capital[bases[k]];
    for (int64_t k = 0, m = is_open(f, 3) ? n : 0; k < m; k++)
        reverse[k] = f->complement[bases[n - 1 - k]];
}

int aster_frames_find(struct aster_frames *f, const char *bases, int64_t n)
{
    int64_t room = n / 3 + 1, total;
    unsigned all[3];
    f->n_open = 0;
    ASTER_TRY(aster_mul(f->ctx, room, 12, &total));
    ASTER_TRY(aster_grow(f->ctx, n, sizeof *f->residues, &f->cap, &f->residues));
    ASTER_TRY(aster_grow(f->ctx, total, 1, &f->cap_text, &f->text));
    char *forward = f->text, *reverse = forward + n, *proteins = reverse + n;
    translate(f, (const uint8_t *)bases, n, f->residues, all);
    for (int k = 0; k < ASTER_N_FRAMES; k++)
        judge(f, k, n, all, k < 3 ? forward : reverse, proteins + k * room);
    write_strands(f, (const uint8_t *)bases, n, forward, reverse);
    return 0;
}

int aster_frames_count(const struct aster_frames *f)
{
    return f->n_open;
}

const struct aster_frame *aster_frames_get(const struct aster_frames *f, int k)
{
    return &f->open[k];
}

enum aster_frame_state aster_frames_state(const struct aster_frames *f, int number)
{
    return f->state[number];
}
