/* SPDX-License-Identifier: BSD-3-Clause */
/* Validation of a force field in training: batches of whole structures through the program of
 * energies and forces, with the parameters as they are. */
#include "flow/field_trainer_internal.h"

#include <math.h>

/* Structures that are run together; where their lists are not kept, those found for them take one
 * of so many parts of the room for lists. */
enum { PART = 4096, LIST_SHARE = 4 };

int field_validation_make(struct aster_field_trainer *tr)
{
    struct aster_ctx *ctx = tr->l.ctx;
    int64_t n = tr->t.n_val, n_atoms = 0, atom = 0;
    for (int64_t i = 0; i < n; i++)
        n_atoms += tr->t.val[i]->s.n;
    ASTER_TRY(aster_alloc(ctx, n, sizeof *tr->val, &tr->val));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *tr->guess, &tr->guess));
    ASTER_TRY(aster_alloc(ctx, 3 * n_atoms, sizeof *tr->val_force, &tr->val_force));
    for (int64_t i = 0; i < n; i++) {
        struct aster_course_item *x = tr->t.val[i];
        tr->guess[i].force = tr->val_force + 3 * atom;
        tr->val[i] = (struct aster_field_item){.structure = &x->s,
                                               .edges = &x->edges,
                                               .n_edges = x->n_edges,
                                               .force = tr->guess[i].force};
        atom += x->s.n;
    }
    return 0;
}

void field_validation_free(struct aster_field_trainer *tr)
{
    aster_field_free(&tr->field);
    aster_free(&tr->val);
    aster_free(&tr->guess);
    aster_free(&tr->val_force);
}

/* ---- room ---- */

static double mb(int64_t bytes)
{
    return (double)bytes / 1e6;
}

static int64_t held(const struct aster_field_trainer *tr)
{
    const struct aster_course *c = tr->t.course;
    bool is_kept = true;
    for (int64_t i = 0; i < tr->t.n_val; i++)
        is_kept = is_kept && tr->t.val[i]->list;
    return c->held + (is_kept ? 0 : c->room / LIST_SHARE);
}

static int make_field(struct aster_field_trainer *tr)
{
    const struct aster_cl_env *env = tr->l.env;
    const struct aster_field_options o = {.real = tr->t.t.real, .held = held(tr)};
    int rc = aster_field_new_on(tr->l.ctx, tr->l.rt, &tr->t.c, tr->l.param, tr->l.running, &o,
                                &tr->field);
    if (rc != ASTER_ELIMIT)
        return rc;
    aster_ctx_clear(tr->l.ctx);
    return aster_fail(tr->l.ctx, ASTER_ELIMIT,
                      "validation finds no room: of the memory limit of %.1f MB the steps' buffers "
                      "take %.1f MB, structures %.1f MB, a quarter is for lists of neighbours; "
                      "lower batch_size, raise shards, or raise --memory",
                      mb(env->memory_limit), mb(atomic_load(&env->memory_used)), mb(o.held));
}

static int check_room(struct aster_field_trainer *tr, int64_t i)
{
    const struct aster_field_item *x = &tr->val[i];
    int64_t bytes, most = aster_field_most(tr->field);
    ASTER_TRY(aster_field_bytes(tr->field, 1, x->structure->n, x->n_edges, &bytes));
    if (bytes <= most)
        return 0;
    return aster_fail(tr->l.ctx, ASTER_ELIMIT,
                      "validation structure '%s', %lld atoms with %lld neighbours, needs %.1f MB; "
                      "of the memory limit of %.1f MB the steps' buffers, structures and lists of "
                      "neighbours leave %.1f MB; lower batch_size, raise shards, or raise --memory",
                      tr->t.val[i]->id, (long long)x->structure->n, (long long)x->n_edges,
                      mb(bytes), mb(tr->l.env->memory_limit), mb(most));
}

