/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer and reduction kernels for one real type: REAL, RN() and SQRT are defined by update.c. Loops are elementwise;
 * the compiler vectorises them without changing a bit. */

/* Adam (Kingma and Ba 2015) in the order of operations of the reference:
 * m += (1 - b1)(g - m); v = b2 v + (1 - b2) g g; w -= (lr / (1 - b1^t)) m / (sqrt(v) / sqrt(1 - b2^t) + eps). */
static void RN(adam)(int64_t n, const struct aster_update *u, bool decoupled, REAL *w, const REAL *g, REAL *m, REAL *v)
{
    double correction1 = 1 - pow(u->beta1, (double)u->step), correction2 = 1 - pow(u->beta2, (double)u->step);
    REAL rate = (REAL)(u->lr / correction1), root = (REAL)sqrt(correction2), eps = (REAL)u->eps;
    REAL take1 = (REAL)(1 - u->beta1), keep2 = (REAL)u->beta2, take2 = (REAL)(1 - u->beta2);
    REAL scale = (REAL)u->grad_scale;
    REAL decay = (REAL)(decoupled ? 0 : u->weight_decay);
    REAL shrink = (REAL)(decoupled ? 1 - u->lr * u->weight_decay : 1);
#pragma GCC ivdep
    for (int64_t k = 0; k < n; k++) {
        REAL wk = w[k];
        REAL gk = g[k] * scale + decay * wk;
        REAL mk = m[k] + take1 * (gk - m[k]);
        REAL vk = keep2 * v[k] + take2 * gk * gk;
        m[k] = mk;
        v[k] = vk;
        w[k] = shrink * wk - rate * mk / (SQRT(vk) / root + eps);
    }
}

static void RN(sgd)(int64_t n, const struct aster_update *u, REAL *w, const REAL *g, REAL *m)
{
    REAL rate = (REAL)u->lr, scale = (REAL)u->grad_scale, decay = (REAL)u->weight_decay;
    REAL momentum = (REAL)u->momentum;
    REAL part_g = u->nesterov ? 1 : 0, part_m = (REAL)(u->nesterov ? u->momentum : 1);
#pragma GCC ivdep
    for (int64_t k = 0; k < n; k++) {
        REAL gk = g[k] * scale + decay * w[k];
        REAL mk = momentum * m[k] + gk;
        m[k] = mk;
        w[k] -= rate * (part_g * gk + part_m * mk);
    }
}

static void RN(add_into)(int64_t n, REAL *y, const REAL *x)
{
#pragma GCC ivdep
    for (int64_t k = 0; k < n; k++)
        y[k] += x[k];
}

static void RN(fill)(int64_t n, REAL value, REAL *y)
{
    for (int64_t k = 0; k < n; k++)
        y[k] = value;
}

/* Eight partial sums, folded in pairs: the same bits for the same n wherever x lies. */
static double RN(sum_squares)(int64_t n, const REAL *x)
{
    double part[8] = {0}, rest = 0;
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int j = 0; j < 8; j++)
            part[j] += (double)x[k + j] * (double)x[k + j];
    for (; k < n; k++)
        rest += (double)x[k] * (double)x[k];
    return (((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]))) + rest;
}

static void RN(ema)(int64_t n, REAL momentum, REAL *r, const REAL *s)
{
#pragma GCC ivdep
    for (int64_t k = 0; k < n; k++)
        r[k] += momentum * (s[k] - r[k]);
}
