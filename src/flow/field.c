/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches of structures through the force field's program: fill, program, commit. */
#include "flow/field.h"

#include "flow/field_neighbours.h"
#include "runtime/slots.h"
#include "train/train.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Atoms of a task: a few milliseconds of a core, whose caches hold their values; or enough to fill
 * a GPU */
enum { CORE_ATOMS = 128, GPU_ATOMS = 1 << 15, PLACES_PER_WORKER = 2 };
/* What parts that are read, their neighbours and results may take of the memory: one of so many */
enum { PART_SHARE = 4, BYTES_PER_EDGE = 120 };

struct place { /* a slot: a batch in flight */
    struct aster_field *f;
    int slot;
    int64_t n;
    struct aster_field_item **item;
    void (*done)(void *arg);
    void *arg;
    struct aster_plan *plan; /* of these sizes */
    int64_t plan_n, plan_atoms, plan_edges;
    int64_t at_number, at_src, at_dst, at_vector, at_owner, at_edge_owner; /* in the input */
    int64_t at_starts, at_reverse;                                         /* with tables */
    int64_t at_energy, at_force, at_virial;                                /* in the output */
    struct aster_buffer *input, *output; /* as large as was needed so far */
};

struct aster_field {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_cl_env *env;
    struct aster_field_options o;
    struct aster_forcefield_config c;
    struct aster_program *program;
    struct aster_buffer *param, *constants;
    bool is_view; /* these two are another's */
    int64_t room, most;
    struct aster_buffer *arena; /* a worker's, which its caches hold from one batch to the next; or,
                                   of a structure that is alone, the only one */
    bool is_alone;
    struct aster_slots slots;
    struct place *place;
    int n_places;
    struct aster_field_lists *lists; /* NULL: no GPU */
};

/* ---- setting up ---- */

/* Tables of the filters, made in double */
static int read_tables(struct aster_field *f, const struct aster_forcefield_file *w, void *params)
{
    struct aster_program *exact = NULL;
    double *values = NULL, *constants = NULL;
    int rc;
    ASTER_GOTO(aster_forcefield_program(f->ctx, &f->c, ASTER_F64, ASTER_FORCEFIELD_FORCES, NULL,
                                        NULL, &exact),
               done);
    ASTER_GOTO(aster_alloc(f->ctx, aster_program_class_n(exact, ASTER_CLASS_PARAM), sizeof *values,
                           &values),
               done);
    ASTER_GOTO(aster_alloc(f->ctx, aster_program_class_n(exact, ASTER_CLASS_BUFFER),
                           sizeof *constants, &constants),
               done);
    ASTER_GOTO(aster_forcefield_read(w, exact, values, constants), done);
    rc = aster_forcefield_tables(f->ctx, &f->c, exact, values, constants, f->program, params);
done:
    aster_program_free(&exact);
    aster_free(&values);
    aster_free(&constants);
    return rc;
}

static int read_weights(struct aster_field *f, const struct aster_forcefield_file *w)
{
    int64_t bytes =
                aster_program_class_n(f->program, ASTER_CLASS_PARAM) * aster_dtype_size(f->o.real),
            n_constants = aster_max64(1, aster_program_class_n(f->program, ASTER_CLASS_BUFFER));
    ASTER_TRY(aster_buffer_new(f->rt, bytes, &f->param));
    ASTER_TRY(aster_buffer_new(f->rt, n_constants * (int64_t)sizeof(double), &f->constants));
    void *params = aster_buffer_open(f->param, true);
    double *constants = aster_buffer_open(f->constants, true);
    memset(params, 0, (size_t)bytes);
    int rc = f->o.intervals ? read_tables(f, w, params)
                            : aster_forcefield_read(w, f->program, params, constants);
    aster_buffer_close(f->param);
    aster_buffer_close(f->constants);
    return rc;
}

static int make(struct aster_field *f, const struct aster_forcefield_file *w)
{
    f->c.intervals = f->o.intervals;
    ASTER_TRY(aster_forcefield_program(
        f->ctx, &f->c, f->o.real, f->o.intervals ? ASTER_FORCEFIELD_FAST : ASTER_FORCEFIELD_FORCES,
        NULL, NULL, &f->program));
    if (w)
        ASTER_TRY(read_weights(f, w));
    int n_places = PLACES_PER_WORKER * f->env->n_workers;
    ASTER_TRY(aster_alloc(f->ctx, n_places, sizeof *f->place, &f->place));
    ASTER_TRY(aster_slots_init(f->ctx, &f->slots, n_places));
    f->n_places = n_places;
    for (int k = 0; k < n_places; k++) {
        f->place[k].f = f;
        f->place[k].slot = k;
    }
    f->most = f->env->memory_limit - f->env->memory_limit / PART_SHARE - f->o.held -
              atomic_load(&f->env->memory_used);
    f->room = f->most / n_places;
    ASTER_TRY(
        aster_field_lists_new(f->ctx, f->rt, f->env->memory_limit / PART_SHARE / 2, &f->lists));
    return f->room > 0 ? 0
                       : aster_fail(f->ctx, ASTER_ELIMIT,
                                    "the memory limit of %lld bytes leaves nothing beside the "
                                    "weights of the force field",
                                    (long long)f->env->memory_limit);
}

