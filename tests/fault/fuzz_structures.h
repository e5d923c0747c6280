/* SPDX-License-Identifier: BSD-3-Clause */
/* For the test of damaged inputs: files of structures, each structure with its neighbours. */
#ifndef ASTER_TESTS_FAULT_FUZZ_STRUCTURES_H
#define ASTER_TESTS_FAULT_FUZZ_STRUCTURES_H

#include "fault/fuzz_formats.h"
#include "io/structures.h"

static const char small_frames[] =
    "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 name=\"a b\" pbc=\"F F F\"\n"
    "O 0 0 .1 1 2 3\nH 0 .76 -.47 4 5 6\nH 0 -.76 -.47 7 8 9\n"
    "2\nLattice=\"4 0 0 .5 5 0 0 .25 6\" Properties=Z:I:1:tag:L:1:pos:R:3 stress=\"1 2 3 4 5 6\"\n"
    "6 T 1 2 3\n14 F 4 5 6\n1\nvirial={1 0 0 0 1 0 0 0 1} Lattice=\"2 3 4\"\nNe 0 0 0\n";

static void make_xyz(struct reader *r)
{
    struct aster_str many = {0};
    add_text(r, small_frames);
    add_text(r, "2\nfree text, 5' \"end\nC 0 0 0 x\n1 1e-3 +2 .5\n\n1\n\nHe 1 2 3");
    for (int k = 0; k < 30; k++) /* enough atoms for cell lists */
        aster_str_add(&many, small_frames);
    aster_str_printf(&many, "300\nLattice=\"15 0 0 0 15 0 1 0 15\"\n");
    for (int k = 0; k < 300; k++)
        aster_str_printf(&many, "C %d %d %d.5\n", k % 7 * 2, k / 7 % 7 * 2, k / 49 * 2);
    const char *path = in_dir("seed.xyz.gz");
    gzFile z = gzopen(path, "wb");
    if (!z || gzwrite(z, many.s, (unsigned)many.len) <= 0 || gzclose(z) != Z_OK)
        exit(1);
    add_file(r, path);
    add_text(r, many.s);
    aster_str_free(&many);
}

static void make_ragged(struct reader *r)
{
    struct aster_structures *from = NULL;
    struct aster_structures_out *o = NULL;
    struct aster_structures_place at;
    struct aster_structure s;
    struct aster_h5 *f = NULL;
    bool good = fine(aster_structures_open(ctx, put_text("seed.xyz", small_frames), &from)) &&
                fine(aster_h5_create(ctx, in_dir("seed.h5"), &f)) &&
                fine(aster_structures_out_new(ctx, f, &o));
    while (good && aster_structures_next(from, &s, &at) > 0) {
        good = fine(aster_structures_out_add(o, &s));
        aster_structure_free(&s);
    }
    if (!good || aster_structures_out_finish(o) < 0 || aster_h5_commit(&f) < 0)
        exit(1);
    aster_structures_out_free(&o);
    aster_structures_close(&from);
    add_file(r, in_dir("seed.h5"));
}

/* Neighbours of what was read: a list or a refusal. */
static void find_neighbours(struct aster_ctx *own, const struct aster_structure *s, bool single)
{
    struct aster_edges e = {0};
    int rc = aster_edges_add(own, &e, 7, s, 3.5, single, NULL);
    if (rc < 0 ? e.n != 0 || aster_ctx_code(own) != rc : aster_ctx_code(own) != 0)
        abort();
    for (int64_t k = 0; k < e.n; k++)
        if (e.reverse[k] < 0 || e.reverse[k] >= e.n || e.reverse[e.reverse[k]] != k)
            abort();
    aster_ctx_clear(own);
    aster_edges_free(&e);
}

static int read_structures(const char *path)
{
    struct aster_structures *r = NULL;
    struct aster_structures_place at;
    struct aster_structure s;
    struct aster_ctx *own = NULL;
    if (aster_ctx_new(&own) < 0)
        abort();
    int rc = aster_structures_open(ctx, path, &r);
    while (rc >= 0 && (rc = aster_structures_next(r, &s, &at)) > 0) {
        if (at.fault ? !strstr(at.fault, path) || s.n != 0
                     : aster_structure_check(own, &s, ASTER_MAX_ELEMENT, path, NULL) < 0)
            abort();
        if (!at.fault)
            find_neighbours(own, &s, at.index % 2);
        aster_structure_free(&s);
    }
    aster_structures_close(&r);
    aster_ctx_free(&own);
    return rc;
}

#endif
