/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that trainings of a force field through the task graph take the golden steps of three
 * optimizers, have bits that no worker, window or kept list changes, and that shards only cut them.
 */
#include "flow/field_trainer_internal.h"

#include "lib/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_EPOCHS = 8 };

struct set { /* structures one behind the other */
    int64_t n;
    int64_t *first;
    int32_t *number;
    double *position, *energy, *force;
};
struct trial {
    int cpus;
    int64_t room; /* bytes for lists that are kept */
    struct aster_field_training t;
    const char *scheduler, *reduction;
    int pieces; /* of the parameters, as it came out */
    double loss[MOST_EPOCHS];
    struct aster_epoch last;
};

static struct aster_ctx *ctx;
static char dir[] = "/tmp/aster-field-XXXXXX";

static bool fine(int rc)
{
    if (rc < 0)
        tap_note("%s", aster_ctx_message(ctx));
    return rc == 0;
}

static const char *in_dir(const char *name)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* ---- a training ---- */

static int on_epoch(void *arg, const struct aster_epoch *e)
{
    struct trial *t = arg;
    if (e->epoch < MOST_EPOCHS)
        t->loss[e->epoch] = e->train_loss;
    t->last = *e;
    return 0;
}

static int fill_course(const struct set *s, struct aster_course *c)
{
    ASTER_TRY(aster_alloc(ctx, s->n, sizeof *c->item, &c->item));
    for (; c->n < s->n; c->n++) {
        struct aster_course_item *x = &c->item[c->n];
        int64_t at = s->first[c->n], n = s->first[c->n + 1] - at;
        ASTER_TRY(aster_strdup(ctx, "one", &x->id));
        ASTER_TRY(aster_structure_new(ctx, n, true, &x->s));
        memcpy(x->s.number, s->number + at, (size_t)n * sizeof *s->number);
        memcpy(x->s.position, s->position + 3 * at, (size_t)(3 * n) * sizeof *s->position);
        memcpy(x->s.force, s->force + 3 * at, (size_t)(3 * n) * sizeof *s->force);
        x->s.energy = s->energy[c->n];
        x->s.has_energy = true;
    }
    return 0;
}

static int run_with(struct trial *t, struct aster_runtime *rt, struct aster_course *c,
                    struct aster_course_item **item)
{
    struct aster_field_trainer *tr = NULL;
    const struct aster_train_hooks hooks = {.arg = t, .epoch = on_epoch};
    ASTER_TRY(aster_course_neighbours(c, rt));
    for (int64_t i = 0; i < c->n; i++)
        item[i] = &c->item[i];
    t->t.course = c;
    if (t->t.accumulate == 0)
        t->t.accumulate = 1;
    t->t.train = t->t.val = item;
    t->t.n_train = t->t.n_val = c->n;
    int rc = aster_field_trainer_new(ctx, rt, &t->t, &tr);
    if (rc == 0) {
        t->pieces = tr->l.param->n_pieces;
        rc = aster_field_trainer_run(tr, dir, false, &hooks);
    }
    aster_field_trainer_free(&tr);
    return rc;
}

/* checkpoint.h5 and final_model.h5 come to lie in dir. */
static int run(struct trial *t, const struct set *s)
{
    struct aster_runtime *rt = NULL;
    struct aster_course c = {
        .ctx = ctx, .cutoff = t->t.c.cutoff, .single = t->t.t.real == ASTER_F32, .room = t->room};
    struct aster_course_item **item = NULL;
    int rc = aster_runtime_new(
        ctx,
        &(struct aster_runtime_options){
            .cpus = t->cpus, .gpus = "none", .scheduler = t->scheduler, .reduction = t->reduction},
        &rt);
    if (rc == 0)
        rc = fill_course(s, &c);
    if (rc == 0)
        rc = aster_alloc(ctx, s->n, sizeof *item, &item);
    if (rc == 0)
        rc = run_with(t, rt, &c, item);
    aster_course_free(&c);
    aster_runtime_free(&rt);
    aster_free(&item);
    return rc;
}

/* ---- golden steps ---- */

static double attribute(struct aster_h5 *f, const char *group, const char *name, double otherwise)
{
    double x = otherwise;
    if (aster_h5_attr_has(f, group, name) && aster_h5_attr_f64(f, group, name, &x) < 0)
        x = NAN;
    return x;
}

