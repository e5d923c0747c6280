/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines and CSV tables: line ends, gzip, quotes, and every way of being broken with its message. */
#include "unit/files.h"
#include "io/io.h"

#include <zlib.h>

/* The lines of a file, joined by '|'. */
static int joined(const char *path, struct aster_str *out)
{
    struct aster_lines *l;
    char *text;
    size_t n;
    int rc;
    out->len = 0;
    aster_str_add(out, "");
    ASTER_TRY(aster_lines_open(ctx, path, &l));
    while ((rc = aster_lines_next(l, &text, &n)) > 0) {
        aster_str_printf(out, "%lld:", (long long)aster_lines_number(l));
        aster_str_addn(out, text, n);
        aster_str_add(out, "|");
    }
    aster_lines_close(&l);
    return rc;
}

static void expect_lines(const char *what, const char *path, const char *want)
{
    struct aster_str s = {0};
    int rc = joined(path, &s);
    if (!tap_ok(fine(rc) && !strcmp(aster_str_get(&s), want), "lines: %s", what))
        tap_note("got %s", aster_str_get(&s));
    aster_str_free(&s);
}

static const char *put_gzip(const char *name, const char *text, size_t cut)
{
    const char *path = in_dir(name);
    gzFile f = gzopen(path, "wb");
    gzwrite(f, text, (unsigned)strlen(text));
    gzclose(f);
    struct stat st;
    if (cut && (stat(path, &st) < 0 || truncate(path, st.st_size - (off_t)cut) < 0))
        return "";
    return path;
}

static void test_lines(void)
{
    struct aster_str s = {0}, text = {0};
    expect_lines("an empty file has none", put_text("f", ""), "");
    expect_lines("no final line feed", put_text("f", "a\nb"), "1:a|2:b|");
    expect_lines("with a final line feed", put_text("f", "a\nb\n"), "1:a|2:b|");
    expect_lines("carriage returns before line feeds go, others stay",
                 put_text("f", "a\r\nb\rc\r\n\r\n"), "1:a|2:b\rc|3:|");
    expect_lines("a carriage return at the very end goes", put_text("f", "a\r"), "1:a|");
    expect_lines("only line feeds", put_text("f", "\n\n"), "1:|2:|");
    expect_lines("gzip", put_gzip("f.gz", "x\ny\n", 0), "1:x|2:y|");
    for (int k = 0; k < 40000; k++)
        aster_str_printf(&text, "%d,%d\n", k, k * 7919 % 1000);
    put_gzip("long.gz", text.s, 0);
    tap_ok(fine(joined(in_dir("long.gz"), &s)) && strstr(aster_str_get(&s), "|40000:39999,"),
           "40000 lines of gzip");
    struct aster_str long_line = {0};
    for (int k = 0; k < 300000; k++)
        aster_str_add(&long_line, "q");
    tap_ok(fine(joined(put_text("f", long_line.s), &s)) && s.len == 300003,
           "a line longer than any buffer");
    failed_with("cut gzip", joined(put_gzip("cut.gz", text.s, 100), &s), ASTER_EFORMAT, "cut.gz",
                "gzip", NULL);
    failed_with("gzip without its checksum", joined(put_gzip("cut.gz", text.s, 6), &s),
                ASTER_EFORMAT, "cut.gz", "gzip", NULL);
    FILE *f = fopen(in_dir("long.gz"), "r+b");
    if (f) {
        fseek(f, 5000, SEEK_SET);
        fwrite("damage", 1, 6, f);
        fclose(f);
    }
    failed_with("damaged gzip", joined(in_dir("long.gz"), &s), ASTER_EFORMAT, "long.gz", "damaged",
                NULL);
    failed_with("a NUL byte", joined(put_bytes("f", "a\nb\0c\n", 6), &s), ASTER_EFORMAT,
                "f:2: ", "NUL", NULL);
    failed_with("no such file", joined(in_dir("none"), &s), ASTER_EIO, "none", NULL);
    failed_with("a folder", joined(test_dir, &s), ASTER_EIO, test_dir, "folder", NULL);
    aster_str_free(&s);
    aster_str_free(&text);
    aster_str_free(&long_line);
}

