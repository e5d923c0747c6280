/* SPDX-License-Identifier: BSD-3-Clause */
/* Products y[g, m, n] = act(sum over k of A(g, m, k) B(g, k, n) + bias[n]) of operands that are
 * matrices, transposed ones, or the windows of a convolution.
 *
 * Tiles of both operands are staged in shared memory, the next ones already in registers; each
 * thread has a small block of y. The order of a sum depends on the depth only: it is cut into
 * segments, summed one by one from the first to the last. Either a block does all segments of its
 * tile, or each segment has a block, leaves its part in scratch memory, and a second kernel adds.
 */
#ifndef ASTER_CUDA_GEMM_H
#define ASTER_CUDA_GEMM_H

#include "cuda/bf16.h"
#include "cuda/unary.h"

/* Elements base + i of an operand; outside of lo <= i < hi they are zero. */
struct line {
    int64_t base, lo, hi;
};

/* Matrices one after the other, lines of length elements apart by ld */
template <class T>
struct dense {
    view<const T> x;
    int64_t n_lines, length, ld, group;
    bool is_aligned; /* lines begin at multiples of 16 bytes */
    ASTER_DEV line operator()(int64_t g, int64_t i) const
    {
        if (i >= n_lines)
            return {0, 0, 0};
        return {g * group + i * ld, 0, length};
    }
    ASTER_DEV T value(int64_t k) const
    {
        return x[k];
    }
    template <int V>
    ASTER_DEV pack<T, V> several(int64_t k) const
    {
        return load_pack<V>(x, k);
    }
};
/* The same of bf16, widened as it is read */
template <class T>
struct widened {
    view<const bf16> x;
    int64_t n_lines, length;
    bool is_aligned;
    ASTER_DEV line operator()(int64_t, int64_t i) const
    {
        if (i >= n_lines)
            return {0, 0, 0};
        return {i * length, 0, length};
    }
    ASTER_DEV T value(int64_t k) const
    {
        T v;
        convert(x[k], &v);
        return v;
    }
    template <int V>
    ASTER_DEV pack<T, V> several(int64_t k) const
    {
        const pack<bf16, V> half = load_pack<V>(x, k);
        pack<T, V> out;
        ASTER_UNROLL
        for (int j = 0; j < V; j++)
            convert(half.v[j], &out.v[j]);
        return out;
    }
};
template <class T>
dense<T> dense_new(view<const T> x, const void *p, int64_t n_lines, int64_t length, int64_t group)
{
    return {x,
            n_lines,
            length,
            length,
            group,
            is_aligned(p, 16) && length * (int64_t)sizeof(T) % 16 == 0 &&
                group * (int64_t)sizeof(T) % 16 == 0};
}

/* x [n_samples, n_positions, channels]: line i is what the result at position t of sample b sees, i
 * = b n_out + t: length elements from x[b, t - pad] on, zeros outside of the sample. */
template <class T>
struct windows {
    view<const T> x;
    int64_t n_lines, n_positions, channels, pad, n_out, length;
    bool is_aligned;
    ASTER_DEV line operator()(int64_t, int64_t i) const
    {
        if (i >= n_lines)
            return {0, 0, 0};
        const int64_t b = i / n_out, start = i % n_out - pad;
        return {(b * n_positions + start) * channels, greater<int64_t>(0, -start * channels),
                lesser(length, (n_positions - start) * channels)};
    }
    ASTER_DEV T value(int64_t k) const
    {
        return x[k];
    }
    template <int V>
    ASTER_DEV pack<T, V> several(int64_t k) const
    {
        return load_pack<V>(x, k);
    }
};
template <class T>
windows<T> windows_new(view<const T> x, const void *p, int64_t n_samples, int64_t n_positions,
                       int64_t channels, int64_t pad, int64_t n_out, int64_t kernel)
{
    return {x,
            n_samples * n_out,
            n_positions,
            channels,
            pad,
            n_out,
            kernel * channels,
            is_aligned(p, 16) && channels * (int64_t)sizeof(T) % 16 == 0};
}

template <class T>
struct gemm_tile; /* of y, of the depth, and a thread's block of y */
template <>
struct gemm_tile<float> {
    enum { M = 128, N = 64, K = 16, TM = 8, TN = 4 };
};
template <>
struct gemm_tile<double> {
    enum { M = 64, N = 64, K = 16, TM = 4, TN = 4 };
};
enum {
    GEMM_THREADS = 256,
    GEMM_SEGMENT = 512,
    GEMM_MOST_SEGMENTS = 16,
    GEMM_FEW_TILES = 256,
    GEMM_NARROW = 8
};

