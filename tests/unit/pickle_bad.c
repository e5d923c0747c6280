/* SPDX-License-Identifier: BSD-3-Clause */
/* Pickles and archives with one thing wrong each: refused with the instruction, its place and the
 * reason; and small files that would grow without end. */
#include "unit/files.h"
#include "unit/torch_build.h"
#include "io/weightfile.h"

static const float storage0[6] = {1, 2, 3, 4, 5, 6};

static const char *put_torch(const struct aster_str *pickle)
{
    struct aster_str file = {0};
    make_torch(&file, pickle, true, 1, (const void *const[]){storage0},
               (const size_t[]){sizeof storage0});
    const char *path = put_bytes("x.pt", file.s, file.len);
    aster_str_free(&file);
    return path;
}

/* The pickle of s is refused with both words; s is emptied. */
static void refused(const char *what, struct aster_str *s, const char *word, const char *more)
{
    struct aster_weightfile *f = NULL;
    int rc = aster_weightfile_open(ctx, put_torch(s), &f);
    failed_with(what, f ? 0 : rc, ASTER_EFORMAT, "x.pt", word, more, NULL);
    aster_weightfile_close(&f);
    s->len = 0;
}

/* A dict of one tensor and what follows under the key "x". */
static void begin(struct aster_str *s)
{
    s->len = 0;
    P(s, "\x80\2}(");
    p_text(s, "a");
    p_plain(s);
    p_text(s, "x");
}

#define BAD(what, instructions, word, more)                                                        \
    do {                                                                                           \
        begin(&s);                                                                                 \
        P(&s, instructions "u.");                                                                  \
        refused(what, &s, word, more);                                                             \
    } while (0)

/* Every instruction that is not among the 32. */
static void test_opcodes(void)
{
    static const char known[] = "N()]}JKMGXcqrhjtaesuQRb.\x80\x81\x85\x86\x87\x88\x89\x8a";
    struct aster_str s = {0};
    int refused_n = 0;
    for (int op = 1; op < 256; op++) {
        struct aster_weightfile *f = NULL;
        char name[8];
        if (strchr(known, op))
            continue;
        snprintf(name, sizeof name, "0x%02x", op);
        begin(&s);
        le_add(&s, (uint64_t)op, 1);
        P(&s, "u.");
        int rc = aster_weightfile_open(ctx, put_torch(&s), &f);
        refused_n += rc == ASTER_EFORMAT && strstr(aster_ctx_message(ctx), name) &&
                     strstr(aster_ctx_message(ctx), "archive/data.pkl");
        aster_weightfile_close(&f);
        aster_ctx_clear(ctx);
    }
    tap_ok(refused_n == 255 - 32, "%d other opcodes are refused by their number", refused_n);
    aster_str_free(&s);
}

