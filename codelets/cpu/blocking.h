/* SPDX-License-Identifier: BSD-3-Clause */
/* Block sizes of products and convolutions, and the workspace that follows from them. They hold for
 * every instruction set, so that one answer about workspace serves all. */
#ifndef ASTER_BLOCKING_H
#define ASTER_BLOCKING_H

#include "base/base.h"

enum {
    ASTER_BLOCK_K = 1408,  /* most depth summed in registers: a panel of it streams from the
                              second-level cache */
    ASTER_PACKED_K = 2816, /* most depth packed at once */
    ASTER_BLOCK_M = 240,   /* most rows taken at once; a multiple of every tile */
    ASTER_LEFT_BYTES =
        160 << 10,        /* of the left operand that stays in the second-level cache meanwhile */
    ASTER_BLOCK_N = 1024, /* most columns packed at once */
    ASTER_BLOCK_T = 256, /* depth of packed products and positions of a weight gradient: both panels
                            stay in the first level */
    ASTER_PANEL_BYTES_MAX = 128 /* the widest panel row: two vectors of 64 bytes */
};

static inline int64_t aster_real_size(enum aster_dtype t)
{
    return t == ASTER_F64 ? 8 : 4;
}

/* Depth of each pass over k: equal parts, so that no pass is short. Depends on k only: it fixes the
 * order of sums. */
static inline int64_t aster_equal_parts(int64_t k, int64_t most)
{
    int64_t n = (k + most - 1) / most;
    return n < 2 ? aster_max64(k, 1) : aster_round_up((k + n - 1) / n, 8);
}
static inline int64_t aster_depth_block(int64_t k)
{
    return aster_equal_parts(k, ASTER_BLOCK_K);
}
static inline int64_t aster_depth_block_transposed(int64_t k) /* left operand transposed */
{
    return aster_equal_parts(k, ASTER_BLOCK_T);
}

/* Rows taken at once when each brings this much of the left operand with it: enough of them that a
 * panel of the right one, which comes from the third-level cache, is worth its way. */
static inline int64_t aster_rows_block(int64_t row_bytes)
{
    int64_t n = ASTER_LEFT_BYTES / aster_max64(row_bytes, 1) / 12 * 12;
    return aster_max64(60, aster_min64(n, ASTER_BLOCK_M));
}

/* Depth packed at once: whole blocks, at most ASTER_PACKED_K unless one block is deeper. */
static inline int64_t aster_depth_packed(int64_t k)
{
    int64_t b = aster_depth_block(k);
    return aster_min64(aster_round_up(aster_max64(k, 1), b),
                       aster_max64(1, ASTER_PACKED_K / b) * b);
}

/* Bytes of the packed right operand of a product with depth k and n columns. */
static inline int64_t aster_packed_bytes(int64_t k, int64_t n, int64_t real_size)
{
    int64_t columns =
        aster_round_up(aster_min64(n, ASTER_BLOCK_N), ASTER_PANEL_BYTES_MAX / real_size);
    return aster_round_up(aster_depth_packed(k) * columns * real_size, 64);
}

/* Rows of the left operand, lda apart, that are taken at once. */
static inline int64_t aster_left_rows(int64_t lda, int64_t k, int64_t real_size)
{
    return aster_rows_block(aster_min64(lda, aster_depth_block(k)) * real_size);
}

/* Room for so many, as deep as what is packed at once: rounded copies. Where rows overlap (lda
 * below the depth) they need less. */
static inline int64_t aster_rounded_bytes(int64_t lda, int64_t k, int64_t real_size)
{
    return aster_round_up(aster_left_rows(lda, k, real_size) * aster_depth_packed(k) * real_size,
                          64);
}

/* The same for both operands of a product with a transposed left operand: m columns of it. */
static inline int64_t aster_packed_left_bytes(int64_t k, int64_t m, int64_t real_size)
{
    return aster_round_up(
        aster_depth_block_transposed(k) * aster_min64(m, ASTER_BLOCK_M) * real_size, 64);
}
static inline int64_t aster_packed_transposed_bytes(int64_t k, int64_t m, int64_t n,
                                                    int64_t real_size)
{
    int64_t columns =
        aster_round_up(aster_min64(n, ASTER_BLOCK_N), ASTER_PANEL_BYTES_MAX / real_size);
    return aster_packed_left_bytes(k, m, real_size) +
           aster_depth_block_transposed(k) * columns * real_size;
}

/* Products of bf16, pairs along the depth: rows and weights of a pass, both packed. */
static inline int64_t aster_bf16_depth(int64_t k)
{
    return aster_equal_parts(k, ASTER_PACKED_K);
}
static inline int64_t aster_bf16_row(int64_t k) /* of a packed pass, elements */
{
    return aster_round_up(aster_bf16_depth(k), 2);
}
static inline int64_t aster_bf16_weight_bytes(int64_t k, int64_t n)
{
    return 2 * aster_bf16_row(k) * aster_round_up(aster_min64(n, ASTER_BLOCK_N), 32);
}
/* The rest: a panel of f32 weights on their way */
static inline int64_t aster_bf16_row_bytes(int64_t k)
{
    return aster_round_up(2 * aster_bf16_row(k) * aster_rows_block(2 * aster_bf16_row(k)), 64);
}
static inline int64_t aster_bf16_bytes(int64_t k, int64_t n)
{
    return aster_bf16_weight_bytes(k, n) + aster_bf16_row_bytes(k) +
           aster_bf16_row(k) * ASTER_PANEL_BYTES_MAX;
}

/* Of a product of rows, lda apart, by a matrix [k, n]. Where operands are rounded: what any
 * instruction set needs for it. */
static inline int64_t aster_product_bytes(int64_t lda, int64_t k, int64_t n, int64_t real_size,
                                          bool is_rounded)
{
    const int64_t packed = aster_packed_bytes(k, n, real_size);
    return is_rounded ? aster_max64(packed + aster_rounded_bytes(lda, k, real_size),
                                    aster_bf16_bytes(k, n))
                      : packed;
}

/* The derivative of the weights works through blocks of positions: pieces of one sample, or several
 * samples. */
struct aster_dw_block {
    int64_t n_samples; /* per block, 1 if samples are cut */
    int64_t length;    /* positions of a piece, the whole sample if it is not cut */
    int64_t x_rows;    /* packed rows of x and of dy, for a full block */
    int64_t dy_rows;
};
static inline struct aster_dw_block aster_dw_block(int64_t n_samples, int64_t length,
                                                   int64_t kernel)
{
    struct aster_dw_block b = {1, length, 0, 0};
    if (length > ASTER_BLOCK_T) {
        int64_t pieces = (length + ASTER_BLOCK_T - 1) / ASTER_BLOCK_T;
        b.length = (length + pieces - 1) / pieces;
    } else if (length > 0) {
        b.n_samples = aster_max64(1, aster_min64(n_samples, ASTER_BLOCK_T / length));
    }
    b.x_rows = b.n_samples * (b.length + kernel - 1);
    b.dy_rows = b.n_samples * b.length;
    return b;
}

#endif