struct gemm_sizes {
    int64_t groups, m, n, k;
    int64_t segment, n_segments, tiles_m, tiles_n;
    int products; /* what operands are rounded to, on their way to shared memory */
};
template <class T>
gemm_sizes gemm_sizes_new(int64_t groups, int64_t m, int64_t n, int64_t k, int products)
{
    const int64_t most = GEMM_SEGMENT * GEMM_MOST_SEGMENTS,
                  segment = GEMM_SEGMENT * greater<int64_t>(1, (k + most - 1) / most);
    return {groups,
            m,
            n,
            k,
            segment,
            (k + segment - 1) / segment,
            (m + gemm_tile<T>::M - 1) / gemm_tile<T>::M,
            (n + gemm_tile<T>::N - 1) / gemm_tile<T>::N,
            products};
}

/* What is done to a finished sum */
template <class T>
struct gemm_finish {
    view<const T> bias;
    view<T> y;
    int64_t n;
    int act;
    ASTER_DEV void operator()(int64_t row, int64_t column, T v) const
    {
        if (bias)
            v += bias[column];
        if (act == ASTER_ACT_GELU)
            v *= fn_normal(v);
        y[row * n + column] = act == ASTER_ACT_RELU && v < 0 ? T(0) : v;
    }
};
/* or to that of one segment */
template <class T>
struct gemm_leave {
    view<T> parts;
    int64_t n;
    ASTER_DEV void operator()(int64_t row, int64_t column, T v) const
    {
        parts[row * n + column] = v;
    }
};

/* A thread's share in staging an operand's tile of ROWS x K. ALONG_K: lines go along the depth, one
 * per row; else one per k. */
template <class T, int ROWS, bool ALONG_K, class Operand>
struct gemm_stage {
    enum {
        K = gemm_tile<T>::K,
        V = 16 / (int)sizeof(T),
        LD = ROWS + V,
        SHARE = ROWS * K / V / GEMM_THREADS
    };
    static_assert(SHARE * V * GEMM_THREADS == ROWS * K, "a tile is shared evenly");
    pack<T, V> held[SHARE];
    line lines[SHARE];

    static ASTER_DEV int row_of(int s)
    {
        const int p = (int)threadIdx.x + s * GEMM_THREADS;
        return ALONG_K ? p / (K / V) : p % (ROWS / V) * V;
    }
    static ASTER_DEV int depth_of(int s)
    {
        const int p = (int)threadIdx.x + s * GEMM_THREADS;
        return ALONG_K ? p % (K / V) * V : p / (ROWS / V);
    }
    /* Before the first tile of an item */
    ASTER_DEV void begin(const Operand &x, int64_t g, int64_t row0)
    {
        if (ALONG_K)
            ASTER_UNROLL
        for (int s = 0; s < SHARE; s++)
            lines[s] = x(g, row0 + row_of(s));
    }
    ASTER_DEV void fetch(const Operand &x, int64_t g, int64_t row0, int64_t k0, int64_t k_end)
    {
        ASTER_UNROLL
        for (int s = 0; s < SHARE; s++) {
            const int64_t k = k0 + depth_of(s);
            int64_t i = ALONG_K ? k : row0 + row_of(s);
            line l = {0, 0, 0};
            if (ALONG_K) {
                l = lines[s];
                l.hi = lesser(l.hi, k_end);
            } else if (k < k_end) {
                l = x(g, k);
            }
            if (x.is_aligned && i >= l.lo && i + V <= l.hi) {
                held[s] = x.template several<V>(l.base + i);
                continue;
            }
            ASTER_UNROLL
            for (int j = 0; j < V; j++, i++)
                held[s].v[j] = i >= l.lo && i < l.hi ? x.value(l.base + i) : T(0);
        }
    }
    /* tile: [K][LD] */
    ASTER_DEV void put(shared<T> tile, int products)
    {
        if (products != ASTER_PRODUCTS_FULL)
            ASTER_UNROLL
        for (int s = 0; s < SHARE; s++)
            ASTER_UNROLL
        for (int j = 0; j < V; j++)
            held[s].v[j] = operand(held[s].v[j], products);
        ASTER_UNROLL
        for (int s = 0; s < SHARE; s++) {
            const int r = row_of(s), k = depth_of(s);
            if (ALONG_K)
                ASTER_UNROLL
            for (int j = 0; j < V; j++)
                tile[(k + j) * LD + r] = held[s].v[j];
            else store_pack<V>(tile, k * LD + r, held[s]);
        }
    }
};

