/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages for one real type: REAL and VSUF are defined by message.c.
 *
 * SUB channels at a time, through all edges: then their part of the table stays in the second-level
 * cache, the atoms' vectors, which lie together, in the first. Edges go by in chunks: first the
 * filters of a chunk, one for an edge and the edge back where both are in it, then the sums of its
 * atoms in the order of their edges. What a chunk is changes no bits. */

#define SUB   (2 * LANES < MESSAGE_BLOCK ? 2 * LANES : (int64_t)MESSAGE_BLOCK)
#define UNITS (2 * LANES < MESSAGE_BLOCK ? 2 : MESSAGE_BLOCK / LANES)

struct RN(messages) {
    int64_t n_atoms, n_edges, width, knots, parts, n_chunks, n_pairs;
    const REAL *edge, *table;
    const int32_t *src, *back, *starts;
    REAL cutoff, scale;
    struct chunk *chunk;
    int32_t *slot;  /* of an edge: its filter, counted from the chunk's first */
    int32_t *first; /* of a filter: the edge whose length it has */
    int32_t *knot;  /* of a filter: the one before that length, -1 beyond the cutoff */
    int32_t *owner; /* of a filter: its pair, or -1 where another chunk has that */
    REAL *weight;   /* [filters][6] */
    REAL *tail;     /* [2][N][SUB]: the last channels of scalars, where a row ends within SUB */
    REAL *filter;   /* [MOST][3, or 6 with slopes][SUB] */
    VEC *pair;      /* [pairs][4] */
};

/* SUB channels of the atoms: scalars ld apart, vectors ROW apart (NULL: zero), and what is made of
 * them; left: channels up to the row's end */
enum { RN(ROW) = 3 * MESSAGE_BLOCK };
struct RN(columns) {
    int64_t ld, left;
    const REAL *s, *v;
    REAL *to_s, *to_v;
};

/* Hermite's cubic between two knots, t from the first: weights of the slope there, of how much more
 * the second value is, and of the second slope; and their derivatives by the distance */
static int32_t RN(weigh)(const struct RN(messages) * m, REAL d, REAL *w)
{
    if (!(d <= m->cutoff)) {
        for (int k = 0; k < MESSAGE_WEIGHTS; k++)
            w[k] = d != d ? d : 0;
        return d != d ? 0 : -1;
    }
    REAL x = d > 0 ? d * m->scale : 0;
    int32_t k = (int32_t)x < m->knots ? (int32_t)x : (int32_t)m->knots - 1;
    REAL t = x - (REAL)k, u = 1 - t, tu = t * u;
    w[0] = tu * u;
    w[1] = t * t * (3 - 2 * t);
    w[2] = -(t * tu);
    w[3] = u * (1 - 3 * t) * m->scale;
    w[4] = 6 * tu * m->scale;
    w[5] = t * (3 * t - 2) * m->scale;
    return k;
}

static void RN(list_filters)(struct RN(messages) * m, struct chunk *c)
{
    const int32_t *back = m->back, e0 = c->e0;
    int32_t *slot = m->slot, *first = m->first, *owner = m->owner;
    int32_t n = c->f0, n_pairs = (int32_t)m->n_pairs, most = (int32_t)(m->n_edges / 2);
    for (int32_t e = e0; e < c->e1; e++) {
        int32_t b = back[e];
        if (b >= e0 && b < e) {
            slot[e] = slot[b];
            continue;
        }
        bool is_pair = e < b && n_pairs < most;
        slot[e] = n - c->f0;
        first[n] = b < e ? b : e;
        owner[n] = is_pair ? n_pairs : -1;
        n_pairs += is_pair;
        n++;
    }
    for (int32_t f = c->f0; f < n; f++)
        m->knot[f] = RN(weigh)(m, m->edge[4 * (int64_t)first[f] + 3],
                               m->weight + MESSAGE_WEIGHTS * (int64_t)f);
    m->n_pairs = n_pairs;
    c->f1 = n;
}

/* A chunk ends where no edge back is missing, if it is long enough; else where it is full. */
static void RN(list_chunks)(struct RN(messages) * m)
{
    int32_t e0 = 0, f0 = 0, most = -1;
    for (int32_t e = 0; e < m->n_edges; e++) {
        int32_t n = e + 1 - e0;
        most = m->back[e] > most ? m->back[e] : most;
        if (e + 1 < m->n_edges && n < MESSAGE_MOST && (n < MESSAGE_LEAST || most > e))
            continue;
        struct chunk *c = &m->chunk[m->n_chunks++];
        *c = (struct chunk){e0, e + 1, f0, f0};
        RN(list_filters)(m, c);
        e0 = e + 1;
        f0 = c->f1;
    }
}

