/* SPDX-License-Identifier: BSD-3-Clause */
/* The StarPU codelets as the layers above see them: buffers, what each task is given, functions
 * that submit one.
 *
 * Every submit function copies what it is given; what that points to stays the caller's until the
 * task has ended. It returns 0 or ASTER_EDEVICE (no worker has the memory for this task),
 * ASTER_ENOMEM. Tasks on the same buffers run in order of submission as far as they write. No
 * starpu.h here. */
#ifndef ASTER_CODELETS_H
#define ASTER_CODELETS_H

#include "backend.h"

#include <stdatomic.h>

/* ---- what all tasks of a runtime share ---- */
struct aster_buffer { /* memory that tasks read and write; made by the runtime */
    void *handle;
    void *host;    /* NULL for scratch */
    int64_t bytes; /* a multiple of 64 */
    bool scratch;  /* one copy per worker, without content between tasks */
    /* In pieces: what lies one behind the other in memory, each moved by itself. A task that is
     * given the whole buffer finds it whole. */
    int n_pieces;
    struct aster_buffer *piece; /* NULL: there is one handle */
    void *whole;                /* the runtime's */
};

/* Vectors of parameters fall into pieces, each summed and updated for itself: a device owns some of
 * them. Where they begin follows from the length alone, since the norm of a gradient is summed by
 * pieces everywhere. */
enum { ASTER_MOST_PIECES = 8, ASTER_TWO_PIECES_FROM = 512, ASTER_ALL_PIECES_FROM = 1 << 17 };
static inline int64_t aster_piece_length(int64_t n) /* elements of each but the last */
{
    int64_t pieces = n >= ASTER_ALL_PIECES_FROM   ? ASTER_MOST_PIECES
                     : n >= ASTER_TWO_PIECES_FROM ? 2
                                                  : 1;
    return aster_max64(64, aster_round_up((n + pieces - 1) / pieces, 64));
}
static inline int aster_n_pieces(int64_t n)
{
    int64_t length = aster_piece_length(n);
    return (int)aster_max64(1, (n + length - 1) / length);
}

/* One finished task, for the timeline of a report. */
struct aster_task_record {
    int worker;
    const char *codelet;
    double start, end; /* seconds since the run began; in a simulation, of its time */
    bool modelled;     /* simulated, and its duration is not a measured one */
};

struct aster_cl_worker { /* counters: written by its worker only, read by the sampler */
    const struct aster_backend *backend;
    struct aster_device *device; /* NULL: a CPU core */
    char name[32];               /* "cpu 0", "gpu 2" */
    _Alignas(64) _Atomic double busy_s;
    _Atomic double since; /* start of the task it runs, 0 when idle */
    _Atomic int64_t tasks;
    void *scratch; /* for codelets; grown when needed */
    int64_t cap_scratch;
};

struct aster_cl_measured {      /* mean time of the tasks with one footprint */
    _Atomic uint64_t footprint; /* 0: free */
    _Atomic double mean_us;
    _Atomic int64_t n;
    _Atomic(const char *) name; /* of the task */
};
enum { ASTER_CL_MEASURED = 1024 };

/* What one worker, a core or a GPU, sustains: for tasks that were never measured. */
struct aster_device_model {
    double flops_f32, flops_f64; /* per second */
    double bandwidth;            /* bytes per second */
    double launch;               /* seconds per kernel */
};

struct aster_cl_env {
    struct aster_ctx *ctx;
    const struct aster_backend *cpu;
    int n_workers, n_gpus; /* GPUs included */
    _Atomic int failed;    /* the code of a device that gave up: what it computed does not count */
    _Atomic bool failing;
    char failure[320]; /* the sentence, written before the code */
    struct aster_cl_worker *worker;
    int64_t memory_limit;                   /* bytes of one task's buffers at most */
    _Atomic int64_t memory_used;            /* of all buffers */
    struct aster_cl_measured *measured;     /* on CPU cores */
    struct aster_cl_measured *measured_gpu; /* on GPUs; NULL: there are none */
    struct aster_device_model core, gpu;
    int64_t gpu_memory; /* of one task's buffers on a GPU at most */
    int n_homes,
        *home; /* GPU workers that shards are dealt to; 0: the scheduler places every task */
    int64_t pieces_from; /* bytes of a gradient that is summed, and used, piece by piece */
    double start;        /* aster_wall() when the run began */
    struct aster_task_record *record; /* NULL without profile */
    int64_t max_records;
    _Atomic int64_t n_records;
};