/* Sums of one segment into acc */
template <class T, class StageA, class StageB, class A, class B>
ASTER_DEV void gemm_segment(const A &a, const B &b, int64_t g, int64_t m0, int64_t n0, int64_t k0,
                            int64_t k_end, shared<T> tile_a, shared<T> tile_b, StageA &stage_a,
                            StageB &stage_b, int products, T *acc)
{
    enum {
        TM = gemm_tile<T>::TM,
        TN = gemm_tile<T>::TN,
        K = gemm_tile<T>::K,
        V = 16 / (int)sizeof(T)
    };
    const int column = (int)threadIdx.x % (gemm_tile<T>::N / TN) * TN,
              row = (int)threadIdx.x / (gemm_tile<T>::N / TN) * TM;
    int buffer = 0;
    ASTER_UNROLL
    for (int i = 0; i < TM * TN; i++)
        acc[i] = 0;
    stage_a.fetch(a, g, m0, k0, k_end);
    stage_b.fetch(b, g, n0, k0, k_end);
    stage_a.put(tile_a, products);
    stage_b.put(tile_b, products);
    __syncthreads();
    for (; k0 < k_end; k0 += K, buffer ^= 1) {
        const bool more = k0 + K < k_end;
        const shared<T> ta = tile_a + buffer * K * StageA::LD,
                        tb = tile_b + buffer * K * StageB::LD;
        if (more) {
            stage_a.fetch(a, g, m0, k0 + K, k_end);
            stage_b.fetch(b, g, n0, k0 + K, k_end);
        }
        ASTER_UNROLL
        for (int k = 0; k < K; k++) {
            pack<T, V> x[TM / V], w[TN / V];
            ASTER_UNROLL
            for (int i = 0; i < TM / V; i++)
                x[i] = load_pack<V>(ta, k * StageA::LD + row + i * V);
            ASTER_UNROLL
            for (int j = 0; j < TN / V; j++)
                w[j] = load_pack<V>(tb, k * StageB::LD + column + j * V);
            ASTER_UNROLL
            for (int i = 0; i < TM; i++)
                ASTER_UNROLL
            for (int j = 0; j < TN; j++)
                acc[i * TN + j] += x[i / V].v[i % V] * w[j / V].v[j % V];
        }
        if (more) {
            stage_a.put(tile_a + (buffer ^ 1) * K * StageA::LD, products);
            stage_b.put(tile_b + (buffer ^ 1) * K * StageB::LD, products);
        }
        __syncthreads();
    }
}

/* SPLIT: an item is one segment of a tile */
template <class T, bool A_ALONG_K, bool B_ALONG_K, bool SPLIT, class A, class B, class Sink>
__global__ void __launch_bounds__(GEMM_THREADS)
    gemm_kernel(struct gemm_sizes s, A a, B b, Sink sink)
{
    typedef gemm_stage<T, gemm_tile<T>::M, A_ALONG_K, A> StageA;
    typedef gemm_stage<T, gemm_tile<T>::N, B_ALONG_K, B> StageB;
    enum { TM = gemm_tile<T>::TM, TN = gemm_tile<T>::TN, K = gemm_tile<T>::K };
    ASTER_SHARED(T, tile_a, 2 * K * StageA::LD);
    ASTER_SHARED(T, tile_b, 2 * K * StageB::LD);
    const int64_t segments = SPLIT ? s.n_segments : 1;
    const int column = (int)threadIdx.x % (gemm_tile<T>::N / TN) * TN,
              row = (int)threadIdx.x / (gemm_tile<T>::N / TN) * TM;
    for (int64_t item = blockIdx.x; item < segments * s.groups * s.tiles_m * s.tiles_n;
         item += gridDim.x) {
        const int64_t tn = item % s.tiles_n, tm = item / s.tiles_n % s.tiles_m,
                      rest = item / s.tiles_n / s.tiles_m;
        const int64_t g = rest % s.groups, first = rest / s.groups, m0 = tm * gemm_tile<T>::M,
                      n0 = tn * gemm_tile<T>::N;
        StageA stage_a;
        StageB stage_b;
        T acc[TM * TN], total[TM * TN] = {};
        stage_a.begin(a, g, m0);
        stage_b.begin(b, g, n0);
        for (int64_t k = first; k < (SPLIT ? first + 1 : s.n_segments); k++) {
            gemm_segment<T>(a, b, g, m0, n0, k * s.segment, lesser((k + 1) * s.segment, s.k),
                            tile_a, tile_b, stage_a, stage_b, s.products, acc);
            ASTER_UNROLL
            for (int i = 0; i < TM * TN; i++)
                total[i] += acc[i];
        }
        ASTER_UNROLL
        for (int i = 0; i < TM; i++)
            ASTER_UNROLL
        for (int j = 0; j < TN; j++)
            if (m0 + row + i < s.m && n0 + column + j < s.n)
                sink(rest * s.m + m0 + row + i, n0 + column + j, total[i * TN + j]);
    }
}

