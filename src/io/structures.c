/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures from files of any of the formats, one at a time. */
#include "io/structures.h"

#include "io/io.h"
#include "io/xyz.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

struct aster_structures {
    struct aster_ctx *ctx;
    struct aster_ctx *own; /* of what is wrong with one record only */
    char *path;
    enum aster_structures_format format;
    struct aster_xyz *xyz;
    struct aster_h5 *h5;
    struct aster_ragged *ragged;
    char **group;
    int64_t n; /* of records; -1: not known */
    struct aster_record record;
    struct aster_str name;
};

/* A file that has the first bytes of HDF5. What cannot be opened or looked at twice is none. */
static bool is_hdf5(const char *path)
{
    struct stat st;
    char head[8];
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    bool is = fread(head, 1, sizeof head, f) == sizeof head &&
              !memcmp(head, "\x89HDF\r\n\x1a\n", sizeof head);
    fclose(f);
    return is;
}

static int open_hdf5(struct aster_structures *r)
{
    ASTER_TRY(aster_h5_open(r->own, r->path, &r->h5));
    if (aster_h5_has(r->h5, "structures/positions")) {
        r->format = ASTER_STRUCTURES_RAGGED;
        ASTER_TRY(aster_ragged_open(r->own, r->h5, r->path, &r->ragged));
        r->n = aster_ragged_count(r->ragged);
        return 0;
    }
    r->format = ASTER_STRUCTURES_GROUPS;
    return aster_h5_list(r->h5, "/", &r->group, &r->n);
}

/* What the formats report in their own context, in that of the caller. */
static int pass_on(struct aster_structures *r, int rc)
{
    return rc < 0 ? aster_fail(r->ctx, rc, "%s", aster_ctx_message(r->own)) : rc;
}

int aster_structures_open(struct aster_ctx *ctx, const char *path, struct aster_structures **out)
{
    struct aster_structures *r = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *r, &r));
    r->ctx = ctx;
    r->n = -1;
    ASTER_GOTO(aster_ctx_new(&r->own), fail);
    ASTER_GOTO(aster_strdup(ctx, strcmp(path, "-") ? path : "standard input", &r->path), fail);
    rc = is_hdf5(path) ? open_hdf5(r) : aster_xyz_open(r->own, path, &r->xyz);
    ASTER_GOTO(pass_on(r, rc), fail);
    *out = r;
    return 0;
fail:
    aster_structures_close(&r);
    return rc;
}

void aster_structures_close(struct aster_structures **rp)
{
    struct aster_structures *r = *rp;
    if (!r)
        return;
    aster_xyz_close(&r->xyz);
    aster_ragged_close(&r->ragged);
    if (r->group)
        aster_h5_names_free(&r->group, r->n);
    aster_h5_close(&r->h5);
    aster_ctx_free(&r->own);
    aster_str_free(&r->record.fault);
    aster_str_free(&r->name);
    aster_free(&r->path);
    aster_free(rp);
}

void aster_structures_where(const struct aster_structures_place *at,
                            char where[ASTER_STRUCTURES_WHERE])
{
    if (at->line)
        snprintf(where, ASTER_STRUCTURES_WHERE, "%.*s:%lld: structure '%.*s'",
                 ASTER_CUT(150, at->path), (long long)at->line, ASTER_CUT(60, at->name));
    else
        snprintf(where, ASTER_STRUCTURES_WHERE, "%.*s: structure %lld '%.*s'",
                 ASTER_CUT(150, at->path), (long long)at->index + 1, ASTER_CUT(60, at->name));
}

int64_t aster_structures_count(const struct aster_structures *r)
{
    return r->n;
}

enum aster_structures_format aster_structures_format(const struct aster_structures *r)
{
    return r->format;
}

/* ---- one record ---- */

/* The message in the own context becomes the record's fault. */
static int own_fault(struct aster_structures *r, int rc)
{
    if (rc == ASTER_ENOMEM)
        return rc;
    aster_str_add(&r->record.fault, aster_ctx_message(r->own));
    aster_ctx_clear(r->own);
    return 1;
}

