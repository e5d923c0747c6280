/* SPDX-License-Identifier: BSD-3-Clause */
/* Weighted cross entropy over few classes, and its derivative. */
#include "cuda/sums.h"

enum { XENT_CLASSES = 4, XENT_UNCOUNTED = 255, XENT_THREADS = 256 };

struct xent {
    int classes;
    double weight[XENT_CLASSES], eps;
};
static struct xent xent_new(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    return {(int)x->dim[x->rank - 1], {a->f[0], a->f[1], a->f[2], a->f[3]}, a->f[4]};
}

/* The term of position r; on the way its probabilities go out, and the status of a sample with a
 * label that is none. */
template <class T>
struct xent_source {
    struct xent e;
    int64_t per_sample;
    view<const T> logits;
    view<const uint8_t> labels;
    view<T> probs;
    view<int32_t> status;
    ASTER_DEV void operator()(int64_t, int64_t r, int64_t, double *v) const
    {
        T p[XENT_CLASSES], top = (T)-INFINITY, sum = 0, chosen = 0;
        const int label = labels[r];
        ASTER_UNROLL
        for (int j = 0; j < XENT_CLASSES; j++)
            if (j < e.classes) {
                p[j] = logits[r * e.classes + j];
                top = p[j] > top ? p[j] : top;
            }
        ASTER_UNROLL
        for (int j = 0; j < XENT_CLASSES; j++)
            if (j < e.classes)
                sum += p[j] = exp(p[j] - top);
        double weight = 0;
        ASTER_UNROLL
        for (int j = 0; j < XENT_CLASSES; j++)
            if (j < e.classes) {
                p[j] /= sum;
                probs[r * e.classes + j] = p[j];
                if (j == label) {
                    chosen = p[j];
                    weight = e.weight[j];
                }
            }
        v[0] = label < e.classes ? -weight * (double)log(chosen + (T)e.eps) : 0;
        if (label >= e.classes && label != XENT_UNCOUNTED && status)
            atomic_exchange(status, r / per_sample, (int32_t)ASTER_EFORMAT);
    }
};
struct xent_sink {
    view<const double> counted;
    view<double> loss;
    ASTER_DEV void operator()(int64_t, int64_t, const double *v) const
    {
        const double n = counted[0];
        loss[0] = n > 0 ? v[0] / n : 0;
    }
};
template <class T>
static void xent(const struct aster_args *a)
{
    const struct aster_tensor *labels = &a->in[1];
    const int64_t n = n_elements(labels),
                  samples = labels->rank > 0 && labels->dim[0] > 0 ? labels->dim[0] : 1;
    const xent_source<T> source = {xent_new(a),       n / samples,
                                   in_view<T>(a, 0),  in_view<uint8_t>(a, 1),
                                   out_view<T>(a, 1), status_view(a, samples)};
    sum_run<1>(a->device, sum_sizes_new(1, n, 1), source,
               xent_sink{in_view<double>(a, 2), out_view<double>(a, 0)});
}

/* With q = -w / (n (P_c + eps)) at a position of class c: P_k (q [k = c] - q P_c) dloss. */
template <class T>
__global__ void __launch_bounds__(XENT_THREADS)
    xent_dx_kernel(struct xent e, int64_t n, view<const T> probs, view<const uint8_t> labels,
                   view<const double> counted, view<const double> dloss, view<T> dx)
{
    const double total = counted[0], scale = total > 0 ? dloss[0] / total : 0;
    for (int64_t r = thread_of_grid(); r < n; r += threads_of_grid()) {
        const int label = labels[r];
        const bool counts = label < e.classes && scale != 0;
        double pc = 0, q = 0;
        if (counts) {
            pc = (double)(T)probs[r * e.classes + label];
            ASTER_UNROLL
            for (int j = 0; j < XENT_CLASSES; j++)
                if (j == label)
                    q = -e.weight[j] / (pc + e.eps) * scale;
        }
        for (int j = 0; j < e.classes; j++)
            dx[r * e.classes + j] =
                counts ? (T)((double)(T)probs[r * e.classes + j] * ((j == label ? q : 0) - q * pc))
                       : T(0);
    }
}
template <class T>
static void xent_dx(const struct aster_args *a)
{
    const int64_t n = n_elements(&a->in[1]);
    if (n > 0)
        ASTER_LAUNCH((xent_dx_kernel<T>), grid_of(a->device, n, XENT_THREADS), XENT_THREADS, 0,
                     a->device, xent_new(a), n, in_view<T>(a, 0), in_view<uint8_t>(a, 1),
                     in_view<double>(a, 2), in_view<double>(a, 3), out_view<T>(a, 0));
}

ASTER_CUDA_OP(xent)
{
    ASTER_FOR_REAL(a->in[0].dtype, xent, a);
}
ASTER_CUDA_OP(xent_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, xent_dx, a);
}
