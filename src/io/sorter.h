/* SPDX-License-Identifier: BSD-3-Clause */
/* Any number of items in order within a given memory: what is beyond it waits sorted in a file
 * without a name. */
#ifndef ASTER_SORTER_H
#define ASTER_SORTER_H

#include "base/base.h"

struct aster_sorted {
    const char *key, *value; /* any bytes; valid until the next call */
    int64_t n_key, n_value;
};
struct aster_sorter;
/* folder: where the file is made, once it is needed. memory: of items, about this many bytes, 1 at
 * least; arrays that grow take up to twice as much. */
ASTER_CHECKED int aster_sorter_new(struct aster_ctx *ctx, const char *folder, int64_t memory,
                                   struct aster_sorter **out);
ASTER_CHECKED int aster_sorter_add(struct aster_sorter *s, const char *key, int64_t n_key,
                                   const char *value, int64_t n_value);
/* In byte order of the keys, equal ones as they came. 1, 0 at the end; nothing can be added after
 * the first call. */
ASTER_CHECKED int aster_sorter_next(struct aster_sorter *s, struct aster_sorted *out);
void aster_sorter_free(struct aster_sorter **s);

/* ---- ids that come again ---- */
struct aster_repeat { /* valid until the next call */
    const char *id;
    int64_t file, line, first_file, first_line; /* as they were given */
    int64_t number; /* from 2; no id is this one with # and the number behind it, no two repeats
                       have the same */
};
struct aster_repeats;
ASTER_CHECKED int aster_repeats_new(struct aster_ctx *ctx, const char *folder, int64_t memory,
                                    struct aster_repeats **out);
ASTER_CHECKED int aster_repeats_add(struct aster_repeats *r, const char *id, int64_t file,
                                    int64_t line);
/* Every id but the first of its kind, in byte order. 1, 0 at the end. */
ASTER_CHECKED int aster_repeats_next(struct aster_repeats *r, struct aster_repeat *out);
void aster_repeats_free(struct aster_repeats **r);

#endif
