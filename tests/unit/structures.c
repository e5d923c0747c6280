/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures in files: every format read, what is wrong said with file, line and item and the next
 * record read on, what was written read back. */
#include "unit/files.h"
#include "io/io.h"
#include "io/structures.h"

#include <math.h>
#include <zlib.h>

#define MOST 64

/* What a file gave. */
struct all {
    int64_t n;
    int rc;
    struct aster_structure s[MOST];
    char *fault[MOST], name[MOST][8];
    int64_t line[MOST];
};

static void read_all(const char *path, struct all *a)
{
    struct aster_structures *r;
    struct aster_structures_place at;
    *a = (struct all){0};
    a->rc = aster_structures_open(ctx, path, &r);
    while (a->rc >= 0 && a->n < MOST && (a->rc = aster_structures_next(r, &a->s[a->n], &at)) > 0) {
        if (at.index != a->n || strcmp(at.path, path) != 0)
            tap_ok(false, "%s: record %lld has index %lld", path, (long long)a->n,
                   (long long)at.index);
        a->fault[a->n] = at.fault ? strdup(at.fault) : NULL;
        snprintf(a->name[a->n], sizeof a->name[0], "%s", at.name);
        a->line[a->n++] = at.line;
    }
    aster_structures_close(&r);
}

static void forget(struct all *a)
{
    for (int64_t k = 0; k < a->n; k++) {
        aster_structure_free(&a->s[k]);
        free(a->fault[k]);
    }
}

static bool are(const double *x, int64_t n, ...)
{
    bool same = true;
    va_list ap;
    va_start(ap, n);
    for (int64_t k = 0; k < n; k++) {
        double want = va_arg(ap, double);
        same = same && !(x[k] < want) && !(x[k] > want);
    }
    va_end(ap);
    return same;
}

/* ---- xyz and extxyz ---- */

static void test_extxyz(void)
{
    struct all a;
    read_all(
        put_text("a.xyz",
                 "2\n"
                 "Lattice=\"4 0 0 0.5 5 0 0 0.25 6\" energy=-1.5e2 free_energy=7 name=\"a "
                 "\\\"b\\\" c\" pbc=\"T F T\" stress=\"1 6 5 6 2 4 5 4 3\" flag "
                 "other={1, 2} Properties=tag:I:1:pos:R:3:move:L:2:species:S:1:forces:R:3:q:R:1\n"
                 "7 1 2 3 T F Na -1 -2 -3 .5\n"
                 "8\t-1e-3  0 +2 F F\tCl 4 5 6 .25\n"
                 "1\n"
                 "Properties=Z:I:1:pos:R:3 Lattice=\"2 3 4\" virial=\"24 48 72 0 0 -24\" "
                 "config_type = water\n"
                 "6 0 0 0\n"),
        &a);
    const struct aster_structure *s = a.s;
    tap_ok(a.rc == 0 && a.n == 2 && !a.fault[0] && !a.fault[1] && a.line[0] == 1 && a.line[1] == 5,
           "two frames");
    tap_ok(s[0].n == 2 && s[0].number[0] == 11 && s[0].number[1] == 17 &&
               are(s[0].position, 6, 1., 2., 3., -1e-3, 0., 2.),
           "columns in any order, others between them");
    tap_ok(s[0].has_forces && are(s[0].force, 6, -1., -2., -3., 4., 5., 6.), "forces");
    tap_ok(s[0].has_cell && are(s[0].cell, 9, 4., 0., 0., .5, 5., 0., 0., .25, 6.) && s[0].pbc[0] &&
               !s[0].pbc[1] && s[0].pbc[2],
           "cell and periodic axes");
    tap_ok(s[0].has_energy && are(&s[0].energy, 1, -150.) && s[0].has_stress &&
               are(s[0].stress, 6, 1., 2., 3., 4., 5., 6.),
           "energy before free energy; stress from a matrix");
    tap_ok(s[0].name && !strcmp(s[0].name, "a \"b\" c"), "a quoted name");
    tap_ok(s[1].n == 1 && s[1].number[0] == 6 &&
               are(s[1].cell, 9, 2., 0., 0., 0., 3., 0., 0., 0., 4.) && s[1].pbc[0] &&
               s[1].pbc[1] && s[1].pbc[2] && !s[1].has_forces && !s[1].has_energy,
           "numbers for symbols; a cell makes all axes periodic");
    tap_ok(s[1].has_stress && are(s[1].stress, 6, -1., -2., -3., 0., 0., 1.) && s[1].name &&
               !strcmp(s[1].name, "water"),
           "a virial is minus the stress times the volume; the name from config_type");
    forget(&a);
}

