/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of DNA: several files, gzip in all its forms, stdin; broken records that do not end the
 * reading, broken files that do. */
#include "unit/files.h"
#include "io/dna.h"
#include "io/io.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <zlib.h>

/* ---- files ---- */

/* One gzip member of the text. */
static void add_member(struct aster_str *out, const char *text, size_t n)
{
    static unsigned char packed[1 << 20];
    z_stream zs = {.next_in = (unsigned char *)(uintptr_t)text,
                   .avail_in = (uInt)n,
                   .next_out = packed,
                   .avail_out = sizeof packed};
    if (deflateInit2(&zs, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&zs, Z_FINISH) != Z_STREAM_END) {
        printf("Bail out! a gzip member cannot be made\n");
        exit(1);
    }
    aster_str_addn(out, (const char *)packed, sizeof packed - zs.avail_out);
    deflateEnd(&zs);
}

static const char *put_member(const char *name, const char *text)
{
    struct aster_str s = {0};
    add_member(&s, text, strlen(text));
    const char *path = put_bytes(name, s.s, s.len);
    aster_str_free(&s);
    return path;
}

/* Every record as index:line:id=seq; or index:line:id!; where it has a fault. */
static int records(int64_t n, const char *const *paths, bool any_letter, struct aster_str *out)
{
    struct aster_dna *d;
    struct aster_dna_record r;
    int rc;
    out->len = 0;
    aster_str_add(out, "");
    ASTER_TRY(aster_dna_open(ctx, n, paths, any_letter, &d));
    while ((rc = aster_dna_next(d, &r)) > 0) {
        aster_str_printf(out, "%lld:%lld:%s", (long long)r.index, (long long)r.line, r.id);
        aster_str_printf(out, r.fault ? "!;" : "=%s;", r.seq);
        if ((size_t)r.length != strlen(r.seq))
            aster_str_add(out, "WRONG LENGTH");
    }
    aster_dna_close(&d);
    return rc;
}

static void expect(const char *what, int64_t n, const char *const *paths, const char *want)
{
    struct aster_str s = {0};
    int rc = records(n, paths, false, &s);
    if (!tap_ok(fine(rc) && !strcmp(aster_str_get(&s), want), "%s", what))
        tap_note("got %s", aster_str_get(&s));
    aster_str_free(&s);
}

static void expect_one(const char *what, const char *path, const char *want)
{
    expect(what, 1, &path, want);
}

static void test_files(void)
{
    static const char text[] = ">a x\nACGT\r\nacgt\r\n>b\nNN R";
    const char *const three[] = {put_text("1.fa", text), put_member("2.fa.gz", text),
                                 put_text("3.fa", "")};
    expect("three files, one packed, one empty", 3, three,
           "0:1:a=ACGTacgt;1:4:b=NNR;2:1:a=ACGTacgt;3:4:b=NNR;");
    struct aster_str s = {0};
    add_member(&s, text, 9);
    add_member(&s, "", 0);
    add_member(&s, text + 9, sizeof text - 10);
    add_member(&s, "", 0);
    expect_one("gzip in four members, two of them empty", put_bytes("m.gz", s.s, s.len),
               "0:1:a=ACGTacgt;1:4:b=NNR;");
    aster_str_addn(&s, "\0\0\0\0\0\0\0", 7);
    expect_one("zeros behind gzip data are padding", put_bytes("m.gz", s.s, s.len),
               "0:1:a=ACGTacgt;1:4:b=NNR;");
    const char *path = put_bytes("m.gz", s.s, s.len);
    struct aster_str got = {0};
    aster_str_addn(&s, "\x1f\x8b", 2);
    path = put_bytes("m.gz", s.s, s.len);
    failed_with("anything behind the padding is refused", records(1, &path, false, &got),
                ASTER_EFORMAT, "m.gz", "0x1f", "offset", "expected", NULL);
    s.len = 0;
    add_member(&s, text, sizeof text - 1);
    size_t n = s.len;
    aster_str_add(&s, "junk");
    path = put_bytes("m.gz", s.s, s.len);
    char offset[40];
    snprintf(offset, sizeof offset, "offset %zu", n);
    failed_with("bytes behind gzip data", records(1, &path, false, &got), ASTER_EFORMAT, "m.gz",
                "0x6a", offset, "expected", NULL);
    tap_ok(strstr(aster_str_get(&got), "0:1:a=ACGTacgt;") != NULL, "what was before them is read");
    s.len = n;
    aster_str_addn(&s, "\x1f", 1);
    path = put_bytes("m.gz", s.s, s.len);
    failed_with("one byte behind gzip data", records(1, &path, false, &got), ASTER_EFORMAT, "m.gz",
                "0x1f", offset, NULL);
    aster_str_free(&s);
    aster_str_free(&got);
}

