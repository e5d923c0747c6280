/* SPDX-License-Identifier: BSD-3-Clause */
/* report.html of a run directory: everything in one page, made from the files that are there. */
#ifndef ASTER_REPORT_H
#define ASTER_REPORT_H

#include "base/base.h"

ASTER_CHECKED int aster_report_write(struct aster_ctx *ctx, const char *dir,
                                     char **path_out); /* path_out may be NULL */

#endif
