/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours of many structures: the same list as that of src/atoms, to the bit.
 *
 * Atoms are moved into the cell, and those of large structures sorted into cubes as wide as the
 * reach. A warp looks around each atom, in the cubes near each of its images, or in all of the
 * structure; it counts, then puts what it finds where the counts before say, and puts that in
 * order. No place depends on who came first. What is an edge is decided in the working precision,
 * by sums and products that are rounded one by one. */
#include "cuda/kernel.h"
extern "C" {
#include "neighbours.h"
}

#if defined __CUDACC__
#include <math.h>
#endif

enum {
    PLACE_THREADS = 256,
    SCAN_THREADS = 256,
    SEARCH_THREADS = 256,
    DIGIT = 4,
    BINS = 1 << DIGIT,
    MOST_CUBES = 1 << 20, /* along an axis */
    BOUNDS = 9            /* of a structure: low, high, width of cubes */
};

struct neighbours_data {
    view<const struct aster_box> box;
    view<const double> position;
    view<int64_t> list_first; /* [n_boxes + 1] of the result */
    view<int32_t> src, dst, shift, reverse;
    view<int64_t> first; /* [n_atoms + 1] the first edge of each atom */
    view<double> bounds; /* [n_boxes, BOUNDS] */
    view<double> at;     /* [n_atoms, 3] in the frame, moved into the cell, */
    view<int32_t> moved; /* [n_atoms, 3] by so many of its vectors */
    view<int32_t> cubes; /* [n_boxes, 3] along each axis */
    view<int32_t> owner; /* [n_atoms] the structure */
    view<int32_t> count; /* [n_atoms] edges */
    view<int32_t> order, spare, key, spare_key; /* [n_atoms] of structures that are cut into cubes:
                                                   atoms by cubes, the cube of each */
    view<int32_t> cube_first; /* [n_atoms + n_boxes]: at most n cubes of a structure of n atoms */
    view<int32_t> found, found_shift; /* [capacity], [capacity, 3] before they are in order */
};

/* The sum of what the threads before this one bring; all threads of a block call it. */
ASTER_DEV int64_t sum_before(shared<int64_t> part, int64_t v, int64_t *total)
{
    const int t = (int)threadIdx.x, n = (int)blockDim.x;
    part[t] = v;
    __syncthreads();
    for (int step = 1; step < n; step *= 2) {
        const int64_t more = t >= step ? (int64_t)part[t - step] : 0;
        __syncthreads();
        part[t] += more;
        __syncthreads();
    }
    *total = part[n - 1];
    const int64_t before = (int64_t)part[t] - v;
    __syncthreads();
    return before;
}

/* ---- atoms in their cells, and in cubes ---- */

/* Atom i of b, moved such that coordinate k of the frame lies in 0 .. lattice[k][k] */
template <class T>
ASTER_DEV void move_in(const neighbours_data &d, const struct aster_box &b, int64_t i, double *u)
{
    const int64_t atom = b.first + i;
    int32_t moved[3] = {0, 0, 0};
    double x[3];
    for (int a = 0; a < 3; a++)
        x[a] = (double)(T)d.position[3 * atom + a];
    for (int k = 0; k < 3; k++)
        u[k] = x[0] * b.frame[3 * k] + x[1] * b.frame[3 * k + 1] + x[2] * b.frame[3 * k + 2];
    for (int k = 0; k < b.n_axes; k++) {
        const double whole = -floor(u[k] / b.lattice[4 * k]);
        moved[b.axis[k]] = (int32_t)whole;
        for (int a = k; a < 3; a++)
            u[a] += whole * b.lattice[3 * k + a];
    }
    for (int a = 0; a < 3; a++) {
        d.at[3 * atom + a] = u[a];
        d.moved[3 * atom + a] = moved[a];
    }
}

