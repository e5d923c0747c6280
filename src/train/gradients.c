/* SPDX-License-Identifier: BSD-3-Clause */
/* The buffers of a training's parameters and gradients, the sum over shards and the update: whole,
 * or piece by piece where GPUs own pieces.
 *
 * By pieces, what the tree adds between shards of one GPU is added there whole. Then the owner of a
 * piece sums the rest of the tree for it and updates it: so every GPU sends and receives about a
 * gradient, and after it the parameters, at the same time as all others. The order of additions is
 * the tree's either way. */
#include "train/learner.h"

#include <math.h>
#include <string.h>

/* Where vectors in pieces lie whole they are not evicted: the parameters, the gradients of a GPU's
 * shards, a sum over several batches. Half of a GPU's memory stays for all else. */
static bool have_room(const struct aster_learner *l, int64_t bytes)
{
    int64_t n = l->env->n_homes;
    return n == 0 || (2 + (l->most_shards + n - 1) / n) * bytes <= l->env->gpu_memory / 2;
}

static bool by_pieces(const struct aster_learner *l)
{
    int64_t bytes = l->n_param * aster_dtype_size(l->c->real);
    return bytes >= l->env->pieces_from && aster_n_pieces(l->n_param) > 1 && have_room(l, bytes);
}

/* As long as the parameters; whole_on: as aster_buffer_new_pieces */
static int new_vector(struct aster_learner *l, int64_t whole_on, struct aster_buffer **out)
{
    int64_t real = aster_dtype_size(l->c->real);
    if (!by_pieces(l))
        return aster_buffer_new(l->rt, l->n_param * real, out);
    return aster_buffer_new_pieces(l->rt, l->n_param * real, aster_piece_length(l->n_param) * real,
                                   whole_on, out);
}

static int new_norm(struct aster_learner *l)
{
    int n = by_pieces(l) ? aster_n_pieces(l->n_param) : 1;
    for (int k = 0; k < n; k++)
        ASTER_TRY(aster_buffer_new(l->rt, ASTER_MOST_PIECES * (int64_t)sizeof(double),
                                   &l->piece_norm[k]));
    l->norm = l->piece_norm[0];
    return 0;
}

int aster_learner_make(struct aster_learner *l, bool with_norm)
{
    l->n_param = aster_program_class_n(l->program, ASTER_CLASS_PARAM);
    l->n_running = aster_program_class_n(l->program, ASTER_CLASS_BUFFER);
    ASTER_TRY(new_vector(l, ASTER_WHOLE_EVERYWHERE, &l->param));
    ASTER_TRY(new_vector(l, ASTER_WHOLE_NOWHERE, &l->m));
    if (l->c->optimizer != ASTER_OPTIMIZER_SGD)
        ASTER_TRY(new_vector(l, ASTER_WHOLE_NOWHERE, &l->v));
    if (with_norm || l->c->clip_norm > 0)
        ASTER_TRY(new_norm(l));
    if (l->n_running > 0)
        ASTER_TRY(aster_buffer_new(l->rt, l->n_running * (int64_t)sizeof(double), &l->running));
    return aster_alloc(l->ctx, l->n_batches, sizeof *l->batch_loss, &l->batch_loss);
}

void aster_learner_done(struct aster_learner *l)
{
    aster_slots_done(&l->slots);
    aster_buffer_free(l->rt, &l->param);
    aster_buffer_free(l->rt, &l->m);
    aster_buffer_free(l->rt, &l->v);
    for (int k = 0; k < ASTER_MOST_PIECES; k++)
        aster_buffer_free(l->rt, &l->piece_norm[k]);
    aster_buffer_free(l->rt, &l->running);
    aster_program_free(&l->program);
    aster_free(&l->batch_loss);
}

/* Consecutive shards together: what the tree adds first lies on one GPU. Without GPUs, each for
 * itself. */
int64_t aster_learner_home(const struct aster_learner *l, int64_t shard)
{
    int64_t n = l->env->n_homes;
    if (n == 0)
        return shard;
    return l->in_turn ? shard % n : shard * n / l->most_shards;
}

int aster_learner_gradient(struct aster_learner *l, int64_t shard, struct aster_buffer **out)
{
    return new_vector(l, aster_learner_home(l, shard), out);
}

/* ---- the sum ---- */

static int sum_whole(struct aster_learner *l, int64_t n_shards, struct aster_buffer *const *grad)
{
    ASTER_TRY(aster_cl_add_tree(l->env, l->c->real, l->n_param, (int)n_shards,
                                (const struct aster_buffer *const *)grad));
    return l->norm ? aster_cl_norm(l->env, ASTER_NO_HOME, l->c->real, l->n_param,
                                   aster_piece_length(l->n_param), grad[0], l->norm)
                   : 0;
}

