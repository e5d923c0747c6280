/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans from the inside: for src/program only. */
#ifndef ASTER_PLAN_INTERNAL_H
#define ASTER_PLAN_INTERNAL_H

#include "program/internal.h"

struct place {
    enum aster_class cls;
    int64_t offset; /* bytes */
};

struct step {               /* a live op with its sizes bound */
    int op;                 /* number in the program */
    int segment;            /* the segment it runs in; of a sync op: the segment it ends */
    bool is_view;           /* nothing to do */
    struct aster_args args; /* pointers unset */
    double flops, bytes;
};

struct sync_group {    /* the sync values between segment k and k + 1 */
    int first_step, n; /* in steps: consecutive sync ops */
    enum aster_dtype dtype;
    int64_t bytes;
};

struct aster_plan {
    struct aster_ctx *ctx;
    const struct aster_program *p;
    int64_t *size;       /* value of every size */
    struct place *place; /* of every value */
    struct step *step;
    struct sync_group *sync;
    int64_t n_step, n_sync, cap_sync;
    int64_t bytes[ASTER_N_CLASSES];
    int64_t *input_offset, *output_offset;
    int64_t work_offset, work_bytes;
    uint64_t hash;
    bool extents;
    int batch_value; /* the input whose first axis counts samples, for extents */
    struct aster_plan
        *background; /* with extents: the same program over one empty sample, nothing shared */
};

int64_t aster_value_n(const struct aster_plan *plan, aster_val v); /* elements */
int64_t aster_value_bytes(const struct aster_plan *plan, aster_val v);
void aster_tensor_of(const struct aster_plan *plan, aster_val v,
                     struct aster_tensor *t); /* p unset */

/* extents.c */
struct extents; /* rows to compute and rows to copy, for each value and sample */
void aster_exec_extents(const struct aster_plan *plan, const struct aster_backend *be,
                        const struct aster_bound *b);
bool aster_extents_possible(const struct aster_program *p);
int64_t aster_extents_bytes(const struct aster_plan *plan); /* of scratch in the arena */

/* exec.c */
void aster_exec_bind(const struct aster_plan *plan, const struct step *s,
                     const struct aster_bound *b, struct aster_args *a);
void *aster_exec_pointer(const struct aster_plan *plan, aster_val v, const struct aster_bound *b);
void aster_exec_call(const struct aster_backend *be, enum aster_op_kind kind,
                     const struct aster_args *a, const struct step *s,
                     struct aster_op_times *times);

#endif
