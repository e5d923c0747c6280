/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures into files: frames of extxyz, and HDF5 in the ragged layout. */
#include "io/structures.h"

#include "io/io.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { FLUSH_ATOMS = 65536, FLUSH_STRUCTURES = 8192 };

/* ---- extxyz ---- */

static int check_written(struct aster_ctx *ctx, const struct aster_structure *s)
{
    char where[200];
    snprintf(where, sizeof where, "structure '%.*s' to be written",
             ASTER_CUT(100, s->name ? s->name : ""));
    ASTER_TRY(aster_structure_check(ctx, s, ASTER_MAX_ELEMENT, where, NULL));
    bool good = !s->has_energy || isfinite(s->energy);
    for (int k = 0; k < 9; k++)
        good = good && (!s->has_cell || isfinite(s->cell[k])) &&
               (!s->has_stress || isfinite(s->stress[k % 6]));
    for (int64_t k = 0; s->has_forces && k < 3 * s->n; k++)
        good = good && isfinite(s->force[k]);
    for (int64_t k = 0; s->velocity && k < 3 * s->n; k++)
        good = good && isfinite(s->velocity[k]);
    return good ? 0
                : aster_fail(ctx, ASTER_ENUMERIC,
                             "%s: has a cell, energy, force, stress or velocity that is not finite",
                             where);
}

static void add_number(struct aster_str *out, const char *before, double x)
{
    aster_str_printf(out, "%s%.17g", before, x);
}

static void add_numbers(struct aster_str *out, const char *key, const double *x)
{
    aster_str_printf(out, "%s=\"", key);
    for (int k = 0; k < 9; k++)
        add_number(out, k ? " " : "", x[k]);
    aster_str_add(out, "\" ");
}

/* Always in quotes; a line has to stay one line. */
static void add_name(struct aster_str *out, const char *name)
{
    aster_str_add(out, "name=\"");
    for (const char *p = name; *p; p++) {
        char c = (unsigned char)*p < 32 ? ' ' : *p;
        if (c == '"' || c == '\\')
            aster_str_add(out, "\\");
        aster_str_addn(out, &c, 1);
    }
    aster_str_add(out, "\" ");
}

static void add_atom(struct aster_str *out, const struct aster_structure *s, int64_t i)
{
    double mass = aster_element_mass(s->number[i]);
    aster_str_printf(out, "%-2s", aster_element_symbol(s->number[i]));
    for (int k = 0; k < 3; k++)
        add_number(out, " ", s->position[3 * i + k]);
    for (int k = 0; s->has_forces && k < 3; k++)
        add_number(out, " ", s->force[3 * i + k]);
    for (int k = 0; s->velocity && k < 3; k++)
        add_number(out, " ", mass * s->velocity[3 * i + k]);
    aster_str_add(out, "\n");
}

int aster_structure_add_extxyz(struct aster_ctx *ctx, struct aster_str *out,
                               const struct aster_structure *s)
{
    return aster_structure_add_frame(ctx, out, s, "");
}

int aster_structure_add_frame(struct aster_ctx *ctx, struct aster_str *out,
                              const struct aster_structure *s, const char *more)
{
    const double *t = s->stress, full[9] = {t[0], t[5], t[4], t[5], t[1], t[3], t[4], t[3], t[2]};
    ASTER_TRY(check_written(ctx, s));
    aster_str_printf(out, "%" PRId64 "\n", s->n);
    if (s->has_cell)
        add_numbers(out, "Lattice", s->cell);
    aster_str_printf(out, "Properties=species:S:1:pos:R:3%s%s ", s->has_forces ? ":forces:R:3" : "",
                     s->velocity ? ":momenta:R:3" : "");
    if (s->name && *s->name)
        add_name(out, s->name);
    if (s->has_energy) {
        add_number(out, "energy=", s->energy);
        aster_str_add(out, " ");
    }
    if (s->has_stress)
        add_numbers(out, "stress", full);
    aster_str_add(out, more);
    aster_str_printf(out, "pbc=\"%c %c %c\"\n", s->pbc[0] ? 'T' : 'F', s->pbc[1] ? 'T' : 'F',
                     s->pbc[2] ? 'T' : 'F');
    for (int64_t i = 0; i < s->n; i++)
        add_atom(out, s, i);
    return aster_str_ok(ctx, out);
}

/* ---- HDF5 ---- */

/* Elements of one dataset that are not yet in the file. */
struct part {
    void *data;
    int64_t n, cap;
};
enum {
    NUMBERS,
    SPLITS,
    POSITIONS,
    CELLS,
    PBC,
    ENERGY,
    FORCES,
    FORCE_SPLITS,
    STRESS,
    STRESS_MASK,
    INDICES,
    N_PARTS
};
static const struct {
    const char *name;
    enum aster_dtype type; /* ASTER_U8: truth values */
    int rank;
    int64_t dim[2];
} layout[N_PARTS] = {{"structures/atomic_numbers", ASTER_I64, 0, {0}},
                     {"structures/atomic_numbers_splits", ASTER_I64, 0, {0}},
                     {"structures/positions", ASTER_F64, 1, {3}},
                     {"structures/cells", ASTER_F64, 2, {3, 3}},
                     {"structures/pbc", ASTER_U8, 1, {3}},
                     {"labels/energy", ASTER_F64, 0, {0}},
                     {"labels/forces", ASTER_F32, 1, {3}},
                     {"labels/forces_splits", ASTER_I64, 0, {0}},
                     {"labels/stress", ASTER_F64, 1, {6}},
                     {"labels/stress_mask", ASTER_U8, 0, {0}},
                     {"labels/structure_indices", ASTER_I64, 0, {0}}};

