/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs from the inside: for src/program only. */
#ifndef ASTER_PROGRAM_INTERNAL_H
#define ASTER_PROGRAM_INTERNAL_H

#include "program/program.h"

enum size_kind { SIZE_CONST, SIZE_SYMBOL, SIZE_ADD, SIZE_SUB, SIZE_MUL, SIZE_DIV };
struct size_expr {
    enum size_kind kind;
    int64_t n; /* of a constant, or the divisor */
    aster_sz a, b;
    char *symbol;
};

struct value {
    enum aster_dtype dtype;
    int rank;
    aster_sz dim[ASTER_MAX_RANK];
    int op, out; /* who makes it: op number and which of its outputs; op -1: from outside */
    enum aster_class cls; /* ARENA, or where it lies outside */
    int slot;             /* index in the class's list */
    aster_val transposed; /* the value that holds its transpose; -1: none */
};

struct op {
    enum aster_op_kind kind;
    int n_in, n_out;
    aster_val in[ASTER_MAX_IN], out[ASTER_MAX_OUT]; /* in: -1 for an absent optional input */
    int64_t i[6];
    double f[6];
    aster_sz s[2];
    bool dead;
};

struct named {
    char *name;
    aster_val v;
}; /* input or output */

struct aster_program {
    struct aster_ctx *ctx;
    char *name;
    enum aster_dtype real;
    enum aster_products products;
    bool failed, finished, is_narrow;
    int64_t n_forward; /* ops before the first derivative; 0: there is none */
    uint64_t hash;
    struct size_expr *size;
    struct value *value;
    struct op *op;
    struct named *input, *output;
    struct aster_param_info *param, *buffer;
    aster_val *param_value, *buffer_value, *grad_value, *aux_value;
    int64_t n_size, n_value, n_op, n_input, n_output, n_param, n_buffer;
    int64_t cap_size, cap_value, cap_op, cap_input, cap_output, cap_param, cap_buffer,
        cap_param_value, cap_buffer_value, cap_grad_value, cap_aux_value;
    int64_t n_dropout; /* keys given out */
};

/* flags of an op */
enum {
    OP_ELEMENTWISE = 1, /* output k depends on input elements k only (and broadcast ones): output
                           may take an input's memory */
    OP_ROWWISE = 2,     /* position t of a sample depends on position t of its inputs only */
    OP_VIEW = 4,        /* output may be its input's memory */
    OP_SYNC = 8,
    OP_IS_OVER = 16,
    OP_GRAD_ADDS = 32 /* grad gets, in din, what is to be added to its results (-1: nothing) */
};
/* Output out may take the memory of input in: an element is read before it is written. */
#define OP_OVER(out, in) (OP_IS_OVER | (out) << 8 | (in) << 12)

struct op_desc {
    const char *name;
    /* Checks the inputs and sets the outputs with set_out; 0 or aster_fail. */
    int (*infer)(struct aster_program *p, struct op *o);
    /* din[k] for every input with want[k], from dout (-1: no contribution); NULL: not
     * differentiable */
    void (*grad)(struct aster_program *p, const struct op *o, const bool *want,
                 const aster_val *dout, aster_val *din);
    double (*flops)(const struct aster_args *a); /* NULL: one per output element */
    unsigned flags;
    /* Evaluation of ragged items. reach: of how many rows does the output differ from that of an
     * empty item, when the first input's do for n rows. need: how many rows of the first input are
     * needed for n rows of output. NULL: all. */
    int64_t (*reach)(const struct aster_args *a, int64_t n);
    int64_t (*need)(const struct aster_args *a, int64_t n);
};
extern const struct op_desc *const aster_op_descs[ASTER_N_OPS];

/* aster_program_grad from dy on; -1: from 1 */
ASTER_CHECKED int aster_program_sweep(struct aster_program *p, aster_val y, aster_val dy, int n,
                                      const aster_val *x, aster_val *dx);

/* What is kept for the derivative goes through bf16; after dead ops were marked. */
ASTER_CHECKED int aster_program_narrow(struct aster_program *p);

/* building */
struct op aster_op_start(enum aster_op_kind kind, int n_in, const aster_val *in);
aster_val aster_op_add(struct aster_program *p, struct op *o); /* first output, or -1 */
int aster_op_set_out(struct aster_program *p, struct op *o, int k, enum aster_dtype t, int rank,
                     const aster_sz *dim);
bool aster_size_same(const struct aster_program *p, aster_sz a, aster_sz b);
bool aster_size_is(const struct aster_program *p, aster_sz a, int64_t n);
int64_t aster_size_value(const struct aster_program *p, aster_sz s, const int64_t *values);
int aster_infer_fail(struct aster_program *p, const struct op *o, const char *fmt, ...)
    ASTER_PRINTF(3, 4);
void aster_shape_text(const struct aster_program *p, aster_val v, char *buf, size_t n);
void aster_size_text(const struct aster_program *p, aster_sz s, char *buf, size_t n);
static inline const struct value *aster_value(const struct aster_program *p, aster_val v)
{
    return &p->value[v];
}
aster_val aster_value_root(const struct aster_program *p, aster_val v); /* behind reshapes */
bool aster_is_real(const struct aster_program *p, aster_val v); /* has the program's real type */

#endif