/* Velocities as such or from momenta; written, and read again. */
static void test_velocities(void)
{
    struct all a;
    struct aster_str text = {0};
    read_all(put_text("v.xyz",
                      "1\nProperties=species:S:1:pos:R:3:velocities:R:3\nO 0 0 0 1 -2 .5\n"
                      "1\nProperties=momenta:R:3:species:S:1:pos:R:3\n31.998 0 -8 O 0 0 0\n"
                      "1\nProperties=momenta:R:3:species:S:1:pos:R:3:velocities:R:3\n"
                      "9 9 9 O 0 0 0 1 2 3\n"
                      "1\nProperties=species:S:1:pos:R:3\nO 0 0 0\n"
                      "1\nProperties=species:S:1:pos:R:3:momenta:R:3\nO 0 0 0 1 1 inf\n"),
             &a);
    tap_ok(a.rc == 0 && a.n == 5 && !a.fault[0] && are(a.s[0].velocity, 3, 1., -2., .5),
           "velocities");
    tap_ok(are(a.s[1].velocity, 3, 31.998 / 15.999, 0., -8 / 15.999), "momenta over masses");
    tap_ok(are(a.s[2].velocity, 3, 1., 2., 3.) && !a.s[3].velocity, "velocities before momenta");
    tap_ok(a.fault[4] && strstr(a.fault[4], "the velocity along z is 'inf'"), "a word for one");
    if (!fine(aster_structure_add_frame(ctx, &text, &a.s[1], "step=7 ")))
        exit(1);
    tap_ok(strstr(text.s, "pos:R:3:momenta:R:3 ") && strstr(text.s, " step=7 "),
           "written as momenta, with a key of the caller's");
    forget(&a);
    read_all(put_text("v.xyz", text.s), &a);
    tap_ok(a.n == 1 && are(a.s[0].velocity, 3, 31.998 / 15.999, 0., -8 / 15.999), "and read again");
    forget(&a);
    aster_str_free(&text);
}

/* The same two molecules, however lines end. */
static void check_water(const char *what, const char *path)
{
    struct all a;
    read_all(path, &a);
    bool good = tap_ok(a.rc == 0 && a.n == 2 && !a.fault[0] && !a.fault[1] && a.s[0].n == 3 &&
                           a.s[0].number[0] == 8 && a.s[0].number[2] == 1 && a.s[1].n == 1 &&
                           a.s[1].number[0] == 17 && !a.s[0].has_cell && !a.s[0].pbc[0] &&
                           are(a.s[0].position, 9, 0., 0., .1, 0., .76, -.47, 0., -.76, -.47) &&
                           are(a.s[1].position, 3, 1., 2., 3.),
                       "%s", what);
    if (!good)
        tap_note("code %d, %lld records, %s", a.rc, (long long)a.n,
                 a.n && a.fault[0] ? a.fault[0] : aster_ctx_message(ctx));
    forget(&a);
}

static void test_xyz(void)
{
    static const char lf[] = "3\n5' end of \"something, name\nO 0 0 .1 extra 7\n1 0 .76 -.47\nh\t0 "
                             "-.76 -.47\n\n  \n 1 \n\nCL 1 2 3";
    struct aster_str s = {0};
    check_water("plain xyz, no final newline, symbols in any case and numbers",
                put_text("w.xyz", lf));
    for (const char *p = lf; *p; p++)
        aster_str_printf(&s, *p == '\n' ? "\r%c" : "%c", *p);
    check_water("with CR LF", put_text("w.xyz", aster_str_get(&s)));
    s.len = 0;
    aster_str_printf(&s, "\xef\xbb\xbf%s\n\n", lf);
    check_water("with a byte order mark, and blank lines at the end", put_text("w.xyz", s.s));
    gzFile f = gzopen(in_dir("w.xyz.gz"), "wb");
    if (!f || gzputs(f, lf) < 0 || gzclose(f) != Z_OK)
        exit(1);
    check_water("packed", in_dir("w.xyz.gz"));
    struct all a;
    read_all(put_text("empty.xyz", ""), &a);
    tap_ok(a.rc == 0 && a.n == 0, "an empty file has no structures");
    forget(&a);
    aster_str_free(&s);
}

/* Each stands between two good frames, which are read all the same. %s of words: the file and line
 * are looked for by themselves. */
