/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers with the fewest digits that read back, laid out as Python and its numpy do it. */
#include "seq/seq.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct decimal {
    uint64_t digits; /* the value is digits / 10^places */
    int places;
};

/* Exact in double precision. */
static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
static const double below_one[] = {1e0,  1e-1, 1e-2, 1e-3,  1e-4,  1e-5,  1e-6,
                                   1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13};
enum { LEAST_F32 = 6, MOST_F32 = 9, LEAST_F64 = 15, MOST_F64 = 17, N_BELOW_ONE = 14 };

static bool is_power_of_two(double x)
{
    int exponent;
    return frexp(x, &exponent) == 0.5;
}

/* Single precision from 1e-13 to below 1, by one product and one quotient in double precision.
 * False where their rounding might matter: half a last digit, or half way between two floats. */
static bool quick(float x, struct decimal *out)
{
    double v = (double)x;
    int first = 0; /* place of the first digit */
    if (!(v >= below_one[N_BELOW_ONE - 1] && v < 1) || is_power_of_two(v))
        return false;
    while (v < below_one[first])
        first++;
    for (int n = LEAST_F32; n <= MOST_F32; n++) {
        int places = first + n - 1;
        if (places >= (int)(sizeof powers / sizeof *powers))
            return false;
        double p = v * powers[places], whole = floor(p);
        if (fabs(p - whole - 0.5) < 1e-6)
            return false;
        whole += p - whole > 0.5;
        double back = whole / powers[places];
        uint64_t bits;
        memcpy(&bits, &back, sizeof bits);
        if ((bits & 0x1fffffff) == 0x10000000)
            return false;
        if ((float)back == x) {
            *out = (struct decimal){(uint64_t)whole, places};
            return true;
        }
    }
    return false;
}

static bool reads_back(const struct decimal *d, double x, bool narrow)
{
    char text[40];
    snprintf(text, sizeof text, "%llue%d", (unsigned long long)d->digits, -d->places);
    return narrow ? strtof(text, NULL) == (float)x : strtod(text, NULL) == x;
}

/* x > 0 with n digits */
static struct decimal rounded(double x, int n)
{
    char text[40];
    struct decimal d = {0};
    snprintf(text, sizeof text, "%.*e", n - 1, x);
    const char *at = text;
    for (; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            d.digits = d.digits * 10 + (uint64_t)(*at - '0');
    d.places = n - 1 - (int)strtol(at + (*at == 'e'), NULL, 10);
    return d;
}

/* Any x > 0. Numbers below the normal range may need fewer digits than others always do. Below a
 * power of two its neighbour is nearer than above: there the larger number of n digits can read
 * back where the nearest does not. */
static struct decimal slow(double x, bool narrow)
{
    bool normal = x >= (narrow ? (double)FLT_MIN : DBL_MIN);
    int most = narrow ? MOST_F32 : MOST_F64;
    struct decimal d = {0};
    for (int n = !normal ? 1 : narrow ? LEAST_F32 : LEAST_F64; n <= most; n++) {
        d = rounded(x, n);
        if (reads_back(&d, x, narrow))
            break;
        d.digits++;
        if (n < most && is_power_of_two(x) && reads_back(&d, x, narrow))
            break;
    }
    return d;
}

static void zeros(struct aster_str *out, int n)
{
    for (; n > 0; n--)
        aster_str_addn(out, "0", 1);
}

/* With an exponent, or with a point that has a digit on both sides. */
static void lay_out(struct aster_str *out, struct decimal d, bool with_exponent)
{
    char text[24];
    int at = sizeof text;
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.places--;
    }
    for (; d.digits; d.digits /= 10)
        text[--at] = (char)('0' + d.digits % 10);
    const char *digits = text + at;
    int n = (int)sizeof text - at, exponent = n - 1 - d.places, before = exponent + 1;
    if (with_exponent) {
        aster_str_addn(out, digits, 1);
        if (n > 1)
            aster_str_addn(out, ".", 1);
        aster_str_addn(out, digits + 1, (size_t)n - 1);
        aster_str_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (before <= 0) {
        aster_str_addn(out, "0.", 2);
        zeros(out, -before);
        aster_str_addn(out, digits, (size_t)n);
        return;
    }
    int whole = n < before ? n : before;
    aster_str_addn(out, digits, (size_t)whole);
    zeros(out, before - whole);
    aster_str_addn(out, ".", 1);
    if (n > whole)
        aster_str_addn(out, digits + whole, (size_t)(n - whole));
    else
        zeros(out, 1);
}

static int exponent_of(struct decimal d)
{
    int n = 0;
    for (; d.digits; d.digits /= 10)
        n++;
    return n - 1 - d.places;
}

/* Below 1e-4 and from 1e16 on there is an exponent. For single precision numpy asks the value,
 * which of 0.0001f is below; for doubles Python asks the digits. */
static void number(struct aster_str *out, double x, bool narrow)
{
    struct decimal d;
    if (isnan(x)) {
        aster_str_add(out, "nan");
        return;
    }
    if (signbit(x))
        aster_str_addn(out, "-", 1);
    x = fabs(x);
    if (isinf(x)) {
        aster_str_add(out, "inf");
    } else if (x == 0) {
        aster_str_addn(out, "0.0", 3);
    } else if (narrow) {
        if (!quick((float)x, &d))
            d = slow(x, true);
        lay_out(out, d, x < 1e-4 || x >= 1e16);
    } else {
        d = slow(x, false);
        int exponent = exponent_of(d);
        lay_out(out, d, exponent < -4 || exponent >= 16);
    }
}

void aster_text_f32(struct aster_str *out, float x)
{
    number(out, (double)x, true);
}

void aster_text_f64(struct aster_str *out, double x)
{
    number(out, x, false);
}
