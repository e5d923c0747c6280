/* SPDX-License-Identifier: BSD-3-Clause */
/* The register tiles and the loops around them, for both real types. */
#include "cpu/micro.h"
#include "cpu/vmath.h"

/* of vmath.h, for the real type at hand */
#define ASTER_VR__(name, type) aster_v##name##_##type
#define ASTER_VR_(name, type)  ASTER_VR__(name, type)
#define ASTER_VR(name)         ASTER_VR_(name, REAL_TYPE)

/* A tile deeper than this fetches the results it will add to or overwrite while it sums; a shallow
 * one is done before. */
enum { PREFETCH_DEPTH = 96 };

/* Products of so few rows read a right operand where it lies: packing it would take longer than
 * what packed rows save. Their next rows come from outer caches, far apart: they are called so many
 * rows ahead. */
enum { FEW_ROWS = 4 * ASTER_TILE_ROWS, IN_PLACE_AHEAD = 8 };

/* Of a left operand that is packed at a time. */
enum { PACK_BYTES = 16 << 10 };

/* X(rows, vectors) for every tile size, those of ASTER_WIDE_ROWS apart */
#define TILES_4(X, nv)  X(1, nv) X(2, nv) X(3, nv) X(4, nv)
#define TILES_6(X, nv)  TILES_4(X, nv) X(5, nv) X(6, nv)
#define TILES_12(X, nv) TILES_6(X, nv) X(7, nv) X(8, nv) X(9, nv) X(10, nv) X(11, nv) X(12, nv)
#if ASTER_TILE_ROWS == 12
#define TILES(X, nv) TILES_12(X, nv)
#elif ASTER_TILE_ROWS == 6
#define TILES(X, nv) TILES_6(X, nv)
#else
#define TILES(X, nv) TILES_4(X, nv)
#endif
#if ASTER_TILE_VECS == 3
#define TILES_WIDE(X) TILES_4(X, 3)
#else
#define TILES_WIDE(X)
#endif

/* A small tile needs several steps of depth in flight; a large one has enough in one, and code that
 * the compiler is done with soon. */
#if ASTER_TILE_ROWS == 12
#define DEPTH_UNROLL _Pragma("GCC unroll 1")
#else
#define DEPTH_UNROLL _Pragma("GCC unroll 8")
#endif

#include "cpu/real_f32.h"
#include "cpu/micro_real.h"
#include "cpu/real_f64.h"
#include "cpu/micro_real.h"
#if ASTER_BF16_DOT
#include "cpu/real_f32.h"
#include "cpu/micro_bf16.h"
#endif
