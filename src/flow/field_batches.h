/* SPDX-License-Identifier: BSD-3-Clause */
/* Items of the force field as tasks that fit: in halves where a task has no room for all of them,
 * alone where only all the memory is room enough. */
#ifndef ASTER_FIELD_BATCHES_H
#define ASTER_FIELD_BATCHES_H

#include "flow/field.h"

struct aster_field_batches {
    struct aster_field *field;
    void (*begin)(void *arg), (*done)(void *arg); /* before and after each task */
    void *arg;
};
/* What there is no room for at all gets the status ASTER_ELIMIT and the bytes that it needs. */
ASTER_CHECKED int aster_field_batches_submit(const struct aster_field_batches *b, int64_t n,
                                             struct aster_field_item *const *item);
/* An item that a batch had no room for may have room alone: is it to be submitted again? */
bool aster_field_item_again(const struct aster_field_item *x);
ASTER_CHECKED int aster_field_batches_again(const struct aster_field_batches *b,
                                            struct aster_field_item *x);
/* Why an item has no result */
void aster_field_item_reason(const struct aster_field *f, const struct aster_field_item *x,
                             char *text, size_t size);

#endif
