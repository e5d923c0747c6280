/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages along edges: a thread per atom and channel sums over the edges into it, a warp per pair
 * of edges over the channels. Between them: directions, lengths and gates of vectors. */
#include "cuda/kernel.h"

enum { MESSAGE_THREADS = 256, MESSAGE_WARPS = MESSAGE_THREADS / WARP_SIZE, TABLE_BLOCK = 16 };

struct message_sizes {
    int64_t atoms, edges, width, intervals, parts; /* intervals: of a table */
    double cutoff;
};
template <class T>
struct message_data {
    view<const T> s, edge, table, v; /* v: of a table with three parts only */
    view<const int32_t> link, starts;
};

/* The interval of a spline, and what its four coefficients count: as they do in c1 and the others'
 * differences from it, which keep rounding small. */
template <class T>
struct place {
    int64_t interval;
    T w[3], slope[3], factor; /* factor: 0 beyond the cutoff */
};
template <class T>
ASTER_DEV place<T> place_of(const message_sizes &z, T d)
{
    place<T> p;
    const T cutoff = (T)z.cutoff;
    p.interval = 0;
    p.factor = d <= cutoff ? T(1) : d != d ? d : T(0);
    if (!(d <= cutoff)) {
        for (int k = 0; k < 3; k++)
            p.w[k] = p.slope[k] = d != d ? d : T(0);
        return p;
    }
    const T scale = (T)z.intervals / cutoff, x = d > 0 ? d * scale : T(0);
    p.interval = lesser((int64_t)x, z.intervals - 1);
    const T t = x - (T)p.interval, u = 1 - t, sixth = T(1) / 6;
    p.w[0] = u * u * u * sixth;
    p.w[1] = (1 + 3 * t * (1 + t * u)) * sixth;
    p.w[2] = t * t * t * sixth;
    p.slope[0] = -u * u * scale / 2;
    p.slope[1] = (1 + t * (2 - 3 * t)) * scale / 2;
    p.slope[2] = t * t * scale / 2;
    return p;
}

/* Index of part 0 of channel c, the interval's first coefficient; parts are TABLE_BLOCK apart */
ASTER_DEV int64_t table_at(const message_sizes &z, int64_t interval, int64_t c)
{
    return (c / TABLE_BLOCK * (z.intervals + 3) + interval) * z.parts * TABLE_BLOCK +
           c % TABLE_BLOCK;
}
/* The value of a filter, or its slope, which has no first term: factor 0 */
template <class T>
ASTER_DEV T between(const message_sizes &z, view<const T> table, int64_t at, const T *w, T factor)
{
    const int64_t step = z.parts * TABLE_BLOCK;
    const T c1 = table[at + step];
    T y = factor * c1 + ((T)table[at] - c1) * w[0];
    for (int k = 1; k < 3; k++)
        y += ((T)table[at + (k + 1) * step] - c1) * w[k];
    return y;
}
/* Index of component 0 of channel c of atom i's vectors; components are TABLE_BLOCK apart */
ASTER_DEV int64_t vectors_at(int64_t atoms, int64_t i, int64_t c)
{
    return (c / TABLE_BLOCK * atoms + i) * 3 * TABLE_BLOCK + c % TABLE_BLOCK;
}
/* The length that edge e and the edge back have */
template <class T>
ASTER_DEV T length_of(const message_sizes &z, const message_data<T> &m, int64_t e)
{
    const int64_t back = (int32_t)m.link[z.edges + e];
    return m.edge[4 * lesser(e, back) + 3];
}

/* A vector of channel c of atom i; the last channel's thread fills the block up. */
template <class T>
ASTER_DEV void put_vector(view<T> to, const message_sizes &z, int64_t i, int64_t c, const T *x)
{
    for (int a = 0; a < 3; a++)
        to[vectors_at(z.atoms, i, c) + a * TABLE_BLOCK] = x[a];
    if (c + 1 < z.width)
        return;
    for (int64_t pad = c + 1; pad % TABLE_BLOCK; pad++)
        for (int a = 0; a < 3; a++)
            to[vectors_at(z.atoms, i, pad) + a * TABLE_BLOCK] = T(0);
}

