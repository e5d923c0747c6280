/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures in HDF5: all of them one behind the other, with splits, or a group for each. Of a file
 * of the first kind no more than windows of its datasets are in memory. */
#include "io/structures.h"

#include "io/io.h"
#include "io/xyz.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { WINDOW = 4096 }; /* rows, unless a structure has more */

/* Rows of one dataset; loads those that are asked for, and some that follow. */
struct window {
    const char *name;
    enum aster_dtype type;
    bool there;
    int64_t rows, width; /* of the dataset; elements of a row */
    int64_t begin, n, cap;
    void *data;
};
enum part {
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
struct aster_ragged {
    struct aster_ctx *ctx;
    struct aster_h5 *f;
    const char *path; /* of the caller */
    int64_t n, label; /* structures; the first label that is not of an earlier one */
    int64_t next;     /* structure to which label belongs as it is */
    double file_bytes;
    struct window part[N_PARTS];
    bool has_names;
    char **name; /* of structures name_begin .. name_begin + n_names - 1 */
    int64_t name_begin, n_names;
};

static const char names[] = "structures/names"; /* not of the original layout */

static const struct {
    const char *name;
    enum aster_dtype type;
    int64_t width;
} layout[N_PARTS] = {{"structures/atomic_numbers", ASTER_I64, 1},
                     {"structures/atomic_numbers_splits", ASTER_I64, 1},
                     {"structures/positions", ASTER_F64, 3},
                     {"structures/cells", ASTER_F64, 9},
                     {"structures/pbc", ASTER_U8, 3},
                     {"labels/energy", ASTER_F64, 1},
                     {"labels/forces", ASTER_F64, 3},
                     {"labels/forces_splits", ASTER_I64, 1},
                     {"labels/stress", ASTER_F64, 6},
                     {"labels/stress_mask", ASTER_U8, 1},
                     {"labels/structure_indices", ASTER_I64, 1}};

/* ---- windows ---- */

/* Rows first .. first+n-1. They have been compared with the dataset's length. */
static int rows(struct aster_ragged *g, enum part p, int64_t first, int64_t n, const void **out)
{
    struct window *w = &g->part[p];
    int64_t row = w->width * aster_dtype_size(w->type);
    *out = w->data;
    if (n == 0)
        return 0;
    if (first < w->begin || first + n > w->begin + w->n) {
        int64_t take = aster_min64(w->rows - first, aster_max64(n, WINDOW)), bytes;
        ASTER_TRY(aster_mul(g->ctx, take, row, &bytes));
        if (bytes > 1LL << 30 && (double)bytes > 2000 * g->file_bytes)
            return aster_fail(g->ctx, ASTER_ELIMIT,
                              "%s: '%s': claims %" PRId64 " rows in a file of %.0f bytes", g->path,
                              w->name, take, g->file_bytes);
        w->n = 0;
        ASTER_TRY(aster_grow(g->ctx, bytes, 1, &w->cap, &w->data));
        ASTER_TRY(aster_h5_read_rows(g->f, w->name, w->type, first, take, w->data));
        w->begin = first;
        w->n = take;
    }
    *out = (const char *)w->data + (first - w->begin) * row;
    return 0;
}

static int open_part(struct aster_ragged *g, enum part p, bool needed)
{
    struct window *w = &g->part[p];
    struct aster_h5_shape s;
    w->name = layout[p].name;
    w->type = layout[p].type;
    w->width = layout[p].width;
    if (!needed && !aster_h5_has(g->f, w->name))
        return 0;
    ASTER_TRY(aster_h5_shape(g->f, w->name, &s));
    if (s.is_string || s.rank < 1 || s.n != s.dim[0] * w->width ||
        (w->width > 1 && s.dim[s.rank - 1] != (p == CELLS ? 3 : w->width)))
        return aster_fail(g->ctx, ASTER_EFORMAT,
                          "%s: '%s': rows of %" PRId64
                          " numbers are expected; it has another shape",
                          g->path, w->name, w->width);
    w->there = true;
    w->rows = s.dim[0];
    return 0;
}

static int same_rows(const struct aster_ragged *g, enum part p, int64_t n, const char *of)
{
    const struct window *w = &g->part[p];
    return !w->there || w->rows == n
               ? 0
               : aster_fail(g->ctx, ASTER_EFORMAT,
                            "%s: '%s': has %" PRId64 " rows, %" PRId64 " are expected (%s)",
                            g->path, w->name, w->rows, n, of);
}

static int open_names(struct aster_ragged *g)
{
    struct aster_h5_shape s;
    g->has_names = aster_h5_has(g->f, names);
    if (!g->has_names)
        return 0;
    ASTER_TRY(aster_h5_shape(g->f, names, &s));
    return s.is_string && s.rank == 1 && s.n == g->n
               ? 0
               : aster_fail(g->ctx, ASTER_EFORMAT,
                            "%s: '%s': %" PRId64 " texts are expected, one for each structure",
                            g->path, names, g->n);
}

static int read_name(struct aster_ragged *g, int64_t k, struct aster_structure *out)
{
    if (!g->has_names)
        return 0;
    if (k < g->name_begin || k >= g->name_begin + g->n_names) {
        aster_strings_free(&g->name, g->n_names);
        g->name_begin = k;
        g->n_names = 0;
        int64_t n = aster_min64(WINDOW, g->n - k);
        ASTER_TRY(aster_h5_read_string_rows(g->f, names, k, n, &g->name));
        g->n_names = n;
    }
    const char *name = g->name[k - g->name_begin];
    return *name ? aster_strdup(g->ctx, name, &out->name) : 0;
}

/* Which datasets there are, and that they have rows for all that they describe. */
static int check_parts(struct aster_ragged *g)
{
    const struct window *w = g->part;
    int64_t labels = w[INDICES].there ? w[INDICES].rows : g->n;
    for (int p = ENERGY; p <= STRESS_MASK; p++)
        if (p != FORCES && p != FORCE_SPLITS)
            ASTER_TRY(same_rows(g, p, labels,
                                w[INDICES].there ? "as labels/structure_indices has"
                                                 : "one for each structure"));
    ASTER_TRY(same_rows(g, POSITIONS, w[NUMBERS].rows, "one for each atom"));
    ASTER_TRY(same_rows(g, CELLS, g->n, "one for each structure"));
    ASTER_TRY(same_rows(g, PBC, g->n, "one for each structure"));
    if (w[FORCES].there && w[FORCE_SPLITS].there)
        return same_rows(g, FORCE_SPLITS, labels + 1, "one more than there are labels");
    return 0;
}

int aster_ragged_open(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                      struct aster_ragged **out)
{
    struct aster_ragged *g = NULL;
    struct stat st;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *g, &g));
    g->ctx = ctx;
    g->f = f;
    g->path = path;
    g->file_bytes = stat(path, &st) == 0 ? (double)st.st_size : 0;
    for (int p = 0; p < N_PARTS; p++)
        ASTER_GOTO(open_part(g, p, p <= POSITIONS), fail);
    if (g->part[SPLITS].rows < 1) {
        rc = aster_fail(ctx, ASTER_EFORMAT,
                        "%s: '%s': is empty; one row more than there are structures is expected",
                        path, g->part[SPLITS].name);
        goto fail;
    }
    g->n = g->part[SPLITS].rows - 1;
    ASTER_GOTO(check_parts(g), fail);
    ASTER_GOTO(open_names(g), fail);
    *out = g;
    return 0;
