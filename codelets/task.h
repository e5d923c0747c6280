/* SPDX-License-Identifier: BSD-3-Clause */
/* What all codelets share: making a task, counting its time, its expected cost. For codelets/ only.
 */
#ifndef ASTER_CODELETS_TASK_H
#define ASTER_CODELETS_TASK_H

#include "codelets.h"

#include "starpu_head.h"

#ifndef ASTER_SIM
#define ASTER_SIM 0 /* 1: built with a StarPU that simulates */
#endif

struct aster_task { /* first member of every argument struct */
    struct aster_cl_env *env;
    const char *name;
    uint64_t footprint;
    double flops, bytes;
    int64_t memory; /* of the buffers, set by aster_task_submit */
    double started;
    bool one_kind; /* on GPUs only, where there are some */
    int launches;  /* of kernels on a GPU; 0: one */
    int64_t turn;  /* the piece that a buffer's handles begin with: GPUs that fetch at the same time
                      begin with different ones, each from another GPU */
    /* seconds on a device, given the whole argument; NULL: from flops and bytes */
    double (*seconds)(const struct aster_task *t, const struct aster_device_model *d);
    void (*done)(void *arg);
    void *done_arg;
};

/* A task with a copy of arg (size bytes, a struct aster_task first) and room for n buffers; NULL
 * without memory. */
struct starpu_task *aster_task_new(struct starpu_codelet *cl, const void *arg, size_t size, int n);
/* Handle k and the following ones, if it is in pieces; the number of the next. */
int aster_task_buffer(struct starpu_task *task, int k, const struct aster_buffer *b,
                      enum starpu_data_access_mode mode);
static inline int aster_task_handles(const struct aster_buffer *b)
{
    return b->piece ? b->n_pieces : 1;
}
/* To the home of that number, where there are homes and it is one. */
void aster_task_home(const struct aster_cl_env *env, struct starpu_task *task, int64_t home);
/* Which GPU that is, counted from 0; 0 without homes. */
int64_t aster_task_turn(const struct aster_cl_env *env, int64_t home);
/* Submits, or says why not and drops the task. */
ASTER_CHECKED int aster_task_submit(struct starpu_task *task);

/* Around the work of a CPU function; the table of kernels of this worker. */
const struct aster_backend *aster_task_begin(struct aster_task *t);
void aster_task_end(struct aster_task *t);
/* The GPU of this worker; NULL on a CPU core. */
struct aster_device *aster_task_device(const struct aster_task *t);
/* At least bytes of memory of this worker, 64-byte aligned; NULL when there is none. */
void *aster_task_scratch(struct aster_task *t, int64_t bytes);

/* For struct starpu_codelet and struct starpu_perfmodel. */
int aster_task_can_execute(unsigned worker, struct starpu_task *task, unsigned nimpl);
double aster_task_cost(struct starpu_task *task, struct starpu_perfmodel_arch *arch,
                       unsigned nimpl);
uint32_t aster_task_footprint(struct starpu_task *task);

#define ASTER_PERFMODEL(text)                                                                      \
    {                                                                                              \
        .type = STARPU_PER_ARCH, .symbol = text, .arch_cost_function = aster_task_cost,            \
        .footprint = aster_task_footprint                                                          \
    }
/* The same glue serves a GPU worker: aster_task_begin gives the table of kernels that belongs to
 * the worker. */
#if ASTER_HAVE_CUDA || ASTER_SIM
#define ASTER_CUDA_FUNCTION(f) .cuda_funcs = {f}, .cuda_flags = {STARPU_CUDA_ASYNC},
#else
#define ASTER_CUDA_FUNCTION(f)
#endif

/* A simulation runs no kernels, only what hands results to the host. */
#if ASTER_SIM
#define ASTER_RUN_IN_SIMULATION .flags = STARPU_CODELET_SIMGRID_EXECUTE,
#else
#define ASTER_RUN_IN_SIMULATION
#endif

static inline void *aster_task_pointer(void *buffer)
{
    return (void *)STARPU_VECTOR_GET_PTR((struct starpu_vector_interface *)buffer);
}
/* The same of a buffer that may be in pieces, whose interfaces begin at buffers. */
void *aster_task_whole(const struct aster_task *t, void *const *buffers,
                       const struct aster_buffer *b);

#endif
