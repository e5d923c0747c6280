/* SPDX-License-Identifier: BSD-3-Clause */
/* matmul and linear of every instruction set equal plain loops in higher precision; a row's bits do
 * not depend on the other rows. */
#include "unit/kernels.h"

DECLARE_SETS(matmul);
DECLARE_SETS(linear);
static aster_kernel *const matmul[N_SETS] = SETS(matmul), *const linear[N_SETS] = SETS(linear);

static const struct shape {
    int64_t batch, m, k, n;
} shapes[] = {
    {1, 0, 3, 2},      {1, 3, 0, 2},     {1, 2, 3, 0},    {0, 2, 3, 4},      {1, 1, 1, 1},
    {1, 5, 7, 3},      {3, 5, 6, 7},     {2, 13, 17, 19}, {1, 64, 64, 64},   {1, 241, 33, 31},
    {1, 7, 700, 40},   {2, 1, 641, 1},   {1, 3, 5, 1100}, {1, 259, 330, 18}, {1, 1, 100, 100},
    {2, 11, 1, 13},    {1, 12, 320, 32}, {1, 24, 321, 8}, {1, 250, 2, 33},   {1, 19, 40, 75},
    {1, 50, 1500, 33}, {1, 4, 1500, 24},
};

struct tally {
    double worst;
    bool guards, bits, seen;
};

static void reference(const struct shape *s, const struct aster_args *a, bool ta, bool tb,
                      bool shared, bool relu, double *want, double *scale)
{
    const struct aster_tensor *bias = a->n_in > 2 && a->in[2].p ? &a->in[2] : NULL;
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t i = 0; i < s->m; i++)
            for (int64_t j = 0; j < s->n; j++) {
                long double sum = bias ? get(bias, j) : 0, size = fabsl(sum);
                for (int64_t k = 0; k < s->k; k++) {
                    long double x =
                        get(&a->in[0], b * s->m * s->k + (ta ? k * s->m + i : i * s->k + k));
                    long double y = get(&a->in[1], (shared ? 0 : b * s->k * s->n) +
                                                       (tb ? j * s->k + k : k * s->n + j));
                    sum += x * y;
                    size += fabsl(x * y);
                }
                want[(b * s->m + i) * s->n + j] = relu && sum < 0 ? 0 : (double)sum;
                scale[(b * s->m + i) * s->n + j] = (double)size;
            }
}

static struct aster_tensor matrices(enum aster_dtype t, bool random, int64_t batch, int64_t rows,
                                    int64_t columns)
{
    return batch < 0 ? tensor_new(t, random, 2, rows, columns, 0, 0)
                     : tensor_new(t, random, 3, batch, rows, columns, 0);
}

/* Row i of the first batch computed alone. */
static bool row_alone(aster_kernel *kernel, enum aster_op_kind op, const struct shape *s,
                      const struct aster_args *full, bool ta, int64_t i)
{
    const enum aster_dtype t = full->in[0].dtype;
    struct aster_args a = *full;
    if (s->batch * s->m == 0)
        return true;
    a.in[0] = tensor_new(t, false, 2, ta ? s->k : 1, ta ? 1 : s->k, 0, 0);
    a.out[0] = tensor_new(t, false, 2, 1, s->n, 0, 0);
    for (int64_t k = 0; k < s->k; k++)
        set(&a.in[0], k, get(&full->in[0], ta ? k * s->m + i : i * s->k + k));
    if (a.in[1].rank == 3) { /* the first matrix */
        a.in[1].rank = 2;
        a.in[1].dim[0] = a.in[1].dim[1];
        a.in[1].dim[1] = a.in[1].dim[2];
    }
    bool good = run_guarded(kernel, &a, aster_work_gemm(op, &a)) &&
                same_bits(&a.out[0], 0, &full->out[0], i * s->n, s->n);
    tensor_free(&a.in[0]);
    tensor_free(&a.out[0]);
    return good;
}

/* variant: bits 0 and 1 transposes, bit 2 a shared right operand, bit 3 linear (bit 0 bias, bit 1
 * relu) */