static int read_set(struct aster_h5 *f, struct set *s)
{
    struct aster_h5_shape shape;
    ASTER_TRY(aster_h5_shape(f, "ptr", &shape));
    s->n = shape.n - 1;
    ASTER_TRY(aster_h5_read(f, "ptr", ASTER_I64, -1, &s->first));
    ASTER_TRY(aster_h5_read(f, "Z", ASTER_I32, -1, &s->number));
    ASTER_TRY(aster_h5_read(f, "pos", ASTER_F64, -1, &s->position));
    ASTER_TRY(aster_h5_read(f, "energy_ref", ASTER_F64, s->n, &s->energy));
    return aster_h5_read(f, "forces_ref", ASTER_F64, -1, &s->force);
}

static void set_free(struct set *s)
{
    aster_free(&s->first);
    aster_free(&s->number);
    aster_free(&s->position);
    aster_free(&s->energy);
    aster_free(&s->force);
}

/* Largest difference between the tensors of a golden group and those of the checkpoint, in units of
 * 1e-10, or of the last bit of those that the file has in single precision only */
static int compare(struct aster_h5 *golden, const char *group, double *worst)
{
    struct aster_h5 *mine = NULL;
    char **name = NULL, ours[200], theirs[200];
    int64_t n = 0;
    *worst = 0;
    ASTER_TRY(aster_h5_open(ctx, in_dir("checkpoint.h5"), &mine));
    int rc = aster_h5_list(golden, group, &name, &n);
    for (int64_t k = 0; k < n && rc == 0; k++) {
        double *a = NULL, *b = NULL;
        struct aster_h5_shape shape = {0};
        snprintf(ours, sizeof ours, "weights/%s", name[k]);
        snprintf(theirs, sizeof theirs, "%s/%s", group, name[k]);
        if (!aster_h5_has(mine, ours)) /* the matrix that nothing reads */
            continue;
        rc = aster_h5_shape(golden, theirs, &shape);
        if (rc == 0)
            rc = aster_h5_read(golden, theirs, ASTER_F64, shape.n, &a);
        if (rc == 0)
            rc = aster_h5_read(mine, ours, ASTER_F64, shape.n, &b);
        for (int64_t i = 0; rc == 0 && i < shape.n; i++) {
            double limit = shape.dtype == ASTER_F32 ? 1e-7 * (1e-3 + fabs(a[i])) : 1e-10;
            *worst = fabs(a[i] - b[i]) / limit <= *worst ? *worst : fabs(a[i] - b[i]) / limit;
        }
        aster_free(&a);
        aster_free(&b);
    }
    aster_h5_names_free(&name, n);
    aster_h5_close(&mine);
    return rc;
}

static int golden_steps(struct aster_h5 *f, const struct set *s, const char *kind,
                        enum aster_optimizer optimizer, const struct aster_forcefield_file *w)
{
    char name[80];
    double *loss = NULL, worst = 0, off = 0;
    struct aster_h5_shape shape;
    struct trial t = {
        .cpus = 2,
        .room = INT64_MAX,
        .t = {.t = {.real = ASTER_F64,
                    .batch_size = s->n,
                    .shards = 3,
                    .optimizer = optimizer,
                    .learning_rate = attribute(f, kind, "lr", 1e-3),
                    .weight_decay = attribute(f, kind, "weight_decay", 0),
                    .beta1 = attribute(f, kind, "beta1", 0.9),
                    .beta2 = attribute(f, kind, "beta2", 0.999),
                    .eps = attribute(f, kind, "eps", 1e-8),
                    .momentum = attribute(f, kind, "momentum", 0.9),
                    .clip_norm = attribute(f, kind, "grad_clip", 1),
                    .schedule = ASTER_SCHEDULE_NONE,
                    .monitor = "val_loss",
                    .window = 2},
              .c = w->c,
              .loss = {.kind = ASTER_FORCE_MSE, .energy = 1, .force = 100, .angle = 10},
              .from = w}};
    snprintf(name, sizeof name, "%s/loss_per_step", kind);
    ASTER_TRY(aster_h5_shape(f, name, &shape));
    t.t.t.epochs = shape.n;
    ASTER_TRY(aster_h5_read(f, name, ASTER_F64, shape.n, &loss));
    int rc = run(&t, s);
    snprintf(name, sizeof name, "%s/params_after_3", kind);
    if (rc == 0)
        rc = compare(f, name, &worst);
    for (int64_t k = 0; k < shape.n && k < MOST_EPOCHS; k++)
        off = fmax(off, fabs(t.loss[k] - loss[k]) / loss[k]);
    tap_ok(rc == 0 && worst <= 1, "%s: parameters after 3 steps of 3 shards (%.1e of the limit)",
           kind, worst);
    tap_ok(rc == 0 && off <= 1e-9, "%s: the losses of the steps (%.1e)", kind, off);
    aster_free(&loss);
    return rc;
}

