/* SPDX-License-Identifier: BSD-3-Clause */
/* References of messages between atoms, edge by edge, and of what their vectors go through. */
#include "kt.h"

#include <math.h>
#include <string.h>

/* Where component a of channel k of atom i's vectors is */
static int64_t vector_at(int64_t atoms, int64_t i, int a, int64_t k)
{
    return ((k / 16 * atoms + i) * 3 + a) * 16 + k % 16;
}

/* Vectors of n channels: 0 beyond the last */
static double *vectors_in(struct kt_case *c, int batch, int64_t atoms, int64_t n)
{
    double *v = kt_in(c, KT_REAL, batch, KT_DIMS((n + 15) / 16, atoms, 3, 16));
    for (int64_t i = 0; i < atoms; i++)
        for (int64_t k = n; k % 16; k++)
            for (int a = 0; a < 3; a++)
                v[vector_at(atoms, i, a, k)] = 0;
    return v;
}

static void vectors_out(struct kt_case *c, int batch, int64_t atoms, int64_t n)
{
    kt_out(c, KT_REAL, batch, KT_DIMS((n + 15) / 16, atoms, 3, 16));
}

/* ---- messages ---- */

/* A graph in which every edge has its edge back: seeds say which atoms are joined. */
struct graph {
    int64_t atoms, width, intervals, pairs;
};
static const struct graph graphs[] = {{1, 1, 1, 0},     {2, 5, 3, 1},   {7, 16, 8, 11},
                                      {13, 33, 17, 60}, {5, 48, 2, 40}, {40, 20, 9, 600},
                                      {3, 17, 5, 700}};
enum { N_GRAPHS = sizeof graphs / sizeof *graphs, MOST_EDGES = 2048 };

struct edges {
    int64_t n, src[MOST_EDGES], dst[MOST_EDGES], back[MOST_EDGES], of[MOST_EDGES];
};

/* Edges 2 k and 2 k + 1 are a pair; sorted by destination, those of one destination in a mixed
 * order. An atom may be joined to itself, two atoms more than once. */
static void make_edges(struct kt *t, const struct graph *g, int64_t pairs, struct edges *e)
{
    int64_t a[MOST_EDGES], b[MOST_EDGES], at[MOST_EDGES];
    for (int64_t k = 0; k < pairs; k++) {
        a[2 * k] = b[2 * k + 1] = kt_below(t, g->atoms);
        b[2 * k] = a[2 * k + 1] = kt_below(t, g->atoms);
    }
    e->n = 0;
    for (int64_t i = 0; i < g->atoms; i++)
        for (int64_t k = 0; k < 2 * pairs; k++) {
            int64_t which = pairs ? (k * 7 + i) % (2 * pairs) : 0;
            if (2 * pairs % 7 == 0)
                which = k;
            if (b[which] != i)
                continue;
            e->src[e->n] = a[which];
            e->dst[e->n] = i;
            e->of[e->n] = which;
            at[which] = e->n++;
        }
    for (int64_t k = 0; k < e->n; k++)
        e->back[k] = at[e->of[k] ^ 1];
}

/* Filter part p of channel c at distance d, and its slope */
static void look_up(const struct kt_case *c, const struct kt_tensor *table, double d, int64_t p,
                    int64_t channel, double *phi, double *dphi)
{
    int64_t intervals = table->dim[1] - 3, parts = table->dim[2];
    double h = c->f[0] / (double)intervals;
    *phi = *dphi = d > c->f[0] ? 0 : d;
    if (!(d <= c->f[0]))
        return;
    int64_t k = (int64_t)floor(d / h);
    if (k > intervals - 1)
        k = intervals - 1;
    const double *y =
        table->v + ((channel / 16 * (intervals + 3) + k) * parts + p) * 16 + channel % 16;
    double t = d / h - (double)k, c0 = y[0], c1 = y[parts * 16], c2 = y[2 * parts * 16],
           c3 = y[3 * parts * 16];
    /* the polynomial by its powers */
    double p0 = (c0 + 4 * c1 + c2) / 6, p1 = (c2 - c0) / 2, p2 = (c0 - 2 * c1 + c2) / 2,
           p3 = (c3 - c0 + 3 * (c1 - c2)) / 6;
    *phi = p0 + t * (p1 + t * (p2 + t * p3));
    *dphi = (p1 + t * (2 * p2 + 3 * t * p3)) / h;
}

/* at: the first of s, edge, table, link, starts, v */
struct problem {
    int64_t n_atoms, n_edges, width, parts;
    const double *s, *edge, *v;
    const struct kt_tensor *link, *table;
    int at;
};

