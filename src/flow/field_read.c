/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures for the force field: those of all files one after the other, looked at first. */
#include "flow/field_part.h"

/* The next record of all files: 1; 0 at the end */
static int next_structure(struct aster_structure_reader *r, struct aster_structure *s,
                          struct aster_structures_place *at)
{
    for (; r->file < r->source->n; r->file++) {
        if (!r->reader)
            ASTER_TRY(aster_structures_open(r->ctx, r->source->path[r->file], &r->reader));
        int rc = aster_structures_next(r->reader, s, at);
        if (rc != 0)
            return rc;
        aster_structures_close(&r->reader);
    }
    return 0;
}

/* What the program cannot take: a fault of the structure */
static int check_structure(struct aster_structure_reader *r, const struct aster_structure *s,
                           const struct aster_structures_place *at)
{
    char where[ASTER_STRUCTURES_WHERE];
    bool is_flat = false;
    aster_structures_where(at, where);
    int rc =
        aster_structure_check(r->ctx, s, (int)aster_min64(r->max_number, 118), where, &is_flat);
    if (rc < 0) {
        aster_str_add(&r->fault, aster_ctx_message(r->ctx));
        aster_ctx_clear(r->ctx);
        return aster_str_ok(r->ctx, &r->fault);
    }
    if (is_flat && r->n_flat++ == 0)
        aster_log(r->ctx, ASTER_LOG_WARN,
                  "%s: has a periodic axis, but a cell without volume, and so no stress; others "
                  "like it are counted",
                  where);
    return 0;
}

int aster_structure_reader_next(struct aster_structure_reader *r, struct aster_structure *s,
                                struct aster_structures_place *at)
{
    aster_str_free(&r->fault);
    int rc = next_structure(r, s, at);
    if (rc != 1 || at->fault)
        return rc;
    rc = check_structure(r, s, at);
    if (rc < 0) {
        aster_structure_free(s);
        return rc;
    }
    if (r->fault.len)
        at->fault = r->fault.s;
    return 1;
}

void aster_structure_reader_close(struct aster_structure_reader *r)
{
    aster_structures_close(&r->reader);
    aster_str_free(&r->fault);
}
