/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages for one real type: REAL and VSUF are defined by message.c.
 *
 * SUB channels at a time, through all pairs of edges: then their part of the table stays in the
 * second-level cache, a molecule's atoms in the first. A pair's filter is made in registers and used
 * for both of its edges at once. An atom's sums get what earlier atoms give it while those have their
 * turn, then what its own pairs give: the order of its edges, so that atoms in one place have the same
 * bits. */

#define SUB   (2 * LANES < MESSAGE_BLOCK ? 2 * LANES : (int64_t)MESSAGE_BLOCK)
#define UNITS (2 * LANES < MESSAGE_BLOCK ? 2 : MESSAGE_BLOCK / LANES)

/* An edge and the edge back, of atom i, whose pairs lie together */
struct RN(pair) {
    REAL w[6];    /* of its filter's value and of its slope (weigh) */
    REAL unit[3]; /* direction of the edge into i */
    int32_t j;    /* its source */
    int32_t edge; /* its number */
    int32_t at;   /* its interval */
};
_Static_assert(sizeof(struct RN(pair)) <= MESSAGE_PAIR * sizeof(REAL), "room for a pair");

struct RN(messages) {
    int64_t n_atoms, n_edges, width, intervals, parts;
    const REAL *edge, *table;
    const int32_t *src, *back, *starts;
    REAL cutoff, scale;
    struct RN(pair) * pair;
    int32_t *begin; /* [N + 1] pairs of an atom */
    int32_t *reach; /* [N] the last atom that has to do with its pairs */
    int32_t *own;   /* [N] whether it is its own neighbour */
    REAL *tail;     /* [MESSAGE_TAILS][N][SUB]: channels of scalars where a row ends within SUB */
    VEC *sum;       /* [pairs][MESSAGE_SUMS] */
};

/* SUB channels of the atoms: scalars ld apart, vectors ROW apart (NULL: zero) */
enum { RN(ROW) = 3 * MESSAGE_BLOCK };
struct RN(columns) {
    int64_t ld;
    REAL *s, *v;
};

/* A filter is c1 + w0 (c1 - c0) + w1 (c1 - c2) + w2 (c1 - c3): the four B-splines that are not 0 in
 * an interval have the sum 1, and differences keep rounding small. The other w are the derivatives by
 * the distance. */
static int32_t RN(weigh)(const struct RN(messages) * m, REAL d, REAL *w)
{
    const REAL value = (REAL)-1 / 6, slope = m->scale / -2;
    if (d != d) {
        for (int k = 0; k < 6; k++)
            w[k] = d;
        return 0;
    }
    REAL x = d > 0 ? d * m->scale : 0;
    int32_t k = (int32_t)x < m->intervals ? (int32_t)x : (int32_t)m->intervals - 1;
    REAL t = x - (REAL)k, u = 1 - t;
    w[0] = u * u * u * value;
    w[1] = (1 + 3 * t * (1 + t * u)) * value;
    w[2] = t * t * t * value;
    w[3] = -u * u * slope;
    w[4] = (1 + t * (2 - 3 * t)) * slope;
    w[5] = t * t * slope;
    return k;
}

/* Pairs within the cutoff, each with the atom of its first edge */
static void RN(list_pairs)(struct RN(messages) * m)
{
    int32_t n = 0;
    for (int64_t i = 0; i < m->n_atoms; i++) {
        m->begin[i] = n;
        m->reach[i] = (int32_t)i;
        m->own[i] = 0;
        for (int32_t e = m->starts[i]; e < m->starts[i + 1]; e++) {
            const REAL *edge = m->edge + 4 * (int64_t)e;
            if (m->back[e] <= e || edge[3] > m->cutoff || n > m->n_edges / 2)
                continue;
            struct RN(pair) *p = &m->pair[n++];
            p->j = m->src[e];
            m->reach[i] = p->j > m->reach[i] ? p->j : m->reach[i];
            m->own[i] |= p->j == i;
            p->edge = e;
            p->at = RN(weigh)(m, edge[3], p->w);
            memcpy(p->unit, edge, sizeof p->unit);
        }
    }
    m->begin[m->n_atoms] = n;
}

