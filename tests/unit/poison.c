/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that the poison table catches kernels that change inputs, leave elements unwritten, write
 * rows they were not asked for, or read workspace they did not fill, and stays silent for those
 * that do not. */
#include "lib/tap.h"
#include "poison.h"

#include <math.h>
#include <string.h>

static void copies(const struct aster_args *a)
{
    memcpy(a->out[0].p, a->in[0].p, 8 * sizeof(float));
}

static void changes_input(const struct aster_args *a)
{
    copies(a);
    ((float *)a->in[0].p)[3] += 1;
}

static void forgets_last(const struct aster_args *a)
{
    memcpy(a->out[0].p, a->in[0].p, 7 * sizeof(float));
}

static void reads_output(const struct aster_args *a)
{
    for (int k = 0; k < 8; k++)
        ((float *)a->out[0].p)[k] += ((float *)a->in[0].p)[k];
}

static void reads_work(const struct aster_args *a)
{
    copies(a);
    ((float *)a->out[0].p)[0] += ((float *)a->work)[0];
}

/* The first row of each of two samples, or all. */
static void first_rows(const struct aster_args *a)
{
    memcpy(a->out[0].p, a->in[0].p, 2 * sizeof(float));
    memcpy((float *)a->out[0].p + 4, (float *)a->in[0].p + 4, 2 * sizeof(float));
}

static float x[8], y[8], work[4];

/* Calls kernel as op under poison; what was caught, or "". */
static const char *run(enum aster_op_kind op, aster_kernel *kernel, const int64_t *rows,
                       bool in_place)
{
    static struct aster_backend inner;
    inner = (struct aster_backend){.name = "test"};
    inner.op[op] = kernel;
    for (int k = 0; k < 8; k++) {
        x[k] = (float)k;
        y[k] = 100;
    }
    struct aster_args a = {
        .n_in = 1, .n_out = 1, .rows = rows, .work = work, .work_bytes = sizeof work};
    a.in[0] = (struct aster_tensor){x, ASTER_F32, 3, {2, 2, 2}};
    a.out[0] = (struct aster_tensor){in_place ? x : y, ASTER_F32, 3, {2, 2, 2}};
    aster_backend_poison(&inner)->op[op](&a);
    const char *caught = aster_poison_error();
    return caught ? caught : "";
}

static void expect(const char *caught, const char *what, const char *name)
{
    tap_ok(strstr(caught, what) != NULL, "%s: '%s'", name, caught);
}

int main(void)
{
    const int64_t one_each[2] = {1, 1};
    tap_ok(!*run(ASTER_OP_unary, copies, NULL, false), "a right kernel passes");
    tap_ok(!memcmp(x, y, sizeof x), "its result is there");
    tap_ok(!*run(ASTER_OP_reshape, copies, NULL, true), "in place, a right kernel passes");
    expect(run(ASTER_OP_unary, changes_input, NULL, false), "unary (test): changed its input 0",
           "a changed input");
    expect(run(ASTER_OP_unary, forgets_last, NULL, false), "unwritten, output 0",
           "a forgotten element");
    run(ASTER_OP_unary, reads_output, NULL, false);
    tap_ok(isnan(y[5]), "an output is not a number before it is written");
    run(ASTER_OP_conv1d, reads_work, NULL, false);
    tap_ok(isnan(y[0]), "workspace is not a number before it is written");
    tap_ok(!*run(ASTER_OP_conv1d, first_rows, one_each, false) && y[2] == 100 && y[6] == 100 &&
               y[5] == 5,
           "rows that are not asked for stay");
    expect(run(ASTER_OP_conv1d, copies, one_each, false), "rows it was not asked for",
           "rows not asked for");
    expect(run(ASTER_OP_conv1d, first_rows, NULL, false), "unwritten", "rows that are missing");
    tap_ok(!*run(ASTER_OP_unary, copies, NULL, false), "the next table starts without an error");
    return tap_done();
}
