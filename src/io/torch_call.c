/* SPDX-License-Identifier: BSD-3-Clause */
/* The four functions that a pickle of weights asks for, and the storages and tensors they make. */
#include "io/torch.h"

#include <string.h>

/* A storage can be seen as more elements than it has (stride 0), but not as many more as would ask
 * for memory out of all proportion to the file. */
enum { MOST_REPEATS = 16 };

static void add_name(struct aster_str *s, const struct torch_object *name)
{
    const char *line = memchr(name->text, '\n', name->n);
    int module = (int)aster_min64(line - name->text, 100),
        own = (int)aster_min64(name->text + name->n - line - 1, 100);
    aster_str_printf(s, "%.*s.%.*s", module, name->text, own, line + 1);
}

static bool is_name(const struct torch_object *o, const char *text)
{
    return o->n == strlen(text) && !memcmp(o->text, text, o->n);
}

static bool is_empty(const struct torch_object *o)
{
    return o->kind == TORCH_DICT && o->n == 0;
}

/* ---- storages ---- */

static bool storage_type(const struct torch_object *name, enum aster_weight_type *out)
{
    static const struct {
        const char *name;
        enum aster_weight_type type;
    } types[] = {
        {"torch\nHalfStorage", ASTER_WEIGHT_F16},  {"torch\nBFloat16Storage", ASTER_WEIGHT_BF16},
        {"torch\nFloatStorage", ASTER_WEIGHT_F32}, {"torch\nDoubleStorage", ASTER_WEIGHT_F64},
        {"torch\nCharStorage", ASTER_WEIGHT_I8},   {"torch\nShortStorage", ASTER_WEIGHT_I16},
        {"torch\nIntStorage", ASTER_WEIGHT_I32},   {"torch\nLongStorage", ASTER_WEIGHT_I64},
        {"torch\nByteStorage", ASTER_WEIGHT_U8},   {"torch\nBoolStorage", ASTER_WEIGHT_BOOL}};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (is_name(name, types[k].name)) {
            *out = types[k].type;
            return true;
        }
    return false;
}

static int find_storage(struct torch_file *t, const struct torch_object *key, int64_t *member)
{
    struct aster_str name = {0};
    aster_str_add(&name, "data/");
    aster_str_addn(&name, key->text, key->n);
    int rc = aster_str_ok(t->ctx, &name);
    *member = rc < 0 ? -1 : torch_member_find(t, name.s, (int64_t)name.len);
    aster_str_free(&name);
    return rc;
}

int torch_storage(struct torch_file *t, const struct torch_object *id, uint32_t *result,
                  struct aster_str *wrong)
{
    static const enum torch_kind form[] = {TORCH_TEXT, TORCH_NAME, TORCH_TEXT, TORCH_TEXT,
                                           TORCH_INTEGER};
    enum aster_weight_type type;
    int64_t member;
    bool good = id->kind == TORCH_TUPLE && id->n == 5;
    for (int k = 0; good && k < 5; k++)
        good = torch_item(t, id, k)->kind == form[k];
    if (!good || !torch_is_text(torch_item(t, id, 0), "storage", 7)) {
        aster_str_add(wrong, "a persistent id of this form is not understood; ('storage', class, "
                             "key, location, count) is expected");
        return ASTER_EFORMAT;
    }
    if (!storage_type(torch_item(t, id, 1), &type)) {
        aster_str_add(wrong, "unsupported storage type ");
        add_name(wrong, torch_item(t, id, 1));
        return ASTER_EFORMAT;
    }
    const struct torch_object *key = torch_item(t, id, 2);
    int64_t count = torch_item(t, id, 4)->integer;
    aster_str_printf(wrong, "storage '%.*s': ", (int)aster_min64(key->n, 60), key->text);
    if (count < 0) {
        aster_str_printf(wrong, "the negative count %lld", (long long)count);
        return ASTER_EFORMAT;
    }
    ASTER_TRY(find_storage(t, key, &member));
    if (member < 0) {
        aster_str_add(wrong, "it is missing in the archive");
        return ASTER_EFORMAT;
    }
    int64_t bytes = t->member[member].entry->size, size = aster_weight_type_size(type);
    if (bytes % size || count != bytes / size) {
        aster_str_printf(wrong, "%lld elements of %lld bytes are announced, %lld bytes are there",
                         (long long)count, (long long)size, (long long)bytes);
        return ASTER_EFORMAT;
    }
    ASTER_TRY(torch_object_add(t, TORCH_STORAGE, result));
    t->object[*result].integer = member;
    t->object[*result].n = type;
    return 0;
}