static void test_standard_input(void)
{
    int saved = dup(0);
    put_text("in", "from\nhere\n");
    if (saved < 0 || !freopen(in_dir("in"), "r", stdin))
        return;
    lseek(0, 0, SEEK_SET);
    expect_lines("of standard input", "-", "1:from|2:here|");
    lseek(0, 0, SEEK_SET);
    expect_lines("standard input is still open afterwards", "-", "1:from|2:here|");
    dup2(saved, 0);
    close(saved);
}

/* The whole table: fields in [], rows with their first line. */
static int table(const char *path, struct aster_str *out)
{
    struct aster_csv *c;
    const char *const *field;
    int rc;
    out->len = 0;
    aster_str_add(out, "");
    ASTER_TRY(aster_csv_open(ctx, path, &c));
    for (int k = 0; k < aster_csv_n_columns(c); k++)
        aster_str_printf(out, "<%s>", aster_csv_column_name(c, k));
    while ((rc = aster_csv_next(c, &field)) > 0) {
        aster_str_printf(out, "%lld:", (long long)aster_csv_line(c));
        for (int k = 0; k < aster_csv_n_columns(c); k++)
            aster_str_printf(out, "[%s]", field[k]);
    }
    aster_csv_close(&c);
    return rc;
}

static void expect_table(const char *what, const char *text, const char *want)
{
    struct aster_str s = {0};
    int rc = table(put_text("t.csv", text), &s);
    if (!tap_ok(fine(rc) && !strcmp(aster_str_get(&s), want), "csv: %s", what))
        tap_note("got %s", aster_str_get(&s));
    aster_str_free(&s);
}

static void test_tables(void)
{
    expect_table("plain", "a,b\n1,2\n3,4\n", "<a><b>2:[1][2]3:[3][4]");
    expect_table("no final line feed", "a,b\n1,2", "<a><b>2:[1][2]");
    expect_table("a byte order mark",
                 "\xef\xbb\xbf"
                 "a,b\n1,2\n",
                 "<a><b>2:[1][2]");
    expect_table("a byte order mark before a quote", "\xef\xbb\xbf\"a\",b\n", "<a><b>");
    expect_table("carriage returns", "a,b\r\n1,2\r\n", "<a><b>2:[1][2]");
    expect_table("empty fields", "a,b,c\n,,\n1,,3\n", "<a><b><c>2:[][][]3:[1][][3]");
    expect_table("quotes", "a,b\n\"x,y\",\"say \"\"hi\"\"\"\n\"\",\"\"\"\"\n",
                 "<a><b>2:[x,y][say \"hi\"]3:[][\"]");
    expect_table("line breaks in quotes", "a,b\n\"one\ntwo\n\nthree\",2\n5,6\n",
                 "<a><b>2:[one\ntwo\n\nthree][2]6:[5][6]");
    expect_table("blank lines between rows", "\na,b\n\n1,2\n\n\n3,4\n\n", "<a><b>4:[1][2]7:[3][4]");
    expect_table("blanks and tabs are kept", "a,b\n 1 ,\t2\n", "<a><b>2:[ 1 ][\t2]");
    expect_table("UTF-8", "n\xc3\xa4me\n\xe6\x97\xa5\xf0\x9f\x98\x80\n",
                 "<n\xc3\xa4me>2:[\xe6\x97\xa5\xf0\x9f\x98\x80]");
    expect_table("only a header", "a,b", "<a><b>");
    struct aster_csv *c;
    if (fine(aster_csv_open(ctx, put_text("t.csv", "id,Sequence\n"), &c))) {
        tap_ok(aster_csv_find(c, "Sequence") == 1 && aster_csv_find(c, "sequence") == -1,
               "columns by name");
        aster_csv_close(&c);
    }
}

static void bad_table(const char *what, const char *bytes, size_t n, const char *line,
                      const char *word)
{
    struct aster_str s = {0};
    failed_with(what, table(put_bytes("bad.csv", bytes, n), &s), ASTER_EFORMAT, line, word, NULL);
    aster_str_free(&s);
}

