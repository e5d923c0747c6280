/* SPDX-License-Identifier: BSD-3-Clause */
/* FASTA records, one at a time. */
#include "io/io.h"

#include <string.h>

struct aster_fasta {
    struct aster_ctx *ctx;
    struct aster_lines *lines;
    char *header, *id, *seq, *next_header;
    int64_t cap_header, cap_id, cap_seq, cap_next;
    int64_t next_line, index;
    bool have_next, end, by_record;
    struct aster_fasta_odd odd; /* of the file, or (by_record) of the record being read */
    int64_t n_marked;           /* in the record being read */
    uint64_t kind[256];         /* of a byte in a sequence; 0: an ordinary letter */
};
/* Added up over a line: marked letters below the others, which more than a line's length fits. */
enum { MARKED = 1 };
#define BLANK   (1ULL << 32)
#define ODD     (1ULL << 33)
#define REFUSED (1ULL << 34)

static int keep(struct aster_ctx *ctx, char **to, int64_t *cap, const char *text, size_t n)
{
    ASTER_TRY(aster_grow(ctx, (int64_t)n + 1, 1, cap, to));
    memcpy(*to, text, n);
    (*to)[n] = '\0';
    return 0;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void strip(char **text, size_t *n)
{
    while (*n && blank(**text)) {
        (*text)++;
        (*n)--;
    }
    while (*n && blank((*text)[*n - 1]))
        (*n)--;
    (*text)[*n] = '\0';
}

static void expect(struct aster_fasta *f, const char *letters, const char *marked)
{
    for (int c = 0; c < 256; c++) {
        int upper = c >= 'a' && c <= 'z' ? c - 32 : c;
        f->kind[c] = blank((char)c)                ? BLANK
                     : c && strchr(marked, upper)  ? MARKED
                     : c && strchr(letters, upper) ? 0
                                                   : ODD;
    }
}

int aster_fasta_open(struct aster_ctx *ctx, const char *path, struct aster_fasta **out)
{
    struct aster_fasta *f = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *f, &f));
    f->ctx = ctx;
    expect(f, "ABCDEFGHIJKLMNOPQRSTUVWXYZ*-.", "");
    for (int c = 0; c < 256; c++)
        if ((c < 33 || c > 126) && f->kind[c] == ODD)
            f->kind[c] = REFUSED;
    ASTER_GOTO(aster_lines_open(ctx, path, &f->lines), fail);
    *out = f;
    return 0;
fail:
    aster_fasta_close(&f);
    return rc;
}

void aster_fasta_expect(struct aster_fasta *f, const char *letters, const char *marked)
{
    expect(f, letters, marked);
    f->by_record = true;
}

static int refuse(struct aster_fasta *f, unsigned char c, size_t column)
{
    return aster_fail(f->ctx, ASTER_EFORMAT,
                      "%s:%lld: byte 0x%02x at column %zu is no residue letter; printable ASCII is "
                      "expected",
                      aster_lines_path(f->lines), (long long)aster_lines_number(f->lines), c,
                      column);
}

/* The text of a line, which begins behind `before` bytes of it, as residues; blanks inside it are
 * dropped. */
static int add_residues(struct aster_fasta *f, const char *text, size_t n, size_t before,
                        int64_t *length)
{
    uint64_t kinds = 0;
    ASTER_TRY(aster_grow(f->ctx, *length + (int64_t)n + 1, 1, &f->cap_seq, &f->seq));
    for (size_t k = 0; k < n; k++)
        kinds += f->kind[(unsigned char)text[k]];
    f->n_marked += (int64_t)(kinds & UINT32_MAX);
    if (kinds < BLANK) {
        memcpy(f->seq + *length, text, n);
        *length += (int64_t)n;
        return 0;
    }
    for (size_t k = 0; k < n; k++) {
        unsigned char c = (unsigned char)text[k];
        if (f->kind[c] == BLANK)
            continue;
        if (f->kind[c] == REFUSED)
            return refuse(f, c, before + k + 1);
        if (f->kind[c] == ODD && f->odd.n++ == 0) {
            f->odd.line = aster_lines_number(f->lines);
            f->odd.column = (int64_t)(before + k) + 1;
            f->odd.first = (char)c;
        }
        f->seq[(*length)++] = (char)c;
    }
    return 0;
}

const struct aster_fasta_odd *aster_fasta_odd(const struct aster_fasta *f)
{
    return &f->odd;
}

int aster_fasta_next(struct aster_fasta *f, struct aster_fasta_record *out)
{
    int64_t length = 0, line = 0;
    char *text;
    size_t n;
    bool have = f->have_next;
    f->n_marked = 0;
    if (f->by_record)
        f->odd = (struct aster_fasta_odd){0};
    if (have) {
        ASTER_TRY(keep(f->ctx, &f->header, &f->cap_header, f->next_header, strlen(f->next_header)));
        line = f->next_line;
        f->have_next = false;
    }
    while (!f->end) {
        int rc = aster_lines_next(f->lines, &text, &n);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            f->end = true;
            break;
        }
        const char *whole = text;
        if (aster_lines_number(f->lines) == 1 && n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
            text += 3;
            n -= 3;
        }
        strip(&text, &n);
        if (n && *text == '>') {
            text++;
            n--;
            strip(&text, &n);
            if (have) {
                ASTER_TRY(keep(f->ctx, &f->next_header, &f->cap_next, text, n));
                f->next_line = aster_lines_number(f->lines);
                f->have_next = true;
                break;
            }
            ASTER_TRY(keep(f->ctx, &f->header, &f->cap_header, text, n));
            line = aster_lines_number(f->lines);
            have = true;
        } else if (n && !have) {
            return aster_fail(
                f->ctx, ASTER_EFORMAT,
                "%s:%lld: text before the first '>'; a FASTA file starts with a header line",
                aster_lines_path(f->lines), (long long)aster_lines_number(f->lines));
        } else {
            ASTER_TRY(add_residues(f, text, n, (size_t)(text - whole), &length));
        }
    }
    if (!have)
        return 0;
    ASTER_TRY(aster_grow(f->ctx, length + 1, 1, &f->cap_seq, &f->seq));
    f->seq[length] = '\0';
    for (n = 0; f->header[n] && !blank(f->header[n]);)
        n++;
    ASTER_TRY(keep(f->ctx, &f->id, &f->cap_id, f->header, n));
    *out = (struct aster_fasta_record){f->header, f->id,      f->seq,     length,
                                       line,      f->index++, f->n_marked};
    return 1;
}

void aster_fasta_close(struct aster_fasta **fp)
{
    struct aster_fasta *f = *fp;
    if (!f)
        return;
    aster_lines_close(&f->lines);
    aster_free(&f->header);
    aster_free(&f->id);
    aster_free(&f->seq);
    aster_free(&f->next_header);
    aster_free(fp);
}

void aster_fasta_write(struct aster_str *out, const char *header, const char *seq, int64_t n,
                       int width)
{
    aster_str_addn(out, ">", 1);
    aster_str_add(out, header);
    aster_str_addn(out, "\n", 1);
    if (width <= 0)
        width = n < 1 || n > 1000000000 ? 60 : (int)n;
    for (int64_t k = 0; k < n; k += width) {
        aster_str_addn(out, seq + k, (size_t)aster_min64(width, n - k));
        aster_str_addn(out, "\n", 1);
    }
}