static int field_new(struct aster_field *like, const struct aster_forcefield_file *w,
                     struct aster_field **out)
{
    struct aster_field *f = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(like->ctx, 1, sizeof *f, &f));
    *f = *like;
    f->env = aster_runtime_env(f->rt);
    if (f->o.batch_atoms == 0)
        f->o.batch_atoms = f->env->n_gpus ? GPU_ATOMS : CORE_ATOMS;
    int rc = make(f, w);
    if (rc < 0)
        aster_field_free(&f);
    *out = f;
    return rc;
}

int aster_field_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                    const struct aster_forcefield_file *w, const struct aster_field_options *o,
                    struct aster_field **out)
{
    return field_new(&(struct aster_field){.ctx = ctx, .rt = rt, .o = *o, .c = w->c}, w, out);
}

int aster_field_new_on(struct aster_ctx *ctx, struct aster_runtime *rt,
                       const struct aster_forcefield_config *c, struct aster_buffer *param,
                       struct aster_buffer *constants, const struct aster_field_options *o,
                       struct aster_field **out)
{
    return field_new(&(struct aster_field){.ctx = ctx,
                                           .rt = rt,
                                           .o = *o,
                                           .c = *c,
                                           .param = param,
                                           .constants = constants,
                                           .is_view = true},
                     NULL, out);
}

/* Waits for the tasks that use them. */
static void free_buffers(struct aster_field *f)
{
    for (int k = 0; k < f->n_places; k++) {
        aster_buffer_free(f->rt, &f->place[k].input);
        aster_buffer_free(f->rt, &f->place[k].output);
    }
    aster_buffer_free(f->rt, &f->arena);
}

void aster_field_free(struct aster_field **fp)
{
    struct aster_field *f = *fp;
    if (!f)
        return;
    if (f->n_places)
        aster_slots_wait(&f->slots);
    aster_field_lists_free(&f->lists);
    for (int k = 0; k < f->n_places; k++) {
        struct place *p = &f->place[k];
        aster_plan_free(&p->plan);
        aster_free(&p->item);
    }
    free_buffers(f);
    if (!f->is_view) {
        aster_buffer_free(f->rt, &f->param);
        aster_buffer_free(f->rt, &f->constants);
    }
    if (f->n_places)
        aster_slots_done(&f->slots);
    aster_program_free(&f->program);
    aster_free(&f->place);
    aster_free(fp);
}

int64_t aster_field_batch_atoms(const struct aster_field *f)
{
    return f->o.batch_atoms;
}

int64_t aster_field_room(const struct aster_field *f)
{
    return f->room;
}

int64_t aster_field_most(const struct aster_field *f)
{
    return f->most;
}

int64_t aster_field_most_edges(const struct aster_field *f)
{
    return aster_max64(1, f->env->memory_limit / PART_SHARE / BYTES_PER_EDGE);
}

static int bind(const struct aster_field *f, int64_t n, int64_t n_atoms, int64_t n_edges,
                struct aster_plan **out)
{
    const struct aster_bind b[] = {{"N", n_atoms}, {"E", n_edges}, {"B", n}};
    return aster_plan_new(f->ctx, f->program, 3, b, NULL, out);
}

static int64_t plan_bytes(const struct aster_plan *plan)
{
    return aster_plan_bytes(plan, ASTER_CLASS_INPUT) + aster_plan_bytes(plan, ASTER_CLASS_OUTPUT) +
           aster_plan_bytes(plan, ASTER_CLASS_ARENA);
}

int aster_field_bytes(const struct aster_field *f, int64_t n, int64_t n_atoms, int64_t n_edges,
                      int64_t *bytes)
{
    struct aster_plan *plan = NULL;
    ASTER_TRY(bind(f, n, n_atoms, n_edges, &plan));
    *bytes = plan_bytes(plan);
    aster_plan_free(&plan);
    return 0;
}

/* ---- in workers ---- */

/* The list of edges decides who is a neighbour: rounding must not carry one beyond the cutoff,
 * where filters end. */