static int golden(const char *folder)
{
    static const char *const kinds[] = {"optim_adam", "optim_adamw", "optim_sgd"};
    char path[600];
    struct aster_h5 *f = NULL;
    struct set s = {0};
    struct aster_forcefield_file w = {0};
    snprintf(path, sizeof path, "%s/mlff/golden/training.h5", folder);
    ASTER_TRY(aster_h5_open(ctx, path, &f));
    snprintf(path, sizeof path, "%s/mlff/weights/ultra_tiny.h5", folder);
    int rc = aster_forcefield_open(ctx, path, &w);
    if (rc == 0)
        rc = read_set(f, &s);
    for (int k = 0; k < 3 && rc == 0; k++)
        if (aster_h5_has(f, kinds[k]))
            rc = golden_steps(f, &s, kinds[k], (enum aster_optimizer)k, &w);
    aster_forcefield_close(&w);
    aster_h5_close(&f);
    set_free(&s);
    return rc;
}

/* ---- laws ---- */

enum { N_DRAWN = 13 };

static int draw(struct set *s)
{
    *s = (struct set){.n = N_DRAWN};
    ASTER_TRY(aster_alloc(ctx, N_DRAWN + 1, sizeof *s->first, &s->first));
    for (int64_t i = 0; i < N_DRAWN; i++)
        s->first[i + 1] = s->first[i] + 1 + i % 7;
    int64_t n = s->first[N_DRAWN];
    ASTER_TRY(aster_alloc(ctx, n, sizeof *s->number, &s->number));
    ASTER_TRY(aster_alloc(ctx, 3 * n, sizeof *s->position, &s->position));
    ASTER_TRY(aster_alloc(ctx, 3 * n, sizeof *s->force, &s->force));
    ASTER_TRY(aster_alloc(ctx, N_DRAWN, sizeof *s->energy, &s->energy));
    for (int64_t i = 0; i < n; i++) {
        s->number[i] = (int32_t)(1 + (uint64_t)(3 * aster_uniform(1, 1, (uint64_t)i)));
        for (int64_t k = 3 * i; k < 3 * i + 3; k++) {
            s->position[k] = 3 * aster_uniform(1, 2, (uint64_t)k);
            s->force[k] = aster_uniform(1, 3, (uint64_t)k) - 0.5;
        }
    }
    for (int64_t i = 0; i < N_DRAWN; i++)
        s->energy[i] = 4 * aster_uniform(1, 4, (uint64_t)i) - 2;
    return 0;
}

static struct trial usual(enum aster_dtype real)
{
    return (struct trial){
        .cpus = 1,
        .room = INT64_MAX,
        .t = {.t = {.real = real,
                    .epochs = 2,
                    .batch_size = 6,
                    .shards = 3,
                    .optimizer = ASTER_OPTIMIZER_ADAMW,
                    .learning_rate = 1e-2,
                    .weight_decay = 1e-3,
                    .beta1 = 0.9,
                    .beta2 = 0.999,
                    .eps = 1e-8,
                    .clip_norm = 1,
                    .schedule = ASTER_SCHEDULE_NONE,
                    .monitor = "val_loss",
                    .seed = 3,
                    .window = 1},
              .c = {.width = 8, .n_blocks = 2, .n_radial = 5, .max_number = 3, .cutoff = 4},
              .loss = {ASTER_FORCE_HUBER, 1, 10, 1, 0.3}}};
}

static bool same_bytes(const char *a, const char *b, int64_t n, int64_t m)
{
    return a && b && n == m && n > 0 && !memcmp(a, b, (size_t)n);
}

