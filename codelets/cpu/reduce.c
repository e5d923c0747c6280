/* SPDX-License-Identifier: BSD-3-Clause */
/* sum_to and broadcast_to: one is the derivative of the other. */
#include "cpu/lanes.h"
#include "strides.h"

enum { REDUCE_COLUMNS = 512, REPEAT_CELLS = 2048 };

/* x as kept and summed axes in turn, of which at most two of each lie before the last one.
 * Right-aligned: kept[1] and summed[1] are the inner ones. */
struct sum_plan {
    bool last_kept;
    int64_t n; /* of the last axis */
    int64_t kept[2], kept_stride[2];
    int64_t summed[2], summed_stride[2];
};

#define REAL float
#define VSUF f32
#include "cpu/reduce_real.h"
#undef REAL
#undef VSUF
#define REAL double
#define VSUF f64
#include "cpu/reduce_real.h"
#undef REAL
#undef VSUF

static struct sum_plan sum_plan_new(const struct aster_tensor *x, const struct aster_tensor *y)
{
    struct walk w = walk_new(x, x, y);
    struct sum_plan p = {.kept = {1, 1}, .summed = {1, 1}};
    p.n = w.dim[ASTER_MAX_RANK - 1];
    p.last_kept = w.stride[1][ASTER_MAX_RANK - 1] != 0;
    int kept = 2, summed = 2;
    for (int k = ASTER_MAX_RANK - 2; k >= 0 && w.dim[k] != 1; k--)
        if (w.stride[1][k] != 0) {
            kept--;
            p.kept[kept] = w.dim[k];
            p.kept_stride[kept] = w.stride[0][k];
        } else {
            summed--;
            p.summed[summed] = w.dim[k];
            p.summed_stride[summed] = w.stride[0][k];
        }
    return p;
}

void ASTER_K(sum_to)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *y = &a->out[0];
    if (aster_tensor_n(x) == 0) {
        memset(y->p, 0, (size_t)(aster_tensor_n(y) * aster_dtype_size(y->dtype)));
        return;
    }
    struct sum_plan p = sum_plan_new(x, y);
    if (x->dtype == ASTER_F64)
        sum_to_f64(&p, x->p, y->p);
    else
        sum_to_f32(&p, x->p, y->p);
}

/* y[0..n) = v */
#define FILL(T)                                                                                    \
    static inline void fill_##T(int64_t n, T v, T *y)                                              \
    {                                                                                              \
        typedef T vec __attribute__((vector_size(ASTER_VB), aligned(sizeof(T)), may_alias));       \
        enum { W = ASTER_VB / sizeof(T) };                                                         \
        vec all = v - (vec){0};                                                                    \
        int64_t k = 0;                                                                             \
        for (; k + W <= n; k += W)                                                                 \
            *(vec *)(y + k) = all;                                                                 \
        for (; k < n; k++)                                                                         \
            y[k] = v;                                                                              \
    }

/* rows rows of n elements, each a copy of n elements (cols = 1) or of one (cols = 0) of x, the rows
 * of x apart by stride. */
#define REPEAT(T)                                                                                  \
    static void repeat_##T(int64_t rows, int64_t n, int64_t stride, int64_t cols, const T *x,      \
                           T *y)                                                                   \
    {                                                                                              \
        if (cols &&                                                                                \
            stride == 0) { /* each copy doubles what there is, while that stays in the cache */    \
            memcpy(y, x, (size_t)n * sizeof(T));                                                   \
            int64_t have = n, all = rows * n, most = n > REPEAT_CELLS ? n : REPEAT_CELLS / n * n;  \
            for (int64_t m; have < all; have += m) {                                               \
                m = aster_min64(aster_min64(have, most), all - have);                              \
                memcpy(y + have, y, (size_t)m * sizeof(T));                                        \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t r = 0; r < rows; r++, x += stride, y += n)                                    \
            if (cols)                                                                              \
                memcpy(y, x, (size_t)n * sizeof(T));                                               \
            else                                                                                   \
                fill_##T(n, *x, y);                                                                \
    }                                                                                              \
    static void broadcast_##T(const struct walk *w, const T *x, T *y)                              \
    {                                                                                              \
        int64_t rows = w->dim[3], n = w->dim[4];                                                   \
        WALK_OUTER(w, ox, unused)                                                                  \
        {                                                                                          \
            (void)unused;                                                                          \
            repeat_##T(rows, n, w->stride[0][3], w->stride[0][4], x + ox, y);                      \
            y += rows * n;                                                                         \
        }                                                                                          \
    }
FILL(uint32_t)
FILL(uint64_t)
REPEAT(uint32_t)
REPEAT(uint64_t)

void ASTER_K(broadcast_to)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *y = &a->out[0];
    if (aster_tensor_n(y) == 0)
        return;
    struct walk w = walk_new(y, x, NULL);
    if (aster_dtype_size(y->dtype) == 8)
        broadcast_uint64_t(&w, x->p, y->p);
    else
        broadcast_uint32_t(&w, x->p, y->p);
}
