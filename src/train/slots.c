/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool of slots: taken by the submitting thread, given back by callbacks. */
#include "train/internal.h"

int slots_init(struct aster_ctx *ctx, struct slots *s, int n)
{
    ASTER_TRY(aster_alloc(ctx, n, sizeof *s->free_list, &s->free_list));
    ASTER_TRY(aster_gate_new(ctx, &s->gate));
    s->n = s->n_free = n;
    for (int k = 0; k < n; k++)
        s->free_list[k] = n - 1 - k;
    return 0;
}

void slots_done(struct slots *s)
{
    aster_gate_free(&s->gate);
    aster_free(&s->free_list);
}

int slots_take(struct slots *s)
{
    aster_gate_lock(s->gate);
    while (s->n_free == 0)
        aster_gate_wait(s->gate);
    int slot = s->free_list[--s->n_free];
    aster_gate_unlock(s->gate);
    return slot;
}

void slots_give(struct slots *s, int slot)
{
    aster_gate_lock(s->gate);
    s->free_list[s->n_free++] = slot;
    aster_gate_wake(s->gate);
    aster_gate_unlock(s->gate);
}

void slots_wait(struct slots *s)
{
    aster_gate_lock(s->gate);
    while (s->n_free < s->n)
        aster_gate_wait(s->gate);
    aster_gate_unlock(s->gate);
}
