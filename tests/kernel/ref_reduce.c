/* SPDX-License-Identifier: BSD-3-Clause */
/* References of sum_to and broadcast_to. */
#include "kt.h"

#include <stdlib.h>

/* Where element k of the large tensor lies in the small one, whose axes may be 1. */
static int64_t place(const struct kt_tensor *large, const struct kt_tensor *small, int64_t k)
{
    int64_t at = 0, stride = 1;
    for (int axis = large->rank - 1; axis >= 0; axis--) {
        int64_t j = k % large->dim[axis];
        k /= large->dim[axis];
        at += small->dim[axis] == 1 ? 0 : j * stride;
        stride *= small->dim[axis];
    }
    return at;
}

static void ref_sum_to(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0];
    struct kt_tensor *y = &c->out[0];
    long double *sum = calloc((size_t)y->n + 1, sizeof *sum);
    for (int64_t k = 0; k < x->n; k++)
        sum[place(x, y, k)] += (long double)x->v[k];
    for (int64_t k = 0; k < y->n; k++)
        y->v[k] = (double)sum[k];
    free(sum);
}

static void ref_broadcast_to(struct kt_case *c)
{
    for (int64_t k = 0; k < c->out[0].n; k++)
        c->out[0].v[k] = c->in[0].v[place(&c->out[0], &c->in[0], k)];
}

/* Bits of mask: the axes that are 1 in the small tensor. A first axis that stays has samples. */
static void one(struct kt *t, bool sum, int rank, const int64_t *dim, int mask)
{
    struct kt_case *c =
        kt_case_new(t, "rank %d, first size %d, ones %d", rank, rank ? (int)dim[0] : 1, mask);
    int64_t small[ASTER_MAX_RANK];
    for (int k = 0; k < rank; k++)
        small[k] = mask >> k & 1 ? 1 : dim[k];
    int batch = rank > 1 && !(mask & 1) ? 0 : KT_NO_BATCH;
    kt_in(c, KT_REAL, batch, rank, sum ? dim : small);
    kt_out(c, KT_REAL, batch, rank, sum ? small : dim);
    kt_run(c, sum ? ref_sum_to : ref_broadcast_to);
}

static void all(struct kt *t, bool sum)
{
    static const int64_t dims[][ASTER_MAX_RANK] = {
        {3, 7, 1, 2, 5}, {2, 3, 2, 3, 4}, {1, 5, 1, 31, 1}, {2, 2, 3, 2, 67}};
    one(t, sum, 0, NULL, 0);
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++)
        for (int mask = 0; mask < 32; mask++)
            one(t, sum, ASTER_MAX_RANK, dims[k], mask);
    /* batches of positions of channels: narrow, odd, wide rows; many rows */
    static const int64_t shapes[][3] = {{2, 1021, 2},   {3, 517, 20}, {2, 130, 64}, {2, 9, 700},
                                        {1, 100003, 1}, {5, 1, 1},    {2, 1024, 3}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int mask = 0; mask < 8; mask++)
            one(t, sum, 3, shapes[k], mask);
    one(t, sum, 2, (int64_t[]){4, 0}, sum ? 2 : 0);
}

void kt_op_sum_to(struct kt *t)
{
    all(t, true);
    one(t, true, 2, (int64_t[]){0, 5}, 1);
}

void kt_op_broadcast_to(struct kt *t)
{
    all(t, false);
}