void aster_field_vectors(const struct aster_field_item *x, double cutoff, enum aster_dtype real,
                         void *to)
{
    const double within = cutoff * (1 - 8 * (real == ASTER_F64 ? DBL_EPSILON : FLT_EPSILON));
    const struct aster_structure *s = x->structure;
    const struct aster_edges *e = x->edges;
    for (int64_t k = 0; k < x->n_edges; k++) {
        int64_t at = x->first_edge + k;
        const double *src = s->position + 3 * e->src[at], *dst = s->position + 3 * e->dst[at];
        double r[3], d2 = 0;
        for (int a = 0; a < 3; a++) {
            r[a] = src[a] - dst[a];
            for (int b = 0; b < 3; b++)
                r[a] += e->shift[3 * at + b] ? e->shift[3 * at + b] * s->cell[3 * b + a] : 0;
            d2 += r[a] * r[a];
        }
        double factor = d2 > within * within ? within / sqrt(d2) : 1;
        for (int a = 0; a < 3; a++)
            if (real == ASTER_F64)
                ((double *)to)[3 * k + a] = factor * r[a];
            else
                ((float *)to)[3 * k + a] = (float)(factor * r[a]);
    }
}

/* Where the edges into each atom begin, and the way back of each */
static void put_links(const struct place *p, const int32_t *dst, int64_t n_atoms, int64_t n_edges,
                      char *in)
{
    int32_t *starts = (int32_t *)(in + p->at_starts), *reverse = (int32_t *)(in + p->at_reverse);
    int64_t edge = 0;
    for (int64_t i = 0, e = 0; i <= n_atoms; i++) {
        while (e < n_edges && dst[e] < i)
            e++;
        starts[i] = (int32_t)e;
    }
    for (int64_t k = 0; k < p->n; k++) {
        const struct aster_field_item *x = p->item[k];
        for (int64_t e = 0; e < x->n_edges; e++)
            reverse[edge + e] =
                (int32_t)(x->edges->reverse[x->first_edge + e] - x->first_edge + edge);
        edge += x->n_edges;
    }
}

static void fill(void *arg, void *const *out)
{
    const struct place *p = arg;
    enum aster_dtype real = p->f->o.real;
    char *in = out[0];
    int32_t *number = (int32_t *)(in + p->at_number), *src = (int32_t *)(in + p->at_src),
            *dst = (int32_t *)(in + p->at_dst), *owner = (int32_t *)(in + p->at_owner),
            *edge_owner = (int32_t *)(in + p->at_edge_owner);
    int64_t atom = 0, edge = 0;
    for (int64_t k = 0; k < p->n; k++) {
        const struct aster_field_item *x = p->item[k];
        int64_t n = x->structure->n;
        memcpy(number + atom, x->structure->number, (size_t)n * sizeof *number);
        for (int64_t i = 0; i < n; i++)
            owner[atom + i] = (int32_t)k;
        for (int64_t e = 0; e < x->n_edges; e++) {
            src[edge + e] = (int32_t)atom + x->edges->src[x->first_edge + e];
            dst[edge + e] = (int32_t)atom + x->edges->dst[x->first_edge + e];
            edge_owner[edge + e] = (int32_t)k;
        }
        aster_field_vectors(x, p->f->c.cutoff, real,
                            in + p->at_vector + 3 * edge * aster_dtype_size(real));
        atom += n;
        edge += x->n_edges;
    }
    if (p->f->o.intervals)
        put_links(p, dst, atom, edge, in);
}

static double real_at(const void *from, enum aster_dtype t, int64_t k)
{
    return t == ASTER_F64 ? ((const double *)from)[k] : (double)((const float *)from)[k];
}

/* Takes n values from place first on: the first that single precision has no finite number for, -1
 * when there is none. */
static int64_t take(const void *from, enum aster_dtype t, int64_t first, int64_t n, double *to)
{
    int64_t odd = -1;
    for (int64_t k = 0; k < n; k++) {
        double v = real_at(from, t, first + k);
        if (odd < 0 && !isfinite((float)v))
            odd = k;
        if (to)
            to[k] = v;
    }
    return odd;
}

static void judge(struct aster_field_item *x, int64_t energy, int64_t force, int64_t virial)
{
    x->status = energy < 0 && force < 0 && virial < 0 ? 0 : ASTER_ENUMERIC;
    x->odd = energy >= 0 ? "energy" : force >= 0 ? "force" : virial >= 0 ? "virial" : NULL;
    x->odd_atom = energy >= 0 ? energy : force >= 0 ? force / 3 : -1;
}

