/* SPDX-License-Identifier: BSD-3-Clause */
/* What a search finds out about a structure before it looks at pairs, as plain data. */
#include "atoms/box.h"

#include "atoms/search.h"

#include <math.h>
#include <string.h>

#define DENSEST 0.18 /* atoms in a cubic Angstrom: diamond's */
#define SLACK   1.3

int aster_box_make(struct aster_ctx *ctx, const struct aster_structure *s, double cutoff,
                   bool single, int64_t most, struct aster_box *out)
{
    struct aster_search q;
    *out = (struct aster_box){0};
    ASTER_TRY(aster_search_begin(&q, ctx, 0, s, cutoff, single, false));
    ASTER_TRY(aster_search_limit(&q, 0, most));
    out->n = s->n;
    out->reach = q.reach;
    out->most_d2 = q.most_d2;
    out->n_axes = q.n_axes;
    memcpy(out->cell, q.cell, sizeof out->cell);
    memcpy(out->frame, q.frame, sizeof out->frame);
    memcpy(out->lattice, q.lattice, sizeof out->lattice);
    for (int k = 0; k < q.n_axes; k++)
        out->axis[k] = q.axis[k];
    return 0;
}

double aster_box_edges(const struct aster_box *b, double cutoff)
{
    double n = (double)b->n, ball = 4.19 * cutoff * cutoff * cutoff, volume = 1, images = 1;
    for (int k = 0; k < b->n_axes; k++) {
        volume *= b->lattice[4 * k];
        images *= 2 * cutoff / b->lattice[4 * k] + 1;
    }
    /* atoms that lie together in a large cell are as dense as any */
    double around = b->n_axes == 3 ? fmax(n / volume, DENSEST) : DENSEST;
    return n * fmin(n * images, SLACK * ball * around + 1);
}
