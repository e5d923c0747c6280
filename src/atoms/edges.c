/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours: every pair of a small structure is tried; large ones go through cells. */
#include "atoms/search.h"

#include <math.h>
#include <string.h>

enum { SMALL = 400, MOST_OPEN = 400 }; /* atoms: on the stack; all pairs */

/* near[j]: is atom j within the cutoff of atom i? */
static void near_single(int n, const float *x, int i, float most, uint8_t *near)
{
    const float *y = x + n, *z = y + n, xi = x[i], yi = y[i], zi = z[i];
    for (int j = 0; j < n; j++) {
        float a = x[j] - xi, b = y[j] - yi, c = z[j] - zi;
        near[j] = a * a + b * b + c * c <= most;
    }
}

static void near_double(int n, const double *x, int i, double most, uint8_t *near)
{
    const double *y = x + n, *z = y + n, xi = x[i], yi = y[i], zi = z[i];
    for (int j = 0; j < n; j++) {
        double a = x[j] - xi, b = y[j] - yi, c = z[j] - zi;
        near[j] = a * a + b * b + c * c <= most;
    }
}

/* x: room for 3 n numbers of the working precision; near: for n. A difference changes its sign only
 * when it is taken the other way round, so either direction gives the same square. */
static int open_pairs(struct aster_search *q, struct aster_edges *e, int32_t *next, void *x,
                      uint8_t *near)
{
    int n = (int)q->s->n;
    for (int k = 0; k < 3 * n; k++) {
        double at = q->s->position[3 * (k % n) + k / n];
        if (q->single)
            ((float *)x)[k] = (float)at;
        else
            ((double *)x)[k] = at;
    }
    for (int i = 0; i < n; i++) {
        ASTER_TRY(aster_search_reserve(q, e, n));
        if (q->single)
            near_single(n, x, i, (float)q->most_d2, near);
        else
            near_double(n, x, i, q->most_d2, near);
        near[i] = 0;
        int64_t begin = e->n, k = begin;
        for (int j = 0; j < n; j++) {
            e->src[k] = (int32_t)(q->first + j);
            k += near[j];
        }
        for (int64_t m = begin; m < k; m++)
            e->dst[m] = (int32_t)(q->first + i);
        memset(e->shift + 3 * begin, 0, (size_t)(k - begin) * 3 * sizeof *e->shift);
        next[i] = (int32_t)begin;
        e->n = k;
    }
    return 0;
}

static int add(struct aster_search *q, struct aster_edges *e, int64_t dst, int64_t src,
               const int32_t shift[3])
{
    ASTER_TRY(aster_search_reserve(q, e, 1));
    e->dst[e->n] = (int32_t)(q->first + dst);
    e->src[e->n] = (int32_t)(q->first + src);
    memcpy(e->shift + 3 * e->n, shift, 3 * sizeof *shift);
    e->n++;
    return 0;
}

/* Images of src at distance u along the frame's vector k and beyond, with what is left of the
 * square of reach; those before are chosen. In order of their shifts. */
static int add_images(struct aster_search *q, struct aster_edges *e, int64_t dst, int64_t src,
                      int k, const double u[3], double left, int32_t shift[3])
{
    if (k == q->n_axes) {
        bool self = dst == src && !shift[0] && !shift[1] && !shift[2],
             sure = q->reach * q->reach - left <= q->sure;
        if (self || (!sure && !aster_search_near(q, dst, src, shift)))
            return 0;
        return add(q, e, dst, src, shift);
    }
    double r = sqrt(left), step = q->lattice[k][k], last = floor((r - u[k]) / step);
    for (double s = ceil((-r - u[k]) / step); s <= last; s++) {
        double v[3], along = u[k] + s * step;
        if (along * along > left)
            continue;
        for (int m = 0; m < 3; m++)
            v[m] = u[m] + s * q->lattice[k][m];
        shift[q->axis[k]] = (int32_t)s;
        ASTER_TRY(add_images(q, e, dst, src, k + 1, v, left - along * along, shift));
    }
    shift[q->axis[k]] = 0;
    return 0;
}