/* at: the first of s, edge, table, link, starts, v */
static struct RN(messages) RN(messages_new)(const struct aster_args *a, int at)
{
    const struct aster_tensor *s = &a->in[at], *table = &a->in[at + 2];
    struct RN(messages) m = {.n_atoms = s->dim[0],
                             .n_edges = a->in[at + 1].dim[0],
                             .width = s->dim[1],
                             .knots = table->dim[1] - 1,
                             .parts = table->dim[3],
                             .edge = a->in[at + 1].p,
                             .table = table->p,
                             .src = a->in[at + 3].p,
                             .starts = a->in[at + 4].p,
                             .cutoff = (REAL)a->f[0],
                             .scale = (REAL)(table->dim[1] - 1) / (REAL)a->f[0]};
    char *work = a->work;
    int64_t n = m.n_edges, chunks = message_chunks(n);
    int32_t *list = part_of(&work, (n + chunks) * MESSAGE_PER_EDGE * (int64_t)sizeof *list);
    m.back = m.src + n;
    m.slot = list;
    m.first = list + n;
    m.knot = list + 2 * n;
    m.owner = list + 3 * n;
    m.chunk = (struct chunk *)(list + 4 * n);
    m.weight = part_of(&work, n * MESSAGE_WEIGHTS * (int64_t)sizeof(REAL));
    m.tail = part_of(&work, 2 * m.n_atoms * MESSAGE_BLOCK * (int64_t)sizeof(REAL));
    m.filter = part_of(&work, MESSAGE_MOST * 6 * MESSAGE_BLOCK * (int64_t)sizeof(REAL));
    m.pair = (VEC *)work;
    RN(list_chunks)(&m);
    return m;
}

/* Vectors of the channels from c on, of the first atom */
static int64_t RN(vectors_at)(const struct RN(messages) * m, int64_t c)
{
    return c / MESSAGE_BLOCK * m->n_atoms * RN(ROW) + c % MESSAGE_BLOCK;
}

/* Channels c .. c + SUB - 1 of s [N, width] and v; tail: of m->tail */
static struct RN(columns) RN(columns_of)(const struct RN(messages) * m, int64_t c, const REAL *s,
                                         const REAL *v, REAL *tail)
{
    struct RN(columns) x = {.ld = m->width, .left = m->width - c, .s = s + c};
    if (v)
        x.v = v + RN(vectors_at)(m, c);
    if (x.left >= SUB)
        return x;
    for (int64_t i = 0; i < m->n_atoms; i++)
        for (int64_t k = 0; k < SUB; k++)
            tail[i * SUB + k] = k < x.left ? x.s[i * x.ld + k] : 0;
    x.s = tail;
    x.ld = SUB;
    return x;
}

/* Sums of an atom: s, x, y, z, of SUB channels each */
ASTER_VFN void RN(load_sums)(const struct RN(messages) * m, const struct RN(columns) * x, int64_t i,
                             bool is_begun, VEC *y)
{
    for (int u = 0; u < UNITS; u++) {
        int64_t left = x->left - u * LANES;
        y[u] = !is_begun  ? ASTER_V(load)(x->s + i * x->ld + u * LANES)
               : left > 0 ? RN(load)(left, x->to_s + i * m->width + u * LANES)
                          : ASTER_V(set)(0);
        for (int k = 0; k < 3; k++) {
            int64_t at = i * RN(ROW) + k * MESSAGE_BLOCK + u * LANES;
            y[(k + 1) * UNITS + u] = is_begun && x->to_v ? ASTER_V(load)(x->to_v + at)
                                     : x->v              ? ASTER_V(load)(x->v + at)
                                                         : ASTER_V(set)(0);
        }
    }
}

ASTER_VFN void RN(store_sums)(const struct RN(messages) * m, const struct RN(columns) * x,
                              int64_t i, const VEC *y)
{
    for (int u = 0; u < UNITS; u++) {
        int64_t left = x->left - u * LANES;
        if (left > 0)
            RN(store)(left, x->to_s + i * m->width + u * LANES, y[u]);
        for (int k = 0; x->to_v && k < 3; k++)
            ASTER_V(store)
            (x->to_v + i * RN(ROW) + k * MESSAGE_BLOCK + u * LANES, y[(k + 1) * UNITS + u]);
    }
}

