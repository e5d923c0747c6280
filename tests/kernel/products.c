/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves how operands of products are rounded: to the nearest of tf32 and bf16, ties to even, on
 * both sides of every product and nowhere else. */
#include "backend.h"
#include "lib/tap.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORK = 1 << 22, WIDTH = 37 /* columns: whole vectors, and some more */ };

static void *work;

static struct aster_tensor tensor(float *p, int rank, int64_t d0, int64_t d1, int64_t d2)
{
    return (struct aster_tensor){p, ASTER_F32, rank, {d0, d1, d2}};
}

static void run(const struct aster_backend *be, enum aster_op_kind op, struct aster_args *a)
{
    a->work = work;
    a->work_bytes =
        !strcmp(aster_op_family(op), "conv") ? aster_work_conv(op, a) : aster_work_gemm(op, a);
    if (a->work_bytes > MOST_WORK)
        abort();
    be->op[op](a);
}

/* An operation that multiplies numbers one by one: all left ones are x, all right ones w. */
enum form {
    MATMUL,
    LEFT_TURNED,
    RIGHT_TURNED,
    BOTH_TURNED,
    LINEAR,
    CONV,
    CONV_DX,
    CONV_DW,
    N_FORMS
};
static const char *const form_names[N_FORMS] = {
    "matmul", "matmul, a turned", "matmul, b turned", "matmul, both turned",
    "linear", "conv1d",           "conv1d_dx",        "conv1d_dw"};

/* The products of x and w that form makes, all of them the same; NAN when they are not. */
static float product(const struct aster_backend *be, enum form form, enum aster_products products,
                     float x, float w)
{
    static float left[WIDTH], right[WIDTH * WIDTH], y[WIDTH * WIDTH];
    struct aster_args a = {.n_in = 2, .n_out = 1, .products = products};
    enum aster_op_kind op = ASTER_OP_matmul;
    int64_t rows = 3, n = rows * WIDTH;
    for (int k = 0; k < WIDTH; k++)
        left[k] = x;
    for (int k = 0; k < WIDTH * WIDTH; k++)
        right[k] = w;
    bool ta = form == LEFT_TURNED || form == BOTH_TURNED,
         tb = form == RIGHT_TURNED || form == BOTH_TURNED;
    switch (form) {
    case LINEAR:
        op = ASTER_OP_linear;
        a.in[0] = tensor(left, 2, rows, 1, 0);
        a.in[1] = tensor(right, 2, 1, WIDTH, 0);
        a.out[0] = tensor(y, 2, rows, WIDTH, 0);
        break;
    case CONV:
        op = ASTER_OP_conv1d;
        a.in[0] = tensor(left, 3, 1, rows, 1);
        a.in[1] = tensor(right, 3, 1, 1, WIDTH);
        a.out[0] = tensor(y, 3, 1, rows, WIDTH);
        break;
    case CONV_DX:
        op = ASTER_OP_conv1d_dx;
        a.s[0] = rows;
        a.in[0] = tensor(left, 3, 1, rows, 1);
        a.in[1] = tensor(right, 3, 1, WIDTH, 1);
        a.out[0] = tensor(y, 3, 1, rows, WIDTH);
        break;
    case CONV_DW:
        op = ASTER_OP_conv1d_dw;
        a.s[0] = 1;
        a.in[0] = tensor(left, 3, 1, 1, rows);
        a.in[1] = tensor(right, 3, 1, 1, WIDTH);
        a.out[0] = tensor(y, 3, 1, rows, WIDTH);
        break;
    default:
        a.i[0] = ta;
        a.i[1] = tb;
        a.in[0] = tensor(left, 2, ta ? 1 : rows, ta ? rows : 1, 0);
        a.in[1] = tensor(right, 2, tb ? WIDTH : 1, tb ? 1 : WIDTH, 0);
        a.out[0] = tensor(y, 2, rows, WIDTH, 0);
    }
    run(be, op, &a);
    for (int64_t k = 1; k < n; k++)
        if (memcmp(&y[k], &y[0], sizeof *y) != 0)
            return NAN;
    return y[0];
}

