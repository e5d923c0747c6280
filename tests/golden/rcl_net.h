/* SPDX-License-Identifier: BSD-3-Clause */
/* A model of a golden file with its weights, run without tasks on one backend in one real type. */
#ifndef ASTER_TESTS_RCL_NET_H
#define ASTER_TESTS_RCL_NET_H

#include "golden/rcl_file.h"
#include "program/program.h"

struct net {
    struct golden *g;
    const struct aster_backend *be;
    enum aster_dtype real;
    struct aster_program *train, *sync, *eval; /* sync: normalised over all shards */
    void *params, *m, *v;
    double *buffers;
};
ASTER_CHECKED int net_new(struct golden *g, const struct aster_backend *be, enum aster_dtype real,
                          struct net *out);
void net_free(struct net *n);

struct net_result {
    double loss;
    double *logits, *probs; /* [batch, length, 2] */
    void *grad;             /* summed over shards */
    double *aux;            /* of the first shard */
};
/* Cuts the batch into shards of the given sizes and runs p on them. */
ASTER_CHECKED int net_run(struct net *n, const struct aster_program *p, int n_shards,
                          const int64_t *sizes, struct net_result *r);
void net_result_free(struct net_result *r);
/* The optimizer's step number step (from 1), and the running statistics. */
void net_update(struct net *n, const struct net_result *r, int64_t step);
/* A parameter of a flat vector in the reference's layout, as doubles. */
ASTER_CHECKED int net_theirs(const struct net *n, const struct aster_param_info *info,
                             const void *flat, double **out);

#endif