template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    message_kernel(message_sizes z, message_data<T> m, view<T> s, view<T> v)
{
    const int64_t n = z.width;
    for (int64_t k = thread_of_grid(); k < z.atoms * n; k += threads_of_grid()) {
        const divided at = divide(k, n);
        const int64_t i = at.by, c = at.rest, end = (int32_t)m.starts[i + 1];
        T sum = m.s[k], vector[3];
        for (int a = 0; a < 3; a++)
            vector[a] = z.parts == 3 ? (T)m.v[vectors_at(z.atoms, i, c) + a * TABLE_BLOCK] : T(0);
        for (int64_t e = (int32_t)m.starts[i]; e < end; e++) {
            const int64_t j = (int32_t)m.link[e];
            const place<T> p = place_of<T>(z, length_of(z, m, e));
            const int64_t from = table_at(z, p.interval, c);
            const T along =
                between<T>(z, m.table, from + (z.parts - 1) * TABLE_BLOCK, p.w, p.factor);
            sum += (T)m.s[j * n + c] * between<T>(z, m.table, from, p.w, p.factor);
            const T phi =
                z.parts == 3 ? between<T>(z, m.table, from + TABLE_BLOCK, p.w, p.factor) : T(0);
            for (int a = 0; a < 3; a++) {
                if (z.parts == 3)
                    vector[a] += (T)m.v[vectors_at(z.atoms, j, c) + a * TABLE_BLOCK] * phi;
                vector[a] += (T)m.edge[4 * e + a] * along;
            }
        }
        s[k] = sum;
        put_vector<T>(v, z, i, c, vector);
    }
}

/* Each message goes back to its source: the edge back leads there, and has the same filter. */
template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    message_back(message_sizes z, message_data<T> m, view<const T> gs, view<const T> gv, view<T> ds,
                 view<T> dv)
{
    const int64_t n = z.width;
    for (int64_t k = thread_of_grid(); k < z.atoms * n; k += threads_of_grid()) {
        const divided at = divide(k, n);
        const int64_t i = at.by, c = at.rest, end = (int32_t)m.starts[i + 1];
        T sum = gs[k], vector[3];
        for (int a = 0; a < 3; a++)
            vector[a] = z.parts == 3 ? (T)gv[vectors_at(z.atoms, i, c) + a * TABLE_BLOCK] : T(0);
        for (int64_t e = (int32_t)m.starts[i]; e < end; e++) {
            const int64_t j = (int32_t)m.link[e];
            const place<T> p = place_of<T>(z, length_of(z, m, e));
            const int64_t from = table_at(z, p.interval, c);
            sum += (T)gs[j * n + c] * between<T>(z, m.table, from, p.w, p.factor);
            if (z.parts == 3) {
                const T phi = between<T>(z, m.table, from + TABLE_BLOCK, p.w, p.factor);
                for (int a = 0; a < 3; a++)
                    vector[a] += (T)gv[vectors_at(z.atoms, j, c) + a * TABLE_BLOCK] * phi;
            }
        }
        ds[k] = sum;
        if (z.parts == 3)
            put_vector<T>(dv, z, i, c, vector);
    }
}

