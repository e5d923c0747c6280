/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures of copies: how well energy is kept, temperatures; figures of exchanges. */
#include "flow/md_summary.h"

#include <inttypes.h>
#include <math.h>

/* ---- the log of a copy ---- */

int aster_md_series_add(struct aster_ctx *ctx, struct aster_md_series *s, double time,
                        const struct aster_md_sample *x)
{
    int64_t n = s->n + 1;
    ASTER_TRY(aster_grow(ctx, n, sizeof *s->time, &s->cap_time, &s->time));
    ASTER_TRY(aster_grow(ctx, n, sizeof *s->total, &s->cap_total, &s->total));
    ASTER_TRY(aster_grow(ctx, n, sizeof *s->potential, &s->cap_potential, &s->potential));
    ASTER_TRY(aster_grow(ctx, n, sizeof *s->kinetic, &s->cap_kinetic, &s->kinetic));
    s->time[s->n] = time;
    s->total[s->n] = x->potential + x->kinetic;
    s->potential[s->n] = x->potential;
    s->kinetic[s->n] = x->kinetic;
    s->n = n;
    return 0;
}

void aster_md_series_free(struct aster_md_series *s)
{
    aster_free(&s->time);
    aster_free(&s->total);
    aster_free(&s->potential);
    aster_free(&s->kinetic);
    *s = (struct aster_md_series){0};
}

/* ---- figures of it ---- */

static double mean_of(int64_t n, const double *x)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (x[k] - x[0]) / (double)n;
    return x[0] + sum;
}

/* Mean of the product of deviations */
static double covariance(int64_t n, const double *x, const double *y)
{
    double mx = mean_of(n, x), my = mean_of(n, y), sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (x[k] - mx) * (y[k] - my) / (double)n;
    return sum;
}

static double pearson(int64_t n, const double *x, const double *y)
{
    double size = sqrt(covariance(n, x, x) * covariance(n, y, y));
    return size > 0 ? covariance(n, x, y) / size : NAN;
}

void aster_md_summary_of(const struct aster_md_series *s, const struct aster_md_copy *c,
                         struct aster_md_summary *out)
{
    int64_t n = s->n, atoms = c->s.n;
    *out = (struct aster_md_summary){.temperature = NAN};
    if (n == 0)
        return;
    struct aster_drift *d = &out->drift;
    aster_drift_of(n, s->time, s->total, atoms, d);
    d->largest_step = c->state.jump; /* over all steps, logged or not */
    if (fabs(c->state.first) > 0)
        d->largest_percent = 100 * c->state.far / fabs(c->state.first);
    out->first = c->state.first; /* these too: of the first and the last step */
    out->last = c->state.last;
    d->absolute = out->last - out->first;
    d->relative = out->first != 0 ? 100 * d->absolute / fabs(out->first) : (double)NAN;
    out->potential = mean_of(n, s->potential);
    out->kinetic = mean_of(n, s->kinetic);
    out->temperature = aster_dynamics_temperature(atoms, out->kinetic);
    out->temperature_deviation =
        aster_dynamics_temperature(atoms, sqrt(covariance(n, s->kinetic, s->kinetic)));
    out->correlation = pearson(n, s->potential, s->kinetic);
    double r = pearson(n, s->time, s->total), mean = fabs(mean_of(n, s->total));
    out->r_squared = r * r;
    out->conservation = mean > 0 ? fmax(0, 1 - d->deviation / mean) : 0;
    out->passed = fabs(d->relative) <= 1 && d->largest_percent <= 1.5 &&
                  out->conservation >= 0.99 && out->correlation < 0;
}

struct figure {
    const char *name;
    double value;
};
enum { N_FIGURES = 20 };

static void figures_of(const struct aster_md_options *o, const struct aster_md_copy *c,
                       const struct aster_md_series *s, struct figure f[N_FIGURES],
                       struct aster_md_summary *m)
{
    aster_md_summary_of(s, c, m);
    const struct aster_drift *d = &m->drift;
    const struct figure all[N_FIGURES] = {
        {"n_steps", c->state.now.step},
        {"total_time_ps", c->state.now.step * o->timestep_fs * 1e-3},
        {"timestep_fs", o->timestep_fs},
        {"initial_energy", m->first},
        {"final_energy", m->last},
        {"avg_potential_energy", m->potential},
        {"avg_kinetic_energy", m->kinetic},
        {"avg_temperature", m->temperature},
        {"std_temperature", m->temperature_deviation},
        {"energy_drift_pct", d->relative},
        {"energy_drift_abs", d->absolute},
        {"max_deviation_pct", d->largest_percent},
        {"energy_std", d->deviation},
        {"energy_range", d->range},
        {"drift_rate_eV_ps", d->rate},
        {"drift_rate_error", d->rate_error},
        {"drift_r_squared", m->r_squared},
        {"drift_meV_atom_ps", d->per_atom},
        {"largest_step_eV", d->largest_step},
        {"conservation_ratio", m->conservation}};
    for (int k = 0; k < N_FIGURES; k++)
        f[k] = all[k];
}

/* Whether energy is kept is a question of nve only, and of some samples. */
static const char *verdict(const struct aster_md_options *o, const struct aster_md_copy *c,
                           const struct aster_md_summary *m)
{
    return o->ensemble != ASTER_NVE || c->status || !isfinite(m->correlation) ? ""
           : m->passed                                                        ? "passed"
                                                                              : "failed";
}

