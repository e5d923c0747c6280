/* SPDX-License-Identifier: BSD-3-Clause */
/* Workspace of the attention kernels: packed operands, a block of scores, sums. */
#include "cpu/attention.h"

#include "backend.h"

int64_t aster_work_attention(enum aster_op_kind op, const struct aster_args *a)
{
    int64_t size = aster_dtype_size(a->in[0].dtype);
    switch (op) {
    case ASTER_OP_attention:
    case ASTER_OP_attention_dx:
        return size *
               attention_work(a->in[1].dim[1], a->in[0].dim[2], size, op == ASTER_OP_attention_dx);
    case ASTER_OP_ragged_attention:
    case ASTER_OP_ragged_attention_dx:
        return size * attention_work(a->s[0], a->in[0].dim[1] / a->i[0], size,
                                     op == ASTER_OP_ragged_attention_dx);
    default:
        return 0;
    }
}
