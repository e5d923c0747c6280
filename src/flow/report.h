/* SPDX-License-Identifier: BSD-3-Clause */
/* report.html of a run directory, made from the files that are in it. */
#ifndef ASTER_REPORT_H
#define ASTER_REPORT_H

#include "base/base.h"

ASTER_CHECKED int aster_report_write(struct aster_ctx *ctx, const char *dir,
                                     char **path); /* path may be NULL */

/* ---- for the parts of the page ---- */
struct aster_page {
    struct aster_ctx *ctx;
    const char *dir;
    struct aster_str s;
};
void aster_page_heading(struct aster_page *p, const char *text);
/* <tag>text</tag>; numbers are shortened to what a reader needs and stand at the right. */
void aster_page_cell(struct aster_page *p, const char *tag, const char *text);
void aster_page_row(struct aster_page *p, const char *key, const char *value);
/* A figure among the key figures at the top. */
void aster_page_card(struct aster_page *p, const char *value, const char *label);
ASTER_CHECKED int aster_page_path(struct aster_page *p, const char *name, char **out, bool *there);

/* Tables of files, nothing where the file is not there. */
ASTER_CHECKED int aster_page_json(struct aster_page *p, const char *name, const char *title);
ASTER_CHECKED int aster_page_csv(struct aster_page *p, const char *name, const char *title);
ASTER_CHECKED int aster_page_tsv(struct aster_page *p, const char *name, const char *title);
ASTER_CHECKED int aster_page_tasks(struct aster_page *p); /* trace.tsv, summed by codelet */
ASTER_CHECKED int aster_page_loops(struct aster_page *p); /* results.h5 of a prediction */

#endif
