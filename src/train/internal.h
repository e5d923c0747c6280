/* SPDX-License-Identifier: BSD-3-Clause */
/* Training and inference from the inside. For src/train only. */
#ifndef ASTER_TRAIN_INTERNAL_H
#define ASTER_TRAIN_INTERNAL_H

#include "runtime/slots.h"
#include "train/train.h"

#include <pthread.h>

/* ---- plans.c: programs bound to the batch shapes that occur ---- */
struct planned {
    struct aster_plan *plan;
    int64_t n, n_batch; /* samples of the shard, of the whole batch */
    int64_t active;     /* positions for which there are results */
    int n_segments;
    int64_t x, labels, count, loss, probs; /* where they lie in INPUT and OUTPUT, bytes */
};
struct plans {
    struct aster_ctx *ctx;
    const struct aster_program *program;
    int64_t length;
    bool extents;
    bool cut; /* results end with the longest sample (of time-major models, unless all padding is
                 wanted) */
    struct planned **list;
    int64_t n, cap;
};
ASTER_CHECKED int eval_program(struct aster_ctx *ctx, const struct aster_model_config *model,
                               enum aster_dtype real, const double *class_weights,
                               struct aster_program **out);
/* For samples of at most that length. */
ASTER_CHECKED int plans_get(struct plans *p, int64_t n, int64_t n_batch, int64_t longest,
                            const struct planned **out);
/* Raises most, by class, to the bytes that samples of any length need. */
ASTER_CHECKED int plans_most(struct plans *p, int64_t n, int64_t n_batch, int64_t *most);
void plans_done(struct plans *p);
ASTER_CHECKED int planned_look(struct aster_ctx *ctx,
                               struct planned *p); /* fills what follows from the plan */
/* Role by role; the caller sets at[], info, lengths. */
void planned_task(const struct planned *p, int segment, const char *name,
                  struct aster_program_task *t);
int64_t planned_bytes(const struct planned *p, enum aster_class c);

/* ---- train.c ---- */
/* which: "training" */
ASTER_CHECKED int train_check_samples(struct aster_ctx *ctx, const char *which,
                                      const struct aster_train_config *c, int64_t n,
                                      const struct aster_sample *s);

/* ---- samples ---- */
int64_t sample_counted(const struct aster_sample *s); /* residues that count in the loss */
int64_t chunk_of(int64_t n, int64_t shards);          /* samples per shard: ceil(n / shards) */
int64_t longest_of(int64_t n,
                   const struct aster_sample *const *s); /* NULL among them: of no length */
/* Of one array; longest first, equal ones in the array's order. */
void sort_by_length(int64_t n, const struct aster_sample **s);

/* ---- predict.c ---- */
struct predictor_setup { /* what aster_predictor_new decides by itself and a trainer prescribes */
    const struct aster_program *program;  /* eval program; stays the caller's */
    struct aster_buffer *param, *running; /* stay the caller's; running NULL without buffers */
    struct aster_model_config model;
    enum aster_dtype real;
    int64_t part;    /* samples per task */
    bool fixed_part; /* an error when it does not fit, instead of halves */
    int64_t window;  /* tasks in flight; 0: 3 per worker */
    bool full_padding, with_loss;
};
ASTER_CHECKED int predictor_make(struct aster_ctx *ctx, struct aster_runtime *rt,
                                 const struct aster_encoding *enc, const struct predictor_setup *s,
                                 struct aster_predictor **out);
/* After the parameters changed: what is computed once for all batches. */
ASTER_CHECKED int predictor_refresh(struct aster_predictor *p);

/* ---- model_text.c ---- */
void model_to_json(const struct aster_model_config *c, struct aster_str *out);
ASTER_CHECKED int model_from_json(struct aster_ctx *ctx, const char *where, const char *text,
                                  struct aster_model_config *out);
/* A name and the options of one model as the reference's config has them; absent ones keep their
 * defaults. */
ASTER_CHECKED int model_from_reference(struct aster_ctx *ctx, const char *where, const char *name,
                                       const char *options, int64_t input_dim, int64_t max_length,
                                       struct aster_model_config *out);

/* ---- schedule.c: what follows from the value of each epoch ---- */
enum { TOP_MAX = 64 };
struct progress {               /* the part of a checkpoint that is not parameters */
    int64_t epoch, batch, step; /* epochs done, batches of this epoch done, optimizer steps done */
    double loss_sum;            /* of this epoch's batches, in order */
    int64_t skipped;            /* of them: without a finite loss */
    double lr;
    double plateau_best;
    int64_t plateau_bad;
    double best;            /* of the monitored value */
    int64_t best_epoch;     /* -1: none saved */
    int64_t without_better; /* epochs in a row */
    int64_t n_top, top_epoch[TOP_MAX];
    double top_value[TOP_MAX];
};
struct monitor {
    double (*value)(const struct aster_epoch *e);
    bool max;
};
ASTER_CHECKED int monitor_find(struct aster_ctx *ctx, const char *name, bool max,
                               struct monitor *out);
void progress_init(const struct aster_train_config *c, struct progress *p);
/* What the epoch's value means: saves_best, the epoch that falls out of the top (-1: none; its own
 * number: not among them). */
struct verdict {
    bool is_best;
    bool in_top;
    int64_t dropped;
    bool stop;
};
/* The rate of the next step; n_batches: steps of an epoch. */
double progress_rate(const struct aster_train_config *c, int64_t n_batches,
                     const struct progress *p);
void progress_epoch(const struct aster_train_config *c, const struct monitor *m,
                    const struct aster_epoch *e, struct progress *p, struct verdict *v);

/* ---- checkpoint.c, weights.c ---- */
struct snapshot { /* host copies; m, v may be NULL */
    const struct aster_program *program;
    const struct aster_model_config *model; /* NULL, and with it these two: none of ours */
    const char *encoding;
    const double *class_weights;
    const char *config, *provenance;
    enum aster_optimizer optimizer;
    void *params, *m, *v;
    double *buffers;
    struct progress progress;
};
ASTER_CHECKED int snapshot_write(struct aster_ctx *ctx, const char *path, const struct snapshot *s,
                                 const char *isa);
/* Into params, buffers, m, v of s (allocated) and progress; *isa is the caller's to free. An error
 * when config differs. */
ASTER_CHECKED int snapshot_read(struct aster_ctx *ctx, const char *path, struct snapshot *s,
                                char **isa);
void snapshot_free(struct snapshot *s); /* params, buffers, m, v */
ASTER_CHECKED int config_text(struct aster_ctx *ctx, const struct aster_train_config *c,
                              const struct aster_encoding *enc, int64_t n_train,
                              const struct aster_sample *train, int64_t n_val,
                              const struct aster_sample *val, struct aster_str *out);
/* The first line in which two texts differ, as an error naming it. */
ASTER_CHECKED int config_compare(struct aster_ctx *ctx, const char *path, const char *theirs,
                                 const char *ours);

#endif
