/* SPDX-License-Identifier: BSD-3-Clause */
/* The stages of a pipeline as a picture: DOT for Graphviz, and a layered drawing in SVG that needs
 * no other program. */
#include "pipeline/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINES = 20000, SWEEPS = 8 };
static const double margin = 24, gap_x = 96, gap_y = 22, port = 17, box_h = 46, bend_h = 12,
                    letter = 7.6, title_h = 44;

struct vertex { /* a stage, or a bend of an edge that passes a layer */
    int stage;  /* -1: a bend */
    int layer, place, n_in, n_near;
    double x, y, w, h; /* upper left corner */
    double wish;       /* the mean place of its n_near neighbours on one side */
    double layer_h;
};
struct edge {
    int from, to; /* vertices that are stages */
    const char *label;
    int first_bend, n_bends;
    double y_end;
};
struct drawing {
    const struct aster_pipeline *p;
    struct aster_ctx *ctx;
    int n_vertices, n_edges, n_layers;
    struct vertex *vertices;
    struct edge *edges;
    int *by_layer,
        *layer_begin; /* vertices of layer k: by_layer[layer_begin[k] .. layer_begin[k + 1]) */
};

typedef int visit_link(void *arg, int from, int to, const char *label);

static int each_link(const struct aster_pipeline *p, visit_link *visit, void *arg)
{
    for (int s = 0; s < p->n_stages; s++)
        for (int i = 0; p->stages[s].kind && p->stages[s].kind->opts[i].key; i++)
            for (int k = 0; k < p->stages[s].options[i].n_links; k++)
                ASTER_TRY(visit(arg, p->stages[s].options[i].links[k].stage, s,
                                p->stages[s].kind->opts[i].key));
    return 0;
}

static int need_no_errors(const struct aster_pipeline *p)
{
    int64_t n = aster_pipeline_n_errors(p);
    return n == 0 ? 0
                  : aster_fail(p->ctx, ASTER_EPARAM, "%s has %lld mistakes; it cannot be drawn",
                               p->file, (long long)n);
}

/* ---- DOT ---- */

static void dot_text(struct aster_str *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            aster_str_add(out, "\\");
        aster_str_addn(out, *s == '\n' ? " " : s, 1);
    }
}

struct dot {
    const struct aster_pipeline *p;
    struct aster_str *out;
};

static int dot_link(void *arg, int from, int to, const char *label)
{
    const struct dot *d = arg;
    aster_str_printf(d->out, "  \"%s\" -> \"%s\" [label=\"%s\"];\n", d->p->stages[from].id,
                     d->p->stages[to].id, label);
    return 0;
}

