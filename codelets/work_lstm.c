/* SPDX-License-Identifier: BSD-3-Clause */
/* Workspace of the LSTM kernels: the packed matrix, the product of one group, for the derivative
 * the carry, and a rounded left operand. */
#include "cpu/lstm.h"

#include "backend.h"

int64_t aster_work_lstm(enum aster_op_kind op, const struct aster_args *a)
{
    bool back = op == ASTER_OP_lstm_dx;
    const struct aster_tensor *first = &a->in[0];
    int64_t size = aster_dtype_size(first->dtype), batch = first->dim[1],
            hidden = back ? first->dim[2] : a->in[1].dim[0];
    int64_t padded = aster_round_up(hidden, LSTM_MOST_VB / size);
    int64_t product = (back ? 1 : 4) * LSTM_ROWS * LSTM_MOST_VECS * LSTM_MOST_VB;
    int64_t rounded = a->products ? (back ? 4 : 1) * batch * hidden * size : 0;
    return padded * 4 * hidden * size + product + (back ? batch * padded * size : 0) + rounded;
}
