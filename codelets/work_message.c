/* SPDX-License-Identifier: BSD-3-Clause */
/* Workspace of the message kernels: lists of edges, their filters' weights, columns of the atoms.
 */
#include "cpu/message.h"

#include "backend.h"

int64_t aster_work_message(enum aster_op_kind op, const struct aster_args *a)
{
    bool backward = op == ASTER_OP_message_dx;
    if (!backward && op != ASTER_OP_message)
        return 0;
    return message_work(a->in[0].dim[0], a->in[backward ? 3 : 1].dim[0],
                        aster_dtype_size(a->in[0].dtype), backward);
}
