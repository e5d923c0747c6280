/* SPDX-License-Identifier: BSD-3-Clause */
/* What the neighbours of many structures are found in, and where the lists are put: three buffers
 * for kernels of CPUs and GPUs alike. */
#ifndef ASTER_NEIGHBOURS_H
#define ASTER_NEIGHBOURS_H

#include "atoms/box.h"

struct aster_neighbours_sizes {
    int64_t n_boxes, n_atoms; /* structures; the atoms of all, which lie in their order */
    int64_t capacity;         /* edges that there is room for */
    int64_t most;             /* on a CPU: of one structure; 0: any number */
    int64_t most_pairs;       /* on a GPU: a structure with more atoms is cut into cubes */
    double cutoff;
    bool single; /* distances are computed in f32 */
};

struct aster_neighbours_input {
    struct aster_box *box; /* [n_boxes] */
    double *position;      /* [n_atoms][3] */
};
/* The list of all structures, in the order and with the numbers of struct aster_edges. Structure k
 * has the edges first[k] .. first[k + 1] - 1. Where first[n_boxes] is more than the capacity there
 * are no edges, but as many as are needed: with room for them a second try succeeds. INT64_MAX: it
 * is not known how many. */
struct aster_neighbours_list {
    int64_t *first; /* [n_boxes + 1] */
    int32_t *src, *dst, *shift, *reverse;
};

static inline int64_t aster_neighbours_boxes(const struct aster_neighbours_sizes *z)
{
    return (z->n_boxes * (int64_t)sizeof(struct aster_box) + 63) / 64 * 64;
}
static inline int64_t aster_neighbours_heads(const struct aster_neighbours_sizes *z)
{
    return ((z->n_boxes + 1) * 8 + 63) / 64 * 64;
}
static inline int64_t aster_neighbours_input_bytes(const struct aster_neighbours_sizes *z)
{
    return aster_neighbours_boxes(z) + z->n_atoms * 24;
}
static inline int64_t aster_neighbours_list_bytes(const struct aster_neighbours_sizes *z)
{
    return aster_neighbours_heads(z) + z->capacity * 24;
}
static inline struct aster_neighbours_input
aster_neighbours_input_at(const struct aster_neighbours_sizes *z, void *p)
{
    struct aster_neighbours_input in;
    in.box = (struct aster_box *)p;
    in.position = (double *)((char *)p + aster_neighbours_boxes(z));
    return in;
}
static inline struct aster_neighbours_list
aster_neighbours_list_at(const struct aster_neighbours_sizes *z, void *p)
{
    struct aster_neighbours_list l;
    l.first = (int64_t *)p;
    l.src = (int32_t *)((char *)p + aster_neighbours_heads(z));
    l.dst = l.src + z->capacity;
    l.shift = l.dst + z->capacity;
    l.reverse = l.shift + 3 * z->capacity;
    return l;
}

/* Memory that a GPU's kernels hand to one another; bytes for each atom, structure and edge. */
enum { ASTER_NEIGHBOURS_ATOM = 72, ASTER_NEIGHBOURS_BOX = 96, ASTER_NEIGHBOURS_EDGE = 16 };
static inline int64_t aster_neighbours_work_bytes(const struct aster_neighbours_sizes *z)
{
    return z->n_atoms * ASTER_NEIGHBOURS_ATOM + z->n_boxes * ASTER_NEIGHBOURS_BOX +
           z->capacity * ASTER_NEIGHBOURS_EDGE + 64;
}

struct aster_device;
void aster_k_neighbours_cpu(const struct aster_neighbours_sizes *z, const void *input, void *list);
/* work: aster_neighbours_work_bytes() of the GPU's memory, 64-byte aligned. */
void aster_k_neighbours_cuda(struct aster_device *d, const struct aster_neighbours_sizes *z,
                             const void *input, void *list, void *work);

#endif
