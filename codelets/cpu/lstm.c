/* SPDX-License-Identifier: BSD-3-Clause */
/* LSTM layers: lstm and lstm_dx. */
#include "cpu/lstm.h"
#include "cpu/rounding.h"
#include "cpu/tile.h"

_Static_assert(TILE_VECS <= LSTM_MOST_VECS && ASTER_VB <= LSTM_MOST_VB,
               "the workspace is as large as the widest kernel needs");

/* Samples are taken in blocks of at most LSTM_ROWS, as even as can be: how many from row on. */
static inline int64_t lstm_rows(int64_t batch, int64_t row)
{
    int64_t left = batch - row, n_blocks = (left + LSTM_ROWS - 1) / LSTM_ROWS;
    return (left + n_blocks - 1) / n_blocks;
}

#define REAL  float
#define VREAL aster_vf32
#define VSUF  f32
#include "cpu/lstm_real.h"
#undef REAL
#undef VREAL
#undef VSUF
#define REAL  double
#define VREAL aster_vf64
#define VSUF  f64
#include "cpu/lstm_real.h"

void ASTER_K(lstm)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F64)
        lstm_f64(a);
    else
        lstm_f32(a);
}

void ASTER_K(lstm_dx)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F64)
        lstm_dx_f64(a);
    else
        lstm_dx_f32(a);
}