/* ---- tensors ---- */

/* The numbers of a tuple, all from 0 on. */
static int read_numbers(const struct torch_file *t, const struct torch_object *tuple,
                        const char *what, int64_t *out, struct aster_str *wrong)
{
    if (tuple->kind != TORCH_TUPLE || tuple->n > 8) {
        aster_str_printf(wrong, "%s is %s of %u; a tuple of at most 8 integers is expected", what,
                         torch_kind_name(tuple->kind), tuple->n);
        return ASTER_EFORMAT;
    }
    for (uint32_t k = 0; k < tuple->n; k++) {
        const struct torch_object *o = torch_item(t, tuple, k);
        if (o->kind != TORCH_INTEGER) {
            aster_str_printf(wrong, "%s %u is not an integer but %s", what, k,
                             torch_kind_name(o->kind));
            return ASTER_EFORMAT;
        }
        if (o->integer < 0) {
            aster_str_printf(wrong, "negative %s %lld", what, (long long)o->integer);
            return ASTER_EFORMAT;
        }
        out[k] = o->integer;
    }
    return 0;
}

/* The number of elements; the product of the sizes has to fit even when one of them is 0. */
static int count_elements(struct aster_weight *w, struct aster_str *wrong)
{
    int64_t product = 1;
    w->n = 1;
    for (int k = 0; k < w->rank; k++) {
        int64_t d = w->dim[k];
        if (d && product > (INT64_MAX >> 4) / d) {
            aster_str_printf(wrong, "size overflow: the product of its %d sizes does not fit",
                             w->rank);
            return ASTER_EFORMAT;
        }
        product *= d ? d : 1;
        w->n *= d;
    }
    return 0;
}

/* Every element lies inside the storage of n elements. */
static int check_extent(const struct torch_view *v, int64_t n, struct aster_str *wrong)
{
    int64_t last = v->offset; /* place of the last element; n when it is beyond */
    bool inside = v->offset <= n;
    for (int k = 0; inside && v->shape.n && k < v->shape.rank; k++) {
        int64_t steps = v->shape.dim[k] - 1;
        inside = !steps || v->stride[k] <= (n - last) / steps;
        last += inside ? steps * v->stride[k] : 0;
    }
    if (inside && (v->shape.n == 0 || last < n))
        return 0;
    aster_str_printf(wrong, "the tensor reaches outside its storage of %lld elements (offset %lld)",
                     (long long)n, (long long)v->offset);
    return ASTER_EFORMAT;
}

static int check_repeats(const struct torch_file *t, const struct torch_view *v,
                         struct aster_str *wrong)
{
    int64_t size = aster_weight_type_size(v->shape.type);
    if (v->shape.n / MOST_REPEATS <= t->zip.map.n / size)
        return 0;
    aster_str_printf(wrong,
                     "the tensor is too large for its storage: %lld elements from a file of "
                     "%lld bytes",
                     (long long)v->shape.n, (long long)t->zip.map.n);
    return ASTER_EFORMAT;
}

