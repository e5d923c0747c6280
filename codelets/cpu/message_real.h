/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages for one real type: REAL and VSUF are defined by message.c.
 *
 * SUB channels at a time, through all edges: then their part of the table stays in the second-level
 * cache, their columns of the atoms in the first. Edges go by in chunks: first the filters of a
 * chunk, one for an edge and the edge back where both are in it, then the sums of its atoms in the
 * order of their edges. What a chunk is changes no bits. */

#define SUB   (2 * LANES < MESSAGE_BLOCK ? 2 * LANES : (int64_t)MESSAGE_BLOCK)
#define UNITS (2 * LANES < MESSAGE_BLOCK ? 2 : MESSAGE_BLOCK / LANES)

struct RN(messages) {
    int64_t n_atoms, n_edges, width, knots, parts, n_chunks, n_pairs, row;
    const REAL *edge, *table;
    const int32_t *src, *back, *starts;
    REAL cutoff, scale;
    struct chunk *chunk;
    int32_t *slot;  /* of an edge: its filter, counted from the chunk's first */
    int32_t *first; /* of a filter: the edge whose length it has */
    int32_t *knot;  /* of a filter: the one before that length, -1 beyond the cutoff */
    int32_t *owner; /* of a filter: its pair, or -1 where another chunk has that */
    REAL *weight;   /* [filters][6] */
    REAL *rows, *sums, *filter; /* [N][row][SUB], [N][4][SUB], [MOST][3][SUB] */
    VEC *pair;                  /* [pairs][7] */
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
    int64_t k = aster_min64((int64_t)x, m->knots - 1);
    REAL t = x - (REAL)k, u = 1 - t;
    w[0] = t * u * u;
    w[1] = t * t * (3 - 2 * t);
    w[2] = -(t * t * u);
    w[3] = u * (1 - 3 * t) * m->scale;
    w[4] = 6 * t * u * m->scale;
    w[5] = t * (3 * t - 2) * m->scale;
    return (int32_t)k;
}

