/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures at random, and what every list of neighbours has to be. */
#include "unit/atoms.h"

#include <math.h>

double roll(struct dice *d)
{
    return aster_uniform(11, d->stream, d->index++);
}

struct aster_structure random_structure(struct dice *d, int64_t n, double edge, double skew,
                                        int pbc, double spread)
{
    struct aster_structure s;
    if (!fine(aster_structure_new(ctx, n, false, &s)))
        exit(1);
    for (int k = 0; k < 3; k++) {
        s.pbc[k] = pbc >> k & 1;
        for (int x = 0; x < 3; x++)
            s.cell[3 * k + x] = edge * (x == k ? 0.8 + 0.4 * roll(d) : skew * (2 * roll(d) - 1));
    }
    s.has_cell = true;
    for (int64_t i = 0; i < n; i++) {
        double f[3] = {spread * roll(d), spread * roll(d), spread * roll(d)};
        s.number[i] = 1 + (int32_t)(roll(d) * 100);
        for (int x = 0; x < 3; x++)
            s.position[3 * i + x] = f[0] * s.cell[x] + f[1] * s.cell[3 + x] + f[2] * s.cell[6 + x];
    }
    for (int k = 0; k < 3; k++) /* rows that must not matter */
        if (!s.pbc[k] && roll(d) < 0.5)
            memset(s.cell + 3 * k, 0, 3 * sizeof(double));
    return s;
}

static int in_order(const struct aster_edges *e, int64_t a, int64_t b)
{
    if (e->dst[a] != e->dst[b])
        return e->dst[a] < e->dst[b];
    if (e->src[a] != e->src[b])
        return e->src[a] < e->src[b];
    for (int k = 0; k < 3; k++)
        if (e->shift[3 * a + k] != e->shift[3 * b + k])
            return e->shift[3 * a + k] < e->shift[3 * b + k];
    return false;
}

const char *list_fault(const struct aster_edges *e, int64_t begin, int64_t first,
                       const struct aster_structure *s, double cutoff)
{
    for (int64_t k = begin; k < e->n; k++) {
        int64_t i = e->dst[k] - first, j = e->src[k] - first, r = e->reverse[k];
        const int32_t *shift = e->shift + 3 * k;
        double d2 = 0;
        if (i < 0 || i >= s->n || j < 0 || j >= s->n)
            return "an end that is no atom";
        if (k > begin && !in_order(e, k - 1, k))
            return "not in order";
        if (r < begin || r >= e->n || e->src[r] != e->dst[k] || e->dst[r] != e->src[k])
            return "an opposite between other atoms";
        for (int x = 0; x < 3; x++) {
            double v = s->position[3 * j + x] - s->position[3 * i + x];
            for (int a = 0; a < 3; a++)
                v += shift[a] * s->cell[3 * a + x];
            d2 += v * v;
            if (e->shift[3 * r + x] != -shift[x])
                return "an opposite with another shift";
            if (shift[x] && !s->pbc[x])
                return "a shift along an axis that is not periodic";
        }
        if (i == j && !shift[0] && !shift[1] && !shift[2])
            return "an atom that is its own neighbour";
        if (!(sqrt(d2) <= cutoff * (1 + 1e-5)))
            return "a distance beyond the cutoff";
    }
    return NULL;
}

bool same_edges(const struct aster_edges *a, const struct aster_edges *b)
{
    size_t n = (size_t)a->n * sizeof(int32_t);
    return a->n == b->n &&
           (a->n == 0 ||
            (!memcmp(a->src, b->src, n) && !memcmp(a->dst, b->dst, n) &&
             !memcmp(a->shift, b->shift, 3 * n) && !memcmp(a->reverse, b->reverse, n)));
}
