/* SPDX-License-Identifier: BSD-3-Clause */
/* Layer normalisation and softmax over the last axis: a warp per row, a block per wide row. A row's
 * result depends on that row only. */
#include "cuda/sums.h"

enum { NORM_THREADS = 256, NORM_WIDE = 1024, NORM_WARPS = NORM_THREADS / WARP_SIZE };

struct rows {
    int64_t n, width;
};
static struct rows rows_of(const struct aster_tensor *x)
{
    struct rows r = {1, x->rank ? x->dim[x->rank - 1] : 1};
    for (int k = 0; k < x->rank - 1; k++)
        r.n *= x->dim[k];
    return r;
}

template <class T>
struct add_two {
    ASTER_DEV T operator()(T a, T b) const
    {
        return a + b;
    }
};
template <class T>
struct larger_of_two {
    ASTER_DEV T operator()(T a, T b) const
    {
        return b > a ? b : a;
    }
};
/* One value of all threads of a row, in each of them, by the same tree always. cells: one per warp.
 */
template <int GROUP, class T, class F>
ASTER_DEV T row_join(T v, F f, shared<T> cells)
{
    for (int with = WARP_SIZE / 2; with > 0; with /= 2)
        v = f(v, (T)__shfl_xor_sync(0xffffffffU, v, with));
    if (GROUP > WARP_SIZE) {
        if (threadIdx.x % WARP_SIZE == 0)
            cells[threadIdx.x / WARP_SIZE] = v;
        __syncthreads();
        v = cells[0];
        for (int w = 1; w < NORM_WARPS; w++)
            v = f(v, (T)cells[w]);
        __syncthreads();
    }
    return v;
}
template <int GROUP>
ASTER_DEV int64_t first_row()
{
    return thread_of_grid() / GROUP;
}
template <int GROUP>
ASTER_DEV int64_t rows_at_once()
{
    return threads_of_grid() / GROUP;
}

template <class T, int GROUP>
__global__ void __launch_bounds__(NORM_THREADS)
    layernorm_kernel(struct rows s, double eps, view<const T> x, view<const T> gamma,
                     view<const T> beta, view<T> y, view<T> stats)
{
    ASTER_SHARED(double, cells, NORM_WARPS);
    const int lane = threadIdx.x % GROUP;
    const double n = s.width ? (double)s.width : 1;
    for (int64_t r = first_row<GROUP>(); r < s.n; r += rows_at_once<GROUP>()) {
        double sum = 0, square = 0;
        for (int64_t i = lane; i < s.width; i += GROUP)
            sum += (double)(T)x[r * s.width + i];
        const double mean = row_join<GROUP>(sum, add_two<double>(), cells) / n;
        for (int64_t i = lane; i < s.width; i += GROUP) {
            const double d = (double)(T)x[r * s.width + i] - mean;
            square += d * d;
        }
        const double scale = 1 / sqrt(row_join<GROUP>(square, add_two<double>(), cells) / n + eps);
        if (lane == 0) {
            stats[2 * r] = (T)mean;
            stats[2 * r + 1] = (T)scale;
        }
        for (int64_t i = lane; i < s.width; i += GROUP)
            y[r * s.width + i] =
                (T)(((double)(T)x[r * s.width + i] - mean) * scale) * (T)gamma[i] + (T)beta[i];
    }
}

/* dx = r (g - mean(g) - xhat mean(g xhat)), g = dy gamma */
template <class T, int GROUP>
__global__ void __launch_bounds__(NORM_THREADS)
    layernorm_dx_kernel(struct rows s, view<const T> dy, view<const T> x, view<const T> gamma,
                        view<const T> stats, view<T> dx)
{
    ASTER_SHARED(double, cells, NORM_WARPS);
    const int lane = threadIdx.x % GROUP;
    const double n = s.width ? (double)s.width : 1;
    for (int64_t r = first_row<GROUP>(); r < s.n; r += rows_at_once<GROUP>()) {
        const double mean = (double)(T)stats[2 * r], scale = (double)(T)stats[2 * r + 1];
        double g0 = 0, g1 = 0;
        for (int64_t i = lane; i < s.width; i += GROUP) {
            const double g = (double)(T)dy[r * s.width + i] * (double)(T)gamma[i];
            g0 += g;
            g1 += g * (((double)(T)x[r * s.width + i] - mean) * scale);
        }
        g0 = row_join<GROUP>(g0, add_two<double>(), cells) / n;
        g1 = row_join<GROUP>(g1, add_two<double>(), cells) / n;
        for (int64_t i = lane; i < s.width; i += GROUP) {
            const double g = (double)(T)dy[r * s.width + i] * (double)(T)gamma[i];
            dx[r * s.width + i] =
                (T)(scale * (g - g0 - ((double)(T)x[r * s.width + i] - mean) * scale * g1));
        }
    }
}

template <class T>
struct affine_source {
    view<const T> dy, x, stats;
    int64_t width;
    ASTER_DEV void operator()(int64_t, int64_t r, int64_t c, double *v) const
    {
        v[1] = (double)(T)dy[r * width + c];
        v[0] = v[1] * (((double)(T)x[r * width + c] - (double)(T)stats[2 * r]) *
                       (double)(T)stats[2 * r + 1]);
    }
};
template <class T>
struct affine_sink {
    view<T> dgamma, dbeta;
    ASTER_DEV void operator()(int64_t, int64_t c, const double *v) const
    {
        dgamma[c] = (T)v[0];
        dbeta[c] = (T)v[1];
    }
};