/* What becomes of x, for f32, tf32 and bf16 */
static const struct {
    float x, rounded[ASTER_N_PRODUCTS];
    const char *what;
} cases[] = {
    {0x1.004p0F, {0x1.004p0F, 0x1.004p0F, 1}, "representable in tf32"},
    {0x1.02p0F, {0x1.02p0F, 0x1.02p0F, 0x1.02p0F}, "representable in bf16"},
    {0x1.002p0F, {0x1.002p0F, 1, 1}, "a tie of tf32, even below"},
    {0x1.006p0F, {0x1.006p0F, 0x1.008p0F, 1}, "a tie of tf32, even above"},
    {0x1.002002p0F, {0x1.002002p0F, 0x1.004p0F, 1}, "over a tie of tf32"},
    {-0x1.01p0F, {-0x1.01p0F, -0x1.01p0F, -1}, "a tie of bf16, even below"},
    {0x1.03p-30F, {0x1.03p-30F, 0x1.03p-30F, 0x1.04p-30F}, "a tie of bf16, even above"},
    {0x1.010002p100F, {0x1.010002p100F, 0x1.01p100F, 0x1.02p100F}, "over a tie of bf16"},
    {0x1.fffp0F, {0x1.fffp0F, 2, 2}, "the next power of 2"},
    {FLT_MAX, {FLT_MAX, INFINITY, INFINITY}, "beyond the largest"},
    {-INFINITY, {-INFINITY, -INFINITY, -INFINITY}, "infinite"},
    {0, {0, 0, 0}, "zero"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void check_rounding(const struct aster_backend *be, enum form form)
{
    int good = 0, n = 0;
    for (int p = 0; p < ASTER_N_PRODUCTS; p++)
        for (int k = 0; k < N_CASES; k++) {
            float x = cases[k].x, want = cases[k].rounded[p],
                  left = product(be, form, (enum aster_products)p, x, 1),
                  right = product(be, form, (enum aster_products)p, 1, x);
            n += 2;
            good += (left == want) + (right == want);
            if (left != want || right != want)
                tap_note("%s of %a (%s): %a and %a, expected %a",
                         aster_precision_name(ASTER_F32, (enum aster_products)p), (double)x,
                         cases[k].what, (double)left, (double)right, (double)want);
        }
    tap_ok(good == n, "%s, %s: %d of %d operands are rounded as they should be", be->name,
           form_names[form], good, n);
}

/* A bit pattern that is no number, also one whose highest bits alone would be infinite */
static void check_nan(const struct aster_backend *be)
{
    static const uint32_t patterns[] = {0x7f800001, 0x7fffffff, 0xffc00000, 0xff801000};
    bool good = true;
    for (int form = 0; form < N_FORMS; form++)
        for (int k = 0; k < 4; k++)
            for (int p = 0; p < ASTER_N_PRODUCTS; p++) {
                float x;
                memcpy(&x, &patterns[k], sizeof x);
                good &= isnan(product(be, (enum form)form, (enum aster_products)p, x, 1)) &&
                        isnan(product(be, (enum form)form, (enum aster_products)p, 1, x));
            }
    tap_ok(good, "%s: what is no number stays none", be->name);
}

/* y = x w + bias with depth 2: neither the sum nor the bias is rounded. */
static void check_sums(const struct aster_backend *be)
{
    float x[2] = {1, 0x1p-20F}, w[2] = {1, 1}, bias[1] = {0x1p-22F}, y = 0;
    bool good = true;
    for (int p = 0; p < ASTER_N_PRODUCTS; p++) {
        struct aster_args a = {.n_in = 3, .n_out = 1, .products = (enum aster_products)p};
        a.in[0] = tensor(x, 2, 1, 2, 0);
        a.in[1] = tensor(w, 2, 2, 1, 0);
        a.in[2] = tensor(bias, 1, 1, 0, 0);
        a.out[0] = tensor(&y, 2, 1, 1, 0);
        run(be, ASTER_OP_linear, &a);
        good &= y == 0x1.000014p0F;
    }
    tap_ok(good, "%s: sums and biases keep the bits of f32", be->name);
}

int main(void)
{
    aster_kernel_thread_init();
    work = aligned_alloc(64, MOST_WORK);
    if (!work)
        return 1;
    for (int k = 0; k < ASTER_N_ISAS; k++) {
        if (!aster_isa_here((enum aster_isa)k)) {
            tap_skip("%s: this CPU does not have it", aster_isa_name((enum aster_isa)k));
            continue;
        }
        const struct aster_backend *be = aster_backend_cpu((enum aster_isa)k);
        for (int form = 0; form < N_FORMS; form++)
            check_rounding(be, (enum form)form);
        check_nan(be);
        check_sums(be);
    }
    free(work);
    return tap_done();
}
