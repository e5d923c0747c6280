/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs: tensor computations in SSA form with symbolic sizes; derivatives, memory plan,
 * execution, cost.
 *
 * Builders never check a return value: a failed emit returns -1, further emits pass it on, and
 * aster_program_finish reports the first error. */
#ifndef ASTER_PROGRAM_H
#define ASTER_PROGRAM_H

#include "backend.h"
#include "base/base.h"

struct aster_program;
struct aster_plan;
typedef int32_t aster_val; /* a value of a program */
typedef int32_t aster_sz;  /* a size: constant, symbol or expression of them */

ASTER_CHECKED int aster_program_new(struct aster_ctx *ctx, const char *name, enum aster_dtype real,
                                    struct aster_program **out);
void aster_program_free(struct aster_program **p);
ASTER_CHECKED int
aster_program_finish(struct aster_program *p); /* first error of any emit; freezes it; hashes it */
enum aster_dtype aster_program_real(const struct aster_program *p);
/* Of a program of f32: how its products are computed, those of its derivatives too. */
void aster_program_set_products(struct aster_program *p, enum aster_products products);
/* Of a program of f32: what its derivative needs of the values before it, and grows with the batch,
 * is kept in bf16 until then. */
void aster_program_set_narrow(struct aster_program *p);
uint64_t aster_program_hash(const struct aster_program *p);
const char *aster_program_name(const struct aster_program *p);

/* ---- sizes ---- */
aster_sz aster_size(struct aster_program *p, int64_t n);
aster_sz aster_size_symbol(struct aster_program *p, const char *name);
aster_sz aster_size_add(struct aster_program *p, aster_sz a, aster_sz b);
aster_sz aster_size_sub(struct aster_program *p, aster_sz a, aster_sz b);
aster_sz aster_size_mul(struct aster_program *p, aster_sz a, aster_sz b);
aster_sz aster_size_div(struct aster_program *p, aster_sz a, int64_t by); /* rounds down */
int aster_val_rank(const struct aster_program *p, aster_val v);
aster_sz aster_val_dim(const struct aster_program *p, aster_val v,
                       int axis); /* axis < 0 counts from the end */
enum aster_dtype aster_val_dtype(const struct aster_program *p, aster_val v);

/* ---- values from outside
 * ------------------------------------------------------------------------------ Each class is one
 * flat buffer. PARAM, GRAD and BUFFER have fixed sizes; tensors start at multiples of 16 elements
 * and the gaps stay zero. GRAD has PARAM's layout. BUFFER holds running statistics (f64); AUX has
 * its layout and carries the batch's values for them. INPUT, FACTS and OUTPUT depend on the bound
 * sizes; offsets are multiples of 64 bytes. FACTS holds inputs too: those that every link of a
 * chain of programs reads of one batch, so that one's OUTPUT is the next one's INPUT. */
enum aster_class {
    ASTER_CLASS_INPUT,
    ASTER_CLASS_FACTS,
    ASTER_CLASS_PARAM,
    ASTER_CLASS_BUFFER,
    ASTER_CLASS_OUTPUT,
    ASTER_CLASS_GRAD,
    ASTER_CLASS_AUX,
    ASTER_CLASS_ARENA,
    ASTER_N_CLASSES
};

/* How a parameter of ours relates to the tensor of the same name in the reference's files. */
enum aster_layout {
    ASTER_LAYOUT_SAME,
    ASTER_LAYOUT_CONV,  /* ours [k, in, out], theirs [out, in, k] */
    ASTER_LAYOUT_LINEAR /* ours [in, out], theirs [out, in] */
};
struct aster_init {
    double uniform;
    double constant;
}; /* constant + uniform * U(-1, 1) */

struct aster_param_info {
    const char *name; /* the reference's name */
    enum aster_layout layout;
    struct aster_init init;
    int rank;
    int64_t dim[ASTER_MAX_RANK]; /* ours */
    enum aster_dtype dtype;      /* the program's real, or bf16 */
    int64_t n, offset;           /* elements; the offset counts reals whatever the dtype is */
    int64_t fan_in; /* as the reference's weight generator counts it; 0 where it has none */
};

