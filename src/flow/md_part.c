/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of a simulation in the run's store: where copies are, and what they recorded on the way. */
#include "flow/md.h"

#include <string.h>

enum { SAMPLES, FRAMES, EVENTS, N_COUNTS };

static int64_t state_size(const struct aster_md_copy *c)
{
    return ASTER_MD_STATE + 9 * c->s.n;
}

static int64_t frame_size(const struct aster_md_copy *c)
{
    return ASTER_MD_FRAME + 9 * c->s.n;
}

/* ---- writing ---- */

struct columns { /* arrays of copies, and theirs one behind the other */
    const char **reasons;
    int64_t *status, *hash, *counts; /* counts: [n][N_COUNTS] */
    double *state, *sample, *frame;
    int64_t *event;
    int64_t n_state, n_samples, n_frame, n_events;
};

static void free_columns(struct columns *c)
{
    aster_free(&c->reasons);
    aster_free(&c->status);
    aster_free(&c->hash);
    aster_free(&c->counts);
    aster_free(&c->state);
    aster_free(&c->sample);
    aster_free(&c->frame);
    aster_free(&c->event);
}

static int make_columns(struct aster_ctx *ctx, int64_t n, const struct aster_md_copy *copy,
                        struct columns *c)
{
    int64_t state = 0, samples = 0, frame = 0, events = 0;
    for (int64_t i = 0; i < n; i++) {
        state += state_size(&copy[i]);
        samples += copy[i].n_samples;
        frame += copy[i].n_frames * frame_size(&copy[i]);
        events += copy[i].n_events;
    }
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->reasons, &c->reasons));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->status, &c->status));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->hash, &c->hash));
    ASTER_TRY(aster_alloc(ctx, n * N_COUNTS, sizeof *c->counts, &c->counts));
    ASTER_TRY(aster_alloc(ctx, state, sizeof *c->state, &c->state));
    ASTER_TRY(aster_alloc(ctx, ASTER_MD_SAMPLE * samples, sizeof *c->sample, &c->sample));
    ASTER_TRY(aster_alloc(ctx, frame, sizeof *c->frame, &c->frame));
    return aster_alloc(ctx, events, sizeof *c->event, &c->event);
}

static void pack_state(const struct aster_md_copy *c, double *to)
{
    const double *const from[] = {c->s.position, c->s.velocity, c->s.force};
    int64_t n = 3 * c->s.n;
    struct aster_md_state now = c->state;
    now.now.rung = (double)c->rung;
    memcpy(to, &now, sizeof now);
    for (int k = 0; k < 3 && n; k++)
        memcpy(to + ASTER_MD_STATE + k * n, from[k], (size_t)n * sizeof *to);
}

static void *add(void *to, const void *from, int64_t n, size_t size)
{
    if (n)
        memcpy(to, from, (size_t)n * size);
    return (char *)to + (size_t)n * size;
}

static void fill_columns(int64_t n, const struct aster_md_copy *copy, struct columns *c)
{
    double *state = c->state, *sample = c->sample, *frame = c->frame;
    int64_t *event = c->event;
    for (int64_t i = 0; i < n; i++) {
        const struct aster_md_copy *x = &copy[i];
        c->reasons[i] = x->reason ? x->reason : "";
        c->status[i] = x->status;
        c->hash[i] = (int64_t)x->hash;
        c->counts[N_COUNTS * i + SAMPLES] = x->n_samples;
        c->counts[N_COUNTS * i + FRAMES] = x->n_frames;
        c->counts[N_COUNTS * i + EVENTS] = x->n_events;
        pack_state(x, state);
        state += state_size(x);
        sample = add(sample, x->sample, ASTER_MD_SAMPLE * x->n_samples, sizeof *sample);
        frame = add(frame, x->frame, x->n_frames * frame_size(x), sizeof *frame);
        event = add(event, x->event, x->n_events, sizeof *event);
    }
    c->n_state = state - c->state;
    c->n_samples = (sample - c->sample) / ASTER_MD_SAMPLE;
    c->n_frame = frame - c->frame;
    c->n_events = event - c->event;
}