/* Bits of the training: the weights file */
static int bits(struct trial *t, const struct set *s, char **out, int64_t *n)
{
    int rc = run(t, s);
    return rc < 0 ? rc : aster_file_read(ctx, in_dir("final_model.h5"), 1 << 24, out, n);
}

static void test_bits(const struct set *s, enum aster_dtype real)
{
    struct trial a = usual(real), b = usual(real);
    char *first = NULL, *second = NULL;
    int64_t n = 0, m = 0;
    b.cpus = -1;
    b.t.t.window = 4;
    b.room = 0;
    b.scheduler = "eager";
    bool good = fine(bits(&a, s, &first, &n)) && fine(bits(&b, s, &second, &m));
    tap_ok(good && same_bytes(first, second, n, m),
           "%s: one worker and all, windows of 1 and 4, lists kept and found again: the same bits",
           aster_dtype_name(real));
    tap_ok(good && a.last.val_loss == b.last.val_loss &&
               a.last.field.force_rmse == b.last.field.force_rmse,
           "and the same validation");
    aster_free(&second);
    b = usual(real);
    b.t.t.seed = 4;
    tap_ok(fine(bits(&b, s, &second, &m)) && !same_bytes(first, second, n, m),
           "another seed: others");
    aster_free(&first);
    aster_free(&second);
}

/* Steps of one to three batches, the last of one structure */
static void test_pieces(const struct set *s)
{
    for (int64_t accumulate = 1; accumulate <= 3; accumulate++) {
        struct trial a = usual(ASTER_F32), b;
        char *first = NULL, *second = NULL;
        int64_t n = 0, m = 0;
        a.t.c.width = 16;
        a.t.t.batch_size = 4;
        a.t.accumulate = accumulate;
        b = a;
        b.cpus = -1;
        b.reduction = "pieces";
        bool good = fine(bits(&a, s, &first, &n)) && fine(bits(&b, s, &second, &m));
        tap_ok(good && a.pieces == 0 && b.pieces == 2 && same_bytes(first, second, n, m),
               "gradients of %lld batches, whole and in two pieces: the same bits",
               (long long)accumulate);
        aster_free(&first);
        aster_free(&second);
    }
}

/* In double a sum of shards is that of the batch, but for rounding: after one step. */
static void test_shards(const struct set *s)
{
    struct trial a = usual(ASTER_F64), b = usual(ASTER_F64);
    a.t.t.epochs = b.t.t.epochs = 2;
    a.t.t.optimizer = b.t.t.optimizer = ASTER_OPTIMIZER_SGD;
    a.t.t.batch_size = b.t.t.batch_size = N_DRAWN;
    a.t.t.shards = 1;
    b.t.t.shards = 13;
    bool good = fine(run(&a, s)) && fine(run(&b, s));
    tap_ok(good && fabs(a.loss[0] - b.loss[0]) < 1e-13 * a.loss[0] &&
               fabs(a.loss[1] - b.loss[1]) < 1e-11 * a.loss[1],
           "one shard and thirteen: the same loss, before and after a step");
    tap_ok(good && a.loss[1] != a.loss[0], "which the step changed");
}

/* The validation of what was before a step of rate 0 is the loss of that step, all in one batch. */
static void test_validation(const struct set *s)
{
    struct trial t = usual(ASTER_F64);
    t.t.t.learning_rate = t.t.t.weight_decay = 0;
    t.t.t.batch_size = N_DRAWN;
    t.t.t.epochs = 1;
    for (int k = 0; k < 3; k++) {
        t.t.loss.kind = (enum aster_force_loss)k;
        tap_ok(fine(run(&t, s)) && fabs(t.last.val_loss - t.loss[0]) < 1e-12 * t.loss[0],
               "loss %d: on the host and in the program", k);
    }
}

/* Beyond delta the loss and its slope know nothing of how large an error is: in single precision,
 * too.
 */
