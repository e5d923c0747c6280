/* SPDX-License-Identifier: BSD-3-Clause */
/* Inputs through our rules, and the tables of chunk bounds, counts and token ids. */
#include "golden/virnucpro_check.h"

#include <stdarg.h>
#include <stdlib.h>

void vnp_say(struct vnp *v, bool good, const char *name, const char *fmt, ...)
{
    va_list ap;
    v->n_lines++;
    v->n_failed += !good;
    printf("%s: %s", name, good ? "" : "WRONG: ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
}

void vnp_say_failed(struct vnp *v, const char *name)
{
    vnp_say(v, false, name, "%s", aster_ctx_message(v->ctx));
    aster_ctx_clear(v->ctx);
}

int vnp_find(struct vnp *v, const char *name, char **path)
{
    const char *data = getenv("ASTERISM_TEST_DATA");
    const char *const tops[] = {v->root, v->folder, data && *data ? data : "../shared/data"};
    static const char *const inside[] = {"/", "/fasta/", "/virnucpro/", "/virnucpro/fasta/"};
    struct aster_str at = {0};
    *path = NULL;
    for (int top = 0; top < 3; top++)
        for (int k = top == 2 ? 2 : 0; k < (top == 2 ? 4 : 2); k++) {
            at.len = 0;
            aster_str_printf(&at, "%s%s%s", tops[top], inside[k], name);
            if (!*path && aster_file_exists(aster_str_get(&at)))
                ASTER_TRY(aster_strdup(v->ctx, aster_str_get(&at), path));
        }
    aster_str_free(&at);
    return *path ? 0
                 : aster_fail(v->ctx, ASTER_EIO, "%s: is not in %s, nor in the shared test data",
                              name, v->root);
}

void vnp_compare(struct vnp *v, const char *path, const char *where, const struct aster_str *text)
{
    char *want = NULL;
    int64_t n = 0, line = 1;
    const char *got = aster_str_get(text);
    char name[300];
    snprintf(name, sizeof name, "%.150s%s%.100s", aster_path_base(path), *where ? " of " : "",
             where);
    if (aster_str_ok(v->ctx, text) < 0 || aster_file_read(v->ctx, path, 1LL << 32, &want, &n) < 0) {
        vnp_say_failed(v, name);
        return;
    }
    size_t same = 0;
    while (same < text->len && same < (size_t)n && got[same] == want[same])
        line += got[same++] == '\n';
    bool good = same == text->len && same == (size_t)n;
    if (good)
        vnp_say(v, true, name, "%lld bytes agree", (long long)n);
    else
        vnp_say(v, false, name,
                "line %lld differs at byte %zu of the file, which has %lld bytes; ours has %zu",
                (long long)line, same + 1, (long long)n, text->len);
    aster_free(&want);
}

int vnp_bpe(struct vnp *v)
{
    char *path = NULL;
    if (v->bpe)
        return 0;
    ASTER_TRY(vnp_find(v, "dnaberts/tokenizer.json", &path));
    int rc = aster_bpe_open(v->ctx, path, &v->bpe);
    aster_free(&path);
    return rc < 0 ? rc : aster_bpe_room_new(v->ctx, &v->room);
}

static int add_frame(struct vnp *v, const char *chunk, const struct aster_frame *f,
                     struct vnp_run *r)
{
    struct aster_str name = {0};
    int32_t *ids = NULL;
    int64_t n = 0;
    r->frames++;
    r->residues += f->n_protein;
    r->esm_tokens += aster_pooled_esm2(f->n_protein).n_tokens;
    if (r->texts) {
        aster_str_add(&name, chunk);
        aster_str_add(&name, aster_frame_name(f->number));
        aster_fasta_write(&r->dna, aster_str_get(&name), f->dna, f->n_dna, 0);
        aster_fasta_write(&r->protein, aster_str_get(&name), f->protein, f->n_protein, 0);
    }
    aster_str_free(&name);
    if (!r->tokens)
        return 0;
    ASTER_TRY(vnp_bpe(v));
    ASTER_TRY(aster_alloc(v->ctx, f->n_dna + 2, sizeof *ids, &ids));
    int rc = aster_bpe_encode(v->bpe, v->room, f->dna, f->n_dna, ids, &n);
    r->bpe_tokens += n;
    aster_free(&ids);
    return rc;
}

static int add_record(struct vnp *v, struct aster_frames *f, const struct aster_dna_record *rec,
                      int64_t size, struct vnp_run *r)
{
    struct aster_chunks plan;
    struct aster_str name = {0};
    int rc = 0;
    ASTER_TRY(
        aster_chunks_plan(v->ctx, rec->length, size ? size : aster_max64(rec->length, 1), &plan));
    r->records++;
    r->bases += rec->length;
    r->n_chunks += plan.n;
    for (int64_t i = 0; rc == 0 && i < plan.n; i++) {
        int64_t begin = aster_chunk_begin(&plan, i), n = aster_chunk_end(&plan, i) - begin;
        name.len = 0;
        aster_chunk_name(&name, rec->id, i);
        if (r->texts)
            aster_fasta_write(&r->chunks, aster_str_get(&name), rec->seq + begin, n, 60);
        rc = aster_frames_find(f, rec->seq + begin, n);
        r->n_with_frame += aster_frames_count(f) > 0;
        for (int k = 0; rc == 0 && k < aster_frames_count(f); k++)
            rc = add_frame(v, aster_str_get(&name), aster_frames_get(f, k), r);
    }
    aster_str_free(&name);
    return rc;
}

int vnp_run_file(struct vnp *v, const char *path, int64_t size, struct vnp_run *r)
{
    struct aster_dna *d = NULL;
    struct aster_dna_record rec;
    struct aster_frames *f = NULL;
    int rc;
    ASTER_GOTO(aster_frames_new(v->ctx, &f), done);
    ASTER_GOTO(aster_dna_open(v->ctx, 1, &path, true, &d), done);
    while ((rc = aster_dna_next(d, &rec)) > 0) {
        if (rec.fault && rec.length > 0)
            ASTER_GOTO(aster_fail(v->ctx, ASTER_EFORMAT, "%s", rec.fault), done);
        ASTER_GOTO(add_record(v, f, &rec, size, r), done);
    }
done:
    aster_dna_close(&d);
    aster_frames_free(&f);
    return rc;
}

void vnp_run_free(struct vnp_run *r)
{
    aster_str_free(&r->chunks);
    aster_str_free(&r->dna);
    aster_str_free(&r->protein);
}

int vnp_record(struct vnp *v, const char *path, const char *id, char **out)
{
    struct aster_fasta *f = NULL;
    struct aster_fasta_record r;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_fasta_open(v->ctx, path, &f));
    while ((rc = aster_fasta_next(f, &r)) > 0 && !*out)
        if (!strcmp(r.id, id))
            ASTER_GOTO(aster_strndup(v->ctx, r.seq, (size_t)r.length, out), done);
    if (rc >= 0 && !*out)
        rc = aster_fail(v->ctx, ASTER_EFORMAT, "%s: has no record '%s'", path, id);
done:
    aster_fasta_close(&f);
    return rc < 0 ? rc : 0;
}

