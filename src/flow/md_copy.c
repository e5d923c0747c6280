/* SPDX-License-Identifier: BSD-3-Clause */
/* A copy of a structure: how it begins, a step of it, and its changes of temperature. */
#include "flow/md.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FUSED        0.1 /* Angstrom: nearer are only the atoms of a copy that broke */
#define MOST_SWELL   1.0 /* of ln V in a step */
#define REPLICA_BITS 20  /* of the number of a copy in its random numbers: 10^6 replicas */

/* ---- beginning ---- */

static bool is_periodic(const struct aster_structure *s)
{
    return s->pbc[0] || s->pbc[1] || s->pbc[2];
}

static struct aster_dynamics_key key_of(const struct aster_md_options *o,
                                        const struct aster_md_copy *c, int64_t step)
{
    return (struct aster_dynamics_key){(uint64_t)o->seed ^ c->noise,
                                       (c->structure << REPLICA_BITS) + c->replica, step};
}

/* NULL, or why there are none */
static const char *start_velocities(const struct aster_md_options *o, struct aster_md_copy *c,
                                    bool has_any)
{
    struct aster_structure *s = &c->s;
    const struct aster_dynamics_key key = key_of(o, c, 0);
    if (o->start == ASTER_START_FILE && !has_any)
        return "has no velocities; a column velocities or momenta is expected";
    if (has_any && (o->start == ASTER_START_FILE || o->start == ASTER_START_AUTO))
        return NULL;
    memset(s->velocity, 0, (size_t)(3 * s->n) * sizeof *s->velocity);
    if (o->start == ASTER_START_ZERO)
        return NULL;
    aster_dynamics_draw(s->n, c->mass, o->temperature[c->rung], &key, s->velocity);
    if (o->remove_momentum)
        aster_dynamics_rest(s->n, c->mass, s->position, o->remove_rotation && !is_periodic(s),
                            s->velocity);
    return NULL;
}

/* Of everything that it begins with, from h on */
static uint64_t hash_of(const struct aster_md_copy *c, uint64_t h)
{
    const struct aster_structure *s = &c->s;
    size_t n = (size_t)s->n;
    h = aster_fnv1a64_more(h, s->cell, sizeof s->cell);
    h = aster_fnv1a64_more(h, s->pbc, sizeof s->pbc);
    if (n == 0)
        return h;
    h = aster_fnv1a64_more(h, s->number, n * sizeof *s->number);
    h = aster_fnv1a64_more(h, s->position, 3 * n * sizeof *s->position);
    return aster_fnv1a64_more(h, s->velocity, 3 * n * sizeof *s->velocity);
}

/* Room for what the structure may have come without */
static int make_room(struct aster_ctx *ctx, struct aster_md_copy *c)
{
    struct aster_structure *s = &c->s;
    if (!s->force)
        ASTER_TRY(aster_alloc(ctx, 3 * s->n, sizeof *s->force, &s->force));
    if (!s->velocity)
        ASTER_TRY(aster_alloc(ctx, 3 * s->n, sizeof *s->velocity, &s->velocity));
    s->has_forces = s->has_energy = true;
    s->has_stress = false;
    ASTER_TRY(aster_alloc(ctx, s->n, sizeof *c->mass, &c->mass));
    for (int64_t i = 0; i < s->n; i++)
        c->mass[i] = aster_element_mass(s->number[i]);
    return 0;
}

static const char *refuse_ensemble(const struct aster_md_options *o,
                                   const struct aster_structure *s)
{
    if (o->ensemble != ASTER_NPT)
        return NULL;
    if (!s->pbc[0] || !s->pbc[1] || !s->pbc[2])
        return "is not periodic along all axes; npt needs a cell that is";
    return aster_cell_volume(s->cell) >= 1e-6 ? NULL
                                              : "has a cell without volume, and so no "
                                                "pressure";
}

