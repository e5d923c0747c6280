/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch normalisation: statistics in double in row order, and one pass per tensor for everything else. */
#include "cpu/kernel.h"

enum { BN_CHUNK = 256 }; /* channels at a time: their coefficients stay in the first cache */

struct bn {
    int64_t samples, positions, channels; /* rows = samples * positions */
    bool relu;
    double eps, drop;
    int64_t key;
};

static struct bn bn_shape(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    struct bn s = {.samples = x->dim[0], .positions = 1, .channels = x->dim[x->rank - 1]};
    for (int k = 1; k < x->rank - 1; k++)
        s.positions *= x->dim[k];
    s.relu = a->i[0] == ASTER_ACT_RELU;
    s.eps = a->f[0];
    s.drop = a->f[1];
    s.key = a->i[1];
    return s;
}

#define REAL float
#define RN(name) name##_f32
#include "cpu/batchnorm_real.h"
#undef REAL
#undef RN
#define REAL double
#define RN(name) name##_f64
#include "cpu/batchnorm_real.h"
#undef REAL
#undef RN

#define DISPATCH(name, which)                                                                                                   \
    void ASTER_K(name)(const struct aster_args *a)                                                                              \
    {                                                                                                                           \
        if ((which).dtype == ASTER_F64)                                                                                         \
            name##_f64(a);                                                                                                      \
        else                                                                                                                    \
            name##_f32(a);                                                                                                      \
    }
DISPATCH(bn_stats, a->in[0])
DISPATCH(bn_apply, a->in[0])
DISPATCH(bn_dstats, a->in[0])
DISPATCH(bn_dx, a->in[0])

void ASTER_K(bn_moments)(const struct aster_args *a)
{
    int64_t c = a->in[0].dim[1];
    const double *sum = a->in[0].p, *square = sum + c;
    double *mean = a->out[0].p, *var = mean + c, n = (double)a->s[0];
    for (int64_t k = 0; k < c; k++) {
        double m = n > 0 ? sum[k] / n : 0, v = n > 0 ? square[k] / n - m * m : 0;
        mean[k] = m;
        var[k] = v < 0 ? 0 : v;
    }
}
