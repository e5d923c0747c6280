/* SPDX-License-Identifier: BSD-3-Clause */
/* Small plots as SVG text: curves, bars, a 2x2 matrix, busy strips. Readable on light and dark
 * backgrounds. */
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
void aster_svg_end(struct aster_str *s);
void aster_svg_escape(struct aster_str *s, const char *text); /* for XML and HTML */
void aster_svg_text(struct aster_str *s, double x, double y, const char *anchor, int size,
                    const char *text);
/* Curves over x; values that are not finite leave gaps. */
void aster_svg_curves(struct aster_str *s, struct aster_box box, const char *title,
                      const char *x_label, const char *y_label, int n,
                      const struct aster_series *series);
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
/* One strip per row: values[row * n + k] in 0..1 over 0 .. seconds. */
void aster_svg_strips(struct aster_str *s, struct aster_box box, const char *title, int64_t n_rows,
                      const char *const *rows, int64_t n, const double *values, double seconds);

#endif
