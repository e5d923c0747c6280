/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of the virus pipeline: every chunk of every record is in one part, in order and with its
 * bases, however records and parts are cut; equal frames are found once. */
#include "flow/vnp.h"
#include "unit/files.h"

enum { CHUNK = 500, LONG = 9000001 };

struct walk {
    int64_t parts, records, faults, chunks, bad, most_bases;
    int64_t at; /* chunks of the record that is under way */
};

static char letter(int64_t record, int64_t at)
{
    return "ACGT"[aster_mix64((uint64_t)(record << 40) + (uint64_t)at) & 3];
}

/* The bases of a record's piece are those that were written, from the first chunk of the piece to
 * the end of its last. */
static void check_piece(struct walk *w, const struct vnp_part *p, const struct vnp_record *r)
{
    struct aster_chunks plan;
    if (r->first_chunk == 0)
        w->records++;
    w->faults += r->fault != NULL;
    if (r->fault)
        return;
    w->bad += r->first_chunk != w->at || aster_chunks_plan(ctx, r->length, CHUNK, &plan) < 0;
    for (int64_t k = r->at; k < r->at + r->n_chunks; k++) {
        struct aster_span at = vnp_chunk_span(p, &plan, k);
        int64_t i = w->at + k - r->at;
        w->bad += at.begin != aster_chunk_begin(&plan, i) || at.end != aster_chunk_end(&plan, i) ||
                  at.begin < r->begin || at.end > r->begin + r->n_bases;
    }
    for (int64_t k = 0; k < r->n_bases; k++)
        w->bad += r->bases[k] != letter(r->index, r->begin + k);
    w->chunks += r->n_chunks;
    w->at = r->first_chunk + r->n_chunks < plan.n ? w->at + r->n_chunks : 0;
}

static bool read_all(const char *path, int64_t items, struct walk *w)
{
    const char *paths[] = {path};
    const struct aster_dna_source source = {.n = 1, .path = (char **)paths};
    struct vnp_reader *r = NULL;
    struct vnp_part *p;
    *w = (struct walk){0};
    int rc = vnp_reader_new(ctx, &source, CHUNK, items, &r);
    while (rc == 0 && (rc = vnp_reader_next(r, &p)) == 1) {
        int64_t bases = 0;
        w->bad += p->index != w->parts++ || vnp_part_items(p) > items;
        for (int64_t k = 0; k < p->n_records; k++) {
            check_piece(w, p, &p->record[k]);
            bases += p->record[k].n_bases;
        }
        w->most_bases = aster_max64(w->most_bases, bases);
        vnp_part_free(&p);
        rc = 0;
    }
    vnp_reader_free(&r);
    return fine(rc);
}

static void add_record(struct aster_str *s, int64_t index, int64_t n)
{
    aster_str_printf(s, ">r%lld\n", (long long)index);
    for (int64_t k = 0; k < n; k++) {
        char c = letter(index, k);
        aster_str_addn(s, &c, 1);
    }
    aster_str_add(s, "\n");
}

static void test_reading(void)
{
    static const int64_t lengths[] = {1, LONG, 500, 501, 1250, 20000, 499};
    struct aster_str s = {0};
    struct aster_chunks plan;
    struct walk w;
    int64_t chunks = 0;
    for (int64_t k = 0; k < 7; k++) {
        add_record(&s, k, lengths[k]);
        chunks += aster_chunks_plan(ctx, lengths[k], CHUNK, &plan) < 0 ? 0 : plan.n;
    }
    aster_str_add(&s, ">bad\nAC-GT\n>none\n");
    const char *path = put_bytes("in.fa", s.s, s.len);
    aster_str_free(&s);
    for (int64_t items = 1 << 20; items > 1; items /= 100) {
        bool good = read_all(path, items, &w);
        tap_ok(good && w.bad == 0 && w.records == 9 && w.faults == 2 && w.chunks == chunks,
               "%lld items a part: %lld chunks of %lld records in %lld parts", (long long)items,
               (long long)w.chunks, (long long)w.records, (long long)w.parts);
        tap_ok(w.most_bases < 9000000 && (items < 10000 || w.parts > 1),
               "no part has a long record whole: %lld bases", (long long)w.most_bases);
    }
}

static void test_frames(void)
{
    const char *path = put_text("same.fa", ">a\nACGTACGTACGTACGT\n>b\nACGTACGTACGTACGT\n"
                                           ">c\nAAAAAAAAAA\n>d\nTTTTTTTTTT\n>e\nTAA\n");
    const char *paths[] = {path};
    const struct aster_dna_source source = {.n = 1, .path = (char **)paths};
    struct vnp_reader *r = NULL;
    struct vnp_part *p = NULL;
    struct aster_frames *frames = NULL;
    struct aster_same *same = NULL;
    bool good = fine(vnp_reader_new(ctx, &source, CHUNK, 100, &r)) &&
                fine(vnp_reader_next(r, &p)) && fine(aster_frames_new(ctx, &frames)) &&
                fine(aster_same_new(ctx, &same)) && fine(vnp_part_frames(p, frames, same));
    if (tap_ok(good && p->n_chunks == 5, "five chunks")) {
        const struct vnp_chunk *a = &p->chunk[0], *b = &p->chunk[1], *c = &p->chunk[2],
                               *d = &p->chunk[3];
        bool equal =
            a->n_frames == b->n_frames && a->n_frames > 0 && c->n_frames == 6 && d->n_frames == 6;
        for (int64_t k = 0; equal && k < a->n_frames; k++)
            equal = p->frame[a->first_frame + k].same == p->frame[b->first_frame + k].same;
        for (int64_t k = 0; equal && k < 6; k++)
            equal =
                p->frame[c->first_frame + k].same == p->frame[d->first_frame + (k + 3) % 6].same;
        tap_ok(equal, "equal chunks have equal frames, and so has the other strand");
        tap_ok(p->n_texts < p->n_frames, "%lld frames, %lld of them differ", (long long)p->n_frames,
               (long long)p->n_texts);
        tap_ok(p->chunk[4].n_frames < 6 && p->chunk[4].state[0] == ASTER_FRAME_STOP,
               "the state of each frame is kept");
    }
    vnp_part_free(&p);
    vnp_reader_free(&r);
    aster_frames_free(&frames);
    aster_same_free(&same);
}

int main(void)
{
    test_start();
    test_reading();
    test_frames();
    return test_end();
}
