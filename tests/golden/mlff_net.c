/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a force field. */
#include "golden/mlff_net.h"

#include "golden/kernels.h"

#include <math.h>
#include <string.h>

/* ---- the model ---- */

int mlff_net_start(struct aster_ctx *ctx, const struct aster_backend *be, enum aster_dtype real,
                   const struct aster_forcefield_config *c, enum aster_forcefield_use use,
                   const struct aster_forcefield_loss *loss, struct aster_forcefield_probe *probe,
                   struct mlff_net *n)
{
    *n = (struct mlff_net){.ctx = ctx, .be = be, .real = real, .c = *c};
    return aster_forcefield_program(ctx, &n->c, real, use, loss, probe, &n->p);
}

int mlff_net_load(struct mlff_net *n, const struct aster_forcefield_file *w)
{
    int64_t n_params = aster_program_class_n(n->p, ASTER_CLASS_PARAM);
    size_t size = (size_t)aster_dtype_size(n->real);
    ASTER_TRY(aster_alloc(n->ctx, n_params, size, &n->params));
    ASTER_TRY(aster_alloc(n->ctx, n_params, size, &n->grad));
    ASTER_TRY(aster_alloc(n->ctx, aster_program_class_n(n->p, ASTER_CLASS_BUFFER),
                          sizeof *n->buffers, &n->buffers));
    return aster_forcefield_read(w, n->p, n->params, n->buffers);
}

int mlff_net_fast(struct aster_ctx *ctx, const struct aster_backend *be, enum aster_dtype real,
                  const struct mlff_net *exact, int64_t intervals, struct mlff_net *n)
{
    struct aster_forcefield_config c = exact->c;
    c.intervals = intervals;
    ASTER_TRY(mlff_net_start(ctx, be, real, &c, ASTER_FORCEFIELD_FAST, NULL, NULL, n));
    ASTER_TRY(aster_alloc(ctx, aster_program_class_n(n->p, ASTER_CLASS_PARAM),
                          (size_t)aster_dtype_size(real), &n->params));
    return aster_forcefield_tables(ctx, &n->c, exact->p, exact->params, exact->buffers, n->p,
                                   n->params);
}

void mlff_net_free(struct mlff_net *n)
{
    aster_program_free(&n->p);
    aster_free(&n->params);
    aster_free(&n->grad);
    aster_free(&n->buffers);
}

/* ---- a batch ---- */

static int find_edges(struct aster_ctx *ctx, struct mlff_batch *b, double cutoff, bool single)
{
    b->gap = INFINITY;
    for (int64_t k = 0; k < b->n; k++) {
        double gap = INFINITY;
        ASTER_TRY(
            aster_edges_add(ctx, &b->edges, b->first[k], &b->structure[k], cutoff, single, &gap));
        b->gap = fmin(b->gap, gap);
    }
    ASTER_TRY(aster_alloc(ctx, 3 * b->edges.n, sizeof *b->vector, &b->vector));
    int64_t k = 0;
    for (int64_t e = 0; e < b->edges.n; e++) {
        while (b->edges.dst[e] >= b->first[k + 1])
            k++;
        const struct aster_structure *s = &b->structure[k];
        const double *from = s->position + 3 * (b->edges.dst[e] - b->first[k]),
                     *to = s->position + 3 * (b->edges.src[e] - b->first[k]);
        for (int a = 0; a < 3; a++) {
            double shift = 0;
            for (int c = 0; c < 3; c++)
                shift += b->edges.shift[3 * e + c] * s->cell[3 * c + a];
            b->vector[3 * e + a] = to[a] - from[a] + shift;
        }
    }
    return 0;
}

int mlff_batch_new(struct aster_ctx *ctx, int64_t n, const int64_t *first, const int32_t *number,
                   const double *position, const double *cell, const bool *pbc, double cutoff,
                   bool single, struct mlff_batch *b)
{
    *b = (struct mlff_batch){.n = n, .n_atoms = first[n]};
    ASTER_TRY(aster_alloc(ctx, n, sizeof *b->structure, &b->structure));
    ASTER_TRY(aster_alloc(ctx, n + 1, sizeof *b->first, &b->first));
    memcpy(b->first, first, (size_t)(n + 1) * sizeof *first);
    for (int64_t k = 0; k < n; k++) {
        struct aster_structure *s = &b->structure[k];
        s->n = first[k + 1] - first[k];
        s->number = (int32_t *)number + first[k];
        s->position = (double *)position + 3 * first[k];
        if (cell) {
            memcpy(s->cell, cell + 9 * k, sizeof s->cell);
            memcpy(s->pbc, pbc + 3 * k, sizeof s->pbc);
            s->has_cell = true;
        }
    }
    return find_edges(ctx, b, cutoff, single);
}

