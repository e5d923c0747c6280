/* SPDX-License-Identifier: BSD-3-Clause */
/* Small plots as SVG text: curves, bars, a 2x2 matrix, timelines of workers. */
#ifndef ASTER_SVG_H
#define ASTER_SVG_H

#include "base/base.h"

struct aster_box { /* of a plot with its labels */
    double x, y, w, h;
};
struct aster_series {
    const char *name, *color;
    int64_t n;
    const double *x, *y;
};

void aster_svg_begin(struct aster_str *s, double w, double h);
/* Ends a picture: into dir under name, and as a figure behind page; name and page may be NULL. */
ASTER_CHECKED int aster_svg_finish(struct aster_ctx *ctx, struct aster_str *s, const char *dir,
                                   const char *name, struct aster_str *page);
void aster_svg_escape(struct aster_str *s, const char *text); /* for XML and HTML */
void aster_svg_text(struct aster_str *s, double x, double y, const char *anchor, int size,
                    const char *text);
/* Curves over x; values that are not finite leave gaps. mark: where a dashed line stands, NaN:
 * nowhere. */
void aster_svg_curves(struct aster_str *s, struct aster_box box, const char *title,
                      const char *x_label, const char *y_label, int n,
                      const struct aster_series *series, double mark);
/* n_groups x n bars; values[g * n + k] belongs to group g; NaN: no bar. top: upper end of the axis,
 * 0: from the values. */
void aster_svg_bars(struct aster_str *s, struct aster_box box, const char *title,
                    const char *x_label, const char *y_label, int64_t n_groups,
                    const char *const *groups, int n, const char *const *colors,
                    const double *values, double top);
/* counts[row][column], row-major */
void aster_svg_matrix(struct aster_str *s, struct aster_box box, const char *title,
                      const char *x_label, const char *y_label, const char *const labels[2],
                      const int64_t counts[4]);
/* One row per worker: values[i * n_rows + row] in 0..1 holds from times[i - 1] (0 at first) to
 * times[i] seconds, and its mean stands behind. */
void aster_svg_areas(struct aster_str *s, struct aster_box box, const char *title, int64_t n_rows,
                     const char *const *rows, int64_t n, const double *times, const double *values);
double aster_svg_areas_height(int64_t n_rows); /* of a box for so many rows */
/* The same by kinds of work: shares[(row * n_bins + bin) * stride + kind] in 0..1, stacked. */
void aster_svg_blocks(struct aster_str *s, struct aster_box box, const char *title, int64_t n_rows,
                      const char *const *rows, double seconds, int n_kinds,
                      const char *const *kinds, const char *const *colors, int64_t n_bins,
                      const double *shares, int stride);

#endif
