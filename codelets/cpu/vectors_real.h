/* SPDX-License-Identifier: BSD-3-Clause */
/* Lengths, directions and gates of vectors for one real type: REAL and VSUF are defined by
 * message.c. */

static REAL RN(size)(const REAL *r)
{
    return (REAL)sqrt((double)r[0] * (double)r[0] + (double)r[1] * (double)r[1] +
                      (double)r[2] * (double)r[2]);
}

static void RN(direction)(const struct aster_args *a)
{
    const REAL *r = a->in[0].p;
    REAL *y = a->out[0].p;
    for (int64_t e = 0; e < a->in[0].dim[0]; e++) {
        REAL d = RN(size)(r + 3 * e);
        for (int k = 0; k < 3; k++)
            y[4 * e + k] = r[3 * e + k] / (d + (REAL)a->f[0]);
        y[4 * e + 3] = d;
    }
}

/* du / D + r (dd - (du r) / D^2) / d with D = d + f[0] */
static void RN(direction_dx)(const struct aster_args *a)
{
    const REAL *g = a->in[0].p, *x = a->in[1].p;
    REAL *y = a->out[0].p;
    for (int64_t e = 0; e < a->in[1].dim[0]; e++) {
        const REAL *du = g + 4 * e, *r = x + 3 * e;
        REAL d = RN(size)(r), by = 1 / (d + (REAL)a->f[0]);
        REAL dot = (du[0] * r[0] + du[1] * r[1] + du[2] * r[2]) * by * by;
        REAL along = d == 0 ? 0 : (du[3] - dot) / d;
        for (int k = 0; k < 3; k++)
            y[3 * e + k] = du[k] * by + r[k] * along;
    }
}

/* Vectors of atom i's channels from c on: three rows, MESSAGE_BLOCK apart */
static int64_t RN(vectors_of)(int64_t n_atoms, int64_t i, int64_t c)
{
    return (c / MESSAGE_BLOCK * n_atoms + i) * RN(ROW) + c % MESSAGE_BLOCK;
}

ASTER_VFN VEC RN(root)(const REAL *v, REAL eps)
{
    VEC sum = ASTER_V(set)(eps * eps);
    for (int k = 0; k < 3; k++) {
        VEC x = ASTER_V(load)(v + k * MESSAGE_BLOCK);
        sum = ASTER_V(fma)(x, x, sum);
    }
    return RN(vsqrt)(sum);
}

static void RN(vector_length)(const struct aster_args *a)
{
    int64_t atoms = a->in[0].dim[0], width = a->in[0].dim[1];
    REAL eps = (REAL)a->f[0];
    const REAL *v = a->in[1].p;
    for (int64_t i = 0; i < atoms; i++) {
        const REAL *s = (const REAL *)a->in[0].p + i * width;
        REAL *q = (REAL *)a->out[0].p + 2 * i * width;
        for (int64_t c = 0; c < width; c += LANES) {
            int64_t n = width - c;
            RN(store)(n, q + c, RN(load)(n, s + c));
            RN(store)
            (n, q + width + c,
             RN(root)(v + RN(vectors_of)(atoms, i, c), eps) - ASTER_V(set)(eps));
        }
    }
}

static void RN(vector_length_dx)(const struct aster_args *a)
{
    int64_t atoms = a->in[0].dim[0], width = a->in[0].dim[1] / 2,
            end = aster_round_up(width, MESSAGE_BLOCK);
    REAL eps = (REAL)a->f[0];
    const VEC zero = ASTER_V(set)(0);
    const REAL *s0 = a->n_in > 2 ? a->in[2].p : NULL, *v0 = a->n_in > 3 ? a->in[3].p : NULL;
    for (int64_t i = 0; i < atoms; i++) {
        const REAL *dq = (const REAL *)a->in[0].p + 2 * i * width;
        REAL *ds = (REAL *)a->out[0].p + i * width;
        for (int64_t c = 0; c < end; c += LANES) {
            int64_t n = width - c, at = RN(vectors_of)(atoms, i, c);
            const REAL *v = (const REAL *)a->in[1].p + at;
            REAL *dv = (REAL *)a->out[1].p + at;
            VEC root = RN(root)(v, eps), dn = n > 0 ? RN(load)(n, dq + width + c) : zero;
            VEC by = ASTER_V(sel)(root == zero, zero, dn / root);
            if (n > 0)
                RN(store)
                (n, ds + c, RN(load)(n, dq + c) + (s0 ? RN(load)(n, s0 + i * width + c) : zero));
            for (int k = 0; k < 3 * MESSAGE_BLOCK; k += MESSAGE_BLOCK)
                ASTER_V(store)
                (dv + k,
                 ASTER_V(fma)(ASTER_V(load)(v + k), by, v0 ? ASTER_V(load)(v0 + at + k) : zero));
        }
    }
}

