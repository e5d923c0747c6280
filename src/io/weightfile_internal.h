/* SPDX-License-Identifier: BSD-3-Clause */
/* Weight files from the inside: where each tensor's elements are. For src/io only. */
#ifndef ASTER_IO_WEIGHTFILE_INTERNAL_H
#define ASTER_IO_WEIGHTFILE_INTERNAL_H

#include "io/torch.h"

struct weight_place {
    const uint8_t *first;           /* element */
    int64_t stride[8];              /* in elements */
    bool dense;                     /* row-major without gaps */
    const struct torch_file *torch; /* its member is to be checked before the first read */
    int64_t member;
};

struct aster_weightfile {
    struct aster_ctx *ctx;
    char *path;
    const uint8_t *bytes; /* of an HDF5 file, mapped */
    int64_t n_bytes;
    int64_t n, cap, cap_place;
    struct aster_weight *weight;
    struct weight_place *place;
    int64_t *by_name; /* indices, sorted by name */
    struct aster_st *st;
    struct torch_file *torch;
    struct aster_weightfile **shard;
    int64_t n_shards;
    bool is_h5;
};

/* A tensor more; name is copied. Finish with weightfile_sort, which refuses two of one name. */
ASTER_CHECKED int weightfile_add(struct aster_weightfile *f, const char *name,
                                 const struct aster_weight *shape,
                                 const struct weight_place *place);
ASTER_CHECKED int weightfile_sort(struct aster_weightfile *f);
/* The tensors of an HDF5 file that aster_weightfile_convert wrote, or one like it. */
ASTER_CHECKED int weightfile_open_h5(struct aster_weightfile *f);
void weightfile_close_h5(struct aster_weightfile *f);
void weightfile_dense(const struct aster_weight *w, int64_t *stride);
/* The tensors of all shards of the index at f->path. */
ASTER_CHECKED int weightfile_open_index(struct aster_weightfile *f);

#endif
