/* SPDX-License-Identifier: BSD-3-Clause */
/* An emulated GPU for tests: few multiprocessors, so that grids are clipped and kernels walk in strides. */
#ifndef ASTER_TESTS_EMULATE_DEVICE_H
#define ASTER_TESTS_EMULATE_DEVICE_H

#include "cuda/device.h"
#include "cuda/emulate.h"

struct aster_device *emulated_device(void);
/* What the emulation or a launch found wrong since the last call of emulated_begin(); NULL if nothing. */
const char *emulated_error(void);
/* Before a call. Its number decides in which order threads run; odd ones get no scratch memory, so that both ways of kernels which
 * would like some are taken (the kernel table compares the bits of calls 0 and 1). */
void emulated_begin(int number);
/* The line "N of N kernels emulated": every __global__ function of the sources against those launched in this process. */
void emulated_count(void);

#endif
