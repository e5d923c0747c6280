/* SPDX-License-Identifier: BSD-3-Clause */
/* References of the ops that move values. */
#include "kt.h"

#include <stdlib.h>
#include <string.h>

static const int64_t shapes[][ASTER_MAX_RANK] = {
    {3, 5, 7, 2, 1}, {2, 3, 4, 5, 16}, {4, 1, 3, 9, 67}, {2, 2, 1, 1, 300}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void split(const struct kt_tensor *t, int64_t axis, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    for (int k = 0; k < t->rank; k++)
        if (k != axis)
            *(k < axis ? outer : inner) *= t->dim[k];
}

/* y[o, j, i] = x[o, j + shift, i], where that exists */
static void shifted(const struct kt_tensor *x, struct kt_tensor *y, int64_t axis, int64_t shift)
{
    int64_t outer, inner, nx = x->dim[axis], ny = y->dim[axis];
    split(x, axis, &outer, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < ny; j++)
            for (int64_t i = 0; i < inner; i++)
                if (j + shift >= 0 && j + shift < nx)
                    y->v[(o * ny + j) * inner + i] = x->v[(o * nx + j + shift) * inner + i];
}

static void ref_slice(struct kt_case *c)
{
    shifted(&c->in[0], &c->out[0], c->i[0], c->s[0]);
}

static void ref_unslice(struct kt_case *c)
{
    shifted(&c->in[0], &c->out[0], c->i[0], -c->s[0]);
}

static void ref_concat(struct kt_case *c)
{
    int64_t at = 0;
    for (int k = 0; k < c->n_in; k++) {
        shifted(&c->in[k], &c->out[0], c->i[0], -at);
        at += c->in[k].dim[c->i[0]];
    }
}

static void slice_case(struct kt *t, bool back, enum aster_dtype dtype, const int64_t *dim,
                       int axis, int64_t start, int64_t length)
{
    struct kt_case *c = kt_case_new(t, "%s, axis %d of size %d, %d from %d",
                                    dtype == KT_REAL ? "real" : aster_dtype_name(dtype), axis,
                                    (int)dim[axis], (int)length, (int)start);
    int64_t part[ASTER_MAX_RANK];
    memcpy(part, dim, sizeof part);
    part[axis] = length;
    c->i[0] = axis;
    c->s[0] = start;
    c->s[1] = back ? dim[axis] : length;
    int batch = axis == 0 ? KT_NO_BATCH : 0;
    double *x = kt_in(c, dtype, batch, ASTER_MAX_RANK, back ? part : dim);
    if (dtype != KT_REAL)
        kt_fill_below(t, c->in[0].n, x, 200);
    kt_out(c, dtype, batch, ASTER_MAX_RANK, back ? dim : part);
    kt_run(c, back ? ref_unslice : ref_slice);
}

static void slices(struct kt *t, bool back)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int axis = 0; axis < ASTER_MAX_RANK; axis++) {
            int64_t n = shapes[k][axis];
            slice_case(t, back, KT_REAL, shapes[k], axis, 0, n);
            slice_case(t, back, KT_REAL, shapes[k], axis, n / 2, n - n / 2);
            slice_case(t, back, KT_REAL, shapes[k], axis, n / 3, (n + 2) / 3);
            slice_case(t, back, KT_REAL, shapes[k], axis, n / 2, 0);
            slice_case(t, back, ASTER_I32, shapes[k], axis, n / 3, (n + 2) / 3);
            slice_case(t, back, ASTER_U8, shapes[k], axis, n / 2, n - n / 2);
        }
}

void kt_op_slice(struct kt *t)
{
    slices(t, false);
}

void kt_op_unslice(struct kt *t)
{
    slices(t, true);
}

