/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool of slots: taken by the submitting thread, given back by callbacks. */
#include "train/internal.h"

int slots_init(struct aster_ctx *ctx, struct slots *s, int n)
{
    ASTER_TRY(aster_alloc(ctx, n, sizeof *s->free_list, &s->free_list));
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->n = s->n_free = n;
    for (int k = 0; k < n; k++)
        s->free_list[k] = n - 1 - k;
    return 0;
}

void slots_done(struct slots *s)
{
    if (!s->free_list)
        return;
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    aster_free(&s->free_list);
}

int slots_take(struct slots *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->n_free == 0)
        pthread_cond_wait(&s->changed, &s->lock);
    int slot = s->free_list[--s->n_free];
    pthread_mutex_unlock(&s->lock);
    return slot;
}

void slots_give(struct slots *s, int slot)
{
    pthread_mutex_lock(&s->lock);
    s->free_list[s->n_free++] = slot;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void slots_wait(struct slots *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->n_free < s->n)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}
