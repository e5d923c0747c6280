/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that optimizer steps and gradient sums follow their formulas, on every instruction set of
 * this CPU, against long double. */
#include "unit/update_check.h"

#include "lib/tap.h"

int main(void)
{
    for (int isa = 0; isa < ASTER_N_ISAS; isa++)
        if (aster_isa_here((enum aster_isa)isa))
            update_check(aster_backend_cpu((enum aster_isa)isa), NULL);
        else
            tap_skip("%s: this CPU does not have it", aster_isa_name((enum aster_isa)isa));
    update_check_sees(aster_backend_cpu(ASTER_ISA_BASE));
    return tap_done();
}