int aster_pipeline_dot(const struct aster_pipeline *p, struct aster_str *out)
{
    struct dot d = {p, out};
    ASTER_TRY(need_no_errors(p));
    aster_str_printf(out, "digraph \"%s\" {\n  rankdir=LR;\n  label=\"", p->name);
    dot_text(out, p->description);
    aster_str_add(out, "\";\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    aster_str_add(out, "  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (int i = 0; i < p->n_stages; i++)
        aster_str_printf(out, "  \"%s\" [label=\"%s\\n%s\"];\n", p->stages[i].id, p->stages[i].id,
                         p->stages[i].kind->name);
    ASTER_TRY(each_link(p, dot_link, &d));
    aster_str_add(out, "}\n");
    return aster_str_ok(p->ctx, out);
}

/* ---- layers: a stage stands right of all that it reads ---- */

static int count_link(void *arg, int from, int to, const char *label)
{
    struct drawing *d = arg;
    d->n_edges++;
    return 0;
}

static int take_link(void *arg, int from, int to, const char *label)
{
    struct drawing *d = arg;
    d->edges[d->n_edges++] = (struct edge){.from = from, .to = to, .label = label};
    d->vertices[to].n_in++;
    return 0;
}

static void put_layers(struct drawing *d)
{
    const struct aster_pipeline *p = d->p;
    for (int o = 0; o < p->n_stages; o++) {
        int s = p->order[o];
        for (int i = 0; p->stages[s].kind->opts[i].key; i++)
            for (int k = 0; k < p->stages[s].options[i].n_links; k++) {
                int from = p->stages[s].options[i].links[k].stage;
                if (d->vertices[from].layer >= d->vertices[s].layer)
                    d->vertices[s].layer = d->vertices[from].layer + 1;
            }
        if (d->vertices[s].layer >= d->n_layers)
            d->n_layers = d->vertices[s].layer + 1;
    }
}

static int put_bends(struct drawing *d)
{
    int64_t n_bends = 0, cap = d->n_vertices;
    for (int i = 0; i < d->n_edges; i++)
        n_bends += d->vertices[d->edges[i].to].layer - d->vertices[d->edges[i].from].layer - 1;
    if (n_bends + d->n_edges > MOST_LINES)
        return aster_fail(d->ctx, ASTER_ELIMIT, "%s: too many links between stages to draw",
                          d->p->file);
    ASTER_TRY(aster_grow(d->ctx, d->n_vertices + n_bends, sizeof *d->vertices, &cap, &d->vertices));
    for (int i = 0; i < d->n_edges; i++) {
        struct edge *e = &d->edges[i];
        e->first_bend = d->n_vertices;
        for (int layer = d->vertices[e->from].layer + 1; layer < d->vertices[e->to].layer;
             layer++, e->n_bends++)
            d->vertices[d->n_vertices++] =
                (struct vertex){.stage = -1, .layer = layer, .h = bend_h};
    }
    return 0;
}

static int sort_into_layers(struct drawing *d)
{
    int at = 0;
    ASTER_TRY(aster_alloc(d->ctx, d->n_vertices, sizeof *d->by_layer, &d->by_layer));
    ASTER_TRY(aster_alloc(d->ctx, d->n_layers + 1, sizeof *d->layer_begin, &d->layer_begin));
    for (int v = 0; v < d->n_vertices; v++)
        d->layer_begin[d->vertices[v].layer + 1]++;
    for (int k = 0; k < d->n_layers; k++)
        d->layer_begin[k + 1] += d->layer_begin[k];
    for (int k = 0; k < d->n_layers; k++)
        for (int v = 0, place = 0; v < d->n_vertices; v++)
            if (d->vertices[v].layer == k) {
                d->vertices[v].place = place++;
                d->by_layer[at++] = v;
            }
    return 0;
}

/* ---- order within the layers: everyone near the mean of its neighbours ---- */

/* The vertices of an edge from left to right: 0 is its start. */
static int edge_vertex(const struct edge *e, int k)
{
    return k == 0 ? e->from : k <= e->n_bends ? e->first_bend + k - 1 : e->to;
}

static void wish(struct drawing *d, bool from_left)
{
    for (int v = 0; v < d->n_vertices; v++)
        d->vertices[v].wish = d->vertices[v].n_near = 0;
    for (int i = 0; i < d->n_edges; i++)
        for (int k = 0; k <= d->edges[i].n_bends; k++) {
            struct vertex *a = &d->vertices[edge_vertex(&d->edges[i], k)],
                          *b = &d->vertices[edge_vertex(&d->edges[i], k + 1)];
            struct vertex *mover = from_left ? b : a;
            mover->wish += (from_left ? a : b)->place;
            mover->n_near++;
        }
    for (int v = 0; v < d->n_vertices; v++) {
        struct vertex *b = &d->vertices[v];
        b->wish = b->n_near ? b->wish / b->n_near : b->place;
    }
}

/* Insertion sort: stable, and layers are short. */
static void sort_layer(struct drawing *d, int layer)
{
    int *at = d->by_layer + d->layer_begin[layer],
        n = d->layer_begin[layer + 1] - d->layer_begin[layer];
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && d->vertices[at[k - 1]].wish > d->vertices[at[k]].wish; k--) {
            int swap = at[k];
            at[k] = at[k - 1];
            at[k - 1] = swap;
        }
    for (int i = 0; i < n; i++)
        d->vertices[at[i]].place = i;
}

static void order_layers(struct drawing *d)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int k = 0; k < d->n_layers; k++) {
            wish(d, sweep % 2 == 0);
            sort_layer(d, sweep % 2 == 0 ? k : d->n_layers - 1 - k);
        }
}

/* ---- places ---- */

