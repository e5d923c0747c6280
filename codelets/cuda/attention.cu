/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention and its backward pass in tiles: the matrix of scores is never stored.
 *
 * A block takes TILE rows (queries, or keys for dk and dv) against TILE columns at a time. Four threads share a row; each has the
 * scores of every fourth column and, of WIDE columns of the result, every fourth. Features go through shared memory in chunks. */
#include "cuda/kernel.h"

enum { TILE = 32, CHUNK = 32, LD = CHUNK + 1, SHARERS = 4, SCORES = TILE / SHARERS, WIDE = 128, CHUNKS = WIDE / CHUNK, ATTENTION_THREADS = TILE * SHARERS };
enum { CELLS = TILE * LD }; /* of one tile in shared memory */

struct attention {
    int64_t n, t, s, e; /* groups, queries, keys, features */
    bool causal;
    double scale;
    int64_t tiles, parts; /* tiles of rows; parts of WIDE features */
};
template <class T> struct attention_data {
    view<const T> q, k, v, o, lse, go;
    view<const int32_t> keys;
    view<T> out0, out1;
};

/* Keys that a query sees: 0 .. result - 1. Later queries never see fewer. */
template <class T> ASTER_DEV int64_t seen(const struct attention &z, const attention_data<T> &d, int64_t g, int64_t query)
{
    const int64_t n = d.keys ? greater<int64_t>(0, lesser<int64_t>(d.keys[g], z.s)) : z.s;
    return z.causal ? lesser(n, query + 1) : n;
}

/* Rows row0.. and features e0.. of one group's x [n_rows, e] into a tile [TILE][LD]; zeros where there is nothing */
template <class T> ASTER_DEV void load_tile(shared<T> tile, view<const T> x, int64_t g, int64_t n_rows, int64_t row0, int64_t e, int64_t e0)
{
    for (int i = threadIdx.x; i < TILE * CHUNK; i += ATTENTION_THREADS) {
        const int r = i / CHUNK, k = i % CHUNK;
        tile[r * LD + k] = row0 + r < n_rows && e0 + k < e ? (T)x[(g * n_rows + row0 + r) * e + e0 + k] : T(0);
    }
}

/* score[j] += row of tile a . row (sharer + 4 j) of tile b */
template <class T> ASTER_DEV void add_scores(T *score, shared<T> a, shared<T> b)
{
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int k = 0; k < CHUNK; k++) {
        const T x = a[row * LD + k];
        ASTER_UNROLL
        for (int j = 0; j < SCORES; j++)
            score[j] += x * (T)b[(sharer + SHARERS * j) * LD + k];
    }
}

/* acc[j] += sum over k of weights[row][k] x[k][sharer + 4 j] */
template <class T> ASTER_DEV void add_rows(T *acc, shared<T> weights, shared<T> x)
{
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int k = 0; k < TILE; k++) {
        const T w = weights[row * LD + k];
        ASTER_UNROLL
        for (int j = 0; j < SCORES; j++)
            acc[j] += w * (T)x[k * LD + sharer + SHARERS * j];
    }
}

template <class T> ASTER_DEV void store_row(view<T> y, int64_t at, int64_t e, int64_t e0, const T *acc, T factor)
{
    ASTER_UNROLL
    for (int j = 0; j < CHUNKS * SCORES; j++) {
        const int64_t k = e0 + j / SCORES * CHUNK + threadIdx.x % SHARERS + SHARERS * (j % SCORES);
        if (k < e)
            y[at + k] = acc[j] * factor;
    }
}

/* One value of the four threads of a row, in each of them */
template <class T> ASTER_DEV T share_sum(T v)
{
    v += __shfl_xor_sync(0xffffffffU, v, 1);
    return v + (T)__shfl_xor_sync(0xffffffffU, v, 2);
}
template <class T> ASTER_DEV T share_max(T v)
{
    v = greater<T>(v, __shfl_xor_sync(0xffffffffU, v, 1));
    return greater<T>(v, __shfl_xor_sync(0xffffffffU, v, 2));
}