/* A warp per edge that comes before its edge back: the derivative is that by both. */
template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    message_edges(message_sizes z, message_data<T> m, view<const T> gs, view<const T> gv,
                  view<T> out)
{
    const int64_t n = z.width;
    const int lane = threadIdx.x % WARP_SIZE;
    for (int64_t e = thread_of_grid() / WARP_SIZE; e < z.edges;
         e += threads_of_grid() / WARP_SIZE) {
        const int64_t b = (int32_t)m.link[z.edges + e], j = (int32_t)m.link[e];
        if (b < e)
            continue;
        const int64_t i = (int32_t)m.link[b];
        const place<T> p = place_of<T>(z, (T)m.edge[4 * e + 3]);
        T length = 0, direction[3] = {0, 0, 0};
        for (int64_t c = lane; c < n; c += WARP_SIZE) {
            const int64_t from = table_at(z, p.interval, c),
                          along = from + (z.parts - 1) * TABLE_BLOCK;
            const T phi = between<T>(z, m.table, along, p.w, p.factor);
            T by_s = (T)m.s[j * n + c] * (T)gs[i * n + c] + (T)m.s[i * n + c] * (T)gs[j * n + c],
              by_v = 0, by_u = 0;
            const int64_t to = vectors_at(z.atoms, i, c), back = vectors_at(z.atoms, j, c);
            for (int a = 0; a < 3; a++) {
                const T g = gv[to + a * TABLE_BLOCK], h = gv[back + a * TABLE_BLOCK];
                direction[a] += phi * (g - h);
                by_u += (T)m.edge[4 * e + a] * (g - h);
                if (z.parts == 3)
                    by_v += (T)m.v[back + a * TABLE_BLOCK] * g + (T)m.v[to + a * TABLE_BLOCK] * h;
            }
            length += by_s * between<T>(z, m.table, from, p.slope, T(0));
            if (z.parts == 3)
                length += by_v * between<T>(z, m.table, from + TABLE_BLOCK, p.slope, T(0));
            length += by_u * between<T>(z, m.table, along, p.slope, T(0));
        }
        length = warp_sum(length);
        for (int a = 0; a < 3; a++)
            direction[a] = warp_sum(direction[a]);
        if (lane == 0) {
            out[4 * e + 3] = length;
            out[4 * b + 3] = T(0);
            for (int a = 0; a < 3; a++) {
                out[4 * e + a] = direction[a];
                out[4 * b + a] = T(0);
            }
        }
    }
}

static struct message_sizes sizes_of(const struct aster_args *a, int at)
{
    const struct aster_tensor *s = &a->in[at], *table = &a->in[at + 2];
    return {s->dim[0], a->in[at + 1].dim[0], s->dim[1], table->dim[1] - 3, table->dim[2], a->f[0]};
}
/* at: the first of s, edge, table, link, starts, v */
template <class T>
static message_data<T> data_of(const struct aster_args *a, int at)
{
    return {in_view<T>(a, at),
            in_view<T>(a, at + 1),
            in_view<T>(a, at + 2),
            a->n_in > at + 5 ? in_view<T>(a, at + 5) : view_new<const T>(nullptr, 0, "none"),
            in_view<int32_t>(a, at + 3),
            in_view<int32_t>(a, at + 4)};
}

template <class T>
static void message(const struct aster_args *a)
{
    const message_sizes z = sizes_of(a, 0);
    if (z.atoms * z.width > 0)
        ASTER_LAUNCH((message_kernel<T>), grid_of(a->device, z.atoms * z.width, MESSAGE_THREADS),
                     MESSAGE_THREADS, 0, a->device, z, data_of<T>(a, 0), out_view<T>(a, 0),
                     out_view<T>(a, 1));
}
template <class T>
static void message_dx(const struct aster_args *a)
{
    const message_sizes z = sizes_of(a, 2);
    const message_data<T> m = data_of<T>(a, 2);
    const view<T> none = view_new<T>(nullptr, 0, "none");
    if (z.edges > 0)
        ASTER_LAUNCH((message_edges<T>), grid_of(a->device, z.edges, MESSAGE_WARPS),
                     MESSAGE_THREADS, 0, a->device, z, m, in_view<T>(a, 0), in_view<T>(a, 1),
                     out_view<T>(a, 0));
    if (a->i[0] && z.atoms * z.width > 0)
        ASTER_LAUNCH((message_back<T>), grid_of(a->device, z.atoms * z.width, MESSAGE_THREADS),
                     MESSAGE_THREADS, 0, a->device, z, m, in_view<T>(a, 0), in_view<T>(a, 1),
                     out_view<T>(a, 1), z.parts == 3 ? out_view<T>(a, 2) : none);
}

