/* SPDX-License-Identifier: BSD-3-Clause */
/* Register-tiled products: what matmul, linear and the convolutions are made of.
 *
 * One tile is up to ASTER_TILE_ROWS rows by two vectors of columns, summed in registers. Every element of a
 * result is summed over the depth in ascending order, one fused step at a time, in passes of
 * aster_depth_block(k); so its bits do not depend on the tile it falls into, nor on its neighbours. */
#ifndef ASTER_MICRO_H
#define ASTER_MICRO_H

#include "cpu/blocking.h"
#include "cpu/kernel.h"

/* Two vectors per row and 16 or 32 registers: sums, two columns and one factor have to fit. */
#if ASTER_VB == 64
#define ASTER_TILE_ROWS 12
#elif ASTER_VB == 32
#define ASTER_TILE_ROWS 6
#else
#define ASTER_TILE_ROWS 4
#endif

#include "cpu/real_f32.h"
#include "cpu/micro_api_real.h"
#include "cpu/real_f64.h"
#include "cpu/micro_api_real.h"

#endif
