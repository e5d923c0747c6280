/* SPDX-License-Identifier: BSD-3-Clause */
/* A simulation under way: copies in units, which are committed whole, and units in groups, which
 * take their steps on their own. */
#ifndef ASTER_MD_GROUPS_H
#define ASTER_MD_GROUPS_H

#include "flow/field_neighbours.h"
#include "flow/md.h"

#include <pthread.h>

enum aster_md_phase {
    ASTER_MD_BEGIN,   /* neighbours of the first step */
    ASTER_MD_ARRIVE,  /* has forces: the step ends, the next begins */
    ASTER_MD_GO_ON,   /* the next step begins */
    ASTER_MD_EXCHANGE /* waits for the other groups of its family */
};
struct aster_md_run;
struct aster_md_group {
    struct aster_md_run *run;
    const int64_t *unit;           /* [n_units], numbers of them */
    int64_t n_units, step, family; /* family: the first structure of its */
    enum aster_md_phase phase;
    bool is_finished, is_computing, is_away; /* computing: its forces; away: tasks have it */
    bool wants_lists;                        /* of the items, before its forces; else it has them */
    int rc;
    struct aster_field_list list;
    int64_t n_items, pending; /* pending: tasks of its batches */
    struct aster_field_item **item;
    struct aster_md_group *next; /* in the queue of those that wait for the main thread */
};
struct aster_md_family { /* of an exchange: groups that have all copies of their structures */
    int64_t n_groups, n_waiting;
};
struct aster_md_run {
    struct aster_ctx *ctx;
    struct aster_run *run;
    int stage;
    struct aster_md_options o;
    struct aster_store *store;
    struct aster_progress *progress;
    struct aster_runtime *rt;
    struct aster_field *field;
    const char *device;
    double cutoff;
    bool single;
    int64_t n, cap, n_units, n_groups, n_structures, n_atoms;
    struct aster_md_copy *copy;
    struct aster_md_unit *unit;
    int64_t *step, *order; /* of units: where they are; in the order of groups */
    struct aster_md_group *group;
    struct aster_md_family *family; /* [n_structures] */
    /* shared with workers */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct aster_md_group *ready, **last_ready;
    int64_t n_steps; /* of copies, taken by this part of the run */
};
/* Units of all copies; those that were committed before go on from there. */
ASTER_CHECKED int aster_md_units(struct aster_md_run *r);
/* atoms: of a group, about */
ASTER_CHECKED int aster_md_groups(struct aster_md_run *r, int64_t atoms);
void aster_md_groups_free(struct aster_md_run *r);
bool aster_md_unit_ended(const struct aster_md_run *r, int64_t unit);
/* What a group does in a worker, whose argument it is */
void aster_md_work(void *group);

#endif
