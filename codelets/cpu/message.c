/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages along edges, whose filters come from tables, and the vectors of atoms between them. */
#include "cpu/message.h"

#include "cpu/lanes.h"

/* Consecutive parts of a workspace */
static void *part_of(char **work, int64_t bytes)
{
    void *p = *work;
    *work += message_part(bytes);
    return p;
}

#define REAL float
#define VSUF f32
#include "cpu/message_real.h"
#include "cpu/vectors_real.h"
#undef REAL
#undef VSUF
#define REAL double
#define VSUF f64
#include "cpu/message_real.h"
#include "cpu/vectors_real.h"
#undef REAL
#undef VSUF

#define DISPATCH(name)                                                                             \
    void ASTER_K(name)(const struct aster_args *a)                                                 \
    {                                                                                              \
        if (a->in[0].dtype == ASTER_F64)                                                           \
            name##_f64(a);                                                                         \
        else                                                                                       \
            name##_f32(a);                                                                         \
    }
DISPATCH(direction)
DISPATCH(direction_dx)
DISPATCH(message)
DISPATCH(message_dx)
DISPATCH(vector_length)
DISPATCH(vector_length_dx)
DISPATCH(vector_gate)
DISPATCH(vector_gate_dx)
