/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbour lists: all pairs and cell lists give the same, both what trying every image gives;
 * laws; what cannot be listed; elements; checks of structures. */
#include "unit/atoms.h"
#include "atoms/search.h"

#include <math.h>

/* ---- one way or the other ---- */

static bool list_by(int (*way)(struct aster_search *, struct aster_edges *, int32_t *),
                    const struct aster_structure *s, double cutoff, bool single,
                    struct aster_edges *e)
{
    struct aster_search q;
    int32_t *next = calloc((size_t)s->n + 1, sizeof *next);
    bool good = next && fine(aster_search_begin(&q, ctx, 0, s, cutoff, single, false)) &&
                fine(way(&q, e, next));
    if (good)
        aster_edges_link(e, 0, 0, next);
    free(next);
    return good;
}

/* ---- every image of every atom ---- */

static void cross(const double *a, const double *b, double *out)
{
    for (int k = 0; k < 3; k++)
        out[k] = a[(k + 1) % 3] * b[(k + 2) % 3] - a[(k + 2) % 3] * b[(k + 1) % 3];
}

static double product(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Vectors of axes that are not periodic are replaced by unit vectors across the others. */
static void complete(const struct aster_structure *s, double cell[3][3])
{
    int n = 0, axis[3], open[3], n_open = 0;
    memset(cell, 0, 9 * sizeof(double));
    for (int k = 0; k < 3; k++)
        if (s->pbc[k])
            memcpy(cell[axis[n++] = k], s->cell + 3 * k, sizeof cell[k]);
        else
            open[n_open++] = k;
    if (n == 0)
        for (int k = 0; k < 3; k++)
            cell[k][k] = 1;
    if (n == 1) {
        double least[3] = {0}, *v = cell[axis[0]];
        int at = fabs(v[0]) < fabs(v[1]) ? 0 : 1;
        least[fabs(v[2]) < fabs(v[at]) ? 2 : at] = 1;
        cross(v, least, cell[open[0]]);
        cross(v, cell[open[0]], cell[open[1]]);
    }
    if (n == 2)
        cross(cell[axis[0]], cell[axis[1]], cell[open[0]]);
    for (int k = 0; k < n_open; k++) {
        double size = sqrt(product(cell[open[k]], cell[open[k]]));
        for (int x = 0; x < 3; x++)
            cell[open[k]][x] /= size;
    }
}

/* How many shifts along each axis can matter. */
static void ranges(const struct aster_structure *s, double cutoff, int range[3])
{
    double cell[3][3], low[3], high[3];
    complete(s, cell);
    for (int k = 0; k < 3; k++) {
        double across[3];
        cross(cell[(k + 1) % 3], cell[(k + 2) % 3], across);
        double volume = product(cell[k], across),
               height = fabs(volume) / sqrt(product(across, across));
        for (int64_t i = 0; i < s->n; i++) {
            double f = product(s->position + 3 * i, across) / volume;
            low[k] = i ? fmin(low[k], f) : f;
            high[k] = i ? fmax(high[k], f) : f;
        }
        range[k] = s->pbc[k] ? (int)ceil(cutoff / height + high[k] - low[k]) : 0;
    }
}

static double distance(const struct aster_structure *s, int64_t i, int64_t j, const int shift[3])
{
    double d2 = 0;
    for (int x = 0; x < 3; x++) {
        double v = s->position[3 * j + x] - s->position[3 * i + x];
        for (int a = 0; a < 3; a++)
            v += shift[a] ? shift[a] * s->cell[3 * a + x] : 0;
        d2 += v * v;
    }
    return sqrt(d2);
}

/* The list has every edge that is surely within the cutoff and none that is surely not. The oracle
 * goes in the list's order, so one pass compares both. */
static bool agrees(const struct aster_edges *e, const struct aster_structure *s, double cutoff,
                   double unsure)
{
    int range[3], t[3];
    int64_t k = 0;
    ranges(s, cutoff, range);
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t j = 0; j < s->n; j++)
            for (t[0] = -range[0]; t[0] <= range[0]; t[0]++)
                for (t[1] = -range[1]; t[1] <= range[1]; t[1]++)
                    for (t[2] = -range[2]; t[2] <= range[2]; t[2]++) {
                        double d = distance(s, i, j, t);
                        bool self = i == j && !t[0] && !t[1] && !t[2];
                        bool listed = k < e->n && e->dst[k] == i && e->src[k] == j &&
                                      e->shift[3 * k] == t[0] && e->shift[3 * k + 1] == t[1] &&
                                      e->shift[3 * k + 2] == t[2];
                        k += listed;
                        if (fabs(d - cutoff) > unsure && listed != (!self && d < cutoff))
                            return false;
                    }
    return k == e->n;
}

