/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that every op gives the reference's numbers in f32 and f64 on every instruction set of
 * this CPU. Arguments: names of ops or families, and of instruction sets to run; none of a kind
 * runs all of it. */
#include "kt_inner.h"
#include "lib/tap.h"

#include <string.h>

_Static_assert((int)ASTER_N_ISAS <= (int)KT_MOST_TARGETS, "room for every instruction set");

static struct kt_target targets[ASTER_N_ISAS];
static int n_targets;

int kt_n_targets(void)
{
    return n_targets;
}

const struct kt_target *kt_target(int k)
{
    return &targets[k];
}

/* Takes the names of instruction sets out of the arguments; their bits. */
static unsigned take_isas(int *argc, char **argv)
{
    unsigned bits = 0;
    int kept = 1;
    for (int j = 1; j < *argc; j++) {
        unsigned bit = 0;
        for (int k = 0; k < ASTER_N_ISAS; k++)
            if (!strcmp(argv[j], aster_isa_name((enum aster_isa)k)))
                bit = 1U << k;
        bits |= bit;
        if (!bit)
            argv[kept++] = argv[j];
    }
    *argc = kept;
    return bits ? bits : ~0U;
}

int main(int argc, char **argv)
{
    aster_kernel_thread_init();
    unsigned wanted = take_isas(&argc, argv);
    for (int k = 0; k < ASTER_N_ISAS; k++) {
        enum aster_isa isa = (enum aster_isa)k;
        if (aster_isa_here(isa) && (wanted >> k & 1))
            targets[n_targets++] = (struct kt_target){.be = aster_backend_cpu(isa),
                                                      .name = aster_isa_name(isa),
                                                      .ragged = true,
                                                      .n_alone = 3};
    }
    kt_run_ops(argc, argv);
    for (int k = 0; k < ASTER_N_ISAS; k++)
        if (!aster_isa_here((enum aster_isa)k))
            tap_skip("%s: this CPU does not have it", aster_isa_name((enum aster_isa)k));
    return tap_done();
}
