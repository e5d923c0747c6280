/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights that are drawn, as a file. */
#include "golden/drawn_forcefield.h"

struct drawing {
    const struct aster_forcefield_config *c;
    uint64_t seed;
};

static int fill(void *arg, const struct aster_program *p, float *params, double *buffers)
{
    const struct drawing *d = arg;
    aster_program_init_params(p, d->seed, params);
    aster_forcefield_radial(d->c, p, buffers);
    return 0;
}

int draw_forcefield(struct aster_ctx *ctx, const struct aster_forcefield_config *c, uint64_t seed,
                    const char *path)
{
    return aster_forcefield_make(ctx, path, c, "random", fill, &(struct drawing){c, seed});
}
