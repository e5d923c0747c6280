/* SPDX-License-Identifier: BSD-3-Clause */
/* Time of a training step and of inference of the labelling models, through the runtime as a
 * pipeline uses it. Start-up cancels: each figure is the difference between a long and a short run
 * of one process. Usage: bench-rcl MODEL train|infer CPUS LENGTHS_FILE [full_padding]; prints one
 * JSON line. */
#include "train/train.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 32, MAX_LENGTH = 1024, SHORT = 2 };

struct work {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_encoding enc;
    struct aster_train_config config;
    struct aster_sample *sample;
    char *letters;
    int64_t n;
    char dir[64];
};

static int read_lengths(struct work *w, const char *path, int64_t want)
{
    char *text = NULL;
    int64_t n = 0, count = 0;
    ASTER_TRY(aster_file_read(w->ctx, path, 1 << 24, &text, &n));
    ASTER_TRY(aster_alloc(w->ctx, want, sizeof *w->sample, &w->sample));
    ASTER_TRY(aster_alloc(w->ctx, want * MAX_LENGTH + 1, 1, &w->letters));
    for (int64_t i = 0; i < want * MAX_LENGTH; i++)
        w->letters[i] = "ACDEFGHIKLMNPQRSTVWY"[(int)(aster_uniform(1, 1, (uint64_t)i) * 20)];
    char *at = text;
    while (count < want) {
        char *end;
        long long length = strtoll(at, &end, 10);
        if (end == at) {
            if (count == 0) {
                aster_free(&text);
                return aster_fail(w->ctx, ASTER_EFORMAT, "%s: lengths, one per line, are expected",
                                  path);
            }
            at = text; /* once more from the start */
            continue;
        }
        at = end;
        if (length < 1 || length > MAX_LENGTH)
            continue;
        w->sample[count] =
            (struct aster_sample){.sequence = w->letters + count * MAX_LENGTH,
                                  .length = length,
                                  .loop_begin = length / 2,
                                  .loop_end = length / 2 + (length >= 4 ? length / 16 + 1 : 1),
                                  .key = count};
        count++;
    }
    w->n = count;
    aster_free(&text);
    return 0;
}

static int train_once(struct work *w, int64_t batches)
{
    return aster_train(w->ctx, w->rt, &w->config, &w->enc, batches * BATCH, w->sample, 1, w->sample,
                       w->dir, false, NULL);
}

static void ignore(void *arg, int64_t n, const struct aster_sample *samples,
                   const float *const *probs, const int32_t *status, double loss)
{
}

static int infer_once(struct work *w, struct aster_predictor *p, int64_t batches)
{
    for (int64_t k = 0; k < batches; k++)
        ASTER_TRY(aster_predictor_submit(p, BATCH, w->sample + k * BATCH, ignore, NULL));
    return aster_predictor_wait(p);
}

static int measure(struct work *w, bool train, int64_t longer, bool full_padding)
{
    struct aster_predictor *p = NULL;
    struct aster_weights *weights = NULL;
    char path[96];
    ASTER_TRY(train_once(w, 1));
    if (!train) {
        struct aster_predict_options o = {.batch_size = BATCH, .full_padding = full_padding};
        snprintf(path, sizeof path, "%s/final_model.h5", w->dir);
        ASTER_TRY(aster_weights_load(w->ctx, path, ASTER_F32, &weights));
        ASTER_TRY(aster_predictor_new(w->ctx, w->rt, weights, &w->enc, &o, &p));
        ASTER_TRY(infer_once(w, p, 1));
    }
    double wall[2], cpu[2];
    for (int k = 0; k < 2; k++) {
        int64_t n = k ? longer : SHORT;
        wall[k] = -aster_wall();
        cpu[k] = -aster_cpu_process();
        ASTER_TRY(train ? train_once(w, n) : infer_once(w, p, n));
        wall[k] += aster_wall();
        cpu[k] += aster_cpu_process();
    }
    double batches = (double)(longer - SHORT);
    printf("{\"program\": \"asterism\", \"model\": \"%s\", \"mode\": \"%s\", \"workers\": %d, "
           "\"wall_ms\": %.3f, \"cpu_ms\": %.3f, \"isa\": "
           "\"%s\"}\n",
           aster_model_name(w->config.model.kind), train ? "train" : "infer",
           aster_runtime_n_workers(w->rt), 1e3 * (wall[1] - wall[0]) / batches,
           1e3 * (cpu[1] - cpu[0]) / batches, aster_isa_name(aster_runtime_isa(w->rt)));
    aster_predictor_free(&p);
    aster_weights_free(&weights);
    return 0;
}

