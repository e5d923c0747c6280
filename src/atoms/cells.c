/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours of many atoms: atoms and those of their images that lie near are sorted into cubes as
 * wide as the reach, and each atom looks into the 27 around it. */
#include "atoms/search.h"

#include <math.h>
#include <string.h>

#define MOST_CUBES 2000000 /* along an axis; what lies beyond is in the last one */

enum { ROWS = 9, DIGIT = 11 };

struct image { /* of an atom, in the frame */
    double at[3];
    int32_t atom, shift[3]; /* position[atom] + shift cell is there; zeros where not periodic */
};
struct source { /* of a sorted image */
    int32_t atom, shift[3];
};
struct row { /* images begin .. end-1 of a row of cubes */
    int32_t begin, end;
};
struct cells {
    struct aster_search *q;
    int64_t n, n_images, cap; /* the first n images are the atoms, moved into the box */
    int64_t sorted_cap, cubes_cap, atoms_cap; /* of what is there for each of them */
    struct image *image;
    double *at[3]; /* of the sorted images, along each axis */
    struct source *sorted;
    int64_t hit_cap;
    int32_t *hit;           /* [longest row] */
    double low[3], high[3]; /* of the atoms */
    int64_t cubes[3];
    uint64_t *key, *spare_key; /* of the cube of each sorted image */
    int32_t *order, *spare;
    int32_t *cube_of; /* [n] the number of an atom's cube among those that are not empty */
    int64_t n_cubes;
    int32_t *cube_begin; /* [n_cubes + 1] */
    uint64_t *cube_key;
    struct row (*rows)[ROWS];
    /* edges as they are found: of atom i those from begin[i] on */
    int64_t n_found, found_cap, shift_cap;
    int32_t *source, *shift, *begin;
    int32_t *list; /* [n] where the edges to an atom begin in the result */
};

static void free_sorted(struct cells *c)
{
    for (int k = 0; k < 3; k++)
        aster_free(&c->at[k]);
    aster_free(&c->sorted);
    aster_free(&c->key);
    aster_free(&c->spare_key);
    aster_free(&c->order);
    aster_free(&c->spare);
    c->sorted_cap = 0;
}

static void free_cubes(struct cells *c)
{
    aster_free(&c->cube_begin);
    aster_free(&c->cube_key);
    aster_free(&c->rows);
    c->cubes_cap = 0;
}

static void free_atoms(struct cells *c)
{
    aster_free(&c->cube_of);
    aster_free(&c->begin);
    aster_free(&c->list);
    c->atoms_cap = 0;
}

void aster_cells_free(struct aster_edges *e)
{
    struct cells *c = e->cells;
    if (!c)
        return;
    free_sorted(c);
    free_cubes(c);
    free_atoms(c);
    aster_free(&c->image);
    aster_free(&c->hit);
    aster_free(&c->source);
    aster_free(&c->shift);
    aster_free(&c);
    e->cells = NULL;
}

/* With some room to spare: the next structure is often the same one a step later. */
static int64_t spacious(int64_t n)
{
    return n + n / 8 + 1;
}

static int make_sorted(struct cells *c)
{
    if (c->n_images <= c->sorted_cap)
        return 0;
    int64_t m = spacious(c->n_images);
    free_sorted(c);
    for (int k = 0; k < 3; k++)
        ASTER_TRY(aster_alloc(NULL, m, sizeof(double), &c->at[k]));
    ASTER_TRY(aster_alloc(NULL, m, sizeof *c->key, &c->key));
    ASTER_TRY(aster_alloc(NULL, m, sizeof *c->key, &c->spare_key));
    ASTER_TRY(aster_alloc(NULL, m, sizeof *c->order, &c->order));
    ASTER_TRY(aster_alloc(NULL, m, sizeof *c->order, &c->spare));
    ASTER_TRY(aster_alloc(NULL, m, sizeof *c->sorted, &c->sorted));
    c->sorted_cap = m;
    return 0;
}

static int make_atoms(struct cells *c)
{
    if (c->n <= c->atoms_cap)
        return 0;
    int64_t n = spacious(c->n);
    free_atoms(c);
    ASTER_TRY(aster_alloc(NULL, n, sizeof *c->cube_of, &c->cube_of));
    ASTER_TRY(aster_alloc(NULL, n + 1, sizeof *c->begin, &c->begin));
    ASTER_TRY(aster_alloc(NULL, n, sizeof *c->list, &c->list));
    c->atoms_cap = n;
    return 0;
}