/* ---- tests ---- */

static bool both_ways(const struct aster_structure *s, double cutoff, bool single, int64_t *edges)
{
    struct aster_edges a = {0}, b = {0};
    bool good = list_by(aster_search_pairs, s, cutoff, single, &a) &&
                list_by(aster_search_cells, s, cutoff, single, &b);
    const char *fault = good ? list_fault(&a, 0, 0, s, cutoff) : "no list";
    if (fault)
        tap_note("%lld atoms: %s", (long long)s->n, fault);
    if (good && !same_edges(&a, &b))
        tap_note("%lld atoms: %lld edges by pairs, %lld by cells", (long long)s->n, (long long)a.n,
                 (long long)b.n);
    good = good && !fault && same_edges(&a, &b);
    if (good && !agrees(&a, s, cutoff, single ? 1e-4 : 1e-11)) {
        tap_note("%lld atoms, %lld edges: other edges than those of every image", (long long)s->n,
                 (long long)a.n);
        good = false;
    }
    *edges += a.n;
    aster_edges_free(&a);
    aster_edges_free(&b);
    return good;
}

static void test_random(void)
{
    static const struct {
        const char *what;
        int64_t n;
        double edge, skew, spread, cutoff;
    } cases[] = {
        {"cells larger than the cutoff", 90, 14, 0.2, 1, 5},
        {"cells smaller than the cutoff", 7, 3.3, 0.25, 1, 5},
        {"one atom", 1, 3, 0.3, 1, 6},
        {"skewed cells", 20, 7, 0.6, 1, 4},
        {"positions over many cells", 15, 4, 0.3, 7, 3.5},
        {"few atoms in a large cell", 30, 200, 0.3, 1, 5},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct dice d = {c, 0};
        bool good = true;
        int64_t edges = 0;
        for (int pbc = 0; pbc < 8 && good; pbc++)
            for (int single = 0; single < 2 && good; single++) {
                struct aster_structure s = random_structure(&d, cases[c].n, cases[c].edge,
                                                            cases[c].skew, pbc, cases[c].spread);
                good = both_ways(&s, cases[c].cutoff, single, &edges);
                aster_structure_free(&s);
            }
        tap_ok(good && edges > 0, "%s, each set of periodic axes: %lld edges", cases[c].what,
               (long long)edges);
    }
}

/* The test above sees an edge that is missing, wrong or too much. */
static void test_oracle(void)
{
    struct dice d = {70, 0};
    struct aster_structure s = random_structure(&d, 12, 5, 0.3, 7, 1);
    struct aster_edges e = {0};
    bool good = fine(aster_edges_add(ctx, &e, 0, &s, 5, false, NULL)) && agrees(&e, &s, 5, 1e-11);
    e.n--;
    good = good && !agrees(&e, &s, 5, 1e-11);
    e.n++;
    tap_ok(good && !agrees(&e, &s, 5.2, 1e-11) && !list_fault(&e, 0, 0, &s, 5),
           "an edge less, or a cutoff that differs, is noticed");
    e.shift[3 * (e.n / 2)]++;
    good = list_fault(&e, 0, 0, &s, 5) != NULL;
    e.shift[3 * (e.n / 2)]--;
    e.reverse[e.n / 3] = (int32_t)(e.n / 3);
    tap_ok(good && list_fault(&e, 0, 0, &s, 5), "so is another shift, and another opposite");
    aster_edges_free(&e);
    aster_structure_free(&s);
}

/* A crystal of many atoms, where cells are used: each atom has the neighbours of the unit cell's.
 */
