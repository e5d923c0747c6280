/* SPDX-License-Identifier: BSD-3-Clause */
/* What the attention kernels and the size of their workspace agree on. */
#ifndef ASTER_ATTENTION_H
#define ASTER_ATTENTION_H

#include "base/base.h"

enum {
    ATTENTION_PAD_BYTES = 64, /* widths in the workspace are multiples of the widest vector */
    ATTENTION_BLOCK = 131072, /* bytes of scores at a time: they stay in the second-level cache */
    ATTENTION_MOST_ROWS = 64,
    ATTENTION_LEAST_ROWS = 12
};

static inline int64_t attention_padded(int64_t n, int64_t real_size)
{
    return aster_round_up(n, ATTENTION_PAD_BYTES / real_size);
}
/* Query rows at a time, for sp padded keys. Rows are independent: their number changes no result.
 */
static inline int64_t attention_rows(int64_t sp, int64_t real_size)
{
    int64_t n = ATTENTION_BLOCK / (aster_max64(sp, 1) * real_size);
    return aster_max64(ATTENTION_LEAST_ROWS, aster_min64(n, ATTENTION_MOST_ROWS));
}

/* Elements of workspace for s keys and e features, and for anything smaller */
static inline int64_t attention_work(int64_t s, int64_t e, int64_t real_size, bool backward)
{
    int64_t sp = attention_padded(s, real_size), ep = attention_padded(e, real_size);
    int64_t scores = aster_max64(ATTENTION_BLOCK / real_size, ATTENTION_LEAST_ROWS * sp),
            rows = ATTENTION_MOST_ROWS * ep;
    int64_t distances = 2 * sp;
    return distances + (backward ? 2 * e * sp + 3 * s * ep + 2 * scores + 2 * rows
                                 : e * sp + s * ep + scores + rows);
}

#endif
