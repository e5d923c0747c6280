/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokenizers against every line of the shared tables, which other programs made. */
#include "unit/files.h"
#include "io/io.h"
#include "io/tokens.h"

struct tokenizer {
    struct aster_bpe *bpe;
    struct aster_bpe_room *room;
    int32_t *ids;
    int64_t n, cap;
};

static char file_at[PATH_MAX];

static const char *data_file(const char *name)
{
    const char *path = shared(name);
    snprintf(file_at, sizeof file_at, "%s", path ? path : "");
    return path ? file_at : NULL;
}

static bool encode(struct tokenizer *t, const char *text, int64_t n)
{
    return fine(aster_grow(ctx, n + 2, sizeof *t->ids, &t->cap, &t->ids)) &&
           fine(aster_bpe_encode(t->bpe, t->room, text, n, t->ids, &t->n));
}

/* The ids are those of a text of numbers. */
static bool same_ids(const int32_t *ids, int64_t n, const char *numbers)
{
    int64_t k = 0;
    char *end;
    for (const char *at = numbers; *at; at = *end == ' ' ? end + 1 : end, k++) {
        long v = strtol(at, &end, 10);
        if (end == at || k >= n || ids[k] != v)
            return false;
    }
    return k == n;
}

/* \xHH to bytes, in place; the number of bytes. */
static int64_t unescape(char *s)
{
    char *to = s;
    for (const char *from = s; *from; from++)
        if (from[0] == '\\' && from[1] == 'x') {
            char hex[3] = {from[2], from[3], 0};
            *to++ = (char)strtol(hex, NULL, 16);
            from += 3;
        } else {
            *to++ = *from;
        }
    return to - s;
}

static void test_table(struct tokenizer *t, const char *name, int64_t least)
{
    struct aster_lines *l = NULL;
    char *line;
    size_t n;
    int64_t lines = 0, wrong = 0;
    const char *path = data_file(name);
    if (!path || !fine(aster_lines_open(ctx, path, &l)) || aster_lines_next(l, &line, &n) <= 0)
        return;
    while (aster_lines_next(l, &line, &n) > 0) {
        char *ids = strchr(line, '\t');
        if (!ids)
            break;
        *ids++ = '\0';
        wrong += !encode(t, line, unescape(line)) || !same_ids(t->ids, t->n, ids);
        lines++;
    }
    tap_ok(wrong == 0 && lines >= least, "%s: %lld of %lld lines agree", name,
           (long long)(lines - wrong), (long long)lines);
    aster_lines_close(&l);
}

/* ---- windows of genomes ---- */

struct window {
    char *file, *record;
    int64_t start, length, n_ids;
    uint64_t hash;
};

static bool parse_window(char *line, struct window *w)
{
    char *field[6];
    for (int k = 0; k < 6; k++) {
        field[k] = k ? field[k - 1] + strlen(field[k - 1]) + 1 : line;
        char *tab = strchr(field[k], '\t');
        if ((tab == NULL) != (k == 5))
            return false;
        if (tab)
            *tab = '\0';
    }
    *w =
        (struct window){.file = field[0], .record = field[1], .hash = strtoull(field[5], NULL, 16)};
    return aster_parse_i64(field[2], &w->start) == 0 &&
           aster_parse_i64(field[3], &w->length) == 0 && aster_parse_i64(field[4], &w->n_ids) == 0;
}

/* The bases of a record, in upper case. */
static char *read_record(const char *file, const char *record)
{
    char name[PATH_MAX], *out = NULL;
    struct aster_fasta *f = NULL;
    struct aster_fasta_record r;
    snprintf(name, sizeof name, "virnucpro/%s", file);
    const char *path = shared(name);
    if (!path || !fine(aster_fasta_open(ctx, path, &f)))
        return NULL;
    while (!out && aster_fasta_next(f, &r) > 0)
        if (!strcmp(r.id, record) && fine(aster_strndup(ctx, r.seq, (size_t)r.length, &out)))
            for (char *c = out; *c; c++)
                *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    aster_fasta_close(&f);
    return out;
}

static bool window_agrees(struct tokenizer *t, const struct window *w, const char *bases)
{
    uint64_t h = 0xcbf29ce484222325u;
    if (!encode(t, bases + w->start, w->length))
        return false;
    for (int64_t k = 0; k < t->n; k++)
        for (int byte = 0; byte < 2; byte++)
            h = (h ^ (uint64_t)(t->ids[k] >> 8 * byte & 255)) * 0x100000001b3u;
    return t->n == w->n_ids && h == w->hash;
}

static void test_windows(struct tokenizer *t)
{
    struct aster_lines *l = NULL;
    char *line, *bases = NULL, last[300] = "", name[300];
    size_t n;
    int64_t windows = 0, wrong = 0;
    const char *path = data_file("dnabert/token_windows.tsv");
    if (!path || !fine(aster_lines_open(ctx, path, &l)) || aster_lines_next(l, &line, &n) <= 0)
        return;
    while (aster_lines_next(l, &line, &n) > 0) {
        struct window w;
        if (!parse_window(line, &w)) {
            wrong++;
            break;
        }
        snprintf(name, sizeof name, "%.140s %.140s", w.file, w.record);
        if (strcmp(name, last) != 0) {
            aster_free(&bases);
            bases = read_record(w.file, w.record);
            memcpy(last, name, sizeof last);
        }
        wrong += !bases || !window_agrees(t, &w, bases);
        windows++;
    }
    tap_ok(wrong == 0 && windows >= 255, "%lld of %lld windows of genomes agree",
           (long long)(windows - wrong), (long long)windows);
    aster_free(&bases);
    aster_lines_close(&l);
}

