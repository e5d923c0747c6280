/* SPDX-License-Identifier: BSD-3-Clause */
/* What a kernel sees: plain pointers and sizes. No StarPU, no programs, no files. */
#ifndef ASTER_BACKEND_H
#define ASTER_BACKEND_H

#include "base/base.h"

#include <math.h>

enum aster_op_kind {
#define ASTER_OP(name, family) ASTER_OP_##name,
#include "ops.def"
#undef ASTER_OP
    ASTER_N_OPS
};

enum aster_fn { /* unary: second derivatives exist for all */
                ASTER_FN_RELU,
                ASTER_FN_SIGMOID,
                ASTER_FN_TANH,
                ASTER_FN_EXP,
                ASTER_FN_LOG,
                ASTER_FN_SQRT,
                ASTER_FN_RSQRT,
                ASTER_FN_RECIP,
                ASTER_FN_SQUARE,
                ASTER_FN_ABS,
                ASTER_FN_GELU,
                ASTER_FN_GELU_TANH,
                ASTER_FN_SILU,
                ASTER_FN_SOFTPLUS,
                ASTER_FN_SIN,
                ASTER_FN_COS,
                ASTER_FN_ROOT, /* the square root; its derivatives are 0 at 0 */
                ASTER_N_FNS
};
enum aster_binary { ASTER_BIN_ADD, ASTER_BIN_SUB, ASTER_BIN_MUL, ASTER_BIN_DIV, ASTER_N_BINS };
enum { ASTER_ACT_NONE, ASTER_ACT_RELU, ASTER_ACT_GELU /* of linear only */ };

/* What f32 operands of products are rounded to (nearest, ties to even; what is not finite stays);
 * their sums are of f32. For ops of the families gemm, conv and lstm; the others compute in f32,
 * and so does linear_bf16 with its x. */
enum aster_products {
    ASTER_PRODUCTS_FULL,
    ASTER_PRODUCTS_TF32, /* 10 bits behind the point */
    ASTER_PRODUCTS_BF16, /* 7 */
    ASTER_N_PRODUCTS
};
/* "f64", "f32", "tf32", "bf16": numbers of that type, products so */
const char *aster_precision_name(enum aster_dtype real, enum aster_products products);

#define ASTER_MAX_RANK 5
#define ASTER_MAX_IN   8
#define ASTER_MAX_OUT  4

struct aster_tensor {
    void *p;
    enum aster_dtype dtype;
    int rank;
    int64_t dim[ASTER_MAX_RANK];
};

/* What differs from run to run of the same program. */
struct aster_run_info {
    uint64_t seed;
    int64_t step;    /* optimizer step, counts from 0 */
    int64_t sample0; /* number of this shard's first sample in the whole batch */
    int32_t *status; /* one code per sample of the shard, NULL if nobody looks */
};

/* The GPU that a worker uses (cuda/device.h); NULL on the CPU. Pointers are to its memory then,
 * status too; rows are not. */
struct aster_device;
const char *aster_device_error(
    const struct aster_device *device); /* the first failure of a kernel; NULL: none */

struct aster_args {
    int n_in, n_out;
    struct aster_tensor in[ASTER_MAX_IN]; /* an absent optional input has p == NULL and rank 0 */
    struct aster_tensor out[ASTER_MAX_OUT];
    int64_t i[6];
    double f[6];
    int64_t s[2];
    enum aster_products products; /* FULL unless the real type is f32 */
    /* For ops that honour it: number of positions of each sample to compute, the rest stays
     * untouched. NULL = all. rows_in: how many positions of the first input are defined, for each
     * sample. */
    const int64_t *rows, *rows_in;
    const struct aster_run_info *run;
    struct aster_device *device;
    void *work; /* 64-byte aligned, as large as the op's work function asked for */
    int64_t work_bytes;
};

typedef void aster_kernel(const struct aster_args *a);

/* Optimizer and reduction kernels: not ops of a program, called by their own codelets. n elements,
 * real = f32 or f64; d is NULL on the CPU. */