/* The matrix as it is used */
static void RN(mixing)(const struct aster_args *a, int in, VEC m[9])
{
    const REAL *x = a->in[in].p;
    REAL third = (x[0] + x[4] + x[8]) / 3;
    for (int k = 0; k < 9; k++)
        m[k] = ASTER_V(set)(!a->i[0] ? x[k] : k % 4 ? 0 : third);
}

ASTER_VFN VEC RN(mixed)(const VEC *m, int step, const VEC v[3])
{
    return ASTER_V(fma)(m[2 * step], v[2], ASTER_V(fma)(m[step], v[1], m[0] * v[0]));
}

static void RN(vector_gate)(const struct aster_args *a)
{
    int64_t atoms = a->in[0].dim[0], width = a->in[0].dim[1],
            end = aster_round_up(width, MESSAGE_BLOCK);
    VEC m[9];
    RN(mixing)(a, 3, m);
    for (int64_t i = 0; i < atoms; i++) {
        const REAL *s = (const REAL *)a->in[0].p + i * width,
                   *o = (const REAL *)a->in[2].p + 3 * i * width;
        REAL *t = (REAL *)a->out[0].p + i * width;
        for (int64_t c = 0; c < end; c += LANES) {
            int64_t n = width - c, at = RN(vectors_of)(atoms, i, c);
            const REAL *v = (const REAL *)a->in[1].p + at;
            REAL *w = (REAL *)a->out[1].p + at;
            VEC x[3], o1 = ASTER_V(set)(0), o2 = o1;
            if (n > 0) {
                o1 = RN(load)(n, o + width + c);
                o2 = RN(load)(n, o + 2 * width + c);
                RN(store)(n, t + c, RN(load)(n, s + c) + RN(load)(n, o + c));
            }
            for (int k = 0; k < 3; k++)
                x[k] = ASTER_V(load)(v + k * MESSAGE_BLOCK);
            for (int k = 0; k < 3; k++)
                ASTER_V(store)
                (w + k * MESSAGE_BLOCK, ASTER_V(fma)(RN(mixed)(m + 3 * k, 1, x), o2, x[k] * o1));
        }
    }
}

static void RN(vector_gate_dx)(const struct aster_args *a)
{
    int64_t atoms = a->in[0].dim[0], width = a->in[0].dim[1],
            end = aster_round_up(width, MESSAGE_BLOCK);
    VEC m[9];
    RN(mixing)(a, 4, m);
    for (int64_t i = 0; i < atoms; i++) {
        const REAL *ds = (const REAL *)a->in[0].p + i * width,
                   *o = (const REAL *)a->in[3].p + 3 * i * width;
        REAL *go = (REAL *)a->out[0].p + 3 * i * width;
        for (int64_t c = 0; c < end; c += LANES) {
            int64_t n = width - c, at = RN(vectors_of)(atoms, i, c);
            const REAL *dw = (const REAL *)a->in[1].p + at, *v = (const REAL *)a->in[2].p + at;
            REAL *dv = (REAL *)a->out[1].p + at;
            VEC x[3], g[3], g1 = ASTER_V(set)(0), g2 = g1, o1 = g1, o2 = g1;
            if (n > 0) {
                o1 = RN(load)(n, o + width + c);
                o2 = RN(load)(n, o + 2 * width + c);
            }
            for (int k = 0; k < 3; k++) {
                x[k] = ASTER_V(load)(v + k * MESSAGE_BLOCK);
                g[k] = ASTER_V(load)(dw + k * MESSAGE_BLOCK);
                g1 = ASTER_V(fma)(g[k], x[k], g1);
            }
            for (int k = 0; k < 3; k++) {
                g2 = ASTER_V(fma)(g[k], RN(mixed)(m + 3 * k, 1, x), g2);
                ASTER_V(store)
                (dv + k * MESSAGE_BLOCK, ASTER_V(fma)(RN(mixed)(m + k, 3, g), o2, g[k] * o1));
            }
            if (n <= 0)
                continue;
            RN(store)(n, go + c, RN(load)(n, ds + c));
            RN(store)(n, go + width + c, g1);
            RN(store)(n, go + 2 * width + c, g2);
        }
    }
}