/* What belongs to the channels from c on of a knot */
static const REAL *RN(column)(const struct RN(messages) * m, int64_t c)
{
    return m->table + c / MESSAGE_BLOCK * (m->knots + 1) * 2 * m->parts * MESSAGE_BLOCK +
           c % MESSAGE_BLOCK;
}

/* ---- forward ---- */

static const REAL RN(nothing)[4 * 3 * MESSAGE_BLOCK];

/* The knot before a filter's place, with what follows: value, slope, value, slope */
ASTER_VFN const REAL *RN(knot_of)(const struct RN(messages) * m, int64_t f, const REAL *table,
                                  const int parts)
{
    int64_t k = m->knot[f];
    return k < 0 ? RN(nothing) : table + k * (2 * parts * MESSAGE_BLOCK);
}

/* Tables are larger than near caches, and places in them have no order. */
ASTER_VFN void RN(fetch_ahead)(const struct RN(messages) * m, const struct chunk *c, int64_t f,
                               const REAL *table, const int parts)
{
    enum { AHEAD = 3 };
    if (f + AHEAD >= c->f1)
        return;
    const REAL *at = RN(knot_of)(m, f + AHEAD, table, parts);
    for (int k = 0; k < 4 * parts; k++)
        __builtin_prefetch(at + k * MESSAGE_BLOCK);
}

/* Filters of a chunk, with is_back their slopes too: y0 + w[0] m0 + w[1] (y1 - y0) + w[2] m1 */
ASTER_VFN void RN(filters)(const struct RN(messages) * m, const struct chunk *c, const REAL *table,
                           const int parts, const bool is_back)
{
    const int64_t step = parts * MESSAGE_BLOCK;
    for (int64_t f = c->f0; f < c->f1; f++) {
        const REAL *at = RN(knot_of)(m, f, table, parts);
        REAL *y = m->filter + (f - c->f0) * (is_back ? 6 : 3) * SUB;
        VEC w[6];
        RN(fetch_ahead)(m, c, f, table, parts);
        for (int k = 0; k < (is_back ? 6 : 3); k++)
            w[k] = ASTER_V(set)(m->weight[MESSAGE_WEIGHTS * f + k]);
        for (int p = 0; p < parts; p++)
            for (int u = 0; u < UNITS; u++) {
                const REAL *from = at + p * MESSAGE_BLOCK + u * LANES;
                VEC y0 = ASTER_V(load)(from), m0 = ASTER_V(load)(from + step),
                    rise = ASTER_V(load)(from + 2 * step) - y0,
                    m1 = ASTER_V(load)(from + 3 * step);
                VEC more = ASTER_V(fma)(m1, w[2], ASTER_V(fma)(m0, w[0], rise * w[1]));
                ASTER_V(store)(y + p * SUB + u * LANES, y0 + more);
                if (is_back)
                    ASTER_V(store)
                    (y + (3 + p) * SUB + u * LANES,
                     ASTER_V(fma)(m1, w[5], ASTER_V(fma)(m0, w[3], rise * w[4])));
            }
    }
}

/* From atom i on: the first that has edges behind the chunk */
ASTER_VFN int64_t RN(sum_messages)(const struct RN(messages) * m, const struct RN(columns) * x,
                                   const struct chunk *c, int64_t i, const int parts)
{
    for (; i < m->n_atoms && m->starts[i] < c->e1; i++) {
        int64_t from = aster_max64(m->starts[i], c->e0), to = aster_min64(m->starts[i + 1], c->e1);
        VEC y[4 * UNITS];
        RN(load_sums)(m, x, i, m->starts[i] < c->e0, y);
        for (int64_t e = from; e < to; e++) {
            int64_t j = m->src[e];
            const REAL *phi = m->filter + m->slot[e] * 3 * SUB, *s = x->s + j * x->ld,
                       *v = parts == 3 ? x->v + j * RN(ROW) : NULL;
            for (int u = 0; u < UNITS; u++) {
                VEC direction = ASTER_V(load)(phi + (parts - 1) * SUB + u * LANES);
                y[u] = ASTER_V(fma)(ASTER_V(load)(s + u * LANES), ASTER_V(load)(phi + u * LANES),
                                    y[u]);
                for (int k = 0; k < 3; k++) {
                    VEC sum = y[(k + 1) * UNITS + u];
                    if (parts == 3)
                        sum = ASTER_V(fma)(ASTER_V(load)(v + k * MESSAGE_BLOCK + u * LANES),
                                           ASTER_V(load)(phi + SUB + u * LANES), sum);
                    y[(k + 1) * UNITS + u] =
                        ASTER_V(fma)(ASTER_V(set)(m->edge[4 * e + k]), direction, sum);
                }
            }
        }
        RN(store_sums)(m, x, i, y);
        if (m->starts[i + 1] > c->e1)
            break;
    }
    return i;
}