int vnp_split(char *line, char **field, int most)
{
    int n = 0;
    for (char *at = line; at && n < most; n++) {
        char *tab = strchr(at, '\t');
        field[n] = at;
        at = tab ? tab + 1 : NULL;
        if (tab)
            *tab = '\0';
    }
    return n;
}

/* The lines of a table behind its first through a check; where one differs is said in detail. */
static void each_line(struct vnp *v, const char *path, int columns,
                      bool (*check)(struct vnp *v, char **field, struct aster_str *detail))
{
    struct aster_lines *l = NULL;
    struct aster_str detail = {0};
    const char *name = aster_path_base(path);
    char *line, *field[16];
    size_t n;
    int64_t lines = 0, wrong = 0, first = 0;
    int rc = aster_lines_open(v->ctx, path, &l);
    if (rc == 0)
        rc = aster_lines_next(l, &line, &n); /* the header */
    while (rc > 0 && (rc = aster_lines_next(l, &line, &n)) > 0) {
        size_t had = detail.len;
        lines++;
        if (vnp_split(line, field, 16) != columns)
            aster_str_printf(&detail, "%d columns are expected", columns);
        else if (check(v, field, &detail))
            continue;
        if (wrong++ == 0)
            first = aster_lines_number(l);
        else
            detail.len = had; /* the first is enough */
    }
    if (rc < 0)
        vnp_say_failed(v, name);
    else if (wrong)
        vnp_say(v, false, name, "%lld of %lld lines differ, the first is line %lld: %.*s",
                (long long)wrong, (long long)lines, (long long)first, (int)detail.len,
                aster_str_get(&detail));
    else
        vnp_say(v, lines > 0, name, "%lld lines agree", (long long)lines);
    aster_lines_close(&l);
    aster_str_free(&detail);
    aster_ctx_clear(v->ctx);
}

