/* SPDX-License-Identifier: BSD-3-Clause */
/* A golden file of the labelling models: what golden-rcl reads from it. */
#ifndef ASTER_TESTS_RCL_FILE_H
#define ASTER_TESTS_RCL_FILE_H

#include "io/io.h"
#include "model/model.h"

struct golden {
    struct aster_ctx *ctx;
    const char *path;
    struct aster_h5 *h5;
    struct aster_model_config model; /* dropout 0 */
    char *encoding, *order;          /* order: parameter names, one per line */
    int64_t seed, n_parameters, batch, length, dim;
    double bound_scale, learning_rate, weight_decay, beta1, beta2, eps, class_weights[2],
        well_conditioned;
    float *x;        /* [batch, length, dim] */
    uint8_t *labels; /* [batch, length], 255 = padding */
    int64_t counted; /* labels that are not padding */
    bool has_dp2;
    bool perturb; /* one start weight is moved by 1e-4, and nothing may agree */
};
ASTER_CHECKED int golden_open(struct aster_ctx *ctx, const char *path, struct golden *g);
void golden_close(struct golden *g);

/* A stored tensor: complete, or count entries at flat positions floor(k n / count) of n. */
struct stored {
    double *v;
    int64_t n, count;
    double sum, l2, max_abs,
        f32_diff; /* of the complete tensor; the last is 0 where it is not stored */
};
/* n: elements the complete tensor must have. */
ASTER_CHECKED int stored_read(struct golden *g, const char *group, const char *name, int64_t n,
                              struct stored *out);
void stored_free(struct stored *s);
int64_t stored_position(const struct stored *s, int64_t k);
ASTER_CHECKED int golden_number(struct golden *g, const char *name, int64_t n, double *out);
/* An attribute; fallback when it is absent. */
ASTER_CHECKED int golden_attr(struct golden *g, const char *object, const char *name,
                              double fallback, double *out);

/* The start weights of a parameter in the reference's layout: complete ones as stored; of sampled
 * ones the generated tensor, after its samples were found equal. */
ASTER_CHECKED int golden_weights(struct golden *g, const struct aster_param_info *info,
                                 float *theirs);

#endif
