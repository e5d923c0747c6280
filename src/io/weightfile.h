/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of weights from elsewhere: safetensors (one file or shards with an index), PyTorch zip
 * archives, and the HDF5 files that they are converted to, behind one interface. The file is mapped
 * and stays open; nothing of it is executed and no file but itself and its shards is opened. */
#ifndef ASTER_WEIGHTFILE_H
#define ASTER_WEIGHTFILE_H

#include "io/io.h"

enum aster_weight_type {
    ASTER_WEIGHT_F16,
    ASTER_WEIGHT_BF16,
    ASTER_WEIGHT_F32,
    ASTER_WEIGHT_F64,
    ASTER_WEIGHT_F8_E4M3,
    ASTER_WEIGHT_F8_E5M2,
    ASTER_WEIGHT_I8,
    ASTER_WEIGHT_I16,
    ASTER_WEIGHT_I32,
    ASTER_WEIGHT_I64,
    ASTER_WEIGHT_U8,
    ASTER_WEIGHT_U16,
    ASTER_WEIGHT_U32,
    ASTER_WEIGHT_U64,
    ASTER_WEIGHT_BOOL,
    ASTER_WEIGHT_N_TYPES
};
const char *aster_weight_type_name(enum aster_weight_type t); /* "f16" ... "f8_e4m3" ... "bool" */
int64_t aster_weight_type_size(enum aster_weight_type t);

/* A tensor; names of nested objects are joined by dots ("model.encoder.weight", "data.0.label").
 * Several can share their bytes. */
struct aster_weight {
    char *name;
    enum aster_weight_type type;
    int rank;
    int64_t dim[8], n;
};
struct aster_weightfile;
/* What the file is follows from its content, but for an index of shards, which ends in ".json". */
ASTER_CHECKED int aster_weightfile_open(struct aster_ctx *ctx, const char *path,
                                        struct aster_weightfile **out);
const char *aster_weightfile_path(const struct aster_weightfile *f);
bool aster_weightfile_is_h5(const struct aster_weightfile *f);
/* The paths of an index's shards, by name; NULL beyond, and of a single file. */
const char *aster_weightfile_shard(const struct aster_weightfile *f, int64_t i);
int64_t aster_weightfile_count(const struct aster_weightfile *f);
const struct aster_weight *aster_weightfile_tensor(const struct aster_weightfile *f,
                                                   int64_t i); /* in file order; NULL beyond */
const struct aster_weight *aster_weightfile_find(const struct aster_weightfile *f,
                                                 const char *name); /* NULL if absent */
/* That a tensor is of real numbers, of 16 bits at least, and has this shape. */
ASTER_CHECKED int aster_weightfile_expect(const struct aster_weightfile *f,
                                          const struct aster_weight *w, int rank,
                                          const int64_t *dim);
/* count elements in row-major order, from element first on, converted to t; bf16 rounds to nearest
 * even. A value that t cannot hold is an error. Several threads may read. */
ASTER_CHECKED int aster_weightfile_read(const struct aster_weightfile *f,
                                        const struct aster_weight *w, int64_t first, int64_t count,
                                        enum aster_dtype t, void *out);
/* The bytes in the mapping, not always aligned to the elements; NULL for a tensor whose elements do
 * not lie one after the other. */
ASTER_CHECKED int aster_weightfile_bytes(const struct aster_weightfile *f,
                                         const struct aster_weight *w, const void **out);

/* Numbers and texts that a PyTorch file holds beside its tensors ("args.encoder_layers"). */
enum aster_value_kind { ASTER_VALUE_INTEGER, ASTER_VALUE_REAL, ASTER_VALUE_BOOL, ASTER_VALUE_TEXT };
struct aster_value {
    enum aster_value_kind kind;
    int64_t integer; /* also of a truth value */
    double real;
    const char *text; /* n characters, not followed by a 0 */
    int64_t n;
};
/* 1 and the value, 0 when there is none of that path. */
int aster_weightfile_value(const struct aster_weightfile *f, const char *path,
                           struct aster_value *out);
/* Each value in file order. A negative result of visit ends the walk and is returned. */
ASTER_CHECKED int aster_weightfile_values(const struct aster_weightfile *f,
                                          int (*visit)(void *arg, const char *path,
                                                       const struct aster_value *v),
                                          void *arg);
/* Of __metadata__ of a single safetensors file; NULL if absent. */
const char *aster_weightfile_metadata(const struct aster_weightfile *f, const char *key);

/* Writes all tensors under their names: as safetensors, or HDF5 with a dataset of each in the group
 * weights, its bytes in one piece. One tensor is in memory at a time. reals: the type of real
 * numbers, ASTER_N_DTYPES: each as it is stored, those of 8 and 16 bits that we do not have as f32;
 * integers keep their value. */
ASTER_CHECKED int aster_weightfile_write_st(const struct aster_weightfile *f, const char *path,
                                            enum aster_dtype reals);
ASTER_CHECKED int aster_weightfile_write_h5(const struct aster_weightfile *f, const char *path,
                                            enum aster_dtype reals);
void aster_weightfile_close(struct aster_weightfile **f);

#endif