static struct problem problem_of(const struct kt_case *c, int at)
{
    struct problem p = {.n_atoms = c->in[at].dim[0],
                        .n_edges = c->in[at + 1].dim[0],
                        .width = c->in[at].dim[1],
                        .parts = c->in[at + 2].dim[2],
                        .s = c->in[at].v,
                        .edge = c->in[at + 1].v,
                        .v = c->n_in > at + 5 ? c->in[at + 5].v : NULL,
                        .link = &c->in[at + 3],
                        .table = &c->in[at + 2],
                        .at = at};
    return p;
}

static int64_t target(const struct kt_case *c, int at, int64_t e)
{
    int64_t i = 0;
    while ((int64_t)c->in[at + 4].v[i + 1] <= e)
        i++;
    return i;
}

static void ref_message(struct kt_case *c)
{
    struct problem p = problem_of(c, 0);
    int64_t n = p.width;
    memcpy(c->out[0].v, p.s, (size_t)c->out[0].n * sizeof *p.s);
    if (p.v)
        memcpy(c->out[1].v, p.v, (size_t)c->out[1].n * sizeof *p.v);
    for (int64_t e = 0; e < p.n_edges; e++) {
        int64_t j = (int64_t)p.link->v[e], back = (int64_t)p.link->v[p.n_edges + e],
                i = target(c, 0, e);
        double d = p.edge[4 * (back < e ? back : e) + 3];
        for (int64_t k = 0; k < n; k++) {
            double phi[3], slope;
            for (int64_t q = 0; q < p.parts; q++)
                look_up(c, p.table, d, q, k, &phi[q], &slope);
            c->out[0].v[i * n + k] += p.s[j * n + k] * phi[0];
            for (int a = 0; a < 3; a++) {
                double *y = &c->out[1].v[vector_at(p.n_atoms, i, a, k)];
                *y += p.edge[4 * e + a] * phi[p.parts - 1];
                if (p.v)
                    *y += p.v[vector_at(p.n_atoms, j, a, k)] * phi[1];
            }
        }
    }
}

static void ref_message_dx(struct kt_case *c)
{
    struct problem p = problem_of(c, 2);
    int64_t n = p.width;
    const double *gs = c->in[0].v, *gv = c->in[1].v;
    if (c->n_out > 1)
        memcpy(c->out[1].v, gs, (size_t)c->out[1].n * sizeof *gs);
    if (c->n_out > 2)
        memcpy(c->out[2].v, gv, (size_t)c->out[2].n * sizeof *gv);
    for (int64_t e = 0; e < p.n_edges; e++) {
        int64_t j = (int64_t)p.link->v[e], back = (int64_t)p.link->v[p.n_edges + e],
                i = target(c, 2, e), first = back < e ? back : e;
        for (int64_t k = 0; k < n; k++) {
            double phi[3], slope[3];
            for (int64_t q = 0; q < p.parts; q++)
                look_up(c, p.table, p.edge[4 * first + 3], q, k, &phi[q], &slope[q]);
            double dd = p.s[j * n + k] * gs[i * n + k] * slope[0];
            for (int a = 0; a < 3; a++) {
                double g = gv[vector_at(p.n_atoms, i, a, k)];
                dd += p.edge[4 * e + a] * g * slope[p.parts - 1];
                if (p.v)
                    dd += p.v[vector_at(p.n_atoms, j, a, k)] * g * slope[1];
                c->out[0].v[4 * first + a] += (first < e ? -1 : 1) * phi[p.parts - 1] * g;
                if (c->n_out > 2)
                    c->out[2].v[vector_at(p.n_atoms, j, a, k)] += phi[1] * g;
            }
            c->out[0].v[4 * first + 3] += dd;
            if (c->n_out > 1)
                c->out[1].v[j * n + k] += phi[0] * gs[i * n + k];
        }
    }
}

