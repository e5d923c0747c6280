/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours found on the GPU, by all pairs and by cubes, are those of src/atoms, byte for byte;
 * what there is no room for is reported, and found with room for it. */
#include "gpu/others.h"

#include "gpu/gpu.h"
#include "neighbours.h"
#include "unit/atoms.h"

enum { MOST = 12, FIRST = 3, BEHIND = 64 };
#define ALL_PAIRS INT64_MAX

struct batch {
    int n;
    struct aster_structure s[MOST];
};

static void put_away(struct batch *b)
{
    for (int k = 0; k < b->n; k++)
        aster_structure_free(&b->s[k]);
    b->n = 0;
}

static void *room(int64_t bytes)
{
    void *p = aligned_alloc(64, (size_t)aster_round_up(bytes + BEHIND, 64));
    if (!p)
        abort();
    memset(p, 0xff, (size_t)(bytes + BEHIND));
    return p;
}

/* The lists of all structures by src/atoms, back to back */
static void expect(const struct batch *b, double cutoff, bool single, struct aster_edges *e)
{
    int64_t first = FIRST;
    for (int k = 0; k < b->n; k++) {
        if (!fine(aster_edges_add(ctx, e, first, &b->s[k], cutoff, single, NULL)))
            abort();
        first += b->s[k].n;
    }
}

static void *input_of(const struct batch *b, const struct aster_neighbours_sizes *z)
{
    void *p = room(aster_neighbours_input_bytes(z));
    const struct aster_neighbours_input in = aster_neighbours_input_at(z, p);
    int64_t first = 0;
    for (int k = 0; k < b->n; k++) {
        const struct aster_structure *s = &b->s[k];
        if (!fine(aster_box_make(ctx, s, z->cutoff, z->single, 0, &in.box[k])))
            abort();
        in.box[k].first = first;
        in.box[k].added = (int32_t)(FIRST + first);
        if (s->n)
            memcpy(in.position + 3 * first, s->position, (size_t)(3 * s->n) * sizeof(double));
        first += s->n;
    }
    return p;
}

static bool is_untouched(const struct aster_neighbours_sizes *z, const void *list)
{
    const unsigned char *p = list;
    for (int64_t k = aster_neighbours_heads(z); k < aster_neighbours_list_bytes(z) + BEHIND; k++)
        if (p[k] != 0xff)
            return false;
    return true;
}

static bool is_list(const struct aster_neighbours_sizes *z, void *list, const struct aster_edges *e)
{
    const struct aster_neighbours_list l = aster_neighbours_list_at(z, list);
    const struct aster_edges got = {.n = l.first[z->n_boxes],
                                    .src = l.src,
                                    .dst = l.dst,
                                    .shift = l.shift,
                                    .reverse = l.reverse};
    return same_edges(&got, e);
}

enum way { ON_CPU, BY_PAIRS, BY_CUBES };

/* Finds a batch's neighbours with room for capacity edges; false: something was caught. */
static bool find(const struct batch *b, enum way way, struct aster_neighbours_sizes *z, void *list)
{
    static int number;
    void *input = input_of(b, z), *work = room(aster_neighbours_work_bytes(z));
    z->most_pairs = way == BY_PAIRS ? ALL_PAIRS : 0;
    gpu_begin(number++);
    memset(list, 0xff, (size_t)(aster_neighbours_list_bytes(z) + BEHIND));
    if (way == ON_CPU)
        aster_k_neighbours_cpu(z, input, list);
    else
        gpu_neighbours(z, input, list, work);
    if (gpu_error())
        tap_note("%s", gpu_error());
    free(input);
    free(work);
    return !gpu_error();
}

static bool agrees(const struct batch *b, double cutoff, bool single, int64_t *edges)
{
    struct aster_edges e = {0};
    struct aster_neighbours_sizes z = {.n_boxes = b->n, .cutoff = cutoff, .single = single};
    bool good = true;
    expect(b, cutoff, single, &e);
    for (int k = 0; k < b->n; k++)
        z.n_atoms += b->s[k].n;
    z.capacity = e.n;
    void *list = room(aster_neighbours_list_bytes(&z));
    for (enum way way = ON_CPU; way <= BY_CUBES && good; way++) {
        good = find(b, way, &z, list) && is_list(&z, list, &e);
        if (!good)
            tap_note("%s, %s: another list",
                     way == ON_CPU     ? "CPU"
                     : way == BY_PAIRS ? "pairs"
                                       : "cubes",
                     single ? "f32" : "f64");
    }
    *edges += e.n;
    free(list);
    aster_edges_free(&e);
    return good;
}

static bool agrees_both(const struct batch *b, double cutoff, int64_t *edges)
{
    return agrees(b, cutoff, true, edges) && agrees(b, cutoff, false, edges);
}

/* ---- batches ---- */

static void check_random(void)
{
    static const struct {
        int64_t n;
        double edge, skew, spread;
    } of[] = {{1, 3, 0.3, 1},  {0, 5, 0.1, 1},    {2, 4, 0.3, 3},  {7, 3.5, 0.25, 1},
              {14, 5, 0.6, 1}, {30, 100, 0.3, 1}, {12, 4, 0.3, 7}, {45, 9, 0.2, 1}};
    for (int pbc = 0; pbc < 8; pbc++) {
        struct dice d = {500 + (uint64_t)pbc, 0};
        struct batch b = {0};
        int64_t edges = 0;
        for (size_t k = 0; k < sizeof of / sizeof *of; k++)
            b.s[b.n++] = random_structure(&d, of[k].n, of[k].edge, of[k].skew, pbc, of[k].spread);
        bool good = agrees(&b, 4, pbc % 2, &edges);
        tap_ok(good && edges > 100, "neighbours of %d structures, periodic axes %d: %lld edges",
               b.n, pbc, (long long)edges);
        put_away(&b);
    }
}

