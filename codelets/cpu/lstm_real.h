/* SPDX-License-Identifier: BSD-3-Clause */
/* One direction of an LSTM layer for one real type: included after REAL, VREAL and VSUF are defined.
 *
 * A step forward is z = zx[t] + h[before] whh; i, f, o = sigmoid(z), g = tanh(z); c = f c[before] + i g; h = o tanh(c).
 * A step back is dh = dh[t] + dz[after] whh^T; dc = dc[after] f[after] + dh o (1 - tanh(c)^2); dz from both.
 * The hidden units are cut into groups of a tile's width. The matrix is packed once per call so that each group's part is read
 * front to back, and a group's units are finished (gates, c, h) as soon as its product is there. Groups are taken in turn from
 * the left and from the right: what the cache still holds of the matrix is used first. */
#include "cpu/tile_real.h"

struct TN(lstm) {
    int64_t n_steps, batch, hidden;
    bool backward_in_time; /* of the direction computed: forward runs up, reverse runs down; their derivatives the other way */
    struct tile_cut cut;
    const REAL *zx, *dh, *whh;
    REAL *h, *c, *gates, *dz; /* [n_steps, batch, hidden or 4 hidden] */
    REAL *panels;             /* the matrix, group after group */
    REAL *z;                  /* the product of one group: [4, rows, width] forward, [rows, width] back */
    REAL *carry;              /* back: dc f of the step after, [batch, hidden rounded up] */
    enum aster_products products;
    REAL *rounded; /* where operands are: h of the step before [batch, hidden], or dz of the step after [batch, 4 hidden] */
};

/* The left operand of a step, n elements of it: x, or its rounded copy */
static const REAL *TN(lstm_left)(const struct TN(lstm) *s, int64_t n, const REAL *x)
{
    if (s->products == ASTER_PRODUCTS_FULL)
        return x;
    ASTER_CAT(aster_round_, VSUF)(s->products, n, x, s->rounded);
    return s->rounded;
}

static void TN(lstm_round_panels)(const struct TN(lstm) *s)
{
    if (s->products != ASTER_PRODUCTS_FULL)
        ASTER_CAT(aster_round_, VSUF)(s->products, s->cut.n_vec * TL * 4 * s->hidden, s->panels, s->panels);
}

ASTER_VFN VREAL TN(get)(const REAL *p, int64_t n)
{
    return n == TL ? ASTER_V(load)(p) : ASTER_V(loadn)(p, n);
}
ASTER_VFN void TN(put)(REAL *p, int64_t n, VREAL v)
{
    if (n == TL)
        ASTER_V(store)(p, v);
    else
        ASTER_V(storen)(p, n, v);
}

/* panels: [group][gate][hidden][width], columns beyond the last unit zero */
static void TN(lstm_pack)(const struct TN(lstm) *s)
{
    int64_t h = s->hidden;
    REAL *p = s->panels;
    for (int64_t g = 0; g < s->cut.n; g++) {
        int64_t u = tile_first(&s->cut, g) * TL, w = tile_width(&s->cut, g) * TL, have = aster_min64(w, h - u);
        for (int gate = 0; gate < 4; gate++)
            for (int64_t k = 0; k < h; k++, p += w) {
                memcpy(p, s->whh + k * 4 * h + gate * h + u, (size_t)have * sizeof *p);
                memset(p + have, 0, (size_t)(w - have) * sizeof *p);
            }
    }
}

/* The transposed matrix, panels: [group][4 hidden][width] */
static void TN(lstm_pack_transposed)(const struct TN(lstm) *s)
{
    int64_t h = s->hidden;
    REAL *p = s->panels;
    for (int64_t g = 0; g < s->cut.n; g++) {
        int64_t u = tile_first(&s->cut, g) * TL, w = tile_width(&s->cut, g) * TL, have = aster_min64(w, h - u);
        for (int64_t k = 0; k < 4 * h; k++, p += w)
            for (int64_t j = 0; j < w; j++)
                p[j] = j < have ? s->whh[(u + j) * 4 * h + k] : 0;
    }
}

