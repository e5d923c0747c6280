/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of DNA: several files one after the other, and what is wrong with a record said as part
 * of it. */
#include "io/dna.h"

#include "io/internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NUCLEOTIDES "ACGTUNRYKMSWBDHV"
#define AMBIGUOUS   "NRYKMSWBDHV"

struct aster_dna {
    struct aster_ctx *ctx;
    bool any_letter;
    char **path;
    int64_t n_paths, file, index; /* of the file being read, of the next record */
    struct aster_fasta *fasta;
    struct aster_str fault;
    char printable[128];
};

static int check_paths(struct aster_dna *d)
{
    int64_t standard = 0;
    if (d->n_paths < 1)
        return aster_fail(d->ctx, ASTER_EPARAM, "no FASTA file is named; one at least is expected");
    for (int64_t k = 0; k < d->n_paths; k++) {
        standard += !strcmp(d->path[k], "-");
        if (strcmp(d->path[k], "-") != 0 && access(d->path[k], R_OK) < 0)
            return aster_fail(d->ctx, ASTER_EIO, "%s: cannot be read: %s", d->path[k],
                              strerror(errno));
    }
    return standard > 1 ? aster_fail(d->ctx, ASTER_EPARAM,
                                     "standard input is named %lld times; once is expected",
                                     (long long)standard)
                        : 0;
}

int aster_dna_open(struct aster_ctx *ctx, int64_t n_paths, const char *const *paths,
                   bool any_letter, struct aster_dna **out)
{
    struct aster_dna *d = NULL;
    int rc, n = 0;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *d, &d));
    d->ctx = ctx;
    d->any_letter = any_letter;
    for (int c = 33; c < 127; c++)
        d->printable[n++] = (char)c;
    ASTER_GOTO(aster_alloc(ctx, n_paths, sizeof *d->path, &d->path), fail);
    for (; d->n_paths < n_paths; d->n_paths++)
        ASTER_GOTO(aster_strdup(ctx, paths[d->n_paths], &d->path[d->n_paths]), fail);
    ASTER_GOTO(check_paths(d), fail);
    *out = d;
    return 0;
fail:
    aster_dna_close(&d);
    return rc;
}

/* A byte of the id that is no text, or NULL. */
static const char *no_text(const char *id)
{
    const char *end = id + strlen(id);
    while (id < end) {
        int n = aster_utf8_length(id, end);
        if (n == 0 || (unsigned char)*id < 32 || *id == 127)
            return id;
        id += n;
    }
    return NULL;
}

static void add_odd(struct aster_dna *d, const struct aster_fasta_odd *odd)
{
    unsigned char c = (unsigned char)odd->first;
    if (c > 32 && c < 127)
        aster_str_printf(&d->fault, "has '%c' at column %lld", c, (long long)odd->column);
    else
        aster_str_printf(&d->fault, "has byte 0x%02x at column %lld", c, (long long)odd->column);
    if (odd->n > 1)
        aster_str_printf(&d->fault, ", and %lld more such", (long long)odd->n - 1);
    aster_str_add(&d->fault, d->any_letter ? "; printable ASCII is expected"
                                           : "; nucleotide letters (" NUCLEOTIDES ") are expected");
}

/* Sets fault to the first thing that is wrong. */
static int look_for_fault(struct aster_dna *d, struct aster_dna_record *r)
{
    const struct aster_fasta_odd *odd = aster_fasta_odd(d->fasta);
    const char *at = no_text(r->id);
    if (*r->id && !at && r->length > 0 && odd->n == 0)
        return 0;
    d->fault.len = 0;
    aster_str_printf(&d->fault, "%s:%lld: ", r->path,
                     (long long)(*r->id && !at && r->length > 0 ? odd->line : r->line));
    if (!*r->id) {
        aster_str_add(&d->fault, "a record without an id; one behind '>' is expected");
    } else if (at) {
        aster_str_printf(&d->fault,
                         "an id with byte 0x%02x at its position %lld; UTF-8 text is expected",
                         (unsigned char)*at, (long long)(at - r->id) + 1);
    } else {
        aster_str_printf(&d->fault, "record '%.*s' ", ASTER_CUT(200, r->id));
        if (r->length == 0)
            aster_str_add(&d->fault, "is empty; a sequence is expected");
        else
            add_odd(d, odd);
    }
    r->fault = aster_str_get(&d->fault);
    return aster_str_ok(d->ctx, &d->fault);
}

int aster_dna_next(struct aster_dna *d, struct aster_dna_record *out)
{
    struct aster_fasta_record r;
    int rc = 0;
    while (rc == 0) {
        if (!d->fasta && d->file == d->n_paths)
            return 0;
        if (!d->fasta) {
            ASTER_TRY(aster_fasta_open(d->ctx, d->path[d->file], &d->fasta));
            aster_fasta_expect(d->fasta, d->any_letter ? d->printable : NUCLEOTIDES, AMBIGUOUS);
        }
        rc = aster_fasta_next(d->fasta, &r);
        if (rc == 0) {
            aster_fasta_close(&d->fasta);
            d->file++;
        }
    }
    if (rc < 0)
        return rc;
    const char *path = d->path[d->file];
    *out = (struct aster_dna_record){.path = strcmp(path, "-") ? path : "standard input",
                                     .id = r.id,
                                     .seq = r.seq,
                                     .length = r.length,
                                     .line = r.line,
                                     .index = d->index++,
                                     .n_ambiguous = r.n_marked};
    ASTER_TRY(look_for_fault(d, out));
    return 1;
}

void aster_dna_close(struct aster_dna **dp)
{
    struct aster_dna *d = *dp;
    if (!d)
        return;
    aster_fasta_close(&d->fasta);
    for (int64_t k = 0; k < d->n_paths; k++)
        aster_free(&d->path[k]);
    aster_free(&d->path);
    aster_str_free(&d->fault);
    aster_free(dp);
}
