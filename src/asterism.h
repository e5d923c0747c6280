/* SPDX-License-Identifier: BSD-3-Clause */
/* Asterism from C. Pipelines: open a file, set parameters, see the mistakes, check, draw, run.
 * Force fields: energies, forces and stresses of many structures in one call. */
#ifndef ASTERISM_H
#define ASTERISM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Functions that return int give 0, or a negative code whose sentence aster_job_message has. A
 * mistake in the pipeline file or in a value is no such error: it is listed, and aster_job_check
 * and aster_job_run then give ASTER_EPARAM (-5). */
#define ASTER_CALL __attribute__((warn_unused_result)) int

/* One pipeline with its parameters. Texts that it returns live as long as it does, lists until its
 * next call. In a process one job may run, or one calculator be open, at a time. */
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
    const char *reduction; /* how GPUs share sums and updates: tree, pieces; NULL: as links ask for */
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
/* The steps of its training, or batches of its embedding, with a clock around them, and the stages
 * before it. In the simulating program nothing is computed and time is that of the machine. */
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
/* asks the run to end: trainings write a checkpoint first, other work goes on from what is
 * committed; may be called in a signal handler */
void aster_job_stop(void);
/* Makes report.html of a run directory again; *path is its name. */
ASTER_CALL aster_job_report(struct aster_job *job, const char *dir, const char **path);

/* ---- force fields ----
 * Angstrom, eV, eV/Angstrom, eV/Angstrom^3. Results are the same bits whatever else is in a call,
 * and however many workers there are. One thread at a time may call. */
struct aster_calculator;
struct aster_calculator_options {
    bool f64;            /* double precision; else single */
    const char *mixing;  /* "file", "compat", "isotropic": as in mlff-evaluate */
    int64_t intervals;   /* of the tables of filters; 0: exact filters; -1: 512 in single
                            precision, exact in double */
    int64_t batch_atoms; /* atoms of one task, about; 0: chosen */
    int cpus;            /* CPU workers; -1: one per core */
    const char *gpus;    /* as in struct aster_job_options, and so the next two */
    const char *gpu_memory;
    int64_t memory;
    const char *isa; /* NULL: the best that this machine has */
};
void aster_calculator_options_default(struct aster_calculator_options *o);
/* weights: .h5, .safetensors or a PyTorch archive. o NULL: the defaults. *calculator is set even
 * when this fails, for the message; NULL only without memory. Starts the workers. */
ASTER_CALL aster_calculator_open(const char *weights, const struct aster_calculator_options *o,
                                 struct aster_calculator **calculator);
void aster_calculator_close(struct aster_calculator **calculator);
int aster_calculator_code(const struct aster_calculator *c); /* of the last call */
const char *aster_calculator_message(const struct aster_calculator *c);
double aster_calculator_cutoff(const struct aster_calculator *c);  /* of the force field */
int aster_calculator_max_number(const struct aster_calculator *c); /* the heaviest element */

/* One molecule or crystal. Zero what is not used. */
struct aster_molecule {
    int64_t n;              /* atoms */
    const int32_t *number;  /* [n], 1 is hydrogen */
    const double *position; /* [n][3] */
    const double *cell;     /* [3][3], rows are the vectors; NULL: none */
    bool periodic[3];
    /* results: written by the call; arrays where they are not NULL */
    int32_t status; /* 0, or the code of what is wrong with this one; its results are NaN then */
    double energy;
    double *energies; /* [n], of every atom */
    double *forces;   /* [n][3] */
    double *virial;   /* [3][3], dE/d(strain), as it is: not symmetric with free mixing */
    double *stress;   /* xx yy zz yz xz xy; positive is tension; zeros where no axis is periodic */
};
/* n molecules of any sizes. 0 also when some of them have a status; *failed, may be NULL, counts
 * those. Every call computes: results are not kept for a second one with the same positions. */
ASTER_CALL aster_calculator_run(struct aster_calculator *c, int64_t n,
                                struct aster_molecule *molecules, int64_t *failed);
/* Why molecule i of the last call has a status; "" when it has none. */
const char *aster_calculator_reason(const struct aster_calculator *c, int64_t i);

/* Seconds of the calls so far; zeros when there was none. */
struct aster_calculator_times {
    int64_t calls, molecules, atoms;
    double total, mean, min, max, median, deviation;
};
void aster_calculator_times(const struct aster_calculator *c, struct aster_calculator_times *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
