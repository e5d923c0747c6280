/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunks, frames and equal texts against slow references written from the rules, at every small
 * size and some odd ones. */
#include "unit/files.h"
#include "seq/seq.h"

static uint64_t drawn;

static int64_t draw(int64_t n)
{
    return (int64_t)(aster_uniform(5, 0, drawn++) * (double)n);
}

/* ---- chunks ---- */

/* The rule as it is published: a list of steps, one for each gap, cut to the number of chunks. */
static bool chunks_agree(int64_t length, int64_t size)
{
    static int64_t step[4000];
    struct aster_chunks c;
    int64_t n = (length + size - 1) / size, over = n * size - length, low = over / n, shift = 0;
    int64_t need = over - low * (n - 1), at = 0;
    for (int64_t k = 0; k < need && at < 3999; k++)
        step[at++] = low + 1;
    for (int64_t k = 0; k < n - 1 - need && at < 3999; k++)
        step[at++] = low;
    step[at] = 0;
    if (!fine(aster_chunks_plan(ctx, length, size, &c)) || c.n != n)
        return false;
    for (int64_t i = 0; i < n; i++) {
        int64_t begin = i * size - shift, end = begin + size < length ? begin + size : length;
        if (aster_chunk_begin(&c, i) != begin || aster_chunk_end(&c, i) != end)
            return false;
        shift += step[i];
    }
    return aster_chunk_end(&c, n - 1) == length;
}

static void test_chunks(void)
{
    struct aster_chunks c;
    struct aster_str s = {0};
    int64_t wrong = 0;
    for (int64_t size = 1; size <= 40; size++)
        for (int64_t length = 1; length <= 400; length++)
            wrong += !chunks_agree(length, size);
    for (int k = 0; k < 2000; k++)
        wrong += !chunks_agree(1 + draw(150000), 150 + draw(400));
    tap_ok(wrong == 0, "18000 pairs of length and size as the list of steps says");
    tap_ok(fine(aster_chunks_plan(ctx, 0, 500, &c)) && c.n == 0, "no base, no chunk");
    bool huge = fine(aster_chunks_plan(ctx, 1LL << 59, 500, &c)) &&
                aster_chunk_begin(&c, c.n - 1) + 500 >= 1LL << 59 &&
                aster_chunk_end(&c, c.n - 1) == 1LL << 59;
    tap_ok(huge && fine(aster_chunks_plan(ctx, 7, 1LL << 40, &c)) && c.n == 1 &&
               aster_chunk_end(&c, 0) == 7,
           "a huge record, a huge chunk");
    failed_with("chunks of no base", aster_chunks_plan(ctx, 9, 0, &c), ASTER_EPARAM, "0 bases",
                "expected", NULL);
    failed_with("chunks too large", aster_chunks_plan(ctx, 9, INT64_MAX, &c), ASTER_EPARAM,
                "expected", NULL);
    aster_chunk_name(&s, "a|b", 0);
    aster_str_add(&s, " ");
    aster_chunk_name(&s, "", 11);
    aster_str_add(&s, " ");
    aster_chunk_name(&s, "x", 999999999999);
    tap_ok(!strcmp(aster_str_get(&s), "a|b_chunk_1 _chunk_12 x_chunk_1000000000000"),
           "names of chunks count from 1");
    aster_str_free(&s);
}

static void test_stems(void)
{
    static const char *const pairs[][2] = {
        {"a/b.c.fa", "b.c"},    {"b.fasta.gz", "b"},    {"-", "stdin"}, {"x/plain", "plain"},
        {"x.y/plain", "plain"}, {".hidden", ".hidden"}, {"a.gz", "a"},  {".gz", ".gz"}};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        struct aster_str s = {0};
        aster_stem_add(&s, pairs[k][0]);
        tap_ok(!strcmp(aster_str_get(&s), pairs[k][1]), "%s has the stem %s", pairs[k][0],
               pairs[k][1]);
        aster_str_free(&s);
    }
}

/* ---- frames ---- */

