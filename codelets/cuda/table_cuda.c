/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of CUDA kernels, and what every call of an op has in common. */
#include "cuda/device.h"
#include "cuda/update.h"

/* Lengths of samples are on the host: on a GPU everything is computed. */
static void run(const struct aster_args *a, const char *name, aster_kernel *kernel)
{
    a->device->op = name;
    if (a->rows)
        aster_device_fail(a->device, "arguments",
                          "rows of samples were given; a GPU computes all rows");
    else
        kernel(a);
}

#define ASTER_OP(name, family)                                                                     \
    aster_kernel aster_k_##name##_cuda;                                                            \
    static void run_##name(const struct aster_args *a)                                             \
    {                                                                                              \
        run(a, #name, aster_k_##name##_cuda);                                                      \
    }
#include "ops.def"
#undef ASTER_OP

const struct aster_backend aster_backend_cuda = {
    .name = "cuda",
    .op =
        {
#define ASTER_OP(name, family) [ASTER_OP_##name] = run_##name,
#include "ops.def"
#undef ASTER_OP
        },
    .update = {aster_k_adam_cuda, aster_k_adamw_cuda, aster_k_sgd_cuda, aster_k_add_into_cuda,
               aster_k_fill_cuda, aster_k_sum_squares_cuda, aster_k_ema_cuda},
    .zero = aster_zero_cuda,
    .copy = aster_copy_cuda,
    .version = 1,
};