fail:
    aster_ragged_close(&g);
    return rc;
}

int64_t aster_ragged_count(const struct aster_ragged *g)
{
    return g->n;
}

void aster_ragged_close(struct aster_ragged **gp)
{
    if (!*gp)
        return;
    for (int p = 0; p < N_PARTS; p++)
        aster_free(&(*gp)->part[p].data);
    aster_strings_free(&(*gp)->name, (*gp)->n_names);
    aster_free(gp);
}

/* ---- one structure ---- */

/* Where rows of the k-th begin, and how many: within the dataset, and not backwards. */
static int split(struct aster_ragged *g, enum part splits, enum part of, int64_t k, int64_t *begin,
                 int64_t *n, bool *is_record)
{
    const int64_t *at;
    const void *data;
    ASTER_TRY(rows(g, splits, k, 2, &data));
    at = data;
    if (at[0] < 0 || at[1] < at[0] || at[1] > g->part[of].rows) {
        *is_record = true;
        return aster_fail(g->ctx, ASTER_EFORMAT,
                          "%s: structure %" PRId64 ": '%s' has %" PRId64 " and %" PRId64
                          " for its begin and end; rising numbers up to %" PRId64 " are expected",
                          g->path, k + 1, g->part[splits].name, at[0], at[1], g->part[of].rows);
    }
    *begin = at[0];
    *n = at[1] - at[0];
    return 0;
}

