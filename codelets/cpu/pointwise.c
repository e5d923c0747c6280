/* SPDX-License-Identifier: BSD-3-Clause */
/* Elementwise ops: functions of one value and their derivatives, arithmetic with broadcasting,
 * gates, dropout, casts. */
#include "cpu/lanes.h"
#include "strides.h"

enum { NARROW = 48, NARROW_CELLS = 1024, DROPOUT_CELLS = 512 };

/* aster_bits32 of the places from place on, whole vectors of them. */
static void dropout_bits(int64_t n, const struct aster_keep *keep, uint32_t place, uint32_t *bits)
{
    enum { W = ASTER_VB / 4 };
    typedef uint32_t unaligned __attribute__((vector_size(ASTER_VB), aligned(4), may_alias));
    aster_vu32 at;
    for (int k = 0; k < W; k++)
        at[k] = place + (uint32_t)k;
    for (int64_t k = 0; k < n; k += W, at += W) {
        aster_vu32 x = at ^ keep->key0;
        x = (x ^ (x >> 16)) * 0x7feb352dU;
        x = (x ^ (x >> 15)) * 0x846ca68bU;
        x = (x ^ (x >> 16)) + keep->key1;
        x = (x ^ (x >> 17)) * 0xed5ad4bbU;
        x = (x ^ (x >> 11)) * 0xac4c1b51U;
        *(unaligned *)(bits + k) = x ^ (x >> 15);
    }
}

/* n <= DROPOUT_CELLS values; bits has a vector more. */
static void drop_f32(int64_t n, const uint32_t *bits, uint32_t threshold, float scale,
                     const float *x, float *y)
{
    typedef uint32_t unaligned __attribute__((vector_size(ASTER_VB), aligned(4), may_alias));
    for (int64_t k = 0; k < n; k += ASTER_VB / 4) {
        aster_vi32 kept = *(const unaligned *)(bits + k) >= threshold;
        store_f32(n - k, y + k,
                  aster_vsel_f32(kept, load_f32(n - k, x + k) * scale, (aster_vf32){0}));
    }
}

static void drop_f64(int64_t n, const uint32_t *bits, uint32_t threshold, double scale,
                     const double *x, double *y)
{
    for (int64_t k = 0; k < n; k++)
        y[k] = bits[k] >= threshold ? x[k] * scale : 0;
}

#define REAL float
#define VSUF f32
#include "cpu/pointwise_real.h"
#include "cpu/unary_real.h"
#undef REAL
#undef VSUF
#define REAL double
#define VSUF f64
#include "cpu/pointwise_real.h"
#include "cpu/unary_real.h"
#undef REAL
#undef VSUF

void ASTER_K(unary)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    enum aster_fn fn = (enum aster_fn)a->i[0];
    if (x->dtype == ASTER_F64)
        unary_f64(fn, aster_tensor_n(x), x->p, a->out[0].p);
    else
        unary_f32(fn, aster_tensor_n(x), x->p, a->out[0].p);
}

void ASTER_K(unary_grad)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    enum aster_fn fn = (enum aster_fn)a->i[0];
    if (x->dtype == ASTER_F64)
        unary_grad_f64(fn, aster_tensor_n(x), x->p, a->in[1].p, a->out[0].p);
    else
        unary_grad_f32(fn, aster_tensor_n(x), x->p, a->in[1].p, a->out[0].p);
}

void ASTER_K(unary_grad2)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    enum aster_fn fn = (enum aster_fn)a->i[0];
    if (x->dtype == ASTER_F64)
        unary_grad2_f64(fn, aster_tensor_n(x), x->p, a->in[1].p, a->in[2].p, a->out[0].p);
    else
        unary_grad2_f32(fn, aster_tensor_n(x), x->p, a->in[1].p, a->in[2].p, a->out[0].p);
}

void ASTER_K(gated)(const struct aster_args *a)
{
    const struct aster_tensor *y = &a->out[0];
    int64_t n = y->dim[y->rank - 1], rows = n ? aster_tensor_n(y) / n : 0;
    if (y->dtype == ASTER_F64)
        gated_f64(rows, n, a->in[0].p, y->p);
    else
        gated_f32(rows, n, a->in[0].p, y->p);
}

void ASTER_K(binary)(const struct aster_args *a)
{
    const struct aster_tensor *y = &a->out[0];
    if (aster_tensor_n(y) == 0)
        return;
    struct walk w = walk_new(y, &a->in[0], &a->in[1]);
    if (y->dtype == ASTER_F64)
        binary_f64((enum aster_binary)a->i[0], &w, a->in[0].p, a->in[1].p, y->p);
    else
        binary_f32((enum aster_binary)a->i[0], &w, a->in[0].p, a->in[1].p, y->p);
}