static const struct {
    const char *text;
    int line; /* within the text, that the message names */
    const char *words[3];
} bad_frames[] = {
    {"2\nc\nH 0 0 0\n", 4, {"begins", "1 of 2 atoms", ""}},
    {"1\nc\nH 0 0 0\nH 1 1 1\nH 2 2 2\n", 4, {"'H 1 1 1'", "1 atoms", "number of atoms"}},
    {"-3\nc\nH 0 0 0\n", 1, {"claims -3 atoms", "1 to 2147483647", ""}},
    {"99999999999\nc\nH 0 0 0\n", 1, {"claims 99999999999 atoms", "", ""}},
    {"2000000000\nc\nH 0 0 0\n", 4, {"1 of 2000000000 atoms", "", ""}},
    {"0\nc\n", 1, {"has no atoms", "", ""}},
    {"1\nname=odd\nH 0 0 nan\n", 3, {"'odd'", "atom 1: z is 'nan'", "a finite number"}},
    {"2\nc\nH 0 0 0\nH 0 inf 0\n", 4, {"atom 2: y is 'inf'", "", ""}},
    {"1\nc\nH 1e999 0 0\n", 3, {"atom 1: x is '1e999'", "", ""}},
    {"1\nc\nH 0x10 0 0\n", 3, {"x is '0x10'", "", ""}},
    {"1\nc\nXx 0 0 0\n", 3, {"the element is 'Xx'", "a symbol, or a number from 1 to 118", ""}},
    {"1\nc\n119 0 0 0\n", 3, {"the element is '119'", "", ""}},
    {"1\nc\nH\x01\xff 0 0 0\n", 3, {"'H\\x01\\xff'", "", ""}},
    {"1\nc\nH 0 0\n", 3, {"3 columns", "at least 4", ""}},
    {"1\nc\n\n", 3, {"0 columns", "", ""}},
    {"1\nProperties=species:S:1:pos:R:3\nH 0 0 0 0\n", 3, {"5 columns", "4 are", ""}},
    {"1\nProperties=species:S:1:pos:R:3:forces:R:3\nH 0 0 0 1 x 1\n",
     3,
     {"the force along y is 'x'", "", ""}},
    {"1\nProperties=species:S:1:pos:R:3:Z:I:1\nH 0 0 0 2\n",
     3,
     {"the element is '2'", "other column", ""}},
    {"1\nProperties=species:S:1:pos:R:2\nH 0 0\n", 2, {"pos:R:2", "pos:R:3", ""}},
    {"1\nProperties=species:S:1:pos:I:3\nH 0 0 0\n", 2, {"pos:I:3", "", ""}},
    {"1\nProperties=species:S:1\nH\n", 2, {"names no positions", "", ""}},
    {"1\nProperties=pos:R:3\n0 0 0\n", 2, {"names no elements", "", ""}},
    {"1\nProperties=species:S:1:pos:R:3:pos:R:3\nH 0 0 0 0 0 0\n",
     2,
     {"a second column", "'pos'", ""}},
    {"1\nProperties=species:S:1:pos:R:3:x:R:-1\nH 0 0 0\n", 2, {"'x", "name:type:columns", ""}},
    {"1\nProperties=species:S:1:pos:R:3:x:R:99999999\nH 0 0 0\n", 2, {"name:type:columns", "", ""}},
    {"1\nProperties=species\nH 0 0 0\n", 2, {"'species'", "name:type:columns", ""}},
    {"1\nLattice=\"1 0 0 0\" energy=1\nH 0 0 0\n", 2, {"Lattice has 4 numbers", "9", ""}},
    {"1\nLattice=\"1 0 0 0 1 0 0 0 nan\"\nH 0 0 0\n", 2, {"Lattice has 'nan'", "", ""}},
    {"1\nLattice=\"1 0 0 0 1 0 0 0 1\nH 0 0 0\n", 2, {"'Lattice'", "no end", ""}},
    {"1\nother=[1, [2, 3]\nH 0 0 0\n", 2, {"'other'", "brackets", ""}},
    {"1\npbc=\"T F\"\nH 0 0 0\n", 2, {"pbc has 2 values", "", ""}},
    {"1\npbc=\"T F maybe\"\nH 0 0 0\n", 2, {"pbc has 'maybe'", "", ""}},
    {"1\npbc=\"T F F\"\nH 0 0 0\n", 1, {"no cell", "", ""}},
    {"1\nenergy=low\nH 0 0 0\n", 2, {"energy has 'low'", "", ""}},
    {"1\nenergy=\"1 2\"\nH 0 0 0\n", 2, {"energy has 2 numbers", "one", ""}},
    {"1\nstress=\"1 2 3\"\nH 0 0 0\n", 2, {"stress has 3 numbers", "9 or 6", ""}},
    {"1\nvirial=\"1 2 3 4 5 6\"\nH 0 0 0\n", 2, {"virial", "no volume", ""}},
    {"1\nname=\xc3(\nH 0 0 0\n", 2, {"UTF-8", "", ""}},
};