/* Cubes at least as wide as the reach, no more than atoms; one where all pairs are as quick. */
ASTER_DEV void cut(const neighbours_data &d, const struct aster_box &b, int64_t k,
                   int64_t most_pairs)
{
    int64_t cubes[3] = {1, 1, 1};
    for (int a = 0; a < 3 && b.n > most_pairs; a++) {
        const double size = d.bounds[BOUNDS * k + 3 + a] - d.bounds[BOUNDS * k + a],
                     fit = floor(size / (b.reach * (1 + 1e-9)));
        cubes[a] = fit < 1 ? 1 : fit < MOST_CUBES ? (int64_t)fit : (int64_t)MOST_CUBES;
    }
    while (cubes[0] * cubes[1] * cubes[2] > greater<int64_t>(b.n, 1)) {
        const int a = cubes[0] >= cubes[1] && cubes[0] >= cubes[2] ? 0
                      : cubes[1] >= cubes[2]                       ? 1
                                                                   : 2;
        cubes[a] = (cubes[a] + 1) / 2;
    }
    for (int a = 0; a < 3; a++) {
        const double size = d.bounds[BOUNDS * k + 3 + a] - d.bounds[BOUNDS * k + a];
        d.cubes[3 * k + a] = (int32_t)cubes[a];
        d.bounds[BOUNDS * k + 6 + a] = greater(size / (double)cubes[a], b.reach);
    }
}

/* The number of the cube, along an axis, in which a coordinate is, -1 and n beyond the ends; never
 * less for a larger coordinate. */
ASTER_DEV int32_t cube_along(double at, double low, double width, int32_t n)
{
    const double k = floor((at - low) / width);
    return k < 0 ? -1 : k < (double)n ? (int32_t)k : n;
}

ASTER_DEV int32_t cube_of(const neighbours_data &d, int64_t k, int64_t atom)
{
    int32_t key = 0;
    for (int a = 2; a >= 0; a--) {
        const int32_t n = d.cubes[3 * k + a],
                      c = cube_along(d.at[3 * atom + a], d.bounds[BOUNDS * k + a],
                                     d.bounds[BOUNDS * k + 6 + a], n);
        key = key * n + lesser(c, n - 1);
    }
    return key;
}

/* By cubes, atoms of one in their order. A thread has a run of consecutive atoms, so that counts of
 * (digit, thread) say where each of them goes. */
ASTER_DEV void sort_atoms(const neighbours_data &d, const struct aster_box &b, int64_t n_cubes,
                          shared<int32_t> bins, shared<int64_t> part)
{
    const int t = (int)threadIdx.x;
    const int64_t run = (b.n + PLACE_THREADS - 1) / PLACE_THREADS, begin = lesser(t * run, b.n),
                  end = lesser(begin + run, b.n);
    view<int32_t> key = d.key + b.first, order = d.order + b.first, to_key = d.spare_key + b.first,
                  to_order = d.spare + b.first;
    bool is_spare = false;
    for (int bit = 0; (n_cubes - 1) >> bit > 0; bit += DIGIT) {
        for (int k = 0; k < BINS; k++)
            bins[k * PLACE_THREADS + t] = 0;
        for (int64_t i = begin; i < end; i++)
            bins[((int32_t)key[i] >> bit & (BINS - 1)) * PLACE_THREADS + t] += 1;
        __syncthreads();
        int64_t sum = 0, total;
        for (int k = 0; k < BINS; k++)
            sum += (int32_t)bins[t * BINS + k];
        int64_t before = sum_before(part, sum, &total);
        for (int k = 0; k < BINS; k++) {
            const int32_t here = bins[t * BINS + k];
            bins[t * BINS + k] = (int32_t)before;
            before += here;
        }
        __syncthreads();
        for (int64_t i = begin; i < end; i++) {
            const int bin = ((int32_t)key[i] >> bit & (BINS - 1)) * PLACE_THREADS + t;
            const int32_t place = bins[bin];
            bins[bin] = place + 1;
            to_key[place] = (int32_t)key[i];
            to_order[place] = (int32_t)order[i];
        }
        __syncthreads();
        const view<int32_t> old_key = key, old_order = order;
        key = to_key;
        order = to_order;
        to_key = old_key;
        to_order = old_order;
        is_spare = !is_spare;
    }
    for (int64_t i = t; is_spare && i < b.n; i += PLACE_THREADS) {
        to_key[i] = (int32_t)key[i];
        to_order[i] = (int32_t)order[i];
    }
    __syncthreads();
}