int aster_md_copy_begin(struct aster_ctx *ctx, const struct aster_md_options *o, const char *name,
                        struct aster_structure *s, const char *fault, struct aster_md_copy *c)
{
    struct aster_str id = {0};
    bool has_velocities = s->velocity != NULL;
    c->s = *s;
    *s = (struct aster_structure){0};
    c->rung = o->ensemble == ASTER_EXCHANGE ? c->replica : 0;
    if (*name)
        aster_str_add(&id, name);
    else
        aster_str_printf(&id, "#%" PRId64, c->structure + 1);
    if (o->replicas > 1)
        aster_str_printf(&id, ":%" PRId64, c->replica + 1);
    int rc = aster_str_ok(ctx, &id);
    if (rc == 0)
        rc = aster_strdup(ctx, id.s, &c->id);
    aster_str_free(&id);
    ASTER_TRY(rc);
    if (fault)
        aster_structure_free(&c->s);
    else
        ASTER_TRY(make_room(ctx, c));
    if (!fault)
        fault = refuse_ensemble(o, &c->s);
    if (!fault)
        fault = start_velocities(o, c, has_velocities);
    c->noise = hash_of(c, aster_fnv1a64("", 0));
    c->hash = hash_of(c, aster_fnv1a64(c->id, strlen(c->id)));
    if (fault)
        aster_md_copy_fail(ctx, c, ASTER_EFORMAT, fault);
    return 0;
}

void aster_md_copy_free(struct aster_md_copy *c)
{
    aster_free(&c->id);
    aster_free(&c->reason);
    aster_free(&c->mass);
    aster_free(&c->sample);
    aster_free(&c->frame);
    aster_free(&c->event);
    aster_structure_free(&c->s);
}

void aster_md_copy_fail(struct aster_ctx *ctx, struct aster_md_copy *c, int32_t status,
                        const char *reason)
{
    if (c->status)
        return;
    c->status = status;
    if (aster_strdup(ctx, reason, &c->reason) < 0 && ctx)
        aster_ctx_clear(ctx);
}

void aster_md_forget(struct aster_md_copy *c)
{
    c->n_samples = c->n_frames = c->n_events = 0;
}

/* ---- a step ---- */

static double trace(const double m[9])
{
    return m[0] + m[4] + m[8];
}

static double kinetic_of(const struct aster_md_copy *c)
{
    return aster_dynamics_kinetic(c->s.n, c->mass, c->s.velocity);
}

/* An atom that goes farther in a step than forces reach is not integrated any more. */
static void check_motion(struct aster_ctx *ctx, const struct aster_md_options *o,
                         struct aster_md_copy *c, int64_t step, double reach)
{
    char text[160];
    for (int64_t i = 0; i < c->s.n; i++) {
        const double *v = c->s.velocity + 3 * i;
        double way = o->dt * sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        if (way <= reach)
            continue;
        snprintf(text, sizeof text, "step %" PRId64 ": atom %" PRId64 " moves by %.3g A in it",
                 step, i + 1, way);
        aster_md_copy_fail(ctx, c, ASTER_ENUMERIC, text);
        return;
    }
    if (fabs(c->swell) <= MOST_SWELL)
        return;
    snprintf(text, sizeof text, "step %" PRId64 ": the volume changes by a factor of %.3g in it",
             step, exp(c->swell));
    aster_md_copy_fail(ctx, c, ASTER_ENUMERIC, text);
}

/* Verlet's first half; with a thermostat the places move in halves about it (BAOAB). The cell
 * answers to the pressure of the step before, and only then are there new forces. */