template <class T> __global__ void __launch_bounds__(ATTENTION_THREADS) attention_kernel(struct attention z, attention_data<T> d)
{
    ASTER_SHARED_DYNAMIC(T, memory);
    const shared<T> queries = memory, keys = memory + CELLS, weights = memory + 2 * CELLS;
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int64_t item = blockIdx.x; item < z.n * z.tiles * z.parts; item += gridDim.x) {
        const int64_t part = item % z.parts, g = item / z.parts / z.tiles, t0 = item / z.parts % z.tiles * TILE, e0 = part * WIDE;
        const int64_t mine = t0 + row < z.t ? seen(z, d, g, t0 + row) : 0, end = seen(z, d, g, lesser(t0 + TILE, z.t) - 1);
        T acc[CHUNKS * SCORES] = {}, most = (T)-INFINITY, sum = 0;
        for (int64_t s0 = 0; s0 < end; s0 += TILE) {
            T score[SCORES] = {}, top = (T)-INFINITY, part_sum = 0;
            for (int64_t k = 0; k < z.e; k += CHUNK) {
                load_tile<T>(queries, d.q, g, z.t, t0, z.e, k);
                load_tile<T>(keys, d.k, g, z.s, s0, z.e, k);
                __syncthreads();
                add_scores<T>(score, queries, keys);
                __syncthreads();
            }
            ASTER_UNROLL
            for (int j = 0; j < SCORES; j++) {
                score[j] = s0 + sharer + SHARERS * j < mine ? score[j] * (T)z.scale : (T)-INFINITY;
                top = greater(top, score[j]);
            }
            top = greater(most, share_max(top));
            const T again = top == (T)-INFINITY ? T(1) : (T)exp(most - top); /* for what was summed under the old maximum */
            ASTER_UNROLL
            for (int j = 0; j < SCORES; j++) {
                const T p = s0 + sharer + SHARERS * j < mine ? (T)exp(score[j] - top) : T(0);
                part_sum += p;
                weights[row * LD + sharer + SHARERS * j] = p;
            }
            sum = sum * again + share_sum(part_sum);
            most = top;
            ASTER_UNROLL
            for (int c = 0; c < CHUNKS; c++) {
                if (e0 + c * CHUNK >= z.e)
                    break;
                load_tile<T>(keys, d.v, g, z.s, s0, z.e, e0 + c * CHUNK);
                __syncthreads();
                ASTER_UNROLL
                for (int j = 0; j < SCORES; j++)
                    acc[c * SCORES + j] *= again;
                add_rows<T>(acc + c * SCORES, weights, keys);
                __syncthreads();
            }
        }
        if (t0 + row < z.t) {
            store_row<T>(d.out0, (g * z.t + t0 + row) * z.e, z.e, e0, acc, sum > 0 ? 1 / sum : T(0));
            if (part == 0 && sharer == 0)
                d.out1[g * z.t + t0 + row] = mine > 0 ? most + log(sum) : (T)-INFINITY;
        }
    }
}

/* Scores and derivatives of the probabilities of TILE rows of a against TILE of b: score = a . b, slope = a2 . b2 */
template <class T>
ASTER_DEV void both_scores(const struct attention &z, int64_t g, view<const T> a, view<const T> a2, int64_t n_a, int64_t a0, view<const T> b, view<const T> b2,
                           int64_t n_b, int64_t b0, shared<T> tiles, T *score, T *slope)
{
    ASTER_UNROLL
    for (int j = 0; j < SCORES; j++)
        score[j] = slope[j] = 0;
    for (int64_t k = 0; k < z.e; k += CHUNK) {
        load_tile<T>(tiles, a, g, n_a, a0, z.e, k);
        load_tile<T>(tiles + CELLS, b, g, n_b, b0, z.e, k);
        load_tile<T>(tiles + 2 * CELLS, a2, g, n_a, a0, z.e, k);
        load_tile<T>(tiles + 3 * CELLS, b2, g, n_b, b0, z.e, k);
        __syncthreads();
        add_scores<T>(score, tiles, tiles + CELLS);
        add_scores<T>(slope, tiles + 2 * CELLS, tiles + 3 * CELLS);
        __syncthreads();
    }
}