ASTER_DEV void sort_into_cubes(const neighbours_data &d, const struct aster_box &b, int64_t k,
                               shared<int32_t> bins, shared<int64_t> part)
{
    const int64_t n_cubes =
        (int64_t)d.cubes[3 * k] * (int64_t)d.cubes[3 * k + 1] * (int64_t)d.cubes[3 * k + 2];
    if (n_cubes == 1)
        return;
    for (int64_t i = threadIdx.x; i < b.n; i += PLACE_THREADS) {
        d.key[b.first + i] = cube_of(d, k, b.first + i);
        d.order[b.first + i] = (int32_t)i;
    }
    __syncthreads();
    sort_atoms(d, b, n_cubes, bins, part);
    const view<int32_t> begin = d.cube_first + (b.first + k);
    for (int64_t i = threadIdx.x; i <= b.n; i += PLACE_THREADS) {
        const int64_t to = i < b.n ? (int64_t)d.key[b.first + i] : n_cubes;
        for (int64_t c = i ? (int64_t)d.key[b.first + i - 1] + 1 : 0; c <= to; c++)
            begin[c] = (int32_t)i;
    }
}

/* A block for each structure */
template <class T>
__global__ void __launch_bounds__(PLACE_THREADS)
    neighbours_place(neighbours_data d, int64_t n_boxes, int64_t most_pairs)
{
    ASTER_SHARED(double, low, 3 * PLACE_THREADS);
    ASTER_SHARED(double, high, 3 * PLACE_THREADS);
    ASTER_SHARED(int32_t, bins, BINS * PLACE_THREADS);
    ASTER_SHARED(int64_t, part, PLACE_THREADS);
    const int t = (int)threadIdx.x;
    for (int64_t k = blockIdx.x; k < n_boxes; k += gridDim.x) {
        const struct aster_box &b = d.box[k];
        double least[3], most[3], u[3];
        for (int a = 0; a < 3; a++) {
            least[a] = INFINITY;
            most[a] = -INFINITY;
        }
        for (int64_t i = t; i < b.n; i += PLACE_THREADS) {
            move_in<T>(d, b, i, u);
            d.owner[b.first + i] = (int32_t)k;
            for (int a = 0; a < 3; a++) {
                least[a] = lesser(least[a], u[a]);
                most[a] = greater(most[a], u[a]);
            }
        }
        for (int a = 0; a < 3; a++) {
            low[a * PLACE_THREADS + t] = least[a];
            high[a * PLACE_THREADS + t] = most[a];
        }
        for (int step = PLACE_THREADS / 2; step > 0; step /= 2) {
            __syncthreads();
            for (int a = 0; a < 3 && t < step; a++) {
                const int at = a * PLACE_THREADS + t;
                low[at] = lesser((double)low[at], (double)low[at + step]);
                high[at] = greater((double)high[at], (double)high[at + step]);
            }
        }
        if (t == 0 && b.n > 0) {
            for (int a = 0; a < 3; a++) {
                d.bounds[BOUNDS * k + a] = (double)low[a * PLACE_THREADS];
                d.bounds[BOUNDS * k + 3 + a] = (double)high[a * PLACE_THREADS];
            }
            cut(d, b, k, most_pairs);
        }
        __syncthreads();
        if (b.n > 0)
            sort_into_cubes(d, b, k, bins, part);
        __syncthreads();
    }
}

/* ---- edges ---- */

