/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that the vector functions agree with libm in long double to a few units in the last place,
 * over all magnitudes and at infinities and NaN, for every instruction set this machine runs. */
#include "base/base.h"
#include "lib/tap.h"
#include "vmath.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const struct vmath_set vmath_base, vmath_avx2, vmath_avx512;

static const struct {
    const char *name;
    double limit_f32, limit_f64; /* units in the last place */
} fns[VMATH_N] = {{"exp", 1.5, 2},     {"tanh", 3, 3},        {"sigmoid", 3, 3},
                  {"log", 1, 2},       {"erf", 3, 2},         {"sigmoid gate", 3.5, 3},
                  {"tanh gate", 3, 3}, {"exp below 0", 5, 2}, {"normal", 3, 2}};

static long double exact(int fn, long double x)
{
    switch (fn) {
    case VMATH_EXP:
        return expl(x);
    case VMATH_TANH:
    case VMATH_GATE_TANH:
        return tanhl(x);
    case VMATH_SIGMOID:
    case VMATH_GATE:
        return 1 / (1 + expl(-x));
    case VMATH_LOG:
        return logl(x);
    case VMATH_EXP_BELOW:
        return expl(-fabsl(x));
    case VMATH_ERF:
        return erfl(x);
    default:
        return erfcl(-x * 0.707106781186547524400844362104849039L) / 2;
    }
}

/* Error in units of the last place of the right value; 0 where both are NaN, the same infinity, or
 * below the normal range (there a zero is as good). Infinite where the class of the value is wrong.
 */
static double ulps(long double right, double got, int digits, int min_exp)
{
    if (isnan(right))
        return isnan(got) ? 0 : INFINITY;
    if (isnan(got))
        return INFINITY;
    int e;
    frexpl(right, &e);
    if (right != 0 && e < min_exp) /* below the smallest normal number */
        return got == 0 || fabsl(got - right) <= ldexpl(4, min_exp - digits) ? 0 : INFINITY;
    long double most =
        ldexpl(1 - ldexpl(1, -digits - 1), digits == FLT_MANT_DIG ? FLT_MAX_EXP : DBL_MAX_EXP);
    if (fabsl(right) >= most)
        return isinf(got) && (got > 0) == (right > 0) ? 0 : INFINITY;
    if (isinf(got))
        return INFINITY;
    if (right == 0)
        return got == 0 ? 0 : INFINITY;
    return (double)(fabsl(got - right) / ldexpl(1, e - digits));
}

enum { N = 1 << 19 };
static float xf[N], yf[N];
static double xd[N], yd[N];

/* Points of every sign and magnitude, denser where the functions change, and special ones first. */
static void points(void)
{
    static const double special[] = {
        0.0,        -0.0,       INFINITY,   -INFINITY,  NAN,       1,       -1,       88.72283,
        88.72284,   89,         128,        -87.33655,  -88.4,     -103.9,  -104,     -104.5,
        -745,       -746,       709.7,      710,        0.85,      -0.85,   4,        -4,
        3.99,       9.01,       -9.02,      18.1,       FLT_MIN,   FLT_MAX, -FLT_MAX, 1e-45,
        0.70710678, 0.70710677, 1.41421356, 1.41421366, 0.34657359};
    int n_special = (int)(sizeof special / sizeof *special);
    for (int i = 0; i < N; i++) {
        if (i < n_special) {
            xd[i] = special[i];
        } else if (i % 4 == 0) { /* any bits */
            uint32_t u = (uint32_t)aster_mix64((uint64_t)i);
            float f;
            memcpy(&f, &u, 4);
            xd[i] = f;
        } else { /* -40 .. 40, and -10 .. 10 more often */
            double r = aster_uniform(7, 0, (uint64_t)i) * 2 - 1;
            xd[i] = i % 4 == 1 ? 105 * r : i % 4 == 2 ? 10 * r : 2 * r;
        }
        xf[i] = (float)xd[i];
    }
}

static double worst(int fn, bool is_f64, double *where)
{
    double most = 0;
    for (int i = 0; i < N; i++) {
        double e = is_f64 ? ulps(exact(fn, xd[i]), yd[i], DBL_MANT_DIG, DBL_MIN_EXP)
                          : ulps(exact(fn, xf[i]), yf[i], FLT_MANT_DIG, FLT_MIN_EXP);
        if ((fn == VMATH_SIGMOID || fn == VMATH_GATE) && xd[i] < -30)
            e *= 3 / 5.5;                      /* results below 1e-13 may be that much worse */
        if (fn == VMATH_NORMAL && isfinite(e)) /* against 1 */
            e = is_f64 ? (double)fabsl(exact(fn, xd[i]) - yd[i]) * ldexp(1, DBL_MANT_DIG)
                       : (double)fabsl(exact(fn, xf[i]) - yf[i]) * ldexp(1, FLT_MANT_DIG);
        if (!(e <= most)) {
            most = e;
            *where = is_f64 ? xd[i] : (double)xf[i];
        }
    }
    return most;
}