static void size_boxes(struct drawing *d)
{
    for (int v = 0; v < d->n_vertices; v++) {
        struct vertex *b = &d->vertices[v];
        b->w = 0;
        if (b->stage < 0)
            continue;
        const struct aster_declared_stage *s = &d->p->stages[b->stage];
        b->w = 28 + letter * fmax((double)strlen(s->id), (double)strlen(s->kind->name));
        b->h = fmax(box_h, 14 + port * b->n_in);
    }
}

/* Layers from left to right, each centred; returns the size of the whole. */
static void place_boxes(struct drawing *d, double *width, double *height)
{
    double x = margin;
    *height = 0;
    for (int k = 0; k < d->n_layers; k++) {
        double y = 0, w = 0;
        for (int i = d->layer_begin[k]; i < d->layer_begin[k + 1]; i++) {
            struct vertex *b = &d->vertices[d->by_layer[i]];
            b->x = x;
            b->y = y;
            y += b->h + gap_y;
            w = fmax(w, b->w);
        }
        for (int i = d->layer_begin[k]; i < d->layer_begin[k + 1]; i++) {
            struct vertex *b = &d->vertices[d->by_layer[i]];
            b->layer_h = y - gap_y;
            b->w = w;
        }
        *height = fmax(*height, y - gap_y);
        x += w + gap_x;
    }
    *width = x - gap_x + margin;
    for (int v = 0; v < d->n_vertices; v++)
        d->vertices[v].y += title_h + (*height - d->vertices[v].layer_h) / 2;
    *height += title_h + margin;
}

static double middle(const struct vertex *b)
{
    return b->y + b->h / 2;
}

/* Edges end at the left side of a box in the order in which they come, so that their labels stand
 * one below the other. */
static void place_ports(struct drawing *d)
{
    for (int i = 0; i < d->n_edges; i++) {
        struct edge *e = &d->edges[i];
        const struct vertex *to = &d->vertices[e->to];
        double from_y = middle(&d->vertices[edge_vertex(e, e->n_bends)]);
        int before = 0;
        for (int k = 0; k < d->n_edges; k++) {
            double other = middle(&d->vertices[edge_vertex(&d->edges[k], d->edges[k].n_bends)]);
            before +=
                d->edges[k].to == e->to && k != i && (other < from_y || (other == from_y && k < i));
        }
        e->y_end = middle(to) + port * (before - (to->n_in - 1) / 2.0);
    }
}

/* ---- SVG ---- */

static void xml_text(struct aster_str *out, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&':
            aster_str_add(out, "&amp;");
            break;
        case '<':
            aster_str_add(out, "&lt;");
            break;
        case '>':
            aster_str_add(out, "&gt;");
            break;
        case '"':
            aster_str_add(out, "&quot;");
            break;
        default:
            if ((unsigned char)*s >= 0x20)
                aster_str_addn(out, s, 1);
            else
                aster_str_add(out, " ");
        }
}

static void curve(struct aster_str *out, double x0, double y0, double x1, double y1)
{
    double bow = (x1 - x0) / 2;
    aster_str_printf(out, " C%.1f %.1f %.1f %.1f %.1f %.1f", x0 + bow, y0, x1 - bow, y1, x1, y1);
}

static void draw_edge(const struct drawing *d, const struct edge *e, struct aster_str *out)
{
    const struct vertex *from = &d->vertices[e->from], *to = &d->vertices[e->to];
    double x = from->x + from->w, y = middle(from), x_end = to->x - 3;
    aster_str_printf(out, "<path class=\"e\" d=\"M%.1f %.1f", x, y);
    for (int k = 1; k <= e->n_bends; k++) {
        const struct vertex *b = &d->vertices[edge_vertex(e, k)];
        curve(out, x, y, b->x, middle(b));
        aster_str_printf(out, " H%.1f", b->x + b->w);
        x = b->x + b->w;
        y = middle(b);
    }
    curve(out, x, y, x_end, e->y_end);
    aster_str_printf(out, "\" marker-end=\"url(#a)\"><title>%s reads %s as %s</title></path>\n",
                     d->p->stages[e->to].id, d->p->stages[e->from].id, e->label);
    aster_str_printf(out, "<text class=\"l\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", x_end - 10,
                     e->y_end - 4, e->label);
}