/* Gates and c of n units of one sample. z: their part of h[before] whh, NULL at the first step. */
ASTER_VFN void TN(lstm_gates)(int64_t h, int64_t n, const REAL *zx, const REAL *z, int64_t ldz, const REAL *before, REAL *gates, REAL *c)
{
    VREAL v[4];
    TILE_UNROLL
    for (int q = 0; q < 4; q++) {
        v[q] = TN(get)(zx + q * h, n);
        if (z)
            v[q] += ASTER_V(load)(z + q * ldz);
    }
    ASTER_V(gates)(v);
    VREAL y = v[0] * v[2];
    if (z)
        y = ASTER_V(fma)(v[1], TN(get)(before, n), y);
    TILE_UNROLL
    for (int q = 0; q < 4; q++)
        TN(put)(gates + q * h, n, v[q]);
    TN(put)(c, n, y);
}

/* h = o tanh(c) of n units of one sample, several vectors at a time where there are */
ASTER_VFN void TN(lstm_out)(int64_t n, const REAL *c, const REAL *o, REAL *h)
{
    VREAL x[TILE_VECS];
    int64_t k = 0;
    for (; k + TILE_VECS * TL <= n; k += TILE_VECS * TL) {
        TILE_UNROLL
        for (int j = 0; j < TILE_VECS; j++)
            x[j] = ASTER_V(load)(c + k + j * TL);
        ASTER_V(tanhs)(TILE_VECS, x);
        TILE_UNROLL
        for (int j = 0; j < TILE_VECS; j++)
            ASTER_V(store)(h + k + j * TL, x[j] * ASTER_V(load)(o + k + j * TL));
    }
    for (; k + TL <= n; k += TL)
        ASTER_V(store)(h + k, ASTER_V(load)(o + k) * ASTER_V(tanh)(ASTER_V(load)(c + k)));
    if (k < n)
        ASTER_V(storen)(h + k, n - k, ASTER_V(loadn)(o + k, n - k) * ASTER_V(tanh)(ASTER_V(loadn)(c + k, n - k)));
}

/* Units u.. of samples row.. at step t; before < 0 at the first step. */
static void TN(lstm_units)(const struct TN(lstm) *s, int64_t t, int64_t before, int64_t row, int64_t rows, int64_t u, int64_t w)
{
    int64_t h = s->hidden, n = aster_min64(w, h - u), ldz = rows * w;
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = t * s->batch + row + r, k = 0;
        const REAL *zx = s->zx + at * 4 * h + u, *z = s->z + r * w, *b = s->c + (before < 0 ? at : before * s->batch + row + r) * h + u;
        REAL *gates = s->gates + at * 4 * h + u, *c = s->c + at * h + u;
        if (before < 0)
            for (; k + TL <= n; k += TL)
                TN(lstm_gates)(h, TL, zx + k, NULL, 0, b, gates + k, c + k);
        else
            for (; k + TL <= n; k += TL)
                TN(lstm_gates)(h, TL, zx + k, z + k, ldz, b + k, gates + k, c + k);
        if (k < n)
            TN(lstm_gates)(h, n - k, zx + k, before < 0 ? NULL : z + k, ldz, b + k, gates + k, c + k);
    }
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = t * s->batch + row + r;
        TN(lstm_out)(n, s->c + at * h + u, s->gates + (at * 4 + 3) * h + u, s->h + at * h + u);
    }
}

/* left: h of the step before, as operand */
static void TN(lstm_group)(const struct TN(lstm) *s, int64_t t, int64_t before, const REAL *left, int64_t g, struct tile_ahead *ahead)
{
    int64_t h = s->hidden, v = tile_first(&s->cut, g), nv = tile_width(&s->cut, g), w = nv * TL;
    const REAL *panel = s->panels + v * TL * 4 * h;
    for (int64_t row = 0, rows; row < s->batch; row += rows) {
        rows = lstm_rows(s->batch, row);
        for (int gate = 0; gate < 4 && before >= 0; gate++)
            TN(tile_rows)(rows, (int)nv, h, left + row * h, h, 1, panel + gate * h * w, w, s->z + gate * rows * w,
                          w, false, ahead);
        TN(lstm_units)(s, t, before, row, rows, v * TL, w);
    }
}