/* Is the pair of atom dst and the image of src an edge? As aster_search_near. */
template <class T>
ASTER_DEV bool is_edge(const neighbours_data &d, const struct aster_box &b, int64_t dst,
                       int64_t src, const int32_t *shift)
{
    const bool behind = shift[0] < 0 || (shift[0] == 0 && shift[1] < 0) ||
                        (shift[0] == 0 && shift[1] == 0 && shift[2] < 0);
    const bool turn = dst > src || (dst == src && behind);
    const int64_t low = b.first + (turn ? src : dst), high = b.first + (turn ? dst : src);
    T s[3], v[3];
    for (int k = 0; k < 3; k++)
        s[k] = (T)(turn ? -shift[k] : shift[k]);
    for (int k = 0; k < 3; k++)
        v[k] = (T)d.position[3 * high + k] +
               (rounded_product(s[0], (T)b.cell[k]) + rounded_product(s[1], (T)b.cell[3 + k]) +
                rounded_product(s[2], (T)b.cell[6 + k])) -
               (T)d.position[3 * low + k];
    const T d2 =
        rounded_product(v[0], v[0]) + rounded_product(v[1], v[1]) + rounded_product(v[2], v[2]);
    return (double)d2 <= b.most_d2;
}

/* An atom that a warp looks around, and how far it has come */
struct looker {
    int64_t k, i;  /* structure, atom of it */
    int64_t place; /* of its first edge */
    int32_t n;     /* edges so far */
    int32_t moved[3], cubes[3];
    double low[3], high[3], width[3];
};

/* Atoms begin .. end-1 in the order of cubes, each moved by shift from where it is in its cell */
template <class T, bool FILL>
ASTER_DEV void look_along(const neighbours_data &d, const struct aster_box &b, looker &l,
                          int64_t begin, int64_t end, const int32_t *shift)
{
    const int lane = (int)threadIdx.x % WARP_SIZE;
    const bool is_cut = l.cubes[0] > 1 || l.cubes[1] > 1 || l.cubes[2] > 1;
    for (int64_t from = begin; from < end; from += WARP_SIZE) {
        const int64_t m = from + lane;
        int64_t j = 0;
        int32_t s[3] = {0, 0, 0};
        bool near = false;
        if (m < end) {
            j = is_cut ? (int64_t)d.order[b.first + m] : m;
            for (int a = 0; a < 3; a++)
                s[a] = (int32_t)d.moved[3 * (b.first + j) + a] + shift[a] - l.moved[a];
            near = (j != l.i || s[0] != 0 || s[1] != 0 || s[2] != 0) && is_edge<T>(d, b, l.i, j, s);
        }
        const unsigned all = __ballot_sync(0xffffffffU, near);
        if (FILL && near) {
            const int64_t at = l.place + l.n + __popc(all & ((1U << lane) - 1U));
            d.found[at] = (int32_t)j;
            for (int a = 0; a < 3; a++)
                d.found_shift[3 * at + a] = s[a];
        }
        l.n += __popc(all);
    }
}

/* All cubes that a ball of reach around w touches; w: where the atom is for those whose image by
 * shift it is near. */
template <class T, bool FILL>
ASTER_DEV void look_around(const neighbours_data &d, const struct aster_box &b, looker &l,
                           const double *w, const int32_t *shift)
{
    int32_t begin[3], end[3];
    for (int a = 0; a < 3; a++) {
        const int32_t n = l.cubes[a], from = cube_along(w[a] - b.reach, l.low[a], l.width[a], n),
                      to = cube_along(w[a] + b.reach, l.low[a], l.width[a], n);
        begin[a] = lesser(greater(from, 0), n - 1);
        end[a] = to < n - 1 ? to : n - 1;
    }
    if (l.cubes[0] == 1 && l.cubes[1] == 1 && l.cubes[2] == 1) {
        look_along<T, FILL>(d, b, l, 0, b.n, shift);
        return;
    }
    const view<int32_t> first = d.cube_first + (b.first + l.k);
    for (int32_t z = begin[2]; z <= end[2]; z++)
        for (int32_t y = begin[1]; y <= end[1]; y++) {
            const int64_t row = ((int64_t)z * l.cubes[1] + y) * l.cubes[0];
            if (begin[0] <= end[0])
                look_along<T, FILL>(d, b, l, (int32_t)first[row + begin[0]],
                                    (int32_t)first[row + end[0] + 1], shift);
        }
}

