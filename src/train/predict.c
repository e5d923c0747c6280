/* SPDX-License-Identifier: BSD-3-Clause */
/* Inference: batches cut into parts, each part three tasks (encode, program, commit), as many in
 * flight as memory and window allow. */
#include "train/internal.h"

#include <math.h>
#include <string.h>

enum {
    CUT_PART = 8
}; /* samples of about the same length per task, where results end with the longest */

struct request { /* one call of aster_predictor_submit */
    struct aster_predictor *p;
    int64_t n, n_parts;
    const struct aster_sample *samples;
    aster_predict_done *done;
    void *arg;
    double counted;
    float *values;       /* P(class 1) of all residues */
    const float **probs; /* where each sample's begin */
    int32_t *status;
    const struct aster_sample **sorted; /* as the parts take them */
    int32_t *sorted_status;
    double *part_loss;
    _Atomic int64_t parts_left;
};

struct part { /* a slot: one part in flight */
    struct aster_predictor *p;
    int slot;
    struct request *request;
    int64_t index, first, n; /* which part; its samples in the request */
    const struct planned *plan;
    const struct aster_sample **samples;
    int64_t *lengths;
    struct aster_buffer *input, *output;
};

struct aster_predictor {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_cl_env *env;
    struct aster_encoding enc;
    struct predictor_setup set;
    bool time_major;
    struct plans plans;
    int64_t most; /* samples per part; 0: not even one fits */
    struct aster_buffer *arena;
    struct aster_slots slots;
    struct part *parts;
    int n_parts;
    struct aster_buffer *background, *background_in,
        *background_out;  /* NULL where everything is computed */
    struct planned empty; /* its plan is a part of another: not freed */
    int32_t empty_status;
    /* of aster_predictor_new */
    struct aster_program *own_program;
    struct aster_buffer *own_param, *own_running;
};

/* ---- results ---- */

static double value_at(const struct aster_predictor *p, const void *probs, int64_t cell)
{
    return p->set.real == ASTER_F64 ? ((const double *)probs)[2 * cell + 1]
                                    : (double)((const float *)probs)[2 * cell + 1];
}

static void take_sample(struct part *t, int64_t k, const char *probs)
{
    struct request *r = t->request;
    const struct aster_predictor *p = t->p;
    const struct aster_sample *sample = r->sorted[t->first + k];
    int64_t length = sample->length;
    float *to = r->values + (r->probs[sample - r->samples] - r->values);
    int32_t *status = &r->sorted_status[t->first + k];
    if (*status != 0) {
        memset(to, 0, (size_t)length * sizeof *to);
        return;
    }
    for (int64_t l = 0; l < length; l++) {
        int64_t cell = p->time_major ? l * t->n + k : k * p->set.model.max_length + l;
        to[l] = (float)value_at(p, probs, cell);
        if (!isfinite(to[l]))
            *status = ASTER_ENUMERIC;
    }
}

static void copy_part(void *arg, const void *const *in)
{
    struct part *t = arg;
    const char *output = in[0];
    int failed = atomic_load(&t->p->env->failed);
    for (int64_t k = 0; k < t->n && failed; k++)
        if (t->request->sorted_status[t->first + k] == 0)
            t->request->sorted_status[t->first + k] = failed;
    for (int64_t k = 0; k < t->n; k++)
        take_sample(t, k, output + t->plan->probs);
    t->request->part_loss[t->index] = *(const double *)(output + t->plan->loss);
}

static void request_free(struct request **r)
{
    aster_free(&(*r)->values);
    aster_free(&(*r)->probs);
    aster_free(&(*r)->status);
    aster_free(&(*r)->sorted);
    aster_free(&(*r)->sorted_status);
    aster_free(&(*r)->part_loss);
    aster_free(r);
}

static void part_over(struct request *r)
{
    if (atomic_fetch_sub(&r->parts_left, 1) > 1)
        return;
    for (int64_t k = 0; k < r->n; k++)
        r->status[r->sorted[k] - r->samples] = r->sorted_status[k];
    double loss = r->p->set.with_loss ? aster_tree_sum(r->n_parts, r->part_loss) : NAN;
    r->done(r->arg, r->n, r->samples, r->probs, r->status, loss);
    request_free(&r);
}