static int read_atoms(struct aster_ragged *g, int64_t k, struct aster_structure *out,
                      bool *is_record)
{
    int64_t begin = 0, n = 0;
    const void *data;
    ASTER_TRY(split(g, SPLITS, NUMBERS, k, &begin, &n, is_record));
    if (n > INT32_MAX) {
        *is_record = true;
        return aster_fail(g->ctx, ASTER_ELIMIT,
                          "%s: structure %" PRId64 ": has %" PRId64
                          " atoms; at most 2147483647 are expected",
                          g->path, k + 1, n);
    }
    ASTER_TRY(rows(g, NUMBERS, begin, n, &data)); /* before memory is asked for */
    ASTER_TRY(aster_structure_new(g->ctx, n, false, out));
    for (int64_t i = 0; i < n; i++) {
        int64_t z = ((const int64_t *)data)[i];
        out->number[i] = z < 0 || z > INT32_MAX ? 0 : (int32_t)z;
    }
    ASTER_TRY(rows(g, POSITIONS, begin, n, &data));
    if (n)
        memcpy(out->position, data, (size_t)n * 3 * sizeof(double));
    if (g->part[CELLS].there) {
        ASTER_TRY(rows(g, CELLS, k, 1, &data));
        memcpy(out->cell, data, sizeof out->cell);
        for (int m = 0; m < 9; m++)
            out->has_cell |= !(out->cell[m] <= 0 && out->cell[m] >= 0);
    }
    if (g->part[PBC].there) {
        ASTER_TRY(rows(g, PBC, k, 1, &data));
        for (int m = 0; m < 3; m++)
            out->pbc[m] = ((const uint8_t *)data)[m] != 0;
    }
    return 0;
}

static int no_index(const struct aster_ragged *g, int64_t of)
{
    return aster_fail(g->ctx, ASTER_EFORMAT,
                      "%s: '%s': row %" PRId64 " is %" PRId64
                      "; numbers of structures, rising, are expected",
                      g->path, g->part[INDICES].name, g->label, of);
}

/* The label of structure k, or -1. Indices rise, so that they need not be kept. */
static int find_label(struct aster_ragged *g, int64_t k, int64_t *label)
{
    const void *data;
    *label = k;
    if (!g->part[INDICES].there)
        return 0;
    *label = -1;
    while (g->label < g->part[INDICES].rows) {
        ASTER_TRY(rows(g, INDICES, g->label, 1, &data));
        int64_t of = *(const int64_t *)data;
        if (of < g->next || of >= g->n)
            return no_index(g, of);
        if (of > k)
            return 0;
        g->next = of + 1;
        g->label++;
        if (of == k) {
            *label = g->label - 1;
            break;
        }
    }
    if (k < g->n - 1 || g->label == g->part[INDICES].rows)
        return 0;
    ASTER_TRY(rows(g, INDICES, g->label, 1, &data)); /* nothing it could belong to */
    return no_index(g, *(const int64_t *)data);
}

static int read_forces(struct aster_ragged *g, int64_t k, int64_t label,
                       struct aster_structure *out, bool *is_record)
{
    int64_t begin = 0, n = 0;
    const void *data;
    if (g->part[FORCE_SPLITS].there)
        ASTER_TRY(split(g, FORCE_SPLITS, FORCES, label, &begin, &n, is_record));
    else
        ASTER_TRY(split(g, SPLITS, FORCES, k, &begin, &n, is_record));
    if (n == 0)
        return 0;
    if (n != out->n) {
        *is_record = true;
        return aster_fail(g->ctx, ASTER_EFORMAT,
                          "%s: structure %" PRId64 ": has %" PRId64 " forces; %" PRId64
                          ", one for each atom, are expected",
                          g->path, k + 1, n, out->n);
    }
    ASTER_TRY(rows(g, FORCES, begin, n, &data));
    ASTER_TRY(aster_alloc(g->ctx, 3 * n, sizeof(double), &out->force));
    memcpy(out->force, data, (size_t)n * 3 * sizeof(double));
    out->has_forces = true;
    return 0;
}

static int read_labels(struct aster_ragged *g, int64_t k, struct aster_structure *out,
                       bool *is_record)
{
    int64_t label = -1;
    const void *data;
    ASTER_TRY(find_label(g, k, &label));
    if (label < 0)
        return 0;
    if (g->part[ENERGY].there) {
        ASTER_TRY(rows(g, ENERGY, label, 1, &data));
        out->energy = *(const double *)data;
        out->has_energy = !isnan(out->energy); /* so is written where there is none */
        out->energy = out->has_energy ? out->energy : 0;
    }
    if (g->part[FORCES].there)
        ASTER_TRY(read_forces(g, k, label, out, is_record));
    if (!g->part[STRESS].there)
        return 0;
    out->has_stress = true;
    if (g->part[STRESS_MASK].there) {
        ASTER_TRY(rows(g, STRESS_MASK, label, 1, &data));
        out->has_stress = *(const uint8_t *)data != 0;
    }
    ASTER_TRY(rows(g, STRESS, label, 1, &data));
    if (out->has_stress)
        memcpy(out->stress, data, sizeof out->stress);
    return 0;
}

