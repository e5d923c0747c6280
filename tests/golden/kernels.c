/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden files on this CPU. */
#include "golden/kernels.h"

const struct aster_backend *golden_kernels(enum aster_isa isa)
{
    return aster_backend_cpu(isa);
}

struct aster_device *golden_device(void)
{
    return NULL;
}

const char *golden_kernels_error(void)
{
    return NULL;
}
