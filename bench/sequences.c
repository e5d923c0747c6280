/* SPDX-License-Identifier: BSD-3-Clause */
/* bench-sequences [MB]: FASTA to frames on one core, stage by stage, in MB of plain FASTA per
 * second of CPU time. */
#include "io/dna.h"
#include "io/io.h"
#include "seq/seq.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { ROUNDS = 5, WINDOW = 20000 }; /* frames among which equal ones are found */
enum depth { READ, FRAMES, SAME, TEXTS, N_DEPTHS };

struct bench {
    struct aster_ctx *ctx;
    struct aster_frames *frames;
    struct aster_same *same;
    struct aster_str chunks, dna, protein, tables, name;
    int64_t n_frames, n_equal, bytes_out;
};

/* ---- inputs ---- */

static uint64_t drawn;

static char base(void)
{
    static uint64_t bits;
    static int left;
    if (left == 0) {
        bits = aster_mix64(++drawn);
        left = 32;
    }
    char c = "ACGT"[bits & 3];
    bits >>= 2;
    left--;
    return c;
}

static void add_reads(struct aster_str *out, size_t bytes)
{
    char read[151] = "";
    for (int64_t k = 0; out->len < bytes; k++) {
        for (int j = 0; j < 150; j++)
            read[j] = base();
        aster_str_printf(out, ">read_%lld/1 sample\n%s\n", (long long)k, read);
    }
}

/* Every second kilobase is open in one frame. */
static void add_contigs(struct aster_str *out, size_t bytes)
{
    for (int64_t k = 0; out->len < bytes; k++) {
        aster_str_printf(out, ">contig_%lld\n", (long long)k);
        for (int at = 0; at < 50000;) {
            char codon[4] = {base(), base(), base(), 0};
            bool stop = !strcmp(codon, "TAA") || !strcmp(codon, "TAG") || !strcmp(codon, "TGA");
            if (at / 1000 % 2 && stop)
                continue;
            for (int j = 0; j < 3; j++) {
                aster_str_addn(out, codon + j, 1);
                if (++at % 60 == 0)
                    aster_str_addn(out, "\n", 1);
            }
        }
        aster_str_addn(out, "\n", 1);
    }
}

/* ---- stages ---- */

static int one_chunk(struct bench *b, const char *id, int64_t i, const char *bases, int64_t n,
                     enum depth depth)
{
    struct aster_chunk_call call = {0};
    int64_t number;
    ASTER_TRY(aster_frames_find(b->frames, bases, n));
    b->name.len = 0;
    aster_chunk_name(&b->name, id, i);
    const char *chunk = aster_str_get(&b->name);
    if (depth >= TEXTS)
        aster_fasta_write(&b->chunks, chunk, bases, n, 60);
    for (int k = 0; k < aster_frames_count(b->frames); k++) {
        const struct aster_frame *f = aster_frames_get(b->frames, k);
        b->n_frames++;
        int equal = depth >= SAME ? aster_same_add(b->same, f->dna, f->n_dna, &number) : 0;
        if (equal < 0)
            return equal;
        b->n_equal += equal;
        if (aster_same_count(b->same) == WINDOW)
            aster_same_clear(b->same);
        if (depth < TEXTS)
            continue;
        float virus = (float)aster_mix64((uint64_t)b->n_frames) * 0x1p-64f;
        aster_chunk_call_add(&call, 1 - virus, virus);
        aster_fasta_write(&b->dna, chunk, f->dna, f->n_dna, 0);
        aster_fasta_write(&b->protein, chunk, f->protein, f->n_protein, 0);
        aster_frame_table_row(&b->tables, ASTER_TABLE_FIRST, chunk, f->number, 1 - virus, virus);
    }
    if (call.n_frames)
        aster_chunk_table_row(&b->tables, ASTER_TABLE_FIRST, chunk, &call);
    struct aster_str *out[] = {&b->chunks, &b->dna, &b->protein, &b->tables};
    for (int k = 0; k < 4; k++)
        if (out[k]->len > 1 << 20) {
            b->bytes_out += (int64_t)out[k]->len;
            out[k]->len = 0;
        }
    return 0;
}

