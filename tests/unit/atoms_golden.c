/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbour lists and masses against the shared golden data. */
#include "unit/atoms.h"
#include "io/io.h"

#include <math.h>

/* ---- pairs as sets ---- */

struct pair {
    int32_t src, dst, shift[3];
};

static int by_all(const void *a, const void *b)
{
    const int32_t *p = a, *q = b;
    for (int k = 0; k < 5; k++)
        if (p[k] != q[k])
            return p[k] < q[k] ? -1 : 1;
    return 0;
}

static struct pair *pairs_of(int64_t n, const int32_t *src, const int32_t *dst,
                             const int32_t *shift)
{
    struct pair *p = calloc((size_t)n + 1, sizeof *p);
    if (!p)
        exit(1);
    for (int64_t k = 0; k < n; k++) {
        p[k].src = src[k];
        p[k].dst = dst[k];
        if (shift)
            memcpy(p[k].shift, shift + 3 * k, sizeof p[k].shift);
    }
    qsort(p, (size_t)n, sizeof *p, by_all);
    return p;
}

/* shift NULL: zeros. */
static bool same_pairs(const struct aster_edges *e, int64_t n, const int32_t *src,
                       const int32_t *dst, const int32_t *shift)
{
    struct pair *ours = pairs_of(e->n, e->src, e->dst, e->shift),
                *theirs = pairs_of(n, src, dst, shift);
    bool same = e->n == n && (n == 0 || !memcmp(ours, theirs, (size_t)n * sizeof *ours));
    free(ours);
    free(theirs);
    return same;
}

/* ---- one group of a file: a structure and its edges ---- */

struct golden {
    struct aster_structure s;
    int32_t *src, *dst, *shift;
    int64_t n;
    double gap; /* of its edges only, not of pairs beyond */
};

static char *part(const char *group, const char *name)
{
    static char paths[2][512];
    static int k;
    k = !k;
    snprintf(paths[k], sizeof paths[k], "%s/%s", group, name);
    return paths[k];
}

static bool load(struct aster_h5 *f, const char *group, const char *numbers, struct golden *g)
{
    struct aster_h5_shape shape;
    double *cell = NULL;
    uint8_t *pbc = NULL;
    *g = (struct golden){0};
    bool good = fine(aster_h5_shape(f, part(group, "src"), &shape)) &&
                fine(aster_h5_read(f, part(group, "src"), ASTER_I32, -1, &g->src)) &&
                fine(aster_h5_read(f, part(group, "dst"), ASTER_I32, shape.n, &g->dst)) &&
                fine(aster_h5_attr_f64(f, group, "gap_to_cutoff", &g->gap));
    g->n = shape.n;
    good = good && fine(aster_h5_shape(f, part(group, "pos"), &shape)) &&
           fine(aster_h5_read(f, part(group, "pos"), ASTER_F64, -1, &g->s.position)) &&
           fine(aster_h5_read(f, part(numbers, "Z"), ASTER_I32, shape.n / 3, &g->s.number));
    g->s.n = shape.n / 3;
    if (good && aster_h5_has(f, part(group, "cell"))) {
        good = fine(aster_h5_read(f, part(group, "cell"), ASTER_F64, 9, &cell)) &&
               fine(aster_h5_read(f, part(group, "pbc"), ASTER_U8, 3, &pbc)) &&
               fine(aster_h5_read(f, part(group, "shift"), ASTER_I32, 3 * g->n, &g->shift));
        for (int k = 0; good && k < 9; k++) {
            g->s.cell[k] = cell[k];
            g->s.pbc[k % 3] = pbc[k % 3];
        }
        g->s.has_cell = true;
    }
    aster_free(&cell);
    aster_free(&pbc);
    return good;
}

static void unload(struct golden *g)
{
    aster_free(&g->src);
    aster_free(&g->dst);
    aster_free(&g->shift);
    aster_structure_free(&g->s);
}

/* In both precisions; in single only where no distance is within rounding of the cutoff. */
static bool check_group(struct aster_h5 *f, const char *group, const char *numbers, double cutoff)
{
    struct golden g;
    struct aster_edges e = {0};
    double gap = 0;
    bool good = load(f, group, numbers, &g);
    for (int single = 0; good && single < 2; single++) {
        if (single && g.gap < 1e-5)
            continue;
        e.n = 0;
        good = fine(aster_edges_add(ctx, &e, 0, &g.s, cutoff, single, NULL)) &&
               same_pairs(&e, g.n, g.src, g.dst, g.shift) && !list_fault(&e, 0, 0, &g.s, cutoff);
        e.n = 0;
        good = good && fine(aster_edges_add(ctx, &e, 0, &g.s, cutoff, single, &gap)) &&
               gap <= g.gap + (single ? 1e-5 : 1e-9) && same_pairs(&e, g.n, g.src, g.dst, g.shift);
    }
    if (!good)
        tap_note("%s: %lld edges, %lld are expected; gap %g, expected %g", group, (long long)e.n,
                 (long long)g.n, gap, g.gap);
    aster_edges_free(&e);
    unload(&g);
    return good;
}

