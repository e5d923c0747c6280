/* SPDX-License-Identifier: BSD-3-Clause */
/* starpu.h, whose older declarations do not pass our warnings. */
#ifndef ASTER_STARPU_HEAD_H
#define ASTER_STARPU_HEAD_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <starpu.h>
#pragma GCC diagnostic pop

#endif
