/* SPDX-License-Identifier: BSD-3-Clause */
/* StarPU, as much of it as the layers above see: start, workers, buffers, counters. No starpu.h
 * here. */
#ifndef ASTER_RUNTIME_H
#define ASTER_RUNTIME_H

#include "backend.h"
#include "base/base.h"
#include "codelets.h"

struct aster_runtime;
struct aster_runtime_options {
    int cpus;               /* CPU workers; -1: one per core that this process may use */
    const char *gpus;       /* "", NULL, "all"; "none"; "0,2,3" */
    const char *gpu_memory; /* NULL; "20G" of each GPU; "0=20G,2=8G" */
    const char *scheduler;  /* eager lws dmda dmdas ...; NULL: the default for the devices in use */
    const char *isa;        /* auto, x86-64, avx2, avx512, avx512bf16; NULL: auto */
    int64_t memory_limit; /* bytes that buffers of all tasks in flight may take; 0: 80 % of what is
                             free at start */
    bool profile;         /* per-task times for the timeline */
    const struct aster_sim_setup *simulate; /* NULL: this machine */
    bool free_placement; /* with GPUs: the scheduler places the tasks of shards, instead of dealing
                            shards to GPUs */
    const char *reduction; /* tree; pieces, with GPUs not beside free_placement; NULL: as the links
                              ask for. Changes no bits. */
};
struct aster_sim_machine;
struct aster_sim_setup { /* for the simulating program only, inside aster_sim_enter */
    const struct aster_sim_machine *machine;
    int gpus; /* of its GPUs; cpus of the options counts its cores, -1: those that the GPUs' drivers
                 leave */
};
/* Whether a runtime with these options could be had here; starts nothing. */
ASTER_CHECKED int aster_runtime_check(struct aster_ctx *ctx, const struct aster_runtime_options *o);
ASTER_CHECKED int aster_runtime_new(struct aster_ctx *ctx, const struct aster_runtime_options *o,
                                    struct aster_runtime **out);
void aster_runtime_free(
    struct aster_runtime **rt); /* waits for all tasks; all buffers must be gone */
const struct aster_backend *aster_runtime_backend(const struct aster_runtime *rt);
enum aster_isa aster_runtime_isa(const struct aster_runtime *rt);
const char *aster_runtime_scheduler(const struct aster_runtime *rt);
const char *aster_runtime_starpu_version(const struct aster_runtime *rt);
int64_t aster_runtime_memory_limit(const struct aster_runtime *rt);
/* 0, or the error of a device that gave up: what tasks computed since then does not count and is
 * not to be kept. */
ASTER_CHECKED int aster_runtime_failed(const struct aster_runtime *rt);
int aster_runtime_n_workers(const struct aster_runtime *rt);

struct aster_worker_info { /* since the last call by the one sampler */
    char name[32];         /* "cpu 0" */
    double busy;           /* share of the interval, 0..1 */
    int64_t tasks;         /* executed since the start */
    double seconds_busy;   /* since the start */
    double seconds_task;   /* in the task that it runs now; 0: none, and on GPUs */
    int64_t memory_used, memory_total;
};
void aster_runtime_sample(struct aster_runtime *rt, int worker, struct aster_worker_info *out);

/* The kinds of workers and the instruction set, into an empty text: "cpu + gpu (avx2)". */
ASTER_CHECKED int aster_runtime_kinds(struct aster_ctx *ctx, const struct aster_runtime *rt,
                                      struct aster_str *out);

/* Finished tasks (struct aster_task_record), for the timeline of a report. Recorded with profile,
 * at most 200 000; call it while no task runs. */
int64_t aster_runtime_records(struct aster_runtime *rt, const struct aster_task_record **out);

/* Seconds; in a simulation those that pass there. */
double aster_runtime_now(const struct aster_runtime *rt);
bool aster_runtime_simulates(void); /* whether this is the simulating program */

/* What the workers did between two moments, from the records of tasks (made with profile). Shares
 * are of workers times seconds. */
enum aster_work {
    ASTER_WORK_ENCODE,
    ASTER_WORK_PROGRAM,
    ASTER_WORK_REDUCE,
    ASTER_WORK_UPDATE,
    ASTER_WORK_OTHER,
    ASTER_N_WORKS
};
struct aster_usage {
    int workers;           /* that count: the GPUs where there are some, else the CPU workers */
    double busy, transfer; /* in tasks; waiting for data (known in simulations, else 0) */
    double seconds[ASTER_N_WORKS]; /* of those workers */
    double
        modelled; /* share of the task seconds that follow from a roofline, not from measurements */
    int64_t tasks;
};
void aster_runtime_usage(struct aster_runtime *rt, double start, double end,
                         struct aster_usage *out);

/* Measured times of tasks: n of those with one footprint took mean_us. */
struct aster_measured_task {
    uint64_t footprint;
    char name[24];
    double mean_us;
    int64_t n;
};
/* What was measured so far, on CPU workers or on GPUs; *list is the caller's to free. Call it while
 * no task runs. */
ASTER_CHECKED int aster_runtime_measured(struct aster_runtime *rt, bool gpu,
                                         struct aster_measured_task **list, int64_t *n);
/* Takes a measured time for the workers of a simulation; false: there is no more room. */
bool aster_runtime_expect(struct aster_runtime *rt, bool gpu, const struct aster_measured_task *t);

/* A lock with waiting, also for simulated threads; the one that waits must hold it. */
struct aster_gate;
ASTER_CHECKED int aster_gate_new(struct aster_ctx *ctx, struct aster_gate **out);
void aster_gate_free(struct aster_gate **g);
void aster_gate_lock(struct aster_gate *g);
void aster_gate_unlock(struct aster_gate *g);
void aster_gate_wait(struct aster_gate *g); /* until the next wake */
void aster_gate_wake(struct aster_gate *g); /* all that wait */

/* ---- for whoever submits tasks (codelets.h) ---- */
struct aster_cl_env *aster_runtime_env(struct aster_runtime *rt);
void aster_runtime_wait(struct aster_runtime *rt); /* for all tasks */
/* Zeroed memory of at least bytes. It counts against the memory limit only when a task is
 * submitted. */
ASTER_CHECKED int aster_buffer_new(struct aster_runtime *rt, int64_t bytes,
                                   struct aster_buffer **out);
/* One copy per worker that needs it, without content between tasks. */
ASTER_CHECKED int aster_buffer_new_scratch(struct aster_runtime *rt, int64_t bytes,
                                           struct aster_buffer **out);
/* In pieces of so many bytes, a multiple of 64. On the GPUs where programs read or write it whole
 * its pieces lie one behind the other, and are not evicted: those with homes, the home of a number,
 * or none. */
enum { ASTER_WHOLE_EVERYWHERE = -1, ASTER_WHOLE_NOWHERE = -2 };
ASTER_CHECKED int aster_buffer_new_pieces(struct aster_runtime *rt, int64_t bytes,
                                          int64_t piece_bytes, int64_t whole_on,
                                          struct aster_buffer **out);
void aster_buffer_free(struct aster_runtime *rt, struct aster_buffer **b); /* waits for its tasks */
/* The content for this thread, after the tasks submitted before; to write: whole new content. Not
 * in workers. */
void *aster_buffer_open(struct aster_buffer *b, bool write);
void aster_buffer_close(struct aster_buffer *b);

#endif