/* at: the first of s, edge, table, link, starts, v */
static struct RN(messages) RN(messages_new)(const struct aster_args *a, int at)
{
    const struct aster_tensor *s = &a->in[at], *table = &a->in[at + 2];
    struct RN(messages) m = {.n_atoms = s->dim[0],
                             .n_edges = a->in[at + 1].dim[0],
                             .width = s->dim[1],
                             .intervals = table->dim[1] - 3,
                             .parts = table->dim[2],
                             .edge = a->in[at + 1].p,
                             .table = table->p,
                             .src = a->in[at + 3].p,
                             .starts = a->in[at + 4].p,
                             .cutoff = (REAL)a->f[0],
                             .scale = (REAL)(table->dim[1] - 3) / (REAL)a->f[0]};
    char *work = a->work;
    m.back = m.src + m.n_edges;
    m.pair = part_of(&work, (m.n_edges / 2 + 1) * MESSAGE_PAIR * (int64_t)sizeof(REAL));
    m.begin = part_of(&work, (m.n_atoms + 1) * (int64_t)sizeof *m.begin);
    m.reach = part_of(&work, (m.n_atoms + 1) * (int64_t)sizeof *m.reach);
    m.own = part_of(&work, (m.n_atoms + 1) * (int64_t)sizeof *m.own);
    m.tail = part_of(&work, m.n_atoms * MESSAGE_TAILS * MESSAGE_BLOCK * (int64_t)sizeof(REAL));
    m.sum = (VEC *)work;
    RN(list_pairs)(&m);
    return m;
}

/* Vectors of the channels from c on, of the first atom */
static int64_t RN(vectors_at)(const struct RN(messages) * m, int64_t c)
{
    return c / MESSAGE_BLOCK * m->n_atoms * RN(ROW) + c % MESSAGE_BLOCK;
}

/* Channels c .. c + SUB - 1 of s [N, width] and v; where s has fewer, in tail number k, whose other
 * channels are zero */
static struct RN(columns) RN(columns_of)(const struct RN(messages) * m, int64_t c, REAL *s, REAL *v,
                                         int k)
{
    if (m->width - c >= SUB)
        return (struct RN(columns)){m->width, s + c, v ? v + RN(vectors_at)(m, c) : NULL};
    return (struct RN(columns)){SUB, m->tail + k * m->n_atoms * MESSAGE_BLOCK,
                                v ? v + RN(vectors_at)(m, c) : NULL};
}

static void RN(fill_tail)(const struct RN(messages) * m, int64_t c, const REAL *s,
                          const struct RN(columns) * x)
{
    for (int64_t i = 0; m->width - c < SUB && i < m->n_atoms; i++)
        for (int64_t k = 0; k < SUB; k++)
            x->s[i * SUB + k] = k < m->width - c ? s[i * m->width + c + k] : 0;
}

static void RN(take_tail)(const struct RN(messages) * m, int64_t c, const struct RN(columns) * y,
                          REAL *s)
{
    for (int64_t i = 0; m->width - c < SUB && i < m->n_atoms; i++)
        for (int64_t k = 0; k < m->width - c; k++)
            s[i * m->width + c + k] = y->s[i * SUB + k];
}

/* ---- an atom's turn ---- */

/* Where an atom's SUB channels are */
struct RN(atom) {
    REAL *s, *v;
};
ASTER_VFN struct RN(atom) RN(atom_of)(const struct RN(columns) * x, int64_t i, bool has_v)
{
    return (struct RN(atom)){x->s + i * x->ld, has_v ? x->v + i * RN(ROW) : NULL};
}

