/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer steps and sums against their formulas, and encoding against its definition, on the GPU.
 */
#include "gpu/others.h"

#include "gpu/gpu.h"
#include "lib/tap.h"
#include "unit/update_check.h"

#include <string.h>

enum { SAMPLES = 5, POSITIONS = 9, CODES = 21, MOST_DIM = 23, MOST_CODES = 64 };
static const int64_t lengths[SAMPLES] = {9, 0, 4, 30, 1}; /* one is longer than there is room */

static double value_at(enum aster_dtype t, const void *x, int64_t k)
{
    return t == ASTER_F64 ? ((const double *)x)[k] : (double)((const float *)x)[k];
}

static bool encoded_right(enum aster_dtype t, bool time_major, int64_t dim)
{
    static double table[CODES * MOST_DIM], x[SAMPLES * POSITIONS * MOST_DIM + 1];
    uint8_t codes[MOST_CODES];
    int64_t start[SAMPLES], n_codes = 0;
    for (int k = 0; k < CODES * MOST_DIM; k++)
        table[k] = 0.1 * (double)k - 7;
    for (int b = 0; b < SAMPLES; b++) {
        start[b] = n_codes;
        for (int64_t l = 0; l < lengths[b]; l++)
            codes[n_codes++] = (uint8_t)((l * 5 + b * 3) % CODES);
    }
    const struct aster_encode_codes c = {codes, start, lengths, n_codes, table, CODES};
    const int64_t n = SAMPLES * POSITIONS * dim;
    memset(x, 0xff, sizeof x);
    gpu_encode(t, time_major, SAMPLES, POSITIONS, dim, &c, x);
    bool good = !gpu_error() && value_at(t, x, n) != value_at(t, x, n); /* still NaN behind it */
    for (int64_t b = 0; b < SAMPLES; b++)
        for (int64_t l = 0; l < POSITIONS; l++)
            for (int64_t d = 0; d < dim; d++) {
                double want = l < lengths[b] ? table[codes[start[b] + l] * dim + d] : 0;
                if (t == ASTER_F32)
                    want = (double)(float)want;
                good &= value_at(t, x,
                                 ((time_major ? l * SAMPLES + b : b * POSITIONS + l) * dim) + d) ==
                        want;
            }
    return good;
}

void gpu_others(void)
{
    gpu_begin(2);
    update_check(gpu_backend(), gpu_device());
    update_check_sees(gpu_backend());
    tap_ok(!gpu_error(), "optimizer steps and sums: nothing was caught%s%s",
           gpu_error() ? ", but: " : "", gpu_error() ? gpu_error() : "");
    for (enum aster_dtype t = ASTER_F32; t <= ASTER_F64; t++)
        for (int time_major = 0; time_major < 2; time_major++)
            for (int64_t dim = 1; dim <= MOST_DIM; dim += 11)
                tap_ok(encoded_right(t, time_major, dim), "encoding, %s, %s first, %d columns",
                       aster_dtype_name(t), time_major ? "time" : "batch", (int)dim);
}
