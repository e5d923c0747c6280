/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the kernel table test: one call of a kernel with its guarded memory, and the comparison of
 * results. */
#ifndef ASTER_TESTS_KT_INNER_H
#define ASTER_TESTS_KT_INNER_H

#include "kt.h"

enum kt_metric { KT_NMSE, KT_MAXREL };

struct kt_tolerance {
    enum aster_op_kind op;
    enum aster_dtype dtype;
    enum aster_products products;
    enum kt_metric metric;
    double limit;
    const char *reason;
};
const struct kt_tolerance *kt_tolerance_of(enum aster_op_kind op, enum aster_dtype dtype,
                                           enum aster_products products); /* NULL: none */

/* What is tested: a table, and for one that emulates a GPU its device. */
struct kt_target {
    const struct aster_backend *be;
    const char *name;
    struct aster_device *device;
    bool is_slow; /* sizes are cut where a case says so, kt_cut, and calls and types of large cases
                     take turns */
    bool ragged;  /* it can leave rows out */
    int n_alone;  /* samples at either end of a batch that are tried alone */
    void (*begin)(
        int number); /* NULL, or before each call of a case; number: which of its kinds of calls */
    const char *(*caught)(void); /* NULL, or what was wrong with the call, NULL if nothing */
};
enum { KT_MOST_TARGETS = 4 };
int kt_n_targets(void);
const struct kt_target *kt_target(int k);
/* Runs the table of one op against all targets and says how it went. */
void kt_run_op(enum aster_op_kind op, enum aster_dtype real, enum aster_products products);
/* Those that argv names, or all; both real types, and products of rounded operands. */
void kt_run_ops(int argc, char **argv);

struct kt_result { /* of one target */
    int cases, failures;
    double worst;
    char first[256]; /* the first failure */
};

struct kt {
    enum aster_op_kind op;
    enum aster_dtype real;
    enum aster_products products;
    const struct kt_tolerance *tolerance;
    uint64_t random;
    int n_cases, n_large, n_huge;
    struct kt_result result[KT_MOST_TARGETS];
    int perturbed, missed; /* spoilt results, and those of them that passed */
    int n_whole;           /* results of whole operands that did not pass where they are rounded */
};

struct kt_buffer { /* bytes at p, with a band before and behind */
    char *base, *p;
    int64_t bytes;
};
struct kt_call {
    struct aster_args a;
    struct aster_run_info run;
    struct kt_buffer in[ASTER_MAX_IN], before[ASTER_MAX_IN], out[ASTER_MAX_OUT], work;
    int32_t status[KT_SAMPLES];
};

/* The whole case, or (sample >= 0) that one of its samples alone. in_place >= 0: output `over`
 * lies on that input. */
void kt_call_new(struct kt_call *call, const struct kt_case *c, int64_t sample, int in_place);
void kt_call_free(struct kt_call *call);
/* Runs it, KT_POISON: under the poison table; NULL or what was wrong with the memory. */
enum kt_kind { KT_PLAIN, KT_POISON, KT_OTHER };
const char *kt_call_run(struct kt_call *call, const struct kt_target *target, enum aster_op_kind op,
                        enum kt_kind kind);

double kt_load(enum aster_dtype t, const void *p, int64_t k);
void kt_store(enum aster_dtype t, void *p, int64_t k, double v);
/* How far output number k at p is from the case's; infinite where something is not finite that
 * should be. */
double kt_error(const struct kt_case *c, int k, const void *p);
/* Copies of output k at p, spoilt by ten times the limit and by a NaN, must not pass. */
void kt_spoil(const struct kt_case *c, int k, const void *p);
/* Bytes of sample b, which lie in pieces along the batch axis: from t's memory, or back to it. */
void kt_sample_bytes(const struct kt_tensor *t, int64_t sample, char *whole, char *alone,
                     bool back);

#endif
