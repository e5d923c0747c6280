/* SPDX-License-Identifier: BSD-3-Clause */
/* trajectory.h5, in rows of many frames at a time. */
#include "flow/md_trajectory.h"

#include "config.h"

#include <string.h>

enum { FLUSH_FRAMES = 1024, FLUSH_ATOMS = 65536 };

struct aster_md_trajectory {
    struct aster_ctx *ctx;
    struct aster_h5 *h5;
    struct aster_structures_out *out;
    int64_t n, n_atoms; /* frames that are not yet in the file */
    int64_t copy[FLUSH_FRAMES], step[FLUSH_FRAMES];
    double time_ps[FLUSH_FRAMES], temperature[FLUSH_FRAMES], virial[9 * FLUSH_FRAMES];
    int64_t cap;
    double *velocity;
};

static int flush(struct aster_md_trajectory *t)
{
    struct aster_h5 *f = t->h5;
    int64_t n = t->n;
    ASTER_TRY(aster_h5_append(f, "trajectory/copy", ASTER_I64, n, 1, t->copy));
    ASTER_TRY(aster_h5_append(f, "trajectory/step", ASTER_I64, n, 1, t->step));
    ASTER_TRY(aster_h5_append(f, "trajectory/time_ps", ASTER_F64, n, 1, t->time_ps));
    ASTER_TRY(aster_h5_append(f, "trajectory/temperature", ASTER_F64, n, 1, t->temperature));
    ASTER_TRY(aster_h5_append(f, "trajectory/virial", ASTER_F64, n, 9, t->virial));
    ASTER_TRY(aster_h5_append(f, "trajectory/velocities", ASTER_F64, t->n_atoms, 3, t->velocity));
    t->n = t->n_atoms = 0;
    return 0;
}

int aster_md_trajectory_new(const struct aster_run *run, struct aster_md_trajectory **out)
{
    struct aster_md_trajectory *t = NULL;
    char *path = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(run->ctx, 1, sizeof *t, &t));
    t->ctx = run->ctx;
    ASTER_GOTO(aster_run_path(run, "trajectory.h5", &path), done);
    ASTER_GOTO(aster_h5_create(run->ctx, path, &t->h5), done);
    rc = aster_structures_out_new(run->ctx, t->h5, &t->out);
done:
    aster_free(&path);
    if (rc < 0)
        aster_md_trajectory_free(&t);
    *out = t;
    return rc;
}

int aster_md_trajectory_add(struct aster_md_trajectory *t, const struct aster_structure *s,
                            const struct aster_md_about *about)
{
    int64_t at = 3 * t->n_atoms, n = 3 * s->n, k = t->n;
    ASTER_TRY(aster_structures_out_add(t->out, s));
    ASTER_TRY(aster_grow(t->ctx, at + n, sizeof *t->velocity, &t->cap, &t->velocity));
    memcpy(t->velocity + at, s->velocity, (size_t)n * sizeof *t->velocity);
    t->copy[k] = about->copy;
    t->step[k] = about->step;
    t->time_ps[k] = about->time_ps;
    t->temperature[k] = about->temperature;
    memcpy(t->virial + 9 * k, about->virial, 9 * sizeof *t->virial);
    t->n_atoms += s->n;
    t->n++;
    return t->n == FLUSH_FRAMES || t->n_atoms >= FLUSH_ATOMS ? flush(t) : 0;
}

int aster_md_trajectory_finish(struct aster_md_trajectory *t, const struct aster_md_output *w,
                               const char *devices)
{
    const struct aster_forcefield_source *m = w->model;
    const struct {
        const char *name, *text;
    } texts[] = {{"program", PACKAGE_STRING},
                 {"pipeline", w->run->spec->name},
                 {"pipeline_hash", w->run->hash},
                 {"weights", aster_path_base(m->path)},
                 {"weights_sha256", m->sha256},
                 {"precision", aster_dtype_name(m->real)},
                 {"mixing", m->file.c.mixing == ASTER_MIXING_FREE ? "compat" : "isotropic"},
                 {"devices", devices},
                 {"filters", w->intervals ? "table" : "exact"},
                 {"ensemble", aster_ensemble_name(w->o->ensemble)},
                 {"units", "eV, Angstrom, amu; velocities in sqrt(eV / amu)"}};
    ASTER_TRY(flush(t));
    ASTER_TRY(aster_structures_out_finish(t->out));
    ASTER_TRY(aster_h5_attr_set_i64(t->h5, "/", "intervals", w->intervals));
    ASTER_TRY(aster_h5_attr_set_f64(t->h5, "/", "timestep_fs", w->o->timestep_fs));
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        ASTER_TRY(aster_h5_attr_set_str(t->h5, "/", texts[k].name, texts[k].text));
    return aster_h5_commit(&t->h5);
}

void aster_md_trajectory_free(struct aster_md_trajectory **tp)
{
    struct aster_md_trajectory *t = *tp;
    if (!t)
        return;
    aster_structures_out_free(&t->out);
    aster_h5_close(&t->h5);
    aster_free(&t->velocity);
    aster_free(tp);
}
