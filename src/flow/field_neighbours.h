/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours of structures before their batches: in a worker of the host, or as tasks that a GPU
 * may take. The lists are the same. */
#ifndef ASTER_FIELD_NEIGHBOURS_H
#define ASTER_FIELD_NEIGHBOURS_H

#include "atoms/box.h"
#include "flow/field.h"
#include "neighbours.h"

/* Lists of n items, found together */
struct aster_field_list {
    /* the caller's to set, and to keep until done */
    double cutoff;
    bool single; /* distances decide in f32 */
    int64_t n;
    struct aster_field_item **item; /* they get edges, first_edge and n_edges */
    struct aster_edges edges;       /* emptied first; most is the caller's */
    bool is_kept;                   /* found again and again: memory of the search stays */
    /* An item that has no list; reason: NULL where there is no memory for one */
    void (*fail)(void *arg, struct aster_field_item *item, int rc, const char *reason);
    void (*done)(void *arg); /* called once, in a worker, unless submission fails */
    void *arg;
    /* of field_neighbours.c */
    struct aster_field_lists *lists;
    struct aster_box *box;           /* of the items that have one, */
    struct aster_field_item **boxed; /* and these; NULL: no item has been looked at yet */
    struct aster_neighbours_sizes sizes;
};
void aster_field_list_find(void *list); /* on the host, in the thread that calls */
void aster_field_list_done(void *list); /* what follows a task that did so */

/* Buffers for lists that GPUs find, some at a time; NULL where there are no GPUs. */
struct aster_field_lists;
ASTER_CHECKED int aster_field_lists_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                                        int64_t most_bytes, struct aster_field_lists **out);
void aster_field_lists_free(struct aster_field_lists **lists); /* waits for its tasks */
/* 1: there is no room for l; nothing is under way, and it is to be found on the host. */
ASTER_CHECKED int aster_field_lists_submit(struct aster_field_lists *lists,
                                           struct aster_field_list *l);
/* How often a list had more edges than there was room for, and the host found it again */
int64_t aster_field_lists_again(const struct aster_field_lists *lists);

#endif
