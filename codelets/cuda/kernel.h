/* SPDX-License-Identifier: BSD-3-Clause */
/* What every .cu here is written with, for nvcc and for the emulation alike.
 *
 * view<T> points to device memory, shared<T> to shared memory: plain pointers for the compiler of a
 * GPU, checked ones in the emulation. A host function makes views from the arguments of an op,
 * chooses a grid and launches. Rules: the worker's stream only; nothing is allocated, nothing
 * waited for; sums in a fixed order that the number of blocks does not change. */
#ifndef ASTER_CUDA_KERNEL_H
#define ASTER_CUDA_KERNEL_H

extern "C" {
#include "cuda/device.h"
#include "keep.h"
}

#if defined __CUDACC__
#include <cooperative_groups.h>
#include <cuda_runtime.h>
#include <math.h>

template <class T>
using view = T *;
template <class T>
using shared = T *;
#define ASTER_SHARED(T, name, n) __shared__ __align__(16) T name[n]
#define ASTER_SHARED_DYNAMIC(T, name)                                                              \
    extern __shared__ __align__(16) unsigned char aster_dynamic[];                                 \
    T *name = reinterpret_cast<T *>(aster_dynamic)
#else
#include "cuda/emulate.h"

template <class T>
using view = emulate::view<T>;
template <class T>
using shared = emulate::shared<T>;
#define ASTER_SHARED(T, name, n)                                                                   \
    static const char site_##name = 0;                                                             \
    const auto name = emulate::shared_new<T>(&site_##name, #name, (n))
#define ASTER_SHARED_DYNAMIC(T, name) ASTER_SHARED(T, name, -1)
#endif

#define ASTER_DEV __device__ __forceinline__
#if defined __CUDACC__
#define ASTER_UNROLL _Pragma("unroll")
#else
#define ASTER_UNROLL
#endif

/* ---- memory ---- */

/* V neighbours, moved at once */
template <class T, int V>
struct alignas(V * sizeof(T)) pack {
    T v[V];
};

#if defined __CUDACC__
template <int V, class T>
ASTER_DEV pack<T, V> load_pack(const T *p, int64_t k)
{
    return *reinterpret_cast<const pack<T, V> *>(p + k);
}
template <int V, class T>
ASTER_DEV void store_pack(T *p, int64_t k, const pack<T, V> &v)
{
    *reinterpret_cast<pack<T, V> *>(p + k) = v;
}
/* What another block wrote before the last barrier of the grid: not from this multiprocessor's own
 * cache */
template <class T>
ASTER_DEV T load_fresh(const T *p, int64_t k)
{
    return __ldcg(p + k);
}
template <class T>
ASTER_DEV T atomic_exchange(T *p, int64_t k, T v)
{
    return atomicExch(p + k, v);
}
template <class T>
ASTER_DEV T atomic_add(T *p, int64_t k, T v)
{
    return atomicAdd(p + k, v);
}
ASTER_DEV void grid_sync()
{
    cooperative_groups::this_grid().sync();
}
#else
template <int V, class P>
auto load_pack(const P &p, int64_t k)
{
    pack<std::decay_t<decltype(p.get(0))>, V> out;
    p.check_aligned(k, sizeof out);
    for (int j = 0; j < V; j++)
        out.v[j] = p.get(k + j);
    return out;
}
template <int V, class P, class T>
void store_pack(const P &p, int64_t k, const pack<T, V> &v)
{
    p.check_aligned(k, sizeof v);
    for (int j = 0; j < V; j++)
        p.set(k + j, v.v[j], false);
}
template <class T>
std::remove_const_t<T> load_fresh(view<T> p, int64_t k)
{
    return p.get(k);
}
template <class P, class T>
T atomic_exchange(const P &p, int64_t k, T v)
{
    T old = p.peek(k);
    p.set(k, v, true);
    return old;
}
template <class P, class T>
T atomic_add(const P &p, int64_t k, T v)
{
    T old = p.peek(k);
    p.set(k, old + v, true);
    return old;
}
#define grid_sync() emulate::grid_barrier(__LINE__)
#endif

/* On the host: what a view shows. */
template <class T>
view<T> view_new(void *p, int64_t n, const char *name)
{
#if defined __CUDACC__
    (void)n, (void)name;
    return static_cast<T *>(p);
#else
    return emulate::view_new(static_cast<T *>(p), p ? n : 0, name);
#endif
}
inline int64_t n_elements(const struct aster_tensor *t)
{
    int64_t n = 1;
    for (int k = 0; k < t->rank; k++)
        n *= t->dim[k];
    return n;
}
template <class T>
view<const T> in_view(const struct aster_args *a, int k)
{
    static const char *const names[ASTER_MAX_IN] = {"in[0]", "in[1]", "in[2]", "in[3]",
                                                    "in[4]", "in[5]", "in[6]", "in[7]"};
    return view_new<const T>(a->in[k].p, n_elements(&a->in[k]), names[k]);
}
template <class T>
view<T> out_view(const struct aster_args *a, int k)
{
    static const char *const names[ASTER_MAX_OUT] = {"out[0]", "out[1]", "out[2]", "out[3]"};
    return view_new<T>(a->out[k].p, n_elements(&a->out[k]), names[k]);
}
inline view<int32_t> status_view(const struct aster_args *a, int64_t n)
{
    return view_new<int32_t>(a->run ? a->run->status : nullptr, n, "status");
}
/* The worker's scratch memory; n elements have to fit. */
template <class T>
view<T> scratch_view(const struct aster_device *d, int64_t n)
{
    return view_new<T>(d->work, n, "scratch");
}

inline bool is_aligned(const void *p, size_t bytes)
{
    return (uintptr_t)p % bytes == 0;
}

/* ---- launches ---- */

/* Blocks for items of which each takes per_block; a grid that is not larger than the card needs, as
 * kernels walk in strides. */
inline dim3 grid_of(const struct aster_device *d, int64_t items, int64_t per_block)
{
    int64_t n = (items + per_block - 1) / per_block, most = (int64_t)d->sm_count * 32;
    return dim3((unsigned)(n < most ? n : most));
}

/* ASTER_LAUNCH(kernel, grid, block, bytes of dynamic shared memory, device, arguments...): a
 * failure stays in the device. ASTER_LAUNCH_TOGETHER: all blocks at once, so that grid_sync()
 * works. */
#define ASTER_LAUNCH(kernel, grid, block, bytes, device, ...)                                      \
    launch_kernel((device), #kernel, false, kernel, (grid), (block), (bytes), __VA_ARGS__)
#define ASTER_LAUNCH_TOGETHER(kernel, grid, block, bytes, device, ...)                             \
    launch_kernel((device), #kernel, true, kernel, (grid), (block), (bytes), __VA_ARGS__)

#if defined __CUDACC__
template <class... P, class... A>
void launch_kernel(struct aster_device *d, const char *name, bool together, void (*kernel)(P...),
                   dim3 grid, dim3 block, size_t bytes, A... a)
{
    cudaError_t e = cudaSuccess;
    if (bytes > 48 << 10)
        e = cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = bytes;
    config.stream = d->stream;
    config.attrs = &attribute;
    config.numAttrs = together ? 1 : 0;
    if (e == cudaSuccess)
        e = cudaLaunchKernelEx(&config, kernel, static_cast<P>(a)...);
    if (e != cudaSuccess)
        aster_device_fail(d, name, cudaGetErrorString(e));
    (void)cudaGetLastError();
}
/* How many blocks of a kernel the card holds at once */
template <class... P>
int64_t resident_blocks(const struct aster_device *d, void (*kernel)(P...), int threads,
                        size_t bytes)
{
    int n = 0;
    cudaError_t e = cudaSuccess;
    if (bytes > 48 << 10)
        e = cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    if (e == cudaSuccess)
        e = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, kernel, threads, bytes);
    if (e != cudaSuccess)
        n = 0;
    (void)cudaGetLastError();
    return (int64_t)n * d->sm_count;
}
inline void copy_bytes(struct aster_device *d, void *to, const void *from, int64_t n)
{
    cudaError_t e = n > 0
                        ? cudaMemcpyAsync(to, from, (size_t)n, cudaMemcpyDeviceToDevice, d->stream)
                        : cudaSuccess;
    if (e != cudaSuccess)
        aster_device_fail(d, "copy", cudaGetErrorString(e));
}
inline void zero_bytes(struct aster_device *d, void *p, int64_t n)
{
    cudaError_t e = n > 0 ? cudaMemsetAsync(p, 0, (size_t)n, d->stream) : cudaSuccess;
    if (e != cudaSuccess)
        aster_device_fail(d, "zero", cudaGetErrorString(e));
}
#else
template <class... P, class... A>
void launch_kernel(struct aster_device *d, const char *name, bool together, void (*kernel)(P...),
                   dim3 grid, dim3 block, size_t bytes, A... a)
{
    struct call {
        void (*kernel)(P...);
        std::tuple<P...> args;
        static void run(void *p)
        {
            const call *c = static_cast<const call *>(p);
            std::apply(c->kernel, c->args);
        }
    } c = {kernel, std::tuple<P...>(static_cast<P>(a)...)};
    const struct emulate::launch_spec s = {name,     grid,      block, (int64_t)bytes,
                                           together, call::run, &c};
    const char *refused = emulate::launch(&s, d->shared_limit, d->sm_count);
    if (refused)
        aster_device_fail(d, name, refused);
}
template <class... P>
int64_t resident_blocks(const struct aster_device *d, void (*)(P...), int, size_t bytes)
{
    return (int64_t)bytes <= d->shared_limit ? d->sm_count : 0;
}
inline void copy_bytes(struct aster_device *, void *to, const void *from, int64_t n)
{
    if (n > 0)
        memmove(to, from, (size_t)n);
}
inline void zero_bytes(struct aster_device *, void *p, int64_t n)
{
    if (n > 0)
        memset(p, 0, (size_t)n);
}
#endif

/* Calls f<float>(a) or f<double>(a). */
#define ASTER_FOR_REAL(dtype, f, a)                                                                \
    do {                                                                                           \
        if ((dtype) == ASTER_F64)                                                                  \
            f<double>(a);                                                                          \
        else                                                                                       \
            f<float>(a);                                                                           \
    } while (0)

/* An op's entry, as table_cuda.c lists it */
#define ASTER_CUDA_OP(name) extern "C" void aster_k_##name##_cuda(const struct aster_args *a)

/* ---- inside kernels ---- */
enum { WARP_SIZE = 32 };
ASTER_DEV int64_t thread_of_grid()
{
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}
ASTER_DEV int64_t threads_of_grid()
{
    return (int64_t)gridDim.x * blockDim.x;
}
template <class T>
ASTER_ANYWHERE inline T lesser(T a, T b)
{
    return a < b ? a : b;
}
template <class T>
ASTER_ANYWHERE inline T greater(T a, T b)
{
    return a > b ? a : b;
}
/* a / b and what is left; 32-bit divisions, where they do, cost a fifth. */
struct divided {
    int64_t by, rest;
};
ASTER_DEV divided divide(int64_t a, int64_t b)
{
    if (((uint64_t)a | (uint64_t)b) >> 32 == 0)
        return {(uint32_t)a / (uint32_t)b, (uint32_t)a % (uint32_t)b};
    return {a / b, a % b};
}
/* a b, rounded: not one operation with a sum that follows */
ASTER_DEV float rounded_product(float a, float b)
{
#if defined __CUDACC__
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}
ASTER_DEV double rounded_product(double a, double b)
{
#if defined __CUDACC__
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}
/* The sum over a warp, in every lane, by the same tree always */
template <class T>
ASTER_DEV T warp_sum(T v)
{
    for (int with = WARP_SIZE / 2; with > 0; with /= 2)
        v += __shfl_xor_sync(0xffffffffU, v, with);
    return v;
}

#endif
