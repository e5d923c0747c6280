/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a finished simulation, copy by copy: trajectories, the log, figures of copies and of
 * exchanges. */
#include "flow/md_summary.h"
#include "flow/md_trajectory.h"
#include "flow/textfile.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { FLUSH_BYTES = 1 << 20 }; /* of text in memory */

struct writer {
    struct aster_md_output *w;
    struct aster_ctx *ctx;
    const struct aster_md_copy *copy; /* the one under way, and its number from 1 */
    int64_t number, n_done;
    struct aster_md_series series;
    struct aster_md_pairs pairs;
    struct aster_textfile xyz, final, thermo, table, json;
    struct aster_md_trajectory *trajectory;
    struct aster_str devices, ledger;
};

/* ---- the log ---- */

static double time_of(const struct writer *w, double step)
{
    return step * w->w->o->timestep_fs * 1e-3;
}

static int add_sample(struct writer *w, const struct aster_md_sample *x)
{
    struct aster_str *to = &w->thermo.buffer;
    double t = time_of(w, x->step);
    aster_str_printf(to, "%" PRId64 ",%.0f,%.10g,%.17g,%.17g,%.17g,%.17g,", w->number, x->step, t,
                     x->potential, x->kinetic, x->potential + x->kinetic,
                     aster_dynamics_temperature(w->copy->s.n, x->kinetic));
    if (x->volume > 0)
        aster_str_printf(to, "%.17g,%.17g", x->pressure / ASTER_GPA, x->volume);
    else
        aster_str_add(to, ",");
    aster_str_printf(to, ",%.10g\n", w->w->o->temperature[(int64_t)x->rung]);
    return aster_md_series_add(w->ctx, &w->series, t, x);
}

/* ---- frames ---- */

/* A frame as a structure, whose arrays are the frame's. */
static struct aster_structure structure_of(const struct writer *w, double *frame)
{
    const struct aster_structure *s = &w->copy->s;
    const struct aster_md_frame *f = (const struct aster_md_frame *)(const void *)frame;
    struct aster_structure out = {.name = w->copy->id,
                                  .n = s->n,
                                  .number = s->number,
                                  .position = frame + ASTER_MD_FRAME,
                                  .velocity = frame + ASTER_MD_FRAME + 3 * s->n,
                                  .force = frame + ASTER_MD_FRAME + 6 * s->n,
                                  .has_cell = s->has_cell,
                                  .has_energy = true,
                                  .has_forces = true,
                                  .energy = f->energy};
    memcpy(out.cell, f->cell, sizeof out.cell);
    memcpy(out.pbc, s->pbc, sizeof out.pbc);
    out.has_stress = aster_field_stress(&out, f->virial, out.stress);
    return out;
}

static double temperature_of(const struct aster_md_copy *c, const double *velocity)
{
    return aster_dynamics_temperature(c->s.n, aster_dynamics_kinetic(c->s.n, c->mass, velocity));
}

static int add_xyz(struct writer *w, struct aster_textfile *to, const struct aster_structure *s,
                   double step)
{
    char more[200];
    snprintf(more, sizeof more, "copy=%lld step=%.0f time_ps=%.10g temperature=%.17g ",
             (long long)w->number, step, time_of(w, step), temperature_of(w->copy, s->velocity));
    return aster_structure_add_frame(w->ctx, &to->buffer, s, more);
}

static int add_h5(struct writer *w, const struct aster_structure *s, const struct aster_md_frame *f)
{
    const struct aster_md_about about = {w->number, (int64_t)f->step, time_of(w, f->step),
                                         temperature_of(w->copy, s->velocity), f->virial};
    return aster_md_trajectory_add(w->trajectory, s, &about);
}

static int add_frame(struct writer *w, const double *kept)
{
    const struct aster_md_frame *f = (const struct aster_md_frame *)(const void *)kept;
    double *frame = NULL;
    int64_t size = ASTER_MD_FRAME + 9 * w->copy->s.n;
    ASTER_TRY(aster_alloc(w->ctx, size, sizeof *frame, &frame));
    memcpy(frame, kept, (size_t)size * sizeof *frame);
    const struct aster_structure s = structure_of(w, frame);
    int rc = w->w->o->extxyz ? add_xyz(w, &w->xyz, &s, f->step) : 0;
    if (rc == 0 && w->xyz.buffer.len > FLUSH_BYTES)
        rc = aster_textfile_flush(&w->xyz);
    if (rc == 0 && w->w->o->h5)
        rc = add_h5(w, &s, f);
    aster_free(&frame);
    return rc;
}

