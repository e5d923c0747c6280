/* SPDX-License-Identifier: BSD-3-Clause */
/* Training and inference as task graphs: samples in, parameters, losses and probabilities out. */
#ifndef ASTER_TRAIN_H
#define ASTER_TRAIN_H

#include "codelets.h"
#include "model/model.h"
#include "program/program.h"
#include "runtime/runtime.h"
#include "train/metric.h"

/* ---- what models read: struct aster_encoding and struct aster_sample of codelets.h ---- */
/* The two tables of rcl.md 2.5; name is onehot or blosum. */
ASTER_CHECKED int aster_encoding_table(struct aster_ctx *ctx, const char *name,
                                       struct aster_encoding *out);

/* ---- training ---- */
enum aster_schedule {
    ASTER_SCHEDULE_PLATEAU,
    ASTER_SCHEDULE_COSINE,
    ASTER_SCHEDULE_NONE,
    ASTER_SCHEDULE_STEP,        /* times gamma every step_size epochs */
    ASTER_SCHEDULE_EXPONENTIAL, /* times gamma every epoch */
    ASTER_SCHEDULE_WARMUP       /* aster_warmup_rate, step by step */
};
enum aster_bn_mode { ASTER_BN_SYNC, ASTER_BN_LOCAL };

struct aster_train_config {
    struct aster_model_config model;
    enum aster_dtype real;
    int64_t epochs, batch_size,
        shards; /* shards: gradient shards of a batch, fixed by the pipeline, not by the machine */
    enum aster_bn_mode bn;
    enum aster_optimizer optimizer;
    double learning_rate, weight_decay, beta1, beta2, eps, momentum,
        clip_norm; /* clip_norm 0: off */
    enum aster_schedule schedule;
    double plateau_factor, plateau_threshold, min_lr;
    int64_t plateau_patience; /* patience / 2 in the reference */
    double gamma;
    int64_t step_size, warmup_steps;
    int64_t patience; /* early stop; 0: off */
    double class_weights[2];
    uint64_t seed;
    const char *monitor; /* val_f1, val_loss, val_accuracy ... */
    bool monitor_max;
    int64_t save_top_k;
    int64_t checkpoint_steps; /* a checkpoint every n steps besides the one at each epoch's end; 0:
                                 none between */
    int64_t window;           /* steps in flight */
};

/* Whether so many samples can be trained on so; aster_train asks it too. */
ASTER_CHECKED int aster_train_check(struct aster_ctx *ctx, const struct aster_train_config *c,
                                    int64_t n_train, int64_t n_val);

/* A rate that rises with every step to its full height, and then follows half a cosine in steps of
 * an epoch, from the end of the first epoch that has the rise behind it. */
struct aster_warmup {
    double from, to, least; /* least: where the cosine ends */
    int64_t steps, epochs;  /* of the rise; of the whole cosine */
};
/* step counts from 0; done: epochs that ended when their last step was at steps or later */
double aster_warmup_rate(const struct aster_warmup *w, int64_t step, int64_t done);

/* How far energies and forces are from the labels: eV, eV/A, degrees. */
struct aster_field_metrics {
    double energy_rmse, energy_mae, force_rmse, force_mae, force_rmse_axis[3];
    double angle_mean, angle_max; /* between forces and their labels, where neither is nearly 0 */
};

struct aster_epoch { /* one line of history.csv */
    int64_t epoch;   /* from 0 */
    double train_loss, val_loss, lr, seconds;
    struct aster_metrics val;         /* of a labelling model */
    struct aster_field_metrics field; /* of a force field */
    int64_t skipped;                  /* batches that changed nothing */
    bool best;
};

struct aster_train_hooks { /* all may be NULL; called in the submitting thread */
    void *arg;
    int (*epoch)(void *arg, const struct aster_epoch *e);
    void (*progress)(void *arg, int64_t epoch, int64_t samples_done, int64_t samples_total,
                     bool validating);
    bool (*stop)(void *arg); /* true: finish the steps in flight, checkpoint, return ASTER_ESTOP */
};