static void test_standard_input(void)
{
    static const char text[] = ">a\nACGT\n>b\nTT\n";
    int saved = dup(0), ends[2];
    struct aster_str packed = {0};
    add_member(&packed, text, sizeof text - 1);
    for (int gz = 0; gz < 2; gz++) {
        const char *bytes = gz ? packed.s : text;
        size_t n = gz ? packed.len : sizeof text - 1;
        pid_t pid = pipe(ends) < 0 ? -1 : fork();
        if (pid == 0) {
            for (size_t k = 0; k < n; k++)
                if (write(ends[1], bytes + k, 1) != 1 || usleep(k < 3 ? 2000 : 0) < 0)
                    _exit(1);
            _exit(0);
        }
        if (pid < 0 || dup2(ends[0], 0) < 0) {
            printf("Bail out! no pipe\n");
            exit(1);
        }
        close(ends[0]);
        close(ends[1]);
        const char *const paths[] = {"-", put_text("x.fa", ">c\nG\n")};
        expect(gz ? "packed standard input, byte by byte, and a file"
                  : "standard input, byte by byte, and a file",
               2, paths, "0:1:a=ACGT;1:3:b=TT;2:1:c=G;");
        waitpid(pid, NULL, 0);
    }
    dup2(saved, 0);
    close(saved);
    aster_str_free(&packed);
}

/* ---- what is broken ---- */

static void fault(const char *what, const char *bytes, size_t n, bool any_letter, const char *w1,
                  const char *w2, const char *w3)
{
    struct aster_dna *d = NULL;
    struct aster_dna_record r;
    struct aster_str text = {0};
    const char *words[] = {w1, w2, w3, "expected", "f.fa:"};
    bool good = true;
    aster_str_addn(&text, ">first\nAC\n", 10);
    aster_str_addn(&text, bytes, n);
    aster_str_addn(&text, "\n>last\nGT\n", 10);
    const char *path = put_bytes("f.fa", text.s, text.len);
    if (!fine(aster_dna_open(ctx, 1, &path, any_letter, &d)))
        return;
    good = aster_dna_next(d, &r) == 1 && !r.fault && aster_dna_next(d, &r) == 1 && r.fault;
    for (int k = 0; good && k < 5; k++)
        if (!strstr(r.fault, words[k])) {
            tap_note("'%s' lacks '%s'", r.fault, words[k]);
            good = false;
        }
    good = good && aster_dna_next(d, &r) == 1 && !r.fault && !strcmp(r.seq, "GT") &&
           aster_dna_next(d, &r) == 0;
    tap_ok(good && aster_ctx_code(ctx) == 0, "%s: named, and the others are read", what);
    aster_dna_close(&d);
    aster_str_free(&text);
}