/* Sums begin as what is there already. */
ASTER_VFN void RN(begin_sums)(const struct RN(columns) * x, const struct RN(columns) * y, int64_t i)
{
    const struct RN(atom) from = RN(atom_of)(x, i, x->v), to = RN(atom_of)(y, i, y->v);
    for (int64_t u = 0; u < UNITS * LANES; u += LANES) {
        ASTER_V(store)(to.s + u, ASTER_V(load)(from.s + u));
        for (int64_t k = 0; to.v && k < RN(ROW); k += MESSAGE_BLOCK)
            ASTER_V(store)(to.v + k + u, from.v ? ASTER_V(load)(from.v + k + u) : ASTER_V(set)(0));
    }
}

/* Sums of an atom: s, x, y, z, of SUB channels each; 0 where it is its own neighbour, since its pairs
 * then add to them in memory, too */
ASTER_VFN void RN(take_sums)(struct RN(atom) from, bool own, VEC *y)
{
    for (int64_t u = 0; u < UNITS; u++) {
        y[u] = own ? ASTER_V(set)(0) : ASTER_V(load)(from.s + u * LANES);
        for (int64_t k = 0; k < 3; k++)
            y[(k + 1) * UNITS + u] = own || !from.v
                                         ? ASTER_V(set)(0)
                                         : ASTER_V(load)(from.v + k * MESSAGE_BLOCK + u * LANES);
    }
}
ASTER_VFN void RN(give_sums)(struct RN(atom) to, bool own, const VEC *y)
{
    const VEC zero = ASTER_V(set)(0);
    for (int64_t u = 0; u < UNITS; u++) {
        REAL *s = to.s + u * LANES;
        VEC before = own ? ASTER_V(load)(s) : zero;
        ASTER_V(store)(s, before + y[u]);
        for (int64_t k = 0; to.v && k < 3; k++) {
            REAL *v = to.v + k * MESSAGE_BLOCK + u * LANES;
            before = own ? ASTER_V(load)(v) : zero;
            ASTER_V(store)(v, before + y[(k + 1) * UNITS + u]);
        }
    }
}

/* Coefficients of the channels from c on */
static const REAL *RN(column)(const struct RN(messages) * m, int64_t c)
{
    return m->table + c / MESSAGE_BLOCK * (m->intervals + 3) * m->parts * MESSAGE_BLOCK +
           c % MESSAGE_BLOCK;
}

/* Tables are larger than near caches, and places in them have no order. */
ASTER_VFN void RN(fetch)(const REAL *table, const struct RN(pair) * p, const int parts)
{
    const REAL *at = table + (int64_t)p->at * (parts * MESSAGE_BLOCK);
    for (int64_t k = 0; k < 4 * parts * MESSAGE_BLOCK; k += 64 / (int64_t)sizeof(REAL))
        __builtin_prefetch(at + k);
}

/* A filter's value, with slope that too, from its coefficients, step apart */
ASTER_VFN VEC RN(filter)(const REAL *at, const int64_t step, const VEC *w, VEC *slope)
{
    VEC c1 = ASTER_V(load)(at + step), c0 = c1 - ASTER_V(load)(at),
        c2 = c1 - ASTER_V(load)(at + 2 * step), c3 = c1 - ASTER_V(load)(at + 3 * step);
    if (slope)
        *slope = ASTER_V(fma)(c3, w[5], ASTER_V(fma)(c0, w[3], c2 * w[4]));
    return c1 + ASTER_V(fma)(c3, w[2], ASTER_V(fma)(c0, w[0], c2 * w[1]));
}

/* Pairs whose filters are called from a table ahead of their use */
enum { RN(AHEAD) = 4 };

/* ---- forward ---- */