static void test_crystal(void)
{
    enum { M = 9, N = 4 * M * M * M };
    static const double site[4][3] = {{0, 0, 0}, {0, .5, .5}, {.5, 0, .5}, {.5, .5, 0}};
    struct aster_structure one, all;
    struct aster_edges e = {0}, f = {0};
    if (!fine(aster_structure_new(ctx, 4, false, &one)) ||
        !fine(aster_structure_new(ctx, N, false, &all)))
        exit(1);
    for (int k = 0; k < 3; k++) {
        one.cell[4 * k] = 3.6;
        all.cell[4 * k] = 3.6 * M;
        one.pbc[k] = all.pbc[k] = true;
        for (int i = 0; i < 4; i++)
            one.position[3 * i + k] = 3.6 * site[i][k];
    }
    one.has_cell = all.has_cell = true;
    for (int i = 0; i < N; i++) {
        int at[3] = {i / 4 % M, i / 4 / M % M, i / 4 / M / M};
        for (int k = 0; k < 3; k++)
            all.position[3 * i + k] = 3.6 * (at[k] + site[i % 4][k]) + 1e-3 * k;
    }
    bool good = fine(aster_edges_add(ctx, &e, 0, &one, 5, true, NULL)) &&
                fine(aster_edges_add(ctx, &f, 0, &all, 5, true, NULL));
    /* shells of copper within 5: 12 at 2.55, 6 at 3.6, 24 at 4.41 */
    tap_ok(good && e.n == 4 * 42 && f.n == N * 42LL && !list_fault(&f, 0, 0, &all, 5),
           "a crystal of %d atoms: 42 neighbours each, as in its unit cell", N);
    for (int k = 0; k < 3; k++)
        all.pbc[k] = false;
    e.n = f.n = 0;
    good = good && list_by(aster_search_pairs, &all, 5, true, &e) &&
           fine(aster_edges_add(ctx, &f, 0, &all, 5, true, NULL));
    tap_ok(good && f.n < N * 42LL && same_edges(&e, &f), "without its cell: as by all pairs");
    aster_edges_free(&e);
    aster_edges_free(&f);
    aster_structure_free(&one);
    aster_structure_free(&all);
}

/* The smallest difference to the cutoff of all images, within it or beyond. */
static double gap_by_images(const struct aster_structure *s, double cutoff)
{
    double gap = ASTER_GAP_SEEN;
    int range[3], t[3];
    ranges(s, cutoff + gap, range);
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t j = 0; j < s->n; j++)
            for (t[0] = -range[0]; t[0] <= range[0]; t[0]++)
                for (t[1] = -range[1]; t[1] <= range[1]; t[1]++)
                    for (t[2] = -range[2]; t[2] <= range[2]; t[2]++)
                        if (i != j || t[0] || t[1] || t[2])
                            gap = fmin(gap, fabs(distance(s, i, j, t) - cutoff));
    return gap;
}

static void test_gap(void)
{
    static const int64_t sizes[] = {1, 2, 5, 260};
    struct aster_edges e = {0};
    bool good = true;
    for (int k = 0; k < 16; k++) {
        struct dice d = {(uint64_t)(60 + k), 0};
        struct aster_structure s =
            random_structure(&d, sizes[k / 4], k / 4 == 3 ? 30 : 7, 0.2, k % 4 * 2, 1);
        double gap = -1;
        good = good && fine(aster_edges_add(ctx, &e, 0, &s, 5, false, &gap)) &&
               fabs(gap - gap_by_images(&s, 5)) < 1e-10;
        aster_structure_free(&s);
    }
    tap_ok(good, "how near the nearest distance comes to the cutoff, from both sides");
    aster_edges_free(&e);
}

/* Structures back to back: each has the edges that it has alone, behind the others. */
static void test_batch(void)
{
    static const int64_t sizes[] = {3, 1, 0, 500, 12, 70};
    struct aster_edges all = {0}, alone = {0};
    int64_t first = 5;
    bool good = true;
    for (int k = 0; k < 6 && good; k++) {
        struct dice d = {(uint64_t)(80 + k), 0};
        struct aster_structure s = random_structure(&d, sizes[k], 9, 0.3, k, 1.5);
        int64_t begin = all.n;
        alone.n = 0;
        good = fine(aster_edges_add(ctx, &alone, 0, &s, 4, true, NULL)) &&
               fine(aster_edges_add(ctx, &all, first, &s, 4, true, NULL)) &&
               all.n == begin + alone.n && !list_fault(&all, begin, first, &s, 4);
        for (int64_t m = 0; good && m < alone.n; m++)
            good = all.dst[begin + m] == first + alone.dst[m] &&
                   all.src[begin + m] == first + alone.src[m] &&
                   all.reverse[begin + m] == begin + alone.reverse[m];
        first += s.n;
        aster_structure_free(&s);
    }
    tap_ok(good && all.n > 100, "structures back to back have the edges they have alone");
    aster_edges_free(&all);
    aster_edges_free(&alone);
}

