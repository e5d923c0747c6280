/* SPDX-License-Identifier: BSD-3-Clause */
/* What a pickle's objects hold, by name: keys joined by dots. Objects can be shared, so a walk can
 * be longer than the file; it is measured first, each object once. */
#include "io/torch.h"

#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 256, LONGEST_PATH = 4096, MOST_SHARING = 16 };
#define MOST_STEPS (1LL << 50)

/* The children of an object, one after the other. A module of torch has three dicts of them. */
struct cursor {
    const struct torch_object *part[3];
    int n_parts, at_part;
    int64_t at;
    const struct torch_object *skipped; /* names of buffers that are not part of the state */
    const struct torch_object *key;     /* NULL in lists: at - 1 is the position */
    uint32_t child;
};

const struct torch_object *torch_dict_get(const struct torch_file *t,
                                          const struct torch_object *dict, const char *key)
{
    size_t n = strlen(key);
    for (int64_t k = 0; dict->kind == TORCH_DICT && k < dict->n; k++)
        if (torch_is_text(torch_item(t, dict, 2 * k), key, n))
            return torch_item(t, dict, 2 * k + 1);
    return NULL;
}

static struct cursor open_cursor(const struct torch_file *t, const struct torch_object *o)
{
    static const char *const parts[] = {"_parameters", "_buffers", "_modules"};
    struct cursor c = {.part = {o}, .n_parts = 1};
    if (o->kind == TORCH_RECORD && o->n) {
        const struct torch_object *state = torch_item(t, o, 0);
        c.part[0] = state;
        for (int k = 0; k < 3; k++) {
            const struct torch_object *p = torch_dict_get(t, state, parts[k]);
            if (!p || p->kind != TORCH_DICT)
                return (struct cursor){.part = {state}, .n_parts = 1};
            c.part[k] = p;
        }
        c.n_parts = 3;
        c.skipped = torch_dict_get(t, state, "_non_persistent_buffers_set");
    } else if (o->kind != TORCH_TUPLE && o->kind != TORCH_LIST && o->kind != TORCH_DICT) {
        c.n_parts = 0;
    }
    return c;
}

static bool is_skipped(const struct torch_file *t, const struct cursor *c)
{
    if (c->at_part != 1 || !c->skipped || c->skipped->kind != TORCH_SET)
        return false;
    for (int64_t k = 0; c->key->kind == TORCH_TEXT && k < c->skipped->n; k++)
        if (torch_is_text(torch_item(t, c->skipped, k), c->key->text, c->key->n))
            return true;
    return false;
}

static bool next_child(const struct torch_file *t, struct cursor *c)
{
    for (; c->at_part < c->n_parts; c->at_part++, c->at = 0) {
        const struct torch_object *p = c->part[c->at_part];
        while (c->at < p->n) {
            int64_t k = c->at++;
            bool dict = p->kind == TORCH_DICT;
            c->key = dict ? torch_item(t, p, 2 * k) : NULL;
            c->child = t->item[p->items + (dict ? 2 * k + 1 : k)];
            if (!dict || !is_skipped(t, c))
                return true;
        }
    }
    return false;
}

static bool is_value(const struct torch_object *o)
{
    return o->kind == TORCH_BOOL || o->kind == TORCH_INTEGER || o->kind == TORCH_REAL ||
           o->kind == TORCH_TEXT;
}

/* ---- measuring ---- */

enum { NEW = 0, OPEN = -1 }; /* of an object's height; else it is known */

struct measure {
    struct torch_file *t;
    int16_t *height; /* levels below an object, itself included */
};

static int refuse(const struct torch_file *t, const char *what)
{
    return aster_fail(t->ctx, ASTER_EFORMAT, "%s: %.*s: %s", t->path,
                      ASTER_CUT(200, t->pickle->name), what);
}

static int compare_keys(const void *a, const void *b)
{
    const struct torch_object *const *x = a, *const *y = b;
    if ((*x)->kind != (*y)->kind)
        return (*x)->kind < (*y)->kind ? -1 : 1;
    if ((*x)->kind == TORCH_INTEGER)
        return (*x)->integer < (*y)->integer ? -1 : (*x)->integer > (*y)->integer;
    if ((*x)->kind != TORCH_TEXT)
        return 0;
    int order = memcmp((*x)->text, (*y)->text, (*x)->n < (*y)->n ? (*x)->n : (*y)->n);
    return order ? order : (*x)->n < (*y)->n ? -1 : (*x)->n > (*y)->n;
}

static int check_keys(const struct torch_file *t, const struct torch_object *dict)
{
    const struct torch_object **key = NULL;
    int rc = 0;
    ASTER_TRY(aster_alloc(t->ctx, dict->n, sizeof *key, &key));
    for (uint32_t k = 0; k < dict->n; k++)
        key[k] = torch_item(t, dict, 2 * (int64_t)k);
    qsort(key, dict->n, sizeof *key, compare_keys);
    for (uint32_t k = 0; k < dict->n && rc == 0; k++) {
        bool text = key[k]->kind == TORCH_TEXT;
        if (!text && key[k]->kind != TORCH_INTEGER)
            rc =
                aster_fail(t->ctx, ASTER_EFORMAT,
                           "%s: %.*s: a dict's key is %s; a text or an integer is expected",
                           t->path, ASTER_CUT(200, t->pickle->name), torch_kind_name(key[k]->kind));
        else if (k && compare_keys(&key[k - 1], &key[k]) == 0)
            rc = aster_fail(t->ctx, ASTER_EFORMAT, "%s: %.*s: duplicate key '%.*s' in a dict",
                            t->path, ASTER_CUT(200, t->pickle->name),
                            ASTER_CUT(text ? (int)aster_min64(key[k]->n, 100) : 7,
                                      text ? key[k]->text : "integer"));
    }
    aster_free(&key);
    return rc;
}

