/* SPDX-License-Identifier: BSD-3-Clause */
/* LSTM layers, one direction: all steps in one launch of blocks that run together.
 *
 * The hidden units are cut into groups of LSTM_UNITS. A block keeps its group's part of the matrix
 * in shared memory for all steps and, step by step, computes the group's gates, c and h for tiles
 * of LSTM_ROWS samples; a barrier of the grid ends a step, as the next one needs h of all groups. A
 * product is cut along its depth among LSTM_SPLIT threads whose parts are added in order, so it
 * depends on the hidden size only. Where the matrix does not fit the card's shared memory, blocks
 * take groups in turn and read it from device memory: the same sums in the same order. */
#include "cuda/bf16.h"
#include "cuda/unary.h"

enum {
    LSTM_UNITS = 4,
    LSTM_ROWS = 16,
    LSTM_SPLIT = 16,
    LSTM_THREADS = 256,
    LSTM_QUAD = 4 /* samples of a thread */
};
static_assert(LSTM_UNITS * (LSTM_ROWS / LSTM_QUAD) * LSTM_SPLIT == LSTM_THREADS,
              "a thread for each part of a product");
static_assert(LSTM_ROWS * LSTM_UNITS * 4 == LSTM_THREADS, "a thread for each gate");

struct lstm_sizes {
    int64_t n_steps, batch, hidden, groups, tiles; /* groups of units, tiles of samples */
    bool backward_in_time;
    int64_t parts; /* kept: blocks that share a group's tiles */
    int products;  /* what both operands of the product are rounded to */
};

/* The place of a thread in a product */
struct lstm_place {
    int unit, quad, split;
};
ASTER_DEV lstm_place lstm_place_of()
{
    const int t = threadIdx.x;
    return {t % LSTM_UNITS, t / LSTM_UNITS % (LSTM_ROWS / LSTM_QUAD),
            t / (LSTM_UNITS * (LSTM_ROWS / LSTM_QUAD))};
}

/* Rows row0.. of x [.., depth], as other blocks left them at the last step, into tile
 * [LSTM_ROWS][depth + 1]; zeros behind n_rows. */
template <class T>
ASTER_DEV void lstm_stage(view<const T> x, int64_t row0, int64_t n_rows, int64_t depth,
                          int products, shared<T> tile)
{
    for (int r = (int)threadIdx.x / WARP_SIZE; r < LSTM_ROWS; r += LSTM_THREADS / WARP_SIZE)
        for (int64_t k = threadIdx.x % WARP_SIZE; k < depth; k += WARP_SIZE)
            tile[r * (depth + 1) + k] =
                r < n_rows ? operand(load_fresh(x, (row0 + r) * depth + k), products) : T(0);
}

template <class T>
struct lstm_data {
    view<const T> zx, whh;
    view<T> h, c, gates;
};

/* z of the gates of one group and one tile of samples, into cells [row][unit][gate]; before: first
 * row of the step before */
template <class T, bool KEPT>
ASTER_DEV void lstm_product(const lstm_sizes &s, const lstm_data<T> &d, int64_t group,
                            int64_t before, int64_t n_rows, shared<T> weights, shared<T> tile,
                            shared<T> cells)
{
    const lstm_place p = lstm_place_of();
    const int64_t hidden = s.hidden, depth = (hidden + LSTM_SPLIT - 1) / LSTM_SPLIT,
                  u = group * LSTM_UNITS + p.unit;
    T acc[LSTM_QUAD][4] = {};
    if (KEPT) {
        lstm_stage<T>(d.h, before, n_rows, hidden, s.products, tile);
        __syncthreads();
    }
    for (int64_t k = p.split * depth; k < lesser((p.split + 1) * depth, hidden); k++) {
        T w[4], x[LSTM_QUAD];
        if (KEPT) {
            constexpr int wide = 16 / (int)sizeof(T);
            ASTER_UNROLL
            for (int g = 0; g < 4; g++)
                if (g % wide == 0) {
                    const pack<T, wide> some =
                        load_pack<wide>(weights, (k * LSTM_UNITS + p.unit) * 4 + g);
                    ASTER_UNROLL
                    for (int j = 0; j < wide; j++)
                        w[g + j] = some.v[j];
                }
        } else {
            ASTER_UNROLL
            for (int g = 0; g < 4; g++)
                w[g] = u < hidden ? operand((T)d.whh[k * 4 * hidden + g * hidden + u], s.products)
                                  : T(0);
        }
        ASTER_UNROLL
        for (int r = 0; r < LSTM_QUAD; r++) {
            const int row = p.quad * LSTM_QUAD + r;
            x[r] = KEPT ? (T)tile[row * (hidden + 1) + k]
                   : row < n_rows
                       ? operand(load_fresh<T>(d.h, (before + row) * hidden + k), s.products)
                       : T(0);
        }
        ASTER_UNROLL
        for (int r = 0; r < LSTM_QUAD; r++)
            ASTER_UNROLL
        for (int g = 0; g < 4; g++)
            acc[r][g] += x[r] * w[g];
    }
    ASTER_UNROLL
    for (int r = 0; r < LSTM_QUAD; r++)
        ASTER_UNROLL
    for (int g = 0; g < 4; g++)
        cells[p.split * LSTM_THREADS + ((p.quad * LSTM_QUAD + r) * LSTM_UNITS + p.unit) * 4 + g] =
            acc[r][g];
    __syncthreads();
    T z = 0;
    for (int k = 0; k < LSTM_SPLIT; k++)
        z += cells[k * LSTM_THREADS + threadIdx.x];
    cells[threadIdx.x] = z;
    __syncthreads();
}

