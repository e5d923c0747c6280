/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokenizers: byte-pair encoding against an encoder that looks for the lowest pair again and again,
 * on vocabularies trained or made up here; what a tokenizer.json must not say; ESM-2's table. */
#include "unit/files.h"
#include "io/tokens.h"

#include <inttypes.h>

enum { N_SPECIAL = 5, MOST_TOKENS = 400, LONGEST = 1 << 20 };

static const char *const special[N_SPECIAL] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};

/* ---- a vocabulary ---- */

struct vocabulary {
    char token[MOST_TOKENS][64];
    int n, left[MOST_TOKENS], right[MOST_TOKENS]; /* a merge makes each token from the ninth on */
};

static int64_t number;

static int draw(int n)
{
    return (int)(aster_uniform(7, 0, (uint64_t)number++) * n);
}

/* Letters, mostly of short repeats. */
static void random_dna(char *out, int n)
{
    for (int k = 0; k < n; k++)
        out[k] = k > 6 && draw(3) ? out[k - 1 - draw(6)] : "ACGT"[draw(4)];
    out[n] = '\0';
}

static bool known(const struct vocabulary *v, int a, int b)
{
    char text[128];
    snprintf(text, sizeof text, "%s%s", v->token[a], v->token[b]);
    for (int k = 0; k < v->n; k++)
        if (!strcmp(v->token[k], text))
            return true;
    return strlen(text) > 40;
}

static int replace_pair(int *ids, int n, int a, int b, int by)
{
    int m = 0;
    for (int k = 0; k < n; k++, m++) {
        bool pair = k + 1 < n && ids[k] == a && ids[k + 1] == b;
        ids[m] = pair ? by : ids[k];
        k += pair;
    }
    return m;
}

static void start_vocabulary(struct vocabulary *v)
{
    v->n = N_SPECIAL + 4;
    for (int k = 0; k < v->n; k++)
        snprintf(v->token[k], sizeof v->token[k], "%.*s", k < N_SPECIAL ? 9 : 1,
                 k < N_SPECIAL ? special[k] : "ACGT" + k - N_SPECIAL);
}

static void join(struct vocabulary *v, int a, int b)
{
    char joined[128];
    v->left[v->n] = a;
    v->right[v->n] = b;
    snprintf(joined, sizeof joined, "%s%s", v->token[a], v->token[b]);
    snprintf(v->token[v->n], sizeof v->token[v->n], "%.63s", joined);
    v->n++;
}

/* The most frequent pair of a text becomes a token, again and again. */
static void train(struct vocabulary *v, int n_merges)
{
    static int ids[4000], count[MOST_TOKENS][MOST_TOKENS];
    char text[4001];
    int n = 4000;
    start_vocabulary(v);
    random_dna(text, n);
    for (int k = 0; k < n; k++)
        ids[k] = N_SPECIAL + (int)(strchr("ACGT", text[k]) - "ACGT");
    for (int merge = 0; merge < n_merges; merge++) {
        int best = 0, a = -1, b = -1;
        memset(count, 0, sizeof count);
        for (int k = 0; k + 1 < n; k++)
            if (++count[ids[k]][ids[k + 1]] > best && !known(v, ids[k], ids[k + 1])) {
                best = count[ids[k]][ids[k + 1]];
                a = ids[k];
                b = ids[k + 1];
            }
        if (a < 0)
            return;
        join(v, a, b);
        n = replace_pair(ids, n, a, b, v->n - 1);
    }
}

/* Merges of any tokens: many of them cannot come about, for earlier ones cut their texts up. */
static void make_up(struct vocabulary *v, int n_merges)
{
    start_vocabulary(v);
    while (n_merges > 0) {
        int a = N_SPECIAL + draw(v->n - N_SPECIAL), b = N_SPECIAL + draw(v->n - N_SPECIAL);
        if (strlen(v->token[a]) + strlen(v->token[b]) > 6 || known(v, a, b))
            continue;
        join(v, a, b);
        n_merges--;
    }
}

