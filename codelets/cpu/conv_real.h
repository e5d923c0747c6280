/* SPDX-License-Identifier: BSD-3-Clause */
/* conv1d and its derivatives for one real type. */

_Static_assert(sizeof(struct ASTER_R(rows)) == ASTER_CONV_SPAN_BYTES, "workspace of conv1d");

/* A convolution of x [n_samples, length, channels] to y [n_samples, n_out, n]: row t of a sample is the memory from
 * x[t - pad] on, kernel channels long. */
struct ASTER_R(conv) {
    int64_t n_samples, length, channels, kernel, pad, n_out, n;
    const int64_t *extent; /* positions of each sample to compute, or NULL */
    const REAL *x, *bias;
    REAL *y;
    int act;
    struct ASTER_R(right) right;
    enum aster_products products;
};

/* count windows from position start on, zeros outside of the sample */
static void ASTER_R(copy_window)(const struct ASTER_R(conv) *v, const REAL *sample, int64_t start, int64_t count,
                                 REAL *out)
{
    const int64_t n = count + v->kernel - 1, c = v->channels;
    const int64_t lo = aster_min64(aster_max64(-start, 0), n);
    const int64_t hi = aster_max64(lo, aster_min64(v->length - start, n));
    memset(out, 0, (size_t)(lo * c) * sizeof *out);
    if (hi > lo)
        memcpy(out + lo * c, sample + (start + lo) * c, (size_t)((hi - lo) * c) * sizeof *out);
    memset(out + hi * c, 0, (size_t)((n - hi) * c) * sizeof *out);
}

static void ASTER_R(conv_run)(const struct ASTER_R(conv) *v, char *work)
{
    struct ASTER_R(rows) *rows = (struct ASTER_R(rows) *)work;
    REAL *copy = (REAL *)(work + aster_conv_span_bytes(v->n_samples));
    struct ASTER_R(product) p = {.n = v->n, .k = v->kernel * v->channels, .rows = rows, .lda = v->channels, .ldc = v->n,
                                 .right = v->right, .bias = v->bias, .act = v->act, .products = v->products};
    p.work = (REAL *)((char *)copy + aster_conv_copy_bytes(v->n_samples, v->n_out, v->length, v->kernel, v->pad,
                                                          v->channels, sizeof(REAL)));
    for (int64_t s = 0; s < v->n_samples; s++) {
        const REAL *x = v->x + s * v->length * v->channels;
        REAL *y = v->y + s * v->n_out * v->n;
        const int64_t n = v->extent ? aster_max64(0, aster_min64(v->extent[s], v->n_out)) : v->n_out;
        const struct aster_conv_edges e = aster_conv_edges(n, v->length, v->kernel, v->pad);
        const int64_t from[3] = {0, e.first, e.last}, to[3] = {e.first, e.last, n};
        for (int part = 0; part < 3; part++) {
            const int64_t count = to[part] - from[part];
            if (count <= 0)
                continue;
            struct ASTER_R(rows) *r = &rows[p.n_rows++];
            r->m0 = p.m;
            r->c = y + from[part] * v->n;
            if (part == 1) {
                r->a = x + (e.first - v->pad) * v->channels;
            } else {
                ASTER_R(copy_window)(v, x, from[part] - v->pad, count, copy);
                r->a = copy;
                copy += (count + v->kernel - 1) * v->channels;
            }
            p.m += count;
        }
    }
    ASTER_R(product_run)(&p);
}

static void ASTER_R(conv1d)(const struct aster_args *args)
{
    const struct aster_tensor *x = &args->in[0], *w = &args->in[1];
    const int64_t kernel = w->dim[0], channels = w->dim[1], n = w->dim[2];
    const struct ASTER_R(conv) v = {x->dim[0], x->dim[1], channels, kernel, args->i[0],
                                    aster_max64(0, x->dim[1] + args->i[0] + args->i[1] - kernel + 1), n, args->rows,
                                    x->p, args->n_in > 2 ? args->in[2].p : NULL, args->out[0].p, (int)args->i[2],
                                    {w->p, n, false, 0, 0, 0, NULL}, args->products};
    ASTER_R(conv_run)(&v, args->work);
}

static void ASTER_R(conv1d_dx)(const struct aster_args *args)
{
    const struct aster_tensor *dy = &args->in[0], *w = &args->in[1];
    const int64_t kernel = w->dim[0], channels = w->dim[2], n = w->dim[1];
    const struct ASTER_R(conv) v = {dy->dim[0], dy->dim[1], channels, kernel, kernel - 1 - args->i[0], args->s[0], n,
                                    NULL, dy->p, NULL, args->out[0].p, ASTER_ACT_NONE,
                                    {w->p, channels, true, kernel, n * channels, channels, NULL}, args->products};
    ASTER_R(conv_run)(&v, args->work);
}