/* Residues with their codons: another form of the same code, from the textbook. */
static const char *const genetic_code[] = {"A GCT GCC GCA GCG",
                                           "R CGT CGC CGA CGG AGA AGG",
                                           "N AAT AAC",
                                           "D GAT GAC",
                                           "C TGT TGC",
                                           "Q CAA CAG",
                                           "E GAA GAG",
                                           "G GGT GGC GGA GGG",
                                           "H CAT CAC",
                                           "I ATT ATC ATA",
                                           "L TTA TTG CTT CTC CTA CTG",
                                           "K AAA AAG",
                                           "M ATG",
                                           "F TTT TTC",
                                           "P CCT CCC CCA CCG",
                                           "S TCT TCC TCA TCG AGT AGC",
                                           "T ACT ACC ACA ACG",
                                           "W TGG",
                                           "Y TAT TAC",
                                           "V GTT GTC GTA GTG",
                                           "* TAA TAG TGA"};

static char residue_of(const char *codon)
{
    char word[5] = {' ', codon[0], codon[1], codon[2], 0};
    if (strlen(word) < 4) /* a NUL byte */
        return 0;
    for (size_t k = 0; k < sizeof genetic_code / sizeof *genetic_code; k++)
        if (strstr(genetic_code[k], word))
            return genetic_code[k][0];
    return 0;
}

static char opposite(char c)
{
    return c == 'A' ? 'T' : c == 'T' ? 'A' : c == 'C' ? 'G' : c == 'G' ? 'C' : c;
}

struct slow_frame {
    char dna[2000], protein[700];
    int n_dna, n_protein, codons;
    bool stop;
};

static void slow_translate(const char *bases, int n, int number, struct slow_frame *f)
{
    static char strand[2000];
    int offset = number % 3;
    *f = (struct slow_frame){.n_dna = 0};
    for (int k = 0; k < n; k++) {
        char c = bases[number < 3 ? k : n - 1 - k];
        c = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        strand[k] = number < 3 ? c : opposite(c);
    }
    for (int k = offset; k + 3 <= n; k += 3, f->codons++) {
        char r = residue_of(strand + k);
        if (r == '*')
            f->stop = true;
        if (r)
            f->protein[f->n_protein++] = r;
    }
    for (int k = offset; k < n && k < offset + 3 * f->n_protein + 1; k++)
        f->dna[f->n_dna++] = strand[k];
}

static bool frames_agree(struct aster_frames *found, const char *bases, int n)
{
    static struct slow_frame f;
    int open = 0;
    if (!fine(aster_frames_find(found, bases, n)))
        return false;
    for (int number = 0; number < ASTER_N_FRAMES; number++) {
        slow_translate(bases, n, number, &f);
        enum aster_frame_state want = f.stop          ? ASTER_FRAME_STOP
                                      : f.n_protein   ? ASTER_FRAME_OPEN
                                      : f.codons == 0 ? ASTER_FRAME_SHORT
                                                      : ASTER_FRAME_UNKNOWN;
        if (aster_frames_state(found, number) != want)
            return false;
        if (want != ASTER_FRAME_OPEN)
            continue;
        const struct aster_frame *g = aster_frames_get(found, open++);
        if (g->number != number || g->n_dna != f.n_dna || g->n_protein != f.n_protein ||
            memcmp(g->dna, f.dna, (size_t)f.n_dna) != 0 ||
            memcmp(g->protein, f.protein, (size_t)f.n_protein) != 0)
            return false;
    }
    return open == aster_frames_count(found);
}

static void test_frames(void)
{
    static const char *const alphabets[] = {"ACGT", "ACGTacgtN", "ACGTUNRYKMSWBDHVacgtunry*-. @[`{",
                                            "AACCGG"};
    struct aster_frames *f = NULL;
    static char bases[2000];
    int64_t wrong = 0, open = 0, cases = 0;
    if (!fine(aster_frames_new(ctx, &f)))
        return;
    for (int n = 0; n < 1700; n += n < 40 ? 1 : 97)
        for (int a = 0; a < 4; a++)
            for (int repeat = 0; repeat < (n < 40 ? 200 : 20); repeat++, cases++) {
                for (int k = 0; k < n; k++)
                    bases[k] = alphabets[a][draw((int64_t)strlen(alphabets[a]))];
                wrong += !frames_agree(f, bases, n);
                open += aster_frames_count(f);
            }
    tap_ok(wrong == 0 && open > cases / 2, "%lld sequences of 0 to 1650 letters, %lld open frames",
           (long long)cases, (long long)open);
    for (int c = 0; c < 256; c++) {
        memset(bases, c, 9);
        bases[4] = 'A';
        wrong += !frames_agree(f, bases, 9);
    }
    tap_ok(wrong == 0, "every byte");
    for (int c = 0; c < 64; c++) {
        for (int k = 0; k < 3; k++)
            bases[k] = "ACGT"[c >> 2 * k & 3];
        wrong += !frames_agree(f, bases, 3);
    }
    tap_ok(wrong == 0, "every codon");
    tap_ok(!strcmp(aster_frame_name(0), "F1") && !strcmp(aster_frame_name(5), "R3") &&
               !strcmp(aster_frame_reason(ASTER_FRAME_STOP), "stop codon"),
           "names of frames and reasons");
    aster_frames_free(&f);
    aster_frames_free(&f);
}

