/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that describe machines, for simulations. */
#ifndef ASTER_MACHINE_FILE_H
#define ASTER_MACHINE_FILE_H

#include "base/base.h"
#include "runtime/sim.h"

/* All mistakes go into *mistakes, "file:line:column: message" a line each; with one it fails. */
ASTER_CHECKED int aster_machine_file_read(struct aster_ctx *ctx, const char *path,
                                          struct aster_sim_machine *out,
                                          struct aster_str *mistakes);

#endif