/* Images by s vectors of axis k have atoms within reach of v along it where from <= s <= to. */
struct images {
    double from, to;
};
ASTER_DEV images images_along(const struct aster_box &b, const looker &l, int k, double v)
{
    if (k >= b.n_axes)
        return {0, 0};
    const double step = b.lattice[4 * k];
    return {ceil((v - l.high[k] - b.reach) / step), floor((v - l.low[k] + b.reach) / step)};
}

ASTER_DEV void take_image(const struct aster_box &b, int k, double s, const double *v, double *w,
                          int32_t *shift)
{
    for (int a = 0; a < 3; a++)
        w[a] = v[a] - s * b.lattice[3 * k + a];
    if (k < b.n_axes)
        shift[b.axis[k]] = (int32_t)s;
}

template <class T, bool FILL>
ASTER_DEV void look_everywhere(const neighbours_data &d, const struct aster_box &b, looker &l,
                               const double *u)
{
    int32_t shift[3] = {0, 0, 0};
    double v[3], w[3], x[3];
    const images p = images_along(b, l, 0, u[0]);
    for (double s = p.from; s <= p.to; s++) {
        take_image(b, 0, s, u, v, shift);
        const images q = images_along(b, l, 1, v[1]);
        for (double t = q.from; t <= q.to; t++) {
            take_image(b, 1, t, v, w, shift);
            const images r = images_along(b, l, 2, w[2]);
            for (double o = r.from; o <= r.to; o++) {
                take_image(b, 2, o, w, x, shift);
                look_around<T, FILL>(d, b, l, x, shift);
            }
        }
    }
}

/* FILL: found and found_shift; else count. A warp for each atom. */
template <class T, bool FILL>
__global__ void __launch_bounds__(SEARCH_THREADS)
    neighbours_search(neighbours_data d, int64_t n_atoms, int64_t capacity)
{
    if (FILL && (int64_t)d.first[n_atoms] > capacity)
        return;
    for (int64_t atom = thread_of_grid() / WARP_SIZE; atom < n_atoms;
         atom += threads_of_grid() / WARP_SIZE) {
        looker l = {};
        l.k = (int32_t)d.owner[atom];
        const struct aster_box &b = d.box[l.k];
        double u[3];
        l.i = atom - b.first;
        l.place = FILL ? (int64_t)d.first[atom] : 0;
        for (int a = 0; a < 3; a++) {
            u[a] = d.at[3 * atom + a];
            l.moved[a] = d.moved[3 * atom + a];
            l.cubes[a] = d.cubes[3 * l.k + a];
            l.low[a] = d.bounds[BOUNDS * l.k + a];
            l.high[a] = d.bounds[BOUNDS * l.k + 3 + a];
            l.width[a] = d.bounds[BOUNDS * l.k + 6 + a];
        }
        look_everywhere<T, FILL>(d, b, l, u);
        if (!FILL && threadIdx.x % WARP_SIZE == 0)
            d.count[atom] = l.n;
    }
}

/* Where the edges of each atom begin, and those of each structure. One block */
__global__ void __launch_bounds__(SCAN_THREADS)
    neighbours_scan(neighbours_data d, int64_t n_boxes, int64_t n_atoms)
{
    ASTER_SHARED(int64_t, part, SCAN_THREADS);
    const int64_t run = (n_atoms + SCAN_THREADS - 1) / SCAN_THREADS,
                  begin = lesser((int64_t)threadIdx.x * run, n_atoms),
                  end = lesser(begin + run, n_atoms);
    int64_t sum = 0, total;
    for (int64_t i = begin; i < end; i++)
        sum += (int32_t)d.count[i];
    int64_t before = sum_before(part, sum, &total);
    for (int64_t i = begin; i < end; i++) {
        d.first[i] = before;
        before += (int32_t)d.count[i];
    }
    if (threadIdx.x == 0)
        d.first[n_atoms] = total;
    __syncthreads();
    for (int64_t k = threadIdx.x; k <= n_boxes; k += SCAN_THREADS)
        d.list_first[k] = k < n_boxes ? (int64_t)d.first[d.box[k].first] : total;
}

