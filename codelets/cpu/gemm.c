/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrix products: matmul and linear. */
#include "cpu/micro.h"

#include "cpu/real_f32.h"
#include "cpu/gemm_real.h"
#include "cpu/real_f64.h"
#include "cpu/gemm_real.h"

void ASTER_K(matmul)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F32)
        ASTER_RNAME(matmul, f32, ASTER_ISA)(a);
    else
        ASTER_RNAME(matmul, f64, ASTER_ISA)(a);
}

void ASTER_K(linear)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F32)
        ASTER_RNAME(linear, f32, ASTER_ISA)(a);
    else
        ASTER_RNAME(linear, f64, ASTER_ISA)(a);
}

void ASTER_K(linear_bf16)(const struct aster_args *a)
{
#if ASTER_BF16_DOT
    if (a->in[0].dtype == ASTER_F32) {
        const struct aster_tensor *x = &a->in[0], *w = &a->in[1];
        int64_t m = 1;
        for (int d = 0; d < x->rank - 1; d++)
            m *= x->dim[d];
        const struct ASTER_RNAME(rows, f32, ASTER_ISA) rows = {0, x->p, a->out[0].p};
        const struct ASTER_RNAME(product, f32, ASTER_ISA) p = {
            .m = m,
            .n = w->dim[1],
            .k = w->dim[0],
            .rows = &rows,
            .n_rows = 1,
            .lda = w->dim[0],
            .ldc = w->dim[1],
            .right = {.half = w->p, .ld = w->dim[1]},
            .bias = a->n_in > 2 ? a->in[2].p : NULL,
            .act = (int)a->i[0],
            .work = a->work,
        };
        ASTER_BF16_RUN(&p);
        return;
    }
#endif
    ASTER_K(linear)(a);
}
