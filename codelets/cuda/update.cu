/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer steps, the sums of gradients, and moving device memory. */
extern "C" {
#include "cuda/update.h"
}
#include "cuda/map.h"
#include "cuda/sums.h"

enum { UPDATE_THREADS = 256 };

/* The factor of every gradient; squares is device memory when it is there. */
template <class T>
struct scale_terms {
    double given, clip_norm;
    view<const double> squares;
    bool clipped;
    ASTER_DEV bool is_off() const /* what has no finite norm changes nothing */
    {
        return clipped && !isfinite((double)squares[0]);
    }
    ASTER_DEV T get() const
    {
        return T(clipped ? aster_clip_scale(clip_norm, (double)squares[0]) : given);
    }
};
template <class T>
static scale_terms<T> scale_of(const struct aster_update *u)
{
    return {u->grad_scale, u->clip_norm, view_new<const double>((void *)u->squares, 1, "squares"),
            u->squares != nullptr};
}

/* What Adam's formula is made of, in the real type. Order of operations as in
 * codelets/cpu/update_real.h. */
template <class T>
struct adam_terms {
    T rate, root, eps, take1, keep2, take2, decay, shrink;
    scale_terms<T> scale;
};
template <class T>
__global__ void __launch_bounds__(UPDATE_THREADS)
    adam_kernel(adam_terms<T> c, int64_t n, view<T> w, view<const T> g, view<T> m, view<T> v)
{
    if (c.scale.is_off())
        return;
    const T scale = c.scale.get();
    for (int64_t k = thread_of_grid(); k < n; k += threads_of_grid()) {
        const T wk = w[k], gk = (T)g[k] * scale + c.decay * wk, old = m[k],
                mk = old + c.take1 * (gk - old);
        const T vk = c.keep2 * (T)v[k] + c.take2 * gk * gk;
        m[k] = mk;
        v[k] = vk;
        w[k] = c.shrink * wk - c.rate * mk / (sqrt(vk) / c.root + c.eps);
    }
}
template <class T>
static void adam(struct aster_device *d, bool decoupled, int64_t n, const struct aster_update *u,
                 void *w, const void *g, void *m, void *v)
{
    const double correction1 = 1 - pow(u->beta1, (double)u->step),
                 correction2 = 1 - pow(u->beta2, (double)u->step);
    const adam_terms<T> c = {T(u->lr / correction1),
                             T(sqrt(correction2)),
                             T(u->eps),
                             T(1 - u->beta1),
                             T(u->beta2),
                             T(1 - u->beta2),
                             T(decoupled ? 0 : u->weight_decay),
                             T(decoupled ? 1 - u->lr * u->weight_decay : 1),
                             scale_of<T>(u)};
    if (n > 0)
        ASTER_LAUNCH((adam_kernel<T>), grid_of(d, n, UPDATE_THREADS), UPDATE_THREADS, 0, d, c, n,
                     view_new<T>(w, n, "w"), view_new<const T>((void *)g, n, "g"),
                     view_new<T>(m, n, "m"), view_new<T>(v, n, "v"));
}

template <class T>
struct sgd_terms {
    T rate, decay, momentum, part_g, part_m;
    scale_terms<T> scale;
};
template <class T>
__global__ void __launch_bounds__(UPDATE_THREADS)
    sgd_kernel(sgd_terms<T> c, int64_t n, view<T> w, view<const T> g, view<T> m)
{
    if (c.scale.is_off())
        return;
    const T scale = c.scale.get();
    for (int64_t k = thread_of_grid(); k < n; k += threads_of_grid()) {
        const T wk = w[k], gk = (T)g[k] * scale + c.decay * wk, mk = c.momentum * (T)m[k] + gk;
        m[k] = mk;
        w[k] = wk - c.rate * (c.part_g * gk + c.part_m * mk);
    }
}
template <class T>
static void sgd(struct aster_device *d, int64_t n, const struct aster_update *u, void *w,
                const void *g, void *m)
{
    const sgd_terms<T> c = {T(u->lr),
                            T(u->weight_decay),
                            T(u->momentum),
                            T(u->nesterov ? 1 : 0),
                            T(u->nesterov ? u->momentum : 1),
                            scale_of<T>(u)};
    if (n > 0)
        ASTER_LAUNCH((sgd_kernel<T>), grid_of(d, n, UPDATE_THREADS), UPDATE_THREADS, 0, d, c, n,
                     view_new<T>(w, n, "w"), view_new<const T>((void *)g, n, "g"),
                     view_new<T>(m, n, "m"));
}

