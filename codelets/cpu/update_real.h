/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizer and reduction kernels for one real type: REAL and VSUF are defined by update.c. */

#define SET(v) ASTER_V(set)((REAL)(v))

/* Adam (Kingma and Ba 2015) in the order of operations of the reference:
 * m += (1 - b1)(g - m); v = b2 v + (1 - b2) g g;
 * w -= (lr / (1 - b1^t)) m / (sqrt(v) / sqrt(1 - b2^t) + eps). */
static void RN(adam)(int64_t n, const struct aster_update *u, bool decoupled, REAL *w,
                     const REAL *g, REAL *m, REAL *v)
{
    double correction1 = 1 - pow(u->beta1, (double)u->step),
           correction2 = 1 - pow(u->beta2, (double)u->step);
    VEC rate = SET(u->lr / correction1), root = SET(sqrt(correction2)), eps = SET(u->eps);
    VEC take1 = SET(1 - u->beta1), keep2 = SET(u->beta2), take2 = SET(1 - u->beta2),
        scale = SET(grad_scale_of(u));
    VEC decay = SET(decoupled ? 0 : u->weight_decay);
    VEC shrink = SET(decoupled ? 1 - u->lr * u->weight_decay : 1);
    for (int64_t k = 0; k < n; k += LANES) {
        int64_t left = n - k;
        VEC wk = RN(load)(left, w + k), mk = RN(load)(left, m + k);
        VEC gk = RN(load)(left, g + k) * scale + decay * wk;
        mk += take1 * (gk - mk);
        VEC vk = keep2 * RN(load)(left, v + k) + take2 * gk * gk;
        RN(store)(left, m + k, mk);
        RN(store)(left, v + k, vk);
        RN(store)(left, w + k, shrink * wk - rate * mk / (RN(vsqrt)(vk) / root + eps));
    }
}

static void RN(sgd)(int64_t n, const struct aster_update *u, REAL *w, const REAL *g, REAL *m)
{
    VEC rate = SET(u->lr), scale = SET(grad_scale_of(u)), decay = SET(u->weight_decay),
        momentum = SET(u->momentum);
    VEC part_g = SET(u->nesterov ? 1 : 0), part_m = SET(u->nesterov ? u->momentum : 1);
    for (int64_t k = 0; k < n; k += LANES) {
        int64_t left = n - k;
        VEC wk = RN(load)(left, w + k), gk = RN(load)(left, g + k) * scale + decay * wk;
        VEC mk = momentum * RN(load)(left, m + k) + gk;
        RN(store)(left, m + k, mk);
        RN(store)(left, w + k, wk - rate * (part_g * gk + part_m * mk));
    }
}

static void RN(add_into)(int64_t n, REAL *y, const REAL *x)
{
    for (int64_t k = 0; k < n; k += LANES)
        RN(store)(n - k, y + k, RN(load)(n - k, y + k) + RN(load)(n - k, x + k));
}

static void RN(fill)(int64_t n, double value, REAL *y)
{
    VEC v = SET(value);
    for (int64_t k = 0; k < n; k += LANES)
        RN(store)(n - k, y + k, v);
}

/* Four vectors of partial sums, folded from the first to the last: the same bits for the same n
 * wherever x lies. */
static double RN(sum_squares)(int64_t n, const REAL *x)
{
    enum { W = ASTER_VB / 8 };
    aster_vf64 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    double sum = 0;
    int64_t k = 0;
    for (; k + 4 * W <= n; k += 4 * W) {
        aster_vf64 x0 = RN(load_wide)(x + k), x1 = RN(load_wide)(x + k + W);
        aster_vf64 x2 = RN(load_wide)(x + k + 2 * W), x3 = RN(load_wide)(x + k + 3 * W);
        s0 += x0 * x0;
        s1 += x1 * x1;
        s2 += x2 * x2;
        s3 += x3 * x3;
    }
    s0 = (s0 + s1) + (s2 + s3);
    for (int j = 0; j < W; j++)
        sum += s0[j];
    for (; k < n; k++)
        sum += (double)x[k] * (double)x[k];
    return sum;
}

static void RN(ema)(int64_t n, double momentum, REAL *r, const REAL *s)
{
    VEC take = SET(momentum);
    for (int64_t k = 0; k < n; k += LANES) {
        VEC old = RN(load)(n - k, r + k);
        RN(store)(n - k, r + k, old + take * (RN(load)(n - k, s + k) - old));
    }
}

#undef SET
