/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves laws of the elementwise kernels that a table of references does not show: what is not a
 * number stays so, infinities go to their limits, dropout keeps its share and changes with each of
 * its keys; attention with scores beyond all measure takes the largest. */
#include "backend.h"
#include "lib/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 100000 };

static void apply(const struct aster_backend *be, enum aster_fn fn, int64_t n, float *x, float *y)
{
    struct aster_args a = {.n_in = 1, .n_out = 1, .i = {fn}};
    a.in[0] = (struct aster_tensor){x, ASTER_F32, 1, {n}};
    a.out[0] = (struct aster_tensor){y, ASTER_F32, 1, {n}};
    be->op[ASTER_OP_unary](&a);
}

static void not_a_number(const struct aster_backend *be)
{
    float x[19], y[19];
    for (int k = 0; k < 19; k++)
        x[k] = k % 2 ? 1 : NAN;
    for (int fn = 0; fn < ASTER_N_FNS; fn++) {
        bool good = true;
        apply(be, (enum aster_fn)fn, 19, x, y);
        for (int k = 0; k < 19; k++)
            good &= k % 2 ? isfinite(y[k]) : isnan(y[k]);
        tap_ok(good, "%s: function %d leaves NaN where it is", be->name, fn);
    }
}

static void limits(const struct aster_backend *be)
{
    static const float big = INFINITY;
    static const struct {
        enum aster_fn fn;
        float below, zero, above; /* at -inf, 0, +inf */
    } want[] = {
        {ASTER_FN_RELU, 0, 0, big},  {ASTER_FN_SIGMOID, 0, 0.5F, 1}, {ASTER_FN_TANH, -1, 0, 1},
        {ASTER_FN_EXP, 0, 1, big},   {ASTER_FN_SQUARE, big, 0, big}, {ASTER_FN_ABS, big, 0, big},
        {ASTER_FN_RECIP, 0, big, 0},
    };
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        float x[3] = {-big, 0, big}, y[3];
        apply(be, want[k].fn, 3, x, y);
        tap_ok(y[0] == want[k].below && y[1] == want[k].zero && y[2] == want[k].above,
               "%s: function %d at its limits: %g %g %g", be->name, (int)want[k].fn, (double)y[0],
               (double)y[1], (double)y[2]);
    }
}

struct drop {
    uint64_t seed;
    int64_t step, sample0, key;
};

static void dropped(const struct aster_backend *be, const struct drop *d, double p, float *x,
                    float *y)
{
    struct aster_run_info run = {d->seed, d->step, d->sample0, NULL};
    struct aster_args a = {.n_in = 1, .n_out = 1, .i = {d->key, 0}, .f = {p}, .run = &run};
    a.in[0] = (struct aster_tensor){x, ASTER_F32, 2, {1, N}};
    a.out[0] = (struct aster_tensor){y, ASTER_F32, 2, {1, N}};
    be->op[ASTER_OP_dropout](&a);
}

/* Two independent choices at p = 1/2 agree on half of the places: 6 standard deviations are 6
 * sqrt(N / 4). */
static bool unlike(const float *a, const float *b)
{
    int64_t same = 0;
    for (int64_t k = 0; k < N; k++)
        same += (a[k] > 0) == (b[k] > 0);
    return fabs((double)same - N / 2.0) < 6 * sqrt(N / 4.0);
}

static void dropout(const struct aster_backend *be)
{
    static const double p[] = {0, 0.1, 0.3, 0.5, 0.9};
    const struct drop base = {11, 3, 40, 2},
                      others[] = {{12, 3, 40, 2}, {11, 4, 40, 2}, {11, 3, 41, 2}, {11, 3, 40, 3}};
    static const char *const names[] = {"seed", "step", "sample", "key"};
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y), *z = malloc(N * sizeof *z);
    for (int k = 0; k < N; k++)
        x[k] = 1;
    for (int j = 0; j < 5; j++) {
        double kept = 0;
        dropped(be, &base, p[j], x, y);
        for (int k = 0; k < N; k++)
            kept += y[k] > 0;
        double spread = 6 * sqrt(N * p[j] * (1 - p[j]));
        tap_ok(fabs(kept - N * (1 - p[j])) <= spread, "%s: dropout %g keeps %g of %d", be->name,
               p[j], kept, N);
    }
    dropped(be, &base, 0.5, x, y);
    for (int j = 0; j < 4; j++) {
        dropped(be, &others[j], 0.5, x, z);
        tap_ok(unlike(y, z), "%s: another %s drops other places", be->name, names[j]);
    }
    tap_ok(!unlike(y, y), "a choice is like itself");
    memmove(z, y + 1, (N - 1) * sizeof *z);
    z[N - 1] = y[0];
    tap_ok(unlike(y, z), "%s: neighbouring places are independent", be->name);
    free(x), free(y), free(z);
}

/* Scores so large that their rounding is larger than the range of exponentials: each row is the
 * value of its largest score all the same. */
static void attention(const struct aster_backend *be)
{
    enum { ROWS = 37, H = 8 };
    float q[ROWS * H], k[ROWS * H], v[ROWS * H], o[ROWS * H], lse[ROWS];
    int32_t starts[2] = {0, ROWS};
    for (float size = 1e6F; size < 1e13F; size *= 10) {
        struct aster_args a = {.n_in = 4, .n_out = 2, .i = {1}, .f = {0.3535533F}, .s = {ROWS}};
        float *const data[] = {q, k, v};
        bool good = true;
        for (int j = 0; j < ROWS * H; j++) {
            q[j] = size * (1 + 0.01F * (float)(j % 7));
            k[j] = 1 + 0.1F * (float)(j / H * 11 % ROWS);
            v[j] = (float)j;
        }
        for (int j = 0; j < 3; j++)
            a.in[j] = (struct aster_tensor){data[j], ASTER_F32, 2, {ROWS, H}};
        a.in[3] = (struct aster_tensor){starts, ASTER_I32, 1, {2}};
        a.out[0] = (struct aster_tensor){o, ASTER_F32, 2, {ROWS, H}};
        a.out[1] = (struct aster_tensor){lse, ASTER_F32, 2, {ROWS, 1}};
        a.work_bytes = aster_work_attention(ASTER_OP_ragged_attention, &a);
        a.work = aligned_alloc(64, ((size_t)a.work_bytes + 64) / 64 * 64);
        if (!a.work)
            abort();
        be->op[ASTER_OP_ragged_attention](&a);
        free(a.work);
        int largest = 0;
        for (int j = 1; j < ROWS; j++)
            largest = k[j * H] > k[largest * H] ? j : largest;
        for (int j = 0; j < ROWS * H; j++)
            good &= fabsf(o[j] - v[largest * H + j % H]) <= 1e-3F;
        tap_ok(good, "%s: attention with scores of %g takes the largest", be->name,
               (double)size * 3);
    }
}

int main(void)
{
    for (int isa = 0; isa < ASTER_N_ISAS; isa++) {
        if (!aster_isa_here((enum aster_isa)isa)) {
            tap_skip("%s: this CPU does not have it", aster_isa_name((enum aster_isa)isa));
            continue;
        }
        const struct aster_backend *be = aster_backend_cpu((enum aster_isa)isa);
        not_a_number(be);
        limits(be);
        dropout(be);
        attention(be);
    }
    return tap_done();
}
