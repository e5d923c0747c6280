/* SPDX-License-Identifier: BSD-3-Clause */
/* The program with an emulated GPU behind its first worker, for lists of neighbours only: kernels
 * of programs stay the CPU's, so a run has the bytes of one without. At its end it says on standard
 * error how many kernels ran. */
#include "cuda/emulate.h"
#include "gpu/gpu.h"
#include "runtime/runtime.h"

#include <stdlib.h>

int __real_aster_runtime_new(struct aster_ctx *ctx, const struct aster_runtime_options *o,
                             struct aster_runtime **out);
int __wrap_aster_runtime_new(struct aster_ctx *ctx, const struct aster_runtime_options *o,
                             struct aster_runtime **out);

static void say(void)
{
    fprintf(stderr, "emulated kernels: %d; %s\n", aster_emulate_n_kernels(),
            gpu_error() ? gpu_error() : "nothing was caught");
}

int __wrap_aster_runtime_new(struct aster_ctx *ctx, const struct aster_runtime_options *o,
                             struct aster_runtime **out)
{
    int rc = __real_aster_runtime_new(ctx, o, out);
    if (rc < 0)
        return rc;
    gpu_begin(0);
    aster_runtime_env(*out)->worker[0].device = gpu_device();
    return atexit(say) == 0 ? 0 : ASTER_EBUG;
}
