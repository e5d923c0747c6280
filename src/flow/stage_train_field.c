/* SPDX-License-Identifier: BSD-3-Clause */
/* The stage that trains a force field: options to a configuration, structures to two parts, epochs
 * to files, events and the progress. */
#include "flow/field_trainer.h"
#include "flow/training.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What lists of neighbours that are kept, and one structure's, may take of the memory */
enum { LIST_SHARE = 4, BYTES_PER_EDGE = 120, MOST_OF_STEP = 1000000 };

struct watch {
    struct aster_run *run;
    const char *label;
    struct aster_history history;
    struct aster_events *events;
    const struct aster_field_training *t;
    struct aster_field_trainer *trainer;
    bool seen; /* progress has been reported once */
    double best;
};

/* ---- options ---- */

static void model_of(const struct aster_run *run, int s, struct aster_field_training *t)
{
    if (t->from) {
        t->c = t->from->c;
        t->c.intervals = 0;
        return;
    }
    t->c = (struct aster_forcefield_config){
        .width = aster_run_int(run, s, "hidden_dim"),
        .n_blocks = aster_run_int(run, s, "num_interactions"),
        .n_radial = aster_run_int(run, s, "num_rbf"),
        .max_number = aster_run_int(run, s, "max_z"),
        .cutoff = aster_run_real(run, s, "cutoff"),
        .mixing = strcmp(aster_run_text(run, s, "mixing"), "isotropic") ? ASTER_MIXING_FREE
                                                                        : ASTER_MIXING_ISOTROPIC,
        .cutoff_on = strcmp(aster_run_text(run, s, "cutoff_on"), "filter") ? ASTER_CUTOFF_FEATURES
                                                                           : ASTER_CUTOFF_FILTER,
        .norm_eps = aster_run_real(run, s, "norm_eps")};
}

static void config_of(const struct aster_run *run, int s, struct aster_field_training *t)
{
    static const char *const losses[] = {"mse", "mae", "huber"};
    t->t = aster_run_learner(run, s);
    t->accumulate = aster_run_int(run, s, "accumulate");
    if (t->t.optimizer == ASTER_OPTIMIZER_RMSPROP)
        t->t.beta2 = aster_run_real(run, s, "alpha");
    t->t.warmup_steps = aster_run_int(run, s, "warmup_steps");
    t->t.step_size = aster_run_int(run, s, "step_size");
    t->t.gamma = aster_run_real(run, s, "gamma");
    t->loss = (struct aster_forcefield_loss){
        .kind = (enum aster_force_loss)aster_run_choice(run, s, "loss", 3, losses),
        .energy = aster_run_real(run, s, "energy_weight"),
        .force = aster_run_real(run, s, "force_weight"),
        .angle = aster_run_real(run, s, "angular_weight"),
        .huber_delta = aster_run_real(run, s, "huber_delta"),
        .teacher = aster_run_value(run, s, "teacher_labels")->n
                       ? aster_run_real(run, s, "teacher_weight")
                       : 0,
        .temperature = aster_run_real(run, s, "teacher_temperature")};
    model_of(run, s, t);
}

static uint64_t hash_of(const struct aster_input *in)
{
    return in ? aster_fnv1a64(in->sha256, strlen(in->sha256)) : 0;
}

/* Opens the weights to begin with, if any are named. */
static int open_weights(const struct aster_run *run, int s, struct aster_forcefield_file *file,
                        struct aster_field_training *t)
{
    const char *path = aster_run_text(run, s, "init_weights");
    const struct aster_input *in = aster_run_input(run, path);
    if (!*path)
        return 0;
    ASTER_TRY(aster_forcefield_open(run->ctx, in ? in->path : path, file));
    t->from = file;
    t->from_hash = hash_of(in);
    return 0;
}

/* Whether somebody asked for this value: a default says nothing of weights that are there. */
static bool is_asked(const struct aster_run *run, int stage, const char *key)
{
    const struct aster_run_spec *spec = run->spec;
    const struct aster_opt_value *v = aster_run_value(run, stage, key);
    const struct aster_opt *o = spec->stages[stage].kind->opts;
    for (int i = 0; i < spec->n_params; i++)
        if (spec->params[i].given && !strcmp(spec->params[i].name, key))
            return true;
    while (strcmp(o->key, key) != 0)
        o++;
    return o->type == ASTER_OPT_REAL ? v->x != strtod(o->def, NULL)
                                     : strcmp(aster_run_text(run, stage, key), o->def) != 0;
}

