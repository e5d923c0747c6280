/* SPDX-License-Identifier: BSD-3-Clause */
/* What the poison table does around every call of a kernel, for those who own the memory.
 *
 * Before: outputs (where no input shares their memory) and the workspace are filled with
 * ASTER_POISON_BYTE. With rows, only the rows that the kernel is asked for are filled, in ops that
 * honour it. After: the bytes of the inputs and of the rows that were not asked for must be as
 * before, and a float output must not hold an element left as it was filled, unless an input held
 * such an element too. Bands behind the outputs belong to whoever allocates them.
 *
 * One table exists; making it again takes another inner table and forgets what was caught. */
#ifndef ASTER_POISON_H
#define ASTER_POISON_H

#include "backend.h"

enum { ASTER_POISON_BYTE = 0xff };

#endif