/* Trains into dir: checkpoint.h5 (at each epoch's end, every checkpoint_steps, and when stopped),
 * best_model.h5, final_model.h5, and with save_top_k > 1 model_epoch_NNNN.h5 of the best epochs.
 * With resume goes on from dir's checkpoint.h5, from the beginning where there is none (error if
 * that was made by another configuration, naming the field; a warning when by another instruction
 * set). An epoch's hook is called before its checkpoint is written: a run killed in between calls
 * it again with the same numbers.
 *
 * A batch is cut into shards of ceil(n / shards) samples; gradients, losses and sync sums add up as
 * (s0 + s1) + (s2 + s3) ...; so the bits depend on batch_size and shards, not on workers, scheduler
 * or window. */
ASTER_CHECKED int aster_train(struct aster_ctx *ctx, struct aster_runtime *rt,
                              const struct aster_train_config *c, const struct aster_encoding *enc,
                              int64_t n_train, const struct aster_sample *train, int64_t n_val,
                              const struct aster_sample *val, const char *dir, bool resume,
                              const struct aster_train_hooks *hooks);

/* ---- a plan's segment as a task; the caller sets at[], info, lengths ---- */
void aster_plan_task(const struct aster_plan *plan, int segment, const char *name,
                     struct aster_program_task *t);

/* ---- weights ---- */
struct aster_weights {
    struct aster_model_config model;
    char encoding[32];
    enum aster_dtype real; /* of params */
    void *params;          /* PARAM class of the eval program */
    double *buffers;
    double class_weights[2]; /* of the loss it was trained with */
    char *provenance;        /* text: version, isa, pipeline hash, epoch, ... */
};
ASTER_CHECKED int
aster_weights_load(struct aster_ctx *ctx, const char *path, enum aster_dtype real,
                   struct aster_weights **out); /* our .h5, or .safetensors with our metadata */
ASTER_CHECKED int aster_weights_save_safetensors(struct aster_ctx *ctx,
                                                 const struct aster_weights *w, const char *path);
ASTER_CHECKED int aster_weights_save_h5(struct aster_ctx *ctx, const struct aster_weights *w,
                                        const char *path); /* no training state */
void aster_weights_free(struct aster_weights **w);

/* ---- inference ---- */
struct aster_predictor;
struct aster_predict_options {
    int64_t batch_size; /* samples per task; halved until it fits the memory limit */
    int64_t window;     /* tasks in flight; 0: 3 per worker; fewer when memory asks for it */
    bool full_padding;  /* compute the padding too instead of copying what is the same for every
                           sample */
    bool with_loss;
};
ASTER_CHECKED int aster_predictor_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                                      const struct aster_weights *w,
                                      const struct aster_encoding *enc,
                                      const struct aster_predict_options *o,
                                      struct aster_predictor **out);
/* Blocks while the window is full. Samples stay the caller's until done is called, once per submit
 * (from a worker, or from submit itself when nothing can be computed: be quick), with, for each
 * sample, probs[i] = P(class 1) of its residues (f64 or f32 as real: always delivered as float;
 * valid during the call), its status code and the batch's loss (NaN without with_loss). A status:
 * 0; the code of rows(); ASTER_ELIMIT, longer than max_length or no memory for a single sample;
 * ASTER_ENUMERIC, a probability is not finite. One thread submits. */
typedef void aster_predict_done(void *arg, int64_t n, const struct aster_sample *samples,
                                const float *const *probs, const int32_t *status, double loss);
ASTER_CHECKED int aster_predictor_submit(struct aster_predictor *p, int64_t n,
                                         const struct aster_sample *samples,
                                         aster_predict_done *done, void *arg);
ASTER_CHECKED int aster_predictor_wait(struct aster_predictor *p);
void aster_predictor_free(struct aster_predictor **p);

#endif
