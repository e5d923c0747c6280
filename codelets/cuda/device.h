/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPU as the kernels of one worker see it. Plain C: whoever starts a worker fills it in. */
#ifndef ASTER_CUDA_DEVICE_H
#define ASTER_CUDA_DEVICE_H

#include "backend.h"

struct CUstream_st;
struct aster_neighbours_sizes;

/* Of one worker, made at its start: kernels allocate nothing and wait for nothing. */
struct aster_device {
    struct CUstream_st *stream;
    int sm_count;
    int64_t shared_limit; /* bytes of shared memory that a block may ask for */
    /* Device memory for what two launches of one op hand to each other (partial sums), 256-byte
     * aligned. With less than a kernel would like it takes a slower way to the same bits. */
    void *work;
    int64_t work_bytes;
    const char *op;  /* that is running, for messages */
    char error[200]; /* the first launch that failed; "" if none did */
    /* Lists of neighbours, which belong to no table of ops: aster_k_neighbours_cuda, but only
     * whoever makes a device is linked with it. */
    void (*neighbours)(struct aster_device *d, const struct aster_neighbours_sizes *z,
                       const void *input, void *list, void *work);
};

enum { ASTER_DEVICE_WORK_BYTES = 32 << 20 }; /* what a worker should give */

extern const struct aster_backend aster_backend_cuda;

/* Encoding: as aster_k_encode_table_cpu, but all in device memory: the codes of sample b begin at
 * codes[start[b]]; codes holds n_codes of them, table n_rows rows. */
struct aster_encode_codes {
    const uint8_t *codes;
    const int64_t *start, *lengths; /* n_samples each */
    int64_t n_codes;
    const double *table;
    int64_t n_rows;
};
void aster_k_encode_table_cuda(struct aster_device *device, enum aster_dtype t, bool time_major,
                               int64_t n_samples, int64_t n_positions, int64_t dim,
                               const struct aster_encode_codes *c, void *x);

/* Keeps the first failure: "op, kernel NAME: what". */
void aster_device_fail(struct aster_device *device, const char *kernel, const char *what);

#endif
