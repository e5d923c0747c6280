/* SPDX-License-Identifier: BSD-3-Clause */
/* Equal texts by hash and comparison, in an open table that grows; and the rows of tokens that are
 * pooled. */
#include "seq/seq.h"

#include <string.h>

struct text {
    uint64_t hash;
    int64_t at, n; /* in the bytes */
};
struct aster_same {
    struct aster_ctx *ctx;
    struct text *texts;
    char *bytes;
    int64_t *slot; /* number of a text + 1, 0: free; n_slots is a power of two */
    int64_t n, n_bytes, n_slots, cap, cap_bytes;
};

int aster_same_new(struct aster_ctx *ctx, struct aster_same **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    return 0;
}

void aster_same_free(struct aster_same **sp)
{
    struct aster_same *s = *sp;
    if (!s)
        return;
    aster_free(&s->texts);
    aster_free(&s->bytes);
    aster_free(&s->slot);
    aster_free(sp);
}

static uint64_t hash_of(const char *text, int64_t n)
{
    uint64_t h = (uint64_t)n * 0x9E3779B97F4A7C15ULL, word;
    for (; n >= 8; n -= 8, text += 8) {
        memcpy(&word, text, 8);
        h = aster_mix64(h ^ word);
    }
    word = 0;
    memcpy(&word, text, (size_t)n);
    return aster_mix64(h ^ word);
}

/* The slot of an equal text, or the free one where it belongs. */
static int64_t *find(struct aster_same *s, uint64_t hash, const char *text, int64_t n)
{
    for (uint64_t k = hash;; k++) {
        int64_t *slot = &s->slot[k & (uint64_t)(s->n_slots - 1)];
        const struct text *t = &s->texts[*slot - (*slot > 0)];
        if (*slot == 0 ||
            (t->hash == hash && t->n == n && !memcmp(s->bytes + t->at, text, (size_t)n)))
            return slot;
    }
}

static int widen(struct aster_same *s)
{
    int64_t n_slots = s->n_slots ? s->n_slots * 2 : 64, *slot = NULL;
    ASTER_TRY(aster_alloc(s->ctx, n_slots, sizeof *slot, &slot));
    for (int64_t i = 0; i < s->n; i++) {
        uint64_t k = s->texts[i].hash;
        while (slot[k & (uint64_t)(n_slots - 1)])
            k++;
        slot[k & (uint64_t)(n_slots - 1)] = i + 1;
    }
    aster_free(&s->slot);
    s->slot = slot;
    s->n_slots = n_slots;
    return 0;
}

int aster_same_add(struct aster_same *s, const char *text, int64_t n, int64_t *number)
{
    uint64_t hash = hash_of(text, n);
    ASTER_TRY(aster_grow(s->ctx, s->n + 1, sizeof *s->texts, &s->cap, &s->texts));
    ASTER_TRY(aster_grow(s->ctx, s->n_bytes + n + 1, 1, &s->cap_bytes, &s->bytes));
    if (s->n * 2 >= s->n_slots)
        ASTER_TRY(widen(s));
    int64_t *slot = find(s, hash, text, n);
    *number = *slot ? *slot - 1 : s->n;
    if (*slot)
        return 1;
    *slot = s->n + 1;
    s->texts[s->n++] = (struct text){hash, s->n_bytes, n};
    memcpy(s->bytes + s->n_bytes, text, (size_t)n);
    s->n_bytes += n;
    return 0;
}

int64_t aster_same_count(const struct aster_same *s)
{
    return s->n;
}

int64_t aster_same_bytes(const struct aster_same *s)
{
    return s->n_bytes;
}

void aster_same_clear(struct aster_same *s)
{
    s->n = s->n_bytes = 0;
    if (s->n_slots)
        memset(s->slot, 0, (size_t)s->n_slots * sizeof *s->slot);
}

struct aster_pooled aster_pooled_esm2(int64_t n_residues)
{
    int64_t n = aster_min64(n_residues, ASTER_ESM2_MOST_RESIDUES);
    return (struct aster_pooled){.n_tokens = n + 2, .first = 1, .n = n, .n_cut = n_residues - n};
}

struct aster_pooled aster_pooled_dnabert(int64_t n_tokens)
{
    return (struct aster_pooled){.n_tokens = n_tokens, .n = n_tokens};
}