int field_validation_ready(struct aster_field_trainer *tr)
{
    int64_t atoms = 0, edges = 0;
    if (tr->field)
        return 0;
    ASTER_TRY(make_field(tr));
    for (int64_t i = 0; i < tr->t.n_val; i++) {
        if (tr->val[i].structure->n > tr->val[atoms].structure->n)
            atoms = i;
        if (tr->val[i].n_edges > tr->val[edges].n_edges)
            edges = i;
    }
    int rc = check_room(tr, edges);
    if (rc == 0)
        rc = check_room(tr, atoms);
    if (rc < 0)
        aster_field_free(&tr->field);
    return rc;
}

/* ---- lists that are not kept ---- */

struct finding {
    struct aster_field_trainer *tr;
    struct aster_course_item *x;
};

static void find(void *arg)
{
    struct finding *f = arg;
    int rc = aster_course_list(f->tr->t.course, f->tr->l.ctx, f->x);
    if (rc < 0)
        atomic_store(&f->tr->l.failed, rc);
}

/* lists[i]: whether that of item begin + i is here for this validation only */
static int find_lists(struct aster_field_trainer *tr, int64_t begin, int64_t end,
                      struct finding *lists)
{
    int rc = 0;
    for (int64_t i = begin; i < end && rc == 0; i++)
        if (!tr->t.val[i]->list) {
            lists[i - begin] = (struct finding){tr, tr->t.val[i]};
            rc = aster_field_work(tr->field, "neighbours", find, NULL, &lists[i - begin]);
        }
    aster_runtime_wait(tr->l.rt);
    return rc < 0 ? rc : atomic_load(&tr->l.failed);
}

/* ---- batches ---- */

static void batch_done(void *arg)
{
    (void)arg;
}

/* As many items from first on as make a task of the usual size and fit; *alone: one that does not
 * fit beside others. */
static int cut(struct aster_field_trainer *tr, int64_t first, int64_t end, int64_t *n, bool *alone)
{
    int64_t most = aster_field_batch_atoms(tr->field), atoms = 0, edges = 0, bytes;
    *n = 0;
    while (first + *n < end && (*n == 0 || atoms + tr->val[first + *n].structure->n <= most))
        atoms += tr->val[first + (*n)++].structure->n;
    for (;; *n = (*n + 1) / 2) {
        atoms = edges = 0;
        for (int64_t i = first; i < first + *n; i++) {
            atoms += tr->val[i].structure->n;
            edges += tr->val[i].n_edges;
        }
        ASTER_TRY(aster_field_bytes(tr->field, *n, atoms, edges, &bytes));
        *alone = bytes > aster_field_room(tr->field);
        if (*n == 1 || !*alone)
            return 0;
    }
}

static int submit(struct aster_field_trainer *tr, int64_t first, int64_t n, bool alone,
                  struct aster_field_item **item)
{
    for (int64_t k = 0; k < n; k++) {
        item[k] = &tr->val[first + k];
        item[k]->status = 0;
    }
    return alone ? aster_field_submit_alone(tr->field, item[0], batch_done, NULL)
                 : aster_field_submit(tr->field, n, item, batch_done, NULL);
}

static int submit_part(struct aster_field_trainer *tr, int64_t begin, int64_t end,
                       const struct aster_train_hooks *hooks, int64_t epoch,
                       struct aster_field_item **item)
{
    int64_t n;
    bool alone;
    for (int64_t i = begin; i < end; i += n) {
        if (hooks && hooks->stop && hooks->stop(hooks->arg))
            return ASTER_ESTOP;
        if (hooks && hooks->progress)
            hooks->progress(hooks->arg, epoch, i, tr->t.n_val, true);
        ASTER_TRY(cut(tr, i, end, &n, &alone));
        ASTER_TRY(submit(tr, i, n, alone, item));
    }
    return 0;
}