void kt_op_concat(struct kt *t)
{
    for (int k = 0; k < N_SHAPES; k++)
        for (int axis = 0; axis < ASTER_MAX_RANK; axis++)
            for (int n = 2; n <= ASTER_MAX_IN; n++) {
                struct kt_case *c = kt_case_new(t, "shape %d, axis %d, %d inputs", k, axis, n);
                int batch = axis == 0 ? KT_NO_BATCH : 0;
                int64_t dim[ASTER_MAX_RANK], total = 0;
                memcpy(dim, shapes[k], sizeof dim);
                c->i[0] = axis;
                for (int j = 0; j < n; j++) {
                    dim[axis] = n == 2 ? shapes[k][axis] : kt_below(t, 6);
                    total += dim[axis];
                    kt_in(c, KT_REAL, batch, ASTER_MAX_RANK, dim);
                }
                dim[axis] = total;
                kt_out(c, KT_REAL, batch, ASTER_MAX_RANK, dim);
                kt_run(c, ref_concat);
            }
}

static void ref_transpose(struct kt_case *c)
{
    const struct kt_tensor *x = &c->in[0];
    struct kt_tensor *y = &c->out[0];
    int64_t at[ASTER_MAX_RANK] = {0};
    for (int64_t k = 0; k < y->n; k++) {
        int64_t from = 0, rest = k;
        for (int axis = y->rank - 1; axis >= 0; axis--) {
            at[c->i[axis]] = rest % y->dim[axis];
            rest /= y->dim[axis];
        }
        for (int axis = 0; axis < x->rank; axis++)
            from = from * x->dim[axis] + at[axis];
        y->v[k] = x->v[from];
    }
}

static void transpose_case(struct kt *t, enum aster_dtype dtype, int rank, const int64_t *dim,
                           const int *perm)
{
    struct kt_case *c =
        kt_case_new(t, "rank %d, %d %d %d %d %d", rank, perm[0], rank > 1 ? perm[1] : 0,
                    rank > 2 ? perm[2] : 0, rank > 3 ? perm[3] : 0, rank > 4 ? perm[4] : 0);
    int64_t out[ASTER_MAX_RANK];
    int batch = 0;
    for (int k = 0; k < rank; k++) {
        c->i[k] = perm[k];
        out[k] = dim[perm[k]];
        if (perm[k] == 0)
            batch = k;
    }
    double *x = kt_in(c, dtype, 0, rank, dim);
    if (dtype != KT_REAL)
        kt_fill_below(t, c->in[0].n, x, 200);
    kt_out(c, dtype, batch, rank, out);
    kt_run(c, ref_transpose);
}

void kt_op_transpose(struct kt *t)
{
    for (int code = 0; code < 5 * 5 * 5 * 5 * 5; code++) { /* all permutations of 2 to 5 axes */
        int perm[ASTER_MAX_RANK], seen = 0;
        for (int k = 0, rest = code; k < ASTER_MAX_RANK; k++, rest /= 5) {
            perm[k] = rest % 5;
            seen |= 1 << perm[k];
        }
        if (seen == 31)
            for (int k = 0; k < N_SHAPES; k++)
                transpose_case(t, KT_REAL, 5, shapes[k], perm);
    }
    transpose_case(t, KT_REAL, 2, (int64_t[]){131, 67}, (int[]){1, 0});
    transpose_case(t, KT_REAL, 2, (int64_t[]){0, 67}, (int[]){1, 0});
    transpose_case(t, KT_REAL, 3, (int64_t[]){3, 40, 16}, (int[]){1, 0, 2});
    transpose_case(t, ASTER_I32, 3, (int64_t[]){3, 40, 17}, (int[]){2, 0, 1});
    transpose_case(t, ASTER_U8, 2, (int64_t[]){33, 70}, (int[]){1, 0});
    transpose_case(t, ASTER_BF16, 2, (int64_t[]){18, 35}, (int[]){1, 0});
}

static void ref_copy(struct kt_case *c)
{
    memcpy(c->out[0].v, c->in[0].v, (size_t)c->in[0].n * sizeof(double));
}