static void check_bad(size_t k)
{
    struct aster_str text = {0};
    struct all a;
    char place[64];
    aster_str_printf(&text, "1\nbefore\nHe 1 2 3\n%s1\nname=after\nNe 4 5 6\n", bad_frames[k].text);
    read_all(put_text("bad.xyz", aster_str_get(&text)), &a);
    snprintf(place, sizeof place, "/bad.xyz:%d: structure 2", 3 + bad_frames[k].line);
    bool good = a.rc == 0 && a.n == 3 && !a.fault[0] && a.fault[1] && !a.fault[2] &&
                a.s[0].number[0] == 2 && a.s[1].n == 0 && a.s[2].number[0] == 10 &&
                strstr(a.fault[1], place);
    for (int w = 0; good && w < 3; w++)
        good = strstr(a.fault[1], bad_frames[k].words[w]);
    if (!tap_ok(good, "%s, and on", a.n > 1 && a.fault[1] ? strstr(a.fault[1], "bad.xyz") : "?"))
        tap_note("code %d, %lld records, expected %s: %s", a.rc, (long long)a.n, place,
                 bad_frames[k].words[0]);
    forget(&a);
    aster_str_free(&text);
}

static void test_bad_name(void)
{
    struct all a;
    read_all(put_text("n.xyz", "1\nname=good\nH 0 0 0\n1\nname=bad\nH 0 0 x\n"
                               "1\n\nH 0 0 x\n2\nname=cut\nH 0 0 0\n"),
             &a);
    tap_ok(a.n == 4 && !a.fault[0] && a.fault[1] && a.fault[2] && a.fault[3] &&
               !strcmp(a.name[1], "bad") && !*a.name[2] && !strcmp(a.name[3], "cut"),
           "a structure with a fault keeps its name, where it has one");
    forget(&a);
}

static void test_bad_frames(void)
{
    for (size_t k = 0; k < sizeof bad_frames / sizeof *bad_frames; k++)
        check_bad(k);
}

static void fails(const char *what, const char *path, int code, const char *word, const char *more)
{
    struct all a;
    read_all(path, &a);
    int64_t n = a.n;
    failed_with(what, a.rc, code, aster_path_base(path), word, more, NULL);
    tap_ok(n <= 2, "%s: the reading ends", what);
    forget(&a);
}

static void test_cut_off(void)
{
    static const char *const ends[] = {"2",      "2\n",           "2\nc",
                                       "2\nc\n", "2\nc\nH 0 0 0", "2\nc\nH 0 0 0\nH 1"};
    bool good = true;
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
        struct all a;
        read_all(put_text("cut.xyz", ends[k]), &a);
        good = good && a.rc == 0 && a.n == 1 && a.fault[0] && strstr(a.fault[0], "cut.xyz:");
        forget(&a);
    }
    tap_ok(good, "a file cut off anywhere: the last structure is at fault");
}

static void test_bad_files(void)
{
    fails("no file", in_dir("none.xyz"), ASTER_EIO, "No such file", "");
    fails("a folder", in_dir(""), ASTER_EIO, "folder", "");
    fails("a table", put_text("t.csv", "id,seq\n1,A\n"), ASTER_EFORMAT, "t.csv:1", "'id,seq'");
    fails("NUL bytes", put_bytes("nul.xyz", BYTES("1\nc\nH 0 0\0 0\n")), ASTER_EFORMAT, ":3",
          "NUL byte");
    fails("half a gzip", put_bytes("h.xyz.gz", BYTES("\x1f\x8b\x08\0\0\0\0\0\0\x03\x33")),
          ASTER_EFORMAT, "gzip", "");
    fails("the first bytes of HDF5", put_bytes("x.h5", BYTES("\x89HDF\r\n\x1a\nabc")),
          ASTER_EFORMAT, "HDF5", "");
}