/* ---- a copy ---- */

static int add_part(struct writer *w, const struct aster_md_kept *k)
{
    int64_t size = ASTER_MD_FRAME + 9 * w->copy->s.n;
    if (!strstr(aster_str_get(&w->devices), k->device))
        aster_str_printf(&w->devices, "%s%s", w->devices.len ? ", " : "", k->device);
    for (int64_t i = 0; i < k->n_samples; i++)
        ASTER_TRY(add_sample(w, &k->sample[i]));
    for (int64_t i = 0; i < k->n_frames; i++)
        ASTER_TRY(add_frame(w, k->frame + i * size));
    if (w->w->o->ensemble == ASTER_EXCHANGE)
        aster_md_pairs_add(&w->pairs, w->copy->replica, k);
    ASTER_TRY(aster_textfile_flush(&w->xyz));
    return aster_textfile_flush(&w->thermo);
}

/* Where a copy ended: what another simulation can begin with */
static int add_final(struct writer *w)
{
    struct aster_structure s = w->copy->s;
    s.name = w->copy->id;
    s.has_stress = aster_field_stress(&s, w->copy->state.now.virial, s.stress);
    ASTER_TRY(add_xyz(w, &w->final, &s, w->copy->state.now.step));
    return aster_textfile_flush(&w->final);
}

static void count(struct writer *w)
{
    struct aster_md_output *o = w->w;
    struct aster_md_summary m;
    aster_md_summary_of(&w->series, w->copy, &m);
    double drift = fabs(m.drift.per_atom);
    o->mean_drift += drift;
    o->worst_drift = fmax(o->worst_drift, drift);
    o->largest_jump = fmax(o->largest_jump, m.drift.largest_step);
    w->n_done++;
}

static int add_copy(struct writer *w)
{
    const struct aster_md_copy *c = w->copy;
    aster_str_printf(&w->table.buffer, "%" PRId64 ",", w->number);
    aster_md_summary_line(&w->table.buffer, w->w->o, c, &w->series);
    aster_str_printf(&w->json.buffer, "%s\n  \"%" PRId64 "\": ", w->number > 1 ? "," : "",
                     w->number);
    aster_md_summary_json(&w->json.buffer, w->w->o, c, &w->series);
    ASTER_TRY(aster_textfile_flush(&w->table));
    ASTER_TRY(aster_textfile_flush(&w->json));
    if (c->status == 0) {
        count(w);
        return add_final(w);
    }
    w->w->failed++;
    aster_ledger_line(&w->ledger, c->id, w->w->stage, c->reason ? c->reason : "out of memory");
    return 0;
}

/* Parts of a unit, needed copy by copy: all are in memory where that is little, else one copy's
 * records of one of them. */
struct parts {
    struct aster_md_part **part;
    int64_t n;
    bool is_little;
};

static int read_part(struct writer *w, int64_t unit, int64_t k, int64_t copy, struct parts *p)
{
    const struct aster_md_output *o = w->w;
    const struct aster_md_unit *u = &o->unit[unit];
    if (p->part[k])
        return 0;
    return aster_md_part_open(w->ctx, o->store, k * o->n_units + unit, u->n, o->copy + u->first,
                              p->is_little ? -1 : copy, &p->part[k]);
}

static int add_copies(struct writer *w, int64_t unit, struct parts *p)
{
    const struct aster_md_unit *u = &w->w->unit[unit];
    for (int64_t i = 0; i < u->n; i++) {
        w->copy = &w->w->copy[u->first + i];
        w->number = u->first + i + 1;
        w->pairs.heading = w->copy->replica == 0;
        aster_md_series_free(&w->series);
        for (int64_t k = 0; k < u->n_parts; k++) {
            ASTER_TRY(read_part(w, unit, k, i, p));
            const struct aster_md_kept kept = aster_md_part_of(p->part[k], i);
            ASTER_TRY(add_part(w, &kept));
            if (!p->is_little)
                aster_md_part_close(&p->part[k]);
        }
        ASTER_TRY(add_copy(w));
    }
    return 0;
}