/* (storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static bool tensor_arguments_fit(const struct torch_file *t, const struct torch_object *a)
{
    return (a->n == 6 || a->n == 7) && torch_item(t, a, 0)->kind == TORCH_STORAGE &&
           torch_item(t, a, 1)->kind == TORCH_INTEGER && torch_item(t, a, 4)->kind == TORCH_BOOL &&
           is_empty(torch_item(t, a, 5)) &&
           (a->n == 6 || is_empty(torch_item(t, a, 6)) || torch_item(t, a, 6)->kind == TORCH_NONE);
}

static int make_tensor(struct torch_file *t, const struct torch_object *a, uint32_t *result,
                       struct aster_str *wrong)
{
    struct torch_view v = {0};
    if (!tensor_arguments_fit(t, a)) {
        aster_str_printf(wrong,
                         "the %u arguments of _rebuild_tensor_v2 are not a storage, offset, size, "
                         "stride, truth value, empty dict and perhaps another one",
                         a->n);
        return ASTER_EFORMAT;
    }
    const struct torch_object *storage = torch_item(t, a, 0), *size = torch_item(t, a, 2),
                              *stride = torch_item(t, a, 3);
    v.member = storage->integer;
    v.shape.type = (enum aster_weight_type)storage->n;
    v.offset = torch_item(t, a, 1)->integer;
    if (v.offset < 0) {
        aster_str_printf(wrong, "negative offset %lld", (long long)v.offset);
        return ASTER_EFORMAT;
    }
    ASTER_TRY(read_numbers(t, size, "size", v.shape.dim, wrong));
    ASTER_TRY(read_numbers(t, stride, "stride", v.stride, wrong));
    if (size->n != stride->n) {
        aster_str_printf(wrong, "size and stride differ in rank: %u and %u", size->n, stride->n);
        return ASTER_EFORMAT;
    }
    v.shape.rank = (int)size->n;
    ASTER_TRY(count_elements(&v.shape, wrong));
    ASTER_TRY(check_repeats(t, &v, wrong));
    ASTER_TRY(check_extent(
        &v, t->member[v.member].entry->size / aster_weight_type_size(v.shape.type), wrong));
    ASTER_TRY(torch_object_add(t, TORCH_TENSOR, result));
    ASTER_TRY(aster_grow(t->ctx, t->n_views + 1, sizeof v, &t->cap_views, &t->view));
    t->object[*result].integer = t->n_views;
    t->view[t->n_views++] = v;
    return 0;
}

/* (tensor, requires_grad, hooks): the tensor itself */
static int make_parameter(struct torch_file *t, const struct torch_object *a, uint32_t *result,
                          struct aster_str *wrong)
{
    if (a->n != 3 || torch_item(t, a, 0)->kind != TORCH_TENSOR ||
        torch_item(t, a, 1)->kind != TORCH_BOOL || !is_empty(torch_item(t, a, 2))) {
        aster_str_printf(wrong,
                         "the %u arguments of _rebuild_parameter are not a tensor, truth value and "
                         "empty dict",
                         a->n);
        return ASTER_EFORMAT;
    }
    *result = t->item[a->items];
    return 0;
}

static int make_dict(struct torch_file *t, const struct torch_object *a, uint32_t *result,
                     struct aster_str *wrong)
{
    if (a->n) {
        aster_str_printf(wrong, "OrderedDict with %u arguments; none are expected", a->n);
        return ASTER_EFORMAT;
    }
    ASTER_TRY(torch_object_add(t, TORCH_DICT, result));
    t->object[*result].ordered = true;
    return 0;
}

static int make_set(struct torch_file *t, const struct torch_object *a, uint32_t *result,
                    struct aster_str *wrong)
{
    if (a->n != 1 || torch_item(t, a, 0)->kind != TORCH_LIST) {
        aster_str_printf(wrong, "set with %u arguments; one list is expected", a->n);
        return ASTER_EFORMAT;
    }
    struct torch_object list = *torch_item(t, a, 0);
    list.kind = TORCH_SET;
    ASTER_TRY(torch_object_add(t, TORCH_SET, result));
    t->object[*result] = list;
    return 0;
}

int torch_call(struct torch_file *t, const struct torch_object *name,
               const struct torch_object *arguments, uint32_t *result, struct aster_str *wrong)
{
    static const struct {
        const char *name;
        int (*make)(struct torch_file *t, const struct torch_object *a, uint32_t *result,
                    struct aster_str *wrong);
    } known[] = {{"torch._utils\n_rebuild_tensor_v2", make_tensor},
                 {"torch._utils\n_rebuild_parameter", make_parameter},
                 {"collections\nOrderedDict", make_dict},
                 {"__builtin__\nset", make_set}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (is_name(name, known[k].name))
            return known[k].make(t, arguments, result, wrong);
    aster_str_add(wrong, "the call of ");
    add_name(wrong, name);
    aster_str_add(wrong, " is not allowed");
    return ASTER_EFORMAT;
}