static int whole_file(struct bench *b, const char *path, int64_t size, enum depth depth)
{
    struct aster_dna *d = NULL;
    struct aster_dna_record r;
    struct aster_chunks plan;
    ASTER_TRY(aster_dna_open(b->ctx, 1, &path, false, &d));
    int rc;
    while ((rc = aster_dna_next(d, &r)) > 0) {
        if (depth < FRAMES)
            continue;
        ASTER_GOTO(aster_chunks_plan(b->ctx, r.length, size, &plan), done);
        for (int64_t i = 0; i < plan.n; i++) {
            int64_t begin = aster_chunk_begin(&plan, i), n = aster_chunk_end(&plan, i) - begin;
            ASTER_GOTO(one_chunk(b, r.id, i, r.seq + begin, n, depth), done);
        }
    }
done:
    aster_dna_close(&d);
    return rc;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(struct bench *b, const char *what, const char *path, size_t bytes, int64_t size,
                   enum depth last)
{
    static const char *const names[] = {"read", "+ chunks, six frames", "+ equal frames",
                                        "+ FASTA and tables as text"};
    for (int depth = READ; depth <= (int)last; depth++) {
        double t[ROUNDS];
        for (int k = 0; k < ROUNDS; k++) {
            b->n_frames = b->n_equal = b->bytes_out = 0;
            aster_same_clear(b->same);
            double start = aster_cpu_thread();
            ASTER_TRY(whole_file(b, path, size, (enum depth)depth));
            t[k] = aster_cpu_thread() - start;
        }
        qsort(t, ROUNDS, sizeof *t, ascending);
        printf("%-22s %-28s %6.0f MB/s (%.0f to %.0f), %lld frames, %lld equal, %.0f MB written\n",
               what, names[depth], (double)bytes * 1e-6 / t[ROUNDS / 2],
               (double)bytes * 1e-6 / t[ROUNDS - 1], (double)bytes * 1e-6 / t[0],
               (long long)b->n_frames, (long long)b->n_equal, (double)b->bytes_out * 1e-6);
        fflush(stdout);
    }
    return 0;
}

static int put_gzip(struct aster_ctx *ctx, const char *path, const struct aster_str *text)
{
    gzFile f = gzopen(path, "wb6");
    int wrote = f ? gzwrite(f, text->s, (unsigned)text->len) : 0;
    if (!f || gzclose(f) != Z_OK || wrote != (int)text->len)
        return aster_fail(ctx, ASTER_EIO, "%s: cannot be written", path);
    return 0;
}

static int run(struct bench *b, size_t bytes, const char *path)
{
    struct aster_str text = {0};
    add_reads(&text, bytes);
    ASTER_TRY(aster_str_ok(b->ctx, &text));
    ASTER_TRY(aster_file_write(b->ctx, path, text.s, (int64_t)text.len));
    ASTER_TRY(measure(b, "reads of 150, C 300", path, text.len, 300, TEXTS));
    ASTER_TRY(put_gzip(b->ctx, path, &text));
    ASTER_TRY(measure(b, "the same packed", path, text.len, 300, READ));
    text.len = 0;
    add_contigs(&text, bytes);
    ASTER_TRY(aster_str_ok(b->ctx, &text));
    ASTER_TRY(aster_file_write(b->ctx, path, text.s, (int64_t)text.len));
    ASTER_TRY(measure(b, "contigs, C 500", path, text.len, 500, TEXTS));
    ASTER_TRY(measure(b, "contigs, C 150", path, text.len, 150, TEXTS));
    aster_str_free(&text);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    int64_t mb = 40;
    char path[] = "/dev/shm/aster-bench-XXXXXX";
    int fd = -1, rc = aster_ctx_new(&b.ctx);
    if (argc > 2 || (argc == 2 && aster_parse_i64(argv[1], &mb) < 0) || mb < 1 || mb > 1000) {
        fprintf(stderr, "usage: bench-sequences [MB]   1 to 1000 MB of FASTA, 40 if not given\n");
        return 1;
    }
    if (rc == 0)
        rc = aster_frames_new(b.ctx, &b.frames);
    if (rc == 0)
        rc = aster_same_new(b.ctx, &b.same);
    if (rc == 0 && (fd = mkstemp(path)) < 0)
        rc = aster_fail(b.ctx, ASTER_EIO, "%s: cannot be made", path);
    if (rc == 0)
        rc = run(&b, (size_t)mb * 1000000, path);
    if (rc < 0)
        fprintf(stderr, "%s\n", b.ctx ? aster_ctx_message(b.ctx) : "out of memory");
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    struct aster_str *texts[] = {&b.chunks, &b.dna, &b.protein, &b.tables, &b.name};
    for (int k = 0; k < 5; k++)
        aster_str_free(texts[k]);
    aster_frames_free(&b.frames);
    aster_same_free(&b.same);
    aster_ctx_free(&b.ctx);
    return rc < 0;
}
