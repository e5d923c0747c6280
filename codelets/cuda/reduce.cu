/* SPDX-License-Identifier: BSD-3-Clause */
/* sum_to and broadcast_to: one is the derivative of the other. */
#include "cuda/strided.h"
#include "cuda/sums.h"

enum { REDUCE_THREADS = 256, REDUCE_SHORT = 1024 };

/* x as axes that are kept (outer), summed, and the last one (a column each if it is kept). Of the
 * others at most two are kept and two summed, inner ones second. */
struct sum_plan {
    bool last_kept;
    int64_t n; /* of the last axis */
    int64_t kept[2], kept_stride[2];
    int64_t summed[2], summed_stride[2];
};

static struct sum_plan sum_plan_new(const struct aster_tensor *x, const struct aster_tensor *y)
{
    struct walk w = walk_new(x, x, y);
    struct sum_plan p = {w.stride[1][ASTER_MAX_RANK - 1] != 0,
                         w.dim[ASTER_MAX_RANK - 1],
                         {1, 1},
                         {0, 0},
                         {1, 1},
                         {0, 0}};
    int kept = 2, summed = 2;
    for (int k = ASTER_MAX_RANK - 2; k >= 0 && w.dim[k] != 1; k--) {
        const bool is_kept = w.stride[1][k] != 0;
        const int at = is_kept ? --kept : --summed;
        (is_kept ? p.kept : p.summed)[at] = w.dim[k];
        (is_kept ? p.kept_stride : p.summed_stride)[at] = w.stride[0][k];
    }
    return p;
}

template <class T>
struct sum_source {
    view<const T> x;
    struct sum_plan p;
    ASTER_DEV void operator()(int64_t o, int64_t r, int64_t c, double *v) const
    {
        int64_t at = o / p.kept[1] * p.kept_stride[0] + o % p.kept[1] * p.kept_stride[1] + c;
        if (!p.last_kept) {
            at += r % p.n;
            r /= p.n;
        }
        if (r != 0)
            at += r / p.summed[1] * p.summed_stride[0] + r % p.summed[1] * p.summed_stride[1];
        v[0] = (double)x[at];
    }
};
template <class T>
struct sum_sink {
    view<T> y;
    int64_t n_columns;
    ASTER_DEV void operator()(int64_t o, int64_t c, const double *v) const
    {
        y[o * n_columns + c] = (T)v[0];
    }
};

/* Few summands each: a warp per sum */
template <class T>
__global__ void __launch_bounds__(REDUCE_THREADS)
    sum_short(sum_source<T> source, int64_t n_outer, int64_t n_rows, sum_sink<T> sink)
{
    const int lane = threadIdx.x % WARP_SIZE;
    for (int64_t o = thread_of_grid() / WARP_SIZE; o < n_outer;
         o += threads_of_grid() / WARP_SIZE) {
        double sum = 0;
        for (int64_t r = lane; r < n_rows; r += WARP_SIZE) {
            double v;
            source(o, r, 0, &v);
            sum += v;
        }
        sum = warp_sum(sum);
        if (lane == 0)
            sink(o, 0, &sum);
    }
}

template <class T>
static void sum_to(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *y = &a->out[0];
    if (n_elements(x) == 0) {
        zero_bytes(a->device, y->p, n_elements(y) * (int64_t)sizeof(T));
        return;
    }
    const struct sum_plan p = sum_plan_new(x, y);
    const int64_t columns = p.last_kept ? p.n : 1,
                  rows = p.summed[0] * p.summed[1] * (p.last_kept ? 1 : p.n);
    const int64_t outer = p.kept[0] * p.kept[1];
    const sum_source<T> source = {in_view<T>(a, 0), p};
    const sum_sink<T> sink = {out_view<T>(a, 0), columns};
    if (columns == 1 && rows <= REDUCE_SHORT)
        ASTER_LAUNCH((sum_short<T>), grid_of(a->device, outer, REDUCE_THREADS / WARP_SIZE),
                     REDUCE_THREADS, 0, a->device, source, outer, rows, sink);
    else
        sum_run<1>(a->device, sum_sizes_new(outer, rows, columns), source, sink);
}

/* U: any type of that size */
template <class U>
__global__ void __launch_bounds__(REDUCE_THREADS)
    broadcast_cells(int64_t n, struct strided s, view<const U> x, view<U> y)
{
    for (int64_t k = thread_of_grid(); k < n; k += threads_of_grid()) {
        int64_t at[2];
        strided_place(s, k, at);
        y[k] = x[at[0]];
    }
}
template <class U>
static void broadcast(const struct aster_args *a)
{
    int64_t n = n_elements(&a->out[0]);
    if (n > 0)
        ASTER_LAUNCH((broadcast_cells<U>), grid_of(a->device, n, REDUCE_THREADS), REDUCE_THREADS, 0,
                     a->device, n, strided_new(&a->out[0], &a->in[0], NULL), in_view<U>(a, 0),
                     out_view<U>(a, 0));
}

ASTER_CUDA_OP(sum_to)
{
    ASTER_FOR_REAL(a->in[0].dtype, sum_to, a);
}
ASTER_CUDA_OP(broadcast_to)
{
    if (aster_dtype_size(a->out[0].dtype) == 8)
        broadcast<uint64_t>(a);
    else
        broadcast<uint32_t>(a);
}
