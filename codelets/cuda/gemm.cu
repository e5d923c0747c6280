/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrix products: matmul and linear. */
#include "cuda/gemm.h"

template <class T, bool TA, bool TB>
static void matmul_of(const struct aster_args *args, int64_t groups, bool is_shared, int64_t m,
                      int64_t n, int64_t k)
{
    const dense<T> a =
        dense_new<T>(in_view<T>(args, 0), args->in[0].p, TA ? k : m, TA ? m : k, m * k);
    const dense<T> b = dense_new<T>(in_view<T>(args, 1), args->in[1].p, TB ? n : k, TB ? k : n,
                                    is_shared ? 0 : k * n);
    gemm_run<T, !TA, TB>(args->device, args->products, groups, m, n, k, a, b,
                         gemm_finish<T>{view_new<const T>(NULL, 0, "bias"), out_view<T>(args, 0), n,
                                        ASTER_ACT_NONE});
}

template <class T>
static void matmul(const struct aster_args *args)
{
    const struct aster_tensor *ta = &args->in[0], *tb = &args->in[1];
    const bool is_ta = args->i[0] != 0, is_tb = args->i[1] != 0, is_shared = tb->rank == 2;
    const int64_t *da = ta->dim + ta->rank - 2, *db = tb->dim + tb->rank - 2;
    int64_t m = da[is_ta], k = da[!is_ta], n = db[!is_tb], groups = 1;
    for (int d = 0; d < ta->rank - 2; d++)
        groups *= ta->dim[d];
    if (is_shared && !is_ta) { /* all groups are rows of one product */
        m *= groups;
        groups = 1;
    }
    if (is_ta && is_tb)
        matmul_of<T, true, true>(args, groups, is_shared, m, n, k);
    else if (is_ta)
        matmul_of<T, true, false>(args, groups, is_shared, m, n, k);
    else if (is_tb)
        matmul_of<T, false, true>(args, groups, is_shared, m, n, k);
    else
        matmul_of<T, false, false>(args, groups, is_shared, m, n, k);
}

template <class T>
static void linear(const struct aster_args *args)
{
    const struct aster_tensor *x = &args->in[0], *w = &args->in[1];
    const int64_t k = w->dim[0], n = w->dim[1];
    int64_t m = 1;
    for (int d = 0; d < x->rank - 1; d++)
        m *= x->dim[d];
    const view<const T> bias = view_new<const T>(args->n_in > 2 ? args->in[2].p : NULL, n, "in[2]");
    gemm_rows<T>(args->device, args->products, m, n, k,
                 dense_new<T>(in_view<T>(args, 0), x->p, m, k, 0), in_view<T>(args, 1), w->p,
                 gemm_finish<T>{bias, out_view<T>(args, 0), n, (int)args->i[0]});
}

template <class T>
static void linear_bf16(const struct aster_args *args)
{
    const struct aster_tensor *x = &args->in[0], *w = &args->in[1];
    const int64_t k = w->dim[0], n = w->dim[1];
    int64_t m = 1;
    for (int d = 0; d < x->rank - 1; d++)
        m *= x->dim[d];
    const view<const T> bias = view_new<const T>(args->n_in > 2 ? args->in[2].p : NULL, n, "in[2]");
    const widened<T> weights = {in_view<bf16>(args, 1), k, n,
                                is_aligned(w->p, 16) && n * (int64_t)sizeof(bf16) % 16 == 0};
    gemm_run<T, true, false>(args->device, ASTER_PRODUCTS_FULL, 1, m, n, k,
                             dense_new<T>(in_view<T>(args, 0), x->p, m, k, 0), weights,
                             gemm_finish<T>{bias, out_view<T>(args, 0), n, (int)args->i[0]});
}

ASTER_CUDA_OP(matmul)
{
    ASTER_FOR_REAL(a->in[0].dtype, matmul, a);
}
ASTER_CUDA_OP(linear)
{
    ASTER_FOR_REAL(a->in[0].dtype, linear, a);
}
ASTER_CUDA_OP(linear_bf16)
{
    ASTER_FOR_REAL(a->in[0].dtype, linear_bf16, a);
}
