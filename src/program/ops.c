/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of op descriptions, expanded from ops.def. */
#include "program/internal.h"

#define ASTER_OP(name, family) extern const struct op_desc aster_desc_##name;
#include "ops.def"
#undef ASTER_OP

const struct op_desc *const aster_op_descs[ASTER_N_OPS] = {
#define ASTER_OP(name, family) [ASTER_OP_##name] = &aster_desc_##name,
#include "ops.def"
#undef ASTER_OP
};