static int write_columns(struct aster_h5 *f, int64_t n, const struct columns *c)
{
    const struct aster_h5_column all[] = {
        {"status", ASTER_I64, 1, {n}, c->status},
        {"hash", ASTER_I64, 1, {n}, c->hash},
        {"counts", ASTER_I64, 2, {n, N_COUNTS}, c->counts},
        {"state", ASTER_F64, 1, {c->n_state}, c->state},
        {"samples", ASTER_F64, 2, {c->n_samples, ASTER_MD_SAMPLE}, c->sample},
        {"frames", ASTER_F64, 1, {c->n_frame}, c->frame},
        {"events", ASTER_I64, 1, {c->n_events}, c->event},
    };
    ASTER_TRY(aster_h5_write_strings(f, "reasons", n, c->reasons));
    return aster_h5_write_columns(f, sizeof all / sizeof *all, all);
}

struct part {
    struct aster_ctx *ctx;
    int64_t n;
    const struct aster_md_copy *copy;
    const char *device;
};

static int write_part(void *arg, const char *path)
{
    const struct part *p = arg;
    struct columns c = {0};
    struct aster_h5 *f = NULL;
    int rc;
    ASTER_GOTO(make_columns(p->ctx, p->n, p->copy, &c), done);
    fill_columns(p->n, p->copy, &c);
    ASTER_GOTO(aster_h5_create(p->ctx, path, &f), done);
    ASTER_GOTO(aster_h5_attr_set_str(f, "/", "device", p->device), done);
    ASTER_GOTO(write_columns(f, p->n, &c), done);
    rc = aster_h5_commit(&f);
done:
    aster_h5_close(&f);
    free_columns(&c);
    return rc;
}

int aster_md_part_commit(struct aster_ctx *ctx, struct aster_store *s, int64_t index, int64_t n,
                         struct aster_md_copy *copy, const char *device)
{
    struct part p = {ctx, n, copy, device};
    ASTER_TRY(aster_store_put(s, index, write_part, &p));
    for (int64_t i = 0; i < n; i++)
        aster_md_forget(&copy[i]);
    return 0;
}

/* ---- reading ---- */

struct aster_md_part {
    struct aster_h5 *f;
    const struct aster_md_copy *copy;
    int64_t n, n_reasons, only; /* only: whose records these are; -1: of all */
    char **reasons, *device;
    int64_t *status, *hash, *counts, *event;
    double *state, *sample, *frame;
};

static void loaded_free(struct aster_md_part *l)
{
    aster_strings_free(&l->reasons, l->n_reasons);
    aster_free(&l->device);
    aster_free(&l->status);
    aster_free(&l->hash);
    aster_free(&l->counts);
    aster_free(&l->event);
    aster_free(&l->state);
    aster_free(&l->sample);
    aster_free(&l->frame);
    aster_h5_close(&l->f);
}

static int load_marks(struct aster_ctx *ctx, const char *path, int64_t n, struct aster_md_part *l)
{
    l->n = n;
    ASTER_TRY(aster_h5_open(ctx, path, &l->f));
    ASTER_TRY(aster_h5_read_strings(l->f, "reasons", &l->reasons, &l->n_reasons));
    if (l->n_reasons != n)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: has %lld copies, %lld are expected", path,
                          (long long)l->n_reasons, (long long)n);
    ASTER_TRY(aster_h5_read(l->f, "status", ASTER_I64, n, &l->status));
    ASTER_TRY(aster_h5_read(l->f, "hash", ASTER_I64, n, &l->hash));
    return aster_h5_read(l->f, "counts", ASTER_I64, n * N_COUNTS, &l->counts);
}