static int check_number(const struct aster_run *run, int stage, const char *key, double has)
{
    double x = aster_run_real(run, stage, key);
    if (fabs(x - has) <= 1e-6 * fabs(has) || !is_asked(run, stage, key))
        return 0;
    return aster_run_refuse(
        run, stage, key,
        "it is %g, that of init_weights is %g and stays so; leave it out, or name that", x, has);
}

static int check_choice(const struct aster_run *run, int stage, const char *key, const char *has)
{
    const char *x = aster_run_text(run, stage, key);
    if (!strcmp(x, has) || !is_asked(run, stage, key))
        return 0;
    return aster_run_refuse(
        run, stage, key,
        "it is %s, that of init_weights is %s and stays so; leave it out, or name that", x, has);
}

/* What is asked for is not given up for what the weights to begin with are made for. */
static int check_weights(const struct aster_run *run, int stage,
                         const struct aster_forcefield_config *c)
{
    ASTER_TRY(check_number(run, stage, "cutoff", c->cutoff));
    ASTER_TRY(check_number(run, stage, "norm_eps", c->norm_eps));
    ASTER_TRY(check_choice(run, stage, "mixing",
                           c->mixing == ASTER_MIXING_FREE ? "compat" : "isotropic"));
    return check_choice(run, stage, "cutoff_on",
                        c->cutoff_on == ASTER_CUTOFF_FEATURES ? "features" : "filter");
}

/* Files of structures, which are read only after the run's own */
static int check_teacher(const struct aster_run *run, int stage)
{
    const struct aster_opt_value *v = aster_run_value(run, stage, "teacher_labels");
    for (int64_t k = 0; k < v->n; k++) {
        struct aster_structures *r = NULL;
        ASTER_TRY(aster_structures_open(run->ctx, v->items[k], &r));
        aster_structures_close(&r);
    }
    return 0;
}

/* Of the loss and the steps */
static int check_options(const struct aster_run *run, int stage,
                         const struct aster_field_training *t)
{
    const struct aster_forcefield_loss *l = &t->loss;
    if (l->teacher < 1 && l->energy <= 0 && l->force <= 0 && l->angle <= 0)
        return aster_fail(run->ctx, ASTER_EPARAM,
                          "energy_weight, force_weight and angular_weight are all 0; one of them "
                          "must be above 0");
    if (l->kind == ASTER_FORCE_HUBER && !(l->huber_delta > 0))
        return aster_run_refuse(run, stage, "huber_delta", "it is 0; loss=huber needs one above 0");
    if (l->teacher > 0 && !(l->temperature > 0))
        return aster_run_refuse(run, stage, "teacher_temperature", "it is 0; above 0 is expected");
    ASTER_TRY(check_teacher(run, stage));
    if (t->accumulate > MOST_OF_STEP / t->t.batch_size)
        return aster_run_refuse(run, stage, "accumulate",
                                "%lld batches of %lld structures are more than the %d that a step "
                                "can have",
                                (long long)t->accumulate, (long long)t->t.batch_size, MOST_OF_STEP);
    return 0;
}

int aster_stage_train_forcefield_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_forcefield_file file = {0};
    struct aster_field_training t = {0};
    ASTER_TRY(open_weights(run, stage, &file, &t));
    config_of(run, stage, &t);
    int rc = aster_forcefield_check(ctx, &t.c);
    if (rc == 0)
        rc = aster_learner_check(ctx, &t.t);
    if (rc == 0)
        rc = check_options(run, stage, &t);
    if (rc == 0 && t.from)
        rc = check_weights(run, stage, &t.c);
    if (t.from)
        aster_forcefield_close(&file);
    return rc;
}

int aster_train_forcefield_look(struct aster_run *run, int stage, struct aster_forcefield_config *c,
                                int64_t *shard)
{
    struct aster_forcefield_file file = {0};
    struct aster_field_training t = {0};
    ASTER_TRY(open_weights(run, stage, &file, &t));
    config_of(run, stage, &t);
    *c = t.c;
    *shard = (t.t.batch_size + t.t.shards - 1) / t.t.shards;
    if (t.from)
        aster_forcefield_close(&file);
    return 0;
}

/* ---- the two parts ---- */

static int64_t good_ones(struct aster_course *c, int64_t begin, int64_t end,
                         struct aster_course_item **out)
{
    int64_t n = 0;
    for (int64_t i = begin; i < end; i++)
        if (c->item[i].status == 0)
            out[n++] = &c->item[i];
    return n;
}

