/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of other programs' files in the types of ours. */
#include "io/internal.h"

#include <math.h>
#include <string.h>

bool aster_put_real(enum aster_dtype t, double v, uint8_t *to)
{
    float f = (float)v;
    uint16_t h = aster_f32_to_bf16(f);
    if (t == ASTER_F64) {
        memcpy(to, &v, sizeof v);
        return true;
    }
    if (t == ASTER_F32)
        memcpy(to, &f, sizeof f);
    else
        memcpy(to, &h, sizeof h);
    return !isfinite(v) || isfinite(t == ASTER_F32 ? f : aster_bf16_to_f32(h));
}

bool aster_put_integer(enum aster_dtype t, int64_t v, uint8_t *to)
{
    int32_t i = (int32_t)v;
    uint8_t u = (uint8_t)v;
    if (t == ASTER_I64)
        memcpy(to, &v, sizeof v);
    else if (t == ASTER_I32)
        memcpy(to, &i, sizeof i);
    else
        memcpy(to, &u, sizeof u);
    return t == ASTER_I64 || (t == ASTER_I32 ? i == v : u == v);
}