struct aster_structures_out {
    struct aster_ctx *ctx;
    struct aster_h5 *file;
    struct part part[N_PARTS];
    char **name;
    int64_t n_names, names_cap;
    int64_t atoms, forces, structures; /* so far */
    bool finished;
};

/* n elements of the dataset's type. */
static int keep(struct aster_structures_out *o, int which, int64_t n, const void *data)
{
    struct part *p = &o->part[which];
    size_t size = (size_t)aster_dtype_size(layout[which].type);
    ASTER_TRY(aster_grow(o->ctx, p->n + n, size, &p->cap, &p->data));
    if (n)
        memcpy((char *)p->data + (size_t)p->n * size, data, (size_t)n * size);
    p->n += n;
    return 0;
}

int aster_structures_out_new(struct aster_ctx *ctx, struct aster_h5 *file,
                             struct aster_structures_out **out)
{
    int64_t zero = 0;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    (*out)->file = file;
    int rc = keep(*out, SPLITS, 1, &zero);
    if (rc == 0)
        rc = keep(*out, FORCE_SPLITS, 1, &zero);
    if (rc < 0)
        aster_structures_out_free(out);
    return rc;
}

void aster_structures_out_free(struct aster_structures_out **op)
{
    struct aster_structures_out *o = *op;
    if (!o)
        return;
    for (int k = 0; k < N_PARTS; k++)
        aster_free(&o->part[k].data);
    aster_strings_free(&o->name, o->n_names);
    aster_free(op);
}

static int flush(struct aster_structures_out *o)
{
    for (int k = 0; k < N_PARTS; k++) {
        struct part *p = &o->part[k];
        int64_t row = 1;
        for (int m = 0; m < layout[k].rank; m++)
            row *= layout[k].dim[m];
        if (layout[k].type == ASTER_U8)
            ASTER_TRY(aster_h5_append_flags(o->file, layout[k].name, p->n / row, row, p->data));
        else
            ASTER_TRY(aster_h5_append_shaped(o->file, layout[k].name, layout[k].type, p->n / row,
                                             layout[k].rank, layout[k].dim, p->data));
        p->n = 0;
    }
    ASTER_TRY(aster_h5_append_strings(o->file, "structures/names", o->n_names,
                                      (const char *const *)o->name));
    for (; o->n_names > 0; o->n_names--)
        aster_free(&o->name[o->n_names - 1]);
    return 0;
}

/* A label is written where there is anything to say; an energy that is missing is NaN there, and
 * forces that are missing are none. */
static int keep_labels(struct aster_structures_out *o, const struct aster_structure *s)
{
    double energy = s->has_energy ? s->energy : (double)NAN;
    uint8_t mask = s->has_stress;
    if (!s->has_energy && !s->has_forces && !s->has_stress)
        return 0;
    for (int64_t k = 0; s->has_forces && k < 3 * s->n; k++) {
        float f = (float)s->force[k];
        ASTER_TRY(keep(o, FORCES, 1, &f));
    }
    o->forces += s->has_forces ? s->n : 0;
    ASTER_TRY(keep(o, ENERGY, 1, &energy));
    ASTER_TRY(keep(o, FORCE_SPLITS, 1, &o->forces));
    ASTER_TRY(keep(o, STRESS, 6, s->stress));
    ASTER_TRY(keep(o, STRESS_MASK, 1, &mask));
    return keep(o, INDICES, 1, &o->structures);
}

static int check_forces(struct aster_ctx *ctx, const struct aster_structure *s)
{
    for (int64_t k = 0; s->has_forces && k < 3 * s->n; k++)
        if (!isfinite((float)s->force[k]))
            return aster_fail(ctx, ASTER_ENUMERIC,
                              "structure '%.*s' to be written: the force on atom %" PRId64
                              " is %g; the file keeps forces in single precision",
                              ASTER_CUT(100, s->name ? s->name : ""), k / 3 + 1, s->force[k]);
    return 0;
}

int aster_structures_out_add(struct aster_structures_out *o, const struct aster_structure *s)
{
    static const double no_cell[9];
    uint8_t pbc[3] = {s->pbc[0], s->pbc[1], s->pbc[2]};
    if (o->finished)
        return aster_fail(o->ctx, ASTER_EBUG, "a structure added to a file that is finished");
    ASTER_TRY(check_written(o->ctx, s));
    ASTER_TRY(check_forces(o->ctx, s));
    ASTER_TRY(aster_grow(o->ctx, o->n_names + 1, sizeof *o->name, &o->names_cap, &o->name));
    ASTER_TRY(aster_strdup(o->ctx, s->name ? s->name : "", &o->name[o->n_names]));
    o->n_names++;
    o->atoms += s->n;
    for (int64_t i = 0; i < s->n; i++) {
        int64_t z = s->number[i];
        ASTER_TRY(keep(o, NUMBERS, 1, &z));
    }
    ASTER_TRY(keep(o, SPLITS, 1, &o->atoms));
    ASTER_TRY(keep(o, POSITIONS, 3 * s->n, s->position));
    ASTER_TRY(keep(o, CELLS, 9, s->has_cell ? s->cell : no_cell));
    ASTER_TRY(keep(o, PBC, 3, pbc));
    ASTER_TRY(keep_labels(o, s));
    o->structures++;
    bool full = o->part[NUMBERS].n >= FLUSH_ATOMS || o->n_names >= FLUSH_STRUCTURES;
    return full ? flush(o) : 0;
}

int aster_structures_out_finish(struct aster_structures_out *o)
{
    if (o->finished)
        return 0;
    o->finished = true;
    return flush(o);
}