/* What step t reads and writes: zx, gates, h, c */
static void TN(lstm_ahead)(const struct TN(lstm) *s, int64_t t, struct tile_ahead *ahead)
{
    int64_t n = s->batch * s->hidden, bytes = n * (int64_t)sizeof(REAL), tiles = s->cut.n * 4 * tile_count(s->batch, TILE_VECS);
    tile_ahead_add(ahead, s->zx + t * 4 * n, 4 * bytes, tiles);
    tile_ahead_add(ahead, s->gates + t * 4 * n, 4 * bytes, tiles);
    tile_ahead_add(ahead, s->h + t * n, bytes, tiles);
    tile_ahead_add(ahead, s->c + t * n, bytes, tiles);
}

static void TN(lstm_run)(const struct TN(lstm) *s)
{
    for (int64_t k = 0, before = -1; k < s->n_steps; k++) {
        int64_t t = s->backward_in_time ? s->n_steps - 1 - k : k;
        struct tile_ahead ahead = {0};
        if (k + 1 < s->n_steps)
            TN(lstm_ahead)(s, s->backward_in_time ? t - 1 : t + 1, &ahead);
        const REAL *left = before < 0 ? NULL : TN(lstm_left)(s, s->batch * s->hidden, s->h + before * s->batch * s->hidden);
        for (int64_t g = 0; g < s->cut.n; g++)
            TN(lstm_group)(s, t, before, left, k % 2 ? s->cut.n - 1 - g : g, &ahead);
        before = t;
    }
}

/* dz of n units of one sample. dh: derivative by h, z: what later steps add to it (NULL at the last), before: c of the step
 * before (NULL at the first). carry is read and replaced. */
ASTER_VFN void TN(lstm_back)(int64_t h, int64_t n, const REAL *dh, const REAL *z, const REAL *gates, const REAL *c, const REAL *before,
                             REAL *carry, REAL *dz)
{
    VREAL i = TN(get)(gates, n), f = TN(get)(gates + h, n), g = TN(get)(gates + 2 * h, n), o = TN(get)(gates + 3 * h, n);
    VREAL y = ASTER_V(tanh)(TN(get)(c, n)), d = TN(get)(dh, n), b = {0};
    if (z)
        d += ASTER_V(load)(z);
    if (before)
        b = TN(get)(before, n);
    VREAL dc = d * o * (1 - y * y);
    if (z)
        dc += ASTER_V(load)(carry);
    ASTER_V(store)(carry, dc * f);
    TN(put)(dz, n, dc * g * (i - i * i));
    TN(put)(dz + h, n, dc * b * (f - f * f));
    TN(put)(dz + 2 * h, n, dc * i * (1 - g * g));
    TN(put)(dz + 3 * h, n, d * y * (o - o * o));
}

static void TN(lstm_units_back)(const struct TN(lstm) *s, int64_t t, int64_t after, int64_t before, int64_t row, int64_t rows, int64_t u,
                                int64_t w)
{
    int64_t h = s->hidden, n = aster_min64(w, h - u);
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = t * s->batch + row + r, k = 0;
        const REAL *dh = s->dh + at * h + u, *gates = s->gates + at * 4 * h + u, *c = s->c + at * h + u;
        const REAL *z = after < 0 ? NULL : s->z + r * w, *b = before < 0 ? NULL : s->c + (before * s->batch + row + r) * h + u;
        REAL *dz = s->dz + at * 4 * h + u, *carry = s->carry + (row + r) * s->cut.n_vec * TL + u;
        if (z && b)
            for (; k + TL <= n; k += TL)
                TN(lstm_back)(h, TL, dh + k, z + k, gates + k, c + k, b + k, carry + k, dz + k);
        for (; k < n; k += TL)
            TN(lstm_back)(h, aster_min64(TL, n - k), dh + k, z ? z + k : NULL, gates + k, c + k, b ? b + k : NULL, carry + k, dz + k);
    }
}