/* Gates, c and h of one group and one tile of samples at step t; before < 0 at the first */
template <class T, bool KEPT>
ASTER_DEV void lstm_tile(const lstm_sizes &s, const lstm_data<T> &d, int64_t group, int64_t first,
                         int64_t t, int64_t before, shared<T> weights, shared<T> tile,
                         shared<T> cells)
{
    const int64_t n_rows = lesser<int64_t>(LSTM_ROWS, s.batch - first), hidden = s.hidden;
    if (before >= 0)
        lstm_product<T, KEPT>(s, d, group, before * s.batch + first, n_rows, weights, tile, cells);
    const int row = threadIdx.x / LSTM_UNITS, unit = threadIdx.x % LSTM_UNITS;
    const int64_t u = group * LSTM_UNITS + unit, at = t * s.batch + first + row;
    if (row < n_rows && u < hidden) {
        T z[4];
        ASTER_UNROLL
        for (int g = 0; g < 4; g++)
            z[g] = (T)d.zx[(at * 4 + g) * hidden + u] +
                   (before >= 0 ? (T)cells[threadIdx.x * 4 + g] : T(0));
        const T i = fn_sigmoid(z[0]), f = fn_sigmoid(z[1]), g = tanh(z[2]), o = fn_sigmoid(z[3]);
        T c = i * g;
        if (before >= 0)
            c += f * (T)d.c[(before * s.batch + first + row) * hidden + u];
        d.gates[(at * 4 + 0) * hidden + u] = i;
        d.gates[(at * 4 + 1) * hidden + u] = f;
        d.gates[(at * 4 + 2) * hidden + u] = g;
        d.gates[(at * 4 + 3) * hidden + u] = o;
        d.c[at * hidden + u] = c;
        d.h[at * hidden + u] = o * tanh(c);
    }
    __syncthreads();
}

template <class T, bool KEPT>
__global__ void __launch_bounds__(LSTM_THREADS) lstm_kernel(lstm_sizes s, lstm_data<T> d)
{
    ASTER_SHARED_DYNAMIC(T, memory);
    const shared<T> cells = memory, weights = memory + LSTM_SPLIT * LSTM_THREADS,
                    tile = weights + s.hidden * LSTM_UNITS * 4;
    const int64_t group = blockIdx.x / s.parts;
    if (KEPT)
        for (int64_t i = threadIdx.x; i < s.hidden * LSTM_UNITS * 4; i += LSTM_THREADS) {
            const int64_t g = i % 4, u = group * LSTM_UNITS + i / 4 % LSTM_UNITS,
                          k = i / 4 / LSTM_UNITS;
            weights[i] =
                u < s.hidden ? operand((T)d.whh[(k * 4 + g) * s.hidden + u], s.products) : T(0);
        } /* read from the second step on, behind the barrier of the first */
    for (int64_t k = 0, before = -1; k < s.n_steps; k++) {
        const int64_t t = s.backward_in_time ? s.n_steps - 1 - k : k;
        if (KEPT)
            for (int64_t j = blockIdx.x % s.parts; j < s.tiles; j += s.parts)
                lstm_tile<T, true>(s, d, group, j * LSTM_ROWS, t, before, weights, tile, cells);
        else
            for (int64_t j = blockIdx.x; j < s.groups * s.tiles; j += gridDim.x)
                lstm_tile<T, false>(s, d, j / s.tiles, j % s.tiles * LSTM_ROWS, t, before, weights,
                                    tile, cells);
        before = t;
        grid_sync();
    }
}

template <class T>
struct lstm_back_data {
    view<const T> dh, c, whh;
    view<const T>
        gates; /* may be dz's memory: a thread reads its gates before it writes their derivatives */
    view<T> dz, carry; /* carry [batch, hidden]: dc f of the step after */
};

