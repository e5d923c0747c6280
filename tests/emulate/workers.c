/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that training and prediction through StarPU work with a worker whose device is an emulated
 * GPU: the same numbers as a CPU worker's to rounding, in f64; and that a device that gives up ends
 * a run with an error, nothing of it kept, and can be gone on from. */
#include "cuda/device.h"
#include "cuda/emulate.h"
#include "gpu/gpu.h"
#include "graph/graph.h"
#include "lib/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EPOCHS = 2, CELLS = N_VAL * MAX_LENGTH };

struct result {
    int n, calls;
    bool breaks; /* the device gives up in the second epoch, at its second batch */
    struct aster_epoch epoch[EPOCHS];
    float probs[CELLS];
    int32_t status[N_VAL];
    char message[512];
};

static char top[] = "/tmp/aster-emulate-XXXXXX";

static int keep_epoch(void *arg, const struct aster_epoch *e)
{
    struct result *r = arg;
    if (r->n < EPOCHS)
        r->epoch[r->n] = *e;
    r->n++;
    return 0;
}

static bool break_device(void *arg)
{
    struct result *r = arg;
    if (r->breaks && r->n == 1 && ++r->calls == 2)
        aster_device_fail(gpu_device(), "test", "made to fail");
    return false;
}

static void keep_probs(void *arg, int64_t n, const struct aster_sample *samples,
                       const float *const *probs, const int32_t *status, double loss)
{
    struct result *r = arg;
    for (int64_t k = 0; k < n; k++) {
        int64_t at = samples[k].key - N_TRAIN;
        r->status[at] = status[k];
        if (status[k] == 0)
            memcpy(r->probs + at * MAX_LENGTH, probs[k],
                   (size_t)samples[k].length * sizeof *r->probs);
    }
    (void)loss;
}

static int predict(struct aster_ctx *ctx, struct aster_runtime *rt, const char *dir,
                   const struct aster_encoding *enc, const struct proteins *p, struct result *r)
{
    struct aster_weights *w;
    struct aster_predictor *predictor;
    struct aster_predict_options o = {.batch_size = 4};
    char path[400];
    snprintf(path, sizeof path, "%s/final_model.h5", dir);
    ASTER_TRY(aster_weights_load(ctx, path, ASTER_F64, &w));
    int rc = aster_predictor_new(ctx, rt, w, enc, &o, &predictor);
    if (rc == 0) {
        rc = aster_predictor_submit(predictor, N_VAL, p->val, keep_probs, r);
        int late = aster_predictor_wait(predictor);
        rc = rc < 0 ? rc : late;
        aster_predictor_free(&predictor);
    }
    aster_weights_free(&w);
    return rc;
}

static int whole_run(enum aster_model_kind model, bool gpu, const char *name, bool resume,
                     struct result *r)
{
    struct aster_ctx *ctx;
    struct aster_runtime *rt = NULL;
    struct aster_encoding enc;
    struct aster_train_config c;
    struct proteins p;
    struct run settings;
    struct aster_runtime_options o = {.cpus = 1, .gpus = "none", .scheduler = "eager"};
    struct aster_train_hooks hooks = {.arg = r, .epoch = keep_epoch, .stop = break_device};
    char dir[300];
    int rc;
    run_defaults(&settings);
    settings.model = model;
    settings.f64 = settings.clip = true;
    settings.epochs = EPOCHS;
    run_config(&settings, &c);
    proteins_make(&p);
    snprintf(dir, sizeof dir, "%s/%s", top, name);
    mkdir(dir, 0755);
    ASTER_TRY(aster_ctx_new(&ctx));
    aster_log_level(ctx, ASTER_LOG_ERROR);
    ASTER_GOTO(aster_encoding_table(ctx, "onehot", &enc), done);
    ASTER_GOTO(aster_runtime_new(ctx, &o, &rt), done);
    gpu_begin(0);
    if (gpu) {
        struct aster_cl_worker *w = &aster_runtime_env(rt)->worker[0];
        w->backend = &aster_backend_cuda;
        w->device = gpu_device();
    }
    rc = aster_train(ctx, rt, &c, &enc, N_TRAIN, p.train, N_VAL, p.val, dir, resume, &hooks);
    if (rc == 0)
        rc = predict(ctx, rt, dir, &enc, &p, r);
done:
    snprintf(r->message, sizeof r->message, "%s", aster_ctx_message(ctx));
    aster_runtime_free(&rt);
    aster_ctx_free(&ctx);
    return rc;
}

