/* SPDX-License-Identifier: BSD-3-Clause */
/* CUDA's execution model on the CPU, for tests of the kernels: grids, blocks, threads (as fibers),
 * shared memory, barriers, warp shuffles, atomics. One launch at a time, in one thread of the
 * process; a launch is over when the call returns.
 *
 * What it catches, naming kernel, block, thread, array and index: an index outside of a shared
 * array or of a tensor; a vector access that is not aligned; shared memory read before it is
 * written; two threads that touch the same element, one of them writing, with no barrier between
 * them (__syncwarp counts within a warp, shuffles do not; across blocks only the barrier of the
 * grid does); barriers and shuffles that some threads do not reach or reach elsewhere; a value
 * asked of a lane that has exited. Threads run in three orders. What it cannot show: time, and a
 * memory model weaker than "each access is seen at once". */
#ifndef ASTER_CUDA_EMULATE_H
#define ASTER_CUDA_EMULATE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
enum aster_emulate_order { ASTER_EMULATE_UP, ASTER_EMULATE_DOWN, ASTER_EMULATE_MIXED };
void aster_emulate_order(
    enum aster_emulate_order order);   /* in which threads and blocks take their turns */
const char *aster_emulate_error(void); /* the first thing caught, NULL if nothing */
void aster_emulate_forget(void);       /* forgets it */
int aster_emulate_n_kernels(void);     /* kernels launched so far, without template arguments */
const char *aster_emulate_kernel(int k);
#ifdef __cplusplus
}

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <tuple>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c)
    {
    }
};

