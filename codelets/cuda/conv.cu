/* SPDX-License-Identifier: BSD-3-Clause */
/* Convolutions over positions, channels last, as products of windows: window t of a sample is
 * kernel x channels elements that lie one behind the other in memory. */
#include "cuda/gemm.h"

enum { FLIP_THREADS = 256 };

template <class T>
static void conv1d(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *w = &a->in[1];
    const int64_t n_out = a->out[0].dim[1], kernel = w->dim[0], channels = w->dim[1], n = w->dim[2];
    const view<const T> bias = view_new<const T>(a->n_in > 2 ? a->in[2].p : NULL, n, "in[2]");
    const windows<T> rows = windows_new<T>(in_view<T>(a, 0), x->p, x->dim[0], x->dim[1], channels,
                                           a->i[0], n_out, kernel);
    gemm_rows<T>(a->device, a->products, x->dim[0] * n_out, n, kernel * channels, rows,
                 in_view<T>(a, 1), w->p, gemm_finish<T>{bias, out_view<T>(a, 0), n, (int)a->i[2]});
}

/* w [kernel, n_in, n_out] -> [kernel from the last to the first, n_out, n_in] */
template <class T>
__global__ void __launch_bounds__(FLIP_THREADS)
    flip_taps(int64_t kernel, int64_t n_in, int64_t n_out, view<const T> w, view<T> y)
{
    for (int64_t i = thread_of_grid(); i < kernel * n_in * n_out; i += threads_of_grid()) {
        const int64_t c = i % n_in, o = i / n_in % n_out, j = i / n_in / n_out;
        y[i] = w[((kernel - 1 - j) * n_in + c) * n_out + o];
    }
}

/* A convolution of dy with the flipped weights */
template <class T>
static void conv1d_dx(const struct aster_args *a)
{
    const struct aster_tensor *dy = &a->in[0], *w = &a->in[1];
    const int64_t kernel = w->dim[0], channels = w->dim[1], n = w->dim[2], length = a->s[0],
                  cells = kernel * channels * n;
    const view<T> flipped = view_new<T>(a->work, cells, "work"), dx = out_view<T>(a, 0);
    if (n_elements(&a->out[0]) == 0)
        return;
    if (cells > 0)
        ASTER_LAUNCH((flip_taps<T>), grid_of(a->device, cells, FLIP_THREADS), FLIP_THREADS, 0,
                     a->device, kernel, channels, n, in_view<T>(a, 1), flipped);
    const windows<T> rows = windows_new<T>(in_view<T>(a, 0), dy->p, dy->dim[0], dy->dim[1], n,
                                           kernel - 1 - a->i[0], length, kernel);
    gemm_rows<T>(a->device, a->products, dy->dim[0] * length, channels, kernel * n, rows, flipped,
                 a->work,
                 gemm_finish<T>{view_new<const T>(NULL, 0, "bias"), dx, channels, ASTER_ACT_NONE});
}

template <class T>
static void conv1d_dw(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *dy = &a->in[1];
    const int64_t n_samples = x->dim[0], n_out = dy->dim[1], channels = x->dim[2], n = dy->dim[2],
                  kernel = a->s[0];
    const windows<T> rows = windows_new<T>(in_view<T>(a, 0), x->p, n_samples, x->dim[1], channels,
                                           a->i[0], n_out, kernel);
    const dense<T> columns = dense_new<T>(in_view<T>(a, 1), dy->p, n_samples * n_out, n, 0);
    gemm_run<T, false, false>(
        a->device, a->products, 1, kernel * channels, n, n_samples * n_out, rows, columns,
        gemm_finish<T>{view_new<const T>(NULL, 0, "bias"), out_view<T>(a, 0), n, ASTER_ACT_NONE});
}

ASTER_CUDA_OP(conv1d)
{
    ASTER_FOR_REAL(a->in[0].dtype, conv1d, a);
}
ASTER_CUDA_OP(conv1d_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, conv1d_dx, a);
}
ASTER_CUDA_OP(conv1d_dw)
{
    ASTER_FOR_REAL(a->in[0].dtype, conv1d_dw, a);
}
