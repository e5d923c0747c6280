/* SPDX-License-Identifier: BSD-3-Clause */
/* Elementwise ops: functions of one value and their derivatives, arithmetic with broadcasting,
 * gates, dropout, casts. */
#include "cuda/bf16.h"
#include "cuda/map.h"
#include "cuda/strided.h"
#include "cuda/unary.h"

template <class T>
struct unary_value {
    enum aster_fn fn;
    ASTER_DEV T operator()(const T *x) const
    {
        return fn_value(fn, x[0]);
    }
};
template <class T>
struct unary_slope {
    enum aster_fn fn;
    ASTER_DEV T operator()(const T *x) const
    {
        return x[1] * fn_slope(fn, x[0]);
    }
};
template <class T>
struct unary_bend {
    enum aster_fn fn;
    ASTER_DEV T operator()(const T *x) const
    {
        return x[2] * x[1] * fn_bend(fn, x[0]);
    }
};
template <class T>
struct affine_value {
    T scale, shift;
    ASTER_DEV T operator()(const T *x) const
    {
        return scale * x[0] + shift;
    }
};
template <class T>
struct binary_value {
    enum aster_binary op;
    ASTER_DEV T operator()(const T *x) const
    {
        return op == ASTER_BIN_ADD   ? x[0] + x[1]
               : op == ASTER_BIN_SUB ? x[0] - x[1]
               : op == ASTER_BIN_MUL ? x[0] * x[1]
                                     : x[0] / x[1];
    }
};

template <class T>
static void unary(const struct aster_args *a)
{
    map_op<T, 1>(a, unary_value<T>{(enum aster_fn)a->i[0]});
}
template <class T>
static void unary_grad(const struct aster_args *a)
{
    map_op<T, 2>(a, unary_slope<T>{(enum aster_fn)a->i[0]});
}
template <class T>
static void unary_grad2(const struct aster_args *a)
{
    map_op<T, 3>(a, unary_bend<T>{(enum aster_fn)a->i[0]});
}
template <class T>
static void affine(const struct aster_args *a)
{
    map_op<T, 1>(a, affine_value<T>{T(a->f[0] / (double)a->s[0]), T(a->f[1])});
}

/* ---- gates: x [rows, 2 n] -> y [rows, n] */
enum { GATED_THREADS = 256 };
template <class T>
__global__ void __launch_bounds__(GATED_THREADS)
    gated_kernel(int64_t total, int64_t n, view<const T> x, view<T> y)
{
    for (int64_t k = thread_of_grid(); k < total; k += threads_of_grid()) {
        const divided at = divide(k, n);
        const T gate = x[2 * at.by * n + at.rest];
        y[k] = gate * fn_normal(gate) * (T)x[(2 * at.by + 1) * n + at.rest];
    }
}

template <class T>
static void gated(const struct aster_args *a)
{
    const struct aster_tensor *y = &a->out[0];
    const int64_t total = n_elements(y);
    if (total > 0)
        ASTER_LAUNCH((gated_kernel<T>), grid_of(a->device, total, GATED_THREADS), GATED_THREADS, 0,
                     a->device, total, y->dim[y->rank - 1], in_view<T>(a, 0), out_view<T>(a, 0));
}

/* ---- broadcasting: each thread finds where its element lies in both operands */
enum { BINARY_THREADS = 256 };
template <class T>
__global__ void __launch_bounds__(BINARY_THREADS)
    binary_broadcast(binary_value<T> f, int64_t n, struct strided s, view<const T> a,
                     view<const T> b, view<T> y)
{
    for (int64_t k = thread_of_grid(); k < n; k += threads_of_grid()) {
        int64_t at[2];
        strided_place(s, k, at);
        const T x[2] = {a[at[0]], b[at[1]]};
        y[k] = f(x);
    }
}

template <class T>
static void binary(const struct aster_args *a)
{
    const struct aster_tensor *y = &a->out[0];
    const binary_value<T> f = {(enum aster_binary)a->i[0]};
    int64_t n = n_elements(y);
    if (n_elements(&a->in[0]) == n && n_elements(&a->in[1]) == n) {
        map_op<T, 2>(a, f);
        return;
    }
    if (n > 0)
        ASTER_LAUNCH((binary_broadcast<T>), grid_of(a->device, n, BINARY_THREADS), BINARY_THREADS,
                     0, a->device, f, n, strided_new(y, &a->in[0], &a->in[1]), in_view<T>(a, 0),
                     in_view<T>(a, 1), out_view<T>(a, 0));
}

/* ---- dropout: a thread takes DROP neighbours of one sample's row, so that the sample's key is
 * mixed once for them */
