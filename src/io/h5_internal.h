/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 from the inside: for src/io only. */
#ifndef ASTER_IO_H5_INTERNAL_H
#define ASTER_IO_H5_INTERNAL_H

#include "io/io.h"

#include <hdf5.h>

struct aster_h5 {
    struct aster_ctx *ctx;
    char *path, *tmp;
    hid_t id;
    bool writing;
};

void aster_h5_lock(void);
void aster_h5_unlock(void);
/* Our message for the library's last error about name (NULL: the file). */
int aster_h5_fail(const struct aster_h5 *f, const char *name, const char *what);
hid_t aster_h5_memory_type(enum aster_dtype t);
/* Every part of the path exists (the library wants each asked for in turn). */
bool aster_h5_exists(hid_t file, const char *name);
ASTER_CHECKED int aster_h5_shape_of(struct aster_h5 *f, const char *name, hid_t dataset,
                                    struct aster_h5_shape *out);

#endif
