/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches that are cut until they fit, and what is said of items that never do. */
#include "flow/field_batches.h"

static int submit_task(const struct aster_field_batches *b, int64_t n,
                       struct aster_field_item *const *item)
{
    for (int64_t k = 0; k < n; k++)
        item[k]->is_alone = n == 1;
    b->begin(b->arg);
    int rc = aster_field_submit(b->field, n, item, b->done, b->arg);
    if (rc < 0)
        b->done(b->arg);
    return rc;
}

static int submit_alone(const struct aster_field_batches *b, struct aster_field_item *x)
{
    x->is_alone = true;
    b->begin(b->arg);
    int rc = aster_field_submit_alone(b->field, x, b->done, b->arg);
    if (rc < 0)
        b->done(b->arg);
    return rc;
}

int aster_field_batches_submit(const struct aster_field_batches *b, int64_t n,
                               struct aster_field_item *const *item)
{
    int64_t atoms = 0, edges = 0, bytes;
    for (int64_t k = 0; k < n; k++) {
        atoms += item[k]->structure->n;
        edges += item[k]->n_edges;
    }
    ASTER_TRY(aster_field_bytes(b->field, n, atoms, edges, &bytes));
    if (bytes <= aster_field_room(b->field))
        return submit_task(b, n, item);
    if (n > 1) {
        ASTER_TRY(aster_field_batches_submit(b, n / 2, item));
        return aster_field_batches_submit(b, n - n / 2, item + n / 2);
    }
    if (bytes <= aster_field_most(b->field))
        return submit_alone(b, item[0]);
    item[0]->status = ASTER_ELIMIT;
    item[0]->is_alone = true;
    item[0]->needs = bytes;
    return 0;
}

bool aster_field_item_again(const struct aster_field_item *x)
{
    return x->status && x->status != ASTER_ENUMERIC && !x->is_alone;
}

int aster_field_batches_again(const struct aster_field_batches *b, struct aster_field_item *x)
{
    x->status = 0;
    return submit_task(b, 1, &x);
}

void aster_field_item_reason(const struct aster_field *f, const struct aster_field_item *x,
                             char *text, size_t size)
{
    long long atoms = (long long)x->structure->n, edges = (long long)x->n_edges;
    if (x->status == ASTER_ENUMERIC)
        snprintf(text, size,
                 x->odd_atom < 0 ? "the %s is not finite" : "the %s of atom %lld is not finite",
                 x->odd, (long long)x->odd_atom + 1);
    else if (x->needs)
        snprintf(text, size,
                 "%lld atoms with %lld neighbours need %lld bytes, and a task may have %lld", atoms,
                 edges, (long long)x->needs, (long long)aster_field_most(f));
    else if (x->status == ASTER_EDEVICE || x->status == ASTER_ENOMEM || x->status == ASTER_ELIMIT)
        snprintf(text, size, "%lld atoms with %lld neighbours: no worker has the memory", atoms,
                 edges);
    else
        snprintf(text, size, "the computation failed");
}
