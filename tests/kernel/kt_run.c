/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the table: every op, both real types, all targets. */
#include "kt_inner.h"
#include "lib/tap.h"

#include <string.h>

static void (*const ops[ASTER_N_OPS])(struct kt *) = {
#define ASTER_OP(name, family) kt_op_##name,
#include "ops.def"
#undef ASTER_OP
};

void kt_run_op(enum aster_op_kind op, enum aster_dtype real, enum aster_products products)
{
    const char *name = aster_op_name(op), *dtype = aster_precision_name(real, products);
    struct kt t = {.op = op,
                   .real = real,
                   .products = products,
                   .tolerance = kt_tolerance_of(op, real, products),
                   .random = aster_fnv1a64(name, strlen(name))};
    if (!t.tolerance) {
        tap_ok(false, "%s %s: tests/tolerance.def has no line for it", name, dtype);
        return;
    }
    ops[op](&t);
    for (int k = 0; k < kt_n_targets(); k++) {
        const struct kt_result *r = &t.result[k];
        tap_ok(r->cases > 0 && r->failures == 0, "%s %s %s: %d cases, worst %.2g of %.2g", name,
               dtype, kt_target(k)->name, r->cases, r->worst, t.tolerance->limit);
        if (r->failures > 0)
            tap_note("%d failures, the first: %s", r->failures, r->first);
    }
    tap_ok(t.perturbed > 0 && t.missed == 0, "%s %s: %d spoilt results are seen", name, dtype,
           t.perturbed);
    if (products != ASTER_PRODUCTS_FULL)
        tap_ok(t.n_whole > 0, "%s %s: %d results of whole operands are seen", name, dtype,
               t.n_whole);
}

/* Those that may round their operands */
static bool has_products(enum aster_op_kind op)
{
    const char *family = aster_op_family(op);
    return op != ASTER_OP_linear_bf16 &&
           (!strcmp(family, "gemm") || !strcmp(family, "conv") || !strcmp(family, "lstm"));
}

void kt_run_ops(int argc, char **argv)
{
    for (int k = 0; k < ASTER_N_OPS; k++) {
        bool wanted = argc == 1;
        for (int j = 1; j < argc; j++)
            wanted |= !strcmp(argv[j], aster_op_name((enum aster_op_kind)k)) ||
                      !strcmp(argv[j], aster_op_family((enum aster_op_kind)k));
        if (wanted) {
            kt_run_op((enum aster_op_kind)k, ASTER_F32, ASTER_PRODUCTS_FULL);
            kt_run_op((enum aster_op_kind)k, ASTER_F64, ASTER_PRODUCTS_FULL);
            for (int p = 1; has_products((enum aster_op_kind)k) && p < ASTER_N_PRODUCTS; p++)
                kt_run_op((enum aster_op_kind)k, ASTER_F32, (enum aster_products)p);
        }
    }
}