/* ---- directions: a thread per edge ---- */

template <class T>
ASTER_DEV T size_of(view<const T> r, int64_t e)
{
    double sum = 0;
    for (int k = 0; k < 3; k++)
        sum += (double)(T)r[3 * e + k] * (double)(T)r[3 * e + k];
    return (T)sqrt(sum);
}
template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    direction_kernel(int64_t n, T least, view<const T> r, view<T> y)
{
    for (int64_t e = thread_of_grid(); e < n; e += threads_of_grid()) {
        const T d = size_of<T>(r, e);
        for (int k = 0; k < 3; k++)
            y[4 * e + k] = (T)r[3 * e + k] / (d + least);
        y[4 * e + 3] = d;
    }
}
/* du / D + r (dd - (du r) / D^2) / d with D = d + least */
template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    direction_back(int64_t n, T least, view<const T> g, view<const T> r, view<T> y)
{
    for (int64_t e = thread_of_grid(); e < n; e += threads_of_grid()) {
        const T d = size_of<T>(r, e), by = 1 / (d + least);
        T dot = 0;
        for (int k = 0; k < 3; k++)
            dot += (T)g[4 * e + k] * (T)r[3 * e + k];
        const T along = d == 0 ? T(0) : ((T)g[4 * e + 3] - dot * by * by) / d;
        for (int k = 0; k < 3; k++)
            y[3 * e + k] = (T)g[4 * e + k] * by + (T)r[3 * e + k] * along;
    }
}
template <class T>
static void direction(const struct aster_args *a)
{
    const int64_t n = a->in[0].dim[0];
    if (n > 0)
        ASTER_LAUNCH((direction_kernel<T>), grid_of(a->device, n, MESSAGE_THREADS), MESSAGE_THREADS,
                     0, a->device, n, (T)a->f[0], in_view<T>(a, 0), out_view<T>(a, 0));
}
template <class T>
static void direction_dx(const struct aster_args *a)
{
    const int64_t n = a->in[1].dim[0];
    if (n > 0)
        ASTER_LAUNCH((direction_back<T>), grid_of(a->device, n, MESSAGE_THREADS), MESSAGE_THREADS,
                     0, a->device, n, (T)a->f[0], in_view<T>(a, 0), in_view<T>(a, 1),
                     out_view<T>(a, 0));
}

/* ---- lengths and gates: a thread per atom and channel ---- */

struct vector_sizes {
    int64_t atoms, width, end; /* end: of the last block of channels */
    double eps;
    bool is_isotropic;
};
template <class T>
ASTER_DEV T root_of(const vector_sizes &z, view<const T> v, int64_t at)
{
    T sum = (T)z.eps * (T)z.eps;
    for (int k = 0; k < 3; k++)
        sum += (T)v[at + k * TABLE_BLOCK] * (T)v[at + k * TABLE_BLOCK];
    return sqrt(sum);
}

