/* SPDX-License-Identifier: BSD-3-Clause */
/* A text file of a run directory that is written in parts beside its place, and put there whole. */
#ifndef ASTER_TEXTFILE_H
#define ASTER_TEXTFILE_H

#include "flow/internal.h"

struct aster_textfile {
    struct aster_ctx *ctx;
    char *path;
    FILE *file;
    struct aster_str buffer; /* what flush writes */
};
ASTER_CHECKED int aster_textfile_open(const struct aster_run *run, const char *name,
                                      struct aster_textfile *t);
/* Both do nothing for a file that is not open. */
ASTER_CHECKED int aster_textfile_flush(struct aster_textfile *t);
ASTER_CHECKED int aster_textfile_commit(struct aster_textfile *t);
void aster_textfile_free(struct aster_textfile *t); /* without commit it is not there */

#endif
