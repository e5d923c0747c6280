/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON: values as RFC 8259 has them, what else is refused with its line, numbers that read back. */
#include "unit/files.h"
#include "io/io.h"

#include <float.h>
#include <math.h>

static int parse(const char *text, struct aster_json **out)
{
    return aster_json_parse(ctx, "x.json", text, strlen(text), out);
}

/* The tree written again: a normal form to compare with. */
static void show(const struct aster_json *j, struct aster_str *s)
{
    if (j->key) {
        aster_json_quote(s, j->key);
        aster_str_add(s, ":");
    }
    if (j->type == ASTER_JSON_NULL)
        aster_str_add(s, "null");
    else if (j->type == ASTER_JSON_BOOL)
        aster_str_add(s, j->boolean ? "true" : "false");
    else if (j->type == ASTER_JSON_NUMBER && j->is_int)
        aster_str_printf(s, "%lld", (long long)j->integer);
    else if (j->type == ASTER_JSON_NUMBER)
        aster_json_number(s, j->number);
    else if (j->type == ASTER_JSON_STRING)
        aster_json_quote(s, j->string);
    else {
        aster_str_add(s, j->type == ASTER_JSON_ARRAY ? "[" : "{");
        for (const struct aster_json *c = j->child; c; c = c->next) {
            show(c, s);
            aster_str_add(s, c->next ? "," : "");
        }
        aster_str_add(s, j->type == ASTER_JSON_ARRAY ? "]" : "}");
    }
}

static void same(const char *text, const char *want)
{
    struct aster_json *j = NULL;
    struct aster_str s = {0};
    if (fine(parse(text, &j)))
        show(j, &s);
    if (!tap_ok(!strcmp(aster_str_get(&s), want), "%.60s", want))
        tap_note("got %s", aster_str_get(&s));
    aster_str_free(&s);
    aster_json_free(&j);
}

static void bad(const char *what, const char *text, const char *line, const char *word)
{
    struct aster_json *j = NULL;
    int rc = parse(text, &j);
    if (j)
        tap_note("a tree was returned");
    failed_with(what, j ? 0 : rc, ASTER_EFORMAT, line, word, NULL);
    aster_json_free(&j);
}

static void test_values(void)
{
    same(" null ", "null");
    same("[true , false]", "[true,false]");
    same("{}", "{}");
    same("[ ]", "[]");
    same("{\"a\" : [1, -2, 0], \"b\": {\"c\": \"d\"}}", "{\"a\":[1,-2,0],\"b\":{\"c\":\"d\"}}");
    same("[9223372036854775807, -9223372036854775808]",
         "[9223372036854775807,-9223372036854775808]");
    same("[1.5, -0.25, 1e3, 2E-2]", "[1.5,-0.25,1e+03,0.02]");
    same("[NaN, Infinity, -Infinity]", "[NaN,Infinity,-Infinity]");
    same("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\u0008\\u000c\\n\\u000d\\t\"");
    same("\"\\u0041\\u00e4\\u65e5\\ud83d\\ude00\"", "\"A\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80\"");
    same("\"\xc3\xa4\xf0\x9f\x98\x80\"", "\"\xc3\xa4\xf0\x9f\x98\x80\"");
    same("{\"\":1}", "{\"\":1}");
    struct aster_json *j = NULL;
    if (fine(parse("{\n\"a\": 9223372036854775808,\n\"b\": [1,\n2, 3.0]}", &j))) {
        const struct aster_json *a = aster_json_get(j, "a"), *b = aster_json_get(j, "b");
        tap_ok(a && !a->is_int && a->number == 0x1p63,
               "an integer that does not fit is a number only");
        tap_ok(b && b->line == 3 && b->child->next->line == 4 && aster_json_count(b) == 3,
               "lines and counts");
        tap_ok(b && b->child->is_int && !b->child->next->next->is_int, "3.0 is no integer");
        tap_ok(!aster_json_get(j, "c") && !aster_json_get(b, "a") && !aster_json_get(NULL, "a"),
               "absent members");
    }
    aster_json_free(&j);
}

