/* SPDX-License-Identifier: BSD-3-Clause */
/* Elementwise kernels: y[k] = f(x[0][k], .., x[N-1][k]), several neighbours per thread. An element
 * is read before it is written, by the same thread, so y may be one of the x. */
#ifndef ASTER_CUDA_MAP_H
#define ASTER_CUDA_MAP_H

#include "cuda/kernel.h"

enum { MAP_THREADS = 256, MAP_BYTES = 16 };

template <class T, int N>
struct map_inputs {
    view<const T> x[N];
};

template <class T, int N, int V, class F>
__global__ void __launch_bounds__(MAP_THREADS)
    map_kernel(F f, int64_t n, map_inputs<T, N> in, view<T> y)
{
    for (int64_t k = thread_of_grid() * V; k < n; k += threads_of_grid() * V) {
        pack<T, V> x[N], out;
        if (k + V <= n) {
            ASTER_UNROLL
            for (int j = 0; j < N; j++)
                x[j] = load_pack<V>(in.x[j], k);
            ASTER_UNROLL
            for (int v = 0; v < V; v++) {
                T at[N];
                ASTER_UNROLL
                for (int j = 0; j < N; j++)
                    at[j] = x[j].v[v];
                out.v[v] = f(at);
            }
            store_pack<V>(y, k, out);
            continue;
        }
        for (int64_t i = k; i < n; i++) {
            T at[N];
            ASTER_UNROLL
            for (int j = 0; j < N; j++)
                at[j] = in.x[j][i];
            y[i] = f(at);
        }
    }
}

template <class T, int N, class F>
void map_run(struct aster_device *d, const F &f, int64_t n, const map_inputs<T, N> &in,
             const void *const *from, void *to, view<T> y)
{
    constexpr int wide = MAP_BYTES / (int)sizeof(T);
    bool aligned = is_aligned(to, MAP_BYTES);
    for (int j = 0; j < N; j++)
        aligned = aligned && is_aligned(from[j], MAP_BYTES);
    if (n == 0)
        return;
    if (aligned)
        ASTER_LAUNCH((map_kernel<T, N, wide, F>), grid_of(d, n, MAP_THREADS * wide), MAP_THREADS, 0,
                     d, f, n, in, y);
    else
        ASTER_LAUNCH((map_kernel<T, N, 1, F>), grid_of(d, n, MAP_THREADS), MAP_THREADS, 0, d, f, n,
                     in, y);
}

/* out[0] = f(in[0], .., in[N-1]) of an op whose tensors have the same shape */
template <class T, int N, class F>
void map_op(const struct aster_args *a, const F &f)
{
    map_inputs<T, N> in;
    const void *from[N];
    for (int j = 0; j < N; j++) {
        in.x[j] = in_view<T>(a, j);
        from[j] = a->in[j].p;
    }
    map_run<T, N>(a->device, f, n_elements(&a->out[0]), in, from, a->out[0].p, out_view<T>(a, 0));
}

#endif
