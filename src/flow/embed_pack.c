/* SPDX-License-Identifier: BSD-3-Clause */
/* Sequences into batches of a token budget. */
#include "flow/embedder.h"

#include <stdlib.h>

static int longest_first(const void *a, const void *b, void *arg)
{
    const int64_t *tokens = arg, x = *(const int64_t *)a, y = *(const int64_t *)b;
    if (tokens[x] != tokens[y])
        return tokens[x] > tokens[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

void aster_embed_pack(int64_t n, const int64_t *tokens, int64_t budget, int64_t *order, int64_t *at,
                      int64_t *n_batches)
{
    int64_t sum = 0;
    for (int64_t k = 0; k < n; k++)
        order[k] = k;
    if (n)
        qsort_r(order, (size_t)n, sizeof *order, longest_first, (void *)tokens);
    *n_batches = 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t t = tokens[order[k]];
        if (k == 0 || t > budget - sum) {
            at[(*n_batches)++] = k;
            sum = 0;
        }
        sum += t;
    }
    at[*n_batches] = n;
}