static int room_for_cubes(struct cells *c)
{
    if (c->n_cubes <= c->cubes_cap)
        return 0;
    int64_t n = spacious(c->n_cubes);
    free_cubes(c);
    ASTER_TRY(aster_alloc(NULL, n, sizeof *c->rows, &c->rows));
    ASTER_TRY(aster_alloc(NULL, n, sizeof *c->cube_key, &c->cube_key));
    ASTER_TRY(aster_alloc(NULL, n + 1, sizeof *c->cube_begin, &c->cube_begin));
    c->cubes_cap = n;
    return 0;
}

/* Atom i, moved by cell vectors into the box that the first coordinates 0 .. lattice[k][k] bound.
 */
static void move_in(struct cells *c, int64_t i)
{
    const struct aster_search *q = c->q;
    struct image *m = &c->image[i];
    *m = (struct image){.atom = (int32_t)i};
    aster_search_locate(q, i, m->at);
    for (int k = 0; k < q->n_axes; k++) {
        double whole = -floor(m->at[k] / q->lattice[k][k]);
        m->shift[q->axis[k]] = (int32_t)whole;
        for (int x = k; x < 3; x++)
            m->at[x] += whole * q->lattice[k][x];
    }
    for (int k = 0; k < 3; k++) {
        c->low[k] = i ? fmin(c->low[k], m->at[k]) : m->at[k];
        c->high[k] = i ? fmax(c->high[k], m->at[k]) : m->at[k];
    }
}

/* Images of an atom that lie within reach of the atoms' box, by cell vectors k and beyond. */
static int add_images(struct cells *c, int k, struct image m, bool moved)
{
    const struct aster_search *q = c->q;
    if (k == q->n_axes) {
        if (!moved)
            return 0;
        if (c->n_images - c->n > q->most)
            return aster_search_too_many(q);
        if (c->n_images == INT32_MAX ||
            aster_grow(NULL, c->n_images + 1, sizeof *c->image, &c->cap, &c->image) < 0)
            return aster_search_no_memory(q);
        c->image[c->n_images++] = m;
        return 0;
    }
    double step = q->lattice[k][k], last = floor((c->high[k] + q->reach - m.at[k]) / step);
    for (double s = ceil((c->low[k] - q->reach - m.at[k]) / step); s <= last; s++) {
        struct image to = m;
        to.shift[q->axis[k]] += (int32_t)s;
        for (int x = k; x < 3; x++)
            to.at[x] += s * q->lattice[k][x];
        ASTER_TRY(add_images(c, k + 1, to, moved || s < 0 || s > 0));
    }
    return 0;
}

static int make_images(struct cells *c)
{
    c->n_images = c->n;
    if (aster_grow(NULL, c->n, sizeof *c->image, &c->cap, &c->image) < 0)
        return aster_search_no_memory(c->q);
    for (int64_t i = 0; i < c->n; i++)
        move_in(c, i);
    for (int64_t i = 0; c->q->n_axes && i < c->n; i++)
        ASTER_TRY(add_images(c, 0, c->image[i], false));
    return 0;
}

/* Cubes are numbered from 1, so that those at an end have neighbours, which are empty. */
static int64_t cube(const struct cells *c, int k, double at)
{
    double width = c->q->reach * (1 + 1e-9);
    return 1 + (int64_t)fmin(MOST_CUBES, floor((at - (c->low[k] - c->q->reach)) / width));
}

static uint64_t key_of(const struct cells *c, const struct image *m)
{
    uint64_t x = (uint64_t)cube(c, 0, m->at[0]), y = (uint64_t)cube(c, 1, m->at[1]),
             z = (uint64_t)cube(c, 2, m->at[2]);
    return (z * (uint64_t)c->cubes[1] + y) * (uint64_t)c->cubes[0] + x;
}