void mlff_batch_free(struct aster_ctx *ctx, struct mlff_batch *b)
{
    aster_free(&b->structure);
    aster_free(&b->first);
    aster_free(&b->vector);
    aster_edges_free(&b->edges);
}

/* ---- a run ---- */

static int at(const struct mlff_run *r, enum aster_class c, const char *name,
              struct aster_tensor *shape, void **out)
{
    int64_t offset;
    ASTER_TRY(aster_plan_find(r->net->ctx, r->plan, c, name, shape, &offset));
    *out = (char *)r->bound.at[c] + offset;
    return 0;
}

static int put(struct mlff_run *r, const char *name, int64_t n, const void *from)
{
    void *to;
    ASTER_TRY(at(r, ASTER_CLASS_INPUT, name, NULL, &to));
    if (n)
        memcpy(to, from, (size_t)n * sizeof(int32_t));
    return 0;
}

static int put_reals(struct mlff_run *r, const char *name, int64_t n, const double *from)
{
    void *to;
    ASTER_TRY(at(r, ASTER_CLASS_INPUT, name, NULL, &to));
    for (int64_t k = 0; k < n; k++)
        if (r->net->real == ASTER_F64)
            ((double *)to)[k] = from[k];
        else
            ((float *)to)[k] = (float)from[k];
    return 0;
}

static int put_owners(struct mlff_run *r, const struct mlff_batch *b, bool of_edges)
{
    void *owner;
    ASTER_TRY(at(r, ASTER_CLASS_INPUT, "owner", NULL, &owner));
    for (int64_t k = 0; k < b->n; k++)
        for (int64_t i = b->first[k]; i < b->first[k + 1]; i++)
            ((int32_t *)owner)[i] = (int32_t)k;
    if (!of_edges)
        return 0;
    void *edge_owner;
    ASTER_TRY(at(r, ASTER_CLASS_INPUT, "edge_owner", NULL, &edge_owner));
    for (int64_t e = 0; e < b->edges.n; e++)
        ((int32_t *)edge_owner)[e] = ((int32_t *)owner)[b->edges.dst[e]];
    return 0;
}

static int put_targets(struct mlff_run *r, const struct mlff_batch *b, const struct mlff_targets *t)
{
    double *direction = NULL;
    if (t->teacher_energy) {
        ASTER_TRY(put_reals(r, "teacher_energy", b->n, t->teacher_energy));
        ASTER_TRY(put_reals(r, "teacher_force", 3 * b->n_atoms, t->teacher_force));
    }
    ASTER_TRY(put_reals(r, "energy", b->n, t->energy));
    ASTER_TRY(put_reals(r, "force", 3 * b->n_atoms, t->force));
    ASTER_TRY(aster_alloc(r->net->ctx, 3 * b->n_atoms, sizeof *direction, &direction));
    for (int64_t i = 0; i < b->n_atoms; i++) {
        const double *f = t->force + 3 * i;
        double size = fmax(sqrt(f[0] * f[0] + f[1] * f[1] + f[2] * f[2]), 1e-8);
        for (int a = 0; a < 3; a++)
            direction[3 * i + a] = f[a] / size;
    }
    int rc = put_reals(r, "direction", 3 * b->n_atoms, direction);
    aster_free(&direction);
    return rc;
}

/* Edges of a batch are sorted by destination. */
static int put_links(struct mlff_run *r, const struct mlff_batch *b)
{
    void *starts;
    ASTER_TRY(put(r, "reverse", b->edges.n, b->edges.reverse));
    ASTER_TRY(at(r, ASTER_CLASS_INPUT, "starts", NULL, &starts));
    for (int64_t i = 0, e = 0; i <= b->n_atoms; i++) {
        while (e < b->edges.n && b->edges.dst[e] < i)
            e++;
        ((int32_t *)starts)[i] = (int32_t)e;
    }
    return 0;
}

static bool has(const struct mlff_run *r, enum aster_class c, const char *name)
{
    int64_t offset;
    bool found = aster_plan_find(r->net->ctx, r->plan, c, name, NULL, &offset) == 0;
    if (!found)
        aster_ctx_clear(r->net->ctx);
    return found;
}

