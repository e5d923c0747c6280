/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights that are drawn, as a file. */
#include "golden/drawn_forcefield.h"

int draw_forcefield(struct aster_ctx *ctx, const struct aster_forcefield_config *c, uint64_t seed,
                    const char *path)
{
    struct aster_program *p = NULL;
    float *params = NULL;
    double *buffers = NULL;
    int rc;
    ASTER_GOTO(aster_forcefield_program(ctx, c, ASTER_F32, ASTER_FORCEFIELD_ENERGY, NULL, NULL, &p),
               done);
    ASTER_GOTO(
        aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_PARAM), sizeof *params, &params),
        done);
    ASTER_GOTO(
        aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_BUFFER), sizeof *buffers, &buffers),
        done);
    aster_program_init_params(p, seed, params);
    aster_forcefield_radial(c, p, buffers);
    rc = aster_forcefield_save(ctx, path, c, "random", p, params, buffers);
done:
    aster_program_free(&p);
    aster_free(&params);
    aster_free(&buffers);
    return rc;
}