static void part_done(void *arg)
{
    struct part *t = arg;
    part_over(t->request);
    aster_slots_give(&t->p->slots, t->slot);
}

/* ---- submission ---- */

static bool refused(const struct aster_predictor *p, const struct aster_sample *s)
{
    return p->most == 0 || s->length > p->set.model.max_length;
}

static int request_new(struct aster_predictor *p, int64_t n, const struct aster_sample *samples,
                       aster_predict_done *done, void *arg, struct request **out)
{
    struct request *r = NULL;
    int rc;
    int64_t residues = 0;
    *out = NULL;
    ASTER_TRY(aster_alloc(p->ctx, 1, sizeof *r, &r));
    *r = (struct request){.p = p, .n = n, .samples = samples, .done = done, .arg = arg};
    r->n_parts = p->most ? chunk_of(n, p->most) : 1;
    for (int64_t k = 0; k < n; k++)
        residues += samples[k].length;
    ASTER_GOTO(aster_alloc(p->ctx, residues, sizeof *r->values, &r->values), fail);
    ASTER_GOTO(aster_alloc(p->ctx, n, sizeof *r->probs, &r->probs), fail);
    ASTER_GOTO(aster_alloc(p->ctx, n, sizeof *r->status, &r->status), fail);
    ASTER_GOTO(aster_alloc(p->ctx, n, sizeof *r->sorted, &r->sorted), fail);
    ASTER_GOTO(aster_alloc(p->ctx, n, sizeof *r->sorted_status, &r->sorted_status), fail);
    ASTER_GOTO(aster_alloc(p->ctx, r->n_parts, sizeof *r->part_loss, &r->part_loss), fail);
    atomic_store(&r->parts_left, r->n_parts);
    residues = 0;
    for (int64_t k = 0; k < n; k++) {
        r->probs[k] = r->values + residues;
        residues += samples[k].length;
        r->sorted[k] = &samples[k];
        if (!refused(p, &samples[k]) && p->set.with_loss)
            r->counted += (double)sample_counted(&samples[k]);
    }
    if (p->plans.cut)
        sort_by_length(n, r->sorted);
    for (int64_t k = 0; k < n; k++)
        r->sorted_status[k] = refused(p, r->sorted[k]) ? ASTER_ELIMIT : 0;
    if (r->counted == 0)
        r->counted = 1;
    *out = r;
    return 0;
fail:
    request_free(&r);
    return rc;
}

static int submit_tasks(struct aster_predictor *p, struct part *t)
{
    struct request *r = t->request;
    struct aster_encode_task encode = {
        .enc = &p->enc,
        .real = p->set.real,
        .time_major = p->time_major,
        .with_labels = p->set.with_loss,
        .n = t->n,
        .n_positions = p->set.model.max_length,
        .samples = t->samples,
        .counted = r->counted,
        .x = t->plan->x,
        .labels = t->plan->labels,
        .count = t->plan->count,
        .status = r->sorted_status + t->first,
        .input = t->input,
    };
    ASTER_TRY(aster_cl_encode(p->env, &encode));
    struct aster_program_task program;
    planned_task(t->plan, 0, "evaluate", &program);
    program.at[ASTER_ROLE_INPUT] = t->input;
    program.at[ASTER_ROLE_PARAM] = p->set.param;
    program.at[ASTER_ROLE_BUFFER] = p->set.running;
    program.at[ASTER_ROLE_OUTPUT] = t->output;
    program.at[ASTER_ROLE_ARENA] = p->arena;
    program.at[ASTER_ROLE_BACKGROUND] = p->background;
    program.info.status = r->sorted_status + t->first;
    program.lengths = t->lengths;
    ASTER_TRY(aster_cl_program(p->env, &program));
    const struct aster_buffer *in[] = {t->output};
    return aster_cl_commit(
        p->env,
        &(struct aster_commit_task){
            .name = "commit", .n = 1, .in = in, .copy = copy_part, .done = part_done, .arg = t});
}

