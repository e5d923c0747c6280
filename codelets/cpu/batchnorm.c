/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch normalisation: statistics in double in row order, and one pass per tensor for everything
 * else. */
#include "cpu/vmath.h"

enum {
    BN_CHUNK = 256, /* channels at a time: their coefficients stay in the first cache */
    BN_STRIP = 16,  /* channels whose sums are in registers at a time */
    BN_ROWS =
        16, /* rows after which the next strip has its turn: memory is then read nearly in order */
    BN_PART = ASTER_VB / 8, /* doubles of a vector */
    BN_PARTS = BN_STRIP / BN_PART,
    BN_LANES = ASTER_VB / 4 /* floats of a vector */
};

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

/* One row of n channels of dropout: all ones where an element is kept; place counts within the
 * sample. mask is written in whole vectors. */
static void drop_row(const struct aster_keep *keep, uint32_t place, int64_t n, uint32_t *mask)
{
    aster_vu32 at;
    for (int k = 0; k < BN_LANES; k++)
        at[k] = place + (uint32_t)k;
    for (int64_t c = 0; c < n; c += BN_LANES, at += BN_LANES) {
        aster_vu32 x = at ^ keep->key0; /* aster_bits32 of a vector */
        x ^= x >> 16;
        x *= 0x7feb352dU;
        x ^= x >> 15;
        x *= 0x846ca68bU;
        x ^= x >> 16;
        x += keep->key1;
        x ^= x >> 17;
        x *= 0xed5ad4bbU;
        x ^= x >> 11;
        x *= 0xac4c1b51U;
        x ^= x >> 15;
        *(aster_vu32 *)(mask + c) = (aster_vu32)(x >= keep->threshold);
    }
}

ASTER_VFN void strip_load(aster_vf64 *v, const double *p)
{
#pragma GCC unroll 8
    for (int k = 0; k < BN_PARTS; k++)
        v[k] = aster_vload_f64(p + k * BN_PART);
}
ASTER_VFN void strip_store(double *p, const aster_vf64 *v)
{
#pragma GCC unroll 8
    for (int k = 0; k < BN_PARTS; k++)
        aster_vstore_f64(p + k * BN_PART, v[k]);
}

/* The mask of a vector of either type */
static inline aster_vi32 mask_f32(const uint32_t *mask)
{
    return *(const aster_vi32 *)mask;
}
static inline aster_vi64 mask_f64(const uint32_t *mask)
{
    aster_vi64 m;
    for (int k = 0; k < BN_PART; k++)
        m[k] = -(int64_t)(mask[k] & 1);
    return m;
}

#define REAL     float
#define VREAL    aster_vf32
#define VMASK    aster_vi32
#define VSUF     f32
#define RN(name) name##_f32
#include "cpu/batchnorm_real.h"
#undef REAL
#undef VREAL
#undef VMASK
#undef VSUF
#undef RN
#define REAL     double
#define VREAL    aster_vf64
#define VMASK    aster_vi64
#define VSUF     f64
#define RN(name) name##_f64
#include "cpu/batchnorm_real.h"
#undef REAL
#undef VREAL
#undef VMASK
#undef VSUF
#undef RN

#define DISPATCH(name, which)                                                                      \
    void ASTER_K(name)(const struct aster_args *a)                                                 \
    {                                                                                              \
        if ((which).dtype == ASTER_F64)                                                            \
            name##_f64(a);                                                                         \
        else                                                                                       \
            name##_f32(a);                                                                         \
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