static void add_merge(struct aster_str *s, const struct vocabulary *v, int k, bool pairs)
{
    aster_str_printf(s, pairs ? "%s[\"%s\", \"%s\"]" : "%s\"%s %s\"", k > N_SPECIAL + 4 ? ", " : "",
                     v->token[v->left[k]], v->token[v->right[k]]);
}

/* pairs: merges as lists, the newer form. */
static void write_json(struct aster_str *s, const struct vocabulary *v, bool pairs)
{
    s->len = 0;
    aster_str_add(s, "{\"version\": \"1.0\", \"truncation\": {\"max_length\": 7}, \"padding\": "
                     "{\"strategy\": {\"Fixed\": 7}}, "
                     "\"added_tokens\": [");
    for (int k = 0; k < N_SPECIAL; k++)
        aster_str_printf(s,
                         "%s{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": "
                         "false, \"rstrip\": false}",
                         k ? ", " : "", k, special[k]);
    aster_str_add(s, "], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"Whitespace\"}, "
                     "\"post_processor\": {\"type\": "
                     "\"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
                     "\"[CLS]\"}}, {\"Sequence\": {\"id\": \"A\"}}, "
                     "{\"SpecialToken\": {\"id\": \"[SEP]\"}}], \"special_tokens\": {\"[CLS]\": "
                     "{\"ids\": [1]}, \"[SEP]\": {\"ids\": "
                     "[2]}}}, \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": "
                     "\"[UNK]\", \"fuse_unk\": false, "
                     "\"vocab\": {");
    for (int k = 0; k < v->n; k++)
        aster_str_printf(s, "%s\"%s\": %d", k ? ", " : "", v->token[k], k);
    aster_str_add(s, "}, \"merges\": [");
    for (int k = N_SPECIAL + 4; k < v->n; k++)
        add_merge(s, v, k, pairs);
    aster_str_add(s, "]}}");
}

/* ---- the encoder to compare with ---- */

static int slow_encode(const struct vocabulary *v, const char *dna, int n, int32_t *ids)
{
    for (int k = 0; k < n; k++)
        ids[k] = N_SPECIAL + (int)(strchr("ACGT", dna[k]) - "ACGT");
    for (;;) {
        int best = v->n, at = 0;
        for (int k = 0; k + 1 < n; k++)
            for (int m = N_SPECIAL + 4; m < best; m++)
                if (v->left[m] == ids[k] && v->right[m] == ids[k + 1]) {
                    best = m;
                    at = k;
                }
        if (best == v->n)
            return n;
        ids[at] = best;
        memmove(ids + at + 1, ids + at + 2, (size_t)(n - at - 2) * sizeof *ids);
        n--;
    }
}

/* Stretches of DNA between characters that separate, with the ids that they give. */
static void random_text(const struct vocabulary *v, struct aster_str *text, int32_t *ids,
                        int64_t *n)
{
    static const struct {
        const char *text;
        int id; /* -1: none */
    } between[] = {{" ", -1},
                   {"\n\t", -1},
                   {"N", 0},
                   {"a", 0},
                   {"[SEP]", 2},
                   {"[MASK]", 4},
                   {"[CLS]", 1},
                   {"-", 0},
                   {"\xc3\xa9", 0},
                   {"\xc2\x85", -1},
                   {"\xe2\x80\x83", -1},
                   {"\xe3\x80\x80", -1},
                   {"\xe2\x80\x8b", 0},
                   {"\xf0\x9f\x98\x80", 0},
                   {"]", 0},
                   {"\x1c", 0}};
    text->len = 0;
    aster_str_add(text, "");
    ids[0] = 1;
    *n = 1;
    for (int piece = draw(5); piece >= 0; piece--) {
        char dna[201];
        int length = draw(5) ? draw(60) : draw(200);
        random_dna(dna, length);
        *n += slow_encode(v, dna, length, ids + *n);
        aster_str_add(text, dna);
        int k = draw((int)(sizeof between / sizeof *between));
        aster_str_add(text, between[k].text);
        if (between[k].id >= 0)
            ids[(*n)++] = between[k].id;
    }
    ids[(*n)++] = 2;
}

