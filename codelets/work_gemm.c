/* SPDX-License-Identifier: BSD-3-Clause */
/* Workspace of the matrix products. */
#include "backend.h"

#include "cpu/blocking.h"

int64_t aster_work_gemm(enum aster_op_kind op, const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *w = &a->in[1];
    const int64_t size = aster_real_size(x->dtype);
    if (op == ASTER_OP_linear)
        return aster_product_bytes(w->dim[0], w->dim[0], w->dim[1], size, a->products != 0);
    if (op == ASTER_OP_linear_bf16)
        return aster_max64(aster_packed_bytes(w->dim[0], w->dim[1], size),
                           aster_bf16_bytes(w->dim[0], w->dim[1]));
    if (op != ASTER_OP_matmul)
        return 0;
    const bool is_ta = a->i[0], is_tb = a->i[1];
    const int64_t m = x->dim[x->rank - 2 + is_ta], k = x->dim[x->rank - 2 + !is_ta],
                  n = w->dim[w->rank - 2 + !is_tb];
    return is_ta ? aster_packed_transposed_bytes(k, m, n, size)
                 : aster_product_bytes(k, k, n, size, a->products != 0);
}
