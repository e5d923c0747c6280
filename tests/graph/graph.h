/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the graph tests: made-up proteins, small models, runs in child processes. */
#ifndef ASTER_TESTS_GRAPH_H
#define ASTER_TESTS_GRAPH_H

#include "train/train.h"

enum {
    N_TRAIN = 29,
    N_VAL = 11,
    MAX_LENGTH = 48
}; /* 29 = 8 + 8 + 8 + 5: a last batch of another size */

struct proteins {
    char text[N_TRAIN + N_VAL][MAX_LENGTH + 1];
    struct aster_sample train[N_TRAIN], val[N_VAL];
};
void proteins_make(struct proteins *p);

struct run { /* what a child is told */
    enum aster_model_kind model;
    const char *scheduler, *reduction;
    enum aster_optimizer optimizer;
    int cpus;
    enum aster_products products;
    bool f64, local_bn, full_padding;
    int64_t shards, window, epochs, checkpoint_steps, batch;
    int64_t stop_at; /* progress calls after which the run is stopped; 0: never */
    int64_t die_at;  /* or the process ends at once */
    bool resume, clip, rows, cosine, fail_row;
    int64_t memory; /* bytes; 0: no limit */
    uint64_t seed;
    int64_t width;  /* cnn: channels of its first layer */
    int64_t pieces; /* in which the parameters have to be, or the run fails; -1: any */
    const char *dir;
};
void run_defaults(struct run *r);
int run_parse(int argc, char **argv, struct run *r); /* name=value */
void run_config(const struct run *r, struct aster_train_config *c);
/* In a child: 0 when it did what it was told. */
int run_train(const struct run *r);
int run_predict(const struct run *r);
/* Model files of a finished run in dir: read, written as safetensors, read again, used. */
int run_weights(const struct run *r);
/* Training without StarPU: one thread, plain loops. */
int run_plain(const struct run *r);

struct history {
    FILE *f;
};
int history_line(void *history, const struct aster_epoch *e); /* all bits of an epoch's numbers */

#endif
