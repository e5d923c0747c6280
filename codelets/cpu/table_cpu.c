/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel table of one instruction set. */
#include "cpu/kernel.h"
#include "cpu/update.h"

#define ASTER_STR_(x) #x
#define ASTER_STR(x)  ASTER_STR_(x)

extern const struct aster_backend ASTER_CAT(aster_backend_cpu_, ASTER_ISA);
const struct aster_backend ASTER_CAT(aster_backend_cpu_, ASTER_ISA) = {
    .name = "cpu-" ASTER_STR(ASTER_ISA),
    .op =
        {
#define ASTER_OP(name, family) [ASTER_OP_##name] = ASTER_K(name),
#include "ops.def"
#undef ASTER_OP
        },
    .update = {ASTER_K(adam), ASTER_K(adamw), ASTER_K(sgd), ASTER_K(add_into), ASTER_K(fill),
               ASTER_K(sum_squares), ASTER_K(ema)},
    .zero = aster_zero_cpu,
    .copy = aster_copy_cpu,
    .version = 1,
};