static int submit_part(struct aster_predictor *p, struct request *r, int64_t index)
{
    struct part *t = &p->parts[aster_slots_take(&p->slots)];
    t->request = r;
    t->index = index;
    t->first = index * p->most;
    t->n = aster_min64(p->most, r->n - t->first);
    for (int64_t k = 0; k < t->n; k++) {
        const struct aster_sample *s = r->sorted[t->first + k];
        t->samples[k] = r->sorted_status[t->first + k] == 0 ? s : NULL;
        t->lengths[k] = t->samples[k] ? s->length : 0;
    }
    int rc = plans_get(&p->plans, t->n, t->n, longest_of(t->n, t->samples), &t->plan);
    if (rc == 0 && (planned_bytes(t->plan, ASTER_CLASS_ARENA) > p->arena->bytes ||
                    planned_bytes(t->plan, ASTER_CLASS_INPUT) > t->input->bytes ||
                    planned_bytes(t->plan, ASTER_CLASS_OUTPUT) > t->output->bytes))
        rc = aster_fail(p->ctx, ASTER_EBUG, "%lld samples need more memory than a part of %lld",
                        (long long)t->n, (long long)p->most);
    if (rc == 0)
        rc = submit_tasks(p, t);
    if (rc < 0) { /* what was submitted of it ends first */
        aster_runtime_wait(p->rt);
        for (int64_t k = 0; k < t->n; k++)
            r->sorted_status[t->first + k] = rc;
        part_done(t);
    }
    return rc;
}

int aster_predictor_submit(struct aster_predictor *p, int64_t n, const struct aster_sample *samples,
                           aster_predict_done *done, void *arg)
{
    struct request *r;
    ASTER_TRY(request_new(p, n, samples, done, arg, &r));
    if (p->most == 0 || n == 0) {
        part_over(r);
        return 0;
    }
    int rc = 0;
    int64_t n_parts = r->n_parts; /* r is gone when its last part is */
    for (int64_t k = 0; k < n_parts; k++) {
        int part_rc = submit_part(p, r, k);
        rc = rc < 0 ? rc : part_rc;
    }
    return rc;
}

int aster_predictor_wait(struct aster_predictor *p)
{
    aster_slots_wait(&p->slots);
    return 0;
}

/* ---- size: decided before anything is submitted ---- */

struct sizes {
    int64_t fixed, arena, input, output;
};

/* Bytes that parts of n samples need: once, per worker, per part in flight. */
static int sizes_of(struct aster_predictor *p, int64_t n, struct sizes *s)
{
    const struct planned *plan;
    int64_t most[ASTER_N_CLASSES] = {0};
    ASTER_TRY(plans_get(&p->plans, n, n, p->plans.length, &plan));
    ASTER_TRY(plans_most(&p->plans, n, n, most));
    const struct aster_plan *empty = aster_plan_background(plan->plan);
    *s = (struct sizes){.arena = most[ASTER_CLASS_ARENA],
                        .input = most[ASTER_CLASS_INPUT],
                        .output = most[ASTER_CLASS_OUTPUT]};
    if (empty)
        s->fixed = aster_plan_bytes(empty, ASTER_CLASS_ARENA) +
                   aster_plan_bytes(empty, ASTER_CLASS_INPUT) +
                   aster_plan_bytes(empty, ASTER_CLASS_OUTPUT);
    return 0;
}

/* The largest part, from the wished one down by halves, that leaves every worker (or the window) a
 * part; then how many parts. */
static int decide_sizes(struct aster_predictor *p, struct sizes *s, int64_t *n_slots)
{
    int workers = p->env->n_workers;
    int64_t free_bytes = p->env->memory_limit - atomic_load(&p->env->memory_used);
    int64_t window = p->set.window > 0 ? p->set.window : 3 * workers,
            enough = aster_min64(window, workers);
    *n_slots = 0;
    for (int64_t n = p->set.part;; n = (n + 1) / 2) {
        ASTER_TRY(sizes_of(p, n, s));
        int64_t left = free_bytes - s->fixed - workers * s->arena;
        *n_slots = left < 0 ? 0 : aster_min64(window, left / (s->input + s->output));
        p->most = n;
        if (*n_slots >= enough || n == 1 || p->set.fixed_part)
            break;
    }
    if (*n_slots > 0) {
        if (p->most < p->set.part)
            aster_log(p->ctx, ASTER_LOG_INFO,
                      "batches are computed in parts of %lld samples: %.1f MB of the memory limit "
                      "are free",
                      (long long)p->most, (double)free_bytes / 1e6);
        return 0;
    }
    if (p->set.fixed_part)
        return aster_fail(p->ctx, ASTER_ELIMIT,
                          "evaluating %lld samples at once needs %.1f MB, %.1f MB of the memory "
                          "limit are free; lower batch_size or raise shards",
                          (long long)p->most,
                          (double)(s->fixed + workers * s->arena + s->input + s->output) / 1e6,
                          (double)free_bytes / 1e6);
    aster_log(p->ctx, ASTER_LOG_WARN,
              "no sample can be computed: one needs %.1f MB, %.1f MB of the memory limit are free",
              (double)(s->fixed + workers * s->arena + s->input + s->output) / 1e6,
              (double)free_bytes / 1e6);
    p->most = 0;
    return 0;
}