static void test_bad(void)
{
    bad("nothing", "", "x.json:1:", "ends");
    bad("a cut object", "{\"a\": 1,\n\"b\"", "x.json:2:", "':'");
    bad("an open list", "[1, 2\n", "x.json:2:", "ends");
    bad("a comma too many in a list", "[1,]", "x.json:1:", "value");
    bad("a comma too many in an object", "{\"a\":1,}", "x.json:1:", "quotes");
    bad("text after the value", "{}\n{}", "x.json:2:", "'{'");
    bad("a key without quotes", "{a:1}", "x.json:1:", "'a'");
    bad("single quotes", "['a']", "x.json:1:", "'''");
    bad("a comment", "[1, // one\n2]", "x.json:1:", "'/'");
    bad("a leading zero", "[01]", "x.json:1:", "leading zero");
    bad("a plus sign", "[+1]", "x.json:1:", "'+'");
    bad("a number that ends in a point", "[1.]", "x.json:1:", "decimal point");
    bad("an empty exponent", "[1e]", "x.json:1:", "exponent");
    bad("a minus alone", "[-]", "x.json:1:", "value");
    bad("the same key twice", "{\"b\":1,\n\"a\":1,\"b\":2}", "x.json:1:", "'b'");
    bad("the same key twice, once escaped", "{\"a\":1,\"\\u0061\":2}", "x.json:1:", "'a'");
    bad("a line break in a text", "[\"a\nb\"]", "x.json:1:", "quote");
    bad("an unknown escape", "[\"\\x\"]", "x.json:1:", "backslash");
    bad("a short escape", "[\"\\u12\"]", "x.json:1:", "hexadecimal");
    bad("half a surrogate pair", "[\"\\ud83d\"]", "x.json:1:", "surrogate");
    bad("the second half alone", "[\"\\ude00\"]", "x.json:1:", "surrogate");
    bad("two first halves", "[\"\\ud83d\\ud83d\"]", "x.json:1:", "surrogate");
    bad("a NUL character", "[\"\\u0000\"]", "x.json:1:", "NUL");
    bad("not UTF-8", "[\"\xe4\"]", "x.json:1:", "UTF-8");
    bad("a byte order mark", "\xef\xbb\xbf{}", "x.json:1:", "0xef");
    bad("almost a word", "[nul]", "x.json:1:", "'n'");
    struct aster_json *j = NULL;
    failed_with("a NUL byte in the text", aster_json_parse(ctx, "x.json", "[1\0]", 4, &j),
                ASTER_EFORMAT, "x.json:1:", "0x00", NULL);
    failed_with("beyond the range of double", parse("[1e999]", &j), ASTER_ELIMIT,
                "x.json:1:", "1e999", NULL);
    struct aster_str deep = {0};
    for (int k = 0; k < 100000; k++)
        aster_str_add(&deep, "[");
    failed_with("100000 lists in each other", parse(deep.s, &j), ASTER_ELIMIT, "x.json:1:", "64",
                NULL);
    tap_ok(!j, "a failure leaves NULL");
    failed_with("no such file", aster_json_read(ctx, in_dir("none.json"), &j), ASTER_EIO,
                "none.json", NULL);
    failed_with("the file's name is in the message",
                aster_json_read(ctx, put_text("y.json", "\n\n[}"), &j), ASTER_EFORMAT,
                "y.json:3:", NULL);
    aster_str_free(&deep);
}

static void test_numbers(void)
{
    static const struct {
        double x;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1, "1.0"},
                 {-2.5, "-2.5"},
                 {1e300, "1e+300"},
                 {0.30000000000000004, "0.30000000000000004"},
                 {NAN, "NaN"}};
    struct aster_str s = {0};
    bool good = true;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        s.len = 0;
        aster_json_number(&s, cases[k].x);
        good &= !strcmp(s.s, cases[k].text);
    }
    tap_ok(good, "numbers as short as they can be");
    for (uint64_t k = 0; k < 20000; k++) {
        uint32_t c[4] = {(uint32_t)k, 0, 0, 0}, key[2] = {1, 2}, r[4];
        double x;
        struct aster_json *j = NULL;
        aster_philox(c, key, r);
        memcpy(&x, r, sizeof x);
        if (!isfinite(x))
            continue;
        s.len = 0;
        aster_json_number(&s, x);
        good &= parse(s.s, &j) == 0 && j->type == ASTER_JSON_NUMBER &&
                !memcmp(&j->number, &x, sizeof x);
        aster_json_free(&j);
    }
    tap_ok(good, "20000 random doubles read back bit for bit");
    aster_str_free(&s);
}

static void test_real(void)
{
    const char *path = shared("rcl/results/runs_B/onehot_lstm/training_history.json");
    struct aster_json *j = NULL;
    if (!path || !fine(aster_json_read(ctx, path, &j))) {
        tap_skip("a published history: no shared test data");
        return;
    }
    const struct aster_json *metrics = aster_json_get(j, "val_metrics");
    tap_ok(aster_json_count(aster_json_get(j, "train_losses")) == 9 &&
               aster_json_count(metrics) == 7,
           "a published history");
    aster_json_free(&j);
}

int main(void)
{
    test_start();
    test_values();
    test_bad();
    test_numbers();
    test_real();
    return test_end();
}