static void test_broken_records(void)
{
    fault("an empty sequence", BYTES(">x y\n\n"), false, "f.fa:3:", "'x'", "is empty");
    fault("no id", BYTES("> \nACGT"), false, "f.fa:3:", "without an id", "'>'");
    fault("an id that is no UTF-8", BYTES(">x\xe4y z\nACGT"), false, "f.fa:3:", "0xe4",
          "position 2");
    fault("a control character in an id", BYTES(">x\001\nACGT"), false, "f.fa:3:", "0x01", "UTF-8");
    fault("a letter of no nucleotide", BYTES(">x\nACGT\nAC GJA\nZZ"), false,
          "f.fa:5:", "'x' has 'J' at column 5", "2 more");
    fault("a gap", BYTES(">x\nAC-GT"), false, "f.fa:4:", "'-' at column 3", "ACGTUNRYKMSWBDHV");
    fault("a gap behind blanks", BYTES(">x\n \tAC-GT"), false, "f.fa:4:", "'-' at column 5",
          "ACGTUNRYKMSWBDHV");
    fault("a byte above ASCII", BYTES(">x\nAC\xc3\xa4GT"), false, "f.fa:4:", "0xc3 at column 3",
          "1 more");
    fault("a byte above ASCII, where any letter goes", BYTES(">x\nJJ\nAC\x9c"), true,
          "f.fa:5:", "0x9c at column 3", "printable");
    const char *path = put_text("any.fa", ">a\nACJ-*7\n>b d\xe4\nuryN\n");
    struct aster_str s = {0};
    tap_ok(fine(records(1, &path, true, &s)) && !strcmp(s.s, "0:1:a=ACJ-*7;1:3:b=uryN;"),
           "any printable letter goes where it may");
    tap_ok(fine(records(1, &path, false, &s)) && !strcmp(s.s, "0:1:a!;1:3:b=uryN;"),
           "and does not where it may not");
    aster_str_free(&s);
}

static void bad_file(const char *what, const char *bytes, size_t n, const char *word,
                     const char *word2)
{
    struct aster_str s = {0};
    const char *path = put_bytes("b.fa", bytes, n);
    failed_with(what, records(1, &path, false, &s), ASTER_EFORMAT, "b.fa", word, word2, NULL);
    aster_str_free(&s);
}

static void test_broken_files(void)
{
    struct aster_str s = {0};
    bad_file("no header", BYTES("ACGT\n>a\nAC\n"), "b.fa:1:", "header line");
    bad_file("a NUL byte", BYTES(">a\nAC\n>b\nA\0C\n"), "b.fa:4:", "NUL");
    bad_file("UTF-16", BYTES("\xff\xfe>\0a\0\n\0"), "b.fa:1:", "NUL");
    bad_file("gzip of two bytes", BYTES("\x1f\x8b"), "after line 0", "ends inside");
    bad_file("gzip of no method", BYTES("\x1f\x8b\1\0\0\0\0\0\0\0\0\0"), "after line 0", "damaged");
    const char *const absent[] = {put_text("x.fa", ">a\nA\n"), in_dir("none.fa")};
    failed_with("a second file that is not there ends it before the first",
                records(2, absent, false, &s), ASTER_EIO, "none.fa", NULL);
    tap_ok(s.len == 0, "nothing was read");
    const char *const twice[] = {"-", "-"};
    failed_with("standard input twice", records(2, twice, false, &s), ASTER_EPARAM, "2 times",
                "once", NULL);
    failed_with("no file", records(0, twice, false, &s), ASTER_EPARAM, "expected", NULL);
    const char *folder = test_dir;
    failed_with("a folder", records(1, &folder, false, &s), ASTER_EIO, "folder", NULL);
    aster_str_free(&s);
}

