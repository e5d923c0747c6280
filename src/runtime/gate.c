/* SPDX-License-Identifier: BSD-3-Clause */
/* A lock with waiting. A simulating StarPU has its own: a thread that waits elsewhere would stop
 * the simulated time. */
#include "runtime/start.h"

struct aster_gate {
    starpu_pthread_mutex_t lock;
    starpu_pthread_cond_t changed;
};

int aster_gate_new(struct aster_ctx *ctx, struct aster_gate **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    starpu_pthread_mutex_init(&(*out)->lock, NULL);
    starpu_pthread_cond_init(&(*out)->changed, NULL);
    return 0;
}

void aster_gate_free(struct aster_gate **g)
{
    if (!*g)
        return;
    starpu_pthread_mutex_destroy(&(*g)->lock);
    starpu_pthread_cond_destroy(&(*g)->changed);
    aster_free(g);
}

void aster_gate_lock(struct aster_gate *g)
{
    starpu_pthread_mutex_lock(&g->lock);
}

void aster_gate_unlock(struct aster_gate *g)
{
    starpu_pthread_mutex_unlock(&g->lock);
}

void aster_gate_wait(struct aster_gate *g)
{
    starpu_pthread_cond_wait(&g->changed, &g->lock);
}

void aster_gate_wake(struct aster_gate *g)
{
    starpu_pthread_cond_broadcast(&g->changed);
}