/* Mean times by footprint: the entry of a footprint, made when add; NULL when there is none or the
 * table is full. */
struct aster_cl_measured *aster_measured_find(struct aster_cl_measured *table, uint64_t footprint,
                                              bool add);

/* ---- samples and how residues become rows ---- */
struct aster_encoding {
    char name[32]; /* onehot blosum esm2 esm2_650m */
    int64_t dim;
    /* a table [n_codes, dim], and the code of every byte; or, when table is NULL, rows on demand */
    const double *table;
    uint8_t code[256];
    /* rows [length, dim] f32 of one sample (by its key); called in workers, thread-safe. 0 or an
     * ASTER_E code: that sample fails. */
    int (*rows)(void *arg, int64_t sample_key, int64_t length, float *out);
    void *arg;
};

struct aster_sample { /* borrowed */
    const char *sequence;
    int64_t length;
    int64_t loop_begin, loop_end; /* 0-based half-open; -1, -1: none */
    int64_t key;                  /* for aster_encoding.rows */
    const uint8_t *labels;        /* NULL: from the loop bounds */
};

/* ---- program: one segment of one shard ---- */
enum aster_role {                    /* absent ones are NULL; at most 8 are there */
                  ASTER_ROLE_INPUT,  /* read */
                  ASTER_ROLE_FACTS,  /* read */
                  ASTER_ROLE_PARAM,  /* read */
                  ASTER_ROLE_BUFFER, /* read */
                  ASTER_ROLE_OUTPUT, /* written, or changed by later segments */
                  ASTER_ROLE_GRAD,
                  ASTER_ROLE_AUX,
                  ASTER_ROLE_ARENA,      /* scratch, or handed from segment to segment */
                  ASTER_ROLE_SYNC_IN,    /* read */
                  ASTER_ROLE_SYNC_OUT,   /* written */
                  ASTER_ROLE_BACKGROUND, /* read */
                  ASTER_N_ROLES
};
struct aster_program_task {
    const char *name; /* in a timeline; lives as long as the program */
    const struct aster_buffer *at[ASTER_N_ROLES];
    /* The executor, which lives above: called with the address of each role, NULL where absent. */
    void (*run)(const struct aster_program_task *t, const struct aster_backend *be,
                struct aster_device *device, void *const *at);
    bool one_kind; /* where there are GPUs, on them only: bits of one kind of device do not mix with
                      another's */
    const void *plan;
    int64_t
        shard; /* of a training (one_kind): with homes, its tasks run on the home of this number */
    int segment; /* 0: nothing that was in OUTPUT, GRAD, AUX, ARENA counts */
    struct aster_run_info info;
    const int64_t *lengths;
    uint64_t footprint;  /* of the plan and segment */
    double flops, bytes; /* expected cost */
    /* Seconds on a device that was never measured: op by op. NULL: from flops and bytes. */
    double (*seconds)(const struct aster_program_task *t, const struct aster_device_model *d);
};
ASTER_CHECKED int aster_cl_program(struct aster_cl_env *env, const struct aster_program_task *t);

/* ---- encode: samples to the input buffer of a shard ---- */
struct aster_encode_task {
    const struct aster_encoding *enc;
    enum aster_dtype real;
    bool time_major, with_labels; /* without labels all positions are 255 */
    int64_t n, n_positions;
    const struct aster_sample *const
        *samples;             /* n; NULL, or a status set before: an empty sample */
    double counted;           /* residues of the whole batch that count */
    int64_t x, labels, count; /* where they lie in the input buffer, bytes */
    int32_t *status;          /* n codes; set where rows() failed */
    const struct aster_buffer *input;
};
ASTER_CHECKED int aster_cl_encode(struct aster_cl_env *env, const struct aster_encode_task *t);

/* ---- where a task runs: on the home of this number, where there are homes ---- */
enum { ASTER_NO_HOME = -1 };

/* ---- reduction: always the tree (s0 + s1) + (s2 + s3) ... ---- */
enum { ASTER_MOST_PARTS = 256 };
/* y += x, n elements */
ASTER_CHECKED int aster_cl_add(struct aster_cl_env *env, int64_t home, enum aster_dtype t,
                               int64_t n, const struct aster_buffer *y,
                               const struct aster_buffer *x);