/* What going through an object's own children takes. */
static int64_t steps_alone(const struct torch_file *t, const struct torch_object *o,
                           const struct cursor *c)
{
    int64_t n = o->kind == TORCH_RECORD && o->n ? torch_item(t, o, 0)->n : 0;
    for (int k = 0; k < c->n_parts; k++)
        n += c->part[k]->n;
    if (c->skipped && c->skipped->kind == TORCH_SET)
        n += (int64_t)c->part[1]->n * c->skipped->n;
    return aster_min64(n, MOST_STEPS);
}

/* Depth below the root when the object is met first; an object's height bounds the recursion of
 * later walks. */
static int measure(struct measure *m, uint32_t number, int depth)
{
    const struct torch_object *o = &m->t->object[number];
    struct cursor c = open_cursor(m->t, o);
    int height = 1;
    int64_t steps = is_value(o) || o->kind == TORCH_TENSOR, own = steps_alone(m->t, o, &c);
    if (m->height[number] == OPEN)
        return refuse(m->t, "an object contains itself; a tree of objects is expected");
    if (m->height[number] != NEW)
        return 0;
    m->height[number] = OPEN;
    for (int k = 0; k < c.n_parts; k++)
        if (c.part[k]->kind == TORCH_DICT && c.part[k]->n)
            ASTER_TRY(check_keys(m->t, c.part[k]));
    while (next_child(m->t, &c)) {
        if (depth < DEEPEST)
            ASTER_TRY(measure(m, c.child, depth + 1));
        if (depth >= DEEPEST || m->height[c.child] >= DEEPEST)
            return refuse(m->t, "nesting too deep; at most 256 levels are expected");
        if (m->height[c.child] >= height)
            height = m->height[c.child] + 1;
        steps = aster_min64(steps + m->t->steps[c.child], MOST_STEPS);
    }
    m->height[number] = (int16_t)height;
    m->t->steps[number] = steps ? aster_min64(steps + own, MOST_STEPS) : 0;
    return 0;
}

int torch_measure(struct torch_file *t)
{
    struct measure m = {.t = t};
    int rc = 0;
    ASTER_TRY(aster_alloc(t->ctx, t->n_objects, sizeof *t->steps, &t->steps));
    ASTER_TRY(aster_alloc(t->ctx, t->n_objects, sizeof *m.height, &m.height));
    rc = measure(&m, t->root, 0);
    aster_free(&m.height);
    ASTER_TRY(rc);
    if (t->steps[t->root] / MOST_SHARING > t->pickle->size)
        return refuse(t, "too many objects for its size: they are shared in layers");
    return 0;
}

/* ---- walking ---- */

struct walk {
    const struct torch_file *t;
    int (*visit)(void *arg, const char *path, const struct torch_object *leaf);
    void *arg;
    struct aster_str path;
};

static void add_key(struct aster_str *path, const struct cursor *c)
{
    if (path->len)
        aster_str_add(path, ".");
    if (!c->key)
        aster_str_printf(path, "%lld", (long long)(c->at - 1));
    else if (c->key->kind == TORCH_INTEGER)
        aster_str_printf(path, "%lld", (long long)c->key->integer);
    else
        aster_str_addn(path, c->key->text, c->key->n);
}

static int visit_below(struct walk *w, uint32_t number)
{
    const struct torch_object *o = &w->t->object[number];
    size_t length = w->path.len;
    if (is_value(o) || o->kind == TORCH_TENSOR) {
        ASTER_TRY(aster_str_ok(w->t->ctx, &w->path));
        return w->visit(w->arg, aster_str_get(&w->path), o);
    }
    for (struct cursor c = open_cursor(w->t, o); next_child(w->t, &c);) {
        if (w->t->steps[c.child] == 0)
            continue;
        add_key(&w->path, &c);
        if (w->path.len > LONGEST_PATH)
            return refuse(w->t, "the keys that lead to an object have more than 4096 characters");
        ASTER_TRY(visit_below(w, c.child));
        w->path.len = length;
        if (w->path.s)
            w->path.s[length] = '\0';
    }
    return 0;
}

int torch_walk(const struct torch_file *t,
               int (*visit)(void *arg, const char *path, const struct torch_object *leaf),
               void *arg)
{
    struct walk w = {.t = t, .visit = visit, .arg = arg};
    int rc = visit_below(&w, t->root);
    aster_str_free(&w.path);
    return rc;
}

/* The rest of path after the key that the cursor is at, NULL if another one is there. */
static const char *after_key(const struct cursor *c, const char *path)
{
    char digits[24];
    const char *key = digits;
    size_t n = 0;
    if (c->key && c->key->kind == TORCH_TEXT) {
        key = c->key->text;
        n = c->key->n;
    } else {
        n = (size_t)snprintf(digits, sizeof digits, "%lld",
                             (long long)(c->key ? c->key->integer : c->at - 1));
    }
    if (strncmp(path, key, n) != 0 || (path[n] && path[n] != '.'))
        return NULL;
    return path[n] ? path + n + 1 : path + n;
}

static const struct torch_object *find_below(const struct torch_file *t, uint32_t number,
                                             const char *path)
{
    const struct torch_object *o = &t->object[number];
    if (!*path)
        return is_value(o) || o->kind == TORCH_TENSOR ? o : NULL;
    for (struct cursor c = open_cursor(t, o); next_child(t, &c);) {
        const char *rest = after_key(&c, path);
        const struct torch_object *found = rest ? find_below(t, c.child, rest) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

const struct torch_object *torch_find(const struct torch_file *t, const char *path)
{
    return find_below(t, t->root, path);
}
