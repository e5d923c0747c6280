/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer steps and the sums of gradients. */
#include "cpu/lanes.h"
#include "cpu/update.h"

static double grad_scale_of(const struct aster_update *u)
{
    return u->squares ? aster_clip_scale(u->clip_norm, *u->squares) : u->grad_scale;
}

/* What has no finite norm changes nothing. */
static bool is_off(const struct aster_update *u)
{
    return u->squares && !isfinite(*u->squares);
}

#define REAL float
#define VSUF f32
#include "cpu/update_real.h"
#undef REAL
#undef VSUF
#define REAL double
#define VSUF f64
#include "cpu/update_real.h"
#undef REAL
#undef VSUF

void ASTER_K(adam)(struct aster_device *d, enum aster_dtype t, int64_t n,
                   const struct aster_update *u, void *w, const void *g, void *m, void *v)
{
    if (is_off(u))
        return;
    if (t == ASTER_F64)
        adam_f64(n, u, false, w, g, m, v);
    else
        adam_f32(n, u, false, w, g, m, v);
}

void ASTER_K(adamw)(struct aster_device *d, enum aster_dtype t, int64_t n,
                    const struct aster_update *u, void *w, const void *g, void *m, void *v)
{
    if (is_off(u))
        return;
    if (t == ASTER_F64)
        adam_f64(n, u, true, w, g, m, v);
    else
        adam_f32(n, u, true, w, g, m, v);
}

void ASTER_K(sgd)(struct aster_device *d, enum aster_dtype t, int64_t n,
                  const struct aster_update *u, void *w, const void *g, void *m)
{
    if (is_off(u))
        return;
    if (t == ASTER_F64)
        sgd_f64(n, u, w, g, m);
    else
        sgd_f32(n, u, w, g, m);
}

void ASTER_K(add_into)(struct aster_device *d, enum aster_dtype t, int64_t n, void *y,
                       const void *x)
{
    if (t == ASTER_F64)
        add_into_f64(n, y, x);
    else
        add_into_f32(n, y, x);
}

void ASTER_K(fill)(struct aster_device *d, enum aster_dtype t, int64_t n, double value, void *y)
{
    if (t == ASTER_F64)
        fill_f64(n, value, y);
    else
        fill_f32(n, value, y);
}

void ASTER_K(sum_squares)(struct aster_device *d, enum aster_dtype t, int64_t n, const void *x,
                          double *sum)
{
    *sum = t == ASTER_F64 ? sum_squares_f64(n, x) : sum_squares_f32(n, x);
}

void ASTER_K(ema)(struct aster_device *d, enum aster_dtype t, int64_t n, double momentum, void *r,
                  const void *s)
{
    if (t == ASTER_F64)
        ema_f64(n, momentum, r, s);
    else
        ema_f32(n, momentum, r, s);
}
