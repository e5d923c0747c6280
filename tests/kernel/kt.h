/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel table test. Every op of ops.def has a function kt_op_<name> here (a missing one does
 * not link) that describes cases and a reference; the harness runs each case on every instruction
 * set of this CPU and holds the results against it. */
#ifndef ASTER_TESTS_KT_H
#define ASTER_TESTS_KT_H

#include "backend.h"

enum { KT_SAMPLES = 64, KT_NO_BATCH = -1 };
#define KT_REAL ((enum aster_dtype)ASTER_N_DTYPES) /* the program's dtype */

struct kt_tensor {
    enum aster_dtype dtype;
    int rank, batch; /* batch: the axis of samples, KT_NO_BATCH */
    int64_t dim[ASTER_MAX_RANK], n;
    double *v; /* values, exact in dtype; NULL: an optional input that is absent */
};

struct kt;

/* One call: inputs, attributes, and room for what the reference says. */
struct kt_case {
    struct kt *t;
    char label[120];
    int n_in, n_out;
    struct kt_tensor in[ASTER_MAX_IN], out[ASTER_MAX_OUT];
    int64_t i[6];
    double f[6];
    int64_t s[2];
    int64_t rows[KT_SAMPLES], rows_in[KT_SAMPLES];
    bool has_rows;
    uint64_t seed;
    int64_t step, sample0;
    int32_t status[KT_SAMPLES];  /* expected */
    bool in_place[ASTER_MAX_IN]; /* output `over` may lie on this input */
    int over;
};

/* Plain loops in double, from in[].v (and attributes) to out[].v and status. Inputs that are operands
 * of products come rounded; operands that a reference computes it rounds itself. */
typedef void kt_reference(struct kt_case *c);

#define KT_DIMS(...)                                                                               \
    (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), (int64_t[])                           \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* A new case, and its tensors in the op's order; inputs start uniform in -1..1, outputs zero. */
struct kt_case *kt_case_new(struct kt *t, const char *fmt, ...) ASTER_PRINTF(2, 3);
double *kt_in(struct kt_case *c, enum aster_dtype dtype, int batch, int rank, const int64_t *dim);
double *kt_out(struct kt_case *c, enum aster_dtype dtype, int batch, int rank, const int64_t *dim);
void kt_in_absent(struct kt_case *c);
void kt_like(struct kt_case *c, bool output,
             const struct kt_tensor *other); /* another tensor of that shape */
/* Runs the case and ends it. */
void kt_run(struct kt_case *c, kt_reference *reference);

enum aster_dtype kt_real(const struct kt *t);
/* Rounds n values as an operand of the products that are tested; nothing where they are whole. */
void kt_round_operand(const struct kt *t, int64_t n, double *v);
/* n, or at most `most` where a target is so slow that large cases would take minutes. */
int64_t kt_cut(int64_t n, int64_t most);
/* Rounds n values to what dtype holds: for references that need an intermediate of the kernel's
 * precision. */
void kt_round(enum aster_dtype dtype, int64_t n, double *v);

/* Numbers of the test's own generator, the same in every run. */
double kt_uniform(struct kt *t, double low, double high);
int64_t kt_below(struct kt *t, int64_t n); /* 0 .. n - 1 */
void kt_fill(struct kt *t, int64_t n, double *v, double low, double high);
void kt_fill_below(struct kt *t, int64_t n, double *v, int64_t limit);

/* Whether dropout keeps an element: its generator, written again from the description. */
bool kt_keeps(const struct kt_case *c, int64_t key, int64_t sample, int64_t place, double p);

#define ASTER_OP(name, family) void kt_op_##name(struct kt *t);
#include "ops.def"
#undef ASTER_OP

#endif
