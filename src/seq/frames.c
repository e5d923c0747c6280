/* SPDX-License-Identifier: BSD-3-Clause */
/* Translation in six frames by the standard genetic code, and which frames are accepted. */
#include "seq/seq.h"

#include <string.h>

/* Bases are T 0, C 1, A 2, G 3; a letter of no base is 4. So the complement of a base is its number
 * with bit 1 changed, and a letter of no base keeps bit 2. */
enum { NO_BASE = 4, N_CODONS = 512, COMPLEMENT = 2 << 6 | 2 << 3 | 2 };

struct aster_frames {
    struct aster_ctx *ctx;
    uint8_t number[256];       /* of a letter's base */
    char complement[256];      /* of a letter, upper case */
    char residue[N_CODONS];    /* of three numbers in octal; 0 where one is no base */
    char residue_rc[N_CODONS]; /* of their complements */
    int64_t cap_number, cap_text;
    uint8_t *numbers; /* of the chunk's letters */
    char *text;       /* forward strand, reverse strand, six proteins */
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
        f->number[c] = at ? (uint8_t)(at - bases) : NO_BASE;
        f->complement[c] = at ? bases[(at - bases) ^ 2] : upper(c);
    }
    for (int k = 0; k < 64; k++)
        f->residue[(k & 48) << 2 | (k & 12) << 1 | (k & 3)] = code[k];
    for (int k = 0; k < N_CODONS; k++)
        f->residue_rc[k] = f->residue[k ^ COMPLEMENT];
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
    aster_free(&f->numbers);
    aster_free(&f->text);
    aster_free(fp);
}

/* n codons from at on, forward or (step -1) backward. Residues, or -1 at a stop. */
static int64_t translate(const char *residue, const uint8_t *at, int64_t step, int64_t n,
                         char *protein)
{
    int64_t got = 0;
    for (int64_t k = 0; k < n; k++, at += 3 * step) {
        char r = residue[at[0] << 6 | at[step] << 3 | at[2 * step]];
        if (r == '*')
            return -1;
        protein[got] = r;
        got += r != 0;
    }
    return got;
}

static void judge(struct aster_frames *f, int number, int64_t n, const char *strand, char *protein)
{
    int offset = number % 3;
    bool forward = number < 3;
    int64_t codons = n < offset ? 0 : (n - offset) / 3;
    int64_t got = codons == 0 ? 0
                  : forward
                      ? translate(f->residue, f->numbers + offset, 1, codons, protein)
                      : translate(f->residue_rc, f->numbers + n - 1 - offset, -1, codons, protein);
    f->state[number] = got > 0   ? ASTER_FRAME_OPEN
                       : got < 0 ? ASTER_FRAME_STOP
                       : codons  ? ASTER_FRAME_UNKNOWN
                                 : ASTER_FRAME_SHORT;
    if (got > 0)
        f->open[f->n_open++] = (struct aster_frame){number, strand + offset, protein,
                                                    aster_min64(3 * got + 1, n - offset), got};
}

static bool is_open(const struct aster_frames *f, int first)
{
    return f->state[first] == ASTER_FRAME_OPEN || f->state[first + 1] == ASTER_FRAME_OPEN ||
           f->state[first + 2] == ASTER_FRAME_OPEN;
}

int aster_frames_find(struct aster_frames *f, const char *bases, int64_t n)
{
    int64_t room = n / 3 + 1, total;
    const uint8_t *b = (const uint8_t *)bases;
    f->n_open = 0;
    ASTER_TRY(aster_mul(f->ctx, room, 12, &total));
    ASTER_TRY(aster_grow(f->ctx, n + 1, 1, &f->cap_number, &f->numbers));
    ASTER_TRY(aster_grow(f->ctx, total, 1, &f->cap_text, &f->text));
    char *forward = f->text, *reverse = forward + n, *proteins = reverse + n;
    for (int64_t k = 0; k < n; k++)
        f->numbers[k] = f->number[b[k]];
    for (int k = 0; k < ASTER_N_FRAMES; k++)
        judge(f, k, n, k < 3 ? forward : reverse, proteins + k * room);
    if (is_open(f, 0))
        for (int64_t k = 0; k < n; k++)
            forward[k] = upper(b[k]);
    if (is_open(f, 3))
        for (int64_t k = 0; k < n; k++)
            reverse[k] = f->complement[b[n - 1 - k]];
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
