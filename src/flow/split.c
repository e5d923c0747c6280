/* SPDX-License-Identifier: BSD-3-Clause */
/* Training and validation parts: the reference's permutation, or groups of similar sequences kept
 * together. */
#include "flow/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define K 5 /* letters of a word that two sequences may share */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int compare_named(const void *a, const void *b)
{
    const struct aster_protein *x = *(const struct aster_protein *const *)a,
                               *y = *(const struct aster_protein *const *)b;
    return strcmp(x->sequence, y->sequence);
}

/* Keeps the first of equal sequences, in the order of the list. */
static int drop_repeats(struct aster_ctx *ctx, struct aster_split *s)
{
    const struct aster_protein **sorted = NULL;
    int64_t kept = 0;
    ASTER_TRY(aster_alloc(ctx, s->n, sizeof *sorted, &sorted));
    memcpy(sorted, s->p, (size_t)s->n * sizeof *sorted);
    qsort(sorted, (size_t)s->n, sizeof *sorted, compare_named);
    bool *taken = NULL; /* one flag per run of equal sequences, at its first place in sorted */
    int rc = aster_alloc(ctx, s->n, sizeof *taken, &taken);
    for (int64_t i = 0; rc == 0 && i < s->n; i++) {
        int64_t lo = 0, hi = s->n;
        while (lo < hi) {
            int64_t mid = (lo + hi) / 2;
            if (strcmp(sorted[mid]->sequence, s->p[i]->sequence) < 0)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (!taken[lo])
            s->p[kept++] = s->p[i];
        taken[lo] = true;
    }
    if (rc == 0)
        s->n = kept;
    aster_free(&taken);
    aster_free(&sorted);
    return rc;
}

/* Distinct words of a sequence, sorted, as numbers; returns how many. out has room for its length.
 */
static int64_t words_of(const struct aster_protein *p, uint64_t *out)
{
    int64_t n = 0, kept = 0;
    for (int64_t i = 0; i + K <= p->length; i++) {
        uint64_t w = 0;
        for (int k = 0; k < K; k++)
            w = w << 8 | (unsigned char)p->sequence[i + k];
        out[n++] = w;
    }
    qsort(out, (size_t)n, sizeof *out, compare_u64);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || out[i] != out[i - 1])
            out[kept++] = out[i];
    return kept;
}

struct posting {
    uint64_t word;
    int64_t sequence;
};