void aster_md_summary_head(struct aster_str *to)
{
    static const struct aster_md_options o;
    static const struct aster_md_copy none;
    static const struct aster_md_series empty;
    struct aster_md_summary m;
    struct figure f[N_FIGURES];
    figures_of(&o, &none, &empty, f, &m);
    aster_str_add(to, "copy,id,atoms,state");
    for (int k = 0; k < N_FIGURES; k++)
        aster_str_printf(to, ",%s", f[k].name);
    aster_str_add(to, ",ke_pe_correlation,verdict,reason\n");
}

static void add_real(struct aster_str *to, const char *before, double x, const char *none)
{
    aster_str_add(to, before);
    if (isfinite(x))
        aster_str_printf(to, "%.10g", x);
    else
        aster_str_add(to, none);
}

void aster_md_summary_line(struct aster_str *to, const struct aster_md_options *o,
                           const struct aster_md_copy *c, const struct aster_md_series *s)
{
    struct aster_md_summary m;
    struct figure f[N_FIGURES];
    figures_of(o, c, s, f, &m);
    aster_csv_field(to, c->id, true);
    aster_str_printf(to, ",%" PRId64 ",%s", c->s.n, c->status ? "failed" : "done");
    for (int k = 0; k < N_FIGURES; k++)
        add_real(to, ",", s->n ? f[k].value : (double)NAN, "");
    add_real(to, ",", s->n ? m.correlation : (double)NAN, "");
    aster_str_printf(to, ",%s,", verdict(o, c, &m));
    aster_csv_field(to, c->reason ? c->reason : "", true);
    aster_str_add(to, "\n");
}

static void json_text(struct aster_str *to, const char *key, const char *text)
{
    aster_str_printf(to, ", \"%s\": \"", key);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            aster_str_add(to, "\\");
        aster_str_addn(to, (unsigned char)*p < 32 ? " " : p, 1);
    }
    aster_str_add(to, "\"");
}

void aster_md_summary_json(struct aster_str *to, const struct aster_md_options *o,
                           const struct aster_md_copy *c, const struct aster_md_series *s)
{
    struct aster_md_summary m;
    struct figure f[N_FIGURES];
    figures_of(o, c, s, f, &m);
    aster_str_printf(to, "{\"atoms\": %" PRId64, c->s.n);
    json_text(to, "id", c->id);
    json_text(to, "state", c->status ? "failed" : "done");
    for (int k = 0; k < N_FIGURES && s->n; k++) {
        aster_str_printf(to, ", \"%s\": ", f[k].name);
        add_real(to, "", f[k].value, "null");
    }
    if (s->n)
        add_real(to, ", \"ke_pe_correlation\": ", m.correlation, "null");
    json_text(to, "verdict", verdict(o, c, &m));
    json_text(to, "reason", c->reason ? c->reason : "");
    aster_str_add(to, "}");
}

/* ---- exchanges ---- */

int aster_md_pairs_new(struct aster_ctx *ctx, int64_t n_rungs, struct aster_md_pairs *p)
{
    *p = (struct aster_md_pairs){.n_rungs = n_rungs};
    ASTER_TRY(aster_alloc(ctx, n_rungs, sizeof *p->tried, &p->tried));
    ASTER_TRY(aster_alloc(ctx, n_rungs, sizeof *p->taken, &p->taken));
    return aster_alloc(ctx, n_rungs, sizeof *p->trips, &p->trips);
}

void aster_md_pairs_free(struct aster_md_pairs *p)
{
    aster_free(&p->tried);
    aster_free(&p->taken);
    aster_free(&p->trips);
}

void aster_md_pairs_add(struct aster_md_pairs *p, int64_t replica, const struct aster_md_kept *k)
{
    for (int64_t m = 0; m < k->n_events; m++) {
        int64_t rung = k->event[m] >> 2;
        bool tried = k->event[m] & 2, taken = k->event[m] & 1;
        if (tried) {
            p->tried[rung - taken]++;
            p->taken[rung - taken] += taken;
        }
        if (rung == 0) {
            p->trips[replica] += p->heading < 0;
            p->heading = 1;
        } else if (rung == p->n_rungs - 1 && p->heading > 0) {
            p->heading = -1;
        }
    }
}

void aster_md_pairs_text(const struct aster_md_pairs *p, const struct aster_md_options *o,
                         struct aster_str *to)
{
    aster_str_add(to, "pair,lower_K,upper_K,attempts,accepted,rate,round_trips\n");
    for (int64_t r = 0; r < p->n_rungs; r++) {
        aster_str_printf(to, "%" PRId64 ",%.10g,", r + 1, o->temperature[r]);
        if (r + 1 < p->n_rungs)
            aster_str_printf(to, "%.10g,%" PRId64 ",%" PRId64 ",", o->temperature[r + 1],
                             p->tried[r], p->taken[r]);
        else
            aster_str_add(to, ",,,");
        if (p->tried[r])
            aster_str_printf(to, "%.6g", (double)p->taken[r] / (double)p->tried[r]);
        aster_str_printf(to, ",%" PRId64 "\n", p->trips[r]);
    }
}