static void test_machine(void)
{
    struct aster_str s = {0};
    BAD("a call", "cposix\nsystem\n(X\1\0\0\0xtR", "REDUCE", "posix.system");
    BAD("a call of something near", "ctorch._utils\n_rebuild_tensor_v3\n)R", "REDUCE",
        "_rebuild_tensor_v3");
    BAD("a call of a name in another module", "cother\nOrderedDict\n)R", "REDUCE",
        "other.OrderedDict");
    BAD("a call of a number", "K\1)R", "REDUCE", "an integer");
    BAD("arguments that are a list", "ccollections\nOrderedDict\n]R", "REDUCE", "a list");
    BAD("an OrderedDict with content", "ccollections\nOrderedDict\n]\x85R", "REDUCE",
        "OrderedDict");
    BAD("a set of nothing", "c__builtin__\nset\n)R", "REDUCE", "one list");
    BAD("an object made of arguments", "cm\nC\nK\1\x85\x81", "NEWOBJ", "empty tuple");
    BAD("an object of a number", "K\1)\x81", "NEWOBJ", "an integer");
    BAD("a state on a number", "K\1}b", "BUILD", "an integer");
    BAD("a state on a dict", "}}b", "BUILD", "a dict");
    BAD("a second state", "cm\nC\n)\x81}b}b", "BUILD", "already");
    BAD("a state that is a tuple", "cm\nC\n)\x81)b", "BUILD", "a tuple");
    BAD("protocol 2 again", "\x80\2", "PROTO", "start");
    BAD("a memo that was never set", "h\7", "BINGET", "7 is not set");
    BAD("a memo beyond the pickle", "K\1r\0\0\0\1", "LONG_BINPUT", "16777216");
    BAD("a memo of nothing", "(q\1", "BINPUT", "MARK");
    BAD("a text longer than the pickle", "X\xff\xff\xff\x7f", "BINUNICODE", "2147483647");
    BAD("a text that is not UTF-8", "X\2\0\0\0\xc3(", "BINUNICODE", "0xc3");
    BAD("a text with a NUL", "X\1\0\0\0\0", "BINUNICODE", "NUL");
    BAD("a name with a blank", "cos path\nx\n", "GLOBAL", "0x20");
    BAD("an integer of nine bytes", "\x8a\x09\0\0\0\0\0\0\0\0\1", "LONG1", "64 bits");
    BAD("TUPLE2 over a MARK", "K\1(K\1\x86", "TUPLE2", "MARK");
    BAD("APPEND to a dict", "}K\1a", "APPEND", "a dict");
    BAD("APPENDS to a tuple", ")(K\1e", "APPENDS", "a tuple");
    BAD("SETITEM on a list", "]K\1K\1s", "SETITEM", "a list");
    BAD("SETITEMS of a key alone", "}(K\1u", "SETITEMS", "odd");
    BAD("a key that is a list", "}(]K\1u", "key", "a list");
    BAD("a key twice", "}(K\1K\1K\1K\2u", "duplicate", "integer");
    BAD("items without MARK", "K\1uK\1u", "SETITEMS", "no MARK");
    begin(&s);
    P(&s, "K\1");
    refused("no STOP", &s, "truncated", "STOP");
    begin(&s);
    P(&s, "K\1u.N");
    refused("something after STOP", &s, "STOP", "1 bytes follow");
    P(&s, "}.");
    refused("no PROTO", &s, "PROTO", "protocol 2");
    P(&s, "\x80\4}.");
    refused("protocol 4", &s, "PROTO", "protocol 4");
    P(&s, "\x80\2.");
    refused("nothing", &s, "STOP", "0 objects");
    P(&s, "\x80\2K\1.");
    refused("a number alone", &s, "no tensors", "an integer");
    P(&s, "\x80\2}.");
    refused("an empty dict", &s, "no tensors", "a dict");
    P(&s, "\x80\2](K\1K\2e.");
    refused("a list of numbers", &s, "no tensors", "a list");
    P(&s, "\x80\2}(X\3\0\0\0a.b");
    p_plain(&s);
    P(&s, "X\1\0\0\0a}X\1\0\0\0b");
    p_plain(&s);
    P(&s, "su.");
    refused("two tensors of one name", &s, "'a.b'", "two tensors");
    aster_str_free(&s);
}

/* ---- storages and tensors ---- */

static void bad_tensor(const char *what, const char *class, const char *key, int64_t count,
                       int64_t offset, int64_t d0, int64_t d1, int64_t s0, int64_t s1,
                       const char *word)
{
    struct aster_str s = {0};
    begin(&s);
    p_tensor(&s, class, key, count, offset, 2, (int64_t[]){d0, d1}, (int64_t[]){s0, s1});
    P(&s, "u.");
    refused(what, &s, word, "archive/data.pkl");
    aster_str_free(&s);
}