/* left: dz of the step after, as operand */
static void TN(lstm_group_back)(const struct TN(lstm) *s, int64_t t, int64_t after, int64_t before, const REAL *left, int64_t g,
                                struct tile_ahead *ahead)
{
    int64_t h = s->hidden, v = tile_first(&s->cut, g), nv = tile_width(&s->cut, g), w = nv * TL;
    const REAL *panel = s->panels + v * TL * 4 * h;
    for (int64_t row = 0, rows; row < s->batch; row += rows) {
        rows = lstm_rows(s->batch, row);
        for (int q = 0; q < 4 && after >= 0; q++)
            TN(tile_rows)(rows, (int)nv, h, left + row * 4 * h + q * h, 4 * h, 1, panel + q * h * w, w, s->z, w, q > 0,
                          ahead);
        TN(lstm_units_back)(s, t, after, before, row, rows, v * TL, w);
    }
}

/* Step t reads dh, gates, c and c of before, and writes dz; c of t is there since the step after. */
static void TN(lstm_ahead_back)(const struct TN(lstm) *s, int64_t t, int64_t before, struct tile_ahead *ahead)
{
    int64_t n = s->batch * s->hidden, bytes = n * (int64_t)sizeof(REAL), tiles = s->cut.n * 4 * tile_count(s->batch, TILE_VECS);
    tile_ahead_add(ahead, s->dh + t * n, bytes, tiles);
    tile_ahead_add(ahead, s->gates + t * 4 * n, 4 * bytes, tiles);
    tile_ahead_add(ahead, s->dz + t * 4 * n, 4 * bytes, tiles);
    if (before >= 0)
        tile_ahead_add(ahead, s->c + before * n, bytes, tiles);
}

static void TN(lstm_run_back)(const struct TN(lstm) *s)
{
    int64_t last = s->n_steps - 1, down = s->backward_in_time ? 1 : -1;
    for (int64_t k = 0; k <= last; k++) {
        int64_t t = s->backward_in_time ? k : last - k;
        struct tile_ahead ahead = {0};
        if (k < last)
            TN(lstm_ahead_back)(s, t + down, k + 1 < last ? t + 2 * down : -1, &ahead);
        const REAL *left = k > 0 ? TN(lstm_left)(s, s->batch * 4 * s->hidden, s->dz + (t - down) * s->batch * 4 * s->hidden) : NULL;
        for (int64_t g = 0; g < s->cut.n; g++)
            TN(lstm_group_back)(s, t, k > 0 ? t - down : -1, k < last ? t + down : -1, left, k % 2 ? s->cut.n - 1 - g : g, &ahead);
    }
}

static void TN(lstm)(const struct aster_args *a)
{
    struct TN(lstm) s = {a->in[0].dim[0], a->in[0].dim[1], a->in[1].dim[0], a->i[0] != 0, .zx = a->in[0].p, .whh = a->in[1].p,
                         .h = a->out[0].p, .c = a->out[1].p, .gates = a->out[2].p, .products = a->products};
    if (s.n_steps == 0 || s.batch == 0 || s.hidden == 0)
        return;
    s.cut = tile_cut_new((s.hidden + TL - 1) / TL);
    s.panels = a->work;
    s.z = s.panels + s.cut.n_vec * TL * 4 * s.hidden;
    s.rounded = s.z + 4 * LSTM_ROWS * TILE_VECS * TL;
    if (s.n_steps > 1) {
        TN(lstm_pack)(&s);
        TN(lstm_round_panels)(&s);
    }
    TN(lstm_run)(&s);
}

static void TN(lstm_dx)(const struct aster_args *a)
{
    struct TN(lstm) s = {a->in[0].dim[0], a->in[0].dim[1], a->in[0].dim[2], a->i[0] != 0, .dh = a->in[0].p, .c = a->in[1].p,
                         .gates = a->in[2].p, .whh = a->in[3].p, .dz = a->out[0].p, .products = a->products};
    if (s.n_steps == 0 || s.batch == 0 || s.hidden == 0)
        return;
    s.cut = tile_cut_new((s.hidden + TL - 1) / TL);
    s.panels = a->work;
    s.z = s.panels + s.cut.n_vec * TL * 4 * s.hidden;
    s.carry = s.z + LSTM_ROWS * TILE_VECS * TL;
    s.rounded = s.carry + s.batch * s.cut.n_vec * TL;
    if (s.n_steps > 1) {
        TN(lstm_pack_transposed)(&s);
        TN(lstm_round_panels)(&s);
    }
    TN(lstm_run_back)(&s);
}

#undef TL
#undef TN
