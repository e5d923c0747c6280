/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours on a CPU: the search of src/atoms, on what lies in the buffers. */
#include "neighbours.h"

#include "atoms/atoms.h"

#include <string.h>

static int add(const struct aster_neighbours_sizes *z, const struct aster_box *b, double *position,
               struct aster_edges *e)
{
    struct aster_structure s = {
        .n = b->n, .position = position + 3 * b->first, .has_cell = b->n_axes > 0};
    memcpy(s.cell, b->cell, sizeof s.cell);
    for (int k = 0; k < b->n_axes; k++)
        s.pbc[b->axis[k]] = true;
    return aster_edges_add(NULL, e, b->added, &s, z->cutoff, z->single, NULL);
}

void aster_k_neighbours_cpu(const struct aster_neighbours_sizes *z, const void *input, void *list)
{
    const struct aster_neighbours_input in = aster_neighbours_input_at(z, (void *)(uintptr_t)input);
    const struct aster_neighbours_list out = aster_neighbours_list_at(z, list);
    struct aster_edges e = {.most = z->most};
    int rc = 0;
    for (int64_t k = 0; k < z->n_boxes && rc == 0; k++) {
        out.first[k] = e.n;
        rc = add(z, &in.box[k], in.position, &e);
    }
    out.first[z->n_boxes] = rc < 0 ? INT64_MAX : e.n;
    if (rc == 0 && e.n > 0 && e.n <= z->capacity) {
        size_t n = (size_t)e.n * sizeof *e.src;
        memcpy(out.src, e.src, n);
        memcpy(out.dst, e.dst, n);
        memcpy(out.shift, e.shift, 3 * n);
        memcpy(out.reverse, e.reverse, n);
    }
    aster_edges_free(&e);
}