/* By keys, images of one cube in their order: one pass for each digit that the largest key has. */
static void sort(struct cells *c, uint64_t largest)
{
    for (int bit = 0; bit < 64 && largest >> bit; bit += DIGIT) {
        int64_t at[1 << DIGIT] = {0}, sum = 0;
        const uint64_t mask = (1 << DIGIT) - 1;
        for (int64_t i = 0; i < c->n_images; i++)
            at[c->key[i] >> bit & mask]++;
        for (int d = 0; d < 1 << DIGIT; d++) {
            int64_t here = at[d];
            at[d] = sum;
            sum += here;
        }
        for (int64_t i = 0; i < c->n_images; i++) {
            int64_t to = at[c->key[i] >> bit & mask]++;
            c->spare_key[to] = c->key[i];
            c->spare[to] = c->order[i];
        }
        uint64_t *key = c->key;
        int32_t *order = c->order;
        c->key = c->spare_key;
        c->order = c->spare;
        c->spare_key = key;
        c->spare = order;
    }
}

static int sort_images(struct cells *c)
{
    int64_t m = c->n_images;
    uint64_t largest = 0;
    if (make_sorted(c) < 0)
        return aster_search_no_memory(c->q);
    for (int k = 0; k < 3; k++)
        c->cubes[k] = cube(c, k, c->high[k] + c->q->reach) + 2;
    for (int64_t i = 0; i < m; i++) {
        c->key[i] = key_of(c, &c->image[i]);
        c->order[i] = (int32_t)i;
        largest = c->key[i] > largest ? c->key[i] : largest;
    }
    sort(c, largest);
    for (int64_t i = 0; i < m; i++) {
        const struct image *from = &c->image[c->order[i]];
        c->sorted[i].atom = from->atom;
        for (int k = 0; k < 3; k++) {
            c->sorted[i].shift[k] = from->shift[k];
            c->at[k][i] = from->at[k];
        }
    }
    return 0;
}