static void test_vocabulary(void (*make)(struct vocabulary *, int), int n_merges, bool pairs)
{
    static struct vocabulary v;
    static int32_t want[8192], got[8192];
    struct aster_bpe *b = NULL;
    struct aster_bpe_room *r = NULL;
    struct aster_str text = {0};
    int64_t n_want, n_got, tokens = 0;
    make(&v, n_merges);
    write_json(&text, &v, pairs);
    bool good = fine(aster_bpe_open(ctx, put_bytes("t.json", text.s, text.len), &b)) &&
                fine(aster_bpe_room_new(ctx, &r));
    for (int k = 0; good && k < v.n; k++)
        good = !strcmp(aster_bpe_token(b, k), v.token[k]) && aster_bpe_id(b, v.token[k]) == k;
    tap_ok(good && aster_bpe_n_ids(b) == v.n && !aster_bpe_token(b, v.n) &&
               !aster_bpe_token(b, -1) && aster_bpe_id(b, "Q") == -1,
           "a vocabulary of %d tokens is read", v.n);
    for (int k = 0; good && k < 2000; k++) {
        random_text(&v, &text, want, &n_want);
        good = fine(aster_bpe_encode(b, r, text.s, (int64_t)text.len, got, &n_got)) &&
               n_got == n_want && !memcmp(got, want, (size_t)n_got * sizeof *got);
        tokens += n_got;
        if (!good)
            tap_note("text %d: '%s'", k, text.s);
    }
    tap_ok(good,
           "%" PRId64
           " tokens of 2000 texts as by an encoder that looks for the lowest rank again and again",
           tokens);
    aster_bpe_room_free(&r);
    aster_bpe_close(&b);
    aster_str_free(&text);
}

/* ---- length ---- */

static bool decodes(const struct aster_bpe *b, const int32_t *ids, int64_t n, const char *text)
{
    for (int64_t k = 1; k + 1 < n; k++) {
        size_t m = strlen(aster_bpe_token(b, ids[k]));
        if (strncmp(text, aster_bpe_token(b, ids[k]), m) != 0)
            return false;
        text += m;
    }
    return ids[0] == 1 && ids[n - 1] == 2 && !*text;
}

static void test_long(void)
{
    static struct vocabulary v;
    static const char *const what[] = {"random letters", "one letter", "two letters in turn"};
    struct aster_bpe *b = NULL;
    struct aster_bpe_room *r = NULL;
    struct aster_str json = {0};
    char *text = malloc(LONGEST + 1);
    int32_t *ids = malloc((LONGEST + 2) * sizeof *ids);
    int64_t n = 0;
    train(&v, 300);
    write_json(&json, &v, false);
    bool good = text && ids &&
                fine(aster_bpe_open(ctx, put_bytes("t.json", json.s, json.len), &b)) &&
                fine(aster_bpe_room_new(ctx, &r));
    for (int k = 0; good && k < 3; k++) {
        for (int j = 0; j < LONGEST; j++)
            text[j] = k == 0 ? "ACGT"[draw(4)] : k == 1 ? 'A' : "AT"[j % 2];
        text[LONGEST] = '\0';
        double start = aster_wall();
        good = fine(aster_bpe_encode(b, r, text, LONGEST, ids, &n));
        double time = aster_wall() - start;
        tap_ok(good && decodes(b, ids, n, text) && time < 10,
               "a megabase of %s: %" PRId64 " tokens, in linear time (%.2f s)", what[k], n, time);
    }
    tap_ok(good && fine(aster_bpe_encode(b, r, "", 0, ids, &n)) && n == 2 && ids[0] == 1 &&
               ids[1] == 2,
           "an empty text");
    failed_with("a text that is not UTF-8", aster_bpe_encode(b, r, "AC\xffGT", 5, ids, &n),
                ASTER_EFORMAT, "0xff", "position 3", NULL);
    failed_with("half a character at the end", aster_bpe_encode(b, r, "AC\xc3", 3, ids, &n),
                ASTER_EFORMAT, "0xc3", NULL);
    tap_ok(fine(aster_bpe_encode(b, r, "[SEP", 4, ids, &n)) && n == 6 && ids[1] == 0 && ids[2] == 0,
           "a special token cut short is none");
    aster_bpe_room_free(&r);
    aster_bpe_close(&b);
    aster_str_free(&json);
    free(text);
    free(ids);
}

