/* SPDX-License-Identifier: BSD-3-Clause */
/* Pooling and resize for one real type. */

static void ASTER_R(avgpool2)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    const int64_t length = x->dim[1], c = x->dim[2], n_out = length / 2;
    for (int64_t b = 0; b < x->dim[0]; b++) {
        const REAL *restrict in = (const REAL *)x->p + b * length * c;
        REAL *restrict out = (REAL *)a->out[0].p + b * n_out * c;
        for (int64_t t = 0, n = extent(a, b, n_out); t < n; t++)
            for (int64_t k = 0; k < c; k++)
                out[t * c + k] = (in[2 * t * c + k] + in[(2 * t + 1) * c + k]) * (REAL)0.5;
    }
}

static void ASTER_R(avgpool2_dx)(const struct aster_args *a)
{
    const struct aster_tensor *dy = &a->in[0];
    const int64_t length = a->s[0], c = dy->dim[2], n_out = dy->dim[1];
    for (int64_t b = 0; b < dy->dim[0]; b++) {
        const REAL *restrict in = (const REAL *)dy->p + b * n_out * c;
        REAL *restrict out = (REAL *)a->out[0].p + b * length * c;
        for (int64_t t = 0; t < n_out; t++)
            for (int64_t k = 0; k < c; k++)
                out[2 * t * c + k] = out[(2 * t + 1) * c + k] = in[t * c + k] * (REAL)0.5;
        memset(out + 2 * n_out * c, 0, (size_t)((length - 2 * n_out) * c) * sizeof *out);
    }
}

/* Where position t of a resized sample lies: between from and next, nearer to next as f grows. */
struct ASTER_R(source) {
    int64_t from, next;
    REAL f;
};
static REAL ASTER_R(ratio)(int64_t n_in, int64_t n_out)
{
    return n_out > 1 ? (REAL)(n_in - 1) / (REAL)(n_out - 1) : 0;
}
static struct ASTER_R(source) ASTER_R(source_of)(int64_t t, REAL ratio, int64_t n_in)
{
    const REAL p = (REAL)t * ratio;
    struct ASTER_R(source) s;
    s.from = aster_min64((int64_t)p, n_in - 1);
    s.next = aster_min64(s.from + 1, n_in - 1);
    s.f = p - (REAL)s.from;
    return s;
}

static void ASTER_R(resize)(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0];
    const int64_t n_in = x->dim[1], c = x->dim[2], n_out = a->s[0];
    const REAL ratio = ASTER_R(ratio)(n_in, n_out);
    if (n_in == 0) { /* an empty sample is zero everywhere */
        memset(a->out[0].p, 0, (size_t)(x->dim[0] * n_out * c) * sizeof(REAL));
        return;
    }
    for (int64_t b = 0; b < x->dim[0]; b++)
        for (int64_t t = 0, n = extent(a, b, n_out); t < n; t++) {
            const struct ASTER_R(source) s = ASTER_R(source_of)(t, ratio, n_in);
            const REAL *restrict from = (const REAL *)x->p + (b * n_in + s.from) * c;
            const REAL *restrict next = (const REAL *)x->p + (b * n_in + s.next) * c;
            REAL *restrict y = (REAL *)a->out[0].p + (b * n_out + t) * c;
            const REAL f = s.f, g = 1 - f;
            for (int64_t k = 0; k < c; k++)
                y[k] = g * from[k] + f * next[k];
        }
}

/* Each source position collects, in order of t, what it gave; sums in double, CHUNK channels at a time. */
static void ASTER_R(resize_dx)(const struct aster_args *a)
{
    enum { CHUNK = 64 };
    const struct aster_tensor *dy = &a->in[0];
    const int64_t n_out = dy->dim[1], c = dy->dim[2], n_in = a->s[0];
    const REAL ratio = ASTER_R(ratio)(n_in, n_out);
    for (int64_t b = 0; b < dy->dim[0]; b++) {
        int64_t start = 0; /* first t that reads position i */
        for (int64_t i = 0; i < n_in; i++) {
            while (start < n_out && ASTER_R(source_of)(start, ratio, n_in).next < i)
                start++;
            for (int64_t k0 = 0; k0 < c; k0 += CHUNK) {
                const int64_t kn = aster_min64(CHUNK, c - k0);
                double sum[CHUNK] = {0};
                for (int64_t t = start; t < n_out; t++) {
                    const struct ASTER_R(source) s = ASTER_R(source_of)(t, ratio, n_in);
                    if (s.from > i)
                        break;
                    const REAL *restrict g = (const REAL *)dy->p + (b * n_out + t) * c + k0;
                    const double weight = (s.from == i ? (double)(1 - s.f) : 0) + (s.next == i ? (double)s.f : 0);
                    for (int64_t k = 0; k < kn; k++)
                        sum[k] += weight * (double)g[k];
                }
                REAL *restrict dx = (REAL *)a->out[0].p + (b * n_in + i) * c + k0;
                for (int64_t k = 0; k < kn; k++)
                    dx[k] = (REAL)sum[k];
            }
        }
    }
}