/* All of part[0..n_parts-1] into part[0] by the tree, as n_parts - 1 tasks, or a task for each
 * piece; the parts are used up. */
ASTER_CHECKED int aster_cl_add_tree(struct aster_cl_env *env, enum aster_dtype t, int64_t n,
                                    int n_parts, const struct aster_buffer *const *part);
/* The same sum in one task: for small parts, and for pieces of large ones. A part that is NULL has
 * been added before, where the tree does it. */
ASTER_CHECKED int aster_cl_sum(struct aster_cl_env *env, int64_t home, enum aster_dtype t,
                               int64_t n, int n_parts, const struct aster_buffer *const *part);
/* The same tree over values in host memory, used up. */
double aster_tree_sum(int64_t n, double *x);

/* ---- optimizer: one block ---- */
enum aster_optimizer {
    ASTER_OPTIMIZER_ADAM,
    ASTER_OPTIMIZER_ADAMW,
    ASTER_OPTIMIZER_SGD,
    ASTER_OPTIMIZER_RMSPROP /* Adam's second moment alone, uncorrected: beta1 does not count */
};
struct aster_update_task {
    enum aster_optimizer kind;
    enum aster_dtype real;
    int64_t n;
    struct aster_update update;                      /* grad_scale 1 */
    double clip_norm;                                /* 0: off */
    const struct aster_buffer *param, *grad, *m, *v; /* v NULL for sgd */
    const struct aster_buffer *norm; /* f64 [1]: sum of the squares of grad; not finite: the step
                                        changes nothing. NULL without clipping */
    int64_t home;
};
ASTER_CHECKED int aster_cl_update(struct aster_cl_env *env, const struct aster_update_task *t);
/* out f64 [1] = sum of squares of n elements, by pieces of so many and the tree over these; out has
 * room for ASTER_MOST_PIECES */
ASTER_CHECKED int aster_cl_norm(struct aster_cl_env *env, int64_t home, enum aster_dtype t,
                                int64_t n, int64_t piece, const struct aster_buffer *x,
                                const struct aster_buffer *out);
/* running f64 [n] += momentum (batch - running) */
ASTER_CHECKED int aster_cl_ema(struct aster_cl_env *env, int64_t n, double momentum,
                               const struct aster_buffer *running,
                               const struct aster_buffer *batch);

/* ---- neighbours: lists of many structures, as neighbours.h lays them out ---- */
struct aster_neighbours_sizes;
struct aster_neighbours_task {
    const char *name;
    const struct aster_neighbours_sizes *sizes;
    const struct aster_buffer *input, *list; /* input is read, list written */
    const struct aster_buffer *work;         /* for a GPU: its content is nobody's */
};
ASTER_CHECKED int aster_cl_neighbours(struct aster_cl_env *env,
                                      const struct aster_neighbours_task *t);

/* ---- fill: new content of buffers, made on the host ---- */
struct aster_fill_task {
    const char *name;
    int n;
    const struct aster_buffer *const *out;
    void (*fill)(void *arg, void *const *out); /* in a worker, with the addresses of out */
    void *arg;
};
ASTER_CHECKED int aster_cl_fill(struct aster_cl_env *env, const struct aster_fill_task *t);

/* ---- judge: a buffer changed on the host by what others hold ---- */
struct aster_judge_task {
    const char *name;
    int n;
    const struct aster_buffer *const *in;
    const struct aster_buffer *out;
    void (*judge)(void *arg, const void *const *in, void *out); /* in a worker */
    void (*done)(void *arg); /* NULL, or called after the task has let go of its buffers' content */
    void *arg;
};
ASTER_CHECKED int aster_cl_judge(struct aster_cl_env *env, const struct aster_judge_task *t);

/* ---- commit: results to host memory ---- */
struct aster_commit_task {
    const char *name;
    int n;
    const struct aster_buffer *const *in;
    void (*copy)(void *arg, const void *const *in); /* in a worker, with the addresses of in */
    void (*done)(void *arg); /* NULL, or called after the task has let go of its buffers' content */
    void *arg;
};
ASTER_CHECKED int aster_cl_commit(struct aster_cl_env *env, const struct aster_commit_task *t);

#endif