/* ---- files that would encode otherwise ---- */

static const char small_json[] =
    "{\"added_tokens\": [{\"id\": 0, \"content\": \"[UNK]\"}], \"normalizer\": null, "
    "\"pre_tokenizer\": {\"type\": \"Whitespace\"},\n"
    "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
    "{\"id\": \"S\"}}, {\"Sequence\": {}},\n"
    "{\"SpecialToken\": {\"id\": \"S\"}}], \"special_tokens\": {\"S\": {\"ids\": [4]}}}, "
    "\"model\": {\"type\": \"BPE\", \"unk_token\":\n"
    "\"[UNK]\", \"vocab\": {\"[UNK]\": 0, \"A\": 1, \"C\": 2, \"AC\": 3, \"S\": 4, \"ACA\": "
    "5},\n\"merges\": [\"A C\", \"AC A\"]}}";

static void refused(const char *what, const char *old, const char *new, const char *word,
                    const char *more)
{
    struct aster_str s = {0};
    struct aster_bpe *b = NULL;
    const char *at = strstr(small_json, old);
    aster_str_addn(&s, small_json, at ? (size_t)(at - small_json) : 0);
    aster_str_add(&s, new);
    aster_str_add(&s, at ? at + strlen(old) : "");
    int rc = aster_bpe_open(ctx, put_text("t.json", aster_str_get(&s)), &b);
    failed_with(what, b ? 0 : rc, ASTER_EFORMAT, "t.json", word, more, NULL);
    aster_bpe_close(&b);
    aster_str_free(&s);
}

static void test_refused(void)
{
    struct aster_bpe *b = NULL;
    tap_ok(fine(aster_bpe_open(ctx, put_text("t.json", small_json), &b)),
           "the small file itself is read");
    aster_bpe_close(&b);
    failed_with("no such file", aster_bpe_open(ctx, in_dir("none.json"), &b), ASTER_EIO,
                "none.json", NULL);
    refused("another kind of model", "\"BPE\"", "\"WordPiece\"", "BPE", NULL);
    refused("no model", "\"model\"", "\"modell\"", "no model", NULL);
    refused("a normalizer", "\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}",
            ":1", "normalizer");
    refused("another pre-tokenizer", "\"Whitespace\"", "\"ByteLevel\"", ":1", "Whitespace");
    refused("joined unknowns", "\"unk_token\":", "\"fuse_unk\": true, \"unk_token\":", "fuse_unk",
            NULL);
    refused("bytes for unknowns",
            "\"unk_token\":", "\"byte_fallback\": true, \"unk_token\":", "byte_fallback", NULL);
    refused("a prefix inside words",
            "\"unk_token\":", "\"continuing_subword_prefix\": \"##\", \"unk_token\":", "prefix",
            NULL);
    refused("dropout", "\"unk_token\":", "\"dropout\": 0.1, \"unk_token\":", "dropout", NULL);
    refused("an unknown token that is not there", "\n\"[UNK]\"", "\n\"[unk]\"", "unk_token", NULL);
    refused("no vocabulary", "\"vocab\": {", "\"words\": {", "vocab", NULL);
    refused("an id twice", "\"AC\": 3", "\"AC\": 2", "'AC'", "same id");
    refused("an id beyond the vocabulary", "\"AC\": 3", "\"AC\": 6", "'AC'", "0 to 5");
    refused("an id that is a text", "\"AC\": 3", "\"AC\": \"3\"", "'AC'", "integer");
    refused("a negative id", "\"AC\": 3", "\"AC\": -3", "'AC'", "integer");
    refused("a token of punctuation", "\"C\": 2", "\"C\": 2, \"-\": 6", "one character", NULL);
    refused("no merges", "\"merges\": [", "\"joins\": [", "merges", NULL);
    refused("a merge of one word", "\"AC A\"", "\"ACA\"", ":5", "left right");
    refused("a merge of three words", "\"AC A\"", "\"AC A A\"", ":5", "tokens");
    refused("a merge that is a number", "\"AC A\"", "7", ":5", "left right");
    refused("a merge of something unknown", "\"AC A\"", "\"AC G\"", ":5", "tokens");
    refused("a merge twice", "\"AC A\"", "\"A C\"", ":5", "second time");
    refused("merges in the wrong order", "\"A C\", \"AC A\"", "\"AC A\", \"A C\"", ":5", "earlier");
    refused("another template", "{\"Sequence\": {}},", "", "template", NULL);
    refused("a template of unknown tokens", "{\"id\": \"S\"}", "{\"id\": \"T\"}", "template", NULL);
    refused("an added token that eats blanks", "\"id\": 0,", "\"id\": 0, \"lstrip\": true,",
            "blanks", NULL);
    refused("an added token without text", "\"content\"", "\"text\"", "content", NULL);
    refused("half a file", "\"merges\": [\"A C\", \"AC A\"]}}", "", "t.json:5", "ends");
}