static void copy(void *arg, const void *const *in)
{
    const struct place *p = arg;
    enum aster_dtype t = p->f->o.real;
    const char *out = in[0];
    int64_t atom = 0;
    for (int64_t k = 0; k < p->n; k++) {
        struct aster_field_item *x = p->item[k];
        int64_t n = x->structure->n;
        int64_t energy = take(out + p->at_energy, t, atom, n, x->atomic);
        x->energy = 0;
        for (int64_t i = 0; i < n; i++)
            x->energy += real_at(out + p->at_energy, t, atom + i);
        int64_t force = take(out + p->at_force, t, 3 * atom, 3 * n, x->force);
        judge(x, energy, force, take(out + p->at_virial, t, 9 * k, 9, x->virial));
        atom += n;
    }
}

static void batch_done(void *arg)
{
    struct place *p = arg;
    struct aster_field *f = p->f;
    void (*done)(void *) = p->done;
    void *to = p->arg;
    aster_slots_give(&f->slots, p->slot);
    done(to);
}

/* ---- submission ---- */

static int grow(struct aster_field *f, int64_t bytes, bool scratch, struct aster_buffer **b)
{
    if (*b && (*b)->bytes >= bytes)
        return 0;
    aster_buffer_free(f->rt, b);
    return scratch ? aster_buffer_new_scratch(f->rt, bytes, b) : aster_buffer_new(f->rt, bytes, b);
}

static int64_t bytes_with(const struct aster_buffer *b, int64_t wanted)
{
    return b ? aster_max64(b->bytes, wanted) : wanted;
}

/* Buffers of earlier batches stay as long as they and what is wanted now fit the memory together.
 */
static int make_buffers(struct aster_field *f, struct place *p)
{
    int64_t in = aster_plan_bytes(p->plan, ASTER_CLASS_INPUT),
            out = aster_plan_bytes(p->plan, ASTER_CLASS_OUTPUT),
            arena = aster_plan_bytes(p->plan, ASTER_CLASS_ARENA),
            all = f->env->n_workers * bytes_with(f->arena, arena);
    for (int k = 0; k < f->n_places; k++) {
        const struct place *q = &f->place[k];
        all += bytes_with(q->input, q == p ? in : 0) + bytes_with(q->output, q == p ? out : 0);
    }
    if (all > f->room * f->n_places)
        free_buffers(f);
    ASTER_TRY(grow(f, in, false, &p->input));
    ASTER_TRY(grow(f, out, false, &p->output));
    return grow(f, arena, !f->is_alone, &f->arena);
}