static void functions(const char *isa, const struct vmath_set *s)
{
    for (int fn = 0; fn < VMATH_N; fn++) {
        double at = 0;
        s->f32[fn](N, xf, yf);
        double e = worst(fn, false, &at);
        tap_ok(e <= fns[fn].limit_f32, "%s f32 %s: worst error %.2f ulp (at %.9g), limit %g", isa,
               fns[fn].name, e, at, fns[fn].limit_f32);
        s->f64[fn](N, xd, yd);
        e = worst(fn, true, &at);
        tap_ok(e <= fns[fn].limit_f64, "%s f64 %s: worst error %.2f ulp (at %.17g), limit %g", isa,
               fns[fn].name, e, at, fns[fn].limit_f64);
    }
}

static bool fma_near(double a, double b, double c, double got, double unit)
{
    long double p = (long double)a * b;
    return fabsl(p + c - got) <= unit * (fabsl(p) + fabsl((long double)c));
}

/* fma within one rounding of each part; min and max give the second operand where either is NaN. */
static void arithmetic(const char *isa, const struct vmath_set *s)
{
    enum { M = 64 };
    float af[M], bf[M], cf[M], ff[M], lf[M], hf[M];
    double ad[M], bd[M], cd[M], fd[M], ld[M], hd[M];
    for (int i = 0; i < M; i++) {
        af[i] = (float)(ad[i] = aster_uniform(1, 1, (uint64_t)i) - 0.5);
        bf[i] = (float)(bd[i] = i == 3 ? NAN : aster_uniform(1, 2, (uint64_t)i) - 0.5);
        cf[i] = (float)(cd[i] = aster_uniform(1, 3, (uint64_t)i) - 0.5);
    }
    af[5] = (float)(ad[5] = NAN);
    s->arith_f32(M, af, bf, cf, ff, lf, hf);
    s->arith_f64(M, ad, bd, cd, fd, ld, hd);
    bool good = true;
    for (int i = 0; i < M; i++) {
        if (i == 3) {
            good &= isnan(lf[i]) && isnan(hf[i]) && isnan(ld[i]) && isnan(hd[i]) && isnan(ff[i]) &&
                    isnan(fd[i]);
            continue;
        }
        if (i == 5) {
            good &= lf[i] == bf[i] && hf[i] == bf[i] && ld[i] == bd[i] && hd[i] == bd[i];
            continue;
        }
        good &=
            lf[i] == (af[i] < bf[i] ? af[i] : bf[i]) && hf[i] == (af[i] > bf[i] ? af[i] : bf[i]);
        good &=
            ld[i] == (ad[i] < bd[i] ? ad[i] : bd[i]) && hd[i] == (ad[i] > bd[i] ? ad[i] : bd[i]);
        good &= fma_near(af[i], bf[i], cf[i], ff[i], FLT_EPSILON) &&
                fma_near(ad[i], bd[i], cd[i], fd[i], DBL_EPSILON);
    }
    tap_ok(good, "%s: fma, min, max", isa);
}

/* A right result moved by ten limits must be refused. */
static void can_fail(void)
{
    vmath_base.f32[VMATH_EXP](N, xf, yf);
    double at = 0;
    for (int i = 0; i < N; i++)
        if (xf[i] > 1 && xf[i] < 2) {
            yf[i] += 15 * ldexpf(1, ilogbf(yf[i]) - 23);
            break;
        }
    tap_ok(worst(VMATH_EXP, false, &at) > fns[VMATH_EXP].limit_f32,
           "a result wrong by 15 ulp is noticed");
    yf[2] = NAN; /* exp(inf) */
    tap_ok(isinf(worst(VMATH_EXP, false, &at)), "NaN for infinity is noticed");
}

int main(void)
{
    points();
    functions("x86-64", &vmath_base);
    arithmetic("x86-64", &vmath_base);
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        functions("avx2", &vmath_avx2);
        arithmetic("avx2", &vmath_avx2);
    } else {
        tap_skip("this CPU has no AVX2");
    }
    if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        functions("avx512", &vmath_avx512);
        arithmetic("avx512", &vmath_avx512);
    } else {
        tap_skip("this CPU has no AVX-512");
    }
    can_fail();
    return tap_done();
}
