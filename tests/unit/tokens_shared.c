/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokenizers against every line of the shared tables, which other programs made. */
#include "unit/files.h"
#include "golden/token_tables.h"
#include "io/io.h"
#include "io/tokens.h"

static char file_at[PATH_MAX];

static const char *data_file(const char *name)
{
    const char *path = shared(name);
    snprintf(file_at, sizeof file_at, "%s", path ? path : "");
    return path ? file_at : NULL;
}

static void test_table(struct tokenizer *t, const char *name, int64_t least)
{
    char genomes[PATH_MAX];
    int64_t lines = 0, wrong = 0;
    snprintf(genomes, sizeof genomes, "%s", data_file("virnucpro"));
    const char *path = data_file(name);
    bool is_read = path && fine(token_table(t, path, genomes, &lines, &wrong));
    tap_ok(is_read && wrong == 0 && lines >= least, "%s: %lld of %lld lines agree", name,
           (long long)(lines - wrong), (long long)lines);
}

static char *read_record(const char *file, const char *record)
{
    char name[PATH_MAX + 16], *out = NULL;
    snprintf(name, sizeof name, "virnucpro/%s", file);
    const char *path = shared(name);
    return path && fine(token_record(ctx, path, record, &out)) ? out : NULL;
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
    return token_ids_same(ids, n + 2, numbers);
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
        bool good = text && (t ? fine(tokenizer_encode(t, text, (int64_t)strlen(text))) &&
                                     token_ids_same(t->ids, t->n, ids + 1)
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
    if (tap_ok(fine(tokenizer_open(ctx, path, &t)) && aster_bpe_n_ids(t.bpe) == 4096,
               "tokenizer.json with 4096 tokens")) {
        test_table(&t, "dnabert/token_ids.tsv", 932);
        test_table(&t, "dnabert/token_ids_special.tsv", 56);
        test_table(&t, "dnabert/token_windows.tsv", 255);
        test_frames(&t, "virnucpro/derived/dnaberts_token_ids.tsv", "nucleotide.fa", 16);
    }
    test_frames(NULL, "virnucpro/derived/esm2_token_ids.tsv", "protein.faa", 8);
    for (size_t k = 0; k < sizeof models / sizeof *models; k++)
        test_model(models[k]);
    tokenizer_close(&t);
    return test_end();
}
