/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by all CPU kernels. Each source here is compiled once per instruction set (ASTER_ISA =
 * base, avx2, avx512, avx512bf16); arithmetic written once for both real types lives in
 * <family>_real.h, included with REAL = float and double. Vectors are GCC vector types of ASTER_VB
 * bytes; no intrinsics outside #if blocks with a plain alternative. */
#ifndef ASTER_KERNEL_H
#define ASTER_KERNEL_H

#include "backend.h"
#include "keep.h"

#include <math.h>
#include <string.h>

#define ASTER_CAT_(a, b) a##b
#define ASTER_CAT(a, b)  ASTER_CAT_(a, b)
/* aster_k_<name>_cpu_<isa> */
#define ASTER_K(name) ASTER_CAT(ASTER_CAT(aster_k_##name, _cpu_), ASTER_ISA)

#if defined ASTER_VB_FORCE /* a test runs the geometry of another width on this one */
#define ASTER_VB ASTER_VB_FORCE
#elif defined __AVX512F__
#define ASTER_VB 64
#elif defined __AVX2__
#define ASTER_VB 32
#else
#define ASTER_VB 16
#endif

typedef float aster_vf32 __attribute__((vector_size(ASTER_VB), may_alias));
typedef double aster_vf64 __attribute__((vector_size(ASTER_VB), may_alias));
typedef float aster_vf32u
    __attribute__((vector_size(ASTER_VB), aligned(4), may_alias)); /* unaligned */
typedef double aster_vf64u __attribute__((vector_size(ASTER_VB), aligned(8), may_alias));

#define ASTER_OP(name, family) aster_kernel ASTER_K(name);
#include "ops.def"
#undef ASTER_OP

static inline int64_t aster_tensor_n(const struct aster_tensor *t)
{
    int64_t n = 1;
    for (int k = 0; k < t->rank; k++)
        n *= t->dim[k];
    return n;
}

#endif
