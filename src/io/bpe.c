/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoding by merges: the pair of lowest rank first, leftmost first.
 *
 * Pairs wait in one list per rank. A merge of rank r makes a token that only later merges know, so
 * every new pair has a higher rank and the lists are emptied from the lowest to the highest: linear
 * time. Places of one rank do not touch each other but in runs of one token, which are merged from
 * their left end on. */
#include "io/bpe.h"

#include <string.h>

struct node { /* a token of a stretch */
    int32_t id, prev, next;
    int32_t rank;          /* of the pair with the next; -1: none */
    int32_t before, after; /* in the list of that rank */
};
struct aster_bpe_room {
    struct aster_ctx *ctx;
    struct node *node;
    int64_t cap;
    int32_t *first;    /* of the list of each rank; -1: empty */
    uint64_t *waiting; /* a bit per rank: its list is not empty */
    int64_t n_words;
};

int aster_bpe_room_new(struct aster_ctx *ctx, const struct aster_bpe *b,
                       struct aster_bpe_room **out)
{
    struct aster_bpe_room *r = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *r, &r));
    r->ctx = ctx;
    r->n_words = (b->n_merges + 63) / 64;
    int rc = aster_alloc(ctx, b->n_merges, sizeof *r->first, &r->first);
    if (rc == 0)
        rc = aster_alloc(ctx, r->n_words, sizeof *r->waiting, &r->waiting);
    if (rc < 0) {
        aster_bpe_room_free(&r);
        return rc;
    }
    memset(r->first, 0xff, (size_t)b->n_merges * sizeof *r->first);
    *out = r;
    return 0;
}

void aster_bpe_room_free(struct aster_bpe_room **rp)
{
    struct aster_bpe_room *r = *rp;
    if (!r)
        return;
    aster_free(&r->node);
    aster_free(&r->first);
    aster_free(&r->waiting);
    aster_free(rp);
}

/* ---- merging a stretch of known characters ---- */

static void unlink_pair(struct aster_bpe_room *r, int32_t i)
{
    struct node *n = &r->node[i];
    if (n->rank < 0)
        return;
    if (n->after >= 0)
        r->node[n->after].before = n->before;
    if (n->before >= 0)
        r->node[n->before].after = n->after;
    else if ((r->first[n->rank] = n->after) < 0)
        r->waiting[n->rank / 64] &= ~(1ULL << n->rank % 64);
    n->rank = -1;
}

/* The pair of i and its next goes where it belongs now. */
static void link_pair(const struct aster_bpe *b, struct aster_bpe_room *r, int32_t i)
{
    struct node *n = &r->node[i];
    unlink_pair(r, i);
    n->rank = n->next < 0 ? -1 : bpe_rank(b, n->id, r->node[n->next].id);
    if (n->rank < 0)
        return;
    n->before = -1;
    n->after = r->first[n->rank];
    if (n->after >= 0)
        r->node[n->after].before = i;
    r->first[n->rank] = i;
    r->waiting[n->rank / 64] |= 1ULL << n->rank % 64;
}

static void merge_pair(const struct aster_bpe *b, struct aster_bpe_room *r, int32_t i)
{
    struct node *n = &r->node[i];
    int32_t rank = n->rank, gone = n->next;
    unlink_pair(r, i);
    unlink_pair(r, gone);
    n->id = b->product[rank];
    n->next = r->node[gone].next;
    if (n->next >= 0)
        r->node[n->next].prev = i;
    link_pair(b, r, i);
    if (n->prev >= 0)
        link_pair(b, r, n->prev);
}

static void merge_stretch(const struct aster_bpe *b, struct aster_bpe_room *r, int32_t n)
{
    for (int32_t k = 0; k < n; k++) {
        r->node[k].prev = k - 1;
        r->node[k].next = k + 1 < n ? k + 1 : -1;
        r->node[k].rank = -1;
    }
    for (int32_t k = 0; k < n; k++)
        link_pair(b, r, k);
    for (int64_t word = 0; word < r->n_words;) {
        if (!r->waiting[word]) {
            word++;
            continue;
        }
        int32_t rank = (int32_t)(64 * word + __builtin_ctzll(r->waiting[word])), i = r->first[rank];
        int32_t id = r->node[i].id;
        if (r->node[r->node[i].next].id == id)
            while (r->node[i].prev >= 0 && r->node[r->node[i].prev].id == id)
                i = r->node[i].prev;
        for (; i >= 0 && r->node[i].rank == rank; i = r->node[i].next)
            merge_pair(b, r, i);
    }
}

/* ---- texts ---- */

struct encoder {
    const struct aster_bpe *b;
    struct aster_bpe_room *r;
    int32_t *ids, stretch; /* characters that wait to be merged */
    int64_t n;
};

static void finish_stretch(struct encoder *e)
{
    if (e->stretch)
        merge_stretch(e->b, e->r, e->stretch);
    for (int32_t i = e->stretch ? 0 : -1; i >= 0; i = e->r->node[i].next)
        e->ids[e->n++] = e->r->node[i].id;
    e->stretch = 0;
}

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

static int encode_text(struct encoder *e, const char *text, int64_t n)
{
    for (int64_t at = 0; at < n;) {
        const struct bpe_special *s = special_at(e->b, text + at, n - at);
        int32_t single = e->b->single[(unsigned char)text[at]];
        if (!s && single >= 0) {
            e->r->node[e->stretch++].id = single;
            at++;
            continue;
        }
        finish_stretch(e);
        int length = s ? (int)s->n : aster_utf8_length(text + at, text + n);
        if (!length)
            return aster_fail(e->r->ctx, ASTER_EFORMAT,
                              "byte 0x%02x at position %lld of a sequence is not UTF-8",
                              (unsigned char)text[at], (long long)at + 1);
        if (s)
            e->ids[e->n++] = s->id;
        else if (!is_white(code_point(text + at, length)))
            e->ids[e->n++] = e->b->unknown;
        at += length;
    }
    finish_stretch(e);
    return 0;
}

int aster_bpe_encode(const struct aster_bpe *b, struct aster_bpe_room *r, const char *text,
                     int64_t n, int32_t *ids, int64_t *n_ids)
{
    struct encoder e = {.b = b, .r = r, .ids = ids};
    if (n > INT32_MAX - 2)
        return aster_fail(r->ctx, ASTER_ELIMIT, "a sequence of %lld characters; %d is the most",
                          (long long)n, INT32_MAX - 2);
    ASTER_TRY(aster_grow(r->ctx, n, sizeof *r->node, &r->cap, &r->node));
    ids[e.n++] = b->begin;
    ASTER_TRY(encode_text(&e, text, n));
    ids[e.n++] = b->end;
    *n_ids = e.n;
    return 0;
}
