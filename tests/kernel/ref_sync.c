/* SPDX-License-Identifier: BSD-3-Clause */
/* sync_sum within one shard is a copy. */
#include "kt.h"

static void ref_sync_sum(struct kt_case *c)
{
    for (int64_t k = 0; k < c->in[0].n; k++)
        c->out[0].v[k] = c->in[0].v[k];
}

void kt_op_sync_sum(struct kt *t)
{
    for (int64_t n = 0; n < 200; n += 67)
        for (int dtype = 0; dtype < 2; dtype++) {
            struct kt_case *c = kt_case_new(t, "n %d", (int)n);
            kt_in(c, dtype ? ASTER_F64 : KT_REAL, KT_NO_BATCH, KT_DIMS(2, n));
            kt_out(c, dtype ? ASTER_F64 : KT_REAL, KT_NO_BATCH, KT_DIMS(2, n));
            c->in_place[0] = true;
            kt_run(c, ref_sync_sum);
        }
}
