/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention and its backward pass in tiles: the matrix of scores is never stored. And rotary
 * positions.
 *
 * A group is what rows attend within: a head of a sample, or a head of one of several sequences
 * back to back. A block takes TILE rows (queries, or keys for dk and dv) against TILE columns at a
 * time. Four threads share a row; each has the scores of every fourth column and, of WIDE columns
 * of the result, every fourth. Features go through shared memory in chunks. */
#include "cuda/kernel.h"

enum {
    TILE = 32,
    CHUNK = 32,
    LD = CHUNK + 1,
    SHARERS = 4,
    SCORES = TILE / SHARERS,
    WIDE = 128,
    CHUNKS = WIDE / CHUNK,
    ATTENTION_THREADS = TILE * SHARERS
};
enum { CELLS = TILE * LD }; /* of one tile in shared memory */

struct attention {
    int64_t n, t, s,
        e; /* groups, queries, keys, features; of sequences t = s is the length of the longest */
    bool causal;
    double scale;
    int64_t heads, ld;    /* of rows; rows are ld apart */
    int64_t tiles, parts; /* tiles of rows; parts of WIDE features */
};
template <class T>
struct attention_data {
    view<const T> q, k, v, o, lse, go;
    view<const int32_t> keys, starts;
    view<const T> slopes;
    view<T> out0, out1;
};
template <class T>
struct attention_group {
    int64_t q0, k0, t, s,
        n_keys;           /* first row of queries and of keys, how many; keys that any query sees */
    int64_t head, column; /* column: where the head's features begin */
    T slope;
};
template <class T>
ASTER_DEV attention_group<T> group_of(const struct attention &z, const attention_data<T> &d,
                                      int64_t g)
{
    if (!d.starts)
        return {g * z.t,
                g * z.s,
                z.t,
                z.s,
                d.keys ? greater<int64_t>(0, lesser<int64_t>(d.keys[g], z.s)) : z.s,
                0,
                0,
                T(0)};
    const int64_t sequence = g / z.heads, head = g % z.heads, first = d.starts[sequence],
                  n = (int64_t)d.starts[sequence + 1] - first;
    return {first, first, n, n, n, head, head * z.e, d.slopes ? (T)d.slopes[head] : T(0)};
}

/* Keys that a query sees: 0 .. result - 1. Later queries never see fewer. */
template <class T>
ASTER_DEV int64_t seen(const struct attention &z, const attention_group<T> &h, int64_t query)
{
    return z.causal ? lesser(h.n_keys, query + 1) : h.n_keys;
}
template <class T>
ASTER_DEV T score_of(const struct attention &z, const attention_group<T> &h, T product, int64_t i,
                     int64_t j)
{
    return (T)z.scale * product - h.slope * (T)(i > j ? i - j : j - i);
}

/* Rows row0.. and features e0.. of a group whose rows begin at first into a tile [TILE][LD]; zeros
 * where there is nothing */
template <class T>
ASTER_DEV void load_tile(const struct attention &z, const attention_group<T> &h, shared<T> tile,
                         view<const T> x, int64_t first, int64_t n_rows, int64_t row0, int64_t e0)
{
    for (int i = threadIdx.x; i < TILE * CHUNK; i += ATTENTION_THREADS) {
        const int r = i / CHUNK, k = i % CHUNK;
        tile[r * LD + k] = row0 + r < n_rows && e0 + k < z.e
                               ? (T)x[(first + row0 + r) * z.ld + h.column + e0 + k]
                               : T(0);
    }
}

/* Rows of a sequence that is longer than was said: nothing of it can be computed. */
template <class T>
ASTER_DEV bool refused(const struct attention &z, const attention_group<T> &h, int64_t tile,
                       int64_t part, view<T> y)
{
    if (h.t <= z.t)
        return false;
    for (int64_t row = tile * TILE + threadIdx.x / SHARERS; part == 0 && row < h.t;
         row += z.tiles * TILE)
        for (int64_t k = threadIdx.x % SHARERS; k < z.e; k += SHARERS)
            y[(h.q0 + row) * z.ld + h.column + k] = (T)NAN;
    return true;
}

/* score[j] += row of tile a . row (sharer + 4 j) of tile b */
template <class T>
ASTER_DEV void add_scores(T *score, shared<T> a, shared<T> b)
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
template <class T>
ASTER_DEV void add_rows(T *acc, shared<T> weights, shared<T> x)
{
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int k = 0; k < TILE; k++) {
        const T w = weights[row * LD + k];
        ASTER_UNROLL
        for (int j = 0; j < SCORES; j++)
            acc[j] += w * (T)x[k * LD + sharer + SHARERS * j];
    }
}