/* Atoms from i on, which have no edges */
static void RN(rest)(const struct RN(messages) * m, const struct RN(columns) * x, int64_t i)
{
    for (; i < m->n_atoms; i++) {
        VEC y[4 * UNITS];
        RN(load_sums)(m, x, i, false, y);
        RN(store_sums)(m, x, i, y);
    }
}

static void RN(message)(const struct aster_args *a)
{
    const REAL *s = a->in[0].p, *v = a->n_in > 5 ? a->in[5].p : NULL;
    struct RN(messages) m = RN(messages_new)(a, 0);
    for (int64_t c = 0; c < aster_round_up(m.width, MESSAGE_BLOCK); c += SUB) {
        struct RN(columns) x = RN(columns_of)(&m, c, s, v, m.tail);
        int64_t i = 0;
        x.to_s = (REAL *)a->out[0].p + c;
        x.to_v = (REAL *)a->out[1].p + RN(vectors_at)(&m, c);
        for (int64_t k = 0; k < m.n_chunks; k++) {
            const struct chunk *chunk = &m.chunk[k];
            if (v) {
                RN(filters)(&m, chunk, RN(column)(&m, c), 3, false);
                i = RN(sum_messages)(&m, &x, chunk, i, 3);
            } else {
                RN(filters)(&m, chunk, RN(column)(&m, c), 2, false);
                i = RN(sum_messages)(&m, &x, chunk, i, 2);
            }
        }
        RN(rest)(&m, &x, i);
    }
}

/* ---- backward ---- */

/* What pairs of edges give to the derivatives by length and by direction, the edge back having the
 * opposite one: x the atoms, g the derivatives by what became of them */
ASTER_VFN void RN(pairs)(const struct RN(messages) * m, const struct RN(columns) * x,
                         const struct RN(columns) * g, const struct chunk *c, bool is_first,
                         const int parts)
{
    for (int64_t f = c->f0; f < c->f1; f++) {
        if (m->owner[f] < 0)
            continue;
        int64_t e = m->first[f], i = m->src[m->back[e]], j = m->src[e];
        const REAL *phi = m->filter + (f - c->f0) * 6 * SUB;
        VEC y[MESSAGE_VECTORS], *sum = m->pair + m->owner[f] * (int64_t)MESSAGE_VECTORS, unit[3];
        for (int k = 0; k < MESSAGE_VECTORS; k++)
            y[k] = is_first ? ASTER_V(set)(0) : sum[k];
        for (int k = 0; k < 3; k++)
            unit[k] = ASTER_V(set)(m->edge[4 * e + k]);
        for (int64_t u = 0; u < UNITS * LANES; u += LANES) {
            VEC along = ASTER_V(load)(phi + (parts - 1) * SUB + u), by_v = ASTER_V(set)(0),
                by_u = by_v,
                by_s = ASTER_V(load)(x->s + j * x->ld + u) * ASTER_V(load)(g->s + i * g->ld + u);
            by_s = ASTER_V(fma)(ASTER_V(load)(x->s + i * x->ld + u),
                                ASTER_V(load)(g->s + j * g->ld + u), by_s);
            y[0] = ASTER_V(fma)(by_s, ASTER_V(load)(phi + 3 * SUB + u), y[0]);
            for (int64_t k = 0; k < 3; k++) {
                int64_t at = k * MESSAGE_BLOCK + u;
                VEC to = ASTER_V(load)(g->v + i * RN(ROW) + at),
                    from = ASTER_V(load)(g->v + j * RN(ROW) + at), pull = to - from;
                if (parts == 3) {
                    by_v = ASTER_V(fma)(ASTER_V(load)(x->v + j * RN(ROW) + at), to, by_v);
                    by_v = ASTER_V(fma)(ASTER_V(load)(x->v + i * RN(ROW) + at), from, by_v);
                }
                by_u = ASTER_V(fma)(unit[k], pull, by_u);
                y[1 + k] = ASTER_V(fma)(along, pull, y[1 + k]);
            }
            if (parts == 3)
                y[0] = ASTER_V(fma)(by_v, ASTER_V(load)(phi + 4 * SUB + u), y[0]);
            y[0] = ASTER_V(fma)(by_u, ASTER_V(load)(phi + (2 + parts) * SUB + u), y[0]);
        }
        for (int k = 0; k < MESSAGE_VECTORS; k++)
            sum[k] = y[k];
    }
}