/* ---- ESM-2 ---- */

static void test_esm2(void)
{
    static const char letters[] = "LAGVSERTIDPKQNFYMHWCXBUZO.-";
    int32_t ids[64];
    struct aster_esm2_odd odd = {9, 9, 9};
    aster_esm2_encode(letters, 27, ASTER_ESM2_UNKNOWN, ids, &odd);
    bool good = ids[0] == 0 && ids[28] == 2 && odd.n == 0;
    for (int k = 0; k < 27; k++)
        good = good && ids[k + 1] == k + 4 && aster_esm2_token(k + 4)[0] == letters[k] &&
               !aster_esm2_token(k + 4)[1];
    tap_ok(good, "ESM-2: ids 4 to 30 in the order of the table, 0 before and 2 after");
    aster_esm2_encode("AJ*ab1", 6, ASTER_ESM2_UNKNOWN, ids, &odd);
    good = ids[1] == 5 && ids[7] == 2 && odd.n == 5 && odd.at == 1 && odd.byte == 'J';
    for (int k = 2; k < 7; k++)
        good = good && ids[k] == 3;
    tap_ok(good, "J, *, small letters and digits are unknown, counted and placed");
    aster_esm2_encode("AJ", 2, ASTER_ESM2_X, ids, NULL);
    tap_ok(ids[1] == 5 && ids[2] == 24, "or become X");
    aster_esm2_encode("", 0, ASTER_ESM2_UNKNOWN, ids, NULL);
    tap_ok(ids[0] == 0 && ids[1] == 2, "an empty sequence has two ids");
    tap_ok(!strcmp(aster_esm2_token(0), "<cls>") && !strcmp(aster_esm2_token(1), "<pad>") &&
               !strcmp(aster_esm2_token(2), "<eos>") && !strcmp(aster_esm2_token(3), "<unk>") &&
               !strcmp(aster_esm2_token(31), "<null_1>") &&
               !strcmp(aster_esm2_token(32), "<mask>") && !aster_esm2_token(33) &&
               !aster_esm2_token(-1),
           "the tokens that are no residues");
}

int main(void)
{
    test_start();
    test_vocabulary(train, 300, false);
    test_vocabulary(train, 60, true);
    test_vocabulary(train, 1, false);
    test_vocabulary(train, 0, false);
    for (int k = 0; k < 3; k++)
        test_vocabulary(make_up, 60 + 120 * k, k % 2);
    test_long();
    test_refused();
    test_esm2();
    return test_end();
}
