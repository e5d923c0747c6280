/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops that move values without arithmetic, and scatter_add, the derivative of gather. */
#include "cuda/kernel.h"
extern "C" {
#include "strides.h"
}

enum { SHAPE_THREADS = 256, TILE = 32, TILE_ROWS = 8 };

/* What is moved at once: as many bytes as all sizes and addresses allow */
struct alignas(16) unit16 {
    uint64_t a, b;
};

/* rows rows of n bytes, apart by sx in x and sy in y, from byte to on. With fill, y's other bytes
 * of each row become zero. */
struct move {
    int64_t rows, n, sx, sy, to;
    bool fill;
};

template <class U>
__global__ void __launch_bounds__(SHAPE_THREADS)
    move_rows(struct move m, view<const U> x, view<U> y)
{
    const int64_t width = m.fill ? m.sy : m.n;
    for (int64_t k = thread_of_grid(); k < m.rows * width; k += threads_of_grid()) {
        const divided at = divide(k, width);
        const int64_t r = at.by, j = at.rest;
        if (!m.fill) {
            y[r * m.sy + m.to + j] = x[r * m.sx + j];
        } else {
            U v = {};
            if (j >= m.to && j < m.to + m.n)
                v = x[r * m.sx + j - m.to];
            y[r * m.sy + j] = v;
        }
    }
}

template <class U>
static void move_in(struct aster_device *d, struct move m, const void *x, int64_t x_bytes, void *y,
                    int64_t y_bytes)
{
    const int64_t size = sizeof(U);
    m.n /= size, m.sx /= size, m.sy /= size, m.to /= size;
    ASTER_LAUNCH((move_rows<U>), grid_of(d, m.rows * (m.fill ? m.sy : m.n), SHAPE_THREADS),
                 SHAPE_THREADS, 0, d, m, view_new<const U>((void *)x, x_bytes / size, "x"),
                 view_new<U>(y, y_bytes / size, "y"));
}

static void move(struct aster_device *d, const struct move &m, const void *x, int64_t x_bytes,
                 void *y, int64_t y_bytes)
{
    const uintptr_t all = (uintptr_t)m.n | (uintptr_t)m.sx | (uintptr_t)m.sy | (uintptr_t)m.to |
                          (uintptr_t)x | (uintptr_t)y;
    if (m.rows == 0 || (m.fill ? m.sy : m.n) == 0)
        return;
    if (all % 16 == 0)
        move_in<unit16>(d, m, x, x_bytes, y, y_bytes);
    else if (all % 8 == 0)
        move_in<uint64_t>(d, m, x, x_bytes, y, y_bytes);
    else if (all % 4 == 0)
        move_in<uint32_t>(d, m, x, x_bytes, y, y_bytes);
    else if (all % 2 == 0)
        move_in<uint16_t>(d, m, x, x_bytes, y, y_bytes);
    else
        move_in<uint8_t>(d, m, x, x_bytes, y, y_bytes);
}

static int64_t bytes_of(const struct aster_tensor *t)
{
    return n_elements(t) * aster_dtype_size(t->dtype);
}

ASTER_CUDA_OP(slice)
{
    const struct aster_tensor *x = &a->in[0];
    const int64_t axis = a->i[0], inner = walk_inner_bytes(x, axis), skip = a->s[0] * inner,
                  n = a->s[1] * inner;
    move(a->device, {walk_outer(x, axis), n, x->dim[axis] * inner, n, 0, false},
         (const char *)x->p + skip, bytes_of(x) - skip, a->out[0].p, bytes_of(&a->out[0]));
}

ASTER_CUDA_OP(unslice)
{
    const struct aster_tensor *x = &a->in[0];
    const int64_t axis = a->i[0], inner = walk_inner_bytes(x, axis), n = x->dim[axis] * inner;
    move(a->device, {walk_outer(x, axis), n, n, a->s[1] * inner, a->s[0] * inner, true}, x->p,
         bytes_of(x), a->out[0].p, bytes_of(&a->out[0]));
}

ASTER_CUDA_OP(concat)
{
    const struct aster_tensor *y = &a->out[0];
    const int64_t axis = a->i[0], inner = walk_inner_bytes(y, axis), stride = y->dim[axis] * inner;
    int64_t to = 0;
    for (int j = 0; j < a->n_in; j++) {
        const int64_t n = a->in[j].dim[axis] * inner;
        move(a->device, {walk_outer(y, axis), n, n, stride, to, false}, a->in[j].p,
             bytes_of(&a->in[j]), y->p, bytes_of(y));
        to += n;
    }
}