ASTER_DEV bool comes_before(const neighbours_data &d, int64_t e, int64_t f)
{
    const int32_t i = d.found[e], j = d.found[f];
    if (i != j)
        return i < j;
    for (int a = 0; a < 3; a++) {
        const int32_t s = d.found_shift[3 * e + a], t = d.found_shift[3 * f + a];
        if (s != t)
            return s < t;
    }
    return false;
}

/* What was found around an atom, into the list by source and shift: behind all that come before */
__global__ void __launch_bounds__(SEARCH_THREADS)
    neighbours_order(neighbours_data d, int64_t n_atoms, int64_t capacity)
{
    if ((int64_t)d.first[n_atoms] > capacity)
        return;
    for (int64_t atom = thread_of_grid() / WARP_SIZE; atom < n_atoms;
         atom += threads_of_grid() / WARP_SIZE) {
        const int64_t k = (int32_t)d.owner[atom], begin = d.first[atom], end = d.first[atom + 1];
        const struct aster_box &b = d.box[k];
        const bool in_order = b.n_axes == 0 && (int32_t)d.cubes[3 * k] == 1 &&
                              (int32_t)d.cubes[3 * k + 1] == 1 && (int32_t)d.cubes[3 * k + 2] == 1;
        for (int64_t e = begin + threadIdx.x % WARP_SIZE; e < end; e += WARP_SIZE) {
            int64_t at = e;
            if (!in_order) {
                at = begin;
                for (int64_t f = begin; f < end; f++)
                    at += comes_before(d, f, e);
            }
            d.src[at] = (int32_t)d.found[e] + b.added;
            d.dst[at] = (int32_t)(atom - b.first) + b.added;
            for (int a = 0; a < 3; a++)
                d.shift[3 * at + a] = (int32_t)d.found_shift[3 * e + a];
        }
    }
}

/* Does edge f come before the one that goes from src by shift to the same atom? */
ASTER_DEV bool is_before(const neighbours_data &d, int64_t f, int32_t src, const int32_t *shift)
{
    const int32_t from = d.src[f];
    if (from != src)
        return from < src;
    for (int a = 0; a < 3; a++) {
        const int32_t s = d.shift[3 * f + a];
        if (s != shift[a])
            return s < shift[a];
    }
    return false;
}

/* The way back of each edge, looked for in the sorted edges of its source */
__global__ void __launch_bounds__(SEARCH_THREADS)
    neighbours_link(neighbours_data d, int64_t n_atoms, int64_t capacity)
{
    if ((int64_t)d.first[n_atoms] > capacity)
        return;
    for (int64_t atom = thread_of_grid() / WARP_SIZE; atom < n_atoms;
         atom += threads_of_grid() / WARP_SIZE) {
        const int64_t end = d.first[atom + 1];
        const struct aster_box &b = d.box[(int32_t)d.owner[atom]];
        for (int64_t e = (int64_t)d.first[atom] + threadIdx.x % WARP_SIZE; e < end;
             e += WARP_SIZE) {
            const int64_t j = b.first + ((int32_t)d.src[e] - b.added);
            const int32_t back[3] = {-(int32_t)d.shift[3 * e], -(int32_t)d.shift[3 * e + 1],
                                     -(int32_t)d.shift[3 * e + 2]};
            int64_t low = d.first[j], high = d.first[j + 1];
            while (low < high) {
                const int64_t middle = low + (high - low) / 2;
                if (is_before(d, middle, (int32_t)d.dst[e], back))
                    low = middle + 1;
                else
                    high = middle;
            }
            d.reverse[e] = (int32_t)low;
        }
    }
}

