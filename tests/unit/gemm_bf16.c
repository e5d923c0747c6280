/* SPDX-License-Identifier: BSD-3-Clause */
/* Products with bf16 weights: without the instruction for them they are those with the weights
 * widened, bit by bit; with it plain loops over rows rounded to bf16; a row's bits do not depend on
 * the other rows. */
#include "unit/kernels.h"

DECLARE_SETS(linear);
DECLARE_SETS(linear_bf16);
static aster_kernel *const linear[N_SETS] = SETS(linear), *const linear_bf16[N_SETS] =
                                                              SETS(linear_bf16);

static const struct shape {
    int64_t m, k, n;
} shapes[] = {{0, 3, 2},    {3, 0, 2},      {2, 3, 0},      {1, 1, 1},    {5, 7, 3},
              {13, 17, 19}, {64, 64, 64},   {241, 33, 31},  {7, 700, 40}, {1, 641, 1},
              {3, 5, 1100}, {25, 2830, 33}, {26, 5700, 17}, {250, 2, 33}, {12, 320, 32}};

static bool rounds_rows(int set)
{
    return set == SET_VB64 || set == SET_AVX512BF16;
}

static struct aster_tensor half_of(const struct aster_tensor *w)
{
    struct aster_tensor h = *w;
    int64_t n = tensor_size(w);
    h.dtype = ASTER_BF16;
    h.p = guarded_new((size_t)n * 2, 0xff);
    for (int64_t i = 0; i < n; i++)
        ((uint16_t *)h.p)[i] = aster_f32_to_bf16((float)get(w, i));
    return h;
}

static void reference(const struct shape *s, const struct aster_args *a, bool rounded, double *want,
                      double *scale)
{
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++) {
            long double sum = a->n_in > 2 ? get(&a->in[2], j) : 0, size = fabsl(sum);
            for (int64_t k = 0; k < s->k; k++) {
                float x = (float)get(&a->in[0], i * s->k + k),
                      y = aster_bf16_to_f32(((const uint16_t *)a->in[1].p)[k * s->n + j]);
                long double product =
                    (long double)(rounded ? aster_bf16_to_f32(aster_f32_to_bf16(x)) : x) *
                    (long double)y;
                sum += product;
                size += fabsl(product);
            }
            if (a->i[0] == ASTER_ACT_GELU)
                sum *= 0.5L * erfcl(-sum * sqrtl(0.5L));
            want[i * s->n + j] = a->i[0] == ASTER_ACT_RELU && sum < 0 ? 0 : (double)sum;
            scale[i * s->n + j] = (double)size;
        }
}

static bool row_alone(aster_kernel *kernel, const struct shape *s, const struct aster_args *full,
                      int64_t i)
{
    struct aster_args a = *full;
    if (s->m == 0)
        return true;
    a.in[0] = tensor_new(ASTER_F32, false, 2, 1, s->k, 0, 0);
    a.out[0] = tensor_new(ASTER_F32, false, 2, 1, s->n, 0, 0);
    for (int64_t k = 0; k < s->k; k++)
        set(&a.in[0], k, get(&full->in[0], i * s->k + k));
    bool good = run_guarded(kernel, &a, aster_work_gemm(ASTER_OP_linear_bf16, &a)) &&
                same_bits(&a.out[0], 0, &full->out[0], i * s->n, s->n);
    tensor_free(&a.in[0]);
    tensor_free(&a.out[0]);
    return good;
}

/* The same with w widened, in this set's linear */
static bool as_widened(int set_at, const struct aster_args *half)
{
    struct aster_args a = *half;
    int64_t n = tensor_size(&half->in[1]);
    a.in[1] = tensor_new(ASTER_F32, false, 2, half->in[1].dim[0], half->in[1].dim[1], 0, 0);
    a.out[0] = tensor_new(ASTER_F32, false, 2, half->out[0].dim[0], half->out[0].dim[1], 0, 0);
    for (int64_t i = 0; i < n; i++)
        set(&a.in[1], i, (double)aster_bf16_to_f32(((const uint16_t *)half->in[1].p)[i]));
    bool good = run_guarded(linear[set_at], &a, aster_work_gemm(ASTER_OP_linear, &a)) &&
                same_bits(&a.out[0], 0, &half->out[0], 0, tensor_size(&a.out[0]));
    tensor_free(&a.in[1]);
    tensor_free(&a.out[0]);
    return good;
}

/* The same of f32 weights that bf16 holds, in linear with both operands rounded: the same bits
 * where both are multiplied as bf16. Elsewhere x is rounded by hand. */