/* Moving atoms by cell vectors changes shifts only; turning or moving all changes nothing. */
static void test_moves(void)
{
    struct dice d = {90, 0};
    bool good = true;
    for (int way = 0; way < 2; way++) {
        struct aster_structure s = random_structure(&d, way ? 150 : 20, way ? 12 : 7, 0.3, 7, 1);
        struct aster_edges a = {0}, b = {0};
        int moved[150][3];
        good = good && fine(aster_edges_add(ctx, &a, 0, &s, 5, false, NULL));
        for (int64_t i = 0; i < s.n; i++)
            for (int k = 0; k < 3; k++) {
                moved[i][k] = (int)(roll(&d) * 9) - 4;
                for (int x = 0; x < 3; x++)
                    s.position[3 * i + x] += moved[i][k] * s.cell[3 * k + x];
            }
        good = good && fine(aster_edges_add(ctx, &b, 0, &s, 5, false, NULL)) && a.n == b.n;
        for (int64_t m = 0; good && m < a.n; m++) {
            good = a.src[m] == b.src[m] && a.dst[m] == b.dst[m];
            for (int k = 0; k < 3; k++)
                good = good && b.shift[3 * m + k] ==
                                   a.shift[3 * m + k] - moved[a.src[m]][k] + moved[a.dst[m]][k];
        }
        tap_ok(good && a.n > 0, "%lld atoms, each moved into another cell: shifts follow",
               (long long)s.n);
        aster_edges_free(&a);
        aster_edges_free(&b);
        aster_structure_free(&s);
    }
}

/* Many atoms in one place, and atoms far from all others. */
static void test_odd_places(void)
{
    struct aster_structure s;
    struct aster_edges a = {0}, b = {0};
    if (!fine(aster_structure_new(ctx, 400, false, &s)))
        exit(1);
    for (int i = 300; i < 400; i++)
        s.position[3 * i] = 1e7 * (i - 299) * (i % 2 ? 1 : -1);
    for (int single = 0; single < 2; single++) {
        a.n = b.n = 0;
        bool good = list_by(aster_search_pairs, &s, 5, single, &a) &&
                    list_by(aster_search_cells, &s, 5, single, &b);
        tap_ok(good && a.n == 300 * 299 && same_edges(&a, &b),
               "300 atoms in one place and 100 far away, %s", single ? "single" : "double");
    }
    s.position[3 * 399 + 1] = 1e30;
    int rc = aster_edges_add(ctx, &a, 0, &s, 5, true, NULL);
    failed_with("a position beyond single precision", rc, ASTER_ENUMERIC, "y of atom 400", "1e+30",
                NULL);
    tap_ok(fine(aster_edges_add(ctx, &a, 0, &s, 5, false, NULL)), "in double it is one");
    aster_edges_free(&a);
    aster_edges_free(&b);
    aster_structure_free(&s);
}

static void refuse(const char *what, struct aster_structure *s, double cutoff, int code,
                   const char *word)
{
    struct aster_edges e = {0};
    int rc = aster_edges_add(ctx, &e, 0, s, cutoff, true, NULL);
    bool empty = e.n == 0;
    failed_with(what, rc, code, "'odd one'", word, NULL);
    tap_ok(empty, "%s: the list stays as it was", what);
    aster_edges_free(&e);
}

