/* SPDX-License-Identifier: BSD-3-Clause */
/* Text files of a virus run, the FASTA files of its steps, names of records. */
#include "flow/vnp_tables.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { FLUSH_AT = 1 << 18, SORT_MEMORY = 1 << 22 };

/* ---- one file ---- */

int vnp_file_open(struct aster_run *run, const char *name, struct vnp_file *f)
{
    struct aster_str tmp = {0};
    *f = (struct vnp_file){.ctx = run->ctx};
    aster_str_printf(&tmp, "%s.tmp", name);
    int rc = aster_str_ok(run->ctx, &tmp);
    if (rc == 0)
        rc = aster_run_path(run, name, &f->path);
    if (rc == 0)
        rc = aster_run_path(run, aster_str_get(&tmp), &f->tmp);
    aster_str_free(&tmp);
    if (rc == 0 && !(f->f = fopen(f->tmp, "w")))
        rc = aster_fail(run->ctx, ASTER_EIO, "%s: cannot be written: %s", f->tmp, strerror(errno));
    if (rc < 0)
        vnp_file_drop(f);
    return rc;
}

int vnp_file_add(struct vnp_file *f, struct aster_str *text)
{
    ASTER_TRY(aster_str_ok(f->ctx, text));
    if (text->len && fwrite(text->s, 1, text->len, f->f) != text->len)
        return aster_fail(f->ctx, ASTER_EIO, "%s: cannot be written: %s", f->tmp, strerror(errno));
    text->len = 0;
    return 0;
}

int vnp_file_commit(struct vnp_file *f)
{
    bool bad = fclose(f->f) != 0;
    f->f = NULL;
    int rc =
        bad ? aster_fail(f->ctx, ASTER_EIO, "%s: cannot be written: %s", f->tmp, strerror(errno))
            : aster_file_commit(f->ctx, f->tmp, f->path);
    if (rc < 0)
        unlink(f->tmp);
    aster_free(&f->tmp);
    aster_free(&f->path);
    return rc;
}

void vnp_file_drop(struct vnp_file *f)
{
    if (f->f) {
        fclose(f->f);
        unlink(f->tmp);
    }
    f->f = NULL;
    aster_free(&f->tmp);
    aster_free(&f->path);
}

/* ---- FASTA files of the steps ---- */

/* The stem of an input file; a number follows where earlier ones have the same. */
static int stem(const struct vnp_exports *e, int64_t file, struct aster_str *out)
{
    int64_t same = 1;
    aster_stem_add(out, e->source->path[file]);
    for (int64_t k = 0; k < file; k++) {
        struct aster_str other = {0};
        aster_stem_add(&other, e->source->path[k]);
        same += !strcmp(aster_str_get(&other), aster_str_get(out));
        aster_str_free(&other);
    }
    if (same > 1)
        aster_str_printf(out, "_%lld", (long long)same);
    return aster_str_ok(e->run->ctx, out);
}

static int open_exports(struct vnp_exports *e)
{
    struct aster_str name = {0};
    int rc = stem(e, e->file, &name);
    size_t n = name.len;
    for (int k = 0; rc == 0 && k < VNP_N_FASTA; k++) {
        name.len = n;
        if (k == VNP_CHUNK_FASTA)
            aster_str_printf(&name, "_chunked%lld.fa", (long long)e->chunk_length);
        else
            aster_str_add(&name, k == VNP_DNA_FASTA ? "_nucleotide.fa" : "_protein.faa");
        rc = aster_str_ok(e->run->ctx, &name);
        if (rc == 0)
            rc = vnp_file_open(e->run, aster_str_get(&name), &e->out[k]);
    }
    aster_str_free(&name);
    return rc;
}

static int flush_exports(struct vnp_exports *e, size_t at_least)
{
    for (int k = 0; k < VNP_N_FASTA; k++)
        if (e->text[k].len > at_least)
            ASTER_TRY(vnp_file_add(&e->out[k], &e->text[k]));
    return 0;
}

int vnp_exports_flush(struct vnp_exports *e)
{
    return flush_exports(e, FLUSH_AT);
}

int vnp_exports_go_to(struct vnp_exports *e, int64_t file)
{
    while (e->file < file) {
        if (e->file >= 0) {
            ASTER_TRY(flush_exports(e, 0));
            for (int k = 0; k < VNP_N_FASTA; k++)
                ASTER_TRY(vnp_file_commit(&e->out[k]));
        }
        e->file++;
        if (e->file < e->source->n)
            ASTER_TRY(open_exports(e));
    }
    return 0;
}