/* The messages of a pair: x of atoms i and j, sums of j in memory, those of i in y */
ASTER_VFN void RN(messages_of)(const struct RN(pair) * p, const REAL *at, struct RN(atom) xi,
                               struct RN(atom) xj, struct RN(atom) yj, VEC *y, const int parts)
{
    const int64_t step = parts * MESSAGE_BLOCK;
    VEC w[3];
    for (int k = 0; k < 3; k++)
        w[k] = ASTER_V(set)(p->w[k]);
    for (int u = 0; u < UNITS; u++) {
        const int64_t o = u * LANES;
        VEC phi = RN(filter)(at + o, step, w, NULL);
        y[u] = ASTER_V(fma)(ASTER_V(load)(xj.s + o), phi, y[u]);
        ASTER_V(store)(yj.s + o, ASTER_V(fma)(ASTER_V(load)(xi.s + o), phi, ASTER_V(load)(yj.s + o)));
        VEC along = RN(filter)(at + (parts - 1) * MESSAGE_BLOCK + o, step, w, NULL);
        if (parts == 3)
            phi = RN(filter)(at + MESSAGE_BLOCK + o, step, w, NULL);
        for (int k = 0; k < 3; k++) {
            const int64_t v = k * MESSAGE_BLOCK + o;
            VEC push = ASTER_V(set)(p->unit[k]) * along, mine = y[(k + 1) * UNITS + u] + push,
                other = ASTER_V(load)(yj.v + v) - push;
            if (parts == 3) {
                mine = ASTER_V(fma)(ASTER_V(load)(xj.v + v), phi, mine);
                other = ASTER_V(fma)(ASTER_V(load)(xi.v + v), phi, other);
            }
            y[(k + 1) * UNITS + u] = mine;
            ASTER_V(store)(yj.v + v, other);
        }
    }
}

/* Sums of the atoms that have to do with the pairs of atom i begin, those before ready have. */
ASTER_VFN int64_t RN(begin_for)(const struct RN(messages) * m, const struct RN(columns) * x,
                                const struct RN(columns) * y, int64_t i, int64_t ready)
{
    for (; ready <= m->reach[i]; ready++)
        RN(begin_sums)(x, y, ready);
    return ready;
}

ASTER_VFN void RN(all_messages)(const struct RN(messages) * m, const struct RN(columns) * from,
                                const struct RN(columns) * to, const REAL *table, const int parts)
{
    const struct RN(pair) *const pair = m->pair;
    const struct RN(columns) x = *from, y = *to;
    const int64_t last = m->begin[m->n_atoms] - 1;
    int64_t ready = 0;
    for (int64_t i = 0; i < m->n_atoms; i++) {
        const int64_t end = m->begin[i + 1];
        VEC sums[4 * UNITS];
        ready = RN(begin_for)(m, &x, &y, i, ready);
        RN(take_sums)(RN(atom_of)(&y, i, true), m->own[i], sums);
        for (int64_t p = m->begin[i]; p < end; p++) {
            const int64_t j = pair[p].j;
            RN(fetch)(table, &pair[aster_min64(p + RN(AHEAD), last)], parts);
            RN(messages_of)(&pair[p], table + (int64_t)pair[p].at * (parts * MESSAGE_BLOCK),
                            RN(atom_of)(&x, i, parts == 3), RN(atom_of)(&x, j, parts == 3),
                            RN(atom_of)(&y, j, true), sums, parts);
        }
        RN(give_sums)(RN(atom_of)(&y, i, true), m->own[i], sums);
    }
}

/* Functions of their own, so that the compiler counts from the table's address. */
#define FORWARD(parts)                                                                             \
    static __attribute__((noinline)) void RN(forward_##parts)(                                     \
        const struct RN(messages) * m, const struct RN(columns) * x, const struct RN(columns) * y, \
        const REAL *table)                                                                         \
    {                                                                                              \
        RN(all_messages)(m, x, y, table, parts);                                                   \
    }
FORWARD(2)
FORWARD(3)
#undef FORWARD

static void RN(message)(const struct aster_args *a)
{
    REAL *s = a->in[0].p, *v = a->n_in > 5 ? a->in[5].p : NULL;
    struct RN(messages) m = RN(messages_new)(a, 0);
    for (int64_t c = 0; c < aster_round_up(m.width, MESSAGE_BLOCK); c += SUB) {
        struct RN(columns) x = RN(columns_of)(&m, c, s, v, 0),
                           y = RN(columns_of)(&m, c, a->out[0].p, a->out[1].p, 1);
        RN(fill_tail)(&m, c, s, &x);
        if (v)
            RN(forward_3)(&m, &x, &y, RN(column)(&m, c));
        else
            RN(forward_2)(&m, &x, &y, RN(column)(&m, c));
        RN(take_tail)(&m, c, &y, a->out[0].p);
    }
}

