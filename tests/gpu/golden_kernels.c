/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden files on a GPU. */
#include "golden/kernels.h"
#include "gpu/gpu.h"

const struct aster_backend *golden_kernels(enum aster_isa isa)
{
    (void)isa;
    gpu_begin(0);
    return gpu_backend();
}

struct aster_device *golden_device(void)
{
    return gpu_device();
}

const char *golden_kernels_error(void)
{
    return gpu_error();
}