/* C, L, n, starts, lengths */
static bool check_bounds(struct vnp *v, char **field, struct aster_str *detail)
{
    struct aster_chunks plan;
    struct aster_str starts = {0}, lengths = {0};
    int64_t size, length, n;
    if (aster_parse_i64(field[0], &size) < 0 || aster_parse_i64(field[1], &length) < 0 ||
        aster_parse_i64(field[2], &n) < 0) {
        aster_str_add(detail, "no integers");
        return false;
    }
    if (aster_chunks_plan(v->ctx, length, size, &plan) < 0) {
        aster_str_add(detail, aster_ctx_message(v->ctx));
        aster_ctx_clear(v->ctx);
        return false;
    }
    for (int64_t i = 0; i < plan.n; i++) {
        int64_t begin = aster_chunk_begin(&plan, i), end = aster_chunk_end(&plan, i);
        aster_str_printf(&starts, "%s%lld", i ? "," : "", (long long)begin);
        aster_str_printf(&lengths, "%s%lld", i ? "," : "", (long long)(end - begin));
    }
    bool good = plan.n == n && !strcmp(aster_str_get(&starts), field[3]) &&
                !strcmp(aster_str_get(&lengths), field[4]);
    if (!good)
        aster_str_printf(detail, "%lld bases in chunks of %lld start at %.100s", (long long)length,
                         (long long)size, aster_str_get(&starts));
    aster_str_free(&starts);
    aster_str_free(&lengths);
    return good;
}

void vnp_check_chunk_bounds(struct vnp *v, const char *path)
{
    each_line(v, path, 5, check_bounds);
}

/* file, C, records, bases, chunks, with a frame, frames, residues, mean, tokens of both */
static bool check_count(struct vnp *v, char **field, struct aster_str *detail)
{
    struct vnp_run r = {.tokens = true};
    struct aster_str ours = {0}, theirs = {0};
    char *path = NULL;
    int64_t size;
    int rc = aster_parse_i64(field[1], &size);
    if (rc == 0)
        rc = vnp_find(v, field[0], &path);
    if (rc == 0)
        rc = vnp_run_file(v, path, size, &r);
    aster_free(&path);
    if (rc < 0) {
        aster_str_add(detail, aster_ctx_message(v->ctx));
        aster_ctx_clear(v->ctx);
        return false;
    }
    aster_str_printf(&ours, "%lld %lld %lld %lld %lld %lld %.2f %lld %lld", (long long)r.records,
                     (long long)r.bases, (long long)r.n_chunks, (long long)r.n_with_frame,
                     (long long)r.frames, (long long)r.residues,
                     r.frames ? (double)r.residues / (double)r.frames : 0.0,
                     (long long)r.esm_tokens, (long long)r.bpe_tokens);
    for (int k = 2; k < 11; k++)
        aster_str_printf(&theirs, "%s%s", k > 2 ? " " : "", field[k]);
    bool good = !strcmp(aster_str_get(&ours), aster_str_get(&theirs));
    if (!good)
        aster_str_printf(detail, "%s with %s: %s, ours %s", field[0], field[1],
                         aster_str_get(&theirs), aster_str_get(&ours));
    aster_str_free(&ours);
    aster_str_free(&theirs);
    vnp_run_free(&r);
    return good;
}

