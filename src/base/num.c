/* SPDX-License-Identifier: BSD-3-Clause */
/* Checked sizes, numbers from text, dtypes. */
#include "base/base.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int aster_mul(struct aster_ctx *ctx, int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0 || (b && a > INT64_MAX / b))
        return aster_fail(ctx, ASTER_ELIMIT, "%lld x %lld is no size", (long long)a, (long long)b);
    *out = a * b;
    return 0;
}

int aster_add(struct aster_ctx *ctx, int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0 || a > INT64_MAX - b)
        return aster_fail(ctx, ASTER_ELIMIT, "%lld + %lld is no size", (long long)a, (long long)b);
    *out = a + b;
    return 0;
}

int aster_to_int(struct aster_ctx *ctx, int64_t n, int *out)
{
    if (n < INT_MIN || n > INT_MAX)
        return aster_fail(ctx, ASTER_ELIMIT, "%lld does not fit the 32-bit sizes of a library",
                          (long long)n);
    *out = (int)n;
    return 0;
}

int aster_parse_i64(const char *s, int64_t *out)
{
    const char *p = s + (*s == '-' || *s == '+');
    if (*p < '0' || *p > '9')
        return ASTER_EPARAM;
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || *end)
        return ASTER_EPARAM;
    *out = v;
    return 0;
}

int aster_parse_f64(const char *s, double *out)
{
    const char *p = s + (*s == '-' || *s == '+');
    if (strspn(p, "0123456789.eE+-") != strlen(p) || !strpbrk(p, "0123456789") || *p == '+' ||
        *p == '-' || *p == 'e' || *p == 'E')
        return ASTER_EPARAM;
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    if (*end || !isfinite(v))
        return ASTER_EPARAM;
    *out = v;
    return 0;
}

int aster_parse_size(const char *s, int64_t *out)
{
    static const char units[] = "KMGT";
    char number[32];
    double x = 0;
    size_t n = strcspn(s, units);
    const char *unit = s[n] ? strchr(units, s[n]) : NULL, *rest = s[n] ? s + n + 1 : "";
    if (n >= sizeof number || (*rest && strcmp(rest, "iB") != 0))
        return ASTER_EPARAM;
    snprintf(number, sizeof number, "%.*s", (int)n, s);
    ASTER_TRY(aster_parse_f64(number, &x));
    for (const char *u = units; unit && u <= unit; u++)
        x *= 1024;
    if (x < 1 || x > 9e18)
        return ASTER_EPARAM;
    *out = (int64_t)x;
    return 0;
}

int64_t aster_dtype_size(enum aster_dtype t)
{
    static const int sizes[ASTER_N_DTYPES] = {4, 8, 2, 4, 8, 1};
    return sizes[t];
}

const char *aster_dtype_name(enum aster_dtype t)
{
    static const char *const names[ASTER_N_DTYPES] = {"f32", "f64", "bf16", "i32", "i64", "u8"};
    return t < ASTER_N_DTYPES ? names[t] : "?";
}

uint16_t aster_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffffU) > 0x7f800000U)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fffU + (u >> 16 & 1)) >> 16);
}