/* The sum of do o of a query, by its four threads; 0 where there is none */
template <class T> ASTER_DEV T mean_slope(const struct attention &z, const attention_data<T> &d, int64_t g, int64_t query)
{
    T sum = 0;
    for (int64_t k = threadIdx.x % SHARERS; query < z.t && k < z.e; k += SHARERS)
        sum += (T)d.go[(g * z.t + query) * z.e + k] * (T)d.o[(g * z.t + query) * z.e + k];
    return share_sum(sum);
}

template <class T> __global__ void __launch_bounds__(ATTENTION_THREADS) attention_dq_kernel(struct attention z, attention_data<T> d)
{
    ASTER_SHARED_DYNAMIC(T, memory);
    const shared<T> weights = memory + 4 * CELLS;
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int64_t item = blockIdx.x; item < z.n * z.tiles * z.parts; item += gridDim.x) {
        const int64_t g = item / z.parts / z.tiles, t0 = item / z.parts % z.tiles * TILE, e0 = item % z.parts * WIDE;
        const int64_t mine = t0 + row < z.t ? seen(z, d, g, t0 + row) : 0, end = seen(z, d, g, lesser(t0 + TILE, z.t) - 1);
        const T lse = t0 + row < z.t ? (T)d.lse[g * z.t + t0 + row] : T(0), mean = mean_slope(z, d, g, t0 + row);
        T acc[CHUNKS * SCORES] = {}, score[SCORES], slope[SCORES];
        for (int64_t s0 = 0; s0 < end; s0 += TILE) {
            both_scores<T>(z, g, d.q, d.go, z.t, t0, d.k, d.v, z.s, s0, memory, score, slope);
            ASTER_UNROLL
            for (int j = 0; j < SCORES; j++) {
                const bool sees = s0 + sharer + SHARERS * j < mine;
                weights[row * LD + sharer + SHARERS * j] = sees ? (T)z.scale * (T)exp((T)z.scale * score[j] - lse) * (slope[j] - mean) : T(0);
            }
            ASTER_UNROLL
            for (int c = 0; c < CHUNKS; c++) {
                if (e0 + c * CHUNK >= z.e)
                    break;
                load_tile<T>(memory, d.k, g, z.s, s0, z.e, e0 + c * CHUNK);
                __syncthreads();
                add_rows<T>(acc + c * SCORES, weights, memory);
                __syncthreads();
            }
        }
        if (t0 + row < z.t)
            store_row<T>(d.out0, (g * z.t + t0 + row) * z.e, z.e, e0, acc, T(1));
    }
}