/* Cut off anywhere, or with any bit changed: refused, or the same records. */
static void test_damaged_gzip(void)
{
    struct aster_str text = {0}, whole = {0}, packed = {0}, s = {0};
    int64_t wrong = 0, refused = 0, n = 0;
    for (int k = 0; k < 40; k++)
        aster_str_printf(&text, ">r%d\n%.*s\n", k, 5 + k % 9, "GATTACACATTAG");
    add_member(&packed, text.s, text.len);
    const char *path = put_bytes("d.gz", packed.s, packed.len);
    bool good = fine(records(1, &path, false, &whole));
    for (size_t cut = 2; cut < packed.len; cut++) {
        path = put_bytes("d.gz", packed.s, cut);
        wrong +=
            records(1, &path, false, &s) != ASTER_EFORMAT ||
            !strstr(aster_ctx_message(ctx), "d.gz: the gzip data is damaged or cut off after line");
        aster_ctx_clear(ctx);
    }
    tap_ok(good && wrong == 0, "a packed file cut off at any of %zu places is refused",
           packed.len - 2);
    for (size_t bit = 16; bit < 8 * packed.len; bit++, n++) {
        packed.s[bit / 8] = (char)(packed.s[bit / 8] ^ 1 << bit % 8);
        path = put_bytes("d.gz", packed.s, packed.len);
        int rc = records(1, &path, false, &s);
        packed.s[bit / 8] = (char)(packed.s[bit / 8] ^ 1 << bit % 8);
        refused += rc < 0;
        wrong += rc < 0 ? rc != ASTER_EFORMAT || !strstr(aster_ctx_message(ctx), "d.gz")
                        : strcmp(s.s, whole.s) != 0;
        aster_ctx_clear(ctx);
    }
    tap_ok(wrong == 0 && refused > n * 8 / 10,
           "of %lld changed bits %lld are refused, the others change nothing", (long long)n,
           (long long)refused);
    packed.s[packed.len - 6] = (char)(packed.s[packed.len - 6] ^ 1);
    path = put_bytes("d.gz", packed.s, packed.len);
    failed_with("another checksum", records(1, &path, false, &s), ASTER_EFORMAT, "d.gz",
                "after line 80", "data check", NULL);
    aster_str_free(&text);
    aster_str_free(&whole);
    aster_str_free(&packed);
    aster_str_free(&s);
}

/* ---- many ---- */

static uint64_t drawn;

static int64_t draw(int64_t n)
{
    return (int64_t)(aster_uniform(9, 0, drawn++) * (double)n);
}

/* Random records in random line widths and line ends, and how they have to be read. */
static void random_records(int64_t n, struct aster_str *file, struct aster_str *want)
{
    static const char letters[] = "ACGTacgtNRYKMSWBDHVUu";
    static const char *const ends[] = {"\n", "\r\n", " \n", "\n\n"};
    for (int64_t k = 0, line = 1; k < n; k++) {
        int64_t length = draw(10) ? draw(300) : draw(200000), width = 1 + draw(200), at = 0;
        const char *end = ends[draw(4)];
        aster_str_printf(want, "%lld:%lld:id%lld%s", (long long)k, (long long)line, (long long)k,
                         length ? "=" : "!");
        aster_str_printf(file, ">id%lld some words%s", (long long)k, end);
        line += 1 + (end[1] == '\n' && *end == '\n');
        while (at < length) {
            char c = letters[draw(21)];
            aster_str_addn(file, &c, 1);
            aster_str_addn(want, &c, 1);
            if (++at % width == 0 || at == length) {
                aster_str_add(file, end);
                line += 1 + (end[1] == '\n' && *end == '\n');
            }
        }
        aster_str_add(want, ";");
    }
}

static void test_random(void)
{
    struct aster_str file = {0}, want = {0}, got = {0}, packed = {0};
    random_records(150, &file, &want);
    const char *path = put_bytes("r.fa", file.s, file.len);
    tap_ok(fine(records(1, &path, false, &got)) && !strcmp(got.s, want.s),
           "random records, %zu bytes", file.len);
    for (size_t at = 0; at < file.len; at += 300000)
        add_member(&packed, file.s + at, file.len - at < 300000 ? file.len - at : 300000);
    path = put_bytes("r.gz", packed.s, packed.len);
    tap_ok(fine(records(1, &path, false, &got)) && !strcmp(got.s, want.s),
           "the same packed in pieces");
    aster_str_free(&file);
    aster_str_free(&want);
    aster_str_free(&got);
    aster_str_free(&packed);
}