/* A row of -inf only, as masks make it, gives zeros. */
template <class T, int GROUP>
__global__ void __launch_bounds__(NORM_THREADS)
    softmax_kernel(struct rows s, view<const T> x, view<T> y)
{
    ASTER_SHARED(T, tops, NORM_WARPS);
    ASTER_SHARED(double, cells, NORM_WARPS);
    const int lane = threadIdx.x % GROUP;
    for (int64_t r = first_row<GROUP>(); r < s.n; r += rows_at_once<GROUP>()) {
        T most = (T)-INFINITY;
        bool nan = false; /* not hidden by the comparison */
        for (int64_t i = lane; i < s.width; i += GROUP) {
            const T v = x[r * s.width + i];
            most = v > most ? v : most;
            nan = nan || v != v;
        }
        most = row_join<GROUP>(most, larger_of_two<T>(), tops);
        const bool any_nan = row_join<GROUP>(nan ? T(1) : T(0), larger_of_two<T>(), tops) > 0;
        double sum = 0;
        for (int64_t i = lane; i < s.width; i += GROUP)
            sum += (double)exp((T)x[r * s.width + i] - most);
        const T scale = (T)(1 / row_join<GROUP>(sum, add_two<double>(), cells));
        for (int64_t i = lane; i < s.width; i += GROUP) {
            const T v = exp((T)x[r * s.width + i] - most) * scale;
            y[r * s.width + i] = any_nan ? (T)NAN : most == (T)-INFINITY ? T(0) : v;
        }
    }
}

template <class T, int GROUP>
__global__ void __launch_bounds__(NORM_THREADS)
    softmax_dx_kernel(struct rows s, view<const T> y, view<const T> dy, view<T> dx)
{
    ASTER_SHARED(double, cells, NORM_WARPS);
    const int lane = threadIdx.x % GROUP;
    for (int64_t r = first_row<GROUP>(); r < s.n; r += rows_at_once<GROUP>()) {
        double sum = 0;
        for (int64_t i = lane; i < s.width; i += GROUP)
            sum += (double)(T)y[r * s.width + i] * (double)(T)dy[r * s.width + i];
        const T d = (T)row_join<GROUP>(sum, add_two<double>(), cells);
        for (int64_t i = lane; i < s.width; i += GROUP)
            dx[r * s.width + i] = (T)y[r * s.width + i] * ((T)dy[r * s.width + i] - d);
    }
}

/* Launches kernel<T, GROUP>(s, arguments...) with as many threads per row as the width asks for. */
#define NORM_LAUNCH(kernel, s, device, ...)                                                        \
    do {                                                                                           \
        if ((s).n == 0)                                                                            \
            break;                                                                                 \
        if ((s).width > NORM_WIDE)                                                                 \
            ASTER_LAUNCH((kernel<T, NORM_THREADS>), grid_of(device, (s).n, 1), NORM_THREADS, 0,    \
                         device, s, __VA_ARGS__);                                                  \
        else                                                                                       \
            ASTER_LAUNCH((kernel<T, WARP_SIZE>), grid_of(device, (s).n, NORM_WARPS), NORM_THREADS, \
                         0, device, s, __VA_ARGS__);                                               \
    } while (0)

template <class T>
static void layernorm(const struct aster_args *a)
{
    const struct rows s = rows_of(&a->in[0]);
    NORM_LAUNCH(layernorm_kernel, s, a->device, a->f[0], in_view<T>(a, 0), in_view<T>(a, 1),
                in_view<T>(a, 2), out_view<T>(a, 0), out_view<T>(a, 1));
}
template <class T>
static void layernorm_dx(const struct aster_args *a)
{
    const struct rows s = rows_of(&a->in[1]);
    NORM_LAUNCH(layernorm_dx_kernel, s, a->device, in_view<T>(a, 0), in_view<T>(a, 1),
                in_view<T>(a, 2), in_view<T>(a, 3), out_view<T>(a, 0));
    sum_run<2>(a->device, sum_sizes_new(1, s.n, s.width),
               affine_source<T>{in_view<T>(a, 0), in_view<T>(a, 1), in_view<T>(a, 3), s.width},
               affine_sink<T>{out_view<T>(a, 1), out_view<T>(a, 2)});
}
template <class T>
static void softmax(const struct aster_args *a)
{
    const struct rows s = rows_of(&a->in[0]);
    NORM_LAUNCH(softmax_kernel, s, a->device, in_view<T>(a, 0), out_view<T>(a, 0));
}
template <class T>
static void softmax_dx(const struct aster_args *a)
{
    const struct rows s = rows_of(&a->in[0]);
    NORM_LAUNCH(softmax_dx_kernel, s, a->device, in_view<T>(a, 0), in_view<T>(a, 1),
                out_view<T>(a, 0));
}

ASTER_CUDA_OP(layernorm)
{
    ASTER_FOR_REAL(a->in[0].dtype, layernorm, a);
}
ASTER_CUDA_OP(layernorm_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, layernorm_dx, a);
}
ASTER_CUDA_OP(softmax)
{
    ASTER_FOR_REAL(a->in[0].dtype, softmax, a);
}
ASTER_CUDA_OP(softmax_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, softmax_dx, a);
}
