/* SPDX-License-Identifier: BSD-3-Clause */
/* Scaling studies: runs with different numbers of workers, what follows from them, the files that
 * say so. */
#ifndef ASTER_FLOW_STUDY_H
#define ASTER_FLOW_STUDY_H

#include "base/base.h"

struct aster_study_run {
    int count, run; /* workers; number of the repetition, from 1 */
    bool ok;
    int64_t batch;     /* samples of a step; of an embedding about, as batches differ */
    double throughput; /* samples per second */
    double step_ms, program_ms, optimizer_ms, comm_ms, data_ms, peak_mb, loss, busy, transfer,
        modelled;
    char times_from[64]; /* machine whose measured times a simulation used, "-" */
    char error[200];
};
/* Fills what the output of calibrate or simulate says; ok only when it is complete. */
void aster_study_run_read(const char *text, struct aster_study_run *r);

struct aster_study {
    bool gpus, simulated;
    const char *pipeline, *machine, *command_line;
    int64_t steps, warmup, runs, batch_per_worker; /* 0: the batch stays the same */
    int n_counts;
    const int *counts;
    struct aster_study_run *run;       /* n_counts x runs, in order */
    struct aster_study_run *predicted; /* n_counts, or NULL: beside measured ones */
};

struct aster_study_row { /* one number of workers */
    int count;
    int64_t batch, n_ok;
    double mean, sd, min, max, median; /* of the throughput; sd of the sample, 0 for one run */
    double speedup, speedup_sd,
        efficiency; /* against the first count: T / T0, (T / count) / (T0 / count0) */
    double step_ms, busy, transfer;
};
/* n_ok is 0 where every run failed, and speedup NaN where the first count has none. rows:
 * [n_counts] */
ASTER_CHECKED int aster_study_rows(struct aster_ctx *ctx, const struct aster_study *s,
                                   struct aster_study_row *rows);
/* Amdahl: the serial share f that fits T0 / T = f + (1 - f) count0 / count best; NaN with fewer
 * than two counts. */
double aster_study_serial(int n, const struct aster_study_row *rows);
/* Step time a + b count by least squares; NaN with fewer than two counts. */
void aster_study_line(int n, const struct aster_study_row *rows, double *a, double *b);
double aster_round_half_up(double x, int digits);

/* config.txt, summary.csv, summary.txt, summary.json, scaling.svg in dir; the summary's text also
 * into text. */
ASTER_CHECKED int aster_study_write(struct aster_ctx *ctx, const struct aster_study *s,
                                    const char *dir, struct aster_str *text);

#endif
