/* SPDX-License-Identifier: BSD-3-Clause */
/* Average pooling and linear resize over positions, and their derivatives. A thread per element;
 * neighbours are channels. */
#include "cuda/kernel.h"

enum { POOL_THREADS = 256 };

struct pool_sizes { /* of the result, and the positions of the other side */
    int64_t n_samples, n_out, channels, n_in;
    ASTER_ANYWHERE int64_t n() const
    {
        return n_samples * n_out * channels;
    }
};
struct pool_place {
    int64_t b, t, c;
};
ASTER_DEV pool_place place_of(const pool_sizes &s, int64_t k)
{
    const divided c = divide(k, s.channels), t = divide(c.by, s.n_out);
    return {t.by, t.rest, c.rest};
}

template <class T>
__global__ void __launch_bounds__(POOL_THREADS) pool_pairs(pool_sizes s, view<const T> x, view<T> y)
{
    for (int64_t k = thread_of_grid(); k < s.n(); k += threads_of_grid()) {
        const pool_place p = place_of(s, k);
        const int64_t at = (p.b * s.n_in + 2 * p.t) * s.channels + p.c;
        y[k] = ((T)x[at] + (T)x[at + s.channels]) * T(0.5);
    }
}

template <class T>
__global__ void __launch_bounds__(POOL_THREADS)
    spread_pairs(pool_sizes s, view<const T> dy, view<T> dx)
{
    for (int64_t k = thread_of_grid(); k < s.n(); k += threads_of_grid()) {
        const pool_place p = place_of(s, k);
        dx[k] =
            p.t / 2 < s.n_in ? (T)dy[(p.b * s.n_in + p.t / 2) * s.channels + p.c] * T(0.5) : T(0);
    }
}

/* Where position t of a resized sample lies: between from and next, nearer to next as f grows. */
template <class T>
struct resize_source {
    int64_t from, next;
    T f;
};
template <class T>
ASTER_DEV resize_source<T> source_of(int64_t t, T ratio, int64_t n_in)
{
    const T p = rounded_product((T)t, ratio); /* as the definition has it */
    resize_source<T> s;
    s.from = lesser((int64_t)p, n_in - 1);
    s.next = lesser(s.from + 1, n_in - 1);
    s.f = p - (T)s.from;
    return s;
}
template <class T>
static T resize_ratio(int64_t n_in, int64_t n_out)
{
    return n_out > 1 ? (T)(n_in - 1) / (T)(n_out - 1) : 0;
}

template <class T>
__global__ void __launch_bounds__(POOL_THREADS)
    resize_positions(pool_sizes s, T ratio, view<const T> x, view<T> y)
{
    for (int64_t k = thread_of_grid(); k < s.n(); k += threads_of_grid()) {
        const pool_place p = place_of(s, k);
        const resize_source<T> at = source_of<T>(p.t, ratio, s.n_in);
        const T from = x[(p.b * s.n_in + at.from) * s.channels + p.c],
                next = x[(p.b * s.n_in + at.next) * s.channels + p.c];
        y[k] = (1 - at.f) * from + at.f * next;
    }
}

/* Each source position collects, in order of t, what it gave; in double. */
template <class T>
__global__ void __launch_bounds__(POOL_THREADS)
    collect_positions(pool_sizes s, T ratio, view<const T> dy, view<T> dx)
{
    for (int64_t k = thread_of_grid(); k < s.n(); k += threads_of_grid()) {
        const pool_place p = place_of(s, k);
        int64_t t = ratio > 0 ? (int64_t)greater<T>(0, (T)(p.t - 1) / ratio - 2)
                              : 0; /* before the first that reads p.t */
        while (t < s.n_in && source_of<T>(t, ratio, s.n_out).next < p.t)
            t++;
        double sum = 0;
        for (; t < s.n_in; t++) {
            const resize_source<T> at = source_of<T>(t, ratio, s.n_out);
            if (at.from > p.t)
                break;
            const double weight =
                (at.from == p.t ? (double)(1 - at.f) : 0) + (at.next == p.t ? (double)at.f : 0);
            sum += weight * (double)(T)dy[(p.b * s.n_in + t) * s.channels + p.c];
        }
        dx[k] = (T)sum;
    }
}

static pool_sizes sizes_of(const struct aster_args *a)
{
    return {a->out[0].dim[0], a->out[0].dim[1], a->out[0].dim[2], a->in[0].dim[1]};
}

template <class T>
static void avgpool2(const struct aster_args *a)
{
    const pool_sizes s = sizes_of(a);
    if (s.n() > 0)
        ASTER_LAUNCH((pool_pairs<T>), grid_of(a->device, s.n(), POOL_THREADS), POOL_THREADS, 0,
                     a->device, s, in_view<T>(a, 0), out_view<T>(a, 0));
}
template <class T>
static void avgpool2_dx(const struct aster_args *a)
{
    const pool_sizes s = sizes_of(a);
    if (s.n() > 0)
        ASTER_LAUNCH((spread_pairs<T>), grid_of(a->device, s.n(), POOL_THREADS), POOL_THREADS, 0,
                     a->device, s, in_view<T>(a, 0), out_view<T>(a, 0));
}
template <class T>
static void resize(const struct aster_args *a)
{
    const pool_sizes s = sizes_of(a);
    if (s.n_in == 0) /* an empty sample is zero everywhere */
        zero_bytes(a->device, a->out[0].p, s.n() * (int64_t)sizeof(T));
    else if (s.n() > 0)
        ASTER_LAUNCH((resize_positions<T>), grid_of(a->device, s.n(), POOL_THREADS), POOL_THREADS,
                     0, a->device, s, resize_ratio<T>(s.n_in, s.n_out), in_view<T>(a, 0),
                     out_view<T>(a, 0));
}
template <class T>
static void resize_dx(const struct aster_args *a)
{
    const pool_sizes s = sizes_of(a);
    if (s.n() > 0)
        ASTER_LAUNCH((collect_positions<T>), grid_of(a->device, s.n(), POOL_THREADS), POOL_THREADS,
                     0, a->device, s, resize_ratio<T>(s.n_out, s.n_in), in_view<T>(a, 0),
                     out_view<T>(a, 0));
}

ASTER_CUDA_OP(avgpool2)
{
    ASTER_FOR_REAL(a->in[0].dtype, avgpool2, a);
}
ASTER_CUDA_OP(avgpool2_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, avgpool2_dx, a);
}
ASTER_CUDA_OP(resize)
{
    ASTER_FOR_REAL(a->in[0].dtype, resize, a);
}
ASTER_CUDA_OP(resize_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, resize_dx, a);
}
