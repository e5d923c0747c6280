/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch normalisation: statistics in double, and one pass per tensor for everything else. */
#include "cuda/bf16.h"
#include "cuda/sums.h"

enum {
    BN_THREADS = 256,
    BN_ROWS = 32 /* per thread, for which its channel's coefficients are computed once */
};

struct bn {
    int64_t samples, positions, channels, rows;
    bool relu;
    double eps, drop;
};
static struct bn bn_shape(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    struct bn s = {x->dim[0], 1,      x->dim[x->rank - 1], 0, a->i[0] == ASTER_ACT_RELU,
                   a->f[0],   a->f[1]};
    for (int k = 1; k < x->rank - 1; k++)
        s.positions *= x->dim[k];
    s.rows = s.samples * s.positions;
    return s;
}

template <class T>
struct stats_source {
    view<const T> x;
    int64_t channels;
    ASTER_DEV void operator()(int64_t, int64_t r, int64_t c, double *v) const
    {
        const double d = (double)(T)x[r * channels + c];
        v[0] = d;
        v[1] = d * d;
    }
};
struct stats_sink {
    view<double> out;
    int64_t channels;
    ASTER_DEV void operator()(int64_t, int64_t c, const double *v) const
    {
        out[c] = v[0];
        out[channels + c] = v[1];
    }
};
template <class T>
static void bn_stats(const struct aster_args *a)
{
    const struct bn s = bn_shape(a);
    sum_run<2>(a->device, sum_sizes_new(1, s.rows, s.channels),
               stats_source<T>{in_view<T>(a, 0), s.channels},
               stats_sink{out_view<double>(a, 0), s.channels});
}

/* x of the real type T, or of bf16 */
template <class T>
ASTER_DEV T widened(T x)
{
    return x;
}
template <class T>
ASTER_DEV T widened(bf16 x)
{
    T y;
    convert(x, &y);
    return y;
}

/* dy before relu and dropout: y tells both. Kept: the type of y and x. */
template <class T, class Kept>
ASTER_DEV T through(const struct bn &s, T again, T dy, view<const Kept> y, int64_t at)
{
    if (!s.relu)
        return dy;
    return widened<T>((Kept)y[at]) > 0 ? dy * again : T(0);
}

template <class T, class Kept>
struct dstats_source {
    struct bn s;
    T again;
    view<const T> dy;
    view<const Kept> y, x;
    view<const double> moments;
    ASTER_DEV void operator()(int64_t, int64_t r, int64_t c, double *v) const
    {
        const int64_t at = r * s.channels + c;
        v[0] = (double)through<T, Kept>(s, again, dy[at], y, at);
        v[1] = v[0] * ((double)widened<T>((Kept)x[at]) - moments[c]);
    }
};
struct dstats_sink {
    view<const double> moments;
    view<double> out;
    int64_t channels;
    double eps;
    ASTER_DEV void operator()(int64_t, int64_t c, const double *v) const
    {
        out[c] = v[0];
        out[channels + c] = v[1] / sqrt(moments[channels + c] + eps);
    }
};
template <class T, class Kept>
static void bn_dstats(const struct aster_args *a)
{
    const struct bn s = bn_shape(a);
    const view<const double> moments = in_view<double>(a, 3);
    const dstats_source<T, Kept> source = {
        s,      T(1 / (1 - s.drop)), in_view<T>(a, 0), in_view<Kept>(a, 1), in_view<Kept>(a, 2),
        moments};
    sum_run<2>(a->device, sum_sizes_new(1, s.rows, s.channels), source,
               dstats_sink{moments, out_view<double>(a, 0), s.channels, s.eps});
}

__global__ void __launch_bounds__(BN_THREADS)
    bn_moments_kernel(int64_t channels, double n, view<const double> stats, view<double> out)
{
    for (int64_t c = thread_of_grid(); c < channels; c += threads_of_grid()) {
        const double mean = n > 0 ? stats[c] / n : 0,
                     var = n > 0 ? stats[channels + c] / n - mean * mean : 0;
        out[c] = mean;
        out[channels + c] = var < 0 ? 0 : var;
    }
}

/* Each thread keeps to one channel: neighbours in a block are neighbouring channels, then the next
 * row. */
struct bn_walk {
    int width, lanes; /* channels of a block, and its threads for each */
    int64_t tiles, chunk, items;
};
static struct bn_walk bn_walk_new(const struct bn &s)
{
    struct bn_walk w = {};
    w.width = (int)lesser<int64_t>(greater<int64_t>(s.channels, 1), BN_THREADS);
    w.lanes = BN_THREADS / w.width;
    w.tiles = (s.channels + w.width - 1) / w.width;
    w.chunk = (int64_t)w.lanes * BN_ROWS;
    w.items = w.tiles * ((s.rows + w.chunk - 1) / w.chunk);
    return w;
}