ASTER_CUDA_OP(reshape)
{
    if (a->in[0].p != a->out[0].p)
        copy_bytes(a->device, a->out[0].p, a->in[0].p, bytes_of(&a->in[0]));
}

/* ---- transpose */

/* y in order of its axes: sizes, and how far apart (in elements) neighbours along each lie in x.
 * Axes of size 1 are dropped, axes that are neighbours in x too are one. Right-aligned. */
struct permuted {
    int64_t dim[ASTER_MAX_RANK], sx[ASTER_MAX_RANK], sy[ASTER_MAX_RANK];
};

static struct permuted permuted_new(const struct aster_tensor *x, const int64_t *perm)
{
    struct permuted p = {{1, 1, 1, 1, 1}, {0}, {0}};
    int at = ASTER_MAX_RANK;
    int64_t sy = 1;
    for (int k = x->rank - 1; k >= 0; k--) {
        const int64_t axis = perm[k], n = x->dim[axis], sx = walk_inner(x, axis);
        if (n == 1)
            continue;
        if (at < ASTER_MAX_RANK && sx == p.sx[at] * p.dim[at]) {
            p.dim[at] *= n;
        } else {
            at--;
            p.dim[at] = n;
            p.sx[at] = sx;
            p.sy[at] = sy;
        }
        sy *= n;
    }
    return p;
}

/* x's and y's last axes are the same one, or there is only one. */
template <class U>
__global__ void __launch_bounds__(SHAPE_THREADS)
    permute_rows(struct permuted p, int64_t n, view<const U> x, view<U> y)
{
    for (int64_t k = thread_of_grid(); k < n; k += threads_of_grid()) {
        int64_t at = 0, rest = k;
        ASTER_UNROLL
        for (int axis = ASTER_MAX_RANK - 1; axis >= 0; axis--) {
            const divided i = divide(rest, p.dim[axis]);
            at += i.rest * p.sx[axis];
            rest = i.by;
        }
        y[k] = x[at];
    }
}

/* Tiles go through shared memory: read along x's last axis (number second in y), written along y's.
 */
template <class U>
__global__ void __launch_bounds__(TILE *TILE_ROWS)
    permute_tiles(struct permuted p, int second, view<const U> x, view<U> y)
{
    ASTER_SHARED(U, tile, TILE * (TILE + 1));
    const int last = ASTER_MAX_RANK - 1, col = threadIdx.x % TILE, row = threadIdx.x / TILE;
    const int64_t ni = p.dim[second], nj = p.dim[last], ti = (ni + TILE - 1) / TILE,
                  tj = (nj + TILE - 1) / TILE;
    int64_t items = ti * tj;
    ASTER_UNROLL
    for (int axis = 0; axis < last; axis++)
        items *= axis == second ? 1 : p.dim[axis];
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        const int64_t i0 = item % ti * TILE, j0 = item / ti % tj * TILE;
        int64_t rest = item / ti / tj, from = 0, to = 0;
        ASTER_UNROLL
        for (int axis = last - 1; axis >= 0; axis--)
            if (axis != second) {
                from += rest % p.dim[axis] * p.sx[axis];
                to += rest % p.dim[axis] * p.sy[axis];
                rest /= p.dim[axis];
            }
        for (int r = row; r < TILE; r += TILE_ROWS)
            if (j0 + r < nj && i0 + col < ni)
                tile[r * (TILE + 1) + col] =
                    x[from + (j0 + r) * p.sx[last] + (i0 + col) * p.sx[second]];
        __syncthreads();
        for (int r = row; r < TILE; r += TILE_ROWS)
            if (i0 + r < ni && j0 + col < nj)
                y[to + (i0 + r) * p.sy[second] + (j0 + col)] = tile[col * (TILE + 1) + r];
        __syncthreads();
    }
}

template <class U>
static void transpose(const struct aster_args *a)
{
    const struct permuted p = permuted_new(&a->in[0], a->i);
    const int64_t n = n_elements(&a->in[0]);
    int second = ASTER_MAX_RANK - 1;
    while (second > 0 && p.sx[second] != 1)
        second--;
    if (p.sx[ASTER_MAX_RANK - 1] == 1 || n == 1)
        ASTER_LAUNCH((permute_rows<U>), grid_of(a->device, n, SHAPE_THREADS), SHAPE_THREADS, 0,
                     a->device, p, n, in_view<U>(a, 0), out_view<U>(a, 0));
    else
        ASTER_LAUNCH((permute_tiles<U>), grid_of(a->device, n, TILE * TILE), TILE * TILE_ROWS, 0,
                     a->device, p, second, in_view<U>(a, 0), out_view<U>(a, 0));
}

