/* SPDX-License-Identifier: BSD-3-Clause */
/* Convolutions over positions, and their derivatives. */
#include "cpu/micro.h"

#include "cpu/conv_edges.h"
#include "cpu/real_f32.h"
#include "cpu/conv_real.h"
#include "cpu/real_f64.h"
#include "cpu/conv_real.h"

void ASTER_K(conv1d)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F32)
        ASTER_RNAME(conv1d, f32, ASTER_ISA)(a);
    else
        ASTER_RNAME(conv1d, f64, ASTER_ISA)(a);
}

void ASTER_K(conv1d_dx)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F32)
        ASTER_RNAME(conv1d_dx, f32, ASTER_ISA)(a);
    else
        ASTER_RNAME(conv1d_dx, f64, ASTER_ISA)(a);
}

void ASTER_K(conv1d_dw)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F32)
        ASTER_RNAME(conv1d_dw, f32, ASTER_ISA)(a);
    else
        ASTER_RNAME(conv1d_dw, f64, ASTER_ISA)(a);
}