/* Distances on knots, between them, at the cutoff and beyond */
static void graph_in(struct kt *t, struct kt_case *c, const struct graph *g, struct edges *e,
                     bool has_vectors)
{
    int64_t blocks = (g->width + 15) / 16, parts = has_vectors ? 3 : 2;
    make_edges(t, g, kt_cut(g->pairs, 60), e);
    c->f[0] = 1.5;
    kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(g->atoms, g->width));
    double *edge = kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(e->n, 4));
    for (int64_t k = 0; k < e->n; k++)
        if (e->back[k] > k) {
            int64_t kind = kt_below(t, 8), knot = kt_below(t, g->intervals + 1);
            double d = kind == 0   ? 1.5
                       : kind == 1 ? 1.6
                       : kind == 2 ? 1.5 * (double)knot / (double)g->intervals
                                   : kt_uniform(t, 0, 1.5);
            edge[4 * k + 3] = edge[4 * e->back[k] + 3] = d;
            for (int a = 0; a < 3; a++)
                edge[4 * e->back[k] + a] = -edge[4 * k + a];
        }
    double *table = kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(blocks, g->intervals + 3, parts, 16));
    for (int64_t k = (blocks - 1) * (g->intervals + 3) * parts * 16;
         k < blocks * (g->intervals + 3) * parts * 16; k++)
        if (16 * (blocks - 1) + k % 16 >= g->width)
            table[k] = 0;
    double *link = kt_in(c, ASTER_I32, KT_NO_BATCH, KT_DIMS(2 * e->n));
    double *starts = kt_in(c, ASTER_I32, KT_NO_BATCH, KT_DIMS(g->atoms + 1));
    for (int64_t k = 0; k < e->n; k++) {
        link[k] = (double)e->src[k];
        link[e->n + k] = (double)e->back[k];
        starts[e->dst[k] + 1]++;
    }
    for (int64_t i = 0; i < g->atoms; i++)
        starts[i + 1] += starts[i];
    if (has_vectors)
        vectors_in(c, KT_NO_BATCH, g->atoms, g->width);
}

static struct kt_case *graph_case(struct kt *t, const struct graph *g, int vectors, int wanted)
{
    return kt_case_new(t, "%d atoms, %d channels, %d intervals, %d pairs, vectors %d, atoms %d",
                       (int)g->atoms, (int)g->width, (int)g->intervals, (int)g->pairs, vectors,
                       wanted);
}

void kt_op_message(struct kt *t)
{
    static struct edges e;
    for (int k = 0; k < N_GRAPHS; k++)
        for (int vectors = 0; vectors < 2; vectors++) {
            const struct graph *g = &graphs[k];
            struct kt_case *c = graph_case(t, g, vectors, 1);
            graph_in(t, c, g, &e, vectors);
            kt_like(c, true, &c->in[0]);
            vectors_out(c, KT_NO_BATCH, g->atoms, g->width);
            kt_run(c, ref_message);
        }
}

void kt_op_message_dx(struct kt *t)
{
    static struct edges e;
    for (int k = 1; k < N_GRAPHS; k++)
        for (int kind = 0; kind < 3; kind++) {
            const struct graph *g = &graphs[k];
            bool vectors = kind == 2, atoms = kind > 0;
            struct kt_case *c = graph_case(t, g, vectors, atoms);
            c->i[0] = atoms;
            kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(g->atoms, g->width));
            vectors_in(c, KT_NO_BATCH, g->atoms, g->width);
            graph_in(t, c, g, &e, vectors);
            kt_out(c, KT_REAL, KT_NO_BATCH, KT_DIMS(e.n, 4));
            if (atoms)
                kt_like(c, true, &c->in[0]);
            if (vectors)
                kt_like(c, true, &c->in[1]);
            kt_run(c, ref_message_dx);
        }
}

/* ---- directions ---- */

static double length_of(const double *r)
{
    return sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
}

static void ref_direction(struct kt_case *c)
{
    for (int64_t e = 0; e < c->in[0].dim[0]; e++) {
        const double *r = c->in[0].v + 3 * e;
        double *y = c->out[0].v + 4 * e;
        y[3] = length_of(r);
        for (int a = 0; a < 3; a++)
            y[a] = r[a] / (y[3] + c->f[0]);
    }
}

/* The matrix of derivatives of (u, d) by r, transposed, times the gradient */
static void ref_direction_dx(struct kt_case *c)
{
    for (int64_t e = 0; e < c->in[1].dim[0]; e++) {
        const double *r = c->in[1].v + 3 * e, *g = c->in[0].v + 4 * e;
        double d = length_of(r), by = d + c->f[0];
        for (int a = 0; a < 3; a++) {
            double dd = d > 0 ? r[a] / d : 0, sum = g[3] * dd;
            for (int b = 0; b < 3; b++)
                sum += g[b] * ((a == b ? 1 / by : 0) - r[b] * dd / (by * by));
            c->out[0].v[3 * e + a] = sum;
        }
    }
}

static const int64_t counts[] = {0, 1, 2, 31, 257};