/* ---- backward ---- */

/* Atoms i and j of a pair: what messages were made of, and derivatives by what became of them */
struct RN(ends) {
    struct RN(atom) xi, xj, gi, gj, yj; /* yj: sums of j, with atoms */
};

/* What a pair gives to the derivatives by its length and direction, in sum, and with atoms to those
 * by its atoms: what one edge carried to i came from j, and the edge back has the same filter. */
ASTER_VFN void RN(back_of)(const struct RN(pair) * p, const REAL *at, const struct RN(ends) * q,
                           VEC *sum, VEC *y, const int parts, const bool atoms)
{
    const int64_t step = parts * MESSAGE_BLOCK;
    VEC w[6], unit[3], length = sum[0], way[3] = {sum[1], sum[2], sum[3]};
    for (int k = 0; k < 3; k++)
        unit[k] = ASTER_V(set)(p->unit[k]);
    for (int k = 0; k < 6; k++)
        w[k] = ASTER_V(set)(p->w[k]);
    for (int u = 0; u < UNITS; u++) {
        const int64_t o = u * LANES;
        VEC slope, phi = RN(filter)(at + o, step, w, &slope), gi = ASTER_V(load)(q->gi.s + o),
                   gj = ASTER_V(load)(q->gj.s + o);
        VEC by = ASTER_V(fma)(ASTER_V(load)(q->xi.s + o), gj, ASTER_V(load)(q->xj.s + o) * gi);
        length = ASTER_V(fma)(by, slope, length);
        if (atoms) {
            y[u] = ASTER_V(fma)(gj, phi, y[u]);
            ASTER_V(store)(q->yj.s + o, ASTER_V(fma)(gi, phi, ASTER_V(load)(q->yj.s + o)));
        }
        VEC along_slope,
            along = RN(filter)(at + (parts - 1) * MESSAGE_BLOCK + o, step, w, &along_slope);
        VEC there = ASTER_V(set)(0), back = there, across = there;
        if (parts == 3)
            phi = RN(filter)(at + MESSAGE_BLOCK + o, step, w, &slope);
        for (int k = 0; k < 3; k++) {
            const int64_t v = k * MESSAGE_BLOCK + o;
            gi = ASTER_V(load)(q->gi.v + v);
            gj = ASTER_V(load)(q->gj.v + v);
            VEC pull = gi - gj;
            across = ASTER_V(fma)(unit[k], pull, across);
            way[k] = ASTER_V(fma)(along, pull, way[k]);
            if (parts == 3) {
                there = ASTER_V(fma)(ASTER_V(load)(q->xj.v + v), gi, there);
                back = ASTER_V(fma)(ASTER_V(load)(q->xi.v + v), gj, back);
            }
            if (parts == 3 && atoms) {
                y[(k + 1) * UNITS + u] = ASTER_V(fma)(gj, phi, y[(k + 1) * UNITS + u]);
                ASTER_V(store)
                (q->yj.v + v, ASTER_V(fma)(gi, phi, ASTER_V(load)(q->yj.v + v)));
            }
        }
        if (parts == 3)
            length = ASTER_V(fma)(there + back, slope, length);
        length = ASTER_V(fma)(across, along_slope, length);
    }
    sum[0] = length;
    for (int k = 0; k < 3; k++)
        sum[1 + k] = way[k];
}

