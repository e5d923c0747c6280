/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over rows for each column, in double: out(o, c) = sum over r of source(o, r, c), o <
 * n_outer, r < n_rows, c < n_columns.
 *
 * The order is fixed by n_rows and n_columns: rows are cut into segments; a segment is summed by
 * lanes (lane l takes rows l, l + lanes, ..), the lanes by a tree; segments are added from the
 * first to the last. Whether one block does all segments of its columns or each segment has a block
 * and a second kernel adds them, the bits are the same. */
#ifndef ASTER_CUDA_SUMS_H
#define ASTER_CUDA_SUMS_H

#include "cuda/kernel.h"

enum { SUM_THREADS = 256, SUM_WIDTH = 64, SUM_DEPTH = 32, SUM_MOST_SEGMENTS = 1024 };

struct sum_sizes {
    int64_t n_outer, n_rows, n_columns;
    int width, lanes; /* columns of a block, and its threads for each */
    int64_t segment, n_segments, n_tiles;
};
inline struct sum_sizes sum_sizes_new(int64_t n_outer, int64_t n_rows, int64_t n_columns)
{
    struct sum_sizes s = {};
    s.n_outer = n_outer;
    s.n_rows = n_rows;
    s.n_columns = n_columns;
    s.width = (int)lesser<int64_t>(greater<int64_t>(n_columns, 1), SUM_WIDTH);
    s.lanes = SUM_THREADS / s.width;
    s.segment = greater<int64_t>((int64_t)s.lanes * SUM_DEPTH,
                                 (n_rows + SUM_MOST_SEGMENTS - 1) / SUM_MOST_SEGMENTS);
    s.n_segments = (n_rows + s.segment - 1) / s.segment;
    s.n_tiles = (n_columns + s.width - 1) / s.width;
    return s;
}

/* The sum of one segment, in the threads of lane 0. All threads of a block call it together; part:
 * N SUM_THREADS doubles. */
template <int N, class Source>
ASTER_DEV void sum_segment(const Source &source, const struct sum_sizes &s, int64_t o, int64_t tile,
                           int64_t segment, shared<double> part, double *v)
{
    const int t = (int)threadIdx.x, lane = t / s.width;
    const int64_t c = tile * s.width + t % s.width,
                  end = lesser((segment + 1) * s.segment, s.n_rows);
    const bool active = lane < s.lanes && c < s.n_columns;
    ASTER_UNROLL
    for (int j = 0; j < N; j++)
        v[j] = 0;
    for (int64_t r = segment * s.segment + lane; active && r < end; r += s.lanes) {
        double x[N];
        source(o, r, c, x);
        ASTER_UNROLL
        for (int j = 0; j < N; j++)
            v[j] += x[j];
    }
    ASTER_UNROLL
    for (int j = 0; j < N; j++)
        part[j * SUM_THREADS + t] = v[j];
    int step = 1;
    while (2 * step < s.lanes)
        step *= 2;
    for (; step > 0; step /= 2) {
        __syncthreads();
        if (lane < step && lane + step < s.lanes)
            ASTER_UNROLL
        for (int j = 0; j < N; j++)
            part[j * SUM_THREADS + t] += part[j * SUM_THREADS + t + step * s.width];
    }
    ASTER_UNROLL
    for (int j = 0; j < N; j++)
        v[j] = part[j * SUM_THREADS + t];
    __syncthreads();
}
/* Does the calling thread have a column to deliver? */
ASTER_DEV bool sum_delivers(const struct sum_sizes &s, int64_t tile)
{
    return (int)threadIdx.x < s.width && tile * s.width + threadIdx.x < s.n_columns;
}

template <int N, class Source, class Sink>
__global__ void __launch_bounds__(SUM_THREADS)
    sum_whole(Source source, struct sum_sizes s, Sink sink)
{
    ASTER_SHARED(double, part, N *SUM_THREADS);
    for (int64_t item = blockIdx.x; item < s.n_outer * s.n_tiles; item += gridDim.x) {
        const int64_t o = item / s.n_tiles, tile = item % s.n_tiles;
        double total[N] = {}, v[N];
        for (int64_t k = 0; k < s.n_segments; k++) {
            sum_segment<N>(source, s, o, tile, k, part, v);
            ASTER_UNROLL
            for (int j = 0; j < N; j++)
                total[j] += v[j];
        }
        if (sum_delivers(s, tile))
            sink(o, tile * s.width + threadIdx.x, total);
    }
}

/* partial: [N, n_segments, n_outer, n_columns] */
template <int N, class Source>
__global__ void __launch_bounds__(SUM_THREADS)
    sum_segments(Source source, struct sum_sizes s, view<double> partial)
{
    ASTER_SHARED(double, part, N *SUM_THREADS);
    for (int64_t item = blockIdx.x; item < s.n_outer * s.n_tiles * s.n_segments;
         item += gridDim.x) {
        const int64_t k = item % s.n_segments, tile = item / s.n_segments % s.n_tiles,
                      o = item / s.n_segments / s.n_tiles;
        double v[N];
        sum_segment<N>(source, s, o, tile, k, part, v);
        if (sum_delivers(s, tile))
            ASTER_UNROLL
        for (int j = 0; j < N; j++)
            partial[((j * s.n_segments + k) * s.n_outer + o) * s.n_columns + tile * s.width +
                    threadIdx.x] = v[j];
    }
}

template <int N, class Sink>
__global__ void __launch_bounds__(SUM_THREADS)
    sum_fold(view<const double> partial, struct sum_sizes s, Sink sink)
{
    const int64_t n = s.n_outer * s.n_columns;
    for (int64_t i = thread_of_grid(); i < n; i += threads_of_grid()) {
        double total[N] = {};
        for (int64_t k = 0; k < s.n_segments; k++)
            ASTER_UNROLL
        for (int j = 0; j < N; j++)
            total[j] += partial[(j * s.n_segments + k) * n + i];
        sink(i / s.n_columns, i % s.n_columns, total);
    }
}

template <int N, class Source, class Sink>
void sum_run(struct aster_device *d, const struct sum_sizes &s, const Source &source,
             const Sink &sink)
{
    const int64_t columns = s.n_outer * s.n_columns, cells = N * s.n_segments * columns;
    if (columns == 0)
        return;
    if (s.n_segments > 1 && cells * (int64_t)sizeof(double) <= d->work_bytes) {
        ASTER_LAUNCH((sum_segments<N, Source>), grid_of(d, s.n_outer * s.n_tiles * s.n_segments, 1),
                     SUM_THREADS, 0, d, source, s, scratch_view<double>(d, cells));
        ASTER_LAUNCH((sum_fold<N, Sink>), grid_of(d, columns, SUM_THREADS), SUM_THREADS, 0, d,
                     scratch_view<double>(d, cells), s, sink);
    } else {
        ASTER_LAUNCH((sum_whole<N, Source, Sink>), grid_of(d, s.n_outer * s.n_tiles, 1),
                     SUM_THREADS, 0, d, source, s, sink);
    }
}

#endif
