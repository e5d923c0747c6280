/* SPDX-License-Identifier: BSD-3-Clause */
/* Layer normalisation and softmax over the last axis. A row's result depends on that row only. */
#include "cpu/kernel.h"
#include "cpu/vmath.h"

enum {
    NORM_LANES = 16
}; /* partial sums of a row, combined in a fixed order whatever the vector length */

struct rows {
    int64_t n, width;
};

static struct rows rows_of(const struct aster_tensor *x)
{
    struct rows r = {1, x->rank ? x->dim[x->rank - 1] : 1};
    for (int k = 0; k < x->rank - 1; k++)
        r.n *= x->dim[k];
    return r;
}

static double combine(const double part[NORM_LANES])
{
    double s[NORM_LANES];
    memcpy(s, part, sizeof s);
    for (int step = NORM_LANES / 2; step > 0; step /= 2)
        for (int k = 0; k < step; k++)
            s[k] += s[k + step];
    return s[0];
}

#define REAL     float
#define VSUF     f32
#define RN(name) name##_f32
#include "cpu/norm_real.h"
#undef REAL
#undef VSUF
#undef RN
#define REAL     double
#define VSUF     f64
#define RN(name) name##_f64
#include "cpu/norm_real.h"
#undef REAL
#undef VSUF
#undef RN

#define DISPATCH(name)                                                                             \
    void ASTER_K(name)(const struct aster_args *a)                                                 \
    {                                                                                              \
        if (a->in[0].dtype == ASTER_F64)                                                           \
            name##_f64(a);                                                                         \
        else                                                                                       \
            name##_f32(a);                                                                         \
    }
DISPATCH(layernorm)
DISPATCH(layernorm_dx)
DISPATCH(softmax)
DISPATCH(softmax_dx)