static void test_tensors(void)
{
    struct aster_str s = {0};
    const int64_t big = INT64_MAX;
    bad_tensor("a missing storage", "Float", "1", 6, 0, 2, 3, 3, 1, "storage '1'");
    bad_tensor("a storage elsewhere", "Float", "../data.pkl", 6, 0, 2, 3, 3, 1, "missing");
    bad_tensor("a storage of another name", "Float", "0/", 6, 0, 2, 3, 3, 1, "missing");
    bad_tensor("a type nobody knows", "QInt8", "0", 6, 0, 2, 3, 3, 1, "torch.QInt8Storage");
    bad_tensor("another count", "Float", "0", 5, 0, 2, 3, 3, 1, "5 elements");
    bad_tensor("a count for another type", "Double", "0", 6, 0, 2, 3, 3, 1, "24 bytes");
    bad_tensor("a negative count", "Float", "0", -6, 0, 2, 3, 3, 1, "negative count");
    bad_tensor("a count that overflows", "Float", "0", (1LL << 62) + 6, 0, 2, 3, 3, 1, "24 bytes");
    bad_tensor("a negative offset", "Float", "0", 6, -1, 2, 3, 3, 1, "negative offset");
    bad_tensor("an offset beyond", "Float", "0", 6, 7, 0, 3, 3, 1, "outside");
    bad_tensor("an offset too far", "Float", "0", 6, 1, 2, 3, 3, 1, "outside");
    bad_tensor("the largest offset", "Float", "0", 6, big, 2, 3, 3, 1, "outside");
    bad_tensor("a stride too far", "Float", "0", 6, 0, 2, 3, 4, 1, "outside");
    bad_tensor("the largest stride", "Float", "0", 6, 0, 2, 3, big, big, "outside");
    bad_tensor("a negative stride", "Float", "0", 6, 3, 2, 3, -3, 1, "negative stride");
    bad_tensor("a negative size", "Float", "0", 6, 0, -2, -3, 3, 1, "negative size");
    bad_tensor("a size of 2^64", "Float", "0", 6, 0, 1LL << 32, 1LL << 32, 0, 0, "size overflow");
    bad_tensor("a size that overflows though one of it is 0", "Float", "0", 6, 0, big, 0, 0, 0,
               "size overflow");
    bad_tensor("2^40 elements from one", "Float", "0", 6, 0, 1LL << 20, 1LL << 20, 0, 0,
               "too large");
    begin(&s);
    p_tensor(&s, "Float", "0", 6, 0, 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1},
             (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1});
    P(&s, "u.");
    refused("nine dimensions", &s, "at most 8", "9");
    BAD("a persistent id that is a text", "X\1\0\0\0xQ", "BINPERSID", "persistent id");
    BAD("a persistent id of four parts",
        "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
        "0X\3\0\0\0cputQ",
        "BINPERSID", "persistent id");
    BAD("a tensor of three arguments", "ctorch._utils\n_rebuild_tensor_v2\n(K\1K\1K\1tR",
        "3 arguments", "_rebuild_tensor_v2");
    BAD("a parameter of a number", "ctorch._utils\n_rebuild_parameter\n(K\1\x88}tR", "3 arguments",
        "_rebuild_parameter");
    aster_str_free(&s);
}

/* ---- growth ---- */

/* Lists of ten times the list before, with something at the bottom. */
static void layers(struct aster_str *s, int n, const char *bottom)
{
    aster_str_add(s, bottom);
    for (int k = 0; k < n; k++) {
        char put[2] = {'q', (char)(k + 1)}, get[2] = {'h', (char)(k + 1)};
        aster_str_addn(s, put, 2);
        P(s, "](");
        for (int j = 0; j < 10; j++)
            aster_str_addn(s, get, 2);
        P(s, "e");
    }
}

static void test_growth(void)
{
    struct aster_str s = {0};
    struct aster_weightfile *f = NULL;
    P(&s, "\x80\2](");
    layers(&s, 30, "K\1");
    P(&s, "e.");
    refused("10^30 numbers", &s, "too many objects", "shared");
    P(&s, "\x80\2}(X\1\0\0\0a");
    p_plain(&s);
    P(&s, "X\1\0\0\0x](");
    layers(&s, 30, ")");
    P(&s, "eu.");
    tap_ok(fine(aster_weightfile_open(ctx, put_torch(&s), &f)) && aster_weightfile_count(f) == 1,
           "10^30 times nothing is nothing");
    aster_weightfile_close(&f);
    s.len = 0;
    P(&s, "\x80\2](");
    p_plain(&s);
    for (int k = 0; k < 5000; k++)
        P(&s, "\x85");
    P(&s, "e.");
    refused("5000 levels", &s, "nesting too deep", "256");
    P(&s, "\x80\2](");
    for (int k = 0; k < 300; k++) { /* each met first near the root */
        char put[5] = {'r', (char)(k & 255), (char)(k >> 8), 0, 0};
        if (k == 0)
            p_plain(&s);
        aster_str_addn(&s, put, 5);
        put[0] = 'j';
        aster_str_addn(&s, put, 5);
        P(&s, "\x85");
    }
    P(&s, "e.");
    refused("300 levels, each a sibling", &s, "nesting too deep", "256");
    P(&s, "\x80\2]q\1h\1a.");
    refused("a list in itself", &s, "contains itself", "archive/data.pkl");
    P(&s, "\x80\2}q\1(K\1h\1u.");
    refused("a dict in itself", &s, "contains itself", "archive/data.pkl");
    P(&s, "\x80\2cm\nC\n)\x81q\1}(K\1h\1ub.");
    refused("a record in itself", &s, "contains itself", "archive/data.pkl");
    P(&s, "\x80\2}(");
    for (int k = 0; k < 9; k++) { /* ten keys of 999 characters lead to it */
        aster_str_add(&s, "X");
        le_add(&s, 999, 4);
        for (int j = 0; j < 999; j++)
            P(&s, "k");
        P(&s, "}(");
    }
    p_text(&s, "a");
    p_plain(&s);
    P(&s, "uuuuuuuuuu.");
    refused("a name of 9000 characters", &s, "4096", "archive/data.pkl");
    aster_str_free(&s);
}