void kt_op_direction(struct kt *t)
{
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        struct kt_case *c = kt_case_new(t, "%d edges", (int)counts[k]);
        c->f[0] = k % 2 ? 1e-8 : 0.25;
        double *r = kt_in(c, KT_REAL, 0, KT_DIMS(counts[k], 3));
        if (counts[k] > 2 || c->f[0] > 0.1)
            for (int64_t a = 0; counts[k] && a < 3; a++)
                r[a] = 0;
        kt_out(c, KT_REAL, 0, KT_DIMS(counts[k], 4));
        kt_run(c, ref_direction);
    }
}

void kt_op_direction_dx(struct kt *t)
{
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        struct kt_case *c = kt_case_new(t, "%d edges", (int)counts[k]);
        c->f[0] = k % 2 ? 1e-8 : 0.25;
        kt_in(c, KT_REAL, 0, KT_DIMS(counts[k], 4));
        double *r = kt_in(c, KT_REAL, 0, KT_DIMS(counts[k], 3));
        for (int64_t e = 0; e < counts[k]; e++)
            r[3 * e] += r[3 * e] < 0 ? -0.2 : 0.2;
        if (c->f[0] > 0.1)
            for (int64_t a = 0; counts[k] && a < 3; a++)
                r[a] = 0;
        kt_out(c, KT_REAL, 0, KT_DIMS(counts[k], 3));
        kt_run(c, ref_direction_dx);
    }
}

/* ---- lengths and gates ---- */