void ASTER_K(affine)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    double scale = a->f[0] / (double)a->s[0];
    if (x->dtype == ASTER_F64)
        affine_f64(aster_tensor_n(x), scale, a->f[1], x->p, a->out[0].p);
    else
        affine_f32(aster_tensor_n(x), (float)scale, (float)a->f[1], x->p, a->out[0].p);
}

void ASTER_K(dropout)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    int64_t axis = a->i[1], outer = walk_outer(x, axis), inner = walk_inner(x, axis),
            samples = x->dim[axis];
    double p = a->f[0], scale = p < 1 ? 1 / (1 - p) : 0;
    for (int64_t b = 0; b < samples; b++) {
        struct aster_keep keep = aster_keep_new(a->run, a->i[0], b, p);
        for (int64_t o = 0; o < outer; o++) {
            int64_t at = (o * samples + b) * inner;
            uint32_t place = (uint32_t)(o * inner);
            if (x->dtype == ASTER_F64)
                dropout_f64(inner, &keep, place, scale, (double *)x->p + at,
                            (double *)a->out[0].p + at);
            else
                dropout_f32(inner, &keep, place, (float)scale, (float *)x->p + at,
                            (float *)a->out[0].p + at);
        }
    }
}

/* Nearest even; a NaN stays one. */
static inline uint16_t to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    uint32_t rounded = u + 0x7fffU + ((u >> 16) & 1);
    uint32_t nan = u | 0x400000U;
    return (uint16_t)((f == f ? rounded : nan) >> 16);
}

/* Through f32, but not rounded twice: what f32 cannot hold is cut off there and leaves its last bit
 * set. */
static inline uint16_t to_bf16_f64(double x)
{
    float f = (float)x;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    u -= fabs((double)f) > fabs(x);
    u |= f == f && (double)f != x;
    memcpy(&f, &u, sizeof f);
    return to_bf16(f);
}

static inline float from_bf16(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Towards zero; what does not fit becomes the nearest that does, NaN becomes 0. */
static inline int32_t to_i32(double x)
{
    return x >= 2147483648.0 ? INT32_MAX : x <= -2147483649.0 ? INT32_MIN : x == x ? (int32_t)x : 0;
}

#define CAST(from, to, expr)                                                                       \
    static void cast_##from##_##to(int64_t n, const void *in, void *out)                           \
    {                                                                                              \
        const T_##from *x = in;                                                                    \
        T_##to *y = out;                                                                           \
        _Pragma("GCC ivdep") for (int64_t k = 0; k < n; k++) y[k] = (T_##to)(expr);                \
    }
#define T_f32  float
#define T_f64  double
#define T_bf16 uint16_t
#define T_i32  int32_t
CAST(f32, f64, x[k])
CAST(f64, f32, x[k])
CAST(f32, bf16, to_bf16(x[k]))
CAST(f64, bf16, to_bf16_f64(x[k]))
CAST(bf16, f32, from_bf16(x[k]))
CAST(bf16, f64, from_bf16(x[k]))
CAST(i32, f32, x[k])
CAST(i32, f64, x[k])
CAST(f32, i32, to_i32((double)x[k]))
CAST(f64, i32, to_i32(x[k]))

void ASTER_K(cast)(const struct aster_args *a)
{
    static void (*const casts[ASTER_N_DTYPES][ASTER_N_DTYPES])(int64_t, const void *, void *) = {
        [ASTER_F32] =
            {[ASTER_F64] = cast_f32_f64, [ASTER_BF16] = cast_f32_bf16, [ASTER_I32] = cast_f32_i32},
        [ASTER_F64] =
            {[ASTER_F32] = cast_f64_f32, [ASTER_BF16] = cast_f64_bf16, [ASTER_I32] = cast_f64_i32},
        [ASTER_BF16] = {[ASTER_F32] = cast_bf16_f32, [ASTER_F64] = cast_bf16_f64},
        [ASTER_I32] = {[ASTER_F32] = cast_i32_f32, [ASTER_F64] = cast_i32_f64},
    };
    const struct aster_tensor *x = &a->in[0], *y = &a->out[0];
    int64_t n = aster_tensor_n(x);
    if (x->dtype == y->dtype)
        memmove(y->p, x->p, (size_t)(n * aster_dtype_size(x->dtype)));
    else
        casts[x->dtype][y->dtype](n, x->p, y->p);
}
