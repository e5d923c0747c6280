/* SPDX-License-Identifier: BSD-3-Clause */
/* A run: stages and their options, the run directory, items, shards, ledger, progress, reports. */
#ifndef ASTER_FLOW_H
#define ASTER_FLOW_H

#include "base/base.h"
#include "runtime/runtime.h"

/* ---- what a stage kind accepts: one table, used by the validator, the help and the manual ---- */
enum aster_opt_type {
    ASTER_OPT_STR,
    ASTER_OPT_FILE /* to read; "-" where stdin_ok */,
    ASTER_OPT_PATH /* to write, or a folder */,
    ASTER_OPT_INT,
    ASTER_OPT_REAL,
    ASTER_OPT_BOOL,
    ASTER_OPT_CHOICE,
    ASTER_OPT_INTS,
    ASTER_OPT_REALS,
    ASTER_OPT_STRS,
    ASTER_OPT_FILES,
    ASTER_OPT_STAGE /* name of another stage */,
    ASTER_OPT_STAGES
};
struct aster_opt {
    const char *key;
    enum aster_opt_type type;
    const char
        *def; /* text of the default, lists with commas; NULL: must be given; "": may stay unset */
    double min, max;     /* INT, REAL and their lists; 0, 0: no range */
    const char *choices; /* "onehot|blosum"; STAGE(S): the kinds of output accepted,
                            "proteins|split"; FILE: "-" if stdin may be read */
    const char *unit;    /* "" or "residues", "bytes", ... */
    const char *help;    /* one sentence */
};

struct aster_opt_value {
    bool is_set;      /* given, or has a default that is not "" */
    const char *text; /* as written, references resolved */
    int64_t i;
    double x;
    bool b;
    int64_t n; /* lists */
    const char *const *items;
    const double *numbers;
    int line, column; /* in the pipeline file; 0 for a default */
};

struct aster_stage_kind {
    const char *name;   /* "read-table" */
    const char *output; /* kind of what it gives: "proteins", "model", "predictions", "none" */
    const char *help;
    const struct aster_opt *opts;                            /* ends with key NULL */
    int (*run)(struct aster_ctx *ctx, void *run, int stage); /* used by flow only */
    /* NULL, or what can be found wrong before the run has a folder; used by flow only */
    int (*ready)(struct aster_ctx *ctx, void *run, int stage);
};
int aster_stage_n_kinds(void);
const struct aster_stage_kind *aster_stage_kind(int i);
const struct aster_stage_kind *aster_stage_find(const char *name); /* NULL if there is none */

/* ---- a resolved pipeline ---- */
struct aster_stage_spec {
    const char *id;
    const struct aster_stage_kind *kind;
    const struct aster_opt_value *values; /* as kind->opts */
    int line, column;
};
struct aster_run_param {
    const char *name, *value;
    bool given;
};
struct aster_run_spec {
    const char *name, *file, *text; /* text: the file's bytes */
    int n_params;
    const struct aster_run_param *params;
    int n_stages; /* every stage after those it reads */
    const struct aster_stage_spec *stages;
};

struct aster_run_timing;

/* ---- running ---- */
struct aster_run_options {
    struct aster_runtime_options runtime;
    const char *out; /* run directory; NULL: runs/<pipeline>/run_NNN, the next free number */
    bool resume;
    bool quiet, dashboard; /* dashboard: stderr is a terminal */
    double stall;          /* warn of a worker that is so many seconds in one task; 0: never */
    const char *command_line;
    bool trace;
    struct aster_run_timing *timing; /* timing.h; NULL: the whole pipeline */
};
struct aster_run_result {
    int64_t items, failed;
    double wall_s, busy;
    int64_t peak_memory;
    char *dir;
};
/* 0: all items done; ASTER_ESTOP: stopped by the user after a checkpoint; other negatives: the run
 * could not be carried out. result->failed > 0 makes the exit status 2. result->dir is the caller's
 * to free. */
ASTER_CHECKED int aster_run(struct aster_ctx *ctx, const struct aster_run_spec *spec,
                            const struct aster_run_options *o, struct aster_run_result *result);
/* Everything that can be known before computing: inputs readable, models and data fit, memory,
 * expected task times; as text. */
ASTER_CHECKED int aster_run_check(struct aster_ctx *ctx, const struct aster_run_spec *spec,
                                  const struct aster_run_options *o, struct aster_str *out);
/* Name and hash of every file that the pipeline reads, a line each. */
ASTER_CHECKED int aster_run_inputs(struct aster_ctx *ctx, const struct aster_run_spec *spec,
                                   struct aster_str *out);
/* The weights file of a run folder, or of a file's name: itself. */
ASTER_CHECKED int aster_weights_find(struct aster_ctx *ctx, const char *path, char **out);
/* Makes report.html of an existing run directory again. */
ASTER_CHECKED int aster_run_report(struct aster_ctx *ctx, const char *dir, char **path_out);
void aster_run_request_stop(void); /* async-signal-safe */

#endif
