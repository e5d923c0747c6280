/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that residues become rows of the table, batch first and time first, with zeros behind each
 * sequence. */
#include "backend.h"
#include "lib/tap.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 4, POSITIONS = 9, CODES = 21, MOST_DIM = 23 };

static bool right(enum aster_dtype t, bool time_major, int64_t dim)
{
    static const int64_t lengths[SAMPLES] = {9, 0, 4,
                                             30}; /* the last is longer than there is room */
    uint8_t code[SAMPLES][30];
    const uint8_t *codes[SAMPLES];
    double table[CODES * MOST_DIM];
    for (int k = 0; k < CODES * MOST_DIM; k++)
        table[k] = 0.1 * (double)k - 7;
    for (int b = 0; b < SAMPLES; b++) {
        codes[b] = code[b];
        for (int l = 0; l < 30; l++)
            code[b][l] = (uint8_t)((l * 5 + b * 3) % CODES);
    }
    int64_t size = aster_dtype_size(t), n = SAMPLES * POSITIONS * dim;
    char *x = malloc((size_t)(n * size) + 1);
    memset(x, 0xff, (size_t)(n * size) + 1);
    aster_k_encode_table_cpu(t, time_major, SAMPLES, POSITIONS, dim, codes, lengths, table, x);
    bool good = (unsigned char)x[n * size] == 0xff;
    for (int64_t b = 0; b < SAMPLES; b++)
        for (int64_t l = 0; l < POSITIONS; l++)
            for (int64_t d = 0; d < dim; d++) {
                int64_t at = ((time_major ? l * SAMPLES + b : b * POSITIONS + l) * dim) + d;
                double want = l < lengths[b] ? table[code[b][l] * dim + d] : 0;
                good &= t == ASTER_F64 ? ((double *)(void *)x)[at] == want
                                       : ((float *)(void *)x)[at] == (float)want;
            }
    free(x);
    return good;
}

int main(void)
{
    for (enum aster_dtype t = ASTER_F32; t <= ASTER_F64; t++)
        for (int time_major = 0; time_major < 2; time_major++)
            for (int64_t dim = 1; dim <= MOST_DIM; dim += 11)
                tap_ok(right(t, time_major, dim), "%s, %s first, %d columns", aster_dtype_name(t),
                       time_major ? "time" : "batch", (int)dim);
    return tap_done();
}
