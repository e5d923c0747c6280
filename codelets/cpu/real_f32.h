/* SPDX-License-Identifier: BSD-3-Clause */
/* The real type of the text that follows is f32. No guard: it replaces the one before. */
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
#define REAL       float
#define REAL_TYPE  f32
#define REAL_DTYPE ASTER_F32
#define VREAL      aster_vf32
#define VREALU     aster_vf32u
#define VMASK      aster_vi32
#define VFMA       aster_fma_f32
#define VROUND     aster_round_f32
#define VLEN       (ASTER_VB / (int)sizeof(REAL))
