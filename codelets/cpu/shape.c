/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops that move values without arithmetic, and scatter_add, the derivative of gather. */
#include "cpu/lanes.h"
#include "strides.h"

enum { SCATTER_CELLS = 8192, UNSLICE_BYTES = 8192 };

/* The first k from the given one on with idx[k] in v0 .. v0 + h - 1; n if there is none. */
static int64_t next_inside(int64_t n, const int32_t *idx, int64_t k, int64_t v0, int64_t h)
{
    typedef int32_t unaligned __attribute__((vector_size(ASTER_VB), aligned(4), may_alias));
    enum { W = ASTER_VB / 4 };
    if (v0 > INT32_MAX)
        return n;
    if (k < n && idx[k] >= v0 && idx[k] < v0 + h)
        return k;
    int32_t low = (int32_t)v0, high = (int32_t)aster_min64(v0 + h - 1, INT32_MAX);
    for (; k + W <= n; k += W) { /* vectors without any are passed over */
        aster_vi32 v = *(const unaligned *)(idx + k);
        aster_vi64 inside = (aster_vi64)((v >= low) & (v <= high));
        int64_t any = 0;
        for (int j = 0; j < W / 2; j++)
            any |= inside[j];
        if (any)
            break;
    }
    while (k < n && (idx[k] < low || idx[k] > high))
        k++;
    return k;
}

#define REAL float
#define VSUF f32
#include "cpu/shape_real.h"
#undef REAL
#undef VSUF
#define REAL double
#define VSUF f64
#include "cpu/shape_real.h"
#undef REAL
#undef VSUF

typedef uint8_t vbytes __attribute__((vector_size(ASTER_VB), aligned(1), may_alias));
typedef uint8_t vbytes16 __attribute__((vector_size(16), aligned(1), may_alias));

/* A call of memcpy costs more than a short row. */
static inline void copy_bytes(char *restrict y, const char *restrict x, int64_t n)
{
    if (n > 1024) {
        memcpy(y, x, (size_t)n);
        return;
    }
    int64_t k = 0;
    for (; k + ASTER_VB <= n; k += ASTER_VB)
        *(vbytes *)(y + k) = *(const vbytes *)(x + k);
#if ASTER_VB > 16
    for (; k + 16 <= n; k += 16)
        *(vbytes16 *)(y + k) = *(const vbytes16 *)(x + k);
#endif
    for (; k + 4 <= n; k += 4)
        memcpy(y + k, x + k, 4);
    for (; k < n; k++)
        y[k] = x[k];
}

/* Rows of one element are columns of a table. */
#define COPY_COLUMN(T)                                                                             \
    static void copy_column_##T(int64_t rows, const char *x, int64_t sx, char *y, int64_t sy)      \
    {                                                                                              \
        for (int64_t r = 0; r < rows; r++)                                                         \
            memcpy(y + r * sy, x + r * sx, sizeof(T));                                             \
    }
COPY_COLUMN(uint32_t)
COPY_COLUMN(uint64_t)

/* rows rows of n bytes, apart by sx in x and sy in y */
static void copy_rows(int64_t rows, int64_t n, const char *x, int64_t sx, char *y, int64_t sy)
{
    if (sx == n && sy == n) {
        memcpy(y, x, (size_t)(rows * n));
    } else if (n == sizeof(uint32_t)) {
        copy_column_uint32_t(rows, x, sx, y, sy);
    } else if (n == sizeof(uint64_t)) {
        copy_column_uint64_t(rows, x, sx, y, sy);
    } else {
        for (int64_t r = 0; r < rows; r++)
            copy_bytes(y + r * sy, x + r * sx, n);
    }
}

void ASTER_K(slice)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    int64_t axis = a->i[0], inner = walk_inner_bytes(x, axis);
    copy_rows(walk_outer(x, axis), a->s[1] * inner, (const char *)x->p + a->s[0] * inner,
              x->dim[axis] * inner, a->out[0].p, a->s[1] * inner);
}

void ASTER_K(unslice)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    int64_t axis = a->i[0], inner = walk_inner_bytes(x, axis);
    int64_t before = a->s[0] * inner, n = x->dim[axis] * inner;
    int64_t row = a->s[1] * inner, rows = walk_outer(x, axis),
            group = row > 0 ? aster_max64(1, UNSLICE_BYTES / row) : 1;
    char *to = a->out[0].p;
    for (int64_t r = 0; r < rows; r += group) { /* zero what the cache holds, then place x in it */
        int64_t h = aster_min64(group, rows - r);
        if (group > 1) {
            memset(to + r * row, 0, (size_t)(h * row));
        } else {
            memset(to + r * row, 0, (size_t)before);
            memset(to + r * row + before + n, 0, (size_t)(row - before - n));
        }
        copy_rows(h, n, (const char *)x->p + r * n, n, to + r * row + before, row);
    }
}

void ASTER_K(concat)(const struct aster_args *a)
{
    const struct aster_tensor *y = &a->out[0];
    int64_t axis = a->i[0], inner = walk_inner_bytes(y, axis), stride = y->dim[axis] * inner;
    char *to = y->p;
    for (int j = 0; j < a->n_in; j++) {
        int64_t n = a->in[j].dim[axis] * inner;
        copy_rows(walk_outer(y, axis), n, a->in[j].p, n, to, stride);
        to += n;
    }
}

void ASTER_K(reshape)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    if (x->p != a->out[0].p)
        memcpy(a->out[0].p, x->p, (size_t)(aster_tensor_n(x) * aster_dtype_size(x->dtype)));
}