/* Rows are keys here, columns queries. */
template <class T> __global__ void __launch_bounds__(ATTENTION_THREADS) attention_dkv_kernel(struct attention z, attention_data<T> d)
{
    ASTER_SHARED_DYNAMIC(T, memory);
    ASTER_SHARED(T, means, TILE);
    const shared<T> probs = memory + 4 * CELLS, slopes = memory + 5 * CELLS;
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int64_t item = blockIdx.x; item < z.n * z.tiles * z.parts; item += gridDim.x) {
        const int64_t g = item / z.parts / z.tiles, s0 = item / z.parts % z.tiles * TILE, e0 = item % z.parts * WIDE;
        T dk[CHUNKS * SCORES] = {}, dv[CHUNKS * SCORES] = {}, score[SCORES], slope[SCORES];
        for (int64_t t0 = z.causal ? s0 : 0; t0 < z.t; t0 += TILE) {
            const T mean = mean_slope(z, d, g, t0 + row);
            if (sharer == 0)
                means[row] = mean;
            both_scores<T>(z, g, d.k, d.v, z.s, s0, d.q, d.go, z.t, t0, memory, score, slope);
            ASTER_UNROLL
            for (int j = 0; j < SCORES; j++) {
                const int column = sharer + SHARERS * j;
                const int64_t query = t0 + column;
                T p = 0;
                if (query < z.t && s0 + row < seen(z, d, g, query))
                    p = exp((T)z.scale * score[j] - (T)d.lse[g * z.t + query]);
                probs[row * LD + column] = p;
                slopes[row * LD + column] = (T)z.scale * p * (slope[j] - (T)means[column]);
            }
            ASTER_UNROLL
            for (int c = 0; c < CHUNKS; c++) {
                if (e0 + c * CHUNK >= z.e)
                    break;
                load_tile<T>(memory, d.go, g, z.t, t0, z.e, e0 + c * CHUNK);
                load_tile<T>(memory + CELLS, d.q, g, z.t, t0, z.e, e0 + c * CHUNK);
                __syncthreads();
                add_rows<T>(dv + c * SCORES, probs, memory);
                add_rows<T>(dk + c * SCORES, slopes, memory + CELLS);
                __syncthreads();
            }
        }
        if (s0 + row < z.s) {
            store_row<T>(d.out0, (g * z.s + s0 + row) * z.e, z.e, e0, dk, T(1));
            store_row<T>(d.out1, (g * z.s + s0 + row) * z.e, z.e, e0, dv, T(1));
        }
    }
}

static struct attention attention_of(const struct aster_args *a, int64_t rows)
{
    const struct aster_tensor *q = &a->in[0], *k = &a->in[1];
    return {q->dim[0], q->dim[1], k->dim[1], q->dim[2], a->i[0] != 0, a->f[0], (rows + TILE - 1) / TILE, greater<int64_t>(1, (q->dim[2] + WIDE - 1) / WIDE)};
}
static view<const int32_t> keys_of(const struct aster_args *a, int number)
{
    return number < a->n_in ? in_view<int32_t>(a, number) : view_new<const int32_t>(NULL, 0, "keys");
}

template <class T> static void attention(const struct aster_args *a)
{
    const struct attention z = attention_of(a, a->in[0].dim[1]);
    const view<const T> none = view_new<const T>(NULL, 0, "none");
    const attention_data<T> d = {in_view<T>(a, 0), in_view<T>(a, 1), in_view<T>(a, 2), none, none, none, keys_of(a, 3), out_view<T>(a, 0), out_view<T>(a, 1)};
    if (z.n * z.tiles > 0)
        ASTER_LAUNCH((attention_kernel<T>), grid_of(a->device, z.n * z.tiles * z.parts, 1), ATTENTION_THREADS, 3 * CELLS * sizeof(T), a->device, z, d);
}

template <class T> static void attention_dx(const struct aster_args *a)
{
    const struct attention zq = attention_of(a, a->in[0].dim[1]), zk = attention_of(a, a->in[1].dim[1]);
    attention_data<T> d = {in_view<T>(a, 0), in_view<T>(a, 1), in_view<T>(a, 2), in_view<T>(a, 3), in_view<T>(a, 4), in_view<T>(a, 5), keys_of(a, 6),
                           out_view<T>(a, 0), out_view<T>(a, 0)};
    if (zq.n * zq.tiles > 0)
        ASTER_LAUNCH((attention_dq_kernel<T>), grid_of(a->device, zq.n * zq.tiles * zq.parts, 1), ATTENTION_THREADS, 5 * CELLS * sizeof(T), a->device, zq, d);
    d.out0 = out_view<T>(a, 1);
    d.out1 = out_view<T>(a, 2);
    if (zk.n * zk.tiles > 0)
        ASTER_LAUNCH((attention_dkv_kernel<T>), grid_of(a->device, zk.n * zk.tiles * zk.parts, 1), ATTENTION_THREADS, 6 * CELLS * sizeof(T), a->device, zk, d);
}

ASTER_CUDA_OP(attention)
{
    ASTER_FOR_REAL(a->in[0].dtype, attention, a);
}
ASTER_CUDA_OP(attention_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, attention_dx, a);
}