static int make_parts(struct aster_predictor *p, const struct sizes *z, int64_t n_slots)
{
    ASTER_TRY(aster_buffer_new_scratch(p->rt, z->arena, &p->arena));
    ASTER_TRY(aster_alloc(p->ctx, n_slots, sizeof *p->parts, &p->parts));
    p->n_parts = (int)n_slots;
    for (int k = 0; k < p->n_parts; k++) {
        struct part *t = &p->parts[k];
        t->p = p;
        t->slot = k;
        ASTER_TRY(aster_alloc(p->ctx, p->most, sizeof *t->samples, &t->samples));
        ASTER_TRY(aster_alloc(p->ctx, p->most, sizeof *t->lengths, &t->lengths));
        ASTER_TRY(aster_buffer_new(p->rt, z->input, &t->input));
        ASTER_TRY(aster_buffer_new(p->rt, z->output, &t->output));
    }
    return 0;
}

/* ---- the background: what every sample has in common behind its end ---- */

static int make_background(struct aster_predictor *p)
{
    const struct planned *plan;
    ASTER_TRY(plans_get(&p->plans, p->most, p->most, p->plans.length, &plan));
    const struct aster_plan *empty = aster_plan_background(plan->plan);
    if (!empty)
        return 0;
    p->empty = (struct planned){.plan = (struct aster_plan *)empty, .n = 1, .n_batch = 1};
    ASTER_TRY(planned_look(p->ctx, &p->empty));
    ASTER_TRY(
        aster_buffer_new(p->rt, planned_bytes(&p->empty, ASTER_CLASS_INPUT), &p->background_in));
    ASTER_TRY(
        aster_buffer_new(p->rt, planned_bytes(&p->empty, ASTER_CLASS_OUTPUT), &p->background_out));
    ASTER_TRY(aster_buffer_new(p->rt, planned_bytes(&p->empty, ASTER_CLASS_ARENA), &p->background));
    static const struct aster_sample *const no_sample[] = {NULL};
    struct aster_encode_task encode = {
        .enc = &p->enc,
        .real = p->set.real,
        .time_major = p->time_major,
        .n = 1,
        .n_positions = p->set.model.max_length,
        .samples = no_sample,
        .counted = 1,
        .x = p->empty.x,
        .labels = p->empty.labels,
        .count = p->empty.count,
        .status = &p->empty_status,
        .input = p->background_in,
    };
    return aster_cl_encode(p->env, &encode);
}

int predictor_refresh(struct aster_predictor *p)
{
    if (!p->background)
        return 0;
    struct aster_program_task program;
    planned_task(&p->empty, 0, "background", &program);
    program.at[ASTER_ROLE_INPUT] = p->background_in;
    program.at[ASTER_ROLE_PARAM] = p->set.param;
    program.at[ASTER_ROLE_BUFFER] = p->set.running;
    program.at[ASTER_ROLE_OUTPUT] = p->background_out;
    program.at[ASTER_ROLE_ARENA] = p->background;
    return aster_cl_program(p->env, &program);
}

/* ---- making one ---- */

static int predictor_start(struct aster_predictor *p)
{
    struct sizes sizes;
    int64_t n_slots;
    p->plans = (struct plans){.ctx = p->ctx,
                              .program = p->set.program,
                              .length = p->set.model.max_length,
                              .extents = !p->set.full_padding,
                              .cut = p->time_major && !p->set.full_padding};
    if (p->plans.cut && !p->set.fixed_part)
        p->set.part = aster_min64(p->set.part, CUT_PART);
    ASTER_TRY(decide_sizes(p, &sizes, &n_slots));
    ASTER_TRY(aster_slots_init(p->ctx, &p->slots, (int)aster_max64(n_slots, 1)));
    if (p->most == 0)
        return 0;
    ASTER_TRY(make_parts(p, &sizes, n_slots));
    ASTER_TRY(make_background(p));
    return 0;
}

