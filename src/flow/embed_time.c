/* SPDX-License-Identifier: BSD-3-Clause */
/* How long batches of an embedding take: the sequences of the input, over and over, in batches as
 * full as they can be, through the blocks. The clock starts when the weights are read and as many
 * batches are over as workers compute, or more; then nothing is written, and only blocks that have
 * no room to stay are read. */
#include "flow/embed_internal.h"
#include "train/timed.h"

#include <string.h>

enum { MOST_BATCHES = 64, MOST_UNITS = 100000 }; /* that differ; sequences of the input at most */

struct full { /* a batch, which may be under way several times at once */
    int64_t n;
    struct aster_embed_item *item;
};

struct timed {
    struct embed e;
    struct aster_embed_item *unit; /* what the input has */
    int64_t n_units, cap_units, next_unit;
    struct aster_embed_part *parts; /* that hold the tokens */
    struct full batch[MOST_BATCHES];
    int64_t n_batches, next_batch;
    _Atomic int failed;
};

/* ---- what the batches are made of ---- */

static int add_part(struct timed *t, struct aster_embed_part *p)
{
    p->next = t->parts;
    t->parts = p;
    ASTER_TRY(aster_embed_make_units(&t->e.reader, p));
    ASTER_TRY(
        aster_grow(t->e.ctx, t->n_units + p->n_units, sizeof *t->unit, &t->cap_units, &t->unit));
    for (int64_t k = 0; k < p->n_units; k++) {
        const struct aster_embed_unit *u = &p->unit[k];
        t->unit[t->n_units++] = (struct aster_embed_item){.ids = p->ids + u->ids,
                                                          .n = u->w.n + 2,
                                                          .first = 1 + u->w.own - u->w.begin,
                                                          .n_rows = u->w.n_own};
    }
    return 0;
}

static int read_units(struct timed *t)
{
    while (t->n_units < MOST_UNITS) {
        struct aster_embed_part *p = NULL;
        ASTER_TRY(aster_embed_read_part(&t->e.reader, &p));
        if (!p)
            break;
        ASTER_TRY(add_part(t, p));
    }
    if (t->n_units)
        return 0;
    return aster_fail(t->e.ctx, ASTER_EFORMAT, "%s: has no sequence that can be computed",
                      aster_embed_source_name(&t->e.reader, 0));
}

/* The next sequences, as many as the budget holds */
static int fill(struct timed *t, struct full *f)
{
    int64_t room = aster_embedder_budget(t->e.embedder), cap = 0;
    for (;;) {
        const struct aster_embed_item *x = &t->unit[t->next_unit % t->n_units];
        if (f->n && x->n > room)
            return 0;
        ASTER_TRY(aster_grow(t->e.ctx, f->n + 1, sizeof *f->item, &cap, &f->item));
        f->item[f->n++] = *x;
        room -= x->n;
        t->next_unit++;
    }
}

/* ---- batches with a clock ---- */

static void done(void *arg, int64_t n, const struct aster_embed_item *items,
                 const struct aster_embed_result *results)
{
    struct timed *t = arg;
    (void)items;
    for (int64_t i = 0; i < n; i++)
        if (results[i].status)
            atomic_store(&t->failed, results[i].status);
}

static int run_batches(struct timed *t, int64_t n, int64_t *sequences)
{
    int rc = 0;
    for (int64_t k = 0; k < n && rc == 0; k++) {
        const struct full *f = &t->batch[t->next_batch++ % t->n_batches];
        rc = aster_embedder_submit(t->e.embedder, f->n, f->item, done, t);
        *sequences += f->n;
    }
    int late = aster_embedder_wait(t->e.embedder), failed = atomic_load(&t->failed);
    ASTER_TRY(rc < 0 ? rc : late);
    return failed ? aster_fail(t->e.ctx, failed, "a batch could not be computed (code %d)", failed)
                  : 0;
}

/* The GPUs, where there are some: each is to have its weights before the clock starts. */
static int64_t n_computing(const struct timed *t)
{
    const struct aster_cl_env *env = aster_runtime_env(t->e.rt);
    return env->n_gpus > 0 ? env->n_gpus : env->n_workers;
}

static int time_batches(struct timed *t, int64_t warmup, struct aster_timing *out)
{
    struct aster_runtime *rt = t->e.rt;
    struct aster_usage before;
    int64_t ignored = 0;
    t->n_batches = aster_min64(MOST_BATCHES, out->steps);
    for (int64_t k = 0; k < t->n_batches; k++)
        ASTER_TRY(fill(t, &t->batch[k]));
    ASTER_TRY(run_batches(t, aster_max64(warmup, n_computing(t)), &ignored));
    aster_runtime_wait(rt); /* for blocks that are read, and for results that are handed over */
    t->next_batch = 0;
    double start = aster_runtime_now(rt);
    aster_runtime_usage(rt, start, start, &before); /* StarPU's counters begin here */
    ASTER_TRY(run_batches(t, out->steps, &out->samples));
    double end = aster_runtime_now(rt);
    out->seconds = end - start;
    aster_runtime_usage(rt, start, end, &out->usage);
    return 0;
}

static void free_all(struct timed *t)
{
    aster_embedder_free(&t->e.embedder);
    for (int64_t k = 0; k < t->n_batches; k++)
        aster_free(&t->batch[k].item);
    while (t->parts) {
        struct aster_embed_part *p = t->parts;
        t->parts = p->next;
        aster_embed_part_free(&p);
    }
    aster_free(&t->unit);
    aster_embed_reader_close(&t->e.reader);
    aster_str_free(&t->e.device);
    aster_free(&t->e.layers);
}

int aster_embed_time(struct aster_run *run, int stage, struct aster_runtime *rt, int64_t warmup,
                     struct aster_timing *out)
{
    struct timed *t = NULL;
    int rc;
    ASTER_TRY(aster_alloc(run->ctx, 1, sizeof *t, &t));
    t->e.run = run;
    t->e.ctx = run->ctx;
    t->e.stage = stage;
    t->e.id = run->spec->stages[stage].id;
    t->e.language = aster_run_slot(run, stage, "language", 0)->language;
    t->e.rt = rt;
    ASTER_GOTO(embed_options(&t->e), done);
    ASTER_GOTO(read_units(t), done);
    ASTER_GOTO(embed_make(&t->e, 0), done);
    rc = time_batches(t, warmup, out);
done:
    free_all(t);
    aster_free(&t);
    return rc;
}