template <class T>
ASTER_DEV void store_row(view<T> y, int64_t at, int64_t e, int64_t e0, const T *acc, T factor)
{
    ASTER_UNROLL
    for (int j = 0; j < CHUNKS * SCORES; j++) {
        const int64_t k = e0 + j / SCORES * CHUNK + threadIdx.x % SHARERS + SHARERS * (j % SCORES);
        if (k < e)
            y[at + k] = acc[j] * factor;
    }
}

/* One value of the four threads of a row, in each of them */
template <class T>
ASTER_DEV T share_sum(T v)
{
    v += __shfl_xor_sync(0xffffffffU, v, 1);
    return v + (T)__shfl_xor_sync(0xffffffffU, v, 2);
}
template <class T>
ASTER_DEV T share_max(T v)
{
    v = greater<T>(v, __shfl_xor_sync(0xffffffffU, v, 1));
    return greater<T>(v, __shfl_xor_sync(0xffffffffU, v, 2));
}

template <class T>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_kernel(struct attention z, attention_data<T> d)
{
    ASTER_SHARED_DYNAMIC(T, memory);
    const shared<T> queries = memory, keys = memory + CELLS, weights = memory + 2 * CELLS;
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int64_t item = blockIdx.x; item < z.n * z.tiles * z.parts; item += gridDim.x) {
        const int64_t part = item % z.parts, g = item / z.parts / z.tiles,
                      t0 = item / z.parts % z.tiles * TILE, e0 = part * WIDE;
        const attention_group<T> h = group_of(z, d, g);
        if (refused(z, h, t0 / TILE, part, d.out0)) {
            for (int64_t query = t0 + threadIdx.x; part == 0 && query < h.t;
                 query += z.tiles * TILE)
                if (threadIdx.x < TILE)
                    d.out1[(h.q0 + query) * z.heads + h.head] = (T)NAN;
            continue;
        }
        if (t0 >= h.t)
            continue;
        const int64_t mine = t0 + row < h.t ? seen(z, h, t0 + row) : 0,
                      end = seen(z, h, lesser(t0 + TILE, h.t) - 1);
        T acc[CHUNKS * SCORES] = {}, most = (T)-INFINITY, sum = 0;
        for (int64_t s0 = 0; s0 < end; s0 += TILE) {
            T score[SCORES] = {}, top = (T)-INFINITY, part_sum = 0;
            for (int64_t k = 0; k < z.e; k += CHUNK) {
                load_tile<T>(z, h, queries, d.q, h.q0, h.t, t0, k);
                load_tile<T>(z, h, keys, d.k, h.k0, h.s, s0, k);
                __syncthreads();
                add_scores<T>(score, queries, keys);
                __syncthreads();
            }
            ASTER_UNROLL
            for (int j = 0; j < SCORES; j++) {
                const int64_t key = s0 + sharer + SHARERS * j;
                score[j] = key < mine ? score_of(z, h, score[j], t0 + row, key) : (T)-INFINITY;
                top = greater(top, score[j]);
            }
            top = greater(most, share_max(top));
            const T again =
                top == (T)-INFINITY
                    ? T(1)
                    : (T)exp(most - top); /* for what was summed under the old maximum */
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
                load_tile<T>(z, h, keys, d.v, h.k0, h.s, s0, e0 + c * CHUNK);
                __syncthreads();
                ASTER_UNROLL
                for (int j = 0; j < SCORES; j++)
                    acc[c * SCORES + j] *= again;
                add_rows<T>(acc + c * SCORES, weights, keys);
                __syncthreads();
            }
        }
        if (t0 + row < h.t) {
            store_row<T>(d.out0, (h.q0 + t0 + row) * z.ld + h.column, z.e, e0, acc,
                         sum > 0 ? 1 / sum : T(0));
            if (part == 0 && sharer == 0)
                d.out1[(h.q0 + t0 + row) * z.heads + h.head] =
                    mine > 0 ? most + log(sum) : (T)-INFINITY;
        }
    }
}

/* Scores and derivatives of the probabilities of TILE rows of a against TILE of b: score = a . b,
 * slope = a2 . b2 */