static void test_long_lines(void)
{
    enum { LONG = 5 << 20 };
    struct aster_str s = {0};
    struct all a;
    char *run = malloc(LONG);
    if (!run)
        exit(1);
    memset(run, 'x', LONG);
    aster_str_add(&s, "1\nname=a note=\"");
    aster_str_addn(&s, run, LONG);
    aster_str_add(&s, "\"\nH 1 2 3\n1\n\nH ");
    aster_str_addn(&s, run, LONG);
    aster_str_add(&s, " 1 2\n1\n\n");
    for (int k = 0; k < LONG / 2; k++)
        aster_str_add(&s, "1 ");
    read_all(put_bytes("long.xyz", s.s, s.len), &a);
    tap_ok(a.rc == 0 && a.n == 3 && !a.fault[0] && !strcmp(a.s[0].name, "a") && a.fault[1] &&
               strlen(a.fault[1]) < 300 && !a.fault[2],
           "lines of 5 MiB: read, or refused in few words");
    forget(&a);
    aster_str_free(&s);
    free(run);
}

/* ---- HDF5 ---- */

static bool same(const struct aster_structure *a, const struct aster_structure *b, double force)
{
    bool good = a->n == b->n && a->has_cell == b->has_cell && a->has_energy == b->has_energy &&
                a->has_forces == b->has_forces && a->has_stress == b->has_stress &&
                !strcmp(a->name ? a->name : "", b->name ? b->name : "") &&
                !memcmp(a->pbc, b->pbc, sizeof a->pbc) &&
                !memcmp(a->cell, b->cell, sizeof a->cell) &&
                (!a->has_energy || !memcmp(&a->energy, &b->energy, sizeof a->energy)) &&
                !memcmp(a->stress, b->stress, sizeof a->stress);
    good = good && !memcmp(a->number, b->number, (size_t)a->n * sizeof *a->number) &&
           !memcmp(a->position, b->position, (size_t)a->n * 3 * sizeof *a->position);
    for (int64_t k = 0; good && a->has_forces && k < 3 * a->n; k++)
        good = fabs(a->force[k] - b->force[k]) <= force * fabs(a->force[k]);
    return good;
}

static double number(uint64_t k)
{
    return (aster_uniform(3, 1, k) - 0.5) * pow(10, (double)(k % 13) - 6);
}

/* Structure k of those that are written: of each kind some. */
static void make(uint64_t k, struct aster_structure *s)
{
    static const char *const names[] = {"plain", "two words", "\"q\" \\ = [", "caf\xc3\xa9", NULL};
    if (!fine(aster_structure_new(ctx, 1 + (int64_t)(k * 7 % 11), k % 3 == 0, s)))
        exit(1);
    if (names[k % 5] && !fine(aster_strdup(ctx, names[k % 5], &s->name)))
        exit(1);
    s->has_cell = k % 4 > 0;
    for (int m = 0; m < 9; m++) {
        s->cell[m] = s->has_cell ? number(100 * k + (uint64_t)m) : 0;
        s->pbc[m % 3] = s->has_cell && (k >> m % 3 & 1);
    }
    for (int64_t i = 0; i < 3 * s->n; i++) {
        s->position[i] = number(1000 * k + (uint64_t)i);
        if (s->force)
            s->force[i] = number(2000 * k + (uint64_t)i);
        s->number[i / 3] = 1 + (int32_t)((k + (uint64_t)i) % 118);
    }
    s->has_energy = k % 2;
    s->energy = s->has_energy ? number(k) : 0;
    s->has_stress = k % 7 == 1;
    for (int m = 0; m < 6 && s->has_stress; m++)
        s->stress[m] = number(50 * k + (uint64_t)m);
}

static void check_written(const char *what, const char *path, double force)
{
    struct all a;
    read_all(path, &a);
    bool good = a.rc == 0 && a.n == 40;
    for (int64_t k = 0; good && k < 40; k++) {
        struct aster_structure s;
        make((uint64_t)k, &s);
        good = !a.fault[k] && same(&s, &a.s[k], force);
        if (!good)
            tap_note("structure %lld: %s", (long long)k, a.fault[k] ? a.fault[k] : "differs");
        aster_structure_free(&s);
    }
    tap_ok(good, "%s", what);
    if (a.rc < 0)
        fine(a.rc);
    forget(&a);
}