/* Largest relative difference of losses, and difference of probabilities */
static double losses_apart(const struct result *a, const struct result *b)
{
    double worst = a->n == EPOCHS && b->n == EPOCHS ? 0 : NAN;
    for (int k = 0; k < EPOCHS; k++) {
        double t = fabs(a->epoch[k].train_loss / b->epoch[k].train_loss - 1),
               v = fabs(a->epoch[k].val_loss / b->epoch[k].val_loss - 1);
        if (!(t <= worst))
            worst = t;
        if (!(v <= worst))
            worst = v;
    }
    return worst;
}

static double probs_apart(const struct result *a, const struct result *b)
{
    double worst = 0;
    for (int k = 0; k < CELLS; k++)
        if (!(fabs((double)a->probs[k] - (double)b->probs[k]) <= worst))
            worst = fabs((double)a->probs[k] - (double)b->probs[k]);
    return worst;
}

static void check_model(enum aster_model_kind model)
{
    struct result *r = calloc(3, sizeof *r), *cpu = &r[0], *gpu = &r[1], *other = &r[2];
    const char *name = aster_model_name(model);
    char a[40], b[40];
    if (!r)
        abort();
    int before = aster_emulate_n_kernels();
    snprintf(a, sizeof a, "%s-cpu", name);
    snprintf(b, sizeof b, "%s-gpu", name);
    int rc = whole_run(model, false, a, false, cpu), rc2 = whole_run(model, true, b, false, gpu);
    const char *found = gpu_error();
    if (!tap_ok(rc == 0 && rc2 == 0 && !found, "%s: trains and predicts on an emulated GPU", name))
        tap_note("%d %s, %d %s; %s", rc, cpu->message, rc2, gpu->message, found ? found : "");
    tap_ok(aster_emulate_n_kernels() > before, "%s: %d more kernels have run there", name,
           aster_emulate_n_kernels() - before);
    double losses = losses_apart(gpu, cpu), probs = probs_apart(gpu, cpu);
    tap_ok(losses <= 1e-9, "%s: losses of all epochs as on a CPU: %.2g", name,
           losses); /* rounding, through the root of Adam */
    tap_ok(probs <= 1e-6 && cpu->probs[0] > 0, "%s: probabilities as on a CPU: %.2g", name, probs);
    *other = *cpu;
    other->epoch[1].val_loss *= 1 + 1e-8;
    tap_ok(losses_apart(other, cpu) > 1e-9, "%s: a wrong loss is seen", name);
    free(r);
}

/* In the second epoch, so that there is a checkpoint of the first. */
static void check_failure(void)
{
    struct result *r = calloc(2, sizeof *r);
    if (!r)
        abort();
    r->breaks = true;
    int rc = whole_run(ASTER_MODEL_CNN, true, "broken", false, r);
    if (!tap_ok(rc == ASTER_EDEVICE && strstr(r->message, "cpu 0 gave up: ") &&
                    strstr(r->message, "kernel test: made to fail"),
                "a device that gives up ends the run, by name"))
        tap_note("%d %s", rc, r->message);
    tap_ok(r->n == 1, "the first epoch counts, the second does not");
    rc = whole_run(ASTER_MODEL_CNN, false, "broken", true, r + 1);
    if (!tap_ok(rc == 0 && r[1].n == 1, "another device goes on from the first epoch's checkpoint"))
        tap_note("%d %s, %d epochs", rc, r[1].message, r[1].n);
    struct result *whole = calloc(1, sizeof *whole);
    if (!whole)
        abort();
    rc = whole_run(ASTER_MODEL_CNN, false, "whole", false, whole);
    double apart = fabs(r[1].epoch[0].val_loss / whole->epoch[1].val_loss - 1);
    tap_ok(rc == 0 && apart <= 1e-9, "and comes to the same loss: %.2g", apart);
    free(whole);
    free(r);
}

int main(void)
{
    char command[300];
    if (!mkdtemp(top))
        return 1;
    check_model(ASTER_MODEL_CNN);
    check_model(ASTER_MODEL_UNET);
    check_model(ASTER_MODEL_LSTM);
    check_failure();
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    if (system(command) != 0)
        tap_note("%s is left", top);
    return tap_done();
}