static int check_parts(const struct aster_run *run, int stage, const struct aster_course *c,
                       const struct aster_field_training *t)
{
    if (t->n_train > 0 && t->n_val > 0)
        return 0;
    return aster_fail(run->ctx, ASTER_EPARAM,
                      "%lld structures, %lld of them left out, with train_ratio %g leave %lld to "
                      "train on and %lld to validate; both must have one at least",
                      (long long)c->n, (long long)c->n_failed,
                      aster_run_real(run, stage, "train_ratio"), (long long)t->n_train,
                      (long long)t->n_val);
}

/* n_first: structures of data; those behind them validate. Without any a share of data does. */
static int split(const struct aster_run *run, int stage, struct aster_course *c, int64_t n_first,
                 struct aster_field_training *t)
{
    int64_t *order = NULL;
    ASTER_TRY(aster_alloc(run->ctx, c->n, sizeof *t->train, &t->train));
    int64_t n = good_ones(c, 0, n_first, t->train);
    if (n_first < c->n) {
        t->n_train = n;
        t->val = t->train + n;
        t->n_val = good_ones(c, n_first, c->n, t->val);
        return check_parts(run, stage, c, t);
    }
    struct aster_course_item **all = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(run->ctx, n, sizeof *order, &order), done);
    ASTER_GOTO(aster_alloc(run->ctx, n, sizeof *all, &all), done);
    memcpy(all, t->train, (size_t)n * sizeof *all);
    aster_shuffle(t->t.seed, aster_fnv1a64("split", 5), n, order);
    for (int64_t i = 0; i < n; i++)
        t->train[i] = all[order[i]];
    t->n_train = (int64_t)floor(aster_run_real(run, stage, "train_ratio") * (double)n + 1e-9);
    t->n_val = n - t->n_train;
    t->val = t->train + t->n_train;
    rc = check_parts(run, stage, c, t);
done:
    aster_free(&order);
    aster_free(&all);
    return rc;
}

static int read_all(struct aster_run *run, int stage, struct aster_runtime *rt,
                    struct aster_field_training *t)
{
    struct aster_course *c = t->course;
    const struct aster_slot *data = aster_run_slot(run, stage, "data", 0),
                            *val = aster_run_slot(run, stage, "validation", 0);
    int64_t limit = aster_runtime_env(rt)->memory_limit;
    *c = (struct aster_course){.ctx = run->ctx,
                               .cutoff = t->c.cutoff,
                               .single = t->t.real == ASTER_F32,
                               .most_edges = aster_max64(1, limit / LIST_SHARE / BYTES_PER_EDGE)};
    ASTER_TRY(aster_course_read(c, data->structures, t->c.max_number));
    int64_t n_first = c->n;
    const struct aster_opt_value *teacher = aster_run_value(run, stage, "teacher_labels");
    if (teacher->n)
        ASTER_TRY(aster_course_teach(c, teacher->n, teacher->items));
    if (val)
        ASTER_TRY(aster_course_read(c, val->structures, t->c.max_number));
    if (c->n == 0)
        return aster_fail(run->ctx, ASTER_EFORMAT, "%s: holds no structure",
                          data->structures->path[0]);
    if (c->held >= limit)
        return aster_fail(run->ctx, ASTER_ELIMIT,
                          "the structures and their labels take %.1f MB, the memory limit is %.1f "
                          "MB; raise --memory",
                          (double)c->held / 1e6, (double)limit / 1e6);
    c->room = (limit - c->held) / LIST_SHARE;
    ASTER_TRY(aster_course_neighbours(c, rt));
    ASTER_TRY(aster_course_report(c, run, run->spec->stages[stage].id));
    return split(run, stage, c, n_first, t);
}

/* ---- files ---- */

static int write_text(struct aster_run *run, const char *name, struct aster_str *s)
{
    int rc = aster_str_ok(run->ctx, s);
    if (rc == 0)
        rc = aster_run_write(run, name, s);
    aster_str_free(s);
    return rc;
}

static int write_split(struct aster_run *run, const struct aster_field_training *t)
{
    struct aster_str s = {0};
    aster_str_add(&s, "id,part,number\n");
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < (k ? t->n_val : t->n_train); i++) {
            const struct aster_course_item *x = k ? t->val[i] : t->train[i];
            aster_csv_field(&s, x->id, true);
            aster_str_printf(&s, ",%s,%lld\n", k ? "val" : "train",
                             (long long)(x - t->course->item));
        }
    return write_text(run, "split.csv", &s);
}