void aster_md_move(struct aster_ctx *ctx, const struct aster_md_options *o, struct aster_md_copy *c,
                   int64_t step, double reach)
{
    struct aster_structure *s = &c->s;
    const struct aster_dynamics_key key = key_of(o, c, step);
    double temperature = o->temperature[c->rung];
    c->swell = 0;
    if (o->ensemble == ASTER_NPT)
        c->swell = aster_dynamics_swell(&o->barostat, aster_cell_volume(s->cell), temperature,
                                        kinetic_of(c), trace(c->state.now.virial), o->dt, &key);
    aster_dynamics_kick(s->n, c->mass, s->force, o->dt / 2, s->velocity);
    if (o->ensemble == ASTER_NVE) {
        aster_dynamics_drift(s->n, s->velocity, o->dt, s->position);
    } else {
        aster_dynamics_drift(s->n, s->velocity, o->dt / 2, s->position);
        aster_dynamics_langevin(s->n, c->mass, temperature, o->friction, o->dt, &key, s->velocity);
        aster_dynamics_drift(s->n, s->velocity, o->dt / 2, s->position);
    }
    check_motion(ctx, o, c, step, reach);
    if (o->ensemble == ASTER_NPT && !c->status)
        aster_dynamics_scale(s->n, c->swell, s->cell, s->position, s->velocity);
}

static int record_sample(struct aster_ctx *ctx, struct aster_md_copy *c, double step,
                         double kinetic)
{
    bool periodic = is_periodic(&c->s);
    double volume = periodic ? aster_cell_volume(c->s.cell) : 0;
    ASTER_TRY(aster_grow(ctx, c->n_samples + 1, sizeof *c->sample, &c->cap_samples, &c->sample));
    if (!(volume >= 1e-6))
        volume = 0;
    c->sample[c->n_samples++] = (struct aster_md_sample){
        step,    c->s.energy,
        kinetic, volume > 0 ? (2 * kinetic - trace(c->state.now.virial)) / (3 * volume) : 0,
        volume,  (double)c->rung};
    return 0;
}

static int record_frame(struct aster_ctx *ctx, struct aster_md_copy *c)
{
    int64_t n = 3 * c->s.n, size = ASTER_MD_FRAME + 3 * n;
    ASTER_TRY(
        aster_grow(ctx, (c->n_frames + 1) * size, sizeof *c->frame, &c->cap_frame, &c->frame));
    double *to = c->frame + c->n_frames++ * size;
    const double *const from[] = {c->s.position, c->s.velocity, c->s.force};
    memcpy(to, &c->state.now, sizeof c->state.now);
    for (int k = 0; k < 3; k++)
        memcpy(to + ASTER_MD_FRAME + k * n, from[k], (size_t)n * sizeof *to);
    return 0;
}

/* Two atoms in one place */
static void check_distances(struct aster_ctx *ctx, struct aster_md_copy *c, int64_t step)
{
    const struct aster_structure *s = &c->s;
    const struct aster_edges *e = c->item.edges;
    char text[160];
    for (int64_t k = c->item.first_edge; k < c->item.first_edge + c->item.n_edges; k++) {
        const int32_t *shift = e->shift + 3 * k;
        const double *a = s->position + 3 * e->src[k], *b = s->position + 3 * e->dst[k];
        double d2 = 0;
        for (int m = 0; m < 3; m++) {
            double r = a[m] - b[m];
            for (int q = 0; q < 3; q++)
                r += shift[q] ? shift[q] * s->cell[3 * q + m] : 0;
            d2 += r * r;
        }
        if (d2 >= FUSED * FUSED)
            continue;
        snprintf(text, sizeof text,
                 "step %" PRId64 ": atoms %d and %d are %.3g A apart; %g at least is expected",
                 step, e->src[k] + 1, e->dst[k] + 1, sqrt(d2), FUSED);
        aster_md_copy_fail(ctx, c, ASTER_ENUMERIC, text);
        return;
    }
}

static void follow_energy(struct aster_md_state *t, int64_t step, double total)
{
    if (step == 0)
        t->first = t->last = total;
    t->jump = fmax(t->jump, fabs(total - t->last));
    t->far = fmax(t->far, fabs(total - t->first));
    t->last = total;
}