aster_val aster_emit_input(struct aster_program *p, const char *name, enum aster_dtype t, int rank,
                           const aster_sz *dims);
aster_val aster_emit_fact(struct aster_program *p, const char *name, enum aster_dtype t, int rank,
                          const aster_sz *dims); /* an input in FACTS */
aster_val aster_emit_param(struct aster_program *p, const char *name, int rank, const int64_t *dims,
                           enum aster_layout layout, struct aster_init init, int64_t fan_in);
/* The same in bf16, in a program of f32: a matrix for aster_emit_linear. It has no gradient. */
aster_val aster_emit_param_bf16(struct aster_program *p, const char *name, int rank,
                                const int64_t *dims, enum aster_layout layout,
                                struct aster_init init, int64_t fan_in);
aster_val aster_emit_buffer(struct aster_program *p, const char *name, int64_t n,
                            double init); /* f64 [n] */
/* v becomes an element of OUTPUT; or of AUX in the place of the buffer with that name. */
void aster_emit_output(struct aster_program *p, const char *name, aster_val v);
void aster_emit_aux(struct aster_program *p, const char *buffer_name, aster_val v);

int aster_program_n_params(const struct aster_program *p);
const struct aster_param_info *aster_program_param(const struct aster_program *p, int i);
int aster_program_n_buffers(const struct aster_program *p);
const struct aster_param_info *aster_program_buffer(const struct aster_program *p, int i);
int64_t aster_program_class_n(const struct aster_program *p,
                              enum aster_class c); /* elements of PARAM/GRAD, BUFFER/AUX */

/* ---- ops: shapes are inferred, wrong ones are an error naming the op and both shapes ---- */
aster_val aster_emit_unary(struct aster_program *p, enum aster_fn fn, aster_val x);
aster_val
aster_emit_gated(struct aster_program *p,
                 aster_val x); /* gelu of the first half of the last axis times the second */
aster_val aster_emit_binary(struct aster_program *p, enum aster_binary op, aster_val a,
                            aster_val b);
aster_val aster_emit_affine(struct aster_program *p, aster_val x, double scale, double shift);
aster_val aster_emit_scale_by_size(struct aster_program *p, aster_val x, double scale,
                                   aster_sz divisor);
aster_val aster_emit_dropout(struct aster_program *p, aster_val x, double prob,
                             int batch_axis); /* keys are counted */
aster_val aster_emit_cast(struct aster_program *p, aster_val x, enum aster_dtype t);
aster_val aster_emit_sum_to(struct aster_program *p, aster_val x, const aster_sz *dims);
aster_val aster_emit_broadcast_to(struct aster_program *p, aster_val x, const aster_sz *dims);
aster_val aster_emit_slice(struct aster_program *p, aster_val x, int axis, aster_sz start,
                           aster_sz length);
aster_val aster_emit_unslice(struct aster_program *p, aster_val x, int axis, aster_sz start,
                             aster_sz length);
aster_val aster_emit_concat(struct aster_program *p, int n, const aster_val *x, int axis);
aster_val aster_emit_transpose(struct aster_program *p, aster_val x, const int *perm);
aster_val aster_emit_reshape(struct aster_program *p, aster_val x, int rank, const aster_sz *dims);
aster_val aster_emit_gather(struct aster_program *p, aster_val table, aster_val idx);
/* [rows, D]: row r is the sum of the rows of x whose index is r, in their order */
aster_val aster_emit_scatter_add(struct aster_program *p, aster_val x, aster_val idx,
                                 aster_sz rows);
aster_val aster_emit_matmul(struct aster_program *p, aster_val a, aster_val b, bool ta, bool tb);
aster_val aster_emit_linear(struct aster_program *p, aster_val x, aster_val w, aster_val bias,
                            int act); /* bias may be -1: none; w real or bf16 */
/* t [N, K], constant, holds the transpose of w [K, N]: where w is constant too, the derivative of
 * aster_emit_linear by x multiplies by t, whose rows need no gathering. */