int aster_ragged_read(struct aster_ragged *g, int64_t k, struct aster_structure *out,
                      bool *is_record)
{
    *is_record = false;
    int rc = read_atoms(g, k, out, is_record);
    if (rc == 0)
        rc = read_name(g, k, out);
    if (rc == 0)
        rc = read_labels(g, k, out, is_record);
    if (rc < 0)
        aster_structure_free(out);
    return rc;
}

/* ---- a group ---- */

struct group {
    struct aster_ctx *ctx;
    struct aster_h5 *f;
    const char *path, *group;
    struct aster_str name;
};

static const char *member(struct group *g, const char *name)
{
    g->name.len = 0;
    aster_str_printf(&g->name, "%s/%s", g->group, name);
    return aster_str_get(&g->name);
}

/* n numbers into room of the caller, where there are any. */
static int read_some(struct group *g, const char *name, int64_t n, double *to, bool *has)
{
    double *x = NULL;
    *has = aster_h5_has(g->f, member(g, name));
    if (!*has)
        return 0;
    ASTER_TRY(aster_h5_read(g->f, member(g, name), ASTER_F64, n, &x));
    memcpy(to, x, (size_t)n * sizeof *x);
    aster_free(&x);
    return 0;
}

static int read_group_labels(struct group *g, struct aster_structure *s)
{
    struct aster_h5_shape shape;
    double full[9];
    bool has = false;
    ASTER_TRY(read_some(g, "energy", 1, &s->energy, &s->has_energy));
    if (!s->has_energy && aster_h5_attr_has(g->f, g->group, "energy")) {
        ASTER_TRY(aster_h5_attr_f64(g->f, g->group, "energy", &s->energy));
        s->has_energy = true;
    }
    if (aster_h5_has(g->f, member(g, "forces"))) {
        ASTER_TRY(aster_h5_read(g->f, member(g, "forces"), ASTER_F64, 3 * s->n, &s->force));
        s->has_forces = true;
    }
    if (!aster_h5_has(g->f, member(g, "stress")))
        return 0;
    ASTER_TRY(aster_h5_shape(g->f, member(g, "stress"), &shape));
    if (shape.n == 6)
        return read_some(g, "stress", 6, s->stress, &s->has_stress);
    ASTER_TRY(read_some(g, "stress", 9, full, &has));
    for (int k = 0; k < 3; k++) {
        int a = k == 0, b = k == 2 ? 1 : 2; /* yz xz xy */
        s->stress[k] = full[4 * k];
        s->stress[3 + k] = (full[3 * a + b] + full[3 * b + a]) / 2;
    }
    s->has_stress = true;
    return 0;
}

static int read_group(struct group *g, struct aster_structure *s)
{
    struct aster_h5_shape shape;
    double pbc[3] = {0};
    bool has_pbc = false;
    ASTER_TRY(aster_h5_shape(g->f, member(g, "positions"), &shape));
    if (shape.rank != 2 || shape.dim[1] != 3)
        return aster_fail(
            g->ctx, ASTER_EFORMAT,
            "%s: '%s': three numbers for each atom are expected; it has another shape", g->path,
            aster_str_get(&g->name));
    ASTER_TRY(aster_h5_read(g->f, member(g, "positions"), ASTER_F64, -1, &s->position));
    s->n = shape.dim[0];
    ASTER_TRY(aster_h5_read(g->f, member(g, "atomic_numbers"), ASTER_I32, s->n, &s->number));
    ASTER_TRY(read_some(g, "cell", 9, s->cell, &s->has_cell));
    ASTER_TRY(read_some(g, "pbc", 3, pbc, &has_pbc));
    for (int k = 0; k < 3; k++)
        s->pbc[k] = has_pbc ? pbc[k] < 0 || pbc[k] > 0 : s->has_cell;
    ASTER_TRY(read_group_labels(g, s));
    return aster_strdup(g->ctx, g->group, &s->name);
}

int aster_group_read(struct aster_ctx *ctx, struct aster_h5 *f, const char *path, const char *group,
                     struct aster_structure *out)
{
    struct group g = {.ctx = ctx, .f = f, .path = path, .group = group};
    int rc = read_group(&g, out);
    if (rc == 0)
        rc = aster_str_ok(ctx, &g.name);
    aster_str_free(&g.name);
    if (rc < 0)
        aster_structure_free(out);
    return rc;
}
