/* SPDX-License-Identifier: BSD-3-Clause */
/* Residues to rows of a table. */
#include "cuda/kernel.h"

enum { ENCODE_THREADS = 256 };

struct encode_sizes {
    int64_t n_samples, n_positions, dim;
    bool time_major;
};

template <class T>
__global__ void __launch_bounds__(ENCODE_THREADS)
    encode_rows(encode_sizes s, view<const uint8_t> codes, view<const int64_t> start,
                view<const int64_t> lengths, view<const double> table, view<T> x)
{
    const int64_t n = s.n_samples * s.n_positions * s.dim,
                  inner = s.time_major ? s.n_samples : s.n_positions;
    for (int64_t k = thread_of_grid(); k < n; k += threads_of_grid()) {
        const divided column = divide(k, s.dim), row = divide(column.by, inner);
        const int64_t b = s.time_major ? row.rest : row.by, t = s.time_major ? row.by : row.rest;
        x[k] = t < lengths[b] ? (T)table[(int64_t)codes[start[b] + t] * s.dim + column.rest] : T(0);
    }
}

template <class T>
static void encode(struct aster_device *device, const encode_sizes &s,
                   const struct aster_encode_codes *c, void *x)
{
    const int64_t n = s.n_samples * s.n_positions * s.dim;
    if (n > 0)
        ASTER_LAUNCH((encode_rows<T>), grid_of(device, n, ENCODE_THREADS), ENCODE_THREADS, 0,
                     device, s, view_new<const uint8_t>((void *)c->codes, c->n_codes, "codes"),
                     view_new<const int64_t>((void *)c->start, s.n_samples, "start"),
                     view_new<const int64_t>((void *)c->lengths, s.n_samples, "lengths"),
                     view_new<const double>((void *)c->table, c->n_rows * s.dim, "table"),
                     view_new<T>(x, n, "x"));
}

void aster_k_encode_table_cuda(struct aster_device *device, enum aster_dtype t, bool time_major,
                               int64_t n_samples, int64_t n_positions, int64_t dim,
                               const struct aster_encode_codes *c, void *x)
{
    const encode_sizes s = {n_samples, n_positions, dim, time_major};
    device->op = "encode_table";
    if (t == ASTER_F64)
        encode<double>(device, s, c, x);
    else
        encode<float>(device, s, c, x);
}