/* parts: [n_segments, groups m, n] */
template <class T>
__global__ void __launch_bounds__(GEMM_THREADS)
    gemm_fold(struct gemm_sizes s, view<const T> parts, gemm_finish<T> finish)
{
    const int64_t n = s.groups * s.m * s.n;
    for (int64_t i = thread_of_grid(); i < n; i += threads_of_grid()) {
        T total = 0;
        for (int64_t k = 0; k < s.n_segments; k++)
            total += parts[k * n + i];
        finish(i / s.n, i % s.n, total);
    }
}

template <class T, bool A_ALONG_K, bool B_ALONG_K, class A, class B>
void gemm_run(struct aster_device *d, int products, int64_t groups, int64_t m, int64_t n, int64_t k,
              const A &a, const B &b, const gemm_finish<T> &finish)
{
    const gemm_sizes s = gemm_sizes_new<T>(groups, m, n, k, products);
    const int64_t cells = s.n_segments * groups * m * n, tiles = groups * s.tiles_m * s.tiles_n;
    if (groups * m * n == 0)
        return;
    if (s.n_segments > 1 && tiles < GEMM_FEW_TILES && cells * (int64_t)sizeof(T) <= d->work_bytes) {
        const view<T> parts = scratch_view<T>(d, cells);
        ASTER_LAUNCH((gemm_kernel<T, A_ALONG_K, B_ALONG_K, true, A, B, gemm_leave<T>>),
                     grid_of(d, tiles * s.n_segments, 1), GEMM_THREADS, 0, d, s, a, b,
                     gemm_leave<T>{parts, n});
        ASTER_LAUNCH((gemm_fold<T>), grid_of(d, groups * m * n, GEMM_THREADS), GEMM_THREADS, 0, d,
                     s, parts, finish);
    } else {
        ASTER_LAUNCH((gemm_kernel<T, A_ALONG_K, B_ALONG_K, false, A, B, gemm_finish<T>>),
                     grid_of(d, tiles, 1), GEMM_THREADS, 0, d, s, a, b, finish);
    }
}

/* At most GEMM_NARROW columns: a warp per row, its lanes along the depth. w [k, n] */
template <class T, class A>
__global__ void __launch_bounds__(GEMM_THREADS)
    gemm_narrow(int64_t m, int64_t k, int products, A a, view<const T> w, gemm_finish<T> finish)
{
    const int lane = threadIdx.x % WARP_SIZE, n = (int)finish.n;
    for (int64_t row = thread_of_grid() / WARP_SIZE; row < m;
         row += threads_of_grid() / WARP_SIZE) {
        const line l = a(0, row);
        T sum[GEMM_NARROW] = {};
        for (int64_t i = lane; i < k; i += WARP_SIZE) {
            if (i < l.lo || i >= l.hi)
                continue;
            const T x = operand((T)a.x[l.base + i], products);
            ASTER_UNROLL
            for (int j = 0; j < GEMM_NARROW; j++)
                if (j < n)
                    sum[j] += x * operand((T)w[i * n + j], products);
        }
        ASTER_UNROLL
        for (int j = 0; j < GEMM_NARROW; j++) {
            const T total = warp_sum(sum[j]);
            if (lane == 0 && j < n)
                finish(row, j, total);
        }
    }
}

/* Rows of a by the matrix w [k, n], however many columns it has */
template <class T, class A>
void gemm_rows(struct aster_device *d, int products, int64_t m, int64_t n, int64_t k, const A &a,
               view<const T> w, const void *w_pointer, const gemm_finish<T> &finish)
{
    if (m == 0 || n == 0)
        return;
    if (n <= GEMM_NARROW)
        ASTER_LAUNCH((gemm_narrow<T, A>), grid_of(d, m, GEMM_THREADS / WARP_SIZE), GEMM_THREADS, 0,
                     d, m, k, products, a, w, finish);
    else
        gemm_run<T, true, false>(d, products, 1, m, n, k, a, dense_new<T>(w, w_pointer, k, n, 0),
                                 finish);
}

#endif
