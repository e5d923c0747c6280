/* SPDX-License-Identifier: BSD-3-Clause */
/* Running pipelines from C: open a file, set parameters, see the mistakes, check, draw, run. */
#ifndef ASTERISM_H
#define ASTERISM_H

#include <stdbool.h>
#include <stdint.h>

/* Functions that return int give 0, or a negative code whose sentence aster_job_message has. A
 * mistake in the pipeline file or in a value is no such error: it is listed, and aster_job_check
 * and aster_job_run then give ASTER_EPARAM (-5). */
#define ASTER_CALL __attribute__((warn_unused_result)) int

/* One pipeline with its parameters. Texts that it returns live as long as it does, lists until its
 * next call. One job at a time may run in a process. */
struct aster_job;

const char *aster_version(void); /* "0.1.0" */

/* file: a path, or the name of an installed pipeline such as "rcl-train". *job is set even when the
 * file cannot be read, for the message; NULL only without memory. file NULL: a job without
 * pipeline, for aster_job_report. */
ASTER_CALL aster_job_open(const char *file, struct aster_job **job);
void aster_job_close(struct aster_job **job);

/* ---- what went wrong ---- */
int aster_job_code(const struct aster_job *job);
const char *aster_job_message(const struct aster_job *job);
/* where in the program, for reports of bugs */
const char *aster_job_place(const struct aster_job *job);
int64_t aster_job_n_mistakes(const struct aster_job *job);
/* "file:line:column: message" */
const char *aster_job_mistake(const struct aster_job *job, int64_t i);
/* mistakes that are not mere warnings */
int64_t aster_job_n_errors(const struct aster_job *job);

/* ---- parameters ---- */
struct aster_job_param {
    /* range may be ""; def is NULL when a value must be given */
    const char *name, *type, *range, *def, *help;
};
const char *aster_job_name(const struct aster_job *job);
const char *aster_job_file(const struct aster_job *job);
const char *aster_job_description(const struct aster_job *job);
int aster_job_n_params(const struct aster_job *job);
ASTER_CALL aster_job_param(struct aster_job *job, int i, struct aster_job_param *out);
/* As name=value on the command line; every pipeline knows "isa", the instruction set. Looked at by
 * validate, check and run. */
ASTER_CALL aster_job_set(struct aster_job *job, const char *name, const char *value);

/* ---- how to run ---- */
struct aster_job_options {
    const char *out; /* run directory; NULL: runs/<pipeline>/run_NNN */
    bool resume;
    int cpus;               /* CPU workers; -1: one per core */
    const char *gpus;       /* NULL: all; "none"; "0,2" */
    const char *gpu_memory; /* NULL: all that is free; "20G"; "0=20G,2=8G" */
    const char *scheduler;  /* NULL: the one for the devices in use */
    int64_t memory;         /* bytes; 0: 80 % of what is free */
    bool trace;
    bool free_placement; /* with GPUs: the scheduler places shards, instead of dealing them out */
    bool quiet, dashboard;
    double stall;             /* warn of a worker that is so many seconds in one task; 0: never */
    const char *command_line; /* kept with the results */
};
void aster_job_options_default(struct aster_job_options *o);
enum aster_job_log { ASTER_JOB_QUIET, ASTER_JOB_NORMAL, ASTER_JOB_VERBOSE };
/* file may be NULL */
ASTER_CALL aster_job_log(struct aster_job *job, enum aster_job_log level, const char *file);

void aster_job_say(struct aster_job *job, const char *text); /* a line of the log */

struct aster_job_result {
    int64_t items, failed;
    double wall_s, busy; /* busy: 0..1 */
    int64_t peak_memory;
    const char *dir; /* the run directory */
};

/* ---- doing ---- */
/* Lists every mistake in file and values; with inputs, missing files and parameters are some. */
ASTER_CALL aster_job_validate(struct aster_job *job, bool inputs);
/* validate, then what can be known before computing. *plan is text. */
ASTER_CALL aster_job_check(struct aster_job *job, const struct aster_job_options *o,
                           const char **plan);
/* validate with inputs, then a line for every file that is read: "input NAME SHA256". */
ASTER_CALL aster_job_inputs(struct aster_job *job, const char **text);
/* "dot" or "svg" */
ASTER_CALL aster_job_graph(struct aster_job *job, const char *format, const char **text);
/* 0 also when items failed: see the result. -10: stopped on request, to be resumed. */
ASTER_CALL aster_job_run(struct aster_job *job, const struct aster_job_options *o,
                         struct aster_job_result *result);
/* The steps of its training with a clock around them, and the stages before it. In the simulating
 * program nothing is computed and time is that of the machine. */
struct aster_sim_machine;
struct aster_job_clock {
    int64_t warmup, steps;
    const struct aster_sim_machine *machine; /* to simulate; NULL: this machine */
    int gpus;                                /* of the simulated machine */
    const char *expect;                      /* file of measured times to simulate with, or NULL */
    const char *measure,
        *name; /* file of measured times to write, and the machine's name; or NULL */
};
struct aster_job_timing {
    int64_t samples, steps, batch_size, peak_memory;
    int n_workers;
    double seconds, loss;
    double busy, transfer;                                   /* shares of workers times seconds */
    double encode_s, program_s, reduce_s, update_s, other_s; /* of all workers */
    double modelled;        /* share of the task seconds that no measurement is behind */
    char expected_from[64]; /* machine of the measured times */
};
/* validate with inputs, and whether there is something to time. */
ASTER_CALL aster_job_can_time(struct aster_job *job);
ASTER_CALL aster_job_time(struct aster_job *job, const struct aster_job_options *o,
                          const struct aster_job_clock *clock, struct aster_job_timing *out);
/* asks the run to end after a checkpoint; may be called in a signal handler */
void aster_job_stop(void);
/* Makes report.html of a run directory again; *path is its name. */
ASTER_CALL aster_job_report(struct aster_job *job, const char *dir, const char **path);

#endif