/* ---- the sequences of the pipeline ---- */

/* "RUN/RECORD" or "NAME:TEXT" */
static char *text_of(const char *id, const char *ending)
{
    char file[PATH_MAX], *text = NULL;
    const char *colon = strchr(id, ':'), *slash = strchr(id, '/');
    if (colon && !fine(aster_strdup(ctx, colon + 1, &text)))
        return NULL;
    if (colon || !slash)
        return text;
    snprintf(file, sizeof file, "fasta/%.*s_identified_%s", (int)(slash - id), id, ending);
    return read_record(file, slash + 1);
}

static bool esm2_agrees(const char *text, const char *numbers)
{
    static int32_t ids[10000];
    int64_t n = (int64_t)strlen(text);
    aster_esm2_encode(text, n, ASTER_ESM2_UNKNOWN, ids, NULL);
    return same_ids(ids, n + 2, numbers);
}

/* id, length, n_tokens, ids; t: NULL for ESM-2 */
static void test_frames(struct tokenizer *t, const char *name, const char *ending, int64_t least)
{
    struct aster_lines *l = NULL;
    char *line;
    size_t n;
    int64_t lines = 0, wrong = 0;
    const char *path = data_file(name);
    if (!path || !fine(aster_lines_open(ctx, path, &l)) || aster_lines_next(l, &line, &n) <= 0)
        return;
    while (aster_lines_next(l, &line, &n) > 0) {
        char *tab = strchr(line, '\t'), *ids = strrchr(line, '\t');
        if (!tab)
            break;
        *tab = '\0';
        char *text = text_of(line, ending);
        bool good =
            text && (t ? encode(t, text, (int64_t)strlen(text)) && same_ids(t->ids, t->n, ids + 1)
                       : esm2_agrees(text, ids + 1));
        wrong += !good;
        lines++;
        aster_free(&text);
    }
    tap_ok(wrong == 0 && lines >= least, "%s: %lld of %lld lines agree", name,
           (long long)(lines - wrong), (long long)lines);
    aster_lines_close(&l);
}

/* ---- the sequences of the models ---- */

/* Every sequence of a file of golden results, but for ids that are masked. */
static void test_model(const char *name)
{
    struct aster_h5 *h = NULL;
    char **names = NULL, set[300];
    int64_t n = 0, wrong = 0;
    const char *path = data_file(name);
    if (!path || !fine(aster_h5_open(ctx, path, &h)) ||
        !fine(aster_h5_list(h, "sequences", &names, &n)))
        n = 0;
    for (int64_t k = 0; k < n; k++) {
        int32_t *want = NULL, got[4000];
        char *letters = NULL;
        snprintf(set, sizeof set, "sequences/%s", names[k]);
        bool good = fine(aster_h5_attr_str(h, set, "letters", &letters));
        strncat(set, "/ids", sizeof set - strlen(set) - 1);
        int64_t m = good ? (int64_t)strlen(letters) : 0;
        good = good && m < 3998 && fine(aster_h5_read(h, set, ASTER_I32, m + 2, &want));
        if (good)
            aster_esm2_encode(letters, m, ASTER_ESM2_UNKNOWN, got, NULL);
        for (int64_t j = 0; good && j < m + 2; j++)
            good = want[j] == got[j] || want[j] == ASTER_ESM2_MASK;
        wrong += !good;
        aster_free(&letters);
        aster_free(&want);
    }
    tap_ok(n > 0 && wrong == 0, "%s: %lld of %lld sequences agree", name, (long long)(n - wrong),
           (long long)n);
    aster_strings_free(&names, n);
    aster_h5_close(&h);
}

int main(void)
{
    static const char *const models[] = {"esm2/tiny.h5", "esm2/odd.h5", "esm2/outlier.h5",
                                         "esm2/wide_bf16.h5", "esm2/h128_f16.h5"};
    struct tokenizer t = {0};
    test_start();
    const char *path = data_file("virnucpro/dnaberts/tokenizer.json");
    if (!path || !data_file("dnabert/token_ids.tsv")) {
        tap_skip("no shared test data; ASTERISM_TEST_DATA names its folder");
        return test_end();
    }
    path = data_file("virnucpro/dnaberts/tokenizer.json");
    if (tap_ok(fine(aster_bpe_open(ctx, path, &t.bpe)) && aster_bpe_n_ids(t.bpe) == 4096 &&
                   fine(aster_bpe_room_new(ctx, &t.room)),
               "tokenizer.json with 4096 tokens")) {
        test_table(&t, "dnabert/token_ids.tsv", 932);
        test_table(&t, "dnabert/token_ids_special.tsv", 56);
        test_windows(&t);
        test_frames(&t, "virnucpro/derived/dnaberts_token_ids.tsv", "nucleotide.fa", 16);
    }
    test_frames(NULL, "virnucpro/derived/esm2_token_ids.tsv", "protein.faa", 8);
    for (size_t k = 0; k < sizeof models / sizeof *models; k++)
        test_model(models[k]);
    aster_bpe_room_free(&t.room);
    aster_bpe_close(&t.bpe);
    aster_free(&t.ids);
    return test_end();
}
