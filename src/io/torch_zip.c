/* SPDX-License-Identifier: BSD-3-Clause */
/* A PyTorch zip archive: one top folder, stored members, little-endian numbers. */
#include "io/torch.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static int compare_members(const void *a, const void *b)
{
    const struct torch_member *x = a, *y = b;
    return strcmp(x->entry->name, y->entry->name);
}

/* A path inside the archive's folder and nowhere else. */
static bool is_safe(const char *name)
{
    if (*name == '/' || strchr(name, '\\'))
        return false;
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2]))
            return false;
    }
    return true;
}

static int check_members(struct torch_file *t)
{
    for (int64_t k = 0; k < t->zip.n; k++) {
        const struct aster_zip_entry *e = t->member[k].entry;
        const char *slash = strchr(e->name, '/');
        if (!is_safe(e->name))
            return aster_fail(t->ctx, ASTER_EFORMAT, "%s: unsafe entry name '%.*s'", t->path,
                              ASTER_CUT(200, e->name));
        if (e->deflated)
            return aster_fail(t->ctx, ASTER_EFORMAT,
                              "%s: entry '%.*s' is compressed (method 8); torch stores (0)",
                              t->path, ASTER_CUT(200, e->name));
        if (k && !strcmp(e->name, t->member[k - 1].entry->name))
            return aster_fail(t->ctx, ASTER_EFORMAT, "%s: duplicate entry name '%.*s'", t->path,
                              ASTER_CUT(200, e->name));
        if (k == 0)
            t->top_n = slash ? slash + 1 - e->name : 0;
        if (!slash || slash + 1 - e->name != t->top_n ||
            strncmp(e->name, t->member[0].entry->name, (size_t)t->top_n) != 0)
            return aster_fail(t->ctx, ASTER_EFORMAT,
                              "%s: more than one top folder: '%.*s' beside '%.*s'", t->path,
                              ASTER_CUT(200, e->name), ASTER_CUT(200, t->member[0].entry->name));
    }
    return 0;
}

static int open_members(struct torch_file *t)
{
    ASTER_TRY(aster_alloc(t->ctx, t->zip.n, sizeof *t->member, &t->member));
    for (int64_t k = 0; k < t->zip.n; k++)
        t->member[k].entry = &t->zip.entry[k];
    if (t->zip.n)
        qsort(t->member, (size_t)t->zip.n, sizeof *t->member, compare_members);
    return check_members(t);
}

int64_t torch_member_find(const struct torch_file *t, const char *name, int64_t n)
{
    int64_t low = 0, high = t->zip.n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        const char *found = t->member[mid].entry->name + t->top_n;
        int order = strncmp(name, found, (size_t)n);
        if (order == 0 && !found[n])
            return mid;
        if (order <= 0)
            high = mid;
        else
            low = mid + 1;
    }
    return -1;
}

/* The whole of a member once. A field that is 0 says that none was computed. */
int torch_member_check(const struct torch_file *t, int64_t member)
{
    struct torch_member *m = &t->member[member];
    const struct aster_zip_entry *e = m->entry;
    if (e->crc == 0 || atomic_load(&m->checked))
        return 0;
    uint32_t crc = (uint32_t)crc32_z(0, t->zip.map.bytes + e->at, (size_t)e->size);
    if (crc != e->crc)
        return aster_fail(t->ctx, ASTER_EFORMAT,
                          "%s: entry '%.*s': its CRC-32 is %08x, the directory says %08x; the "
                          "data is damaged",
                          t->path, ASTER_CUT(200, e->name), crc, e->crc);
    atomic_store(&m->checked, true);
    return 0;
}

/* Files of older versions have no such entry. */
static int check_byte_order(const struct torch_file *t)
{
    int64_t k = torch_member_find(t, "byteorder", 9);
    if (k < 0)
        return 0;
    const struct aster_zip_entry *e = t->member[k].entry;
    const char *order = (const char *)t->zip.map.bytes + e->at;
    if (e->size == 6 && !memcmp(order, "little", 6))
        return 0;
    return aster_fail(t->ctx, ASTER_EFORMAT, "%s: the byte order is not 'little' but '%.*s'",
                      t->path, ASTER_CUT((int)aster_min64(e->size, 20), order));
}

int torch_open(struct torch_file *t, struct aster_ctx *ctx, const char *path)
{
    int rc;
    *t = (struct torch_file){.ctx = ctx, .path = path};
    ASTER_TRY(aster_zip_open(&t->zip, ctx, path, "torch file"));
    ASTER_GOTO(open_members(t), fail);
    int64_t k = torch_member_find(t, "data.pkl", 8);
    if (k < 0) {
        rc = aster_fail(ctx, ASTER_EFORMAT, "%s: the archive has no data.pkl", path);
        goto fail;
    }
    t->pickle = t->member[k].entry;
    ASTER_GOTO(torch_member_check(t, k), fail);
    ASTER_GOTO(check_byte_order(t), fail);
    ASTER_GOTO(torch_unpickle(t), fail);
    ASTER_GOTO(torch_measure(t), fail);
    return 0;
fail:
    torch_close(t);
    return rc;
}

void torch_close(struct torch_file *t)
{
    aster_free(&t->member);
    aster_free(&t->object);
    aster_free(&t->item);
    aster_free(&t->view);
    aster_free(&t->steps);
    if (t->ctx)
        aster_zip_close(&t->zip);
    *t = (struct torch_file){0};
}