static void test_bad_tables(void)
{
    bad_table("an empty table", BYTES(""), "bad.csv", "empty");
    bad_table("only a byte order mark", BYTES("\xef\xbb\xbf"), "bad.csv", "empty");
    bad_table("too few fields", BYTES("a,b,c\n1,2,3\n1,2\n"),
              "bad.csv:3:", "2 fields, the header has 3");
    bad_table("too many fields", BYTES("a,b\n\n1,2,\n"),
              "bad.csv:3:", "3 fields, the header has 2");
    bad_table("an open quote names its row", BYTES("a,b\n1,\"x\ny\nz"),
              "bad.csv:2:", "never closed");
    bad_table("text after a quote", BYTES("a\n\"x\"y\n"), "bad.csv:2:", "'y'");
    bad_table("a quote inside a field", BYTES("a\nx\"y\n"), "bad.csv:2:", "quote");
    bad_table("Latin-1",
              BYTES("a\nstra\xdf"
                    "e\n"),
              "bad.csv:2:", "column 5");
    bad_table("an overlong form", BYTES("a\n\xc0\xaf\n"), "bad.csv:2:", "0xc0");
    bad_table("a surrogate", BYTES("a\n\xed\xa0\x80\n"), "bad.csv:2:", "0xed");
    bad_table("a cut sequence", BYTES("a\nx\xe6\x97\n"), "bad.csv:2:", "0xe6");
    bad_table("bad UTF-8 on the second line of a field", BYTES("a\n\"x\ny\xff\"\n"),
              "bad.csv:3:", "0xff");
    bad_table("a NUL byte", BYTES("a\n1\0\n"), "bad.csv:2:", "NUL");
    bad_table("two columns of one name", BYTES("a,b,a\n"), "bad.csv:1:", "'a'");
    struct aster_str s = {0}, many = {0};
    aster_str_add(&many, "a\n");
    for (int k = 0; k < 200000; k++)
        aster_str_add(&many, ",");
    failed_with("200000 fields", table(put_text("bad.csv", many.s), &s), ASTER_ELIMIT,
                "bad.csv:2:", "100000", NULL);
    many.len = 0;
    for (int k = 0; k < 90000; k++)
        aster_str_printf(&many, "%sc%d", k ? "," : "", k);
    tap_ok(fine(table(put_text("wide.csv", many.s), &s)), "90000 columns");
    aster_str_free(&s);
    aster_str_free(&many);
}

static void test_writing(void)
{
    static const char *const fields[] = {"plain",      "",         "a,b",    "say \"hi\"",
                                         "two\nlines", "\xc3\xa4", " blank "};
    struct aster_str text = {0}, s = {0};
    for (int k = 0; k < 7; k++)
        aster_str_printf(&text, "%sc%d", k ? "," : "", k);
    aster_str_add(&text, "\n");
    for (int k = 0; k < 7; k++)
        aster_csv_field(&text, fields[k], k == 0);
    tap_ok(strstr(text.s, "\nplain,,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\xc3\xa4, blank "),
           "fields are quoted when they must be");
    tap_ok(fine(table(put_text("w.csv", text.s), &s)) &&
               strstr(s.s, "[plain][][a,b][say \"hi\"][two\nlines][\xc3\xa4][ blank ]"),
           "what was written reads back");
    aster_str_free(&text);
    aster_str_free(&s);
}

static void test_real_table(void)
{
    const char *path = shared("rcl/raw/Alphafold_RCL_annotations.csv"), *const * field;
    struct aster_csv *c;
    int64_t rows = 0;
    int rc;
    if (!path || !fine(aster_csv_open(ctx, path, &c))) {
        tap_skip("the published table: no shared test data");
        return;
    }
    while ((rc = aster_csv_next(c, &field)) > 0)
        rows++;
    tap_ok(fine(rc) && rows == 1384 && aster_csv_n_columns(c) == 14 &&
               aster_csv_find(c, "rcl_seq") == 8,
           "the published table: %lld rows", (long long)rows);
    aster_csv_close(&c);
}

int main(void)
{
    test_start();
    test_lines();
    test_standard_input();
    test_tables();
    test_bad_tables();
    test_writing();
    test_real_table();
    return test_end();
}