struct ASTER_R(dw) {
    int64_t length, n_out, ci, co, kernel, pad;
    const REAL *x, *dy;
    enum aster_products products;
};

/* Rows first .. first + n of all strips zero; see pack_left */
static void ASTER_R(clear_left)(int64_t n, int64_t m, int64_t first, int64_t total, REAL *out)
{
    const int64_t n_tiles = ASTER_R(n_tiles)(m);
    for (int64_t t = 0, i = 0; n > 0 && t < n_tiles; t++) {
        const int64_t mr = m / n_tiles + (t < m % n_tiles);
        memset(out + i * total + first * mr, 0, (size_t)(n * mr) * sizeof *out);
        i += mr;
    }
}

/* Rows start .. start + n of a sample, zeros outside, as rows first .. of the strips */
static void ASTER_R(pack_x)(const struct ASTER_R(dw) *d, const REAL *x, int64_t start, int64_t n, int64_t first,
                            int64_t total, REAL *out)
{
    const int64_t lo = aster_min64(aster_max64(-start, 0), n);
    const int64_t hi = aster_max64(lo, aster_min64(d->length - start, n));
    ASTER_R(clear_left)(lo, d->ci, first, total, out);
    if (hi > lo)
        ASTER_R(pack_left)(x + (start + lo) * d->ci, d->ci, hi - lo, d->ci, first + lo, total, out);
    ASTER_R(clear_left)(n - hi, d->ci, first + hi, total, out);
}

/* Adds what samples s0 .. s0 + n_samples contribute by their positions t0 .. t0 + n. */
static void ASTER_R(dw_block)(const struct ASTER_R(dw) *d, int64_t s0, int64_t n_samples, int64_t t0, int64_t n, bool add,
                              REAL *dw, REAL *packed_x, REAL *packed_dy)
{
    const int64_t x_rows = n + d->kernel - 1, n_tiles = ASTER_R(n_tiles)(d->ci), panel = ASTER_OUTER_VECS * VLEN;
    const struct ASTER_R(outer) o = {n_samples, n, x_rows, add};
    for (int64_t s = 0; s < n_samples; s++)
        ASTER_R(pack_x)(d, d->x + (s0 + s) * d->length * d->ci, t0 - d->pad, x_rows, s * x_rows, n_samples * x_rows, packed_x);
    /* samples of a block follow each other without gaps when they are not cut */
    const struct ASTER_R(right) right = {d->dy + (s0 * d->n_out + t0) * d->co, d->co, false, 0, 0, 0, NULL};
    const int64_t dy_rows = n_samples * n;
    ASTER_R(pack_right)(&right, ASTER_OUTER_VECS, 0, dy_rows, 0, d->co, packed_dy);
    ASTER_R(round_packed)(d->products, n_samples * x_rows * d->ci, packed_x);
    ASTER_R(round_packed)(d->products, dy_rows * aster_round_up(d->co, VLEN), packed_dy);
    for (int64_t j = 0; j < d->co; j += panel)
        for (int64_t t = 0, i = 0; t < n_tiles; t++) {
            const int64_t mr = d->ci / n_tiles + (t < d->ci % n_tiles);
            for (int64_t tap = 0; tap < d->kernel; tap++)
                ASTER_R(outer_tile)(&o, mr, packed_x + i * n_samples * x_rows + tap * mr, packed_dy + j * dy_rows,
                                    dw + (tap * d->ci + i) * d->co + j, d->co, aster_min64(d->co - j, panel));
            i += mr;
        }
}

static void ASTER_R(conv1d_dw)(const struct aster_args *args)
{
    const struct aster_tensor *x = &args->in[0], *dy = &args->in[1];
    const struct ASTER_R(dw) d = {x->dim[1], dy->dim[1], x->dim[2], dy->dim[2], args->s[0], args->i[0], x->p, dy->p, args->products};
    const int64_t n_samples = x->dim[0];
    const struct aster_dw_block b = aster_dw_block(n_samples, d.n_out, d.kernel);
    REAL *dw = args->out[0].p, *packed_x = args->work;
    REAL *packed_dy = packed_x + aster_round_up(b.x_rows * d.ci, 64);
    if (n_samples == 0 || d.n_out == 0) {
        memset(dw, 0, (size_t)(d.kernel * d.ci * d.co) * sizeof *dw);
        return;
    }
    for (int64_t s = 0; s < n_samples; s += b.n_samples)
        for (int64_t t = 0; t < d.n_out; t += b.length)
            ASTER_R(dw_block)(&d, s, aster_min64(b.n_samples, n_samples - s), t, aster_min64(b.length, d.n_out - t),
                              s > 0 || t > 0, dw, packed_x, packed_dy);
}
