/* SPDX-License-Identifier: BSD-3-Clause */
/* PyTorch zip archives from the inside: the members, the objects that data.pkl describes, the
 * tensors among them. For src/io only.
 *
 * A pickle is a program for a stack machine. The one here knows the few instructions that files of
 * weights consist of, and of the functions that a pickle can ask to call it knows four by name; it
 * makes their results itself and refuses everything else. What it makes are records in arrays,
 * numbered; nothing in them is ever run. */
#ifndef ASTER_IO_TORCH_H
#define ASTER_IO_TORCH_H

#include "io/internal.h"
#include "io/weightfile.h"

#include <stdatomic.h>

struct torch_member { /* of the archive */
    const struct aster_zip_entry *entry;
    atomic_bool checked; /* its CRC-32 was found right */
};

enum torch_kind {
    TORCH_NONE,
    TORCH_BOOL,
    TORCH_INTEGER,
    TORCH_REAL,
    TORCH_TEXT,
    TORCH_TUPLE,
    TORCH_LIST,
    TORCH_DICT,
    TORCH_SET,
    TORCH_NAME,    /* of a class or function: text "module\nname" */
    TORCH_RECORD,  /* an object of any class: item 0 is its state, a dict, or nothing yet */
    TORCH_STORAGE, /* integer: the member's number; n: the weight type */
    TORCH_TENSOR   /* integer: number in the list of views */
};
struct torch_object {
    uint8_t kind;
    bool ordered; /* a dict that is an OrderedDict */
    uint32_t n;   /* characters; items, pairs of a dict */
    union {
        int64_t integer;
        double real;
        const char *text;
        int64_t items; /* place in the list of items; a dict's are key, value, key, value */
    };
};
struct torch_view {            /* a tensor */
    struct aster_weight shape; /* without name */
    int64_t member, offset;
    int64_t stride[8]; /* in elements, as offset */
};

struct torch_file {
    struct aster_ctx *ctx;
    const char *path; /* of the caller */
    struct aster_zip zip;
    struct torch_member *member; /* sorted by name */
    int64_t top_n;               /* characters of the top folder's name with its '/' */
    const struct aster_zip_entry *pickle;
    struct torch_object *object;
    uint32_t *item;
    struct torch_view *view;
    int64_t n_objects, cap_objects, n_items, cap_items, n_views, cap_views;
    uint32_t root;
    int64_t *steps; /* of each object: of a walk below it; 0 when there is no tensor or value */
};

/* Opens the archive, reads data.pkl, looks that no object contains itself. */
ASTER_CHECKED int torch_open(struct torch_file *t, struct aster_ctx *ctx, const char *path);
void torch_close(struct torch_file *t);
/* The number of TOP/NAME, -1 if absent; name has n characters. */
int64_t torch_member_find(const struct torch_file *t, const char *name, int64_t n);
ASTER_CHECKED int torch_member_check(const struct torch_file *t, int64_t member);

/* ---- objects ---- */
ASTER_CHECKED int torch_unpickle(struct torch_file *t);
ASTER_CHECKED int torch_object_add(struct torch_file *t, enum torch_kind kind, uint32_t *out);
/* Room for n items in a row; *first is their place. */
ASTER_CHECKED int torch_items_add(struct torch_file *t, int64_t n, int64_t *first);
/* The value of a text key in a dict, NULL if absent. */
const struct torch_object *torch_dict_get(const struct torch_file *t,
                                          const struct torch_object *dict, const char *key);
static inline const struct torch_object *torch_item(const struct torch_file *t,
                                                    const struct torch_object *o, int64_t k)
{
    return &t->object[t->item[o->items + k]];
}
static inline bool torch_is_text(const struct torch_object *o, const char *text, size_t n)
{
    return o->kind == TORCH_TEXT && o->n == n && !__builtin_memcmp(o->text, text, n);
}
const char *torch_kind_name(enum torch_kind kind); /* "a dict" */

/* What is wrong is left in *wrong as words that follow the place in the pickle; 0 or a code. */
ASTER_CHECKED int torch_call(struct torch_file *t, const struct torch_object *name,
                             const struct torch_object *arguments, uint32_t *result,
                             struct aster_str *wrong);
/* A persistent id: the storage that it names. */
ASTER_CHECKED int torch_storage(struct torch_file *t, const struct torch_object *id,
                                uint32_t *result, struct aster_str *wrong);

/* ---- names: measured once, then walked, every tensor or value below the root in file order ----
 */
ASTER_CHECKED int torch_measure(struct torch_file *t);
ASTER_CHECKED int
torch_walk(const struct torch_file *t,
           int (*visit)(void *arg, const char *path, const struct torch_object *leaf), void *arg);
/* NULL if there is no leaf of that path. */
const struct torch_object *torch_find(const struct torch_file *t, const char *path);

#endif
