/* SPDX-License-Identifier: BSD-3-Clause */
/* The timed section of a pipeline: the steps of its training or the batches of its embedding, after
 * the stages that lead to it. */
#include "flow/timing.h"
#include "flow/embed_part.h"
#include "flow/times.h"
#include "flow/training.h"

#include <string.h>

static int find(const struct aster_run_spec *spec, const char *kind)
{
    for (int i = 0; i < spec->n_stages; i++)
        if (!strcmp(spec->stages[i].kind->name, kind))
            return i;
    return -1;
}

/* The stage that is timed */
static int find_timed(const struct aster_run_spec *spec)
{
    int training = find(spec, "train");
    return training >= 0 ? training : find(spec, "embed");
}

int aster_timing_ready(struct aster_ctx *ctx, const struct aster_run_spec *spec)
{
    if (find_timed(spec) >= 0)
        return 0;
    return aster_fail(ctx, ASTER_EPARAM,
                      "%s has no stage of the kind train or embed; only steps of a training and "
                      "batches of an embedding are timed and predicted",
                      spec->file);
}

static int time_training(struct aster_run *run, int stage, struct aster_runtime *rt,
                         struct aster_run_timing *t)
{
    struct aster_training training = aster_training_of(run, stage);
    struct aster_train_config c;
    struct aster_encoding enc;
    struct aster_sample *samples = NULL;
    int64_t n_val = training.split->n_val, n = training.split->n - n_val;
    int rc;
    training.dir = run->dir;
    training.label = run->spec->stages[stage].id;
    ASTER_TRY(aster_encoding_choose(run->ctx, training.encoding, training.embeddings, &enc));
    ASTER_TRY(aster_training_config(&training, enc.dim, &c));
    ASTER_GOTO(aster_training_samples(&training, &enc, &samples), done);
    aster_progress_stage(run->progress, training.label, -1);
    rc = aster_train_time(run->ctx, rt, &c, &enc, n, samples + n_val, t->warmup, t->steps,
                          &t->timing);
    t->batch_size = aster_min64(c.batch_size, n);
done:
    aster_free(&samples);
    return rc;
}

static int time_embedding(struct aster_run *run, int stage, struct aster_runtime *rt,
                          struct aster_run_timing *t)
{
    aster_progress_stage(run->progress, run->spec->stages[stage].id, -1);
    t->timing.steps = t->steps;
    ASTER_TRY(aster_embed_time(run, stage, rt, t->warmup, &t->timing));
    t->batch_size = (t->timing.samples + t->timing.steps / 2) / t->timing.steps; /* about */
    return 0;
}

/* Measured times from a file: those of this instruction set and precision, whatever machine they
 * are from. */
static int expect(struct aster_run *run, struct aster_runtime *rt, struct aster_run_timing *t)
{
    struct aster_times times;
    if (!t->expect)
        return 0;
    ASTER_TRY(aster_times_read(run->ctx, t->expect, &times));
    int rc = aster_times_expect(run->ctx, &times, rt);
    if (rc == 0)
        snprintf(t->expected_from, sizeof t->expected_from, "%s", times.machine);
    aster_times_free(&times);
    return rc;
}

int aster_timing_run(struct aster_run *run, struct aster_run_timing *t)
{
    struct aster_runtime *rt;
    int last = find_timed(run->spec);
    for (int i = 0; i < last; i++) {
        const struct aster_stage_spec *s = &run->spec->stages[i];
        aster_progress_stage(run->progress, s->id, -1);
        ASTER_TRY(s->kind->run(run->ctx, run, i));
    }
    ASTER_TRY(aster_run_runtime(run, &rt));
    ASTER_TRY(expect(run, rt, t));
    if (find(run->spec, "train") >= 0)
        ASTER_TRY(time_training(run, last, rt, t));
    else
        ASTER_TRY(time_embedding(run, last, rt, t));
    t->n_workers = t->timing.usage.workers;
    run->items = t->timing.samples;
    return t->measure
               ? aster_times_write(run->ctx, t->measure, t->machine ? t->machine : "unnamed", rt)
               : 0;
}