static bool as_rounded(int set_at, const struct aster_args *half)
{
    struct aster_args a = *half, b = *half;
    struct aster_tensor w =
        tensor_new(ASTER_F32, false, 2, half->in[1].dim[0], half->in[1].dim[1], 0, 0);
    struct aster_tensor x =
        tensor_new(ASTER_F32, false, 2, half->in[0].dim[0], half->in[0].dim[1], 0, 0);
    for (int64_t i = 0, n = tensor_size(&w); i < n; i++)
        set(&w, i, (double)aster_bf16_to_f32(((const uint16_t *)half->in[1].p)[i]));
    for (int64_t i = 0, n = tensor_size(&x); i < n; i++)
        set(&x, i, get(&half->in[0], i));
    tensor_round(&x);
    a.in[1] = w;
    a.products = ASTER_PRODUCTS_BF16;
    a.out[0] = tensor_new(ASTER_F32, false, 2, half->out[0].dim[0], half->out[0].dim[1], 0, 0);
    b.in[0] = x;
    b.out[0] = tensor_new(ASTER_F32, false, 2, half->out[0].dim[0], half->out[0].dim[1], 0, 0);
    bool good = run_guarded(linear[set_at], &a, aster_work_gemm(ASTER_OP_linear, &a)) &&
                run_guarded(linear_bf16[set_at], &b, aster_work_gemm(ASTER_OP_linear_bf16, &b)) &&
                same_bits(&a.out[0], 0, &b.out[0], 0, tensor_size(&a.out[0]));
    struct aster_tensor *all[] = {&w, &x, &a.out[0], &b.out[0]};
    for (int i = 0; i < 4; i++)
        tensor_free(all[i]);
    return good;
}

struct tally {
    double worst;
    bool guards, bits, widened, rounded, seen;
};

static void one_case(const struct shape *s, int act, bool has_bias, struct tally *tally)
{
    struct aster_tensor w = tensor_new(ASTER_F32, true, 2, s->k, s->n, 0, 0);
    struct aster_args a = {.n_in = has_bias ? 3 : 2,
                           .n_out = 1,
                           .in = {tensor_new(ASTER_F32, true, 2, s->m, s->k, 0, 0), half_of(&w)},
                           .i = {act}};
    double *want = malloc(((size_t)(s->m * s->n) + 1) * sizeof *want),
           *scale = malloc(((size_t)(s->m * s->n) + 1) * sizeof *scale);
    if (!want || !scale)
        abort();
    if (has_bias)
        a.in[2] = tensor_new(ASTER_F32, true, 1, s->n, 0, 0, 0);
    a.out[0] = tensor_new(ASTER_F32, false, 2, s->m, s->n, 0, 0);
    for (int k = 0; k < N_SETS; k++) {
        const double units = (double)s->k / 2 + 4;
        if (!set_runs_here(k))
            continue;
        reference(s, &a, rounds_rows(k), want, scale);
        tensor_clear(&a.out[0]);
        tally[k].guards &=
            run_guarded(linear_bf16[k], &a, aster_work_gemm(ASTER_OP_linear_bf16, &a));
        double d = distance(&a.out[0], want, scale, units);
        if (!(d <= tally[k].worst))
            tally[k].worst = d;
        tally[k].seen &= distance_sees(&a.out[0], want, scale, units);
        tally[k].bits &=
            row_alone(linear_bf16[k], s, &a, 0) && row_alone(linear_bf16[k], s, &a, s->m - 1);
        tally[k].widened &= rounds_rows(k) || as_widened(k, &a);
        tally[k].rounded &= as_rounded(k, &a);
    }
    for (int i = 0; i < 3; i++)
        tensor_free(&a.in[i]);
    tensor_free(&a.out[0]);
    tensor_free(&w);
    free(want);
    free(scale);
}

int main(void)
{
    struct tally tally[N_SETS];
    for (int k = 0; k < N_SETS; k++)
        tally[k] = (struct tally){0, true, true, true, true, true};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int act = ASTER_ACT_NONE; act <= ASTER_ACT_GELU; act++) {
            one_case(&shapes[i], act, true, tally);
            one_case(&shapes[i], act, false, tally);
        }
    for (int k = 0; k < N_SETS; k++) {
        if (!set_runs_here(k)) {
            tap_skip("%s: this CPU does not have it", set_names[k]);
            continue;
        }
        tap_ok(tally[k].worst < 1, "%s equals plain loops (worst %.3f of the limit)", set_names[k],
               tally[k].worst);
        tap_ok(tally[k].guards, "%s writes inside its buffers only", set_names[k]);
        tap_ok(tally[k].bits, "%s gives a row the same bits alone", set_names[k]);
        tap_ok(tally[k].widened,
               "%s: where rows are not rounded, the bits are those of widened weights",
               set_names[k]);
        tap_ok(tally[k].rounded, "%s: weights of f32 that are rounded to bf16 give the same bits",
               set_names[k]);
        tap_ok(tally[k].seen, "%s: a wrong result would be seen", set_names[k]);
    }
    return tap_done();
}