/* y in order of its axes: sizes, and how far apart (in elements) neighbours along each lie in x.
 * Axes of size 1 are dropped, axes that are neighbours in x too are one. Right-aligned. */
struct permuted {
    int64_t dim[ASTER_MAX_RANK], sx[ASTER_MAX_RANK], sy[ASTER_MAX_RANK];
};

static struct permuted permuted_new(const struct aster_tensor *x, const int64_t *perm)
{
    struct permuted p = {.dim = {1, 1, 1, 1, 1}};
    int at = ASTER_MAX_RANK;
    int64_t sy = 1;
    for (int k = x->rank - 1; k >= 0; k--) {
        int64_t axis = perm[k], n = x->dim[axis], sx = walk_inner(x, axis);
        if (n == 1)
            continue;
        if (at < ASTER_MAX_RANK && sx == p.sx[at] * p.dim[at]) {
            p.dim[at] *= n;
        } else {
            at--;
            p.dim[at] = n;
            p.sx[at] = sx;
            p.sy[at] = sy;
        }
        sy *= n;
    }
    if (at == ASTER_MAX_RANK)
        p.sx[at - 1] = p.sy[at - 1] = 1;
    return p;
}

/* y[i sy + j] = x[i + j sx], in tiles whose rows stay in the cache */
#define FLIP(T)                                                                                    \
    static void flip_##T(int64_t ni, int64_t nj, const T *x, int64_t sx, T *y, int64_t sy)         \
    {                                                                                              \
        enum { TILE = 16 };                                                                        \
        for (int64_t i0 = 0; i0 < ni; i0 += TILE)                                                  \
            for (int64_t j0 = 0; j0 < nj; j0 += TILE) {                                            \
                int64_t i1 = aster_min64(ni, i0 + TILE), j1 = aster_min64(nj, j0 + TILE);          \
                for (int64_t i = i0; i < i1; i++)                                                  \
                    for (int64_t j = j0; j < j1; j++)                                              \
                        y[i * sy + j] = x[i + j * sx];                                             \
            }                                                                                      \
    }
FLIP(uint8_t)
FLIP(uint16_t)
FLIP(uint32_t)
FLIP(uint64_t)

static void flip(int64_t size, int64_t ni, int64_t nj, const char *x, int64_t sx, char *y,
                 int64_t sy)
{
    switch (size) {
    case 1:
        flip_uint8_t(ni, nj, (const void *)x, sx, (void *)y, sy);
        break;
    case 2:
        flip_uint16_t(ni, nj, (const void *)x, sx, (void *)y, sy);
        break;
    case 4:
        flip_uint32_t(ni, nj, (const void *)x, sx, (void *)y, sy);
        break;
    default:
        flip_uint64_t(ni, nj, (const void *)x, sx, (void *)y, sy);
        break;
    }
}

void ASTER_K(transpose)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    if (aster_tensor_n(x) == 0)
        return;
    struct permuted p = permuted_new(x, a->i);
    int64_t size = aster_dtype_size(x->dtype);
    enum { LAST = ASTER_MAX_RANK - 1 };
    /* The second axis of the inner loops: x's own last axis, or, where both share the last one, the
     * one before. */
    int second = LAST - 1;
    if (p.sx[LAST] != 1)
        while (p.sx[second] != 1)
            second--;
    int outer[3], n_outer = 0;
    for (int k = 0; k < LAST; k++)
        if (k != second)
            outer[n_outer++] = k;
    const int *o = outer;
    for (int64_t i0 = 0; i0 < p.dim[o[0]]; i0++)
        for (int64_t i1 = 0; i1 < p.dim[o[1]]; i1++)
            for (int64_t i2 = 0; i2 < p.dim[o[2]]; i2++) {
                const char *from = (const char *)x->p +
                                   (i0 * p.sx[o[0]] + i1 * p.sx[o[1]] + i2 * p.sx[o[2]]) * size;
                char *to = (char *)a->out[0].p +
                           (i0 * p.sy[o[0]] + i1 * p.sy[o[1]] + i2 * p.sy[o[2]]) * size;
                if (p.sx[LAST] == 1)
                    copy_rows(p.dim[second], p.dim[LAST] * size, from, p.sx[second] * size, to,
                              p.sy[second] * size);
                else
                    flip(size, p.dim[second], p.dim[LAST], from, p.sx[LAST], to, p.sy[second]);
            }
}

void ASTER_K(gather)(const struct aster_args *a)
{
    const struct aster_tensor *table = &a->in[0], *index = &a->in[1];
    const int32_t *idx = index->p;
    int64_t n = aster_tensor_n(index), row = walk_inner_bytes(table, 0);
    int64_t per_sample = index->rank > 0 && index->dim[0] > 0 ? n / index->dim[0] : 1;
    char *y = a->out[0].p;
    for (int64_t k = 0; k < n; k++, y += row) {
        if (idx[k] >= 0 && idx[k] < table->dim[0]) {
            copy_bytes(y, (const char *)table->p + idx[k] * row, row);
            continue;
        }
        memset(y, 0, (size_t)row);
        if (a->run && a->run->status)
            a->run->status[k / per_sample] = ASTER_EFORMAT;
    }
}

void ASTER_K(scatter_add)(const struct aster_args *a)
{
    const struct aster_tensor *dy = &a->in[0], *idx = &a->in[1], *y = &a->out[0];
    if (y->dtype == ASTER_F64)
        scatter_add_f64(aster_tensor_n(idx), y->dim[0], y->dim[1], dy->p, idx->p, y->p);
    else
        scatter_add_f32(aster_tensor_n(idx), y->dim[0], y->dim[1], dy->p, idx->p, y->p);
}