static int add_unit(struct writer *w, int64_t unit)
{
    struct parts p = {.n = w->w->unit[unit].n_parts};
    int64_t bytes = 0;
    for (int64_t k = 0; k < p.n; k++)
        bytes += aster_store_bytes(w->w->store, k * w->w->n_units + unit);
    p.is_little = bytes <= w->w->kept_bytes;
    ASTER_TRY(aster_alloc(w->ctx, p.n, sizeof *p.part, &p.part));
    int rc = add_copies(w, unit, &p);
    for (int64_t k = 0; k < p.n; k++)
        aster_md_part_close(&p.part[k]);
    aster_free(&p.part);
    return rc;
}

/* ---- all ---- */

static int begin(struct writer *w)
{
    const struct aster_run *run = w->w->run;
    const struct aster_md_options *o = w->w->o;
    if (o->frame_interval && o->extxyz)
        ASTER_TRY(aster_textfile_open(run, "trajectory.extxyz", &w->xyz));
    if (o->frame_interval && o->h5)
        ASTER_TRY(aster_md_trajectory_new(run, &w->trajectory));
    ASTER_TRY(aster_textfile_open(run, "final.extxyz", &w->final));
    ASTER_TRY(aster_textfile_open(run, "thermo.csv", &w->thermo));
    ASTER_TRY(aster_textfile_open(run, "copies.csv", &w->table));
    ASTER_TRY(aster_textfile_open(run, "copies.json", &w->json));
    aster_str_add(&w->thermo.buffer,
                  "copy,step,time_ps,potential_eV,kinetic_eV,total_eV,temperature_K,"
                  "pressure_GPa,volume_A3,target_K\n");
    aster_md_summary_head(&w->table.buffer);
    aster_str_add(&w->json.buffer, "{");
    return o->ensemble == ASTER_EXCHANGE ? aster_md_pairs_new(w->ctx, o->n_rungs, &w->pairs) : 0;
}

static int write_exchanges(struct writer *w)
{
    struct aster_str text = {0};
    if (w->w->o->ensemble != ASTER_EXCHANGE)
        return 0;
    aster_md_pairs_text(&w->pairs, w->w->o, &text);
    int rc = aster_run_write(w->w->run, "exchange.csv", &text);
    aster_str_free(&text);
    return rc;
}

static int write_all(struct writer *w)
{
    struct aster_md_output *o = w->w;
    ASTER_TRY(begin(w));
    for (int64_t u = 0; u < o->n_units; u++)
        ASTER_TRY(add_unit(w, u));
    aster_str_add(&w->json.buffer, "\n}\n");
    ASTER_TRY(aster_textfile_commit(&w->xyz));
    ASTER_TRY(aster_textfile_commit(&w->final));
    ASTER_TRY(aster_textfile_commit(&w->thermo));
    ASTER_TRY(aster_textfile_commit(&w->table));
    ASTER_TRY(aster_textfile_commit(&w->json));
    ASTER_TRY(write_exchanges(w));
    if (w->trajectory)
        ASTER_TRY(aster_md_trajectory_finish(w->trajectory, o, aster_str_get(&w->devices)));
    o->mean_drift /= (double)aster_max64(1, w->n_done);
    return aster_ledger_add(o->run, &w->ledger);
}

int aster_md_write(struct aster_md_output *o)
{
    struct writer w = {.w = o, .ctx = o->run->ctx};
    int rc = write_all(&w);
    aster_md_trajectory_free(&w.trajectory);
    aster_textfile_free(&w.xyz);
    aster_textfile_free(&w.final);
    aster_textfile_free(&w.thermo);
    aster_textfile_free(&w.table);
    aster_textfile_free(&w.json);
    aster_md_series_free(&w.series);
    aster_md_pairs_free(&w.pairs);
    aster_str_free(&w.devices);
    aster_str_free(&w.ledger);
    return rc;
}