template <class T>
ASTER_DEV void both_scores(const struct attention &z, const attention_group<T> &h, view<const T> a,
                           view<const T> a2, int64_t first_a, int64_t n_a, int64_t a0,
                           view<const T> b, view<const T> b2, int64_t first_b, int64_t n_b,
                           int64_t b0, shared<T> tiles, T *score, T *slope)
{
    ASTER_UNROLL
    for (int j = 0; j < SCORES; j++)
        score[j] = slope[j] = 0;
    for (int64_t k = 0; k < z.e; k += CHUNK) {
        load_tile<T>(z, h, tiles, a, first_a, n_a, a0, k);
        load_tile<T>(z, h, tiles + CELLS, b, first_b, n_b, b0, k);
        load_tile<T>(z, h, tiles + 2 * CELLS, a2, first_a, n_a, a0, k);
        load_tile<T>(z, h, tiles + 3 * CELLS, b2, first_b, n_b, b0, k);
        __syncthreads();
        add_scores<T>(score, tiles, tiles + CELLS);
        add_scores<T>(slope, tiles + 2 * CELLS, tiles + 3 * CELLS);
        __syncthreads();
    }
}

/* The sum of do o of a query, by its four threads; 0 where there is none */
template <class T>
ASTER_DEV T mean_slope(const struct attention &z, const attention_data<T> &d,
                       const attention_group<T> &h, int64_t query)
{
    const int64_t at = (h.q0 + query) * z.ld + h.column;
    T sum = 0;
    for (int64_t k = threadIdx.x % SHARERS; query < h.t && k < z.e; k += SHARERS)
        sum += (T)d.go[at + k] * (T)d.o[at + k];
    return share_sum(sum);
}

template <class T>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_dq_kernel(struct attention z, attention_data<T> d)
{
    ASTER_SHARED_DYNAMIC(T, memory);
    const shared<T> weights = memory + 4 * CELLS;
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int64_t item = blockIdx.x; item < z.n * z.tiles * z.parts; item += gridDim.x) {
        const int64_t g = item / z.parts / z.tiles, t0 = item / z.parts % z.tiles * TILE,
                      e0 = item % z.parts * WIDE;
        const attention_group<T> h = group_of(z, d, g);
        if (refused(z, h, t0 / TILE, item % z.parts, d.out0) || t0 >= h.t)
            continue;
        const int64_t mine = t0 + row < h.t ? seen(z, h, t0 + row) : 0,
                      end = seen(z, h, lesser(t0 + TILE, h.t) - 1);
        const T lse = t0 + row < h.t ? (T)d.lse[(h.q0 + t0 + row) * z.heads + h.head] : T(0),
                mean = mean_slope(z, d, h, t0 + row);
        T acc[CHUNKS * SCORES] = {}, score[SCORES], slope[SCORES];
        for (int64_t s0 = 0; s0 < end; s0 += TILE) {
            both_scores<T>(z, h, d.q, d.go, h.q0, h.t, t0, d.k, d.v, h.k0, h.s, s0, memory, score,
                           slope);
            ASTER_UNROLL
            for (int j = 0; j < SCORES; j++) {
                const int64_t key = s0 + sharer + SHARERS * j;
                weights[row * LD + sharer + SHARERS * j] =
                    key < mine
                        ? (T)z.scale * (T)exp(score_of(z, h, score[j], t0 + row, key) - lse) *
                              (slope[j] - mean)
                        : T(0);
            }
            ASTER_UNROLL
            for (int c = 0; c < CHUNKS; c++) {
                if (e0 + c * CHUNK >= z.e)
                    break;
                load_tile<T>(z, h, memory, d.k, h.k0, h.s, s0, e0 + c * CHUNK);
                __syncthreads();
                add_rows<T>(acc + c * SCORES, weights, memory);
                __syncthreads();
            }
        }
        if (t0 + row < h.t)
            store_row<T>(d.out0, (h.q0 + t0 + row) * z.ld + h.column, z.e, e0, acc, T(1));
    }
}

