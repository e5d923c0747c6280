/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels that golden files are compared with: those of this CPU, or of a GPU. */
#ifndef ASTER_TESTS_GOLDEN_KERNELS_H
#define ASTER_TESTS_GOLDEN_KERNELS_H

#include "backend.h"

/* For memory of the host. isa is for CPUs. */
const struct aster_backend *golden_kernels(enum aster_isa isa);
struct aster_device *golden_device(void); /* NULL: a CPU */
/* What was found wrong beside wrong numbers; NULL if nothing. */
const char *golden_kernels_error(void);

#endif
