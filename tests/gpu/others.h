/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels that are no op of a program: optimizer steps, sums of gradients, encoding, neighbours. */
#ifndef ASTER_TESTS_GPU_OTHERS_H
#define ASTER_TESTS_GPU_OTHERS_H

void gpu_others(void);
void gpu_neighbours_all(void);

#endif
