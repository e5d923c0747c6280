/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool of numbers 0 .. n - 1: what bounds the work in flight. */
#ifndef ASTER_SLOTS_H
#define ASTER_SLOTS_H

#include "runtime/runtime.h"

struct aster_slots {
    struct aster_gate *gate;
    int n, n_free;
    int *free_list;
};
ASTER_CHECKED int aster_slots_init(struct aster_ctx *ctx, struct aster_slots *s, int n);
void aster_slots_done(struct aster_slots *s);
int aster_slots_take(struct aster_slots *s); /* waits for a free one */
void aster_slots_give(struct aster_slots *s, int slot);
void aster_slots_wait(struct aster_slots *s); /* until all are free */

#endif
