/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of vectors through the classifier, as many at a time as a task takes. */
#include "flow/vnp.h"
#include "runtime/slots.h"

#include <string.h>

struct place { /* a slot: rows in flight */
    struct vnp_judge *j;
    int slot;
    int64_t n;
    const float *x;
    float *scores;
    void (*done)(void *arg);
    void *arg;
    struct aster_plan *plan;
    int64_t at_x, at_probs;
    struct aster_buffer *input, *output;
};

struct vnp_judge {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_cl_env *env;
    const struct aster_classifier *c;
    int64_t rows;
    struct aster_buffer *param, *running, *arena;
    struct aster_slots slots;
    struct place *place;
    int n_places;
};

static int bind(struct vnp_judge *j, int64_t n, struct aster_plan **out)
{
    const struct aster_bind b[] = {{"B", n}};
    return aster_plan_new(j->ctx, j->c->program, 1, b, NULL, out);
}

static int copy_in(struct vnp_judge *j, int64_t bytes, const void *from, struct aster_buffer **out)
{
    ASTER_TRY(aster_buffer_new(j->rt, bytes, out));
    memcpy(aster_buffer_open(*out, true), from, (size_t)bytes);
    aster_buffer_close(*out);
    return 0;
}

static int make_buffers(struct vnp_judge *j)
{
    const struct aster_program *p = j->c->program;
    struct aster_plan *plan = NULL;
    int rc;
    int64_t size = aster_dtype_size(j->c->real);
    ASTER_TRY(
        copy_in(j, aster_program_class_n(p, ASTER_CLASS_PARAM) * size, j->c->params, &j->param));
    ASTER_TRY(copy_in(j, aster_program_class_n(p, ASTER_CLASS_BUFFER) * (int64_t)sizeof(double),
                      j->c->buffers, &j->running));
    ASTER_TRY(bind(j, j->rows, &plan));
    ASTER_GOTO(
        aster_buffer_new_scratch(j->rt, aster_plan_bytes(plan, ASTER_CLASS_ARENA), &j->arena),
        done);
    for (int k = 0; k < j->n_places; k++) {
        struct place *x = &j->place[k];
        x->j = j;
        x->slot = k;
        ASTER_GOTO(aster_buffer_new(j->rt, aster_plan_bytes(plan, ASTER_CLASS_INPUT), &x->input),
                   done);
        ASTER_GOTO(aster_buffer_new(j->rt, aster_plan_bytes(plan, ASTER_CLASS_OUTPUT), &x->output),
                   done);
    }
done:
    aster_plan_free(&plan);
    return rc;
}

int vnp_judge_new(struct aster_ctx *ctx, struct aster_runtime *rt, const struct aster_classifier *c,
                  int64_t rows, struct vnp_judge **out)
{
    struct vnp_judge *j = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *j, &j));
    *j = (struct vnp_judge){
        .ctx = ctx, .rt = rt, .env = aster_runtime_env(rt), .c = c, .rows = rows};
    int n_places = 2 * j->env->n_workers;
    ASTER_GOTO(aster_alloc(ctx, n_places, sizeof *j->place, &j->place), done);
    ASTER_GOTO(aster_slots_init(ctx, &j->slots, n_places), done);
    j->n_places = n_places;
    rc = make_buffers(j);
done:
    if (rc < 0)
        vnp_judge_free(&j);
    *out = j;
    return rc;
}

void vnp_judge_free(struct vnp_judge **jp)
{
    struct vnp_judge *j = *jp;
    if (!j)
        return;
    if (j->n_places)
        aster_slots_wait(&j->slots);
    for (int k = 0; k < j->n_places; k++) {
        aster_plan_free(&j->place[k].plan);
        aster_buffer_free(j->rt, &j->place[k].input);
        aster_buffer_free(j->rt, &j->place[k].output);
    }
    aster_buffer_free(j->rt, &j->param);
    aster_buffer_free(j->rt, &j->running);
    aster_buffer_free(j->rt, &j->arena);
    if (j->n_places)
        aster_slots_done(&j->slots);
    aster_free(&j->place);
    aster_free(jp);
}

/* ---- in workers ---- */

static void fill_rows(void *arg, void *const *out)
{
    const struct place *p = arg;
    char *to = (char *)out[0] + p->at_x;
    int64_t n = p->n * p->j->c->config.n_inputs;
    for (int64_t k = 0; k < n; k++)
        if (p->j->c->real == ASTER_F64)
            ((double *)to)[k] = (double)p->x[k];
        else
            ((float *)to)[k] = p->x[k];
}

static void take_scores(void *arg, const void *const *in)
{
    const struct place *p = arg;
    const char *from = (const char *)in[0] + p->at_probs;
    for (int64_t k = 0; k < 2 * p->n; k++)
        p->scores[k] = p->j->c->real == ASTER_F64 ? (float)((const double *)from)[k]
                                                  : ((const float *)from)[k];
}

static void rows_done(void *arg)
{
    struct place *p = arg;
    struct vnp_judge *j = p->j;
    void (*done)(void *) = p->done;
    void *to = p->arg;
    aster_slots_give(&j->slots, p->slot);
    done(to);
}

/* ---- submission ---- */

static int submit_tasks(struct vnp_judge *j, struct place *p)
{
    const struct aster_buffer *const input[] = {p->input}, *const output[] = {p->output};
    struct aster_program_task t;
    ASTER_TRY(aster_cl_fill(
        j->env, &(struct aster_fill_task){
                    .name = "vectors", .n = 1, .out = input, .fill = fill_rows, .arg = p}));
    aster_plan_task(p->plan, 0, "classifier", &t);
    t.at[ASTER_ROLE_INPUT] = p->input;
    t.at[ASTER_ROLE_PARAM] = j->param;
    t.at[ASTER_ROLE_BUFFER] = j->running;
    t.at[ASTER_ROLE_OUTPUT] = p->output;
    t.at[ASTER_ROLE_ARENA] = j->arena;
    ASTER_TRY(aster_cl_program(j->env, &t));
    return aster_cl_commit(j->env, &(struct aster_commit_task){.name = "scores",
                                                               .n = 1,
                                                               .in = output,
                                                               .copy = take_scores,
                                                               .done = rows_done,
                                                               .arg = p});
}

static int submit_rows(struct vnp_judge *j, struct place *p)
{
    aster_plan_free(&p->plan);
    ASTER_TRY(bind(j, p->n, &p->plan));
    ASTER_TRY(aster_plan_find(j->ctx, p->plan, ASTER_CLASS_INPUT, "x", NULL, &p->at_x));
    ASTER_TRY(aster_plan_find(j->ctx, p->plan, ASTER_CLASS_OUTPUT, "probs", NULL, &p->at_probs));
    return submit_tasks(j, p);
}

int vnp_judge_submit(struct vnp_judge *j, int64_t n, const float *x, float *scores,
                     void (*done)(void *arg), void *arg)
{
    for (int64_t first = 0; first < n; first += j->rows) {
        struct place *p = &j->place[aster_slots_take(&j->slots)];
        p->n = aster_min64(j->rows, n - first);
        p->x = x + first * j->c->config.n_inputs;
        p->scores = scores + 2 * first;
        p->done = done;
        p->arg = arg;
        int rc = submit_rows(j, p);
        if (rc < 0) {
            aster_runtime_wait(j->rt);
            aster_slots_give(&j->slots, p->slot);
            return rc;
        }
    }
    return 0;
}
