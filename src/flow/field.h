/* SPDX-License-Identifier: BSD-3-Clause */
/* Energies, forces and virials of structures of any sizes, many at a time, on all workers. */
#ifndef ASTER_FIELD_H
#define ASTER_FIELD_H

#include "atoms/atoms.h"
#include "flow/forcefield_file.h"
#include "runtime/runtime.h"

struct aster_field_options {
    enum aster_dtype real;
    int64_t batch_atoms; /* atoms of one task; 0: chosen. Larger structures go alone. */
    int64_t intervals;   /* of the tables that filters are looked up in; 0: filters are exact */
    int64_t held;        /* bytes of the caller's own that the memory limit is to cover, too */
};

/* A structure on its way: whoever submits it keeps it until done. */
struct aster_field_item {
    const struct aster_structure *structure;
    const struct aster_edges *edges; /* atoms counted from 0 within the structure */
    int64_t first_edge, n_edges;
    /* what comes of it */
    int32_t status; /* 0, ASTER_ELIMIT: no memory for it, ASTER_ENUMERIC: not finite, or another */
    const char
        *odd; /* ASTER_ENUMERIC: what is not finite, and of which atom, from 0 (-1: of all) */
    int64_t odd_atom;
    double energy;
    double *atomic, *force, *virial; /* [n], [n][3], [9]: filled where they are not NULL */
    bool is_alone;                   /* of field_batches.h: its task had no other */
    int64_t needs;                   /* bytes, where no task may have so many */
};

struct aster_field;
ASTER_CHECKED int aster_field_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                                  const struct aster_forcefield_file *w,
                                  const struct aster_field_options *o, struct aster_field **out);
/* The same on the parameters of an exact program and its constants, which stay the caller's and may
 * change between submissions. o->intervals is 0. */
ASTER_CHECKED int aster_field_new_on(struct aster_ctx *ctx, struct aster_runtime *rt,
                                     const struct aster_forcefield_config *c,
                                     struct aster_buffer *param, struct aster_buffer *constants,
                                     const struct aster_field_options *o, struct aster_field **out);
void aster_field_free(struct aster_field **f); /* waits for what is computed */
int64_t aster_field_batch_atoms(const struct aster_field *f);
/* Bytes that a task may have beside others, or with all the memory to itself; those that one of
 * these sizes takes; how many edges of one structure there is memory for. */
int64_t aster_field_room(const struct aster_field *f);
int64_t aster_field_most(const struct aster_field *f);
int64_t aster_field_most_edges(const struct aster_field *f);
ASTER_CHECKED int aster_field_bytes(const struct aster_field *f, int64_t n, int64_t n_atoms,
                                    int64_t n_edges, int64_t *bytes);
/* One task for n items that fit together (aster_field_bytes); blocks while enough are in flight.
 * done is called once, in a worker, or at once when nothing can be computed. Results do not depend
 * on who else is in a batch. */
ASTER_CHECKED int aster_field_submit(struct aster_field *f, int64_t n,
                                     struct aster_field_item *const *items, void (*done)(void *arg),
                                     void *arg);
/* One item that needs more than its room: nothing else is computed meanwhile. Waits for it. */
ASTER_CHECKED int aster_field_submit_alone(struct aster_field *f, struct aster_field_item *item,
                                           void (*done)(void *arg), void *arg);
/* The vectors of an item's edges, [n_edges][3]: no longer than the cutoff after rounding. */
void aster_field_vectors(const struct aster_field_item *x, double cutoff, enum aster_dtype real,
                         void *to);
/* Lists of neighbours (field_neighbours.h) as tasks: a GPU's, where there is one. When the caller
 * is in a worker, and no GPU is there, it is as well to find them at once. */
struct aster_field_list;
bool aster_field_has_gpu(const struct aster_field *f);
ASTER_CHECKED int aster_field_list(struct aster_field *f, struct aster_field_list *l);
/* A function in a worker, as a task: neighbours, for instance. done may be NULL. */
ASTER_CHECKED int aster_field_work(struct aster_field *f, const char *name, void (*work)(void *arg),
                                   void (*done)(void *arg), void *arg);

#endif