namespace emulate
{

enum { WARP = 32 };
enum state { READY, AT_BARRIER, AT_WARP, AT_GRID, DONE };

struct warp {
    uint32_t epoch;      /* __syncwarp passed */
    uint32_t generation; /* collectives passed */
    int n_lanes, arrived, exited, line;
    uint64_t slot[WARP], done[2][WARP];
};

struct block;
struct thread {
    void *sp; /* NULL before it starts */
    int64_t stack;
    dim3 index;
    uint16_t number; /* in its block */
    state what;
    int line; /* of the barrier it waits at */
    struct block *in;
    struct warp *lanes;
};

struct array { /* shared memory of one declaration */
    const void *site;
    const char *name;
    int64_t n, size, room, n_cells;
    char *p;
    struct cell *cells;
    uint32_t *settled; /* the span in which several warps have read an element */
};
enum { MOST_ARRAYS = 16 };

struct block {
    dim3 index;
    uint32_t number, stamp, epoch; /* stamp: like no other block's; epoch: barriers passed */
    uint32_t span;                 /* from barrier to barrier, like no other block's or epoch's */
    int n_threads, n_waiting, n_done, n_arrays;
    int64_t dynamic_bytes;
    struct thread *threads;
    struct warp *warps;
    struct array array[MOST_ARRAYS];
};

extern struct thread *now;
extern dim3 block_dim, grid_dim;
extern uint32_t grid_stamp; /* changes with every launch and every barrier of the grid */

[[noreturn]] void caught(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- who touched an element last ---- */
enum readers { ONE_THREAD, ONE_WARP, ONE_BLOCK, MANY_BLOCKS };
struct access { /* 16 bytes: there is one for each element; epochs modulo 65536 */
    uint32_t stamp, block;
    uint16_t epoch, warp, thread;
    uint16_t kind; /* of a write: is it atomic; of reads: by whom */
};
struct alignas(32) cell {
    struct access written, read;
};

extern struct access here; /* the running thread's; its stamp is the block's */
extern uint32_t span;      /* its block's */
/* Has nothing ordered a before an access of the running thread? */
inline bool unordered(const struct access &a, uint32_t stamp)
{
    if (a.stamp != stamp)
        return false;
    if (a.block != here.block)
        return true;
    return a.thread != here.thread && a.epoch == here.epoch &&
           (a.thread / WARP != here.thread / WARP || a.warp == here.warp);
}
/* Is an earlier read, maybe one of several, unordered with a write of the running thread? */
inline bool unordered_reads(const struct access &a, uint32_t stamp)
{
    if (a.stamp != stamp)
        return false;
    switch (a.kind) {
    case ONE_THREAD:
        return unordered(a, stamp);
    case ONE_WARP:
        return a.block != here.block ||
               (a.epoch == here.epoch &&
                (a.thread / WARP != here.thread / WARP || a.warp == here.warp));
    case ONE_BLOCK:
        return a.block != here.block || a.epoch == here.epoch;
    default:
        return true;
    }
}
/* Who has read, with the running thread */
inline uint16_t readers_with(const struct access &a, uint32_t stamp)
{
    if (a.stamp != stamp)
        return ONE_THREAD;
    if (a.kind == MANY_BLOCKS || a.block != here.block)
        return MANY_BLOCKS;
    if (a.epoch != here.epoch)
        return ONE_THREAD;
    if (a.kind == ONE_BLOCK || a.thread / WARP != here.thread / WARP)
        return ONE_BLOCK;
    if (a.warp != here.warp)
        return ONE_THREAD;
    return a.thread == here.thread ? a.kind : (uint16_t)ONE_WARP;
}

/* 0, or who it clashes with. Of readers in several blocks, or in several warps of one, one at least
 * would have clashed with an unordered write: another reader of theirs has nothing to look at. */
enum clash { NONE, WITH_WRITE, WITH_READ };
inline enum clash reads(struct cell &c, uint32_t stamp)
{
    if (c.read.kind == MANY_BLOCKS && c.read.stamp == stamp)
        return NONE;
    if (unordered(c.written, stamp))
        return WITH_WRITE;
    const uint16_t kind = readers_with(c.read, stamp);
    c.read = here;
    c.read.stamp = stamp;
    c.read.kind = kind;
    return NONE;
}
inline enum clash writes(struct cell &c, uint32_t stamp, bool atomic)
{
    if (!(atomic && c.written.kind) && unordered(c.written, stamp))
        return WITH_WRITE;
    if (unordered_reads(c.read, stamp))
        return WITH_READ;
    c.written = here;
    c.written.stamp = stamp;
    c.written.kind = atomic;
    return NONE;
}
[[noreturn]] void race(const struct cell &c, enum clash with, const char *what, const char *kind,
                       const char *name, int64_t index);

/* ---- device memory ---- */
enum { PAGE = 4096, CACHED = 512 };
struct page {
    uintptr_t number;
    int shift; /* a cell is 1 << shift bytes */
    struct cell *cells;
};
extern struct page *cached[CACHED];
struct page *page_of(uintptr_t number, unsigned size);
inline struct cell &cell_of(const void *p, unsigned size)
{
    uintptr_t a = (uintptr_t)p, number = a / PAGE;
    struct page *g = cached[number % CACHED];
    if (!g || g->number != number || 1U << g->shift > size)
        g = page_of(number, size);
    return g->cells[a % PAGE >> g->shift];
}

/* What an index expression stands for: a read or a write, checked when it happens */
template <class P, class T>
struct ref {
    P p;
    int64_t k;
    operator T() const
    {
        return p.get(k);
    }
    T operator=(const T &v) const
    {
        p.set(k, v, false);
        return v;
    }
    T operator=(const ref &o) const
    {
        return *this = (T)o;
    }
    T operator+=(const T &v) const
    {
        return *this = p.get(k) + v;
    }
};

/* A pointer to n elements that knows them; at: where it points */
template <class T>
struct view {
    T *base;
    int64_t at, n;
    const char *name;
    operator view<const T>() const
    {
        return {base, at, n, name};
    }
    explicit operator bool() const
    {
        return base != nullptr;
    }
    view operator+(int64_t k) const
    {
        return {base, at + k, n, name};
    }
    T *place(int64_t k, const char *what) const
    {
        if (at + k < 0 || at + k >= n)
            caught("%s of %s[%lld], which has %lld elements", what, name, (long long)(at + k),
                   (long long)n);
        return base + at + k;
    }
    auto operator[](int64_t k) const
    {
        if constexpr (std::is_const_v<T>)
            return get(k);
        else
            return ref<view, T>{*this, k};
    }
    std::remove_const_t<T> get(int64_t k) const
    {
        T *p = place(k, "read");
        struct cell &c = cell_of(p, sizeof(T));
        enum clash with = reads(c, grid_stamp);
        if (with != NONE)
            race(c, with, "reads", "", name, at + k);
        return *p;
    }
    void set(int64_t k, const T &v, bool atomic) const
    {
        T *p = place(k, "write");
        struct cell &c = cell_of(p, sizeof(T));
        enum clash with = writes(c, grid_stamp, atomic);
        if (with != NONE)
            race(c, with, "writes", "", name, at + k);
        *p = v;
    }
    T peek(int64_t k) const /* of an atomic operation: set() checks it */
    {
        return *place(k, "read");
    }
    void check_aligned(int64_t k, size_t bytes) const
    {
        if ((uintptr_t)(base + at + k) % bytes != 0)
            caught("%zu bytes at %s[%lld] are not aligned", bytes, name, (long long)(at + k));
    }
};

/* ---- shared memory ---- */
struct array *array_of(const void *site, const char *name, int64_t n, int64_t size);

template <class T>
struct shared {
    struct array *a;
    int64_t at;
    shared operator+(int64_t k) const
    {
        return {a, at + k};
    }
    ref<shared, T> operator[](int64_t k) const
    {
        return {*this, k};
    }
    struct cell &cell_at(int64_t k, const char *what) const
    {
        if (at + k < 0 || at + k >= a->n)
            caught("%s of shared %s[%lld], which has %lld elements", what, a->name,
                   (long long)(at + k), (long long)a->n);
        return a->cells[at + k];
    }
    T get(int64_t k) const
    {
        struct cell &c = cell_at(k, "read");
        if (a->settled[at + k] == span)
            return ((T *)(void *)a->p)[at + k];
        uint32_t stamp = here.stamp;
        if (c.written.stamp != stamp)
            caught("read of shared %s[%lld], which nobody has written", a->name,
                   (long long)(at + k));
        enum clash with = reads(c, stamp);
        if (with != NONE)
            race(c, with, "reads", "shared ", a->name, at + k);
        if (c.read.kind == ONE_BLOCK)
            a->settled[at + k] = span;
        return ((T *)(void *)a->p)[at + k];
    }
    void set(int64_t k, const T &v, bool atomic) const
    {
        struct cell &c = cell_at(k, "write");
        enum clash with = writes(c, here.stamp, atomic);
        if (with != NONE)
            race(c, with, "writes", "shared ", a->name, at + k);
        ((T *)(void *)a->p)[at + k] = v;
    }
    T peek(int64_t k) const
    {
        if (cell_at(k, "read").written.stamp != here.stamp)
            caught("read of shared %s[%lld], which nobody has written", a->name,
                   (long long)(at + k));
        return ((T *)(void *)a->p)[at + k];
    }
    void check_aligned(int64_t k, size_t bytes) const
    {
        if ((size_t)(at + k) * sizeof(T) % bytes != 0)
            caught("%zu bytes at shared %s[%lld] are not aligned", bytes, a->name,
                   (long long)(at + k));
    }
};

template <class T>
view<T> view_new(T *p, int64_t n, const char *name)
{
    return {p, 0, n, name};
}
template <class T>
shared<T> shared_new(const void *site, const char *name, int64_t n)
{
    return {array_of(site, name, n, sizeof(T)), 0};
}

/* ---- what threads do together ---- */
void barrier(int line);
void grid_barrier(int line);
/* All lanes of a warp meet; gives what each of them brought. */
const uint64_t *meet(unsigned mask, uint64_t value, const char *what, int line);
void sync_warp(unsigned mask, int line);
uint64_t lane_value(const uint64_t *values, int lane, const char *what);
inline int lane()
{
    return now->number % WARP;
}
template <class T>
uint64_t bits_of(T v)
{
    static_assert(sizeof v <= 8, "a shuffle moves at most 8 bytes");
    uint64_t u = 0;
    memcpy(&u, &v, sizeof v);
    return u;
}
template <class T>
T shuffle(unsigned mask, T v, int from, const char *what, int line)
{
    uint64_t u = lane_value(meet(mask, bits_of(v), what, line), from, what);
    memcpy(&v, &u, sizeof v);
    return v;
}
inline unsigned ballot(unsigned mask, bool yes, int line)
{
    const uint64_t *v = meet(mask, yes, "__ballot_sync", line);
    unsigned all = 0;
    for (int k = 0; k < WARP; k++)
        all |= (unsigned)v[k] << k;
    return all;
}

struct launch_spec {
    const char *name;
    dim3 grid, block;
    int64_t shared_bytes;
    bool cooperative;
    void (*body)(void *);
    void *arg;
};
/* NULL, or why the launch is refused as CUDA would. */
const char *launch(const struct launch_spec *s, int64_t shared_limit, int sm_count);

} /* namespace emulate */

#define threadIdx (emulate::now->index)
#define blockIdx  (emulate::now->in->index)
#define blockDim  (emulate::block_dim)
#define gridDim   (emulate::grid_dim)

#define __syncthreads() emulate::barrier(__LINE__)
#define __syncwarp(...) emulate::sync_warp(0xffffffffU, __LINE__)
#define __shfl_sync(mask, v, from)                                                                 \
    emulate::shuffle(mask, v, (from) % emulate::WARP, "__shfl_sync", __LINE__)
#define __shfl_xor_sync(mask, v, with)                                                             \
    emulate::shuffle(mask, v, emulate::lane() ^ (with), "__shfl_xor_sync", __LINE__)
#define __shfl_down_sync(mask, v, by)                                                              \
    emulate::shuffle(mask, v,                                                                      \
                     emulate::lane() + (int)(by) < emulate::WARP ? emulate::lane() + (int)(by)     \
                                                                 : emulate::lane(),                \
                     "__shfl_down_sync", __LINE__)
#define __ballot_sync(mask, yes) emulate::ballot(mask, yes, __LINE__)
#define __popc(x)                __builtin_popcount(x)

#endif
#endif