static void test_written(void)
{
    struct aster_str text = {0};
    struct aster_h5 *f;
    struct aster_structures_out *o = NULL;
    bool good = fine(aster_h5_create(ctx, in_dir("w.h5"), &f)) &&
                fine(aster_structures_out_new(ctx, f, &o));
    for (uint64_t k = 0; good && k < 40; k++) {
        struct aster_structure s;
        make(k, &s);
        good = fine(aster_structure_add_extxyz(ctx, &text, &s)) &&
               fine(aster_structures_out_add(o, &s));
        aster_structure_free(&s);
    }
    good = good && fine(aster_structures_out_finish(o)) && fine(aster_h5_commit(&f));
    aster_structures_out_free(&o);
    tap_ok(good, "40 structures are written");
    check_written("extxyz: every bit reads back", put_text("w.xyz", aster_str_get(&text)), 0);
    check_written("HDF5: so does it there, forces in single precision", in_dir("w.h5"), 6e-8);
    aster_str_free(&text);
}

static void test_layout(void)
{
    static const struct {
        const char *name;
        int rank;
        int64_t dim[3];
    } parts[] = {{"structures/atomic_numbers_splits", 1, {41}},
                 {"structures/cells", 3, {40, 3, 3}},
                 {"structures/pbc", 2, {40, 3}},
                 {"labels/forces_splits", 1, {30}}, /* 29 of the 40 have a label: 20 odd ones with
                                                     an energy, 7 more with forces, 2 with stress */
                 {"labels/stress", 2, {29, 6}}};
    struct aster_h5 *f;
    struct aster_h5_shape s;
    bool good = fine(aster_h5_open(ctx, in_dir("w.h5"), &f));
    for (size_t k = 0; good && k < sizeof parts / sizeof *parts; k++) {
        good = fine(aster_h5_shape(f, parts[k].name, &s)) && s.rank == parts[k].rank;
        for (int m = 0; m < s.rank; m++)
            good = good && s.dim[m] == parts[k].dim[m];
        if (!good)
            tap_note("%s: rank %d, %lld rows", parts[k].name, s.rank, (long long)s.dim[0]);
    }
    tap_ok(good, "the datasets have the shapes of the layout");
    aster_h5_close(&f);
}

static void test_not_written(void)
{
    struct aster_structure s;
    struct aster_str text = {0};
    if (!fine(aster_structure_new(ctx, 1, true, &s)))
        exit(1);
    failed_with("number 0 is not written", aster_structure_add_extxyz(ctx, &text, &s),
                ASTER_EFORMAT, "atomic number 0", NULL);
    s.number[0] = 1;
    s.force[2] = NAN;
    failed_with("nor is a force that is no number", aster_structure_add_extxyz(ctx, &text, &s),
                ASTER_ENUMERIC, "not finite", NULL);
    tap_ok(text.len == 0, "nor a part of it");
    aster_structure_free(&s);
}

static int put(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t a, int64_t b,
               const void *data)
{
    int64_t dim[2] = {a, b};
    return aster_h5_write(f, name, t, b ? 2 : 1, dim, data);
}

static void test_groups(void)
{
    static const double pos[6] = {0, 0, 0, 1, 2, 3}, cell[9] = {4, 0, 0, 0, 5, 0, 0, 0, 6};
    static const double energy = -3, stress[9] = {1, 6, 5, 6, 2, 4, 5, 4, 3};
    static const int32_t z[2] = {6, 8}, one[1] = {6};
    static const uint8_t pbc[3] = {0, 1, 0};
    struct aster_h5 *f;
    struct all a;
    bool good = fine(aster_h5_create(ctx, in_dir("g.h5"), &f)) &&
                fine(put(f, "a/positions", ASTER_F64, 2, 3, pos)) &&
                fine(put(f, "a/atomic_numbers", ASTER_I32, 2, 0, z)) &&
                fine(put(f, "a/cell", ASTER_F64, 3, 3, cell)) &&
                fine(put(f, "a/pbc", ASTER_U8, 3, 0, pbc)) &&
                fine(put(f, "a/forces", ASTER_F64, 2, 3, pos)) &&
                fine(put(f, "a/stress", ASTER_F64, 3, 3, stress)) &&
                fine(aster_h5_write(f, "a/energy", ASTER_F64, 0, NULL, &energy)) &&
                fine(put(f, "b/positions", ASTER_F64, 2, 3, pos)) &&
                fine(put(f, "b/atomic_numbers", ASTER_I32, 1, 0, one)) &&
                fine(put(f, "c/positions", ASTER_F64, 2, 3, pos)) &&
                fine(put(f, "c/atomic_numbers", ASTER_I32, 2, 0, z)) &&
                fine(aster_h5_attr_set_f64(f, "c", "energy", 2.5)) && fine(aster_h5_commit(&f));
    read_all(in_dir("g.h5"), &a);
    tap_ok(good && a.rc == 0 && a.n == 3 && !a.fault[0] && a.fault[1] && !a.fault[2],
           "a group per structure");
    tap_ok(a.n == 3 && a.s[0].n == 2 && !strcmp(a.s[0].name, "a") && a.s[0].number[1] == 8 &&
               are(a.s[0].position, 6, 0., 0., 0., 1., 2., 3.) && a.s[0].pbc[1] && !a.s[0].pbc[0] &&
               are(a.s[0].stress, 6, 1., 2., 3., 4., 5., 6.) && are(&a.s[0].energy, 1, -3.) &&
               a.s[0].has_forces && a.s[0].force[5] > 2.5 && a.s[0].cell[4] > 4.5,
           "all that a group can say");
    tap_ok(a.n == 3 && a.fault[1] && strstr(a.fault[1], "g.h5: 'b/atomic_numbers'") &&
               strstr(a.fault[1], "2 are expected"),
           "numbers and positions that do not go together are a fault of that group");
    tap_ok(!strcmp(a.name[1], "b"), "which is named");
    tap_ok(a.n == 3 && a.s[2].has_energy && are(&a.s[2].energy, 1, 2.5) && !a.s[2].has_cell &&
               !a.s[2].has_forces,
           "an energy as an attribute, and nothing else");
    forget(&a);
}