static int put_inputs(struct mlff_run *r, const struct mlff_batch *b, const struct mlff_targets *t)
{
    void *number;
    ASTER_TRY(at(r, ASTER_CLASS_INPUT, "number", NULL, &number));
    for (int64_t k = 0; k < b->n; k++)
        memcpy((int32_t *)number + b->first[k], b->structure[k].number,
               (size_t)b->structure[k].n * sizeof(int32_t));
    ASTER_TRY(put(r, "src", b->edges.n, b->edges.src));
    ASTER_TRY(put(r, "dst", b->edges.n, b->edges.dst));
    ASTER_TRY(put_reals(r, "vector", 3 * b->edges.n, b->vector));
    if (has(r, ASTER_CLASS_INPUT, "starts"))
        ASTER_TRY(put_links(r, b));
    if (has(r, ASTER_CLASS_INPUT, "owner"))
        ASTER_TRY(put_owners(r, b, has(r, ASTER_CLASS_INPUT, "edge_owner")));
    return t ? put_targets(r, b, t) : 0;
}

static int start(struct mlff_run *r, const struct mlff_batch *b, const struct mlff_targets *t)
{
    struct aster_bind bind[] = {
        {"N", b->n_atoms}, {"E", b->edges.n}, {"B", b->n}, {"NG", b->n_atoms}, {"BG", b->n}};
    struct mlff_net *n = r->net;
    ASTER_TRY(aster_plan_new(n->ctx, n->p, t ? 5 : 3, bind, NULL, &r->plan));
    for (int c = 0; c < ASTER_N_CLASSES; c++)
        if (c == ASTER_CLASS_INPUT || c == ASTER_CLASS_OUTPUT || c == ASTER_CLASS_ARENA)
            ASTER_TRY(aster_alloc(n->ctx, aster_plan_bytes(r->plan, (enum aster_class)c), 1,
                                  &r->bound.at[c]));
    r->bound.at[ASTER_CLASS_PARAM] = n->params;
    r->bound.at[ASTER_CLASS_GRAD] = n->grad;
    r->bound.at[ASTER_CLASS_BUFFER] = n->buffers;
    r->bound.device = golden_device();
    ASTER_TRY(put_inputs(r, b, t));
    const struct aster_plan *plan = r->plan;
    return aster_exec_all(n->ctx, n->be, 1, &plan, &r->bound);
}

int mlff_run(struct mlff_net *n, const struct mlff_batch *b, const struct mlff_targets *targets,
             struct mlff_run *r)
{
    *r = (struct mlff_run){.net = n};
    int rc = start(r, b, targets);
    if (rc < 0)
        mlff_run_free(r);
    return rc;
}

int mlff_output(const struct mlff_run *r, const char *name, double **out, int64_t *count)
{
    struct aster_tensor shape;
    void *from;
    int64_t n = 1;
    *out = NULL;
    ASTER_TRY(at(r, ASTER_CLASS_OUTPUT, name, &shape, &from));
    for (int k = 0; k < shape.rank; k++)
        n *= shape.dim[k];
    ASTER_TRY(aster_alloc(r->net->ctx, n, sizeof **out, out));
    for (int64_t k = 0; k < n; k++)
        (*out)[k] = r->net->real == ASTER_F64 ? ((double *)from)[k] : (double)((float *)from)[k];
    if (count)
        *count = n;
    return 0;
}

void mlff_run_free(struct mlff_run *r)
{
    aster_plan_free(&r->plan);
    aster_free(&r->bound.at[ASTER_CLASS_INPUT]);
    aster_free(&r->bound.at[ASTER_CLASS_OUTPUT]);
    aster_free(&r->bound.at[ASTER_CLASS_ARENA]);
}

static int collect(const struct mlff_run *r, const struct mlff_batch *b, struct mlff_result *out)
{
    ASTER_TRY(mlff_output(r, "energy", &out->atomic, NULL));
    ASTER_TRY(mlff_output(r, "force", &out->force, NULL));
    ASTER_TRY(mlff_output(r, "virial", &out->virial, NULL));
    ASTER_TRY(aster_alloc(r->net->ctx, b->n, sizeof *out->energy, &out->energy));
    for (int64_t k = 0; k < b->n; k++)
        for (int64_t i = b->first[k]; i < b->first[k + 1]; i++)
            out->energy[k] += out->atomic[i];
    return 0;
}

int mlff_evaluate(struct mlff_net *n, const struct mlff_batch *b, struct mlff_result *out)
{
    struct mlff_run r;
    *out = (struct mlff_result){0};
    ASTER_TRY(mlff_run(n, b, NULL, &r));
    int rc = collect(&r, b, out);
    mlff_run_free(&r);
    if (rc < 0)
        mlff_result_free(out);
    return rc;
}

void mlff_result_free(struct mlff_result *r)
{
    aster_free(&r->atomic);
    aster_free(&r->energy);
    aster_free(&r->force);
    aster_free(&r->virial);
}