static void check_large(void)
{
    for (int pbc = 0; pbc < 8; pbc += 7) {
        struct dice d = {600 + (uint64_t)pbc, 0};
        struct batch b = {0};
        int64_t edges = 0;
        b.s[b.n++] = random_structure(&d, 700, 20, 0.2, pbc, 1);
        b.s[b.n++] = random_structure(&d, 3, 20, 0.2, pbc, 1);
        b.s[b.n++] = random_structure(&d, 300, 11, 0.5, pbc, 2);
        bool good = agrees(&b, 3, true, &edges);
        tap_ok(good && edges > 2000, "neighbours of 700 and 300 atoms, %s: %lld edges",
               pbc ? "periodic" : "open", (long long)edges);
        put_away(&b);
    }
}

/* Atoms in one place, on a line, in a plane, and one far from all others */
static void check_odd(void)
{
    struct dice d = {700, 0};
    struct batch b = {0};
    int64_t edges = 0;
    for (int k = 0; k < 5; k++)
        b.s[b.n++] = random_structure(&d, k == 4 ? 5 : 40, 8, 0.1, k == 4 ? 7 : 0, 1);
    for (int64_t i = 0; i < 40; i++)
        for (int a = 0; a < 3; a++) {
            b.s[0].position[3 * i + a] = 1.5;
            b.s[1].position[3 * i + a] = a ? -2 : 0.7 * (double)i;
            b.s[2].position[3 * i + a] = a ? 9 * b.s[2].position[3 * i + a] : 0;
        }
    b.s[3].position[0] = 1e6;
    for (int64_t i = 0; i < 3 * 5; i++)
        b.s[4].position[i] = 0.25;
    bool good = agrees_both(&b, 4, &edges);
    tap_ok(good && edges > 40 * 39,
           "atoms in one place, in a line, in a plane, one far away: %lld edges", (long long)edges);
    put_away(&b);
}

/* Distances that are the cutoff but for rounding: which edges there are is a matter of the last
 * bit. Nearer than the cutoff are 26 atoms of a simple cubic crystal, and 6 more lie at it. */
static void check_rounding(void)
{
    enum { SIDE = 5, N = SIDE * SIDE * SIDE };
    struct batch b = {.n = 1};
    struct aster_structure *s = &b.s[0];
    int64_t in[2] = {0, 0};
    if (!fine(aster_structure_new(ctx, N, false, s)))
        abort();
    s->has_cell = true;
    for (int a = 0; a < 3; a++) {
        s->pbc[a] = true;
        s->cell[4 * a] = SIDE * 1.3;
        for (int i = 0; i < N; i++)
            s->position[3 * i + a] = 0.21 + 1.3 * (a == 0   ? i % SIDE
                                                   : a == 1 ? i / SIDE % SIDE
                                                            : i / SIDE / SIDE);
    }
    for (int single = 0; single < 2; single++) {
        bool good = agrees(&b, 2.6, single, &in[single]);
        tap_ok(good && in[single] > 26 * N && in[single] < 32 * N,
               "distances that rounding takes across the cutoff, %s: %lld of %d edges",
               single ? "f32" : "f64", (long long)in[single], 32 * N);
    }
    put_away(&b);
}

/* ---- room ---- */

static void check_room(void)
{
    struct dice d = {800, 0};
    struct batch b = {0};
    struct aster_edges e = {0};
    b.s[b.n++] = random_structure(&d, 20, 6, 0.2, 7, 1);
    b.s[b.n++] = random_structure(&d, 30, 8, 0.2, 0, 1);
    expect(&b, 4, true, &e);
    struct aster_neighbours_sizes z = {
        .n_boxes = 2, .n_atoms = 50, .capacity = e.n, .cutoff = 4, .single = true};
    void *list = room(aster_neighbours_list_bytes(&z));
    const struct aster_neighbours_list l = aster_neighbours_list_at(&z, list);
    for (enum way way = ON_CPU; way <= BY_CUBES; way++) {
        bool good = true;
        for (int less = 1; less >= 0 && good; less--) {
            z.capacity = less ? e.n - 1 : e.n;
            good = find(&b, way, &z, list) && l.first[2] == e.n &&
                   (less ? is_untouched(&z, list) : is_list(&z, list, &e));
        }
        z.capacity = 0;
        good = good && find(&b, way, &z, list) && l.first[2] == e.n && is_untouched(&z, list);
        tap_ok(good && l.first[0] == 0 && l.first[1] > 0 && l.first[1] < e.n,
               "way %d: no room is reported, and nothing written; with room there is a list", way);
    }
    z.capacity = e.n;
    e.src[e.n / 2]++;
    tap_ok(find(&b, BY_CUBES, &z, list) && !is_list(&z, list, &e), "a wrong edge is seen");
    e.src[e.n / 2]--;
    e.reverse[0]++;
    tap_ok(!is_list(&z, list, &e), "and a wrong way back");
    free(list);
    aster_edges_free(&e);
    put_away(&b);
}

static void check_nothing(void)
{
    struct batch b = {0};
    int64_t edges = 0;
    bool good = agrees_both(&b, 4, &edges);
    b.n = 2; /* without atoms */
    tap_ok(good && agrees_both(&b, 4, &edges) && edges == 0, "no structures, and empty ones");
}

void gpu_neighbours_all(void)
{
    check_random();
    check_large();
    check_odd();
    check_rounding();
    check_room();
    check_nothing();
}