/* A ragged file of three structures of two atoms each, splits and indices as given. */
static const char *put_ragged(const char *name, const int64_t splits[4], const int64_t *indices,
                              int64_t n_labels, int64_t n_energies)
{
    static const double pos[18] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0};
    static const double energy[3] = {1, 2, 3};
    static const int64_t z[6] = {1, 1, 6, 6, 8, 8};
    struct aster_h5 *f;
    bool good =
        fine(aster_h5_create(ctx, in_dir(name), &f)) &&
        fine(put(f, "structures/positions", ASTER_F64, 6, 3, pos)) &&
        fine(put(f, "structures/atomic_numbers", ASTER_I64, 6, 0, z)) &&
        fine(put(f, "structures/atomic_numbers_splits", ASTER_I64, 4, 0, splits)) &&
        fine(put(f, "labels/energy", ASTER_F64, n_energies, 0, energy)) &&
        (!indices || fine(put(f, "labels/structure_indices", ASTER_I64, n_labels, 0, indices))) &&
        fine(aster_h5_commit(&f));
    if (!good)
        exit(1);
    return in_dir(name);
}

static void test_ragged(void)
{
    static const int64_t right[4] = {0, 2, 4, 6}, back[4] = {0, 4, 2, 6}, far[4] = {0, 2, 4, 7},
                         hole[4] = {0, 2, 2, 4}, indices[2] = {0, 2}, falling[2] = {2, 0};
    struct all a;
    read_all(put_ragged("r1.h5", right, indices, 2, 2), &a);
    tap_ok(a.rc == 0 && a.n == 3 && a.s[0].has_energy && !a.s[1].has_energy && a.s[2].has_energy &&
               are(&a.s[2].energy, 1, 2.) && a.s[2].number[1] == 8 && a.s[2].position[3] > 2.5,
           "labels of some of the structures");
    forget(&a);
    read_all(put_ragged("r2.h5", back, NULL, 0, 3), &a);
    tap_ok(a.rc == 0 && a.n == 3 && !a.fault[0] && a.s[0].n == 4 && a.fault[1] &&
               strstr(a.fault[1], "r2.h5: structure 2: ") && strstr(a.fault[1], "4 and 2") &&
               !a.fault[2] && a.s[2].n == 4,
           "splits that go back are a fault of one structure");
    forget(&a);
    read_all(put_ragged("r3.h5", far, NULL, 0, 3), &a);
    tap_ok(a.rc == 0 && a.n == 3 && !a.fault[1] && a.fault[2] && strstr(a.fault[2], "up to 6"),
           "splits beyond the atoms too");
    forget(&a);
    read_all(put_ragged("r4.h5", hole, NULL, 0, 3), &a);
    tap_ok(a.rc == 0 && a.n == 3 && a.fault[1] && strstr(a.fault[1], "has no atoms") &&
               a.s[2].has_energy && are(&a.s[2].energy, 1, 3.),
           "a structure without atoms too");
    forget(&a);
    fails("energies of fewer structures", put_ragged("r5.h5", right, NULL, 0, 2), ASTER_EFORMAT,
          "labels/energy", "3 are expected");
    fails("indices that fall", put_ragged("r6.h5", right, falling, 2, 2), ASTER_EFORMAT,
          "structure_indices", "rising");
}

