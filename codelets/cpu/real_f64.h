/* SPDX-License-Identifier: BSD-3-Clause */
/* The real type of the text that follows is f64. No guard: it replaces the one before. */
#include "cpu/real.h"
#undef REAL
#undef REAL_TYPE
#undef REAL_DTYPE
#undef VREAL
#undef VREALU
#undef VMASK
#undef VFMA
#undef VROUND
#undef VLEN
#define REAL       double
#define REAL_TYPE  f64
#define REAL_DTYPE ASTER_F64
#define VREAL      aster_vf64
#define VREALU     aster_vf64u
#define VMASK      aster_vi64
#define VFMA       aster_fma_f64
#define VROUND     aster_round_f64
#define VLEN       (ASTER_VB / (int)sizeof(REAL))
