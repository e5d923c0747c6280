/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool of slots: taken by the submitting thread, given back by callbacks. */
#include "runtime/slots.h"

int aster_slots_init(struct aster_ctx *ctx, struct aster_slots *s, int n)
{
    ASTER_TRY(aster_gate_new(ctx, &s->gate));
    int rc = aster_alloc(ctx, n, sizeof *s->free_list, &s->free_list);
    if (rc < 0) {
        aster_gate_free(&s->gate);
        return rc;
    }
    s->n = s->n_free = n;
    for (int k = 0; k < n; k++)
        s->free_list[k] = n - 1 - k;
    return 0;
}

void aster_slots_done(struct aster_slots *s)
{
    aster_gate_free(&s->gate);
    aster_free(&s->free_list);
}

int aster_slots_take(struct aster_slots *s)
{
    aster_gate_lock(s->gate);
    while (s->n_free == 0)
        aster_gate_wait(s->gate);
    int slot = s->free_list[--s->n_free];
    aster_gate_unlock(s->gate);
    return slot;
}

void aster_slots_give(struct aster_slots *s, int slot)
{
    aster_gate_lock(s->gate);
    s->free_list[s->n_free++] = slot;
    aster_gate_wake(s->gate);
    aster_gate_unlock(s->gate);
}

void aster_slots_wait(struct aster_slots *s)
{
    aster_gate_lock(s->gate);
    while (s->n_free < s->n)
        aster_gate_wait(s->gate);
    aster_gate_unlock(s->gate);
}