static void draw_box(const struct drawing *d, const struct vertex *b, struct aster_str *out)
{
    const struct aster_declared_stage *s = &d->p->stages[b->stage];
    const char *role = !b->n_in ? "s" : !strcmp(s->kind->output, "none") ? "z" : "m";
    aster_str_printf(out, "<g><title>%s: ", s->id);
    xml_text(out, s->kind->help);
    aster_str_printf(out,
                     "</title><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                     "height=\"%.1f\" rx=\"7\"/>\n",
                     role, b->x, b->y, b->w, b->h);
    aster_str_printf(out, "<text class=\"i\" x=\"%.1f\" y=\"%.1f\">%s</text>", b->x + b->w / 2,
                     middle(b) - 3, s->id);
    aster_str_printf(out, "<text class=\"k\" x=\"%.1f\" y=\"%.1f\">%s</text></g>\n",
                     b->x + b->w / 2, middle(b) + 14, s->kind->name);
}

static void draw(const struct drawing *d, double width, double height, struct aster_str *out)
{
    double text_w = margin * 2 + 6.4 * (double)strlen(d->p->description);
    width = fmax(width, fmin(text_w, 1200));
    aster_str_printf(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                     "viewBox=\"0 0 %.0f %.0f\">\n",
                     width, height, width, height);
    aster_str_add(
        out,
        "<style>text{font-family:sans-serif}.i{font-size:13px;font-weight:600;text-anchor:middle}"
        ".k{font-size:11px;fill:#555;text-anchor:middle}.l{font-size:10px;fill:#555;text-anchor:"
        "end;paint-order:stroke;stroke:#fff;stroke-width:3px}"
        ".e{fill:none;stroke:#666;stroke-width:1.3}rect{stroke:#445;stroke-width:1.2}"
        ".s{fill:#e3eefb}.m{fill:#f6f0e0}.z{fill:#e4f3e5}</style>\n");
    aster_str_add(out,
                  "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" "
                  "markerWidth=\"7\" markerHeight=\"7\" "
                  "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#666\"/></marker></defs>\n");
    aster_str_printf(out,
                     "<rect width=\"%.0f\" height=\"%.0f\" style=\"fill:#fff;stroke:none\"/>\n",
                     width, height);
    aster_str_printf(
        out, "<text x=\"%.0f\" y=\"20\" style=\"font-size:14px;font-weight:600\">%s</text>\n",
        margin, d->p->name);
    aster_str_printf(out, "<text x=\"%.0f\" y=\"35\" style=\"font-size:11px;fill:#555\">", margin);
    xml_text(out, d->p->description);
    aster_str_add(out, "</text>\n");
    for (int i = 0; i < d->n_edges; i++)
        draw_edge(d, &d->edges[i], out);
    for (int v = 0; v < d->p->n_stages; v++)
        draw_box(d, &d->vertices[v], out);
    aster_str_add(out, "</svg>\n");
}

static int lay_out(struct drawing *d, struct aster_str *out)
{
    double width, height;
    ASTER_TRY(each_link(d->p, count_link, d));
    ASTER_TRY(aster_alloc(d->ctx, d->p->n_stages, sizeof *d->vertices, &d->vertices));
    ASTER_TRY(aster_alloc(d->ctx, d->n_edges, sizeof *d->edges, &d->edges));
    for (d->n_vertices = 0; d->n_vertices < d->p->n_stages; d->n_vertices++)
        d->vertices[d->n_vertices].stage = d->n_vertices;
    d->n_edges = 0;
    ASTER_TRY(each_link(d->p, take_link, d));
    put_layers(d);
    ASTER_TRY(put_bends(d));
    ASTER_TRY(sort_into_layers(d));
    order_layers(d);
    size_boxes(d);
    place_boxes(d, &width, &height);
    place_ports(d);
    draw(d, width, height, out);
    return aster_str_ok(d->ctx, out);
}

int aster_pipeline_svg(const struct aster_pipeline *p, struct aster_str *out)
{
    struct drawing d = {.p = p, .ctx = p->ctx};
    ASTER_TRY(need_no_errors(p));
    int rc = lay_out(&d, out);
    aster_free(&d.vertices);
    aster_free(&d.edges);
    aster_free(&d.by_layer);
    aster_free(&d.layer_begin);
    return rc;
}
