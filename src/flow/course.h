/* SPDX-License-Identifier: BSD-3-Clause */
/* Labelled structures to train a force field on: read, looked at, with their neighbours. */
#ifndef ASTER_COURSE_H
#define ASTER_COURSE_H

#include "atoms/atoms.h"
#include "flow/field_part.h"
#include "flow/internal.h"

struct aster_course_item {
    char *id;
    struct aster_structure s; /* empty where it could not be read */
    int32_t status;
    char *reason;                          /* of a status that is not 0 */
    double teacher_energy, *teacher_force; /* force: [n][3]; NULL where nothing teaches */
    int64_t n_edges;
    struct aster_edges edges; /* views of list; without reverse; empty where there is no list */
    int32_t *list;            /* NULL: not kept, found again when needed */
};
struct aster_course {
    struct aster_ctx *ctx;
    double cutoff;
    bool single;          /* distances in single precision decide who is a neighbour */
    int64_t most_edges;   /* of one structure */
    int64_t room;         /* bytes of lists that are kept */
    _Atomic int64_t kept; /* of them so far */
    int64_t held;         /* bytes of the structures and their labels */
    int64_t n, cap, n_failed, n_atoms;
    struct aster_course_item *item;
};
/* Reads every structure of the source behind those that are there; max_number: of the model. What
 * is wrong with one is its own fault. */
ASTER_CHECKED int aster_course_read(struct aster_course *c, const struct aster_structure_source *s,
                                    int64_t max_number);
/* Energies and forces of a teacher, from the same structures in the same order as the items that
 * are there. One without them has a fault; other structures are an error. */
ASTER_CHECKED int aster_course_teach(struct aster_course *c, int64_t n_files,
                                     const char *const *path);
/* Neighbours of the items without a fault, in workers: how many each has, lists for as many as
 * there is room for. Atoms in one place are a fault. */
ASTER_CHECKED int aster_course_neighbours(struct aster_course *c, struct aster_runtime *rt);
/* One item's list, where it is not kept; aster_course_forget drops it. In any thread. */
ASTER_CHECKED int aster_course_list(const struct aster_course *c, struct aster_ctx *ctx,
                                    struct aster_course_item *x);
int64_t aster_course_list_bytes(const struct aster_course_item *x);
void aster_course_forget(struct aster_course_item *x);
/* Of all numbers, positions and labels, a teacher's too, of items without a fault, in order. */
uint64_t aster_course_hash(int64_t n, struct aster_course_item *const *x);
/* Lines of failed_items.tsv for the items with a fault. */
ASTER_CHECKED int aster_course_report(struct aster_course *c, struct aster_run *run,
                                      const char *stage);
void aster_course_free(struct aster_course *c);

#endif