/* dz[after] whh^T of one group and one tile of samples, into cells [row][unit]; after: first row of
 * the step after */
template <class T, bool KEPT>
ASTER_DEV void lstm_back_product(const lstm_sizes &s, const lstm_back_data<T> &d, int64_t group,
                                 int64_t after, int64_t n_rows, shared<T> weights, shared<T> tile,
                                 shared<T> cells)
{
    const lstm_place p = lstm_place_of();
    const int64_t all = 4 * s.hidden, depth = (all + LSTM_SPLIT - 1) / LSTM_SPLIT,
                  u = group * LSTM_UNITS + p.unit;
    T acc[LSTM_QUAD] = {};
    if (KEPT) {
        lstm_stage<T>(d.dz, after, n_rows, all, s.products, tile);
        __syncthreads();
    }
    for (int64_t k = p.split * depth; k < lesser((p.split + 1) * depth, all); k++) {
        const T w = KEPT           ? (T)weights[p.unit * (all + 1) + k]
                    : u < s.hidden ? operand((T)d.whh[u * all + k], s.products)
                                   : T(0);
        ASTER_UNROLL
        for (int r = 0; r < LSTM_QUAD; r++) {
            const int row = p.quad * LSTM_QUAD + r;
            acc[r] +=
                (KEPT           ? (T)tile[row * (all + 1) + k]
                 : row < n_rows ? operand(load_fresh<T>(d.dz, (after + row) * all + k), s.products)
                                : T(0)) *
                w;
        }
    }
    ASTER_UNROLL
    for (int r = 0; r < LSTM_QUAD; r++)
        cells[p.split * LSTM_ROWS * LSTM_UNITS + (p.quad * LSTM_QUAD + r) * LSTM_UNITS + p.unit] =
            acc[r];
    __syncthreads();
}

template <class T, bool KEPT>
ASTER_DEV void lstm_back_tile(const lstm_sizes &s, const lstm_back_data<T> &d, int64_t group,
                              int64_t first, int64_t t, int64_t after, int64_t before,
                              shared<T> weights, shared<T> tile, shared<T> cells)
{
    const int64_t n_rows = lesser<int64_t>(LSTM_ROWS, s.batch - first), hidden = s.hidden;
    if (after >= 0)
        lstm_back_product<T, KEPT>(s, d, group, after * s.batch + first, n_rows, weights, tile,
                                   cells);
    const int row = threadIdx.x / LSTM_UNITS, unit = threadIdx.x % LSTM_UNITS;
    const int64_t u = group * LSTM_UNITS + unit, at = t * s.batch + first + row,
                  own = (first + row) * hidden + u;
    if (row < n_rows && u < hidden) {
        T z = 0;
        for (int k = 0; k < LSTM_SPLIT && after >= 0; k++)
            z += cells[k * LSTM_ROWS * LSTM_UNITS + threadIdx.x];
        const T i = d.gates[(at * 4 + 0) * hidden + u], f = d.gates[(at * 4 + 1) * hidden + u],
                g = d.gates[(at * 4 + 2) * hidden + u];
        const T o = d.gates[(at * 4 + 3) * hidden + u], y = tanh((T)d.c[at * hidden + u]),
                dh = (T)d.dh[at * hidden + u] + z;
        const T old = before >= 0 ? (T)d.c[(before * s.batch + first + row) * hidden + u] : T(0);
        T dc = dh * o * (1 - y * y);
        if (after >= 0)
            dc += d.carry[own];
        d.carry[own] = dc * f;
        d.dz[(at * 4 + 0) * hidden + u] = dc * g * (i - i * i);
        d.dz[(at * 4 + 1) * hidden + u] = dc * old * (f - f * f);
        d.dz[(at * 4 + 2) * hidden + u] = dc * i * (1 - g * g);
        d.dz[(at * 4 + 3) * hidden + u] = dh * y * (o - o * o);
    }
    __syncthreads();
}

