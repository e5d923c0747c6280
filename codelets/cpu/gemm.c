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