/* Longer than any buffer, in one line. */
static void test_one_line(void)
{
    struct aster_str file = {0}, packed = {0};
    static char bases[3000000];
    int64_t wrong = 0;
    for (size_t k = 0; k < sizeof bases; k++)
        bases[k] = "ACGTN"[(k * 7 + k / 1000) % 5];
    aster_str_add(&file, ">long\n");
    aster_str_addn(&file, bases, sizeof bases);
    add_member(&packed, file.s, file.len);
    for (int gz = 0; gz < 2; gz++) {
        const struct aster_str *s = gz ? &packed : &file;
        const char *path = put_bytes("l.fa", s->s, s->len);
        struct aster_dna *d = NULL;
        struct aster_dna_record r;
        if (!fine(aster_dna_open(ctx, 1, &path, false, &d)))
            return;
        wrong += aster_dna_next(d, &r) != 1 || r.fault || r.length != sizeof bases ||
                 r.n_ambiguous != sizeof bases / 5 || memcmp(r.seq, bases, sizeof bases) != 0;
        wrong += aster_dna_next(d, &r) != 0;
        aster_dna_close(&d);
    }
    tap_ok(wrong == 0, "three million bases in a line without end, plain and packed");
    aster_str_free(&file);
    aster_str_free(&packed);
}

/* A child writes n short records, every tenth of them broken, into a pipe. */
static int many_from_pipe(int64_t n)
{
    int ends[2];
    pid_t pid = pipe(ends) < 0 ? -1 : fork();
    if (pid < 0) {
        printf("Bail out! no pipe\n");
        exit(1);
    }
    close(ends[pid == 0 ? 0 : 1]);
    if (pid > 0)
        return ends[0];
    FILE *f = fdopen(ends[1], "w");
    for (int64_t k = 0; f && k < n; k++)
        fprintf(f,
                k % 10 == 3 ? ">r%lld\nAC!TACGTACGTACGTACGT\n"
                            : ">r%lld\nACGTACGTACGTACGTACGTACGTACGT\n",
                (long long)k);
    _exit(!f || fclose(f));
}

/* Reads them; the peak of memory so far in KiB. */
static long read_many(int64_t n, int64_t *wrong)
{
    struct aster_dna *d = NULL;
    struct aster_dna_record r;
    struct rusage u;
    char word[80], name[40];
    const char *path = name;
    int64_t k = 0;
    int fd = many_from_pipe(n), status;
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    if (!fine(aster_dna_open(ctx, 1, &path, false, &d)))
        return 0;
    for (; aster_dna_next(d, &r) > 0; k++) {
        snprintf(word, sizeof word, ":%lld: record 'r%lld'", (long long)(2 * k + 2), (long long)k);
        *wrong += r.fault ? k % 10 != 3 || !strstr(r.fault, word) : k % 10 == 3 || r.length != 28;
    }
    *wrong += k != n || aster_live_allocations() > 50;
    aster_dna_close(&d);
    close(fd);
    wait(&status);
    return getrusage(RUSAGE_SELF, &u) < 0 ? 0 : u.ru_maxrss;
}

static void test_many(void)
{
    int64_t wrong = 0, many = getenv("ASTERISM_LONG") ? 10000000 : 400000;
    long before = read_many(10000, &wrong), after = read_many(many, &wrong);
    tap_ok(wrong == 0, "of %lld records from a pipe a tenth is broken and each of these is named",
           (long long)many);
#ifdef __SANITIZE_ADDRESS__
    tap_skip("memory says nothing with the address sanitizer");
    (void)before, (void)after;
#else
    tap_ok(before > 0 && after - before < 1024, "%lld records take %ld KiB more than 10000",
           (long long)many, after - before);
#endif
}

int main(void)
{
    test_start();
    test_files();
    test_standard_input();
    test_broken_records();
    test_broken_files();
    test_damaged_gzip();
    test_random();
    test_one_line();
    test_many();
    return test_end();
}
