/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoding by merges, the pair of lowest rank first and leftmost first, without making the merges.
 *
 * Tokens in a row are the encoding of their text exactly if no merge reaches over a border between
 * two of them before both are made; that can be seen from the two alone. So the encoding of a text
 * is the one way to cut it into tokens of which all neighbours fit. The longest token that fits is
 * tried first; where the text cannot go on, the token before is made shorter. Each beginning of the
 * text has one encoding, so no place is come to twice, and the time is proportional to the text. */
#include "io/bpe.h"

#include <string.h>

struct aster_bpe_room {
    struct aster_ctx *ctx;
    uint64_t *dead; /* a bit per place in a text: there is no way on */
    int64_t cap;
};

int aster_bpe_room_new(struct aster_ctx *ctx, struct aster_bpe_room **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    return 0;
}

void aster_bpe_room_free(struct aster_bpe_room **r)
{
    if (*r)
        aster_free(&(*r)->dead);
    aster_free(r);
}

/* ---- a stretch of known letters ---- */

/* Back in time from the two tokens on: x is what stands left of the border, y right of it, until
 * the merges x_until and y_until take them. The pair is merged over the border if that has a lower
 * rank; of equal ranks (all three parts are the same token) the leftmost is first. */
bool bpe_fits(const struct aster_bpe *b, int32_t x, int32_t y, int32_t until)
{
    int32_t x_until = until, y_until = until;
    for (;;) {
        int32_t rank = bpe_rank(b, x, y);
        if (rank >= 0 && rank < x_until && rank <= y_until)
            return false;
        const struct bpe_token *px = &b->part[x], *py = &b->part[y];
        if (px->rank > py->rank) {
            x_until = px->rank;
            x = px->right;
        } else if (py->rank >= 0) {
            y_until = py->rank;
            y = py->left;
        } else {
            return true;
        }
    }
}

static int32_t longest_token(const struct aster_bpe *b, const char *text, const char *end)
{
    int32_t at = 0, id = -1;
    for (; text < end; text++) {
        at = b->node[(int64_t)at * b->n_letters + b->letter[(unsigned char)*text]];
        if (at < 0)
            break;
        if (b->node_id[at] >= 0)
            id = b->node_id[at];
    }
    return id;
}

/* The n letters of text; *n_ids are there already. */
static int encode_stretch(const struct aster_bpe *b, struct aster_bpe_room *r, const char *text,
                          int64_t n, int32_t *ids, int64_t *n_ids)
{
    int64_t first = *n_ids, at = 0;
    ASTER_TRY(aster_grow(r->ctx, n / 64 + 1, sizeof *r->dead, &r->cap, &r->dead));
    memset(r->dead, 0, (size_t)(n / 64 + 1) * sizeof *r->dead);
    int32_t next = longest_token(b, text, text + n);
    while (at < n) {
        for (; next >= 0; next = b->part[next].shorter) {
            int64_t to = at + b->part[next].length;
            bool dead = r->dead[to / 64] >> to % 64 & 1;
            if (!dead && (*n_ids == first || bpe_fits(b, ids[*n_ids - 1], next, INT32_MAX)))
                break;
        }
        if (next >= 0) {
            ids[(*n_ids)++] = next;
            at += b->part[next].length;
            next = longest_token(b, text + at, text + n);
        } else if (*n_ids > first) {
            r->dead[at / 64] |= 1ULL << at % 64;
            next = ids[--*n_ids];
            at -= b->part[next].length;
            next = b->part[next].shorter;
        } else {
            return aster_fail(r->ctx, ASTER_EBUG, "%s: %lld letters without encoding", b->path,
                              (long long)n);
        }
    }
    return 0;
}

/* ---- texts ---- */

static uint32_t code_point(const char *s, int n)
{
    static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)*s & first[n];
    for (int k = 1; k < n; k++)
        c = c << 6 | ((unsigned char)s[k] & 0x3f);
    return c;
}

/* The Unicode property White_Space. */
static bool is_white(uint32_t c)
{
    return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* The longest special token at text, NULL if there is none. */
static const struct bpe_special *special_at(const struct aster_bpe *b, const char *text, int64_t n)
{
    const struct bpe_special *best = NULL;
    for (int64_t k = 0; b->starts[(unsigned char)*text] && k < b->n_special; k++) {
        const struct bpe_special *s = &b->special[k];
        if ((int64_t)s->n <= n && !memcmp(s->text, text, s->n) && (!best || s->n > best->n))
            best = s;
    }
    return best;
}

/* The number of letters that text begins with, up to a special token. */
static int64_t count_letters(const struct aster_bpe *b, const char *text, int64_t n)
{
    int64_t k = 0;
    while (k < n && b->letter[(unsigned char)text[k]] >= 0 && !special_at(b, text + k, n - k))
        k++;
    return k;
}

static int encode_text(const struct aster_bpe *b, struct aster_bpe_room *r, const char *text,
                       int64_t n, int32_t *ids, int64_t *n_ids)
{
    for (int64_t at = 0; at < n;) {
        int64_t letters = count_letters(b, text + at, n - at);
        if (letters) {
            ASTER_TRY(encode_stretch(b, r, text + at, letters, ids, n_ids));
            at += letters;
            continue;
        }
        const struct bpe_special *s = special_at(b, text + at, n - at);
        int length = s ? (int)s->n : aster_utf8_length(text + at, text + n);
        if (!length)
            return aster_fail(r->ctx, ASTER_EFORMAT,
                              "byte 0x%02x at position %lld of a sequence is not UTF-8",
                              (unsigned char)text[at], (long long)at + 1);
        if (s)
            ids[(*n_ids)++] = s->id;
        else if (!is_white(code_point(text + at, length)))
            ids[(*n_ids)++] = b->unknown;
        at += length;
    }
    return 0;
}

int aster_bpe_encode(const struct aster_bpe *b, struct aster_bpe_room *r, const char *text,
                     int64_t n, int32_t *ids, int64_t *n_ids)
{
    *n_ids = 0;
    ids[(*n_ids)++] = b->begin;
    ASTER_TRY(encode_text(b, r, text, n, ids, n_ids));
    ids[(*n_ids)++] = b->end;
    return 0;
}
