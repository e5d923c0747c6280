/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a finished evaluation, in one pass over its parts: HDF5 in the layout of data sets,
 * extxyz, a table. */
#include "config.h"
#include "flow/field_part.h"
#include "flow/textfile.h"

#include <math.h>
#include <string.h>

struct writer {
    struct aster_field_output *o;
    struct aster_ctx *ctx;
    int64_t number; /* of the entry in the input */
    struct aster_h5 *h5;
    struct aster_structures_out *out;
    struct aster_textfile xyz, table;
    struct aster_str devices, ledger; /* of all parts */
};

/* ---- an entry ---- */

bool aster_field_stress(const struct aster_structure *s, const double virial[9], double out[6])
{
    static const int voigt[6][2] = {{0, 0}, {1, 1}, {2, 2}, {1, 2}, {0, 2}, {0, 1}};
    double volume = aster_cell_volume(s->cell);
    if (!(s->pbc[0] || s->pbc[1] || s->pbc[2]) || !(volume >= 1e-6))
        return false;
    for (int i = 0; i < 6; i++) {
        int a = voigt[i][0], b = voigt[i][1];
        out[i] = (virial[3 * a + b] + virial[3 * b + a]) / 2 / volume;
    }
    return true;
}

static double largest_force(const struct aster_structure *s)
{
    double most = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double *f = s->force + 3 * i;
        most = fmax(most, sqrt(f[0] * f[0] + f[1] * f[1] + f[2] * f[2]));
    }
    return most;
}

static void add_real(struct aster_str *to, double x)
{
    aster_str_add(to, ",");
    if (isfinite(x))
        aster_str_printf(to, "%.17g", x);
}

static void table_line(struct writer *w, const struct aster_field_kept *k,
                       const struct aster_structure *s)
{
    struct aster_str *to = &w->table.buffer;
    const struct aster_field_errors *e = &k->errors;
    bool good = k->status == 0;
    aster_str_printf(to, "%lld,", (long long)w->number + 1);
    aster_csv_field(to, k->id, true);
    aster_str_printf(to, ",%lld,%s", (long long)k->n_atoms, good ? "done" : "failed");
    add_real(to, good ? s->energy : (double)NAN);
    add_real(to, good ? s->energy / (double)k->n_atoms : (double)NAN);
    add_real(to, good ? largest_force(s) : (double)NAN);
    for (int a = 0; w->o->stress && a < 6; a++)
        add_real(to, good && s->has_stress ? s->stress[a] : (double)NAN);
    add_real(to, good ? e->energy : (double)NAN);
    add_real(to, good && e->n_forces > 0 ? sqrt(e->force_squares / e->n_forces) : (double)NAN);
    aster_str_add(to, ",");
    aster_csv_field(to, k->reason, true);
    aster_str_add(to, "\n");
}

static void count(struct aster_field_output *o, const struct aster_field_kept *k)
{
    const struct aster_field_errors *e = &k->errors;
    o->atoms += k->n_atoms;
    if (isfinite(e->energy)) {
        o->n_energies++;
        o->energy_squares += e->energy * e->energy;
        o->energy_sum += fabs(e->energy);
        o->energy_per_atom_sum += fabs(e->energy) / (double)k->n_atoms;
    }
    o->forces.force_squares += e->force_squares;
    o->forces.force_sum += e->force_sum;
    o->forces.n_forces += e->n_forces;
}

static int add_h5(struct writer *w, const struct aster_field_kept *k,
                  const struct aster_structure *s)
{
    ASTER_TRY(aster_structures_out_add(w->out, s));
    ASTER_TRY(aster_h5_append(w->h5, "results/index", ASTER_I64, 1, 1, &w->number));
    ASTER_TRY(aster_h5_append(w->h5, "results/virial", ASTER_F64, 1, 9, k->virial));
    return w->o->atomic
               ? aster_h5_append(w->h5, "results/atomic_energy", ASTER_F64, s->n, 1, k->atomic)
               : 0;
}