static void test_huber(const struct set *s)
{
    struct trial t = usual(ASTER_F32);
    t.t.t.learning_rate = t.t.t.weight_decay = 0;
    t.t.t.batch_size = N_DRAWN;
    t.t.t.epochs = 1;
    t.t.loss =
        (struct aster_forcefield_loss){.kind = ASTER_FORCE_HUBER, .energy = 1, .huber_delta = 0.01};
    for (int64_t i = 0; i < s->n; i++)
        s->energy[i] *= 1e5;
    bool good = fine(run(&t, s));
    tap_ok(good && fabs(t.last.val_loss - t.loss[0]) < 1e-5 * t.loss[0],
           "Huber's loss of errors of 1e5 with a delta of 0.01 (off by %.1e)",
           fabs(t.last.val_loss - t.loss[0]) / t.loss[0]);
    for (int64_t i = 0; i < s->n; i++)
        s->energy[i] /= 1e5;
}

/* RMSprop's first step is as long for every parameter that has a gradient: rate / sqrt(1 - alpha).
 */
static void test_rmsprop(const struct set *s)
{
    struct trial t = usual(ASTER_F64);
    struct aster_h5 *f = NULL;
    double *w[2] = {NULL}, most = 0, least = INFINITY;
    int rc = 0;
    t.t.t.optimizer = ASTER_OPTIMIZER_RMSPROP;
    t.t.t.beta2 = 0.99;
    t.t.t.weight_decay = 0;
    t.t.t.batch_size = N_DRAWN;
    t.t.t.epochs = 1;
    for (int k = 0; k < 2 && rc == 0; k++) {
        t.t.t.learning_rate = k ? 1e-3 : 0;
        rc = run(&t, s);
        if (rc == 0)
            rc = aster_h5_open(ctx, in_dir("checkpoint.h5"), &f);
        if (rc == 0)
            rc = aster_h5_read(f, "weights/energy_head.0.weight", ASTER_F64, 32, &w[k]);
        aster_h5_close(&f);
    }
    for (int i = 0; rc == 0 && i < 32; i++) {
        most = fmax(most, fabs(w[1][i] - w[0][i]));
        least = fmin(least, fabs(w[1][i] - w[0][i]));
    }
    tap_ok(fine(rc) && fabs(most - 1e-2) < 1e-5 && fabs(least - 1e-2) < 1e-5,
           "rmsprop: a first step of ten rates for every weight (%.7f to %.7f)", least, most);
    aster_free(&w[0]);
    aster_free(&w[1]);
}

static void test_refused(const struct set *s)
{
    struct trial t = usual(ASTER_F32);
    double energy = s->energy[4];
    s->energy[4] = 1e30; /* its square is none in single precision */
    t.t.t.batch_size = N_DRAWN;
    t.t.loss.kind = ASTER_FORCE_MSE;
    int rc = run(&t, s);
    tap_ok(rc == ASTER_ENUMERIC, "nothing but batches without a finite loss: an error");
    aster_ctx_clear(ctx);
    t.t.t.batch_size = 4;
    tap_ok(fine(run(&t, s)) && t.last.skipped == 1, "one of four: it is counted");
    s->energy[4] = energy;
}

int main(void)
{
    const char *data = getenv("ASTERISM_TEST_DATA"), *src = getenv("srcdir");
    char folder[500], file[560];
    struct set s;
    if (aster_ctx_new(&ctx) < 0 || !mkdtemp(dir))
        return 1;
    snprintf(folder, sizeof folder, "%s%s",
             data  ? data
             : src ? src
                   : ".",
             data ? "" : "/../shared/data");
    snprintf(file, sizeof file, "%s/mlff/golden/training.h5", folder);
    bool is_short = getenv("ASTERISM_SHORT") != NULL;
    if (is_short)
        tap_skip("golden steps: the short form");
    else if (aster_file_exists(file))
        tap_ok(fine(golden(folder)), "golden steps are there");
    else
        tap_skip("golden steps: no shared data");
    if (!fine(draw(&s)))
        return 1;
    test_bits(&s, ASTER_F32);
    test_pieces(&s);
    if (!is_short) {
        test_bits(&s, ASTER_F64);
        test_validation(&s);
        test_huber(&s);
        test_rmsprop(&s);
    }
    test_shards(&s);
    test_refused(&s);
    set_free(&s);
    aster_ctx_free(&ctx);
    static const char *const files[] = {"checkpoint.h5", "best_model.h5", "final_model.h5"};
    for (int k = 0; k < 3; k++)
        unlink(in_dir(files[k]));
    rmdir(dir);
    return tap_done();
}