static void test_long_chunk(void)
{
    struct aster_frames *f = NULL;
    char *bases = NULL;
    int64_t n = 3000001, wrong = 0;
    if (!fine(aster_frames_new(ctx, &f)) || !fine(aster_alloc(ctx, n, 1, &bases)))
        return;
    memset(bases, 'C', (size_t)n);
    bool good = fine(aster_frames_find(f, bases, n)) && aster_frames_count(f) == 6;
    for (int k = 0; good && k < 6; k++) {
        const struct aster_frame *g = aster_frames_get(f, k);
        wrong += g->n_protein != (n - k % 3) / 3 ||
                 g->protein[g->n_protein - 1] != (k < 3 ? 'P' : 'G') ||
                 g->n_dna != aster_min64(n - k % 3, 3 * g->n_protein + 1);
    }
    tap_ok(good && wrong == 0, "a chunk of three million bases");
    aster_free(&bases);
    aster_frames_free(&f);
}

/* ---- equal texts ---- */

static void test_same(void)
{
    struct aster_same *s = NULL;
    static char kept[600][24];
    static int length[600];
    int64_t number, n = 0, wrong = 0, again = 0;
    if (!fine(aster_same_new(ctx, &s)))
        return;
    for (int round = 0; round < 3; round++) {
        n = 0;
        for (int k = 0; k < 4000; k++) {
            char text[24];
            int m = (int)draw(20);
            for (int j = 0; j < m; j++)
                text[j] = j < m - 3 ? 'A' : "AC\0"[draw(3)];
            int64_t at = 0;
            while (at < n && (length[at] != m || memcmp(kept[at], text, (size_t)m) != 0))
                at++;
            int rc = aster_same_add(s, text, m, &number);
            wrong += rc != (at < n) || number != at;
            again += rc == 1;
            if (at == n && n < 600) {
                memcpy(kept[n], text, (size_t)m);
                length[n++] = m;
            }
        }
        wrong += aster_same_count(s) != n || n > 590;
        aster_same_clear(s);
        wrong += aster_same_count(s) != 0 || aster_same_bytes(s) != 0;
    }
    tap_ok(wrong == 0 && again > 6000, "%lld equal texts found, %lld kinds", (long long)again,
           (long long)n);
    for (int k = 0; k < 300000; k++) {
        char text[32];
        int m = snprintf(text, sizeof text, "%d", k / 3);
        wrong += aster_same_add(s, text, m, &number) != (k % 3 > 0) || number != k / 3;
    }
    tap_ok(wrong == 0, "a hundred thousand different ones, each three times");
    aster_same_free(&s);
    aster_same_free(&s);
}

static void test_pooled(void)
{
    struct aster_pooled a = aster_pooled_esm2(166), b = aster_pooled_esm2(1023),
                        c = aster_pooled_dnabert(36);
    tap_ok(a.n_tokens == 168 && a.first == 1 && a.n == 166 && a.n_cut == 0, "residues only");
    tap_ok(b.n_tokens == 1024 && b.n == 1022 && b.n_cut == 1,
           "residues that the model does not see");
    tap_ok(c.n_tokens == 36 && c.first == 0 && c.n == 36 && c.n_cut == 0,
           "all tokens of DNABERT-S");
}

int main(void)
{
    test_start();
    test_chunks();
    test_stems();
    test_frames();
    test_long_chunk();
    test_same();
    test_pooled();
    return test_end();
}