void vnp_check_counts(struct vnp *v, const char *path)
{
    each_line(v, path, 11, check_count);
}

/* "INPUT/FRAME" is the frame of that name, "NAME:TEXT" the text itself. */
static int text_of(struct vnp *v, const char *id, const char *ending, char **out)
{
    const char *colon = strchr(id, ':'), *slash = strchr(id, '/');
    struct aster_str name = {0};
    char *path = NULL;
    *out = NULL;
    if (colon)
        return aster_strdup(v->ctx, colon + 1, out);
    if (!slash)
        return aster_fail(v->ctx, ASTER_EFORMAT, "'%s' is neither INPUT/FRAME nor NAME:TEXT", id);
    aster_str_printf(&name, "%.*s_identified_%s", (int)(slash - id), id, ending);
    int rc = vnp_find(v, aster_str_get(&name), &path);
    aster_str_free(&name);
    if (rc == 0)
        rc = vnp_record(v, path, slash + 1, out);
    aster_free(&path);
    return rc;
}

static bool same_ids(const int32_t *ids, int64_t n, const char *numbers)
{
    struct aster_str text = {0};
    for (int64_t k = 0; k < n; k++)
        aster_str_printf(&text, "%s%d", k ? " " : "", ids[k]);
    bool good = !strcmp(aster_str_get(&text), numbers);
    aster_str_free(&text);
    return good;
}

static bool check_ids(struct vnp *v, char **field, struct aster_str *detail, bool esm2)
{
    char *text = NULL;
    int32_t *ids = NULL;
    int64_t n_ids = 0, length, n_tokens, n = 0;
    int rc = text_of(v, field[0], esm2 ? "protein.faa" : "nucleotide.fa", &text);
    n = rc < 0 ? 0 : (int64_t)strlen(text);
    if (rc == 0)
        rc = aster_alloc(v->ctx, n + 2, sizeof *ids, &ids);
    if (rc == 0 && esm2) {
        aster_esm2_encode(text, n, ASTER_ESM2_UNKNOWN, ids, NULL);
        n_ids = n + 2;
    } else if (rc == 0 && (rc = vnp_bpe(v)) == 0) {
        rc = aster_bpe_encode(v->bpe, v->room, text, n, ids, &n_ids);
    }
    bool good = rc == 0 && aster_parse_i64(field[1], &length) == 0 &&
                aster_parse_i64(field[2], &n_tokens) == 0 && length == n && n_tokens == n_ids &&
                same_ids(ids, n_ids, field[3]);
    if (!good)
        aster_str_printf(detail, "%.100s: %s", field[0],
                         rc < 0 ? aster_ctx_message(v->ctx)
                                : "other ids, or another number of them");
    aster_ctx_clear(v->ctx);
    aster_free(&ids);
    aster_free(&text);
    return good;
}

static bool check_esm2(struct vnp *v, char **field, struct aster_str *detail)
{
    return check_ids(v, field, detail, true);
}

static bool check_bpe(struct vnp *v, char **field, struct aster_str *detail)
{
    return check_ids(v, field, detail, false);
}

void vnp_check_tokens(struct vnp *v, const char *path, bool esm2)
{
    each_line(v, path, 4, esm2 ? check_esm2 : check_bpe);
}