static int compare_posting(const void *a, const void *b)
{
    const struct posting *x = a, *y = b;
    if (x->word != y->word)
        return x->word < y->word ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static int64_t find_root(int64_t *parent, int64_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* Joins i with every later sequence that shares enough of its words. */
static void join_similar(int64_t i, int64_t n_words, const uint64_t *words,
                         const int64_t *n_words_of, int64_t n_postings,
                         const struct posting *postings, int32_t *shared, int64_t n, double share,
                         int64_t *parent)
{
    memset(shared, 0, (size_t)n * sizeof *shared);
    for (int64_t k = 0; k < n_words; k++) {
        int64_t lo = 0, hi = n_postings;
        while (lo < hi) {
            int64_t mid = (lo + hi) / 2;
            if (postings[mid].word < words[k] ||
                (postings[mid].word == words[k] && postings[mid].sequence <= i))
                lo = mid + 1;
            else
                hi = mid;
        }
        for (; lo < n_postings && postings[lo].word == words[k]; lo++)
            shared[postings[lo].sequence]++;
    }
    for (int64_t j = i + 1; j < n; j++) {
        int64_t fewer = aster_min64(n_words, n_words_of[j]);
        if (fewer > 0 && shared[j] > 0 && (double)shared[j] >= share * (double)fewer) {
            int64_t a = find_root(parent, i), b = find_root(parent, j);
            parent[aster_max64(a, b)] = aster_min64(a, b);
        }
    }
}

/* parent[i]: the first sequence of the group that i belongs to. */
static int group(struct aster_ctx *ctx, const struct aster_split *s, double share, int64_t *parent)
{
    struct posting *postings = NULL;
    uint64_t *words = NULL;
    int64_t *count = NULL, total = 0, longest = 0, n = 0;
    int32_t *shared = NULL;
    int rc;
    for (int64_t i = 0; i < s->n; i++) {
        total += s->p[i]->length;
        longest = aster_max64(longest, s->p[i]->length);
        parent[i] = i;
    }
    ASTER_GOTO(aster_alloc(ctx, total, sizeof *postings, &postings), done);
    ASTER_GOTO(aster_alloc(ctx, longest, sizeof *words, &words), done);
    ASTER_GOTO(aster_alloc(ctx, s->n, sizeof *count, &count), done);
    ASTER_GOTO(aster_alloc(ctx, s->n, sizeof *shared, &shared), done);
    for (int64_t i = 0; i < s->n; i++) {
        count[i] = words_of(s->p[i], words);
        for (int64_t k = 0; k < count[i]; k++)
            postings[n++] = (struct posting){words[k], i};
    }
    qsort(postings, (size_t)n, sizeof *postings, compare_posting);
    for (int64_t i = 0; i < s->n; i++)
        join_similar(i, words_of(s->p[i], words), words, count, n, postings, shared, s->n, share,
                     parent);
    for (int64_t i = 0; i < s->n; i++)
        parent[i] = find_root(parent, i);
done:
    aster_free(&postings);
    aster_free(&words);
    aster_free(&count);
    aster_free(&shared);
    return rc;
}

/* Whole groups, in shuffled order, validate until the share is reached. */
static int split_groups(struct aster_ctx *ctx, struct aster_split *s, uint32_t seed, double share)
{
    int64_t *parent = NULL, *roots = NULL, *perm = NULL, n_groups = 0, at = 0, n_val = -1;
    int rc;
    ASTER_GOTO(aster_alloc(ctx, s->n, sizeof *parent, &parent), done);
    ASTER_GOTO(aster_alloc(ctx, s->n, sizeof *roots, &roots), done);
    ASTER_GOTO(aster_alloc(ctx, s->n, sizeof *perm, &perm), done);
    ASTER_GOTO(group(ctx, s, share, parent), done);
    for (int64_t i = 0; i < s->n; i++)
        if (parent[i] == i)
            roots[n_groups++] = i;
    aster_shuffle_mt19937(seed, n_groups, perm);
    for (int64_t g = 0; g < n_groups; g++) {
        for (int64_t i = roots[perm[g]]; i < s->n; i++)
            if (parent[i] == roots[perm[g]])
                s->order[at++] = i;
        if (n_val < 0 && at >= s->n_val)
            n_val = at;
    }
    s->n_val = n_val < 0 ? 0 : n_val;
    aster_log(ctx, ASTER_LOG_INFO, "%lld groups of similar sequences", (long long)n_groups);
done:
    aster_free(&parent);
    aster_free(&roots);
    aster_free(&perm);
    return rc;
}

int aster_split_new(struct aster_ctx *ctx, int64_t n, const struct aster_protein **p,
                    double train_split, uint32_t seed, bool grouped, bool deduplicate, double share,
                    struct aster_split **out)
{
    struct aster_split *s = NULL;
    int rc = 0;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    s->n = n;
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *s->p, &s->p), fail);
    memcpy(s->p, p, (size_t)n * sizeof *p);
    if (deduplicate && n)
        ASTER_GOTO(drop_repeats(ctx, s), fail);
    ASTER_GOTO(aster_alloc(ctx, s->n, sizeof *s->order, &s->order), fail);
    s->n_val = (int64_t)ceil((1 - train_split) * (double)s->n);
    if (grouped)
        ASTER_GOTO(split_groups(ctx, s, seed, share), fail);
    else
        aster_shuffle_mt19937(seed, s->n, s->order);
    if (s->n_val < 1 || s->n_val >= s->n)
        ASTER_GOTO(
            aster_fail(
                ctx, ASTER_EPARAM,
                "a split of %lld proteins with train_split %g leaves %lld to train on and %lld to "
                "validate; both must have one at least",
                (long long)s->n, train_split, (long long)(s->n - s->n_val), (long long)s->n_val),
            fail);
    *out = s;
    return 0;
fail:
    aster_split_free(&s);
    return rc;
}

void aster_split_free(struct aster_split **s)
{
    if (!*s)
        return;
    aster_free(&(*s)->p);
    aster_free(&(*s)->order);
    aster_free(s);
}
