/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights of a force field: HDF5 as its distiller writes them or as `asterism convert` does,
 * safetensors, or a PyTorch archive. */
#ifndef ASTER_FORCEFIELD_FILE_H
#define ASTER_FORCEFIELD_FILE_H

#include "io/weightfile.h"
#include "model/forcefield.h"

struct aster_forcefield_file {
    struct aster_ctx *ctx;
    struct aster_forcefield_config c;
    struct aster_weightfile *f;
    char prefix[128]; /* in front of every name */
};
/* Sizes are the file's attributes, or metadata, where it has any, and must fit its tensors; else
 * the tensors' own, with a cutoff of 5. Every tensor has to be one of the model. */
ASTER_CHECKED int aster_forcefield_open(struct aster_ctx *ctx, const char *path,
                                        struct aster_forcefield_file *out);
/* All parameters of a program of out->c, and its buffers. */
ASTER_CHECKED int aster_forcefield_read(const struct aster_forcefield_file *w,
                                        const struct aster_program *p, void *params,
                                        double *buffers);
/* Writes the parameters of a program of c as f32, in the layout that is read: safetensors where
 * the path ends so, else HDF5. */
ASTER_CHECKED int aster_forcefield_save(struct aster_ctx *ctx, const char *path,
                                        const struct aster_forcefield_config *c, const char *name,
                                        const struct aster_program *p, const void *params,
                                        const double *buffers);
/* The same of a file that fill makes: parameters of a program of energies in f32, and its buffers.
 */
ASTER_CHECKED int aster_forcefield_make(struct aster_ctx *ctx, const char *path,
                                        const struct aster_forcefield_config *c, const char *name,
                                        int (*fill)(void *arg, const struct aster_program *p,
                                                    float *params, double *buffers),
                                        void *arg);
/* Evenly spaced centers from 0 to the cutoff, equal widths, as a new model has them. */
void aster_forcefield_radial(const struct aster_forcefield_config *c, const struct aster_program *p,
                             double *buffers);
/* Whether a file has the tensors of a force field; one that cannot be read has none. */
bool aster_forcefield_is(struct aster_ctx *ctx, const char *path);
/* Sizes, options and tensors of one file as another, f32. */
ASTER_CHECKED int aster_forcefield_convert(struct aster_ctx *ctx, const char *in, const char *out);
void aster_forcefield_close(struct aster_forcefield_file *w);

#endif