static void check_molecules(const char *file, double cutoff)
{
    static const char *const geometries[] = {"exact", "pert"};
    struct aster_h5 *f;
    char **names = NULL, group[512];
    int64_t n = 0, done = 0;
    if (!fine(aster_h5_open(ctx, shared(file), &f)))
        exit(1);
    bool good = fine(aster_h5_list(f, "/", &names, &n));
    for (int64_t k = 0; good && k < 2 * n; k++) {
        snprintf(group, sizeof group, "%s/%s", names[k / 2], geometries[k % 2]);
        good = check_group(f, group, names[k / 2], cutoff);
        done++;
    }
    tap_ok(good && done > 0, "%s: %lld geometries, the neighbours of each", aster_path_base(file),
           (long long)done);
    aster_h5_names_free(&names, n);
    aster_h5_close(&f);
}

static void check_periodic(void)
{
    struct aster_h5 *f;
    char **names = NULL;
    int64_t n = 0;
    if (!fine(aster_h5_open(ctx, shared("mlff/golden/periodic.h5"), &f)))
        exit(1);
    bool listed = fine(aster_h5_list(f, "/", &names, &n));
    for (int64_t k = 0; listed && k < n; k++)
        tap_ok(check_group(f, names[k], names[k], 5.0), "%s: pairs and shifts", names[k]);
    tap_ok(n > 0, "%lld periodic cases", (long long)n);
    aster_h5_names_free(&names, n);
    aster_h5_close(&f);
}

/* Two atoms at the distances of the file: edges up to 5.0 and no further. */
static void check_cutoff_pair(void)
{
    struct aster_h5 *f;
    struct aster_structure s;
    struct aster_edges e = {0};
    double *d = NULL;
    int64_t edges_at = 0;
    bool good = true;
    if (!fine(aster_h5_open(ctx, shared("mlff/golden/checks.h5"), &f)) ||
        !fine(aster_h5_read(f, "cutoff_pair/d", ASTER_F64, 8, &d)) ||
        !fine(aster_h5_attr_i64(f, "cutoff_pair", "original_edges_at_5.0", &edges_at)) ||
        !fine(aster_structure_new(ctx, 2, false, &s)))
        exit(1);
    for (int k = 0; k < 16; k++) {
        s.position[3] = d[k / 2];
        e.n = 0;
        good = good && fine(aster_edges_add(ctx, &e, 0, &s, 5.0, k % 2, NULL)) &&
               e.n == (d[k / 2] <= 5.0 ? edges_at : 0);
    }
    tap_ok(good && edges_at == 2, "a pair around 5 Angstrom: two edges at 5.0, none beyond");
    aster_free(&d);
    aster_edges_free(&e);
    aster_structure_free(&s);
    aster_h5_close(&f);
}

static void check_masses(void)
{
    struct aster_h5 *f;
    double *mass = NULL;
    int32_t *z = NULL;
    if (!fine(aster_h5_open(ctx, shared("mlff/golden/md.h5"), &f)) ||
        !fine(aster_h5_read(f, "Z", ASTER_I32, 9, &z)) ||
        !fine(aster_h5_read(f, "masses_amu", ASTER_F64, 9, &mass)))
        exit(1);
    bool good = true;
    for (int k = 0; k < 9; k++)
        good = good && fabs(aster_element_mass(z[k]) - mass[k]) < 1e-12;
    tap_ok(good, "masses of the golden trajectory");
    aster_free(&mass);
    aster_free(&z);
    aster_h5_close(&f);
}

void test_golden_edges(void)
{
    if (!shared("mlff/golden/periodic.h5")) {
        tap_skip("no shared test data; ASTERISM_TEST_DATA names its folder");
        return;
    }
    check_molecules("mlff/golden/molecules_original.h5", 5.0);
    check_molecules("mlff/golden/molecules_random_f16l1.h5", 4.0);
    check_molecules("mlff/golden/molecules_random_f48l4.h5", 5.7);
    check_periodic();
    check_cutoff_pair();
    check_masses();
}