static int periodic_pairs(struct aster_search *q, struct aster_edges *e, int32_t *next,
                          double (*u)[3])
{
    for (int64_t i = 0; i < q->s->n; i++)
        aster_search_locate(q, i, u[i]);
    for (int64_t i = 0; i < q->s->n; i++) {
        next[i] = (int32_t)e->n;
        for (int64_t j = 0; j < q->s->n; j++) {
            double d[3], left = q->reach * q->reach;
            int32_t shift[3] = {0};
            for (int k = 0; k < 3; k++) {
                d[k] = u[j][k] - u[i][k];
                left -= k >= q->n_axes ? d[k] * d[k] : 0;
            }
            if (left >= 0)
                ASTER_TRY(add_images(q, e, i, j, 0, d, left, shift));
        }
    }
    return 0;
}

int aster_search_pairs(struct aster_search *q, struct aster_edges *e, int32_t *next)
{
    union {
        double d[3 * SMALL];
        float f[3 * SMALL];
    } x;
    uint8_t near[SMALL];
    void *room = &x, *more = NULL;
    int64_t n = q->s->n;
    int rc;
    if (n > SMALL) {
        if (aster_alloc(NULL, n, 3 * sizeof(double) + 1, &more) < 0)
            return aster_search_no_memory(q);
        room = more;
    }
    if (q->n_axes || q->want_gap)
        rc = periodic_pairs(q, e, next, room);
    else
        rc = open_pairs(q, e, next, room, more ? (uint8_t *)more + 3 * n * 8 : near);
    aster_free(&more);
    return rc;
}

/* The edges of a pair of atoms that have one source follow each other, and their opposites follow
 * each other backwards. Opposites that go to one atom are asked for in the order in which they lie.
 */
void aster_edges_link(struct aster_edges *e, int64_t begin, int64_t first, int32_t *next)
{
    for (int64_t k = begin, run; k < e->n; k += run) {
        int32_t i = e->dst[k], j = e->src[k];
        for (run = 1; k + run < e->n && e->dst[k + run] == i && e->src[k + run] == j;)
            run++;
        int64_t opposite = next[j - first];
        for (int64_t t = 0; t < run; t++)
            e->reverse[k + t] = (int32_t)(opposite + run - 1 - t);
        next[j - first] += (int32_t)run;
    }
}

static double gap_of(const struct aster_search *q)
{
    double gap = ASTER_GAP_SEEN;
    if (q->most_near >= 0)
        gap = fmin(gap, q->cutoff - sqrt(q->most_near));
    return fmin(gap, sqrt(q->least_far) - q->cutoff);
}

int aster_edges_add(struct aster_ctx *ctx, struct aster_edges *e, int64_t first_atom,
                    const struct aster_structure *s, double cutoff, bool single,
                    double *nearest_gap)
{
    struct aster_search q;
    int32_t few[SMALL], *next = few, *more = NULL;
    int64_t begin = e->n;
    int rc;
    ASTER_TRY(aster_search_begin(&q, ctx, first_atom, s, cutoff, single, nearest_gap != NULL));
    ASTER_TRY(aster_search_limit(&q, begin, e->most));
    if (s->n > SMALL) {
        if (aster_alloc(NULL, s->n, sizeof *more, &more) < 0)
            return aster_search_no_memory(&q);
        next = more;
    }
    rc = s->n <= (q.n_axes ? ASTER_MOST_PERIODIC : MOST_OPEN) ? aster_search_pairs(&q, e, next)
                                                              : aster_search_cells(&q, e, next);
    if (rc == 0) {
        aster_edges_link(e, begin, first_atom, next);
        if (nearest_gap)
            *nearest_gap = gap_of(&q);
    } else {
        e->n = begin;
    }
    aster_free(&more);
    return rc;
}

int aster_edges_room(struct aster_edges *e, int64_t n)
{
    int64_t cap[4] = {e->capacity, e->capacity, e->capacity, e->capacity};
    if (n <= e->capacity)
        return 0;
    ASTER_TRY(aster_grow(NULL, n, sizeof *e->src, &cap[0], &e->src));
    ASTER_TRY(aster_grow(NULL, n, sizeof *e->dst, &cap[1], &e->dst));
    ASTER_TRY(aster_grow(NULL, n, 3 * sizeof *e->shift, &cap[2], &e->shift));
    ASTER_TRY(aster_grow(NULL, n, sizeof *e->reverse, &cap[3], &e->reverse));
    e->capacity = cap[0];
    return 0;
}

void aster_edges_settle(struct aster_edges *e)
{
    aster_cells_free(e);
}

void aster_edges_free(struct aster_edges *e)
{
    aster_cells_free(e);
    aster_free(&e->src);
    aster_free(&e->dst);
    aster_free(&e->shift);
    aster_free(&e->reverse);
    *e = (struct aster_edges){0};
}