void aster_program_transposed(struct aster_program *p, aster_val w, aster_val t);
aster_val aster_emit_conv1d(struct aster_program *p, aster_val x, aster_val w, aster_val bias,
                            int pad_left, int pad_right, int act);
aster_val aster_emit_avgpool2(struct aster_program *p, aster_val x);
aster_val aster_emit_resize(struct aster_program *p, aster_val x, aster_sz length);
aster_val aster_emit_layernorm(struct aster_program *p, aster_val x, aster_val gamma,
                               aster_val beta, double eps);
aster_val aster_emit_softmax(struct aster_program *p, aster_val x);
aster_val aster_emit_attention(struct aster_program *p, aster_val q, aster_val k, aster_val v,
                               aster_val n_keys, double scale, bool causal);
/* Sequences back to back: see ops.def. slopes may be -1: none. */
struct aster_ragged {
    aster_val q, k, v, starts, slopes;
    int64_t n_heads;
    double scale;
    aster_sz longest;
};
aster_val aster_emit_ragged_attention(struct aster_program *p, const struct aster_ragged *r);
aster_val aster_emit_rotary(struct aster_program *p, aster_val x, aster_val position,
                            aster_val table, int64_t n_heads);
/* Messages between atoms: see ops.def. v may be -1: zero. Give s', and v' in *vectors. */
struct aster_message {
    aster_val s, v, edge, table, link, starts;
    double cutoff;
};
aster_val aster_emit_message(struct aster_program *p, const struct aster_message *m,
                             aster_val *vectors);
aster_val aster_emit_direction(struct aster_program *p, aster_val r, double least);
aster_val aster_emit_vector_length(struct aster_program *p, aster_val s, aster_val v, double eps);
struct aster_gate {
    aster_val s, v, o, matrix;
    bool is_isotropic;
};
aster_val aster_emit_vector_gate(struct aster_program *p, const struct aster_gate *g,
                                 aster_val *vectors);
aster_val aster_emit_lstm(struct aster_program *p, aster_val zx, aster_val whh,
                          bool reverse); /* h */
aster_val aster_emit_sync_sum(struct aster_program *p, aster_val x);
/* Batch normalisation over all axes but the last. Training: statistics of the batch (sync: of all
 * shards, count = total rows in all shards), moments go to AUX at mean_name, var_name (unbiased
 * variance there). Evaluation: from the buffers. */
struct aster_bn {
    const char *name; /* prefix: name.weight, name.bias, name.running_mean, name.running_var */
    bool training, sync;
    aster_sz count; /* rows the statistics are over */
    double eps;
    int act;
    double dropout;
};
aster_val aster_emit_batchnorm(struct aster_program *p, aster_val x, const struct aster_bn *bn);
/* Declares its parameters and buffers (n channels) ahead, where the order of parameters asks for
 * it; nothing if they exist. */
void aster_emit_batchnorm_params(struct aster_program *p, const char *prefix, int64_t n);
/* Weighted cross entropy over the last axis. labels u8; n f64 [1]. Gives the loss f64 [1], and
 * probabilities. */
aster_val aster_emit_xent(struct aster_program *p, aster_val logits, aster_val labels, aster_val n,
                          int n_classes, const double *weights, double eps, aster_val *probs);

/* ---- derivatives
 * -------------------------------------------------------------------------------------------
 * Appends ops for d y / d x[k] (y f64 or real of one element; seed 1) and returns them in dx (-1
 * where y does not depend on it). */
ASTER_CHECKED int aster_program_grad(struct aster_program *p, aster_val y, int n,
                                     const aster_val *x, aster_val *dx);
/* The same for all parameters, delivered in GRAD. */
ASTER_CHECKED int aster_program_grad_params(struct aster_program *p, aster_val y);
/* For a program that is one link of a chain: from dy, the derivative of some number by y (of y's
 * shape), those by all parameters, delivered in GRAD, and by x (may be -1) in dx. */
ASTER_CHECKED int aster_program_grad_from(struct aster_program *p, aster_val y, aster_val dy,
                                          aster_val x, aster_val *dx);