static int write_validation(const struct watch *w)
{
    const struct aster_field_guess *g = aster_field_trainer_guesses(w->trainer);
    struct aster_str s = {0};
    aster_str_add(&s, "id,atoms,energy_label,energy,force_rmse,force_max_error\n");
    for (int64_t i = 0; i < w->t->n_val; i++) {
        const struct aster_course_item *x = w->t->val[i];
        double squares = 0, most = 0;
        for (int64_t k = 0; k < 3 * x->s.n; k++) {
            double d = g[i].force[k] - x->s.force[k];
            squares += d * d;
            most = fabs(d) > most || isnan(d) ? fabs(d) : most;
        }
        aster_csv_field(&s, x->id, true);
        aster_str_printf(&s, ",%lld,%.10g,%.10g,%.6g,%.6g\n", (long long)x->s.n, x->s.energy,
                         g[i].energy, sqrt(squares / (double)(3 * x->s.n)), most);
    }
    return write_text(w->run, "validation.csv", &s);
}

/* How many components of forces are off by how much, two bins of each power of ten; what is no
 * number is in the last */
static int write_force_errors(const struct watch *w)
{
    enum { FIRST = -8, LAST = 5, N_BINS = LAST - FIRST };
    const struct aster_field_guess *g = aster_field_trainer_guesses(w->trainer);
    int64_t count[N_BINS] = {0};
    struct aster_str s = {0};
    for (int64_t i = 0; i < w->t->n_val; i++)
        for (int64_t k = 0; k < 3 * w->t->val[i]->s.n; k++) {
            double d = fabs(g[i].force[k] - w->t->val[i]->s.force[k]);
            double place = d == 0 ? 0 : ceil(2 * log10(d)) - FIRST;
            count[!(place < N_BINS) ? N_BINS - 1 : place < 0 ? 0 : (int)place]++;
        }
    aster_str_add(&s, "error_up_to,components\n");
    for (int b = 0; b < N_BINS; b++)
        aster_str_printf(&s, "%.2g,%lld\n", pow(10, 0.5 * (b + FIRST)), (long long)count[b]);
    return write_text(w->run, "force_errors.csv", &s);
}

static int write_events(const struct watch *w, const struct aster_epoch *e)
{
    const struct aster_field_metrics *m = &e->field;
    const struct {
        const char *tag;
        double value;
    } all[] = {{"train/total", e->train_loss},
               {"train/learning_rate", e->lr},
               {"val/total", e->val_loss},
               {"val/energy_rmse", m->energy_rmse},
               {"val/energy_mae", m->energy_mae},
               {"val/force_rmse", m->force_rmse},
               {"val/force_mae", m->force_mae},
               {"val/angular_error_mean_deg", m->angle_mean},
               {"val/angular_error_max_deg", m->angle_max}};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        ASTER_TRY(aster_events_scalar(w->events, all[k].tag, e->epoch, (float)all[k].value));
    return aster_events_flush(w->events);
}

static int on_epoch(void *arg, const struct aster_epoch *e)
{
    struct watch *w = arg;
    struct aster_run *run = w->run;
    const struct aster_field_metrics *m = &e->field;
    ASTER_TRY(aster_history_add(run->ctx, &w->history, e));
    ASTER_TRY(aster_history_write(run->ctx, run->dir, &w->history));
    if (w->events)
        ASTER_TRY(write_events(w, e));
    if (e->best) {
        ASTER_TRY(write_validation(w));
        ASTER_TRY(write_force_errors(w));
        w->best = m->force_rmse;
    }
    aster_progress_note(run->progress,
                        "epoch %lld/%lld: loss %.4g, validation %.4g, forces %.4g eV/A, best %.4g",
                        (long long)e->epoch + 1, (long long)w->t->t.epochs, e->train_loss,
                        e->val_loss, m->force_rmse, w->best);
    aster_log(
        run->ctx, ASTER_LOG_INFO,
        "%s: epoch %lld/%lld: loss %.4g, validation loss %.4g, energy MAE %.4g eV, force RMSE "
        "%.4g eV/A, mean angle %.3g degrees%s",
        w->label, (long long)e->epoch + 1, (long long)w->t->t.epochs, e->train_loss, e->val_loss,
        m->energy_mae, m->force_rmse, m->angle_mean, e->best ? ", best" : "");
    return 0;
}

static void on_progress(void *arg, int64_t epoch, int64_t done, int64_t total, bool validating)
{
    struct watch *w = arg;
    int64_t at = epoch * (w->t->n_train + w->t->n_val) + (validating ? w->t->n_train : 0) + done;
    (void)total;
    if (!w->seen)
        aster_progress_skip(w->run->progress, at, 0);
    w->seen = true;
    aster_progress_set(w->run->progress, at);
}

static bool on_stop(void *arg)
{
    (void)arg;
    return aster_run_stopping();
}

/* ---- the run ---- */

