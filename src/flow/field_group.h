/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures of any sizes on their way through the force field: neighbours as tasks, batches that
 * cost about the same, and again alone what found no room in company. */
#ifndef ASTER_FIELD_GROUP_H
#define ASTER_FIELD_GROUP_H

#include "flow/field_batches.h"

#include <pthread.h>

struct aster_field_entry {
    char *id;
    struct aster_structure s; /* empty where it could not be read */
    uint64_t hash;
    int32_t status;
    char *reason; /* of a status that is not 0 */
    struct aster_field_item item;
};
/* The first reason of an entry stays. ctx may be NULL. */
void aster_field_entry_fail(struct aster_ctx *ctx, struct aster_field_entry *x, int32_t status,
                            const char *reason);

struct aster_field_group {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_field *field;
    double cutoff;
    bool single; /* distances decide in f32 */
    int64_t n;
    struct aster_field_entry *entry; /* the caller's, as long as the group is */
    /* the group's own */
    void *chunks;
    int64_t n_chunks, pending; /* tasks without result */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};
/* With every field before the group's own set by the caller. */
void aster_field_group_init(struct aster_field_group *g);
void aster_field_group_done(struct aster_field_group *g); /* no task may be under way */
/* Of the entries with status 0; what cannot be, fails as an entry. */
ASTER_CHECKED int aster_field_group_neighbours(struct aster_field_group *g);
/* Waits for the neighbours and submits everything. */
ASTER_CHECKED int aster_field_group_submit(struct aster_field_group *g);
/* Waits for all results; entries without one have a status and a reason then. */
ASTER_CHECKED int aster_field_group_finish(struct aster_field_group *g);

#endif