template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    length_kernel(vector_sizes z, view<const T> s, view<const T> v, view<T> q)
{
    for (int64_t k = thread_of_grid(); k < z.atoms * z.width; k += threads_of_grid()) {
        const divided at = divide(k, z.width);
        q[2 * at.by * z.width + at.rest] = (T)s[k];
        q[(2 * at.by + 1) * z.width + at.rest] =
            root_of<T>(z, v, vectors_at(z.atoms, at.by, at.rest)) - (T)z.eps;
    }
}
/* A thread per channel up to the end of its block: those beyond the width write zeros. */
template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    length_back(vector_sizes z, view<const T> dq, view<const T> v, bool has_s, view<const T> s0,
                bool has_v, view<const T> v0, view<T> ds, view<T> dv)
{
    for (int64_t k = thread_of_grid(); k < z.atoms * z.end; k += threads_of_grid()) {
        const divided at = divide(k, z.end);
        const int64_t i = at.by, c = at.rest, x = vectors_at(z.atoms, i, c);
        T by = 0;
        if (c < z.width) {
            const T root = root_of<T>(z, v, x);
            by = root == 0 ? T(0) : (T)dq[(2 * i + 1) * z.width + c] / root;
            ds[i * z.width + c] =
                (T)dq[2 * i * z.width + c] + (has_s ? (T)s0[i * z.width + c] : T(0));
        }
        for (int a = 0; a < 3; a++)
            dv[x + a * TABLE_BLOCK] =
                (T)v[x + a * TABLE_BLOCK] * by + (has_v ? (T)v0[x + a * TABLE_BLOCK] : T(0));
    }
}

/* The matrix as it is used */
template <class T>
struct mixing {
    T m[9];
};
template <class T>
ASTER_DEV mixing<T> mixing_of(const vector_sizes &z, view<const T> m)
{
    mixing<T> x;
    const T third = ((T)m[0] + (T)m[4] + (T)m[8]) / 3;
    for (int k = 0; k < 9; k++)
        x.m[k] = !z.is_isotropic ? (T)m[k] : k % 4 ? T(0) : third;
    return x;
}

/* Channel c of atom i: where it lies among the layer's values and among vectors, and its gates, 0
 * behind the last channel */
template <class T>
struct gate {
    int64_t i, c, p, to;
    bool is_there;
    T o1, o2;
};
template <class T>
ASTER_DEV gate<T> gate_of(const vector_sizes &z, view<const T> o, int64_t k)
{
    const divided at = divide(k, z.end);
    gate<T> g;
    g.i = at.by;
    g.c = at.rest;
    g.p = 3 * g.i * z.width + g.c;
    g.to = vectors_at(z.atoms, g.i, g.c);
    g.is_there = g.c < z.width;
    g.o1 = g.is_there ? (T)o[g.p + z.width] : T(0);
    g.o2 = g.is_there ? (T)o[g.p + 2 * z.width] : T(0);
    return g;
}

template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    gate_kernel(vector_sizes z, view<const T> s, view<const T> v, view<const T> o,
                view<const T> matrix, view<T> t, view<T> w)
{
    const mixing<T> x = mixing_of<T>(z, matrix);
    for (int64_t k = thread_of_grid(); k < z.atoms * z.end; k += threads_of_grid()) {
        const gate<T> g = gate_of<T>(z, o, k);
        const int64_t channel = g.i * z.width + g.c;
        if (g.is_there)
            t[channel] = (T)s[channel] + (T)o[g.p];
        for (int a = 0; a < 3; a++) {
            T sum = 0;
            for (int b = 0; b < 3; b++)
                sum += x.m[3 * a + b] * (T)v[g.to + b * TABLE_BLOCK];
            w[g.to + a * TABLE_BLOCK] = (T)v[g.to + a * TABLE_BLOCK] * g.o1 + sum * g.o2;
        }
    }
}
template <class T>
__global__ void __launch_bounds__(MESSAGE_THREADS)
    gate_back(vector_sizes z, view<const T> ds, view<const T> dw, view<const T> v, view<const T> o,
              view<const T> matrix, view<T> go, view<T> dv)
{
    const mixing<T> x = mixing_of<T>(z, matrix);
    for (int64_t k = thread_of_grid(); k < z.atoms * z.end; k += threads_of_grid()) {
        const gate<T> g = gate_of<T>(z, o, k);
        T g1 = 0, g2 = 0;
        for (int a = 0; a < 3; a++) {
            const T d = dw[g.to + a * TABLE_BLOCK];
            T mixed = 0, back = 0;
            for (int b = 0; b < 3; b++) {
                mixed += x.m[3 * a + b] * (T)v[g.to + b * TABLE_BLOCK];
                back += x.m[3 * b + a] * (T)dw[g.to + b * TABLE_BLOCK];
            }
            g1 += d * (T)v[g.to + a * TABLE_BLOCK];
            g2 += d * mixed;
            dv[g.to + a * TABLE_BLOCK] = d * g.o1 + back * g.o2;
        }
        if (g.is_there) {
            go[g.p] = (T)ds[g.i * z.width + g.c];
            go[g.p + z.width] = g1;
            go[g.p + 2 * z.width] = g2;
        }
    }
}