/* The first cube that is not empty and whose key is no less. */
static int64_t find_cube(const struct cells *c, uint64_t key)
{
    int64_t low = 0, high = c->n_cubes;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (c->cube_key[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Cubes that hold images, and the rows of images around each. */
static int make_cubes(struct cells *c)
{
    int64_t m = c->n_images;
    for (int64_t i = 0; i < m; i++)
        c->n_cubes += i == 0 || c->key[i] != c->key[i - 1];
    if (room_for_cubes(c) < 0)
        return aster_search_no_memory(c->q);
    int64_t k = -1;
    for (int64_t i = 0; i < m; i++) {
        if (i == 0 || c->key[i] != c->key[i - 1]) {
            c->cube_key[++k] = c->key[i];
            c->cube_begin[k] = (int32_t)i;
        }
        if (c->order[i] < c->n)
            c->cube_of[c->order[i]] = (int32_t)k;
    }
    c->cube_begin[c->n_cubes] = (int32_t)m;
    for (k = 0; k < c->n_cubes; k++)
        for (int r = 0; r < ROWS; r++) {
            int64_t away = (r / 3 - 1) * c->cubes[1] + r % 3 - 1;
            uint64_t middle = c->cube_key[k] + (uint64_t)(away * c->cubes[0]);
            c->rows[k][r].begin = c->cube_begin[find_cube(c, middle - 1)];
            c->rows[k][r].end = c->cube_begin[find_cube(c, middle + 2)];
        }
    return 0;
}

/* Room for n more edges, and for as many hits. */
static int make_room(struct cells *c, int64_t n)
{
    if (c->n_found + n > c->q->most)
        return aster_search_too_many(c->q);
    if (aster_grow(NULL, n, sizeof *c->hit, &c->hit_cap, &c->hit) < 0 ||
        aster_grow(NULL, c->n_found + n, sizeof *c->source, &c->found_cap, &c->source) < 0 ||
        (c->q->n_axes &&
         aster_grow(NULL, c->n_found + n, 3 * sizeof *c->shift, &c->shift_cap, &c->shift) < 0))
        return aster_search_no_memory(c->q);
    return 0;
}

static double square(const struct cells *c, const double at[3], int64_t m)
{
    double x = c->at[0][m] - at[0], y = c->at[1][m] - at[1], z = c->at[2][m] - at[2];
    return x * x + y * y + z * z;
}

/* The images of a row that are within reach: hits, in their order. */
static int64_t look_along(struct cells *c, struct row row, const double at[3])
{
    double most = c->q->reach * c->q->reach;
    int64_t n = 0;
    for (int32_t m = row.begin; m < row.end; m++) {
        c->hit[n] = m;
        n += square(c, at, m) <= most;
    }
    return n;
}

/* Edges to atom i. Also counts, in n_of, the edges from each source. */
static int look_around(struct cells *c, int64_t i, int32_t *n_of)
{
    const struct image *me = &c->image[i];
    for (int r = 0; r < ROWS; r++) {
        struct row row = c->rows[c->cube_of[i]][r];
        ASTER_TRY(make_room(c, row.end - row.begin));
        int64_t n = look_along(c, row, me->at);
        for (int64_t h = 0; h < n; h++) {
            const struct source *m = &c->sorted[c->hit[h]];
            int32_t shift[3];
            for (int k = 0; k < 3; k++)
                shift[k] = m->shift[k] - me->shift[k];
            if (m->atom == i && !shift[0] && !shift[1] && !shift[2])
                continue;
            if (square(c, me->at, c->hit[h]) > c->q->sure &&
                !aster_search_near(c->q, i, m->atom, shift))
                continue;
            c->source[c->n_found] = m->atom;
            if (c->q->n_axes)
                memcpy(c->shift + 3 * c->n_found, shift, sizeof shift);
            c->n_found++;
            n_of[m->atom]++;
        }
    }
    return 0;
}

static bool follows(const int32_t a[3], const int32_t b[3])
{
    for (int k = 0; k < 3; k++)
        if (a[k] != b[k])
            return a[k] > b[k];
    return false;
}

/* Edge at, the last in the list that begins at begin, among those from the same source, which are
 * sorted already. */
static void sink(struct aster_edges *e, int64_t begin, int64_t at)
{
    for (; at > begin && e->src[at - 1] == e->src[at] &&
           follows(e->shift + 3 * (at - 1), e->shift + 3 * at);
         at--)
        for (int k = 0; k < 3; k++) {
            int32_t s = e->shift[3 * at + k];
            e->shift[3 * at + k] = e->shift[3 * (at - 1) + k];
            e->shift[3 * (at - 1) + k] = s;
        }
}

/* What was found from each atom in turn, turned round: then sources come in order by themselves. */
static int put(struct cells *c, struct aster_edges *e, int32_t *next)
{
    struct aster_search *q = c->q;
    int64_t sum = e->n;
    ASTER_TRY(aster_search_reserve(q, e, c->n_found));
    for (int64_t i = 0; i < c->n; i++) {
        c->list[i] = (int32_t)sum;
        sum += next[i];
        next[i] = c->list[i];
    }
    for (int64_t i = 0; i < c->n; i++)
        for (int64_t k = c->begin[i]; k < c->begin[i + 1]; k++) {
            int32_t to = c->source[k], at = next[to]++;
            e->dst[at] = (int32_t)(q->first + to);
            e->src[at] = (int32_t)(q->first + i);
            for (int x = 0; x < 3; x++)
                e->shift[3 * (int64_t)at + x] = q->n_axes ? -c->shift[3 * k + x] : 0;
            if (q->n_axes)
                sink(e, c->list[to], at);
        }
    e->n = sum;
    memcpy(next, c->list, (size_t)c->n * sizeof *next);
    return 0;
}

static int find_all(struct cells *c, struct aster_edges *e, int32_t *next)
{
    if (make_atoms(c) < 0)
        return aster_search_no_memory(c->q);
    ASTER_TRY(make_images(c));
    ASTER_TRY(sort_images(c));
    ASTER_TRY(make_cubes(c));
    c->begin[0] = 0;
    memset(next, 0, (size_t)c->n * sizeof *next);
    for (int64_t i = 0; i < c->n; i++) {
        ASTER_TRY(look_around(c, i, next));
        c->begin[i + 1] = (int32_t)c->n_found;
    }
    return put(c, e, next);
}

int aster_search_cells(struct aster_search *q, struct aster_edges *e, int32_t *next)
{
    struct cells *c = e->cells;
    if (q->s->n == 0)
        return 0;
    if (!c && aster_alloc(NULL, 1, sizeof *c, &c) < 0)
        return aster_search_no_memory(q);
    e->cells = c;
    c->q = q;
    c->n = q->s->n;
    c->n_cubes = c->n_found = 0;
    int rc = find_all(c, e, next);
    if (rc < 0)
        aster_cells_free(e);
    return rc;
}