static void test_refusals(void)
{
    struct dice d = {95, 0};
    struct aster_structure s = random_structure(&d, 3, 6, 0, 7, 1);
    struct aster_edges e = {0};
    double cell[9];
    memcpy(cell, s.cell, sizeof cell);
    if (!fine(aster_strdup(ctx, "odd one", &s.name)))
        exit(1);
    memset(s.cell, 0, sizeof s.cell);
    refuse("a cell of zeros", &s, 5, ASTER_EFORMAT, "has no volume");
    memcpy(s.cell, cell, sizeof cell);
    for (int x = 0; x < 3; x++)
        s.cell[6 + x] = 2 * cell[x] - cell[3 + x];
    refuse("vectors in one plane", &s, 5, ASTER_EFORMAT, "has no volume");
    s.pbc[2] = false;
    tap_ok(fine(aster_edges_add(ctx, &e, 0, &s, 5, true, NULL)) && e.n > 0,
           "which does not matter when the third axis is not periodic");
    s.pbc[2] = true;
    for (int k = 0; k < 9; k++)
        s.cell[k] = cell[k] * 1e-4;
    refuse("a tiny cell", &s, 5, ASTER_EFORMAT, "is so small");
    for (int k = 0; k < 9; k++)
        s.cell[k] = cell[k] * 2e-3; /* few images of one atom, too many of all pairs */
    refuse("a small cell of several atoms", &s, 5, ASTER_EFORMAT, "is so small");
    memcpy(s.cell, (double[]){4, 0, 0, 0.5, 5, 0, 0, 6553525, 6}, sizeof s.cell);
    refuse("a needle of a cell in single", &s, 5, ASTER_ENUMERIC, "single precision");
    failed_with("and in double", aster_edges_add(ctx, &e, 0, &s, 5, false, NULL), ASTER_EFORMAT,
                "'odd one'", "so flat", NULL);
    memcpy(s.cell, cell, sizeof cell);
    s.position[4] = 6553512;
    refuse("an atom many cells away", &s, 5, ASTER_ENUMERIC, "6.55351e+06");
    s.position[4] = 1;
    s.has_cell = false;
    refuse("no cell", &s, 5, ASTER_EFORMAT, "has no cell");
    s.has_cell = true;
    memcpy(s.cell, cell, sizeof cell);
    s.cell[4] = NAN;
    refuse("a cell that is no number", &s, 5, ASTER_ENUMERIC, "y of cell vector 2");
    memcpy(s.cell, cell, sizeof cell);
    s.position[5] = 1e12;
    refuse("an atom in a far cell", &s, 5, ASTER_ELIMIT, "cells apart");
    s.position[5] = INFINITY;
    refuse("an infinite position", &s, 5, ASTER_ENUMERIC, "z of atom 2 is inf");
    s.position[5] = 0;
    failed_with("a cutoff of 0", aster_edges_add(ctx, &e, 0, &s, 0, true, NULL), ASTER_EPARAM,
                "cutoff", NULL);
    failed_with("a cutoff that is no number", aster_edges_add(ctx, &e, 0, &s, NAN, true, NULL),
                ASTER_EPARAM, "cutoff", NULL);
    failed_with("more atoms than can be numbered",
                aster_edges_add(ctx, &e, INT32_MAX - 2, &s, 5, true, NULL), ASTER_ELIMIT, "3 atoms",
                NULL);
    aster_edges_free(&e);
    aster_structure_free(&s);
}

static void test_elements(void)
{
    bool good = true;
    for (int z = 1; z <= ASTER_MAX_ELEMENT; z++)
        good = good && aster_element_number(aster_element_symbol(z)) == z &&
               aster_element_mass(z) >= 1;
    tap_ok(good, "each of the %d symbols is that of its number", ASTER_MAX_ELEMENT);
    tap_ok(!aster_element_symbol(0) && !aster_element_symbol(119) && aster_element_mass(119) == 0 &&
               !aster_element_number("") && !aster_element_number("Xx") &&
               !aster_element_number("cl") && !aster_element_number("CL"),
           "what is no element is none");
    tap_ok(!strcmp(aster_element_symbol(6), "C") && !strcmp(aster_element_symbol(67), "Ho") &&
               aster_element_number("Og") == 118 && fabs(aster_element_mass(79) - 196.967) < 1e-3,
           "carbon is 6, holmium 67, oganesson 118; gold weighs 196.967");
}

/* How many of the first axes are periodic, the first two vectors, and z of the third */
static bool is_flat(struct aster_structure *s, int n, double x0, double x1, double y1, double z2)
{
    bool flat;
    memcpy(s->cell, (double[9]){x0, 0, 0, x1, y1, 0, 0, 0, z2}, sizeof s->cell);
    for (int k = 0; k < 3; k++)
        s->pbc[k] = k < n;
    return !fine(aster_structure_check(ctx, s, 118, "a.xyz:1", &flat)) || flat;
}