/* Rows are keys here, columns queries. */
template <class T>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_dkv_kernel(struct attention z, attention_data<T> d)
{
    ASTER_SHARED_DYNAMIC(T, memory);
    ASTER_SHARED(T, means, TILE);
    const shared<T> probs = memory + 4 * CELLS, slopes = memory + 5 * CELLS;
    const int row = threadIdx.x / SHARERS, sharer = threadIdx.x % SHARERS;
    for (int64_t item = blockIdx.x; item < z.n * z.tiles * z.parts; item += gridDim.x) {
        const int64_t g = item / z.parts / z.tiles, s0 = item / z.parts % z.tiles * TILE,
                      e0 = item % z.parts * WIDE;
        const attention_group<T> h = group_of(z, d, g);
        T dk[CHUNKS * SCORES] = {}, dv[CHUNKS * SCORES] = {}, score[SCORES], slope[SCORES];
        const bool is_refused = refused(z, h, s0 / TILE, item % z.parts, d.out0);
        if (refused(z, h, s0 / TILE, item % z.parts, d.out1) || is_refused || s0 >= h.s)
            continue;
        for (int64_t t0 = z.causal ? s0 : 0; t0 < h.t; t0 += TILE) {
            const T mean = mean_slope(z, d, h, t0 + row);
            if (sharer == 0)
                means[row] = mean;
            both_scores<T>(z, h, d.k, d.v, h.k0, h.s, s0, d.q, d.go, h.q0, h.t, t0, memory, score,
                           slope);
            ASTER_UNROLL
            for (int j = 0; j < SCORES; j++) {
                const int column = sharer + SHARERS * j;
                const int64_t query = t0 + column;
                T p = 0;
                if (query < h.t && s0 + row < seen(z, h, query))
                    p = exp(score_of(z, h, score[j], query, s0 + row) -
                            (T)d.lse[(h.q0 + query) * z.heads + h.head]);
                probs[row * LD + column] = p;
                slopes[row * LD + column] = (T)z.scale * p * (slope[j] - (T)means[column]);
            }
            ASTER_UNROLL
            for (int c = 0; c < CHUNKS; c++) {
                if (e0 + c * CHUNK >= z.e)
                    break;
                load_tile<T>(z, h, memory, d.go, h.q0, h.t, t0, e0 + c * CHUNK);
                load_tile<T>(z, h, memory + CELLS, d.q, h.q0, h.t, t0, e0 + c * CHUNK);
                __syncthreads();
                add_rows<T>(dv + c * SCORES, probs, memory);
                add_rows<T>(dk + c * SCORES, slopes, memory + CELLS);
                __syncthreads();
            }
        }
        if (s0 + row < h.s) {
            store_row<T>(d.out0, (h.k0 + s0 + row) * z.ld + h.column, z.e, e0, dk, T(1));
            store_row<T>(d.out1, (h.k0 + s0 + row) * z.ld + h.column, z.e, e0, dv, T(1));
        }
    }
}

static int64_t tiles_of(int64_t rows)
{
    return (rows + TILE - 1) / TILE;
}
static int64_t parts_of(int64_t features)
{
    return greater<int64_t>(1, (features + WIDE - 1) / WIDE);
}
static struct attention attention_of(const struct aster_args *a, int64_t rows)
{
    const struct aster_tensor *q = &a->in[0], *k = &a->in[1];
    return {q->dim[0], q->dim[1], k->dim[1], q->dim[2],      a->i[0] != 0,
            a->f[0],   1,         q->dim[2], tiles_of(rows), parts_of(q->dim[2])};
}
static struct attention ragged_of(const struct aster_args *a, int64_t n_starts)
{
    const int64_t heads = a->i[0], ld = a->in[0].dim[1], longest = a->s[0];
    return {(n_starts - 1) * heads,
            longest,
            longest,
            ld / heads,
            false,
            a->f[0],
            heads,
            ld,
            greater<int64_t>(1, tiles_of(longest)),
            parts_of(ld / heads)};
}
static view<const int32_t> integers_of(const struct aster_args *a, int number, int wanted)
{
    return number == wanted && number < a->n_in ? in_view<int32_t>(a, number)
                                                : view_new<const int32_t>(NULL, 0, "none");
}

/* at: the input behind q, k, v (and o, lse, do): counts of keys of samples, or starts of sequences
 * and slopes */
template <class T>
static attention_data<T> data_of(const struct aster_args *a, int at, bool is_ragged)
{
    const view<const T> none = view_new<const T>(NULL, 0, "none");
    const bool is_backward = at > 3;
    return {in_view<T>(a, 0),
            in_view<T>(a, 1),
            in_view<T>(a, 2),
            is_backward ? in_view<T>(a, 3) : none,
            is_backward ? in_view<T>(a, 4) : none,
            is_backward ? in_view<T>(a, 5) : none,
            integers_of(a, at, is_ragged ? -1 : at),
            integers_of(a, at, is_ragged ? at : -1),
            is_ragged && a->n_in > at + 1 ? in_view<T>(a, at + 1) : none,
            out_view<T>(a, 0),
            out_view<T>(a, 1)};
}

