/* SPDX-License-Identifier: BSD-3-Clause */
/* An emulated GPU for tests: few multiprocessors, so that grids are clipped and kernels walk in strides; a little scratch memory,
 * so that both ways of a kernel that would like more are taken. */
#ifndef ASTER_TESTS_EMULATE_DEVICE_H
#define ASTER_TESTS_EMULATE_DEVICE_H

#include "cuda/device.h"
#include "cuda/emulate.h"

struct aster_device *emulated_device(void);
/* What the emulation or a launch found wrong since the last call of emulated_begin(); NULL if nothing. */
const char *emulated_error(void);
void emulated_begin(int number); /* of the call: decides in which order threads run */
/* The line "N of N kernels emulated": every __global__ function of the sources against those launched in this process. */
void emulated_count(void);

#endif
