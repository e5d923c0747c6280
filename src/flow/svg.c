/* SPDX-License-Identifier: BSD-3-Clause */
/* Plots as SVG text: dark on white, whatever the reader's settings. */
#include "flow/svg.h"

#include <math.h>
#include <string.h>

#define LEFT   62.0
#define RIGHT  14.0
#define TOP    30.0
#define BOTTOM 44.0

void aster_svg_begin(struct aster_str *s, double w, double h)
{
    aster_str_printf(s,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
                     "height=\"%g\" role=\"img\"%s>\n",
                     w, h, w, h, w > 700 ? " class=\"broad\"" : "");
    aster_str_add(s, "<style>.bg{fill:#fff}.tx{fill:#222;font-family:sans-serif}.ax{stroke:#444;"
                     "fill:none}.gr{stroke:#ddd;fill:none}.mk{stroke:#777;stroke-dasharray:4 3;"
                     "fill:none}.cell{fill:#1a80bb}</style>\n");
    aster_str_printf(s, "<rect class=\"bg\" width=\"%g\" height=\"%g\"/>\n", w, h);
}

int aster_svg_finish(struct aster_ctx *ctx, struct aster_str *s, const char *dir, const char *name,
                     struct aster_str *page)
{
    char *path = NULL;
    aster_str_add(s, "</svg>\n");
    ASTER_TRY(aster_str_ok(ctx, s));
    if (page)
        aster_str_printf(page, "<figure>%s</figure>\n", s->s);
    if (!name)
        return 0;
    ASTER_TRY(aster_path_join(ctx, dir, name, &path));
    int rc = aster_file_write(ctx, path, s->s, (int64_t)s->len);
    aster_free(&path);
    return rc;
}

void aster_svg_escape(struct aster_str *s, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            aster_str_add(s, "&amp;");
            break;
        case '<':
            aster_str_add(s, "&lt;");
            break;
        case '>':
            aster_str_add(s, "&gt;");
            break;
        case '"':
            aster_str_add(s, "&quot;");
            break;
        default:
            aster_str_addn(s, text, 1);
        }
}

void aster_svg_text(struct aster_str *s, double x, double y, const char *anchor, int size,
                    const char *text)
{
    aster_str_printf(
        s, "<text class=\"tx\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">", x, y,
        anchor, size);
    aster_svg_escape(s, text);
    aster_str_add(s, "</text>\n");
}

/* A step of 1, 2 or 5 times a power of ten that cuts range into at most n parts. */
static double nice_step(double range, int n)
{
    double raw = range / n, p = pow(10, floor(log10(raw))), f = raw / p;
    return p * (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10);
}

struct axes {
    struct aster_box in;
    double x0, x1, y0, y1;
};

static double px(const struct axes *a, double x)
{
    return a->in.x + (x - a->x0) / (a->x1 - a->x0) * a->in.w;
}

static double py(const struct axes *a, double y)
{
    return a->in.y + a->in.h - (y - a->y0) / (a->y1 - a->y0) * a->in.h;
}

static struct aster_box inside(struct aster_box b)
{
    return (struct aster_box){b.x + LEFT, b.y + TOP, b.w - LEFT - RIGHT, b.h - TOP - BOTTOM};
}

static void tick_text(char out[32], double v)
{
    snprintf(out, 32, "%.4g", fabs(v) < 1e-12 ? 0 : v);
}