static int run(struct work *w, char **argv, bool full_padding)
{
    bool train = !strcmp(argv[2], "train");
    int kind = 0;
    while (kind < ASTER_N_MODEL_KINDS &&
           strcmp(argv[1], aster_model_name((enum aster_model_kind)kind)))
        kind++;
    if (kind == ASTER_N_MODEL_KINDS)
        return aster_fail(w->ctx, ASTER_EPARAM, "model '%s': expected cnn, unet or lstm", argv[1]);
    int64_t longer = kind == ASTER_MODEL_LSTM ? (train ? 5 : 10) : train ? 8 : 14;
    struct aster_runtime_options o = {
        .cpus = (int)strtol(argv[3], NULL, 10), .gpus = "none", .isa = "auto"};
    ASTER_TRY(aster_runtime_new(w->ctx, &o, &w->rt));
    ASTER_TRY(aster_encoding_table(w->ctx, "blosum", &w->enc));
    ASTER_TRY(read_lengths(w, argv[4], longer * BATCH));
    aster_model_defaults((enum aster_model_kind)kind, w->enc.dim, &w->config.model);
    w->config.real = ASTER_F32;
    w->config.epochs = 1;
    w->config.batch_size = BATCH;
    w->config.shards = 8;
    w->config.learning_rate = 1e-3;
    w->config.weight_decay = 1e-4;
    w->config.beta1 = 0.9;
    w->config.beta2 = 0.999;
    w->config.eps = 1e-8;
    w->config.class_weights[0] = 1;
    w->config.class_weights[1] = 5;
    w->config.monitor = "val_f1";
    w->config.monitor_max = true;
    w->config.save_top_k = 1;
    w->config.plateau_factor = 0.5;
    w->config.plateau_threshold = 1e-4;
    w->config.plateau_patience = 2;
    w->config.seed = 42;
    w->config.window = 2;
    snprintf(w->dir, sizeof w->dir, "bench-rcl-XXXXXX");
    if (!mkdtemp(w->dir))
        return aster_fail(w->ctx, ASTER_EIO, "a temporary folder cannot be made here");
    return measure(w, train, longer, full_padding);
}

int main(int argc, char **argv)
{
    struct work w = {0};
    if (argc < 5) {
        fprintf(stderr,
                "usage: bench-rcl cnn|unet|lstm train|infer CPUS LENGTHS_FILE [full_padding]\n");
        return 1;
    }
    if (aster_ctx_new(&w.ctx) < 0)
        return 1;
    aster_log_level(w.ctx, ASTER_LOG_WARN);
    int rc = run(&w, argv, argc > 5);
    if (rc < 0)
        fprintf(stderr, "bench-rcl: %s\n", aster_ctx_message(w.ctx));
    aster_runtime_free(&w.rt);
    aster_free(&w.sample);
    aster_free(&w.letters);
    if (*w.dir) {
        static const char *const files[] = {"checkpoint.h5", "best_model.h5", "final_model.h5",
                                            "best_1.h5", "top_1.h5"};
        char path[128];
        for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
            snprintf(path, sizeof path, "%s/%s", w.dir, files[k]);
            unlink(path);
        }
        rmdir(w.dir);
    }
    aster_ctx_free(&w.ctx);
    return rc < 0;
}
