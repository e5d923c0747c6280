/* SPDX-License-Identifier: BSD-3-Clause */
/* FASTA records: what belongs to one, and what is refused with its line. */
#include "unit/files.h"
#include "io/io.h"

/* Every record as line:header|id|seq;. */
static int records(const char *path, struct aster_str *out)
{
    struct aster_fasta *f;
    struct aster_fasta_record r;
    int rc;
    out->len = 0;
    aster_str_add(out, "");
    ASTER_TRY(aster_fasta_open(ctx, path, &f));
    for (int64_t k = 0; (rc = aster_fasta_next(f, &r)) > 0; k++) {
        aster_str_printf(out, "%lld:%s|%s|%s;", (long long)r.line, r.header, r.id, r.seq);
        if (r.index != k || r.length != (int64_t)strlen(r.seq))
            aster_str_add(out, "WRONG INDEX OR LENGTH");
    }
    aster_fasta_close(&f);
    return rc;
}

static void expect(const char *what, const char *text, const char *want)
{
    struct aster_str s = {0};
    int rc = records(put_text("x.fasta", text), &s);
    if (!tap_ok(fine(rc) && !strcmp(aster_str_get(&s), want), "%s", what))
        tap_note("got %s", aster_str_get(&s));
    aster_str_free(&s);
}

static void bad(const char *what, const char *bytes, size_t n, const char *line, const char *word)
{
    struct aster_str s = {0};
    failed_with(what, records(put_bytes("x.fasta", bytes, n), &s), ASTER_EFORMAT, line, word, NULL);
    aster_str_free(&s);
}

static void test_records(void)
{
    expect("an empty file has no record", "", "");
    expect("blank lines only", "\n \n\t\n", "");
    expect("one record", ">a b c\nMKV\n", "1:a b c|a|MKV;");
    expect("no final line feed", ">a\nMKV", "1:a|a|MKV;");
    expect("lines are joined", ">a\nMKV\nLLS\n\nQ\n", "1:a|a|MKVLLSQ;");
    expect("carriage returns go", ">a x\r\nMK\r\nV\r\n", "1:a x|a|MKV;");
    expect("a byte order mark goes", "\xef\xbb\xbf>a\nM\n", "1:a|a|M;");
    expect("blanks around and inside lines go", "  >a b \n  M K\t\n", "1:a b|a|MK;");
    expect("case, stars and dashes are kept", ">a\nmK*-X\n", "1:a|a|mK*-X;");
    expect("an empty sequence", ">a\n>b\nM\n>c", "1:a|a|;2:b|b|M;4:c|c|;");
    expect("an empty header", ">\nMK\n", "1:||MK;");
    expect("the id ends at a tab too", ">a\tb c\nM\n", "1:a\tb c|a|M;");
    expect("a header with UTF-8", ">\xc3\xa4 x\nM\n", "1:\xc3\xa4 x|\xc3\xa4|M;");
    expect("a second > belongs to the header", ">>a>b\nM\n", "1:>a>b|>a>b|M;");
    expect("the same id twice is the caller's affair", ">a\nM\n>a\nK\n", "1:a|a|M;3:a|a|K;");
    expect("blank lines first", "\n\n>a\nM\n", "3:a|a|M;");
}

static void test_bad(void)
{
    struct aster_str s = {0};
    bad("text before the first record", BYTES("\n\nMKV\n>a\nM\n"),
        "x.fasta:3:", "text before the first '>'");
    bad("a table is no FASTA file", BYTES("id,Sequence\n"), "x.fasta:1:", "'>'");
    bad("a byte above ASCII in a sequence", BYTES(">a\nMK\n>b\nM\xe4K\n"), "x.fasta:4:", "0xe4");
    bad("a control character in a sequence", BYTES(">a\nM\001K\n"), "x.fasta:2:", "0x01");
    bad("a NUL byte", BYTES(">a\nM\0K\n"), "x.fasta:2:", "NUL");
    failed_with("no such file", records(in_dir("none.fasta"), &s), ASTER_EIO, "none.fasta", NULL);
    aster_str_free(&s);
}

static void test_writing(void)
{
    struct aster_str text = {0}, s = {0};
    aster_fasta_write(&text, "a b", "MKVLLSQ", 7, 3);
    aster_fasta_write(&text, "empty", "", 0, 60);
    aster_fasta_write(&text, "whole", "MKVLLSQ", 7, 0);
    tap_ok(!strcmp(aster_str_get(&text), ">a b\nMKV\nLLS\nQ\n>empty\n>whole\nMKVLLSQ\n"),
           "written in lines of 3, or in one");
    tap_ok(fine(records(put_text("w.fasta", text.s), &s)) &&
               !strcmp(s.s, "1:a b|a|MKVLLSQ;5:empty|empty|;6:whole|whole|MKVLLSQ;"),
           "what was written reads back");
    aster_str_free(&text);
    aster_str_free(&s);
}

static void test_real(void)
{
    const char *path = shared("rcl/reference_model/predict_input.fasta");
    struct aster_fasta *f;
    struct aster_fasta_record r;
    int64_t n = 0, long_ones = 0;
    int rc;
    if (!path || !fine(aster_fasta_open(ctx, path, &f))) {
        tap_skip("a published input: no shared test data");
        return;
    }
    for (; (rc = aster_fasta_next(f, &r)) > 0; n++)
        long_ones += r.length > 1024;
    tap_ok(fine(rc) && n == 199 && long_ones == 1, "a published input: %lld records, %lld too long",
           (long long)n, (long long)long_ones);
    aster_fasta_close(&f);
}

int main(void)
{
    test_start();
    test_records();
    test_bad();
    test_writing();
    test_real();
    return test_end();
}
