/* SPDX-License-Identifier: BSD-3-Clause */
/* Residues to rows of a table. One source for all instruction sets: memory sets its speed. */
#include "backend.h"

#include <string.h>

static void encode_row(enum aster_dtype t, int64_t dim, const double *from, void *x, int64_t row)
{
    if (t == ASTER_F64) {
        memcpy((double *)x + row * dim, from, (size_t)dim * sizeof *from);
        return;
    }
    float *to = (float *)x + row * dim;
    for (int64_t d = 0; d < dim; d++)
        to[d] = (float)from[d];
}

void aster_k_encode_table_cpu(enum aster_dtype t, bool time_major, int64_t n_samples,
                              int64_t n_positions, int64_t dim, const uint8_t *const *codes,
                              const int64_t *lengths, const double *table, void *x)
{
    int64_t size = aster_dtype_size(t);
    for (int64_t b = 0; b < n_samples; b++) {
        int64_t length = aster_min64(lengths[b], n_positions);
        int64_t first = time_major ? b : b * n_positions, step = time_major ? n_samples : 1;
        for (int64_t l = 0; l < length; l++)
            encode_row(t, dim, table + codes[b][l] * dim, x, first + l * step);
        for (int64_t l = length; l < n_positions; l++)
            memset((char *)x + (first + l * step) * dim * size, 0, (size_t)(dim * size));
    }
}