template <class T>
__global__ void __launch_bounds__(BN_THREADS)
    bn_apply_kernel(struct bn s, struct bn_walk w, struct aster_keep_seed seed, T again,
                    view<const T> x, view<const double> moments, view<const T> gamma,
                    view<const T> beta, view<T> y)
{
    for (int64_t item = blockIdx.x; item < w.items; item += gridDim.x) {
        const int64_t c = item % w.tiles * w.width + threadIdx.x % w.width,
                      first = item / w.tiles * w.chunk;
        const int lane = threadIdx.x / w.width;
        if (lane >= w.lanes || c >= s.channels)
            continue;
        const double r = (double)(T)gamma[c] / sqrt(moments[s.channels + c] + s.eps);
        const T scale = (T)r, shift = (T)((double)(T)beta[c] - moments[c] * r);
        for (int64_t row = first + lane; row < lesser(first + w.chunk, s.rows); row += w.lanes) {
            const int64_t at = row * s.channels + c;
            T v = (T)x[at] * scale + shift;
            if (s.relu && v < 0) /* NaN stays */
                v = 0;
            if (s.drop != 0) {
                const divided place = divide(row, s.positions);
                const struct aster_keep keep = aster_keep_of(&seed, place.by);
                v = aster_keep(&keep, (uint32_t)(place.rest * s.channels + c)) ? v * again : T(0);
            }
            y[at] = v;
        }
    }
}
template <class T>
static void bn_apply(const struct aster_args *a)
{
    const struct bn s = bn_shape(a);
    const struct bn_walk w = bn_walk_new(s);
    const struct aster_keep_seed seed =
        s.drop != 0 ? aster_keep_seed_new(a->run, a->i[1], s.drop) : aster_keep_seed();
    if (s.rows * s.channels > 0)
        ASTER_LAUNCH((bn_apply_kernel<T>), grid_of(a->device, w.items, 1), BN_THREADS, 0, a->device,
                     s, w, seed, T(1 / (1 - s.drop)), in_view<T>(a, 0), in_view<double>(a, 1),
                     in_view<T>(a, 2), in_view<T>(a, 3), out_view<T>(a, 0));
}

/* dx = g (dz - d0/n - xhat d1/n), g = gamma / sqrt(var + eps); count: n */
template <class T, class Kept>
__global__ void __launch_bounds__(BN_THREADS)
    bn_dx_kernel(struct bn s, struct bn_walk w, T again, double count, view<const T> dy,
                 view<const Kept> y, view<const Kept> x, view<const double> moments,
                 view<const T> gamma, view<const double> dstats, view<T> dx)
{
    for (int64_t item = blockIdx.x; item < w.items; item += gridDim.x) {
        const int64_t c = item % w.tiles * w.width + threadIdx.x % w.width,
                      first = item / w.tiles * w.chunk;
        const int lane = threadIdx.x / w.width;
        if (lane >= w.lanes || c >= s.channels)
            continue;
        const double r = 1 / sqrt(moments[s.channels + c] + s.eps), k = (double)(T)gamma[c] * r,
                     mean = moments[c];
        const double d0 = dstats[c] / count, d1 = dstats[s.channels + c] / count;
        const T g = (T)k, m = (T)mean, slope = (T)(-k * r * d1);
        const T level =
            (T)(-k * d0 -
                k * r * d1 * ((double)m - mean)); /* with what rounding took from the mean */
        for (int64_t row = first + lane; row < lesser(first + w.chunk, s.rows); row += w.lanes) {
            const int64_t at = row * s.channels + c;
            dx[at] = g * through<T, Kept>(s, again, dy[at], y, at) +
                     (slope * (widened<T>((Kept)x[at]) - m) + level);
        }
    }
}
template <class T, class Kept>
static void bn_dx(const struct aster_args *a)
{
    const struct bn s = bn_shape(a);
    const struct bn_walk w = bn_walk_new(s);
    if (s.rows * s.channels > 0)
        ASTER_LAUNCH((bn_dx_kernel<T, Kept>), grid_of(a->device, w.items, 1), BN_THREADS, 0,
                     a->device, s, w, T(1 / (1 - s.drop)), a->s[0] > 0 ? (double)a->s[0] : 1.0,
                     in_view<T>(a, 0), in_view<Kept>(a, 1), in_view<Kept>(a, 2),
                     in_view<double>(a, 3), in_view<T>(a, 4), in_view<double>(a, 5),
                     out_view<T>(a, 0));
}

/* f of the real type, and of that of y and x */
#define FOR_KEPT(f, a)                                                                             \
    do {                                                                                           \
        if ((a)->in[0].dtype == ASTER_F64)                                                         \
            f<double, double>(a);                                                                  \
        else if ((a)->in[2].dtype == ASTER_BF16)                                                   \
            f<float, bf16>(a);                                                                     \
        else                                                                                       \
            f<float, float>(a);                                                                    \
    } while (0)

ASTER_CUDA_OP(bn_stats)
{
    ASTER_FOR_REAL(a->in[0].dtype, bn_stats, a);
}
ASTER_CUDA_OP(bn_moments)
{
    const int64_t channels = a->in[0].dim[1];
    if (channels > 0)
        ASTER_LAUNCH(bn_moments_kernel, grid_of(a->device, channels, BN_THREADS), BN_THREADS, 0,
                     a->device, channels, (double)a->s[0], in_view<double>(a, 0),
                     out_view<double>(a, 0));
}
ASTER_CUDA_OP(bn_apply)
{
    ASTER_FOR_REAL(a->in[0].dtype, bn_apply, a);
}
ASTER_CUDA_OP(bn_dstats)
{
    FOR_KEPT(bn_dstats, a);
}
ASTER_CUDA_OP(bn_dx)
{
    FOR_KEPT(bn_dx, a);
}