/* What the tree adds between shards of one home, as long as neither side waits for others; is_left:
 * which shards' gradients are still to be added up. */
static int sum_at_home(struct aster_learner *l, int64_t n_shards, struct aster_buffer *const *grad,
                       bool *is_left)
{
    bool is_whole[ASTER_MOST_PARTS]; /* the shards below this place of the tree are added up */
    for (int64_t k = 0; k < n_shards; k++)
        is_left[k] = is_whole[k] = true;
    for (int64_t step = 1; step < n_shards; step *= 2)
        for (int64_t k = 0; k + step < n_shards; k += 2 * step) {
            int64_t home = aster_learner_home(l, k);
            is_whole[k] =
                is_whole[k] && is_whole[k + step] && home == aster_learner_home(l, k + step);
            if (!is_whole[k])
                continue;
            ASTER_TRY(aster_cl_add(l->env, home, l->c->real, l->n_param, grad[k], grad[k + step]));
            is_left[k + step] = false;
        }
    return 0;
}

/* Elements of that piece */
static int64_t piece_n(const struct aster_learner *l, int k)
{
    int64_t length = aster_piece_length(l->n_param);
    return aster_min64(length, l->n_param - k * length);
}

static int sum_piece(struct aster_learner *l, int piece, int64_t n_shards,
                     struct aster_buffer *const *grad, const bool *is_left)
{
    const struct aster_buffer *part[ASTER_MOST_PARTS];
    int64_t n = piece_n(l, piece);
    for (int64_t s = 0; s < n_shards; s++)
        part[s] = is_left[s] ? &grad[s]->piece[piece] : NULL;
    ASTER_TRY(aster_cl_sum(l->env, piece, l->c->real, n, (int)n_shards, part));
    return l->norm ? aster_cl_norm(l->env, piece, l->c->real, n, n, part[0], l->piece_norm[piece])
                   : 0;
}

static int sum_pieces(struct aster_learner *l, int64_t n_parts, struct aster_buffer *const *grad,
                      const bool *is_left)
{
    int n = aster_n_pieces(l->n_param);
    for (int k = 0; k < n; k++)
        ASTER_TRY(sum_piece(l, k, n_parts, grad, is_left));
    return l->norm ? aster_cl_sum(l->env, ASTER_NO_HOME, ASTER_F64, 1, n,
                                  (const struct aster_buffer *const *)l->piece_norm)
                   : 0;
}

int aster_learner_sum(struct aster_learner *l, int64_t n_shards, struct aster_buffer *const *grad)
{
    bool is_left[ASTER_MOST_PARTS];
    if (!by_pieces(l))
        return sum_whole(l, n_shards, grad);
    ASTER_TRY(sum_at_home(l, n_shards, grad, is_left));
    return sum_pieces(l, n_shards, grad, is_left);
}

int aster_learner_sum_batches(struct aster_learner *l, struct aster_buffer *const *both)
{
    static const bool is_left[] = {true, true};
    return by_pieces(l) ? sum_pieces(l, 2, both, is_left) : sum_whole(l, 2, both);
}

/* ---- the update ---- */

static struct aster_update_task update_of(const struct aster_learner *l, int64_t step, double lr)
{
    const struct aster_train_config *c = l->c;
    return (struct aster_update_task){
        .kind = c->optimizer,
        .real = c->real,
        .n = l->n_param,
        .update = {.lr = lr,
                   .beta1 = c->beta1,
                   .beta2 = c->beta2,
                   .eps = c->eps,
                   .weight_decay = c->weight_decay,
                   .momentum = c->momentum,
                   .step = step + 1,
                   .grad_scale = 1},
        .clip_norm = c->clip_norm > 0 ? c->clip_norm : INFINITY,
        .param = l->param,
        .m = l->m,
        .v = l->v,
        .norm = l->norm,
        .home = ASTER_NO_HOME,
    };
}

int aster_learner_update(struct aster_learner *l, const struct aster_buffer *grad, int64_t step,
                         double lr)
{
    struct aster_update_task t = update_of(l, step, lr);
    t.grad = grad;
    if (!by_pieces(l))
        return aster_cl_update(l->env, &t);
    for (int k = 0; k < grad->n_pieces; k++) {
        t.n = piece_n(l, k);
        t.home = k;
        t.grad = &grad->piece[k];
        t.param = &l->param->piece[k];
        t.m = &l->m->piece[k];
        t.v = l->v ? &l->v->piece[k] : NULL;
        ASTER_TRY(aster_cl_update(l->env, &t));
    }
    return 0;
}