int aster_md_arrive(struct aster_ctx *ctx, const struct aster_md_options *o,
                    struct aster_md_copy *c, int64_t step)
{
    struct aster_md_frame *now = &c->state.now;
    check_distances(ctx, c, step);
    if (c->status)
        return 0;
    if (step > 0)
        aster_dynamics_kick(c->s.n, c->mass, c->s.force, o->dt / 2, c->s.velocity);
    double kinetic = kinetic_of(c);
    if (!isfinite(kinetic)) {
        char text[80];
        snprintf(text, sizeof text, "step %" PRId64 ": the velocities are not finite", step);
        aster_md_copy_fail(ctx, c, ASTER_ENUMERIC, text);
        return 0;
    }
    c->s.energy = now->energy = c->item.energy;
    now->step = (double)step;
    now->rung = (double)c->rung;
    memcpy(now->cell, c->s.cell, sizeof now->cell);
    follow_energy(&c->state, step, c->s.energy + kinetic);
    if (step % o->log_interval == 0)
        ASTER_TRY(record_sample(ctx, c, (double)step, kinetic));
    return o->frame_interval && step % o->frame_interval == 0 ? record_frame(ctx, c) : 0;
}

/* ---- exchange ---- */

static void swap(const struct aster_md_options *o, struct aster_md_copy *a, struct aster_md_copy *b)
{
    double factor = sqrt(o->temperature[b->rung] / o->temperature[a->rung]);
    for (int64_t k = 0; k < 3 * a->s.n; k++) {
        a->s.velocity[k] *= factor;
        b->s.velocity[k] /= factor;
    }
    int64_t rung = a->rung;
    a->rung = b->rung;
    b->rung = rung;
}

static bool is_taken(const struct aster_md_options *o, const struct aster_md_copy *a,
                     const struct aster_md_copy *b, int64_t step)
{
    double p = aster_exchange_probability(o->temperature[a->rung], o->temperature[b->rung],
                                          a->s.energy, b->s.energy);
    return aster_uniform(~((uint64_t)o->seed ^ a->noise ^ b->noise), (uint64_t)a->structure,
                         (uint64_t)(step * o->n_rungs + a->rung)) < p;
}

int aster_md_exchange(struct aster_ctx *ctx, const struct aster_md_options *o,
                      struct aster_md_copy *copy, int64_t step)
{
    struct aster_md_copy **at = NULL;
    int64_t *mark = NULL, n = o->n_rungs;
    int rc;
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *at, &at), done);
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *mark, &mark), done);
    for (int64_t k = 0; k < n; k++)
        if (copy[k].rung >= 0 && copy[k].rung < n)
            at[copy[k].rung] = &copy[k];
    for (int64_t k = 0; k < n; k++)
        if (!at[k])
            ASTER_GOTO(aster_fail(ctx, ASTER_EFORMAT,
                                  "step %" PRId64 ": no copy of structure %" PRId64
                                  " is at %g K: parts of different simulations are mixed; begin "
                                  "anew with another --out",
                                  step, copy->structure + 1, o->temperature[k]),
                       done);
    for (int64_t r = step / o->exchange_interval % 2; r + 1 < n; r += 2) {
        struct aster_md_copy *a = at[r], *b = at[r + 1];
        if (a->status || b->status)
            continue;
        bool taken = is_taken(o, a, b, step);
        mark[a->replica] = 2 + taken;
        if (taken)
            swap(o, a, b);
    }
    for (int64_t k = 0; k < n; k++) {
        struct aster_md_copy *c = &copy[k];
        if (c->status)
            continue;
        ASTER_GOTO(aster_grow(ctx, c->n_events + 1, sizeof *c->event, &c->cap_events, &c->event),
                   done);
        c->event[c->n_events++] = 4 * c->rung + mark[k];
    }
done:
    aster_free(&at);
    aster_free(&mark);
    return rc;
}
