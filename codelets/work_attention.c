/* SPDX-License-Identifier: BSD-3-Clause */
/* Workspace of the attention kernels: packed operands, a block of scores, sums. */
#include "cpu/attention.h"

#include "backend.h"

int64_t aster_work_attention(enum aster_op_kind op, const struct aster_args *a)
{
    int64_t size = aster_dtype_size(a->in[0].dtype), s = a->in[1].dim[1], e = a->in[0].dim[2];
    int64_t sp = attention_padded(s, size), ep = attention_padded(e, size), rows = attention_rows(sp, size);
    int64_t n = op == ASTER_OP_attention ? e * sp + s * ep + rows * (sp + ep) : 2 * e * sp + 3 * s * ep + rows * (2 * sp + 2 * ep);
    return n * size;
}
