/* SPDX-License-Identifier: BSD-3-Clause */
/* Average pooling and linear resize over positions, and their derivatives. */
#include "cpu/real.h"

/* positions of sample b to compute */
static int64_t extent(const struct aster_args *a, int64_t b, int64_t n)
{
    return a->rows ? aster_max64(0, aster_min64(a->rows[b], n)) : n;
}

#include "cpu/real_f32.h"
#include "cpu/pool_real.h"
#include "cpu/real_f64.h"
#include "cpu/pool_real.h"

#define ASTER_BOTH(name)                                                                           \
    void ASTER_K(name)(const struct aster_args *a)                                                 \
    {                                                                                              \
        if (a->in[0].dtype == ASTER_F32)                                                           \
            ASTER_RNAME(name, f32, ASTER_ISA)(a);                                                  \
        else                                                                                       \
            ASTER_RNAME(name, f64, ASTER_ISA)(a);                                                  \
    }
ASTER_BOTH(avgpool2)
ASTER_BOTH(avgpool2_dx)
ASTER_BOTH(resize)
ASTER_BOTH(resize_dx)