static int predictor_alloc(struct aster_ctx *ctx, struct aster_runtime *rt,
                           const struct aster_encoding *enc, const struct predictor_setup *s,
                           struct aster_predictor **out)
{
    *out = NULL;
    if (enc->dim != s->model.input_dim)
        return aster_fail(ctx, ASTER_EPARAM,
                          "the model reads %lld values per residue, encoding %s gives %lld",
                          (long long)s->model.input_dim, enc->name, (long long)enc->dim);
    if (s->part < 1)
        return aster_fail(ctx, ASTER_EPARAM, "batch_size is %lld, expected 1 or more",
                          (long long)s->part);
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    struct aster_predictor *p = *out;
    p->ctx = ctx;
    p->rt = rt;
    p->env = aster_runtime_env(rt);
    p->enc = *enc;
    p->set = *s;
    p->time_major = aster_model_time_major(s->model.kind);
    return 0;
}

int predictor_make(struct aster_ctx *ctx, struct aster_runtime *rt,
                   const struct aster_encoding *enc, const struct predictor_setup *s,
                   struct aster_predictor **out)
{
    ASTER_TRY(predictor_alloc(ctx, rt, enc, s, out));
    int rc = predictor_start(*out);
    if (rc < 0)
        aster_predictor_free(out);
    return rc;
}

static int own_weights(struct aster_predictor *p, const struct aster_weights *w)
{
    ASTER_TRY(eval_program(p->ctx, &w->model, w->real, w->class_weights, &p->own_program));
    p->set.program = p->own_program;
    int64_t params =
        aster_program_class_n(p->own_program, ASTER_CLASS_PARAM) * aster_dtype_size(w->real);
    int64_t buffers =
        aster_program_class_n(p->own_program, ASTER_CLASS_BUFFER) * (int64_t)sizeof(double);
    ASTER_TRY(aster_buffer_new(p->rt, params, &p->own_param));
    memcpy(aster_buffer_open(p->own_param, true), w->params, (size_t)params);
    aster_buffer_close(p->own_param);
    p->set.param = p->own_param;
    if (buffers == 0)
        return 0;
    ASTER_TRY(aster_buffer_new(p->rt, buffers, &p->own_running));
    memcpy(aster_buffer_open(p->own_running, true), w->buffers, (size_t)buffers);
    aster_buffer_close(p->own_running);
    p->set.running = p->own_running;
    return 0;
}

int aster_predictor_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                        const struct aster_weights *w, const struct aster_encoding *enc,
                        const struct aster_predict_options *o, struct aster_predictor **out)
{
    struct predictor_setup s = {.model = w->model,
                                .real = w->real,
                                .part = o->batch_size,
                                .window = o->window,
                                .full_padding = o->full_padding,
                                .with_loss = o->with_loss};
    int rc;
    ASTER_TRY(predictor_alloc(ctx, rt, enc, &s, out));
    ASTER_GOTO(own_weights(*out, w), fail);
    ASTER_GOTO(predictor_start(*out), fail);
    ASTER_GOTO(predictor_refresh(*out), fail);
    return 0;
fail:
    aster_predictor_free(out);
    return rc;
}

void aster_predictor_free(struct aster_predictor **pp)
{
    struct aster_predictor *p = *pp;
    if (!p)
        return;
    if (p->slots.free_list)
        aster_slots_wait(&p->slots);
    for (int k = 0; k < p->n_parts; k++) {
        aster_buffer_free(p->rt, &p->parts[k].input);
        aster_buffer_free(p->rt, &p->parts[k].output);
        aster_free(&p->parts[k].samples);
        aster_free(&p->parts[k].lengths);
    }
    aster_free(&p->parts);
    aster_buffer_free(p->rt, &p->arena);
    aster_buffer_free(p->rt, &p->background);
    aster_buffer_free(p->rt, &p->background_in);
    aster_buffer_free(p->rt, &p->background_out);
    aster_buffer_free(p->rt, &p->own_param);
    aster_buffer_free(p->rt, &p->own_running);
    plans_done(&p->plans);
    aster_program_free(&p->own_program);
    aster_slots_done(&p->slots);
    aster_free(pp);
}