static int next_hdf5(struct aster_structures *r, struct aster_structure *out)
{
    bool is_record = true;
    int64_t k = r->record.index;
    int rc;
    if (k == r->n)
        return 0;
    if (r->ragged)
        rc = aster_ragged_read(r->ragged, k, out, &is_record);
    else
        rc = aster_group_read(r->own, r->h5, r->path, r->group[k], out);
    if (rc < 0)
        return is_record ? own_fault(r, rc) : rc;
    return 1;
}

static int check_labels(struct aster_ctx *ctx, const struct aster_structure *s, const char *where)
{
    if (s->has_energy && !isfinite(s->energy))
        return aster_fail(ctx, ASTER_ENUMERIC, "%s: the energy is %g; a finite number is expected",
                          where, s->energy);
    for (int64_t k = 0; s->has_forces && k < 3 * s->n; k++)
        if (!isfinite(s->force[k]))
            return aster_fail(ctx, ASTER_ENUMERIC,
                              "%s: the force on atom %" PRId64
                              " has %g along %c; a finite number is expected",
                              where, k / 3 + 1, s->force[k], "xyz"[k % 3]);
    for (int k = 0; s->has_stress && k < 6; k++)
        if (!isfinite(s->stress[k]))
            return aster_fail(ctx, ASTER_ENUMERIC,
                              "%s: the stress has %g; finite numbers are expected", where,
                              s->stress[k]);
    return 0;
}

/* What no format looks at by itself. A number that is not finite in a cell that does not matter is
 * refused too, since it would be written on. */
static int check(struct aster_structures *r, const struct aster_structure *s)
{
    struct aster_str where = {0};
    aster_str_add(&where, r->path);
    if (r->record.line)
        aster_str_printf(&where, ":%" PRId64, r->record.line);
    aster_str_printf(&where, ": structure %" PRId64, r->record.index + 1);
    if (s->name) {
        aster_str_add(&where, " ");
        aster_xyz_quote(&where, s->name);
    }
    const char *text = aster_str_get(&where);
    int rc = aster_str_ok(r->own, &where);
    for (int k = 0; rc == 0 && s->has_cell && k < 9; k++)
        if (!isfinite(s->cell[k]))
            rc = aster_fail(r->own, ASTER_ENUMERIC,
                            "%s: %c of cell vector %d is %g; a finite number is expected", text,
                            "xyz"[k % 3], k / 3 + 1, s->cell[k]);
    if (rc == 0)
        rc = aster_structure_check(r->own, s, ASTER_MAX_ELEMENT, text, NULL);
    if (rc == 0)
        rc = check_labels(r->own, s, text);
    aster_str_free(&where);
    return rc < 0 ? own_fault(r, rc) : 1;
}

int aster_structures_next(struct aster_structures *r, struct aster_structure *out,
                          struct aster_structures_place *at)
{
    struct aster_record *k = &r->record;
    int rc;
    *out = (struct aster_structure){0};
    k->fault.len = 0;
    k->line = 0;
    rc = r->xyz ? aster_xyz_next(r->xyz, out, k) : next_hdf5(r, out);
    if (rc > 0 && !k->fault.len)
        rc = check(r, out);
    if (rc > 0)
        rc = aster_str_ok(r->own, &k->fault) < 0 ? ASTER_ENOMEM : 1;
    r->name.len = 0;
    aster_str_add(&r->name, out->name                       ? out->name
                            : rc > 0 && r->group && !r->xyz ? r->group[k->index]
                                                            : "");
    if (rc <= 0 || k->fault.len)
        aster_structure_free(out);
    if (rc <= 0)
        return pass_on(r, rc);
    *at = (struct aster_structures_place){.path = r->path,
                                          .name = aster_str_get(&r->name),
                                          .line = k->line,
                                          .index = k->index++,
                                          .fault = k->fault.len ? aster_str_get(&k->fault) : NULL};
    return 1;
}