template <class T, bool KEPT>
__global__ void __launch_bounds__(LSTM_THREADS) lstm_back_kernel(lstm_sizes s, lstm_back_data<T> d)
{
    ASTER_SHARED_DYNAMIC(T, memory);
    const int64_t all = 4 * s.hidden, group = blockIdx.x / s.parts;
    const shared<T> cells = memory, weights = memory + LSTM_SPLIT * LSTM_ROWS * LSTM_UNITS,
                    tile = weights + LSTM_UNITS * (all + 1);
    if (KEPT)
        for (int64_t i = threadIdx.x; i < LSTM_UNITS * all; i += LSTM_THREADS) {
            const int64_t unit = i / all, u = group * LSTM_UNITS + unit, k = i % all;
            weights[unit * (all + 1) + k] =
                u < s.hidden ? operand((T)d.whh[u * all + k], s.products) : T(0);
        } /* read from the second step on, behind the barrier of the first */
    for (int64_t k = 0, after = -1; k < s.n_steps; k++) {
        const int64_t t = s.backward_in_time ? k : s.n_steps - 1 - k;
        const int64_t before = k + 1 < s.n_steps ? (s.backward_in_time ? t + 1 : t - 1) : -1;
        if (KEPT)
            for (int64_t j = blockIdx.x % s.parts; j < s.tiles; j += s.parts)
                lstm_back_tile<T, true>(s, d, group, j * LSTM_ROWS, t, after, before, weights, tile,
                                        cells);
        else
            for (int64_t j = blockIdx.x; j < s.groups * s.tiles; j += gridDim.x)
                lstm_back_tile<T, false>(s, d, j / s.tiles, j % s.tiles * LSTM_ROWS, t, after,
                                         before, weights, tile, cells);
        after = t;
        grid_sync();
    }
}

static lstm_sizes sizes_of(int64_t n_steps, int64_t batch, int64_t hidden, bool reverse,
                           int products)
{
    return {n_steps,
            batch,
            hidden,
            (hidden + LSTM_UNITS - 1) / LSTM_UNITS,
            (batch + LSTM_ROWS - 1) / LSTM_ROWS,
            reverse,
            1,
            products};
}

/* All blocks together; kept: bytes of shared memory of the way that keeps the matrix; lean: of the
 * other */
template <class T, class Data>
static void launch(struct aster_device *device, const char *name, lstm_sizes s, const Data &d,
                   void (*keeping)(lstm_sizes, Data), void (*reading)(lstm_sizes, Data),
                   int64_t kept, int64_t lean)
{
    const int64_t resident = kept <= device->shared_limit
                                 ? resident_blocks(device, keeping, LSTM_THREADS, (size_t)kept)
                                 : 0;
    if (resident >= s.groups) {
        s.parts = greater<int64_t>(1, lesser(s.tiles, resident / s.groups));
        launch_kernel(device, name, true, keeping, dim3((unsigned)(s.groups * s.parts)),
                      LSTM_THREADS, (size_t)kept, s, d);
        return;
    }
    const int64_t most = resident_blocks(device, reading, LSTM_THREADS, (size_t)lean);
    launch_kernel(device, name, true, reading,
                  dim3((unsigned)lesser(s.groups * s.tiles, greater<int64_t>(1, most))),
                  LSTM_THREADS, (size_t)lean, s, d);
}

template <class T>
static void lstm(const struct aster_args *a)
{
    const lstm_sizes s =
        sizes_of(a->in[0].dim[0], a->in[0].dim[1], a->in[1].dim[0], a->i[0] != 0, a->products);
    const lstm_data<T> d = {in_view<T>(a, 0), in_view<T>(a, 1), out_view<T>(a, 0),
                            out_view<T>(a, 1), out_view<T>(a, 2)};
    const int64_t cells = LSTM_SPLIT * LSTM_THREADS,
                  kept = cells + s.hidden * LSTM_UNITS * 4 + LSTM_ROWS * (s.hidden + 1);
    if (s.n_steps * s.batch * s.hidden > 0)
        launch<T>(a->device, "lstm_kernel", s, d, lstm_kernel<T, true>, lstm_kernel<T, false>,
                  kept * (int64_t)sizeof(T), cells * (int64_t)sizeof(T));
}

template <class T>
static void lstm_dx(const struct aster_args *a)
{
    const struct aster_tensor *dh = &a->in[0];
    const lstm_sizes s = sizes_of(dh->dim[0], dh->dim[1], dh->dim[2], a->i[0] != 0, a->products);
    const lstm_back_data<T> d = {
        in_view<T>(a, 0), in_view<T>(a, 1),  in_view<T>(a, 3),
        in_view<T>(a, 2), out_view<T>(a, 0), view_new<T>(a->work, s.batch * s.hidden, "work")};
    const int64_t cells = LSTM_SPLIT * LSTM_ROWS * LSTM_UNITS, all = 4 * s.hidden,
                  kept = cells + (LSTM_UNITS + LSTM_ROWS) * (all + 1);
    if (s.n_steps * s.batch * s.hidden > 0)
        launch<T>(a->device, "lstm_back_kernel", s, d, lstm_back_kernel<T, true>,
                  lstm_back_kernel<T, false>, kept * (int64_t)sizeof(T),
                  cells * (int64_t)sizeof(T));
}

ASTER_CUDA_OP(lstm)
{
    ASTER_FOR_REAL(a->in[0].dtype, lstm, a);
}
ASTER_CUDA_OP(lstm_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, lstm_dx, a);
}