enum { DROP = 4, DROP_THREADS = 256 };
template <class T>
__global__ void __launch_bounds__(DROP_THREADS)
    dropout_rows(struct aster_keep_seed seed, T scale, int64_t n_rows, int64_t samples,
                 int64_t inner, view<const T> x, view<T> y)
{
    const int64_t per_row = (inner + DROP - 1) / DROP;
    for (int64_t q = thread_of_grid(); q < n_rows * per_row; q += threads_of_grid()) {
        const divided in_rows = divide(q, per_row), in_samples = divide(in_rows.by, samples);
        const int64_t row = in_rows.by, first = in_rows.rest * DROP, place = in_samples.by * inner;
        const struct aster_keep keep = aster_keep_of(&seed, in_samples.rest);
        for (int64_t j = first; j < lesser(first + DROP, inner); j++) {
            const T v = x[row * inner + j];
            y[row * inner + j] = aster_keep(&keep, (uint32_t)(place + j)) ? v * scale : T(0);
        }
    }
}

template <class T>
static void dropout(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    int64_t axis = a->i[1], outer = walk_outer(x, axis), inner = walk_inner(x, axis),
            samples = x->dim[axis];
    double p = a->f[0], scale = p < 1 ? 1 / (1 - p) : 0;
    int64_t rows = outer * samples, threads = rows * ((inner + DROP - 1) / DROP);
    if (threads > 0)
        ASTER_LAUNCH((dropout_rows<T>), grid_of(a->device, threads, DROP_THREADS), DROP_THREADS, 0,
                     a->device, aster_keep_seed_new(a->run, a->i[0], p), T(scale), rows, samples,
                     inner, in_view<T>(a, 0), out_view<T>(a, 0));
}

/* ---- casts. bf16 goes by its bits. */
/* Towards zero; what does not fit becomes the nearest that does, NaN becomes 0. */
ASTER_DEV void convert(double x, int32_t *y)
{
    *y = x >= 2147483648.0 ? INT32_MAX : x <= -2147483649.0 ? INT32_MIN : x == x ? (int32_t)x : 0;
}
ASTER_DEV void convert(float x, int32_t *y)
{
    convert((double)x, y);
}
template <class From>
ASTER_DEV void convert(From x, float *y)
{
    *y = (float)x;
}
template <class From>
ASTER_DEV void convert(From x, double *y)
{
    *y = (double)x;
}

enum { CAST_THREADS = 256 };
template <class From, class To>
__global__ void __launch_bounds__(CAST_THREADS)
    cast_values(int64_t n, view<const From> x, view<To> y)
{
    for (int64_t k = thread_of_grid(); k < n; k += threads_of_grid()) {
        const From v = x[k];
        To out;
        convert(v, &out);
        y[k] = out;
    }
}
template <class From, class To>
static void cast_run(const struct aster_args *a)
{
    int64_t n = n_elements(&a->in[0]);
    if (n > 0)
        ASTER_LAUNCH((cast_values<From, To>), grid_of(a->device, n, CAST_THREADS), CAST_THREADS, 0,
                     a->device, n, in_view<From>(a, 0), out_view<To>(a, 0));
}

ASTER_CUDA_OP(unary)
{
    ASTER_FOR_REAL(a->in[0].dtype, unary, a);
}
ASTER_CUDA_OP(unary_grad)
{
    ASTER_FOR_REAL(a->in[0].dtype, unary_grad, a);
}
ASTER_CUDA_OP(unary_grad2)
{
    ASTER_FOR_REAL(a->in[0].dtype, unary_grad2, a);
}
ASTER_CUDA_OP(binary)
{
    ASTER_FOR_REAL(a->out[0].dtype, binary, a);
}
ASTER_CUDA_OP(gated)
{
    ASTER_FOR_REAL(a->in[0].dtype, gated, a);
}
ASTER_CUDA_OP(affine)
{
    ASTER_FOR_REAL(a->in[0].dtype, affine, a);
}
ASTER_CUDA_OP(dropout)
{
    ASTER_FOR_REAL(a->in[0].dtype, dropout, a);
}
ASTER_CUDA_OP(cast)
{
    enum aster_dtype from = a->in[0].dtype, to = a->out[0].dtype;
    if (from == to)
        copy_bytes(a->device, a->out[0].p, a->in[0].p,
                   n_elements(&a->in[0]) * aster_dtype_size(from));
    else if (from == ASTER_F32 && to == ASTER_F64)
        cast_run<float, double>(a);
    else if (from == ASTER_F32 && to == ASTER_BF16)
        cast_run<float, bf16>(a);
    else if (from == ASTER_F32)
        cast_run<float, int32_t>(a);
    else if (from == ASTER_F64 && to == ASTER_F32)
        cast_run<double, float>(a);
    else if (from == ASTER_F64 && to == ASTER_BF16)
        cast_run<double, bf16>(a);
    else if (from == ASTER_F64)
        cast_run<double, int32_t>(a);
    else if (from == ASTER_BF16 && to == ASTER_F32)
        cast_run<bf16, float>(a);
    else if (from == ASTER_BF16)
        cast_run<bf16, double>(a);
    else if (to == ASTER_F32)
        cast_run<int32_t, float>(a);
    else
        cast_run<int32_t, double>(a);
}