static int load_state(struct aster_md_part *l, const struct aster_md_copy *copy)
{
    int64_t n = 0;
    for (int64_t i = 0; i < l->n; i++)
        n += state_size(&copy[i]);
    return aster_h5_read(l->f, "state", ASTER_F64, n, &l->state);
}

/* What another memory limit or machine may have room for is computed again. */
static bool is_same(const struct aster_md_part *l, const struct aster_md_copy *copy)
{
    for (int64_t i = 0; i < l->n; i++)
        if (l->hash[i] != (int64_t)copy[i].hash || aster_store_try_again(l->status[i]))
            return false;
    return true;
}

static void take_state(struct aster_md_copy *c, const double *from)
{
    double *const to[] = {c->s.position, c->s.velocity, c->s.force};
    int64_t n = 3 * c->s.n;
    memcpy(&c->state, from, sizeof c->state);
    for (int k = 0; k < 3 && n; k++)
        memcpy(to[k], from + ASTER_MD_STATE + k * n, (size_t)n * sizeof *from);
    memcpy(c->s.cell, c->state.now.cell, sizeof c->s.cell);
    c->s.energy = c->state.now.energy;
    c->rung = (int64_t)c->state.now.rung;
}

static void take_states(struct aster_ctx *ctx, const struct aster_md_part *l,
                        struct aster_md_copy *copy)
{
    const double *state = l->state;
    for (int64_t i = 0; i < l->n; i++) {
        if (copy[i].status == 0)
            take_state(&copy[i], state);
        state += state_size(&copy[i]);
        if (l->status[i])
            aster_md_copy_fail(ctx, &copy[i], (int32_t)l->status[i], l->reasons[i]);
    }
}

struct search {
    struct aster_ctx *ctx;
    int64_t n;
    struct aster_md_copy *copy;
    bool take;
    int64_t step;
};

static int64_t step_of(const struct aster_md_part *l, const struct aster_md_copy *copy)
{
    const double *state = l->state;
    for (int64_t i = 0; i < l->n; i++) {
        struct aster_md_state at;
        memcpy(&at, state, sizeof at);
        if (l->status[i] == 0)
            return (int64_t)at.now.step;
        state += state_size(&copy[i]);
    }
    return -1;
}

static int compare(void *arg, const char *path, bool *there)
{
    struct search *s = arg;
    struct aster_md_part l = {.only = -1};
    int rc = load_marks(s->ctx, path, s->n, &l);
    bool same = rc == 0 && is_same(&l, s->copy);
    if (same)
        rc = load_state(&l, s->copy);
    *there = rc == 0 && same;
    if (*there)
        s->step = step_of(&l, s->copy);
    if (*there && s->take)
        take_states(s->ctx, &l, s->copy);
    loaded_free(&l);
    return rc;
}

int aster_md_part_find(struct aster_ctx *ctx, struct aster_store *s, int64_t index, int64_t n,
                       struct aster_md_copy *copy, bool take, bool *there, int64_t *step)
{
    struct search x = {ctx, n, copy, take, -1};
    ASTER_TRY(aster_store_compare(s, index, compare, &x, there));
    *step = x.step;
    return 0;
}

static int load_records(struct aster_ctx *ctx, struct aster_md_part *l,
                        const struct aster_md_copy *copy)
{
    int64_t n[3] = {0}, first[3] = {0};
    for (int64_t i = 0; i < l->n; i++) {
        const int64_t *k = l->counts + N_COUNTS * i,
                      of[3] = {k[SAMPLES], k[FRAMES] * frame_size(&copy[i]), k[EVENTS]};
        for (int what = 0; what < 3; what++)
            if (l->only < 0 || i == l->only)
                n[what] += of[what];
            else if (i < l->only)
                first[what] += of[what];
    }
    ASTER_TRY(aster_h5_attr_str(l->f, "/", "device", &l->device));
    ASTER_TRY(aster_alloc(ctx, ASTER_MD_SAMPLE * n[0], sizeof *l->sample, &l->sample));
    ASTER_TRY(aster_alloc(ctx, n[1], sizeof *l->frame, &l->frame));
    ASTER_TRY(aster_alloc(ctx, n[2], sizeof *l->event, &l->event));
    if (n[0])
        ASTER_TRY(aster_h5_read_rows(l->f, "samples", ASTER_F64, first[0], n[0], l->sample));
    if (n[1])
        ASTER_TRY(aster_h5_read_rows(l->f, "frames", ASTER_F64, first[1], n[1], l->frame));
    return n[2] ? aster_h5_read_rows(l->f, "events", ASTER_I64, first[2], n[2], l->event) : 0;
}