template <class T>
static void forward(const struct aster_args *a, const struct attention &z,
                    const attention_data<T> &d)
{
    if (z.n * z.tiles > 0)
        ASTER_LAUNCH((attention_kernel<T>), grid_of(a->device, z.n * z.tiles * z.parts, 1),
                     ATTENTION_THREADS, 3 * CELLS * sizeof(T), a->device, z, d);
}

template <class T>
static void backward(const struct aster_args *a, const struct attention &zq,
                     const struct attention &zk, attention_data<T> d)
{
    if (zq.n * zq.tiles > 0)
        ASTER_LAUNCH((attention_dq_kernel<T>), grid_of(a->device, zq.n * zq.tiles * zq.parts, 1),
                     ATTENTION_THREADS, 5 * CELLS * sizeof(T), a->device, zq, d);
    d.out0 = out_view<T>(a, 1);
    d.out1 = out_view<T>(a, 2);
    if (zk.n * zk.tiles > 0)
        ASTER_LAUNCH((attention_dkv_kernel<T>), grid_of(a->device, zk.n * zk.tiles * zk.parts, 1),
                     ATTENTION_THREADS, 6 * CELLS * sizeof(T), a->device, zk, d);
}

template <class T>
static void attention(const struct aster_args *a)
{
    forward<T>(a, attention_of(a, a->in[0].dim[1]), data_of<T>(a, 3, false));
}
template <class T>
static void attention_dx(const struct aster_args *a)
{
    backward<T>(a, attention_of(a, a->in[0].dim[1]), attention_of(a, a->in[1].dim[1]),
                data_of<T>(a, 6, false));
}
template <class T>
static void ragged_attention(const struct aster_args *a)
{
    forward<T>(a, ragged_of(a, a->in[3].dim[0]), data_of<T>(a, 3, true));
}
template <class T>
static void ragged_attention_dx(const struct aster_args *a)
{
    const struct attention z = ragged_of(a, a->in[6].dim[0]);
    backward<T>(a, z, z, data_of<T>(a, 6, true));
}

/* ---- rotary positions: a thread turns one pair of features */
template <class T>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    rotary_kernel(int64_t n, int64_t width, int64_t half, int64_t n_positions, T sign,
                  view<const T> x, view<const int32_t> position, view<const T> table, view<T> y)
{
    for (int64_t i = thread_of_grid(); i < n; i += threads_of_grid()) {
        const divided row = divide(i, width / 2), head = divide(row.rest, half);
        const int64_t at = row.by * width + head.by * 2 * half + head.rest, p = position[row.by];
        const bool is_known = p >= 0 && p < n_positions;
        const T cosine = is_known ? (T)table[p * 2 * half + head.rest] : (T)NAN,
                sine = is_known ? sign * (T)table[(2 * p + 1) * half + head.rest] : (T)NAN;
        const T first = x[at], second = x[at + half];
        y[at] = first * cosine - second * sine;
        y[at + half] = second * cosine + first * sine;
    }
}

template <class T>
static void rotary(const struct aster_args *a)
{
    const int64_t rows = a->in[0].dim[0], width = a->in[0].dim[1], half = width / a->i[0] / 2,
                  n = rows * (width / 2);
    if (n > 0)
        ASTER_LAUNCH((rotary_kernel<T>), grid_of(a->device, n, ATTENTION_THREADS),
                     ATTENTION_THREADS, 0, a->device, n, width, half, a->in[2].dim[0],
                     T(a->i[1] ? -1 : 1), in_view<T>(a, 0), in_view<int32_t>(a, 1),
                     in_view<T>(a, 2), out_view<T>(a, 0));
}

ASTER_CUDA_OP(attention)
{
    ASTER_FOR_REAL(a->in[0].dtype, attention, a);
}
ASTER_CUDA_OP(attention_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, attention_dx, a);
}
ASTER_CUDA_OP(ragged_attention)
{
    ASTER_FOR_REAL(a->in[0].dtype, ragged_attention, a);
}
ASTER_CUDA_OP(ragged_attention_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, ragged_attention_dx, a);
}
ASTER_CUDA_OP(rotary)
{
    ASTER_FOR_REAL(a->in[0].dtype, rotary, a);
}
