/* SPDX-License-Identifier: BSD-3-Clause */
/* Workspace of the attention kernels. */
#include "backend.h"

int64_t aster_work_attention(enum aster_op_kind op, const struct aster_args *a)
{
    int64_t s = a->in[1].dim[1], e = a->in[0].dim[2], sp = aster_round_up(s, 32), ep = aster_round_up(e, 32);
    int64_t n = op == ASTER_OP_attention ? e * sp + s * ep + 4 * (sp + ep) : 2 * e * sp + 3 * s * ep + 8 * sp + 5 * ep;
    return n * aster_dtype_size(a->in[0].dtype);
}