static int open_events(struct aster_run *run, int stage, struct aster_events **out)
{
    char *dir = NULL;
    if (!aster_run_bool(run, stage, "tensorboard"))
        return 0;
    ASTER_TRY(aster_run_path(run, "tensorboard", &dir));
    int rc = aster_mkdirs(run->ctx, dir);
    if (rc == 0)
        rc = aster_events_open(run->ctx, dir, out);
    aster_free(&dir);
    return rc;
}

static int facts(const struct watch *w)
{
    struct aster_run *run = w->run;
    const struct aster_history *h = &w->history;
    int64_t best = -1;
    for (int64_t i = 0; i < h->n; i++)
        best = h->e[i].best ? i : best;
    ASTER_TRY(aster_run_fact(run, "trained on", "%lld structures, validated on %lld",
                             (long long)w->t->n_train, (long long)w->t->n_val));
    if (best < 0)
        return 0;
    const struct aster_epoch *last = &h->e[h->n - 1];
    if (aster_field_trainer_flops(w->trainer) > 0 && last->seconds > 0)
        ASTER_TRY(aster_run_fact(run, "speed of the last epoch",
                                 "%.4g structures/s, %.4g GFLOP/s, its validation included",
                                 (double)w->t->n_train / last->seconds,
                                 1e-9 * aster_field_trainer_flops(w->trainer) / last->seconds));
    const struct aster_field_metrics *m = &h->e[best].field;
    return aster_run_fact(run, "best epoch",
                          "%lld of %lld: force RMSE %.4g eV/A, energy MAE %.4g eV, mean angle %.3g "
                          "degrees",
                          (long long)best + 1, (long long)h->n, m->force_rmse, m->energy_mae,
                          m->angle_mean);
}

static int train(struct watch *w, int stage, struct aster_runtime *rt)
{
    struct aster_run *run = w->run;
    const struct aster_train_hooks hooks = {w, on_epoch, on_progress, on_stop};
    ASTER_TRY(aster_history_read(run->ctx, run->dir, &w->history));
    w->history.is_field = true;
    for (int64_t i = 0; i < w->history.n; i++)
        w->best = w->history.e[i].best ? w->history.e[i].field.force_rmse : w->best;
    ASTER_TRY(open_events(run, stage, &w->events));
    ASTER_TRY(aster_field_trainer_new(run->ctx, rt, w->t, &w->trainer));
    aster_log(run->ctx, ASTER_LOG_INFO,
              "%s: %lld parameters, %lld structures to train on, %lld to validate", w->label,
              (long long)aster_field_trainer_n_params(w->trainer), (long long)w->t->n_train,
              (long long)w->t->n_val);
    aster_progress_stage(run->progress, w->label, w->t->t.epochs * (w->t->n_train + w->t->n_val));
    aster_progress_interval(run->progress, (double)aster_run_int(run, stage, "log_interval"));
    ASTER_TRY(aster_field_trainer_run(w->trainer, run->dir, run->resumed, &hooks));
    return facts(w);
}

/* Gives what was trained to the stages that follow. */
static int give(struct aster_run *run, int stage, enum aster_dtype real)
{
    struct aster_forcefield_source *s = NULL;
    ASTER_TRY(aster_alloc(run->ctx, 1, sizeof *s, &s));
    run->slots[stage].forcefield = s;
    s->real = real;
    ASTER_TRY(aster_run_path(run, "best_model.h5", &s->path));
    ASTER_TRY(aster_forcefield_open(run->ctx, s->path, &s->file));
    s->is_open = true;
    return 0;
}

int aster_stage_train_forcefield(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_course course = {.ctx = ctx};
    struct aster_field_training t = {.course = &course};
    struct aster_forcefield_file file = {0};
    struct watch w = {.run = run, .label = run->spec->stages[stage].id, .t = &t, .best = INFINITY};
    struct aster_runtime *rt = NULL;
    int rc;
    ASTER_TRY(open_weights(run, stage, &file, &t));
    config_of(run, stage, &t);
    ASTER_GOTO(aster_run_runtime(run, &rt), done);
    ASTER_GOTO(aster_ledger_reset(run, w.label), done);
    ASTER_GOTO(read_all(run, stage, rt, &t), done);
    ASTER_GOTO(write_split(run, &t), done);
    ASTER_GOTO(train(&w, stage, rt), done);
    run->items += course.n;
    run->failed += course.n_failed;
    rc = give(run, stage, t.t.real);
done:
    aster_field_trainer_free(&w.trainer);
    aster_events_close(&w.events);
    aster_history_free(&w.history);
    aster_course_free(&course);
    aster_free(&t.train);
    if (t.from)
        aster_forcefield_close(&file);
    return rc;
}