static void one_case(const struct shape *s, enum aster_dtype t, enum aster_products products,
                     int variant, struct tally *tally)
{
    const bool is_linear = variant & 8, ta = !is_linear && variant & 1,
               tb = !is_linear && variant & 2;
    const bool shared = is_linear || variant & 4, relu = is_linear && variant & 2;
    const int64_t n_out = s->batch * s->m * s->n;
    double *want = calloc((size_t)n_out + 1, sizeof *want),
           *scale = calloc((size_t)n_out + 1, sizeof *scale);
    struct aster_args a = {
        .n_in = 2, .n_out = 1, .i = {is_linear ? relu : ta, tb}, .products = products};
    a.in[0] = matrices(t, true, s->batch, ta ? s->k : s->m, ta ? s->m : s->k);
    a.in[1] = matrices(t, true, shared ? -1 : s->batch, tb ? s->n : s->k, tb ? s->k : s->n);
    if (is_linear) {
        a.n_in = 3;
        if (variant & 1)
            a.in[2] = tensor_new(t, true, 1, s->n, 0, 0, 0);
    }
    a.out[0] = matrices(t, false, s->batch, s->m, s->n);
    if (products == ASTER_PRODUCTS_BF16) {
        tensor_round(&a.in[0]);
        tensor_round(&a.in[1]);
    }
    reference(s, &a, ta, tb, shared, relu, want, scale);
    const double units = (double)s->k / 2 + 2;
    for (int k = 0; k < N_SETS; k++) {
        aster_kernel *kernel = is_linear ? linear[k] : matmul[k];
        const enum aster_op_kind op = is_linear ? ASTER_OP_linear : ASTER_OP_matmul;
        if (!set_runs_here(k))
            continue;
        tensor_clear(&a.out[0]);
        if (!run_guarded(kernel, &a, aster_work_gemm(op, &a)))
            tally[k].guards = false;
        double d = distance(&a.out[0], want, scale, units);
        if (!(d < 1))
            tap_note("%s variant %d: batch %d m %d k %d n %d: off by %g limits", set_names[k],
                     variant, (int)s->batch, (int)s->m, (int)s->k, (int)s->n, d);
        if (!(d <= tally[k].worst))
            tally[k].worst = d;
        if (!distance_sees(&a.out[0], want, scale, units))
            tally[k].seen = false;
        if (!row_alone(kernel, op, s, &a, ta, 0) || !row_alone(kernel, op, s, &a, ta, s->m - 1))
            tally[k].bits = false;
    }
    for (int i = 0; i < 3; i++)
        tensor_free(&a.in[i]);
    tensor_free(&a.out[0]);
    free(want);
    free(scale);
}

int main(void)
{
    for (int t = 0; t < N_PRODUCT_TYPES; t++)
        for (int op = 0; op < 2; op++) {
            const char *type = product_types[t].name, *name = op ? "linear" : "matmul";
            struct tally tally[N_SETS];
            for (int k = 0; k < N_SETS; k++)
                tally[k] = (struct tally){0, true, true, true};
            for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
                for (int variant = op ? 8 : 0; variant < (op ? 12 : 8); variant++)
                    one_case(&shapes[i], product_types[t].t, product_types[t].products, variant,
                             tally);
            for (int k = 0; k < N_SETS; k++) {
                if (!set_runs_here(k)) {
                    tap_skip("%s: this CPU does not have it", set_names[k]);
                    continue;
                }
                tap_ok(tally[k].worst < 1, "%s %s %s equals plain loops (worst %.3f of the limit)",
                       name, type, set_names[k], tally[k].worst);
                tap_ok(tally[k].guards, "%s %s %s writes inside its buffers only", name, type,
                       set_names[k]);
                tap_ok(tally[k].bits, "%s %s %s gives a row the same bits alone", name, type,
                       set_names[k]);
                tap_ok(tally[k].seen, "%s %s %s a wrong result would be seen", name, type,
                       set_names[k]);
            }
        }
    return tap_done();
}