void vnp_exports_drop(struct vnp_exports *e)
{
    for (int k = 0; k < VNP_N_FASTA; k++) {
        vnp_file_drop(&e->out[k]);
        aster_str_free(&e->text[k]);
    }
}

/* ---- names ---- */

static void put_place(uint8_t place[16], int64_t file, int64_t line)
{
    for (int k = 0; k < 8; k++) {
        place[k] = (uint8_t)((uint64_t)file >> (56 - 8 * k));
        place[8 + k] = (uint8_t)((uint64_t)line >> (56 - 8 * k));
    }
}

static int next_name(struct vnp_names *s)
{
    struct aster_sorted x;
    aster_free(&s->name);
    int rc = aster_sorter_next(s->later, &x);
    s->any = rc == 1;
    if (rc != 1)
        return rc;
    memcpy(s->place, x.key, sizeof s->place);
    return aster_strndup(s->ctx, x.value, (size_t)x.n_value, &s->name);
}

static void repeat_row(const struct aster_dna_source *source, const struct aster_repeat *r,
                       const char *name, struct aster_str *out)
{
    aster_tsv_field(out, r->id);
    aster_str_add(out, "\t");
    aster_tsv_field(out, name);
    aster_str_add(out, "\t");
    aster_tsv_field(out, source->path[r->file]);
    aster_str_printf(out, "\t%lld\t", (long long)r->line);
    aster_tsv_field(out, source->path[r->first_file]);
    aster_str_printf(out, "\t%lld\n", (long long)r->first_line);
}

struct repeats {
    struct vnp_names *names;
    const struct aster_dna_source *source;
    struct aster_str name, rows;
    struct vnp_file file;
};

static int add_repeat(struct aster_run *run, struct repeats *s, const struct aster_repeat *r)
{
    uint8_t place[16];
    if (s->names->n++ == 0) {
        ASTER_TRY(vnp_file_open(run, "repeated_ids.tsv", &s->file));
        aster_str_add(&s->rows, "id\tname\tfile\tline\tfirst_file\tfirst_line\n");
    }
    s->name.len = 0;
    aster_str_printf(&s->name, "%s#%lld", r->id, (long long)r->number);
    ASTER_TRY(aster_str_ok(run->ctx, &s->name));
    repeat_row(s->source, r, aster_str_get(&s->name), &s->rows);
    if (s->rows.len > FLUSH_AT)
        ASTER_TRY(vnp_file_add(&s->file, &s->rows));
    put_place(place, r->file, r->line);
    return aster_sorter_add(s->names->later, (char *)place, sizeof place, s->name.s,
                            (int64_t)s->name.len);
}

int vnp_names_make(struct aster_run *run, const struct aster_dna_source *source,
                   struct aster_repeats *repeats, struct vnp_names *out)
{
    struct repeats s = {.names = out, .source = source};
    struct aster_repeat r;
    int rc;
    *out = (struct vnp_names){.ctx = run->ctx};
    ASTER_GOTO(aster_sorter_new(run->ctx, run->dir, SORT_MEMORY, &out->later), done);
    while ((rc = aster_repeats_next(repeats, &r)) == 1)
        ASTER_GOTO(add_repeat(run, &s, &r), done);
    if (rc == 0 && out->n) {
        ASTER_GOTO(vnp_file_add(&s.file, &s.rows), done);
        ASTER_GOTO(vnp_file_commit(&s.file), done);
    }
    if (rc == 0)
        rc = next_name(out);
done:
    vnp_file_drop(&s.file);
    aster_str_free(&s.name);
    aster_str_free(&s.rows);
    return rc < 0 ? rc : 0;
}

int vnp_names_of(struct vnp_names *s, const struct vnp_record *r, const char **name)
{
    uint8_t place[16];
    put_place(place, r->file, r->line);
    while (s->any && memcmp(s->place, place, sizeof place) < 0)
        ASTER_TRY(next_name(s));
    *name = s->any && memcmp(s->place, place, sizeof place) == 0 ? s->name : r->id;
    return 0;
}

void vnp_names_free(struct vnp_names *s)
{
    aster_sorter_free(&s->later);
    aster_free(&s->name);
}