static void test_flat(struct aster_structure *s)
{
    tap_ok(!is_flat(s, 1, 2, 0, 0, 0) && is_flat(s, 1, 1e-7, 0, 1, 1),
           "a wire needs one vector, of some length");
    tap_ok(!is_flat(s, 2, 2, 1, 3, 0) && is_flat(s, 2, 2, 1, 0, 1),
           "a slab needs two, not parallel");
    tap_ok(!is_flat(s, 3, 1, 0, 1, 1e-5) && is_flat(s, 3, 1, 0, 1, 1e-7),
           "a volume below 1e-6 is to be warned of");
}

static void test_check(void)
{
    struct dice d = {97, 0};
    struct aster_structure s = random_structure(&d, 4, 6, 0.1, 7, 1), none = {0};
    bool flat = true;
    tap_ok(fine(aster_structure_check(ctx, &s, 118, "a.xyz:1", &flat)) && !flat,
           "a good structure");
    failed_with("no atoms", aster_structure_check(ctx, &none, 118, "a.xyz:1", NULL), ASTER_EFORMAT,
                "a.xyz:1: has no atoms", NULL);
    s.number[2] = 101;
    failed_with("a number above what the weights know",
                aster_structure_check(ctx, &s, 100, "a.xyz:1", NULL), ASTER_EFORMAT, "atom 3",
                "101", "1 to 100", NULL);
    tap_ok(fine(aster_structure_check(ctx, &s, 1000, "a.xyz:1", NULL)), "which others may know");
    s.number[2] = 119;
    failed_with("no element", aster_structure_check(ctx, &s, 1000, "a.xyz:1", NULL), ASTER_EFORMAT,
                "1 to 118", NULL);
    s.number[2] = 0;
    failed_with("number 0", aster_structure_check(ctx, &s, 118, "a.xyz:1", NULL), ASTER_EFORMAT,
                "atom 3", NULL);
    s.number[2] = 8;
    s.position[7] = NAN;
    failed_with("a position", aster_structure_check(ctx, &s, 118, "a.xyz:1", NULL), ASTER_ENUMERIC,
                "y of atom 3", NULL);
    s.position[7] = 0;
    s.cell[8] = INFINITY;
    failed_with("a cell", aster_structure_check(ctx, &s, 118, "a.xyz:1", NULL), ASTER_ENUMERIC,
                "z of cell vector 3", NULL);
    s.pbc[0] = s.pbc[1] = s.pbc[2] = false;
    tap_ok(fine(aster_structure_check(ctx, &s, 118, "a.xyz:1", &flat)) && !flat,
           "which does not matter without periodic axes");
    test_flat(&s);
    double upside_down[9] = {2, 0, 0, 0, 0, 3, 0, 4, 0};
    tap_ok(fabs(aster_cell_volume(upside_down) - 24) < 1e-12, "a volume is not negative");
    aster_structure_free(&s);
}

/* A list with a limit for each structure: what is just within it is there, one more is an error. */
static void test_most(void)
{
    static const int64_t sizes[] = {20, 600};
    struct dice d = {77, 0};
    for (int way = 0; way < 4; way++) {
        struct aster_structure s = random_structure(
            &d, sizes[way / 2], sizes[way / 2] > 100 ? 14 : 6, 0.3, way % 2 ? 7 : 0, 1);
        struct aster_edges all = {0}, some = {0};
        bool good = fine(aster_edges_add(ctx, &all, 0, &s, 5, false, NULL)) &&
                    fine(aster_edges_add(ctx, &some, 0, &s, 5, false, NULL));
        some.most = all.n + s.n * 64;
        good =
            good && fine(aster_edges_add(ctx, &some, 0, &s, 5, false, NULL)) && some.n == 2 * all.n;
        some.most = all.n - 1;
        int rc = good ? aster_edges_add(ctx, &some, 0, &s, 5, false, NULL) : 0;
        tap_ok(good && rc == ASTER_ELIMIT && strstr(aster_ctx_message(ctx), "more than") &&
                   some.n == 2 * all.n,
               "%lld atoms, %s: %lld edges are allowed, %lld are not found", (long long)s.n,
               way % 2 ? "periodic" : "open", (long long)all.n, (long long)all.n - 1);
        aster_ctx_clear(ctx);
        aster_edges_free(&all);
        aster_edges_free(&some);
        aster_structure_free(&s);
    }
}

int main(void)
{
    test_start();
    test_random();
    test_oracle();
    test_crystal();
    test_gap();
    test_batch();
    test_moves();
    test_odd_places();
    test_refusals();
    test_most();
    test_elements();
    test_check();
    test_golden_edges();
    return test_end();
}
