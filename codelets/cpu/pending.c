/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops whose kernels are being written: a program that calls one stops. */
#include "cpu/kernel.h"

#define PENDING(name)                                                                                                           \
    void ASTER_K(name)(const struct aster_args *a)                                                                              \
    {                                                                                                                           \
        __builtin_trap();                                                                                                       \
    }
PENDING(lstm)
PENDING(lstm_dx)