struct aster_update {
    double lr, beta1, beta2, eps, weight_decay, momentum;
    int64_t step;      /* 1 for the first update */
    double grad_scale; /* every gradient is multiplied by it first */
    /* Clipping: NULL, or the sum of the squares of all gradients, in the kernels' memory: their scale
     * is that of aster_clip_scale; grad_scale does not count; not finite: nothing is changed. */
    const double *squares;
    double clip_norm;
    bool nesterov;
};
/* min(1, clip_norm / (sqrt(squares) + 1e-6)) */
ASTER_ANYWHERE static inline double aster_clip_scale(double clip_norm, double squares)
{
    double scale = clip_norm / (sqrt(squares) + 1e-6);
    return scale < 1 ? scale : 1;
}
struct aster_update_kernels {
    /* coupled decay: g += wd w */
    void (*adam)(struct aster_device *d, enum aster_dtype t, int64_t n,
                 const struct aster_update *u, void *w, const void *g, void *m, void *v);
    /* decoupled decay: w -= lr wd w */
    void (*adamw)(struct aster_device *d, enum aster_dtype t, int64_t n,
                  const struct aster_update *u, void *w, const void *g, void *m, void *v);
    /* m: momentum buffer; g += wd w; m = momentum m + g; w -= lr (nesterov ? g + momentum m : m) */
    void (*sgd)(struct aster_device *d, enum aster_dtype t, int64_t n, const struct aster_update *u,
                void *w, const void *g, void *m);
    void (*add_into)(struct aster_device *d, enum aster_dtype t, int64_t n, void *y,
                     const void *x); /* y += x */
    void (*fill)(struct aster_device *d, enum aster_dtype t, int64_t n, double value, void *y);
    /* *sum, summed in double in a fixed order */
    void (*sum_squares)(struct aster_device *d, enum aster_dtype t, int64_t n, const void *x,
                        double *sum);
    /* running statistics: r += momentum (s - r) */
    void (*ema)(struct aster_device *d, enum aster_dtype t, int64_t n, double momentum, void *r,
                const void *s);
};

/* A backend is a plain table. */
struct aster_backend {
    const char *name; /* "cpu-avx2" */
    aster_kernel *op[ASTER_N_OPS];
    struct aster_update_kernels update;
    void (*zero)(struct aster_device *d, void *p, int64_t bytes);
    void (*copy)(struct aster_device *d, void *to, const void *from, int64_t bytes);
    int version; /* of the kernel set; part of every footprint */
};

enum aster_isa {
    ASTER_ISA_BASE,
    ASTER_ISA_AVX2,
    ASTER_ISA_AVX512,
    ASTER_ISA_AVX512BF16,
    ASTER_N_ISAS
};
const char *aster_isa_name(enum aster_isa isa); /* "x86-64" "avx2" "avx512" "avx512bf16" */
ASTER_CHECKED int aster_isa_find(struct aster_ctx *ctx, const char *name,
                                 enum aster_isa *out); /* "auto" = best here */
bool aster_isa_here(enum aster_isa isa);               /* can this CPU run it */
enum aster_isa aster_isa_best(void);
const struct aster_backend *aster_backend_cpu(enum aster_isa isa);
/* A poison table around another: outputs and workspace start as NaN (0xff bytes), inputs are hashed
 * before and after; bands behind outputs belong to whoever allocates them (poison.h).
 * aster_poison_error says what was caught, NULL if nothing. */
const struct aster_backend *aster_backend_poison(const struct aster_backend *inner);
const char *aster_poison_error(void);
const char *aster_op_name(enum aster_op_kind op);
const char *aster_op_family(enum aster_op_kind op);

/* Workspace each op needs for these arguments (pointers not read). Defined beside the kernels, one
 * per family; families without one need none. The answer holds for every instruction set. */
int64_t aster_work_conv(enum aster_op_kind op, const struct aster_args *a);
int64_t aster_work_gemm(enum aster_op_kind op, const struct aster_args *a);
int64_t aster_work_lstm(enum aster_op_kind op, const struct aster_args *a);
int64_t aster_work_attention(enum aster_op_kind op, const struct aster_args *a);
int64_t aster_work_message(enum aster_op_kind op, const struct aster_args *a);

/* Memory of the CPU for every table of it. */
void aster_zero_cpu(struct aster_device *d, void *p, int64_t bytes);
void aster_copy_cpu(struct aster_device *d, void *to, const void *from, int64_t bytes);

/* Once per thread that runs kernels: denormals flushed (MXCSR), libraries held to one thread. */
void aster_kernel_thread_init(void);
bool aster_kernel_flushes_denormals(void);

/* Encoding: residues to rows. codes: one byte per residue (table row), lengths per sample; table
 * [n_codes, D] f64; rows beyond a length are zero. time_major: [L, B, D] instead of [B, L, D]. */
void aster_k_encode_table_cpu(enum aster_dtype t, bool time_major, int64_t n_samples,
                              int64_t n_positions, int64_t dim, const uint8_t *const *codes,
                              const int64_t *lengths, const double *table, void *x);

#endif
