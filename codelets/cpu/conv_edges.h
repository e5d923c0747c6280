/* SPDX-License-Identifier: BSD-3-Clause */
/* Which positions of a convolution reach beyond their sample, and the workspace for them. */
#ifndef ASTER_CONV_EDGES_H
#define ASTER_CONV_EDGES_H

#include "cpu/blocking.h"

/* Of n result positions, [first, last) read only positions inside the sample; the others read a
 * copy with zeros around it. Position t reads t - pad .. t - pad + kernel - 1 of length; pad may be
 * negative. */
struct aster_conv_edges {
    int64_t first, last;
};
static inline struct aster_conv_edges aster_conv_edges(int64_t n, int64_t length, int64_t kernel,
                                                       int64_t pad)
{
    struct aster_conv_edges e;
    e.first = aster_min64(aster_max64(pad, 0), n);
    e.last = aster_max64(e.first, aster_min64(length - kernel + pad + 1, n));
    return e;
}

/* Positions copied for one sample: for each side, its results and what the last of them reads
 * further. */
static inline int64_t aster_conv_edge_rows(int64_t n, int64_t length, int64_t kernel, int64_t pad)
{
    struct aster_conv_edges e = aster_conv_edges(n, length, kernel, pad);
    return e.first + n - e.last + 2 * kernel;
}

/* Workspace of a convolution: three spans of rows per sample, the copies, the packed weights. */
enum { ASTER_CONV_SPAN_BYTES = 24 };
static inline int64_t aster_conv_span_bytes(int64_t n_samples)
{
    return aster_round_up(3 * n_samples * ASTER_CONV_SPAN_BYTES, 64);
}
static inline int64_t aster_conv_copy_bytes(int64_t n_samples, int64_t n, int64_t length,
                                            int64_t kernel, int64_t pad, int64_t channels,
                                            int64_t real_size)
{
    return aster_round_up(
        n_samples * aster_conv_edge_rows(n, length, kernel, pad) * channels * real_size, 64);
}

#endif