void kt_op_reshape(struct kt *t)
{
    static const int64_t sizes[] = {0, 1, 7, 4096};
    for (int k = 0; k < 4; k++) {
        struct kt_case *c = kt_case_new(t, "n %d", (int)sizes[k]);
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(sizes[k], 6));
        kt_out(c, KT_REAL, KT_NO_BATCH, KT_DIMS(2, sizes[k], 3));
        c->in_place[0] = true;
        kt_run(c, ref_copy);
    }
}

static void ref_gather(struct kt_case *c)
{
    const struct kt_tensor *table = &c->in[0], *idx = &c->in[1];
    int64_t dim = table->dim[1];
    for (int64_t k = 0; k < idx->n; k++)
        if (idx->v[k] >= 0 && idx->v[k] < (double)table->dim[0])
            memcpy(c->out[0].v + k * dim, table->v + (int64_t)idx->v[k] * dim,
                   (size_t)dim * sizeof(double));
        else
            c->status[k / (idx->n / idx->dim[0])] = ASTER_EFORMAT;
}

/* Every bad-th index is outside the table, in turn below and above; 0: none is. */
static void bad_indices(struct kt *t, struct kt_tensor *idx, int64_t rows, int64_t bad)
{
    kt_fill_below(t, idx->n, idx->v, rows);
    for (int64_t k = bad; bad > 0 && k < idx->n; k += bad)
        idx->v[k] =
            k % 2 ? -1 - (double)kt_below(t, 9) : (double)rows + (double)kt_below(t, 2) * 1e9;
}

void kt_op_gather(struct kt *t)
{
    static const int64_t sizes[][4] = {{1, 1, 1, 1},     {33, 64, 5, 41}, {7, 3, 2, 9},
                                       {1000, 17, 3, 1}, {5, 1, 4, 30},   {4, 6, 0, 3}};
    for (int k = 0; k < 6; k++)
        for (int bad = 0; bad <= 13; bad += 13) {
            const int64_t *s = sizes[k];
            struct kt_case *c = kt_case_new(t, "table %d %d, bad %d", (int)s[0], (int)s[1], bad);
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[0], s[1]));
            kt_in(c, ASTER_I32, 0, KT_DIMS(s[2], s[3]));
            bad_indices(t, &c->in[1], s[0], bad);
            kt_out(c, KT_REAL, 0, KT_DIMS(s[2], s[3], s[1]));
            kt_run(c, ref_gather);
        }
}

static void ref_scatter_add(struct kt_case *c)
{
    const struct kt_tensor *dy = &c->in[0], *idx = &c->in[1];
    struct kt_tensor *y = &c->out[0];
    long double *sum = calloc((size_t)y->n + 1, sizeof *sum);
    int64_t dim = y->dim[1];
    for (int64_t k = 0; k < idx->n; k++)
        for (int64_t d = 0; d < dim && idx->v[k] >= 0 && idx->v[k] < (double)y->dim[0]; d++)
            sum[(int64_t)idx->v[k] * dim + d] += (long double)dy->v[k * dim + d];
    for (int64_t k = 0; k < y->n; k++)
        y->v[k] = (double)sum[k];
    free(sum);
}

void kt_op_scatter_add(struct kt *t)
{
    static const int64_t sizes[][4] = {{1, 1, 1, 1},      {33, 64, 5, 410}, {7, 3, 2, 9},
                                       {1000, 17, 3, 50}, {300, 70, 2, 99}, {5, 1, 4, 3000},
                                       {4, 6, 0, 3},      {3, 5000, 2, 4}};
    for (int k = 0; k < 8; k++)
        for (int bad = 0; bad <= 13; bad += 13) {
            const int64_t *s = sizes[k];
            struct kt_case *c = kt_case_new(t, "table %d %d, bad %d", (int)s[0], (int)s[1], bad);
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[2], s[3], s[1]));
            kt_in(c, ASTER_I32, KT_NO_BATCH, KT_DIMS(s[2], s[3]));
            bad_indices(t, &c->in[1], s[0], bad);
            c->s[0] = s[0];
            kt_out(c, KT_REAL, KT_NO_BATCH, KT_DIMS(s[0], s[1]));
            kt_run(c, ref_scatter_add);
        }
}