ASTER_CUDA_OP(transpose)
{
    const int64_t size = aster_dtype_size(a->in[0].dtype);
    if (n_elements(&a->in[0]) == 0)
        return;
    if (size == 1)
        transpose<uint8_t>(a);
    else if (size == 2)
        transpose<uint16_t>(a);
    else if (size == 4)
        transpose<uint32_t>(a);
    else
        transpose<uint64_t>(a);
}

/* ---- gather and scatter_add */
template <class T>
__global__ void __launch_bounds__(SHAPE_THREADS)
    gather_rows(int64_t n, int64_t n_rows, int64_t dim, int64_t per_sample, view<const T> table,
                view<const int32_t> idx, view<T> y, view<int32_t> status)
{
    for (int64_t k = thread_of_grid(); k < n * dim; k += threads_of_grid()) {
        const divided i = divide(k, dim);
        const int64_t row = idx[i.by];
        const bool inside = row >= 0 && row < n_rows;
        y[k] = inside ? (T)table[row * dim + i.rest] : T(0);
        if (!inside && i.rest == 0 && status)
            atomic_exchange(status, i.by / per_sample, (int32_t)ASTER_EFORMAT);
    }
}

template <class T>
static void gather(const struct aster_args *a)
{
    const struct aster_tensor *table = &a->in[0], *idx = &a->in[1];
    const int64_t n = n_elements(idx), dim = walk_inner_bytes(table, 0) / (int64_t)sizeof(T);
    const int64_t samples = idx->rank > 0 && idx->dim[0] > 0 ? idx->dim[0] : 1;
    if (n * dim > 0)
        ASTER_LAUNCH((gather_rows<T>), grid_of(a->device, n * dim, SHAPE_THREADS), SHAPE_THREADS, 0,
                     a->device, n, table->dim[0], dim, n / samples, in_view<T>(a, 0),
                     in_view<int32_t>(a, 1), out_view<T>(a, 0), status_view(a, samples));
}

/* A block has one row of y, a column per thread. It looks through the indices SHAPE_THREADS at a
 * time, lists those of its row in their order, and adds their rows of dy in double. */
template <class T>
__global__ void __launch_bounds__(SHAPE_THREADS)
    scatter_rows(int64_t n, int64_t n_rows, int64_t dim, view<const T> dy, view<const int32_t> idx,
                 view<T> y)
{
    ASTER_SHARED(int64_t, hits, SHAPE_THREADS);
    ASTER_SHARED(int, of_warp, SHAPE_THREADS / WARP_SIZE);
    const int t = threadIdx.x, warp = t / WARP_SIZE, lane = t % WARP_SIZE;
    const int64_t tiles = (dim + SHAPE_THREADS - 1) / SHAPE_THREADS;
    for (int64_t item = blockIdx.x; item < n_rows * tiles; item += gridDim.x) {
        const int64_t v = item / tiles, d = item % tiles * SHAPE_THREADS + t;
        double sum = 0;
        for (int64_t k0 = 0; k0 < n; k0 += SHAPE_THREADS) {
            const bool hit = k0 + t < n && idx[k0 + t] == v;
            const unsigned warp_hits = __ballot_sync(0xffffffffU, hit);
            if (lane == 0)
                of_warp[warp] = __popc(warp_hits);
            __syncthreads();
            int first = 0, all = 0;
            for (int w = 0; w < SHAPE_THREADS / WARP_SIZE; w++) {
                first += w < warp ? (int)of_warp[w] : 0;
                all += of_warp[w];
            }
            if (hit)
                hits[first + __popc(warp_hits & ((1U << lane) - 1))] = k0 + t;
            __syncthreads();
            for (int h = 0; h < all && d < dim; h++)
                sum += (double)dy[hits[h] * dim + d];
        }
        if (d < dim)
            y[v * dim + d] = (T)sum;
    }
}

template <class T>
static void scatter_add(const struct aster_args *a)
{
    const struct aster_tensor *y = &a->out[0];
    const int64_t tiles = (y->dim[1] + SHAPE_THREADS - 1) / SHAPE_THREADS;
    if (n_elements(y) > 0)
        ASTER_LAUNCH((scatter_rows<T>), grid_of(a->device, y->dim[0] * tiles, 1), SHAPE_THREADS, 0,
                     a->device, n_elements(&a->in[1]), y->dim[0], y->dim[1], in_view<T>(a, 0),
                     in_view<int32_t>(a, 1), out_view<T>(a, 0));
}

ASTER_CUDA_OP(gather)
{
    ASTER_FOR_REAL(a->in[0].dtype, gather, a);
}
ASTER_CUDA_OP(scatter_add)
{
    ASTER_FOR_REAL(a->out[0].dtype, scatter_add, a);
}