/* ---- on the host ---- */

/* The next n elements of a buffer */
template <class T>
static view<T> next_view(char *&from, int64_t n, const char *name)
{
    const view<T> v = view_new<T>((void *)from, n, name);
    from += n * (int64_t)sizeof(T);
    return v;
}

static neighbours_data data_of(const struct aster_neighbours_sizes *z, const void *input,
                               void *list, void *work)
{
    const struct aster_neighbours_input in =
        aster_neighbours_input_at(z, const_cast<void *>(input));
    const struct aster_neighbours_list out = aster_neighbours_list_at(z, list);
    const int64_t boxes = z->n_boxes, atoms = z->n_atoms, edges = z->capacity;
    neighbours_data d;
    char *next = static_cast<char *>(work);
    d.box = view_new<const struct aster_box>((void *)in.box, boxes, "box");
    d.position = view_new<const double>((void *)in.position, 3 * atoms, "position");
    d.list_first = view_new<int64_t>(out.first, boxes + 1, "list_first");
    d.src = view_new<int32_t>(out.src, edges, "src");
    d.dst = view_new<int32_t>(out.dst, edges, "dst");
    d.shift = view_new<int32_t>(out.shift, 3 * edges, "shift");
    d.reverse = view_new<int32_t>(out.reverse, edges, "reverse");
    d.first = next_view<int64_t>(next, atoms + 1, "first");
    d.bounds = next_view<double>(next, BOUNDS * boxes, "bounds");
    d.at = next_view<double>(next, 3 * atoms, "at");
    d.moved = next_view<int32_t>(next, 3 * atoms, "moved");
    d.cubes = next_view<int32_t>(next, 3 * boxes, "cubes");
    d.owner = next_view<int32_t>(next, atoms, "owner");
    d.count = next_view<int32_t>(next, atoms, "count");
    d.order = next_view<int32_t>(next, atoms, "order");
    d.spare = next_view<int32_t>(next, atoms, "spare");
    d.key = next_view<int32_t>(next, atoms, "key");
    d.spare_key = next_view<int32_t>(next, atoms, "spare_key");
    d.cube_first = next_view<int32_t>(next, atoms + boxes, "cube_first");
    d.found = next_view<int32_t>(next, edges, "found");
    d.found_shift = next_view<int32_t>(next, 3 * edges, "found_shift");
    return d;
}

template <class T>
static void find(struct aster_device *device, const struct aster_neighbours_sizes *z,
                 const neighbours_data &d)
{
    const int64_t n = z->n_atoms;
    const dim3 grid = grid_of(device, n, SEARCH_THREADS / WARP_SIZE);
    if (n > 0) {
        ASTER_LAUNCH((neighbours_place<T>), grid_of(device, z->n_boxes, 1), PLACE_THREADS, 0,
                     device, d, z->n_boxes, z->most_pairs);
        ASTER_LAUNCH((neighbours_search<T, false>), grid, SEARCH_THREADS, 0, device, d, n,
                     z->capacity);
    }
    ASTER_LAUNCH(neighbours_scan, dim3(1), SCAN_THREADS, 0, device, d, z->n_boxes, n);
    if (n == 0)
        return;
    ASTER_LAUNCH((neighbours_search<T, true>), grid, SEARCH_THREADS, 0, device, d, n, z->capacity);
    ASTER_LAUNCH(neighbours_order, grid, SEARCH_THREADS, 0, device, d, n, z->capacity);
    ASTER_LAUNCH(neighbours_link, grid, SEARCH_THREADS, 0, device, d, n, z->capacity);
}

extern "C" void aster_k_neighbours_cuda(struct aster_device *device,
                                        const struct aster_neighbours_sizes *z, const void *input,
                                        void *list, void *work)
{
    const neighbours_data d = data_of(z, input, list, work);
    device->op = "neighbours";
    if (z->single)
        find<float>(device, z, d);
    else
        find<double>(device, z, d);
}
