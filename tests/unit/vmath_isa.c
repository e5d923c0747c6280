/* SPDX-License-Identifier: BSD-3-Clause */
/* The vector functions of vmath.h as plain loops, compiled once per instruction set for the test of
 * them. */
#include "cpu/vmath.h"
#include "vmath.h"

#define NF (ASTER_VB / 4)
#define ND (ASTER_VB / 8)

/* The gates of an LSTM: any of the four, from one call */
ASTER_VFN aster_vf32 aster_vgate_f32(aster_vf32 x)
{
    aster_vf32 v[4] = {x + 1.0f, x, -x, x};
    aster_vgates_f32(v);
    return v[3];
}
ASTER_VFN aster_vf64 aster_vgate_f64(aster_vf64 x)
{
    aster_vf64 v[4] = {x + 1.0, x, -x, x};
    aster_vgates_f64(v);
    return v[3];
}
ASTER_VFN aster_vf32 aster_vgate_tanh_f32(aster_vf32 x)
{
    aster_vf32 v[4] = {x, -x, x, x};
    aster_vgates_f32(v);
    return v[2];
}
ASTER_VFN aster_vf64 aster_vgate_tanh_f64(aster_vf64 x)
{
    aster_vf64 v[4] = {x, -x, x, x};
    aster_vgates_f64(v);
    return v[2];
}

/* Of what is not above 0 */
ASTER_VFN aster_vf32 aster_vbelow_f32(aster_vf32 x)
{
    return aster_vexp_below_f32((aster_vf32)((aster_vi32)x | (aster_vi32)aster_vset_f32(-0.0f)));
}
ASTER_VFN aster_vf64 aster_vbelow_f64(aster_vf64 x)
{
    return aster_vexp_below_f64((aster_vf64)((aster_vi64)x | (aster_vi64)aster_vset_f64(-0.0)));
}

#define LOOPS(name)                                                                                \
    static void name##_f32(int64_t n, const float *x, float *y)                                    \
    {                                                                                              \
        for (int64_t i = 0; i < n; i += NF)                                                        \
            aster_vstoren_f32(                                                                     \
                y + i, aster_min64(NF, n - i),                                                     \
                aster_v##name##_f32(aster_vloadn_f32(x + i, aster_min64(NF, n - i))));             \
    }                                                                                              \
    static void name##_f64(int64_t n, const double *x, double *y)                                  \
    {                                                                                              \
        for (int64_t i = 0; i < n; i += ND)                                                        \
            aster_vstoren_f64(                                                                     \
                y + i, aster_min64(ND, n - i),                                                     \
                aster_v##name##_f64(aster_vloadn_f64(x + i, aster_min64(ND, n - i))));             \
    }
LOOPS(exp)
LOOPS(tanh)
LOOPS(sigmoid)
LOOPS(log)
LOOPS(erf)
LOOPS(gate)
LOOPS(gate_tanh)
LOOPS(below)
LOOPS(normal)

static void arith_f32(int64_t n, const float *a, const float *b, const float *c, float *fma,
                      float *lo, float *hi)
{
    for (int64_t i = 0; i + NF <= n; i += NF) {
        aster_vf32 x = aster_vload_f32(a + i), y = aster_vload_f32(b + i),
                   z = aster_vload_f32(c + i);
        aster_vstore_f32(fma + i, aster_vfma_f32(x, y, z));
        aster_vstore_f32(lo + i, aster_vmin_f32(x, y));
        aster_vstore_f32(hi + i, aster_vmax_f32(x, y));
    }
}
static void arith_f64(int64_t n, const double *a, const double *b, const double *c, double *fma,
                      double *lo, double *hi)
{
    for (int64_t i = 0; i + ND <= n; i += ND) {
        aster_vf64 x = aster_vload_f64(a + i), y = aster_vload_f64(b + i),
                   z = aster_vload_f64(c + i);
        aster_vstore_f64(fma + i, aster_vfma_f64(x, y, z));
        aster_vstore_f64(lo + i, aster_vmin_f64(x, y));
        aster_vstore_f64(hi + i, aster_vmax_f64(x, y));
    }
}

extern const struct vmath_set ASTER_CAT(vmath_, ASTER_ISA);
const struct vmath_set ASTER_CAT(vmath_, ASTER_ISA) = {
    {exp_f32, tanh_f32, sigmoid_f32, log_f32, erf_f32, gate_f32, gate_tanh_f32, below_f32,
     normal_f32},
    {exp_f64, tanh_f64, sigmoid_f64, log_f64, erf_f64, gate_f64, gate_tanh_f64, below_f64,
     normal_f64},
    arith_f32,
    arith_f64,
};
