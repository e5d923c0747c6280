/* SPDX-License-Identifier: BSD-3-Clause */
/* sync_sum within one shard: the value itself; the sum over shards is made between segments. */
#include "cpu/kernel.h"

void ASTER_K(sync_sum)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    if (x->p != a->out[0].p)
        memcpy(a->out[0].p, x->p, (size_t)(aster_tensor_n(x) * aster_dtype_size(x->dtype)));
}