/* ---- plans: a program bound to sizes ---- */
struct aster_bind {
    const char *symbol;
    int64_t n;
};
struct aster_plan_options {
    bool keep_all; /* no two values share memory (tests, background runs) */
    bool extents;  /* evaluation of ragged items: compute only what lengths need (see exec) */
};
ASTER_CHECKED int aster_plan_new(struct aster_ctx *ctx, const struct aster_program *p, int n,
                                 const struct aster_bind *bind,
                                 const struct aster_plan_options *opt, struct aster_plan **out);
void aster_plan_free(struct aster_plan **plan);
/* With extents: the plan of one empty sample that makes the background (its arena is what
 * aster_bound.background points to); NULL where the program does not allow extents (sync ops,
 * time-major models) and everything is computed. */
const struct aster_plan *aster_plan_background(const struct aster_plan *plan);
int64_t aster_plan_bytes(const struct aster_plan *plan, enum aster_class c);
/* Where a named input, fact or output lies in its buffer. */
ASTER_CHECKED int aster_plan_find(struct aster_ctx *ctx, const struct aster_plan *plan,
                                  enum aster_class c, const char *name, struct aster_tensor *shape,
                                  int64_t *offset_bytes);
int aster_plan_n_segments(const struct aster_plan *plan);
/* The sync value at the end of segment k (0 .. n_segments - 2); several sync values between two
 * segments form one buffer. */
int64_t aster_plan_sync_bytes(const struct aster_plan *plan, int k);
enum aster_dtype aster_plan_sync_dtype(const struct aster_plan *plan, int k);
uint64_t aster_plan_hash(const struct aster_plan *plan,
                         int segment); /* program, kernel version, sizes, segment: the footprint */
void aster_plan_cost(const struct aster_plan *plan, int segment, double *flops, double *bytes);
/* Roofline: each op takes the longer of computing and moving its bytes, and a launch. */
struct aster_device_model;
double aster_plan_seconds(const struct aster_plan *plan, int segment,
                          const struct aster_device_model *d);

/* ---- execution ---- */
struct aster_bound { /* pointers for one run; NULL where a class is empty */
    void *at[ASTER_N_CLASSES];
    const void *sync_in; /* total of the sync before this segment */
    void *sync_out;      /* this shard's part of the sync after it */
    struct aster_run_info run;
    struct aster_device *device; /* NULL: the CPU. Else all memory is the device's, and everything
                                    is computed (no extents) */
    const int64_t *lengths;      /* with extents: true length of each sample */
    const void *background; /* with extents: arena of a keep_all run of the same program over one
                               empty sample */
    struct aster_op_times *times; /* NULL, or where seconds per op are added */
};
struct aster_op_times {
    double seconds[ASTER_N_OPS];
    double flops[ASTER_N_OPS];
    double bytes[ASTER_N_OPS];
    int64_t calls[ASTER_N_OPS];
};
void aster_exec(const struct aster_plan *plan, const struct aster_backend *be,
                const struct aster_bound *b, int segment);
/* All segments of n_shards shards in this thread, syncs included (tests, golden programs):
 * plans[s], bounds[s]. */
ASTER_CHECKED int aster_exec_all(struct aster_ctx *ctx, const struct aster_backend *be,
                                 int n_shards, const struct aster_plan *const *plans,
                                 struct aster_bound *bounds);

/* t: the parameter's dtype. flat: PARAM, of f32 where t is bf16. */
/* ---- parameters to and from the reference's layout ---- */
void aster_param_to_reference(const struct aster_param_info *info, enum aster_dtype t,
                              const void *flat, void *theirs);
void aster_param_from_reference(const struct aster_param_info *info, enum aster_dtype t,
                                const void *theirs, void *flat);
/* theirs' shape for a rank and dims of ours */
void aster_param_reference_shape(const struct aster_param_info *info, int64_t dim[ASTER_MAX_RANK]);
void aster_program_init_params(const struct aster_program *p, uint64_t seed,
                               void *flat); /* by name: independent of order */
void aster_program_init_buffers(const struct aster_program *p, double *flat);

void aster_program_print(const struct aster_program *p,
                         struct aster_str *out); /* one line per op */

#endif
