/* SPDX-License-Identifier: BSD-3-Clause */
/* Register-tiled products: what matmul, linear and the convolutions are made of.
 *
 * One tile is up to ASTER_TILE_ROWS rows by two vectors of columns, or ASTER_WIDE_ROWS by three,
 * summed in registers. Every
 * element of a result is summed over the depth in ascending order, one fused step at a time, in
 * passes of aster_depth_block(k); so its bits do not depend on the tile it falls into, nor on its
 * neighbours. */
#ifndef ASTER_MICRO_H
#define ASTER_MICRO_H

#include "cpu/blocking.h"
#include "cpu/kernel.h"
#include "cpu/real.h"
#include "cpu/rounding.h"

/* 16 or 32 registers: sums, columns and one factor have to fit. Of the shapes that do, the squarest
 * needs the fewest loads for its sums, and instructions are what a core shared with another thread
 * is short of: 4 x 3 where n gives three vectors, else 6 x 2. */
#if ASTER_VB == 64
#define ASTER_TILE_ROWS 12
#elif ASTER_VB == 32
#define ASTER_TILE_ROWS 6
#else
#define ASTER_TILE_ROWS 4
#endif
#if ASTER_VB == 32
#define ASTER_TILE_VECS 3
#else
#define ASTER_TILE_VECS 2
#endif
#define ASTER_WIDE_ROWS  4 /* of a tile of three vectors */
#define ASTER_OUTER_VECS 2 /* most of a tile of packed operands */

/* Where pairs of bf16 are multiplied and added by one instruction. The build for tests of the
 * 64-byte geometry has the instruction written out. */
#if ASTER_VB == 64 && (defined __AVX512BF16__ || defined ASTER_VB_FORCE)
#define ASTER_BF16_DOT 1
#else
#define ASTER_BF16_DOT 0
#endif

#include "cpu/real_f32.h"
#include "cpu/micro_api_real.h"
#include "cpu/real_f64.h"
#include "cpu/micro_api_real.h"

#if ASTER_BF16_DOT
/* The product of f32 with both operands rounded to bf16 (right.half is already); work:
 * aster_bf16_bytes(k, n). product_run comes here where it can. */
#define ASTER_BF16_RUN ASTER_RNAME(bf16_product_run, f32, ASTER_ISA)
void ASTER_BF16_RUN(const struct ASTER_RNAME(product, f32, ASTER_ISA) * p);
#endif

#endif