/* ---- archives ---- */

static void bad_archive(const char *what, int n, const struct entry *e, const char *word,
                        const char *more)
{
    struct aster_weightfile *f = NULL;
    struct aster_str file = {0};
    make_zip(&file, n, e, false, 0, "");
    int rc = aster_weightfile_open(ctx, put_bytes("x.pt", file.s, file.len), &f);
    failed_with(what, f ? 0 : rc, ASTER_EFORMAT, "x.pt", word, more, NULL);
    aster_weightfile_close(&f);
    aster_str_free(&file);
}

static void test_archives(void)
{
    struct aster_str s = {0};
    P(&s, "\x80\2}(X\1\0\0\0a");
    p_plain(&s);
    P(&s, "u.");
    const struct entry good[3] = {
        {.name = "t/data.pkl", .data = s.s, .n = s.len},
        {.name = "t/data/0", .data = (const char *)storage0, .n = sizeof storage0},
        {.name = "t/byteorder", .data = "little", .n = 6}};
    struct entry e[3];
#define WITH(...) (memcpy(e, good, sizeof e), __VA_ARGS__)
    WITH(e[0].name = "t/data.pickle");
    bad_archive("no data.pkl", 3, e, "data.pkl", "no ");
    WITH(e[1].deflate = true);
    bad_archive("a compressed storage", 3, e, "t/data/0", "method 8");
    WITH(e[1].name = "u/data/0");
    bad_archive("two folders", 3, e, "more than one top folder", "u/data/0");
    WITH(e[1].name = "data");
    bad_archive("a member without folder", 3, e, "top folder", "'data'");
    WITH(e[1].name = "t/../data/0");
    bad_archive("a path upward", 3, e, "unsafe", "t/../data/0");
    WITH(e[1].name = "t/data/..");
    bad_archive("a path that ends upward", 3, e, "unsafe", "t/data/..");
    WITH(e[1].name = "/t/data/0");
    bad_archive("an absolute path", 3, e, "unsafe", "/t/data/0");
    WITH(e[1].name = "t\\data");
    bad_archive("a backslash", 3, e, "unsafe", "t\\data");
    WITH(e[2] = e[1]);
    bad_archive("a member twice", 3, e, "duplicate", "t/data/0");
    WITH(e[2].data = "bigbig");
    bad_archive("another byte order", 3, e, "byte order", "bigbig");
    WITH(e[2].n = 5);
    bad_archive("half a byte order", 3, e, "byte order", "littl");
    WITH(e[0].crc_xor = 8);
    bad_archive("a damaged pickle", 3, e, "t/data.pkl", "CRC-32");
    WITH(e[0].size_add = 50, e[0].packed_add = 50);
    bad_archive("a member that reaches into the next", 3, e, "overlap", "t/data.pkl");
    WITH(e[1].offset_add = 2);
    bad_archive("a header elsewhere", 3, e, "t/data/0", "local header");
    aster_str_free(&s);
}

int main(void)
{
    test_start();
    test_opcodes();
    test_machine();
    test_tensors();
    test_growth();
    test_archives();
    return test_end();
}