struct aster_md_kept aster_md_part_of(const struct aster_md_part *l, int64_t k)
{
    const int64_t *of = l->counts + N_COUNTS * k;
    int64_t sample = 0, frame = 0, event = 0;
    for (int64_t i = l->only < 0 ? 0 : k; i < k; i++) { /* those of one are the first there are */
        const int64_t *counts = l->counts + N_COUNTS * i;
        sample += ASTER_MD_SAMPLE * counts[SAMPLES];
        frame += counts[FRAMES] * frame_size(&l->copy[i]);
        event += counts[EVENTS];
    }
    return (struct aster_md_kept){
        .device = l->device,
        .n_samples = of[SAMPLES],
        .n_frames = of[FRAMES],
        .n_events = of[EVENTS],
        .sample = (const struct aster_md_sample *)(const void *)(l->sample + sample),
        .frame = l->frame + frame,
        .event = l->event + event};
}

int aster_md_part_open(struct aster_ctx *ctx, struct aster_store *s, int64_t index, int64_t n,
                       const struct aster_md_copy *copy, int64_t only, struct aster_md_part **out)
{
    char *path = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->copy = copy;
    (*out)->only = only;
    int rc = (only > 0 ? aster_store_path : aster_store_get)(s, index, &path);
    if (rc == 0)
        rc = load_marks(ctx, path, n, *out);
    if (rc == 0)
        rc = load_records(ctx, *out, copy);
    aster_free(&path);
    aster_h5_close(&(*out)->f);
    if (rc < 0)
        aster_md_part_close(out);
    return rc;
}

void aster_md_part_close(struct aster_md_part **p)
{
    if (*p)
        loaded_free(*p);
    aster_free(p);
}

static int recall(struct aster_ctx *ctx, const struct aster_md_kept *k, struct aster_md_copy *c)
{
    const int64_t frames = k->n_frames * frame_size(c);
    ASTER_TRY(aster_grow(ctx, k->n_samples, sizeof *c->sample, &c->cap_samples, &c->sample));
    ASTER_TRY(aster_grow(ctx, frames, sizeof *c->frame, &c->cap_frame, &c->frame));
    ASTER_TRY(aster_grow(ctx, k->n_events, sizeof *c->event, &c->cap_events, &c->event));
    add(c->sample, k->sample, k->n_samples, sizeof *c->sample);
    add(c->frame, k->frame, frames, sizeof *c->frame);
    add(c->event, k->event, k->n_events, sizeof *c->event);
    c->n_samples = k->n_samples;
    c->n_frames = k->n_frames;
    c->n_events = k->n_events;
    return 0;
}

int aster_md_part_recall(struct aster_ctx *ctx, struct aster_store *s, int64_t index, int64_t n,
                         struct aster_md_copy *copy)
{
    struct aster_md_part *p = NULL;
    int rc = 0;
    ASTER_TRY(aster_md_part_open(ctx, s, index, n, copy, -1, &p));
    for (int64_t i = 0; i < n && rc == 0; i++) {
        const struct aster_md_kept k = aster_md_part_of(p, i);
        rc = recall(ctx, &k, &copy[i]);
    }
    aster_md_part_close(&p);
    return rc;
}