/* Each message goes back to its source: the edge back leads there, and has the same filter. */
ASTER_VFN int64_t RN(sum_back)(const struct RN(messages) * m, const struct RN(columns) * g,
                               const struct chunk *c, int64_t i, const int parts)
{
    for (; i < m->n_atoms && m->starts[i] < c->e1; i++) {
        int64_t from = aster_max64(m->starts[i], c->e0), to = aster_min64(m->starts[i + 1], c->e1);
        VEC y[4 * UNITS];
        RN(load_sums)(m, g, i, m->starts[i] < c->e0, y);
        for (int64_t e = from; e < to; e++) {
            int64_t j = m->src[e];
            const REAL *phi = m->filter + m->slot[e] * 6 * SUB, *s = g->s + j * g->ld,
                       *v = g->v + j * RN(ROW);
            for (int u = 0; u < UNITS; u++) {
                y[u] = ASTER_V(fma)(ASTER_V(load)(s + u * LANES), ASTER_V(load)(phi + u * LANES),
                                    y[u]);
                for (int k = 0; parts == 3 && k < 3; k++)
                    y[(k + 1) * UNITS + u] =
                        ASTER_V(fma)(ASTER_V(load)(v + k * MESSAGE_BLOCK + u * LANES),
                                     ASTER_V(load)(phi + SUB + u * LANES), y[(k + 1) * UNITS + u]);
            }
        }
        RN(store_sums)(m, g, i, y);
        if (m->starts[i + 1] > c->e1)
            break;
    }
    return i;
}

static REAL RN(add_up)(const VEC *v)
{
    REAL sum = 0;
    for (int k = 0; k < LANES; k++)
        sum += (*v)[k];
    return sum;
}

static void RN(give_edges)(const struct RN(messages) * m, REAL *edge)
{
    for (int64_t k = 0; k < m->n_chunks; k++)
        for (int64_t f = m->chunk[k].f0; f < m->chunk[k].f1; f++) {
            if (m->owner[f] < 0)
                continue;
            int64_t e = m->first[f], b = m->back[e];
            const VEC *g = m->pair + m->owner[f] * (int64_t)MESSAGE_VECTORS;
            for (int d = 0; d < 4; d++) {
                edge[4 * e + d] = RN(add_up)(g + (d + 1) % 4);
                edge[4 * b + d] = 0;
            }
        }
}

static void RN(message_dx)(const struct aster_args *a)
{
    const REAL *s = a->in[2].p, *v = a->n_in > 7 ? a->in[7].p : NULL;
    struct RN(messages) m = RN(messages_new)(a, 2);
    for (int64_t c = 0; c < aster_round_up(m.width, MESSAGE_BLOCK); c += SUB) {
        struct RN(columns) x = RN(columns_of)(&m, c, s, v, m.tail),
                           g = RN(columns_of)(&m, c, a->in[0].p, a->in[1].p,
                                              m.tail + m.n_atoms * MESSAGE_BLOCK);
        int64_t i = 0;
        if (a->i[0])
            g.to_s = (REAL *)a->out[1].p + c;
        if (a->i[0] && v)
            g.to_v = (REAL *)a->out[2].p + RN(vectors_at)(&m, c);
        for (int64_t k = 0; k < m.n_chunks; k++) {
            const struct chunk *chunk = &m.chunk[k];
            if (v) {
                RN(filters)(&m, chunk, RN(column)(&m, c), 3, true);
                RN(pairs)(&m, &x, &g, chunk, c == 0, 3);
            } else {
                RN(filters)(&m, chunk, RN(column)(&m, c), 2, true);
                RN(pairs)(&m, &x, &g, chunk, c == 0, 2);
            }
            if (a->i[0] && v)
                i = RN(sum_back)(&m, &g, chunk, i, 3);
            else if (a->i[0])
                i = RN(sum_back)(&m, &g, chunk, i, 2);
        }
        if (a->i[0])
            RN(rest)(&m, &g, i);
    }
    RN(give_edges)(&m, a->out[0].p);
}
#undef SUB
#undef UNITS