static int add_entry(void *arg, const struct aster_field_kept *k)
{
    struct writer *w = arg;
    struct aster_structure s = k->s;
    if (!strstr(aster_str_get(&w->devices), k->device))
        aster_str_printf(&w->devices, "%s%s", w->devices.len ? ", " : "", k->device);
    w->o->n++;
    w->o->failed += k->status != 0;
    if (k->status)
        aster_ledger_line(&w->ledger, k->id, w->o->stage, k->reason);
    if (k->status == 0) {
        count(w->o, k);
        s.has_stress = w->o->stress && aster_field_stress(&s, k->virial, s.stress);
        if (w->o->h5)
            ASTER_TRY(add_h5(w, k, &s));
        if (w->o->extxyz)
            ASTER_TRY(aster_structure_add_extxyz(w->ctx, &w->xyz.buffer, &s));
    }
    if (w->o->csv)
        table_line(w, k, &s);
    w->number++;
    return 0;
}

/* ---- all ---- */

static int begin(struct writer *w)
{
    char *path = NULL;
    const int64_t none = 0;
    if (w->o->extxyz)
        ASTER_TRY(aster_textfile_open(w->o->run, "evaluated.extxyz", &w->xyz));
    if (w->o->csv) {
        ASTER_TRY(aster_textfile_open(w->o->run, "energies.csv", &w->table));
        aster_str_add(&w->table.buffer,
                      "number,id,atoms,state,energy_eV,energy_per_atom_eV,largest_force_eV_A");
        if (w->o->stress)
            aster_str_add(&w->table.buffer, ",stress_xx,stress_yy,stress_zz,stress_yz,stress_xz,"
                                            "stress_xy");
        aster_str_add(&w->table.buffer, ",energy_difference_eV,force_rmse_eV_A,reason\n");
    }
    if (!w->o->h5)
        return 0;
    ASTER_TRY(aster_run_path(w->o->run, "results.h5", &path));
    int rc = aster_h5_create(w->ctx, path, &w->h5);
    aster_free(&path);
    ASTER_TRY(rc);
    ASTER_TRY(aster_h5_append(w->h5, "results/index", ASTER_I64, 0, 1, &none));
    ASTER_TRY(aster_h5_append(w->h5, "results/virial", ASTER_F64, 0, 9, &none));
    if (w->o->atomic)
        ASTER_TRY(aster_h5_append(w->h5, "results/atomic_energy", ASTER_F64, 0, 1, &none));
    return aster_structures_out_new(w->ctx, w->h5, &w->out);
}

static int end_h5(struct writer *w)
{
    const struct aster_run *run = w->o->run;
    const struct aster_forcefield_source *m = w->o->model;
    const struct {
        const char *name, *text;
    } texts[] = {{"program", PACKAGE_STRING},
                 {"pipeline", run->spec->name},
                 {"pipeline_hash", run->hash},
                 {"weights", aster_path_base(m->path)},
                 {"weights_sha256", m->sha256},
                 {"precision", aster_dtype_name(m->real)},
                 {"mixing", m->file.c.mixing == ASTER_MIXING_FREE ? "compat" : "isotropic"},
                 {"devices", aster_str_get(&w->devices)},
                 {"filters", w->o->intervals ? "table" : "exact"},
                 {"units", "eV, Angstrom"}};
    if (!w->h5)
        return 0;
    ASTER_TRY(aster_h5_attr_set_i64(w->h5, "/", "intervals", w->o->intervals));
    ASTER_TRY(aster_structures_out_finish(w->out));
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        ASTER_TRY(aster_h5_attr_set_str(w->h5, "/", texts[k].name, texts[k].text));
    return aster_h5_commit(&w->h5);
}

static int write_all(struct writer *w)
{
    ASTER_TRY(begin(w));
    for (int64_t k = 0; k < w->o->n_parts; k++) {
        ASTER_TRY(aster_field_part_read(w->ctx, w->o->store, k, add_entry, w));
        ASTER_TRY(aster_textfile_flush(&w->xyz));
        ASTER_TRY(aster_textfile_flush(&w->table));
        ASTER_TRY(aster_ledger_add(w->o->run, &w->ledger));
        aster_str_free(&w->ledger);
    }
    ASTER_TRY(aster_textfile_commit(&w->xyz));
    ASTER_TRY(aster_textfile_commit(&w->table));
    return end_h5(w);
}

int aster_field_write(struct aster_field_output *o)
{
    struct writer w = {.o = o, .ctx = o->run->ctx};
    int rc = write_all(&w);
    aster_structures_out_free(&w.out);
    aster_h5_close(&w.h5);
    aster_textfile_free(&w.xyz);
    aster_textfile_free(&w.table);
    aster_str_free(&w.devices);
    aster_str_free(&w.ledger);
    return rc;
}