static int find_places(struct place *p)
{
    const struct {
        enum aster_class c;
        const char *name;
        int64_t *at;
    } all[] = {
        {ASTER_CLASS_INPUT, "number", &p->at_number},
        {ASTER_CLASS_INPUT, "src", &p->at_src},
        {ASTER_CLASS_INPUT, "dst", &p->at_dst},
        {ASTER_CLASS_INPUT, "vector", &p->at_vector},
        {ASTER_CLASS_INPUT, "owner", &p->at_owner},
        {ASTER_CLASS_INPUT, "edge_owner", &p->at_edge_owner},
        {ASTER_CLASS_OUTPUT, "energy", &p->at_energy},
        {ASTER_CLASS_OUTPUT, "force", &p->at_force},
        {ASTER_CLASS_OUTPUT, "virial", &p->at_virial},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        ASTER_TRY(aster_plan_find(p->f->ctx, p->plan, all[k].c, all[k].name, NULL, all[k].at));
    if (!p->f->o.intervals)
        return 0;
    ASTER_TRY(
        aster_plan_find(p->f->ctx, p->plan, ASTER_CLASS_INPUT, "starts", NULL, &p->at_starts));
    return aster_plan_find(p->f->ctx, p->plan, ASTER_CLASS_INPUT, "reverse", NULL, &p->at_reverse);
}

static int make_plan(struct place *p, int64_t n, int64_t n_atoms, int64_t n_edges)
{
    if (p->plan && p->plan_n == n && p->plan_atoms == n_atoms && p->plan_edges == n_edges)
        return 0;
    aster_plan_free(&p->plan);
    p->plan_n = n;
    p->plan_atoms = n_atoms;
    p->plan_edges = n_edges;
    ASTER_TRY(bind(p->f, n, n_atoms, n_edges, &p->plan));
    return find_places(p);
}

static int submit_tasks(struct place *p)
{
    struct aster_field *f = p->f;
    const struct aster_buffer *const input[] = {p->input}, *const output[] = {p->output};
    struct aster_program_task t;
    ASTER_TRY(aster_cl_fill(
        f->env, &(struct aster_fill_task){
                    .name = "structures", .n = 1, .out = input, .fill = fill, .arg = p}));
    aster_plan_task(p->plan, 0, "force field", &t);
    t.at[ASTER_ROLE_INPUT] = p->input;
    t.at[ASTER_ROLE_PARAM] = f->param;
    if (aster_program_class_n(f->program, ASTER_CLASS_BUFFER))
        t.at[ASTER_ROLE_BUFFER] = f->constants;
    t.at[ASTER_ROLE_OUTPUT] = p->output;
    t.at[ASTER_ROLE_ARENA] = f->arena;
    ASTER_TRY(aster_cl_program(f->env, &t));
    return aster_cl_commit(
        f->env,
        &(struct aster_commit_task){
            .name = "forces", .n = 1, .in = output, .copy = copy, .done = batch_done, .arg = p});
}

static int submit(struct place *p, int64_t n, struct aster_field_item *const *items)
{
    struct aster_field *f = p->f;
    int64_t n_atoms = 0, n_edges = 0;
    aster_free(&p->item);
    ASTER_TRY(aster_alloc(f->ctx, n, sizeof *p->item, &p->item));
    memcpy(p->item, items, (size_t)n * sizeof *items);
    p->n = n;
    for (int64_t k = 0; k < n; k++) {
        n_atoms += items[k]->structure->n;
        n_edges += items[k]->n_edges;
    }
    ASTER_TRY(make_plan(p, n, n_atoms, n_edges));
    ASTER_TRY(make_buffers(f, p));
    return submit_tasks(p);
}

/* What is about this batch only: its items fail, the run goes on. */
static bool is_of_batch(int rc)
{
    return rc == ASTER_ELIMIT || rc == ASTER_ENOMEM || rc == ASTER_EDEVICE;
}

int aster_field_submit(struct aster_field *f, int64_t n, struct aster_field_item *const *items,
                       void (*done)(void *arg), void *arg)
{
    struct place *p = &f->place[aster_slots_take(&f->slots)];
    p->done = done;
    p->arg = arg;
    int rc = submit(p, n, items);
    if (rc == 0)
        return 0;
    aster_runtime_wait(f->rt); /* its first tasks may be under way */
    aster_slots_give(&f->slots, p->slot);
    if (!is_of_batch(rc) || aster_runtime_failed(f->rt) < 0)
        return rc;
    aster_ctx_clear(f->ctx);
    for (int64_t k = 0; k < n; k++)
        items[k]->status = rc;
    done(arg);
    return 0;
}

int aster_field_submit_alone(struct aster_field *f, struct aster_field_item *item,
                             void (*done)(void *arg), void *arg)
{
    aster_slots_wait(&f->slots);
    free_buffers(f);
    f->is_alone = true;
    int rc = aster_field_submit(f, 1, &item, done, arg);
    aster_slots_wait(&f->slots);
    f->is_alone = false;
    free_buffers(f);
    return rc;
}

/* ---- work of the caller's in a worker ---- */

struct work {
    void (*work)(void *arg), (*done)(void *arg);
    void *arg;
};

static void run_work(void *arg, const void *const *in)
{
    const struct work *w = arg;
    (void)in;
    w->work(w->arg);
}

static void work_done(void *arg)
{
    struct work *w = arg;
    void (*done)(void *) = w->done;
    void *to = w->arg;
    aster_free(&w);
    if (done)
        done(to);
}

int aster_field_work(struct aster_field *f, const char *name, void (*work)(void *arg),
                     void (*done)(void *arg), void *arg)
{
    struct work *w = NULL;
    const struct aster_buffer *const in[] = {f->constants};
    ASTER_TRY(aster_alloc(f->ctx, 1, sizeof *w, &w));
    *w = (struct work){.work = work, .done = done, .arg = arg};
    int rc = aster_cl_commit(
        f->env, &(struct aster_commit_task){
                    .name = name, .n = 1, .in = in, .copy = run_work, .done = work_done, .arg = w});
    if (rc < 0)
        aster_free(&w);
    return rc;
}

/* ---- lists ---- */

bool aster_field_has_gpu(const struct aster_field *f)
{
    return f->lists != NULL;
}

int aster_field_list(struct aster_field *f, struct aster_field_list *l)
{
    int rc = f->lists ? aster_field_lists_submit(f->lists, l) : 1;
    if (rc <= 0)
        return rc;
    rc = aster_field_work(f, "neighbours", aster_field_list_find, aster_field_list_done, l);
    if (rc < 0) {
        aster_free(&l->box);
        aster_free(&l->boxed);
    }
    return rc;
}
