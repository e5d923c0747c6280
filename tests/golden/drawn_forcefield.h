/* SPDX-License-Identifier: BSD-3-Clause */
/* Force fields with drawn weights. */
#ifndef DRAWN_FORCEFIELD_H
#define DRAWN_FORCEFIELD_H

#include "flow/forcefield_file.h"

ASTER_CHECKED int draw_forcefield(struct aster_ctx *ctx, const struct aster_forcefield_config *c,
                                  uint64_t seed, const char *path);

#endif
