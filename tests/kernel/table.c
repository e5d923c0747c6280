/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that every op gives the reference's numbers in f32 and f64 on every instruction set of
 * this CPU. Arguments: names of ops or families to run; none runs all. */
#include "kt_inner.h"
#include "lib/tap.h"

#include <string.h>

static void (*const ops[ASTER_N_OPS])(struct kt *) = {
#define ASTER_OP(name, family) kt_op_##name,
#include "ops.def"
#undef ASTER_OP
};

static void run_op(enum aster_op_kind op, enum aster_dtype real)
{
    struct kt t = {.op = op,
                   .real = real,
                   .tolerance = kt_tolerance_of(op, real),
                   .random = 1000 + (uint64_t)op};
    const char *name = aster_op_name(op), *dtype = aster_dtype_name(real);
    if (!t.tolerance) {
        tap_ok(false, "%s %s: tests/tolerance.def has no line for it", name, dtype);
        return;
    }
    ops[op](&t);
    for (int k = 0; k < ASTER_N_ISAS; k++) {
        const struct kt_result *r = &t.isa[k];
        if (!aster_isa_here((enum aster_isa)k))
            continue;
        tap_ok(r->cases > 0 && r->failures == 0, "%s %s %s: %d cases, worst %.2g of %.2g", name,
               dtype, aster_isa_name((enum aster_isa)k), r->cases, r->worst, t.tolerance->limit);
        if (r->failures > 0)
            tap_note("%d failures, the first: %s", r->failures, r->first);
    }
    tap_ok(t.perturbed > 0 && t.missed == 0, "%s %s: %d spoilt results are seen", name, dtype,
           t.perturbed);
}

int main(int argc, char **argv)
{
    aster_kernel_thread_init();
    for (int k = 0; k < ASTER_N_OPS; k++) {
        bool wanted = argc == 1;
        for (int j = 1; j < argc; j++)
            wanted |= !strcmp(argv[j], aster_op_name((enum aster_op_kind)k)) ||
                      !strcmp(argv[j], aster_op_family((enum aster_op_kind)k));
        if (wanted) {
            run_op((enum aster_op_kind)k, ASTER_F32);
            run_op((enum aster_op_kind)k, ASTER_F64);
        }
    }
    for (int k = 0; k < ASTER_N_ISAS; k++)
        if (!aster_isa_here((enum aster_isa)k))
            tap_skip("%s: this CPU does not have it", aster_isa_name((enum aster_isa)k));
    return tap_done();
}