static int64_t end_of_part(const struct aster_field_trainer *tr, int64_t begin)
{
    int64_t end = begin, bytes = 0, most = tr->t.course->room / LIST_SHARE;
    for (; end < tr->t.n_val && end - begin < PART; end++) {
        const struct aster_course_item *x = tr->t.val[end];
        bytes += x->list ? 0 : aster_course_list_bytes(x);
        if (bytes > most && end > begin)
            break;
    }
    return end;
}

static int run_part(struct aster_field_trainer *tr, int64_t begin, int64_t end,
                    const struct aster_train_hooks *hooks, int64_t epoch)
{
    struct finding *lists = NULL;
    struct aster_field_item **item = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(tr->l.ctx, end - begin, sizeof *lists, &lists), done);
    ASTER_GOTO(aster_alloc(tr->l.ctx, end - begin, sizeof *item, &item), done);
    ASTER_GOTO(find_lists(tr, begin, end, lists), done);
    rc = submit_part(tr, begin, end, hooks, epoch, item);
    aster_runtime_wait(tr->l.rt);
done:
    for (int64_t i = 0; lists && i < end - begin; i++)
        if (lists[i].x)
            aster_course_forget(lists[i].x);
    aster_free(&lists);
    aster_free(&item);
    return rc;
}

/* ---- the sums ---- */

static int check(struct aster_field_trainer *tr, int64_t i)
{
    const struct aster_field_item *x = &tr->val[i];
    if (x->status == 0 || x->status == ASTER_ENUMERIC) /* which warn() tells */
        return 0;
    return aster_fail(tr->l.ctx, x->status,
                      "validation structure '%s', %lld atoms with %lld neighbours: no worker has "
                      "the memory for it",
                      tr->t.val[i]->id, (long long)x->structure->n, (long long)x->n_edges);
}

/* What is not finite makes no best epoch. */
static void warn(const struct aster_field_trainer *tr, const struct aster_epoch *e)
{
    int64_t n = 0, first = 0;
    for (int64_t i = tr->t.n_val - 1; i >= 0; i--)
        if (tr->val[i].status == ASTER_ENUMERIC) {
            first = i;
            n++;
        }
    if (n)
        aster_log(tr->l.ctx, ASTER_LOG_WARN,
                  "epoch %lld: %lld of %lld validation structures have no finite result, first "
                  "'%s', by its %s",
                  (long long)e->epoch + 1, (long long)n, (long long)tr->t.n_val,
                  tr->t.val[first]->id, tr->val[first].odd);
    else if (!isfinite(e->val_loss))
        aster_log(tr->l.ctx, ASTER_LOG_WARN, "epoch %lld: the validation loss is %g",
                  (long long)e->epoch + 1, e->val_loss);
}

int field_validate(struct aster_learner *l, const struct aster_train_hooks *hooks,
                   struct aster_epoch *e)
{
    struct aster_field_trainer *tr = (struct aster_field_trainer *)l;
    struct aster_field_sums sums = {0};
    aster_slots_wait(&l->slots); /* steps read lists that come and go here */
    ASTER_TRY(field_validation_ready(tr));
    for (int64_t begin = 0, end; begin < tr->t.n_val; begin = end) {
        end = end_of_part(tr, begin);
        ASTER_TRY(run_part(tr, begin, end, hooks, e->epoch));
    }
    ASTER_TRY(aster_runtime_failed(l->rt));
    for (int64_t i = 0; i < tr->t.n_val; i++) {
        ASTER_TRY(check(tr, i));
        tr->guess[i].energy = tr->val[i].energy;
        aster_field_sums_add(&sums, &tr->t.loss, tr->val[i].structure, tr->guess[i].energy,
                             tr->guess[i].force);
    }
    e->val_loss = aster_field_sums_result(&sums, &tr->t.loss, &e->field);
    warn(tr, e);
    if (hooks && hooks->progress)
        hooks->progress(hooks->arg, e->epoch, tr->t.n_val, tr->t.n_val, true);
    return 0;
}