/* to: with atoms */
ASTER_VFN void RN(all_back)(const struct RN(messages) * m, const struct RN(columns) * from,
                            const struct RN(columns) * by, const struct RN(columns) * to,
                            const REAL *table, const bool is_first, const int parts,
                            const bool atoms)
{
    const struct RN(pair) *const pair = m->pair;
    const struct RN(columns) x = *from, g = *by, y = *to;
    const int64_t last = m->begin[m->n_atoms] - 1;
    int64_t ready = 0;
    for (int64_t i = 0; i < m->n_atoms; i++) {
        const int64_t end = m->begin[i + 1];
        VEC sums[4 * UNITS];
        if (atoms) {
            ready = RN(begin_for)(m, &g, &y, i, ready);
            RN(take_sums)(RN(atom_of)(&y, i, parts == 3), m->own[i], sums);
        }
        for (int64_t p = m->begin[i]; p < end; p++) {
            const int64_t j = pair[p].j;
            struct RN(ends) q = {RN(atom_of)(&x, i, parts == 3), RN(atom_of)(&x, j, parts == 3),
                                 RN(atom_of)(&g, i, true), RN(atom_of)(&g, j, true),
                                 {NULL, NULL}};
            VEC *sum = m->sum + MESSAGE_SUMS * p;
            RN(fetch)(table, &pair[aster_min64(p + RN(AHEAD), last)], parts);
            if (atoms)
                q.yj = RN(atom_of)(&y, j, parts == 3);
            for (int k = 0; is_first && k < MESSAGE_SUMS; k++)
                sum[k] = ASTER_V(set)(0);
            RN(back_of)(&pair[p], table + (int64_t)pair[p].at * (parts * MESSAGE_BLOCK), &q, sum,
                        sums, parts, atoms);
        }
        if (atoms)
            RN(give_sums)(RN(atom_of)(&y, i, parts == 3), m->own[i], sums);
    }
}

#define BACKWARD(name, parts, atoms)                                                               \
    static __attribute__((noinline)) void RN(name)(                                                \
        const struct RN(messages) * m, const struct RN(columns) * x, const struct RN(columns) * g, \
        const struct RN(columns) * y, const REAL *table, bool is_first)                            \
    {                                                                                              \
        RN(all_back)(m, x, g, y, table, is_first, parts, atoms);                                   \
    }
BACKWARD(back_2, 2, true)
BACKWARD(back_3, 3, true)
BACKWARD(back_edges_2, 2, false)
BACKWARD(back_edges_3, 3, false)
#undef BACKWARD

static REAL RN(add_up)(const VEC *v)
{
    REAL sum = 0;
    for (int k = 0; k < LANES; k++)
        sum += (*v)[k];
    return sum;
}

/* To the first edge of each pair; nothing to the others */
static void RN(give_edges)(const struct RN(messages) * m, REAL *edge)
{
    memset(edge, 0, (size_t)(4 * m->n_edges) * sizeof *edge);
    for (int64_t p = 0; p < m->begin[m->n_atoms]; p++)
        for (int k = 0; k < MESSAGE_SUMS; k++)
            edge[4 * (int64_t)m->pair[p].edge + (k + 3) % 4] =
                RN(add_up)(m->sum + MESSAGE_SUMS * p + k);
}

static void RN(message_dx)(const struct aster_args *a)
{
    REAL *gs = a->in[0].p, *s = a->in[2].p, *v = a->n_in > 7 ? a->in[7].p : NULL;
    const bool atoms = a->i[0];
    struct RN(messages) m = RN(messages_new)(a, 2);
    for (int64_t c = 0; c < aster_round_up(m.width, MESSAGE_BLOCK); c += SUB) {
        const REAL *table = RN(column)(&m, c);
        struct RN(columns) x = RN(columns_of)(&m, c, s, v, 0),
                           g = RN(columns_of)(&m, c, gs, a->in[1].p, 1), y = {0, NULL, NULL};
        RN(fill_tail)(&m, c, s, &x);
        RN(fill_tail)(&m, c, gs, &g);
        if (atoms)
            y = RN(columns_of)(&m, c, a->out[1].p, v ? a->out[2].p : NULL, 2);
        if (v)
            (atoms ? RN(back_3) : RN(back_edges_3))(&m, &x, &g, &y, table, c == 0);
        else
            (atoms ? RN(back_2) : RN(back_edges_2))(&m, &x, &g, &y, table, c == 0);
        if (atoms)
            RN(take_tail)(&m, c, &y, a->out[1].p);
    }
    RN(give_edges)(&m, a->out[0].p);
}
#undef SUB
#undef UNITS