static void y_ticks(struct aster_str *s, const struct axes *a)
{
    char text[32];
    double step = nice_step(a->y1 - a->y0, 6);
    for (double v = ceil(a->y0 / step - 1e-9) * step; v <= a->y1 + 1e-9 * step; v += step) {
        aster_str_printf(s,
                         "<line class=\"gr\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                         a->in.x, a->in.x + a->in.w, py(a, v), py(a, v));
        tick_text(text, v);
        aster_svg_text(s, a->in.x - 6, py(a, v) + 4, "end", 11, text);
    }
}

static void x_ticks(struct aster_str *s, const struct axes *a, bool whole)
{
    char text[32];
    double step = nice_step(a->x1 - a->x0, 8);
    if (whole && step < 1)
        step = 1;
    for (double v = ceil(a->x0 / step - 1e-9) * step; v <= a->x1 + 1e-9 * step; v += step) {
        tick_text(text, v);
        aster_svg_text(s, px(a, v), a->in.y + a->in.h + 16, "middle", 11, text);
    }
}

static void frame(struct aster_str *s, struct aster_box box, const struct aster_box *in,
                  const char *title, const char *x_label, const char *y_label)
{
    aster_str_printf(s,
                     "<rect class=\"ax\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                     in->x, in->y, in->w, in->h);
    aster_svg_text(s, in->x, in->y - 10, "start", 14, title);
    aster_svg_text(s, in->x + in->w / 2, box.y + box.h - 8, "middle", 12, x_label);
    aster_str_printf(s, "<g transform=\"translate(%.1f %.1f) rotate(-90)\">", box.x + 14,
                     in->y + in->h / 2);
    aster_svg_text(s, 0, 0, "middle", 12, y_label);
    aster_str_add(s, "</g>\n");
}

/* Entries beside each other above the frame, ending at its right edge: no curve is covered. */
static void legend(struct aster_str *s, const struct aster_box *in, int n, const char *const *names,
                   const char *const *colors)
{
    double x = in->x + in->w;
    for (int k = n - 1; n > 1 && k >= 0; k--) {
        x -= 6.2 * (double)strlen(names[k]) + 8;
        aster_svg_text(s, x, in->y - 6, "start", 11, names[k]);
        x -= 16;
        aster_str_printf(s,
                         "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"10\" fill=\"%s\"/>\n",
                         x, in->y - 15, colors[k]);
    }
}

static void ranges(struct axes *a, int n, const struct aster_series *series)
{
    a->x0 = a->y0 = INFINITY;
    a->x1 = a->y1 = -INFINITY;
    for (int k = 0; k < n; k++)
        for (int64_t i = 0; i < series[k].n; i++) {
            if (!isfinite(series[k].x[i]) || !isfinite(series[k].y[i]))
                continue;
            a->x0 = fmin(a->x0, series[k].x[i]);
            a->x1 = fmax(a->x1, series[k].x[i]);
            a->y0 = fmin(a->y0, series[k].y[i]);
            a->y1 = fmax(a->y1, series[k].y[i]);
        }
    if (!(a->x0 <= a->x1))
        a->x0 = a->y0 = 0, a->x1 = a->y1 = 1;
    if (!(a->x1 > a->x0))
        a->x0 -= 0.5, a->x1 += 0.5;
    double pad = a->y1 > a->y0 ? 0.05 * (a->y1 - a->y0) : fmax(0.05 * fabs(a->y0), 1e-6);
    a->y0 -= pad;
    a->y1 += pad;
}

static void curve(struct aster_str *s, const struct axes *a, const struct aster_series *c)
{
    bool open = false;
    for (int64_t i = 0; i < c->n; i++) {
        bool good = isfinite(c->x[i]) && isfinite(c->y[i]);
        if (good && !open)
            aster_str_printf(s,
                             "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" points=\"",
                             c->color);
        if (good)
            aster_str_printf(s, "%.1f,%.1f ", px(a, c->x[i]), py(a, c->y[i]));
        if (open && !good)
            aster_str_add(s, "\"/>\n");
        open = good;
    }
    if (open)
        aster_str_add(s, "\"/>\n");
    for (int64_t i = 0; c->n <= 60 && i < c->n; i++)
        if (isfinite(c->x[i]) && isfinite(c->y[i]))
            aster_str_printf(s, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\" fill=\"%s\"/>\n",
                             px(a, c->x[i]), py(a, c->y[i]), c->color);
}

void aster_svg_curves(struct aster_str *s, struct aster_box box, const char *title,
                      const char *x_label, const char *y_label, int n,
                      const struct aster_series *series, double mark)
{
    const char *names[8], *colors[8];
    struct axes a = {.in = inside(box)};
    ranges(&a, n, series);
    y_ticks(s, &a);
    x_ticks(s, &a, true);
    if (mark >= a.x0 && mark <= a.x1)
        aster_str_printf(s,
                         "<line class=\"mk\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                         px(&a, mark), px(&a, mark), a.in.y, a.in.y + a.in.h);
    for (int k = 0; k < n; k++)
        curve(s, &a, &series[k]);
    frame(s, box, &a.in, title, x_label, y_label);
    for (int k = 0; k < n && k < 8; k++) {
        names[k] = series[k].name;
        colors[k] = series[k].color;
    }
    legend(s, &a.in, n < 8 ? n : 8, names, colors);
}

void aster_svg_bars(struct aster_str *s, struct aster_box box, const char *title,
                    const char *x_label, const char *y_label, int64_t n_groups,
                    const char *const *groups, int n, const char *const *colors,
                    const double *values, double top)
{
    struct axes a = {.in = inside(box), .x0 = 0, .x1 = (double)aster_max64(n_groups, 1)};
    double highest = 0, width = 0.8 / (n > 0 ? n : 1);
    for (int64_t i = 0; i < n_groups * n; i++)
        if (isfinite(values[i]))
            highest = fmax(highest, values[i]);
    a.y1 = top > 0 ? top : highest > 0 ? 1.08 * highest : 1;
    y_ticks(s, &a);
    int64_t each = n_groups > 24 ? (n_groups + 23) / 24 : 1; /* labels that fit */
    for (int64_t g = 0; g < n_groups; g++) {
        for (int k = 0; k < n; k++) {
            double v = values[g * n + k], x = px(&a, (double)g + 0.1 + width * k);
            if (isfinite(v))
                aster_str_printf(s,
                                 "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                                 "fill=\"%s\"><title>%.6g</title></rect>\n",
                                 x, py(&a, fmin(v, a.y1)), fmax(width * a.in.w / a.x1 - 1, 0.5),
                                 fmax(a.in.y + a.in.h - py(&a, fmin(v, a.y1)), 0), colors[k], v);
        }
        if (g % each == 0)
            aster_svg_text(s, px(&a, (double)g + 0.5), a.in.y + a.in.h + 16, "middle", 11,
                           groups[g]);
    }
    frame(s, box, &a.in, title, x_label, y_label);
}

void aster_svg_matrix(struct aster_str *s, struct aster_box box, const char *title,
                      const char *x_label, const char *y_label, const char *const labels[2],
                      const int64_t counts[4])
{
    struct aster_box in = inside(box);
    char text[32];
    for (int r = 0; r < 2; r++) {
        double row = (double)(counts[2 * r] + counts[2 * r + 1]);
        for (int c = 0; c < 2; c++) {
            double share = row > 0 ? (double)counts[2 * r + c] / row : 0, x = in.x + c * in.w / 2,
                   y = in.y + r * in.h / 2;
            aster_str_printf(s,
                             "<rect class=\"cell\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                             "height=\"%.1f\" opacity=\"%.3f\"/>\n",
                             x, y, in.w / 2, in.h / 2, 0.08 + 0.6 * share);
            snprintf(text, sizeof text, "%lld", (long long)counts[2 * r + c]);
            aster_svg_text(s, x + in.w / 4, y + in.h / 4, "middle", 18, text);
            snprintf(text, sizeof text, "%.2f %%", 100 * share);
            aster_svg_text(s, x + in.w / 4, y + in.h / 4 + 20, "middle", 12, text);
        }
        aster_svg_text(s, in.x - 6, in.y + (r + 0.5) * in.h / 2, "end", 11, labels[r]);
        aster_svg_text(s, in.x + (r + 0.5) * in.w / 2, in.y + in.h + 16, "middle", 11, labels[r]);
    }
    frame(s, box, &in, title, x_label, y_label);
}

/* One row of a timeline: steps whose height is the share. */
static void area(struct aster_str *s, const struct axes *a, struct aster_box row, int64_t n,
                 const double *times, const double *values, int64_t stride)
{
    double x = row.x, base = row.y + row.h;
    aster_str_printf(s, "<path class=\"cell\" d=\"M%.1f %.1f", x, base);
    for (int64_t i = 0; i < n; i++)
        aster_str_printf(s, "V%.1fH%.1f", base - row.h * values[i * stride], px(a, times[i]));
    aster_str_printf(s, "V%.1fZ\"/>\n", base);
}

double aster_svg_areas_height(int64_t n_rows)
{
    return TOP + BOTTOM +
           fmin(fmax(480.0 / (double)aster_max64(n_rows, 1), 8), 40) *
               (double)aster_max64(n_rows, 1);
}

void aster_svg_areas(struct aster_str *s, struct aster_box box, const char *title, int64_t n_rows,
                     const char *const *rows, int64_t n, const double *times, const double *values)
{
    struct axes a = {.in = inside(box), .x0 = 0, .x1 = n && times[n - 1] > 0 ? times[n - 1] : 1};
    a.in.w -= 40; /* the mean, behind each row */
    double h = a.in.h / (double)aster_max64(n_rows, 1);
    int64_t each = h < 12 ? (int64_t)ceil(12 / h) : 1; /* labels that fit */
    char text[32];
    for (int64_t r = 0; r < n_rows; r++) {
        struct aster_box row = {a.in.x, a.in.y + h * (double)r + 1, a.in.w, fmax(h - 2, 1)};
        double sum = 0, before = 0;
        for (int64_t i = 0; i < n; i++) {
            sum += values[i * n_rows + r] * (times[i] - before);
            before = times[i];
        }
        area(s, &a, row, n, times, values + r, n_rows);
        aster_str_printf(
            s, "<line class=\"gr\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", a.in.x,
            a.in.x + a.in.w, a.in.y + h * (double)(r + 1), a.in.y + h * (double)(r + 1));
        if (r % each)
            continue;
        aster_svg_text(s, a.in.x - 6, row.y + row.h / 2 + 4, "end", 11, rows[r]);
        snprintf(text, sizeof text, "%.0f %%", 100 * sum / a.x1);
        aster_svg_text(s, a.in.x + a.in.w + 6, row.y + row.h / 2 + 4, "start", 11, text);
    }
    x_ticks(s, &a, false);
    frame(s, box, &a.in, title, "seconds", "");
}

void aster_svg_blocks(struct aster_str *s, struct aster_box box, const char *title, int64_t n_rows,
                      const char *const *rows, double seconds, int n_kinds,
                      const char *const *kinds, const char *const *colors, int64_t n_bins,
                      const double *shares, int stride)
{
    struct axes a = {.in = inside(box), .x0 = 0, .x1 = seconds > 0 ? seconds : 1};
    double h = a.in.h / (double)aster_max64(n_rows, 1), w = a.in.w / (double)n_bins;
    int64_t each = h < 12 ? (int64_t)ceil(12 / h) : 1;
    for (int64_t r = 0; r < n_rows; r++) {
        double base = a.in.y + h * (double)(r + 1) - 1;
        for (int64_t b = 0; b < n_bins; b++) {
            double y = base;
            for (int k = 0; k < n_kinds; k++) {
                double share = shares[(r * n_bins + b) * stride + k], height = share * (h - 2);
                if (height < 0.05)
                    continue;
                y -= height;
                aster_str_printf(s,
                                 "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" "
                                 "fill=\"%s\"/>\n",
                                 a.in.x + w * (double)b, y, w + 0.05, height, colors[k]);
            }
        }
        if (r % each == 0)
            aster_svg_text(s, a.in.x - 6, base - h / 2 + 4, "end", 11, rows[r]);
    }
    x_ticks(s, &a, false);
    frame(s, box, &a.in, title, "seconds", "");
    legend(s, &a.in, n_kinds, kinds, colors);
}