static void RN(list_filters)(struct RN(messages) * m, struct chunk *c)
{
    int32_t n = c->f0;
    for (int32_t e = c->e0; e < c->e1; e++) {
        int32_t back = m->back[e];
        if (back >= c->e0 && back < e) {
            m->slot[e] = m->slot[back];
            continue;
        }
        m->slot[e] = n - c->f0;
        m->first[n] = back < e ? back : e;
        m->owner[n] = e < back && m->n_pairs < m->n_edges / 2 ? (int32_t)m->n_pairs++ : -1;
        m->knot[n] = RN(weigh)(m, m->edge[4 * (int64_t)m->first[n] + 3], m->weight + MESSAGE_WEIGHTS * (int64_t)n);
        n++;
    }
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
static struct RN(messages) RN(messages_new)(const struct aster_args *a, int at, int64_t row)
{
    const struct aster_tensor *s = &a->in[at], *table = &a->in[at + 2];
    struct RN(messages) m = {.n_atoms = s->dim[0],
                             .n_edges = a->in[at + 1].dim[0],
                             .width = s->dim[1],
                             .knots = table->dim[1] - 1,
                             .parts = table->dim[3],
                             .row = row,
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
    m.rows =
        part_of(&work, m.n_atoms * MESSAGE_ROWS * MESSAGE_BLOCK * (int64_t)sizeof(REAL));
    m.sums = m.rows + m.n_atoms * row * SUB;
    m.filter = part_of(&work, MESSAGE_MOST * 3 * MESSAGE_BLOCK * (int64_t)sizeof(REAL));
    m.pair = (VEC *)work;
    RN(list_chunks)(&m);
    return m;
}

/* ---- columns of the atoms ---- */

/* Channels c .. c + SUB - 1 of x [N, ld] to row r of every atom; 0 beyond the last of width */
static void RN(take)(const struct RN(messages) * m, REAL *rows, int64_t n_rows, int64_t r,
                     const REAL *x, int64_t ld, int64_t c)
{
    bool is_whole = c + SUB <= m->width;
    rows += r * SUB;
    x += c;
    for (int64_t i = 0; i < m->n_atoms; i++, rows += n_rows * SUB, x += ld)
        for (int64_t u = 0; u < UNITS; u++) {
            int64_t left = is_whole ? LANES : m->width - c - u * LANES;
            ASTER_V(store)
            (rows + u * LANES, left > 0 ? RN(load)(left, x + u * LANES) : ASTER_V(set)(0));
        }
}

static void RN(give)(const struct RN(messages) * m, int64_t r, REAL *y, int64_t ld, int64_t c)
{
    bool is_whole = c + SUB <= m->width;
    const REAL *sum = m->sums + r * SUB;
    y += c;
    for (int64_t i = 0; i < m->n_atoms; i++, sum += 4 * SUB, y += ld)
        for (int64_t u = 0; u < UNITS; u++) {
            int64_t left = is_whole ? LANES : m->width - c - u * LANES;
            if (left > 0)
                RN(store)(left, y + u * LANES, ASTER_V(load)(sum + u * LANES));
        }
}

static void RN(take_vectors)(const struct RN(messages) * m, REAL *rows, int64_t n_rows, int64_t r,
                             const REAL *v, int64_t c)
{
    for (int64_t k = 0; k < 3; k++)
        RN(take)(m, rows, n_rows, r + k, v + k * m->width, 3 * m->width, c);
}

static void RN(give_vectors)(const struct RN(messages) * m, REAL *v, int64_t c)
{
    for (int64_t k = 0; k < 3; k++)
        RN(give)(m, 1 + k, v + k * m->width, 3 * m->width, c);
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

/* w[0] m0 + w[1] (y1 - y0) + w[2] m1 */
ASTER_VFN VEC RN(change)(const REAL *at, const int parts, const VEC w[3])
{
    VEC y = ASTER_V(load)(at + 2 * parts * MESSAGE_BLOCK) - ASTER_V(load)(at);
    y = ASTER_V(fma)(ASTER_V(load)(at + parts * MESSAGE_BLOCK), w[0], y * w[1]);
    return ASTER_V(fma)(ASTER_V(load)(at + 3 * parts * MESSAGE_BLOCK), w[2], y);
}

ASTER_VFN VEC RN(between)(const REAL *at, const int parts, const VEC w[3])
{
    return ASTER_V(load)(at) + RN(change)(at, parts, w);
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

ASTER_VFN void RN(filters)(const struct RN(messages) * m, const struct chunk *c, const REAL *table,
                           const int parts)
{
    for (int64_t f = c->f0; f < c->f1; f++) {
        const REAL *at = RN(knot_of)(m, f, table, parts);
        REAL *y = m->filter + (f - c->f0) * 3 * SUB;
        VEC w[3];
        RN(fetch_ahead)(m, c, f, table, parts);
        for (int k = 0; k < 3; k++)
            w[k] = ASTER_V(set)(m->weight[MESSAGE_WEIGHTS * f + k]);
        for (int p = 0; p < parts; p++)
            for (int u = 0; u < UNITS; u++)
                ASTER_V(store)
                (y + p * SUB + u * LANES,
                 RN(between)(at + p * MESSAGE_BLOCK + u * LANES, parts, w));
    }
}

ASTER_VFN void RN(sum_messages)(const struct RN(messages) * m, const struct chunk *c, int64_t i,
                                const int parts)
{
    for (; i < m->n_atoms && m->starts[i] < c->e1; i++) {
        int64_t from = aster_max64(m->starts[i], c->e0), to = aster_min64(m->starts[i + 1], c->e1);
        VEC y[4 * UNITS];
        for (int k = 0; k < 4 * UNITS; k++)
            y[k] = ASTER_V(load)(m->sums + i * 4 * SUB + k * LANES);
        for (int64_t e = from; e < to; e++) {
            const REAL *phi = m->filter + m->slot[e] * 3 * SUB,
                       *x = m->rows + m->src[e] * m->row * SUB;
            for (int u = 0; u < UNITS; u++) {
                VEC direction = ASTER_V(load)(phi + (parts - 1) * SUB + u * LANES);
                y[u] = ASTER_V(fma)(ASTER_V(load)(x + u * LANES), ASTER_V(load)(phi + u * LANES),
                                    y[u]);
                for (int k = 1; k < 4; k++) {
                    VEC sum = y[k * UNITS + u];
                    if (parts == 3)
                        sum = ASTER_V(fma)(ASTER_V(load)(x + k * SUB + u * LANES),
                                           ASTER_V(load)(phi + SUB + u * LANES), sum);
                    y[k * UNITS + u] =
                        ASTER_V(fma)(ASTER_V(set)(m->edge[4 * e + k - 1]), direction, sum);
                }
            }
        }
        for (int k = 0; k < 4 * UNITS; k++)
            ASTER_V(store)(m->sums + i * 4 * SUB + k * LANES, y[k]);
    }
}

/* The first atom with edges at or behind e, from i on */
static int64_t RN(atom_of)(const struct RN(messages) * m, int64_t e, int64_t i)
{
    while (i < m->n_atoms && m->starts[i + 1] <= e)
        i++;
    return i;
}

static void RN(message)(const struct aster_args *a)
{
    const REAL *s = a->in[0].p, *v = a->n_in > 5 ? a->in[5].p : NULL;
    struct RN(messages) m = RN(messages_new)(a, 0, 4);
    for (int64_t c = 0; c < m.width; c += SUB) {
        RN(take)(&m, m.rows, 4, 0, s, m.width, c);
        if (v)
            RN(take_vectors)(&m, m.rows, 4, 1, v, c);
        else
            for (int64_t i = 0; i < m.n_atoms; i++)
                memset(m.rows + (4 * i + 1) * SUB, 0, (size_t)(3 * SUB) * sizeof(REAL));
        memcpy(m.sums, m.rows, (size_t)(m.n_atoms * 4 * SUB) * sizeof(REAL));
        for (int64_t k = 0, i = 0; k < m.n_chunks; k++) {
            const struct chunk *chunk = &m.chunk[k];
            i = RN(atom_of)(&m, chunk->e0, i);
            if (v) {
                RN(filters)(&m, chunk, RN(column)(&m, c), 3);
                RN(sum_messages)(&m, chunk, i, 3);
            } else {
                RN(filters)(&m, chunk, RN(column)(&m, c), 2);
                RN(sum_messages)(&m, chunk, i, 2);
            }
        }
        RN(give)(&m, 0, a->out[0].p, m.width, c);
        RN(give_vectors)(&m, a->out[1].p, c);
    }
}

/* ---- backward: rows of an atom are s, v, ds', dv' ---- */

/* A filter, and what its pair of edges gives to the derivatives by length and directions: the
 * filter's derivative is that by both messages. */
ASTER_VFN void RN(pair_unit)(const struct RN(messages) * m, int64_t f, const REAL *at, int64_t u,
                             REAL *y, VEC *g, const int parts)
{
    const REAL *weight = m->weight + MESSAGE_WEIGHTS * f;
    int64_t e = m->first[f], b = m->back[e];
    const REAL *to = m->rows + m->src[b] * 8 * SUB + u, *from = m->rows + m->src[e] * 8 * SUB + u;
    VEC w[3], slope[3], phi, d;
    at += u;
    y += u;
    for (int k = 0; k < 3; k++) {
        w[k] = ASTER_V(set)(weight[k]);
        slope[k] = ASTER_V(set)(weight[3 + k]);
    }
    ASTER_V(store)(y, RN(between)(at, parts, w));
    d = ASTER_V(load)(from) * ASTER_V(load)(to + 4 * SUB);
    d = ASTER_V(fma)(ASTER_V(load)(to), ASTER_V(load)(from + 4 * SUB), d);
    g[0] = ASTER_V(fma)(d, RN(change)(at, parts, slope), g[0]);
    if (parts == 3) {
        ASTER_V(store)(y + SUB, RN(between)(at + MESSAGE_BLOCK, parts, w));
        d = ASTER_V(set)(0);
        for (int k = 1; k < 4; k++) {
            d = ASTER_V(fma)(ASTER_V(load)(from + k * SUB), ASTER_V(load)(to + (4 + k) * SUB), d);
            d = ASTER_V(fma)(ASTER_V(load)(to + k * SUB), ASTER_V(load)(from + (4 + k) * SUB), d);
        }
        g[0] = ASTER_V(fma)(d, RN(change)(at + MESSAGE_BLOCK, parts, slope), g[0]);
    }
    at += (parts - 1) * MESSAGE_BLOCK;
    phi = RN(between)(at, parts, w);
    d = ASTER_V(set)(0);
    for (int k = 0; k < 3; k++) {
        VEC there = ASTER_V(load)(to + (5 + k) * SUB), here = ASTER_V(load)(from + (5 + k) * SUB);
        d = ASTER_V(fma)(ASTER_V(set)(m->edge[4 * e + k]), there, d);
        d = ASTER_V(fma)(ASTER_V(set)(m->edge[4 * b + k]), here, d);
        g[1 + k] = ASTER_V(fma)(phi, there, g[1 + k]);
        g[4 + k] = ASTER_V(fma)(phi, here, g[4 + k]);
    }
    g[0] = ASTER_V(fma)(d, RN(change)(at, parts, slope), g[0]);
}

ASTER_VFN void RN(pairs)(const struct RN(messages) * m, const struct chunk *c, const REAL *table,
                         bool is_first, const int parts)
{
    for (int64_t f = c->f0; f < c->f1; f++) {
        const REAL *at = RN(knot_of)(m, f, table, parts);
        REAL *y = m->filter + (f - c->f0) * 3 * SUB;
        VEC g[MESSAGE_VECTORS], *sum;
        RN(fetch_ahead)(m, c, f, table, parts);
        if (m->owner[f] < 0) {
            struct chunk one = {0, 0, (int32_t)f, (int32_t)f + 1};
            struct RN(messages) there = *m;
            there.filter = y;
            RN(filters)(&there, &one, table, parts);
            continue;
        }
        sum = m->pair + m->owner[f] * (int64_t)MESSAGE_VECTORS;
        for (int k = 0; k < MESSAGE_VECTORS; k++)
            g[k] = is_first ? ASTER_V(set)(0) : sum[k];
        for (int u = 0; u < UNITS; u++)
            RN(pair_unit)(m, f, at, u * LANES, y, g, parts);
        for (int k = 0; k < MESSAGE_VECTORS; k++)
            sum[k] = g[k];
    }
}

/* Each message goes back to its source: the edge back leads there, and has the same filter. */
ASTER_VFN void RN(sum_back)(const struct RN(messages) * m, const struct chunk *c, int64_t i,
                            const int parts)
{
    enum { N = 4 };
    const int n = parts == 3 ? N * UNITS : UNITS;
    for (; i < m->n_atoms && m->starts[i] < c->e1; i++) {
        int64_t from = aster_max64(m->starts[i], c->e0), to = aster_min64(m->starts[i + 1], c->e1);
        VEC y[N * UNITS];
        for (int k = 0; k < n; k++)
            y[k] = ASTER_V(load)(m->sums + i * 4 * SUB + k * LANES);
        for (int64_t e = from; e < to; e++) {
            const REAL *phi = m->filter + m->slot[e] * 3 * SUB,
                       *x = m->rows + (m->src[e] * 8 + 4) * SUB;
            for (int k = 0; k < n; k++)
                y[k] = ASTER_V(fma)(ASTER_V(load)(x + k * LANES),
                                    ASTER_V(load)(phi + (k < UNITS ? 0 : SUB) + k % UNITS * LANES),
                                    y[k]);
        }
        for (int k = 0; k < n; k++)
            ASTER_V(store)(m->sums + i * 4 * SUB + k * LANES, y[k]);
    }
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
            edge[4 * e + 3] = RN(add_up)(g);
            edge[4 * b + 3] = 0;
            for (int d = 0; d < 3; d++) {
                edge[4 * e + d] = RN(add_up)(g + 1 + d);
                edge[4 * b + d] = RN(add_up)(g + 4 + d);
            }
        }
}

static void RN(message_dx)(const struct aster_args *a)
{
    const REAL *s = a->in[2].p, *v = a->n_in > 7 ? a->in[7].p : NULL;
    struct RN(messages) m = RN(messages_new)(a, 2, 8);
    for (int64_t c = 0; c < m.width; c += SUB) {
        RN(take)(&m, m.rows, 8, 0, s, m.width, c);
        RN(take)(&m, m.rows, 8, 4, a->in[0].p, m.width, c);
        RN(take_vectors)(&m, m.rows, 8, 5, a->in[1].p, c);
        if (v)
            RN(take_vectors)(&m, m.rows, 8, 1, v, c);
        for (int64_t i = 0; i < m.n_atoms; i++)
            memcpy(m.sums + i * 4 * SUB, m.rows + (i * 8 + 4) * SUB,
                   (size_t)(4 * SUB) * sizeof(REAL));
        for (int64_t k = 0, i = 0; k < m.n_chunks; k++) {
            const struct chunk *chunk = &m.chunk[k];
            i = RN(atom_of)(&m, chunk->e0, i);
            if (v)
                RN(pairs)(&m, chunk, RN(column)(&m, c), c == 0, 3);
            else
                RN(pairs)(&m, chunk, RN(column)(&m, c), c == 0, 2);
            if (a->i[0] && v)
                RN(sum_back)(&m, chunk, i, 3);
            else if (a->i[0])
                RN(sum_back)(&m, chunk, i, 2);
        }
        if (a->i[0])
            RN(give)(&m, 0, a->out[1].p, m.width, c);
        if (a->i[0] && v)
            RN(give_vectors)(&m, a->out[2].p, c);
    }
    RN(give_edges)(&m, a->out[0].p);
}
#undef SUB
#undef UNITS