static const int64_t sizes[][2] = {{0, 4}, {1, 1}, {3, 5}, {9, 16}, {2, 37}, {13, 128}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void ref_length(struct kt_case *c)
{
    int64_t atoms = c->in[0].dim[0], n = c->in[0].dim[1];
    double eps = c->f[0];
    for (int64_t i = 0; i < atoms; i++)
        for (int64_t k = 0; k < n; k++) {
            double sum = eps * eps;
            for (int a = 0; a < 3; a++)
                sum += pow(c->in[1].v[vector_at(atoms, i, a, k)], 2);
            c->out[0].v[2 * i * n + k] = c->in[0].v[i * n + k];
            c->out[0].v[(2 * i + 1) * n + k] = sqrt(sum) - eps;
        }
}

static double more(const struct kt_case *c, int in, int64_t at)
{
    return in < c->n_in && c->in[in].v ? c->in[in].v[at] : 0;
}

static void ref_length_dx(struct kt_case *c)
{
    int64_t atoms = c->in[0].dim[0], n = c->in[0].dim[1] / 2;
    double eps = c->f[0];
    for (int64_t i = 0; i < atoms; i++)
        for (int64_t k = 0; k < n; k++) {
            double sum = eps * eps;
            for (int a = 0; a < 3; a++)
                sum += pow(c->in[1].v[vector_at(atoms, i, a, k)], 2);
            c->out[0].v[i * n + k] = c->in[0].v[2 * i * n + k] + more(c, 2, i * n + k);
            for (int a = 0; a < 3; a++) {
                int64_t at = vector_at(atoms, i, a, k);
                double by = sum > 0 ? c->in[0].v[(2 * i + 1) * n + k] / sqrt(sum) : 0;
                c->out[1].v[at] = by * c->in[1].v[at] + more(c, 3, at);
            }
        }
}

/* Some vectors are zero. */
static void lengths_in(struct kt_case *c, int64_t rows, int64_t n)
{
    double *v = vectors_in(c, 1, rows, n);
    for (int a = 0; rows > 0 && a < 3; a++)
        v[vector_at(rows, 0, a, 0)] = 0;
}

void kt_op_vector_length(struct kt *t)
{
    for (int k = 0; k < N_SIZES; k++) {
        struct kt_case *c =
            kt_case_new(t, "%d atoms, %d channels", (int)sizes[k][0], (int)sizes[k][1]);
        c->f[0] = k % 2 ? 0 : 0.125;
        kt_in(c, KT_REAL, 0, KT_DIMS(sizes[k][0], sizes[k][1]));
        lengths_in(c, sizes[k][0], sizes[k][1]);
        kt_out(c, KT_REAL, 0, KT_DIMS(sizes[k][0], 2 * sizes[k][1]));
        kt_run(c, ref_length);
    }
}

void kt_op_vector_length_dx(struct kt *t)
{
    for (int k = 0; k < 4 * N_SIZES; k++) {
        int64_t rows = sizes[k / 4][0], n = sizes[k / 4][1];
        struct kt_case *c = kt_case_new(t, "%d atoms, %d channels, added to %s%s", (int)rows,
                                        (int)n, k % 2 ? "s" : "", k & 2 ? "v" : "");
        c->f[0] = k / 4 % 2 ? 0 : 0.125;
        kt_in(c, KT_REAL, 0, KT_DIMS(rows, 2 * n));
        lengths_in(c, rows, n);
        if (k % 2)
            kt_in(c, KT_REAL, 0, KT_DIMS(rows, n));
        else if (k & 2)
            kt_in_absent(c);
        if (k & 2)
            vectors_in(c, 1, rows, n);
        kt_out(c, KT_REAL, 0, KT_DIMS(rows, n));
        vectors_out(c, 1, rows, n);
        kt_run(c, ref_length_dx);
    }
}

static double element(const struct kt_case *c, const double *m, int a, int b)
{
    if (c->i[0])
        return a == b ? (m[0] + m[4] + m[8]) / 3 : 0;
    return m[3 * a + b];
}

static void ref_gate(struct kt_case *c)
{
    int64_t atoms = c->in[0].dim[0], n = c->in[0].dim[1];
    for (int64_t i = 0; i < atoms; i++)
        for (int64_t k = 0; k < n; k++) {
            const double *o = c->in[2].v + 3 * i * n + k;
            c->out[0].v[i * n + k] = c->in[0].v[i * n + k] + o[0];
            for (int a = 0; a < 3; a++) {
                double *w = &c->out[1].v[vector_at(atoms, i, a, k)];
                *w = c->in[1].v[vector_at(atoms, i, a, k)] * o[n];
                for (int b = 0; b < 3; b++)
                    *w += element(c, c->in[3].v, a, b) * c->in[1].v[vector_at(atoms, i, b, k)] *
                          o[2 * n];
            }
        }
}

static void ref_gate_dx(struct kt_case *c)
{
    int64_t atoms = c->in[0].dim[0], n = c->in[0].dim[1];
    for (int64_t i = 0; i < atoms; i++)
        for (int64_t k = 0; k < n; k++) {
            const double *o = c->in[3].v + 3 * i * n + k;
            double *go = c->out[0].v + 3 * i * n + k;
            go[0] = c->in[0].v[i * n + k];
            for (int a = 0; a < 3; a++) {
                int64_t at = vector_at(atoms, i, a, k);
                double g = c->in[1].v[at];
                go[n] += g * c->in[2].v[at];
                c->out[1].v[at] += g * o[n];
                for (int b = 0; b < 3; b++) {
                    int64_t other = vector_at(atoms, i, b, k);
                    go[2 * n] += g * element(c, c->in[4].v, a, b) * c->in[2].v[other];
                    c->out[1].v[other] += g * element(c, c->in[4].v, a, b) * o[2 * n];
                }
            }
        }
}

void kt_op_vector_gate(struct kt *t)
{
    for (int k = 0; k < N_SIZES; k++) {
        int64_t rows = sizes[k][0], n = sizes[k][1];
        struct kt_case *c =
            kt_case_new(t, "%d atoms, %d channels, isotropic %d", (int)rows, (int)n, k % 2);
        c->i[0] = k % 2;
        kt_in(c, KT_REAL, 0, KT_DIMS(rows, n));
        vectors_in(c, 1, rows, n);
        kt_in(c, KT_REAL, 0, KT_DIMS(rows, 3 * n));
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(3, 3));
        kt_like(c, true, &c->in[0]);
        vectors_out(c, 1, rows, n);
        kt_run(c, ref_gate);
    }
}

void kt_op_vector_gate_dx(struct kt *t)
{
    for (int k = 0; k < N_SIZES; k++) {
        int64_t rows = sizes[k][0], n = sizes[k][1];
        struct kt_case *c =
            kt_case_new(t, "%d atoms, %d channels, isotropic %d", (int)rows, (int)n, k % 2);
        c->i[0] = k % 2;
        kt_in(c, KT_REAL, 0, KT_DIMS(rows, n));
        for (int v = 0; v < 2; v++)
            vectors_in(c, 1, rows, n);
        kt_in(c, KT_REAL, 0, KT_DIMS(rows, 3 * n));
        kt_in(c, KT_REAL, KT_NO_BATCH, KT_DIMS(3, 3));
        kt_out(c, KT_REAL, 0, KT_DIMS(rows, 3 * n));
        vectors_out(c, 1, rows, n);
        kt_run(c, ref_gate_dx);
    }
}