template <class T>
struct sum_of_two {
    ASTER_DEV T operator()(const T *x) const
    {
        return x[0] + x[1];
    }
};
template <class T>
struct part_way {
    T take;
    ASTER_DEV T operator()(const T *x) const
    {
        return x[0] + take * (x[1] - x[0]);
    }
};
/* y = f(y, x) */
template <class T, class F>
static void into(struct aster_device *d, const F &f, int64_t n, void *y, const void *x)
{
    const map_inputs<T, 2> in = {
        {view_new<const T>(y, n, "y"), view_new<const T>((void *)x, n, "x")}};
    const void *const from[] = {y, x};
    map_run<T, 2>(d, f, n, in, from, y, view_new<T>(y, n, "y"));
}

template <class T>
__global__ void __launch_bounds__(UPDATE_THREADS) fill_kernel(int64_t n, T value, view<T> y)
{
    for (int64_t k = thread_of_grid(); k < n; k += threads_of_grid())
        y[k] = value;
}
template <class T>
static void fill(struct aster_device *d, int64_t n, double value, void *y)
{
    if (n > 0)
        ASTER_LAUNCH((fill_kernel<T>), grid_of(d, n, UPDATE_THREADS), UPDATE_THREADS, 0, d, n,
                     T(value), view_new<T>(y, n, "y"));
}

template <class T>
struct squares_source {
    view<const T> x;
    ASTER_DEV void operator()(int64_t, int64_t r, int64_t, double *v) const
    {
        const double d = (double)(T)x[r];
        v[0] = d * d;
    }
};
struct squares_sink {
    view<double> sum;
    ASTER_DEV void operator()(int64_t, int64_t, const double *v) const
    {
        sum[0] = v[0];
    }
};
template <class T>
static void sum_squares(struct aster_device *d, int64_t n, const void *x, double *sum)
{
    sum_run<1>(d, sum_sizes_new(1, n, 1), squares_source<T>{view_new<const T>((void *)x, n, "x")},
               squares_sink{view_new<double>(sum, 1, "sum")});
}

void aster_k_adam_cuda(struct aster_device *d, enum aster_dtype t, int64_t n,
                       const struct aster_update *u, void *w, const void *g, void *m, void *v)
{
    d->op = "adam";
    if (t == ASTER_F64)
        adam<double>(d, false, n, u, w, g, m, v);
    else
        adam<float>(d, false, n, u, w, g, m, v);
}
void aster_k_adamw_cuda(struct aster_device *d, enum aster_dtype t, int64_t n,
                        const struct aster_update *u, void *w, const void *g, void *m, void *v)
{
    d->op = "adamw";
    if (t == ASTER_F64)
        adam<double>(d, true, n, u, w, g, m, v);
    else
        adam<float>(d, true, n, u, w, g, m, v);
}
void aster_k_sgd_cuda(struct aster_device *d, enum aster_dtype t, int64_t n,
                      const struct aster_update *u, void *w, const void *g, void *m)
{
    d->op = "sgd";
    if (t == ASTER_F64)
        sgd<double>(d, n, u, w, g, m);
    else
        sgd<float>(d, n, u, w, g, m);
}
void aster_k_add_into_cuda(struct aster_device *d, enum aster_dtype t, int64_t n, void *y,
                           const void *x)
{
    d->op = "add_into";
    if (t == ASTER_F64)
        into<double>(d, sum_of_two<double>(), n, y, x);
    else
        into<float>(d, sum_of_two<float>(), n, y, x);
}
void aster_k_fill_cuda(struct aster_device *d, enum aster_dtype t, int64_t n, double value, void *y)
{
    d->op = "fill";
    if (t == ASTER_F64)
        fill<double>(d, n, value, y);
    else
        fill<float>(d, n, value, y);
}
void aster_k_sum_squares_cuda(struct aster_device *d, enum aster_dtype t, int64_t n, const void *x,
                              double *sum)
{
    d->op = "sum_squares";
    if (t == ASTER_F64)
        sum_squares<double>(d, n, x, sum);
    else
        sum_squares<float>(d, n, x, sum);
}
void aster_k_ema_cuda(struct aster_device *d, enum aster_dtype t, int64_t n, double momentum,
                      void *r, const void *s)
{
    d->op = "ema";
    if (t == ASTER_F64)
        into<double>(d, part_way<double>{momentum}, n, r, s);
    else
        into<float>(d, part_way<float>{(float)momentum}, n, r, s);
}
void aster_zero_cuda(struct aster_device *d, void *p, int64_t bytes)
{
    d->op = "zero";
    zero_bytes(d, p, bytes);
}
void aster_copy_cuda(struct aster_device *d, void *to, const void *from, int64_t bytes)
{
    d->op = "copy";
    copy_bytes(d, to, from, bytes);
}