/* ---- shared data ---- */

static void test_shared(void)
{
    struct aster_structures *r;
    struct aster_structures_place at;
    struct aster_structure s;
    struct aster_h5 *f;
    double *pos = NULL, *energy = NULL, *force = NULL;
    int64_t *z = NULL, atom = 0, k = 0;
    const char *path = shared("mlff/train/distill_sample.h5");
    if (!path) {
        tap_skip("no shared test data; ASTERISM_TEST_DATA names its folder");
        return;
    }
    bool good = fine(aster_h5_open(ctx, path, &f)) &&
                fine(aster_h5_read(f, "structures/positions", ASTER_F64, 27930, &pos)) &&
                fine(aster_h5_read(f, "structures/atomic_numbers", ASTER_I64, 9310, &z)) &&
                fine(aster_h5_read(f, "labels/energy", ASTER_F64, 1200, &energy)) &&
                fine(aster_h5_read(f, "labels/forces", ASTER_F64, 27930, &force)) &&
                fine(aster_structures_open(ctx, path, &r));
    if (!good)
        exit(1);
    int64_t claimed = aster_structures_count(r);
    for (; good && aster_structures_next(r, &s, &at) > 0; k++) {
        good = !at.fault && s.has_energy && s.has_forces && !s.has_stress && !s.pbc[0] &&
               are(&s.energy, 1, energy[k]) && atom + s.n <= 9310 &&
               !memcmp(s.position, pos + 3 * atom, (size_t)s.n * 3 * sizeof *pos) &&
               !memcmp(s.force, force + 3 * atom, (size_t)s.n * 3 * sizeof *pos);
        for (int64_t i = 0; good && i < s.n; i++)
            good = s.number[i] == z[atom + i];
        atom += s.n;
        aster_structure_free(&s);
    }
    tap_ok(good && k == 1200 && claimed == 1200 && atom == 9310,
           "the training sample: 1200 structures, 9310 atoms, as its datasets have them");
    aster_structures_close(&r);
    aster_h5_close(&f);
    aster_free(&pos);
    aster_free(&energy);
    aster_free(&force);
    aster_free(&z);
}

static void test_shared_frames(void)
{
    struct all a;
    struct aster_h5 *f;
    double *pos = NULL;
    int32_t *z = NULL;
    char **names = NULL, path[512];
    int64_t n = 0;
    if (!shared("mlff/molecules.extxyz")) {
        tap_skip("no shared test data; ASTERISM_TEST_DATA names its folder");
        return;
    }
    snprintf(path, sizeof path, "%s", shared("mlff/molecules.extxyz"));
    read_all(path, &a);
    bool good = a.rc == 0 && a.n == 25 &&
                fine(aster_h5_open(ctx, shared("mlff/golden/molecules_original.h5"), &f)) &&
                fine(aster_h5_list(f, "/", &names, &n));
    for (int64_t k = 0; good && k < n; k++) {
        const struct aster_structure *s = &a.s[strtol(names[k], NULL, 10)];
        snprintf(path, sizeof path, "%s/exact/pos", names[k]);
        good = fine(aster_h5_read(f, path, ASTER_F64, 3 * s->n, &pos));
        snprintf(path, sizeof path, "%s/Z", names[k]);
        good = good && fine(aster_h5_read(f, path, ASTER_I32, s->n, &z)) &&
               strstr(names[k], s->name) &&
               !memcmp(pos, s->position, (size_t)s->n * 3 * sizeof *pos) &&
               !memcmp(z, s->number, (size_t)s->n * sizeof *z);
        aster_free(&pos);
        aster_free(&z);
    }
    tap_ok(good && n > 0, "the test molecules: names, elements and positions of %lld golden groups",
           (long long)n);
    aster_h5_names_free(&names, n);
    aster_h5_close(&f);
    forget(&a);
}

int main(void)
{
    test_start();
    test_extxyz();
    test_velocities();
    test_xyz();
    test_bad_frames();
    test_bad_name();
    test_cut_off();
    test_bad_files();
    test_long_lines();
    test_written();
    test_layout();
    test_not_written();
    test_groups();
    test_ragged();
    test_shared();
    test_shared_frames();
    return test_end();
}