/* rows: a tensor [N, parts width] */
static struct vector_sizes vectors_of(const struct aster_args *a, int rows, int parts)
{
    const int64_t width = a->in[rows].dim[1] / parts;
    return {a->in[rows].dim[0], width, aster_round_up(width, TABLE_BLOCK), a->f[0], a->i[0] != 0};
}
#define VECTORS_LAUNCH(kernel, z, ...)                                                             \
    do {                                                                                           \
        if ((z).atoms * (z).width > 0)                                                             \
            ASTER_LAUNCH((kernel<T>), grid_of(a->device, (z).atoms *(z).end, MESSAGE_THREADS),     \
                         MESSAGE_THREADS, 0, a->device, z, __VA_ARGS__);                           \
    } while (0)

template <class T>
static void vector_length(const struct aster_args *a)
{
    const vector_sizes z = vectors_of(a, 0, 1);
    VECTORS_LAUNCH(length_kernel, z, in_view<T>(a, 0), in_view<T>(a, 1), out_view<T>(a, 0));
}
template <class T>
static void vector_length_dx(const struct aster_args *a)
{
    const vector_sizes z = vectors_of(a, 0, 2);
    const bool has_s = a->n_in > 2 && a->in[2].p, has_v = a->n_in > 3;
    const view<const T> none = view_new<const T>(nullptr, 0, "none");
    VECTORS_LAUNCH(length_back, z, in_view<T>(a, 0), in_view<T>(a, 1), has_s,
                   has_s ? in_view<T>(a, 2) : none, has_v, has_v ? in_view<T>(a, 3) : none,
                   out_view<T>(a, 0), out_view<T>(a, 1));
}
template <class T>
static void vector_gate(const struct aster_args *a)
{
    const vector_sizes z = vectors_of(a, 0, 1);
    VECTORS_LAUNCH(gate_kernel, z, in_view<T>(a, 0), in_view<T>(a, 1), in_view<T>(a, 2),
                   in_view<T>(a, 3), out_view<T>(a, 0), out_view<T>(a, 1));
}
template <class T>
static void vector_gate_dx(const struct aster_args *a)
{
    const vector_sizes z = vectors_of(a, 0, 1);
    VECTORS_LAUNCH(gate_back, z, in_view<T>(a, 0), in_view<T>(a, 1), in_view<T>(a, 2),
                   in_view<T>(a, 3), in_view<T>(a, 4), out_view<T>(a, 0), out_view<T>(a, 1));
}

ASTER_CUDA_OP(direction)
{
    ASTER_FOR_REAL(a->in[0].dtype, direction, a);
}
ASTER_CUDA_OP(direction_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, direction_dx, a);
}
ASTER_CUDA_OP(message)
{
    ASTER_FOR_REAL(a->in[0].dtype, message, a);
}
ASTER_CUDA_OP(message_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, message_dx, a);
}
ASTER_CUDA_OP(vector_length)
{
    ASTER_FOR_REAL(a->in[0].dtype, vector_length, a);
}
ASTER_CUDA_OP(vector_length_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, vector_length_dx, a);
}
ASTER_CUDA_OP(vector_gate)
{
    ASTER_FOR_REAL(a->in[0].dtype, vector_gate, a);
}
ASTER_CUDA_OP(vector_gate_dx)
{
    ASTER_FOR_REAL(a->in[0].dtype, vector_gate_dx, a);
}
